// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads, attaches and maps the BPF object: see programs.h. Which programs exist is decided by
 * asking the kernel's BTF for the function, whether they attach by attaching them.
 */
#include "programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "log.h"
#include "map_ids.h"
#include "soak.skel.h"
#include "util.h"

#define LINKS_MAX 96

/* BPF_MAP_TYPE_CGRP_STORAGE, newer than the headers that we build with (6.2). */
#define MAP_TYPE_CGRP_STORAGE 32

/*
 * Both copies are skipped at once when two tasks were preempted in them on one CPU: 13 times in 5
 * million frees in an emulated guest that shared its cores with another; 11 in 640,000 with duels,
 * which keep a dozen threads more at it. Each was proven a free by a rebirth. They came in bursts,
 * since the two are away for a turn of all the others: up to 194 frees and 205 births in a run of
 * some seconds.
 */
#define BIRTHS_PER_BURST      300
#define FREES_PER_BURST	      300 /* with as many threads more */
#define FREES_PER_BLIND	      200000
#define FREES_PER_BLIND_DUELS 10000
#define BIRTHS_PER_BLIND      1000 /* a birth that was not seen proves nothing wrong either */
/* Of a storage that is emptied and freed by others before the fexit of its birth has come. */
#define BIRTHS_PER_RACE 100000

#define PAIR_KVFREE	    1
#define PAIR_BIRTH	    11 /* those from here on are not of frees */
#define PAIR_FIELDS	    12
#define PAIR_STORAGE_BIRTH  13
#define PAIR_MAP_FREE_EXIT  14
#define PAIR_MAP_FREE_ENTER 15

struct part_program {
	const char *name;
	enum program_part part;
	bool required;
	unsigned char pair; /* copies of one event share a number, 0: no copy */
};

/*
 * Attach order is the order here, and detach order its reverse. First, and so last, the function
 * that half the kernel calls, bpf's own deferred work included: see calm_down(). A part's required
 * programs are those without which it would judge or act wrongly; frees are covered by whichever of
 * the optional ones this kernel has, and the positive control at start finds out whether that is
 * enough.
 */
