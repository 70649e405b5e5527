// SPDX-License-Identifier: GPL-2.0-only
/* Positive controls of the oracles: see control.h. */
#include "control.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "churn.h"
#include "fields.h"
#include "kmsg.h"
#include "ledger.h"
#include "log.h"
#include "map_ids.h"
#include "owner.h"
#include "pool.h"
#include "probe.h"
#include "programs.h"
#include "reader.h"
#include "util.h"

#define OWNERS	     4
#define SETTLE_NS    (10 * NSEC_PER_SEC)
#define CGROUP_NS    (30 * NSEC_PER_SEC) /* whose death goes through several work queues */
#define SIEVE_OWNERS 128
#define SIEVE_ROUNDS 4

/* Whatever the fill programs do: something that dies with its owner. */
static void store_in_pool(struct pool *pool, enum soak_kind kind, int key, const void *value)
{
	int map = pool_get(pool, kind, 0, 0);

	if (map < 0)
		return;
	bpf_map_update_elem(map, &key, value, BPF_ANY);
	pool_put(pool, kind, 0, 0);
}

/* Owners die by destroy(); before that one map is freed and one value deleted under them. */
static void exercise(struct programs *programs, struct pool *pool, struct places *places,
		     enum owner_type type)
{
	struct owner_maker maker = OWNER_MAKER_INIT(places);
	enum soak_kind kind = owner_kind(type);
	unsigned char value[SOAK_SIZE_LARGE];
	struct rng rng = rng_for(1, 0, type);
	struct owner owners[OWNERS];
	unsigned int n = 0;
	int map;

	map = pool_new_map(pool, kind, 0);
	for (unsigned int i = 0; i < OWNERS; i++)
		if (owner_new(&maker, type, &rng, &owners[n]) > 0)
			n++;
	churn_make_value(value, programs_value_size(0), 1, 0, SOAK_ROLE_NONE);
	for (unsigned int i = 0; map >= 0 && i < n; i++) {
		int key = owner_key(&owners[i], &rng);

		if (key < 0)
			continue;
		store_in_pool(pool, kind, key, value);
		bpf_map_update_elem(map, &key, value, BPF_ANY);
		if (i == 0)
			bpf_map_delete_elem(map, &key);
	}
	pool_close_map(pool, map);
	for (unsigned int i = 0; i < 100 && programs_map_frees_done(programs) < pool_closed(pool);
	     i++)
		sleep_ns(50 * NSEC_PER_MSEC);
	while (n)
		owner_kill(&owners[--n]);
	owner_maker_done(&maker);
}

/* Waits for the frees of what was born; returns how many selems and storages stay alive. */
static uint64_t settle(const struct programs *programs, uint64_t ns, struct snapshot *s)
{
	uint64_t deadline = now_ns() + ns;

	do {
		memset(s, 0, sizeof(*s));
		ledger_read_counters(programs, s);
		if (!snapshot_alive(s))
			return 0;
		sleep_ns(50 * NSEC_PER_MSEC);
	} while (now_ns() < deadline);
	return snapshot_alive(s);
}

/* Born and freed, all of them: live. Else blind, or absent where the kernel never had nofail. */
static enum oracle_state judge(bool seen, const struct probe *probe)
{
	if (seen)
		return ORACLE_LIVE;
	return probe->nofail ? ORACLE_BLIND : ORACLE_ABSENT;
}

/* Returns how many selems and storages stay alive, of those that were before. */
static uint64_t control_kind(struct programs *programs, struct pool *pool, struct places *places,
			     enum soak_kind kind, uint64_t before, struct snapshot *s)
{
	static const enum owner_type types[SOAK_KIND_NR] = {
		[SOAK_SK] = OWNER_UDP,
		[SOAK_TASK] = OWNER_CLONE3,
		[SOAK_CGROUP] = OWNER_CGROUP,
		[SOAK_INODE] = OWNER_MEMFD,
	};
	uint64_t left;

