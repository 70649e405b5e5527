/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ledger: every selem and every bpf_local_storage from birth to free, keyed by address.
 *
 * The address is the identity because it is the only thing that every birth has: accept() clones
 * a value, so what is written in the value cannot tell a selem from its copy. An address that is
 * born again without a free proves that we missed the free; one that is freed twice without a
 * birth in between is a double free.
 *
 * The kernel skips a tracing program on a CPU where the same program is already running (another
 * task preempted, or a softirq on top of one). Births and frees are therefore seen by two copies
 * of each program, A and B: an event is lost only when both were busy at once. Each copy keeps
 * its own bits in the slot, so an event is counted once however many copies saw it, and a second
 * free seen by the same copy is a second free.
 */
#ifndef SOAK_LEDGER_BPF_H
#define SOAK_LEDGER_BPF_H

#define COPY_A	    0
#define COPY_B	    1
#define BORN(copy)  ((copy) == COPY_A ? SOAK_BORN_A : SOAK_BORN_B)
#define FREED(copy) ((copy) == COPY_A ? SOAK_FREED_A : SOAK_FREED_B)

/* Stations of a free in the order in which one free can pass them. */
#define AT_CALL	  0 /* bpf_selem_free(), bpf_local_storage_free(), as functions */
#define AT_TRACE  1 /* an RCU tasks trace callback */
#define AT_RCU	  2 /* an RCU callback */
#define AT_QUEUED 3 /* kvfree_call_rcu(), bpf_mem_cache_raw_free(): nothing comes after */

/* No lock of a failed acquisition waited less: RES_DEF_TIMEOUT is 250 ms (rqspinlock.h). */
#define SHORTEST_TIMEOUT_NS 200000000ULL

/* How long freed memory is surely still ours: not beyond a grace period or two. */
#define SECOND_FREE_WINDOW_NS 2000000000ULL

#define STATE_MAP_UNLINKED     1
#define STATE_STORAGE_UNLINKED 2
#define STATE_TOFREE	       4

#define FIND_IN_SET(set, address)                                        \
	({                                                               \
		__typeof__(&(set)->slot[0]) _found = NULL;               \
		_Pragma("unroll") for (int _i = 0; _i < SOAK_WAYS; _i++) \
		{                                                        \
			if ((set)->key[_i] == (address)) {               \
				_found = &(set)->slot[_i];               \
				break;                                   \
			}                                                \
		}                                                        \
		_found;                                                  \
	})

/* Empty slots first, so that the history of freed selems lives as long as it can. */
#define CLAIM_IN_SET(set, address)                                                           \
	({                                                                                   \
		__typeof__(&(set)->slot[0]) _won = NULL;                                     \
		_Pragma("unroll") for (int _i = 0; _i < SOAK_WAYS && !_won; _i++)            \
		{                                                                            \
			if (!(set)->key[_i] &&                                               \
			    __sync_val_compare_and_swap(&(set)->key[_i], 0, (address)) == 0) \
				_won = &(set)->slot[_i];                                     \
		}                                                                            \
		_Pragma("unroll") for (int _i = 0; _i < SOAK_WAYS && !_won; _i++)            \
		{                                                                            \
			__u32 _old = (set)->slot[_i].flags;                                  \
			if ((_old & SOAK_FREED) &&                                           \
			    __sync_val_compare_and_swap(&(set)->slot[_i].flags, _old,        \
							SOAK_CLAIMED) == _old) {             \
				(set)->key[_i] = (address);                                  \
				_won = &(set)->slot[_i];                                     \
			}                                                                    \
		}                                                                            \
		_won;                                                                        \
	})

static __always_inline struct soak_set *set_of(__u64 selem)
{
	__u32 index = set_index(selem, slot_shift);

	return bpf_map_lookup_elem(&slots, &index);
}

static __always_inline struct soak_slot *slot_of(__u64 selem)
{
	struct soak_set *set = set_of(selem);

	return set ? FIND_IN_SET(set, selem) : NULL;
}

static __always_inline struct soak_storage_set *storage_set_of(__u64 storage)
{
	__u32 index = set_index(storage, storage_shift);

	return bpf_map_lookup_elem(&storages, &index);
}

static __always_inline struct soak_storage *storage_of(__u64 storage)
{
	struct soak_storage_set *set = storage_set_of(storage);

	return set ? FIND_IN_SET(set, storage) : NULL;
}

/* Notes an object that something is wrong with, for the finding that the daemon makes of it. */
__noinline int note_suspect(__u32 suspicion, __u64 object, __u64 detail)
{
	struct soak_storage *storage;
	struct soak_suspect *suspect;
	struct soak_slot *slot;
	__u32 index;

	if (suspicion >= SOAK_SUSPECT_NR)
		return 0;
	index = __sync_fetch_and_add(&n_suspects[suspicion], 1);
	if (index >= SOAK_SUSPECTS)
		return 0;
	suspect = &suspects[suspicion][index & (SOAK_SUSPECTS - 1)];
	suspect->object = object;
	suspect->detail = detail;
	suspect->pid = (__u32)bpf_get_current_pid_tgid();
	suspect->cpu = bpf_get_smp_processor_id();
	bpf_get_current_comm(suspect->comm, sizeof(suspect->comm));
	slot = slot_of(object);
	if (slot)
		__builtin_memcpy(&suspect->slot, slot, sizeof(*slot));
	storage = storage_of(object);
	if (storage)
		__builtin_memcpy(&suspect->storage, storage, sizeof(*storage));
	__sync_val_compare_and_swap(&suspect->ns, 0, bpf_ktime_get_ns());
	return 0;
}

#include "fields.bpf.h"

/* Births. */

static __always_inline bool follows_all_kinds(void)
{
	return (control.follow & SOAK_KINDS_ALL) == SOAK_KINDS_ALL;
}

static __always_inline __u32 kind_of(const struct bpf_local_storage_map *smap)
{
	switch (smap->map.map_type) {
	case BPF_MAP_TYPE_TASK_STORAGE:
		return SOAK_TASK;
	case BPF_MAP_TYPE_CGRP_STORAGE:
		return SOAK_CGROUP;
	case BPF_MAP_TYPE_INODE_STORAGE:
		return SOAK_INODE;
	default:
		return SOAK_SK;
	}
}

static __always_inline void slot_init(struct soak_slot *slot, __u64 selem,
				      const struct bpf_local_storage_map *smap, __u64 owner,
				      int copy)
{
	__u32 kind = kind_of(smap);

	slot->key = selem;
	slot->map_id = smap->map.id;
	slot->owner = owner;
	slot->storage = 0;
	slot->birth_ns = bpf_ktime_get_ns();
	slot->free_ns = 0;
	__builtin_memset(slot->visit, 0, sizeof(slot->visit));
	slot->kind = kind;
	slot->elem_size = smap->elem_size;
	slot->free_by = SOAK_FREE_NR;
	slot->flags = BORN(copy) | (has_fields(smap) ? SOAK_HAS_FIELDS : 0);
	inc(count()->births[kind]);
}