static const struct part_program part_programs[] = {
	{ "kvfree_a", PART_LEDGER, false, PAIR_KVFREE },
	{ "kvfree_b", PART_LEDGER, false, PAIR_KVFREE },
	{ "selem_alloc_a", PART_LEDGER, true, PAIR_BIRTH },
	{ "selem_alloc_b", PART_LEDGER, true, PAIR_BIRTH },
	{ "storage_alloc_a", PART_LEDGER, true, PAIR_STORAGE_BIRTH },
	{ "storage_alloc_b", PART_LEDGER, true, PAIR_STORAGE_BIRTH },
	{ "selem_trace_a", PART_LEDGER, false, 2 },
	{ "selem_trace_b", PART_LEDGER, false, 2 },
	{ "selem_rcu_a", PART_LEDGER, false, 3 },
	{ "selem_rcu_b", PART_LEDGER, false, 3 },
	{ "storage_trace_a", PART_LEDGER, false, 4 },
	{ "storage_trace_b", PART_LEDGER, false, 4 },
	{ "storage_rcu_a", PART_LEDGER, false, 5 },
	{ "storage_rcu_b", PART_LEDGER, false, 5 },
	{ "selem_trace2_a", PART_LEDGER, false, 6 },
	{ "selem_trace2_b", PART_LEDGER, false, 6 },
	{ "storage_trace2_a", PART_LEDGER, false, 7 },
	{ "storage_trace2_b", PART_LEDGER, false, 7 },
	{ "raw_free_a", PART_LEDGER, false, 8 },
	{ "raw_free_b", PART_LEDGER, false, 8 },
	{ "selem_call_a", PART_LEDGER, false, 9 },
	{ "selem_call_b", PART_LEDGER, false, 9 },
	{ "storage_call_a", PART_LEDGER, false, 10 },
	{ "storage_call_b", PART_LEDGER, false, 10 },
	{ "nofail_enter_a", PART_LEDGER, false, 0 },
	{ "nofail_enter_b", PART_LEDGER, false, 0 },
	{ "nofail_exit_a", PART_LEDGER, false, 0 },
	{ "nofail_exit_b", PART_LEDGER, false, 0 },
	{ "destroy_enter", PART_LEDGER, false, 0 },
	{ "destroy_exit_a", PART_LEDGER, false, 0 },
	{ "destroy_exit_b", PART_LEDGER, false, 0 },
	{ "map_free_enter_a", PART_LEDGER, true, PAIR_MAP_FREE_ENTER },
	{ "map_free_enter_b", PART_LEDGER, true, PAIR_MAP_FREE_ENTER },
	{ "map_free_exit_a", PART_LEDGER, true, PAIR_MAP_FREE_EXIT },
	{ "map_free_exit_b", PART_LEDGER, true, PAIR_MAP_FREE_EXIT },
	{ "map_free_deferred", PART_LEDGER, false, 0 },
	{ "work_end", PART_LEDGER, false, 0 },
	{ "sk_storage_free_exit", PART_LEDGER, false, 0 },
	{ "fields_a", PART_LEDGER, false, PAIR_FIELDS },
	{ "fields_b", PART_LEDGER, false, PAIR_FIELDS },
	{ "fields_trace_exit", PART_LEDGER, false, 0 },
	{ "identity_sk", PART_LEDGER, false, 0 },
	{ "identity_task", PART_LEDGER, false, 0 },
	{ "identity_cgroup", PART_LEDGER, false, 0 },
	{ "identity_inode", PART_LEDGER, false, 0 },
	{ "uncharge_exit", PART_LEDGER, false, 0 },
	{ "update_exit", PART_LEDGER, false, 0 },
	{ "unlink_exit", PART_LEDGER, false, 0 },
	{ "clone_exit", PART_LEDGER, false, 0 },
	{ "fill_sk_lsm", PART_FILL, false, 0 },
	{ "fill_sk_fexit", PART_FILL, false, 0 },
	{ "fill_task", PART_FILL, true, 0 },
	{ "touch_sk", PART_FILL, false, 0 },
	{ "touch_task", PART_FILL, false, 0 },
	{ "fill_cgroup", PART_FILL, false, 0 },
	{ "fill_inode", PART_FILL, false, 0 },
	{ "touch_inode", PART_FILL, false, 0 },
	{ "fill_sk_fields", PART_FILL, false, 0 },
	{ "fill_task_fields", PART_FILL, false, 0 },
	{ "touch_sk_fields", PART_FILL, false, 0 },
	{ "touch_task_fields", PART_FILL, false, 0 },
	{ "fill_cgroup_fields", PART_FILL, false, 0 },
	{ "fill_inode_fields", PART_FILL, false, 0 },
	{ "touch_inode_fields", PART_FILL, false, 0 },
	{ "order_sk", PART_ORDER, false, 0 },
	{ "order_task", PART_ORDER, false, 0 },
	{ "order_packet", PART_ORDER, false, 0 },
	{ "order_tick", PART_ORDER, false, 0 }, /* attached by those who have an event */
	{ "refuse_task", PART_REFUSE, false, 0 },
	{ "refuse_socket", PART_REFUSE, false, 0 }, /* after fill_sk_lsm, which comes first then */
	{ "stall_meet", PART_STALL, true, 0 },
	{ "stall_storage", PART_STALL, true, 0 },
	{ "stall_pinned", PART_STALL, false, 0 },
	{ "stall_bucket", PART_STALL, true, 0 },
	{ "rendezvous_visit", PART_RENDEZVOUS, false, 0 },
	{ "rendezvous_delete", PART_RENDEZVOUS, false, 0 },
	{ "rendezvous_clone", PART_RENDEZVOUS, false, 0 },
	{ "rendezvous_uncharge", PART_RENDEZVOUS, false, 0 },
	{ "rendezvous_destroy", PART_RENDEZVOUS, false, 0 },
	{ "walk_small", PART_WALK, false, 0 },
	{ "walk_medium", PART_WALK, false, 0 },
	{ "walk_large", PART_WALK, false, 0 },
	{ "walk_fields", PART_WALK, false, 0 },
	{ "walk_ref", PART_WALK, false, 0 },
	{ "walk_task", PART_WALK, false, 0 },
	{ "walk_task_file", PART_WALK, false, 0 },
};

#define PAIRS_MAX 16

/* Programs and maps of the special fields. */
static const char *const fields_programs[] = {
	"fill_sk_fields",     "fill_task_fields",  "touch_sk_fields",	 "touch_task_fields",
	"fill_cgroup_fields", "fill_inode_fields", "touch_inode_fields", "fields_a",
	"fields_b",	      "fields_trace_exit",
};

/* Programs of which the kind of owner is not in every kernel. */
static const struct {
	const char *name;
	enum soak_kind kind;
} kind_programs[] = {
	{ "identity_cgroup", SOAK_CGROUP },    { "fill_cgroup", SOAK_CGROUP },
	{ "fill_cgroup_fields", SOAK_CGROUP }, { "identity_inode", SOAK_INODE },
	{ "fill_inode", SOAK_INODE },	       { "touch_inode", SOAK_INODE },
	{ "fill_inode_fields", SOAK_INODE },   { "touch_inode_fields", SOAK_INODE },
};

static const char *const order_maps[] = { "order_sks", "order_tasks" };

static const char *const value_types[SOAK_SHAPES] = { "value_small", "value_medium", "value_large",
						      "value_fields", "value_ref" };
static const size_t value_sizes[SOAK_SHAPES] = { SOAK_SIZE_SMALL, SOAK_SIZE_MEDIUM, SOAK_SIZE_LARGE,
						 SOAK_SIZE_FIELDS, SOAK_SIZE_REF };

