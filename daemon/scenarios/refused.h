/* SPDX-License-Identifier: GPL-2.0-only */
/* What the scenarios share that have values refused. */
#ifndef SOAK_SCENARIO_REFUSED_H
#define SOAK_SCENARIO_REFUSED_H

#include "../rng.h"

struct kept;
struct worker;

/*
 * Such scenarios hold maps by the dozen, all of which have to be freed in the end: so many workers
 * play them, the others have nothing to do there.
 */
#define REFUSED_WORKERS 4

/*
 * Stores a value in an element of its own, which takes memory; kept_put() may write in place. What
 * is refused leaves what is known of it as it was. Returns 0 or -errno, which is counted.
 */
int refused_put(struct worker *w, struct kept *kept, int key, struct rng *rng);

#endif
