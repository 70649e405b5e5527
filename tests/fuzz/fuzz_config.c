// SPDX-License-Identifier: GPL-2.0-only
/*
 * The configuration file. What is accepted is written back by config_dump(), and that must be
 * accepted in turn, and mean the same.
 */
#include "daemon/config.h"
#include "fuzz.h"

static int parse(const uint8_t *data, size_t size, struct config *ret)
{
	_cleanup_free_ char *option = format("--config=%s", fuzz_file(data, size));
	char *argv[] = { "bpfsoakd", "run", option, NULL };

	CHECK(option);
	return config_parse(3, argv, ret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(config_free) struct config first = { 0 }, second = { 0 };
	_cleanup_free_ char *dump = NULL, *again = NULL;

	if (parse(data, size, &first) < 0)
		return 0;
	dump = config_dump(&first);
	CHECK(dump);
	CHECK(!parse((const uint8_t *)dump, strlen(dump), &second));
	again = config_dump(&second);
	CHECK(again && !strcmp(dump, again));
	return 0;
}
