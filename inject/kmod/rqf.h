/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internal to the module. Who calls whom: device.c (load, unload, open, close) -> knobs.c (the
 * configuration) -> probes.c (which probes are placed); at a lock: detour.c -> frames.c (whose
 * lock is it) -> appointments.c (does this side wait for the other) -> points.c (does it fail).
 *
 * Everything that probe handlers touch is reached without locks; the configuration is under RCU
 * and changed under rqf_mutex. Handlers run with interrupts off or preemption off, so that
 * synchronize_rcu() after a change waits for all that may still see the old state.
 */
#ifndef RQF_H
#define RQF_H

#undef pr_fmt
#define pr_fmt(fmt) "rqspinlock_fault: " fmt

#include <linux/kprobes.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/types.h>

#include "rqspinlock_fault.h"

struct seq_file;

enum rqf_kind {
	RQF_KIND_ORGANIC,
	RQF_KIND_CONTENDED,
	RQF_KIND_FORCED,
	RQF_KIND_NR,
};

enum rqf_error {
	RQF_TIMEDOUT,
	RQF_DEADLK,
	RQF_ERROR_NR,
	RQF_EITHER = RQF_ERROR_NR,
};

struct rqf_config {
	unsigned long sites; /* bits of enum rqf_site */
	unsigned long fail;  /* a subset */
	bool contended;
	bool forced;
	bool decide_self;
	bool verbose;
	bool only_encounters;
	bool appointments;
	enum rqf_error error;
	unsigned int probability; /* percent */
	unsigned int interval;
	unsigned int dwell; /* microseconds */
	atomic64_t times;   /* errors left, below zero: no limit */
	u64 seed;
};

struct rqf_counters {
	u64 calls[RQF_SITE_NR];
	u64 passed[RQF_SITE_NR];
	u64 errors[RQF_SITE_NR][RQF_KIND_NR][RQF_ERROR_NR];
	u64 untouched; /* slow path calls of others, let through */
	u64 hidden;    /* a kretprobe hides the caller of the slow path */
	u64 crowded;   /* no free frame: the call goes unseen */
	u64 evicted;   /* a frame was taken from another task */
	u64 refused;   /* a fault point returned something that no lock returns */
	u64 strange;   /* a lock that belongs to no frame of ours */
};

DECLARE_PER_CPU(struct rqf_counters, rqf_counters);
extern const char *const rqf_site_names[RQF_SITE_NR];

/*
 * A probe by int3 runs as if in an NMI (exc_int3()), one by ftrace does not: whatever goes beyond
 * that is an interrupt or a real NMI, in which no site is.
 */
static inline bool rqf_in_interrupt(struct kprobe *kp)
{
	unsigned long own = kprobe_ftrace(kp) ? 0 : NMI_OFFSET + HARDIRQ_OFFSET;

	return (preempt_count() & (NMI_MASK | HARDIRQ_MASK)) != own;
}

/* knobs.c */
extern struct mutex rqf_mutex;
extern struct rqf_config __rcu *rqf_config;
int rqf_configure(char *text); /* rqf_mutex held; text is eaten */
void rqf_disarm(void);	       /* rqf_mutex held; nothing is injected once it returns */
void rqf_knobs_show(struct seq_file *m);

/*
 * insn.c: "lock cmpxchg %reg, MEMORY" of 32 bits, as the fast path of rqspinlock has it, and, for
 * dwelling, that and "lock or $imm8, MEMORY" or "lock or %reg, MEMORY" on the state word of a
 * selem.
 */
struct rqf_insn {
	struct kprobe probe;
	enum rqf_func func;
	bool is_cmpxchg;
	u8 length;
	u8 base;  /* number of the register, as in the instruction */
	u8 index; /* the same, RQF_NO_REGISTER: none */
	u8 scale; /* shift of the index */
	s32 displacement;
};

#define RQF_NO_REGISTER 4 /* the stack pointer cannot be an index */

