// SPDX-License-Identifier: GPL-2.0-only
/*
 * Just enough of x86-64's instruction format (Intel SDM volume 2, chapter 2) to recognise the
 * instructions that are probed, and to tell which address they work on. Whether it stands at an
 * instruction's boundary is for register_kprobe() to say.
 */
#include <linux/errno.h>
#include <linux/ptrace.h>

#include "rqf.h"

#define PREFIX_LOCK   0xf0
#define PREFIX_NO_SMP 0x3e /* what alternatives make of it on one CPU */
#define REX	      0x40
#define REX_MASK      0xf0
#define REX_W	      0x08
#define REX_X	      0x02
#define REX_B	      0x01

/* Behind the opcode: ModRM, SIB, displacement. NULL: a register, or an address without one. */
static const u8 *decode_memory(const u8 *p, u8 rex, struct rqf_insn *ret)
{
	u8 modrm = *p++, mod = modrm >> 6, rm = modrm & 7;

	if (mod == 3 || (mod == 0 && rm == 5))
		return NULL;
	ret->index = RQF_NO_REGISTER;
	ret->scale = 0;
	if (rm == 4) {
		u8 sib = *p++;

		rm = sib & 7;
		if (mod == 0 && rm == 5)
			return NULL;
		ret->index = (sib >> 3 & 7) | (rex & REX_X ? 8 : 0);
		ret->scale = sib >> 6;
	}
	ret->base = rm | (rex & REX_B ? 8 : 0);
	ret->displacement = 0;
	if (mod == 1) {
		ret->displacement = (s8)*p++;
	} else if (mod == 2) {
		ret->displacement = p[0] | p[1] << 8 | p[2] << 16 | (s32)((u32)p[3] << 24);
		p += 4;
	}
	return p;
}

/* Length of the opcode, 0: none of those. */
static unsigned int decode_opcode(const u8 *p, bool *ret_cmpxchg, unsigned int *ret_immediate)
{
	*ret_cmpxchg = p[0] == 0x0f && p[1] == 0xb1;
	*ret_immediate = p[0] == 0x83;
	if (*ret_cmpxchg)
		return 2;
	/* or: 09 /r and 83 /1 ib; one function may have both, where its paths were merged */
	return p[0] == 0x09 || (p[0] == 0x83 && (p[1] >> 3 & 7) == 1);
}

bool rqf_insn_decode(const u8 *text, struct rqf_insn *ret)
{
	unsigned int immediate, opcode;
	const u8 *p = text;
	u8 rex = 0;

	if (*p != PREFIX_LOCK && *p != PREFIX_NO_SMP)
		return false;
	p++;
	if ((*p & REX_MASK) == REX)
		rex = *p++;
	if (rex & REX_W)
		return false;
	opcode = decode_opcode(p, &ret->is_cmpxchg, &immediate);
	if (!opcode)
		return false;
	p = decode_memory(p + opcode, rex, ret);
	if (!p)
		return false;
	ret->length = p - text + immediate;
	return true;
}

/* Numbered as in instructions. */
static unsigned long register_of(const struct pt_regs *regs, u8 number)
{
	const unsigned long values[] = {
		regs->ax,  regs->cx,  regs->dx,	 regs->bx,  regs->sp,  regs->bp,
		regs->si,  regs->di,  regs->r8,	 regs->r9,  regs->r10, regs->r11,
		regs->r12, regs->r13, regs->r14, regs->r15,
	};

	return values[number & 15];
}

unsigned long rqf_insn_address(const struct rqf_insn *insn, const struct pt_regs *regs)
{
	unsigned long address = register_of(regs, insn->base) + insn->displacement;

	if (insn->index != RQF_NO_REGISTER)
		address += register_of(regs, insn->index) << insn->scale;
	return address;
}
NOKPROBE_SYMBOL(rqf_insn_address);
