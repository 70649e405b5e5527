/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the run share: soak.c, the run loop; soak_figures.c, what is known of a run by
 * now; soak_pause.c, what interrupts it; soak_judge.c, its end. For these files alone; all of it
 * runs in the thread of the run loop, where nothing else is said.
 */
#ifndef SOAK_SOAK_PRIVATE_H
#define SOAK_SOAK_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "inject/inject.h"
#include "probe.h"
#include "report.h"
#include "runstate.h"
#include "scenarios/mix.h"
#include "series.h"
#include "service.h"
#include "snapshot.h"
#include "util.h"
#include "window.h"

/* What a service manager is told that waiting takes, before it is told again. */
#define SOAK_HOLD_NS (60 * NSEC_PER_SEC)

struct soak_held;

struct soak {
	const struct config *config;
	struct config *live; /* the same, to be changed by a reload */
	struct probe probe;
	struct inject_options inject_options;
	struct inject_set inject;
	struct own_cgroup *own_cgroup;
	bool own_netns;
	struct perturb *perturb;
	struct programs *programs;
	struct places *places;
	unsigned int kinds; /* of owners that there are: SOAK_KIND_BIT */
	struct pool *pool;
	struct churn *churn;
	struct rendezvous *rendezvous; /* while threads run, NULL: none */
	struct kmsg *kmsg;
	struct findings *findings;
	enum run_state state;
	int epoll_fd, signal_fd, timer_fd;

	uint64_t start_ns, end_ns, stats_ns, scan_ns, line_ns, rearm_ns;
	double start_realtime, cpu_at_start;
	uint64_t memory_at_start, leak_budget;
	unsigned int signals;
	bool over;   /* time, signal or a limit */
	bool reload; /* asked for by SIGHUP */
	bool budget_used;
	struct windows windows;
	uint64_t paused_ns, pause_begun_ns; /* 0: not paused */
	uint64_t reloads[RELOAD_NR];
	bool stats_failed;
	bool marked; /* run.state says that we run */
	bool stuck_reported;
	bool reacted;	     /* to the first violation */
	int joined_fd;	     /* eventfd: what may hang is behind us */
	uint64_t churned_ns; /* how long the churn went on */
	double churn_cpu_s;  /* what the books cost meanwhile */
	uint64_t stats_errors, stuck, held, maps_left, kmemleaks, forgotten;
	uint64_t map_frees_unended;
	uint64_t slab_at_start;
	struct mix mix; /* of scenarios, as this machine can play it */
	struct reader *reader;
	struct service service;
	struct snapshot now, before;
	struct series series;
	enum oracle_state oracles[ORACLE_NR];
};

/* Figures: read and put together, nothing is acted upon. */

/* What a run is measured against: its cost, and the machine's memory. */
void soak_begin_figures(struct soak *soak);
/* CPU time of the run loop, which keeps all books, since then. */
double soak_bookkeeping_seconds(const struct soak *soak);
/* MemAvailable in bytes, 0: not known. */
uint64_t soak_memory_available(void);
bool soak_arranges_meetings(const struct soak *soak);
/* The cheap figures, to soak->now; and with all of them, before anything is written or decided. */
void soak_take_snapshot(struct soak *soak);
void soak_take_whole_snapshot(struct soak *soak);

/* The loop. */

/* One turn, at most timeout_ms long (-1: until something happens). */
void soak_turn(struct soak *soak, int timeout_ms);
/* Reads what signals there are; also called by whoever watches a loop that is blocked. */
void soak_on_signal(struct soak *soak);
/* The churn is to end; why, if not NULL, is said. */
void soak_end_run(struct soak *soak, const char *why);
/* Stats and report. */
void soak_publish(struct soak *soak);
/* A violation, or a doubt where programs were skipped; unended: how many are so old. */
void soak_judge_map_frees(struct soak *soak, const char *what, uint64_t unended);

/* Threads but the workers: rotation, meetings, injection, perturbation. 0 or -errno. */
int soak_start_threads(struct soak *soak);
void soak_stop_threads(struct soak *soak);

/* What follows from a configuration, also from a new one. */
void soak_fill_inject_options(struct soak *soak);
unsigned int soak_chosen_perturbations(const struct config *config);
void soak_set_limits(struct soak *soak);
/* 0, or a negative error that was said. */
int soak_check_paths(const struct config *config);
int soak_read_mix(const struct config *config, struct mix *ret);

/* What interrupts a run. */

void soak_read_windows(struct soak *soak);
bool soak_windows_are_open(const struct soak *soak);
void soak_begin_pause(struct soak *soak);
/* Pauses, or goes on. */
void soak_keep_to_windows(struct soak *soak);
/* All or nothing, and said. */
void soak_reload(struct soak *soak);
/* --on-violation=freeze, while churning and after the judgement. */
void soak_freeze(struct soak *soak);
void soak_freeze_judged(struct soak *soak);

/* The end. */

/* The churn is over: all that is alive dies, and what is left is judged. */
void soak_judge(struct soak *soak);
/* The tables of held locks of all CPUs. 0 or -errno: neither a program nor the module sees them. */
int soak_read_held(struct soak *soak, struct soak_held *ret);

#endif
