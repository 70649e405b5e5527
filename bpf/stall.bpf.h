/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stall backend's half in the kernel: holds a storage lock or a bucket lock past the kernel's
 * own timeout, so that another CPU's acquisition fails as it would behind any holder that took
 * too long. Nothing is forced: the lock words, the timeouts and the errors are the kernel's.
 *
 * Which selem is stalled on, and where, stands in its value (plan and role), written by
 * inject/encounter.c. The functions attached to are called inside the critical sections of
 * bpf_selem_unlink_nofail() (kernel/bpf/bpf_local_storage.c):
 *   bpf_selem_unlink_storage_nolock_misc()  storage lock held, map_free side
 *   bpf_obj_free_fields()                   bucket lock held, either side
 */
#ifndef SOAK_STALL_BPF_H
#define SOAK_STALL_BPF_H

struct spin {
	__u64 end;
	struct soak_plan *plan;
	__u32 until; /* plan state that ends the wait early, 0: none */
};

static __always_inline bool spin_over(const struct spin *spin)
{
	if (!control.stall || bpf_ktime_get_ns() >= spin->end)
		return true;
	return spin->until && *(volatile __u32 *)&spin->plan->state == spin->until;
}

static long spin_inner(__u32 i, void *context)
{
	return spin_over(context);
}

/* One bpf_loop() ends after 8 million turns, which a fast machine does in less than a stall. */
static long spin_outer(__u32 i, void *context)
{
	bpf_loop(1 << 22, spin_inner, context, 0);
	return spin_over(context);
}

static __always_inline void spin_for(struct soak_plan *plan, __u64 ns, __u32 until)
{
	struct spin spin = { .end = bpf_ktime_get_ns() + ns, .plan = plan, .until = until };

	bpf_loop(256, spin_outer, &spin, 0);
}

static __always_inline bool plan_moves(struct soak_plan *plan, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&plan->state, from, to) == from;
}

static __always_inline void hold(struct soak_plan *plan, __u32 from)
{
	__u64 start = bpf_ktime_get_ns(), site;

	if (!plan_moves(plan, from, SOAK_PLAN_HOLDING))
		return;
	spin_for(plan, plan->stall_ns, 0);
	plan->held_ns = bpf_ktime_get_ns() - start;
	plan_moves(plan, SOAK_PLAN_HOLDING, SOAK_PLAN_DONE);
	/* Read once: what is checked must be what is used. */
	site = *(volatile __u64 *)&plan->site;
	if (site < SOAK_SITE_NR)
		inc(count()->stalls[site]);
}

/* The bucket that select_bucket() would choose. */
static __always_inline __u64 bucket_of(__u64 selem)
{
	struct bpf_local_storage_elem *elem = (void *)selem;
	struct bpf_local_storage_map *smap = NULL;
	__u64 buckets = 0, storage = 0;
	__u32 log = 0;

	bpf_probe_read_kernel(&smap, 8, &elem->sdata.smap);
	bpf_probe_read_kernel(&storage, 8, &elem->local_storage);
	if (!smap || !storage)
		return 0;
	bpf_probe_read_kernel(&buckets, 8, &smap->buckets);
	bpf_probe_read_kernel(&log, 4, &smap->bucket_log);
	/* hash_ptr() of include/linux/hash.h */
	return buckets + ((storage * 0x61c8864680b583ebULL) >> ((64 - log) & 63)) *
				 bpf_core_type_size(struct bpf_local_storage_map_bucket);
}

static __always_inline struct soak_plan *plan_with_role(__u64 selem, struct soak_value *value)
{
	if (!read_value(selem, value))
		return NULL;
	return plan_of(value);
}

/*
 * The rendezvous: map_free has arrived at a selem and holds nothing yet; wait here until destroy
 * of another owner holds the same bucket's lock, or for as long as the plan allows.
 */
static __always_inline void meet(__u64 selem, __u64 bucket)
{
	struct soak_value value;
	struct soak_plan *plan;

	plan = plan_with_role(selem, &value);
	if (!plan || value.role != SOAK_ROLE_MEET_BUCKET)
		return;
	plan->bucket = bucket;
	plan->cookie = value.cookie;
	if (!plan_moves(plan, SOAK_PLAN_ARMED, SOAK_PLAN_WAITING))
		return;
	inc(count()->rendezvous);
	spin_for(plan, plan->rendezvous_ns, SOAK_PLAN_HOLDING);
	if (plan->state == SOAK_PLAN_HOLDING)
		inc(count()->rendezvous_met);
	else
		plan_moves(plan, SOAK_PLAN_WAITING, SOAK_PLAN_DONE);
}

/*
 * Duels: both sides are to be at one selem at once. Whoever comes first lingers, at one of the
 * places below that chance picks, until the other side's visit has begun; then for a random
 * moment more, or until that visit is over, so that each can be ahead of the other by any step.
 */
