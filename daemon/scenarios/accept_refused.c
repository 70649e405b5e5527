// SPDX-License-Identifier: GPL-2.0-only
/*
 * A connection to a listener with storage in many maps cannot be made, since the clone may not be
 * charged for what it is to have (net.core.optmem_max, in a network namespace of the worker's own).
 * In the order of the kernel: for the listener's filter (sk_filter_charge() in sk_clone(),
 * net/core/sock.c), before anything was copied; for a value or for its first bpf_local_storage
 * (bpf_sk_storage_clone()), with some values copied; for the key of TCP's MD5 signatures
 * (tcp_v4_syn_recv_sock()), with all of them copied, so that a whole clone dies unseen. The
 * listener must keep what it has, and with the limit out of the way the next connection has all of
 * it.
 */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "../log.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "netns.h"
#include "refused.h"

#define MAPS	    10
#define MAPS_LEAST  6
#define BATCH	    4  /* maps made at once */
#define TURNS	    20 /* in the life of one listener */
#define FILTER_MOST 200
#define PAUSE_NS    (10 * NSEC_PER_MSEC)
#define PATIENCE_MS 2000

enum stage {
	STAGE_FILTER,
	STAGE_STORAGE,
	STAGE_KEY,
	STAGE_NR,
};

static const char *const stage_names[STAGE_NR] = { "filter", "storage", "key" };

struct state {
	struct netns *netns;
	struct kept kept[MAPS]; /* what the listener has */
	int listener;		/* 0: none */
	struct sockaddr_storage address;
	socklen_t address_len;
	bool no_v6;
	bool has_key, no_keys;	  /* for MD5 signatures; this kernel has none */
	unsigned int filter, key; /* bytes that they are charged with */
	unsigned int cost;	  /* all that a clone is charged with */
	unsigned int turns;
	unsigned int refused[STAGE_NR];
	uint64_t next_ns;
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

/* A map goes together with the listener: see storage_refused.c. */
static void end_life(struct worker *w, struct state *s, struct rng *rng)
{
	struct kept *kept = &s->kept[rng_below(rng, MAPS)];
	bool before = rng_below(rng, 2);

	if (before)
		kept_close(w, kept);
	drop_listener(s);
	if (!before)
		kept_close(w, kept);
}

/* Lets everything through, at any length. */
static int attach_filter(int fd, unsigned int len)
{
	struct sock_filter insns[FILTER_MOST];
	struct sock_fprog filter = { .len = (unsigned short)len, .filter = insns };

	for (unsigned int i = 0; i < len; i++)
		insns[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, i);
	insns[len - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ~0u);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ? -errno
											 : 0;
}

/* Whoever connects from there signs with it. */
static int set_key(int fd, const struct sockaddr_storage *peer)
{
	struct tcp_md5sig md5 = { .tcpm_keylen = 7 };

	memcpy(&md5.tcpm_addr, peer, sizeof(md5.tcpm_addr));
	memcpy(md5.tcpm_key, "bpfsoak", md5.tcpm_keylen);
	return setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5)) < 0 ? -errno : 0;
}

static void loopback(struct state *s, bool v6)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s->address;
	struct sockaddr_in *in = (struct sockaddr_in *)&s->address;

	memset(&s->address, 0, sizeof(s->address));
	if (v6) {
		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_addr = in6addr_loopback };
		s->address_len = sizeof(*in6);
	} else {
		*in = (struct sockaddr_in){ .sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		s->address_len = sizeof(*in);
	}
}

