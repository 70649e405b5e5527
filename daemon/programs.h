/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BPF programs as one object: open, size, load, attach by part, tear down in reverse. Also
 * the memory that they share with the daemon. Owned by the run loop. Attach and detach only
 * while nothing churns: patching a traced function under load has crashed guests.
 *
 * The accessors are safe from any thread between programs_load() and programs_free(); what they
 * point at is written by the kernel side at any time, so read it with atomics or expect tearing.
 */
#ifndef SOAK_PROGRAMS_H
#define SOAK_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/soak_abi.h"

struct programs;

/* Parts that attach together. */
enum program_part {
	PART_LEDGER,
	PART_FILL,
	PART_ORDER,
	PART_REFUSE,
	PART_STALL,
	PART_RENDEZVOUS,
	PART_WALK, /* never attached as a part: programs_walk_program() */
	PART_NR,
};

struct programs_options {
	uint64_t slots; /* selem slots of the ledger, a power of two, at least 64 */
	bool ledger;
	bool stall;
	bool rendezvous;
	bool lsm;	    /* "bpf" is an active LSM */
	unsigned int kinds; /* of owners that there are here: SOAK_KIND_BIT */
};

/* Opens and loads. Returns 0 or -errno, having said what the kernel refused. */
int programs_load(const struct programs_options *options, struct programs **ret);

/* Does this kernel take values with special fields? Without them the last shape is absent. */
bool programs_has_fields(const struct programs *programs);

/* How many shapes of values there are. */
unsigned int programs_shapes(const struct programs *programs);

/* Of which kinds of owners maps can be made: the options'. */
unsigned int programs_kinds(const struct programs *programs);
bool programs_has_kind(const struct programs *programs, enum soak_kind kind);

/*
 * Attaches a part. Returns 0, or -errno when a program that the part cannot do without did not
 * attach. Optional ones that the kernel lacks are left out quietly.
 */
int programs_attach(struct programs *programs, enum program_part part);

/* Detaches everything, newest first; control->ready is cleared before. */
void programs_detach(struct programs *programs);
void programs_free(struct programs *programs);

struct soak_control *programs_control(struct programs *programs);
struct soak_plan *programs_plans(struct programs *programs);
struct soak_meeting *programs_meetings(struct programs *programs);
const struct soak_map_free *programs_map_frees(const struct programs *programs);
const struct soak_set *programs_slots(const struct programs *programs, size_t *ret_sets);
const struct soak_storage_set *programs_storages(const struct programs *programs, size_t *ret_sets);
/* *ret_n: faults logged so far, at most SOAK_FAULTS. */
const struct soak_fault *programs_faults(const struct programs *programs, size_t *ret_n);

/*
 * Objects noted so far by one suspicion (enum soak_suspicion), at most SOAK_SUSPECTS; skip those
 * whose ns is still 0. Never NULL.
 */
const struct soak_suspect *programs_suspects(const struct programs *programs,
					     unsigned int suspicion, size_t *ret_n);

/* All CPUs added up; maxima are maxima. */
void programs_counters(const struct programs *programs, struct soak_counters *ret);

/* map_free() calls finished, cheap enough to ask before each close; false when nobody counts. */
bool programs_sees_map_frees(const struct programs *programs);
uint64_t programs_map_frees_done(const struct programs *programs);

/*
 * Times that the kernel skipped one of our programs because it was running already
 * (bpf_prog_info.recursion_misses), and how many of so many frees and births of selems may have
 * gone past both copies without being a surprise: a small share, and never more than were skipped.
 */
struct programs_misses {
	uint64_t total; /* all programs together */
	uint64_t frees_blind;
	uint64_t births_blind;
	uint64_t births_skipped;  /* the limit of births_blind, whatever their share */
	uint64_t storages_blind;  /* births of storages that may not have been seen in time */
	uint64_t fields_blind;	  /* calls of bpf_obj_free_fields() that may have gone past both */
	uint64_t map_frees_blind; /* beginnings and ends of map_free() that went past both, at most
				   */
};

void programs_misses(const struct programs *programs, uint64_t frees, uint64_t births,
		     struct programs_misses *ret);

/* Bytes of the shared tables: mapped into this process, charged to it, apart from its own RSS. */
size_t programs_mapped_bytes(const struct programs *programs);

/* enum bpf_map_type of maps for one kind of owner. */
unsigned int programs_map_type(enum soak_kind kind);

