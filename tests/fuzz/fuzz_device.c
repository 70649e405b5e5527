// SPDX-License-Identifier: GPL-2.0-only
/* The text that the kernel module's device gives. */
#include <errno.h>

#include "daemon/snapshot.h"
#include "fuzz.h"
#include "inject/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_string(data, size);
	_cleanup_free_ char *names = NULL;
	struct snapshot_module module = { .probability = 4711 };
	uint64_t frames = 4711;
	int r = device_parse(text, &module, &frames);

	CHECK(!r || r == -EPROTO);
	if (r < 0) {
		CHECK(frames == 4711 && module.probability == 4711 && !module.present);
		return 0;
	}
	CHECK(module.present);
	CHECK(memchr(module.decide, 0, sizeof(module.decide)));
	CHECK(memchr(module.error, 0, sizeof(module.error)));
	CHECK(!(module.sites >> SOAK_SITE_NR) && !(module.sites_here >> SOAK_SITE_NR));
	CHECK(!(module.sites_forceable & ~module.sites_here));
	names = device_sites(module.sites);
	CHECK(names && !*names == !module.sites);
	CHECK(!device_parse(text, &module, NULL));
	return 0;
}
