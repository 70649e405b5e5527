// SPDX-License-Identifier: GPL-2.0-only
/*
 * The chosen functions of local storage: where they are, where they call the slow path and where
 * they try for a lock, found at load by looking at their text; and the probes on them, registered
 * at load but disabled, so that a loaded module that nobody uses costs nothing. Once enabled they
 * stay until the device is closed: text is patched before there is load and after it.
 */
#include <linux/kallsyms.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "rqf.h"

#define CALL_OPCODE 0xe8
#define JUMP_OPCODE 0xe9
#define CALL_SIZE   5

#define FUNCTION(id, name)                                  \
	[id] = {                                            \
		.func = id,                                 \
		.entry = { .symbol_name = name,             \
			   .pre_handler = rqf_enter,        \
			   .flags = KPROBE_FLAG_DISABLED }, \
	}

static struct rqf_function functions[RQF_FUNC_NR] = {
	FUNCTION(RQF_NOFAIL, "bpf_selem_unlink_nofail"),
	FUNCTION(RQF_FUNC_UPDATE, "bpf_local_storage_update"),
	FUNCTION(RQF_FUNC_ALLOC, "bpf_local_storage_alloc"),
	FUNCTION(RQF_FUNC_DELETE, "bpf_selem_unlink"),
	FUNCTION(RQF_FUNC_CACHE, "__bpf_local_storage_insert_cache"),
	FUNCTION(RQF_FUNC_LINK_MAP, "bpf_selem_link_map"),
};

static const enum rqf_func func_of_site[RQF_SITE_NR] = {
	[RQF_MAP_FREE_BUCKET] = RQF_NOFAIL, [RQF_MAP_FREE_STORAGE] = RQF_NOFAIL,
	[RQF_DESTROY_BUCKET] = RQF_NOFAIL,  [RQF_DESTROY_STORAGE] = RQF_NOFAIL,
	[RQF_UPDATE] = RQF_FUNC_UPDATE,	    [RQF_DELETE] = RQF_FUNC_DELETE,
	[RQF_CLONE] = RQF_FUNC_ALLOC,	    [RQF_ALLOC] = RQF_FUNC_ALLOC,
	[RQF_CACHE] = RQF_FUNC_CACHE,	    [RQF_LINK_MAP] = RQF_FUNC_LINK_MAP,
};

/*
 * In nofail, behind what ftrace patches: fentry programs have run by then, among them the one that
 * calls the other side to a duel, and nothing has been read yet. By int3 always, for
 * rqf_in_interrupt().
 */
static struct kprobe begun = {
	.pre_handler = rqf_begun,
	.post_handler = rqf_no_optimization,
	.flags = KPROBE_FLAG_DISABLED,
};
static bool begun_present;

/* Registered and never enabled: only its address is wanted. */
static struct kprobe clone = {
	.symbol_name = "bpf_sk_storage_clone",
	.flags = KPROBE_FLAG_DISABLED,
};
static bool clone_present;
static unsigned int n_clone_calls;
static unsigned long clone_calls[RQF_CALLS_MAX]; /* of bpf_local_storage_alloc() */

static void locate(struct rqf_function *function)
{
	int r = register_kprobe(&function->entry);

	if (r)
		pr_notice("no probe on %s: %d\n", function->entry.symbol_name, r);
	function->present = !r;
}

/* How many bytes the symbol table gives the function that the probe is on, and where it begins. */
static unsigned long function_size(const struct kprobe *kp, unsigned long *ret_start)
{
	unsigned long offset, size;
	char name[KSYM_SYMBOL_LEN], *plus;

	sprint_symbol(name, (unsigned long)kp->addr);
	plus = strrchr(name, '+');
	if (!plus || sscanf(plus, "+%lx/%lx", &offset, &size) != 2)
		return 0;
	*ret_start = (unsigned long)kp->addr - offset;
	return size;
}

/* The target of a direct call at text, which was copied from address; 0 when there is none. */
static unsigned long call_target(const u8 *text, unsigned long address)
{
	s32 distance;

	if (text[0] != CALL_OPCODE)
		return 0;
	memcpy(&distance, text + 1, sizeof(distance));
	return address + CALL_SIZE + distance;
}

