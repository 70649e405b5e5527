// SPDX-License-Identifier: GPL-2.0-only
/* To systemd by libsystemd: see notify.h. */
#include "notify.h"

#include <stdarg.h>
#include <systemd/sd-daemon.h>

void notify_send(const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	/* A manager that does not listen loses its own view, not the run. */
	if (text)
		sd_notify(0, text);
}

bool notify_is_heard(void)
{
	return getenv("NOTIFY_SOCKET");
}

uint64_t notify_watchdog_ns(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? us * NSEC_PER_USEC : 0;
}
