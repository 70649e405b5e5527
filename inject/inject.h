/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that makes a lock fail, behind one table. A backend acts on the kernel only; what
 * came of it is the ledger's to see. The run loop arms once churn is set up and disarms before
 * anything is torn down.
 */
#ifndef SOAK_INJECT_H
#define SOAK_INJECT_H

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct probe;
struct programs;

struct inject;

struct inject_options {
	struct programs *programs; /* borrowed, loaded with its stall part for "stall" */
	struct pool *pool;	   /* borrowed: maps whose frees are counted and paced */
	uint64_t seed;
	uint64_t stall_ns; /* first stall */
	uint64_t pause_ns; /* between two stalls */
};

struct inject_figures {
	uint64_t stall_ns; /* how long holders are stalled now */
	uint64_t rounds;   /* encounters played */
	uint64_t held;	   /* of those, a holder was stalled */
	uint64_t failed;   /* of those, a lock timed out */
	uint64_t idle_ns;  /* since the last encounter ended */
};

struct inject_ops {
	const char *name;
	bool injects;
	/* One line for people. */
	const char *description;
	/* NULL when usable here, else what is missing. */
	const char *(*probe)(const struct probe *probe);
	int (*arm)(const struct inject_options *options, struct inject **ret);
	/* Returns when nothing of ours holds or waits for a lock any more. NULL is fine. */
	void (*disarm)(struct inject *inject);
	/* Any thread, while armed. */
	void (*read)(const struct inject *inject, struct inject_figures *ret);
};

extern const struct inject_ops inject_none;
extern const struct inject_ops inject_stall;

/*
 * By name; "auto" is the best that probe finds. NULL when there is no such backend;
 * *ret_why then lists the valid names, or for "auto" says why the choice fell so.
 */
const struct inject_ops *inject_choose(const char *name, const struct probe *probe,
				       const char **ret_why);

#endif
