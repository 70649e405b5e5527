// SPDX-License-Identifier: GPL-2.0-only
/* What interrupts a run: windows, reloads, --on-violation=freeze: see soak_private.h. */
#include "soak_private.h"

#include <poll.h>
#include <string.h>

#include "churn.h"
#include "config.h"
#include "log.h"
#include "perturb.h"
#include "runstate.h"
#include "service.h"
#include "snapshot.h"
#include "util.h"
#include "window.h"

/* Windows and reloads. */

void soak_read_windows(struct soak *soak)
{
	soak->windows.n = 0;
	if (soak->config->window)
		windows_parse(soak->config->window, &soak->windows);
}

bool soak_windows_are_open(const struct soak *soak)
{
	return windows_are_open(&soak->windows, (time_t)now_realtime());
}

void soak_begin_pause(struct soak *soak)
{
	log_notice("outside of the windows (--window=%s): pausing", soak->config->window);
	soak->now.state = soak->state = RUN_PAUSED;
	soak->pause_begun_ns = now_ns();
}

static void pause_run(struct soak *soak)
{
	churn_freeze(soak->churn);
	soak_stop_threads(soak);
	soak_begin_pause(soak);
	soak_publish(soak);
}

static void resume_run(struct soak *soak)
{
	int r = soak_start_threads(soak);

	if (r) {
		log_error("cannot go on after a pause: %s", strerror(-r));
		soak_end_run(soak, "ending the run with its verdict");
		return;
	}
	soak->paused_ns += now_ns() - soak->pause_begun_ns;
	soak->pause_begun_ns = 0;
	soak->now.state = soak->state = RUN_CHURNING;
	churn_thaw(soak->churn);
	log_notice("within a window again: going on");
	soak_publish(soak);
}

void soak_keep_to_windows(struct soak *soak)
{
	bool open = soak_windows_are_open(soak);

	if (soak->over || soak->stuck)
		return;
	if (soak->state == RUN_CHURNING && !open)
		pause_run(soak);
	else if (soak->state == RUN_PAUSED && open)
		resume_run(soak);
}

static bool changes_injection(const struct inject_options *a, const struct inject_options *b)
{
	return a->stall_ns != b->stall_ns || a->pause_ns != b->pause_ns || a->rate != b->rate ||
	       a->burst_ns != b->burst_ns || a->burst_pause_ns != b->burst_pause_ns;
}

/*
 * Rates are read when injection begins: it begins anew, with the burst that comes next. So do the
 * perturbations.
 */
static void renew_threads(struct soak *soak)
{
	struct inject_options before = soak->inject_options;
	int r;

	if (soak->state == RUN_CHURNING)
		soak_stop_threads(soak);
	soak_fill_inject_options(soak);
	soak->inject_options.programs = before.programs;
	soak->inject_options.pool = before.pool;
	r = perturb_choose(soak->perturb, soak_chosen_perturbations(soak->config));
	if (r)
		log_error("not all perturbations are possible: %s", strerror(-r));
	if (soak->state != RUN_CHURNING)
		return;
	r = soak_start_threads(soak);
	if (r) {
		log_error("cannot go on after a reload: %s", strerror(-r));
		soak_end_run(soak, "ending the run with its verdict");
	}
}

static void apply_reload(struct soak *soak, struct config *from, const struct mix *mix)
{
	struct inject_options before = soak->inject_options, after;
	unsigned int perturbations = soak_chosen_perturbations(soak->config);

	config_adopt(soak->live, from);
	soak_set_limits(soak);
	soak_read_windows(soak);
	churn_set_mix(soak->churn, mix);
	soak->stats_failed = false;
	after = before;
	after.stall_ns = soak->config->stall_ns;
	after.pause_ns = soak->config->stall_pause_ns;
	after.rate = soak->config->inject_rate;
	after.burst_ns = soak->config->inject_burst_ns;
	after.burst_pause_ns = soak->config->inject_pause_ns;
	if (changes_injection(&before, &after) ||
	    perturbations != soak_chosen_perturbations(soak->config))
		renew_threads(soak);
}

/* All or nothing: what is wrong has been said when this returns an error. */
static int try_reload(struct soak *soak, struct config *new, struct mix *ret_mix)
{
	int r = config_reload(soak->config, new);

	r = r ?: soak_check_paths(new);
	r = r ?: soak_read_mix(new, ret_mix);
	return r ?: service_check_stuck(&soak->service, new->stuck_ns);
}

void soak_reload(struct soak *soak)
{
	_cleanup_(config_free) struct config new = { 0 };
	struct mix mix;

	soak->reload = false;
	service_reloading();
	if (try_reload(soak, &new, &mix) < 0) {
		soak->reloads[RELOAD_REFUSED]++;
		log_error("the new configuration is refused as a whole: the old one stays");
	} else {
		apply_reload(soak, &new, &mix);
		soak->reloads[RELOAD_APPLIED]++;
		log_notice("the new configuration is in effect");
	}
	soak_take_whole_snapshot(soak);
	soak_publish(soak);
	service_reloaded();
}

/* Freezing. */

static void say_frozen(struct soak *soak)
{
	soak->now.state = soak->state = RUN_FROZEN;
	log_warning("frozen after a violation: nothing is churned or injected any more, programs "
		    "and maps stay loaded; SIGTERM or SIGINT ends the run with its verdict");
	soak_publish(soak);
}

/* Owners stay alive and maps open, for somebody with a debugger. */
void soak_freeze(struct soak *soak)
{
	churn_freeze(soak->churn);
	perturb_request_stop(soak->perturb);
	if (soak->stuck)
		log_warning("the injection is left as it is: its threads may be stuck as well");
	else
		soak_stop_threads(soak);
	say_frozen(soak);
}

/* A violation that only the judgement found: what the residuals are can still be looked at. */
void soak_freeze_judged(struct soak *soak)
{
	struct pollfd fd = { .fd = soak->signal_fd, .events = POLLIN };

	if (soak->config->on_violation != ON_VIOLATION_FREEZE || soak->reacted || soak->signals ||
	    !snapshot_violations(&soak->now))
		return;
	say_frozen(soak);
	/* A service manager would end what takes so long to stop. */
	while (!soak->signals) {
		service_hold("frozen after a violation that the judgement found", SOAK_HOLD_NS);
		if (poll(&fd, 1, SOAK_HOLD_NS / 2 / NSEC_PER_MSEC) > 0)
			soak_on_signal(soak);
	}
}
