// SPDX-License-Identifier: GPL-2.0-only
/* Lists that the kernel prints: kallsyms and ftrace's functions, and what kmemleak has found. */
#include "daemon/kmemleak.h"
#include "daemon/symbols.h"
#include "fuzz.h"

static bool is_expected(uint64_t address, void *context)
{
	++*(size_t *)context;
	return address & 1;
}

static void scan_symbols(const char *path)
{
	struct symbol symbols[] = { { .name = "bpf_selem_unlink_nofail" },
				    { .name = "bpf_selem_free" },
				    { .name = "b" } };

	CHECK(!symbols_scan_kallsyms(path, symbols, ARRAY_SIZE(symbols)));
	CHECK(!symbols_scan_traceable(path, symbols, ARRAY_SIZE(symbols)));
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		const char *variant = symbols[i].variant;

		CHECK(memchr(variant, 0, sizeof(symbols[i].variant)));
		CHECK(!*variant || !strncmp(variant, symbols[i].name, strlen(symbols[i].name)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_string(data, size);
	uint64_t first, without;
	size_t n, all, asked = 0;

	all = kmemleak_count(text, NULL, NULL, &first);
	CHECK(all || !first);
	n = kmemleak_count(text, is_expected, &asked, &without);
	CHECK(asked == all && n <= all && !(without & 1));
	scan_symbols(fuzz_file(data, size));
	return 0;
}
