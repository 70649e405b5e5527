// SPDX-License-Identifier: GPL-2.0-only
/*
 * The report as its readers see it: read back with json-c, held against docs/report.schema.json by
 * a small validator (the keywords that the schema uses and no others), and the lines for people.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "capture.h"

/* The reports of the kernel log come from this test, without a device to read them from. */
#define kmsg_reports test_kmsg_reports
#include "report.c"

struct kmsg {
	struct kmsg_report reports[2];
	size_t n;
};

size_t test_kmsg_reports(const struct kmsg *kmsg, const struct kmsg_report **ret)
{
	*ret = kmsg->reports;
	return kmsg->n;
}

static struct snapshot *new_snapshot(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->kernel_release, "7.3.4-cloud-amd64");
	strcpy(s->cpu_model, "queued");
	s->seed = UINT64_MAX - 1;
	strcpy(s->inject, "stall");
	s->kinds[FAULT_ORGANIC] = true;
	s->start_realtime = 1767225600.25;
	s->elapsed_ns = 60 * NSEC_PER_SEC;
	s->verdict = VERDICT_PASS;
	return s;
}

/* Validator. */

static struct json_object *child(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

static struct json_object *resolve(struct json_object *root, struct json_object *schema)
{
	const char *ref = json_object_get_string(child(schema, "$ref"));

	if (!ref)
		return schema;
	assert_int_equal(strncmp(ref, "#/$defs/", 8), 0);
	schema = child(child(root, "$defs"), ref + 8);
	assert_non_null(schema);
	return resolve(root, schema);
}

static void check_type(struct json_object *schema, struct json_object *value, const char *where)
{
	const char *type = json_object_get_string(child(schema, "type"));
	const char *actual = json_type_to_name(json_object_get_type(value));

	if (!type)
		return;
	if (!strcmp(actual, "int"))
		actual = "integer";
	if (!strcmp(actual, "double"))
		actual = "number";
	if (strcmp(type, actual))
		fail_msg("%s is %s, not %s", where, actual, type);
}

static void check_enum(struct json_object *schema, struct json_object *value, const char *where)
{
	struct json_object *valid = child(schema, "enum");
	struct json_object *constant = child(schema, "const");

	if (constant && !json_object_equal(constant, value))
		fail_msg("%s is not %s", where, json_object_get_string(constant));
	if (!valid)
		return;
	for (size_t i = 0; i < json_object_array_length(valid); i++) {
		if (json_object_equal(json_object_array_get_idx(valid, i), value))
			return;
	}
	fail_msg("%s has the value %s", where, json_object_get_string(value));
}

static void validate(struct json_object *root, struct json_object *schema,
		     struct json_object *value, const char *where);

static void validate_object(struct json_object *root, struct json_object *schema,
			    struct json_object *value, const char *where)
{
	struct json_object *required = child(schema, "required");
	struct json_object *more = child(schema, "additionalProperties");

	for (size_t i = 0; required && i < json_object_array_length(required); i++) {
		const char *key = json_object_get_string(json_object_array_get_idx(required, i));

		if (!child(value, key))
			fail_msg("%s lacks %s", where, key);
	}
	assert_non_null(more); /* every object of the schema is strict or says what it may hold */
	json_object_object_foreach(value, key, member)
	{
		struct json_object *property = child(child(schema, "properties"), key);
		_cleanup_free_ char *path = format("%s.%s", where, key);

		if (!property && json_object_is_type(more, json_type_boolean))
			fail_msg("%s is not in the schema", path);
		validate(root, property ? property : more, member, path);
	}
}

static void validate(struct json_object *root, struct json_object *schema,
		     struct json_object *value, const char *where)
{
	schema = resolve(root, schema);
	check_type(schema, value, where);
	check_enum(schema, value, where);
	if (json_object_is_type(value, json_type_object))
		validate_object(root, schema, value, where);
	if (!json_object_is_type(value, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(value); i++)
		validate(root, child(schema, "items"), json_object_array_get_idx(value, i), where);
}

/* A directory that is removed with what a report leaves in it. */
struct place {
	char dir[32];
	char *report;
};

static void place_init(struct place *p)
{
	strcpy(p->dir, "/tmp/test_report.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->report = format("%s/report.json", p->dir);
	assert_non_null(p->report);
}

static void place_done(struct place *p)
{
	unlink(p->report);
	assert_int_equal(rmdir(p->dir), 0); /* no temporary file stayed behind */
	free(p->report);
}

/* Writes, reads back, validates. The caller releases it. */
static struct json_object *written(const struct snapshot *s, const struct config *config,
				   const struct kmsg *kmsg)
{
	struct json_object *schema = json_object_from_file(DOCS_DIR "/report.schema.json");
	struct json_object *report;
	struct place p;

	place_init(&p);
	assert_int_equal(report_write(p.dir, s, config, kmsg), 0);
	report = json_object_from_file(p.report);
	assert_non_null(report);
	assert_non_null(schema);
	validate(schema, schema, report, "report");
	json_object_put(schema);
	place_done(&p);
	return report;
}

/* The number at "a.b.c". */
static uint64_t number(struct json_object *report, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	struct json_object *value = report;
	char *rest = copy, *key;

	assert_non_null(copy);
	while ((key = strsep(&rest, ".")))
		value = child(value, key);
	if (!json_object_is_type(value, json_type_int))
		fail_msg("%s is not a number", path);
	return json_object_get_uint64(value);
}

static const char *text(struct json_object *report, const char *key)
{
	assert_true(json_object_is_type(child(report, key), json_type_string));
	return json_object_get_string(child(report, key));
}

static void test_identity(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_(json_putp) struct json_object *report = NULL;

	(void)state;
	strcpy(s->cpu_model, "odd \"model\" \\ \xff\x01");
	s->verdict = VERDICT_FAIL;
	strcpy(s->reasons[0], "first");
	strcpy(s->reasons[1], "second");
	s->n_reasons = 2;
	report = written(s, NULL, NULL);
	assert_int_equal(number(report, "version"), REPORT_VERSION);
	assert_string_equal(text(report, "daemon_version"), SOAK_VERSION);
	assert_string_equal(text(report, "verdict"), "FAIL");
	assert_string_equal(text(report, "kernel_release"), "7.3.4-cloud-amd64");
	assert_string_equal(text(report, "cpu_model"), "odd \"model\" \\ ??");
	assert_string_equal(text(report, "seed"), "18446744073709551614");
	assert_string_equal(text(report, "start_time"), "2026-01-01T00:00:00Z");
	assert_true(json_object_get_double(child(report, "duration_s")) == 60);
	assert_string_equal(json_object_to_json_string(child(report, "reasons")),
			    "[ \"first\", \"second\" ]");
	assert_int_equal(json_object_get_boolean(child(report, "test_hooks")), SOAK_TEST_HOOKS);
}

static void test_inject(void **state)
{
	static const struct {
		const char *inject;
		bool kinds[FAULT_NR];
		const char *json;
	} cases[] = {
		{ "stall",
		  { true, false, false },
		  "{ \"backends\": [ \"stall\" ], \"kinds\": [ \"organic\" ] }" },
		{ "fail_function,stall",
		  { true, true, true },
		  "{ \"backends\": [ \"fail_function\", \"stall\" ], "
		  "\"kinds\": [ \"organic\", \"contended\", \"forced\" ] }" },
		{ "none", { false }, "{ \"backends\": [ ], \"kinds\": [ ] }" },
		{ "", { false }, "{ \"backends\": [ ], \"kinds\": [ ] }" },
	};
	_cleanup_free_ struct snapshot *s = new_snapshot();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(json_putp) struct json_object *report = NULL;

		strcpy(s->inject, cases[i].inject);
		memcpy(s->kinds, cases[i].kinds, sizeof(s->kinds));
		report = written(s, NULL, NULL);
		assert_string_equal(json_object_to_json_string(child(report, "inject")),
				    cases[i].json);
	}
}

static void test_series(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ struct series *series = calloc(1, sizeof(*series));
	_cleanup_(json_putp) struct json_object *none = NULL, *report = NULL;
	struct json_object *columns;

	(void)state;
	assert_non_null(series);
	none = written(s, NULL, NULL);
	assert_string_equal(json_object_to_json_string(child(child(none, "series"), "owners")),
			    "[ ]");
	for (unsigned int i = 1; i <= 3; i++) {
		s->elapsed_ns = i * NSEC_PER_SEC;
		s->owners_by_kind[SOAK_SK] = 100 * i;
		s->timeouts[FAULT_FORCED][SOAK_SITE_UPDATE] = i;
		s->holes[HOLE_SELEM][FAULT_ORGANIC] = 5 * i;
		series_take(series, s);
	}
	s->series = series;
	report = written(s, NULL, NULL);
	columns = child(report, "series");
	assert_true(json_object_get_double(child(columns, "step_s")) == 1);
	assert_string_equal(json_object_to_json_string(child(columns, "elapsed_ns")),
			    "[ 1000000000, 2000000000, 3000000000 ]");
	assert_string_equal(json_object_to_json_string(child(columns, "owners")),
			    "[ 100, 200, 300 ]");
	assert_string_equal(json_object_to_json_string(child(child(columns, "faults"), "forced")),
			    "[ 1, 2, 3 ]");
	assert_string_equal(json_object_to_json_string(child(columns, "undocumented_holes")),
			    "[ 5, 10, 15 ]");
	assert_string_equal(json_object_to_json_string(child(columns, "violations")),
			    "[ 0, 0, 0 ]");
}

static void test_figures(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_(json_putp) struct json_object *report = NULL;

	(void)state;
	s->timeouts[FAULT_CONTENDED][SOAK_SITE_DESTROY_BUCKET] = 1;
	s->deadlocks[FAULT_FORCED][SOAK_SITE_LINK_MAP] = 2;
	s->c.births[SOAK_SK] = 600;
	s->c.births[SOAK_TASK] = 60;
	s->owners_by_kind[SOAK_TASK] = 120;
	s->c.frees[SOAK_FREE_DESTROY] = 5;
	s->c.frees_by_cmpxchg = 6;
	s->c.lockless[SOAK_DESTROY] = 7;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_ORGANIC] = 3;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_FORCED] = 5;
	s->holes[HOLE_SELEM][FAULT_ORGANIC] = 9;
	s->violations[VIOLATION_SELEM_LEAK] = 10;
	s->violations[VIOLATION_STORAGE_LEAK] = 11;
	s->violations[VIOLATION_DOUBLE_FREE] = 12;
	s->violations[VIOLATION_STORAGE_DOUBLE_FREE] = 13;
	s->c.omem_mismatch = 14;
	s->misses[MISS_RECURSION] = 15;
	s->kmsg[KMSG_KASAN] = 16;
	s->rss_bytes = UINT64_MAX;
	s->oracles[ORACLE_VISITS] = ORACLE_LIVE;
	s->c.visit_max_ns = 300 * NSEC_PER_MSEC;
	report = written(s, NULL, NULL);
	assert_int_equal(number(report, "timeouts.contended.destroy_bucket"), 1);
	assert_int_equal(number(report, "deadlocks.forced.link_map"), 2);
	assert_int_equal(number(report, "born"), 660);
	assert_int_equal(number(report, "born_by_owner.task"), 60);
	assert_int_equal(number(report, "owners"), 120);
	assert_int_equal(number(report, "owners_by_kind.task"), 120);
	assert_int_equal(number(report, "freed.by_destroy"), 5);
	assert_int_equal(number(report, "freed.by_cmpxchg"), 6);
	assert_int_equal(number(report, "lockless_unlinks"), 7);
	assert_string_equal(json_object_to_json_string(child(report, "visits")),
			    "{ \"map_free\": { \"ok\\/timeout\": 8 }, \"destroy\": { } }");
	assert_int_equal(number(report, "undocumented_holes"), 9);
	assert_int_equal(number(report, "undocumented_holes_by_kind.selem.organic"), 9);
	assert_int_equal(number(report, "undocumented_holes_by_kind.linked.contended"), 0);
	assert_int_equal(number(report, "holes.selem.organic"), 9);
	assert_int_equal(number(report, "leaks"), 21);
	assert_int_equal(number(report, "double_frees"), 25);
	assert_int_equal(number(report, "omem_mismatches"), 14);
	assert_int_equal(number(report, "violations"), 46);
	assert_int_equal(number(report, "violations_by_kind.double_free"), 12);
	assert_int_equal(number(report, "misses.recursion"), 15);
	assert_int_equal(number(report, "kernel_log.kasan"), 16);
	assert_true(number(report, "rss_bytes") == UINT64_MAX);
	assert_string_equal(text(child(report, "oracles"), "visits"), "live");
	assert_string_equal(text(child(report, "oracles"), "omem"), "absent");
	assert_true(json_object_get_double(child(report, "selems_per_s")) == 11);
	assert_true(json_object_get_double(child(report, "owners_per_s")) == 2);
	assert_true(json_object_get_double(child(child(report, "longest_s"), "visit")) == 0.3);
}

