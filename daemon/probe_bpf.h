/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Probing by doing: each call loads a program or makes a map, attaches it where that is the
 * question, and has removed it again when it returns. The programs do nothing but return 0. One
 * thread.
 */
#ifndef SOAK_PROBE_BPF_H
#define SOAK_PROBE_BPF_H

#include <stdbool.h>

#include "bpf/soak_abi.h"

struct btf;

/* The kernel's own BTF. Returns 0 or -errno. */
int probe_btf_load(struct btf **ret);
void probe_btf_free(struct btf *btf);
bool probe_btf_has_variable(const struct btf *btf, const char *name);
bool probe_btf_has_function(const struct btf *btf, const char *name);

/*
 * Load, attach, detach. Return 0 or -errno (-ENOENT: BTF does not know the name). On failure
 * *ret_why tells the step and the verifier's reason; it may be NULL and the caller frees it.
 */
int probe_attach_fentry(const struct btf *btf, const char *function, char **ret_why);
int probe_attach_fexit(const struct btf *btf, const char *function, char **ret_why);
int probe_attach_tracepoint(const struct btf *btf, const char *tracepoint, char **ret_why);

/*
 * lsm/socket_post_create. Without "bpf" among the active LSMs it attaches and never runs, so a
 * socket is made meanwhile: *ret_ran says whether the program saw it.
 */
int probe_attach_lsm_socket(const struct btf *btf, bool *ret_ran, char **ret_why);

/* Return 0 or -errno. */
int probe_map_array(void);
int probe_map_mmapable(void);
int probe_map_storage(enum soak_kind kind);	     /* of that kind of owner */
int probe_map_array_of_storage(enum soak_kind kind); /* as the inner map of an ARRAY_OF_MAPS */

/*
 * The kernel drops a detached program some grace periods later. Waits until those of this process
 * are gone, 2 s at most; without CAP_SYS_ADMIN they cannot be seen and nothing is waited for.
 */
void probe_bpf_settle(void);

#endif
