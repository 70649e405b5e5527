// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scripted encounters of map_free() and destroy(): see encounter.h. This file is the
 * choreography; bpf/stall.bpf.h holds the locks. One director thread plays one encounter at
 * a time; one hand per CPU waits until the kernel side holds a lock (or waits in a rendezvous)
 * and then acts, so that there is an actor on a CPU that is not the stalled one.
 *
 * Stalls, named by the acquisition that is meant to fail, by itself or by the module:
 *   destroy_storage   map_free(A) holds owner O's storage lock; O dies, and destroy() of O's
 *                     other selems times out
 *   operate           the same hold; update and delete of O's other selems time out
 *   map_free_storage  the same hold, by the first of several map_free(); those of O's other maps
 *                     time out
 *   destroy_bucket    map_free(A) holds a bucket lock of A; other owners in A die
 *   map_free_bucket   map_free(A) has arrived at a bucket, and holds nothing; another owner in
 *                     that bucket dies, and its destroy() holds the bucket lock
 * And where no lock needs to time out by itself:
 *   duel              map_free(A) and map_free(B) arrive while all their owners die: each side
 *                     lingers a moment at a selem until the other is at the same one
 *
 * Unbound UDP sockets are the owners: they die inside close(), on the CPU that closes them.
 */
#include "encounter.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/churn.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/programs.h"
#include "daemon/rng.h"
#include "daemon/util.h"

_Static_assert(SOAK_PROTOCOL_BARE == IPPROTO_UDP, "what an unbound UDP socket can be asked for");

#define HANDS_MAX   8
#define OWNERS_MAX  96
#define VICTIM_MAPS 4
#define SHAPE	    0

/* Far below the soft lockup limit (20 s) and the hard lockup limit (10 s) of stock kernels. */
#define STALL_MAX_NS	    (3 * NSEC_PER_SEC)
#define RENDEZVOUS_NS	    (400 * NSEC_PER_MSEC)
#define BRIEF_RENDEZVOUS_NS (50 * NSEC_PER_MSEC)
#define INDEX_BITS	    8 /* of a cookie: which owner of the encounter's */
#define INDEX_MASK	    ((1u << INDEX_BITS) - 1)
#define LINGER_NS	    (4 * NSEC_PER_MSEC)
#define NOBODY_WAITS_NS	    (8 * NSEC_PER_MSEC)
#define DUEL_POLL_NS	    (150 * NSEC_PER_USEC)
#define DUELLISTS	    16
#define TRIGGER_TIMEOUT_NS  (10 * NSEC_PER_SEC)
#define HELD_IN_VAIN	    3
#define HELD_FOR_RATE	    10
#define POLL_NS		    (300 * NSEC_PER_USEC)

enum encounter {
	ENCOUNTER_DESTROY_STORAGE,
	ENCOUNTER_MAP_FREE_BUCKET,
	ENCOUNTER_OPERATE,
	ENCOUNTER_DESTROY_BUCKET,
	ENCOUNTER_MAP_FREE_STORAGE,
	ENCOUNTER_DUEL,
	ENCOUNTER_NR,
};

static const enum soak_site site_of[ENCOUNTER_NR] = {
	[ENCOUNTER_DESTROY_STORAGE] = SOAK_SITE_DESTROY_STORAGE,
	[ENCOUNTER_MAP_FREE_BUCKET] = SOAK_SITE_MAP_FREE_BUCKET,
	[ENCOUNTER_OPERATE] = SOAK_SITE_UPDATE,
	[ENCOUNTER_DESTROY_BUCKET] = SOAK_SITE_DESTROY_BUCKET,
	[ENCOUNTER_MAP_FREE_STORAGE] = SOAK_SITE_MAP_FREE_STORAGE,
	[ENCOUNTER_DUEL] = SOAK_SITE_NR, /* none in particular */
};

/* How often each is played, of 10: the undocumented leaks are what users came for. */
static const enum encounter programme[] = {
	ENCOUNTER_DESTROY_STORAGE, ENCOUNTER_MAP_FREE_BUCKET,  ENCOUNTER_DESTROY_STORAGE,
	ENCOUNTER_DESTROY_BUCKET,  ENCOUNTER_MAP_FREE_BUCKET,  ENCOUNTER_OPERATE,
	ENCOUNTER_DESTROY_STORAGE, ENCOUNTER_MAP_FREE_STORAGE, ENCOUNTER_MAP_FREE_BUCKET,
	ENCOUNTER_DESTROY_BUCKET,
};

/*
 * Where waiters are failed at once each site is worth the same, and what needs most encounters for
 * one failure comes most often.
 */
