// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is wrong, written down at once: see finding.h. The files of a finding are all written by
 * functions that print to a stream, so that each reads like the file.
 */
#include "finding.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>

#include "build_config.h"
#include "config.h"
#include "kconfig.h"
#include "kmsg.h"
#include "log.h"
#include "probe.h"
#include "programs.h"
#include "replay.h"
#include "util.h"

#define KMSG_DEVICE	"/dev/kmsg"
#define SIGNATURE_MAX	160
#define SIGNATURES_MAX	64 /* different ones that are told apart */
#define RECORD_MAX	16384
#define SLICE_MAX	(64u << 10) /* of the kernel log, bytes */
#define SLICE_BEFORE_US 60000000ULL
#define SLICE_MARGIN_US 10000000ULL
#define REFRESHES	3 /* ticks for which the kernel log is watched for more */
#define FAULTS_SHOWN	40
#define CONSOLE_WAIT_NS (10 * NSEC_PER_MSEC)
#define SUMMARY_INDENT	11
#define SUMMARY_WIDTH	100
#define CONSOLE_WAITS	20

/* The claims that the patch set makes; they bind whatever locks fail. */
#define CLAIM_ONCE    "every element is freed exactly once, by map_free or by destroy"
#define CLAIM_STORAGE "the owner's bpf_local_storage is freed exactly once"
#define CLAIM_CHARGE                                                              \
	"memory is uncharged exactly once, and only while the owner is present: " \
	"sk_omem_alloc is 0 after bpf_sk_storage_free()"
#define CLAIM_READERS "readers never see freed or half-cleared memory"
#define CLAIM_SOUND   "the kernel's own checkers find nothing to complain of"
#define CLAIM_ENDS    "map_free and destroy terminate, whatever locks fail"
#define CLAIM_FIELDS  "special fields are freed exactly once, while their map is there"
#define CLAIM_HELD    "a lock that was not obtained leaves nothing behind in rqspinlock's table"

/* A kind that is not here is a violation nevertheless, with less to read. */
static const struct {
	const char *what, *why, *claim;
} violations[VIOLATION_NR] = {
	[VIOLATION_SELEM_LEAK] = { "an element was never freed, and no lock had failed in its history",
				   "The map is freed and the owner is dead, so nothing can reach this memory any "
				   "more. No failed lock excuses it: both sides had what they needed.",
				   CLAIM_ONCE },
	[VIOLATION_STORAGE_LEAK] = { "a bpf_local_storage was never freed, and no lock had failed in its history",
				     "Its owner is dead, so nothing can reach this memory any more, and no visit of "
				     "one of its elements was refused a lock.",
				     CLAIM_STORAGE },
	[VIOLATION_DOUBLE_FREE] = { "an element was handed to be freed twice",
				    "It was not born again in between, and its memory still held the same value at "
				    "the second free. What is freed twice is given to two users by the allocator.",
				    CLAIM_ONCE },
	[VIOLATION_STORAGE_DOUBLE_FREE] = { "a bpf_local_storage was handed to be freed twice",
					    "It was not born again in between, and it still had the same owner. What is freed "
					    "twice is given to two users by the allocator.",
					    CLAIM_STORAGE },
	[VIOLATION_OMEM] = { "a dying socket was still charged when its storage was gone",
			     "sk_omem_alloc was not 0 at the end of bpf_sk_storage_free(): something was not "
			     "uncharged, or uncharged twice. The limit net.core.optmem_max no longer means "
			     "what it says.",
			     CLAIM_CHARGE },
	[VIOLATION_VALUE] = { "a value was not the one that was stored, or was not answered for as it must be",
			      "The worker knew what was there, and nobody else writes to that owner's values: "
			      "the memory was written to, or was another's, or the kernel does not keep to what "
			      "it documents. What was said of it stands above.",
			      CLAIM_READERS },
	[VIOLATION_KERNEL_LOG] = { "the kernel complained",
				   "It is not one of the two documented warnings of bpf_selem_unlink_nofail(), and "
				   "nothing that the run does excuses it.",
				   CLAIM_SOUND },
	[VIOLATION_STUCK] = { "something made no progress any more",
			      "It had longer than --stuck for it, many times what a failed lock can take.",
			      CLAIM_ENDS },
	[VIOLATION_HELD] = { "rqspinlock counted held locks with nothing held",
			     "After the run every count must come to 0. Where it does not, an error path forgot "
			     "to give its entry back, and later acquisitions on that CPU fail with false "
			     "-EDEADLK.",
			     CLAIM_HELD },
	[VIOLATION_FIELDS_TWICE] = { "the special fields of an element were freed twice",
				     "A reference in a value would be given back twice, and its "
				     "object freed while somebody uses it.",
				     CLAIM_FIELDS },
	[VIOLATION_FIELDS_LEAK] = { "an element was freed with a reference still in it",
				    "Nobody gives that reference back any more, so its object is "
				    "never freed. map_free() had obtained the bucket lock, so its "
				    "documented hole does not excuse it.",
				    CLAIM_FIELDS },
	[VIOLATION_FIELDS_LATE] = { "special fields were freed when their map was gone",
				    "What they are is written in the map's record: it was read in "
				    "memory that is somebody else's by then.",
				    CLAIM_FIELDS },
	[VIOLATION_REFERENCE] = { "references kept in values do not come out even",
				  "As many must be given back as were stored, less those in "
				  "values that leaked. More: two values shared one.",
				  CLAIM_FIELDS },
	[VIOLATION_FREED_LINKED] = { "an element was freed while it was still on a list",
				     "No failed lock had left it there. Whoever walks or changes "
				     "that list after a grace period touches memory that is "
				     "somebody else's by then.",
				     CLAIM_READERS },
	[VIOLATION_IDENTITY] = { "an owner's death found a storage that is not its own",
				 "The storage that the dying object points to belongs to another "
				 "object, or the object does not die: it was freed, or never was "
				 "this owner's, and what follows reads memory of others.",
				 CLAIM_READERS },
	[VIOLATION_TORN] = { "a reader under the value's lock saw half of an update",
			     "The update was made with BPF_F_LOCK, so that this cannot be.",
			     CLAIM_READERS },
	[VIOLATION_OWNER] = { "an owner was uncharged when its destroy() was over",
			      "destroy() has to wait for a map_free() that has pinned the owner: "
			      "the owner is freed as soon as it returns.",
			      CLAIM_CHARGE },
	[VIOLATION_LOCK] = { "a lock failed too soon, or stays locked with nobody at it",
			     "rqspinlock gives up after its time or for a deadlock, never earlier, "
			     "and a waiter that gives up takes its bits in the lock word with it.",
			     CLAIM_HELD },
	[VIOLATION_EARLY] = { "a deleted element was freed without waiting for sleepable programs",
			      "Programs that sleep may still look at it; its memory is given away "
			      "under them.",
			      CLAIM_READERS },
	[VIOLATION_FORGOTTEN] = { "an owner died and its storage was not destroyed",
				  "All owners were dead, and bpf_local_storage_destroy() had not been called for "
				  "it: whoever still has a map frees its elements from there, and writes to "
				  "the owner's memory.",
				  CLAIM_STORAGE },
	[VIOLATION_MAP] = { "a map is still there after its last reference was gone",
			    "Nothing of ours holds it any more, and its id can still be looked up.",
			    CLAIM_ENDS },
	[VIOLATION_KMEMLEAK] = { "kmemleak found memory of local storage that nothing points to",
				 "It was allocated by local storage, and the ledger knows no hole "
				 "there.",
				 CLAIM_ONCE },
};

