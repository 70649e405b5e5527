// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report as it is rendered: the text is what the closing table of the same run says, the figures
 * of the page are those of the snapshot, nothing that a report holds gets out of its place, and a
 * report that is none is refused by file, line and key.
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "capture.h"
#include "config.h"
#include "coverage.h"
#include "log.h"
#include "render.h"
#include "render_svg.h"
#include "report.h"
#include "result.h"
#include "scenarios/mix.h"
#include "series.h"
#include "snapshot.h"
#include "util.h"

/* A directory that is removed with all that is in it. */
struct place {
	char dir[32];
	char *report;
};

static void place_init(struct place *p)
{
	strcpy(p->dir, "/tmp/test_render.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->report = format("%s/report.json", p->dir);
}

static void place_done(struct place *p)
{
	_cleanup_free_ char *command = format("rm -rf %s", p->dir);

	assert_int_equal(system(command), 0);
	free(p->report);
}

static void put_file(const struct place *p, const char *name, const char *text)
{
	_cleanup_free_ char *path = format("%s/%s", p->dir, name);
	_cleanup_free_ char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));

	assert_int_equal(make_dirs(dir, 0755), 0);
	assert_int_equal(write_file_atomic(path, text, strlen(text)), 0);
}

static uint64_t some(void)
{
	return (uint64_t)rand() % 1000;
}

static void fill(void *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint64_t *)numbers)[i] = some();
}

#define FILL(array) fill(array, sizeof(array) / sizeof(uint64_t))

/* Everything that a report tells of has some value, and some have none. */
static struct snapshot *new_snapshot(unsigned int seed)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	srand(seed);
	strcpy(s->kernel_release, "7.3.4+odd release");
	strcpy(s->cpu_model, "queued, model 1");
	s->seed = UINT64_MAX - seed;
	strcpy(s->inject, seed % 3 ? "stall,module" : "none");
	for (unsigned int k = 0; k < FAULT_NR; k++)
		s->kinds[k] = seed % 3 && rand() % 2;
	s->start_realtime = 1767225600.25;
	s->elapsed_ns = some() * 123456000;
	FILL(s->c.coverage);
	FILL(s->c.lockless);
	FILL(s->c.births);
	FILL(s->c.frees);
	FILL(s->c.stalls);
	FILL(s->owners_by_kind);
	FILL(s->perturbations);
	FILL(s->timeouts);
	FILL(s->deadlocks);
	FILL(s->holes);
	FILL(s->misses);
	FILL(s->kmsg);
	if (seed % 2)
		FILL(s->violations);
	s->c.frees_by_cmpxchg = some();
	s->c.storage_births = some();
	s->c.storage_frees = some();
	s->live_storages = some();
	s->live_selems = some();
	s->maps_created = some();
	s->maps_closed = some();
	s->maps_outstanding = some();
	s->c.fields_freed = some();
	s->c.refs_stored = some();
	s->c.refs_taken = some();
	s->c.refs_freed = some();
	s->syscall_lookups = some();
	s->c.values_read = some();
	s->reader_lookups = some();
	s->reader_watched = some();
	FILL(s->c.meetings_met);
	FILL(s->c.meetings_missed);
	s->n_scenarios = scenarios_count();
	for (unsigned int i = 0; i < s->n_scenarios; i++)
		s->scenarios[i] = (struct snapshot_scenario){ .weight = some() % 3,
							      .steps = some() % 3,
							      .effects = some() };
	s->c.map_free_max_ns = some() * NSEC_PER_MSEC;
	s->c.destroy_max_ns = some() * NSEC_PER_MSEC;
	s->leaked_bytes = some() << 20;
	s->leak_budget = some() << 20;
	s->rss_bytes = some() << 20;
	s->cpu_user_s = 1.25;
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		s->oracles[o] = (enum oracle_state)(rand() % 3);
	s->verdict = VERDICT_PASS + seed % 3;
	strcpy(s->reasons[0], "the first reason");
	strcpy(s->reasons[1], "the second");
	s->n_reasons = s->verdict == VERDICT_PASS ? 0 : 2;
	return s;
}

