// SPDX-License-Identifier: GPL-2.0-only
/* To systemd by libsystemd: see notify.h. */
#include "notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "log.h"

static int kept = -1;

void notify_keep(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	size_t len = name ? strlen(name) : 0;

	if (!len || *name != '@' || len > sizeof(address.sun_path) || kept >= 0)
		return;
	memcpy(address.sun_path, name, len);
	address.sun_path[0] = '\0';
	len += offsetof(struct sockaddr_un, sun_path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, (socklen_t)len) < 0)
		log_warning("cannot connect to $NOTIFY_SOCKET: %s", strerror(errno));
	else
		kept = TAKE_FD(fd);
}

void notify_send(const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	/* A manager that does not listen loses its own view, not the run. */
	if (text && kept >= 0)
		send(kept, text, strlen(text), MSG_NOSIGNAL);
	else if (text)
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
