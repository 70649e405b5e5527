/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a person and a pipeline read at the end: report.json, the closing table, the last line
 * and the progress line. All from one snapshot. Called by the run loop only.
 */
#ifndef SOAK_REPORT_H
#define SOAK_REPORT_H

#include <stdio.h>

#include "snapshot.h"

struct kmsg;
struct config;

#define REPORT_VERSION 1
#define REPORT_FORCED                                                                              \
	"FAULTS WERE FORCED: locks failed that nobody held; leaks that follow are predicted, not " \
	"bugs"

/*
 * Writes DIR/report.json as atomically as the stats file; DIR is made when absent. Also usable
 * while the run is under way (verdict "RUNNING"). docs/report.schema.json describes it.
 * config and kmsg may be NULL. Returns 0 or -errno; on failure the old file stands.
 */
int report_write(const char *dir, const struct snapshot *s, const struct config *config,
		 const struct kmsg *kmsg);

/*
 * "12s  owners/s 310  selems/s 7441  lockless 3  timeouts 3  violations 0" into buf. The rates are
 * since prev, or since the start of the run when prev is NULL; the rest are totals.
 */
void report_progress(char *buf, size_t size, const struct snapshot *s, const struct snapshot *prev);

/*
 * The table (lines saying which faults were injected come first), the reasons, the last line:
 * "bpfsoakd: end of run: PASS|FAIL|INCONCLUSIVE kernel= cpu= elapsed= selems= lockless= timeouts=
 * holes= violations= misses= seed=". Its values hold no blanks: those of names become '_'. When
 * faults were forced, the line that says so stands first and once more before the last line.
 */
void report_print_end(FILE *out, const struct snapshot *s);

/* How a reader is told of a kind of fault: "organic (real holders ...)". */
const char *report_kind_notice(enum fault_kind kind);

/* 0 pass, 1 fail, 3 inconclusive, 4 anything else. */
int report_exit_code(enum verdict verdict);

#endif
