// SPDX-License-Identifier: GPL-2.0-only
/* The kernel module in use: see detour.h. */
#include "detour.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kmod.h"
#include "daemon/log.h"
#include "daemon/programs.h"
#include "daemon/snapshot.h"
#include "daemon/util.h"
#include "device.h"
#include "encounter.h"
#include "inject.h"
#include "undo.h"

/* Between two duels; each waits for a grace period anyway. */
#define DUEL_PAUSE_NS (5 * NSEC_PER_MSEC)

/* As long as a waiter may take to arrive; it is failed at once. */
#define HOLD_NS (20 * NSEC_PER_MSEC)

/* At a time: most of an encounter's time is waiting for a grace period. */
#define DIRECTORS 4

/* Of those, where locks must be held to fail: they hold some. All others play duels. */
#define HOLDERS 3

/* Longest dwelling of a duellist between two steps of its visit, with interrupts off. */
#define DWELL_US 1000

struct detour {
	const struct inject_options *options;
	const char *decide;
	struct kmod_load load;
	bool loaded;
	int fd;
	unsigned int sites;
	char *site_names; /* of all that are detoured */
	uint64_t frames;
	struct schedule *schedule;
	struct encounters *encounters[DIRECTORS];
	uint64_t bursts;
};

static const char *kinds_of(const struct inject_options *options)
{
	if (!options->forced)
		return "contended";
	return options->contended ? "contended,forced" : "forced";
}

int detour_rest(struct detour *detour)
{
	/* Still detoured, and so recorded, but none fails. */
	return device_configure(detour->fd, "sites=%s kinds=%s decide=%s error=%s dwell=%d",
				detour->site_names, kinds_of(detour->options), detour->decide,
				detour->options->error, DWELL_US);
}

int detour_burst(struct detour *detour, const struct burst *burst)
{
	_cleanup_free_ char *fail = device_sites(burst->sites);

	if (!fail)
		return -ENOMEM;
	return device_configure(detour->fd,
				"sites=%s fail=%s kinds=%s decide=%s error=%s probability=%u "
				"times=%lld seed=%llu dwell=%d%s%s",
				detour->site_names, fail, kinds_of(detour->options), detour->decide,
				detour->options->error, burst->probability, (long long)burst->times,
				(unsigned long long)burst->seed, DWELL_US,
				burst->only_encounters ? " only=encounters" : "",
				burst->appointed ? " appointments=1" : "");
}

static int open_device(struct detour *detour)
{
	uint64_t deadline = now_ns() + 2 * NSEC_PER_SEC;

	/* A device node of devtmpfs may take a moment. */
	do {
		detour->fd = device_open();
		if (detour->fd >= 0)
			return 0;
		sleep_ns(20 * NSEC_PER_MSEC);
	} while (detour->fd == -ENOENT && now_ns() < deadline);
	if (detour->fd == -EBUSY)
		log_error("/dev/rqspinlock_fault is in use: another bpfsoakd injects");
	else
		log_error("/dev/rqspinlock_fault cannot be opened: %s%s", strerror(-detour->fd),
			  detour->fd == -ENOENT ? " (is devtmpfs mounted?)" : "");
	return detour->fd;
}

static int choose_sites(struct detour *detour)
{
	struct snapshot_module module;
	unsigned int usable, absent;
	int r = device_read(detour->fd, &module, &detour->frames);

	if (r < 0) {
		log_error("the module rqspinlock_fault does not speak as expected (%s): is it of "
			  "another version?",
			  strerror(-r));
		return r;
	}
	usable = detour->options->forced ? module.sites_forceable : module.sites_here;
	detour->sites = detour->options->sites & usable;
	absent = detour->options->sites & ~usable;
	if (absent) {
		_cleanup_free_ char *names = device_sites(absent);

		log_notice("lock sites that this kernel has not, or that cannot be forced: %s",
			   names ? names : "some");
	}
	detour->site_names = device_sites(detour->sites);
	if (!detour->site_names)
		return -ENOMEM;
	if (detour->sites)
		return 0;
	log_error("none of the lock sites of --inject-sites is in this kernel");
	return -EOPNOTSUPP;
}

