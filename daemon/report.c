// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is left of a run: report.json for programs (docs/report.schema.json describes it), and the
 * progress line for people. The closing table is that report as render_text.c has it. Everything is
 * read from one snapshot, so they agree. Called by the run loop only.
 */
#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "build_config.h"
#include "config.h"
#include "coverage.h"
#include "render.h"
#include "rendezvous.h"
#include "result.h"
#include "scenarios/mix.h"
#include "series.h"
#include "util.h"

#define KERNEL_TEXT_MAX 8192 /* bytes of one kernel log report */

/* How a reader is told of each kind of fault. */
static const char *const kind_notices[FAULT_NR] = {
	[FAULT_ORGANIC] = "organic (real holders stalled by BPF programs, no forced error)",
	[FAULT_CONTENDED] = "contended (real holders, and their waiters failed early)",
	[FAULT_FORCED] = "forced (locks failed that nobody need have held)",
};

const char *report_kind_notice(enum fault_kind kind)
{
	return (unsigned int)kind < FAULT_NR ? kind_notices[kind] : "unknown";
}

static bool is_injecting(const struct snapshot *s)
{
	return *s->inject && strcmp(s->inject, "none");
}

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static double rate(uint64_t n, uint64_t ns)
{
	return ns ? (double)n / seconds(ns) : 0;
}

/*
 * json-c reports a lack of memory at every step. The first failure is kept here and everything
 * after it does nothing, so the code below reads like the report.
 */
struct doc {
	bool failed;
};

static void put(struct doc *d, struct json_object *parent, const char *key,
		struct json_object *value)
{
	if (parent && value && !json_object_object_add(parent, key, value))
		return;
	json_object_put(value);
	d->failed = true;
}

static void append(struct doc *d, struct json_object *array, struct json_object *value)
{
	if (array && value && !json_object_array_add(array, value))
		return;
	json_object_put(value);
	d->failed = true;
}

/* A new object or array below parent, borrowed. */
static struct json_object *put_object(struct doc *d, struct json_object *parent, const char *key)
{
	struct json_object *object = json_object_new_object();

	put(d, parent, key, object);
	return d->failed ? NULL : object;
}

static struct json_object *put_array(struct doc *d, struct json_object *parent, const char *key)
{
	struct json_object *array = json_object_new_array();

	put(d, parent, key, array);
	return d->failed ? NULL : array;
}

static void put_number(struct doc *d, struct json_object *parent, const char *key, uint64_t value)
{
	put(d, parent, key, json_object_new_uint64(value));
}

/* Microseconds are enough for everything, and 0.3 does not come out as 0.29999999999999999. */
static void put_real(struct doc *d, struct json_object *parent, const char *key, double value)
{
	char text[400];

	if (!isfinite(value))
		value = 0;
	snprintf(text, sizeof(text), "%.6f", value);
	put(d, parent, key, json_object_new_double_s(value, text));
}

/* JSON must be UTF-8 and the kernel promises no encoding: anything but ASCII becomes '?'. */
static struct json_object *new_text(const char *text, size_t len)
{
	_cleanup_free_ char *copy = strndup(text, len);

	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c < 0x20 && c != '\n' && c != '\t') || c > 0x7e)
			*p = '?';
	}
	return json_object_new_string(copy);
}

static void put_text(struct doc *d, struct json_object *parent, const char *key, const char *value)
{
	put(d, parent, key, new_text(value, strlen(value)));
}

static void put_bool(struct doc *d, struct json_object *parent, const char *key, bool value)
{
	put(d, parent, key, json_object_new_boolean(value));
}

static void put_reasons(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *array = put_array(d, root, "reasons");

	for (unsigned int i = 0; i < MIN(s->n_reasons, SNAPSHOT_REASONS); i++)
		append(d, array,
		       new_text(s->reasons[i], strnlen(s->reasons[i], sizeof(s->reasons[i]))));
}

