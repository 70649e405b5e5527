// SPDX-License-Identifier: GPL-2.0-only
/*
 * The protocol as rules over results: see model.h. Which lock of which visit came to what says
 * nearly all; of time only who overlapped whom is needed. "M" are visits by map_free(), "D" is the
 * one by destroy(). All is as x86 orders it (see coverage.c).
 */
#include "model.h"

#include <string.h>

#include "util.h"

#define BIT(n) (1u << (n))

static const struct {
	const char *name, *text;
} claims[] = {
	[CLAIM_FREED_ONCE] = { "freed-exactly-once",
			       "an element is freed exactly once, by whoever takes it off both "
			       "lists, else by one of the two sides after both have seen it" },
	[CLAIM_BOTH_SIDES_DECIDE] = { "both-sides-decide",
				      "a side that did not take the element off both lists sets its "
				      "UNLINKED bit, and whoever turns both bits into TOFREE by "
				      "cmpxchg frees" },
	[CLAIM_OTHER_SIDE_COMES] = { "other-side-comes",
				     "an element that one side leaves behind is still where the "
				     "other side finds it" },
	[CLAIM_UNLINKED_BEFORE_FREE] = { "list-unlinked-before-free",
					 "an element that is freed is on no list any more" },
	[CLAIM_FIELDS_FREED_ONCE] = { "fields-freed-once",
				      "bpf_obj_free_fields() is called exactly once for an element, "
				      "under the bucket lock" },
	[CLAIM_FIELDS_WITH_MAP] = { "fields-freed-with-map",
				    "special fields are freed while the map is still present" },
	[CLAIM_STORAGE_FREED_ONCE] = { "storage-freed-once",
				       "a bpf_local_storage is freed exactly once, by whoever takes "
				       "the last element off its list" },
	[CLAIM_STORAGE_UNPUBLISHED] = { "storage-unpublished-before-free",
					"no living owner points to a bpf_local_storage that is "
					"freed" },
	[CLAIM_UNCHARGED_ONCE] = { "uncharged-exactly-once",
				   "what was charged to the owner is uncharged exactly once" },
	[CLAIM_DESTROY_WAITS] = { "destroy-waits-for-uncharge",
				  "destroy() returns, and the owner goes, only when no map_free() "
				  "is uncharging any more" },
	[CLAIM_EVERYTHING_ENDS] = { "everything-ends",
				    "map_free() and destroy() end, whatever fails" },
	[CLAIM_READERS_SAFE] = { "readers-are-safe",
				 "nobody looks at an element or a bpf_local_storage after the "
				 "grace period that follows its free" },
	[CLAIM_AS_WRITTEN] = { "as-written",
			       "the results of the locks in a history are some that the algorithm "
			       "can come to" },
};
_Static_assert(ARRAY_SIZE(claims) == CLAIM_NR, "a claim has no name");

static const struct {
	const char *name, *text;
	enum model_claim claim;
	bool documented;
} holes[] = {
	[MODEL_SELEM] = { "selem",
			  "one side failed a lock and took the element off the very list on which "
			  "the other side would have looked for it",
			  CLAIM_OTHER_SIDE_COMES, false },
	[MODEL_STORAGE] = { "storage",
			    "destroy() failed the storage lock and cleared local_storage, so the "
			    "element stays on the list and the list is never empty",
			    CLAIM_STORAGE_FREED_ONCE, true },
	[MODEL_LINKED] = { "linked",
			   "one side failed a lock and cleared the pointer all the same, so the "
			   "other side passed that list by, saw both bits and freed",
			   CLAIM_UNLINKED_BEFORE_FREE, false },
	[MODEL_FIELDS] = { "fields",
			   "map_free() failed the bucket lock and cleared smap, so nobody took the "
			   "element off its bucket and freed the fields",
			   CLAIM_FIELDS_FREED_ONCE, true },
	[MODEL_CHARGE] = { "charge",
			   "destroy() does not return, or reads mem_charge from freed memory, so its "
			   "caller does not uncharge what is left",
			   CLAIM_UNCHARGED_ONCE, false },
	[MODEL_REFCNT] = { "refcnt",
			   "destroy() failed the storage lock that map_free() held while it "
			   "uncharged, let go of owner_refcnt first, and map_free()'s refcount_dec() "
			   "from 1 to 0 saturates the count",
			   CLAIM_EVERYTHING_ENDS, false },
	[MODEL_DANGLING] = { "dangling",
			     "map_free() failed both locks, came back after need_resched() with smap "
			     "NULL, and took the last element off without clearing the owner's pointer",
			     CLAIM_STORAGE_UNPUBLISHED, false },
};
_Static_assert(ARRAY_SIZE(holes) == MODEL_HOLE_NR, "a hole has no name");

