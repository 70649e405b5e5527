// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF load that is none of the daemon's: a hash map, an LPM trie, a ring buffer and socket storage,
 * all of whose locks are rqspinlocks too. While the daemon's locks fail, none of these may. All
 * threads work on the same kind at a time, so that they get into each other's way.
 *
 * usage: foreign SECONDS
 * Prints a line for each kind; exit 1 when an operation failed as only a failed lock makes it fail,
 * or in a way that it never should.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS_PER_CPU 2
#define THREADS_MAX	16
#define KEYS		4 /* few, so that threads meet in a bucket */
#define RING_SIZE	(1u << 20)
#define RECORD_SIZE	64
#define SOCKETS		16
#define ROTATE_OPS	2000 /* a storage map's life, in operations of one thread */
#define TURN_NS		250000000ULL

enum kind {
	HASH,
	LPM,
	RING,
	STORAGE,
	KIND_NR,
};

static const char *const kind_names[KIND_NR] = { "hash", "lpm", "ring", "storage" };

struct lpm_key {
	uint32_t prefixlen;
	uint8_t data[4];
};

static int maps[KIND_NR]; /* STORAGE: under storage_lock */
static int ring_prog;
static int btf;
static pthread_rwlock_t storage_lock = PTHREAD_RWLOCK_INITIALIZER;
static int sockets[SOCKETS]; /* under storage_lock */
static atomic_ulong *ring_consumer, *ring_producer;
static const uint8_t *ring_data;
static uint64_t begin_ns, end_ns;

static atomic_ulong ops[KIND_NR], timeouts[KIND_NR], deadlocks[KIND_NR], others[KIND_NR];
static atomic_ulong consumed;
static atomic_int last_other[KIND_NR];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "foreign: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* Set-up. */

static int new_btf(void)
{
	struct {
		struct btf_header header;
		struct btf_type type;
		uint32_t encoding;
		char strings[8];
	} blob = {
		.header = { .magic = BTF_MAGIC,
			    .version = BTF_VERSION,
			    .hdr_len = sizeof(struct btf_header),
			    .type_len = sizeof(struct btf_type) + sizeof(uint32_t),
			    .str_off = sizeof(struct btf_type) + sizeof(uint32_t),
			    .str_len = 5 },
		.type = { .name_off = 1, .info = BTF_KIND_INT << 24, .size = 4 },
		.encoding = 32,
		.strings = "\0int",
	};
	union bpf_attr attr = { .btf = (uintptr_t)&blob, .btf_size = sizeof(blob) - 3 };

	return bpf(BPF_BTF_LOAD, &attr);
}

static int new_map(enum kind kind)
{
	union bpf_attr attr = { .key_size = 4, .value_size = 4, .max_entries = 1024 };

	snprintf(attr.map_name, sizeof(attr.map_name), "foreign_%s", kind_names[kind]);
	switch (kind) {
	case HASH:
		attr.map_type = BPF_MAP_TYPE_HASH;
		break;
	case LPM:
		attr.map_type = BPF_MAP_TYPE_LPM_TRIE;
		attr.key_size = sizeof(struct lpm_key);
		attr.map_flags = BPF_F_NO_PREALLOC;
		break;
	case RING:
		attr.map_type = BPF_MAP_TYPE_RINGBUF;
		attr.key_size = attr.value_size = 0;
		attr.max_entries = RING_SIZE;
		break;
	default:
		attr.map_type = BPF_MAP_TYPE_SK_STORAGE;
		attr.max_entries = 0;
		attr.map_flags = BPF_F_NO_PREALLOC;
		attr.btf_fd = (uint32_t)btf;
		attr.btf_key_type_id = attr.btf_value_type_id = 1;
	}
	return bpf(BPF_MAP_CREATE, &attr);
}

/* Reserves a record, and submits it, or discards it when the context's first word is not 0. */
static int new_ring_prog(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
		{ .code = BPF_LD | BPF_IMM | BPF_DW,
		  .dst_reg = 1,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = maps[RING] },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = RECORD_SIZE },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_reserve },
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 10 },
		{ .code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = BPF_RB_NO_WAKEUP },
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 7, .src_reg = 6 },
		{ .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 7, .off = 2 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_submit },
		{ .code = BPF_JMP | BPF_JA, .off = 1 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_discard },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SYSCALL,
		.insns = (uintptr_t)insns,
		.insn_cnt = sizeof(insns) / sizeof(*insns),
		.license = (uintptr_t) "GPL",
		.prog_flags = BPF_F_SLEEPABLE,
		.prog_name = "foreign_ring",
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

