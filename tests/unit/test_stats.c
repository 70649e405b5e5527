// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stats file as a collector reads it: a small parser of the text format that is stricter than
 * node_exporter's, the figures behind the samples, and the references in docs/metrics.md and
 * docs/bpfsoakd-metrics.7. SOAK_UPDATE_DOCS=1 in the environment rewrites the tables there instead
 * of comparing them.
 */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "build_config.h"
#include "capture.h"
#include "page.h"
#include "stats.h"
#include "util.h"

#define METRICS_MAX 128
#define DOCS_FILE   DOCS_DIR "/metrics.md"
#define TABLE_HEAD  "| Name | Type | Labels | Meaning |\n"
#define PAGE_FILE   DOCS_DIR "/bpfsoakd-metrics.7"

/* What the issue asks for. */
static const char *const required[] = {
	"bpfsoakd_build_info",
	"bpfsoakd_start_time_seconds",
	"bpfsoakd_last_update_timestamp_seconds",
	"bpfsoakd_uptime_seconds",
	"bpfsoakd_selem_births_total",
	"bpfsoakd_selem_frees_total",
	"bpfsoakd_visits_total",
	"bpfsoakd_coverage_cells",
	"bpfsoakd_lockless_unlinks_total",
	"bpfsoakd_injected_total",
	"bpfsoakd_lock_failures_total",
	"bpfsoakd_errors_returned_total",
	"bpfsoakd_syscall_errors_total",
	"bpfsoakd_holes_total",
	"bpfsoakd_violations_total",
	"bpfsoakd_misses_total",
	"bpfsoakd_kernel_log_reports_total",
	"bpfsoakd_worker_operations_total",
	"bpfsoakd_rss_bytes",
};

struct parsed {
	char *text; /* cut at its newlines */
	char *lines[8192];
	size_t n_lines;
	const char *names[METRICS_MAX];
	size_t n_names;
};

static struct snapshot *new_snapshot(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->kernel_release, "7.3.4-cloud-amd64");
	strcpy(s->cpu_model, "Some CPU @ 2.00GHz");
	s->seed = UINT64_MAX;
	strcpy(s->inject, "stall");
	s->start_realtime = 1767225600.25;
	s->update_realtime = 1767225660.5;
	s->elapsed_ns = 60250000000ULL;
	s->n_workers = 2;
	return s;
}

static char *skip_name(char *p)
{
	assert_true(islower((unsigned char)*p));
	while (islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_')
		p++;
	return p;
}

/* name="value" with the three escapes that the format knows. */
static char *skip_label(char *p)
{
	p = skip_name(p);
	assert_int_equal(*p++, '=');
	assert_int_equal(*p++, '"');
	for (; *p != '"'; p++) {
		assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
		if (*p == '\\')
			assert_non_null(strchr("\\\"n", *++p));
	}
	return p + 1;
}

/* One sample of the metric called name; nothing may follow the value, a timestamp least of all. */
static void check_sample(char *line, const char *name)
{
	char *p = skip_name(line);
	char *end;

	assert_int_equal(p - line, strlen(name));
	assert_memory_equal(line, name, strlen(name));
	if (*p == '{') {
		do {
			p = skip_label(p + 1);
		} while (*p == ',');
		assert_int_equal(*p++, '}');
	}
	assert_int_equal(*p++, ' ');
	if (!strcmp(name, "bpfsoakd_module_held_locks") && *p == '-')
		p++;
	assert_true(isdigit((unsigned char)*p));
	strtod(p, &end);
	assert_int_equal(*end, '\0');
}

static void check_type(struct parsed *t, char *line, const char *name)
{
	size_t len = strlen(name);
	bool is_total = len > 6 && !strcmp(name + len - 6, "_total");
	_cleanup_free_ char *expected =
		format("# TYPE %s %s", name, is_total ? "counter" : "gauge");

	assert_string_equal(line, expected);
	assert_true(!strncmp(name, "bpfsoakd_", 9));
	for (size_t i = 0; i + 1 < t->n_names; i++)
		assert_string_not_equal(t->names[i], name);
}

/* Fails unless each metric is HELP, TYPE, samples, and comes once. */
static struct parsed *parse(const struct snapshot *s)
{
	struct parsed *t = calloc(1, sizeof(*t));
	const char *name = NULL;
	char *rest;

	assert_non_null(t);
	t->text = stats_format(s);
	assert_non_null(t->text);
	assert_int_equal(t->text[strlen(t->text) - 1], '\n');
	rest = t->text;
	while (*rest) {
		assert_true(t->n_lines < ARRAY_SIZE(t->lines));
		t->lines[t->n_lines++] = strsep(&rest, "\n");
	}
	for (size_t i = 0; i < t->n_lines; i++) {
		if (t->lines[i][0] != '#') {
			assert_non_null(name);
			check_sample(t->lines[i], name);
			continue;
		}
		assert_true(!strncmp(t->lines[i], "# HELP ", 7));
		assert_true(t->n_names < METRICS_MAX && i + 1 < t->n_lines);
		name = strndup(t->lines[i] + 7, strcspn(t->lines[i] + 7, " "));
		assert_true(strlen(t->lines[i]) > strlen(name) + 8);
		t->names[t->n_names++] = name;
		check_type(t, t->lines[++i], name);
	}
	return t;
}

static void parsed_free(struct parsed *t)
{
	for (size_t i = 0; i < t->n_names; i++)
		free((char *)t->names[i]);
	free(t->text);
	free(t);
}

static bool has_line(const struct parsed *t, const char *line)
{
	for (size_t i = 0; i < t->n_lines; i++) {
		if (!strcmp(t->lines[i], line))
			return true;
	}
	return false;
}

static size_t count_prefix(const struct parsed *t, const char *prefix)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_lines; i++)
		n += !strncmp(t->lines[i], prefix, strlen(prefix));
	return n;
}