const char *model_claim_name(enum model_claim claim)
{
	return (unsigned int)claim < CLAIM_NR ? claims[claim].name : "unknown";
}

const char *model_claim_text(enum model_claim claim)
{
	return (unsigned int)claim < CLAIM_NR ? claims[claim].text : "unknown";
}

const char *model_hole_name(enum model_hole hole)
{
	return (unsigned int)hole < MODEL_HOLE_NR ? holes[hole].name : "unknown";
}

enum model_claim model_hole_claim(enum model_hole hole)
{
	return (unsigned int)hole < MODEL_HOLE_NR ? holes[hole].claim : CLAIM_AS_WRITTEN;
}

const char *model_hole_text(enum model_hole hole)
{
	return (unsigned int)hole < MODEL_HOLE_NR ? holes[hole].text : "unknown";
}

bool model_hole_is_documented(enum model_hole hole)
{
	return (unsigned int)hole < MODEL_HOLE_NR && holes[hole].documented;
}

/* A history of which every result is known: M in their order, and D. */
#define VISITS_OF_MAP_FREE (MODEL_VISITS - 1)

struct sides {
	const struct model_visit *m[VISITS_OF_MAP_FREE];
	unsigned int n;
	const struct model_visit *d; /* NULL: did not come */
};

static bool failed(unsigned int result)
{
	return result == SOAK_LOCK_TIMEOUT || result == SOAK_LOCK_DEADLOCK;
}

static bool is_ok(unsigned int result)
{
	return result == SOAK_LOCK_OK;
}

static bool is_gone(unsigned int result)
{
	return result == SOAK_LOCK_GONE;
}

static bool is_skipped(unsigned int result)
{
	return result == SOAK_LOCK_SKIPPED;
}

static bool before(const struct model_visit *a, const struct model_visit *b)
{
	return a->end <= b->begin;
}

static bool overlap(const struct model_visit *a, const struct model_visit *b)
{
	return !before(a, b) && !before(b, a);
}

/* False: too many visits of a side, which no kernel makes. */
static bool divide(const struct model_history *h, struct sides *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < MIN(h->n, MODEL_VISITS); i++) {
		const struct model_visit *v = &h->visit[i];

		if (v->side == SOAK_DESTROY && ret->d)
			return false;
		if (v->side == SOAK_DESTROY)
			ret->d = v;
		else if (ret->n == VISITS_OF_MAP_FREE)
			return false;
		else
			ret->m[ret->n++] = v;
	}
	return true;
}

static bool bucket_left(const struct sides *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (is_ok(s->m[i]->bucket))
			return true;
	return s->d && is_ok(s->d->bucket);
}

static bool list_left_by_map_free(const struct sides *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (is_ok(s->m[i]->storage))
			return true;
	return false;
}

static bool list_left(const struct sides *s)
{
	return list_left_by_map_free(s) || (s->d && is_ok(s->d->storage));
}

static unsigned int count_ok(const struct sides *s, bool bucket)
{
	unsigned int n = s->d && is_ok(bucket ? s->d->bucket : s->d->storage);

	for (unsigned int i = 0; i < s->n; i++)
		n += is_ok(bucket ? s->m[i]->bucket : s->m[i]->storage);
	return n;
}

