// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may be removed, and what limits leave: directories in place of cgroups. That processes are
 * in one is for tests/vm/perturb.sh.
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
		cmocka_unit_test(test_only_what_is_empty_is_removed),
		cmocka_unit_test(test_the_nearest_limit_counts),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
