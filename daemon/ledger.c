// SPDX-License-Identifier: GPL-2.0-only
/* Reads and judges the ledger: see ledger.h. */
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

#include "coverage.h"
#include "fields.h"
#include "finding.h"
#include "log.h"
#include "model.h"
#include "programs.h"
#include "util.h"

#define HISTORIES_MAX 8
#define EXAMPLES_MAX  4

/* selem->state (include/linux/bpf_local_storage.h) */
#define STATE_MAP_UNLINKED     1
#define STATE_STORAGE_UNLINKED 2
#define STATE_TOFREE	       4

static bool is_live(unsigned int flags)
{
	return (flags & (SOAK_BORN_A | SOAK_BORN_B)) && !(flags & SOAK_FREED);
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
	log_notice("%s: selem %#llx of %s, %u bytes, map %u, owner %#llx: born, %s; %s; never "
		   "freed; %s",
		   what, slot->key, owner_kind_phrase(slot->kind), slot->elem_size, slot->map_id,
		   slot->owner, visits[SOAK_DESTROY], visits[SOAK_MAP_FREE], memory);
}

static bool left_both_lists(const struct soak_visit *visit)
{
	return visit->visits && visit->bucket == SOAK_LOCK_OK && visit->storage == SOAK_LOCK_OK;
}

/* As bpf_selem_alloc() leaves it when there is no value to be copied. */
static bool is_never_linked(const struct soak_inspect *seen)
{
	return seen->smap && !seen->storage && !seen->map_pprev && !seen->storage_pprev &&
	       !seen->value.magic && !seen->value.cookie;
}

/*
 * It was freed, and it is our view that has the gap: the kernel's own mark says so, or the memory
 * is no longer what its history made of it, since somebody else has it by now.
 */
static bool was_freed_unseen(const struct soak_slot *slot, const struct soak_inspect *seen)
{
	if (!seen->readable)
		return false;
	if (seen->value.magic != SOAK_VALUE_MAGIC)
		return !is_never_linked(seen);
	if (seen->state & STATE_TOFREE)
		return true;
	return (left_both_lists(&slot->visit[SOAK_MAP_FREE]) ||
		left_both_lists(&slot->visit[SOAK_DESTROY])) &&
	       (seen->map_pprev || seen->storage_pprev);
}

/* What kernels have at 0xff00000000000000 and above, with whatever page tables. */
static bool is_kernel_address(uint64_t address)
{
	return address >> 56 == 0xff;
}

/*
 * The memory is on a slab's list of free objects: where such lists are encoded
 * (CONFIG_SLAB_FREELIST_ HARDENED), their pointer in the middle of an object is no address, and of
 * the smallest selems the middle is smap, which only ever is an address or NULL.
 */
static bool is_on_free_list(const struct soak_inspect *seen)
{
	return seen->smap && !is_kernel_address(seen->smap);
}

static bool has_skipped(const struct soak_visit *visit)
{
	return visit->bucket == SOAK_LOCK_SKIPPED || visit->storage == SOAK_LOCK_SKIPPED;
}

/* Nobody clears a pointer but visits: the first of all finds both. */
static bool is_first_and_skips(const struct soak_slot *slot, enum soak_side side)
{
	const struct soak_visit *visit = &slot->visit[side];

	return visit->visits == 1 && !slot->visit[!side].visits && has_skipped(visit);
}

/*
 * The only side that came failed this lock last, and left it on that list; now it is not there. In
 * memory that is not ours any more (state unreadable) the lists say nothing.
 */
static bool has_left_since(const struct soak_slot *slot, const struct soak_inspect *seen)
{
	const struct soak_visit *map_free = &slot->visit[SOAK_MAP_FREE];
	const struct soak_visit *destroy = &slot->visit[SOAK_DESTROY];

	if (!seen->state || (map_free->visits && destroy->visits))
		return false;
	if (map_free->visits)
		return coverage_is_failure(map_free->storage) && !seen->storage_pprev;
	return destroy->visits && coverage_is_failure(destroy->bucket) && !seen->map_pprev;
}

