// SPDX-License-Identifier: GPL-2.0-only
/*
 * What disturbs the churn: what is drawn, of many seeds, and the thread that plays it, with workers
 * that never begin. What it does to workers that run is for tests/vm/perturb.sh.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "churn.h"
#include "perturb.h"
#include "pressure.h"
#include "util.h"

#define SEEDS 20
#define TURNS 500

static cpu_set_t cpus_of(unsigned int mask)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (unsigned int cpu = 0; cpu < 32; cpu++)
		if (mask >> cpu & 1)
			CPU_SET(cpu, &cpus);
	return cpus;
}

static void test_stutters_are_short(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		uint64_t gaps = 0, pauses = 0, longest = 0, shortest = UINT64_MAX;

		for (uint64_t i = 0; i < TURNS; i++) {
			struct perturb_stutter s = perturb_draw_stutter(seed, i);

			assert_in_range(s.gap_ns, 2 * NSEC_PER_SEC, 6 * NSEC_PER_SEC);
			assert_true(s.pause_ns * 10 <= s.gap_ns);
			gaps += s.gap_ns;
			pauses += s.pause_ns;
			longest = MAX(longest, s.pause_ns);
			shortest = MIN(shortest, s.pause_ns);
		}
		/* Long enough to be one, and different ones. */
		assert_in_range(pauses * 100 / (gaps + pauses), 3, 9);
		assert_in_range(shortest, 50 * NSEC_PER_MSEC, 100 * NSEC_PER_MSEC);
		assert_in_range(longest, 300 * NSEC_PER_MSEC, 600 * NSEC_PER_MSEC);
	}
}

static void test_same_seed_same_perturbations(void **state)
{
	cpu_set_t cpus = cpus_of(0xb5);
	struct perturb_layout a = { 0 }, b = { 0 };
	unsigned int differ = 0;

	(void)state;
	for (uint64_t i = 0; i < TURNS; i++) {
		struct perturb_stutter s = perturb_draw_stutter(7, i);
		struct perturb_stutter t = perturb_draw_stutter(7, i);

		assert_memory_equal(&s, &t, sizeof(s));
		differ += perturb_draw_stutter(8, i).gap_ns != s.gap_ns;
		a = perturb_draw_layout(7, i, a, &cpus);
		b = perturb_draw_layout(7, i, b, &cpus);
		assert_true(a.roam == b.roam && a.idle == b.idle && a.shift == b.shift);
		assert_int_equal(perturb_draw_cpu(7, i, &cpus), perturb_draw_cpu(7, i, &cpus));
	}
	assert_true(differ > TURNS / 2);
}

/* As churn.c pins them: one after the other. */
static void test_workers_begin_one_after_the_other(void **state)
{
	cpu_set_t cpus = cpus_of(0x2a), set;
	static const int expected[] = { 1, 3, 5, 1, 3 };

	(void)state;
	for (unsigned int worker = 0; worker < ARRAY_SIZE(expected); worker++) {
		perturb_affinity((struct perturb_layout){ 0 }, &cpus, worker, &set);
		assert_int_equal(CPU_COUNT(&set), 1);
		assert_true(CPU_ISSET(expected[worker], &set));
	}
}

static void check_move(struct perturb_layout before, struct perturb_layout now,
		       const cpu_set_t *cpus)
{
	before.roam = false;
	for (unsigned int worker = 0; worker < 9; worker++) {
		cpu_set_t old, new, both;

		perturb_affinity(before, cpus, worker, &old);
		perturb_affinity(now, cpus, worker, &new);
		assert_int_equal(CPU_COUNT(&new), 1);
		CPU_AND(&both, &new, cpus);
		assert_int_equal(CPU_COUNT(&both), 1);
		assert_false(CPU_EQUAL(&old, &new));
	}
}

static void check_idle(struct perturb_layout now, const cpu_set_t *cpus, cpu_set_t *idle)
{
	cpu_set_t first, set, left;

	perturb_affinity(now, cpus, 0, &first);
	for (unsigned int worker = 1; worker < 9; worker++) {
		perturb_affinity(now, cpus, worker, &set);
		assert_true(CPU_EQUAL(&first, &set));
	}
	assert_int_equal(CPU_COUNT(&first), CPU_COUNT(cpus) - 1);
	CPU_XOR(&left, &first, cpus);
	assert_int_equal(CPU_COUNT(&left), 1);
	CPU_OR(idle, idle, &left);
}

static void test_a_shuffle_moves_everybody(void **state)
{
	static const unsigned int masks[] = { 0x3, 0x7, 0xb5, 0xffff };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(masks); i++) {
		cpu_set_t cpus = cpus_of(masks[i]), idle = cpus_of(0);
		struct perturb_layout layout = { 0 };

		for (uint64_t turn = 0; turn < TURNS; turn++) {
			struct perturb_layout before = layout;

			layout = perturb_draw_layout(42, turn, before, &cpus);
			if (layout.roam)
				check_idle(layout, &cpus, &idle);
			else
				check_move(before, layout, &cpus);
		}
		/* Each is left to nobody at times. */
		assert_true(CPU_EQUAL(&idle, &cpus));
	}
}

