// SPDX-License-Identifier: GPL-2.0-only
/* Takes CPUs offline and brings them back: see hotplug.h. */
#include "hotplug.h"

#include <errno.h>
#include <string.h>

#include "inject/janitor.h"
#include "inject/undo.h"
#include "log.h"
#include "util.h"

#define ATTEMPTS 10
#define RETRY_NS (200 * NSEC_PER_MSEC)

struct hotplug {
	const char *dir;
	cpu_set_t cpus;
	int offline;
	struct janitor *janitor;
};

static void path_of(char *buf, size_t size, const struct hotplug *h, int cpu)
{
	snprintf(buf, size, "%s/cpu%d/online", h->dir, cpu);
}

static int set_online(const struct hotplug *h, int cpu, bool online)
{
	char path[128];

	path_of(path, sizeof(path), h, cpu);
	return write_file(path, online ? "1" : "0");
}

/* The file is there only for a CPU that can be unplugged (register_cpu(), drivers/base/cpu.c). */
static bool is_online(const struct hotplug *h, int cpu)
{
	uint64_t online;
	char path[128];

	path_of(path, sizeof(path), h, cpu);
	return !read_file_u64(path, &online) && online == 1;
}

static int find_cpus(struct hotplug *h)
{
	for (int cpu = 1; cpu < CPU_SETSIZE; cpu++)
		if (is_online(h, cpu))
			CPU_SET(cpu, &h->cpus);
	if (CPU_COUNT(&h->cpus))
		return 0;
	log_error("--hotplug: no CPU but the first can be taken offline here (none has a file "
		  "%s/cpuN/online that says 1): it takes a machine with two CPUs and a kernel with "
		  "CONFIG_HOTPLUG_CPU; run without --hotplug",
		  h->dir);
	return -EOPNOTSUPP;
}

static int first_cpu(const struct hotplug *h)
{
	int cpu = 0;

	while (!CPU_ISSET(cpu, &h->cpus))
		cpu++;
	return cpu;
}

static const char *hint(int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return " (it is for root; a service needs ProtectKernelTunables=no too)";
	case -EBUSY:
		return " (something in this kernel has turned CPU hotplug off, or holds on to "
		       "this CPU)";
	case -EOPNOTSUPP:
		return " (this platform does not let CPUs go)";
	default:
		return "";
	}
}

/* Nothing else tells beforehand whether the kernel lets a CPU go. */
static int try_once(struct hotplug *h)
{
	int cpu = first_cpu(h), r = hotplug_take(h, cpu);
	const char *what = "take CPU";

	if (!r) {
		what = "bring back CPU";
		r = hotplug_give_back(h);
	}
	if (!r)
		return 0;
	log_error("--hotplug: cannot %s %d by %s/cpu%d/online: %s%s", what, cpu, h->dir, cpu,
		  strerror(-r), hint(r));
	return -EOPNOTSUPP;
}

static int start_janitor(struct hotplug *h)
{
	size_t max = (size_t)CPU_COUNT(&h->cpus), n = 0;
	_cleanup_free_ struct restoration *list = calloc(max, sizeof(*list));
	_cleanup_free_ unsigned int *cpus = calloc(max, sizeof(*cpus));

	if (!list || !cpus)
		return -ENOMEM;
	for (int cpu = 0; n < max; cpu++) {
		if (!CPU_ISSET(cpu, &h->cpus))
			continue;
		path_of(list[n].path, sizeof(list[n].path), h, cpu);
		strcpy(list[n].text, "1");
		cpus[n++] = (unsigned int)cpu;
	}
	/* A service manager kills the janitor too. */
	undo_note_cpus(cpus, n);
	return janitor_new(list, n, &h->janitor);
}

int hotplug_new(const char *dir, struct hotplug **ret)
{
	struct hotplug *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->dir = dir;
	h->offline = -1;
	r = find_cpus(h);
	r = r ?: start_janitor(h);
	r = r ?: try_once(h);
	if (r) {
		hotplug_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

const cpu_set_t *hotplug_cpus(const struct hotplug *hotplug)
{
	return &hotplug->cpus;
}

int hotplug_offline(const struct hotplug *hotplug)
{
	return hotplug->offline;
}

int hotplug_take(struct hotplug *hotplug, int cpu)
{
	int r;

	/* Who took it offline meanwhile wants it so. */
	if (!is_online(hotplug, cpu))
		return -ENODEV;
	r = set_online(hotplug, cpu, false);
	if (!r)
		hotplug->offline = cpu;
	return r;
}

int hotplug_give_back(struct hotplug *hotplug)
{
	int r = hotplug->offline < 0 ? 0 : set_online(hotplug, hotplug->offline, true);

	if (!r)
		hotplug->offline = -1;
	return r;
}

/* What refuses it (cpu_hotplug_disable()) is mostly over in a moment. */
static void give_back_for_good(struct hotplug *h)
{
	int r = -EINVAL;

	for (unsigned int i = 0; r && i < ATTEMPTS; i++) {
		if (i)
			sleep_ns(RETRY_NS);
		r = hotplug_give_back(h);
	}
	if (r)
		log_error("CPU %d stays offline: %s; write 1 to %s/cpu%d/online", h->offline,
			  strerror(-r), h->dir, h->offline);
}

void hotplug_free(struct hotplug *hotplug)
{
	if (!hotplug)
		return;
	give_back_for_good(hotplug);
	if (hotplug->janitor && !janitor_end(hotplug->janitor))
		undo_forget_cpus();
	free(hotplug);
}
