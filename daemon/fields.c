// SPDX-License-Identifier: GPL-2.0-only
/* Judges special fields: see fields.h. */
#include "fields.h"

#include "util.h"

#define UNDER_WAY 64

void fields_read(struct snapshot *ret)
{
	uint64_t released = ret->c.refs_taken + ret->c.refs_freed;
	uint64_t left = ret->c.fields_left;

	/* What is under way while the counters are read is never as many. */
	if (released > ret->c.refs_stored + UNDER_WAY)
		ret->violations[VIOLATION_REFERENCE] = released - ret->c.refs_stored;
	ret->violations[VIOLATION_FIELDS_TWICE] = ret->c.fields_twice;
	ret->violations[VIOLATION_FIELDS_LATE] = ret->c.fields_late;
	/* A call of bpf_obj_free_fields() that went past both copies looks like none. */
	ret->violations[VIOLATION_FIELDS_LEAK] =
		left > ret->fields_blind ? left - ret->fields_blind : 0;
}

/*
 * A selem that is never freed is judged as such; that its fields stay too is a matter of its own
 * only where the bucket lock of map_free failed. One whose last visit never ended stays open.
 */
void fields_judge_slot(const struct soak_slot *slot, struct snapshot *ret)
{
	unsigned int flags = slot->flags;
	bool born = flags & (SOAK_BORN_A | SOAK_BORN_B);

	if (ret->oracles[ORACLE_FIELDS] != ORACLE_LIVE)
		return;
	if (!born || !(flags & SOAK_HAS_FIELDS) || (flags & (SOAK_FIELDS | SOAK_FIELDS_JUDGED)))
		return;
	if (flags & SOAK_FREED) {
		if (!(flags & SOAK_FIELDS_LEFT))
			return;
		ret->fields_unfreed++;
		ret->unjudged++;
		return;
	}
	ret->fields_unfreed++;
	if (flags & SOAK_BUCKET_FAILED)
		ret->holes[HOLE_FIELDS][fault_kind_worst(slot->visit[SOAK_MAP_FREE].kinds)]++;
}

static uint64_t may_still_be_there(const struct snapshot *s)
{
	uint64_t n = s->fields_unfreed + s->c.fields_left + s->fields_blind;

	for (unsigned int kind = 0; kind < FAULT_NR; kind++)
		n += s->c.fields_hole[kind];
	/*
	 * Of these we know too little to have seen their fields freed. A birth that was missed at
	 * an address of which something is known shows nowhere else.
	 */
	return n + s->births_blind + s->misses[MISS_TABLE_FULL] + s->misses[MISS_REBORN] +
	       s->misses[MISS_UNKNOWN];
}

/*
 * On a busy machine more births go past us than is small change, and what was stored in such a
 * value is released unseen. That may explain what is missing, and is no proof of it: unjudged.
 */
static uint64_t missing_references(struct snapshot *ret, uint64_t missing)
{
	uint64_t explained =
		MIN(missing, ret->births_skipped - MIN(ret->births_skipped, ret->births_blind));

	ret->unjudged += explained;
	return missing - explained;
}

/*
 * What was stored was taken out by our programs, or was in a value when its fields were freed, or
 * is still in a value that leaked. More releases than that: two values shared one reference.
 */
void fields_judge(struct snapshot *ret)
{
	uint64_t stored = ret->c.refs_stored;
	uint64_t released = ret->c.refs_taken + ret->c.refs_freed, wrong = 0;

	if (ret->oracles[ORACLE_FIELDS] != ORACLE_LIVE)
		return;
	if (released > stored)
		wrong = released - stored;
	else if (stored - released > may_still_be_there(ret))
		wrong = missing_references(ret, stored - released - may_still_be_there(ret));
	ret->violations[VIOLATION_REFERENCE] = wrong;
}

bool fields_are_seen(const struct snapshot *s)
{
	return s->c.fields_freed && s->c.refs_stored &&
	       s->c.refs_stored == s->c.refs_taken + s->c.refs_freed;
}
