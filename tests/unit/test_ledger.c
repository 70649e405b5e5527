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
	ret->timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_STORAGE] = 5;
	ret->timeouts[FAULT_CONTENDED][SOAK_SITE_UPDATE] = 6;
	ret->timeouts[FAULT_FORCED][SOAK_SITE_LINK_MAP] = 7;
	ret->deadlocks[FAULT_FORCED][SOAK_SITE_MAP_FREE_BUCKET] = 8;
	ret->faults_lost = 9;
	ret->double_frees = 2;
	ret->omem_mismatch = 3;
	ret->table_full = 1;
	ret->storage_full = 1;
}

void programs_misses(const struct programs *programs, uint64_t frees, uint64_t births,
		     struct programs_misses *ret)
{
	(void)programs;
	(void)frees;
	(void)births;
	*ret = (struct programs_misses){ .total = 44, .frees_blind = 4, .births_blind = 5 };
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

static struct soak_storage *add_storage(void)
{
	struct soak_storage *storage = &storages[0].slot[7];

	*storage = (struct soak_storage){
		.key = 0xbb00, .flags = SOAK_BORN_A, .owner = 0xaa00, .birth_ns = 1000
	};
	return storage;
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

static void look_with_all_oracles(struct snapshot *s)
{
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		s->oracles[o] = ORACLE_LIVE;
}

#define BIT(kind) (1u << (kind))

enum judgement {
	NOTHING,
	HOLE,
	VIOLATION,
	UNJUDGED,
};

/* What a selem's history looks like besides its birth, and what it is then called. */
struct selem_case {
	const char *what;
	struct soak_visit map_free, destroy;
	struct soak_fault faults[3];
	unsigned int flags;
	struct soak_inspect memory;
	bool faults_lost;
	enum judgement judgement;
	enum fault_kind kind; /* of the hole */
};

#define FAULT(at, of_site, ...)                        \
	{                                              \
		.ns = at, .site = of_site, __VA_ARGS__ \
	}

static const struct selem_case selem_cases[] = {
	{ "freed", .flags = SOAK_FREED_B, .judgement = NOTHING },
	{ "nothing ever failed", .judgement = VIOLATION },

	/* Its own visits. */
	{ "a failed destroy", .destroy = { .failed = 1, .kinds = BIT(FAULT_ORGANIC) },
	  .judgement = HOLE, .kind = FAULT_ORGANIC },
	{ "a failed map_free, contended",
	  .map_free = { .failed = 1, .kinds = BIT(FAULT_CONTENDED) }, .judgement = HOLE,
	  .kind = FAULT_CONTENDED },
	{ "the worst of one visit",
	  .map_free = { .failed = 1, .kinds = BIT(FAULT_ORGANIC) | BIT(FAULT_CONTENDED) },
	  .judgement = HOLE, .kind = FAULT_CONTENDED },
	{ "the worst of both visits",
	  .map_free = { .failed = 1, .kinds = BIT(FAULT_ORGANIC) | BIT(FAULT_CONTENDED) },
	  .destroy = { .failed = 1, .kinds = BIT(FAULT_FORCED) }, .judgement = HOLE,
	  .kind = FAULT_FORCED },
	{ "its own before others'", .destroy = { .failed = 1, .kinds = BIT(FAULT_ORGANIC) },
	  .faults = { FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .owner = 0xaa00,
			    .kind = FAULT_FORCED) },
	  .judgement = HOLE, .kind = FAULT_ORGANIC },

