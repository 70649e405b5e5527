// SPDX-License-Identifier: GPL-2.0-only
/* BPF iterators: see walk.h. */
#include "walk.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>

#include "../pool.h"
#include "../util.h"
#include "../worker.h"

static struct {
	const char *function;
	const char *why;
	bool found;
} targets[] = {
	[WALK_STORAGE] = { "bpf_iter_bpf_sk_storage_map",
			   "this kernel has no iterator over socket storage maps: one since 5.9 "
			   "with CONFIG_BPF_SYSCALL and CONFIG_NET has",
			   false },
	[WALK_TASKS] = { "bpf_iter_task",
			 "this kernel has no iterator over tasks: one since 5.8 with "
			 "CONFIG_BPF_SYSCALL has",
			 false },
	[WALK_TASK_FILES] = { "bpf_iter_task_file",
			      "this kernel has no iterator over files of tasks: one since 5.8 "
			      "with CONFIG_BPF_SYSCALL has",
			      false },
};

static bool has_btf;

static void ask_kernel(void)
{
	struct btf *btf = btf__load_vmlinux_btf();

	has_btf = btf != NULL;
	if (!btf)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		targets[i].found =
			btf__find_by_name_kind(btf, targets[i].function, BTF_KIND_FUNC) > 0;
	btf__free(btf);
}

const char *walk_lacks(enum walk_over over)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, ask_kernel);
	if (!has_btf)
		return "the kernel's BTF cannot be read (/sys/kernel/btf/vmlinux): "
		       "CONFIG_DEBUG_INFO_BTF would help";
	return targets[over].found ? NULL : targets[over].why;
}

bool walk_is_possible(const struct worker *w)
{
	return programs_walk(pool_programs(w->pool), w->index) != NULL;
}

int walk_link(struct worker *w, enum walk_over over, unsigned int shape, int fd)
{
	int program = programs_walk_program(pool_programs(w->pool), over, shape), link;
	union bpf_iter_link_info info = { 0 };
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info));

	if (program < 0)
		return program;
	if (over == WALK_STORAGE)
		info.map.map_fd = (uint32_t)fd;
	else if (fd >= 0)
		info.task.pid_fd = (uint32_t)fd;
	link = bpf_link_create(program, 0, BPF_TRACE_ITER, &opts);
	return link < 0 ? -errno : link;
}

/* What does not fit comes with the next read(), so that lines would be cut if it were no multiple.
 */
static int read_lines(int walk, size_t size, unsigned int n, void *lines)
{
	ssize_t r;

	do
		r = read(walk, lines, size * n);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r % (ssize_t)size ? -EPROTO : (int)(r / (ssize_t)size);
}

int walk_once(int link, size_t size, unsigned int at_a_time, bool (*see)(void *arg, void *line),
	      void *arg)
{
	unsigned char lines[WALK_AT_A_TIME * VALUE_MAX] __attribute__((aligned(8)));
	_cleanup_close_ int walk = bpf_iter_create(link);
	bool right = walk >= 0;
	int n = 0, total = 0;

	while (walk >= 0 && (n = read_lines(walk, size, at_a_time, lines)) > 0) {
		for (int i = 0; i < n; i++)
			right &= see(arg, lines + size * (size_t)i);
		total += n;
	}
	return right && !n ? total : -1;
}

int walk_until(const bool *over, int link, size_t size, struct rng *rng,
	       bool (*see)(void *arg, void *line), void *arg)
{
	int total = 0;

	while (!__atomic_load_n(over, __ATOMIC_ACQUIRE)) {
		int n = walk_once(link, size, 1 + rng_below(rng, WALK_AT_A_TIME), see, arg);

		if (n < 0)
			return -1;
		total += n;
	}
	return total;
}

int walk_into(struct worker *w, enum soak_kind kind, int map, uint32_t create, pid_t task)
{
	const struct programs *programs = pool_programs(w->pool);
	struct soak_walk *walk = programs_walk(programs, w->index);
	uint32_t tid = 0;
	int r;

	if (!walk)
		return -ENOSPC;
	__atomic_store_n(&walk->tid, 0, __ATOMIC_SEQ_CST);
	r = programs_set_walk(programs, kind, w->index, map);
	if (map < 0)
		return r == -ENOENT ? 0 : r;
	if (!r)
		r = programs_who(programs, &tid);
	if (r)
		return r;
	walk->create = create != 0;
	walk->cookie = create;
	walk->task = (uint32_t)task;
	walk->refused = 0;
	__atomic_store_n(&walk->tid, tid, __ATOMIC_SEQ_CST);
	return 0;
}
