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
#define SOME_MAP 0xffff888004800000

static struct soak_map_free map_frees[SOAK_MAP_FREES];
static struct soak_inspect memory;
static struct soak_inspect_storage storage_memory;
static bool in_a_sheaf;

void programs_counters(const struct programs *programs, struct soak_counters *ret)
{
	(void)programs;
	memset(ret, 0, sizeof(*ret));
	ret->timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_STORAGE] = 5;
	ret->timeouts[FAULT_CONTENDED][SOAK_SITE_UPDATE] = 6;
	ret->timeouts[FAULT_FORCED][SOAK_SITE_LINK_MAP] = 7;
	ret->deadlocks[FAULT_FORCED][SOAK_SITE_MAP_FREE_BUCKET] = 8;
	ret->freed_linked[FAULT_CONTENDED] = 10;
	ret->freed_linked_unexplained = 12;
	ret->faults_lost = 9;
	ret->double_frees = 2;
	ret->storage_freed_twice = 1;
	ret->storage_freed_again = 5;
	ret->omem_mismatch = 3;
	ret->hasty_locks = 6;
	ret->late_uncharges = 7;
	ret->table_full = 1;
	ret->storage_full = 1;
}

void programs_misses(const struct programs *programs, uint64_t frees, uint64_t births,
		     struct programs_misses *ret)
{
	(void)programs;
	(void)frees;
	(void)births;
	*ret = (struct programs_misses){ .total = 44,
					 .frees_blind = 4,
					 .births_blind = 5,
					 .storages_blind = 3,
					 .map_frees_blind = 6 };
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

static struct finding found[8];
static unsigned int n_found;

/* The pointers of the last of them are good until the next judgement. */
void findings_add(struct findings *findings, const struct finding *finding)
{
	(void)findings;
	if (n_found < ARRAY_SIZE(found))
		found[n_found] = *finding;
	n_found++;
}

int programs_inspect(const struct programs *programs, uint64_t selem, struct soak_inspect *ret)
{
	(void)programs;
	*ret = memory;
	ret->selem = selem;
	return memory.readable ? 0 : -EFAULT;
}

int programs_inspect_storage(const struct programs *programs, uint64_t storage,
			     struct soak_inspect_storage *ret)
{
	(void)programs;
	*ret = storage_memory;
	ret->storage = storage;
	return storage_memory.readable ? 0 : -EFAULT;
}

bool programs_is_free(const struct programs *programs, uint64_t address)
{
	(void)programs;
	(void)address;
	return in_a_sheaf;
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
	memset(&storage_memory, 0, sizeof(storage_memory));
	in_a_sheaf = false;
	n_faults = 0;
	n_found = 0;
	return 0;
}

static void look_with_all_oracles(struct snapshot *s)
{
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		s->oracles[o] = ORACLE_LIVE;
}

#define BIT(kind) (1u << (kind))

enum expectation {
	NOTHING,
	HOLE,
	VIOLATION,
	UNJUDGED,
	MISSED,
};

/* What a selem's history looks like besides its birth, and what it is then called. */
struct selem_case {
	const char *what;
	struct soak_visit map_free, destroy;
	struct soak_fault faults[3];
	unsigned int flags;
	struct soak_inspect memory;
	bool faults_lost;
	enum expectation judgement;
	enum fault_kind kind; /* of the hole */
	bool fields;	      /* a hole of its special fields, too */
};

#define FAULT(at, of_site, ...)                        \
	{                                              \
		.ns = at, .site = of_site, __VA_ARGS__ \
	}

/* A visit with its results and what it left in the state word. */
#define VISIT(...) VISITS(1, __VA_ARGS__)
#define VISITS(n, at, of_bucket, of_storage, of_state, ...)                                     \
	{                                                                                       \
		.visits = n, .entry_ns = at, .duration_us = 1, .bucket = SOAK_LOCK_##of_bucket, \
		.storage = SOAK_LOCK_##of_storage, .state = of_state, __VA_ARGS__               \
	}
#define FAILED(locks, of_kinds) .failed = locks, .kinds = of_kinds
#define BUCKET			SOAK_FAILED_BUCKET
#define STORAGE			SOAK_FAILED_STORAGE
#define OURS(of_state, ...)                                                               \
	{                                                                                 \
		.readable = 1, .state = of_state, .value = { .magic = SOAK_VALUE_MAGIC }, \
		__VA_ARGS__                                                               \
	}

static const struct selem_case selem_cases[] = {
	{ "freed", .flags = SOAK_FREED_B, .judgement = NOTHING },
	{ "nothing ever failed", .judgement = VIOLATION },

	/* What its own visits predict. */
	{ "destroy failed the storage lock, and map_free finds nothing in the bucket",
	  .destroy = VISIT(2000, OK, TIMEOUT, 2, FAILED(STORAGE, BIT(FAULT_ORGANIC))),
	  .memory = OURS(2), .judgement = HOLE, .kind = FAULT_ORGANIC },
	{ "map_free failed the bucket lock, and destroy finds nothing on the list",
	  .map_free = VISIT(2000, DEADLOCK, OK, 1, FAILED(BUCKET, BIT(FAULT_CONTENDED))),
	  .memory = OURS(1), .judgement = HOLE, .kind = FAULT_CONTENDED, .fields = true },
	{ "the same, in map_free's second visit",
	  .map_free = VISITS(2, 2000, SKIPPED, OK, 1, FAILED(BUCKET | STORAGE, BIT(FAULT_FORCED))),
	  .judgement = HOLE, .kind = FAULT_FORCED, .fields = true },
	{ "the same, looked at once more",
	  .map_free = VISITS(200, 2000, SKIPPED, SKIPPED, 1, FAILED(BUCKET, BIT(FAULT_FORCED))),
	  .judgement = HOLE, .kind = FAULT_FORCED, .fields = true },
	{ "the worst of one visit",
	  .map_free = VISIT(2000, TIMEOUT, OK, 1,
			    FAILED(BUCKET, BIT(FAULT_ORGANIC) | BIT(FAULT_CONTENDED))),
	  .judgement = HOLE, .kind = FAULT_CONTENDED, .fields = true },
	{ "its own, whatever failed elsewhere",
	  .destroy = VISIT(2000, OK, TIMEOUT, 2, FAILED(STORAGE, BIT(FAULT_ORGANIC))),
	  .faults = { FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .owner = 0xaa00,
			    .kind = FAULT_FORCED) },
	  .judgement = HOLE, .kind = FAULT_ORGANIC },

