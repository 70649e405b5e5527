// SPDX-License-Identifier: GPL-2.0-only
/* Values that a scenario keeps account of: see kept.h. */
#include "kept.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "../pool.h"
#include "../util.h"
#include "../worker.h"

int kept_open(struct worker *w, enum soak_kind kind, unsigned int shape, struct kept *ret)
{
	int fd = pool_new_map(w->pool, kind, shape);

	if (fd < 0)
		return fd;
	*ret = (struct kept){ .open = true, .fd = fd, .kind = kind, .shape = shape };
	return 0;
}

void kept_close(struct worker *w, struct kept *kept)
{
	if (kept->open)
		pool_close_map(w->pool, kept->fd);
	*kept = (struct kept){ 0 };
}

void kept_forget(struct kept *kept)
{
	kept->cookie = 0;
}

void kept_forget_all(struct kept *kept, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		kept_forget(&kept[i]);
}

unsigned int kept_fill(struct worker *w, struct kept *kept, unsigned int n, unsigned int at_once,
		       enum soak_kind kind, struct rng *rng)
{
	unsigned int open = 0, made = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (!kept[i].open && made++ < at_once)
			kept_open(w, kind, rng_below(rng, pool_shapes(w->pool)), &kept[i]);
		open += kept[i].open;
	}
	return open;
}

void kept_replace(struct worker *w, struct kept *kept, unsigned int n, uint64_t *next_ns,
		  uint64_t every_ns, struct rng *rng)
{
	if (now_ns() < *next_ns)
		return;
	*next_ns = now_ns() + every_ns;
	kept_close(w, &kept[rng_below(rng, n)]);
}

int kept_put(struct worker *w, struct kept *kept, int key, struct rng *rng)
{
	size_t size = programs_value_size(kept->shape);
	uint64_t cookie = rng_next(rng);
	unsigned char value[VALUE_MAX];
	uint64_t flags = rng_below(rng, 2) ? worker_lookup_flags(size) : BPF_ANY;

	cookie = cookie ? cookie : 1;
	churn_make_value(value, size, cookie, 0, SOAK_ROLE_NONE);
	if (bpf_map_update_elem(kept->fd, &key, value, flags) < 0) {
		int r = -errno;

		worker_refused(w, r);
		return r;
	}
	kept->cookie = cookie;
	bump(&w->updates, 1);
	worker_took_effect(w);
	return 0;
}

int kept_take(struct worker *w, struct kept *kept, int key)
{
	int r = bpf_map_delete_elem(kept->fd, &key) < 0 ? -errno : 0;

	if (r)
		worker_refused(w, r);
	if (!r && !kept->cookie)
		worker_accuse(w, "a value could be deleted where there was none");
	if (r == -ENOENT && kept->cookie)
		worker_accuse(w, "a value stored a moment ago is not there to be deleted");
	if (r)
		return r;
	kept->cookie = 0;
	bump(&w->deletes, 1);
	worker_took_effect(w);
	return 0;
}

bool kept_judge_as(struct worker *w, const struct kept *kept, int key, uint64_t cookie,
		   const char *who)
{
	size_t size = programs_value_size(kept->shape);
	unsigned char value[VALUE_MAX];

	if (!cookie)
		return worker_judge_gone(w, kept->fd, key);
	churn_make_value(value, size, cookie, 0, SOAK_ROLE_NONE);
	return worker_judge(w, kept->fd, key, value, size, who);
}

bool kept_judge(struct worker *w, const struct kept *kept, int key, const char *who)
{
	return kept_judge_as(w, kept, key, kept->cookie, who);
}
