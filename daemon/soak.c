// SPDX-License-Identifier: GPL-2.0-only
/*
 * The run loop: see soak.h. Reads as a story: probe, load, attach, prove the oracles, churn,
 * quiesce, judge, tear down in reverse.
 */
#include "soak.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "churn.h"
#include "config.h"
#include "control.h"
#include "finding.h"
#include "inject/inject.h"
#include "inject/undo.h"
#include "kmemleak.h"
#include "kmsg.h"
#include "ledger.h"
#include "log.h"
#include "notify.h"
#include "own_cgroup.h"
#include "own_netns.h"
#include "path.h"
#include "perturb.h"
#include "places.h"
#include "pool.h"
#include "probe.h"
#include "programs.h"
#include "reader.h"
#include "reboot.h"
#include "rendezvous.h"
#include "replay.h"
#include "report.h"
#include "runstate.h"
#include "scenarios/scenario.h"
#include "series.h"
#include "service.h"
#include "snapshot.h"
#include "soak_private.h"
#include "stats.h"
#include "util.h"
#include "verdict.h"
#include "window.h"

#define EXIT_USAGE	  2
#define EXIT_UNSUPPORTED  77
#define EXIT_INTERNAL	  4
#define EXIT_INCONCLUSIVE 3

#define TICK_NS		 NSEC_PER_SEC
#define PROGRESS_LINE_NS (60 * NSEC_PER_SEC)
#define REARM_NS	 (5 * NSEC_PER_SEC)
#define ROTATE_PAUSE_NS	 (50 * NSEC_PER_MSEC)
#define SCAN_NS		 (10 * NSEC_PER_SEC)
#define START_NS	 (600 * NSEC_PER_SEC) /* what the controls may take on a slow machine */
#define FILES_WANTED	 65536
#define LEAK_SHARE	 4 /* of MemAvailable at start */
#define CONSOLE		 "/dev/console"

/* Where other users could put something else nothing is written. */

static int check_path(const char *key, const char *path, enum path_kind kind)
{
	_cleanup_free_ char *why = NULL;
	int r = path ? path_check(path, kind, &why) : 0;

	if (r < 0 || !why)
		return r;
	log_error("--%s: %s: %s", key, path, why);
	return -EINVAL;
}

int soak_check_paths(const struct config *config)
{
	int r = check_path("stats-file", config->stats_file, PATH_FILE);

	return r ?: check_path("report", config->report_dir, PATH_DIR);
}

/* What the world sees while the run goes on. */

static void write_stats(struct soak *soak)
{
	const char *path = soak->config->stats_file;
	int r;

	if (!path)
		return;
	r = stats_write(path, &soak->now);
	if (r < 0) {
		soak->stats_errors++;
		if (!soak->stats_failed)
			log_error("cannot write the stats file %s: %s; the run goes on and keeps "
				  "trying",
				  path, strerror(-r));
	} else if (soak->stats_failed) {
		log_notice("the stats file %s can be written again", path);
	}
	soak->stats_failed = r < 0;
}

static void write_report(struct soak *soak)
{
	const char *dir = soak->config->report_dir;
	int r;

	if (!dir)
		return;
	r = report_write(dir, &soak->now, soak->config, soak->kmsg);
	if (r < 0)
		log_error("cannot write the report to %s: %s", dir, strerror(-r));
}

static void show_progress(struct soak *soak)
{
	bool terminal = isatty(STDOUT_FILENO);
	char line[256];

	if (soak->config->quiet)
		return;
	if (!terminal && now_ns() < soak->line_ns)
		return;
	soak->line_ns = now_ns() + PROGRESS_LINE_NS;
	report_progress(line, sizeof(line), &soak->now,
			soak->before.elapsed_ns ? &soak->before : NULL);
	printf(terminal ? "\r\033[K%s" : "%s\n", line);
	fflush(stdout);
	soak->before = soak->now;
}

/* What is wrong by now is written down at once. */
static void watch_findings(struct soak *soak)
{
	findings_watch(soak->findings);
	findings_read(soak->findings, &soak->now);
}

void soak_end_run(struct soak *soak, const char *why)
{
	if (soak->over)
		return;
	soak->over = true;
	if (why)
		log_notice("%s", why);
}

/* Limits and liveness. */

/* What we take for memory pressure is given back: it says nothing about leaks. */
static bool memory_is_gone(const struct soak *soak)
{
	uint64_t available = soak_memory_available();

	return available && !perturb_takes_memory(soak->perturb) &&
	       available + soak->leak_budget < soak->memory_at_start;
}

