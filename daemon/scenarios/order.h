/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a worker has BPF programs do to its own maps and owners: see bpf/order.bpf.h. Each worker
 * has one order, which holds at a time for one scenario's step, and slots for maps, which are
 * divided among the scenarios here.
 */
#ifndef SOAK_SCENARIO_ORDER_H
#define SOAK_SCENARIO_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/soak_abi.h"
#include "kept.h"

struct worker;

/* Slots of each kind, by scenario; a mark stands before what it marks. */
#define ORDER_CACHE	 0
#define ORDER_CACHE_MAPS 17 /* more than BPF_LOCAL_STORAGE_CACHE_SIZE, which is 16 */
#define ORDER_RACE	 20
#define ORDER_MARK	 21
#define ORDER_MARKED	 22

/* What is missing for such an order on this machine, as scenario.h's lacks(); NULL: nothing. */
const char *order_lacks(enum soak_by by, enum soak_kind kind);

/* This worker's order; NULL where there are no more, or the kernel refused the programs. */
struct soak_order *order_of(struct worker *w);

/*
 * Puts a kept map of the small shape into a slot, or with NULL takes it out, before it is closed.
 * Waits for a grace period. Returns 0 or -errno.
 */
int order_set(struct worker *w, enum soak_kind kind, unsigned int slot, const struct kept *kept);

/* Maps of one order that is for whoever has a value in the first of them. All zeros: none. */
struct order_marked {
	struct kept mark; /* tells the program whose packets or ticks are meant */
	struct kept value;
	uint64_t until_ns; /* others take their place then */
};

/* Sees to it that there are such maps. Returns whether there are. */
bool order_mark(struct worker *w, enum soak_kind kind, struct order_marked *marked);

/* Drops them. */
void order_unmark(struct worker *w, enum soak_kind kind, struct order_marked *marked);

/*
 * From now on programs obey: by SOAK_BY_CALL in system calls of the calling thread, which need not
 * be the worker's while that lets it; else for marked owners. Counts begin at 0. order_of() was not
 * NULL.
 */
void order_give(struct worker *w, enum soak_by by, enum soak_verb verb, unsigned int first,
		unsigned int n);

/* Nobody obeys any more when it returns; counts stay as they are until the next order. */
void order_end(struct worker *w);

/* Owners that the calling thread makes are not filled, until order_bare(w, false). */
void order_bare(struct worker *w, bool bare);

#endif
