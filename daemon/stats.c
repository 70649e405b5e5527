// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stats file. One table of metrics and one of labels describe everything: the text format and
 * the references in docs/metrics.md and bpfsoakd-metrics(7) are ways to walk them, so none can
 * drift from the others. Pure functions of a snapshot; called by the run loop only.
 */
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "build_config.h"
#include "coverage.h"
#include "rendezvous.h"
#include "scenarios/mix.h"
#include "util.h"

enum label {
	LABEL_NONE,
	LABEL_VERSION,
	LABEL_KERNEL_RELEASE,
	LABEL_CPU_MODEL,
	LABEL_SEED,
	LABEL_INJECT,
	LABEL_INSTANCE,
	LABEL_RELOAD,
	LABEL_PERTURBATION,
	LABEL_PERTURB_RESULT,
	LABEL_VERDICT,
	LABEL_OWNER,
	LABEL_FREED_BY,
	LABEL_SIDE,
	LABEL_BUCKET,
	LABEL_STORAGE,
	LABEL_OUTCOME,
	LABEL_COVER_KIND,
	LABEL_COVER_STATE,
	LABEL_KIND,
	LABEL_FAULT_KIND,
	LABEL_SITE,
	LABEL_FAILURE,
	LABEL_ERROR,
	LABEL_MODULE_DECIDE,
	LABEL_MODULE_ERROR,
	LABEL_OP,
	LABEL_SYSCALL_OP,
	LABEL_ERRNO,
	LABEL_RUN_STATE,
	LABEL_FINDING,
	LABEL_HOLE,
	LABEL_VIOLATION,
	LABEL_MISS,
	LABEL_CLASS,
	LABEL_ORACLE,
	LABEL_ORACLE_STATE,
	LABEL_WORKER,
	LABEL_SCENARIO,
	LABEL_APPOINTMENT,
	LABEL_MEETING,
	LABEL_CPU_MODE,
};

/* How a label is called, and how many values it has; 0: see label_count(). */
static const struct {
	const char *name;
	unsigned int count;
	bool listed; /* the reference names its values */
} labels[] = {
	[LABEL_VERSION] = { "version", 1, false },
	[LABEL_KERNEL_RELEASE] = { "kernel_release", 1, false },
	[LABEL_CPU_MODEL] = { "cpu_model", 1, false },
	[LABEL_SEED] = { "seed", 1, false },
	[LABEL_INJECT] = { "inject", 1, false },
	[LABEL_INSTANCE] = { "instance", 1, false },
	[LABEL_RELOAD] = { "result", RELOAD_NR, true },
	[LABEL_PERTURBATION] = { "what", PERTURB_NR, true },
	[LABEL_PERTURB_RESULT] = { "result", PERTURB_RESULT_NR, true },
	[LABEL_VERDICT] = { "verdict", VERDICT_NR, true },
	[LABEL_OWNER] = { "owner", SOAK_KIND_NR, true },
	[LABEL_FREED_BY] = { "side", SOAK_FREE_NR, true },
	[LABEL_SIDE] = { "side", SOAK_SIDE_NR, true },
	[LABEL_BUCKET] = { "bucket", SOAK_LOCK_NR, true },
	[LABEL_STORAGE] = { "storage", SOAK_LOCK_NR, true },
	[LABEL_OUTCOME] = { "outcome", SOAK_OUTCOME_NR, true },
	[LABEL_COVER_KIND] = { "kind", SOAK_COVER_KINDS, true },
	[LABEL_COVER_STATE] = { "state", 2, true },
	[LABEL_KIND] = { "kind", FAULT_NR, true },
	[LABEL_FAULT_KIND] = { "fault_kind", FAULT_NR, true },
	[LABEL_SITE] = { "site", SOAK_SITE_NR, true },
	[LABEL_FAILURE] = { "result", 2, true },
	[LABEL_ERROR] = { "error", 2, true },
	[LABEL_MODULE_DECIDE] = { "decide", 1, false },
	[LABEL_MODULE_ERROR] = { "error", 1, false },
	[LABEL_OP] = { "op", SOAK_OP_NR, true },
	[LABEL_SYSCALL_OP] = { "op", 3, true },
	[LABEL_ERRNO] = { "errno", SOAK_ERR_NR, true },
	[LABEL_RUN_STATE] = { "state", RUN_STATE_NR, true },
	[LABEL_FINDING] = { "class", FINDING_CLASS_NR, true },
	[LABEL_HOLE] = { "hole", HOLE_NR, true },
	[LABEL_VIOLATION] = { "violation", VIOLATION_NR, true },
	[LABEL_MISS] = { "miss", MISS_NR, true },
	[LABEL_CLASS] = { "class", KMSG_CLASS_NR, true },
	[LABEL_ORACLE] = { "oracle", ORACLE_NR, true },
	[LABEL_ORACLE_STATE] = { "state", ORACLE_LIVE + 1, true },
	[LABEL_WORKER] = { "worker", 0, false },
	[LABEL_SCENARIO] = { "scenario", 0, true },
	[LABEL_APPOINTMENT] = { "appointment", SOAK_MEET_NR, true },
	[LABEL_MEETING] = { "result", 2, true },
	[LABEL_CPU_MODE] = { "mode", 2, true },
};

#define SCRATCH 24 /* a 64-bit number in decimal */

