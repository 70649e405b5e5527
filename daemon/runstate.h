/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tells a run that came to its end from one that died: DIR/run.state, "key = value" lines,
 * synced when the run begins ("state = running") and once more when it ends ("state = ended").
 * Whoever begins a run in the same directory and finds one that is running still has found what is
 * left of a dead one. Called by the run loop only, before there are threads.
 */
#ifndef SOAK_RUNSTATE_H
#define SOAK_RUNSTATE_H

#include <stdbool.h>

struct config;
struct probe;

struct runstate_paths {
	const char *boot_id; /* NULL: /proc/sys/kernel/random/boot_id */
	const char *pstore;  /* NULL: /sys/fs/pstore */
	const char *kmsg;    /* NULL: /dev/kmsg */
};

/*
 * Looks for an unfinished run in dir. If there is one, what it left there (run.state, report.json,
 * findings) goes to dir/unfinished-N with a summary.txt, and with what the kernel said: its last
 * words that pstore holds when the machine was booted since, else kernel.log, from the beginning of
 * that run on. What speaks against the kernel there is logged as the violation that it is.
 * *ret_path: that directory, for the caller to free; NULL when there is none. paths may be NULL.
 * Returns 0 or -errno: -EBUSY when that run is still under way, in another process.
 */
int runstate_recover(const char *dir, const struct runstate_paths *paths, char **ret_path);

/* Both make dir when it is missing. Return 0 or -errno. */
int runstate_begin(const char *dir, const struct runstate_paths *paths, const struct config *config,
		   const struct probe *probe);
int runstate_end(const char *dir);

#endif
