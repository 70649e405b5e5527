// SPDX-License-Identifier: GPL-2.0-only
/* The backend that injects nothing: churn and oracles alone. */
#include <stddef.h>
#include <string.h>

#include "daemon/probe.h"
#include "inject.h"

static const char *none_probe(const struct probe *probe)
{
	const struct probe_mode *mode = probe_mode(probe, "none");

	return mode && !mode->usable ? mode->missing : NULL;
}

static int none_arm(const struct inject_options *options, struct inject **ret)
{
	(void)options;
	*ret = NULL;
	return 0;
}

static void none_disarm(struct inject *inject)
{
	(void)inject;
}

static void none_read(const struct inject *inject, struct inject_figures *ret)
{
	(void)inject;
	memset(ret, 0, sizeof(*ret));
}

const struct inject_ops inject_none = {
	.name = "none",
	.injects = false,
	.description = "nothing is injected: churn and oracles alone",
	.probe = none_probe,
	.arm = none_arm,
	.disarm = none_disarm,
	.read = none_read,
};