static void put_time(struct doc *d, struct json_object *root, const char *key, double realtime)
{
	time_t t = isfinite(realtime) ? (time_t)realtime : 0;
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	put_text(d, root, key, text);
}

static void put_identity(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	char seed[24];

	put_number(d, root, "version", REPORT_VERSION);
	put_text(d, root, "daemon_version", SOAK_VERSION);
	put_bool(d, root, "test_hooks", SOAK_TEST_HOOKS);
	put_text(d, root, "verdict", verdict_name(s->verdict));
	put_reasons(d, root, s);
	put_text(d, root, "kernel_release", s->kernel_release);
	put_text(d, root, "cpu_model", s->cpu_model);
	/* Text, because many readers keep JSON numbers in a double, which has 53 bits. */
	snprintf(seed, sizeof(seed), "%" PRIu64, s->seed);
	put_text(d, root, "seed", seed);
	put_time(d, root, "start_time", s->start_realtime);
	put_real(d, root, "duration_s", seconds(s->elapsed_ns));
}

static void put_backends(struct doc *d, struct json_object *inject, const struct snapshot *s)
{
	struct json_object *names = put_array(d, inject, "backends");
	char text[sizeof(s->inject)];
	char *rest = text, *name;

	if (!is_injecting(s))
		return;
	snprintf(text, sizeof(text), "%s", s->inject);
	while ((name = strsep(&rest, ","))) {
		if (*name)
			append(d, names, new_text(name, strlen(name)));
	}
}

static void put_inject(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *inject = put_object(d, root, "inject");
	struct json_object *kinds;

	put_backends(d, inject, s);
	kinds = put_array(d, inject, "kinds");
	for (unsigned int i = 0; i < FAULT_NR; i++) {
		if (s->kinds[i])
			append(d, kinds, json_object_new_string(fault_kind_name(i)));
	}
}

static void put_isolation(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *isolation = put_object(d, root, "isolation");

	put_bool(d, isolation, "own_network_namespace", s->own_netns);
	put_bool(d, isolation, "own_cgroup", s->own_cgroup);
}

static void put_perturbations(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *all = put_object(d, root, "perturbations");

	for (unsigned int p = 0; p < PERTURB_NR; p++) {
		struct json_object *results = put_object(d, all, perturb_name(p));

		for (unsigned int r = 0; r < PERTURB_RESULT_NR; r++)
			put_number(d, results, perturb_result_name(r), s->perturbations[p][r]);
	}
	put_number(d, root, "pressure_scanned_pages", s->pressure_scanned);
}

static void put_sites(struct doc *d, struct json_object *parent, const char *key,
		      const uint64_t *values)
{
	struct json_object *sites = put_object(d, parent, key);

	for (unsigned int i = 0; i < SOAK_SITE_NR; i++)
		put_number(d, sites, site_name(i), values[i]);
}

static void put_faults(struct doc *d, struct json_object *parent, const char *key,
		       const uint64_t values[FAULT_NR][SOAK_SITE_NR])
{
	struct json_object *kinds = put_object(d, parent, key);

	for (unsigned int k = 0; k < FAULT_NR; k++)
		put_sites(d, kinds, fault_kind_name(k), values[k]);
}

static void put_stalls(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *stalls = put_object(d, root, "stalls");

	for (unsigned int i = 0; i < SOAK_SITE_NR; i++)
		put_number(d, stalls, site_name(i), s->c.stalls[i]);
}

static void put_lock_failures(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	put_faults(d, root, "timeouts", s->timeouts);
	put_faults(d, root, "deadlocks", s->deadlocks);
	put_stalls(d, root, s);
}

static void put_site_names(struct doc *d, struct json_object *parent, const char *key,
			   unsigned int sites)
{
	struct json_object *array = put_array(d, parent, key);

	for (unsigned int i = 0; i < SOAK_SITE_NR; i++) {
		if (sites & (1u << i))
			append(d, array, json_object_new_string(site_name(i)));
	}
}

