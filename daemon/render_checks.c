// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report as kernel CI systems take it: KTAP version 1 and JUnit XML. One case for each oracle,
 * one for each kind of violation, and the verdict. An oracle that this kernel cannot have is
 * skipped, and so is what only it could have seen; INCONCLUSIVE is not a pass.
 */
#include "render.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "result.h"
#include "snapshot.h"
#include "util.h"

#define CASES_MAX 128

enum state {
	CASE_OK,
	CASE_NOT_OK,
	CASE_SKIPPED,
};

/* Strings are the report's. */
struct check {
	const char *group; /* "oracle", "violation", "run" */
	const char *name;
	enum state state;
	char why[96]; /* of all but CASE_OK */
};

struct checks {
	struct check list[CASES_MAX];
	unsigned int n;
};

#define BIT(oracle) (1u << ORACLE_##oracle)
#define LEDGERS	    (BIT(LEDGER_SK) | BIT(LEDGER_TASK) | BIT(LEDGER_CGROUP) | BIT(LEDGER_INODE))

/* Who alone sees a violation: any of these. A kind that is not here is nobody's alone. */
static const struct {
	enum violation_kind violation;
	unsigned int oracles;
} witnesses[] = {
	{ VIOLATION_SELEM_LEAK, LEDGERS },
	{ VIOLATION_DOUBLE_FREE, LEDGERS },
	{ VIOLATION_FREED_LINKED, LEDGERS },
	{ VIOLATION_EARLY, LEDGERS },
	{ VIOLATION_STORAGE_LEAK, BIT(STORAGE) },
	{ VIOLATION_STORAGE_DOUBLE_FREE, BIT(STORAGE) },
	{ VIOLATION_FORGOTTEN, BIT(STORAGE) },
	{ VIOLATION_OMEM, BIT(OMEM) },
	{ VIOLATION_VALUE, BIT(VALUES) | BIT(READER) },
	{ VIOLATION_KERNEL_LOG, BIT(KERNEL_LOG) },
	{ VIOLATION_STUCK, BIT(LIVENESS) },
	{ VIOLATION_HELD, BIT(HELD) },
	{ VIOLATION_FIELDS_TWICE, BIT(FIELDS) },
	{ VIOLATION_FIELDS_LEAK, BIT(FIELDS) },
	{ VIOLATION_FIELDS_LATE, BIT(FIELDS) },
	{ VIOLATION_REFERENCE, BIT(FIELDS) },
	{ VIOLATION_IDENTITY, BIT(IDENTITY) },
	{ VIOLATION_MAP, BIT(MAPS) },
	{ VIOLATION_KMEMLEAK, BIT(KMEMLEAK) },
	{ VIOLATION_LOCK, BIT(VISITS) },
	{ VIOLATION_OWNER, BIT(VISITS) },
};

static _printf_(5, 6) void add(struct checks *checks, const char *group, const char *name,
			       enum state state, const char *fmt, ...)
{
	struct check *check = &checks->list[checks->n];
	va_list ap;

	if (checks->n == CASES_MAX)
		return;
	checks->n++;
	*check = (struct check){ .group = group, .name = name, .state = state };
	va_start(ap, fmt);
	vsnprintf(check->why, sizeof(check->why), fmt, ap);
	va_end(ap);
}

static void add_oracles(struct checks *checks, const struct result *result)
{
	json_object_object_foreach(result_get(result, "oracles"), name, value)
	{
		const char *state = json_object_get_string(value);

		if (!strcmp(state, oracle_state_name(ORACLE_LIVE)))
			add(checks, "oracle", name, CASE_OK, "%s", "");
		else if (!strcmp(state, oracle_state_name(ORACLE_ABSENT)))
			add(checks, "oracle", name, CASE_SKIPPED, "absent on this kernel");
		else
			add(checks, "oracle", name, CASE_NOT_OK,
			    "it did not answer its positive control (%s)", state);
	}
}

/* One that the report does not name is newer than the daemon that wrote it. */
static bool is_absent(const struct result *result, enum oracle oracle)
{
	const char *state = json_text_at(result_get(result, "oracles"), oracle_name(oracle));

	return !*state || !strcmp(state, oracle_state_name(ORACLE_ABSENT));
}

