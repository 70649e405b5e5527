// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a kernel configuration: see kconfig.h. The text is cut in place into names and values;
 * a sorted index points into it.
 */
#include "kconfig.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "util.h"

#define KCONFIG_MAX (16u << 20)
#define NOT_SET	    " is not set"

struct option {
	const char *name;
	const char *value;
};

struct kconfig {
	char *text;
	char *path;
	struct option *options;
	size_t n_options;
	size_t capacity;
};

static void gzclosep(gzFile *file)
{
	if (*file)
		gzclose(*file);
}

void kconfig_free(struct kconfig *kconfig)
{
	if (!kconfig)
		return;
	free(kconfig->options);
	free(kconfig->text);
	free(kconfig->path);
	free(kconfig);
}

/* As Kconfig has them, which takes no other characters. */
static bool is_name(const char *name)
{
	static const char valid[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_";

	return name[strspn(name, valid)] == '\0';
}

/* What has no proper name is a comment as well. */
static int add_option(struct kconfig *kconfig, const char *name, const char *value)
{
	if (!is_name(name))
		return 0;
	if (kconfig->n_options == kconfig->capacity) {
		size_t capacity = kconfig->capacity ? kconfig->capacity * 2 : 1024;
		struct option *bigger;

		bigger = reallocarray(kconfig->options, capacity, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		kconfig->options = bigger;
		kconfig->capacity = capacity;
	}
	kconfig->options[kconfig->n_options++] = (struct option){ name, value };
	return 0;
}

static char *unquote(char *value)
{
	size_t len = strlen(value);

	if (len < 2 || value[0] != '"' || value[len - 1] != '"')
		return value;
	value[len - 1] = '\0';
	return value + 1;
}

/* "NAME=value" or "# NAME is not set"; anything else is a comment. */
static int parse_line(struct kconfig *kconfig, char *line)
{
	char *end;

	if (!strncmp(line, "# CONFIG_", 9)) {
		end = strstr(line, NOT_SET);
		if (!end || end[strlen(NOT_SET)])
			return 0;
		*end = '\0';
		return add_option(kconfig, line + 2, "n");
	}
	if (strncmp(line, "CONFIG_", 7))
		return 0;
	end = strchr(line, '=');
	if (!end)
		return 0;
	*end = '\0';
	return add_option(kconfig, line, unquote(end + 1));
}

static int compare_options(const void *a, const void *b)
{
	return strcmp(((const struct option *)a)->name, ((const struct option *)b)->name);
}

/* Takes text over, also on failure. */
static int parse_owned(char *text, struct kconfig **ret)
{
	_cleanup_(kconfig_freep) struct kconfig *kconfig = calloc(1, sizeof(*kconfig));
	char *line, *rest;
	int r;

	if (!kconfig) {
		free(text);
		return -ENOMEM;
	}
	kconfig->text = text;
	for (line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
		r = parse_line(kconfig, line);
		if (r < 0)
			return r;
	}
	if (!kconfig->n_options)
		return -EINVAL;
	qsort(kconfig->options, kconfig->n_options, sizeof(*kconfig->options), compare_options);
	*ret = TAKE_PTR(kconfig);
	return 0;
}

int kconfig_parse(const char *text, struct kconfig **ret)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	return parse_owned(copy, ret);
}

/* zlib reads a file that is not gzip as it is. */
static int read_gz(const char *path, char **ret)
{
	_cleanup_(gzclosep) gzFile file = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0, capacity = 0;
	int n;

	errno = 0;
	file = gzopen(path, "re");
	if (!file)
		return errno ? -errno : -ENOMEM;
	do {
		if (capacity - len < 2) {
			char *bigger;

			if (capacity >= KCONFIG_MAX)
				return -EFBIG;
			capacity = capacity ? capacity * 2 : 1u << 17;
			bigger = realloc(text, capacity);
			if (!bigger)
				return -ENOMEM;
			text = bigger;
		}
		n = gzread(file, text + len, (unsigned int)(capacity - len - 1));
		if (n < 0)
			return -EIO;
		len += (size_t)n;
	} while (n > 0);
	text[len] = '\0';
	/* The end of a cut gzip stream shows only here. */
	if (gzclose(TAKE_PTR(file)) != Z_OK)
		return -EIO;
	*ret = TAKE_PTR(text);
	return 0;
}

int kconfig_read(const char *path, struct kconfig **ret)
{
	_cleanup_(kconfig_freep) struct kconfig *kconfig = NULL;
	char *text = NULL;
	int r;

	r = read_gz(path, &text);
	if (r < 0)
		return r;
	r = parse_owned(text, &kconfig);
	if (r < 0)
		return r;
	kconfig->path = strdup(path);
	if (!kconfig->path)
		return -ENOMEM;
	*ret = TAKE_PTR(kconfig);
	return 0;
}

int kconfig_load(const char *root, const char *release, struct kconfig **ret)
{
	static const struct {
		const char *before;
		bool has_release;
		const char *after;
	} places[] = {
		{ "/proc/config.gz", false, "" },
		{ "/boot/config-", true, "" },
		{ "/lib/modules/", true, "/config" },
		{ "/lib/modules/", true, "/build/.config" },
	};
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *path = NULL;

		path = format("%s%s%s%s", root, places[i].before,
			      places[i].has_release ? release : "", places[i].after);
		if (!path)
			return -ENOMEM;
		r = kconfig_read(path, ret);
		if (!r || r == -ENOMEM)
			return r;
	}
	return r;
}

const char *kconfig_path(const struct kconfig *kconfig)
{
	return kconfig->path ? kconfig->path : "";
}

const char *kconfig_get(const struct kconfig *kconfig, const char *name)
{
	struct option key = { .name = name };
	const struct option *found;

	found = bsearch(&key, kconfig->options, kconfig->n_options, sizeof(key), compare_options);
	return found ? found->value : NULL;
}

bool kconfig_enabled(const struct kconfig *kconfig, const char *name)
{
	const char *value = kconfig_get(kconfig, name);

	return value && (!strcmp(value, "y") || !strcmp(value, "m"));
}