/* A new storage map of one shape; the caller closes the fd. Returns the fd or -errno. */
int programs_new_map(const struct programs *programs, enum soak_kind kind, unsigned int shape);

/*
 * An iterator over the elements of a map of sockets, whose program lets it meet others at each of
 * ours. It holds the map. Returns an fd to read to the end of file from, which the caller closes,
 * or -errno.
 */
int programs_iterate(const struct programs *programs, int map);

/* Does accept() copy values of such maps (BPF_F_CLONE)? */
bool programs_is_cloned(enum soak_kind kind, unsigned int shape);

/* Bytes of a value of that shape. */
size_t programs_value_size(unsigned int shape);

/* Puts a map where the fill programs find it; fd < 0 empties the slot. Returns 0 or -errno. */
int programs_set_fill(const struct programs *programs, enum soak_kind kind, unsigned int shape,
		      unsigned int slot, int fd);

/* An order, which belongs to one worker; NULL: no more of them, or this kernel takes none. */
struct soak_order *programs_order(const struct programs *programs, unsigned int index);

/*
 * Adds to how many orders, and how many threads that want bare births, the programs look for. Any
 * thread.
 */
void programs_add_orders(const struct programs *programs, int orders, int bare);

/*
 * Puts a map of the small shape into one of an order's slots; fd < 0 empties it. Waits for a grace
 * period. Returns 0 or -errno.
 */
int programs_set_order(const struct programs *programs, enum soak_kind kind, unsigned int index,
		       unsigned int slot, int fd);

/* The descriptor of the program that obeys, -EOPNOTSUPP when the kernel lacks what it hangs on. */
int programs_of_order(const struct programs *programs, enum soak_by by, enum soak_kind kind);

/* What an iterator goes over. */
enum walk_over {
	WALK_STORAGE, /* the elements of one map of sockets */
	WALK_TASKS,
	WALK_TASK_FILES,
};

/*
 * The descriptor of the program of an iterator, borrowed; shape: of the map's values, with
 * WALK_STORAGE. -EOPNOTSUPP when this kernel has no such iterator.
 */
int programs_walk_program(const struct programs *programs, enum walk_over over, unsigned int shape);

/* The walk of one worker over tasks or files, NULL beyond the last one. */
struct soak_walk *programs_walk(const struct programs *programs, unsigned int index);

/*
 * Puts a map of the small shape where the programs of that walk look for it; fd < 0 takes it out.
 * Waits for a grace period. Returns 0 or -errno.
 */
int programs_set_walk(const struct programs *programs, enum soak_kind kind, unsigned int index,
		      int fd);

/* Who the calling thread is to the kernel, whatever its PID namespace. Returns 0 or -errno. */
int programs_who(const struct programs *programs, uint32_t *ret);

/*
 * The calling thread enlists for refusals. Returns its slot, -EBUSY when there is no room for it,
 * or another -errno: -EOPNOTSUPP where births of that kind cannot be refused. The slot is its own
 * until programs_discharge(), which anybody may call once the thread makes no births.
 */
int programs_enlist(const struct programs *programs, enum soak_kind kind);
void programs_discharge(const struct programs *programs, unsigned int slot);
struct soak_refusal *programs_refusal(const struct programs *programs, unsigned int slot);

/*
 * The program with which a process enlists itself by a system call (BPF_PROG_TEST_RUN, with a
 * struct soak_enlisted as context), or -EOPNOTSUPP as above. The descriptor is borrowed.
 */
int programs_enlister(const struct programs *programs, enum soak_kind kind);

/* rqspinlock's counts of held locks, of all CPUs. Returns 0, -EOPNOTSUPP or another -errno. */
int programs_held(const struct programs *programs, struct soak_held *ret);

/* Test hook: notes the id of a map that stays as long as the programs. */
struct map_ids;
void programs_note_own_map(const struct programs *programs, struct map_ids *ids);

/* Looks at the memory of a residual. Returns 0 or -errno. */
int programs_inspect(const struct programs *programs, uint64_t selem, struct soak_inspect *ret);

/* The same for a bpf_local_storage. */
int programs_inspect_storage(const struct programs *programs, uint64_t storage,
			     struct soak_inspect_storage *ret);

/*
 * Has the allocator got the memory back (bpf/slab.bpf.h)? False also where this kernel does not say
 * so: before 6.13, which has no bpf_get_kmem_cache().
 */
bool programs_is_free(const struct programs *programs, uint64_t address);

#endif