/* Nobody was there to see it. */
static bool is_unseen(const struct result *result, const char *violation)
{
	for (size_t i = 0; i < ARRAY_SIZE(witnesses); i++) {
		if (strcmp(violation_name(witnesses[i].violation), violation))
			continue;
		for (unsigned int o = 0; o < ORACLE_NR; o++)
			if ((witnesses[i].oracles & (1u << o)) && !is_absent(result, o))
				return false;
		return true;
	}
	return false;
}

static void add_violations(struct checks *checks, const struct result *result)
{
	json_object_object_foreach(result_get(result, "violations_by_kind"), name, value)
	{
		uint64_t n = json_object_get_uint64(value);

		if (n)
			add(checks, "violation", name, CASE_NOT_OK, "%" PRIu64 " seen", n);
		else if (is_unseen(result, name))
			add(checks, "violation", name, CASE_SKIPPED,
			    "its oracle is absent on this kernel");
		else
			add(checks, "violation", name, CASE_OK, "%s", "");
	}
}

static void collect(struct checks *checks, const struct result *result)
{
	const char *verdict = result_text(result, "verdict");
	bool passed = !strcmp(verdict, verdict_name(VERDICT_PASS));

	checks->n = 0;
	add_oracles(checks, result);
	add_violations(checks, result);
	add(checks, "run", "verdict", passed ? CASE_OK : CASE_NOT_OK, "%s", passed ? "" : verdict);
}

static unsigned int count(const struct checks *checks, enum state state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < checks->n; i++)
		n += checks->list[i].state == state;
	return n;
}

/* KTAP --------------------------------------------------------------------------------------- */

static void print_diagnostic(void *context, const char *text)
{
	FILE *out = context;

	fputs("# ", out);
	for (; *text; text++)
		fputc(*text == '\n' ? ' ' : *text, out);
	fputc('\n', out);
}

static _printf_(2, 3) void diagnose(FILE *out, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	if (text)
		print_diagnostic(out, text);
}

/* A description ends at '#', and a result is one line. */
static void print_description(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc(*text == '#' || *text == '\n' ? '_' : *text, out);
}

static void print_ktap_case(FILE *out, const struct check *check, unsigned int number)
{
	fprintf(out, "%s %u %s.", check->state == CASE_NOT_OK ? "not ok" : "ok", number,
		check->group);
	print_description(out, check->name);
	if (check->state == CASE_SKIPPED)
		fprintf(out, " # SKIP %s", check->why);
	fputc('\n', out);
	if (check->state == CASE_NOT_OK)
		diagnose(out, "%s.%s: %s", check->group, check->name, check->why);
}

static void print_ktap_holes(FILE *out, const struct result *result)
{
	uint64_t n = result_number(result, "undocumented_holes");

	diagnose(out, "holes: %" PRIu64 ", as the model predicts them from failed locks",
		 json_total(result_get(result, "holes")));
	if (n)
		diagnose(out,
			 "NOTICE: %" PRIu64 " undocumented holes, without a forced error: the "
			 "kernel's comments do not speak of them",
			 n);
}

void render_ktap(FILE *out, const struct result *result)
{
	struct json_object *reasons = result_get(result, "reasons");
	struct checks checks;

	collect(&checks, result);
	fprintf(out, "KTAP version 1\n1..%u\n", checks.n);
	diagnose(out, "bpfsoakd %s", result_text(result, "daemon_version"));
	diagnose(out, "kernel: %s on %s", result_text(result, "kernel_release"),
		 result_text(result, "cpu_model"));
	diagnose(out, "seed: %s", result_text(result, "seed"));
	render_faults(result, print_diagnostic, out);
	for (unsigned int i = 0; i < checks.n; i++)
		print_ktap_case(out, &checks.list[i], i + 1);
	for (size_t i = 0; i < json_object_array_length(reasons); i++)
		diagnose(out, "%s: %s", result_text(result, "verdict"),
			 json_object_get_string(json_object_array_get_idx(reasons, i)));
	print_ktap_holes(out, result);
	fprintf(out, "# Totals: pass:%u fail:%u xfail:0 xpass:0 skip:%u error:0\n",
		count(&checks, CASE_OK), count(&checks, CASE_NOT_OK), count(&checks, CASE_SKIPPED));
}

/* JUnit -------------------------------------------------------------------------------------- */

static void print_attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	render_escaped(out, value);
	fputc('"', out);
}