static __always_inline void selem_born(__u64 selem, const struct bpf_local_storage_map *smap,
				       __u64 map, __u64 owner, int copy)
{
	struct soak_slot *slot;
	struct soak_set *set;

	if (!is_ready() || !selem)
		return;
	set = set_of(selem);
	if (!set)
		return;
	slot = FIND_IN_SET(set, selem);
	if (slot && !(slot->flags & (SOAK_FREED | BORN(copy)))) {
		__sync_fetch_and_or(&slot->flags, BORN(copy));
		return; /* the other copy saw this very birth */
	}
	if (!is_our_map(&smap->map) || !(control.follow & SOAK_FOLLOW_KIND(kind_of(smap))))
		return;
	if (slot && !(slot->flags & SOAK_FREED))
		inc(count()->reborn);
	if (!slot)
		slot = CLAIM_IN_SET(set, selem);
	if (!slot) {
		inc(count()->table_full);
		return;
	}
	slot_init(slot, selem, smap, owner, copy);
	if (slot->map_id)
		map_seen(map, slot->map_id);
	else /* closed while a program was filling it */
		slot->map_id = id_of_map(map);
}

/* The owner is the caller's: what is known of the first element is old where its birth was missed.
 */
static __always_inline void storage_born(__u64 storage, __u64 owner, const struct soak_slot *first,
					 int copy)
{
	struct soak_storage *slot;
	struct soak_storage_set *set;

	if (!(control.follow & SOAK_FOLLOW_STORAGE))
		return;
	set = storage_set_of(storage);
	if (!set)
		return;
	slot = FIND_IN_SET(set, storage);
	if (!slot) {
		slot = CLAIM_IN_SET(set, storage);
		if (!slot) {
			inc(count()->storage_full);
			return;
		}
	} else if (!(slot->flags & SOAK_FREED)) {
		if (!(slot->flags & BORN(copy))) {
			__sync_fetch_and_or(&slot->flags, BORN(copy));
			return;
		}
		inc(count()->reborn);
	}
	slot->key = storage;
	slot->kind = first->kind;
	slot->owner = owner;
	slot->birth_ns = bpf_ktime_get_ns();
	slot->destroy_ns = 0;
	slot->free_ns = 0;
	slot->fault_kinds = 0;
	slot->pinned_kinds = 0;
	slot->flags = BORN(copy);
	inc(count()->storage_births);
}

#define BLOB_WORDS 64

/*
 * Where in the blob that all LSMs share bpf keeps an inode's storage (bpf_inode(),
 * include/linux/bpf_lsm.h) is known to the kernel alone. A storage that has just been published
 * stands there, and nowhere else.
 */
__noinline int learn_blob(__u64 storage, __u64 address)
{
	const struct soak_storage *slot = storage_of(storage);
	const struct inode *inode = (void *)address;
	__u64 blob;

	if (!bpf_core_field_exists(inode->i_security))
		return 0;
	/* What was read from an element that is gone by now may be anything. */
	if (!slot || slot->owner != address)
		return 0;
	blob = read_u64(&inode->i_security);
	for (int i = 1; blob && i < BLOB_WORDS; i++) {
		if (read_u64((void *)(blob + i * sizeof(__u64))) != storage)
			continue;
		inode_storage_at = i * sizeof(__u64);
		break;
	}
	return 0;
}

/* Frees. */

/* state is read only where the free can have been decided by cmpxchg: both sides came by. */
static __always_inline bool freed_by_cmpxchg(const struct soak_slot *slot, __u64 selem)
{
	struct bpf_local_storage_elem *elem = (void *)selem;
	__u32 state = 0;

	if (!bpf_core_field_exists(elem->state))
		return false;
	if (!slot->visit[SOAK_MAP_FREE].entry_ns || !slot->visit[SOAK_DESTROY].entry_ns)
		return false;
	bpf_probe_read_kernel(&state, sizeof(state), &elem->state);
	return state & STATE_TOFREE;
}

static __always_inline void account_free(struct soak_slot *slot, __u64 selem)
{
	__u32 me = current_thread(), by = SOAK_FREE_PROGRAM;

	if (slot->visit[SOAK_DESTROY].pid == me)
		by = SOAK_FREE_DESTROY;
	else if (slot->visit[SOAK_MAP_FREE].pid == me)
		by = SOAK_FREE_MAP_FREE;
	slot->free_ns = bpf_ktime_get_ns();
	slot->free_by = by;
	slot->cookie = read_u64(
		(void *)(selem + DATA_OFFSET + __builtin_offsetof(struct soak_value, cookie)));
	inc(count()->frees[by & 3]);
	inc(count()->frees_of[slot->kind & (SOAK_KIND_NR - 1)]);
	if (by != SOAK_FREE_PROGRAM && freed_by_cmpxchg(slot, selem))
		inc(count()->frees_by_cmpxchg);
}

/*
 * Marks this copy's bits and tells what they were. A free that goes on to a later station is
 * still the same free, where this kernel has such chains.
 */
static __always_inline bool is_second_free(__u32 *flags, int copy, int station, __u32 *ret_old)
{
	__u32 this_and_later = 0, old;

	for (int i = frees_are_chained ? station : 0; i < SOAK_STATIONS; i++)
		this_and_later |= SOAK_STATION(copy, i);
	old = __sync_fetch_and_or(flags, FREED(copy) | SOAK_STATION(copy, station));
	*ret_old = old;
	return old & this_and_later;
}

/*
 * Other objects come to live at an address that we remember as freed, and are freed too. A
 * second free of ours finds our own value still there.
 */
static __always_inline bool is_same_selem(const struct soak_slot *slot, __u64 selem)
{
	struct soak_value value;

	return read_value(selem, &value) && value.cookie == slot->cookie;
}

/*
 * Others hand objects to kvfree_call_rcu() with an rcu_head at the same place, as the network does
 * with the groups that an interface has joined (struct ip_mc_list). Until destroy() has been there
 * a storage holds its owner, who or whatever that is.
 */
static __always_inline bool holds_owner(const struct soak_storage *slot, __u64 address)
{
	const struct bpf_local_storage *storage = (void *)address;
	__u32 refs = 0;

	if (!bpf_core_field_exists(storage->owner_refcnt) || (slot->flags & SOAK_DESTROYED))
		return true;
	bpf_probe_read_kernel(&refs, sizeof(refs), &storage->owner_refcnt);
	return refs;
}

/* A storage carries no mark of ours but its owner, and that may be NULL at either free. */
static __always_inline void storage_freed_again(const struct soak_storage *slot, __u64 storage,
						int station)
{
	__u64 owner = read_u64(&((struct bpf_local_storage *)storage)->owner);

	if (owner != slot->owner_at_free)
		return;
	if (owner) {
		inc(count()->storage_freed_twice);
		note_suspect(SOAK_SUSPECT_STORAGE_DOUBLE_FREE, storage, station);
		return;
	}
	if (bpf_ktime_get_ns() - slot->free_ns < SECOND_FREE_WINDOW_NS &&
	    holds_owner(slot, storage))
		inc(count()->storage_freed_again);
}

