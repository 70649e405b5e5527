// SPDX-License-Identifier: GPL-2.0-only
/* Storage maps that rotate under loaded programs: see pool.h. */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "log.h"
#include "map_ids.h"
#include "owner.h"
#include "rng.h"
#include "util.h"

/*
 * Closed maps queue behind RCU grace periods; a flood of them only fills memory and makes every
 * other operation fail with -ENOMEM, so no more than these are under way at once.
 */
#define OUTSTANDING_MAX 24

/* Of each shape for cgroups and inodes, which are few. */
#define RARE_MAPS 2

/*
 * Those that are closed without a new one to take their place, as at the end of a run, are more
 * than that; the programs follow SOAK_MAP_FREES at once, if hashing lets them, and a map that they
 * do not follow is never known to be freed.
 */
#define FOLLOWED_MAX	 (SOAK_MAP_FREES / 4)
#define FOLLOWED_WAIT_NS (10 * NSEC_PER_SEC)
#define FOLLOWED_STEP_NS (5 * NSEC_PER_MSEC)

struct pool_slot {
	pthread_rwlock_t lock;
	int fd;
};

struct pool {
	const struct programs *programs;
	unsigned int maps;
	uint64_t seed;
	uint64_t pause_ns;
	struct pool_slot slots[SOAK_KIND_NR][SOAK_SHAPES][SOAK_MAPS_MAX];
	struct map_ids *ids;
	uint64_t created;
	uint64_t closed;
	pthread_t thread;
	bool running;
	bool stop;
	bool impatient; /* a map_free() does not end: nobody waits for one any more */
};

/* Special fields cost more than the rest, and are to be a fraction of the load. */
static unsigned int slots_of(const struct pool *pool, enum soak_kind kind, unsigned int shape)
{
	if (!programs_has_kind(pool->programs, kind))
		return 0;
	if (shape >= SOAK_SHAPE_FIELDS)
		return MIN(pool->maps, (unsigned int)SOAK_MAPS_FIELDS);
	return kind >= SOAK_CGROUP ? MIN(pool->maps, RARE_MAPS) : pool->maps;
}

static uint64_t outstanding(const struct pool *pool)
{
	uint64_t closed = __atomic_load_n(&pool->closed, __ATOMIC_RELAXED);
	uint64_t done = programs_map_frees_done(pool->programs);

	return closed > done ? closed - done : 0;
}

int pool_new_map(struct pool *pool, enum soak_kind kind, unsigned int shape)
{
	int fd;

	if (programs_sees_map_frees(pool->programs) && outstanding(pool) >= OUTSTANDING_MAX)
		return -EAGAIN;
	fd = programs_new_map(pool->programs, kind, shape);
	if (fd < 0)
		return fd;
	__atomic_fetch_add(&pool->created, 1, __ATOMIC_RELAXED);
	map_ids_note_fd(pool->ids, fd);
	return fd;
}

/* number: of maps closed, this one included. */
static void wait_for_turn(struct pool *pool, uint64_t number)
{
	uint64_t deadline = now_ns() + FOLLOWED_WAIT_NS;

	while (programs_sees_map_frees(pool->programs) &&
	       number > programs_map_frees_done(pool->programs) + FOLLOWED_MAX &&
	       !__atomic_load_n(&pool->impatient, __ATOMIC_RELAXED)) {
		sleep_ns(FOLLOWED_STEP_NS);
		if (now_ns() > deadline)
			__atomic_store_n(&pool->impatient, true, __ATOMIC_RELAXED);
	}
}

void pool_close_map(struct pool *pool, int fd)
{
	if (fd < 0)
		return;
	wait_for_turn(pool, __atomic_add_fetch(&pool->closed, 1, __ATOMIC_RELAXED));
	close(fd);
}

/* The new map goes in before the old one goes, so the fill programs always find one. */
static int replace(struct pool *pool, enum soak_kind kind, unsigned int shape, unsigned int index)
{
	struct pool_slot *slot = &pool->slots[kind][shape][index];
	int fd, old, r;

	fd = pool_new_map(pool, kind, shape);
	if (fd < 0)
		return fd;
	r = programs_set_fill(pool->programs, kind, shape, index, fd);
	if (r < 0) {
		pool_close_map(pool, fd);
		return r;
	}
	pthread_rwlock_wrlock(&slot->lock);
	old = slot->fd;
	slot->fd = fd;
	pthread_rwlock_unlock(&slot->lock);
	pool_close_map(pool, old);
	return 0;
}

