// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets whose last reference is no descriptor: they die when somebody returns from a system call
 * on them, or when a message in flight (SCM_RIGHTS) goes unread with the socket that it waits in,
 * or by the garbage collector of UNIX sockets when nobody can ever read it. And such that were shut
 * down before, in every direction.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "../partner.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "deathbed.h"
#include "tcp.h"

#define PAUSE_NS (50 * NSEC_PER_MSEC)
#define GC_TRIES 50

struct state {
	uint64_t next_ns;
};

static void close_both(int fds[2])
{
	for (unsigned int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(TAKE_FD(fds[i]));
}

static bool new_unix(int type, int ret[2])
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret) < 0)
		return false;
	tcp_be_patient(ret[0]);
	tcp_be_patient(ret[1]);
	return true;
}

/* On a port of its own, connected to itself or not. */
static int new_udp(bool connected)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) < 0 ||
	    (connected && connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0))
		return -1;
	tcp_be_patient(fd);
	return TAKE_FD(fd);
}

/* One that hears of it, and one that does it; -1: the same. */
static bool new_any(struct rng *rng, bool connected, int ret[2])
{
	ret[0] = ret[1] = -1;
	switch (rng_below(rng, 4)) {
	case 0:
		return new_unix(SOCK_STREAM, ret);
	case 1:
		return new_unix(SOCK_SEQPACKET, ret);
	case 2:
		return !tcp_pair(rng_below(rng, 2), ret);
	default:
		ret[0] = new_udp(connected);
		return ret[0] >= 0;
	}
}

static bool make_any(struct deathbed *bed, struct rng *rng, bool connected, int fds[2])
{
	if (!new_any(rng, connected, fds)) {
		bump(&bed->w->errors, 1);
		close_both(fds);
		return false;
	}
	for (unsigned int i = 0; i < 2 && fds[i] >= 0; i++)
		deathbed_add(bed, fds[i]);
	return true;
}

