// SPDX-License-Identifier: GPL-2.0-only
/*
 * A BPF iterator goes over the files of a process (kernel/bpf/task_iter.c), looks up a value of
 * each socket among them, and creates one where there is none, while that process, which alone has
 * these sockets, closes them or dies.
 */
#include <string.h>

#include "../crew.h"
#include "../partner.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "batch.h"
#include "walk.h"

#define PAUSE_NS (150 * NSEC_PER_MSEC)
#define STEP_US	 400
#define PAIRS	 6

struct state {
	uint64_t next_ns;
};

struct scene {
	struct worker *w;
	struct batch batch;
	struct crew crew;
	uint32_t create;       /* upper half of cookies that the walk makes up, 0: it makes none */
	int fds[BATCH_OWNERS]; /* of its sockets, as the process calls them */
	unsigned int n;
	bool closed[BATCH_OWNERS];
	uint64_t seen[BATCH_OWNERS]; /* cookie, in this walk */
	unsigned int drop_at, kill_at;
	bool killed, unheard;
	struct rng rng; /* of the partner */
	int met;	/* values, in turmoil */
	bool over;	/* the partner has done all */
};

static void add(struct scene *s, int fd, struct rng *rng)
{
	s->fds[s->n] = fd;
	/* The values of some are for the walk to create. */
	if (rng_below(rng, 4))
		batch_put(&s->batch, s->n, fd);
	s->n++;
}

static void populate(struct worker *w, struct scene *s, struct rng *rng)
{
	for (unsigned int i = 0; i < PAIRS; i++) {
		enum owner_type type = owner_draw_type(&w->maker, SOAK_SK, true, rng);
		struct owner owner;

		if (worker_give_birth(w, type, rng, &owner) <= 0)
			continue;
		for (unsigned int k = 0; k < owner.n_fds; k++)
			add(s, owner.fds[k], rng);
	}
}

/* From now on they are those of the process alone. */
static int hand_over(struct worker *w, struct scene *s, struct rng *rng)
{
	struct crew_options options = { .tasks = 1 + rng_below(rng, 3),
					.keep = s->fds,
					.n_keep = s->n };
	int r = crew_new(&options, &s->crew);

	for (unsigned int i = 0; i < s->n; i++)
		close(s->fds[i]);
	if (!r)
		bump(&w->born[SOAK_TASK], s->crew.n);
	return r;
}

static void drop(struct scene *s)
{
	walk_into(s->w, SOAK_SK, -1, 0, 0);
	batch_drop(&s->batch, s->w->pool);
}

/* The partner's part. The last one is not closed, except by death. */
static void disturb(void *arg)
{
	struct scene *s = arg;

	for (unsigned int i = 0; i < s->n; i++) {
		if (i == s->drop_at)
			drop(s);
		if (i == s->kill_at) {
			crew_kill(&s->crew);
			s->killed = true;
		} else if (!s->killed && i + 1 < s->n && rng_below(&s->rng, 4)) {
			s->unheard |= crew_tell(&s->crew, rng_below(&s->rng, s->crew.n), CREW_CLOSE,
						s->fds[i]) != 0;
			s->closed[i] = true;
		}
		sleep_ns(rng_below(&s->rng, STEP_US) * NSEC_PER_USEC);
	}
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
}

static bool see(void *arg, void *data)
{
	struct soak_walked *line = data;
	struct soak_value head;
	struct scene *s = arg;
	bool ours = line->task == (uint32_t)s->crew.tids[0];
	int whose;

	memcpy(&head, line->value, sizeof(head));
	for (unsigned int i = 0; ours && i < s->n; i++)
		if (line->fd == (uint32_t)s->fds[i])
			s->seen[i] = head.cookie;
	if (s->create && head.cookie >> 32 == s->create)
		return batch_is_whole(&s->batch, s->w, line->value, "a walk over files");
	whose = batch_judge(&s->batch, s->w, line->value, "a walk over files");
	if (whose < 0)
		return false;
	if (!ours || line->fd == (uint32_t)s->fds[whose])
		return true;
	worker_accuse(s->w, "a walk over files showed the value of one socket as that of another");
	return false;
}

