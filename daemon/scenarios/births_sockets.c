// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets of every family that this kernel has and lets us have. Each is filled by the fill
 * programs at its birth, gets a value by bpf(2), and dies. A family that would come as a module is
 * used where it is there, and never the reason why it is loaded.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../log.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"

#define MAP_NS	    (2 * NSEC_PER_SEC)
#define SLOW_NS	    (250 * NSEC_PER_MSEC)
#define PATIENCE_MS 2000
#define PROTOCOLS   "/proc/net/protocols"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef VMADDR_CID_LOCAL
#define VMADDR_CID_LOCAL 1
#endif

/* How it comes by what it needs. */
enum way {
	WAY_ALONE,  /* socket() */
	WAY_BOUND,  /* socket() and bind() to wherever the kernel likes */
	WAY_PAIR,   /* socketpair() */
	WAY_ACCEPT, /* listen(), connect(), accept() */
};

struct family {
	const char *name;
	int domain, type, protocol;
	enum way way;
	const char *listed; /* in PROTOCOLS, where it may be a module; NULL: always there */
	bool slow;	    /* dies after a grace period that close() waits for */
};

static const struct family families[] = {
	{ "inet-udp", AF_INET, SOCK_DGRAM, 0, WAY_BOUND, NULL, false },
	{ "inet-tcp", AF_INET, SOCK_STREAM, 0, WAY_ACCEPT, NULL, false },
	{ "inet-raw", AF_INET, SOCK_RAW, IPPROTO_ICMP, WAY_ALONE, NULL, false },
	{ "inet-ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, WAY_BOUND, NULL, false },
	{ "inet-mptcp", AF_INET, SOCK_STREAM, IPPROTO_MPTCP, WAY_ACCEPT, "MPTCP", false },
	{ "inet6-udp", AF_INET6, SOCK_DGRAM, 0, WAY_BOUND, "UDPv6", false },
	{ "inet6-tcp", AF_INET6, SOCK_STREAM, 0, WAY_ACCEPT, "TCPv6", false },
	{ "inet6-raw", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, WAY_ALONE, "RAWv6", false },
	{ "inet6-mptcp", AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, WAY_ACCEPT, "MPTCPv6", false },
	{ "unix-stream", AF_UNIX, SOCK_STREAM, 0, WAY_ACCEPT, NULL, false },
	{ "unix-seqpacket", AF_UNIX, SOCK_SEQPACKET, 0, WAY_ACCEPT, NULL, false },
	{ "unix-stream-pair", AF_UNIX, SOCK_STREAM, 0, WAY_PAIR, NULL, false },
	{ "unix-dgram-pair", AF_UNIX, SOCK_DGRAM, 0, WAY_PAIR, NULL, false },
	{ "unix-dgram", AF_UNIX, SOCK_DGRAM, 0, WAY_BOUND, NULL, false },
	{ "netlink-route", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, WAY_BOUND, NULL, false },
	{ "netlink-generic", AF_NETLINK, SOCK_DGRAM, NETLINK_GENERIC, WAY_BOUND, NULL, false },
	{ "packet-raw", AF_PACKET, SOCK_RAW, 0, WAY_ALONE, "PACKET", true },
	{ "packet-dgram", AF_PACKET, SOCK_DGRAM, 0, WAY_ALONE, "PACKET", true },
	{ "vsock-stream", AF_VSOCK, SOCK_STREAM, 0, WAY_ACCEPT, "AF_VSOCK", false },
	{ "vsock-seqpacket", AF_VSOCK, SOCK_SEQPACKET, 0, WAY_ACCEPT, "AF_VSOCK", false },
	{ "xdp", AF_XDP, SOCK_RAW, 0, WAY_ALONE, "XDP", true },
};

#define FAMILIES ARRAY_SIZE(families)

struct state {
	struct kept kept;
	uint64_t map_until_ns;
	uint64_t next_slow_ns;
	unsigned int n; /* of which[]; 0: not asked yet */
	unsigned char which[FAMILIES];
};

/* Up to two ends and what listened. */
struct sockets {
	int fds[3];
	unsigned int n;
	unsigned int filled_by_us; /* those that socket() made, and no accept() */
};

static socklen_t address_of(int domain, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_vm *vm = (struct sockaddr_vm *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)domain;
	switch (domain) {
	case AF_INET:
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*in);
	case AF_INET6:
		in6->sin6_addr = in6addr_loopback;
		return sizeof(*in6);
	case AF_VSOCK:
		vm->svm_cid = VMADDR_CID_LOCAL;
		vm->svm_port = VMADDR_PORT_ANY;
		return sizeof(*vm);
	case AF_NETLINK:
		return sizeof(struct sockaddr_nl);
	default: /* AF_UNIX: a name of the kernel's choice */
		return sizeof(sa_family_t);
	}
}

static int add_socket(struct sockets *s, int fd)
{
	if (fd < 0)
		return -errno;
	s->fds[s->n++] = fd;
	return fd;
}

static int new_socket(const struct family *f, struct sockets *s)
{
	int fd = add_socket(s,
			    socket(f->domain, f->type | SOCK_CLOEXEC | SOCK_NONBLOCK, f->protocol));

	s->filled_by_us = s->n;
	return fd;
}

static bool wait_for(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	return poll(&poll_fd, 1, PATIENCE_MS) == 1 && (poll_fd.revents & events);
}

static int bind_somewhere(const struct family *f, int fd, struct sockaddr_storage *ret_address,
			  socklen_t *ret_len)
{
	socklen_t len = address_of(f->domain, ret_address);

	if (bind(fd, (struct sockaddr *)ret_address, len) < 0)
		return -errno;
	*ret_len = sizeof(*ret_address);
	return getsockname(fd, (struct sockaddr *)ret_address, ret_len) < 0 ? -errno : 0;
}

