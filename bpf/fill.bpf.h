/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fills storage at owner birth. The maps come and go under the loaded programs: each shape (kind
 * of owner, value size, flags) has one array of maps whose slots the daemon replaces at run time.
 * Only owners that the daemon itself makes are touched. What is for cgroups or inodes is loaded
 * only where the kernel has storage of that kind.
 */
#ifndef SOAK_FILL_BPF_H
#define SOAK_FILL_BPF_H

struct value_small {
	struct soak_value head;
	__u8 body[SOAK_SIZE_SMALL - sizeof(struct soak_value)];
};

struct value_medium {
	struct soak_value head;
	__u8 body[SOAK_SIZE_MEDIUM - sizeof(struct soak_value)];
};

struct value_large {
	struct soak_value head;
	__u8 body[SOAK_SIZE_LARGE - sizeof(struct soak_value)];
};

/*
 * Special fields: a referenced kptr, and a spin lock, under which bpf(2) with BPF_F_LOCK and the
 * programs write in place. Local storage takes no timer, work queue or task work: map_check_btf()
 * in kernel/bpf/syscall.c.
 */
struct value_fields {
	struct soak_value head;
	struct bpf_spin_lock lock;
	__u32 pad;
	struct bpf_cpumask __attribute__((btf_type_tag("kptr"))) * mask;
	__u8 body[SOAK_SIZE_FIELDS - SOAK_FIELDS_END];
};

/* Without a lock: bpf_sk_storage_clone_elem() has a branch for either. */
struct value_ref {
	struct soak_value head;
	__u64 pad;
	struct bpf_cpumask __attribute__((btf_type_tag("kptr"))) * mask;
	__u8 body[SOAK_SIZE_REF - SOAK_FIELDS_END];
};

_Static_assert(__builtin_offsetof(struct value_ref, mask) == SOAK_FIELDS_REF, "kptr");
_Static_assert(__builtin_offsetof(struct value_fields, lock) == SOAK_FIELDS_BEGIN, "lock");
_Static_assert(__builtin_offsetof(struct value_fields, mask) == SOAK_FIELDS_REF, "kptr");
_Static_assert(__builtin_offsetof(struct value_fields, body) == SOAK_FIELDS_END, "body");

#define STORAGE_MAP(name, map_type, extra_flags, value_type)          \
	struct name {                                                 \
		__uint(type, map_type);                               \
		__uint(map_flags, BPF_F_NO_PREALLOC | (extra_flags)); \
		__type(key, int);                                     \
		__type(value, value_type);                            \
	} name SEC(".maps");                                          \
	struct {                                                      \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);             \
		__uint(max_entries, SOAK_MAPS_MAX);                   \
		__type(key, __u32);                                   \
		__type(value, __u32);                                 \
		__array(values, struct name);                         \
	} name##s SEC(".maps")

/* The medium socket shape is cloned by accept(). */
STORAGE_MAP(sk_small, BPF_MAP_TYPE_SK_STORAGE, 0, struct value_small);
STORAGE_MAP(sk_medium, BPF_MAP_TYPE_SK_STORAGE, BPF_F_CLONE, struct value_medium);
STORAGE_MAP(sk_large, BPF_MAP_TYPE_SK_STORAGE, 0, struct value_large);
STORAGE_MAP(task_small, BPF_MAP_TYPE_TASK_STORAGE, 0, struct value_small);
STORAGE_MAP(task_medium, BPF_MAP_TYPE_TASK_STORAGE, 0, struct value_medium);
STORAGE_MAP(task_large, BPF_MAP_TYPE_TASK_STORAGE, 0, struct value_large);
/* Cloned as well: a copy must not share the reference. */
STORAGE_MAP(sk_field, BPF_MAP_TYPE_SK_STORAGE, BPF_F_CLONE, struct value_fields);
STORAGE_MAP(task_field, BPF_MAP_TYPE_TASK_STORAGE, 0, struct value_fields);
STORAGE_MAP(sk_ref, BPF_MAP_TYPE_SK_STORAGE, BPF_F_CLONE, struct value_ref);
STORAGE_MAP(task_ref, BPF_MAP_TYPE_TASK_STORAGE, 0, struct value_ref);
STORAGE_MAP(cgroup_small, BPF_MAP_TYPE_CGRP_STORAGE, 0, struct value_small);
STORAGE_MAP(cgroup_medium, BPF_MAP_TYPE_CGRP_STORAGE, 0, struct value_medium);
STORAGE_MAP(cgroup_large, BPF_MAP_TYPE_CGRP_STORAGE, 0, struct value_large);
STORAGE_MAP(cgroup_field, BPF_MAP_TYPE_CGRP_STORAGE, 0, struct value_fields);
STORAGE_MAP(cgroup_ref, BPF_MAP_TYPE_CGRP_STORAGE, 0, struct value_ref);
STORAGE_MAP(inode_small, BPF_MAP_TYPE_INODE_STORAGE, 0, struct value_small);
STORAGE_MAP(inode_medium, BPF_MAP_TYPE_INODE_STORAGE, 0, struct value_medium);
STORAGE_MAP(inode_large, BPF_MAP_TYPE_INODE_STORAGE, 0, struct value_large);
STORAGE_MAP(inode_field, BPF_MAP_TYPE_INODE_STORAGE, 0, struct value_fields);
STORAGE_MAP(inode_ref, BPF_MAP_TYPE_INODE_STORAGE, 0, struct value_ref);

