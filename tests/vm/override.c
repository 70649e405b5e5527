// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody else's program at a fault point of the module: a BPF kprobe that lets it return
 * -ETIMEDOUT whenever it is called, by bpf_override_return() (CONFIG_BPF_KPROBE_OVERRIDE). Raw
 * system calls, so that it can be static.
 *
 * usage: override FUNCTION SECONDS
 * Exit 1 with the reason when the kernel refuses.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/version.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PMU_TYPE "/sys/bus/event_source/devices/kprobe/type"

static int refuse(const char *what)
{
	fprintf(stderr, "override: %s: %s\n", what, strerror(errno));
	return -1;
}

static int load_program(void)
{
	static char log[4096];
	const struct bpf_insn insns[] = {
		/* r1 is the context already */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = -ETIMEDOUT },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_override_return },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_KPROBE;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = sizeof(insns) / sizeof(*insns);
	attr.license = (uint64_t)(uintptr_t) "GPL";
	attr.kern_version = LINUX_VERSION_CODE;
	attr.log_buf = (uint64_t)(uintptr_t)log;
	attr.log_size = sizeof(log);
	attr.log_level = 1;
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		fprintf(stderr, "%s", log);
	return fd < 0 ? refuse("the program") : fd;
}

static int open_kprobe(const char *function)
{
	struct perf_event_attr attr = { .size = sizeof(attr),
					.sample_period = 1,
					.wakeup_events = 1 };
	FILE *file = fopen(PMU_TYPE, "re");
	int fd;

	if (!file || fscanf(file, "%u", &attr.type) != 1)
		return refuse(PMU_TYPE);
	fclose(file);
	attr.kprobe_func = (uint64_t)(uintptr_t)function;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? refuse(function) : fd;
}

int main(int argc, char **argv)
{
	int program, probe;

	if (argc != 3)
		return 2;
	program = load_program();
	probe = program < 0 ? -1 : open_kprobe(argv[1]);
	if (probe < 0)
		return 1;
	if (ioctl(probe, PERF_EVENT_IOC_SET_BPF, program) < 0 ||
	    ioctl(probe, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		refuse("attaching");
		return 1;
	}
	printf("override: %s returns -ETIMEDOUT\n", argv[1]);
	fflush(stdout);
	sleep((unsigned int)atoi(argv[2]));
	return 0;
}
