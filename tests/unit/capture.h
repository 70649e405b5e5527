/* SPDX-License-Identifier: GPL-2.0-only */
/* What a function prints, as text. For tests: fails the test when out of memory. */
#ifndef SOAK_CAPTURE_H
#define SOAK_CAPTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct capture {
	FILE *out;
	char *text;
	size_t len;
};

static inline void capture_begin(struct capture *c)
{
	c->text = NULL;
	c->out = open_memstream(&c->text, &c->len);
	assert_non_null(c->out);
}

/* The caller frees. */
static inline char *capture_end(struct capture *c)
{
	assert_int_equal(fclose(c->out), 0);
	return c->text;
}

/* What print() writes; the caller frees. */
static inline char *captured(void (*print)(FILE *out))
{
	struct capture c;

	capture_begin(&c);
	print(c.out);
	return capture_end(&c);
}

#endif