	/* A lock failed, and that is no excuse. */
	{ "both sides came, and nobody freed",
	  .map_free = VISIT(2000, TIMEOUT, GONE, 3, FAILED(BUCKET, BIT(FAULT_FORCED))),
	  .destroy = VISIT(2000, SKIPPED, OK, 2), .memory = OURS(3), .judgement = VIOLATION },
	{ "the same, with memory that cannot be read",
	  .map_free = VISIT(2000, TIMEOUT, GONE, 3, FAILED(BUCKET, BIT(FAULT_FORCED))),
	  .destroy = VISIT(2000, SKIPPED, OK, 2), .judgement = VIOLATION },
	{ "one after the other, and nobody freed",
	  .map_free = VISIT(2000, OK, TIMEOUT, 1, FAILED(STORAGE, BIT(FAULT_FORCED))),
	  .destroy = VISIT(90000, SKIPPED, OK, 3), .judgement = VIOLATION },
	{ "off both lists, and not freed, though an earlier visit failed",
	  .map_free = VISITS(2, 2000, OK, OK, 0, FAILED(BUCKET, BIT(FAULT_FORCED))),
	  .memory = OURS(0), .judgement = VIOLATION },
	{ "both bits after one visit",
	  .destroy = VISIT(2000, OK, TIMEOUT, 3, FAILED(STORAGE, BIT(FAULT_FORCED))),
	  .memory = OURS(3), .judgement = VIOLATION },
	{ "a side that forgot its bit",
	  .destroy = VISIT(2000, OK, TIMEOUT, 0, FAILED(STORAGE, BIT(FAULT_ORGANIC))),
	  .judgement = VIOLATION },
	{ "a side that set the other's bit",
	  .destroy = VISIT(2000, OK, TIMEOUT, 1, FAILED(STORAGE, BIT(FAULT_ORGANIC))),
	  .judgement = VIOLATION },
	/* destroy() must find it on the list, where map_free() left it. */
	{ "map_free failed the storage lock, and destroy never came",
	  .map_free = VISIT(2000, OK, TIMEOUT, 1, FAILED(STORAGE, BIT(FAULT_ORGANIC))),
	  .memory = OURS(1, .storage_pprev = 1), .judgement = VIOLATION },
	{ "destroy failed the bucket lock, and map_free never came",
	  .destroy = VISIT(2000, TIMEOUT, OK, 2, FAILED(BUCKET, BIT(FAULT_FORCED))),
	  .memory = OURS(2, .map_pprev = 1), .judgement = VIOLATION },
	{ "destroy failed both, and map_free never came",
	  .destroy = VISIT(2000, TIMEOUT, TIMEOUT, 2, FAILED(BUCKET | STORAGE, BIT(FAULT_FORCED))),
	  .judgement = VIOLATION },

