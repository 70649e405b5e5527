// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a lock is made to fail. All rqspinlock acquisitions try one inlined cmpxchg and, when that
 * fails, call resilient_queued_spin_lock_slowpath() (include/asm-generic/rqspinlock.h).
 *
 * A kprobe on the slow path looks at each call: whose return address lies in a chosen function,
 * and whose lock is one of those that the call under way is about to take, goes to the stub below
 * instead; all others go on untouched. The stub asks the site's fault point. An error releases
 * the held-lock entry that the inlined part took, once, and is returned in place of the slow
 * path's; else the real slow path is called, from here, where the filter lets it through.
 *
 * That is "contended": a failed cmpxchg means that somebody holds the lock. "forced" is the same
 * with a second kprobe on the cmpxchg instruction itself, which pretends that it failed. The lock
 * word is not touched, so there is nothing to undo, no other CPU notices, and if the detour is
 * missed, the real slow path takes the lock as if it had just been released.
 *
 * Both probes hit with interrupts off, and these stay off until the stub returns.
 */
#include <linux/bpf_local_storage.h>
#include <linux/delay.h>
#include <linux/kallsyms.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/ratelimit.h>

#include <asm/rqspinlock.h>

#include "rqf.h"

/* What a hit of the probe leaves for the stub: one for a task and one for a softirq on top. */
struct detour {
	struct rqf_frame *frame;
	enum rqf_lock lock;
	enum rqf_site site;
	bool forced;		 /* nobody held it */
	unsigned long pretended; /* the lock whose cmpxchg was made to fail */
	bool was_held;		 /* it would have failed anyway */
};

static DEFINE_PER_CPU(struct detour[2], detours);
DEFINE_PER_CPU(struct rqf_counters, rqf_counters);

static struct detour *detour_here(void)
{
	return this_cpu_ptr(&detours[!!in_serving_softirq()]);
}

static enum rqf_result result_of(enum rqf_kind kind, int error)
{
	static const enum rqf_result results[RQF_KIND_NR][RQF_ERROR_NR] = {
		[RQF_KIND_ORGANIC] = { RQF_ORGANIC_TIMEOUT, RQF_ORGANIC_DEADLOCK },
		[RQF_KIND_CONTENDED] = { RQF_CONTENDED_TIMEOUT, RQF_CONTENDED_DEADLOCK },
		[RQF_KIND_FORCED] = { RQF_FORCED_TIMEOUT, RQF_FORCED_DEADLOCK },
	};

	return results[kind][error == -EDEADLK];
}

/* With the lock held, and so for sure. */
static bool is_linked(const struct detour *detour)
{
	const struct bpf_local_storage_elem *selem = (void *)detour->frame->selem;

	return !hlist_unhashed(detour->lock == RQF_BUCKET ? &selem->map_node : &selem->snode);
}

static enum rqf_result result_of_success(const struct detour *detour)
{
	if (detour->site <= RQF_DESTROY_STORAGE && !is_linked(detour))
		return RQF_GONE;
	return RQF_OK;
}

static void account(const struct detour *detour, enum rqf_kind kind, int error)
{
	enum rqf_result result = error ? result_of(kind, error) : result_of_success(detour);

	if (error)
		this_cpu_inc(rqf_counters.errors[detour->site][kind][error == -EDEADLK]);
	else
		this_cpu_inc(rqf_counters.passed[detour->site]);
	WRITE_ONCE(detour->frame->result[detour->lock], result);
}

static bool is_lock_error(int error)
{
	return error == -ETIMEDOUT || error == -EDEADLK;
}

static bool may_fail(const struct rqf_config *config, const struct detour *detour)
{
	if (!config || !test_bit(detour->site, &config->fail))
		return false;
	if (config->only_encounters && !detour->frame->role)
		return false;
	if (!rqf_appointment_fails(detour->frame, detour->lock))
		return false;
	return detour->forced ? config->forced : config->contended;
}

static int ask(const struct detour *detour)
{
	const struct rqf_config *config = rcu_dereference_sched(rqf_config);
	int error = may_fail(config, detour) ? rqf_ask(detour->site) : 0;

	if (!error || is_lock_error(error))
		return error;
	this_cpu_inc(rqf_counters.refused);
	return 0;
}

static void tell(const struct detour *detour, int error)
{
	const struct rqf_config *config = rcu_dereference_sched(rqf_config);

	if (config && config->verbose)
		pr_info_ratelimited("%s at %s, %s\n", error == -EDEADLK ? "-EDEADLK" : "-ETIMEDOUT",
				    rqf_site_names[detour->site],
				    detour->forced ? "forced" : "contended");
}

/* Stands in for the slow path, and is called like it. */
static noinline notrace int stub(rqspinlock_t *lock, u32 val)
{
	struct detour detour = *detour_here();
	int error;

	this_cpu_inc(rqf_counters.calls[detour.site]);
	error = ask(&detour);
	if (error) {
		release_held_lock_entry();
		account(&detour, detour.forced ? RQF_KIND_FORCED : RQF_KIND_CONTENDED, error);
		tell(&detour, error);
		return error;
	}
	error = resilient_queued_spin_lock_slowpath(lock, val);
	/* Not the last thing: a jump there would return to the site, and be sent here again. */
	account(&detour, RQF_KIND_ORGANIC, error);
	return error;
}
NOKPROBE_SYMBOL(stub);

