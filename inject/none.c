// SPDX-License-Identifier: GPL-2.0-only
/* The backend that injects nothing: churn and oracles alone. */
#include <stddef.h>

#include "daemon/probe.h"
#include "inject.h"

static const char *none_probe(const struct probe *probe)
{
	const struct probe_mode *mode = probe_mode(probe, "none");

	return mode && !mode->usable ? mode->missing : NULL;
}

static int none_prepare(const struct inject_options *options, void **ret)
{
	(void)options;
	*ret = NULL;
	return 0;
}

static int none_arm(void *backend)
{
	(void)backend;
	return 0;
}

static void none_undo(void *backend)
{
	(void)backend;
}

static void none_read(void *backend, struct snapshot *ret)
{
	(void)backend;
	(void)ret;
}

const struct inject_ops inject_none = {
	.name = "none",
	.injects = false,
	.description = "nothing is injected: churn and oracles alone",
	.probe = none_probe,
	.prepare = none_prepare,
	.arm = none_arm,
	.disarm = none_undo,
	.free = none_undo,
	.read = none_read,
};
