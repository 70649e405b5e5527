// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's choice between queued and test-and-set rqspinlocks, repeated in user space: see
 * rqspinlock.h. It follows native_pv_lock_init() and kvm_spinlock_init().
 */
#include "rqspinlock.h"

#include <stdint.h>
#include <string.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#define KVM_SIGNATURE	    "KVMKVMKVM\0\0"
#define KVM_PV_UNHALT_BIT   (1u << 7)
#define KVM_REALTIME_BIT    (1u << 0)
#define CPUID_HYPERVISOR    0x40000000u
#define CPUID_HYPERVISOR_TO 0x40010000u

/* kvm_spinlock_init(): who uses or forbids paravirtual locks switches test-and-set off. */
static enum rqspinlock_path decide_kvm(const struct rqspinlock_facts *facts, const char **ret_why)
{
	if (facts->kvm_realtime) {
		*ret_why = "KVM says the CPUs are dedicated";
		return RQSPINLOCK_QUEUED;
	}
	if (facts->cpus_possible == 1) {
		*ret_why = "one CPU is possible";
		return RQSPINLOCK_QUEUED;
	}
	if (facts->nopvspin) {
		*ret_why = "nopvspin is on the kernel command line";
		return RQSPINLOCK_QUEUED;
	}
	if (facts->kvm_pv_unhalt) {
		*ret_why = "KVM offers paravirtual spinlocks, which switches test-and-set off";
		return RQSPINLOCK_QUEUED;
	}
	*ret_why = "a KVM guest without paravirtual spinlocks";
	return RQSPINLOCK_TAS;
}

enum rqspinlock_path rqspinlock_decide(const struct rqspinlock_facts *facts, const char **ret_why)
{
	if (facts->queued == PROBE_NO) {
		*ret_why = "CONFIG_QUEUED_SPINLOCKS is off";
		return RQSPINLOCK_TAS;
	}
	if (facts->hypervisor == PROBE_UNKNOWN) {
		*ret_why = "/proc/cpuinfo cannot be read";
		return RQSPINLOCK_UNKNOWN;
	}
	if (facts->hypervisor != PROBE_YES) {
		*ret_why = "the CPU has no hypervisor bit";
		return RQSPINLOCK_QUEUED;
	}
	if (facts->paravirt == PROBE_NO) {
		*ret_why = "CONFIG_PARAVIRT is off";
		return RQSPINLOCK_QUEUED;
	}
	if (facts->paravirt != PROBE_YES) {
		*ret_why =
			"the CPU has the hypervisor bit, but whether CONFIG_PARAVIRT is on could "
			"not be found out";
		return RQSPINLOCK_UNKNOWN;
	}
	if (facts->kvm && facts->pv_spinlocks == PROBE_YES)
		return decide_kvm(facts, ret_why);
	*ret_why = "the CPU has the hypervisor bit";
	return RQSPINLOCK_TAS;
}

#ifdef __x86_64__
void rqspinlock_ask_cpu(struct rqspinlock_facts *facts)
{
	/* Without the bit the leaves above mean nothing. */
	if (facts->hypervisor != PROBE_YES)
		return;
	for (uint32_t base = CPUID_HYPERVISOR; base < CPUID_HYPERVISOR_TO; base += 0x100) {
		uint32_t eax, signature[3], features, hints, unused;

		__cpuid(base, eax, signature[0], signature[1], signature[2]);
		if (memcmp(signature, KVM_SIGNATURE, sizeof(signature)))
			continue;
		facts->kvm = true;
		/* Old KVM reports no highest leaf and means base + 1. */
		if (eax && eax < base + 1)
			return;
		__cpuid(base + 1, features, unused, unused, hints);
		facts->kvm_pv_unhalt = features & KVM_PV_UNHALT_BIT;
		facts->kvm_realtime = hints & KVM_REALTIME_BIT;
		return;
	}
}
#else
void rqspinlock_ask_cpu(struct rqspinlock_facts *facts)
{
	(void)facts;
}
#endif

const char *rqspinlock_path_name(enum rqspinlock_path path)
{
	static const char *const names[] = {
		[RQSPINLOCK_UNKNOWN] = "unknown",
		[RQSPINLOCK_QUEUED] = "queued",
		[RQSPINLOCK_TAS] = "tas",
	};

	return names[path];
}
