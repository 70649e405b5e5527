/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * "bpfsoakd top": watches a stats file on a terminal, or prints one frame of it. Reads that file
 * and nothing else, so that it needs no rights, and shows a copy as well as the real one.
 */
#ifndef SOAK_TOP_H
#define SOAK_TOP_H

struct config;

/* Returns an exit code: 2 when the file cannot be read or is malformed, with a message. */
int top_run(const struct config *config);

#endif
