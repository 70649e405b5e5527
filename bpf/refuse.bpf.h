/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Births that are refused when they are half done. At both hooks the newborn may have storage
 * already: a socket from the fill programs, a task from here, long before anybody else can see it.
 * Only to threads that enlisted, and only as often as the daemon says.
 */
#ifndef SOAK_REFUSE_BPF_H
#define SOAK_REFUSE_BPF_H

#define EPERM	1
#define SIGKILL 9

static __always_inline struct soak_refusal *refusal_of(__u32 tid)
{
	for (__u32 i = 0; i < SOAK_REFUSAL_WAYS; i++) {
		struct soak_refusal *refusal = &refusals[(tid + i) & (SOAK_REFUSALS - 1)];

		if (refusal->tid == tid)
			return refusal;
	}
	return NULL;
}

/* What is to be done to this birth; the thread that it is about is the one that counts down. */
static __always_inline struct soak_refusal *refusal_due(void)
{
	struct soak_refusal *refusal;

	if (!is_ready() || !*(volatile __u32 *)&control.refusals)
		return NULL;
	refusal = refusal_of((__u32)bpf_get_current_pid_tgid());
	if (!refusal || !*(volatile __u32 *)&refusal->left)
		return NULL;
	if (refusal->skip) {
		refusal->skip--;
		return NULL;
	}
	refusal->left--;
	refusal->met++;
	return refusal;
}

/* In copy_process(), with half of it still to come. */
SEC("lsm/task_alloc")
int BPF_PROG(refuse_task, struct task_struct *task, __u64 flags, int ret)
{
	struct soak_refusal *refusal = ret ? NULL : refusal_due();

	if (!refusal)
		return ret;
	if (refusal->what & SOAK_REFUSE_FILL)
		fill_newborn(task);
	if (task->bpf_storage)
		refusal->filled++;
	if (refusal->what & SOAK_REFUSE_KILL)
		bpf_send_signal(SIGKILL);
	return refusal->what & SOAK_REFUSE_DENY ? -EPERM : 0;
}

/* Attached after the fill program at the same hook, so what that does has been done. */
SEC("lsm/socket_post_create")
int BPF_PROG(refuse_socket, struct socket *sock, int family, int type, int protocol, int kern,
	     int ret)
{
	struct soak_refusal *refusal = ret || kern ? NULL : refusal_due();
	struct sock *sk;

	if (!refusal)
		return ret;
	sk = sock->sk;
	if (sk && sk->sk_bpf_storage)
		refusal->filled++;
	return refusal->what & SOAK_REFUSE_DENY ? -EPERM : 0;
}

/* The thread that asks. */
SEC("syscall")
int enlist(struct soak_enlisted *args)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	args->slot = SOAK_REFUSALS;
	for (__u32 i = 0; i < SOAK_REFUSAL_WAYS; i++) {
		__u32 slot = (tid + i) & (SOAK_REFUSALS - 1);

		if (__sync_val_compare_and_swap(&refusals[slot].tid, 0, tid))
			continue;
		inc(control.refusals);
		args->slot = slot;
		break;
	}
	return 0;
}

#endif
