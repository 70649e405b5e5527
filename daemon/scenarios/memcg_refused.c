// SPDX-License-Identifier: GPL-2.0-only
/*
 * Storage cannot be made since the memory cgroup of the *map* is full: elements and storages are
 * charged to the cgroup of whoever made the map (bpf_map_kmalloc_nolock(), kernel/bpf/syscall.c),
 * and without sleeping, so that nothing is reclaimed and nobody killed for it; besides, there is
 * nobody in that cgroup. It is the one limit that storage of tasks has. What the owner had must
 * stay; with the limit out of the way the same works.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "refused.h"
#include "spare_cgroup.h"

#define STACK_SIZE (64u << 10)
#define PUTS_MOST  2000 /* until the cgroup is full */
#define MAP_NS	   (900 * NSEC_PER_MSEC)
#define PAUSE_NS   (30 * NSEC_PER_MSEC)

struct state {
	struct spare_cgroup cgroup;
	struct kept kept; /* made in that cgroup */
	struct owner owner;
	bool has_owner;
	int key; /* one of its descriptors: the other one of a pair has another value */
	uint64_t map_until_ns, next_ns;
};

static const char *lacks(void)
{
	struct spare_cgroup cgroup = { 0 };

	if (spare_cgroup_new("bpfsoakd-memory", "memory.max", &cgroup) < 0)
		return "no cgroup with a limit on memory can be made, neither beside the daemon's own "
		       "nor below it: it takes the right to do so, and +memory in the "
		       "cgroup.subtree_control of the one above";
	spare_cgroup_end(&cgroup);
	return NULL;
}

/* A map that belongs to the cgroup. */

struct order {
	struct worker *w;
	const struct spare_cgroup *cgroup;
	enum soak_kind kind;
	unsigned int shape;
	struct kept *ret;
	int error;
};

/*
 * In a process that borrows the worker's memory and descriptors while that waits, as with vfork():
 * a thread of ours could not be in another cgroup of memory.
 */
static int make_there(void *arg)
{
	struct order *order = arg;

	order->error = spare_cgroup_set(order->cgroup, "cgroup.procs", "0");
	if (!order->error)
		order->error = kept_open(order->w, order->kind, order->shape, order->ret);
	return 0;
}

static int make_map(struct worker *w, struct state *s, enum soak_kind kind, unsigned int shape)
{
	struct order order = { w, &s->cgroup, kind, shape, &s->kept, -ECHILD };
	_cleanup_free_ char *stack = malloc(STACK_SIZE);
	pid_t pid;

	if (!stack)
		return -ENOMEM;
	pid = clone(make_there, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD,
		    &order);
	if (pid < 0)
		return -errno;
	bump(&w->born[SOAK_TASK], 1);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return order.error;
}

/* Its limit. */

static void relax(struct state *s)
{
	spare_cgroup_set(&s->cgroup, "memory.max", "max");
}

/* A low "high" takes back what CPUs have in stock, and reclaims, but kills nobody. */
static int squeeze(struct state *s)
{
	_cleanup_free_ char *path = format("%s/memory.current", s->cgroup.dir), *text = NULL;
	uint64_t now;
	int r = path ? spare_cgroup_set(&s->cgroup, "memory.high", "0") : -ENOMEM;

	spare_cgroup_set(&s->cgroup, "memory.high", "max");
	r = r ?: read_file_u64(path, &now);
	if (r)
		return r;
	text = format("%llu", (unsigned long long)now);
	return text ? spare_cgroup_set(&s->cgroup, "memory.max", text) : -ENOMEM;
}

/* Owners and values. */

static void drop_owner(struct state *s)
{
	if (s->has_owner)
		owner_kill(&s->owner);
	s->has_owner = false;
	kept_forget(&s->kept);
}

static int renew_owner(struct worker *w, struct state *s, struct rng *rng)
{
	enum owner_type type = s->kept.kind == SOAK_SK ? rng_below(rng, OWNER_THREAD)
						       : OWNER_THREAD + rng_below(rng, 3);
	int born;

	if (s->has_owner && rng_below(rng, 4))
		return 0;
	drop_owner(s);
	born = owner_new(&w->maker, type, rng, &s->owner);
	if (born < 0)
		return born;
	bump(&w->born[s->kept.kind], (uint64_t)born);
	s->has_owner = true;
	s->key = owner_key(&s->owner, rng);
	return 0;
}

static int renew_map(struct worker *w, struct state *s, struct rng *rng)
{
	enum soak_kind kind = rng_below(rng, SOAK_KIND_NR);
	unsigned int shape = rng_below(rng, pool_shapes(w->pool));
	bool before = rng_below(rng, 2);
	int r;

	if (s->kept.open && now_ns() < s->map_until_ns)
		return 0;
	if (before)
		kept_close(w, &s->kept);
	drop_owner(s);
	kept_close(w, &s->kept);
	r = make_map(w, s, kind, shape);
	if (!r)
		s->map_until_ns = now_ns() + MAP_NS;
	return r;
}

/* Old elements are freed, and given back, some grace periods later. */
static bool is_refused(struct worker *w, struct state *s, struct rng *rng)
{
	int r = squeeze(s);

	for (unsigned int i = 0; !r && i < PUTS_MOST; i++)
		r = refused_put(w, &s->kept, s->key, rng);
	if (r == -ENOMEM)
		r = kept_judge(w, &s->kept, s->key, "us, after an update was refused") ? r : 0;
	relax(s);
	return r == -ENOMEM;
}

static enum scenario_result refuse(struct worker *w, struct state *s, struct rng *rng)
{
	bool refused, taken;

	/* Without a value there may be no bpf_local_storage either. */
	if (!refused_put(w, &s->kept, s->key, rng) && !rng_below(rng, 2))
		kept_take(w, &s->kept, s->key);
	refused = is_refused(w, s, rng);
	taken = !refused_put(w, &s->kept, s->key, rng) && kept_judge(w, &s->kept, s->key, "us");
	worker_took_effect(w);
	return refused && taken ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	_cleanup_free_ char *name = format("bpfsoakd-memory-%u", w->index);
	struct state *s = state;
	int r = 0;

	if (w->index >= REFUSED_WORKERS || now_ns() < s->next_ns)
		return SCENARIO_NOTHING;
	s->next_ns = now_ns() + PAUSE_NS;
	if (!s->cgroup.dir)
		r = name ? spare_cgroup_new(name, "memory.max", &s->cgroup) : -ENOMEM;
	r = r ?: renew_map(w, s, rng);
	if (r == -EAGAIN)
		return SCENARIO_NOTHING;
	r = r ?: renew_owner(w, s, rng);
	if (r) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	/* A kernel without pidfds of threads. */
	if (s->key < 0)
		return SCENARIO_NOTHING;
	return refuse(w, s, rng);
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	drop_owner(s);
	kept_close(w, &s->kept);
	spare_cgroup_end(&s->cgroup);
}

const struct scenario scenario_memcg_refused = {
	.what = "values of sockets and tasks are refused since the map's memory cgroup is full",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
	.end = end,
};
