// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks die in all the ways there are, each with values of its own in one map: threads one by one,
 * the first before the others; all at once by exit_group() of one, or killed; all but one, which
 * executes another program and takes over the place of the first (de_thread() in fs/exec.c); and a
 * child after its parent. Of a zombie the storage stays, until bpf_task_storage_free() is called by
 * free_task() (kernel/fork.c).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../crew.h"
#include "../pool.h"
#include "../util.h"
#include "../worker.h"
#include "deathbed.h"
#include "family.h"

#define PAUSE_NS    (80 * NSEC_PER_MSEC)
#define EXEC_NS	    (1000 * NSEC_PER_MSEC)
#define PATIENCE_MS 2000
#define STATUS	    42

struct state {
	uint64_t next_ns;
	uint64_t next_exec_ns;
};

static bool make_crew(struct deathbed *bed, const struct crew_options *options, struct crew *ret)
{
	if (crew_new(options, ret)) {
		bump(&bed->w->errors, 1);
		return false;
	}
	for (unsigned int i = 0; i < ret->n; i++)
		deathbed_add(bed, ret->pidfds[i]);
	return true;
}

/* A moment after it has ended a task cannot be found any more, nor its value. */
static bool is_gone_soon(struct deathbed *bed, int pidfd)
{
	unsigned char value[VALUE_MAX];

	for (unsigned int i = 0; bed->batch.map >= 0 && i < PATIENCE_MS; i++) {
		if (bpf_map_lookup_elem(bed->batch.map, &pidfd, value) && errno == ENOENT)
			return true;
		sleep_ns(NSEC_PER_MSEC);
	}
	return bed->batch.map < 0;
}

static void judge_others(struct deathbed *bed, const struct crew *crew, const bool *ended)
{
	for (unsigned int i = 0; i < crew->n; i++)
		if (!ended[i])
			deathbed_judge(bed, i, crew->pidfds[i],
				       i ? "us, of a thread whose neighbour has exited"
					 : "us, of the first thread, which may have exited");
}

static bool killed_and_gone(struct deathbed *bed, struct crew *crew)
{
	int status = crew_reap(crew);
	bool gone = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

	for (unsigned int i = 0; i < crew->n; i++)
		gone &= is_gone_soon(bed, crew->pidfds[i]);
	return gone;
}

/* One after the other; the first stays as a zombie until the last has gone. */
static bool play_exit(struct deathbed *bed, struct crew *crew, struct rng *rng)
{
	unsigned int start = rng_below(rng, crew->n);
	bool ended[CREW_TASKS] = { false }, right = true;

	for (unsigned int k = 0; k + 1 < crew->n; k++) {
		unsigned int i = (start + k) % crew->n;

		right &= !crew_tell(crew, i, CREW_EXIT, 0);
		if (i) {
			right &= crew_has_ended(crew, i) && is_gone_soon(bed, crew->pidfds[i]);
			ended[i] = true;
		}
		judge_others(bed, crew, ended);
		deathbed_moment(bed);
	}
	return killed_and_gone(bed, crew) && right;
}

static bool play_exit_group(struct deathbed *bed, struct crew *crew, struct rng *rng)
{
	bool right;
	int status;

	deathbed_moment(bed);
	right = !crew_tell(crew, rng_below(rng, crew->n), CREW_EXIT_GROUP, STATUS);
	if (rng_below(rng, 2))
		deathbed_moment(bed);
	right &= crew_has_ended(crew, 0);
	for (unsigned int i = 1; i < crew->n; i++)
		right &= is_gone_soon(bed, crew->pidfds[i]);
	deathbed_judge(bed, 0, crew->pidfds[0], "us, of a zombie");
	deathbed_moment(bed);
	status = crew_reap(crew);
	return right && WIFEXITED(status) && WEXITSTATUS(status) == STATUS &&
	       is_gone_soon(bed, crew->pidfds[0]);
}

static bool play_kill(struct deathbed *bed, struct crew *crew, struct rng *rng)
{
	bool right;

	deathbed_moment(bed);
	crew_kill(crew);
	deathbed_moment(bed);
	right = crew_has_ended(crew, 0);
	if (rng_below(rng, 2))
		deathbed_judge(bed, 0, crew->pidfds[0], "us, of a zombie");
	deathbed_moment(bed);
	return killed_and_gone(bed, crew) && right;
}

/* The kernel closes the pipe as the program begins, or the process ends. */
static bool has_hung_up(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, PATIENCE_MS) == 1;
}

