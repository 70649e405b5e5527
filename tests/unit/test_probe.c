// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pure parts of check: which modes follow from which facts and what is said about the rest,
 * which path rqspinlock takes, how symbol lists are read, and what is printed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "daemon/probe.h"
#include "daemon/probe_mode.h"
#include "daemon/rqspinlock.h"
#include "daemon/symbols.h"
#include "daemon/util.h"

#define EXIT_UNSUPPORTED 77

/* A kernel on which everything works. */
static struct probe_facts good(void)
{
	struct probe_facts facts = {
		.btf = PROBE_YES,
		.cap_bpf = PROBE_YES,
		.cap_perfmon = PROBE_YES,
		.rqspinlock = PROBE_YES,
		.slowpath = PROBE_YES,
		.cpus_online = 2,
		.x86_64 = true,
		.kprobes = PROBE_YES,
		.modules = PROBE_YES,
		.cap_sys_module = PROBE_YES,
		.debugfs = true,
		.error_injection = PROBE_YES,
		.fail_function = PROBE_YES,
	};

	for (int i = 0; i < PROBE_FUNCTION_NR; i++) {
		facts.present[i] = PROBE_YES;
		facts.attachable[i] = PROBE_YES;
	}
	return facts;
}

static void set_function(struct probe_facts *facts, const char *name, enum probe_answer present,
			 enum probe_answer attachable)
{
	int i = probe_function_index(name);

	assert_true(i >= 0);
	facts->present[i] = present;
	facts->attachable[i] = attachable;
}

static void assert_says(const struct probe_mode *mode, const char *part)
{
	assert_non_null(mode);
	assert_false(mode->usable);
	assert_non_null(mode->missing);
	if (!strstr(mode->missing, part))
		fail_msg("\"%s\" is not in \"%s\"", part, mode->missing);
}

static void assert_silent(const struct probe_mode *mode, const char *part)
{
	if (mode->missing && strstr(mode->missing, part))
		fail_msg("\"%s\" is in \"%s\"", part, mode->missing);
}

struct decided {
	struct probe probe;
	const struct probe_mode *fail_function;
	const struct probe_mode *module;
	const struct probe_mode *stall;
	const struct probe_mode *none;
};

static void decide(const struct probe_facts *facts, struct decided *d)
{
	memset(d, 0, sizeof(*d));
	assert_int_equal(probe_decide(facts, &d->probe), 0);
	d->fail_function = probe_mode(&d->probe, "fail_function");
	d->module = probe_mode(&d->probe, "module");
	d->stall = probe_mode(&d->probe, "stall");
	d->none = probe_mode(&d->probe, "none");
	assert_non_null(d->fail_function);
	assert_non_null(d->module);
	assert_non_null(d->stall);
	assert_non_null(d->none);
	assert_true(d->fail_function->injecting);
	assert_true(d->module->injecting);
	assert_true(d->stall->injecting);
	assert_false(d->none->injecting);
}

static void decided_free(struct decided *d)
{
	probe_free(&d->probe);
}

static void test_all_usable(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	decide(&facts, &d);
	assert_true(d.fail_function->usable);
	assert_true(d.module->usable);
	assert_true(d.stall->usable);
	assert_true(d.none->usable);
	assert_null(d.fail_function->missing);
	assert_null(d.module->missing);
	assert_null(d.stall->missing);
	assert_null(d.none->missing);
	assert_false(d.stall->needs_accept_panic);
	assert_int_equal(probe_exit_code(&d.probe), 0);
	assert_null(probe_mode(&d.probe, "auto"));
}

