/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP connections over loopback, for scenarios that end them in special ways. Nobody waits longer
 * than TCP_PATIENCE_MS for anything; descriptors are the caller's to close.
 */
#ifndef SOAK_TCP_H
#define SOAK_TCP_H

#include <stdbool.h>

#define TCP_PATIENCE_MS 1000

/* A listening socket on a port of its own. Returns a descriptor or -errno, as the next two do. */
int tcp_listen(bool v6, int backlog);
int tcp_connect(int listener);
int tcp_accept(int listener);

/* Both ends, accepted from a listener that is gone again. Returns 0 or -errno. */
int tcp_pair(bool v6, int ret[2]);

/* Closing it sends a reset, instead of what there is to be sent and a FIN. */
void tcp_reset_at_close(int fd);

/* recv() of one byte: how many, or -errno; -EAGAIN after TCP_PATIENCE_MS. Any socket. */
int tcp_hear(int fd);

/* Waits at most so long when it receives, connects or sends. Any socket. */
void tcp_be_patient(int fd);

#endif