/* The text of the i-th value of a label; scratch is used for numbers only. */
static const char *label_value(enum label label, unsigned int i, const struct snapshot *s,
			       char scratch[SCRATCH])
{
	static const char *const failures[] = { "timeout", "deadlock" };
	static const char *const syscall_ops[] = { "update", "delete", "lookup" };
	static const char *const reloads[] = { "applied", "refused" };
	static const char *const meetings[] = { "met", "missed" };
	static const char *const cpu_modes[] = { "user", "system" };
	static const char *const cover_states[] = { "reachable", "covered" };

	switch (label) {
	case LABEL_NONE:
		return "";
	case LABEL_VERSION:
		return SOAK_VERSION;
	case LABEL_KERNEL_RELEASE:
		return s->kernel_release;
	case LABEL_CPU_MODEL:
		return s->cpu_model;
	case LABEL_SEED:
		snprintf(scratch, SCRATCH, "%" PRIu64, s->seed);
		return scratch;
	case LABEL_INJECT:
		return s->inject;
	case LABEL_INSTANCE:
		return s->instance;
	case LABEL_RELOAD:
		return reloads[i];
	case LABEL_PERTURBATION:
		return perturb_name(i);
	case LABEL_PERTURB_RESULT:
		return perturb_result_name(i);
	case LABEL_VERDICT:
		return verdict_name(i);
	case LABEL_OWNER:
		return owner_kind_name(i);
	case LABEL_FREED_BY:
		return free_name(i);
	case LABEL_SIDE:
		return side_name(i);
	case LABEL_BUCKET:
	case LABEL_STORAGE:
		return lock_result_name(i);
	case LABEL_OUTCOME:
		return outcome_name(i);
	case LABEL_COVER_KIND:
		return cover_kind_name(i);
	case LABEL_COVER_STATE:
		return cover_states[i];
	case LABEL_KIND:
	case LABEL_FAULT_KIND:
		return fault_kind_name(i);
	case LABEL_SITE:
		return site_name(i);
	case LABEL_FAILURE:
	case LABEL_ERROR:
		return failures[i];
	case LABEL_MODULE_DECIDE:
		return s->module.decide;
	case LABEL_MODULE_ERROR:
		return snapshot_asked_error(s);
	case LABEL_OP:
		return soak_op_name(i);
	case LABEL_SYSCALL_OP:
		return syscall_ops[i];
	case LABEL_ERRNO:
		return soak_err_name(i);
	case LABEL_RUN_STATE:
		return run_state_name(i);
	case LABEL_FINDING:
		return finding_class_name(i);
	case LABEL_HOLE:
		return hole_kind_name(i);
	case LABEL_VIOLATION:
		return violation_name(i);
	case LABEL_MISS:
		return miss_name(i);
	case LABEL_CLASS:
		return kmsg_class_name(i);
	case LABEL_ORACLE:
		return oracle_name(i);
	case LABEL_ORACLE_STATE:
		return oracle_state_name(i);
	case LABEL_WORKER:
		snprintf(scratch, SCRATCH, "%u", i);
		return scratch;
	case LABEL_SCENARIO:
		return scenario_name(i);
	case LABEL_APPOINTMENT:
		return appointment_name(i);
	case LABEL_MEETING:
		return meetings[i];
	case LABEL_CPU_MODE:
		return cpu_modes[i];
	}
	return "";
}

static unsigned int n_workers(const struct snapshot *s)
{
	return MIN(s->n_workers, SNAPSHOT_WORKERS);
}

static unsigned int label_count(enum label label, const struct snapshot *s)
{
	switch (label) {
	case LABEL_WORKER:
		return n_workers(s);
	case LABEL_SCENARIO:
		return scenarios_count();
	default:
		return labels[label].count;
	}
}

/* What is not an array in the snapshot: i[] holds one index for each label, in their order. */

static double get_one(const struct snapshot *s, const unsigned int *i)
{
	(void)s;
	(void)i;
	return 1;
}

static double get_verdict(const struct snapshot *s, const unsigned int *i)
{
	return s->verdict == i[0];
}

static double get_run_state(const struct snapshot *s, const unsigned int *i)
{
	return s->state == i[0];
}

static double get_syscalls(const struct snapshot *s, const unsigned int *i)
{
	const uint64_t ops[] = { s->syscall_updates, s->syscall_deletes, s->syscall_lookups };

	return (double)ops[i[0]];
}

static double get_injected(const struct snapshot *s, const unsigned int *i)
{
	/* The organic backend injects by stalling a holder, the module by failing a waiter. */
	if (i[0] == FAULT_ORGANIC)
		return (double)s->c.stalls[i[1]];
	if (s->module.present)
		return (double)(s->module.timeouts[i[0]][i[1]] + s->module.deadlocks[i[0]][i[1]]);
	return (double)(s->timeouts[i[0]][i[1]] + s->deadlocks[i[0]][i[1]]);
}

static double get_meetings(const struct snapshot *s, const unsigned int *i)
{
	return (double)(i[1] == 0 ? s->c.meetings_met : s->c.meetings_missed)[i[0]];
}

static double get_lock_failures(const struct snapshot *s, const unsigned int *i)
{
	return (double)(i[2] == 0 ? s->timeouts : s->deadlocks)[i[0]][i[1]];
}

static double get_coverage(const struct snapshot *s, const unsigned int *i)
{
	struct coverage_summary summary = coverage_summarize(s, i[0]);

	return i[1] == 0 ? summary.reachable : summary.covered;
}

static double get_module_armed(const struct snapshot *s, const unsigned int *i)
{
	(void)i;
	return s->module.armed;
}

