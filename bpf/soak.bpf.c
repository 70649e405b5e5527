// SPDX-License-Identifier: GPL-2.0-only
/*
 * All BPF programs, one object. The parts stand in headers of their own: fill writes storage,
 * ledger observes and never acts, order acts for a scenario on what is its own, refuse lets births
 * fail, walk is what iterators run, stall acts, and reads the ledger only to know whose visit it is
 * in; rendezvous lets two sides meet. What the daemon runs to look at the kernel while all is
 * quiet: held, slab.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "inject/kmod/rqspinlock_fault.h"
#include "soak_abi.h"

#include "maps.bpf.h"

#include "ledger.bpf.h"

#include "held.bpf.h"
#include "identity.bpf.h"
#include "slab.bpf.h"

#include "fill.bpf.h"
#include "order.bpf.h"
#include "refuse.bpf.h"
#include "stall.bpf.h"
#include "walk.bpf.h"

#include "rendezvous.bpf.h"

char LICENSE[] SEC("license") = "GPL";
