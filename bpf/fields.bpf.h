/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Special fields: were those of each selem freed exactly once, while its map was there, and did
 * no reference stay behind in freed memory? Part of the ledger, whose slots it marks.
 *
 * bpf_obj_free_fields() (kernel/bpf/syscall.c) is called under the bucket lock by
 * bpf_selem_unlink_nofail(), and by bpf_selem_free() or its callback for all others. It takes the
 * reference out with xchg(), so a field that is still set when the selem is handed to be freed was
 * not freed, whatever events we missed: that is evidence in memory and needs no counting.
 */
#ifndef SOAK_FIELDS_BPF_H
#define SOAK_FIELDS_BPF_H

#define FIELDS_FREED(copy) ((copy) == COPY_A ? SOAK_FIELDS_A : SOAK_FIELDS_B)

#if SOAK_TEST_HOOKS
/* Each lie is told once. */
static __always_inline bool test_lies(__u32 lie)
{
	return control.lie == lie && __sync_val_compare_and_swap(&control.lie, lie, 0) == lie;
}

/* Again and again, where a single one is within what unseen births explain. */
static __always_inline bool test_lies_on(__u32 lie)
{
	return control.lie == lie;
}
#else
#define test_lies(lie)	  false
#define test_lies_on(lie) false
#endif

static __always_inline __u32 current_thread(void)
{
	return (__u32)bpf_get_current_pid_tgid() + 1;
}

/* Of our maps those alone have values of that size. */
static __always_inline bool has_fields(const struct bpf_local_storage_map *smap)
{
	return smap->map.value_size == SOAK_SIZE_FIELDS || smap->map.value_size == SOAK_SIZE_REF;
}

static __always_inline __u64 read_ref(__u64 selem)
{
	return read_u64((void *)(selem + DATA_OFFSET + SOAK_FIELDS_REF));
}

/*
 * A map that is freed has no id any more (bpf_map_free_id()): it is noted at a birth. One word, so
 * that two maps that come to the same place never mix.
 */
static __always_inline __u64 *seen_entry(__u64 map)
{
	return &maps_seen[set_index(map, 64 - 12) & (SOAK_GONE - 1)];
}

static __always_inline void map_seen(__u64 map, __u32 id)
{
	__u64 *entry = seen_entry(map), word = map << 32 | id;

	if (*entry != word)
		*(volatile __u64 *)entry = word;
}

static __always_inline __u32 id_of_map(__u64 map)
{
	__u64 word = *(volatile __u64 *)seen_entry(map);

	return word >> 32 == (map & 0xffffffff) ? (__u32)word : 0;
}

static __always_inline void map_went(__u32 id)
{
	if (id)
		maps_gone[id & (SOAK_GONE - 1)] = id;
}

/* Ids are handed out in a circle (bpf_map_alloc_id()), so what went last has an id of its own. */
static __always_inline bool is_map_gone(__u32 id)
{
	return (id && maps_gone[id & (SOAK_GONE - 1)] == id) || test_lies(SOAK_LIE_FIELDS_LATE);
}

static __always_inline bool is_under_visit(const struct soak_slot *slot)
{
	return slot->visit[SOAK_MAP_FREE].pid || slot->visit[SOAK_DESTROY].pid;
}

static __always_inline bool bucket_may_have_failed(const struct soak_slot *slot)
{
	return (slot->flags & SOAK_BUCKET_FAILED) ||
	       slot->visit[SOAK_MAP_FREE].bucket == SOAK_LOCK_EITHER;
}

static __always_inline __u32 worst_of(__u32 kinds)
{
	if (kinds & (1u << FAULT_FORCED))
		return FAULT_FORCED;
	return kinds & (1u << FAULT_CONTENDED) ? FAULT_CONTENDED : FAULT_ORGANIC;
}

/*
 * A selem was freed with a reference in it. Documented where map_free failed the bucket lock; that
 * is known once no visit is under way any more, so whoever leaves last comes here.
 */
