// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report as one HTML page that needs nothing else: no script, no file, no network, so that it can
 * be kept with a build and mailed. Whatever the report holds is escaped. The test of headless
 * Chromium (tests/eyes.sh) reads the attributes that begin with "data-".
 */
#include "render.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "render_svg.h"
#include "result.h"
#include "snapshot.h"
#include "util.h"

#define MATRIX_EDGE SOAK_LOCK_EITHER /* the results that are ones of their own */
#define REASONS_MAX 24		     /* why cells cannot be reached; each has a letter */

static const char style[] =
	":root { color-scheme: light dark; --text: #1a1d21; --dim: #5b636d; --back: #ffffff;\n"
	"  --panel: #f4f5f7; --line: #d5d9de; --good: #1a7f37; --bad: #c62828; --doubt: #9a6700;\n"
	"  --a: #2459a9; --b: #b35900; --c: #8b2a8b; --d: #c62828; }\n"
	"@media (prefers-color-scheme: dark) { :root { --text: #e4e7eb; --dim: #9aa4b0;\n"
	"  --back: #14171a; --panel: #1e2226; --line: #3a4047; --good: #4cc26a; --bad: #ff7b72;\n"
	"  --doubt: #e3b341; --a: #79aefc; --b: #f0a354; --c: #d890d8; --d: #ff7b72; } }\n"
	"* { box-sizing: border-box; }\n"
	"body { margin: 0 auto; padding: 1.5rem; max-width: 76rem; color: var(--text);\n"
	"  background: var(--back); font: 15px/1.45 system-ui, sans-serif; }\n"
	"h1 { font-size: 1.1rem; margin: 0; color: var(--dim); font-weight: 600; }\n"
	"h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; border-bottom: 1px solid var(--line); }\n"
	"h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; overflow-wrap: anywhere; }\n"
	"#verdict { font-size: 2.4rem; font-weight: 700; line-height: 1.1; margin: .3rem 0; }\n"
	".good { color: var(--good); } .bad { color: var(--bad); } .doubt { color: var(--doubt); }\n"
	".dim { color: var(--dim); }\n"
	".faults { border-left: .4rem solid var(--doubt); background: var(--panel); margin: .4rem 0;\n"
	"  padding: .5rem .8rem; font-weight: 700; }\n"
	".faults.forced { border-color: var(--bad); }\n"
	"ul.reasons { margin: .4rem 0; padding-left: 1.2rem; font-weight: 600; }\n"
	".tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; padding: 0; }\n"
	".tiles div { background: var(--panel); padding: .5rem .9rem; min-width: 8.5rem; }\n"
	".tiles dt { color: var(--dim); font-size: .85rem; }\n"
	".tiles dd { margin: 0; font-size: 1.35rem; font-weight: 600; }\n"
	".tiles small { display: block; font-size: .8rem; font-weight: 400; color: var(--dim); }\n"
	".scroll { overflow-x: auto; }\n"
	"table { border-collapse: collapse; margin: .4rem 0; font-size: .92rem; }\n"
	"caption { text-align: left; font-weight: 600; padding: .3rem 0; }\n"
	"th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: left;\n"
	"  vertical-align: top; overflow-wrap: break-word; }\n"
	"th { background: var(--panel); font-weight: 600; white-space: nowrap; }\n"
	"td.n, .matrix td { text-align: right; font-variant-numeric: tabular-nums; }\n"
	".matrix td { white-space: nowrap; }\n"
	".matrix .zero, .matrix .never { color: var(--dim); }\n"
	".matrix .missing { color: var(--doubt); font-weight: 700; }\n"
	".matrix .strange { color: var(--bad); font-weight: 700; }\n"
	"td.gap { background: var(--panel); outline: 2px dashed var(--doubt);\n"
	"  outline-offset: -3px; }\n"
	".matrix sup { color: var(--dim); font-size: .7em; }\n"
	"ol.why { list-style: lower-alpha; color: var(--dim); font-size: .88rem;\n"
	"  padding-left: 1.4rem; }\n"
	".charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit,\n"
	"  minmax(min(100%, 26rem), 1fr)); }\n"
	"figure { margin: 0; break-inside: avoid; } figcaption { font-weight: 600; }\n"
	"svg { width: 100%; height: auto; } .tick { fill: var(--dim); font-size: 12px; }\n"
	".grid { stroke: var(--line); } .axis { stroke: var(--dim); }\n"
	".curve { fill: none; stroke-width: 1.6; stroke-linejoin: round; }\n"
	".curve.a { stroke: var(--a); } .curve.b { stroke: var(--b); }\n"
	".curve.c { stroke: var(--c); } .curve.d { stroke: var(--d); }\n"
	".legend { margin: 0; font-size: .85rem; color: var(--dim); }\n"
	".legend span { margin-right: 1rem; }\n"
	".legend i { display: inline-block; width: 1.2rem; height: .2rem; margin-right: .3rem;\n"
	"  vertical-align: middle; }\n"
	"i.a { background: var(--a); } i.b { background: var(--b); } i.c { background: var(--c); }\n"
	"i.d { background: var(--d); }\n"
	"pre { background: var(--panel); padding: .6rem .8rem; overflow-x: auto; font-size: .82rem;\n"
	"  line-height: 1.35; margin: .4rem 0; }\n"
	"summary { cursor: pointer; color: var(--dim); }\n"
	"@media print { body { padding: 0; max-width: none; font-size: 10pt; }\n"
	"  pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); }\n"
	"  h2, h3, summary { break-after: avoid; } tr { break-inside: avoid; }\n"
	"  .scroll { overflow: visible; } }\n";

