// SPDX-License-Identifier: GPL-2.0-only
/*
 * What "bpfsoakd top" shows: frames of real stats texts, cut to the terminal's size and free of
 * whatever a label may smuggle in; and a terminal, here a pseudo one, that is left as it was.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>

#include <cmocka.h>

#include "capture.h"
#include "config.h"
#include "log.h"
#include "promfile.h"
#include "stats.h"
#include "top.h"
#include "top_frame.h"
#include "util.h"

#define START 1767225600.0
#define ESC   "\033"

static struct snapshot *new_snapshot(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->kernel_release, "7.3.4-cloud-amd64");
	strcpy(s->cpu_model, "queued");
	strcpy(s->inject, "stall");
	s->kinds[FAULT_ORGANIC] = true;
	s->seed = 4711;
	s->start_realtime = START;
	s->update_realtime = START + 50;
	s->elapsed_ns = 50 * NSEC_PER_SEC;
	s->owners_by_kind[SOAK_SK] = 5000;
	s->c.births[SOAK_TASK] = 100000;
	s->timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_BUCKET] = 25;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_OK][SOAK_LOCK_OK][SOAK_FREED_HERE][SOAK_NO_FAULT] =
		4000;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_ORGANIC] = 20;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_FORCED] = 1;
	s->c.coverage[SOAK_MAP_FREE][SOAK_LOCK_OK][SOAK_LOCK_OK][SOAK_LEFT][SOAK_NO_FAULT] = 3;
	for (unsigned int o = 0; o < ORACLE_NR; o++)
		s->oracles[o] = ORACLE_LIVE;
	s->n_workers = 2;
	s->workers[0].ops = 1000;
	s->workers[1].idle_ns = 200 * NSEC_PER_MSEC;
	return s;
}

static struct promfile *reading_of(const struct snapshot *s)
{
	_cleanup_free_ char *text = stats_format(s);
	struct promfile *file = NULL;
	struct prom_error error;

	assert_non_null(text);
	assert_int_equal(promfile_parse(text, strlen(text), &file, &error), 0);
	return file;
}

/* The frame, to be freed. */
static char *frame(const struct snapshot *s, const struct snapshot *before, struct top_view view)
{
	_cleanup_(promfile_freep) struct promfile *now = reading_of(s);
	_cleanup_(promfile_freep) struct promfile *old = before ? reading_of(before) : NULL;
	struct capture c;

	if (!view.now)
		view.now = s->update_realtime + 2;
	if (!view.stale_s)
		view.stale_s = 30;
	capture_begin(&c);
	top_frame(c.out, now, old, &view);
	return capture_end(&c);
}

static char *plain_frame(const struct snapshot *s)
{
	return frame(s, NULL, (struct top_view){ 0 });
}

static void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in\n%s", part, text);
}

static void expect_none(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in\n%s", part, text);
}

static void test_a_run_that_is_well(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *text = plain_frame(s);

	(void)state;
	expect(text, "churning: nothing wrong so far");
	expect(text, "updated 2s ago");
	expect(text, "7.3.4-cloud-amd64 on queued");
	expect(text, "50s, churning, seed 4711, inject stall\n");
	expect(text, "100 owners/s  2000 selems/s  0.5 faults/s  over the run's 50s\n");
	expect(text, "locks failed:  organic 25  contended 0  forced 0");
	expect(text, "violations        0\n");
	expect(text, "16 live; 0 blind; 0 absent\n");
	expect(text, "2, 20 operations/s, refused 0; longest idle 0.2s (worker 1)\n");
	expect_none(text, ESC);
}

/* Whatever the kind; a cell of which the model says that it cannot be is marked. */
static void test_matrix(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *text = plain_frame(s);

	(void)state;
	expect(text, "map_free          storage ok  timeout  deadlock  gone   skipped\n");
	expect(text, " bucket ok        0/3?/-      -/0/0    -/0/0     -/0/0  -/0/0\n");
	expect(text, "destroy           storage ok  timeout  deadlock  gone   skipped\n");
	expect(text, " bucket ok        4000/-/-    -/21/0   -/0/0     -/0/0  -\n");
	expect(text, " bucket skipped   -/0/0       -/0/0    -/0/0     -/0/0  -/0/0\n");
}

static void test_rates_between_readings(void **state)
{
	_cleanup_free_ struct snapshot *before = new_snapshot(), *s = new_snapshot();
	_cleanup_free_ char *text = NULL, *backwards = NULL;

	(void)state;
	s->elapsed_ns += 10 * NSEC_PER_SEC;
	s->update_realtime += 10;
	s->owners_by_kind[SOAK_TASK] += 70;
	s->c.births[SOAK_SK] += 300;
	s->deadlocks[FAULT_FORCED][SOAK_SITE_UPDATE] += 20;
	text = frame(s, before, (struct top_view){ 0 });
	expect(text, "7 owners/s  30 selems/s  2.0 faults/s  over the last 10s\n");
	expect(text, "FAULTS FORCED     locks failed:  organic 25  contended 0  forced 20");
	backwards = frame(before, s, (struct top_view){ 0 });
	expect(backwards, "0 owners/s  0 selems/s  0.0 faults/s");
}