	/* Others' faults explain nothing: they do not decide whether this one is freed. */
	{ "its owner's lock", .faults = { FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .owner = 0xaa00) },
	  .judgement = VIOLATION },
	{ "its storage's lock",
	  .faults = { FAULT(2000, SOAK_SITE_MAP_FREE_STORAGE, .storage = 0xbb00,
			    .kind = FAULT_FORCED) },
	  .judgement = VIOLATION },
	{ "its map's bucket lock",
	  .faults = { FAULT(2000, SOAK_SITE_MAP_FREE_BUCKET, .map_id = 17,
			    .kind = FAULT_CONTENDED) },
	  .judgement = VIOLATION },

	/* Gaps in what we saw. */
	{ "an unfinished visit", .map_free = { .pid = 12 }, .judgement = UNJUDGED },
	{ "an unfinished visit, and a hole if it had not been",
	  .destroy = VISIT(2000, OK, TIMEOUT, 2, FAILED(STORAGE, BIT(FAULT_ORGANIC))),
	  .map_free = { .pid = 12 }, .judgement = UNJUDGED },
	/* A bit that none of the visits we know has set. */
	{ "a visit not seen", .memory = OURS(1), .judgement = UNJUDGED },
	/* Somebody cleared smap before the first visit that we know of. */
	{ "a first visit that skips", .map_free = VISIT(2000, SKIPPED, OK, 1), .memory = OURS(1),
	  .judgement = UNJUDGED },
	{ "the same of destroy", .destroy = VISIT(2000, OK, SKIPPED, 2), .memory = OURS(2),
	  .judgement = UNJUDGED },
	/* The visit that we know of left it on a list, and somebody took it off. */
	{ "off its owner's list, and nobody has been there",
	  .map_free = VISIT(2000, OK, TIMEOUT, 1, FAILED(STORAGE, BIT(FAULT_ORGANIC))),
	  .memory = OURS(1), .judgement = UNJUDGED },
	{ "off its bucket, and nobody has been there",
	  .destroy = VISIT(2000, DEADLOCK, OK, 2, FAILED(BUCKET, BIT(FAULT_FORCED))),
	  .memory = OURS(2), .judgement = UNJUDGED },
	/*
	 * Both sides raced and one waited long, so its lock may have failed. Whatever it was, both
	 * came, and one had to free.
	 */
	{ "either", .map_free = VISIT(2000, EITHER, OK, 1), .destroy = VISIT(2000, OK, OK, 0),
	  .judgement = VIOLATION },
	/* The kernel set TOFREE: it did free it, and we did not see that. */
	{ "TOFREE", .memory = OURS(7), .judgement = UNJUDGED },
	/* Its value is not ours any more, or it is on a list that it had left. */
	{ "memory that is another's by now", .memory = { .readable = 1 }, .judgement = UNJUDGED },
	/* Allocated without a value, never linked: what an operation that failed should have freed.
	 */
	{ "never on a list", .memory = { .readable = 1, .smap = SOME_MAP },
	  .judgement = VIOLATION },
	{ "never on a list, with another's value",
	  .memory = { .readable = 1, .smap = SOME_MAP, .value = { .cookie = 5 } },
	  .judgement = UNJUDGED },
	{ "another's value, on a list",
	  .memory = { .readable = 1, .smap = SOME_MAP, .storage_pprev = 1 },
	  .judgement = UNJUDGED },
	{ "left both lists, and on one again", .map_free = VISIT(2000, OK, OK, 0),
	  .memory = OURS(0, .map_pprev = 1), .judgement = MISSED },
	{ "left both lists, and another's by now", .destroy = VISIT(2000, OK, OK, 0),
	  .memory = { .readable = 1 }, .judgement = MISSED },
	{ "left both lists, and not freed", .map_free = VISIT(2000, OK, OK, 0), .memory = OURS(0),
	  .judgement = VIOLATION },
	/* No fault in the log would explain it. */
	{ "faults lost", .faults_lost = true, .judgement = VIOLATION },
	{ "faults lost, and yet explained",
	  .destroy = VISIT(2000, OK, TIMEOUT, 2, FAILED(STORAGE, BIT(FAULT_FORCED))),
	  .faults_lost = true, .judgement = HOLE, .kind = FAULT_FORCED },
};

