/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that does nothing but fork when it is told to, in ways that the kernel refuses at one
 * stage of copy_process() (kernel/fork.c) or another. It is a child of the daemon, so that limits,
 * namespaces and capabilities are its own affair, and dies with the thread that made it. What runs
 * in it is in parent_stages.c, the worker's side in parent.c. One parent belongs to one thread.
 */
#ifndef SOAK_SCENARIO_PARENT_H
#define SOAK_SCENARIO_PARENT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct worker;

/*
 * In the order of copy_process(): identifier, name, the errno, whether it takes a parent in a user
 * namespace of its own (else one that is in none), which errno else it may be.
 */
#define FORK_STAGES(X)                                                                         \
	X(SIGNAL, "signal", 0, false, 0) /* restarted: the caller never sees ERESTARTNOINTR */ \
	X(USER_NS, "user-ns", ENOSPC, true, 0)                                                 \
	X(NPROC, "nproc", EAGAIN, false, 0)                                                    \
	X(LSM, "lsm", EPERM, false, 0)                                                         \
	X(MEMORY, "memory", ENOMEM, false, 0)                                                  \
	X(NAMESPACE, "namespace", ENOSPC, true, 0)                                             \
	X(TLS, "tls", EPERM, false, 0)                                                         \
	X(DEAD_PID_NS, "dead-pid-ns", ENOMEM, false, 0)                                        \
	X(TAKEN_PID, "taken-pid", EEXIST, false, 0)                                            \
	X(NOFILE, "nofile", EMFILE, false, 0)                                                  \
	X(PIDFD, "pidfd", EFAULT, false, 0)                                                    \
	X(NO_CGROUP, "no-cgroup", EBADF, false, 0)                                             \
	X(DEAD_CGROUP, "dead-cgroup", ENODEV, false, ENOENT)                                   \
	X(FULL_CGROUP, "full-cgroup", EAGAIN, false, 0)

#define STAGE_ID(id, name, error, contained, other) FORK_##id,
enum fork_stage { FORK_STAGES(STAGE_ID) FORK_STAGES_NR };
#undef STAGE_ID

const char *fork_stage_name(enum fork_stage stage);

/* Is this what the kernel answers there? error is positive. */
bool fork_stage_refuses(enum fork_stage stage, int error);

/* Whether it is for a parent in a user namespace of its own. */
bool fork_stage_is_contained(enum fork_stage stage);

#define FORK_UNTRIED (-1) /* in the place of an errno: what it takes could not be had */

/* What a parent answers. */
struct fork_answer {
	int error;	      /* errno of the fork that was to be refused, 0: it was not */
	int after;	      /* errno of an ordinary fork right after it */
	unsigned int signals; /* that its handler has seen so far */
	bool spent;	      /* it could not undo what it did: not to be used any more */
};

/* All zeros: none. */
struct parent {
	pid_t pid;
	int pidfd;
	int channel;
	int listener; /* of its forks with a mark, -1: none */
	int slot;     /* of its refusals, -1: none */
	bool contained;
	unsigned int signals; /* that it was sent */
};

#define PARENT_INIT                                                     \
	{                                                               \
		.pidfd = -1, .channel = -1, .listener = -1, .slot = -1, \
	}

/* Descriptors of a cgroup that is gone, and of one that is full; -1: none. Borrowed. */
struct parent_cgroups {
	int dead;
	int full;
};

/* Makes one. Returns 0 or -errno: -EOPNOTSUPP when it cannot be contained here. */
int parent_new(struct worker *w, bool contained, const struct parent_cgroups *cgroups,
	       struct parent *ret);

/*
 * Has it try one fork, and an ordinary one. detail: which of several ways. Returns 0, or -errno
 * when there is no answer; such a parent must be ended.
 */
int parent_try(struct worker *w, struct parent *parent, enum fork_stage stage, unsigned int detail,
	       struct fork_answer *ret);

/* Births in this parent that programs gave storage before they were refused, so far. */
unsigned int parent_filled(struct worker *w, const struct parent *parent);

/*
 * Ends it; in_fork: by SIGKILL in the midst of a fork, which copy_process() then breaks off at its
 * last stage, where programs can do that. Returns whether it was so. Safe when there is none.
 */
bool parent_end(struct worker *w, struct parent *parent, bool in_fork);

/* For parent.c and parent_stages.c. */

struct fork_order {
	enum fork_stage stage;
	unsigned int detail;
};

struct parent_hello {
	int slot;     /* of its refusals, -1: none */
	int listener; /* in its own table of descriptors, -1: none */
	bool able;    /* it is what it was to be */
};

struct parent_life {
	pid_t maker;
	int channel;
	int enlister; /* -1: none */
	struct parent_cgroups cgroups;
	bool contained;
};

#define FORK_MARK 0x736f616bUL /* third argument of clone3(): reported to the listener */

/* Never returns. In a copy of a threaded process: async-signal-safe calls only. */
void parent_main(struct parent_life *life) __attribute__((noreturn));

#endif
