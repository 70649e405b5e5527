/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rendezvous: two moments of the kernel that chance brings together hardly ever are made to meet
 * (enum soak_appointment). One director thread arranges one meeting after the other: makes owners
 * and maps, closes a map, and lets hands, one for each CPU, do the other side's part when
 * map_free() has come, or when it is expected. The half in the kernel, bpf/rendezvous.bpf.h, holds
 * the first to come until the second is there. No lock is made to fail: waits are far shorter than
 * any lock's.
 */
#ifndef SOAK_RENDEZVOUS_H
#define SOAK_RENDEZVOUS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/soak_abi.h"
#include "pool.h"
#include "programs.h"
#include "rng.h"

struct rendezvous;

struct rendezvous_options {
	struct programs *programs; /* borrowed, PART_RENDEZVOUS attached */
	struct pool *pool;	   /* borrowed */
	uint64_t seed;
	uint64_t wait_ns; /* how long the first to come waits at most */
	bool uncharge;	  /* also SOAK_MEET_UNCHARGE: see soak_abi.h */
};

/* Starts; rendezvous_stop() ends all that it began, joins, and frees. Returns 0 or -errno. */
int rendezvous_start(const struct rendezvous_options *options, struct rendezvous **ret);
void rendezvous_stop(struct rendezvous *rendezvous);

/* "selem", "owner", "bucket", ... as in the stats file; "unknown" beyond the last. */
const char *appointment_name(enum soak_appointment appointment);

/* What is drawn next, the more probably the less often it was met. Pure. */
enum soak_appointment rendezvous_draw(const uint64_t met[SOAK_MEET_NR], bool uncharge,
				      struct rng *rng);

/* What is known of the two ways to be in time: answering map_free(), or guessing when it comes. */
struct rendezvous_ways {
	unsigned int tried[2]; /* rounds, the recent ones weighing more */
	unsigned int met[2];   /* meetings in them */
	uint64_t lead_ns; /* from the closing of a map to map_free()'s first visit, by experience */
};

/* Which way to try next: 0 answer, 1 guess; the better one mostly, the other at times. Pure. */
unsigned int rendezvous_way(const struct rendezvous_ways *ways, struct rng *rng);

/* Takes in what a round has shown. lead_ns 0: map_free() never came. Pure. */
void rendezvous_learn(struct rendezvous_ways *ways, unsigned int way, unsigned int met,
		      uint64_t lead_ns);

#endif