/* The bucket lock of map_free()'s first visit, against D's. */
static bool first_bucket_is_possible(const struct sides *s)
{
	const struct model_visit *m = s->m[0], *d = s->d;
	bool cleared = d && (is_ok(d->bucket) || is_gone(d->bucket));

	if (is_gone(m->bucket))
		return d && is_ok(d->bucket) && overlap(m, d);
	/* smap is NULL: D took the element off its bucket, and had begun before M read it. */
	if (is_skipped(m->bucket))
		return d && is_ok(d->bucket) && d->begin < m->end;
	return !(cleared && before(d, m));
}

static bool destroy_bucket_is_possible(const struct sides *s)
{
	const struct model_visit *m = s->n ? s->m[0] : NULL, *d = s->d;
	/* M clears smap whenever it tried, even if the lock failed. */
	bool tried = m && !is_skipped(m->bucket);

	if (is_gone(d->bucket))
		return m && is_ok(m->bucket) && overlap(m, d);
	if (is_skipped(d->bucket))
		return tried && !is_gone(m->bucket) && m->begin < d->end;
	return !(tried && before(m, d));
}

static bool destroy_storage_is_possible(const struct sides *s)
{
	const struct model_visit *d = s->d;
	bool may_skip = false, may_be_gone = false, must_skip = false;

	for (unsigned int i = 0; i < s->n; i++) {
		if (!is_ok(s->m[i]->storage))
			continue;
		may_skip = s->m[i]->begin < d->end;
		may_be_gone = overlap(s->m[i], d);
		must_skip = before(s->m[i], d);
	}
	if (is_skipped(d->storage)) /* M cleared smap before that, and D reads smap last */
		return may_skip && is_skipped(d->bucket);
	if (must_skip)
		return false;
	return !is_gone(d->storage) || may_be_gone;
}

/* An earlier visit of map_free() cleared local_storage. */
static bool cleared_earlier(const struct sides *s, unsigned int i)
{
	while (i--)
		if (!failed(s->m[i]->storage))
			return true;
	return false;
}

static bool map_free_storage_is_possible(const struct sides *s, unsigned int i)
{
	const struct model_visit *m = s->m[i], *d = s->d;
	bool destroy_clears = d && (is_ok(d->storage) || failed(d->storage));
	bool skipped = is_skipped(m->storage);

	if (cleared_earlier(s, i))
		return skipped;
	if (skipped) {
		if (!destroy_clears || d->begin >= m->end)
			return false;
		/* D had done with the bucket before, and M reads smap after local_storage. */
		return i || (failed(d->bucket) && (is_ok(m->bucket) || failed(m->bucket))) ||
		       (is_ok(d->bucket) && is_skipped(m->bucket));
	}
	if (destroy_clears && before(d, m))
		return false;
	return !is_gone(m->storage) || (d && is_ok(d->storage) && overlap(m, d));
}

/* That visit shows that D was past the storage lock by then. */
static bool saw_destroy_past(const struct sides *s, unsigned int i)
{
	return is_gone(s->m[i]->storage) ||
	       (is_skipped(s->m[i]->storage) && !cleared_earlier(s, i));
}

/*
 * map_free() comes back only to what is still in its bucket when its earlier visit is over; by then
 * it has cleared smap. It may have been freed: while destroy() is a reader it can be looked at.
 */
static bool return_is_possible(const struct sides *s, unsigned int i)
{
	if (!is_skipped(s->m[i]->bucket) || !failed(s->m[0]->bucket))
		return false;
	return !s->d || !is_ok(s->d->bucket) ||
	       (s->d->end > s->m[i - 1]->end && !saw_destroy_past(s, i - 1));
}

/* Nobody who must come has failed to: each list that it is still on was walked. */
static bool is_whole(const struct sides *s)
{
	return (s->d || list_left_by_map_free(s)) && (s->n || bucket_left(s));
}

static bool is_possible(const struct sides *s)
{
	if (!is_whole(s) || count_ok(s, true) > 1 || count_ok(s, false) > 1)
		return false;
	if (s->n && !first_bucket_is_possible(s))
		return false;
	for (unsigned int i = 0; i < s->n; i++) {
		if ((i && !return_is_possible(s, i)) || !map_free_storage_is_possible(s, i))
			return false;
	}
	return !s->d || (destroy_bucket_is_possible(s) && destroy_storage_is_possible(s));
}