static void check_memory(struct soak *soak)
{
	if (soak->now.leaked_bytes <= soak->leak_budget && !memory_is_gone(soak))
		return;
	soak->budget_used = true;
	soak_end_run(soak, "the leak budget is used up: ending the run with its verdict");
}

static void report_stuck(struct soak *soak, const char *what, uint64_t ns)
{
	struct finding finding = { .class = FINDING_VIOLATION,
				   .violation = VIOLATION_STUCK,
				   .kind = FAULT_NR };
	char text[128];

	if (soak->stuck_reported)
		return;
	soak->stuck_reported = true;
	soak->stuck++;
	snprintf(text, sizeof(text), "%s has made no progress for %" PRIu64 " s", what,
		 (uint64_t)(ns / NSEC_PER_SEC));
	log_error("VIOLATION, stuck: %s", text);
	finding.what = text;
	findings_add(soak->findings, &finding);
	/* More load on a kernel that is stuck finds nothing more, and may hide what is stuck. */
	if (soak->config->on_violation != ON_VIOLATION_FREEZE || soak->state != RUN_CHURNING)
		soak_end_run(soak, "stuck: ending the run with its verdict");
}

/*
 * What seems stuck may have ended past programs that were skipped just then, or, with none under
 * way, begun and ended so. That is a doubt, which the verdict names, and no violation. Seen on a
 * kernel with checkers: four ends of 2623, one beginning of 4730.
 */
void soak_judge_map_frees(struct soak *soak, const char *what, uint64_t unended)
{
	if (soak->now.map_free_oldest_ns && unended > soak->now.map_frees_blind)
		report_stuck(soak, what, soak->now.map_free_oldest_ns);
	else
		soak->map_frees_unended = MAX(soak->map_frees_unended, unended);
}

static void check_liveness(struct soak *soak)
{
	uint64_t limit = soak->config->stuck_ns;
	char name[64];

	if (soak->now.map_free_oldest_ns > limit)
		soak_judge_map_frees(soak, "a map_free()",
				     ledger_map_frees_older(soak->programs, limit));
	if (soak->now.destroy_oldest_ns > limit)
		report_stuck(soak, "a destroy()", soak->now.destroy_oldest_ns);
	for (unsigned int i = 0; i < soak->now.n_workers; i++) {
		if (soak->now.workers[i].idle_ns <= limit)
			continue;
		snprintf(name, sizeof(name), "worker %u", i);
		report_stuck(soak, name, soak->now.workers[i].idle_ns);
	}
}

static void rearm_warnings(struct soak *soak)
{
	if (!inject_set_injects(&soak->inject) || soak->state != RUN_CHURNING ||
	    now_ns() < soak->rearm_ns)
		return;
	soak->rearm_ns = now_ns() + REARM_NS;
	kmsg_rearm_warn_once();
}

void soak_publish(struct soak *soak)
{
	soak->stats_ns = now_ns() + soak->config->stats_interval_ns;
	write_stats(soak);
	write_report(soak);
}

static void react_to_violation(struct soak *soak)
{
	enum on_violation what = soak->config->on_violation;

	if (soak->reacted || soak->state != RUN_CHURNING || !snapshot_violations(&soak->now))
		return;
	soak->reacted = true;
	if (what == ON_VIOLATION_STOP)
		soak_end_run(soak, "a violation: ending the run with its verdict "
				   "(--on-violation=stop)");
	else if (what == ON_VIOLATION_FREEZE)
		soak_freeze(soak);
}

/* Nobody works while all is frozen, so nobody can be stuck, and only a signal ends it. */
static void check_limits(struct soak *soak, bool scanned)
{
	if (soak->state == RUN_FROZEN)
		return;
	if (scanned) {
		check_liveness(soak);
		check_memory(soak);
	}
	rearm_warnings(soak);
	if (soak->end_ns && now_ns() >= soak->end_ns)
		soak_end_run(soak, NULL);
}

static void on_tick(struct soak *soak)
{
	bool publishing = now_ns() >= soak->stats_ns;
	bool scanning = publishing || now_ns() >= soak->scan_ns;

	if (scanning) {
		soak_take_whole_snapshot(soak);
		soak->scan_ns = now_ns() + SCAN_NS;
	} else {
		soak_take_snapshot(soak);
	}
	watch_findings(soak);
	series_take(&soak->series, &soak->now);
	check_limits(soak, scanning);
	show_progress(soak);
	if (publishing)
		soak_publish(soak);
	react_to_violation(soak);
	soak_keep_to_windows(soak);
	if (soak->state < RUN_JUDGING)
		service_tick(&soak->service, &soak->now, soak->config->stuck_ns);
}

