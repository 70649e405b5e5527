/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this kernel offers, found out by trying, never by version number. Read-only for the
 * kernel: everything loaded or attached for a probe is gone before probe_run() returns (the BTF
 * of a map follows a grace period later). One thread.
 */
#ifndef SOAK_PROBE_H
#define SOAK_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "bpf/soak_abi.h"

/* Answers to "is this usable?" */
enum probe_answer {
	PROBE_NO,
	PROBE_YES,
	PROBE_UNKNOWN, /* could not be tried: detail says why */
	PROBE_VALUE,   /* not a question: detail is the value */
};

struct probe_item {
	const char *group; /* "kernel", "hooks", "fault injection", "module", ... */
	const char *name;  /* "bpf_selem_unlink_nofail" */
	enum probe_answer answer;
	char *detail; /* one line, may be NULL */
};

struct probe_mode {
	const char *name; /* "fail_function", "module", "stall", "none" */
	bool injecting;
	bool usable;
	bool needs_accept_panic; /* not usable, but --accept-panic alone would make it so */
	char *missing;		 /* NULL when usable; else exactly what is missing and what to do */
};

struct probe {
	struct probe_item *items;
	size_t n_items;
	struct probe_mode modes[8]; /* best first */
	size_t n_modes;
	/* Facts that the run itself needs. */
	char release[65];
	char cpu_model[64]; /* "queued, MODEL" or "tas, MODEL"; MODEL when it cannot be told */
	bool nofail;	    /* bpf_selem_unlink_nofail() exists and can be traced */
	bool lsm_bpf;	    /* "bpf" is in the active LSM list */
	/* Kinds of owners whose storage this kernel has (SOAK_KIND_BIT), and why not the others. */
	unsigned int kinds;
	char *no_kind[SOAK_KIND_NR];
	bool panic_on_warn;
	bool hypervisor; /* the CPUID bit is set */
	bool tas;	 /* rqspinlock takes the test-and-set path, as far as can be told */
};

/*
 * module is the file that the user named, or NULL; it is looked at, not loaded. Returns 0 or
 * -errno; -ENOMEM only. What could not be found out is an item, not an error.
 */
int probe_run(const char *module, struct probe *ret);
void probe_free(struct probe *probe);

void probe_print(const struct probe *probe, FILE *out);
int probe_print_json(const struct probe *probe, FILE *out);

/* 0 when at least one injecting mode is usable, else 77. */
int probe_exit_code(const struct probe *probe);

/* NULL when there is none of that name. */
const struct probe_mode *probe_mode(const struct probe *probe, const char *name);

#endif
