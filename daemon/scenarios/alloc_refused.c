// SPDX-License-Identifier: GPL-2.0-only
/*
 * Births for which the kernel cannot allocate something: its first allocation fails, then its
 * second, and so on until it succeeds. By failslab and /proc/thread-self/fail-nth
 * (lib/fault-inject.c), that is, for one system call of this thread and for nobody else. The parent
 * of the forks is the worker itself, which has values in maps of its own, and lives on.
 *
 * Out of reach: elements themselves, which come from kmalloc_nolock(), whose allocations failslab
 * does not see (memcg-refused has them fail); and the clones of accept(), which are made in
 * softirq, where fail-nth does not count.
 *
 * failslab's knobs belong to the machine and are left alone; with them as they are wanted here it
 * still fails nobody who did not ask for it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../log.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "refused.h"

#define MAPS	    8
#define MAPS_LEAST  4
#define BATCH	    4 /* maps made at once */
#define MAP_NS	    (500 * NSEC_PER_MSEC)
#define PAUSE_NS    (3 * NSEC_PER_MSEC)
#define PATIENCE_MS 2000

#define FAIL_NTH "/proc/thread-self/fail-nth"
#define FAILSLAB "/sys/kernel/debug/failslab/"

/* include/uapi/linux/pidfd.h: a pidfd of a thread; kernels without it answer EINVAL. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

enum way {
	WAY_FORK,
	WAY_SOCKET_UDP,
	WAY_SOCKET_TCP,
	WAY_SOCKET_UNIX,
	WAY_PAIR,
	WAY_UPDATE,
	WAY_ACCEPT,
	WAY_NR,
};

static const char *const way_names[WAY_NR] = { "fork", "udp",	 "tcp",	  "unix",
					       "pair", "update", "accept" };

struct sweep {
	unsigned int n; /* which allocation is the next one to fail */
	unsigned int refused;
	unsigned int survived; /* it failed, and the call succeeded without it */
	unsigned int done;     /* gone through from the first to the last */
};

struct state {
	bool began;
	int fail_nth;
	int self; /* pidfd of this thread */
	struct kept kept[MAPS];
	struct sweep sweeps[WAY_NR];
	struct kept cloned;   /* what the listener has */
	int listener, client; /* with a connection that waits to be accepted; -1: none */
	uint64_t next_ns, next_map_ns;
};

static bool knob_is(const char *path, const char *wanted)
{
	_cleanup_free_ char *text = NULL;

	return !read_file(path, &text, NULL) && !strncmp(text, wanted, strlen(wanted));
}

static const char *lacks(void)
{
	int pidfd;

	if (access(FAIL_NTH, W_OK))
		return "this kernel can fail no allocations: it takes CONFIG_FAULT_INJECTION and "
		       "CONFIG_FAILSLAB, such as the lab's kernel has (scripts/soak --kernel lab)";
	if (access(FAILSLAB "ignore-gfp-wait", R_OK))
		return FAILSLAB " cannot be read: it takes CONFIG_FAILSLAB, debugfs, and root";
	if (!knob_is(FAILSLAB "ignore-gfp-wait", "N") || !knob_is(FAILSLAB "verbose", "0"))
		return "failslab is to look at allocations that may sleep, and to be silent: "
		       "cd " FAILSLAB " && echo N >ignore-gfp-wait && echo 0 >verbose";
	pidfd = (int)syscall(SYS_pidfd_open, gettid(), PIDFD_THREAD);
	if (pidfd < 0)
		return "a kernel with pidfds of threads (PIDFD_THREAD) is needed";
	close(pidfd);
	return NULL;
}

static int begin(struct state *s)
{
	if (s->began)
		return 0;
	s->listener = s->client = -1;
	s->fail_nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (s->fail_nth < 0)
		return -errno;
	s->self = (int)syscall(SYS_pidfd_open, gettid(), PIDFD_THREAD);
	if (s->self < 0) {
		int r = -errno;

		close(s->fail_nth);
		return r;
	}
	for (enum way way = 0; way < WAY_NR; way++)
		s->sweeps[way].n = 1;
	s->began = true;
	return 0;
}