static void test_what_is_wrong_stands_first(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *bad = NULL, *blind = NULL, *idle = NULL, *stale = NULL;

	(void)state;
	s->timeouts[FAULT_ORGANIC][SOAK_SITE_DESTROY_BUCKET] = 0;
	idle = plain_frame(s);
	expect(idle, "churning: nothing wrong so far, and no lock has failed yet");
	s->oracles[ORACLE_OMEM] = ORACLE_BLIND;
	s->oracles[ORACLE_KMEMLEAK] = ORACLE_ABSENT;
	blind = plain_frame(s);
	expect(blind, "churning: nothing wrong so far, but an oracle is blind");
	expect(blind, "14 live; 1 blind: omem; 1 absent: kmemleak\n");
	s->violations[VIOLATION_OMEM] = 2;
	s->violations[VIOLATION_VALUE] = 1;
	s->holes[HOLE_SELEM][FAULT_ORGANIC] = 9;
	s->holes[HOLE_STORAGE][FAULT_FORCED] = 4;
	bad = plain_frame(s);
	expect(bad, "churning: 3 VIOLATIONS SO FAR");
	expect(bad, "violations        3        omem 2, value 1\n");
	expect(bad, "undocumented      9        selem organic 9\n");
	expect(bad, "holes             13       selem organic 9, storage forced 4\n");
	stale = frame(s, NULL, (struct top_view){ .now = s->update_realtime + 125 });
	expect(stale, "STALE: last updated 2m05s ago");
}

/* A run that is over is old, and not stale. */
static void test_the_end(void **state)
{
	static const enum verdict verdicts[] = { VERDICT_PASS, VERDICT_FAIL, VERDICT_INCONCLUSIVE };
	_cleanup_free_ struct snapshot *s = new_snapshot();

	(void)state;
	s->state = RUN_ENDED;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		_cleanup_free_ char *text = NULL, *head = NULL;

		s->verdict = verdicts[i];
		text = frame(s, NULL, (struct top_view){ .now = s->update_realtime + 7200 });
		head = format("bpfsoakd   %s   updated 2h00m00s ago\n", verdict_name(verdicts[i]));
		expect(text, head);
	}
}

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* The width of a line as a terminal shows it. */
static unsigned int width_of(const char *line)
{
	unsigned int n = 0;

	while (*line && *line != '\n') {
		if (*line == '\033')
			line += strcspn(line, "mK") + 1;
		else
			line++, n++;
	}
	return n;
}

static unsigned int widest(const char *text)
{
	unsigned int width = 0, n;

	for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL) {
		/* Behind the escape sequence there is nothing to count. */
		n = width_of(text);
		width = n > width ? n : width;
	}
	return width;
}

static void test_fits_the_terminal(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	_cleanup_free_ char *whole = plain_frame(s), *wide = NULL, *low = NULL;
	unsigned int lines = count_lines(whole);

	(void)state;
	for (unsigned int width = 1; width <= 200; width += 7) {
		for (unsigned int height = 1; height <= lines + 2; height++) {
			struct top_view view = { .width = width,
						 .height = height,
						 .escapes = height % 2 };
			_cleanup_free_ char *text = frame(s, NULL, view);

			assert_true(count_lines(text) < height || height > lines);
			assert_true(count_lines(text) <= lines);
			assert_true(widest(text) <= width);
		}
	}
	wide = frame(s, NULL, (struct top_view){ .width = 160 });
	assert_int_equal(count_lines(wide), lines - 6); /* both matrices side by side */
	low = frame(s, NULL, (struct top_view){ .width = 80, .height = 5 });
	expect(low, "... more below: make the terminal taller");
}

