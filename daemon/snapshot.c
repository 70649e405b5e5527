// SPDX-License-Identifier: GPL-2.0-only
/*
 * Totals over a snapshot, and the only tables that turn the enums of a run into the words that
 * users, scripts and dashboards see: renaming one here renames it everywhere. Pure functions,
 * callable from any thread.
 */
#include "snapshot.h"

#include "inject/kmod/rqspinlock_fault.h"
#include "model.h"
#include "util.h"

static const char *const verdict_names[] = {
	[VERDICT_RUNNING] = "RUNNING",
	[VERDICT_PASS] = "PASS",
	[VERDICT_FAIL] = "FAIL",
	[VERDICT_INCONCLUSIVE] = "INCONCLUSIVE",
};
_Static_assert(ARRAY_SIZE(verdict_names) == VERDICT_NR, "a verdict has no name");

static const char *const fault_kind_names[] = {
	[FAULT_ORGANIC] = "organic",
	[FAULT_CONTENDED] = "contended",
	[FAULT_FORCED] = "forced",
};
_Static_assert(ARRAY_SIZE(fault_kind_names) == FAULT_NR, "a fault kind has no name");

static const char *const hole_kind_names[] = {
	[HOLE_SELEM] = "selem",
	[HOLE_STORAGE] = "storage",
	[HOLE_LINKED] = "linked",
	[HOLE_FIELDS] = "fields",
};
_Static_assert(ARRAY_SIZE(hole_kind_names) == HOLE_NR, "a hole has no name");
_Static_assert((int)HOLE_SELEM == (int)MODEL_SELEM && (int)HOLE_STORAGE == (int)MODEL_STORAGE &&
		       (int)HOLE_LINKED == (int)MODEL_LINKED &&
		       (int)HOLE_FIELDS == (int)MODEL_FIELDS,
	       "holes are in the order of the model's");

static const char *const violation_names[] = {
	[VIOLATION_SELEM_LEAK] = "selem_leak",
	[VIOLATION_STORAGE_LEAK] = "storage_leak",
	[VIOLATION_DOUBLE_FREE] = "double_free",
	[VIOLATION_STORAGE_DOUBLE_FREE] = "storage_double_free",
	[VIOLATION_OMEM] = "omem",
	[VIOLATION_VALUE] = "value",
	[VIOLATION_KERNEL_LOG] = "kernel_log",
	[VIOLATION_STUCK] = "stuck",
	[VIOLATION_FREED_LINKED] = "freed_linked",
	[VIOLATION_HELD] = "held",
	[VIOLATION_FIELDS_TWICE] = "fields_twice",
	[VIOLATION_FIELDS_LEAK] = "fields_leak",
	[VIOLATION_FIELDS_LATE] = "fields_late",
	[VIOLATION_REFERENCE] = "reference",
	[VIOLATION_IDENTITY] = "identity",
	[VIOLATION_TORN] = "torn",
	[VIOLATION_MAP] = "map",
	[VIOLATION_EARLY] = "early",
	[VIOLATION_KMEMLEAK] = "kmemleak",
	[VIOLATION_OWNER] = "owner",
	[VIOLATION_LOCK] = "lock",
	[VIOLATION_FORGOTTEN] = "forgotten",
};
_Static_assert(ARRAY_SIZE(violation_names) == VIOLATION_NR, "a violation has no name");

static const char *const miss_names[] = {
	[MISS_RECURSION] = "recursion",	     [MISS_TABLE_FULL] = "table_full",
	[MISS_FAULT_LOG] = "fault_log_full", [MISS_REBORN] = "missed_free",
	[MISS_UNKNOWN] = "unknown_free",     [MISS_KMSG] = "kernel_log_lost",
};
_Static_assert(ARRAY_SIZE(miss_names) == MISS_NR, "a miss has no name");