static int new_socket(struct worker *w, const struct state *s, int flags)
{
	int fd, r = netns_enter(s->netns);

	if (r)
		return r;
	fd = socket(s->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	r = fd < 0 ? -errno : fd;
	netns_leave(s->netns);
	if (fd >= 0)
		bump(&w->born[SOAK_SK], 1);
	return r;
}

static int charged_more(int fd, unsigned int *before)
{
	int now = netns_charged(fd), more;

	if (now < 0)
		return now;
	more = now - (int)*before;
	*before = (unsigned int)now;
	return more;
}

/* Its filter and its key, of which either may be absent. */
static int furnish(struct state *s, int fd, struct rng *rng)
{
	bool with_filter = rng_below(rng, 2), with_key = rng_below(rng, 2) && !s->no_keys;
	unsigned int charged = 0;
	int r = with_filter ? attach_filter(fd, 1 + rng_below(rng, FILTER_MOST)) : 0, more;

	if (r)
		return r;
	more = charged_more(fd, &charged);
	s->filter = more < 0 ? 0 : (unsigned int)more;
	s->has_key = with_key && !set_key(fd, &s->address);
	if (with_key && !s->has_key) {
		log_debug("accept-refused: no keys for MD5 signatures here: %s", strerror(errno));
		s->no_keys = true;
	}
	more = charged_more(fd, &charged);
	s->key = more < 0 ? 0 : (unsigned int)more;
	return 0;
}

static int listen_bare(struct worker *w, struct state *s)
{
	int fd = new_socket(w, s, SOCK_NONBLOCK);

	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&s->address, s->address_len) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&s->address, &s->address_len) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/*
 * Until it listens it may not be charged for anything, so that neither the fill programs nor those
 * that answer to getsockname() give it a value of theirs.
 */
static int new_listener(struct worker *w, struct state *s, struct rng *rng)
{
	bool v6 = rng_below(rng, 2) && !s->no_v6;
	int fd, r = netns_limit(s->netns, 1);

	if (r)
		return r;
	loopback(s, v6);
	fd = listen_bare(w, s);
	netns_limit(s->netns, NETNS_ROOM);
	s->no_v6 |= v6 && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL);
	if (fd < 0)
		return fd;
	r = furnish(s, fd, rng);
	if (r) {
		close(fd);
		return r;
	}
	s->listener = fd;
	s->turns = 0;
	s->cost = 0;
	return 0;
}

/* Values come, are replaced, and go; what a clone costs is not known after that. */
static void change_listener(struct worker *w, struct state *s, struct rng *rng)
{
	for (unsigned int i = 0; i < MAPS; i++) {
		struct kept *kept = &s->kept[i];

		if (!kept->open || (s->cost && rng_below(rng, 8)))
			continue;
		if (kept->cookie && !rng_below(rng, 4))
			kept_take(w, kept, s->listener);
		else
			kept_put(w, kept, s->listener, rng);
		if (is_cloned(kept))
			s->cost = 0;
	}
}

/* Connections. */

/* With the limit out of the way: what it takes itself is not to be refused. */
static int new_client(struct worker *w, const struct state *s)
{
	struct linger linger = { .l_onoff = 1 };
	int fd = new_socket(w, s, SOCK_NONBLOCK), r;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	r = s->has_key ? set_key(fd, &s->address) : 0;
	if (!r)
		return fd;
	close(fd);
	return r;
}