/* A visit that we know of shows, by what it found or left, one that we did not see. */
static bool has_unseen_visit(const struct soak_slot *slot, const struct soak_inspect *seen)
{
	if (is_first_and_skips(slot, SOAK_MAP_FREE) || is_first_and_skips(slot, SOAK_DESTROY))
		return true;
	if (has_left_since(slot, seen))
		return true;
	return ((seen->state & STATE_MAP_UNLINKED) && !slot->visit[SOAK_MAP_FREE].visits) ||
	       ((seen->state & STATE_STORAGE_UNLINKED) && !slot->visit[SOAK_DESTROY].visits);
}

enum judgement {
	JUDGED_HOLE,
	JUDGED_VIOLATION,
	JUDGED_DOUBTFUL, /* our own view of it has gaps */
	JUDGED_MISSED,	 /* it was freed, which our own view of it lacks: counted as a rebirth is */
};

/* Whatever was missed, its visits came to that. */
static bool is_surely_freed(const struct model_end *end)
{
	return end->possible && end->freed && !(end->freed & MODEL_BY_NOBODY);
}

/*
 * A residual is a hole only if the model predicts this very residual from its visits. What locks
 * its neighbours failed does not matter: whether a selem is freed is decided by the visits of that
 * selem alone (bpf_selem_unlink_nofail() looks at no other, unless it was freed while on a list,
 * which is a hole of its own).
 *
 * Doubt comes only from evidence in its own history and memory. That frees can be missed at all is
 * none: one that was is born again in the churn or in the sieve, or seen to be free, and known by
 * that.
 */
static enum judgement weigh_selem(const struct programs *programs, const struct soak_slot *slot,
				  struct model_end *end)
{
	struct soak_inspect seen = { 0 };
	struct model_history history;
	const char *wrong;

	model_history_of(slot, &history);
	model_predict(&history, end);
	if (programs_inspect(programs, slot->key, &seen) || seen.value.magic != SOAK_VALUE_MAGIC)
		seen.state = 0;
	wrong = model_state_wrong(slot);
	if (wrong || model_state_undecided(seen.state)) {
		end->claim = CLAIM_BOTH_SIDES_DECIDE;
		end->reason = wrong ? wrong : "its state has both bits and nobody freed it";
		return JUDGED_VIOLATION;
	}
	if (!history.unfinished && end->possible && end->freed == MODEL_BY_NOBODY)
		return JUDGED_HOLE;
	if (is_on_free_list(&seen) || programs_is_free(programs, slot->key))
		return JUDGED_MISSED;
	if (history.unfinished)
		return JUDGED_DOUBTFUL;
	if (was_freed_unseen(slot, &seen))
		return is_surely_freed(end) ? JUDGED_MISSED : JUDGED_DOUBTFUL;
	if (has_unseen_visit(slot, &seen))
		return JUDGED_DOUBTFUL;
	return end->possible && (end->freed & MODEL_BY_NOBODY) ? JUDGED_DOUBTFUL : JUDGED_VIOLATION;
}

/* How many are still to be printed. Holes must not crowd out what is worse. */
struct histories {
	unsigned int holes;
	unsigned int others;
	unsigned int examples;
};

/* What is left over, as a finding; end NULL: a storage's. */
static void add_finding(struct findings *findings, const struct finding *what,
			const struct model_end *end)
{
	struct finding finding = *what;

	if (end) {
		finding.why = end->reason;
		finding.claim = model_claim_text(end->claim);
		finding.detail = model_claim_name(end->claim);
	}
	if (finding.class != FINDING_VIOLATION)
		finding.class = model_hole_is_documented((enum model_hole)finding.hole)
					? FINDING_DOCUMENTED
					: FINDING_UNDOCUMENTED;
	findings_add(findings, &finding);
}

static void found_selem(struct findings *findings, enum finding_class class,
			const struct soak_slot *slot, const struct model_end *end)
{
	add_finding(findings,
		    &(struct finding){ .class = class,
				       .violation = VIOLATION_SELEM_LEAK,
				       .hole = HOLE_SELEM,
				       .kind = class == FINDING_VIOLATION ? FAULT_NR
									  : end->kind[MODEL_SELEM],
				       .slot = slot },
		    end);
}

