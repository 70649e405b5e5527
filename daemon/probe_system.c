// SPDX-License-Identifier: GPL-2.0-only
/*
 * What files and the C library tell about the kernel and the machine: release, LSMs, CPUs and
 * rqspinlock's path, capabilities, panics, sanitizers. A file that is missing or forbidden is an
 * answer, with what to do about it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cgroup.h"
#include "probe_bpf.h"
#include "prober.h"

#define LSM_LIST "/sys/kernel/security/lsm"

static bool is_mounted(const char *path, long magic)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == magic;
}

static void chomp(char *text)
{
	text[strcspn(text, "\n")] = '\0';
}

/* Is word one of the items of a list, separated by any of these characters? */
static bool list_has(const char *list, const char *separators, const char *word)
{
	size_t len = strlen(word);

	for (const char *item = list; *item; item += strspn(item, separators)) {
		size_t n = strcspn(item, separators);

		if (n == len && !strncmp(item, word, len))
			return true;
		item += n;
	}
	return false;
}

/* Kernel ---------------------------------------------------------------- */

static void ask_btf(struct prober *p)
{
	struct stat st;

	if (!p->btf)
		prober_add(p, "BTF", PROBE_NO,
			   "/sys/kernel/btf/vmlinux cannot be read: mount sysfs, or use a kernel "
			   "with CONFIG_DEBUG_INFO_BTF=y");
	else if (stat("/sys/kernel/btf/vmlinux", &st) < 0)
		prober_add(p, "BTF", PROBE_YES, "from a vmlinux file, not from the kernel itself");
	else
		prober_add(p, "BTF", PROBE_YES, "%lld bytes", (long long)st.st_size);
}

static void ask_config(struct prober *p)
{
	if (p->kconfig)
		prober_add(p, "configuration", PROBE_YES, "%s", kconfig_path(p->kconfig));
	else
		prober_add(
			p, "configuration", PROBE_UNKNOWN,
			"neither /proc/config.gz nor /boot/config-%s: some answers below stay open",
			p->probe->release);
}

static void ask_kallsyms(struct prober *p)
{
	if (p->kallsyms_error)
		prober_add(p, "kallsyms", PROBE_NO, "/proc/kallsyms: %s",
			   strerror(-p->kallsyms_error));
	else
		prober_add(p, "kallsyms", PROBE_YES, "/proc/kallsyms");
}

static void ask_lsms(struct prober *p)
{
	_cleanup_free_ char *list = NULL;
	int r = read_file(LSM_LIST, &list, NULL);

	if (!p->securityfs) {
		prober_add(p, "LSM list", PROBE_UNKNOWN,
			   "securityfs is not mounted: mount -t securityfs securityfs "
			   "/sys/kernel/security");
		prober_add(p, "bpf among the LSMs", PROBE_UNKNOWN,
			   "see lsm/socket_post_create below: it is tried");
		return;
	}
	if (r < 0) {
		prober_add(p, "LSM list", PROBE_UNKNOWN, LSM_LIST ": %s", strerror(-r));
		return;
	}
	chomp(list);
	p->probe->lsm_bpf = list_has(list, ",", "bpf");
	prober_add(p, "LSM list", PROBE_VALUE, "%s", list);
	p->lsm = prober_answer(p->probe->lsm_bpf);
	prober_add_plain(p, "bpf among the LSMs", p->lsm);
}

void prober_kernel(struct prober *p)
{
	p->debugfs = is_mounted("/sys/kernel/debug", DEBUGFS_MAGIC);
	p->securityfs = is_mounted("/sys/kernel/security", SECURITYFS_MAGIC);

	p->group = "kernel";
	prober_add(p, "release", PROBE_VALUE, "%s", p->probe->release);
	ask_btf(p);
	ask_config(p);
	ask_kallsyms(p);
	ask_lsms(p);
}

/* CPU and rqspinlock ---------------------------------------------------- */

/* "0-3,8" names 5 CPUs. */
static unsigned int count_cpus(const char *path)
{
	_cleanup_free_ char *list = NULL;
	unsigned int n = 0;
	char *range, *rest;

	if (read_file(path, &list, NULL) < 0)
		return 0;
	for (range = strtok_r(list, ",\n", &rest); range; range = strtok_r(NULL, ",\n", &rest)) {
		unsigned int first, last;
		int fields = sscanf(range, "%u-%u", &first, &last);

		if (fields == 1)
			n++;
		else if (fields == 2 && last >= first)
			n += last - first + 1;
	}
	return n;
}

