/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * "bpfsoakd report": a run's report for people (text, HTML) and for kernel CI systems (KTAP, JUnit
 * XML). One file for each way to render it; all of them read one struct result and print to a
 * stream. Runs in main().
 */
#ifndef SOAK_RENDER_H
#define SOAK_RENDER_H

#include <stdint.h>
#include <stdio.h>

struct config;
struct result;

/* Returns an exit code: 0, or 2 when there is no valid report, with a message. */
int render_run(const struct config *config);

void render_text(FILE *out, const struct result *result);
void render_html(FILE *out, const struct result *result);
void render_json(FILE *out, const struct result *result);
void render_ktap(FILE *out, const struct result *result);
void render_junit(FILE *out, const struct result *result);

/* What render_text() prints, in memory of the caller's; NULL: none is left. */
char *render_as_text(const struct result *result);

/*
 * Text as it may stand in HTML or XML, between tags or in an attribute. Both want valid characters
 * of a known encoding, and files of a report promise none: what is not printable ASCII becomes '?'.
 */
void render_escaped(FILE *out, const char *text);

/* The run's length in nanoseconds, from duration_s. */
uint64_t render_elapsed_ns(const struct result *result);

/* "stall,module"; "none". */
void render_backends(FILE *out, const struct result *result);

/*
 * The lines that say what was done to the kernel, without their ends: each is handed to line(),
 * together with context. None when nothing was.
 */
void render_faults(const struct result *result, void (*line)(void *context, const char *text),
		   void *context);

#endif
