/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Meetings: two moments in the kernel that chance brings together hardly ever. Whoever comes first
 * waits, for a bounded time far below any lock's time-out, until the other is there; then both go
 * on at once. Nothing fails by it and nothing is forced.
 *
 * Which selems take part stands in their values (a plan beyond SOAK_PLANS, role SOAK_ROLE_MEETING),
 * written by daemon/rendezvous.c. One side is always map_free(): at a selem that it has not touched
 * yet, holding nothing. The functions attached to (kernel/bpf/bpf_local_storage.c,
 * net/core/bpf_sk_storage.c):
 *   bpf_selem_unlink_nofail()  a visit, of either side
 *   bpf_selem_unlink()         a delete
 *   bpf_sk_storage_clone()     accept() of a listener
 *   iter/bpf_sk_storage_map    an iterator, at one of its elements
 *   bpf_sk_storage_uncharge()  map_free() gives back what a selem was charged, storage lock held
 */
#ifndef SOAK_RENDEZVOUS_BPF_H
#define SOAK_RENDEZVOUS_BPF_H

/* In the low bits of soak_meeting.word, beside what the two have in common. */
#define MEETING_MAP_FREE 1ULL /* waits */
#define MEETING_OTHER	 2ULL /* waits */
#define MEETING_MET	 4ULL

struct soak_meeting meetings[SOAK_MEETINGS];

static __always_inline __u32 meeting_index(const struct soak_value *value)
{
	return value->plan - SOAK_PLANS - 1;
}

static __always_inline struct soak_meeting *meeting_of(const struct soak_value *value)
{
	__u32 i = meeting_index(value);

	if (value->role != SOAK_ROLE_MEETING || i >= SOAK_MEETINGS)
		return NULL;
	return &meetings[i & (SOAK_MEETINGS - 1)];
}

struct meeting_wait {
	struct soak_meeting *meeting;
	__u64 here;
	__u64 end;
};

static long meeting_step(__u32 i, void *context)
{
	const struct meeting_wait *wait = context;

	return *(volatile __u64 *)&wait->meeting->word != wait->here ||
	       bpf_ktime_get_ns() >= wait->end;
}

/* Noted before anybody can find it: who answers reads it as soon as the word says that we wait. */
static __always_inline void note_arrival(struct soak_meeting *meeting, __u64 cookie)
{
	__sync_val_compare_and_swap(&meeting->first_ns, 0, bpf_ktime_get_ns());
	__sync_fetch_and_add(&meeting->arrived, 1);
	meeting->cookie = cookie;
}

__noinline int meet_at(__u32 index, __u64 key, __u64 me, __u64 cookie)
{
	struct soak_meeting *meeting = &meetings[index & (SOAK_MEETINGS - 1)];
	__u64 other = me ^ (MEETING_MAP_FREE | MEETING_OTHER), wait_ns;
	struct meeting_wait wait = { .meeting = meeting, .here = key | me };
	__u32 appointment = meeting->appointment;

	if (!key || !meeting->armed || appointment >= SOAK_MEET_NR)
		return 0;
	if (me == MEETING_MAP_FREE)
		note_arrival(meeting, cookie);
	if (__sync_val_compare_and_swap(&meeting->word, key | other, key | MEETING_MET) ==
	    (key | other)) {
		inc(count()->meetings_met[appointment]);
		return 0;
	}
	/* Somebody else waits for somebody else. */
	if (__sync_val_compare_and_swap(&meeting->word, 0, key | me) != 0)
		return 0;
	wait_ns = meeting->wait_ns;
	if (wait_ns > SOAK_MEETING_MAX_NS)
		wait_ns = SOAK_MEETING_MAX_NS;
	wait.end = bpf_ktime_get_ns() + wait_ns;
	bpf_loop(1 << 20, meeting_step, &wait, 0);
	if (__sync_val_compare_and_swap(&meeting->word, key | me, 0) != (key | me))
		meeting->word = 0; /* they came */
	else if (me == MEETING_MAP_FREE)
		inc(count()->meetings_missed[appointment]);
	return 0;
}

static __always_inline __u64 storage_of_selem(__u64 selem)
{
	return read_u64(&((struct bpf_local_storage_elem *)selem)->local_storage);
}

