// SPDX-License-Identifier: GPL-2.0-only
/* See kmod.h. libkmod finds, loads and unloads; libelf looks into the file beforehand. */
#include "kmod.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <libkmod.h>
#include <stdarg.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "inject/kmod/rqspinlock_fault.h"
#include "log.h"
#include "util.h"

#define SYS_MODULE  "/sys/module/" RQF_MODULE
#define SIG_ENFORCE "/sys/module/module/parameters/sig_enforce"
#define LOCKDOWN    "/sys/kernel/security/lockdown"

/* The last bytes of a signed module. */
static const char signature_mark[] = "~Module signature appended~\n";
#define SIGNATURE_MARK_LEN (sizeof(signature_mark) - 1)

/* .modinfo ----------------------------------------------------------------------------------- */

/* The value of key, or NULL. Every value is terminated within the blob. */
static const char *modinfo_get(const char *blob, size_t size, const char *key)
{
	size_t key_len = strlen(key), len;

	for (size_t i = 0; i < size; i += len + 1) {
		len = strnlen(blob + i, size - i);
		if (len == size - i)
			return NULL;
		if (len > key_len && !strncmp(blob + i, key, key_len) && blob[i + key_len] == '=')
			return blob + i + key_len + 1;
	}
	return NULL;
}

int kmod_info_parse(const char *blob, size_t size, struct kmod_info *ret)
{
	const char *name = modinfo_get(blob, size, "name");
	const char *vermagic = modinfo_get(blob, size, "vermagic");
	const char *intree = modinfo_get(blob, size, "intree");
	struct kmod_info info = { .intree = intree && *intree == 'Y' };
	size_t release_len;

	if (!name || !vermagic)
		return -EINVAL;
	release_len = strcspn(vermagic, " ");
	if (strlen(name) >= sizeof(info.name) || release_len >= sizeof(info.release))
		return -EINVAL;
	strcpy(info.name, name);
	memcpy(info.release, vermagic, release_len);
	*ret = info;
	return 0;
}

static bool is_compressed(int fd)
{
	static const struct {
		const char *magic;
		size_t len;
	} formats[] = {
		{ "\xfd\x37\x7a\x58\x5a", 5 },
		{ "\x28\xb5\x2f\xfd", 4 },
		{ "\x1f\x8b", 2 },
	};
	char head[8] = { 0 };

	if (pread(fd, head, sizeof(head), 0) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!memcmp(head, formats[i].magic, formats[i].len))
			return true;
	return false;
}

static bool has_signature(int fd)
{
	char tail[SIGNATURE_MARK_LEN];
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(tail))
		return false;
	return pread(fd, tail, sizeof(tail), st.st_size - (off_t)sizeof(tail)) == sizeof(tail) &&
	       !memcmp(tail, signature_mark, sizeof(tail));
}

static void elf_endp(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

/* The contents of the section, which live as long as elf, or NULL. */
static const Elf_Data *find_section(Elf *elf, const char *wanted)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		const char *name;
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header))
			continue;
		name = elf_strptr(elf, names, header.sh_name);
		if (name && !strcmp(name, wanted))
			return elf_rawdata(section, NULL);
	}
	return NULL;
}

static int read_modinfo(int fd, struct kmod_info *ret)
{
	_cleanup_(elf_endp) Elf *elf = NULL;
	const Elf_Data *modinfo;
	GElf_Ehdr header;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) ||
	    header.e_type != ET_REL)
		return -ENOEXEC;
	modinfo = find_section(elf, ".modinfo");
	if (!modinfo || !modinfo->d_buf ||
	    kmod_info_parse(modinfo->d_buf, modinfo->d_size, ret) < 0)
		return -ENOEXEC;
	return 0;
}

int kmod_info_read(const char *path, struct kmod_info *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct kmod_info info;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	if (is_compressed(fd))
		return -ENOMEDIUM;
	r = read_modinfo(fd, &info);
	if (r < 0)
		return r;
	info.is_signed = has_signature(fd);
	*ret = info;
	return 0;
}

