// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of what bpf_selem_unlink_nofail() can do, held against the algorithm itself: one
 * selem, both sides, every interleaving of their atomic steps, every lock failing or not. The
 * model follows kernel/bpf/bpf_local_storage.c of Linux 7.3 statement by statement; whoever
 * changes the table or the model has to change the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "coverage.h"
#include "util.h"

/* The model. Bytes only: states are compared as memory. */

enum step {
	STEP_WALK, /* between visits: the side finds the selem on its list, or does not */
	STEP_READ_STORAGE,
	STEP_READ_SMAP,
	STEP_LOCK_BUCKET,
	STEP_CLEAR_SMAP,
	STEP_LOCK_STORAGE,
	STEP_CLEAR_STORAGE,
	STEP_SET_BIT,
	STEP_CMPXCHG,
};

struct selem {
	unsigned char in_bucket;
	unsigned char in_list;
	unsigned char smap; /* not NULL */
	unsigned char storage;
	unsigned char bits[SOAK_SIDE_NR]; /* SELEM_MAP_UNLINKED, SELEM_STORAGE_UNLINKED */
	unsigned char tofree;
	unsigned char frees;
};

struct visitor {
	unsigned char step;
	unsigned char visits;
	unsigned char smap; /* as read at entry */
	unsigned char storage;
	unsigned char bucket_result; /* enum soak_lock_result; timeout stands for any failure */
	unsigned char storage_result;
	unsigned char unlink;
};

struct state {
	struct selem selem;
	struct visitor visitor[SOAK_SIDE_NR];
};

/* map_free() walks its bucket again after need_resched(): three visits show all that more can. */
static const unsigned char visits_max[SOAK_SIDE_NR] = { [SOAK_MAP_FREE] = 3, [SOAK_DESTROY] = 1 };

#define STATES_MAX  16384
#define HASH_SIZE   (4 * STATES_MAX)
#define LOCK_FAILED SOAK_LOCK_TIMEOUT

struct exploration {
	bool faults; /* whether locks may fail */
	struct state states[STATES_MAX];
	unsigned int n_states;
	unsigned int hash[HASH_SIZE]; /* index of a state plus one */
	bool reached[SOAK_SIDE_NR][SOAK_LOCK_NR][SOAK_LOCK_NR][SOAK_OUTCOME_NR];
	bool freed_twice;
	bool freed_in_bucket; /* and nobody is left to take it off */
	bool freed_in_list;
};

static void add_state(struct exploration *x, const struct state *s)
{
	const unsigned char *bytes = (const unsigned char *)s;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ bytes[i]) * 16777619u;
	for (h %= HASH_SIZE; x->hash[h]; h = (h + 1) % HASH_SIZE) {
		if (!memcmp(&x->states[x->hash[h] - 1], s, sizeof(*s)))
			return;
	}
	assert_true(x->n_states < STATES_MAX);
	x->states[x->n_states] = *s;
	x->hash[h] = ++x->n_states;
}

static bool begin_visit(const struct selem *selem, struct visitor *v, unsigned int side)
{
	bool linked = side == SOAK_MAP_FREE ? selem->in_bucket : selem->in_list;

	if (!linked || selem->frees || v->visits == visits_max[side])
		return false;
	v->visits++;
	v->step = STEP_READ_STORAGE;
	return true;
}

static void end_visit(struct exploration *x, struct visitor *v, unsigned int side,
		      enum soak_outcome outcome)
{
	unsigned char visits = v->visits;

	x->reached[side][v->bucket_result][v->storage_result][outcome] = true;
	memset(v, 0, sizeof(*v));
	v->visits = visits;
}

/* What is done under a lock is one step: nobody looks at a link without that lock. */
static unsigned char lock_and_unlink(bool attempt, bool fail, unsigned char *linked,
				     unsigned char *unlink)
{
	if (!attempt)
		return SOAK_LOCK_SKIPPED;
	if (fail)
		return LOCK_FAILED;
	if (!*linked)
		return SOAK_LOCK_GONE;
	*linked = 0;
	++*unlink;
	return SOAK_LOCK_OK;
}

/* "if (!err || ...) RCU_INIT_POINTER(..., NULL)", inside "if (pointer)". */
static bool clears(unsigned char result, bool even_failed)
{
	return result != SOAK_LOCK_SKIPPED && (result != LOCK_FAILED || even_failed);
}

static bool can_fail(const struct visitor *v)
{
	return (v->step == STEP_LOCK_BUCKET && v->smap) ||
	       (v->step == STEP_LOCK_STORAGE && v->storage);
}

static void free_selem(struct exploration *x, struct selem *selem)
{
	selem->frees++;
	x->freed_twice = x->freed_twice || selem->frees > 1;
}

