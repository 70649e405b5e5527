// SPDX-License-Identifier: GPL-2.0-only
/* Choosing an injection backend from what the probe found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "inject/inject.h"
#include "probe.h"

static struct probe probe_with(bool stall_usable, bool only_panic)
{
	static char missing[] = "bpf_selem_unlink_nofail() does not exist";
	struct probe probe = { .n_modes = 2 };

	probe.modes[0] = (struct probe_mode){ .name = "stall",
					      .injecting = true,
					      .usable = stall_usable,
					      .needs_accept_panic = only_panic,
					      .missing = stall_usable ? NULL : missing };
	probe.modes[1] = (struct probe_mode){ .name = "none", .usable = true };
	return probe;
}

static void test_auto_takes_stall(void **state)
{
	struct probe probe = probe_with(true, false);
	const char *why = NULL;

	(void)state;
	assert_ptr_equal(inject_choose("auto", &probe, &why), &inject_stall);
	assert_null(why);
}

/* No silent downgrade: auto never becomes none. */
static void test_auto_refuses_rather_than_none(void **state)
{
	struct probe probe = probe_with(false, false);
	const char *why = NULL;

	(void)state;
	assert_null(inject_choose("auto", &probe, &why));
	assert_non_null(strstr(why, "does not exist"));
}

static void test_by_name(void **state)
{
	struct probe probe = probe_with(false, false);
	const char *why = NULL;

	(void)state;
	assert_ptr_equal(inject_choose("none", &probe, &why), &inject_none);
	assert_null(why);
	assert_ptr_equal(inject_choose("stall", &probe, &why), &inject_stall);
	assert_non_null(why);
}

static void test_unknown_name_lists_the_valid_ones(void **state)
{
	struct probe probe = probe_with(true, false);
	const char *why = NULL;

	(void)state;
	assert_null(inject_choose("module", &probe, &why));
	assert_non_null(strstr(why, "stall"));
	assert_non_null(strstr(why, "none"));
}

/* Panicking is for the user to accept: the run loop asks, the backend does not refuse. */
static void test_panic_alone_is_not_refused_here(void **state)
{
	struct probe probe = probe_with(false, true);
	const char *why = NULL;

	(void)state;
	assert_ptr_equal(inject_choose("stall", &probe, &why), &inject_stall);
	assert_null(why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto_takes_stall),
		cmocka_unit_test(test_auto_refuses_rather_than_none),
		cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_unknown_name_lists_the_valid_ones),
		cmocka_unit_test(test_panic_alone_is_not_refused_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
