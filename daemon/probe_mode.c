// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which modes this kernel can run: see probe_mode.h. Every sentence names one thing that is
 * missing and ends with what the user can do about it.
 */
#include "probe_mode.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "inject/kmod/rqspinlock_fault.h"
#include "util.h"

#define NOFAIL "bpf_selem_unlink_nofail"

const struct probe_function probe_functions[PROBE_FUNCTION_NR] = {
	{ NOFAIL, true },
	{ "bpf_selem_alloc", true },
	{ "bpf_local_storage_alloc", true },
	{ "bpf_local_storage_update", true },
	{ "bpf_local_storage_destroy", true },
	{ "bpf_local_storage_map_free", true },
	{ "bpf_sk_storage_free", true },
	{ "bpf_selem_unlink", true },
	{ "bpf_sk_storage_clone", true },
	{ "kvfree_call_rcu", true },
	{ "bpf_obj_free_fields", true },
	{ "bpf_selem_unlink_storage_nolock_misc", true },
	{ "bpf_selem_free", false },
	{ "bpf_selem_free_trace_rcu", false },
	{ "bpf_local_storage_free_trace_rcu", false },
	{ "bpf_selem_free_rcu", false },
	{ "bpf_local_storage_free_rcu", false },
	{ "bpf_task_storage_free", false },
	{ "bpf_cgrp_storage_free", false },
	{ "bpf_inode_storage_free", false },
	{ "bpf_selem_unlink_storage_nolock", false },
	{ "__bpf_local_storage_insert_cache", false },
	{ "bpf_selem_link_map", false },
};

/* Sentences joined by blanks. Out of memory sticks. */
struct sentences {
	char *text;
	bool failed;
};

static void sentences_free(struct sentences *s)
{
	free(s->text);
}

static void say(struct sentences *s, const char *fmt, ...) _printf_(2, 3);

static void say(struct sentences *s, const char *fmt, ...)
{
	_cleanup_free_ char *sentence = NULL;
	va_list ap;
	char *joined;

	va_start(ap, fmt);
	sentence = vformat(fmt, ap);
	va_end(ap);
	if (!sentence) {
		s->failed = true;
		return;
	}
	joined = s->text ? format("%s %s", s->text, sentence) : TAKE_PTR(sentence);
	if (!joined) {
		s->failed = true;
		return;
	}
	free(s->text);
	s->text = joined;
}

int probe_function_index(const char *name)
{
	for (int i = 0; i < PROBE_FUNCTION_NR; i++) {
		if (!strcmp(probe_functions[i].name, name))
			return i;
	}
	return -1;
}

static void say_capability(struct sentences *s, const char *name)
{
	say(s, "%s is missing: run as root or grant it.", name);
}

static void say_bpf_refused(struct sentences *s, int error)
{
	if (error == -ENOSYS)
		say(s, "bpf() does not exist in this kernel: it needs CONFIG_BPF_SYSCALL.");
	else
		say(s,
		    "bpf() cannot make even an array map (%s): a container, a seccomp filter or a "
		    "user namespace may forbid it; run as root on the host or in a virtual "
		    "machine.",
		    strerror(-error));
}

static void say_map(struct sentences *s, int error, const char *what)
{
	if (error)
		say(s, "%s cannot be made (%s): this kernel cannot be soaked without.", what,
		    strerror(-error));
}

static void say_tracing(struct sentences *s, int error)
{
	if (error)
		say(s,
		    "Tracing programs cannot be attached (tp_btf/task_newtask: %s): the kernel "
		    "needs CONFIG_BPF_EVENTS, CONFIG_BPF_JIT and BTF.",
		    strerror(-error));
}

/* No need to repeat for each function what a missing right or missing BTF explains. */
static bool could_attach(const struct probe_facts *facts)
{
	return facts->btf == PROBE_YES && facts->cap_bpf != PROBE_NO &&
	       facts->cap_perfmon != PROBE_NO && !facts->bpf_error;
}

/* Without any function to trace the ledger sees nothing, in every mode. */
static bool ledger_is_blind(const struct probe_facts *facts)
{
	for (int i = 0; i < PROBE_FUNCTION_NR; i++) {
		if (facts->attachable[i] == PROBE_YES)
			return false;
	}
	return true;
}

