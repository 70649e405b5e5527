// SPDX-License-Identifier: GPL-2.0-only
/* The verdict's rules: what fails a run, what leaves it open, what does not stand against it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "verdict.h"

/* A run that saw everything and exercised everything. */
static struct snapshot good_run(void)
{
	struct snapshot s = { .injecting = true, .kinds = { [FAULT_ORGANIC] = true } };

	for (unsigned int o = 0; o < ORACLE_NR; o++)
		s.oracles[o] = ORACLE_LIVE;
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		s.c.births[kind] = 1000;
	s.owners_by_kind[SOAK_SK] = 10;
	s.timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_STORAGE] = 3;
	s.c.lockless[SOAK_DESTROY] = 3;
	return s;
}

static void expect(struct snapshot *s, enum verdict verdict, const char *reason)
{
	bool found = !reason;

	verdict_decide(s);
	for (unsigned int i = 0; i < s->n_reasons; i++)
		found = found || strstr(s->reasons[i], reason);
	assert_int_equal(s->verdict, verdict);
	assert_true(found);
	assert_int_equal(s->n_reasons > 0, verdict != VERDICT_PASS);
}

static void test_pass(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	expect(&s, VERDICT_PASS, NULL);
}

static void test_holes_do_not_fail(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.holes[HOLE_SELEM][FAULT_ORGANIC] = 7;
	expect(&s, VERDICT_PASS, NULL);
}

static void test_what_was_asked_for_must_disturb(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.perturb_asked = 1u << PERTURB_HOTPLUG;
	s.perturbations[PERTURB_HOTPLUG][PERTURB_REFUSED] = 3;
	expect(&s, VERDICT_INCONCLUSIVE,
	       "--hotplug was asked for, and did not come about (refused 3");
	s = good_run();
	s.perturb_asked = 1u << PERTURB_HOTPLUG;
	s.perturbations[PERTURB_HOTPLUG][PERTURB_DONE] = 1;
	expect(&s, VERDICT_PASS, NULL);
	/* Others may have nowhere to go. */
	s = good_run();
	s.perturbations[PERTURB_SHUFFLE][PERTURB_REFUSED] = 3;
	expect(&s, VERDICT_PASS, NULL);
}

static void test_every_violation_fails(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < VIOLATION_NR; v++) {
		struct snapshot s = good_run();

		s.violations[v] = 1;
		expect(&s, VERDICT_FAIL, violation_name(v));
	}
}

/* The figure alone does not say whether it was an owner's, a clone's or a parent's value. */
static void test_accusation_is_repeated(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.violations[VIOLATION_VALUE] = 2;
	strcpy(s.accusation, "worker 7: a value is not what it was");
	expect(&s, VERDICT_FAIL, "value: 2, the first: worker 7: a value is not what it was");
}

/* A violation outranks blindness: the run did find something. */
static void test_violation_beats_blindness(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.oracles[ORACLE_KERNEL_LOG] = ORACLE_BLIND;
	s.violations[VIOLATION_OMEM] = 1;
	expect(&s, VERDICT_FAIL, NULL);
}

static void test_every_blind_oracle_leaves_it_open(void **state)
{
	(void)state;
	for (unsigned int o = 0; o < ORACLE_NR; o++) {
		struct snapshot s = good_run();

		s.oracles[o] = ORACLE_BLIND;
		expect(&s, VERDICT_INCONCLUSIVE, oracle_name(o));
	}
}

static void test_absent_oracles_are_no_reason(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.injecting = false;
	s.oracles[ORACLE_VISITS] = s.oracles[ORACLE_LEDGER_TASK] = ORACLE_ABSENT;
	s.c.births[SOAK_TASK] = 0;
	/* Neither cgroups nor inodes: as where no cgroup can be made, and bpf is none of the LSMs.
	 */
	s.oracles[ORACLE_LEDGER_CGROUP] = s.oracles[ORACLE_LEDGER_INODE] = ORACLE_ABSENT;
	s.c.births[SOAK_CGROUP] = s.c.births[SOAK_INODE] = 0;
	expect(&s, VERDICT_PASS, NULL);
}

