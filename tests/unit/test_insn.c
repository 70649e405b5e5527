// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instructions that the module probes, as assembled by GNU as and read by objdump. The
 * module's source is included; kernel/ stands for the kernel's headers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "inject/kmod/insn.c"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* As instructions number them. */
enum { AX, CX, DX, BX, SP, BP, SI, DI, R8, R9, R10, R11, R12, R13, R14, R15 };

#define NO_INDEX RQF_NO_REGISTER

/* With their length, since some have zeros in them. */
#define BYTES(bytes) bytes, sizeof(bytes) - 1

enum { OR, CMPXCHG };

static const struct {
	const char *what;
	const char *bytes;
	size_t length;
	bool is_cmpxchg;
	u8 base, index, scale;
	s32 displacement;
} accepted[] = {
	{ "lock cmpxchg %ecx,(%rax)", BYTES("\xf0\x0f\xb1\x08"), CMPXCHG, AX, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%rcx)", BYTES("\xf0\x0f\xb1\x09"), CMPXCHG, CX, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%rdx)", BYTES("\xf0\x0f\xb1\x0a"), CMPXCHG, DX, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%rbx)", BYTES("\xf0\x0f\xb1\x0b"), CMPXCHG, BX, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%rsp)", BYTES("\xf0\x0f\xb1\x0c\x24"), CMPXCHG, SP, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,0x0(%rbp)", BYTES("\xf0\x0f\xb1\x4d\x00"), CMPXCHG, BP, NO_INDEX, 0,
	  0 },
	{ "lock cmpxchg %ecx,(%rsi)", BYTES("\xf0\x0f\xb1\x0e"), CMPXCHG, SI, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%rdi)", BYTES("\xf0\x0f\xb1\x0f"), CMPXCHG, DI, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%r8)", BYTES("\xf0\x41\x0f\xb1\x08"), CMPXCHG, R8, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%r9)", BYTES("\xf0\x41\x0f\xb1\x09"), CMPXCHG, R9, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%r10)", BYTES("\xf0\x41\x0f\xb1\x0a"), CMPXCHG, R10, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%r11)", BYTES("\xf0\x41\x0f\xb1\x0b"), CMPXCHG, R11, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%r12)", BYTES("\xf0\x41\x0f\xb1\x0c\x24"), CMPXCHG, R12, NO_INDEX, 0,
	  0 },
	{ "lock cmpxchg %ecx,0x0(%r13)", BYTES("\xf0\x41\x0f\xb1\x4d\x00"), CMPXCHG, R13, NO_INDEX,
	  0, 0 },
	{ "lock cmpxchg %ecx,(%r14)", BYTES("\xf0\x41\x0f\xb1\x0e"), CMPXCHG, R14, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %ecx,(%r15)", BYTES("\xf0\x41\x0f\xb1\x0f"), CMPXCHG, R15, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %edx,0x7f(%rbx)", BYTES("\xf0\x0f\xb1\x53\x7f"), CMPXCHG, BX, NO_INDEX, 0,
	  0x7f },
	{ "lock cmpxchg %edx,-0x80(%rbx)", BYTES("\xf0\x0f\xb1\x53\x80"), CMPXCHG, BX, NO_INDEX, 0,
	  -0x80 },
	{ "lock cmpxchg %edx,0x80(%rbx)", BYTES("\xf0\x0f\xb1\x93\x80\x00\x00\x00"), CMPXCHG, BX,
	  NO_INDEX, 0, 0x80 },
	{ "lock cmpxchg %edx,-0x81(%rbx)", BYTES("\xf0\x0f\xb1\x93\x7f\xff\xff\xff"), CMPXCHG, BX,
	  NO_INDEX, 0, -0x81 },
	{ "lock cmpxchg %edx,0x12345678(%rbx)", BYTES("\xf0\x0f\xb1\x93\x78\x56\x34\x12"), CMPXCHG,
	  BX, NO_INDEX, 0, 0x12345678 },
	{ "lock cmpxchg %edx,-0x80000000(%rbx)", BYTES("\xf0\x0f\xb1\x93\x00\x00\x00\x80"), CMPXCHG,
	  BX, NO_INDEX, 0, INT32_MIN },
	{ "lock cmpxchg %r9d,0x12345678(%r13)", BYTES("\xf0\x45\x0f\xb1\x8d\x78\x56\x34\x12"),
	  CMPXCHG, R13, NO_INDEX, 0, 0x12345678 },
	{ "lock cmpxchg %edx,0x10(%rsp)", BYTES("\xf0\x0f\xb1\x54\x24\x10"), CMPXCHG, SP, NO_INDEX,
	  0, 0x10 },
	{ "lock cmpxchg %edx,0x12345678(%rsp)", BYTES("\xf0\x0f\xb1\x94\x24\x78\x56\x34\x12"),
	  CMPXCHG, SP, NO_INDEX, 0, 0x12345678 },
	{ "lock cmpxchg %edx,-0x8(%r12)", BYTES("\xf0\x41\x0f\xb1\x54\x24\xf8"), CMPXCHG, R12,
	  NO_INDEX, 0, -0x8 },
	{ "lock cmpxchg %edx,(%rax,%rcx,1)", BYTES("\xf0\x0f\xb1\x14\x08"), CMPXCHG, AX, CX, 0, 0 },
	{ "lock cmpxchg %edx,(%rax,%rcx,8)", BYTES("\xf0\x0f\xb1\x14\xc8"), CMPXCHG, AX, CX, 3, 0 },
	{ "lock cmpxchg %edx,0x18(%rdi,%rsi,4)", BYTES("\xf0\x0f\xb1\x54\xb7\x18"), CMPXCHG, DI, SI,
	  2, 0x18 },
	{ "lock cmpxchg %edx,-0x100(%rbp,%rbx,2)", BYTES("\xf0\x0f\xb1\x94\x5d\x00\xff\xff\xff"),
	  CMPXCHG, BP, BX, 1, -0x100 },
	{ "lock cmpxchg %edx,0x0(%rbp,%rbx,2)", BYTES("\xf0\x0f\xb1\x54\x5d\x00"), CMPXCHG, BP, BX,
	  1, 0 },
	{ "lock cmpxchg %edx,(%rax,%r12,1)", BYTES("\xf0\x42\x0f\xb1\x14\x20"), CMPXCHG, AX, R12, 0,
	  0 },
	{ "lock cmpxchg %edx,(%r8,%rax,2)", BYTES("\xf0\x41\x0f\xb1\x14\x40"), CMPXCHG, R8, AX, 1,
	  0 },
	{ "lock cmpxchg %edx,0x0(%r13,%r15,4)", BYTES("\xf0\x43\x0f\xb1\x54\xbd\x00"), CMPXCHG, R13,
	  R15, 2, 0 },
	{ "lock cmpxchg %r8d,0x12345678(%r12,%r12,8)",
	  BYTES("\xf0\x47\x0f\xb1\x84\xe4\x78\x56\x34\x12"), CMPXCHG, R12, R12, 3, 0x12345678 },
	{ "lock cmpxchg %r15d,(%rdi)", BYTES("\xf0\x44\x0f\xb1\x3f"), CMPXCHG, DI, NO_INDEX, 0, 0 },
	{ "lock cmpxchg %edx,(%rsp,%rbp,1)", BYTES("\xf0\x0f\xb1\x14\x2c"), CMPXCHG, SP, BP, 0, 0 },
	{ "lock orl $0x1,(%rdi)", BYTES("\xf0\x83\x0f\x01"), OR, DI, NO_INDEX, 0, 0 },
	{ "lock orl $0x2,0x44(%rbx)", BYTES("\xf0\x83\x4b\x44\x02"), OR, BX, NO_INDEX, 0, 0x44 },
	{ "lock orl $0x4,0x12345678(%r13)", BYTES("\xf0\x41\x83\x8d\x78\x56\x34\x12\x04"), OR, R13,
	  NO_INDEX, 0, 0x12345678 },
	{ "lock orl $0xffffffff,(%rsp)", BYTES("\xf0\x83\x0c\x24\xff"), OR, SP, NO_INDEX, 0, 0 },
	{ "lock orl $0x2,0x44(%r12,%r9,4)", BYTES("\xf0\x43\x83\x4c\x8c\x44\x02"), OR, R12, R9, 2,
	  0x44 },
	{ "lock or %ecx,(%rdi)", BYTES("\xf0\x09\x0f"), OR, DI, NO_INDEX, 0, 0 },
	{ "lock or %eax,0x38(%rbx)", BYTES("\xf0\x09\x43\x38"), OR, BX, NO_INDEX, 0, 0x38 },
	{ "lock or %r9d,0x44(%r12,%rax,4)", BYTES("\xf0\x45\x09\x4c\x84\x44"), OR, R12, AX, 2,
	  0x44 },
	{ "ds cmpxchg %ecx,(%rdi)", BYTES("\x3e\x0f\xb1\x0f"), CMPXCHG, DI, NO_INDEX, 0, 0 },
	{ "ds cmpxchg %ecx,0x10(%r12)", BYTES("\x3e\x41\x0f\xb1\x4c\x24\x10"), CMPXCHG, R12,
	  NO_INDEX, 0, 0x10 },
	{ "ds orl $0x1,(%rdi)", BYTES("\x3e\x83\x0f\x01"), OR, DI, NO_INDEX, 0, 0 },
};

