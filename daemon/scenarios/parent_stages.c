// SPDX-License-Identifier: GPL-2.0-only
/*
 * What runs in a parent of refused forks: see parent.h. A copy of a threaded process, so nothing
 * here may allocate, lock or print. What a stage changes of the process it changes back, since the
 * next fork is to succeed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../caps.h"
#include "../util.h"
#include "bpf/soak_abi.h"
#include "parent.h"

#define KEEP_ABOVE 64
#define NOBODY	   65534
#define BAD_TLS	   (1ULL << 63)

/* include/uapi/linux/seccomp.h, since 5.19. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

static volatile sig_atomic_t signals_seen;

static void on_signal(int signal)
{
	(void)signal;
	signals_seen = signals_seen + 1;
}

/* Forks, and what stands in the way of one. */

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

/* errno of a fork; 0: there was a child, which is gone again. Third argument: see FORK_MARK. */
static int fork_by(struct clone_args *args, unsigned long mark)
{
	long pid;

	args->exit_signal = SIGCHLD;
	pid = syscall(SYS_clone3, args, sizeof(*args), mark);
	if (!pid)
		/* Its thread-local storage may be anywhere: no function but this one. */
		for (;;)
			syscall(SYS_exit_group, 0);
	if (pid < 0)
		return errno;
	reap((pid_t)pid);
	return 0;
}

static int fork_plainly(void)
{
	struct clone_args args = { 0 };

	return fork_by(&args, 0);
}

static int fork_with(uint64_t flags)
{
	struct clone_args args = { .flags = flags };

	return fork_by(&args, 0);
}

/* Of capabilities the effective ones alone go, so that they can come back. */
struct privileges {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];
	bool was_root;
};

static int drop_privileges(struct privileges *ret)
{
	struct __user_cap_data_struct none[2];

	*ret = (struct privileges){ .header = { .version = _LINUX_CAPABILITY_VERSION_3 } };
	if (syscall(SYS_capget, &ret->header, ret->data) < 0)
		return -errno;
	ret->was_root = !getuid();
	if (ret->was_root && syscall(SYS_setresuid, NOBODY, 0, 0) < 0)
		return -errno;
	memcpy(none, ret->data, sizeof(none));
	none[0].effective = none[1].effective = 0;
	return syscall(SYS_capset, &ret->header, none) < 0 ? -errno : 0;
}

