// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arranges meetings: see rendezvous.h. A round has one map that goes (its last reference is dropped
 * at the start), mostly one that stays, and some owners with a value in each. Which owner
 * map_free() has come to stands in the meeting's cookie; a hand takes it from there, so that each
 * is answered once.
 */
#include "rendezvous.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "churn.h"
#include "log.h"
#include "util.h"

#define HANDS_MAX    4
#define OWNERS_MAX   128 /* what is costly about a round is that map_free() comes late */
#define OWNERS_FEW   16	 /* where all are gone through for each of them */
#define LISTENERS    8
#define INDEX_MASK   0xffu
#define SERIAL_SHIFT 9 /* above SOAK_MEETING_STAYS */
#define NOBODY	     UINT64_MAX

#define PAUSE_NS    (10 * NSEC_PER_MSEC)  /* between two rounds: churn goes on as well */
#define POLL_NS	    (100 * NSEC_PER_USEC) /* how soon a hand sees that map_free() waits */
#define EAGER_NS    (2 * NSEC_PER_MSEC)	  /* so long after an answer it does not sleep: more come */
#define QUIET_NS    (30 * NSEC_PER_MSEC)  /* nothing new for so long: map_free() has been there */
#define LAST_NS	    (3 * NSEC_PER_MSEC)	  /* it has come to all: beyond what it waits there */
#define ROUND_NS    (3 * NSEC_PER_SEC)	  /* a grace period of a busy machine, and more */
#define EARLY_NS    (2 * NSEC_PER_MSEC)	  /* a guess is that much before the time by experience */
#define OLD_ROUNDS  64			  /* of a way, before they are halved */
#define EXPLORE_ONE 5			  /* of so many rounds one tries the other way */
#define UNIT	    64
#define RAISE	    12

enum way {
	WAY_ANSWER,
	WAY_GUESS,
};

struct hand {
	struct rendezvous *of;
	pthread_t thread;
	int cpu;
};

struct rendezvous {
	struct rendezvous_options options;
	pthread_t director;
	struct hand hands[HANDS_MAX];
	unsigned int n_hands;
	bool stop;

	struct rng rng;
	struct rendezvous_ways ways[SOAK_MEET_NR];
	uint64_t rounds;

	/* The round; odd while the hands may act. */
	uint64_t round;
	unsigned int busy; /* hands at work */
	enum soak_appointment appointment;
	enum way way;
	uint64_t act_ns; /* a guess: when to begin */
	struct soak_meeting *meeting;
	unsigned int index;	/* of the meeting */
	int owners[OWNERS_MAX]; /* -1: closed */
	unsigned int n_owners;
	unsigned int next; /* a guess: whose turn it is */
	int goes, stays;   /* maps, -1: none */
};

static const char *const appointment_names[SOAK_MEET_NR] = {
	[SOAK_MEET_SELEM] = "selem",	   [SOAK_MEET_OWNER] = "owner",
	[SOAK_MEET_BUCKET] = "bucket",	   [SOAK_MEET_DELETE] = "delete",
	[SOAK_MEET_CLONE] = "clone",	   [SOAK_MEET_ITERATOR] = "iterator",
	[SOAK_MEET_UNCHARGE] = "uncharge",
};

const char *appointment_name(enum soak_appointment appointment)
{
	return (unsigned int)appointment < SOAK_MEET_NR ? appointment_names[appointment]
							: "unknown";
}

/*
 * UNIT for what was met most, as many times that as another was met less often, and RAISE times at
 * most: some are met a hundred times in a round, and some a few times, which would have all rounds.
 */
static uint64_t weight_of(uint64_t met, uint64_t most)
{
	return MIN(UNIT * (most + 1) / (met + 1), UNIT * RAISE);
}

enum soak_appointment rendezvous_draw(const uint64_t met[SOAK_MEET_NR], bool uncharge,
				      struct rng *rng)
{
	unsigned int n = uncharge ? SOAK_MEET_NR : SOAK_MEET_UNCHARGE, i = 0;
	uint64_t most = 0, total = 0, at;

	for (unsigned int a = 0; a < n; a++)
		most = MAX(most, met[a]);
	for (unsigned int a = 0; a < n; a++)
		total += weight_of(met[a], most);
	at = rng_next(rng) % total;
	while (i + 1 < n && at >= weight_of(met[i], most))
		at -= weight_of(met[i++], most);
	return (enum soak_appointment)i;
}

