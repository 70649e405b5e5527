// SPDX-License-Identifier: GPL-2.0-only
/* Takes memory for a moment: see pressure.h. */
#include "pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "log.h"
#include "own_cgroup.h"
#include "util.h"

#define PANIC_ON_OOM "/proc/sys/vm/panic_on_oom"

#define CHUNK	    (2ull << 20)
#define MIB	    (1ull << 20)
#define RESERVE_MIN (64 * MIB)
#define RESERVE_MAX (2048 * MIB)
#define TAKE_NS	    (60 * NSEC_PER_SEC) /* an emulated guest takes some 100 MB a second */
#define WRING_NS    (20 * NSEC_PER_SEC)
#define HOLD_NS	    (1500 * NSEC_PER_MSEC)
#define RETURN_NS   (2 * NSEC_PER_SEC) /* per-CPU caches of pages and counters */
#define TEXT_MAX    16384

/* One page between us and the child. */
struct shared {
	uint64_t bytes;
};

struct pressure {
	struct shared *shared;
	pid_t pid; /* 0: no child */
	uint64_t reserve;
	uint64_t scanned_before, scanned;
	uint64_t on_until_ns; /* UINT64_MAX: until it has ended */
	bool told;
};

/* Figures. */

uint64_t pressure_figure(const char *text, const char *key)
{
	size_t len = strlen(key);
	uint64_t value = 0;

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (!strncmp(text, key, len) && (text[len] == ':' || text[len] == ' '))
			break;
	}
	if (!text)
		return 0;
	for (text += len + 1; *text == ' ';)
		text++;
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	return value;
}

/* All of a file of the kernel's, or as much as there is room for. Async-signal-safe. */
static void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	while (fd >= 0 && len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	text[len] = '\0';
}

/* Async-signal-safe. */
static uint64_t meminfo(const char *key)
{
	char text[TEXT_MAX];

	read_text("/proc/meminfo", text, sizeof(text));
	return pressure_figure(text, key) * 1024;
}

/* By kswapd, and by those who needed memory themselves. Async-signal-safe. */
static uint64_t scanned_so_far(void)
{
	char text[TEXT_MAX];

	read_text("/proc/vmstat", text, sizeof(text));
	return pressure_figure(text, "pgscan_kswapd") + pressure_figure(text, "pgscan_direct");
}

uint64_t pressure_reserve(uint64_t total)
{
	return MIN(MAX(total / 16, RESERVE_MIN), RESERVE_MAX);
}

uint64_t pressure_wanted(uint64_t available, uint64_t reserve, uint64_t cgroup_left)
{
	uint64_t wanted = available > reserve ? available - reserve : 0;

	/* The rest is for the kernel memory of the churn, which is charged to it as well. */
	return MIN(wanted, cgroup_left / 2) / CHUNK * CHUNK;
}

uint64_t pressure_ring(uint64_t wanted)
{
	return wanted + MAX(wanted / 2 / CHUNK, 1ull) * CHUNK;
}

/* The child: a copy of a threaded process, so async-signal-safe calls only. */

struct grip {
	struct shared *shared;
	char *memory;
	uint64_t wanted, reserve;
	uint64_t taken, size; /* of what is mapped, a ring */
	uint64_t scanned_before;
};

static bool may_take(const struct grip *grip)
{
	return meminfo("MemAvailable") > grip->reserve;
}

static void touch(const struct grip *grip, uint64_t at)
{
	for (uint64_t i = 0; i < CHUNK; i += 4096)
		*(volatile char *)(grip->memory + at + i) = 1;
}

static void take(struct grip *grip)
{
	uint64_t deadline = now_ns() + TAKE_NS;

	while (grip->taken < grip->wanted && may_take(grip) && now_ns() < deadline) {
		touch(grip, grip->taken);
		grip->taken += CHUNK;
		__atomic_store_n(&grip->shared->bytes, grip->taken, __ATOMIC_RELAXED);
	}
}

/*
 * What is available need not be free: on a machine with no page cache to be dropped, all of the
 * reserve is. So a part is left to the kernel to be reclaimed when it likes (MADV_FREE), which
 * makes it available, and as much is taken elsewhere, which is free by then. With each turn less of
 * the reserve is free and more of it reclaimable, until reclaim runs. True when it did.
 */
static bool wring(const struct grip *grip)
{
	uint64_t head = grip->taken % grip->size, tail = 0, end = now_ns() + WRING_NS;
	bool reclaimed = false;

	while (now_ns() < end) {
		/* Left a turn ago, and not reclaimed since. */
		madvise(grip->memory + head, CHUNK, MADV_DONTNEED);
		if (may_take(grip)) {
			touch(grip, head);
			head = (head + CHUNK) % grip->size;
		} else { /* others take as well, and what is left to the kernel may be theirs */
			sleep_ns(NSEC_PER_MSEC);
		}
		madvise(grip->memory + tail, CHUNK, MADV_FREE);
		tail = (tail + CHUNK) % grip->size;
		if (reclaimed || scanned_so_far() <= grip->scanned_before)
			continue;
		reclaimed = true;
		end = MIN(end, now_ns() + HOLD_NS);
	}
	return reclaimed;
}

