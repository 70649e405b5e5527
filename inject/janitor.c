// SPDX-License-Identifier: GPL-2.0-only
/* Turns knobs back when this process is gone: see janitor.h. */
#include "janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/util.h"

#define NAME "bpfsoakd-knobs" /* at most 15 bytes */

struct janitor {
	pid_t pid;
	int fd; /* of a file in memory: while we have it locked, we are there */
};

/*
 * A process that dies gives up its record locks as it comes to each descriptor (filp_flush() in
 * fs/open.c); the end of a pipe, which was waited for once, comes only after all of its BPF links
 * have gone, and not before its children have died too: seconds. Such locks are not inherited.
 */
static struct flock whole_file(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

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
	struct flock lock = whole_file();

	stand_apart(fd);
	while (fcntl(fd, F_SETLKW, &lock) < 0 && errno == EINTR)
		;
	_exit(restore_all(list, n));
}

int janitor_new(const struct restoration *list, size_t n, struct janitor **ret)
{
	struct janitor *janitor = calloc(1, sizeof(*janitor));
	struct flock lock = whole_file();
	int r = 0;

	if (!janitor)
		return -ENOMEM;
	janitor->fd = memfd_create(NAME, MFD_CLOEXEC);
	if (janitor->fd < 0 || fcntl(janitor->fd, F_SETLK, &lock) < 0)
		r = -errno;
	if (!r) {
		janitor->pid = fork();
		if (janitor->pid == 0)
			child(janitor->fd, list, n);
		if (janitor->pid < 0)
			r = -errno;
	}
	if (r < 0) {
		if (janitor->fd >= 0)
			close(janitor->fd);
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
