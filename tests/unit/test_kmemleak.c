// SPDX-License-Identifier: GPL-2.0-only
/* What kmemleak says, read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kmemleak.h"

static const char text[] = "unreferenced object 0xffff888104d25400 (size 64):\n"
			   "  comm \"kworker/0:1\", pid 12, jiffies 4294938402\n"
			   "  hex dump (first 32 bytes):\n"
			   "    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................\n"
			   "  backtrace (crc 0):\n"
			   "    __kmalloc_node+0x1d2/0x2a0\n"
			   "    bpf_local_storage_map_alloc+0x91/0x1c0\n"
			   "    map_create+0x2f1/0x7f0\n"
			   "unreferenced object 0xffff888104d25480 (size 64):\n"
			   "  backtrace (crc 0):\n"
			   "    __kmalloc_node+0x1d2/0x2a0\n"
			   "    somebody_else+0x91/0x1c0\n"
			   "unreferenced object 0xffff888104d25500 (size 512):\n"
			   "  backtrace (crc 0):\n"
			   "    bpf_selem_alloc+0x41/0x90\n";

static bool is_last(uint64_t address, void *context)
{
	(void)context;
	return address == 0xffff888104d25500;
}

static void test_records(void **state)
{
	uint64_t first;

	(void)state;
	assert_int_equal(kmemleak_count(text, NULL, NULL, &first), 2);
	assert_int_equal(first, 0xffff888104d25400);
	assert_int_equal(kmemleak_count(text, is_last, NULL, &first), 1);
	assert_int_equal(kmemleak_count("", NULL, NULL, &first), 0);
	assert_int_equal(first, 0);
	assert_int_equal(kmemleak_count("unreferenced object 0x", NULL, NULL, &first), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_records) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
