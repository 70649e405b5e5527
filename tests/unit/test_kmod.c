// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is said about a module before it is loaded: .modinfo of made-up blobs and of relocatable
 * ELF files written here, and every answer that the kernel may give. Nothing is loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include <cmocka.h>

#include "kmod.h"
#include "util.h"

#define MODULE "rqspinlock_fault"

static const struct kmod_policy open_policy = { .capable = true };

static char module_path[] = "/tmp/bpfsoakd-test-kmod-XXXXXX";

static int make_path(void **state)
{
	int fd = mkstemp(module_path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(module_path);
}

static void write_module_file(const void *data, size_t len)
{
	assert_int_equal(write_file_atomic(module_path, data, len), 0);
}

#define PARSE(blob, info) kmod_info_parse(blob, sizeof(blob) - 1, info)

static void test_modinfo(void **state)
{
	static const char blob[] = "license=GPL\0"
				   "description=name=other\0"
				   "\0"
				   "rename=no\0"
				   "intree=Y\0"
				   "name=" MODULE "\0"
				   "vermagic=7.3.4-lab SMP preempt mod_unload \0";
	struct kmod_info info;

	(void)state;
	assert_int_equal(PARSE(blob, &info), 0);
	assert_string_equal(info.name, MODULE);
	assert_string_equal(info.release, "7.3.4-lab");
	assert_true(info.intree);
	assert_false(info.is_signed);
}

static void test_modinfo_out_of_tree(void **state)
{
	static const char blob[] = "vermagic=7.0\0name=x\0";
	struct kmod_info info;

	(void)state;
	assert_int_equal(PARSE(blob, &info), 0);
	assert_string_equal(info.name, "x");
	assert_string_equal(info.release, "7.0");
	assert_false(info.intree);
}

static void test_modinfo_damaged(void **state)
{
	static const char no_name[] = "vermagic=7.0 SMP\0rename=x\0";
	static const char no_vermagic[] = "name=x\0";
	static const char cut[] = "vermagic=7.0 SMP\0name=x";
	static const char long_name[] =
		"vermagic=7.0\0name=0123456789012345678901234567890123456789012345678901234567890123\0";
	struct kmod_info info = { .name = "kept" };

	(void)state;
	assert_int_equal(kmod_info_parse("", 0, &info), -EINVAL);
	assert_int_equal(PARSE(no_name, &info), -EINVAL);
	assert_int_equal(PARSE(no_vermagic, &info), -EINVAL);
	assert_int_equal(PARSE(cut, &info), -EINVAL);
	assert_int_equal(PARSE(long_name, &info), -EINVAL);
	assert_string_equal(info.name, "kept");
}

/* An ELF file ------------------------------------------------------------------------------- */

static void add_section(Elf *elf, GElf_Word name, GElf_Word type, const void *data, size_t size)
{
	Elf_Scn *section = elf_newscn(elf);
	GElf_Shdr header;
	Elf_Data *d;

	assert_non_null(section);
	d = elf_newdata(section);
	assert_non_null(d);
	d->d_buf = (void *)data;
	d->d_size = size;
	d->d_align = 1;
	d->d_type = ELF_T_BYTE;
	d->d_version = EV_CURRENT;
	assert_non_null(gelf_getshdr(section, &header));
	header.sh_name = name;
	header.sh_type = type;
	assert_true(gelf_update_shdr(section, &header));
}

/* To module_path: an ELF file of that type whose .modinfo is blob, or without one. */
static void write_elf(GElf_Half type, const char *blob, size_t size)
{
	static const char names[] = "\0.modinfo\0.shstrtab";
	_cleanup_close_ int fd = open(module_path, O_RDWR | O_TRUNC | O_CLOEXEC);
	GElf_Ehdr header;
	Elf *elf;

	assert_true(fd >= 0);
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_WRITE, NULL);
	assert_non_null(elf);
	assert_non_null(gelf_newehdr(elf, ELFCLASS64));
	if (blob)
		add_section(elf, 1, SHT_PROGBITS, blob, size);
	add_section(elf, 10, SHT_STRTAB, names, sizeof(names));
	assert_non_null(gelf_getehdr(elf, &header));
	header.e_type = type;
	header.e_machine = EM_X86_64;
	header.e_shstrndx = blob ? 2 : 1;
	assert_true(gelf_update_ehdr(elf, &header));
	assert_true(elf_update(elf, ELF_C_WRITE) > 0);
	elf_end(elf);
}

