// SPDX-License-Identifier: GPL-2.0-only
/*
 * Storage of a socket cannot be made, because it may not be charged for it (net.core.optmem_max, in
 * a network namespace of the worker's own): at its birth, its first value, at which either the
 * element or the bpf_local_storage is refused (bpf_local_storage_alloc()), a further one, and one
 * that takes the place of another. What it had must stay, and so must the sum that it is charged;
 * with the limit out of the way the same works.
 */
#include <errno.h>
#include <sys/socket.h>

#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "netns.h"
#include "refused.h"

#define MAPS	   6
#define MAPS_LEAST 3
#define BATCH	   2  /* maps made at once */
#define TURNS	   24 /* in the life of one socket */
#define PAUSE_NS   (3 * NSEC_PER_MSEC)

struct state {
	struct netns *netns;
	struct kept kept[MAPS]; /* what the socket has */
	int fd;			/* 0: none */
	unsigned int turns;
	unsigned int first[SOAK_SHAPES]; /* what an owner's first value is charged; 0: not known */
	bool no_v6;
	uint64_t next_ns;
};

/* IPv6 last: it may not be there. */
static const struct {
	int family, type;
} sorts[] = {
	{ AF_INET, SOCK_DGRAM },  { AF_INET, SOCK_STREAM }, { AF_UNIX, SOCK_DGRAM },
	{ AF_UNIX, SOCK_STREAM }, { AF_INET6, SOCK_DGRAM }, { AF_INET6, SOCK_STREAM },
};

static void drop_socket(struct state *s)
{
	if (s->fd)
		close(s->fd);
	s->fd = 0;
	kept_forget_all(s->kept, MAPS);
}

/*
 * A map goes together with the socket, before it or after it: in between its values would be given
 * back at any time, and the sum could not be known.
 */
static void end_life(struct worker *w, struct state *s, struct rng *rng)
{
	struct kept *kept = &s->kept[rng_below(rng, MAPS)];
	bool before = rng_below(rng, 2);

	if (before)
		kept_close(w, kept);
	drop_socket(s);
	if (!before)
		kept_close(w, kept);
}

/* While it is born it may not be charged for anything: the fill programs are refused, too. */
static int new_socket(struct worker *w, struct state *s, struct rng *rng)
{
	unsigned int sort = rng_below(rng, ARRAY_SIZE(sorts) - (s->no_v6 ? 2 : 0));
	int r = netns_limit(s->netns, 1);

	r = r ?: netns_enter(s->netns);
	if (r)
		return r;
	s->fd = socket(sorts[sort].family, sorts[sort].type | SOCK_CLOEXEC, 0);
	r = s->fd < 0 ? -errno : 0;
	netns_leave(s->netns);
	netns_limit(s->netns, NETNS_ROOM);
	if (r) {
		s->fd = 0;
		s->no_v6 |= r == -EAFNOSUPPORT;
		return r;
	}
	bump(&w->born[SOAK_SK], 1);
	s->turns = 0;
	if (netns_charged(s->fd) > 0)
		worker_accuse(w,
			      "a socket that may not be charged for anything is charged %d bytes "
			      "at its birth",
			      netns_charged(s->fd));
	return 0;
}

static bool has_nothing(const struct state *s)
{
	for (unsigned int i = 0; i < MAPS; i++)
		if (s->kept[i].cookie)
			return false;
	return true;
}

/*
 * One that is too low: sock_omem_alloc and what is new must stay below it, and no value is smaller
 * than what programs_value_size() says. Of the first one we learn how much more it takes.
 */
static unsigned int low_limit(const struct state *s, const struct kept *kept, unsigned int charged,
			      struct rng *rng)
{
	unsigned int enough = charged + (unsigned int)programs_value_size(kept->shape);

	if (has_nothing(s) && s->first[kept->shape])
		enough = s->first[kept->shape];
	return 1 + rng_below(rng, enough);
}

/* What is refused changes nothing. */
static bool is_refused(struct worker *w, struct state *s, struct kept *kept, struct rng *rng)
{
	int charged = netns_charged(s->fd), now, r;

	if (charged < 0 || netns_limit(s->netns, low_limit(s, kept, (unsigned int)charged, rng)))
		return false;
	r = refused_put(w, kept, s->fd, rng);
	now = netns_charged(s->fd);
	netns_limit(s->netns, NETNS_ROOM);
	if (!r)
		worker_accuse(
			w, "a value was stored past the limit on what its socket may be charged");
	if (r && now != charged)
		worker_accuse(
			w,
			"a refused update changed what its socket is charged from %d bytes to "
			"%d",
			charged, now);
	return r == -ENOMEM && kept_judge(w, kept, s->fd, "us, after an update was refused");
}

static bool is_taken(struct worker *w, struct state *s, struct kept *kept, struct rng *rng)
{
	bool first = has_nothing(s);
	int r = kept_put(w, kept, s->fd, rng);

	if (!r && first)
		s->first[kept->shape] = (unsigned int)netns_charged(s->fd);
	return !r && kept_judge(w, kept, s->fd, "us");
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct state *s = state;
	struct kept *kept = &s->kept[rng_below(rng, MAPS)];
	bool refused, taken;

	if (w->index >= REFUSED_WORKERS || now_ns() < s->next_ns ||
	    kept_fill(w, s->kept, MAPS, BATCH, SOAK_SK, rng) < MAPS_LEAST || !kept->open)
		return SCENARIO_NOTHING;
	s->next_ns = now_ns() + PAUSE_NS;
	if (!s->netns)
		s->netns = netns_get(w);
	if (s->fd && s->turns++ >= TURNS)
		end_life(w, s, rng);
	if (!s->netns || (!s->fd && new_socket(w, s, rng) < 0)) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	if (!kept->open)
		return SCENARIO_NOTHING;
	refused = is_refused(w, s, kept, rng);
	taken = is_taken(w, s, kept, rng);
	if (!rng_below(rng, 3))
		kept_take(w, kept, s->fd);
	worker_took_effect(w);
	return refused && taken ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	drop_socket(s);
	for (unsigned int i = 0; i < MAPS; i++)
		kept_close(w, &s->kept[i]);
	if (s->netns)
		netns_put(w);
}

const struct scenario scenario_storage_refused = {
	.what = "values of a socket are refused for want of memory for options; the others stay",
	.state_size = sizeof(struct state),
	.lacks = netns_lacks,
	.step = step,
	.end = end,
};