#define S_IFREG 0100000 /* include/uapi/linux/stat.h */

static __always_inline void write_head(struct soak_value *value, __u32 size)
{
	value->cookie = (__u64)bpf_get_prandom_u32() << 32 | size;
	value->plan = 0;
	value->role = SOAK_ROLE_NONE;
	value->size = size;
	value->check = (__u32)value->cookie ^ size;
	value->magic = SOAK_VALUE_MAGIC;
}

static __always_inline bool wants_delete(void)
{
	__u32 mask = control.delete_mask;

	return mask && !(bpf_get_prandom_u32() & mask);
}

#define FILL_SHAPE(outer, owner, size, kind, get, del)                         \
	for (__u32 i = 0; i < SOAK_MAPS_MAX; i++) {                            \
		__u32 slot = i;                                                \
		void *map, *value;                                             \
                                                                               \
		if (i >= control.maps)                                         \
			break;                                                 \
		map = bpf_map_lookup_elem(&outer, &slot);                      \
		if (!map)                                                      \
			continue;                                              \
		value = get(map, owner, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE); \
		if (!value) {                                                  \
			inc(count()->fill_failed[kind]);                       \
			continue;                                              \
		}                                                              \
		write_head(value, size);                                       \
		inc(count()->filled[kind]);                                    \
		if (wants_delete() && !del(map, owner))                        \
			inc(count()->prog_deletes);                            \
	}

static __always_inline bool is_ours(__u32 wanted)
{
	return is_ready() && wanted && bpf_get_current_pid_tgid() >> 32 == control.tgid;
}

/* A scenario wants an owner without any storage: of that thread the next birth is left alone. */
static __always_inline bool wants_bare(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	if (!*(volatile __u32 *)&control.bare)
		return false;
	for (__u32 i = 0; i < SOAK_ORDERS; i++)
		if (orders[i].bare_tid == tid)
			return true;
	return false;
}

static __always_inline bool is_to_fill(__u32 wanted)
{
	return is_ours(wanted) && !wants_bare();
}

static __always_inline void fill_socket(struct sock *sk)
{
	FILL_SHAPE(sk_smalls, sk, SOAK_SIZE_SMALL, SOAK_SK, bpf_sk_storage_get,
		   bpf_sk_storage_delete);
	FILL_SHAPE(sk_mediums, sk, SOAK_SIZE_MEDIUM, SOAK_SK, bpf_sk_storage_get,
		   bpf_sk_storage_delete);
	FILL_SHAPE(sk_larges, sk, SOAK_SIZE_LARGE, SOAK_SK, bpf_sk_storage_get,
		   bpf_sk_storage_delete);
}

SEC("lsm/socket_post_create")
int BPF_PROG(fill_sk_lsm, struct socket *sock, int family, int type, int protocol, int kern,
	     int ret)
{
	struct sock *sk = sock->sk;

	if (ret || kern || !sk || protocol == SOAK_PROTOCOL_BARE || !is_to_fill(control.fill_sk))
		return ret;
	fill_socket(sk);
	return ret;
}