/* Judgement ---------------------------------------------------------------------------------- */

static bool file_says(const char *path, const char *what)
{
	_cleanup_free_ char *text = NULL;

	return !read_file(path, &text, NULL) && strstr(text, what);
}

static void cap_freep(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}

static bool may_load_modules(void)
{
	_cleanup_(cap_freep) cap_t caps = cap_get_proc();
	cap_flag_value_t flag;

	if (!caps || cap_get_flag(caps, CAP_SYS_MODULE, CAP_EFFECTIVE, &flag) < 0)
		return true;
	return flag == CAP_SET;
}

void kmod_policy_read(struct kmod_policy *ret)
{
	uint64_t disabled = 0;

	read_file_u64("/proc/sys/kernel/modules_disabled", &disabled);
	*ret = (struct kmod_policy){
		.capable = may_load_modules(),
		.disabled = disabled,
		.checks = !access(SIG_ENFORCE, F_OK),
		.enforces = file_says(SIG_ENFORCE, "Y"),
		.locked_down = file_says(LOCKDOWN, "[integrity]") ||
			       file_says(LOCKDOWN, "[confidentiality]"),
	};
}

/* In the order in which the user has to mend it. */
char *kmod_info_judge(const struct kmod_info *info, const char *path, const char *release,
		      const struct kmod_policy *policy, int *ret_error)
{
	char *why;

	if (strcmp(info->name, RQF_MODULE)) {
		*ret_error = -ENOEXEC;
		why = format("%s is the module %s, not " RQF_MODULE, path, info->name);
	} else if (strcmp(info->release, release)) {
		*ret_error = -ENOEXEC;
		why = format("%s was built for %s, this kernel is %s: build it for this one", path,
			     info->release, release);
	} else if (policy->enforces && !info->is_signed) {
		*ret_error = -EKEYREJECTED;
		why = format("%s is not signed, and this kernel takes signed modules only: sign it "
			     "with a key that the kernel trusts, or boot without "
			     "module.sig_enforce",
			     path);
	} else if (policy->locked_down && !info->is_signed) {
		*ret_error = -EPERM;
		why = format("%s is not signed, and this kernel is locked down: sign it with a key "
			     "that the kernel trusts, or boot without lockdown (Secure Boot)",
			     path);
	} else {
		*ret_error = 0;
		return NULL;
	}
	if (!why)
		*ret_error = -ENOMEM;
	return why;
}

const char *kmod_info_taint(const struct kmod_info *info, const struct kmod_policy *policy)
{
	bool is_unsigned = policy->checks && !info->is_signed;

	if (info->intree)
		return is_unsigned ? "E: unsigned" : "";
	return is_unsigned ? "O: out of tree, E: unsigned" : "O: out of tree";
}

static char *describe_eperm(const char *path, const struct kmod_policy *policy)
{
	if (policy->disabled)
		return format("kernel.modules_disabled=1 forbids loading %s until the next boot",
			      path);
	if (!policy->capable)
		return format(
			"CAP_SYS_MODULE is missing to load %s: run as root, grant it, or load "
			"the module beforehand",
			path);
	if (policy->locked_down)
		return format("this kernel is locked down and does not trust the signature of %s: "
			      "sign it with a key that the kernel trusts, or boot without "
			      "lockdown (Secure Boot)",
			      path);
	return format("loading %s is forbidden though CAP_SYS_MODULE is there: a policy of this "
		      "kernel or container",
		      path);
}

