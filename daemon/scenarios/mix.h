/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names of the scenarios, how often each is played by default, and mixes of them as --mix has
 * them. Pure: what they do is in scenario.h.
 */
#ifndef SOAK_MIX_H
#define SOAK_MIX_H

#include <stdbool.h>

#include "../rng.h"
#include "../snapshot.h"

/*
 * Name, identifier, weight in the default mix: the first three add up to 100; 0: on demand only. A
 * new one goes to the end: a seed then draws the same sequence as before for a given mix.
 */
#define SCENARIOS(X)                             \
	X("owners", owners, 38)                  \
	X("access", access, 57)                  \
	X("clash", clash, 5)                     \
	X("births-sockets", births_sockets, 1)   \
	X("births-tasks", births_tasks, 1)       \
	X("births-clones", births_clones, 1)     \
	X("flags", flags, 1)                     \
	X("cache", cache, 1)                     \
	X("races", races, 1)                     \
	X("packets", packets, 1)                 \
	X("ticks", ticks, 1)                     \
	X("fork-refused", fork_refused, 1)       \
	X("socket-refused", socket_refused, 1)   \
	X("accept-refused", accept_refused, 1)   \
	X("storage-refused", storage_refused, 1) \
	X("memcg-refused", memcg_refused, 1)     \
	X("alloc-refused", alloc_refused, 1)     \
	X("iter-storage", iter_storage, 1)       \
	X("iter-task", iter_task, 1)             \
	X("iter-task-file", iter_task_file, 1)   \
	X("diag", diag, 1)                       \
	X("lookups", lookups, 1)                 \
	X("deaths-sockets", deaths_sockets, 1)   \
	X("deaths-tcp", deaths_tcp, 1)           \
	X("deaths-tasks", deaths_tasks, 1)       \
	X("deaths-netns", deaths_netns, 1)       \
	X("iter-deaths", iter_deaths, 0)

unsigned int scenarios_count(void);

/* In the order of the stats file and `bpfsoakd scenarios`. "unknown", 0 beyond the last. */
const char *scenario_name(unsigned int i);
unsigned int scenario_weight(unsigned int i);

/* The weight of each, and which of them were asked for by name. */
struct mix {
	unsigned int weight[SNAPSHOT_SCENARIOS];
	bool named[SNAPSHOT_SCENARIOS];
	unsigned int total;
};

#define MIX_WEIGHT_MAX 1000000u

/*
 * "name=weight,...", from left to right upon the default mix; "*" names all of them. NULL: the
 * default. Returns 0, or -EINVAL with *ret_why, which the caller frees, saying what is wrong and
 * what would be right; it is wrong if no weight is left.
 */
int mix_parse(const char *text, struct mix *ret, char **ret_why);

/* Brings total up to date with the weights. */
void mix_add_up(struct mix *mix);

/* By weight. total must not be 0. */
unsigned int mix_draw(const struct mix *mix, struct rng *rng);

#endif
