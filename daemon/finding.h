/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Findings: whatever somebody should look at, written down so that a maintainer who was not there
 * can judge it. One directory each, below DIR/findings, of the first of every signature; the rest
 * is counted in DIR/findings/index.json. Written and synced at once, and told to the console in one
 * line, since the kernel may die next. Owned by the run loop, one thread.
 *
 * docs/design.md, "Findings", has the files of a directory.
 */
#ifndef SOAK_FINDING_H
#define SOAK_FINDING_H

#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

struct config;
struct findings;
struct kmsg;
struct kmsg_report;
struct probe;
struct programs;

struct findings_options {
	const char *dir;	 /* NULL: nothing is written to files */
	const char *console;	 /* for the one line; NULL: none */
	const char *kmsg_device; /* NULL: /dev/kmsg; "": none */
	const char *replay_base; /* see replay.h */
	/* All borrowed, and must outlive the findings; programs and kmsg may be NULL. */
	const struct config *config;
	const struct probe *probe;
	const struct programs *programs;
	const struct kmsg *kmsg;
	const struct snapshot *now; /* the latest: which faults there were in this run, how long */
};

/* One thing that is wrong, or an example of one that is known. Pointers are borrowed. */
struct finding {
	enum finding_class class;
	enum violation_kind violation; /* of class FINDING_VIOLATION */
	enum hole_kind hole;	       /* of the others */
	enum fault_kind kind; /* of the failed lock in its history; FAULT_NR: none is known */
	/* NULL: what finding.c knows of that violation or hole, and can derive from the rest. */
	const char *what;  /* one line: what was seen */
	const char *why;   /* why that is wrong */
	const char *claim; /* which claim of the algorithm is broken, or which hole this is */
	/* More for the signature, such as the number of a claim or the function of a WARNING. */
	const char *detail;
	/* Evidence, all optional. */
	const struct soak_slot *slot;
	const struct soak_storage *storage;
	const struct soak_suspect *suspect;
	const struct kmsg_report *report;
	uint64_t count; /* so many of them at once; 0: one */
};

/* Returns 0 or -ENOMEM. */
int findings_new(const struct findings_options *options, struct findings **ret);
void findings_free(struct findings *findings);

/*
 * Takes one in: counts it, and writes it down when its signature is new and there is room. NULL
 * findings: nothing. A file that cannot be written is said once and no error: the run goes on.
 */
void findings_add(struct findings *findings, const struct finding *finding);

/*
 * Looks at the latest snapshot for violations that are counted as they happen, and makes findings
 * of those that nobody has added yet, whatever their kind. Then brings up to date what was written
 * a moment ago, and the index. Each tick, and once more when all is judged.
 */
void findings_watch(struct findings *findings);

/* Fills the findings' part of a snapshot. */
void findings_read(const struct findings *findings, struct snapshot *ret);

/* As in the name of a directory: what it is, the fault's kind, what the visits came to. */
void findings_signature(const struct finding *finding, char *buf, size_t size);

/* What the oracle that saw it stands for; never NULL, whatever the kind. */
const char *finding_why(const struct finding *finding);
const char *finding_claim(const struct finding *finding);

#endif