static void expect_cell(struct json_object *cells, size_t index, const char *json)
{
	assert_true(index < json_object_array_length(cells));
	assert_string_equal(json_object_to_json_string(json_object_array_get_idx(cells, index)),
			    json);
}

static void test_coverage(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_(json_putp) struct json_object *report = NULL;
	struct json_object *coverage;

	(void)state;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_ORGANIC] = 4;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_EITHER][SOAK_LOCK_OK][SOAK_LEFT][SOAK_NO_FAULT] = 5;
	report = written(s, NULL, NULL);
	coverage = child(report, "coverage");
	assert_int_equal(number(coverage, "summary.organic.reachable"), 26);
	assert_int_equal(number(coverage, "summary.organic.covered"), 1);
	assert_int_equal(number(coverage, "summary.organic.missing"), 25);
	assert_int_equal(number(coverage, "summary.forced.reachable"), 0);
	assert_int_equal(json_object_array_length(child(coverage, "covered")), 2);
	expect_cell(child(coverage, "covered"), 0,
		    "{ \"side\": \"map_free\", \"bucket\": \"ok\", \"storage\": \"timeout\", "
		    "\"outcome\": \"left\", \"kind\": \"organic\", \"visits\": 4, "
		    "\"reachable\": true }");
	expect_cell(child(coverage, "covered"), 1,
		    "{ \"side\": \"destroy\", \"bucket\": \"either\", \"storage\": \"ok\", "
		    "\"outcome\": \"left\", \"kind\": \"none\", \"visits\": 5, "
		    "\"reachable\": false }");
	assert_int_equal(json_object_array_length(child(coverage, "missing")), 25 + 26);
	expect_cell(child(coverage, "missing"), 0,
		    "{ \"side\": \"map_free\", \"bucket\": \"ok\", \"storage\": \"timeout\", "
		    "\"outcome\": \"freed_by_cmpxchg\", \"kind\": \"organic\" }");
	/* 150 combinations without their kinds, 26 plus 60 of them reachable. */
	assert_int_equal(json_object_array_length(child(coverage, "unreachable")), 150 - 86);
	expect_cell(child(coverage, "unreachable"), 0,
		    "{ \"side\": \"map_free\", \"bucket\": \"ok\", \"storage\": \"ok\", "
		    "\"outcome\": \"left\", \"reason\": \"a visit that took the selem off both "
		    "lists frees it at once (unlink == 2)\" }");
}

