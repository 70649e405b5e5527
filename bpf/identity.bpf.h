/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Identity: the storage that is about to be destroyed belongs to the object that dies, and that
 * object really is dying. Looked at where the owners hand over: bpf_sk_storage_free(), called by
 * __sk_destruct() (net/core/sock.c); bpf_task_storage_free(), called by free_task()
 * (kernel/fork.c); bpf_cgrp_storage_free(), called by css_free_rwork_fn() (kernel/cgroup/cgroup.c);
 * bpf_inode_storage_free(), called by security_inode_free() for __destroy_inode() (fs/inode.c).
 */
#ifndef SOAK_IDENTITY_BPF_H
#define SOAK_IDENTITY_BPF_H

#define TASK_DEAD	  0x80 /* include/linux/sched.h */
#define __PERCPU_REF_DEAD 2    /* include/linux/percpu-refcount.h */

/*
 * A map_free() that empties the storage meanwhile clears its owner first
 * (bpf_selem_unlink_storage_nolock_misc()), so none is no wrong one.
 */
static __always_inline void check_identity(__u64 storage, __u64 object, bool dying, __u32 kind)
{
	struct soak_storage *slot = storage ? storage_of(storage) : NULL;
	__u64 owner;

	/* Without births what we know of an address is stale. */
	if (!(control.follow & SOAK_FOLLOW_STORAGE))
		return;
	if (!slot || (slot->flags & SOAK_FREED))
		return;
	owner = read_u64(&((struct bpf_local_storage *)storage)->owner);
	if (test_lies(SOAK_LIE_IDENTITY))
		owner = object + 1;
	inc(count()->identity_checked[kind]);
	if ((owner && owner != object) || !dying)
		inc(count()->identity_wrong);
}

SEC("fentry/bpf_sk_storage_free")
int BPF_PROG(identity_sk, struct sock *sk)
{
	__u64 storage = 0;

	if (!is_ready())
		return 0;
	bpf_core_read(&storage, sizeof(storage), &sk->sk_bpf_storage);
	/* sk_free() frees when the last byte in flight is gone, the socket's own reference among
	 * them.
	 */
	check_identity(storage, arg_of(ctx, 0), sk->sk_wmem_alloc.refs.counter == 0, SOAK_SK);
	return 0;
}

SEC("fentry/bpf_task_storage_free")
int BPF_PROG(identity_task, struct task_struct *task)
{
	__u64 storage = 0;

	if (!is_ready())
		return 0;
	bpf_core_read(&storage, sizeof(storage), &task->bpf_storage);
	/* Those that never ran too: the error path of copy_process(). */
	check_identity(storage, arg_of(ctx, 0), task->__state & TASK_DEAD, SOAK_TASK);
	return 0;
}

/* rmdir() kills the count of a cgroup's own css, and it is freed when that has come to 0. */
SEC("fentry/bpf_cgrp_storage_free")
int BPF_PROG(identity_cgroup, struct cgroup *cgroup)
{
	__u64 storage = 0;

	if (!is_ready())
		return 0;
	bpf_core_read(&storage, sizeof(storage), &cgroup->bpf_cgrp_storage);
	check_identity(storage, arg_of(ctx, 0),
		       cgroup->self.refcnt.percpu_count_ptr & __PERCPU_REF_DEAD, SOAK_CGROUP);
	return 0;
}

/* Of any inode: ours are those whose storage the ledger knows. */
SEC("fentry/bpf_inode_storage_free")
int BPF_PROG(identity_inode, struct inode *inode)
{
	__u64 blob;

	if (!is_ready() || !inode_storage_at)
		return 0;
	blob = read_u64(&inode->i_security);
	if (!blob)
		return 0;
	/* evict() follows the last iput(). */
	check_identity(read_u64((void *)(blob + inode_storage_at)), arg_of(ctx, 0),
		       inode->i_count.counter == 0, SOAK_INODE);
	return 0;
}

#endif