/* Returns what was accepted, -EAGAIN when the client was reset, or another -errno. */
static int connect_one(struct worker *w, const struct state *s, int client)
{
	struct pollfd poll_fds[] = { { .fd = client, .events = POLLRDHUP },
				     { .fd = s->listener, .events = POLLIN } };
	struct linger linger = { .l_onoff = 1 };
	int fd;

	if (connect(client, (struct sockaddr *)&s->address, s->address_len) < 0 &&
	    errno != EINPROGRESS && errno != ECONNRESET)
		return -errno;
	if (poll(poll_fds, ARRAY_SIZE(poll_fds), PATIENCE_MS) <= 0)
		return -ETIMEDOUT;
	fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	bump(&w->born[SOAK_SK], 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

static bool judge_listener(struct worker *w, const struct state *s)
{
	bool right = true;

	for (unsigned int i = 0; i < MAPS; i++)
		if (s->kept[i].open)
			right &= kept_judge(w, &s->kept[i], s->listener,
					    "us, of a listener of which a connection was refused");
	return right;
}

static bool judge_clone(struct worker *w, const struct state *s, int fd)
{
	bool right = true;

	for (unsigned int i = 0; i < MAPS; i++) {
		const struct kept *kept = &s->kept[i];

		if (kept->open)
			right &= kept_judge_as(w, kept, fd, is_cloned(kept) ? kept->cookie : 0,
					       "us, of a clone");
	}
	return right;
}

/* What a clone costs is learnt of one. */
static bool is_accepted(struct worker *w, struct state *s)
{
	int client = new_client(w, s), accepted, charged;
	bool right;

	if (client < 0)
		return false;
	accepted = connect_one(w, s, client);
	if (accepted < 0) {
		close(client);
		return false;
	}
	charged = netns_charged(accepted);
	s->cost = charged < 0 ? 0 : (unsigned int)charged;
	right = judge_clone(w, s, accepted);
	close(accepted);
	close(client);
	return right;
}

static enum stage stage_of(const struct state *s, unsigned int limit)
{
	if (s->filter && limit <= s->filter)
		return STAGE_FILTER;
	return limit <= s->cost - s->key ? STAGE_STORAGE : STAGE_KEY;
}

/* At least all that the last stage charges for must stay below the limit; and each stage its turn.
 */
static unsigned int low_limit(const struct state *s, struct rng *rng)
{
	if (s->filter && !rng_below(rng, 4))
		return 1 + rng_below(rng, s->filter);
	if (s->key && !rng_below(rng, 3))
		return s->cost - rng_below(rng, s->key);
	return 1 + s->filter + rng_below(rng, s->cost - s->filter - s->key);
}

/* The client is reset, since the namespace has tcp_abort_on_overflow, and nothing can be accepted.
 */
static bool is_refused(struct worker *w, struct state *s, struct rng *rng)
{
	unsigned int limit = low_limit(s, rng);
	int charged = netns_charged(s->listener), client = new_client(w, s), accepted, now;

	if (client < 0)
		return false;
	accepted = netns_limit(s->netns, limit) ?: connect_one(w, s, client);
	netns_limit(s->netns, NETNS_ROOM);
	close(client);
	now = netns_charged(s->listener);
	if (now != charged)
		worker_accuse(w,
			      "a connection that was refused changed what the listener is charged "
			      "from %d bytes to %d",
			      charged, now);
	if (accepted >= 0) {
		worker_accuse(w,
			      "a connection was made although its clone may be charged %u bytes, "
			      "and takes %u",
			      limit, s->cost);
		close(accepted);
	}
	if (accepted != -EAGAIN)
		return false;
	s->refused[stage_of(s, limit)]++;
	return true;
}

static int begin(struct worker *w, struct state *s)
{
	int r;

	if (s->netns)
		return 0;
	s->netns = netns_get(w);
	if (!s->netns)
		return -EAGAIN;
	r = netns_set(s->netns, "ipv4/tcp_abort_on_overflow", "1");
	if (r) {
		netns_put(w);
		s->netns = NULL;
	}
	return r;
}

static enum scenario_result refuse(struct worker *w, struct state *s, struct rng *rng)
{
	bool refused, right;

	if (!s->cost && !is_accepted(w, s))
		return SCENARIO_FAILED;
	/* With nothing to be copied there is nothing to be refused. */
	if (s->cost <= s->filter + s->key)
		return SCENARIO_NOTHING;
	refused = is_refused(w, s, rng);
	right = judge_listener(w, s) & is_accepted(w, s);
	return refused && right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	enum scenario_result result;
	struct state *s = state;

	if (w->index >= REFUSED_WORKERS || now_ns() < s->next_ns ||
	    kept_fill(w, s->kept, MAPS, BATCH, SOAK_SK, rng) < MAPS_LEAST)
		return SCENARIO_NOTHING;
	s->next_ns = now_ns() + PAUSE_NS;
	if (s->listener && s->turns++ >= TURNS)
		end_life(w, s, rng);
	if (begin(w, s) || (!s->listener && new_listener(w, s, rng) < 0)) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	change_listener(w, s, rng);
	result = refuse(w, s, rng);
	worker_took_effect(w);
	/* What was not refused or accepted now may be later, with the values and limits of now. */
	if (result == SCENARIO_FAILED)
		drop_listener(s);
	return result;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	drop_listener(s);
	for (unsigned int i = 0; i < MAPS; i++)
		kept_close(w, &s->kept[i]);
	if (s->netns)
		netns_put(w);
	for (enum stage stage = 0; stage < STAGE_NR; stage++)
		if (s->refused[stage])
			log_debug("accept-refused: worker %u: stage %s: %u refused", w->index,
				  stage_names[stage], s->refused[stage]);
}

const struct scenario scenario_accept_refused = {
	.what = "connections to a listener with values in many maps are refused, half copied",
	.state_size = sizeof(struct state),
	.lacks = netns_lacks,
	.step = step,
	.end = end,
};
