// SPDX-License-Identifier: GPL-2.0-only
/* Socket storage by netlink: see sock_diag.h. */
#include "sock_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "netlink.h"
#include "util.h"

#define PATIENCE_S 2

static void see_value(struct netlink_bytes storage, uint32_t inode, sock_diag_see see, void *arg)
{
	struct sock_diag_value value = { .inode = inode };
	struct netlink_attribute found;

	while (netlink_next_attribute(&storage, &found)) {
		if (found.type == SK_DIAG_BPF_STORAGE_MAP_ID)
			netlink_number(&found, &value.map_id);
		if (found.type == SK_DIAG_BPF_STORAGE_MAP_VALUE) {
			value.value = found.data.at;
			value.size = found.data.left;
		}
	}
	if (value.map_id && value.value)
		see(arg, &value);
}

static int see_socket(struct netlink_bytes in, sock_diag_see see, void *arg)
{
	struct netlink_attribute found, storage;
	struct inet_diag_msg socket;

	if (in.left < sizeof(socket))
		return -EBADMSG;
	memcpy(&socket, in.at, sizeof(socket));
	in.at += sizeof(socket);
	in.left -= sizeof(socket);
	while (netlink_next_attribute(&in, &found)) {
		if (found.type != INET_DIAG_SK_BPF_STORAGES)
			continue;
		while (netlink_next_attribute(&found.data, &storage))
			if (storage.type == SK_DIAG_BPF_STORAGE)
				see_value(storage.data, socket.idiag_inode, see, arg);
	}
	return 0;
}

int sock_diag_parse(const void *data, size_t len, sock_diag_see see, void *arg)
{
	struct netlink_bytes in = { data, len };
	struct netlink_message message;
	int r;

	while ((r = netlink_next_message(&in, &message)) > 0) {
		switch (message.header.nlmsg_type) {
		case NLMSG_ERROR:
		case NLMSG_DONE:
			r = netlink_error(&message);
			return r ? r : 1;
		case SOCK_DIAG_BY_FAMILY:
			r = see_socket(message.data, see, arg);
			if (r)
				return r;
			break;
		default:
			break;
		}
	}
	return r;
}

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 req;
	struct nlattr storages;
	struct {
		struct nlattr header;
		int fd;
	} maps[SOCK_DIAG_MAPS];
};

_Static_assert(sizeof(struct request) <= SOCK_DIAG_REQUEST_MAX, "there is room for it");

size_t sock_diag_make(const struct sock_diag_request *request, void *buf)
{
	unsigned int n = MIN(request->n_maps, (unsigned int)SOCK_DIAG_MAPS);
	size_t nested = sizeof(struct nlattr) + n * sizeof(((struct request *)0)->maps[0]);
	size_t len = offsetof(struct request, storages) + nested;
	struct request message = {
		.header = {
			.nlmsg_len = (uint32_t)len,
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.req = {
			.sdiag_family = (uint8_t)request->family,
			.sdiag_protocol = (uint8_t)request->protocol,
			.idiag_states = ~0u,
			.id.idiag_sport = request->port,
		},
		.storages = { (uint16_t)nested, INET_DIAG_REQ_SK_BPF_STORAGES | NLA_F_NESTED },
	};

	for (unsigned int i = 0; i < n; i++) {
		message.maps[i].header =
			(struct nlattr){ sizeof(message.maps[i]), SK_DIAG_BPF_STORAGE_REQ_MAP_FD };
		message.maps[i].fd = request->maps[i];
	}
	memcpy(buf, &message, len);
	return len;
}

int sock_diag_open(void)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

int sock_diag_ask(int fd, const struct sock_diag_request *request)
{
	_Alignas(4) unsigned char buf[SOCK_DIAG_REQUEST_MAX];
	size_t len = sock_diag_make(request, buf);

	return send(fd, buf, len, 0) < 0 ? -errno : 0;
}

int sock_diag_next(int fd, size_t len, sock_diag_see see, void *arg)
{
	_Alignas(4) unsigned char buf[SOCK_DIAG_PART_MAX];
	ssize_t r;

	do
		r = recv(fd, buf, MIN(len, sizeof(buf)), MSG_TRUNC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if ((size_t)r > MIN(len, sizeof(buf)))
		return -EMSGSIZE;
	return r ? sock_diag_parse(buf, (size_t)r, see, arg) : -EBADMSG;
}
