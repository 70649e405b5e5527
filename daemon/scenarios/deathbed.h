/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A few owners with known values in a map of their own, about to die in a special way: the map goes
 * at a moment that is drawn, before, between or after their deaths. Of one step of one worker.
 */
#ifndef SOAK_DEATHBED_H
#define SOAK_DEATHBED_H

#include <stdbool.h>

#include "batch.h"

struct deathbed {
	struct worker *w;
	struct batch batch;
	unsigned int n;	      /* owners */
	unsigned int moments; /* that are still to come before the map goes */
	bool right;	      /* all that was seen was as it must be */
};

#define DEATHBED_MOMENTS 4 /* after so many deathbed_moment() it may stay until the end */

/* shape: of the values, or a negative number: any. Returns 0 or -errno: -EAGAIN when it is not its
 * time. */
int deathbed_new(struct worker *w, enum soak_kind kind, int shape, struct rng *rng,
		 struct deathbed *ret);

/* Another owner, with its first value. Returns its number. */
unsigned int deathbed_add(struct deathbed *bed, int key);

/* It must still have its value, however it is reached. */
void deathbed_judge(struct deathbed *bed, unsigned int i, int key, const char *who);

/* Something has happened to them: maybe it is the map's turn. */
void deathbed_moment(struct deathbed *bed);

/* The map goes, if it has not, and all is counted. */
void deathbed_end(struct deathbed *bed);

#endif
