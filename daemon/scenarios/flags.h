/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bpf(2) must answer to an update of local storage, by its flags: bpf_map_check_op_flags()
 * (include/linux/bpf.h), bpf_local_storage_update() and check_flags()
 * (kernel/bpf/bpf_local_storage.c). Pure.
 */
#ifndef SOAK_FLAGS_H
#define SOAK_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * there: the owner has a value in that map; lockable: values of that map have a spin lock. Returns
 * 0 or -errno. A lock that fails, and memory that there is not, may come before what is not
 * -EINVAL.
 */
int flags_expect(bool there, bool lockable, uint64_t flags);

#endif
