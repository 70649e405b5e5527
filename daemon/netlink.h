/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Netlink messages taken apart: cursors that never leave the bytes they were given, whatever these
 * say. No state, any thread.
 */
#ifndef SOAK_NETLINK_H
#define SOAK_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is left to be looked at. */
struct netlink_bytes {
	const unsigned char *at;
	size_t left;
};

struct netlink_attribute {
	unsigned int type; /* without NLA_F_NESTED and the like */
	struct netlink_bytes data;
};

/* Moves on to the next attribute. False at the end, and at one that is too long. */
bool netlink_next_attribute(struct netlink_bytes *in, struct netlink_attribute *ret);

/* An attribute's number. False if it is none of four bytes. */
bool netlink_number(const struct netlink_attribute *attribute, uint32_t *ret);

struct netlink_message {
	struct nlmsghdr header;
	struct netlink_bytes data; /* of header.nlmsg_len, without the header */
};

/*
 * Moves on to the next message. Returns 1, 0 at the end, or -EBADMSG where what follows is none.
 */
int netlink_next_message(struct netlink_bytes *in, struct netlink_message *ret);

/* What NLMSG_ERROR and NLMSG_DONE say: 0, the kernel's -errno, or -EBADMSG. */
int netlink_error(const struct netlink_message *message);

#endif