/* Where "bpf" is not in the LSM list: every family's create function ends here. */
SEC("fexit/sock_init_data")
int BPF_PROG(fill_sk_fexit, struct socket *sock, struct sock *sk)
{
	if (!sock || !is_to_fill(control.fill_sk))
		return 0;
	fill_socket(sk);
	return 0;
}

static __always_inline void fill_newborn(struct task_struct *task)
{
	FILL_SHAPE(task_smalls, task, SOAK_SIZE_SMALL, SOAK_TASK, bpf_task_storage_get,
		   bpf_task_storage_delete);
	FILL_SHAPE(task_mediums, task, SOAK_SIZE_MEDIUM, SOAK_TASK, bpf_task_storage_get,
		   bpf_task_storage_delete);
	FILL_SHAPE(task_larges, task, SOAK_SIZE_LARGE, SOAK_TASK, bpf_task_storage_get,
		   bpf_task_storage_delete);
}

SEC("tp_btf/task_newtask")
int BPF_PROG(fill_task, struct task_struct *task, __u64 flags)
{
	if (is_to_fill(control.fill_task))
		fill_newborn(task);
	return 0;
}

/* At the end of mkdir(), under locks of all cgroups: TRACE_CGROUP_PATH(), kernel/cgroup/. */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(fill_cgroup, struct cgroup *cgroup, const char *path)
{
	if (!is_ours(control.fill_cgroup))
		return 0;
	FILL_SHAPE(cgroup_smalls, cgroup, SOAK_SIZE_SMALL, SOAK_CGROUP, bpf_cgrp_storage_get,
		   bpf_cgrp_storage_delete);
	FILL_SHAPE(cgroup_mediums, cgroup, SOAK_SIZE_MEDIUM, SOAK_CGROUP, bpf_cgrp_storage_get,
		   bpf_cgrp_storage_delete);
	FILL_SHAPE(cgroup_larges, cgroup, SOAK_SIZE_LARGE, SOAK_CGROUP, bpf_cgrp_storage_get,
		   bpf_cgrp_storage_delete);
	return 0;
}

/* The daemon opens other files as well, which outlive it. */
static __always_inline bool is_our_file(const struct inode *inode)
{
	return is_ours(control.fill_inode) && inode->i_mode == (S_IFREG | SOAK_FILE_MODE);
}

SEC("lsm/file_open")
int BPF_PROG(fill_inode, struct file *file, int ret)
{
	struct inode *inode = file->f_inode;

	if (ret || !is_our_file(inode))
		return ret;
	FILL_SHAPE(inode_smalls, inode, SOAK_SIZE_SMALL, SOAK_INODE, bpf_inode_storage_get,
		   bpf_inode_storage_delete);
	FILL_SHAPE(inode_mediums, inode, SOAK_SIZE_MEDIUM, SOAK_INODE, bpf_inode_storage_get,
		   bpf_inode_storage_delete);
	FILL_SHAPE(inode_larges, inode, SOAK_SIZE_LARGE, SOAK_INODE, bpf_inode_storage_get,
		   bpf_inode_storage_delete);
	return ret;
}

/*
 * Deletes and refills of live owners by program: hooks that a worker reaches with one harmless
 * system call (getsockname(), getpgid(), fcntl()) on an owner of its own. None is about a cgroup.
 */
#define TOUCH_SHAPE(outer, owner, size, get, del)                                           \
	({                                                                                  \
		__u32 random = bpf_get_prandom_u32(), slot = (random >> 1) % SOAK_MAPS_MAX; \
		void *map = bpf_map_lookup_elem(&outer, &slot), *value;                     \
                                                                                            \
		if (map && (random & 1)) {                                                  \
			if (!del(map, owner))                                               \
				inc(count()->prog_deletes);                                 \
		} else if (map) {                                                           \
			value = get(map, owner, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);      \
			if (value)                                                          \
				write_head(value, size);                                    \
		}                                                                           \
	})