/* A pattern; the array of such maps has an "s" behind its name. */
static const char *const fill_maps[SOAK_KIND_NR][SOAK_SHAPES] = {
	[SOAK_SK] = { "sk_small", "sk_medium", "sk_large", "sk_field", "sk_ref" },
	[SOAK_TASK] = { "task_small", "task_medium", "task_large", "task_field", "task_ref" },
	[SOAK_CGROUP] = { "cgroup_small", "cgroup_medium", "cgroup_large", "cgroup_field",
			  "cgroup_ref" },
	[SOAK_INODE] = { "inode_small", "inode_medium", "inode_large", "inode_field", "inode_ref" },
};

struct programs {
	struct soak_bpf *skel;
	struct bpf_link *links[LINKS_MAX];
	const struct part_program *linked[LINKS_MAX];
	int prog_fds[LINKS_MAX];
	size_t n_links;
	void *slots;
	void *storages;
	void *faults;
	size_t slots_bytes, storages_bytes, faults_bytes;
	size_t n_sets, n_storage_sets;
	size_t cpus;
	bool ledger;
	bool meets; /* with appointments */
	unsigned int extras;
	unsigned int kinds;
	int key_type;
	int value_type[SOAK_SHAPES];
};

/* What a kernel may refuse, and what then is done without. */
#define EXTRA_FIELDS (1u << 0) /* values with special fields */
#define EXTRA_FILLS  (1u << 1) /* programs that fill cgroups and inodes: bpf(2) does so as well */
#define EXTRA_ORDERS (1u << 2) /* programs that act for scenarios */
#define EXTRA_WALKS  (1u << 3) /* what iterators of scenarios run */
#define EXTRA_NR     4
#define EXTRA_ALL    ((1u << EXTRA_NR) - 1)

/* While these are tried a refusal is an answer, not a complaint. */
static bool trying;

/* A refused program comes with the verifier's log, many lines in one message. */
static int libbpf_log(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;
	char *line, *rest;

	if (level == LIBBPF_DEBUG || vasprintf(&text, fmt, ap) < 0)
		return 0;
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			log_at(level == LIBBPF_WARN && !trying ? LOG_WARNING : LOG_DEBUG, "%s",
			       line);
	return 0;
}

/* "fentry/kvfree_call_rcu" -> is there such a function in the kernel's BTF? */
static bool target_exists(const struct bpf_program *prog, const struct btf *vmlinux)
{
	const char *section = bpf_program__section_name(prog);
	const char *target = strchr(section, '/');
	char iterator[64];

	if (!strncmp(section, "iter/", 5)) {
		snprintf(iterator, sizeof(iterator), "bpf_iter_%s", target + 1);
		return btf__find_by_name_kind(vmlinux, iterator, BTF_KIND_FUNC) > 0;
	}
	if (strncmp(section, "fentry/", 7) && strncmp(section, "fexit/", 6))
		return true;
	return btf__find_by_name_kind(vmlinux, target + 1, BTF_KIND_FUNC) > 0;
}

static bool is_wanted(const struct part_program *entry, const struct programs_options *options)
{
	if (entry->part == PART_LEDGER)
		return options->ledger;
	if (entry->part == PART_STALL)
		return options->stall;
	if (entry->part == PART_RENDEZVOUS)
		return options->rendezvous;
	if (entry->part == PART_REFUSE)
		return options->lsm;
	if (!strcmp(entry->name, "fill_sk_lsm") || !strncmp(entry->name, "touch_", 6))
		return options->lsm;
	if (!strcmp(entry->name, "fill_sk_fexit"))
		return !options->lsm;
	return true;
}

static bool is_of_fields(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields_programs); i++)
		if (!strcmp(name, fields_programs[i]))
			return true;
	return false;
}

static bool kernel_has(const struct btf *vmlinux, const char *function)
{
	return btf__find_by_name_kind(vmlinux, function, BTF_KIND_FUNC) > 0;
}

/* What the values refer to, and a lockless unlink, without which the ledger follows no fields. */
static void choose_fields(struct programs *p, const struct btf *vmlinux)
{
	if (!kernel_has(vmlinux, "bpf_cpumask_create") ||
	    !kernel_has(vmlinux, "bpf_selem_unlink_nofail"))
		p->extras &= ~EXTRA_FIELDS;
}

static bool is_of_kinds(const struct programs *p, const struct part_program *entry)
{
	for (size_t i = 0; i < ARRAY_SIZE(kind_programs); i++) {
		if (strcmp(entry->name, kind_programs[i].name))
			continue;
		return programs_has_kind(p, kind_programs[i].kind) &&
		       (entry->part != PART_FILL || (p->extras & EXTRA_FILLS));
	}
	return true;
}

static struct bpf_map *find_map(const struct programs *p, const char *pattern, const char *suffix)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%s", pattern, suffix);
	return bpf_object__find_map_by_name(p->skel->obj, name);
}

/* The arrays of maps, and their patterns, which libbpf makes as well. */
static void choose_maps(struct programs *p)
{
	for (unsigned int kind = 0; kind < SOAK_KIND_NR; kind++)
		for (unsigned int shape = 0; shape < SOAK_SHAPES; shape++) {
			bool create = programs_has_kind(p, kind) && shape < programs_shapes(p);
			const char *pattern = fill_maps[kind][shape];

			bpf_map__set_autocreate(find_map(p, pattern, ""), create);
			bpf_map__set_autocreate(find_map(p, pattern, "s"), create);
		}
	for (size_t i = 0; i < ARRAY_SIZE(order_maps); i++)
		bpf_map__set_autocreate(find_map(p, order_maps[i], ""), p->extras & EXTRA_ORDERS);
}

