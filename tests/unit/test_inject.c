// SPDX-License-Identifier: GPL-2.0-only
/* Choosing injection backends from what the probe found, and the order in which a set is run. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "inject/inject.h"
#include "probe.h"
#include "util.h"

#define NO_FAIL_FUNCTION "the kernel has no CONFIG_FAIL_FUNCTION"
#define NO_MODULE	 "the module rqspinlock_fault is not installed"
#define NO_STALL	 "bpf_selem_unlink_nofail() does not exist"

enum { FAIL_FUNCTION = 1, MODULE = 2, STALL = 4 };

static struct probe_mode mode(const char *name, char *missing)
{
	return (struct probe_mode){
		.name = name, .injecting = true, .usable = !missing, .missing = missing
	};
}

/* usable: of the above. */
static struct probe probe_with(unsigned int usable)
{
	static char no_fail_function[] = NO_FAIL_FUNCTION;
	static char no_module[] = NO_MODULE;
	static char no_stall[] = NO_STALL;

	return (struct probe){
		.n_modes = 4,
		.modes = {
			mode("fail_function", usable & FAIL_FUNCTION ? NULL : no_fail_function),
			mode("module", usable & MODULE ? NULL : no_module),
			mode("stall", usable & STALL ? NULL : no_stall),
			{ .name = "none", .usable = true },
		},
	};
}

static void expect_names(const struct inject_set *set, const char *expected)
{
	char names[48];

	inject_set_names(set, names, sizeof(names));
	assert_string_equal(names, expected);
}

static void test_auto(void **state)
{
	static const struct {
		unsigned int usable;
		const char *names;
		const char *why;
	} cases[] = {
		{ FAIL_FUNCTION | MODULE | STALL, "fail_function,stall", NULL },
		{ FAIL_FUNCTION | STALL, "fail_function,stall", NULL },
		{ FAIL_FUNCTION, "fail_function", NULL },
		{ MODULE | STALL, "module,stall", NO_FAIL_FUNCTION },
		{ MODULE, "module", NO_FAIL_FUNCTION },
		{ STALL, "stall", NO_MODULE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct probe probe = probe_with(cases[i].usable);
		struct inject_set set = { 0 };
		const char *why = "untouched";

		assert_int_equal(inject_set_add(&set, "auto", &probe, &why), 0);
		expect_names(&set, cases[i].names);
		if (cases[i].why)
			assert_string_equal(why, cases[i].why);
		else
			assert_null(why);
		assert_true(inject_set_injects(&set));
		assert_int_equal(inject_set_uses_module(&set),
				 !!(cases[i].usable & (FAIL_FUNCTION | MODULE)));
	}
}

/* No silent downgrade: auto never becomes none. */
static void test_auto_refuses_rather_than_none(void **state)
{
	struct probe probe = probe_with(0);
	struct inject_set set = { 0 };
	const char *why = NULL;

	(void)state;
	assert_int_equal(inject_set_add(&set, "auto", &probe, &why), -ENOTSUP);
	assert_string_equal(why, NO_STALL);
	assert_int_equal(set.n, 0);
}

static void test_by_name(void **state)
{
	static const struct {
		const char *name;
		const struct inject_ops *ops;
		bool injects, uses_module;
		const char *missing;
	} cases[] = {
		{ "fail_function", &inject_fail_function, true, true, NO_FAIL_FUNCTION },
		{ "module", &inject_module, true, true, NO_MODULE },
		{ "stall", &inject_stall, true, false, NO_STALL },
		{ "none", &inject_none, false, false, NULL },
	};
	struct probe all = probe_with(FAIL_FUNCTION | MODULE | STALL), nothing = probe_with(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct inject_set set = { 0 }, refused = { 0 };
		const char *why = "untouched";

		assert_ptr_equal(inject_find(cases[i].name), cases[i].ops);
		assert_int_equal(inject_set_add(&set, cases[i].name, &all, &why), 0);
		assert_null(why);
		assert_int_equal(set.n, 1);
		assert_ptr_equal(set.ops[0], cases[i].ops);
		assert_int_equal(inject_set_injects(&set), cases[i].injects);
		assert_int_equal(inject_set_uses_module(&set), cases[i].uses_module);
		if (!cases[i].missing)
			continue;
		assert_int_equal(inject_set_add(&refused, cases[i].name, &nothing, &why), -ENOTSUP);
		assert_string_equal(why, cases[i].missing);
		assert_int_equal(refused.n, 0);
	}
}

static void test_unknown_name_lists_the_valid_ones(void **state)
{
	static const char *const names[] = { "magic", "", "Stall", "stall,module", "organic" };
	static const char *const valid[] = { "auto", "fail_function", "module", "stall", "none" };
	struct probe probe = probe_with(FAIL_FUNCTION | MODULE | STALL);
	struct inject_set set = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *why = NULL;

		assert_null(inject_find(names[i]));
		assert_int_equal(inject_set_add(&set, names[i], &probe, &why), -EINVAL);
		for (size_t j = 0; j < ARRAY_SIZE(valid); j++)
			assert_non_null(strstr(why, valid[j]));
	}
	assert_int_equal(set.n, 0);
}