static const enum encounter brief_programme[] = {
	ENCOUNTER_MAP_FREE_STORAGE, ENCOUNTER_DESTROY_BUCKET,	ENCOUNTER_DESTROY_STORAGE,
	ENCOUNTER_MAP_FREE_BUCKET,  ENCOUNTER_MAP_FREE_STORAGE, ENCOUNTER_OPERATE,
	ENCOUNTER_MAP_FREE_BUCKET,  ENCOUNTER_DESTROY_STORAGE,
};

struct hand {
	struct encounters *encounters;
	pthread_t thread;
	int cpu;
	bool running;
};

struct encounters {
	struct encounters_options options;
	struct soak_plan *plans;
	unsigned int n_hands;
	struct hand hands[HANDS_MAX];
	pthread_t director;
	bool directing;
	bool stop;

	/* The encounter being played; round is odd while the hands may act. */
	uint64_t round;
	enum encounter encounter;
	unsigned int plan;	/* index */
	unsigned int trigger;	/* enum soak_plan_state */
	int owners[OWNERS_MAX]; /* sockets, -1 once closed */
	unsigned int n_owners;
	unsigned int next_owner; /* the hands take them one by one */
	unsigned int closed;	 /* of a duel's */
	unsigned int busy;	 /* hands at work */
	int hold_map;
	int victim_maps[VICTIM_MAPS];
	unsigned int n_victims;
	unsigned int wanted_owners; /* enough for two of them to share a bucket */

	uint64_t stall_ns, rounds, held, failed;
	unsigned int held_here, failed_here; /* since the stall was made longer */
};

static bool stopping(const struct encounters *in)
{
	return __atomic_load_n(&in->stop, __ATOMIC_ACQUIRE);
}

/* A pause of any length, ended by the order to stop. */
static void pause_for(const struct encounters *in, uint64_t ns)
{
	uint64_t end = now_ns() + ns, now;

	while (!stopping(in) && (now = now_ns()) < end)
		sleep_ns(MIN(end - now, 50 * NSEC_PER_MSEC));
}

static unsigned int plan_state(const struct soak_plan *plan)
{
	return __atomic_load_n(&plan->state, __ATOMIC_ACQUIRE);
}

/* No two values may have the same: the ledger tells a second free from another's by it. */
static uint64_t unique_cookie(unsigned int index)
{
	static uint64_t serial;

	return __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED) << INDEX_BITS | index;
}

/* Puts one value; what fails here fails for want of memory, and the encounter is called off. */
static int put(struct encounters *in, int map, int owner, unsigned int role, unsigned int index)
{
	size_t size = programs_value_size(SHAPE);
	unsigned char value[SOAK_SIZE_LARGE];

	churn_make_value(value, size, unique_cookie(index), in->plan + 1, role);
	return bpf_map_update_elem(map, &owner, value, BPF_ANY) < 0 ? -errno : 0;
}

static int new_map(struct encounters *in)
{
	int fd;

	for (;;) {
		fd = pool_new_map(in->options.pool, SOAK_SK, SHAPE);
		if (fd != -EAGAIN || stopping(in))
			return fd;
		sleep_ns(10 * NSEC_PER_MSEC);
	}
}

static int make_maps(struct encounters *in, unsigned int victims)
{
	in->n_victims = 0;
	in->hold_map = new_map(in);
	if (in->hold_map < 0)
		return in->hold_map;
	while (in->n_victims < victims) {
		int fd = new_map(in);

		if (fd < 0)
			return fd;
		in->victim_maps[in->n_victims++] = fd;
	}
	return 0;
}

static void close_maps(struct encounters *in)
{
	pool_close_map(in->options.pool, in->hold_map);
	in->hold_map = -1;
	while (in->n_victims)
		pool_close_map(in->options.pool, in->victim_maps[--in->n_victims]);
}

/*
 * Which of several map_free() comes first nobody knows, and once the one that was to hold is past,
 * the others wait for nothing: whoever is first holds.
 */
static unsigned int victim_role(const struct encounters *in)
{
	switch (in->encounter) {
	case ENCOUNTER_DUEL:
		return SOAK_ROLE_DUEL;
	case ENCOUNTER_MAP_FREE_STORAGE:
		return SOAK_ROLE_HOLD_STORAGE;
	default:
		return SOAK_ROLE_VICTIM;
	}
}

/*
 * Every other owner at a bucket has this one value only: its visit is then the one that takes the
 * last selem off a storage, and has that to free as well.
 */
static int protocol_of(unsigned int i, unsigned int role)
{
	bool at_bucket = role == SOAK_ROLE_HOLD_BUCKET || role == SOAK_ROLE_MEET_BUCKET;

	return at_bucket && i % 2 ? SOAK_PROTOCOL_BARE : 0;
}

