// SPDX-License-Identifier: GPL-2.0-only
/*
 * The prediction against the algorithm itself (explorer.h): every history of up to two visits of
 * map_free() and one of destroy(), in every order and overlap, with every result of either lock,
 * and no history with more. With --ends it prints what it predicts, for scripts/model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explorer.h"
#include "model.h"
#include "util.h"

#define BIT(n) (1u << (n))

#define MAP_FREE_VISITS 2

/* Of one history, all ends that the exploration has seen. */
struct ends {
	bool seen;
	unsigned int freed;
	unsigned int holes; /* in each of them */
	unsigned int may;   /* in any of them */
};

#define RESULTS 4
static const unsigned char results[RESULTS] = { SOAK_LOCK_OK, SOAK_LOCK_TIMEOUT, SOAK_LOCK_GONE,
						SOAK_LOCK_SKIPPED };

static unsigned int result_index(unsigned int result)
{
	for (unsigned int i = 0; i < RESULTS; i++)
		if (results[i] == result)
			return i;
	fail_msg("no such result: %u", result);
	return 0;
}

/*
 * A history as a number: how many visits of either side, the places of the visits of destroy()
 * among the beginnings and ends of map_free()'s, and the results.
 */
#define PLACES	  (2 * MAP_FREE_VISITS + 1)
#define ORDERS	  (PLACES * PLACES)
#define OUTCOMES  (RESULTS * RESULTS)
#define SHAPES	  ((MAP_FREE_VISITS + 1) * 2)
#define HISTORIES (SHAPES * ORDERS * OUTCOMES * OUTCOMES * OUTCOMES)

struct shape {
	unsigned int n, destroys; /* visits */
	unsigned int begin, end;  /* of destroy(): how many events of map_free() come before */
	unsigned int outcome[3];  /* of map_free()'s two, of destroy()'s */
};

static size_t number_of(const struct shape *h)
{
	size_t number = h->n * 2 + h->destroys;

	number = (number * PLACES + h->begin) * PLACES + h->end;
	for (unsigned int i = 0; i < 3; i++)
		number = number * OUTCOMES + h->outcome[i];
	return number;
}

static bool shape_of(size_t number, struct shape *ret)
{
	for (unsigned int i = 3; i--; number /= OUTCOMES)
		ret->outcome[i] = number % OUTCOMES;
	ret->end = number % PLACES;
	number /= PLACES;
	ret->begin = number % PLACES;
	number /= PLACES;
	ret->destroys = number % 2;
	ret->n = number / 2;
	if (!ret->destroys && (ret->begin || ret->end || ret->outcome[2]))
		return false;
	for (unsigned int i = ret->n; i < MAP_FREE_VISITS; i++)
		if (ret->outcome[i])
			return false;
	return ret->begin <= ret->end && ret->end <= 2 * ret->n;
}

static unsigned int outcome_of(unsigned int bucket, unsigned int storage)
{
	return result_index(bucket) * RESULTS + result_index(storage);
}

static void shape_of_trail(const struct explorer_state *s, struct shape *ret)
{
	const struct explorer_trail *t = &s->trail;
	unsigned int destroy = EXPLORER_VISIT(SOAK_DESTROY, 0);

	*ret = (struct shape){ .n = s->visitor[SOAK_MAP_FREE].visits,
			       .destroys = s->visitor[SOAK_DESTROY].visits };
	for (unsigned int i = 0; i < ret->n; i++) {
		ret->outcome[i] = outcome_of(t->visit[i].bucket, t->visit[i].storage);
		if (!ret->destroys)
			continue;
		ret->begin += t->visit[i].begin < t->visit[destroy].begin;
		ret->begin += t->visit[i].end < t->visit[destroy].begin;
		ret->end += t->visit[i].begin < t->visit[destroy].end;
		ret->end += t->visit[i].end < t->visit[destroy].end;
	}
	if (ret->destroys)
		ret->outcome[2] = outcome_of(t->visit[destroy].bucket, t->visit[destroy].storage);
}

static struct model_visit visit_of(unsigned int side, unsigned int outcome)
{
	return (struct model_visit){ .side = side,
				     .bucket = results[outcome / RESULTS],
				     .storage = results[outcome % RESULTS],
				     .kinds = BIT(FAULT_CONTENDED) };
}

