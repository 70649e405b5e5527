// SPDX-License-Identifier: GPL-2.0-only
/*
 * The names that dashboards and scripts rely on: each value of each enum has one of its own, and
 * the totals count every element once.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "snapshot.h"

#define NAMES_MAX 64

/* Collects the names of one enum: n of them, then one beyond its end. */
#define CHECK_NAMES(fn, n)                                      \
	do {                                                    \
		const char *names_[NAMES_MAX];                  \
                                                                \
		assert_true((n) < NAMES_MAX);                   \
		for (unsigned int i_ = 0; i_ < (n); i_++)       \
			names_[i_] = fn(i_);                    \
		check_names(names_, (n));                       \
		assert_string_equal(fn((n)), "unknown");        \
		assert_string_equal(fn(0x7fffffff), "unknown"); \
	} while (0)

static void check_names(const char *const *names, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		assert_non_null(names[i]);
		assert_true(isalpha((unsigned char)names[i][0]));
		assert_string_not_equal(names[i], "unknown");
		for (const char *p = names[i]; *p; p++)
			assert_true(isalnum((unsigned char)*p) || *p == '_');
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
	}
}

static void test_names_are_complete_and_unique(void **state)
{
	(void)state;
	CHECK_NAMES(verdict_name, VERDICT_NR);
	CHECK_NAMES(fault_kind_name, FAULT_NR);
	CHECK_NAMES(hole_kind_name, HOLE_NR);
	CHECK_NAMES(violation_name, VIOLATION_NR);
	CHECK_NAMES(miss_name, MISS_NR);
	CHECK_NAMES(oracle_name, ORACLE_NR);
	CHECK_NAMES(oracle_state_name, ORACLE_LIVE + 1);
	CHECK_NAMES(site_name, SOAK_SITE_NR);
	CHECK_NAMES(side_name, SOAK_SIDE_NR);
	CHECK_NAMES(lock_result_name, SOAK_LOCK_NR);
	CHECK_NAMES(outcome_name, SOAK_OUTCOME_NR);
	CHECK_NAMES(cover_kind_name, SOAK_COVER_KINDS);
	CHECK_NAMES(owner_kind_name, SOAK_KIND_NR);
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		assert_non_null(strstr(owner_kind_phrase(kind), owner_kind_name(kind)));
	assert_string_equal(owner_kind_phrase(SOAK_KIND_NR), "unknown");
	CHECK_NAMES(free_name, SOAK_FREE_NR);
	CHECK_NAMES(soak_err_name, SOAK_ERR_NR);
	CHECK_NAMES(soak_op_name, SOAK_OP_NR);
}

/* Names that are written down outside the code: in the issue, the schema, the documents. */
static void test_published_names(void **state)
{
	(void)state;
	assert_string_equal(verdict_name(VERDICT_INCONCLUSIVE), "INCONCLUSIVE");
	assert_string_equal(fault_kind_name(FAULT_ORGANIC), "organic");
	assert_string_equal(hole_kind_name(HOLE_SELEM), "selem");
	assert_string_equal(violation_name(VIOLATION_SELEM_LEAK), "selem_leak");
	assert_string_equal(oracle_state_name(ORACLE_BLIND), "blind");
	assert_string_equal(site_name(SOAK_SITE_DESTROY_STORAGE), "destroy_storage");
	assert_string_equal(side_name(SOAK_MAP_FREE), "map_free");
	assert_string_equal(lock_result_name(SOAK_LOCK_TIMEOUT), "timeout");
	assert_string_equal(outcome_name(SOAK_FREED_CMPXCHG), "freed_by_cmpxchg");
	assert_string_equal(cover_kind_name(SOAK_NO_FAULT), "none");
	assert_string_equal(cover_kind_name(FAULT_FORCED), "forced");
	assert_string_equal(violation_name(VIOLATION_HELD), "held");
	assert_string_equal(violation_name(VIOLATION_OWNER), "owner");
	assert_string_equal(violation_name(VIOLATION_LOCK), "lock");
	assert_string_equal(owner_kind_name(SOAK_SK), "socket");
	assert_string_equal(owner_kind_name(SOAK_CGROUP), "cgroup");
	assert_string_equal(owner_kind_phrase(SOAK_INODE), "an inode");
	assert_string_equal(oracle_name(snapshot_ledger_of(SOAK_SK)), "ledger_socket");
	assert_string_equal(oracle_name(snapshot_ledger_of(SOAK_INODE)), "ledger_inode");
	assert_string_equal(free_name(SOAK_FREE_PROGRAM), "program");
	assert_string_equal(soak_err_name(SOAK_ERR_ETIMEDOUT), "ETIMEDOUT");
	assert_string_equal(soak_op_name(SOAK_OP_CLONE), "clone");
}