static int make_owners(struct encounters *in, unsigned int n, unsigned int role)
{
	in->n_owners = 0;
	in->next_owner = 0;
	in->closed = 0;
	while (in->n_owners < n) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC,
				protocol_of(in->n_owners, role)),
		    r;

		if (fd < 0)
			return -errno;
		in->owners[in->n_owners++] = fd;
		r = put(in, in->hold_map, fd, role, in->n_owners - 1);
		for (unsigned int i = 0; !r && i < in->n_victims; i++)
			r = put(in, in->victim_maps[i], fd, victim_role(in), in->n_owners - 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static void close_owners(struct encounters *in)
{
	for (unsigned int i = 0; i < in->n_owners; i++)
		if (in->owners[i] >= 0)
			close(TAKE_FD(in->owners[i]));
}

static void operate_on(struct encounters *in, int owner)
{
	for (unsigned int i = 0; i < in->n_victims; i++) {
		int r;

		if (i % 2)
			r = bpf_map_delete_elem(in->victim_maps[i], &owner) < 0 ? -errno : 0;
		else
			r = put(in, in->victim_maps[i], owner, SOAK_ROLE_VICTIM, i);
		/* Visits report their failed locks themselves. */
		if (r == -ETIMEDOUT)
			__atomic_fetch_add(&in->plans[in->plan].timeouts, 1, __ATOMIC_RELAXED);
	}
}

/* The owner whose visit waits in the rendezvous must live on: its destroy() would find nothing. */
static bool is_spared(const struct encounters *in, unsigned int i)
{
	return in->encounter == ENCOUNTER_MAP_FREE_BUCKET &&
	       (in->plans[in->plan].cookie & INDEX_MASK) == i;
}

static bool close_owner(struct encounters *in, unsigned int i)
{
	int fd = i < in->n_owners ? __atomic_exchange_n(&in->owners[i], -1, __ATOMIC_ACQ_REL) : -1;

	if (fd < 0)
		return false;
	close(fd);
	__atomic_fetch_add(&in->closed, 1, __ATOMIC_ACQ_REL);
	return true;
}

/* map_free says at whose selem it waits: that owner dies next. Any other when it is nobody's. */
static void fight(struct encounters *in)
{
	const struct soak_plan *plan = &in->plans[in->plan];
	uint64_t deadline = now_ns() + NOBODY_WAITS_NS;

	while (!stopping(in) && __atomic_load_n(&in->closed, __ATOMIC_ACQUIRE) < in->n_owners) {
		uint64_t cookie = __atomic_load_n(&plan->cookie, __ATOMIC_ACQUIRE);

		if (close_owner(in, (unsigned int)(cookie & INDEX_MASK))) {
			deadline = now_ns() + NOBODY_WAITS_NS;
		} else if (now_ns() < deadline) {
			sleep_ns(DUEL_POLL_NS);
		} else {
			close_owner(in, __atomic_fetch_add(&in->next_owner, 1, __ATOMIC_ACQ_REL));
			if (in->next_owner >= in->n_owners)
				return;
		}
	}
}

static void act(struct encounters *in)
{
	const struct soak_plan *plan = &in->plans[in->plan];

	if (in->encounter == ENCOUNTER_MAP_FREE_STORAGE)
		return;
	if (in->encounter == ENCOUNTER_DUEL) {
		fight(in);
		return;
	}
	for (;;) {
		unsigned int i = __atomic_fetch_add(&in->next_owner, 1, __ATOMIC_ACQ_REL);

		if (i >= in->n_owners || plan_state(plan) == SOAK_PLAN_DONE)
			return;
		if (is_spared(in, i))
			continue;
		if (in->encounter == ENCOUNTER_OPERATE)
			operate_on(in, in->owners[i]);
		else
			close(TAKE_FD(in->owners[i]));
	}
}

static void pin_hand(const struct hand *hand)
{
	cpu_set_t set;

	if (hand->cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(hand->cpu, &set);
	/* Refused while its CPU is offline: then anywhere will do. */
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *hand_main(void *arg)
{
	struct hand *hand = arg;
	struct encounters *in = hand->encounters;
	uint64_t played = 0;

	pin_hand(hand);
	while (!stopping(in)) {
		uint64_t round = __atomic_load_n(&in->round, __ATOMIC_ACQUIRE);

		if (!(round & 1) || round == played) {
			sleep_ns(POLL_NS);
			continue;
		}
		/* Its CPU has been offline: the kernel then lets it run anywhere. */
		if (sched_getcpu() != hand->cpu)
			pin_hand(hand);
		__atomic_fetch_add(&in->busy, 1, __ATOMIC_ACQ_REL);
		/* The director may have closed the round in between: it waits for busy hands. */
		if (__atomic_load_n(&in->round, __ATOMIC_ACQUIRE) == round &&
		    plan_state(&in->plans[in->plan]) == in->trigger) {
			played = round;
			act(in);
		}
		__atomic_fetch_sub(&in->busy, 1, __ATOMIC_ACQ_REL);
		sleep_ns(POLL_NS);
	}
	return NULL;
}

static uint64_t rendezvous_ns(const struct encounters *in)
{
	if (in->encounter == ENCOUNTER_DUEL)
		return LINGER_NS;
	return in->options.brief ? BRIEF_RENDEZVOUS_NS : RENDEZVOUS_NS;
}

static void write_plan(struct encounters *in)
{
	struct soak_plan *plan = &in->plans[in->plan];

	plan->timeouts = 0;
	plan->stall_ns = in->stall_ns;
	plan->rendezvous_ns = rendezvous_ns(in);
	plan->bucket = 0;
	plan->held_ns = 0;
	plan->cookie = UINT64_MAX;
	plan->site = site_of[in->encounter];
	__atomic_store_n(&plan->state, SOAK_PLAN_ARMED, __ATOMIC_RELEASE);
}

static int set_up(struct encounters *in)
{
	switch (in->encounter) {
	case ENCOUNTER_DESTROY_STORAGE:
	case ENCOUNTER_OPERATE:
	case ENCOUNTER_MAP_FREE_STORAGE:
		in->trigger = SOAK_PLAN_HOLDING;
		return make_maps(in, in->encounter == ENCOUNTER_DESTROY_STORAGE ? 2 : VICTIM_MAPS)
			       ?: make_owners(in, 1, SOAK_ROLE_HOLD_STORAGE);
	case ENCOUNTER_DESTROY_BUCKET:
		in->trigger = SOAK_PLAN_HOLDING;
		return make_maps(in, 0)
			       ?: make_owners(in, in->wanted_owners, SOAK_ROLE_HOLD_BUCKET);
	case ENCOUNTER_DUEL:
		in->trigger = SOAK_PLAN_WAITING;
		return make_maps(in, 1) ?: make_owners(in, DUELLISTS, SOAK_ROLE_DUEL);
	default:
		in->trigger = SOAK_PLAN_WAITING;
		return make_maps(in, 0)
			       ?: make_owners(in, in->wanted_owners, SOAK_ROLE_MEET_BUCKET);
	}
}

/* A duel ends with the last owner, a stall when the holder lets go. */
static bool is_over(const struct encounters *in)
{
	if (in->encounter == ENCOUNTER_DUEL)
		return __atomic_load_n(&in->closed, __ATOMIC_ACQUIRE) >= in->n_owners ||
		       __atomic_load_n(&in->next_owner, __ATOMIC_ACQUIRE) >= in->n_owners;
	return plan_state(&in->plans[in->plan]) == SOAK_PLAN_DONE;
}

static void wait_for_end(struct encounters *in)
{
	uint64_t deadline = now_ns() + TRIGGER_TIMEOUT_NS;

	while (!stopping(in) && !is_over(in) && now_ns() < deadline)
		sleep_ns(2 * NSEC_PER_MSEC);
}

static void wait_for_hands(struct encounters *in)
{
	__atomic_fetch_add(&in->round, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&in->busy, __ATOMIC_ACQUIRE))
		sleep_ns(POLL_NS);
}

/* No encounter fails for sure, so one that did not proves little; none of several proves a lot. */
static bool is_too_short(const struct encounters *in)
{
	if (!in->failed_here)
		return in->held_here >= HELD_IN_VAIN;
	return in->held_here >= HELD_FOR_RATE && in->failed_here * 4 < in->held_here;
}

/* The test-and-set path waits longer than the queued one: learn it by failing to fail. */
static void learn(struct encounters *in)
{
	const struct soak_plan *plan = &in->plans[in->plan];

	in->rounds++;
	if (!plan->held_ns)
		return;
	in->held++;
	in->held_here++;
	if (__atomic_load_n(&plan->timeouts, __ATOMIC_RELAXED)) {
		in->failed++;
		in->failed_here++;
	}
	if (in->options.brief || !is_too_short(in))
		return;
	in->held_here = in->failed_here = 0;
	if (in->stall_ns >= STALL_MAX_NS)
		return;
	in->stall_ns = MIN(in->stall_ns * 3 / 2, STALL_MAX_NS);
	log_info("stall: too few timeouts behind a holder of %u ms, trying %u ms",
		 (unsigned int)(plan->stall_ns / NSEC_PER_MSEC),
		 (unsigned int)(in->stall_ns / NSEC_PER_MSEC));
}

/* So that one map_free() finds another at the same owner. */
static bool closes_all_maps(const struct encounters *in)
{
	return in->encounter == ENCOUNTER_MAP_FREE_STORAGE || in->encounter == ENCOUNTER_DUEL;
}

static void play(struct encounters *in)
{
	int r;

	in->plan = in->options.first_plan + (unsigned int)(in->rounds % in->options.n_plans);
	r = set_up(in);
	if (!r) {
		write_plan(in);
		__atomic_fetch_add(&in->round, 1, __ATOMIC_ACQ_REL);
		if (closes_all_maps(in))
			close_maps(in);
		pool_close_map(in->options.pool, TAKE_FD(in->hold_map));
		wait_for_end(in);
		wait_for_hands(in);
		learn(in);
		__atomic_store_n(&in->plans[in->plan].state, SOAK_PLAN_IDLE, __ATOMIC_RELEASE);
	} else {
		log_debug("encounter called off: %s", strerror(-r));
		in->rounds++;
	}
	close_owners(in);
	close_maps(in);
}

static enum encounter choose(const struct encounters *in, uint64_t turn)
{
	if (in->options.duels)
		return ENCOUNTER_DUEL;
	if (in->options.brief)
		return brief_programme[(turn + in->options.first_turn) %
				       ARRAY_SIZE(brief_programme)];
	/* Until the needed time is known, play what teaches it. */
	if (!in->failed && turn % 2)
		return ENCOUNTER_DESTROY_STORAGE;
	return programme[turn % ARRAY_SIZE(programme)];
}

static void *direct(void *arg)
{
	struct encounters *in = arg;

	for (uint64_t turn = 0; !stopping(in); turn++) {
		in->encounter = choose(in, turn);
		play(in);
		/* A stalled holder stops grace periods, and with them the churn: let it breathe. */
		pause_for(in, MAX(in->options.pause_ns, in->plans[in->plan].held_ns / 2));
	}
	return NULL;
}

/* Several owners for each bucket, or no two share one (bpf_local_storage_map_alloc()). */
static unsigned int owners_wanted(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	unsigned int buckets = 2;

	while (buckets < cpus)
		buckets *= 2;
	return MIN(MAX(3 * buckets, 8u), (unsigned int)OWNERS_MAX);
}

static int start_hands(struct encounters *in)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE && in->n_hands < HANDS_MAX; cpu++) {
		struct hand *hand = &in->hands[in->n_hands];
		int r;

		if (!CPU_ISSET(cpu, &set))
			continue;
		hand->encounters = in;
		hand->cpu = cpu;
		r = pthread_create(&hand->thread, NULL, hand_main, hand);
		if (r)
			return -r;
		hand->running = true;
		in->n_hands++;
	}
	return 0;
}