static void head(FILE *out, const char *title)
{
	fprintf(out, "<h2>%s</h2>\n", title);
}

/* <tag attributes>text</tag>, the text escaped; both others are ours. */
static void element(FILE *out, const char *tag, const char *attributes, const char *text)
{
	fprintf(out, "<%s%s%s>", tag, *attributes ? " " : "", attributes);
	render_escaped(out, text);
	fprintf(out, "</%s>", tag);
}

/* The first cell of a line of a table. */
static void first_cell(FILE *out, const char *attributes, const char *text)
{
	fputs("<tr>", out);
	element(out, "td", attributes, text);
}

static void number_cell(FILE *out, uint64_t n)
{
	fprintf(out, "<td class=\"n%s\">%" PRIu64 "</td>", n ? "" : " dim", n);
}

/* Top ---------------------------------------------------------------------------------------- */

static const char *class_of_verdict(const char *verdict)
{
	if (!strcmp(verdict, verdict_name(VERDICT_PASS)))
		return "good";
	return strcmp(verdict, verdict_name(VERDICT_FAIL)) ? "doubt" : "bad";
}

static void print_fault_line(void *context, const char *text)
{
	FILE *out = context;
	bool forced = !strncmp(text, "FAULTS WERE FORCED", 18);

	element(out, "p", forced ? "class=\"faults forced\"" : "class=\"faults\"", text);
	fputc('\n', out);
}

static void print_reasons(FILE *out, const struct result *result)
{
	struct json_object *reasons = result_get(result, "reasons");
	uint64_t undocumented = result_number(result, "undocumented_holes");

	fputs("<ul class=\"reasons\">\n", out);
	for (size_t i = 0; i < json_object_array_length(reasons); i++) {
		element(out, "li", "",
			json_object_get_string(json_object_array_get_idx(reasons, i)));
		fputc('\n', out);
	}
	if (undocumented)
		fprintf(out,
			"<li class=\"doubt\">%" PRIu64 " undocumented holes, without a forced "
			"error: the kernel&#39;s comments do not speak of them</li>\n",
			undocumented);
	fputs("</ul>\n", out);
}

static void print_identity(FILE *out, const struct result *result)
{
	char elapsed[32];

	format_elapsed(elapsed, sizeof(elapsed), render_elapsed_ns(result));
	fputs("<p>Kernel <b>", out);
	render_escaped(out, result_text(result, "kernel_release"));
	fputs("</b> on ", out);
	render_escaped(out, result_text(result, "cpu_model"));
	fprintf(out, "; %s from ", elapsed);
	render_escaped(out, result_text(result, "start_time"));
	fputs("; seed ", out);
	render_escaped(out, result_text(result, "seed"));
	fputs("; bpfsoakd ", out);
	render_escaped(out, result_text(result, "daemon_version"));
	if (json_object_get_boolean(result_get(result, "test_hooks")))
		fputs(", <b class=\"bad\">a build whose oracles can be made to lie</b>", out);
	fputs(".</p>\n", out);
}