#define ASSERT_LINE(t, line)                                  \
	do {                                                  \
		if (!has_line(t, line))                       \
			fail_msg("no such line: %s", (line)); \
	} while (0)

static void test_every_line_parses(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t = parse(s);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		_cleanup_free_ char *prefix = format("# HELP %s ", required[i]);

		assert_int_equal(count_prefix(t, prefix), 1);
	}
	parsed_free(t);
}

static void test_every_series_is_unique(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	memset(&s->c.coverage, 1, sizeof(s->c.coverage)); /* no combination left out */
	s->module.present = true;
	t = parse(s);
	for (size_t i = 0; i < t->n_lines; i++) {
		_cleanup_free_ char *series = NULL;

		if (t->lines[i][0] == '#')
			continue;
		series =
			strndup(t->lines[i], (size_t)(strrchr(t->lines[i], ' ') + 1 - t->lines[i]));
		assert_int_equal(count_prefix(t, series), 1);
	}
	assert_int_equal(count_prefix(t, "bpfsoakd_visits_total{"),
			 SOAK_SIDE_NR * SOAK_LOCK_NR * SOAK_LOCK_NR * SOAK_OUTCOME_NR *
				 SOAK_COVER_KINDS);
	parsed_free(t);
}

static void test_odd_strings_are_escaped(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	strcpy(s->kernel_release, "7.3\"q\\b\nn\tt\xffu}{,=");
	s->inject[0] = '\0';
	t = parse(s);
	ASSERT_LINE(
		t,
		"bpfsoakd_build_info{version=\"" SOAK_VERSION "\","
		"kernel_release=\"7.3\\\"q\\\\b\\nn?t?u}{,=\","
		"cpu_model=\"Some CPU @ 2.00GHz\",seed=\"18446744073709551615\",inject=\"\",instance=\"\"} 1");
	parsed_free(t);
}

static void test_scalars(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	s->rss_bytes = UINT64_MAX;
	s->c.map_free_max_ns = 300000001;
	s->bookkeeping_cpu_s = 0.1;
	s->cpu_user_s = 1.5;
	s->cpu_system_s = 1.0 / 0.0;
	t = parse(s);
	ASSERT_LINE(t, "bpfsoakd_start_time_seconds 1767225600.25");
	ASSERT_LINE(t, "bpfsoakd_last_update_timestamp_seconds 1767225660.5");
	ASSERT_LINE(t, "bpfsoakd_uptime_seconds 60.25");
	ASSERT_LINE(t, "bpfsoakd_rss_bytes 18446744073709551615");
	ASSERT_LINE(t, "bpfsoakd_map_free_longest_seconds 0.300000001");
	ASSERT_LINE(t, "bpfsoakd_bookkeeping_cpu_seconds_total 0.1");
	ASSERT_LINE(t, "bpfsoakd_cpu_seconds_total{mode=\"user\"} 1.5");
	ASSERT_LINE(t, "bpfsoakd_cpu_seconds_total{mode=\"system\"} 0");
	parsed_free(t);
}

