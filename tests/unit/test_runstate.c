// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mark of a run under way, and what the next run makes of one that stayed; and the command that
 * does a run again. Works in a temporary directory of its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "log.h"
#include "probe.h"
#include "replay.h"
#include "runstate.h"
#include "util.h"

static char dir[] = "/tmp/test_runstate.XXXXXX";
static struct config config;
static struct probe probe;
static char *boot_path, *pstore_path, *kmsg_path, *report_path;
static struct runstate_paths paths;

static char *in_dir(const char *name)
{
	char *path = format("%s/%s", dir, name);

	assert_non_null(path);
	return path;
}

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = in_dir(name);

	assert_int_equal(write_file_atomic(path, text, strlen(text)), 0);
}

static void expect_in(const char *name, const char *part)
{
	_cleanup_free_ char *path = in_dir(name);
	_cleanup_free_ char *text = NULL;

	if (read_file(path, &text, NULL) < 0)
		fail_msg("no %s", name);
	if (!strstr(text, part))
		fail_msg("not in %s: '%s'; it says:\n%s", name, part, text);
}

static bool exists(const char *name)
{
	_cleanup_free_ char *path = in_dir(name);

	return !access(path, F_OK);
}

static void parse(char *const *argv, int argc)
{
	config_free(&config);
	memset(&config, 0, sizeof(config));
	assert_int_equal(config_parse(argc, (char **)argv, &config), 0);
}

static int begin(void **state)
{
	char *const argv[] = { "bpfsoakd", "run", "--seed=42", "--inject=stall" };

	(void)state;
	strcpy(strrchr(dir, '.') + 1, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	parse(argv, ARRAY_SIZE(argv));
	strcpy(probe.release, "7.3.4");
	strcpy(probe.cpu_model, "queued, a CPU");
	report_path = in_dir("report");
	boot_path = in_dir("boot_id");
	pstore_path = in_dir("pstore");
	assert_int_equal(make_dirs(pstore_path, 0755), 0);
	put("boot_id", "boot-one\n");
	put("kmsg", "");
	kmsg_path = in_dir("kmsg");
	paths = (struct runstate_paths){ .boot_id = boot_path,
					 .pstore = pstore_path,
					 .kmsg = kmsg_path };
	unsetenv("BPFSOAKD_REPLAY");
	return 0;
}

static int end(void **state)
{
	_cleanup_free_ char *command = format("rm -rf %s", dir);

	(void)state;
	free(report_path);
	free(boot_path);
	free(pstore_path);
	free(kmsg_path);
	config_free(&config);
	return system(command);
}

static void begin_run(void)
{
	assert_int_equal(runstate_begin(report_path, &paths, &config, &probe), 0);
}

/* The directory of an unfinished run, relative to ours; "" when there is none. */
static const char *recover(void)
{
	static char name[64];
	_cleanup_free_ char *path = NULL;

	assert_int_equal(runstate_recover(report_path, &paths, &path), 0);
	snprintf(name, sizeof(name), "%s", path ? path + strlen(dir) + 1 : "");
	return name;
}

static void test_nothing_there(void **state)
{
	(void)state;
	assert_string_equal(recover(), "");
	assert_int_equal(runstate_end(report_path), -ENOENT);
}

static void test_an_orderly_end(void **state)
{
	(void)state;
	begin_run();
	expect_in("report/run.state", "state = running\n");
	expect_in("report/run.state", "boot = boot-one\n");
	expect_in("report/run.state", "seed = 42\n");
	expect_in("report/run.state", "kernel = 7.3.4\n");
	expect_in("report/run.state", "option inject = stall\n");
	assert_int_equal(runstate_end(report_path), 0);
	expect_in("report/run.state", "state = ended\n");
	expect_in("report/run.state", "seed = 42\n");
	/* Twice is no harm. */
	assert_int_equal(runstate_end(report_path), 0);
	assert_string_equal(recover(), "");
}

/* A run under way is nobody's to move; in another boot that process is another one. */
static void test_a_living_daemon(void **state)
{
	_cleanup_free_ char *path = NULL;
	int told[2], r;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(told), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		r = runstate_begin(report_path, &paths, &config, &probe);
		if (write(told[1], &r, sizeof(r)) == sizeof(r))
			pause();
		_exit(1);
	}
	assert_int_equal(read(told[0], &r, sizeof(r)), sizeof(r));
	assert_int_equal(r, 0);
	assert_int_equal(runstate_recover(report_path, &paths, &path), -EBUSY);
	expect_in("report/run.state", "state = running\n");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(told[0]);
	close(told[1]);
	assert_string_equal(recover(), "report/unfinished-1");
}

