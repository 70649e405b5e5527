// SPDX-License-Identifier: GPL-2.0-only
/* Bursts: what is drawn for them, and the thread that goes through them with a backend of ours. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/soak_abi.h"
#include "inject/schedule.h"
#include "util.h"

#define BURSTS	  2000
#define ALL_SITES ((1u << SOAK_SITE_NR) - 1)
#define VISITS	  ((1u << SOAK_SITE_UPDATE) - 1)

static const struct schedule_options usual = {
	.seed = 42,
	.sites = ALL_SITES,
	.rate = 500,
	.burst_ns = 500 * NSEC_PER_MSEC,
	.pause_ns = 250 * NSEC_PER_MSEC,
};

static bool is_same(const struct burst *a, const struct burst *b)
{
	return a->number == b->number && a->sites == b->sites &&
	       a->only_encounters == b->only_encounters && a->probability == b->probability &&
	       a->times == b->times && a->ns == b->ns && a->pause_ns == b->pause_ns &&
	       a->seed == b->seed;
}

static void test_same_seed_same_bursts(void **state)
{
	struct schedule_options other = usual;
	unsigned int same = 0;

	(void)state;
	other.seed++;
	/* In whatever order they are asked for. */
	for (uint64_t number = BURSTS; number--;) {
		struct burst a = schedule_burst(&usual, number), b = schedule_burst(&usual, number);
		struct burst c = schedule_burst(&other, number);
		struct burst next = schedule_burst(&usual, number + 1);

		assert_int_equal(a.number, number);
		assert_true(is_same(&a, &b));
		same += a.seed == c.seed || a.seed == next.seed;
	}
	assert_int_equal(same, 0);
}

static void test_sites(void **state)
{
	static const unsigned int sets[] = {
		ALL_SITES,
		VISITS,
		ALL_SITES & ~VISITS,
		1u << SOAK_SITE_MAP_FREE_BUCKET,
		1u << SOAK_SITE_LINK_MAP,
		1u << SOAK_SITE_DESTROY_STORAGE | 1u << SOAK_SITE_CACHE,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		struct schedule_options options = usual;
		unsigned int alone = 0, together = 0, duels = 0;

		options.sites = sets[i];
		for (uint64_t number = 0; number < BURSTS; number++) {
			struct burst burst = schedule_burst(&options, number);

			assert_int_not_equal(burst.sites, 0);
			assert_int_equal(burst.sites & ~sets[i], 0);
			if (burst.only_encounters)
				assert_int_equal(burst.sites & ~VISITS, 0);
			duels += burst.only_encounters;
			together += burst.sites == sets[i];
			if (!(burst.sites & (burst.sites - 1)))
				alone |= burst.sites;
		}
		/* In the long run, each alone and all at once. */
		assert_int_equal(alone, sets[i]);
		assert_true(together > BURSTS / 20);
		if (sets[i] & VISITS)
			assert_in_range(duels, BURSTS / 4, BURSTS * 3 / 4);
		else
			assert_int_equal(duels, 0);
	}
}

/* Any locks of the two visits may be those that fail together, with all others obtained. */
static void test_certain_failures(void **state)
{
	unsigned int seen = 0;

	(void)state;
	for (uint64_t number = 0; number < BURSTS; number++) {
		struct burst burst = schedule_burst(&usual, number);

		if (!burst.certain)
			continue;
		assert_true(burst.only_encounters);
		assert_int_equal(burst.probability, 100);
		assert_int_equal(burst.sites & ~VISITS, 0);
		seen |= 1u << burst.sites;
	}
	/* All subsets of four but the empty one. */
	assert_int_equal(seen, 0xfffe);
}

