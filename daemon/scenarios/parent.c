// SPDX-License-Identifier: GPL-2.0-only
/* The worker's side of a parent of refused forks: see parent.h. */
#include "parent.h"

#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../pool.h"
#include "../util.h"
#include "../worker.h"

#define PATIENCE_MS 4000

static const struct {
	const char *name;
	int error, other;
	bool contained;
} stages[] = {
#define STAGE_ROW(id, name_, error_, contained_, other_) \
	[FORK_##id] = { .name = name_, .error = error_, .other = other_, .contained = contained_ },
	FORK_STAGES(STAGE_ROW)
#undef STAGE_ROW
};

const char *fork_stage_name(enum fork_stage stage)
{
	return stages[stage].name;
}

bool fork_stage_refuses(enum fork_stage stage, int error)
{
	return error == stages[stage].error || (error > 0 && error == stages[stage].other);
}

bool fork_stage_is_contained(enum fork_stage stage)
{
	return stages[stage].contained;
}

static bool is_ready(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, PATIENCE_MS) == 1 && poll_fd.revents & POLLIN;
}

static bool hear(const struct parent *parent, void *ret, size_t size)
{
	return is_ready(parent->channel) && recv(parent->channel, ret, size, 0) == (ssize_t)size;
}

static int fork_parent(struct worker *w, bool contained, const struct parent_cgroups *cgroups,
		       int channel, struct parent *ret)
{
	struct parent_life life = {
		.maker = getpid(),
		.channel = channel,
		.enlister = programs_enlister(pool_programs(w->pool), SOAK_TASK),
		.cgroups = *cgroups,
		.contained = contained,
	};
	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD,
				   .pidfd = (uint64_t)(uintptr_t)&pidfd,
				   .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return -errno;
	if (!pid)
		parent_main(&life);
	ret->pid = pid;
	ret->pidfd = pidfd;
	return 0;
}

/* A listener that cannot be had costs one stage, and no more. */
static int meet(struct parent *parent)
{
	struct parent_hello hello;

	if (!hear(parent, &hello, sizeof(hello)))
		return -ESRCH;
	parent->slot = hello.slot;
	if (hello.listener >= 0)
		parent->listener = (int)syscall(SYS_pidfd_getfd, parent->pidfd, hello.listener, 0);
	return hello.able ? 0 : -EOPNOTSUPP;
}

int parent_new(struct worker *w, bool contained, const struct parent_cgroups *cgroups,
	       struct parent *ret)
{
	struct parent parent = PARENT_INIT;
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	parent.channel = ends[0];
	parent.contained = contained;
	r = fork_parent(w, contained, cgroups, ends[1], &parent);
	close(ends[1]);
	bump(&w->born[SOAK_SK], 2);
	if (!r) {
		bump(&w->born[SOAK_TASK], 1);
		r = meet(&parent);
	}
	if (!r) {
		*ret = parent;
		return 0;
	}
	if (parent.pid > 0)
		parent_end(w, &parent, false);
	else
		close(parent.channel);
	return r;
}

static struct soak_refusal *refusal_of(struct worker *w, const struct parent *parent)
{
	return parent->slot < 0
		       ? NULL
		       : programs_refusal(pool_programs(w->pool), (unsigned int)parent->slot);
}

/* One birth, the next one or the one after it. */
static void arm(struct worker *w, const struct parent *parent, unsigned int what, unsigned int skip)
{
	struct soak_refusal *refusal = refusal_of(w, parent);

	if (!refusal)
		return;
	refusal->what = what;
	refusal->skip = skip;
	__atomic_store_n(&refusal->left, what ? 1 : 0, __ATOMIC_SEQ_CST);
}

/* A marked fork has come to the listener: it goes on, with a signal waiting for it or not. */
static bool let_go_on(const struct parent *parent, bool with_signal)
{
	struct seccomp_notif request = { 0 };
	struct seccomp_notif_resp response = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	if (!is_ready(parent->listener) ||
	    ioctl(parent->listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return false;
	if (with_signal && kill(parent->pid, SIGUSR1) < 0)
		return false;
	response.id = request.id;
	return !ioctl(parent->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

/*
 * The fork comes twice: the signal was waiting when copy_process() looked, so it said
 * -ERESTARTNOINTR, the handler ran, and the system call began anew.
 */
static bool interrupt(struct parent *parent)
{
	parent->signals++;
	return let_go_on(parent, true) && let_go_on(parent, false);
}

/* Before the hook there is nothing that could be filled. */
static unsigned int what_to_do(enum fork_stage stage)
{
	if (stage < FORK_LSM)
		return 0;
	return SOAK_REFUSE_FILL | (stage == FORK_LSM ? SOAK_REFUSE_DENY : 0);
}

int parent_try(struct worker *w, struct parent *parent, enum fork_stage stage, unsigned int detail,
	       struct fork_answer *ret)
{
	struct fork_order order = { .stage = stage, .detail = detail };
	bool interrupted = true;

	*ret = (struct fork_answer){ .error = FORK_UNTRIED };
	if ((stage == FORK_SIGNAL && parent->listener < 0) ||
	    (stage == FORK_LSM && parent->slot < 0))
		return 0;
	/* The first process of a namespace that is to be dead is let through. */
	arm(w, parent, what_to_do(stage), stage == FORK_DEAD_PID_NS);
	if (send(parent->channel, &order, sizeof(order), MSG_NOSIGNAL) != sizeof(order))
		return -EPIPE;
	if (stage == FORK_SIGNAL)
		interrupted = interrupt(parent);
	if (!hear(parent, ret, sizeof(*ret)))
		return -ESRCH;
	arm(w, parent, 0, 0);
	if (!interrupted || ret->signals != parent->signals)
		ret->error = FORK_UNTRIED;
	return 0;
}

unsigned int parent_filled(struct worker *w, const struct parent *parent)
{
	const struct soak_refusal *refusal = refusal_of(w, parent);

	return refusal ? __atomic_load_n(&refusal->filled, __ATOMIC_RELAXED) : 0;
}

/* Its fork is broken off at the last stage (fatal_signal_pending()), after which it dies. */
static bool kill_in_fork(struct worker *w, const struct parent *parent)
{
	struct fork_order order = { .stage = FORK_LSM };
	struct fork_answer answer;

	if (parent->slot < 0)
		return false;
	arm(w, parent, SOAK_REFUSE_FILL | SOAK_REFUSE_KILL, 0);
	if (send(parent->channel, &order, sizeof(order), MSG_NOSIGNAL) != sizeof(order))
		return false;
	/* It answers only if nobody killed it. */
	return !hear(parent, &answer, sizeof(answer)) && is_ready(parent->pidfd);
}

static void discharge(struct worker *w, struct parent *parent)
{
	if (parent->slot < 0)
		return;
	programs_discharge(pool_programs(w->pool), (unsigned int)parent->slot);
	parent->slot = -1;
}

bool parent_end(struct worker *w, struct parent *parent, bool in_fork)
{
	bool broken_off;

	if (parent->pid <= 0)
		return false;
	broken_off = in_fork && kill_in_fork(w, parent);
	kill(parent->pid, SIGKILL);
	while (waitpid(parent->pid, NULL, 0) < 0 && errno == EINTR)
		;
	discharge(w, parent);
	if (parent->listener >= 0)
		close(parent->listener);
	close(parent->channel);
	close(parent->pidfd);
	*parent = (struct parent)PARENT_INIT;
	return broken_off;
}
