// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which directory our cgroup is in, what may be removed, and what its limits leave: texts as the
 * kernel writes them, and directories in place of cgroups. That processes are in one is for
 * tests/vm/perturb.sh.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "own_cgroup.h"
#include "util.h"

#define PLAIN  "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define HYBRID "32 31 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n"
#define V1     "33 31 0:28 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n"
#define OTHER  "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
#define BOUND  "40 23 0:26 /a/b /mnt/cgroup rw - cgroup2 cgroup2 rw\n"

static void test_where_we_are(void **state)
{
	static const struct {
		const char *mounts, *cgroup, *expected;
	} cases[] = {
		{ OTHER PLAIN, "0::/\n", "/sys/fs/cgroup" },
		{ PLAIN, "0::/system.slice/bpfsoakd.service\n",
		  "/sys/fs/cgroup/system.slice/bpfsoakd.service" },
		{ V1 HYBRID, "4:memory:/x\n1:name=systemd:/y\n0::/z\n",
		  "/sys/fs/cgroup/unified/z" },
		{ PLAIN, "0::/no newline", "/sys/fs/cgroup/no newline" },
		/* A part of the tree is mounted. */
		{ BOUND, "0::/a/b\n", "/mnt/cgroup" },
		{ BOUND, "0::/a/b/c\n", "/mnt/cgroup/c" },
		{ BOUND, "0::/a/bc\n", NULL },
		{ BOUND, "0::/a\n", NULL },
		{ BOUND PLAIN, "0::/a\n", "/sys/fs/cgroup/a" },
		/* Above the cgroup namespace. */
		{ PLAIN, "0::/../../x\n", NULL },
		{ V1 OTHER, "0::/\n", NULL },
		{ PLAIN, "4:memory:/x\n", NULL },
		{ "", "", NULL },
		{ "garbage\n- cgroup2 cgroup2\n - cgroup2 \n", "0::/\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *dir = NULL;
		size_t mount = 0;
		int r = own_cgroup_find(cases[i].mounts, cases[i].cgroup, &dir, &mount);

		assert_int_equal(r, cases[i].expected ? 0 : -ENOENT);
		if (r)
			continue;
		assert_string_equal(dir, cases[i].expected);
		assert_true(mount <= strlen(dir) && (!dir[mount] || dir[mount] == '/'));
	}
}

static char root[] = "/tmp/bpfsoakd-test-cgroup-XXXXXX";

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	_cleanup_free_ char *command = format("rm -rf '%s'", root);

	(void)state;
	return command ? system(command) : -1;
}

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = format("%s/%s", root, name);

	if (text)
		assert_int_equal(write_file_atomic(path, text, strlen(text)), 0);
	else
		assert_int_equal(make_dirs(path, 0755), 0);
}

static bool is_there(const char *name)
{
	_cleanup_free_ char *path = format("%s/%s", root, name);

	return !access(path, F_OK);
}

static void test_only_what_is_empty_is_removed(void **state)
{
	_cleanup_free_ char *ours = format("%s/ours", root), *full = format("%s/full", root);

	(void)state;
	put("ours/a/b/c", NULL);
	put("ours/d", NULL);
	assert_int_equal(own_cgroup_remove(ours), 0);
	assert_false(is_there("ours"));
	assert_int_equal(own_cgroup_remove(ours), -ENOENT);
	put("full/used", NULL);
	put("full/unused", NULL);
	put("full/used/file", "x");
	assert_int_equal(own_cgroup_remove(full), -ENOTEMPTY);
	assert_true(is_there("full/used/file"));
	assert_false(is_there("full/unused"));
}

static void test_the_nearest_limit_counts(void **state)
{
	_cleanup_free_ char *leaf = format("%s/slice/leaf", root);
	size_t mount = strlen(root);

	(void)state;
	put("slice/leaf", NULL);
	/* That of the whole machine is none. */
	put("memory.max", "1");
	put("memory.current", "1");
	assert_true(own_cgroup_memory_left_in(leaf, mount) == UINT64_MAX);
	put("slice/leaf/memory.max", "max\n");
	put("slice/leaf/memory.high", "max\n");
	put("slice/leaf/memory.current", "1000\n");
	assert_true(own_cgroup_memory_left_in(leaf, mount) == UINT64_MAX);
	put("slice/leaf/memory.max", "5000\n");
	assert_int_equal(own_cgroup_memory_left_in(leaf, mount), 4000);
	put("slice/leaf/memory.high", "3000\n");
	assert_int_equal(own_cgroup_memory_left_in(leaf, mount), 2000);
	put("slice/memory.max", "10000\n");
	put("slice/memory.current", "9500\n");
	assert_int_equal(own_cgroup_memory_left_in(leaf, mount), 500);
	put("slice/memory.current", "10001\n");
	assert_int_equal(own_cgroup_memory_left_in(leaf, mount), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_we_are),
		cmocka_unit_test(test_only_what_is_empty_is_removed),
		cmocka_unit_test(test_the_nearest_limit_counts),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
