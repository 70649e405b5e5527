// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report as text, which is also the closing table of a run (report_print_end()). What a report of
 * an older version does not say is left out.
 */
#include "render.h"

#include <ctype.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "coverage.h"
#include "report.h"
#include "result.h"
#include "snapshot.h"
#include "util.h"

#define MISSING_SHOWN 6
#define MATRIX_EDGE   SOAK_LOCK_EITHER /* the results that are ones of their own */
#define CELL_TEXT     72	       /* three numbers of 64 bits */

/* "name n, name n" */
struct list {
	FILE *out;
	unsigned int n;
};

static _printf_(2, 3) void list_add(struct list *list, const char *fmt, ...)
{
	va_list ap;

	fputs(list->n++ ? ", " : "", list->out);
	va_start(ap, fmt);
	vfprintf(list->out, fmt, ap);
	va_end(ap);
}

static void list_end(struct list *list)
{
	fputs(list->n ? "\n" : "none\n", list->out);
}

static void row(FILE *out, const char *name)
{
	fprintf(out, "  %-17s", name);
}

static double rate(uint64_t n, const struct result *result)
{
	double seconds = result_real(result, "duration_s");

	return seconds > 0 ? (double)n / seconds : 0;
}

/* What of an object is not 0, by its keys, but for one. */
static void print_counts(FILE *out, const char *name, struct json_object *counts, const char *but)
{
	struct list list = { .out = out };

	row(out, name);
	json_object_object_foreach(counts, key, value)
	{
		uint64_t n = json_object_get_uint64(value);

		if (n && strcmp(key, but))
			list_add(&list, "%s %" PRIu64, key, n);
	}
	list_end(&list);
}

static void print_line(void *context, const char *text)
{
	fprintf(context, "%s\n", text);
}

static void print_run(FILE *out, const struct result *result)
{
	struct json_object *kinds = result_get(result, "inject.kinds");
	char elapsed[32];

	format_elapsed(elapsed, sizeof(elapsed), render_elapsed_ns(result));
	row(out, "kernel");
	fprintf(out, "%s on %s\n", result_text(result, "kernel_release"),
		result_text(result, "cpu_model"));
	row(out, "run");
	fprintf(out, "%s, seed %s, inject ", elapsed, result_text(result, "seed"));
	render_backends(out, result);
	for (size_t i = 0; i < json_object_array_length(kinds); i++)
		fprintf(out, "%s%s", i ? ", " : " (",
			json_object_get_string(json_object_array_get_idx(kinds, i)));
	fprintf(out, "%s\n", json_object_array_length(kinds) ? ")" : "");
}

static void print_selems(FILE *out, const struct result *result)
{
	struct json_object *freed = result_get(result, "freed");
	uint64_t by[] = { json_number_at(freed, "by_map_free"), json_number_at(freed, "by_destroy"),
			  json_number_at(freed, "by_program") };

	row(out, "selems");
	fprintf(out, "born %" PRIu64 ", freed %" PRIu64 ", ", result_number(result, "born"),
		by[0] + by[1] + by[2]);
	if (result_get(result, "live"))
		fprintf(out, "live %" PRIu64 ", ", result_number(result, "live"));
	fprintf(out, "%.0f/s\n", rate(result_number(result, "born"), result));
	row(out, "freed by");
	fprintf(out,
		"map_free %" PRIu64 ", destroy %" PRIu64 ", program %" PRIu64
		"; by cmpxchg %" PRIu64 "\n",
		by[0], by[1], by[2], json_number_at(freed, "by_cmpxchg"));
}

/* A report by an older daemon knows fewer kinds. */
static void print_owners(FILE *out, const struct result *result)
{
	const char *separator = " (";
	char key[64];

	row(out, "owners");
	fprintf(out, "%" PRIu64, result_number(result, "owners"));
	for (unsigned int i = 0; i < SOAK_KIND_NR; i++) {
		snprintf(key, sizeof(key), "owners_by_kind.%s", owner_kind_name(i));
		if (!result_get(result, key))
			continue;
		fprintf(out, "%s%s %" PRIu64, separator, owner_kind_name(i),
			result_number(result, key));
		separator = ", ";
	}
	fprintf(out, "%s, %.0f/s\n", *separator == ',' ? ")" : "",
		rate(result_number(result, "owners"), result));
}

