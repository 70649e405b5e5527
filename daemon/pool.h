/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The storage maps that the fill programs fill and the workers use: one slot per kind, shape and
 * index, each slot's map replaced again and again. A thread of its own rotates; workers borrow a
 * map for one system call and skip a slot that is being replaced.
 */
#ifndef SOAK_POOL_H
#define SOAK_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "programs.h"

struct pool;

/* programs is borrowed and outlives the pool. Returns 0 or -errno. */
int pool_new(const struct programs *programs, unsigned int maps, uint64_t seed, struct pool **ret);

/* Starts and stops the rotation, again and again. pool_stop() joins; safe when never started. */
int pool_start(struct pool *pool, uint64_t pause_ns);
void pool_stop(struct pool *pool);

/* Puts a new map in every slot. Returns 0 or -errno. */
int pool_refill(struct pool *pool);

/* Empties every slot and closes every map. */
void pool_clear(struct pool *pool);
void pool_free(struct pool *pool);

/* Borrows a map: its fd, or -EBUSY while it is being replaced. pool_put() ends the loan. */
int pool_get(struct pool *pool, enum soak_kind kind, unsigned int shape, unsigned int slot);
void pool_put(struct pool *pool, enum soak_kind kind, unsigned int shape, unsigned int slot);

/*
 * A map outside the slots, of which the last reference is dropped by pool_close_map(): counted,
 * so that map frees under way can be paced. -EAGAIN when too many are under way already; and
 * pool_close_map() may wait for some seconds until some have ended.
 */
int pool_new_map(struct pool *pool, enum soak_kind kind, unsigned int shape);
void pool_close_map(struct pool *pool, int fd);

/* The ids of all maps that it made. */
struct map_ids *pool_map_ids(const struct pool *pool);

/* Whose maps they are. */
const struct programs *pool_programs(const struct pool *pool);

/* How many shapes of values there are on this kernel. */
unsigned int pool_shapes(const struct pool *pool);

uint64_t pool_created(const struct pool *pool);
uint64_t pool_closed(const struct pool *pool);

#endif
