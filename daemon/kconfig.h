/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The running kernel's configuration, wherever this machine keeps it. A missing file is a normal
 * answer (many kernels ship none). Owned by whoever reads it; immutable; any thread.
 */
#ifndef SOAK_KCONFIG_H
#define SOAK_KCONFIG_H

#include <stdbool.h>

struct kconfig;

/* Text as in .config; it is copied. Returns 0, -EINVAL (no option in it) or -ENOMEM. */
int kconfig_parse(const char *text, struct kconfig **ret);

/*
 * A file, plain or gzip. Returns 0 or -errno: -ENOENT, -EIO (damaged gzip), -EFBIG, or as
 * kconfig_parse().
 */
int kconfig_read(const char *path, struct kconfig **ret);

/*
 * The first of /proc/config.gz, /boot/config-RELEASE, /lib/modules/RELEASE/config and
 * /lib/modules/RELEASE/build/.config that can be read, each below root ("" for the machine's
 * own). Returns 0, -ENOMEM, or the error of the last one tried.
 */
int kconfig_load(const char *root, const char *release, struct kconfig **ret);

void kconfig_free(struct kconfig *kconfig);

/* Where it was read from; "" for kconfig_parse(). */
const char *kconfig_path(const struct kconfig *kconfig);

/*
 * "y", "m", a number, a string without its quotes; "n" for "# NAME is not set"; NULL when the
 * option is not there at all, which means off or unknown to that kernel. The name includes
 * "CONFIG_".
 */
const char *kconfig_get(const struct kconfig *kconfig, const char *name);

/* Built in or a module. */
bool kconfig_enabled(const struct kconfig *kconfig, const char *name);

static inline void kconfig_freep(struct kconfig **kconfig)
{
	kconfig_free(*kconfig);
}

#endif
