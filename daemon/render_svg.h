/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Curves over a run's time, as SVG that stands within an HTML page and takes its colours from the
 * page's style sheet. Pure; for render_html.c.
 */
#ifndef SOAK_RENDER_SVG_H
#define SOAK_RENDER_SVG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Moments, and how much of something there was by then. */
struct svg_curve {
	const char *name;
	const char *class; /* of the style sheet */
	const uint64_t *totals;
};

struct svg_chart {
	const char *title;
	const uint64_t *elapsed_ns; /* rising */
	size_t n;
	const struct svg_curve *curves;
	size_t n_curves;
};

/* How much a second between two moments; the first counts from the start of the run. */
void svg_rates(FILE *out, const struct svg_chart *chart);

/* The totals themselves. */
void svg_totals(FILE *out, const struct svg_chart *chart);

#endif