/* A stats file of somebody who means no good. */
static void test_nothing_gets_to_the_terminal(void **state)
{
	const char *text = "bpfsoakd_build_info{kernel_release=\"" ESC "[2J\\n\x9b\",seed=\"\"} 1\n"
			   "bpfsoakd_verdict{verdict=\"" ESC "]0;title\a\"} 1\n"
			   "bpfsoakd_violations_total{violation=\"\r\"} 1e300\n"
			   "bpfsoakd_visits_total{side=\"destroy\",bucket=\"ok\",storage=\"ok\","
			   "outcome=\"left\",kind=\"none\"} 1e300\n"
			   "bpfsoakd_oracle_state{oracle=\"x\",state=\"live\"} 1e300\n"
			   "bpfsoakd_uptime_seconds 1e300\n"
			   "bpfsoakd_last_update_timestamp_seconds -1e300\n";
	_cleanup_(promfile_freep) struct promfile *file = NULL;
	struct top_view view = { .now = 1 };
	_cleanup_free_ char *shown = NULL;
	struct prom_error error;
	struct capture c;

	(void)state;
	assert_int_equal(promfile_parse(text, strlen(text), &file, &error), 0);
	capture_begin(&c);
	top_frame(c.out, file, NULL, &view);
	shown = capture_end(&c);
	expect(shown, "?[2J??");
	for (const char *p = shown; *p; p++)
		assert_true((*p >= 0x20 && *p <= 0x7e) || *p == '\n');
}

static void test_an_empty_file(void **state)
{
	_cleanup_(promfile_freep) struct promfile *file = NULL;
	struct top_view view = { .now = 1 };
	struct prom_error error;
	_cleanup_free_ char *text = NULL;
	struct capture c;

	(void)state;
	assert_int_equal(promfile_parse("", 0, &file, &error), 0);
	assert_false(top_is_ours(file));
	capture_begin(&c);
	top_frame(c.out, file, NULL, &view);
	text = capture_end(&c);
	expect(text, "0 live");
}

/* Terminal ----------------------------------------------------------------------------------- */

struct session {
	pid_t pid;
	int fd;	   /* of the terminal's other end */
	int slave; /* kept open, so that its settings can be looked at afterwards */
	struct termios before;
	char dir[32];
	char *path;
	char output[1 << 18];
	size_t len;
};

static void write_stats(const struct session *session, const struct snapshot *s)
{
	assert_int_equal(stats_write(session->path, s), 0);
}

static _Noreturn void be_top(struct session *session)
{
	struct config config = { .operand = session->path, .stats_interval_ns = 10 * NSEC_PER_SEC };

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
	setsid();
	ioctl(session->slave, TIOCSCTTY, 0);
	dup2(session->slave, STDIN_FILENO);
	dup2(session->slave, STDOUT_FILENO);
	dup2(session->slave, STDERR_FILENO);
	setenv("TERM", "xterm", 1);
	_exit(top_run(&config));
}

static struct session *begin(const struct snapshot *s)
{
	struct winsize size = { .ws_col = 80, .ws_row = 40 };
	struct session *session = calloc(1, sizeof(*session));

	assert_non_null(session);
	strcpy(session->dir, "/tmp/test_top.XXXXXX");
	assert_non_null(mkdtemp(session->dir));
	session->path = format("%s/stats.prom", session->dir);
	write_stats(session, s);
	assert_int_equal(openpty(&session->fd, &session->slave, NULL, NULL, &size), 0);
	assert_int_equal(tcgetattr(session->slave, &session->before), 0);
	session->pid = fork();
	assert_true(session->pid >= 0);
	if (!session->pid)
		be_top(session);
	return session;
}

/* Until the screen has shown this, from a position on; at most 60 s. */
static void wait_for(struct session *session, const char *part)
{
	struct pollfd fd = { .fd = session->fd, .events = POLLIN };
	uint64_t deadline = now_ns() + 60 * NSEC_PER_SEC;

	while (!strstr(session->output, part)) {
		ssize_t n;

		if (now_ns() > deadline)
			fail_msg("the screen never showed \"%s\", but\n%s", part, session->output);
		if (poll(&fd, 1, 100) <= 0)
			continue;
		n = read(session->fd, session->output + session->len,
			 sizeof(session->output) - session->len - 1);
		assert_true(n > 0);
		session->len += (size_t)n;
	}
}

static void forget(struct session *session)
{
	memset(session->output, 0, session->len);
	session->len = 0;
}

