// SPDX-License-Identifier: GPL-2.0-only
/*
 * The churn workers: see churn.h. Each operation's decisions come from a generator of its own
 * (seed, worker, operation number), so a seed gives the same sequence of decisions whatever the
 * kernel answers; how the threads interleave is the kernel's affair.
 */
#include "churn.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "log.h"
#include "owner.h"
#include "reader.h"
#include "rng.h"
#include "util.h"

#define CLASH_OWNERS   6
#define CLASH_PAUSE_NS (80 * NSEC_PER_MSEC)
#define CLASH_STEP_US  3000
#define VERIFY_ONE_IN  16
#define GONE_ONE_IN    2
#define READER_STEP_NS \
	(60 * NSEC_PER_MSEC) /* a worker's pause between two questions to the reader */
#define WATCH_STEP_NS	(250 * NSEC_PER_MSEC)
#define WATCH_UPDATES	16
#define VALUE_MAX	SOAK_SIZE_LARGE
#define FROZEN_PAUSE_NS (200 * NSEC_PER_MSEC)

struct worker {
	struct churn *churn;
	unsigned int index;
	pthread_t thread;
	bool running;
	bool done;
	int cpu;

	struct owner_maker maker;
	struct owner *owners;
	unsigned int n_owners;
	uint64_t next_clash_ns, next_read_ns, next_watch_ns;
	uint64_t op;

	/* Read by others. */
	uint64_t ops, born[SOAK_KIND_NR], errors, progress_ns;
	uint64_t updates, deletes, lookups, bad_values, torn_values;
	uint64_t reader_lookups, reader_watched;
	uint64_t syscall_errors[SOAK_ERR_NR];
};

struct churn {
	struct churn_options options;
	struct pool *pool;
	bool stop;
	bool frozen;
	uint64_t stutter_until_ns; /* 0: no stutter */
	struct worker workers[SNAPSHOT_WORKERS];
};

