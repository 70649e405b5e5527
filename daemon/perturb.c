// SPDX-License-Identifier: GPL-2.0-only
/* Disturbs the churn in other ways than by failed locks: see perturb.h. */
#include "perturb.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "churn.h"
#include "hotplug.h"
#include "log.h"
#include "pressure.h"
#include "rng.h"
#include "util.h"

#define STREAM	0x70657274 /* apart from the workers', one more for each perturbation */
#define POLL_NS (50 * NSEC_PER_MSEC)

/* Workers rest 1/41 to 1/11 of the time. */
#define STUTTER_GAP_MIN_MS 2000
#define STUTTER_GAP_MAX_MS 6000

/* Torture tests shuffle every 3 s (shuffle_interval). */
#define SHUFFLE_MIN_MS 2000
#define SHUFFLE_MAX_MS 4000

#define HOTPLUG_GAP_MIN_MS  2000
#define HOTPLUG_GAP_MAX_MS  6000
#define HOTPLUG_AWAY_MIN_MS 300
#define HOTPLUG_AWAY_MAX_MS 2000
#define HOTPLUG_RETRY_MS    500

#define PRESSURE_GAP_MIN_MS 4000
#define PRESSURE_GAP_MAX_MS 10000

struct action {
	bool chosen;
	uint64_t due_ns;
	uint64_t results[PERTURB_RESULT_NR];
};

struct perturb {
	uint64_t seed;
	struct action actions[PERTURB_NR];
	struct churn *churn;
	pthread_t thread;
	bool running;
	bool stop;

	cpu_set_t cpus; /* that the workers may use */
	struct perturb_layout layout;
	struct hotplug *hotplug;
	struct pressure *pressure;
};

/* What is drawn. */

static struct rng rng_of(uint64_t seed, enum perturbation what, uint64_t number)
{
	return rng_for(seed, STREAM + what, number);
}

static uint64_t between_ms(struct rng *rng, unsigned int min, unsigned int max)
{
	return (min + rng_below(rng, max - min + 1)) * NSEC_PER_MSEC;
}

struct perturb_stutter perturb_draw_stutter(uint64_t seed, uint64_t number)
{
	struct rng rng = rng_of(seed, PERTURB_STUTTER, number);
	struct perturb_stutter stutter;

	stutter.gap_ns = between_ms(&rng, STUTTER_GAP_MIN_MS, STUTTER_GAP_MAX_MS);
	stutter.pause_ns = stutter.gap_ns / (10 + rng_below(&rng, 31));
	return stutter;
}

/* In turns: each worker goes to one other CPU; all may go everywhere but to one. */
struct perturb_layout perturb_draw_layout(uint64_t seed, uint64_t number,
					  struct perturb_layout before, const cpu_set_t *cpus)
{
	struct rng rng = rng_of(seed, PERTURB_SHUFFLE, number);
	struct perturb_layout layout = before;
	unsigned int n = (unsigned int)CPU_COUNT(cpus);

	if (n < 2)
		return before;
	layout.roam = number % 2;
	if (layout.roam)
		layout.idle = rng_below(&rng, n);
	else
		layout.shift = (before.shift + 1 + rng_below(&rng, n - 1)) % n;
	return layout;
}

void perturb_affinity(struct perturb_layout layout, const cpu_set_t *cpus, unsigned int worker,
		      cpu_set_t *ret)
{
	CPU_ZERO(ret);
	if (!layout.roam) {
		CPU_SET(nth_cpu(cpus, layout.shift + worker), ret);
		return;
	}
	*ret = *cpus;
	if (CPU_COUNT(cpus) > 1)
		CPU_CLR(nth_cpu(cpus, layout.idle), ret);
}

int perturb_draw_cpu(uint64_t seed, uint64_t number, const cpu_set_t *cpus)
{
	struct rng rng = rng_of(seed, PERTURB_HOTPLUG, number);

	return nth_cpu(cpus, rng_below(&rng, (unsigned int)CPU_COUNT(cpus)));
}

/* The number of the next one, by which it is drawn. */
static uint64_t number_of(const struct perturb *p, enum perturbation what)
{
	return snapshot_total(p->actions[what].results, PERTURB_RESULT_NR);
}

