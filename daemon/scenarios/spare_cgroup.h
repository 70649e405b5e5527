/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A cgroup beside the daemon's own, or below it, that is there to refuse something. Only limits of
 * its own are ever written; which controllers there are is the affair of whoever set up the one
 * above (cgroup.subtree_control). One that a killed run left is empty, and is used again.
 */
#ifndef SOAK_SCENARIO_SPARE_CGROUP_H
#define SOAK_SCENARIO_SPARE_CGROUP_H

struct spare_cgroup {
	char *dir; /* NULL: none */
};

/*
 * Makes one, of that name. limit: a file that it must have, such as "pids.max", or NULL. Returns 0
 * or -errno: -EOPNOTSUPP where the controller is not there.
 */
int spare_cgroup_new(const char *name, const char *limit, struct spare_cgroup *ret);

/* Writes one of its files. Returns 0 or -errno. */
int spare_cgroup_set(const struct spare_cgroup *cgroup, const char *file, const char *text);

/* Opens its directory. Returns a descriptor or -errno. */
int spare_cgroup_open(const struct spare_cgroup *cgroup);

/* Removes it; nobody may be in it. Safe when there is none. */
void spare_cgroup_end(struct spare_cgroup *cgroup);

#endif
