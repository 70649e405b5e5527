// SPDX-License-Identifier: GPL-2.0-only
/*
 * Knobs are turned back whatever becomes of the process that turned them: real processes, real
 * deaths. The janitor's source is included, since its process is to be looked at.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "inject/janitor.c"

#define SOON_MS 1000  /* what is to happen then */
#define LATE_MS 10000 /* what a busy machine may take for the rest */

static char dir[] = "/tmp/bpfsoakd-test-janitor-XXXXXX";
static char one[64], two[64], fifo[64], missing[64];

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(one, sizeof(one), "%s/one", dir);
	snprintf(two, sizeof(two), "%s/two", dir);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	snprintf(missing, sizeof(missing), "%s/missing", dir);
	return mkfifo(fifo, 0600);
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(one);
	unlink(two);
	unlink(fifo);
	return rmdir(dir);
}

/* Knobs that have been turned. */
static int turn_knobs(void **state)
{
	(void)state;
	if (write_file_atomic(one, "turned", 6) < 0)
		return -1;
	return write_file_atomic(two, "turned", 6);
}

static struct restoration restore(const char *path, const char *text)
{
	struct restoration r;

	snprintf(r.path, sizeof(r.path), "%s", path);
	snprintf(r.text, sizeof(r.text), "%s", text);
	return r;
}

static bool reads(const char *path, const char *text)
{
	_cleanup_free_ char *now = NULL;

	return !read_file(path, &now, NULL) && !strcmp(now, text);
}

static void expect_soon(const char *path, const char *text)
{
	uint64_t end = now_ns() + SOON_MS * NSEC_PER_MSEC;

	while (!reads(path, text)) {
		if (now_ns() > end)
			fail_msg("%s is not '%s' after %d ms", path, text, SOON_MS);
		sleep_ns(NSEC_PER_MSEC);
	}
}

/* Ready: it has a name of its own, and with it, signals cannot end it. */
static void wait_for_name(pid_t pid)
{
	uint64_t end = now_ns() + LATE_MS * NSEC_PER_MSEC;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	while (!reads(path, NAME "\n")) {
		assert_true(now_ns() < end);
		sleep_ns(NSEC_PER_MSEC);
	}
}

/* A process that turned knobs and has a janitor, whose id it tells; it waits for its death. */
static pid_t start_parent(const struct restoration *list, size_t n, pid_t *ret_janitor)
{
	struct janitor *janitor;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setpgid(0, 0);
		/* Whoever runs the tests under nohup(1) has us ignore it. */
		signal(SIGHUP, SIG_DFL);
		if (janitor_new(list, n, &janitor) < 0 ||
		    write(fds[1], &janitor->pid, sizeof(pid_t)) != sizeof(pid_t))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], ret_janitor, sizeof(pid_t)), sizeof(pid_t));
	close(fds[0]);
	close(fds[1]);
	wait_for_name(*ret_janitor);
	return pid;
}

static void expect_death_by(pid_t pid, int sig)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
}

/* However it dies; a signal to its whole process group, as from a terminal, spares the janitor. */
static void test_death_of_the_parent(void **state)
{
	static const struct {
		int sig;
		bool whole_group;
	} cases[] = {
		{ SIGKILL, false }, { SIGALRM, false }, { SIGTERM, true },
		{ SIGINT, true },   { SIGHUP, true },	{ SIGKILL, true },
	};
	struct restoration list[] = { restore(one, "first_"), restore(two, "second") };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pid_t janitor, pid;

		turn_knobs(state);
		pid = start_parent(list, ARRAY_SIZE(list), &janitor);
		assert_true(reads(one, "turned"));
		assert_int_equal(kill(cases[i].whole_group ? -pid : pid, cases[i].sig), 0);
		expect_soon(one, "first_");
		expect_soon(two, "second");
		expect_death_by(pid, cases[i].sig);
	}
}

