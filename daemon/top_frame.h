/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What "bpfsoakd top" shows: one frame of text from one or two readings of a stats file. Pure; the
 * terminal is top.c's.
 */
#ifndef SOAK_TOP_FRAME_H
#define SOAK_TOP_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct promfile;

struct top_view {
	unsigned int width;  /* columns; 0: as wide as it comes */
	unsigned int height; /* lines; 0: all of them */
	bool escapes;	     /* colours, and the rest of each line cleared */
	double now;	     /* seconds since the epoch: how old the file is */
	double stale_s;	     /* older than that is stale */
	const char *trouble; /* why there is no newer reading; NULL: there is none */
};

/*
 * Prints a frame. Rates are those between the two readings; before may be NULL: since the start of
 * the run.
 */
void top_frame(FILE *out, const struct promfile *now, const struct promfile *before,
	       const struct top_view *view);

/* Whether it is a stats file of ours, and both are of one run. */
bool top_is_ours(const struct promfile *file);
bool top_is_same_run(const struct promfile *now, const struct promfile *before);

#endif
