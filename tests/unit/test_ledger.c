// SPDX-License-Identifier: GPL-2.0-only
/*
 * How residuals are judged: tables filled by hand stand where the kernel's would be. The ledger's
 * source is included, so that what it asks of programs.h is answered here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ledger.c"

#define SETS 4

static struct soak_set slots[SETS];
static struct soak_storage_set storages[SETS];
static struct soak_fault faults[8];
static size_t n_faults;
static struct soak_map_free map_frees[SOAK_MAP_FREES];
static struct soak_inspect memory;

void programs_counters(const struct programs *programs, struct soak_counters *ret)
{
	(void)programs;
	memset(ret, 0, sizeof(*ret));
	ret->timeouts[SOAK_SITE_DESTROY_STORAGE] = 5;
	ret->double_frees = 2;
	ret->omem_mismatch = 3;
	ret->table_full = 1;
	ret->storage_full = 1;
}

uint64_t programs_misses(const struct programs *programs, uint64_t events, uint64_t *ret_blind)
{
	(void)programs;
	(void)events;
	*ret_blind = 4;
	return 44;
}

const struct soak_set *programs_slots(const struct programs *programs, size_t *ret_sets)
{
	(void)programs;
	*ret_sets = SETS;
	return slots;
}

const struct soak_storage_set *programs_storages(const struct programs *programs, size_t *ret_sets)
{
	(void)programs;
	*ret_sets = SETS;
	return storages;
}

const struct soak_fault *programs_faults(const struct programs *programs, size_t *ret_n)
{
	(void)programs;
	*ret_n = n_faults;
	return faults;
}

const struct soak_map_free *programs_map_frees(const struct programs *programs)
{
	(void)programs;
	return map_frees;
}

int programs_inspect(const struct programs *programs, uint64_t selem, struct soak_inspect *ret)
{
	(void)programs;
	*ret = memory;
	ret->selem = selem;
	return memory.readable ? 0 : -EFAULT;
}

static struct soak_slot *add_selem(void)
{
	struct soak_slot *slot = &slots[1].slot[3];

	slot->key = 0xff001000;
	slot->flags = SOAK_BORN_A | SOAK_BORN_B;
	slot->owner = 0xaa00;
	slot->storage = 0xbb00;
	slot->map_id = 17;
	slot->birth_ns = 1000;
	slot->elem_size = 112;
	return slot;
}

static struct soak_fault *add_fault(uint64_t ns, unsigned int site)
{
	struct soak_fault *fault = &faults[n_faults++];

	*fault = (struct soak_fault){ .ns = ns, .site = (unsigned short)site };
	return fault;
}

static int start(void **state)
{
	(void)state;
	memset(slots, 0, sizeof(slots));
	memset(storages, 0, sizeof(storages));
	memset(faults, 0, sizeof(faults));
	memset(map_frees, 0, sizeof(map_frees));
	memset(&memory, 0, sizeof(memory));
	n_faults = 0;
	return 0;
}

static struct snapshot judged(void)
{
	struct snapshot s = { 0 };

	for (unsigned int o = 0; o < ORACLE_NR; o++)
		s.oracles[o] = ORACLE_LIVE;
	ledger_judge(NULL, false, &s);
	return s;
}

static void expect(const struct snapshot *s, uint64_t holes, uint64_t violations, uint64_t unjudged)
{
	assert_int_equal(s->holes[HOLE_SELEM][FAULT_ORGANIC], holes);
	assert_int_equal(s->violations[VIOLATION_SELEM_LEAK], violations);
	assert_int_equal(s->unjudged, unjudged);
}

static void test_nothing_left(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem()->flags |= SOAK_FREED_B;
	s = judged();
	expect(&s, 0, 0, 0);
}

static void test_leak_without_a_failed_lock(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem();
	s = judged();
	expect(&s, 0, 1, 0);
}

static void test_own_failed_lock_is_a_hole(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem()->visit[SOAK_DESTROY].failed = 1;
	s = judged();
	expect(&s, 1, 0, 0);
}

static void test_owners_failed_lock_is_a_hole(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem();
	add_fault(2000, SOAK_SITE_DESTROY_STORAGE)->owner = 0xaa00;
	s = judged();
	expect(&s, 1, 0, 0);
}

static void test_buckets_failed_lock_is_a_hole(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem();
	add_fault(2000, SOAK_SITE_MAP_FREE_BUCKET)->map_id = 17;
	s = judged();
	expect(&s, 1, 0, 0);
}

/* A storage lock that failed elsewhere in the same map says nothing about this one. */
static void test_unrelated_faults_explain_nothing(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem();
	add_fault(2000, SOAK_SITE_DESTROY_STORAGE)->map_id = 17;
	add_fault(2000, SOAK_SITE_MAP_FREE_BUCKET)->map_id = 18;
	add_fault(2000, SOAK_SITE_DESTROY_STORAGE)->owner = 0xaa01;
	s = judged();
	expect(&s, 0, 1, 0);
}

/* An owner's address is handed out again: what failed before this birth was another owner's. */
static void test_faults_before_birth_explain_nothing(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem();
	add_fault(999, SOAK_SITE_DESTROY_STORAGE)->owner = 0xaa00;
	s = judged();
	expect(&s, 0, 1, 0);
}