/* Each array is addressed by its labels in the right order. */
static void test_arrays(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	s->c.births[SOAK_TASK] = 11;
	s->c.frees[SOAK_FREE_PROGRAM] = 12;
	s->c.errors[SOAK_OP_DELETE][SOAK_ERR_EAGAIN] = 13;
	s->holes[HOLE_STORAGE][FAULT_CONTENDED] = 14;
	s->violations[VIOLATION_STUCK] = 15;
	s->misses[MISS_KMSG] = 16;
	s->syscall_errors[SOAK_ERR_OTHER] = 17;
	s->syscall_lookups = 18;
	t = parse(s);
	ASSERT_LINE(t, "bpfsoakd_selem_births_total{owner=\"socket\"} 0");
	ASSERT_LINE(t, "bpfsoakd_selem_births_total{owner=\"task\"} 11");
	ASSERT_LINE(t, "bpfsoakd_selem_frees_total{side=\"program\"} 12");
	ASSERT_LINE(t, "bpfsoakd_errors_returned_total{op=\"delete\",errno=\"EAGAIN\"} 13");
	ASSERT_LINE(t, "bpfsoakd_holes_total{hole=\"storage\",fault_kind=\"contended\"} 14");
	ASSERT_LINE(t, "bpfsoakd_violations_total{violation=\"stuck\"} 15");
	ASSERT_LINE(t, "bpfsoakd_misses_total{miss=\"kernel_log_lost\"} 16");
	ASSERT_LINE(t, "bpfsoakd_syscall_errors_total{errno=\"other\"} 17");
	ASSERT_LINE(t, "bpfsoakd_syscall_operations_total{op=\"lookup\"} 18");
	parsed_free(t);
}

static void test_lock_failures_and_injections(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	s->timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_STORAGE] = 21;
	s->timeouts[FAULT_FORCED][SOAK_SITE_CLONE] = 22;
	s->deadlocks[FAULT_CONTENDED][SOAK_SITE_UPDATE] = 23;
	s->c.stalls[SOAK_SITE_DESTROY_STORAGE] = 24;
	t = parse(s);
	ASSERT_LINE(t, "bpfsoakd_lock_failures_total{kind=\"organic\",site=\"destroy_storage\","
		       "result=\"timeout\"} 21");
	ASSERT_LINE(t, "bpfsoakd_lock_failures_total{kind=\"forced\",site=\"clone\","
		       "result=\"timeout\"} 22");
	ASSERT_LINE(t, "bpfsoakd_lock_failures_total{kind=\"contended\",site=\"update\","
		       "result=\"deadlock\"} 23");
	ASSERT_LINE(t, "bpfsoakd_lock_failures_total{kind=\"forced\",site=\"update\","
		       "result=\"deadlock\"} 0");
	ASSERT_LINE(t, "bpfsoakd_injected_total{kind=\"organic\",site=\"destroy_storage\"} 24");
	ASSERT_LINE(t, "bpfsoakd_injected_total{kind=\"forced\",site=\"clone\"} 22");
	ASSERT_LINE(t, "bpfsoakd_injected_total{kind=\"contended\",site=\"update\"} 23");
	parsed_free(t);

	/* The module knows best what it did. */
	s->module.present = true;
	s->module.timeouts[FAULT_FORCED][SOAK_SITE_CLONE] = 25;
	s->module.deadlocks[FAULT_FORCED][SOAK_SITE_CLONE] = 26;
	t = parse(s);
	ASSERT_LINE(t, "bpfsoakd_injected_total{kind=\"forced\",site=\"clone\"} 51");
	parsed_free(t);
}

