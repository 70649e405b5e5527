// SPDX-License-Identifier: GPL-2.0-only
/* A cgroup of the run's own: see own_cgroup.h. */
#include "own_cgroup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "inject/undo.h"
#include "log.h"
#include "util.h"

struct own_cgroup {
	char *home; /* where we came from */
	char *dir;
};

/* Where we are. */

/* The n-th field of a line, from 0 on, and its length. NULL: there are not so many. */
static const char *field(const char *line, unsigned int n, size_t *ret_len)
{
	while (n--) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return NULL;
		line++;
	}
	*ret_len = strcspn(line, " \n");
	return line;
}

/* Behind the optional fields of a mount: proc(5). */
static bool is_cgroup2(const char *line)
{
	static const char type[] = " - cgroup2 ";
	const char *found = strstr(line, type);

	return found && found < line + strcspn(line, "\n");
}

/* The path of a cgroup below what is mounted; NULL: it cannot be seen there. */
static const char *path_below(const char *root, size_t root_len, const char *path, size_t len)
{
	if (root_len == 1)
		return path;
	if (len < root_len || strncmp(root, path, root_len))
		return NULL;
	return path[root_len] == '/' || len == root_len ? path + root_len : NULL;
}

static char *dir_in_mount(const char *line, const char *path, size_t len, size_t *ret_mount)
{
	size_t root_len, mount_len;
	const char *root = field(line, 3, &root_len), *mount = field(line, 4, &mount_len), *below;

	if (!root || !mount)
		return NULL;
	below = path_below(root, root_len, path, len);
	/* What is above the namespace's root cannot be seen, and is nobody's to write in. */
	if (!below || memmem(path, len, "/..", 3))
		return NULL;
	len -= (size_t)(below - path);
	/* The root cgroup is "/". */
	if (len == 1)
		len = 0;
	*ret_mount = mount_len;
	return format("%.*s%.*s", (int)mount_len, mount, (int)len, below);
}

static const char *next_line(const char *text)
{
	text += strcspn(text, "\n");
	return *text ? text + 1 : text;
}

int own_cgroup_find(const char *mountinfo, const char *cgroup, char **ret, size_t *ret_mount)
{
	const char *path = NULL;
	size_t len;

	for (; *cgroup && !path; cgroup = next_line(cgroup))
		if (!strncmp(cgroup, "0::/", 4))
			path = cgroup + 3;
	if (!path)
		return -ENOENT;
	len = strcspn(path, "\n");
	for (; *mountinfo; mountinfo = next_line(mountinfo)) {
		if (!is_cgroup2(mountinfo))
			continue;
		*ret = dir_in_mount(mountinfo, path, len, ret_mount);
		if (*ret)
			return 0;
	}
	return -ENOENT;
}

static int find_home(char **ret, size_t *ret_mount)
{
	_cleanup_free_ char *mountinfo = NULL, *cgroup = NULL;
	int r = read_file("/proc/self/mountinfo", &mountinfo, NULL);

	r = r ?: read_file("/proc/self/cgroup", &cgroup, NULL);
	return r ?: own_cgroup_find(mountinfo, cgroup, ret, ret_mount);
}

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
	/* Of a run that was killed. */
	remove_children(dir);
	r = move_to(dir);
	if (r < 0)
		rmdir(dir);
	return r;
}

static int enter(struct own_cgroup *cgroup)
{
	size_t mount;
	int r = find_home(&cgroup->home, &mount);

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
	case -ENOENT:
		return " (no cgroup2 is mounted in which ours can be seen)";
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return " (a service needs Delegate=yes and ProtectControlGroups=no for it)";
	default:
		return "";
	}
}

void own_cgroup_enter(struct own_cgroup **ret)
{
	struct own_cgroup *cgroup = calloc(1, sizeof(*cgroup));
	int r = cgroup ? enter(cgroup) : -ENOMEM;

	*ret = NULL;
	if (!r) {
		undo_note_cgroup(cgroup->dir);
		*ret = cgroup;
		return;
	}
	log_warning("no cgroup of our own: %s: %s%s; owners live in the one that the daemon was "
		    "started in, and are charged to it",
		    cgroup && cgroup->dir ? cgroup->dir : OWN_CGROUP_NAME, strerror(-r), hint(r));
	if (cgroup)
		forget(cgroup);
}

void own_cgroup_leave(struct own_cgroup *cgroup)
{
	int r;

	if (!cgroup)
		return;
	r = move_to(cgroup->home);
	if (r < 0)
		log_warning("cannot leave our own cgroup for %s: %s", cgroup->home, strerror(-r));
	r = own_cgroup_remove(cgroup->dir);
	if (!r || r == -ENOENT)
		undo_forget_cgroup();
	else if (r != -EBUSY)
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
	_cleanup_free_ char *dir = NULL;
	size_t mount;

	return find_home(&dir, &mount) < 0 ? UINT64_MAX : own_cgroup_memory_left_in(dir, mount);
}