/* Rare ones: a cell that nothing came to, a module. */
static void thin_out(struct snapshot *s)
{
	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell c = coverage_cell(i);

		if (rand() % 3)
			s->c.coverage[c.side][c.bucket][c.storage][c.outcome][c.kind] = 0;
	}
	s->module.present = rand() % 2;
	FILL(s->module.calls);
	FILL(s->module.passed);
	s->module.bursts = some();
	s->module.missed = some();
	s->module.held = -(int64_t)some();
	strcpy(s->module.decide, "self");
	strcpy(s->asked_error, rand() % 2 ? "deadlk" : "");
	s->asked_sites = rand() % 2 ? 1u << SOAK_SITE_DESTROY_BUCKET : 0;
}

static struct result *result_of(const struct place *p, const struct snapshot *s)
{
	struct result *result = NULL;

	assert_int_equal(report_write(p->dir, s, NULL, NULL), 0);
	assert_int_equal(result_read(p->dir, &result), 0);
	return result;
}

static char *rendered(void (*render)(FILE *, const struct result *), const struct result *result)
{
	struct capture c;

	capture_begin(&c);
	render(c.out, result);
	return capture_end(&c);
}

static void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in\n%s", part, text);
}

static void expect_none(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in\n%s", part, strstr(text, part));
}

static void test_text_is_the_closing_table(void **state)
{
	struct place p;

	(void)state;
	place_init(&p);
	for (unsigned int seed = 0; seed < 60; seed++) {
		_cleanup_free_ struct snapshot *s = new_snapshot(seed);
		_cleanup_(result_freep) struct result *result = NULL;
		_cleanup_free_ char *text = NULL, *table = NULL;
		struct capture c;

		thin_out(s);
		result = result_of(&p, s);
		text = rendered(render_text, result);
		capture_begin(&c);
		report_print_end(c.out, s);
		table = capture_end(&c);
		assert_string_equal(text, table);
	}
	place_done(&p);
}

/* Whoever looks for a last line must not find that of a run that has none. */
static void test_no_end_of_a_run_under_way(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *text = NULL, *page = NULL;
	struct place p;

	(void)state;
	place_init(&p);
	s->verdict = VERDICT_RUNNING;
	result = result_of(&p, s);
	text = rendered(render_text, result);
	page = rendered(render_html, result);
	expect_none(text, "end of run");
	expect(text, "bpfsoakd: the run is not over, or it has died");
	expect(page, "data-verdict=\"RUNNING\">RUNNING: the run is not over, or it has died</p>");
	place_done(&p);
}

/* The page's figure of an outcome, found as a reader of the DOM would. */
static uint64_t visits_on_page(const char *page, const struct coverage_cell *cell)
{
	_cleanup_free_ char *table =
		format("<table class=\"matrix\" data-side=\"%s\">", side_name(cell->side));
	_cleanup_free_ char *td =
		format("data-bucket=\"%s\" data-storage=\"%s\">", lock_result_name(cell->bucket),
		       lock_result_name(cell->storage));
	_cleanup_free_ char *span =
		format("data-outcome=\"%s\" data-visits=\"", outcome_name(cell->outcome));
	const char *at = strstr(page, table);

	assert_non_null(at);
	at = strstr(at, td);
	assert_non_null(at);
	at = strstr(at, span);
	assert_non_null(at);
	return strtoull(at + strlen(span), NULL, 10);
}

