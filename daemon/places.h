/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where owners are made that need a place in some tree: cgroups, below the daemon's own one, and
 * files, on a tmpfs that nobody else sees (a detached mount, fsmount(2)). One for the process; its
 * owner removes with places_free() what is left. All calls but new and free are safe from any
 * thread.
 */
#ifndef SOAK_PLACES_H
#define SOAK_PLACES_H

#include <stdbool.h>

#include "bpf/soak_abi.h"

struct places;

/*
 * Finds out by trying what can be made here; that nothing can is no error. Returns 0 or -ENOMEM.
 * Cgroups that a daemon left which is dead are removed.
 */
int places_new(struct places **ret);

/* The same below a directory of one's own choice, NULL: no cgroups; without mounts unless asked. */
int places_new_in(const char *cgroups, bool mounts, struct places **ret);

/* Removes our cgroups. NULL is fine. */
void places_free(struct places *places);

/* Why there are no owners of a kind here, for people; NULL: there are. */
const char *places_why_not(const struct places *places, enum soak_kind kind);

/*
 * mkdir of a new cgroup. Returns a descriptor of its directory, which the caller closes, or -errno:
 * -EBUSY when it would be one too many for now, since each costs the kernel much and dies slowly.
 */
int places_make_cgroup(struct places *places, unsigned int *ret_number);

/* rmdir; the kernel destroys it later. One that cannot be removed is tried again at the end. */
void places_remove_cgroup(struct places *places, unsigned int number);

/* Tries to remove what is left of all that were made. Returns how many are still there. */
unsigned int places_sweep(struct places *places);

/*
 * Cgroups there that were removed, and that the kernel has not let go of yet, beyond those that
 * were so at the beginning. 0 where it does not say (cgroup.stat).
 */
unsigned int places_dying(const struct places *places);

/*
 * A file that has no name, or none any more: closed, it is gone. On the private tmpfs, as linked
 * says with a name for a moment or never with one. Returns a descriptor or -errno.
 */
int places_make_file(struct places *places, bool linked);

/* The same in the kernel's own tmpfs: memfd_create(2). */
int places_make_memfd(void);

/* Can file systems be mounted here, and so files be made on them? */
bool places_can_mount(const struct places *places);

/*
 * A tmpfs of its own with n files in it, whose descriptors the caller closes. Returns that of the
 * mount, or -errno: when it is closed, and they are, the file system goes with all its inodes.
 */
int places_make_tree(struct places *places, int *ret_fds, unsigned int n);

#endif
