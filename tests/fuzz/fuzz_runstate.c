// SPDX-License-Identifier: GPL-2.0-only
/*
 * run.state as somebody may have left it: whatever it says, an unfinished run is put aside once,
 * and anything else is left alone. In a directory of its own, in memory.
 */
#include <errno.h>

#include "daemon/runstate.h"
#include "fuzz.h"

static char dir[] = "/dev/shm/fuzz_runstate.XXXXXX";

static const char *const left[] = {
	"unfinished-1/summary.txt",
	"unfinished-1/pstore-dmesg-1",
	"unfinished-1/kernel.log",
	"unfinished-1/run.state",
	"unfinished-1",
	"run.state",
};

static char *in_dir(const char *name)
{
	char *path = format("%s/%s", dir, name);

	CHECK(path);
	return path;
}

static void put(const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *path = in_dir(name);
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	CHECK(file && fwrite(data, 1, len, file) == len);
}

static bool is_there(const char *name)
{
	_cleanup_free_ char *path = in_dir(name);

	return !access(path, F_OK);
}

static void clear(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		_cleanup_free_ char *path = in_dir(left[i]);

		remove(path);
	}
}

static void clear_all(void)
{
	static const char *const ours[] = { "pstore/dmesg-1", "pstore", "boot_id", "kmsg", "" };

	clear();
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		_cleanup_free_ char *path = in_dir(ours[i]);

		remove(path);
	}
}

static void begin(void)
{
	static const char log[] = "3,17,5000000,-;BUG: scheduling while atomic: a/1/0x2\n";
	_cleanup_free_ char *pstore = NULL;

	log_init(-1);
	CHECK(mkdtemp(dir));
	pstore = in_dir("pstore");
	CHECK(!make_dirs(pstore, 0700));
	put("pstore/dmesg-1", "Oops\n", 5);
	put("boot_id", "this-boot\n", 10);
	put("kmsg", log, sizeof(log) - 1);
	atexit(clear_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun;
	_cleanup_free_ char *boot_id = NULL, *pstore = NULL, *kmsg = NULL;
	_cleanup_free_ char *found = NULL, *again = NULL;
	struct runstate_paths paths;
	int r;

	if (!begun)
		begin();
	begun = true;
	boot_id = in_dir("boot_id");
	pstore = in_dir("pstore");
	kmsg = in_dir("kmsg");
	paths = (struct runstate_paths){ .boot_id = boot_id, .pstore = pstore, .kmsg = kmsg };
	put("run.state", data, size);
	r = runstate_recover(dir, &paths, &found);
	/* Nobody else is under way, whatever is claimed: a process of this name is us. */
	CHECK(!r && !found == is_there("run.state"));
	CHECK(!found == !is_there("unfinished-1/summary.txt"));
	CHECK(!runstate_recover(dir, &paths, &again) && !again);
	r = runstate_end(dir);
	CHECK(found ? r == -ENOENT : !r);
	clear();
	return 0;
}
