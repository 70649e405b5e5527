// SPDX-License-Identifier: GPL-2.0-only
/* Two at one value: see rivals.h. */
#include "rivals.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "../util.h"
#include "../worker.h"
#include "kept.h"

#define SETTLE_TRIES 100

void rivals_turn(int map, int key, unsigned int shape, struct rng *rng, struct tally *tally)
{
	size_t size = programs_value_size(shape);
	bool deletes = rng_below(rng, 2);
	unsigned char value[VALUE_MAX];
	int r;

	churn_make_value(value, size, rng_next(rng), 0, SOAK_ROLE_NONE);
	r = deletes ? bpf_map_delete_elem(map, &key)
		    : bpf_map_update_elem(map, &key, value,
					  rng_below(rng, 2) ? worker_lookup_flags(size) : BPF_ANY);
	r = r < 0 ? -errno : 0;
	if (!r && deletes)
		tally->deletes++;
	else if (!r)
		tally->updates++;
	else if (deletes && r == -ENOENT)
		tally->absent++;
	else if (worker_may_refuse(r))
		tally->refused[churn_error_class(r)]++;
	else
		tally->wrong = r;
}

void rivals_compete(int map, int key, unsigned int shape, uint64_t until_ns, struct rng *rng,
		    struct tally *tally)
{
	while (now_ns() < until_ns)
		rivals_turn(map, key, shape, rng, tally);
}

void rivals_count(struct worker *w, const struct tally *tally, const char *against)
{
	bump(&w->updates, tally->updates);
	bump(&w->deletes, tally->deletes);
	bump(&w->syscall_errors[SOAK_ERR_ENOENT], tally->absent);
	for (unsigned int e = 0; e < SOAK_ERR_NR; e++)
		bump(&w->syscall_errors[e], tally->refused[e]);
	if (tally->wrong)
		worker_accuse(w, "an update or delete against %s: %s", against,
			      strerror(-tally->wrong));
}

bool rivals_settle(struct worker *w, struct kept *kept, int key, struct rng *rng)
{
	/* What is there is not known until it is replaced. */
	for (unsigned int tries = 0; tries < SETTLE_TRIES; tries++)
		if (!kept_put(w, kept, key, rng))
			return kept_judge(w, kept, key, "us, after others wrote there");
	return false;
}
