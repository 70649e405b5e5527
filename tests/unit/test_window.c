// SPDX-License-Identifier: GPL-2.0-only
/* Times of day: what is read as one, and every minute of what it means. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util.h"
#include "window.h"

#define MINUTES (24 * 60)

static struct windows parsed(const char *text)
{
	struct windows windows = { 0 };

	assert_int_equal(windows_parse(text, &windows), 0);
	return windows;
}

static unsigned int open_minutes(const struct windows *windows)
{
	unsigned int n = 0;

	for (unsigned int minute = 0; minute < MINUTES; minute++)
		n += windows_contain(windows, minute);
	return n;
}

static void test_bounds_belong_to_the_beginning(void **state)
{
	struct windows w = parsed("06:30-22:00");

	(void)state;
	assert_false(windows_contain(&w, 6 * 60 + 29));
	assert_true(windows_contain(&w, 6 * 60 + 30));
	assert_true(windows_contain(&w, 22 * 60 - 1));
	assert_false(windows_contain(&w, 22 * 60));
	assert_int_equal(open_minutes(&w), 15 * 60 + 30);
}

static void test_past_midnight(void **state)
{
	struct windows w = parsed("22:00-06:00");

	(void)state;
	assert_true(windows_contain(&w, 22 * 60));
	assert_true(windows_contain(&w, MINUTES - 1));
	assert_true(windows_contain(&w, 0));
	assert_true(windows_contain(&w, 6 * 60 - 1));
	assert_false(windows_contain(&w, 6 * 60));
	assert_int_equal(open_minutes(&w), 8 * 60);
}

static void test_whole_days_and_several(void **state)
{
	struct windows all = parsed("00:00-24:00");
	struct windows two = parsed("22:00-06:00,12:00-13:00");
	struct windows overlap = parsed("10:00-12:00,11:00-13:00");
	struct windows none = { 0 };

	(void)state;
	assert_int_equal(open_minutes(&all), MINUTES);
	assert_int_equal(open_minutes(&two), 9 * 60);
	assert_int_equal(open_minutes(&overlap), 3 * 60);
	/* Without any: always. */
	assert_int_equal(open_minutes(&none), MINUTES);
}

static void test_what_is_no_window(void **state)
{
	static const char *const bad[] = {
		"",
		"22:00",
		"22-6",
		"22:00-",
		"-06:00",
		"22:00-06:0",
		"22:00-06:000",
		"24:00-06:00",
		"24:01-06:00",
		"22:00-24:01",
		"22:60-23:00",
		"06:00-06:00",
		"22:00-06:00,",
		",22:00-06:00",
		"22:00-06:00 ",
		" 22:00-06:00",
		"22.00-06.00",
		"22:00--06:00",
		"22:00-06:00;",
		"9:00-10:00",
		"25:00-26:00",
		"-1:00-02:00",
		"22:00-06:00,,",
		"22:00-06:00x",
		"always",
		"99:99-99:99",
		"+1:00-02:00",
		"22:00-06:00\n",
		"2200-0600",
		"22:00/06:00",
	};
	struct windows windows = { .n = 77 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (windows_parse(bad[i], &windows) != -EINVAL)
			fail_msg("'%s' was taken for a window", bad[i]);
	assert_int_equal(windows.n, 77);
}

static void test_so_many_and_no_more(void **state)
{
	char text[WINDOWS_MAX * 12 + 24] = "";
	struct windows windows = { 0 };

	(void)state;
	for (size_t i = 0; i < WINDOWS_MAX; i++)
		strcat(text, i ? ",10:00-11:00" : "10:00-11:00");
	assert_int_equal(windows_parse(text, &windows), 0);
	assert_int_equal(windows.n, WINDOWS_MAX);
	strcat(text, ",10:00-11:00");
	assert_int_equal(windows_parse(text, &windows), -EINVAL);
}

/* Not by UTC: 1767225600 is 2026-01-01 00:00 there. */
static void test_local_time_counts(void **state)
{
	struct windows w = parsed("09:00-09:01");

	(void)state;
	assert_int_equal(setenv("TZ", "XXX-9", true), 0);
	tzset();
	assert_true(windows_are_open(&w, 1767225600));
	assert_true(windows_are_open(&w, 1767225659));
	assert_false(windows_are_open(&w, 1767225660));
	assert_int_equal(setenv("TZ", "UTC0", true), 0);
	tzset();
	assert_false(windows_are_open(&w, 1767225600));
	unsetenv("TZ");
	tzset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds_belong_to_the_beginning),
		cmocka_unit_test(test_past_midnight),
		cmocka_unit_test(test_whole_days_and_several),
		cmocka_unit_test(test_what_is_no_window),
		cmocka_unit_test(test_so_many_and_no_more),
		cmocka_unit_test(test_local_time_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
