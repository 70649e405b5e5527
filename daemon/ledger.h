/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads the ledger that bpf/ledger.bpf.h writes, and judges what is left in it. No state of its
 * own. ledger_judge() is for a quiet kernel: owners dead, maps freed, RCU settled.
 */
#ifndef SOAK_LEDGER_H
#define SOAK_LEDGER_H

#include <stdint.h>

#include "snapshot.h"

struct programs;

/* The counters: cheap. */
void ledger_read_counters(const struct programs *programs, struct snapshot *ret);

/* What is alive and for how long: walks the tables, some megabytes. */
void ledger_read_tables(const struct programs *programs, struct snapshot *ret);

/*
 * Judges every residual: adds to holes, violations and unjudged of the snapshot. verbose: logs
 * the history of the first of them. Returns the number that no failed lock explains.
 *
 * The rule, until a protocol model judges histories: a residual in whose own, owner's or
 * bucket's history a lock failed is a hole of the kind of that fault; any other is a violation,
 * unless our own view of it had gaps.
 */
uint64_t ledger_judge(const struct programs *programs, bool verbose, struct snapshot *ret);

#endif