/* A later kretprobe on the slow path puts its own return address in place of the caller's. */
static bool is_return_trampoline(unsigned long address)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol_no_offset(name, address);
	return strstr(name, "rethook_trampoline") || strstr(name, "kretprobe_trampoline") ||
	       strstr(name, "return_to_handler");
}

static void look_for_hidden(unsigned long caller, unsigned long lock)
{
	for (int func = 0; func < RQF_FUNC_NR; func++) {
		const struct rqf_frame *frame = rqf_frame_find(func);

		if (!frame || rqf_frame_lock(frame, lock) == RQF_LOCK_NR)
			continue;
		if (is_return_trampoline(caller))
			this_cpu_inc(rqf_counters.hidden);
		return;
	}
}

static int slowpath_hit(struct kprobe *kp, struct pt_regs *regs)
{
	const struct rqf_config *config = rcu_dereference_sched(rqf_config);
	unsigned long caller = *(unsigned long *)regs->sp, lock = regs->di;
	struct detour *detour;
	struct rqf_frame *frame;
	int func;

	if (!config || rqf_in_interrupt(kp))
		return 0;
	func = rqf_func_of_call(caller);
	if (func < 0) {
		/* Unless it is the stub's own call. */
		if (!within_module(caller, THIS_MODULE)) {
			this_cpu_inc(rqf_counters.untouched);
			look_for_hidden(caller, lock);
		}
		return 0;
	}
	frame = rqf_frame_find(func);
	if (!frame)
		return 0;
	detour = detour_here();
	detour->lock = rqf_frame_lock(frame, lock);
	if (detour->lock == RQF_LOCK_NR) {
		if (frame->selem)
			this_cpu_inc(rqf_counters.strange);
		return 0;
	}
	detour->frame = frame;
	detour->site = frame->site[detour->lock];
	detour->forced = detour->pretended == lock && !detour->was_held;
	detour->pretended = 0;
	if (!test_bit(detour->site, &config->sites))
		return 0;
	regs->ip = (unsigned long)stub;
	return 1;
}
NOKPROBE_SYMBOL(slowpath_hit);

/* Without a post-handler the probe would become a jump, which ignores what we do to regs->ip. */
void rqf_no_optimization(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}
NOKPROBE_SYMBOL(rqf_no_optimization);

/* What of a selem the steps of a visit change, one bit or a few for each. */
static unsigned int progress_of(const struct bpf_local_storage_elem *selem)
{
	unsigned int progress = (unsigned int)atomic_read(&selem->state) << 4;

	progress |= READ_ONCE(selem->map_node.pprev) ? 0 : BIT(3);
	progress |= READ_ONCE(selem->snode.pprev) ? 0 : BIT(2);
	progress |= rcu_access_pointer(selem->sdata.smap) ? 0 : BIT(1);
	progress |= rcu_access_pointer(selem->local_storage) ? 0 : BIT(0);
	return progress;
}

/*
 * Lets the other side do some of its steps first. It may not be there at all, hence the limit. The
 * selem is not given away meanwhile: each side visits in an RCU read section.
 */
static void give_way(const struct rqf_frame *frame, unsigned int steps, unsigned int us)
{
	const struct bpf_local_storage_elem *selem = (void *)frame->selem;
	unsigned int seen = progress_of(selem);

	while (steps && us--) {
		unsigned int now = progress_of(selem);

		if (now != seen)
			steps--;
		seen = now;
		udelay(1);
	}
}

/* At most a millisecond, with interrupts off: far from what any watchdog minds. */
static void dwell(const struct rqf_config *config, const struct rqf_frame *frame)
{
	u32 random = rqf_random(), us = random >> 8;

	switch (random & 3) {
	case 0:
		return;
	case 1: /* as often a short time as any: the steps between take few microseconds */
		udelay(us % (random & 4 ? config->dwell : config->dwell / 8 + 1));
		return;
	default:
		give_way(frame, 1 + us % 3, config->dwell);
	}
}

/* Who is first at the state word decides who frees: seldom without regard to the other side. */
static void dwell_at_state(const struct rqf_config *config, const struct rqf_frame *frame)
{
	u32 random = rqf_random();

	if (random & 7)
		give_way(frame, 1 + (random >> 3) % 4, config->dwell);
	else
		dwell(config, frame);
}

static bool dwells(const struct rqf_config *config, const struct rqf_frame *frame)
{
	return config->dwell && frame->role == RQF_ROLE_DUEL;
}

/*
 * map_free() walks its bucket again when it is asked to reschedule after a visit, which otherwise
 * happens once in many thousand. Nothing but the visit's return comes after the cmpxchg.
 */
static void ask_for_restart(const struct rqf_frame *frame)
{
	if (!frame->map_free || rqf_random() & 3)
		return;
	set_tsk_need_resched(current);
	set_preempt_need_resched();
}