SEC("lsm/socket_getsockname")
int BPF_PROG(touch_sk, struct socket *sock, int ret)
{
	struct sock *sk = sock->sk;

	if (ret || !sk || !is_ours(control.fill_sk))
		return ret;
	TOUCH_SHAPE(sk_smalls, sk, SOAK_SIZE_SMALL, bpf_sk_storage_get, bpf_sk_storage_delete);
	TOUCH_SHAPE(sk_mediums, sk, SOAK_SIZE_MEDIUM, bpf_sk_storage_get, bpf_sk_storage_delete);
	TOUCH_SHAPE(sk_larges, sk, SOAK_SIZE_LARGE, bpf_sk_storage_get, bpf_sk_storage_delete);
	return ret;
}

SEC("lsm/task_getpgid")
int BPF_PROG(touch_task, struct task_struct *task, int ret)
{
	if (ret || !is_ours(control.fill_task))
		return ret;
	TOUCH_SHAPE(task_smalls, task, SOAK_SIZE_SMALL, bpf_task_storage_get,
		    bpf_task_storage_delete);
	TOUCH_SHAPE(task_mediums, task, SOAK_SIZE_MEDIUM, bpf_task_storage_get,
		    bpf_task_storage_delete);
	TOUCH_SHAPE(task_larges, task, SOAK_SIZE_LARGE, bpf_task_storage_get,
		    bpf_task_storage_delete);
	return ret;
}

SEC("lsm/file_fcntl")
int BPF_PROG(touch_inode, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	struct inode *inode = file->f_inode;

	if (ret || !is_our_file(inode))
		return ret;
	TOUCH_SHAPE(inode_smalls, inode, SOAK_SIZE_SMALL, bpf_inode_storage_get,
		    bpf_inode_storage_delete);
	TOUCH_SHAPE(inode_mediums, inode, SOAK_SIZE_MEDIUM, bpf_inode_storage_get,
		    bpf_inode_storage_delete);
	TOUCH_SHAPE(inode_larges, inode, SOAK_SIZE_LARGE, bpf_inode_storage_get,
		    bpf_inode_storage_delete);
	return ret;
}

/* Special fields. Programs of their own: a kernel that refuses them loses nothing else. */

extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym __weak;
extern void bpf_cpumask_release(struct bpf_cpumask *cpumask) __ksym __weak;

/* Puts a new reference in the place of what is there. Counted before: never fewer than freed. */
#define STORE_REF(value)                                              \
	({                                                            \
		struct bpf_cpumask *_mask = bpf_cpumask_create();     \
                                                                      \
		if (_mask) {                                          \
			inc(count()->refs_stored);                    \
			_mask = bpf_kptr_xchg(&(value)->mask, _mask); \
			if (_mask) {                                  \
				bpf_cpumask_release(_mask);           \
				inc(count()->refs_taken);             \
			}                                             \
		}                                                     \
	})

static __always_inline void write_fields(struct value_fields *value)
{
	struct soak_value head;

	write_head(&head, SOAK_SIZE_FIELDS);
	bpf_spin_lock(&value->lock);
	value->head = head;
	bpf_spin_unlock(&value->lock);
	STORE_REF(value);
}

static __always_inline void write_ref(struct value_ref *value)
{
	write_head(&value->head, SOAK_SIZE_REF);
	STORE_REF(value);
}

/* What is under its lock is one value, whoever wrote it; all zeros was not written to yet. */
static __always_inline void read_fields(struct value_fields *value)
{
	struct soak_value head;

	bpf_spin_lock(&value->lock);
	head = value->head;
	bpf_spin_unlock(&value->lock);
	if (!head.magic && !head.cookie)
		return;
	inc(count()->values_read);
	if (head.magic != SOAK_VALUE_MAGIC || head.size != SOAK_SIZE_FIELDS ||
	    head.check != ((__u32)head.cookie ^ SOAK_SIZE_FIELDS) || test_lies(SOAK_LIE_TORN))
		inc(count()->values_torn);
}

#define FILL_FIELDS(outer, owner, type, write, kind, get, del)                 \
	for (__u32 i = 0; i < SOAK_MAPS_FIELDS; i++) {                         \
		struct type *value;                                            \
		__u32 slot = i;                                                \
		void *map;                                                     \
                                                                               \
		map = bpf_map_lookup_elem(&outer, &slot);                      \
		if (!map)                                                      \
			continue;                                              \
		value = get(map, owner, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE); \
		if (!value) {                                                  \
			inc(count()->fill_failed[kind]);                       \
			continue;                                              \
		}                                                              \
		write(value);                                                  \
		inc(count()->filled[kind]);                                    \
		if (wants_delete() && !del(map, owner))                        \
			inc(count()->prog_deletes);                            \
	}

