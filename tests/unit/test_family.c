// SPDX-License-Identifier: GPL-2.0-only
/* A child that outlives its parent, but not the crew, however that ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"
#include "scenarios/family.h"
#include "util.h"

static struct crew new_family(void)
{
	struct crew_options options = { .tasks = 1, .begin = family_found };
	struct crew crew;

	assert_int_equal(crew_new(&options, &crew), 0);
	return crew;
}

/* Its parent; 0: it is not there, or is dead and not yet waited for. */
static pid_t parent_of(pid_t pid)
{
	_cleanup_free_ char *path = format("/proc/%d/stat", pid), *text = NULL;
	char state;
	int parent;

	if (read_file(path, &text, NULL))
		return 0;
	assert_int_equal(sscanf(strrchr(text, ')') + 1, " %c %d", &state, &parent), 2);
	return state == 'Z' || state == 'X' ? 0 : parent;
}

static void comes_to(pid_t pid, pid_t parent)
{
	for (unsigned int i = 0; parent_of(pid) != parent; i++) {
		assert_true(i < 500);
		usleep(10000);
	}
}

static void test_another_parent(void **state)
{
	struct crew crew = new_family();
	struct family family = *(struct family *)crew_room(&crew);

	(void)state;
	assert_int_equal(parent_of(family.parent), crew.tids[0]);
	assert_int_equal(parent_of(family.child), family.parent);
	assert_int_equal(kill(family.parent, SIGKILL), 0);
	comes_to(family.child, crew.tids[0]);
	usleep(50000);
	assert_int_equal(parent_of(family.child), crew.tids[0]);
	crew_free(&crew);
	comes_to(family.child, 0);
}

static void test_all_at_once(void **state)
{
	struct crew crew = new_family();
	struct family family = *(struct family *)crew_room(&crew);

	(void)state;
	assert_int_equal(parent_of(family.parent), crew.tids[0]);
	assert_int_equal(parent_of(family.child), family.parent);
	crew_free(&crew);
	comes_to(family.child, 0);
	comes_to(family.parent, 0);
}

/* Whatever was blocked where it was made. */
static void test_signals_blocked(void **state)
{
	sigset_t all, before;

	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_SETMASK, &all, &before), 0);
	test_all_at_once(state);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_parent),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_signals_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
