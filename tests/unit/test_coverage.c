// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of what bpf_selem_unlink_nofail() can do, held against the algorithm itself
 * (explorer.h). Whoever changes the table or the explorer has to change the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "coverage.h"
#include "explorer.h"
#include "util.h"

/* map_free() walks its bucket again after need_resched(): three visits show all that more can. */
#define MAP_FREE_VISITS 3

#define LOCK_FAILED SOAK_LOCK_TIMEOUT

/* What the exploration says of a cell. */
static bool is_reached(const struct explorer *x, const struct coverage_cell *cell)
{
	bool bucket_failed = coverage_is_failure(cell->bucket);
	bool storage_failed = coverage_is_failure(cell->storage);

	if ((bucket_failed || storage_failed) == (cell->kind == SOAK_NO_FAULT))
		return false;
	return x->reached[cell->side][bucket_failed ? LOCK_FAILED : cell->bucket]
			 [storage_failed ? LOCK_FAILED : cell->storage][cell->outcome];
}

static void test_table_is_what_the_algorithm_does(void **state)
{
	_cleanup_(explorer_freep) struct explorer *x = explorer_new(true, false, MAP_FREE_VISITS);

	(void)state;
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);
		const char *reason = coverage_unreachable(&cell);
		char name[64];

		if (is_reached(x, &cell) == !reason)
			continue;
		coverage_describe(name, sizeof(name), &cell);
		fail_msg("%s, %s: the table says %s", name, cover_kind_name(cell.kind),
			 reason ? reason : "reachable");
	}
}

/* Without a fault the two sides meet and nothing is amiss. */
static void test_without_faults(void **state)
{
	_cleanup_(explorer_freep) struct explorer *x = explorer_new(false, false, MAP_FREE_VISITS);
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);

		if (coverage_wanted(s, &cell) != is_reached(x, &cell))
			fail_msg("cell %u is wanted, or reached, but not both", i);
	}
}

static void test_every_reason_is_a_sentence(void **state)
{
	unsigned int reachable = 0;

	(void)state;
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);
		const char *reason = coverage_unreachable(&cell);

		if (!reason) {
			reachable++;
			continue;
		}
		assert_true(strlen(reason) > 20);
		assert_null(strpbrk(reason, "\n\t\"."));
	}
	assert_int_equal(reachable, 26 + FAULT_NR * 60);
}

static void test_cells_are_those_of_the_counters(void **state)
{
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	assert_int_equal(sizeof(s->c.coverage) / sizeof(uint64_t), COVERAGE_CELLS);
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		uint64_t value = i + 1;

		memcpy((char *)s->c.coverage + i * sizeof(value), &value, sizeof(value));
	}
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);

		assert_int_equal(coverage_visits(s, &cell), i + 1);
	}
}