/* Who hears nothing more is told so; both keep their values until they are closed. */
static bool play_shutdown(struct deathbed *bed, struct rng *rng)
{
	int fds[2], actor;
	bool told;

	if (!make_any(bed, rng, true, fds))
		return false;
	actor = fds[1] >= 0 ? fds[1] : fds[0];
	if (rng_below(rng, 2))
		told = !shutdown(actor, SHUT_RDWR) && !tcp_hear(fds[0]);
	else if (fds[1] >= 0)
		told = !shutdown(actor, SHUT_WR) && !tcp_hear(fds[0]);
	else
		told = !shutdown(actor, SHUT_RD) && !tcp_hear(fds[0]);
	for (unsigned int i = 0; i < 2 && fds[i] >= 0; i++)
		deathbed_judge(bed, i, fds[i], "us, of a socket that was shut down");
	for (unsigned int i = 0; i < 2; i++) {
		deathbed_moment(bed);
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return told;
}

#define IN_FLIGHT 4

/* Sends copies of these descriptors, -1: none, through the socket, where they stay. */
static bool send_fds(int through, const int fds[IN_FLIGHT])
{
	char control[CMSG_SPACE(IN_FLIGHT * sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	int there[IN_FLIGHT];
	struct cmsghdr *cmsg;
	size_t n = 0;

	for (unsigned int i = 0; i < IN_FLIGHT; i++)
		if (fds[i] >= 0)
			there[n++] = fds[i];
	msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), there, n * sizeof(int));
	return sendmsg(through, &msg, MSG_NOSIGNAL) == 1;
}

/* The first of those that are received; the others are closed. -1: none. */
static int receive_fds(int from)
{
	char control[CMSG_SPACE(IN_FLIGHT * sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg;
	int fds[IN_FLIGHT];
	size_t n;

	if (recvmsg(from, &msg, MSG_CMSG_CLOEXEC) != 1 || !(cmsg = CMSG_FIRSTHDR(&msg)) ||
	    cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(cmsg), n * sizeof(int));
	for (size_t i = 1; i < n; i++)
		close(fds[i]);
	return n ? fds[0] : -1;
}

/* When nobody can read any more what is in flight: the last writer of the pipe was among it. */
static bool was_dropped(int witness)
{
	char byte;

	for (unsigned int i = 0; i < GC_TRIES; i++) {
		int fd;

		if (!read(witness, &byte, 1))
			return true;
		/* The garbage collector looks when a UNIX socket is closed. */
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0)
			close(fd);
		sleep_ns(10 * NSEC_PER_MSEC);
	}
	return false;
}

enum { READ, UNREAD, CYCLE, FLIGHTS };

/* What was sent, in a cycle the path itself, is in flight and nowhere else. */
static bool fly(struct deathbed *bed, int path[2], unsigned int how, int witness)
{
	bool gone;

	if (how == READ) {
		int fd = receive_fds(path[1]);

		if (fd < 0)
			return false;
		deathbed_judge(bed, 0, fd, "us, of a socket that was in flight");
		deathbed_moment(bed);
		close(fd);
	}
	if (path[0] >= 0)
		close(TAKE_FD(path[0]));
	deathbed_moment(bed);
	if (path[1] >= 0)
		close(TAKE_FD(path[1]));
	gone = was_dropped(witness);
	deathbed_moment(bed);
	return gone;
}

static bool play_flight(struct deathbed *bed, struct rng *rng)
{
	unsigned int how = rng_below(rng, FLIGHTS);
	int victims[2], path[2], witness[2];
	bool right;

	if (pipe2(witness, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	if (!new_unix(rng_below(rng, 2) ? SOCK_STREAM : SOCK_DGRAM, path)) {
		close_both(witness);
		return false;
	}
	right = make_any(bed, rng, rng_below(rng, 2), victims);
	if (right) {
		int fds[IN_FLIGHT] = { victims[0], victims[1], witness[1],
				       how == CYCLE ? path[1] : -1 };

		bump(&bed->w->born[SOAK_SK], 2);
		right = send_fds(path[0], fds);
		close_both(victims);
		close(TAKE_FD(witness[1]));
		deathbed_moment(bed);
		right = right && fly(bed, path, how, witness[0]);
	}
	close_both(path);
	close_both(witness);
	return right;
}

struct blocked {
	int fd;
	int heard;
};

static void block(void *arg)
{
	struct blocked *blocked = arg;

	blocked->heard = tcp_hear(blocked->fd);
}

/* Closed while somebody waits in recv(), who is then given something to hear, and is the last. */
static bool play_io(struct deathbed *bed, struct rng *rng)
{
	struct partner *partner = worker_partner(bed->w);
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	struct blocked blocked;
	int fds[2], sender;

	if (null < 0 || !partner || !make_any(bed, rng, false, fds))
		return false;
	sender = fds[1] >= 0 ? fds[1] : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fds[1] < 0 && getsockname(fds[0], (struct sockaddr *)&in, &len) < 0)
		bed->right = false;
	blocked.fd = fds[0];
	partner_ask(partner, block, &blocked);
	sleep_ns(2 * NSEC_PER_MSEC);
	deathbed_moment(bed);
	/* Its number stays ours: if the partner comes late it must not find somebody else's. */
	dup3(null, fds[0], O_CLOEXEC);
	deathbed_moment(bed);
	if (fds[1] < 0)
		sendto(sender, "x", 1, 0, (struct sockaddr *)&in, sizeof(in));
	else
		send(sender, "x", 1, MSG_NOSIGNAL);
	partner_wait(partner);
	deathbed_moment(bed);
	close(fds[0]);
	close(sender);
	return blocked.heard == 1;
}

static bool play(struct deathbed *bed, struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return play_shutdown(bed, rng);
	case 1:
		return play_io(bed, rng);
	default:
		return play_flight(bed, rng);
	}
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct state *st = state;
	struct deathbed bed;
	bool right;

	if (now_ns() < st->next_ns || deathbed_new(w, SOAK_SK, -1, rng, &bed) < 0)
		return SCENARIO_NOTHING;
	right = play(&bed, rng) && bed.right;
	deathbed_end(&bed);
	worker_took_effect(w);
	st->next_ns = now_ns() + PAUSE_NS;
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

const struct scenario scenario_deaths_sockets = {
	.what = "sockets die shut down, in flight (SCM_RIGHTS), by garbage collection, and in recv()",
	.state_size = sizeof(struct state),
	.step = step,
};