/*
 * A storage that was never published: bpf_local_storage_alloc() failed a lock and frees it with
 * its first selem still on the list. Its birth was not seen, and the address may be known as that
 * of an earlier one.
 */
static __always_inline bool is_stillborn(__u64 storage)
{
	return read_u64(&((struct bpf_local_storage *)storage)->list.first) != 0;
}

static __always_inline bool first_to_tell(__u32 *flags)
{
	return !(__sync_fetch_and_or(flags, SOAK_DOUBLE) & SOAK_DOUBLE);
}

#if SOAK_TEST_HOOKS
/* Not below zero, whoever else takes one at this time. */
static __always_inline bool takes_one(__u32 *left)
{
	__u32 n = *(volatile __u32 *)left;

	return n && __sync_val_compare_and_swap(left, n, n - 1) == n;
}

/* Both copies must lose it, and at each station; either may be skipped at any time. */
static __always_inline bool test_drops_free(struct soak_slot *slot)
{
	if (slot->flags & SOAK_TEST_DROPPED)
		return true;
	if ((slot->flags & SOAK_FREED) || !takes_one(&control.drop_free))
		return false;
	__sync_fetch_and_or(&slot->flags, SOAK_TEST_DROPPED);
	return true;
}
#endif

/*
 * What was deleted or replaced may still be in the hands of a sleepable program, so it goes by
 * call_rcu_tasks_trace(): bpf_selem_free() with reuse_now false. Those that go at once are what
 * visits freed, which clear smap or local_storage, and what was never published: not on a list
 * (local_storage NULL), or on that of a stillborn storage.
 */
static __always_inline bool is_freed_early(const struct soak_slot *slot, __u64 selem)
{
	const struct bpf_local_storage_elem *elem = (void *)selem;

	/* About any that goes at once: a short run may have none that would have to be looked at.
	 */
	if (test_lies(SOAK_LIE_EARLY))
		return true;
	if (slot->free_by != SOAK_FREE_PROGRAM || slot->visit[SOAK_MAP_FREE].entry_ns ||
	    slot->visit[SOAK_DESTROY].entry_ns)
		return false;
	return read_u64(&elem->local_storage) && read_u64(&elem->sdata.smap) &&
	       !read_u64(&elem->snode.pprev) && is_still_ours(slot, selem);
}

static __always_inline void slot_freed(struct soak_slot *slot, __u64 selem, int copy, int station)
{
	__u32 old;

	if (is_second_free(&slot->flags, copy, station, &old)) {
		if (is_same_selem(slot, selem) && first_to_tell(&slot->flags)) {
			inc(count()->double_frees);
			note_suspect(SOAK_SUSPECT_DOUBLE_FREE, selem, station);
		}
		return;
	}
	if (old & SOAK_FREED)
		return;
	account_free(slot, selem);
	if (station == AT_TRACE && !frees_are_chained && is_map_gone(slot->map_id))
		inc(count()->fields_late);
	if (station == AT_QUEUED && !frees_are_chained && is_freed_early(slot, selem))
		inc(count()->freed_early);
	if (slot->flags & SOAK_HAS_FIELDS)
		fields_at_free(slot, selem, station);
}

#if SOAK_TEST_HOOKS
/* Of one sort, so that what is forged has the same signature each time. */
static __always_inline bool is_by_destroy_alone(const struct soak_slot *slot)
{
	return slot->visit[SOAK_DESTROY].pid == current_thread() &&
	       !slot->visit[SOAK_MAP_FREE].entry_ns;
}
#endif

static __always_inline void selem_freed(__u64 selem, int copy, int station)
{
	struct soak_slot *slot = slot_of(selem);
	struct soak_value value;

	if (!slot) {
		if (copy == COPY_A && follows_all_kinds() && read_value(selem, &value))
			inc(count()->unknown_frees);
		return;
	}
#if SOAK_TEST_HOOKS
	if (test_drops_free(slot))
		return;
	if (copy == COPY_B && is_by_destroy_alone(slot) && takes_one(&control.forge_free))
		slot_freed(slot, selem, copy, station);
#endif
	slot_freed(slot, selem, copy, station);
}

static __always_inline void storage_freed(__u64 storage, int copy, int station)
{
	struct soak_storage *slot = storage_of(storage);
	__u32 old;

	if (!slot)
		return;
	if (is_second_free(&slot->flags, copy, station, &old)) {
		if (!is_stillborn(storage) && first_to_tell(&slot->flags))
			storage_freed_again(slot, storage, station);
		return;
	}
	if (old & SOAK_FREED)
		return;
	slot->free_ns = bpf_ktime_get_ns();
	slot->owner_at_free = read_u64(&((struct bpf_local_storage *)storage)->owner);
	inc(count()->storage_frees);
}

/* Visits. */

static __always_inline __u8 entry_bits(const struct bpf_local_storage_elem *selem)
{
	__u8 bits = SOAK_ENTRY_SEEN;

	if (selem->sdata.smap)
		bits |= SOAK_ENTRY_SMAP;
	if (selem->local_storage)
		bits |= SOAK_ENTRY_STORAGE;
	if (selem->map_node.pprev)
		bits |= SOAK_ENTRY_MAP_LINKED;
	if (selem->snode.pprev)
		bits |= SOAK_ENTRY_STORAGE_LINKED;
	return bits;
}

static __always_inline __u8 failed_as(__u64 duration)
{
	return duration < SHORTEST_TIMEOUT_NS ? SOAK_LOCK_DEADLOCK : SOAK_LOCK_TIMEOUT;
}

#define LOCK_ATTEMPTED (1u << 0)
#define LOCK_CERTAIN   (1u << 1)
#define LOCK_LINKED    (1u << 2)
#define LOCK_DOUBT     (1u << 3)

/*
 * The result of one lock. "certain" is what only a failure leaves behind; without it the lock
 * was taken, or it failed and the other side did the unlinking meanwhile: told apart by time
 * where possible, since no failure is that quick and no other side means no doubt.
 *
 * Like the others below a global function: the verifier looks at it once, and takes its result
 * for any number, instead of following every combination of both locks' results to the end.
 */
__noinline __u32 lock_result(__u32 bits, __u64 duration)
{
	if (!(bits & LOCK_ATTEMPTED))
		return SOAK_LOCK_SKIPPED;
	if (bits & LOCK_CERTAIN)
		return failed_as(duration);
	if ((bits & LOCK_DOUBT) && duration >= SHORTEST_TIMEOUT_NS)
		return SOAK_LOCK_EITHER;
	return bits & LOCK_LINKED ? SOAK_LOCK_OK : SOAK_LOCK_GONE;
}

static __always_inline bool has_failed(__u8 result)
{
	return result == SOAK_LOCK_TIMEOUT || result == SOAK_LOCK_DEADLOCK;
}

