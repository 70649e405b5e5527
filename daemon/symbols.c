// SPDX-License-Identifier: GPL-2.0-only
/* Streams kallsyms and ftrace's list (some 200,000 lines) past a few names: see symbols.h. */
#include "symbols.h"

#include <errno.h>
#include <string.h>

#include "util.h"

typedef void (*symbol_fn)(struct symbol *symbol, const char *name);

/* A ".cold" part is no copy of the function. */
static bool is_variant(const struct symbol *symbol, const char *name)
{
	size_t len = strlen(symbol->name);

	return !strncmp(name, symbol->name, len) && name[len] == '.' && !strstr(name, ".cold");
}

static void note_listed(struct symbol *symbol, const char *name)
{
	if (!strcmp(symbol->name, name))
		symbol->listed = true;
	else if (is_variant(symbol, name))
		snprintf(symbol->variant, sizeof(symbol->variant), "%s", name);
}

static void note_traceable(struct symbol *symbol, const char *name)
{
	if (!strcmp(symbol->name, name))
		symbol->traceable = true;
}

/* The field'th word of each line is a name; a line with "[module]" is not the kernel's own. */
static int scan(const char *path, unsigned int field, symbol_fn note, struct symbol *symbols,
		size_t n)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!file)
		return -errno;
	errno = 0;
	while (getline(&line, &size, file) >= 0) {
		char *rest, *word = strtok_r(line, " \t\n", &rest);

		for (unsigned int i = 0; word && i < field; i++)
			word = strtok_r(NULL, " \t\n", &rest);
		if (!word || strchr(rest, '['))
			continue;
		for (size_t i = 0; i < n; i++) {
			if (symbols[i].name[0] == word[0])
				note(&symbols[i], word);
		}
	}
	return ferror(file) && errno ? -errno : 0;
}

int symbols_scan_kallsyms(const char *path, struct symbol *symbols, size_t n)
{
	return scan(path, 2, note_listed, symbols, n);
}

int symbols_scan_traceable(const char *path, struct symbol *symbols, size_t n)
{
	return scan(path, 0, note_traceable, symbols, n);
}

const struct symbol *symbols_find(const struct symbol *symbols, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(symbols[i].name, name))
			return &symbols[i];
	}
	return NULL;
}