static const struct {
	const char *what, *why, *claim;
} holes[HOLE_NR] = {
	[HOLE_SELEM] = { "an element was never freed after a lock in its history had failed",
			 "The map is freed and the owner is dead, so nothing can reach this memory any "
			 "more. One side left the element to the other, which could not find it.",
			 CLAIM_ONCE
			 "; the kernel's comments mention its special fields, not itself" },
	[HOLE_STORAGE] = { "a bpf_local_storage was never freed after a lock in its history had failed",
			   "Its owner is dead, so nothing can reach this memory any more.",
			   CLAIM_STORAGE "; the kernel's comment at the second warning of "
					 "bpf_selem_unlink_nofail() says that it may leak" },
	[HOLE_LINKED] = { "an element was freed while it was still on a list",
			  "Whoever walks or changes that list after a grace period touches memory that is "
			  "somebody else's by then.",
			  CLAIM_READERS },
	[HOLE_FIELDS] = { "the special fields of an element were never freed",
			  "map_free() could not take the bucket lock and cleared smap, so that "
			  "nobody can know any more what fields there are.",
			  CLAIM_FIELDS "; the kernel's comment at the first warning of "
				       "bpf_selem_unlink_nofail() says that it may leak" },
};

static const char *const class_texts[FINDING_CLASS_NR] = {
	[FINDING_VIOLATION] = "violation: nothing explains it",
	[FINDING_UNDOCUMENTED] = "undocumented hole: what failed locks lead to, and the kernel's "
				 "comments do not mention",
	[FINDING_DOCUMENTED] = "documented hole (example): the kernel's comments say so",
};

/* How a reader is told what a kind is worth. */
static const char *const kind_texts[FAULT_NR + 1] = {
	[FAULT_ORGANIC] = "A real holder kept the lock past the kernel's own timeout; no error was "
			  "made up.",
	[FAULT_CONTENDED] = "Somebody really held the lock; its waiter was failed before the "
			    "kernel would have.",
	[FAULT_FORCED] = "Nobody need have held the lock: the code's premise was broken, and "
			 "leaks that follow are predicted, not bugs.",
	[FAULT_NR] = "No failed lock is known in the history of this very object.",
};

/* Of the kernel log, in its time. */
struct slice {
	uint64_t from_us, to_us;
};

/* One signature: the first of it may have a directory. */
struct entry {
	char signature[SIGNATURE_MAX];
	enum finding_class class;
	unsigned int number; /* of its directory, 0: none */
	uint64_t count;
	/* To see whether the kernel says more within a moment. */
	unsigned int refreshes;
	size_t slice_len;
	struct slice slice;
	char *report;
};

struct findings {
	struct findings_options options;
	struct entry entries[SIGNATURES_MAX];
	unsigned int n_entries;
	uint64_t beyond; /* of signatures that found no entry */
	unsigned int dirs, hole_dirs;
	uint64_t added[VIOLATION_NR]; /* violations that have come in */
	uint64_t linked[FAULT_NR];    /* holes of kind linked that have */
	size_t suspects[SOAK_SUSPECT_NR];
	size_t reports;
	uint64_t start_us; /* kernel log time */
	bool dirty;	   /* the index is behind */
	bool write_failed;
};

/* Signatures ------------------------------------------------------------------------------------
 */

static bool is_violation(const struct finding *f)
{
	return f->class == FINDING_VIOLATION;
}

static _printf_(3, 4) void add_text(char *buf, size_t size, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
}

static bool was_visited(const struct soak_visit *visit)
{
	return visit->entry_ns || visit->visits;
}

static void add_visits(char *buf, size_t size, const struct soak_slot *slot)
{
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++) {
		const struct soak_visit *visit = &slot->visit[side];

		if (!was_visited(visit))
			continue;
		if (!visit->visits)
			add_text(buf, size, "-%s.open", side_name(side));
		else
			add_text(buf, size, "-%s.%s.%s", side_name(side),
				 lock_result_name(visit->bucket), lock_result_name(visit->storage));
	}
}

/* It names a directory, which goes to other machines: nothing but letters, digits, "_.-". */
static void sanitize(char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("_.-", *text))
			*text = '_';
}

void findings_signature(const struct finding *f, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s-%s", is_violation(f) ? "" : "hole_",
		 is_violation(f) ? violation_name(f->violation) : hole_kind_name(f->hole),
		 cover_kind_name(f->kind));
	if (f->detail)
		add_text(buf, size, "-%s", f->detail);
	if (f->slot && f->slot->flags & SOAK_FREED)
		add_text(buf, size, "-by_%s", free_name(f->slot->free_by));
	if (f->slot)
		add_visits(buf, size, f->slot);
	if (!f->slot && f->storage)
		add_text(buf, size, "-%s",
			 f->storage->flags & SOAK_DESTROYED ? "destroyed" : "not_destroyed");
	sanitize(buf);
}

const char *finding_why(const struct finding *f)
{
	const char *why;

	if (f->why)
		return f->why;
	if (is_violation(f))
		why = f->violation < VIOLATION_NR ? violations[f->violation].why : NULL;
	else
		why = f->hole < HOLE_NR ? holes[f->hole].why : NULL;
	return why ? why
		   : "An oracle of that name has seen what must not be; docs/design.md has it.";
}