/* Who waits behind a holder is failed, whether or not it is of an encounter. */
static void test_rare(void **state)
{
	struct schedule_options rare = usual;
	unsigned int certain = 0, open = 0;

	(void)state;
	rare.rare = true;
	for (uint64_t number = 0; number < BURSTS; number++) {
		struct burst burst = schedule_burst(&rare, number);

		assert_in_range(burst.probability, 50, 100);
		if (!burst.certain)
			continue;
		assert_int_equal(burst.sites & ~VISITS, 0);
		certain++;
		open += !burst.only_encounters;
	}
	assert_in_range(certain, BURSTS / 2, BURSTS * 3 / 4);
	assert_in_range(open, BURSTS / 5, BURSTS / 3);
}

/* Of a duel's locks those that its appointment names are to fail, so all must be able to. */
static void test_appointments(void **state)
{
	struct schedule_options rare = usual, unlimited = usual;
	unsigned int appointed = 0;

	(void)state;
	rare.rare = true;
	unlimited.rate = 0;
	for (uint64_t number = 0; number < BURSTS; number++) {
		struct burst burst = schedule_burst(&usual, number);

		assert_false(schedule_burst(&rare, number).appointed);
		assert_false(schedule_burst(&unlimited, number).appointed);
		if (!burst.appointed)
			continue;
		assert_true(burst.certain && burst.only_encounters);
		assert_int_equal(burst.sites, VISITS);
		appointed++;
	}
	assert_in_range(appointed, BURSTS / 16, BURSTS / 4);
}

static void test_probability_and_length(void **state)
{
	bool seldom = false, always = false, is_short = false, is_long = false;

	(void)state;
	for (uint64_t number = 0; number < BURSTS; number++) {
		struct burst burst = schedule_burst(&usual, number);

		assert_in_range(burst.probability, 1, 100);
		assert_in_range(burst.ns, usual.burst_ns / 2, usual.burst_ns * 3 / 2);
		assert_in_range(burst.pause_ns, usual.pause_ns / 2, usual.pause_ns * 3 / 2);
		seldom |= burst.probability < 10;
		always |= burst.probability == 100;
		is_short |= burst.ns < usual.burst_ns * 3 / 5;
		is_long |= burst.ns > usual.burst_ns * 7 / 5;
	}
	assert_true(seldom && always && is_short && is_long);
}

/* So many that the rate holds over burst and pause together. */
static void test_times(void **state)
{
	static const unsigned int rates[] = { 1, 10, 500, 100000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct schedule_options options = usual;
		double errors = 0, seconds = 0;

		options.rate = rates[i];
		for (uint64_t number = 0; number < BURSTS; number++) {
			struct burst burst = schedule_burst(&options, number);

			assert_true(burst.times > 0);
			errors += (double)burst.times;
			seconds += (double)(burst.ns + burst.pause_ns) / (double)NSEC_PER_SEC;
		}
		/* One more than none in each burst. */
		assert_true(errors >= rates[i] * seconds);
		assert_true(errors <= rates[i] * seconds + BURSTS);
	}
}

static void test_times_without_limit(void **state)
{
	struct schedule_options options = usual;

	(void)state;
	options.rate = 0;
	for (uint64_t number = 0; number < 100; number++)
		assert_int_equal(schedule_burst(&options, number).times, -1);
}

/* No pauses; bursts of a day. */
static void test_odd_lengths(void **state)
{
	struct schedule_options options = usual;

	(void)state;
	options.pause_ns = 0;
	options.burst_ns = 24 * 3600 * NSEC_PER_SEC;
	for (uint64_t number = 0; number < 100; number++) {
		struct burst burst = schedule_burst(&options, number);

		assert_int_equal(burst.pause_ns, 0);
		assert_in_range(burst.ns, options.burst_ns / 2, options.burst_ns * 3 / 2);
		assert_true(burst.times > 0);
	}
}

/* A backend that writes down what is asked of it: b, n (renew), r. */
struct backend {
	pthread_mutex_t mutex;
	char calls[4096];
	size_t n;
	uint64_t next;	   /* number of the burst that is to come */
	uint64_t begin_ns; /* what it takes to begin one */
	bool in_order;
	struct schedule_options options;
	char fail_at;		 /* this call fails, ... */
	unsigned int fail_after; /* ... after so many of them */
};

