/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stats file: a snapshot in the Prometheus text format that node_exporter's textfile
 * collector reads. Pure text generation plus one atomic write; called by the run loop only.
 */
#ifndef SOAK_STATS_H
#define SOAK_STATS_H

#include <stdio.h>

#include "snapshot.h"

/* The text; the caller frees. NULL when out of memory. */
char *stats_format(const struct snapshot *s);

/* Returns 0 or -errno; a failed write leaves the old file and is for the caller to report. */
int stats_write(const char *path, const struct snapshot *s);

/* Every metric as a row of a Markdown table (name, type, labels, help): docs/metrics.md. */
void stats_print_reference(FILE *out);

/* The same as troff .TP blocks: METRICS of docs/bpfsoakd-metrics.7. */
void stats_print_troff(FILE *out);

#endif
