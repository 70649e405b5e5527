// SPDX-License-Identifier: GPL-2.0-only
/* Orders to BPF programs: see order.h. */
#include "order.h"

#include <bpf/btf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "../pool.h"
#include "../programs.h"
#include "../util.h"
#include "../worker.h"

#define MARKED_NS (2 * NSEC_PER_SEC)

/* What the programs hang on, and what is said where it is not there. */
static struct {
	enum soak_by by;
	enum soak_kind kind;
	const char *function;
	const char *why;
	bool found;
} hooks[] = {
	{ SOAK_BY_CALL, SOAK_SK, "security_socket_getsockname",
	  "this kernel has no security_socket_getsockname(): CONFIG_SECURITY_NETWORK would help",
	  false },
	{ SOAK_BY_CALL, SOAK_TASK, "security_task_getpgid",
	  "this kernel has no security_task_getpgid(): CONFIG_SECURITY would help", false },
	{ SOAK_BY_PACKET, SOAK_SK, "__udp_enqueue_schedule_skb",
	  "this kernel has no __udp_enqueue_schedule_skb() to trace: a stock 7.x has", false },
};

static bool has_btf;

static void ask_kernel(void)
{
	struct btf *btf = btf__load_vmlinux_btf();

	has_btf = btf != NULL;
	if (!btf)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		hooks[i].found = btf__find_by_name_kind(btf, hooks[i].function, BTF_KIND_FUNC) > 0;
	btf__free(btf);
}

const char *order_lacks(enum soak_by by, enum soak_kind kind)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, ask_kernel);
	if (!has_btf)
		return "the kernel's BTF cannot be read (/sys/kernel/btf/vmlinux): "
		       "CONFIG_DEBUG_INFO_BTF would help";
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		if (hooks[i].by == by && hooks[i].kind == kind && !hooks[i].found)
			return hooks[i].why;
	return NULL;
}

static const struct programs *programs_of(const struct worker *w)
{
	return pool_programs(w->pool);
}

struct soak_order *order_of(struct worker *w)
{
	return programs_order(programs_of(w), w->index);
}

int order_set(struct worker *w, enum soak_kind kind, unsigned int slot, const struct kept *kept)
{
	int r = programs_set_order(programs_of(w), kind, w->index, slot, kept ? kept->fd : -1);

	return !kept && r == -ENOENT ? 0 : r;
}

void order_unmark(struct worker *w, enum soak_kind kind, struct order_marked *marked)
{
	if (marked->mark.open)
		order_set(w, kind, ORDER_MARK, NULL);
	if (marked->value.open)
		order_set(w, kind, ORDER_MARKED, NULL);
	kept_close(w, &marked->mark);
	kept_close(w, &marked->value);
}

bool order_mark(struct worker *w, enum soak_kind kind, struct order_marked *marked)
{
	if (marked->value.open && now_ns() < marked->until_ns)
		return true;
	order_unmark(w, kind, marked);
	marked->until_ns = now_ns() + MARKED_NS;
	if (!kept_open(w, kind, 0, &marked->mark) && !kept_open(w, kind, 0, &marked->value) &&
	    !order_set(w, kind, ORDER_MARK, &marked->mark) &&
	    !order_set(w, kind, ORDER_MARKED, &marked->value))
		return true;
	order_unmark(w, kind, marked);
	return false;
}

/* The calling thread, as the kernel calls it; 0 where it cannot be known. */
static uint32_t who(const struct worker *w)
{
	uint32_t tid = 0;

	return programs_who(programs_of(w), &tid) < 0 ? 0 : tid;
}

void order_give(struct worker *w, enum soak_by by, enum soak_verb verb, unsigned int first,
		unsigned int n)
{
	struct soak_order *order = order_of(w);

	order->verb = verb;
	order->index = w->index;
	order->tid = by == SOAK_BY_CALL ? who(w) : 0;
	order->first = first;
	order->n = n;
	order->obeyed = order->put = order->deleted = order->absent = order->refused = 0;
	order->in_softirq = order->in_irq = 0;
	memset(order->cookies, 0, sizeof(order->cookies));
	__atomic_store_n(&order->by, by, __ATOMIC_SEQ_CST);
	programs_add_orders(programs_of(w), 1, 0);
}

void order_end(struct worker *w)
{
	struct soak_order *order = order_of(w);

	__atomic_store_n(&order->by, SOAK_BY_NOBODY, __ATOMIC_SEQ_CST);
	programs_add_orders(programs_of(w), -1, 0);
	while (__atomic_load_n(&order->busy, __ATOMIC_SEQ_CST))
		sched_yield();
}

void order_bare(struct worker *w, bool bare)
{
	struct soak_order *order = order_of(w);

	if (!order)
		return;
	__atomic_store_n(&order->bare_tid, bare ? who(w) : 0, __ATOMIC_SEQ_CST);
	programs_add_orders(programs_of(w), 0, bare ? 1 : -1);
}
