// SPDX-License-Identifier: GPL-2.0-only
/*
 * Duels by appointment. What becomes of a selem depends on the order in which both sides do their
 * steps; some orders hardly ever come about by chance, not even where each side dwells. So a duel
 * may be given an appointment: which of its locks fail, and where either side waits for what.
 *
 * Both sides find their duel on a board by the cookie of the selem's value, which no two values
 * share. A place on the board is simply taken over by the next duel: whoever waits there waits for
 * a moment only, and without an appointment a duel goes on by chance. Handlers only, interrupts or
 * preemption off.
 */
#include <linux/bpf_local_storage.h>
#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/seq_file.h>

#include "rqf.h"

#define BOARD_BITS	 7
#define PLACE_TAKEN	 1 /* a cookie that no value has: somebody is just moving in */
#define SIDES		 2
#define WAITS_MAX	 5
#define VISIT_SHIFT	 3
#define STAGE(visit, at) ((visit) << VISIT_SHIFT | (at))

/* selem->state: include/linux/bpf_local_storage.h has the names since 7.0, as macros. */
#define MAP_UNLINKED	 BIT(0)
#define STORAGE_UNLINKED BIT(1)
#define TOFREE		 BIT(2)

enum side {
	DESTROY,
	MAP_FREE,
};

/* One side, in this visit and before this step, until the other is there and the state is so. */
struct wait {
	u8 side;
	u8 stage;
	u8 until;	/* stage of the other side, 0: any */
	u8 until_state; /* one of these bits, 0: any */
};

struct appointment {
	const char *name;
	unsigned int fail[SIDES]; /* bits of enum rqf_lock, in first visits */
	unsigned int fail_again;  /* the same, in map_free()'s second visit */
	bool again;		  /* there is to be one */
	struct wait waits[WAITS_MAX];
};

#define BUCKET	   BIT(RQF_BUCKET)
#define STORAGE	   BIT(RQF_STORAGE)
#define FIRST(at)  STAGE(1, RQF_AT_##at)
#define SECOND(at) STAGE(2, RQF_AT_##at)

/* Each is named after what the visit that it is about comes to: side, bucket, storage, outcome. */
static const struct appointment appointments[] = {
	{
		.name = "map_free_failed_skipped_left",
		.fail = { [DESTROY] = BUCKET, [MAP_FREE] = BUCKET },
		.waits = { { MAP_FREE, FIRST(ENTRY), FIRST(STATE), 0 },
			   { DESTROY, FIRST(STATE), FIRST(END), 0 } },
	},
	{
		.name = "map_free_skipped_failed_freed",
		.fail = { [MAP_FREE] = BUCKET | STORAGE },
		.fail_again = STORAGE,
		.again = true,
		.waits = { { DESTROY, FIRST(ENTRY), FIRST(STATE), 0 },
			   { DESTROY, FIRST(STORAGE), SECOND(STORAGE), 0 },
			   { MAP_FREE, SECOND(STORAGE), 0, STORAGE_UNLINKED },
			   { DESTROY, FIRST(DECISION), 0, TOFREE } },
	},
	{
		.name = "map_free_skipped_gone_freed",
		.fail = { [MAP_FREE] = BUCKET | STORAGE },
		.again = true,
		.waits = { { DESTROY, FIRST(ENTRY), FIRST(STATE), 0 },
			   { DESTROY, FIRST(STORAGE), SECOND(STORAGE), 0 },
			   { MAP_FREE, SECOND(STORAGE), 0, STORAGE_UNLINKED },
			   { DESTROY, FIRST(DECISION), 0, TOFREE } },
	},
	{
		.name = "map_free_gone_failed_freed",
		.fail = { [DESTROY] = STORAGE, [MAP_FREE] = STORAGE },
		.waits = { { DESTROY, FIRST(BUCKET), FIRST(BUCKET), 0 },
			   { MAP_FREE, FIRST(BUCKET), FIRST(STORAGE), 0 },
			   { MAP_FREE, FIRST(STORAGE), 0, STORAGE_UNLINKED },
			   { DESTROY, FIRST(DECISION), 0, TOFREE } },
	},
	{
		.name = "map_free_failed_gone_freed",
		.fail = { [DESTROY] = BUCKET, [MAP_FREE] = BUCKET },
		.waits = { { DESTROY, FIRST(BUCKET), FIRST(BUCKET), 0 },
			   { MAP_FREE, FIRST(BUCKET), FIRST(BUCKET), 0 },
			   { MAP_FREE, FIRST(STORAGE), 0, STORAGE_UNLINKED },
			   { DESTROY, FIRST(DECISION), 0, TOFREE } },
	},
	{
		.name = "destroy_gone_failed_freed",
		.fail = { [DESTROY] = STORAGE, [MAP_FREE] = STORAGE },
		.waits = { { MAP_FREE, FIRST(BUCKET), FIRST(BUCKET), 0 },
			   { DESTROY, FIRST(BUCKET), FIRST(STORAGE), 0 },
			   { DESTROY, FIRST(STORAGE), 0, MAP_UNLINKED },
			   { MAP_FREE, FIRST(DECISION), 0, TOFREE } },
	},
	{
		.name = "destroy_failed_gone_freed",
		.fail = { [DESTROY] = BUCKET, [MAP_FREE] = BUCKET },
		.waits = { { MAP_FREE, FIRST(BUCKET), FIRST(BUCKET), 0 },
			   { DESTROY, FIRST(BUCKET), FIRST(BUCKET), 0 },
			   { DESTROY, FIRST(STORAGE), 0, MAP_UNLINKED },
			   { MAP_FREE, FIRST(DECISION), 0, TOFREE } },
	},
};

