// SPDX-License-Identifier: GPL-2.0-only
/*
 * Values are looked up by bpf(2) again and again while what they belong to goes: tasks by pidfd
 * while they exit (bpf_pid_task_storage_lookup_elem()), sockets by descriptor while that is closed
 * (bpf_fd_sk_storage_lookup_elem()), sockets of a dying process by pidfd_getfd(2), and the map, all
 * of a sudden, under the descriptor that is being used. Nobody changes a value: what is found is
 * right, and what is alive is found.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../crew.h"
#include "../partner.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "batch.h"

#define PAUSE_NS    (100 * NSEC_PER_MSEC)
#define STEP_US	    400
#define PATIENCE_MS 1000
#define OWNERS	    8

_Static_assert(OWNERS <= CREW_TASKS && OWNERS <= CREW_KEEPS, "a crew can have so many");

struct state {
	uint64_t next_ns;
};

struct scene;

/* Whose values, how they are reached, and how they end. */
struct way {
	enum soak_kind kind;
	bool (*begin)(struct scene *s, struct rng *rng);
	int (*key)(struct scene *s, unsigned int i); /* or -errno */
	void (*done)(int key);			     /* with a key; NULL: nothing */
	void (*end)(struct scene *s, unsigned int i);
};

struct scene {
	struct worker *w;
	const struct way *way;
	struct batch batch;
	struct crew crew;
	struct owner owners[OWNERS];
	int fds[OWNERS];
	unsigned int n;
	bool ending[OWNERS];  /* set before it is brought to its end */
	bool map_ending;      /* the same */
	unsigned int drop_at; /* when the map goes */
	int null;	      /* takes the place of descriptors, whose numbers stay ours */
	unsigned int found, gone;
	bool wrong;
	struct rng rng; /* of the partner */
	bool over;	/* the partner has done all */
};

/* The file goes, and nobody else's comes to its number. */
static void close_in_place(struct scene *s, int fd)
{
	dup3(s->null, fd, O_CLOEXEC);
}

/* Tasks by pidfd. */

static bool begin_tasks(struct scene *s, struct rng *rng)
{
	struct crew_options options = { .tasks = 3 + rng_below(rng, OWNERS - 2) };

	if (crew_new(&options, &s->crew))
		return false;
	bump(&s->w->born[SOAK_TASK], s->crew.n);
	s->n = s->crew.n;
	for (unsigned int i = 0; i < s->n; i++)
		batch_put(&s->batch, i, s->crew.pidfds[i]);
	return true;
}

static int key_of_task(struct scene *s, unsigned int i)
{
	return s->crew.pidfds[i];
}

static void end_task(struct scene *s, unsigned int i)
{
	if (rng_below(&s->rng, 2 * OWNERS)) {
		crew_tell(&s->crew, i, CREW_EXIT, 0);
		if (i)
			crew_has_ended(&s->crew, i);
		return;
	}
	for (unsigned int all = 0; all < s->n; all++)
		__atomic_store_n(&s->ending[all], true, __ATOMIC_SEQ_CST);
	crew_kill(&s->crew);
}

/* Sockets of our own. */

static bool begin_sockets(struct scene *s, struct rng *rng)
{
	while (s->n < OWNERS) {
		enum owner_type type = owner_draw_type(&s->w->maker, SOAK_SK, true, rng);
		struct owner *owner = &s->owners[s->n];

		if (worker_give_birth(s->w, type, rng, owner) <= 0)
			return false;
		s->fds[s->n] = owner_key(owner, rng);
		batch_put(&s->batch, s->n, s->fds[s->n]);
		s->n++;
	}
	return true;
}

static int key_of_socket(struct scene *s, unsigned int i)
{
	return s->fds[i];
}

static void end_socket(struct scene *s, unsigned int i)
{
	close_in_place(s, s->fds[i]);
}

/* Sockets of a process. */

static bool begin_process(struct scene *s, struct rng *rng)
{
	struct crew_options options = { .tasks = 1 + rng_below(rng, 3),
					.keep = s->fds,
					.n_keep = OWNERS };

	if (!begin_sockets(s, rng) || crew_new(&options, &s->crew))
		return false;
	bump(&s->w->born[SOAK_TASK], s->crew.n);
	for (unsigned int i = 0; i < s->n; i++)
		owner_kill(&s->owners[i]);
	return true;
}

static int key_in_process(struct scene *s, unsigned int i)
{
	return crew_fd(&s->crew, s->fds[i]);
}

static void give_back(int key)
{
	close(key);
}

static void end_in_process(struct scene *s, unsigned int i)
{
	if (rng_below(&s->rng, 2 * OWNERS)) {
		crew_tell(&s->crew, rng_below(&s->rng, s->crew.n), CREW_CLOSE, s->fds[i]);
		return;
	}
	for (unsigned int all = 0; all < s->n; all++)
		__atomic_store_n(&s->ending[all], true, __ATOMIC_SEQ_CST);
	crew_kill(&s->crew);
}