const char *finding_claim(const struct finding *f)
{
	const char *claim;

	if (f->claim)
		return f->claim;
	if (is_violation(f))
		claim = f->violation < VIOLATION_NR ? violations[f->violation].claim : NULL;
	else
		claim = f->hole < HOLE_NR ? holes[f->hole].claim : NULL;
	return claim ? claim : "see docs/design.md";
}

static const char *what_of(const struct finding *f)
{
	const char *what;

	if (f->what)
		return f->what;
	if (is_violation(f))
		what = f->violation < VIOLATION_NR ? violations[f->violation].what : NULL;
	else
		what = f->hole < HOLE_NR ? holes[f->hole].what : NULL;
	return what ? what : violation_name(f->violation);
}

/* The first line ---------------------------------------------------------------------------------
 */

static bool run_has_kind(const struct snapshot *s, unsigned int kind)
{
	return s->kinds[kind] || snapshot_failures(s, kind);
}

static bool run_has_faults(const struct snapshot *s)
{
	for (unsigned int kind = 0; kind < FAULT_NR; kind++)
		if (run_has_kind(s, kind))
			return true;
	return false;
}

/*
 * The kind of the failed lock in its history. Where none is known there, all kinds of this run: it
 * is for the reader to see whether they are connected.
 */
static void print_first_line(FILE *out, const struct snapshot *s, enum fault_kind kind)
{
	const char *comma = "";

	if (kind < FAULT_NR) {
		fprintf(out, "FAULTS WERE INJECTED: %s", fault_kind_name(kind));
		return;
	}
	if (!run_has_faults(s)) {
		fputs("NO FAULT WAS INJECTED", out);
		return;
	}
	fputs("FAULTS WERE INJECTED: ", out);
	for (unsigned int k = 0; k < FAULT_NR; k++) {
		if (!run_has_kind(s, k))
			continue;
		fprintf(out, "%s%s", comma, fault_kind_name(k));
		comma = ", ";
	}
}

/* History ----------------------------------------------------------------------------------------
 */

static const char *bit(unsigned int bits, unsigned int which, const char *name)
{
	return bits & which ? name : "";
}

/* selem->state as enum bpf_selem_unlink_state (bpf_local_storage.c) has it since 7.0. */
static void print_state(FILE *out, unsigned int state)
{
	fprintf(out, "%#x%s%s%s%s", state, state ? " =" : "", bit(state, 1, " MAP_UNLINKED"),
		bit(state, 2, " STORAGE_UNLINKED"), bit(state, 4, " TOFREE"));
}

/* The newest failed lock of this selem at that site. */
static const struct soak_fault *fault_of(const struct programs *programs,
					 const struct soak_slot *slot, unsigned int site)
{
	const struct soak_fault *faults, *found = NULL;
	size_t n;

	faults = programs_faults(programs, &n);
	for (size_t i = 0; i < n; i++)
		if (faults[i].selem == slot->key && faults[i].site == site &&
		    faults[i].ns >= slot->birth_ns)
			found = &faults[i];
	return found;
}

static void print_kinds(FILE *out, unsigned int kinds)
{
	const char *separator = " (";

	for (unsigned int k = 0; k < FAULT_NR; k++) {
		if (!(kinds & 1u << k))
			continue;
		fprintf(out, "%s%s", separator, fault_kind_name(k));
		separator = ", ";
	}
	fputs(kinds ? ")" : "", out);
}

static void print_lock(FILE *out, const struct findings *findings, const struct soak_slot *slot,
		       unsigned int side, bool storage)
{
	const struct soak_visit *visit = &slot->visit[side];
	unsigned int result = storage ? visit->storage : visit->bucket;
	const struct soak_fault *fault = NULL;

	fprintf(out, "      %-13s %s", storage ? "storage lock" : "bucket lock",
		lock_result_name(result));
	if (result == SOAK_LOCK_TIMEOUT || result == SOAK_LOCK_DEADLOCK) {
		if (findings->options.programs)
			fault = fault_of(findings->options.programs, slot,
					 side * 2 + (storage ? 1 : 0));
		print_kinds(out, fault ? 1u << fault->kind : visit->kinds);
	}
	fputc('\n', out);
}

static double ms_since(uint64_t ns, uint64_t birth_ns)
{
	return (double)(int64_t)(ns - birth_ns) / 1e6;
}

static void print_visit(FILE *out, const struct findings *findings, const struct soak_slot *slot,
			unsigned int side)
{
	const struct soak_visit *visit = &slot->visit[side];

	fprintf(out, "%+13.3f ms  %s", ms_since(visit->entry_ns, slot->birth_ns), side_name(side));
	if (visit->visits > 1)
		fprintf(out, ", the last of %u%s visits", visit->visits,
			visit->visits == 255 ? " or more" : "");
	if (visit->pid)
		fputs(visit->visits ? ", and another one, whose end had not been seen"
				    : ", whose end had not been seen",
		      out);
	fputc('\n', out);
	if (!visit->visits)
		return;
	print_lock(out, findings, slot, side, false);
	print_lock(out, findings, slot, side, true);
	fputs("      state after   ", out);
	print_state(out, visit->state);
	fprintf(out, "\n      took          %u.%03u ms\n", visit->duration_us / 1000,
		visit->duration_us % 1000);
}

/* In the order in which they began. */
static void print_visits(FILE *out, const struct findings *findings, const struct soak_slot *slot)
{
	unsigned int first =
		slot->visit[SOAK_DESTROY].entry_ns && slot->visit[SOAK_DESTROY].entry_ns <
							      slot->visit[SOAK_MAP_FREE].entry_ns
			? SOAK_DESTROY
			: SOAK_MAP_FREE;

	for (unsigned int i = 0; i < SOAK_SIDE_NR; i++) {
		unsigned int side = (first + i) % SOAK_SIDE_NR;

		if (was_visited(&slot->visit[side]))
			print_visit(out, findings, slot, side);
	}
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		if (!was_visited(&slot->visit[side]))
			fprintf(out, "      no visit of %s was seen\n", side_name(side));
}

static void print_memory(FILE *out, const struct findings *findings, const struct soak_slot *slot)
{
	struct soak_inspect seen;

	fputs("\nIts memory now\n", out);
	if (!findings->options.programs ||
	    programs_inspect(findings->options.programs, slot->key, &seen)) {
		fputs("      not readable\n", out);
		return;
	}
	fprintf(out, "      value         %s, cookie %#llx\n",
		seen.value.magic == SOAK_VALUE_MAGIC ? "one of ours" : "not one of ours",
		seen.value.cookie);
	fputs("      state         ", out);
	print_state(out, seen.state);
	fprintf(out,
		"\n      bucket        %s\n      owner's list  %s\n      smap          %#llx\n"
		"      local_storage %#llx\n",
		seen.map_pprev ? "still in it" : "not in it",
		seen.storage_pprev ? "still on it" : "not on it", seen.smap, seen.storage);
}

