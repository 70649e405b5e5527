// SPDX-License-Identifier: GPL-2.0-only
/*
 * A run over time: points on their grid, halved when full, exact totals whatever was left out, and
 * an end that says what the last snapshot says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "series.h"
#include "util.h"

/* Totals that tell when they were taken. */
static void at(struct snapshot *s, uint64_t ns)
{
	s->elapsed_ns = ns;
	s->owners_by_kind[SOAK_SK] = ns / 1000;
	s->c.births[SOAK_TASK] = ns / 500;
	s->timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_BUCKET] = ns / 2000;
	s->deadlocks[FAULT_FORCED][SOAK_SITE_UPDATE] = ns / 4000;
	s->c.lockless[SOAK_DESTROY] = ns / 3000;
	s->holes[HOLE_SELEM][FAULT_CONTENDED] = ns / 5000;
	s->holes[HOLE_STORAGE][FAULT_FORCED] = ns / 5000;
	s->violations[VIOLATION_OMEM] = ns / 6000;
}

static void assert_exact(const struct series_point *p)
{
	uint64_t ns = p->elapsed_ns;

	assert_int_equal(p->owners, ns / 1000);
	assert_int_equal(p->selems, ns / 500);
	assert_int_equal(p->faults[FAULT_ORGANIC], ns / 2000);
	assert_int_equal(p->faults[FAULT_CONTENDED], 0);
	assert_int_equal(p->faults[FAULT_FORCED], ns / 4000);
	assert_int_equal(p->lockless, ns / 3000);
	assert_int_equal(p->holes, ns / 5000 * 2);
	assert_int_equal(p->undocumented, ns / 5000);
	assert_int_equal(p->violations, ns / 6000);
}

struct trial {
	struct series series;
	struct snapshot s;
};

/* Ticks of a second, each as late as the machine pleases, until so many have passed. */
static struct trial *run_for(uint64_t seconds)
{
	struct trial *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	srand(1);
	for (uint64_t i = 1; i <= seconds; i++) {
		at(&t->s, i * NSEC_PER_SEC + (uint64_t)(rand() % 400) * NSEC_PER_MSEC);
		series_take(&t->series, &t->s);
	}
	return t;
}

static void test_a_point_each_second(void **state)
{
	_cleanup_free_ struct trial *t = run_for(45);

	(void)state;
	assert_int_equal(t->series.n, 45);
	assert_int_equal(t->series.step_ns, NSEC_PER_SEC);
	for (unsigned int i = 0; i < t->series.n; i++) {
		assert_int_equal(t->series.points[i].elapsed_ns / NSEC_PER_SEC, i + 1);
		assert_exact(&t->series.points[i]);
	}
}

static void test_ticks_in_between_are_left_out(void **state)
{
	struct trial *t = calloc(1, sizeof(*t));

	(void)state;
	assert_non_null(t);
	for (unsigned int i = 0; i < 100; i++) {
		at(&t->s, i * 100 * NSEC_PER_MSEC);
		series_take(&t->series, &t->s);
	}
	assert_int_equal(t->series.n, 10);
	free(t);
}

/* Three weeks. */
static void test_memory_stays_flat_and_figures_exact(void **state)
{
	_cleanup_free_ struct trial *t = run_for(21 * 86400);
	const struct series *series = &t->series;

	(void)state;
	assert_true(series->n > SERIES_POINTS / 2 - 1 && series->n <= SERIES_POINTS);
	assert_true(series->points[series->n - 1].elapsed_ns + series->step_ns >
		    21 * 86400 * NSEC_PER_SEC);
	for (unsigned int i = 0; i < series->n; i++) {
		uint64_t before = i ? series->points[i - 1].elapsed_ns : 0;
		uint64_t gap = series->points[i].elapsed_ns - before;

		assert_exact(&series->points[i]);
		assert_true(gap > series->step_ns / 2 && gap < 2 * series->step_ns);
	}
}

static void test_full_halves(void **state)
{
	_cleanup_free_ struct trial *full = run_for(SERIES_POINTS);
	_cleanup_free_ struct trial *more = run_for(SERIES_POINTS + 1);

	(void)state;
	assert_int_equal(full->series.n, SERIES_POINTS);
	assert_int_equal(full->series.step_ns, NSEC_PER_SEC);
	assert_int_equal(more->series.n, SERIES_POINTS / 2 + 1);
	assert_int_equal(more->series.step_ns, 2 * NSEC_PER_SEC);
	assert_int_equal(more->series.points[0].elapsed_ns, full->series.points[1].elapsed_ns);
	assert_int_equal(more->series.points[SERIES_POINTS / 2 - 1].elapsed_ns,
			 full->series.points[SERIES_POINTS - 1].elapsed_ns);
}

/* Judging goes on with the clock of the run, but its time is not the churn's. */
static void test_the_end_is_the_last_snapshot(void **state)
{
	_cleanup_free_ struct trial *t = run_for(10);
	unsigned int n = t->series.n;

	(void)state;
	t->s.state = RUN_JUDGING;
	at(&t->s, 60 * NSEC_PER_SEC);
	series_take(&t->series, &t->s);
	assert_int_equal(t->series.n, n);
	t->s.state = RUN_ENDED;
	at(&t->s, 9800 * NSEC_PER_MSEC);
	t->s.violations[VIOLATION_OMEM] = 7;
	series_take(&t->series, &t->s);
	assert_int_equal(t->series.n, n);
	assert_int_equal(t->series.points[n - 1].elapsed_ns, 9800 * NSEC_PER_MSEC);
	assert_int_equal(t->series.points[n - 1].violations, 7);
}

static void test_a_run_that_ended_at_once(void **state)
{
	_cleanup_free_ struct trial *t = calloc(1, sizeof(*t));

	(void)state;
	assert_non_null(t);
	t->s.state = RUN_ENDED;
	series_take(&t->series, &t->s);
	assert_int_equal(t->series.n, 1);
}

static void test_the_end_finds_room(void **state)
{
	_cleanup_free_ struct trial *t = run_for(SERIES_POINTS);

	(void)state;
	t->s.state = RUN_ENDED;
	at(&t->s, (SERIES_POINTS + 1) * NSEC_PER_SEC);
	series_take(&t->series, &t->s);
	assert_int_equal(t->series.n, SERIES_POINTS / 2 + 1);
	assert_exact(&t->series.points[SERIES_POINTS / 2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_point_each_second),
		cmocka_unit_test(test_ticks_in_between_are_left_out),
		cmocka_unit_test(test_memory_stays_flat_and_figures_exact),
		cmocka_unit_test(test_full_halves),
		cmocka_unit_test(test_the_end_is_the_last_snapshot),
		cmocka_unit_test(test_a_run_that_ended_at_once),
		cmocka_unit_test(test_the_end_finds_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