static unsigned int renew_maps(struct worker *w, struct state *s, struct rng *rng)
{
	unsigned int n = 0, made = 0;

	kept_replace(w, s->kept, MAPS, &s->next_map_ns, MAP_NS, rng);
	for (unsigned int i = 0; i < MAPS; i++) {
		if (s->kept[i].open || made++ >= BATCH)
			continue;
		if (!kept_open(w, SOAK_TASK, rng_below(rng, pool_shapes(w->pool)), &s->kept[i]))
			kept_put(w, &s->kept[i], s->self, rng);
	}
	for (unsigned int i = 0; i < MAPS; i++)
		n += s->kept[i].open;
	return n;
}

/* One system call. */

struct call {
	enum way way;
	int fds[2]; /* sockets that it made */
	int listener;
	struct kept *kept; /* of an update, as are the next three */
	int key;
	uint64_t cookie;
	unsigned char value[VALUE_MAX];
};

static void prepare(struct state *s, enum way way, struct rng *rng, struct call *ret)
{
	struct kept *kept = &s->kept[rng_below(rng, MAPS)];

	ret->way = way;
	ret->fds[0] = ret->fds[1] = -1;
	ret->listener = s->listener;
	ret->kept = kept;
	ret->key = s->self;
	ret->cookie = rng_next(rng) | 1;
	churn_make_value(ret->value, programs_value_size(kept->shape), ret->cookie, 0,
			 SOAK_ROLE_NONE);
}

static long call_fork(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (!pid)
		for (;;)
			syscall(SYS_exit_group, 0);
	return pid;
}

static long call(struct call *c)
{
	switch (c->way) {
	case WAY_FORK:
		return call_fork();
	case WAY_SOCKET_UDP:
		return c->fds[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	case WAY_SOCKET_TCP:
		return c->fds[0] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case WAY_SOCKET_UNIX:
		return c->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case WAY_PAIR:
		return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, c->fds);
	case WAY_UPDATE:
		return bpf_map_update_elem(c->kept->fd, &c->key, c->value, BPF_ANY);
	default:
		return c->fds[0] = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
	}
}

/* Its n-th allocation fails, if it makes so many. Returns its result, or -errno. */
static long call_with_fault(const struct state *s, struct call *c, unsigned int n, bool *ret_failed)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);
	long r;

	*ret_failed = false;
	if (pwrite(s->fail_nth, text, (size_t)len, 0) != len)
		return -EIO;
	r = call(c);
	r = r < 0 ? -errno : r;
	/* What is left of the count; 0: it was reached. */
	len = (int)pread(s->fail_nth, text, sizeof(text) - 1, 0);
	*ret_failed = len > 0 && text[0] == '0';
	if (pwrite(s->fail_nth, "0", 1, 0) != 1)
		log_error("alloc-refused: a fault may be left armed: %s", strerror(errno));
	return r;
}

/* What the call left behind. */
static void clean_up(struct worker *w, const struct call *c, long r)
{
	enum soak_kind kind = c->way == WAY_FORK ? SOAK_TASK : SOAK_SK;

	if (c->way == WAY_UPDATE || r < 0)
		return;
	bump(&w->born[kind], c->way == WAY_PAIR ? 2 : 1);
	if (c->way == WAY_FORK)
		while (waitpid((pid_t)r, NULL, 0) < 0 && errno == EINTR)
			;
	for (unsigned int i = 0; i < ARRAY_SIZE(c->fds); i++)
		if (c->fds[i] >= 0)
			close(c->fds[i]);
}

/* Connections that wait. */

static void drop_connection(struct state *s)
{
	if (s->client >= 0)
		close(TAKE_FD(s->client));
	if (s->listener >= 0)
		close(TAKE_FD(s->listener));
	kept_forget(&s->cloned);
}