static void map_ring(void)
{
	long page = sysconf(_SC_PAGESIZE);
	uint8_t *p = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, maps[RING], 0);

	if (p == MAP_FAILED)
		die("mapping the consumer's page");
	ring_consumer = (atomic_ulong *)p;
	p = mmap(NULL, (size_t)page + 2 * RING_SIZE, PROT_READ, MAP_SHARED, maps[RING], page);
	if (p == MAP_FAILED)
		die("mapping the ring");
	ring_producer = (atomic_ulong *)p;
	ring_data = p + page;
}

static void set_up(void)
{
	btf = new_btf();
	if (btf < 0)
		die("loading BTF");
	for (enum kind kind = 0; kind < KIND_NR; kind++) {
		maps[kind] = new_map(kind);
		if (maps[kind] < 0)
			die(kind_names[kind]);
	}
	ring_prog = new_ring_prog();
	if (ring_prog < 0)
		die("loading the ring buffer's program");
	map_ring();
	for (unsigned int i = 0; i < SOCKETS; i++)
		sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
}

/* Operations. What is expected: an element was there, was not there, or came at the same time. */

static bool is_expected(enum kind kind, int error)
{
	switch (error) {
	case 0:
	case ENOENT:
		return true;
	case ENOMEM: /* caches of the kernel that are refilled later */
		return kind == LPM || kind == STORAGE;
	case EAGAIN:
		return kind == STORAGE;
	default:
		return false;
	}
}

static void count(enum kind kind, int r)
{
	int error = r < 0 ? errno : 0;

	ops[kind]++;
	if (error == ETIMEDOUT) {
		timeouts[kind]++;
	} else if (error == EDEADLK) {
		deadlocks[kind]++;
	} else if (!is_expected(kind, error)) {
		others[kind]++;
		last_other[kind] = error;
	}
}

static int update(int map, const void *key, uint32_t value)
{
	union bpf_attr attr = { .map_fd = (uint32_t)map,
				.key = (uintptr_t)key,
				.value = (uintptr_t)&value };

	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static int delete (int map, const void *key)
{
	union bpf_attr attr = { .map_fd = (uint32_t)map, .key = (uintptr_t)key };

	return bpf(BPF_MAP_DELETE_ELEM, &attr);
}

static void work_on(enum kind kind, const void *key, unsigned int *seed)
{
	unsigned int random = (unsigned int)rand_r(seed);

	count(kind, random & 16 ? delete (maps[kind], key) : update(maps[kind], key, random));
}

static void work_on_hash(unsigned int *seed)
{
	uint32_t key = (uint32_t)rand_r(seed) % KEYS;

	work_on(HASH, &key, seed);
}

static void work_on_lpm(unsigned int *seed)
{
	struct lpm_key key = { .prefixlen = 32, .data = { 10, 0, 0, 0 } };

	key.data[3] = (uint8_t)(rand_r(seed) % KEYS);
	work_on(LPM, &key, seed);
}

/* The ring is never nearly full here, so a record is refused only when its lock is. */
static void work_on_ring(unsigned int *seed)
{
	uint32_t discard = rand_r(seed) & 16;
	union bpf_attr attr = { .test = { .prog_fd = (uint32_t)ring_prog,
					  .ctx_in = (uintptr_t)&discard,
					  .ctx_size_in = sizeof(discard) } };
	int r;

	while (*ring_producer - *ring_consumer > RING_SIZE / 2)
		sched_yield();
	r = bpf(BPF_PROG_TEST_RUN, &attr);
	if (!r && attr.test.retval) {
		r = -1;
		errno = ETIMEDOUT;
	}
	count(RING, r);
}

static void use_socket(unsigned int *seed)
{
	unsigned int random = (unsigned int)rand_r(seed);

	pthread_rwlock_rdlock(&storage_lock);
	work_on(STORAGE, &sockets[random % SOCKETS], seed);
	pthread_rwlock_unlock(&storage_lock);
}

static void replace_socket(unsigned int i)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), old;

	if (fd < 0)
		die("socket");
	pthread_rwlock_wrlock(&storage_lock);
	old = sockets[i];
	sockets[i] = fd;
	pthread_rwlock_unlock(&storage_lock);
	close(old);
}