static void print_population(FILE *out, const struct result *result)
{
	print_owners(out, result);
	print_selems(out, result);
	if (result_get(result, "storages")) {
		row(out, "storages");
		fprintf(out, "born %" PRIu64 ", freed %" PRIu64 ", live %" PRIu64 "\n",
			result_number(result, "storages.born"),
			result_number(result, "storages.freed"),
			result_number(result, "storages.live"));
	}
	if (!result_get(result, "maps"))
		return;
	row(out, "maps");
	fprintf(out, "created %" PRIu64 ", closed %" PRIu64 ", outstanding %" PRIu64 "\n",
		result_number(result, "maps.created"), result_number(result, "maps.closed"),
		result_number(result, "maps.outstanding"));
}

static void print_checks(FILE *out, const struct result *result)
{
	struct json_object *checks = result_get(result, "checks");
	uint64_t released = json_number_at(checks, "references_released");

	row(out, "fields");
	fprintf(out, "freed %" PRIu64 ", references stored %" PRIu64,
		json_number_at(checks, "fields_freed"),
		json_number_at(checks, "references_stored"));
	if (json_at(checks, "references_taken"))
		fprintf(out, ", taken %" PRIu64 ", freed %" PRIu64 "\n",
			json_number_at(checks, "references_taken"),
			released - json_number_at(checks, "references_taken"));
	else
		fprintf(out, ", released %" PRIu64 "\n", released);
	row(out, "values read");
	if (json_at(checks, "values_read_by_workers"))
		fprintf(out, "by workers %" PRIu64 ", ",
			json_number_at(checks, "values_read_by_workers"));
	fprintf(out,
		"by programs %" PRIu64 ", by another process %" PRIu64 ", while replaced %" PRIu64
		"\n",
		json_number_at(checks, "values_read_by_programs"),
		json_number_at(checks, "values_read_elsewhere"),
		json_number_at(checks, "values_watched"));
}

static void print_scenarios(FILE *out, const struct result *result)
{
	struct json_object *scenarios = result_get(result, "scenarios");
	struct list list = { .out = out };

	/* Reports of former versions have none. */
	if (!scenarios)
		return;
	row(out, "scenarios");
	json_object_object_foreach(scenarios, name, counts)
	{
		if (json_number_at(counts, "weight") || json_number_at(counts, "steps"))
			list_add(&list, "%s %" PRIu64, name, json_number_at(counts, "effects"));
	}
	list_end(&list);
}

static void print_rendezvous(FILE *out, const struct result *result)
{
	struct json_object *rendezvous = result_get(result, "rendezvous");
	struct list list = { .out = out };

	if (!rendezvous)
		return;
	row(out, "rendezvous");
	json_object_object_foreach(rendezvous, name, counts)
	{
		uint64_t met = json_number_at(counts, "met");
		uint64_t missed = json_number_at(counts, "missed");

		if (met || missed)
			list_add(&list, "%s %" PRIu64 " of %" PRIu64, name, met, met + missed);
	}
	list_end(&list);
}

static void print_visits(FILE *out, const struct result *result)
{
	struct list list = { .out = out };

	row(out, "visits");
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++) {
		struct json_object *visits = result_get(result, "visits");

		list_add(&list, "%s %" PRIu64, side_name(side),
			 json_total(json_at(visits, side_name(side))));
		if (result_get(result, "lockless_by_side"))
			fprintf(out, " (%" PRIu64 " lockless)",
				json_number_at(result_get(result, "lockless_by_side"),
					       side_name(side)));
	}
	list_end(&list);
	row(out, "longest");
	fprintf(out, "map_free %.3fs, destroy %.3fs, visit %.3fs\n",
		result_real(result, "longest_s.map_free"), result_real(result, "longest_s.destroy"),
		result_real(result, "longest_s.visit"));
}

static void print_by_site(FILE *out, const struct result *result, const char *name)
{
	struct list list = { .out = out };

	row(out, name);
	json_object_object_foreach(result_get(result, name), kind, sites)
	{
		json_object_object_foreach(sites, site, value)
		{
			uint64_t n = json_object_get_uint64(value);

			if (n)
				list_add(&list, "%s %s %" PRIu64, kind, site, n);
		}
	}
	list_end(&list);
}

