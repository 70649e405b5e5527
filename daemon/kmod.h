/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module rqspinlock_fault: is it there, would this kernel take it, load it, unload it. What
 * can be told without loading is told without, so that check can, too. One thread.
 */
#ifndef SOAK_KMOD_H
#define SOAK_KMOD_H

#include <stdbool.h>
#include <stddef.h>

/* What a module says about itself in its section .modinfo. */
struct kmod_info {
	char name[64];
	char release[65]; /* of the kernel that it was built for */
	bool intree;
	bool is_signed; /* something is appended; whether the kernel trusts it is another matter */
};

/* What this kernel asks of modules, and whether we may load any. */
struct kmod_policy {
	bool capable;	  /* CAP_SYS_MODULE; true also where that cannot be told */
	bool disabled;	  /* kernel.modules_disabled */
	bool checks;	  /* signatures are looked at, CONFIG_MODULE_SIG */
	bool enforces;	  /* only signed modules are taken (sig_enforce) */
	bool locked_down; /* lockdown [integrity] or [confidentiality]: the same */
};

struct kmod_file {
	char *path;  /* NULL: not found */
	bool opaque; /* compressed: info is not known */
	struct kmod_info info;
	int error; /* 0: as far as can be told, the kernel would take it; else -errno, ... */
	char *why; /* ... and the reason, without a full stop */
};

struct kmod_load {
	bool loaded_by_us;
	char *file;	/* NULL: it was loaded already */
	char taint[16]; /* what it did to the kernel, as letters: "OE"; "" when that is not known */
};

bool kmod_is_loaded(void);

/* It is loaded, or there is a file that this kernel would take as far as can be told. */
bool kmod_is_available(const char *file);

/*
 * Loads that file, or with NULL the installed one, unless the module is loaded already. Returns 0,
 * or -errno after one message that says why and what to do: -ENOENT (not there), -ENOEXEC or
 * -EINVAL (not for this kernel), -EKEYREJECTED or -ENOKEY (signature), -EPERM (lockdown or a
 * missing right), -EOPNOTSUPP (nothing to inject into), or what else the kernel answers.
 */
int kmod_load(const char *file, struct kmod_load *ret);
void kmod_load_free(struct kmod_load *load);

/* Returns 0 or -errno: -EBUSY while it is in use, -ENOENT when it is not loaded. No message. */
int kmod_unload(void);

/*
 * Parts of the above, for check and for tests ------------------------------------------------
 */

void kmod_policy_read(struct kmod_policy *ret);

/*
 * Looks for that file, or with NULL for the installed one, and judges it. Returns 0, whatever
 * ret->error says, or -ENOMEM.
 */
int kmod_find(const char *file, const struct kmod_policy *policy, struct kmod_file *ret);
void kmod_file_free(struct kmod_file *file);

/* The contents of .modinfo: strings "key=value", each with its NUL. 0, or -EINVAL: no module. */
int kmod_info_parse(const char *blob, size_t size, struct kmod_info *ret);

/*
 * Returns 0, -ENOMEDIUM (compressed: cannot be looked into), -ENOEXEC (not a module), or another
 * -errno of reading the file.
 */
int kmod_info_read(const char *path, struct kmod_info *ret);

/*
 * Why a kernel of that release and policy would not take it; the caller frees. *ret_error is 0
 * and the result NULL when it would, -ENOMEM when out of memory.
 */
char *kmod_info_judge(const struct kmod_info *info, const char *path, const char *release,
		      const struct kmod_policy *policy, int *ret_error);

/* What loading it taints the kernel with, for people; "" when with nothing. A constant. */
const char *kmod_info_taint(const struct kmod_info *info, const struct kmod_policy *policy);

/* What the kernel means by refusing path with that (negative) error. NULL: out of memory. */
char *kmod_refusal(int error, const char *path, const struct kmod_policy *policy);

#endif
