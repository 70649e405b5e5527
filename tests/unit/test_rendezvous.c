// SPDX-License-Identifier: GPL-2.0-only
/* What is arranged next, and how to be in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rendezvous.h"

#define DRAWS 6000

static void count_draws(const uint64_t met[SOAK_MEET_NR], bool uncharge,
			unsigned int n[SOAK_MEET_NR])
{
	struct rng rng = rng_for(1, 2, 3);

	memset(n, 0, SOAK_MEET_NR * sizeof(*n));
	for (unsigned int i = 0; i < DRAWS; i++)
		n[rendezvous_draw(met, uncharge, &rng)]++;
}

static void test_equal_at_first(void **state)
{
	const uint64_t met[SOAK_MEET_NR] = { 0 };
	unsigned int n[SOAK_MEET_NR];

	(void)state;
	count_draws(met, false, n);
	assert_int_equal(n[SOAK_MEET_UNCHARGE], 0);
	for (unsigned int a = 0; a < SOAK_MEET_UNCHARGE; a++)
		assert_in_range(n[a], 850, 1150);
	count_draws(met, true, n);
	assert_in_range(n[SOAK_MEET_UNCHARGE], 700, 1000);
}

static void test_least_met_comes_first(void **state)
{
	const uint64_t met[SOAK_MEET_NR] = { 1000, 1000, 1000, 1000, 10, 1000, 0 };
	unsigned int n[SOAK_MEET_NR];

	(void)state;
	count_draws(met, false, n);
	for (unsigned int a = 0; a < SOAK_MEET_UNCHARGE; a++)
		assert_true(a == SOAK_MEET_CLONE || n[SOAK_MEET_CLONE] > 4 * n[a]);
	/* And yet none is given up. */
	for (unsigned int a = 0; a < SOAK_MEET_UNCHARGE; a++)
		assert_true(n[a] > DRAWS / 20);
}

static unsigned int guesses(const struct rendezvous_ways *ways)
{
	struct rng rng = rng_for(4, 5, 6);
	unsigned int n = 0;

	for (unsigned int i = 0; i < 1000; i++)
		n += rendezvous_way(ways, &rng);
	return n;
}

static void test_better_way_wins(void **state)
{
	struct rendezvous_ways ways = { 0 };

	(void)state;
	/* Nobody knows yet when map_free() comes. */
	assert_int_equal(guesses(&ways), 0);
	rendezvous_learn(&ways, 0, 4, 20000000);
	assert_in_range(guesses(&ways), 100, 300);
	for (unsigned int i = 0; i < 10; i++)
		rendezvous_learn(&ways, 1, 12, 20000000);
	assert_in_range(guesses(&ways), 700, 900);
	/* Times change, and what was learnt long ago is forgotten. */
	for (unsigned int i = 0; i < 1000; i++) {
		rendezvous_learn(&ways, 1, 0, 20000000);
		rendezvous_learn(&ways, 0, 4, 20000000);
	}
	assert_in_range(guesses(&ways), 100, 300);
}

static void test_lead_follows(void **state)
{
	struct rendezvous_ways ways = { 0 };

	(void)state;
	rendezvous_learn(&ways, 0, 1, 8000);
	assert_int_equal(ways.lead_ns, 8000);
	rendezvous_learn(&ways, 0, 1, 16000);
	assert_int_equal(ways.lead_ns, 9000);
	/* A round in which map_free() never came says nothing of when it does. */
	rendezvous_learn(&ways, 0, 0, 0);
	assert_int_equal(ways.lead_ns, 9000);
	assert_int_equal(ways.tried[0], 3);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned int a = 0; a < SOAK_MEET_NR; a++)
		assert_string_not_equal(appointment_name(a), "unknown");
	assert_string_equal(appointment_name(SOAK_MEET_NR), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_at_first),
		cmocka_unit_test(test_least_met_comes_first),
		cmocka_unit_test(test_better_way_wins),
		cmocka_unit_test(test_lead_follows),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