static void set_scene(const struct selem_case *c)
{
	struct soak_slot *slot = add_selem();

	slot->flags |= c->flags | SOAK_HAS_FIELDS;
	if (c->map_free.failed & SOAK_FAILED_BUCKET)
		slot->flags |= SOAK_BUCKET_FAILED;
	slot->visit[SOAK_MAP_FREE] = c->map_free;
	slot->visit[SOAK_DESTROY] = c->destroy;
	memory = c->memory;
	for (n_faults = 0; n_faults < ARRAY_SIZE(c->faults) && c->faults[n_faults].ns; n_faults++)
		faults[n_faults] = c->faults[n_faults];
}

static void expect_judgement(const struct snapshot *s, const char *what, enum hole_kind hole,
			     enum expectation judgement, enum fault_kind kind)
{
	uint64_t holes = snapshot_total(s->holes[hole], FAULT_NR);
	uint64_t leaks =
		s->violations[hole == HOLE_SELEM ? VIOLATION_SELEM_LEAK : VIOLATION_STORAGE_LEAK];

	if (n_found != (judgement == HOLE || judgement == VIOLATION) ||
	    (n_found && found[0].class == FINDING_VIOLATION) != (judgement == VIOLATION) ||
	    (judgement == HOLE && (found[0].hole != hole || found[0].kind != kind)))
		fail_msg("%s: %u findings, or not the right one", what, n_found);
	if (holes != (judgement == HOLE) || (holes && !s->holes[hole][kind]) ||
	    leaks != (judgement == VIOLATION) || s->unjudged != (judgement == UNJUDGED) ||
	    s->misses[MISS_REBORN] != (judgement == MISSED))
		fail_msg("%s: %llu holes, %llu leaks, %llu unjudged, %llu missed", what,
			 (unsigned long long)holes, (unsigned long long)leaks,
			 (unsigned long long)s->unjudged,
			 (unsigned long long)s->misses[MISS_REBORN]);
}

