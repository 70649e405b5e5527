// SPDX-License-Identifier: GPL-2.0-only
/* Dumps of sockets by netlink: whatever comes, only what is there is shown. */
#include <errno.h>

#include "daemon/sock_diag.h"
#include "fuzz.h"

struct bounds {
	const uint8_t *from, *to;
};

static void see(void *arg, const struct sock_diag_value *value)
{
	const struct bounds *bounds = arg;
	const uint8_t *at = value->value;

	CHECK(value->map_id);
	CHECK(at >= bounds->from && at <= bounds->to);
	CHECK(value->size <= (size_t)(bounds->to - at));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bounds bounds = { data, data + size };
	int r = sock_diag_parse(data, size, see, &bounds);

	CHECK(r == 0 || r == 1 || (r < 0 && r >= -4095));
	CHECK(size || !r);
	return 0;
}