static int place_probes(struct detour *detour)
{
	int r = detour_rest(detour);

	if (r < 0)
		log_error("the module's probes cannot be placed (%s): its lines in the kernel log "
			  "say why",
			  strerror(-r));
	return r;
}

int detour_new(const struct inject_options *options, const char *decide, struct detour **ret)
{
	struct detour *detour = calloc(1, sizeof(*detour));
	int r;

	if (!detour)
		return -ENOMEM;
	detour->options = options;
	detour->decide = decide;
	detour->fd = -1;
	r = kmod_load(options->module, &detour->load);
	detour->loaded = r >= 0;
	if (detour->loaded && detour->load.loaded_by_us)
		undo_note_module();
	if (r >= 0)
		r = open_device(detour);
	if (r >= 0)
		r = choose_sites(detour);
	if (r >= 0)
		r = place_probes(detour);
	if (r < 0) {
		detour_free(detour);
		return r;
	}
	*ret = detour;
	return 0;
}

static void unload(const struct detour *detour)
{
	int r;

	if (!detour->loaded || !detour->load.loaded_by_us)
		return;
	r = kmod_unload();
	if (r < 0)
		log_warning("the module rqspinlock_fault stays loaded, disarmed: %s", strerror(-r));
	else
		undo_forget_module();
}

void detour_free(struct detour *detour)
{
	if (!detour)
		return;
	detour_stop(detour);
	if (detour->options->programs)
		__atomic_store_n(&programs_control(detour->options->programs)->frames, 0,
				 __ATOMIC_SEQ_CST);
	if (detour->fd >= 0)
		close(detour->fd);
	unload(detour);
	kmod_load_free(&detour->load);
	free(detour->site_names);
	free(detour);
}

unsigned int detour_sites(const struct detour *detour)
{
	return detour->sites;
}

static int start_encounters(struct detour *detour)
{
	struct encounters_options options = {
		.programs = detour->options->programs,
		.pool = detour->options->pool,
		.stall_ns = HOLD_NS,
		.pause_ns = DUEL_PAUSE_NS,
		.brief = true,
		.n_plans = SOAK_PLANS / 2 / DIRECTORS,
	};
	int r = 0;

	for (unsigned int i = 0; !r && i < DIRECTORS; i++) {
		options.first_plan = SOAK_PLANS / 2 + i * options.n_plans;
		options.first_turn = 3 * i;
		options.duels = !detour->options->contended || i >= HOLDERS;
		r = encounters_start(&options, &detour->encounters[i]);
	}
	return r;
}

int detour_start(struct detour *detour, const struct schedule_ops *ops, void *backend)
{
	struct soak_control *control = programs_control(detour->options->programs);
	struct schedule_options options = {
		.seed = detour->options->seed,
		.sites = detour->sites,
		.rate = detour->options->rate,
		.burst_ns = detour->options->burst_ns,
		.pause_ns = detour->options->burst_pause_ns,
		.first = detour->bursts,
		.rare = !detour->options->forced,
	};
	int r;

	control->synthetic = detour->options->forced ? FAULT_FORCED : FAULT_CONTENDED;
	__atomic_store_n(&control->frames, detour->frames, __ATOMIC_SEQ_CST);
	r = start_encounters(detour);
	if (!r)
		r = schedule_start(&options, ops, backend, &detour->schedule);
	return r;
}

void detour_stop(struct detour *detour)
{
	if (detour->schedule)
		detour->bursts = schedule_bursts(detour->schedule);
	schedule_stop(TAKE_PTR(detour->schedule));
	for (unsigned int i = 0; i < DIRECTORS; i++)
		encounters_stop(TAKE_PTR(detour->encounters[i]));
}

void detour_read(const struct detour *detour, struct snapshot *ret)
{
	ret->kinds[FAULT_CONTENDED] |= detour->options->contended;
	ret->kinds[FAULT_FORCED] |= detour->options->forced;
	ret->asked_sites = detour->sites;
	snprintf(ret->asked_error, sizeof(ret->asked_error), "%s", detour->options->error);
	if (device_read(detour->fd, &ret->module, NULL) < 0)
		return;
	ret->module.bursts = detour->schedule ? schedule_bursts(detour->schedule) : detour->bursts;
}