unsigned int rendezvous_way(const struct rendezvous_ways *ways, struct rng *rng)
{
	/* Meetings a round, as a fraction; what was never tried is worth a try. */
	uint64_t answer = (uint64_t)(ways->met[WAY_ANSWER] + 1) * (ways->tried[WAY_GUESS] + 1);
	uint64_t guess = (uint64_t)(ways->met[WAY_GUESS] + 1) * (ways->tried[WAY_ANSWER] + 1);
	unsigned int best = guess > answer ? WAY_GUESS : WAY_ANSWER;

	/* There is nothing to guess by. */
	if (!ways->lead_ns)
		return WAY_ANSWER;
	return rng_below(rng, EXPLORE_ONE) ? best : !best;
}

void rendezvous_learn(struct rendezvous_ways *ways, unsigned int way, unsigned int met,
		      uint64_t lead_ns)
{
	if (lead_ns)
		ways->lead_ns = ways->lead_ns ? (ways->lead_ns * 7 + lead_ns) / 8 : lead_ns;
	ways->tried[way]++;
	ways->met[way] += met;
	if (ways->tried[way] < OLD_ROUNDS)
		return;
	ways->tried[way] /= 2;
	ways->met[way] /= 2;
}

static bool stopping(const struct rendezvous *r)
{
	return __atomic_load_n(&r->stop, __ATOMIC_ACQUIRE);
}

/* The other side's part. */