/* Reports of older daemons know of none. */
static void print_perturbations(FILE *out, const struct result *result)
{
	struct json_object *all = result_get(result, "perturbations");
	struct list list = { .out = out };

	if (!all)
		return;
	row(out, "perturbed");
	for (unsigned int p = 0; p < PERTURB_NR; p++) {
		struct json_object *results = json_at(all, perturb_name(p));
		uint64_t done = json_number_at(results, "done");
		uint64_t refused = json_number_at(results, "refused");

		if (done)
			list_add(&list, "%s %" PRIu64, perturb_name(p), done);
		if (refused)
			list_add(&list, "%s refused %" PRIu64, perturb_name(p), refused);
	}
	list_end(&list);
}

static void print_lock_failures(FILE *out, const struct result *result)
{
	struct json_object *stalls = result_get(result, "stalls");

	if (stalls)
		print_counts(out, "holders stalled", stalls, "");
	print_by_site(out, result, "timeouts");
	print_by_site(out, result, "deadlocks");
}

static void print_module_troubles(FILE *out, struct json_object *module)
{
	static const char *const troubles[] = { "missed",  "hidden",  "crowded",
						"evicted", "refused", "strange" };
	struct list list = { .out = out };
	int64_t held = json_object_get_int64(json_at(module, "held"));
	uint64_t cpus = json_number_at(module, "held_cpus");

	row(out, "module trouble");
	for (size_t i = 0; i < ARRAY_SIZE(troubles); i++) {
		if (json_number_at(module, troubles[i]))
			list_add(&list, "%s %" PRIu64, troubles[i],
				 json_number_at(module, troubles[i]));
	}
	if (held || cpus)
		list_add(&list, "held %" PRId64 " on %" PRIu64 " CPUs", held, cpus);
	list_end(&list);
}

static bool has_module(const struct result *result)
{
	return json_object_get_boolean(result_get(result, "module.present"));
}

static void print_module(FILE *out, const struct result *result)
{
	struct json_object *module = result_get(result, "module");
	const char *decide = json_text_at(module, "decide");

	if (!has_module(result))
		return;
	row(out, "module");
	fprintf(out,
		"calls %" PRIu64 ", passed %" PRIu64 ", bursts %" PRIu64 "; %s decides, error %s\n",
		json_total(json_at(module, "calls")), json_total(json_at(module, "passed")),
		json_number_at(module, "bursts"), *decide ? decide : "nobody",
		json_text_at(module, "error"));
	print_module_troubles(out, module);
}

/* The first line holds the names of the columns. */
struct matrix {
	char text[MATRIX_EDGE + 1][MATRIX_EDGE][CELL_TEXT];
};

/* "here/left/cmpxchg", or "-" when there is no way at all. */
static void format_cell(char buf[CELL_TEXT], const struct result_cell *cells)
{
	size_t len = 0;

	for (unsigned int o = 0; o < SOAK_OUTCOME_NR; o++) {
		const struct result_cell *cell = &cells[o];
		const char *mark =
			cell->visits ? (cell->reason ? "?" : "") : (cell->missing ? "!" : "");

		if (o)
			buf[len++] = '/';
		if (!cell->visits && cell->reason)
			len += (size_t)snprintf(buf + len, CELL_TEXT - len, "-");
		else
			len += (size_t)snprintf(buf + len, CELL_TEXT - len, "%" PRIu64 "%s",
						cell->visits, mark);
	}
	if (!strcmp(buf, "-/-/-"))
		strcpy(buf, "-");
}

static void fill_matrix(struct matrix *m, const struct result_matrix *from, unsigned int side)
{
	for (unsigned int storage = 0; storage < MATRIX_EDGE; storage++) {
		snprintf(m->text[0][storage], CELL_TEXT, "%s%s", storage ? "" : "storage ",
			 lock_result_name(storage));
		for (unsigned int bucket = 0; bucket < MATRIX_EDGE; bucket++)
			format_cell(m->text[bucket + 1][storage],
				    from->cells[side][bucket][storage]);
	}
}

