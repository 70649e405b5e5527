/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fills storage at owner birth. The maps come and go under the loaded programs: each shape (kind
 * of owner, value size, flags) has one array of maps whose slots the daemon replaces at run time.
 * Only sockets and tasks that the daemon itself makes are touched.
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

	if (ret || kern || !sk || !is_ours(control.fill_sk))
		return ret;
	fill_socket(sk);
	return ret;
}

/* Where "bpf" is not in the LSM list: every family's create function ends here. */
SEC("fexit/sock_init_data")
int BPF_PROG(fill_sk_fexit, struct socket *sock, struct sock *sk)
{
	if (!sock || !is_ours(control.fill_sk))
		return 0;
	fill_socket(sk);
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(fill_task, struct task_struct *task, __u64 flags)
{
	if (!is_ours(control.fill_task))
		return 0;
	FILL_SHAPE(task_smalls, task, SOAK_SIZE_SMALL, SOAK_TASK, bpf_task_storage_get,
		   bpf_task_storage_delete);
	FILL_SHAPE(task_mediums, task, SOAK_SIZE_MEDIUM, SOAK_TASK, bpf_task_storage_get,
		   bpf_task_storage_delete);
	FILL_SHAPE(task_larges, task, SOAK_SIZE_LARGE, SOAK_TASK, bpf_task_storage_get,
		   bpf_task_storage_delete);
	return 0;
}

/*
 * Deletes and refills of live owners by program: hooks that a worker reaches with one harmless
 * system call (getsockname(), getpgid()) on an owner of its own.
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

#endif