/*
 * The kernel knows a referenced kptr by a type tag, which clang does not write before release 15:
 * put it between the pointer and what it points to. New types go behind all others, so nothing
 * that is known by its number changes.
 */
static int tag_reference(struct btf *btf)
{
	int32_t pointee = btf__find_by_name_kind(btf, "bpf_cpumask", BTF_KIND_STRUCT);
	int tag, pointer;

	if (pointee < 0)
		return -ENOENT;
	if (btf__find_by_name_kind(btf, "kptr", BTF_KIND_TYPE_TAG) > 0)
		return 0;
	tag = btf__add_type_tag(btf, "kptr", pointee);
	pointer = tag < 0 ? tag : btf__add_ptr(btf, tag);
	if (pointer < 0)
		return pointer;
	for (unsigned int shape = SOAK_SHAPE_FIELDS; shape < SOAK_SHAPES; shape++) {
		int32_t value = btf__find_by_name_kind(btf, value_types[shape], BTF_KIND_STRUCT);
		const struct btf_type *type =
			value > 0 ? btf__type_by_id(btf, (uint32_t)value) : NULL;

		for (unsigned int i = 0; type && i < btf_vlen(type); i++)
			if (btf_member_bit_offset(type, i) == SOAK_FIELDS_REF * 8)
				btf_members(type)[i].type = (uint32_t)pointer;
	}
	return 0;
}

static int choose_programs(struct programs *p, const struct programs_options *options)
{
	struct btf *vmlinux = btf__load_vmlinux_btf();
	bool chained;

	if (!vmlinux) {
		log_error("cannot read the kernel's BTF (/sys/kernel/btf/vmlinux): %s",
			  strerror(errno));
		return -errno;
	}
	/* The lockless unlink came with a single way to free; what came before had several. */
	chained = btf__find_by_name_kind(vmlinux, "bpf_selem_free_rcu", BTF_KIND_FUNC) > 0 ||
		  btf__find_by_name_kind(vmlinux, "__bpf_selem_free_trace_rcu", BTF_KIND_FUNC) > 0;
	p->skel->rodata->frees_are_chained = chained;
	choose_fields(p, vmlinux);
	choose_maps(p);
	for (size_t i = 0; i < ARRAY_SIZE(part_programs); i++) {
		const struct part_program *entry = &part_programs[i];
		struct bpf_program *prog;
		bool load;

		prog = bpf_object__find_program_by_name(p->skel->obj, entry->name);
		if (!prog)
			continue;
		load = is_wanted(entry, options) && target_exists(prog, vmlinux) &&
		       is_of_kinds(p, entry) &&
		       (entry->part != PART_WALK || (p->extras & EXTRA_WALKS)) &&
		       (entry->part != PART_ORDER || (p->extras & EXTRA_ORDERS)) &&
		       (programs_has_fields(p) || !is_of_fields(entry->name));
		/* Elsewhere these serve others, or are inlined here and there. */
		if (strstr(entry->name, "_call_") || strstr(entry->name, "raw_free"))
			load = load && chained;
		bpf_program__set_autoload(prog, load);
	}
	bpf_program__set_autoload(p->skel->progs.rendezvous_iterate, options->rendezvous);
	btf__free(vmlinux);
	return 0;
}

static unsigned int log2_of(uint64_t n)
{
	return 63 - (unsigned int)__builtin_clzll(n);
}

static int size_tables(struct programs *p, const struct programs_options *options)
{
	int r;

	p->n_sets = options->slots / SOAK_WAYS;
	p->n_storage_sets = MAX(p->n_sets / 4, 8u);
	p->skel->rodata->slot_shift = 64 - log2_of(p->n_sets);
	p->skel->rodata->storage_shift = 64 - log2_of(p->n_storage_sets);
	r = bpf_map__set_max_entries(p->skel->maps.slots, (uint32_t)p->n_sets);
	if (!r)
		r = bpf_map__set_max_entries(p->skel->maps.storages, (uint32_t)p->n_storage_sets);
	return r;
}

static int map_table(const struct bpf_map *map, size_t bytes, void **ret)
{
	void *memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		return -errno;
	/* Children are churned by the thousand and have no use for it. */
	madvise(memory, bytes, MADV_DONTFORK);
	*ret = memory;
	return 0;
}

static int map_tables(struct programs *p)
{
	int r;

	p->slots_bytes = p->n_sets * sizeof(struct soak_set);
	p->storages_bytes = p->n_storage_sets * sizeof(struct soak_storage_set);
	p->faults_bytes = SOAK_FAULTS * sizeof(struct soak_fault);
	r = map_table(p->skel->maps.slots, p->slots_bytes, &p->slots);
	if (!r)
		r = map_table(p->skel->maps.storages, p->storages_bytes, &p->storages);
	if (!r)
		r = map_table(p->skel->maps.faults, p->faults_bytes, &p->faults);
	if (r)
		log_error("cannot map the ledger's tables: %s", strerror(-r));
	return r;
}

