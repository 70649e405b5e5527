// SPDX-License-Identifier: GPL-2.0-only
/*
 * An owner keeps what was looked up last of 16 maps at hand (bpf_local_storage.cache), and maps
 * share these places: with 17 maps on one owner some do. Values are looked up in turn by bpf(2) and
 * by a program, both of which put them there (bpf_local_storage_lookup() in
 * include/linux/bpf_local_storage.h), and replaced and deleted in between by either. Nobody may see
 * what is not there any more.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "../pool.h"
#include "../raw_task.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "order.h"
#include "rivals.h"

#define MAPS	 ORDER_CACHE_MAPS
#define BATCH	 6 /* maps made at once: each waits for a grace period */
#define OWNER_NS NSEC_PER_SEC
#define MAP_NS	 (2 * NSEC_PER_SEC)
#define TURNS	 8

/* Each worker has owners of one kind: these are many maps. */
struct state {
	bool begun;
	enum soak_kind kind;
	struct kept kept[MAPS]; /* what the owner has */
	unsigned int n;		/* of them open */
	uint64_t next_map_ns;	/* when one is replaced */
	bool alive;
	uint64_t owner_until_ns;
	int key;
	int fd;
	struct raw_task task;
};

static void drop_owner(struct state *s)
{
	if (!s->alive)
		return;
	if (s->fd >= 0)
		close(s->fd);
	raw_task_kill(&s->task);
	s->alive = false;
	kept_forget_all(s->kept, MAPS);
}

static void close_map(struct worker *w, struct state *s, unsigned int i)
{
	order_set(w, s->kind, ORDER_CACHE + i, NULL);
	kept_close(w, &s->kept[i]);
}

/* They have the same place at hand as long as they live, so one is replaced now and then. */
static bool renew_maps(struct worker *w, struct state *s, struct rng *rng)
{
	unsigned int made = 0;

	if (s->n == MAPS && now_ns() >= s->next_map_ns) {
		s->next_map_ns = now_ns() + MAP_NS;
		close_map(w, s, rng_below(rng, MAPS));
	}
	s->n = 0;
	for (unsigned int i = 0; i < MAPS; i++) {
		if (!s->kept[i].open && made++ < BATCH && !kept_open(w, s->kind, 0, &s->kept[i]) &&
		    order_set(w, s->kind, ORDER_CACHE + i, &s->kept[i]) < 0)
			kept_close(w, &s->kept[i]);
		s->n += s->kept[i].open;
	}
	return s->n == MAPS;
}

static int renew_owner(struct worker *w, struct state *s)
{
	int r = 0;

	if (s->alive && now_ns() < s->owner_until_ns)
		return 0;
	drop_owner(s);
	s->fd = -1;
	s->task = (struct raw_task)RAW_TASK_INIT;
	if (s->kind == SOAK_SK) {
		s->fd = s->key = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		r = s->fd < 0 ? -errno : 0;
	} else {
		r = raw_task_new(RAW_TASK_SLEEPS, &s->task);
		s->key = s->task.pidfd;
	}
	if (r)
		return r;
	bump(&w->born[s->kind], 1);
	s->alive = true;
	s->owner_until_ns = now_ns() + OWNER_NS;
	return 0;
}

/* One harmless system call, from which the programs get at the owner. */
static void call(const struct state *s)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	if (s->fd >= 0)
		getsockname(s->fd, (struct sockaddr *)&address, &len);
	else
		getpgid(s->task.pid);
}

/* What the program sees of all of them, in one go. */
static bool look_by_program(struct worker *w, struct state *s)
{
	const struct soak_order *order = order_of(w);
	bool right = true;

	order_give(w, SOAK_BY_CALL, SOAK_VERB_LOOK, ORDER_CACHE, MAPS);
	call(s);
	order_end(w);
	if (order->obeyed != 1)
		return false;
	for (unsigned int i = 0; i < MAPS; i++) {
		if (order->cookies[i] == s->kept[i].cookie)
			continue;
		worker_accuse(w, "a program sees %s value where there is %s",
			      order->cookies[i] ? "another" : "no",
			      s->kept[i].cookie ? "one" : "none any more");
		right = false;
	}
	return right;
}