static void put_module_troubles(struct doc *d, struct json_object *module,
				const struct snapshot_module *m)
{
	put_number(d, module, "missed", m->missed);
	put_number(d, module, "hidden", m->hidden);
	put_number(d, module, "crowded", m->crowded);
	put_number(d, module, "evicted", m->evicted);
	put_number(d, module, "refused", m->refused);
	put_number(d, module, "strange", m->strange);
	put(d, module, "held", json_object_new_int64(m->held));
	put_number(d, module, "held_cpus", m->held_cpus);
}

static void put_module(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *module = put_object(d, root, "module");
	const struct snapshot_module *m = &s->module;

	put_bool(d, module, "present", m->present);
	if (!m->present)
		return;
	put_bool(d, module, "armed", m->armed);
	put_text(d, module, "decide", m->decide);
	put_text(d, module, "error", snapshot_asked_error(s));
	put_number(d, module, "probability_percent", m->probability);
	put_number(d, module, "interval", m->interval);
	put_number(d, module, "bursts", m->bursts);
	put_site_names(d, module, "sites", m->sites);
	put_site_names(d, module, "sites_available", m->sites_here);
	put_sites(d, module, "calls", m->calls);
	put_sites(d, module, "passed", m->passed);
	put_faults(d, module, "timeouts", m->timeouts);
	put_faults(d, module, "deadlocks", m->deadlocks);
	put_module_troubles(d, module, m);
}

static void put_alive(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *object;

	put_number(d, root, "live", s->live_selems);
	object = put_object(d, root, "storages");
	put_number(d, object, "born", s->c.storage_births);
	put_number(d, object, "freed", s->c.storage_frees);
	put_number(d, object, "live", s->live_storages);
	object = put_object(d, root, "maps");
	put_number(d, object, "created", s->maps_created);
	put_number(d, object, "closed", s->maps_closed);
	put_number(d, object, "outstanding", s->maps_outstanding);
}

static void put_births(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *born, *owners, *freed, *freed_of;

	put_number(d, root, "born", snapshot_births(s));
	born = put_object(d, root, "born_by_owner");
	put_number(d, root, "owners", snapshot_owners(s));
	freed_of = put_object(d, root, "freed_by_owner");
	owners = put_object(d, root, "owners_by_kind");
	for (unsigned int i = 0; i < SOAK_KIND_NR; i++) {
		put_number(d, born, owner_kind_name(i), s->c.births[i]);
		put_number(d, freed_of, owner_kind_name(i), s->c.frees_of[i]);
		put_number(d, owners, owner_kind_name(i), s->owners_by_kind[i]);
	}
	freed = put_object(d, root, "freed");
	put_number(d, freed, "by_map_free", s->c.frees[SOAK_FREE_MAP_FREE]);
	put_number(d, freed, "by_destroy", s->c.frees[SOAK_FREE_DESTROY]);
	put_number(d, freed, "by_program", s->c.frees[SOAK_FREE_PROGRAM]);
	put_number(d, freed, "by_cmpxchg", s->c.frees_by_cmpxchg);
	put_real(d, root, "owners_per_s", rate(snapshot_owners(s), s->elapsed_ns));
	put_real(d, root, "stored_per_s",
		 rate(snapshot_total((const uint64_t *)s->c.filled, SOAK_KIND_NR) +
			      s->syscall_updates,
		      s->elapsed_ns));
	put_real(d, root, "selems_per_s", rate(snapshot_births(s), s->elapsed_ns));
}

static void put_visits_of_side(struct doc *d, struct json_object *visits, const struct snapshot *s,
			       enum soak_side side)
{
	struct json_object *results = put_object(d, visits, side_name(side));
	char key[64];

	for (unsigned int b = 0; b < SOAK_LOCK_NR; b++) {
		for (unsigned int l = 0; l < SOAK_LOCK_NR; l++) {
			uint64_t n = snapshot_visits(s, side, b, l);

			if (!n)
				continue;
			snprintf(key, sizeof(key), "%s/%s", lock_result_name(b),
				 lock_result_name(l));
			put_number(d, results, key, n);
		}
	}
}

