// SPDX-License-Identifier: GPL-2.0-only
/* Values are stored, read back, watched and deleted by bpf(2). */
#include "../pool.h"
#include "../programs.h"
#include "../util.h"
#include "../worker.h"

#define VERIFY_ONE_IN 16
#define GONE_ONE_IN   2

/* One system call on each of a few maps of one owner. */
static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	const struct churn_options *options = w->options;
	struct owner *owner = worker_any_owner(w, rng);
	unsigned int turns = 1 + rng_below(rng, 16);
	enum soak_kind kind;
	int key;

	(void)state;
	if (!owner)
		return SCENARIO_NOTHING;
	key = owner_key(owner, rng);
	if (key < 0)
		return SCENARIO_NOTHING;
	kind = owner_kind(owner->type);
	if (turns & 1)
		owner_touch(owner);
	while (turns--) {
		unsigned int shape = rng_below(rng, pool_shapes(w->pool));
		unsigned int slot = rng_below(rng, options->maps);
		unsigned int what = rng_below(rng, 8);
		bool check = options->verify && !rng_below(rng, VERIFY_ONE_IN);
		struct rng value_rng = { rng_next(rng) };
		int map = pool_get(w->pool, kind, shape, slot);

		if (map < 0)
			continue;
		if (!what)
			worker_take(w, map, key,
				    options->verify && !rng_below(&value_rng, GONE_ONE_IN));
		else if (options->reader && now_ns() >= w->next_watch_ns)
			worker_be_watched(w, map, key, shape, rng_next(&value_rng) >> 8 << 8);
		else
			worker_store(w, map, key, shape, &value_rng, check);
		pool_put(w->pool, kind, shape, slot);
	}
	return SCENARIO_EFFECT;
}

const struct scenario scenario_access = {
	.what = "values of living owners are stored, read back, watched and deleted by bpf(2)",
	.step = step,
};
