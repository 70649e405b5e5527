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
#include "finding_private.h"
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
#define CONSOLE_WAIT_NS (10 * NSEC_PER_MSEC)
#define SUMMARY_INDENT	11
#define SUMMARY_WIDTH	100
#define CONSOLE_WAITS	20

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
			      : finding_kind_text(f->kind));
	print_wrapped(out, "What:", SUMMARY_INDENT, SUMMARY_WIDTH, finding_what(f));
	if (finding_is_violation(f) && f->violation == VIOLATION_VALUE && s->accusation[0])
		print_wrapped(out, "Said:", SUMMARY_INDENT, SUMMARY_WIDTH, s->accusation);
	print_object(out, f);
	print_wrapped(out, "Class:", SUMMARY_INDENT, SUMMARY_WIDTH, finding_class_text(f->class));
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
		finding_print_history(page.out, findings->options.programs, f);
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
	fprintf(out, "; %s: %s", finding_class_name(f->class), finding_what(f));
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
	log_at(finding_is_violation(f) ? LOG_ERR : LOG_NOTICE, "%s", text);
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
	       (finding_is_violation(f) || findings->hole_dirs < (max + 1) / 2);
}

static void write_new(struct findings *findings, const struct finding *f, struct entry *entry)
{
	if (has_room(findings, f)) {
		entry->number = ++findings->dirs;
		findings->hole_dirs += !finding_is_violation(f);
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

	if (finding_is_violation(f) && f->violation < VIOLATION_NR)
		findings->added[f->violation] += count;
	if (!finding_is_violation(f) && f->hole == HOLE_LINKED && f->kind < FAULT_NR)
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
