/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Takes CPUs offline and brings them back, by sysfs (Documentation/core-api/cpu_hotplug.rst): one
 * at a time, never the first, and only those that were online at the start. However the process
 * ends they are online again: a janitor process writes that (inject/janitor.h), and where all
 * processes are killed at once "bpfsoakd restore" does (inject/undo.h). One thread at a time.
 */
#ifndef SOAK_HOTPLUG_H
#define SOAK_HOTPLUG_H

#include <sched.h>

#define HOTPLUG_DIR "/sys/devices/system/cpu"

struct hotplug;

/*
 * Shows that it can be done, by doing it once: there must be no load, no other thread and no BPF
 * object yet. 0; -EOPNOTSUPP after saying what is missing; or -ENOMEM. dir is HOTPLUG_DIR but for
 * tests.
 */
int hotplug_new(const char *dir, struct hotplug **ret);

/* Brings back what is offline, and ends the janitor. Takes NULL. */
void hotplug_free(struct hotplug *hotplug);

/* Those that can be taken. */
const cpu_set_t *hotplug_cpus(const struct hotplug *hotplug);

/* The one that is offline, or -1. */
int hotplug_offline(const struct hotplug *hotplug);

/* None must be offline. 0 or -errno, as the kernel refuses it. May take as long as RCU does. */
int hotplug_take(struct hotplug *hotplug, int cpu);

/* Brings back the one that is offline, if there is one. 0 or -errno, and then it still is. */
int hotplug_give_back(struct hotplug *hotplug);

#endif