static void print_property(FILE *out, const char *name, const char *value)
{
	fputs("      <property", out);
	print_attribute(out, "name", name);
	print_attribute(out, "value", value);
	fputs("/>\n", out);
}

static void print_fault_property(void *context, const char *text)
{
	print_property(context, "faults", text);
}

static void print_properties(FILE *out, const struct result *result)
{
	static const char *const names[] = { "daemon_version", "kernel_release", "cpu_model",
					     "seed", "verdict" };

	fputs("    <properties>\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		print_property(out, names[i], result_text(result, names[i]));
	render_faults(result, print_fault_property, out);
	json_object_object_foreach(result_get(result, "config"), key, value)
	{
		_cleanup_free_ char *name = format("config.%s", key);

		if (name)
			print_property(out, name, json_object_get_string(value));
	}
	fputs("    </properties>\n", out);
}

/* Why the verdict is what it is, for the case of the verdict. */
static void print_reasons(FILE *out, const struct result *result)
{
	struct json_object *reasons = result_get(result, "reasons");

	for (size_t i = 0; i < json_object_array_length(reasons); i++) {
		render_escaped(out, json_object_get_string(json_object_array_get_idx(reasons, i)));
		fputc('\n', out);
	}
}

/* "omem" of "omem-none" and the like. */
static bool is_of_kind(const char *signature, const char *violation)
{
	size_t len = strlen(violation);

	return !strncmp(signature, violation, len) && (!signature[len] || signature[len] == '-');
}

/* The first example of a violation that was written down. */
static void print_example(FILE *out, const struct result *result, const char *violation)
{
	for (size_t i = 0; i < result->n_findings; i++) {
		const struct result_finding *finding = &result->findings[i];

		if (!finding->summary || !is_of_kind(finding->signature, violation))
			continue;
		render_escaped(out, finding->summary);
		return;
	}
}

static void print_junit_case(FILE *out, const struct check *check, const struct result *result)
{
	_cleanup_free_ char *class = format("bpfsoakd.%s", check->group);

	fputs("    <testcase", out);
	print_attribute(out, "classname", class ? class : "bpfsoakd");
	print_attribute(out, "name", check->name);
	fputs(" time=\"0\"", out);
	if (check->state == CASE_OK) {
		fputs("/>\n", out);
		return;
	}
	fprintf(out, ">\n      <%s", check->state == CASE_SKIPPED ? "skipped" : "failure");
	print_attribute(out, "message", check->why);
	if (check->state == CASE_SKIPPED) {
		fputs("/>\n    </testcase>\n", out);
		return;
	}
	print_attribute(out, "type", check->group);
	fputc('>', out);
	if (!strcmp(check->group, "run"))
		print_reasons(out, result);
	else
		print_example(out, result, check->name);
	fputs("</failure>\n    </testcase>\n", out);
}

static void print_output(FILE *out, const struct result *result)
{
	_cleanup_free_ char *text = render_as_text(result);

	if (!text)
		return;
	fputs("    <system-out>", out);
	render_escaped(out, text);
	fputs("</system-out>\n", out);
}

/* "2026-11-24T03:33:55": JUnit's own form has no zone. */
static void print_timestamp(FILE *out, const struct result *result)
{
	const char *time = result_text(result, "start_time");
	_cleanup_free_ char *text = strndup(time, strcspn(time, "Z"));

	print_attribute(out, "timestamp", text ? text : "");
}

void render_junit(FILE *out, const struct result *result)
{
	struct checks checks;

	collect(&checks, result);
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites tests=\"%u\" failures=\"%u\" errors=\"0\" skipped=\"%u\">\n"
		"  <testsuite name=\"bpfsoakd\" tests=\"%u\" failures=\"%u\" errors=\"0\" "
		"skipped=\"%u\" time=\"%.3f\"",
		checks.n, count(&checks, CASE_NOT_OK), count(&checks, CASE_SKIPPED), checks.n,
		count(&checks, CASE_NOT_OK), count(&checks, CASE_SKIPPED),
		result_real(result, "duration_s"));
	print_timestamp(out, result);
	fputs(">\n", out);
	print_properties(out, result);
	for (unsigned int i = 0; i < checks.n; i++)
		print_junit_case(out, &checks.list[i], result);
	print_output(out, result);
	fputs("  </testsuite>\n</testsuites>\n", out);
}
