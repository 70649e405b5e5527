// SPDX-License-Identifier: GPL-2.0-only
/* A run over time, in bounded memory: see series.h. */
#include "series.h"

#include <stdbool.h>

static struct series_point point_of(const struct snapshot *s)
{
	struct series_point point = {
		.elapsed_ns = s->elapsed_ns,
		.owners = snapshot_owners(s),
		.selems = snapshot_births(s),
		.lockless = snapshot_lockless(s),
		.holes = snapshot_holes(s),
		.undocumented = snapshot_undocumented(s),
		.violations = snapshot_violations(s),
	};

	for (unsigned int kind = 0; kind < FAULT_NR; kind++)
		point.faults[kind] = snapshot_failures(s, kind);
	return point;
}

/* The second, the fourth and so on stay: the newest among them. */
static void halve(struct series *series)
{
	series->n /= 2;
	for (unsigned int i = 0; i < series->n; i++)
		series->points[i] = series->points[2 * i + 1];
	series->step_ns *= 2;
}

static uint64_t newest_ns(const struct series *series)
{
	return series->n ? series->points[series->n - 1].elapsed_ns : 0;
}

/*
 * Due on a grid, not so long after the last: ticks come late by a bit each, and would add up. A
 * point may be early by half a step, as a tick of a second is when the one before it was late.
 */
static bool is_due(const struct series *series, const struct snapshot *s)
{
	uint64_t half = series->step_ns / 2;

	return (s->elapsed_ns + half) / series->step_ns >
	       (newest_ns(series) + half) / series->step_ns;
}

static void add(struct series *series, const struct snapshot *s)
{
	if (series->n == SERIES_POINTS)
		halve(series);
	series->points[series->n++] = point_of(s);
}

/* The last word on the time of the churn: what came later than that is no part of it. */
static void end(struct series *series, const struct snapshot *s)
{
	while (series->n && newest_ns(series) >= s->elapsed_ns)
		series->n--;
	add(series, s);
}

void series_take(struct series *series, const struct snapshot *s)
{
	if (!series->step_ns)
		series->step_ns = SERIES_STEP_NS;
	if (s->state == RUN_ENDED)
		end(series, s);
	else if (s->state == RUN_CHURNING && is_due(series, s))
		add(series, s);
}
