/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BPF iterators as scenarios use them: a link, and any number of walks by it, one after the other.
 * See bpf/walk.bpf.h for what they run. Of one worker, by its own thread.
 */
#ifndef SOAK_WALK_H
#define SOAK_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../programs.h"
#include "../rng.h"

struct worker;

/* Is there room for this worker's walks over tasks and files? There is for the first 64. */
bool walk_is_possible(const struct worker *w);

/* What is missing for such walks on this machine, as scenario.h's lacks(); NULL: nothing. */
const char *walk_lacks(enum walk_over over);

/*
 * A link that goes over a map, given as its descriptor, or the tasks (the files) of a process,
 * given as its pidfd; -1: of all. It holds a reference to a map, and none to a process. Returns its
 * descriptor or -errno.
 */
int walk_link(struct worker *w, enum walk_over over, unsigned int shape, int fd);

#define WALK_AT_A_TIME 8

/*
 * One walk from its beginning to its end, of lines of so many bytes. see() is shown each of them,
 * and says whether it is right. Read so many lines at a time, WALK_AT_A_TIME at most: fewer take
 * the kernel back to where it was more often. Returns how many there were, or -1 when one was not
 * right, or the walk could not be made.
 */
int walk_once(int link, size_t size, unsigned int at_a_time, bool (*see)(void *arg, void *line),
	      void *arg);

/*
 * One such walk after the other until somebody sets over. Returns how many lines there were in all,
 * or -1 as walk_once().
 */
int walk_until(const bool *over, int link, size_t size, struct rng *rng,
	       bool (*see)(void *arg, void *line), void *arg);

/*
 * Walks over tasks and files by this worker look into this map of the small shape, and where create
 * is not 0 put a value of a cookie with that upper half where there is none: of that task, or among
 * its files, alone, unless it is 0. map -1: nobody looks any more, and any thread may say so. Waits
 * for a grace period. Returns 0 or -errno.
 */
int walk_into(struct worker *w, enum soak_kind kind, int map, uint32_t create, pid_t task);

#endif