static void print_selem(FILE *out, const struct findings *findings, const struct soak_slot *slot)
{
	fprintf(out,
		"Element\n      address       %#llx, %u bytes\n      owner         %#llx, %s\n"
		"      storage       %#llx\n      map           id %u\n\n"
		"History, from its birth at %.6f s of the kernel's monotonic clock\n",
		slot->key, slot->elem_size, slot->owner, owner_kind_phrase(slot->kind),
		slot->storage, slot->map_id, (double)slot->birth_ns / 1e9);
	fprintf(out, "%+13.3f ms  born\n", 0.0);
	print_visits(out, findings, slot);
	if (slot->flags & SOAK_FREED)
		fprintf(out, "%+13.3f ms  freed by %s\n", ms_since(slot->free_ns, slot->birth_ns),
			free_name(slot->free_by));
	else
		fputs("      never freed\n", out);
}

static void print_storage(FILE *out, const struct soak_storage *storage)
{
	fprintf(out,
		"bpf_local_storage\n      address       %#llx\n      owner         %#llx, %s\n\n"
		"History, from its birth at %.6f s of the kernel's monotonic clock\n",
		storage->key, storage->owner, owner_kind_phrase(storage->kind),
		(double)storage->birth_ns / 1e9);
	if (storage->destroy_ns)
		fprintf(out, "%+13.3f ms  destroy() entered%s\n",
			ms_since(storage->destroy_ns, storage->birth_ns),
			storage->flags & SOAK_DESTROYED ? ", and left" : "; its end was not seen");
	else
		fputs("      no destroy() was seen\n", out);
	if (storage->flags & SOAK_FREED)
		fprintf(out, "%+13.3f ms  freed\n", ms_since(storage->free_ns, storage->birth_ns));
	else
		fputs("      never freed\n", out);
	fputs("      failed locks of visits of its elements:", out);
	print_kinds(out, storage->fault_kinds);
	fputs(storage->fault_kinds ? "\n" : " none\n", out);
}

/* What the programs noted beside the object (enum soak_suspicion). */
static void print_detail(FILE *out, const struct finding *f)
{
	if (is_violation(f) && f->violation == VIOLATION_OMEM)
		fprintf(out, ", sk_omem_alloc %lld", (long long)f->suspect->detail);
	else if (is_violation(f))
		fprintf(out, ", at station %lld of a free", (long long)f->suspect->detail);
}

static void print_suspect(FILE *out, const struct finding *f, uint64_t birth_ns)
{
	const struct soak_suspect *suspect = f->suspect;

	if (birth_ns)
		fprintf(out, "%+13.3f ms  ", ms_since(suspect->ns, birth_ns));
	else
		fprintf(out,
			"At %.6f s of the kernel's monotonic clock: ", (double)suspect->ns / 1e9);
	fprintf(out, "noticed, and noted down as above: object %#llx, thread %u (%.*s) on CPU %u",
		suspect->object, suspect->pid, (int)sizeof(suspect->comm), suspect->comm,
		suspect->cpu);
	print_detail(out, f);
	fputc('\n', out);
}

static bool fault_touches(const struct soak_fault *fault, uint64_t owner, uint64_t storage,
			  unsigned int map_id)
{
	return fault->owner == owner || (storage && fault->storage == storage) ||
	       (map_id && fault->map_id == map_id);
}

/* Of its owner, its storage and its map: what leaks by a neighbour's failure is seen here. */
static void print_faults(FILE *out, const struct findings *findings, uint64_t owner,
			 uint64_t storage, unsigned int map_id, uint64_t birth_ns)
{
	const struct soak_fault *faults;
	unsigned int shown = 0;
	size_t n;

	fputs("\nFailed locks of its owner, storage or map since then (the newest last)\n", out);
	if (!findings->options.programs)
		return;
	faults = programs_faults(findings->options.programs, &n);
	/* Backwards to count, forwards to print. */
	for (; n && !faults[n - 1].ns; n--)
		;
	for (size_t i = 0; i < n && shown < FAULTS_SHOWN; i++) {
		const struct soak_fault *fault = &faults[i];

		if (fault->ns < birth_ns || !fault_touches(fault, owner, storage, map_id))
			continue;
		shown++;
		fprintf(out,
			"%+13.3f ms  %s %s (%s), visit of %u.%03u ms, selem %#llx, storage %#llx, "
			"owner %#llx, map %u\n",
			ms_since(fault->ns, birth_ns), site_name(fault->site),
			lock_result_name(fault->result), fault_kind_name(fault->kind),
			fault->duration_us / 1000, fault->duration_us % 1000, fault->selem,
			fault->storage, fault->owner, fault->map_id);
	}
	if (!shown)
		fputs("      none\n", out);
	if (shown == FAULTS_SHOWN)
		fprintf(out, "      the first %u only\n", shown);
}

static void print_history(FILE *out, const struct findings *findings, const struct finding *f)
{
	const struct soak_storage *storage = f->storage;
	const struct soak_slot *slot = f->slot;

	if (slot)
		print_selem(out, findings, slot);
	else if (storage)
		print_storage(out, storage);
	else
		fputs("No one object's: the oracle counts, and knows no more than summary.txt "
		      "says.\n",
		      out);
	if (f->suspect)
		print_suspect(out, f, slot ? slot->birth_ns : (storage ? storage->birth_ns : 0));
	if (slot)
		print_memory(out, findings, slot);
	if (slot)
		print_faults(out, findings, slot->owner, slot->storage, slot->map_id,
			     slot->birth_ns);
	else if (storage)
		print_faults(out, findings, storage->owner, storage->key, 0, storage->birth_ns);
}

/* The kernel log ---------------------------------------------------------------------------------
 */

/* "LEVEL,SEQ,USEC,FLAGS;TEXT\n KEY=VALUE": the text as dmesg shows it. */
static size_t format_record(char *record, size_t len, const struct slice *slice, char *buf,
			    size_t size)
{
	unsigned long long prefix, usec;
	char *text;
	int n;

	record[len] = '\0';
	text = strchr(record, ';');
	if (!text || sscanf(record, "%llu,%*u,%llu", &prefix, &usec) != 2 ||
	    usec < slice->from_us || usec > slice->to_us)
		return 0;
	text++;
	text[strcspn(text, "\n")] = '\0';
	n = snprintf(buf, size, "[%5llu.%06llu] %s%s\n", usec / 1000000, usec % 1000000,
		     prefix >> 3 ? "(user space) " : "", text);
	return MIN((size_t)n, size - 1);
}