static const struct {
	const char *what;
	const char *bytes;
	size_t length;
} refused[] = {
	{ "lock cmpxchg %rcx,(%rdi)", BYTES("\xf0\x48\x0f\xb1\x0f") },
	{ "lock cmpxchg %r9,0x10(%r12)", BYTES("\xf0\x4d\x0f\xb1\x4c\x24\x10") },
	{ "lock cmpxchg %cl,(%rdi)", BYTES("\xf0\x0f\xb0\x0f") },
	{ "lock cmpxchg %cx,(%rdi)", BYTES("\x66\xf0\x0f\xb1\x0f") },
	{ "cmpxchg %ecx,(%rdi)", BYTES("\x0f\xb1\x0f") },
	{ "lock cmpxchg %ecx,%edi", BYTES("\xf0\x0f\xb1\xcf") },
	{ "lock cmpxchg %ecx,0x12345678(%rip)", BYTES("\xf0\x0f\xb1\x0d\x78\x56\x34\x12") },
	{ "lock cmpxchg %ecx,0x12345678", BYTES("\xf0\x0f\xb1\x0c\x25\x78\x56\x34\x12") },
	{ "lock cmpxchg %ecx,0x12345678(,%rax,4)", BYTES("\xf0\x0f\xb1\x0c\x85\x78\x56\x34\x12") },
	{ "lock cmpxchg8b (%rdi)", BYTES("\xf0\x0f\xc7\x0f") },
	{ "lock xadd %ecx,(%rdi)", BYTES("\xf0\x0f\xc1\x0f") },
	{ "lock orq $0x1,(%rdi)", BYTES("\xf0\x48\x83\x0f\x01") },
	{ "lock orl $0x12345678,(%rdi)", BYTES("\xf0\x81\x0f\x78\x56\x34\x12") },
	{ "lock orb $0x1,(%rdi)", BYTES("\xf0\x80\x0f\x01") },
	{ "lock or %cl,(%rdi)", BYTES("\xf0\x08\x0f") },
	{ "lock or %rcx,(%rdi)", BYTES("\xf0\x48\x09\x0f") },
	{ "lock or %ecx,%edi", BYTES("\xf0\x09\xcf") },
	{ "lock add %ecx,(%rdi)", BYTES("\xf0\x01\x0f") },
	{ "lock addl $0x1,(%rdi)", BYTES("\xf0\x83\x07\x01") },
	{ "lock andl $0x1,(%rdi)", BYTES("\xf0\x83\x27\x01") },
	{ "lock subl $0x1,(%rdi)", BYTES("\xf0\x83\x2f\x01") },
	{ "lock xorl $0x1,(%rdi)", BYTES("\xf0\x83\x37\x01") },
	{ "lock or $0x1,%edi", BYTES("\xf0\x83\xcf\x01") },
	{ "lock orl $0x1,0x12345678(%rip)", BYTES("\xf0\x83\x0d\x78\x56\x34\x12\x01") },
	{ "lock btsl $0x1,(%rdi)", BYTES("\xf0\x0f\xba\x2f\x01") },
	{ "xchg %ecx,(%rdi)", BYTES("\x87\x0f") },
	{ "lock incl (%rdi)", BYTES("\xf0\xff\x07") },
	{ "repz cmpxchg %ecx,(%rdi)", BYTES("\xf3\x0f\xb1\x0f") },
	{ "lock cmpxchg %ecx,%fs:(%rdi)", BYTES("\x64\xf0\x0f\xb1\x0f") },
};

