// SPDX-License-Identifier: GPL-2.0-only
/* Netlink messages: see netlink.h. */
#include "netlink.h"

#include <errno.h>
#include <string.h>

#include "util.h"

#define ERRNO_MAX 4095

/* The padding of the last one may be missing. */
static void move_on(struct netlink_bytes *in, size_t len)
{
	len = MIN(len, in->left);
	in->at += len;
	in->left -= len;
}

bool netlink_next_attribute(struct netlink_bytes *in, struct netlink_attribute *ret)
{
	struct nlattr header;

	if (in->left < NLA_HDRLEN)
		return false;
	memcpy(&header, in->at, sizeof(header));
	if (header.nla_len < NLA_HDRLEN || header.nla_len > in->left)
		return false;
	ret->type = header.nla_type & NLA_TYPE_MASK;
	ret->data.at = in->at + NLA_HDRLEN;
	ret->data.left = header.nla_len - (size_t)NLA_HDRLEN;
	move_on(in, NLA_ALIGN((size_t)header.nla_len));
	return true;
}

bool netlink_number(const struct netlink_attribute *attribute, uint32_t *ret)
{
	if (attribute->data.left != sizeof(*ret))
		return false;
	memcpy(ret, attribute->data.at, sizeof(*ret));
	return true;
}

int netlink_next_message(struct netlink_bytes *in, struct netlink_message *ret)
{
	struct nlmsghdr header;

	if (!in->left)
		return 0;
	if (in->left < sizeof(header))
		return -EBADMSG;
	memcpy(&header, in->at, sizeof(header));
	if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > in->left)
		return -EBADMSG;
	ret->header = header;
	ret->data.at = in->at + sizeof(header);
	ret->data.left = header.nlmsg_len - sizeof(header);
	move_on(in, NLMSG_ALIGN((size_t)header.nlmsg_len));
	return 1;
}

int netlink_error(const struct netlink_message *message)
{
	int error;

	if (message->data.left < sizeof(error))
		return message->header.nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&error, message->data.at, sizeof(error));
	return error > 0 || error < -ERRNO_MAX ? -EBADMSG : error;
}
