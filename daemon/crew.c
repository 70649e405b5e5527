// SPDX-License-Identifier: GPL-2.0-only
/* A process that does what it is told: see crew.h. */
#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "util.h"

#define STACK	    16384
#define SEATS	    16 /* an order is its number, times this, and whom it is for */
#define PATIENCE_MS 2000

/* include/uapi/linux/pidfd.h: a pidfd of a thread; kernels without it answer EINVAL. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

struct seat {
	struct crew_page *page;
	unsigned int index;
};

/* Shared by maker and crew. Words that one side waits for are futexes. */
struct crew_page {
	uint32_t order; /* the last one; by it alone a task knows whether act is for it */
	uint32_t heard; /* the last one that somebody set about */
	uint32_t here;	/* tasks that have come to life */
	uint32_t act;	/* of the last one, not changed before that was heard */
	int32_t argument;
	int32_t error; /* why there is no crew, -errno */
	pid_t tids[CREW_TASKS];
	struct seat seats[CREW_TASKS];
	_Alignas(16) unsigned char room[CREW_ROOM];
	_Alignas(16) unsigned char stacks[CREW_TASKS][STACK];
};

_Static_assert(CREW_TASKS <= SEATS, "an order has room for whom it is for");

static long futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

static uint32_t look(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void raise_to(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	futex(word, FUTEX_WAKE, INT32_MAX, NULL);
}

/* The crew. Async-signal-safe calls only; threads share the first one's thread-local storage. */

static void execute(void)
{
	static char *const args[] = { "bpfsoakd", "version", NULL };
	static char *const env[] = { NULL };

	execve("/proc/self/exe", args, env);
	_exit(127);
}

static void act(enum crew_act what, int argument)
{
	switch (what) {
	case CREW_EXIT:
		syscall(SYS_exit, 0);
		break;
	case CREW_EXIT_GROUP:
		_exit(argument);
	case CREW_EXECUTE:
		execute();
		break;
	default:
		close(argument);
		break;
	}
}

/* Who is told to close something has done so when that is heard. */
static void obey(struct crew_page *page, uint32_t order)
{
	/* Once it is heard the page may hold another one. */
	enum crew_act what = page->act;
	int argument = page->argument;

	if (what == CREW_CLOSE)
		act(what, argument);
	raise_to(&page->heard, order);
	if (what != CREW_CLOSE)
		act(what, argument);
}

static _Noreturn void serve(const struct seat *seat)
{
	struct crew_page *page = seat->page;
	uint32_t last = look(&page->order);

	page->tids[seat->index] = (pid_t)syscall(SYS_gettid);
	__atomic_fetch_add(&page->here, 1, __ATOMIC_SEQ_CST);
	futex(&page->here, FUTEX_WAKE, INT32_MAX, NULL);
	for (;;) {
		while (look(&page->order) == last)
			futex(&page->order, FUTEX_WAIT, last, NULL);
		last = look(&page->order);
		if (last % SEATS == seat->index)
			obey(page, last);
	}
}

static int thread_main(void *arg)
{
	serve(arg);
}

/* keep is sorted. */
static void close_all_but(const int *keep, unsigned int n)
{
	unsigned int from = 0;

	for (unsigned int i = 0; i < n; i++) {
		if ((unsigned int)keep[i] > from)
			syscall(SYS_close_range, from, (unsigned int)keep[i] - 1, 0u);
		from = (unsigned int)keep[i] + 1;
	}
	syscall(SYS_close_range, from, ~0u, 0u);
}

static _Noreturn void fail(struct crew_page *page, int error)
{
	page->error = error;
	raise_to(&page->here, UINT32_MAX);
	_exit(1);
}

static _Noreturn void first_task(const struct crew_options *options, const int *keep,
				 struct crew_page *page, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	close_all_but(keep, options->n_keep);
	if (options->begin) {
		int r = options->begin(page->room);

		if (r)
			fail(page, r);
	}
	for (unsigned int i = 1; i < options->tasks; i++)
		if (clone(thread_main, page->stacks[i] + STACK,
			  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				  CLONE_SYSVSEM,
			  &page->seats[i]) < 0)
			fail(page, -errno);
	serve(&page->seats[0]);
}

/* Its maker. */

const char *crew_lacks(void)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, gettid(), PIDFD_THREAD);

	if (fd >= 0)
		return NULL;
	if (errno == EINVAL)
		return "this kernel gives no pidfds of threads: one since 6.9 does";
	return "pidfd_open() is not allowed: a seccomp filter (SystemCallFilter=) that lets it "
	       "through would help";
}

