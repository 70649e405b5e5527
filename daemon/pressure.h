/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Takes memory for a moment, so that the kernel has to reclaim some, in a child process of its own:
 * it gives all of it back with its death, and is the first to be killed when there is none left
 * (oom_score_adj). It leaves a reserve of what is available, and keeps to the limits of the cgroup.
 * One thread at a time, but for the reads.
 */
#ifndef SOAK_PRESSURE_H
#define SOAK_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#define PRESSURE_NAME "bpfsoakd-press" /* of the child; at most 15 bytes */

struct pressure;

enum pressure_state {
	PRESSURE_IDLE,
	PRESSURE_ON,
	PRESSURE_DONE,	 /* reclaim ran, and all is given back */
	PRESSURE_FAILED, /* it did not: too much memory for the time, a limit, or it was killed */
};

/* 0, -ENOMEM, or -EOPNOTSUPP after saying what is missing. */
int pressure_new(struct pressure **ret);
void pressure_free(struct pressure *pressure);

/* Begins to take memory. 0 or -errno; -ENOMEM: there is none to be taken. */
int pressure_begin(struct pressure *pressure);

/* What has become of it: PRESSURE_DONE or PRESSURE_FAILED once, then PRESSURE_IDLE. */
enum pressure_state pressure_poll(struct pressure *pressure);

/* Gives all of it back, now; waits for that. */
void pressure_end(struct pressure *pressure);

/* Any thread: what is taken at this moment; pages that reclaim has looked at meanwhile, so far. */
uint64_t pressure_bytes(const struct pressure *pressure);
uint64_t pressure_scanned(const struct pressure *pressure);

/* Any thread. True while memory is taken, and until it must have come back. */
bool pressure_is_on(const struct pressure *pressure);

/*
 * Parts of the above, for tests. ------------------------------------------------------------
 */

/* What is to be left available, of a machine of so much. */
uint64_t pressure_reserve(uint64_t total);

/* How much to take: up to the reserve, and to half of what the cgroup leaves. 0: nothing. */
uint64_t pressure_wanted(uint64_t available, uint64_t reserve, uint64_t cgroup_left);

/* How much is mapped for it: half as much again, for what is left to be reclaimed. */
uint64_t pressure_ring(uint64_t wanted);

/* The number of a line "KEY: 123 kB" or "KEY 123"; 0: there is none. Async-signal-safe. */
uint64_t pressure_figure(const char *text, const char *key);

#endif
