/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where in the file system this process's own cgroup is, in the hierarchy of version 2: the
 * directory below which the run makes its own, and those that are owners. Looks only; no state, any
 * thread.
 */
#ifndef SOAK_CGROUP_H
#define SOAK_CGROUP_H

#include <stddef.h>

/*
 * From the text of /proc/self/mountinfo and of /proc/self/cgroup to that directory, which the
 * caller frees, and how much of its name is the mount, unless that is NULL. Returns 0, -ENXIO when
 * no cgroup2 is mounted, -ENOENT when none of the mounts shows the process's own group (or that is
 * outside of the cgroup namespace), or -ENOMEM. Pure. See show_mountinfo() in fs/proc_namespace.c
 * and proc_cgroup_show() in kernel/cgroup/cgroup.c.
 */
int cgroup_own_dir(const char *mountinfo, const char *self, char **ret_dir, size_t *ret_mount);

/*
 * The same of this process. *ret_why, when it fails, is for people and to be freed; it may be NULL.
 */
int cgroup_find(char **ret_dir, size_t *ret_mount, char **ret_why);

#endif