static bool close_owner(struct rendezvous *r, unsigned int i)
{
	int fd = i < r->n_owners ? __atomic_exchange_n(&r->owners[i], -1, __ATOMIC_ACQ_REL) : -1;

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Whether somebody waits for a meeting. */
static bool is_awaited(const struct rendezvous *r)
{
	uint64_t word = __atomic_load_n(&r->meeting->word, __ATOMIC_ACQUIRE);

	return word && !(word & 4);
}

/* Others die, until one of them had its value in the bucket in question. */
static void close_others(struct rendezvous *r, unsigned int i)
{
	for (unsigned int n = 1; n < r->n_owners && is_awaited(r); n++)
		close_owner(r, (i + n) % r->n_owners);
}

/* A connection makes the listener's child, a clone; it is gone again at once. */
static void connect_to(int listener)
{
	struct linger linger = { .l_onoff = 1 };
	_cleanup_close_ int client = -1, child = -1;
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client < 0 || getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		return;
	/* Reset on close: ports do not last for a hundred meetings a minute. */
	setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	connect(client, (struct sockaddr *)&address, len);
	child = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (child >= 0)
		setsockopt(child, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void iterate(struct rendezvous *r)
{
	_cleanup_close_ int fd = programs_iterate(r->options.programs, r->stays);
	char buf[64];

	while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
		;
}

static void act_on(struct rendezvous *r, unsigned int i)
{
	int fd = i < r->n_owners ? __atomic_load_n(&r->owners[i], __ATOMIC_ACQUIRE) : -1;

	switch (r->appointment) {
	case SOAK_MEET_BUCKET:
		close_others(r, i);
		break;
	case SOAK_MEET_DELETE:
		if (fd >= 0)
			bpf_map_delete_elem(r->stays, &fd);
		break;
	case SOAK_MEET_CLONE:
		if (fd >= 0)
			connect_to(fd);
		break;
	case SOAK_MEET_ITERATOR:
		iterate(r);
		break;
	default:
		close_owner(r, i);
		break;
	}
}

static bool is_open(const struct rendezvous *r, uint64_t round)
{
	return !stopping(r) && __atomic_load_n(&r->round, __ATOMIC_ACQUIRE) == round;
}

static uint64_t take_arrival(struct rendezvous *r)
{
	if (__atomic_load_n(&r->meeting->cookie, __ATOMIC_RELAXED) == NOBODY)
		return NOBODY;
	return __atomic_exchange_n(&r->meeting->cookie, NOBODY, __ATOMIC_ACQ_REL);
}

/*
 * Each arrival of map_free() is answered by one hand, whichever sees it first: the one whose CPU is
 * not map_free()'s. It would sleep longer than map_free() waits.
 */
static void answer(struct rendezvous *r, uint64_t round)
{
	uint64_t eager = 0;

	while (is_open(r, round)) {
		uint64_t cookie = take_arrival(r);

		if (cookie != NOBODY) {
			act_on(r, cookie & INDEX_MASK);
			eager = now_ns() + EAGER_NS;
		} else if (now_ns() > eager) {
			sleep_ns(POLL_NS);
		}
	}
}

/* One owner after the other, from when map_free() is expected: the other side waits then. */
static void guess(struct rendezvous *r, uint64_t round)
{
	while (is_open(r, round) && now_ns() < r->act_ns)
		sleep_ns(POLL_NS);
	while (is_open(r, round)) {
		unsigned int i = __atomic_fetch_add(&r->next, 1, __ATOMIC_ACQ_REL);

		if (i >= r->n_owners)
			break;
		act_on(r, i);
	}
	answer(r, round);
}

static void pin_hand(const struct hand *hand)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(hand->cpu, &set);
	/* Refused while its CPU is offline: then anywhere will do. */
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *hand_main(void *arg)
{
	struct hand *hand = arg;
	struct rendezvous *r = hand->of;
	uint64_t played = 0;

	pin_hand(hand);
	prctl(PR_SET_TIMERSLACK, 1000);
	while (!stopping(r)) {
		uint64_t round = __atomic_load_n(&r->round, __ATOMIC_ACQUIRE);

		if (!(round & 1) || round == played) {
			sleep_ns(10 * POLL_NS);
			continue;
		}
		played = round;
		/* Its CPU has been offline: the kernel then lets it run anywhere. */
		if (sched_getcpu() != hand->cpu)
			pin_hand(hand);
		__atomic_fetch_add(&r->busy, 1, __ATOMIC_ACQ_REL);
		/* The director may have closed it in between: it waits for busy hands. */
		if (is_open(r, round) && r->way == WAY_GUESS)
			guess(r, round);
		else
			answer(r, round);
		__atomic_fetch_sub(&r->busy, 1, __ATOMIC_ACQ_REL);
	}
	return NULL;
}

/* A round. */

/* With BPF_F_CLONE where clones are to come. */
static unsigned int shape_of(enum soak_appointment appointment)
{
	return appointment == SOAK_MEET_CLONE ? 1 : 0;
}

static bool has_map_that_stays(enum soak_appointment appointment)
{
	return appointment != SOAK_MEET_SELEM && appointment != SOAK_MEET_BUCKET;
}

static int put(struct rendezvous *r, int map, unsigned int i, uint64_t stays)
{
	static uint64_t serial;
	size_t size = programs_value_size(shape_of(r->appointment));
	unsigned char value[SOAK_SIZE_LARGE];
	uint64_t cookie =
		__atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED) << SERIAL_SHIFT | stays | i;

	churn_make_value(value, size, cookie, SOAK_PLANS + 1 + r->index, SOAK_ROLE_MEETING);
	return bpf_map_update_elem(map, &r->owners[i], value, BPF_ANY) < 0 ? -errno : 0;
}

static int new_owner(const struct rendezvous *r)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	bool listens = r->appointment == SOAK_MEET_CLONE;
	_cleanup_close_ int fd =
		socket(AF_INET, (listens ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (listens &&
	    (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0))
		return -errno;
	return TAKE_FD(fd);
}

static unsigned int owners_of(enum soak_appointment appointment)
{
	if (appointment == SOAK_MEET_CLONE)
		return LISTENERS;
	return appointment == SOAK_MEET_ITERATOR ? OWNERS_FEW : OWNERS_MAX;
}

/* The map that goes comes last: its element is then the first of the owner's list. */
static int make_owners(struct rendezvous *r)
{
	unsigned int wanted = owners_of(r->appointment);

	while (r->n_owners < wanted && !stopping(r)) {
		int fd = new_owner(r), error = 0;

		if (fd < 0)
			return fd;
		r->owners[r->n_owners++] = fd;
		if (r->stays >= 0)
			error = put(r, r->stays, r->n_owners - 1, SOAK_MEETING_STAYS);
		if (!error)
			error = put(r, r->goes, r->n_owners - 1, 0);
		if (error)
			return error;
	}
	return 0;
}

static int set_up(struct rendezvous *r)
{
	unsigned int shape = shape_of(r->appointment);

	r->n_owners = r->next = 0;
	r->goes = r->stays = -1;
	r->goes = pool_new_map(r->options.pool, SOAK_SK, shape);
	if (r->goes < 0)
		return r->goes;
	if (has_map_that_stays(r->appointment)) {
		r->stays = pool_new_map(r->options.pool, SOAK_SK, shape);
		if (r->stays < 0)
			return r->stays;
	}
	return make_owners(r);
}

static void clear_up(struct rendezvous *r)
{
	for (unsigned int i = 0; i < r->n_owners; i++)
		close_owner(r, i);
	if (r->goes >= 0)
		pool_close_map(r->options.pool, TAKE_FD(r->goes));
	if (r->stays >= 0)
		pool_close_map(r->options.pool, TAKE_FD(r->stays));
}

static void arm(struct rendezvous *r)
{
	struct soak_meeting *meeting = r->meeting;

	meeting->cookie = NOBODY;
	meeting->first_ns = 0;
	meeting->arrived = 0;
	meeting->wait_ns = r->options.wait_ns;
	meeting->appointment = r->appointment;
	__atomic_store_n(&meeting->armed, 1, __ATOMIC_RELEASE);
}

/* Until map_free() has been everywhere, or never comes; to fewer, where owners died first. */
static void wait_for_end(const struct rendezvous *r, uint64_t begun)
{
	uint64_t quiet = 0, last_ns = r->options.wait_ns + LAST_NS;
	unsigned int seen = 0, now;

	while (!stopping(r) && now_ns() - begun < ROUND_NS) {
		now = __atomic_load_n(&r->meeting->arrived, __ATOMIC_ACQUIRE);
		if (now != seen)
			quiet = now_ns() + (now < r->n_owners ? QUIET_NS : last_ns);
		seen = now;
		if (quiet && now_ns() > quiet)
			return;
		sleep_ns(10 * POLL_NS);
	}
}

static void wait_for_hands(struct rendezvous *r)
{
	__atomic_fetch_add(&r->round, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&r->busy, __ATOMIC_ACQUIRE))
		sleep_ns(POLL_NS);
}

static void read_met(const struct rendezvous *r, uint64_t met[SOAK_MEET_NR])
{
	_cleanup_free_ struct soak_counters *counters = malloc(sizeof(*counters));

	memset(met, 0, SOAK_MEET_NR * sizeof(*met));
	if (!counters)
		return;
	programs_counters(r->options.programs, counters);
	for (unsigned int a = 0; a < SOAK_MEET_NR; a++)
		met[a] = counters->meetings_met[a];
}

static void hold_round(struct rendezvous *r)
{
	struct rendezvous_ways *ways = &r->ways[r->appointment];
	uint64_t begun, first, before[SOAK_MEET_NR], after[SOAK_MEET_NR];

	read_met(r, before);
	r->way = (enum way)rendezvous_way(ways, &r->rng);
	arm(r);
	begun = now_ns();
	r->act_ns = begun + (ways->lead_ns > EARLY_NS ? ways->lead_ns - EARLY_NS : 0);
	__atomic_fetch_add(&r->round, 1, __ATOMIC_ACQ_REL);
	pool_close_map(r->options.pool, TAKE_FD(r->goes));
	wait_for_end(r, begun);
	wait_for_hands(r);
	__atomic_store_n(&r->meeting->armed, 0, __ATOMIC_RELEASE);
	first = __atomic_load_n(&r->meeting->first_ns, __ATOMIC_ACQUIRE);
	read_met(r, after);
	rendezvous_learn(ways, r->way,
			 (unsigned int)(after[r->appointment] - before[r->appointment]),
			 first > begun ? first - begun : 0);
}

static void *director_main(void *arg)
{
	struct rendezvous *r = arg;
	uint64_t met[SOAK_MEET_NR];

	while (!stopping(r)) {
		int error;

		read_met(r, met);
		r->appointment = rendezvous_draw(met, r->options.uncharge, &r->rng);
		r->index = (unsigned int)(r->rounds++ % SOAK_MEETINGS);
		r->meeting = &programs_meetings(r->options.programs)[r->index];
		error = set_up(r);
		if (!error)
			hold_round(r);
		else if (error != -EAGAIN)
			log_debug("rendezvous: %s called off: %s", appointment_name(r->appointment),
				  strerror(-error));
		clear_up(r);
		sleep_ns(PAUSE_NS);
	}
	return NULL;
}

/* Beginning and end. */

static int start_hands(struct rendezvous *r)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE && r->n_hands < HANDS_MAX; cpu++) {
		struct hand *hand = &r->hands[r->n_hands];
		int error;

		if (!CPU_ISSET(cpu, &set))
			continue;
		*hand = (struct hand){ .of = r, .cpu = cpu };
		error = pthread_create(&hand->thread, NULL, hand_main, hand);
		if (error)
			return -error;
		r->n_hands++;
	}
	return 0;
}

int rendezvous_start(const struct rendezvous_options *options, struct rendezvous **ret)
{
	struct rendezvous *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->options = *options;
	r->goes = r->stays = -1;
	r->rng = rng_for(options->seed, SNAPSHOT_WORKERS, 0);
	error = start_hands(r);
	if (!error)
		error = -pthread_create(&r->director, NULL, director_main, r);
	else
		r->director = 0;
	if (error) {
		__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
		for (unsigned int i = 0; i < r->n_hands; i++)
			pthread_join(r->hands[i].thread, NULL);
		free(r);
		return error;
	}
	__atomic_store_n(&programs_control(options->programs)->rendezvous,
			 options->uncharge ? 2 : 1, __ATOMIC_RELEASE);
	*ret = r;
	return 0;
}

void rendezvous_stop(struct rendezvous *r)
{
	if (!r)
		return;
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
	pthread_join(r->director, NULL);
	for (unsigned int i = 0; i < r->n_hands; i++)
		pthread_join(r->hands[i].thread, NULL);
	__atomic_store_n(&programs_control(r->options.programs)->rendezvous, 0, __ATOMIC_RELEASE);
	free(r);
}