static void test_figures_of_the_page(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(4);
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *page = NULL;
	struct place p;

	(void)state;
	place_init(&p);
	thin_out(s);
	result = result_of(&p, s);
	page = rendered(render_html, result);
	for (unsigned int i = 0; i < COVERAGE_CELLS; i += SOAK_COVER_KINDS) {
		struct coverage_cell cell = coverage_cell(i);
		uint64_t visits = 0;

		if (cell.bucket == SOAK_LOCK_EITHER || cell.storage == SOAK_LOCK_EITHER)
			continue;
		for (cell.kind = 0; cell.kind < SOAK_COVER_KINDS; cell.kind++)
			visits += coverage_visits(s, &cell);
		assert_int_equal(visits_on_page(page, &cell), visits);
	}
	expect(page, "<p id=\"verdict\" class=\"bad\" data-verdict=\"FAIL\">FAIL</p>");
	expect(page, "<li>the first reason</li>");
	place_done(&p);
}

/* What cannot be is marked with its reason, and what was not tried is marked. */
static void test_marks_of_the_page(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *page = NULL;
	struct place p;

	(void)state;
	place_init(&p);
	memset(s->c.coverage, 0, sizeof(s->c.coverage));
	memset(s->kinds, 0, sizeof(s->kinds));
	s->kinds[FAULT_ORGANIC] = true;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_OK][SOAK_LOCK_OK][SOAK_LEFT][SOAK_NO_FAULT] = 3;
	result = result_of(&p, s);
	page = rendered(render_html, result);
	expect(page, "class=\"strange\" data-outcome=\"left\" data-visits=\"3\" title=\"left: a "
		     "visit that took the selem off both lists frees it at once (unlink == 2)\">3?"
		     "<sup>");
	expect(page, "class=\"missing\" data-outcome=\"left\" data-visits=\"0\" title=\"left: "
		     "missing: this run could come there, and never did\">0!</span>");
	expect(page, "<li>a visit that took the selem off both lists frees it at once (unlink == "
		     "2)</li>");
	place_done(&p);
}

static void test_curves_of_the_page(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	_cleanup_free_ struct series *series = calloc(1, sizeof(*series));
	_cleanup_(result_freep) struct result *without = NULL, *with = NULL;
	_cleanup_free_ char *page = NULL, *other = NULL;
	struct place p;

	(void)state;
	assert_non_null(series);
	place_init(&p);
	without = result_of(&p, s);
	other = rendered(render_html, without);
	expect(other, "This report has no series.");
	expect_none(other, "<svg");
	for (unsigned int i = 1; i <= 100; i++) {
		s->elapsed_ns = i * NSEC_PER_SEC;
		s->c.births[SOAK_SK] += 50;
		series_take(series, s);
	}
	s->series = series;
	with = result_of(&p, s);
	page = rendered(render_html, with);
	expect(page, "<figcaption>Elements (selems) born per second</figcaption>");
	expect(page, "<figcaption>Holes and violations so far</figcaption>");
	place_done(&p);
}

static void test_rates_and_totals(void **state)
{
	static const uint64_t elapsed[] = { NSEC_PER_SEC, 2 * NSEC_PER_SEC, 4 * NSEC_PER_SEC };
	static const uint64_t totals[] = { 100, 300, 300 };
	static const struct svg_curve curve = { "curve", "a", totals };
	struct svg_chart chart = {
		.title = "title", .elapsed_ns = elapsed, .n = 3, .curves = &curve, .n_curves = 1
	};
	_cleanup_free_ char *rates = NULL, *sums = NULL;
	struct capture c;

	(void)state;
	capture_begin(&c);
	svg_rates(c.out, &chart);
	rates = capture_end(&c);
	/* 100, 200 and 0 a second; the grid goes to 200. */
	expect(rates, "points=\"205.0,88.0 346.0,12.0 628.0,164.0\"");
	expect(rates, ">200</text>");
	expect(rates, ">4s</text>");
	capture_begin(&c);
	svg_totals(c.out, &chart);
	sums = capture_end(&c);
	expect(sums, "points=\"64.0,164.0 205.0,126.0 346.0,50.0 628.0,50.0\"");
	expect(sums, ">400</text>");
}