/* Whose a selem is does not matter: bpf_selem_unlink_nofail() does not look. */
static void test_selems(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(selem_cases) * SOAK_KIND_NR; i++) {
		const struct selem_case *c = &selem_cases[i / SOAK_KIND_NR];
		struct snapshot s = { .misses[MISS_FAULT_LOG] = c->faults_lost };
		uint64_t unexplained;

		start(state);
		set_scene(c);
		slots[1].slot[3].kind = i % SOAK_KIND_NR;
		look_with_all_oracles(&s);
		unexplained = ledger_judge(NULL, false, NULL, &s);
		expect_judgement(&s, c->what, HOLE_SELEM, c->judgement, c->kind);
		if (s.holes[HOLE_FIELDS][c->kind] != c->fields)
			fail_msg("%s: fields", c->what);
		assert_int_equal(unexplained,
				 s.unjudged + snapshot_violations(&s) + s.misses[MISS_REBORN]);
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
	assert_int_equal(ledger_judge(NULL, false, NULL, &s), 2);
	assert_int_equal(s.violations[VIOLATION_SELEM_LEAK], 2);
}

/* What a list of free objects has in the middle of an object, and what a kernel has there. */
static void test_free_memory_is_no_leak(void **state)
{
	static const struct {
		const char *what;
		uint64_t word;
		bool in_a_sheaf;
		bool missed;
	} cases[] = {
		{ "encoded pointer", 0x7eea65628e760a6, false, true },
		{ "map", 0xffff888008533e00, false, false },
		{ "map with five levels", 0xff12e8fcc30a4280, false, false },
		{ "nothing", 0, false, false },
		{ "nothing, in a sheaf", 0, true, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot s = { 0 };
		struct soak_slot *slot;

		start(state);
		slot = add_selem();
		slot->visit[SOAK_DESTROY] = (struct soak_visit){ .visits = 1,
								 .bucket = SOAK_LOCK_OK,
								 .storage = SOAK_LOCK_OK };
		add_storage()->key = 0xcc00;
		memory = (struct soak_inspect){ .readable = 1,
						.smap = cases[i].word,
						.value.magic = SOAK_VALUE_MAGIC };
		storage_memory =
			(struct soak_inspect_storage){ .readable = 1, .first = cases[i].word };
		in_a_sheaf = cases[i].in_a_sheaf;
		look_with_all_oracles(&s);
		assert_int_equal(ledger_judge(NULL, false, NULL, &s), 2);
		if (s.misses[MISS_REBORN] != (cases[i].missed ? 2 : 0) ||
		    s.violations[VIOLATION_SELEM_LEAK] != !cases[i].missed ||
		    s.violations[VIOLATION_STORAGE_LEAK] != !cases[i].missed)
			fail_msg("%s is taken for the other", cases[i].what);
	}
}

static void test_absent_ledger_judges_nothing(void **state)
{
	struct snapshot s = { 0 };

	(void)state;
	add_selem();
	add_storage();
	assert_int_equal(ledger_judge(NULL, false, NULL, &s), 0);
	assert_int_equal(snapshot_violations(&s) + snapshot_holes(&s) + s.unjudged, 0);
}

/* Each kind of owner has a ledger of its own, and is judged if that lives. */
static void test_each_kind_by_its_ledger(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		for (unsigned int o = ORACLE_ABSENT; o <= ORACLE_LIVE; o++) {
			struct snapshot s = { 0 };

			add_selem()->kind = kind;
			look_with_all_oracles(&s);
			s.oracles[snapshot_ledger_of(kind)] = o;
			ledger_judge(NULL, false, NULL, &s);
			assert_int_equal(s.violations[VIOLATION_SELEM_LEAK], o == ORACLE_LIVE);
		}
}

/* What is alive by address; what has gone, or was never born, is not. */
static void test_alive(void **state)
{
	(void)state;
	add_selem();
	assert_true(ledger_is_alive(NULL, 0xff001000));
	assert_false(ledger_is_alive(NULL, 0xbb00));
	add_storage();
	assert_true(ledger_is_alive(NULL, 0xbb00));
	slots[1].slot[3].flags |= SOAK_FREED_B;
	assert_false(ledger_is_alive(NULL, 0xff001000));
	assert_false(ledger_is_alive(NULL, 0));
}

/* A leaked selem with special fields leaks these as well, if map_free failed the bucket lock. */
static void test_fields_of_a_residual(void **state)
{
	struct soak_slot *slot = add_selem();
	struct snapshot s = { 0 };

	(void)state;
	slot->flags |= SOAK_HAS_FIELDS | SOAK_BUCKET_FAILED;
	slot->visit[SOAK_MAP_FREE] =
		(struct soak_visit)VISIT(2000, TIMEOUT, OK, 1, FAILED(BUCKET, BIT(FAULT_ORGANIC)));
	look_with_all_oracles(&s);
	assert_int_equal(ledger_judge(NULL, false, NULL, &s), 0);
	assert_int_equal(s.holes[HOLE_SELEM][FAULT_ORGANIC], 1);
	assert_int_equal(s.holes[HOLE_FIELDS][FAULT_ORGANIC], 1);
	assert_int_equal(snapshot_violations(&s), 0);
	s = (struct snapshot){ .c.refs_stored = 2 };
	look_with_all_oracles(&s);
	ledger_judge(NULL, false, NULL, &s);
	assert_int_equal(s.violations[VIOLATION_REFERENCE], 1);
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
	assert_int_equal(ledger_judge(NULL, true, NULL, &s), 1);
	assert_int_equal(s.violations[VIOLATION_SELEM_LEAK], 1);
}

/* Nobody is left who could hold the lock of a storage that is left. */
static void test_dead_locks(void **state)
{
	static const struct {
		struct soak_inspect_storage memory;
		unsigned int flags;
		uint64_t violations;
	} cases[] = {
		{ { .owner = 0xaa00, .lock = 0x100, .readable = 1 }, 0, 1 },
		{ { .owner = 0xaa00, .lock = 0x100, .readable = 1 }, SOAK_FREED_A, 0 },
		{ { .owner = 0xaa00, .readable = 1 }, 0, 0 },
		{ { .owner = 0xaa01, .lock = 0x100, .readable = 1 }, 0, 0 },
		{ { .owner = 0xaa00, .lock = 0x100 }, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot s = { 0 };
		struct soak_storage *storage;

		start(state);
		storage = add_storage();
		storage->flags |= cases[i].flags;
		storage->fault_kinds = BIT(FAULT_ORGANIC);
		storage_memory = cases[i].memory;
		look_with_all_oracles(&s);
		ledger_judge(NULL, false, NULL, &s);
		assert_int_equal(s.violations[VIOLATION_LOCK], 0);
		ledger_judge(NULL, true, NULL, &s);
		assert_int_equal(s.violations[VIOLATION_LOCK], cases[i].violations);
	}
}

/* What kept a storage may be what we did not see of its selem. */
static void test_storage_of_a_doubtful_selem(void **state)
{
	struct snapshot s = { 0 };

	(void)state;
	add_storage();
	add_selem()->visit[SOAK_MAP_FREE].pid = 12;
	look_with_all_oracles(&s);
	assert_int_equal(ledger_judge(NULL, false, NULL, &s), 2);
	assert_int_equal(s.unjudged, 2);
	assert_int_equal(snapshot_violations(&s), 0);
	slots[1].slot[3].storage = 0xcc00;
	s = (struct snapshot){ 0 };
	look_with_all_oracles(&s);
	ledger_judge(NULL, false, NULL, &s);
	assert_int_equal(s.violations[VIOLATION_STORAGE_LEAK], 1);
}

static void test_storages(void **state)
{
	static const struct {
		const char *what;
		unsigned int kinds, pinned; /* of the faults that marked it */
		struct soak_visit map_free, destroy;
		struct soak_fault fault;
		unsigned int flags;
		bool faults_lost;
		enum expectation judgement;
		enum fault_kind kind;
	} cases[] = {
		{ "freed", .flags = SOAK_FREED_A, .judgement = NOTHING },
		{ "freed in spite of a fault", .pinned = BIT(FAULT_FORCED), .flags = SOAK_FREED_A,
		  .judgement = NOTHING },
		{ "nothing ever failed", .judgement = VIOLATION },
		{ "a lock that leaves the list empty", .kinds = BIT(FAULT_ORGANIC),
		  .judgement = VIOLATION },
		{ "pinned", .pinned = BIT(FAULT_ORGANIC), .judgement = HOLE,
		  .kind = FAULT_ORGANIC },
		{ "the worst pin",
		  .pinned = BIT(FAULT_ORGANIC) | BIT(FAULT_FORCED) | BIT(FAULT_CONTENDED),
		  .judgement = HOLE, .kind = FAULT_FORCED },
		{ "pinned by a selem that is still known", .pinned = BIT(FAULT_CONTENDED),
		  .destroy = VISIT(2000, TIMEOUT, TIMEOUT, 2,
				   FAILED(BUCKET | STORAGE, BIT(FAULT_CONTENDED))),
		  .map_free = VISIT(9000, OK, SKIPPED, 3), .judgement = HOLE,
		  .kind = FAULT_CONTENDED },
		/* map_free() took it off the list, so that was the end of the storage. */
		{ "no pin any more", .pinned = BIT(FAULT_FORCED),
		  .destroy = VISIT(2000, OK, TIMEOUT, 2, FAILED(STORAGE, BIT(FAULT_FORCED))),
		  .map_free = VISIT(2000, GONE, OK, 3),
		  .fault = FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .storage = 0xbb00),
		  .judgement = VIOLATION },
		{ "no pin any more, as far as is known", .pinned = BIT(FAULT_FORCED),
		  .destroy = VISIT(2000, OK, TIMEOUT, 2, FAILED(STORAGE, BIT(FAULT_FORCED))),
		  .map_free = VISIT(2000, GONE, OK, 3),
		  .fault = FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .storage = 0xbb00),
		  .faults_lost = true, .judgement = HOLE, .kind = FAULT_FORCED },
		{ "a neighbour's fault in the log",
		  .fault = FAULT(2000, SOAK_SITE_DESTROY_STORAGE, .owner = 0xaa00),
		  .judgement = VIOLATION },
		{ "faults lost", .faults_lost = true, .judgement = VIOLATION },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot s = { .misses[MISS_FAULT_LOG] = cases[i].faults_lost };
		struct soak_storage *storage;
		struct soak_slot *selem;
		uint64_t unexplained;

		start(state);
		storage = add_storage();
		storage->flags |= cases[i].flags;
		storage->fault_kinds = cases[i].kinds | cases[i].pinned;
		storage->pinned_kinds = cases[i].pinned;
		selem = add_selem();
		selem->flags |= SOAK_FREED_A;
		selem->free_by = SOAK_FREE_MAP_FREE;
		selem->visit[SOAK_MAP_FREE] = cases[i].map_free;
		selem->visit[SOAK_DESTROY] = cases[i].destroy;
		faults[0] = cases[i].fault;
		n_faults = faults[0].ns != 0;
		look_with_all_oracles(&s);
		unexplained = ledger_judge(NULL, false, NULL, &s);
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
	/* Something to be found in either table. */
	s.c.timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_STORAGE] = 1;
	s.c.destroys = 1;
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
	s.c.destroys = 1;
	ledger_read_tables(NULL, &s);
	assert_int_equal(s.destroy_oldest_ns, 0);
}

