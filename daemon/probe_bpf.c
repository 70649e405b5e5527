// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds out by trying: see probe_bpf.h. Programs are raw instructions, so that nothing of the
 * daemon's own BPF object has to load here. Everything hangs on file descriptors that close on
 * return.
 */
#include "probe_bpf.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "programs.h"
#include "util.h"

#define LOG_SIZE	  4096
#define MAP_NAME	  "soak_probe"
#define SETTLE_TIMEOUT_NS (2 * NSEC_PER_SEC)
#define SETTLE_PAUSE_US	  5000

struct target {
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
	const char *prefix; /* of the name in BTF */
	unsigned int kind;
};

static const struct target fentry = {
	.type = BPF_PROG_TYPE_TRACING,
	.attach = BPF_TRACE_FENTRY,
	.prefix = "",
	.kind = BTF_KIND_FUNC,
};
static const struct target fexit = {
	.type = BPF_PROG_TYPE_TRACING,
	.attach = BPF_TRACE_FEXIT,
	.prefix = "",
	.kind = BTF_KIND_FUNC,
};
static const struct target tracepoint = {
	.type = BPF_PROG_TYPE_TRACING,
	.attach = BPF_TRACE_RAW_TP,
	.prefix = "btf_trace_",
	.kind = BTF_KIND_TYPEDEF,
};
static const struct target lsm = {
	.type = BPF_PROG_TYPE_LSM,
	.attach = BPF_LSM_MAC,
	.prefix = "bpf_lsm_",
	.kind = BTF_KIND_FUNC,
};

static const struct bpf_insn return_0[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
	{ .code = BPF_JMP | BPF_EXIT },
};

/* The process's own, so that two checks do not wait for each other. */
static void make_prog_name(char name[BPF_OBJ_NAME_LEN])
{
	snprintf(name, BPF_OBJ_NAME_LEN, "soakp_%u", (unsigned int)getpid());
}

static void btf_freep(struct btf **btf)
{
	btf__free(*btf);
}

int probe_btf_load(struct btf **ret)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return errno ? -errno : -ENOENT;
	*ret = btf;
	return 0;
}

void probe_btf_free(struct btf *btf)
{
	btf__free(btf);
}

bool probe_btf_has_variable(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_VAR) > 0;
}

bool probe_btf_has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

/* The verifier's first line is the reason; statistics follow it. */
static char *load_failure(int error, char *log)
{
	log[strcspn(log, "\n")] = '\0';
	if (log[0])
		return format("the verifier refuses: %s (%s)", log, strerror(error));
	return format("loading: %s", strerror(error));
}

/* Returns a descriptor or -errno. */
static int load(const struct target *target, int btf_id, const struct bpf_insn *insns, size_t n,
		char **ret_why)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = target->attach,
		    .attach_btf_id = (__u32)btf_id);
	_cleanup_free_ char *log = NULL;
	char prog_name[BPF_OBJ_NAME_LEN];
	int fd, error;

	make_prog_name(prog_name);
	fd = bpf_prog_load(target->type, prog_name, "GPL", insns, n, &opts);
	if (fd >= 0)
		return fd;
	log = calloc(1, LOG_SIZE);
	if (!log)
		return -ENOMEM;
	opts.log_buf = log;
	opts.log_size = LOG_SIZE;
	opts.log_level = 1;
	fd = bpf_prog_load(target->type, prog_name, "GPL", insns, n, &opts);
	if (fd >= 0)
		return fd;
	error = errno;
	*ret_why = load_failure(error, log);
	return -error;
}

static int find_target(const struct btf *btf, const struct target *target, const char *name,
		       char **ret_why)
{
	_cleanup_free_ char *full = format("%s%s", target->prefix, name);
	int id;

	if (!full)
		return -ENOMEM;
	id = btf__find_by_name_kind(btf, full, target->kind);
	if (id > 0)
		return id;
	*ret_why = format("BTF does not know %s", full);
	return -ENOENT;
}

/* Returns the link's descriptor or -errno; the link keeps the program. */
static int attach(const struct btf *btf, const struct target *target, const char *name,
		  const struct bpf_insn *insns, size_t n, char **ret_why)
{
	_cleanup_close_ int prog = -1;
	int id, link;

	*ret_why = NULL;
	id = find_target(btf, target, name, ret_why);
	if (id < 0)
		return id;
	prog = load(target, id, insns, n, ret_why);
	if (prog < 0)
		return prog;
	link = bpf_raw_tracepoint_open(NULL, prog);
	if (link >= 0)
		return link;
	link = -errno;
	*ret_why = format("attaching: %s", strerror(-link));
	return link;
}

