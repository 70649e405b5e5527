// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files written and read: what matters is what is left behind when something fails, since the
 * stats file and the report are read by others while we write them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "util.h"

static char dir[] = "/tmp/bpfsoakd-test-util-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	_cleanup_free_ char *command = format("rm -rf '%s'", dir);

	(void)state;
	return command ? system(command) : -1;
}

static char *in_dir(const char *name)
{
	char *path = format("%s/%s", dir, name);

	assert_non_null(path);
	return path;
}

static void assert_content(const char *path, const char *expected)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	assert_int_equal(read_file(path, &text, &len), 0);
	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
}

static unsigned int entries_in(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	unsigned int n = 0;

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	return n;
}

static void test_read_file(void **state)
{
	_cleanup_free_ char *path = in_dir("read"), *text = NULL, *big = malloc(300001);
	size_t len;

	(void)state;
	assert_int_equal(read_file("/nonexistent/file", &text, &len), -ENOENT);
	assert_int_equal(read_file(dir, &text, &len), -EISDIR);
	assert_null(text);

	assert_int_equal(write_file_atomic(path, "", 0), 0);
	assert_content(path, "");
	unlink(path);

	memset(big, 'x', 300000);
	big[300000] = '\0';
	assert_int_equal(write_file_atomic(path, big, 300000), 0);
	assert_content(path, big);
	unlink(path);

	/* Files that claim to be empty. */
	assert_int_equal(read_file("/proc/self/status", &text, NULL), 0);
	assert_non_null(strstr(text, "Name:"));
}

static void test_read_file_too_large(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_int_equal(read_file("/dev/zero", &text, NULL), -EFBIG);
	assert_null(text);
}

static void test_read_file_u64(void **state)
{
	_cleanup_free_ char *path = in_dir("number");
	uint64_t value = 42;

	(void)state;
	assert_int_equal(write_file_atomic(path, "none\n", 5), 0);
	assert_int_equal(read_file_u64(path, &value), -EINVAL);
	assert_int_equal(write_file_atomic(path, "99999999999999999999\n", 21), 0);
	assert_int_equal(read_file_u64(path, &value), -ERANGE);
	assert_int_equal(read_file_u64("/nonexistent/file", &value), -ENOENT);
	assert_int_equal(value, 42);
	assert_int_equal(write_file_atomic(path, "1234 rest\n", 10), 0);
	assert_int_equal(read_file_u64(path, &value), 0);
	assert_int_equal(value, 1234);
	unlink(path);
}

static void test_write_file(void **state)
{
	_cleanup_free_ char *path = in_dir("plain");

	(void)state;
	assert_int_equal(write_file(path, "x"), -ENOENT); /* never creates */
	assert_int_equal(write_file_atomic(path, "", 0), 0);
	assert_int_equal(write_file(path, "text"), 0);
	assert_content(path, "text");
	assert_int_equal(write_file("/dev/full", "text"), -ENOSPC);
	unlink(path);
}

static void test_atomic_replaces(void **state)
{
	_cleanup_free_ char *path = in_dir("stats");

	(void)state;
	assert_int_equal(write_file_atomic(path, "first, and long", 15), 0);
	assert_content(path, "first, and long");
	assert_int_equal(write_file_atomic(path, "second", 6), 0);
	assert_content(path, "second");
	assert_int_equal(entries_in(dir), 1);
	unlink(path);
}

static void test_atomic_into_missing_directory(void **state)
{
	_cleanup_free_ char *path = in_dir("missing/stats");

	(void)state;
	assert_int_equal(write_file_atomic(path, "x", 1), -ENOENT);
	assert_int_equal(entries_in(dir), 0);
}

/* The target is a directory: the text is written and then cannot take its place. */
static void test_atomic_failed_rename(void **state)
{
	_cleanup_free_ char *path = in_dir("target"), *inside = in_dir("target/keep");

	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(write_file_atomic(inside, "old", 3), 0);
	assert_int_equal(write_file_atomic(path, "new", 3), -EISDIR);
	assert_content(inside, "old");
	assert_int_equal(entries_in(dir), 1);
	unlink(inside);
	rmdir(path);
}