static double get_module_site(const struct snapshot *s, const unsigned int *i)
{
	return s->module.sites >> i[0] & 1;
}

static double get_module_site_here(const struct snapshot *s, const unsigned int *i)
{
	return s->module.sites_here >> i[0] & 1;
}

static double get_module_errors(const struct snapshot *s, const unsigned int *i)
{
	return (double)(i[2] == 0 ? s->module.timeouts : s->module.deadlocks)[i[0]][i[1]];
}

static double get_module_held(const struct snapshot *s, const unsigned int *i)
{
	(void)i;
	return (double)s->module.held;
}

static double get_undocumented(const struct snapshot *s, const unsigned int *i)
{
	return snapshot_is_undocumented(i[0], i[1]) ? (double)s->holes[i[0]][i[1]] : 0;
}

static double get_oracle_live(const struct snapshot *s, const unsigned int *i)
{
	return s->oracles[i[0]] == ORACLE_LIVE;
}

static double get_oracle_state(const struct snapshot *s, const unsigned int *i)
{
	return s->oracles[i[0]] == i[1];
}

static double get_cpu(const struct snapshot *s, const unsigned int *i)
{
	return i[0] == 0 ? s->cpu_user_s : s->cpu_system_s;
}

#define LABELS_MAX 6

enum metric_type {
	COUNTER,
	GAUGE,
};

static const char *const type_names[] = {
	[COUNTER] = "counter",
	[GAUGE] = "gauge",
};

enum unit {
	NUMBER,	     /* uint64_t */
	NANOSECONDS, /* uint64_t, shown as seconds */
	REAL,	     /* double */
};

/*
 * The value is an element of an array of the snapshot (offset, stride; row by row when there are
 * several labels), or what get() returns. sparse: zeros are left out, but for one row of each
 * side. of_module: no samples while there is no module.
 */
struct metric {
	const char *name;
	enum metric_type type;
	enum label labels[LABELS_MAX];
	const char *help;
	enum unit unit;
	size_t offset;
	size_t stride;
	double (*get)(const struct snapshot *s, const unsigned int *i);
	bool sparse;
	bool of_module;
};

#define FIELD(unit_, member) \
	.unit = (unit_), .offset = offsetof(struct snapshot, member), .stride = 8
#define OF_WORKER(unit_, member)                                                 \
	.unit = (unit_), .offset = offsetof(struct snapshot, workers[0].member), \
	.stride = sizeof(struct snapshot_worker)

#define OF_SCENARIO(member)                                                       \
	.unit = NUMBER, .offset = offsetof(struct snapshot, scenarios[0].member), \
	.stride = sizeof(struct snapshot_scenario)

