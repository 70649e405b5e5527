// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel log as the kernel writes it: single lines of every class in the formats of old and
 * new releases, then whole reports as records of /dev/kmsg. A wrong "benign" hides a kernel bug,
 * a wrong anything else fails a good kernel: both directions are here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kmsg.h"
#include "util.h"

#define CUT	    "------------[ cut here ]------------"
#define END	    "---[ end trace 0000000000000000 ]---"
#define LINE	    "=================================================================="
#define NEW_AT	    "WARNING: kernel/bpf/bpf_local_storage.c:387 at "
#define OLD_AT	    "WARNING: CPU: 0 PID: 12 at kernel/bpf/bpf_local_storage.c:483 "
#define COMM	    ", CPU#1: kworker/1:2/77"
#define NOFAIL_WARN NEW_AT "bpf_selem_unlink_nofail+0x2a1/0x3c0" COMM
#define REFCOUNT_WARN \
	"WARNING: lib/refcount.c:28 at refcount_warn_saturate+0xbe/0x110, CPU#0: churn/412"
#define LIST_WARN \
	"WARNING: lib/list_debug.c:62 at __list_del_entry_valid_or_report+0xa1/0xe0, CPU#0: x/1"
#define FAKE_WARN "WARNING: fake of the positive control at bpfsoakd_test_hook"

struct sample {
	enum kmsg_class class;
	const char *line;
};