/* Whose selems' histories have gaps: what kept such a storage we may not have seen either. */
struct doubts {
	uint64_t storage[64];
	size_t n; /* may be more than there is room for */
};

static void doubt(struct doubts *doubts, uint64_t storage)
{
	if (doubts->n < ARRAY_SIZE(doubts->storage))
		doubts->storage[doubts->n] = storage;
	doubts->n++;
}

static bool is_doubtful(const struct doubts *doubts, uint64_t storage)
{
	if (doubts->n > ARRAY_SIZE(doubts->storage))
		return true;
	for (size_t i = 0; i < doubts->n; i++)
		if (doubts->storage[i] == storage)
			return true;
	return false;
}

static void judge_selem(const struct programs *programs, const struct soak_slot *slot,
			struct histories *histories, struct findings *findings,
			struct doubts *doubts, struct snapshot *ret, uint64_t *unexplained)
{
	unsigned int *left = &histories->others;
	struct model_end end;
	char what[640];

	switch (weigh_selem(programs, slot, &end)) {
	case JUDGED_HOLE:
		left = &histories->holes;
		ret->holes[HOLE_SELEM][end.kind[MODEL_SELEM]]++;
		found_selem(findings, FINDING_UNDOCUMENTED, slot, &end);
		snprintf(what, sizeof(what), "%shole (%s), %s: %s",
			 snapshot_is_undocumented(HOLE_SELEM, end.kind[MODEL_SELEM])
				 ? "undocumented "
				 : "",
			 fault_kind_name(end.kind[MODEL_SELEM]), model_claim_name(end.claim),
			 end.reason);
		break;
	case JUDGED_DOUBTFUL:
		ret->unjudged++;
		(*unexplained)++;
		doubt(doubts, slot->storage);
		snprintf(what, sizeof(what), "residual with gaps in its history");
		break;
	case JUDGED_MISSED:
		ret->misses[MISS_REBORN]++;
		(*unexplained)++;
		doubt(doubts, slot->storage);
		snprintf(what, sizeof(what), "its free was missed: the memory is free");
		break;
	case JUDGED_VIOLATION:
		ret->violations[VIOLATION_SELEM_LEAK]++;
		found_selem(findings, FINDING_VIOLATION, slot, &end);
		(*unexplained)++;
		snprintf(what, sizeof(what),
			 "VIOLATION, leak that its visits do not predict, %s: %s",
			 model_claim_name(end.claim), end.reason);
		break;
	}
	if (*left) {
		(*left)--;
		log_history(programs, slot, what);
	}
}

/* A selem whose storage lock destroy() failed to get. */
struct pin {
	uint64_t storage;
	uint64_t ns;
	bool holds; /* and that map_free() did not take off the list */
};

struct pins {
	struct pin *pin;
	size_t n;
};

static int compare_pins(const void *a, const void *b)
{
	const struct pin *x = a, *y = b;

	return (x->storage > y->storage) - (x->storage < y->storage);
}

/* All that the table still knows; a slot is used again once its selem is freed. */
static void find_pins(const struct soak_set *sets, size_t n_sets, struct pins *ret)
{
	size_t room = n_sets * SOAK_WAYS;

	ret->pin = calloc(room, sizeof(*ret->pin));
	for (size_t i = 0; ret->pin && i < room; i++) {
		const struct soak_slot *slot = &sets[i / SOAK_WAYS].slot[i % SOAK_WAYS];
		const struct soak_visit *destroy = &slot->visit[SOAK_DESTROY];
		struct model_history history;
		struct model_end end;

		if (!slot->key || !destroy->visits || !coverage_is_failure(destroy->storage))
			continue;
		model_history_of(slot, &history);
		model_predict(&history, &end);
		ret->pin[ret->n++] =
			(struct pin){ slot->storage, destroy->entry_ns,
				      !end.possible || (end.may & (1u << MODEL_STORAGE)) };
	}
	if (ret->n)
		qsort(ret->pin, ret->n, sizeof(*ret->pin), compare_pins);
}

