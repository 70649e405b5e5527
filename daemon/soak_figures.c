// SPDX-License-Identifier: GPL-2.0-only
/* What is known of a run by now: see soak_private.h. */
#include "soak_private.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "churn.h"
#include "config.h"
#include "finding.h"
#include "inject/inject.h"
#include "kmsg.h"
#include "ledger.h"
#include "map_ids.h"
#include "perturb.h"
#include "pool.h"
#include "probe.h"
#include "programs.h"
#include "snapshot.h"
#include "util.h"

static uint64_t meminfo(const char *key)
{
	_cleanup_free_ char *text = NULL;
	const char *line;

	if (read_file("/proc/meminfo", &text, NULL) < 0)
		return 0;
	line = strstr(text, key);
	return line ? strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

uint64_t soak_memory_available(void)
{
	return meminfo("MemAvailable:");
}

/* The daemon's own memory: everything resident except the ledger's tables. */
static uint64_t resident_bytes(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/smaps", "re");
	uint64_t total = 0, kib;
	bool table = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && strspn(line, "0123456789abcdef") > 4)
			table = strstr(line, "anon_inode:bpf-map");
		else if (!table && sscanf(line, "Rss: %" SCNu64, &kib) == 1)
			total += kib * 1024;
	}
	return total;
}

static uint64_t count_fds(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	while (dir && readdir(dir))
		n++;
	return n > 3 ? n - 3 : 0;
}

static double seconds(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

/* Of the calling thread: the run loop keeps all books. */
static double thread_cpu_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_THREAD, &usage) < 0)
		return 0;
	return seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
}

void soak_begin_figures(struct soak *soak)
{
	soak->cpu_at_start = thread_cpu_seconds();
	soak->memory_at_start = soak_memory_available();
	soak->slab_at_start = meminfo("SUnreclaim:");
}

double soak_bookkeeping_seconds(const struct soak *soak)
{
	return thread_cpu_seconds() - soak->cpu_at_start;
}

static void read_resources(struct soak *soak, struct snapshot *s)
{
	struct rusage usage;

	s->mapped_bytes = programs_mapped_bytes(soak->programs);
	if (!getrusage(RUSAGE_SELF, &usage)) {
		s->cpu_user_s = seconds(&usage.ru_utime);
		s->cpu_system_s = seconds(&usage.ru_stime);
	}
	s->bookkeeping_cpu_s = soak_bookkeeping_seconds(soak);
}

static void read_kmsg(struct soak *soak, struct snapshot *s)
{
	if (!soak->kmsg)
		return;
	for (unsigned int class = 0; class < KMSG_CLASS_NR; class ++)
		s->kmsg[class] = kmsg_count(soak->kmsg, class);
	s->violations[VIOLATION_KERNEL_LOG] += kmsg_violations(soak->kmsg);
	s->misses[MISS_KMSG] = kmsg_lost(soak->kmsg);
}

/* Outside of visits the module is the only one that sees all that it made to fail. */
static void take_module_counts(struct snapshot *s)
{
	for (unsigned int kind = FAULT_CONTENDED; kind < FAULT_NR; kind++) {
		for (unsigned int site = SOAK_SITE_UPDATE; site < SOAK_SITE_NR; site++) {
			s->timeouts[kind][site] = s->module.timeouts[kind][site];
			s->deadlocks[kind][site] = s->module.deadlocks[kind][site];
		}
	}
}

static void read_inject(struct soak *soak, struct snapshot *s)
{
	inject_set_names(&soak->inject, s->inject, sizeof(s->inject));
	s->injecting = inject_set_injects(&soak->inject);
	inject_set_read(&soak->inject, s);
	if (s->module.present)
		take_module_counts(s);
	s->violations[VIOLATION_HELD] = soak->held;
}

/* Without bpf_selem_unlink_nofail() there is nowhere to meet. */
bool soak_arranges_meetings(const struct soak *soak)
{
	return soak->config->rendezvous != RENDEZVOUS_OFF && soak->probe.nofail;
}

/* The figures that cost little: every tick. */
void soak_take_snapshot(struct soak *soak)
{
	struct snapshot *s = &soak->now;

	memset(s, 0, sizeof(*s));
	snprintf(s->kernel_release, sizeof(s->kernel_release), "%s", soak->probe.release);
	snprintf(s->cpu_model, sizeof(s->cpu_model), "%s", soak->probe.cpu_model);
	s->seed = soak->config->seed;
	s->start_realtime = soak->start_realtime;
	s->update_realtime = now_realtime();
	s->elapsed_ns = now_ns() - soak->start_ns;
	s->paused_ns =
		soak->paused_ns + (soak->pause_begun_ns ? now_ns() - soak->pause_begun_ns : 0);
	memcpy(s->reloads, soak->reloads, sizeof(s->reloads));
	snprintf(s->instance, sizeof(s->instance), "%s",
		 soak->config->instance ? soak->config->instance : "");
	s->leak_budget = soak->leak_budget;
	s->stats_write_errors = soak->stats_errors;
	s->violations[VIOLATION_STUCK] = soak->stuck;
	s->map_frees_unended = soak->map_frees_unended;
	s->violations[VIOLATION_MAP] = soak->maps_left;
	s->violations[VIOLATION_KMEMLEAK] = soak->kmemleaks;
	s->violations[VIOLATION_FORGOTTEN] = soak->forgotten;
	s->maps_noted = map_ids_noted(pool_map_ids(soak->pool));
	s->state = soak->state;
	s->series = &soak->series;
	findings_read(soak->findings, s);
	memcpy(s->oracles, soak->oracles, sizeof(s->oracles));
	ledger_read_counters(soak->programs, s);
	s->own_netns = soak->own_netns;
	s->own_cgroup = soak->own_cgroup;
	perturb_read(soak->perturb, s);
	if (soak->churn)
		churn_read(soak->churn, s);
	s->rendezvous = soak_arranges_meetings(soak);
	s->maps_created = pool_created(soak->pool);
	s->maps_closed = pool_closed(soak->pool);
	s->maps_outstanding = s->maps_closed > s->c.map_frees_done && soak->config->oracles
				      ? s->maps_closed - s->c.map_frees_done
				      : 0;
	read_inject(soak, s);
	read_kmsg(soak, s);
	read_resources(soak, s);
}

/* All of them: before anything is written or decided. */
void soak_take_whole_snapshot(struct soak *soak)
{
	soak_take_snapshot(soak);
	soak->now.rss_bytes = resident_bytes();
	soak->now.open_fds = count_fds();
	soak->now.slab_bytes = meminfo("SUnreclaim:");
	soak->now.slab_growth = (int64_t)(soak->now.slab_bytes - soak->slab_at_start);
	if (soak->config->oracles)
		ledger_read_tables(soak->programs, &soak->now);
}
