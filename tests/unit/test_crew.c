// SPDX-License-Identifier: GPL-2.0-only
/* A process that does what it is told, and nothing of which is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "util.h"

static struct crew new_crew(unsigned int tasks, const int *keep, unsigned int n_keep)
{
	struct crew_options options = { .tasks = tasks, .keep = keep, .n_keep = n_keep };
	struct crew crew;

	assert_int_equal(crew_new(&options, &crew), 0);
	assert_int_equal(crew.n, tasks);
	return crew;
}

static bool is_task(pid_t pid, pid_t tid)
{
	_cleanup_free_ char *path = format("/proc/%d/task/%d", pid, tid);

	return !access(path, F_OK);
}

static void test_its_tasks(void **state)
{
	struct crew crew = new_crew(CREW_TASKS, NULL, 0);
	pid_t pid = crew.tids[0];
	int status;

	(void)state;
	for (unsigned int i = 0; i < CREW_TASKS; i++)
		assert_true(is_task(pid, crew.tids[i]));
	status = crew_reap(&crew);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	crew_free(&crew);
	crew_free(&crew);
	assert_int_equal(kill(pid, 0), -1);
}

static void test_a_thread_exits(void **state)
{
	struct crew crew = new_crew(3, NULL, 0);

	(void)state;
	assert_int_equal(crew_tell(&crew, 2, CREW_EXIT, 0), 0);
	if (crew.pidfds[2] >= 0)
		assert_true(crew_has_ended(&crew, 2));
	for (unsigned int i = 0; is_task(crew.tids[0], crew.tids[2]); i++) {
		assert_true(i < 200);
		usleep(10000);
	}
	assert_true(is_task(crew.tids[0], crew.tids[1]));
	/* The first goes on as a zombie, and the others go on. */
	assert_int_equal(crew_tell(&crew, 0, CREW_EXIT, 0), 0);
	assert_int_equal(crew_tell(&crew, 1, CREW_CLOSE, 0), 0);
	assert_int_equal(waitpid(crew.tids[0], NULL, WNOHANG), 0);
	crew_free(&crew);
}

static void test_a_thread_ends_all(void **state)
{
	struct crew crew = new_crew(4, NULL, 0);
	int status;

	(void)state;
	assert_int_equal(crew_tell(&crew, 3, CREW_EXIT_GROUP, 42), 0);
	assert_true(crew_has_ended(&crew, 0));
	status = crew_reap(&crew);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	crew_free(&crew);
}

/* Only what it was given, and in the order in which it is told. */
static void test_its_descriptors(void **state)
{
	int a[2], b[2], other[2], keep[2];
	struct crew crew;
	char byte;

	(void)state;
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(other, O_CLOEXEC), 0);
	keep[0] = b[1];
	keep[1] = a[1];
	crew = new_crew(2, keep, 2);
	close(a[1]);
	close(b[1]);
	close(other[1]);
	assert_int_equal(read(other[0], &byte, 1), 0);
	assert_int_equal(crew_tell(&crew, 1, CREW_CLOSE, a[1]), 0);
	assert_int_equal(read(a[0], &byte, 1), 0);
	assert_true(read(b[0], &byte, 1) < 0 && errno == EAGAIN);
	crew_free(&crew);
	assert_int_equal(read(b[0], &byte, 1), 0);
	close(a[0]);
	close(b[0]);
	close(other[0]);
}

static int fill_room(void *room)
{
	strcat(room, " and back");
	return 0;
}

static int refuse(void *room)
{
	(void)room;
	return -EPERM;
}

static void test_its_room(void **state)
{
	char room[CREW_ROOM] = "there";
	struct crew_options options = { .tasks = 2, .begin = fill_room, .room = room };
	struct crew crew;

	(void)state;
	assert_int_equal(crew_new(&options, &crew), 0);
	assert_string_equal(crew_room(&crew), "there and back");
	crew_free(&crew);
	options.begin = refuse;
	assert_int_equal(crew_new(&options, &crew), -EPERM);
	assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void test_nobody(void **state)
{
	struct crew crew = { 0 };

	(void)state;
	crew_free(&crew);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_its_tasks),	  cmocka_unit_test(test_a_thread_exits),
		cmocka_unit_test(test_a_thread_ends_all), cmocka_unit_test(test_its_descriptors),
		cmocka_unit_test(test_its_room),	  cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
