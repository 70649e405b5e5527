// SPDX-License-Identifier: GPL-2.0-only
/*
 * socket() and socketpair() fail when the socket is nearly made, and may have storage: at the LSM
 * hook after its creation (__sock_create(), net/socket.c), by a program that comes after the one
 * which fills it; and in the initialisation of its protocol (inet_create(), net/ipv4/af_inet.c),
 * after sock_init_data(), at which another one fills it. The kernel releases it at once, and its
 * storage with it. Then the same succeeds, where that is allowed at all.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "../log.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "netns.h"

#define PAUSE_NS (2 * NSEC_PER_MSEC)

/* include/uapi/linux/in.h, since 5.6. */
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum way {
	WAY_LSM,
	WAY_PROTOCOL,
};

static const struct sort {
	const char *name;
	enum way way;
	int family, type, protocol;
	bool pair;
	int error;
} sorts[] = {
	{ "lsm-inet-udp", WAY_LSM, AF_INET, SOCK_DGRAM, 0, false, EPERM },
	{ "lsm-inet-tcp", WAY_LSM, AF_INET, SOCK_STREAM, 0, false, EPERM },
	{ "lsm-inet6-udp", WAY_LSM, AF_INET6, SOCK_DGRAM, 0, false, EPERM },
	{ "lsm-inet6-tcp", WAY_LSM, AF_INET6, SOCK_STREAM, 0, false, EPERM },
	{ "lsm-unix", WAY_LSM, AF_UNIX, SOCK_STREAM, 0, false, EPERM },
	{ "lsm-unix-pair", WAY_LSM, AF_UNIX, SOCK_STREAM, 0, true, EPERM },
	{ "lsm-unix-dgram-pair", WAY_LSM, AF_UNIX, SOCK_DGRAM, 0, true, EPERM },
	{ "lsm-netlink", WAY_LSM, AF_NETLINK, SOCK_RAW, 0, false, EPERM },
	{ "ping", WAY_PROTOCOL, AF_INET, SOCK_DGRAM, IPPROTO_ICMP, false, EACCES },
	{ "ping6", WAY_PROTOCOL, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, false, EACCES },
	{ "mptcp", WAY_PROTOCOL, AF_INET, SOCK_STREAM, IPPROTO_MPTCP, false, ENOPROTOOPT },
	{ "mptcp6", WAY_PROTOCOL, AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, false, ENOPROTOOPT },
};

struct state {
	bool began;
	int slot; /* of this thread's refusals, negative: none */
	struct netns *netns;
	unsigned int refused[ARRAY_SIZE(sorts)], filled[ARRAY_SIZE(sorts)];
	bool absent[ARRAY_SIZE(sorts)];
	uint64_t next_ns;
};

static const char *lacks(void)
{
	_cleanup_free_ char *lsms = NULL;

	if (!read_file("/sys/kernel/security/lsm", &lsms, NULL) && strstr(lsms, "bpf"))
		return NULL;
	return netns_lacks()
		       ? "nothing here can refuse a socket: it takes \"bpf\" among the active "
			 "LSMs (lsm= on the kernel's command line), or a network namespace of "
			 "its own, that is, CAP_SYS_ADMIN"
		       : NULL;
}

/* Nobody may ping there, and nobody may use MPTCP. */
static void begin(struct worker *w, struct state *s)
{
	s->began = true;
	s->slot = programs_enlist(pool_programs(w->pool), SOAK_SK);
	s->netns = netns_get(w);
	if (!s->netns)
		return;
	netns_set(s->netns, "ipv4/ping_group_range", "1 0");
	netns_set(s->netns, "mptcp/enabled", "0");
}

/* Sockets made, or -errno. */
static int make(struct worker *w, const struct sort *sort)
{
	int fds[2] = { -1, -1 };

	if (sort->pair) {
		if (socketpair(sort->family, sort->type | SOCK_CLOEXEC, sort->protocol, fds) < 0)
			return -errno;
	} else {
		fds[0] = socket(sort->family, sort->type | SOCK_CLOEXEC, sort->protocol);
		if (fds[0] < 0)
			return -errno;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(fds); i++) {
		if (fds[i] < 0)
			continue;
		bump(&w->born[SOAK_SK], 1);
		close(fds[i]);
	}
	return 1;
}

/* Of a pair either: the first goes when it is alone yet, or together with the second. */
static int refuse_by_lsm(struct worker *w, struct state *s, unsigned int i, struct rng *rng)
{
	struct soak_refusal *refusal;
	unsigned int met, filled;
	int r;

	if (s->slot < 0)
		return s->slot;
	refusal = programs_refusal(pool_programs(w->pool), (unsigned int)s->slot);
	met = refusal->met;
	filled = refusal->filled;
	refusal->what = SOAK_REFUSE_DENY;
	refusal->skip = sorts[i].pair ? rng_below(rng, 2) : 0;
	__atomic_store_n(&refusal->left, 1, __ATOMIC_SEQ_CST);
	r = make(w, &sorts[i]);
	__atomic_store_n(&refusal->left, 0, __ATOMIC_SEQ_CST);
	s->filled[i] += refusal->filled - filled;
	/* Whoever else refused it, our program did not. */
	return refusal->met == met && r < 0 ? -EOPNOTSUPP : r;
}

static int refuse_by_protocol(struct worker *w, struct state *s, unsigned int i)
{
	int r = s->netns ? netns_enter(s->netns) : -EOPNOTSUPP;

	if (r)
		return r;
	r = make(w, &sorts[i]);
	netns_leave(s->netns);
	return r;
}

/* What was never refused so is not to be had here. */
static enum scenario_result note(struct worker *w, struct state *s, unsigned int i, int r)
{
	if (r == -sorts[i].error) {
		s->refused[i]++;
		worker_took_effect(w);
		return SCENARIO_EFFECT;
	}
	if (s->refused[i])
		return SCENARIO_FAILED;
	s->absent[i] = true;
	log_debug("socket-refused: %s is not to be had here: %s", sorts[i].name,
		  r < 0 ? strerror(-r) : "it was not refused");
	return SCENARIO_NOTHING;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	unsigned int i = rng_below(rng, ARRAY_SIZE(sorts));
	enum scenario_result result;
	struct state *s = state;

	if (now_ns() < s->next_ns)
		return SCENARIO_NOTHING;
	s->next_ns = now_ns() + PAUSE_NS;
	if (!s->began)
		begin(w, s);
	if (s->absent[i])
		return SCENARIO_NOTHING;
	if (sorts[i].way == WAY_PROTOCOL)
		return note(w, s, i, refuse_by_protocol(w, s, i));
	result = note(w, s, i, refuse_by_lsm(w, s, i, rng));
	if (result == SCENARIO_EFFECT && make(w, &sorts[i]) < 0)
		return SCENARIO_FAILED;
	return result;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	if (!s->began)
		return;
	if (s->slot >= 0)
		programs_discharge(pool_programs(w->pool), (unsigned int)s->slot);
	if (s->netns)
		netns_put(w);
	for (unsigned int i = 0; i < ARRAY_SIZE(sorts); i++)
		if (s->refused[i])
			log_debug("socket-refused: worker %u: %s: %u refused, %u of them seen with "
				  "storage",
				  w->index, sorts[i].name, s->refused[i], s->filled[i]);
}

const struct scenario scenario_socket_refused = {
	.what = "sockets are refused when they are nearly made, and have storage",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
	.end = end,
};
