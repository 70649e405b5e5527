/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disturbs the churn in other ways than by failed locks, as the kernel's own torture tests do
 * (kernel/torture.c): stutter, shuffle, CPU hotplug, memory pressure. One thread plays all that
 * are chosen, each at its own pace; what it does comes from the seed. Owned by the run loop.
 */
#ifndef SOAK_PERTURB_H
#define SOAK_PERTURB_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "snapshot.h"

struct churn;
struct perturb;

#define PERTURB_BIT(what) (1u << (what))

/*
 * seed: of --seed; what: bits of enum perturbation. Hotplug can be chosen here only, and wants no
 * load, no other thread and no BPF object yet. 0; -EOPNOTSUPP after saying what one of them lacks
 * here; or -ENOMEM.
 */
int perturb_new(uint64_t seed, unsigned int what, struct perturb **ret);
void perturb_free(struct perturb *perturb);

/* Another choice, while it does not run; hotplug stays as it is. 0 or as perturb_new(). */
int perturb_choose(struct perturb *perturb, unsigned int what);

/*
 * Begins and ends, however often; each goes on with the number of its next. When perturb_stop()
 * returns all is undone. The workers must run meanwhile. perturb_start(): 0 or -errno.
 */
int perturb_start(struct perturb *perturb, struct churn *churn);
void perturb_request_stop(struct perturb *perturb);
void perturb_stop(struct perturb *perturb);

/* Fills its part of a snapshot. Any thread. */
void perturb_read(const struct perturb *perturb, struct snapshot *ret);

/* Any thread. True while the machine's memory is ours, or is just being given back. */
bool perturb_takes_memory(const struct perturb *perturb);

/*
 * Parts of the above, for tests: what is drawn. ----------------------------------------------
 */

/* One stutter, and what comes before it: the pause is a tenth of the two together at most. */
struct perturb_stutter {
	uint64_t gap_ns;
	uint64_t pause_ns;
};

struct perturb_stutter perturb_draw_stutter(uint64_t seed, uint64_t number);

/* How the workers are spread over CPUs. All zero: as they begin, one after the other. */
struct perturb_layout {
	bool roam;	    /* everywhere but on idle; else each has one CPU */
	unsigned int idle;  /* the n-th of the CPUs: left to nobody */
	unsigned int shift; /* worker 0 has the n-th of the CPUs, and so on */
};

/* The next one of them; the same where there are fewer than two CPUs. */
struct perturb_layout perturb_draw_layout(uint64_t seed, uint64_t number,
					  struct perturb_layout before, const cpu_set_t *cpus);

/* Where one worker may run then. cpus is not empty. */
void perturb_affinity(struct perturb_layout layout, const cpu_set_t *cpus, unsigned int worker,
		      cpu_set_t *ret);

/* Which CPU goes, of a set that is not empty. */
int perturb_draw_cpu(uint64_t seed, uint64_t number, const cpu_set_t *cpus);

#endif