/* "if (unlink != 2) atomic_or()", else straight to bpf_selem_free(). */
static void set_bit_or_free(struct exploration *x, struct selem *selem, struct visitor *v,
			    unsigned int side)
{
	if (v->unlink == 2) {
		free_selem(x, selem);
		end_visit(x, v, side, SOAK_FREED_HERE);
		return;
	}
	selem->bits[side] = 1;
	v->step = STEP_CMPXCHG;
}

static void cmpxchg(struct exploration *x, struct selem *selem, struct visitor *v,
		    unsigned int side)
{
	if (!selem->bits[SOAK_MAP_FREE] || !selem->bits[SOAK_DESTROY] || selem->tofree) {
		end_visit(x, v, side, SOAK_LEFT);
		return;
	}
	selem->tofree = 1;
	free_selem(x, selem);
	end_visit(x, v, side, SOAK_FREED_CMPXCHG);
}

/* One atomic step of one side; fail: the lock taken in it fails. False: there is no such step. */
static bool advance(struct exploration *x, struct state *s, unsigned int side, bool fail)
{
	struct visitor *v = &s->visitor[side];
	struct selem *selem = &s->selem;

	if (fail && (!x->faults || !can_fail(v)))
		return false;
	switch (v->step) {
	case STEP_WALK:
		return begin_visit(selem, v, side);
	case STEP_READ_STORAGE:
		v->storage = selem->storage;
		break;
	case STEP_READ_SMAP:
		v->smap = selem->smap;
		break;
	case STEP_LOCK_BUCKET:
		v->bucket_result = lock_and_unlink(v->smap, fail, &selem->in_bucket, &v->unlink);
		break;
	case STEP_CLEAR_SMAP:
		if (clears(v->bucket_result, side == SOAK_MAP_FREE))
			selem->smap = 0;
		break;
	case STEP_LOCK_STORAGE:
		v->storage_result = lock_and_unlink(v->storage, fail, &selem->in_list, &v->unlink);
		break;
	case STEP_CLEAR_STORAGE:
		if (clears(v->storage_result, side == SOAK_DESTROY))
			selem->storage = 0;
		break;
	case STEP_SET_BIT:
		set_bit_or_free(x, selem, v, side);
		return true;
	case STEP_CMPXCHG:
		cmpxchg(x, selem, v, side);
		return true;
	}
	v->step++;
	return true;
}

static void look_at(struct exploration *x, const struct state *s)
{
	if (s->visitor[SOAK_MAP_FREE].step != STEP_WALK ||
	    s->visitor[SOAK_DESTROY].step != STEP_WALK || !s->selem.frees)
		return;
	x->freed_in_bucket = x->freed_in_bucket || s->selem.in_bucket;
	x->freed_in_list = x->freed_in_list || s->selem.in_list;
}

static const struct selem newborn = { .in_bucket = 1, .in_list = 1, .smap = 1, .storage = 1 };

/* The caller frees. */
static struct exploration *explore(bool faults)
{
	struct exploration *x = calloc(1, sizeof(*x));
	struct state first = { .selem = newborn };

	assert_non_null(x);
	x->faults = faults;
	add_state(x, &first);
	for (unsigned int i = 0; i < x->n_states; i++) {
		look_at(x, &x->states[i]);
		for (unsigned int choice = 0; choice < 2 * SOAK_SIDE_NR; choice++) {
			struct state next = x->states[i];

			if (advance(x, &next, choice / 2, choice % 2))
				add_state(x, &next);
		}
	}
	return x;
}

/* What the exploration says of a cell. */
static bool is_reached(const struct exploration *x, const struct coverage_cell *cell)
{
	bool bucket_failed = coverage_is_failure(cell->bucket);
	bool storage_failed = coverage_is_failure(cell->storage);

	if ((bucket_failed || storage_failed) == (cell->kind == SOAK_NO_FAULT))
		return false;
	return x->reached[cell->side][bucket_failed ? LOCK_FAILED : cell->bucket]
			 [storage_failed ? LOCK_FAILED : cell->storage][cell->outcome];
}

static void test_table_is_what_the_algorithm_does(void **state)
{
	_cleanup_free_ struct exploration *x = explore(true);

	(void)state;
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);
		const char *reason = coverage_unreachable(&cell);
		char name[64];

		if (is_reached(x, &cell) == !reason)
			continue;
		coverage_describe(name, sizeof(name), &cell);
		fail_msg("%s, %s: the table says %s", name, cover_kind_name(cell.kind),
			 reason ? reason : "reachable");
	}
}

static void test_nothing_is_freed_twice(void **state)
{
	_cleanup_free_ struct exploration *x = explore(true);

	(void)state;
	assert_true(x->n_states > 2000);
	assert_false(x->freed_twice);
}

