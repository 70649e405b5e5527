/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process of several threads that does what it is told: each of its tasks can be made to exit, to
 * end the process, to execute another program, or to close one of the descriptors that it was
 * given. It does not outlive the thread that made it, which alone may use it.
 */
#ifndef SOAK_CREW_H
#define SOAK_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CREW_TASKS 8 /* the first task and its threads, at most */
#define CREW_KEEPS 16
#define CREW_ROOM  2048 /* bytes that it shares with its maker */

enum crew_act {
	CREW_EXIT,	 /* that task alone; the others go on, also without the first */
	CREW_EXIT_GROUP, /* all of them, with the argument as exit status */
	CREW_EXECUTE,	 /* that task stays, as the first, and is another program; the others end */
	CREW_CLOSE,	 /* of the descriptors that it was given the one that was called so */
};

struct crew_page;

struct crew {
	unsigned int n;		/* tasks, the first among them */
	pid_t tids[CREW_TASKS]; /* [0]: of the process */
	int pidfds[CREW_TASKS]; /* threads: -1 on kernels before 6.9 */
	struct crew_page *page;
};

struct crew_options {
	unsigned int tasks; /* 1 to CREW_TASKS */
	const int *keep;    /* descriptors that it is to have, under the same numbers */
	unsigned int n_keep;

	/*
	 * Called in the new process before it has threads, room being crew_room():
	 * async-signal-safe calls only. Returns 0 or -errno; then there is no crew.
	 */
	int (*begin)(void *room);
	const void *room; /* what is in there at first, CREW_ROOM bytes; NULL: zeros */
};

/* What this machine lacks for it, a sentence that says what would help; NULL: nothing. */
const char *crew_lacks(void);

/* The same for having its descriptors by crew_fd(). */
const char *crew_fds_lack(void);

/* Returns 0 or -errno, with nothing left behind, when all of its tasks are there. */
int crew_new(const struct crew_options *options, struct crew *ret);

/*
 * Tells one task to do something, and waits until it is about to, or has closed that descriptor.
 * Returns 0, or -ETIMEDOUT when nothing is heard of it for two seconds.
 */
int crew_tell(struct crew *crew, unsigned int task, enum crew_act act, int argument);

/*
 * What the process calls fd, as a descriptor of ours (pidfd_getfd()). Returns it or -errno: -EBADF
 * when it is closed, -ESRCH when the process has ended.
 */
int crew_fd(const struct crew *crew, int fd);

void *crew_room(const struct crew *crew);

/* Waits for the end of one task, or of the whole process with task 0. False after two seconds. */
bool crew_has_ended(const struct crew *crew, unsigned int task);

/* Kills it from outside, without waiting. */
void crew_kill(const struct crew *crew);

/*
 * Kills it, unless it has ended, and reaps it. Returns its status as waitpid() has it, -1 without
 * one. The pidfds stay until crew_free().
 */
int crew_reap(struct crew *crew);

/* Kills, reaps and releases everything. Safe for all zeros, and twice. */
void crew_free(struct crew *crew);

#endif