static void test_only_visits_that_happened(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_GONE][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_FORCED] =
		31;
	t = parse(s);
	ASSERT_LINE(t, "bpfsoakd_visits_total{side=\"map_free\",bucket=\"ok\",storage=\"ok\","
		       "outcome=\"freed_here\",kind=\"none\"} 0");
	ASSERT_LINE(t, "bpfsoakd_visits_total{side=\"destroy\",bucket=\"ok\",storage=\"ok\","
		       "outcome=\"freed_here\",kind=\"none\"} 0");
	ASSERT_LINE(t, "bpfsoakd_visits_total{side=\"destroy\",bucket=\"gone\","
		       "storage=\"timeout\",outcome=\"left\",kind=\"forced\"} 31");
	assert_int_equal(count_prefix(t, "bpfsoakd_visits_total{"), 3);
	parsed_free(t);
}

static void test_coverage(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	s->kinds[FAULT_FORCED] = true;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_GONE][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_FORCED] = 9;
	t = parse(s);
	ASSERT_LINE(t, "bpfsoakd_coverage_cells{kind=\"forced\",state=\"reachable\"} 60");
	ASSERT_LINE(t, "bpfsoakd_coverage_cells{kind=\"forced\",state=\"covered\"} 1");
	ASSERT_LINE(t, "bpfsoakd_coverage_cells{kind=\"organic\",state=\"reachable\"} 0");
	ASSERT_LINE(t, "bpfsoakd_coverage_cells{kind=\"none\",state=\"covered\"} 0");
	parsed_free(t);
}

static void fill_module(struct snapshot_module *m)
{
	m->armed = true;
	strcpy(m->decide, "fail_function");
	strcpy(m->error, "timedout"); /* as the knob happens to stand */
	m->sites = 1u << SOAK_SITE_UPDATE;
	m->sites_here = 1u << SOAK_SITE_UPDATE | 1u << SOAK_SITE_CACHE;
	m->probability = 51;
	m->interval = 52;
	m->bursts = 53;
	m->calls[SOAK_SITE_ALLOC] = 54;
	m->passed[SOAK_SITE_LINK_MAP] = 55;
	m->timeouts[FAULT_CONTENDED][SOAK_SITE_CACHE] = 56;
	m->deadlocks[FAULT_FORCED][SOAK_SITE_DELETE] = 57;
	m->hidden = 58;
	m->held_cpus = 59;
	m->held = -60;
}

static void test_module(void **state)
{
	static const char *const lines[] = {
		"bpfsoakd_module_info{decide=\"fail_function\",error=\"either\"} 1",
		"bpfsoakd_module_armed 1",
		"bpfsoakd_module_site_enabled{site=\"update\"} 1",
		"bpfsoakd_module_site_enabled{site=\"cache\"} 0",
		"bpfsoakd_module_site_available{site=\"cache\"} 1",
		"bpfsoakd_module_site_available{site=\"clone\"} 0",
		"bpfsoakd_module_probability_percent 51",
		"bpfsoakd_module_interval 52",
		"bpfsoakd_module_bursts_total 53",
		"bpfsoakd_module_calls_total{site=\"alloc\"} 54",
		"bpfsoakd_module_passed_total{site=\"link_map\"} 55",
		"bpfsoakd_module_errors_total{kind=\"contended\",site=\"cache\","
		"error=\"timeout\"} 56",
		"bpfsoakd_module_errors_total{kind=\"forced\",site=\"delete\","
		"error=\"deadlock\"} 57",
		"bpfsoakd_module_hidden_total 58",
		"bpfsoakd_module_held_cpus 59",
		"bpfsoakd_module_held_locks -60",
	};
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	fill_module(&s->module);
	t = parse(s);
	assert_int_equal(count_prefix(t, "bpfsoakd_module_"), 0);
	parsed_free(t);
	s->module.present = true;
	t = parse(s);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		ASSERT_LINE(t, lines[i]);
	parsed_free(t);
}

static void test_states(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	s->verdict = VERDICT_FAIL;
	s->oracles[ORACLE_OMEM] = ORACLE_LIVE;
	s->oracles[ORACLE_VALUES] = ORACLE_BLIND;
	t = parse(s);
	ASSERT_LINE(t, "bpfsoakd_verdict{verdict=\"FAIL\"} 1");
	ASSERT_LINE(t, "bpfsoakd_verdict{verdict=\"PASS\"} 0");
	ASSERT_LINE(t, "bpfsoakd_oracle_live{oracle=\"omem\"} 1");
	ASSERT_LINE(t, "bpfsoakd_oracle_live{oracle=\"values\"} 0");
	ASSERT_LINE(t, "bpfsoakd_oracle_state{oracle=\"omem\",state=\"live\"} 1");
	ASSERT_LINE(t, "bpfsoakd_oracle_state{oracle=\"omem\",state=\"blind\"} 0");
	ASSERT_LINE(t, "bpfsoakd_oracle_state{oracle=\"values\",state=\"blind\"} 1");
	ASSERT_LINE(t, "bpfsoakd_oracle_state{oracle=\"visits\",state=\"absent\"} 1");
	parsed_free(t);
}