static void count(struct perturb *p, enum perturbation what, enum perturb_result result)
{
	uint64_t *n = &p->actions[what].results[result];

	__atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

/*
 * Stutter: torture_stutter(). The end is given to the workers beforehand, so nobody needs to be
 * there to end it.
 */
static uint64_t step_stutter(struct perturb *p)
{
	uint64_t number = number_of(p, PERTURB_STUTTER);
	struct perturb_stutter now = perturb_draw_stutter(p->seed, number);

	churn_stutter(p->churn, now_ns() + now.pause_ns);
	count(p, PERTURB_STUTTER, PERTURB_DONE);
	return now.pause_ns + perturb_draw_stutter(p->seed, number + 1).gap_ns;
}

static void undo_stutter(struct perturb *p)
{
	churn_stutter(p->churn, 0);
}

/* Shuffle: torture_shuffle_tasks(), and as well each worker to one CPU. */

static void usable_cpus(const struct perturb *p, cpu_set_t *ret)
{
	int offline = p->hotplug ? hotplug_offline(p->hotplug) : -1;

	*ret = p->cpus;
	if (offline >= 0)
		CPU_CLR(offline, ret);
	/* All that were left to us are away: wherever the kernel likes. */
	if (!CPU_COUNT(ret))
		*ret = p->cpus;
}

static int spread(struct perturb *p, const cpu_set_t *cpus)
{
	int first = 0;

	for (unsigned int i = 0; i < churn_workers(p->churn); i++) {
		cpu_set_t set;
		int r;

		perturb_affinity(p->layout, cpus, i, &set);
		r = churn_set_affinity(p->churn, i, &set);
		first = first ?: r;
	}
	return first;
}

static uint64_t step_shuffle(struct perturb *p)
{
	uint64_t number = number_of(p, PERTURB_SHUFFLE);
	struct rng rng = rng_of(p->seed, PERTURB_SHUFFLE, ~number);
	bool done = false;
	cpu_set_t cpus;

	usable_cpus(p, &cpus);
	/* With one CPU there is nowhere to go. */
	if (CPU_COUNT(&cpus) > 1) {
		p->layout = perturb_draw_layout(p->seed, number, p->layout, &cpus);
		done = !spread(p, &cpus);
	}
	count(p, PERTURB_SHUFFLE, done ? PERTURB_DONE : PERTURB_REFUSED);
	return between_ms(&rng, SHUFFLE_MIN_MS, SHUFFLE_MAX_MS);
}

/* Hotplug: torture_onoff(). */

static int prepare_hotplug(struct perturb *p)
{
	return p->hotplug ? 0 : hotplug_new(HOTPLUG_DIR, &p->hotplug);
}

/* The kernel took their CPU from the workers that had but one, and gives it back to nobody. */
static int give_back(struct perturb *p)
{
	int r = hotplug_give_back(p->hotplug);

	if (!r)
		spread(p, &p->cpus);
	return r;
}

static uint64_t bring_back(struct perturb *p, struct rng *rng)
{
	int r = give_back(p);

	count(p, PERTURB_HOTPLUG, r ? PERTURB_REFUSED : PERTURB_DONE);
	if (r)
		return HOTPLUG_RETRY_MS * NSEC_PER_MSEC;
	return between_ms(rng, HOTPLUG_GAP_MIN_MS, HOTPLUG_GAP_MAX_MS);
}

static uint64_t step_hotplug(struct perturb *p)
{
	uint64_t number = number_of(p, PERTURB_HOTPLUG);
	struct rng rng = rng_of(p->seed, PERTURB_HOTPLUG, ~number);

	if (hotplug_offline(p->hotplug) >= 0)
		return bring_back(p, &rng);
	if (!hotplug_take(p->hotplug, perturb_draw_cpu(p->seed, number, hotplug_cpus(p->hotplug))))
		return between_ms(&rng, HOTPLUG_AWAY_MIN_MS, HOTPLUG_AWAY_MAX_MS);
	count(p, PERTURB_HOTPLUG, PERTURB_REFUSED);
	return between_ms(&rng, HOTPLUG_GAP_MIN_MS, HOTPLUG_GAP_MAX_MS);
}

static void undo_hotplug(struct perturb *p)
{
	int cpu = hotplug_offline(p->hotplug), r = cpu < 0 ? 0 : give_back(p);

	if (r)
		log_warning("CPU %d is still offline: %s; it is tried again at the end of the run",
			    cpu, strerror(-r));
	else if (cpu >= 0)
		count(p, PERTURB_HOTPLUG, PERTURB_DONE);
}

/* Memory pressure. */

static int prepare_pressure(struct perturb *p)
{
	return p->pressure ? 0 : pressure_new(&p->pressure);
}

static uint64_t step_pressure(struct perturb *p)
{
	struct rng rng = rng_of(p->seed, PERTURB_PRESSURE, number_of(p, PERTURB_PRESSURE));
	enum pressure_state state = pressure_poll(p->pressure);

	if (state == PRESSURE_ON)
		return POLL_NS;
	if (state == PRESSURE_IDLE && !pressure_begin(p->pressure))
		return POLL_NS;
	count(p, PERTURB_PRESSURE, state == PRESSURE_DONE ? PERTURB_DONE : PERTURB_REFUSED);
	return between_ms(&rng, PRESSURE_GAP_MIN_MS, PRESSURE_GAP_MAX_MS);
}

static void undo_pressure(struct perturb *p)
{
	pressure_end(p->pressure);
}

static const struct {
	int (*prepare)(struct perturb *p); /* finds out whether it can be done; NULL: it can */
	/* The next thing to do, and how long until the one after it. */
	uint64_t (*step)(struct perturb *p);
	void (*undo)(struct perturb *p); /* NULL: nothing is to be */
} ops[PERTURB_NR] = {
	[PERTURB_STUTTER] = { .step = step_stutter, .undo = undo_stutter },
	[PERTURB_SHUFFLE] = { .step = step_shuffle },
	[PERTURB_HOTPLUG] = { prepare_hotplug, step_hotplug, undo_hotplug },
	[PERTURB_PRESSURE] = { prepare_pressure, step_pressure, undo_pressure },
};

/* The thread. */

static bool stopping(const struct perturb *p)
{
	return __atomic_load_n(&p->stop, __ATOMIC_ACQUIRE);
}

/* Of those that are chosen, the one that is due first; NULL: none is chosen. */
static struct action *next_action(struct perturb *p)
{
	struct action *next = NULL;

	for (unsigned int what = 0; what < PERTURB_NR; what++) {
		struct action *action = &p->actions[what];

		if (action->chosen && (!next || action->due_ns < next->due_ns))
			next = action;
	}
	return next;
}

static void wait_until(const struct perturb *p, uint64_t end)
{
	uint64_t now;

	while (!stopping(p) && (now = now_ns()) < end)
		sleep_ns(MIN(end - now, POLL_NS));
}

static void *perturb_main(void *arg)
{
	struct perturb *p = arg;
	struct action *action;

	while ((action = next_action(p))) {
		wait_until(p, action->due_ns);
		if (stopping(p))
			break;
		action->due_ns = now_ns() + ops[action - p->actions].step(p);
	}
	for (unsigned int what = 0; what < PERTURB_NR; what++)
		if (p->actions[what].chosen && ops[what].undo)
			ops[what].undo(p);
	return NULL;
}

int perturb_start(struct perturb *perturb, struct churn *churn)
{
	int r;

	perturb->churn = churn;
	perturb->stop = false;
	/* Each once soon, so that a short run has all of them. */
	for (unsigned int what = 0; what < PERTURB_NR; what++)
		perturb->actions[what].due_ns = now_ns() + (what + 1) * 500 * NSEC_PER_MSEC;
	r = pthread_create(&perturb->thread, NULL, perturb_main, perturb);
	perturb->running = !r;
	return -r;
}

void perturb_request_stop(struct perturb *perturb)
{
	if (perturb)
		__atomic_store_n(&perturb->stop, true, __ATOMIC_RELEASE);
}

void perturb_stop(struct perturb *perturb)
{
	if (!perturb || !perturb->running)
		return;
	perturb_request_stop(perturb);
	pthread_join(perturb->thread, NULL);
	perturb->running = false;
}

int perturb_choose(struct perturb *perturb, unsigned int what)
{
	if (perturb->hotplug)
		what |= PERTURB_BIT(PERTURB_HOTPLUG);
	for (unsigned int i = 0; i < PERTURB_NR; i++) {
		struct action *action = &perturb->actions[i];
		int r;

		action->chosen = false;
		if (!(what & PERTURB_BIT(i)))
			continue;
		r = ops[i].prepare ? ops[i].prepare(perturb) : 0;
		if (r)
			return r;
		action->chosen = true;
	}
	return 0;
}

int perturb_new(uint64_t seed, unsigned int what, struct perturb **ret)
{
	struct perturb *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->seed = seed;
	r = sched_getaffinity(0, sizeof(p->cpus), &p->cpus) < 0 ? -errno : 0;
	r = r ?: perturb_choose(p, what);
	if (r) {
		perturb_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void perturb_free(struct perturb *perturb)
{
	if (!perturb)
		return;
	perturb_stop(perturb);
	hotplug_free(perturb->hotplug);
	pressure_free(perturb->pressure);
	free(perturb);
}

/* What is on by default may be refused for want of CPUs; what was asked for is to come about. */
static unsigned int asked(const struct perturb *p)
{
	unsigned int bits = 0;

	for (unsigned int what = PERTURB_HOTPLUG; what < PERTURB_NR; what++)
		if (p->actions[what].chosen)
			bits |= PERTURB_BIT(what);
	return bits;
}

void perturb_read(const struct perturb *perturb, struct snapshot *ret)
{
	for (unsigned int what = 0; what < PERTURB_NR; what++)
		for (unsigned int i = 0; i < PERTURB_RESULT_NR; i++)
			ret->perturbations[what][i] = __atomic_load_n(
				&perturb->actions[what].results[i], __ATOMIC_RELAXED);
	ret->perturb_asked = asked(perturb);
	if (!perturb->pressure)
		return;
	ret->pressure_bytes = pressure_bytes(perturb->pressure);
	ret->pressure_scanned = pressure_scanned(perturb->pressure);
}

bool perturb_takes_memory(const struct perturb *perturb)
{
	return perturb->pressure && pressure_is_on(perturb->pressure);
}
