/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own search for memory that nothing points to (CONFIG_DEBUG_KMEMLEAK), in the order
 * that it needs: scan and forget before the churn; quiesce; two scans with a pause; read. What
 * kmalloc_nolock() allocated it does not know (mm/slub.c), selems and storages of 7.x among them;
 * maps and their buckets it does.
 */
#ifndef SOAK_KMEMLEAK_H
#define SOAK_KMEMLEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Scans, and makes it forget what it has found so far. Takes seconds. Returns 0, or -errno where
 * it is not there or switched off.
 */
int kmemleak_begin(void);

/* Two scans and what they say: a text that the caller frees. Takes many seconds. */
int kmemleak_end(char **ret_text);

/*
 * Objects in such a text that local storage allocated, less those at an address that is_expected()
 * knows. *ret_first: address of the first that is left, 0: none. Pure.
 */
size_t kmemleak_count(const char *text, bool (*is_expected)(uint64_t address, void *context),
		      void *context, uint64_t *ret_first);

#endif
