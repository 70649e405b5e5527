// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel configurations as text, plain file and gzip; damaged and missing ones; the order of the
 * places where a machine may keep one. Works in a temporary directory of its own.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <zlib.h>

#include "daemon/kconfig.h"
#include "daemon/util.h"

static const char text[] = "#\n"
			   "# Automatically generated file; DO NOT EDIT.\n"
			   "#\n"
			   "CONFIG_BPF=y\n"
			   "CONFIG_KVM=m\n"
			   "# CONFIG_KASAN is not set\n"
			   "# CONFIG_NOT a comment that looks like it is not set at all\n"
			   "CONFIG_HZ=250\n"
			   "CONFIG_LSM=\"landlock,yama,bpf\"\n"
			   "CONFIG_EMPTY=\"\"\n"
			   "CONFIG_BPF_LSM=y\n"
			   "CONFIG_CRLF=y\r\n"
			   "CONFIG_ODD NAME=y\n"
			   "CONFIG_\x01=y\n"
			   "# CONFIG_ODD-NAME is not set\n"
			   "CONFIG_LAST=y";

static char dir[] = "/tmp/test_kconfig.XXXXXX";

static char *in_dir(const char *name)
{
	char *path = format("%s/%s", dir, name);

	assert_non_null(path);
	return path;
}

static void write_plain(const char *name, const char *data, size_t len)
{
	_cleanup_free_ char *path = in_dir(name);
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
}

static void write_gz(const char *name, const char *data)
{
	_cleanup_free_ char *path = in_dir(name);
	gzFile file = gzopen(path, "w");

	assert_non_null(file);
	assert_int_equal(gzwrite(file, data, (unsigned int)strlen(data)), strlen(data));
	assert_int_equal(gzclose(file), Z_OK);
}

static void remove_file(const char *name)
{
	_cleanup_free_ char *path = in_dir(name);

	unlink(path);
}

static int read_in_dir(const char *name, struct kconfig **ret)
{
	_cleanup_free_ char *path = in_dir(name);

	return kconfig_read(path, ret);
}

static void check_text(const struct kconfig *k)
{
	assert_string_equal(kconfig_get(k, "CONFIG_BPF"), "y");
	assert_string_equal(kconfig_get(k, "CONFIG_KVM"), "m");
	assert_string_equal(kconfig_get(k, "CONFIG_KASAN"), "n");
	assert_string_equal(kconfig_get(k, "CONFIG_HZ"), "250");
	assert_string_equal(kconfig_get(k, "CONFIG_LSM"), "landlock,yama,bpf");
	assert_string_equal(kconfig_get(k, "CONFIG_EMPTY"), "");
	assert_string_equal(kconfig_get(k, "CONFIG_CRLF"), "y");
	assert_string_equal(kconfig_get(k, "CONFIG_LAST"), "y");
	assert_null(kconfig_get(k, "CONFIG_ABSENT"));
	assert_null(kconfig_get(k, "CONFIG_BPF_"));
	assert_null(kconfig_get(k, "CONFIG_NOT"));
	assert_null(kconfig_get(k, "CONFIG_ODD NAME"));
	assert_null(kconfig_get(k, "CONFIG_\x01"));
	assert_null(kconfig_get(k, "CONFIG_ODD-NAME"));
	assert_true(kconfig_enabled(k, "CONFIG_BPF"));
	assert_true(kconfig_enabled(k, "CONFIG_KVM"));
	assert_false(kconfig_enabled(k, "CONFIG_KASAN"));
	assert_false(kconfig_enabled(k, "CONFIG_HZ"));
	assert_false(kconfig_enabled(k, "CONFIG_ABSENT"));
}

static void test_parse(void **state)
{
	_cleanup_(kconfig_freep) struct kconfig *k = NULL;

	(void)state;
	assert_int_equal(kconfig_parse(text, &k), 0);
	check_text(k);
	assert_string_equal(kconfig_path(k), "");
}

static void test_parse_nothing(void **state)
{
	struct kconfig *k = NULL;

	(void)state;
	assert_int_equal(kconfig_parse("", &k), -EINVAL);
	assert_int_equal(kconfig_parse("\n\n# nothing\nnonsense=y\nCONFIG_NO_VALUE\n", &k),
			 -EINVAL);
	assert_null(k);
}

