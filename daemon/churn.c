// SPDX-License-Identifier: GPL-2.0-only
/*
 * The churn workers: see churn.h. Each operation's decisions come from a generator of its own
 * (seed, worker, operation number), so a seed gives the same sequence of decisions whatever the
 * kernel answers; how the threads interleave is the kernel's affair.
 */
#include "churn.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "partner.h"
#include "util.h"
#include "worker.h"

#define FROZEN_PAUSE_NS (200 * NSEC_PER_MSEC)

struct churn {
	struct churn_options options;
	struct pool *pool;
	struct mix mixes[2];
	unsigned int mix; /* which of them */
	bool stop;
	bool frozen;
	uint64_t stutter_until_ns; /* 0: no stutter */
	struct worker workers[SNAPSHOT_WORKERS];
};

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

static void count_result(struct snapshot_scenario *counts, enum scenario_result result)
{
	switch (result) {
	case SCENARIO_EFFECT:
		bump(&counts->effects, 1);
		break;
	case SCENARIO_FAILED:
		bump(&counts->failures, 1);
		break;
	default:
		break;
	}
	bump(&counts->steps, 1);
}

/* The mix may change at any time, as a whole; a worker goes by the one that it looked at. */
static const struct mix *current_mix(const struct churn *churn)
{
	return &churn->mixes[__atomic_load_n(&churn->mix, __ATOMIC_ACQUIRE)];
}

static void one_op(struct worker *w)
{
	struct rng rng = rng_for(w->options->seed, w->index, w->op++);
	unsigned int i = mix_draw(current_mix(w->churn), &rng);

	count_result(&w->scenarios[i], scenario_at(i)->step(w, w->state[i], &rng));
}

/* Who can rest is not stuck. */
static void rest(struct worker *w)
{
	sleep_ns(FROZEN_PAUSE_NS);
	__atomic_store_n(&w->progress_ns, now_ns(), __ATOMIC_RELAXED);
}

static void end_scenarios(struct worker *w)
{
	for (unsigned int i = 0; i < scenarios_count(); i++)
		if (scenario_at(i)->end && w->state[i])
			scenario_at(i)->end(w, w->state[i]);
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
	pin_thread(w->cpu);
	while (!__atomic_load_n(&w->churn->stop, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&w->churn->frozen, __ATOMIC_ACQUIRE))
			rest(w);
		else if (!stutters(w))
			one_op(w);
	}
	end_scenarios(w);
	partner_free(TAKE_PTR(w->partner));
	while (w->n_owners)
		owner_kill(&w->owners[--w->n_owners]);
	owner_maker_done(&w->maker);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static int cpu_of_worker(unsigned int index)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0 || !CPU_COUNT(&set))
		return -1;
	return nth_cpu(&set, index);
}

static int worker_init(struct worker *w, struct churn *churn, unsigned int index)
{
	w->churn = churn;
	w->options = &churn->options;
	w->pool = churn->pool;
	w->index = index;
	w->cpu = cpu_of_worker(index);
	w->maker = (struct owner_maker)OWNER_MAKER_INIT(churn->options.places);
	w->owners = calloc(churn->options.owners, sizeof(*w->owners));
	if (!w->owners)
		return -ENOMEM;
	for (unsigned int i = 0; i < scenarios_count(); i++) {
		if (!scenario_at(i)->state_size)
			continue;
		w->state[i] = calloc(1, scenario_at(i)->state_size);
		if (!w->state[i])
			return -ENOMEM;
	}
	return 0;
}

static void worker_fini(struct worker *w)
{
	for (unsigned int i = 0; i < scenarios_count(); i++)
		free(w->state[i]);
	free(w->owners);
}

int churn_new(const struct churn_options *options, struct pool *pool, struct churn **ret)
{
	struct churn *churn = calloc(1, sizeof(*churn));

	if (!churn)
		return -ENOMEM;
	churn->options = *options;
	churn->pool = pool;
	churn->mixes[0] = options->mix;
	for (unsigned int i = 0; i < options->workers; i++) {
		int r = worker_init(&churn->workers[i], churn, i);

		if (r) {
			churn_free(churn);
			return r;
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

void churn_set_mix(struct churn *churn, const struct mix *mix)
{
	unsigned int other = !churn->mix;

	churn->mixes[other] = *mix;
	__atomic_store_n(&churn->mix, other, __ATOMIC_RELEASE);
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
		worker_fini(&churn->workers[i]);
	free(churn);
}

static void read_scenarios(const struct worker *w, struct snapshot *ret)
{
	for (unsigned int i = 0; i < ret->n_scenarios; i++) {
		ret->scenarios[i].steps += peek(&w->scenarios[i].steps);
		ret->scenarios[i].effects += peek(&w->scenarios[i].effects);
		ret->scenarios[i].failures += peek(&w->scenarios[i].failures);
	}
}

/* Who spoke first? After the counts were read, so that none of these is without a text. */
static void read_accusation(const struct churn *churn, struct snapshot *ret)
{
	uint64_t first = UINT64_MAX;

	for (unsigned int i = 0; i < churn->options.workers; i++) {
		const struct worker *w = &churn->workers[i];
		uint64_t accused = __atomic_load_n(&w->accused_ns, __ATOMIC_ACQUIRE);

		if (!accused || accused >= first)
			continue;
		first = accused;
		memcpy(ret->accusation, w->accusation, sizeof(ret->accusation));
	}
}

void churn_read(const struct churn *churn, struct snapshot *ret)
{
	uint64_t now = now_ns();

	ret->n_workers = churn->options.workers;
	ret->n_scenarios = scenarios_count();
	for (unsigned int i = 0; i < ret->n_scenarios; i++)
		ret->scenarios[i] = (struct snapshot_scenario){
			.weight = current_mix(churn)->weight[i],
			.named = current_mix(churn)->named[i],
		};
	for (unsigned int i = 0; i < churn->options.workers; i++) {
		const struct worker *w = &churn->workers[i];
		struct snapshot_worker *out = &ret->workers[i];
		uint64_t progress = peek(&w->progress_ns);

		out->ops = peek(&w->ops);
		out->errors = peek(&w->errors);
		out->idle_ns = w->running && now > progress ? now - progress : 0;
		for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++) {
			uint64_t born = peek(&w->born[kind]);

			out->owners += born;
			ret->owners_by_kind[kind] += born;
		}
		ret->syscall_updates += peek(&w->updates);
		ret->syscall_deletes += peek(&w->deletes);
		ret->syscall_lookups += peek(&w->lookups);
		ret->reader_lookups += peek(&w->reader_lookups);
		ret->reader_watched += peek(&w->reader_watched);
		ret->violations[VIOLATION_VALUE] += peek(&w->bad_values);
		ret->violations[VIOLATION_TORN] += peek(&w->torn_values);
		for (unsigned int e = 0; e < SOAK_ERR_NR; e++)
			ret->syscall_errors[e] += peek(&w->syscall_errors[e]);
		read_scenarios(w, ret);
	}
	read_accusation(churn, ret);
}