static bool unlinked_both(const struct model_visit *v)
{
	return is_ok(v->bucket) && is_ok(v->storage);
}

/*
 * By cmpxchg: both sides came, and the one whose cmpxchg is first after both bits are set wins.
 * Where D took it off the bucket, map_free()'s visits before its last were over by then, and D had
 * its bit still to set.
 */
static unsigned int freed_by_cmpxchg(const struct sides *s)
{
	unsigned int by = before(s->d, s->m[0]) ? MODEL_BY_MAP_FREE : MODEL_BY_DESTROY;

	for (unsigned int i = is_ok(s->d->bucket) ? s->n - 1 : 0; i < s->n; i++)
		if (overlap(s->m[i], s->d))
			by |= MODEL_BY_MAP_FREE;
	return by;
}

static unsigned int freed_by(const struct sides *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (unlinked_both(s->m[i]))
			return MODEL_BY_MAP_FREE;
	if (s->d && unlinked_both(s->d))
		return MODEL_BY_DESTROY;
	return s->n && s->d ? freed_by_cmpxchg(s) : MODEL_BY_NOBODY;
}

/* map_free() takes it off the list in a later visit, with smap NULL: nothing is uncharged. */
static bool is_dangling(const struct sides *s)
{
	return !s->d && !is_ok(s->m[0]->storage) && list_left_by_map_free(s);
}

/* What comes of it in any case. */
static unsigned int holes_of(const struct sides *s, unsigned int freed)
{
	bool leaked = freed == MODEL_BY_NOBODY;
	unsigned int found = 0;

	if (leaked)
		found |= BIT(MODEL_SELEM);
	if (s->d && !list_left(s))
		found |= BIT(MODEL_STORAGE);
	if (!leaked && (!bucket_left(s) || !list_left(s)))
		found |= BIT(MODEL_LINKED);
	if (!bucket_left(s))
		found |= BIT(MODEL_FIELDS);
	return found;
}

/*
 * What may come of it besides. REFCNT: D's failure to get the very lock under which M
 * uncharges, and D was over first. DANGLING: only if it was the last of its owner, which the
 * history does not say.
 */
static unsigned int chances_of(const struct sides *s)
{
	unsigned int may = 0;

	if (s->d && failed(s->d->storage) && s->n && is_ok(s->m[0]->storage) &&
	    !is_skipped(s->m[0]->bucket) && s->d->end < s->m[0]->end)
		may |= BIT(MODEL_REFCNT);
	if (is_dangling(s))
		may |= BIT(MODEL_DANGLING) | BIT(MODEL_CHARGE);
	return may;
}

/* The worst that was done: a forced failure explains what an organic one need not. */
static unsigned char worst(unsigned int kinds)
{
	for (unsigned int kind = FAULT_NR; kind--;)
		if (kinds & BIT(kind))
			return kind;
	return FAULT_ORGANIC;
}

static unsigned int kinds_of_map_free(const struct sides *s)
{
	unsigned int kinds = 0;

	for (unsigned int i = 0; i < s->n; i++)
		kinds |= s->m[i]->kinds;
	return kinds;
}

/* Whose failure opens a hole: D's for the storage, M's for what is in the bucket. */
static unsigned char kind_of(enum model_hole hole, const struct sides *s)
{
	unsigned int map_free = kinds_of_map_free(s), destroy = s->d ? s->d->kinds : 0;

	switch (hole) {
	case MODEL_STORAGE:
	case MODEL_REFCNT:
		return worst(destroy);
	case MODEL_FIELDS:
	case MODEL_DANGLING:
		return worst(map_free);
	case MODEL_LINKED:
		return worst((bucket_left(s) ? 0 : map_free) | (list_left(s) ? 0 : destroy));
	default:
		return worst(map_free | destroy);
	}
}

static void merge(const struct sides *s, struct model_end *ret)
{
	unsigned int freed = freed_by(s), certain = holes_of(s, freed);
	unsigned int may = certain | chances_of(s);

	ret->holes = ret->possible ? ret->holes & certain : certain;
	for (unsigned int hole = 0; hole < MODEL_HOLE_NR; hole++) {
		unsigned char kind = kind_of(hole, s);

		if (!(may & BIT(hole)))
			continue;
		if (ret->kind[hole] == FAULT_NR || kind > ret->kind[hole])
			ret->kind[hole] = kind;
	}
	ret->possible = true;
	ret->freed |= freed;
	ret->may |= may;
}