static const struct sample samples[] = {
	/* documented: the function decides */
	{ KMSG_DOCUMENTED, NOFAIL_WARN },
	{ KMSG_DOCUMENTED, "WARNING: at bpf_selem_unlink_nofail+0x2a1/0x3c0" COMM },
	{ KMSG_DOCUMENTED, OLD_AT "bpf_selem_unlink_nofail+0x2a1/0x3c0" },
	{ KMSG_DOCUMENTED, NEW_AT "bpf_selem_unlink_nofail.constprop.0+0x2a1/0x3c0" COMM },
	{ KMSG_DOCUMENTED, NEW_AT "bpf_selem_unlink_nofail.isra.0+0x2a1/0x3c0" COMM },
	{ KMSG_DOCUMENTED, NEW_AT "bpf_selem_unlink_nofail.cold+0x2a1/0x3c0" COMM },
	{ KMSG_DOCUMENTED, NEW_AT "bpf_selem_unlink_nofail" COMM },
	{ KMSG_DOCUMENTED, NEW_AT "bpf_selem_unlink_nofail+0x1/0x2, CPU#1: odd at x [y]/77" },
	{ KMSG_DOCUMENTED, "WARNING: [err && in_map_free] kernel/bpf/bpf_local_storage.c:387 at "
			   "bpf_selem_unlink_nofail+0x2a1/0x3c0" COMM },
	{ KMSG_DOCUMENTED, "WARNING: [err && !in_map_free] kernel/bpf/bpf_local_storage.c:419 at "
			   "bpf_selem_unlink_nofail+0x2a1/0x3c0" COMM },
	{ KMSG_DOCUMENTED, "WARNING: CPU: 0 PID: 12 at [err && in_map_free] "
			   "kernel/bpf/bpf_local_storage.c:387 "
			   "bpf_selem_unlink_nofail+0x2a1/0x3c0" },
	/* not documented though near */
	{ KMSG_WARNING, "WARNING: [!storage] kernel/bpf/bpf_local_storage.c:390 at "
			"bpf_selem_unlink_nofail+0x2a1/0x3c0" COMM },
	{ KMSG_WARNING, "WARNING: CPU: 0 PID: 12 at [!storage] kernel/bpf/bpf_local_storage.c:390 "
			"bpf_selem_unlink_nofail+0x2a1/0x3c0" },
	{ KMSG_WARNING, "WARNING: [!storage] kernel/bpf/bpf_local_storage.c:390 at "
			"bpf_selem_unlink_nofail+0x2a1/0x3c0, CPU#1: in_map_free/77" },
	{ KMSG_WARNING, NEW_AT "bpf_selem_unlink_nofail_other+0x1/0x2" COMM },
	{ KMSG_WARNING, NEW_AT "bpf_selem_unlink+0x2a1/0x3c0" COMM },
	{ KMSG_WARNING, NEW_AT "bpf_local_storage_destroy+0x2a1/0x3c0" COMM },
	{ KMSG_WARNING, NEW_AT "foo+0x1/0x2, CPU#0: x at bpf_selem_unlink_nofail/12" },
	{ KMSG_WARNING, OLD_AT "veth_xdp_rcv+0x17/0x60 [veth]" },
	{ KMSG_WARNING, OLD_AT "0xffffffff81234567" },
	{ KMSG_WARNING, FAKE_WARN },
	{ KMSG_WARNING, "WARNING: something that nobody has thought of" },

	{ KMSG_BUG, "kernel BUG at mm/slub.c:546!" },
	{ KMSG_BUG, "kernel BUG at foo+0x1/0x2 [verbose debug info unavailable]" },
	{ KMSG_BUG, "BUG: sleeping function called from invalid context at mm/util.c:1:" },
	{ KMSG_BUG, "BUG: scheduling while atomic: churn/412/0x00000002" },
	{ KMSG_BUG, "BUG: using smp_processor_id() in preemptible [00000000] code: x/1" },
	{ KMSG_BUG, "BUG: Bad page state in process churn  pfn:12345" },
	{ KMSG_BUG, "BUG: KCSAN: data-race in a / b" },
	{ KMSG_BUG, "BUG: spinlock bad magic on CPU#0, churn/412" },
	{ KMSG_BUG, "BUG kmalloc-128 (Tainted: G        W          ): Poison overwritten" },
	{ KMSG_BUG, "BUG kmalloc-cg-64 (Not tainted): Object already free" },

	{ KMSG_OOPS, "BUG: kernel NULL pointer dereference, address: 0000000000000008" },
	{ KMSG_OOPS, "BUG: unable to handle page fault for address: ffff888100000000" },
	{ KMSG_OOPS, "BUG: TASK stack guard page was hit at 0000 (stack is 0000..0001)" },
	{ KMSG_OOPS, "Oops: 0002 [#1] SMP NOPTI" },
	{ KMSG_OOPS, "Oops: Oops: 0000 [#1] SMP" },
	{ KMSG_OOPS, "Oops: general protection fault, probably for non-canonical address "
		     "0xdead000000000122: 0000 [#1] SMP KASAN" },
	{ KMSG_OOPS, "general protection fault, probably for non-canonical address 0xdead: 0000" },
	{ KMSG_OOPS, "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI" },
	{ KMSG_OOPS, "divide error: 0000 [#2] SMP" },
	{ KMSG_OOPS, "Internal error: Oops: 0000000096000004 [#1]  SMP" },
	{ KMSG_OOPS, "Unable to handle kernel paging request at virtual address dead000000000122" },
	{ KMSG_OOPS, "traps: PANIC: double fault, error_code: 0x0" },
	{ KMSG_OOPS, "Kernel panic - not syncing: Fatal exception in interrupt" },

	{ KMSG_KASAN, "BUG: KASAN: slab-use-after-free in bpf_selem_unlink+0x12/0x34" },
	{ KMSG_KASAN, "BUG: KASAN: double-free in kfree+0x12/0x34" },
	{ KMSG_KASAN, "BUG: KFENCE: use-after-free read in bpf_selem_unlink+0x12/0x34" },
	{ KMSG_KASAN, "BUG: KMSAN: uninit-value in bpf_selem_unlink+0x12/0x34" },

	{ KMSG_UBSAN, "UBSAN: array-index-out-of-bounds in kernel/bpf/x.c:12:34" },

	{ KMSG_LOCKDEP, "WARNING: possible circular locking dependency detected" },
	{ KMSG_LOCKDEP, "WARNING: possible recursive locking detected" },
	{ KMSG_LOCKDEP, "WARNING: possible irq lock inversion dependency detected" },
	{ KMSG_LOCKDEP, "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected" },
	{ KMSG_LOCKDEP, "WARNING: inconsistent lock state" },
	{ KMSG_LOCKDEP, "WARNING: suspicious RCU usage" },
	{ KMSG_LOCKDEP, "WARNING: bad unlock balance detected!" },
	{ KMSG_LOCKDEP, "WARNING: held lock freed!" },
	{ KMSG_LOCKDEP, "WARNING: churn/412 still has locks held!" },
	{ KMSG_LOCKDEP, "WARNING: lock held when returning to user space!" },
	{ KMSG_LOCKDEP, "WARNING: Nested lock was not taken" },
	{ KMSG_LOCKDEP, "[ BUG: Invalid wait context ]" },
	{ KMSG_LOCKDEP, "INFO: trying to register non-static key." },
	{ KMSG_LOCKDEP, "BUG: MAX_LOCKDEP_CHAINS too low!" },
	{ KMSG_LOCKDEP, "BUG: MAX_LOCK_DEPTH too low!" },
	{ KMSG_LOCKDEP, "DEBUG_LOCKS_WARN_ON(1)" },

	{ KMSG_ODEBUG, "ODEBUG: free active (active state 0) object: 00000000c1a2b3c4 object "
		       "type: timer_list hint: foo+0x0/0x10" },
	{ KMSG_ODEBUG, "WARNING: lib/debugobjects.c:629 at debug_print_object+0x9e/0xc0" COMM },
	{ KMSG_REFCOUNT, "refcount_t: underflow; use-after-free." },
	{ KMSG_REFCOUNT, "refcount_t: addition on 0; use-after-free." },
	{ KMSG_REFCOUNT, REFCOUNT_WARN },
	{ KMSG_REFCOUNT, "WARNING: CPU: 0 PID: 412 at lib/refcount.c:28 "
			 "refcount_warn_saturate+0xbe/0x110" },

	{ KMSG_HUNG_TASK, "INFO: task kworker/0:1:12 blocked for more than 120 seconds." },
	{ KMSG_HUNG_TASK, "INFO: task a b:12 blocked in I/O wait for more than 241 seconds." },
	{ KMSG_SOFT_LOCKUP, "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [churn:412]" },
	{ KMSG_SOFT_LOCKUP, "NMI watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [churn:412]" },
	{ KMSG_SOFT_LOCKUP, "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck "
			    "for 31s!" },
	{ KMSG_HARD_LOCKUP, "watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 1" },
	{ KMSG_HARD_LOCKUP, "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1" },
	{ KMSG_RCU_STALL, "rcu: INFO: rcu_preempt self-detected stall on CPU" },
	{ KMSG_RCU_STALL, "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:" },
	{ KMSG_RCU_STALL, "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: {" },
	{ KMSG_RCU_STALL, "rcu: INFO: rcu_preempt detected stall, but suppressed full report due "
			  "to a stuck CSD-lock." },
	{ KMSG_RCU_STALL, "INFO: rcu_tasks detected stalls on tasks:" },
	{ KMSG_LIST_CORRUPTION, "list_del corruption. prev->next should be ffff8881, but was "
				"ffff8882. (prev=ffff8883)" },
	{ KMSG_LIST_CORRUPTION, "list_del corruption, ffff8881->next is LIST_POISON1 (dead0100)" },
	{ KMSG_LIST_CORRUPTION, "list_add corruption. prev is NULL." },
	{ KMSG_LIST_CORRUPTION,
	  "list_add double add: new=ffff8881, prev=ffff8881, next=ffff8882." },
	{ KMSG_LIST_CORRUPTION, LIST_WARN },
	{ KMSG_KMEMLEAK, "kmemleak: 3 new suspected memory leaks (see "
			 "/sys/kernel/debug/kmemleak)" },
	{ KMSG_KMEMLEAK, "kmemleak: unreferenced object 0xffff888101234500 (size 128):" },
	{ KMSG_OOM, "churn invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, "
		    "oom_score_adj=0" },
	{ KMSG_OOM, "Out of memory: Killed process 412 (churn) total-vm:1kB" },
	{ KMSG_OOM, "Memory cgroup out of memory: Killed process 412 (churn) total-vm:1kB" },
	{ KMSG_OOM, "Out of memory and no killable processes..." },
	{ KMSG_PRESSURE, "Out of memory: Killed process 9 (bpfsoakd-press) total-vm:1kB" },
	{ KMSG_PRESSURE, "Memory cgroup out of memory: Killed process 9 (bpfsoakd-press) total" },
	{ KMSG_PRESSURE, "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed"
			 "=0,global_oom,task_memcg=/,task=bpfsoakd-press,pid=9,uid=0" },

	/* of no interest */
	{ KMSG_BENIGN, "" },
	{ KMSG_BENIGN, CUT },
	{ KMSG_BENIGN, END },
	{ KMSG_BENIGN, LINE },
	{ KMSG_BENIGN, "Modules linked in: veth" },
	{ KMSG_BENIGN, "CPU: 1 UID: 0 PID: 77 Comm: kworker/1:2 Not tainted 7.3.4 #1" },
	{ KMSG_BENIGN, "RIP: 0010:bpf_selem_unlink_nofail+0x2a1/0x3c0" },
	{ KMSG_BENIGN, " bpf_selem_unlink_nofail+0x2a1/0x3c0" },
	{ KMSG_BENIGN, "Call Trace:" },
	{ KMSG_BENIGN, "#PF: error_code(0x0000) - not-present page" },
	{ KMSG_BENIGN, "INFO: lockdep is turned off." },
	{ KMSG_BENIGN, "INFO: task a:1 is blocked on a mutex likely owned by task b:2." },
	{ KMSG_BENIGN, "rcu: \tUnless rcu_preempt kthread gets sufficient CPU time, OOM is now "
		       "expected behavior." },
	{ KMSG_BENIGN, "rcu: INFO: Stall ended before state dump start" },
	{ KMSG_BENIGN, "oom_reaper: reaped process 412 (churn), now anon-rss:0kB" },
	{ KMSG_BENIGN, "ODEBUG: Out of memory. ODEBUG disabled" },
	{ KMSG_BENIGN, "kmemleak: Automatic memory scanning thread started" },
	{ KMSG_BENIGN, "traps: churn[412] general protection fault ip:55 sp:7f error:0" },
	{ KMSG_BENIGN, "churn[412]: segfault at 0 ip 0000 sp 0000 error 4" },
	{ KMSG_BENIGN, "perf: interrupt took too long (2503 > 2500), lowering" },
	{ KMSG_BENIGN, "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on" },
	{ KMSG_BENIGN, "debug: no BUG here" },
};

