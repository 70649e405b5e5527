/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is this memory free? Asked by the daemon with BPF_PROG_RUN of residuals, so that a free that went
 * past our programs is told from a leak. All in mm/slub.c:
 *
 * - What is freed may lie for long in a sheaf (struct slab_sheaf), an array of free objects: of
 * each CPU up to three, of each node the full ones in its barn. It is as its last user left it
 * there, and may stay until that same CPU frees or allocates more of that size.
 * - It may be on the list of its slab: it then has a pointer to the next free object of the slab in
 *   it (get_freepointer()), or NULL, and where such pointers are encoded
 *   (CONFIG_SLAB_FREELIST_HARDENED) nothing else decodes to that.
 * - Or its slab is no slab any more.
 *
 * Nothing is locked, since nothing of ours runs any more. What is found here was free; what is not
 * may still be, on its way from one to the other or with a debugging feature of the allocator.
 */
#ifndef SOAK_SLAB_BPF_H
#define SOAK_SLAB_BPF_H

#define PAGE_BYTES 4096
#define OO_SHIFT   16  /* of the order in kmem_cache_order_objects */
#define SHEAF_MAX  512 /* objects; see calculate_sheaf_capacity() */
#define NODES_MAX  8
#define BARN_STEPS 32 /* MAX_FULL_SHEAVES is 10 */

extern struct kmem_cache *bpf_get_kmem_cache(__u64 address) __ksym __weak;

struct sheaf_search {
	__u64 objects; /* address of the array */
	__u64 object;
	__u32 size;
	__u32 found;
};

static long sheaf_step(__u32 i, void *context)
{
	struct sheaf_search *search = context;

	if (i >= search->size)
		return 1;
	search->found = read_u64((void *)(search->objects + i * sizeof(__u64))) == search->object;
	return search->found;
}

/* Global functions: the verifier looks at each once, however often it is called. */
__noinline int is_in_sheaf(__u64 address, __u64 object)
{
	const struct slab_sheaf *sheaf = (void *)address;
	struct sheaf_search search = { .object = object };

	if (!address || bpf_probe_read_kernel(&search.size, sizeof(search.size), &sheaf->size))
		return 0;
	search.objects = address + bpf_core_field_offset(struct slab_sheaf, objects);
	bpf_loop(SHEAF_MAX, sheaf_step, &search, 0);
	return search.found;
}

__noinline int is_with_cpu(__u64 address, __u64 object)
{
	const struct slub_percpu_sheaves *sheaves = (void *)address;

	return is_in_sheaf(read_u64(&sheaves->main), object) ||
	       is_in_sheaf(read_u64(&sheaves->spare), object) ||
	       is_in_sheaf(read_u64(&sheaves->rcu_free), object);
}

__noinline int is_in_barn(__u64 address, __u64 object)
{
	const struct node_barn *barn = (void *)address;
	__u64 head, at;

	if (!address)
		return 0;
	head = (__u64)&barn->sheaves_full;
	at = read_u64((void *)head);
	for (int i = 0; i < BARN_STEPS && at && at != head; i++) {
		if (is_in_sheaf(at - bpf_core_field_offset(struct slab_sheaf, barn_list), object))
			return 1;
		at = read_u64((void *)at);
	}
	return 0;
}

/* How far a CPU's own variables are from the addresses that per-CPU pointers have. */
static __always_inline bool percpu_offset(__u32 cpu, __u64 *ret)
{
	const void *here = bpf_per_cpu_ptr(&rqspinlock_held_locks, cpu);
	__u64 offset;

	if (!here)
		return false;
	offset = (__u64)here - (__u64)&rqspinlock_held_locks;
	barrier_var(offset);
	*ret = offset;
	return true;
}

static __always_inline bool is_with_any_cpu(const struct kmem_cache *cache, __u64 object)
{
	__u64 sheaves = read_u64(&cache->cpu_sheaves), offset = 0;

	if (!sheaves || !&rqspinlock_held_locks)
		return false;
	for (__u32 cpu = 0; cpu < SOAK_CPUS; cpu++) {
		if (!percpu_offset(cpu, &offset))
			return false;
		if (is_with_cpu(sheaves + offset, object))
			return true;
	}
	return false;
}

static __always_inline bool is_in_any_barn(const struct kmem_cache *cache, __u64 object)
{
	__u32 size = bpf_core_type_size(struct kmem_cache_per_node_ptrs);
	__u32 all = bpf_core_field_size(cache->per_node);
	const void *first = &cache->per_node;

	for (__u32 node = 0; node < NODES_MAX && (node + 1) * size <= all; node++) {
		const struct kmem_cache_per_node_ptrs *of_node = first + node * size;

		if (is_in_barn(read_u64(&of_node->barn), object))
			return true;
	}
	return false;
}

static __always_inline bool is_in_any_sheaf(const struct kmem_cache *cache, __u64 object)
{
	if (!bpf_core_type_exists(struct slab_sheaf))
		return false;
	return is_with_any_cpu(cache, object) ||
	       (bpf_core_field_exists(cache->per_node) && is_in_any_barn(cache, object));
}

/* A slab is aligned to its size, and its objects lie in it at equal distances. */
static __always_inline bool are_of_one_slab(const struct kmem_cache *cache, __u64 a, __u64 b)
{
	__u64 bytes = (__u64)PAGE_BYTES << (cache->oo.x >> OO_SHIFT & 15);
	__u64 distance = a < b ? b - a : a - b;

	return !((a ^ b) & ~(bytes - 1)) && cache->size && !(distance % cache->size);
}

static __always_inline bool is_on_slabs_list(const struct kmem_cache *cache, __u64 object)
{
	__u64 address = object + cache->offset, next;

	if (bpf_probe_read_kernel(&next, sizeof(next), (void *)address))
		return false;
	if (bpf_core_field_exists(cache->random)) {
		next ^= cache->random ^ __builtin_bswap64(address);
		if (!next)
			return true;
	}
	return next != object && are_of_one_slab(cache, next, object);
}

SEC("syscall")
int look_whether_free(struct soak_free_memory *args)
{
	const struct kmem_cache *cache;
	__u64 object = args->address;

	args->free = 0;
	if (!bpf_get_kmem_cache)
		return 0;
	cache = bpf_get_kmem_cache(object);
	args->free = !cache || is_on_slabs_list(cache, object) || is_in_any_sheaf(cache, object);
	return 0;
}

#endif
