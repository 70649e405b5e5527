/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scenarios: what the workers do, one small file each. A scenario makes owners and maps go through
 * one part of their lives; it knows nothing of oracles, except that a value which is not as it must
 * be is told at once (worker_judge()). Which one a worker plays next is drawn by weight.
 */
#ifndef SOAK_SCENARIO_H
#define SOAK_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "../rng.h"
#include "mix.h"

struct worker;

enum scenario_result {
	SCENARIO_EFFECT,  /* what it is for has happened */
	SCENARIO_NOTHING, /* it was not its time: too soon after the last one, nobody there */
	SCENARIO_FAILED,  /* it could not do what it is for */
};

struct scenario {
	const char *what;  /* what it exercises, one line */
	size_t state_size; /* of a state for each worker, zeroed at the start; 0: none */

	/*
	 * What this machine lacks for it, as a sentence that says what would help; NULL: nothing,
	 * or no such function. Called by the run loop before there are workers, and by `bpfsoakd
	 * scenarios`; may try things out, and leaves nothing behind.
	 */
	const char *(*lacks)(void);

	/* One turn: seconds at most, all decisions from rng. By the worker's own thread. */
	enum scenario_result (*step)(struct worker *w, void *state, struct rng *rng);

	/* Ends what the state holds. After it no owner and no map of the scenario is left. */
	void (*end)(struct worker *w, void *state);
};

/* NULL beyond the last. */
const struct scenario *scenario_at(unsigned int i);

/*
 * Takes out of a mix what this machine lacks something for. Returns 0, or -EOPNOTSUPP with
 * *ret_name and *ret_why (both static) when that one was asked for by name, or nothing is left.
 */
int mix_settle(struct mix *mix, const char **ret_name, const char **ret_why);

/* `bpfsoakd scenarios`: a table of all of them, with what this machine lacks. */
void scenarios_print(FILE *out);

#define DECLARE(name_, id, weight_) extern const struct scenario scenario_##id;
SCENARIOS(DECLARE)
#undef DECLARE

#endif
