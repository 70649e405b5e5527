// SPDX-License-Identifier: GPL-2.0-only
/* The ids of the maps that we made: see map_ids.h. */
#include "map_ids.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>

#include "util.h"

#define NOTED_MAX 65536 /* about an hour's */

struct map_ids {
	pthread_mutex_t lock;
	bool (*exists)(uint32_t id);
	uint64_t noted;
	size_t n;
	uint32_t ids[NOTED_MAX];
};

bool map_id_exists(uint32_t id)
{
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(id);

	return fd >= 0;
}

int map_ids_new(bool (*exists)(uint32_t id), struct map_ids **ret)
{
	struct map_ids *ids = calloc(1, sizeof(*ids));

	if (!ids)
		return -ENOMEM;
	pthread_mutex_init(&ids->lock, NULL);
	ids->exists = exists;
	*ret = ids;
	return 0;
}

void map_ids_free(struct map_ids *ids)
{
	if (!ids)
		return;
	pthread_mutex_destroy(&ids->lock);
	free(ids);
}

/* Keeps, of the first n, those that are still there. */
static void drop_gone(struct map_ids *ids, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < ids->n; i++)
		if (i >= n || ids->exists(ids->ids[i]))
			ids->ids[kept++] = ids->ids[i];
	ids->n = kept;
}

/* The older half has been closed for many minutes: to ask for those disturbs nothing. */
void map_ids_note(struct map_ids *ids, uint32_t id)
{
	pthread_mutex_lock(&ids->lock);
	if (ids->n == NOTED_MAX)
		drop_gone(ids, NOTED_MAX / 2);
	if (ids->n < NOTED_MAX) {
		ids->ids[ids->n++] = id;
		ids->noted++;
	}
	pthread_mutex_unlock(&ids->lock);
}

void map_ids_note_fd(struct map_ids *ids, int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		map_ids_note(ids, info.id);
}

size_t map_ids_left(struct map_ids *ids, uint32_t *ret_id)
{
	size_t n;

	pthread_mutex_lock(&ids->lock);
	drop_gone(ids, ids->n);
	n = ids->n;
	if (n)
		*ret_id = ids->ids[0];
	pthread_mutex_unlock(&ids->lock);
	return n;
}

uint64_t map_ids_noted(const struct map_ids *ids)
{
	return ids->noted;
}
