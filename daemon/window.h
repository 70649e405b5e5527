/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Times of day at which a run may churn and inject, as --window has them: "22:00-06:00", several
 * with commas between. In local time, and pure but for windows_are_open().
 */
#ifndef SOAK_WINDOW_H
#define SOAK_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define WINDOWS_MAX 16

struct windows {
	size_t n; /* 0: always */
	struct {
		unsigned int from, to; /* minutes since midnight; to is not part of it */
	} list[WINDOWS_MAX];
};

/*
 * Returns 0, or -EINVAL: not such a list, one that begins when it ends, or too many. A window may
 * go past midnight; 24:00 is an end only. ret is untouched on failure.
 */
int windows_parse(const char *text, struct windows *ret);

/* Of a minute since midnight. */
bool windows_contain(const struct windows *windows, unsigned int minute);

/* By the clock on the wall here, daylight saving time included. */
bool windows_are_open(const struct windows *windows, time_t when);

#endif
