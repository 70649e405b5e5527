// SPDX-License-Identifier: GPL-2.0-only
/* A cgroup of the run's own: see own_cgroup.h. */
#include "own_cgroup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "inject/undo.h"
#include "log.h"
#include "util.h"

#define DYING_MAX_NS (2 * NSEC_PER_SEC)

struct own_cgroup {
	char *home; /* where we came from */
	char *dir;
};

/* Going there and back. */

static int move_to(const char *dir)
{
	_cleanup_free_ char *path = format("%s/cgroup.procs", dir);

	return path ? write_file(path, "0") : -ENOMEM;
}

/* What is in use stays, and keeps what it is in. */
static void remove_children(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *child = format("%s/%s", path, entry->d_name);

		if (child && entry->d_type == DT_DIR && entry->d_name[0] != '.')
			own_cgroup_remove(child);
	}
}

int own_cgroup_remove(const char *dir)
{
	remove_children(dir);
	return rmdir(dir) < 0 ? -errno : 0;
}

static int move_into(const char *dir)
{
	int r;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = move_to(dir);
	if (r < 0)
		rmdir(dir);
	return r;
}

static int enter(struct own_cgroup *cgroup, char **ret_why)
{
	int r = cgroup_find(&cgroup->home, NULL, ret_why);

	if (r < 0)
		return r;
	cgroup->dir = format("%s/" OWN_CGROUP_NAME, cgroup->home);
	return cgroup->dir ? move_into(cgroup->dir) : -ENOMEM;
}

static void forget(struct own_cgroup *cgroup)
{
	free(cgroup->home);
	free(cgroup->dir);
	free(cgroup);
}

static const char *hint(int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return " (a service needs Delegate= for it, and its cgroup in ReadWritePaths=)";
	default:
		return "";
	}
}

void own_cgroup_enter(struct own_cgroup **ret)
{
	struct own_cgroup *cgroup = calloc(1, sizeof(*cgroup));
	_cleanup_free_ char *why = NULL;
	int r = cgroup ? enter(cgroup, &why) : -ENOMEM;

	*ret = NULL;
	if (!r) {
		undo_note_cgroup(cgroup->dir);
		*ret = cgroup;
		return;
	}
	if (!why)
		why = format("%s: %s%s", cgroup && cgroup->dir ? cgroup->dir : OWN_CGROUP_NAME,
			     strerror(-r), hint(r));
	log_warning("no cgroup of our own: %s; owners live in the one that the daemon was started "
		    "in, and are charged to it",
		    why ? why : strerror(-r));
	if (cgroup)
		forget(cgroup);
}

/* Children that have been waited for are in it until the kernel is through with their exit. */
static int remove_when_empty(const char *dir)
{
	uint64_t deadline = now_ns() + DYING_MAX_NS;

	while (rmdir(dir) < 0) {
		if (errno != EBUSY || now_ns() > deadline)
			return -errno;
		sleep_ns(20 * NSEC_PER_MSEC);
	}
	return 0;
}

/* "PID (NAME), ...": those of another daemon, or an owner of ours that does not die. */
static void tell_who_stays(const char *dir)
{
	_cleanup_free_ char *path = format("%s/cgroup.procs", dir), *pids = NULL, *names = NULL;
	char *rest = NULL;

	if (!path || read_file(path, &pids, NULL) < 0)
		return;
	for (char *pid = strtok_r(pids, "\n", &rest); pid; pid = strtok_r(NULL, "\n", &rest)) {
		_cleanup_free_ char *comm = format("/proc/%s/comm", pid), *name = NULL;
		char *longer;

		if (!comm || read_file(comm, &name, NULL) < 0)
			continue;
		name[strcspn(name, "\n")] = 0;
		longer = format("%s%s%s (%s)", names ?: "", names ? ", " : "", pid, name);
		if (!longer)
			return;
		free(names);
		names = longer;
	}
	log_info("the cgroup %s stays, in use by %s", dir, names ?: "what was not seen any more");
}

void own_cgroup_leave(struct own_cgroup *cgroup)
{
	int r;

	if (!cgroup)
		return;
	r = move_to(cgroup->home);
	if (r < 0)
		log_warning("cannot leave our own cgroup for %s: %s", cgroup->home, strerror(-r));
	/* What is in it is another daemon's: ours was removed before. */
	r = remove_when_empty(cgroup->dir);
	if (!r || r == -ENOENT)
		undo_forget_cgroup();
	else if (r == -EBUSY)
		tell_who_stays(cgroup->dir);
	else
		log_warning("the cgroup %s stays: %s", cgroup->dir, strerror(-r));
	forget(cgroup);
}

/* Limits. */

/* "max": none. */
static uint64_t limit_of(const char *dir, size_t len, const char *name)
{
	_cleanup_free_ char *path = format("%.*s/%s", (int)len, dir, name);
	uint64_t limit;

	return path && !read_file_u64(path, &limit) ? limit : UINT64_MAX;
}

uint64_t own_cgroup_memory_left_in(const char *dir, size_t mount)
{
	uint64_t left = UINT64_MAX;

	for (size_t len = strlen(dir); len > mount; len--) {
		uint64_t limit, used;

		if (dir[len] && dir[len] != '/')
			continue;
		limit = MIN(limit_of(dir, len, "memory.max"), limit_of(dir, len, "memory.high"));
		if (limit == UINT64_MAX)
			continue;
		used = limit_of(dir, len, "memory.current");
		left = MIN(left, used < limit ? limit - used : 0);
	}
	return left;
}

uint64_t own_cgroup_memory_left(void)
{
	_cleanup_free_ char *dir = NULL, *why = NULL;
	size_t mount;

	if (cgroup_find(&dir, &mount, &why) < 0)
		return UINT64_MAX;
	return own_cgroup_memory_left_in(dir, mount);
}