	exercise(programs, pool, places, types[kind]);
	left = settle(programs, kind == SOAK_CGROUP ? CGROUP_NS : SETTLE_NS, s);
	if (left > before)
		log_debug("control: %llu selems or storages of %s seen born and not seen freed",
			  (unsigned long long)(left - before), owner_kind_phrase(kind));
	return left;
}

/* All that there are: one that is not live may have storages whose fate we do not see. */
static bool all_ledgers_live(const struct programs *programs, const enum oracle_state *states)
{
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		if (programs_has_kind(programs, kind) &&
		    states[snapshot_ledger_of(kind)] != ORACLE_LIVE)
			return false;
	return true;
}

static bool all_identities_checked(const struct programs *programs, const struct snapshot *s)
{
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		if (programs_has_kind(programs, kind) && !s->c.identity_checked[kind])
			return false;
	return true;
}

static void control_ledger(struct programs *programs, struct pool *pool, struct places *places,
			   const struct probe *probe, enum oracle_state *states)
{
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));
	uint64_t left = 0, visits = 0;

	if (!s)
		return;
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++) {
		uint64_t before = left;

		if (!programs_has_kind(programs, kind))
			continue;
		left = control_kind(programs, pool, places, kind, before, s);
		states[snapshot_ledger_of(kind)] =
			judge(s->c.births[kind] && left == before, probe);
	}
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		visits += snapshot_visits(s, side, SOAK_LOCK_OK, SOAK_LOCK_OK) > 0;
	states[ORACLE_VISITS] = judge(visits == SOAK_SIDE_NR, probe);
	/* Storages of a kind that is not followed would come between. */
	states[ORACLE_STORAGE] =
		judge(s->c.storage_births == s->c.storage_frees && s->c.storage_births &&
			      all_ledgers_live(programs, states),
		      probe);
	states[ORACLE_OMEM] = judge(s->c.omem_checked > 0, probe);
	/* The last callbacks free fields a moment after they were seen to free their selems. */
	for (unsigned int i = 0; i < 20 && !fields_are_seen(s); i++) {
		sleep_ns(50 * NSEC_PER_MSEC);
		memset(s, 0, sizeof(*s));
		ledger_read_counters(programs, s);
	}
	states[ORACLE_FIELDS] =
		programs_has_fields(programs) ? judge(fields_are_seen(s), probe) : ORACLE_ABSENT;
	states[ORACLE_IDENTITY] =
		probe->nofail ? judge(all_identities_checked(programs, s), probe) : ORACLE_ABSENT;
	states[ORACLE_LIVENESS] = s->c.map_frees_done ? ORACLE_LIVE : ORACLE_BLIND;
}

/* A value that reads back, and one that was deliberately torn. */
static enum oracle_state control_values(void)
{
	unsigned char stored[SOAK_SIZE_MEDIUM], found[SOAK_SIZE_MEDIUM];
	bool whole;

	churn_make_value(stored, sizeof(stored), 42, 0, SOAK_ROLE_NONE);
	memcpy(found, stored, sizeof(found));
	whole = churn_value_is(found, stored, sizeof(found));
	found[sizeof(found) / 2] ^= 1;
	return whole && !churn_value_is(found, stored, sizeof(found)) ? ORACLE_LIVE : ORACLE_BLIND;
}

/*
 * Without the right to write to the log, the records that are there already must do: read from
 * the oldest on, the device has something to say.
 */
static enum oracle_state control_kmsg_reading(void)
{
	_cleanup_close_ int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[4096];

	return fd >= 0 && read(fd, record, sizeof(record)) > 0 ? ORACLE_LIVE : ORACLE_BLIND;
}

static enum oracle_state control_kmsg(struct kmsg *kmsg)
{
	uint64_t before = kmsg_count(kmsg, KMSG_BENIGN);
	int r;

	r = write_file("/dev/kmsg", "<6>bpfsoakd: start of run, reading the kernel log\n");
	if (r == -EACCES || r == -EPERM)
		return control_kmsg_reading();
	if (r < 0)
		return ORACLE_BLIND;
	for (unsigned int i = 0; i < 40; i++) {
		kmsg_read(kmsg);
		if (kmsg_count(kmsg, KMSG_BENIGN) > before)
			return ORACLE_LIVE;
		sleep_ns(50 * NSEC_PER_MSEC);
	}
	return ORACLE_BLIND;
}