/* "key\t: value" of the first CPU; the caller frees. */
static char *cpuinfo_value(char *text, const char *key)
{
	char *line = strstr(text, key);
	char *colon = line ? strchr(line, ':') : NULL;

	if (!colon)
		return NULL;
	colon += 1 + strspn(colon + 1, " ");
	return strndup(colon, strcspn(colon, "\n"));
}

/* Returns the model's name or NULL. No flags at all: an architecture without such a bit. */
static char *ask_cpuinfo(struct prober *p, enum probe_answer *ret_hypervisor)
{
	_cleanup_free_ char *text = NULL, *flags = NULL;

	if (read_file("/proc/cpuinfo", &text, NULL) < 0) {
		*ret_hypervisor = PROBE_UNKNOWN;
		return NULL;
	}
	flags = cpuinfo_value(text, "\nflags");
	p->probe->hypervisor = flags && list_has(flags, " ", "hypervisor");
	*ret_hypervisor = prober_answer(p->probe->hypervisor);
	return cpuinfo_value(text, "\nmodel name");
}

static void ask_cpu_counts(struct prober *p, unsigned int possible)
{
	unsigned int online = count_cpus("/sys/devices/system/cpu/online"), allowed = 0;
	cpu_set_t set;

	if (!online) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		online = n > 0 ? (unsigned int)n : 0;
	}
	if (!sched_getaffinity(0, sizeof(set), &set))
		allowed = (unsigned int)CPU_COUNT(&set);
	p->facts.cpus_online = online;
	prober_add(p, "online", PROBE_VALUE, "%u, %u possible, %u allowed to this process", online,
		   possible, allowed);
}

static enum probe_answer both(enum probe_answer a, enum probe_answer b)
{
	if (a == PROBE_NO || b == PROBE_NO)
		return PROBE_NO;
	return a == PROBE_YES && b == PROBE_YES ? PROBE_YES : PROBE_UNKNOWN;
}

static enum probe_answer either(enum probe_answer a, enum probe_answer b)
{
	return a == PROBE_UNKNOWN ? b : a;
}

/* Without a configuration, symbols that only exist with an option prove that it is on. */
static enum probe_answer option_or_symbol(const struct prober *p, const char *option,
					  const char *symbol)
{
	enum probe_answer answer = prober_option(p, option);

	if (answer == PROBE_UNKNOWN && prober_listed(p, symbol) == PROBE_YES)
		return PROBE_YES;
	return answer;
}

static enum rqspinlock_path ask_path(const struct prober *p, unsigned int possible,
				     enum probe_answer hypervisor, const char **ret_why)
{
	enum probe_answer pv =
		option_or_symbol(p, "CONFIG_PARAVIRT_SPINLOCKS", "__pv_queued_spin_lock_slowpath");
	_cleanup_free_ char *cmdline = NULL;
	struct rqspinlock_facts facts = {
		.queued = either(prober_option(p, "CONFIG_QUEUED_SPINLOCKS"),
				 prober_listed(p, "resilient_queued_spin_lock_slowpath")),
		.paravirt = either(prober_option(p, "CONFIG_PARAVIRT"),
				   pv == PROBE_YES ? PROBE_YES : PROBE_UNKNOWN),
		/* Paravirtual locks without KVM guest support are Xen's: rare enough to assume. */
		.pv_spinlocks = either(both(pv, prober_option(p, "CONFIG_KVM_GUEST")), pv),
		.hypervisor = hypervisor,
		.cpus_possible = possible,
	};

	if (!read_file("/proc/cmdline", &cmdline, NULL))
		facts.nopvspin = list_has(cmdline, " \n", "nopvspin");
	rqspinlock_ask_cpu(&facts);
	return rqspinlock_decide(&facts, ret_why);
}

static void ask_rqspinlock(struct prober *p, unsigned int possible, enum probe_answer hypervisor,
			   const char *model)
{
	static const char queued[] = "resilient_queued_spin_lock_slowpath";
	static const char tas[] = "resilient_tas_spin_lock";
	struct probe *probe = p->probe;
	enum rqspinlock_path path = RQSPINLOCK_UNKNOWN;
	const char *why = "this kernel has no rqspinlocks";

	p->group = "rqspinlock";
	prober_add_plain(p, queued, prober_listed(p, queued));
	prober_add_plain(p, tas, prober_listed(p, tas));
	if (p->btf)
		prober_add(p, "rqspinlock_held_locks",
			   prober_answer(probe_btf_has_variable(p->btf, "rqspinlock_held_locks")),
			   "as a ksym in BTF");
	else
		prober_add(p, "rqspinlock_held_locks", PROBE_UNKNOWN, "no BTF");
	p->facts.rqspinlock = prober_listed(p, tas);
	if (p->facts.rqspinlock != PROBE_NO)
		path = ask_path(p, possible, hypervisor, &why);
	prober_add(p, "path of a contended lock", PROBE_VALUE, "%s: %s", rqspinlock_path_name(path),
		   why);

	probe->tas = path == RQSPINLOCK_TAS;
	snprintf(probe->cpu_model, sizeof(probe->cpu_model), "%s%s%s",
		 path == RQSPINLOCK_UNKNOWN ? "" : rqspinlock_path_name(path),
		 path == RQSPINLOCK_UNKNOWN ? "" : ", ", model);
}