static unsigned int find_calls(unsigned long start, unsigned long size, unsigned long target,
			       unsigned long *ret)
{
	unsigned int n = 0;
	u8 text[CALL_SIZE];

	for (unsigned long at = start; at + CALL_SIZE <= start + size; at++) {
		if (copy_from_kernel_nofault(text, (void *)at, sizeof(text)))
			continue;
		if (call_target(text, at) == target && n < RQF_CALLS_MAX)
			ret[n++] = at + CALL_SIZE;
	}
	return n;
}

static void find_locks(struct rqf_function *function, unsigned long start, unsigned long size)
{
	u8 text[RQF_INSN_MAX];

	for (unsigned long at = start; at + sizeof(text) <= start + size; at++) {
		struct rqf_insn *lock = &function->locks[function->n_locks];

		if (function->n_locks == RQF_LOCKS_MAX) {
			pr_notice(
				"%s has more than %d such instructions: the others are not probed\n",
				function->entry.symbol_name, RQF_LOCKS_MAX);
			return;
		}
		if (copy_from_kernel_nofault(text, (void *)at, sizeof(text)) ||
		    !rqf_insn_decode(text, lock))
			continue;
		if (!lock->is_cmpxchg && function->func != RQF_NOFAIL)
			continue;
		lock->func = function->func;
		lock->probe = (struct kprobe){
			.addr = (kprobe_opcode_t *)at,
			.pre_handler = rqf_lock_hit,
			.post_handler = rqf_lock_passed,
			.flags = KPROBE_FLAG_DISABLED,
		};
		/* Not at the boundary of an instruction, and so no such instruction: -EILSEQ. */
		if (!register_kprobe(&lock->probe))
			function->n_locks++;
	}
}

/* Calls go to a function's first byte; a probe may stand behind its endbr. */
static unsigned long slowpath_start(void)
{
	unsigned long start = 0;

	return function_size(rqf_slowpath_probe(), &start) ? start : 0;
}

static void look_at(struct rqf_function *function)
{
	unsigned long start = 0;

	function->size = function_size(&function->entry, &start);
	function->n_calls = find_calls(start, function->size, slowpath_start(), function->calls);
	find_locks(function, start, function->size);
}

static void look_at_clone(void)
{
	unsigned long start = 0, size, alloc_start = 0;
	const struct kprobe *alloc = &functions[RQF_FUNC_ALLOC].entry;

	clone_present = !register_kprobe(&clone);
	if (!clone_present || !functions[RQF_FUNC_ALLOC].present)
		return;
	size = function_size(&clone, &start);
	if (!function_size(alloc, &alloc_start))
		return;
	n_clone_calls = find_calls(start, size, alloc_start, clone_calls);
}

static bool is_patched_by_ftrace(unsigned long address)
{
	static const u8 nop[CALL_SIZE] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	u8 text[CALL_SIZE];

	if (copy_from_kernel_nofault(text, (void *)address, sizeof(text)))
		return false;
	return !memcmp(text, nop, sizeof(nop)) || text[0] == CALL_OPCODE || text[0] == JUMP_OPCODE;
}

static void look_at_begin(void)
{
	const struct kprobe *entry = &functions[RQF_NOFAIL].entry;
	unsigned long patched = (unsigned long)entry->addr;
	int r = -ENOENT;

	if (!functions[RQF_NOFAIL].present)
		return;
	if (is_patched_by_ftrace(patched)) {
		begun.addr = (kprobe_opcode_t *)(patched + CALL_SIZE);
		r = register_kprobe(&begun);
	}
	if (r)
		pr_notice("no probe behind the entry of %s: %d\n", entry->symbol_name, r);
	begun_present = !r;
}

int rqf_probes_init(void)
{
	for (unsigned int i = 0; i < RQF_FUNC_NR; i++) {
		locate(&functions[i]);
		if (functions[i].present)
			look_at(&functions[i]);
	}
	look_at_begin();
	look_at_clone();
	if (functions[RQF_NOFAIL].n_calls)
		return 0;
	pr_err("%s is not here or does not lock: nothing to inject into\n",
	       functions[RQF_NOFAIL].entry.symbol_name);
	rqf_probes_exit();
	return -EOPNOTSUPP;
}