static __always_inline void log_fault(const struct soak_slot *slot, __u32 site, __u32 result,
				      __u32 kind, __u64 duration)
{
	__u32 index = __sync_fetch_and_add(&n_faults, 1);
	struct soak_fault *fault = bpf_map_lookup_elem(&faults, &index);

	if (!fault) {
		inc(count()->faults_lost);
		return;
	}
	fault->selem = slot->key;
	fault->storage = slot->storage;
	fault->owner = slot->owner;
	fault->map_id = slot->map_id;
	fault->site = site;
	fault->result = result;
	fault->duration_us = duration / 1000;
	fault->kind = kind;
	__sync_val_compare_and_swap(&fault->ns, 0, bpf_ktime_get_ns());
}

/*
 * The owner's bpf_local_storage may be what leaks: a selem that destroy() cannot take off the list
 * keeps it from becoming empty.
 */
static __always_inline void mark_storage(__u64 address, __u32 site, __u32 kind)
{
	struct soak_storage *storage = address ? storage_of(address) : NULL;

	if (!storage)
		return;
	__sync_fetch_and_or(&storage->fault_kinds, 1u << kind);
	if (site == SOAK_SITE_DESTROY_STORAGE)
		__sync_fetch_and_or(&storage->pinned_kinds, 1u << kind);
}

/*
 * A lock that somebody holds is waited for as long as the kernel says; and there are no deadlocks
 * to be found, since nobody takes these locks in another order than storage, bucket.
 */
static __always_inline bool is_hasty(__u32 result, __u32 kind, __u64 duration)
{
	return kind == FAULT_ORGANIC &&
	       (result == SOAK_LOCK_DEADLOCK || duration < SHORTEST_TIMEOUT_NS);
}

/* How long it took, and how it failed, of one lock of the visit that has just ended. */
__noinline int count_fault(__u64 selem, __u32 site, __u32 result, __u32 kind, __u64 duration)
{
	struct soak_slot *slot = slot_of(selem);
	struct soak_visit *visit;
	struct soak_value value;
	struct soak_plan *plan;

	if (!slot || site > SOAK_SITE_DESTROY_STORAGE || kind >= FAULT_NR)
		return 0;
	visit = site < SOAK_SITE_DESTROY_BUCKET ? &slot->visit[SOAK_MAP_FREE]
						: &slot->visit[SOAK_DESTROY];
	visit->kinds |= 1u << kind;
	if (site == SOAK_SITE_MAP_FREE_BUCKET)
		__sync_fetch_and_or(&slot->flags, SOAK_BUCKET_FAILED);
	if (result == SOAK_LOCK_TIMEOUT)
		inc(count()->timeouts[kind][site]);
	else
		inc(count()->deadlocks[kind][site]);
	if (is_hasty(result, kind, duration))
		inc(count()->hasty_locks);
	mark_storage(slot->storage, site, kind);
	log_fault(slot, site, result, kind, duration);
	if (kind != FAULT_ORGANIC || !read_value(slot->key, &value))
		return 0;
	plan = plan_of(&value);
	if (plan)
		inc(plan->timeouts);
	return 0;
}

static __always_inline void visit_enter(const struct bpf_local_storage_elem *selem, __u64 address,
					bool map_free)
{
	struct soak_slot *slot = slot_of(address);
	struct soak_visit *visit;
	__u64 storage;

	if (!slot)
		return;
	visit = map_free ? &slot->visit[SOAK_MAP_FREE] : &slot->visit[SOAK_DESTROY];
	if (visit->pid == current_thread())
		return; /* the other copy has been here */
	storage = read_u64(&selem->local_storage);
	if (storage)
		slot->storage = storage;
	visit->entry_bits = entry_bits(selem);
	visit->entry_ns = bpf_ktime_get_ns();
	visit->pid = current_thread();
}

/* What a frame tells, in one word, as a global function returns it. */
#define TOLD_FOUND	   (1u << 31)
#define TOLD_EXACT	   (1u << 30)
#define TOLD_APPOINTED	   (1u << 29)
#define TOLD_BUCKET(told)  ((told)&0xff)
#define TOLD_STORAGE(told) ((told) >> 8 & 0xff)

/*
 * A softirq has frames of its own, beside those of the task that it came upon. Both stay when the
 * call is over, and tell of whatever object was at that address then.
 */
static __always_inline bool is_frame_of(const struct rqf_frame *frame, __u64 task, __u32 func)
{
	if (!&__preempt_count)
		return (frame->key & ~RQF_SOFTIRQ) == RQF_KEY(task, func, 0);
	return frame->key == RQF_KEY(task, func, preempt_count() & SOFTIRQ_SERVED);
}

/*
 * The frame of this task's call of func; of a visit: of that selem and side. A global function, so
 * that the verifier looks at it once.
 */
__noinline __u32 read_frame(__u32 func, __u64 selem, __u32 map_free)
{
	__u64 task = bpf_get_current_task();
	__u64 set = control.frames + RQF_SET(task) * RQF_WAYS * sizeof(struct rqf_frame);
	struct rqf_frame frame;

	for (int i = 0; i < RQF_WAYS; i++) {
		if (bpf_probe_read_kernel(&frame, sizeof(frame), (void *)(set + i * sizeof(frame))))
			return 0;
		if (!is_frame_of(&frame, task, func))
			continue;
		if (func == RQF_NOFAIL && (frame.selem != selem || frame.map_free != map_free))
			continue;
		return TOLD_FOUND | (frame.exact ? TOLD_EXACT : 0) |
		       (frame.duel ? TOLD_APPOINTED : 0) | frame.result[RQF_BUCKET] |
		       frame.result[RQF_STORAGE] << 8;
	}
	return 0;
}

/* A result and, when the lock failed, the kind of fault. */
#define RESULT(result, kind) ((__u32)(result) | (__u32)(kind) << 8)
#define RESULT_OF(packed)    ((packed)&0xff)
#define KIND_OF(packed)	     ((packed) >> 8 & 0xff)

/*
 * What was deduced, set right by what the module recorded of that lock, if it did: with the module
 * armed no lock fails unseen, except where a probe was skipped.
 */
__noinline __u32 set_right(__u32 deduced, __u32 bits, __u32 told, __u32 recorded)
{
	if (!control.frames)
		return RESULT(deduced, FAULT_ORGANIC);
	if (!(told & TOLD_FOUND)) /* too quick to be organic: at worst what was asked for */
		return RESULT(deduced, control.synthetic);
	if (recorded == RQF_OK)
		return RESULT(SOAK_LOCK_OK, FAULT_ORGANIC);
	if (recorded == RQF_GONE)
		return RESULT(SOAK_LOCK_GONE, FAULT_ORGANIC);
	if (recorded >= RQF_ORGANIC_TIMEOUT) {
		recorded -= RQF_ORGANIC_TIMEOUT;
		return RESULT(recorded & 1 ? SOAK_LOCK_DEADLOCK : SOAK_LOCK_TIMEOUT, recorded / 2);
	}
	if (told & TOLD_EXACT)
		return RESULT(SOAK_LOCK_SKIPPED, FAULT_ORGANIC);
	/* Got at once: nothing failed. */
	if (deduced == SOAK_LOCK_EITHER)
		deduced = bits & LOCK_LINKED ? SOAK_LOCK_OK : SOAK_LOCK_GONE;
	return RESULT(deduced, FAULT_ORGANIC);
}

