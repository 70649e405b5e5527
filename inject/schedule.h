/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When faults are injected, and where: bursts with pauses between, all drawn from the seed, so
 * that the same seed asks for the same faults in the same order. A thread of its own calls the
 * backend's functions; nobody else does while it runs.
 */
#ifndef SOAK_INJECT_SCHEDULE_H
#define SOAK_INJECT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule;

struct burst {
	uint64_t number;
	unsigned int sites;	  /* that may fail: bits of enum soak_site */
	bool only_encounters;	  /* nothing but scripted encounters may fail */
	bool certain;		  /* probability is not drawn: 100 */
	bool appointed;		  /* duels by appointment (inject/kmod/appointments.c) */
	unsigned int probability; /* percent */
	int64_t times;		  /* errors at most, -1: without limit */
	uint64_t ns, pause_ns;	  /* how long, and the pause that follows */
	uint64_t seed;		  /* for whatever else there is to draw */
};

struct schedule_options {
	uint64_t seed;
	unsigned int sites;
	unsigned int rate; /* errors per second on average, 0: without limit */
	uint64_t burst_ns, pause_ns;
	uint64_t first; /* number of the first burst: goes on where another schedule stopped */
	bool rare;	/* only contended locks fail, and these are few */
};

struct schedule_ops {
	int (*begin)(void *backend, const struct burst *burst);
	/* Every 100 ms of a burst, NULL: nothing to do. */
	int (*renew)(void *backend, const struct burst *burst);
	int (*rest)(void *backend);
};

int schedule_start(const struct schedule_options *options, const struct schedule_ops *ops,
		   void *backend, struct schedule **ret);
/* Returns at rest. NULL is fine. */
void schedule_stop(struct schedule *schedule);
uint64_t schedule_bursts(const struct schedule *schedule);

/* The burst of that number. Pure. */
struct burst schedule_burst(const struct schedule_options *options, uint64_t number);

#endif
