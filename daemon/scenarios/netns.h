/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A network namespace for each worker that wants one, in which limits are its own affair: what
 * sockets may be charged for options, storage included (net.core.optmem_max), is one for each
 * namespace. A socket stays in the one that it was made in. Shared by the scenarios of one worker;
 * used by its thread only.
 */
#ifndef SOAK_SCENARIO_NETNS_H
#define SOAK_SCENARIO_NETNS_H

#include <stdbool.h>

struct netns;
struct worker;

#define NETNS_ROOM (1u << 20) /* for optmem: more than a few dozens of values take */

/* What is missing for it on this machine, as scenario.h's lacks(); NULL: nothing. */
const char *netns_lacks(void);

/* This worker's, made when there is none yet; NULL: not possible now. Ended by netns_put(). */
struct netns *netns_get(struct worker *w);
void netns_put(struct worker *w);

/* The calling thread enters it, and what it makes is there, until netns_leave(). 0 or -errno. */
int netns_enter(const struct netns *netns);
void netns_leave(const struct netns *netns);

/* Sets what a socket there may be charged for options, in bytes. 0 or -errno. */
int netns_limit(const struct netns *netns, unsigned int bytes);

/* Sets another knob below /proc/sys/net there. 0 or -errno. */
int netns_set(const struct netns *netns, const char *knob, const char *text);

/* What this socket is charged for options; negative: it cannot be known. */
int netns_charged(int fd);

#endif
