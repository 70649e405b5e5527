// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP sockets end in all the ways in which they do not end with close(): by a reset from the other
 * side, as TIME_WAIT, which is another object, as orphans that have still something to send, and
 * unaccepted, with copies of their listener's values, when that is closed (inet_csk_listen_stop()).
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "../partner.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "deathbed.h"
#include "tcp.h"

#define PAUSE_NS     (50 * NSEC_PER_MSEC)
#define TIME_WAIT_NS (400 * NSEC_PER_MSEC) /* of some 28000 ports, each is taken for a minute */
#define STEP_US	     400
#define CLIENTS	     6
#define CHUNK	     2048
#define CHUNKS_MAX   4096
#define TRIES	     100

struct state {
	uint64_t next_ns;
	uint64_t next_time_wait_ns;
};

static bool make_pair(struct deathbed *bed, struct rng *rng, int fds[2])
{
	if (tcp_pair(rng_below(rng, 2), fds) < 0) {
		bump(&bed->w->errors, 1);
		return false;
	}
	deathbed_add(bed, fds[0]);
	deathbed_add(bed, fds[1]);
	return true;
}

/* The other side is told, and lives on. */
static bool play_reset(struct deathbed *bed, struct rng *rng)
{
	bool told;
	int fds[2];

	if (!make_pair(bed, rng, fds))
		return false;
	if (rng_below(rng, 2) && send(fds[1], "x", 1, MSG_NOSIGNAL) < 0)
		bed->right = false;
	deathbed_moment(bed);
	tcp_reset_at_close(fds[0]);
	close(fds[0]);
	told = tcp_hear(fds[1]) == -ECONNRESET;
	deathbed_judge(bed, 1, fds[1], "us, of a socket that was reset");
	deathbed_moment(bed);
	close(fds[1]);
	return told;
}

static bool is_taken(const struct sockaddr_storage *address, socklen_t len)
{
	_cleanup_close_ int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (const struct sockaddr *)address, len) < 0 &&
	       errno == EADDRINUSE;
}

/* Who closes first leaves its port taken, by what is no socket any more. */
static bool play_time_wait(struct deathbed *bed, struct rng *rng)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	bool told;
	int fds[2];

	if (!make_pair(bed, rng, fds))
		return false;
	told = !getsockname(fds[0], (struct sockaddr *)&address, &len);
	deathbed_moment(bed);
	close(fds[0]);
	told &= !tcp_hear(fds[1]);
	deathbed_judge(bed, 1, fds[1], "us, of a socket that the other side has closed");
	deathbed_moment(bed);
	close(fds[1]);
	deathbed_moment(bed);
	return told && is_taken(&address, len);
}