void prober_cpu(struct prober *p)
{
	unsigned int possible = count_cpus("/sys/devices/system/cpu/possible");
	enum probe_answer hypervisor = PROBE_UNKNOWN;
	_cleanup_free_ char *model = ask_cpuinfo(p, &hypervisor);
	const char *name = model ? model : "unknown CPU";

	p->group = "CPU";
	prober_add(p, "model", PROBE_VALUE, "%s", name);
	prober_add_plain(p, "hypervisor bit", hypervisor);
	ask_cpu_counts(p, possible);
	ask_rqspinlock(p, possible, hypervisor, name);
}

/* Capabilities ---------------------------------------------------------- */

static void cap_freep(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}

static enum probe_answer holds(cap_t caps, cap_value_t value)
{
	cap_flag_value_t flag;

	if (!caps || cap_get_flag(caps, value, CAP_EFFECTIVE, &flag) < 0)
		return PROBE_UNKNOWN;
	return prober_answer(flag == CAP_SET);
}

void prober_capabilities(struct prober *p)
{
	static const struct {
		const char *name;
		cap_value_t value;
		const char *use;
	} wanted[] = {
		{ "CAP_BPF", CAP_BPF, "maps and programs" },
		{ "CAP_PERFMON", CAP_PERFMON, "tracing and LSM programs" },
		{ "CAP_NET_ADMIN", CAP_NET_ADMIN,
		  "nothing in this version: all of this loads without" },
		{ "CAP_SYS_RESOURCE", CAP_SYS_RESOURCE,
		  "more file descriptors than the hard limit" },
		{ "CAP_SYSLOG", CAP_SYSLOG, "reading the kernel log" },
		{ "CAP_SYS_MODULE", CAP_SYS_MODULE,
		  "loading rqspinlock_fault, unless it is loaded already" },
		{ "CAP_SYS_ADMIN", CAP_SYS_ADMIN,
		  "seeing that no BPF program of a check stays behind; files on private file "
		  "systems" },
	};
	_cleanup_(cap_freep) cap_t caps = cap_get_proc();

	p->group = "capabilities";
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		prober_add(p, wanted[i].name, holds(caps, wanted[i].value), "for %s",
			   wanted[i].use);
	p->facts.cap_bpf = holds(caps, CAP_BPF);
	p->facts.cap_perfmon = holds(caps, CAP_PERFMON);
	p->facts.cap_sys_module = holds(caps, CAP_SYS_MODULE);
	/* CAP_SYS_ADMIN includes both. */
	if (holds(caps, CAP_SYS_ADMIN) == PROBE_YES) {
		p->facts.cap_bpf = PROBE_YES;
		p->facts.cap_perfmon = PROBE_YES;
	}
}

/* Everything else ------------------------------------------------------- */

static void add_mount(struct prober *p, const char *type, const char *path, bool mounted)
{
	if (mounted)
		prober_add(p, type, PROBE_YES, "%s", path);
	else
		prober_add(p, type, PROBE_NO, "mount -t %s %s %s", type, type, path);
}

/* Below which a run makes cgroups; whether it really can it finds out by making one. */
static void ask_cgroup(struct prober *p)
{
	_cleanup_free_ char *dir = NULL, *why = NULL;
	int r = cgroup_find(&dir, NULL, &why);

	if (r < 0)
		prober_add(p, "own cgroup", PROBE_NO, "%s", why ? why : strerror(-r));
	else if (access(dir, W_OK) < 0)
		prober_add(p, "own cgroup", PROBE_NO, "%s: %s", dir, strerror(errno));
	else
		prober_add(p, "own cgroup", PROBE_YES, "%s", dir);
}

