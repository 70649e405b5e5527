// SPDX-License-Identifier: GPL-2.0-only
/*
 * A frame of "bpfsoakd top": see top_frame.h. What decides stands first, since a terminal that is
 * too low loses the end. All figures are the file's own; what it does not say is not shown.
 */
#include "top_frame.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "coverage.h"
#include "promfile.h"
#include "util.h"

#define LABEL_WIDTH  17
#define LINES_MAX    96
#define CELL_TEXT    72
#define MATRIX_EDGE  SOAK_LOCK_EITHER /* the results that are ones of their own */
#define IDLE_WORTH_S 10		      /* a worker that is idle for longer is named */

enum style {
	STYLE_PLAIN,
	STYLE_DIM,
	STYLE_BOLD,
	STYLE_GOOD,
	STYLE_BAD,
	STYLE_DOUBT,
	STYLE_GOOD_BANNER,
	STYLE_BAD_BANNER,
	STYLE_DOUBT_BANNER,
};

static const char *const sgr[] = {
	[STYLE_PLAIN] = "",
	[STYLE_DIM] = "\033[2m",
	[STYLE_BOLD] = "\033[1m",
	[STYLE_GOOD] = "\033[32m",
	[STYLE_BAD] = "\033[1;31m",
	[STYLE_DOUBT] = "\033[1;33m",
	[STYLE_GOOD_BANNER] = "\033[1;30;42m",
	[STYLE_BAD_BANNER] = "\033[1;37;41m",
	[STYLE_DOUBT_BANNER] = "\033[1;30;43m",
};

/* Finished lines, and the one that is being written. */
struct frame {
	const struct promfile *now, *before;
	const struct top_view *view;
	char *lines[LINES_MAX];
	unsigned int n;
	FILE *out;
	char *text;
	size_t len;
	unsigned int column;
	bool failed;
};

/* Lines -------------------------------------------------------------------------------------- */

static void begin_line(struct frame *f)
{
	f->column = 0;
	f->text = NULL;
	f->out = open_memstream(&f->text, &f->len);
	f->failed = f->failed || !f->out;
}

static void end_line(struct frame *f)
{
	if (!f->out)
		return;
	if (fclose(f->out) || f->n == LINES_MAX) {
		free(f->text);
		f->failed = true;
	} else {
		f->lines[f->n++] = f->text;
	}
	f->out = NULL;
}

/*
 * Cut at the terminal's edge. A file from elsewhere may hold anything, escape sequences included,
 * and the terminal gets nothing but printable ASCII.
 */
static _printf_(3, 4) void put(struct frame *f, enum style style, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	bool styled = f->view->escapes && style != STYLE_PLAIN;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	if (!text || !f->out)
		return;
	if (styled)
		fputs(sgr[style], f->out);
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (f->view->width && f->column >= f->view->width)
			break;
		fputc(c < 0x20 || c > 0x7e ? '?' : c, f->out);
		f->column++;
	}
	if (styled)
		fputs("\033[0m", f->out);
}

/* The left column; begins a line. */
static void row(struct frame *f, const char *name)
{
	begin_line(f);
	put(f, STYLE_DIM, "%-*s", LABEL_WIDTH, name);
	put(f, STYLE_PLAIN, " ");
}

static void blank(struct frame *f)
{
	begin_line(f);
	end_line(f);
}

/* Figures ------------------------------------------------------------------------------------ */

static double total(const struct frame *f, const char *name)
{
	return promfile_sum(f->now, name, NULL);
}

/* A counter that went backwards is one of another run: show nothing rather than nonsense. */
static double rate(const struct frame *f, const char *name)
{
	double value = total(f, name), span = total(f, "bpfsoakd_uptime_seconds");

	if (f->before) {
		value -= promfile_sum(f->before, name, NULL);
		span -= promfile_sum(f->before, "bpfsoakd_uptime_seconds", NULL);
	}
	return span > 0 && value > 0 ? value / span : 0;
}

