// SPDX-License-Identifier: GPL-2.0-only
/*
 * The terminal side of "bpfsoakd top": see top.h. The terminal is left as it was found, whatever
 * ends this, short of SIGKILL; that is why signals come by a descriptor and not as they please.
 */
#include "top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "config.h"
#include "log.h"
#include "promfile.h"
#include "top_frame.h"
#include "util.h"

#define EXIT_USAGE    2
#define EXIT_INTERNAL 4

#define REDRAW_MS    1000
#define STALE_TIMES  3 /* --stats-interval */
#define ENTER_SCREEN "\033[?1049h\033[?25l"
#define LEAVE_SCREEN "\033[?25h\033[?1049l"
#define TOP_LEFT     "\033[H"
#define CLEAR_BELOW  "\033[J"

struct top {
	const char *path;
	double stale_s;
	struct promfile *now, *before; /* the newest reading, and one that is older */
	char *trouble;		       /* why the newest is not newer */
	int signal_fd;
	bool keys; /* standard input is a terminal, and in raw mode */
	struct termios saved;
};

/* Reading ------------------------------------------------------------------------------------ */

/* Why it is of no use, to be freed; NULL when it is. */
static char *read_stats(const char *path, struct promfile **ret)
{
	_cleanup_(promfile_freep) struct promfile *file = NULL;
	struct prom_error error;
	int r = promfile_read(path, &file, &error);

	if (r == -ENOMEM)
		return strdup("out of memory");
	if (r < 0 && error.line)
		return format("%s:%u: %s", path, error.line, error.what);
	if (r < 0)
		return format("%s: %s", path, error.what);
	if (!top_is_ours(file))
		return format("%s: no stats file of bpfsoakd: it has no bpfsoakd_build_info", path);
	*ret = TAKE_PTR(file);
	return NULL;
}

static double updated(const struct promfile *file)
{
	return promfile_sum(file, "bpfsoakd_last_update_timestamp_seconds", NULL);
}

/* What was there stays when there is nothing better; rates need two readings of one run. */
static void refresh(struct top *top)
{
	struct promfile *file = NULL;

	free(top->trouble);
	top->trouble = read_stats(top->path, &file);
	if (!file)
		return;
	if (!top_is_same_run(file, top->now)) {
		promfile_free(top->before);
		top->before = NULL;
	} else if (updated(file) > updated(top->now)) {
		promfile_free(top->before);
		top->before = TAKE_PTR(top->now);
	}
	promfile_free(top->now);
	top->now = file;
}

/* Terminal ----------------------------------------------------------------------------------- */

static void write_out(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

static void send(const char *sequence)
{
	write_out(sequence, strlen(sequence));
}

/* One write, so that nobody sees half a frame. */
static void draw(const struct top *top)
{
	struct top_view view = { .escapes = true,
				 .now = now_realtime(),
				 .stale_s = top->stale_s,
				 .trouble = top->trouble };
	_cleanup_free_ char *text = NULL;
	struct winsize size;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size)) {
		view.width = size.ws_col;
		view.height = size.ws_row;
	}
	fputs(TOP_LEFT, out);
	top_frame(out, top->now, top->before, &view);
	fputs("\033[K" CLEAR_BELOW, out);
	if (!fclose(out))
		write_out(text, len);
}

static void enter(struct top *top)
{
	struct termios raw;

	top->keys = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &top->saved);
	if (top->keys) {
		raw = top->saved;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	send(ENTER_SCREEN);
}

static void leave(struct top *top)
{
	send(LEAVE_SCREEN);
	if (top->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &top->saved);
}

/* Ctrl-Z: the shell gets its terminal back, and we ours when we are continued. */
static void suspend(struct top *top)
{
	leave(top);
	raise(SIGSTOP);
	enter(top);
}

/* False when it is time to go. */
static bool take_signals(struct top *top)
{
	struct signalfd_siginfo info;

	while (read(top->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTSTP)
			suspend(top);
		else if (info.ssi_signo != SIGWINCH)
			return false;
	}
	return true;
}

/* The same. A terminal that is gone is a reason, too. */
static bool take_keys(void)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	return !memchr(keys, 'q', (size_t)n) && !memchr(keys, 'Q', (size_t)n);
}

static int open_signals(struct top *top)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGQUIT);
	sigaddset(&mask, SIGTSTP);
	sigaddset(&mask, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	top->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return top->signal_fd < 0 ? -errno : 0;
}

static void watch(struct top *top)
{
	struct pollfd fds[] = { { .fd = top->signal_fd, .events = POLLIN },
				{ .fd = top->keys ? STDIN_FILENO : -1, .events = POLLIN } };

	for (;;) {
		draw(top);
		if (poll(fds, ARRAY_SIZE(fds), REDRAW_MS) < 0 && errno != EINTR)
			return;
		if (fds[0].revents && !take_signals(top))
			return;
		if (fds[1].revents && (fds[1].revents & ~POLLIN || !take_keys()))
			return;
		refresh(top);
	}
}

static int show(struct top *top)
{
	int r = open_signals(top);

	if (r < 0) {
		log_error("cannot watch for signals: %s", strerror(-r));
		return EXIT_INTERNAL;
	}
	enter(top);
	watch(top);
	leave(top);
	close(top->signal_fd);
	return 0;
}

static int print_once(const struct top *top)
{
	struct top_view view = { .now = now_realtime(), .stale_s = top->stale_s };

	top_frame(stdout, top->now, NULL, &view);
	if (fflush(stdout)) {
		log_error("cannot write: %s", strerror(errno));
		return EXIT_INTERNAL;
	}
	return 0;
}

static bool is_screen(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb");
}

int top_run(const struct config *config)
{
	struct top top = { .path = config->operand ? config->operand : config->stats_file,
			   .stale_s = (double)config->stats_interval_ns / 1e9 * STALE_TIMES };
	int r = EXIT_USAGE;

	if (!top.path) {
		log_error("top: no FILE; give the one that run --stats-file writes, or --config");
		return EXIT_USAGE;
	}
	top.trouble = read_stats(top.path, &top.now);
	if (top.trouble)
		log_error("%s", top.trouble);
	else
		r = !config->once && is_screen() ? show(&top) : print_once(&top);
	promfile_free(top.now);
	promfile_free(top.before);
	free(top.trouble);
	return r;
}