static __always_inline __u32 outcome_of(const struct soak_slot *slot, bool map_free, __u32 bucket,
					__u32 storage)
{
	const struct soak_visit *visit = &slot->visit[map_free ? SOAK_MAP_FREE : SOAK_DESTROY];
	__u32 side = map_free ? SOAK_FREE_MAP_FREE : SOAK_FREE_DESTROY;

	if (bucket == SOAK_LOCK_OK && storage == SOAK_LOCK_OK)
		return SOAK_FREED_HERE;
	/* map_free() may come back to what it freed in an earlier visit. */
	if (!(slot->flags & SOAK_FREED) || slot->free_by != side || slot->free_ns < visit->entry_ns)
		return SOAK_LEFT;
	return SOAK_FREED_CMPXCHG;
}

static __always_inline __u32 kind_of_visit(__u32 bucket, __u32 storage)
{
	__u32 kind = SOAK_NO_FAULT;

	if (has_failed(RESULT_OF(bucket)))
		kind = KIND_OF(bucket);
	if (has_failed(RESULT_OF(storage)) && (kind == SOAK_NO_FAULT || KIND_OF(storage) > kind))
		kind = KIND_OF(storage);
	return kind;
}

/* Returns the outcome. */
__noinline __u32 count_visit(__u64 selem, __u32 map_free, __u32 packed_bucket, __u32 packed_storage)
{
	__u32 bucket = RESULT_OF(packed_bucket), storage = RESULT_OF(packed_storage);
	__u32 kind = kind_of_visit(packed_bucket, packed_storage), outcome;
	struct soak_slot *slot = slot_of(selem);
	struct soak_counters *c = count();

	if (!slot || bucket >= SOAK_LOCK_NR || storage >= SOAK_LOCK_NR || kind >= SOAK_COVER_KINDS)
		return SOAK_OUTCOME_NR;
	outcome = outcome_of(slot, map_free, bucket, storage);
	inc(c->coverage[map_free ? SOAK_MAP_FREE : SOAK_DESTROY][bucket][storage][outcome][kind]);
	if (outcome != SOAK_FREED_HERE)
		inc(c->lockless[map_free ? SOAK_MAP_FREE : SOAK_DESTROY]);
	return outcome;
}

/* Before the visit counts as over: who finds it over must find its failures, too. */
__noinline int mark_failed(__u64 selem, __u32 map_free, __u32 bucket, __u32 storage)
{
	struct soak_slot *slot = slot_of(selem);
	__u8 failed = 0;

	if (!slot)
		return 0;
	if (has_failed(bucket))
		failed |= SOAK_FAILED_BUCKET;
	if (has_failed(storage))
		failed |= SOAK_FAILED_STORAGE;
	slot->visit[map_free ? SOAK_MAP_FREE : SOAK_DESTROY].failed |= failed;
	return 0;
}

/*
 * What the failed locks of its visits leave it on when it is freed (daemon/model.c): its bucket, if
 * map_free() failed the bucket lock; its owner's list, if destroy() failed the storage lock. What a
 * visit that is still under way failed is not known yet.
 */
static __always_inline bool is_linked_by_fault(const struct soak_slot *slot, __u32 after)
{
	const struct soak_visit *map_free = &slot->visit[SOAK_MAP_FREE];
	const struct soak_visit *destroy = &slot->visit[SOAK_DESTROY];

	if ((after & SOAK_ENTRY_MAP_LINKED) && !map_free->pid &&
	    !(map_free->failed & SOAK_FAILED_BUCKET))
		return false;
	return !(after & SOAK_ENTRY_STORAGE_LINKED) || destroy->pid ||
	       (destroy->failed & SOAK_FAILED_STORAGE);
}

/*
 * Freed, and still hashed in its bucket or on its owner's list: whoever walks or changes that list
 * later touches freed memory.
 */
__noinline int count_linked(__u64 selem, __u32 after)
{
	struct soak_slot *slot = slot_of(selem);
	__u32 kinds, kind = control.frames ? control.synthetic : FAULT_ORGANIC;

	if (!slot)
		return 0;
	if (!is_linked_by_fault(slot, after)) {
		inc(count()->freed_linked_unexplained);
		return 0;
	}
	kinds = slot->visit[SOAK_MAP_FREE].kinds | slot->visit[SOAK_DESTROY].kinds;
	if (kinds & (1u << FAULT_FORCED))
		kind = FAULT_FORCED;
	else if (kinds & (1u << FAULT_CONTENDED))
		kind = FAULT_CONTENDED;
	else if (kinds)
		kind = FAULT_ORGANIC;
	if (kind >= FAULT_NR)
		return 0;
	inc(count()->freed_linked[kind]);
	note_suspect(SOAK_SUSPECT_LINKED, selem, kind);
	return 0;
}

static __always_inline void visit_exit(const struct bpf_local_storage_elem *selem, __u64 address,
				       bool map_free)
{
	__u32 entry, after, doubt, told = 0, bucket, storage, outcome;
	struct soak_slot *slot = slot_of(address);
	struct soak_visit *visit, *other;
	__u64 duration;

	if (!slot)
		return;
	visit = map_free ? &slot->visit[SOAK_MAP_FREE] : &slot->visit[SOAK_DESTROY];
	/* The other copy has been here, or both entries were missed. */
	if (visit->pid != current_thread())
		return;
	other = map_free ? &slot->visit[SOAK_DESTROY] : &slot->visit[SOAK_MAP_FREE];
	after = any_number(entry_bits(selem));
	entry = visit->entry_bits;
	duration = bpf_ktime_get_ns() - visit->entry_ns;
	doubt = other->entry_ns ? LOCK_DOUBT : 0;
	if (control.frames)
		told = read_frame(RQF_NOFAIL, address, map_free);
	if (told & TOLD_EXACT)
		inc(count()->exact_visits);

	bucket = doubt | (entry & SOAK_ENTRY_SMAP ? LOCK_ATTEMPTED : 0) |
		 (entry & SOAK_ENTRY_MAP_LINKED ? LOCK_LINKED : 0) |
		 (after & (map_free ? SOAK_ENTRY_MAP_LINKED : SOAK_ENTRY_SMAP) ? LOCK_CERTAIN : 0);
	bucket = any_number(bucket);
	bucket = set_right(lock_result(bucket, duration), bucket, told, TOLD_BUCKET(told));
	storage =
		doubt | (entry & SOAK_ENTRY_STORAGE ? LOCK_ATTEMPTED : 0) |
		(entry & SOAK_ENTRY_STORAGE_LINKED ? LOCK_LINKED : 0) |
		(after & (map_free ? SOAK_ENTRY_STORAGE : SOAK_ENTRY_STORAGE_LINKED) ? LOCK_CERTAIN
										     : 0);
	storage = any_number(storage);
	storage = set_right(lock_result(storage, duration), storage, told, TOLD_STORAGE(told));

	visit->bucket = RESULT_OF(bucket);
	visit->storage = RESULT_OF(storage);
	visit->state = selem->state.counter;
	visit->duration_us = duration / 1000;
	mark_failed(address, map_free, visit->bucket, visit->storage);
	visit->pid = 0;
	if (visit->visits < 255)
		visit->visits++;
	outcome = count_visit(address, map_free, bucket, storage);
	count_max(visit_max_ns, duration);
	if (has_failed(RESULT_OF(bucket)))
		count_fault(address,
			    map_free ? SOAK_SITE_MAP_FREE_BUCKET : SOAK_SITE_DESTROY_BUCKET,
			    RESULT_OF(bucket), KIND_OF(bucket), duration);
	if (has_failed(RESULT_OF(storage)))
		count_fault(address,
			    map_free ? SOAK_SITE_MAP_FREE_STORAGE : SOAK_SITE_DESTROY_STORAGE,
			    RESULT_OF(storage), KIND_OF(storage), duration);
	if (outcome == SOAK_FREED_CMPXCHG &&
	    (after & (SOAK_ENTRY_MAP_LINKED | SOAK_ENTRY_STORAGE_LINKED)))
		count_linked(address, after);
	if (slot->flags & SOAK_FIELDS_LEFT)
		judge_fields(address);
}