void encounters_stop(struct encounters *in)
{
	if (!in)
		return;
	__atomic_store_n(&in->stop, true, __ATOMIC_RELEASE);
	/* Ends every spin under way within its next turn. */
	__atomic_store_n(&programs_control(in->options.programs)->stall, 0, __ATOMIC_SEQ_CST);
	if (in->directing)
		pthread_join(in->director, NULL);
	for (unsigned int i = 0; i < in->n_hands; i++)
		if (in->hands[i].running)
			pthread_join(in->hands[i].thread, NULL);
	free(in);
}

int encounters_start(const struct encounters_options *options, struct encounters **ret)
{
	struct encounters *in = calloc(1, sizeof(*in));
	int r;

	if (!in)
		return -ENOMEM;
	in->options = *options;
	in->plans = programs_plans(options->programs);
	in->stall_ns = MIN(options->stall_ns, STALL_MAX_NS);
	in->wanted_owners = owners_wanted();
	in->hold_map = -1;
	__atomic_store_n(&programs_control(options->programs)->stall, 1, __ATOMIC_SEQ_CST);
	r = start_hands(in);
	if (!r)
		r = -pthread_create(&in->director, NULL, direct, in);
	if (r) {
		encounters_stop(in);
		return r;
	}
	in->directing = true;
	*ret = in;
	return 0;
}

uint64_t encounters_stall_ns(const struct encounters *in)
{
	return __atomic_load_n(&in->stall_ns, __ATOMIC_RELAXED);
}

uint64_t encounters_held(const struct encounters *in)
{
	return __atomic_load_n(&in->held, __ATOMIC_RELAXED);
}