enum place {
	PLACE_ENTRY,	     /* nothing read, nothing held */
	PLACE_UNDER_BUCKET,  /* unlinked from the map, bucket lock held */
	PLACE_UNDER_STORAGE, /* map_free alone: storage lock held */
	PLACE_PINNED,	     /* the same, of a socket: and a reference to the owner */
	PLACES,
};

#define MOMENT_NS   200000
#define PATIENCE_NS 1000000
#define OUTSTAY_NS  2000000

struct linger {
	__u64 end;
	const struct soak_visit *other;
	__u64 selem;
	__u32 visits; /* of the other side before */
	__u32 until_over;
	__u32 steps; /* of the other side, to wait for */
	__u32 seen;
};

static long linger_step(__u32 i, void *context)
{
	const struct linger *linger = context;
	const volatile struct soak_visit *other = linger->other;

	if (!control.stall || bpf_ktime_get_ns() >= linger->end || !other)
		return 1;
	if (other->visits != (__u8)linger->visits)
		return 1;
	return !linger->until_over && other->pid;
}

/* What of a selem the steps of a visit change, one bit or a few for each. */
static __always_inline __u32 progress_of(__u64 selem)
{
	struct bpf_local_storage_elem *elem = (void *)selem;
	__u32 state = 0;

	bpf_probe_read_kernel(&state, sizeof(state), &elem->state);
	return state << 4 | !read_u64(&elem->map_node.pprev) << 3 |
	       !read_u64(&elem->snode.pprev) << 2 | !read_u64(&elem->sdata.smap) << 1 |
	       !read_u64(&elem->local_storage);
}

static long give_way_step(__u32 i, void *context)
{
	struct linger *linger = context;
	__u32 now = progress_of(linger->selem);

	if (!control.stall || bpf_ktime_get_ns() >= linger->end)
		return 1;
	if (now != linger->seen && !--linger->steps)
		return 1;
	linger->seen = now;
	return 0;
}

/* Lets the other side do some of its steps first; nothing of the selem has been read yet. */
static __always_inline void give_way(struct linger *linger, __u32 steps)
{
	linger->end = bpf_ktime_get_ns() + PATIENCE_NS;
	linger->steps = steps;
	linger->seen = progress_of(linger->selem);
	bpf_loop(1 << 20, give_way_step, linger, 0);
}

static __always_inline void linger(const struct soak_visit *other, __u64 selem, __u32 place,
				   __u64 ns)
{
	struct linger linger = { .end = bpf_ktime_get_ns() + ns,
				 .other = other,
				 .selem = selem,
				 .visits = other->visits };
	__u32 random = bpf_get_prandom_u32();

	bpf_loop(1 << 20, linger_step, &linger, 0);
	if (!other->pid && other->visits == (__u8)linger.visits)
		return;
	inc(count()->rendezvous_met);
	if (place == PLACE_ENTRY && (random >> 8) % 3) {
		give_way(&linger, 1 + (random >> 16) % 4);
		return;
	}
	linger.until_over = 1;
	linger.end = bpf_ktime_get_ns() + (random & 1 ? PATIENCE_NS : random % MOMENT_NS);
	bpf_loop(1 << 20, linger_step, &linger, 0);
}

/* A second visit of map_free has only one place, and few of them there are. */
static __always_inline bool lingers_at(const struct soak_slot *slot, bool map_free, __u32 place)
{
	if (map_free && place == PLACE_ENTRY && slot->visit[SOAK_MAP_FREE].visits)
		return true;
	return bpf_get_prandom_u32() % (control.pin ? PLACES : PLACE_PINNED) == place;
}

/*
 * A duel whose steps the module has arranged (inject/kmod/appointments.c): the sides are only to be
 * at its beginning together, and go on at once.
 */
static __always_inline bool is_by_appointment(__u64 selem, bool map_free)
{
	return control.frames && (read_frame(RQF_NOFAIL, selem, map_free) & TOLD_APPOINTED);
}

static __always_inline void gather(const struct soak_slot *slot, __u64 selem,
				   struct soak_plan *plan, __u64 cookie)
{
	const struct soak_visit *other = &slot->visit[SOAK_DESTROY];
	struct linger linger = { .end = bpf_ktime_get_ns() + plan->rendezvous_ns,
				 .other = other,
				 .selem = selem };

	/* Once: at map_free's second visit the other side is there, or will not come any more. */
	if (other->visits || slot->visit[SOAK_MAP_FREE].visits)
		return;
	inc(count()->rendezvous);
	plan->cookie = cookie; /* whose owner is to die now */
	bpf_loop(1 << 20, linger_step, &linger, 0);
	if (other->pid || other->visits)
		inc(count()->rendezvous_met);
}

