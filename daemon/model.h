/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol of bpf_selem_unlink_nofail() (kernel/bpf/bpf_local_storage.c, Linux 7.3) as pure
 * functions: from the history of one selem to its end. What the algorithm promises is one table of
 * claims, which findings cite by name. No state, no I/O, callable from any thread.
 *
 * A history here is whole: its owner is dead and its map is freed, and all visits that these two
 * make have been made. tests/unit/test_model.c holds the prediction against every interleaving of
 * both sides, scripts/model against a model in Promela (docs/model/unlink_nofail.pml).
 */
#ifndef SOAK_MODEL_H
#define SOAK_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/soak_abi.h"

/* What bpf_selem_unlink_nofail() and the two that call it promise. */
enum model_claim {
	CLAIM_FREED_ONCE,
	CLAIM_BOTH_SIDES_DECIDE,
	CLAIM_OTHER_SIDE_COMES,
	CLAIM_UNLINKED_BEFORE_FREE,
	CLAIM_FIELDS_FREED_ONCE,
	CLAIM_FIELDS_WITH_MAP,
	CLAIM_STORAGE_FREED_ONCE,
	CLAIM_STORAGE_UNPUBLISHED,
	CLAIM_UNCHARGED_ONCE,
	CLAIM_DESTROY_WAITS,
	CLAIM_EVERYTHING_ENDS,
	CLAIM_READERS_SAFE,
	CLAIM_AS_WRITTEN,
	CLAIM_NR,
};

/* Ways in which the algorithm, as it is written, breaks a claim of its own when locks fail. */
enum model_hole {
	MODEL_SELEM,	/* the selem is never freed */
	MODEL_STORAGE,	/* the owner's bpf_local_storage is never freed, by this selem */
	MODEL_LINKED,	/* the selem is freed and still in its bucket or on its owner's list */
	MODEL_FIELDS,	/* its special fields are never freed */
	MODEL_CHARGE,	/* its own memory is never uncharged */
	MODEL_REFCNT,	/* owner_refcnt never comes to 0: destroy() spins for ever */
	MODEL_DANGLING, /* the storage is freed and a living owner still points to it */
	MODEL_HOLE_NR,
};

/* Who freed the selem, as bits: more than one where the history does not tell. */
#define MODEL_BY_MAP_FREE (1u << SOAK_FREE_MAP_FREE)
#define MODEL_BY_DESTROY  (1u << SOAK_FREE_DESTROY)
#define MODEL_BY_PROGRAM  (1u << SOAK_FREE_PROGRAM)
#define MODEL_BY_NOBODY	  (1u << SOAK_FREE_NR)

/*
 * Results beside those of enum soak_lock_result: one that nobody recorded (any of ok, timeout,
 * gone, skipped), and a lock that was obtained while the other side may have been there first (ok
 * or gone), which cannot be told apart without the module.
 */
#define MODEL_UNKNOWN SOAK_LOCK_NR
#define MODEL_TAKEN   (SOAK_LOCK_NR + 1)

struct model_visit {
	unsigned char side;    /* enum soak_side */
	unsigned char bucket;  /* enum soak_lock_result, MODEL_UNKNOWN, MODEL_TAKEN */
	unsigned char storage; /* the same */
	unsigned char kinds;   /* of the locks that failed: bits of enum fault_kind */
	/* Any clock: only which came first counts. Visits of one side do not overlap. */
	unsigned long long begin, end;
};

/* Three visits of map_free() show all that more of them can; destroy() makes one. */
#define MODEL_VISITS 4

struct model_history {
	struct model_visit visit[MODEL_VISITS]; /* those of a side in their order */
	unsigned int n;
	bool deleted;	 /* a program deleted or replaced it: it left both lists under both locks */
	bool unfinished; /* a visit was entered whose end was not seen */
	/* Of each side, the locks that failed in any of its visits; ~0u: not known. */
	unsigned int failed[SOAK_SIDE_NR];
};

struct model_end {
	bool possible;	    /* the algorithm has such a history */
	unsigned int freed; /* MODEL_BY_*: by whom it may have been freed */
	unsigned int holes; /* bits of enum model_hole: what came of it in any case */
	unsigned int may;   /* and what may have come of it, these included */
	/* Of the failure that opened each hole of may; FAULT_NR where there is none. */
	unsigned char kind[MODEL_HOLE_NR];
	enum model_claim claim; /* that is broken, or else that predicts the end */
	const char *reason;	/* one sentence without its stop, never NULL */
};

void model_predict(const struct model_history *history, struct model_end *ret);

/* What the ledger knows of a selem. Earlier visits than the last of a side come out unknown. */
void model_history_of(const struct soak_slot *slot, struct model_history *ret);

/*
 * Whether the state word that each recorded visit left behind is one that a visit with these
 * results leaves. NULL, or what is wrong: one sentence without its stop.
 */
const char *model_state_wrong(const struct soak_slot *slot);

/* A selem at rest whose state has both bits and not TOFREE: nobody decided. */
bool model_state_undecided(unsigned int state);

/* Names are for findings ("freed-exactly-once"), texts one sentence without its stop. */
const char *model_claim_name(enum model_claim claim);
const char *model_claim_text(enum model_claim claim);

const char *model_hole_name(enum model_hole hole);
enum model_claim model_hole_claim(enum model_hole hole);
/* How it comes about: one sentence without its stop. */
const char *model_hole_text(enum model_hole hole);
/* Whether the comments of bpf_selem_unlink_nofail() say that this can happen. */
bool model_hole_is_documented(enum model_hole hole);

#endif
