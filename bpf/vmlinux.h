/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel types that our programs read, reduced to the fields they read. CO-RE relocates every
 * access against the running kernel's BTF, so order and offsets here mean nothing; a wrong name
 * shows at load time. Kernel source of each type: include/linux/bpf_local_storage.h,
 * include/linux/bpf.h, include/net/sock.h, include/linux/sched.h, include/linux/net.h,
 * include/linux/cgroup-defs.h, include/linux/fs.h.
 */
#ifndef SOAK_VMLINUX_H
#define SOAK_VMLINUX_H

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

enum bpf_map_type {
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_INODE_STORAGE = 28,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
	BPF_MAP_TYPE_CGRP_STORAGE = 32,
};

#define BPF_F_NO_PREALLOC	       (1U << 0)
#define BPF_F_CLONE		       (1U << 9)
#define BPF_F_MMAPABLE		       (1U << 10)
#define BPF_LOCAL_STORAGE_GET_F_CREATE (1ULL << 0)

/* include/uapi/linux/bpf.h: known by its name in the BTF of a value. */
struct bpf_spin_lock {
	__u32 val;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct callback_head {
	struct callback_head *next;
};

struct work_struct {
	int unused; /* nothing of it is read */
};

struct bpf_map {
	enum bpf_map_type map_type;
	__u32 id;
	__u32 value_size;
	char name[16];
	struct work_struct work;
};

struct bpf_local_storage_map_bucket {
	void *list;
};

struct bpf_local_storage_map {
	struct bpf_map map;
	struct bpf_local_storage_map_bucket *buckets;
	__u32 bucket_log;
	__u16 elem_size;
};

struct bpf_local_storage_data {
	struct bpf_local_storage_map *smap;
	__u8 data[0];
};

struct hlist_head {
	struct hlist_node *first;
};

/* An rqspinlock_t, since 7.0; before, a raw_spinlock_t: never look into it there. */
struct qspinlock {
	atomic_t val;
};

typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

/* owner_refcnt came with bpf_selem_unlink_nofail(): guard every use by bpf_core_field_exists(). */
struct bpf_local_storage {
	struct hlist_head list;
	struct qspinlock lock;
	void *owner;
	struct callback_head rcu;
	refcount_t owner_refcnt;
};

/* state came with bpf_selem_unlink_nofail(): guard every use by bpf_core_field_exists(). */
struct bpf_local_storage_elem {
	struct hlist_node map_node;
	struct hlist_node snode;
	struct bpf_local_storage *local_storage;
	struct callback_head rcu;
	atomic_t state;
	struct bpf_local_storage_data sdata;
};

struct sock {
	atomic_t sk_omem_alloc;
	refcount_t sk_wmem_alloc;
	struct bpf_local_storage *sk_bpf_storage;
};

struct socket {
	struct sock *sk;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct task_struct {
	unsigned int __state;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct pid *thread_pid;
	struct bpf_local_storage *bpf_storage;
};

/* include/linux/percpu-refcount.h: a pointer, whose two lowest bits say what the count is. */
struct percpu_ref {
	unsigned long percpu_count_ptr;
};

struct cgroup_subsys_state {
	struct percpu_ref refcnt;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct bpf_local_storage *bpf_cgrp_storage;
};

struct inode {
	unsigned short i_mode;
	atomic_t i_count;
	void *i_security; /* the blob of all LSMs */
};

struct file {
	struct inode *f_inode;
};

/* include/asm-generic/rqspinlock.h */
struct rqspinlock_held {
	int cnt;
};

/* mm/slub.c and mm/slab.h: where free objects lie. */
struct list_head {
	struct list_head *next;
};

struct slab_sheaf {
	struct list_head barn_list;
	unsigned int size;
	void *objects[1];
};

struct slub_percpu_sheaves {
	struct slab_sheaf *main;
	struct slab_sheaf *spare;
	struct slab_sheaf *rcu_free;
};

struct node_barn {
	struct list_head sheaves_full;
};

struct kmem_cache_per_node_ptrs {
	struct node_barn *barn;
};

struct kmem_cache_order_objects {
	unsigned int x;
};

/* random, with CONFIG_SLAB_FREELIST_HARDENED: guard its use by bpf_core_field_exists(). */
struct kmem_cache {
	struct slub_percpu_sheaves *cpu_sheaves;
	unsigned int size;
	unsigned int offset;
	struct kmem_cache_order_objects oo;
	unsigned long random;
	struct kmem_cache_per_node_ptrs per_node[1];
};

/* What iterators are given: net/core/bpf_sk_storage.c, kernel/bpf/task_iter.c. */
struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

/* What a special field refers to: kernel/bpf/cpumask.c. */
struct bpf_cpumask {
	refcount_t usage;
};

#pragma clang attribute pop

#endif
