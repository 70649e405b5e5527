// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process makes a network namespace of its own and sockets in it, dies, and all go with it:
 * listeners, unaccepted with copies of their values, orphans, what is in TIME_WAIT. Sockets hold
 * their namespace: now and then one of them is kept for a while, and then is the last to do so.
 * That the namespace is gone (cleanup_net() in net/core/net_namespace.c) the kernel says by itself,
 * to those who have given it a number.
 */
#include <errno.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "../caps.h"
#include "../crew.h"
#include "../netlink.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "deathbed.h"
#include "tcp.h"

#define PAUSE_NS    (1500 * NSEC_PER_MSEC) /* namespaces are slow to make, and slower to go */
#define PATIENCE_NS (10 * NSEC_PER_SEC)
#define CLIENTS	    3
#define SOCKETS	    10
#define NUMBER_MAX  0x3fffffff
#define PAIR	    (CLIENTS + 1) /* where the pair stands */
#define PART	    8192

/* In the room of a crew of one. */
struct world {
	unsigned int n;
	int fds[SOCKETS]; /* a listener, CLIENTS to be connected, a connected pair, others */
};

struct state {
	uint64_t next_ns;
	int news;	   /* of namespaces, 0: none */
	uint32_t number;   /* of the one that is going, 0: none is */
	uint64_t since_ns; /* when it began to */
};

/* In a copy of a threaded process, down to make_world(): async-signal-safe calls only. */

static bool raise_loopback(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return false;
	request.ifr_flags |= IFF_UP;
	return !ioctl(fd, SIOCSIFFLAGS, &request);
}

static void keep(struct world *world, int fd)
{
	if (fd >= 0 && world->n < SOCKETS)
		world->fds[world->n++] = fd;
}

static void make_udp(struct world *world)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0)
		keep(world, fd);
	keep(world, socket(AF_INET6, SOCK_DGRAM, 0));
}

static void make_pair(struct world *world)
{
	int fds[2];

	if (tcp_pair(false, fds))
		return;
	keep(world, fds[0]);
	keep(world, fds[1]);
}

/* What goes with the namespace without being a socket. */
static void leave_time_wait(void)
{
	int fds[2];

	if (tcp_pair(false, fds))
		return;
	close(fds[0]);
	tcp_hear(fds[1]);
	close(fds[1]);
}

static int make_world(void *room)
{
	struct world *world = room;
	int unix_pair[2];

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	if (!raise_loopback())
		return -ENETDOWN;
	keep(world, tcp_listen(false, 2 * CLIENTS));
	for (unsigned int i = 0; i < CLIENTS; i++)
		keep(world, socket(AF_INET, SOCK_STREAM, 0));
	make_pair(world);
	if (world->n != CLIENTS + 3)
		return -ENOTCONN;
	leave_time_wait();
	make_udp(world);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, unix_pair) == 0) {
		keep(world, unix_pair[0]);
		keep(world, unix_pair[1]);
	}
	return 0;
}

/* Ours again. News of namespaces. */

struct naming {
	struct nlmsghdr header;
	struct rtgenmsg family;
	unsigned char pad[3];
	struct nlattr pid_header;
	uint32_t pid;
	struct nlattr number_header;
	uint32_t number;
};

