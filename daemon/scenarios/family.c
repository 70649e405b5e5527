// SPDX-License-Identifier: GPL-2.0-only
/* A process that loses its parent and gets another: see family.h. */
#include "family.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../crew.h"
#include "../util.h"

#define PATIENCE_MS 1000 /* less than that of crew_new() */

_Static_assert(sizeof(struct family) <= CREW_ROOM, "a family has room in a crew's");

static _Noreturn void sleep_for_ever(void)
{
	for (;;)
		pause();
}

/* In a copy of a copy of a threaded process, down to family_found(). */

static pid_t orphans_keeper;

/* The signal comes with the death of each parent, when there is another: reparent_leader() and
 * forget_original_parent() in kernel/exit.c. */
static void on_parents_death(int signal)
{
	(void)signal;
	if ((pid_t)syscall(SYS_getppid) != orphans_keeper)
		_exit(0);
}

/* It is to outlive its parent, but not its keeper, whatever becomes of the scenario. */
static _Noreturn void be_child(pid_t parent, pid_t keeper)
{
	struct sigaction action = { .sa_handler = on_parents_death };
	sigset_t set;
	pid_t now;

	orphans_keeper = keeper;
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	now = (pid_t)syscall(SYS_getppid);
	if (now != parent && now != keeper)
		_exit(0);
	sleep_for_ever();
}

static _Noreturn void be_parent(struct family *family, pid_t keeper)
{
	pid_t self = (pid_t)syscall(SYS_getpid), child;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((pid_t)syscall(SYS_getppid) != keeper)
		_exit(0);
	child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!child)
		be_child(self, keeper);
	family->child = child;
	__atomic_store_n(&family->ready, 1, __ATOMIC_SEQ_CST);
	sleep_for_ever();
}

int family_found(void *room)
{
	struct timespec moment = { .tv_nsec = (long)NSEC_PER_MSEC };
	pid_t keeper = (pid_t)syscall(SYS_getpid);
	struct family *family = room;
	pid_t parent;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* Whoever dies is reaped at once. */
	signal(SIGCHLD, SIG_IGN);
	/* Not at once to the room, which the other shares: it would put its 0 there. */
	parent = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!parent)
		be_parent(family, keeper);
	if (parent < 0)
		return -errno;
	family->parent = parent;
	for (unsigned int i = 0; i < PATIENCE_MS; i++) {
		if (__atomic_load_n(&family->ready, __ATOMIC_SEQ_CST))
			return family->child > 0 ? 0 : -EAGAIN;
		nanosleep(&moment, NULL);
	}
	return -ETIMEDOUT;
}
