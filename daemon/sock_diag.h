/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Values of socket storage as NETLINK_SOCK_DIAG delivers them (bpf_sk_storage_diag_put() in
 * net/core/bpf_sk_storage.c), the way `ss --bpf-maps` asks for them. Messages are made and taken
 * apart here without any state; a connection belongs to one thread.
 */
#ifndef SOAK_SOCK_DIAG_H
#define SOAK_SOCK_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCK_DIAG_MAPS 8

/* What is asked for: a dump of all sockets of a family and protocol. */
struct sock_diag_request {
	int family;		  /* AF_INET, AF_INET6 */
	int protocol;		  /* IPPROTO_UDP, IPPROTO_TCP */
	uint16_t port;		  /* only those that are bound to it, network byte order; 0: all */
	int maps[SOCK_DIAG_MAPS]; /* descriptors */
	unsigned int n_maps;	  /* 0: the values of all maps */
};

struct sock_diag_value {
	uint32_t inode; /* of the socket, 0: nobody has it open */
	uint32_t map_id;
	const void *value;
	size_t size;
};

/* Shown one value after the other. */
typedef void (*sock_diag_see)(void *arg, const struct sock_diag_value *value);

/*
 * Puts the message into a buffer of at least SOCK_DIAG_REQUEST_MAX bytes, aligned to 4. Returns its
 * length.
 */
#define SOCK_DIAG_REQUEST_MAX 256
size_t sock_diag_make(const struct sock_diag_request *request, void *buf);

/*
 * Goes through what was received. Returns 0 when more is to come, 1 at the end
 * of the dump, the kernel's -errno, or -EBADMSG when it is not such a message.
 */
int sock_diag_parse(const void *data, size_t len, sock_diag_see see, void *arg);

/* A connection: a descriptor to be closed, or -errno. What is read from it waits two seconds. */
int sock_diag_open(void);

/* Begins a dump: the kernel has looked up the maps when it returns. Returns 0 or -errno. */
int sock_diag_ask(int fd, const struct sock_diag_request *request);

/*
 * Receives one part, of about so many bytes at most: with fewer there are more parts, between which
 * others get their turn. Returns as sock_diag_parse() does; -EMSGSIZE when a part was too long.
 */
int sock_diag_next(int fd, size_t len, sock_diag_see see, void *arg);

#define SOCK_DIAG_PART_MIN 4096
#define SOCK_DIAG_PART_MAX 65536

#endif