char *kmod_refusal(int error, const char *path, const struct kmod_policy *policy)
{
	switch (-error) {
	case EPERM:
		return describe_eperm(path, policy);
	case EACCES:
		return format("loading %s is forbidden by a security policy, such as SELinux's",
			      path);
	case EKEYREJECTED:
	case ENOKEY:
	case ENOPKG:
	case EBADMSG:
		return format("this kernel rejects the signature of %s (%s): sign it with a key "
			      "that the kernel trusts, or boot without module.sig_enforce",
			      path, strerror(-error));
	case ENOEXEC:
	case EINVAL:
		return format(
			"%s does not fit this kernel (format, vermagic or BTF; see the kernel "
			"log): build it for this one",
			path);
	case ENOENT:
		return format("%s needs symbols that this kernel does not have (see the kernel "
			      "log): build it for this one",
			      path);
	case EOPNOTSUPP:
		return format(
			"%s found nothing in this kernel to inject into (see the kernel log): "
			"use --inject=stall",
			path);
	default:
		return format("%s cannot be loaded: %s (see the kernel log)", path,
			      strerror(-error));
	}
}

/* libkmod ------------------------------------------------------------------------------------ */

static void kmod_unrefp(struct kmod_ctx **ctx)
{
	kmod_unref(*ctx);
}

static void module_unrefp(struct kmod_module **module)
{
	if (*module)
		kmod_module_unref(*module);
}

static void module_unref_listp(struct kmod_list **list)
{
	kmod_module_unref_list(*list);
}

#define _cleanup_kmod_	 _cleanup_(kmod_unrefp)
#define _cleanup_module_ _cleanup_(module_unrefp)

/* What libkmod says itself is for debugging: we say the same better. */
static void __attribute__((format(printf, 6, 0)))
log_libkmod(void *data, int priority, const char *file, int line, const char *function,
	    const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = vformat(fmt, ap);

	(void)data;
	(void)priority;
	(void)file;
	(void)line;
	if (!text)
		return;
	text[strcspn(text, "\n")] = '\0';
	log_debug("libkmod: %s: %s", function, text);
}

/* Without modprobe's configuration: options and aliases of others do not concern this module. */
static struct kmod_ctx *make_context(void)
{
	static const char *const no_config[] = { NULL };
	struct kmod_ctx *ctx = kmod_new(NULL, (const char *const *)no_config);

	if (ctx)
		kmod_set_log_fn(ctx, log_libkmod, NULL);
	return ctx;
}

bool kmod_is_loaded(void)
{
	return !access(SYS_MODULE, F_OK);
}

/* As modprobe finds it; NULL when it is not installed for this kernel. */
static char *find_installed(void)
{
	_cleanup_(module_unref_listp) struct kmod_list *list = NULL;
	_cleanup_kmod_ struct kmod_ctx *ctx = make_context();
	struct kmod_list *item;

	if (!ctx || kmod_module_new_from_lookup(ctx, RQF_MODULE, &list) < 0)
		return NULL;
	kmod_list_foreach(item, list)
	{
		_cleanup_module_ struct kmod_module *module = kmod_module_get_module(item);
		const char *path = kmod_module_get_path(module);

		if (path)
			return strdup(path);
	}
	return NULL;
}

static int insert(const char *path)
{
	_cleanup_module_ struct kmod_module *module = NULL;
	_cleanup_kmod_ struct kmod_ctx *ctx = make_context();
	int r;

	if (!ctx)
		return -ENOMEM;
	r = kmod_module_new_from_path(ctx, path, &module);
	return r < 0 ? r : kmod_module_insert_module(module, 0, NULL);
}

int kmod_unload(void)
{
	_cleanup_module_ struct kmod_module *module = NULL;
	_cleanup_kmod_ struct kmod_ctx *ctx = make_context();
	int r;

	if (!ctx)
		return -ENOMEM;
	r = kmod_module_new_from_name(ctx, RQF_MODULE, &module);
	if (r < 0)
		return r;
	r = kmod_module_remove_module(module, 0);
	/* As delete_module() says "in use". */
	return r == -EAGAIN ? -EBUSY : r;
}

/* Find and load ------------------------------------------------------------------------------ */