static void test_classify(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		enum kmsg_class class = kmsg_classify(samples[i].line);

		if (class != samples[i].class)
			fail_msg("'%s' is %s, should be %s", samples[i].line,
				 kmsg_class_name(class), kmsg_class_name(samples[i].class));
	}
}

static void test_names_and_violations(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KMSG_CLASS_NR; i++) {
		assert_non_null(kmsg_class_name(i));
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(kmsg_class_name(i), kmsg_class_name(j));
		assert_int_equal(kmsg_class_is_violation(i),
				 i != KMSG_BENIGN && i != KMSG_DOCUMENTED && i != KMSG_PRESSURE);
	}
	assert_string_equal(kmsg_class_name(KMSG_DOCUMENTED), "documented_warn");
	assert_string_equal(kmsg_class_name(KMSG_CLASS_NR), "unknown");
}

/* A log under test, and the next record's number and time. */
struct log {
	struct kmsg *kmsg;
	uint64_t seq;
	uint64_t time_us;
};

static int set_up(void **state)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log || kmsg_new("/dev/null", &log->kmsg) < 0)
		return -1;
	log->seq = 100;
	log->time_us = 5000000;
	*state = log;
	return 0;
}

static int tear_down(void **state)
{
	struct log *log = *state;

	kmsg_free(log->kmsg);
	free(log);
	return 0;
}