/* Times that do not rise, totals that fall: a picture, and no figure that is none. */
static void test_a_series_that_lies(void **state)
{
	static const uint64_t elapsed[] = { 5, 5, 0, UINT64_MAX, 1 };
	static const uint64_t totals[] = { UINT64_MAX, 0, 7, 3, 0 };
	static const struct svg_curve curve = { "curve", "a", totals };
	struct svg_chart chart = {
		.title = "title", .elapsed_ns = elapsed, .n = 5, .curves = &curve, .n_curves = 1
	};
	_cleanup_free_ char *text = NULL;
	struct capture c;

	(void)state;
	capture_begin(&c);
	svg_rates(c.out, &chart);
	svg_totals(c.out, &chart);
	text = capture_end(&c);
	expect_none(text, "nan");
	expect_none(text, "inf");
	chart.n = 0;
	capture_begin(&c);
	svg_rates(c.out, &chart);
	free(text);
	text = capture_end(&c);
	assert_string_equal(text, "");
}

#define HOSTILE "</pre><script>alert(1)</script>\"'&]]>\x1b[2J\xff"

/* Whatever may hold text of others holds this. */
static struct result *hostile(const struct place *p)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	_cleanup_free_ char *text = NULL, *more = NULL;
	struct result *result = NULL;
	struct json_object *root;

	strcpy(s->kernel_release, HOSTILE);
	strcpy(s->cpu_model, HOSTILE);
	strcpy(s->reasons[0], HOSTILE);
	assert_int_equal(report_write(p->dir, s, NULL, NULL), 0);
	/* Also what the daemon itself would not write. */
	root = json_object_from_file(p->report);
	assert_non_null(root);
	json_object_object_add(root, "verdict", json_object_new_string(HOSTILE));
	json_object_object_add(root, "seed", json_object_new_string(HOSTILE));
	json_object_object_add(json_at(root, "oracles"), HOSTILE, json_object_new_string(HOSTILE));
	json_object_object_add(json_at(root, "violations_by_kind"), HOSTILE,
			       json_object_new_int(3));
	json_object_object_add(json_at(root, "config"), HOSTILE, json_object_new_string(HOSTILE));
	text = strdup(json_object_to_json_string(root));
	json_object_put(root);
	put_file(p, "report.json", text);
	put_file(p, "findings/001-x<script>/summary.txt", HOSTILE);
	put_file(p, "findings/001-x<script>/history.txt", HOSTILE);
	put_file(p, "findings/001-x<script>/replay", HOSTILE);
	assert_int_equal(result_read(p->dir, &result), 0);
	return result;
}

static void assert_printable(const char *text)
{
	for (; *text; text++)
		assert_true(*text == '\n' || *text == '\t' || (*text >= 0x20 && *text <= 0x7e));
}

static void test_nothing_gets_out_of_its_place(void **state)
{
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *page = NULL, *xml = NULL, *ktap = NULL;
	struct place p;

	(void)state;
	place_init(&p);
	result = hostile(&p);
	page = rendered(render_html, result);
	xml = rendered(render_junit, result);
	ktap = rendered(render_ktap, result);
	expect_none(page, "<script");
	expect_none(xml, "<script");
	assert_printable(page);
	assert_printable(xml);
	expect(page,
	       "&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;]]&gt;?[2J?");
	expect(xml, "&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;]]&gt;?[2J?");
	expect(ktap, "\nnot ok ");
	place_done(&p);
}

/* Lines of results, their numbers in order, and as many as were planned. */
static unsigned int count_results(const char *ktap)
{
	unsigned int n = 0, number;

	for (const char *line = ktap; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "ok %u ", &number) != 1 &&
		    sscanf(line, "not ok %u ", &number) != 1)
			continue;
		assert_int_equal(number, ++n);
	}
	return n;
}

