// SPDX-License-Identifier: GPL-2.0-only
/*
 * Updates with every combination of flags, of owners that have no storage at all, that have some
 * but no such value, and that have one: the answer must be what the kernel documents, and what was
 * refused must have changed nothing.
 */
#include "flags.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "../pool.h"
#include "../raw_task.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "order.h"

#define MAP_NS (2 * NSEC_PER_SEC)

/* Of the latter two: a map without a copy for each CPU has no use for them, nor for a CPU. */
#define BPF_F_ONE_CPU  8ULL
#define BPF_F_EACH_CPU 16ULL

static const uint64_t all_flags[] = {
	BPF_ANY,
	BPF_NOEXIST,
	BPF_EXIST,
	BPF_NOEXIST | BPF_EXIST,
	BPF_F_LOCK,
	BPF_F_LOCK | BPF_NOEXIST,
	BPF_F_LOCK | BPF_EXIST,
	BPF_F_LOCK | BPF_NOEXIST | BPF_EXIST,
	BPF_F_ONE_CPU,
	BPF_F_EACH_CPU,
	1ULL << 32,
};

/* Of each kind of owner two maps: BPF_F_LOCK means something to one shape alone. */
enum sort {
	ANY_SHAPE,
	WITH_LOCK,
	SORTS,
};

struct state {
	struct kept kept[KEPT_KINDS][SORTS];
	uint64_t map_until_ns[KEPT_KINDS][SORTS];
};

struct owner_of_flags {
	enum soak_kind kind;
	int key;
	int fd;
	struct raw_task task;
};

int flags_expect(bool there, bool lockable, uint64_t flags)
{
	uint64_t rest = flags & ~(uint64_t)BPF_F_LOCK;

	if ((flags & BPF_F_LOCK) && !lockable)
		return -EINVAL;
	if (rest > BPF_EXIST)
		return -EINVAL;
	if (there && rest == BPF_NOEXIST)
		return -EEXIST;
	if (!there && rest == BPF_EXIST)
		return -ENOENT;
	return 0;
}

static bool renew_map(struct worker *w, struct state *s, enum soak_kind kind, enum sort sort,
		      struct rng *rng)
{
	unsigned int shapes = pool_shapes(w->pool), shape = rng_below(rng, shapes);
	struct kept *kept = &s->kept[kind][sort];

	kept_forget(kept);
	if (kept->open && now_ns() < s->map_until_ns[kind][sort])
		return true;
	kept_close(w, kept);
	if (sort == WITH_LOCK && shapes <= SOAK_SHAPE_FIELDS)
		return false;
	s->map_until_ns[kind][sort] = now_ns() + MAP_NS;
	return !kept_open(w, kind, sort == WITH_LOCK ? SOAK_SHAPE_FIELDS : shape, kept);
}

static bool renew_maps(struct worker *w, struct state *s, enum soak_kind kind, struct rng *rng)
{
	unsigned int n = 0;

	for (unsigned int sort = 0; sort < SORTS; sort++)
		n += renew_map(w, s, kind, sort, rng);
	return n;
}

/* bare: it has no storage, as far as that can be had. */
static int new_owner(struct worker *w, enum soak_kind kind, bool bare, struct owner_of_flags *ret)
{
	int r = 0;

	*ret = (struct owner_of_flags){ .kind = kind, .fd = -1, .task = RAW_TASK_INIT };
	if (bare)
		order_bare(w, true);
	if (kind == SOAK_SK)
		ret->fd = ret->key = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	else
		r = raw_task_new(RAW_TASK_SLEEPS, &ret->task);
	if (bare)
		order_bare(w, false);
	if (kind == SOAK_SK)
		return ret->fd < 0 ? -errno : 0;
	ret->key = ret->task.pidfd;
	return r;
}

static void end_owner(struct owner_of_flags *owner)
{
	if (owner->fd >= 0)
		close(owner->fd);
	raw_task_kill(&owner->task);
}

static bool is_right(int r, int expected)
{
	return r == expected || (expected != -EINVAL && worker_may_refuse(r));
}