static int judge_file(const struct kmod_policy *policy, struct kmod_file *file)
{
	struct utsname uts;
	int r = kmod_info_read(file->path, &file->info);

	if (r == -ENOMEDIUM) {
		file->opaque = true;
		return 0;
	}
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		file->error = r;
		file->why = r == -ENOEXEC ? format("%s is not a kernel module", file->path)
					  : format("%s: %s", file->path, strerror(-r));
		return file->why ? 0 : -ENOMEM;
	}
	uname(&uts);
	file->why = kmod_info_judge(&file->info, file->path, uts.release, policy, &file->error);
	return file->error == -ENOMEM ? -ENOMEM : 0;
}

int kmod_find(const char *file, const struct kmod_policy *policy, struct kmod_file *ret)
{
	_cleanup_(kmod_file_free) struct kmod_file found = { 0 };
	int r;

	found.path = file ? strdup(file) : find_installed();
	if (!found.path && file)
		return -ENOMEM;
	if (!found.path) {
		found.error = -ENOENT;
		found.why = strdup(RQF_MODULE
				   " is not installed for this kernel: build it (meson "
				   "configure -Dkmod=enabled), install it by DKMS (inject/kmod), "
				   "or give --module=FILE");
		r = found.why ? 0 : -ENOMEM;
	} else {
		r = judge_file(policy, &found);
	}
	if (r < 0)
		return r;
	*ret = found;
	found = (struct kmod_file){ 0 };
	return 0;
}

void kmod_file_free(struct kmod_file *file)
{
	free(file->path);
	free(file->why);
	*file = (struct kmod_file){ 0 };
}

bool kmod_is_available(const char *file)
{
	_cleanup_(kmod_file_free) struct kmod_file found = { 0 };
	struct kmod_policy policy;

	if (kmod_is_loaded())
		return true;
	kmod_policy_read(&policy);
	return !kmod_find(file, &policy, &found) && !found.error;
}

static void read_taint(struct kmod_load *load)
{
	_cleanup_free_ char *text = NULL;

	if (read_file(SYS_MODULE "/taint", &text, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	snprintf(load->taint, sizeof(load->taint), "%s", text);
}

static void announce(const struct kmod_file *file, const struct kmod_policy *policy)
{
	const char *taint;

	if (file->opaque) {
		log_debug("%s is compressed: what it was built for is left to the kernel to check",
			  file->path);
		return;
	}
	taint = kmod_info_taint(&file->info, policy);
	if (*taint)
		log_notice("loading %s taints the kernel until the next boot (%s)", file->path,
			   taint);
}

static int load_file(struct kmod_file *file, const struct kmod_policy *policy,
		     struct kmod_load *load)
{
	_cleanup_free_ char *why = NULL;
	int r;

	if (file->error) {
		log_error("%s", file->why);
		return file->error;
	}
	announce(file, policy);
	r = insert(file->path);
	if (!r) {
		load->loaded_by_us = true;
		load->file = TAKE_PTR(file->path);
		log_info(RQF_MODULE " loaded from %s", load->file);
		return 0;
	}
	/* Somebody else was faster. */
	if (r == -EEXIST)
		return 0;
	why = kmod_refusal(r, file->path, policy);
	log_error("%s", why ? why : strerror(-r));
	return r;
}

int kmod_load(const char *file, struct kmod_load *ret)
{
	_cleanup_(kmod_file_free) struct kmod_file found = { 0 };
	struct kmod_load load = { 0 };
	struct kmod_policy policy;
	int r;

	if (kmod_is_loaded()) {
		log_debug(RQF_MODULE " is loaded already%s%s",
			  file ? ", so this is not used: " : "", file ? file : "");
		read_taint(&load);
		*ret = load;
		return 0;
	}
	kmod_policy_read(&policy);
	r = kmod_find(file, &policy, &found);
	if (r < 0) {
		log_error(RQF_MODULE ": %s", strerror(-r));
		return r;
	}
	r = load_file(&found, &policy, &load);
	if (r < 0)
		return r;
	read_taint(&load);
	*ret = load;
	return 0;
}

void kmod_load_free(struct kmod_load *load)
{
	free(load->file);
	*load = (struct kmod_load){ 0 };
}
