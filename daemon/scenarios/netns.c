// SPDX-License-Identifier: GPL-2.0-only
/* Network namespaces of workers: see netns.h. */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "../caps.h"
#include "../log.h"
#include "../util.h"
#include "../worker.h"

#define SELF   "/proc/thread-self/ns/net"
#define OPTMEM "/proc/sys/net/core/optmem_max"

/* include/uapi/linux/sock_diag.h; since 4.11. */
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

struct netns {
	unsigned int users;
	int self; /* what can be entered */
	int home; /* where its thread came from */
	int optmem;
};

/* Each belongs to one worker. */
static struct netns spaces[SNAPSHOT_WORKERS];

static int open_or_error(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* In a thread that ends with it, so that nobody is elsewhere afterwards. */
static void *try_one(void *arg)
{
	const char **why = arg;
	int fd;

	if (!caps_has(CAP_SYS_ADMIN) || unshare(CLONE_NEWNET) < 0) {
		*why = "a network namespace of its own takes CAP_SYS_ADMIN, and a kernel with "
		       "CONFIG_NET_NS";
		return NULL;
	}
	fd = open_or_error(OPTMEM, O_RDWR);
	if (fd == -ENOENT)
		*why = "net.core.optmem_max is one for the whole machine: a kernel is needed where "
		       "each network namespace has its own";
	else if (fd < 0)
		*why = "/proc/sys/net cannot be written: under systemd that takes "
		       "ProtectKernelTunables=no";
	if (fd >= 0)
		close(fd);
	return NULL;
}

const char *netns_lacks(void)
{
	const char *why = NULL;
	pthread_t thread;

	if (pthread_create(&thread, NULL, try_one, &why))
		return "no thread could be made to look for network namespaces";
	pthread_join(thread, NULL);
	return why;
}

static int lift_loopback(struct worker *w)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo" };

	if (fd < 0)
		return -errno;
	bump(&w->born[SOAK_SK], 1);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

static void close_all(struct netns *netns)
{
	int *const fds[] = { &netns->optmem, &netns->self, &netns->home };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* Inside. */
static int furnish(struct worker *w, struct netns *netns)
{
	netns->self = open_or_error(SELF, O_RDONLY);
	netns->optmem = open_or_error(OPTMEM, O_WRONLY);
	if (netns->self < 0)
		return netns->self;
	if (netns->optmem < 0)
		return netns->optmem;
	return lift_loopback(w) ?: netns_limit(netns, NETNS_ROOM);
}

static int make(struct worker *w, struct netns *netns)
{
	int r;

	netns->self = netns->optmem = -1;
	netns->home = open_or_error(SELF, O_RDONLY);
	if (netns->home < 0)
		return netns->home;
	if (!caps_has(CAP_SYS_ADMIN)) {
		close_all(netns);
		return -EPERM;
	}
	if (unshare(CLONE_NEWNET) < 0) {
		r = -errno;
		close_all(netns);
		return r;
	}
	r = furnish(w, netns);
	netns_leave(netns);
	if (r)
		close_all(netns);
	return r;
}

struct netns *netns_get(struct worker *w)
{
	struct netns *netns = &spaces[w->index];
	int r;

	if (!netns->users) {
		r = make(w, netns);
		if (r) {
			log_debug("worker %u: no network namespace: %s", w->index, strerror(-r));
			return NULL;
		}
	}
	netns->users++;
	return netns;
}

void netns_put(struct worker *w)
{
	struct netns *netns = &spaces[w->index];

	if (netns->users && !--netns->users)
		close_all(netns);
}

int netns_enter(const struct netns *netns)
{
	return setns(netns->self, CLONE_NEWNET) < 0 ? -errno : 0;
}

void netns_leave(const struct netns *netns)
{
	if (setns(netns->home, CLONE_NEWNET) < 0)
		log_error("a worker cannot return from its network namespace: %s", strerror(errno));
}

int netns_limit(const struct netns *netns, unsigned int bytes)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", bytes);

	return pwrite(netns->optmem, text, (size_t)n, 0) == n ? 0 : -errno;
}

int netns_set(const struct netns *netns, const char *knob, const char *text)
{
	_cleanup_free_ char *path = format("/proc/sys/net/%s", knob);
	int r = path ? netns_enter(netns) : -ENOMEM;

	if (r)
		return r;
	r = write_file(path, text);
	netns_leave(netns);
	return r;
}

int netns_charged(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return -errno;
	return (int)info[SK_MEMINFO_OPTMEM];
}
