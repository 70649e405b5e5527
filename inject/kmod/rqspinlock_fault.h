/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module rqspinlock_fault shares with the daemon and the BPF programs: names of the
 * lock sites, the text that is written to and read from its device, and the frames in which it
 * records what every lock attempt of a visit came to. Plain C, fixed-size types only.
 *
 * The device (/dev/rqspinlock_fault, mode 0600, one opener at a time) is the dead man's handle:
 * nothing is injected unless it is open, and closing it, by whatever death, disarms everything
 * before close() returns.
 *
 * write(): one complete configuration, "key=value" separated by blanks; what is not named takes
 * its default. Applied as a whole or, with -EINVAL (-ENOENT for a site that this kernel has not)
 * and a line in the kernel log, not at all:
 *   sites=NAME[,NAME...]   that are detoured; default: none, that is, disarmed
 *   fail=NAME[,NAME...]    of those, that may fail; default: all
 *   kinds=contended[,forced]
 *   decide=self|fail_function   who decides at the fault point (default self)
 *   error=timedout|deadlk|either
 *   probability=0..100     percent (default 0)
 *   interval=N             only every Nth (default 1)
 *   times=N                so many errors and no more; -1: without limit (default -1)
 *   only=encounters        nothing fails but visits of selems whose value has a role
 *   dwell=0..1000          with forced: microseconds that a visit of a duellist stays, at most and
 *                          at random, before each of its steps, and map_free()'s is asked now and
 *                          then to reschedule when it is done (default 0)
 *   appointments=0|1       with forced: both sides of a duel wait for each other where
 *                          appointments.c says, for as long as dwell allows, and only the locks
 *                          that it names fail (default 0)
 *   seed=N                 of the generator behind probability and "either"
 *   verbose=0|1            a rate-limited line in the kernel log for each error
 * Probes of a site are placed when it is first named, and stay until close(): name all sites in
 * the first write, before there is load.
 *
 * read(), and debugfs rqspinlock_fault/counters: the figures, as text, see device.c.
 */
#ifndef RQSPINLOCK_FAULT_H
#define RQSPINLOCK_FAULT_H

#define RQF_ABI	   3
#define RQF_DEVICE "/dev/rqspinlock_fault"
#define RQF_MODULE "rqspinlock_fault"

/* One acquisition in one place of kernel/bpf/bpf_local_storage.c or net/core/bpf_sk_storage.c. */
enum rqf_site {
	RQF_MAP_FREE_BUCKET, /* bpf_selem_unlink_nofail(), b != NULL */
	RQF_MAP_FREE_STORAGE,
	RQF_DESTROY_BUCKET, /* bpf_selem_unlink_nofail(), b == NULL */
	RQF_DESTROY_STORAGE,
	RQF_UPDATE,   /* bpf_local_storage_update(), either lock */
	RQF_DELETE,   /* bpf_selem_unlink(), either lock */
	RQF_CLONE,    /* bpf_local_storage_alloc(), called by bpf_sk_storage_clone() */
	RQF_ALLOC,    /* bpf_local_storage_alloc(), called by others: the bucket lock */
	RQF_CACHE,    /* __bpf_local_storage_insert_cache(): the storage lock */
	RQF_LINK_MAP, /* bpf_selem_link_map(): the bucket lock */
	RQF_SITE_NR,
};

/* The fault point of a site is the function rqf_point_NAME(). */
#define RQF_SITE_NAMES                                                                      \
	{                                                                                   \
		"map_free_bucket", "map_free_storage", "destroy_bucket", "destroy_storage", \
			"update", "delete", "clone", "alloc", "cache", "link_map"           \
	}

/* What one lock attempt came to, as far as the module saw it. */
enum rqf_result {
	RQF_UNSEEN, /* not attempted, or got at once: the slow path was never entered */
	RQF_OK,	    /* got, behind a detour */
	RQF_GONE,   /* the same, in a visit, and the selem had left that list before */
	RQF_ORGANIC_TIMEOUT,
	RQF_ORGANIC_DEADLOCK,
	RQF_CONTENDED_TIMEOUT, /* somebody held it; we failed the waiter early */
	RQF_CONTENDED_DEADLOCK,
	RQF_FORCED_TIMEOUT, /* nobody need have held it */
	RQF_FORCED_DEADLOCK,
	RQF_RESULT_NR,
};

enum rqf_func {
	RQF_NOFAIL,
	RQF_FUNC_UPDATE,
	RQF_FUNC_ALLOC,
	RQF_FUNC_DELETE,
	RQF_FUNC_CACHE,
	RQF_FUNC_LINK_MAP,
	RQF_FUNC_NR,
};

enum rqf_lock {
	RQF_BUCKET,
	RQF_STORAGE,
	RQF_LOCK_NR,
};

/*
 * One call of a chosen function, for as long as the same task calls none of the same in the same
 * context. A BPF program that runs at the function's exit reads there what its locks came to.
 */
struct rqf_frame {
	unsigned long long key; /* RQF_KEY, 0: never used */
	unsigned long long selem;
	unsigned long long bucket_first;   /* the bucket lock is one of these, ... */
	unsigned long long bucket_last;	   /* ... inclusive; 0: there is none */
	unsigned long long storage;	   /* the storage lock, 0: there is none */
	unsigned long long stamp;	   /* jiffies at entry */
	unsigned char result[RQF_LOCK_NR]; /* enum rqf_result */
	unsigned char site[RQF_LOCK_NR];   /* enum rqf_site */
	unsigned char map_free;
	unsigned char exact; /* every attempt of both locks is detoured: RQF_UNSEEN is no attempt */
	unsigned char role;  /* of the selem's value, 0: none */
	unsigned char pad;
	unsigned short duel; /* its place on the board of appointments, plus one; 0: none */
	unsigned char pad2[6];
};

/* Every value of the daemon's begins with a magic number, and has a role further on. */
#define RQF_VALUE_MAGIC	 0x6b616f7366706221ULL
#define RQF_VALUE_COOKIE 8
#define RQF_VALUE_ROLE	 20
#define RQF_ROLE_DUEL	 5

#define RQF_WAYS     8
#define RQF_SET_BITS 9

/* A task and its softirqs have a frame each for every function; task structures are aligned. */
#define RQF_SOFTIRQ		     (1ULL << 4)
#define RQF_KEY(task, func, softirq) ((task) | ((softirq) ? RQF_SOFTIRQ : 0) | (func))
#define RQF_SET(task)		     (((task)*0x61c8864680b583ebULL) >> (64 - RQF_SET_BITS))

_Static_assert(sizeof(struct rqf_frame) == 64, "rqf_frame layout");

#endif
