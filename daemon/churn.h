/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The workers: threads pinned across CPUs that make owners, use their storage through bpf(2), and
 * kill them, at times at the same moment as the maps. They know nothing of oracles; what they
 * did is read from outside while they run.
 */
#ifndef SOAK_CHURN_H
#define SOAK_CHURN_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "pool.h"
#include "programs.h"
#include "scenarios/scenario.h"
#include "snapshot.h"

struct churn;
struct places;
struct reader;

struct churn_options {
	unsigned int workers;  /* 1 .. SNAPSHOT_WORKERS */
	unsigned int owners;   /* alive at most, each worker */
	unsigned int maps;     /* pool slots of each shape */
	unsigned int kinds;    /* of owners: SOAK_KIND_BIT */
	struct places *places; /* where cgroups and files are made; NULL: nowhere */
	uint64_t seed;
	bool verify;	       /* read values back */
	struct reader *reader; /* reads them in another process; NULL: nobody does */
	enum soak_lie lie;     /* test hook */
	struct mix mix;	       /* settled: mix_settle() */
};

/* Everything is borrowed. Returns 0 or -errno. */
int churn_new(const struct churn_options *options, struct pool *pool, struct churn **ret);

int churn_start(struct churn *churn);

/* Asks all workers to stop, without waiting; churn_is_idle() tells when they have. */
void churn_request_stop(struct churn *churn);

/* Takes another mix, settled, for what begins from now on. One thread, and not twice in a second.
 */
void churn_set_mix(struct churn *churn, const struct mix *mix);

/*
 * Keeps all workers from beginning anything more, without waiting; their owners stay alive.
 * churn_stop() still ends them. May come before churn_start().
 */
void churn_freeze(struct churn *churn);
void churn_thaw(struct churn *churn);

/*
 * Keeps all workers from beginning anything more until then (CLOCK_MONOTONIC), when they go on at
 * the same moment; 0: now. It is no freeze, and has no part in one. Any thread.
 */
void churn_stutter(struct churn *churn, uint64_t until_ns);

unsigned int churn_workers(const struct churn *churn);

/* Where a worker that has been started may run. 0 or -errno. Any thread, before churn_stop(). */
int churn_set_affinity(struct churn *churn, unsigned int worker, const cpu_set_t *cpus);

/* Stops all workers and joins them; every owner is dead then. */
void churn_stop(struct churn *churn);
void churn_free(struct churn *churn);

/* True when no worker is at work any more. */
bool churn_is_idle(const struct churn *churn);

/* Fills the workers' part of a snapshot. Any thread. */
void churn_read(const struct churn *churn, struct snapshot *ret);

/* Writes the value that belongs to a cookie: head, then a pattern that depends on it. */
void churn_make_value(void *value, size_t size, uint64_t cookie, unsigned int plan,
		      unsigned int role);

/* True when the whole value is what churn_make_value() wrote for its own cookie. */
bool churn_value_is_whole(const void *value, size_t size);

/* True when what was read back is what was stored: the oracle "values". */
bool churn_value_is(const void *found, const void *stored, size_t size);

enum soak_err churn_error_class(int error);

#endif
