/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Encounters of the two teardown paths that chance would take years to arrange, by threads of
 * this process and the programs of bpf/stall.bpf.h. Several may run at a time, each with plans of
 * its own. Started and stopped by the run loop's thread; the figures may be read by any.
 */
#ifndef SOAK_INJECT_ENCOUNTER_H
#define SOAK_INJECT_ENCOUNTER_H

#include <stdbool.h>
#include <stdint.h>

struct encounters;
struct pool;
struct programs;

struct encounters_options {
	struct programs *programs;	  /* borrowed, with the stall part attached */
	struct pool *pool;		  /* borrowed: maps whose frees are counted and paced */
	uint64_t stall_ns;		  /* of a lock holder, at first; see brief */
	uint64_t pause_ns;		  /* between two encounters */
	unsigned int first_plan, n_plans; /* of SOAK_PLANS */
	unsigned int first_turn;	  /* where in the programme to begin */
	bool duels; /* meetings of both sides at one selem, instead of stalls */
	bool brief; /* stall_ns will do, for waiters are failed early; else it grows */
};

int encounters_start(const struct encounters_options *options, struct encounters **ret);
/* Returns when nothing of ours holds or waits for a lock any more. NULL is fine. */
void encounters_stop(struct encounters *encounters);

uint64_t encounters_stall_ns(const struct encounters *encounters);
uint64_t encounters_held(const struct encounters *encounters); /* holders stalled so far */

#endif