/* With no failed lock and no destroy() under way the counters say it all. */
static void test_tables_are_left_alone(void **state)
{
	struct snapshot s = { 0 };

	(void)state;
	add_selem();
	add_storage()->destroy_ns = 1;
	s.c.births[SOAK_SK] = 5;
	s.c.frees[SOAK_FREE_DESTROY] = 3;
	s.c.storage_births = 2;
	s.c.storage_frees = 3; /* freed while the counters were added up */
	ledger_read_tables(NULL, &s);
	assert_int_equal(s.live_selems, 2);
	assert_int_equal(s.live_storages, 0);
	assert_int_equal(s.destroy_oldest_ns, 0);
}

static void test_forgotten_storages(void **state)
{
	struct soak_storage *storage = add_storage();

	(void)state;
	assert_int_equal(ledger_forgotten(NULL, SOAK_KINDS_ALL), 1);
	assert_int_equal(ledger_forgotten(NULL, SOAK_KIND_BIT(SOAK_SK)), 1);
	assert_int_equal(ledger_forgotten(NULL, SOAK_KIND_BIT(SOAK_CGROUP)), 0);
	storage->fault_kinds = 1u << FAULT_FORCED;
	assert_int_equal(ledger_forgotten(NULL, SOAK_KINDS_ALL), 0);
	assert_int_equal(ledger_undestroyed(NULL, SOAK_KIND_BIT(SOAK_SK)), 1);
	storage->fault_kinds = 0;
	storage->destroy_ns = 1;
	assert_int_equal(ledger_forgotten(NULL, SOAK_KINDS_ALL), 0);
	assert_int_equal(ledger_undestroyed(NULL, SOAK_KINDS_ALL), 0);
	storage->destroy_ns = 0;
	storage->flags |= SOAK_FREED_A;
	assert_int_equal(ledger_forgotten(NULL, SOAK_KINDS_ALL), 0);
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
	/* Of five at which there was no owner, three may have been others. */
	assert_int_equal(s.violations[VIOLATION_STORAGE_DOUBLE_FREE], 1 + 5 - 3);
	assert_int_equal(s.violations[VIOLATION_OMEM], 3);
	assert_int_equal(s.violations[VIOLATION_LOCK], 6);
	assert_int_equal(s.violations[VIOLATION_OWNER], 7);
	assert_int_equal(s.holes[HOLE_LINKED][FAULT_CONTENDED], 10);
	assert_int_equal(s.violations[VIOLATION_FREED_LINKED], 12);
	assert_int_equal(s.misses[MISS_TABLE_FULL], 2);
	assert_int_equal(s.misses[MISS_RECURSION], 44);
	assert_int_equal(s.frees_blind, 4);
	assert_int_equal(s.map_frees_blind, 6);
}