static void test_best_first(void **state)
{
	static const char *const names[] = { "fail_function", "module", "stall", "none" };
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	decide(&facts, &d);
	assert_int_equal(d.probe.n_modes, ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(d.probe.modes[i].name, names[i]);
}

/* 6.18: rqspinlocks exist, local storage does not use them yet. */
static void test_no_nofail(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	set_function(&facts, "bpf_selem_unlink_nofail", PROBE_NO, PROBE_NO);
	set_function(&facts, "bpf_selem_unlink_storage_nolock_misc", PROBE_NO, PROBE_NO);
	decide(&facts, &d);
	assert_says(d.stall, "bpf_selem_unlink_nofail() does not exist in this kernel");
	assert_says(d.stall, "use --inject=none");
	assert_silent(d.stall, "bpf_selem_unlink_storage_nolock_misc");
	assert_silent(d.stall, "no rqspinlocks at all");
	assert_string_equal(d.module->missing, d.stall->missing);
	assert_string_equal(d.fail_function->missing, d.stall->missing);
	assert_true(d.none->usable);
	assert_int_equal(probe_exit_code(&d.probe), EXIT_UNSUPPORTED);
}

static void test_no_rqspinlock(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	set_function(&facts, "bpf_selem_unlink_nofail", PROBE_NO, PROBE_NO);
	facts.rqspinlock = PROBE_NO;
	decide(&facts, &d);
	assert_says(d.stall, "no rqspinlocks at all");
	assert_true(d.none->usable);
}

static void test_required_function(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	set_function(&facts, "bpf_obj_free_fields", PROBE_YES, PROBE_NO);
	set_function(&facts, "kvfree_call_rcu", PROBE_NO, PROBE_NO);
	decide(&facts, &d);
	assert_says(d.stall, "bpf_obj_free_fields()");
	assert_says(d.stall, "kvfree_call_rcu() (not out of line)");
	assert_says(d.module, "kvfree_call_rcu() (not out of line)");
	assert_true(d.none->usable);
}

/* Refused with all capabilities: not tried is not usable. */
static void test_nofail_untried(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	set_function(&facts, "bpf_selem_unlink_nofail", PROBE_YES, PROBE_UNKNOWN);
	decide(&facts, &d);
	assert_says(d.stall, "bpf_selem_unlink_nofail()");
	assert_true(d.none->usable);
}

static void test_optional_function(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	for (int i = 0; i < PROBE_FUNCTION_NR; i++) {
		if (!probe_functions[i].required)
			facts.present[i] = facts.attachable[i] = PROBE_NO;
	}
	decide(&facts, &d);
	assert_true(d.stall->usable);
	assert_true(d.none->usable);
}

/* fentry is refused everywhere: a run could see nothing. */
static void test_blind(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	for (int i = 0; i < PROBE_FUNCTION_NR; i++)
		facts.attachable[i] = PROBE_UNKNOWN;
	decide(&facts, &d);
	assert_says(d.stall, "blind");
	assert_says(d.none, "blind");
	assert_says(d.module, "blind");
	assert_silent(d.stall, "kvfree_call_rcu");
}

/* What follows from a missing capability is not said on top of it. */
static void test_no_capability(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	facts.cap_bpf = PROBE_NO;
	facts.bpf_error = -EPERM;
	facts.sk_storage_error = -EPERM;
	facts.task_storage_error = -EPERM;
	facts.array_of_maps_error = -EPERM;
	facts.mmapable_error = -EPERM;
	facts.tracing_error = -EPERM;
	for (int i = 0; i < PROBE_FUNCTION_NR; i++)
		facts.attachable[i] = PROBE_UNKNOWN;
	decide(&facts, &d);
	assert_string_equal(d.stall->missing, "CAP_BPF is missing: run as root or grant it.");
	assert_string_equal(d.none->missing, "CAP_BPF is missing: run as root or grant it.");
	assert_string_equal(d.module->missing, "CAP_BPF is missing: run as root or grant it.");
	assert_int_equal(probe_exit_code(&d.probe), EXIT_UNSUPPORTED);
}

static void test_no_perfmon(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	facts.cap_perfmon = PROBE_NO;
	facts.tracing_error = -EPERM;
	for (int i = 0; i < PROBE_FUNCTION_NR; i++)
		facts.attachable[i] = PROBE_UNKNOWN;
	decide(&facts, &d);
	assert_string_equal(d.stall->missing, "CAP_PERFMON is missing: run as root or grant it.");
	assert_false(d.none->usable);
}

static void test_no_bpf(void **state)
{
	_cleanup_(decided_free) struct decided d, refused;
	struct probe_facts facts = good();

	(void)state;
	facts.bpf_error = -ENOSYS;
	decide(&facts, &d);
	assert_says(d.stall, "CONFIG_BPF_SYSCALL");
	assert_says(d.none, "CONFIG_BPF_SYSCALL");
	facts.bpf_error = -EPERM;
	decide(&facts, &refused);
	assert_says(refused.none, "a container, a seccomp filter");
}

static void test_no_btf(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	facts.btf = PROBE_NO;
	for (int i = 0; i < PROBE_FUNCTION_NR; i++)
		facts.attachable[i] = PROBE_UNKNOWN;
	decide(&facts, &d);
	assert_says(d.stall, "CONFIG_DEBUG_INFO_BTF");
	assert_says(d.none, "CONFIG_DEBUG_INFO_BTF");
	assert_silent(d.none, "blind");
}

static void test_no_storage_map(void **state)
{
	_cleanup_(decided_free) struct decided d;
	struct probe_facts facts = good();

	(void)state;
	facts.task_storage_error = -EINVAL;
	decide(&facts, &d);
	assert_says(d.stall, "A task storage map cannot be made (Invalid argument)");
	assert_says(d.none, "A task storage map cannot be made (Invalid argument)");
}

static void test_one_cpu(void **state)
{
	_cleanup_(decided_free) struct decided d, unknown;
	struct probe_facts facts = good();

	(void)state;
	facts.cpus_online = 1;
	decide(&facts, &d);
	assert_says(d.stall, "Only 1 CPU is online");
	assert_true(d.module->usable);
	assert_true(d.none->usable);
	facts.cpus_online = 0;
	decide(&facts, &unknown);
	assert_true(unknown.stall->usable);
}

static void test_panic(void **state)
{
	_cleanup_(decided_free) struct decided warn, limit, other;
	struct probe_facts facts = good();

	(void)state;
	facts.panic_on_warn = true;
	decide(&facts, &warn);
	assert_says(warn.stall, "give --accept-panic");
	assert_true(warn.stall->needs_accept_panic);
	assert_says(warn.module, "give --accept-panic");
	assert_true(warn.module->needs_accept_panic);
	assert_true(warn.fail_function->needs_accept_panic);
	assert_true(warn.none->usable);
	assert_int_equal(probe_exit_code(&warn.probe), EXIT_UNSUPPORTED);

	facts.cpus_online = 1;
	decide(&facts, &other);
	assert_says(other.stall, "panic_on_warn");
	assert_false(other.stall->needs_accept_panic);

	facts = good();
	facts.warn_limit = 10;
	decide(&facts, &limit);
	assert_says(limit.stall, "kernel.warn_limit=10");
	assert_true(limit.stall->needs_accept_panic);
}

/* Both modes that drive the module say so; stall does not mind. */
static void assert_module_says(const struct probe_facts *facts, const char *part)
{
	_cleanup_(decided_free) struct decided d;

	decide(facts, &d);
	assert_says(d.module, part);
	assert_says(d.fail_function, part);
	assert_true(d.stall->usable);
	assert_true(d.none->usable);
	assert_int_equal(probe_exit_code(&d.probe), 0);
}

static void assert_module_usable(const struct probe_facts *facts)
{
	_cleanup_(decided_free) struct decided d;

	decide(facts, &d);
	assert_true(d.module->usable);
	assert_true(d.fail_function->usable);
}

static void test_module_kernel(void **state)
{
	struct probe_facts facts = good();

	(void)state;
	facts.x86_64 = false;
	assert_module_says(&facts, "rqspinlock_fault is for x86-64 only: use --inject=stall.");

	facts = good();
	facts.slowpath = PROBE_NO;
	assert_module_says(&facts, "resilient_queued_spin_lock_slowpath(), which rqspinlock_fault "
				   "diverts, does not exist in this kernel: use --inject=stall.");
	facts.slowpath = PROBE_UNKNOWN;
	assert_module_usable(&facts);

	facts = good();
	facts.kprobes = PROBE_NO;
	assert_module_says(&facts,
			   "CONFIG_KPROBES is off in this kernel, and rqspinlock_fault works by "
			   "kprobes: use --inject=stall, or boot a kernel built with it.");
	facts.kprobes = PROBE_UNKNOWN;
	assert_module_usable(&facts);
}

static void test_module_loading(void **state)
{
	struct probe_facts facts = good();

	(void)state;
	facts.modules = PROBE_NO;
	assert_module_says(&facts, "CONFIG_MODULES is off in this kernel, so it loads no module: "
				   "use --inject=stall, or boot a kernel built with it.");
	facts.modules = PROBE_UNKNOWN;
	assert_module_usable(&facts);

	facts = good();
	facts.modules_disabled = true;
	assert_module_says(&facts,
			   "kernel.modules_disabled=1 forbids loading rqspinlock_fault until the "
			   "next boot: reboot, and load it before that is set.");

	facts = good();
	facts.cap_sys_module = PROBE_NO;
	assert_module_says(&facts, "CAP_SYS_MODULE is missing: run as root, grant it, or load "
				   "rqspinlock_fault beforehand.");
	facts.cap_sys_module = PROBE_UNKNOWN;
	assert_module_usable(&facts);

	facts = good();
	facts.module_why = (char *)"/m.ko was built for another";
	assert_module_says(&facts, "/m.ko was built for another.");
}

/* Then nothing matters that would keep it from being loaded. */
static void test_module_loaded(void **state)
{
	struct probe_facts facts = good();

	(void)state;
	facts.module_loaded = true;
	facts.modules_disabled = true;
	facts.cap_sys_module = PROBE_NO;
	facts.module_why = (char *)"not installed";
	assert_module_usable(&facts);

	facts.module_device_error = -EACCES;
	assert_module_says(&facts,
			   "rqspinlock_fault is loaded, but /dev/rqspinlock_fault cannot be "
			   "opened (Permission denied): run as root with /dev mounted.");
	facts.module_loaded = false;
	assert_module_says(&facts, "not installed.");
}

/* What fail_function lacks, module does not. */
static void assert_fail_function_says(const struct probe_facts *facts, const char *text)
{
	_cleanup_(decided_free) struct decided d;

	decide(facts, &d);
	assert_true(d.module->usable);
	assert_false(d.fail_function->usable);
	assert_string_equal(d.fail_function->missing, text);
}

static void test_fail_function(void **state)
{
	struct probe_facts facts = good();

	(void)state;
	facts.fail_function = PROBE_NO;
	facts.fail_function_error = -ENOENT;
	facts.debugfs = false;
	assert_fail_function_says(&facts, "CONFIG_FAIL_FUNCTION is off in this kernel: use "
					  "--inject=module, or boot one built with it.");
	facts = good();
	facts.error_injection = PROBE_NO;
	assert_fail_function_says(&facts,
				  "CONFIG_FUNCTION_ERROR_INJECTION is off in this kernel: use "
				  "--inject=module, or boot one built with it.");
	facts = good();
	facts.debugfs = false;
	facts.fail_function = PROBE_UNKNOWN;
	facts.fail_function_error = -ENOENT;
	assert_fail_function_says(&facts, "debugfs is not mounted: mount -t debugfs debugfs "
					  "/sys/kernel/debug, or use --inject=module.");
	facts = good();
	facts.fail_function_error = -EACCES;
	assert_fail_function_says(&facts,
				  "/sys/kernel/debug/fail_function cannot be written (Permission "
				  "denied): run as root, or use --inject=module.");
	facts.locked_down = true;
	assert_fail_function_says(&facts,
				  "This kernel is locked down, so debugfs cannot be written: boot "
				  "without lockdown (Secure Boot).");
}

static void test_rqspinlock(void **state)
{
	const struct rqspinlock_facts guest = {
		.queued = PROBE_YES,
		.paravirt = PROBE_YES,
		.pv_spinlocks = PROBE_YES,
		.hypervisor = PROBE_YES,
		.cpus_possible = 2,
	};
	struct rqspinlock_facts facts = guest;
	const char *why = NULL;

	(void)state;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_TAS);
	assert_non_null(why);
	facts.hypervisor = PROBE_NO;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_QUEUED);
	facts = guest;
	facts.queued = PROBE_NO;
	facts.hypervisor = PROBE_NO;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_TAS);
	facts = guest;
	facts.paravirt = PROBE_NO;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_QUEUED);
	facts.paravirt = PROBE_UNKNOWN;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_UNKNOWN);
	facts = guest;
	facts.hypervisor = PROBE_UNKNOWN;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_UNKNOWN);
	assert_string_equal(rqspinlock_path_name(RQSPINLOCK_UNKNOWN), "unknown");
}