/* What every mode needs. What follows from a missing capability is not said again. */
static void common_needs(struct sentences *s, const struct probe_facts *facts)
{
	if (facts->btf != PROBE_YES)
		say(s, "The kernel's BTF cannot be read (/sys/kernel/btf/vmlinux): mount sysfs, or "
		       "use a kernel built with CONFIG_DEBUG_INFO_BTF=y.");
	if (facts->cap_bpf == PROBE_NO)
		say_capability(s, "CAP_BPF");
	if (facts->cap_perfmon == PROBE_NO)
		say_capability(s, "CAP_PERFMON");
	if (facts->bpf_error && facts->cap_bpf != PROBE_NO) {
		say_bpf_refused(s, facts->bpf_error);
		return;
	}
	if (facts->cap_bpf == PROBE_NO || facts->cap_perfmon == PROBE_NO)
		return;
	say_map(s, facts->sk_storage_error, "A socket storage map");
	say_map(s, facts->task_storage_error, "A task storage map");
	if (!facts->sk_storage_error && !facts->task_storage_error)
		say_map(s, facts->array_of_maps_error, "An array of storage maps");
	say_map(s, facts->mmapable_error, "A memory-mapped array");
	if (facts->btf != PROBE_YES)
		return;
	say_tracing(s, facts->tracing_error);
	if (!facts->tracing_error && ledger_is_blind(facts))
		say(s, "No program can be attached to any function of local storage, so the ledger "
		       "would be blind: use a kernel with CONFIG_FUNCTION_TRACER and "
		       "CONFIG_DYNAMIC_FTRACE whose policy allows fentry.");
}

/* Returns whether there is something to inject into at all. */
static bool nofail_needs(struct sentences *s, const struct probe_facts *facts)
{
	int i = probe_function_index(NOFAIL);

	if (facts->present[i] == PROBE_YES)
		return true;
	if (facts->present[i] == PROBE_UNKNOWN) {
		say(s, "Whether " NOFAIL "() exists could not be found out: make /proc/kallsyms or "
		       "the kernel's BTF readable.");
		return true;
	}
	say(s,
	    NOFAIL "() does not exist in this kernel (it came with the rqspinlock conversion of "
		   "local storage%s): nothing to inject into; use --inject=none.",
	    facts->rqspinlock == PROBE_NO ? ", and this kernel has no rqspinlocks at all" : "");
	return false;
}

static void function_needs(struct sentences *s, const struct probe_facts *facts)
{
	struct sentences names = { 0 };

	for (int i = 0; i < PROBE_FUNCTION_NR; i++) {
		if (!probe_functions[i].required || facts->attachable[i] == PROBE_YES)
			continue;
		say(&names, "%s%s()%s", names.text ? "and " : "", probe_functions[i].name,
		    facts->present[i] == PROBE_NO ? " (not out of line)" : "");
	}
	if (names.text)
		say(s,
		    "No program can be attached to %s: this build of the kernel hides what the "
		    "injection or its ledger must see; use another build, or --inject=none.",
		    names.text);
	s->failed |= names.failed;
	sentences_free(&names);
}

static void panic_needs(struct sentences *s, const struct probe_facts *facts)
{
	if (facts->panic_on_warn)
		say(s, "panic_on_warn=1 would turn the documented warning into a panic: set "
		       "kernel.panic_on_warn to 0 or give --accept-panic.");
	if (facts->warn_limit)
		say(s,
		    "kernel.warn_limit=%llu would turn the documented warnings into a panic: set "
		    "it to 0 or give --accept-panic.",
		    (unsigned long long)facts->warn_limit);
}

/* What every mode that injects needs: the oracles are the same. */
static void injecting_needs(struct sentences *s, const struct probe_facts *facts)
{
	common_needs(s, facts);
	if (nofail_needs(s, facts) && could_attach(facts) && !ledger_is_blind(facts))
		function_needs(s, facts);
}

static void stall_needs(struct sentences *s, const struct probe_facts *facts)
{
	injecting_needs(s, facts);
	if (facts->cpus_online == 1)
		say(s, "Only 1 CPU is online: a stalled holder needs a waiter on another CPU; give "
		       "the machine 2 CPUs or use --inject=none.");
}

/* The module is loaded: all that is left to do is to open its device. */
static void device_needs(struct sentences *s, const struct probe_facts *facts)
{
	if (facts->module_device_error)
		say(s,
		    RQF_MODULE " is loaded, but " RQF_DEVICE " cannot be opened (%s): run as root "
			       "with /dev mounted.",
		    strerror(-facts->module_device_error));
}

