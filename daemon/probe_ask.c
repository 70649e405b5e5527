// SPDX-License-Identifier: GPL-2.0-only
/*
 * Turns what probe_bpf.c tried into items and facts: maps, hooks, and each function that our
 * programs attach to.
 */
#include <errno.h>
#include <string.h>

#include "probe_bpf.h"
#include "prober.h"

/* What an answer of bpf() means: refused for lack of rights is no statement about the kernel. */
static enum probe_answer answer_of(int error)
{
	if (!error)
		return PROBE_YES;
	return error == -EPERM || error == -EACCES || error == -ENOMEM ? PROBE_UNKNOWN : PROBE_NO;
}

/* Being refused with all rights in hand is somebody's policy, not a missing right. */
static const char *refusal_hint(const struct prober *p, int error)
{
	if (error != -EPERM && error != -EACCES)
		return "";
	if (p->facts.cap_bpf == PROBE_NO || p->facts.cap_perfmon == PROBE_NO)
		return ": a capability is missing, see above";
	return " though the capabilities are there: a policy of this kernel or container";
}

static int add_map(struct prober *p, const char *name, int error)
{
	if (error)
		prober_add(p, name, answer_of(error), "%s%s", strerror(-error),
			   refusal_hint(p, error));
	else
		prober_add(p, name, PROBE_YES, "made and closed");
	return error;
}

static void ask_maps(struct prober *p)
{
	struct probe_facts *f = &p->facts;
	int task_error;

	p->group = "maps";
	f->bpf_error = add_map(p, "array", probe_map_array());
	f->mmapable_error = add_map(p, "memory-mapped array", probe_map_mmapable());
	f->sk_storage_error = add_map(p, "socket storage", probe_map_storage(SOAK_SK));
	f->task_storage_error = add_map(p, "task storage", probe_map_storage(SOAK_TASK));
	f->array_of_maps_error =
		add_map(p, "array of socket storages", probe_map_array_of_storage(SOAK_SK));
	task_error = add_map(p, "array of task storages", probe_map_array_of_storage(SOAK_TASK));
	if (!f->array_of_maps_error)
		f->array_of_maps_error = task_error;
	p->probe->kinds = SOAK_KIND_BIT(SOAK_SK) | SOAK_KIND_BIT(SOAK_TASK);
}

/* A kind of storage that a run can do without. */
static void add_kind(struct prober *p, enum soak_kind kind, const char *name,
		     enum probe_answer answer, const char *why)
{
	if (answer == PROBE_YES) {
		p->probe->kinds |= SOAK_KIND_BIT(kind);
		prober_add(p, name, answer, "made and closed");
		return;
	}
	prober_add(p, name, answer, "%s", why);
	p->probe->no_kind[kind] = format("%s", why);
	if (!p->probe->no_kind[kind])
		p->error = -ENOMEM;
}

static void try_kind(struct prober *p, enum soak_kind kind, const char *name)
{
	int r = probe_map_storage(kind) ?: probe_map_array_of_storage(kind);
	char why[160];

	if (r == -EINVAL)
		snprintf(why, sizeof(why), "this kernel knows no such maps");
	else
		snprintf(why, sizeof(why), "such maps cannot be made: %s%s", strerror(-r),
			 refusal_hint(p, r));
	add_kind(p, kind, name, answer_of(r), why);
}

/*
 * A kernel that knows inode storage, but was booted without bpf among its LSMs, has no room for it
 * in its inodes. Recent ones refuse the map (inode_storage_map_alloc(),
 * kernel/bpf/bpf_inode_storage.c); older ones would write to what is another LSM's.
 */
static void ask_kinds(struct prober *p)
{
	p->group = "storage of other owners";
	try_kind(p, SOAK_CGROUP, "cgroup storage");
	if (p->lsm == PROBE_YES)
		try_kind(p, SOAK_INODE, "inode storage");
	else
		add_kind(p, SOAK_INODE, "inode storage", p->lsm,
			 p->lsm == PROBE_NO
				 ? "\"bpf\" is not among the LSMs: boot with it in lsm="
				 : "it cannot be told whether \"bpf\" is among the LSMs");
}

static void add_hook(struct prober *p, const char *name, int error, const char *why)
{
	if (error)
		prober_add(p, name, answer_of(error), "%s%s", why ? why : strerror(-error),
			   refusal_hint(p, error));
	else
		prober_add(p, name, PROBE_YES, "attached and detached");
}