/* The value of a label of the one sample that is not 0: a state among states. */
static const char *current(const struct frame *f, const char *name, const char *label)
{
	const struct prom_sample *sample = NULL;

	while ((sample = promfile_next(f->now, name, sample))) {
		if (sample->value > 0)
			return prom_label(f->now, sample, label);
	}
	return "unknown";
}

static const char *info(const struct frame *f, const char *label)
{
	const struct prom_sample *sample = promfile_next(f->now, "bpfsoakd_build_info", NULL);

	return sample ? prom_label(f->now, sample, label) : "";
}

static double age(const struct frame *f)
{
	return f->view->now - total(f, "bpfsoakd_last_update_timestamp_seconds");
}

static bool has_ended(const struct frame *f)
{
	return !strcmp(current(f, "bpfsoakd_run_state", "state"), "ended");
}

static bool is_stale(const struct frame *f)
{
	return !has_ended(f) && age(f) > f->view->stale_s;
}

static bool is_injecting(const struct frame *f)
{
	const char *inject = info(f, "inject");

	return *inject && strcmp(inject, "none");
}

/* Seconds of any size, also of a file that lies. */
static void format_seconds(char *buf, size_t size, double seconds)
{
	if (!(seconds > 0))
		seconds = 0;
	format_elapsed(buf, size, (uint64_t)(MIN(seconds, 1e9) * 1e9));
}

/* "3 selem organic, 4 storage forced": what is not 0, by its labels. Returns how many. */
static unsigned int put_counts(struct frame *f, enum style style, const char *name,
			       const char *first, const char *second)
{
	const struct prom_sample *sample = NULL;
	unsigned int n = 0;

	while ((sample = promfile_next(f->now, name, sample))) {
		if (!(sample->value > 0))
			continue;
		put(f, style, "%s%s", n++ ? ", " : "", prom_label(f->now, sample, first));
		if (second)
			put(f, style, " %s", prom_label(f->now, sample, second));
		put(f, style, " %.0f", sample->value);
	}
	return n;
}

/* Parts -------------------------------------------------------------------------------------- */

static unsigned int count_oracles(const struct frame *f, const char *state)
{
	return (unsigned int)MIN(
		promfile_sum(f->now, "bpfsoakd_oracle_state", "state", state, NULL), 1e6);
}

/* Of a run under way: nothing but what is known by now. */
static void put_running(struct frame *f)
{
	const char *state = current(f, "bpfsoakd_run_state", "state");
	double violations = total(f, "bpfsoakd_violations_total");

	if (violations > 0)
		put(f, STYLE_BAD_BANNER, " %s: %.0f VIOLATION%s SO FAR ", state, violations,
		    violations > 1 ? "S" : "");
	else if (count_oracles(f, "blind"))
		put(f, STYLE_DOUBT_BANNER, " %s: nothing wrong so far, but an oracle is blind ",
		    state);
	else if (is_injecting(f) && !(total(f, "bpfsoakd_lock_failures_total") > 0))
		put(f, STYLE_DOUBT_BANNER, " %s: nothing wrong so far, and no lock has failed yet ",
		    state);
	else
		put(f, STYLE_GOOD_BANNER, " %s: nothing wrong so far ", state);
}

static void put_verdict(struct frame *f)
{
	const char *verdict = current(f, "bpfsoakd_verdict", "verdict");
	enum style style = STYLE_DOUBT_BANNER;

	if (!strcmp(verdict, "RUNNING")) {
		put_running(f);
		return;
	}
	if (!strcmp(verdict, "PASS"))
		style = STYLE_GOOD_BANNER;
	if (!strcmp(verdict, "FAIL"))
		style = STYLE_BAD_BANNER;
	put(f, style, " %s ", verdict);
}

static void put_age(struct frame *f)
{
	double seconds = age(f);
	char text[32];

	format_seconds(text, sizeof(text), seconds);
	if (is_stale(f))
		put(f, STYLE_DOUBT_BANNER, " STALE: last updated %s ago ", text);
	else if (seconds < -1)
		put(f, STYLE_DOUBT, "written in the future: the clocks differ");
	else
		put(f, STYLE_DIM, "updated %s ago", text);
}

