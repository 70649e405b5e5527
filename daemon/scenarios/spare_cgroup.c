// SPDX-License-Identifier: GPL-2.0-only
/* Cgroups that refuse: see spare_cgroup.h. */
#include "spare_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "../cgroup.h"
#include "../util.h"

static bool has_file(const char *dir, const char *file)
{
	_cleanup_free_ char *path = format("%s/%s", dir, file);

	return path && !access(path, F_OK);
}

static int new_in(const char *above, const char *name, const char *limit, struct spare_cgroup *ret)
{
	_cleanup_free_ char *dir = format("%s/%s", above, name);

	if (!dir)
		return -ENOMEM;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	/* Of another file system, or of version 1. */
	if (!has_file(dir, "cgroup.procs") || (limit && !has_file(dir, limit))) {
		rmdir(dir);
		return -EOPNOTSUPP;
	}
	ret->dir = TAKE_PTR(dir);
	return 0;
}

/*
 * Beside our own first: below a cgroup with processes, such as ours, there is no controller of
 * memory.
 */
int spare_cgroup_new(const char *name, const char *limit, struct spare_cgroup *ret)
{
	_cleanup_free_ char *own = NULL, *above = NULL, *why = NULL;
	int r = -EOPNOTSUPP;
	size_t mount;

	if (cgroup_find(&own, &mount, &why) < 0)
		return -EOPNOTSUPP;
	above = strdup(own);
	if (!above)
		return -ENOMEM;
	if (strlen(above) > mount) {
		*strrchr(above, '/') = 0;
		r = new_in(above, name, limit, ret);
	}
	return r ? new_in(own, name, limit, ret) : 0;
}

int spare_cgroup_set(const struct spare_cgroup *cgroup, const char *file, const char *text)
{
	_cleanup_free_ char *path = format("%s/%s", cgroup->dir, file);

	return path ? write_file(path, text) : -ENOMEM;
}

int spare_cgroup_open(const struct spare_cgroup *cgroup)
{
	int fd = open(cgroup->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void spare_cgroup_end(struct spare_cgroup *cgroup)
{
	if (!cgroup->dir)
		return;
	rmdir(cgroup->dir);
	free(TAKE_PTR(cgroup->dir));
}
