/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way to the service manager: systemd's notification socket, by libsystemd. Built without it
 * (notify-fallback.c) nobody is told anything. No state of ours; any thread.
 */
#ifndef SOAK_NOTIFY_H
#define SOAK_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

/* Assignments, one a line, as in sd_notify(3). Nothing happens where nobody listens. */
void notify_send(const char *fmt, ...) _printf_(1, 2);

/*
 * A socket with a name of no file ("@...") is found in the sender's network namespace: it is
 * connected to now, for all that is sent later, before that namespace is left. Once, before there
 * are threads.
 */
void notify_keep(void);

/* Somebody waits to be told, and this build can tell. */
bool notify_is_heard(void);

/* What the service manager's watchdog waits for a sign of life; 0: it has none for us. */
uint64_t notify_watchdog_ns(void);

#endif