static void test_module(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_(json_putp) struct json_object *without = NULL, *with = NULL;
	struct json_object *module;

	(void)state;
	s->module.hidden = 1;
	without = written(s, NULL, NULL);
	assert_string_equal(json_object_to_json_string(child(without, "module")),
			    "{ \"present\": false }");
	s->module.present = true;
	strcpy(s->module.decide, "self");
	s->module.sites = 1u << SOAK_SITE_CACHE | 1u << SOAK_SITE_MAP_FREE_BUCKET;
	s->module.calls[SOAK_SITE_CACHE] = 2;
	s->module.deadlocks[FAULT_CONTENDED][SOAK_SITE_ALLOC] = 3;
	s->module.held = -4;
	with = written(s, NULL, NULL);
	module = child(with, "module");
	assert_string_equal(text(module, "decide"), "self");
	assert_string_equal(json_object_to_json_string(child(module, "sites")),
			    "[ \"map_free_bucket\", \"cache\" ]");
	assert_int_equal(number(module, "hidden"), 1);
	assert_int_equal(number(module, "calls.cache"), 2);
	assert_int_equal(number(module, "deadlocks.contended.alloc"), 3);
	assert_int_equal(json_object_get_int64(child(module, "held")), -4);
}

static void test_kernel_log_reports(void **state)
{
	char first[] = "WARNING: CPU: 0 PID: 1\n\xc3\x28 \"quoted\"\ttab\x1b";
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_(json_putp) struct json_object *report = NULL;
	_cleanup_free_ char *huge = malloc(KERNEL_TEXT_MAX * 2 + 1);
	struct json_object *array, *entry;
	struct kmsg kmsg = { .n = 2 };

	(void)state;
	assert_non_null(huge);
	memset(huge, 'x', KERNEL_TEXT_MAX * 2);
	huge[KERNEL_TEXT_MAX * 2] = '\0';
	kmsg.reports[0] = (struct kmsg_report){ KMSG_WARNING, 1500000, first };
	kmsg.reports[1] = (struct kmsg_report){ KMSG_OOPS, 2500000, huge };
	report = written(s, NULL, &kmsg);
	array = child(report, "kernel_log_reports");
	assert_int_equal(json_object_array_length(array), 2);
	entry = json_object_array_get_idx(array, 0);
	assert_string_equal(text(entry, "class"), kmsg_class_name(KMSG_WARNING));
	assert_true(json_object_get_double(child(entry, "time_s")) == 1.5);
	assert_string_equal(text(entry, "text"), "WARNING: CPU: 0 PID: 1\n?( \"quoted\"\ttab?");
	entry = json_object_array_get_idx(array, 1);
	assert_int_equal(strlen(text(entry, "text")), KERNEL_TEXT_MAX);
}