static const struct metric metrics[] = {
	/* The run. */
	{ "bpfsoakd_build_info",
	  GAUGE,
	  { LABEL_VERSION, LABEL_KERNEL_RELEASE, LABEL_CPU_MODEL, LABEL_SEED, LABEL_INJECT,
	    LABEL_INSTANCE },
	  "Always 1; what runs where, and what is needed to run it again.",
	  .get = get_one },
	{ "bpfsoakd_start_time_seconds",
	  GAUGE,
	  {},
	  "Start of the run, in seconds since the epoch.",
	  FIELD(REAL, start_realtime) },
	{ "bpfsoakd_last_update_timestamp_seconds",
	  GAUGE,
	  {},
	  "When this file was written, in seconds since the epoch; old: the daemon is dead.",
	  FIELD(REAL, update_realtime) },
	{ "bpfsoakd_uptime_seconds",
	  GAUGE,
	  {},
	  "Time since the start of the run.",
	  FIELD(NANOSECONDS, elapsed_ns) },
	{ "bpfsoakd_paused_seconds_total",
	  COUNTER,
	  {},
	  "Of bpfsoakd_uptime_seconds, outside of the windows that --window gives.",
	  FIELD(NANOSECONDS, paused_ns) },
	{ "bpfsoakd_reloads_total",
	  COUNTER,
	  { LABEL_RELOAD },
	  "Configurations read again on SIGHUP: taken over, or refused as a whole.",
	  FIELD(NUMBER, reloads) },
	{ "bpfsoakd_run_state",
	  GAUGE,
	  { LABEL_RUN_STATE },
	  "1 for what the daemon is at, 0 for the others; paused: outside of its --window; frozen: "
	  "--on-violation=freeze, and waiting for a signal.",
	  .get = get_run_state },
	{ "bpfsoakd_verdict",
	  GAUGE,
	  { LABEL_VERDICT },
	  "1 for the verdict so far, 0 for the others; RUNNING until the end of the run.",
	  .get = get_verdict },

	/* Filling. */
	{ "bpfsoakd_owners_born_total",
	  COUNTER,
	  { LABEL_OWNER },
	  "Sockets, tasks, cgroups and files that the workers created.",
	  FIELD(NUMBER, owners_by_kind) },
	{ "bpfsoakd_selem_births_total",
	  COUNTER,
	  { LABEL_OWNER },
	  "Storage elements allocated in maps of this run, by kind of owner.",
	  FIELD(NUMBER, c.births) },
	{ "bpfsoakd_selem_frees_by_owner_total",
	  COUNTER,
	  { LABEL_OWNER },
	  "Storage elements freed, by kind of owner.",
	  FIELD(NUMBER, c.frees_of) },
	{ "bpfsoakd_selem_frees_total",
	  COUNTER,
	  { LABEL_FREED_BY },
	  "Storage elements freed, by who freed them.",
	  FIELD(NUMBER, c.frees) },
	{ "bpfsoakd_selem_frees_by_cmpxchg_total",
	  COUNTER,
	  {},
	  "Of bpfsoakd_selem_frees_total, those decided by cmpxchg after both sides had passed.",
	  FIELD(NUMBER, c.frees_by_cmpxchg) },
	{ "bpfsoakd_selems_live",
	  GAUGE,
	  {},
	  "Storage elements born and not yet freed.",
	  FIELD(NUMBER, live_selems) },
	{ "bpfsoakd_storage_births_total",
	  COUNTER,
	  {},
	  "bpf_local_storage objects allocated.",
	  FIELD(NUMBER, c.storage_births) },
	{ "bpfsoakd_storage_frees_total",
	  COUNTER,
	  {},
	  "bpf_local_storage objects freed.",
	  FIELD(NUMBER, c.storage_frees) },
	{ "bpfsoakd_storages_live",
	  GAUGE,
	  {},
	  "bpf_local_storage objects born and not yet freed.",
	  FIELD(NUMBER, live_storages) },
	{ "bpfsoakd_fills_total",
	  COUNTER,
	  { LABEL_OWNER },
	  "Values written by the fill programs.",
	  FIELD(NUMBER, c.filled) },
	{ "bpfsoakd_fill_failures_total",
	  COUNTER,
	  { LABEL_OWNER },
	  "Values that the fill programs could not create, for example for lack of memory.",
	  FIELD(NUMBER, c.fill_failed) },
	{ "bpfsoakd_program_deletes_total",
	  COUNTER,
	  {},
	  "Live elements deleted by the fill programs.",
	  FIELD(NUMBER, c.prog_deletes) },
	{ "bpfsoakd_scenario_weight",
	  GAUGE,
	  { LABEL_SCENARIO },
	  "How often a scenario is played, beside the others; 0: not at all (--mix).",
	  OF_SCENARIO(weight) },
	{ "bpfsoakd_scenario_steps_total",
	  COUNTER,
	  { LABEL_SCENARIO },
	  "How often the workers played a scenario.",
	  OF_SCENARIO(steps) },
	{ "bpfsoakd_scenario_effects_total",
	  COUNTER,
	  { LABEL_SCENARIO },
	  "Of bpfsoakd_scenario_steps_total, those that did what the scenario is for.",
	  OF_SCENARIO(effects) },
	{ "bpfsoakd_scenario_failures_total",
	  COUNTER,
	  { LABEL_SCENARIO },
	  "Of bpfsoakd_scenario_steps_total, those that could not.",
	  OF_SCENARIO(failures) },
	{ "bpfsoakd_meetings_total",
	  COUNTER,
	  { LABEL_APPOINTMENT, LABEL_MEETING },
	  "Arranged meetings of map_free() with another side: both were there, or map_free() waited in "
	  "vain.",
	  .get = get_meetings },
	{ "bpfsoakd_syscall_operations_total",
	  COUNTER,
	  { LABEL_SYSCALL_OP },
	  "Operations on live elements that the workers made through bpf(2) and that took effect.",
	  .get = get_syscalls },
	{ "bpfsoakd_syscall_errors_total",
	  COUNTER,
	  { LABEL_ERRNO },
	  "Errors that bpf(2) returned to the workers.",
	  FIELD(NUMBER, syscall_errors) },
	{ "bpfsoakd_errors_returned_total",
	  COUNTER,
	  { LABEL_OP, LABEL_ERRNO },
	  "Errors that the storage functions of the kernel returned to programs and syscalls.",
	  FIELD(NUMBER, c.errors) },
	{ "bpfsoakd_maps_created_total",
	  COUNTER,
	  {},
	  "Storage maps created.",
	  FIELD(NUMBER, maps_created) },
	{ "bpfsoakd_maps_closed_total",
	  COUNTER,
	  {},
	  "Storage maps whose last reference was dropped.",
	  FIELD(NUMBER, maps_closed) },
	{ "bpfsoakd_maps_outstanding",
	  GAUGE,
	  {},
	  "Storage maps closed whose map_free has not finished.",
	  FIELD(NUMBER, maps_outstanding) },

	/* Oracles besides the ledger. */
	{ "bpfsoakd_fields_freed_total",
	  COUNTER,
	  {},
	  "Storage elements whose special fields were freed.",
	  FIELD(NUMBER, c.fields_freed) },
	{ "bpfsoakd_references_stored_total",
	  COUNTER,
	  {},
	  "References that programs put into special fields.",
	  FIELD(NUMBER, c.refs_stored) },
	{ "bpfsoakd_references_taken_total",
	  COUNTER,
	  {},
	  "Of these, references that programs took out again.",
	  FIELD(NUMBER, c.refs_taken) },
	{ "bpfsoakd_references_freed_total",
	  COUNTER,
	  {},
	  "Of these, references that were there when the fields were freed.",
	  FIELD(NUMBER, c.refs_freed) },
	{ "bpfsoakd_identity_checks_total",
	  COUNTER,
	  { LABEL_OWNER },
	  "Dying owners whose storage was compared with them.",
	  FIELD(NUMBER, c.identity_checked) },
	{ "bpfsoakd_values_read_total",
	  COUNTER,
	  {},
	  "Values that programs read under their spin lock.",
	  FIELD(NUMBER, c.values_read) },
	{ "bpfsoakd_reader_lookups_total",
	  COUNTER,
	  {},
	  "Values read by another process right after they were stored.",
	  FIELD(NUMBER, reader_lookups) },
	{ "bpfsoakd_reader_watched_total",
	  COUNTER,
	  {},
	  "Values read by another process while they were being replaced.",
	  FIELD(NUMBER, reader_watched) },
	{ "bpfsoakd_maps_noted_total",
	  COUNTER,
	  {},
	  "Storage maps whose ids must be gone at the end.",
	  FIELD(NUMBER, maps_noted) },
	{ "bpfsoakd_slab_unreclaimable_bytes",
	  GAUGE,
	  {},
	  "Slab memory of the whole machine that cannot be reclaimed.",
	  FIELD(NUMBER, slab_bytes) },

	/* Unlinking. */
	{ "bpfsoakd_visits_total",
	  COUNTER,
	  { LABEL_SIDE, LABEL_BUCKET, LABEL_STORAGE, LABEL_OUTCOME, LABEL_COVER_KIND },
	  "Visits of bpf_selem_unlink_nofail() by the result of each lock, by what became of the "
	  "element, and by the kind of the failure; combinations that never happened are left out, "
	  "except ok with ok, freed_here.",
	  FIELD(NUMBER, c.coverage),
	  .sparse = true },
	{ "bpfsoakd_exact_visits_total",
	  COUNTER,
	  {},
	  "Of bpfsoakd_visits_total, those where the module told the results of both locks.",
	  FIELD(NUMBER, c.exact_visits) },
	{ "bpfsoakd_coverage_cells",
	  GAUGE,
	  { LABEL_COVER_KIND, LABEL_COVER_STATE },
	  "Combinations of bpfsoakd_visits_total: reachable by the algorithm with what was asked "
	  "for, and of these, covered by at least one visit.",
	  .get = get_coverage },
	{ "bpfsoakd_lockless_unlinks_total",
	  COUNTER,
	  { LABEL_SIDE },
	  "Visits that went on without one of the locks.",
	  FIELD(NUMBER, c.lockless) },
	{ "bpfsoakd_map_frees_total",
	  COUNTER,
	  {},
	  "bpf_local_storage_map_free() calls begun.",
	  FIELD(NUMBER, c.map_frees) },
	{ "bpfsoakd_map_frees_finished_total",
	  COUNTER,
	  {},
	  "bpf_local_storage_map_free() calls finished.",
	  FIELD(NUMBER, c.map_frees_done) },
	{ "bpfsoakd_map_free_longest_seconds",
	  GAUGE,
	  {},
	  "The longest bpf_local_storage_map_free() that has finished.",
	  FIELD(NANOSECONDS, c.map_free_max_ns) },
	{ "bpfsoakd_map_free_oldest_seconds",
	  GAUGE,
	  {},
	  "Age of the oldest bpf_local_storage_map_free() still under way, 0 when there is none.",
	  FIELD(NANOSECONDS, map_free_oldest_ns) },
	{ "bpfsoakd_destroys_total",
	  COUNTER,
	  {},
	  "bpf_local_storage_destroy() calls begun.",
	  FIELD(NUMBER, c.destroys) },
	{ "bpfsoakd_destroys_finished_total",
	  COUNTER,
	  {},
	  "bpf_local_storage_destroy() calls finished.",
	  FIELD(NUMBER, c.destroys_done) },
	{ "bpfsoakd_destroy_longest_seconds",
	  GAUGE,
	  {},
	  "The longest bpf_local_storage_destroy() that has finished.",
	  FIELD(NANOSECONDS, c.destroy_max_ns) },
	{ "bpfsoakd_destroy_oldest_seconds",
	  GAUGE,
	  {},
	  "Age of the oldest bpf_local_storage_destroy() still under way, 0 when there is none.",
	  FIELD(NANOSECONDS, destroy_oldest_ns) },
	{ "bpfsoakd_visit_longest_seconds",
	  GAUGE,
	  {},
	  "The longest visit of bpf_selem_unlink_nofail().",
	  FIELD(NANOSECONDS, c.visit_max_ns) },

	/* Perturbation. */
	{ "bpfsoakd_perturbations_total",
	  COUNTER,
	  { LABEL_PERTURBATION, LABEL_PERTURB_RESULT },
	  "Pauses of all workers together; moves of the workers to other CPUs; CPUs taken offline and "
	  "brought back; times that memory was taken until reclaim ran. Refused: by the kernel, "
	  "or for want of a second CPU or of memory.",
	  FIELD(NUMBER, perturbations) },
	{ "bpfsoakd_pressure_bytes",
	  GAUGE,
	  {},
	  "Memory that --pressure holds at this moment.",
	  FIELD(NUMBER, pressure_bytes) },
	{ "bpfsoakd_pressure_scanned_pages_total",
	  COUNTER,
	  {},
	  "Pages that the kernel's reclaim looked at while --pressure held memory; 0: it never had to.",
	  FIELD(NUMBER, pressure_scanned) },

	/* Faults. */
	{ "bpfsoakd_injected_total",
	  COUNTER,
	  { LABEL_KIND, LABEL_SITE },
	  "Faults injected, by the acquisition aimed at; organic: holders stalled, whether or not "
	  "somebody waited.",
	  .get = get_injected },
	{ "bpfsoakd_lock_failures_total",
	  COUNTER,
	  { LABEL_KIND, LABEL_SITE, LABEL_FAILURE },
	  "Storage and bucket locks that could not be taken, by how the failure came about.",
	  .get = get_lock_failures },
	{ "bpfsoakd_stall_seconds",
	  GAUGE,
	  {},
	  "How long a stalled holder keeps its lock at present.",
	  FIELD(NANOSECONDS, stall_ns) },
	{ "bpfsoakd_rendezvous_total",
	  COUNTER,
	  {},
	  "Visits held back to wait for the other side.",
	  FIELD(NUMBER, c.rendezvous) },
	{ "bpfsoakd_rendezvous_met_total",
	  COUNTER,
	  {},
	  "Of bpfsoakd_rendezvous_total, those where the other side arrived.",
	  FIELD(NUMBER, c.rendezvous_met) },

	/* The kernel module. */
	{ "bpfsoakd_module_info",
	  GAUGE,
	  { LABEL_MODULE_DECIDE, LABEL_MODULE_ERROR },
	  "Always 1; who decides at the module's fault points, and which errors they return.",
	  .get = get_one,
	  .of_module = true },
	{ "bpfsoakd_module_armed",
	  GAUGE,
	  {},
	  "1 while the module may fail locks.",
	  .get = get_module_armed,
	  .of_module = true },
	{ "bpfsoakd_module_site_enabled",
	  GAUGE,
	  { LABEL_SITE },
	  "1 for each acquisition that may fail at this moment.",
	  .get = get_module_site,
	  .of_module = true },
	{ "bpfsoakd_module_site_available",
	  GAUGE,
	  { LABEL_SITE },
	  "1 for each acquisition that this kernel has and the module can fail.",
	  .get = get_module_site_here,
	  .of_module = true },
	{ "bpfsoakd_module_probability_percent",
	  GAUGE,
	  {},
	  "How likely an acquisition fails, as now set.",
	  FIELD(NUMBER, module.probability),
	  .of_module = true },
	{ "bpfsoakd_module_interval",
	  GAUGE,
	  {},
	  "Only every so many acquisitions may fail, as now set.",
	  FIELD(NUMBER, module.interval),
	  .of_module = true },
	{ "bpfsoakd_module_bursts_total",
	  COUNTER,
	  {},
	  "Bursts of faults so far.",
	  FIELD(NUMBER, module.bursts),
	  .of_module = true },
	{ "bpfsoakd_module_calls_total",
	  COUNTER,
	  { LABEL_SITE },
	  "Acquisitions that came to a fault point.",
	  FIELD(NUMBER, module.calls),
	  .of_module = true },
	{ "bpfsoakd_module_passed_total",
	  COUNTER,
	  { LABEL_SITE },
	  "Of bpfsoakd_module_calls_total, those that got their lock.",
	  FIELD(NUMBER, module.passed),
	  .of_module = true },
	{ "bpfsoakd_module_errors_total",
	  COUNTER,
	  { LABEL_KIND, LABEL_SITE, LABEL_ERROR },
	  "Of bpfsoakd_module_calls_total, those that did not, as the module counts them; organic: "
	  "the kernel itself refused the lock.",
	  .get = get_module_errors,
	  .of_module = true },
	{ "bpfsoakd_module_missed_total",
	  COUNTER,
	  {},
	  "Probe hits of the module that the kernel skipped.",
	  FIELD(NUMBER, module.missed),
	  .of_module = true },
	{ "bpfsoakd_module_hidden_total",
	  COUNTER,
	  {},
	  "Slow path calls whose caller another kretprobe hid from the module.",
	  FIELD(NUMBER, module.hidden),
	  .of_module = true },
	{ "bpfsoakd_module_crowded_total",
	  COUNTER,
	  {},
	  "Calls for which the module found no frame to record them in.",
	  FIELD(NUMBER, module.crowded),
	  .of_module = true },
	{ "bpfsoakd_module_evicted_total",
	  COUNTER,
	  {},
	  "Frames taken from another task that had used them within a second.",
	  FIELD(NUMBER, module.evicted),
	  .of_module = true },
	{ "bpfsoakd_module_refused_total",
	  COUNTER,
	  {},
	  "Fault points that were made to return what no lock returns, which was ignored.",
	  FIELD(NUMBER, module.refused),
	  .of_module = true },
	{ "bpfsoakd_module_strange_total",
	  COUNTER,
	  {},
	  "Locks of a call under test that were neither its bucket lock nor its storage lock.",
	  FIELD(NUMBER, module.strange),
	  .of_module = true },
	{ "bpfsoakd_module_held_locks",
	  GAUGE,
	  {},
	  "Sum of the CPUs' counts of rqspinlocks held at this moment; 0 when all is quiet.",
	  .get = get_module_held,
	  .of_module = true },
	{ "bpfsoakd_module_held_cpus",
	  GAUGE,
	  {},
	  "CPUs whose count of held rqspinlocks is not 0 at this moment.",
	  FIELD(NUMBER, module.held_cpus),
	  .of_module = true },

	/* Findings. */
	{ "bpfsoakd_holes_total",
	  COUNTER,
	  { LABEL_HOLE, LABEL_FAULT_KIND },
	  "What failed locks left behind, as the model predicts it from the object's history, by kind "
	  "of the failure.",
	  FIELD(NUMBER, holes) },
	{ "bpfsoakd_undocumented_holes_total",
	  COUNTER,
	  { LABEL_HOLE, LABEL_FAULT_KIND },
	  "Of bpfsoakd_holes_total, those that the kernel's comments do not speak of and that were "
	  "reached without a forced error; 0 for all others.",
	  .get = get_undocumented },
	{ "bpfsoakd_violations_total",
	  COUNTER,
	  { LABEL_VIOLATION },
	  "Findings that the model does not predict; any of them makes the run FAIL.",
	  FIELD(NUMBER, violations) },
	{ "bpfsoakd_findings_total",
	  COUNTER,
	  { LABEL_FINDING },
	  "Findings that differ by their signature: violations, holes that the kernel's comments do "
	  "not mention, and examples of those that they do.",
	  FIELD(NUMBER, findings) },
	{ "bpfsoakd_finding_directories",
	  GAUGE,
	  {},
	  "Of bpfsoakd_findings_total, those kept whole in a directory of their own.",
	  FIELD(NUMBER, finding_dirs) },
	{ "bpfsoakd_misses_total",
	  COUNTER,
	  { LABEL_MISS },
	  "Events that the oracles did not see.",
	  FIELD(NUMBER, misses) },
	{ "bpfsoakd_kernel_log_reports_total",
	  COUNTER,
	  { LABEL_CLASS },
	  "Records of the kernel log since the start of the run, by what they mean.",
	  FIELD(NUMBER, kmsg) },
	{ "bpfsoakd_oracle_live",
	  GAUGE,
	  { LABEL_ORACLE },
	  "1 when the oracle answered its positive control, 0 when it is blind or absent.",
	  .get = get_oracle_live },
	{ "bpfsoakd_oracle_state",
	  GAUGE,
	  { LABEL_ORACLE, LABEL_ORACLE_STATE },
	  "1 for the state of each oracle, 0 for the others.",
	  .get = get_oracle_state },
	{ "bpfsoakd_omem_checks_total",
	  COUNTER,
	  {},
	  "Dying sockets whose sk_omem_alloc was checked.",
	  FIELD(NUMBER, c.omem_checked) },
	{ "bpfsoakd_omem_mismatches_total",
	  COUNTER,
	  {},
	  "Dying sockets whose sk_omem_alloc was not 0.",
	  FIELD(NUMBER, c.omem_mismatch) },
	{ "bpfsoakd_leaked_bytes",
	  GAUGE,
	  {},
	  "Kernel memory of confirmed and suspected leaks.",
	  FIELD(NUMBER, leaked_bytes) },
	{ "bpfsoakd_leak_budget_bytes",
	  GAUGE,
	  {},
	  "The run ends when bpfsoakd_leaked_bytes reaches this.",
	  FIELD(NUMBER, leak_budget) },

	/* Progress and resources. */
	{ "bpfsoakd_worker_operations_total",
	  COUNTER,
	  { LABEL_WORKER },
	  "Operations of each worker that took effect.",
	  OF_WORKER(NUMBER, ops) },
	{ "bpfsoakd_worker_errors_total",
	  COUNTER,
	  { LABEL_WORKER },
	  "Operations of each worker that were refused: out of memory, out of descriptors.",
	  OF_WORKER(NUMBER, errors) },
	{ "bpfsoakd_worker_idle_seconds",
	  GAUGE,
	  { LABEL_WORKER },
	  "Time since the last progress of each worker.",
	  OF_WORKER(NANOSECONDS, idle_ns) },
	{ "bpfsoakd_rss_bytes",
	  GAUGE,
	  {},
	  "Resident memory of the daemon without the tables of the ledger.",
	  FIELD(NUMBER, rss_bytes) },
	{ "bpfsoakd_mapped_bytes",
	  GAUGE,
	  {},
	  "Memory of the tables of the ledger.",
	  FIELD(NUMBER, mapped_bytes) },
	{ "bpfsoakd_open_fds",
	  GAUGE,
	  {},
	  "Open file descriptors of the daemon.",
	  FIELD(NUMBER, open_fds) },
	{ "bpfsoakd_cpu_seconds_total",
	  COUNTER,
	  { LABEL_CPU_MODE },
	  "CPU time of the daemon, workers included.",
	  .get = get_cpu },
	{ "bpfsoakd_bookkeeping_cpu_seconds_total",
	  COUNTER,
	  {},
	  "CPU time of the run loop, which keeps all books, since the churn began.",
	  FIELD(REAL, bookkeeping_cpu_s) },
	{ "bpfsoakd_stats_write_errors_total",
	  COUNTER,
	  {},
	  "Times this file could not be written.",
	  FIELD(NUMBER, stats_write_errors) },
};

