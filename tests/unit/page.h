/* SPDX-License-Identifier: GPL-2.0-only */
/* A manual page, a section of which is printed by the code. For tests. */
#ifndef SOAK_PAGE_H
#define SOAK_PAGE_H

#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "util.h"

/*
 * The blocks of a section, which may begin with words of its own, are what print() prints. With
 * SOAK_UPDATE_DOCS in the environment they are made so.
 */
static inline void compare_section(const char *file, const char *section, void (*print)(FILE *out))
{
	_cleanup_free_ char *blocks = captured(print), *head = format("\n.SH %s\n", section);
	_cleanup_free_ char *page = NULL, *found = NULL;
	char *begin, *end;

	assert_int_equal(read_file(file, &page, NULL), 0);
	/* A change of font that lost its backslash is a form feed. */
	assert_null(strchr(blocks, '\f'));
	begin = strstr(page, head);
	assert_non_null(begin);
	end = strstr(begin + strlen(head), "\n.SH ");
	assert_non_null(end);
	begin = strstr(begin, "\n.TP\n");
	assert_true(begin && begin < end);
	begin++;
	end++;
	if (getenv("SOAK_UPDATE_DOCS")) {
		_cleanup_free_ char *new =
			format("%.*s%s%s", (int)(begin - page), page, blocks, end);

		assert_int_equal(write_file_atomic(file, new, strlen(new)), 0);
		return;
	}
	found = strndup(begin, (size_t)(end - begin));
	assert_non_null(found);
	if (strcmp(found, blocks))
		fail_msg("%s is out of date: run this test with SOAK_UPDATE_DOCS=1", file);
}

#endif