static void test_config(void **state)
{
	char *argv[] = { "bpfsoakd",  "run", "--seed", "18446744073709551615", "--duration", "90s",
			 "--workers", "3",   NULL };
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_(json_putp) struct json_object *report = NULL;
	struct config config = { 0 };

	(void)state;
	assert_int_equal(config_parse(ARRAY_SIZE(argv) - 1, argv, &config), 0);
	report = written(s, &config, NULL);
	config_free(&config);
	assert_string_equal(text(child(report, "config"), "seed"), "18446744073709551615");
	assert_string_equal(text(child(report, "config"), "workers"), "3");
}

/* What a broken clock or an empty run must not do: NaN and infinity are not JSON. */
static void test_empty_and_absurd(void **state)
{
	_cleanup_free_ struct snapshot *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	json_object_put(written(s, NULL, NULL));
	s->cpu_user_s = 1.0 / 0.0;
	s->start_realtime = 0.0 / 0.0;
	s->n_reasons = 1000;
	memset(s->reasons, 'r', sizeof(s->reasons));
	memset(&s->c, 1, sizeof(s->c));
	json_object_put(written(s, NULL, NULL));
}

static void set_file_size_limit(rlim_t size)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_failed_write_leaves_the_old_file(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *before = NULL, *after = NULL, *below = NULL;
	struct rlimit limit;
	struct place p;
	int r;

	(void)state;
	place_init(&p);
	assert_int_equal(report_write(p.dir, s, NULL, NULL), 0);
	assert_int_equal(read_file(p.report, &before, NULL), 0);
	s->seed = 1;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	set_file_size_limit(100);
	r = report_write(p.dir, s, NULL, NULL);
	set_file_size_limit(limit.rlim_cur);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(read_file(p.report, &after, NULL), 0);
	assert_string_equal(before, after);

	below = format("%s/below", p.report);
	assert_int_equal(report_write(below, s, NULL, NULL), -ENOTDIR);
	place_done(&p);
}

