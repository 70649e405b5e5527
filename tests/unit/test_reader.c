// SPDX-License-Identifier: GPL-2.0-only
/*
 * The second process, without maps: that questions with descriptors come through and are answered,
 * that it gives the descriptors back, and what its death looks like. What it reads is a matter for
 * the guests.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "reader.c"

/* /dev/null is no map: EBADF or EINVAL, or EPERM where bpf(2) is forbidden. */
static void test_what_is_no_map(void **state)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct reader_watch seen = { .reads = 7 };
	struct reader *reader;
	unsigned char value[SOAK_SIZE_SMALL];
	int r;

	(void)state;
	assert_int_equal(reader_new(&reader), 0);
	r = reader_read(reader, fd, fd, sizeof(value), 0, value);
	assert_true(r == -EBADF || r == -EINVAL || r == -EPERM);
	assert_int_equal(reader_watch_begin(reader, fd, fd, sizeof(value), 0, 1, 2), 0);
	/* Somebody else is asking: nobody waits. */
	assert_int_equal(reader_read(reader, fd, fd, sizeof(value), 0, value), -EBUSY);
	assert_int_equal(reader_watch_end(reader, &seen), 0);
	assert_int_equal(seen.reads + seen.torn + seen.foreign, 0);
	reader_free(reader);
	reader_free(NULL);
}

/* It holds the end of a pipe for no longer than a question takes. */
static void test_descriptors_are_given_back(void **state)
{
	unsigned char value[SOAK_SIZE_SMALL];
	struct reader *reader;
	int fds[2];
	char byte;

	(void)state;
	assert_int_equal(reader_new(&reader), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	reader_read(reader, fds[1], fds[1], sizeof(value), 0, value);
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	close(fds[0]);
	reader_free(reader);
}

static void test_its_death(void **state)
{
	unsigned char value[SOAK_SIZE_SMALL];
	struct reader *reader;
	siginfo_t info;

	(void)state;
	assert_int_equal(reader_read(NULL, 0, 0, sizeof(value), 0, value), -EPIPE);
	assert_int_equal(reader_new(&reader), 0);
	kill(reader->pid, SIGKILL);
	while (waitid(P_PID, (id_t)reader->pid, &info, WNOWAIT | WEXITED) < 0 && errno == EINTR)
		;
	assert_int_equal(reader_read(reader, 0, 0, sizeof(value), 0, value), -EPIPE);
	reader_free(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_map),
		cmocka_unit_test(test_descriptors_are_given_back),
		cmocka_unit_test(test_its_death),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