/* All that the kernel still has of it; the oldest goes when it is too much. */
static char *read_slice(const struct findings *findings, const struct slice *wanted)
{
	const char *device = findings->options.kmsg_device;
	_cleanup_close_ int fd = -1;
	char *slice, record[RECORD_MAX + 1], line[RECORD_MAX + 64];
	size_t len = 0;

	fd = open(device ? device : KMSG_DEVICE, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return format("the kernel log cannot be read: %s\n", strerror(errno));
	slice = calloc(1, SLICE_MAX + 1);
	while (slice) {
		ssize_t n = read(fd, record, RECORD_MAX);
		size_t more;

		/* Overwritten, or too long for us: the next read goes on behind it. */
		if (n < 0 && (errno == EPIPE || errno == EINTR || errno == EINVAL))
			continue;
		if (n <= 0)
			break;
		more = format_record(record, (size_t)n, wanted, line, sizeof(line));
		if (more > SLICE_MAX)
			continue;
		if (len + more > SLICE_MAX) {
			size_t drop = len + more - SLICE_MAX;

			memmove(slice, slice + drop, len - drop);
			len -= drop;
		}
		memcpy(slice + len, line, more);
		len += more;
		slice[len] = '\0';
	}
	return slice;
}

/* Where a report says that it happened: "at FUNCTION+0x1/0x2", "RIP: 0010:FUNCTION+0x1/0x2". */
static void find_function(const char *text, char *buf, size_t size)
{
	static const char *const marks[] = { "WARNING: ", "BUG: ", "RIP: 0010:", "Call Trace:" };

	*buf = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		const char *line = strstr(text, marks[i]), *plus, *begin;

		/* The first word of the form NAME+0x that follows. */
		plus = line ? strstr(line, "+0x") : NULL;
		if (!plus)
			continue;
		for (begin = plus; begin > line; begin--)
			if (!isalnum((unsigned char)begin[-1]) && !strchr("_.", begin[-1]))
				break;
		if (begin < plus && !isdigit((unsigned char)*begin)) {
			snprintf(buf, size, "%.*s", (int)(plus - begin), begin);
			return;
		}
	}
}

/* Writing ----------------------------------------------------------------------------------------
 */

static const char *dir_of(const struct findings *findings)
{
	return findings->options.config->findings ? findings->options.dir : NULL;
}

static char *path_of(const struct findings *findings, const struct entry *entry, const char *name)
{
	return format("%s/findings/%03u-%s/%s", findings->options.dir, entry->number,
		      entry->signature, name);
}

static void complain(struct findings *findings, const char *path, int error)
{
	if (!findings->write_failed)
		log_error("cannot write the finding %s: %s; the run goes on", path,
			  strerror(-error));
	findings->write_failed = true;
}

static void write_text(struct findings *findings, const struct entry *entry, const char *name,
		       const void *text, size_t len)
{
	_cleanup_free_ char *path = path_of(findings, entry, name);
	int r = path && text ? write_file_atomic(path, text, len) : -ENOMEM;

	if (r < 0)
		complain(findings, path ? path : name, r);
}

/* A file that a function prints. */
struct page {
	FILE *out;
	char *text;
	size_t len;
};

static FILE *page_begin(struct page *page)
{
	*page = (struct page){ 0 };
	page->out = open_memstream(&page->text, &page->len);
	return page->out;
}

static void page_end(struct page *page, struct findings *findings, const struct entry *entry,
		     const char *name)
{
	if (fclose(page->out))
		complain(findings, name, -ENOMEM);
	else
		write_text(findings, entry, name, page->text, page->len);
	free(page->text);
}

/* Since the start of the churn, 0: not during it. */
static uint64_t seen_after(const struct findings *findings)
{
	const struct snapshot *s = findings->options.now;

	return s->state < RUN_JUDGING ? s->elapsed_ns : 0;
}

static char *replay_of(const struct findings *findings)
{
	const struct config *config = findings->options.config;

	return replay_command(config, findings->options.replay_base,
			      replay_duration(config, seen_after(findings)));
}

static void print_object(FILE *out, const struct finding *f)
{
	if (f->slot)
		fprintf(out, "           selem %#llx of %s, %u bytes, map %u, owner %#llx\n",
			f->slot->key, owner_kind_phrase(f->slot->kind), f->slot->elem_size,
			f->slot->map_id, f->slot->owner);
	else if (f->storage)
		fprintf(out, "           bpf_local_storage %#llx of %s, owner %#llx\n",
			f->storage->key, owner_kind_phrase(f->storage->kind), f->storage->owner);
	else if (f->suspect)
		fprintf(out, "           object %#llx\n", f->suspect->object);
	if (f->report)
		fprintf(out, "           %s: %.*s\n", kmsg_class_name(f->report->class),
			(int)strcspn(f->report->text, "\n"), f->report->text);
}

static void print_summary(FILE *out, const struct findings *findings, const struct finding *f,
			  const struct entry *entry)
{
	const struct snapshot *s = findings->options.now;
	_cleanup_free_ char *again = replay_of(findings);
	uint64_t seen = seen_after(findings);

	print_first_line(out, s, f->kind);
	fputs("\n\n", out);
	print_wrapped(out, "Kind:", SUMMARY_INDENT, SUMMARY_WIDTH,
		      f->kind == FAULT_NR && !run_has_faults(s)
			      ? "Nothing was made to fail in this run."
			      : kind_texts[MIN((unsigned int)f->kind, (unsigned int)FAULT_NR)]);
	print_wrapped(out, "What:", SUMMARY_INDENT, SUMMARY_WIDTH, what_of(f));
	if (is_violation(f) && f->violation == VIOLATION_VALUE && s->accusation[0])
		print_wrapped(out, "Said:", SUMMARY_INDENT, SUMMARY_WIDTH, s->accusation);
	print_object(out, f);
	print_wrapped(out, "Class:", SUMMARY_INDENT, SUMMARY_WIDTH, class_texts[f->class]);
	print_wrapped(out, "Why wrong:", SUMMARY_INDENT, SUMMARY_WIDTH, finding_why(f));
	print_wrapped(out, "Claim:", SUMMARY_INDENT, SUMMARY_WIDTH, finding_claim(f));
	if (seen)
		fprintf(out, "Seen:      %.1f s after the start of the run\n", (double)seen / 1e9);
	else
		fputs("Seen:      when the run was judged\n", out);
	fprintf(out, "Signature: %s\nKernel:    %s on %s\n", entry->signature, s->kernel_release,
		s->cpu_model);
	fprintf(out, "Again:     %s\n\n", again ? again : "");
	fputs("history.txt    what happened to the object, lock by lock\n"
	      "kmsg.txt       the kernel log around it\n"
	      "system.txt     kernel, CPU, seed, all options\n"
	      "kernel-config  the kernel's configuration (.gz where the kernel gives it so)\n"
	      "replay         the command above\n"
	      "../index.json  how many there were of each signature\n",
	      out);
}

