// SPDX-License-Identifier: GPL-2.0-only
/* Whether a path is safe from other users: see path.h. */
#include "path.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "util.h"

#define LINKS_MAX 16

/* Who calls sudo can be root anyway. */
static bool is_sudo_id(const char *variable, unsigned long id)
{
	const char *text = geteuid() ? NULL : getenv(variable);

	return text && *text && strtoul(text, NULL, 10) == id;
}

static bool trusts_user(uid_t uid)
{
	return !uid || uid == geteuid() || is_sudo_id("SUDO_UID", uid);
}

static bool trusts_group(gid_t gid)
{
	return !gid || gid == getegid() || is_sudo_id("SUDO_GID", gid);
}

static bool others_may_write(const struct stat *st)
{
	return st->st_mode & S_IWOTH || (st->st_mode & S_IWGRP && !trusts_group(st->st_gid));
}

/* Why others could change it, or what is in it; NULL when they cannot. */
static const char *why_open(const struct stat *st)
{
	if (!trusts_user(st->st_uid))
		return "belongs to another user";
	/* In a sticky directory nobody moves what is not theirs, and what is in it is looked at. */
	if (others_may_write(st) && !(S_ISDIR(st->st_mode) && st->st_mode & S_ISVTX))
		return "is writable by other users";
	return NULL;
}

/* What is known by now; the rest of the path is yet to be looked at. */
struct walk {
	char real[PATH_MAX]; /* "" for the root directory */
	unsigned int links;
	char *why;
	int error;
};

static bool fail(struct walk *walk, const char *what)
{
	walk->why = format("%s %s", *walk->real ? walk->real : "/", what);
	if (!walk->why)
		walk->error = -ENOMEM;
	return false;
}

static bool walk_path(struct walk *walk, const char *path, bool to_end, enum path_kind kind);

/* walk->real is a link, and its directory is safe: begins anew where it leads to. */
static bool follow(struct walk *walk)
{
	char *target = realpath(walk->real, NULL);
	bool good;

	if (!target)
		return fail(walk, strerror(errno));
	if (++walk->links > LINKS_MAX) {
		free(target);
		return fail(walk, "has too many symbolic links");
	}
	*walk->real = '\0';
	good = walk_path(walk, target, false, PATH_DIR);
	free(target);
	return good;
}

static bool judge_end(struct walk *walk, const struct stat *st, enum path_kind kind)
{
	const char *why = why_open(st);

	if (S_ISLNK(st->st_mode))
		return fail(walk, "is a symbolic link; give what it points to");
	if (kind == PATH_FILE && !S_ISREG(st->st_mode))
		return fail(walk, "is not a regular file");
	if (kind == PATH_DIR && !S_ISDIR(st->st_mode))
		return fail(walk, "is not a directory");
	/* A directory at the end holds our files: nobody else's may appear there. */
	if (!why && others_may_write(st))
		why = "is writable by other users";
	return why ? fail(walk, why) : true;
}

static bool judge_on_the_way(struct walk *walk, const struct stat *st)
{
	const char *why = S_ISLNK(st->st_mode) ? NULL : why_open(st);

	if (!trusts_user(st->st_uid))
		why = "belongs to another user";
	if (why)
		return fail(walk, why);
	if (S_ISLNK(st->st_mode))
		return follow(walk);
	return S_ISDIR(st->st_mode) ? true : fail(walk, "is not a directory");
}

/* One component more. *ret_there: it exists. */
static bool step(struct walk *walk, const char *name, size_t len, bool last, enum path_kind kind,
		 bool *ret_there)
{
	size_t used = strlen(walk->real);
	struct stat st;

	if (used + 1 + len >= sizeof(walk->real))
		return fail(walk, "is too long");
	snprintf(walk->real + used, sizeof(walk->real) - used, "/%.*s", (int)len, name);
	*ret_there = !lstat(walk->real, &st);
	if (!*ret_there)
		return errno == ENOENT ? true : fail(walk, strerror(errno));
	return last ? judge_end(walk, &st, kind) : judge_on_the_way(walk, &st);
}

static bool judge_root(struct walk *walk)
{
	struct stat st;

	if (stat("/", &st) < 0)
		return fail(walk, strerror(errno));
	return judge_on_the_way(walk, &st);
}

/* From walk->real on. to_end: its last component is what it is all about. */
static bool walk_path(struct walk *walk, const char *path, bool to_end, enum path_kind kind)
{
	bool there = true;

	if (!*walk->real && !judge_root(walk))
		return false;
	for (path += strspn(path, "/"); *path && there; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");
		bool last = to_end && !path[len + strspn(path + len, "/")];

		if (!step(walk, path, len, last, kind, &there))
			return false;
		path += len;
	}
	return true;
}

int path_check(const char *path, enum path_kind kind, char **ret_why)
{
	_cleanup_free_ char *cwd = *path == '/' ? NULL : realpath(".", NULL);
	struct walk walk = { 0 };

	*ret_why = NULL;
	if ((*path == '/' || (cwd && walk_path(&walk, cwd, false, PATH_DIR))) &&
	    walk_path(&walk, path, true, kind))
		return 0;
	*ret_why = walk.why ?: walk.error ? NULL : strdup("the working directory is gone");
	return *ret_why ? 0 : -ENOMEM;
}