_Static_assert(sizeof(uint64_t) == 8 && sizeof(double) == 8, "the stride of FIELD()");

static unsigned int metric_labels(const struct metric *m)
{
	unsigned int n = 0;

	while (n < LABELS_MAX && m->labels[n] != LABEL_NONE)
		n++;
	return n;
}

static void print_help(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\\\", out);
		else if (*text == '\n')
			fputs("\\n", out);
		else
			fputc(*text, out);
	}
}

/* One byte that is not UTF-8 makes a collector drop the file: anything but ASCII becomes '?'. */
static void print_label_value(FILE *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\n')
			fputs("\\n", out);
		else if (c == '\\' || c == '"')
			fprintf(out, "\\%c", c);
		else
			fputc(c < 0x20 || c > 0x7e ? '?' : c, out);
	}
}

static void print_labels(FILE *out, const struct metric *m, const struct snapshot *s,
			 const unsigned int *index, unsigned int n)
{
	char scratch[SCRATCH];

	if (!n)
		return;
	fputc('{', out);
	for (unsigned int i = 0; i < n; i++) {
		fprintf(out, "%s%s=\"", i ? "," : "", labels[m->labels[i]].name);
		print_label_value(out, label_value(m->labels[i], index[i], s, scratch));
		fputc('"', out);
	}
	fputc('}', out);
}