static void bump(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static uint64_t peek(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

enum soak_err churn_error_class(int error)
{
	switch (error < 0 ? -error : error) {
	case ENOMEM:
		return SOAK_ERR_ENOMEM;
	case EAGAIN:
		return SOAK_ERR_EAGAIN;
	case EEXIST:
		return SOAK_ERR_EEXIST;
	case ENOENT:
	case ESRCH:
		return SOAK_ERR_ENOENT;
	case ETIMEDOUT:
		return SOAK_ERR_ETIMEDOUT;
	case EDEADLK:
		return SOAK_ERR_EDEADLK;
	default:
		return SOAK_ERR_OTHER;
	}
}

/* The kernel's own part of a value with special fields: written by no update, read as zeros. */
static bool is_special(size_t size, size_t i)
{
	if (size == SOAK_SIZE_REF)
		return i >= SOAK_FIELDS_REF && i < SOAK_FIELDS_END;
	return size == SOAK_SIZE_FIELDS && i >= SOAK_FIELDS_BEGIN && i < SOAK_FIELDS_END;
}

static unsigned char pattern(uint64_t cookie, size_t size, size_t i)
{
	if (is_special(size, i))
		return 0;
	return (unsigned char)((cookie >> (i % 8 * 8)) + i);
}

void churn_make_value(void *value, size_t size, uint64_t cookie, unsigned int plan,
		      unsigned int role)
{
	struct soak_value head = { .magic = SOAK_VALUE_MAGIC,
				   .cookie = cookie,
				   .plan = plan,
				   .role = role,
				   .size = (unsigned int)size,
				   .check = (unsigned int)cookie ^ (unsigned int)size };
	unsigned char *bytes = value;

	memcpy(bytes, &head, sizeof(head));
	for (size_t i = sizeof(head); i < size; i++)
		bytes[i] = pattern(cookie, size, i);
}

bool churn_value_is_whole(const void *value, size_t size)
{
	const unsigned char *bytes = value;
	struct soak_value head;

	memcpy(&head, value, sizeof(head));
	if (head.magic != SOAK_VALUE_MAGIC || head.size != size ||
	    head.check != ((unsigned int)head.cookie ^ (unsigned int)size))
		return false;
	for (size_t i = sizeof(head); i < size; i++)
		if (bytes[i] != pattern(head.cookie, size, i))
			return false;
	return true;
}

bool churn_value_is(const void *found, const void *stored, size_t size)
{
	return churn_value_is_whole(found, size) && !memcmp(found, stored, size);
}

static void took_effect(struct worker *w)
{
	bump(&w->ops, 1);
	__atomic_store_n(&w->progress_ns, now_ns(), __ATOMIC_RELAXED);
}

static void refused(struct worker *w, int error)
{
	bump(&w->syscall_errors[churn_error_class(error)], 1);
}

/* Each lie is told once, by whoever comes first. */
static bool lies(struct worker *w, enum soak_lie lie)
{
	enum soak_lie expected = lie;

	return lie == __atomic_load_n(&w->churn->options.lie, __ATOMIC_RELAXED) &&
	       __atomic_compare_exchange_n(&w->churn->options.lie, &expected, SOAK_LIE_NONE, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Of values with a spin lock a look-up under that lock is whole at any time. */
static uint64_t lookup_flags(size_t size)
{
	return size == SOAK_SIZE_FIELDS ? BPF_F_LOCK : 0;
}

static void judge_found(struct worker *w, int r, const unsigned char *found,
			const unsigned char *stored, size_t size, const char *who)
{
	if (!r && churn_value_is(found, stored, size))
		return;
	bump(&w->bad_values, 1);
	if (r)
		log_error("worker %u: a value stored a moment ago is gone for %s: %s", w->index,
			  who, strerror(-r));
	else
		log_error("worker %u: a value stored a moment ago reads back different for %s",
			  w->index, who);
}

/* Storing and reading back under one loan of the map: nobody else writes this owner's value. */
static void verify(struct worker *w, int map, int key, const unsigned char *stored, size_t size)
{
	unsigned char found[VALUE_MAX];
	int r = bpf_map_lookup_elem_flags(map, &key, found, lookup_flags(size)) ? -errno : 0;

	bump(&w->lookups, 1);
	judge_found(w, r, found, stored, size, "us");
}

/* The same in another process. */
static void verify_elsewhere(struct worker *w, int map, int key, const unsigned char *stored,
			     size_t size)
{
	unsigned char found[VALUE_MAX];
	int r;

	if (!w->churn->options.reader || now_ns() < w->next_read_ns)
		return;
	w->next_read_ns = now_ns() + READER_STEP_NS;
	r = reader_read(w->churn->options.reader, map, key, size, lookup_flags(size), found);
	if (r == -EBUSY || r == -EPIPE)
		return;
	if (!r && lies(w, SOAK_LIE_READER))
		found[0] ^= 1;
	bump(&w->reader_lookups, 1);
	judge_found(w, r, found, stored, size, "another process");
}

/*
 * What was deleted is gone. The look-up before puts it into the owner's cache, from where the
 * deletion must take it too (bpf_selem_unlink_storage_nolock_misc()).
 */
static void verify_gone(struct worker *w, int map, int key)
{
	unsigned char found[VALUE_MAX];

	bump(&w->lookups, 1);
	if (bpf_map_lookup_elem(map, &key, found) < 0 && errno == ENOENT &&
	    !lies(w, SOAK_LIE_STALE))
		return;
	bump(&w->bad_values, 1);
	log_error("worker %u: a value deleted a moment ago is still there", w->index);
}

static int store(struct worker *w, int map, int key, unsigned int shape, struct rng *rng,
		 bool check)
{
	size_t size = programs_value_size(shape);
	unsigned char value[VALUE_MAX], found[VALUE_MAX];

	churn_make_value(value, size, rng_next(rng), 0, SOAK_ROLE_NONE);
	/* Into the cache, so that what is replaced must leave it. */
	if (check)
		bpf_map_lookup_elem(map, &key, found);
	/* Half of the values with a lock are written in place, under it. */
	if (bpf_map_update_elem(map, &key, value, value[8] & 1 ? lookup_flags(size) : BPF_ANY) <
	    0) {
		int r = -errno;

		refused(w, r);
		return r;
	}
	bump(&w->updates, 1);
	took_effect(w);
	if (!check)
		return 0;
	verify(w, map, key, value, size);
	verify_elsewhere(w, map, key, value, size);
	return 0;
}

static void take(struct worker *w, int map, int key, bool check)
{
	unsigned char found[VALUE_MAX];

	if (check)
		bpf_map_lookup_elem(map, &key, found);
	if (bpf_map_delete_elem(map, &key) < 0) {
		refused(w, -errno);
		return;
	}
	bump(&w->deletes, 1);
	took_effect(w);
	if (check)
		verify_gone(w, map, key);
}

/* One value replaced again and again, in place where it has a lock, while the reader looks on. */
static void be_watched(struct worker *w, int map, int key, unsigned int shape, uint64_t cookie)
{
	size_t size = programs_value_size(shape);
	uint64_t flags = lookup_flags(size), last = cookie + WATCH_UPDATES;
	unsigned char value[VALUE_MAX];
	struct reader_watch seen;
	bool deletes = cookie >> 8 & 1;
	int r = 0;

	w->next_watch_ns = now_ns() + WATCH_STEP_NS;
	churn_make_value(value, size, cookie, 0, SOAK_ROLE_NONE);
	if (bpf_map_update_elem(map, &key, value, flags) < 0)
		return;
	if (reader_watch_begin(w->churn->options.reader, map, key, size, flags, cookie, last))
		return;
	while (cookie++ < last) {
		churn_make_value(value, size, cookie, 0, SOAK_ROLE_NONE);
		if (deletes && cookie % 4 == 0 && cookie != last)
			bpf_map_delete_elem(map, &key);
		r = bpf_map_update_elem(map, &key, value, flags);
		if (!r)
			bump(&w->updates, 1);
	}
	if (reader_watch_end(w->churn->options.reader, &seen))
		return;
	bump(&w->reader_watched, seen.reads);
	bump(&w->torn_values, seen.torn);
	bump(&w->bad_values, seen.foreign);
	if (seen.torn || seen.foreign)
		log_error("worker %u: another process read %u torn values and %u that were never "
			  "stored",
			  w->index, seen.torn, seen.foreign);
	/* What the other process made the owner cache meanwhile must not be found any more. */
	if (!r)
		verify(w, map, key, value, size);
}

static struct owner *any_owner(struct worker *w, struct rng *rng)
{
	return w->n_owners ? &w->owners[rng_below(rng, w->n_owners)] : NULL;
}

static void op_birth(struct worker *w, struct rng *rng)
{
	enum owner_type type = rng_below(rng, OWNER_TYPE_NR);
	struct owner *owner = &w->owners[w->n_owners];
	int n;

	n = owner_new(&w->maker, type, rng, owner);
	if (n < 0) {
		bump(&w->errors, 1);
		return;
	}
	bump(&w->born[owner_kind(type)], (uint64_t)n);
	if (type != OWNER_VFORK)
		w->n_owners++;
	took_effect(w);
}

static void op_kill(struct worker *w, struct rng *rng)
{
	struct owner *owner = any_owner(w, rng);

	if (!owner)
		return;
	owner_kill(owner);
	*owner = w->owners[--w->n_owners];
	took_effect(w);
}

/* One system call on each of a few maps of one owner. */
static void op_access(struct worker *w, struct rng *rng)
{
	const struct churn_options *options = &w->churn->options;
	struct owner *owner = any_owner(w, rng);
	unsigned int turns = 1 + rng_below(rng, 16);
	enum soak_kind kind;
	int key;

	if (!owner)
		return;
	key = owner_key(owner, rng);
	if (key < 0)
		return;
	kind = owner_kind(owner->type);
	if (turns & 1)
		owner_touch(owner);
	while (turns--) {
		unsigned int shape = rng_below(rng, pool_shapes(w->churn->pool));
		unsigned int slot = rng_below(rng, options->maps);
		unsigned int what = rng_below(rng, 8);
		bool check = options->verify && !rng_below(rng, VERIFY_ONE_IN);
		struct rng value_rng = { rng_next(rng) };
		int map = pool_get(w->churn->pool, kind, shape, slot);

		if (map < 0)
			continue;
		if (!what)
			take(w, map, key, options->verify && !rng_below(&value_rng, GONE_ONE_IN));
		else if (options->reader && now_ns() >= w->next_watch_ns)
			be_watched(w, map, key, shape, rng_next(&value_rng) >> 8 << 8);
		else
			store(w, map, key, shape, &value_rng, check);
		pool_put(w->churn->pool, kind, shape, slot);
	}
}

/* A map of its own loses its last reference while the owners in it die, before, at and after. */
static void op_clash(struct worker *w, struct rng *rng)
{
	enum soak_kind kind = rng_below(rng, SOAK_KIND_NR);
	unsigned int shape = rng_below(rng, pool_shapes(w->churn->pool));
	unsigned int early = rng_below(rng, CLASH_OWNERS + 1);
	struct owner owners[CLASH_OWNERS];
	unsigned int n = 0;
	int map;

	if (now_ns() < w->next_clash_ns)
		return;
	map = pool_new_map(w->churn->pool, kind, shape);
	if (map < 0) {
		if (map != -EAGAIN)
			bump(&w->errors, 1);
		return;
	}
	w->next_clash_ns = now_ns() + CLASH_PAUSE_NS;
	for (unsigned int i = 0; i < CLASH_OWNERS; i++) {
		enum owner_type type = kind == SOAK_SK ? rng_below(rng, OWNER_THREAD)
						       : OWNER_THREAD + rng_below(rng, 3);
		int born = owner_new(&w->maker, type, rng, &owners[n]), key;

		if (born < 0)
			continue;
		bump(&w->born[kind], (uint64_t)born);
		key = owner_key(&owners[n], rng);
		if (key >= 0)
			store(w, map, key, shape, rng, false);
		n++;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (i == MIN(early, n - 1))
			pool_close_map(w->churn->pool, TAKE_FD(map));
		owner_kill(&owners[i]);
		sleep_ns(rng_below(rng, CLASH_STEP_US) * NSEC_PER_USEC);
	}
	if (map >= 0)
		pool_close_map(w->churn->pool, map);
	took_effect(w);
}

static void one_op(struct worker *w)
{
	struct rng rng = rng_for(w->churn->options.seed, w->index, w->op++);
	unsigned int what = rng_below(&rng, 100);

	if (what < 22) {
		if (w->n_owners == w->churn->options.owners)
			op_kill(w, &rng);
		else
			op_birth(w, &rng);
	} else if (what < 38) {
		op_kill(w, &rng);
	} else if (what < 95) {
		op_access(w, &rng);
	} else {
		op_clash(w, &rng);
	}
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	/* A refused pin costs contention, not correctness. */
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* Who can rest is not stuck. */
static void rest(struct worker *w)
{
	sleep_ns(FROZEN_PAUSE_NS);
	__atomic_store_n(&w->progress_ns, now_ns(), __ATOMIC_RELAXED);
}

/* To all the same moment, so that they begin anew together. It is no progress, and no lack of it.
 */
static bool stutters(struct worker *w)
{
	uint64_t until = peek(&w->churn->stutter_until_ns), now = until ? now_ns() : 0;
	uint64_t ns;

	if (now >= until)
		return false;
	ns = MIN(until - now, FROZEN_PAUSE_NS);
	sleep_ns(ns);
	bump(&w->progress_ns, ns);
	return true;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	char name[16];

	snprintf(name, sizeof(name), "bpfsoakd-w%u", w->index);
	pthread_setname_np(pthread_self(), name);
	pin(w->cpu);
	while (!__atomic_load_n(&w->churn->stop, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&w->churn->frozen, __ATOMIC_ACQUIRE))
			rest(w);
		else if (!stutters(w))
			one_op(w);
	}
	while (w->n_owners)
		owner_kill(&w->owners[--w->n_owners]);
	owner_maker_done(&w->maker);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static int cpu_of_worker(unsigned int index)
{
	cpu_set_t set;
	unsigned int nth;

	if (sched_getaffinity(0, sizeof(set), &set) < 0 || !CPU_COUNT(&set))
		return -1;
	nth = index % (unsigned int)CPU_COUNT(&set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && !nth--)
			return cpu;
	return -1;
}

int churn_new(const struct churn_options *options, struct pool *pool, struct churn **ret)
{
	struct churn *churn = calloc(1, sizeof(*churn));

	if (!churn)
		return -ENOMEM;
	churn->options = *options;
	churn->pool = pool;
	for (unsigned int i = 0; i < options->workers; i++) {
		struct worker *w = &churn->workers[i];

		w->churn = churn;
		w->index = i;
		w->cpu = cpu_of_worker(i);
		w->maker = (struct owner_maker)OWNER_MAKER_INIT;
		w->owners = calloc(options->owners, sizeof(*w->owners));
		if (!w->owners) {
			churn_free(churn);
			return -ENOMEM;
		}
	}
	*ret = churn;
	return 0;
}

int churn_start(struct churn *churn)
{
	for (unsigned int i = 0; i < churn->options.workers; i++) {
		struct worker *w = &churn->workers[i];
		int r;

		w->progress_ns = now_ns();
		r = pthread_create(&w->thread, NULL, worker_main, w);
		if (r)
			return -r;
		w->running = true;
	}
	return 0;
}

void churn_request_stop(struct churn *churn)
{
	__atomic_store_n(&churn->stop, true, __ATOMIC_RELEASE);
}

void churn_freeze(struct churn *churn)
{
	__atomic_store_n(&churn->frozen, true, __ATOMIC_RELEASE);
}

void churn_thaw(struct churn *churn)
{
	__atomic_store_n(&churn->frozen, false, __ATOMIC_RELEASE);
}

void churn_stutter(struct churn *churn, uint64_t until_ns)
{
	__atomic_store_n(&churn->stutter_until_ns, until_ns, __ATOMIC_RELAXED);
}

unsigned int churn_workers(const struct churn *churn)
{
	return churn->options.workers;
}

int churn_set_affinity(struct churn *churn, unsigned int worker, const cpu_set_t *cpus)
{
	return -pthread_setaffinity_np(churn->workers[worker].thread, sizeof(*cpus), cpus);
}

bool churn_is_idle(const struct churn *churn)
{
	for (unsigned int i = 0; i < churn->options.workers; i++)
		if (churn->workers[i].running &&
		    !__atomic_load_n(&churn->workers[i].done, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

void churn_stop(struct churn *churn)
{
	churn_request_stop(churn);
	for (unsigned int i = 0; i < churn->options.workers; i++) {
		struct worker *w = &churn->workers[i];

		if (!w->running)
			continue;
		pthread_join(w->thread, NULL);
		w->running = false;
	}
}

void churn_free(struct churn *churn)
{
	if (!churn)
		return;
	churn_stop(churn);
	for (unsigned int i = 0; i < churn->options.workers; i++)
		free(churn->workers[i].owners);
	free(churn);
}

void churn_read(const struct churn *churn, struct snapshot *ret)
{
	uint64_t now = now_ns();

	ret->n_workers = churn->options.workers;
	for (unsigned int i = 0; i < churn->options.workers; i++) {
		const struct worker *w = &churn->workers[i];
		struct snapshot_worker *out = &ret->workers[i];
		uint64_t progress = peek(&w->progress_ns);

		out->ops = peek(&w->ops);
		out->owners = peek(&w->born[SOAK_SK]) + peek(&w->born[SOAK_TASK]);
		out->errors = peek(&w->errors);
		out->idle_ns = w->running && now > progress ? now - progress : 0;
		for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
			ret->owners_by_kind[kind] += peek(&w->born[kind]);
		ret->syscall_updates += peek(&w->updates);
		ret->syscall_deletes += peek(&w->deletes);
		ret->syscall_lookups += peek(&w->lookups);
		ret->reader_lookups += peek(&w->reader_lookups);
		ret->reader_watched += peek(&w->reader_watched);
		ret->violations[VIOLATION_VALUE] += peek(&w->bad_values);
		ret->violations[VIOLATION_TORN] += peek(&w->torn_values);
		for (unsigned int e = 0; e < SOAK_ERR_NR; e++)
			ret->syscall_errors[e] += peek(&w->syscall_errors[e]);
	}
}