static void print_top(FILE *out, const struct result *result)
{
	const char *verdict = result_text(result, "verdict");

	fputs("<h1>bpfsoakd: soak of the kernel&#39;s BPF local storage</h1>\n", out);
	fprintf(out, "<p id=\"verdict\" class=\"%s\" data-verdict=\"", class_of_verdict(verdict));
	render_escaped(out, verdict);
	fputs("\">", out);
	render_escaped(out, verdict);
	if (!strcmp(verdict, verdict_name(VERDICT_RUNNING)))
		fputs(": the run is not over, or it has died", out);
	fputs("</p>\n", out);
	render_faults(result, print_fault_line, out);
	print_reasons(out, result);
	print_identity(out, result);
}

static _printf_(5, 6) void tile(FILE *out, const char *name, uint64_t n, const char *class,
				const char *fmt, ...)
{
	va_list ap;

	fprintf(out, "<div><dt>%s</dt><dd%s%s%s>%" PRIu64 "<small>", name,
		n && *class ? " class=\"" : "", n ? class : "", n && *class ? "\"" : "", n);
	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
	fputs("</small></dd></div>\n", out);
}

static double rate(const struct result *result, uint64_t n)
{
	double seconds = result_real(result, "duration_s");

	return seconds > 0 ? (double)n / seconds : 0;
}

static void print_tiles(FILE *out, const struct result *result)
{
	uint64_t owners = result_number(result, "owners"), born = result_number(result, "born");
	uint64_t failed = json_total(result_get(result, "timeouts")) +
			  json_total(result_get(result, "deadlocks"));

	fputs("<dl class=\"tiles\">\n", out);
	tile(out, "violations", result_number(result, "violations"), "bad", "any of them: FAIL");
	tile(out, "undocumented holes", result_number(result, "undocumented_holes"), "doubt",
	     "news for maintainers");
	tile(out, "holes", json_total(result_get(result, "holes")), "",
	     "predicted from failed locks");
	tile(out, "failed locks", failed, "", "%.1f/s", rate(result, failed));
	tile(out, "lockless unlinks", result_number(result, "lockless_unlinks"), "", "%.1f/s",
	     rate(result, result_number(result, "lockless_unlinks")));
	tile(out, "owners", owners, "", "%.0f/s", rate(result, owners));
	tile(out, "selems born", born, "", "%.0f/s", rate(result, born));
	tile(out, "events missed", json_total(result_get(result, "misses")), "", "by the oracles");
	fputs("</dl>\n", out);
}

/* Matrix ------------------------------------------------------------------------------------- */

/* Reasons that were given, each once, in the order of their letters. */
struct reasons {
	const char *list[REASONS_MAX];
	unsigned int n;
};

static char letter_of(struct reasons *reasons, const char *reason)
{
	unsigned int i = 0;

	while (i < reasons->n && strcmp(reasons->list[i], reason))
		i++;
	if (i == REASONS_MAX)
		return '*';
	if (i == reasons->n)
		reasons->list[reasons->n++] = reason;
	return (char)('a' + i);
}

static void print_outcome(FILE *out, const struct result_cell *cell, unsigned int outcome,
			  struct reasons *reasons)
{
	const char *class = cell->visits   ? (cell->reason ? "strange" : "seen")
			    : cell->reason ? "never"
					   : (cell->missing ? "missing" : "zero");

	fprintf(out, "<span class=\"%s\" data-outcome=\"%s\" data-visits=\"%" PRIu64 "\" title=\"",
		class, outcome_name(outcome), cell->visits);
	render_escaped(out, outcome_name(outcome));
	if (cell->reason || cell->missing)
		fputs(": ", out);
	render_escaped(out, cell->reason ? cell->reason
					 : (cell->missing ? "missing: this run could come there, "
							    "and never did"
							  : ""));
	fputs("\">", out);
	if (cell->visits || !cell->reason)
		fprintf(out, "%" PRIu64 "%s", cell->visits, cell->missing ? "!" : "");
	else
		fputs("&ndash;", out);
	if (cell->visits && cell->reason)
		fputc('?', out);
	if (cell->reason)
		fprintf(out, "<sup>%c</sup>", letter_of(reasons, cell->reason));
	fputs("</span>", out);
}

static void print_cell(FILE *out, const struct result_cell *cells, unsigned int bucket,
		       unsigned int storage, struct reasons *reasons)
{
	bool gap = false;

	for (unsigned int o = 0; o < SOAK_OUTCOME_NR; o++)
		gap = gap || cells[o].missing;
	fprintf(out, "<td%s data-bucket=\"%s\" data-storage=\"%s\">", gap ? " class=\"gap\"" : "",
		lock_result_name(bucket), lock_result_name(storage));
	for (unsigned int o = 0; o < SOAK_OUTCOME_NR; o++) {
		if (o)
			fputs(" / ", out);
		print_outcome(out, &cells[o], o, reasons);
	}
	fputs("</td>", out);
}