static void test_ktap(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(0);
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *ktap = NULL, *plan = NULL;
	struct place p;

	(void)state;
	place_init(&p);
	memset(s->violations, 0, sizeof(s->violations));
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		s->oracles[o] = ORACLE_LIVE;
	s->oracles[ORACLE_OMEM] = ORACLE_ABSENT;
	s->oracles[ORACLE_VALUES] = ORACLE_BLIND;
	s->violations[VIOLATION_MAP] = 2;
	s->verdict = VERDICT_INCONCLUSIVE;
	s->n_reasons = 1;
	result = result_of(&p, s);
	ktap = rendered(render_ktap, result);
	plan = format("KTAP version 1\n1..%d\n", ORACLE_NR + VIOLATION_NR + 1);
	assert_int_equal(strncmp(ktap, plan, strlen(plan)), 0);
	assert_int_equal(count_results(ktap), ORACLE_NR + VIOLATION_NR + 1);
	expect(ktap, " oracle.omem # SKIP absent on this kernel\n");
	expect(ktap, " violation.omem # SKIP its oracle is absent on this kernel\n");
	expect(ktap, " oracle.values\n# oracle.values: it did not answer its positive control "
		     "(blind)\n");
	expect(ktap, " violation.map\n# violation.map: 2 seen\n");
	expect(ktap, " run.verdict\n# run.verdict: INCONCLUSIVE\n# INCONCLUSIVE: the first "
		     "reason\n");
	expect(ktap, "# Totals: pass:");
	place_done(&p);
}

/* Seen, though nobody was known to look: seen. */
static void test_an_absent_oracle_hides_nothing(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(0);
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *ktap = NULL;
	struct place p;

	(void)state;
	place_init(&p);
	s->oracles[ORACLE_OMEM] = ORACLE_ABSENT;
	s->violations[VIOLATION_OMEM] = 1;
	result = result_of(&p, s);
	ktap = rendered(render_ktap, result);
	expect(ktap, " violation.omem\n# violation.omem: 1 seen\n");
	place_done(&p);
}

static void test_junit(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(2);
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *xml = NULL, *head = NULL;
	struct place p;

	(void)state;
	place_init(&p);
	memset(s->violations, 0, sizeof(s->violations));
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		s->oracles[o] = ORACLE_LIVE;
	s->violations[VIOLATION_OMEM] = 1;
	put_file(&p, "findings/001-omem-none/summary.txt", "a & b\n");
	put_file(&p, "findings/002-omem2/summary.txt", "another\n");
	result = result_of(&p, s);
	xml = rendered(render_junit, result);
	head = format("<testsuites tests=\"%d\" failures=\"2\" errors=\"0\" skipped=\"0\">",
		      ORACLE_NR + VIOLATION_NR + 1);
	expect(xml, head);
	expect(xml, "<testcase classname=\"bpfsoakd.oracle\" name=\"omem\" time=\"0\"/>");
	expect(xml, "<testcase classname=\"bpfsoakd.violation\" name=\"omem\" time=\"0\">\n"
		    "      <failure message=\"1 seen\" type=\"violation\">a &amp; b\n</failure>");
	expect(xml,
	       "<failure message=\"INCONCLUSIVE\" type=\"run\">the first reason\nthe second\n");
	expect(xml, "timestamp=\"2026-01-01T00:00:00\"");
	place_done(&p);
}

/* What is said on standard error, to be freed. */
static char *said_of(const struct place *p, int *ret_r)
{
	FILE *caught = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct result *result = NULL;
	char *text;
	long len;

	assert_true(caught && saved >= 0);
	dup2(fileno(caught), STDERR_FILENO);
	*ret_r = result_read(p->dir, &result);
	dup2(saved, STDERR_FILENO);
	close(saved);
	result_free(result);
	fseek(caught, 0, SEEK_END);
	len = ftell(caught);
	text = calloc(1, (size_t)len + 1);
	assert_non_null(text);
	rewind(caught);
	assert_int_equal(fread(text, 1, (size_t)len, caught), len);
	fclose(caught);
	return text;
}

