// SPDX-License-Identifier: GPL-2.0-only
/* What happened to the object of a finding, lock by lock: see finding_private.h. */
#include "finding_private.h"

#include "programs.h"
#include "util.h"

#define FAULTS_SHOWN 40

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

static void print_lock(FILE *out, const struct programs *programs, const struct soak_slot *slot,
		       unsigned int side, bool storage)
{
	const struct soak_visit *visit = &slot->visit[side];
	unsigned int result = storage ? visit->storage : visit->bucket;
	const struct soak_fault *fault = NULL;

	fprintf(out, "      %-13s %s", storage ? "storage lock" : "bucket lock",
		lock_result_name(result));
	if (result == SOAK_LOCK_TIMEOUT || result == SOAK_LOCK_DEADLOCK) {
		if (programs)
			fault = fault_of(programs, slot, side * 2 + (storage ? 1 : 0));
		print_kinds(out, fault ? 1u << fault->kind : visit->kinds);
	}
	fputc('\n', out);
}

static double ms_since(uint64_t ns, uint64_t birth_ns)
{
	return (double)(int64_t)(ns - birth_ns) / 1e6;
}

static void print_visit(FILE *out, const struct programs *programs, const struct soak_slot *slot,
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
	print_lock(out, programs, slot, side, false);
	print_lock(out, programs, slot, side, true);
	fputs("      state after   ", out);
	print_state(out, visit->state);
	fprintf(out, "\n      took          %u.%03u ms\n", visit->duration_us / 1000,
		visit->duration_us % 1000);
}

/* In the order in which they began. */
static void print_visits(FILE *out, const struct programs *programs, const struct soak_slot *slot)
{
	unsigned int first =
		slot->visit[SOAK_DESTROY].entry_ns && slot->visit[SOAK_DESTROY].entry_ns <
							      slot->visit[SOAK_MAP_FREE].entry_ns
			? SOAK_DESTROY
			: SOAK_MAP_FREE;

	for (unsigned int i = 0; i < SOAK_SIDE_NR; i++) {
		unsigned int side = (first + i) % SOAK_SIDE_NR;

		if (finding_was_visited(&slot->visit[side]))
			print_visit(out, programs, slot, side);
	}
	for (unsigned int side = 0; side < SOAK_SIDE_NR; side++)
		if (!finding_was_visited(&slot->visit[side]))
			fprintf(out, "      no visit of %s was seen\n", side_name(side));
}

static void print_memory(FILE *out, const struct programs *programs, const struct soak_slot *slot)
{
	struct soak_inspect seen;

	fputs("\nIts memory now\n", out);
	if (!programs || programs_inspect(programs, slot->key, &seen)) {
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

static void print_selem(FILE *out, const struct programs *programs, const struct soak_slot *slot)
{
	fprintf(out,
		"Element\n      address       %#llx, %u bytes\n      owner         %#llx, %s\n"
		"      storage       %#llx\n      map           id %u\n\n"
		"History, from its birth at %.6f s of the kernel's monotonic clock\n",
		slot->key, slot->elem_size, slot->owner, owner_kind_phrase(slot->kind),
		slot->storage, slot->map_id, (double)slot->birth_ns / 1e9);
	fprintf(out, "%+13.3f ms  born\n", 0.0);
	print_visits(out, programs, slot);
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
	if (finding_is_violation(f) && f->violation == VIOLATION_OMEM)
		fprintf(out, ", sk_omem_alloc %lld", (long long)f->suspect->detail);
	else if (finding_is_violation(f))
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
static void print_faults(FILE *out, const struct programs *programs, uint64_t owner,
			 uint64_t storage, unsigned int map_id, uint64_t birth_ns)
{
	const struct soak_fault *faults;
	unsigned int shown = 0;
	size_t n;

	fputs("\nFailed locks of its owner, storage or map since then (the newest last)\n", out);
	if (!programs)
		return;
	faults = programs_faults(programs, &n);
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

void finding_print_history(FILE *out, const struct programs *programs, const struct finding *f)
{
	const struct soak_storage *storage = f->storage;
	const struct soak_slot *slot = f->slot;

	if (slot)
		print_selem(out, programs, slot);
	else if (storage)
		print_storage(out, storage);
	else
		fputs("No one object's: the oracle counts, and knows no more than summary.txt "
		      "says.\n",
		      out);
	if (f->suspect)
		print_suspect(out, f, slot ? slot->birth_ns : (storage ? storage->birth_ns : 0));
	if (slot)
		print_memory(out, programs, slot);
	if (slot)
		print_faults(out, programs, slot->owner, slot->storage, slot->map_id,
			     slot->birth_ns);
	else if (storage)
		print_faults(out, programs, storage->owner, storage->key, 0, storage->birth_ns);
}
