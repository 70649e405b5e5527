// SPDX-License-Identifier: GPL-2.0-only
/* The kernel module's device: see device.h. */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/snapshot.h"
#include "daemon/util.h"
#include "inject/kmod/rqspinlock_fault.h"

#define TEXT_MAX 65536
#define HIGH_FD	 900 /* below the usual limit of 1024 */

_Static_assert((int)RQF_SITE_NR == (int)SOAK_SITE_NR, "sites of the module and of the ledger");
_Static_assert((int)RQF_DESTROY_STORAGE == (int)SOAK_SITE_DESTROY_STORAGE, "their order");
_Static_assert((int)RQF_LINK_MAP == (int)SOAK_SITE_LINK_MAP, "their order");

_Static_assert(RQF_VALUE_MAGIC == SOAK_VALUE_MAGIC, "values of ours");
_Static_assert(RQF_VALUE_COOKIE == offsetof(struct soak_value, cookie), "values of ours");
_Static_assert(RQF_VALUE_ROLE == offsetof(struct soak_value, role), "values of ours");
_Static_assert(RQF_ROLE_DUEL == SOAK_ROLE_DUEL, "values of ours");

int device_open(void)
{
	int fd = open(RQF_DEVICE, O_RDWR | O_CLOEXEC), high;

	if (fd < 0)
		return -errno;
	/* The files of a process that dies are let go from the last to the first. */
	high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	if (high < 0)
		return fd;
	close(fd);
	return high;
}

int device_configure(int fd, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	if (!text)
		return -ENOMEM;
	/* In one go: a part of it would be another configuration. */
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

char *device_sites(unsigned int sites)
{
	char *text = NULL;

	for (unsigned int i = 0; i < SOAK_SITE_NR; i++) {
		char *longer;

		if (!(sites & (1u << i)))
			continue;
		longer = format("%s%s%s", text ? text : "", text ? "," : "", site_name(i));
		free(text);
		text = longer;
		if (!text)
			return NULL;
	}
	return text ? text : strdup("");
}

static int site_of(const char *name)
{
	for (unsigned int i = 0; i < SOAK_SITE_NR; i++)
		if (!strcmp(name, site_name(i)))
			return (int)i;
	return -ENOENT;
}

/* "calls_map_free_bucket": the site behind a prefix, or -ENOENT. */
static int site_behind(const char *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(key, prefix, len) ? -ENOENT : site_of(key + len);
}

static unsigned int parse_sites(char *names)
{
	char *rest = NULL, *name;
	unsigned int sites = 0;
	int site;

	for (name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		site = site_of(name);
		if (site >= 0)
			sites |= 1u << site;
	}
	return sites;
}

static void parse_held(char *counts, struct snapshot_module *ret)
{
	char *rest = NULL, *count;

	for (count = strtok_r(counts, " ", &rest); count; count = strtok_r(NULL, " ", &rest)) {
		long held = strtol(count, NULL, 10);

		if (__builtin_add_overflow(ret->held, held, &ret->held))
			ret->held = held < 0 ? INT64_MIN : INT64_MAX;
		ret->held_cpus += held != 0;
	}
}

static bool parse_errors(const char *key, uint64_t value, struct snapshot_module *ret)
{
	for (unsigned int kind = 0; kind < FAULT_NR; kind++) {
		char prefix[40];
		int site;

		snprintf(prefix, sizeof(prefix), "%s_timedout_", fault_kind_name(kind));
		site = site_behind(key, prefix);
		if (site >= 0) {
			ret->timeouts[kind][site] = value;
			return true;
		}
		snprintf(prefix, sizeof(prefix), "%s_deadlk_", fault_kind_name(kind));
		site = site_behind(key, prefix);
		if (site >= 0) {
			ret->deadlocks[kind][site] = value;
			return true;
		}
	}
	return false;
}

static void parse_site_figure(const char *key, char *value, struct snapshot_module *ret)
{
	uint64_t number = strtoull(value, NULL, 10);
	int site;

	if (parse_errors(key, number, ret))
		return;
	site = site_behind(key, "calls_");
	if (site >= 0)
		ret->calls[site] = number;
	site = site_behind(key, "passed_");
	if (site >= 0)
		ret->passed[site] = number;
	site = site_behind(key, "site_");
	if (site < 0 || strncmp(value, "present ", strlen("present ")))
		return;
	ret->sites_here |= 1u << site;
	if (!strncmp(value, "present forceable", strlen("present forceable")))
		ret->sites_forceable |= 1u << site;
}

static void parse_line(const char *key, char *value, struct snapshot_module *ret,
		       uint64_t *ret_frames)
{
	const struct {
		const char *key;
		uint64_t *target;
	} numbers[] = {
		{ "probability", &ret->probability },
		{ "interval", &ret->interval },
		{ "missed", &ret->missed },
		{ "hidden", &ret->hidden },
		{ "crowded", &ret->crowded },
		{ "evicted", &ret->evicted },
		{ "refused", &ret->refused },
		{ "strange", &ret->strange },
		{ "frames", ret_frames },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (!strcmp(key, numbers[i].key)) {
			*numbers[i].target = strtoull(value, NULL, 10);
			return;
		}
	}
	if (!strcmp(key, "armed"))
		ret->armed = *value == '1';
	else if (!strcmp(key, "decide"))
		snprintf(ret->decide, sizeof(ret->decide), "%s", value);
	else if (!strcmp(key, "error"))
		snprintf(ret->error, sizeof(ret->error), "%s", value);
	else if (!strcmp(key, "fail"))
		ret->sites = parse_sites(value);
	else if (!strcmp(key, "held"))
		parse_held(value, ret);
	else
		parse_site_figure(key, value, ret);
}

static bool is_our_version(const char *text)
{
	const char *abi = strncmp(text, "abi ", 4) ? strstr(text, "\nabi ") : text;

	return abi && strtol(strchr(abi, ' '), NULL, 10) == RQF_ABI;
}

int device_parse(const char *text, struct snapshot_module *ret, uint64_t *ret_frames)
{
	_cleanup_free_ char *copy = strdup(text);
	struct snapshot_module module = { .present = true };
	char *rest = NULL, *line;
	uint64_t frames = 0;

	if (!copy)
		return -ENOMEM;
	if (!is_our_version(text))
		return -EPROTO;
	for (line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, ' ');

		if (!value)
			continue;
		*value++ = 0;
		parse_line(line, value, &module, &frames);
	}
	*ret = module;
	if (ret_frames)
		*ret_frames = frames;
	return 0;
}

int device_read(int fd, struct snapshot_module *ret, uint64_t *ret_frames)
{
	_cleanup_free_ char *text = malloc(TEXT_MAX + 1);
	ssize_t n;

	if (!text)
		return -ENOMEM;
	/* From the start, and so made anew. */
	n = pread(fd, text, TEXT_MAX, 0);
	if (n < 0)
		return -errno;
	text[n] = 0;
	return device_parse(text, ret, ret_frames);
}