static void test_no_oracle_at_all(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	memset(s.oracles, 0, sizeof(s.oracles));
	expect(&s, VERDICT_INCONCLUSIVE, "no oracle was on");
}

static void test_zero_coverage_never_passes(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_STORAGE] = 0;
	expect(&s, VERDICT_INCONCLUSIVE, "nothing injected");

	s = good_run();
	s.c.lockless[SOAK_DESTROY] = 0;
	expect(&s, VERDICT_INCONCLUSIVE, "no lockless unlink");

	s = good_run();
	s.c.births[SOAK_TASK] = 0;
	expect(&s, VERDICT_INCONCLUSIVE, "no selem of a task");

	s = good_run();
	s.c.births[SOAK_SK] = 0;
	expect(&s, VERDICT_INCONCLUSIVE, "no selem of a socket");

	s = good_run();
	s.c.births[SOAK_CGROUP] = 0;
	expect(&s, VERDICT_INCONCLUSIVE, "no selem of a cgroup");

	s = good_run();
	s.c.births[SOAK_INODE] = 0;
	expect(&s, VERDICT_INCONCLUSIVE, "no selem of an inode");

	s = good_run();
	s.owners_by_kind[SOAK_SK] = 0;
	expect(&s, VERDICT_INCONCLUSIVE, "no owner");
}

/* A kind that was asked for is not made up for by another. */
static void test_every_kind_asked_for_must_happen(void **state)
{
	(void)state;
	for (unsigned int k = 0; k < FAULT_NR; k++) {
		struct snapshot s = good_run();
		struct snapshot t = good_run();

		memset(s.timeouts, 0, sizeof(s.timeouts));
		s.timeouts[(k + 1) % FAULT_NR][SOAK_SITE_UPDATE] = 1;
		s.kinds[k] = true;
		expect(&s, VERDICT_INCONCLUSIVE, fault_kind_name(k));

		t.kinds[k] = true;
		t.deadlocks[k][SOAK_SITE_DESTROY_BUCKET] = 1;
		expect(&t, VERDICT_PASS, NULL);
	}
}

static void test_deadlocks_are_failures_too(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.kinds[FAULT_ORGANIC] = false;
	s.kinds[FAULT_FORCED] = true;
	memset(s.timeouts, 0, sizeof(s.timeouts));
	s.deadlocks[FAULT_FORCED][SOAK_SITE_MAP_FREE_STORAGE] = 1;
	expect(&s, VERDICT_PASS, NULL);
}

/* Where only callers that are told were to fail, nobody has to go on without a lock. */
static void test_lockless_is_expected_of_visits(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.kinds[FAULT_ORGANIC] = false;
	s.kinds[FAULT_FORCED] = true;
	s.timeouts[FAULT_FORCED][SOAK_SITE_UPDATE] = 1;
	s.c.lockless[SOAK_DESTROY] = 0;
	s.asked_sites = 1u << SOAK_SITE_UPDATE | 1u << SOAK_SITE_CLONE;
	expect(&s, VERDICT_PASS, NULL);
	s.asked_sites |= 1u << SOAK_SITE_DESTROY_STORAGE;
	expect(&s, VERDICT_INCONCLUSIVE, "no lockless unlink");
}

static void test_module(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.module.present = true;
	s.module.missed = 1000;
	expect(&s, VERDICT_PASS, NULL);
	s.module.hidden = 1;
	expect(&s, VERDICT_INCONCLUSIVE, "another kretprobe");

	s = good_run();
	s.module.hidden = 1; /* without a module: no figure at all */
	expect(&s, VERDICT_PASS, NULL);
}