static void print_matrix(FILE *out, const struct result_matrix *m, unsigned int side,
			 struct reasons *reasons)
{
	fprintf(out,
		"<div class=\"scroll\"><table class=\"matrix\" data-side=\"%s\">\n"
		"<caption>Visits of %s</caption>\n<tr><th></th>",
		side_name(side), side_name(side));
	for (unsigned int storage = 0; storage < MATRIX_EDGE; storage++)
		fprintf(out, "<th scope=\"col\">storage %s</th>", lock_result_name(storage));
	fputs("</tr>\n", out);
	for (unsigned int bucket = 0; bucket < MATRIX_EDGE; bucket++) {
		fprintf(out, "<tr><th scope=\"row\">bucket %s</th>", lock_result_name(bucket));
		for (unsigned int storage = 0; storage < MATRIX_EDGE; storage++)
			print_cell(out, m->cells[side][bucket][storage], bucket, storage, reasons);
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n", out);
	if (result_in_doubt(m, side))
		fprintf(out,
			"<p>%" PRIu64 " visits more with a result that could not be seen.</p>\n",
			result_in_doubt(m, side));
}

static void print_legend(FILE *out, const struct reasons *reasons)
{
	fputs("<p class=\"dim\">Three numbers of visits: freed here / left to the other side / "
	      "freed by cmpxchg. <b class=\"doubt\">0!</b> is missing: this run could come there "
	      "and never did. &ndash; cannot be, and <b class=\"bad\">?</b> should not be; why "
	      "not:</p>\n<ol class=\"why\">\n",
	      out);
	for (unsigned int i = 0; i < reasons->n; i++) {
		element(out, "li", "", reasons->list[i]);
		fputc('\n', out);
	}
	fputs("</ol>\n", out);
}

static void print_missing(FILE *out, const struct result *result, const char *kind)
{
	struct json_object *missing = result_get(result, "coverage.missing");
	const char *separator = "";

	for (size_t i = 0; i < json_object_array_length(missing); i++) {
		struct json_object *cell = json_object_array_get_idx(missing, i);

		if (strcmp(json_text_at(cell, "kind"), kind))
			continue;
		fprintf(out, "%s%s %s/%s %s", separator, json_text_at(cell, "side"),
			json_text_at(cell, "bucket"), json_text_at(cell, "storage"),
			json_text_at(cell, "outcome"));
		separator = ", ";
	}
}

static void print_coverage_summary(FILE *out, const struct result *result)
{
	fputs("<table><tr><th>Kind of failure</th><th>Cells covered</th><th>of</th>"
	      "<th>Missing</th></tr>\n",
	      out);
	for (unsigned int k = 0; k < SOAK_COVER_KINDS; k++) {
		const char *kind = cover_kind_name(k);
		struct json_object *summary = json_at(result_get(result, "coverage.summary"), kind);

		if (!json_number_at(summary, "reachable"))
			continue;
		first_cell(out, "", kind);
		number_cell(out, json_number_at(summary, "covered"));
		number_cell(out, json_number_at(summary, "reachable"));
		fputs("<td>", out);
		print_missing(out, result, kind);
		fputs("</td></tr>\n", out);
	}
	fputs("</table>\n", out);
}

static void print_coverage(FILE *out, const struct result *result)
{
	struct reasons reasons = { 0 };
	struct result_matrix matrix;

	head(out, "Coverage: ways through bpf_selem_unlink_nofail()");
	result_matrix(result, &matrix);
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		print_matrix(out, &matrix, side, &reasons);
	print_legend(out, &reasons);
	print_coverage_summary(out, result);
}

/* Curves ------------------------------------------------------------------------------------- */

/* A column of the series, to be freed; NULL: there is none. */
static uint64_t *column(const struct result *result, const char *path)
{
	struct json_object *array = result_get(result, path);
	size_t n = array ? json_object_array_length(array) : 0;
	uint64_t *values = n ? calloc(n, sizeof(*values)) : NULL;

	for (size_t i = 0; values && i < n; i++)
		values[i] = json_object_get_uint64(json_object_array_get_idx(array, i));
	return values;
}

struct wanted {
	const char *title;
	bool rates;
	struct {
		const char *name, *class, *path;
	} curves[3];
};

static const struct wanted charts[] = {
	{ "Elements (selems) born per second", true, { { "selems", "a", "series.selems" } } },
	{ "Owners born per second", true, { { "owners", "a", "series.owners" } } },
	{ "Failed locks per second",
	  true,
	  { { "organic", "a", "series.faults.organic" },
	    { "contended", "b", "series.faults.contended" },
	    { "forced", "d", "series.faults.forced" } } },
	{ "Unlinks without a lock per second",
	  true,
	  { { "lockless unlinks", "a", "series.lockless_unlinks" } } },
	{ "Holes and violations so far",
	  false,
	  { { "holes", "a", "series.holes" },
	    { "undocumented holes", "b", "series.undocumented_holes" },
	    { "violations", "d", "series.violations" } } },
};

static void print_chart(FILE *out, const struct result *result, const struct wanted *wanted,
			const uint64_t *elapsed, size_t n)
{
	uint64_t *totals[ARRAY_SIZE(wanted->curves)] = { 0 };
	struct svg_curve curves[ARRAY_SIZE(wanted->curves)];
	struct svg_chart chart = {
		.title = wanted->title, .elapsed_ns = elapsed, .n = n, .curves = curves
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted->curves) && wanted->curves[i].path; i++) {
		totals[i] = column(result, wanted->curves[i].path);
		if (totals[i])
			curves[chart.n_curves++] =
				(struct svg_curve){ wanted->curves[i].name, wanted->curves[i].class,
						    totals[i] };
	}
	if (chart.n_curves)
		(wanted->rates ? svg_rates : svg_totals)(out, &chart);
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		free(totals[i]);
}