/* Behind the instruction comes whatever comes. */
static bool decode(const char *bytes, size_t length, u8 filler, struct rqf_insn *ret)
{
	u8 text[RQF_INSN_MAX];

	memset(text, filler, sizeof(text));
	memcpy(text, bytes, length);
	memset(ret, 0x5a, sizeof(*ret));
	return rqf_insn_decode(text, ret);
}

static const u8 fillers[] = { 0x00, 0xcc, 0xff, 0xf0, 0x0f, 0x05 };

static void test_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(fillers); j++) {
			struct rqf_insn insn;

			if (!decode(accepted[i].bytes, accepted[i].length, fillers[j], &insn))
				fail_msg("%s is refused", accepted[i].what);
			if (insn.length != accepted[i].length ||
			    insn.is_cmpxchg != accepted[i].is_cmpxchg ||
			    insn.base != accepted[i].base || insn.index != accepted[i].index ||
			    insn.scale != accepted[i].scale ||
			    insn.displacement != accepted[i].displacement)
				fail_msg("%s is read as %u bytes, %s %#x(%u,%u,%u)",
					 accepted[i].what, insn.length,
					 insn.is_cmpxchg ? "cmpxchg" : "or",
					 (unsigned int)insn.displacement, insn.base, insn.index,
					 1u << insn.scale);
		}
	}
}

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(fillers); j++) {
			struct rqf_insn insn;

			if (decode(refused[i].bytes, refused[i].length, fillers[j], &insn))
				fail_msg("%s is accepted", refused[i].what);
		}
	}
}

