// SPDX-License-Identifier: GPL-2.0-only
/* Boots the machine anew: see reboot.h. */
#include "reboot.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "log.h"

/* There exactly where systemd is process 1: sd_booted(3). */
#define SYSTEMD_IS_INIT "/run/systemd/system"

int reboot_now(void)
{
	int r;

	log_warning("the leak budget is used up: booting this machine anew (--on-budget=reboot)");
	sync();
	/* systemd starts reboot.target on this signal: systemd(1). */
	r = access(SYSTEMD_IS_INIT, F_OK) ? reboot(RB_AUTOBOOT) : kill(1, SIGRTMIN + 5);
	if (!r)
		return 0;
	r = -errno;
	log_error("cannot reboot: %s%s", strerror(-r),
		  r == -EPERM ? " (only root can, or CAP_SYS_BOOT without systemd)" : "");
	return r;
}