static void put_visits(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *lockless, *visits, *longest;

	put_number(d, root, "lockless_unlinks", snapshot_lockless(s));
	lockless = put_object(d, root, "lockless_by_side");
	visits = put_object(d, root, "visits");
	for (unsigned int i = 0; i < SOAK_SIDE_NR; i++) {
		put_number(d, lockless, side_name(i), s->c.lockless[i]);
		put_visits_of_side(d, visits, s, i);
	}
	longest = put_object(d, root, "longest_s");
	put_real(d, longest, "map_free", seconds(s->c.map_free_max_ns));
	put_real(d, longest, "destroy", seconds(s->c.destroy_max_ns));
	put_real(d, longest, "visit", seconds(s->c.visit_max_ns));
}

static struct json_object *append_cell(struct doc *d, struct json_object *array,
				       const struct coverage_cell *cell)
{
	struct json_object *object = json_object_new_object();

	append(d, array, object);
	if (d->failed)
		return NULL;
	put_text(d, object, "side", side_name(cell->side));
	put_text(d, object, "bucket", lock_result_name(cell->bucket));
	put_text(d, object, "storage", lock_result_name(cell->storage));
	put_text(d, object, "outcome", outcome_name(cell->outcome));
	return object;
}

static void put_covered(struct doc *d, struct json_object *coverage, const struct snapshot *s)
{
	struct json_object *array = put_array(d, coverage, "covered");

	for (unsigned int i = 0; i < COVERAGE_CELLS; i++) {
		struct coverage_cell cell = coverage_cell(i);
		struct json_object *object;

		if (!coverage_visits(s, &cell))
			continue;
		object = append_cell(d, array, &cell);
		put_text(d, object, "kind", cover_kind_name(cell.kind));
		put_number(d, object, "visits", coverage_visits(s, &cell));
		put_bool(d, object, "reachable", !coverage_unreachable(&cell));
	}
}

static void put_missing(struct doc *d, struct json_object *coverage, const struct snapshot *s)
{
	struct json_object *array = put_array(d, coverage, "missing");
	struct coverage_cell cells[COVERAGE_CELLS];

	for (unsigned int kind = 0; kind < SOAK_COVER_KINDS; kind++) {
		unsigned int n = coverage_missing(s, kind, cells, COVERAGE_CELLS);

		for (unsigned int i = 0; i < n; i++)
			put_text(d, append_cell(d, array, &cells[i]), "kind",
				 cover_kind_name(kind));
	}
}

/* Whatever the kind, so that each reason is one of the algorithm's. */
static void put_unreachable(struct doc *d, struct json_object *coverage)
{
	struct json_object *array = put_array(d, coverage, "unreachable");

	for (unsigned int i = 0; i < COVERAGE_CELLS; i += SOAK_COVER_KINDS) {
		struct coverage_cell cell = coverage_cell(i);
		const char *reason;

		if (cell.bucket == SOAK_LOCK_EITHER || cell.storage == SOAK_LOCK_EITHER)
			continue;
		if (!coverage_is_failure(cell.bucket) && !coverage_is_failure(cell.storage))
			cell.kind = SOAK_NO_FAULT;
		reason = coverage_unreachable(&cell);
		if (reason)
			put_text(d, append_cell(d, array, &cell), "reason", reason);
	}
}

static void put_coverage(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *coverage = put_object(d, root, "coverage");
	struct json_object *summaries = put_object(d, coverage, "summary");

	for (unsigned int kind = 0; kind < SOAK_COVER_KINDS; kind++) {
		struct json_object *object = put_object(d, summaries, cover_kind_name(kind));
		struct coverage_summary summary = coverage_summarize(s, kind);

		put_number(d, object, "reachable", summary.reachable);
		put_number(d, object, "covered", summary.covered);
		put_number(d, object, "missing", summary.missing);
	}
	put_covered(d, coverage, s);
	put_missing(d, coverage, s);
	put_unreachable(d, coverage);
}