static void test_directory_is_made(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *dir = NULL, *file = NULL;
	struct place p;

	(void)state;
	place_init(&p);
	dir = format("%s/deeper", p.dir);
	file = format("%s/report.json", dir);
	assert_int_equal(report_write(dir, s, NULL, NULL), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(dir), 0);
	place_done(&p);
}

static char *end_of_run(const struct snapshot *s)
{
	struct capture c;

	capture_begin(&c);
	report_print_end(c.out, s);
	return capture_end(&c);
}

static void test_last_line(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *output = NULL;
	const char *last;

	(void)state;
	strcpy(s->cpu_model, "Some CPU\t@ 2");
	s->kernel_release[0] = '\0';
	s->verdict = VERDICT_INCONCLUSIVE;
	strcpy(s->reasons[0], "no lock failed");
	s->n_reasons = 1;
	s->elapsed_ns = 60400 * NSEC_PER_MSEC;
	s->c.births[SOAK_SK] = 1;
	s->c.lockless[SOAK_DESTROY] = 2;
	s->timeouts[FAULT_ORGANIC][0] = 3;
	s->holes[HOLE_STORAGE][FAULT_ORGANIC] = 4;
	s->violations[0] = 5;
	s->misses[MISS_KMSG] = 6;
	output = end_of_run(s);
	last = strstr(output, "bpfsoakd: end of run: ");
	assert_string_equal(last, "bpfsoakd: end of run: INCONCLUSIVE kernel=unknown "
				  "cpu=Some_CPU_@_2 elapsed=60s selems=1 lockless=2 timeouts=3 "
				  "holes=4 violations=5 misses=6 seed=18446744073709551614\n");
	assert_non_null(strstr(output, "INCONCLUSIVE: no lock failed\nbpfsoakd: end of run"));
}