__noinline int judge_fields(__u64 selem)
{
	struct soak_slot *slot = slot_of(selem);
	bool failed;

	if (!slot || !(slot->flags & SOAK_FIELDS_LEFT))
		return 0;
	failed = bucket_may_have_failed(slot);
	if (!failed && is_under_visit(slot))
		return 0;
	if (__sync_fetch_and_or(&slot->flags, SOAK_FIELDS_JUDGED) & SOAK_FIELDS_JUDGED)
		return 0;
	if (failed)
		inc(count()->fields_hole[worst_of(slot->visit[SOAK_MAP_FREE].kinds)]);
	else
		inc(count()->fields_left);
	return 0;
}

/* Another object at an address that we remember does not carry the same value. */
static __always_inline bool is_still_ours(const struct soak_slot *slot, __u64 selem)
{
	struct soak_value value;

	return read_value(selem, &value) &&
	       (!(slot->flags & SOAK_FREED) || value.cookie == slot->cookie);
}

/* The first sight of a free. In the callback of a deferred one the fields are still to be freed. */
static __always_inline void fields_at_free(struct soak_slot *slot, __u64 selem, int station)
{
	bool has_ref = read_ref(selem) != 0;

	if (station != AT_QUEUED) {
		if (has_ref)
			__sync_fetch_and_or(&slot->flags, SOAK_HAS_REF);
		return;
	}
	if (!(has_ref && is_still_ours(slot, selem)) && !test_lies(SOAK_LIE_FIELDS_LEFT))
		return;
	__sync_fetch_and_or(&slot->flags, SOAK_FIELDS_LEFT);
	if (!is_under_visit(slot))
		judge_fields(selem);
}

static __always_inline void fields_seen(struct soak_slot *slot, __u64 selem, int copy)
{
	__u32 old = __sync_fetch_and_or(&slot->flags, FIELDS_FREED(copy));

	if (old & FIELDS_FREED(copy)) {
		if (is_still_ours(slot, selem) &&
		    !(__sync_fetch_and_or(&slot->flags, SOAK_FIELDS_TWICE) & SOAK_FIELDS_TWICE))
			inc(count()->fields_twice);
		return;
	}
	if (old & SOAK_FIELDS)
		return; /* the other copy saw this very call */
	inc(count()->fields_freed);
	if (read_ref(selem) && !test_lies_on(SOAK_LIE_REFERENCE))
		inc(count()->refs_freed);
	if (is_map_gone(slot->map_id))
		inc(count()->fields_late);
}

static __always_inline void fields_freed(__u64 selem, int copy)
{
	struct soak_slot *slot = slot_of(selem);

	if (!slot || !(slot->flags & SOAK_HAS_FIELDS))
		return;
	fields_seen(slot, selem, copy);
	if (copy == COPY_B && test_lies(SOAK_LIE_FIELDS_TWICE))
		fields_seen(slot, selem, copy);
}

/* Values without special fields have no record: nothing to look up for most calls. */
#define FIELDS_PROGRAM(suffix, copy)                                      \
	SEC("fentry/bpf_obj_free_fields")                                 \
	int BPF_PROG(fields_##suffix)                                     \
	{                                                                 \
		if (is_ready() && arg_of(ctx, 0))                         \
			fields_freed(arg_of(ctx, 1) - DATA_OFFSET, copy); \
		return 0;                                                 \
	}

FIELDS_PROGRAM(a, COPY_A)
FIELDS_PROGRAM(b, COPY_B)

/*
 * The end of a deferred free: the memory is gone, but what was seen in it before, and whether
 * bpf_obj_free_fields() came by, is in the slot, unless the address has been born again already.
 */
SEC("fexit/bpf_selem_free_trace_rcu")
int BPF_PROG(fields_trace_exit)
{
	struct soak_slot *slot;
	__u32 old;

	if (!is_ready())
		return 0;
	slot = slot_of(arg_of(ctx, 0) - bpf_core_field_offset(struct bpf_local_storage_elem, rcu));
	if (!slot || !(slot->flags & SOAK_HAS_REF) || !(slot->flags & SOAK_FREED))
		return 0;
	old = __sync_fetch_and_and(&slot->flags, ~SOAK_HAS_REF);
	if ((old & SOAK_HAS_REF) && !(old & SOAK_FIELDS))
		inc(count()->fields_left);
	return 0;
}

#endif