/* Every failure to get this storage's lock in destroy(): UINT64_MAX if the log is not complete. */
static uint64_t count_logged(const struct programs *programs, const struct soak_storage *storage,
			     const struct snapshot *s)
{
	const struct soak_fault *faults;
	uint64_t found = 0;
	size_t n;

	if (s->misses[MISS_FAULT_LOG])
		return UINT64_MAX;
	faults = programs_faults(programs, &n);
	for (size_t i = 0; i < n; i++)
		found += faults[i].storage == storage->key &&
			 faults[i].site == SOAK_SITE_DESTROY_STORAGE &&
			 faults[i].ns >= storage->birth_ns;
	return found;
}

/*
 * A storage is freed by whoever empties its list, so it leaks only by a selem that stays there: one
 * for which destroy() failed this storage's lock, and which map_free() did not take off. That is
 * the one way in which a failed lock of a selem matters to anything else than that selem; no other
 * lock, and no other owner's, keeps a list from becoming empty.
 *
 * The pin may not be known any more, if its selem was freed while on the list and its slot used
 * again. But where all such failures are known and none of them holds, nothing explains the leak.
 */
static enum judgement weigh_storage(const struct programs *programs,
				    const struct soak_storage *storage, const struct pins *pins,
				    const struct snapshot *s)
{
	const struct pin key = { .storage = storage->key };
	const struct pin *pin;
	uint64_t known = 0;

	if (!storage->pinned_kinds)
		return JUDGED_VIOLATION;
	if (!pins->n)
		return JUDGED_HOLE;
	pin = bsearch(&key, pins->pin, pins->n, sizeof(*pin), compare_pins);
	if (!pin)
		return JUDGED_HOLE;
	while (pin > pins->pin && pin[-1].storage == storage->key)
		pin--;
	for (; pin < pins->pin + pins->n && pin->storage == storage->key; pin++) {
		if (pin->ns < storage->birth_ns)
			continue;
		if (pin->holds)
			return JUDGED_HOLE;
		known++;
	}
	return known && known == count_logged(programs, storage, s) ? JUDGED_VIOLATION
								    : JUDGED_HOLE;
}

/* As is_on_free_list(), where the middle is the head of the list of its selems; or in a sheaf. */
static bool is_storage_free(const struct programs *programs, const struct soak_storage *storage)
{
	struct soak_inspect_storage seen;

	if (!programs_inspect_storage(programs, storage->key, &seen) && seen.first &&
	    !is_kernel_address(seen.first))
		return true;
	return programs_is_free(programs, storage->key);
}

static void judge_storage(const struct programs *programs, const struct soak_storage *storage,
			  const struct pins *pins, const struct doubts *doubts,
			  struct findings *findings, struct snapshot *ret, uint64_t *unexplained)
{
	struct finding finding = { .class = FINDING_VIOLATION,
				   .violation = VIOLATION_STORAGE_LEAK,
				   .hole = HOLE_STORAGE,
				   .kind = FAULT_NR,
				   .storage = storage };

	if (weigh_storage(programs, storage, pins, ret) == JUDGED_HOLE) {
		finding.class = FINDING_DOCUMENTED;
		finding.kind = fault_kind_worst(storage->pinned_kinds);
		ret->holes[HOLE_STORAGE][finding.kind]++;
	} else {
		(*unexplained)++;
		if (is_storage_free(programs, storage)) {
			ret->misses[MISS_REBORN]++;
			return;
		}
		if (is_doubtful(doubts, storage->key)) {
			ret->unjudged++;
			return;
		}
		ret->violations[VIOLATION_STORAGE_LEAK]++;
	}
	add_finding(findings, &finding, NULL);
}

/*
 * With all quiet nobody holds, or waits for, the lock of a storage that is left over: bits in it
 * are those of somebody who went away without taking them with him, and it is never obtained again.
 * Memory that is somebody else's by now has hardly the same owner at this place.
 */
static void judge_lock(const struct programs *programs, const struct soak_storage *storage,
		       struct snapshot *ret)
{
	struct soak_inspect_storage seen;

