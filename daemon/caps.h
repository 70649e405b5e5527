/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this thread may do, asked for before the kernel is: a filter of system calls, such as that
 * of the service, may kill who calls what it does not let through. No state, any thread.
 */
#ifndef SOAK_CAPS_H
#define SOAK_CAPS_H

#include <stdbool.h>
#include <sys/capability.h>

/* Is it among the effective capabilities? */
bool caps_has(cap_value_t cap);

#endif
