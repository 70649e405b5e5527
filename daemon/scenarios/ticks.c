// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program in the interrupt of a timer (perf's software CPU clock) puts and deletes a value of the
 * task that it interrupts, while this thread does the same by pidfd, from another CPU where there
 * is one. The interrupt may come anywhere but where the storage's locks are held, and
 * kmalloc_nolock() and rqspinlock may refuse there. Then the task is killed, ticking.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "../log.h"
#include "../pool.h"
#include "../raw_task.h"
#include "../util.h"
#include "../worker.h"
#include "kept.h"
#include "order.h"
#include "rivals.h"

#define PAUSE_NS  (800 * NSEC_PER_MSEC)
#define TURN_NS	  (15 * NSEC_PER_MSEC)
#define PERIOD_NS (200 * NSEC_PER_USEC)

struct state {
	struct order_marked marked;
	uint64_t next_ns;
};

static int open_clock(pid_t pid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.disabled = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

/*
 * The one that was tried stays, as long as the process: with the first event of a task the kernel
 * rewrites the scheduler's code on all CPUs (perf_sched_events, kernel/events/core.c), a second
 * after the last one back again, and each step would have it do that.
 */
static int first_clock = -1;

static const char *lacks(void)
{
	if (first_clock < 0)
		first_clock = open_clock(0);
	if (first_clock >= 0)
		return order_lacks(SOAK_BY_TICK, SOAK_TASK);
	switch (first_clock) {
	case -EACCES:
	case -EPERM:
		return "perf_event_open() is not allowed: CAP_PERFMON, or a lower "
		       "kernel.perf_event_paranoid, would help";
	case -ENOSYS:
		return "this kernel has no perf_event_open(): CONFIG_PERF_EVENTS would help";
	default:
		return "perf_event_open() gives no software CPU clock here (PERF_COUNT_SW_CPU_CLOCK)";
	}
}

/* Another CPU than ours, where the daemon may run on another. */
static void send_away(const struct worker *w, const struct raw_task *task)
{
	cpu_set_t set;

	if (sched_getaffinity(getpid(), sizeof(set), &set) < 0)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set) || cpu == w->cpu)
			continue;
		raw_task_pin(task, cpu);
		return;
	}
}

static int start_ticks(struct worker *w, const struct raw_task *task)
{
	int program = programs_of_order(pool_programs(w->pool), SOAK_BY_TICK, SOAK_TASK);
	int fd = program < 0 ? program : open_clock(task->pid);

	if (fd < 0)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, program) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* In interrupts the program did both, and so did we. */
static bool both_came(const struct soak_order *order, const struct tally *tally)
{
	return order->in_irq && order->put && order->deleted && tally->updates && tally->deletes;
}

static bool live(struct worker *w, struct state *s, const struct raw_task *task, struct rng *rng)
{
	struct prize prize = { .map = s->marked.value.fd, .key = task->pidfd };
	struct tally tally = { 0 };

	order_give(w, SOAK_BY_TICK, SOAK_VERB_EITHER, ORDER_MARKED, 1);
	rivals_compete(&prize, now_ns() + TURN_NS, rng, &tally);
	order_end(w);
	rivals_count(w, &tally, "a timer's program");
	return rivals_settle(w, &s->marked.value, task->pidfd, rng) &&
	       both_came(order_of(w), &tally);
}

static void die(struct worker *w, struct raw_task *task)
{
	order_give(w, SOAK_BY_TICK, SOAK_VERB_EITHER, ORDER_MARKED, 1);
	raw_task_kill(task);
	order_end(w);
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct raw_task task = RAW_TASK_INIT;
	_cleanup_close_ int clock = -1;
	struct state *s = state;
	bool right = false;

	if (now_ns() < s->next_ns || !order_of(w) || !order_mark(w, SOAK_TASK, &s->marked))
		return SCENARIO_NOTHING;
	s->next_ns = now_ns() + PAUSE_NS;
	if (raw_task_new(RAW_TASK_SPINS, &task) < 0) {
		bump(&w->errors, 1);
		return SCENARIO_FAILED;
	}
	bump(&w->born[SOAK_TASK], 1);
	send_away(w, &task);
	clock = start_ticks(w, &task);
	if (clock < 0)
		log_debug("no timer on a task: %s", strerror(-clock));
	kept_forget(&s->marked.mark);
	if (clock >= 0 && !kept_put(w, &s->marked.mark, task.pidfd, rng))
		right = live(w, s, &task, rng);
	die(w, &task);
	worker_took_effect(w);
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static void end(struct worker *w, void *state)
{
	struct state *s = state;

	order_unmark(w, SOAK_TASK, &s->marked);
}

const struct scenario scenario_ticks = {
	.what = "a timer's interrupt puts and deletes a task's value while this is done by bpf(2)",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
	.end = end,
};