	if (programs_inspect_storage(programs, storage->key, &seen))
		return;
	if (!seen.lock || seen.owner != storage->owner)
		return;
	if (!ret->violations[VIOLATION_LOCK]++)
		log_notice("VIOLATION, lock: the lock of storage %#llx is %#x with nobody at it",
			   storage->key, seen.lock);
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
	log_notice("example: selem %#llx of %s, %u bytes, map %u: %s; %s; freed by %s, by cmpxchg "
		   "(%s fault)",
		   slot->key, owner_kind_phrase(slot->kind), slot->elem_size, slot->map_id,
		   visits[SOAK_MAP_FREE], visits[SOAK_DESTROY], free_name(slot->free_by),
		   fault_kind_name(fault_kind_worst(kinds_of(slot))));
}

/* Where a kernel frees in ways that we cannot see, what is left proves nothing. */
static bool is_judged(const struct snapshot *s, unsigned int kind)
{
	return s->oracles[snapshot_ledger_of(kind)] == ORACLE_LIVE;
}

uint64_t ledger_judge(const struct programs *programs, bool verbose, struct findings *findings,
		      struct snapshot *ret)
{
	struct histories histories = { 0 };
	const struct soak_storage_set *storages;
	struct doubts doubts = { 0 };
	struct pins pins = { 0 };
	const struct soak_set *slots;
	uint64_t unexplained = 0;
	size_t n;

	if (verbose)
		histories = (struct histories){ HISTORIES_MAX, HISTORIES_MAX, EXAMPLES_MAX };
	slots = programs_slots(programs, &n);
	for (size_t i = 0; i < n * SOAK_WAYS; i++) {
		const struct soak_slot *slot = &slots[i / SOAK_WAYS].slot[i % SOAK_WAYS];

		fields_judge_slot(slot, ret);
		if (is_live(slot->flags) && is_judged(ret, slot->kind)) {
			judge_selem(programs, slot, &histories, findings, &doubts, ret,
				    &unexplained);
		} else if (histories.examples && was_handed_over(slot)) {
			histories.examples--;
			log_handed_over(slot);
		}
	}
	fields_judge(ret);
	find_pins(slots, n, &pins);
	storages = programs_storages(programs, &n);
	for (size_t i = 0; i < n * SOAK_WAYS; i++) {
		const struct soak_storage *slot = &storages[i / SOAK_WAYS].slot[i % SOAK_WAYS];

		if (!is_live(slot->flags) || ret->oracles[ORACLE_STORAGE] != ORACLE_LIVE)
			continue;
		judge_storage(programs, slot, &pins, &doubts, findings, ret, &unexplained);
		if (verbose)
			judge_lock(programs, slot, ret);
	}
	free(pins.pin);
	return unexplained;
}

bool ledger_is_alive(const struct programs *programs, uint64_t address)
{
	const struct soak_storage_set *storages;
	const struct soak_set *slots;
	size_t n;

	slots = programs_slots(programs, &n);
	for (size_t i = 0; i < n * SOAK_WAYS; i++) {
		const struct soak_slot *slot = &slots[i / SOAK_WAYS].slot[i % SOAK_WAYS];

		if (slot->key == address && is_live(slot->flags))
			return true;
	}
	storages = programs_storages(programs, &n);
	for (size_t i = 0; i < n * SOAK_WAYS; i++) {
		const struct soak_storage *slot = &storages[i / SOAK_WAYS].slot[i % SOAK_WAYS];

		if (slot->key == address && is_live(slot->flags))
			return true;
	}
	return false;
}

/* What is born while the counters of all CPUs are added up may be freed in them already. */
static uint64_t difference(uint64_t more, uint64_t less)
{
	return more > less ? more - less : 0;
}

static bool any_visit_failed(const struct soak_counters *c)
{
	uint64_t n = 0;

	for (unsigned int kind = 0; kind < FAULT_NR; kind++)
		for (unsigned int site = 0; site < SOAK_SITE_UPDATE; site++)
			n += c->timeouts[kind][site] + c->deadlocks[kind][site];
	return n;
}

