// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two threads update and delete the same owner's value against each other, one by bpf(2), the other
 * by bpf(2) as well or by a program. Whoever comes second may find nothing; neither may find
 * anything wrong, and what is put there when both are done is there.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "../partner.h"
#include "../pool.h"
#include "../raw_task.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "order.h"
#include "rivals.h"

#define PAUSE_NS (300 * NSEC_PER_MSEC)
#define TURN_NS	 (12 * NSEC_PER_MSEC)
#define MAP_NS	 (2 * NSEC_PER_SEC)

struct state {
	struct kept plain[KEPT_KINDS];	 /* of any shape */
	struct kept ordered[KEPT_KINDS]; /* where programs find it */
	uint64_t map_until_ns[KEPT_KINDS];
	uint64_t next_ns;
};

/* Both sides of it; the partner's part is its own. */
struct race {
	struct worker *w;
	struct kept *kept;
	struct prize prize;
	int key;
	int fd; /* -1: a task */
	struct raw_task task;
	bool by_program;
	uint64_t until_ns;
	struct rng rng;
	struct tally partner;
};

static void close_maps(struct worker *w, struct state *s, enum soak_kind kind)
{
	if (s->ordered[kind].open)
		order_set(w, kind, ORDER_RACE, NULL);
	kept_close(w, &s->ordered[kind]);
	kept_close(w, &s->plain[kind]);
}

static bool renew_maps(struct worker *w, struct state *s, enum soak_kind kind, struct rng *rng)
{
	unsigned int shape = rng_below(rng, pool_shapes(w->pool));

	if (s->plain[kind].open && now_ns() < s->map_until_ns[kind])
		return true;
	close_maps(w, s, kind);
	s->map_until_ns[kind] = now_ns() + MAP_NS;
	if (kept_open(w, kind, shape, &s->plain[kind]))
		return false;
	/* Without programs both sides use bpf(2). */
	if (order_of(w) && !order_lacks(SOAK_BY_CALL, kind) &&
	    !kept_open(w, kind, 0, &s->ordered[kind]) &&
	    order_set(w, kind, ORDER_RACE, &s->ordered[kind]) < 0)
		kept_close(w, &s->ordered[kind]);
	return true;
}

static int new_owner(enum soak_kind kind, struct race *race)
{
	int r = 0;

	race->fd = -1;
	race->task = (struct raw_task)RAW_TASK_INIT;
	if (kind == SOAK_SK) {
		race->fd = race->key = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		return race->fd < 0 ? -errno : 0;
	}
	r = raw_task_new(RAW_TASK_SLEEPS, &race->task);
	race->key = race->task.pidfd;
	return r;
}

static void end_owner(struct race *race)
{
	if (race->fd >= 0)
		close(race->fd);
	raw_task_kill(&race->task);
}

static void call(const struct race *race)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	if (race->fd >= 0)
		getsockname(race->fd, (struct sockaddr *)&address, &len);
	else
		getpgid(race->task.pid);
}

/* The worker leaves its order to the partner meanwhile. */
static void run_program(struct race *race)
{
	const struct soak_order *order = order_of(race->w);

	order_give(race->w, SOAK_BY_CALL, SOAK_VERB_EITHER, ORDER_RACE, 1);
	while (now_ns() < race->until_ns)
		call(race);
	order_end(race->w);
	race->partner.updates = order->put;
	race->partner.deletes = order->deleted;
}

static void run_partner(void *arg)
{
	struct race *race = arg;

	if (race->by_program)
		run_program(race);
	else
		rivals_compete(&race->prize, race->until_ns, &race->rng, &race->partner);
}

static bool has_done_both(const struct tally *tally)
{
	return tally->updates && tally->deletes;
}

static bool run(struct worker *w, struct race *race, struct rng *rng)
{
	struct tally ours = { 0 };

	race->w = w;
	race->prize = (struct prize){ .map = race->kept->fd,
				      .key = race->key,
				      .shape = race->kept->shape,
				      .whole = !race->by_program };
	race->until_ns = now_ns() + TURN_NS;
	race->rng = (struct rng){ rng_next(rng) };
	partner_ask(worker_partner(w), run_partner, race);
	rivals_compete(&race->prize, race->until_ns, rng, &ours);
	partner_wait(worker_partner(w));
	rivals_count(w, &ours, race->by_program ? "a program" : "another thread");
	if (!race->by_program)
		rivals_count(w, &race->partner, "another thread");
	return rivals_settle(w, race->kept, race->key, rng) & has_done_both(&ours) &
	       has_done_both(&race->partner);
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	enum soak_kind kind = rng_below(rng, KEPT_KINDS);
	struct state *s = state;
	struct race race = { 0 };
	bool right;

	if (now_ns() < s->next_ns || !renew_maps(w, s, kind, rng))
		return SCENARIO_NOTHING;
	s->next_ns = now_ns() + PAUSE_NS;
	race.by_program = s->ordered[kind].open && rng_below(rng, 2);
	race.kept = race.by_program ? &s->ordered[kind] : &s->plain[kind];
	if (!worker_partner(w) || new_owner(kind, &race) < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	bump(&w->born[kind], 1);
	right = run(w, &race, rng);
	end_owner(&race);
	worker_took_effect(w);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	for (unsigned int kind = 0; kind < KEPT_KINDS; kind++)
		close_maps(w, s, kind);
}

const struct scenario scenario_races = {
	.what = "two threads update and delete one value against each other, one by program at times",
	.state_size = sizeof(struct state),
	.step = step,
	.end = end,
};
