// SPDX-License-Identifier: GPL-2.0-only
/* What a finding is called, and what is said of it: see finding.h. Pure. */
#include "finding_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "util.h"

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

struct words {
	const char *what, *why, *claim;
};

/* A kind that is not here is a violation nevertheless, with less to read. */
static const struct words violations[VIOLATION_NR] = {
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

static const struct words holes[HOLE_NR] = {
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

bool finding_is_violation(const struct finding *f)
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

bool finding_was_visited(const struct soak_visit *visit)
{
	return visit->entry_ns || visit->visits;
}

static void add_visits(char *buf, size_t size, const struct soak_slot *slot)
{
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++) {
		const struct soak_visit *visit = &slot->visit[side];

		if (!finding_was_visited(visit))
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
	snprintf(buf, size, "%s%s-%s", finding_is_violation(f) ? "" : "hole_",
		 finding_is_violation(f) ? violation_name(f->violation) : hole_kind_name(f->hole),
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

static struct words words_of(const struct finding *f)
{
	if (finding_is_violation(f))
		return f->violation < VIOLATION_NR ? violations[f->violation] : (struct words){ 0 };
	return f->hole < HOLE_NR ? holes[f->hole] : (struct words){ 0 };
}

const char *finding_why(const struct finding *f)
{
	return f->why
		       ?: words_of(f).why
		       ?: "An oracle of that name has seen what must not be; docs/design.md has it.";
}

const char *finding_claim(const struct finding *f)
{
	return f->claim ?: words_of(f).claim ?: "see docs/design.md";
}

const char *finding_what(const struct finding *f)
{
	return f->what ?: words_of(f).what ?: violation_name(f->violation);
}

const char *finding_class_text(enum finding_class class)
{
	return class_texts[class];
}

const char *finding_kind_text(enum fault_kind kind)
{
	return kind_texts[MIN((unsigned int)kind, (unsigned int)FAULT_NR)];
}
