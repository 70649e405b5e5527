// SPDX-License-Identifier: GPL-2.0-only
/* A second thread: see partner.h. */
#include "partner.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define STACK (256u << 10)

struct partner {
	pthread_t thread;
	int cpu;
	sem_t asked, done;
	bool begun;		 /* what was asked for; read without a lock */
	void (*what)(void *arg); /* NULL: end */
	void *arg;
};

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) < 0 && errno == EINTR)
		;
}

static void *partner_main(void *arg)
{
	struct partner *partner = arg;

	pin_thread(partner->cpu);
	for (;;) {
		wait_for(&partner->asked);
		if (!partner->what)
			return NULL;
		__atomic_store_n(&partner->begun, true, __ATOMIC_RELEASE);
		partner->what(partner->arg);
		sem_post(&partner->done);
	}
}

/*
 * The daemon's mask, not that of the caller, who is pinned: a thread starts with its maker's. -1
 * where there is no other CPU.
 */
static int cpu_beside(int not_cpu)
{
	cpu_set_t set;

	if (not_cpu < 0 || sched_getaffinity(getpid(), sizeof(set), &set) < 0)
		return -1;
	for (int i = 1; i < CPU_SETSIZE; i++) {
		int cpu = (not_cpu + i) % CPU_SETSIZE;

		if (CPU_ISSET(cpu, &set) && cpu != not_cpu)
			return cpu;
	}
	return -1;
}

static void partner_fini(struct partner *partner)
{
	sem_destroy(&partner->asked);
	sem_destroy(&partner->done);
	free(partner);
}

int partner_new(int not_cpu, struct partner **ret)
{
	struct partner *partner = calloc(1, sizeof(*partner));
	pthread_attr_t attr;
	int r;

	if (!partner)
		return -ENOMEM;
	partner->cpu = cpu_beside(not_cpu);
	sem_init(&partner->asked, 0, 0);
	sem_init(&partner->done, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	r = pthread_create(&partner->thread, &attr, partner_main, partner);
	pthread_attr_destroy(&attr);
	if (r) {
		partner_fini(partner);
		return -r;
	}
	*ret = partner;
	return 0;
}

void partner_ask(struct partner *partner, void (*what)(void *arg), void *arg)
{
	partner->begun = false;
	partner->what = what;
	partner->arg = arg;
	sem_post(&partner->asked);
	/* To sleep and be woken takes longer than most of what is asked for. */
	while (!__atomic_load_n(&partner->begun, __ATOMIC_ACQUIRE))
		sched_yield();
}

void partner_wait(struct partner *partner)
{
	wait_for(&partner->done);
}

void partner_free(struct partner *partner)
{
	if (!partner)
		return;
	partner->what = NULL;
	sem_post(&partner->asked);
	pthread_join(partner->thread, NULL);
	partner_fini(partner);
}
