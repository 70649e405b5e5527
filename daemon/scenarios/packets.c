// SPDX-License-Identifier: GPL-2.0-only
/*
 * Datagrams arrive at a socket, in softirq, where a program puts and deletes a value of that
 * socket, while this thread does the same by its descriptor. Then the socket is closed with
 * datagrams still arriving: bpf_sk_storage_get() must not put anything there any more
 * (refcount_inc_not_zero() in net/core/bpf_sk_storage.c).
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "../partner.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "order.h"
#include "rivals.h"

#define PAUSE_NS (500 * NSEC_PER_MSEC)
#define TURN_NS	 (10 * NSEC_PER_MSEC)
#define DEATH_US 1000

struct state {
	struct order_marked marked;
	uint64_t next_ns;
};

/* Of the partner, who sends until it is told to stop. */
struct sender {
	int fd;
	struct sockaddr_storage to;
	socklen_t len;
	bool stop;
};

static void send_on(void *arg)
{
	struct sender *sender = arg;

	while (!__atomic_load_n(&sender->stop, __ATOMIC_ACQUIRE))
		sendto(sender->fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
		       (const struct sockaddr *)&sender->to, sender->len);
}

static const char *lacks(void)
{
	return order_lacks(SOAK_BY_PACKET, SOAK_SK);
}

/* One that receives, bound to loopback, and one that sends there. */
static int new_sockets(bool v6, int *ret_fd, struct sender *ret)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	_cleanup_close_ int fd = -1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || (v6 ? bind(fd, (struct sockaddr *)&in6, sizeof(in6))
			  : bind(fd, (struct sockaddr *)&in, sizeof(in))) < 0)
		return -errno;
	ret->len = sizeof(ret->to);
	if (getsockname(fd, (struct sockaddr *)&ret->to, &ret->len) < 0)
		return -errno;
	ret->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ret->fd < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* In softirq the program did both, and so did we. */
static bool both_came(const struct soak_order *order, const struct tally *tally)
{
	return order->in_softirq && order->put && order->deleted && tally->updates &&
	       tally->deletes;
}

static bool live(struct worker *w, struct state *s, int fd, struct rng *rng)
{
	struct prize prize = { .map = s->marked.value.fd, .key = fd };
	struct tally tally = { 0 };

	rivals_compete(&prize, now_ns() + TURN_NS, rng, &tally);
	rivals_count(w, &tally, "a program in softirq");
	order_end(w);
	return rivals_settle(w, &s->marked.value, fd, rng) & both_came(order_of(w), &tally);
}

/* The sender goes on while the order is given anew, and while the socket is closed. */
static bool play(struct worker *w, struct state *s, int fd, struct sender *sender, struct rng *rng)
{
	bool right;

	order_give(w, SOAK_BY_PACKET, SOAK_VERB_EITHER, ORDER_MARKED, 1);
	partner_ask(worker_partner(w), send_on, sender);
	right = live(w, s, fd, rng);
	order_give(w, SOAK_BY_PACKET, SOAK_VERB_EITHER, ORDER_MARKED, 1);
	sleep_ns(rng_below(rng, DEATH_US) * NSEC_PER_USEC);
	close(fd);
	sleep_ns(rng_below(rng, DEATH_US) * NSEC_PER_USEC);
	__atomic_store_n(&sender->stop, true, __ATOMIC_RELEASE);
	partner_wait(worker_partner(w));
	order_end(w);
	return right;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct sender sender = { .fd = -1 };
	struct state *s = state;
	bool right = false;
	int fd = -1;

	if (now_ns() < s->next_ns || !order_of(w) || !order_mark(w, SOAK_SK, &s->marked))
		return SCENARIO_NOTHING;
	s->next_ns = now_ns() + PAUSE_NS;
	if (!worker_partner(w) || new_sockets(rng_below(rng, 2), &fd, &sender) < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	bump(&w->born[SOAK_SK], 2);
	kept_forget(&s->marked.mark);
	if (kept_put(w, &s->marked.mark, fd, rng))
		close(fd);
	else
		right = play(w, s, fd, &sender, rng);
	close(sender.fd);
	worker_took_effect(w);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	order_unmark(w, SOAK_SK, &s->marked);
}

const struct scenario scenario_packets = {
	.what = "a program in softirq puts and deletes a socket's value while this is done by bpf(2)",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
	.end = end,
};
