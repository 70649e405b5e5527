// SPDX-License-Identifier: GPL-2.0-only
/* Owners of every sort are born, live on for others to use, and die: see owner.h. */
#include "../worker.h"

/* While there is room for more, a few more are born than die. */
#define TURNS	    38
#define BIRTH_TURNS 22

static enum scenario_result birth(struct worker *w, struct rng *rng)
{
	enum soak_kind kind = owner_draw_kind(w->options->kinds, rng);
	enum owner_type type = owner_draw_type(&w->maker, kind, false, rng);
	int n = worker_give_birth(w, type, rng, &w->owners[w->n_owners]);

	if (n <= 0)
		return n ? SCENARIO_FAILED : SCENARIO_NOTHING;
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