static void print_series(FILE *out, const struct result *result)
{
	struct json_object *moments = result_get(result, "series.elapsed_ns");
	_cleanup_free_ uint64_t *elapsed = column(result, "series.elapsed_ns");

	head(out, "The run over time");
	if (!elapsed) {
		fputs("<p class=\"dim\">This report has no series.</p>\n", out);
		return;
	}
	fputs("<div class=\"charts\">\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(charts); i++)
		print_chart(out, result, &charts[i], elapsed, json_object_array_length(moments));
	fputs("</div>\n<p class=\"dim\">Most holes and leaks are known only when the run is "
	      "judged, after its last second.</p>\n",
	      out);
}

/* Findings ----------------------------------------------------------------------------------- */

static void print_index(FILE *out, const struct result *result)
{
	fputs("<table><tr><th>Signature</th><th>Class</th><th>Count</th></tr>\n", out);
	for (size_t i = 0; i < result->n_findings; i++) {
		const struct result_finding *finding = &result->findings[i];

		first_cell(out, "", finding->signature);
		element(out, "td", "", finding->class ? finding->class : "not in the index");
		number_cell(out, finding->count);
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
	if (result->beyond)
		fprintf(out, "<p>%" PRIu64 " more of signatures that found no room.</p>\n",
			result->beyond);
}

static void print_finding(FILE *out, const struct result_finding *finding)
{
	if (!finding->summary && !finding->history)
		return;
	element(out, "h3", "", finding->directory);
	fputc('\n', out);
	if (finding->summary)
		element(out, "pre", "class=\"finding\"", finding->summary);
	if (finding->history) {
		fputs("\n<details open><summary>History</summary>\n", out);
		element(out, "pre", "", finding->history);
		fputs("</details>\n", out);
	}
	if (finding->replay) {
		fputs("<details open><summary>Again</summary>\n", out);
		element(out, "pre", "", finding->replay);
		fputs("</details>\n", out);
	}
}

static void print_findings(FILE *out, const struct result *result)
{
	head(out, "Findings");
	if (!result->n_findings) {
		fputs("<p>None.</p>\n", out);
		return;
	}
	print_index(out, result);
	for (size_t i = 0; i < result->n_findings; i++)
		print_finding(out, &result->findings[i]);
}

static void print_holes(FILE *out, const struct result *result)
{
	head(out, "Holes");
	fputs("<table><tr><th>Never freed, or freed wrongly</th>", out);
	for (unsigned int k = 0; k < FAULT_NR; k++)
		element(out, "th", "", fault_kind_name(k));
	fputs("<th>Documented</th></tr>\n", out);
	json_object_object_foreach(result_get(result, "holes"), hole, kinds)
	{
		bool undocumented = json_at(result_get(result, "undocumented_holes_by_kind"), hole);

		first_cell(out, "", hole);
		for (unsigned int k = 0; k < FAULT_NR; k++)
			number_cell(out, json_number_at(kinds, fault_kind_name(k)));
		element(out, "td", "", undocumented ? "no, unless forced" : "yes");
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
}

/* What is not 0 of an object of counts. */
static void print_counts(FILE *out, const char *title, struct json_object *counts,
			 const char *class)
{
	bool any = false;

	head(out, title);
	json_object_object_foreach(counts, key, value)
	{
		if (!json_object_get_uint64(value))
			continue;
		if (!any)
			fputs("<table>\n", out);
		any = true;
		first_cell(out, class, key);
		number_cell(out, json_object_get_uint64(value));
		fputs("</tr>\n", out);
	}
	fputs(any ? "</table>\n" : "<p>None.</p>\n", out);
}

static void print_lock_failures(FILE *out, const struct result *result)
{
	struct json_object *timeouts = result_get(result, "timeouts");
	struct json_object *deadlocks = result_get(result, "deadlocks");

	head(out, "Locks that failed");
	fputs("<table><tr><th>Site</th>", out);
	for (unsigned int k = 0; k < FAULT_NR; k++)
		fprintf(out, "<th>%s timeout</th><th>%s deadlock</th>", fault_kind_name(k),
			fault_kind_name(k));
	fputs("</tr>\n", out);
	for (unsigned int i = 0; i < SOAK_SITE_NR; i++) {
		first_cell(out, "", site_name(i));
		for (unsigned int k = 0; k < FAULT_NR; k++) {
			number_cell(out, json_number_at(json_at(timeouts, fault_kind_name(k)),
							site_name(i)));
			number_cell(out, json_number_at(json_at(deadlocks, fault_kind_name(k)),
							site_name(i)));
		}
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
}

static void print_kernel_log(FILE *out, const struct result *result)
{
	struct json_object *reports = result_get(result, "kernel_log_reports");

	print_counts(out, "Kernel log", result_get(result, "kernel_log"), "");
	for (size_t i = 0; i < json_object_array_length(reports); i++) {
		struct json_object *report = json_object_array_get_idx(reports, i);

		element(out, "h3", "", json_text_at(report, "class"));
		element(out, "pre", "", json_text_at(report, "text"));
		fputc('\n', out);
	}
}

static void print_oracles(FILE *out, const struct result *result)
{
	head(out, "Oracles");
	fputs("<table><tr><th>Oracle</th><th>State</th></tr>\n", out);
	json_object_object_foreach(result_get(result, "oracles"), oracle, value)
	{
		const char *state = json_object_get_string(value);
		bool live = !strcmp(state, oracle_state_name(ORACLE_LIVE));
		bool absent = !strcmp(state, oracle_state_name(ORACLE_ABSENT));

		first_cell(out, "", oracle);
		element(out, "td",
			live ? "class=\"good\"" : (absent ? "class=\"dim\"" : "class=\"bad\""),
			state);
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
}

static void print_options(FILE *out, const struct result *result)
{
	head(out, "Options");
	fputs("<table><tr><th>Option</th><th>Value</th></tr>\n", out);
	json_object_object_foreach(result_get(result, "config"), key, value)
	{
		first_cell(out, "", key);
		element(out, "td", "", json_object_get_string(value));
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
}

static void print_text(FILE *out, const struct result *result)
{
	_cleanup_free_ char *text = render_as_text(result);

	if (!text)
		return;
	head(out, "The closing table");
	element(out, "pre", "", text);
	fputc('\n', out);
}

void render_html(FILE *out, const struct result *result)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
	      out);
	render_escaped(out, result_text(result, "verdict"));
	fputs(": bpfsoakd, ", out);
	render_escaped(out, result_text(result, "kernel_release"));
	fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
	print_top(out, result);
	print_tiles(out, result);
	print_coverage(out, result);
	print_series(out, result);
	print_counts(out, "Violations", result_get(result, "violations_by_kind"), "class=\"bad\"");
	print_holes(out, result);
	print_findings(out, result);
	print_lock_failures(out, result);
	print_oracles(out, result);
	print_counts(out, "Events missed", result_get(result, "misses"), "");
	print_kernel_log(out, result);
	print_options(out, result);
	print_text(out, result);
	fputs("</body>\n</html>\n", out);
}