/* One whole visit without the other side. */
static void visit(struct state *s, unsigned int side, bool fail_bucket, bool fail_storage)
{
	struct visitor *v = &s->visitor[side];
	struct exploration x = { .faults = true };

	assert_true(advance(&x, s, side, false));
	while (v->step != STEP_WALK) {
		bool fail = (v->step == STEP_LOCK_BUCKET && fail_bucket) ||
			    (v->step == STEP_LOCK_STORAGE && fail_storage);

		assert_true(advance(&x, s, side, fail));
	}
}

/*
 * A finding about the kernel: a selem can be freed while it is still in its bucket. map_free()
 * fails the bucket lock, and with it the storage lock; it clears smap all the same, so destroy()
 * skips the bucket, sees both bits and frees. The bucket now holds freed memory: map_free() walks
 * over it when it begins again after need_resched(), and destroy() of a neighbour writes to it.
 * Likewise a selem that destroy() could not take off the owner's list is freed there by map_free().
 */
static void test_freed_while_still_linked(void **state)
{
	_cleanup_free_ struct exploration *x = explore(true);
	struct state bucket = { .selem = newborn }, list = { .selem = newborn };

	(void)state;
	assert_true(x->freed_in_bucket);
	assert_true(x->freed_in_list);

	visit(&bucket, SOAK_MAP_FREE, true, true);
	assert_int_equal(bucket.selem.frees, 0);
	visit(&bucket, SOAK_DESTROY, false, false);
	assert_int_equal(bucket.selem.frees, 1);
	assert_true(bucket.selem.in_bucket);

	visit(&list, SOAK_DESTROY, true, true);
	assert_int_equal(list.selem.frees, 0);
	visit(&list, SOAK_MAP_FREE, false, false);
	assert_int_equal(list.selem.frees, 1);
	assert_true(list.selem.in_list);
}

/* The two holes that the source warns of: nobody comes by who could free. */
static void test_left_for_nobody(void **state)
{
	struct exploration x = { .faults = true };
	struct state s = { .selem = newborn };

	(void)state;
	visit(&s, SOAK_DESTROY, false, true);
	assert_int_equal(s.selem.frees, 0);
	assert_false(advance(&x, &s, SOAK_MAP_FREE, false));

	s = (struct state){ .selem = newborn };
	visit(&s, SOAK_MAP_FREE, true, false);
	assert_int_equal(s.selem.frees, 0);
	assert_false(advance(&x, &s, SOAK_DESTROY, false));
}

/* Without a fault the two sides meet and nothing is amiss. */
static void test_without_faults(void **state)
{
	_cleanup_free_ struct exploration *x = explore(false);
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	assert_false(x->freed_in_bucket);
	assert_false(x->freed_in_list);
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);

		if (coverage_wanted(s, &cell) != is_reached(x, &cell))
			fail_msg("cell %u is wanted, or reached, but not both", i);
	}
}

static void test_every_reason_is_a_sentence(void **state)
{
	unsigned int reachable = 0;

	(void)state;
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);
		const char *reason = coverage_unreachable(&cell);

		if (!reason) {
			reachable++;
			continue;
		}
		assert_true(strlen(reason) > 20);
		assert_null(strpbrk(reason, "\n\t\"."));
	}
	assert_int_equal(reachable, 26 + FAULT_NR * 60);
}

static void test_cells_are_those_of_the_counters(void **state)
{
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	assert_int_equal(sizeof(s->c.coverage) / sizeof(uint64_t), COVERAGE_CELLS);
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		uint64_t value = i + 1;

		memcpy((char *)s->c.coverage + i * sizeof(value), &value, sizeof(value));
	}
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);

		assert_int_equal(coverage_visits(s, &cell), i + 1);
	}
}

