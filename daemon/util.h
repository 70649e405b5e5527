/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small helpers that every file of the daemon may use: ownership by _cleanup_, time, whole-file
 * reads and atomic whole-file writes. No state; callable from any thread.
 */
#ifndef SOAK_UTIL_H
#define SOAK_UTIL_H

#include <dirent.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_free_	   _cleanup_(freep)
#define _cleanup_close_	   _cleanup_(closep)
#define _cleanup_fclose_   _cleanup_(fclosep)
#define _cleanup_closedir_ _cleanup_(closedirp)

#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) _taken = (p); \
		(p) = NULL;                 \
		_taken;                     \
	})

#define TAKE_FD(fd)                \
	({                         \
		int _taken = (fd); \
		(fd) = -1;         \
		_taken;            \
	})

/* CLOCK_MONOTONIC in nanoseconds: the clock of bpf_ktime_get_ns(). */
uint64_t now_ns(void);

/* Sleeps for about so long; a signal may end it early. */
void sleep_ns(uint64_t ns);

/*
 * The calling thread stays on that CPU; -1: it goes where it wants. When that is refused it does so
 * too, which costs contention and nothing else.
 */
void pin_thread(int cpu);

/* The nth of a set that is not empty, from 0 on; after the last comes the first again. */
int nth_cpu(const cpu_set_t *cpus, unsigned int n);

/* CLOCK_REALTIME in seconds. */
double now_realtime(void);

/*
 * Reads a whole file (also of procfs or sysfs) into a new NUL-terminated buffer that the caller
 * frees. Returns 0 or -errno; -EFBIG above 64 MiB. *ret_len may be NULL.
 */
int read_file(const char *path, char **ret, size_t *ret_len);

/* Reads the first unsigned number of a file. Returns 0, -errno, or -EINVAL if there is none. */
int read_file_u64(const char *path, uint64_t *ret);

/* Writes a string to an existing file in one write (procfs, sysfs). Returns 0 or -errno. */
int write_file(const char *path, const char *text);

/*
 * Replaces path by data: temporary file beside it, fsync, rename, fsync of the directory. A
 * reader sees the old text or the new, never part of one. Returns 0 or -errno; on failure the
 * old file stands and no temporary file stays behind.
 */
int write_file_atomic(const char *path, const void *data, size_t len);

/* Makes the names in a directory last. Best effort. */
void sync_dir(const char *path);

/* mkdir -p. Returns 0 or -errno. */
int make_dirs(const char *path, unsigned int mode);

/* asprintf that returns NULL when out of memory. */
char *format(const char *fmt, ...) _printf_(1, 2);
char *vformat(const char *fmt, va_list ap) _printf_(1, 0);

/* "12s", "5m03s", "2h00m07s". */
void format_elapsed(char *buf, size_t size, uint64_t ns);

/* A label, and from column indent on the words of text, in lines of at most width. Ends the line.
 */
void print_wrapped(FILE *out, const char *label, size_t indent, size_t width, const char *text);

/* Text for a manual page: hyphens that can be copied, no request by accident. */
void print_troff(FILE *out, const char *text);

#endif
