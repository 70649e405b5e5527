// SPDX-License-Identifier: GPL-2.0-only
/* Messages on stderr: see log.h. State is set once, before any thread exists. */
#include "log.h"

#include <stdarg.h>
#include <string.h>

static int log_max_level = LOG_INFO;
static bool log_priorities;

void log_init(int max_level)
{
	log_max_level = max_level;
	log_priorities = !isatty(STDERR_FILENO);
}

void log_at(int level, const char *fmt, ...)
{
	char line[2048];
	size_t len = 0;
	va_list ap;
	int n;

	if (level > log_max_level)
		return;
	if (log_priorities)
		len = (size_t)snprintf(line, sizeof(line), "<%d>", level);
	len += (size_t)snprintf(line + len, sizeof(line) - len, "bpfsoakd: ");
	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	len = MIN(len + (size_t)n, sizeof(line) - 2);
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nowhere left to complain */
}