static const char *const oracle_names[] = {
	[ORACLE_LEDGER_SK] = "ledger_socket",
	[ORACLE_LEDGER_TASK] = "ledger_task",
	[ORACLE_LEDGER_CGROUP] = "ledger_cgroup",
	[ORACLE_LEDGER_INODE] = "ledger_inode",
	[ORACLE_STORAGE] = "storage",
	[ORACLE_VISITS] = "visits",
	[ORACLE_OMEM] = "omem",
	[ORACLE_VALUES] = "values",
	[ORACLE_KERNEL_LOG] = "kernel_log",
	[ORACLE_LIVENESS] = "liveness",
	[ORACLE_FIELDS] = "fields",
	[ORACLE_IDENTITY] = "identity",
	[ORACLE_READER] = "reader",
	[ORACLE_MAPS] = "maps",
	[ORACLE_KMEMLEAK] = "kmemleak",
	[ORACLE_HELD] = "held",
};
_Static_assert(ARRAY_SIZE(oracle_names) == ORACLE_NR, "an oracle has no name");
_Static_assert(ORACLE_LEDGER_TASK == ORACLE_LEDGER_SK + (int)SOAK_TASK &&
		       ORACLE_LEDGER_CGROUP == ORACLE_LEDGER_SK + (int)SOAK_CGROUP &&
		       ORACLE_LEDGER_INODE == ORACLE_LEDGER_SK + (int)SOAK_INODE,
	       "ledgers are in the order of the kinds of owners");

static const char *const oracle_state_names[] = {
	[ORACLE_ABSENT] = "absent",
	[ORACLE_BLIND] = "blind",
	[ORACLE_LIVE] = "live",
};
_Static_assert(ARRAY_SIZE(oracle_state_names) == ORACLE_LIVE + 1, "an oracle state has no name");

static const char *const site_names[] = RQF_SITE_NAMES;
_Static_assert(ARRAY_SIZE(site_names) == SOAK_SITE_NR, "a site has no name");

static const char *const side_names[] = {
	[SOAK_MAP_FREE] = "map_free",
	[SOAK_DESTROY] = "destroy",
};
_Static_assert(ARRAY_SIZE(side_names) == SOAK_SIDE_NR, "a side has no name");

static const char *const lock_result_names[] = {
	[SOAK_LOCK_OK] = "ok",
	[SOAK_LOCK_TIMEOUT] = "timeout",
	[SOAK_LOCK_DEADLOCK] = "deadlock",
	[SOAK_LOCK_GONE] = "gone",
	[SOAK_LOCK_SKIPPED] = "skipped",
	[SOAK_LOCK_EITHER] = "either",
};
_Static_assert(ARRAY_SIZE(lock_result_names) == SOAK_LOCK_NR, "a lock result has no name");

static const char *const outcome_names[] = {
	[SOAK_FREED_HERE] = "freed_here",
	[SOAK_LEFT] = "left",
	[SOAK_FREED_CMPXCHG] = "freed_by_cmpxchg",
};
_Static_assert(ARRAY_SIZE(outcome_names) == SOAK_OUTCOME_NR, "an outcome has no name");

static const char *const owner_kind_names[] = {
	[SOAK_SK] = "socket",
	[SOAK_TASK] = "task",
	[SOAK_CGROUP] = "cgroup",
	[SOAK_INODE] = "inode",
};
_Static_assert(ARRAY_SIZE(owner_kind_names) == SOAK_KIND_NR, "an owner kind has no name");

static const char *const owner_kind_phrases[] = {
	[SOAK_SK] = "a socket",
	[SOAK_TASK] = "a task",
	[SOAK_CGROUP] = "a cgroup",
	[SOAK_INODE] = "an inode",
};
_Static_assert(ARRAY_SIZE(owner_kind_phrases) == SOAK_KIND_NR, "an owner kind has no phrase");

static const char *const free_names[] = {
	[SOAK_FREE_MAP_FREE] = "map_free",
	[SOAK_FREE_DESTROY] = "destroy",
	[SOAK_FREE_PROGRAM] = "program",
};
_Static_assert(ARRAY_SIZE(free_names) == SOAK_FREE_NR, "a way to free has no name");

