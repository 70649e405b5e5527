/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which functions stand out of line in the running kernel, and which of them ftrace knows. One
 * pass over each list for all names that are asked about. No state; any thread.
 */
#ifndef SOAK_SYMBOLS_H
#define SOAK_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>

struct symbol {
	const char *name;
	bool listed;	  /* in kallsyms under exactly this name */
	bool traceable;	  /* in available_filter_functions */
	char variant[64]; /* "name.constprop.0": only a copy that the compiler changed; or "" */
};

/*
 * Both set what they find and leave the rest alone. Symbols of modules and of BPF programs do not
 * count. Return 0 or -errno.
 */
int symbols_scan_kallsyms(const char *path, struct symbol *symbols, size_t n);
int symbols_scan_traceable(const char *path, struct symbol *symbols, size_t n);

/* NULL when that name was not asked about. */
const struct symbol *symbols_find(const struct symbol *symbols, size_t n, const char *name);

#endif
