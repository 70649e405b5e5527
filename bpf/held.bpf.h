/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rqspinlock's own tables of the locks that each CPU holds or waits for (rqspinlock_held_locks,
 * kernel/bpf/rqspinlock.c): read by the daemon with BPF_PROG_RUN when nothing of ours runs any
 * more. The program takes no lock, so it does not show up itself.
 */
#ifndef SOAK_HELD_BPF_H
#define SOAK_HELD_BPF_H

extern const struct rqspinlock_held rqspinlock_held_locks __ksym __weak;

SEC("syscall")
int read_held(struct soak_held *args)
{
	__u32 seen = 0, cpus = 0;
	__s32 sum = 0;

	if (&rqspinlock_held_locks) {
		for (__u32 cpu = 0; cpu < SOAK_CPUS; cpu++) {
			const struct rqspinlock_held *held;

			held = bpf_per_cpu_ptr(&rqspinlock_held_locks, cpu);
			if (!held)
				break;
			seen++;
			sum += held->cnt;
			cpus += held->cnt != 0;
		}
	}
	args->seen = seen;
	args->cpus = cpus;
	args->sum = sum;
	return 0;
}

#endif
