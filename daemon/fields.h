/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oracle of special fields: those of each selem are freed exactly once, while its map is
 * there, and every reference in them is released exactly once. What the programs counted
 * (bpf/fields.bpf.h), judged. Pure: no state, any thread.
 */
#ifndef SOAK_FIELDS_H
#define SOAK_FIELDS_H

#include <stdbool.h>

#include "bpf/soak_abi.h"
#include "snapshot.h"

/* Violations that show while the run goes on, from the counters. */
void fields_read(struct snapshot *ret);

/* One slot of the ledger, at the end: fields that nobody frees any more. */
void fields_judge_slot(const struct soak_slot *slot, struct snapshot *ret);

/* References, at the end, after fields_judge_slot() of all slots. */
void fields_judge(struct snapshot *ret);

/* The positive control: fields were freed, and all references given and taken came to nothing. */
bool fields_are_seen(const struct snapshot *s);

#endif
