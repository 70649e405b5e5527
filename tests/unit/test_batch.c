// SPDX-License-Identifier: GPL-2.0-only
/* Values that are come upon somewhere: whose they are, and whether they may be there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "churn.h"
#include "scenarios/batch.h"
#include "worker.h"

#define BASE 0x1234567890000000ull

static struct batch batch = { .base = BASE, .size = SOAK_SIZE_MEDIUM };
static struct worker worker;

static int judge(uint64_t cookie, size_t size)
{
	unsigned char value[SOAK_SIZE_LARGE];

	churn_make_value(value, size, cookie, 0, SOAK_ROLE_NONE);
	return batch_judge(&batch, &worker, value, "a test");
}

static int start(void **state)
{
	(void)state;
	memset(&worker, 0, sizeof(worker));
	memset(batch.values, 0, sizeof(batch.values));
	batch.values[3].tried = 2;
	batch.values[3].stored = 2;
	return 0;
}

static void test_what_was_stored(void **state)
{
	(void)state;
	assert_int_equal(judge(batch_cookie(&batch, 3), SOAK_SIZE_MEDIUM), 3);
	/* What was replaced may still be seen by somebody. */
	assert_int_equal(judge(batch_cookie(&batch, 3) - 1, SOAK_SIZE_MEDIUM), 3);
	assert_int_equal(worker.bad_values + worker.torn_values, 0);
	assert_int_equal(worker.lookups, 2);
	assert_int_equal(batch_cookie(&batch, 4), 0);
}

static void test_what_never_was(void **state)
{
	uint64_t cookie = batch_cookie(&batch, 3);

	(void)state;
	assert_int_equal(judge(cookie + 1, SOAK_SIZE_MEDIUM), -1);
	assert_int_equal(judge(cookie - 2, SOAK_SIZE_MEDIUM), -1);
	assert_int_equal(judge(cookie + (1 << 16), SOAK_SIZE_MEDIUM), -1);
	assert_int_equal(judge(cookie ^ 1ull << 40, SOAK_SIZE_MEDIUM), -1);
	assert_int_equal(judge(cookie | 0xff0000, SOAK_SIZE_MEDIUM), -1);
	assert_int_equal(worker.bad_values, 5);
	assert_int_equal(worker.torn_values, 0);
}

static void test_what_is_not_whole(void **state)
{
	unsigned char value[SOAK_SIZE_MEDIUM], other[SOAK_SIZE_MEDIUM];
	uint64_t cookie = batch_cookie(&batch, 3);

	(void)state;
	assert_int_equal(judge(cookie, SOAK_SIZE_SMALL), -1);
	churn_make_value(value, sizeof(value), cookie, 0, SOAK_ROLE_NONE);
	churn_make_value(other, sizeof(other), cookie - 1, 0, SOAK_ROLE_NONE);
	memcpy(value + 100, other + 100, 8);
	assert_int_equal(batch_judge(&batch, &worker, value, "a test"), -1);
	assert_int_equal(worker.torn_values, 2);
	assert_int_equal(worker.bad_values, 0);
}

/* The kernel's part of a value is nobody's business, and all else is. */
static void test_masks(void **state)
{
	static const size_t sizes[] = { SOAK_SIZE_FIELDS, SOAK_SIZE_REF };
	struct batch fields = { .base = BASE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned char value[SOAK_SIZE_LARGE];

		fields.size = sizes[i];
		churn_make_value(value, sizes[i], BASE | 1, 0, SOAK_ROLE_NONE);
		memset(value + SOAK_FIELDS_REF, 0xaa, 8);
		assert_false(churn_value_is_whole(value, sizes[i]));
		batch_mask(&fields, value);
		assert_true(churn_value_is_whole(value, sizes[i]));
		value[SOAK_FIELDS_END] ^= 1;
		batch_mask(&fields, value);
		assert_false(churn_value_is_whole(value, sizes[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_was_stored, start),
		cmocka_unit_test_setup(test_what_never_was, start),
		cmocka_unit_test_setup(test_what_is_not_whole, start),
		cmocka_unit_test_setup(test_masks, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
