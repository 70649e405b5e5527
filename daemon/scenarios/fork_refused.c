// SPDX-License-Identifier: GPL-2.0-only
/*
 * A task that holds storage in many maps forks, and the kernel refuses, at each stage of
 * copy_process() that can be had from outside (see parent.h). What is thrown away begins as a copy
 * of the parent, bpf_storage and all, until dup_task_struct() clears that; from
 * security_task_alloc() on it may have storage of its own, which a program has put there, and
 * which free_task() must free. What the parent has must stay as it is.
 *
 * Left out: threads-max is one number for the whole machine; a memory cgroup at its limit has
 * somebody killed.
 */
#include <string.h>
#include <sys/syscall.h>

#include "../log.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "parent.h"
#include "refused.h"
#include "spare_cgroup.h"

#define MAPS	   12
#define MAPS_LEAST 8
#define BATCH	   4  /* maps made at once */
#define TURNS	   48 /* in the life of one parent */
#define PAUSE_NS   (10 * NSEC_PER_MSEC)
#define MAP_NS	   (300 * NSEC_PER_MSEC)

struct stage_count {
	unsigned int refused;
	unsigned int filled; /* of those, newborns that had storage */
	bool absent;	     /* not to be had here */
};

struct state {
	struct kept kept[MAPS]; /* what the parent has */
	struct parent parent;
	unsigned int turns;
	bool asked_memory; /* it leaves a line in the kernel log: once in a life */
	bool no_contained;
	struct stage_count stages[FORK_STAGES_NR];
	unsigned int broken_off;
	uint64_t next_ns, next_map_ns;

	bool has_cgroups;
	struct spare_cgroup full;
	struct parent_cgroups cgroups;
};

/* One is replaced now and then, with the parent's value in it. */
static unsigned int renew_maps(struct worker *w, struct state *s, struct rng *rng)
{
	kept_replace(w, s->kept, MAPS, &s->next_map_ns, MAP_NS, rng);
	return kept_fill(w, s->kept, MAPS, BATCH, SOAK_TASK, rng);
}

/* One that is full, and one that is gone; what cannot be had is left out. */
static void make_cgroups(struct worker *w, struct state *s)
{
	_cleanup_free_ char *full = format("bpfsoakd-full-%u", w->index);
	_cleanup_free_ char *dead = format("bpfsoakd-dead-%u", w->index);
	struct spare_cgroup gone = { 0 };

	s->has_cgroups = true;
	s->cgroups = (struct parent_cgroups){ .dead = -1, .full = -1 };
	if (dead && !spare_cgroup_new(dead, NULL, &gone)) {
		s->cgroups.dead = spare_cgroup_open(&gone);
		spare_cgroup_end(&gone);
	}
	if (full && !spare_cgroup_new(full, "pids.max", &s->full) &&
	    !spare_cgroup_set(&s->full, "pids.max", "0"))
		s->cgroups.full = spare_cgroup_open(&s->full);
}

static void end_cgroups(struct state *s)
{
	if (!s->has_cgroups)
		return;
	if (s->cgroups.dead >= 0)
		close(s->cgroups.dead);
	if (s->cgroups.full >= 0)
		close(s->cgroups.full);
	spare_cgroup_end(&s->full);
}

static void end_parent(struct worker *w, struct state *s, bool in_fork)
{
	s->broken_off += parent_end(w, &s->parent, in_fork);
	kept_forget_all(s->kept, MAPS);
}

static int renew_parent(struct worker *w, struct state *s, struct rng *rng)
{
	bool contained = rng_below(rng, 2) && !s->no_contained;
	int r;

	if (s->parent.pid > 0 && s->turns++ < TURNS)
		return 0;
	end_parent(w, s, rng_below(rng, 2));
	s->turns = 0;
	s->asked_memory = false;
	r = parent_new(w, contained, &s->cgroups, &s->parent);
	if (r == -EOPNOTSUPP)
		s->no_contained = true;
	return r;
}

/* Values come, are replaced, and go. */
static void change_parent(struct worker *w, struct state *s, struct rng *rng)
{
	for (unsigned int i = 0; i < MAPS; i++) {
		if (!s->kept[i].open || (s->kept[i].cookie && rng_below(rng, 8)))
			continue;
		if (s->kept[i].cookie && !rng_below(rng, 4))
			kept_take(w, &s->kept[i], s->parent.pidfd);
		else
			kept_put(w, &s->kept[i], s->parent.pidfd, rng);
	}
}