static int open_news(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int group = RTNLGRP_NSID;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* It has been given by now; there may be news before it. */
static int hear_answer(int news)
{
	_Alignas(8) unsigned char part[PART];
	struct netlink_message message;
	ssize_t r;

	while ((r = recv(news, part, sizeof(part), MSG_DONTWAIT)) > 0) {
		struct netlink_bytes in = { part, (size_t)r };

		while (netlink_next_message(&in, &message) > 0)
			if (message.header.nlmsg_type == NLMSG_ERROR)
				return netlink_error(&message);
	}
	return -ENOMSG;
}

/* The namespace of a process is to be known here by that number. */
static int give_number(int news, pid_t pid, uint32_t number)
{
	struct naming naming = {
		.header = { .nlmsg_len = sizeof(naming),
			    .nlmsg_type = RTM_NEWNSID,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.pid_header = { sizeof(struct nlattr) + sizeof(uint32_t), NETNSA_PID },
		.pid = (uint32_t)pid,
		.number_header = { sizeof(struct nlattr) + sizeof(uint32_t), NETNSA_NSID },
		.number = number,
	};

	return send(news, &naming, sizeof(naming), 0) < 0 ? -errno : hear_answer(news);
}

static bool is_end_of(const struct netlink_message *message, uint32_t number)
{
	struct netlink_bytes in = message->data;
	struct netlink_attribute found;
	uint32_t told;

	if (message->header.nlmsg_type != RTM_DELNSID ||
	    in.left < NLMSG_ALIGN(sizeof(struct rtgenmsg)))
		return false;
	in.at += NLMSG_ALIGN(sizeof(struct rtgenmsg));
	in.left -= NLMSG_ALIGN(sizeof(struct rtgenmsg));
	while (netlink_next_attribute(&in, &found))
		if (found.type == NETNSA_NSID && netlink_number(&found, &told))
			return told == number;
	return false;
}

/* Reads what there is. */
static bool is_gone(int news, uint32_t number)
{
	_Alignas(8) unsigned char part[PART];
	struct netlink_message message;
	bool gone = false;
	ssize_t r;

	while ((r = recv(news, part, sizeof(part), MSG_DONTWAIT)) > 0) {
		struct netlink_bytes in = { part, (size_t)r };

		while (netlink_next_message(&in, &message) > 0)
			gone |= is_end_of(&message, number);
	}
	return gone;
}

/* Clones, in a namespace that is not ours: a socket acts where it was made. */
static unsigned int connect_clients(const int fds[], int listener)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	unsigned int n = 0;

	if (getsockname(listener, (struct sockaddr *)&in, &len) < 0)
		return 0;
	for (unsigned int i = 0; i < CLIENTS; i++) {
		tcp_be_patient(fds[i]);
		n += !connect(fds[i], (struct sockaddr *)&in, sizeof(in));
	}
	return n;
}

/* Everybody gets a value. fds: as we call them. */
static bool furnish(struct deathbed *bed, const struct crew *crew, int fds[SOCKETS])
{
	const struct world *world = crew_room(crew);
	bool right;

	for (unsigned int i = 0; i < world->n; i++) {
		fds[i] = crew_fd(crew, world->fds[i]);
		if (fds[i] < 0)
			return false;
		deathbed_add(bed, fds[i]);
	}
	right = connect_clients(fds + 1, fds[0]) == CLIENTS;
	bump(&bed->w->born[SOAK_SK], CLIENTS);
	for (unsigned int i = 0; i < world->n; i++)
		deathbed_judge(bed, i, fds[i], "us, of a socket in another namespace");
	return right;
}

static void close_but(int fds[SOCKETS], unsigned int kept)
{
	for (unsigned int i = 0; i < SOCKETS; i++)
		if (i != kept && fds[i] >= 0)
			close(TAKE_FD(fds[i]));
}

static bool end_world(struct deathbed *bed, struct crew *crew, int fds[SOCKETS], struct rng *rng)
{
	const struct world *world = crew_room(crew);
	/* Of half of them nobody. */
	unsigned int kept = rng_below(rng, 2 * world->n);
	bool right;

	/* With something unread on the other side it goes on without a descriptor. */
	right = send(fds[PAIR], "x", 1, MSG_NOSIGNAL) == 1;
	close_but(fds, kept);
	right &= !crew_tell(crew, 0, CREW_CLOSE, world->fds[PAIR]);
	deathbed_moment(bed);
	if (rng_below(rng, 2))
		crew_kill(crew);
	else
		crew_tell(crew, 0, CREW_EXIT_GROUP, 0);
	right &= crew_has_ended(crew, 0);
	deathbed_moment(bed);
	if (kept < world->n)
		deathbed_judge(bed, kept, fds[kept], "us, of the last in its namespace");
	close_but(fds, SOCKETS);
	deathbed_moment(bed);
	return right;
}

static bool play(struct deathbed *bed, struct state *st, struct rng *rng)
{
	struct crew_options options = { .tasks = 1, .begin = make_world };
	uint32_t number = 1 + rng_below(rng, NUMBER_MAX);
	struct crew crew = { 0 };
	int fds[SOCKETS];
	bool right;

	for (unsigned int i = 0; i < SOCKETS; i++)
		fds[i] = -1;
	if (crew_new(&options, &crew))
		return false;
	bump(&bed->w->born[SOAK_TASK], 1);
	right = !give_number(st->news, crew.tids[0], number) && furnish(bed, &crew, fds);
	if (right)
		right = end_world(bed, &crew, fds, rng) && bed->right;
	close_but(fds, SOCKETS);
	crew_free(&crew);
	st->number = right ? number : 0;
	return right;
}

static enum scenario_result await(struct worker *w, struct state *st)
{
	if (is_gone(st->news, st->number)) {
		st->number = 0;
		worker_took_effect(w);
		return SCENARIO_EFFECT;
	}
	if (now_ns() < st->since_ns + PATIENCE_NS)
		return SCENARIO_NOTHING;
	st->number = 0;
	return SCENARIO_FAILED;
}

static int cloned_shape(struct worker *w, struct rng *rng)
{
	unsigned int shape = rng_below(rng, pool_shapes(w->pool));

	while (!programs_is_cloned(SOAK_SK, shape))
		shape = (shape + 1) % pool_shapes(w->pool);
	return (int)shape;
}

/* It counts when the namespace is gone, by which time other things have been played. */
static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct state *st = state;
	struct deathbed bed;
	bool right;

	if (st->number)
		return await(w, st);
	if (!st->news)
		st->news = open_news();
	if (st->news < 0)
		return SCENARIO_FAILED;
	if (now_ns() < st->next_ns || deathbed_new(w, SOAK_SK, cloned_shape(w, rng), rng, &bed) < 0)
		return SCENARIO_NOTHING;
	right = play(&bed, st, rng);
	deathbed_end(&bed);
	worker_took_effect(w);
	st->since_ns = now_ns();
	st->next_ns = st->since_ns + PAUSE_NS;
	return right ? SCENARIO_NOTHING : SCENARIO_FAILED;
}

static void end(struct worker *w, void *state)
{
	struct state *st = state;

	(void)w;
	if (st->news > 0)
		close(st->news);
}

static const char *why_not(void)
{
	struct crew_options options = { .tasks = 1, .begin = make_world };
	_cleanup_close_ int news = open_news();
	struct crew crew = { 0 };
	int r = crew_new(&options, &crew);

	if (!r)
		r = give_number(news, crew.tids[0], 1 + (uint32_t)now_ns() % NUMBER_MAX);
	crew_free(&crew);
	if (!r)
		return crew_fds_lack();
	if (r == -EINVAL)
		return "this kernel has no network namespaces: CONFIG_NET_NS would help";
	return "no network namespace can be made: CAP_SYS_ADMIN, CAP_NET_ADMIN, AF_NETLINK, and "
	       "unshare() past a seccomp filter would help";
}

static const char *lacks(void)
{
	return caps_has(CAP_SYS_ADMIN)
		       ? why_not()
		       : "no network namespace can be made: CAP_SYS_ADMIN would help";
}

const struct scenario scenario_deaths_netns = {
	.what = "a process dies with its network namespace and all the sockets in it",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
	.end = end,
};
