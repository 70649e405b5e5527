/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's own messages, on stderr. A terminal gets plain text; anything else gets the
 * journald priority prefix ("<3>"). Each call is one write, so lines of several threads do not
 * mix. libbpf's output comes through here too.
 */
#ifndef SOAK_LOG_H
#define SOAK_LOG_H

#include <syslog.h>

#include "util.h"

/* Called once, before any thread. Messages less urgent than max_level are dropped. */
void log_init(int max_level);

void log_at(int level, const char *fmt, ...) _printf_(2, 3);

#define log_error(...)	 log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	 log_at(LOG_DEBUG, __VA_ARGS__)

#endif
