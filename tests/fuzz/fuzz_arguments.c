// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line, one word a line. config_arguments(), which findings print for people to run
 * again, must be understood, and mean the same.
 */
#include "daemon/config.h"
#include "fuzz.h"

#define WORDS_MAX 64

/* As a shell does it with what config_quote() writes. Cuts text in place; the number of words. */
static int split_quoted(char *text, char **words)
{
	bool quoted = false, in_word = false;
	char *out = text;
	int n = 0;

	for (const char *p = text; *p; p++) {
		if (*p == '\'') {
			quoted = !quoted;
			continue;
		}
		if (*p == ' ' && !quoted) {
			if (in_word)
				*out++ = '\0';
			in_word = false;
			continue;
		}
		if (*p == '\\' && !quoted)
			p++;
		if (!in_word) {
			CHECK(n < WORDS_MAX);
			words[n++] = out;
		}
		in_word = true;
		*out++ = *p;
	}
	CHECK(!quoted);
	*out = '\0';
	return n;
}

static void check_arguments(const struct config *config)
{
	_cleanup_(config_free) struct config second = { 0 };
	_cleanup_free_ char *printed = config_arguments(config), *again = NULL, *copy = NULL;
	char *argv[WORDS_MAX + 3] = { "bpfsoakd", "run" };
	int n;

	CHECK(printed);
	copy = strdup(printed);
	CHECK(copy);
	/* A quoted word begins within --key='...', so a space always ends one. */
	n = split_quoted(copy, argv + 2);
	CHECK(!config_parse(n + 2, argv, &second));
	again = config_arguments(&second);
	CHECK(again && !strcmp(printed, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_string(data, size);
	_cleanup_(config_free) struct config config = { 0 };
	char *argv[WORDS_MAX + 2] = { "bpfsoakd" };
	char *rest = text, *word;
	int n = 1;

	log_init(-1);
	while (n < WORDS_MAX && (word = strsep(&rest, "\n"))) {
		/* Any file of this machine is not what is tested. */
		if (!strncmp(word, "--config", strlen("--config")))
			return 0;
		argv[n++] = word;
	}
	if (config_parse(n, argv, &config) < 0)
		return 0;
	if (config.command == COMMAND_RUN)
		check_arguments(&config);
	return 0;
}
