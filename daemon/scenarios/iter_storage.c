// SPDX-License-Identifier: GPL-2.0-only
/*
 * A BPF iterator walks the buckets of a socket storage map (bpf_sk_storage_map_seq_ops in
 * net/core/bpf_sk_storage.c), under RCU and no lock, while another thread replaces and deletes the
 * values and drops the map: the iterator has the last reference then.
 *
 * With deaths, it closes the sockets as well. That is a scenario of its own, on demand only, since
 * Linux 7.3 does not survive it: bpf_selem_unlink_nofail() clears selem->local_storage for
 * destroy() while __bpf_sk_storage_map_seq_show() relies on the look that ..._seq_find_next() has
 * had at it.
 */
#include <string.h>

#include "../partner.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "batch.h"
#include "walk.h"

#define PAUSE_NS (100 * NSEC_PER_MSEC)
#define STEP_US	 400
#define OWNERS	 12

struct state {
	uint64_t next_ns;
};

struct scene {
	struct worker *w;
	struct batch batch;
	struct owner owners[OWNERS];
	int keys[OWNERS];
	bool dead[OWNERS];
	unsigned int n;
	bool deaths;
	unsigned int seen[OWNERS]; /* how often, in this walk */
	unsigned int drop_at;	   /* when the map goes */
	struct rng rng;		   /* of the partner */
	bool over;		   /* the partner has done all */
};

static void populate(struct worker *w, struct scene *s, struct rng *rng)
{
	unsigned int wanted = 4 + rng_below(rng, OWNERS - 3);

	while (s->n < wanted) {
		enum owner_type type = owner_draw_type(&w->maker, SOAK_SK, true, rng);
		struct owner *owner = &s->owners[s->n];

		if (worker_give_birth(w, type, rng, owner) <= 0)
			return;
		s->keys[s->n] = owner_key(owner, rng);
		batch_put(&s->batch, s->n, s->keys[s->n]);
		s->n++;
	}
}

static void change(struct scene *s, unsigned int i)
{
	unsigned int what = rng_below(&s->rng, 8);

	if (s->deaths && (what < 4 || s->batch.map < 0)) {
		owner_kill(&s->owners[i]);
		s->dead[i] = true;
	} else if (s->batch.map < 0) {
		return;
	} else if (what < 7) {
		batch_put(&s->batch, i, s->keys[i]);
	} else {
		batch_take(&s->batch, i, s->keys[i]);
	}
}

/* The partner's part. The last owner stays as it is. */
static void disturb(void *arg)
{
	struct scene *s = arg;

	for (unsigned int i = 0; i < s->n; i++) {
		if (i == s->drop_at)
			batch_drop(&s->batch, s->w->pool);
		if (i + 1 < s->n)
			change(s, i);
		sleep_ns(rng_below(&s->rng, STEP_US) * NSEC_PER_USEC);
	}
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
}

static bool see(void *arg, void *line)
{
	struct scene *s = arg;
	int whose;

	batch_mask(&s->batch, line);
	whose = batch_judge(&s->batch, s->w, line, "a walk over its map");
	if (whose >= 0)
		s->seen[whose]++;
	return whose >= 0;
}

static int walk(struct scene *s, int link, struct rng *rng)
{
	memset(s->seen, 0, sizeof(s->seen));
	return walk_once(link, s->batch.size, 1 + rng_below(rng, WALK_AT_A_TIME), see, s);
}

/* Nobody changes anything: each value that is there is seen once. */
static bool walk_in_peace(struct scene *s, int link, struct rng *rng)
{
	bool right = walk(s, link, rng) >= 0;

	for (unsigned int i = 0; i < s->n; i++) {
		if (s->dead[i] || s->seen[i] == (s->batch.values[i].stored != 0))
			continue;
		worker_accuse(s->w, "a walk over a map showed a value %u times that is there %s",
			      s->seen[i], s->batch.values[i].stored ? "once" : "no more");
		right = false;
	}
	return right;
}

static bool play(struct scene *s, struct partner *partner, int link, struct rng *rng)
{
	bool right = walk_in_peace(s, link, rng);

	partner_ask(partner, disturb, s);
	right &= walk_until(&s->over, link, s->batch.size, rng, see, s) > 0;
	partner_wait(partner);
	return right & walk_in_peace(s, link, rng);
}

static enum scenario_result scene_of(struct worker *w, struct state *st, struct rng *rng,
				     bool deaths)
{
	unsigned int shape = rng_below(rng, pool_shapes(w->pool));
	struct partner *partner = worker_partner(w);
	struct scene s = { .w = w, .rng = { rng_next(rng) }, .deaths = deaths };
	bool right = false;
	int link;

	if (now_ns() < st->next_ns)
		return SCENARIO_NOTHING;
	if (!partner || batch_new(w->pool, SOAK_SK, shape, rng, &s.batch) < 0)
		return SCENARIO_NOTHING;
	populate(w, &s, rng);
	s.drop_at = rng_below(rng, s.n + 1);
	link = walk_link(w, WALK_STORAGE, shape, s.batch.map);
	if (link >= 0 && s.n)
		right = play(&s, partner, link, rng);
	batch_drop(&s.batch, w->pool);
	/* Some die after the map has gone for good, some before. */
	if (link >= 0 && rng_below(rng, 2))
		close(TAKE_FD(link));
	for (unsigned int i = 0; i < s.n; i++)
		owner_kill(&s.owners[i]);
	if (link >= 0)
		close(link);
	batch_count(&s.batch, w);
	worker_took_effect(w);
	st->next_ns = now_ns() + PAUSE_NS;
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	return scene_of(w, state, rng, false);
}

static enum scenario_result step_deaths(struct worker *w, void *state, struct rng *rng)
{
	return scene_of(w, state, rng, true);
}

static const char *lacks(void)
{
	return walk_lacks(WALK_STORAGE);
}

const struct scenario scenario_iter_storage = {
	.what = "an iterator walks a map whose values come and go, and has the last reference to it",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
};

const struct scenario scenario_iter_deaths = {
	.what = "an iterator walks a map whose sockets die, which Linux 7.3 may not survive",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step_deaths,
};