/* The log is detail: losing it matters where an object could not be judged without it. */
static void test_full_fault_log(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.misses[MISS_FAULT_LOG] = 1;
	expect(&s, VERDICT_PASS, NULL);
	s.unjudged = 1;
	expect(&s, VERDICT_INCONCLUSIVE, "fault log full");
}

static void test_misses(void **state)
{
	static const enum miss_kind kinds[] = { MISS_TABLE_FULL, MISS_KMSG, MISS_UNKNOWN,
						MISS_REBORN };

	(void)state;
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct snapshot s = good_run();

		s.misses[kinds[i]] = 1;
		expect(&s, VERDICT_INCONCLUSIVE, NULL);
	}
}

/* Frees that skipped programs can explain, and that were proven to be frees, are no reason. */
static void test_explained_misses_pass(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.misses[MISS_RECURSION] = 500;
	s.misses[MISS_REBORN] = 2;
	s.frees_blind = 2;
	expect(&s, VERDICT_PASS, NULL);
}

/* A map_free() whose end programs may have missed is neither stuck nor finished. */
static void test_unended_map_frees(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.map_frees_unended = 4;
	s.map_frees_blind = 5;
	expect(&s, VERDICT_INCONCLUSIVE, "4 map_free() were not seen to end");
}

/* What forced faults ruined proves nothing; organic ones, or a lock that stays held, do. */
static void test_ruined_by_force(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.violations[VIOLATION_DOUBLE_FREE] = 3;
	s.holes[HOLE_LINKED][FAULT_ORGANIC] = 1;
	s.holes[HOLE_LINKED][FAULT_CONTENDED] = 1;
	expect(&s, VERDICT_FAIL, "double_free");
	s = good_run();
	s.violations[VIOLATION_DOUBLE_FREE] = 3;
	s.holes[HOLE_LINKED][FAULT_FORCED] = 1;
	expect(&s, VERDICT_INCONCLUSIVE, "still on a list");
	s.n_reasons = 0;
	s.violations[VIOLATION_HELD] = 1;
	expect(&s, VERDICT_FAIL, "held");
	s = good_run();
	s.holes[HOLE_LINKED][FAULT_FORCED] = 1;
	expect(&s, VERDICT_PASS, NULL);
}

static void test_unjudged_residuals(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	s.unjudged = 1;
	expect(&s, VERDICT_INCONCLUSIVE, "gaps in their history");
}

static void test_reasons_are_bounded(void **state)
{
	struct snapshot s = good_run();

	(void)state;
	for (unsigned int i = 0; i < SNAPSHOT_REASONS + 5; i++)
		verdict_add_reason(&s, "reason %u", i);
	assert_int_equal(s.n_reasons, SNAPSHOT_REASONS);
	assert_string_equal(s.reasons[0], "reason 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_holes_do_not_fail),
		cmocka_unit_test(test_what_was_asked_for_must_disturb),
		cmocka_unit_test(test_every_violation_fails),
		cmocka_unit_test(test_accusation_is_repeated),
		cmocka_unit_test(test_violation_beats_blindness),
		cmocka_unit_test(test_every_blind_oracle_leaves_it_open),
		cmocka_unit_test(test_absent_oracles_are_no_reason),
		cmocka_unit_test(test_no_oracle_at_all),
		cmocka_unit_test(test_zero_coverage_never_passes),
		cmocka_unit_test(test_every_kind_asked_for_must_happen),
		cmocka_unit_test(test_deadlocks_are_failures_too),
		cmocka_unit_test(test_lockless_is_expected_of_visits),
		cmocka_unit_test(test_module),
		cmocka_unit_test(test_full_fault_log),
		cmocka_unit_test(test_misses),
		cmocka_unit_test(test_explained_misses_pass),
		cmocka_unit_test(test_unended_map_frees),
		cmocka_unit_test(test_ruined_by_force),
		cmocka_unit_test(test_unjudged_residuals),
		cmocka_unit_test(test_reasons_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
