/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decisions as a function of --seed: splitmix64, one generator per worker and operation, so that
 * what an operation decides does not depend on how the ones before it went. No state but its
 * own; not for secrets.
 */
#ifndef SOAK_RNG_H
#define SOAK_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline struct rng rng_for(uint64_t seed, uint64_t stream, uint64_t index)
{
	struct rng rng = { .state = seed ^ (stream * 0xd6e8feb86659fd93ULL) };

	rng.state = rng_next(&rng) ^ (index * 0xa0761d6478bd642fULL);
	rng_next(&rng);
	return rng;
}

/* 0 .. n - 1, n > 0. The bias of the remainder is far below anything that matters here. */
static inline unsigned int rng_below(struct rng *rng, unsigned int n)
{
	return (unsigned int)((rng_next(rng) >> 32) % n);
}

#endif