/* Left as it was: its settings, its screen, its cursor. Returns the exit code. */
static int finish(struct session *session)
{
	struct termios after;
	int status;

	wait_for(session, ESC "[?25h" ESC "[?1049l");
	assert_int_equal(waitpid(session->pid, &status, 0), session->pid);
	assert_int_equal(tcgetattr(session->slave, &after), 0);
	assert_int_equal(after.c_lflag, session->before.c_lflag);
	assert_memory_equal(after.c_cc, session->before.c_cc, sizeof(after.c_cc));
	close(session->fd);
	close(session->slave);
	unlink(session->path);
	assert_int_equal(rmdir(session->dir), 0);
	free(session->path);
	free(session);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void type(const struct session *session, const char *keys)
{
	assert_int_equal(write(session->fd, keys, strlen(keys)), strlen(keys));
}

static void test_q_leaves(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct session *session = begin(s);

	(void)state;
	wait_for(session, ESC "[?1049h" ESC "[?25l");
	wait_for(session, "100 owners/s");
	type(session, "xyq");
	assert_int_equal(finish(session), 0);
}

static void test_ctrl_c_leaves(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct session *session = begin(s);

	(void)state;
	wait_for(session, "100 owners/s");
	type(session, "\003");
	assert_int_equal(finish(session), 0);
}

/* What a new file says is seen, and what became of the file. */
static void test_follows_the_file(void **state)
{
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct session *session = begin(s);

	(void)state;
	wait_for(session, "over the run's 50s");
	s->elapsed_ns += 10 * NSEC_PER_SEC;
	s->update_realtime += 10;
	s->owners_by_kind[SOAK_SK] += 330;
	write_stats(session, s);
	wait_for(session, "33 owners/s");
	wait_for(session, "over the last 10s");
	forget(session);
	unlink(session->path);
	wait_for(session, "No such file or directory");
	wait_for(session, "33 owners/s");
	assert_int_equal(write_file_atomic(session->path, "odd\n", 4), 0);
	wait_for(session, "stats.prom:1: '' is not a number");
	forget(session);
	/* Another run: nothing to compare it with. */
	s->start_realtime += 100;
	s->update_realtime += 100;
	write_stats(session, s);
	wait_for(session, "over the run's 1m00s");
	type(session, "q");
	assert_int_equal(finish(session), 0);
}

static void test_follows_the_size(void **state)
{
	struct winsize low = { .ws_col = 60, .ws_row = 4 };
	_cleanup_free_ struct snapshot *s = new_snapshot();
	struct session *session = begin(s);

	(void)state;
	wait_for(session, "bucket skipped");
	assert_int_equal(ioctl(session->slave, TIOCSWINSZ, &low), 0);
	wait_for(session, "... more below");
	kill(session->pid, SIGTERM);
	assert_int_equal(finish(session), 0);
}

/* What it says on standard error, to be freed, and the exit code. */
static char *run_once(const char *path, int *ret)
{
	struct config config = { .operand = (char *)path, .once = true };
	int saved = dup(STDERR_FILENO), out = dup(STDOUT_FILENO);
	FILE *caught = tmpfile(), *null = fopen("/dev/null", "we");
	char *text = NULL;
	long len;

	assert_true(caught && null && saved >= 0 && out >= 0);
	dup2(fileno(caught), STDERR_FILENO);
	fflush(stdout);
	dup2(fileno(null), STDOUT_FILENO);
	*ret = top_run(&config);
	fflush(stdout);
	dup2(saved, STDERR_FILENO);
	dup2(out, STDOUT_FILENO);
	close(saved);
	close(out);
	fclose(null);
	fseek(caught, 0, SEEK_END);
	len = ftell(caught);
	text = calloc(1, (size_t)len + 1);
	assert_non_null(text);
	rewind(caught);
	assert_int_equal(fread(text, 1, (size_t)len, caught), len);
	fclose(caught);
	return text;
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text; /* NULL: there is none */
		const char *message;
	} cases[] = {
		{ NULL, ": No such file or directory\n" },
		{ "", ": no stats file of bpfsoakd: it has no bpfsoakd_build_info\n" },
		{ "node_load1 0.5\n",
		  ": no stats file of bpfsoakd: it has no bpfsoakd_build_info\n" },
		{ "bpfsoakd_build_info{} 1\nbpfsoakd_verdict{verdict=\"PASS\" 1\n",
		  ":2: neither ',' nor '}' after a label\n" },
	};
	char dir[] = "/tmp/test_top.XXXXXX";
	_cleanup_free_ char *path = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = format("%s/stats.prom", dir);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *said = NULL, *expected = NULL;
		int r;

		if (cases[i].text)
			assert_int_equal(
				write_file_atomic(path, cases[i].text, strlen(cases[i].text)), 0);
		said = run_once(path, &r);
		expected = format("%s%s", path, cases[i].message);
		assert_int_equal(r, 2);
		expect(said, expected);
	}
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_run_that_is_well),
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_rates_between_readings),
		cmocka_unit_test(test_what_is_wrong_stands_first),
		cmocka_unit_test(test_the_end),
		cmocka_unit_test(test_fits_the_terminal),
		cmocka_unit_test(test_nothing_gets_to_the_terminal),
		cmocka_unit_test(test_an_empty_file),
		cmocka_unit_test(test_q_leaves),
		cmocka_unit_test(test_ctrl_c_leaves),
		cmocka_unit_test(test_follows_the_file),
		cmocka_unit_test(test_follows_the_size),
		cmocka_unit_test(test_bad_files),
	};

	log_init(LOG_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