/* As much as is taken; the other side does not read. */
static unsigned int send_all_it_takes(int fd)
{
	static const char chunk[CHUNK];
	unsigned int n = 0;

	while (n < CHUNKS_MAX && send(fd, chunk, sizeof(chunk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		n++;
	return n;
}

/* Closed, it lives on until what it has to send is taken, or the other side goes. */
static bool play_orphan(struct deathbed *bed, struct rng *rng)
{
	unsigned int sent;
	bool told;
	int fds[2];

	if (!make_pair(bed, rng, fds))
		return false;
	sent = send_all_it_takes(fds[0]);
	deathbed_moment(bed);
	close(fds[0]);
	deathbed_moment(bed);
	sleep_ns(rng_below(rng, STEP_US) * NSEC_PER_USEC);
	told = tcp_hear(fds[1]) == 1;
	deathbed_judge(bed, 1, fds[1], "us, of the other side of an orphan");
	deathbed_moment(bed);
	/* What it has not read makes a reset of it. */
	close(fds[1]);
	return told && sent;
}

struct crowd {
	int listener; /* the partner's copy */
	int clients[CLIENTS];
	unsigned int n;
	uint64_t pause_ns;
};

static void connect_all(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned int i = 0; i < CLIENTS; i++) {
		int fd = tcp_connect(crowd->listener);

		if (fd >= 0)
			crowd->clients[crowd->n++] = fd;
		sleep_ns(crowd->pause_ns);
	}
}

/* A copy of the listener's value, which is the same. */
static bool accept_one(struct deathbed *bed, int listener)
{
	int client = tcp_connect(listener), accepted;

	if (client < 0)
		return false;
	accepted = tcp_accept(listener);
	if (accepted >= 0) {
		bump(&bed->w->born[SOAK_SK], 2);
		deathbed_judge(bed, 0, accepted, "us, of a clone");
		tcp_reset_at_close(client);
		close(accepted);
	}
	close(client);
	return accepted >= 0;
}

/* Whoever was not accepted is reset, at once or when it says something. */
static unsigned int count_reset(struct crowd *crowd)
{
	unsigned int reset = 0;

	for (unsigned int i = 0; i < crowd->n; i++) {
		int r = reset == i ? tcp_hear(crowd->clients[i]) : -EAGAIN;

		reset += r == -ECONNRESET;
		close(crowd->clients[i]);
	}
	return reset;
}

/*
 * All at once: others connect while the listener goes, or all that wait go with it. Its file is
 * closed here; the partner has a copy of it in the first case, which is closed last.
 */
static bool play_unaccepted(struct deathbed *bed, struct rng *rng)
{
	struct partner *partner = worker_partner(bed->w);
	struct crowd crowd = { .pause_ns = rng_below(rng, STEP_US) * NSEC_PER_USEC };
	int listener = tcp_listen(rng_below(rng, 2), CLIENTS + 1);
	unsigned int reset;
	bool copied;

	if (listener < 0 || !partner) {
		if (listener >= 0)
			close(listener);
		return false;
	}
	deathbed_add(bed, listener);
	copied = accept_one(bed, listener);
	crowd.listener = listener;
	partner_ask(partner, connect_all, &crowd);
	if (rng_below(rng, 2)) {
		sleep_ns(rng_below(rng, CLIENTS * STEP_US) * NSEC_PER_USEC);
		deathbed_moment(bed);
		/* The number stays taken, so that nobody else's listener comes to it. */
		shutdown(listener, SHUT_RDWR);
		deathbed_moment(bed);
		partner_wait(partner);
	} else {
		partner_wait(partner);
		deathbed_moment(bed);
	}
	bump(&bed->w->born[SOAK_SK], 2 * crowd.n);
	close(listener);
	deathbed_moment(bed);
	reset = count_reset(&crowd);
	return copied && reset && reset == crowd.n;
}

static bool play(struct deathbed *bed, struct state *st, unsigned int which, struct rng *rng)
{
	switch (which) {
	case 0:
		return play_reset(bed, rng);
	case 1:
		st->next_time_wait_ns = now_ns() + TIME_WAIT_NS;
		return play_time_wait(bed, rng);
	case 2:
		return play_orphan(bed, rng);
	default:
		return play_unaccepted(bed, rng);
	}
}

static int cloned_shape(struct worker *w, struct rng *rng)
{
	unsigned int shape = rng_below(rng, pool_shapes(w->pool));

	while (!programs_is_cloned(SOAK_SK, shape))
		shape = (shape + 1) % pool_shapes(w->pool);
	return (int)shape;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	unsigned int which = rng_below(rng, 4);
	struct state *st = state;
	struct deathbed bed;
	bool right;

	if (now_ns() < st->next_ns || (which == 1 && now_ns() < st->next_time_wait_ns))
		return SCENARIO_NOTHING;
	if (deathbed_new(w, SOAK_SK, which == 3 ? cloned_shape(w, rng) : -1, rng, &bed) < 0)
		return SCENARIO_NOTHING;
	right = play(&bed, st, which, rng) && bed.right;
	deathbed_end(&bed);
	worker_took_effect(w);
	st->next_ns = now_ns() + PAUSE_NS;
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

const struct scenario scenario_deaths_tcp = {
	.what = "TCP sockets are reset, orphaned, in TIME_WAIT, or go unaccepted with their listener",
	.state_size = sizeof(struct state),
	.step = step,
};
