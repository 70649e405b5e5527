// SPDX-License-Identifier: GPL-2.0-only
/* Makes and kills owners of storage: see owner.h. */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "places.h"
#include "util.h"

#define THREAD_STACK	 (64u << 10)
#define LISTENER_ACCEPTS 16
#define RARE_ONE_IN	 8

/* include/uapi/linux/pidfd.h: a pidfd of a thread; kernels without it answer EINVAL. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

struct owner_thread {
	sem_t born;
	sem_t die;
	pid_t tid;
};

enum soak_kind owner_kind(enum owner_type type)
{
	if (type < OWNER_THREAD)
		return SOAK_SK;
	if (type < OWNER_CGROUP)
		return SOAK_TASK;
	return type == OWNER_CGROUP ? SOAK_CGROUP : SOAK_INODE;
}

enum soak_kind owner_draw_kind(unsigned int kinds, struct rng *rng)
{
	bool cgroups = kinds & SOAK_KIND_BIT(SOAK_CGROUP);
	bool inodes = kinds & SOAK_KIND_BIT(SOAK_INODE);
	bool rare = !rng_below(rng, RARE_ONE_IN), flip = rng_below(rng, 2);

	if (!rare || (!cgroups && !inodes))
		return flip ? SOAK_TASK : SOAK_SK;
	if (cgroups && inodes)
		return flip ? SOAK_INODE : SOAK_CGROUP;
	return cgroups ? SOAK_CGROUP : SOAK_INODE;
}

enum owner_type owner_draw_type(const struct owner_maker *maker, enum soak_kind kind, bool lasting,
				struct rng *rng)
{
	switch (kind) {
	case SOAK_TASK:
		return OWNER_THREAD + rng_below(rng, OWNER_CGROUP - OWNER_THREAD - lasting);
	case SOAK_CGROUP:
		return OWNER_CGROUP;
	case SOAK_INODE:
		if (!maker->places || !places_can_mount(maker->places))
			return OWNER_MEMFD;
		return OWNER_MEMFD + rng_below(rng, OWNER_TYPE_NR - OWNER_MEMFD);
	default:
		return OWNER_UDP + rng_below(rng, OWNER_THREAD - OWNER_UDP);
	}
}

static int one_fd(struct owner *owner, int fd)
{
	owner->fds[0] = fd;
	owner->n_fds = 1;
	return 1;
}

static int two_fds(struct owner *owner, int a, int b)
{
	owner->fds[0] = a;
	owner->fds[1] = b;
	owner->n_fds = 2;
	return 2;
}

static socklen_t loopback(bool v6, in_port_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (v6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_addr = in6addr_loopback;
		in6->sin6_port = port;
		return sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->sin_port = port;
	return sizeof(*in);
}

static int new_socket(bool v6, int type)
{
	int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int new_udp(struct owner *owner, bool v6, bool bound)
{
	struct sockaddr_storage address;
	socklen_t len;
	int fd;

	fd = new_socket(v6, SOCK_DGRAM);
	if (fd < 0)
		return fd;
	len = loopback(v6, 0, &address);
	if (bound && bind(fd, (struct sockaddr *)&address, len) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return one_fd(owner, fd);
}

static int listener_of(struct owner_maker *maker, bool v6)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage address;
	socklen_t len;

	/* It was filled at its birth, and only into the maps of that time. */
	if (maker->listeners[v6] >= 0 && maker->accepted[v6]++ >= LISTENER_ACCEPTS)
		close(TAKE_FD(maker->listeners[v6]));
	if (maker->listeners[v6] >= 0)
		return maker->listeners[v6];
	maker->accepted[v6] = 0;
	fd = new_socket(v6, SOCK_STREAM);
	if (fd < 0)
		return TAKE_FD(fd);
	len = loopback(v6, 0, &address);
	if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 16) < 0)
		return -errno;
	return maker->listeners[v6] = TAKE_FD(fd);
}

/* Reset on close: thousands of connections a minute must not fill the port range. */
static void no_time_wait(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static int new_tcp(struct owner_maker *maker, struct owner *owner, bool v6)
{
	_cleanup_close_ int client = -1, server = -1;
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	int listener;

	listener = listener_of(maker, v6);
	if (listener < 0)
		return listener;
	client = new_socket(v6, SOCK_STREAM);
	if (client < 0)
		return TAKE_FD(client);
	if (getsockname(listener, (struct sockaddr *)&address, &len) < 0 ||
	    connect(client, (struct sockaddr *)&address, len) < 0)
		return -errno;
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0)
		return -errno;
	no_time_wait(client);
	no_time_wait(server);
	return two_fds(owner, TAKE_FD(client), TAKE_FD(server));
}