/* What a run can come to depends on the kinds, errors and sites that it was asked for. */
static void test_wanted(void **state)
{
	static const unsigned int all = (1u << SOAK_SITE_NR) - 1;
	static const struct {
		bool kinds[FAULT_NR];
		const char *error;
		unsigned int sites;
		unsigned int reachable[SOAK_COVER_KINDS];
	} cases[] = {
		{ { false }, "either", all, { 0, 0, 0, 20 } },
		{ { [FAULT_ORGANIC] = true }, "", 0, { 26, 0, 0, 26 } },
		{ { [FAULT_ORGANIC] = true }, "either", all, { 26, 0, 0, 26 } },
		{ { [FAULT_CONTENDED] = true }, "timedout", all, { 0, 26, 0, 26 } },
		{ { [FAULT_CONTENDED] = true }, "deadlk", all, { 0, 26, 0, 26 } },
		{ { [FAULT_FORCED] = true }, "either", all, { 0, 0, 60, 26 } },
		{ { [FAULT_FORCED] = true }, "either", 0, { 0, 0, 60, 26 } },
		{ { [FAULT_FORCED] = true }, "", all, { 0, 0, 60, 26 } },
		{ { [FAULT_FORCED] = true }, "timedout", all, { 0, 0, 26, 26 } },
		{ { [FAULT_FORCED] = true },
		  "either",
		  1u << SOAK_SITE_DESTROY_STORAGE,
		  { 0, 0, 12, 26 } },
		{ { [FAULT_FORCED] = true }, "either", 1u << SOAK_SITE_UPDATE, { 0, 0, 0, 26 } },
		{ { true, true, true }, "either", all, { 26, 60, 60, 26 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

		assert_non_null(s);
		memcpy(s->kinds, cases[i].kinds, sizeof(s->kinds));
		strcpy(s->asked_error, cases[i].error);
		s->asked_sites = cases[i].sites;
		for (unsigned int k = 0; k < SOAK_COVER_KINDS; k++) {
			struct coverage_summary summary = coverage_summarize(s, k);

			if (summary.reachable != cases[i].reachable[k])
				fail_msg("case %zu, %s: %u cells", i, cover_kind_name(k),
					 summary.reachable);
			assert_int_equal(summary.covered, 0);
			assert_int_equal(summary.missing, summary.reachable);
		}
	}
}

static void test_which_error_is_wanted(void **state)
{
	struct coverage_cell cell = { SOAK_DESTROY, SOAK_LOCK_OK, SOAK_LOCK_DEADLOCK, SOAK_LEFT,
				      FAULT_FORCED };
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	s->kinds[FAULT_FORCED] = s->kinds[FAULT_ORGANIC] = true;
	strcpy(s->asked_error, "deadlk");
	assert_true(coverage_wanted(s, &cell));
	cell.kind = FAULT_ORGANIC;
	assert_false(coverage_wanted(s, &cell));
	cell.storage = SOAK_LOCK_TIMEOUT;
	assert_true(coverage_wanted(s, &cell));
	cell.kind = FAULT_FORCED;
	assert_false(coverage_wanted(s, &cell));
	cell.bucket = SOAK_LOCK_DEADLOCK;
	assert_false(coverage_wanted(s, &cell));
	strcpy(s->asked_error, "either");
	assert_true(coverage_wanted(s, &cell));
}

static void test_summary_and_missing(void **state)
{
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));
	struct coverage_cell cells[COVERAGE_CELLS];
	struct coverage_summary summary;
	char name[64];

	(void)state;
	assert_non_null(s);
	s->kinds[FAULT_ORGANIC] = true;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_ORGANIC] = 7;
	/* None of these counts: not asked for, not reachable, not to be seen. */
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_FORCED] = 1;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_TIMEOUT][SOAK_LOCK_SKIPPED][SOAK_LEFT]
		     [FAULT_ORGANIC] = 1;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_EITHER][SOAK_LOCK_OK][SOAK_LEFT][SOAK_NO_FAULT] = 1;
	summary = coverage_summarize(s, FAULT_ORGANIC);
	assert_int_equal(summary.reachable, 26);
	assert_int_equal(summary.covered, 1);
	assert_int_equal(summary.missing, 25);
	assert_int_equal(coverage_summarize(s, SOAK_NO_FAULT).covered, 0);
	assert_int_equal(coverage_summarize(s, FAULT_FORCED).reachable, 0);

	assert_int_equal(coverage_missing(s, FAULT_ORGANIC, NULL, 0), 25);
	assert_int_equal(coverage_missing(s, FAULT_ORGANIC, cells, 1), 25);
	coverage_describe(name, sizeof(name), &cells[0]);
	assert_string_equal(name, "map_free ok/timeout freed_by_cmpxchg");
	assert_int_equal(coverage_missing(s, FAULT_ORGANIC, cells, COVERAGE_CELLS), 25);
	for (unsigned int i = 0; i < 25; i++) {
		assert_int_equal(cells[i].kind, FAULT_ORGANIC);
		assert_int_equal(coverage_visits(s, &cells[i]), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_what_the_algorithm_does),
		cmocka_unit_test(test_without_faults),
		cmocka_unit_test(test_every_reason_is_a_sentence),
		cmocka_unit_test(test_cells_are_those_of_the_counters),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_which_error_is_wanted),
		cmocka_unit_test(test_summary_and_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
