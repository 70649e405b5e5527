/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of a leak budget where it is to be the end of the boot: --on-budget=reboot. No state. */
#ifndef SOAK_REBOOT_H
#define SOAK_REBOOT_H

/*
 * Writes everything to disk, then has this machine boot anew: in order by systemd where that is
 * process 1, else at once. Returns 0 when it is under way, or -errno after saying why not.
 */
int reboot_now(void);

#endif
