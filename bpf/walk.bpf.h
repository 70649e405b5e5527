/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Iterators: over the elements of one socket storage map, and over tasks and their files, whose
 * storage they look up, and create if they are told to. They run inside read(2) of a scenario that
 * made them, and what they find they write there for it to judge.
 */
#ifndef SOAK_WALK_BPF_H
#define SOAK_WALK_BPF_H

/* All of a value, without a lock: whole as long as nobody writes it in place. */
#define WALK_STORAGE(name, size)                                    \
	SEC("iter/bpf_sk_storage_map")                              \
	int walk_##name(struct bpf_iter__bpf_sk_storage_map *ctx)   \
	{                                                           \
		void *value = ctx->value;                           \
                                                                    \
		if (value)                                          \
			bpf_seq_write(ctx->meta->seq, value, size); \
		return 0;                                           \
	}

WALK_STORAGE(small, SOAK_SIZE_SMALL)
WALK_STORAGE(medium, SOAK_SIZE_MEDIUM)
WALK_STORAGE(large, SOAK_SIZE_LARGE)
WALK_STORAGE(fields, SOAK_SIZE_FIELDS)
WALK_STORAGE(ref, SOAK_SIZE_REF)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SOAK_WALKS);
	__type(key, __u32);
	__type(value, __u32);
	__array(values, struct sk_small);
} walk_sks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SOAK_WALKS);
	__type(key, __u32);
	__type(value, __u32);
	__array(values, struct task_small);
} walk_tasks SEC(".maps");

/* Nobody is found by address: the thread that reads made itself known. */
static __always_inline __u32 walk_of_thread(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), i;

	for (i = 0; i < SOAK_WALKS; i++)
		if (walks[i].tid == tid)
			break;
	return i;
}

static __always_inline bool is_of_ours(const struct task_struct *task)
{
	int tgid = control.tgid;

	return task->tgid == tgid || task->real_parent->tgid == tgid;
}

/* As in /proc of the namespace that it was born in: ours, for children of ours. */
static __always_inline __u32 own_nr(const struct task_struct *task)
{
	const struct pid *pid = task->thread_pid;
	__u32 nr = 0, level;

	if (!pid)
		return 0;
	level = pid->level;
	bpf_probe_read_kernel(&nr, sizeof(nr),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      level * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(struct upid, nr));
	return nr;
}

/* What churn_make_value() makes of this cookie. */
static __always_inline void make_small(struct value_small *value, __u64 cookie)
{
	value->head.magic = SOAK_VALUE_MAGIC;
	value->head.cookie = cookie;
	value->head.plan = 0;
	value->head.role = SOAK_ROLE_NONE;
	value->head.size = SOAK_SIZE_SMALL;
	value->head.check = (__u32)cookie ^ SOAK_SIZE_SMALL;
	for (__u32 i = 0; i < sizeof(value->body); i++)
		value->body[i] = (cookie >> i * 8) + sizeof(value->head) + i;
}

static __always_inline bool creates_for(const struct soak_walk *walk, __u32 task)
{
	return walk->create && (!walk->task || walk->task == task);
}

#define WALK_OWNER(outer, owner, task_, fd_, seq, get)                                    \
	({                                                                                \
		struct soak_walked _walked = { .task = own_nr(task_), .fd = fd_ };        \
		__u32 _index = walk_of_thread();                                          \
		struct value_small *_value, _new;                                         \
		struct soak_walk *_walk;                                                  \
		void *_map = NULL;                                                        \
                                                                                          \
		if (_index < SOAK_WALKS)                                                  \
			_map = bpf_map_lookup_elem(&outer, &_index);                      \
		_walk = &walks[_index & (SOAK_WALKS - 1)];                                \
		_value = _map ? get(_map, owner, NULL, 0) : NULL;                         \
		if (_map && !_value && creates_for(_walk, _walked.task)) {                \
			make_small(&_new, (__u64)_walk->cookie << 32 | _walked.task);     \
			_value = get(_map, owner, &_new, BPF_LOCAL_STORAGE_GET_F_CREATE); \
			_walked.created = 1;                                              \
			if (!_value)                                                      \
				inc(_walk->refused);                                      \
		}                                                                         \
		if (_value) {                                                             \
			__builtin_memcpy(_walked.value, _value, sizeof(_walked.value));   \
			bpf_seq_write(seq, &_walked, sizeof(_walked));                    \
		}                                                                         \
	})

/*
 * Functions of their own: with a map's first use in a program itself clang 14 forgets what type its
 * values are.
 */
static __always_inline void walk_over_task(struct bpf_iter_meta *meta, struct task_struct *task)
{
	if (is_of_ours(task))
		WALK_OWNER(walk_tasks, task, task, 0, meta->seq, bpf_task_storage_get);
}

static __always_inline void walk_over_socket(struct bpf_iter_meta *meta, struct task_struct *task,
					     __u32 fd, struct sock *sk)
{
	WALK_OWNER(walk_sks, sk, task, fd, meta->seq, bpf_sk_storage_get);
}

SEC("iter/task")
int walk_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task)
		walk_over_task(ctx->meta, task);
	return 0;
}

SEC("iter/task_file")
int walk_task_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;

	if (!task || !file || !is_of_ours(task))
		return 0;
	socket = bpf_sock_from_file(file);
	if (socket && socket->sk)
		walk_over_socket(ctx->meta, task, ctx->fd, socket->sk);
	return 0;
}

#endif
