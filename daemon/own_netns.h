/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A network namespace of the run's own: sockets of owners live there, so that churn touches no
 * address, port, limit or filter of the host's. It ends with the last process in it.
 */
#ifndef SOAK_OWN_NETNS_H
#define SOAK_OWN_NETNS_H

#include <stdbool.h>

/*
 * Moves the calling thread, which must be the only one, into a new namespace with its loopback up
 * and the host's limit on a socket's option memory. What must go on talking to the host is to be
 * connected before (notify_keep()). True when so; else the thread is where it was, and it has been
 * said why, and what sockets touch there.
 */
bool own_netns_enter(void);

/* A part of the above, for tests. True when a UDP socket can be bound to its loopback address. */
bool own_netns_has_loopback(int family);

#endif
