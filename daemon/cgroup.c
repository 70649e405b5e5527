// SPDX-License-Identifier: GPL-2.0-only
/* Finds our own cgroup: see cgroup.h. */
#include "cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "util.h"

#define MOUNTINFO "/proc/self/mountinfo"
#define SELF	  "/proc/self/cgroup"

/* One mount of cgroup2; the texts are the line's own, with \040 and the like undone. */
struct mount {
	char *root; /* the cgroup that it shows as its root */
	char *point;
};

/* In place: blanks and backslashes are written as three octal digits (mangle_path()). */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
				       (text[3] - '0'));
			text += 4;
			continue;
		}
		*to++ = *text++;
	}
	*to = '\0';
}

/*
 * "36 35 0:29 ROOT POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS": the number of tags varies, hence
 * the dash. False: not a mount of cgroup2.
 */
static bool parse_mount(char *line, struct mount *ret)
{
	char *fields[6] = { 0 }, *rest = line, *type;

	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++)
		fields[i] = strsep(&rest, " ");
	if (!rest)
		return false;
	while ((type = strsep(&rest, " ")) && strcmp(type, "-"))
		;
	type = strsep(&rest, " ");
	if (!type || strcmp(type, "cgroup2"))
		return false;
	ret->root = fields[3];
	ret->point = fields[4];
	unescape(ret->root);
	unescape(ret->point);
	return *ret->root == '/' && *ret->point == '/';
}

/* The line of version 2 has neither number nor controllers. In place; NULL: there is none. */
static char *parse_self(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")))
		if (!strncmp(line, "0::/", 4))
			return line + 3;
	return NULL;
}

/* "/.." at its beginning: outside of our cgroup namespace, by a way that has no names. */
static bool is_outside(const char *path)
{
	return !strncmp(path, "/..", 3) && (path[3] == '/' || !path[3]);
}

/* What is left of path below root: NULL when it is not there. */
static const char *below(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (!strcmp(root, "/"))
		return path;
	if (strncmp(path, root, len) || (path[len] != '/' && path[len]))
		return NULL;
	return path + len;
}

int cgroup_own_dir(const char *mountinfo, const char *self, char **ret_dir, size_t *ret_mount)
{
	_cleanup_free_ char *mounts = strdup(mountinfo), *own = strdup(self);
	char *line, *rest = mounts, *path;
	bool any = false;

	if (!mounts || !own)
		return -ENOMEM;
	path = parse_self(own);
	while ((line = strsep(&rest, "\n"))) {
		struct mount mount;
		const char *left;

		if (!parse_mount(line, &mount))
			continue;
		any = true;
		left = path && !is_outside(path) && !is_outside(mount.root)
			       ? below(path, mount.root)
			       : NULL;
		if (!left)
			continue;
		*ret_dir = format("%s%s", mount.point, strcmp(left, "/") ? left : "");
		if (ret_mount)
			*ret_mount = strlen(mount.point);
		return *ret_dir ? 0 : -ENOMEM;
	}
	return any ? -ENOENT : -ENXIO;
}

int cgroup_find(char **ret_dir, size_t *ret_mount, char **ret_why)
{
	_cleanup_free_ char *mountinfo = NULL, *self = NULL;
	int r;

	*ret_why = NULL;
	r = read_file(MOUNTINFO, &mountinfo, NULL);
	if (r < 0) {
		*ret_why = format(MOUNTINFO ": %s", strerror(-r));
		return r;
	}
	r = read_file(SELF, &self, NULL);
	if (r < 0) {
		*ret_why = format(SELF ": %s", strerror(-r));
		return r;
	}
	r = cgroup_own_dir(mountinfo, self, ret_dir, ret_mount);
	if (r == -ENXIO)
		*ret_why = format("no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup");
	else if (r == -ENOENT)
		*ret_why = format("no mount of cgroup2 shows the daemon's own cgroup: run it "
				  "outside of a cgroup namespace, or mount cgroup2 inside");
	return r;
}