static void history_of_shape(const struct shape *h, struct model_history *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->failed[SOAK_MAP_FREE] = ret->failed[SOAK_DESTROY] = ~0u;
	for (unsigned int i = 0; i < h->n; i++) {
		ret->visit[ret->n] = visit_of(SOAK_MAP_FREE, h->outcome[i]);
		ret->visit[ret->n].begin = 10 * (2 * i + 1);
		ret->visit[ret->n++].end = 10 * (2 * i + 2);
	}
	if (!h->destroys)
		return;
	ret->visit[ret->n] = visit_of(SOAK_DESTROY, h->outcome[2]);
	ret->visit[ret->n].begin = 10 * h->begin + 3;
	ret->visit[ret->n++].end = 10 * h->end + 6;
}

/* What the explorer's end is, in the model's words. */
static unsigned int holes_of_state(const struct explorer_state *s)
{
	unsigned int holes = 0;

	if (!s->selem.frees)
		holes |= BIT(MODEL_SELEM);
	if (!s->storage.frees)
		holes |= BIT(MODEL_STORAGE);
	if (s->selem.frees && (s->selem.in_bucket || s->selem.in_list))
		holes |= BIT(MODEL_LINKED);
	if (!s->selem.fields)
		holes |= BIT(MODEL_FIELDS);
	if (s->storage.charged)
		holes |= BIT(MODEL_CHARGE);
	if (s->storage.refcnt == EXPLORER_SATURATED)
		holes |= BIT(MODEL_REFCNT);
	if (s->storage.dangling)
		holes |= BIT(MODEL_DANGLING);
	return holes;
}

static unsigned int freed_of_state(const struct explorer_state *s)
{
	if (!s->selem.frees)
		return MODEL_BY_NOBODY;
	return s->selem.freed_by == SOAK_MAP_FREE ? MODEL_BY_MAP_FREE : MODEL_BY_DESTROY;
}

static void record_end(struct ends *all, const struct explorer_state *s)
{
	unsigned int holes = holes_of_state(s);
	struct shape shape;
	struct ends *ends;

	shape_of_trail(s, &shape);
	ends = &all[number_of(&shape)];
	ends->holes = ends->seen ? ends->holes & holes : holes;
	ends->seen = true;
	ends->may |= holes;
	ends->freed |= freed_of_state(s);
}

static struct ends *ends_of(const struct explorer *x)
{
	struct ends *all = calloc(HISTORIES, sizeof(*all));

	assert_non_null(all);
	for (size_t i = 0; i < x->n_states; i++)
		if (explorer_is_end(&x->states[i]))
			record_end(all, &x->states[i]);
	return all;
}

static void describe(char *buf, size_t size, const struct shape *h)
{
	size_t used = snprintf(buf, size, "map_free");

	for (unsigned int i = 0; i < h->n; i++)
		used += snprintf(buf + used, size - used, " %u/%u",
				 results[h->outcome[i] / RESULTS],
				 results[h->outcome[i] % RESULTS]);
	if (h->destroys)
		snprintf(buf + used, size - used, ", destroy %u/%u from %u to %u",
			 results[h->outcome[2] / RESULTS], results[h->outcome[2] % RESULTS],
			 h->begin, h->end);
}

static void compare(const struct shape *shape, const struct ends *ends)
{
	struct model_history history;
	struct model_end end;
	char name[128];

	history_of_shape(shape, &history);
	model_predict(&history, &end);
	if (end.possible == ends->seen &&
	    (!ends->seen ||
	     (end.freed == ends->freed && end.holes == ends->holes && end.may == ends->may)))
		return;
	describe(name, sizeof(name), shape);
	fail_msg("%s: predicted %s freed %#x holes %#x may %#x, explored %s %#x %#x %#x", name,
		 end.possible ? "possible" : "impossible", end.freed, end.holes, end.may,
		 ends->seen ? "possible" : "impossible", ends->freed, ends->holes, ends->may);
}

static void test_every_history(void **state)
{
	_cleanup_(explorer_freep) struct explorer *x = explorer_new(true, true, MAP_FREE_VISITS);
	_cleanup_free_ struct ends *all = ends_of(x);
	unsigned int shapes = 0, possible = 0;
	struct shape shape;

	(void)state;
	for (size_t i = 0; i < HISTORIES; i++) {
		if (!shape_of(i, &shape))
			continue;
		assert_int_equal(number_of(&shape), i);
		compare(&shape, &all[i]);
		shapes++;
		possible += all[i].seen;
	}
	print_message("%zu states, %u histories, %u of them possible\n", x->n_states, shapes,
		      possible);
	assert_true(shapes > 60000);
	assert_true(possible > 100);
}