static int new_unix(struct owner *owner, bool stream)
{
	int fds[2];

	if (socketpair(AF_UNIX, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	return two_fds(owner, fds[0], fds[1]);
}

static void *thread_main(void *arg)
{
	struct owner_thread *gate = arg;

	gate->tid = gettid();
	sem_post(&gate->born);
	while (sem_wait(&gate->die) < 0 && errno == EINTR)
		;
	return NULL;
}

static int new_thread(struct owner *owner)
{
	_cleanup_free_ struct owner_thread *gate = calloc(1, sizeof(*gate));
	pthread_attr_t attr;
	int r;

	if (!gate)
		return -ENOMEM;
	sem_init(&gate->born, 0, 0);
	sem_init(&gate->die, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	r = pthread_create(&owner->thread, &attr, thread_main, gate);
	pthread_attr_destroy(&attr);
	if (r)
		return -r;
	while (sem_wait(&gate->born) < 0 && errno == EINTR)
		;
	owner->pidfd = (int)syscall(SYS_pidfd_open, gate->tid, PIDFD_THREAD);
	owner->gate = TAKE_PTR(gate);
	return 1;
}

/*
 * Runs in a copy of a threaded process: async-signal-safe calls only. It must not keep the
 * parent's sockets alive, nor outlive the daemon.
 */
static void child_main(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	syscall(SYS_close_range, 0u, ~0u, 0u);
	for (;;)
		pause();
}

static int new_fork(struct owner *owner)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		child_main(parent);
	owner->pid = pid;
	owner->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return 1;
}

static int new_clone3(struct owner *owner)
{
	pid_t parent = getpid();
	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD,
				   .pidfd = (uint64_t)(uintptr_t)&pidfd,
				   .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return -errno;
	if (!pid)
		child_main(parent);
	owner->pid = pid;
	owner->pidfd = pidfd;
	return 1;
}

static int new_vfork(void)
{
	pid_t pid = vfork();

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(0);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 1;
}

static int new_cgroup(struct places *places, struct owner *owner)
{
	int fd = places_make_cgroup(places, &owner->number);

	if (fd < 0)
		return fd;
	owner->places = places;
	return one_fd(owner, fd);
}

static int new_file(struct owner *owner, int fd)
{
	return fd < 0 ? fd : one_fd(owner, fd);
}

static int new_tree(struct places *places, struct owner *owner)
{
	int tree = places_make_tree(places, owner->fds, OWNER_FDS);

	if (tree < 0)
		return tree;
	owner->mount = tree;
	owner->n_fds = OWNER_FDS;
	return OWNER_FDS;
}

int owner_new(struct owner_maker *maker, enum owner_type type, struct rng *rng, struct owner *ret)
{
	bool flip = rng_below(rng, 2);

	*ret = (struct owner){ .type = type, .pidfd = -1, .mount = -1 };
	if (type >= OWNER_CGROUP && !maker->places)
		return -EOPNOTSUPP;
	switch (type) {
	case OWNER_UDP:
	case OWNER_UDP_BOUND:
		return new_udp(ret, flip, type == OWNER_UDP_BOUND);
	case OWNER_TCP:
		return new_tcp(maker, ret, flip);
	case OWNER_UNIX:
		return new_unix(ret, flip);
	case OWNER_THREAD:
		return new_thread(ret);
	case OWNER_FORK:
		return new_fork(ret);
	case OWNER_CLONE3:
		return new_clone3(ret);
	case OWNER_VFORK:
		return new_vfork();
	case OWNER_CGROUP:
		return new_cgroup(maker->places, ret);
	case OWNER_MEMFD:
		return new_file(ret, places_make_memfd());
	case OWNER_FILE:
		return new_file(ret, places_make_file(maker->places, flip));
	case OWNER_TREE:
		return new_tree(maker->places, ret);
	default:
		return -EINVAL;
	}
}

static void kill_thread(struct owner *owner)
{
	sem_post(&owner->gate->die);
	pthread_join(owner->thread, NULL);
	sem_destroy(&owner->gate->die);
	sem_destroy(&owner->gate->born);
	free(TAKE_PTR(owner->gate));
}

void owner_kill(struct owner *owner)
{
	if (owner->gate)
		kill_thread(owner);
	if (owner->pid > 0) {
		kill(owner->pid, SIGKILL);
		while (waitpid(owner->pid, NULL, 0) < 0 && errno == EINTR)
			;
		owner->pid = 0;
	}
	if (owner->places)
		places_remove_cgroup(TAKE_PTR(owner->places), owner->number);
	while (owner->n_fds)
		close(owner->fds[--owner->n_fds]);
	if (owner->mount >= 0)
		close(TAKE_FD(owner->mount));
	if (owner->pidfd >= 0)
		close(TAKE_FD(owner->pidfd));
}

int owner_key(const struct owner *owner, struct rng *rng)
{
	if (owner_kind(owner->type) == SOAK_TASK)
		return owner->pidfd;
	return owner->n_fds ? owner->fds[rng_below(rng, owner->n_fds)] : -1;
}

void owner_touch(const struct owner *owner)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	switch (owner_kind(owner->type)) {
	case SOAK_SK:
		getsockname(owner->fds[0], (struct sockaddr *)&address, &len);
		break;
	case SOAK_TASK:
		getpgid(owner->gate ? owner->gate->tid : owner->pid);
		break;
	case SOAK_INODE:
		fcntl(owner->fds[0], F_GETFD);
		break;
	default:
		break;
	}
}

void owner_maker_done(struct owner_maker *maker)
{
	for (unsigned int i = 0; i < 2; i++)
		if (maker->listeners[i] >= 0)
			close(TAKE_FD(maker->listeners[i]));
}
