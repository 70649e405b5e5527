// SPDX-License-Identifier: GPL-2.0-only
/* What a worker can do to a map, and how it judges what it finds there: see worker.h. */
#include "worker.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "partner.h"
#include "pool.h"
#include "reader.h"
#include "util.h"

#define READER_STEP_NS \
	(60 * NSEC_PER_MSEC) /* a worker's pause between two questions to the reader */
#define WATCH_STEP_NS (250 * NSEC_PER_MSEC)
#define WATCH_UPDATES 16
#define SAID_MOST     20 /* bad values that a worker tells of in words */

void worker_took_effect(struct worker *w)
{
	bump(&w->ops, 1);
	__atomic_store_n(&w->progress_ns, now_ns(), __ATOMIC_RELAXED);
}

void worker_refused(struct worker *w, int error)
{
	bump(&w->syscall_errors[churn_error_class(error)], 1);
}

bool worker_may_refuse(int error)
{
	return error == -ENOMEM || error == -EAGAIN || error == -ETIMEDOUT || error == -EDEADLK;
}

void worker_accuse(struct worker *w, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	if (w->bad_values < SAID_MOST)
		log_error("worker %u: %s%s", w->index, text ? text : fmt,
			  w->bad_values + 1 == SAID_MOST ? " (further ones are only counted)" : "");
	if (!w->accused_ns) {
		snprintf(w->accusation, sizeof(w->accusation), "worker %u: %s", w->index,
			 text ? text : fmt);
		__atomic_store_n(&w->accused_ns, now_ns(), __ATOMIC_RELEASE);
	}
	bump(&w->bad_values, 1);
}

