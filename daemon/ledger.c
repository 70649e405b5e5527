// SPDX-License-Identifier: GPL-2.0-only
/* Reads and judges the ledger: see ledger.h. */
#include "ledger.h"

#include <string.h>

#include "log.h"
#include "programs.h"
#include "util.h"

#define HISTORIES_MAX 8
#define EXAMPLES_MAX  4

static bool is_live(unsigned int flags)
{
	return (flags & (SOAK_BORN_A | SOAK_BORN_B)) && !(flags & SOAK_FREED);
}

static bool is_bucket_site(unsigned int site)
{
	return site == SOAK_SITE_MAP_FREE_BUCKET || site == SOAK_SITE_DESTROY_BUCKET;
}

/* Did a lock fail in the history of this selem's owner, storage or map since its birth? */
static bool fault_touches(const struct soak_fault *fault, uint64_t owner, uint64_t storage,
			  unsigned int map_id, uint64_t birth_ns)
{
	if (fault->ns < birth_ns)
		return false;
	if (storage && fault->storage == storage)
		return true;
	if (fault->owner == owner)
		return true;
	return map_id && fault->map_id == map_id && is_bucket_site(fault->site);
}

/* The worst that was done to it: a forced failure explains what an organic one need not. */
static enum fault_kind worst_kind(unsigned int kinds)
{
	for (unsigned int kind = FAULT_NR; kind--;)
		if (kinds & (1u << kind))
			return kind;
	return FAULT_ORGANIC;
}

/* The worst kind of fault in that history, FAULT_NR: none. */
static enum fault_kind find_fault(const struct programs *programs, uint64_t owner, uint64_t storage,
				  unsigned int map_id, uint64_t birth_ns)
{
	const struct soak_fault *faults;
	unsigned int kinds = 0;
	size_t n;

	faults = programs_faults(programs, &n);
	for (size_t i = 0; i < n; i++)
		if (fault_touches(&faults[i], owner, storage, map_id, birth_ns))
			kinds |= 1u << faults[i].kind;
	return kinds ? worst_kind(kinds) : FAULT_NR;
}

static unsigned int kinds_of(const struct soak_slot *slot)
{
	return slot->visit[SOAK_MAP_FREE].kinds | slot->visit[SOAK_DESTROY].kinds;
}

static bool has_failed(const struct soak_slot *slot)
{
	return slot->visit[SOAK_MAP_FREE].failed || slot->visit[SOAK_DESTROY].failed;
}

static void format_visit(char *buf, size_t size, enum soak_side side,
			 const struct soak_visit *visit)
{
	if (!visit->entry_ns && !visit->visits) {
		snprintf(buf, size, "%s: no visit", side_name(side));
		return;
	}
	snprintf(buf, size, "%s: %u visit(s), bucket %s, storage %s, state %#x, %u.%03u ms",
		 side_name(side), visit->visits, lock_result_name(visit->bucket),
		 lock_result_name(visit->storage), visit->state, visit->duration_us / 1000,
		 visit->duration_us % 1000);
}

static void log_history(const struct programs *programs, const struct soak_slot *slot,
			const char *what)
{
	char visits[SOAK_SIDE_NR][160], memory[200] = "memory not readable";
	struct soak_inspect seen;

	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		format_visit(visits[side], sizeof(visits[side]), side, &slot->visit[side]);
	if (!programs_inspect(programs, slot->key, &seen))
		snprintf(memory, sizeof(memory),
			 "now: state %#x, %s in its bucket, %s on its owner's list, smap %s, "
			 "local_storage %s",
			 seen.state, seen.map_pprev ? "still" : "not",
			 seen.storage_pprev ? "still" : "not", seen.smap ? "set" : "NULL",
			 seen.storage ? "set" : "NULL");
	log_notice("%s: selem %#llx of a %s, %u bytes, map %u, owner %#llx: born, %s; %s; never "
		   "freed; %s",
		   what, slot->key, owner_kind_name(slot->kind), slot->elem_size, slot->map_id,
		   slot->owner, visits[SOAK_DESTROY], visits[SOAK_MAP_FREE], memory);
}

static bool left_both_lists(const struct soak_visit *visit)
{
	return visit->visits && visit->bucket == SOAK_LOCK_OK && visit->storage == SOAK_LOCK_OK;
}

/*
 * It was freed, and it is our view that has the gap: the kernel's own mark says so, or the memory
 * is no longer what its history made of it, since somebody else has it by now.
 */
static bool was_freed_unseen(const struct programs *programs, const struct soak_slot *slot)
{
	struct soak_inspect seen;

	if (programs_inspect(programs, slot->key, &seen))
		return false;
	if (seen.value.magic != SOAK_VALUE_MAGIC)
		return true;
	if (seen.state & 4)
		return true;
	return (left_both_lists(&slot->visit[SOAK_MAP_FREE]) ||
		left_both_lists(&slot->visit[SOAK_DESTROY])) &&
	       (seen.map_pprev || seen.storage_pprev);
}

