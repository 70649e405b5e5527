// SPDX-License-Identifier: GPL-2.0-only
/* A kernel's configuration, as text and as a file that may be gzip. */
#include "daemon/kconfig.h"
#include "fuzz.h"

static void ask(const struct kconfig *kconfig)
{
	static const char name[] = "CONFIG_BPF_SYSCALL";
	const char *value = kconfig_get(kconfig, name);

	CHECK(value || !kconfig_enabled(kconfig, name));
	CHECK(!kconfig_get(kconfig, "CONFIG_"
				    "\x01"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_string(data, size);
	struct kconfig *kconfig = NULL;

	if (!kconfig_parse(text, &kconfig)) {
		ask(kconfig);
		kconfig_free(kconfig);
	}
	kconfig = NULL;
	if (!kconfig_read(fuzz_file(data, size), &kconfig)) {
		ask(kconfig);
		CHECK(*kconfig_path(kconfig));
		kconfig_free(kconfig);
	}
	return 0;
}