static void test_rqspinlock_kvm(void **state)
{
	const struct rqspinlock_facts guest = {
		.queued = PROBE_YES,
		.paravirt = PROBE_YES,
		.pv_spinlocks = PROBE_YES,
		.hypervisor = PROBE_YES,
		.kvm = true,
		.cpus_possible = 2,
	};
	struct rqspinlock_facts facts = guest;
	const char *why = NULL;

	(void)state;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_TAS);
	facts.kvm_pv_unhalt = true;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_QUEUED);
	facts.pv_spinlocks = PROBE_NO;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_TAS);
	facts = guest;
	facts.nopvspin = true;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_QUEUED);
	facts = guest;
	facts.kvm_realtime = true;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_QUEUED);
	facts = guest;
	facts.cpus_possible = 1;
	assert_int_equal(rqspinlock_decide(&facts, &why), RQSPINLOCK_QUEUED);
}

static void write_temporary(char *path, const char *text)
{
	_cleanup_close_ int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void test_kallsyms(void **state)
{
	static const char text[] = "ffffffff81000000 t alpha.cold\n"
				   "ffffffff81000010 T alpha\n"
				   "0000000000000000 t beta.constprop.0\n"
				   "ffffffff81000030 t beta.constprop.0.cold\n"
				   "ffffffff81000040 t gamma\t[module]\n"
				   "ffffffff81000050 t deltas\n"
				   "broken\n"
				   "\n";
	struct symbol symbols[] = {
		{ .name = "alpha" },
		{ .name = "beta" },
		{ .name = "gamma" },
		{ .name = "delta" },
	};
	char path[] = "/tmp/test_probe.XXXXXX";

	(void)state;
	write_temporary(path, text);
	assert_int_equal(symbols_scan_kallsyms(path, symbols, ARRAY_SIZE(symbols)), 0);
	unlink(path);
	assert_true(symbols[0].listed);
	assert_string_equal(symbols[0].variant, "");
	assert_false(symbols[1].listed);
	assert_string_equal(symbols[1].variant, "beta.constprop.0");
	assert_false(symbols[2].listed);
	assert_false(symbols[3].listed);
	assert_string_equal(symbols[3].variant, "");
	assert_ptr_equal(symbols_find(symbols, ARRAY_SIZE(symbols), "gamma"), &symbols[2]);
	assert_null(symbols_find(symbols, ARRAY_SIZE(symbols), "epsilon"));
	assert_int_equal(symbols_scan_kallsyms(path, symbols, ARRAY_SIZE(symbols)), -ENOENT);
}

static void test_traceable(void **state)
{
	struct symbol symbols[] = { { .name = "alpha" }, { .name = "beta" }, { .name = "gamma" } };
	char path[] = "/tmp/test_probe.XXXXXX";

	(void)state;
	write_temporary(path, "alpha\nbeta [module]\ngammas\n");
	assert_int_equal(symbols_scan_traceable(path, symbols, ARRAY_SIZE(symbols)), 0);
	unlink(path);
	assert_true(symbols[0].traceable);
	assert_false(symbols[1].traceable);
	assert_false(symbols[2].traceable);
}

static void make_sample(struct probe *probe, struct probe_item items[3])
{
	struct probe_facts facts = good();

	set_function(&facts, "bpf_selem_unlink_nofail", PROBE_NO, PROBE_NO);
	memset(probe, 0, sizeof(*probe));
	assert_int_equal(probe_decide(&facts, probe), 0);
	items[0] = (struct probe_item){ "kernel", "release", PROBE_VALUE, (char *)"1.2.3" };
	items[1] = (struct probe_item){ "kernel", "BTF", PROBE_YES, NULL };
	items[2] = (struct probe_item){ "hooks", "say \"hi\"", PROBE_UNKNOWN, (char *)"why/not" };
	probe->items = items;
	probe->n_items = 3;
	snprintf(probe->release, sizeof(probe->release), "1.2.3");
}

/* The items are not the probe's own. */
static void sample_free(struct probe *probe)
{
	probe->items = NULL;
	probe->n_items = 0;
	probe_free(probe);
}

static char *printed(const struct probe *probe, bool json)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	if (json)
		assert_int_equal(probe_print_json(probe, out), 0);
	else
		probe_print(probe, out);
	fclose(out);
	return text;
}