/* A mark that names no process is nobody's, however the path to it goes on. */
static void test_no_process(void **state)
{
	(void)state;
	assert_int_equal(make_dirs(report_path, 0755), 0);
	put("report/run.state", "state = running\npid = self\nboot = boot-one\n");
	assert_string_equal(recover(), "report/unfinished-1");
	put("report/run.state", "state = running\npid = 1/../self\nboot = boot-one\n");
	assert_string_equal(recover(), "report/unfinished-2");
}

/* The same boot: the daemon alone died, and what pstore has is of another time. */
static void test_a_killed_daemon(void **state)
{
	(void)state;
	begin_run();
	put("report/report.json", "{}\n");
	put("pstore/dmesg-efi-1", "Panic#1\n");
	assert_string_equal(recover(), "report/unfinished-1");
	expect_in("report/unfinished-1/summary.txt", "FAULTS WERE INJECTED: organic\n");
	expect_in("report/unfinished-1/summary.txt", "the daemon alone died");
	expect_in("report/unfinished-1/summary.txt", "Seed:      42\n");
	expect_in("report/unfinished-1/run.state", "state = running\n");
	assert_true(exists("report/unfinished-1/report.json"));
	assert_false(exists("report/unfinished-1/pstore-dmesg-efi-1"));
	assert_false(exists("report/report.json"));
	assert_false(exists("report/run.state"));
	assert_string_equal(recover(), "");
	/* The next one has a number of its own. */
	begin_run();
	assert_string_equal(recover(), "report/unfinished-2");
	expect_in("report/unfinished-2/summary.txt", "nothing against the kernel");
}

/* One record: a file gives all that it has in one read(). From is what is added to our own time. */
static void put_in_log(int64_t from_us, const char *text)
{
	_cleanup_free_ char *record =
		format("3,17,%" PRId64 ",-;%s\n", (int64_t)(now_ns() / 1000) + from_us, text);

	put("kmsg", record);
}

/* What the kernel said while that run was under way, nobody has been told of. */
static void test_a_kernel_that_killed_the_daemon(void **state)
{
	static const char bug[] = "BUG: scheduling while atomic: bpfsoakd-w0/221/0x00000002";

	(void)state;
	begin_run();
	put_in_log(1000000, bug);
	assert_string_equal(recover(), "report/unfinished-1");
	expect_in("report/unfinished-1/summary.txt", "VIOLATION, kernel_log: 1 report(s)");
	expect_in("report/unfinished-1/summary.txt", "\n           bug: BUG: scheduling while");
	expect_in("report/unfinished-1/kernel.log", bug);
	/* Before it began it is another's. */
	begin_run();
	put_in_log(-1000000, bug);
	assert_string_equal(recover(), "report/unfinished-2");
	expect_in("report/unfinished-2/summary.txt", "nothing against the kernel");
	expect_in("report/unfinished-2/kernel.log", "");
	/* Nor is what is said of a run whose log cannot be read. */
	begin_run();
	paths.kmsg = "/nonexistent";
	assert_string_equal(recover(), "report/unfinished-3");
	expect_in("report/unfinished-3/summary.txt",
		  "no kernel.log of all that the kernel said: No such file");
	assert_false(exists("report/unfinished-3/kernel.log"));
}

static void test_a_dead_kernel(void **state)
{
	(void)state;
	begin_run();
	_cleanup_free_ char *findings = in_dir("report/findings");

	assert_int_equal(make_dirs(findings, 0755), 0);
	put("report/findings/index.json", "{}\n");
	put("boot_id", "boot-two\n");
	put("pstore/dmesg-ramoops-0", "Oops#1 Part1\n<1>BUG: kernel NULL pointer\n");
	put("pstore/console-ramoops-0", "last lines\n");
	put("pstore/pmsg-ramoops-0", "user space\n");
	assert_string_equal(recover(), "report/unfinished-1");
	expect_in("report/unfinished-1/summary.txt", "Its boot:  boot-one\n");
	expect_in("report/unfinished-1/summary.txt", "This boot: boot-two\n");
	expect_in("report/unfinished-1/summary.txt", "pstore holds 2 record(s)");
	expect_in("report/unfinished-1/pstore-dmesg-ramoops-0", "BUG: kernel NULL pointer");
	expect_in("report/unfinished-1/pstore-console-ramoops-0", "last lines");
	assert_false(exists("report/unfinished-1/pstore-pmsg-ramoops-0"));
	assert_true(exists("report/unfinished-1/findings/index.json"));
	assert_true(exists("pstore/dmesg-ramoops-0"));
}