static void test_unfinished_visit_is_a_gap(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem()->visit[SOAK_MAP_FREE].pid = 12;
	s = judged();
	expect(&s, 0, 0, 1);
}

/* Both sides raced and one waited long: its lock may have failed. */
static void test_either_is_a_gap(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem()->visit[SOAK_MAP_FREE].bucket = SOAK_LOCK_EITHER;
	s = judged();
	expect(&s, 0, 0, 1);
}

/* The kernel set TOFREE: it did free it, and we did not see that. */
static void test_tofree_is_a_gap(void **state)
{
	struct snapshot s;

	(void)state;
	add_selem();
	memory = (struct soak_inspect){ .readable = 1, .state = 7 };
	memory.value.magic = SOAK_VALUE_MAGIC;
	s = judged();
	expect(&s, 0, 0, 1);
}

/* That programs were skipped somewhere is no excuse for a leak here. */
static void test_skipped_programs_excuse_nothing(void **state)
{
	struct snapshot s = { .frees_blind = 100 };
	struct soak_slot *second = &slots[2].slot[0];

	(void)state;
	*second = *add_selem();
	second->key = 0xff002000;
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		s.oracles[o] = ORACLE_LIVE;
	assert_int_equal(ledger_judge(NULL, false, &s), 2);
	expect(&s, 0, 2, 0);
}

static void test_absent_ledger_judges_nothing(void **state)
{
	struct snapshot s = { 0 };

	(void)state;
	add_selem();
	assert_int_equal(ledger_judge(NULL, false, &s), 0);
	expect(&s, 0, 0, 0);
}

static void test_storages(void **state)
{
	struct soak_storage *storage = &storages[0].slot[7];
	struct snapshot s;

	(void)state;
	*storage = (struct soak_storage){
		.key = 0xbb00, .flags = SOAK_BORN_A, .owner = 0xaa00, .birth_ns = 1000
	};
	s = judged();
	assert_int_equal(s.violations[VIOLATION_STORAGE_LEAK], 1);
	add_fault(2000, SOAK_SITE_DESTROY_STORAGE)->storage = 0xbb00;
	s = judged();
	assert_int_equal(s.violations[VIOLATION_STORAGE_LEAK], 0);
	assert_int_equal(s.holes[HOLE_STORAGE][FAULT_ORGANIC], 1);
	storage->flags |= SOAK_FREED_A;
	s = judged();
	assert_int_equal(s.holes[HOLE_STORAGE][FAULT_ORGANIC], 0);
}

static void test_tables_are_read(void **state)
{
	struct soak_storage *storage = &storages[0].slot[0];
	struct snapshot s = { 0 };

	(void)state;
	add_selem()->visit[SOAK_DESTROY].failed = 1;
	*storage = (struct soak_storage){ .key = 1, .flags = SOAK_BORN_B, .destroy_ns = 1 };
	map_frees[9] = (struct soak_map_free){ .map = 5, .start_ns = 1 };
	ledger_read_tables(NULL, &s);
	assert_int_equal(s.live_selems, 1);
	assert_int_equal(s.live_storages, 1);
	assert_int_equal(s.leaked_bytes, 112);
	assert_true(s.destroy_oldest_ns > 0);
	assert_true(s.map_free_oldest_ns > 0);

	storage->flags |= SOAK_DESTROYED;
	memset(&s, 0, sizeof(s));
	ledger_read_tables(NULL, &s);
	assert_int_equal(s.destroy_oldest_ns, 0);
}

static void test_counters_are_read(void **state)
{
	struct snapshot s = { 0 };

	(void)state;
	ledger_read_counters(NULL, &s);
	assert_int_equal(s.timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_STORAGE], 5);
	assert_int_equal(s.violations[VIOLATION_DOUBLE_FREE], 2);
	assert_int_equal(s.violations[VIOLATION_OMEM], 3);
	assert_int_equal(s.misses[MISS_TABLE_FULL], 2);
	assert_int_equal(s.misses[MISS_RECURSION], 44);
	assert_int_equal(s.frees_blind, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_left, start),
		cmocka_unit_test_setup(test_leak_without_a_failed_lock, start),
		cmocka_unit_test_setup(test_own_failed_lock_is_a_hole, start),
		cmocka_unit_test_setup(test_owners_failed_lock_is_a_hole, start),
		cmocka_unit_test_setup(test_buckets_failed_lock_is_a_hole, start),
		cmocka_unit_test_setup(test_unrelated_faults_explain_nothing, start),
		cmocka_unit_test_setup(test_faults_before_birth_explain_nothing, start),
		cmocka_unit_test_setup(test_unfinished_visit_is_a_gap, start),
		cmocka_unit_test_setup(test_either_is_a_gap, start),
		cmocka_unit_test_setup(test_tofree_is_a_gap, start),
		cmocka_unit_test_setup(test_skipped_programs_excuse_nothing, start),
		cmocka_unit_test_setup(test_absent_ledger_judges_nothing, start),
		cmocka_unit_test_setup(test_storages, start),
		cmocka_unit_test_setup(test_tables_are_read, start),
		cmocka_unit_test_setup(test_counters_are_read, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
