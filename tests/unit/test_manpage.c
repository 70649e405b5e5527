// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is generated from the option table is as it generates it: OPTIONS of bpfsoakd(8), KEYS of
 * bpfsoakd.conf(5), and the configuration file that is installed. SOAK_UPDATE_DOCS=1 in the
 * environment rewrites them instead of comparing them. And the manual page has its sections in
 * order and names every command of --help.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "config.h"
#include "page.h"
#include "util.h"

#define PAGE_FILE DOCS_DIR "/bpfsoakd.8"
#define KEYS_FILE DOCS_DIR "/bpfsoakd.conf.5"
#define CONF_FILE DOCS_DIR "/../systemd/bpfsoakd.conf"

/* Not inlined: gcc 12 takes its result for a pointer to its local variable. */
static __attribute__((noinline)) char *read_text(const char *file)
{
	char *text = NULL;

	assert_int_equal(read_file(file, &text, NULL), 0);
	return text;
}

static void test_options_are_those_of_the_table(void **state)
{
	(void)state;
	compare_section(PAGE_FILE, "OPTIONS", config_dump_options);
}

static void test_keys_are_those_of_the_table(void **state)
{
	(void)state;
	compare_section(KEYS_FILE, "KEYS", config_dump_keys);
}

static void test_installed_file_is_that_of_the_table(void **state)
{
	_cleanup_free_ char *text = captured(config_dump_file), *found = NULL;

	(void)state;
	if (getenv("SOAK_UPDATE_DOCS")) {
		assert_int_equal(write_file_atomic(CONF_FILE, text, strlen(text)), 0);
		return;
	}
	found = read_text(CONF_FILE);
	if (strcmp(found, text))
		fail_msg(CONF_FILE " is out of date: run this test with SOAK_UPDATE_DOCS=1");
}

static void test_sections_stand_in_order(void **state)
{
	static const char *const sections[] = {
		"NAME",	     "SYNOPSIS", "DESCRIPTION",
		"COMMANDS",  "OPTIONS",	 "\"CONFIGURATION FILE\"",
		"INJECTION", "VERDICT",	 "\"EXIT STATUS\"",
		"FILES",     "SIGNALS",	 "CAPABILITIES",
		"EXAMPLES",  "BUGS",	 "\"SEE ALSO\"",
	};
	_cleanup_free_ char *page = read_text(PAGE_FILE);
	const char *p = page;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		_cleanup_free_ char *head = format("\n.SH %s\n", sections[i]);

		p = strstr(p, head);
		if (!p)
			fail_msg("%s is missing or out of order", sections[i]);
	}
}

/* "  run       soak this kernel ..." in --help is ".B run" in the page. */
static void test_every_command_is_described(void **state)
{
	_cleanup_free_ char *page = read_text(PAGE_FILE), *help = captured(config_help);
	char *line = strstr(help, "\nCommands:\n");
	const char *commands = strstr(page, "\n.SH COMMANDS\n");
	unsigned int n = 0;

	(void)state;
	assert_non_null(line);
	assert_non_null(commands);
	line += strlen("\nCommands:\n");
	for (; !strncmp(line, "  ", 2); line = strchr(line, '\n') + 1) {
		_cleanup_free_ char *item = NULL;

		line += 2;
		item = format("\n.B %.*s\n", (int)strcspn(line, " \n"), line);
		if (!strstr(commands, item))
			fail_msg("%.*s is not described", (int)strcspn(line, " \n"), line);
		n++;
	}
	assert_true(n >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_are_those_of_the_table),
		cmocka_unit_test(test_keys_are_those_of_the_table),
		cmocka_unit_test(test_installed_file_is_that_of_the_table),
		cmocka_unit_test(test_sections_stand_in_order),
		cmocka_unit_test(test_every_command_is_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