/* A 32-bit register displacement reaches below the base, and addresses are of 64 bits. */
static void test_address(void **state)
{
	const struct pt_regs regs = {
		.ax = 0xffff888000000000,
		.cx = 0xffff888000001000,
		.dx = 0xffff888000002000,
		.bx = 0xffff888000003000,
		.sp = 0xffff888000004000,
		.bp = 0xffff888000005000,
		.si = 0xffff888000006000,
		.di = 0xffff888000007000,
		.r8 = 0xffff888000008000,
		.r9 = 0xffff888000009000,
		.r10 = 0xffff88800000a000,
		.r11 = 0xffff88800000b000,
		.r12 = 0xffff88800000c000,
		.r13 = 0xffff88800000d000,
		.r14 = 0xffff88800000e000,
		.r15 = 0xffff88800000f000,
	};
	const unsigned long first = regs.ax, apart = regs.cx - regs.ax;

	(void)state;
	for (u8 base = AX; base <= R15; base++) {
		struct rqf_insn insn = { .base = base, .index = NO_INDEX };

		assert_int_equal(rqf_insn_address(&insn, &regs), first + base * apart);
		insn.displacement = -0x81;
		assert_int_equal(rqf_insn_address(&insn, &regs), first + base * apart - 0x81);
		insn.displacement = INT32_MIN;
		assert_int_equal(rqf_insn_address(&insn, &regs),
				 first + base * apart - 0x80000000UL);
		for (u8 index = AX; index <= R15; index++) {
			if (index == NO_INDEX)
				continue;
			insn = (struct rqf_insn){
				.base = base, .index = index, .scale = 3, .displacement = 0x18
			};
			assert_int_equal(rqf_insn_address(&insn, &regs),
					 first + base * apart + 8 * (first + index * apart) + 0x18);
		}
	}
}

/* Whatever stands there, nothing is read beyond what is promised, and nothing absurd comes out. */
static void test_any_bytes(void **state)
{
	static const u8 starts[] = { 0xf0, 0x3e };
	static const u8 opcodes[][2] = { { 0x0f, 0xb1 }, { 0x83, 0 }, { 0x09, 0 } };

	(void)state;
	for (unsigned int n = 0; n < 3u * 2 * 17 * 256 * 256; n++) {
		const u8 *opcode = opcodes[n % 3];
		u8 text[RQF_INSN_MAX] = { starts[n / 3 % 2] };
		u8 rex = n / 6 % 17, modrm = n / 102 % 256, sib = n / 102 / 256;
		size_t at = 1;
		struct rqf_insn insn;

		if (rex < 16)
			text[at++] = 0x40 | rex;
		text[at++] = opcode[0];
		if (opcode[1])
			text[at++] = opcode[1];
		text[at++] = modrm;
		text[at] = sib;
		if (!rqf_insn_decode(text, &insn))
			continue;
		assert_false(rex < 16 && (rex & 8));
		assert_int_not_equal(modrm >> 6, 3);
		assert_in_range(insn.length, at + (opcode[0] == 0x83), RQF_INSN_MAX - 1);
		assert_true(insn.base <= R15 && insn.index <= R15 && insn.scale <= 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