/* It must not keep what we hold open, nor outlive us; and it is to be killed before anybody else.
 */
static void stand_apart(pid_t parent)
{
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	prctl(PR_SET_NAME, PRESSURE_NAME);
	syscall(SYS_close_range, 0u, ~0u, 0u);
	fd = open("/proc/self/oom_score_adj", O_WRONLY);
	if (fd < 0 || write(fd, "1000", 4) != 4)
		_exit(1);
	close(fd);
}

static _Noreturn void child(struct grip *grip, pid_t parent)
{
	char *memory;

	stand_apart(parent);
	memory = mmap(NULL, grip->size + CHUNK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		_exit(1);
	/* In whole huge pages. */
	grip->memory = memory + CHUNK - (uintptr_t)memory % CHUNK;
	take(grip);
	_exit(grip->taken && wring(grip) ? 0 : 1);
}

/* Ours. */

/* Says what is missing. */
static bool is_possible(void)
{
	uint64_t panics;

	if (!meminfo("MemTotal") || !meminfo("MemAvailable")) {
		log_error("--pressure: /proc/meminfo does not say what memory is available, so "
			  "there is no telling when to stop; run without --pressure");
		return false;
	}
	if (!read_file_u64(PANIC_ON_OOM, &panics) && panics) {
		log_error("--pressure: this kernel panics when memory runs out, instead of killing "
			  "who took it (" PANIC_ON_OOM " is %" PRIu64 "); write 0 there, or run "
			  "without --pressure",
			  panics);
		return false;
	}
	return true;
}

int pressure_new(struct pressure **ret)
{
	struct pressure *p;

	if (!is_possible())
		return -EOPNOTSUPP;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->shared = mmap(NULL, sizeof(*p->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->shared == MAP_FAILED) {
		free(p);
		return -ENOMEM;
	}
	p->reserve = pressure_reserve(meminfo("MemTotal"));
	*ret = p;
	return 0;
}

int pressure_begin(struct pressure *pressure)
{
	struct grip grip = { .shared = pressure->shared, .reserve = pressure->reserve };
	pid_t parent = getpid();

	grip.wanted =
		pressure_wanted(meminfo("MemAvailable"), grip.reserve, own_cgroup_memory_left());
	if (!grip.wanted)
		return -ENOMEM;
	grip.size = pressure_ring(grip.wanted);
	grip.scanned_before = pressure->scanned_before = scanned_so_far();
	__atomic_store_n(&pressure->on_until_ns, UINT64_MAX, __ATOMIC_SEQ_CST);
	pressure->pid = fork();
	if (!pressure->pid)
		child(&grip, parent);
	if (pressure->pid > 0)
		return 0;
	pressure->pid = 0;
	__atomic_store_n(&pressure->on_until_ns, 0, __ATOMIC_SEQ_CST);
	return -errno;
}

static void count_scanned(struct pressure *p)
{
	uint64_t now = scanned_so_far();

	if (now > p->scanned_before)
		__atomic_store_n(&p->scanned, p->scanned + now - p->scanned_before,
				 __ATOMIC_RELAXED);
}

static void say_killed(struct pressure *p, int status)
{
	if (p->told || !WIFSIGNALED(status))
		return;
	p->told = true;
	log_warning("--pressure: the process that takes memory was killed by signal %d; more are "
		    "not reported",
		    WTERMSIG(status));
}

static enum pressure_state settle(struct pressure *p, int status)
{
	p->pid = 0;
	__atomic_store_n(&p->shared->bytes, 0, __ATOMIC_RELAXED);
	count_scanned(p);
	__atomic_store_n(&p->on_until_ns, now_ns() + RETURN_NS, __ATOMIC_SEQ_CST);
	say_killed(p, status);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? PRESSURE_DONE : PRESSURE_FAILED;
}

enum pressure_state pressure_poll(struct pressure *pressure)
{
	int status = 0;
	pid_t pid;

	if (!pressure->pid)
		return PRESSURE_IDLE;
	pid = waitpid(pressure->pid, &status, WNOHANG);
	if (!pid || (pid < 0 && errno == EINTR))
		return PRESSURE_ON;
	return settle(pressure, status);
}

void pressure_end(struct pressure *pressure)
{
	if (!pressure->pid)
		return;
	kill(pressure->pid, SIGKILL);
	while (waitpid(pressure->pid, NULL, 0) < 0 && errno == EINTR)
		;
	settle(pressure, 0);
}

void pressure_free(struct pressure *pressure)
{
	if (!pressure)
		return;
	pressure_end(pressure);
	munmap(pressure->shared, sizeof(*pressure->shared));
	free(pressure);
}

uint64_t pressure_bytes(const struct pressure *pressure)
{
	return __atomic_load_n(&pressure->shared->bytes, __ATOMIC_RELAXED);
}

uint64_t pressure_scanned(const struct pressure *pressure)
{
	return __atomic_load_n(&pressure->scanned, __ATOMIC_RELAXED);
}

bool pressure_is_on(const struct pressure *pressure)
{
	return now_ns() < __atomic_load_n(&pressure->on_until_ns, __ATOMIC_SEQ_CST);
}