struct duel {
	u64 cookie; /* 0: nobody's */
	const struct appointment *appointment;
	u8 stage[SIDES]; /* each written by one side, read by the other */
};

static struct duel board[1 << BOARD_BITS];

/* Of each wait. In vain: the other side did not come in time. */
static atomic64_t kept[ARRAY_SIZE(appointments)][WAITS_MAX];
static atomic64_t in_vain[ARRAY_SIZE(appointments)][WAITS_MAX];

static enum side side_of(const struct rqf_frame *frame)
{
	return frame->map_free ? MAP_FREE : DESTROY;
}

static struct duel *duel_of(const struct rqf_frame *frame)
{
	return frame->duel ? &board[frame->duel - 1] : NULL;
}

/* Whoever of both sides comes first moves in; of somebody else's duel nothing is left. */
static bool move_in(struct duel *duel, u64 cookie)
{
	u64 old = READ_ONCE(duel->cookie);

	if (old == cookie)
		return true;
	if (old == PLACE_TAKEN || cmpxchg(&duel->cookie, old, PLACE_TAKEN) != old)
		return false;
	duel->appointment = &appointments[rqf_random() % ARRAY_SIZE(appointments)];
	duel->stage[DESTROY] = duel->stage[MAP_FREE] = 0;
	smp_store_release(&duel->cookie, cookie);
	return true;
}

static void appear(struct duel *duel, enum side side)
{
	unsigned int visit = duel->stage[side] >> VISIT_SHIFT;

	/* Further visits are like the second. */
	smp_store_release(&duel->stage[side], STAGE(min(visit + 1, 2U), RQF_AT_ENTRY));
}

static bool is_met(const struct duel *duel, const struct wait *wait,
		   const struct bpf_local_storage_elem *selem)
{
	if (wait->until && smp_load_acquire(&duel->stage[!wait->side]) < wait->until)
		return false;
	return !wait->until_state || atomic_read(&selem->state) & wait->until_state;
}

/* map_free() may have been sent off its CPU between two visits. */
static unsigned int patience(const struct wait *wait, unsigned int us)
{
	return wait->until >= SECOND(ENTRY) ? 4 * us : us;
}

static void wait_for(const struct duel *duel, const struct appointment *appointment,
		     const struct wait *wait, const struct rqf_frame *frame, unsigned int us)
{
	const struct bpf_local_storage_elem *selem = (void *)frame->selem;
	unsigned int which = appointment - appointments, nth = wait - appointment->waits;
	u64 cookie = READ_ONCE(duel->cookie);

	for (us = patience(wait, us); us; us--) {
		if (is_met(duel, wait, selem)) {
			atomic64_inc(&kept[which][nth]);
			return;
		}
		if (READ_ONCE(duel->cookie) != cookie)
			break;
		udelay(1);
	}
	atomic64_inc(&in_vain[which][nth]);
}

static void keep(const struct duel *duel, const struct rqf_frame *frame, unsigned int us)
{
	const struct appointment *appointment = duel->appointment;
	enum side side = side_of(frame);

	for (unsigned int i = 0; i < WAITS_MAX; i++) {
		const struct wait *wait = &appointment->waits[i];

		if (wait->stage && wait->side == side && wait->stage == duel->stage[side])
			wait_for(duel, appointment, wait, frame, us);
	}
}

unsigned int rqf_appointment_make(u64 cookie, bool map_free)
{
	unsigned int place = hash_64(cookie, BOARD_BITS);

	if (cookie <= PLACE_TAKEN || !move_in(&board[place], cookie))
		return 0;
	appear(&board[place], map_free ? MAP_FREE : DESTROY);
	return place + 1;
}

void rqf_appointment_keep(const struct rqf_frame *frame, enum rqf_stage at, unsigned int us)
{
	struct duel *duel = duel_of(frame);
	enum side side = side_of(frame);
	unsigned int visit;

	if (!duel)
		return;
	visit = duel->stage[side] >> VISIT_SHIFT;
	smp_store_release(&duel->stage[side], STAGE(visit, at));
	keep(duel, frame, us);
}

bool rqf_appointment_fails(const struct rqf_frame *frame, enum rqf_lock lock)
{
	const struct duel *duel = duel_of(frame);
	enum side side = side_of(frame);
	unsigned int fail;

	if (!duel)
		return true;
	fail = duel->appointment->fail[side];
	if (duel->stage[side] >= SECOND(ENTRY))
		fail = duel->appointment->fail_again;
	return fail & BIT(lock);
}

bool rqf_appointment_again(const struct rqf_frame *frame)
{
	const struct duel *duel = duel_of(frame);

	return duel && frame->map_free && duel->appointment->again &&
	       duel->stage[MAP_FREE] < SECOND(ENTRY);
}

static void show_waits(struct seq_file *m, const struct appointment *appointment, const char *name,
		       const atomic64_t *waits)
{
	seq_printf(m, " %s=", name);
	for (unsigned int i = 0; i < WAITS_MAX && appointment->waits[i].stage; i++)
		seq_printf(m, "%s%lld", i ? "," : "", atomic64_read(&waits[i]));
}

void rqf_appointments_show(struct seq_file *m)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(appointments); i++) {
		seq_printf(m, "appointment_%s", appointments[i].name);
		show_waits(m, &appointments[i], "kept", kept[i]);
		show_waits(m, &appointments[i], "in_vain", in_vain[i]);
		seq_putc(m, '\n');
	}
}