	/* Others' faults. */
	{ "its owner's lock", .faults = { FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .owner = 0xaa00) },
	  .judgement = HOLE, .kind = FAULT_ORGANIC },
	{ "its storage's lock",
	  .faults = { FAULT(2000, SOAK_SITE_MAP_FREE_STORAGE, .storage = 0xbb00,
			    .kind = FAULT_FORCED) },
	  .judgement = HOLE, .kind = FAULT_FORCED },
	{ "its map's bucket lock",
	  .faults = { FAULT(2000, SOAK_SITE_MAP_FREE_BUCKET, .map_id = 17,
			    .kind = FAULT_CONTENDED) },
	  .judgement = HOLE, .kind = FAULT_CONTENDED },
	/* A storage lock that failed elsewhere in the same map says nothing about this one. */
	{ "unrelated",
	  .faults = { FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .map_id = 17),
		      FAULT(2000, SOAK_SITE_MAP_FREE_BUCKET, .map_id = 18),
		      FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .owner = 0xaa01) },
	  .judgement = VIOLATION },
	/* An owner's address is handed out again: it was another owner's. */
	{ "before its birth", .faults = { FAULT(999, SOAK_SITE_DESTROY_STORAGE, .owner = 0xaa00) },
	  .judgement = VIOLATION },

	/* Gaps in what we saw. */
	{ "an unfinished visit", .map_free = { .pid = 12 }, .judgement = UNJUDGED },
	/* Both sides raced and one waited long: its lock may have failed. */
	{ "either", .map_free = { .bucket = SOAK_LOCK_EITHER }, .judgement = UNJUDGED },
	{ "either, the other lock", .destroy = { .storage = SOAK_LOCK_EITHER },
	  .judgement = UNJUDGED },
	/* The kernel set TOFREE: it did free it, and we did not see that. */
	{ "TOFREE", .memory = { .readable = 1, .state = 7, .value = { .magic = SOAK_VALUE_MAGIC } },
	  .judgement = UNJUDGED },
	/* Its value is not ours any more, or it is on a list that it had left. */
	{ "memory that is another's by now", .memory = { .readable = 1 }, .judgement = UNJUDGED },
	{ "left both lists, and on one again",
	  .map_free = { .visits = 1, .bucket = SOAK_LOCK_OK, .storage = SOAK_LOCK_OK },
	  .memory = { .readable = 1, .map_pprev = 1, .value = { .magic = SOAK_VALUE_MAGIC } },
	  .judgement = UNJUDGED },
	{ "left both lists, and not freed",
	  .map_free = { .visits = 1, .bucket = SOAK_LOCK_OK, .storage = SOAK_LOCK_OK },
	  .memory = { .readable = 1, .value = { .magic = SOAK_VALUE_MAGIC } },
	  .judgement = VIOLATION },
	/* The fault that would explain it may be among those that found no room. */
	{ "faults lost", .faults_lost = true, .judgement = UNJUDGED },
	{ "faults lost, and yet explained", .destroy = { .failed = 1, .kinds = BIT(FAULT_FORCED) },
	  .faults_lost = true, .judgement = HOLE, .kind = FAULT_FORCED },
};

static void set_scene(const struct selem_case *c)
{
	struct soak_slot *slot = add_selem();

	slot->flags |= c->flags;
	slot->visit[SOAK_MAP_FREE] = c->map_free;
	slot->visit[SOAK_DESTROY] = c->destroy;
	memory = c->memory;
	for (n_faults = 0; n_faults < ARRAY_SIZE(c->faults) && c->faults[n_faults].ns; n_faults++)
		faults[n_faults] = c->faults[n_faults];
}

static void expect_judgement(const struct snapshot *s, const char *what, enum hole_kind hole,
			     enum judgement judgement, enum fault_kind kind)
{
	uint64_t holes = snapshot_total(s->holes[hole], FAULT_NR);
	uint64_t leaks =
		s->violations[hole == HOLE_SELEM ? VIOLATION_SELEM_LEAK : VIOLATION_STORAGE_LEAK];

	if (holes != (judgement == HOLE) || (holes && !s->holes[hole][kind]) ||
	    leaks != (judgement == VIOLATION) || s->unjudged != (judgement == UNJUDGED))
		fail_msg("%s: %llu holes, %llu leaks, %llu unjudged", what,
			 (unsigned long long)holes, (unsigned long long)leaks,
			 (unsigned long long)s->unjudged);
}

static void test_selems(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(selem_cases); i++) {
		const struct selem_case *c = &selem_cases[i];
		struct snapshot s = { .misses[MISS_FAULT_LOG] = c->faults_lost };
		uint64_t unexplained;

		start(state);
		set_scene(c);
		look_with_all_oracles(&s);
		unexplained = ledger_judge(NULL, false, &s);
		expect_judgement(&s, c->what, HOLE_SELEM, c->judgement, c->kind);
		assert_int_equal(unexplained, s.unjudged + snapshot_violations(&s));
	}
}

/* That programs were skipped somewhere is no excuse for a leak here. */
static void test_skipped_programs_excuse_nothing(void **state)
{
	struct snapshot s = { .frees_blind = 100 };
	struct soak_slot *second = &slots[2].slot[0];

	(void)state;
	*second = *add_selem();
	second->key = 0xff002000;
	look_with_all_oracles(&s);
	assert_int_equal(ledger_judge(NULL, false, &s), 2);
	assert_int_equal(s.violations[VIOLATION_SELEM_LEAK], 2);
}

static void test_absent_ledger_judges_nothing(void **state)
{
	struct snapshot s = { 0 };

	(void)state;
	add_selem();
	add_storage();
	assert_int_equal(ledger_judge(NULL, false, &s), 0);
	assert_int_equal(snapshot_violations(&s) + snapshot_holes(&s) + s.unjudged, 0);
}