SEC("fexit/sock_init_data")
int BPF_PROG(fill_sk_fields, struct socket *sock, struct sock *sk)
{
	if (!sock || !is_to_fill(control.fill_sk))
		return 0;
	FILL_FIELDS(sk_fields, sk, value_fields, write_fields, SOAK_SK, bpf_sk_storage_get,
		    bpf_sk_storage_delete);
	FILL_FIELDS(sk_refs, sk, value_ref, write_ref, SOAK_SK, bpf_sk_storage_get,
		    bpf_sk_storage_delete);
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(fill_task_fields, struct task_struct *task, __u64 flags)
{
	if (!is_to_fill(control.fill_task))
		return 0;
	FILL_FIELDS(task_fields, task, value_fields, write_fields, SOAK_TASK, bpf_task_storage_get,
		    bpf_task_storage_delete);
	FILL_FIELDS(task_refs, task, value_ref, write_ref, SOAK_TASK, bpf_task_storage_get,
		    bpf_task_storage_delete);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(fill_cgroup_fields, struct cgroup *cgroup, const char *path)
{
	if (!is_ours(control.fill_cgroup))
		return 0;
	FILL_FIELDS(cgroup_fields, cgroup, value_fields, write_fields, SOAK_CGROUP,
		    bpf_cgrp_storage_get, bpf_cgrp_storage_delete);
	FILL_FIELDS(cgroup_refs, cgroup, value_ref, write_ref, SOAK_CGROUP, bpf_cgrp_storage_get,
		    bpf_cgrp_storage_delete);
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(fill_inode_fields, struct file *file, int ret)
{
	struct inode *inode = file->f_inode;

	if (ret || !is_our_file(inode))
		return ret;
	FILL_FIELDS(inode_fields, inode, value_fields, write_fields, SOAK_INODE,
		    bpf_inode_storage_get, bpf_inode_storage_delete);
	FILL_FIELDS(inode_refs, inode, value_ref, write_ref, SOAK_INODE, bpf_inode_storage_get,
		    bpf_inode_storage_delete);
	return ret;
}

/* Read, replace the reference, or delete. */
#define TOUCH_FIELDS(outer, owner, get, del)                                            \
	({                                                                              \
		__u32 random = bpf_get_prandom_u32(), slot = random % SOAK_MAPS_FIELDS; \
		void *map = bpf_map_lookup_elem(&outer, &slot);                         \
		struct value_fields *value = map ? get(map, owner, NULL, 0) : NULL;     \
                                                                                        \
		if (value) {                                                            \
			read_fields(value);                                             \
			if (random & 0x100)                                             \
				STORE_REF(value);                                       \
			if (!(random & 0xe00) && !del(map, owner))                      \
				inc(count()->prog_deletes);                             \
		}                                                                       \
	})

SEC("lsm/socket_getsockname")
int BPF_PROG(touch_sk_fields, struct socket *sock, int ret)
{
	struct sock *sk = sock->sk;

	if (ret || !sk || !is_ours(control.fill_sk))
		return ret;
	TOUCH_FIELDS(sk_fields, sk, bpf_sk_storage_get, bpf_sk_storage_delete);
	return ret;
}

SEC("lsm/task_getpgid")
int BPF_PROG(touch_task_fields, struct task_struct *task, int ret)
{
	if (ret || !is_ours(control.fill_task))
		return ret;
	TOUCH_FIELDS(task_fields, task, bpf_task_storage_get, bpf_task_storage_delete);
	return ret;
}

SEC("lsm/file_fcntl")
int BPF_PROG(touch_inode_fields, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	struct inode *inode = file->f_inode;

	if (ret || !is_our_file(inode))
		return ret;
	TOUCH_FIELDS(inode_fields, inode, bpf_inode_storage_get, bpf_inode_storage_delete);
	return ret;
}

#endif