/* One record, its text as the kernel would have escaped it. */
static int feed_as(struct log *log, unsigned int priority, const char *caller, const char *text)
{
	_cleanup_free_ char *record =
		format("%u,%llu,%llu,-%s;%s\n", priority, (unsigned long long)log->seq++,
		       (unsigned long long)log->time_us, caller, text);

	assert_non_null(record);
	log->time_us += 20;
	return kmsg_feed_record(log->kmsg, record, strlen(record));
}

static int feed(struct log *log, const char *text)
{
	return feed_as(log, 4, "", text);
}

#define FEED_ALL(log, ...) feed_all(log, (const char *const[]){ __VA_ARGS__, NULL })

static int feed_all(struct log *log, const char *const *lines)
{
	int reports = 0;

	for (; *lines; lines++)
		reports += feed(log, *lines);
	return reports;
}

/* Registers and trace, as every report has them. */
static int feed_body(struct log *log)
{
	return FEED_ALL(log, "Modules linked in: veth",
			"CPU: 1 UID: 0 PID: 77 Comm: kworker/1:2 Not tainted 7.3.4 #1 PREEMPT",
			"RIP: 0010:foo+0x2a1/0x3c0", "Call Trace:", " <TASK>",
			" bpf_local_storage_map_free+0x1b5/0x2d0", " </TASK>");
}

static const struct kmsg_report *report_at(const struct log *log, size_t i)
{
	const struct kmsg_report *reports;

	assert_true(kmsg_reports(log->kmsg, &reports) > i);
	return &reports[i];
}

/* There is exactly this one report. */
static const struct kmsg_report *only_report(const struct log *log, enum kmsg_class class)
{
	const struct kmsg_report *reports;

	assert_int_equal(kmsg_reports(log->kmsg, &reports), 1);
	assert_int_equal(reports[0].class, class);
	for (unsigned int i = KMSG_BENIGN + 1; i < KMSG_CLASS_NR; i++)
		assert_int_equal(kmsg_count(log->kmsg, i), i == class);
	return reports;
}

static void assert_ends_with(const char *text, const char *end)
{
	assert_true(strlen(text) >= strlen(end));
	assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void test_documented_report(void **state)
{
	struct log *log = *state;
	const struct kmsg_report *report;

	assert_int_equal(feed(log, "some chatter"), 0);
	assert_int_equal(FEED_ALL(log, CUT, NOFAIL_WARN), 1);
	assert_int_equal(feed_body(log), 0);
	assert_int_equal(FEED_ALL(log, END, "more chatter"), 0);
	report = only_report(log, KMSG_DOCUMENTED);
	assert_int_equal(report->time_us, 5000020);
	assert_memory_equal(report->text, CUT "\n" NOFAIL_WARN "\nModules", 50);
	assert_ends_with(report->text, " </TASK>\n" END);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_BENIGN), 2);
	assert_int_equal(kmsg_lost(log->kmsg), 0);
}

/* Some kernels print the condition on a line of its own. */
static void test_condition_before_the_warning(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, CUT, "err && !in_map_free", NOFAIL_WARN), 1);
	only_report(log, KMSG_DOCUMENTED);
	assert_non_null(strstr(report_at(log, 0)->text, "\nerr && !in_map_free\n"));
}

/* Two CPUs warn at once: the rest of the other's report is no condition of this one's. */
static void test_foreign_dump_before_the_warning(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, CUT, " ? rcu_core+0x457/0xb50",
				  "RSP: 0018:ff80387ec40bbad8 EFLAGS: 00000246", "Call Trace:", END,
				  NOFAIL_WARN),
			 1);
	only_report(log, KMSG_DOCUMENTED);
}

/* Seen in a duel: one CPU's dump goes on after the other's "cut here". */
static void test_workqueue_before_the_warning(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, CUT, NOFAIL_WARN, "Tainted: [O]=OOT_MODULE", CUT,
				  "Workqueue: events_unbound bpf_map_free_deferred", NOFAIL_WARN),
			 2);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_DOCUMENTED), 2);
}