static const char *const err_names[] = {
	[SOAK_ERR_ENOMEM] = "ENOMEM",	    [SOAK_ERR_EAGAIN] = "EAGAIN",
	[SOAK_ERR_EEXIST] = "EEXIST",	    [SOAK_ERR_ENOENT] = "ENOENT",
	[SOAK_ERR_ETIMEDOUT] = "ETIMEDOUT", [SOAK_ERR_EDEADLK] = "EDEADLK",
	[SOAK_ERR_OTHER] = "other",
};
_Static_assert(ARRAY_SIZE(err_names) == SOAK_ERR_NR, "an error has no name");

static const char *const op_names[] = {
	[SOAK_OP_UPDATE] = "update",
	[SOAK_OP_DELETE] = "delete",
	[SOAK_OP_CLONE] = "clone",
};
_Static_assert(ARRAY_SIZE(op_names) == SOAK_OP_NR, "an operation has no name");

static const char *const run_state_names[] = {
	[RUN_CHURNING] = "churning", [RUN_PAUSED] = "paused", [RUN_FROZEN] = "frozen",
	[RUN_JUDGING] = "judging",   [RUN_ENDED] = "ended",
};
_Static_assert(ARRAY_SIZE(run_state_names) == RUN_STATE_NR, "a state of the run has no name");

static const char *const perturb_names[] = {
	[PERTURB_STUTTER] = "stutter",
	[PERTURB_SHUFFLE] = "shuffle",
	[PERTURB_HOTPLUG] = "hotplug",
	[PERTURB_PRESSURE] = "pressure",
};
_Static_assert(ARRAY_SIZE(perturb_names) == PERTURB_NR, "a perturbation has no name");

static const char *const perturb_result_names[] = {
	[PERTURB_DONE] = "done",
	[PERTURB_REFUSED] = "refused",
};
_Static_assert(ARRAY_SIZE(perturb_result_names) == PERTURB_RESULT_NR,
	       "a result of a perturbation has no name");

static const char *const finding_class_names[] = {
	[FINDING_VIOLATION] = "violation",
	[FINDING_UNDOCUMENTED] = "undocumented",
	[FINDING_DOCUMENTED] = "documented",
};
_Static_assert(ARRAY_SIZE(finding_class_names) == FINDING_CLASS_NR, "a finding has no name");

/* A value outside its enum can only come from a corrupt snapshot: say so, do not crash. */
#define LOOKUP(names, i) \
	((unsigned int)(i) < ARRAY_SIZE(names) && (names)[i] ? (names)[i] : "unknown")

/* The counters of the shared header are unsigned long long, which is not uint64_t's type. */
static uint64_t counter_total(const unsigned long long *values, unsigned int n)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < n; i++)
		total += values[i];
	return total;
}

const char *verdict_name(enum verdict v)
{
	return LOOKUP(verdict_names, v);
}

const char *fault_kind_name(enum fault_kind k)
{
	return LOOKUP(fault_kind_names, k);
}

const char *run_state_name(enum run_state r)
{
	return LOOKUP(run_state_names, r);
}

const char *finding_class_name(enum finding_class f)
{
	return LOOKUP(finding_class_names, f);
}

const char *perturb_name(enum perturbation p)
{
	return LOOKUP(perturb_names, p);
}

const char *perturb_result_name(enum perturb_result r)
{
	return LOOKUP(perturb_result_names, r);
}

const char *hole_kind_name(enum hole_kind k)
{
	return LOOKUP(hole_kind_names, k);
}

const char *violation_name(enum violation_kind v)
{
	return LOOKUP(violation_names, v);
}

const char *miss_name(enum miss_kind m)
{
	return LOOKUP(miss_names, m);
}

const char *oracle_name(enum oracle o)
{
	return LOOKUP(oracle_names, o);
}

const char *oracle_state_name(enum oracle_state s)
{
	return LOOKUP(oracle_state_names, s);
}

const char *site_name(enum soak_site s)
{
	return LOOKUP(site_names, s);
}

const char *side_name(enum soak_side s)
{
	return LOOKUP(side_names, s);
}

const char *lock_result_name(enum soak_lock_result r)
{
	return LOOKUP(lock_result_names, r);
}

const char *outcome_name(enum soak_outcome o)
{
	return LOOKUP(outcome_names, o);
}

const char *cover_kind_name(unsigned int k)
{
	return k == SOAK_NO_FAULT ? "none" : fault_kind_name(k);
}

