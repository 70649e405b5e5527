// SPDX-License-Identifier: GPL-2.0-only
/* Special fields: what is a leak, what a documented one, and what references must add up to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fields.h"

static struct snapshot s;

static int start(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	s.oracles[ORACLE_FIELDS] = ORACLE_LIVE;
	return 0;
}

static void judge(unsigned int flags, unsigned int kinds)
{
	struct soak_slot slot = { .flags = flags | SOAK_BORN_A };

	slot.visit[SOAK_MAP_FREE].kinds = (unsigned char)kinds;
	fields_judge_slot(&slot, &s);
}

static void test_counters_become_violations(void **state)
{
	(void)state;
	s.c.fields_twice = 2;
	s.c.fields_late = 3;
	s.c.fields_left = 5;
	s.fields_blind = 1;
	fields_read(&s);
	assert_int_equal(s.violations[VIOLATION_FIELDS_TWICE], 2);
	assert_int_equal(s.violations[VIOLATION_FIELDS_LATE], 3);
	assert_int_equal(s.violations[VIOLATION_FIELDS_LEAK], 4);
	s.fields_blind = 6;
	fields_read(&s);
	assert_int_equal(s.violations[VIOLATION_FIELDS_LEAK], 0);
}

/* A selem that never goes takes its fields along; a hole of its own only by the bucket lock. */
static void test_slots_that_stay(void **state)
{
	(void)state;
	judge(SOAK_HAS_FIELDS | SOAK_BUCKET_FAILED, 1u << FAULT_ORGANIC | 1u << FAULT_CONTENDED);
	assert_int_equal(s.holes[HOLE_FIELDS][FAULT_CONTENDED], 1);
	judge(SOAK_HAS_FIELDS, 0);
	assert_int_equal(snapshot_holes(&s), 1);
	assert_int_equal(s.fields_unfreed, 2);
	assert_int_equal(s.unjudged, 0);
}

static void test_slots_without_anything_to_judge(void **state)
{
	(void)state;
	judge(0, 0);
	judge(SOAK_BUCKET_FAILED, 1u << FAULT_ORGANIC);
	judge(SOAK_HAS_FIELDS | SOAK_FIELDS_A, 0);
	judge(SOAK_HAS_FIELDS | SOAK_FIELDS_B | SOAK_FREED_A, 0);
	judge(SOAK_HAS_FIELDS | SOAK_FREED_A, 0);
	judge(SOAK_HAS_FIELDS | SOAK_FREED_A | SOAK_FIELDS_LEFT | SOAK_FIELDS_JUDGED, 0);
	assert_int_equal(s.fields_unfreed + s.unjudged + snapshot_holes(&s), 0);
}

/* Freed with a reference by a visit whose end was not seen. */
static void test_an_open_end_is_unjudged(void **state)
{
	(void)state;
	judge(SOAK_HAS_FIELDS | SOAK_FREED_A | SOAK_FIELDS_LEFT, 0);
	assert_int_equal(s.unjudged, 1);
	assert_int_equal(s.fields_unfreed, 1);
}

static uint64_t references(uint64_t stored, uint64_t taken, uint64_t freed)
{
	s.c.refs_stored = stored;
	s.c.refs_taken = taken;
	s.c.refs_freed = freed;
	s.violations[VIOLATION_REFERENCE] = 0;
	fields_judge(&s);
	return s.violations[VIOLATION_REFERENCE];
}

static void test_references_add_up(void **state)
{
	(void)state;
	assert_int_equal(references(100, 40, 60), 0);
	assert_int_equal(references(100, 40, 59), 1);
	assert_int_equal(references(100, 40, 62), 2);
	s.c.fields_hole[FAULT_FORCED] = 2;
	s.fields_unfreed = 1;
	assert_int_equal(references(100, 40, 57), 0);
	assert_int_equal(references(100, 40, 56), 1);
	/* Holes excuse no reference that was released twice. */
	assert_int_equal(references(100, 40, 61), 1);
	s.misses[MISS_TABLE_FULL] = 1;
	assert_int_equal(references(100, 40, 56), 0);
	s.births_blind = 3;
	assert_int_equal(references(100, 40, 53), 0);
	assert_int_equal(references(100, 40, 52), 1);
	assert_int_equal(references(100, 40, 61), 1);
	assert_int_equal(s.unjudged, 0);
	/* A doubt is neither a violation nor nothing; beyond what can be doubted it is one. */
	s.births_skipped = 10;
	assert_int_equal(references(100, 40, 50), 0);
	assert_int_equal(s.unjudged, 3);
	s.unjudged = 0;
	assert_int_equal(references(100, 40, 44), 2);
	assert_int_equal(s.unjudged, 7);
	assert_int_equal(references(100, 40, 61), 1);
	s.oracles[ORACLE_FIELDS] = ORACLE_ABSENT;
	assert_int_equal(references(100, 0, 0), 0);
}

static void test_control(void **state)
{
	(void)state;
	assert_false(fields_are_seen(&s));
	s.c.fields_freed = s.c.refs_stored = 5;
	s.c.refs_freed = 4;
	assert_false(fields_are_seen(&s));
	s.c.refs_taken = 1;
	assert_true(fields_are_seen(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_counters_become_violations, start),
		cmocka_unit_test_setup(test_slots_that_stay, start),
		cmocka_unit_test_setup(test_slots_without_anything_to_judge, start),
		cmocka_unit_test_setup(test_an_open_end_is_unjudged, start),
		cmocka_unit_test_setup(test_references_add_up, start),
		cmocka_unit_test_setup(test_control, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
