// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs that go and come back, with real files in place of sysfs's: which are touched, and that all
 * are online again, however the process ends.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "hotplug.h"
#include "util.h"

static char dir[] = "/tmp/bpfsoakd-test-hotplug-XXXXXX";

static void put(int cpu, const char *online)
{
	_cleanup_free_ char *cpu_dir = format("%s/cpu%d", dir, cpu);
	_cleanup_free_ char *path = format("%s/online", cpu_dir);

	assert_int_equal(make_dirs(cpu_dir, 0755), 0);
	if (online)
		assert_int_equal(write_file_atomic(path, online, strlen(online)), 0);
}

static bool reads(int cpu, const char *online)
{
	_cleanup_free_ char *path = format("%s/cpu%d/online", dir, cpu), *text = NULL;

	return !read_file(path, &text, NULL) && !strcmp(text, online);
}

/* The first has no file, the third is offline. */
static int four_cpus(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	put(0, NULL);
	put(1, "1\n");
	put(2, "1\n");
	put(3, "0\n");
	put(10, "1\n");
	return 0;
}

static int remove_all(void **state)
{
	_cleanup_free_ char *command = format("rm -rf '%s'", dir);

	(void)state;
	if (!command || system(command))
		return -1;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return 0;
}

static void test_only_those_that_were_online(void **state)
{
	struct hotplug *h;
	cpu_set_t expected;

	(void)state;
	put(0, "1\n");
	assert_int_equal(hotplug_new(dir, &h), 0);
	CPU_ZERO(&expected);
	CPU_SET(1, &expected);
	CPU_SET(2, &expected);
	CPU_SET(10, &expected);
	assert_true(CPU_EQUAL(&expected, hotplug_cpus(h)));
	assert_int_equal(hotplug_offline(h), -1);
	hotplug_free(h);
	assert_true(reads(0, "1\n"));
	assert_true(reads(3, "0\n"));
	assert_true(reads(1, "1\n"));
}

static void test_one_goes_and_comes_back(void **state)
{
	struct hotplug *h;

	(void)state;
	assert_int_equal(hotplug_new(dir, &h), 0);
	assert_int_equal(hotplug_take(h, 2), 0);
	assert_int_equal(hotplug_offline(h), 2);
	assert_true(reads(2, "0\n"));
	assert_true(reads(1, "1\n"));
	assert_int_equal(hotplug_give_back(h), 0);
	assert_int_equal(hotplug_offline(h), -1);
	assert_true(reads(2, "1\n"));
	assert_int_equal(hotplug_give_back(h), 0);
	/* Somebody else's wish. */
	put(10, "0\n");
	assert_int_equal(hotplug_take(h, 10), -ENODEV);
	assert_int_equal(hotplug_offline(h), -1);
	/* In the end nothing is left to be done by hand. */
	assert_int_equal(hotplug_take(h, 1), 0);
	hotplug_free(h);
	assert_true(reads(1, "1\n"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	hotplug_free(NULL);
}

static void test_death_brings_it_back(void **state)
{
	int fds[2];
	char byte;
	pid_t pid;
	uint64_t end;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct hotplug *h;

		if (hotplug_new(dir, &h) || hotplug_take(h, 10) || write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
	assert_true(reads(10, "0\n"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	end = now_ns() + 10 * NSEC_PER_SEC;
	while (!reads(10, "1\n") && now_ns() < end)
		sleep_ns(NSEC_PER_MSEC);
	assert_true(reads(10, "1\n"));
	assert_true(reads(3, "0\n"));
}

static void test_nothing_to_be_taken(void **state)
{
	_cleanup_free_ char *path = format("%s/cpu1/online", dir);
	struct hotplug *h;

	(void)state;
	put(2, "0\n");
	put(10, "0\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(hotplug_new(dir, &h), -EOPNOTSUPP);
	assert_int_equal(hotplug_new("/nonexistent", &h), -EOPNOTSUPP);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_true(reads(2, "0\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_those_that_were_online, four_cpus,
						remove_all),
		cmocka_unit_test_setup_teardown(test_one_goes_and_comes_back, four_cpus,
						remove_all),
		cmocka_unit_test_setup_teardown(test_death_brings_it_back, four_cpus, remove_all),
		cmocka_unit_test_setup_teardown(test_nothing_to_be_taken, four_cpus, remove_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
