/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which ways through bpf_selem_unlink_nofail() there are, and which of them a run has gone: the
 * matrix of visits, cell by cell. Pure functions of a snapshot; callable from any thread.
 */
#ifndef SOAK_COVERAGE_H
#define SOAK_COVERAGE_H

#include <stddef.h>

#include "snapshot.h"

/* One way to end a visit: an element of soak_counters.coverage. */
struct coverage_cell {
	unsigned int side;    /* enum soak_side */
	unsigned int bucket;  /* enum soak_lock_result */
	unsigned int storage; /* enum soak_lock_result */
	unsigned int outcome; /* enum soak_outcome */
	unsigned int kind;    /* of the lock that failed: enum fault_kind; none: SOAK_NO_FAULT */
};

#define COVERAGE_CELLS \
	(SOAK_SIDE_NR * SOAK_LOCK_NR * SOAK_LOCK_NR * SOAK_OUTCOME_NR * SOAK_COVER_KINDS)

/* Of one kind of fault (or SOAK_NO_FAULT), and of what was asked for in this run. */
struct coverage_summary {
	unsigned int reachable;
	unsigned int covered; /* of these, visited */
	unsigned int missing; /* of these, not visited */
};

/* All cells, in a fixed order: index below COVERAGE_CELLS. */
struct coverage_cell coverage_cell(unsigned int index);

/* timeout or deadlock */
bool coverage_is_failure(unsigned int result);

/* NULL when the algorithm can come there, else why not: one sentence without its stop. */
const char *coverage_unreachable(const struct coverage_cell *cell);

/* Whether this run can come there with what it was asked for: kinds, errors, sites. */
bool coverage_wanted(const struct snapshot *s, const struct coverage_cell *cell);

uint64_t coverage_visits(const struct snapshot *s, const struct coverage_cell *cell);

struct coverage_summary coverage_summarize(const struct snapshot *s, unsigned int kind);

/*
 * The wanted cells of a kind without a visit, at most n of them into ret (may be NULL with n 0).
 * Returns how many there are.
 */
unsigned int coverage_missing(const struct snapshot *s, unsigned int kind,
			      struct coverage_cell *ret, unsigned int n);

/* "map_free timeout/gone left": side, bucket/storage, outcome. */
void coverage_describe(char *buf, size_t size, const struct coverage_cell *cell);

#endif