static bool judge_parent(struct worker *w, const struct state *s)
{
	bool right = true;

	for (unsigned int i = 0; i < MAPS; i++)
		if (s->kept[i].open)
			right &= kept_judge(w, &s->kept[i], s->parent.pidfd,
					    "us, of a task whose fork was refused");
	return right;
}

static bool is_playable(const struct state *s, enum fork_stage stage)
{
	if (s->stages[stage].absent || fork_stage_is_contained(stage) != s->parent.contained)
		return false;
	return stage != FORK_MEMORY || !s->asked_memory;
}

/* FORK_STAGES_NR: none. */
static enum fork_stage choose_stage(const struct state *s, struct rng *rng)
{
	enum fork_stage stage = rng_below(rng, FORK_STAGES_NR);

	for (unsigned int i = 0; i < FORK_STAGES_NR; i++, stage = (stage + 1) % FORK_STAGES_NR)
		if (is_playable(s, stage))
			return stage;
	return FORK_STAGES_NR;
}

/* What was never refused is not to be had here; what was refused once is refused again. */
static bool note(struct state *s, enum fork_stage stage, const struct fork_answer *answer)
{
	struct stage_count *count = &s->stages[stage];

	if (fork_stage_refuses(stage, answer->error)) {
		count->refused++;
		return true;
	}
	if (count->refused)
		return false;
	count->absent = true;
	log_debug("fork-refused: stage %s is not to be had here: %s", fork_stage_name(stage),
		  answer->error == FORK_UNTRIED ? "not allowed, or not there"
		  : answer->error		? strerror(answer->error)
						: "the fork was not refused");
	return false;
}

static enum scenario_result refuse(struct worker *w, struct state *s, struct rng *rng)
{
	enum fork_stage stage = choose_stage(s, rng);
	unsigned int filled = parent_filled(w, &s->parent), detail = rng_below(rng, 64);
	struct fork_answer answer;
	bool refused, right;

	if (stage == FORK_STAGES_NR)
		return SCENARIO_NOTHING;
	s->asked_memory |= stage == FORK_MEMORY;
	if (parent_try(w, &s->parent, stage, detail, &answer) < 0) {
		end_parent(w, s, false);
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	refused = note(s, stage, &answer);
	s->stages[stage].filled += parent_filled(w, &s->parent) - filled;
	right = judge_parent(w, s);
	bump(&w->born[SOAK_TASK], !answer.after);
	worker_took_effect(w);
	if (answer.spent)
		end_parent(w, s, false);
	if (s->stages[stage].absent)
		return SCENARIO_NOTHING;
	return refused && right && !answer.after ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static const char *lacks(void)
{
	if (syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS)
		return "clone3() is not there, or a seccomp filter hides it: run it outside of that "
		       "container";
	return NULL;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct state *s = state;
	int r;

	if (w->index >= REFUSED_WORKERS || now_ns() < s->next_ns ||
	    renew_maps(w, s, rng) < MAPS_LEAST)
		return SCENARIO_NOTHING;
	s->next_ns = now_ns() + PAUSE_NS;
	if (!s->has_cgroups)
		make_cgroups(w, s);
	r = renew_parent(w, s, rng);
	if (r == -EOPNOTSUPP)
		return SCENARIO_NOTHING;
	if (r < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	change_parent(w, s, rng);
	return refuse(w, s, rng);
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	end_parent(w, s, true);
	for (unsigned int i = 0; i < MAPS; i++)
		kept_close(w, &s->kept[i]);
	end_cgroups(s);
	for (enum fork_stage stage = 0; stage < FORK_STAGES_NR; stage++)
		if (s->stages[stage].refused)
			log_debug("fork-refused: worker %u: stage %s: %u refused, %u of them with "
				  "storage",
				  w->index, fork_stage_name(stage), s->stages[stage].refused,
				  s->stages[stage].filled);
	if (s->broken_off)
		log_debug("fork-refused: worker %u: %u parents killed in a fork", w->index,
			  s->broken_off);
}

const struct scenario scenario_fork_refused = {
	.what = "a task with values in many maps forks and is refused, at many stages of it",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
	.end = end,
};
