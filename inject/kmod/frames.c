// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which call is under way: at entry of each chosen function a frame notes the task, the selem and
 * the locks that this very call is about to take. Frames are never popped: the next call of the
 * same function by the same task in the same context takes its frame over, and no lock is looked
 * up but between an entry and its exit. The table is read by BPF programs at those exits.
 */
#include <linux/bpf_local_storage.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "rqf.h"

/* As all names of the daemon's maps begin: only their locks are ever failed. */
#define OUR_PREFIX	"bpfsoak_"
#define OUR_PREFIX_SIZE 8

static struct rqf_frame frames[RQF_WAYS << RQF_SET_BITS] __aligned(64);

/* What a call is about to lock. */
struct call {
	const struct bpf_local_storage_elem *selem;
	struct bpf_local_storage_map *smap;
	struct bpf_local_storage *storage;
	struct bpf_local_storage_map_bucket *bucket; /* known to be this one */
	bool any_bucket;			     /* one of smap's, not known which */
	bool takes_storage;
	bool map_free;
	enum rqf_site sites[RQF_LOCK_NR];
};

struct rqf_frame *rqf_frames(void)
{
	return frames;
}

static u64 key_of(enum rqf_func func)
{
	return RQF_KEY((u64)(unsigned long)current, func, in_serving_softirq());
}

static struct rqf_frame *set_of(void)
{
	return frames + RQF_SET((u64)(unsigned long)current) * RQF_WAYS;
}

struct rqf_frame *rqf_frame_find(enum rqf_func func)
{
	struct rqf_frame *set = set_of();
	u64 key = key_of(func);

	for (unsigned int i = 0; i < RQF_WAYS; i++)
		if (READ_ONCE(set[i].key) == key)
			return &set[i];
	return NULL;
}
NOKPROBE_SYMBOL(rqf_frame_find);

/* The oldest goes: a call that lasts longer than all of its neighbours' loses sight of its locks.
 */
static struct rqf_frame *frame_claim(enum rqf_func func)
{
	struct rqf_frame *set = set_of(), *oldest = set;
	u64 key = key_of(func), old;

	for (unsigned int i = 0; i < RQF_WAYS; i++) {
		old = READ_ONCE(set[i].key);
		if (!old && cmpxchg(&set[i].key, 0, key) == 0)
			return &set[i];
		if (time_before64(set[i].stamp, oldest->stamp))
			oldest = &set[i];
	}
	old = READ_ONCE(oldest->key);
	if (cmpxchg(&oldest->key, old, key) != old) {
		this_cpu_inc(rqf_counters.crowded);
		return NULL;
	}
	if (time_before64(get_jiffies_64(), oldest->stamp + HZ))
		this_cpu_inc(rqf_counters.evicted);
	return oldest;
}
NOKPROBE_SYMBOL(frame_claim);

static bool is_our_map(const struct bpf_local_storage_map *smap)
{
	return !strncmp(smap->map.name, OUR_PREFIX, OUR_PREFIX_SIZE);
}

/* A selem whose map is unknown by now: only its value can tell. */
static bool is_our_selem(const struct bpf_local_storage_elem *selem)
{
	u64 magic;

	return !get_kernel_nofault(magic, (u64 *)selem->sdata.data) && magic == RQF_VALUE_MAGIC;
}

static u32 role_of(const struct bpf_local_storage_elem *selem)
{
	u32 role;

	if (!is_our_selem(selem) ||
	    get_kernel_nofault(role, (u32 *)(selem->sdata.data + RQF_VALUE_ROLE)))
		return 0;
	return role;
}

static u64 cookie_of(const struct bpf_local_storage_elem *selem)
{
	u64 cookie;

	if (get_kernel_nofault(cookie, (u64 *)(selem->sdata.data + RQF_VALUE_COOKIE)))
		return 0;
	return cookie;
}

static bool is_ours(const struct call *call)
{
	if (call->smap)
		return is_our_map(call->smap);
	return call->selem && is_our_selem(call->selem);
}

static struct bpf_local_storage_map_bucket *bucket_of(const struct bpf_local_storage_map *smap,
						      const struct bpf_local_storage *storage)
{
	return &smap->buckets[hash_ptr((void *)storage, smap->bucket_log)];
}

static void sites_are(struct call *call, enum rqf_site bucket, enum rqf_site storage)
{
	call->sites[RQF_BUCKET] = bucket;
	call->sites[RQF_STORAGE] = storage;
}

static void call_of_nofail(struct call *call, const struct pt_regs *regs)
{
	call->selem = (void *)regs->di;
	call->bucket = (void *)regs->si;
	call->map_free = call->bucket;
	call->smap = rcu_dereference_raw(call->selem->sdata.smap);
	call->storage = rcu_dereference_raw(call->selem->local_storage);
	call->takes_storage = true;
	if (!call->bucket && call->smap && call->storage)
		call->bucket = bucket_of(call->smap, call->storage);
	if (call->map_free)
		sites_are(call, RQF_MAP_FREE_BUCKET, RQF_MAP_FREE_STORAGE);
	else
		sites_are(call, RQF_DESTROY_BUCKET, RQF_DESTROY_STORAGE);
}

static void call_of_update(struct call *call, const struct pt_regs *regs)
{
	void *owner = (void *)regs->di;

	call->smap = (void *)regs->si;
	call->storage = READ_ONCE(
		*(struct bpf_local_storage **)call->smap->map.ops->map_owner_storage_ptr(owner));
	call->any_bucket = true;
	call->takes_storage = true;
	sites_are(call, RQF_UPDATE, RQF_UPDATE);
}

