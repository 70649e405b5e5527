// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network namespace of our own, for real, in child processes: what is in it, what is kept, and
 * what of the host can still be reached. Skips where it may not be made.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "notify.h"
#include "own_netns.h"
#include "util.h"

#define NAME   "@bpfsoakd-test-notify"
#define OPTMEM "/proc/sys/net/core/optmem_max"

/* A child's exit code. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int try_unshare(void)
{
	return unshare(CLONE_NEWNET) < 0 ? 1 : 0;
}

static void need_a_namespace(void)
{
	if (in_child(try_unshare))
		skip();
}

static ino_t namespace_now(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

/* Steps of which the first that goes wrong is the exit code. */
static int look_around(void)
{
	bool had_v6 = own_netns_has_loopback(AF_INET6);
	uint64_t before = 0, now = 0;
	ino_t host = namespace_now();
	struct if_nameindex *names;

	if (read_file_u64(OPTMEM, &before))
		before = 0;
	if (!own_netns_enter())
		return 1;
	if (namespace_now() == host)
		return 2;
	if (!own_netns_has_loopback(AF_INET) || own_netns_has_loopback(AF_INET6) != had_v6)
		return 3;
	if (read_file_u64(OPTMEM, &now))
		now = before;
	if (now != before)
		return 4;
	names = if_nameindex();
	for (struct if_nameindex *name = names; name && name->if_index; name++)
		if (strcmp(name->if_name, "lo"))
			return 5;
	return 0;
}

static void test_it_has_a_loopback_and_nothing_else(void **state)
{
	ino_t host = namespace_now();

	(void)state;
	need_a_namespace();
	assert_int_equal(in_child(look_around), 0);
	assert_true(namespace_now() == host);
}

static int with_another_limit(void)
{
	uint64_t limit = 0;

	/* In a namespace of its own, where it may. */
	if (unshare(CLONE_NEWNET) < 0 || write_file(OPTMEM, "54321") < 0)
		return 0;
	if (!own_netns_enter())
		return 1;
	return !read_file_u64(OPTMEM, &limit) && limit == 54321 ? 0 : 2;
}

static void test_the_limit_of_a_socket_is_kept(void **state)
{
	(void)state;
	need_a_namespace();
	assert_int_equal(in_child(with_another_limit), 0);
}

/* As a service without the right to: it stays where it is, and says so. */
static int without_rights(void)
{
	ino_t host = namespace_now();
	int null = open("/dev/null", O_WRONLY);

	if (prctl(PR_CAPBSET_DROP, 21 /* CAP_SYS_ADMIN */, 0, 0, 0) ||
	    setresuid(65534, 65534, 65534))
		return 0;
	dup2(null, STDERR_FILENO);
	if (own_netns_enter())
		return 1;
	return namespace_now() == host ? 0 : 2;
}

static void test_without_the_right_it_stays(void **state)
{
	(void)state;
	assert_int_equal(in_child(without_rights), 0);
}

static int tell_from_inside(void)
{
	notify_keep();
	if (!own_netns_enter())
		return 1;
	notify_send("STATUS=%s", "inside");
	return 0;
}

static void test_a_name_of_no_file_is_still_heard(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	char text[64] = "";
	ssize_t n;

	(void)state;
	need_a_namespace();
	memcpy(address.sun_path + 1, NAME + 1, strlen(NAME) - 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(NAME))),
			 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", NAME, true), 0);
	if (!notify_is_heard())
		skip();
	assert_int_equal(in_child(tell_from_inside), 0);
	n = recv(fd, text, sizeof(text) - 1, 0);
	assert_int_equal(n, strlen("STATUS=inside"));
	assert_string_equal(text, "STATUS=inside");
	unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_has_a_loopback_and_nothing_else),
		cmocka_unit_test(test_the_limit_of_a_socket_is_kept),
		cmocka_unit_test(test_without_the_right_it_stays),
		cmocka_unit_test(test_a_name_of_no_file_is_still_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
