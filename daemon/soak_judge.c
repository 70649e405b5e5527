// SPDX-License-Identifier: GPL-2.0-only
/* The end of a run, when all is quiet: what is left, and what that proves: see soak_private.h. */
#include "soak_private.h"

#include <inttypes.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "config.h"
#include "control.h"
#include "finding.h"
#include "kmemleak.h"
#include "ledger.h"
#include "log.h"
#include "map_ids.h"
#include "places.h"
#include "pool.h"
#include "programs.h"
#include "snapshot.h"
#include "util.h"
#include "verdict.h"

#define HELD_NS	       (2 * NSEC_PER_SEC)
#define LAST_LOOKS     8
#define LAST_LOOK_MS   400
#define QUIESCE_MAX_NS (60 * NSEC_PER_SEC)

/* A program of ours reads the tables, or the module, where a kernel's BTF does not tell of them. */
int soak_read_held(struct soak *soak, struct soak_held *ret)
{
	int r = programs_held(soak->programs, ret);

	if (r) {
		soak_take_snapshot(soak);
		if (!soak->now.module.present)
			return r;
		*ret = (struct soak_held){ .seen = 1,
					   .cpus = (unsigned int)soak->now.module.held_cpus,
					   .sum = (int)soak->now.module.held };
	}
	if (soak->config->test_lie == SOAK_LIE_HELD)
		ret->cpus++;
	return 0;
}

/* Until nothing is alive, or what is alive has not changed for a while. */
static void quiesce(struct soak *soak)
{
	uint64_t patience = MAX(QUIESCE_MAX_NS, soak->config->stuck_ns);
	uint64_t changed = now_ns(), freed = changed, last = UINT64_MAX, maps = UINT64_MAX;

	if (!soak->config->oracles)
		return;
	/* Maps are freed one after the other, and there may be many: as long as some are. */
	while (now_ns() - freed < patience) {
		uint64_t alive;

		soak_turn(soak, 200);
		soak_take_snapshot(soak);
		alive = snapshot_alive(&soak->now);
		if (!alive && !soak->now.maps_outstanding)
			return;
		if (alive != last || soak->now.maps_outstanding)
			changed = now_ns();
		last = alive;
		if (soak->now.maps_outstanding < maps)
			freed = now_ns();
		maps = soak->now.maps_outstanding;
		if (now_ns() - changed > soak->config->settle_ns)
			return;
	}
	soak_take_whole_snapshot(soak);
	if (soak->now.maps_outstanding)
		soak_judge_map_frees(soak, "a map_free() after the last owner died",
				     soak->now.maps_outstanding);
}

/*
 * A residual that its history does not predict may be a free that we missed: its memory then comes
 * back to life when enough others are born, and the ledger knows it for what it was.
 */
static void sieve(struct soak *soak)
{
	log_info("residuals that their history does not predict: looking whether their memory is "
		 "handed out again");
	if (pool_refill(soak->pool) < 0)
		return;
	control_sieve();
	pool_clear(soak->pool);
	quiesce(soak);
}

/* How many residuals a trial finds that their history does not predict; *trial is overwritten. */
static uint64_t try_to_judge(const struct soak *soak, struct snapshot *trial)
{
	*trial = soak->now;
	return ledger_judge(soak->programs, false, NULL, trial);
}

/*
 * What was freed is in nobody's hands while a sheaf full of it waits for its grace period
 * (rcu_free_sheaf(), mm/slub.c), which the sieve may just have begun; on a busy machine that takes.
 * A leak can wait, too.
 */
static void let_frees_end(struct soak *soak, struct snapshot *trial)
{
	for (unsigned int i = 0; i < LAST_LOOKS; i++) {
		try_to_judge(soak, trial);
		if (!trial->violations[VIOLATION_SELEM_LEAK] &&
		    !trial->violations[VIOLATION_STORAGE_LEAK])
			return;
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0); /* synchronize_rcu() */
		soak_turn(soak, LAST_LOOK_MS);
	}
}

static void judge_residuals(struct soak *soak)
{
	_cleanup_free_ struct snapshot *trial = NULL;

	if (!soak->config->oracles)
		return;
	trial = malloc(sizeof(*trial));
	if (trial && try_to_judge(soak, trial)) {
		sieve(soak);
		let_frees_end(soak, trial);
	}
	soak_take_whole_snapshot(soak);
	ledger_judge(soak->programs, true, soak->findings, &soak->now);
}

/*
 * Every acquisition that was failed must have given back its entry in the table of held locks
 * (rqspinlock_held_locks): with the churn over, the counts of all CPUs come to 0.
 */