/* Each is told by itself, to a reader who would notice. */
static void test_order(void **state)
{
	struct restoration list[] = { restore(fifo, "1"), restore(fifo, "22"), restore(fifo, "3") };
	_cleanup_close_ int fd = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	char text[16] = "";
	struct janitor *janitor;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(janitor_new(list, ARRAY_SIZE(list), &janitor), 0);
	assert_int_equal(janitor_end(janitor), 0);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "1223");
}

static void test_end(void **state)
{
	struct restoration list[] = { restore(one, "first_"), restore(two, "second") };
	struct janitor *janitor;

	(void)state;
	assert_int_equal(janitor_new(list, ARRAY_SIZE(list), &janitor), 0);
	/* It has its own copy. */
	list[0] = restore(one, "other_");
	assert_true(reads(one, "turned"));
	assert_int_equal(janitor_end(janitor), 0);
	assert_true(reads(one, "first_"));
	assert_true(reads(two, "second"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);

	assert_int_equal(janitor_new(list, 0, &janitor), 0);
	assert_int_equal(janitor_end(janitor), 0);
	assert_int_equal(janitor_end(NULL), 0);
}

/* What cannot be written keeps nothing else from being written. */
static void test_errors(void **state)
{
	const struct {
		const char *path, *text;
		int applied, ended;
	} cases[] = {
		{ one, "first_", 0, 0 },
		{ missing, "text", 0, 0 },
		/* The kernel knows no such function any more. */
		{ "/proc/self/oom_score_adj", "text", 0, 0 },
		{ dir, "text", -EISDIR, -EIO },
		{ "/proc/self/stat/text", "text", -ENOTDIR, -EIO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct restoration list[] = { restore(cases[i].path, cases[i].text),
					      restore(two, "second") };
		struct janitor *janitor;

		turn_knobs(state);
		assert_int_equal(restoration_apply(&list[0]), cases[i].applied);
		assert_int_equal(janitor_new(list, ARRAY_SIZE(list), &janitor), 0);
		assert_int_equal(janitor_end(janitor), cases[i].ended);
		assert_true(reads(two, "second"));
	}
	assert_int_equal(access(missing, F_OK), -1);
}

static void test_signals_do_not_end_it(void **state)
{
	static const int signals[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGALRM
	};
	struct restoration list[] = { restore(one, "first_") };
	struct janitor *janitor;

	(void)state;
	assert_int_equal(janitor_new(list, 1, &janitor), 0);
	wait_for_name(janitor->pid);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		assert_int_equal(kill(janitor->pid, signals[i]), 0);
	assert_int_equal(janitor_end(janitor), 0);
	assert_true(reads(one, "first_"));
}

/* Who waits for our end of a pipe must not wait for the janitor: numbers below its own and above.
 */
static void test_holds_no_other_descriptor(void **state)
{
	struct restoration list[] = { restore(one, "first_") };
	struct janitor *janitor;
	int low[2], high[2], above;

	(void)state;
	assert_int_equal(pipe(low), 0);
	assert_int_equal(pipe(high), 0);
	above = fcntl(high[1], F_DUPFD, 500);
	assert_true(above >= 500);
	close(high[1]);
	assert_int_equal(janitor_new(list, 1, &janitor), 0);
	close(low[1]);
	close(above);
	for (unsigned int i = 0; i < 2; i++) {
		struct pollfd end = { .fd = i ? high[0] : low[0] };

		assert_int_equal(poll(&end, 1, LATE_MS), 1);
		assert_int_equal(end.revents, POLLHUP);
		close(end.fd);
	}
	assert_true(reads(one, "turned"));
	assert_int_equal(janitor_end(janitor), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_death_of_the_parent, turn_knobs),
		cmocka_unit_test_setup(test_order, turn_knobs),
		cmocka_unit_test_setup(test_end, turn_knobs),
		cmocka_unit_test_setup(test_errors, turn_knobs),
		cmocka_unit_test_setup(test_signals_do_not_end_it, turn_knobs),
		cmocka_unit_test_setup(test_holds_no_other_descriptor, turn_knobs),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
