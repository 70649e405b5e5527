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

/* Nothing else is written to, or removed. */
#define UNDO_KNOBS   "/sys/kernel/debug/fail_function/"
#define UNDO_CPUS    "/sys/devices/system/cpu/"
#define UNDO_CGROUPS "/sys/fs/cgroup/"

void undo_note_knobs(const struct restoration *list, size_t n);
void undo_forget_knobs(void);

void undo_note_module(void);
void undo_forget_module(void);

/* CPUs that are to be online. */
void undo_note_cpus(const unsigned int *cpus, size_t n);
void undo_forget_cpus(void);

/* Our cgroup's directory: empty by then. */
void undo_note_cgroup(const char *dir);
void undo_forget_cgroup(void);

/* Leaves the machine to be rebooted. 0, or -errno: -ENOENT where there is no such directory. */
int undo_note_reboot(void);

struct undo_ops {
	const char *knobs;   /* where knobs may be */
	const char *cpus;    /* where the CPUs' directories are */
	const char *cgroups; /* where our cgroup may be */
	int (*unload)(void);
	int (*reboot)(void);
};

/*
 * Undoes all that is noted in dir, in this order: knobs, CPUs, cgroup, module, reboot. Notes of
 * what could not be undone stay. Does nothing where nothing is noted. 0, or the first -errno, all
 * of them said.
 */
int undo_all(const char *dir, const struct undo_ops *ops);

/* With the directory of the environment and the kernel's own knobs. Returns an exit code. */
int undo_main(void);

#endif