static bool takes_a_place(unsigned int pid)
{
	for (unsigned int way = 0; way < SOAK_MAP_FREE_WAYS; way++) {
		struct soak_map_free *entry = &map_frees[SOAK_MAP_FREE_PLACE(pid, way)];

		if (entry->pid)
			continue;
		entry->pid = pid;
		return true;
	}
	return false;
}

/* As kworkers come: some hundred at once, and as many a table's length of pids later. */
static void test_rows_of_workers_find_room(void **state)
{
	(void)state;
	for (unsigned int row = 1; row <= 3; row++)
		for (unsigned int i = 0; i < 300; i++)
			assert_true(takes_a_place(row * SOAK_MAP_FREES + i));
	memset(map_frees, 0, sizeof(map_frees));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_selems, start),
		cmocka_unit_test_setup(test_dead_locks, start),
		cmocka_unit_test_setup(test_storage_of_a_doubtful_selem, start),
		cmocka_unit_test_setup(test_storages, start),
		cmocka_unit_test_setup(test_skipped_programs_excuse_nothing, start),
		cmocka_unit_test_setup(test_free_memory_is_no_leak, start),
		cmocka_unit_test_setup(test_absent_ledger_judges_nothing, start),
		cmocka_unit_test_setup(test_each_kind_by_its_ledger, start),
		cmocka_unit_test_setup(test_alive, start),
		cmocka_unit_test_setup(test_fields_of_a_residual, start),
		cmocka_unit_test_setup(test_verbose, start),
		cmocka_unit_test_setup(test_tables_are_read, start),
		cmocka_unit_test_setup(test_tables_are_left_alone, start),
		cmocka_unit_test_setup(test_forgotten_storages, start),
		cmocka_unit_test_setup(test_counters_are_read, start),
		cmocka_unit_test_setup(test_rows_of_workers_find_room, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
