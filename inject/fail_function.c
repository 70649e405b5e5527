// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend fail_function: the kernel's own function-based error injection
 * (kernel/fail_function.c) decides at the module's fault points. Its attributes are global, so it
 * must not be in use by others, and what they were is written back at the end. It is armed in
 * leases of so many errors, and runs dry by itself when nobody renews them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/probe.h"
#include "daemon/rng.h"
#include "daemon/snapshot.h"
#include "daemon/util.h"
#include "detour.h"
#include "inject.h"
#include "janitor.h"
#include "undo.h"

#define DIRECTORY "/sys/kernel/debug/fail_function"
#define INJECT	  DIRECTORY "/inject"
#define POINT	  "rqf_point_"
#define LEASE	  10000 /* errors, where no rate limits them more; renewed every 100 ms */

/* As the kernel has them: struct fault_attr, lib/fault-inject.c. */
static const char *const attributes[] = { "probability", "interval", "times",
					  "space",	 "verbose",  "task-filter" };

struct fail_function {
	const struct inject_options *options;
	struct detour *detour;
	struct janitor *janitor;
	bool leased; /* the burst has no bound of its own */
};

static int set(const char *attribute, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DIRECTORY "/%s", attribute);
	return write_file(path, value);
}

static int set_number(const char *attribute, int64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return set(attribute, text);
}

/* Whether the list of functions under injection holds one that is not ours. */
static bool is_used_by_others(const char *list)
{
	while (*list) {
		size_t len = strcspn(list, "\n");

		if (len && strncmp(list, POINT, strlen(POINT)))
			return true;
		list += len + (list[len] == '\n');
	}
	return false;
}

static int refuse_to_share(void)
{
	_cleanup_free_ char *list = NULL;
	int r = read_file(INJECT, &list, NULL);

	if (r < 0) {
		log_error(INJECT " cannot be read: %s", strerror(-r));
		return r;
	}
	if (!is_used_by_others(list))
		return 0;
	log_error("fail_function is in use (" INJECT " lists others' functions), and its knobs are "
		  "global: clear it first, or use --inject=module");
	return -EBUSY;
}

static void dry_up(struct restoration *ret)
{
	snprintf(ret->path, sizeof(ret->path), DIRECTORY "/probability");
	snprintf(ret->text, sizeof(ret->text), "0");
}

static void forget_point(struct restoration *ret, unsigned int site)
{
	snprintf(ret->path, sizeof(ret->path), INJECT);
	snprintf(ret->text, sizeof(ret->text), "!" POINT "%s", site_name(site));
}

static int remember(struct restoration *ret, const char *attribute)
{
	_cleanup_free_ char *value = NULL;
	int r;

	snprintf(ret->path, sizeof(ret->path), DIRECTORY "/%s", attribute);
	r = read_file(ret->path, &value, NULL);
	if (r < 0)
		return r;
	value[strcspn(value, "\n")] = 0;
	snprintf(ret->text, sizeof(ret->text), "%s", value);
	return 0;
}

/*
 * First nothing fails any more, at once; then the functions, which take a grace period each
 * (fei_attr_remove() in kernel/fail_function.c); then the knobs: in between, nothing that fails is
 * ours.
 */