/* Those that were played, and those that could have been. */
static void put_scenarios(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *scenarios = put_object(d, root, "scenarios");

	for (unsigned int i = 0; i < s->n_scenarios; i++) {
		struct json_object *object = put_object(d, scenarios, scenario_name(i));

		put_number(d, object, "weight", s->scenarios[i].weight);
		put_number(d, object, "steps", s->scenarios[i].steps);
		put_number(d, object, "effects", s->scenarios[i].effects);
		put_number(d, object, "failures", s->scenarios[i].failures);
	}
}

static void put_rendezvous(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *rendezvous = put_object(d, root, "rendezvous");

	for (unsigned int a = 0; a < SOAK_MEET_NR; a++) {
		struct json_object *object = put_object(d, rendezvous, appointment_name(a));

		put_number(d, object, "met", s->c.meetings_met[a]);
		put_number(d, object, "missed", s->c.meetings_missed[a]);
	}
}

static void put_holes(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *holes = put_object(d, root, "holes");

	for (unsigned int i = 0; i < HOLE_NR; i++) {
		struct json_object *hole = put_object(d, holes, hole_kind_name(i));

		for (unsigned int k = 0; k < FAULT_NR; k++)
			put_number(d, hole, fault_kind_name(k), s->holes[i][k]);
	}
}

/* What the oracles besides the ledger looked at. */
static void put_checks(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *checks = put_object(d, root, "checks");

	put_number(d, checks, "fields_freed", s->c.fields_freed);
	put_number(d, checks, "references_stored", s->c.refs_stored);
	put_number(d, checks, "references_taken", s->c.refs_taken);
	put_number(d, checks, "references_released", s->c.refs_taken + s->c.refs_freed);
	put_number(d, checks, "identities", snapshot_identities(s));
	put_number(d, checks, "values_read_by_workers", s->syscall_lookups);
	put_number(d, checks, "values_read_by_programs", s->c.values_read);
	put_number(d, checks, "values_read_elsewhere", s->reader_lookups);
	put_number(d, checks, "values_watched", s->reader_watched);
	put_number(d, checks, "maps_noted", s->maps_noted);
	put_real(d, checks, "slab_growth_bytes", (double)s->slab_growth);
}

/* Kinds that the kernel's comments speak of do not stand here, and neither do forced ones. */
static void put_undocumented(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *holes;

	put_number(d, root, "undocumented_holes", snapshot_undocumented(s));
	holes = put_object(d, root, "undocumented_holes_by_kind");
	for (unsigned int i = 0; i < HOLE_NR; i++) {
		struct json_object *hole = NULL;

		for (unsigned int k = 0; k < FAULT_NR; k++) {
			if (!snapshot_is_undocumented(i, k))
				continue;
			if (!hole)
				hole = put_object(d, holes, hole_kind_name(i));
			put_number(d, hole, fault_kind_name(k), s->holes[i][k]);
		}
	}
}

static void put_findings(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *violations, *misses, *oracles;

	put_holes(d, root, s);
	put_undocumented(d, root, s);
	put_number(d, root, "leaks",
		   s->violations[VIOLATION_SELEM_LEAK] + s->violations[VIOLATION_STORAGE_LEAK]);
	put_number(d, root, "double_frees",
		   s->violations[VIOLATION_DOUBLE_FREE] +
			   s->violations[VIOLATION_STORAGE_DOUBLE_FREE]);
	put_number(d, root, "omem_mismatches", s->c.omem_mismatch);
	put_checks(d, root, s);
	put_number(d, root, "violations", snapshot_violations(s));
	violations = put_object(d, root, "violations_by_kind");
	for (unsigned int i = 0; i < VIOLATION_NR; i++)
		put_number(d, violations, violation_name(i), s->violations[i]);
	misses = put_object(d, root, "misses");
	for (unsigned int i = 0; i < MISS_NR; i++)
		put_number(d, misses, miss_name(i), s->misses[i]);
	oracles = put_object(d, root, "oracles");
	for (unsigned int i = 0; i < ORACLE_NR; i++)
		put_text(d, oracles, oracle_name(i), oracle_state_name(s->oracles[i]));
}