/* A module of that name for that kernel. */
static void write_module(const char *name, const char *release)
{
	_cleanup_free_ char *blob = format("license=GPL%cname=%s%cvermagic=%s SMP mod_unload %c", 0,
					   name, 0, release, 0);
	size_t size = strlen("license=GPLname=vermagic= SMP mod_unload ") + strlen(name) +
		      strlen(release) + 3;

	write_elf(ET_REL, blob, size);
}

static void append(const char *text)
{
	_cleanup_close_ int fd = open(module_path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void test_elf(void **state)
{
	struct kmod_info info;

	(void)state;
	write_module(MODULE, "7.3.4-lab");
	assert_int_equal(kmod_info_read(module_path, &info), 0);
	assert_string_equal(info.name, MODULE);
	assert_string_equal(info.release, "7.3.4-lab");
	assert_false(info.intree);
	assert_false(info.is_signed);

	append("signature~Module signature appended~\n");
	assert_int_equal(kmod_info_read(module_path, &info), 0);
	assert_true(info.is_signed);
}

static void test_not_a_module(void **state)
{
	static const char blob[] = "name=x\0vermagic=7.0 SMP\0";
	struct kmod_info info;

	(void)state;
	write_module_file("", 0);
	assert_int_equal(kmod_info_read(module_path, &info), -ENOEXEC);
	write_module_file("#!/bin/sh\n", 10);
	assert_int_equal(kmod_info_read(module_path, &info), -ENOEXEC);
	write_elf(ET_REL, NULL, 0);
	assert_int_equal(kmod_info_read(module_path, &info), -ENOEXEC);
	write_elf(ET_DYN, blob, sizeof(blob) - 1);
	assert_int_equal(kmod_info_read(module_path, &info), -ENOEXEC);
	write_elf(ET_REL, blob, 5);
	assert_int_equal(kmod_info_read(module_path, &info), -ENOEXEC);
	write_elf(ET_REL, blob, sizeof(blob) - 1);
	assert_int_equal(kmod_info_read(module_path, &info), 0);
	assert_int_equal(kmod_info_read("/", &info), -EISDIR);
	assert_int_equal(kmod_info_read("/dev/null", &info), -ENOEXEC);
	assert_int_equal(kmod_info_read("/nonexistent/x.ko", &info), -ENOENT);
}

static void test_compressed(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} files[] = {
		{ "\xfd\x37\x7a\x58\x5a\x00 and so on", 15 },
		{ "\x28\xb5\x2f\xfd and so on", 14 },
		{ "\x1f\x8b\x08 and so on", 13 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct kmod_file file;
		struct kmod_info info;

		write_module_file(files[i].data, files[i].len);
		assert_int_equal(kmod_info_read(module_path, &info), -ENOMEDIUM);
		assert_int_equal(kmod_find(module_path, &open_policy, &file), 0);
		assert_int_equal(file.error, 0);
		assert_true(file.opaque);
		kmod_file_free(&file);
	}
}

/* Judgement --------------------------------------------------------------------------------- */

static void assert_judged(const struct kmod_info *info, const struct kmod_policy *policy, int error,
			  const char *expected)
{
	int found = 1;
	_cleanup_free_ char *why = kmod_info_judge(info, "/m.ko", "7.3.4", policy, &found);

	assert_int_equal(found, error);
	if (expected)
		assert_string_equal(why, expected);
	else
		assert_null(why);
}

static void test_judgement(void **state)
{
	struct kmod_info info = { .name = MODULE, .release = "7.3.4" };
	struct kmod_policy policy = { .capable = true, .checks = true };

	(void)state;
	assert_judged(&info, &policy, 0, NULL);
	policy.locked_down = true;
	assert_judged(&info, &policy, -EPERM,
		      "/m.ko is not signed, and this kernel is locked down: sign it with a key "
		      "that the kernel trusts, or boot without lockdown (Secure Boot)");
	policy.enforces = true;
	assert_judged(&info, &policy, -EKEYREJECTED,
		      "/m.ko is not signed, and this kernel takes signed modules only: sign it "
		      "with a key that the kernel trusts, or boot without module.sig_enforce");
	info.is_signed = true;
	assert_judged(&info, &policy, 0, NULL);
	strcpy(info.release, "7.3.4-lab");
	assert_judged(&info, &policy, -ENOEXEC,
		      "/m.ko was built for 7.3.4-lab, this kernel is 7.3.4: build it for this one");
	strcpy(info.name, "ext4");
	assert_judged(&info, &policy, -ENOEXEC, "/m.ko is the module ext4, not rqspinlock_fault");
}

static void test_taint(void **state)
{
	struct kmod_policy policy = { 0 };
	struct kmod_info info = { 0 };

	(void)state;
	assert_string_equal(kmod_info_taint(&info, &policy), "O: out of tree");
	info.intree = true;
	assert_string_equal(kmod_info_taint(&info, &policy), "");
	policy.checks = true;
	assert_string_equal(kmod_info_taint(&info, &policy), "E: unsigned");
	info.intree = false;
	assert_string_equal(kmod_info_taint(&info, &policy), "O: out of tree, E: unsigned");
	info.is_signed = true;
	assert_string_equal(kmod_info_taint(&info, &policy), "O: out of tree");
}

static void assert_refusal(int error, const struct kmod_policy *policy, const char *expected)
{
	_cleanup_free_ char *text = kmod_refusal(error, "/m.ko", policy);

	assert_string_equal(text, expected);
}

static void test_refusals_for_lack_of_rights(void **state)
{
	struct kmod_policy policy = open_policy;

	(void)state;
	assert_refusal(-EACCES, &policy,
		       "loading /m.ko is forbidden by a security policy, such as SELinux's");
	assert_refusal(-EPERM, &policy,
		       "loading /m.ko is forbidden though CAP_SYS_MODULE is there: a policy of "
		       "this kernel or container");
	policy.locked_down = true;
	assert_refusal(-EPERM, &policy,
		       "this kernel is locked down and does not trust the signature of /m.ko: sign "
		       "it with a key that the kernel trusts, or boot without lockdown (Secure "
		       "Boot)");
	policy.capable = false;
	assert_refusal(
		-EPERM, &policy,
		"CAP_SYS_MODULE is missing to load /m.ko: run as root, grant it, or load the "
		"module beforehand");
	policy.disabled = true;
	assert_refusal(-EPERM, &policy,
		       "kernel.modules_disabled=1 forbids loading /m.ko until the next boot");
}

static void test_refusals_of_the_file(void **state)
{
	static const char misfit[] =
		"/m.ko does not fit this kernel (format, vermagic or BTF; see the kernel log): "
		"build it for this one";

	(void)state;
	assert_refusal(-EKEYREJECTED, &open_policy,
		       "this kernel rejects the signature of /m.ko (Key was rejected by service): "
		       "sign it with a key that the kernel trusts, or boot without "
		       "module.sig_enforce");
	assert_refusal(-ENOKEY, &open_policy,
		       "this kernel rejects the signature of /m.ko (Required key not available): "
		       "sign it with a key that the kernel trusts, or boot without "
		       "module.sig_enforce");
	assert_refusal(-ENOEXEC, &open_policy, misfit);
	assert_refusal(-EINVAL, &open_policy, misfit);
	assert_refusal(-ENOENT, &open_policy,
		       "/m.ko needs symbols that this kernel does not have (see the kernel log): "
		       "build it for this one");
	assert_refusal(
		-EOPNOTSUPP, &open_policy,
		"/m.ko found nothing in this kernel to inject into (see the kernel log): use "
		"--inject=stall");
	assert_refusal(-ENOSPC, &open_policy,
		       "/m.ko cannot be loaded: No space left on device (see the kernel log)");
}

/* Files ------------------------------------------------------------------------------------- */

static void test_find(void **state)
{
	_cleanup_free_ char *expected = NULL;
	struct kmod_file file;
	struct utsname uts;

	(void)state;
	uname(&uts);
	write_module(MODULE, uts.release);
	assert_int_equal(kmod_find(module_path, &open_policy, &file), 0);
	assert_int_equal(file.error, 0);
	assert_null(file.why);
	assert_false(file.opaque);
	assert_string_equal(file.path, module_path);
	assert_string_equal(file.info.name, MODULE);
	assert_true(kmod_is_available(module_path));
	kmod_file_free(&file);

	write_module(MODULE, "7.3.4-other");
	expected = format("%s was built for 7.3.4-other, this kernel is %s: build it for this one",
			  module_path, uts.release);
	assert_int_equal(kmod_find(module_path, &open_policy, &file), 0);
	assert_int_equal(file.error, -ENOEXEC);
	assert_string_equal(file.why, expected);
	kmod_file_free(&file);
}

static void test_find_nothing(void **state)
{
	struct kmod_file file;

	(void)state;
	assert_int_equal(kmod_find("/nonexistent/x.ko", &open_policy, &file), 0);
	assert_int_equal(file.error, -ENOENT);
	assert_string_equal(file.why, "/nonexistent/x.ko: No such file or directory");
	kmod_file_free(&file);
	assert_int_equal(kmod_find("/dev/null", &open_policy, &file), 0);
	assert_string_equal(file.why, "/dev/null is not a kernel module");
	kmod_file_free(&file);
	/* Whether it is installed here or not: there is a path or a reason. */
	assert_int_equal(kmod_find(NULL, &open_policy, &file), 0);
	assert_true(file.path || file.error == -ENOENT);
	if (!file.path)
		assert_non_null(strstr(file.why, "is not installed for this kernel"));
	kmod_file_free(&file);
}

/* kmod_load() with stderr caught. */
static int load(const char *file, char *messages, size_t size)
{
	struct kmod_load loaded = { 0 };
	int caught = memfd_create("stderr", MFD_CLOEXEC), saved = dup(STDERR_FILENO), r;
	ssize_t n;

	assert_true(caught >= 0 && saved >= 0);
	assert_true(dup2(caught, STDERR_FILENO) >= 0);
	r = kmod_load(file, &loaded);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	n = pread(caught, messages, size - 1, 0);
	close(caught);
	assert_true(n >= 0);
	messages[n] = '\0';
	kmod_load_free(&loaded);
	return r;
}

/* One message for each failure. Only files that would be refused in any case are tried. */
static void test_load_says_why_once(void **state)
{
	_cleanup_free_ char *expected =
		format("bpfsoakd: %s is the module ext4, not rqspinlock_fault\n", module_path);
	char messages[1024];

	(void)state;
	if (kmod_is_loaded())
		skip();
	assert_int_equal(load("/nonexistent/x.ko", messages, sizeof(messages)), -ENOENT);
	assert_string_equal(messages, "bpfsoakd: /nonexistent/x.ko: No such file or directory\n");
	write_module("ext4", "7.3.4");
	assert_int_equal(load(module_path, messages, sizeof(messages)), -ENOEXEC);
	assert_string_equal(messages, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modinfo),
		cmocka_unit_test(test_modinfo_out_of_tree),
		cmocka_unit_test(test_modinfo_damaged),
		cmocka_unit_test(test_elf),
		cmocka_unit_test(test_not_a_module),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_judgement),
		cmocka_unit_test(test_taint),
		cmocka_unit_test(test_refusals_for_lack_of_rights),
		cmocka_unit_test(test_refusals_of_the_file),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_nothing),
		cmocka_unit_test(test_load_says_why_once),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
