/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all programs share: the daemon's knobs, the counters, the ledger's tables. Nothing here
 * takes a lock: array maps, globals and atomics only, since BPF hash maps are rqspinlock users
 * themselves and would be judged by the thing under test.
 */
#ifndef SOAK_MAPS_BPF_H
#define SOAK_MAPS_BPF_H

#define SOAK_CPUS 256

#define add(counter, n) __sync_fetch_and_add(&(counter), n)
#define inc(counter)	add(counter, 1)

/* Set between open and load. */
const volatile __u32 abi_version = SOAK_ABI_VERSION;
const volatile __u32 slot_shift = 64 - 13; /* 64 - log2(sets) */
const volatile __u32 storage_shift = 64 - 11;

/*
 * Before 7.0 a free passes several of the functions that we watch, one after the other; since
 * then each free passes exactly one, and a second is a second free.
 */
const volatile bool frees_are_chained;

/* Shared with the daemon through the mapped .bss; it reads and writes with atomics. */
struct soak_control control;
struct soak_plan plans[SOAK_PLANS];
struct soak_order orders[SOAK_ORDERS];
struct soak_refusal refusals[SOAK_REFUSALS];
struct soak_walk walks[SOAK_WALKS];
struct soak_map_free map_frees[SOAK_MAP_FREES];
struct soak_counters counters[SOAK_CPUS];
__u64 maps_seen[SOAK_GONE]; /* of a map, by its address: low half of that, and its id */
__u32 maps_gone[SOAK_GONE]; /* ids of maps whose map_free() has returned */
__u32 n_faults;
struct soak_suspect suspects[SOAK_SUSPECT_NR][SOAK_SUSPECTS];
__u32 n_suspects[SOAK_SUSPECT_NR];
__u32 inode_storage_at; /* where an inode's blob has its storage, in bytes; 0: not known yet */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* resized by the daemon */
	__type(key, __u32);
	__type(value, struct soak_set);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct soak_storage_set);
} storages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SOAK_FAULTS);
	__type(key, __u32);
	__type(value, struct soak_fault);
} faults SEC(".maps");

static __always_inline struct soak_counters *count(void)
{
	return &counters[bpf_get_smp_processor_id() & (SOAK_CPUS - 1)];
}

/* Monotonic maximum of one CPU: a lost race loses one sample, so no loop. */
#define count_max(field, value)                     \
	({                                          \
		struct soak_counters *_c = count(); \
		if (_c->field < (value))            \
			_c->field = (value);        \
	})

/* Nobody sets it, and the verifier does not know. */
__u32 nothing;

/*
 * A number that the verifier knows no more: it follows what comes once, and not once for each that
 * it may be.
 */
static __always_inline __u32 any_number(__u32 number)
{
	return number ^ *(volatile __u32 *)&nothing;
}

static __always_inline bool is_ready(void)
{
	return *(volatile __u32 *)&control.ready;
}

static __always_inline __u32 set_index(__u64 address, __u32 shift)
{
	return ((address >> 5) * 0x9e3779b97f4a7c15ULL) >> shift;
}

/* An argument as a number: the verifier refuses arithmetic on the typed pointers of the context. */
static __always_inline __u64 arg_of(void *ctx, __u32 n)
{
	__u64 value = 0;

	bpf_get_func_arg(ctx, n, &value);
	return value;
}

static __always_inline __u64 ret_of(void *ctx)
{
	__u64 value = 0;

	bpf_get_func_ret(ctx, &value);
	return value;
}

static __always_inline __u64 read_u64(const void *address)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), address);
	return value;
}

static __always_inline bool is_our_map(const struct bpf_map *map)
{
	__u64 prefix = 0;

	bpf_probe_read_kernel(&prefix, sizeof(prefix), map->name);
	return prefix == 0x5f6b616f73667062ULL; /* "bpfsoak_", little endian */
}

#define DATA_OFFSET                                                    \
	(bpf_core_field_offset(struct bpf_local_storage_elem, sdata) + \
	 bpf_core_field_offset(struct bpf_local_storage_data, data))

static __always_inline bool read_value(__u64 selem, struct soak_value *value)
{
	if (bpf_probe_read_kernel(value, sizeof(*value), (void *)(selem + DATA_OFFSET)))
		return false;
	return value->magic == SOAK_VALUE_MAGIC;
}

static __always_inline struct soak_plan *plan_of(const struct soak_value *value)
{
	if (!value->plan || value->plan > SOAK_PLANS)
		return NULL;
	return &plans[(value->plan - 1) & (SOAK_PLANS - 1)];
}

/*
 * include/linux/preempt.h: SOFTIRQ_OFFSET; HARDIRQ_MASK and NMI_MASK, which have moved up: where
 * they were there is now HARDIRQ_DISABLE_MASK, which is 0 where these programs run.
 */
#define SOFTIRQ_SERVED 0x100
#define IRQ_OR_NMI     0x1fff0000

/* arch/x86/include/asm/preempt.h; where it is not, nobody is seen in an interrupt. */
extern const unsigned long __preempt_count __ksym __weak;

static __always_inline __u32 preempt_count(void)
{
	return &__preempt_count ? *(const __u32 *)bpf_this_cpu_ptr(&__preempt_count) : 0;
}

#endif