static void put_kernel_log(struct doc *d, struct json_object *root, const struct snapshot *s,
			   const struct kmsg *kmsg)
{
	struct json_object *counts = put_object(d, root, "kernel_log");
	struct json_object *array = put_array(d, root, "kernel_log_reports");
	const struct kmsg_report *reports = NULL;
	size_t n = kmsg ? kmsg_reports(kmsg, &reports) : 0;

	for (unsigned int i = 0; i < KMSG_CLASS_NR; i++)
		put_number(d, counts, kmsg_class_name(i), s->kmsg[i]);
	for (size_t i = 0; i < n; i++) {
		struct json_object *report = json_object_new_object();

		append(d, array, report);
		if (d->failed)
			return;
		put_text(d, report, "class", kmsg_class_name(reports[i].class));
		put_real(d, report, "time_s", (double)reports[i].time_us / 1e6);
		put(d, report, "text",
		    new_text(reports[i].text, strnlen(reports[i].text, KERNEL_TEXT_MAX)));
	}
}

static void put_resources(struct doc *d, struct json_object *root, const struct snapshot *s)
{
	struct json_object *cpu;

	put_number(d, root, "rss_bytes", s->rss_bytes);
	put_number(d, root, "mapped_bytes", s->mapped_bytes);
	put_number(d, root, "leaked_bytes", s->leaked_bytes);
	put_number(d, root, "leak_budget_bytes", s->leak_budget);
	cpu = put_object(d, root, "cpu");
	put_real(d, cpu, "user_s", s->cpu_user_s);
	put_real(d, cpu, "system_s", s->cpu_system_s);
	put_real(d, cpu, "bookkeeping_s", s->bookkeeping_cpu_s);
}

static char *trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* The lines "key = value" of config_dump(). */
static void put_config(struct doc *d, struct json_object *root, const struct config *config)
{
	struct json_object *object = put_object(d, root, "config");
	_cleanup_free_ char *text = NULL;
	char *line, *rest;

	if (!config)
		return;
	text = config_dump(config);
	if (!text) {
		d->failed = true;
		return;
	}
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		char *value = strchr(line, '=');

		line = trim(line);
		if (!value || *line == '#')
			continue;
		*value++ = '\0';
		put_text(d, object, trim(line), trim(value));
	}
}

/* An array on one line of the file: as many lines as there are points nobody would scroll past. */
static void put_column(struct doc *d, struct json_object *parent, const char *key,
		       const struct series *series, size_t offset)
{
	struct json_object *array = put_array(d, parent, key);
	_cleanup_free_ char *text = NULL;

	for (unsigned int i = 0; i < series->n; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&series->points[i] + offset, sizeof(value));
		append(d, array, json_object_new_uint64(value));
	}
	if (d->failed)
		return;
	text = strdup(json_object_to_json_string_ext(array, JSON_C_TO_STRING_SPACED));
	if (!text) {
		d->failed = true;
		return;
	}
	json_object_set_serializer(array, json_object_userdata_to_json_string, TAKE_PTR(text),
				   json_object_free_userdata);
}

#define COLUMN(member) offsetof(struct series_point, member)