static void replace_map(void)
{
	int map = new_map(STORAGE), old;

	if (map < 0)
		die("another socket storage map");
	pthread_rwlock_wrlock(&storage_lock);
	old = maps[STORAGE];
	maps[STORAGE] = map;
	pthread_rwlock_unlock(&storage_lock);
	close(old);
}

static void work_on_storage(unsigned int *seed)
{
	unsigned int random = (unsigned int)rand_r(seed) >> 4;

	if (random % 16 == 0)
		replace_socket(random / 16 % SOCKETS);
	else if (random % ROTATE_OPS == 1)
		replace_map();
	else
		use_socket(seed);
}

/* Threads. */

static void *work(void *arg)
{
	static void (*const work_on_kind[KIND_NR])(unsigned int *seed) = {
		[HASH] = work_on_hash,
		[LPM] = work_on_lpm,
		[RING] = work_on_ring,
		[STORAGE] = work_on_storage,
	};
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	uint64_t now;

	while ((now = now_ns()) < end_ns)
		work_on_kind[(now - begin_ns) / TURN_NS % KIND_NR](&seed);
	return NULL;
}

/* A record that is not committed yet has BPF_RINGBUF_BUSY_BIT set. */
static bool consume_one(void)
{
	unsigned long at = *ring_consumer;
	uint32_t len;

	if (at >= *ring_producer)
		return false;
	len = atomic_load((const _Atomic uint32_t *)(ring_data + at % RING_SIZE));
	if (len & BPF_RINGBUF_BUSY_BIT)
		return false;
	if (!(len & BPF_RINGBUF_DISCARD_BIT))
		consumed++;
	len &= ~BPF_RINGBUF_DISCARD_BIT;
	*ring_consumer = at + (len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
	return true;
}

static void *consume(void *arg)
{
	(void)arg;
	while (now_ns() < end_ns)
		if (!consume_one())
			usleep(1000);
	return NULL;
}

static void start(pthread_t *thread, void *(*function)(void *), unsigned int number, int cpu)
{
	pthread_attr_t attr;
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu >= 0)
		CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	if (cpu >= 0)
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	errno = pthread_create(thread, &attr, function, (void *)(uintptr_t)number);
	if (errno)
		die("thread");
	pthread_attr_destroy(&attr);
}

static bool print_kind(enum kind kind)
{
	unsigned long bad = timeouts[kind] + deadlocks[kind] + others[kind];

	printf("foreign %s: operations %lu ETIMEDOUT %lu EDEADLK %lu others %lu%s%s\n",
	       kind_names[kind], ops[kind], timeouts[kind], deadlocks[kind], others[kind],
	       others[kind] ? ": " : "", others[kind] ? strerror(last_other[kind]) : "");
	return !bad && ops[kind];
}

int main(int argc, char **argv)
{
	unsigned int n = 0, cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	const struct rlimit files = { 4096, 4096 };
	pthread_t threads[THREADS_MAX], consumer;
	bool good = true;

	if (argc != 2 || atoi(argv[1]) <= 0) {
		fprintf(stderr, "usage: foreign SECONDS\n");
		return 2;
	}
	setrlimit(RLIMIT_NOFILE, &files);
	set_up();
	begin_ns = now_ns();
	end_ns = begin_ns + (uint64_t)atoi(argv[1]) * 1000000000ULL;
	start(&consumer, consume, 0, -1);
	for (; n < cpus * THREADS_PER_CPU && n < THREADS_MAX; n++)
		start(&threads[n], work, n + 1, (int)(n % cpus));
	while (n--)
		pthread_join(threads[n], NULL);
	pthread_join(consumer, NULL);
	for (enum kind kind = 0; kind < KIND_NR; kind++)
		good &= print_kind(kind);
	printf("foreign ring: consumed %lu\n", consumed);
	return good && consumed ? 0 : 1;
}
