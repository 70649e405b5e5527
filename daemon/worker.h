/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker, as the scenarios see it: what it owns, and what it can do to a map. For churn.c and
 * scenarios/ only. A worker belongs to one thread; what others read of it (from ops on) is written
 * by that thread alone, with bump().
 */
#ifndef SOAK_WORKER_H
#define SOAK_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "churn.h"
#include "owner.h"
#include "rng.h"
#include "scenarios/scenario.h"
#include "snapshot.h"
#include "util.h"

#define VALUE_MAX SOAK_SIZE_LARGE

struct partner;

struct worker {
	struct churn *churn;
	struct churn_options *options;
	struct pool *pool;
	unsigned int index;
	pthread_t thread;
	bool running;
	bool done;
	int cpu;

	struct owner_maker maker;
	struct owner *owners; /* alive, options->owners of them at most */
	unsigned int n_owners;
	uint64_t next_clash_ns, next_read_ns, next_watch_ns;
	uint64_t op;
	struct partner *partner;	 /* NULL until worker_partner() */
	void *state[SNAPSHOT_SCENARIOS]; /* of each scenario, NULL: none */

	/* Read by others. */
	uint64_t ops, born[SOAK_KIND_NR], errors, progress_ns;
	uint64_t updates, deletes, lookups, bad_values, torn_values;
	uint64_t reader_lookups, reader_watched;
	uint64_t syscall_errors[SOAK_ERR_NR];
	struct snapshot_scenario scenarios[SNAPSHOT_SCENARIOS];
	char accusation[SNAPSHOT_TEXT]; /* the first, whole as soon as accused_ns is not 0 */
	uint64_t accused_ns;
};

/* Adds to a figure that others read. */
static inline void bump(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t peek(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* An operation took effect: progress, as the oracle "liveness" understands it. */
void worker_took_effect(struct worker *w);

/* bpf(2) refused something, by errno. */
void worker_refused(struct worker *w, int error);

/* May bpf(2) refuse so on a correct kernel, while locks are made to fail? */
bool worker_may_refuse(int error);

/* What must not be of a value, in words of its own (oracle "values"). */
void worker_accuse(struct worker *w, const char *fmt, ...) _printf_(2, 3);

/* True once, for whoever comes first, when this lie is to be told (test hook). */
bool worker_lies(struct worker *w, enum soak_lie lie);

/*
 * Updates one value by bpf(2) and, with check, reads it back, here and in another process. Nobody
 * else may write this owner's value of that map meanwhile. Returns 0 or -errno.
 */
int worker_store(struct worker *w, int map, int key, unsigned int shape, struct rng *rng,
		 bool check);

/* Deletes one value by bpf(2) and, with check, sees that it is gone. */
void worker_take(struct worker *w, int map, int key, bool check);

/* One value replaced again and again while another process looks on. */
void worker_be_watched(struct worker *w, int map, int key, unsigned int shape, uint64_t cookie);

/*
 * A value that must be found and be this one. What is not is a violation (oracle "values"); who: to
 * whom it appeared so. Returns whether it was.
 */
bool worker_judge(struct worker *w, int map, int key, const unsigned char *stored, size_t size,
		  const char *who);

/* A value that must not be there; what is still there is a violation. Returns whether it was gone.
 */
bool worker_judge_gone(struct worker *w, int map, int key);

/* Of bpf(2) for values of this size: BPF_F_LOCK where they have a lock. */
uint64_t worker_lookup_flags(size_t size);

/*
 * Makes an owner and counts it. Returns how many were born (a pair is two), 0 when there are enough
 * of that sort for now, or -errno, counted as well.
 */
int worker_give_birth(struct worker *w, enum owner_type type, struct rng *rng, struct owner *ret);

/* The worker's second thread, on another CPU; NULL when it cannot be had. By its own thread. */
struct partner *worker_partner(struct worker *w);

/* Did the fill programs fill this owner at its birth? Looks for a value in the pool's maps. */
bool worker_sees_fill(struct worker *w, enum soak_kind kind, int key);

/* One of the owners that are alive, NULL when there is none. */
struct owner *worker_any_owner(struct worker *w, struct rng *rng);

#endif
