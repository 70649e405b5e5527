// SPDX-License-Identifier: GPL-2.0-only
/* What the workers decide and store: reproducible decisions, values that show any damage. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "churn.h"
#include "owner.h"
#include "places.h"
#include "rng.h"

static void test_every_byte_counts(void **state)
{
	static const size_t sizes[] = { SOAK_SIZE_SMALL, SOAK_SIZE_MEDIUM, SOAK_SIZE_LARGE,
					SOAK_SIZE_FIELDS, SOAK_SIZE_REF };
	unsigned char value[SOAK_SIZE_LARGE];

	(void)state;
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		churn_make_value(value, sizes[i], 0x123456789abcdef0ULL + i, 0, SOAK_ROLE_NONE);
		assert_true(churn_value_is_whole(value, sizes[i]));
		for (size_t at = 0; at < sizes[i]; at++) {
			/* Plan and role are the stall backend's, not part of what is stored. */
			if (at >= offsetof(struct soak_value, plan) &&
			    at < offsetof(struct soak_value, size))
				continue;
			value[at] ^= 0x10;
			assert_false(churn_value_is_whole(value, sizes[i]));
			value[at] ^= 0x10;
		}
		assert_true(churn_value_is_whole(value, sizes[i]));
	}
}

/* bpf(2) reads zeros where the kernel keeps its own, and so must be what is stored there. */
static void test_special_fields_are_zero(void **state)
{
	unsigned char value[SOAK_SIZE_FIELDS];

	(void)state;
	churn_make_value(value, SOAK_SIZE_FIELDS, UINT64_MAX, 0, SOAK_ROLE_NONE);
	for (size_t i = SOAK_FIELDS_BEGIN; i < SOAK_FIELDS_END; i++)
		assert_int_equal(value[i], 0);
	assert_int_not_equal(value[SOAK_FIELDS_END], 0);
	churn_make_value(value, SOAK_SIZE_REF, UINT64_MAX, 0, SOAK_ROLE_NONE);
	for (size_t i = SOAK_FIELDS_REF; i < SOAK_FIELDS_END; i++)
		assert_int_equal(value[i], 0);
	assert_int_not_equal(value[SOAK_FIELDS_REF - 1], 0);
}

/* Half of one value and half of another is torn, wherever the cut is. */
static void test_torn_values_show(void **state)
{
	unsigned char a[SOAK_SIZE_MEDIUM], b[SOAK_SIZE_MEDIUM], torn[SOAK_SIZE_MEDIUM];

	(void)state;
	churn_make_value(a, sizeof(a), 1, 0, SOAK_ROLE_NONE);
	churn_make_value(b, sizeof(b), 2, 0, SOAK_ROLE_NONE);
	for (size_t cut = 16; cut < sizeof(a); cut += 8) {
		memcpy(torn, a, sizeof(torn));
		memcpy(torn + cut, b + cut, sizeof(torn) - cut);
		assert_false(churn_value_is_whole(torn, sizeof(torn)));
	}
}

static void test_value_carries_plan_and_role(void **state)
{
	unsigned char bytes[SOAK_SIZE_SMALL];
	struct soak_value head;

	(void)state;
	churn_make_value(bytes, sizeof(bytes), 9, 5, SOAK_ROLE_VICTIM);
	memcpy(&head, bytes, sizeof(head));
	assert_int_equal(head.plan, 5);
	assert_int_equal(head.role, SOAK_ROLE_VICTIM);
	assert_int_equal(head.size, SOAK_SIZE_SMALL);
}

static void test_same_seed_same_decisions(void **state)
{
	(void)state;
	for (uint64_t op = 0; op < 1000; op++) {
		struct rng a = rng_for(42, 3, op), b = rng_for(42, 3, op);

		for (unsigned int i = 0; i < 8; i++)
			assert_int_equal(rng_next(&a), rng_next(&b));
	}
}

static void test_streams_differ(void **state)
{
	struct rng a = rng_for(42, 0, 7), b = rng_for(42, 1, 7), c = rng_for(42, 0, 8),
		   d = rng_for(43, 0, 7);
	uint64_t first = rng_next(&a);

	(void)state;
	assert_int_not_equal(first, rng_next(&b));
	assert_int_not_equal(first, rng_next(&c));
	assert_int_not_equal(first, rng_next(&d));
}

static void test_below_is_in_range_and_reaches_all(void **state)
{
	struct rng rng = rng_for(1, 2, 3);
	unsigned int seen[10] = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 10000; i++)
		seen[rng_below(&rng, 10)]++;
	for (unsigned int i = 0; i < 10; i++)
		assert_in_range(seen[i], 800, 1200);
}