static void *rotate(void *arg)
{
	struct pool *pool = arg;

	for (uint64_t turn = 0; !__atomic_load_n(&pool->stop, __ATOMIC_ACQUIRE); turn++) {
		struct rng rng = rng_for(pool->seed, UINT32_MAX, turn);

		enum soak_kind kind = owner_draw_kind(programs_kinds(pool->programs), &rng);
		unsigned int shape = rng_below(&rng, programs_shapes(pool->programs));

		replace(pool, kind, shape, rng_below(&rng, slots_of(pool, kind, shape)));
		sleep_ns(pool->pause_ns);
	}
	return NULL;
}

int pool_refill(struct pool *pool)
{
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		for (unsigned int shape = 0; shape < programs_shapes(pool->programs); shape++)
			for (unsigned int i = 0; i < slots_of(pool, kind, shape); i++) {
				int r = replace(pool, kind, shape, i);

				if (r < 0)
					return r;
			}
	return 0;
}

int pool_new(const struct programs *programs, unsigned int maps, uint64_t seed, struct pool **ret)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	pool->programs = programs;
	pool->maps = MIN(maps, (unsigned int)SOAK_MAPS_MAX);
	pool->seed = seed;
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		for (unsigned int shape = 0; shape < SOAK_SHAPES; shape++)
			for (unsigned int i = 0; i < SOAK_MAPS_MAX; i++) {
				pthread_rwlock_init(&pool->slots[kind][shape][i].lock, NULL);
				pool->slots[kind][shape][i].fd = -1;
			}
	r = map_ids_new(map_id_exists, &pool->ids);
	if (!r)
		r = pool_refill(pool);
	if (r < 0) {
		log_error("cannot create storage maps: %s", strerror(-r));
		pool_free(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

int pool_start(struct pool *pool, uint64_t pause_ns)
{
	int r;

	pool->pause_ns = pause_ns;
	pool->stop = false;
	r = pthread_create(&pool->thread, NULL, rotate, pool);
	pool->running = !r;
	return -r;
}

void pool_stop(struct pool *pool)
{
	if (!pool->running)
		return;
	__atomic_store_n(&pool->stop, true, __ATOMIC_RELEASE);
	pthread_join(pool->thread, NULL);
	pool->running = false;
}

void pool_clear(struct pool *pool)
{
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		for (unsigned int shape = 0; shape < programs_shapes(pool->programs); shape++)
			for (unsigned int i = 0; i < slots_of(pool, kind, shape); i++) {
				struct pool_slot *slot = &pool->slots[kind][shape][i];

				if (slot->fd < 0)
					continue;
				programs_set_fill(pool->programs, kind, shape, i, -1);
				pool_close_map(pool, TAKE_FD(slot->fd));
			}
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	pool_stop(pool);
	pool_clear(pool);
	map_ids_free(pool->ids);
	free(pool);
}

static struct pool_slot *slot_at(struct pool *pool, enum soak_kind kind, unsigned int shape,
				 unsigned int index)
{
	return &pool->slots[kind][shape][index % MAX(slots_of(pool, kind, shape), 1u)];
}

int pool_get(struct pool *pool, enum soak_kind kind, unsigned int shape, unsigned int index)
{
	struct pool_slot *slot = slot_at(pool, kind, shape, index);

	if (pthread_rwlock_tryrdlock(&slot->lock))
		return -EBUSY;
	if (slot->fd >= 0)
		return slot->fd;
	pthread_rwlock_unlock(&slot->lock);
	return -EBUSY;
}

void pool_put(struct pool *pool, enum soak_kind kind, unsigned int shape, unsigned int index)
{
	pthread_rwlock_unlock(&slot_at(pool, kind, shape, index)->lock);
}

uint64_t pool_created(const struct pool *pool)
{
	return __atomic_load_n(&pool->created, __ATOMIC_RELAXED);
}

uint64_t pool_closed(const struct pool *pool)
{
	return __atomic_load_n(&pool->closed, __ATOMIC_RELAXED);
}

struct map_ids *pool_map_ids(const struct pool *pool)
{
	return pool->ids;
}

const struct programs *pool_programs(const struct pool *pool)
{
	return pool->programs;
}

unsigned int pool_shapes(const struct pool *pool)
{
	return programs_shapes(pool->programs);
}
