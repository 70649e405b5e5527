// SPDX-License-Identifier: GPL-2.0-only
/* When faults are injected, and where: see schedule.h. */
#include "schedule.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/soak_abi.h"
#include "daemon/log.h"
#include "daemon/rng.h"
#include "daemon/util.h"

#define STREAM	 0x73636865 /* apart from the workers' */
#define RENEW_NS (100 * NSEC_PER_MSEC)

struct schedule {
	struct schedule_options options;
	const struct schedule_ops *ops;
	void *backend;
	pthread_t thread;
	bool stop;
	uint64_t bursts;
};

/* Seldom and often: single failures between clean visits, and all of a visit's locks at once. */
static const unsigned int probabilities[] = { 2, 10, 30, 50, 80, 100 };

#define LIKELY 3 /* from here on */

static unsigned int one_of(struct rng *rng, unsigned int sites)
{
	unsigned int skip = rng_below(rng, (unsigned int)__builtin_popcount(sites));

	while (skip--)
		sites &= sites - 1;
	return sites & -sites;
}

/* Each as likely as not, and at least one. */
static unsigned int some_of(struct rng *rng, unsigned int sites)
{
	return (sites & rng_below(rng, 1u << SOAK_SITE_NR)) ?: one_of(rng, sites);
}

static unsigned int visits_of(unsigned int sites)
{
	return sites & ((1u << SOAK_SITE_UPDATE) - 1);
}

/*
 * Which locks of two visits fail together decides what becomes of the selem, hence bursts in which
 * some fail for certain and others never; and such in which each duel has locks of its own that do.
 *
 * Ordinary visits and updates are so many that they would use up all errors that the rate allows,
 * and seldom both sides are at the same selem: most bursts are for the encounters alone. Where only
 * contended locks fail there are few, and whoever waits behind an encounter's holder is welcome.
 */
static void draw_sites(struct rng *rng, unsigned int sites, bool rare, struct burst *ret)
{
	unsigned int visits = visits_of(sites);

	ret->sites = sites;
	switch (rng_below(rng, rare ? 16 : 8)) {
	case 0:
		ret->sites = one_of(rng, sites);
		break;
	case 1:
		break;
	case 2:
		ret->sites = visits ? visits : sites;
		break;
	case 3:
		ret->sites = visits ? one_of(rng, visits) | one_of(rng, visits) : sites;
		ret->only_encounters = visits;
		break;
	case 4:
		ret->sites = visits ? visits : sites;
		ret->only_encounters = visits;
		break;
	case 5:
		ret->sites = visits ? visits : sites;
		ret->only_encounters = ret->certain = ret->appointed = visits;
		break;
	case 6:
	case 7:
		ret->sites = visits ? some_of(rng, visits) : sites;
		ret->only_encounters = ret->certain = visits;
		break;
	default: /* who waits is to fail, wherever that is */
		ret->sites = visits ? visits : sites;
		ret->certain = visits;
		ret->only_encounters = visits && rng_below(rng, 2);
	}
}

/* Contention is rare enough by itself for single failures between clean visits. */
static unsigned int draw_probability(struct rng *rng, bool rare)
{
	unsigned int skip = rare ? LIKELY : 0;

	return probabilities[skip + rng_below(rng, ARRAY_SIZE(probabilities) - skip)];
}

/* Half to one and a half of what is asked for. */
static uint64_t around(struct rng *rng, uint64_t ns)
{
	return ns / 2 + ns * rng_below(rng, 1001) / 1000;
}

struct burst schedule_burst(const struct schedule_options *options, uint64_t number)
{
	struct rng rng = rng_for(options->seed, STREAM, number);
	struct burst burst = { .number = number, .times = -1 };

	draw_sites(&rng, options->sites, options->rare, &burst);
	burst.appointed &= !options->rare; /* kept at instructions that only forced faults probe */
	burst.probability = burst.certain ? 100 : draw_probability(&rng, options->rare);
	burst.ns = around(&rng, options->burst_ns);
	burst.pause_ns = around(&rng, options->pause_ns);
	burst.seed = rng_next(&rng);
	if (options->rate) {
		burst.times =
			(int64_t)((double)options->rate * (double)(burst.ns + burst.pause_ns) /
				  (double)NSEC_PER_SEC) +
			1;
	} else { /* as many as there can be */
		burst.sites = options->sites;
		burst.only_encounters = burst.appointed = false;
		burst.probability = 100;
	}
	return burst;
}

static bool stopping(const struct schedule *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE);
}

static int run_burst(struct schedule *s, const struct burst *burst)
{
	int r = s->ops->begin(s->backend, burst);
	uint64_t end = now_ns() + burst->ns, now; /* to begin takes grace periods */

	while (!r && !stopping(s) && (now = now_ns()) < end) {
		sleep_ns(MIN(end - now, RENEW_NS));
		if (s->ops->renew)
			r = s->ops->renew(s->backend, burst);
	}
	return r;
}

static void pause_for(const struct schedule *s, uint64_t ns)
{
	uint64_t end = now_ns() + ns, now;

	while (!stopping(s) && (now = now_ns()) < end)
		sleep_ns(MIN(end - now, RENEW_NS));
}

static void *schedule_main(void *arg)
{
	struct schedule *s = arg;
	int r = 0;

	for (uint64_t number = s->bursts; !r && !stopping(s); number++) {
		struct burst burst = schedule_burst(&s->options, number);

		r = run_burst(s, &burst);
		__atomic_store_n(&s->bursts, number + 1, __ATOMIC_RELAXED);
		if (!r)
			r = s->ops->rest(s->backend);
		if (!r)
			pause_for(s, burst.pause_ns);
	}
	if (r)
		log_error("injection has ended, its knobs do not answer: %s", strerror(-r));
	s->ops->rest(s->backend);
	return NULL;
}

int schedule_start(const struct schedule_options *options, const struct schedule_ops *ops,
		   void *backend, struct schedule **ret)
{
	struct schedule *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->options = *options;
	s->ops = ops;
	s->backend = backend;
	s->bursts = options->first;
	r = -pthread_create(&s->thread, NULL, schedule_main, s);
	if (r) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void schedule_stop(struct schedule *s)
{
	if (!s)
		return;
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	pthread_join(s->thread, NULL);
	free(s);
}

uint64_t schedule_bursts(const struct schedule *s)
{
	return __atomic_load_n(&s->bursts, __ATOMIC_RELAXED);
}
