/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is to be undone when all processes of a run are killed at once, its janitor included: noted
 * in the directory that the service manager keeps for the run ($RUNTIME_DIRECTORY), and undone by
 * "bpfsoakd restore", which it calls afterwards. Without such a directory nothing is noted. What
 * the run has undone itself is forgotten. Used by the run loop's thread.
 */
#ifndef SOAK_INJECT_UNDO_H
#define SOAK_INJECT_UNDO_H

#include <stddef.h>

#include "janitor.h"

#define UNDO_KNOBS "/sys/kernel/debug/fail_function/" /* nothing else is written */

void undo_note_knobs(const struct restoration *list, size_t n);
void undo_forget_knobs(void);

void undo_note_module(void);
void undo_forget_module(void);

/* Leaves the machine to be rebooted. 0, or -errno: -ENOENT where there is no such directory. */
int undo_note_reboot(void);

struct undo_ops {
	const char *knobs; /* where knobs may be */
	int (*unload)(void);
	int (*reboot)(void);
};

/*
 * Undoes all that is noted in dir, in this order: knobs, module, reboot. Notes of what could not be
 * undone stay. Does nothing where nothing is noted. 0, or the first -errno, all of them said.
 */
int undo_all(const char *dir, const struct undo_ops *ops);

/* With the directory of the environment and the kernel's own knobs. Returns an exit code. */
int undo_main(void);

#endif