static void test_one_cpu_is_nothing_to_shuffle(void **state)
{
	cpu_set_t cpus = cpus_of(0x4), set;
	struct perturb_layout layout = { .shift = 3 }, roaming = { .roam = true };

	(void)state;
	layout = perturb_draw_layout(1, 1, layout, &cpus);
	assert_false(layout.roam);
	perturb_affinity(layout, &cpus, 2, &set);
	assert_true(CPU_ISSET(2, &set));
	/* Drawn when there were more: nobody is left without a CPU. */
	perturb_affinity(roaming, &cpus, 0, &set);
	assert_true(CPU_ISSET(2, &set));
}

static void test_every_cpu_goes(void **state)
{
	cpu_set_t cpus = cpus_of(0xfe), seen = cpus_of(0);

	(void)state;
	for (uint64_t i = 0; i < TURNS; i++) {
		int cpu = perturb_draw_cpu(3, i, &cpus);

		assert_true(CPU_ISSET(cpu, &cpus));
		CPU_SET(cpu, &seen);
	}
	assert_true(CPU_EQUAL(&seen, &cpus));
}

static uint64_t done(const struct perturb *perturb, enum perturbation what)
{
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	perturb_read(perturb, s);
	assert_int_equal(s->perturb_asked, 0);
	assert_int_equal(s->perturbations[what][PERTURB_REFUSED], 0);
	return s->perturbations[what][PERTURB_DONE];
}

/* At once again, and the count goes on. */
static void test_it_begins_and_ends_again(void **state)
{
	struct churn_options options = { .workers = 1, .owners = 1, .maps = 1 };
	struct perturb *perturb;
	struct churn *churn;
	uint64_t end;

	(void)state;
	assert_int_equal(churn_new(&options, NULL, &churn), 0);
	assert_int_equal(perturb_new(1, PERTURB_BIT(PERTURB_STUTTER), &perturb), 0);
	perturb_stop(perturb);
	for (uint64_t turn = 1; turn < 4; turn++) {
		assert_int_equal(perturb_start(perturb, churn), 0);
		end = now_ns() + 10 * NSEC_PER_SEC;
		while (done(perturb, PERTURB_STUTTER) < turn && now_ns() < end)
			sleep_ns(NSEC_PER_MSEC);
		perturb_stop(perturb);
		assert_int_equal(done(perturb, PERTURB_STUTTER), turn);
	}
	/* Nothing is chosen, nothing happens. */
	assert_int_equal(perturb_choose(perturb, 0), 0);
	assert_int_equal(perturb_start(perturb, churn), 0);
	sleep_ns(600 * NSEC_PER_MSEC);
	perturb_stop(perturb);
	assert_int_equal(done(perturb, PERTURB_STUTTER), 3);
	assert_false(perturb_takes_memory(perturb));
	perturb_free(perturb);
	churn_free(churn);
	perturb_free(NULL);
}

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static void test_pressure_leaves_a_reserve(void **state)
{
	(void)state;
	assert_int_equal(pressure_reserve(16 * GIB), GIB);
	assert_int_equal(pressure_reserve(256 * GIB), 2 * GIB);
	assert_int_equal(pressure_reserve(GIB / 2), 64 * MIB);
	assert_int_equal(pressure_wanted(10 * GIB, 2 * GIB, UINT64_MAX), 8 * GIB);
	assert_int_equal(pressure_wanted(2 * GIB, 2 * GIB, UINT64_MAX), 0);
	assert_int_equal(pressure_wanted(GIB, 2 * GIB, UINT64_MAX), 0);
	/* Of a cgroup's limit not more than half. */
	assert_int_equal(pressure_wanted(10 * GIB, 2 * GIB, 512 * MIB), 256 * MIB);
	assert_int_equal(pressure_wanted(10 * GIB, 2 * GIB, 0), 0);
	/* In whole chunks. */
	assert_int_equal(pressure_wanted(GIB + 12345, 100, UINT64_MAX) % (2 * MIB), 0);
	assert_int_equal(pressure_ring(GIB), GIB + GIB / 2);
	assert_int_equal(pressure_ring(2 * MIB), 4 * MIB);
	assert_int_equal(pressure_ring(100 * MIB) % (2 * MIB), 0);
}

static void test_figures(void **state)
{
	static const char meminfo[] = "MemTotal:        2012345 kB\n"
				      "MemFree:          123456 kB\n"
				      "MemAvailable:    1790000 kB\nBuffers: 1 kB\n";
	static const char vmstat[] = "xpgscan_direct 9\npgscan_direct_throttle 8\n"
				     "pgscan_kswapd 123\npgscan_direct 45";

	(void)state;
	assert_int_equal(pressure_figure(meminfo, "MemTotal"), 2012345);
	assert_int_equal(pressure_figure(meminfo, "MemAvailable"), 1790000);
	assert_int_equal(pressure_figure(meminfo, "Mem"), 0);
	assert_int_equal(pressure_figure(meminfo, "SwapTotal"), 0);
	assert_int_equal(pressure_figure(vmstat, "pgscan_kswapd"), 123);
	assert_int_equal(pressure_figure(vmstat, "pgscan_direct"), 45);
	assert_int_equal(pressure_figure("", "MemTotal"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stutters_are_short),
		cmocka_unit_test(test_same_seed_same_perturbations),
		cmocka_unit_test(test_workers_begin_one_after_the_other),
		cmocka_unit_test(test_a_shuffle_moves_everybody),
		cmocka_unit_test(test_one_cpu_is_nothing_to_shuffle),
		cmocka_unit_test(test_every_cpu_goes),
		cmocka_unit_test(test_it_begins_and_ends_again),
		cmocka_unit_test(test_pressure_leaves_a_reserve),
		cmocka_unit_test(test_figures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