static int note(struct backend *b, char call)
{
	int r = 0;

	pthread_mutex_lock(&b->mutex);
	if (b->n < sizeof(b->calls) - 1)
		b->calls[b->n++] = call;
	if (call == b->fail_at && !b->fail_after--)
		r = -EIO;
	pthread_mutex_unlock(&b->mutex);
	return r;
}

static int fake_begin(void *backend, const struct burst *burst)
{
	struct backend *b = backend;
	struct burst expected = schedule_burst(&b->options, b->next++);

	b->in_order &= is_same(burst, &expected);
	sleep_ns(b->begin_ns);
	return note(b, 'b');
}

static int fake_renew(void *backend, const struct burst *burst)
{
	struct backend *b = backend;

	b->in_order &= burst->number + 1 == b->next;
	return note(b, 'n');
}

static int fake_rest(void *backend)
{
	return note(backend, 'r');
}

static const struct schedule_ops with_renew = { fake_begin, fake_renew, fake_rest };
static const struct schedule_ops without_renew = { fake_begin, NULL, fake_rest };

static void backend_init(struct backend *b, uint64_t burst_ns, uint64_t pause_ns)
{
	*b = (struct backend){ .mutex = PTHREAD_MUTEX_INITIALIZER, .in_order = true };
	b->options = usual;
	b->options.burst_ns = burst_ns;
	b->options.pause_ns = pause_ns;
}

static size_t calls_so_far(struct backend *b)
{
	size_t n;

	pthread_mutex_lock(&b->mutex);
	n = b->n;
	pthread_mutex_unlock(&b->mutex);
	return n;
}

static void wait_for_calls(struct backend *b, size_t n)
{
	uint64_t end = now_ns() + 20 * NSEC_PER_SEC;

	while (calls_so_far(b) < n) {
		assert_true(now_ns() < end);
		sleep_ns(NSEC_PER_MSEC);
	}
}

/* Each burst is begun, perhaps renewed, and brought to rest; rest once more is the end. */
static void expect_order(const char *calls)
{
	const char *p = calls;

	while (*p == 'b') {
		p++;
		p += strspn(p, "n");
		assert_int_equal(*p, 'r');
		p++;
	}
	assert_string_equal(p, "r");
}

static void test_thread_goes_through_bursts(void **state)
{
	struct schedule *schedule;
	struct backend b;

	(void)state;
	backend_init(&b, 2 * NSEC_PER_MSEC, NSEC_PER_MSEC);
	assert_int_equal(schedule_start(&b.options, &without_renew, &b, &schedule), 0);
	wait_for_calls(&b, 10);
	assert_true(schedule_bursts(schedule) >= 4);
	schedule_stop(schedule);
	expect_order(b.calls);
	assert_null(strchr(b.calls, 'n'));
	assert_true(b.in_order);
}

static void test_thread_renews(void **state)
{
	struct schedule *schedule;
	struct backend b;

	(void)state;
	backend_init(&b, 3600 * NSEC_PER_SEC, 0);
	assert_int_equal(schedule_start(&b.options, &with_renew, &b, &schedule), 0);
	wait_for_calls(&b, 4);
	schedule_stop(schedule);
	assert_memory_equal(b.calls, "bnnn", 4);
	expect_order(b.calls);
	assert_true(b.in_order);
}

/* Knobs that take longer to turn than the burst is to last. */
static void test_slow_to_begin(void **state)
{
	struct schedule *schedule;
	struct backend b;

	(void)state;
	backend_init(&b, 300 * NSEC_PER_MSEC, 0);
	b.begin_ns = 500 * NSEC_PER_MSEC;
	assert_int_equal(schedule_start(&b.options, &with_renew, &b, &schedule), 0);
	wait_for_calls(&b, 2);
	schedule_stop(schedule);
	assert_memory_equal(b.calls, "bn", 2);
	expect_order(b.calls);
}

