/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel module's device, seen from here: see inject/kmod/rqspinlock_fault.h. Open for as long
 * as anything may be injected; when this process goes, by whatever death, the kernel closes it and
 * with that disarms the module. Any thread may use it; each call is one system call or two.
 */
#ifndef SOAK_INJECT_DEVICE_H
#define SOAK_INJECT_DEVICE_H

#include <stdint.h>

struct snapshot_module;

/* The descriptor, or -errno: -EBUSY when another process has it, -ENOENT when it is not there. */
int device_open(void);

/* One whole configuration. 0 or -errno; the kernel log says what is wrong with it. */
int device_configure(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The module's figures; *ret_frames, if not NULL, is the address of its frames. 0 or -errno. */
int device_read(int fd, struct snapshot_module *ret, uint64_t *ret_frames);

/* From the text that the device gives. Pure. 0, or -EPROTO when it is of another version. */
int device_parse(const char *text, struct snapshot_module *ret, uint64_t *ret_frames);

/* "map_free_bucket,update": the names of a set of sites. The caller frees. */
char *device_sites(unsigned int sites);

#endif
