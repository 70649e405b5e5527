/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A map that nobody but one scenario of one worker fills, and what one owner is known to have in
 * it. What a refused update or delete leaves behind is what was there before.
 */
#ifndef SOAK_KEPT_H
#define SOAK_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../rng.h"
#include "bpf/soak_abi.h"

struct worker;

/* Sockets and tasks, the first of enum soak_kind: of these a scenario makes owners by itself. */
#define KEPT_KINDS (SOAK_TASK + 1)

/* All zeros: no map. */
struct kept {
	bool open;
	int fd;
	enum soak_kind kind;
	unsigned int shape;
	uint64_t cookie; /* of the value that is there; 0: none */
};

/* A new map, nothing in it. Returns 0 or -errno: -EAGAIN when it is not its time. */
int kept_open(struct worker *w, enum soak_kind kind, unsigned int shape, struct kept *ret);

/* Drops it, with or without owners in it. */
void kept_close(struct worker *w, struct kept *kept);

/* Another owner from now on, that has nothing in it. */
void kept_forget(struct kept *kept);

/* The same of all of them. */
void kept_forget_all(struct kept *kept, unsigned int n);

/* Opens some of those that have no map, of any shape. Returns how many have one then. */
unsigned int kept_fill(struct worker *w, struct kept *kept, unsigned int n, unsigned int at_once,
		       enum soak_kind kind, struct rng *rng);

/* Drops one of them when it is time, whoever has a value in it, and says when it is time again. */
void kept_replace(struct worker *w, struct kept *kept, unsigned int n, uint64_t *next_ns,
		  uint64_t every_ns, struct rng *rng);

/* Stores a new value. Returns 0 or -errno, which is counted. */
int kept_put(struct worker *w, struct kept *kept, int key, struct rng *rng);

/* Deletes it. Returns 0 or -errno; -ENOENT is right where nothing is there. */
int kept_take(struct worker *w, struct kept *kept, int key);

/* Is what is there what it must be? Says so if it is not, and returns false. */
bool kept_judge(struct worker *w, const struct kept *kept, int key, const char *who);

/* The same for an owner that must have something else there: this value, or with 0 none. */
bool kept_judge_as(struct worker *w, const struct kept *kept, int key, uint64_t cookie,
		   const char *who);

#endif