static enum rqf_stage stage_of(const struct rqf_frame *frame, const struct rqf_insn *insn,
			       unsigned long address, bool is_lock)
{
	if (is_lock)
		return address == frame->storage ? RQF_AT_STORAGE : RQF_AT_BUCKET;
	return insn->is_cmpxchg ? RQF_AT_DECISION : RQF_AT_STATE;
}

/*
 * The flag must still be there when the first visit returns, so it is not folded into the
 * preemption count, which any preempt_enable() looks at. After the second it has done its duty:
 * until somebody reschedules, map_free() would go on visiting the first selem of its bucket.
 */
static void ask_for_second(const struct rqf_frame *frame)
{
	if (rqf_appointment_again(frame))
		set_tsk_need_resched(current);
	else if (frame->map_free && test_tsk_need_resched(current))
		set_preempt_need_resched();
}

static void keep_appointment(const struct rqf_config *config, const struct rqf_frame *frame,
			     enum rqf_stage at)
{
	rqf_appointment_keep(frame, at, config->dwell);
	if (at == RQF_AT_DECISION)
		ask_for_second(frame);
}

static void dwell_before(const struct rqf_config *config, const struct rqf_frame *frame,
			 const struct rqf_insn *insn, unsigned long address, bool is_lock)
{
	if (frame->duel) {
		keep_appointment(config, frame, stage_of(frame, insn, address, is_lock));
		return;
	}
	if (is_lock) {
		dwell(config, frame);
		return;
	}
	dwell_at_state(config, frame);
	if (insn->is_cmpxchg)
		ask_for_restart(frame);
}

static bool is_state(const struct rqf_frame *frame, unsigned long address)
{
	const struct bpf_local_storage_elem *selem = (void *)frame->selem;

	return selem && address == (unsigned long)&selem->state;
}

/* An expected value other than 0 is not a lock's first attempt. */
static bool is_forced_here(const struct rqf_config *config, const struct rqf_frame *frame,
			   const struct rqf_insn *insn, unsigned long lock,
			   const struct pt_regs *regs)
{
	enum rqf_lock which = rqf_frame_lock(frame, lock);

	return insn->is_cmpxchg && !(u32)regs->ax && which != RQF_LOCK_NR &&
	       test_bit(frame->site[which], &config->sites);
}

int rqf_lock_hit(struct kprobe *kp, struct pt_regs *regs)
{
	const struct rqf_config *config = rcu_dereference_sched(rqf_config);
	const struct rqf_insn *insn = container_of(kp, struct rqf_insn, probe);
	unsigned long address = rqf_insn_address(insn, regs);
	const struct rqf_frame *frame;
	bool forced;

	detour_here()->pretended = 0;
	if (!config || !config->forced || rqf_in_interrupt(kp))
		return 0;
	frame = rqf_frame_find(insn->func);
	if (!frame)
		return 0;
	forced = is_forced_here(config, frame, insn, address, regs);
	if (!forced && !is_state(frame, address))
		return 0;
	if (dwells(config, frame))
		dwell_before(config, frame, insn, address, forced);
	if (!forced)
		return 0;
	detour_here()->pretended = address;
	detour_here()->was_held = READ_ONCE(*(u32 *)address);
	/* As it ends when somebody holds the lock. */
	regs->ax = _Q_LOCKED_VAL;
	regs->flags &= ~X86_EFLAGS_ZF;
	regs->ip = (unsigned long)kp->addr + insn->length;
	return 1;
}
NOKPROBE_SYMBOL(rqf_lock_hit);

/* Of the instructions of a visit only the decision lets itself be executed, and is told here. */
void rqf_lock_passed(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
	const struct rqf_insn *insn = container_of(kp, struct rqf_insn, probe);
	const struct rqf_frame *frame;

	if (!insn->is_cmpxchg || insn->func != RQF_NOFAIL || rqf_in_interrupt(kp))
		return;
	frame = rqf_frame_find(insn->func);
	if (frame && frame->duel && is_state(frame, rqf_insn_address(insn, regs)))
		rqf_appointment_keep(frame, RQF_AT_END, 0);
}
NOKPROBE_SYMBOL(rqf_lock_passed);

static struct kprobe slowpath = {
	.symbol_name = "resilient_queued_spin_lock_slowpath",
	.pre_handler = slowpath_hit,
	.post_handler = rqf_no_optimization,
	.flags = KPROBE_FLAG_DISABLED,
};

int rqf_detour_init(void)
{
	int r = register_kprobe(&slowpath);

	if (r)
		pr_err("no probe on %s: %d\n", slowpath.symbol_name, r);
	return r;
}

void rqf_detour_exit(void)
{
	unregister_kprobe(&slowpath);
	/* Whoever was sent to the stub has interrupts off until it has returned. */
	synchronize_rcu();
}

int rqf_detour_enable(void)
{
	return enable_kprobe(&slowpath);
}

void rqf_detour_disable(void)
{
	disable_kprobe(&slowpath);
}

u64 rqf_detour_missed(void)
{
	return slowpath.nmissed;
}

const struct kprobe *rqf_slowpath_probe(void)
{
	return &slowpath;
}
