// SPDX-License-Identifier: GPL-2.0-only
/*
 * A BPF iterator goes over tasks (kernel/bpf/task_iter.c), looks up a value of each of ours, and
 * creates one where there is none, while their threads exit and another thread replaces and deletes
 * the values and drops the map.
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

struct state {
	uint64_t next_ns;
};

struct scene {
	struct worker *w;
	struct batch batch;
	struct crew crew;
	uint32_t create; /* upper half of cookies that the walk makes up, 0: it makes none */
	bool dead[CREW_TASKS];
	uint64_t seen[CREW_TASKS]; /* cookie, in this walk */
	unsigned int drop_at;	   /* when the map goes */
	struct rng rng;		   /* of the partner */
	int met;		   /* values, in turmoil */
	bool over;		   /* the partner has done all */
};

/* The values of some are for the walk to create. */
static void populate(struct scene *s, struct rng *rng)
{
	for (unsigned int i = 0; i < s->crew.n; i++)
		if (rng_below(rng, 4))
			batch_put(&s->batch, i, s->crew.pidfds[i]);
}

/* Whoever exits is a zombie, or gone: of the former the storage stays. */
static void change(struct scene *s, unsigned int i)
{
	unsigned int what = rng_below(&s->rng, 8);

	if (what < 5 || s->batch.map < 0) {
		crew_tell(&s->crew, i, CREW_EXIT, 0);
		if (i)
			crew_has_ended(&s->crew, i);
		s->dead[i] = i != 0;
	} else if (what < 7) {
		batch_put(&s->batch, i, s->crew.pidfds[i]);
	} else {
		batch_take(&s->batch, i, s->crew.pidfds[i]);
	}
}

static void drop(struct scene *s)
{
	walk_into(s->w, SOAK_TASK, -1, 0, 0);
	batch_drop(&s->batch, s->w->pool);
}

/* The partner's part. The last one stays as it is. */
static void disturb(void *arg)
{
	struct scene *s = arg;

	for (unsigned int i = 0; i < s->crew.n; i++) {
		if (i == s->drop_at)
			drop(s);
		if (i + 1 < s->crew.n)
			change(s, i);
		sleep_ns(rng_below(&s->rng, STEP_US) * NSEC_PER_USEC);
	}
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
}

/* Who has exited has no name any more; others than the crew may change theirs, in execve(). */
static bool is_crew(const struct scene *s, uint32_t task)
{
	for (unsigned int i = 0; i < s->crew.n; i++)
		if (task == (uint32_t)s->crew.tids[i])
			return true;
	return false;
}

static void note(struct scene *s, const struct soak_walked *line, uint64_t cookie)
{
	for (unsigned int i = 0; i < s->crew.n; i++)
		if (line->task == (uint32_t)s->crew.tids[i])
			s->seen[i] = cookie;
}

/* 0: of nobody that could be told. */
static uint32_t task_of(const struct scene *s, uint64_t cookie, int whose)
{
	return whose < 0 ? (uint32_t)cookie : (uint32_t)s->crew.tids[whose];
}

static bool see(void *arg, void *data)
{
	struct soak_walked *line = data;
	struct soak_value head;
	struct scene *s = arg;
	int whose = -1;
	uint32_t task;

	memcpy(&head, line->value, sizeof(head));
	note(s, line, head.cookie);
	if (!s->create || head.cookie >> 32 != s->create) {
		whose = batch_judge(&s->batch, s->w, line->value, "a walk over tasks");
		if (whose < 0)
			return false;
	} else if (!batch_is_whole(&s->batch, s->w, line->value, "a walk over tasks")) {
		return false;
	}
	task = task_of(s, head.cookie, whose);
	if (!task || !is_crew(s, line->task) || line->task == task)
		return true;
	worker_accuse(s->w, "a walk over tasks showed the value of one as that of another");
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
	uint64_t cookie = s->batch.map < 0 ? 0 : batch_cookie(&s->batch, i);

	if (s->dead[i] || (cookie && s->seen[i] == cookie))
		return true;
	if (cookie || s->batch.map < 0 || !s->create)
		return s->seen[i] == cookie;
	return s->seen[i] >> 32 == s->create || __atomic_load_n(&walk->refused, __ATOMIC_SEQ_CST);
}

/* Nobody changes anything: each value that is there is seen, and where there was none, one is. */
static bool walk_in_peace(struct scene *s, int link, struct rng *rng)
{
	bool right = walk(s, link, rng) >= 0;

	for (unsigned int i = 0; i < s->crew.n; i++) {
		if (is_as_it_must(s, i))
			continue;
		worker_accuse(s->w, "a walk over tasks showed %s of a task that has %s",
			      s->seen[i] ? "a value" : "none",
			      s->batch.values[i].stored ? "another" : "none, or was to get one");
		right = false;
	}
	return right;
}

static bool play(struct scene *s, struct partner *partner, struct rng *rng)
{
	/* One process, or all there are. */
	int process = rng_below(rng, 4) ? s->crew.pidfds[0] : -1;
	_cleanup_close_ int link = walk_link(s->w, WALK_TASKS, 0, process);
	bool right;

	if (link < 0 || walk_into(s->w, SOAK_TASK, s->batch.map, s->create, 0))
		return false;
	right = walk_in_peace(s, link, rng);
	partner_ask(partner, disturb, s);
	s->met = walk_until(&s->over, link, sizeof(struct soak_walked), rng, see, s);
	right &= s->met >= 0;
	partner_wait(partner);
	return right & walk_in_peace(s, link, rng);
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct crew_options options = { .tasks = 2 + rng_below(rng, CREW_TASKS - 1) };
	struct scene s = { .w = w, .rng = { rng_next(rng) } };
	struct partner *partner = worker_partner(w);
	struct state *st = state;
	bool right = false;

	if (now_ns() < st->next_ns || !walk_is_possible(w))
		return SCENARIO_NOTHING;
	if (!partner || batch_new(w->pool, SOAK_TASK, 0, rng, &s.batch) < 0)
		return SCENARIO_NOTHING;
	s.create = rng_below(rng, 2) ? (uint32_t)rng_next(rng) : 0;
	s.drop_at = 1 + rng_below(rng, options.tasks + 2);
	if (!crew_new(&options, &s.crew)) {
		bump(&w->born[SOAK_TASK], s.crew.n);
		populate(&s, rng);
		right = play(&s, partner, rng);
	}
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
	const char *why = walk_lacks(WALK_TASKS);

	return why ? why : crew_lacks();
}

const struct scenario scenario_iter_task = {
	.what = "an iterator over tasks looks up and creates values of tasks that exit",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
};