static void print_head(struct frame *f)
{
	char elapsed[32];

	begin_line(f);
	put(f, STYLE_BOLD, "bpfsoakd  ");
	put_verdict(f);
	put(f, STYLE_PLAIN, "  ");
	put_age(f);
	end_line(f);
	if (f->view->trouble) {
		begin_line(f);
		put(f, STYLE_BAD, "%s", f->view->trouble);
		end_line(f);
	}
	row(f, "kernel");
	put(f, STYLE_BOLD, "%s", info(f, "kernel_release"));
	put(f, STYLE_PLAIN, " on %s", info(f, "cpu_model"));
	end_line(f);
	format_seconds(elapsed, sizeof(elapsed), total(f, "bpfsoakd_uptime_seconds"));
	row(f, "run");
	put(f, STYLE_PLAIN, "%s, %s, seed %s, inject %s", elapsed,
	    current(f, "bpfsoakd_run_state", "state"), info(f, "seed"),
	    is_injecting(f) ? info(f, "inject") : "none");
	end_line(f);
}

/* As loud as the closing table: whoever quotes a figure must see what was done to the kernel. */
static void print_faults(struct frame *f)
{
	double forced =
		promfile_sum(f->now, "bpfsoakd_lock_failures_total", "kind", "forced", NULL);

	begin_line(f);
	put(f, forced > 0 ? STYLE_DOUBT : STYLE_DIM, "%-*s", LABEL_WIDTH,
	    forced > 0 ? "FAULTS FORCED" : "faults");
	put(f, STYLE_PLAIN, " ");
	if (!(total(f, "bpfsoakd_lock_failures_total") > 0)) {
		put(f, STYLE_PLAIN, "no lock has failed");
		end_line(f);
		return;
	}
	put(f, STYLE_BOLD, "locks failed:");
	for (unsigned int kind = 0; kind < FAULT_NR; kind++) {
		double n = promfile_sum(f->now, "bpfsoakd_lock_failures_total", "kind",
					fault_kind_name(kind), NULL);

		put(f, n > 0 ? STYLE_BOLD : STYLE_DIM, "  %s %.0f", fault_kind_name(kind), n);
	}
	put(f, STYLE_PLAIN, "; lockless unlinks %.0f", total(f, "bpfsoakd_lockless_unlinks_total"));
	end_line(f);
}

static void print_rates(struct frame *f)
{
	double span = total(f, "bpfsoakd_uptime_seconds");
	char text[32];

	row(f, "rates");
	put(f, STYLE_BOLD, "%.0f owners/s  %.0f selems/s  %.1f faults/s",
	    rate(f, "bpfsoakd_owners_born_total"), rate(f, "bpfsoakd_selem_births_total"),
	    rate(f, "bpfsoakd_lock_failures_total"));
	if (f->before)
		span -= promfile_sum(f->before, "bpfsoakd_uptime_seconds", NULL);
	format_seconds(text, sizeof(text), span + 0.5);
	put(f, STYLE_DIM, f->before ? "  over the last %s" : "  over the run's %s", text);
	end_line(f);
}

/* A row of counts that are bad news unless they are 0. */
static void print_news(struct frame *f, const char *name, enum style style, const char *metric,
		       const char *first, const char *second)
{
	double n = total(f, metric);

	row(f, name);
	put(f, n > 0 ? style : STYLE_GOOD, "%-8.0f ", n);
	put_counts(f, style, metric, first, second);
	end_line(f);
}

static void print_kernel_log(struct frame *f)
{
	const char *metric = "bpfsoakd_kernel_log_reports_total";
	const struct prom_sample *sample = NULL;
	unsigned int n = 0;

	row(f, "kernel log");
	while ((sample = promfile_next(f->now, metric, sample))) {
		const char *class = prom_label(f->now, sample, "class");

		if (!(sample->value > 0) || !strcmp(class, "benign"))
			continue;
		put(f, STYLE_PLAIN, "%s%s %.0f", n++ ? ", " : "", class, sample->value);
	}
	if (!n)
		put(f, STYLE_DIM, "nothing");
	end_line(f);
}

