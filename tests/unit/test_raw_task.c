// SPDX-License-Identifier: GPL-2.0-only
/* Tasks without a library: they live, and they die with nothing left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw_task.h"

static bool has_ended(const struct raw_task *task, int wait_ms)
{
	struct pollfd fd = { .fd = task->pidfd, .events = POLLIN };

	return poll(&fd, 1, wait_ms) == 1;
}

/* The state of /proc/PID/stat, 0 when there is none. */
static char state_of(pid_t pid)
{
	char path[64], line[256], *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	end = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return end ? end[2] : 0;
}

static void test_lives(void **state)
{
	static const enum raw_task_life lives[] = { RAW_TASK_SLEEPS, RAW_TASK_SPINS };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct raw_task task = RAW_TASK_INIT;
		pid_t pid;

		assert_int_equal(raw_task_new(lives[i], &task), 0);
		pid = task.pid;
		assert_true(pid > 0 && task.pidfd >= 0);
		assert_false(has_ended(&task, 50));
		assert_int_not_equal(state_of(pid), 'Z');
		raw_task_kill(&task);
		assert_int_equal(task.pid, 0);
		assert_int_equal(waitpid(pid, NULL, 0), -1);
		assert_int_equal(errno, ECHILD);
	}
}

static void test_exits_at_once(void **state)
{
	struct raw_task task = RAW_TASK_INIT;

	(void)state;
	assert_int_equal(raw_task_new(RAW_TASK_EXITS, &task), 0);
	assert_true(has_ended(&task, 0));
	assert_int_equal(state_of(task.pid), 'Z');
	raw_task_kill(&task);
}

/* A pipe ends for its reader although the task had a copy of the other end. */
static void test_keeps_no_descriptor(void **state)
{
	struct raw_task task = RAW_TASK_INIT;
	struct pollfd end;
	int pipe_fds[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(raw_task_new(RAW_TASK_SLEEPS, &task), 0);
	close(pipe_fds[1]);
	end = (struct pollfd){ .fd = pipe_fds[0], .events = POLLIN };
	assert_int_equal(poll(&end, 1, 5000), 1);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
	assert_false(has_ended(&task, 0));
	raw_task_kill(&task);
	close(pipe_fds[0]);
}

/* It shares our memory and our thread-local storage, and must leave both alone. */
static void test_leaves_us_alone(void **state)
{
	struct raw_task tasks[20];

	(void)state;
	errno = EXDEV;
	for (int i = 0; i < 20; i++) {
		tasks[i] = (struct raw_task)RAW_TASK_INIT;
		assert_int_equal(raw_task_new(i % 2 ? RAW_TASK_EXITS : RAW_TASK_SLEEPS, &tasks[i]),
				 0);
	}
	assert_int_equal(errno, EXDEV);
	for (int i = 0; i < 20; i++)
		raw_task_kill(&tasks[i]);
	raw_task_kill(&tasks[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_exits_at_once),
		cmocka_unit_test(test_keeps_no_descriptor),
		cmocka_unit_test(test_leaves_us_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
