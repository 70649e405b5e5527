/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether another user of this machine could put something else where we read or write. Looks only;
 * no state, any thread.
 */
#ifndef SOAK_PATH_H
#define SOAK_PATH_H

enum path_kind {
	PATH_FILE, /* regular, or not there yet */
	PATH_DIR,  /* the same of a directory */
};

/*
 * Every directory on the way must belong to root or to us (or, under sudo, to who called it) and
 * must not be writable by others, unless it is sticky, as /tmp is. What is there at the end must
 * belong to the same, must not be a symbolic link, and must not be writable by others. Symbolic
 * links on the way count if they are ours or root's, and then where they lead to counts, too.
 *
 * Returns 0 with *ret_why the reason against it, for people and to be freed, or NULL when there is
 * none; or -ENOMEM.
 */
int path_check(const char *path, enum path_kind kind, char **ret_why);

#endif
