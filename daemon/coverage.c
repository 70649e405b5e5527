// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of visits: see coverage.h. What the algorithm cannot do is written down here as rules
 * with their reasons; tests/unit/test_coverage.c explores all interleavings of both sides and
 * fails when a rule and the exploration differ in one cell.
 */
#include "coverage.h"

#include <stdio.h>
#include <string.h>

struct coverage_cell coverage_cell(unsigned int index)
{
	struct coverage_cell cell;

	cell.kind = index % SOAK_COVER_KINDS;
	index /= SOAK_COVER_KINDS;
	cell.outcome = index % SOAK_OUTCOME_NR;
	index /= SOAK_OUTCOME_NR;
	cell.storage = index % SOAK_LOCK_NR;
	index /= SOAK_LOCK_NR;
	cell.bucket = index % SOAK_LOCK_NR;
	cell.side = index / SOAK_LOCK_NR;
	return cell;
}

bool coverage_is_failure(unsigned int result)
{
	return result == SOAK_LOCK_TIMEOUT || result == SOAK_LOCK_DEADLOCK;
}

static bool both_are(const struct coverage_cell *cell, unsigned int result)
{
	return cell->bucket == result && cell->storage == result;
}

/* Cells that no figures can have, whatever the algorithm. */
static const char *malformed(const struct coverage_cell *cell)
{
	bool failed = coverage_is_failure(cell->bucket) || coverage_is_failure(cell->storage);

	if (cell->bucket == SOAK_LOCK_EITHER || cell->storage == SOAK_LOCK_EITHER)
		return "either stands for a result that could not be seen";
	if (failed && cell->kind == SOAK_NO_FAULT)
		return "a lock failed, and every failure is of some kind";
	if (!failed && cell->kind != SOAK_NO_FAULT)
		return "no lock failed, so there is no failure to be of this kind";
	return NULL;
}

/*
 * "unlink" counts the lists that the visit itself took the selem off. Both sides read
 * local_storage first, then smap; either clears smap after its bucket step, map_free() even when
 * the lock failed, and local_storage after its storage step, destroy() even when the lock failed.
 * All of it is as x86 orders it: a machine that swaps two loads may find smap set and
 * local_storage NULL.
 */
const char *coverage_unreachable(const struct coverage_cell *cell)
{
	const char *reason = malformed(cell);

	if (reason)
		return reason;
	if (both_are(cell, SOAK_LOCK_OK) && cell->outcome == SOAK_FREED_HERE)
		return NULL;
	if (both_are(cell, SOAK_LOCK_OK))
		return "a visit that took the selem off both lists frees it at once (unlink == 2)";
	if (cell->outcome == SOAK_FREED_HERE)
		return "a visit frees at once only when it took the selem off both lists itself "
		       "(unlink == 2)";
	if (cell->side == SOAK_DESTROY && cell->storage == SOAK_LOCK_SKIPPED &&
	    cell->bucket != SOAK_LOCK_SKIPPED)
		return "destroy() finds local_storage NULL only where map_free() cleared it, which "
		       "clears smap before that, and destroy() reads smap last";
	if (cell->side == SOAK_MAP_FREE && cell->storage == SOAK_LOCK_SKIPPED &&
	    cell->bucket == SOAK_LOCK_GONE)
		return "local_storage is NULL with smap still set only after destroy() failed the "
		       "bucket lock, and then the selem is still in its bucket";
	if (both_are(cell, SOAK_LOCK_GONE) && cell->outcome == SOAK_FREED_CMPXCHG)
		return "the other side took the selem off both lists, so it freed it at once and "
		       "never sets the bit that the cmpxchg waits for";
	return NULL;
}

/* Visits in which no lock failed, but which come about only where one failed before. */
static bool needs_earlier_fault(const struct coverage_cell *cell)
{
	bool bucket_skipped = cell->bucket == SOAK_LOCK_SKIPPED;

	if (cell->bucket == SOAK_LOCK_OK && cell->storage == SOAK_LOCK_SKIPPED)
		return true;
	return bucket_skipped && cell->storage != SOAK_LOCK_OK &&
	       cell->outcome == SOAK_FREED_CMPXCHG;
}

static bool any_kind_asked(const struct snapshot *s)
{
	for (unsigned int k = 0; k < FAULT_NR; k++) {
		if (s->kinds[k])
			return true;
	}
	return false;
}

/* Of the module, as it was asked. */
static bool can_return(const struct snapshot *s, unsigned int result)
{
	const char *error = snapshot_asked_error(s);

	if (!strcmp(error, "either"))
		return true;
	return result == (strcmp(error, "deadlk") ? SOAK_LOCK_TIMEOUT : SOAK_LOCK_DEADLOCK);
}

static bool can_fail(const struct snapshot *s, unsigned int kind, enum soak_site site,
		     unsigned int result)
{
	if (!coverage_is_failure(result))
		return true;
	if (kind == FAULT_ORGANIC)
		return result == SOAK_LOCK_TIMEOUT;
	return (!s->asked_sites || (s->asked_sites & (1u << site))) && can_return(s, result);
}

bool coverage_wanted(const struct snapshot *s, const struct coverage_cell *cell)
{
	bool map_free = cell->side == SOAK_MAP_FREE;
	enum soak_site bucket = map_free ? SOAK_SITE_MAP_FREE_BUCKET : SOAK_SITE_DESTROY_BUCKET;
	enum soak_site storage = map_free ? SOAK_SITE_MAP_FREE_STORAGE : SOAK_SITE_DESTROY_STORAGE;

	if (coverage_unreachable(cell))
		return false;
	if (cell->kind == SOAK_NO_FAULT)
		return any_kind_asked(s) || !needs_earlier_fault(cell);
	return s->kinds[cell->kind] && can_fail(s, cell->kind, bucket, cell->bucket) &&
	       can_fail(s, cell->kind, storage, cell->storage);
}

uint64_t coverage_visits(const struct snapshot *s, const struct coverage_cell *cell)
{
	return s->c.coverage[cell->side][cell->bucket][cell->storage][cell->outcome][cell->kind];
}

struct coverage_summary coverage_summarize(const struct snapshot *s, unsigned int kind)
{
	struct coverage_summary summary = { 0 };

	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);

		if (cell.kind != kind || !coverage_wanted(s, &cell))
			continue;
		summary.reachable++;
		if (coverage_visits(s, &cell))
			summary.covered++;
	}
	summary.missing = summary.reachable - summary.covered;
	return summary;
}

unsigned int coverage_missing(const struct snapshot *s, unsigned int kind,
			      struct coverage_cell *ret, unsigned int n)
{
	unsigned int missing = 0;

	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);

		if (cell.kind != kind || coverage_visits(s, &cell) || !coverage_wanted(s, &cell))
			continue;
		if (missing < n)
			ret[missing] = cell;
		missing++;
	}
	return missing;
}

void coverage_describe(char *buf, size_t size, const struct coverage_cell *cell)
{
	snprintf(buf, size, "%s %s/%s %s", side_name(cell->side), lock_result_name(cell->bucket),
		 lock_result_name(cell->storage), outcome_name(cell->outcome));
}
