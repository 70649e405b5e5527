// SPDX-License-Identifier: GPL-2.0-only
/* Decides what a run has shown: see verdict.h. */
#include "verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "scenarios/mix.h"

void verdict_add_reason(struct snapshot *s, const char *fmt, ...)
{
	va_list ap;

	if (s->n_reasons == SNAPSHOT_REASONS)
		return;
	va_start(ap, fmt);
	vsnprintf(s->reasons[s->n_reasons++], sizeof(s->reasons[0]), fmt, ap);
	va_end(ap);
}

static void add_violations(struct snapshot *s)
{
	for (unsigned int v = 0; v < VIOLATION_NR; v++) {
		bool said = v == VIOLATION_VALUE && s->accusation[0];

		if (s->violations[v])
			verdict_add_reason(s, "violation: %s: %" PRIu64 "%s%s", violation_name(v),
					   s->violations[v], said ? ", the first: " : "",
					   said ? s->accusation : "");
	}
}

static void add_blindness(struct snapshot *s)
{
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		if (s->oracles[o] == ORACLE_BLIND)
			verdict_add_reason(s, "oracle %s did not answer its positive control",
					   oracle_name(o));
	if (s->misses[MISS_TABLE_FULL])
		verdict_add_reason(s, "the ledger was full %" PRIu64 " times: give more --slots",
				   s->misses[MISS_TABLE_FULL]);
	/* What the log is for stands with each object too: its loss matters only in a doubt. */
	if (s->misses[MISS_FAULT_LOG] && s->unjudged)
		verdict_add_reason(s, "%" PRIu64 " failed locks found the fault log full",
				   s->misses[MISS_FAULT_LOG]);
	if (s->misses[MISS_KMSG])
		verdict_add_reason(s, "%" PRIu64 " kernel log records were lost",
				   s->misses[MISS_KMSG]);
	if (s->misses[MISS_UNKNOWN] > s->births_blind)
		verdict_add_reason(s,
				   "%" PRIu64 " values of ours were freed whose birth was not "
				   "seen",
				   s->misses[MISS_UNKNOWN]);
	if (s->misses[MISS_REBORN] > s->frees_blind)
		verdict_add_reason(s,
				   "%" PRIu64 " frees were missed and only %" PRIu64
				   " of them can be explained by skipped programs",
				   s->misses[MISS_REBORN], s->frees_blind);
	if (s->unjudged)
		verdict_add_reason(s, "%" PRIu64 " residuals have gaps in their history",
				   s->unjudged);
	if (s->map_frees_unended)
		verdict_add_reason(s,
				   "%" PRIu64 " map_free() were not seen to end: stuck, or past "
				   "programs that were skipped %" PRIu64 " times",
				   s->map_frees_unended, s->map_frees_blind);
	if (s->module.present && s->module.hidden)
		verdict_add_reason(s,
				   "another kretprobe on the slow path hides callers from the "
				   "module: %" PRIu64 " times",
				   s->module.hidden);
}

/* Faults in the sites that tell their callers leave nothing to be unlinked without a lock. */
static bool expects_lockless(const struct snapshot *s)
{
	static const unsigned int visits =
		1u << SOAK_SITE_MAP_FREE_BUCKET | 1u << SOAK_SITE_MAP_FREE_STORAGE |
		1u << SOAK_SITE_DESTROY_BUCKET | 1u << SOAK_SITE_DESTROY_STORAGE;

	return s->kinds[FAULT_ORGANIC] || !s->asked_sites || (s->asked_sites & visits);
}

/* What was asked for must have happened: each kind by itself. */
static void add_injection(struct snapshot *s)
{
	if (!s->injecting)
		return;
	if (!snapshot_timeouts(s) && !snapshot_deadlocks(s)) {
		verdict_add_reason(s, "nothing injected: no lock failed (--inject=none churns "
				      "without)");
		return;
	}
	for (unsigned int k = 0; k < FAULT_NR; k++)
		if (s->kinds[k] && !snapshot_failures(s, k))
			verdict_add_reason(s,
					   "nothing injected: %s faults were asked for, and no "
					   "lock failed so",
					   fault_kind_name(k));
	if (expects_lockless(s) && !snapshot_lockless(s))
		verdict_add_reason(s, "nothing exercised: no lockless unlink");
}

/* What was asked for by name, and never did what it is for. */
static void add_scenarios(struct snapshot *s)
{
	for (unsigned int i = 0; i < s->n_scenarios; i++)
		if (s->scenarios[i].named && !s->scenarios[i].effects)
			verdict_add_reason(
				s,
				"nothing exercised: scenario %s was asked for and had no "
				"effect in %" PRIu64 " steps",
				scenario_name(i), s->scenarios[i].steps);
}

static void add_perturbations(struct snapshot *s)
{
	for (unsigned int p = 0; p < PERTURB_NR; p++)
		if (s->perturb_asked >> p & 1 && !s->perturbations[p][PERTURB_DONE])
			verdict_add_reason(
				s,
				"nothing exercised: --%s was asked for, and did not come "
				"about (refused %" PRIu64 " times)",
				perturb_name(p), s->perturbations[p][PERTURB_REFUSED]);
}

static void add_idleness(struct snapshot *s)
{
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		if (s->oracles[snapshot_ledger_of(kind)] == ORACLE_LIVE && !s->c.births[kind])
			verdict_add_reason(s, "nothing exercised: no selem of %s was born",
					   owner_kind_phrase(kind));
	if (!snapshot_owners(s))
		verdict_add_reason(s, "nothing exercised: no owner was born");
	add_scenarios(s);
	add_injection(s);
	add_perturbations(s);
}

static bool any_oracle_lives(const struct snapshot *s)
{
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		if (s->oracles[o] == ORACLE_LIVE)
			return true;
	return false;
}

/*
 * A selem that was freed while it was on a list is written to when its neighbours leave, and by
 * then its memory may be somebody else's. Where nobody need have held the lock that is our doing,
 * and nothing that is seen afterwards proves anything about the kernel; the table of held locks
 * apart, which no such write comes near.
 */
static bool is_ruined_by_force(const struct snapshot *s)
{
	return s->holes[HOLE_LINKED][FAULT_FORCED] && snapshot_violations(s) &&
	       !s->violations[VIOLATION_HELD];
}

void verdict_decide(struct snapshot *s)
{
	bool ruined = is_ruined_by_force(s);

	if (ruined)
		verdict_add_reason(s,
				   "%" PRIu64 " selems were freed while still on a list, by forced "
				   "faults: %" PRIu64 " violations may be what came of that",
				   s->holes[HOLE_LINKED][FAULT_FORCED], snapshot_violations(s));
	else
		add_violations(s);
	if (s->n_reasons && !ruined) {
		s->verdict = VERDICT_FAIL;
		return;
	}
	add_blindness(s);
	add_idleness(s);
	if (!any_oracle_lives(s))
		verdict_add_reason(s, "no oracle was on");
	s->verdict = s->n_reasons ? VERDICT_INCONCLUSIVE : VERDICT_PASS;
}