/* Each lie is told once, by whoever comes first. */
bool worker_lies(struct worker *w, enum soak_lie lie)
{
	enum soak_lie expected = lie;

	return lie == __atomic_load_n(&w->options->lie, __ATOMIC_RELAXED) &&
	       __atomic_compare_exchange_n(&w->options->lie, &expected, SOAK_LIE_NONE, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Of values with a spin lock a look-up under that lock is whole at any time. */
uint64_t worker_lookup_flags(size_t size)
{
	return size == SOAK_SIZE_FIELDS ? BPF_F_LOCK : 0;
}

static bool judge_found(struct worker *w, int r, const unsigned char *found,
			const unsigned char *stored, size_t size, const char *who)
{
	if (!r && churn_value_is(found, stored, size))
		return true;
	if (r)
		worker_accuse(w, "a value stored a moment ago is gone for %s: %s", who,
			      strerror(-r));
	else
		worker_accuse(w, "a value stored a moment ago reads back different for %s", who);
	return false;
}

bool worker_judge(struct worker *w, int map, int key, const unsigned char *stored, size_t size,
		  const char *who)
{
	unsigned char found[VALUE_MAX];
	int r = bpf_map_lookup_elem_flags(map, &key, found, worker_lookup_flags(size)) ? -errno : 0;

	bump(&w->lookups, 1);
	return judge_found(w, r, found, stored, size, who);
}

/* The same in another process. */
static void verify_elsewhere(struct worker *w, int map, int key, const unsigned char *stored,
			     size_t size)
{
	unsigned char found[VALUE_MAX];
	int r;

	if (!w->options->reader || now_ns() < w->next_read_ns)
		return;
	w->next_read_ns = now_ns() + READER_STEP_NS;
	r = reader_read(w->options->reader, map, key, size, worker_lookup_flags(size), found);
	if (r == -EBUSY || r == -EPIPE)
		return;
	if (!r && worker_lies(w, SOAK_LIE_READER))
		found[0] ^= 1;
	bump(&w->reader_lookups, 1);
	judge_found(w, r, found, stored, size, "another process");
}

/*
 * What was deleted is gone. The look-up before puts it into the owner's cache, from where the
 * deletion must take it too (bpf_selem_unlink_storage_nolock_misc()).
 */
bool worker_judge_gone(struct worker *w, int map, int key)
{
	unsigned char found[VALUE_MAX];

	bump(&w->lookups, 1);
	if (bpf_map_lookup_elem(map, &key, found) < 0 && errno == ENOENT &&
	    !worker_lies(w, SOAK_LIE_STALE))
		return true;
	worker_accuse(w, "a value deleted a moment ago is still there");
	return false;
}

int worker_store(struct worker *w, int map, int key, unsigned int shape, struct rng *rng,
		 bool check)
{
	size_t size = programs_value_size(shape);
	unsigned char value[VALUE_MAX], found[VALUE_MAX];

	churn_make_value(value, size, rng_next(rng), 0, SOAK_ROLE_NONE);
	/* Into the cache, so that what is replaced must leave it. */
	if (check)
		bpf_map_lookup_elem(map, &key, found);
	/* Half of the values with a lock are written in place, under it. */
	if (bpf_map_update_elem(map, &key, value,
				value[8] & 1 ? worker_lookup_flags(size) : BPF_ANY) < 0) {
		int r = -errno;

		worker_refused(w, r);
		return r;
	}
	bump(&w->updates, 1);
	worker_took_effect(w);
	if (!check)
		return 0;
	worker_judge(w, map, key, value, size, "us");
	verify_elsewhere(w, map, key, value, size);
	return 0;
}

void worker_take(struct worker *w, int map, int key, bool check)
{
	unsigned char found[VALUE_MAX];

	if (check)
		bpf_map_lookup_elem(map, &key, found);
	if (bpf_map_delete_elem(map, &key) < 0) {
		worker_refused(w, -errno);
		return;
	}
	bump(&w->deletes, 1);
	worker_took_effect(w);
	if (check)
		worker_judge_gone(w, map, key);
}

/* One value replaced again and again, in place where it has a lock, while the reader looks on. */
void worker_be_watched(struct worker *w, int map, int key, unsigned int shape, uint64_t cookie)
{
	size_t size = programs_value_size(shape);
	uint64_t flags = worker_lookup_flags(size), last = cookie + WATCH_UPDATES;
	unsigned char value[VALUE_MAX];
	struct reader_watch seen;
	bool deletes = cookie >> 8 & 1;
	int r = 0;

	w->next_watch_ns = now_ns() + WATCH_STEP_NS;
	churn_make_value(value, size, cookie, 0, SOAK_ROLE_NONE);
	if (bpf_map_update_elem(map, &key, value, flags) < 0)
		return;
	if (reader_watch_begin(w->options->reader, map, key, size, flags, cookie, last))
		return;
	while (cookie++ < last) {
		churn_make_value(value, size, cookie, 0, SOAK_ROLE_NONE);
		if (deletes && cookie % 4 == 0 && cookie != last)
			bpf_map_delete_elem(map, &key);
		r = bpf_map_update_elem(map, &key, value, flags);
		if (!r)
			bump(&w->updates, 1);
	}
	if (reader_watch_end(w->options->reader, &seen))
		return;
	bump(&w->reader_watched, seen.reads);
	bump(&w->torn_values, seen.torn);
	if (seen.torn)
		log_error("worker %u: another process read %u torn values", w->index, seen.torn);
	if (seen.foreign) {
		worker_accuse(w, "another process read %u values that were never stored",
			      seen.foreign);
		bump(&w->bad_values, seen.foreign - 1);
	}
	/* What the other process made the owner cache meanwhile must not be found any more. */
	if (!r)
		worker_judge(w, map, key, value, size, "us");
}

int worker_give_birth(struct worker *w, enum owner_type type, struct rng *rng, struct owner *ret)
{
	int n = owner_new(&w->maker, type, rng, ret);

	if (n == -EBUSY)
		return 0;
	if (n < 0) {
		bump(&w->errors, 1);
		return n;
	}
	bump(&w->born[owner_kind(type)], (uint64_t)n);
	return n;
}

struct partner *worker_partner(struct worker *w)
{
	if (!w->partner)
		partner_new(w->cpu, &w->partner);
	return w->partner;
}

static bool is_in_slot(struct worker *w, enum soak_kind kind, unsigned int shape, unsigned int slot,
		       int key)
{
	unsigned char found[VALUE_MAX];
	int map = pool_get(w->pool, kind, shape, slot);
	bool there;

	if (map < 0)
		return false;
	there = !bpf_map_lookup_elem(map, &key, found);
	pool_put(w->pool, kind, shape, slot);
	bump(&w->lookups, 1);
	return there;
}

bool worker_sees_fill(struct worker *w, enum soak_kind kind, int key)
{
	for (unsigned int slot = 0; slot < w->options->maps; slot++)
		for (unsigned int shape = 0; shape < pool_shapes(w->pool); shape++)
			if (is_in_slot(w, kind, shape, slot, key))
				return true;
	return false;
}

struct owner *worker_any_owner(struct worker *w, struct rng *rng)
{
	return w->n_owners ? &w->owners[rng_below(rng, w->n_owners)] : NULL;
}