/* Panicking is for the user to accept: the run loop asks, the backend does not refuse. */
static void test_panic_alone_is_not_refused_here(void **state)
{
	struct probe probe = probe_with(0);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct inject_set set = { 0 };
		const char *why = "untouched";

		probe.modes[i].needs_accept_panic = true;
		assert_int_equal(inject_set_add(&set, probe.modes[i].name, &probe, &why), 0);
		assert_null(why);
	}
}

static void test_a_list_in_its_order(void **state)
{
	static const char *const names[] = { "stall", "none", "fail_function", "module" };
	struct probe probe = probe_with(FAIL_FUNCTION | MODULE | STALL);
	struct inject_set set = { 0 };
	char names_cut[8];
	const char *why;

	(void)state;
	expect_names(&set, "");
	assert_false(inject_set_injects(&set));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(inject_set_add(&set, names[i], &probe, &why), 0);
	expect_names(&set, "stall,none,fail_function,module");
	/* Cut rather than run over. */
	inject_set_names(&set, names_cut, sizeof(names_cut));
	assert_string_equal(names_cut, "stall,n");
	/* As many as there are, and no more. */
	assert_int_equal(inject_set_add(&set, "stall", &probe, &why), -EINVAL);
	assert_int_equal(set.n, INJECT_BACKENDS);
}

/* Two backends that write down what is asked of them; their error when they are to fail. */
static char calls[256];
static int prepare_error, arm_error;

static void note(const char *who, const char *what)
{
	size_t used = strlen(calls);

	snprintf(calls + used, sizeof(calls) - used, "%s.%s ", who, what);
}

static int a_prepare(const struct inject_options *options, void **ret)
{
	(void)options;
	note("a", "prepare");
	*ret = "a";
	return 0;
}

static int b_prepare(const struct inject_options *options, void **ret)
{
	(void)options;
	note("b", "prepare");
	*ret = prepare_error ? NULL : "b";
	return prepare_error;
}

static int fake_arm(void *backend)
{
	note(backend, "arm");
	return *(const char *)backend == 'b' ? arm_error : 0;
}

static void fake_disarm(void *backend)
{
	note(backend, "disarm");
}

static void fake_free(void *backend)
{
	note(backend, "free");
}

static const struct inject_ops fake_a = {
	.name = "a",
	.prepare = a_prepare,
	.arm = fake_arm,
	.disarm = fake_disarm,
	.free = fake_free,
};

static const struct inject_ops fake_b = {
	.name = "b",
	.prepare = b_prepare,
	.arm = fake_arm,
	.disarm = fake_disarm,
	.free = fake_free,
};

/* Undone in the opposite order, and nothing that was not done; freeing twice is fine. */
static void test_order(void **state)
{
	static const struct {
		int prepare_error, arm_error;
		const char *calls;
	} cases[] = {
		{ 0, 0, "a.prepare b.prepare a.arm b.arm b.disarm a.disarm b.free a.free " },
		{ -EIO, 0, "a.prepare b.prepare a.free " },
		{ 0, -EIO, "a.prepare b.prepare a.arm b.arm a.disarm b.free a.free " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct inject_set set = { .ops = { &fake_a, &fake_b }, .n = 2 };
		struct inject_options options = { 0 };

		calls[0] = 0;
		prepare_error = cases[i].prepare_error;
		arm_error = cases[i].arm_error;
		assert_int_equal(inject_set_prepare(&set, &options), prepare_error);
		if (!prepare_error)
			assert_int_equal(inject_set_arm(&set), arm_error);
		inject_set_disarm(&set);
		inject_set_disarm(&set);
		inject_set_free(&set);
		inject_set_free(&set);
		assert_string_equal(calls, cases[i].calls);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_auto_refuses_rather_than_none),
		cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_unknown_name_lists_the_valid_ones),
		cmocka_unit_test(test_panic_alone_is_not_refused_here),
		cmocka_unit_test(test_a_list_in_its_order),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
