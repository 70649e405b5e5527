/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From facts about a kernel to "this mode is usable" or the sentences that say what is missing
 * and what to do. Pure: no file, no system call.
 */
#ifndef SOAK_PROBE_MODE_H
#define SOAK_PROBE_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe.h"

/* A kernel function that programs of ours attach to. */
struct probe_function {
	const char *name;
	bool required; /* by every mode that injects */
};

#define PROBE_FUNCTION_NR 23

extern const struct probe_function probe_functions[PROBE_FUNCTION_NR];

/* Its index in probe_functions, or -1. */
int probe_function_index(const char *name);

struct probe_facts {
	enum probe_answer btf;
	int bpf_error; /* of making the simplest map: 0 or -errno */
	int sk_storage_error;
	int task_storage_error;
	int array_of_maps_error;
	int mmapable_error;
	int tracing_error; /* of attaching to tp_btf/task_newtask: 0 or -errno */
	enum probe_answer cap_bpf;
	enum probe_answer cap_perfmon;
	enum probe_answer present[PROBE_FUNCTION_NR];	 /* out of line */
	enum probe_answer attachable[PROBE_FUNCTION_NR]; /* by fentry */
	enum probe_answer rqspinlock;			 /* resilient spinlocks exist */
	enum probe_answer slowpath;			 /* the function that the module diverts */
	unsigned int cpus_online;			 /* 0: unknown */
	bool panic_on_warn;
	uint64_t warn_limit; /* the kernel panics after so many warnings; 0: never */
	bool x86_64;
	enum probe_answer kprobes; /* CONFIG_KPROBES */
	enum probe_answer modules; /* CONFIG_MODULES */
	bool modules_disabled;	   /* kernel.modules_disabled */
	bool locked_down;
	enum probe_answer cap_sys_module;
	bool module_loaded;
	int module_device_error; /* of /dev/rqspinlock_fault, when loaded: 0 or -errno */
	char *module_why;	 /* why the kernel would not take the module; NULL: it would */
	bool debugfs;
	enum probe_answer error_injection; /* CONFIG_FUNCTION_ERROR_INJECTION */
	enum probe_answer fail_function;   /* CONFIG_FAIL_FUNCTION */
	int fail_function_error;	   /* of writing to its directory: 0 or -errno */
};

/* Fill modes and n_modes of *ret. Returns 0 or -ENOMEM. */
int probe_decide(const struct probe_facts *facts, struct probe *ret);

#endif
