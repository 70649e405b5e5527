/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A cgroup of the run's own (version 2), below the one that the daemon was started in: the daemon
 * moves into it with all that it will ever start, so that every owner, threads and vfork() children
 * as well, is charged, counted, frozen and killed apart from everybody else. Run loop only.
 */
#ifndef SOAK_OWN_CGROUP_H
#define SOAK_OWN_CGROUP_H

#include <stddef.h>
#include <stdint.h>

#define OWN_CGROUP_NAME "bpfsoakd-owners"

struct own_cgroup;

/*
 * There must be no child yet that is to come along. *ret is NULL where it is not possible, and it
 * has been said why, and where owners live then. A directory that a killed run left is used again.
 */
void own_cgroup_enter(struct own_cgroup **ret);

/*
 * Goes back and removes the directory, unless another daemon is in it. All children must be gone,
 * and the cgroups made in it (places.h). Takes NULL.
 */
void own_cgroup_leave(struct own_cgroup *cgroup);

/* Removes such a directory with all empty ones in it. 0 or -errno; -EBUSY: somebody is in it. */
int own_cgroup_remove(const char *dir);

/*
 * What may still be charged before a limit of the cgroup that we are in, or of one above it,
 * reclaims or kills (memory.high, memory.max). UINT64_MAX: there is none. A slow read of files.
 */
uint64_t own_cgroup_memory_left(void);

/*
 * Parts of the above, for tests. ------------------------------------------------------------
 */

/* The same of a directory as of the one that we are in; mount: how much of its name is the mount.
 */
uint64_t own_cgroup_memory_left_in(const char *dir, size_t mount);

#endif