static void forget(struct rqf_function *function)
{
	while (function->n_locks)
		unregister_kprobe(&function->locks[--function->n_locks].probe);
	if (function->present)
		unregister_kprobe(&function->entry);
	function->present = false;
}

void rqf_probes_exit(void)
{
	if (clone_present)
		unregister_kprobe(&clone);
	clone_present = false;
	if (begun_present)
		unregister_kprobe(&begun);
	begun_present = false;
	for (unsigned int i = RQF_FUNC_NR; i--;)
		forget(&functions[i]);
}

static const char *what_lacks(enum rqf_site site, bool forced)
{
	const struct rqf_function *function = &functions[func_of_site[site]];

	if (!function->present)
		return "its function cannot be probed";
	if (!function->n_calls)
		return "its function does not call the slow path";
	if (site == RQF_CLONE && !n_clone_calls)
		return "bpf_sk_storage_clone() does not call bpf_local_storage_alloc()";
	if (forced && !function->n_locks)
		return "its function has no lock cmpxchg to force";
	return NULL;
}

int rqf_probes_check(unsigned long sites, bool forced)
{
	int site;

	for_each_set_bit(site, &sites, RQF_SITE_NR)
	{
		const char *lacks = what_lacks(site, forced);

		if (!lacks)
			continue;
		pr_warn("site %s is not in this kernel: %s\n", rqf_site_names[site], lacks);
		return -ENOENT;
	}
	return 0;
}

static int enable_function(struct rqf_function *function, bool forced)
{
	int r = enable_kprobe(&function->entry);

	for (unsigned int i = 0; !r && forced && i < function->n_locks; i++)
		r = enable_kprobe(&function->locks[i].probe);
	return r;
}

int rqf_probes_enable(unsigned long sites, bool forced, bool appointments)
{
	int site, r = 0;

	for_each_set_bit(site, &sites, RQF_SITE_NR)
	{
		r = enable_function(&functions[func_of_site[site]], forced);
		if (r)
			return r;
	}
	return appointments && begun_present ? enable_kprobe(&begun) : 0;
}

/* A probe that is not enabled does not mind. */
static void disable_function(struct rqf_function *function)
{
	for (unsigned int i = 0; i < function->n_locks; i++)
		disable_kprobe(&function->locks[i].probe);
	if (function->present)
		disable_kprobe(&function->entry);
}

void rqf_probes_disable(void)
{
	if (begun_present)
		disable_kprobe(&begun);
	for (unsigned int i = 0; i < RQF_FUNC_NR; i++)
		disable_function(&functions[i]);
}

static bool is_one_of(unsigned long address, const unsigned long *addresses, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (addresses[i] == address)
			return true;
	return false;
}

int rqf_func_of_call(unsigned long return_address)
{
	for (int i = 0; i < RQF_FUNC_NR; i++)
		if (is_one_of(return_address, functions[i].calls, functions[i].n_calls))
			return i;
	return -1;
}
NOKPROBE_SYMBOL(rqf_func_of_call);

bool rqf_is_clone_call(unsigned long return_address)
{
	return is_one_of(return_address, clone_calls, n_clone_calls);
}
NOKPROBE_SYMBOL(rqf_is_clone_call);

u64 rqf_probes_missed(void)
{
	u64 missed = begun.nmissed;

	for (unsigned int i = 0; i < RQF_FUNC_NR; i++) {
		missed += functions[i].entry.nmissed;
		for (unsigned int j = 0; j < functions[i].n_locks; j++)
			missed += functions[i].locks[j].probe.nmissed;
	}
	return missed;
}

void rqf_probes_show(struct seq_file *m)
{
	for (unsigned int i = 0; i < RQF_SITE_NR; i++) {
		const struct rqf_function *function = &functions[func_of_site[i]];

		seq_printf(m, "site_%s %s %s calls=%u locks=%u\n", rqf_site_names[i],
			   what_lacks(i, false) ? "absent" : "present",
			   what_lacks(i, true) ? "unforceable" : "forceable", function->n_calls,
			   function->n_locks);
	}
}
