// SPDX-License-Identifier: GPL-2.0-only
/* Known values of a few owners: see batch.h. */
#include "batch.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "../churn.h"
#include "../log.h"
#include "../pool.h"
#include "../worker.h"

#define OWNER_SHIFT 16
#define NUMBERS	    0xffu /* of owners */
#define TURNS	    0xffffu
#define BASE	    (~(uint64_t)(NUMBERS << OWNER_SHIFT | TURNS))

_Static_assert(BATCH_OWNERS <= NUMBERS, "a cookie has room for their numbers");

static uint64_t cookie_of(const struct batch *batch, unsigned int i, unsigned int turn)
{
	return batch->base | (uint64_t)i << OWNER_SHIFT | turn;
}

uint64_t batch_cookie(const struct batch *batch, unsigned int i)
{
	return batch->values[i].stored ? cookie_of(batch, i, batch->values[i].stored) : 0;
}

int batch_new(struct pool *pool, enum soak_kind kind, unsigned int shape, struct rng *rng,
	      struct batch *ret)
{
	int fd = pool_new_map(pool, kind, shape);

	if (fd < 0)
		return fd;
	*ret = (struct batch){
		.map = fd,
		.kind = kind,
		.shape = shape,
		.size = programs_value_size(shape),
		.base = rng_next(rng) & BASE,
	};
	return 0;
}

void batch_drop(struct batch *batch, struct pool *pool)
{
	if (batch->map >= 0)
		pool_close_map(pool, TAKE_FD(batch->map));
}

static int note(struct batch *batch, int r)
{
	if (!r)
		return 0;
	batch->refused[churn_error_class(r)]++;
	if (!worker_may_refuse(r))
		batch->wrong = r;
	return r;
}

int batch_put(struct batch *batch, unsigned int i, int key)
{
	unsigned int turn = batch->values[i].tried + 1;
	unsigned char value[VALUE_MAX];
	uint64_t flags = BPF_ANY;
	int r;

	churn_make_value(value, batch->size, cookie_of(batch, i, turn), 0, SOAK_ROLE_NONE);
	/* Before: whoever finds it must find it allowed. */
	__atomic_store_n(&batch->values[i].tried, turn, __ATOMIC_SEQ_CST);
	if (batch->in_place && turn % 2)
		flags = worker_lookup_flags(batch->size);
	r = bpf_map_update_elem(batch->map, &key, value, flags) < 0 ? -errno : 0;
	if (r)
		return note(batch, r);
	batch->values[i].stored = turn;
	batch->updates++;
	return 0;
}

int batch_take(struct batch *batch, unsigned int i, int key)
{
	int r = bpf_map_delete_elem(batch->map, &key) < 0 ? -errno : 0;

	if (r == -ENOENT && !batch->values[i].stored)
		return r;
	if (r)
		return note(batch, r);
	batch->values[i].stored = 0;
	batch->deletes++;
	return 0;
}

void batch_count(struct batch *batch, struct worker *w)
{
	bump(&w->updates, batch->updates);
	bump(&w->deletes, batch->deletes);
	for (unsigned int e = 0; e < SOAK_ERR_NR; e++)
		bump(&w->syscall_errors[e], batch->refused[e]);
	if (batch->wrong)
		worker_accuse(w, "an update or delete of a living owner's value: %s",
			      strerror(-batch->wrong));
	batch->updates = batch->deletes = 0;
	memset(batch->refused, 0, sizeof(batch->refused));
	batch->wrong = 0;
}

void batch_mask(const struct batch *batch, void *value)
{
	unsigned char *bytes = value;

	if (batch->size == SOAK_SIZE_FIELDS)
		memset(bytes + SOAK_FIELDS_BEGIN, 0, SOAK_FIELDS_END - SOAK_FIELDS_BEGIN);
	if (batch->size == SOAK_SIZE_REF)
		memset(bytes + SOAK_FIELDS_REF, 0, SOAK_FIELDS_END - SOAK_FIELDS_REF);
}

bool batch_is_whole(const struct batch *batch, struct worker *w, const void *value, const char *who)
{
	bump(&w->lookups, 1);
	if (churn_value_is_whole(value, batch->size))
		return true;
	bump(&w->torn_values, 1);
	log_error("worker %u: a value that is not whole appeared to %s", w->index, who);
	return false;
}

int batch_judge(const struct batch *batch, struct worker *w, const void *value, const char *who)
{
	unsigned int i, turn;
	struct soak_value head;

	if (!batch_is_whole(batch, w, value, who))
		return -1;
	memcpy(&head, value, sizeof(head));
	i = head.cookie >> OWNER_SHIFT & NUMBERS;
	turn = head.cookie & TURNS;
	if ((head.cookie & BASE) == batch->base && i < BATCH_OWNERS && turn &&
	    turn <= __atomic_load_n(&batch->values[i].tried, __ATOMIC_SEQ_CST))
		return (int)i;
	worker_accuse(w, "a value that was never stored in this map appeared to %s", who);
	return -1;
}

bool batch_judge_key(const struct batch *batch, struct worker *w, unsigned int i, int key,
		     const char *who)
{
	unsigned char value[VALUE_MAX];
	uint64_t cookie = batch_cookie(batch, i);

	if (!cookie)
		return worker_judge_gone(w, batch->map, key);
	churn_make_value(value, batch->size, cookie, 0, SOAK_ROLE_NONE);
	return worker_judge(w, batch->map, key, value, batch->size, who);
}
