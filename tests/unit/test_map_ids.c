// SPDX-License-Identifier: GPL-2.0-only
/* Ids of maps: which are left, and that a long run keeps no more than it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "map_ids.h"

#define MANY 70000

static uint32_t stays;
static unsigned int asked;

static bool exists(uint32_t id)
{
	asked++;
	return id == stays;
}

static void test_what_is_gone_is_not_left(void **state)
{
	struct map_ids *ids;
	uint32_t id = 0;

	(void)state;
	assert_int_equal(map_ids_new(exists, &ids), 0);
	assert_int_equal(map_ids_left(ids, &id), 0);
	map_ids_note(ids, 4);
	map_ids_note(ids, 5);
	stays = 0;
	assert_int_equal(map_ids_left(ids, &id), 0);
	map_ids_note(ids, 6);
	map_ids_note(ids, 7);
	stays = 7;
	assert_int_equal(map_ids_left(ids, &id), 1);
	assert_int_equal(id, 7);
	assert_int_equal(map_ids_noted(ids), 4);
	map_ids_free(ids);
}

static void test_a_long_run(void **state)
{
	struct map_ids *ids;
	uint32_t id = 0;

	(void)state;
	assert_int_equal(map_ids_new(exists, &ids), 0);
	stays = 3;
	for (uint32_t i = 1; i <= MANY; i++)
		map_ids_note(ids, i);
	assert_int_equal(map_ids_noted(ids), MANY);
	asked = 0;
	assert_int_equal(map_ids_left(ids, &id), 1);
	assert_int_equal(id, 3);
	assert_true(asked < 65536);
	map_ids_free(ids);
}

/* Nothing is asked of a descriptor that is none, and nobody is noted. */
static void test_no_map(void **state)
{
	struct map_ids *ids;

	(void)state;
	assert_int_equal(map_ids_new(exists, &ids), 0);
	map_ids_note_fd(ids, -1);
	assert_int_equal(map_ids_noted(ids), 0);
	map_ids_free(ids);
	map_ids_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_gone_is_not_left),
		cmocka_unit_test(test_a_long_run),
		cmocka_unit_test(test_no_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