/* A lock of that visit may have failed: both sides were at it. */
static bool is_ambiguous(const struct soak_visit *visit)
{
	return visit->bucket == SOAK_LOCK_EITHER || visit->storage == SOAK_LOCK_EITHER;
}

/*
 * Only evidence in its own history makes a residual doubtful. That frees can be missed at all is
 * none: one that was is born again in the churn or in the sieve, and known by that.
 */
static bool has_gaps(const struct programs *programs, const struct soak_slot *slot)
{
	/* A visit was entered and its end not seen. */
	if (slot->visit[SOAK_MAP_FREE].pid || slot->visit[SOAK_DESTROY].pid)
		return true;
	if (is_ambiguous(&slot->visit[SOAK_MAP_FREE]) || is_ambiguous(&slot->visit[SOAK_DESTROY]))
		return true;
	return was_freed_unseen(programs, slot);
}

/* The kind of fault that explains a residual, or FAULT_NR. */
static enum fault_kind explain_selem(const struct programs *programs, const struct soak_slot *slot)
{
	if (has_failed(slot))
		return worst_kind(kinds_of(slot));
	return find_fault(programs, slot->owner, slot->storage, slot->map_id, slot->birth_ns);
}

static enum fault_kind explain_storage(const struct programs *programs,
				       const struct soak_storage *storage)
{
	if (storage->fault_kinds)
		return worst_kind(storage->fault_kinds);
	return find_fault(programs, storage->owner, storage->key, 0, storage->birth_ns);
}

/* How many are still to be printed. Holes must not crowd out what is worse. */
struct histories {
	unsigned int holes;
	unsigned int others;
	unsigned int examples;
};

static void judge_selem(const struct programs *programs, const struct soak_slot *slot,
			struct histories *histories, struct snapshot *ret, uint64_t *unexplained)
{
	enum fault_kind kind = explain_selem(programs, slot);
	unsigned int *left = kind < FAULT_NR ? &histories->holes : &histories->others;
	char what[64];

	if (kind < FAULT_NR) {
		ret->holes[HOLE_SELEM][kind]++;
		snprintf(what, sizeof(what), "hole (%s)", fault_kind_name(kind));
	} else if (has_gaps(programs, slot) || ret->misses[MISS_FAULT_LOG]) {
		ret->unjudged++;
		(*unexplained)++;
		snprintf(what, sizeof(what), "residual with gaps in its history");
	} else {
		ret->violations[VIOLATION_SELEM_LEAK]++;
		(*unexplained)++;
		snprintf(what, sizeof(what), "VIOLATION, leak without any failed lock");
	}
	if (*left) {
		(*left)--;
		log_history(programs, slot, what);
	}
}

static void judge_storage(const struct programs *programs, const struct soak_storage *storage,
			  struct snapshot *ret, uint64_t *unexplained)
{
	enum fault_kind kind = explain_storage(programs, storage);

	if (kind < FAULT_NR) {
		ret->holes[HOLE_STORAGE][kind]++;
		return;
	}
	(*unexplained)++;
	if (ret->misses[MISS_FAULT_LOG])
		ret->unjudged++;
	else
		ret->violations[VIOLATION_STORAGE_LEAK]++;
}

/*
 * Selems that a failed lock kept from being freed by one side, and that the other side then
 * freed: what bpf_selem_unlink_nofail() is there for. A few, to be looked at.
 */
static bool was_handed_over(const struct soak_slot *slot)
{
	const struct soak_visit *map_free = &slot->visit[SOAK_MAP_FREE];
	const struct soak_visit *destroy = &slot->visit[SOAK_DESTROY];

	if (!(slot->flags & SOAK_FREED) || !map_free->visits || !destroy->visits)
		return false;
	return slot->free_by == SOAK_FREE_DESTROY
		       ? map_free->failed
		       : slot->free_by == SOAK_FREE_MAP_FREE && destroy->failed;
}

static void log_handed_over(const struct soak_slot *slot)
{
	char visits[SOAK_SIDE_NR][160];

	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		format_visit(visits[side], sizeof(visits[side]), side, &slot->visit[side]);
	log_notice(
		"example: selem %#llx of a %s, %u bytes, map %u: %s; %s; freed by %s, by cmpxchg "
		"(%s fault)",
		slot->key, owner_kind_name(slot->kind), slot->elem_size, slot->map_id,
		visits[SOAK_MAP_FREE], visits[SOAK_DESTROY], free_name(slot->free_by),
		fault_kind_name(worst_kind(kinds_of(slot))));
}

/* Where a kernel frees in ways that we cannot see, what is left proves nothing. */
static bool is_judged(const struct snapshot *s, unsigned int kind)
{
	enum oracle oracle = kind == SOAK_TASK ? ORACLE_LEDGER_TASK : ORACLE_LEDGER_SK;

	return s->oracles[oracle] == ORACLE_LIVE;
}