/* Histories and examples are for people; that they are written must not change the judgement. */
static void test_verbose(void **state)
{
	struct soak_slot *handed_over = &slots[3].slot[1];
	struct snapshot s = { 0 };

	(void)state;
	*handed_over = *add_selem();
	handed_over->key = 0xff003000;
	handed_over->flags |= SOAK_FREED_A;
	handed_over->free_by = SOAK_FREE_DESTROY;
	handed_over->visit[SOAK_DESTROY] = (struct soak_visit){ .visits = 1, .entry_ns = 3000 };
	handed_over->visit[SOAK_MAP_FREE] = (struct soak_visit){
		.visits = 1, .entry_ns = 2000, .failed = 1, .kinds = BIT(FAULT_FORCED)
	};
	memory.readable = 1;
	memory.value.magic = SOAK_VALUE_MAGIC;
	look_with_all_oracles(&s);
	assert_int_equal(ledger_judge(NULL, true, &s), 1);
	assert_int_equal(s.violations[VIOLATION_SELEM_LEAK], 1);
}

static void test_storages(void **state)
{
	static const struct {
		const char *what;
		unsigned int kinds; /* of the faults that marked it */
		struct soak_fault fault;
		unsigned int flags;
		bool faults_lost;
		enum judgement judgement;
		enum fault_kind kind;
	} cases[] = {
		{ "freed", .flags = SOAK_FREED_A, .judgement = NOTHING },
		{ "freed in spite of a fault", .kinds = BIT(FAULT_FORCED), .flags = SOAK_FREED_A,
		  .judgement = NOTHING },
		{ "nothing ever failed", .judgement = VIOLATION },
		{ "marked", .kinds = BIT(FAULT_ORGANIC), .judgement = HOLE, .kind = FAULT_ORGANIC },
		{ "the worst mark",
		  .kinds = BIT(FAULT_ORGANIC) | BIT(FAULT_FORCED) | BIT(FAULT_CONTENDED),
		  .judgement = HOLE, .kind = FAULT_FORCED },
		{ "its lock in the log",
		  .fault = FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .storage = 0xbb00,
				 .kind = FAULT_CONTENDED),
		  .judgement = HOLE, .kind = FAULT_CONTENDED },
		{ "its owner's lock in the log",
		  .fault = FAULT(2000, SOAK_SITE_CACHE, .owner = 0xaa00), .judgement = HOLE,
		  .kind = FAULT_ORGANIC },
		{ "another's, of no map",
		  .fault = FAULT(2000, SOAK_SITE_MAP_FREE_BUCKET, .owner = 0xaa01),
		  .judgement = VIOLATION },
		{ "faults lost", .faults_lost = true, .judgement = UNJUDGED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot s = { .misses[MISS_FAULT_LOG] = cases[i].faults_lost };
		struct soak_storage *storage;
		uint64_t unexplained;

		start(state);
		storage = add_storage();
		storage->flags |= cases[i].flags;
		storage->fault_kinds = cases[i].kinds;
		faults[0] = cases[i].fault;
		n_faults = faults[0].ns != 0;
		look_with_all_oracles(&s);
		unexplained = ledger_judge(NULL, false, &s);
		expect_judgement(&s, cases[i].what, HOLE_STORAGE, cases[i].judgement,
				 cases[i].kind);
		assert_int_equal(unexplained, s.unjudged + snapshot_violations(&s));
	}
}

static void test_tables_are_read(void **state)
{
	struct soak_storage *storage = add_storage();
	struct snapshot s = { 0 };

	(void)state;
	add_selem()->visit[SOAK_DESTROY].failed = 1;
	storage->destroy_ns = 1;
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
	assert_int_equal(s.timeouts[FAULT_CONTENDED][SOAK_SITE_UPDATE], 6);
	assert_int_equal(s.timeouts[FAULT_FORCED][SOAK_SITE_LINK_MAP], 7);
	assert_int_equal(snapshot_timeouts(&s), 5 + 6 + 7);
	assert_int_equal(s.deadlocks[FAULT_FORCED][SOAK_SITE_MAP_FREE_BUCKET], 8);
	assert_int_equal(snapshot_deadlocks(&s), 8);
	assert_int_equal(s.misses[MISS_FAULT_LOG], 9);
	assert_int_equal(s.violations[VIOLATION_DOUBLE_FREE], 2);
	assert_int_equal(s.violations[VIOLATION_OMEM], 3);
	assert_int_equal(s.misses[MISS_TABLE_FULL], 2);
	assert_int_equal(s.misses[MISS_RECURSION], 44);
	assert_int_equal(s.frees_blind, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_selems, start),
		cmocka_unit_test_setup(test_storages, start),
		cmocka_unit_test_setup(test_skipped_programs_excuse_nothing, start),
		cmocka_unit_test_setup(test_absent_ledger_judges_nothing, start),
		cmocka_unit_test_setup(test_verbose, start),
		cmocka_unit_test_setup(test_tables_are_read, start),
		cmocka_unit_test_setup(test_counters_are_read, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