/* Sets n counters to 1, 2, 4 ...: a total is right only when it has each of them once. */
static void fill(void *counters, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t value = 1ULL << i;

		memcpy((char *)counters + i * sizeof(value), &value, sizeof(value));
	}
}

static uint64_t all(unsigned int n)
{
	return (1ULL << n) - 1;
}

static void test_totals_count_everything_once(void **state)
{
	static struct snapshot s;

	(void)state;
	fill(s.c.births, SOAK_KIND_NR);
	fill(s.c.frees, SOAK_FREE_NR);
	fill(s.c.lockless, SOAK_SIDE_NR);
	fill(s.owners_by_kind, SOAK_KIND_NR);
	fill(s.c.identity_checked, SOAK_KIND_NR);
	fill(s.violations, VIOLATION_NR);
	fill(s.holes, HOLE_NR * FAULT_NR);
	fill(s.timeouts, FAULT_NR * SOAK_SITE_NR);
	fill(s.deadlocks, FAULT_NR * SOAK_SITE_NR);
	fill(s.c.coverage[SOAK_DESTROY][SOAK_LOCK_GONE][SOAK_LOCK_TIMEOUT],
	     SOAK_OUTCOME_NR * SOAK_COVER_KINDS);
	s.c.coverage[SOAK_DESTROY][SOAK_LOCK_GONE][SOAK_LOCK_DEADLOCK][0][0] = 1000;
	s.c.frees_by_cmpxchg = 1000; /* part of frees, never added to them */

	assert_int_equal(snapshot_births(&s), all(SOAK_KIND_NR));
	assert_int_equal(snapshot_frees(&s), all(SOAK_FREE_NR));
	assert_int_equal(snapshot_lockless(&s), all(SOAK_SIDE_NR));
	assert_int_equal(snapshot_owners(&s), all(SOAK_KIND_NR));
	assert_int_equal(snapshot_identities(&s), all(SOAK_KIND_NR));
	assert_int_equal(snapshot_violations(&s), all(VIOLATION_NR));
	assert_int_equal(snapshot_holes(&s), all(HOLE_NR * FAULT_NR));
	assert_int_equal(snapshot_timeouts(&s), all(FAULT_NR * SOAK_SITE_NR));
	assert_int_equal(snapshot_deadlocks(&s), all(FAULT_NR * SOAK_SITE_NR));
	assert_int_equal(snapshot_failures(&s, FAULT_ORGANIC), 2 * all(SOAK_SITE_NR));
	assert_int_equal(snapshot_failures(&s, FAULT_CONTENDED), 2 * all(SOAK_SITE_NR)
									 << SOAK_SITE_NR);
	assert_int_equal(snapshot_visits(&s, SOAK_DESTROY, SOAK_LOCK_GONE, SOAK_LOCK_TIMEOUT),
			 all(SOAK_OUTCOME_NR * SOAK_COVER_KINDS));
	assert_int_equal(snapshot_total(s.violations, 2), 3);
	assert_int_equal(snapshot_total(s.violations, 0), 0);
}

/* Of kinds that no comment speaks of, and not forced. */
static void test_undocumented(void **state)
{
	static struct snapshot s;

	(void)state;
	s.holes[HOLE_STORAGE][FAULT_ORGANIC] = s.holes[HOLE_FIELDS][FAULT_CONTENDED] = 100;
	s.holes[HOLE_SELEM][FAULT_FORCED] = s.holes[HOLE_LINKED][FAULT_FORCED] = 100;
	assert_int_equal(snapshot_undocumented(&s), 0);
	s.holes[HOLE_SELEM][FAULT_ORGANIC] = 1;
	s.holes[HOLE_LINKED][FAULT_CONTENDED] = 2;
	assert_int_equal(snapshot_undocumented(&s), 3);
	assert_true(snapshot_is_undocumented(HOLE_SELEM, FAULT_CONTENDED));
	assert_false(snapshot_is_undocumented(HOLE_STORAGE, FAULT_ORGANIC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_complete_and_unique),
		cmocka_unit_test(test_published_names),
		cmocka_unit_test(test_totals_count_everything_once),
		cmocka_unit_test(test_undocumented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