static void read_selems(const struct programs *programs, struct snapshot *ret)
{
	const struct soak_set *slots;
	size_t n;

	if (!any_visit_failed(&ret->c)) {
		ret->live_selems = difference(snapshot_births(ret), snapshot_frees(ret));
		return;
	}
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

	if (ret->c.destroys == ret->c.destroys_done) {
		ret->live_storages = difference(ret->c.storage_births, ret->c.storage_frees);
		return;
	}
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

static uint64_t count_undestroyed(const struct programs *programs, unsigned int kinds, bool faulty)
{
	const struct soak_storage_set *storages;
	uint64_t ret = 0;
	size_t n;

	storages = programs_storages(programs, &n);
	for (size_t i = 0; i < n * SOAK_WAYS; i++) {
		const struct soak_storage *slot = &storages[i / SOAK_WAYS].slot[i % SOAK_WAYS];

		ret += is_live(slot->flags) && (kinds & SOAK_KIND_BIT(slot->kind)) &&
		       !slot->destroy_ns && !(slot->flags & SOAK_DESTROYED) &&
		       (faulty || !slot->fault_kinds);
	}
	return ret;
}

uint64_t ledger_forgotten(const struct programs *programs, unsigned int kinds)
{
	return count_undestroyed(programs, kinds, false);
}

uint64_t ledger_undestroyed(const struct programs *programs, unsigned int kinds)
{
	return count_undestroyed(programs, kinds, true);
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

uint64_t ledger_map_frees_older(const struct programs *programs, uint64_t ns)
{
	const struct soak_map_free *frees = programs_map_frees(programs);
	uint64_t now = now_ns(), n = 0;

	for (unsigned int i = 0; i < SOAK_MAP_FREES; i++) {
		uint64_t begun = __atomic_load_n(&frees[i].start_ns, __ATOMIC_RELAXED);

		n += begun && begun + ns < now;
	}
	return n;
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
	ret->births_skipped = misses.births_skipped;
	ret->fields_blind = misses.fields_blind;
	ret->map_frees_blind = misses.map_frees_blind;
	ret->misses[MISS_TABLE_FULL] = ret->c.table_full + ret->c.storage_full;
	ret->misses[MISS_FAULT_LOG] = ret->c.faults_lost;
	ret->misses[MISS_REBORN] = ret->c.reborn;
	ret->misses[MISS_UNKNOWN] = ret->c.unknown_frees;
	for (unsigned int kind = 0; kind < FAULT_NR; kind++) {
		ret->holes[HOLE_LINKED][kind] = ret->c.freed_linked[kind];
		ret->holes[HOLE_FIELDS][kind] = ret->c.fields_hole[kind];
		for (unsigned int site = 0; site < SOAK_SITE_NR; site++) {
			ret->timeouts[kind][site] = ret->c.timeouts[kind][site];
			ret->deadlocks[kind][site] = ret->c.deadlocks[kind][site];
		}
	}
	ret->violations[VIOLATION_DOUBLE_FREE] = ret->c.double_frees;
	/* Where there is no owner to tell it by, a second free and an unseen birth look alike. */
	ret->violations[VIOLATION_STORAGE_DOUBLE_FREE] =
		ret->c.storage_freed_twice + ret->c.storage_freed_again -
		MIN(ret->c.storage_freed_again, misses.storages_blind);
	ret->violations[VIOLATION_FREED_LINKED] = ret->c.freed_linked_unexplained;
	ret->violations[VIOLATION_OMEM] = ret->c.omem_mismatch;
	ret->violations[VIOLATION_EARLY] = ret->c.freed_early;
	ret->violations[VIOLATION_IDENTITY] = ret->c.identity_wrong;
	ret->violations[VIOLATION_TORN] = ret->c.values_torn;
	fields_read(ret);
	ret->violations[VIOLATION_LOCK] = ret->c.hasty_locks;
	ret->violations[VIOLATION_OWNER] = ret->c.late_uncharges;
}

void ledger_read_tables(const struct programs *programs, struct snapshot *ret)
{
	uint64_t now = now_ns();

	read_selems(programs, ret);
	read_storages(programs, now, ret);
	read_map_frees(programs, now, ret);
}