/* Programs, in pairs where a lost event would be a false leak. */

/* kernel/bpf/helpers.c, since 6.10 */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/*
 * A program that is preempted is skipped on its CPU until it goes on, and where one task is
 * preempted in copy A and another in copy B, what others do there goes past both for as long: seen
 * of births of clones, up to 1 in 800, of frees, 19 to 82 at once in a run of seconds, and of ends
 * of map_free(). Without preemption only an interrupt comes between, which finds the other copy
 * free; what is left are some instructions of the trampoline before and after.
 */
static __always_inline void preempt_off(void)
{
	if (bpf_preempt_disable)
		bpf_preempt_disable();
}

static __always_inline void preempt_on(void)
{
	if (bpf_preempt_enable)
		bpf_preempt_enable();
}

#define BORN_PROGRAM(suffix, copy)                                                                 \
	SEC("fexit/bpf_selem_alloc")                                                               \
	int BPF_PROG(selem_alloc_##suffix, struct bpf_local_storage_map *smap)                     \
	{                                                                                          \
		preempt_off();                                                                     \
		selem_born(ret_of(ctx), smap, arg_of(ctx, 0), arg_of(ctx, 1), copy);               \
		preempt_on();                                                                      \
		return 0;                                                                          \
	}                                                                                          \
                                                                                                   \
	SEC("fexit/bpf_local_storage_alloc")                                                       \
	int BPF_PROG(storage_alloc_##suffix, void *owner, struct bpf_local_storage_map *smap,      \
		     struct bpf_local_storage_elem *first)                                         \
	{                                                                                          \
		struct soak_slot *slot;                                                            \
                                                                                                   \
		if ((int)ret_of(ctx) || !is_ready())                                               \
			return 0;                                                                  \
		preempt_off();                                                                     \
		slot = slot_of(arg_of(ctx, 2));                                                    \
		if (slot)                                                                          \
			storage_born(read_u64(&first->local_storage), arg_of(ctx, 0), slot, copy); \
		if (slot && slot->kind == SOAK_INODE && !inode_storage_at)                         \
			learn_blob(read_u64(&first->local_storage), arg_of(ctx, 0));               \
		preempt_on();                                                                      \
		return 0;                                                                          \
	}

BORN_PROGRAM(a, COPY_A)
BORN_PROGRAM(b, COPY_B)

/*
 * Each place where a selem or a storage is handed to be freed. Which exist as functions differs
 * between kernels and builds, and the daemon attaches what is there: kvfree_call_rcu() serves
 * kfree_rcu() of both kinds (mm/slab_common.c), told apart by where the rcu_head lies; the
 * functions with underscores and bpf_mem_cache_raw_free() are those of kernels before 7.0.
 */
#define FREE_CALLBACK(name, function, type, freed, copy, station)                             \
	SEC("fentry/" function)                                                               \
	int BPF_PROG(name)                                                                    \
	{                                                                                     \
		preempt_off();                                                                \
		if (is_ready())                                                               \
			freed(arg_of(ctx, 0) - bpf_core_field_offset(struct type, rcu), copy, \
			      station);                                                       \
		preempt_on();                                                                 \
		return 0;                                                                     \
	}

static __always_inline void kvfree_queued(__u64 head, __u64 object, int copy)
{
	__u64 offset = head - object;

	if (offset == bpf_core_field_offset(struct bpf_local_storage_elem, rcu))
		selem_freed(object, copy, AT_QUEUED);
	if (offset == bpf_core_field_offset(struct bpf_local_storage, rcu))
		storage_freed(object, copy, AT_QUEUED);
}

#define FREE_PROGRAM(suffix, copy)                                                                 \
	SEC("fentry/kvfree_call_rcu")                                                              \
	int BPF_PROG(kvfree_##suffix)                                                              \
	{                                                                                          \
		preempt_off();                                                                     \
		if (is_ready())                                                                    \
			kvfree_queued(arg_of(ctx, 0), arg_of(ctx, 1), copy);                       \
		preempt_on();                                                                      \
		return 0;                                                                          \
	}                                                                                          \
                                                                                                   \
	SEC("fentry/bpf_selem_free")                                                               \
	int BPF_PROG(selem_call_##suffix)                                                          \
	{                                                                                          \
		preempt_off();                                                                     \
		if (is_ready())                                                                    \
			selem_freed(arg_of(ctx, 0), copy, AT_CALL);                                \
		preempt_on();                                                                      \
		return 0;                                                                          \
	}                                                                                          \
                                                                                                   \
	SEC("fentry/bpf_local_storage_free")                                                       \
	int BPF_PROG(storage_call_##suffix)                                                        \
	{                                                                                          \
		preempt_off();                                                                     \
		if (is_ready())                                                                    \
			storage_freed(arg_of(ctx, 0), copy, AT_CALL);                              \
		preempt_on();                                                                      \
		return 0;                                                                          \
	}                                                                                          \
                                                                                                   \
	SEC("fentry/bpf_mem_cache_raw_free")                                                       \
	int BPF_PROG(raw_free_##suffix)                                                            \
	{                                                                                          \
		preempt_off();                                                                     \
		if (is_ready()) {                                                                  \
			selem_freed(arg_of(ctx, 0), copy, AT_QUEUED);                              \
			storage_freed(arg_of(ctx, 0), copy, AT_QUEUED);                            \
		}                                                                                  \
		preempt_on();                                                                      \
		return 0;                                                                          \
	}                                                                                          \
                                                                                                   \
	FREE_CALLBACK(selem_trace_##suffix, "bpf_selem_free_trace_rcu", bpf_local_storage_elem,    \
		      selem_freed, copy, AT_TRACE)                                                 \
	FREE_CALLBACK(selem_trace2_##suffix, "__bpf_selem_free_trace_rcu", bpf_local_storage_elem, \
		      selem_freed, copy, AT_TRACE)                                                 \
	FREE_CALLBACK(selem_rcu_##suffix, "bpf_selem_free_rcu", bpf_local_storage_elem,            \
		      selem_freed, copy, AT_RCU)                                                   \
	FREE_CALLBACK(storage_trace_##suffix, "bpf_local_storage_free_trace_rcu",                  \
		      bpf_local_storage, storage_freed, copy, AT_TRACE)                            \
	FREE_CALLBACK(storage_trace2_##suffix, "__bpf_local_storage_free_trace_rcu",               \
		      bpf_local_storage, storage_freed, copy, AT_TRACE)                            \
	FREE_CALLBACK(storage_rcu_##suffix, "bpf_local_storage_free_rcu", bpf_local_storage,       \
		      storage_freed, copy, AT_RCU)

FREE_PROGRAM(a, COPY_A)
FREE_PROGRAM(b, COPY_B)

/* Twice: a missed visit is a missed fault, and what leaks by it would look like a bug. */
#define NOFAIL_PROGRAM(suffix)                                                                  \
	SEC("fentry/bpf_selem_unlink_nofail")                                                   \
	int BPF_PROG(nofail_enter_##suffix, struct bpf_local_storage_elem *selem, void *bucket) \
	{                                                                                       \
		preempt_off();                                                                  \
		if (is_ready())                                                                 \
			visit_enter(selem, arg_of(ctx, 0), bucket != NULL);                     \
		preempt_on();                                                                   \
		return 0;                                                                       \
	}                                                                                       \
                                                                                                \
	SEC("fexit/bpf_selem_unlink_nofail")                                                    \
	int BPF_PROG(nofail_exit_##suffix, struct bpf_local_storage_elem *selem, void *bucket)  \
	{                                                                                       \
		preempt_off();                                                                  \
		if (is_ready())                                                                 \
			visit_exit(selem, arg_of(ctx, 0), bucket != NULL);                      \
		preempt_on();                                                                   \
		return 0;                                                                       \
	}

NOFAIL_PROGRAM(a)
NOFAIL_PROGRAM(b)

SEC("fentry/bpf_local_storage_destroy")
int BPF_PROG(destroy_enter)
{
	struct soak_storage *slot;

	if (!is_ready())
		return 0;
	slot = storage_of(arg_of(ctx, 0));
	if (!slot)
		return 0;
	slot->destroy_ns = bpf_ktime_get_ns();
	inc(count()->destroys);
	return 0;
}

static __always_inline void destroy_left(__u64 storage)
{
	struct soak_storage *slot = storage_of(storage);
	__u64 duration;

	if (!slot || !slot->destroy_ns)
		return;
	/* The other copy has been here. */
	if (__sync_fetch_and_or(&slot->flags, SOAK_DESTROYED) & SOAK_DESTROYED)
		return;
	inc(count()->destroys_done);
	duration = bpf_ktime_get_ns() - slot->destroy_ns;
	count_max(destroy_max_ns, duration);
}

/* Twice: a destroy() whose end is missed looks like one that spins for ever. */
#define DESTROY_PROGRAM(suffix)                       \
	SEC("fexit/bpf_local_storage_destroy")        \
	int BPF_PROG(destroy_exit_##suffix)           \
	{                                             \
		if (is_ready())                       \
			destroy_left(arg_of(ctx, 0)); \
		return 0;                             \
	}

DESTROY_PROGRAM(a)
DESTROY_PROGRAM(b)

/*
 * Each entry is a worker's, which does one thing after the other: nobody else writes to it. Of two
 * copies the first enters or takes out the map, the other finds that done. The map is freed memory
 * at exit: known by its address alone. Without preemption, since many come out of one rcu_barrier()
 * at once, and crowd past both copies.
 */
static __always_inline struct soak_map_free *map_free_entry(__u32 pid, __u32 way)
{
	return &map_frees[SOAK_MAP_FREE_PLACE(pid, way)];
}

static __always_inline struct soak_map_free *map_free_of(__u32 pid)
{
	for (__u32 way = 0; way < SOAK_MAP_FREE_WAYS; way++) {
		struct soak_map_free *entry = map_free_entry(pid, way);

		if (entry->pid == pid)
			return entry;
	}
	return NULL;
}

static __always_inline void map_free_over(struct soak_map_free *entry)
{
	map_went(entry->map_id);
	inc(count()->map_frees_done);
	count_max(map_free_max_ns, bpf_ktime_get_ns() - entry->start_ns);
	entry->start_ns = 0;
	barrier();
	entry->pid = 0;
}

static __always_inline void map_free_begun(__u64 address, __u32 map_id, __u32 pid)
{
	inc(count()->map_frees);
	for (__u32 way = 0; way < SOAK_MAP_FREE_WAYS; way++) {
		struct soak_map_free *entry = map_free_entry(pid, way);

		if (entry->pid || __sync_val_compare_and_swap(&entry->pid, 0, pid))
			continue;
		entry->map = address;
		entry->map_id = map_id;
		entry->start_ns = bpf_ktime_get_ns();
		return;
	}
}

static __always_inline void map_free_entered(__u64 address)
{
	__u32 map_id = id_of_map(address), pid = (__u32)bpf_get_current_pid_tgid();
	struct soak_map_free *entry = map_free_of(pid);

	if (entry) {
		/* The other copy has been here, unless it is another map in the same memory. */
		if (entry->map == address && (entry->map_id == map_id || !entry->map_id || !map_id))
			return;
		map_free_over(entry);
	}
	map_free_begun(address, map_id, pid);
}

static __always_inline void map_free_left(__u64 address)
{
	struct soak_map_free *entry = map_free_of((__u32)bpf_get_current_pid_tgid());

	if (entry && entry->map == address)
		map_free_over(entry);
}

/* A worker that is done with any work is done with the map_free() that was part of it. */
static __always_inline void work_ended(void)
{
	struct soak_map_free *entry = map_free_of((__u32)bpf_get_current_pid_tgid());

	if (entry)
		map_free_over(entry);
}

#define MAP_FREE_PROGRAM(suffix)                                   \
	SEC("fentry/bpf_local_storage_map_free")                   \
	int BPF_PROG(map_free_enter_##suffix, struct bpf_map *map) \
	{                                                          \
		preempt_off();                                     \
		if (is_ready() && is_our_map(map))                 \
			map_free_entered(arg_of(ctx, 0));          \
		preempt_on();                                      \
		return 0;                                          \
	}                                                          \
                                                                   \
	SEC("fexit/bpf_local_storage_map_free")                    \
	int BPF_PROG(map_free_exit_##suffix)                       \
	{                                                          \
		preempt_off();                                     \
		if (is_ready())                                    \
			map_free_left(arg_of(ctx, 0));             \
		preempt_on();                                      \
		return 0;                                          \
	}

MAP_FREE_PROGRAM(a)
MAP_FREE_PROGRAM(b)

/*
 * A third pair of eyes around the other two, of which nothing is asked but that it is seldom away
 * when those are: bpf_map_free_deferred() in kernel/bpf/syscall.c, where maps are freed, and
 * process_one_work() in kernel/workqueue.c. An end that all have missed is noticed when the worker
 * has done its next work, whatever that is.
 */
SEC("fentry/bpf_map_free_deferred")
int BPF_PROG(map_free_deferred)
{
	__u64 address = arg_of(ctx, 0) - bpf_core_field_offset(struct bpf_map, work);

	if (is_ready() && is_our_map((const struct bpf_map *)address))
		map_free_entered(address);
	return 0;
}

SEC("tp_btf/workqueue_execute_end")
int BPF_PROG(work_end)
{
	if (is_ready())
		work_ended();
	return 0;
}

/* Nothing else may be charged to a dying socket by now: __sk_destruct() in net/core/sock.c. */
SEC("fexit/bpf_sk_storage_free")
int BPF_PROG(sk_storage_free_exit, struct sock *sk)
{
	if (!is_ready())
		return 0;
	inc(count()->omem_checked);
	if (!sk->sk_omem_alloc.counter)
		return 0;
	inc(count()->omem_mismatch);
	note_suspect(SOAK_SUSPECT_OMEM, arg_of(ctx, 0), sk->sk_omem_alloc.counter);
	return 0;
}

/*
 * map_free() gives an owner back what a selem was charged, and destroy() of that owner waits for
 * it: the owner is freed once that returns.
 */
SEC("fexit/bpf_sk_storage_uncharge")
int BPF_PROG(uncharge_exit, void *smap, struct sock *sk)
{
	struct soak_storage *slot;

	if (!is_ready())
		return 0;
	slot = storage_of(read_u64(&sk->sk_bpf_storage));
	if (slot && (slot->flags & SOAK_DESTROYED) && slot->owner == arg_of(ctx, 1))
		inc(count()->late_uncharges);
	return 0;
}

/* Errors that the storage functions hand back. */

static __always_inline __u32 error_class(long error)
{
	switch (error) {
	case -12:
		return SOAK_ERR_ENOMEM;
	case -11:
		return SOAK_ERR_EAGAIN;
	case -17:
		return SOAK_ERR_EEXIST;
	case -2:
		return SOAK_ERR_ENOENT;
	case -110:
		return SOAK_ERR_ETIMEDOUT;
	case -35:
		return SOAK_ERR_EDEADLK;
	default:
		return SOAK_ERR_OTHER;
	}
}

static __always_inline bool is_organic(__u32 result)
{
	return result == RQF_ORGANIC_TIMEOUT || result == RQF_ORGANIC_DEADLOCK;
}

static __always_inline bool failed_organically(__u32 func)
{
	__u32 told = read_frame(func, 0, 0);

	return is_organic(TOLD_BUCKET(told)) || is_organic(TOLD_STORAGE(told));
}

/* What the module made to fail it counts itself, and some of that comes to no caller's ears. */
#define count_error(op, site, error, injected)                        \
	({                                                            \
		__u32 _class = error_class(error);                    \
		inc(count()->errors[op][_class]);                     \
		if (_class == SOAK_ERR_ETIMEDOUT && !(injected))      \
			inc(count()->timeouts[FAULT_ORGANIC][site]);  \
		if (_class == SOAK_ERR_EDEADLK && !(injected)) {      \
			inc(count()->deadlocks[FAULT_ORGANIC][site]); \
			inc(count()->hasty_locks);                    \
		}                                                     \
	})

SEC("fexit/bpf_local_storage_update")
int BPF_PROG(update_exit, void *owner, struct bpf_local_storage_map *smap)
{
	__u64 ret = ret_of(ctx);
	bool injected;

	if (ret < (__u64)-4095LL || !is_ready() || !is_our_map(&smap->map))
		return 0;
	injected = control.frames && !failed_organically(RQF_FUNC_UPDATE) &&
		   !failed_organically(RQF_FUNC_ALLOC);
	count_error(SOAK_OP_UPDATE, SOAK_SITE_UPDATE, (long)ret, injected);
	return 0;
}

SEC("fexit/bpf_selem_unlink")
int BPF_PROG(unlink_exit)
{
	__u64 ret = ret_of(ctx);
	bool injected;

	if (!(int)ret || !is_ready() || !slot_of(arg_of(ctx, 0)))
		return 0;
	injected = control.frames && !failed_organically(RQF_FUNC_DELETE);
	count_error(SOAK_OP_DELETE, SOAK_SITE_DELETE, (long)(int)ret, injected);
	return 0;
}

/* Any socket's: a failed clone says nothing about whose map it was. */
SEC("fexit/bpf_sk_storage_clone")
int BPF_PROG(clone_exit)
{
	__u64 ret = ret_of(ctx);
	bool injected;

	if (!(int)ret || !is_ready() || bpf_get_current_pid_tgid() >> 32 != control.tgid)
		return 0;
	injected = control.frames && !failed_organically(RQF_FUNC_ALLOC) &&
		   !failed_organically(RQF_FUNC_LINK_MAP);
	count_error(SOAK_OP_CLONE, SOAK_SITE_CLONE, (long)(int)ret, injected);
	return 0;
}

/* Looks at the memory of a residual: run by the daemon with BPF_PROG_RUN. */
SEC("syscall")
int inspect(struct soak_inspect *args)
{
	struct bpf_local_storage_elem *selem = (void *)args->selem;
	__u64 map_pprev, storage_pprev, storage, smap;
	struct soak_value value = {};
	__u32 state = 0;

	args->readable = 0;
	if (bpf_probe_read_kernel(&map_pprev, 8, &selem->map_node.pprev) ||
	    bpf_probe_read_kernel(&storage_pprev, 8, &selem->snode.pprev) ||
	    bpf_probe_read_kernel(&storage, 8, &selem->local_storage) ||
	    bpf_probe_read_kernel(&smap, 8, &selem->sdata.smap))
		return 0;
	if (bpf_core_field_exists(selem->state))
		bpf_probe_read_kernel(&state, 4, &selem->state);
	bpf_probe_read_kernel(&value, sizeof(value), (void *)((__u64)selem + DATA_OFFSET));
	args->map_pprev = map_pprev;
	args->storage_pprev = storage_pprev;
	args->storage = storage;
	args->smap = smap;
	args->state = state;
	args->value = value;
	args->readable = 1;
	return 0;
}

/* The same for a bpf_local_storage. */
SEC("syscall")
int inspect_storage(struct soak_inspect_storage *args)
{
	struct bpf_local_storage *storage = (void *)args->storage;
	struct bpf_local_storage_elem *selem = NULL;
	__u64 owner, first;
	__u32 lock = 0;

	args->readable = 0;
	if (bpf_probe_read_kernel(&owner, 8, &storage->owner) ||
	    bpf_probe_read_kernel(&first, 8, &storage->list.first))
		return 0;
	if (bpf_core_field_exists(selem->state) && bpf_probe_read_kernel(&lock, 4, &storage->lock))
		return 0;
	args->owner = owner;
	args->first = first;
	args->lock = lock;
	args->readable = 1;
	return 0;
}

/* Who the daemon is to the kernel, whatever its PID namespace calls it. */
SEC("syscall")
int introduce(void *ctx)
{
	control.tgid = bpf_get_current_pid_tgid() >> 32;
	return 0;
}

#endif
