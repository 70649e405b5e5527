// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paths that would let another user in are refused, by what is really on the disk; those that
 * people use are not. What takes another user needs root, and is skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "path.h"
#include "util.h"

#define STRANGER 65534

static char dir[] = "/tmp/bpfsoakd-test-path-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	umask(022);
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	_cleanup_free_ char *command = format("rm -rf '%s'", dir);

	(void)state;
	return command ? system(command) : -1;
}

/* A path in dir, in one of a few buffers. */
static const char *at(const char *name)
{
	static char paths[4][128];
	static unsigned int turn;
	char *path = paths[turn++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void make_file(const char *name, mode_t mode)
{
	assert_int_equal(write_file_atomic(at(name), "x", 1), 0);
	assert_int_equal(chmod(at(name), mode), 0);
}

static void make_folder(const char *name, mode_t mode)
{
	assert_int_equal(mkdir(at(name), 0755), 0);
	assert_int_equal(chmod(at(name), mode), 0);
}

static void assert_fine(const char *path, enum path_kind kind)
{
	_cleanup_free_ char *why = NULL;

	assert_int_equal(path_check(path, kind, &why), 0);
	if (why)
		fail_msg("%s: %s", path, why);
}

/* expected follows the path of what is wrong. */
static void assert_refused(const char *path, enum path_kind kind, const char *culprit,
			   const char *expected)
{
	_cleanup_free_ char *why = NULL, *line = format("%s %s", culprit, expected);

	assert_int_equal(path_check(path, kind, &why), 0);
	assert_non_null(why);
	assert_string_equal(why, line);
}

static void test_usual_ones_are_fine(void **state)
{
	(void)state;
	make_file("plain", 0644);
	make_folder("folder", 0750);
	assert_fine(at("plain"), PATH_FILE);
	assert_fine(at("not-there"), PATH_FILE);
	assert_fine(at("not/there/yet"), PATH_DIR);
	assert_fine(at("folder"), PATH_DIR);
	assert_fine(at("folder//"), PATH_DIR);
	assert_fine(at("folder/new"), PATH_FILE);
	assert_fine("/", PATH_FILE); /* no component at all: nothing that could be swapped */
}

static void test_relative_ones_are_seen_from_here(void **state)
{
	char here[4096];

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(dir), 0);
	make_file("relative", 0644);
	assert_fine("relative", PATH_FILE);
	assert_fine("./relative", PATH_FILE);
	make_folder("open", 0777);
	assert_refused("open/file", PATH_FILE, at("open"), "is writable by other users");
	assert_int_equal(chdir(here), 0);
}

static void test_writable_by_others(void **state)
{
	(void)state;
	make_file("writable", 0666);
	assert_refused(at("writable"), PATH_FILE, at("writable"), "is writable by other users");
	make_folder("public", 0777);
	make_folder("public/mine", 0755);
	assert_refused(at("public"), PATH_DIR, at("public"), "is writable by other users");
	assert_refused(at("public/new"), PATH_FILE, at("public"), "is writable by other users");
	assert_refused(at("public/mine/new"), PATH_FILE, at("public"),
		       "is writable by other users");
}

static void test_sticky_on_the_way_is_fine_at_the_end_it_is_not(void **state)
{
	(void)state;
	make_folder("sticky", 01777);
	make_file("sticky/mine", 0644);
	assert_fine(at("sticky/mine"), PATH_FILE);
	assert_fine(at("sticky/new"), PATH_FILE);
	assert_refused(at("sticky"), PATH_DIR, at("sticky"), "is writable by other users");
}

static void test_links(void **state)
{
	(void)state;
	make_file("target", 0644);
	make_folder("real", 0755);
	make_folder("loose", 0777);
	assert_int_equal(symlink(at("target"), at("link")), 0);
	assert_int_equal(symlink("real", at("way")), 0);
	assert_int_equal(symlink("loose", at("detour")), 0);
	assert_refused(at("link"), PATH_FILE, at("link"),
		       "is a symbolic link; give what it points to");
	assert_refused(at("way"), PATH_DIR, at("way"),
		       "is a symbolic link; give what it points to");
	assert_fine(at("way/new"), PATH_FILE);
	assert_refused(at("detour/new"), PATH_FILE, at("loose"), "is writable by other users");
}

static void test_sorts(void **state)
{
	(void)state;
	make_file("file", 0644);
	assert_refused(at("file"), PATH_DIR, at("file"), "is not a directory");
	assert_refused(at("file/x"), PATH_FILE, at("file"), "is not a directory");
	assert_refused("/dev/null", PATH_FILE, "/dev/null", "is not a regular file");
	assert_refused(dir, PATH_FILE, dir, "is not a regular file");
}

static void test_strangers(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	make_file("theirs", 0644);
	assert_int_equal(chown(at("theirs"), STRANGER, STRANGER), 0);
	assert_refused(at("theirs"), PATH_FILE, at("theirs"), "belongs to another user");
	make_folder("home", 0755);
	make_folder("home/mine", 0755);
	assert_int_equal(chown(at("home"), STRANGER, STRANGER), 0);
	assert_refused(at("home/mine/new"), PATH_FILE, at("home"), "belongs to another user");
	assert_int_equal(symlink("folder", at("lure")), 0);
	assert_int_equal(lchown(at("lure"), STRANGER, STRANGER), 0);
	assert_refused(at("lure/new"), PATH_FILE, at("lure"), "belongs to another user");
	/* A group of others lets its members in. */
	make_folder("club", 0775);
	assert_int_equal(chown(at("club"), 0, STRANGER), 0);
	assert_refused(at("club/new"), PATH_FILE, at("club"), "is writable by other users");
}

static void test_who_calls_sudo_is_trusted(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	make_folder("caller", 0755);
	assert_int_equal(chown(at("caller"), STRANGER, STRANGER), 0);
	assert_int_equal(setenv("SUDO_UID", "65534", true), 0);
	assert_fine(at("caller/new"), PATH_FILE);
	unsetenv("SUDO_UID");
	assert_refused(at("caller/new"), PATH_FILE, at("caller"), "belongs to another user");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual_ones_are_fine),
		cmocka_unit_test(test_relative_ones_are_seen_from_here),
		cmocka_unit_test(test_writable_by_others),
		cmocka_unit_test(test_sticky_on_the_way_is_fine_at_the_end_it_is_not),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_sorts),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_who_calls_sudo_is_trusted),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