static int start_janitor(struct fail_function *ff)
{
	struct restoration list[1 + SOAK_SITE_NR + ARRAY_SIZE(attributes)] = { 0 };
	size_t n = 0;

	dry_up(&list[n++]);
	for (unsigned int site = 0; site < SOAK_SITE_NR; site++) {
		forget_point(&list[n], site);
		/* What a predecessor may have left behind, too. */
		restoration_apply(&list[n++]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		int r = remember(&list[n], attributes[i]);

		if (!r)
			n++;
		else if (r != -ENOENT)
			return r;
	}
	/* A service manager kills the janitor too. */
	undo_note_knobs(list, n);
	return janitor_new(list, n, &ff->janitor);
}

static int set_error(unsigned int site, bool deadlock)
{
	char attribute[64], value[32];

	snprintf(attribute, sizeof(attribute), POINT "%s/retval", site_name(site));
	snprintf(value, sizeof(value), "%#llx",
		 (unsigned long long)(long long)(deadlock ? -EDEADLK : -ETIMEDOUT));
	return set(attribute, value);
}

static int enter_point(unsigned int site)
{
	char name[64];
	int r;

	snprintf(name, sizeof(name), POINT "%s", site_name(site));
	r = write_file(INJECT, name);
	return r < 0 ? r : set_error(site, false);
}

static int enter_points(struct fail_function *ff)
{
	int r = 0;

	for (unsigned int site = 0; !r && site < SOAK_SITE_NR; site++)
		if (detour_sites(ff->detour) & (1u << site))
			r = enter_point(site);
	return r;
}

static int set_knobs(void)
{
	int r = set_number("probability", 0);

	r = r ?: set_number("times", 0);
	r = r ?: set_number("interval", 1);
	r = r ?: set_number("space", 0);
	r = r ?: set_number("verbose", 0);
	return r ?: set("task-filter", "N");
}

static int lease(void *backend, const struct burst *burst)
{
	struct fail_function *ff = backend;

	(void)burst;
	return ff->leased ? set_number("times", LEASE) : 0;
}

/* Drawn anew for each burst: fail_function has one return value for each function. */
static int draw_errors(const struct fail_function *ff, const struct burst *burst)
{
	bool either = !strcmp(ff->options->error, "either");
	bool deadlock = !strcmp(ff->options->error, "deadlk");
	struct rng rng = { .state = burst->seed };
	int r = 0;

	for (unsigned int site = 0; !r && site < SOAK_SITE_NR; site++)
		if (burst->sites & (1u << site))
			r = set_error(site, either ? rng_below(&rng, 2) : deadlock);
	return r;
}

static int begin(void *backend, const struct burst *burst)
{
	struct fail_function *ff = backend;
	int r;

	ff->leased = burst->times < 0;
	r = draw_errors(ff, burst);
	r = r ?: detour_burst(ff->detour, burst);
	r = r ?: set_number("times", ff->leased ? LEASE : burst->times);
	return r ?: set_number("probability", burst->probability);
}

static int rest(void *backend)
{
	struct fail_function *ff = backend;
	int r = set_number("probability", 0);

	r = r ?: set_number("times", 0);
	return r ?: detour_rest(ff->detour);
}

static const struct schedule_ops bursts = { .begin = begin, .renew = lease, .rest = rest };

static void fail_function_free(void *backend)
{
	struct fail_function *ff = backend;

	if (!ff)
		return;
	if (ff->detour)
		detour_stop(ff->detour);
	/* Before the module goes: a function that goes while it is listed stays as [GONE]. */
	if (ff->janitor && janitor_end(ff->janitor) < 0)
		log_error(
			"not all knobs of fail_function could be turned back: look at " DIRECTORY);
	else if (ff->janitor)
		undo_forget_knobs();
	detour_free(ff->detour);
	free(ff);
}

static int fail_function_prepare(const struct inject_options *options, void **ret)
{
	struct fail_function *ff = calloc(1, sizeof(*ff));
	int r;

	if (!ff)
		return -ENOMEM;
	ff->options = options;
	r = refuse_to_share();
	/* First, since there is one of us only that can have the device open. */
	if (!r)
		r = detour_new(options, "fail_function", &ff->detour);
	if (!r)
		r = start_janitor(ff);
	if (r) {
		fail_function_free(ff);
		return r;
	}
	r = set_knobs() ?: enter_points(ff);
	if (r) {
		log_error("fail_function does not take the module's fault points: %s",
			  strerror(-r));
		fail_function_free(ff);
		return r;
	}
	*ret = ff;
	return 0;
}

static int fail_function_arm(void *backend)
{
	struct fail_function *ff = backend;

	return detour_start(ff->detour, &bursts, ff);
}

static void fail_function_disarm(void *backend)
{
	struct fail_function *ff = backend;

	detour_stop(ff->detour);
}

static void fail_function_read(void *backend, struct snapshot *ret)
{
	const struct fail_function *ff = backend;

	detour_read(ff->detour, ret);
}

static const char *fail_function_probe(const struct probe *probe)
{
	const struct probe_mode *mode = probe_mode(probe, "fail_function");

	if (!mode)
		return "this build knows nothing of fail_function";
	return !mode->usable && !mode->needs_accept_panic ? mode->missing : NULL;
}

const struct inject_ops inject_fail_function = {
	.name = "fail_function",
	.injects = true,
	.uses_module = true,
	.description =
		"the kernel's fail_function fails acquisitions of chosen locks, at the fault "
		"points of the module rqspinlock_fault",
	.probe = fail_function_probe,
	.prepare = fail_function_prepare,
	.arm = fail_function_arm,
	.disarm = fail_function_disarm,
	.free = fail_function_free,
	.read = fail_function_read,
};