static void check_held(struct soak *soak)
{
	uint64_t deadline = now_ns() + HELD_NS;
	struct soak_held held;

	if (soak->oracles[ORACLE_HELD] != ORACLE_LIVE)
		return;
	do {
		soak_read_held(soak, &held);
		if (!held.cpus)
			return;
		soak_turn(soak, 20);
	} while (now_ns() < deadline);
	soak->held = held.cpus;
	log_error("VIOLATION, held: the counts of held rqspinlocks add up to %d with nothing held",
		  held.sum);
}

/* All are closed and freed by now: what is left has a reference that nobody gives back. */
static void check_maps(struct soak *soak)
{
	uint32_t id = 0;

	if (soak->oracles[ORACLE_MAPS] != ORACLE_LIVE)
		return;
	soak->maps_left = map_ids_left(pool_map_ids(soak->pool), &id);
	if (soak->maps_left)
		log_error("VIOLATION, map: %" PRIu64 " maps of ours are still there, %" PRIu32
			  " among them",
			  soak->maps_left, id);
}

static bool is_residual(uint64_t address, void *context)
{
	const struct soak *soak = context;

	return ledger_is_alive(soak->programs, address);
}

static void check_kmemleak(struct soak *soak)
{
	_cleanup_free_ char *text = NULL;
	uint64_t first = 0;
	int r;

	if (soak->oracles[ORACLE_KMEMLEAK] != ORACLE_LIVE)
		return;
	r = kmemleak_end(&text);
	if (r < 0) {
		log_warning("kmemleak has stopped working: %s", strerror(-r));
		soak->oracles[ORACLE_KMEMLEAK] = ORACLE_BLIND;
		return;
	}
	soak->kmemleaks = kmemleak_count(text, is_residual, soak, &first);
	if (soak->kmemleaks)
		log_error(
			"VIOLATION, kmemleak: %" PRIu64
			" objects of local storage that nothing points to, the first at %#" PRIx64,
			soak->kmemleaks, first);
}

/* Owners that live on: what is left of their storage proves nothing. */
static void blind_to_cgroups(struct soak *soak, const char *why)
{
	log_warning("%s: neither their storage nor any bpf_local_storage is judged", why);
	if (soak->oracles[ORACLE_LEDGER_CGROUP] == ORACLE_LIVE)
		soak->oracles[ORACLE_LEDGER_CGROUP] = ORACLE_BLIND;
	if (soak->oracles[ORACLE_STORAGE] == ORACLE_LIVE)
		soak->oracles[ORACLE_STORAGE] = ORACLE_BLIND;
}

/* All are removed by now, if nobody put a process into one; and they die some time after that. */
static void await_cgroups(struct soak *soak)
{
	uint64_t deadline = now_ns() + soak->config->stuck_ns;

	if (places_sweep(soak->places))
		blind_to_cgroups(soak, "cgroups of ours cannot be removed");
	while (places_dying(soak->places) && now_ns() < deadline)
		soak_turn(soak, 200);
}

/*
 * destroy() must have come for the storage of every owner that is dead, and by now all are. Before
 * the maps go: map_free() would free what was forgotten, and nothing would be left to see.
 */
static void check_forgotten(struct soak *soak)
{
	_cleanup_close_ int lie = -1;
	uint64_t deadline = now_ns() + soak->config->stuck_ns;

	if (soak->oracles[ORACLE_STORAGE] != ORACLE_LIVE ||
	    soak->oracles[ORACLE_VISITS] != ORACLE_LIVE)
		return;
	if (soak->config->test_lie == SOAK_LIE_FORGOTTEN)
		lie = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	while ((soak->forgotten = ledger_forgotten(soak->programs, SOAK_KINDS_ALL)) &&
	       now_ns() < deadline)
		soak_turn(soak, 200);
	/* Something else of the kernel may hold on to a cgroup for long. */
	if (ledger_undestroyed(soak->programs, SOAK_KIND_BIT(SOAK_CGROUP)) &&
	    places_dying(soak->places)) {
		blind_to_cgroups(soak, "the kernel does not let go of cgroups that were removed");
		soak->forgotten = ledger_forgotten(soak->programs,
						   SOAK_KINDS_ALL & ~SOAK_KIND_BIT(SOAK_CGROUP));
	}
	if (soak->forgotten)
		log_error("VIOLATION, forgotten: %" PRIu64
			  " storages of dead owners were not destroyed within %" PRIu64 " s",
			  soak->forgotten, (uint64_t)(soak->config->stuck_ns / NSEC_PER_SEC));
}

void soak_judge(struct soak *soak)
{
	await_cgroups(soak);
	soak_take_whole_snapshot(soak);
	quiesce(soak);
	check_forgotten(soak);
	pool_clear(soak->pool);
	quiesce(soak);
	soak_turn(soak, 0);
	check_held(soak);
	check_maps(soak);
	check_kmemleak(soak);
	soak_take_whole_snapshot(soak);
	judge_residuals(soak);
}
