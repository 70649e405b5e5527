// SPDX-License-Identifier: GPL-2.0-only
/* A map of its own loses its last reference while the owners in it die, before, at and after. */
#include <errno.h>

#include "../pool.h"
#include "../programs.h"
#include "../util.h"
#include "../worker.h"

#define CLASH_OWNERS   6
#define CLASH_PAUSE_NS (80 * NSEC_PER_MSEC)
#define CLASH_STEP_US  3000

/* Of files on a file system that dies as a whole all; of a pair of sockets one. */
static void store_in(struct worker *w, int map, const struct owner *owner, unsigned int shape,
		     struct rng *rng)
{
	int key = owner_key(owner, rng);

	if (owner->type == OWNER_TREE)
		for (unsigned int i = 0; i < owner->n_fds; i++)
			worker_store(w, map, owner->fds[i], shape, rng, false);
	else if (key >= 0)
		worker_store(w, map, key, shape, rng, false);
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	enum soak_kind kind = owner_draw_kind(w->options->kinds, rng);
	unsigned int shape = rng_below(rng, pool_shapes(w->pool));
	unsigned int early = rng_below(rng, CLASH_OWNERS + 1);
	struct owner owners[CLASH_OWNERS];
	unsigned int n = 0;
	int map;

	(void)state;
	if (now_ns() < w->next_clash_ns)
		return SCENARIO_NOTHING;
	map = pool_new_map(w->pool, kind, shape);
	if (map < 0) {
		if (map == -EAGAIN)
			return SCENARIO_NOTHING;
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	w->next_clash_ns = now_ns() + CLASH_PAUSE_NS;
	for (unsigned int i = 0; i < CLASH_OWNERS; i++) {
		enum owner_type type = owner_draw_type(&w->maker, kind, true, rng);

		if (worker_give_birth(w, type, rng, &owners[n]) <= 0)
			continue;
		store_in(w, map, &owners[n++], shape, rng);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (i == MIN(early, n - 1))
			pool_close_map(w->pool, TAKE_FD(map));
		owner_kill(&owners[i]);
		sleep_ns(rng_below(rng, CLASH_STEP_US) * NSEC_PER_USEC);
	}
	if (map >= 0)
		pool_close_map(w->pool, map);
	worker_took_effect(w);
	return n ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

const struct scenario scenario_clash = {
	.what = "a map loses its last reference while its owners die, before, at and after",
	.step = step,
};