static void print_findings(struct frame *f)
{
	print_news(f, "violations", STYLE_BAD, "bpfsoakd_violations_total", "violation", NULL);
	print_news(f, "undocumented", STYLE_DOUBT, "bpfsoakd_undocumented_holes_total", "hole",
		   "fault_kind");
	print_news(f, "holes", STYLE_PLAIN, "bpfsoakd_holes_total", "hole", "fault_kind");
	print_news(f, "events missed", STYLE_PLAIN, "bpfsoakd_misses_total", "miss", NULL);
	print_kernel_log(f);
}

static void put_oracles_in(struct frame *f, enum style style, const char *state)
{
	const struct prom_sample *sample = NULL;
	unsigned int n = count_oracles(f, state);
	const char *separator = ": ";

	put(f, n ? style : STYLE_DIM, "; %u %s", n, state);
	while ((sample = promfile_next(f->now, "bpfsoakd_oracle_state", sample))) {
		if (!(sample->value > 0) || strcmp(prom_label(f->now, sample, "state"), state))
			continue;
		put(f, style, "%s%s", separator, prom_label(f->now, sample, "oracle"));
		separator = ", ";
	}
}

static void print_oracles(struct frame *f)
{
	unsigned int live = count_oracles(f, "live");

	row(f, "oracles");
	put(f, live ? STYLE_GOOD : STYLE_BAD, "%u live", live);
	put_oracles_in(f, STYLE_BAD, "blind");
	put_oracles_in(f, STYLE_PLAIN, "absent");
	end_line(f);
}

static void put_workers(struct frame *f)
{
	const struct prom_sample *sample = NULL, *idlest = NULL;
	unsigned int n = 0;

	while ((sample = promfile_next(f->now, "bpfsoakd_worker_idle_seconds", sample))) {
		n++;
		if (!idlest || sample->value > idlest->value)
			idlest = sample;
	}
	if (!idlest) {
		put(f, STYLE_DIM, "none");
		return;
	}
	put(f, STYLE_PLAIN, "%u, %.0f operations/s, refused %.0f; ", n,
	    rate(f, "bpfsoakd_worker_operations_total"), total(f, "bpfsoakd_worker_errors_total"));
	put(f, idlest->value > IDLE_WORTH_S && !has_ended(f) ? STYLE_BAD : STYLE_PLAIN,
	    "longest idle %.1fs (worker %s)", idlest->value, prom_label(f->now, idlest, "worker"));
}

static void print_liveness(struct frame *f)
{
	row(f, "workers");
	put_workers(f);
	end_line(f);
	row(f, "under way");
	put(f, STYLE_PLAIN, "map_free for %.1fs, destroy for %.1fs; longest %.2fs, %.2fs",
	    total(f, "bpfsoakd_map_free_oldest_seconds"),
	    total(f, "bpfsoakd_destroy_oldest_seconds"),
	    total(f, "bpfsoakd_map_free_longest_seconds"),
	    total(f, "bpfsoakd_destroy_longest_seconds"));
	end_line(f);
	row(f, "memory");
	put(f, STYLE_PLAIN, "leaked %.1f of %.1f MiB; daemon %.1f MiB, ledger %.1f MiB",
	    total(f, "bpfsoakd_leaked_bytes") / 1048576,
	    total(f, "bpfsoakd_leak_budget_bytes") / 1048576,
	    total(f, "bpfsoakd_rss_bytes") / 1048576, total(f, "bpfsoakd_mapped_bytes") / 1048576);
	end_line(f);
}

/* Matrix ------------------------------------------------------------------------------------- */

/* Visits, whatever the kind. */
struct visits {
	double n[SOAK_SIDE_NR][SOAK_LOCK_NR][SOAK_LOCK_NR][SOAK_OUTCOME_NR];
};