static int make_accepted(const struct family *f, struct sockets *s)
{
	struct sockaddr_storage address;
	int listener = new_socket(f, s), client, r;
	socklen_t len;

	if (listener < 0)
		return listener;
	client = new_socket(f, s);
	if (client < 0)
		return client;
	r = bind_somewhere(f, listener, &address, &len);
	if (r)
		return r;
	if (listen(listener, 1) < 0)
		return -errno;
	if (connect(client, (struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS)
		return -errno;
	if (!wait_for(listener, POLLIN))
		return -ETIMEDOUT;
	r = add_socket(s, accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	if (r < 0)
		return r;
	return wait_for(client, POLLOUT) ? 0 : -ETIMEDOUT;
}

static int make_pair(const struct family *f, struct sockets *s)
{
	if (socketpair(f->domain, f->type | SOCK_CLOEXEC, f->protocol, s->fds) < 0)
		return -errno;
	s->n = s->filled_by_us = 2;
	return 0;
}

static int make(const struct family *f, struct sockets *s)
{
	struct sockaddr_storage address;
	socklen_t len;
	int fd;

	if (f->way == WAY_ACCEPT)
		return make_accepted(f, s);
	if (f->way == WAY_PAIR)
		return make_pair(f, s);
	fd = new_socket(f, s);
	if (fd < 0)
		return fd;
	return f->way == WAY_BOUND ? bind_somewhere(f, fd, &address, &len) : 0;
}

/* Connections are reset: none of them is to linger, least of all those of MPTCP, for a minute. */
static void unmake(const struct family *f, struct sockets *s)
{
	static const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct linger linger = { .l_onoff = 1 };

	for (unsigned int i = s->n; i--;) {
		if (f->domain == AF_INET || f->domain == AF_INET6) {
			setsockopt(s->fds[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
			if (f->type == SOCK_STREAM)
				connect(s->fds[i], &nowhere, sizeof(nowhere));
		}
		close(s->fds[i]);
	}
	*s = (struct sockets){ 0 };
}

/* The first word of a line. */
static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = list; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && (line[len] == ' ' || line[len] == '\t'))
			return true;
	}
	return false;
}

static int try_family(const struct family *f, const char *list)
{
	struct sockets sockets = { 0 };
	int r;

	if (f->listed && !(list && is_listed(list, f->listed)))
		return -EPROTONOSUPPORT;
	r = make(f, &sockets);
	unmake(f, &sockets);
	return r;
}

/* Those that are there; what is not is told once. */
static unsigned int ask_families(unsigned char which[FAMILIES])
{
	static bool told;
	_cleanup_free_ char *list = NULL;
	unsigned int n = 0;
	bool tell = !__atomic_exchange_n(&told, true, __ATOMIC_RELAXED);

	if (read_file(PROTOCOLS, &list, NULL) < 0)
		list = NULL;
	for (unsigned char i = 0; i < FAMILIES; i++) {
		int r = try_family(&families[i], list);

		if (!r)
			which[n++] = i;
		else if (tell)
			log_debug("no sockets of %s: %s", families[i].name, strerror(-r));
	}
	return n;
}

static const char *lacks(void)
{
	unsigned char which[FAMILIES];

	return ask_families(which)
		       ? NULL
		       : "no family of sockets can be had: see RestrictAddressFamilies= "
			 "of the service, or the seccomp filter of the container";
}

static bool renew_map(struct worker *w, struct state *s, struct rng *rng)
{
	if (s->kept.open && now_ns() < s->map_until_ns)
		return true;
	kept_close(w, &s->kept);
	s->map_until_ns = now_ns() + MAP_NS;
	return !kept_open(w, SOAK_SK, rng_below(rng, pool_shapes(w->pool)), &s->kept);
}

/* Each with a value of its own, also when another has died. */
static bool live(struct worker *w, struct state *s, struct sockets *sockets, struct rng *rng)
{
	struct kept kept[ARRAY_SIZE(sockets->fds)];
	bool right = true;

	for (unsigned int i = 0; i < sockets->n; i++) {
		kept[i] = s->kept;
		kept_forget(&kept[i]);
		if (i < sockets->filled_by_us)
			right &= worker_sees_fill(w, SOAK_SK, sockets->fds[i]);
		right &= !kept_put(w, &kept[i], sockets->fds[i], rng);
	}
	for (unsigned int i = 0; i < sockets->n; i++)
		right &= kept_judge(w, &kept[i], sockets->fds[i], "us");
	return right;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct state *s = state;
	struct sockets sockets = { 0 };
	const struct family *f;
	bool right;

	if (!s->n)
		s->n = ask_families(s->which);
	if (!s->n || !renew_map(w, s, rng))
		return SCENARIO_NOTHING;
	f = &families[s->which[rng_below(rng, s->n)]];
	if (f->slow && now_ns() < s->next_slow_ns)
		return SCENARIO_NOTHING;
	if (f->slow)
		s->next_slow_ns = now_ns() + SLOW_NS;
	right = !make(f, &sockets);
	if (!right)
		bump(&w->errors, 1);
	bump(&w->born[SOAK_SK], sockets.n);
	right = live(w, s, &sockets, rng) && right;
	unmake(f, &sockets);
	worker_took_effect(w);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	kept_close(w, &s->kept);
}

const struct scenario scenario_births_sockets = {
	.what = "sockets of every family that there is are born, are filled, and die",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
	.end = end,
};