#define NO_FAULTS "NO FAULTS WERE INJECTED, and yet locks failed: organic 3\n"

/* 4 organic and 3 forced visits in one element; one that cannot be; 6 that were not seen well. */
static const char matrix[] = "  map_free         storage ok  timeout  deadlock  gone     skipped\n"
			     "   bucket ok       12345/-/-   -/7/0!   -/0/0     -/0!/0!  -/0!/0!\n"
			     "   bucket timeout  -/0!/0!     -/0!/0!  -/0/0     -/0!/0!  -/0!/0!\n"
			     "   bucket deadlock -/0/0       -/0/0    -/0/0     -/0/0    -/0/0\n"
			     "   bucket gone     -/0!/0!     -/0!/0!  -/0/0     -/0!/-   -/2?/-\n"
			     "   bucket skipped  -/0!/0!     -/0!/0!  -/0/0     -/0!/0!  -/0!/0!\n"
			     "   either          6 visits with a result that could not be seen\n"
			     "  destroy          storage ok  timeout  deadlock  gone     skipped\n"
			     "   bucket ok       0!/-/-      -/0!/0!  -/0/0     -/0!/0!  -\n";

static void test_faults_are_announced_first(void **state)
{
	static const char injected[] = "FAULTS WERE INJECTED: organic (real holders stalled by BPF "
				       "programs, no forced error)\n";
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *stalled = NULL, *plain = NULL, *surprise = NULL;

	(void)state;
	stalled = end_of_run(s);
	assert_int_equal(strncmp(stalled, injected, strlen(injected)), 0);
	strcpy(s->inject, "none");
	s->kinds[FAULT_ORGANIC] = false;
	plain = end_of_run(s);
	assert_null(strstr(plain, "INJECTED"));
	s->timeouts[FAULT_ORGANIC][SOAK_SITE_UPDATE] = 1;
	s->deadlocks[FAULT_ORGANIC][SOAK_SITE_UPDATE] = 2;
	surprise = end_of_run(s);
	assert_int_equal(strncmp(surprise, NO_FAULTS, strlen(NO_FAULTS)), 0);
}

/* Every kind has its words, and what was not asked for is a surprise. */
static void test_kinds_are_named(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *output = NULL;

	(void)state;
	strcpy(s->inject, "fail_function,stall");
	s->kinds[FAULT_CONTENDED] = true;
	s->timeouts[FAULT_ORGANIC][0] = 1;
	output = end_of_run(s);
	assert_non_null(strstr(output, "FAULTS WERE INJECTED: organic (real holders stalled"));
	assert_non_null(strstr(output, "; contended (real holders, and"));
	assert_null(strstr(output, "forced ("));
	assert_non_null(strstr(output, "inject fail_function,stall (organic, contended)\n"));
	assert_null(strstr(output, "NO"));
	free(output);
	s->kinds[FAULT_ORGANIC] = false;
	output = end_of_run(s);
	assert_non_null(strstr(output, "\nNO SUCH FAULTS WERE INJECTED, and yet locks failed: "
				       "organic 1\n"));
}

/* A forced fault is never to be taken for a finding: told first and told last. */
static void test_forced_faults_are_loud(void **state)
{
	static const char loud[] = "FAULTS WERE FORCED: locks failed that nobody held; leaks that "
				   "follow are predicted, not bugs\n";
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *forced = NULL, *calm = NULL;
	char *last;

	(void)state;
	calm = end_of_run(s);
	assert_null(strstr(calm, "FORCED"));
	s->kinds[FAULT_FORCED] = true;
	forced = end_of_run(s);
	assert_int_equal(strncmp(forced, loud, strlen(loud)), 0);
	last = strstr(forced, "bpfsoakd: end of run: ");
	assert_non_null(last);
	assert_int_equal(strncmp(last - strlen(loud), loud, strlen(loud)), 0);
}

