/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Owners of storage: sockets and tasks of every sort that dies differently. The fill programs
 * fill them at birth; the workers also reach them by descriptor (sockfd or pidfd keys). One
 * owner belongs to one thread.
 */
#ifndef SOAK_OWNER_H
#define SOAK_OWNER_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "bpf/soak_abi.h"
#include "rng.h"

enum owner_type {
	OWNER_UDP,	 /* unbound: dies inside close() */
	OWNER_UDP_BOUND, /* SOCK_RCU_FREE: dies a grace period after close() */
	OWNER_TCP,	 /* connected pair over loopback; the accepted end is a clone */
	OWNER_UNIX,	 /* socketpair */
	OWNER_THREAD,
	OWNER_FORK,
	OWNER_CLONE3,
	OWNER_VFORK, /* lives only inside owner_new() */
	OWNER_TYPE_NR,
};

struct owner {
	enum owner_type type;
	int fds[2]; /* sockets; [1] is -1 unless it is a pair */
	int pidfd;  /* tasks, -1 where the kernel gives none */
	pid_t pid;  /* processes */
	pthread_t thread;
	struct owner_thread *gate;
};

/* What a thread needs to make owners: its TCP listeners. */
struct owner_maker {
	int listeners[2];	  /* IPv4, IPv6; -1 until needed */
	unsigned int accepted[2]; /* by the listener at hand */
};

#define OWNER_MAKER_INIT                \
	{                               \
		.listeners = { -1, -1 } \
	}

/*
 * Makes one. Returns the number of owners born (a pair is two), or -errno with nothing left
 * behind. OWNER_VFORK is born and dead on return.
 */
int owner_new(struct owner_maker *maker, enum owner_type type, struct rng *rng, struct owner *ret);

/* Ends its life and releases everything; waits for tasks to be reaped. */
void owner_kill(struct owner *owner);

/* The descriptor that serves as a key for its storage, or -1. */
int owner_key(const struct owner *owner, struct rng *rng);

/* One system call on a live owner that our touch programs answer to. */
void owner_touch(const struct owner *owner);

enum soak_kind owner_kind(enum owner_type type);

void owner_maker_done(struct owner_maker *maker);

#endif
