// SPDX-License-Identifier: GPL-2.0-only
/* Counts visits of bpf_selem_unlink_nofail(), and those that took no lock's word: see lockless.c.
 */
#include "bpf/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* include/linux/bpf_local_storage.h */
#define SELEM_MAP_UNLINKED     (1 << 0)
#define SELEM_STORAGE_UNLINKED (1 << 1)
#define SELEM_TOFREE	       (1 << 2)

unsigned long long visits;
unsigned long long lockless;

/*
 * A visit with unlink != 2 sets its side's bit, and nothing else does; then either side may have
 * won the cmpxchg. The selem is there still: both callers are in an RCU read-side section.
 */
SEC("fexit/bpf_selem_unlink_nofail")
int BPF_PROG(visit_exit, struct bpf_local_storage_elem *selem, void *b)
{
	int own = b ? SELEM_MAP_UNLINKED : SELEM_STORAGE_UNLINKED;

	__sync_fetch_and_add(&visits, 1);
	if (selem->state.counter & (own | SELEM_TOFREE))
		__sync_fetch_and_add(&lockless, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
