// SPDX-License-Identifier: GPL-2.0-only
/* All interleavings of both sides: see explorer.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explorer.h"

#define LOCK_FAILED SOAK_LOCK_TIMEOUT

const struct explorer_state explorer_newborn = {
	.selem = { .in_bucket = 1, .in_list = 1, .smap = 1, .storage = 1 },
	.storage = { .refcnt = 1, .charged = 1, .published = 1 },
};

static size_t slot_of(const struct explorer *x, const struct explorer_state *s)
{
	const unsigned char *bytes = (const unsigned char *)s;
	uint64_t h = 14695981039346656037u;
	size_t slot;

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ bytes[i]) * 1099511628211u;
	for (slot = h % x->hash_size; x->hash[slot]; slot = (slot + 1) % x->hash_size) {
		if (!memcmp(&x->states[x->hash[slot] - 1], s, sizeof(*s)))
			break;
	}
	return slot;
}

static void grow(struct explorer *x)
{
	x->n_allocated = x->n_allocated ? 2 * x->n_allocated : 4096;
	x->states = realloc(x->states, x->n_allocated * sizeof(*x->states));
	assert_non_null(x->states);
	free(x->hash);
	x->hash_size = 2 * x->n_allocated;
	x->hash = calloc(x->hash_size, sizeof(*x->hash));
	assert_non_null(x->hash);
	for (size_t i = 0; i < x->n_states; i++)
		x->hash[slot_of(x, &x->states[i])] = i + 1;
}

static void add_state(struct explorer *x, const struct explorer_state *s)
{
	size_t slot;

	if (x->n_states == x->n_allocated)
		grow(x);
	slot = slot_of(x, s);
	if (x->hash[slot])
		return;
	x->states[x->n_states] = *s;
	x->hash[slot] = ++x->n_states;
}

/* One more time; anything beyond the first breaks a claim. */
static void count_once(unsigned char *times, bool *twice)
{
	if (++*times > 1)
		*twice = true;
}

/* Freed, and no grace period can end: destroy(), which may be what freed it, is a reader still. */
static bool is_given_away(const struct explorer_state *s)
{
	return s->selem.frees && (!s->storage.dying || s->visitor[SOAK_DESTROY].step == STEP_OVER);
}

/*
 * map_free() walks its bucket again after need_resched(). A walk finds what is linked, freed or
 * not; whether it comes upon memory that is somebody else's by then is not followed further.
 */
static bool find(const struct explorer *x, struct explorer_state *s, unsigned int side)
{
	struct explorer_visitor *v = &s->visitor[side];
	bool linked = side == SOAK_MAP_FREE ? s->selem.in_bucket : s->selem.in_list;
	unsigned int max = side == SOAK_MAP_FREE ? x->map_free_visits : 1;

	if (!linked || is_given_away(s) || v->visits == max)
		return false;
	if (side == SOAK_DESTROY && !s->storage.dying)
		return false;
	v->step = STEP_ENTER;
	return true;
}

/*
 * destroy() is called for what the owner points to, if it does. What it does to a storage that was
 * freed under a living owner is followed no further.
 */
static bool call_destroy(struct explorer_state *s)
{
	if (!s->storage.published || s->storage.frees)
		s->visitor[SOAK_DESTROY].step = STEP_OVER;
	s->storage.dangling = s->storage.published && s->storage.frees;
	s->storage.dying = 1;
	return true;
}

static bool leave_list(struct explorer_state *s)
{
	if (s->selem.in_list && !s->visitor[SOAK_DESTROY].visits)
		return false;
	s->visitor[SOAK_DESTROY].step = STEP_DROP_OWNER;
	return true;
}

static bool walk(const struct explorer *x, struct explorer_state *s, unsigned int side)
{
	if (side == SOAK_MAP_FREE)
		return find(x, s, side);
	if (!s->storage.dying)
		return call_destroy(s);
	return find(x, s, side) || leave_list(s);
}

static void begin_visit(const struct explorer *x, struct explorer_state *s, unsigned int side)
{
	struct explorer_visitor *v = &s->visitor[side];

	if (x->trails)
		s->trail.visit[EXPLORER_VISIT(side, v->visits)].begin = ++s->trail.events;
	v->visits++;
	v->step = STEP_READ_STORAGE;
}

static void end_visit(struct explorer *x, struct explorer_state *s, unsigned int side,
		      enum soak_outcome outcome)
{
	struct explorer_visitor *v = &s->visitor[side];
	unsigned int i = EXPLORER_VISIT(side, v->visits - 1);
	unsigned char visits = v->visits;

	x->reached[side][v->bucket_result][v->storage_result][outcome] = true;
	if (x->trails) {
		s->trail.visit[i].end = ++s->trail.events;
		s->trail.visit[i].bucket = v->bucket_result;
		s->trail.visit[i].storage = v->storage_result;
	}
	memset(v, 0, sizeof(*v));
	v->visits = visits;
}

