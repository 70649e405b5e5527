/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The algorithm of bpf_selem_unlink_nofail() itself, statement by statement as in
 * kernel/bpf/bpf_local_storage.c of Linux 7.3, for one selem that is the only one of its owner and
 * of its bucket: every interleaving of the atomic steps of both sides, every lock failing or not.
 * What daemon/coverage.c and daemon/model.c say in rules is held against it.
 */
#ifndef TEST_EXPLORER_H
#define TEST_EXPLORER_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/soak_abi.h"

/* Bytes only: states are compared as memory. */

enum explorer_step {
	STEP_WALK,  /* between visits: the side finds the selem on its list, or does not */
	STEP_ENTER, /* found, and not yet entered: the other side may free it meanwhile */
	STEP_READ_STORAGE,
	STEP_READ_SMAP,
	STEP_LOCK_BUCKET,
	STEP_CLEAR_SMAP,
	STEP_LOCK_STORAGE,
	STEP_PIN,
	STEP_UNCHARGE,
	STEP_UNPIN,
	STEP_UNLINK_STORAGE,
	STEP_CLEAR_STORAGE,
	STEP_SET_BIT,
	STEP_CMPXCHG,
	STEP_FREE_STORAGE, /* if it took off the last one; and the return */
	STEP_DROP_OWNER,   /* of destroy(): owner_refcnt */
	STEP_WAIT_OWNER,
	STEP_OVER,
};

struct explorer_selem {
	unsigned char in_bucket;
	unsigned char in_list;
	unsigned char smap; /* not NULL */
	unsigned char storage;
	unsigned char bits[SOAK_SIDE_NR]; /* SELEM_MAP_UNLINKED, SELEM_STORAGE_UNLINKED */
	unsigned char tofree;
	unsigned char frees;
	unsigned char freed_by; /* enum soak_side of the first free */
	unsigned char fields;	/* times that its special fields were freed */
};

#define EXPLORER_SATURATED 0xff

struct explorer_storage {
	unsigned char lock; /* 0, or the side that holds it plus one */
	unsigned char refcnt;
	unsigned char charged; /* what mem_charge says */
	unsigned char uncharges;
	unsigned char frees;
	unsigned char published; /* the owner points to it */
	unsigned char dying;	 /* destroy() has been called */
	unsigned char dangling;	 /* and the owner pointed to what was freed */
};

struct explorer_visitor {
	unsigned char step;
	unsigned char visits;
	unsigned char smap; /* as read at entry */
	unsigned char storage;
	unsigned char bucket_result; /* enum soak_lock_result; timeout stands for any failure */
	unsigned char storage_result;
	unsigned char unlink;
	unsigned char free_storage;
	unsigned char pinned;
	unsigned char outcome; /* enum soak_outcome */
};

#define EXPLORER_VISITS	     4
#define EXPLORER_VISIT(s, i) ((s) == SOAK_DESTROY ? EXPLORER_VISITS - 1 : (i))

/* Kept only where asked for. Times are the order of beginnings and ends, from 1. */
struct explorer_trail {
	unsigned char events;
	struct {
		unsigned char begin, end, bucket, storage;
	} visit[EXPLORER_VISITS]; /* map_free()'s in their order, then that of destroy() */
};

struct explorer_state {
	struct explorer_selem selem;
	struct explorer_storage storage;
	struct explorer_visitor visitor[SOAK_SIDE_NR];
	struct explorer_trail trail;
};

struct explorer {
	bool faults; /* whether locks may fail */
	bool trails; /* whether states with different histories are different */
	unsigned int map_free_visits;
	struct explorer_state *states;
	size_t n_states, n_allocated;
	unsigned int *hash; /* index of a state plus one */
	size_t hash_size;
	bool reached[SOAK_SIDE_NR][SOAK_LOCK_NR][SOAK_LOCK_NR][SOAK_OUTCOME_NR];
	/* Claims that hold whatever fails. */
	bool freed_twice;
	bool fields_freed_twice;
	bool uncharged_twice;
	bool storage_freed_twice;
	bool uncharged_without_owner;
};

/* Fills states; the caller frees. */
struct explorer *explorer_new(bool faults, bool trails, unsigned int map_free_visits);
void explorer_free(struct explorer *x);
static inline void explorer_freep(struct explorer **x)
{
	explorer_free(*x);
}

/* Nothing more comes: both sides have gone, and all that had to be visited was. */
bool explorer_is_end(const struct explorer_state *s);

/* One atomic step of one side; fail: the lock taken in it fails. False: there is no such step. */
bool explorer_advance(struct explorer *x, struct explorer_state *s, unsigned int side, bool fail);

extern const struct explorer_state explorer_newborn;

#endif