struct matrix {
	char text[MATRIX_EDGE + 1][MATRIX_EDGE + 1]
		 [CELL_TEXT]; /* with heads of lines and columns */
	unsigned int width[MATRIX_EDGE + 1];
};

static unsigned int index_of(const char *word, unsigned int n, const char *(*name)(unsigned int))
{
	unsigned int i = 0;

	while (i < n && strcmp(name(i), word))
		i++;
	return i;
}

static const char *side_at(unsigned int i)
{
	return side_name(i);
}

static const char *result_at(unsigned int i)
{
	return lock_result_name(i);
}

static const char *outcome_at(unsigned int i)
{
	return outcome_name(i);
}

static void read_visits(const struct promfile *file, struct visits *ret)
{
	const struct prom_sample *sample = NULL;

	memset(ret, 0, sizeof(*ret));
	while ((sample = promfile_next(file, "bpfsoakd_visits_total", sample))) {
		unsigned int side, bucket, storage, outcome;

		side = index_of(prom_label(file, sample, "side"), SOAK_SIDE_NR, side_at);
		bucket = index_of(prom_label(file, sample, "bucket"), SOAK_LOCK_NR, result_at);
		storage = index_of(prom_label(file, sample, "storage"), SOAK_LOCK_NR, result_at);
		outcome =
			index_of(prom_label(file, sample, "outcome"), SOAK_OUTCOME_NR, outcome_at);
		if (side < SOAK_SIDE_NR && bucket < SOAK_LOCK_NR && storage < SOAK_LOCK_NR &&
		    outcome < SOAK_OUTCOME_NR && sample->value > 0)
			ret->n[side][bucket][storage][outcome] += sample->value;
	}
}

static bool is_reachable(struct coverage_cell cell)
{
	for (cell.kind = 0; cell.kind < SOAK_COVER_KINDS; cell.kind++) {
		if (!coverage_unreachable(&cell))
			return true;
	}
	return false;
}

/* As in the closing table, but that the file does not say what was asked for: no '!'. */
static void format_cell(char buf[CELL_TEXT], const struct visits *visits, struct coverage_cell cell)
{
	size_t len = 0;

	for (cell.outcome = 0; cell.outcome < SOAK_OUTCOME_NR; cell.outcome++) {
		double n = visits->n[cell.side][cell.bucket][cell.storage][cell.outcome];
		const char *slash = cell.outcome ? "/" : "";
		bool reachable = is_reachable(cell);

		if (!(n > 0) && !reachable)
			len += (size_t)snprintf(buf + len, CELL_TEXT - len, "%s-", slash);
		else
			len += (size_t)snprintf(buf + len, CELL_TEXT - len, "%s%.0f%s", slash,
						MIN(n, 1e18), reachable ? "" : "?");
	}
	if (!strcmp(buf, "-/-/-"))
		strcpy(buf, "-");
}

static void fill_matrix(struct matrix *m, const struct visits *visits, unsigned int side)
{
	memset(m, 0, sizeof(*m));
	snprintf(m->text[0][0], CELL_TEXT, "%s", side_name(side));
	for (unsigned int i = 0; i < MATRIX_EDGE; i++) {
		snprintf(m->text[0][i + 1], CELL_TEXT, "%s%s", i ? "" : "storage ",
			 lock_result_name(i));
		snprintf(m->text[i + 1][0], CELL_TEXT, " bucket %s", lock_result_name(i));
		for (unsigned int j = 0; j < MATRIX_EDGE; j++) {
			struct coverage_cell cell = { .side = side, .bucket = i, .storage = j };

			format_cell(m->text[i + 1][j + 1], visits, cell);
		}
	}
	m->width[0] = LABEL_WIDTH - 1;
	for (unsigned int i = 0; i <= MATRIX_EDGE; i++) {
		for (unsigned int j = 0; j <= MATRIX_EDGE; j++)
			m->width[j] = MAX(m->width[j], (unsigned int)strlen(m->text[i][j]));
	}
}