uint64_t snapshot_visits(const struct snapshot *s, unsigned int side, unsigned int bucket,
			 unsigned int storage)
{
	uint64_t total = 0;

	for (unsigned int o = 0; o < SOAK_OUTCOME_NR; o++)
		total += counter_total(s->c.coverage[side][bucket][storage][o], SOAK_COVER_KINDS);
	return total;
}

/* Of all kinds and sites. */
static uint64_t fault_total(const uint64_t values[FAULT_NR][SOAK_SITE_NR])
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < FAULT_NR; i++)
		total += snapshot_total(values[i], SOAK_SITE_NR);
	return total;
}

uint64_t snapshot_deadlocks(const struct snapshot *s)
{
	return fault_total(s->deadlocks);
}

uint64_t snapshot_failures(const struct snapshot *s, enum fault_kind kind)
{
	return snapshot_total(s->timeouts[kind], SOAK_SITE_NR) +
	       snapshot_total(s->deadlocks[kind], SOAK_SITE_NR);
}

const char *snapshot_asked_error(const struct snapshot *s)
{
	return *s->asked_error ? s->asked_error : "either";
}

const char *owner_kind_name(enum soak_kind k)
{
	return LOOKUP(owner_kind_names, k);
}

const char *owner_kind_phrase(enum soak_kind k)
{
	return LOOKUP(owner_kind_phrases, k);
}

const char *free_name(enum soak_free f)
{
	return LOOKUP(free_names, f);
}

const char *soak_err_name(enum soak_err e)
{
	return LOOKUP(err_names, e);
}

const char *soak_op_name(enum soak_op o)
{
	return LOOKUP(op_names, o);
}

uint64_t snapshot_total(const uint64_t *values, unsigned int n)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < n; i++)
		total += values[i];
	return total;
}

uint64_t snapshot_births(const struct snapshot *s)
{
	return counter_total(s->c.births, SOAK_KIND_NR);
}

uint64_t snapshot_frees(const struct snapshot *s)
{
	return counter_total(s->c.frees, SOAK_FREE_NR);
}

uint64_t snapshot_owners(const struct snapshot *s)
{
	return snapshot_total(s->owners_by_kind, SOAK_KIND_NR);
}

uint64_t snapshot_violations(const struct snapshot *s)
{
	return snapshot_total(s->violations, VIOLATION_NR);
}

uint64_t snapshot_holes(const struct snapshot *s)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < HOLE_NR; i++)
		total += snapshot_total(s->holes[i], FAULT_NR);
	return total;
}

enum fault_kind fault_kind_worst(unsigned int kinds)
{
	for (unsigned int kind = FAULT_NR; kind--;)
		if (kinds & (1u << kind))
			return kind;
	return FAULT_NR;
}

bool snapshot_is_undocumented(enum hole_kind hole, enum fault_kind kind)
{
	return kind != FAULT_FORCED && !model_hole_is_documented((enum model_hole)hole);
}

uint64_t snapshot_undocumented(const struct snapshot *s)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < HOLE_NR * FAULT_NR; i++)
		if (snapshot_is_undocumented(i / FAULT_NR, i % FAULT_NR))
			total += s->holes[i / FAULT_NR][i % FAULT_NR];
	return total;
}

uint64_t snapshot_timeouts(const struct snapshot *s)
{
	return fault_total(s->timeouts);
}

enum oracle snapshot_ledger_of(enum soak_kind kind)
{
	return ORACLE_LEDGER_SK + (unsigned int)kind;
}

uint64_t snapshot_identities(const struct snapshot *s)
{
	return counter_total(s->c.identity_checked, SOAK_KIND_NR);
}

uint64_t snapshot_alive(const struct snapshot *s)
{
	uint64_t born = snapshot_births(s) + s->c.storage_births;
	/* What was born again at the address of one whose free was missed is counted twice. */
	uint64_t gone = snapshot_frees(s) + s->c.storage_frees + s->c.reborn;

	return born > gone ? born - gone : 0;
}

uint64_t snapshot_lockless(const struct snapshot *s)
{
	return counter_total(s->c.lockless, SOAK_SIDE_NR);
}
