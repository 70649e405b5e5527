/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ids of the maps that we made: each must be gone when all of ours are closed and freed, for
 * an id goes with the last reference (bpf_map_put() in kernel/bpf/syscall.c). Any thread may note
 * one; bounded, since those that have gone long ago are dropped.
 */
#ifndef SOAK_MAP_IDS_H
#define SOAK_MAP_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_ids;

/* Asks the kernel: is there a map with that id? */
bool map_id_exists(uint32_t id);

/* exists: map_id_exists(), or a test's own. */
int map_ids_new(bool (*exists)(uint32_t id), struct map_ids **ret);
void map_ids_free(struct map_ids *ids);

/* Notes the map behind a descriptor, or an id. Failures are silent: what is not noted is not
 * judged.
 */
void map_ids_note_fd(struct map_ids *ids, int fd);
void map_ids_note(struct map_ids *ids, uint32_t id);

/*
 * How many of those noted are still there, and *ret_id one of them. To be asked when none ought
 * to be: asking takes a reference for a moment.
 */
size_t map_ids_left(struct map_ids *ids, uint32_t *ret_id);

/* How many were ever noted. */
uint64_t map_ids_noted(const struct map_ids *ids);

#endif