static int regain_privileges(struct privileges *privileges)
{
	if (syscall(SYS_capset, &privileges->header, privileges->data) < 0)
		return -errno;
	if (privileges->was_root && syscall(SYS_setresuid, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* The limit counts the processes of a real user, and does not hold for root. */
static int try_nproc(struct fork_answer *answer)
{
	struct privileges privileges;
	struct rlimit limit, none;
	int error;

	/* As with contain(): capset() takes none, but may be deadly without. */
	if (!caps_has(CAP_SYS_ADMIN) || getrlimit(RLIMIT_NPROC, &limit) < 0)
		return FORK_UNTRIED;
	if (drop_privileges(&privileges) < 0) {
		answer->spent = true;
		return FORK_UNTRIED;
	}
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	error = setrlimit(RLIMIT_NPROC, &none) < 0 ? FORK_UNTRIED : fork_plainly();
	answer->spent = regain_privileges(&privileges) < 0 || setrlimit(RLIMIT_NPROC, &limit) < 0;
	return error;
}

/*
 * dup_mmap() asks for each mapping at once whether there is enough memory for it
 * (__vm_enough_memory() in mm/util.c): two that are adjacent are one by then, and larger than the
 * machine. Nothing of it is ever touched.
 */
static int try_memory(struct fork_answer *answer)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, error = FORK_UNTRIED;
	struct sysinfo info;
	uint64_t half;
	char *base;

	(void)answer;
	if (sysinfo(&info) < 0)
		return FORK_UNTRIED;
	half = ((uint64_t)info.totalram + info.totalswap) * info.mem_unit / 10 * 6;
	half &= ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
	base = mmap(NULL, 2 * half, PROT_NONE, flags | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return FORK_UNTRIED;
	for (unsigned int i = 0; i < 2; i++)
		if (mmap(base + i * half, half, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0) ==
		    MAP_FAILED)
			goto out;
	error = fork_plainly();
out:
	munmap(base, 2 * half);
	return error;
}

/* The first process of a namespace has gone, and there will be no other: alloc_pid(). */
static int try_dead_pid_ns(struct fork_answer *answer)
{
	int home = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC), error = FORK_UNTRIED;

	if (home < 0)
		return FORK_UNTRIED;
	if (caps_has(CAP_SYS_ADMIN) && !unshare(CLONE_NEWPID)) {
		error = fork_plainly() ? FORK_UNTRIED : fork_plainly();
		answer->spent = setns(home, CLONE_NEWPID) < 0;
	}
	close(home);
	return error;
}

static int try_taken_pid(struct fork_answer *answer)
{
	pid_t taken = getpid();
	struct clone_args args = { .set_tid = (uint64_t)(uintptr_t)&taken, .set_tid_size = 1 };

	(void)answer;
	return fork_by(&args, 0);
}

/* No descriptor is left for the child's pidfd; those that are open stay. */
static int try_nofile(struct fork_answer *answer)
{
	int pidfd = -1, error;
	struct clone_args args = { .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd };
	struct rlimit limit, none;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return FORK_UNTRIED;
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	if (setrlimit(RLIMIT_NOFILE, &none) < 0)
		return FORK_UNTRIED;
	error = fork_by(&args, 0);
	answer->spent = setrlimit(RLIMIT_NOFILE, &limit) < 0;
	if (pidfd >= 0)
		close(pidfd);
	return error;
}

/* The pidfd cannot be written to where it is wanted: the one before last of put_user(). */
static int try_pidfd(struct fork_answer *answer)
{
	struct clone_args args = { .flags = CLONE_PIDFD, .pidfd = 8 };

	(void)answer;
	return fork_by(&args, 0);
}

static int try_cgroup(int fd)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .cgroup = (uint64_t)fd };

	return fd < 0 ? FORK_UNTRIED : fork_by(&args, 0);
}

/* The address of thread-local storage is no address of user space: copy_thread(). */
static int try_tls(struct fork_answer *answer)
{
#if defined(__x86_64__)
	struct clone_args args = { .flags = CLONE_SETTLS, .tls = BAD_TLS };

	(void)answer;
	return fork_by(&args, 0);
#else
	(void)answer;
	return FORK_UNTRIED;
#endif
}

/* Of each of these there may be none, in this user namespace: see contain(). */
static int try_namespace(unsigned int detail)
{
	static const uint64_t flags[] = { CLONE_NEWNS,	CLONE_NEWUTS, CLONE_NEWIPC,
					  CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP };

	return fork_with(flags[detail % ARRAY_SIZE(flags)]);
}

/* Reported to the listener, which sends a signal and lets it go on with that. */
static int try_signal(void)
{
	struct clone_args args = { 0 };

	return fork_by(&args, FORK_MARK);
}

static int try_stage(const struct parent_life *life, const struct fork_order *order,
		     struct fork_answer *answer)
{
	switch (order->stage) {
	case FORK_SIGNAL:
		return try_signal();
	case FORK_USER_NS:
		return fork_with(CLONE_NEWUSER);
	case FORK_NPROC:
		return try_nproc(answer);
	case FORK_LSM:
		return fork_plainly();
	case FORK_MEMORY:
		return try_memory(answer);
	case FORK_NAMESPACE:
		return try_namespace(order->detail);
	case FORK_TLS:
		return try_tls(answer);
	case FORK_DEAD_PID_NS:
		return try_dead_pid_ns(answer);
	case FORK_TAKEN_PID:
		return try_taken_pid(answer);
	case FORK_NOFILE:
		return try_nofile(answer);
	case FORK_PIDFD:
		return try_pidfd(answer);
	case FORK_NO_CGROUP:
		return try_cgroup(life->channel);
	case FORK_DEAD_CGROUP:
		return try_cgroup(life->cgroups.dead);
	case FORK_FULL_CGROUP:
		return try_cgroup(life->cgroups.full);
	default:
		return FORK_UNTRIED;
	}
}