/* Until the word is at least that. */
static bool wait_for(uint32_t *word, uint32_t value)
{
	uint64_t end = now_ns() + PATIENCE_MS * NSEC_PER_MSEC;
	struct timespec slice = { .tv_nsec = 50 * NSEC_PER_MSEC };
	uint32_t seen;

	while ((seen = look(word)) < value) {
		if (now_ns() > end)
			return false;
		futex(word, FUTEX_WAIT, seen, &slice);
	}
	return true;
}

static struct crew_page *new_page(const struct crew_options *options)
{
	struct crew_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	for (unsigned int i = 0; i < CREW_TASKS; i++)
		page->seats[i] = (struct seat){ page, i };
	if (options->room)
		memcpy(page->room, options->room, CREW_ROOM);
	return page;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int meet(struct crew *crew)
{
	if (!wait_for(&crew->page->here, crew->n))
		return -ETIMEDOUT;
	if (crew->page->error)
		return crew->page->error;
	for (unsigned int i = 1; i < crew->n; i++) {
		crew->tids[i] = crew->page->tids[i];
		crew->pidfds[i] = (int)syscall(SYS_pidfd_open, crew->tids[i], PIDFD_THREAD);
	}
	return 0;
}

int crew_new(const struct crew_options *options, struct crew *ret)
{
	struct crew crew = { .n = options->tasks, .page = new_page(options) };
	struct clone_args args = { .flags = CLONE_PIDFD,
				   .pidfd = (uint64_t)(uintptr_t)&crew.pidfds[0],
				   .exit_signal = SIGCHLD };
	int keep[CREW_KEEPS], r;
	pid_t parent = getpid();

	if (!crew.page)
		return -ENOMEM;
	for (unsigned int i = 0; i < CREW_TASKS; i++)
		crew.pidfds[i] = -1;
	for (unsigned int i = 0; i < options->n_keep; i++)
		keep[i] = options->keep[i];
	qsort(keep, options->n_keep, sizeof(*keep), compare);
	crew.tids[0] = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (!crew.tids[0])
		first_task(options, keep, crew.page, parent);
	r = crew.tids[0] < 0 ? -errno : meet(&crew);
	if (r) {
		crew_free(&crew);
		return r;
	}
	*ret = crew;
	return 0;
}

int crew_tell(struct crew *crew, unsigned int task, enum crew_act act, int argument)
{
	struct crew_page *page = crew->page;
	uint32_t order = (page->order / SEATS + 1) * SEATS + task;

	page->act = act;
	page->argument = argument;
	raise_to(&page->order, order);
	return wait_for(&page->heard, order) ? 0 : -ETIMEDOUT;
}

int crew_fd(const struct crew *crew, int fd)
{
	int ours = (int)syscall(SYS_pidfd_getfd, crew->pidfds[0], fd, 0);

	return ours < 0 ? -errno : ours;
}

const char *crew_fds_lack(void)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct crew_options options = { .tasks = 1, .keep = &fd, .n_keep = fd >= 0 };
	struct crew crew;
	int ours;

	if (crew_new(&options, &crew))
		return "no process of our own can be made: see ulimit -u, and pids.max of the cgroup";
	ours = crew_fd(&crew, fd);
	crew_free(&crew);
	if (ours < 0)
		return "pidfd_getfd() of a child is not allowed: a seccomp filter "
		       "(SystemCallFilter=) and a kernel.yama.ptrace_scope below 2 that let it "
		       "through would help";
	close(ours);
	return NULL;
}

void *crew_room(const struct crew *crew)
{
	return crew->page->room;
}

bool crew_has_ended(const struct crew *crew, unsigned int task)
{
	struct pollfd poll_fd = { .fd = crew->pidfds[task], .events = POLLIN };

	/* A thread that is gone for good hangs up. */
	return poll_fd.fd >= 0 && poll(&poll_fd, 1, PATIENCE_MS) == 1 &&
	       poll_fd.revents & (POLLIN | POLLHUP);
}

void crew_kill(const struct crew *crew)
{
	if (crew->tids[0] > 0)
		kill(crew->tids[0], SIGKILL);
}

int crew_reap(struct crew *crew)
{
	int status = -1;
	pid_t r;

	if (crew->tids[0] <= 0)
		return -1;
	crew_kill(crew);
	do
		r = waitpid(crew->tids[0], &status, 0);
	while (r < 0 && errno == EINTR);
	crew->tids[0] = 0;
	return r < 0 ? -1 : status;
}

void crew_free(struct crew *crew)
{
	if (!crew->page)
		return;
	crew_reap(crew);
	for (unsigned int i = 0; i < CREW_TASKS; i++)
		if (crew->pidfds[i] >= 0)
			close(TAKE_FD(crew->pidfds[i]));
	munmap(TAKE_PTR(crew->page), sizeof(*crew->page));
}