static const struct way ways[] = {
	{ SOAK_TASK, begin_tasks, key_of_task, NULL, end_task },
	{ SOAK_SK, begin_sockets, key_of_socket, NULL, end_socket },
	{ SOAK_SK, begin_process, key_in_process, give_back, end_in_process },
};

/* The partner's part. The last owner is not ended, but for the whole process. */
static void disturb(void *arg)
{
	struct scene *s = arg;

	for (unsigned int i = 0; i < s->n; i++) {
		if (i == s->drop_at) {
			__atomic_store_n(&s->map_ending, true, __ATOMIC_SEQ_CST);
			close_in_place(s, s->batch.map);
		}
		if (i + 1 < s->n && !s->ending[i]) {
			__atomic_store_n(&s->ending[i], true, __ATOMIC_SEQ_CST);
			s->way->end(s, i);
		}
		sleep_ns(rng_below(&s->rng, STEP_US) * NSEC_PER_USEC);
	}
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
}

/* What may be answered of somebody, or by way of a map, that is about to go, or is not any more. */
static bool is_goodbye(int r)
{
	return r == -ENOENT || r == -ESRCH || r == -EBADF || r == -EINVAL || r == -ENOTSOCK;
}

static void judge_refusal(struct scene *s, unsigned int i, int r)
{
	bool may = __atomic_load_n(&s->map_ending, __ATOMIC_SEQ_CST) ||
		   __atomic_load_n(&s->ending[i], __ATOMIC_SEQ_CST);

	if (r == -ENOENT && !s->batch.values[i].stored)
		return;
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE) {
		worker_refused(s->w, r);
		return;
	}
	if (may && is_goodbye(r)) {
		s->gone++;
		return;
	}
	worker_accuse(s->w, "a value that is there is not found by bpf(2): %s", strerror(-r));
	s->wrong = true;
}

static void look_up(struct scene *s, unsigned int i)
{
	unsigned char value[VALUE_MAX];
	int key = s->way->key(s, i), r = key, whose;

	if (key >= 0) {
		r = bpf_map_lookup_elem_flags(s->batch.map, &key, value,
					      worker_lookup_flags(s->batch.size))
			    ? -errno
			    : 0;
		if (s->way->done)
			s->way->done(key);
	}
	if (r) {
		judge_refusal(s, i, r);
		return;
	}
	s->found++;
	whose = batch_judge(&s->batch, s->w, value, "bpf(2), while its owner goes");
	if (whose >= 0 && (unsigned int)whose != i)
		worker_accuse(s->w, "bpf(2) found the value of one owner as that of another");
	s->wrong |= whose != (int)i;
}

static void look_all_up(struct scene *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		look_up(s, i);
}

/* Found before, gone after, and nothing wrong between. */
static bool play(struct scene *s, struct partner *partner)
{
	unsigned int stored = 0;
	bool all;

	for (unsigned int i = 0; i < s->n; i++)
		stored += s->batch.values[i].stored != 0;
	look_all_up(s);
	all = s->found == stored && !s->gone;
	partner_ask(partner, disturb, s);
	while (!__atomic_load_n(&s->over, __ATOMIC_ACQUIRE))
		look_all_up(s);
	partner_wait(partner);
	for (unsigned int i = 0; i < PATIENCE_MS && (!i || !s->gone); i++) {
		look_all_up(s);
		sleep_ns(NSEC_PER_MSEC);
	}
	return all && s->gone && !s->wrong;
}

static void end_scene(struct scene *s)
{
	crew_free(&s->crew);
	for (unsigned int i = 0; s->batch.kind == SOAK_SK && i < s->n; i++)
		owner_kill(&s->owners[i]);
	batch_drop(&s->batch, s->w->pool);
	batch_count(&s->batch, s->w);
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	const struct way *way = &ways[rng_below(rng, ARRAY_SIZE(ways))];
	unsigned int shape = rng_below(rng, pool_shapes(w->pool));
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct scene s = { .w = w, .way = way, .null = null, .rng = { rng_next(rng) } };
	struct partner *partner = worker_partner(w);
	struct state *st = state;
	bool right;

	if (now_ns() < st->next_ns || !partner || null < 0)
		return SCENARIO_NOTHING;
	if (batch_new(w->pool, way->kind, shape, rng, &s.batch) < 0)
		return SCENARIO_NOTHING;
	right = way->begin(&s, rng);
	s.drop_at = rng_below(rng, 2 * OWNERS);
	right = right && play(&s, partner);
	end_scene(&s);
	worker_took_effect(w);
	st->next_ns = now_ns() + PAUSE_NS;
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static const char *lacks(void)
{
	const char *why = crew_lacks();

	return why ? why : crew_fds_lack();
}

const struct scenario scenario_lookups = {
	.what = "values are looked up by pidfd, descriptor and pidfd_getfd() of owners that go",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
};