static void test_other_condition_before_the_warning(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, CUT, "!storage", NOFAIL_WARN), 1);
	only_report(log, KMSG_WARNING);
}

/* Chatter between the two lines is no condition: less urgent, or of another CPU. */
static void test_chatter_is_no_condition(void **state)
{
	struct log *log = *state;

	feed_as(log, 6, "", CUT);
	feed_as(log, 6, "", "eth0: link up");
	assert_int_equal(feed(log, NOFAIL_WARN), 1);
	only_report(log, KMSG_DOCUMENTED);
}

static void test_chatter_of_another_caller_is_no_condition(void **state)
{
	struct log *log = *state;

	feed_as(log, 4, ",caller=T77", CUT);
	feed_as(log, 4, ",caller=C1", "perf: interrupt took too long");
	assert_int_equal(feed_as(log, 4, ",caller=T77", NOFAIL_WARN), 1);
	only_report(log, KMSG_DOCUMENTED);
}

/* What a "cut here" of long ago was about does not matter any more. */
static void test_stale_preface(void **state)
{
	struct log *log = *state;

	FEED_ALL(log, CUT, "!storage");
	log->time_us += 2000000;
	assert_int_equal(feed(log, NOFAIL_WARN), 1);
	only_report(log, KMSG_DOCUMENTED);
	assert_string_equal(report_at(log, 0)->text, NOFAIL_WARN);
}

static void test_refcount_is_one_report(void **state)
{
	struct log *log = *state;

	assert_int_equal(
		FEED_ALL(log, CUT, "refcount_t: underflow; use-after-free.", REFCOUNT_WARN), 1);
	assert_int_equal(feed_body(log), 0);
	feed(log, END);
	assert_memory_equal(only_report(log, KMSG_REFCOUNT)->text, CUT "\nrefcount_t: ", 49);
}

/* Architectures without a trap for WARN() print the message last. */
static void test_refcount_message_after_the_warning(void **state)
{
	struct log *log = *state;

	assert_int_equal(
		FEED_ALL(log, CUT, REFCOUNT_WARN, "refcount_t: underflow; use-after-free."), 1);
	feed_body(log);
	feed(log, END);
	only_report(log, KMSG_REFCOUNT);
}

static void test_odebug_is_one_report(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, CUT, "ODEBUG: free active (active state 0) object: c1a2",
				  "WARNING: lib/debugobjects.c:629 at debug_print_object+0x9e/0xc0"
				  ", CPU#0: x/1"),
			 1);
	feed_body(log);
	only_report(log, KMSG_ODEBUG);
}

static void test_list_corruption_with_bug(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, "list_del corruption. prev->next should be ffff8881", CUT,
				  "kernel BUG at lib/list_debug.c:62!",
				  "Oops: invalid opcode: 0000 [#1] SMP NOPTI"),
			 1);
	assert_int_equal(feed_body(log), 0);
	feed(log, END);
	assert_ends_with(only_report(log, KMSG_LIST_CORRUPTION)->text, END);
}

static void test_list_corruption_with_warning(void **state)
{
	struct log *log = *state;

	assert_int_equal(
		FEED_ALL(log, CUT, "list_del corruption. next->prev should be ffff8881", LIST_WARN),
		1);
	feed_body(log);
	feed(log, END);
	only_report(log, KMSG_LIST_CORRUPTION);
}

static void test_page_fault_is_one_report(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log,
				  "BUG: kernel NULL pointer dereference, address: 0000000000000008",
				  "#PF: supervisor read access in kernel mode", "PGD 0 P4D 0 ",
				  "Oops: Oops: 0000 [#1] SMP NOPTI"),
			 1);
	feed_body(log);
	feed(log, END);
	only_report(log, KMSG_OOPS);
}

static void test_slab_bug_with_warning(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, LINE, "BUG kmalloc-128 (Not tainted): Poison overwritten",
				  "Slab 0x1 objects=32 used=32 fp=0x0 flags=0x200(workingset)", CUT,
				  "WARNING: mm/slub.c:1257 at object_err+0x3b/0x50, CPU#0: x/1"),
			 1);
	feed_body(log);
	feed(log, END);
	only_report(log, KMSG_BUG);
}

/* KASAN has no end trace; the line under it ends it, and nothing after that is of it. */
static void test_kasan(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, LINE,
				  "BUG: KASAN: slab-use-after-free in bpf_selem_unlink+0x12/0x34",
				  "Read of size 8 at addr ffff888101234500 by task churn/412", ""),
			 1);
	feed_body(log);
	FEED_ALL(log, "Freed by task 412:", "Memory state around the buggy address:", LINE,
		 "chatter");
	assert_ends_with(only_report(log, KMSG_KASAN)->text, "buggy address:\n" LINE);
}

