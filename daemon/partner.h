/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A second thread for somebody who wants two things done at once: pinned to another CPU where there
 * is one, it runs a function when asked, and is waited for. One partner belongs to one thread,
 * which alone asks it and waits for it. To the fill programs it is a task like others.
 */
#ifndef SOAK_PARTNER_H
#define SOAK_PARTNER_H

struct partner;

/*
 * On the CPU of the affinity mask that follows this one; -1: on any. Returns 0 or -errno with
 * nothing left behind.
 */
int partner_new(int not_cpu, struct partner **ret);

/*
 * Has it call what(arg). Returns when that has begun, so that what the caller does next happens
 * meanwhile. Followed by partner_wait(), whatever happens.
 */
void partner_ask(struct partner *partner, void (*what)(void *arg), void *arg);

/* Waits until that has returned; all that it wrote is seen then. */
void partner_wait(struct partner *partner);

/* Ends and joins the thread. Takes NULL; not between partner_ask() and partner_wait(). */
void partner_free(struct partner *partner);

#endif
