/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turns knobs of the kernel back when this process is gone, by whatever death: a child process
 * that does nothing but wait for that. There must be no other thread and no BPF object yet when it
 * is made, since a child holds what its parent held.
 */
#ifndef SOAK_INJECT_JANITOR_H
#define SOAK_INJECT_JANITOR_H

#include <stddef.h>

struct janitor;

/* What is to be written where, in this order. An error that says "not there" is none. */
struct restoration {
	char path[128];
	char text[64];
};

/* The list is copied. 0 or -errno. */
int janitor_new(const struct restoration *list, size_t n, struct janitor **ret);

/* Has it restore now; waits for that. 0, or -EIO when something could not be written. */
int janitor_end(struct janitor *janitor);

/* One restoration, as the child does it. 0 or -errno. */
int restoration_apply(const struct restoration *restoration);

#endif
