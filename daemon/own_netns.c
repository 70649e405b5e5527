// SPDX-License-Identifier: GPL-2.0-only
/* A network namespace of the run's own: see own_netns.h. Runs in the run loop's thread. */
#include "own_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "log.h"
#include "util.h"

#define NETNS	 "/proc/self/ns/net"
#define LOOPBACK "lo"

/* How much may be charged to a socket for its storage: bpf_sk_storage_charge(). */
#define OPTMEM "/proc/sys/net/core/optmem_max"

bool own_netns_has_loopback(int family)
{
	_cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (fd < 0)
		return false;
	if (family == AF_INET6)
		return !bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	return !bind(fd, (struct sockaddr *)&in, sizeof(in));
}

/* The kernel gives it both addresses by itself when it comes up (init_loopback()). */
static int bring_loopback_up(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = LOOPBACK };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

/*
 * Each namespace has a limit of its own since Linux 6.8, which begins with the kernel's default
 * (preinit_net_sysctl(), net/core/net_namespace.c). Before that there is one for all, and no file.
 */
static int keep_limit(const char *limit)
{
	int r = limit ? write_file(OPTMEM, limit) : 0;

	return r == -ENOENT ? 0 : r;
}

static int furnish(const char *limit, bool had_v4, bool had_v6)
{
	int r = bring_loopback_up();

	r = r ?: keep_limit(limit);
	if (r < 0)
		return r;
	if ((had_v4 && !own_netns_has_loopback(AF_INET)) ||
	    (had_v6 && !own_netns_has_loopback(AF_INET6)))
		return -EADDRNOTAVAIL;
	return 0;
}

static void say_why(const char *what, int error)
{
	log_warning("no network namespace of our own: %s: %s%s; sockets of owners are bound to "
		    "loopback addresses of the one that the daemon was started in, take ports "
		    "there, and pass its packet filters (--netns=host says that this is meant)",
		    what, strerror(error), error == EPERM ? " (it takes CAP_SYS_ADMIN)" : "");
}

bool own_netns_enter(void)
{
	_cleanup_close_ int before = open(NETNS, O_RDONLY | O_CLOEXEC);
	bool had_v4 = own_netns_has_loopback(AF_INET), had_v6 = own_netns_has_loopback(AF_INET6);
	_cleanup_free_ char *limit = NULL;
	int r;

	if (before < 0) {
		say_why(NETNS, errno);
		return false;
	}
	if (read_file(OPTMEM, &limit, NULL) < 0)
		limit = NULL;
	if (unshare(CLONE_NEWNET) < 0) {
		say_why("unshare", errno);
		return false;
	}
	r = furnish(limit, had_v4, had_v6);
	if (!r)
		return true;
	say_why("its loopback", -r);
	if (setns(before, CLONE_NEWNET) < 0)
		log_error("cannot go back to the network namespace that the daemon was started "
			  "in: %s; owners will have no inet sockets",
			  strerror(errno));
	return false;
}
