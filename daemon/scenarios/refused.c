// SPDX-License-Identifier: GPL-2.0-only
/* For scenarios that have values refused: see refused.h. */
#include "refused.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "../programs.h"
#include "../worker.h"
#include "kept.h"

int refused_put(struct worker *w, struct kept *kept, int key, struct rng *rng)
{
	size_t size = programs_value_size(kept->shape);
	uint64_t cookie = rng_next(rng) | 1;
	unsigned char value[VALUE_MAX];

	churn_make_value(value, size, cookie, 0, SOAK_ROLE_NONE);
	if (bpf_map_update_elem(kept->fd, &key, value, BPF_ANY) < 0) {
		int r = -errno;

		worker_refused(w, r);
		return r;
	}
	kept->cookie = cookie;
	bump(&w->updates, 1);
	return 0;
}
