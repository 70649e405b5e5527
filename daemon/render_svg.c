// SPDX-License-Identifier: GPL-2.0-only
/* Curves over a run's time: see render_svg.h. All names are the daemon's own, so none is escaped.
 */
#include "render_svg.h"

#include <stdbool.h>
#include <stdlib.h>

#include "util.h"

#define WIDTH  640
#define HEIGHT 190
#define LEFT   64
#define RIGHT  12
#define TOP    12
#define BOTTOM 26
#define LINES  4 /* of the grid, above the axis */

/* Points of one curve, as they are drawn; a point at time 0 comes first. */
struct points {
	double *x; /* seconds */
	double *y;
	size_t n;
};

static void points_free(struct points *p)
{
	free(p->x);
	free(p->y);
}

static bool points_new(struct points *p, size_t n)
{
	*p = (struct points){ .x = calloc(n + 1, sizeof(double)),
			      .y = calloc(n + 1, sizeof(double)) };
	return p->x && p->y;
}

static void add_point(struct points *p, double x, double y)
{
	p->x[p->n] = x;
	p->y[p->n++] = y;
}

/* Moments that do not rise are those of a report that lies: left out. */
static void fill(struct points *p, const struct svg_chart *chart, const uint64_t *totals,
		 bool rates)
{
	uint64_t ns = 0, total = 0;

	if (!rates)
		add_point(p, 0, 0);
	for (size_t i = 0; i < chart->n; i++) {
		double span = (double)(chart->elapsed_ns[i] - ns) / 1e9;
		double x = (double)chart->elapsed_ns[i] / 1e9;

		if (chart->elapsed_ns[i] <= ns)
			continue;
		if (!rates)
			add_point(p, x, (double)totals[i]);
		else
			add_point(p, x, totals[i] > total ? (double)(totals[i] - total) / span : 0);
		ns = chart->elapsed_ns[i];
		total = totals[i];
	}
}

/* 1, 2 or 5 times a power of ten, so that LINES of them reach the highest value. */
static double grid_step(double highest)
{
	static const double factors[] = { 1, 2, 5 };

	if (!(highest > 0))
		return 1;
	for (double power = 1e-6; power < 1e20; power *= 10) {
		for (size_t i = 0; i < ARRAY_SIZE(factors); i++) {
			if (factors[i] * power * LINES >= highest)
				return factors[i] * power;
		}
	}
	return highest / LINES;
}

static double x_of(double seconds, double length)
{
	return LEFT + (length > 0 ? seconds / length : 0) * (WIDTH - LEFT - RIGHT);
}

static double y_of(double value, double top)
{
	return TOP + (1 - (top > 0 ? value / top : 0)) * (HEIGHT - TOP - BOTTOM);
}

/* "1500", "15k", "2.5M" */
static void format_value(char *buf, size_t size, double value)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P", "E" };
	size_t unit = 0;

	while (value >= 10000 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1000;
		unit++;
	}
	snprintf(buf, size, "%.10g%s", value, units[unit]);
}

static void print_grid(FILE *out, double step)
{
	double top = step * LINES;

	for (unsigned int i = 0; i <= LINES; i++) {
		double y = y_of(step * i, top);
		char text[32];

		format_value(text, sizeof(text), step * i);
		fprintf(out,
			"<line class=\"%s\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
			"<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			i ? "grid" : "axis", LEFT, y, WIDTH - RIGHT, y, LEFT - 6, y + 4, text);
	}
}

static void print_times(FILE *out, double length)
{
	static const char *const anchors[] = { "start", "middle", "end" };

	for (unsigned int i = 0; i < ARRAY_SIZE(anchors); i++) {
		double seconds = length * i / 2;
		char text[32];

		format_elapsed(text, sizeof(text), (uint64_t)(seconds * 1e9));
		fprintf(out,
			"<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
			x_of(seconds, length), HEIGHT - 8, anchors[i], text);
	}
}

static void print_curve(FILE *out, const struct svg_curve *curve, const struct points *p,
			double length, double top)
{
	fprintf(out, "<polyline class=\"curve %s\" points=\"", curve->class);
	for (size_t i = 0; i < p->n; i++)
		fprintf(out, "%s%.1f,%.1f", i ? " " : "", x_of(p->x[i], length),
			y_of(p->y[i], top));
	fprintf(out, "\"><title>%s</title></polyline>\n", curve->name);
}

/* One curve is named by the title. */
static void print_legend(FILE *out, const struct svg_chart *chart)
{
	if (chart->n_curves < 2)
		return;
	fputs("<p class=\"legend\">", out);
	for (size_t i = 0; i < chart->n_curves; i++)
		fprintf(out, "<span><i class=\"%s\"></i>%s</span> ", chart->curves[i].class,
			chart->curves[i].name);
	fputs("</p>\n", out);
}

static double highest_of(const struct points *p, size_t n)
{
	double highest = 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < p[i].n; j++)
			highest = MAX(highest, p[i].y[j]);
	}
	return highest;
}

static void print_chart(FILE *out, const struct svg_chart *chart, const struct points *points)
{
	double length = (double)chart->elapsed_ns[chart->n - 1] / 1e9;
	double step = grid_step(highest_of(points, chart->n_curves));

	fprintf(out, "<figure>\n<figcaption>%s</figcaption>\n", chart->title);
	print_legend(out, chart);
	fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", WIDTH, HEIGHT,
		chart->title);
	print_grid(out, step);
	print_times(out, length);
	for (size_t i = 0; i < chart->n_curves; i++)
		print_curve(out, &chart->curves[i], &points[i], length, step * LINES);
	fputs("</svg>\n</figure>\n", out);
}

#define CURVES_MAX 4

static void draw(FILE *out, const struct svg_chart *chart, bool rates)
{
	struct points points[CURVES_MAX] = { 0 };
	size_t n = chart->n_curves;
	bool whole = chart->n && n <= CURVES_MAX;

	for (size_t i = 0; whole && i < n; i++) {
		whole = points_new(&points[i], chart->n);
		if (whole)
			fill(&points[i], chart, chart->curves[i].totals, rates);
	}
	if (whole)
		print_chart(out, chart, points);
	for (size_t i = 0; i < CURVES_MAX; i++)
		points_free(&points[i]);
}

void svg_rates(FILE *out, const struct svg_chart *chart)
{
	draw(out, chart, true);
}

void svg_totals(FILE *out, const struct svg_chart *chart)
{
	draw(out, chart, false);
}