static void ask_lsm(struct prober *p)
{
	_cleanup_free_ char *why = NULL;
	bool ran = false;
	int r;

	r = probe_attach_lsm_socket(p->btf, &ran, &why);
	if (r < 0) {
		add_hook(p, "lsm/socket_post_create", r, why);
		return;
	}
	/* The list of LSMs may be unreadable; a program that ran is proof. */
	p->probe->lsm_bpf = ran;
	p->lsm = prober_answer(ran);
	if (ran)
		prober_add(p, "lsm/socket_post_create", PROBE_YES,
			   "attached, ran for a new socket, detached");
	else
		prober_add(p, "lsm/socket_post_create", PROBE_NO,
			   "attaches, but does not run for a new socket: boot with \"bpf\" in lsm= "
			   "to have it; sockets can be filled from sock_init_data meanwhile");
}

static void ask_tracing(struct prober *p)
{
	_cleanup_free_ char *task_why = NULL, *socket_why = NULL;
	int r;

	r = probe_attach_tracepoint(p->btf, "task_newtask", &task_why);
	p->facts.tracing_error = r;
	add_hook(p, "tp_btf/task_newtask", r, task_why);
	r = probe_attach_fexit(p->btf, "sock_init_data", &socket_why);
	add_hook(p, "fexit/sock_init_data", r, socket_why);
}

static void ask_hooks(struct prober *p)
{
	p->group = "hooks";
	if (!p->btf) {
		prober_add(p, "lsm/socket_post_create", PROBE_UNKNOWN, "no BTF");
		prober_add(p, "tp_btf/task_newtask", PROBE_UNKNOWN, "no BTF");
		prober_add(p, "fexit/sock_init_data", PROBE_UNKNOWN, "no BTF");
		return;
	}
	ask_lsm(p);
	ask_tracing(p);
}

void prober_bpf(struct prober *p)
{
	ask_maps(p);
	ask_hooks(p);
	ask_kinds(p);
}

static enum probe_answer out_of_line(const struct prober *p, const struct symbol *symbol)
{
	if (symbol->listed || (p->btf && probe_btf_has_function(p->btf, symbol->name)))
		return PROBE_YES;
	if (p->kallsyms_error)
		return p->btf ? PROBE_NO : PROBE_UNKNOWN;
	return PROBE_NO;
}

static void add_missing_function(struct prober *p, const struct symbol *symbol)
{
	if (symbol->variant[0])
		prober_add(p, symbol->name, PROBE_NO,
			   "stands out of line only as %s, which BTF does not describe",
			   symbol->variant);
	else
		prober_add(p, symbol->name, PROBE_NO, "not in this kernel, or inlined everywhere");
}

/* What ftrace knows explains a refusal. */
static const char *trace_hint(const struct prober *p, const struct symbol *symbol)
{
	if (p->traceable_error)
		return "";
	return symbol->traceable ? "" : "; ftrace does not list it (notrace)";
}

static void ask_function(struct prober *p, int i)
{
	const struct symbol *symbol = &p->symbols[i];
	_cleanup_free_ char *why = NULL;
	int r;

	p->facts.present[i] = out_of_line(p, symbol);
	p->facts.attachable[i] = p->facts.present[i];
	if (p->facts.present[i] == PROBE_NO) {
		add_missing_function(p, symbol);
		return;
	}
	p->facts.attachable[i] = PROBE_UNKNOWN;
	if (!p->btf) {
		prober_add(p, symbol->name, PROBE_UNKNOWN,
			   symbol->listed ? "out of line; no BTF to attach with" : "no BTF");
		return;
	}
	r = probe_attach_fentry(p->btf, symbol->name, &why);
	p->facts.attachable[i] = answer_of(r);
	if (!r)
		prober_add(p, symbol->name, PROBE_YES, "out of line, attached and detached");
	else
		prober_add(p, symbol->name, p->facts.attachable[i], "out of line; %s%s%s",
			   why ? why : strerror(-r), refusal_hint(p, r), trace_hint(p, symbol));
}

void prober_functions(struct prober *p)
{
	p->group = "functions that injection needs";
	for (int i = 0; i < PROBE_FUNCTION_NR; i++) {
		if (!probe_functions[i].required)
			p->group = "functions that sharpen the ledger";
		ask_function(p, i);
	}
	p->probe->nofail = p->facts.attachable[0] == PROBE_YES;
}