static void test_ubsan(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, CUT, "UBSAN: shift-out-of-bounds in lib/x.c:1:2",
				  "shift exponent 64 is too large for 64-bit type 'int'"),
			 1);
	feed_body(log);
	feed(log, "---[ end trace ]---");
	assert_ends_with(only_report(log, KMSG_UBSAN)->text, "---[ end trace ]---");
}

static void test_oom_is_one_report(void **state)
{
	struct log *log = *state;

	assert_int_equal(feed(log, "churn invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0"),
			 1);
	feed_body(log);
	assert_int_equal(FEED_ALL(log, "Mem-Info:", "oom-kill:constraint=CONSTRAINT_NONE",
				  "Out of memory: Killed process 412 (churn) total-vm:1kB"),
			 0);
	only_report(log, KMSG_OOM);
}

#define OOM_VICTIM(comm) \
	"oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=" comm ",pid=9,uid=0"

/* Who is killed is said last, and whoever asked for memory first is not to blame. */
static void test_oom_by_pressure_is_no_violation(void **state)
{
	struct log *log = *state;

	assert_int_equal(feed(log, "churn invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0"),
			 1);
	feed_body(log);
	assert_int_equal(FEED_ALL(log, "Mem-Info:", OOM_VICTIM("bpfsoakd-press"),
				  "Out of memory: Killed process 9 (bpfsoakd-press) total-vm:1kB"),
			 0);
	only_report(log, KMSG_PRESSURE);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_OOM), 0);
	/* The next one is somebody else. */
	assert_int_equal(FEED_ALL(log, "bpfsoakd-press invoked oom-killer: gfp_mask=0xcc0",
				  OOM_VICTIM("systemd"),
				  "Out of memory: Killed process 9 (systemd) total-vm:1kB"),
			 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_OOM), 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_PRESSURE), 1);
}

/* What has not been said counts as the worse. */
static void test_oom_without_a_victim_counts(void **state)
{
	struct log *log = *state;

	assert_int_equal(feed(log, "churn invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0"),
			 1);
	assert_int_equal(feed(log, "BUG: KASAN: slab-use-after-free in foo+0x1/0x2"), 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_OOM), 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_KASAN), 1);
	/* Nothing comes after it, and that for long enough. */
	assert_int_equal(feed(log, "churn invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0"),
			 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_OOM), 2);
}

static void test_kmemleak_is_one_report(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log,
				  "kmemleak: unreferenced object 0xffff888101234500 (size 64):",
				  "kmemleak:   backtrace (crc 1234):",
				  "kmemleak: unreferenced object 0xffff888101234600 (size 64):",
				  "kmemleak: 2 new suspected memory leaks (see x)"),
			 1);
	only_report(log, KMSG_KMEMLEAK);
}

/* A finding in the middle of another report, a documented one above all, is not swallowed. */
static void test_reports_back_to_back(void **state)
{
	struct log *log = *state;

	assert_int_equal(FEED_ALL(log, CUT, NOFAIL_WARN), 1);
	assert_int_equal(feed(log, "BUG: KASAN: slab-use-after-free in foo+0x1/0x2"), 1);
	assert_int_equal(feed(log, NOFAIL_WARN), 1);
	assert_int_equal(feed(log, NOFAIL_WARN), 1);
	assert_int_equal(feed(log, "Oops: Oops: 0000 [#1] SMP"), 1);
	assert_int_equal(feed(log, "Oops: Oops: 0000 [#2] SMP"), 1);
	feed_body(log);
	assert_int_equal(feed(log, CUT), 0);
	assert_int_equal(feed(log, LIST_WARN), 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_DOCUMENTED), 3);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_KASAN), 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_OOPS), 2);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_LIST_CORRUPTION), 1);
	assert_ends_with(report_at(log, 5)->text, "</TASK>");
	assert_string_equal(report_at(log, 6)->text, CUT "\n" LIST_WARN);
}

/* A slab's report takes in a WARNING, though not a documented one: that is a count of its own. */
static void test_documented_after_slab_bug(void **state)
{
	struct log *log = *state;

	FEED_ALL(log, "BUG kmalloc-128 (Not tainted): Poison overwritten", NOFAIL_WARN);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_BUG), 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_DOCUMENTED), 1);
}

/* Two CPUs at once: the documented WARN comes between another report's first two lines. */
static void test_documented_inside_another_head(void **state)
{
	struct log *log = *state;

	FEED_ALL(log, CUT, CUT, "refcount_t: underflow; use-after-free.", NOFAIL_WARN,
		 REFCOUNT_WARN);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_DOCUMENTED), 1);
	assert_true(kmsg_count(log->kmsg, KMSG_REFCOUNT) >= 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_WARNING), 0);
}

static void test_silence_ends_a_report(void **state)
{
	struct log *log = *state;

	feed(log, "INFO: task churn:412 blocked for more than 120 seconds.");
	feed(log, "      Not tainted 7.3.4 #1");
	log->time_us += 1500000;
	feed(log, "eth0: link up");
	assert_string_equal(only_report(log, KMSG_HUNG_TASK)->text,
			    "INFO: task churn:412 blocked for more than 120 seconds.\n"
			    "      Not tainted 7.3.4 #1");
}

