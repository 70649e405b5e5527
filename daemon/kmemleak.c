// SPDX-License-Identifier: GPL-2.0-only
/* Asks kmemleak: see kmemleak.h. */
#include "kmemleak.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define FILE_NAME "/sys/kernel/debug/kmemleak"

/* Younger objects are not reported: jiffies_min_age in mm/kmemleak.c. */
#define MIN_AGE_NS (6 * NSEC_PER_SEC)

static const char *const functions[] = {
	"bpf_local_storage_", "bpf_selem_",	   "bpf_sk_storage_",
	"sk_storage_map_",    "bpf_task_storage_", "task_storage_map_",
};

int kmemleak_begin(void)
{
	int r = write_file(FILE_NAME, "scan");

	return r < 0 ? r : write_file(FILE_NAME, "clear");
}

int kmemleak_end(char **ret_text)
{
	int r = write_file(FILE_NAME, "scan");

	if (r < 0)
		return r;
	sleep_ns(MIN_AGE_NS);
	r = write_file(FILE_NAME, "scan");
	return r < 0 ? r : read_file(FILE_NAME, ret_text, NULL);
}

static bool is_of_storage(const char *record, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (memmem(record, len, functions[i], strlen(functions[i])))
			return true;
	return false;
}

size_t kmemleak_count(const char *text, bool (*is_expected)(uint64_t address, void *context),
		      void *context, uint64_t *ret_first)
{
	static const char begin[] = "unreferenced object 0x";
	const char *record = strstr(text, begin), *next;
	size_t n = 0;

	*ret_first = 0;
	for (; record; record = next) {
		uint64_t address = strtoull(record + strlen(begin), NULL, 16);

		next = strstr(record + 1, begin);
		if (!is_of_storage(record, next ? (size_t)(next - record) : strlen(record)) ||
		    (is_expected && is_expected(address, context)))
			continue;
		if (!n++)
			*ret_first = address;
	}
	return n;
}
