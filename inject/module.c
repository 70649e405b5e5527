// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend module: the kernel module rqspinlock_fault, which decides by its own knobs. For
 * kernels without CONFIG_FAIL_FUNCTION, which is to say all that distributions ship.
 */
#include <stddef.h>

#include "daemon/probe.h"
#include "detour.h"
#include "inject.h"

static int burst_begin(void *backend, const struct burst *burst)
{
	return detour_burst(backend, burst);
}

static int burst_rest(void *backend)
{
	return detour_rest(backend);
}

static const struct schedule_ops bursts = { .begin = burst_begin, .rest = burst_rest };

static int module_prepare(const struct inject_options *options, void **ret)
{
	return detour_new(options, "self", (struct detour **)ret);
}

static int module_arm(void *backend)
{
	return detour_start(backend, &bursts, backend);
}

static void module_disarm(void *backend)
{
	detour_stop(backend);
}

static void module_free(void *backend)
{
	detour_free(backend);
}

static void module_read(void *backend, struct snapshot *ret)
{
	detour_read(backend, ret);
}

static const char *module_probe(const struct probe *probe)
{
	const struct probe_mode *mode = probe_mode(probe, "module");

	if (!mode)
		return "this build knows nothing of the kernel module";
	return !mode->usable && !mode->needs_accept_panic ? mode->missing : NULL;
}

const struct inject_ops inject_module = {
	.name = "module",
	.injects = true,
	.uses_module = true,
	.description = "the kernel module rqspinlock_fault fails acquisitions of chosen locks",
	.probe = module_probe,
	.prepare = module_prepare,
	.arm = module_arm,
	.disarm = module_disarm,
	.free = module_free,
	.read = module_read,
};