static bool look_by_call(struct worker *w, struct state *s, struct rng *rng)
{
	unsigned int first = rng_below(rng, MAPS), n = 1 + rng_below(rng, MAPS);
	bool right = true;

	for (unsigned int i = 0; i < n; i++)
		right &= kept_judge(w, &s->kept[(first + i) % MAPS], s->key, "us");
	return right;
}

/* A program deletes a value; whether it could is for it to say. */
static bool take_by_program(struct worker *w, struct state *s, struct rng *rng)
{
	const struct soak_order *order = order_of(w);
	unsigned int i = rng_below(rng, MAPS);
	struct kept *kept = &s->kept[i];

	order_give(w, SOAK_BY_CALL, SOAK_VERB_DELETE, ORDER_CACHE + i, 1);
	call(s);
	order_end(w);
	if (order->obeyed != 1)
		return false;
	if (order->deleted && !kept->cookie)
		worker_accuse(w, "a program could delete a value where there was none");
	if (order->absent && kept->cookie)
		worker_accuse(w,
			      "a value stored a moment ago is not there for a program to delete");
	if (order->deleted)
		kept_forget(kept);
	return kept_judge(w, kept, s->key, "us");
}

/* A program puts one there, in the place of which there is another at once. */
static bool put_by_program(struct worker *w, struct state *s, struct rng *rng)
{
	const struct soak_order *order = order_of(w);
	unsigned int i = rng_below(rng, MAPS);
	struct kept *kept = &s->kept[i];

	order_give(w, SOAK_BY_CALL, SOAK_VERB_PUT, ORDER_CACHE + i, 1);
	call(s);
	order_end(w);
	if (order->obeyed != 1)
		return false;
	if (!order->put)
		return kept_judge(w, kept, s->key, "us");
	/* Until it is replaced we do not know what it is: a refused update must not pass for one.
	 */
	for (unsigned int tries = 0; tries < 100; tries++)
		if (!kept_put(w, kept, s->key, rng))
			return kept_judge(w, kept, s->key, "us");
	drop_owner(s);
	return false;
}

static bool one_turn(struct worker *w, struct state *s, struct rng *rng)
{
	struct kept *kept = &s->kept[rng_below(rng, MAPS)];

	switch (rng_below(rng, 6)) {
	case 0:
		return look_by_program(w, s);
	case 1:
		return look_by_call(w, s, rng);
	case 2:
		return take_by_program(w, s, rng);
	case 3:
		return put_by_program(w, s, rng);
	case 4:
		return !kept_take(w, kept, s->key) || !kept->cookie;
	default:
		return !kept_put(w, kept, s->key, rng);
	}
}

static const char *lacks(void)
{
	const char *why = order_lacks(SOAK_BY_CALL, SOAK_SK);

	return why ? why : order_lacks(SOAK_BY_CALL, SOAK_TASK);
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct state *s = state;
	bool right;

	if (!s->begun)
		s->kind = w->options->workers > 1 ? w->index % KEPT_KINDS
						  : rng_below(rng, KEPT_KINDS);
	s->begun = true;
	if (!order_of(w) || !renew_maps(w, s, rng))
		return SCENARIO_NOTHING;
	if (renew_owner(w, s) < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	/* All there, and all looked up by both: more than the owner can have at hand. */
	for (unsigned int i = 0; i < MAPS; i++)
		if (!s->kept[i].cookie)
			kept_put(w, &s->kept[i], s->key, rng);
	right = look_by_call(w, s, rng) & look_by_program(w, s);
	for (unsigned int turn = 0; turn < TURNS && s->alive; turn++)
		right &= one_turn(w, s, rng);
	if (s->alive)
		right &= look_by_program(w, s) & look_by_call(w, s, rng);
	worker_took_effect(w);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	drop_owner(s);
	for (unsigned int i = 0; i < MAPS; i++)
		if (s->kept[i].open)
			close_map(w, s, i);
}

const struct scenario scenario_cache = {
	.what = "more maps than an owner has at hand are looked up by bpf(2) and by a program",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
	.end = end,
};
