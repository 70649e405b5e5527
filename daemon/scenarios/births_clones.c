// SPDX-License-Identifier: GPL-2.0-only
/*
 * accept() on a listener that has values in many maps. bpf_sk_storage_clone()
 * (net/core/bpf_sk_storage.c) copies those of maps with BPF_F_CLONE and no others, when the last
 * packet of the handshake comes: inside connect(), on loopback. Copy and original are two from then
 * on.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"

#define MAPS	    14
#define MAPS_LEAST  6 /* with fewer there is nothing to be seen */
#define BATCH	    4 /* maps made at once, and connections */
#define LISTENER_NS (700 * NSEC_PER_MSEC)
#define MAP_NS	    (250 * NSEC_PER_MSEC)
#define PATIENCE_MS 2500

struct state {
	struct kept kept[MAPS]; /* what the listener has */
	int listener;		/* 0: none */
	uint64_t listener_until_ns;
	uint64_t next_map_ns; /* when one is replaced */
};

struct connection {
	int client;
	int accepted;
};

static bool is_cloned(const struct kept *kept)
{
	return programs_is_cloned(kept->kind, kept->shape);
}

static void drop_listener(struct state *s)
{
	if (s->listener)
		close(s->listener);
	s->listener = 0;
	kept_forget_all(s->kept, MAPS);
}

/* One is replaced now and then, whoever has a value in it. */
static unsigned int renew_maps(struct worker *w, struct state *s, struct rng *rng)
{
	kept_replace(w, s->kept, MAPS, &s->next_map_ns, MAP_NS, rng);
	return kept_fill(w, s->kept, MAPS, BATCH, SOAK_SK, rng);
}

static int new_listener(bool v6)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -errno;
	if ((v6 ? bind(fd, (struct sockaddr *)&in6, sizeof(in6))
		: bind(fd, (struct sockaddr *)&in, sizeof(in))) < 0 ||
	    listen(fd, BATCH) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int renew_listener(struct worker *w, struct state *s, struct rng *rng)
{
	int fd;

	if (s->listener && now_ns() < s->listener_until_ns)
		return 0;
	drop_listener(s);
	fd = new_listener(rng_below(rng, 2));
	if (fd <= 0)
		return fd;
	bump(&w->born[SOAK_SK], 1);
	s->listener = fd;
	s->listener_until_ns = now_ns() + LISTENER_NS;
	return 0;
}

/* Values come, are replaced, and go. */
static void change_listener(struct worker *w, struct state *s, struct rng *rng)
{
	for (unsigned int i = 0; i < MAPS; i++) {
		if (!s->kept[i].open || rng_below(rng, 2))
			continue;
		if (s->kept[i].cookie && !rng_below(rng, 4))
			kept_take(w, &s->kept[i], s->listener);
		else
			kept_put(w, &s->kept[i], s->listener, rng);
	}
}

static int new_client(int listener)
{
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct linger linger = { .l_onoff = 1 };
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	int fd;

	if (getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (connect(fd, (struct sockaddr *)&address, len) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int accept_soon(int listener)
{
	struct pollfd poll_fd = { .fd = listener, .events = POLLIN };
	int fd;

	if (poll(&poll_fd, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Where a lock fails the clone is not made, and the connection neither. */
static unsigned int connect_some(struct worker *w, struct state *s, unsigned int wanted,
				 struct connection *ret)
{
	struct linger linger = { .l_onoff = 1 };
	unsigned int clients = 0, n = 0;

	while (clients < wanted && (ret[clients].client = new_client(s->listener)) >= 0)
		clients++;
	while (n < clients && (ret[n].accepted = accept_soon(s->listener)) >= 0) {
		setsockopt(ret[n].accepted, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		n++;
	}
	bump(&w->born[SOAK_SK], clients + n);
	for (unsigned int i = n; i < clients; i++)
		close(ret[i].client);
	return n;
}

/* What the listener has, and what was copied of it. */
static bool judge(struct worker *w, const struct state *s, int accepted)
{
	bool right = true;

	for (unsigned int i = 0; i < MAPS; i++) {
		const struct kept *kept = &s->kept[i];

		if (!kept->open)
			continue;
		right &= kept_judge(w, kept, s->listener, "us, of a listener");
		right &= kept_judge_as(w, kept, accepted, is_cloned(kept) ? kept->cookie : 0,
				       "us, of a clone");
	}
	return right;
}

/* What one of the two loses or gets is nothing to the other. */
static bool part(struct worker *w, struct state *s, int accepted, struct rng *rng)
{
	struct kept *kept = &s->kept[rng_below(rng, MAPS)], copy = *kept;

	if (!kept->open)
		return true;
	if (!is_cloned(kept))
		kept_forget(&copy);
	if (rng_below(rng, 2)) {
		if (copy.cookie && rng_below(rng, 2))
			kept_take(w, &copy, accepted);
		else
			kept_put(w, &copy, accepted, rng);
	} else {
		kept_put(w, kept, s->listener, rng);
	}
	return kept_judge(w, kept, s->listener, "us, of a listener") &
	       kept_judge(w, &copy, accepted, "us, of a clone");
}

/* Are there values to be copied, and such that are not? */
static bool has_both(const struct state *s)
{
	unsigned int cloned = 0, others = 0;

	for (unsigned int i = 0; i < MAPS; i++) {
		if (!s->kept[i].cookie)
			continue;
		if (is_cloned(&s->kept[i]))
			cloned++;
		else
			others++;
	}
	return cloned && others;
}

static bool use(struct worker *w, struct state *s, struct connection *c, unsigned int n,
		struct rng *rng)
{
	bool right = true;

	for (unsigned int i = 0; i < n; i++)
		right &= judge(w, s, c[i].accepted);
	if (n)
		right &= part(w, s, c[0].accepted, rng);
	/* Whose storage goes first, the copy's or the original's. */
	if (!rng_below(rng, 4))
		drop_listener(s);
	for (unsigned int i = 0; i < n; i++) {
		close(c[i].client);
		close(c[i].accepted);
	}
	return right;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	unsigned int wanted = 1 + rng_below(rng, BATCH), n;
	struct connection connections[BATCH];
	struct state *s = state;
	bool right, both;

	if (renew_maps(w, s, rng) < MAPS_LEAST)
		return SCENARIO_NOTHING;
	if (renew_listener(w, s, rng) < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	change_listener(w, s, rng);
	both = has_both(s);
	n = connect_some(w, s, wanted, connections);
	right = use(w, s, connections, n, rng);
	/* What was not accepted now might be later, with the values of now. */
	if (n < wanted)
		drop_listener(s);
	worker_took_effect(w);
	if (!right || n < wanted)
		return SCENARIO_FAILED;
	return both ? SCENARIO_EFFECT : SCENARIO_NOTHING;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	drop_listener(s);
	for (unsigned int i = 0; i < MAPS; i++)
		kept_close(w, &s->kept[i]);
}

const struct scenario scenario_births_clones = {
	.what = "connections are accepted from a listener with values in many maps, some cloned",
	.state_size = sizeof(struct state),
	.step = step,
	.end = end,
};
