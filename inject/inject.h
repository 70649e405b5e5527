/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that makes a lock fail, behind one table. A backend acts on the kernel only; what
 * came of it is the ledger's to see. The run loop owns an inject_set and takes it through
 *   new       from the names that were asked for
 *   prepare   before there is load: kernel modules, probes, knobs
 *   arm       once churn is under way
 *   disarm    before anything is torn down: no lock fails for our doing any more
 *   free      once the verdict is given: what prepare did is undone
 */
#ifndef SOAK_INJECT_H
#define SOAK_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/soak_abi.h"

struct pool;
struct probe;
struct programs;
struct snapshot;

/* Borrowed by the backends from prepare to free. */
struct inject_options {
	struct programs *programs; /* from arm on, loaded with its stall part */
	struct pool *pool;	   /* from arm on: maps whose frees are counted and paced */
	uint64_t seed;
	uint64_t stall_ns; /* first stall */
	uint64_t pause_ns; /* between two stalls */
	/* Of the kernel module: */
	const char *module; /* file, NULL: the installed one */
	bool contended, forced;
	unsigned int sites; /* bits of enum soak_site */
	const char *error;  /* "timedout", "deadlk", "either" */
	unsigned int rate;  /* errors per second on average, 0: without limit */
	uint64_t burst_ns, burst_pause_ns;
};

struct inject_ops {
	const char *name;
	bool injects;
	bool uses_module; /* and so its faults are of the kinds that are asked for */
	/* One line for people. */
	const char *description;
	/* NULL when usable here, else what is missing. */
	const char *(*probe)(const struct probe *probe);
	/* 0, or -errno after saying why. *ret is NULL unless there is something to free. */
	int (*prepare)(const struct inject_options *options, void **ret);
	int (*arm)(void *backend);
	/* Returns when nothing of ours holds or waits for a lock any more. Twice is fine. */
	void (*disarm)(void *backend);
	void (*free)(void *backend);
	/* Adds its figures. Any thread, between arm and free. */
	void (*read)(void *backend, struct snapshot *ret);
};

extern const struct inject_ops inject_none;
extern const struct inject_ops inject_stall;
extern const struct inject_ops inject_module;
extern const struct inject_ops inject_fail_function;

#define INJECT_BACKENDS 4

struct inject_set {
	const struct inject_ops *ops[INJECT_BACKENDS];
	void *backends[INJECT_BACKENDS];
	size_t n;
	size_t prepared, armed; /* so many of them */
};

/* By name, NULL when there is none of that name. */
const struct inject_ops *inject_find(const char *name);

/*
 * Adds a backend, or for "auto" the best that probe finds: *ret_why then says why the choice fell
 * so. Returns 0, or -ENOTSUP with what is missing in *ret_why, or -EINVAL with the valid names.
 */
int inject_set_add(struct inject_set *set, const char *name, const struct probe *probe,
		   const char **ret_why);

bool inject_set_injects(const struct inject_set *set);
bool inject_set_uses_module(const struct inject_set *set);
/* "fail_function,stall" */
void inject_set_names(const struct inject_set *set, char *buf, size_t size);

int inject_set_prepare(struct inject_set *set, const struct inject_options *options);
int inject_set_arm(struct inject_set *set);
void inject_set_disarm(struct inject_set *set);
void inject_set_free(struct inject_set *set);
void inject_set_read(const struct inject_set *set, struct snapshot *ret);

#endif