/* Empty where nobody kept one. */
static void put_series(struct doc *d, struct json_object *root, const struct series *series)
{
	static const struct series none;
	struct json_object *object = put_object(d, root, "series");
	struct json_object *faults;

	if (!series)
		series = &none;
	put_real(d, object, "step_s", seconds(series->step_ns));
	put_column(d, object, "elapsed_ns", series, COLUMN(elapsed_ns));
	put_column(d, object, "owners", series, COLUMN(owners));
	put_column(d, object, "selems", series, COLUMN(selems));
	faults = put_object(d, object, "faults");
	for (unsigned int k = 0; k < FAULT_NR; k++)
		put_column(d, faults, fault_kind_name(k), series, COLUMN(faults[k]));
	put_column(d, object, "lockless_unlinks", series, COLUMN(lockless));
	put_column(d, object, "holes", series, COLUMN(holes));
	put_column(d, object, "undocumented_holes", series, COLUMN(undocumented));
	put_column(d, object, "violations", series, COLUMN(violations));
}

/* NULL when out of memory. */
static struct json_object *build(const struct snapshot *s, const struct config *config,
				 const struct kmsg *kmsg)
{
	struct json_object *root = json_object_new_object();
	struct doc d = { .failed = !root };

	put_identity(&d, root, s);
	put_inject(&d, root, s);
	put_isolation(&d, root, s);
	put_perturbations(&d, root, s);
	put_lock_failures(&d, root, s);
	put_births(&d, root, s);
	put_alive(&d, root, s);
	put_visits(&d, root, s);
	put_scenarios(&d, root, s);
	put_rendezvous(&d, root, s);
	put_coverage(&d, root, s);
	put_module(&d, root, s);
	put_findings(&d, root, s);
	put_kernel_log(&d, root, s, kmsg);
	put_resources(&d, root, s);
	put_config(&d, root, config);
	put_series(&d, root, s->series);
	if (!d.failed)
		return root;
	json_object_put(root);
	return NULL;
}

static void json_putp(struct json_object **object)
{
	json_object_put(*object);
}

int report_write(const char *dir, const struct snapshot *s, const struct config *config,
		 const struct kmsg *kmsg)
{
	_cleanup_(json_putp) struct json_object *root = build(s, config, kmsg);
	_cleanup_free_ char *path = format("%s/report.json", dir);
	_cleanup_free_ char *text = NULL;
	int r;

	if (!root || !path)
		return -ENOMEM;
	text = format("%s\n", json_object_to_json_string_ext(
				      root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						    JSON_C_TO_STRING_NOSLASHESCAPE));
	if (!text)
		return -ENOMEM;
	r = make_dirs(dir, 0750);
	if (r < 0)
		return r;
	return write_file_atomic(path, text, strlen(text));
}

/* A counter that went backwards means a wrong prev: show nothing rather than 1.8e19. */
static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

void report_progress(char *buf, size_t size, const struct snapshot *s, const struct snapshot *prev)
{
	uint64_t owners = snapshot_owners(s);
	uint64_t births = snapshot_births(s);
	uint64_t ns = s->elapsed_ns;
	char elapsed[32];

	if (prev) {
		owners = since(owners, snapshot_owners(prev));
		births = since(births, snapshot_births(prev));
		ns = since(ns, prev->elapsed_ns);
	}
	format_elapsed(elapsed, sizeof(elapsed), s->elapsed_ns);
	snprintf(buf, size,
		 "%s  owners/s %.0f  selems/s %.0f  lockless %" PRIu64 "  timeouts %" PRIu64
		 "  undocumented holes %" PRIu64 "  violations %" PRIu64,
		 elapsed, rate(owners, ns), rate(births, ns), snapshot_lockless(s),
		 snapshot_timeouts(s), snapshot_undocumented(s), snapshot_violations(s));
}

void report_print_end(FILE *out, const struct snapshot *s)
{
	_cleanup_(json_putp) struct json_object *root = build(s, NULL, NULL);

	if (root)
		render_text(out, &(struct result){ .root = root });
	else
		fprintf(out, "bpfsoakd: end of run: %s, and no memory for its table\n",
			verdict_name(s->verdict));
	fflush(out);
}

int report_exit_code(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_PASS:
		return 0;
	case VERDICT_FAIL:
		return 1;
	case VERDICT_INCONCLUSIVE:
		return 3;
	default:
		return 4;
	}
}
