// SPDX-License-Identifier: GPL-2.0-only
/* Where our cgroup is: mounts and the process' own line, with an empty line between them. */
#include "daemon/own_cgroup.h"
#include "daemon/pressure.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_string(data, size), *dir = NULL;
	char *rest = strstr(text, "\n\n");
	size_t mount = 0;

	pressure_figure(text, "MemAvailable");
	if (!rest)
		return 0;
	rest[1] = '\0';
	if (own_cgroup_find(text, rest + 2, &dir, &mount) < 0) {
		CHECK(!dir);
		return 0;
	}
	CHECK(mount <= strlen(dir));
	CHECK(!dir[mount] || dir[mount] == '/');
	CHECK(!strchr(dir, '\n'));
	/* Never above what is mounted. */
	CHECK(!strstr(dir + mount, "/.."));
	return 0;
}
