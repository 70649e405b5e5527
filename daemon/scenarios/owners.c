// SPDX-License-Identifier: GPL-2.0-only
/* Owners of every sort are born, live on for others to use, and die: see owner.h. */
#include "../worker.h"

/* While there is room for more, a few more are born than die. */
#define TURNS	    38
#define BIRTH_TURNS 22

static enum scenario_result birth(struct worker *w, struct rng *rng)
{
	enum owner_type type = rng_below(rng, OWNER_TYPE_NR);
	struct owner *owner = &w->owners[w->n_owners];
	int n;

	n = owner_new(&w->maker, type, rng, owner);
	if (n < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	bump(&w->born[owner_kind(type)], (uint64_t)n);
	if (type != OWNER_VFORK)
		w->n_owners++;
	worker_took_effect(w);
	return SCENARIO_EFFECT;
}

static enum scenario_result death(struct worker *w, struct rng *rng)
{
	struct owner *owner = worker_any_owner(w, rng);

	if (!owner)
		return SCENARIO_NOTHING;
	owner_kill(owner);
	*owner = w->owners[--w->n_owners];
	worker_took_effect(w);
	return SCENARIO_EFFECT;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	bool bears = rng_below(rng, TURNS) < BIRTH_TURNS;

	(void)state;
	if (bears && w->n_owners < w->options->owners)
		return birth(w, rng);
	return death(w, rng);
}

const struct scenario scenario_owners = {
	.what = "sockets and tasks of every sort are born, live for a while and die",
	.step = step,
};