/* What stands for itself first, then what a result that was not recorded may have been. */
static const unsigned char all_results[] = { SOAK_LOCK_OK, SOAK_LOCK_TIMEOUT, SOAK_LOCK_GONE,
					     SOAK_LOCK_SKIPPED };

static unsigned int choices(unsigned char recorded, unsigned char ret[ARRAY_SIZE(all_results)])
{
	memcpy(ret, all_results, sizeof(all_results));
	if (recorded == MODEL_UNKNOWN)
		return ARRAY_SIZE(all_results);
	if (recorded == SOAK_LOCK_EITHER) /* all of them but skipped */
		return ARRAY_SIZE(all_results) - 1;
	if (recorded == MODEL_TAKEN) {
		ret[1] = SOAK_LOCK_GONE;
		return 2;
	}
	ret[0] = recorded == SOAK_LOCK_DEADLOCK ? SOAK_LOCK_TIMEOUT : recorded;
	return 1;
}

/* What is known of the failures of a whole side rules out guesses about its single visits. */
static bool fits(const struct model_history *guess)
{
	unsigned int seen[SOAK_SIDE_NR] = { 0 };

	for (unsigned int i = 0; i < guess->n; i++) {
		const struct model_visit *v = &guess->visit[i];

		if (failed(v->bucket))
			seen[v->side] |= SOAK_FAILED_BUCKET;
		if (failed(v->storage))
			seen[v->side] |= SOAK_FAILED_STORAGE;
	}
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		if (guess->failed[side] != ~0u && guess->failed[side] != seen[side])
			return false;
	return true;
}

static void try_from(struct model_history *guess, unsigned int visit, struct model_end *ret);

static void try_visit(struct model_history *guess, unsigned int visit, struct model_end *ret)
{
	unsigned char bucket[ARRAY_SIZE(all_results)], storage[ARRAY_SIZE(all_results)];
	struct model_visit *v = &guess->visit[visit], recorded = *v;
	unsigned int buckets = choices(v->bucket, bucket), storages = choices(v->storage, storage);

	for (unsigned int i = 0; i < buckets * storages; i++) {
		v->bucket = bucket[i / storages];
		v->storage = storage[i % storages];
		try_from(guess, visit + 1, ret);
	}
	*v = recorded;
}

static void try_from(struct model_history *guess, unsigned int visit, struct model_end *ret)
{
	struct sides s;

	if (visit < guess->n)
		try_visit(guess, visit, ret);
	else if (fits(guess) && divide(guess, &s) && is_possible(&s))
		merge(&s, ret);
}

static void give_reason(struct model_end *ret)
{
	static const enum model_hole by_weight[] = { MODEL_SELEM, MODEL_STORAGE, MODEL_LINKED,
						     MODEL_FIELDS };

	if (!ret->possible) {
		ret->claim = CLAIM_AS_WRITTEN;
		ret->reason = "no order of the two sides' steps has these results and ends there";
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(by_weight); i++) {
		if (!(ret->holes & BIT(by_weight[i])))
			continue;
		ret->claim = holes[by_weight[i]].claim;
		ret->reason = holes[by_weight[i]].text;
		return;
	}
	ret->claim = CLAIM_FREED_ONCE;
	ret->reason = claims[CLAIM_FREED_ONCE].text;
}

/* "Neither the bpf_prog nor the bpf_map's syscall" come once one of the two sides does. */
static void predict_deleted(const struct model_history *history, struct model_end *ret)
{
	ret->possible = !history->n;
	ret->freed = MODEL_BY_PROGRAM;
}

void model_predict(const struct model_history *history, struct model_end *ret)
{
	struct model_history guess = *history;

	memset(ret, 0, sizeof(*ret));
	memset(ret->kind, FAULT_NR, sizeof(ret->kind));
	if (history->deleted)
		predict_deleted(history, ret);
	else if (history->n <= MODEL_VISITS)
		try_from(&guess, 0, ret);
	give_reason(ret);
}

