/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two processes below a crew of one: a parent, and its child, of which the crew is the next parent.
 * All of it dies with the crew.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* In the room of the crew (crew_room()). */
struct family {
	uint32_t ready;
	pid_t parent, child;
};

/*
 * What the crew begins with (crew_options.begin; the room is the family's). Async-signal-safe.
 * 0, or -errno; -ETIMEDOUT: there was no child within a second.
 */
int family_found(void *room);