static void test_same_text_again_later_is_another_report(void **state)
{
	struct log *log = *state;

	feed(log, "refcount_t: underflow; use-after-free.");
	log->time_us += 1500000;
	assert_int_equal(feed(log, REFCOUNT_WARN), 1);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_REFCOUNT), 2);
}

/* What user space writes is no report, except for our own positive control. */
static void test_records_of_user_space(void **state)
{
	struct log *log = *state;

	assert_int_equal(feed_as(log, 8 | 4, "", "BUG: KASAN: not really"), 0);
	assert_int_equal(feed_as(log, 3 << 3, "", "WARNING: of a daemon"), 0);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_BENIGN), 2);
	assert_int_equal(feed_as(log, 8 | 4, "", FAKE_WARN), 1);
	assert_string_equal(only_report(log, KMSG_WARNING)->text, FAKE_WARN);
}

/* ... and does not get into the kernel's report either. */
static void test_user_space_inside_a_report(void **state)
{
	struct log *log = *state;

	FEED_ALL(log, CUT, NOFAIL_WARN);
	feed_as(log, 8 | 6, "", END);
	feed_as(log, 8 | 6, "", "hello");
	feed(log, "Call Trace:");
	assert_string_equal(only_report(log, KMSG_DOCUMENTED)->text,
			    CUT "\n" NOFAIL_WARN "\nCall Trace:");
}

static void test_record_format(void **state)
{
	struct log *log = *state;
	static const char record[] =
		"2,7,123456,-,caller=T77,future=1;\\x0aBUG: Bad page state; a\\x5cb\\x09c \\xc3\\xa4\n"
		" SUBSYSTEM=pci\n DEVICE=+pci:0000:00:01.0\n";

	assert_int_equal(kmsg_feed_record(log->kmsg, record, sizeof(record) - 1), 1);
	assert_int_equal(only_report(log, KMSG_BUG)->time_us, 123456);
	assert_string_equal(report_at(log, 0)->text, "BUG: Bad page state; a\\b\tc \\xc3\\xa4");
}

/* A record may hold several lines, each of which may begin a report. */
static void test_several_lines_in_a_record(void **state)
{
	struct log *log = *state;

	assert_int_equal(feed(log, "BUG: Bad page state\\x0amore\\x0aUBSAN: x in y:1:2"), 2);
	assert_string_equal(report_at(log, 0)->text, "BUG: Bad page state\nmore");
}

static void test_fragments_are_joined(void **state)
{
	struct log *log = *state;
	static const char *const records[] = { "4,1,10,-;BUG: Bad page state\n", "4,2,11,-;one\n",
					       "4,3,12,c; two\n" };

	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		kmsg_feed_record(log->kmsg, records[i], strlen(records[i]));
	assert_string_equal(only_report(log, KMSG_BUG)->text, "BUG: Bad page state\none two");
}

static void test_lost_records(void **state)
{
	struct log *log = *state;

	feed(log, "one");
	feed(log, "two");
	assert_int_equal(kmsg_lost(log->kmsg), 0);
	log->seq += 17;
	feed(log, "three");
	assert_int_equal(kmsg_lost(log->kmsg), 17);
	feed(log, "four");
	assert_int_equal(kmsg_lost(log->kmsg), 17);
}

/* Numbers as no kernel gives them: what is lost stays lost, and nobody's record is the kernel's. */
static void test_absurd_numbers(void **state)
{
	struct log *log = *state;
	static const char *const records[] = {
		"6,0,10,-;x\n",
		"6,18446744073709551615,11,-;x\n",
		"6,18446744073709551615,12,-;x\n",
	};
	static const char far[] = "34359738372,0,13,-;BUG: Bad page state\n";

	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		assert_int_equal(kmsg_feed_record(log->kmsg, records[i], strlen(records[i])), 0);
	assert_int_equal(kmsg_lost(log->kmsg), UINT64_MAX - 1);
	assert_int_equal(kmsg_feed_record(log->kmsg, far, strlen(far)), 0);
	assert_int_equal(kmsg_feed_record(log->kmsg, "x", 1), 0);
	assert_int_equal(kmsg_lost(log->kmsg), UINT64_MAX - 1);
}

static void test_garbage_is_lost_not_trusted(void **state)
{
	struct log *log = *state;
	static const char *const garbage[] = {
		"",	      ";",
		";text",      "4;text",
		"4,1;text",   "4,1,;x",
		"4,1,10;x",   "a,1,10,-;x",
		"4,b,10,-;x", "no semicolon at all",
		"4,1,10,-",   "4,18446744073709551616,10,-;x",
	};

	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++)
		assert_int_equal(kmsg_feed_record(log->kmsg, garbage[i], strlen(garbage[i])), 0);
	assert_int_equal(kmsg_lost(log->kmsg), ARRAY_SIZE(garbage));
	/* Escapes cut short, no text, no newline: still records. */
	assert_int_equal(kmsg_feed_record(log->kmsg, "4,1,10,-;", 9), 0);
	assert_int_equal(kmsg_feed_record(log->kmsg, "4,2,10,-;\\x", 11), 0);
	assert_int_equal(kmsg_feed_record(log->kmsg, "4,3,10,;\\x0", 11), 0);
	assert_int_equal(kmsg_lost(log->kmsg), ARRAY_SIZE(garbage));
}