static void load_needs(struct sentences *s, const struct probe_facts *facts)
{
	if (facts->modules == PROBE_NO) {
		say(s, "CONFIG_MODULES is off in this kernel, so it loads no module: use "
		       "--inject=stall, or boot a kernel built with it.");
		return;
	}
	if (facts->modules_disabled)
		say(s, "kernel.modules_disabled=1 forbids loading " RQF_MODULE " until the next "
		       "boot: reboot, and load it before that is set.");
	if (facts->cap_sys_module == PROBE_NO)
		say(s, "CAP_SYS_MODULE is missing: run as root, grant it, or load " RQF_MODULE
		       " beforehand.");
	if (facts->module_why)
		say(s, "%s.", facts->module_why);
}

static void module_needs(struct sentences *s, const struct probe_facts *facts)
{
	injecting_needs(s, facts);
	if (!facts->x86_64) {
		say(s, RQF_MODULE " is for x86-64 only: use --inject=stall.");
		return;
	}
	if (facts->present[probe_function_index(NOFAIL)] != PROBE_NO && facts->slowpath == PROBE_NO)
		say(s, "resilient_queued_spin_lock_slowpath(), which " RQF_MODULE " diverts, does "
		       "not exist in this kernel: use --inject=stall.");
	if (facts->kprobes == PROBE_NO)
		say(s, "CONFIG_KPROBES is off in this kernel, and " RQF_MODULE " works by kprobes: "
		       "use --inject=stall, or boot a kernel built with it.");
	if (facts->module_loaded)
		device_needs(s, facts);
	else
		load_needs(s, facts);
}

static void fail_function_needs(struct sentences *s, const struct probe_facts *facts)
{
	module_needs(s, facts);
	if (facts->error_injection == PROBE_NO)
		say(s, "CONFIG_FUNCTION_ERROR_INJECTION is off in this kernel: use "
		       "--inject=module, or boot one built with it.");
	if (facts->fail_function == PROBE_NO)
		say(s, "CONFIG_FAIL_FUNCTION is off in this kernel: use --inject=module, or boot "
		       "one built with it.");
	if (facts->error_injection == PROBE_NO || facts->fail_function == PROBE_NO)
		return;
	if (!facts->debugfs)
		say(s, "debugfs is not mounted: mount -t debugfs debugfs /sys/kernel/debug, or use "
		       "--inject=module.");
	else if (facts->locked_down)
		say(s, "This kernel is locked down, so debugfs cannot be written: boot without "
		       "lockdown (Secure Boot).");
	else if (facts->fail_function_error)
		say(s,
		    "/sys/kernel/debug/fail_function cannot be written (%s): run as root, or use "
		    "--inject=module.",
		    strerror(-facts->fail_function_error));
}

/* Best first. */
static const struct {
	const char *name;
	void (*needs)(struct sentences *s, const struct probe_facts *facts);
	bool injecting;
} modes[] = {
	{ "fail_function", fail_function_needs, true },
	{ "module", module_needs, true },
	{ "stall", stall_needs, true },
	{ "none", common_needs, false },
};

static int decide(size_t i, const struct probe_facts *facts, struct probe_mode *ret)
{
	struct sentences s = { 0 };
	bool all_but_panic;

	modes[i].needs(&s, facts);
	all_but_panic = !s.text;
	if (modes[i].injecting)
		panic_needs(&s, facts);
	if (s.failed) {
		sentences_free(&s);
		return -ENOMEM;
	}
	*ret = (struct probe_mode){
		.name = modes[i].name,
		.injecting = modes[i].injecting,
		.usable = !s.text,
		.needs_accept_panic = all_but_panic && s.text,
		.missing = s.text,
	};
	return 0;
}

int probe_decide(const struct probe_facts *facts, struct probe *ret)
{
	_Static_assert(ARRAY_SIZE(modes) <= ARRAY_SIZE(ret->modes), "room for all modes");

	for (ret->n_modes = 0; ret->n_modes < ARRAY_SIZE(modes); ret->n_modes++) {
		int r = decide(ret->n_modes, facts, &ret->modes[ret->n_modes]);

		if (r < 0)
			return r;
	}
	return 0;
}
