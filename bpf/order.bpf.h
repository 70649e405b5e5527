/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Orders: what a scenario has programs do to storage of its own, where no system call can come
 * from: in softirq, in the interrupt of a timer; or beside system calls, where two are to come at
 * once. Each worker has one order, and slots for maps of its own that nothing else fills. Nobody is
 * found by address: who obeys is a thread that made itself known, or an owner that holds a value in
 * the first of these maps.
 */
#ifndef SOAK_ORDER_BPF_H
#define SOAK_ORDER_BPF_H

#ifndef ENOENT
#define ENOENT 2
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SOAK_ORDERS *SOAK_ORDER_MAPS);
	__type(key, __u32);
	__type(value, __u32);
	__array(values, struct sk_small);
} order_sks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SOAK_ORDERS *SOAK_ORDER_MAPS);
	__type(key, __u32);
	__type(value, __u32);
	__array(values, struct task_small);
} order_tasks SEC(".maps");

static __always_inline void note_context(struct soak_order *order)
{
	__u32 preempted = preempt_count();

	if (preempted & IRQ_OR_NMI)
		inc(order->in_irq);
	else if (preempted & SOFTIRQ_SERVED)
		inc(order->in_softirq);
}

static __always_inline bool any_orders(void)
{
	return is_ready() && *(volatile __u32 *)&control.orders;
}

/* Obeyed by one side or nobody: once by is 0 and busy too, nobody will come any more. */
static __always_inline bool takes(struct soak_order *order, __u32 by)
{
	if (*(volatile __u32 *)&order->by != by)
		return false;
	inc(order->busy);
	if (*(volatile __u32 *)&order->by == by)
		return true;
	add(order->busy, -1);
	return false;
}

static __always_inline void note_delete(struct soak_order *order, long error)
{
	if (!error)
		inc(order->deleted);
	else if (error == -ENOENT)
		inc(order->absent);
	else
		inc(order->refused);
}

#define PUT(order, map, owner, get)                                                              \
	({                                                                                       \
		struct soak_value *_put = get(map, owner, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE); \
                                                                                                 \
		if (_put) {                                                                      \
			write_head(_put, SOAK_SIZE_SMALL);                                       \
			inc(order->put);                                                         \
		} else {                                                                         \
			inc(order->refused);                                                     \
		}                                                                                \
	})

#define LOOK(order, i, map, owner, get)                                                  \
	({                                                                               \
		struct soak_value *_seen = get(map, owner, NULL, 0);                     \
                                                                                         \
		order->cookies[(i) & (SOAK_ORDER_MAPS - 1)] = _seen ? _seen->cookie : 0; \
	})

struct obeying {
	void *owner;
	__u32 index; /* of the order */
};

/*
 * One map of an order. By bpf_loop(), or the verifier follows each of all the turns, which on a
 * kernel with checkers takes minutes.
 */
#define OBEY_STEP(name, outer, type, get, del)                                      \
	static long name(__u32 i, void *context)                                    \
	{                                                                           \
		const struct obeying *obeying = context;                            \
		__u32 index = obeying->index & (SOAK_ORDERS - 1), verb, slot;       \
		struct soak_order *order = &orders[index];                          \
		type *owner = obeying->owner;                                       \
		void *map;                                                          \
                                                                                    \
		if (i >= order->n)                                                  \
			return 1;                                                   \
		verb = order->verb;                                                 \
		slot = index * SOAK_ORDER_MAPS + order->first + i;                  \
		map = bpf_map_lookup_elem(&outer, &slot);                           \
		if (!map)                                                           \
			return 0;                                                   \
		if (verb == SOAK_VERB_LOOK)                                         \
			LOOK(order, i, map, owner, get);                            \
		else if (verb == SOAK_VERB_DELETE ||                                \
			 (verb == SOAK_VERB_EITHER && (bpf_get_prandom_u32() & 1))) \
			note_delete(order, del(map, owner));                        \
		else                                                                \
			PUT(order, map, owner, get);                                \
		return 0;                                                           \
	}

OBEY_STEP(obey_sk, order_sks, struct sock, bpf_sk_storage_get, bpf_sk_storage_delete)
OBEY_STEP(obey_task, order_tasks, struct task_struct, bpf_task_storage_get, bpf_task_storage_delete)

/*
 * The index is read anew from the order, where the verifier does not know it: otherwise it would
 * follow what comes now once for each order.
 */
#define OBEY(taken, owner_, step)                                                      \
	({                                                                             \
		__u32 _index = *(volatile __u32 *)&(taken)->index & (SOAK_ORDERS - 1); \
		struct obeying _obeying = { .owner = (owner_), .index = _index };      \
		struct soak_order *_order = &orders[_index];                           \
                                                                                       \
		note_context(_order);                                                  \
		bpf_loop(SOAK_ORDER_MAPS, step, &_obeying, 0);                         \
		inc(_order->obeyed);                                                   \
		add(_order->busy, -1);                                                 \
	})

/* getsockname() and getpgid() of the thread that the order names. */
#define OBEY_CALL(owner, step)                                         \
	for (__u32 i = 0; i < SOAK_ORDERS; i++) {                      \
		struct soak_order *order = &orders[i];                 \
                                                                       \
		if (order->tid != (__u32)bpf_get_current_pid_tgid() || \
		    !takes(order, SOAK_BY_CALL))                       \
			continue;                                      \
		OBEY(order, owner, step);                              \
		break;                                                 \
	}

/* Whose owner it is: the one with a value in the slot before the first. */
#define OBEY_MARK(by_, outer, owner, get, step)                      \
	for (__u32 i = 0; i < SOAK_ORDERS; i++) {                    \
		struct soak_order *order = &orders[i];               \
		__u32 slot = i * SOAK_ORDER_MAPS + order->first - 1; \
		void *mark;                                          \
                                                                     \
		if (!takes(order, by_))                              \
			continue;                                    \
		mark = bpf_map_lookup_elem(&outer, &slot);           \
		if (!mark || !get(mark, owner, NULL, 0)) {           \
			add(order->busy, -1);                        \
			continue;                                    \
		}                                                    \
		OBEY(order, owner, step);                            \
		break;                                               \
	}

SEC("fentry/security_socket_getsockname")
int BPF_PROG(order_sk, struct socket *sock)
{
	struct sock *sk = sock->sk;

	if (any_orders() && sk)
		OBEY_CALL(sk, obey_sk);
	return 0;
}

SEC("fentry/security_task_getpgid")
int BPF_PROG(order_task, struct task_struct *task)
{
	if (any_orders())
		OBEY_CALL(task, obey_task);
	return 0;
}

/* A datagram arrives: in softirq, on top of whichever task. */
SEC("fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(order_packet, struct sock *sk)
{
	if (any_orders())
		OBEY_MARK(SOAK_BY_PACKET, order_sks, sk, bpf_sk_storage_get, obey_sk);
	return 0;
}

static __always_inline void tick(struct task_struct *task)
{
	if (any_orders())
		OBEY_MARK(SOAK_BY_TICK, order_tasks, task, bpf_task_storage_get, obey_task);
}

/*
 * A timer of perf ticks on a task: in the interrupt, or in an NMI. A function of its own: with the
 * map's first use in a program itself clang 14 forgets what type its values are.
 */
SEC("perf_event")
int order_tick(void *ctx)
{
	tick(bpf_get_current_task_btf());
	return 0;
}

/* The thread that asks, as the kernel calls it. */
SEC("syscall")
int who(struct soak_who *args)
{
	args->tid = (__u32)bpf_get_current_pid_tgid();
	return 0;
}

#endif
