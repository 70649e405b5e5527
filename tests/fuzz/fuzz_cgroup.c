// SPDX-License-Identifier: GPL-2.0-only
/* /proc/self/mountinfo, an empty line, /proc/self/cgroup. */
#include "daemon/cgroup.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_string(data, size), *dir = NULL;
	char *self = strstr(text, "\n\n");
	size_t mount = 0;
	int r;

	if (self) {
		*self = '\0';
		self += 2;
	}
	r = cgroup_own_dir(text, self ? self : "", &dir, &mount);
	CHECK(!r == !!dir);
	CHECK(!dir || (*dir == '/' && mount <= strlen(dir) && (!dir[mount] || dir[mount] == '/')));
	return 0;
}