static void assert_refused(const struct place *p, const char *what)
{
	_cleanup_free_ char *said = NULL, *expected = format("%s%s\n", p->report, what);
	int r;

	said = said_of(p, &r);
	assert_true(r < 0);
	expect(said, expected);
}

static void test_no_json(void **state)
{
	struct place p;

	(void)state;
	place_init(&p);
	assert_refused(&p, ": No such file or directory");
	put_file(&p, "report.json", "");
	assert_refused(&p, ":1: not JSON: unexpected end of data");
	put_file(&p, "report.json", "{\n  \"version\": 1,\n  oops\n}\n");
	assert_refused(&p, ":3: not JSON: quoted object property name expected");
	put_file(&p, "report.json", "{}\n\n{}\n");
	assert_refused(&p, ":3: not JSON: something follows the end");
	put_file(&p, "report.json", "null\n");
	assert_refused(&p, ": version: is missing: this is no report of bpfsoakd");
	put_file(&p, "report.json", "[]\n");
	assert_refused(&p, ": version: is missing: this is no report of bpfsoakd");
	put_file(&p, "report.json", "{ \"version\": 2 }\n");
	assert_refused(&p, ": version: 2; this bpfsoakd reads 1");
	put_file(&p, "report.json", "{ \"version\": 1 }\n");
	assert_refused(&p, ": daemon_version: is missing");
	unlink(p.report);
	assert_int_equal(symlink("/etc/passwd", p.report), 0);
	assert_refused(&p, ": not a regular file");
	place_done(&p);
}

static void test_cut_short(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	struct place p;

	(void)state;
	place_init(&p);
	assert_int_equal(report_write(p.dir, s, NULL, NULL), 0);
	assert_int_equal(read_file(p.report, &text, &len), 0);
	for (size_t cut = 0; cut < len - 2; cut += 997) {
		_cleanup_free_ char *said = NULL;
		int r;

		assert_int_equal(write_file_atomic(p.report, text, cut), 0);
		said = said_of(&p, &r);
		assert_int_equal(r, -EINVAL);
		expect(said, ": not JSON: ");
	}
	place_done(&p);
}

/* A valid report but for one key. */
static void test_wrong_keys(void **state)
{
	static const struct {
		const char *path, *json, *what;
	} cases[] = {
		{ "verdict", "3", ": verdict: not a string" },
		{ "born", "\"many\"", ": born: not a whole number" },
		{ "duration_s", "true", ": duration_s: not a number" },
		{ "reasons", "[ \"a\", 3 ]", ": reasons.1: not a string" },
		{ "reasons", "{}", ": reasons: not an array" },
		{ "holes", "{ \"selem\": 3 }", ": holes.selem: not an object" },
		{ "holes", "{ \"selem\": { \"organic\": [] } }",
		  ": holes.selem.organic: not a whole number" },
		{ "misses", "3", ": misses: not an object" },
		{ "oracles", "{ \"omem\": 1 }", ": oracles.omem: not a string" },
		{ "module", "[]", ": module: not an object" },
		{ "kernel_log_reports", "[ 1 ]",
		  ": kernel_log_reports.0: no report of the kernel log: class, text" },
		{ "coverage.covered", "[ { \"side\": \"up\" } ]",
		  ": coverage.covered.0: not a cell that this version knows: side, bucket, "
		  "storage, outcome" },
		{ "coverage.missing", "null", ": coverage.missing: is missing" },
		{ "series.owners", "[ 1 ]", ": series.owners: not as long as series.elapsed_ns" },
		{ "series.owners", "[ {} ]", ": series.owners.0: not a whole number" },
	};
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	struct place p;

	(void)state;
	place_init(&p);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *object = strdup(cases[i].path), *text = NULL;
		struct json_object *root, *parent;
		char *key;

		assert_int_equal(report_write(p.dir, s, NULL, NULL), 0);
		parent = root = json_object_from_file(p.report);
		key = strchr(object, '.');
		if (key) {
			*key++ = '\0';
			parent = json_at(root, object);
		} else {
			key = object;
		}
		json_object_object_add(parent, key, json_tokener_parse(cases[i].json));
		text = strdup(json_object_to_json_string(root));
		json_object_put(root);
		put_file(&p, "report.json", text);
		assert_refused(&p, cases[i].what);
	}
	place_done(&p);
}

