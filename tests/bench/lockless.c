// SPDX-License-Identifier: GPL-2.0-only
/*
 * lockless COMMAND...: runs a command, and prints how many visits of bpf_selem_unlink_nofail() the
 * whole machine made meanwhile, and how many of them were lockless (unlink != 2). The same eyes on
 * whoever is compared; nothing of it is the daemon's. Exits as the command does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lockless.skel.h"

static int run(char **argv)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execvp(argv[0], argv);
		fprintf(stderr, "lockless: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	struct lockless_bpf *skel;
	int code;

	if (argc < 2) {
		fprintf(stderr, "usage: lockless COMMAND...\n");
		return 2;
	}
	skel = lockless_bpf__open_and_load();
	if (!skel || lockless_bpf__attach(skel)) {
		fprintf(stderr, "lockless: cannot watch bpf_selem_unlink_nofail(): %s\n",
			strerror(errno));
		lockless_bpf__destroy(skel);
		return 77;
	}
	code = run(argv + 1);
	printf("visits %llu lockless %llu\n", skel->bss->visits, skel->bss->lockless);
	lockless_bpf__destroy(skel);
	return code;
}
