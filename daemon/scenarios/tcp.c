// SPDX-License-Identifier: GPL-2.0-only
/* TCP over loopback: see tcp.h. */
#include "tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "../util.h"

void tcp_be_patient(int fd)
{
	struct timeval patience = { .tv_sec = TCP_PATIENCE_MS / 1000,
				    .tv_usec = TCP_PATIENCE_MS % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

void tcp_reset_at_close(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

int tcp_listen(bool v6, int backlog)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	_cleanup_close_ int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -errno;
	r = v6 ? bind(fd, (struct sockaddr *)&in6, sizeof(in6))
	       : bind(fd, (struct sockaddr *)&in, sizeof(in));
	if (r < 0 || listen(fd, backlog) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int tcp_connect(int listener)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	tcp_be_patient(fd);
	if (connect(fd, (struct sockaddr *)&address, len) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int tcp_accept(int listener)
{
	struct pollfd poll_fd = { .fd = listener, .events = POLLIN };
	int fd;

	if (poll(&poll_fd, 1, TCP_PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	tcp_be_patient(fd);
	return fd;
}

int tcp_pair(bool v6, int ret[2])
{
	_cleanup_close_ int listener = tcp_listen(v6, 1), client = -1;
	int accepted;

	if (listener < 0)
		return listener;
	client = tcp_connect(listener);
	if (client < 0)
		return client;
	accepted = tcp_accept(listener);
	if (accepted < 0)
		return accepted;
	ret[0] = TAKE_FD(client);
	ret[1] = accepted;
	return 0;
}

int tcp_hear(int fd)
{
	ssize_t r;
	char byte;

	do
		r = recv(fd, &byte, 1, 0);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : (int)r;
}
