/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Owners of storage: sockets, tasks, cgroups and files of every sort that dies differently. The
 * fill programs fill them at birth; the workers also reach them by descriptor. One owner belongs to
 * one thread.
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
	OWNER_VFORK,  /* lives only inside owner_new() */
	OWNER_CGROUP, /* rmdir() begins its death, which some grace periods later a kworker ends */
	OWNER_MEMFD,  /* its inode dies inside close() */
	OWNER_FILE,   /* on a private tmpfs, without a name (any more): the same */
	OWNER_TREE, /* such a tmpfs by itself, with files: their inodes die when it is unmounted */
	OWNER_TYPE_NR,
};

#define OWNER_FDS 8

struct places;

struct owner {
	enum owner_type type;
	int fds[OWNER_FDS]; /* sockets, a cgroup's directory, files: the first n_fds */
	unsigned int n_fds;
	int pidfd; /* tasks, -1 where the kernel gives none */
	pid_t pid; /* processes */
	pthread_t thread;
	struct owner_thread *gate;
	struct places *places; /* cgroups: where it is */
	unsigned int number;   /* and its number there */
	int mount;	       /* OWNER_TREE, else -1 */
};

/* What a thread needs to make owners: its TCP listeners, and where cgroups and files can be. */
struct owner_maker {
	struct places *places;	  /* borrowed; NULL: sockets and tasks only */
	int listeners[2];	  /* IPv4, IPv6; -1 until needed */
	unsigned int accepted[2]; /* by the listener at hand */
};

#define OWNER_MAKER_INIT(where)                            \
	{                                                  \
		.places = (where), .listeners = { -1, -1 } \
	}

/*
 * Draws the kind of what is born next, of those that there are (SOAK_KIND_BIT): one in 8 is a
 * cgroup or an inode, since making them is slow, and sockets and tasks are what the injection aims
 * at.
 */
enum soak_kind owner_draw_kind(unsigned int kinds, struct rng *rng);

/* Draws one of that kind that can be made here; lasting: not one that is dead at once. */
enum owner_type owner_draw_type(const struct owner_maker *maker, enum soak_kind kind, bool lasting,
				struct rng *rng);

/*
 * Makes one. Returns the number of owners born (a pair is two), or -errno with nothing left
 * behind; -EBUSY: not now, there were many of them (cgroups). OWNER_VFORK is born and dead on
 * return.
 */
int owner_new(struct owner_maker *maker, enum owner_type type, struct rng *rng, struct owner *ret);

/* Ends its life and releases everything; waits for tasks to be reaped. */
void owner_kill(struct owner *owner);

/* The descriptor that serves as a key for its storage, or -1. Of several, any. */
int owner_key(const struct owner *owner, struct rng *rng);

/* One system call on a live owner that our touch programs answer to; cgroups have none. */
void owner_touch(const struct owner *owner);

enum soak_kind owner_kind(enum owner_type type);

void owner_maker_done(struct owner_maker *maker);

#endif
