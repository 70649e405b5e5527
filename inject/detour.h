/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the backends module and fail_function share: the kernel module loaded and held open, its
 * probes placed, the duels and the schedule of bursts. They differ in who decides at the fault
 * point. Used by the run loop's thread, except that the schedule's thread calls detour_burst()
 * and detour_rest().
 */
#ifndef SOAK_INJECT_DETOUR_H
#define SOAK_INJECT_DETOUR_H

#include "schedule.h"

struct detour;
struct inject_options;
struct probe;
struct snapshot;

/* Loads the module unless it is there, opens its device, places its probes. Logs what is wrong. */
int detour_new(const struct inject_options *options, const char *decide, struct detour **ret);
/* Closes the device, and unloads the module if it was loaded here. NULL is fine. */
void detour_free(struct detour *detour);

/* Sites that are wanted and that this kernel has: bits of enum soak_site. */
unsigned int detour_sites(const struct detour *detour);

int detour_burst(struct detour *detour, const struct burst *burst);
int detour_rest(struct detour *detour);

/* Starts duels and bursts. The module's records are in the ledger's sight from here to free. */
int detour_start(struct detour *detour, const struct schedule_ops *ops, void *backend);
void detour_stop(struct detour *detour);

void detour_read(const struct detour *detour, struct snapshot *ret);

#endif
