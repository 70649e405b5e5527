/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of its two paths a contended rqspinlock takes on this machine: the queued slowpath (times
 * out after 250 ms) or test-and-set (1 s). The kernel decides at boot and tells nobody; this
 * repeats its reasoning (virt_spin_lock_key of arch/x86). rqspinlock_decide() is pure.
 */
#ifndef SOAK_RQSPINLOCK_H
#define SOAK_RQSPINLOCK_H

#include <stdbool.h>

#include "probe.h"

enum rqspinlock_path {
	RQSPINLOCK_UNKNOWN,
	RQSPINLOCK_QUEUED,
	RQSPINLOCK_TAS,
};

struct rqspinlock_facts {
	enum probe_answer queued;	/* CONFIG_QUEUED_SPINLOCKS */
	enum probe_answer paravirt;	/* CONFIG_PARAVIRT */
	enum probe_answer pv_spinlocks; /* CONFIG_PARAVIRT_SPINLOCKS and CONFIG_KVM_GUEST */
	enum probe_answer hypervisor;	/* CPUID's hypervisor bit */
	bool kvm;			/* CPUID's hypervisor is KVM */
	bool kvm_pv_unhalt;		/* KVM offers paravirtual spinlocks */
	bool kvm_realtime;		/* KVM says that the CPUs are dedicated */
	bool nopvspin;			/* on the kernel command line */
	unsigned int cpus_possible;
};

/* *ret_why: static text, one clause. */
enum rqspinlock_path rqspinlock_decide(const struct rqspinlock_facts *facts, const char **ret_why);

/* Fills the three KVM facts from CPUID; leaves them alone on other hardware. */
void rqspinlock_ask_cpu(struct rqspinlock_facts *facts);

/* "queued", "tas", "unknown" */
const char *rqspinlock_path_name(enum rqspinlock_path path);

#endif