/* What a run can come to depends on the kinds, errors and sites that it was asked for. */
static void test_wanted(void **state)
{
	static const unsigned int all = (1u << SOAK_SITE_NR) - 1;
	static const struct {
		bool kinds[FAULT_NR];
		const char *error;
		unsigned int sites;
		unsigned int reachable[SOAK_COVER_KINDS];
	} cases[] = {
		{ { false }, "either", all, { 0, 0, 0, 20 } },
		{ { [FAULT_ORGANIC] = true }, "", 0, { 26, 0, 0, 26 } },
		{ { [FAULT_ORGANIC] = true }, "either", all, { 26, 0, 0, 26 } },
		{ { [FAULT_CONTENDED] = true }, "timedout", all, { 0, 26, 0, 26 } },
		{ { [FAULT_CONTENDED] = true }, "deadlk", all, { 0, 26, 0, 26 } },
		{ { [FAULT_FORCED] = true }, "either", all, { 0, 0, 60, 26 } },
		{ { [FAULT_FORCED] = true }, "either", 0, { 0, 0, 60, 26 } },
		{ { [FAULT_FORCED] = true }, "", all, { 0, 0, 60, 26 } },
		{ { [FAULT_FORCED] = true }, "timedout", all, { 0, 0, 26, 26 } },
		{ { [FAULT_FORCED] = true },
		  "either",
		  1u << SOAK_SITE_DESTROY_STORAGE,
		  { 0, 0, 12, 26 } },
		{ { [FAULT_FORCED] = true }, "either", 1u << SOAK_SITE_UPDATE, { 0, 0, 0, 26 } },
		{ { true, true, true }, "either", all, { 26, 60, 60, 26 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

		assert_non_null(s);
		memcpy(s->kinds, cases[i].kinds, sizeof(s->kinds));
		strcpy(s->asked_error, cases[i].error);
		s->asked_sites = cases[i].sites;
		for (unsigned int k = 0; k < SOAK_COVER_KINDS; k++) {
			struct coverage_summary summary = coverage_summarize(s, k);

			if (summary.reachable != cases[i].reachable[k])
				fail_msg("case %zu, %s: %u cells", i, cover_kind_name(k),
					 summary.reachable);
			assert_int_equal(summary.covered, 0);
			assert_int_equal(summary.missing, summary.reachable);
		}
	}
}

static void test_which_error_is_wanted(void **state)
{
	struct coverage_cell cell = { SOAK_DESTROY, SOAK_LOCK_OK, SOAK_LOCK_DEADLOCK, SOAK_LEFT,
				      FAULT_FORCED };
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	s->kinds[FAULT_FORCED] = s->kinds[FAULT_ORGANIC] = true;
	strcpy(s->asked_error, "deadlk");
	assert_true(coverage_wanted(s, &cell));
	cell.kind = FAULT_ORGANIC;
	assert_false(coverage_wanted(s, &cell));
	cell.storage = SOAK_LOCK_TIMEOUT;
	assert_true(coverage_wanted(s, &cell));
	cell.kind = FAULT_FORCED;
	assert_false(coverage_wanted(s, &cell));
	cell.bucket = SOAK_LOCK_DEADLOCK;
	assert_false(coverage_wanted(s, &cell));
	strcpy(s->asked_error, "either");
	assert_true(coverage_wanted(s, &cell));
}

static void test_summary_and_missing(void **state)
{
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));
	struct coverage_cell cells[COVERAGE_CELLS];
	struct coverage_summary summary;
	char name[64];

	(void)state;
	assert_non_null(s);
	s->kinds[FAULT_ORGANIC] = true;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_ORGANIC] = 7;
	/* None of these counts: not asked for, not reachable, not to be seen. */
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_FORCED] = 1;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_TIMEOUT][SOAK_LOCK_SKIPPED][SOAK_LEFT]
		     [FAULT_ORGANIC] = 1;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_EITHER][SOAK_LOCK_OK][SOAK_LEFT][SOAK_NO_FAULT] = 1;
	summary = coverage_summarize(s, FAULT_ORGANIC);
	assert_int_equal(summary.reachable, 26);
	assert_int_equal(summary.covered, 1);
	assert_int_equal(summary.missing, 25);
	assert_int_equal(coverage_summarize(s, SOAK_NO_FAULT).covered, 0);
	assert_int_equal(coverage_summarize(s, FAULT_FORCED).reachable, 0);

	assert_int_equal(coverage_missing(s, FAULT_ORGANIC, NULL, 0), 25);
	assert_int_equal(coverage_missing(s, FAULT_ORGANIC, cells, 1), 25);
	coverage_describe(name, sizeof(name), &cells[0]);
	assert_string_equal(name, "map_free ok/timeout freed_by_cmpxchg");
	assert_int_equal(coverage_missing(s, FAULT_ORGANIC, cells, COVERAGE_CELLS), 25);
	for (unsigned int i = 0; i < 25; i++) {
		assert_int_equal(cells[i].kind, FAULT_ORGANIC);
		assert_int_equal(coverage_visits(s, &cells[i]), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_what_the_algorithm_does),
		cmocka_unit_test(test_nothing_is_freed_twice),
		cmocka_unit_test(test_freed_while_still_linked),
		cmocka_unit_test(test_left_for_nobody),
		cmocka_unit_test(test_without_faults),
		cmocka_unit_test(test_every_reason_is_a_sentence),
		cmocka_unit_test(test_cells_are_those_of_the_counters),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_which_error_is_wanted),
		cmocka_unit_test(test_summary_and_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
