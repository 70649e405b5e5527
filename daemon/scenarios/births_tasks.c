// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks that are born in less usual ways than those of "owners": with the memory of their maker,
 * with the maker waiting, and such that execute another program, from their only thread or from
 * another than the first, which then takes over the place of that. What was stored of a task stays
 * with that task, whatever it executes, until it is reaped: bpf_task_storage_free() is called by
 * free_task() (kernel/fork.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../pool.h"
#include "../raw_task.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"

#define MAP_NS	    (2 * NSEC_PER_SEC)
#define EXEC_NS	    (3 * NSEC_PER_SEC)
#define PATIENCE_MS 4000
#define NAME_MS	    1000
#define STACK_SIZE  16384

/* include/uapi/linux/pidfd.h: a pidfd of a thread; kernels without it answer EINVAL. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

struct state {
	struct kept kept;
	uint64_t map_until_ns;
	uint64_t next_exec_ns;
	bool no_threads; /* no pidfds of threads on this kernel */
};

struct child {
	pid_t pid;
	int pidfd;
	int gate;   /* closed: go on */
	int told;   /* ends when it has executed the other program; or the errno */
	int thread; /* pidfd of the thread that does so, -1: the first */
};

static bool renew_map(struct worker *w, struct state *s, struct rng *rng)
{
	if (s->kept.open && now_ns() < s->map_until_ns) {
		kept_forget(&s->kept);
		return true;
	}
	kept_close(w, &s->kept);
	s->map_until_ns = now_ns() + MAP_NS;
	return !kept_open(w, SOAK_TASK, rng_below(rng, pool_shapes(w->pool)), &s->kept);
}

/* One that sleeps, or is a zombie already; with its maker's memory. */
static enum scenario_result raw_birth(struct worker *w, struct state *s, struct rng *rng)
{
	enum raw_task_life life = rng_below(rng, 2) ? RAW_TASK_EXITS : RAW_TASK_SLEEPS;
	struct raw_task task = RAW_TASK_INIT;
	bool right;

