// SPDX-License-Identifier: GPL-2.0-only
/* A file that claims to be the kernel module, and the section in which it says for which kernel. */
#include <errno.h>

#include "daemon/kmod.h"
#include "fuzz.h"

static void judge(const struct kmod_info *info)
{
	const struct kmod_policy policy = { .capable = true, .checks = true };
	_cleanup_free_ char *why = NULL;
	int error;

	CHECK(memchr(info->name, 0, sizeof(info->name)));
	CHECK(memchr(info->release, 0, sizeof(info->release)));
	why = kmod_info_judge(info, "FILE", "7.3.4", &policy, &error);
	CHECK(!why == !error);
	CHECK(kmod_info_taint(info, &policy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *blob = malloc(size ? size : 1);
	struct kmod_info info = { 0 };
	int r;

	CHECK(blob);
	memcpy(blob, data, size);
	if (!kmod_info_parse(blob, size, &info))
		judge(&info);
	info = (struct kmod_info){ 0 };
	r = kmod_info_read(fuzz_file(data, size), &info);
	CHECK(!r || r == -ENOEXEC || r == -ENOMEDIUM);
	if (!r)
		judge(&info);
	return 0;
}