static void add_visit(struct model_history *h, enum soak_side side, const struct soak_visit *seen)
{
	h->visit[h->n++] = (struct model_visit){
		.side = side,
		.bucket = seen->bucket,
		.storage = seen->storage,
		.kinds = seen->kinds,
		.begin = seen->entry_ns,
		.end = seen->entry_ns + 1000ULL * (seen->duration_us + 1ULL),
	};
}

/* Of map_free() only the last visit is recorded; it came after the others. */
static void add_earlier(struct model_history *h, const struct soak_visit *last)
{
	unsigned int n = MIN((unsigned int)last->visits, (unsigned int)VISITS_OF_MAP_FREE) - 1;

	for (unsigned int i = 0; i < n; i++) {
		h->visit[h->n++] = (struct model_visit){
			.side = SOAK_MAP_FREE,
			.bucket = MODEL_UNKNOWN,
			.storage = MODEL_UNKNOWN,
			.kinds = last->kinds,
			.begin = i,
			.end = last->entry_ns,
		};
	}
}

/* Deduced results call it "ok" when the element was linked at the entry of the visit. */
static void doubt_who_unlinked(struct model_history *h)
{
	for (unsigned int i = 0; i < h->n; i++) {
		if (is_ok(h->visit[i].bucket))
			h->visit[i].bucket = MODEL_TAKEN;
		if (is_ok(h->visit[i].storage))
			h->visit[i].storage = MODEL_TAKEN;
	}
}

void model_history_of(const struct soak_slot *slot, struct model_history *ret)
{
	const struct soak_visit *map_free = &slot->visit[SOAK_MAP_FREE];
	const struct soak_visit *destroy = &slot->visit[SOAK_DESTROY];

	memset(ret, 0, sizeof(*ret));
	ret->unfinished = map_free->pid || destroy->pid;
	ret->deleted = (slot->flags & SOAK_FREED) && slot->free_by == SOAK_FREE_PROGRAM;
	ret->failed[SOAK_MAP_FREE] = map_free->failed;
	ret->failed[SOAK_DESTROY] = destroy->failed;
	/* What may have been a failure does not stand in "failed". */
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		if (slot->visit[side].bucket == SOAK_LOCK_EITHER ||
		    slot->visit[side].storage == SOAK_LOCK_EITHER)
			ret->failed[side] = ~0u;
	if (map_free->visits > 1)
		add_earlier(ret, map_free);
	if (map_free->visits)
		add_visit(ret, SOAK_MAP_FREE, map_free);
	for (unsigned int i = 0; i < MIN(destroy->visits, 2); i++)
		if (ret->n < MODEL_VISITS)
			add_visit(ret, SOAK_DESTROY, destroy);
	if (map_free->visits && destroy->visits)
		doubt_who_unlinked(ret);
}

#define MAP_UNLINKED	 BIT(0)
#define STORAGE_UNLINKED BIT(1)
#define TOFREE		 BIT(2)

bool model_state_undecided(unsigned int state)
{
	return (state & (MAP_UNLINKED | STORAGE_UNLINKED | TOFREE)) ==
	       (MAP_UNLINKED | STORAGE_UNLINKED);
}

const char *model_state_wrong(const struct soak_slot *slot)
{
	static const unsigned int bit_of[SOAK_SIDE_NR] = {
		[SOAK_MAP_FREE] = MAP_UNLINKED, [SOAK_DESTROY] = STORAGE_UNLINKED
	};

	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++) {
		const struct soak_visit *v = &slot->visit[side];
		bool both = is_ok(v->bucket) && is_ok(v->storage);
		bool known = v->bucket != SOAK_LOCK_EITHER && v->storage != SOAK_LOCK_EITHER;

		/* TOFREE takes the place of both bits. */
		if (!v->visits || v->pid || !known || (v->state & TOFREE))
			continue;
		if (!both && !(v->state & bit_of[side]))
			return "a side that did not take the element off both lists left without "
			       "its UNLINKED bit";
	}
	return NULL;
}
