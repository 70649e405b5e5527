// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stall backend: real timeouts behind real holders, without a kernel module. A lock that
 * somebody holds is held for longer than its waiters wait: see encounter.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/probe.h"
#include "daemon/snapshot.h"
#include "daemon/util.h"
#include "encounter.h"
#include "inject.h"

struct stall {
	const struct inject_options *options;
	struct encounters *encounters;
};

static int stall_prepare(const struct inject_options *options, void **ret)
{
	struct stall *stall = calloc(1, sizeof(*stall));

	if (!stall)
		return -ENOMEM;
	stall->options = options;
	*ret = stall;
	return 0;
}

static int stall_arm(void *backend)
{
	struct stall *stall = backend;
	struct encounters_options options = {
		.programs = stall->options->programs,
		.pool = stall->options->pool,
		.stall_ns = stall->options->stall_ns,
		.pause_ns = stall->options->pause_ns,
		.n_plans = SOAK_PLANS / 2, /* the duels have the others */
	};

	return encounters_start(&options, &stall->encounters);
}

static void stall_disarm(void *backend)
{
	struct stall *stall = backend;

	encounters_stop(TAKE_PTR(stall->encounters));
}

static void stall_free(void *backend)
{
	free(backend);
}

static void stall_read(void *backend, struct snapshot *ret)
{
	const struct stall *stall = backend;
	const struct encounters *encounters = stall->encounters;

	ret->kinds[FAULT_ORGANIC] = true;
	if (!encounters)
		return;
	ret->stall_ns = encounters_stall_ns(encounters);
	ret->stalls = encounters_held(encounters);
}

static const char *stall_probe(const struct probe *probe)
{
	const struct probe_mode *mode = probe_mode(probe, "stall");

	return mode && !mode->usable && !mode->needs_accept_panic ? mode->missing : NULL;
}

const struct inject_ops inject_stall = {
	.name = "stall",
	.injects = true,
	.description = "organic: BPF programs stall real lock holders past the kernel's timeout",
	.probe = stall_probe,
	.prepare = stall_prepare,
	.arm = stall_arm,
	.disarm = stall_disarm,
	.free = stall_free,
	.read = stall_read,
};