static void test_workers(void **state)
{
	static const unsigned int counts[][2] = { { 0, 0 }, { 1, 1 }, { 256, 256 }, { 9999, 256 } };
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct parsed *t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		s->n_workers = counts[i][0];
		t = parse(s);
		assert_int_equal(count_prefix(t, "bpfsoakd_worker_operations_total{"),
				 counts[i][1]);
		parsed_free(t);
	}
	s->workers[200].ops = 41;
	s->workers[200].idle_ns = 1500000000;
	t = parse(s);
	ASSERT_LINE(t, "bpfsoakd_worker_operations_total{worker=\"200\"} 41");
	ASSERT_LINE(t, "bpfsoakd_worker_idle_seconds{worker=\"200\"} 1.5");
	parsed_free(t);
}

static char *reference(void)
{
	struct capture c;

	capture_begin(&c);
	stats_print_reference(c.out);
	return capture_end(&c);
}

static void test_reference_names_every_metric_once(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *table = reference();
	struct parsed *t = parse(s);
	size_t rows = 0;

	(void)state;
	for (const char *p = table; (p = strchr(p, '\n')); p++)
		rows++;
	assert_int_equal(rows, t->n_names + 2);
	for (size_t i = 0; i < t->n_names; i++) {
		_cleanup_free_ char *cell = format("\n| `%s` | ", t->names[i]);

		assert_non_null(strstr(table, cell));
	}
	parsed_free(t);
}

static void test_document_has_the_reference(void **state)
{
	_cleanup_free_ char *table = reference();
	_cleanup_free_ char *text = NULL;
	char *old;

	(void)state;
	assert_int_equal(read_file(DOCS_FILE, &text, NULL), 0);
	old = strstr(text, TABLE_HEAD);
	assert_non_null(old);
	if (getenv("SOAK_UPDATE_DOCS")) {
		_cleanup_free_ char *new = format("%.*s%s", (int)(old - text), text, table);

		assert_int_equal(write_file_atomic(DOCS_FILE, new, strlen(new)), 0);
		return;
	}
	if (strcmp(old, table))
		fail_msg("docs/metrics.md is out of date: run this test with SOAK_UPDATE_DOCS=1");
}

static void test_page_has_the_reference(void **state)
{
	(void)state;
	compare_section(PAGE_FILE, "METRICS", stats_print_troff);
}

/* Every write beyond 100 bytes fails, as on a full disk. */
static void limit_file_size(rlim_t size)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_failed_write_leaves_the_old_file(void **state)
{
	char dir[] = "/tmp/test_stats.XXXXXX";
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *path = NULL, *pattern = NULL, *before = NULL, *after = NULL;
	struct rlimit limit;
	glob_t found;
	int r;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = format("%s/soak.prom", dir);
	pattern = format("%s/*", dir);
	assert_int_equal(stats_write(path, s), 0);
	assert_int_equal(read_file(path, &before, NULL), 0);

	s->rss_bytes = 4711;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit_file_size(100);
	r = stats_write(path, s);
	limit_file_size(limit.rlim_cur);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(read_file(path, &after, NULL), 0);
	assert_string_equal(before, after);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	globfree(&found);

	assert_int_equal(stats_write("/nonexistent/dir/soak.prom", s), -ENOENT);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_line_parses),
		cmocka_unit_test(test_every_series_is_unique),
		cmocka_unit_test(test_odd_strings_are_escaped),
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_lock_failures_and_injections),
		cmocka_unit_test(test_only_visits_that_happened),
		cmocka_unit_test(test_coverage),
		cmocka_unit_test(test_module),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_reference_names_every_metric_once),
		cmocka_unit_test(test_document_has_the_reference),
		cmocka_unit_test(test_page_has_the_reference),
		cmocka_unit_test(test_failed_write_leaves_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