/* Whatever locks fail, these claims stand. The others are broken, and that is known. */
static void test_claims_that_hold(void **state)
{
	_cleanup_(explorer_freep) struct explorer *x = explorer_new(true, false, 3);

	(void)state;
	assert_true(x->n_states > 2000);
	assert_false(x->freed_twice);
	assert_false(x->fields_freed_twice);
	assert_false(x->uncharged_twice);
	assert_false(x->storage_freed_twice);
	assert_false(x->uncharged_without_owner);
}

static unsigned int all_holes(bool faults)
{
	_cleanup_(explorer_freep) struct explorer *x = explorer_new(faults, false, 3);
	unsigned int found = 0, ends = 0;

	for (size_t i = 0; i < x->n_states; i++) {
		if (!explorer_is_end(&x->states[i]))
			continue;
		found |= holes_of_state(&x->states[i]);
		ends++;
	}
	assert_true(ends > 0);
	return found;
}

/* Without a failed lock the algorithm keeps every promise; with them each hole can be reached. */
static void test_holes_need_faults(void **state)
{
	(void)state;
	assert_int_equal(all_holes(false), 0);
	assert_int_equal(all_holes(true), BIT(MODEL_HOLE_NR) - 1);
}

/* One whole visit without the other side. */
static void visit(struct explorer_state *s, unsigned int side, bool fail_bucket, bool fail_storage)
{
	struct explorer_visitor *v = &s->visitor[side];
	struct explorer x = { .faults = true, .map_free_visits = 3 };

	if (side == SOAK_DESTROY)
		assert_true(explorer_advance(&x, s, side, false)); /* it is called */
	assert_true(explorer_advance(&x, s, side, false));
	while (v->step != STEP_WALK) {
		bool fail = (v->step == STEP_LOCK_BUCKET && fail_bucket) ||
			    (v->step == STEP_LOCK_STORAGE && fail_storage);

		assert_true(explorer_advance(&x, s, side, fail));
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
	struct explorer_state bucket = explorer_newborn, list = explorer_newborn;

	(void)state;
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

/*
 * Another: map_free() fails both locks, has to reschedule, and begins its bucket again. smap is
 * NULL by now, so bpf_selem_unlink_storage_nolock_misc() is not called; nevertheless the selem is
 * taken off the list, and the storage freed if it was the last, while the owner lives and points
 * to it.
 */
static void test_storage_freed_under_its_owner(void **state)
{
	struct explorer_state s = explorer_newborn;

	(void)state;
	visit(&s, SOAK_MAP_FREE, true, true);
	visit(&s, SOAK_MAP_FREE, false, false);
	assert_int_equal(s.storage.frees, 1);
	assert_true(s.storage.published);
	assert_false(s.storage.dying);
}

/* What the source does not say: nobody comes by who could free. */
static void test_left_for_nobody(void **state)
{
	struct explorer x = { .faults = true, .map_free_visits = 3 };
	struct explorer_state s = explorer_newborn;

	(void)state;
	visit(&s, SOAK_DESTROY, false, true);
	assert_int_equal(s.selem.frees, 0);
	assert_false(explorer_advance(&x, &s, SOAK_MAP_FREE, false));

	s = explorer_newborn;
	visit(&s, SOAK_MAP_FREE, true, false);
	assert_int_equal(s.selem.frees, 0);
	assert_true(explorer_advance(&x, &s, SOAK_DESTROY, false)); /* called, for an empty list */
	assert_true(explorer_is_end(&s));
}

static struct model_end predict(const struct soak_slot *slot)
{
	struct model_history history;
	struct model_end end;

	model_history_of(slot, &history);
	model_predict(&history, &end);
	return end;
}

static struct soak_visit seen(uint64_t at, unsigned int bucket, unsigned int storage,
			      unsigned int locks, unsigned int kinds)
{
	return (struct soak_visit){ .visits = 1,
				    .entry_ns = at,
				    .duration_us = 10,
				    .bucket = bucket,
				    .storage = storage,
				    .failed = locks,
				    .kinds = kinds };
}

/* What the ledger knows, and whose failure counts. */
static void test_of_slot(void **state)
{
	struct soak_slot slot = { 0 };
	struct model_end end;

	(void)state;
	assert_false(predict(&slot).possible); /* nobody came */

	slot.visit[SOAK_DESTROY] = seen(1000, SOAK_LOCK_OK, SOAK_LOCK_TIMEOUT, SOAK_FAILED_STORAGE,
					BIT(FAULT_ORGANIC));
	end = predict(&slot);
	assert_int_equal(end.freed, MODEL_BY_NOBODY);
	assert_int_equal(end.holes, BIT(MODEL_SELEM) | BIT(MODEL_STORAGE));
	assert_int_equal(end.kind[MODEL_STORAGE], FAULT_ORGANIC);
	assert_int_equal(end.kind[MODEL_FIELDS], FAULT_NR);
	assert_int_equal(end.claim, CLAIM_OTHER_SIDE_COMES);

	/* map_free came before: destroy frees, and the bucket is map_free's failure. */
	slot.visit[SOAK_MAP_FREE] =
		seen(100, SOAK_LOCK_DEADLOCK, SOAK_LOCK_TIMEOUT,
		     SOAK_FAILED_BUCKET | SOAK_FAILED_STORAGE, BIT(FAULT_FORCED));
	slot.visit[SOAK_MAP_FREE].duration_us = 0;
	slot.visit[SOAK_DESTROY].entry_ns = 10000;
	slot.visit[SOAK_DESTROY].bucket = SOAK_LOCK_SKIPPED;
	end = predict(&slot);
	assert_int_equal(end.freed, MODEL_BY_DESTROY);
	assert_int_equal(end.holes, BIT(MODEL_STORAGE) | BIT(MODEL_LINKED) | BIT(MODEL_FIELDS));
	assert_int_equal(end.kind[MODEL_FIELDS], FAULT_FORCED);
	assert_int_equal(end.kind[MODEL_STORAGE], FAULT_ORGANIC);

	/* It came twice, and what its first visit did is known from the bits alone. */
	memset(&slot, 0, sizeof(slot));
	slot.visit[SOAK_MAP_FREE] =
		seen(100, SOAK_LOCK_SKIPPED, SOAK_LOCK_OK, SOAK_FAILED_BUCKET | SOAK_FAILED_STORAGE,
		     BIT(FAULT_CONTENDED));
	slot.visit[SOAK_MAP_FREE].visits = 2;
	end = predict(&slot);
	assert_int_equal(end.freed, MODEL_BY_NOBODY);
	assert_int_equal(end.may & BIT(MODEL_DANGLING), BIT(MODEL_DANGLING));
	slot.visit[SOAK_MAP_FREE].failed = SOAK_FAILED_BUCKET;
	assert_false(predict(&slot).possible);

	/* "ok" by deduction of both sides: one of them found it gone. */
	memset(&slot, 0, sizeof(slot));
	slot.visit[SOAK_MAP_FREE] = seen(1000, SOAK_LOCK_OK, SOAK_LOCK_OK, 0, 0);
	slot.visit[SOAK_DESTROY] = seen(1001, SOAK_LOCK_OK, SOAK_LOCK_OK, 0, 0);
	end = predict(&slot);
	assert_true(end.possible);
	assert_int_equal(end.freed, MODEL_BY_MAP_FREE | MODEL_BY_DESTROY);
	assert_int_equal(end.holes, 0);

	slot.visit[SOAK_DESTROY].storage = SOAK_LOCK_EITHER;
	slot.visit[SOAK_DESTROY].duration_us = 1;
	end = predict(&slot);
	assert_true(end.possible);
	assert_false(end.freed & MODEL_BY_NOBODY);
	assert_true(end.may & BIT(MODEL_REFCNT));
}

static void test_impossible(void **state)
{
	struct soak_slot slot = { .flags = SOAK_FREED_A, .free_by = SOAK_FREE_PROGRAM };

	(void)state;
	assert_int_equal(predict(&slot).freed, MODEL_BY_PROGRAM);
	assert_int_equal(predict(&slot).holes, 0);
	/* Nobody deletes what a side visits. */
	slot.visit[SOAK_DESTROY] = seen(1000, SOAK_LOCK_OK, SOAK_LOCK_OK, 0, 0);
	assert_false(predict(&slot).possible);
	slot.free_by = SOAK_FREE_DESTROY;
	assert_true(predict(&slot).possible);
	/* destroy() walks its list once. */
	slot.visit[SOAK_DESTROY].visits = 2;
	assert_false(predict(&slot).possible);
	assert_int_equal(predict(&slot).claim, CLAIM_AS_WRITTEN);
}

static void test_state_word(void **state)
{
	struct soak_slot slot = { 0 };

	(void)state;
	assert_null(model_state_wrong(&slot));
	slot.visit[SOAK_DESTROY] = seen(1000, SOAK_LOCK_OK, SOAK_LOCK_TIMEOUT, 0, 0);
	assert_non_null(model_state_wrong(&slot));
	slot.visit[SOAK_DESTROY].state = 1;
	assert_non_null(model_state_wrong(&slot));
	for (unsigned int s = 2; s < 8; s++) {
		slot.visit[SOAK_DESTROY].state = s;
		assert_null(model_state_wrong(&slot));
	}
	slot.visit[SOAK_DESTROY].state = 0;
	slot.visit[SOAK_DESTROY].storage = SOAK_LOCK_OK;
	assert_null(model_state_wrong(&slot));
	slot.visit[SOAK_DESTROY].storage = SOAK_LOCK_EITHER;
	assert_null(model_state_wrong(&slot));
	for (unsigned int s = 0; s < 8; s++)
		assert_int_equal(model_state_undecided(s), s == 3);
}

static void check_text(const char *name, const char *text)
{
	assert_true(strlen(name) > 3 && !strpbrk(name, " \n"));
	assert_string_not_equal(name, "unknown");
	assert_true(strlen(text) > 20 && text[strlen(text) - 1] != '.' && !strchr(text, '\n'));
}

static void test_texts(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < CLAIM_NR; i++)
		check_text(model_claim_name(i), model_claim_text(i));
	for (unsigned int i = 0; i < MODEL_HOLE_NR; i++) {
		check_text(model_hole_name(i), model_hole_text(i));
		assert_true(model_hole_claim(i) < CLAIM_NR);
	}
	assert_string_equal(model_claim_name(CLAIM_NR), "unknown");
	assert_string_equal(model_hole_name(MODEL_HOLE_NR), "unknown");
	assert_true(model_hole_is_documented(MODEL_STORAGE));
	assert_true(model_hole_is_documented(MODEL_FIELDS));
	assert_false(model_hole_is_documented(MODEL_SELEM));
	assert_false(model_hole_is_documented(MODEL_LINKED));
}

/* For scripts/model: every end of every possible history, one a line, whatever the order. */

static void print_results(const struct shape *h)
{
	static const char *const names[] = { [SOAK_LOCK_OK] = "ok",
					     [SOAK_LOCK_TIMEOUT] = "failed",
					     [SOAK_LOCK_GONE] = "gone",
					     [SOAK_LOCK_SKIPPED] = "skipped" };

	for (unsigned int i = 0; i < 3; i++) {
		bool visited = i < 2 ? i < h->n : h->destroys;

		printf(i == 2 ? " destroy=" : i ? "," : "map_free=");
		if (visited)
			printf("%s/%s", names[results[h->outcome[i] / RESULTS]],
			       names[results[h->outcome[i] % RESULTS]]);
		else
			printf("-");
	}
}

static void print_holes(unsigned int holes)
{
	const char *separator = "";

	if (!holes)
		printf("none");
	for (unsigned int hole = 0; hole < MODEL_HOLE_NR; hole++) {
		if (!(holes & BIT(hole)))
			continue;
		printf("%s%s", separator, model_hole_name(hole));
		separator = ",";
	}
	printf("\n");
}

static void print_end(const struct shape *shape, const struct model_end *end)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} freed[] = { { MODEL_BY_MAP_FREE, "map_free" },
		      { MODEL_BY_DESTROY, "destroy" },
		      { MODEL_BY_NOBODY, "nobody" } };

	for (size_t i = 0; i < ARRAY_SIZE(freed); i++) {
		if (!(end->freed & freed[i].bit))
			continue;
		printf("END ");
		print_results(shape);
		printf(" freed=%s holes=", freed[i].name);
		print_holes(end->holes);
	}
	if (end->may == end->holes)
		return;
	printf("END ");
	print_results(shape);
	printf(" chance=");
	print_holes(end->may & ~end->holes);
}

static int print_ends(void)
{
	struct model_history history = { .deleted = true };
	struct model_end end;
	struct shape shape;

	model_predict(&history, &end);
	if (end.possible && end.freed == MODEL_BY_PROGRAM)
		printf("END deleted freed=program holes=");
	print_holes(end.holes);
	for (size_t i = 0; i < HISTORIES; i++) {
		if (!shape_of(i, &shape))
			continue;
		history_of_shape(&shape, &history);
		model_predict(&history, &end);
		if (end.possible)
			print_end(&shape, &end);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_history),
		cmocka_unit_test(test_claims_that_hold),
		cmocka_unit_test(test_holes_need_faults),
		cmocka_unit_test(test_freed_while_still_linked),
		cmocka_unit_test(test_storage_freed_under_its_owner),
		cmocka_unit_test(test_left_for_nobody),
		cmocka_unit_test(test_of_slot),
		cmocka_unit_test(test_impossible),
		cmocka_unit_test(test_state_word),
		cmocka_unit_test(test_texts),
	};

	if (argc > 1 && !strcmp(argv[1], "--ends"))
		return print_ends();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
