// SPDX-License-Identifier: GPL-2.0-only
/* Times of day: see window.h. */
#include "window.h"

#include <errno.h>

#define MINUTES_PER_DAY (24 * 60)

static int take_digit(const char **text, unsigned int *value)
{
	if (**text < '0' || **text > '9')
		return -EINVAL;
	*value = *value * 10 + (unsigned int)(*(*text)++ - '0');
	return 0;
}

static int take_char(const char **text, char c)
{
	return *(*text)++ == c ? 0 : -EINVAL;
}

/* "06:00", always so long, so that nobody reads 6:5 in two ways. */
static int take_time(const char **text, unsigned int *ret)
{
	unsigned int hour = 0, minute = 0;
	int r;

	r = take_digit(text, &hour) ?: take_digit(text, &hour);
	r = r ?: take_char(text, ':');
	r = r ?: take_digit(text, &minute) ?: take_digit(text, &minute);
	if (r < 0 || minute > 59)
		return -EINVAL;
	*ret = hour * 60 + minute;
	return *ret <= MINUTES_PER_DAY ? 0 : -EINVAL;
}

static int take_window(const char **text, unsigned int *ret_from, unsigned int *ret_to)
{
	int r = take_time(text, ret_from);

	r = r ?: take_char(text, '-');
	r = r ?: take_time(text, ret_to);
	return r < 0 || *ret_from == *ret_to || *ret_from == MINUTES_PER_DAY ? -EINVAL : 0;
}

int windows_parse(const char *text, struct windows *ret)
{
	struct windows windows = { 0 };

	do {
		if (windows.n == WINDOWS_MAX || take_window(&text, &windows.list[windows.n].from,
							    &windows.list[windows.n].to) < 0)
			return -EINVAL;
		windows.n++;
	} while (*text == ',' && *++text);
	/* A comma promises more. */
	if (*text || text[-1] == ',')
		return -EINVAL;
	*ret = windows;
	return 0;
}

bool windows_contain(const struct windows *windows, unsigned int minute)
{
	for (size_t i = 0; i < windows->n; i++) {
		unsigned int from = windows->list[i].from, to = windows->list[i].to;

		if (from < to ? minute >= from && minute < to : minute >= from || minute < to)
			return true;
	}
	return !windows->n;
}

bool windows_are_open(const struct windows *windows, time_t when)
{
	struct tm tm;

	if (!windows->n)
		return true;
	/* Without a clock nobody is let in. */
	if (!localtime_r(&when, &tm))
		return false;
	return windows_contain(windows, (unsigned int)(tm.tm_hour * 60 + tm.tm_min));
}