static void call_of_alloc(struct call *call, const struct pt_regs *regs)
{
	unsigned long caller = regs_get_kernel_stack_nth((struct pt_regs *)regs, 0);
	enum rqf_site site = rqf_is_clone_call(caller) ? RQF_CLONE : RQF_ALLOC;

	call->smap = (void *)regs->si;
	call->selem = (void *)regs->dx;
	call->any_bucket = true;
	sites_are(call, site, site);
}

static void call_of_delete(struct call *call, const struct pt_regs *regs)
{
	call->selem = (void *)regs->di;
	call->smap = rcu_dereference_raw(call->selem->sdata.smap);
	call->storage = rcu_dereference_raw(call->selem->local_storage);
	call->takes_storage = true;
	if (call->smap && call->storage)
		call->bucket = bucket_of(call->smap, call->storage);
	sites_are(call, RQF_DELETE, RQF_DELETE);
}

static void call_of_cache(struct call *call, const struct pt_regs *regs)
{
	call->storage = (void *)regs->di;
	call->smap = (void *)regs->si;
	call->selem = (void *)regs->dx;
	call->takes_storage = true;
	sites_are(call, RQF_CACHE, RQF_CACHE);
}

static void call_of_link_map(struct call *call, const struct pt_regs *regs)
{
	call->smap = (void *)regs->di;
	call->storage = (void *)regs->si;
	call->selem = (void *)regs->dx;
	call->bucket = bucket_of(call->smap, call->storage);
	sites_are(call, RQF_LINK_MAP, RQF_LINK_MAP);
}

static void (*const call_of[RQF_FUNC_NR])(struct call *call, const struct pt_regs *regs) = {
	[RQF_NOFAIL] = call_of_nofail,	  [RQF_FUNC_UPDATE] = call_of_update,
	[RQF_FUNC_ALLOC] = call_of_alloc, [RQF_FUNC_DELETE] = call_of_delete,
	[RQF_FUNC_CACHE] = call_of_cache, [RQF_FUNC_LINK_MAP] = call_of_link_map,
};

static bool is_exact(const struct call *call)
{
	const struct rqf_config *config = rcu_dereference_sched(rqf_config);

	return config && config->forced && test_bit(call->sites[RQF_BUCKET], &config->sites) &&
	       test_bit(call->sites[RQF_STORAGE], &config->sites);
}

static void frame_appoint(struct rqf_frame *frame, const struct call *call)
{
	const struct rqf_config *config = rcu_dereference_sched(rqf_config);

	frame->duel = 0;
	if (!config || !config->appointments || !config->forced || frame->role != RQF_ROLE_DUEL)
		return;
	frame->duel = rqf_appointment_make(cookie_of(call->selem), call->map_free);
}

static void frame_fill(struct rqf_frame *frame, const struct call *call)
{
	struct bpf_local_storage_map_bucket *first = call->bucket, *last = call->bucket;

	if (call->any_bucket) {
		first = call->smap->buckets;
		last = first + (1U << call->smap->bucket_log) - 1;
	}
	frame->selem = (unsigned long)call->selem;
	frame->bucket_first = first ? (unsigned long)&first->lock : 0;
	frame->bucket_last = last ? (unsigned long)&last->lock : 0;
	frame->storage =
		call->takes_storage && call->storage ? (unsigned long)&call->storage->lock : 0;
	frame->stamp = get_jiffies_64();
	frame->map_free = call->map_free;
	frame->exact = is_exact(call);
	frame->role = call->selem ? role_of(call->selem) : 0;
	for (unsigned int lock = 0; lock < RQF_LOCK_NR; lock++) {
		frame->site[lock] = call->sites[lock];
		frame->result[lock] = RQF_UNSEEN;
	}
	frame_appoint(frame, call);
}

/* A frame that an earlier call left behind must not speak for a call that is not ours. */
static void frame_forget(enum rqf_func func)
{
	struct rqf_frame *frame = rqf_frame_find(func);

	if (frame)
		frame->selem = frame->bucket_first = frame->bucket_last = frame->storage = 0;
}

int rqf_enter(struct kprobe *kp, struct pt_regs *regs)
{
	enum rqf_func func = container_of(kp, struct rqf_function, entry)->func;
	struct rqf_frame *frame;
	struct call call = {};

	if (!rcu_access_pointer(rqf_config) || rqf_in_interrupt(kp))
		return 0;
	call_of[func](&call, regs);
	if (!is_ours(&call)) {
		frame_forget(func);
		return 0;
	}
	frame = rqf_frame_find(func) ?: frame_claim(func);
	if (frame)
		frame_fill(frame, &call);
	return 0;
}
NOKPROBE_SYMBOL(rqf_enter);

/* No further than this may the visit come before the other side is where it has to be. */
int rqf_begun(struct kprobe *kp, struct pt_regs *regs)
{
	const struct rqf_config *config = rcu_dereference_sched(rqf_config);
	const struct rqf_frame *frame;

	if (!config || !config->appointments || rqf_in_interrupt(kp))
		return 0;
	frame = rqf_frame_find(RQF_NOFAIL);
	if (frame && frame->duel && frame->selem == regs->di)
		rqf_appointment_keep(frame, RQF_AT_ENTRY, config->dwell);
	return 0;
}
NOKPROBE_SYMBOL(rqf_begun);

enum rqf_lock rqf_frame_lock(const struct rqf_frame *frame, unsigned long lock)
{
	if (lock == frame->storage)
		return RQF_STORAGE;
	if (frame->bucket_first && lock >= frame->bucket_first && lock <= frame->bucket_last)
		return RQF_BUCKET;
	return RQF_LOCK_NR;
}
NOKPROBE_SYMBOL(rqf_frame_lock);