static unsigned int matrix_width(const struct matrix *m)
{
	unsigned int width = 0;

	for (unsigned int i = 0; i <= MATRIX_EDGE; i++)
		width += m->width[i] + 2;
	return width;
}

static void put_matrix_line(struct frame *f, const struct matrix *m, unsigned int line)
{
	for (unsigned int i = 0; i <= MATRIX_EDGE; i++)
		put(f, line && i ? STYLE_PLAIN : STYLE_DIM, "%-*s  ", (int)m->width[i],
		    m->text[line][i]);
}

/* Side by side where there is room for both. */
static void print_matrices(struct frame *f)
{
	struct matrix m[SOAK_SIDE_NR];
	struct visits visits;
	bool beside;

	read_visits(f->now, &visits);
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		fill_matrix(&m[side], &visits, side);
	beside = f->view->width >= matrix_width(&m[0]) + matrix_width(&m[1]);
	for (unsigned int side = 0; side < (beside ? 1 : SOAK_SIDE_NR); side++) {
		for (unsigned int line = 0; line <= MATRIX_EDGE; line++) {
			begin_line(f);
			put_matrix_line(f, &m[side], line);
			if (beside)
				put_matrix_line(f, &m[side + 1], line);
			end_line(f);
		}
	}
}

static double cells(const struct frame *f, unsigned int kind, const char *state)
{
	return promfile_sum(f->now, "bpfsoakd_coverage_cells", "kind", cover_kind_name(kind),
			    "state", state, NULL);
}

static void print_coverage(struct frame *f)
{
	row(f, "coverage");
	for (unsigned int kind = 0; kind < SOAK_COVER_KINDS; kind++) {
		if (cells(f, kind, "reachable") > 0)
			put(f, STYLE_PLAIN, "%s %.0f/%.0f  ", cover_kind_name(kind),
			    cells(f, kind, "covered"), cells(f, kind, "reachable"));
	}
	put(f, STYLE_DIM, "cells; below: freed here/left/freed by cmpxchg; -: cannot be");
	end_line(f);
}

/* Frame -------------------------------------------------------------------------------------- */

/* Columns are padded, the last one as well; where nobody sees it, it is only in the way. */
static void strip_right(char *line)
{
	size_t len = strlen(line);

	while (len && line[len - 1] == ' ')
		line[--len] = '\0';
}

static void print_lines(FILE *out, const struct frame *f)
{
	const char *end = f->view->escapes ? "\033[K\n" : "\n";
	unsigned int n = f->n;

	if (f->view->height && n > f->view->height)
		n = f->view->height - 1;
	for (unsigned int i = 0; i < n; i++) {
		bool last = f->view->height && i + 1 == f->view->height;

		strip_right(f->lines[i]);
		/* The last line of a full terminal must not scroll it. */
		fprintf(out, "%s%s", f->lines[i], last ? "" : end);
	}
	if (n < f->n)
		fprintf(out, "%.*s", (int)f->view->width,
			"... more below: make the terminal taller");
}

void top_frame(FILE *out, const struct promfile *now, const struct promfile *before,
	       const struct top_view *view)
{
	struct frame f = { .now = now, .before = before, .view = view };

	print_head(&f);
	blank(&f);
	print_rates(&f);
	print_faults(&f);
	print_findings(&f);
	blank(&f);
	print_oracles(&f);
	print_liveness(&f);
	blank(&f);
	print_coverage(&f);
	print_matrices(&f);
	if (!f.failed)
		print_lines(out, &f);
	for (unsigned int i = 0; i < f.n; i++)
		free(f.lines[i]);
}

bool top_is_ours(const struct promfile *file)
{
	return promfile_next(file, "bpfsoakd_build_info", NULL);
}

bool top_is_same_run(const struct promfile *now, const struct promfile *before)
{
	static const char *const name = "bpfsoakd_start_time_seconds";

	return fabs(promfile_sum(now, name, NULL) - promfile_sum(before, name, NULL)) < 0.01;
}