static bool play_execute(struct deathbed *bed, struct crew *crew, int pipe, struct rng *rng)
{
	unsigned int i = rng_below(rng, crew->n);
	bool right = !crew_tell(crew, i, CREW_EXECUTE, 0);

	if (rng_below(rng, 2))
		deathbed_moment(bed);
	/* Until then the pid is the first thread's, with its value. */
	if (!right || !has_hung_up(pipe))
		return false;
	deathbed_judge(bed, i, crew->pidfds[0], "us, of a thread that has executed a program");
	for (unsigned int other = 1; other < crew->n; other++)
		right &= is_gone_soon(bed, crew->pidfds[other]);
	deathbed_moment(bed);
	crew_reap(crew);
	return right && is_gone_soon(bed, crew->pidfds[0]);
}

static enum scenario_result play_crew(struct deathbed *bed, unsigned int which, struct rng *rng)
{
	struct crew_options options = { .tasks = 2 + rng_below(rng, CREW_TASKS - 1) };
	struct crew crew = { 0 };
	int pipe[2] = { -1, -1 };
	bool right = false;

	if (which == 3) {
		if (pipe2(pipe, O_CLOEXEC) < 0)
			return SCENARIO_FAILED;
		options.keep = &pipe[1];
		options.n_keep = 1;
	}
	if (make_crew(bed, &options, &crew)) {
		if (pipe[1] >= 0)
			close(TAKE_FD(pipe[1]));
		right = which == 0   ? play_exit(bed, &crew, rng)
			: which == 1 ? play_exit_group(bed, &crew, rng)
			: which == 2 ? play_kill(bed, &crew, rng)
				     : play_execute(bed, &crew, pipe[0], rng);
	}
	crew_free(&crew);
	for (unsigned int i = 0; i < 2; i++)
		if (pipe[i] >= 0)
			close(pipe[i]);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static pid_t parent_of(pid_t pid)
{
	_cleanup_free_ char *path = format("/proc/%d/stat", pid), *text = NULL;
	const char *end;
	int parent = 0;
	char state;

	if (!path || read_file(path, &text, NULL) || !(end = strrchr(text, ')')) ||
	    sscanf(end + 1, " %c %d", &state, &parent) != 2)
		return 0;
	return parent;
}

static bool kill_and_wait(int pidfd)
{
	return !syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) && has_hung_up(pidfd);
}

/* The parent first, and then the child, whose parent is another by then. */
static bool play_family(struct deathbed *bed, const struct crew *keeper, int parent, int child,
			pid_t child_pid)
{
	unsigned int i = deathbed_add(bed, parent), n = deathbed_add(bed, child);
	bool right;

	deathbed_judge(bed, i, parent, "us, of a grandchild's parent");
	deathbed_moment(bed);
	right = kill_and_wait(parent) && is_gone_soon(bed, parent);
	deathbed_judge(bed, n, child, "us, of a child that has lost its parent");
	right &= parent_of(child_pid) == keeper->tids[0];
	deathbed_moment(bed);
	right &= kill_and_wait(child) && is_gone_soon(bed, child);
	deathbed_moment(bed);
	return right;
}

static enum scenario_result play_orphan(struct deathbed *bed)
{
	struct crew_options options = { .tasks = 1, .begin = family_found };
	_cleanup_close_ int parent = -1, child = -1;
	const struct family *family;
	struct crew keeper = { 0 };
	bool right = false;

	if (!make_crew(bed, &options, &keeper))
		return SCENARIO_FAILED;
	family = crew_room(&keeper);
	parent = (int)syscall(SYS_pidfd_open, family->parent, 0);
	child = (int)syscall(SYS_pidfd_open, family->child, 0);
	if (parent >= 0 && child >= 0)
		right = play_family(bed, &keeper, parent, child, family->child);
	crew_free(&keeper);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	unsigned int which = rng_below(rng, 5);
	enum scenario_result result;
	struct state *st = state;
	struct deathbed bed;

	if (now_ns() < st->next_ns || (which == 3 && now_ns() < st->next_exec_ns))
		return SCENARIO_NOTHING;
	if (deathbed_new(w, SOAK_TASK, -1, rng, &bed) < 0)
		return SCENARIO_NOTHING;
	if (which == 3)
		st->next_exec_ns = now_ns() + EXEC_NS;
	result = which == 4 ? play_orphan(&bed) : play_crew(&bed, which, rng);
	deathbed_end(&bed);
	worker_took_effect(w);
	st->next_ns = now_ns() + PAUSE_NS;
	return bed.right ? result : SCENARIO_FAILED;
}

const struct scenario scenario_deaths_tasks = {
	.what = "threads exit, end their process, are killed, give way to an exec; orphans die",
	.state_size = sizeof(struct state),
	.lacks = crew_lacks,
	.step = step,
};
