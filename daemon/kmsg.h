/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel log as an oracle. kmsg_classify() is pure and knows what each line means;
 * struct kmsg reads /dev/kmsg, joins the lines of one report, counts, and keeps the first
 * reports whole. Owned by the run loop, one thread.
 */
#ifndef SOAK_KMSG_H
#define SOAK_KMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum kmsg_class {
	KMSG_BENIGN,
	KMSG_DOCUMENTED, /* one of the two WARN_ON_ONCE of bpf_selem_unlink_nofail() */
	KMSG_WARNING,
	KMSG_BUG,
	KMSG_OOPS,
	KMSG_KASAN, /* KFENCE and KMSAN too: memory that was not ours to touch */
	KMSG_UBSAN,
	KMSG_LOCKDEP,
	KMSG_ODEBUG,
	KMSG_REFCOUNT,
	KMSG_HUNG_TASK,
	KMSG_SOFT_LOCKUP, /* of a CPU or of a workqueue's pool */
	KMSG_HARD_LOCKUP,
	KMSG_RCU_STALL,
	KMSG_LIST_CORRUPTION,
	KMSG_KMEMLEAK,
	KMSG_OOM,
	KMSG_PRESSURE, /* out of memory, and the one killed is our own that took it: --pressure */
	KMSG_CLASS_NR,
};

/* "documented_warn", "kasan", ...: the label in the stats file and the key in the report. */
const char *kmsg_class_name(enum kmsg_class class);

/*
 * True for what makes a run fail: everything except benign, documented, and what --pressure brings
 * about. OOM counts.
 */
bool kmsg_class_is_violation(enum kmsg_class class);

/*
 * One message line without prefix or timestamp. The first line of a report decides its class;
 * the lines that follow it (registers, call trace, "---[ end trace") are KMSG_BENIGN.
 * A documented WARN is recognised by the function it is in, and by the condition text where the
 * kernel prints one, never by line number.
 */
enum kmsg_class kmsg_classify(const char *line);

struct kmsg;

/* One report: its class and its text, lines separated by '\n'. */
struct kmsg_report {
	enum kmsg_class class;
	uint64_t time_us; /* kernel time of the first line */
	char *text;
};

/*
 * Opens the device (path NULL: /dev/kmsg) at its end: what was logged before the run is not the
 * run's. Returns 0 or -errno: -EPERM means CAP_SYSLOG is missing (kernel.dmesg_restrict).
 */
int kmsg_new(const char *path, struct kmsg **ret);

/*
 * Instead: what the log still holds from since_us of the kernel's time on, read at once; its lines
 * go to copy as well, each with its time. 0 or -errno as above. kmsg_lost() does not know what was
 * overwritten before the first line that is left.
 */
int kmsg_replay(const char *path, uint64_t since_us, FILE *copy, struct kmsg **ret);
void kmsg_free(struct kmsg *kmsg);

/* For epoll. */
int kmsg_fd(const struct kmsg *kmsg);

/*
 * Reads everything that is there now. Returns the number of new reports that are not benign, or
 * -errno. A record that the kernel overwrote before we read it (-EPIPE) is counted, not
 * returned as an error.
 */
int kmsg_read(struct kmsg *kmsg);

/*
 * What kmsg_read() does with each record: text as one read() of /dev/kmsg returns it. Returns the
 * number of new reports that are not benign. For tests, which have no device of their own.
 */
int kmsg_feed_record(struct kmsg *kmsg, const char *record, size_t len);

/* Reports of that class. KMSG_BENIGN: lines that belong to no report. */
uint64_t kmsg_count(const struct kmsg *kmsg, enum kmsg_class class);
/* Those that make a run fail, of all classes. */
uint64_t kmsg_violations(const struct kmsg *kmsg);
uint64_t kmsg_lost(const struct kmsg *kmsg);

/*
 * The reports kept whole (the first 32 that are not benign), oldest first. Owned by kmsg; the text
 * of the last one may still grow, and move, with the next kmsg_read().
 */
size_t kmsg_reports(const struct kmsg *kmsg, const struct kmsg_report **ret);

/*
 * Re-arms WARN_ON_ONCE through debugfs clear_warn_once. Returns 0 or -errno (-ENOENT: debugfs is
 * not mounted).
 */
int kmsg_rearm_warn_once(void);

#endif
