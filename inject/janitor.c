// SPDX-License-Identifier: GPL-2.0-only
/* Turns knobs back when this process is gone: see janitor.h. */
#include "janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/util.h"

#define NAME "bpfsoakd-knobs" /* at most 15 bytes */

struct janitor {
	pid_t pid;
	int fd; /* of the pipe whose end tells the child that we are gone */
};

int restoration_apply(const struct restoration *restoration)
{
	int r = write_file(restoration->path, restoration->text);

	/* A fault point that was never entered, or whose module is gone with its knobs. */
	return r == -ENOENT || r == -EINVAL ? 0 : r;
}

static int restore_all(const struct restoration *list, size_t n)
{
	int failed = 0;

	for (size_t i = 0; i < n; i++)
		failed |= restoration_apply(&list[i]) < 0;
	return failed;
}

/* Whatever ends the parent must not end the child too: a terminal, a service manager. */
static void stand_apart(int fd)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD)
			sigaction(sig, &ignore, NULL);
	setsid();
	prctl(PR_SET_NAME, NAME);
	if (fd > 3)
		close_range(3, (unsigned int)fd - 1, 0);
	close_range((unsigned int)fd + 1, ~0u, 0);
}

static _Noreturn void child(int fd, const struct restoration *list, size_t n)
{
	char byte;
	ssize_t r;

	stand_apart(fd);
	do
		r = read(fd, &byte, 1);
	while (r < 0 && errno == EINTR);
	_exit(restore_all(list, n));
}

int janitor_new(const struct restoration *list, size_t n, struct janitor **ret)
{
	struct janitor *janitor = calloc(1, sizeof(*janitor));
	int fds[2];

	if (!janitor)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		free(janitor);
		return -errno;
	}
	janitor->pid = fork();
	if (janitor->pid == 0) {
		close(fds[1]);
		child(fds[0], list, n);
	}
	close(fds[0]);
	janitor->fd = fds[1];
	if (janitor->pid < 0) {
		int r = -errno;

		close(fds[1]);
		free(janitor);
		return r;
	}
	*ret = janitor;
	return 0;
}

int janitor_end(struct janitor *janitor)
{
	int status = 0;

	if (!janitor)
		return 0;
	close(janitor->fd);
	while (waitpid(janitor->pid, &status, 0) < 0 && errno == EINTR)
		;
	free(janitor);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}
