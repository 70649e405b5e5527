/* SPDX-License-Identifier: GPL-2.0-only */
/* From figures to a verdict: a pure function of the closing snapshot. */
#ifndef SOAK_VERDICT_H
#define SOAK_VERDICT_H

#include "snapshot.h"

/*
 * Sets verdict and reasons. Violations make it FAIL. Otherwise anything that we could not see,
 * or that was asked for and never happened, makes it INCONCLUSIVE. Holes that a failed lock
 * explains do not stand against PASS: they are counted, and reported as what they are.
 */
void verdict_decide(struct snapshot *s);

/* Adds a reason; those past SNAPSHOT_REASONS are dropped. */
void verdict_add_reason(struct snapshot *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