/* Without a file there is nothing to read again, and the terminal is gone. */
static bool asks_for_reload(const struct soak *soak, const struct signalfd_siginfo *info)
{
	return info->ssi_signo == SIGHUP && soak->config->config_file;
}

/* The second signal leaves at once: the kernel drops links and maps with the process. */
void soak_on_signal(struct soak *soak)
{
	struct signalfd_siginfo info;

	while (read(soak->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (asks_for_reload(soak, &info))
			__atomic_store_n(&soak->reload, true, __ATOMIC_RELAXED);
		else
			soak->signals++;
	}
	if (!soak->signals)
		return;
	if (soak->signals < 2) {
		soak_end_run(soak,
			     "stopping: workers first, then the verdict (a second signal leaves "
			     "at once)");
		return;
	}
	printf("bpfsoakd: end of run: INCONCLUSIVE second signal, left at once\n");
	fflush(stdout);
	_exit(EXIT_INCONCLUSIVE);
}

/* One turn of the loop, at most timeout_ms long. */
void soak_turn(struct soak *soak, int timeout_ms)
{
	struct epoll_event events[4];
	int n = epoll_wait(soak->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);

	for (int i = 0; i < n; i++) {
		uint64_t expirations;

		if (events[i].data.fd == soak->signal_fd)
			soak_on_signal(soak);
		else if (events[i].data.fd != soak->timer_fd)
			kmsg_read(soak->kmsg);
		else if (read(soak->timer_fd, &expirations, sizeof(expirations)) > 0)
			on_tick(soak);
	}
}

/* Set-up. */

static int watch(struct soak *soak, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(soak->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int set_up_loop(struct soak *soak)
{
	struct itimerspec tick = { .it_interval.tv_sec = TICK_NS / NSEC_PER_SEC,
				   .it_value.tv_sec = TICK_NS / NSEC_PER_SEC };
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	/* Blocked here, before any thread exists: signals come through the loop only. */
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	soak->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	soak->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	soak->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (soak->epoll_fd < 0 || soak->signal_fd < 0 || soak->timer_fd < 0)
		return -errno;
	if (timerfd_settime(soak->timer_fd, 0, &tick, NULL) < 0)
		return -errno;
	r = watch(soak, soak->signal_fd);
	if (!r)
		r = watch(soak, soak->timer_fd);
	if (!r && soak->kmsg)
		r = watch(soak, kmsg_fd(soak->kmsg));
	return r;
}

static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	/* Above the hard limit with CAP_SYS_RESOURCE, else up to it. */
	if (limit.rlim_max < FILES_WANTED) {
		struct rlimit more = { .rlim_cur = FILES_WANTED, .rlim_max = FILES_WANTED };

		if (!setrlimit(RLIMIT_NOFILE, &more))
			return;
	}
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void open_kmsg(struct soak *soak)
{
	int r = kmsg_new(NULL, &soak->kmsg);

	if (!r)
		return;
	soak->kmsg = NULL;
	soak->oracles[ORACLE_KERNEL_LOG] = ORACLE_BLIND;
	log_warning("the kernel log cannot be read: %s%s", strerror(-r),
		    r == -EPERM ? " (CAP_SYSLOG is missing)" : "");
}

/* Returns 0, or an exit code after saying why. */
static int add_backend(struct soak *soak, const char *name)
{
	const char *why = NULL;
	int r = inject_set_add(&soak->inject, name, &soak->probe, &why);

	if (r < 0) {
		log_error("--inject=%s is not possible here: %s", name, why);
		return EXIT_UNSUPPORTED;
	}
	if (why)
		log_info("--inject=%s does without better: %s", name, why);
	return 0;
}

static int check_panic(const struct soak *soak)
{
	for (size_t i = 0; i < soak->inject.n; i++) {
		const char *name = soak->inject.ops[i]->name;
		const struct probe_mode *mode = probe_mode(&soak->probe, name);

		if (!mode || !mode->needs_accept_panic || soak->config->accept_panic)
			continue;
		log_error("--inject=%s is refused: %s", name, mode->missing);
		return EXIT_UNSUPPORTED;
	}
	return 0;
}

/* Whether destroy() may be made to fail the storage lock while map_free() holds it. */
static bool fails_waiting_destroy(const struct soak *soak)
{
	return inject_set_uses_module(&soak->inject) &&
	       soak->inject_options.sites & (1u << SOAK_SITE_DESTROY_STORAGE);
}

/* docs/design.md, "A count that does not reach zero". */
static void tell_of_uncharging(const struct soak *soak)
{
	if (!soak_arranges_meetings(soak) || !fails_waiting_destroy(soak))
		return;
	if (soak->config->rendezvous == RENDEZVOUS_ALL)
		log_warning("--rendezvous=all lets owners die while map_free() uncharges them, and "
			    "their locks fail: Linux 7.3 does not survive that");
	else
		log_info("no meetings at uncharge, which Linux 7.3 does not survive where locks of "
			 "destroy_storage fail: leave it out of --inject-sites, or give "
			 "--rendezvous=all");
}

static void warn_of_faults(const struct soak *soak)
{
	for (size_t i = 0; i < soak->inject.n; i++)
		if (soak->inject.ops[i]->injects)
			log_warning("FAULTS WILL BE INJECTED into this kernel: %s",
				    soak->inject.ops[i]->description);
	if (inject_set_uses_module(&soak->inject) && soak->inject_options.forced)
		log_warning("FAULTS WILL BE FORCED: locks that nobody holds fail; what leaks then "
			    "is predicted, and no bug of the kernel");
	tell_of_uncharging(soak);
}

void soak_fill_inject_options(struct soak *soak)
{
	const struct config *config = soak->config;

	soak->inject_options = (struct inject_options){
		.seed = config->seed,
		.stall_ns = config->stall_ns,
		.pause_ns = config->stall_pause_ns,
		.module = config->module,
		.forced = config->inject_kinds & (1u << INJECT_FORCED),
		.contended = config->inject_kinds & (1u << INJECT_CONTENDED),
		.sites = config->inject_sites,
		.error = inject_error_name(config->inject_error),
		.rate = config->inject_rate,
		.burst_ns = config->inject_burst_ns,
		.burst_pause_ns = config->inject_pause_ns,
	};
}

unsigned int soak_chosen_perturbations(const struct config *config)
{
	return (config->stutter ? PERTURB_BIT(PERTURB_STUTTER) : 0) |
	       (config->shuffle ? PERTURB_BIT(PERTURB_SHUFFLE) : 0) |
	       (config->hotplug ? PERTURB_BIT(PERTURB_HOTPLUG) : 0) |
	       (config->pressure ? PERTURB_BIT(PERTURB_PRESSURE) : 0);
}

static int choose_backends(struct soak *soak)
{
	const struct config *config = soak->config;
	int r = 0;

	for (unsigned int mode = 0; !r && mode < INJECT_NR; mode++)
		if (config->inject & (1u << mode))
			r = add_backend(soak, inject_mode_name(mode));
	if (r)
		return r;
	if (inject_set_injects(&soak->inject) && !config->oracles) {
		log_error("--oracles=no judges nothing, so there is nothing to inject for: give "
			  "--inject=none with it");
		return EXIT_USAGE;
	}
	r = check_panic(soak);
	if (r)
		return r;
	soak_fill_inject_options(soak);
	warn_of_faults(soak);
	return 0;
}

static uint64_t power_of_two(uint64_t n)
{
	uint64_t power = 64;

	while (power < n)
		power *= 2;
	return power;
}

/* Why there are no owners of that kind, for people; NULL: there are. */
static const char *why_no_kind(const struct soak *soak, enum soak_kind kind)
{
	if (soak->probe.no_kind[kind])
		return soak->probe.no_kind[kind];
	return places_why_not(soak->places, kind);
}

/* Of what the kernel has, that of which owners can be made here. */
static int choose_kinds(struct soak *soak)
{
	int r = places_new(&soak->places);

	if (r < 0)
		return r;
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++) {
		if (!why_no_kind(soak, kind))
			soak->kinds |= SOAK_KIND_BIT(kind);
		else
			log_info("no %ss are made, and no storage of theirs: %s",
				 owner_kind_name(kind), why_no_kind(soak, kind));
	}
	return 0;
}

static int load(struct soak *soak)
{
	struct programs_options options = {
		.slots = power_of_two(soak->config->slots),
		.ledger = soak->config->oracles,
		.stall = inject_set_injects(&soak->inject),
		.lsm = soak->probe.lsm_bpf,
		.rendezvous = soak_arranges_meetings(soak),
	};
	struct soak_control *control;
	int r;

	r = choose_kinds(soak);
	options.kinds = soak->kinds;
	if (!r)
		r = programs_load(&options, &soak->programs);
	if (!r && options.ledger)
		r = programs_attach(soak->programs, PART_LEDGER);
	if (!r)
		r = programs_attach(soak->programs, PART_FILL);
	if (!r)
		r = programs_attach(soak->programs, PART_ORDER);
	if (!r)
		r = programs_attach(soak->programs, PART_REFUSE);
	if (!r && options.stall)
		r = programs_attach(soak->programs, PART_STALL);
	if (!r && options.rendezvous)
		r = programs_attach(soak->programs, PART_RENDEZVOUS);
	if (r)
		return r;
	r = pool_new(soak->programs, soak->config->maps, soak->config->seed, &soak->pool);
	if (r)
		return r;
	control = programs_control(soak->programs);
	control->maps = soak->config->maps;
	control->delete_mask = 15;
	control->fill_sk = control->fill_task = 1;
	control->fill_cgroup = control->fill_inode = 1;
	control->follow = SOAK_FOLLOW_ALL;
	control->pin = soak->config->pin_owners;
	__atomic_store_n(&control->ready, 1, __ATOMIC_SEQ_CST);
	return 0;
}

/* Where this kernel frees in ways that we cannot see, following a birth proves nothing. */
static void follow_what_is_seen(struct soak *soak)
{
	unsigned int follow = 0;

	/* There is nothing to be seen of kinds that there are not. */
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		if (soak->oracles[snapshot_ledger_of(kind)] != ORACLE_ABSENT ||
		    !(soak->kinds & SOAK_KIND_BIT(kind)))
			follow |= SOAK_FOLLOW_KIND(kind);
	if (soak->oracles[ORACLE_STORAGE] != ORACLE_ABSENT)
		follow |= SOAK_FOLLOW_STORAGE;
	programs_control(soak->programs)->follow = follow;
}

static _Noreturn void give_up(struct soak *soak);

/*
 * The controls make owners and kill them, and the run loop does that itself: on a kernel that does
 * not come back from it somebody else must say so.
 */
static void *watch_controls(void *arg)
{
	struct soak *soak = arg;
	struct pollfd fd = { .fd = soak->joined_fd, .events = POLLIN };
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

	while (s && poll(&fd, 1, TICK_NS / NSEC_PER_MSEC) <= 0) {
		memset(s, 0, sizeof(*s));
		ledger_read_counters(soak->programs, s);
		ledger_read_tables(soak->programs, s);
		if (s->map_free_oldest_ns > soak->config->stuck_ns &&
		    ledger_map_frees_older(soak->programs, soak->config->stuck_ns) >
			    s->map_frees_blind)
			report_stuck(soak, "a map_free() of the controls", s->map_free_oldest_ns);
		else if (s->destroy_oldest_ns > soak->config->stuck_ns)
			report_stuck(soak, "a destroy() of the controls", s->destroy_oldest_ns);
		else
			continue;
		give_up(soak);
	}
	return NULL;
}

/* What may hang, while somebody watches. */
static bool begin_watch(struct soak *soak, void *(*watch)(void *), pthread_t *ret)
{
	soak->joined_fd = eventfd(0, EFD_CLOEXEC);
	return !pthread_create(ret, NULL, watch, soak);
}

static void end_watch(struct soak *soak, bool begun, pthread_t watcher)
{
	eventfd_write(soak->joined_fd, 1);
	if (begun)
		pthread_join(watcher, NULL);
	close(soak->joined_fd);
}

static void run_controls(struct soak *soak)
{
	struct soak_control *control = programs_control(soak->programs);
	pthread_t watcher;
	bool begun;

	/* The controls count owners: the watcher must not be one. */
	control->fill_task = 0;
	begun = begin_watch(soak, watch_controls, &watcher);
	control->fill_task = 1;
	control_run(soak->programs, soak->pool, soak->places, &soak->probe, soak->kmsg,
		    soak->oracles);
	soak->oracles[ORACLE_READER] = control_reader(soak->pool, soak->reader);
	soak->oracles[ORACLE_MAPS] = control_maps(soak->pool);
	end_watch(soak, begun, watcher);
}

static void prove_oracles(struct soak *soak)
{
	struct soak_held held;

	if (!soak->config->oracles)
		return;
	run_controls(soak);
	soak->oracles[ORACLE_HELD] = soak_read_held(soak, &held) ? ORACLE_ABSENT : ORACLE_LIVE;
	soak->oracles[ORACLE_KMEMLEAK] = kmemleak_begin() ? ORACLE_ABSENT : ORACLE_LIVE;
	follow_what_is_seen(soak);
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		log_at(soak->oracles[o] == ORACLE_BLIND ? LOG_WARNING : LOG_INFO, "oracle %s: %s",
		       oracle_name(o), oracle_state_name(soak->oracles[o]));
}

static int start_findings(struct soak *soak)
{
	struct findings_options options = {
		.dir = soak->config->report_dir,
		.console = CONSOLE,
		.replay_base = replay_base(),
		.config = soak->config,
		.probe = &soak->probe,
		.programs = soak->programs,
		.kmsg = soak->kmsg,
		.now = &soak->now,
	};

	return findings_new(&options, &soak->findings);
}

static void arm_test_hooks(struct soak *soak)
{
	struct soak_control *control = programs_control(soak->programs);

	control->drop_free = soak->config->test_drop_free;
	control->forge_free = soak->config->test_forge_free;
	control->lie = soak->config->test_lie;
	/* A map that lives as long as the programs do. */
	if (soak->config->test_lie == SOAK_LIE_MAP)
		programs_note_own_map(soak->programs, pool_map_ids(soak->pool));
	if (soak->config->test_fake_warn)
		write_file("/dev/kmsg",
			   "<4>WARNING: CPU: 0 PID: 1 at bpfsoakd_test_hook+0x0/0x1\n");
}

/* What is named and not possible is refused; of the default mix, what is possible is played. */
int soak_read_mix(const struct config *config, struct mix *ret)
{
	_cleanup_free_ char *error = NULL;
	const char *name, *why;
	int r = mix_parse(config->mix, ret, &error);

	if (r)
		return r;
	r = mix_settle(ret, &name, &why);
	if (r)
		log_error("--mix: %s cannot be played here: %s", name, why);
	return r;
}

static unsigned int worker_count(const struct config *config)
{
	cpu_set_t set;
	unsigned int n = config->workers;

	if (!n && !sched_getaffinity(0, sizeof(set), &set))
		n = MAX((unsigned int)CPU_COUNT(&set), 2u);
	return MIN(MAX(n, 1u), (unsigned int)SNAPSHOT_WORKERS);
}

static int start_churn(struct soak *soak)
{
	struct churn_options options = {
		.workers = worker_count(soak->config),
		.owners = soak->config->owners,
		.maps = soak->config->maps,
		.kinds = soak->kinds,
		.places = soak->places,
		.seed = soak->config->seed,
		.verify = soak->config->oracles,
		.reader = soak->config->oracles ? soak->reader : NULL,
		.lie = soak->config->test_lie,
	};
	int r;

	options.mix = soak->mix;
	r = churn_new(&options, soak->pool, &soak->churn);
	if (r)
		return r;
	/* The workers then begin by waiting. */
	if (soak->state == RUN_PAUSED)
		churn_freeze(soak->churn);
	return churn_start(soak->churn);
}

static int start_rendezvous(struct soak *soak)
{
	const struct config *config = soak->config;
	struct rendezvous_options options = {
		.programs = soak->programs,
		.pool = soak->pool,
		.seed = config->seed,
		.wait_ns = config->rendezvous_wait_ns,
		.uncharge = config->rendezvous == RENDEZVOUS_ALL || !fails_waiting_destroy(soak),
	};

	if (!soak_arranges_meetings(soak))
		return 0;
	return rendezvous_start(&options, &soak->rendezvous);
}

/* What soak_stop_threads() stops, however often. */
int soak_start_threads(struct soak *soak)
{
	int r = pool_start(soak->pool, ROTATE_PAUSE_NS);

	soak->inject_options.programs = soak->programs;
	soak->inject_options.pool = soak->pool;
	r = r ?: start_rendezvous(soak);
	r = r ?: inject_set_arm(&soak->inject);
	return r ?: perturb_start(soak->perturb, soak->churn);
}

void soak_set_limits(struct soak *soak)
{
	soak->end_ns = soak->config->duration_ns ? soak->start_ns + soak->config->duration_ns : 0;
	soak->leak_budget = soak->config->leak_budget ? soak->config->leak_budget
						      : soak->memory_at_start / LEAK_SHARE;
}

static void start_clocks(struct soak *soak)
{
	soak->start_ns = now_ns();
	soak->start_realtime = now_realtime();
	soak_begin_figures(soak);
	soak_set_limits(soak);
}

/* The mark of a run under way: whoever finds it later has found a run that died. */

static void mark_begin(struct soak *soak)
{
	const char *dir = soak->config->report_dir;
	_cleanup_free_ char *unfinished = NULL;
	int r;

	if (!dir)
		return;
	r = runstate_recover(dir, NULL, &unfinished);
	if (r == -EBUSY) {
		log_warning("another daemon reports to %s as well: they overwrite each other's "
			    "files",
			    dir);
		return;
	}
	if (r < 0)
		log_warning("cannot look for an unfinished run in %s: %s", dir, strerror(-r));
	r = runstate_begin(dir, NULL, soak->config, &soak->probe);
	if (r < 0)
		log_warning("cannot mark the run in %s: %s", dir, strerror(-r));
	soak->marked = !r;
}

static void mark_end(struct soak *soak)
{
	int r = soak->marked ? runstate_end(soak->config->report_dir) : 0;

	soak->marked = false;
	if (r < 0)
		log_warning("cannot mark the end of the run in %s: %s", soak->config->report_dir,
			    strerror(-r));
}

/* The end. */

/* The verdict stands and is on the disk. */
static void reboot_if_asked(struct soak *soak)
{
	if (!soak->budget_used || soak->config->on_budget != ON_BUDGET_REBOOT)
		return;
	/* Under a service manager that is for whom it calls afterwards, who has the right to. */
	if (undo_note_reboot() < 0)
		reboot_now();
}

static void conclude(struct soak *soak)
{
	/* Rates and cost are those of the churn, not of the drain. */
	soak->now.elapsed_ns = soak->churned_ns;
	soak->now.bookkeeping_cpu_s = soak->churn_cpu_s;
	soak->state = soak->now.state = RUN_ENDED;
	verdict_decide(&soak->now);
	series_take(&soak->series, &soak->now);
	write_stats(soak);
	write_report(soak);
	mark_end(soak);
	if (isatty(STDOUT_FILENO) && !soak->config->quiet)
		printf("\n");
	report_print_end(stdout, &soak->now);
	fflush(stdout);
	service_status(verdict_name(soak->now.verdict));
	reboot_if_asked(soak);
}

/*
 * The kernel keeps one of our threads: joining it would hang with it. The verdict is given as
 * things stand, and the process ends as far as the kernel lets it.
 */
static _Noreturn void give_up(struct soak *soak)
{
	soak_take_whole_snapshot(soak);
	watch_findings(soak);
	conclude(soak);
	_exit(report_exit_code(soak->now.verdict));
}

static void stop_churn(struct soak *soak)
{
	uint64_t begun = now_ns();

	churn_request_stop(soak->churn);
	while (!churn_is_idle(soak->churn)) {
		soak_turn(soak, 100);
		if (now_ns() - begun < soak->config->stuck_ns)
			continue;
		report_stuck(soak, "a worker that was asked to stop", now_ns() - begun);
		give_up(soak);
	}
	churn_stop(soak->churn);
}

/* Watches over the joins that follow the churn, while the run loop is blocked in them. */
static void *watch_joins(void *arg)
{
	struct soak *soak = arg;
	struct pollfd fds[] = { { .fd = soak->joined_fd, .events = POLLIN },
				{ .fd = soak->signal_fd, .events = POLLIN } };
	uint64_t deadline = now_ns() + soak->config->stuck_ns, now;

	while ((now = now_ns()) < deadline) {
		if (poll(fds, ARRAY_SIZE(fds), (int)((deadline - now) / NSEC_PER_MSEC) + 1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents)
			soak_on_signal(soak);
	}
	report_stuck(soak, "a thread of the injection, the map rotation or the perturbation",
		     soak->config->stuck_ns);
	give_up(soak);
}

void soak_stop_threads(struct soak *soak)
{
	pthread_t watcher;
	bool begun = begin_watch(soak, watch_joins, &watcher);

	perturb_stop(soak->perturb);
	rendezvous_stop(soak->rendezvous);
	soak->rendezvous = NULL;
	inject_set_disarm(&soak->inject);
	pool_stop(soak->pool);
	end_watch(soak, begun, watcher);
}

static void wind_down(struct soak *soak)
{
	soak->state = RUN_JUDGING;
	service_stopping("winding down: workers first, then the verdict");
	if (soak->stuck)
		give_up(soak);
	soak_stop_threads(soak);
	stop_churn(soak);
	soak_judge(soak);
	watch_findings(soak);
	soak_freeze_judged(soak);
}

static void tear_down(struct soak *soak)
{
	perturb_stop(soak->perturb);
	inject_set_disarm(&soak->inject);
	churn_free(soak->churn);
	pool_free(soak->pool);
	places_free(soak->places);
	reader_free(soak->reader);
	inject_set_free(&soak->inject);
	perturb_free(soak->perturb);
	findings_free(soak->findings);
	programs_free(soak->programs);
	kmsg_free(soak->kmsg);
	if (soak->timer_fd >= 0)
		close(soak->timer_fd);
	if (soak->signal_fd >= 0)
		close(soak->signal_fd);
	if (soak->epoll_fd >= 0)
		close(soak->epoll_fd);
	own_cgroup_leave(soak->own_cgroup);
	probe_free(&soak->probe);
}

static int set_up(struct soak *soak)
{
	int r;

	raise_limits();
	service_starting("loading programs and proving the oracles", START_NS);
	if (soak->config->oracles)
		open_kmsg(soak);
	r = set_up_loop(soak);
	if (!r)
		r = load(soak);
	if (!r)
		r = start_findings(soak);
	if (r)
		return r;
	start_clocks(soak);
	soak_take_whole_snapshot(soak);
	prove_oracles(soak);
	arm_test_hooks(soak);
	return 0;
}

static int churn_until_over(struct soak *soak)
{
	int r;

	start_clocks(soak);
	soak_read_windows(soak);
	if (!soak_windows_are_open(soak))
		soak_begin_pause(soak);
	r = start_churn(soak);
	if (!r && soak->state != RUN_PAUSED)
		r = soak_start_threads(soak);
	if (r)
		return r;
	while (!soak->over) {
		soak_turn(soak, -1);
		if (__atomic_load_n(&soak->reload, __ATOMIC_RELAXED) && !soak->over)
			soak_reload(soak);
	}
	return 0;
}

/* A fleet that is switched on at once is not to begin at once. False: a signal came first. */
static bool wait_for_turn(struct soak *soak)
{
	uint64_t end = now_ns(), now;
	bool go = true;
	sigset_t mask, before;
	uint64_t random = 0;

	if (!soak->config->start_jitter_ns)
		return true;
	if (getrandom(&random, sizeof(random), 0) == sizeof(random))
		end += random % soak->config->start_jitter_ns;
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &before);
	log_info("beginning in %.0f s (--start-jitter)",
		 (double)(end - now_ns()) / (double)NSEC_PER_SEC);
	while (go && (now = now_ns()) < end) {
		uint64_t ns = MIN(end - now, SOAK_HOLD_NS / 2);
		struct timespec ts = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
				       .tv_nsec = (long)(ns % NSEC_PER_SEC) };

		service_starting("waiting to begin (start-jitter)", SOAK_HOLD_NS);
		go = sigtimedwait(&mask, NULL, &ts) < 0;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return go;
}

/* Owners are to touch nothing of the host's. Everything that is made later is made there. */
static void stand_apart(struct soak *soak)
{
	own_cgroup_enter(&soak->own_cgroup);
	notify_keep();
	if (soak->config->netns == NETNS_OWN)
		soak->own_netns = own_netns_enter();
}

/* Before there is load, and before there are threads and maps that a child would inherit. */
static int prepare(struct soak *soak)
{
	int r = perturb_new(soak->config->seed, soak_chosen_perturbations(soak->config),
			    &soak->perturb);

	return r ?: inject_set_prepare(&soak->inject, &soak->inject_options);
}

/* Returns an exit code. */
static int run(struct soak *soak)
{
	int r;

	if (service_init(&soak->service, soak->config->stuck_ns) < 0 ||
	    soak_check_paths(soak->config) < 0)
		return EXIT_USAGE;
	if (!wait_for_turn(soak)) {
		printf("bpfsoakd: end of run: INCONCLUSIVE stopped before it began\n");
		return EXIT_INCONCLUSIVE;
	}
	if (soak_read_mix(soak->config, &soak->mix) < 0)
		return EXIT_UNSUPPORTED;
	r = choose_backends(soak);
	if (r)
		return r;
	stand_apart(soak);
	/* A child holds what its parent held: the reader comes before everything. */
	if (soak->config->oracles && reader_new(&soak->reader) < 0)
		soak->reader = NULL;
	mark_begin(soak);
	if (prepare(soak) < 0)
		return EXIT_UNSUPPORTED;
	r = set_up(soak);
	if (r && r != -ENOMEM) {
		log_error("this kernel cannot be soaked (bpfsoakd check says what it lacks): %s",
			  strerror(-r));
		return EXIT_UNSUPPORTED;
	}
	if (!r)
		r = churn_until_over(soak);
	if (r) {
		log_error("the run could not start: %s", strerror(-r));
		return EXIT_INTERNAL;
	}
	soak->churned_ns = now_ns() - soak->start_ns;
	soak->churn_cpu_s = soak_bookkeeping_seconds(soak);
	wind_down(soak);
	conclude(soak);
	return report_exit_code(soak->now.verdict);
}

int soak_run(struct config *config)
{
	struct soak *soak = calloc(1, sizeof(*soak));
	int r;

	if (!soak)
		return EXIT_INTERNAL;
	soak->config = soak->live = config;
	soak->epoll_fd = soak->signal_fd = soak->timer_fd = -1;
	r = probe_run(config->module, &soak->probe);
	if (!r)
		r = run(soak);
	else
		r = EXIT_INTERNAL;
	mark_end(soak);
	tear_down(soak);
	free(soak);
	return r;
}