static int find_types(struct programs *p)
{
	const struct btf *btf = bpf_object__btf(p->skel->obj);

	p->key_type = btf__find_by_name(btf, "int");
	for (unsigned int i = 0; i < programs_shapes(p); i++) {
		p->value_type[i] = btf__find_by_name_kind(btf, value_types[i], BTF_KIND_STRUCT);
		if (p->value_type[i] < 0)
			return p->value_type[i];
	}
	return MIN(p->key_type, 0);
}

/* The programs and the daemon are built together, and a stale object must not be believed. */
static int introduce(struct programs *p)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	if (p->skel->rodata->abi_version != SOAK_ABI_VERSION)
		return -EPROTO;
	if (bpf_prog_test_run_opts(bpf_program__fd(p->skel->progs.introduce), &opts))
		return -errno;
	return p->skel->bss->control.tgid ? 0 : -ESRCH;
}

static int load(const struct programs_options *options, unsigned int extras, struct programs **ret)
{
	struct programs *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	libbpf_set_print(libbpf_log);
	r = libbpf_num_possible_cpus();
	if (r < 0)
		goto fail;
	p->cpus = MIN((size_t)r, ARRAY_SIZE(p->skel->bss->counters));
	p->skel = soak_bpf__open();
	if (!p->skel) {
		r = -errno;
		goto fail;
	}
	p->ledger = options->ledger;
	p->meets = options->rendezvous;
	p->extras = extras;
	p->kinds = options->kinds;
	r = choose_programs(p, options);
	if (!r && programs_has_fields(p))
		r = tag_reference(bpf_object__btf(p->skel->obj));
	if (!r)
		r = size_tables(p, options);
	if (r)
		goto fail;
	trying = p->extras;
	r = soak_bpf__load(p->skel);
	trying = false;
	if (r && p->extras) {
		programs_free(p);
		return -EOPNOTSUPP;
	}
	if (r) {
		log_error("the kernel refused the BPF programs: %s (see above; --verbose shows "
			  "the verifier's log)",
			  strerror(-r));
		goto fail;
	}
	r = introduce(p);
	if (!r)
		r = map_tables(p);
	if (!r)
		r = find_types(p);
	if (r)
		goto fail;
	*ret = p;
	return 0;
fail:
	programs_free(p);
	return r;
}

/* What this kernel takes is found out by trying: first all, then without one, without two. */
int programs_load(const struct programs_options *options, struct programs **ret)
{
	unsigned int all = EXTRA_ALL;
	int r = -EOPNOTSUPP;

	if (!(options->kinds & ~(SOAK_KIND_BIT(SOAK_SK) | SOAK_KIND_BIT(SOAK_TASK))))
		all &= ~EXTRA_FILLS;
	for (unsigned int i = 0; i <= EXTRA_ALL * EXTRA_NR && r == -EOPNOTSUPP; i++) {
		unsigned int without = i % (EXTRA_ALL + 1), n = i / (EXTRA_ALL + 1);

		if ((without & ~all) || (unsigned int)__builtin_popcount(without) != n)
			continue;
		r = load(options, all & ~without, ret);
		if (r != -EOPNOTSUPP)
			break;
		log_info("this kernel refuses programs that the run can do without (--verbose "
			 "shows why)");
	}
	return r;
}

bool programs_has_fields(const struct programs *p)
{
	return p->extras & EXTRA_FIELDS;
}

unsigned int programs_shapes(const struct programs *p)
{
	return programs_has_fields(p) ? SOAK_SHAPES : SOAK_SHAPE_FIELDS;
}

unsigned int programs_kinds(const struct programs *p)
{
	return p->kinds;
}

bool programs_has_kind(const struct programs *p, enum soak_kind kind)
{
	return p->kinds & SOAK_KIND_BIT(kind);
}

static int attach_one(struct programs *p, const struct part_program *entry)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(p->skel->obj, entry->name);
	struct bpf_link *link;

	if (!prog || bpf_program__fd(prog) < 0)
		return -ENOENT;
	if (bpf_program__type(prog) == BPF_PROG_TYPE_PERF_EVENT)
		return 0;
	if (p->n_links == LINKS_MAX)
		return -E2BIG;
	link = bpf_program__attach(prog);
	if (!link)
		return -errno;
	p->linked[p->n_links] = entry;
	p->prog_fds[p->n_links] = bpf_program__fd(prog);
	p->links[p->n_links++] = link;
	return 0;
}

/*
 * Patching a function while another CPU runs through it is what the kernel knows how to do, and
 * what emulators get wrong at times ("Oops: int3"). Each attach and detach leaves work behind that
 * frees memory through kvfree_call_rcu(): let it be done before that very function is patched.
 */