/* Returns whether there is one at text, which has at least RQF_INSN_MAX readable bytes. */
bool rqf_insn_decode(const u8 *text, struct rqf_insn *ret);
unsigned long rqf_insn_address(const struct rqf_insn *insn, const struct pt_regs *regs);

#define RQF_INSN_MAX 11

/* probes.c */
#define RQF_CALLS_MAX 4	 /* of the slow path in one function */
#define RQF_LOCKS_MAX 16 /* such instructions in one function; nofail was seen with 10 */

struct rqf_function {
	struct kprobe entry;
	enum rqf_func func;
	bool present;
	unsigned long size;
	unsigned int n_calls;
	unsigned long calls[RQF_CALLS_MAX]; /* their return addresses */
	unsigned int n_locks;
	struct rqf_insn locks[RQF_LOCKS_MAX];
};

int rqf_probes_init(void);
void rqf_probes_exit(void);
/* 0, or -ENOENT after saying what this kernel lacks. */
int rqf_probes_check(unsigned long sites, bool forced);
/* Places what is not placed yet; on failure what it placed is taken away again. */
int rqf_probes_enable(unsigned long sites, bool forced, bool appointments);
void rqf_probes_disable(void);
/* Of the function whose call to the slow path returns there, or -1. */
int rqf_func_of_call(unsigned long return_address);
bool rqf_is_clone_call(unsigned long return_address);
u64 rqf_probes_missed(void);
void rqf_probes_show(struct seq_file *m);

/* frames.c */
struct rqf_frame *rqf_frames(void);
int rqf_enter(struct kprobe *kp, struct pt_regs *regs); /* pre-handler of every entry probe */
int rqf_begun(struct kprobe *kp, struct pt_regs *regs); /* the same behind it, in a visit */
/* Of the running call of func, NULL when it is not one of ours. */
struct rqf_frame *rqf_frame_find(enum rqf_func func);
/* Which of the frame's locks that is, RQF_LOCK_NR: none. */
enum rqf_lock rqf_frame_lock(const struct rqf_frame *frame, unsigned long lock);

/* appointments.c */
enum rqf_stage {		   /* of one visit, in this order */
		 RQF_AT_ENTRY = 1, /* nothing read yet */
		 RQF_AT_BUCKET,	   /* both pointers read, about to try for the lock */
		 RQF_AT_STORAGE,
		 RQF_AT_STATE,	  /* about to set its bit */
		 RQF_AT_DECISION, /* about to compare and swap */
		 RQF_AT_END,	  /* compared and swapped */
};

/* At the entry of a duellist's visit. For frame->duel. */
unsigned int rqf_appointment_make(u64 cookie, bool map_free);
/* The visit has come to that step: waits for what its appointment says, for about us at most. */
void rqf_appointment_keep(const struct rqf_frame *frame, enum rqf_stage at, unsigned int us);
/* May this lock fail now? Without an appointment: yes. */
bool rqf_appointment_fails(const struct rqf_frame *frame, enum rqf_lock lock);
/* Must map_free() walk its bucket again after this visit? */
bool rqf_appointment_again(const struct rqf_frame *frame);
void rqf_appointments_show(struct seq_file *m);

/* detour.c */
int rqf_detour_init(void);
void rqf_detour_exit(void);
int rqf_detour_enable(void);
void rqf_detour_disable(void);
u64 rqf_detour_missed(void);
/* A post-handler that does nothing, and so keeps a probe from becoming a jump. */
void rqf_no_optimization(struct kprobe *kp, struct pt_regs *regs, unsigned long flags);
const struct kprobe *rqf_slowpath_probe(void);
int rqf_lock_hit(struct kprobe *kp, struct pt_regs *regs); /* at such an instruction */
/* Post-handler, without which such a probe would be optimised into a jump. */
void rqf_lock_passed(struct kprobe *kp, struct pt_regs *regs, unsigned long flags);

/* points.c */
int rqf_ask(enum rqf_site site); /* 0, or what the site's fault point says */
void rqf_points_seed(u64 seed);
u32 rqf_random(void);

#endif
