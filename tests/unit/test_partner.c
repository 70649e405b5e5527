// SPDX-License-Identifier: GPL-2.0-only
/* A second thread: it runs what it is asked to, meanwhile, elsewhere, and all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "partner.h"
#include "util.h"

#define MANY 2000

struct work {
	bool go;
	unsigned int turns;
	int cpu;
	pid_t tid;
};

static void count_one(void *arg)
{
	struct work *work = arg;

	work->turns++;
	work->cpu = sched_getcpu();
	work->tid = gettid();
}

static void wait_for_go(void *arg)
{
	struct work *work = arg;

	while (!__atomic_load_n(&work->go, __ATOMIC_ACQUIRE))
		sched_yield();
	count_one(work);
}

static void test_all_that_is_asked_is_done(void **state)
{
	struct partner *partner = NULL;
	struct work work = { 0 };

	(void)state;
	assert_int_equal(partner_new(-1, &partner), 0);
	for (unsigned int i = 1; i <= MANY; i++) {
		partner_ask(partner, count_one, &work);
		partner_wait(partner);
		assert_int_equal(work.turns, i);
	}
	assert_int_not_equal(work.tid, gettid());
	partner_free(partner);
}

/* Were it to wait for the end of what it asks for, this would hang. */
static void test_it_goes_on_meanwhile(void **state)
{
	struct partner *partner = NULL;
	struct work work = { 0 };

	(void)state;
	assert_int_equal(partner_new(-1, &partner), 0);
	partner_ask(partner, wait_for_go, &work);
	assert_int_equal(work.turns, 0);
	__atomic_store_n(&work.go, true, __ATOMIC_RELEASE);
	partner_wait(partner);
	assert_int_equal(work.turns, 1);
	partner_free(partner);
}

static void *ask_where(void *arg)
{
	struct partner *partner = NULL;
	int cpu = sched_getcpu();
	struct work *work = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) || partner_new(cpu, &partner))
		return NULL;
	for (unsigned int i = 0; i < 8; i++) {
		partner_ask(partner, count_one, work);
		partner_wait(partner);
		if (work->cpu == cpu)
			break;
	}
	partner_free(partner);
	return work;
}

/* Also for a thread that is pinned, whose mask every thread that it makes begins with. */
static void test_it_is_elsewhere(void **state)
{
	struct work work = { 0 };
	pthread_t thread;
	cpu_set_t set;
	void *made;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	if (CPU_COUNT(&set) < 2)
		skip();
	assert_int_equal(pthread_create(&thread, NULL, ask_where, &work), 0);
	assert_int_equal(pthread_join(thread, &made), 0);
	assert_non_null(made);
	assert_int_equal(work.turns, 8);
}

static void test_none(void **state)
{
	(void)state;
	partner_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_that_is_asked_is_done),
		cmocka_unit_test(test_it_goes_on_meanwhile),
		cmocka_unit_test(test_it_is_elsewhere),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
