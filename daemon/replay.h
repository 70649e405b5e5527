/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line that does a run again. Inside a guest of scripts/soak it is the one for the
 * host: scripts/soak tells how it was called by the environment variable BPFSOAKD_REPLAY,
 * everything that stands before "--duration". Pure, but for replay_base().
 */
#ifndef SOAK_REPLAY_H
#define SOAK_REPLAY_H

#include <stdint.h>

struct config;

/* BPFSOAKD_REPLAY, NULL when it is not set. Borrowed. */
const char *replay_base(void);

/*
 * How long to run again for what was seen so long after the start (0: at the end, or unknown): long
 * enough to see it twice, at least a minute, and never longer than the run was to be.
 */
uint64_t replay_duration(const struct config *config, uint64_t seen_ns);

/* One line without '\n'; the caller frees. NULL when out of memory. */
char *replay_command(const struct config *config, const char *base, uint64_t duration_ns);

#endif
