// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a service manager is told: a real notification socket, read from the other end. Above all
 * when it must not be told that all is well.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "notify.h"
#include "service.h"
#include "util.h"

#define STUCK_NS (60 * NSEC_PER_SEC)

static char socket_path[] = "/tmp/bpfsoakd-test-notify-XXXXXX";
static int socket_fd = -1;

static int listen_to_notifications(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = mkstemp(socket_path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	unlink(socket_path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (socket_fd < 0 || bind(socket_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return setenv("NOTIFY_SOCKET", socket_path, true);
}

static int close_notifications(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	close(socket_fd);
	return unlink(socket_path);
}

/* The next message; "" when there is none. */
static const char *heard(void)
{
	static char text[1024];
	ssize_t n = recv(socket_fd, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static struct snapshot *churning(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->state = RUN_CHURNING;
	s->elapsed_ns = 10 * NSEC_PER_SEC;
	s->n_workers = 2;
	s->owners_by_kind[SOAK_SK] = 100;
	return s;
}

static struct service *with_watchdog(const char *usec)
{
	struct service *service = calloc(1, sizeof(*service));

	assert_non_null(service);
	assert_int_equal(setenv("WATCHDOG_USEC", usec, true), 0);
	assert_int_equal(service_init(service, STUCK_NS), 0);
	return service;
}

static void test_messages_arrive_as_they_are(void **state)
{
	(void)state;
	if (!notify_is_heard())
		skip();
	notify_send("STATUS=%s", "100 % fine");
	assert_string_equal(heard(), "STATUS=100 % fine");
	assert_string_equal(heard(), "");
}

static void test_ready_comes_with_the_first_owner(void **state)
{
	_cleanup_free_ struct service *service = with_watchdog("180000000");
	_cleanup_free_ struct snapshot *s = churning();
	const char *text;

	(void)state;
	if (!notify_is_heard())
		skip();
	s->owners_by_kind[SOAK_SK] = 0;
	service_tick(service, s, STUCK_NS);
	assert_string_equal(heard(), "");
	s->owners_by_kind[SOAK_SK] = 1;
	service_tick(service, s, STUCK_NS);
	text = heard();
	assert_ptr_equal(strstr(text, "READY=1\nSTATUS=churning: "), text);
	assert_string_equal(heard(), "WATCHDOG=1");
	/* Once, and not again. */
	service_tick(service, s, STUCK_NS);
	assert_string_equal(heard(), "");
}

static void test_who_waits_for_its_window_is_ready(void **state)
{
	_cleanup_free_ struct service *service = with_watchdog("180000000");
	_cleanup_free_ struct snapshot *s = churning();

	(void)state;
	if (!notify_is_heard())
		skip();
	s->state = RUN_PAUSED;
	s->owners_by_kind[SOAK_SK] = 0;
	service_tick(service, s, STUCK_NS);
	assert_non_null(strstr(heard(), "READY=1\nSTATUS=paused (outside of its windows): "));
	assert_string_equal(heard(), "WATCHDOG=1");
}

static void test_a_stuck_worker_starves_the_watchdog(void **state)
{
	_cleanup_free_ struct service *service = with_watchdog("180000000");
	_cleanup_free_ struct snapshot *s = churning();

	(void)state;
	if (!notify_is_heard())
		skip();
	s->workers[1].idle_ns = STUCK_NS + 1;
	service_tick(service, s, STUCK_NS);
	assert_non_null(strstr(heard(), "READY=1"));
	assert_string_equal(heard(), "");
	s->workers[1].idle_ns = STUCK_NS;
	service_tick(service, s, STUCK_NS);
	assert_string_equal(heard(), "WATCHDOG=1");
}

static void test_progress_is_of_every_worker(void **state)
{
	_cleanup_free_ struct snapshot *s = churning();

	(void)state;
	assert_true(service_has_progress(s, STUCK_NS));
	s->workers[0].idle_ns = STUCK_NS + 1;
	assert_false(service_has_progress(s, STUCK_NS));
	s->state = RUN_PAUSED;
	assert_false(service_has_progress(s, STUCK_NS));
	s->state = RUN_FROZEN;
	assert_true(service_has_progress(s, STUCK_NS));
}

static void test_stuck_must_be_found_before_the_watchdog_fires(void **state)
{
	struct service service = { .watchdog_ns = 80 * NSEC_PER_SEC };

	(void)state;
	assert_int_equal(service_check_stuck(&service, 60 * NSEC_PER_SEC), 0);
	assert_int_equal(service_check_stuck(&service, 61 * NSEC_PER_SEC), -EINVAL);
	service.watchdog_ns = 0;
	assert_int_equal(service_check_stuck(&service, 3600 * NSEC_PER_SEC), 0);
}

static void test_the_line_says_what_is_going_on(void **state)
{
	_cleanup_free_ struct snapshot *now = churning();
	_cleanup_free_ struct snapshot *before = churning();
	char line[512];

	(void)state;
	now->elapsed_ns = 20 * NSEC_PER_SEC;
	now->owners_by_kind[SOAK_SK] = 600;
	now->timeouts[0][0] = 7;
	now->holes[0][0] = 3;
	now->violations[0] = 2;
	now->leaked_bytes = 3 << 19;
	now->leak_budget = 100 << 20;
	service_line(line, sizeof(line), now, before);
	assert_string_equal(line,
			    "churning: 20s  owners/s 50  selems/s 0  lockless 0  timeouts 7  "
			    "undocumented holes 3  violations 2  holes 3  leaked 1.5 of 100.0 "
			    "MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_arrive_as_they_are),
		cmocka_unit_test(test_ready_comes_with_the_first_owner),
		cmocka_unit_test(test_who_waits_for_its_window_is_ready),
		cmocka_unit_test(test_a_stuck_worker_starves_the_watchdog),
		cmocka_unit_test(test_progress_is_of_every_worker),
		cmocka_unit_test(test_stuck_must_be_found_before_the_watchdog_fires),
		cmocka_unit_test(test_the_line_says_what_is_going_on),
	};

	return cmocka_run_group_tests(tests, listen_to_notifications, close_notifications);
}