static void ask_mounts(struct prober *p)
{
	bool tracefs = is_mounted("/sys/kernel/tracing", TRACEFS_MAGIC);

	p->group = "file systems";
	add_mount(p, "debugfs", "/sys/kernel/debug", p->debugfs);
	add_mount(p, "tracefs", "/sys/kernel/tracing", tracefs);
	add_mount(p, "securityfs", "/sys/kernel/security", p->securityfs);
	ask_cgroup(p);
}

enum probe_answer prober_debugfs_has(const struct prober *p, const char *path)
{
	if (!p->debugfs)
		return PROBE_UNKNOWN;
	if (!access(path, F_OK))
		return PROBE_YES;
	return errno == ENOENT ? PROBE_NO : PROBE_UNKNOWN;
}

void prober_add_debugfs(struct prober *p, const char *name, const char *path)
{
	enum probe_answer answer = prober_debugfs_has(p, path);

	if (answer == PROBE_UNKNOWN)
		prober_add(p, name, answer, "%s",
			   p->debugfs ? "debugfs is not readable: run as root"
				      : "debugfs is not mounted");
	else
		prober_add_plain(p, name, answer);
}

static void ask_kmsg(struct prober *p)
{
	_cleanup_close_ int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		prober_add_plain(p, "/dev/kmsg readable", PROBE_YES);
	else
		prober_add(p, "/dev/kmsg readable", PROBE_NO, "%s%s", strerror(errno),
			   errno == EPERM || errno == EACCES
				   ? ": CAP_SYSLOG is missing and kernel.dmesg_restrict is set"
				   : "");
}

static void ask_log(struct prober *p)
{
	p->group = "kernel log";
	ask_kmsg(p);
	prober_add_debugfs(p, "clear_warn_once", "/sys/kernel/debug/clear_warn_once");
}

bool prober_has_sysctls(void)
{
	return !access("/proc/sys/kernel", F_OK);
}

/* 0 where the kernel does not have it. */
static uint64_t add_sysctl(struct prober *p, const char *name, const char *path)
{
	uint64_t value = 0;
	int r = read_file_u64(path, &value);

	if (r == -ENOENT && prober_has_sysctls())
		prober_add(p, name, PROBE_NO, "not in this kernel");
	else if (r < 0)
		prober_add(p, name, PROBE_UNKNOWN, "%s: %s", path, strerror(-r));
	else
		prober_add(p, name, PROBE_VALUE, "%lld", (long long)value);
	return value;
}

static void ask_sysctls(struct prober *p)
{
	p->group = "sysctl";
	p->facts.panic_on_warn =
		add_sysctl(p, "kernel.panic_on_warn", "/proc/sys/kernel/panic_on_warn");
	p->facts.warn_limit = add_sysctl(p, "kernel.warn_limit", "/proc/sys/kernel/warn_limit");
	add_sysctl(p, "kernel.panic_on_oops", "/proc/sys/kernel/panic_on_oops");
	add_sysctl(p, "kernel.softlockup_panic", "/proc/sys/kernel/softlockup_panic");
	add_sysctl(p, "kernel.panic_on_rcu_stall", "/proc/sys/kernel/panic_on_rcu_stall");
	add_sysctl(p, "kernel.unprivileged_bpf_disabled",
		   "/proc/sys/kernel/unprivileged_bpf_disabled");
	add_sysctl(p, "kernel.perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid");
	add_sysctl(p, "kernel.kptr_restrict", "/proc/sys/kernel/kptr_restrict");
	add_sysctl(p, "kernel.dmesg_restrict", "/proc/sys/kernel/dmesg_restrict");
	add_sysctl(p, "net.core.optmem_max", "/proc/sys/net/core/optmem_max");
	p->probe->panic_on_warn = p->facts.panic_on_warn;
}

static void ask_sanitizers(struct prober *p)
{
	enum probe_answer kmemleak = prober_debugfs_has(p, "/sys/kernel/debug/kmemleak");

	if (kmemleak == PROBE_UNKNOWN)
		kmemleak = either(prober_option(p, "CONFIG_DEBUG_KMEMLEAK"),
				  prober_listed(p, "kmemleak_alloc"));
	p->group = "sanitizers";
	prober_add_plain(
		p, "KASAN",
		either(prober_option(p, "CONFIG_KASAN"), prober_listed(p, "kasan_report")));
	prober_add_plain(p, "kmemleak", kmemleak);
	prober_add_plain(p, "lockdep",
			 prober_has_sysctls() ? prober_answer(!access("/proc/lockdep", F_OK))
					      : PROBE_UNKNOWN);
}

void prober_system(struct prober *p)
{
	ask_log(p);
	ask_sysctls(p);
	ask_sanitizers(p);
	ask_mounts(p);
}