static int connect_one(struct worker *w, struct state *s, struct rng *rng)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct linger linger = { .l_onoff = 1 };
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	s->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0 || s->client < 0)
		return -errno;
	bump(&w->born[SOAK_SK], 2);
	setsockopt(s->client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (bind(s->listener, (struct sockaddr *)&address, len) < 0 || listen(s->listener, 2) < 0 ||
	    getsockname(s->listener, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	if (s->cloned.open && kept_put(w, &s->cloned, s->listener, rng))
		return -EAGAIN;
	if (connect(s->client, (struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

/* A connection waits, with a value that was copied from its listener. */
static bool has_connection(struct worker *w, struct state *s, struct rng *rng)
{
	struct pollfd poll_fd = { .events = POLLIN };

	if (!s->cloned.open && kept_open(w, SOAK_SK, 1, &s->cloned))
		return false;
	if (s->listener < 0 && connect_one(w, s, rng)) {
		drop_connection(s);
		return false;
	}
	poll_fd.fd = s->listener;
	if (poll(&poll_fd, 1, PATIENCE_MS) == 1)
		return true;
	drop_connection(s);
	return false;
}

/* What is wrong with what there is after a call. */

static bool judge(struct worker *w, struct state *s, const struct call *c, long r)
{
	bool right = true;

	for (unsigned int i = 0; i < MAPS; i++)
		if (s->kept[i].open)
			right &= kept_judge(w, &s->kept[i], s->self,
					    "us, of a task whose call was refused");
	if (c->way != WAY_ACCEPT)
		return right;
	right &= kept_judge(w, &s->cloned, s->listener, "us, of a listener");
	if (r >= 0)
		right &= kept_judge(w, &s->cloned, c->fds[0], "us, of a clone");
	return right;
}

/* The next one to fail, and what has been seen. Returns whether the call was refused. */
static bool note(struct sweep *sweep, bool failed, long r)
{
	if (!failed) {
		sweep->done++;
		sweep->n = 1;
		return false;
	}
	sweep->n++;
	if (r >= 0)
		sweep->survived++;
	else
		sweep->refused++;
	return r < 0;
}

static void note_update(struct worker *w, const struct call *c, long r)
{
	if (r < 0) {
		worker_refused(w, (int)r);
		return;
	}
	c->kept->cookie = c->cookie;
	bump(&w->updates, 1);
}

static enum scenario_result refuse(struct worker *w, struct state *s, enum way way, struct rng *rng)
{
	bool failed, refused, right;
	struct call c;
	long r;

	prepare(s, way, rng, &c);
	if (way == WAY_UPDATE && !c.kept->open)
		return SCENARIO_NOTHING;
	r = call_with_fault(s, &c, s->sweeps[way].n, &failed);
	if (way == WAY_UPDATE)
		note_update(w, &c, r);
	right = judge(w, s, &c, r);
	clean_up(w, &c, r);
	/* Accepted, or gone: what was refused still waits. */
	if (way == WAY_ACCEPT && (r >= 0 || !failed))
		drop_connection(s);
	worker_took_effect(w);
	/* Without a fault of ours: pressure, or a lock that was made to fail. */
	if (!right || (!failed && r < 0))
		return SCENARIO_FAILED;
	refused = note(&s->sweeps[way], failed, r);
	return refused ? SCENARIO_EFFECT : SCENARIO_NOTHING;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	/* A fork makes more allocations than all others together. */
	enum way way = rng_below(rng, 2) ? WAY_FORK : rng_below(rng, WAY_NR);
	struct state *s = state;

	if (w->index >= REFUSED_WORKERS || now_ns() < s->next_ns)
		return SCENARIO_NOTHING;
	s->next_ns = now_ns() + PAUSE_NS;
	if (begin(s) < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	if (renew_maps(w, s, rng) < MAPS_LEAST || (way == WAY_ACCEPT && !has_connection(w, s, rng)))
		return SCENARIO_NOTHING;
	return refuse(w, s, way, rng);
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	if (!s->began)
		return;
	drop_connection(s);
	kept_close(w, &s->cloned);
	for (unsigned int i = 0; i < MAPS; i++)
		kept_close(w, &s->kept[i]);
	close(s->self);
	close(s->fail_nth);
	for (enum way way = 0; way < WAY_NR; way++)
		log_debug("alloc-refused: worker %u: %s: %u refused, %u survived, %u sweeps",
			  w->index, way_names[way], s->sweeps[way].refused, s->sweeps[way].survived,
			  s->sweeps[way].done);
}

const struct scenario scenario_alloc_refused = {
	.what = "forks, sockets, updates and accept() are refused at each of their allocations",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
	.end = end,
};