uint64_t ledger_judge(const struct programs *programs, bool verbose, struct snapshot *ret)
{
	struct histories histories = { 0 };
	const struct soak_storage_set *storages;
	const struct soak_set *slots;
	uint64_t unexplained = 0;
	size_t n;

	if (verbose)
		histories = (struct histories){ HISTORIES_MAX, HISTORIES_MAX, EXAMPLES_MAX };
	slots = programs_slots(programs, &n);
	for (size_t i = 0; i < n * SOAK_WAYS; i++) {
		const struct soak_slot *slot = &slots[i / SOAK_WAYS].slot[i % SOAK_WAYS];

		if (is_live(slot->flags) && is_judged(ret, slot->kind)) {
			judge_selem(programs, slot, &histories, ret, &unexplained);
		} else if (histories.examples && was_handed_over(slot)) {
			histories.examples--;
			log_handed_over(slot);
		}
	}
	storages = programs_storages(programs, &n);
	for (size_t i = 0; i < n * SOAK_WAYS; i++) {
		const struct soak_storage *slot = &storages[i / SOAK_WAYS].slot[i % SOAK_WAYS];

		if (is_live(slot->flags) && ret->oracles[ORACLE_STORAGE] == ORACLE_LIVE)
			judge_storage(programs, slot, ret, &unexplained);
	}
	return unexplained;
}

static void read_selems(const struct programs *programs, struct snapshot *ret)
{
	const struct soak_set *slots;
	size_t n;

	slots = programs_slots(programs, &n);
	for (size_t i = 0; i < n * SOAK_WAYS; i++) {
		const struct soak_slot *slot = &slots[i / SOAK_WAYS].slot[i % SOAK_WAYS];

		if (!is_live(slot->flags))
			continue;
		ret->live_selems++;
		if (has_failed(slot))
			ret->leaked_bytes += slot->elem_size;
	}
}

static void read_storages(const struct programs *programs, uint64_t now, struct snapshot *ret)
{
	const struct soak_storage_set *slots;
	size_t n;

	slots = programs_storages(programs, &n);
	for (size_t i = 0; i < n * SOAK_WAYS; i++) {
		const struct soak_storage *slot = &slots[i / SOAK_WAYS].slot[i % SOAK_WAYS];
		uint64_t begun = slot->destroy_ns;

		if (!is_live(slot->flags))
			continue;
		ret->live_storages++;
		if (begun && begun < now && !(slot->flags & SOAK_DESTROYED))
			ret->destroy_oldest_ns = MAX(ret->destroy_oldest_ns, now - begun);
	}
}

static void read_map_frees(const struct programs *programs, uint64_t now, struct snapshot *ret)
{
	const struct soak_map_free *frees = programs_map_frees(programs);

	for (unsigned int i = 0; i < SOAK_MAP_FREES; i++) {
		uint64_t begun = __atomic_load_n(&frees[i].start_ns, __ATOMIC_RELAXED);

		if (begun && begun < now)
			ret->map_free_oldest_ns = MAX(ret->map_free_oldest_ns, now - begun);
	}
}

void ledger_read_counters(const struct programs *programs, struct snapshot *ret)
{
	struct programs_misses misses;
	uint64_t frees;

	programs_counters(programs, &ret->c);
	frees = snapshot_frees(ret) + ret->c.storage_frees;
	programs_misses(programs, frees, snapshot_births(ret), &misses);
	ret->misses[MISS_RECURSION] = misses.total;
	ret->frees_blind = misses.frees_blind;
	ret->births_blind = misses.births_blind;
	ret->misses[MISS_TABLE_FULL] = ret->c.table_full + ret->c.storage_full;
	ret->misses[MISS_FAULT_LOG] = ret->c.faults_lost;
	ret->misses[MISS_REBORN] = ret->c.reborn;
	ret->misses[MISS_UNKNOWN] = ret->c.unknown_frees;
	for (unsigned int kind = 0; kind < FAULT_NR; kind++) {
		ret->holes[HOLE_LINKED][kind] = ret->c.freed_linked[kind];
		for (unsigned int site = 0; site < SOAK_SITE_NR; site++) {
			ret->timeouts[kind][site] = ret->c.timeouts[kind][site];
			ret->deadlocks[kind][site] = ret->c.deadlocks[kind][site];
		}
	}
	ret->violations[VIOLATION_DOUBLE_FREE] = ret->c.double_frees;
	ret->violations[VIOLATION_STORAGE_DOUBLE_FREE] = ret->c.storage_freed_twice;
	ret->violations[VIOLATION_OMEM] = ret->c.omem_mismatch;
}

void ledger_read_tables(const struct programs *programs, struct snapshot *ret)
{
	uint64_t now = now_ns();

	read_selems(programs, ret);
	read_storages(programs, now, ret);
	read_map_frees(programs, now, ret);
}