/* What is done under the bucket lock is one step: nobody looks at those links without it. */
static void lock_bucket(struct explorer *x, struct explorer_state *s, struct explorer_visitor *v,
			bool fail)
{
	if (!v->smap) {
		v->bucket_result = SOAK_LOCK_SKIPPED;
	} else if (fail) {
		v->bucket_result = LOCK_FAILED;
	} else if (!s->selem.in_bucket) {
		v->bucket_result = SOAK_LOCK_GONE;
	} else {
		v->bucket_result = SOAK_LOCK_OK;
		s->selem.in_bucket = 0;
		v->unlink++;
		count_once(&s->selem.fields, &x->fields_freed_twice);
	}
	v->step = STEP_CLEAR_SMAP;
}

/* False: somebody holds it, and there is nothing to do but to wait. */
static bool lock_storage(struct explorer_state *s, struct explorer_visitor *v, unsigned int side,
			 bool fail)
{
	v->step = STEP_CLEAR_STORAGE;
	if (!v->storage) {
		v->storage_result = SOAK_LOCK_SKIPPED;
		return true;
	}
	if (fail) {
		v->storage_result = LOCK_FAILED;
		return true;
	}
	if (s->storage.lock) {
		v->step = STEP_LOCK_STORAGE;
		return false;
	}
	if (!s->selem.in_list) {
		v->storage_result = SOAK_LOCK_GONE;
		return true;
	}
	v->storage_result = SOAK_LOCK_OK;
	s->storage.lock = side + 1;
	/* The selem is its owner's only one. "if (smap && in_map_free)" */
	v->free_storage = 1;
	v->step = v->smap && side == SOAK_MAP_FREE ? STEP_PIN : STEP_UNLINK_STORAGE;
	return true;
}

/* bpf_selem_unlink_storage_nolock_misc() */
static void pin(struct explorer_state *s, struct explorer_visitor *v)
{
	v->pinned = s->storage.refcnt != 0;
	if (v->pinned && s->storage.refcnt != EXPLORER_SATURATED)
		s->storage.refcnt++;
	v->step = v->pinned ? STEP_UNCHARGE : STEP_UNLINK_STORAGE;
}

static void uncharge(struct explorer *x, struct explorer_state *s)
{
	count_once(&s->storage.uncharges, &x->uncharged_twice);
	s->storage.charged = 0;
	s->storage.published = 0;
	if (s->visitor[SOAK_DESTROY].step == STEP_OVER)
		x->uncharged_without_owner = true;
}

/* refcount_dec() takes 1 to 0 for an error and saturates (lib/refcount.c). */
static void unpin(struct explorer_state *s)
{
	if (s->storage.refcnt == 1)
		s->storage.refcnt = EXPLORER_SATURATED;
	else if (s->storage.refcnt != EXPLORER_SATURATED)
		s->storage.refcnt--;
}

/* "if (!err || ...) RCU_INIT_POINTER(..., NULL)", inside "if (pointer)". */
static bool clears(unsigned char result, bool even_failed)
{
	return result != SOAK_LOCK_SKIPPED && (result != LOCK_FAILED || even_failed);
}

static bool can_fail(const struct explorer_visitor *v)
{
	return (v->step == STEP_LOCK_BUCKET && v->smap) ||
	       (v->step == STEP_LOCK_STORAGE && v->storage);
}

/* bpf_selem_free(selem, true) */
static void free_selem(struct explorer *x, struct explorer_selem *selem, unsigned int side)
{
	if (!selem->frees)
		selem->freed_by = side;
	count_once(&selem->frees, &x->freed_twice);
	if (selem->smap)
		count_once(&selem->fields, &x->fields_freed_twice);
}

/* What remains of a visit once the selem is decided: free_storage, and the return. */
static void decide(struct explorer_visitor *v, enum soak_outcome outcome)
{
	v->outcome = outcome;
	v->step = STEP_FREE_STORAGE;
}

static void free_storage(struct explorer *x, struct explorer_state *s, unsigned int side)
{
	if (s->visitor[side].free_storage)
		count_once(&s->storage.frees, &x->storage_freed_twice);
	end_visit(x, s, side, s->visitor[side].outcome);
}

/* "if (unlink != 2) atomic_or()", else straight to bpf_selem_free(). */
static void set_bit_or_free(struct explorer *x, struct explorer_state *s, unsigned int side)
{
	struct explorer_visitor *v = &s->visitor[side];

	if (v->unlink == 2) {
		free_selem(x, &s->selem, side);
		decide(v, SOAK_FREED_HERE);
		return;
	}
	s->selem.bits[side] = 1;
	v->step = STEP_CMPXCHG;
}