/* One update; kept follows. */
static bool update(struct worker *w, struct kept *kept, int key, uint64_t flags, struct rng *rng)
{
	size_t size = programs_value_size(kept->shape);
	bool lockable = worker_lookup_flags(size) & BPF_F_LOCK;
	int expected = flags_expect(kept->cookie != 0, lockable, flags), r;
	uint64_t cookie = rng_next(rng) | 1;
	unsigned char value[VALUE_MAX];

	churn_make_value(value, size, cookie, 0, SOAK_ROLE_NONE);
	r = bpf_map_update_elem(kept->fd, &key, value, flags) < 0 ? -errno : 0;
	if (!is_right(r, expected)) {
		worker_accuse(w,
			      "an update with flags %#llx of a value that is %sthere: %s, not: %s",
			      (unsigned long long)flags, kept->cookie ? "" : "not ", strerror(-r),
			      strerror(-expected));
		return false;
	}
	if (!r) {
		kept->cookie = cookie;
		bump(&w->updates, 1);
	} else if (worker_may_refuse(r)) {
		worker_refused(w, r);
	}
	return kept_judge(w, kept, key, "us") && r == expected;
}

/* A look-up knows one flag, where there is a lock. */
static bool look_up(struct worker *w, const struct kept *kept, int key, uint64_t flags)
{
	bool lockable = worker_lookup_flags(programs_value_size(kept->shape)) & BPF_F_LOCK;
	int expected = -EINVAL, r;
	unsigned char value[VALUE_MAX];

	if (!flags || (flags == BPF_F_LOCK && lockable))
		expected = kept->cookie ? 0 : -ENOENT;
	r = bpf_map_lookup_elem_flags(kept->fd, &key, value, flags) < 0 ? -errno : 0;
	if (r == expected)
		return true;
	worker_accuse(w, "a look-up with flags %#llx of a value that is %sthere: %s, not: %s",
		      (unsigned long long)flags, kept->cookie ? "" : "not ", strerror(-r),
		      strerror(-expected));
	return false;
}

/* All of them, in an order of its own each time; in between the value is deleted at times. */
static bool try_all(struct worker *w, struct kept *kept, int key, struct rng *rng)
{
	unsigned int first = rng_below(rng, ARRAY_SIZE(all_flags));
	unsigned int stride = 1 + rng_below(rng, ARRAY_SIZE(all_flags) - 1); /* of a prime number */
	bool right = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(all_flags); i++) {
		uint64_t flags = all_flags[(first + i * stride) % ARRAY_SIZE(all_flags)];

		right &= update(w, kept, key, flags, rng);
		right &= look_up(w, kept, key, flags);
		if (kept->cookie && !rng_below(rng, 3))
			right &= !kept_take(w, kept, key);
	}
	return right;
}

_Static_assert(ARRAY_SIZE(all_flags) == 11, "a prime number, so that any stride visits all");

/* Either map may be the first that this owner has a value in. */
static bool try_maps(struct worker *w, struct kept *kept, int key, struct rng *rng)
{
	unsigned int first = rng_below(rng, SORTS);
	bool right = true;

	for (unsigned int i = 0; i < SORTS; i++) {
		struct kept *next = &kept[(first + i) % SORTS];

		if (next->open)
			right &= try_all(w, next, key, rng);
	}
	return right;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	enum soak_kind kind = rng_below(rng, KEPT_KINDS);
	bool bare = rng_below(rng, 2), right;
	struct state *s = state;
	struct owner_of_flags owner;

	if (!renew_maps(w, s, kind, rng))
		return SCENARIO_NOTHING;
	if (new_owner(w, kind, bare, &owner) < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	bump(&w->born[kind], 1);
	right = try_maps(w, s->kept[kind], owner.key, rng);
	end_owner(&owner);
	worker_took_effect(w);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	for (unsigned int kind = 0; kind < KEPT_KINDS; kind++)
		for (unsigned int sort = 0; sort < SORTS; sort++)
			kept_close(w, &s->kept[kind][sort]);
}

const struct scenario scenario_flags = {
	.what = "updates with every flag, of values that are there or not, are answered as documented",
	.state_size = sizeof(struct state),
	.step = step,
	.end = end,
};