static void test_matrix(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *output = NULL, *plain = NULL;

	(void)state;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_OK][SOAK_FREED_HERE][SOAK_NO_FAULT] =
		12345;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_ORGANIC] = 4;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_FORCED] = 3;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_GONE][SOAK_LOCK_SKIPPED][SOAK_LEFT][SOAK_NO_FAULT] =
		2;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_EITHER][SOAK_LEFT][SOAK_NO_FAULT] = 6;
	output = end_of_run(s);
	assert_non_null(strstr(output, matrix));
	assert_non_null(strstr(output, "  coverage         organic 1/26 cells, missing: "
				       "map_free ok/timeout freed_by_cmpxchg, "));
	assert_non_null(strstr(output, "map_free timeout/gone left and 19 more\n"));
	assert_null(strstr(output, "coverage         forced"));

	strcpy(s->inject, "none");
	s->kinds[FAULT_ORGANIC] = false;
	plain = end_of_run(s);
	assert_null(strstr(plain, "matrix"));
	assert_null(strstr(plain, "coverage"));
}

static void test_all_covered(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *output = NULL;

	(void)state;
	memset(s->c.coverage, 1, sizeof(s->c.coverage));
	s->module.present = true;
	s->module.missed = 7;
	output = end_of_run(s);
	assert_non_null(strstr(output, "  coverage         organic 26/26 cells\n"));
	assert_non_null(strstr(output, "  module trouble   missed 7\n"));
}

/* Every row starts its right column at the same place. */
static void test_table_is_aligned(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *output = NULL;
	unsigned int rows = 0;
	char *rest, *line;

	(void)state;
	memset(s->c.coverage, 1, sizeof(s->c.coverage));
	s->module.present = true;
	output = end_of_run(s);
	rest = output;
	assert_int_equal(strncmp(strsep(&rest, "\n"), "FAULTS", 6), 0);
	while ((line = strsep(&rest, "\n")) && line[0] == ' ') {
		assert_true(strlen(line) > 19);
		assert_int_equal(line[18], ' ');
		assert_int_not_equal(line[19], ' ');
		rows++;
	}
	assert_true(rows > 10);
	assert_int_equal(strncmp(line, "bpfsoakd: end of run: PASS ", 27), 0);
}

static void test_progress(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ struct snapshot *prev = new_snapshot();
	char line[128], cut[8];

	(void)state;
	s->elapsed_ns = 12 * NSEC_PER_SEC;
	s->owners_by_kind[SOAK_SK] = 1200;
	s->c.births[SOAK_TASK] = 24000;
	s->c.lockless[SOAK_DESTROY] = 3;
	report_progress(line, sizeof(line), s, NULL);
	assert_string_equal(line, "12s  owners/s 100  selems/s 2000  lockless 3  timeouts 0  "
				  "undocumented holes 0  violations 0");
	prev->elapsed_ns = 10 * NSEC_PER_SEC;
	prev->owners_by_kind[SOAK_SK] = 1000;
	prev->c.births[SOAK_TASK] = 23000;
	report_progress(line, sizeof(line), s, prev);
	assert_string_equal(line, "12s  owners/s 100  selems/s 500  lockless 3  timeouts 0  "
				  "undocumented holes 0  violations 0");
	report_progress(line, sizeof(line), s, s); /* no time has passed */
	assert_string_equal(line, "12s  owners/s 0  selems/s 0  lockless 3  timeouts 0  "
				  "undocumented holes 0  violations 0");
	s->elapsed_ns = 7507 * NSEC_PER_SEC;
	report_progress(line, sizeof(line), s, prev);
	assert_int_equal(strncmp(line, "2h05m07s  ", 10), 0);
	report_progress(cut, sizeof(cut), s, prev);
	assert_string_equal(cut, "2h05m07");
}

static void test_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(report_exit_code(VERDICT_PASS), 0);
	assert_int_equal(report_exit_code(VERDICT_FAIL), 1);
	assert_int_equal(report_exit_code(VERDICT_INCONCLUSIVE), 3);
	assert_int_equal(report_exit_code(VERDICT_RUNNING), 4);
	assert_int_equal(report_exit_code(VERDICT_NR), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_inject),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_series),
		cmocka_unit_test(test_coverage),
		cmocka_unit_test(test_module),
		cmocka_unit_test(test_kernel_log_reports),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_empty_and_absurd),
		cmocka_unit_test(test_failed_write_leaves_the_old_file),
		cmocka_unit_test(test_directory_is_made),
		cmocka_unit_test(test_last_line),
		cmocka_unit_test(test_faults_are_announced_first),
		cmocka_unit_test(test_kinds_are_named),
		cmocka_unit_test(test_forced_faults_are_loud),
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_all_covered),
		cmocka_unit_test(test_table_is_aligned),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_exit_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