static __always_inline void meet_visit(__u64 selem, __u64 bucket)
{
	struct soak_meeting *meeting;
	struct soak_value value;
	__u64 key;

	if (!read_value(selem, &value))
		return;
	meeting = meeting_of(&value);
	if (!meeting)
		return;
	switch (meeting->appointment) {
	case SOAK_MEET_SELEM:
		key = selem;
		break;
	case SOAK_MEET_BUCKET:
		key = bucket ?: bucket_of(selem);
		break;
	case SOAK_MEET_OWNER:
		/* Two selems: destroy() at the one of the map that stays. */
		if (!bucket && !(value.cookie & SOAK_MEETING_STAYS))
			return;
		key = storage_of_selem(selem);
		break;
	case SOAK_MEET_UNCHARGE:
		return;
	default:
		if (!bucket)
			return;
		key = storage_of_selem(selem);
		break;
	}
	meet_at(meeting_index(&value), key, bucket ? MEETING_MAP_FREE : MEETING_OTHER,
		value.cookie);
}

SEC("fentry/bpf_selem_unlink_nofail")
int BPF_PROG(rendezvous_visit)
{
	if (control.rendezvous)
		meet_visit(arg_of(ctx, 0), arg_of(ctx, 1));
	return 0;
}

SEC("fentry/bpf_selem_unlink")
int BPF_PROG(rendezvous_delete)
{
	__u64 selem = arg_of(ctx, 0);
	struct soak_meeting *meeting;
	struct soak_value value;

	if (!control.rendezvous || !read_value(selem, &value))
		return 0;
	meeting = meeting_of(&value);
	if (meeting && meeting->appointment == SOAK_MEET_DELETE)
		meet_at(meeting_index(&value), storage_of_selem(selem), MEETING_OTHER, 0);
	return 0;
}

/* By the newest element of an owner's storage: the values that take part are stored last. */
static __always_inline void meet_at_storage(__u64 storage, __u32 appointment)
{
	struct soak_meeting *meeting;
	struct soak_value value;
	__u64 first;

	if (!storage)
		return;
	first = read_u64(&((struct bpf_local_storage *)storage)->list.first);
	if (!first ||
	    !read_value(first - bpf_core_field_offset(struct bpf_local_storage_elem, snode),
			&value))
		return;
	meeting = meeting_of(&value);
	if (meeting && meeting->appointment == appointment)
		meet_at(meeting_index(&value), storage, MEETING_OTHER, 0);
}

SEC("fentry/bpf_sk_storage_clone")
int BPF_PROG(rendezvous_clone, struct sock *sk)
{
	if (control.rendezvous)
		meet_at_storage(read_u64(&sk->sk_bpf_storage), SOAK_MEET_CLONE);
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int rendezvous_iterate(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;

	if (sk && ctx->value && control.rendezvous)
		meet_at_storage(read_u64(&sk->sk_bpf_storage), SOAK_MEET_ITERATOR);
	return 0;
}

/* Both sides of the last appointment: see SOAK_MEET_UNCHARGE. */

static __always_inline void meet_uncharging(__u64 storage, __u64 me)
{
	struct soak_meeting *meeting;
	struct soak_value value;
	__u64 first;

	if (!storage)
		return;
	first = read_u64(&((struct bpf_local_storage *)storage)->list.first);
	if (!first ||
	    !read_value(first - bpf_core_field_offset(struct bpf_local_storage_elem, snode),
			&value))
		return;
	meeting = meeting_of(&value);
	if (meeting && meeting->appointment == SOAK_MEET_UNCHARGE)
		meet_at(meeting_index(&value), storage, me, value.cookie);
}

SEC("fentry/bpf_sk_storage_uncharge")
int BPF_PROG(rendezvous_uncharge, void *smap, struct sock *sk)
{
	if (control.rendezvous > 1)
		meet_uncharging(read_u64(&sk->sk_bpf_storage), MEETING_MAP_FREE);
	return 0;
}

SEC("fentry/bpf_local_storage_destroy")
int BPF_PROG(rendezvous_destroy)
{
	if (control.rendezvous > 1)
		meet_uncharging(arg_of(ctx, 0), MEETING_OTHER);
	return 0;
}

#endif