static void test_a_dead_kernel_without_a_word(void **state)
{
	(void)state;
	begin_run();
	put("boot_id", "boot-two\n");
	assert_string_equal(recover(), "report/unfinished-1");
	expect_in("report/unfinished-1/summary.txt", "pstore holds no record");
}

static void expect_replay(const char *base, uint64_t seconds, const char *expected)
{
	_cleanup_free_ char *command = replay_command(&config, base, seconds * NSEC_PER_SEC);

	assert_string_equal(command, expected);
}

static void test_replay(void **state)
{
	char *const argv[] = { "bpfsoakd",
			       "run",
			       "--seed=7",
			       "--inject=stall,module",
			       "--module=/a b/c's.ko",
			       "--slots=4K",
			       "--report=/r",
			       "--stats-file=/s",
			       "--quiet",
			       "--on-violation=freeze",
			       "--stall=1s500ms",
			       "--accept-panic" };

	(void)state;
	expect_replay(NULL, 60,
		      "bpfsoakd run --duration=60s --seed=42 --inject=stall "
		      "--report=replay");
	parse(argv, ARRAY_SIZE(argv));
	expect_replay("scripts/soak --kernel lab", 90,
		      "scripts/soak --kernel lab --duration=90s -- --seed=7 "
		      "--inject=stall,module --slots=4K --stall=1s500ms --accept-panic=yes");
	expect_replay(NULL, 90,
		      "bpfsoakd run --duration=90s --seed=7 --inject=stall,module --slots=4K "
		      "--stall=1s500ms --accept-panic=yes --module='/a b/c'\\''s.ko' "
		      "--report=replay");
}

/* What is printed says the same as what was asked. */
static void test_replay_parses_to_the_same(void **state)
{
	char *const argv[] = { "bpfsoakd",
			       "run",
			       "--seed=9",
			       "--inject=module",
			       "--owners=3",
			       "--inject-kind=forced",
			       "--inject-sites=update,delete",
			       "--leak-budget=1M" };
	_cleanup_free_ char *before = NULL, *after = NULL, *command = NULL;
	char *again[32], *rest;
	int n = 0;

	(void)state;
	parse(argv, ARRAY_SIZE(argv));
	command = replay_command(&config, NULL, config.duration_ns);
	before = config_dump(&config);
	for (rest = command; rest && n < 31;)
		again[n++] = strsep(&rest, " ");
	n--; /* --report */
	again[n] = NULL;
	parse(again, n);
	after = config_dump(&config);
	assert_string_equal(before, after);
}

static void test_replay_duration(void **state)
{
	(void)state;
	config.duration_ns = 600 * NSEC_PER_SEC;
	assert_int_equal(replay_duration(&config, 0), 600 * NSEC_PER_SEC);
	assert_int_equal(replay_duration(&config, 5 * NSEC_PER_SEC), 60 * NSEC_PER_SEC);
	assert_int_equal(replay_duration(&config, 200 * NSEC_PER_SEC), 400 * NSEC_PER_SEC);
	assert_int_equal(replay_duration(&config, 500 * NSEC_PER_SEC), 600 * NSEC_PER_SEC);
	config.duration_ns = 8 * NSEC_PER_SEC;
	assert_int_equal(replay_duration(&config, 5 * NSEC_PER_SEC), 8 * NSEC_PER_SEC);
	config.duration_ns = 0;
	assert_int_equal(replay_duration(&config, 0), 3600 * NSEC_PER_SEC);
	assert_int_equal(replay_duration(&config, 7200 * NSEC_PER_SEC), 14400 * NSEC_PER_SEC);
}

static void test_replay_base(void **state)
{
	(void)state;
	assert_null(replay_base());
	setenv("BPFSOAKD_REPLAY", "", 1);
	assert_null(replay_base());
	setenv("BPFSOAKD_REPLAY", "scripts/soak --cpus 4", 1);
	assert_string_equal(replay_base(), "scripts/soak --cpus 4");
	begin_run();
	expect_in("report/run.state", "replay = scripts/soak --cpus 4 --duration=60s -- --seed=42 "
				      "--inject=stall\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_there),   TEST(test_an_orderly_end),
		TEST(test_a_living_daemon), TEST(test_no_process),
		TEST(test_a_killed_daemon), TEST(test_a_kernel_that_killed_the_daemon),
		TEST(test_a_dead_kernel),   TEST(test_a_dead_kernel_without_a_word),
		TEST(test_replay),	    TEST(test_replay_parses_to_the_same),
		TEST(test_replay_duration), TEST(test_replay_base),
	};

	log_init(LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
