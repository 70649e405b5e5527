/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The probe under construction, shared by probe.c and the files that ask one part of the kernel
 * each. Lives on probe_run()'s stack.
 */
#ifndef SOAK_PROBER_H
#define SOAK_PROBER_H

#include "kconfig.h"
#include "probe.h"
#include "probe_mode.h"
#include "rqspinlock.h"
#include "symbols.h"
#include "util.h"

struct btf;

#define PROBER_SYMBOLS (PROBE_FUNCTION_NR + 5)

struct prober {
	struct probe *probe;
	size_t capacity;    /* of probe->items */
	int error;	    /* sticks: 0 or -ENOMEM */
	const char *module; /* the file that the user named, or NULL */
	const char *group;
	struct probe_facts facts;
	struct kconfig *kconfig; /* NULL: not to be had */
	struct btf *btf;	 /* NULL: not to be had */
	struct symbol symbols[PROBER_SYMBOLS];
	int kallsyms_error;    /* 0 or -errno */
	int traceable_error;   /* of available_filter_functions */
	enum probe_answer lsm; /* is bpf one of them? */
	bool debugfs;
	bool securityfs;
};

/* Adds an item to the current group. */
void prober_add(struct prober *p, const char *name, enum probe_answer answer, const char *fmt, ...)
	_printf_(4, 5);

/* Without a detail. */
void prober_add_plain(struct prober *p, const char *name, enum probe_answer answer);

/* Is a kernel option on? PROBE_UNKNOWN without a configuration. */
enum probe_answer prober_option(const struct prober *p, const char *name);

/* Adds an item that says whether an option is on. */
void prober_add_option(struct prober *p, const char *name);

/* Whether kallsyms lists it; PROBE_UNKNOWN when kallsyms could not be read. */
enum probe_answer prober_listed(const struct prober *p, const char *name);

/* A path of debugfs: no answer while that is not mounted or not ours to read. */
enum probe_answer prober_debugfs_has(const struct prober *p, const char *path);
void prober_add_debugfs(struct prober *p, const char *name, const char *path);

/* Is /proc mounted? If not, a missing file tells nothing about the kernel. */
bool prober_has_sysctls(void);

static inline enum probe_answer prober_answer(bool yes)
{
	return yes ? PROBE_YES : PROBE_NO;
}

/* Each fills its groups and its part of the facts. */
void prober_kernel(struct prober *p); /* probe_system.c */
void prober_cpu(struct prober *p);
void prober_system(struct prober *p);
void prober_capabilities(struct prober *p);
void prober_bpf(struct prober *p); /* probe_ask.c */
void prober_functions(struct prober *p);
void prober_module(struct prober *p); /* probe_module.c */

#endif