static unsigned int column_width(const struct matrix *m, unsigned int column)
{
	unsigned int width = 0;

	for (unsigned int i = 0; i <= MATRIX_EDGE; i++)
		width = MAX(width, (unsigned int)strlen(m->text[i][column]));
	return width;
}

static void print_matrix_line(FILE *out, const struct matrix *m, unsigned int line)
{
	unsigned int last = MATRIX_EDGE - 1;

	for (unsigned int column = 0; column < last; column++)
		fprintf(out, "%-*s", (int)column_width(m, column) + 2, m->text[line][column]);
	fprintf(out, "%s\n", m->text[line][last]);
}

static void print_matrix(FILE *out, const struct result_matrix *from, unsigned int side)
{
	struct matrix m;

	fill_matrix(&m, from, side);
	row(out, side_name(side));
	print_matrix_line(out, &m, 0);
	for (unsigned int bucket = 0; bucket < MATRIX_EDGE; bucket++) {
		char name[32];

		snprintf(name, sizeof(name), " bucket %s", lock_result_name(bucket));
		row(out, name);
		print_matrix_line(out, &m, bucket + 1);
	}
	if (result_in_doubt(from, side)) {
		row(out, " either");
		fprintf(out, "%" PRIu64 " visits with a result that could not be seen\n",
			result_in_doubt(from, side));
	}
}

static void print_missing(FILE *out, const struct result *result, const char *kind, uint64_t n)
{
	struct json_object *missing = result_get(result, "coverage.missing");
	struct list list = { .out = out };

	if (n)
		fputs(", missing: ", out);
	for (size_t i = 0; i < json_object_array_length(missing); i++) {
		struct json_object *cell = json_object_array_get_idx(missing, i);

		if (strcmp(json_text_at(cell, "kind"), kind) || list.n == MISSING_SHOWN)
			continue;
		list_add(&list, "%s %s/%s %s", json_text_at(cell, "side"),
			 json_text_at(cell, "bucket"), json_text_at(cell, "storage"),
			 json_text_at(cell, "outcome"));
	}
	if (n > MISSING_SHOWN)
		fprintf(out, " and %" PRIu64 " more", n - MISSING_SHOWN);
	fputc('\n', out);
}

static void print_coverage_of(FILE *out, const struct result *result, const char *kind)
{
	struct json_object *summary = json_at(result_get(result, "coverage.summary"), kind);

	row(out, "coverage");
	fprintf(out, "%s %" PRIu64 "/%" PRIu64 " cells", kind, json_number_at(summary, "covered"),
		json_number_at(summary, "reachable"));
	print_missing(out, result, kind, json_number_at(summary, "missing"));
}

/* Where nothing was to fail, the numbers of visits say all. */
static void print_coverage(FILE *out, const struct result *result)
{
	struct json_object *kinds = result_get(result, "inject.kinds");
	struct result_matrix matrix;

	if (!result_injects(result) && !has_module(result))
		return;
	row(out, "matrix");
	fputs("freed here/left/freed by cmpxchg; -: cannot be; 0!: missing; ?: should not be\n",
	      out);
	result_matrix(result, &matrix);
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		print_matrix(out, &matrix, side);
	for (unsigned int kind = 0; kind < SOAK_COVER_KINDS; kind++) {
		if (kind == SOAK_NO_FAULT || json_has_word(kinds, cover_kind_name(kind)))
			print_coverage_of(out, result, cover_kind_name(kind));
	}
}

static void print_holes(FILE *out, const char *name, struct json_object *holes)
{
	struct list list = { .out = out };

	row(out, name);
	json_object_object_foreach(holes, hole, kinds)
	{
		json_object_object_foreach(kinds, kind, value)
		{
			uint64_t n = json_object_get_uint64(value);

			if (n)
				list_add(&list, "%s %" PRIu64 " (%s)", hole, n, kind);
		}
	}
	list_end(&list);
}

static void print_findings(FILE *out, const struct result *result)
{
	print_holes(out, "holes", result_get(result, "holes"));
	print_holes(out, "undocumented", result_get(result, "undocumented_holes_by_kind"));
	print_counts(out, "violations", result_get(result, "violations_by_kind"), "");
	print_counts(out, "misses", result_get(result, "misses"), "");
	print_counts(out, "kernel log", result_get(result, "kernel_log"), "benign");
}

