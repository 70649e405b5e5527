// SPDX-License-Identifier: GPL-2.0-only
/* Makes tasks without a library below them: see raw_task.h. */
#include "raw_task.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "util.h"

#define RAW_STACK 4096 /* which nobody uses: signals are not handled */

/*
 * clone3(), and the child's whole life behind it: it must not outlive its maker, nor keep the
 * descriptors alive of which it has got copies. It has the maker's registers, but not its stack.
 */
static long clone_raw(const struct clone_args *args, enum raw_task_life life, pid_t parent)
{
	register unsigned long how asm("r12") = life;
	register long maker asm("r13") = parent;
	long ret;

	asm volatile("syscall\n\t"
		     "test %%rax, %%rax\n\t"
		     "jnz 4f\n\t"
		     "mov %[prctl], %%eax\n\t"
		     "mov %[pdeathsig], %%edi\n\t"
		     "mov %[sigkill], %%esi\n\t"
		     "syscall\n\t"
		     "mov %[getppid], %%eax\n\t"
		     "syscall\n\t"
		     "cmp %%r13d, %%eax\n\t"
		     "jne 3f\n\t"
		     "mov %[close_range], %%eax\n\t"
		     "xor %%edi, %%edi\n\t"
		     "mov $-1, %%esi\n\t"
		     "xor %%edx, %%edx\n\t"
		     "syscall\n\t"
		     "cmp %[spins], %%r12\n\t"
		     "je 2f\n\t"
		     "ja 3f\n\t"
		     "1: mov %[pause], %%eax\n\t"
		     "syscall\n\t"
		     "jmp 1b\n\t"
		     "2: pause\n\t"
		     "jmp 2b\n\t"
		     "3: mov %[exit], %%eax\n\t"
		     "xor %%edi, %%edi\n\t"
		     "syscall\n\t"
		     "4:"
		     : "=a"(ret)
		     : "a"((long)SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(how),
		       "r"(maker), [prctl] "i"(SYS_prctl), [pdeathsig] "i"(PR_SET_PDEATHSIG),
		       [sigkill] "i"(SIGKILL), [getppid] "i"(SYS_getppid),
		       [close_range] "i"(SYS_close_range), [spins] "i"(RAW_TASK_SPINS),
		       [pause] "i"(SYS_pause), [exit] "i"(SYS_exit)
		     : "rcx", "r11", "cc", "memory");
	return ret;
}

/* CLONE_VFORK's wait is over with mm_release() (kernel/fork.c), which is before exit_notify(). */
static void wait_until_dead(const struct raw_task *task)
{
	struct pollfd fd = { .fd = task->pidfd, .events = POLLIN };

	while (poll(&fd, 1, -1) < 0 && errno == EINTR)
		;
}

int raw_task_new(enum raw_task_life life, struct raw_task *ret)
{
	struct raw_task task = RAW_TASK_INIT;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_VM | (life == RAW_TASK_EXITS ? CLONE_VFORK : 0),
		.pidfd = (uint64_t)(uintptr_t)&task.pidfd,
		.exit_signal = SIGCHLD,
		.stack_size = RAW_STACK,
	};
	long pid;

	if (posix_memalign(&task.stack, RAW_STACK, RAW_STACK))
		return -ENOMEM;
	args.stack = (uint64_t)(uintptr_t)task.stack;
	pid = clone_raw(&args, life, getpid());
	if (pid < 0) {
		free(task.stack);
		return (int)pid;
	}
	task.pid = (pid_t)pid;
	if (life == RAW_TASK_EXITS)
		wait_until_dead(&task);
	*ret = task;
	return 0;
}

void raw_task_kill(struct raw_task *task)
{
	if (task->pid <= 0)
		return;
	kill(task->pid, SIGKILL);
	while (waitpid(task->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(task->pidfd);
	free(task->stack);
	*task = (struct raw_task)RAW_TASK_INIT;
}

int raw_task_pin(const struct raw_task *task, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(task->pid, sizeof(set), &set) < 0 ? -errno : 0;
}