static __always_inline void duel(__u64 selem, bool map_free, __u32 place)
{
	struct soak_slot *slot = slot_of(selem);
	struct soak_value value;
	struct soak_plan *plan;

	if (!slot)
		return;
	plan = plan_with_role(selem, &value);
	if (!plan || value.role != SOAK_ROLE_DUEL)
		return;
	if (map_free)
		plan_moves(plan, SOAK_PLAN_ARMED, SOAK_PLAN_WAITING);
	if (plan->state != SOAK_PLAN_WAITING)
		return;
	if (is_by_appointment(selem, map_free)) {
		if (map_free && place == PLACE_ENTRY)
			gather(slot, selem, plan, value.cookie);
		return;
	}
	if (!lingers_at(slot, map_free, place))
		return;
	inc(count()->rendezvous);
	if (!map_free) {
		linger(&slot->visit[SOAK_MAP_FREE], selem, place, plan->rendezvous_ns);
		return;
	}
	plan->cookie = value.cookie; /* whose owner is to die now */
	linger(&slot->visit[SOAK_DESTROY], selem, place, plan->rendezvous_ns);
}

SEC("fentry/bpf_selem_unlink_nofail")
int BPF_PROG(stall_meet)
{
	__u64 selem = arg_of(ctx, 0), bucket = arg_of(ctx, 1);

	if (!control.stall)
		return 0;
	if (bucket)
		meet(selem, bucket);
	duel(selem, bucket != 0, PLACE_ENTRY);
	return 0;
}

/* The selem at which map_free holds the storage lock, and so its CPU: interrupts are off. */
static __u64 under_storage[256];

struct outstay {
	__u64 end;
	const volatile struct soak_storage *storage;
};

static long outstay_step(__u32 i, void *context)
{
	const struct outstay *outstay = context;

	if (!control.stall || bpf_ktime_get_ns() >= outstay->end || !outstay->storage)
		return 1;
	return !!(outstay->storage->flags & SOAK_DESTROYED);
}

/* destroy() must not end while map_free uses the owner, even where it failed the storage lock. */
static __always_inline void outstay_destroy(__u64 address)
{
	struct outstay outstay = { .end = bpf_ktime_get_ns() + OUTSTAY_NS,
				   .storage = storage_of(address) };

	if (outstay.storage && outstay.storage->destroy_ns)
		bpf_loop(1 << 20, outstay_step, &outstay, 0);
}

SEC("fentry/bpf_sk_storage_uncharge")
int BPF_PROG(stall_pinned, void *smap, struct sock *sk)
{
	__u32 cpu = bpf_get_smp_processor_id() & 255;
	__u64 selem = under_storage[cpu];

	if (!selem || !control.stall || !control.pin)
		return 0;
	under_storage[cpu] = 0;
	duel(selem, true, PLACE_PINNED);
	outstay_destroy(read_u64(&sk->sk_bpf_storage));
	return 0;
}

SEC("fentry/bpf_selem_unlink_storage_nolock_misc")
int BPF_PROG(stall_storage)
{
	struct soak_value value;
	struct soak_plan *plan;

	/* pin_owner, the fifth argument: only map_free's visit of nofail sets it. */
	if (!(__u8)arg_of(ctx, 4) || !control.stall)
		return 0;
	plan = plan_with_role(arg_of(ctx, 0), &value);
	if (plan && value.role == SOAK_ROLE_HOLD_STORAGE)
		hold(plan, SOAK_PLAN_ARMED);
	under_storage[bpf_get_smp_processor_id() & 255] =
		plan && value.role == SOAK_ROLE_DUEL ? arg_of(ctx, 0) : 0;
	duel(arg_of(ctx, 0), true, PLACE_UNDER_STORAGE);
	return 0;
}

static __always_inline void stall_under_bucket(const struct soak_slot *slot, __u64 selem)
{
	__u32 me = current_thread();
	struct soak_value value;
	struct soak_plan *plan;

	plan = plan_with_role(selem, &value);
	if (!plan)
		return;
	if (value.role == SOAK_ROLE_HOLD_BUCKET && slot->visit[SOAK_MAP_FREE].pid == me)
		hold(plan, SOAK_PLAN_ARMED);
	if (value.role == SOAK_ROLE_MEET_BUCKET && slot->visit[SOAK_DESTROY].pid == me &&
	    plan->state == SOAK_PLAN_WAITING && plan->bucket == bucket_of(selem))
		hold(plan, SOAK_PLAN_WAITING);
}

SEC("fentry/bpf_obj_free_fields")
int BPF_PROG(stall_bucket)
{
	__u64 selem = arg_of(ctx, 1) - DATA_OFFSET;
	struct soak_slot *slot;

	if (!control.stall)
		return 0;
	slot = slot_of(selem);
	if (!slot)
		return 0;
	stall_under_bucket(slot, selem);
	/* Also called by programs' deletes, which are no visits. */
	if (slot->visit[SOAK_MAP_FREE].pid == current_thread())
		duel(selem, true, PLACE_UNDER_BUCKET);
	else if (slot->visit[SOAK_DESTROY].pid == current_thread())
		duel(selem, false, PLACE_UNDER_BUCKET);
	return 0;
}

#endif