static void print_real(FILE *out, double value)
{
	fprintf(out, "%.15g\n", isfinite(value) ? value : 0);
}

static const char *element(const struct metric *m, const struct snapshot *s,
			   const unsigned int *index, unsigned int n)
{
	size_t row = 0;

	for (unsigned int i = 0; i < n; i++)
		row = row * label_count(m->labels[i], s) + index[i];
	return (const char *)s + m->offset + row * m->stride;
}

static uint64_t element_number(const struct metric *m, const struct snapshot *s,
			       const unsigned int *index, unsigned int n)
{
	uint64_t value;

	memcpy(&value, element(m, s, index, n), sizeof(value));
	return value;
}

static void print_value(FILE *out, const struct metric *m, const struct snapshot *s,
			const unsigned int *index, unsigned int n)
{
	double real;

	if (m->get) {
		print_real(out, m->get(s, index));
		return;
	}
	switch (m->unit) {
	case NUMBER:
		fprintf(out, "%" PRIu64 "\n", element_number(m, s, index, n));
		break;
	case NANOSECONDS:
		print_real(out, (double)element_number(m, s, index, n) / 1e9);
		break;
	case REAL:
		memcpy(&real, element(m, s, index, n), sizeof(real));
		print_real(out, real);
		break;
	}
}