	if (raw_task_new(life, &task) < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	bump(&w->born[SOAK_TASK], 1);
	right = worker_sees_fill(w, SOAK_TASK, task.pidfd);
	right &= !kept_put(w, &s->kept, task.pidfd, rng);
	right &= kept_judge(w, &s->kept, task.pidfd, "us");
	raw_task_kill(&task);
	worker_took_effect(w);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

/* From here to execute() in a copy of a threaded process: async-signal-safe calls only. */

static void close_but(unsigned int a, unsigned int b)
{
	unsigned int low = MIN(a, b), high = MAX(a, b);

	if (low > 3)
		syscall(SYS_close_range, 3u, low - 1, 0u);
	if (high > low + 1)
		syscall(SYS_close_range, low + 1, high - 1, 0u);
	syscall(SYS_close_range, high + 1, ~0u, 0u);
}

static void execute(const struct child *child)
{
	static char *const args[] = { "bpfsoakd", "version", NULL };
	static char *const env[] = { NULL };
	char error;

	while (read(child->gate, &error, 1) < 0 && errno == EINTR)
		;
	execve("/proc/self/exe", args, env);
	error = (char)errno;
	if (write(child->told, &error, 1) < 0)
		_exit(126);
	_exit(127);
}

static int thread_main(void *arg)
{
	execute(arg);
	return 0;
}

static void child_main(pid_t parent, struct child *child, bool by_thread)
{
	static char stack[STACK_SIZE] __attribute__((aligned(16)));
	int null, tid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close_but((unsigned int)child->gate, (unsigned int)child->told);
	if (!by_thread)
		execute(child);
	tid = clone(thread_main, stack + sizeof(stack),
		    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			    CLONE_SYSVSEM,
		    child);
	if (tid < 0 || write(child->told, &tid, sizeof(tid)) < 0)
		_exit(125);
	for (;;)
		pause();
}

/* Of pipes: the child's ends, and ours. */
static int fork_child(bool by_thread, struct child *ret)
{
	pid_t parent = getpid(), pid;
	int gate[2], told[2], pidfd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD,
				   .pidfd = (uint64_t)(uintptr_t)&pidfd,
				   .exit_signal = SIGCHLD };

	*ret = (struct child){ .pidfd = -1, .gate = -1, .told = -1, .thread = -1 };
	if (pipe2(gate, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(told, O_CLOEXEC) < 0) {
		close(gate[0]);
		close(gate[1]);
		return -errno;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (!pid) {
		struct child self = { .gate = gate[0], .told = told[1] };

		child_main(parent, &self, by_thread);
	}
	close(gate[0]);
	close(told[1]);
	ret->pid = pid;
	ret->pidfd = pidfd;
	ret->gate = gate[1];
	ret->told = told[0];
	return pid < 0 ? -EAGAIN : 0;
}

static void end_child(struct child *child)
{
	if (child->pid > 0) {
		kill(child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (child->gate >= 0)
		close(child->gate);
	if (child->told >= 0)
		close(child->told);
	if (child->thread >= 0)
		close(child->thread);
	if (child->pidfd >= 0)
		close(child->pidfd);
}

static bool is_ready(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, PATIENCE_MS) == 1;
}

/* The child says who its second thread is. */
static bool meet_thread(struct state *s, struct child *child)
{
	pid_t tid;

	if (!is_ready(child->told) || read(child->told, &tid, sizeof(tid)) != sizeof(tid))
		return false;
	child->thread = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	s->no_threads = child->thread < 0 && errno == EINVAL;
	return child->thread >= 0;
}

/* By its name, which is that of the file from then on, also when it is dead. */
static bool has_new_name(pid_t pid)
{
	_cleanup_free_ char *path = format("/proc/%d/comm", pid), *name = NULL;

	return path && !read_file(path, &name, NULL) && !strcmp(name, "exe\n");
}

/*
 * The pipe ends when it has executed, and when it was killed before that. It is closed a moment
 * before the name is set: begin_new_exec() in fs/exec.c.
 */
static bool has_executed(struct child *child)
{
	char error;

	close(TAKE_FD(child->gate));
	if (!is_ready(child->told) || read(child->told, &error, 1))
		return false;
	for (unsigned int ms = 0; ms < NAME_MS; ms++) {
		if (has_new_name(child->pid))
			return true;
		sleep_ns(NSEC_PER_MSEC);
	}
	return false;
}

/* first and other: what the first thread and the second have. */
static bool judge_exec(struct worker *w, struct child *child, struct kept *first,
		       struct kept *other, struct rng *rng)
{
	const struct kept *survivor = child->thread < 0 ? first : other;
	bool right;

	if (!has_executed(child))
		return false;
	/* The thread that executes takes over the pid of the first: de_thread() in fs/exec.c. */
	right = kept_judge(w, survivor, child->pidfd, "us, of a task that executed a program");
	if (child->thread >= 0)
		right &= kept_judge_as(w, other, child->thread, 0, "us");
	if (rng_below(rng, 2))
		kill(child->pid, SIGKILL);
	if (!is_ready(child->pidfd))
		return false;
	return right & kept_judge(w, survivor, child->pidfd, "us, of a zombie");
}

static enum scenario_result exec_birth(struct worker *w, struct state *s, struct rng *rng)
{
	bool by_thread = rng_below(rng, 2) && !s->no_threads, right;
	struct kept *first = &s->kept, other = s->kept;
	struct child child;

	s->next_exec_ns = now_ns() + EXEC_NS;
	if (fork_child(by_thread, &child) < 0) {
		end_child(&child);
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	bump(&w->born[SOAK_TASK], by_thread ? 2 : 1);
	right = worker_sees_fill(w, SOAK_TASK, child.pidfd);
	if (by_thread)
		right &= meet_thread(s, &child) && !kept_put(w, &other, child.thread, rng);
	right = right && !kept_put(w, first, child.pidfd, rng) &&
		judge_exec(w, &child, first, &other, rng);
	end_child(&child);
	worker_took_effect(w);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct state *s = state;

	if (!renew_map(w, s, rng))
		return SCENARIO_NOTHING;
	if (now_ns() >= s->next_exec_ns)
		return exec_birth(w, s, rng);
	return raw_birth(w, s, rng);
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	kept_close(w, &s->kept);
}

const struct scenario scenario_births_tasks = {
	.what = "tasks are born with their maker's memory, and execute; their storage stays",
	.state_size = sizeof(struct state),
	.step = step,
	.end = end,
};
