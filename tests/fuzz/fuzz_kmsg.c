// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel log: records as /dev/kmsg gives them, each ended by a byte 0xff, which the kernel
 * escapes in them. What is counted, kept and returned must agree.
 */
#include "daemon/kmsg.h"
#include "fuzz.h"

static uint64_t reports_counted(const struct kmsg *kmsg)
{
	uint64_t n = 0;

	for (unsigned int class = 0; class < KMSG_CLASS_NR; class ++)
		if (class != KMSG_BENIGN)
			n += kmsg_count(kmsg, class);
	return n;
}

static void check_kept(const struct kmsg *kmsg, uint64_t seen)
{
	const struct kmsg_report *reports;
	size_t n = kmsg_reports(kmsg, &reports);

	CHECK(n <= seen && (n == seen || n == 32));
	for (size_t i = 0; i < n; i++) {
		CHECK(reports[i].class > KMSG_BENIGN && reports[i].class < KMSG_CLASS_NR);
		CHECK(*reports[i].text && strlen(reports[i].text) < 32 << 10);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	struct kmsg *kmsg;
	uint64_t seen = 0;

	CHECK(!kmsg_new("/dev/null", &kmsg));
	while (data < end) {
		const uint8_t *mark = memchr(data, 0xff, (size_t)(end - data));
		size_t len = (size_t)((mark ? mark : end) - data);
		_cleanup_free_ char *record = fuzz_string(data, len);
		uint64_t lost = kmsg_lost(kmsg);
		int r = kmsg_feed_record(kmsg, record, len);

		CHECK(r >= 0 && kmsg_lost(kmsg) >= lost);
		seen += (uint64_t)r;
		/* By the machine's clock it may not be said yet whose doing the last one is. */
		CHECK(seen - reports_counted(kmsg) <= 1);
		kmsg_classify(record);
		data += len + 1;
	}
	check_kept(kmsg, seen);
	kmsg_free(kmsg);
	return 0;
}
