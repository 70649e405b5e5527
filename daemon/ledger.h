/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads the ledger that bpf/ledger.bpf.h writes, and judges what is left in it. No state of its
 * own. ledger_judge() is for a quiet kernel: owners dead, maps freed, RCU settled.
 */
#ifndef SOAK_LEDGER_H
#define SOAK_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "snapshot.h"

struct findings;
struct programs;

/* The counters: cheap. */
void ledger_read_counters(const struct programs *programs, struct snapshot *ret);

/* How many map_free() have been under way for longer. */
uint64_t ledger_map_frees_older(const struct programs *programs, uint64_t ns);

/*
 * What is alive and for how long, after ledger_read_counters(). Walks those tables, some megabytes,
 * in which the counters say that there is something to be found.
 */
void ledger_read_tables(const struct programs *programs, struct snapshot *ret);

/*
 * Storages of these kinds of owners (SOAK_KIND_BIT) that are alive, and whose owner's death was not
 * heard of: none, when all owners are dead. One of which a lock has failed is left to the
 * judgement. Walks the storages.
 */
uint64_t ledger_forgotten(const struct programs *programs, unsigned int kinds);

/* The same with those of which a lock has failed. */
uint64_t ledger_undestroyed(const struct programs *programs, unsigned int kinds);

/* Is it the address of a selem or storage that was born and not freed? Walks the tables. */
bool ledger_is_alive(const struct programs *programs, uint64_t address);

/*
 * Judges every residual: adds to holes, violations and unjudged of the snapshot. verbose: logs
 * the history of the first of them. findings: is given what is found, NULL: nobody. Returns the
 * number that no failed lock explains.
 *
 * The rule: a residual is a hole if the model of the protocol (model.h) predicts it from its own
 * visits, or, for a storage, from those of its selems; it is a violation otherwise, unless our own
 * view of it had gaps.
 */
uint64_t ledger_judge(const struct programs *programs, bool verbose, struct findings *findings,
		      struct snapshot *ret);

#endif