/* Whatever is done to a report, it is rendered or refused. */
static void test_damaged_reports(void **state)
{
	static void (*const renders[])(FILE *, const struct result *) = {
		render_text, render_html, render_json, render_ktap, render_junit,
	};
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	_cleanup_free_ char *whole = NULL;
	unsigned int good = 0;
	size_t len = 0;
	struct place p;

	(void)state;
	place_init(&p);
	assert_int_equal(report_write(p.dir, s, NULL, NULL), 0);
	assert_int_equal(read_file(p.report, &whole, &len), 0);
	for (unsigned int i = 0; i < 300; i++) {
		_cleanup_free_ char *text = strdup(whole), *said = NULL;
		struct result *result = NULL;
		int r;

		for (unsigned int j = 0; j < 1 + i % 3; j++)
			text[(size_t)rand() % len] = "0x\" -"[rand() % 5];
		assert_int_equal(write_file_atomic(p.report, text, len), 0);
		said = said_of(&p, &r);
		assert_true(!r || strlen(said));
		if (r || result_read(p.dir, &result))
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(renders); j++)
			free(rendered(renders[j], result));
		result_free(result);
		good++;
	}
	assert_true(good > 10);
	place_done(&p);
}

static const struct result_finding *find(const struct result *result, const char *signature)
{
	for (size_t i = 0; i < result->n_findings; i++)
		if (!strcmp(result->findings[i].signature, signature))
			return &result->findings[i];
	fail_msg("no finding %s", signature);
	return NULL;
}

static void test_findings(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *page = NULL;
	struct place p;

	(void)state;
	place_init(&p);
	put_file(&p, "findings/index.json",
		 "{ \"version\": 1, \"findings\": [\n"
		 "{ \"signature\": \"omem-none\", \"class\": \"violation\", \"count\": 4, "
		 "\"directory\": \"001-omem-none\" },\n"
		 "{ \"signature\": \"map-none\", \"class\": \"violation\", \"count\": 2 }\n"
		 "], \"beyond\": 5 }\n");
	put_file(&p, "findings/001-omem-none/summary.txt", "the summary\n");
	put_file(&p, "findings/001-omem-none/history.txt", "the history\n");
	put_file(&p, "findings/001-omem-none/replay", "scripts/soak --again\n");
	put_file(&p, "findings/died/summary.txt", "the guest died\n");
	result = result_of(&p, s);
	assert_int_equal(result->n_findings, 3);
	assert_int_equal(result->beyond, 5);
	assert_int_equal(find(result, "omem-none")->count, 4);
	assert_string_equal(find(result, "omem-none")->history, "the history\n");
	assert_null(find(result, "map-none")->directory);
	assert_string_equal(find(result, "died")->summary, "the guest died\n");
	page = rendered(render_html, result);
	expect(page, "<pre class=\"finding\">the summary\n</pre>");
	expect(page, "<pre>the history\n</pre>");
	expect(page, "scripts/soak --again");
	expect(page, "the guest died");
	expect(page, "5 more of signatures that found no room");
	place_done(&p);
}