static void test_read_plain(void **state)
{
	_cleanup_(kconfig_freep) struct kconfig *k = NULL;
	_cleanup_free_ char *path = in_dir("plain");

	(void)state;
	write_plain("plain", text, strlen(text));
	assert_int_equal(kconfig_read(path, &k), 0);
	check_text(k);
	assert_string_equal(kconfig_path(k), path);
}

static void test_read_gz(void **state)
{
	_cleanup_(kconfig_freep) struct kconfig *k = NULL;

	(void)state;
	write_gz("gz", text);
	assert_int_equal(read_in_dir("gz", &k), 0);
	check_text(k);
}

/* Larger than the buffer that reading starts with. */
static void test_read_large(void **state)
{
	_cleanup_(kconfig_freep) struct kconfig *k = NULL;
	_cleanup_free_ char *large = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&large, &size);

	(void)state;
	assert_non_null(file);
	for (int i = 0; i < 20000; i++)
		fprintf(file, "CONFIG_OPTION_%d=%d\n", i, i);
	fclose(file);
	write_gz("large", large);
	assert_int_equal(read_in_dir("large", &k), 0);
	assert_string_equal(kconfig_get(k, "CONFIG_OPTION_0"), "0");
	assert_string_equal(kconfig_get(k, "CONFIG_OPTION_19999"), "19999");
	assert_null(kconfig_get(k, "CONFIG_OPTION_20000"));
}

static void test_read_damaged(void **state)
{
	_cleanup_free_ char *path = in_dir("whole"), *data = NULL;
	struct kconfig *k = NULL;
	size_t len;

	(void)state;
	write_gz("whole", text);
	assert_int_equal(read_file(path, &data, &len), 0);
	write_plain("cut", data, len / 2);
	assert_int_equal(read_in_dir("cut", &k), -EIO);
	data[len / 2] ^= 0x55;
	write_plain("flipped", data, len);
	assert_int_equal(read_in_dir("flipped", &k), -EIO);
	write_plain("empty", "", 0);
	assert_int_equal(read_in_dir("empty", &k), -EINVAL);
	assert_null(k);
}

static void test_read_missing(void **state)
{
	struct kconfig *k = NULL;

	(void)state;
	assert_int_equal(read_in_dir("missing", &k), -ENOENT);
	assert_int_equal(kconfig_load(dir, "1.2.3", &k), -ENOENT);
	assert_null(k);
}

static void assert_loads(const char *expected)
{
	_cleanup_(kconfig_freep) struct kconfig *k = NULL;
	_cleanup_free_ char *path = in_dir(expected);

	assert_int_equal(kconfig_load(dir, "1.2.3", &k), 0);
	assert_string_equal(kconfig_path(k), path);
}

/* From the last place to the first: each wins over those before it. */
static void test_load_order(void **state)
{
	static const char *const dirs[] = { "proc", "boot", "lib/modules/1.2.3/build" };
	static const char *const plain[] = {
		"lib/modules/1.2.3/build/.config",
		"lib/modules/1.2.3/config",
		"boot/config-1.2.3",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *path = in_dir(dirs[i]);

		assert_int_equal(make_dirs(path, 0755), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		write_plain(plain[i], text, strlen(text));
		assert_loads(plain[i]);
	}
	write_gz("proc/config.gz", text);
	assert_loads("proc/config.gz");
	/* A damaged one does not hide the next. */
	write_plain("proc/config.gz", "no configuration", 16);
	assert_loads("boot/config-1.2.3");
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = {
		"plain",
		"gz",
		"large",
		"whole",
		"cut",
		"flipped",
		"empty",
		"proc/config.gz",
		"boot/config-1.2.3",
		"lib/modules/1.2.3/config",
		"lib/modules/1.2.3/build/.config",
	};
	static const char *const dirs[] = {
		"proc",	       "boot", "lib/modules/1.2.3/build", "lib/modules/1.2.3",
		"lib/modules", "lib",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		remove_file(names[i]);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *path = in_dir(dirs[i]);

		rmdir(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	     cmocka_unit_test(test_parse_nothing),
		cmocka_unit_test(test_read_missing), cmocka_unit_test(test_read_plain),
		cmocka_unit_test(test_read_gz),	     cmocka_unit_test(test_read_large),
		cmocka_unit_test(test_read_damaged), cmocka_unit_test(test_load_order),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