/* No room half-way through: a limit on file size stands in for a full disk. */
static void test_atomic_failed_write_keeps_the_old_file(void **state)
{
	_cleanup_free_ char *path = in_dir("stats");
	char text[8192];
	struct rlimit old, tight;

	(void)state;
	memset(text, 'n', sizeof(text));
	assert_int_equal(write_file_atomic(path, "old", 3), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = (struct rlimit){ .rlim_cur = 4096, .rlim_max = old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(write_file_atomic(path, text, sizeof(text)), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_content(path, "old");
	assert_int_equal(entries_in(dir), 1);
	unlink(path);
}

/* A symbolic link is replaced, not written through. */
static void test_atomic_replaces_a_link(void **state)
{
	_cleanup_free_ char *path = in_dir("link");
	struct stat st;

	(void)state;
	assert_int_equal(symlink("/dev/full", path), 0);
	assert_int_equal(write_file_atomic(path, "text", 4), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_content(path, "text");
	unlink(path);
}

struct reader {
	const char *path;
	atomic_bool stop;
	atomic_uint reads;
	unsigned int torn;
};

static void *read_until_stopped(void *arg)
{
	struct reader *reader = arg;

	while (!atomic_load(&reader->stop)) {
		_cleanup_free_ char *text = NULL;
		size_t len = 0;

		if (read_file(reader->path, &text, &len) < 0 || len != 20000)
			reader->torn++;
		else
			reader->torn += text[0] != text[len - 1];
		atomic_fetch_add(&reader->reads, 1);
	}
	return NULL;
}

static void test_atomic_reader_never_sees_half(void **state)
{
	_cleanup_free_ char *path = in_dir("stats"), *text = malloc(20000);
	struct reader reader = { .path = path };
	pthread_t thread;

	(void)state;
	memset(text, 'a', 20000);
	assert_int_equal(write_file_atomic(path, text, 20000), 0);
	assert_int_equal(pthread_create(&thread, NULL, read_until_stopped, &reader), 0);
	/* On a busy machine fifty times are over before the reader has begun. */
	for (int i = 0; i < 50 || !atomic_load(&reader.reads); i++) {
		memset(text, 'a' + i % 26, 20000);
		assert_int_equal(write_file_atomic(path, text, 20000), 0);
	}
	atomic_store(&reader.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(reader.torn, 0);
	unlink(path);
}

static void test_make_dirs(void **state)
{
	_cleanup_free_ char *deep = in_dir("a/b//c/"), *file = in_dir("a/file");
	_cleanup_free_ char *below = in_dir("a/file/d"), *last = in_dir("a/b/c");
	struct stat st;

	(void)state;
	assert_int_equal(make_dirs(deep, 0700), 0);
	assert_int_equal(make_dirs(deep, 0700), 0);
	assert_int_equal(stat(last, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(write_file_atomic(file, "", 0), 0);
	assert_int_equal(make_dirs(below, 0700), -ENOTDIR);
	assert_int_equal(make_dirs("/", 0700), 0);
}

static void test_format(void **state)
{
	_cleanup_free_ char *text = format("%s-%d", "a", 7);

	(void)state;
	assert_string_equal(text, "a-7");
}

static void test_ownership(void **state)
{
	char *p = strdup("x");
	int fd = 5;

	(void)state;
	{
		_cleanup_free_ char *mine = p;

		p = TAKE_PTR(mine);
		assert_null(mine);
	}
	assert_string_equal(p, "x"); /* not freed */
	free(p);
	assert_int_equal(TAKE_FD(fd), 5);
	assert_int_equal(fd, -1);
}

static void test_clocks_advance(void **state)
{
	uint64_t before = now_ns();

	(void)state;
	usleep(1000);
	assert_true(now_ns() >= before + NSEC_PER_MSEC);
	assert_true(now_realtime() > 1.6e9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_read_file_too_large),
		cmocka_unit_test(test_read_file_u64),
		cmocka_unit_test(test_write_file),
		cmocka_unit_test(test_atomic_replaces),
		cmocka_unit_test(test_atomic_into_missing_directory),
		cmocka_unit_test(test_atomic_failed_rename),
		cmocka_unit_test(test_atomic_failed_write_keeps_the_old_file),
		cmocka_unit_test(test_atomic_replaces_a_link),
		cmocka_unit_test(test_atomic_reader_never_sees_half),
		cmocka_unit_test(test_make_dirs),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_ownership),
		cmocka_unit_test(test_clocks_advance),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
