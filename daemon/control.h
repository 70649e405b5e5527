/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Positive controls: before the churn each oracle is shown something that it must see. One that
 * does not answer is blind (or absent, where this kernel cannot have it), and the verdict says so.
 */
#ifndef SOAK_CONTROL_H
#define SOAK_CONTROL_H

#include "snapshot.h"

struct kmsg;
struct places;
struct pool;
struct reader;
struct probe;
struct programs;

/* The oracles that look at values and maps from elsewhere. */
enum oracle_state control_reader(struct pool *pool, struct reader *reader);
enum oracle_state control_maps(struct pool *pool);

/*
 * Runs with the ledger attached and nothing else going on; takes a few grace periods. Sets
 * states[]. The ledgers of kinds of owners that there are not here (programs_kinds()) stay absent.
 * kmsg NULL: that oracle stays absent.
 */
void control_run(struct programs *programs, struct pool *pool, struct places *places,
		 const struct probe *probe, struct kmsg *kmsg, enum oracle_state *states);

/*
 * With the fill programs at work: makes and kills owners until addresses of residuals have had
 * every chance of being handed out again: a rebirth proves that a free was missed.
 */
void control_sieve(void);

#endif
