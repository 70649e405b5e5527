/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One run from set-up to verdict. Owns everything that a run needs, in one thread with one epoll
 * loop; the threads it starts are the churn workers, the pool's rotation and the backend's.
 */
#ifndef SOAK_SOAK_H
#define SOAK_SOAK_H

struct config;

/* Returns the exit code of the daemon. SIGHUP changes config. */
int soak_run(struct config *config);

#endif