static void print_file(FILE *out, const char *label, const char *path)
{
	_cleanup_free_ char *text = NULL;

	if (read_file(path, &text, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	fprintf(out, "%-15s %s\n", label, text);
}

static void print_system(FILE *out, const struct findings *findings)
{
	const struct findings_options *o = &findings->options;
	_cleanup_free_ char *config = config_dump(o->config);
	struct utsname name;

	if (!uname(&name))
		fprintf(out, "kernel          %s\nkernel version  %s\nmachine         %s\n",
			name.release, name.version, name.machine);
	/* "queued, MODEL": rqspinlock's path is its first word. */
	fprintf(out, "cpu             %s\n", o->probe->cpu_model);
	fprintf(out, "rqspinlock      %s\n",
		o->probe->tas ? "test-and-set, time-out 1 s" : "queued, time-out 250 ms");
	fprintf(out, "cpus            %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
	print_file(out, "command line", "/proc/cmdline");
	print_file(out, "tainted", "/proc/sys/kernel/tainted");
	print_file(out, "boot", "/proc/sys/kernel/random/boot_id");
	fprintf(out, "seed            %" PRIu64 "\n", o->config->seed);
	fprintf(out, "bpfsoakd        %s%s\n", SOAK_VERSION,
		SOAK_TEST_HOOKS ? ", built with -Dtest-hooks=true: it can lie to itself" : "");
	fprintf(out, "inject          %s\n", *o->now->inject ? o->now->inject : "none");
	fprintf(out, "\nOptions in effect\n%s", config ? config : "");
}

static void write_kernel_config(struct findings *findings, const struct entry *entry)
{
	struct kconfig *kconfig = NULL;
	_cleanup_free_ char *text = NULL;
	const char *path;
	size_t len;
	int r;

	r = kconfig_load("", findings->options.probe->release, &kconfig);
	path = r < 0 ? "" : kconfig_path(kconfig);
	if (!r)
		r = read_file(path, &text, &len);
	if (r < 0) {
		_cleanup_free_ char *why =
			format("not readable on this machine: %s\n", strerror(-r));

		write_text(findings, entry, "kernel-config", why, why ? strlen(why) : 0);
	} else {
		write_text(findings, entry,
			   len > 2 && text[0] == '\x1f' ? "kernel-config.gz" : "kernel-config",
			   text, len);
	}
	kconfig_free(kconfig);
}

/* The window is widened to the visits of a selem, or to the end of a storage. */
static void widen(struct slice *slice, uint64_t from_ns, uint64_t to_ns)
{
	if (!from_ns)
		return;
	slice->from_us = MIN(slice->from_us, from_ns / 1000);
	slice->to_us = MAX(slice->to_us, to_ns / 1000);
}

static struct slice slice_of_object(const struct finding *f)
{
	struct slice slice = { .from_us = UINT64_MAX };

	for (unsigned int side = 0; f->slot && side < SOAK_SIDE_NR; side++) {
		const struct soak_visit *visit = &f->slot->visit[side];

		widen(&slice, visit->entry_ns,
		      visit->entry_ns + visit->duration_us * NSEC_PER_USEC);
	}
	if (f->storage)
		widen(&slice, f->storage->destroy_ns, f->storage->destroy_ns);
	return slice;
}

/*
 * What was seen just now: a minute before, but not the boot. What is found only when the run is
 * judged happened at some time: around that.
 */
static struct slice slice_of(const struct findings *findings, const struct finding *f)
{
	uint64_t now_us = now_ns() / 1000, start_us = findings->start_us;
	struct slice slice = slice_of_object(f);

	if (slice.to_us && findings->options.now->state == RUN_JUDGING) {
		slice.from_us -= MIN(slice.from_us, SLICE_MARGIN_US);
		slice.to_us += SLICE_MARGIN_US;
		return slice;
	}
	slice.from_us = MAX(now_us - MIN(now_us, SLICE_BEFORE_US),
			    start_us - MIN(start_us, SLICE_MARGIN_US));
	slice.to_us = UINT64_MAX;
	return slice;
}

/* Rewritten while the kernel may still be speaking. */
static void write_kmsg(struct findings *findings, struct entry *entry)
{
	_cleanup_free_ char *slice = read_slice(findings, &entry->slice);
	struct page page;

	if (!slice || (entry->slice_len && strlen(slice) == entry->slice_len))
		return;
	entry->slice_len = strlen(slice);
	if (!page_begin(&page))
		return;
	if (entry->report)
		fprintf(page.out, "The report\n\n%s\n\n", entry->report);
	fprintf(page.out, "The kernel log, from %.1f s", (double)entry->slice.from_us / 1e6);
	if (entry->slice.to_us != UINT64_MAX)
		fprintf(page.out, " to %.1f s", (double)entry->slice.to_us / 1e6);
	fprintf(page.out, ", as far as the kernel still has it\n\n%s",
		*slice ? slice : "(nothing)\n");
	page_end(&page, findings, entry, "kmsg.txt");
}

/* What says most first: the kernel may not live to see the last of them. */
static void write_whole(struct findings *findings, const struct finding *f, struct entry *entry)
{
	_cleanup_free_ char *above = format("%s/findings", findings->options.dir);
	_cleanup_free_ char *dir = path_of(findings, entry, "");
	_cleanup_free_ char *again = replay_of(findings);
	struct page page;
	int r;

	if (!above || !dir || !again)
		return;
	dir[strlen(dir) - 1] = '\0';
	r = make_dirs(dir, 0755);
	if (r < 0) {
		complain(findings, dir, r);
		return;
	}
	sync_dir(above);
	sync_dir(findings->options.dir);
	if (page_begin(&page)) {
		print_summary(page.out, findings, f, entry);
		page_end(&page, findings, entry, "summary.txt");
	}
	if (page_begin(&page)) {
		print_history(page.out, findings, f);
		page_end(&page, findings, entry, "history.txt");
	}
	if (page_begin(&page)) {
		fprintf(page.out, "%s\n", again);
		page_end(&page, findings, entry, "replay");
	}
	write_kmsg(findings, entry);
	if (page_begin(&page)) {
		print_system(page.out, findings);
		page_end(&page, findings, entry, "system.txt");
	}
	write_kernel_config(findings, entry);
}

static void write_index(struct findings *findings)
{
	_cleanup_free_ char *dir = NULL, *path = NULL, *text = NULL;
	size_t len = 0;
	FILE *out;
	int r;

	if (!findings->options.dir || !findings->dirty)
		return;
	findings->dirty = false;
	dir = format("%s/findings", findings->options.dir);
	path = format("%s/findings/index.json", findings->options.dir);
	out = open_memstream(&text, &len);
	if (!dir || !path || !out) {
		if (out)
			fclose(out);
		return;
	}
	fputs("{\n  \"version\": 1,\n  \"findings\": [", out);
	/* Signatures hold nothing that JSON would mind: sanitize(). */
	for (unsigned int i = 0; i < findings->n_entries; i++) {
		const struct entry *e = &findings->entries[i];

		fprintf(out,
			"%s\n    { \"signature\": \"%s\", \"class\": \"%s\", \"count\": %" PRIu64,
			i ? "," : "", e->signature, finding_class_name(e->class), e->count);
		if (e->number)
			fprintf(out, ", \"directory\": \"%03u-%s\"", e->number, e->signature);
		fputs(" }", out);
	}
	fprintf(out, "%s],\n  \"beyond\": %" PRIu64 "\n}\n", findings->n_entries ? "\n  " : "",
		findings->beyond);
	r = fclose(out) ? -ENOMEM : make_dirs(dir, 0755);
	if (!r)
		r = write_file_atomic(path, text, len);
	if (r < 0)
		complain(findings, path, r);
}

/* The console ------------------------------------------------------------------------------------
 */

/*
 * /dev/console, and not /dev/kmsg: what is written there comes back as a record of the kernel log,
 * which is an oracle of ours. The wait for it to be out has an end: a console may be held (^S).
 */
static void tell_console(const struct findings *findings, const char *line)
{
	const char *console = findings->options.console;
	_cleanup_close_ int fd = -1;
	int left = 0;

	if (!console)
		return;
	fd = open(console, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_APPEND | O_CLOEXEC);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		return; /* where there is none, the log has it */
	for (unsigned int i = 0; i < CONSOLE_WAITS; i++) {
		if (ioctl(fd, TIOCOUTQ, &left) < 0 || !left)
			return;
		sleep_ns(CONSOLE_WAIT_NS);
	}
}

/* What would fit on a postcard, in one line. */
static void tell(const struct findings *findings, const struct finding *f,
		 const struct entry *entry)
{
	_cleanup_free_ char *line = NULL, *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	if (entry->number)
		fprintf(out, "finding %03u-%s: ", entry->number, entry->signature);
	else
		fprintf(out, "finding %s: ", entry->signature);
	print_first_line(out, findings->options.now, f->kind);
	fprintf(out, "; %s: %s", finding_class_name(f->class), what_of(f));
	if (f->slot)
		fprintf(out, "; selem %#llx owner %#llx map %u", f->slot->key, f->slot->owner,
			f->slot->map_id);
	else if (f->storage)
		fprintf(out, "; storage %#llx owner %#llx", f->storage->key, f->storage->owner);
	else if (f->suspect)
		fprintf(out, "; object %#llx", f->suspect->object);
	if (f->report)
		fprintf(out, "; %.*s", (int)MIN(strcspn(f->report->text, "\n"), (size_t)200),
			f->report->text);
	fprintf(out, "; seed %" PRIu64, findings->options.config->seed);
	if (fclose(out))
		return;
	log_at(is_violation(f) ? LOG_ERR : LOG_NOTICE, "%s", text);
	line = format("bpfsoakd: %s\n", text);
	if (line)
		tell_console(findings, line);
}

/* Adding -----------------------------------------------------------------------------------------
 */

static struct entry *find_entry(struct findings *findings, const char *signature)
{
	for (unsigned int i = 0; i < findings->n_entries; i++)
		if (!strcmp(findings->entries[i].signature, signature))
			return &findings->entries[i];
	return NULL;
}

/* Holes must not take the room of what is worse, and comes later perhaps. */
static bool has_room(const struct findings *findings, const struct finding *f)
{
	unsigned int max = findings->options.config->findings;

	return dir_of(findings) && findings->dirs < max &&
	       (is_violation(f) || findings->hole_dirs < (max + 1) / 2);
}

static void write_new(struct findings *findings, const struct finding *f, struct entry *entry)
{
	if (has_room(findings, f)) {
		entry->number = ++findings->dirs;
		findings->hole_dirs += !is_violation(f);
		entry->refreshes = REFRESHES;
		entry->slice = slice_of(findings, f);
		if (f->report)
			entry->report = strdup(f->report->text);
	}
	tell(findings, f, entry);
	if (entry->number)
		write_whole(findings, f, entry);
}

/* whole: may have a directory, if there is room. */
static void add(struct findings *findings, const struct finding *f, bool whole)
{
	uint64_t count = f->count ? f->count : 1;
	char signature[SIGNATURE_MAX];
	struct entry *entry;

	if (is_violation(f) && f->violation < VIOLATION_NR)
		findings->added[f->violation] += count;
	if (!is_violation(f) && f->hole == HOLE_LINKED && f->kind < FAULT_NR)
		findings->linked[f->kind] += count;
	findings_signature(f, signature, sizeof(signature));
	findings->dirty = true;
	entry = find_entry(findings, signature);
	if (entry) {
		entry->count += count;
		return;
	}
	if (findings->n_entries == SIGNATURES_MAX) {
		findings->beyond += count;
		return;
	}
	entry = &findings->entries[findings->n_entries++];
	*entry = (struct entry){ .class = f->class, .count = count };
	memcpy(entry->signature, signature, sizeof(signature));
	if (whole)
		write_new(findings, f, entry);
	write_index(findings);
}

void findings_add(struct findings *findings, const struct finding *f)
{
	if (findings)
		add(findings, f, true);
}

/* Watching ---------------------------------------------------------------------------------------
 */

static const struct {
	enum finding_class class;
	enum violation_kind violation;
	enum hole_kind hole;
} suspicions[SOAK_SUSPECT_NR] = {
	[SOAK_SUSPECT_DOUBLE_FREE] = { FINDING_VIOLATION, VIOLATION_DOUBLE_FREE, 0 },
	[SOAK_SUSPECT_STORAGE_DOUBLE_FREE] = { FINDING_VIOLATION, VIOLATION_STORAGE_DOUBLE_FREE,
					       0 },
	[SOAK_SUSPECT_OMEM] = { FINDING_VIOLATION, VIOLATION_OMEM, 0 },
	[SOAK_SUSPECT_LINKED] = { FINDING_UNDOCUMENTED, 0, HOLE_LINKED },
};

static void add_suspect(struct findings *findings, unsigned int suspicion,
			const struct soak_suspect *suspect)
{
	struct finding f = { .class = suspicions[suspicion].class,
			     .violation = suspicions[suspicion].violation,
			     .hole = suspicions[suspicion].hole,
			     .kind = FAULT_NR,
			     .suspect = suspect };
	bool of_storage = suspicion == SOAK_SUSPECT_STORAGE_DOUBLE_FREE;

	if (of_storage && suspect->storage.key) {
		f.storage = &suspect->storage;
		f.kind = fault_kind_worst(suspect->storage.fault_kinds);
	} else if (!of_storage && suspicion != SOAK_SUSPECT_OMEM && suspect->slot.key) {
		f.slot = &suspect->slot;
		f.kind = fault_kind_worst(suspect->slot.visit[SOAK_MAP_FREE].kinds |
					  suspect->slot.visit[SOAK_DESTROY].kinds);
	}
	if (suspicion == SOAK_SUSPECT_LINKED && suspect->detail < FAULT_NR)
		f.kind = suspect->detail;
	findings_add(findings, &f);
}

static void watch_suspects(struct findings *findings)
{
	if (!findings->options.programs)
		return;
	for (unsigned int i = 0; i < SOAK_SUSPECT_NR; i++) {
		const struct soak_suspect *suspects;
		size_t n;

		suspects = programs_suspects(findings->options.programs, i, &n);
		for (; findings->suspects[i] < n; findings->suspects[i]++) {
			const struct soak_suspect *suspect = &suspects[findings->suspects[i]];

			if (!__atomic_load_n(&suspect->ns, __ATOMIC_ACQUIRE))
				break; /* complete by the next tick */
			add_suspect(findings, i, suspect);
		}
	}
}

static void add_report(struct findings *findings, const struct kmsg_report *report)
{
	char function[64], detail[96];
	struct finding f = { .class = FINDING_VIOLATION,
			     .violation = VIOLATION_KERNEL_LOG,
			     .kind = FAULT_NR,
			     .detail = detail,
			     .report = report };

	find_function(report->text, function, sizeof(function));
	snprintf(detail, sizeof(detail), "%s%s%s", kmsg_class_name(report->class),
		 *function ? "-" : "", function);
	findings_add(findings, &f);
}

static void watch_kmsg(struct findings *findings)
{
	const struct kmsg_report *reports;
	size_t n;

	if (!findings->options.kmsg)
		return;
	n = kmsg_reports(findings->options.kmsg, &reports);
	for (; findings->reports < n; findings->reports++)
		if (kmsg_class_is_violation(reports[findings->reports].class))
			add_report(findings, &reports[findings->reports]);
}

/* Which suspicion tells more of a violation; SOAK_SUSPECT_NR: none. */
static unsigned int suspicion_of(unsigned int violation)
{
	for (unsigned int i = 0; i < SOAK_SUSPECT_NR; i++)
		if (suspicions[i].class == FINDING_VIOLATION &&
		    suspicions[i].violation == violation)
			return i;
	return SOAK_SUSPECT_NR;
}

/* Counted by an oracle that knows no more, or beyond those whose objects were kept. */
static void watch_counts(struct findings *findings)
{
	const struct snapshot *s = findings->options.now;

	for (unsigned int v = 0; v < VIOLATION_NR; v++) {
		unsigned int suspicion = suspicion_of(v);
		bool known = suspicion < SOAK_SUSPECT_NR && findings->options.programs;
		struct finding f = { .class = FINDING_VIOLATION,
				     .violation = v,
				     .kind = FAULT_NR,
				     .detail = known ? "more" : NULL };

		if (s->violations[v] <= findings->added[v])
			continue;
		/* On its way: the count is visible before the object is. At the end, lost. */
		if (known && findings->suspects[suspicion] < SOAK_SUSPECTS &&
		    s->state != RUN_JUDGING)
			continue;
		f.count = s->violations[v] - findings->added[v];
		add(findings, &f, !known);
	}
}

/* The only holes that are counted as they happen; beyond those whose objects were kept. */
static void watch_linked(struct findings *findings)
{
	const uint64_t *seen = findings->options.now->holes[HOLE_LINKED];

	if (findings->suspects[SOAK_SUSPECT_LINKED] < SOAK_SUSPECTS)
		return;
	for (unsigned int kind = 0; kind < FAULT_NR; kind++) {
		struct finding f = { .class = FINDING_UNDOCUMENTED,
				     .hole = HOLE_LINKED,
				     .kind = kind,
				     .detail = "more" };

		if (seen[kind] <= findings->linked[kind])
			continue;
		f.count = seen[kind] - findings->linked[kind];
		add(findings, &f, false);
	}
}

void findings_watch(struct findings *findings)
{
	if (!findings)
		return;
	watch_suspects(findings);
	watch_kmsg(findings);
	watch_counts(findings);
	watch_linked(findings);
	for (unsigned int i = 0; i < findings->n_entries; i++) {
		struct entry *entry = &findings->entries[i];

		if (!entry->refreshes)
			continue;
		entry->refreshes--;
		write_kmsg(findings, entry);
	}
	write_index(findings);
}

void findings_read(const struct findings *findings, struct snapshot *ret)
{
	if (!findings)
		return;
	ret->finding_dirs = findings->dirs;
	for (unsigned int i = 0; i < findings->n_entries; i++)
		ret->findings[findings->entries[i].class]++;
}

int findings_new(const struct findings_options *options, struct findings **ret)
{
	struct findings *findings = calloc(1, sizeof(*findings));

	if (!findings)
		return -ENOMEM;
	findings->options = *options;
	findings->start_us = now_ns() / 1000;
	*ret = findings;
	return 0;
}

void findings_free(struct findings *findings)
{
	if (!findings)
		return;
	for (unsigned int i = 0; i < findings->n_entries; i++)
		free(findings->entries[i].report);
	free(findings);
}
