/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Updates, deletes and look-ups of one value against somebody else who does the same to it. What
 * each is answered depends on who comes first; that it is one of a few answers does not.
 */
#ifndef SOAK_RIVALS_H
#define SOAK_RIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "../rng.h"
#include "bpf/soak_abi.h"

struct kept;
struct worker;

/* What one thread did, for the worker to count. */
struct tally {
	uint64_t updates;
	uint64_t deletes;
	uint64_t lookups;
	uint64_t absent; /* deletes that came second */
	uint64_t torn;	 /* look-ups that found what nobody stored */
	uint64_t refused[SOAK_ERR_NR];
	int wrong; /* an answer that is none of those, as -errno; 0: none */
};

/* What it is about. Programs write only the head of a value, and that in place. */
struct prize {
	int map;
	int key;
	unsigned int shape;
	bool whole; /* all others use bpf(2) */
};

/* An update, delete or look-up by bpf(2), again and again, until then (CLOCK_MONOTONIC). Any
 * thread. */
void rivals_compete(const struct prize *prize, uint64_t until_ns, struct rng *rng,
		    struct tally *tally);

/* Adds it to the worker's counts; a wrong answer or a torn value is a violation. */
void rivals_count(struct worker *w, const struct tally *tally, const char *against);

/* All others are gone: a value that is put there now is found. By the worker. */
bool rivals_settle(struct worker *w, struct kept *kept, int key, struct rng *rng);

#endif