static void calm_down(const struct part_program *entry)
{
	if (entry->pair == PAIR_KVFREE)
		sleep_ns(700 * NSEC_PER_MSEC);
}

int programs_attach(struct programs *p, enum program_part part)
{
	for (size_t i = 0; i < ARRAY_SIZE(part_programs); i++) {
		const struct part_program *entry = &part_programs[i];
		int r;

		if (entry->part != part)
			continue;
		r = attach_one(p, entry);
		if (!r) {
			calm_down(entry);
			continue;
		}
		if (entry->required) {
			log_error("BPF program %s did not attach: %s", entry->name, strerror(-r));
			return r;
		}
		log_debug("BPF program %s left out: %s", entry->name, strerror(-r));
	}
	return 0;
}

void programs_detach(struct programs *p)
{
	__atomic_store_n(&p->skel->bss->control.ready, 0, __ATOMIC_SEQ_CST);
	while (p->n_links) {
		calm_down(p->linked[p->n_links - 1]);
		bpf_link__destroy(p->links[--p->n_links]);
	}
}

static void unmap_table(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}

void programs_free(struct programs *p)
{
	if (!p)
		return;
	if (p->skel && p->n_links)
		programs_detach(p);
	unmap_table(p->faults, p->faults_bytes);
	unmap_table(p->storages, p->storages_bytes);
	unmap_table(p->slots, p->slots_bytes);
	soak_bpf__destroy(p->skel);
	free(p);
}

struct soak_control *programs_control(struct programs *p)
{
	return &p->skel->bss->control;
}

struct soak_plan *programs_plans(struct programs *p)
{
	return p->skel->bss->plans;
}

struct soak_meeting *programs_meetings(struct programs *p)
{
	return p->skel->bss->meetings;
}

int programs_iterate(const struct programs *p, int map)
{
	union bpf_iter_link_info info = { .map.map_fd = (__u32)map };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link = bpf_program__attach_iter(p->skel->progs.rendezvous_iterate, &opts);
	int fd;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		fd = -errno;
	bpf_link__destroy(link);
	return fd;
}

const struct soak_map_free *programs_map_frees(const struct programs *p)
{
	return p->skel->bss->map_frees;
}

const struct soak_set *programs_slots(const struct programs *p, size_t *ret_sets)
{
	*ret_sets = p->n_sets;
	return p->slots;
}

const struct soak_storage_set *programs_storages(const struct programs *p, size_t *ret_sets)
{
	*ret_sets = p->n_storage_sets;
	return p->storages;
}

const struct soak_fault *programs_faults(const struct programs *p, size_t *ret_n)
{
	uint32_t n = __atomic_load_n(&p->skel->bss->n_faults, __ATOMIC_ACQUIRE);

	*ret_n = MIN(n, SOAK_FAULTS);
	return p->faults;
}

const struct soak_suspect *programs_suspects(const struct programs *p, unsigned int suspicion,
					     size_t *ret_n)
{
	uint32_t n = __atomic_load_n(&p->skel->bss->n_suspects[suspicion], __ATOMIC_ACQUIRE);

	*ret_n = MIN(n, SOAK_SUSPECTS);
	return p->skel->bss->suspects[suspicion];
}

/* Counters are 64-bit words throughout, except that the three maxima at the end do not add up. */
#define COUNTER_WORDS (offsetof(struct soak_counters, visit_max_ns) / 8 + 1)
#define COUNTER_SUMS  (offsetof(struct soak_counters, destroy_max_ns) / 8)

void programs_counters(const struct programs *p, struct soak_counters *ret)
{
	unsigned long long *sum = (unsigned long long *)ret;

	memset(ret, 0, sizeof(*ret));
	for (size_t cpu = 0; cpu < p->cpus; cpu++) {
		const unsigned long long *words = (void *)&p->skel->bss->counters[cpu];

		for (size_t i = 0; i < COUNTER_WORDS; i++) {
			unsigned long long word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);

			sum[i] = i < COUNTER_SUMS ? sum[i] + word : MAX(sum[i], word);
		}
	}
}

bool programs_sees_map_frees(const struct programs *p)
{
	return p->ledger && __atomic_load_n(&p->skel->bss->control.ready, __ATOMIC_RELAXED);
}

uint64_t programs_map_frees_done(const struct programs *p)
{
	uint64_t done = 0;

	for (size_t cpu = 0; cpu < p->cpus; cpu++)
		done += __atomic_load_n(&p->skel->bss->counters[cpu].map_frees_done,
					__ATOMIC_RELAXED);
	return done;
}

/* How often each program was skipped; of a pair's two counts the smaller one. */
static uint64_t read_misses(const struct programs *p, uint64_t least[PAIRS_MAX])
{
	bool seen[PAIRS_MAX] = { 0 };
	uint64_t total = 0;

	for (size_t i = 0; i < p->n_links; i++) {
		unsigned int pair = p->linked[i]->pair;
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);

		if (bpf_obj_get_info_by_fd(p->prog_fds[i], &info, &len))
			continue;
		total += info.recursion_misses;
		least[pair] = seen[pair] ? MIN(least[pair], info.recursion_misses)
					 : info.recursion_misses;
		seen[pair] = true;
	}
	return total;
}

