/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A map that nobody but one scenario of one worker fills, with known values of a few owners. Each
 * value tells by its cookie whose it is and the how manyeth, so whoever comes upon it somewhere, in
 * whatever way, can be asked whether that may be. One thread at a time changes a batch; any thread
 * may judge meanwhile what it found.
 */
#ifndef SOAK_BATCH_H
#define SOAK_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../rng.h"
#include "bpf/soak_abi.h"

struct pool;
struct worker;

#define BATCH_OWNERS 16

struct batch {
	int map; /* -1: dropped */
	enum soak_kind kind;
	unsigned int shape;
	size_t size;
	uint64_t base; /* of all cookies */
	bool in_place; /* values with a lock may be written in place, under it */
	struct {
		unsigned int stored; /* which of its values is there, 0: none */
		unsigned int tried;  /* the last that may have been there */
	} values[BATCH_OWNERS];

	/* What bpf(2) did, for batch_count(). */
	uint64_t updates, deletes, refused[SOAK_ERR_NR];
	int wrong; /* an answer that no kernel may give, as -errno; 0: none */
};

/* A new map. Returns 0 or -errno: -EAGAIN when it is not its time. */
int batch_new(struct pool *pool, enum soak_kind kind, unsigned int shape, struct rng *rng,
	      struct batch *ret);

/* Drops the map, and with it maybe the last reference; values stay what they are. */
void batch_drop(struct batch *batch, struct pool *pool);

/* Gives an owner another value. Returns 0 or -errno; what was there stays then. */
int batch_put(struct batch *batch, unsigned int i, int key);

/* Takes the value away. */
int batch_take(struct batch *batch, unsigned int i, int key);

/* Adds what was done to the worker's figures, and accuses of what was wrong. By the worker. */
void batch_count(struct batch *batch, struct worker *w);

/* Is it whole? What is not is a violation (oracle "values"). who: to whom it appeared. By the
 * worker.
 */
bool batch_is_whole(const struct batch *batch, struct worker *w, const void *value,
		    const char *who);

/*
 * Whose value is this? Returns the owner's number, or -1 when it is not whole, or was never there;
 * that is a violation, too.
 */
int batch_judge(const struct batch *batch, struct worker *w, const void *value, const char *who);

/* The same of a value that must be there now, read by this bpf(2) look-up: the owner's last one. */
bool batch_judge_key(const struct batch *batch, struct worker *w, unsigned int i, int key,
		     const char *who);

/* The cookie of the value that is there, 0: none. */
uint64_t batch_cookie(const struct batch *batch, unsigned int i);

/* Puts zeros where the kernel keeps its own part of a value, as bpf(2) does. */
void batch_mask(const struct batch *batch, void *value);

#endif