static void cmpxchg(struct explorer *x, struct explorer_state *s, unsigned int side)
{
	struct explorer_visitor *v = &s->visitor[side];
	struct explorer_selem *selem = &s->selem;

	if (!selem->bits[SOAK_MAP_FREE] || !selem->bits[SOAK_DESTROY] || selem->tofree) {
		decide(v, SOAK_LEFT);
		return;
	}
	selem->tofree = 1;
	free_selem(x, selem, side);
	decide(v, SOAK_FREED_CMPXCHG);
}

/* What destroy() returns is uncharged by its caller: nothing is owed after that. */
static void finish_destroy(struct explorer *x, struct explorer_state *s)
{
	if (s->storage.charged)
		count_once(&s->storage.uncharges, &x->uncharged_twice);
	s->storage.charged = 0;
	s->visitor[SOAK_DESTROY].step = STEP_OVER;
}

static void drop_owner(struct explorer *x, struct explorer_state *s)
{
	if (s->storage.refcnt != EXPLORER_SATURATED)
		s->storage.refcnt--;
	if (!s->storage.refcnt)
		finish_destroy(x, s);
	else
		s->visitor[SOAK_DESTROY].step = STEP_WAIT_OWNER;
}

/* Steps behind the visit's lock of the storage. */
static bool advance_late(struct explorer *x, struct explorer_state *s, unsigned int side)
{
	struct explorer_visitor *v = &s->visitor[side];

	switch (v->step) {
	case STEP_PIN:
		pin(s, v);
		return true;
	case STEP_UNCHARGE:
		uncharge(x, s);
		break;
	case STEP_UNPIN:
		unpin(s);
		break;
	case STEP_UNLINK_STORAGE:
		s->selem.in_list = 0;
		s->storage.lock = 0;
		v->unlink++;
		break;
	case STEP_CLEAR_STORAGE:
		if (clears(v->storage_result, side == SOAK_DESTROY))
			s->selem.storage = 0;
		break;
	case STEP_SET_BIT:
		set_bit_or_free(x, s, side);
		return true;
	case STEP_CMPXCHG:
		cmpxchg(x, s, side);
		return true;
	case STEP_FREE_STORAGE:
		free_storage(x, s, side);
		return true;
	case STEP_DROP_OWNER:
		drop_owner(x, s);
		return true;
	case STEP_WAIT_OWNER:
		if (s->storage.refcnt)
			return false;
		finish_destroy(x, s);
		return true;
	default:
		return false;
	}
	v->step++;
	return true;
}

bool explorer_advance(struct explorer *x, struct explorer_state *s, unsigned int side, bool fail)
{
	struct explorer_visitor *v = &s->visitor[side];

	if (fail && (!x->faults || !can_fail(v)))
		return false;
	switch (v->step) {
	case STEP_WALK:
		return walk(x, s, side);
	case STEP_ENTER:
		begin_visit(x, s, side);
		return true;
	case STEP_READ_STORAGE:
		v->storage = s->selem.storage;
		break;
	case STEP_READ_SMAP:
		v->smap = s->selem.smap;
		break;
	case STEP_LOCK_BUCKET:
		lock_bucket(x, s, v, fail);
		return true;
	case STEP_CLEAR_SMAP:
		if (clears(v->bucket_result, side == SOAK_MAP_FREE))
			s->selem.smap = 0;
		break;
	case STEP_LOCK_STORAGE:
		return lock_storage(s, v, side, fail);
	default:
		return advance_late(x, s, side);
	}
	v->step++;
	return true;
}

bool explorer_is_end(const struct explorer_state *s)
{
	const struct explorer_visitor *map_free = &s->visitor[SOAK_MAP_FREE];
	const struct explorer_visitor *destroy = &s->visitor[SOAK_DESTROY];

	if (map_free->step != STEP_WALK || (s->selem.in_bucket && !map_free->visits))
		return false;
	return destroy->step == STEP_OVER ||
	       (destroy->step == STEP_WAIT_OWNER && s->storage.refcnt == EXPLORER_SATURATED);
}

struct explorer *explorer_new(bool faults, bool trails, unsigned int map_free_visits)
{
	struct explorer *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	x->faults = faults;
	x->trails = trails;
	x->map_free_visits = map_free_visits;
	add_state(x, &explorer_newborn);
	for (size_t i = 0; i < x->n_states; i++) {
		for (unsigned int choice = 0; choice < 2 * SOAK_SIDE_NR; choice++) {
			struct explorer_state next = x->states[i];

			if (explorer_advance(x, &next, choice / 2, choice % 2))
				add_state(x, &next);
		}
	}
	return x;
}

void explorer_free(struct explorer *x)
{
	if (!x)
		return;
	free(x->states);
	free(x->hash);
	free(x);
}