/* Duels are there whenever the module's records are. */
static bool has_duels(const struct programs *p)
{
	return __atomic_load_n(&p->skel->bss->control.frames, __ATOMIC_RELAXED);
}

void programs_misses(const struct programs *p, uint64_t frees, uint64_t births,
		     struct programs_misses *ret)
{
	uint64_t least[PAIRS_MAX] = { 0 }, most = 0, usual;

	ret->total = read_misses(p, least);
	for (unsigned int pair = PAIR_KVFREE; pair < PAIR_BIRTH; pair++)
		most += least[pair];
	usual = frees / (has_duels(p) ? FREES_PER_BLIND_DUELS : FREES_PER_BLIND);
	ret->fields_blind = MIN(least[PAIR_FIELDS], usual);
	/* Those who keep appointments are as many as duellists. */
	if (has_duels(p) || p->meets)
		usual = MAX(FREES_PER_BURST, usual);
	ret->frees_blind = MIN(most, usual);
	ret->births_skipped = least[PAIR_BIRTH];
	ret->births_blind =
		MIN(ret->births_skipped, MAX(BIRTHS_PER_BURST, births / BIRTHS_PER_BLIND));
	ret->storages_blind = MIN(least[PAIR_STORAGE_BIRTH], births / BIRTHS_PER_BLIND) +
			      births / BIRTHS_PER_RACE;
	ret->map_frees_blind = least[PAIR_MAP_FREE_ENTER] + least[PAIR_MAP_FREE_EXIT];
}

size_t programs_mapped_bytes(const struct programs *p)
{
	return p->slots_bytes + p->storages_bytes + p->faults_bytes + sizeof(*p->skel->bss);
}

size_t programs_value_size(unsigned int shape)
{
	return value_sizes[shape];
}

unsigned int programs_map_type(enum soak_kind kind)
{
	static const unsigned int types[SOAK_KIND_NR] = {
		[SOAK_SK] = BPF_MAP_TYPE_SK_STORAGE,
		[SOAK_TASK] = BPF_MAP_TYPE_TASK_STORAGE,
		[SOAK_CGROUP] = MAP_TYPE_CGRP_STORAGE,
		[SOAK_INODE] = BPF_MAP_TYPE_INODE_STORAGE,
	};

	return types[kind];
}

bool programs_is_cloned(enum soak_kind kind, unsigned int shape)
{
	return kind == SOAK_SK && (shape == 1 || shape >= SOAK_SHAPE_FIELDS);
}

int programs_new_map(const struct programs *p, enum soak_kind kind, unsigned int shape)
{
	static unsigned int serial;
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	char name[16];
	int fd;

	opts.map_flags = BPF_F_NO_PREALLOC;
	if (programs_is_cloned(kind, shape))
		opts.map_flags |= BPF_F_CLONE;
	opts.btf_fd = (uint32_t)bpf_object__btf_fd(p->skel->obj);
	opts.btf_key_type_id = (uint32_t)p->key_type;
	opts.btf_value_type_id = (uint32_t)p->value_type[shape];
	snprintf(name, sizeof(name), SOAK_MAP_PREFIX "%x",
		 __atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED) & 0xffffff);
	fd = bpf_map_create(programs_map_type(kind), name, sizeof(int),
			    (uint32_t)value_sizes[shape], 0, &opts);
	return fd < 0 ? -errno : fd;
}

int programs_set_fill(const struct programs *p, enum soak_kind kind, unsigned int shape,
		      unsigned int slot, int fd)
{
	int outer = bpf_map__fd(find_map(p, fill_maps[kind][shape], "s")), r;

	r = fd < 0 ? bpf_map_delete_elem(outer, &slot) : bpf_map_update_elem(outer, &slot, &fd, 0);
	return r < 0 ? -errno : 0;
}

struct soak_order *programs_order(const struct programs *p, unsigned int index)
{
	if (!(p->extras & EXTRA_ORDERS) || index >= SOAK_ORDERS)
		return NULL;
	return &p->skel->bss->orders[index];
}

void programs_add_orders(const struct programs *p, int orders, int bare)
{
	struct soak_control *control = &p->skel->bss->control;

	__atomic_fetch_add(&control->orders, (unsigned int)orders, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&control->bare, (unsigned int)bare, __ATOMIC_SEQ_CST);
}

int programs_set_order(const struct programs *p, enum soak_kind kind, unsigned int index,
		       unsigned int slot, int fd)
{
	const struct bpf_map *map =
		kind == SOAK_SK ? p->skel->maps.order_sks : p->skel->maps.order_tasks;
	unsigned int key = index * SOAK_ORDER_MAPS + slot;
	int outer = bpf_map__fd(map), r;

	r = fd < 0 ? bpf_map_delete_elem(outer, &key) : bpf_map_update_elem(outer, &key, &fd, 0);
	return r < 0 ? -errno : 0;
}

