/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tasks that share this process's memory and nothing else of it (CLONE_VM without CLONE_THREAD),
 * on a stack of their own. They share thread-local storage with whoever made them, so what they do
 * is written in assembly: no library call, no errno. x86-64. One task belongs to one thread, and
 * dies with it.
 */
#ifndef SOAK_RAW_TASK_H
#define SOAK_RAW_TASK_H

#include <sys/types.h>

enum raw_task_life {
	RAW_TASK_SLEEPS,
	RAW_TASK_SPINS, /* in user space */
	RAW_TASK_EXITS, /* at once; the maker waits for that (CLONE_VFORK), and it is a zombie */
};

struct raw_task {
	pid_t pid; /* 0: none */
	int pidfd;
	void *stack;
};

#define RAW_TASK_INIT       \
	{                   \
		.pidfd = -1 \
	}

/* Returns 0 or -errno. Its descriptors are its own copies, which it closes. */
int raw_task_new(enum raw_task_life life, struct raw_task *ret);

/* Kills and reaps it, and closes pidfd. Safe for one that is not there. */
void raw_task_kill(struct raw_task *task);

/* Lets it run on that CPU only. Returns 0 or -errno. */
int raw_task_pin(const struct raw_task *task, int cpu);

#endif
