// SPDX-License-Identifier: GPL-2.0-only
/* Owners that are about to die: see deathbed.h. */
#include "deathbed.h"

#include "../pool.h"
#include "../worker.h"

int deathbed_new(struct worker *w, enum soak_kind kind, int shape, struct rng *rng,
		 struct deathbed *ret)
{
	unsigned int any = rng_below(rng, pool_shapes(w->pool));

	*ret = (struct deathbed){
		.w = w,
		.moments = rng_below(rng, DEATHBED_MOMENTS + 1),
		.right = true,
	};
	return batch_new(w->pool, kind, shape < 0 ? any : (unsigned int)shape, rng, &ret->batch);
}

unsigned int deathbed_add(struct deathbed *bed, int key)
{
	unsigned int i = bed->n++;

	bump(&bed->w->born[bed->batch.kind], 1);
	if (bed->batch.map >= 0)
		batch_put(&bed->batch, i, key);
	return i;
}

void deathbed_judge(struct deathbed *bed, unsigned int i, int key, const char *who)
{
	if (bed->batch.map >= 0)
		bed->right &= batch_judge_key(&bed->batch, bed->w, i, key, who);
}

void deathbed_moment(struct deathbed *bed)
{
	if (!bed->moments || !--bed->moments)
		batch_drop(&bed->batch, bed->w->pool);
}

void deathbed_end(struct deathbed *bed)
{
	batch_drop(&bed->batch, bed->w->pool);
	batch_count(&bed->batch, bed->w);
}