/* A report from elsewhere must not show what is outside of it. */
static void test_findings_that_lead_away(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *link = NULL, *file = NULL, *huge = calloc(1, 300 << 10);
	struct place p;

	(void)state;
	assert_non_null(huge);
	place_init(&p);
	put_file(&p, "outside/summary.txt", "secret\n");
	put_file(&p, "findings/index.json",
		 "{ \"findings\": [ { \"signature\": \"up\", \"directory\": \"../outside\" },\n"
		 "{ \"signature\": \"link\", \"directory\": \"link\" },\n"
		 "{ \"signature\": 3 }, 7 ] }\n");
	put_file(&p, "findings/real/replay", "again\n");
	memset(huge, 'x', (300 << 10) - 1);
	put_file(&p, "findings/real/history.txt", huge);
	link = format("%s/findings/link", p.dir);
	file = format("%s/findings/real/summary.txt", p.dir);
	assert_int_equal(symlink("../outside", link), 0);
	assert_int_equal(symlink("../../outside/summary.txt", file), 0);
	result = result_of(&p, s);
	assert_null(find(result, "up")->summary);
	assert_null(find(result, "link")->summary);
	assert_null(find(result, "real")->summary);
	assert_null(find(result, "real")->history);
	assert_string_equal(find(result, "real")->replay, "again\n");
	place_done(&p);
}

/* Reports of before know less, and are shown all the same. */
static void test_older_reports(void **state)
{
	static const char *const added[] = { "stalls",		 "live",  "storages", "maps",
					     "lockless_by_side", "series" };
	_cleanup_free_ struct snapshot *s = new_snapshot(1);
	_cleanup_(result_freep) struct result *result = NULL;
	_cleanup_free_ char *text = NULL, *page = NULL, *json = NULL;
	struct json_object *root;
	struct place p;

	(void)state;
	place_init(&p);
	assert_int_equal(report_write(p.dir, s, NULL, NULL), 0);
	root = json_object_from_file(p.report);
	assert_non_null(root);
	for (size_t i = 0; i < ARRAY_SIZE(added); i++)
		json_object_object_del(root, added[i]);
	json_object_object_del(json_at(root, "checks"), "references_taken");
	json_object_object_del(json_at(root, "checks"), "values_read_by_workers");
	json = strdup(json_object_to_json_string(root));
	json_object_put(root);
	put_file(&p, "report.json", json);
	assert_int_equal(result_read(p.dir, &result), 0);
	text = rendered(render_text, result);
	expect_none(text, "storages");
	expect_none(text, "  holders stalled  ");
	expect_none(text, " lockless)");
	expect(text, ", released ");
	page = rendered(render_html, result);
	expect(page, "This report has no series.");
	place_done(&p);
}

static void test_exit_codes(void **state)
{
	struct config none = { .format = FORMAT_TEXT };
	struct config absent = { .operand = (char *)"/nonexistent", .format = FORMAT_HTML };
	int saved = dup(STDERR_FILENO);
	FILE *null = fopen("/dev/null", "we");

	(void)state;
	assert_true(saved >= 0 && null);
	dup2(fileno(null), STDERR_FILENO);
	assert_int_equal(render_run(&none), 2);
	assert_int_equal(render_run(&absent), 2);
	dup2(saved, STDERR_FILENO);
	close(saved);
	fclose(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_the_closing_table),
		cmocka_unit_test(test_no_end_of_a_run_under_way),
		cmocka_unit_test(test_figures_of_the_page),
		cmocka_unit_test(test_marks_of_the_page),
		cmocka_unit_test(test_curves_of_the_page),
		cmocka_unit_test(test_rates_and_totals),
		cmocka_unit_test(test_a_series_that_lies),
		cmocka_unit_test(test_nothing_gets_out_of_its_place),
		cmocka_unit_test(test_ktap),
		cmocka_unit_test(test_an_absent_oracle_hides_nothing),
		cmocka_unit_test(test_junit),
		cmocka_unit_test(test_no_json),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_wrong_keys),
		cmocka_unit_test(test_damaged_reports),
		cmocka_unit_test(test_findings),
		cmocka_unit_test(test_findings_that_lead_away),
		cmocka_unit_test(test_older_reports),
		cmocka_unit_test(test_exit_codes),
	};

	log_init(LOG_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