static void test_error_classes(void **state)
{
	(void)state;
	assert_int_equal(churn_error_class(-ENOMEM), SOAK_ERR_ENOMEM);
	assert_int_equal(churn_error_class(ENOMEM), SOAK_ERR_ENOMEM);
	assert_int_equal(churn_error_class(-EAGAIN), SOAK_ERR_EAGAIN);
	assert_int_equal(churn_error_class(-EEXIST), SOAK_ERR_EEXIST);
	assert_int_equal(churn_error_class(-ENOENT), SOAK_ERR_ENOENT);
	assert_int_equal(churn_error_class(-ETIMEDOUT), SOAK_ERR_ETIMEDOUT);
	assert_int_equal(churn_error_class(-EDEADLK), SOAK_ERR_EDEADLK);
	assert_int_equal(churn_error_class(-EPERM), SOAK_ERR_OTHER);
}

/* Real owners of every type, without any BPF: born, keyed, dead, nothing left behind. */
static void test_owners_live_and_die(void **state)
{
	char cgroups[] = "/tmp/test_churn.XXXXXX"; /* to owners any directory is a cgroup */
	struct places *places;
	struct owner_maker maker = OWNER_MAKER_INIT(NULL);
	struct rng rng = rng_for(5, 5, 5);

	(void)state;
	assert_non_null(mkdtemp(cgroups));
	assert_int_equal(places_new_in(cgroups, true, &places), 0);
	maker.places = places;
	for (unsigned int type = 0; type < OWNER_TYPE_NR; type++) {
		for (unsigned int i = 0; i < 4; i++) {
			struct owner owner;
			int n = owner_new(&maker, type, &rng, &owner);

			/* A machine without IPv6 refuses half of the inet ones. */
			if (n == -EAFNOSUPPORT || n == -EADDRNOTAVAIL)
				continue;
			if (type > OWNER_MEMFD && !places_can_mount(places)) {
				assert_true(n < 0);
				continue;
			}
			assert_in_range(n, 1, type == OWNER_TREE ? OWNER_FDS : 2);
			if (type != OWNER_VFORK && type != OWNER_THREAD)
				assert_true(owner_key(&owner, &rng) >= 0);
			owner_kill(&owner);
			assert_int_equal(owner_key(&owner, &rng), -1);
		}
	}
	owner_maker_done(&maker);
	places_free(places);
	assert_int_equal(rmdir(cgroups), 0);
}

/* One birth in 8 is of a cgroup or an inode, and none of a kind that there is not. */
static void test_kinds_keep_their_shares(void **state)
{
	static const unsigned int both = SOAK_KIND_BIT(SOAK_CGROUP) | SOAK_KIND_BIT(SOAK_INODE);
	unsigned int basic = SOAK_KIND_BIT(SOAK_SK) | SOAK_KIND_BIT(SOAK_TASK);

	(void)state;
	for (unsigned int more = 0; more <= both; more += SOAK_KIND_BIT(SOAK_CGROUP)) {
		struct rng rng = rng_for(6, 6, more);
		unsigned int n[SOAK_KIND_NR] = { 0 };

		for (unsigned int i = 0; i < 8000; i++)
			n[owner_draw_kind(basic | more, &rng)]++;
		assert_in_range(n[SOAK_CGROUP] + n[SOAK_INODE], more ? 800 : 0, more ? 1200 : 0);
		assert_int_equal(!n[SOAK_CGROUP], !(more & SOAK_KIND_BIT(SOAK_CGROUP)));
		assert_int_equal(!n[SOAK_INODE], !(more & SOAK_KIND_BIT(SOAK_INODE)));
		assert_in_range(n[SOAK_SK], 3200, 4300);
		assert_in_range(n[SOAK_TASK], 3200, 4300);
	}
}

static void test_types_are_of_their_kind(void **state)
{
	struct owner_maker maker = OWNER_MAKER_INIT(NULL);
	struct rng rng = rng_for(7, 7, 7);

	(void)state;
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		for (unsigned int i = 0; i < 1000; i++) {
			enum owner_type type = owner_draw_type(&maker, kind, i % 2, &rng);

			assert_int_equal(owner_kind(type), kind);
			if (i % 2)
				assert_int_not_equal(type, OWNER_VFORK);
			/* Nothing can be mounted where there is no place. */
			assert_true(type <= OWNER_MEMFD);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_special_fields_are_zero),
		cmocka_unit_test(test_torn_values_show),
		cmocka_unit_test(test_value_carries_plan_and_role),
		cmocka_unit_test(test_same_seed_same_decisions),
		cmocka_unit_test(test_streams_differ),
		cmocka_unit_test(test_below_is_in_range_and_reaches_all),
		cmocka_unit_test(test_error_classes),
		cmocka_unit_test(test_owners_live_and_die),
		cmocka_unit_test(test_kinds_keep_their_shares),
		cmocka_unit_test(test_types_are_of_their_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
