/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A second process that reads values by bpf(2): what one process stored another must find, whole,
 * and it must find nothing else. A child, forked before there are threads, maps and programs; it is
 * handed map and owner as descriptors, one question at a time, and gives them back before it
 * answers, so it keeps nothing alive. It ends with us.
 *
 * One reader serves all threads: whoever finds it busy goes without.
 */
#ifndef SOAK_READER_H
#define SOAK_READER_H

#include <stddef.h>
#include <stdint.h>

struct reader;

/* Of a watch: what the reader found while the value was being replaced. */
struct reader_watch {
	unsigned int reads;   /* that found a value */
	unsigned int torn;    /* of those, not whole */
	unsigned int foreign; /* whole, with a cookie that was never stored there */
};

/* Forks. Returns 0 or -errno. */
int reader_new(struct reader **ret);

/* Ends the child and waits for it. Takes NULL. */
void reader_free(struct reader *reader);

/*
 * Looks up one value of size bytes. flags: of bpf_map_lookup_elem_flags(). Returns 0, the errno of
 * the look-up as a negative number, -EBUSY when somebody else is asking, or -EPIPE when the reader
 * is gone.
 */
int reader_read(struct reader *reader, int map, int owner, size_t size, uint64_t flags,
		void *found);

/*
 * Has it look again and again, until it finds the cookie last, or for at most 30 ms, while the
 * caller stores values with the cookies first to last. Every reader_watch_begin() that returns 0
 * is followed by reader_watch_end() in the same thread; errors as above.
 */
int reader_watch_begin(struct reader *reader, int map, int owner, size_t size, uint64_t flags,
		       uint64_t first, uint64_t last);
int reader_watch_end(struct reader *reader, struct reader_watch *ret);

#endif