static void test_print(void **state)
{
	static const char last[] = "\n  none           usable\n";
	_cleanup_(sample_free) struct probe probe;
	_cleanup_free_ char *text = NULL;
	struct probe_item items[3];

	(void)state;
	make_sample(&probe, items);
	text = printed(&probe, false);
	assert_ptr_equal(strstr(text, "kernel\n"
				      "  release   1.2.3\n"
				      "  BTF       yes\n"
				      "\n"
				      "hooks\n"
				      "  say \"hi\"  unknown  why/not\n"
				      "\n"
				      "modes of run --inject\n"),
			 text);
	assert_non_null(strstr(text, "\n  stall          not usable: bpf_selem_unlink_nofail()"));
	assert_non_null(strstr(text, "\n  fail_function  not usable: bpf_selem_unlink_nofail()"));
	assert_string_equal(text + strlen(text) - strlen(last), last);
}

static const char *string_at(struct json_object *array, size_t i, const char *key)
{
	return json_object_get_string(
		json_object_object_get(json_object_array_get_idx(array, i), key));
}

static void test_print_json(void **state)
{
	_cleanup_(sample_free) struct probe probe;
	_cleanup_free_ char *text = NULL;
	struct json_object *root, *list, *modes;
	struct probe_item items[3];

	(void)state;
	make_sample(&probe, items);
	text = printed(&probe, true);
	root = json_tokener_parse(text);
	assert_non_null(root);
	list = json_object_object_get(root, "items");
	modes = json_object_object_get(root, "modes");
	assert_int_equal(json_object_array_length(list), 3);
	assert_string_equal(string_at(list, 0, "answer"), "value");
	assert_null(string_at(list, 1, "detail"));
	assert_string_equal(string_at(list, 2, "name"), "say \"hi\"");
	assert_int_equal(json_object_array_length(modes), 4);
	assert_string_equal(string_at(modes, 0, "usable"), "false");
	assert_null(string_at(modes, 3, "missing"));
	assert_int_equal(json_object_get_int(json_object_object_get(root, "exit_code")),
			 EXIT_UNSUPPORTED);
	json_object_put(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_usable),
		cmocka_unit_test(test_best_first),
		cmocka_unit_test(test_no_nofail),
		cmocka_unit_test(test_no_rqspinlock),
		cmocka_unit_test(test_required_function),
		cmocka_unit_test(test_nofail_untried),
		cmocka_unit_test(test_optional_function),
		cmocka_unit_test(test_blind),
		cmocka_unit_test(test_no_capability),
		cmocka_unit_test(test_no_perfmon),
		cmocka_unit_test(test_no_bpf),
		cmocka_unit_test(test_no_btf),
		cmocka_unit_test(test_no_storage_map),
		cmocka_unit_test(test_one_cpu),
		cmocka_unit_test(test_panic),
		cmocka_unit_test(test_module_kernel),
		cmocka_unit_test(test_module_loading),
		cmocka_unit_test(test_module_loaded),
		cmocka_unit_test(test_fail_function),
		cmocka_unit_test(test_rqspinlock),
		cmocka_unit_test(test_rqspinlock_kvm),
		cmocka_unit_test(test_kallsyms),
		cmocka_unit_test(test_traceable),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_print_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