/* Of a sparse metric: the zeros of each side other than visits without any difficulty. */
static bool is_left_out(const struct metric *m, const struct snapshot *s, const unsigned int *index,
			unsigned int n)
{
	if (!m->sparse || element_number(m, s, index, n))
		return false;
	for (unsigned int i = 1; i < n; i++) {
		if (index[i] != (m->labels[i] == LABEL_COVER_KIND ? SOAK_NO_FAULT : 0))
			return true;
	}
	return false;
}

/* Like an odometer: the last label turns fastest. False when it is back at the start. */
static bool next_index(const struct metric *m, const struct snapshot *s, unsigned int *index,
		       unsigned int n)
{
	while (n--) {
		if (++index[n] < label_count(m->labels[n], s))
			return true;
		index[n] = 0;
	}
	return false;
}

static void print_metric(FILE *out, const struct metric *m, const struct snapshot *s)
{
	unsigned int index[LABELS_MAX] = { 0 };
	unsigned int n = metric_labels(m);

	fprintf(out, "# HELP %s ", m->name);
	print_help(out, m->help);
	fprintf(out, "\n# TYPE %s %s\n", m->name, type_names[m->type]);
	if ((m->labels[0] == LABEL_WORKER && !n_workers(s)) || (m->of_module && !s->module.present))
		return;
	do {
		if (is_left_out(m, s, index, n))
			continue;
		fputs(m->name, out);
		print_labels(out, m, s, index, n);
		fputc(' ', out);
		print_value(out, m, s, index, n);
	} while (next_index(m, s, index, n));
}

