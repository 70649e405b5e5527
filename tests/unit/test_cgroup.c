// SPDX-License-Identifier: GPL-2.0-only
/* Our own cgroup's directory, from what the kernel tells of mounts and of the process. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/cgroup.h"
#include "daemon/util.h"

#define PROC	"22 26 0:20 / /proc rw,relatime shared:5 - proc proc rw\n"
#define UNIFIED "28 22 0:25 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"

static void finds(const char *mountinfo, const char *self, const char *expected)
{
	_cleanup_free_ char *dir = NULL;
	size_t mount;

	assert_int_equal(cgroup_own_dir(mountinfo, self, &dir, &mount), 0);
	assert_string_equal(dir, expected);
	assert_true(mount <= strlen(dir) && (!dir[mount] || dir[mount] == '/'));
}

static void refuses(const char *mountinfo, const char *self, int error)
{
	_cleanup_free_ char *dir = NULL;

	assert_int_equal(cgroup_own_dir(mountinfo, self, &dir, NULL), error);
	assert_null(dir);
}

static void test_unified(void **state)
{
	(void)state;
	finds(PROC UNIFIED, "0::/system.slice/bpfsoakd.service\n",
	      "/sys/fs/cgroup/system.slice/bpfsoakd.service");
	finds(UNIFIED PROC, "0::/\n", "/sys/fs/cgroup");
	/* No tags, several, and no end of the line. */
	finds("28 22 0:25 / /cg rw - cgroup2 none rw", "0::/a", "/cg/a");
	finds("28 22 0:25 / /cg rw shared:1 master:2 propagate_from:3 - cgroup2 x rw\n", "0::/a\n",
	      "/cg/a");
}

/* Version 1 beside it: another line of the process, another type of mount. */
static void test_hybrid(void **state)
{
	(void)state;
	finds("30 28 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	      "31 28 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
	      "4:memory:/other\n1:name=systemd:/user.slice\n0::/user.slice\n",
	      "/sys/fs/cgroup/unified/user.slice");
}

static void test_absent(void **state)
{
	(void)state;
	refuses(PROC, "0::/a\n", -ENXIO);
	refuses("", "", -ENXIO);
	refuses("30 28 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "0::/a\n",
		-ENXIO);
	/* A process without a line of version 2: none of its groups is there. */
	refuses(UNIFIED, "4:memory:/other\n", -ENOENT);
	refuses(UNIFIED, "", -ENOENT);
}

/* A mount may show a part of the tree only, as in containers. */
static void test_parts(void **state)
{
	static const char part[] = "40 28 0:25 /docker/one /sys/fs/cgroup ro - cgroup2 cgroup rw\n";

	(void)state;
	finds(part, "0::/docker/one/x\n", "/sys/fs/cgroup/x");
	finds(part, "0::/docker/one\n", "/sys/fs/cgroup");
	refuses(part, "0::/docker/oneself\n", -ENOENT);
	refuses(part, "0::/docker\n", -ENOENT);
	/* The first that shows it, not the first of all. */
	finds("40 28 0:25 /docker/two /two rw - cgroup2 cgroup rw\n" UNIFIED, "0::/docker/one\n",
	      "/sys/fs/cgroup/docker/one");
}

/* Seen from inside a cgroup namespace what is outside has no names. */
static void test_namespaces(void **state)
{
	(void)state;
	refuses(UNIFIED, "0::/../outside\n", -ENOENT);
	refuses("40 28 0:25 /.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/\n", -ENOENT);
	refuses("40 28 0:25 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/a\n", -ENOENT);
	/* A name that only begins so is one. */
	finds(UNIFIED, "0::/..a\n", "/sys/fs/cgroup/..a");
}

static void test_escapes(void **state)
{
	(void)state;
	finds("28 22 0:25 / /my\\040cgroups\\134here rw - cgroup2 x rw\n", "0::/a\n",
	      "/my cgroups\\here/a");
	finds("28 22 0:25 / /odd\\04 rw - cgroup2 x rw\n", "0::/a\n", "/odd\\04/a");
}

static void test_nonsense(void **state)
{
	static const char line[] = UNIFIED;
	char cut[sizeof(line)];

	(void)state;
	/* Wherever a line ends, it is none or a whole one. */
	for (size_t len = 0; len < sizeof(line); len++) {
		_cleanup_free_ char *dir = NULL;
		int r;

		memcpy(cut, line, len);
		cut[len] = '\0';
		r = cgroup_own_dir(cut, "0::/a\n", &dir, NULL);
		if (!r)
			assert_string_equal(dir, "/sys/fs/cgroup/a");
		else
			assert_int_equal(r, -ENXIO);
	}
	refuses("1 2 3 root point rw - cgroup2 x rw\n", "0::/a\n", -ENXIO);
	refuses(UNIFIED, "0::a\n", -ENOENT);
	refuses("- - - - - - - - -\n\n \n", "0::/a\n", -ENXIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unified),	   cmocka_unit_test(test_hybrid),
		cmocka_unit_test(test_absent),	   cmocka_unit_test(test_parts),
		cmocka_unit_test(test_namespaces), cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