static int walk(struct scene *s, int link, struct rng *rng)
{
	memset(s->seen, 0, sizeof(s->seen));
	return walk_once(link, sizeof(struct soak_walked), 1 + rng_below(rng, WALK_AT_A_TIME), see,
			 s);
}

static bool is_as_it_must(const struct scene *s, unsigned int i)
{
	const struct soak_walk *walk = programs_walk(pool_programs(s->w->pool), s->w->index);
	uint64_t cookie = batch_cookie(&s->batch, i);

	if (s->killed || s->closed[i] || s->batch.map < 0)
		return !s->seen[i];
	if (cookie || !s->create)
		return s->seen[i] == cookie;
	return s->seen[i] >> 32 == s->create || __atomic_load_n(&walk->refused, __ATOMIC_SEQ_CST);
}

/* Nobody changes anything: what is there is seen, and where there was none, one is. */
static bool walk_in_peace(struct scene *s, int link, struct rng *rng)
{
	bool right = walk(s, link, rng) >= 0;

	for (unsigned int i = 0; i < s->n; i++) {
		if (is_as_it_must(s, i))
			continue;
		worker_accuse(s->w, "a walk over files showed %s of a socket that has %s",
			      s->seen[i] ? "a value" : "none",
			      s->batch.values[i].stored ? "another" : "none, or was to get one");
		right = false;
	}
	return right;
}

static bool play(struct scene *s, struct partner *partner, struct rng *rng)
{
	/* One process, or all there are. */
	int process = rng_below(rng, 8) ? s->crew.pidfds[0] : -1;
	_cleanup_close_ int link = walk_link(s->w, WALK_TASK_FILES, 0, process);
	bool right;

	/* Others watch what their sockets are charged: accept_refused.c, storage_refused.c. */
	if (link < 0 || walk_into(s->w, SOAK_SK, s->batch.map, s->create, s->crew.tids[0]))
		return false;
	right = walk_in_peace(s, link, rng);
	partner_ask(partner, disturb, s);
	s->met = walk_until(&s->over, link, sizeof(struct soak_walked), rng, see, s);
	right &= s->met >= 0;
	partner_wait(partner);
	/* A busy machine: what is closed, and what is still there, is not known. */
	if (s->unheard || (s->killed && !crew_has_ended(&s->crew, 0)))
		return false;
	return right & walk_in_peace(s, link, rng);
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct scene s = { .w = w, .rng = { rng_next(rng) } };
	struct partner *partner = worker_partner(w);
	struct state *st = state;
	bool right = false;

	if (now_ns() < st->next_ns || !walk_is_possible(w))
		return SCENARIO_NOTHING;
	if (!partner || batch_new(w->pool, SOAK_SK, 0, rng, &s.batch) < 0)
		return SCENARIO_NOTHING;
	s.create = rng_below(rng, 2) ? (uint32_t)rng_next(rng) : 0;
	populate(w, &s, rng);
	s.drop_at = 1 + rng_below(rng, s.n + 4);
	s.kill_at = 1 + rng_below(rng, s.n + 4);
	if (!hand_over(w, &s, rng) && s.n)
		right = play(&s, partner, rng);
	if (s.batch.map >= 0)
		drop(&s);
	crew_free(&s.crew);
	batch_count(&s.batch, w);
	worker_took_effect(w);
	st->next_ns = now_ns() + PAUSE_NS;
	if (right && !s.met)
		return SCENARIO_NOTHING;
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static const char *lacks(void)
{
	return walk_lacks(WALK_TASK_FILES);
}

const struct scenario scenario_iter_task_file = {
	.what = "an iterator over files looks up and creates values of sockets that are closed",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
};