char *stats_format(const struct snapshot *s)
{
	_cleanup_free_ char *text = NULL;
	bool failed;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		print_metric(out, &metrics[i], s);
	failed = ferror(out);
	if (fclose(out) || failed)
		return NULL;
	return TAKE_PTR(text);
}

int stats_write(const char *path, const struct snapshot *s)
{
	_cleanup_free_ char *text = stats_format(s);

	if (!text)
		return -ENOMEM;
	return write_file_atomic(path, text, strlen(text));
}

static void print_label_reference(FILE *out, enum label label)
{
	static const struct snapshot none;
	char scratch[SCRATCH];

	fprintf(out, "`%s`", labels[label].name);
	if (!labels[label].listed)
		return;
	for (unsigned int i = 0; i < label_count(label, NULL); i++)
		fprintf(out, "%s%s", i ? ", " : " (", label_value(label, i, &none, scratch));
	fputc(')', out);
}

void stats_print_reference(FILE *out)
{
	fputs("| Name | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
		const struct metric *m = &metrics[i];
		unsigned int n = metric_labels(m);

		fprintf(out, "| `%s` | %s | ", m->name, type_names[m->type]);
		for (unsigned int j = 0; j < n; j++) {
			fputs(j ? "; " : "", out);
			print_label_reference(out, m->labels[j]);
		}
		fprintf(out, "%s| %s |\n", n ? " " : "", m->help);
	}
}

static void print_label_troff(FILE *out, enum label label)
{
	static const struct snapshot none;
	char scratch[SCRATCH];

	fputs("\\fI", out);
	print_troff(out, labels[label].name);
	fputs("\\fR", out);
	if (!labels[label].listed)
		return;
	for (unsigned int i = 0; i < label_count(label, NULL); i++) {
		fputs(i ? ", " : " (", out);
		print_troff(out, label_value(label, i, &none, scratch));
	}
	fputc(')', out);
}

void stats_print_troff(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
		const struct metric *m = &metrics[i];
		unsigned int n = metric_labels(m);

		fprintf(out, ".TP\n\\fB%s\\fR (%s)\n", m->name, type_names[m->type]);
		print_troff(out, m->help);
		fputc('\n', out);
		if (n)
			fputs(".br\nLabels: ", out);
		for (unsigned int j = 0; j < n; j++) {
			fputs(j ? "; " : "", out);
			print_label_troff(out, m->labels[j]);
		}
		fputs(n ? ".\n" : "", out);
	}
}
