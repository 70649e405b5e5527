/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands for the kernel's headers, so that what is pure in inject/kmod can be compiled and tested
 * here: no more of them than inject/kmod/rqf.h and insn.c need.
 */
#ifndef TEST_LINUX_KPROBES_H
#define TEST_LINUX_KPROBES_H

#include <stdbool.h>
#include <stdint.h>

#define __rcu
#define DECLARE_PER_CPU(type, name) extern type name
#define NOKPROBE_SYMBOL(name)	    _Static_assert(1, #name)

#define NMI_OFFSET     0x100000
#define HARDIRQ_OFFSET 0x10000
#define NMI_MASK       0xf00000
#define HARDIRQ_MASK   0xf0000

typedef uint8_t u8;
typedef int8_t s8;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;

typedef struct {
	int64_t counter;
} atomic64_t;

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, sp;
};

struct kprobe {
	void *addr;
};

int preempt_count(void);
bool kprobe_ftrace(struct kprobe *kp);

#endif