static void test_only_the_first_reports_are_kept(void **state)
{
	struct log *log = *state;
	const struct kmsg_report *reports;

	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(FEED_ALL(log, CUT, NOFAIL_WARN), 1);
		feed_body(log);
		feed(log, END);
	}
	assert_int_equal(kmsg_count(log->kmsg, KMSG_DOCUMENTED), 100);
	assert_int_equal(kmsg_reports(log->kmsg, &reports), 32);
	assert_ends_with(reports[31].text, END);
	assert_int_equal(kmsg_count(log->kmsg, KMSG_BENIGN), 0);
}

static void test_a_report_without_end_is_bounded(void **state)
{
	struct log *log = *state;

	feed(log, "BUG: Bad page state");
	for (unsigned int i = 0; i < 20000; i++)
		feed(log, "a line that goes on and on");
	assert_true(strlen(only_report(log, KMSG_BUG)->text) <= 32768);
}

static void test_long_preface(void **state)
{
	struct log *log = *state;

	feed(log, CUT);
	for (unsigned int i = 0; i < 200; i++)
		feed(log, "a message of a WARN that goes on and on");
	assert_int_equal(feed(log, "WARNING: at foo+0x1/0x2, CPU#0: x/1"), 1);
	only_report(log, KMSG_WARNING);
}

static void test_device(void **state)
{
	struct log *log = *state;
	struct kmsg *kmsg = NULL;

	assert_true(kmsg_fd(log->kmsg) >= 0);
	assert_int_equal(kmsg_read(log->kmsg), 0);
	assert_int_equal(kmsg_new("/nonexistent/kmsg", &kmsg), -ENOENT);
	assert_null(kmsg);
	kmsg_free(NULL);
}

/* The real one, where we may: what was logged before is not ours, what is logged now is. */
static void test_real_device(void **state)
{
	struct kmsg *kmsg = NULL;
	int r = kmsg_new(NULL, &kmsg);

	(void)state;
	if (r < 0) {
		print_message("no kernel log here: %s\n", strerror(-r));
		skip();
	}
	assert_true(kmsg_read(kmsg) >= 0);
	assert_int_equal(kmsg_lost(kmsg), 0);
	kmsg_free(kmsg);
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classify),
		cmocka_unit_test(test_names_and_violations),
		LOG_TEST(test_documented_report),
		LOG_TEST(test_condition_before_the_warning),
		LOG_TEST(test_foreign_dump_before_the_warning),
		LOG_TEST(test_other_condition_before_the_warning),
		LOG_TEST(test_chatter_is_no_condition),
		LOG_TEST(test_chatter_of_another_caller_is_no_condition),
		LOG_TEST(test_workqueue_before_the_warning),
		LOG_TEST(test_stale_preface),
		LOG_TEST(test_refcount_is_one_report),
		LOG_TEST(test_refcount_message_after_the_warning),
		LOG_TEST(test_odebug_is_one_report),
		LOG_TEST(test_list_corruption_with_bug),
		LOG_TEST(test_list_corruption_with_warning),
		LOG_TEST(test_page_fault_is_one_report),
		LOG_TEST(test_slab_bug_with_warning),
		LOG_TEST(test_kasan),
		LOG_TEST(test_ubsan),
		LOG_TEST(test_oom_is_one_report),
		LOG_TEST(test_oom_by_pressure_is_no_violation),
		LOG_TEST(test_oom_without_a_victim_counts),
		LOG_TEST(test_kmemleak_is_one_report),
		LOG_TEST(test_reports_back_to_back),
		LOG_TEST(test_documented_after_slab_bug),
		LOG_TEST(test_documented_inside_another_head),
		LOG_TEST(test_silence_ends_a_report),
		LOG_TEST(test_same_text_again_later_is_another_report),
		LOG_TEST(test_records_of_user_space),
		LOG_TEST(test_user_space_inside_a_report),
		LOG_TEST(test_record_format),
		LOG_TEST(test_several_lines_in_a_record),
		LOG_TEST(test_fragments_are_joined),
		LOG_TEST(test_lost_records),
		LOG_TEST(test_absurd_numbers),
		LOG_TEST(test_garbage_is_lost_not_trusted),
		LOG_TEST(test_only_the_first_reports_are_kept),
		LOG_TEST(test_a_report_without_end_is_bounded),
		LOG_TEST(test_long_preface),
		LOG_TEST(test_device),
		cmocka_unit_test(test_real_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