static void print_oracles(FILE *out, const struct result *result)
{
	static const enum oracle_state states[] = { ORACLE_LIVE, ORACLE_BLIND, ORACLE_ABSENT };

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct list list = { .out = out };
		char name[32];

		snprintf(name, sizeof(name), "oracles %s", oracle_state_name(states[i]));
		row(out, name);
		json_object_object_foreach(result_get(result, "oracles"), oracle, state)
		{
			if (!strcmp(json_object_get_string(state), oracle_state_name(states[i])))
				list_add(&list, "%s", oracle);
		}
		list_end(&list);
	}
}

static double mebibytes(const struct result *result, const char *path)
{
	return (double)result_number(result, path) / (1024 * 1024);
}

static void print_resources(FILE *out, const struct result *result)
{
	row(out, "leaked");
	fprintf(out, "%.1f MiB of a budget of %.1f MiB\n", mebibytes(result, "leaked_bytes"),
		mebibytes(result, "leak_budget_bytes"));
	row(out, "daemon");
	fprintf(out,
		"rss %.1f MiB, ledger %.1f MiB, cpu user %.1fs system %.1fs bookkeeping %.1fs\n",
		mebibytes(result, "rss_bytes"), mebibytes(result, "mapped_bytes"),
		result_real(result, "cpu.user_s"), result_real(result, "cpu.system_s"),
		result_real(result, "cpu.bookkeeping_s"));
}

static void print_reasons(FILE *out, const struct result *result)
{
	struct json_object *reasons = result_get(result, "reasons");
	uint64_t n = result_number(result, "undocumented_holes");

	for (size_t i = 0; i < json_object_array_length(reasons); i++)
		fprintf(out, "%s: %s\n", result_text(result, "verdict"),
			json_object_get_string(json_object_array_get_idx(reasons, i)));
	if (n)
		fprintf(out,
			"NOTICE: %" PRIu64 " undocumented holes, without a forced error: the "
			"kernel's comments do not speak of them\n",
			n);
	if (result_was_forced(result))
		fputs(REPORT_FORCED "\n", out);
}

/* Values of the last line hold no blanks, or it could not be cut at them. */
static void print_word(FILE *out, const char *key, const char *text)
{
	fprintf(out, " %s=", key);
	if (!*text)
		fputs("unknown", out);
	for (; *text; text++)
		fputc(isgraph((unsigned char)*text) ? *text : '_', out);
}

static void print_last_line(FILE *out, const struct result *result)
{
	const char *verdict = result_text(result, "verdict");

	/* Whoever looks for the last line of a run must not find one where there is none. */
	if (!strcmp(verdict, verdict_name(VERDICT_RUNNING))) {
		fputs("bpfsoakd: the run is not over, or it has died: this report is its latest\n",
		      out);
		return;
	}
	fprintf(out, "bpfsoakd: end of run: %s", verdict);
	print_word(out, "kernel", result_text(result, "kernel_release"));
	print_word(out, "cpu", result_text(result, "cpu_model"));
	fprintf(out,
		" elapsed=%.0fs selems=%" PRIu64 " lockless=%" PRIu64 " timeouts=%" PRIu64
		" holes=%" PRIu64 " violations=%" PRIu64 " misses=%" PRIu64 " seed=%s\n",
		result_real(result, "duration_s"), result_number(result, "born"),
		result_number(result, "lockless_unlinks"),
		json_total(result_get(result, "timeouts")), json_total(result_get(result, "holes")),
		result_number(result, "violations"), json_total(result_get(result, "misses")),
		result_text(result, "seed"));
}

void render_text(FILE *out, const struct result *result)
{
	render_faults(result, print_line, out);
	print_run(out, result);
	print_population(out, result);
	print_checks(out, result);
	print_scenarios(out, result);
	print_rendezvous(out, result);
	print_visits(out, result);
	print_perturbations(out, result);
	print_lock_failures(out, result);
	print_module(out, result);
	print_coverage(out, result);
	print_findings(out, result);
	print_oracles(out, result);
	print_resources(out, result);
	print_reasons(out, result);
	print_last_line(out, result);
}

char *render_as_text(const struct result *result)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	render_text(out, result);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}
