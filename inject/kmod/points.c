// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fault points, one function for each site: the only place where it is decided that a lock
 * fails. They are on the kernel's error injection list, so that fail_function and
 * bpf_override_return() can drive them, and they can be traced, so that fmod_ret can; with
 * decide=self they decide by the knobs of the same names themselves.
 */
#include <linux/error-injection.h>
#include <linux/prandom.h>

#include "rqf.h"

static DEFINE_PER_CPU(struct rnd_state, rnd);
static DEFINE_PER_CPU(unsigned int, asked);

void rqf_points_seed(u64 seed)
{
	int cpu;

	for_each_possible_cpu(cpu) prandom_seed_state(per_cpu_ptr(&rnd, cpu), seed + cpu);
}

/* Interrupts or preemption off. */
u32 rqf_random(void)
{
	return prandom_u32_state(this_cpu_ptr(&rnd));
}

static bool take_one(atomic64_t *times)
{
	s64 left = atomic64_read(times);

	do {
		if (left < 0)
			return true;
		if (!left)
			return false;
	} while (!atomic64_try_cmpxchg(times, &left, left - 1));
	return true;
}

/* The order of should_fail() in lib/fault-inject.c: what is left, interval, probability. */
static int decide(void)
{
	struct rqf_config *config = rcu_dereference_sched(rqf_config);

	if (!config || !config->decide_self || !config->probability)
		return 0;
	if (!atomic64_read(&config->times))
		return 0;
	if (config->interval > 1 && this_cpu_inc_return(asked) % config->interval)
		return 0;
	if (config->probability < 100 && rqf_random() % 100 >= config->probability)
		return 0;
	if (!take_one(&config->times))
		return 0;
	if (config->error == RQF_EITHER)
		return rqf_random() & 1 ? -EDEADLK : -ETIMEDOUT;
	return config->error == RQF_DEADLK ? -EDEADLK : -ETIMEDOUT;
}

#define POINT(name)                            \
	int rqf_point_##name(void);            \
	noinline int rqf_point_##name(void)    \
	{                                      \
		/* One function for each. */   \
		asm volatile("" ::: "memory"); \
		return decide();               \
	}                                      \
	ALLOW_ERROR_INJECTION(rqf_point_##name, ERRNO)

POINT(map_free_bucket);
POINT(map_free_storage);
POINT(destroy_bucket);
POINT(destroy_storage);
POINT(update);
POINT(delete);
POINT(clone);
POINT(alloc);
POINT(cache);
POINT(link_map);

static int (*const points[RQF_SITE_NR])(void) = {
	[RQF_MAP_FREE_BUCKET] = rqf_point_map_free_bucket,
	[RQF_MAP_FREE_STORAGE] = rqf_point_map_free_storage,
	[RQF_DESTROY_BUCKET] = rqf_point_destroy_bucket,
	[RQF_DESTROY_STORAGE] = rqf_point_destroy_storage,
	[RQF_UPDATE] = rqf_point_update,
	[RQF_DELETE] = rqf_point_delete,
	[RQF_CLONE] = rqf_point_clone,
	[RQF_ALLOC] = rqf_point_alloc,
	[RQF_CACHE] = rqf_point_cache,
	[RQF_LINK_MAP] = rqf_point_link_map,
};

int rqf_ask(enum rqf_site site)
{
	return points[site]();
}