/* How it becomes what it is. */

/* Keeps these alone, from 3 on. Those of the copied process are more than can be known. */
static void keep(int *const fds[], unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (*fds[i] >= 0)
			*fds[i] = fcntl(*fds[i], F_DUPFD, KEEP_ABOVE);
	syscall(SYS_close_range, 0u, KEEP_ABOVE - 1u, 0u);
	for (unsigned int i = 0; i < n; i++)
		if (*fds[i] >= 0)
			*fds[i] = dup2(*fds[i], (int)(3 + i));
	syscall(SYS_close_range, 3 + n, ~0u, 0u);
}

/* Credentials that change take it away. */
static void die_with(pid_t maker)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != maker)
		_exit(0);
}

static int enlist(int program)
{
	struct soak_enlisted enlisted = { .slot = SOAK_REFUSALS };
	union bpf_attr attr;

	if (program < 0)
		return -1;
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (__u32)program;
	attr.test.ctx_in = (uintptr_t)&enlisted;
	attr.test.ctx_size_in = sizeof(enlisted);
	/* It is copied back there. */
	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)) < 0)
		return -1;
	return enlisted.slot < SOAK_REFUSALS ? (int)enlisted.slot : -1;
}

/* Forks with a mark wait for the listener's word, and for nothing else but death. */
static int listen_for_forks(void)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FORK_MARK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = ARRAY_SIZE(insns), .filter = insns };

	/* As with contain(): it takes none, but may be deadly without. */
	if (!caps_has(CAP_SYS_ADMIN) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter);
}

static bool set_to_zero(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool set = fd >= 0 && write(fd, "0", 1) == 1;

	if (fd >= 0)
		close(fd);
	return set;
}

/* These limits are of the user namespace of whoever opens them: kernel/ucount.c. */
static bool contain(pid_t maker)
{
	/* It takes none; but a filter like that of the service kills who tries, and leaves that one
	 * nobody. */
	if (!caps_has(CAP_SYS_ADMIN) || unshare(CLONE_NEWUSER) < 0)
		return false;
	die_with(maker);
	return set_to_zero("/proc/sys/user/max_user_namespaces") &
	       set_to_zero("/proc/sys/user/max_mnt_namespaces") &
	       set_to_zero("/proc/sys/user/max_uts_namespaces") &
	       set_to_zero("/proc/sys/user/max_ipc_namespaces") &
	       set_to_zero("/proc/sys/user/max_pid_namespaces") &
	       set_to_zero("/proc/sys/user/max_net_namespaces") &
	       set_to_zero("/proc/sys/user/max_cgroup_namespaces");
}

static void become(struct parent_life *life, struct parent_hello *ret)
{
	int *const fds[] = { &life->channel, &life->enlister, &life->cgroups.dead,
			     &life->cgroups.full };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t set;

	keep(fds, ARRAY_SIZE(fds));
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	*ret = (struct parent_hello){ .slot = enlist(life->enlister),
				      .listener = -1,
				      .able = true };
	if (life->contained)
		ret->able = contain(life->maker);
	else
		ret->listener = listen_for_forks();
}

static bool tell(int channel, const void *what, size_t size)
{
	return send(channel, what, size, MSG_NOSIGNAL) == (ssize_t)size;
}

void parent_main(struct parent_life *life)
{
	struct parent_hello hello;
	struct fork_order order;

	die_with(life->maker);
	become(life, &hello);
	if (!tell(life->channel, &hello, sizeof(hello)))
		_exit(0);
	for (;;) {
		struct fork_answer answer = { 0 };
		ssize_t n = recv(life->channel, &order, sizeof(order), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(order))
			_exit(0);
		answer.error = try_stage(life, &order, &answer);
		die_with(life->maker);
		answer.after = fork_plainly();
		answer.signals = (unsigned int)signals_seen;
		if (!tell(life->channel, &answer, sizeof(answer)))
			_exit(0);
	}
}