int programs_of_order(const struct programs *p, enum soak_by by, enum soak_kind kind)
{
	const struct bpf_program *prog = by == SOAK_BY_PACKET ? p->skel->progs.order_packet
					 : by == SOAK_BY_TICK ? p->skel->progs.order_tick
					 : kind == SOAK_SK    ? p->skel->progs.order_sk
							      : p->skel->progs.order_task;
	int fd = bpf_program__fd(prog);

	return fd < 0 ? -EOPNOTSUPP : fd;
}

/* A syscall program's context is copied back to where it came from. */
static int inspect(const struct bpf_program *program, void *args, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = (__u32)size);

	return bpf_prog_test_run_opts(bpf_program__fd(program), &opts) ? -errno : 0;
}

int programs_inspect(const struct programs *p, uint64_t selem, struct soak_inspect *ret)
{
	int r;

	*ret = (struct soak_inspect){ .selem = selem };
	r = inspect(p->skel->progs.inspect, ret, sizeof(*ret));
	if (r)
		return r;
	return ret->readable ? 0 : -EFAULT;
}

int programs_inspect_storage(const struct programs *p, uint64_t storage,
			     struct soak_inspect_storage *ret)
{
	int r;

	*ret = (struct soak_inspect_storage){ .storage = storage };
	r = inspect(p->skel->progs.inspect_storage, ret, sizeof(*ret));
	if (r)
		return r;
	return ret->readable ? 0 : -EFAULT;
}

bool programs_is_free(const struct programs *p, uint64_t address)
{
	struct soak_free_memory memory = { .address = address };

	return !inspect(p->skel->progs.look_whether_free, &memory, sizeof(memory)) && memory.free;
}

int programs_walk_program(const struct programs *p, enum walk_over over, unsigned int shape)
{
	const struct bpf_program *of_shape[SOAK_SHAPES] = {
		p->skel->progs.walk_small,  p->skel->progs.walk_medium, p->skel->progs.walk_large,
		p->skel->progs.walk_fields, p->skel->progs.walk_ref,
	};
	const struct bpf_program *program = over == WALK_STORAGE ? of_shape[shape]
					    : over == WALK_TASKS ? p->skel->progs.walk_task
								 : p->skel->progs.walk_task_file;
	int fd = bpf_program__fd(program);

	return fd < 0 ? -EOPNOTSUPP : fd;
}

struct soak_walk *programs_walk(const struct programs *p, unsigned int index)
{
	return index < SOAK_WALKS ? &p->skel->bss->walks[index] : NULL;
}

int programs_set_walk(const struct programs *p, enum soak_kind kind, unsigned int index, int fd)
{
	const struct bpf_map *map =
		kind == SOAK_SK ? p->skel->maps.walk_sks : p->skel->maps.walk_tasks;
	int outer = bpf_map__fd(map), r;

	r = fd < 0 ? bpf_map_delete_elem(outer, &index)
		   : bpf_map_update_elem(outer, &index, &fd, 0);
	return r < 0 ? -errno : 0;
}

int programs_held(const struct programs *p, struct soak_held *ret)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	memset(ret, 0, sizeof(*ret));
	opts.ctx_in = ret;
	opts.ctx_size_in = sizeof(*ret);
	if (bpf_prog_test_run_opts(bpf_program__fd(p->skel->progs.read_held), &opts))
		return -errno;
	return ret->seen ? 0 : -EOPNOTSUPP;
}

int programs_who(const struct programs *p, uint32_t *ret)
{
	struct soak_who who = { 0 };
	int r = inspect(p->skel->progs.who, &who, sizeof(who));

	if (!r)
		*ret = who.tid;
	return r;
}

int programs_enlister(const struct programs *p, enum soak_kind kind)
{
	const struct bpf_program *refuses =
		kind == SOAK_TASK ? p->skel->progs.refuse_task : p->skel->progs.refuse_socket;
	int fd = bpf_program__fd(p->skel->progs.enlist);

	return bpf_program__fd(refuses) < 0 || fd < 0 ? -EOPNOTSUPP : fd;
}

int programs_enlist(const struct programs *p, enum soak_kind kind)
{
	struct soak_enlisted enlisted = { 0 };
	int r = programs_enlister(p, kind);

	if (r < 0)
		return r;
	r = inspect(p->skel->progs.enlist, &enlisted, sizeof(enlisted));
	if (r)
		return r;
	return enlisted.slot < SOAK_REFUSALS ? (int)enlisted.slot : -EBUSY;
}

struct soak_refusal *programs_refusal(const struct programs *p, unsigned int slot)
{
	return &p->skel->bss->refusals[slot % SOAK_REFUSALS];
}

void programs_discharge(const struct programs *p, unsigned int slot)
{
	struct soak_refusal *refusal = programs_refusal(p, slot);

	__atomic_store_n(&refusal->left, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&refusal->tid, 0, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&p->skel->bss->control.refusals, 1, __ATOMIC_SEQ_CST);
}

void programs_note_own_map(const struct programs *p, struct map_ids *ids)
{
	map_ids_note_fd(ids, bpf_map__fd(p->skel->maps.slots));
}
