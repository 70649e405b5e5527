// SPDX-License-Identifier: GPL-2.0-only
/*
 * What there is for injection by the module rqspinlock_fault, alone or by way of fail_function.
 * Only files are looked at: nothing is loaded, and nothing written.
 */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "inject/kmod/rqspinlock_fault.h"
#include "kmod.h"
#include "prober.h"

#define DEBUGFS	      "/sys/kernel/debug"
#define FAIL_FUNCTION DEBUGFS "/fail_function"
#define INJECTABLE    DEBUGFS "/error_injection/list"
#define LOCKDOWN      "/sys/kernel/security/lockdown"

/* Fault injection ------------------------------------------------------- */

static void ask_injectable(struct prober *p)
{
	static const char name[] = "rqspinlock injectable";
	_cleanup_free_ char *list = NULL;
	int r = p->debugfs ? read_file(INJECTABLE, &list, NULL) : -ENODEV;

	if (r == -ENODEV)
		prober_add(p, name, PROBE_UNKNOWN, "debugfs is not mounted");
	else if (r == -ENOENT)
		prober_add(p, name, PROBE_NO,
			   "this kernel has no error-injection list "
			   "(CONFIG_FUNCTION_ERROR_INJECTION)");
	else if (r < 0)
		prober_add(p, name, PROBE_UNKNOWN, INJECTABLE ": %s", strerror(-r));
	else
		prober_add(p, name,
			   prober_answer(strstr(list, "resilient_queued_spin_lock_slowpath") ||
					 strstr(list, "resilient_tas_spin_lock")),
			   "on the kernel's error-injection list, by itself");
}

/* The directory is proof; without it, and without a configuration, nothing is known. */
static enum probe_answer fail_function_answer(const struct prober *p)
{
	enum probe_answer directory = prober_debugfs_has(p, FAIL_FUNCTION);

	return directory == PROBE_UNKNOWN ? prober_option(p, "CONFIG_FAIL_FUNCTION") : directory;
}

static void ask_fault_injection(struct prober *p)
{
	struct probe_facts *f = &p->facts;

	f->debugfs = p->debugfs;
	f->fail_function = fail_function_answer(p);
	f->error_injection = f->fail_function == PROBE_YES
				     ? PROBE_YES
				     : prober_option(p, "CONFIG_FUNCTION_ERROR_INJECTION");
	f->fail_function_error = access(FAIL_FUNCTION "/inject", W_OK) ? -errno : 0;

	p->group = "fault injection";
	prober_add_debugfs(p, "fail_function", FAIL_FUNCTION);
	ask_injectable(p);
	prober_add_option(p, "CONFIG_FAIL_FUNCTION");
	prober_add_option(p, "CONFIG_FUNCTION_ERROR_INJECTION");
	prober_add_option(p, "CONFIG_FAULT_INJECTION_STACKTRACE_FILTER");
	prober_add_option(p, "CONFIG_BPF_KPROBE_OVERRIDE");
}

/* The module ------------------------------------------------------------ */

static void ask_loading(struct prober *p, const struct kmod_policy *policy)
{
	static const char path[] = "/proc/sys/kernel/modules_disabled";

	p->facts.modules_disabled = policy->disabled;
	p->facts.modules = prober_option(p, "CONFIG_MODULES");
	if (!access(path, F_OK))
		p->facts.modules = PROBE_YES;
	else if (errno == ENOENT && prober_has_sysctls())
		p->facts.modules = PROBE_NO;

	if (p->facts.modules == PROBE_NO)
		prober_add(p, "loading", PROBE_NO, "the kernel is built without CONFIG_MODULES");
	else if (p->facts.modules == PROBE_UNKNOWN)
		prober_add(p, "loading", PROBE_UNKNOWN, "%s is not there", path);
	else if (policy->disabled)
		prober_add(p, "loading", PROBE_NO,
			   "kernel.modules_disabled=1, until the next boot");
	else
		prober_add(p, "loading", PROBE_YES, "kernel.modules_disabled=0");
}

static void ask_signatures(struct prober *p, const struct kmod_policy *policy)
{
	static const char name[] = "signatures";

	if (policy->enforces)
		prober_add(p, name, PROBE_VALUE, "enforced: only signed modules are taken");
	else if (policy->checks)
		prober_add(p, name, PROBE_VALUE,
			   "checked, not enforced: an unsigned module taints the kernel (E)");
	else
		prober_add(p, name, PROBE_VALUE, "not checked");
}

static void ask_lockdown(struct prober *p, const struct kmod_policy *policy)
{
	_cleanup_free_ char *text = NULL;
	int r = read_file(LOCKDOWN, &text, NULL);

	p->facts.locked_down = policy->locked_down;
	if (!p->securityfs) {
		prober_add(p, "lockdown", PROBE_UNKNOWN, "securityfs is not mounted");
	} else if (r == -ENOENT) {
		prober_add(p, "lockdown", PROBE_NO, "not among the LSMs");
	} else if (r < 0) {
		prober_add(p, "lockdown", PROBE_UNKNOWN, LOCKDOWN ": %s", strerror(-r));
	} else {
		text[strcspn(text, "\n")] = '\0';
		prober_add(p, "lockdown", prober_answer(policy->locked_down), "%s", text);
	}
}

static void ask_loaded(struct prober *p)
{
	p->facts.module_loaded = kmod_is_loaded();
	if (!p->facts.module_loaded) {
		prober_add_plain(p, "loaded", PROBE_NO);
		return;
	}
	p->facts.module_device_error = access(RQF_DEVICE, R_OK | W_OK) ? -errno : 0;
	if (p->facts.module_device_error)
		prober_add(p, "loaded", PROBE_YES, RQF_DEVICE ": %s",
			   strerror(-p->facts.module_device_error));
	else
		prober_add(p, "loaded", PROBE_YES, RQF_DEVICE);
}

static void add_available(struct prober *p, const struct kmod_file *file,
			  const struct kmod_policy *policy)
{
	const char *taint = kmod_info_taint(&file->info, policy);

	if (file->error)
		prober_add(p, "available", PROBE_NO, "%s", file->why);
	else if (file->opaque)
		prober_add(p, "available", PROBE_YES, "%s, compressed: not looked into",
			   file->path);
	else
		prober_add(p, "available", PROBE_YES, "%s%s%s%s", file->path,
			   *taint ? ", would taint the kernel (" : "", taint, *taint ? ")" : "");
}

static void ask_available(struct prober *p, const struct kmod_policy *policy)
{
	struct kmod_file file = { 0 };

	if (kmod_find(p->module, policy, &file) < 0) {
		p->error = -ENOMEM;
		return;
	}
	add_available(p, &file, policy);
	p->facts.module_why = TAKE_PTR(file.why);
	kmod_file_free(&file);
}

void prober_module(struct prober *p)
{
	struct kmod_policy policy;
	struct utsname uts;

	ask_fault_injection(p);

	uname(&uts);
	p->facts.x86_64 = !strcmp(uts.machine, "x86_64");
	p->facts.kprobes = prober_option(p, "CONFIG_KPROBES");
	p->facts.slowpath = prober_listed(p, "resilient_queued_spin_lock_slowpath");
	kmod_policy_read(&policy);
	p->group = "module";
	ask_loading(p, &policy);
	ask_signatures(p, &policy);
	prober_add_option(p, "CONFIG_MODULE_SIG_FORCE");
	ask_lockdown(p, &policy);
	prober_add_option(p, "CONFIG_KPROBES");
	ask_loaded(p);
	ask_available(p, &policy);
}
