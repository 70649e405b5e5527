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

static int update(const struct prize *prize, struct rng *rng)
{
	size_t size = programs_value_size(prize->shape);
	uint64_t flags = rng_below(rng, 2) ? worker_lookup_flags(size) : BPF_ANY;
	unsigned char value[VALUE_MAX];

	churn_make_value(value, size, rng_next(rng), 0, SOAK_ROLE_NONE);
	return bpf_map_update_elem(prize->map, &prize->key, value, flags) < 0 ? -errno : 0;
}

/* It also puts the value where the owner has it at hand: the next one may be deleting it. */
static int look_up(const struct prize *prize, struct tally *tally)
{
	size_t size = programs_value_size(prize->shape);
	unsigned char value[VALUE_MAX];

	if (bpf_map_lookup_elem_flags(prize->map, &prize->key, value, worker_lookup_flags(size)) <
	    0)
		return -errno;
	tally->torn += prize->whole && !churn_value_is_whole(value, size);
	return 0;
}

static void one_turn(const struct prize *prize, struct rng *rng, struct tally *tally)
{
	unsigned int what = rng_below(rng, 4);
	bool updates = what < 2;
	int r;

	if (updates)
		r = update(prize, rng);
	else if (what == 2)
		r = bpf_map_delete_elem(prize->map, &prize->key) < 0 ? -errno : 0;
	else
		r = look_up(prize, tally);
	tally->updates += !r && updates;
	tally->deletes += !r && what == 2;
	tally->lookups += what == 3;
	if (r == -ENOENT && !updates)
		tally->absent += what == 2;
	else if (r && what != 3 && worker_may_refuse(r))
		tally->refused[churn_error_class(r)]++;
	else if (r)
		tally->wrong = r;
}

void rivals_compete(const struct prize *prize, uint64_t until_ns, struct rng *rng,
		    struct tally *tally)
{
	while (now_ns() < until_ns)
		one_turn(prize, rng, tally);
}

void rivals_count(struct worker *w, const struct tally *tally, const char *against)
{
	bump(&w->updates, tally->updates);
	bump(&w->deletes, tally->deletes);
	bump(&w->lookups, tally->lookups);
	bump(&w->syscall_errors[SOAK_ERR_ENOENT], tally->absent);
	for (unsigned int e = 0; e < SOAK_ERR_NR; e++)
		bump(&w->syscall_errors[e], tally->refused[e]);
	if (tally->wrong)
		worker_accuse(w, "an update, delete or look-up against %s: %s", against,
			      strerror(-tally->wrong));
	if (tally->torn)
		worker_accuse(w, "%llu values that nobody stored were found against %s",
			      (unsigned long long)tally->torn, against);
}

bool rivals_settle(struct worker *w, struct kept *kept, int key, struct rng *rng)
{
	/* What is there is not known until it is replaced. */
	for (unsigned int tries = 0; tries < SETTLE_TRIES; tries++)
		if (!kept_put(w, kept, key, rng))
			return kept_judge(w, kept, key, "us, after others wrote there");
	return false;
}