static int try_target(const struct btf *btf, const struct target *target, const char *name,
		      char **ret_why)
{
	_cleanup_close_ int link = -1;

	link = attach(btf, target, name, return_0, ARRAY_SIZE(return_0), ret_why);
	return MIN(link, 0);
}

int probe_attach_fentry(const struct btf *btf, const char *function, char **ret_why)
{
	return try_target(btf, &fentry, function, ret_why);
}

int probe_attach_fexit(const struct btf *btf, const char *function, char **ret_why)
{
	return try_target(btf, &fexit, function, ret_why);
}

int probe_attach_tracepoint(const struct btf *btf, const char *name, char **ret_why)
{
	return try_target(btf, &tracepoint, name, ret_why);
}

/* Any socket, made by anybody, counts: the hook runs for all or for none. */
static void make_socket(void)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)fd;
}

int probe_attach_lsm_socket(const struct btf *btf, bool *ret_ran, char **ret_why)
{
	_cleanup_close_ int map = -1, link = -1;
	uint64_t count = 0;
	uint32_t key = 0;

	*ret_why = NULL;
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, MAP_NAME, sizeof(key), sizeof(count), 1, NULL);
	if (map < 0) {
		*ret_why = format("making an array: %s", strerror(-map));
		return map;
	}

	/* Add 1 to the array's only value; return 0: everything is allowed. */
	const struct bpf_insn insns[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_VALUE,
		  .imm = map },
		{ .imm = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1 },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_2,
		  .imm = BPF_ADD },
		return_0[0],
		return_0[1],
	};

	link = attach(btf, &lsm, "socket_post_create", insns, ARRAY_SIZE(insns), ret_why);
	if (link < 0)
		return link;
	make_socket();
	if (bpf_map_lookup_elem(map, &key, &count) < 0)
		return -errno;
	*ret_ran = count > 0;
	return 0;
}

int probe_map_array(void)
{
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, MAP_NAME, 4, 8, 1, NULL);

	return MIN(fd, 0);
}

int probe_map_mmapable(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, MAP_NAME, 4, 8, 1, &opts);
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *memory;

	if (fd < 0)
		return fd;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	munmap(memory, size);
	return 0;
}

/* Storage maps want BTF for key and value; an int serves as both. Returns a descriptor. */
static int make_storage(enum soak_kind kind)
{
	_cleanup_(btf_freep) struct btf *btf = btf__new_empty();
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	_cleanup_close_ int btf_fd = -1;
	const void *data;
	__u32 size;
	int id;

	if (!btf)
		return -ENOMEM;
	id = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	if (id < 0)
		return id;
	data = btf__raw_data(btf, &size);
	if (!data)
		return -ENOMEM;
	btf_fd = bpf_btf_load(data, size, NULL);
	if (btf_fd < 0)
		return btf_fd;
	opts.btf_fd = (__u32)btf_fd;
	opts.btf_key_type_id = (__u32)id;
	opts.btf_value_type_id = (__u32)id;
	return bpf_map_create(programs_map_type(kind), MAP_NAME, 4, 4, 0, &opts);
}

int probe_map_storage(enum soak_kind kind)
{
	_cleanup_close_ int fd = make_storage(kind);

	return MIN(fd, 0);
}

int probe_map_array_of_storage(enum soak_kind kind)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	_cleanup_close_ int inner = make_storage(kind), outer = -1;

	if (inner < 0)
		return inner;
	opts.inner_map_fd = (__u32)inner;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, MAP_NAME, 4, 4, 1, &opts);
	return MIN(outer, 0);
}

static bool has_program(const char *name)
{
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
		struct bpf_prog_info info = { 0 };
		__u32 size = sizeof(info);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) &&
		    !strcmp(info.name, name))
			return true;
	}
	return false;
}

void probe_bpf_settle(void)
{
	uint64_t deadline = now_ns() + SETTLE_TIMEOUT_NS;
	char name[BPF_OBJ_NAME_LEN];

	make_prog_name(name);
	while (has_program(name) && now_ns() < deadline)
		usleep(SETTLE_PAUSE_US);
}