/* Within what a burst or a pause sleeps at a time. */
static void stop_promptly(struct schedule *schedule)
{
	uint64_t begun = now_ns();

	schedule_stop(schedule);
	assert_true(now_ns() - begun < 5 * NSEC_PER_SEC);
}

static void test_stop_is_prompt(void **state)
{
	struct schedule *schedule;
	struct backend b;

	(void)state;
	/* In the midst of a burst, */
	backend_init(&b, 3600 * NSEC_PER_SEC, 0);
	assert_int_equal(schedule_start(&b.options, &without_renew, &b, &schedule), 0);
	wait_for_calls(&b, 1);
	stop_promptly(schedule);
	assert_string_equal(b.calls, "brr");
	/* of a pause, */
	backend_init(&b, NSEC_PER_MSEC, 3600 * NSEC_PER_SEC);
	assert_int_equal(schedule_start(&b.options, &without_renew, &b, &schedule), 0);
	wait_for_calls(&b, 2);
	stop_promptly(schedule);
	assert_string_equal(b.calls, "brr");
	/* and at once. */
	backend_init(&b, 3600 * NSEC_PER_SEC, 0);
	assert_int_equal(schedule_start(&b.options, &without_renew, &b, &schedule), 0);
	stop_promptly(schedule);
	expect_order(b.calls);
	schedule_stop(NULL);
}

/* Knobs that do not answer are not turned any more, but for the attempt to leave at rest. */
static void test_errors_end_it(void **state)
{
	static const struct {
		char at;
		unsigned int after;
		uint64_t burst_ns;
		const char *calls;
	} cases[] = {
		{ 'b', 0, NSEC_PER_MSEC, "br" },	 { 'b', 2, NSEC_PER_MSEC, "brbrbr" },
		{ 'n', 1, 3600 * NSEC_PER_SEC, "bnnr" }, { 'r', 0, NSEC_PER_MSEC, "brr" },
		{ 'r', 1, NSEC_PER_MSEC, "brbrr" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct schedule_ops *ops = cases[i].at == 'n' ? &with_renew : &without_renew;
		struct schedule *schedule;
		struct backend b;

		backend_init(&b, cases[i].burst_ns, 0);
		b.fail_at = cases[i].at;
		b.fail_after = cases[i].after;
		assert_int_equal(schedule_start(&b.options, ops, &b, &schedule), 0);
		wait_for_calls(&b, strlen(cases[i].calls));
		/* Had it gone on, it would show here. */
		sleep_ns(20 * NSEC_PER_MSEC);
		schedule_stop(schedule);
		assert_string_equal(b.calls, cases[i].calls);
	}
}

/* Where only held locks fail, which are few, a burst must not let most of them go. */
static void test_rare_faults_are_likely(void **state)
{
	struct schedule_options options = {
		.seed = 7, .sites = 0xf, .rate = 500, .rare = true, .burst_ns = NSEC_PER_SEC
	};

	(void)state;
	for (uint64_t n = 0; n < 200; n++)
		assert_true(schedule_burst(&options, n).probability >= 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rare_faults_are_likely),
		cmocka_unit_test(test_same_seed_same_bursts),
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_certain_failures),
		cmocka_unit_test(test_rare),
		cmocka_unit_test(test_appointments),
		cmocka_unit_test(test_probability_and_length),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_times_without_limit),
		cmocka_unit_test(test_odd_lengths),
		cmocka_unit_test(test_thread_goes_through_bursts),
		cmocka_unit_test(test_thread_renews),
		cmocka_unit_test(test_slow_to_begin),
		cmocka_unit_test(test_stop_is_prompt),
		cmocka_unit_test(test_errors_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