/* What was stored is found, another value is not it, and what was deleted is not found. */
enum oracle_state control_reader(struct pool *pool, struct reader *reader)
{
	unsigned char stored[SOAK_SIZE_SMALL], other[SOAK_SIZE_SMALL], found[SOAK_SIZE_SMALL];
	_cleanup_close_ int owner = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int map = pool_new_map(pool, SOAK_SK, 0), gone = 0;
	bool seen = false;

	churn_make_value(stored, sizeof(stored), 7, 0, SOAK_ROLE_NONE);
	churn_make_value(other, sizeof(other), 8, 0, SOAK_ROLE_NONE);
	if (map >= 0 && owner >= 0 && !bpf_map_update_elem(map, &owner, stored, BPF_ANY)) {
		seen = !reader_read(reader, map, owner, sizeof(found), 0, found) &&
		       churn_value_is(found, stored, sizeof(found)) &&
		       !churn_value_is(found, other, sizeof(found));
		bpf_map_delete_elem(map, &owner);
		gone = reader_read(reader, map, owner, sizeof(found), 0, found);
	}
	pool_close_map(pool, map);
	return seen && gone == -ENOENT ? ORACLE_LIVE : ORACLE_BLIND;
}

/*
 * A map that is open has an id that the kernel knows, and one that was never given out is not. To
 * ask takes CAP_SYS_ADMIN, which no run is to have for that alone.
 */
enum oracle_state control_maps(struct pool *pool)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int map = pool_new_map(pool, SOAK_SK, 0);
	bool known, forbidden, seen;

	known = map >= 0 && !bpf_obj_get_info_by_fd(map, &info, &len);
	seen = known && map_id_exists(info.id);
	forbidden = known && !seen && errno == EPERM;
	seen = seen && !map_id_exists(UINT32_MAX >> 1);
	pool_close_map(pool, map);
	return seen ? ORACLE_LIVE : forbidden ? ORACLE_ABSENT : ORACLE_BLIND;
}

void control_run(struct programs *programs, struct pool *pool, struct places *places,
		 const struct probe *probe, struct kmsg *kmsg, enum oracle_state *states)
{
	control_ledger(programs, pool, places, probe, states);
	states[ORACLE_VALUES] = control_values();
	if (kmsg)
		states[ORACLE_KERNEL_LOG] = control_kmsg(kmsg);
}

static void sieve_round(enum owner_type type, struct owner_maker *maker, struct rng *rng)
{
	struct owner owners[SIEVE_OWNERS];
	unsigned int n = 0;

	for (unsigned int i = 0; i < SIEVE_OWNERS; i++)
		if (owner_new(maker, type, rng, &owners[n]) > 0)
			n++;
	while (n)
		owner_kill(&owners[--n]);
}

/*
 * What a CPU has freed may stay with it, in a sheaf that waits to become full (struct
 * slub_percpu_sheaves, mm/slub.c), until that same CPU frees and allocates more.
 */
void control_sieve(void)
{
	struct owner_maker maker = OWNER_MAKER_INIT(NULL);
	struct rng rng = rng_for(2, 0, 0);
	unsigned int rounds = SIEVE_ROUNDS;
	cpu_set_t home;

	if (sched_getaffinity(0, sizeof(home), &home) < 0 || !CPU_COUNT(&home))
		CPU_ZERO(&home);
	else
		rounds = MAX(rounds, 2 * (unsigned int)CPU_COUNT(&home));
	for (unsigned int i = 0; i < rounds; i++) {
		if (CPU_COUNT(&home))
			pin_thread(nth_cpu(&home, i));
		sieve_round(OWNER_UDP, &maker, &rng);
		sieve_round(OWNER_THREAD, &maker, &rng);
		sleep_ns(300 * NSEC_PER_MSEC);
	}
	if (CPU_COUNT(&home))
		sched_setaffinity(0, sizeof(home), &home);
	owner_maker_done(&maker);
}
