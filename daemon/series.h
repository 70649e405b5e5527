/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a run went, over time: a bounded series of totals, for the curves of the report. When it is
 * full, every other point goes and the step doubles, so that weeks take as much memory as minutes.
 * Totals, not rates: whatever goes, what is left stays exact. Owned by the run loop, one thread.
 */
#ifndef SOAK_SERIES_H
#define SOAK_SERIES_H

#include <stdint.h>

#include "snapshot.h"

#define SERIES_POINTS  240 /* even, so that halves come out whole */
#define SERIES_STEP_NS 1000000000ULL

struct series_point {
	uint64_t elapsed_ns;
	uint64_t owners;
	uint64_t selems;
	uint64_t faults[FAULT_NR]; /* locks that failed so: timeouts and deadlocks */
	uint64_t lockless;
	uint64_t holes;
	uint64_t undocumented;
	uint64_t violations;
};

/* Zeroed: empty. The run's start, with nothing of anything, is not in it. */
struct series {
	unsigned int n;
	uint64_t step_ns; /* between two points; 0: none was taken yet */
	struct series_point points[SERIES_POINTS];
};

/*
 * Takes a point of a run that churns, when one is due, and that of its end in any case. Called
 * as often as one likes; what is in between is left out, since judging takes time of its own.
 */
void series_take(struct series *series, const struct snapshot *s);

#endif
