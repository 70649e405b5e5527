// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel says about itself, judged: kmsg_classify() knows the first lines of the
 * kernel's reports (formats as of 7.3, those of older releases where they differ), struct kmsg
 * joins the lines of one report and keeps it. Runs in the run loop's thread.
 */
#include "kmsg.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "pressure.h"
#include "util.h"

#define DEVICE		 "/dev/kmsg"
#define REPORTS_MAX	 32
#define REPORT_TEXT_MAX	 (32u << 10)
#define PREFACE_MAX	 2048
#define RECORD_MAX	 16384 /* the kernel's own limit was 8192, and is 2048 today */
#define RECORDS_PER_READ 65536 /* a log that never ends must not keep the run loop */
#define REPLAY_MAX	 (16 * RECORDS_PER_READ)
#define REPORT_PAUSE_US	 1000000ULL /* a line so much later belongs to nothing before it */
#define SETTLE_US	 (5 * REPORT_PAUSE_US) /* an OOM report says by then who was killed */
#define LEVEL_WARNING	 4

/* Test hook: --test-fake-warn writes a WARNING "at" this function. */
#define TEST_HOOK "bpfsoakd_test_hook"
#define NOFAIL	  "bpf_selem_unlink_nofail"

static const char *const class_names[KMSG_CLASS_NR] = {
	[KMSG_BENIGN] = "benign",
	[KMSG_DOCUMENTED] = "documented_warn",
	[KMSG_WARNING] = "warning",
	[KMSG_BUG] = "bug",
	[KMSG_OOPS] = "oops",
	[KMSG_KASAN] = "kasan",
	[KMSG_UBSAN] = "ubsan",
	[KMSG_LOCKDEP] = "lockdep",
	[KMSG_ODEBUG] = "odebug",
	[KMSG_REFCOUNT] = "refcount",
	[KMSG_HUNG_TASK] = "hung_task",
	[KMSG_SOFT_LOCKUP] = "soft_lockup",
	[KMSG_HARD_LOCKUP] = "hard_lockup",
	[KMSG_RCU_STALL] = "rcu_stall",
	[KMSG_LIST_CORRUPTION] = "list_corruption",
	[KMSG_KMEMLEAK] = "kmemleak",
	[KMSG_OOM] = "oom",
	[KMSG_PRESSURE] = "oom_by_pressure",
};

/* The place of a line within a report. A bit mask: what an open report has seen already. */
enum role {
	ROLE_NONE = 0,
	ROLE_HEAD = 1 << 0, /* always begins a report */
	ROLE_TEXT = 1 << 1, /* the message of a WARN() or BUG() that comes next */
	ROLE_WARN = 1 << 2, /* "WARNING: ... at ..." */
	ROLE_BUG = 1 << 3,  /* "kernel BUG at ..." */
	ROLE_OOPS = 1 << 4, /* "Oops: ...", which ends the head of most fatal reports */
	ROLE_TAIL = 1 << 5, /* closing line; begins a report only where none of its class is open */
};

struct meaning {
	enum kmsg_class class;
	enum role role;
};

struct pattern {
	const char *prefix; /* NULL: any */
	const char *part;   /* somewhere after the prefix, NULL: anything */
	enum kmsg_class class;
	enum role role;
};

/* The first that matches counts. Lines are without the prefixes of subsystems (see below). */
static const struct pattern patterns[] = {
	{ "BUG: KASAN: ", NULL, KMSG_KASAN, ROLE_HEAD },
	{ "BUG: KFENCE: ", NULL, KMSG_KASAN, ROLE_HEAD },
	{ "BUG: KMSAN: ", NULL, KMSG_KASAN, ROLE_HEAD },
	{ "BUG: soft lockup", NULL, KMSG_SOFT_LOCKUP, ROLE_HEAD },
	{ "BUG: workqueue lockup", NULL, KMSG_SOFT_LOCKUP, ROLE_HEAD },
	{ "BUG: kernel NULL pointer dereference", NULL, KMSG_OOPS, ROLE_HEAD },
	{ "BUG: unable to handle ", NULL, KMSG_OOPS, ROLE_HEAD },
	{ "BUG: ", " stack guard page was hit", KMSG_OOPS, ROLE_HEAD },
	/* lockdep ran out of room: nothing is broken, but it has stopped looking */
	{ "BUG: MAX_LOCK", " too low!", KMSG_LOCKDEP, ROLE_HEAD },
	{ "BUG: MAX_STACK_TRACE_ENTRIES", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "BUG: key ", "has not been registered", KMSG_LOCKDEP, ROLE_HEAD },
	{ "BUG: ", NULL, KMSG_BUG, ROLE_HEAD },
	{ "BUG ", "): ", KMSG_BUG, ROLE_HEAD }, /* slab: "BUG kmalloc-64 (Tainted: G W): ..." */
	{ "kernel BUG at ", NULL, KMSG_BUG, ROLE_BUG },

	{ "Oops: ", NULL, KMSG_OOPS, ROLE_OOPS },
	{ "Internal error: ", NULL, KMSG_OOPS, ROLE_OOPS },	    /* arm64 */
	{ "general protection fault", NULL, KMSG_OOPS, ROLE_OOPS }, /* older kernels */
	{ NULL, ": 0000 [#", KMSG_OOPS, ROLE_OOPS },		    /* older kernels */
	{ "Unable to handle kernel ", NULL, KMSG_OOPS, ROLE_HEAD }, /* arm64 */
	{ "PANIC: double fault", NULL, KMSG_OOPS, ROLE_HEAD },
	{ "Kernel panic - not syncing", NULL, KMSG_OOPS, ROLE_HEAD },

	{ "UBSAN: ", NULL, KMSG_UBSAN, ROLE_HEAD },

	{ "WARNING: possible circular locking", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: possible recursive locking", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: possible irq lock inversion", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: ", "-unsafe lock order detected", KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: inconsistent lock state", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: suspicious RCU usage", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: bad unlock balance", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: bad contention detected", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: held lock freed", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: lock held when returning to user space", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: ", "still has locks held!", KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: Nested lock was not taken", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "WARNING: chain_key collision", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "[ BUG: ", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "INFO: trying to register non-static key", NULL, KMSG_LOCKDEP, ROLE_HEAD },
	{ "DEBUG_LOCKS_WARN_ON(", NULL, KMSG_LOCKDEP, ROLE_TEXT },

	{ "ODEBUG: selftest passed", NULL, KMSG_BENIGN, ROLE_NONE },
	{ "ODEBUG: Out of memory", NULL, KMSG_BENIGN, ROLE_NONE },
	{ "ODEBUG: ", NULL, KMSG_ODEBUG, ROLE_TEXT },
	{ "refcount_t: ", NULL, KMSG_REFCOUNT, ROLE_TEXT },
	{ "list_add corruption", NULL, KMSG_LIST_CORRUPTION, ROLE_TEXT },
	{ "list_add double add", NULL, KMSG_LIST_CORRUPTION, ROLE_TEXT },
	{ "list_del corruption", NULL, KMSG_LIST_CORRUPTION, ROLE_TEXT },

	{ "INFO: task ", " for more than ", KMSG_HUNG_TASK, ROLE_HEAD },
	{ NULL, "Watchdog detected hard LOCKUP", KMSG_HARD_LOCKUP, ROLE_HEAD },
	{ "INFO: ", "detected stall", KMSG_RCU_STALL, ROLE_HEAD },
	{ "INFO: ", "detected expedited stall", KMSG_RCU_STALL, ROLE_HEAD },
	{ "INFO: ", "self-detected stall", KMSG_RCU_STALL, ROLE_HEAD },

	{ "kmemleak: unreferenced object", NULL, KMSG_KMEMLEAK, ROLE_TAIL },
	{ "kmemleak: ", "new suspected memory leak", KMSG_KMEMLEAK, ROLE_TAIL },

	{ NULL, " invoked oom-killer: ", KMSG_OOM, ROLE_HEAD },
	/* The victim is named in the last lines only: see settle(). */
	{ "oom-kill:constraint=", ",task=" PRESSURE_NAME ",", KMSG_PRESSURE, ROLE_TAIL },
	{ "Out of memory: Killed process ", " (" PRESSURE_NAME ")", KMSG_PRESSURE, ROLE_TAIL },
	{ "Memory cgroup out of memory: Killed process ", " (" PRESSURE_NAME ")", KMSG_PRESSURE,
	  ROLE_TAIL },
	{ "oom-kill:constraint=", NULL, KMSG_OOM, ROLE_TAIL },
	{ "Out of memory", ": Killed process ", KMSG_OOM, ROLE_TAIL },
	{ "Memory cgroup out of memory", ": Killed process ", KMSG_OOM, ROLE_TAIL },
	{ "Out of memory and no killable processes", NULL, KMSG_OOM, ROLE_TAIL },
};

/* Functions whose WARNING has a class of its own, where the message comes later or not at all. */
static const struct {
	const char *function;
	enum kmsg_class class;
} functions[] = {
	{ NOFAIL, KMSG_DOCUMENTED },
	{ "refcount_warn_saturate", KMSG_REFCOUNT },
	{ "debug_print_object", KMSG_ODEBUG },
	{ "debug_object_is_on_stack", KMSG_ODEBUG },
	{ "__list_add_valid", KMSG_LIST_CORRUPTION },
	{ "__list_add_valid_or_report", KMSG_LIST_CORRUPTION },
	{ "__list_del_entry_valid", KMSG_LIST_CORRUPTION },
	{ "__list_del_entry_valid_or_report", KMSG_LIST_CORRUPTION },
};

const char *kmsg_class_name(enum kmsg_class class)
{
	return (unsigned int)class < KMSG_CLASS_NR ? class_names[class] : "unknown";
}

bool kmsg_class_is_violation(enum kmsg_class class)
{
	return class != KMSG_BENIGN && class != KMSG_DOCUMENTED && class != KMSG_PRESSURE;
}

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* Classification of one line ------------------------------------------------------------------ */

static const char *skip_subsystem(const char *line)
{
	static const char *const prefixes[] = { "NMI watchdog: ", "watchdog: ", "rcu: ", "traps: ",
						"workqueue: " };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (starts_with(line, prefixes[i]))
			return line + strlen(prefixes[i]);
	return line;
}

/* "name+0x12/0x34", also of a part that the compiler split off ("name.cold", "name.isra.0"). */
static bool is_function(const char *text, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(text, name, len) && (!text[len] || strchr("+., \n", text[len]));
}

/* The last place of needle in text before end. */
static const char *find_last(const char *text, const char *end, const char *needle)
{
	const char *found = NULL;

	for (const char *p = strstr(text, needle); p && p < end; p = strstr(p + 1, needle))
		found = p;
	return found;
}

/*
 * Where a WARNING's function is named. In 7.x:
 *	WARNING: [condition] FILE:LINE at FUNCTION+0x1/0x2, CPU#0: COMM/PID
 *	WARNING: at FUNCTION+0x1/0x2, CPU#0: COMM/PID
 * before:
 *	WARNING: CPU: 0 PID: 12 at [condition] FILE:LINE FUNCTION+0x1/0x2 [module]
 * The condition is there only with DEBUG_BUGVERBOSE_DETAILED. *ret_end: end of the part that the
 * kernel and not a process's name decides.
 */
static const char *warning_function(const char *line, const char **ret_end)
{
	const char *end = strstr(line, ", CPU#");
	const char *at;

	if (end) {
		*ret_end = end;
		at = find_last(line, end, " at ");
		return at ? at + strlen(" at ") : NULL;
	}
	end = line + strlen(line);
	*ret_end = end;
	if (!starts_with(line, "WARNING: CPU: "))
		return NULL;
	if (end > line && end[-1] == ']') {
		const char *module = find_last(line, end, " [");

		end = module ? module : end;
	}
	at = find_last(line, end, " ");
	return at ? at + 1 : NULL;
}

/*
 * Both documented WARNs test in_map_free. A kernel that prints the condition of a WARN lets us
 * tell a new one in the same function apart.
 */
static bool condition_is_documented(const char *line, const char *end)
{
	const char *open = strchr(line, '[');

	if (!open || open >= end)
		return true;
	return find_last(open, end, "in_map_free");
}

static struct meaning meaning_of_warning(const char *line)
{
	struct meaning meaning = { KMSG_WARNING, ROLE_WARN };
	const char *end, *function = warning_function(line, &end);

	for (size_t i = 0; function && i < ARRAY_SIZE(functions); i++)
		if (is_function(function, functions[i].function))
			meaning.class = functions[i].class;
	if (meaning.class == KMSG_DOCUMENTED && !condition_is_documented(line, end))
		meaning.class = KMSG_WARNING;
	return meaning;
}

static bool matches(const struct pattern *pattern, const char *line)
{
	if (pattern->prefix && !starts_with(line, pattern->prefix))
		return false;
	if (!pattern->part)
		return true;
	return strstr(line + (pattern->prefix ? strlen(pattern->prefix) : 0), pattern->part);
}

static struct meaning meaning_of(const char *line)
{
	line = skip_subsystem(line);
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		if (matches(&patterns[i], line))
			return (struct meaning){ patterns[i].class, patterns[i].role };
	if (starts_with(line, "WARNING: "))
		return meaning_of_warning(line);
	return (struct meaning){ KMSG_BENIGN, ROLE_NONE };
}

enum kmsg_class kmsg_classify(const char *line)
{
	return meaning_of(line).class;
}

/* Records ------------------------------------------------------------------------------------- */

/* "LEVEL,SEQ,USEC,FLAGS[,caller=T1][,...];TEXT\n KEY=VALUE\n ..." */
struct record {
	uint64_t facility;
	unsigned int level;
	uint64_t seq;
	uint64_t time_us;
	bool continues;	 /* a fragment of the line before */
	char caller[16]; /* "T12" or "C0"; "" without PRINTK_CALLER */
	char *text;	 /* decoded, several lines possible */
};

/* Since "cut here": who says so, when, and what; a WARN's message or condition comes next. */
struct preface {
	bool open;
	uint64_t time_us;
	char caller[16];
	bool has_condition;
	bool has_in_map_free;
	size_t len;
	char text[PREFACE_MAX];
};

/* The report whose lines are arriving. */
struct current {
	bool open;
	enum kmsg_class class;
	unsigned int seen; /* mask of enum role */
	bool body;	   /* registers and traces have begun: the head is over */
	bool unsettled;	   /* of KMSG_OOM, and whose doing it is has not been said yet */
	uint64_t last_us;
	struct kmsg_report *kept; /* NULL: beyond the ones kept */
	size_t len;
};

struct kmsg {
	int fd;
	uint64_t since_us; /* what is older is nobody's */
	FILE *copy;	   /* NULL: none */
	bool have_seq;
	uint64_t next_seq;
	bool overrun; /* EPIPE was seen, its size is known with the next record */
	uint64_t lost;
	uint64_t counts[KMSG_CLASS_NR];
	struct kmsg_report reports[REPORTS_MAX];
	size_t n_reports;
	struct current current;
	struct preface preface;
	char read_buffer[RECORD_MAX];
	char text_buffer[RECORD_MAX + 1];
};

static const char *take_number(const char *p, const char *end, uint64_t *ret)
{
	uint64_t value = 0;

	if (p >= end || !isdigit((unsigned char)*p))
		return NULL;
	for (; p < end && isdigit((unsigned char)*p); p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return NULL;
	}
	*ret = value;
	return p;
}

static const char *take_comma(const char *p, const char *end)
{
	return p && p < end && *p == ',' ? p + 1 : NULL;
}

/* The fields after the flags: only the caller is of interest, unknown ones may come. */
static void parse_extra(struct record *record, const char *p, const char *end)
{
	const char *caller = memmem(p, (size_t)(end - p), ",caller=", strlen(",caller="));
	size_t len = 0;

	if (!caller)
		return;
	caller += strlen(",caller=");
	while (caller + len < end && caller[len] != ',' && len < sizeof(record->caller) - 1)
		len++;
	memcpy(record->caller, caller, len);
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Line breaks, tabs and backslashes come back; other escapes stay: the text remains ASCII. */
static void decode(const char *p, const char *end, char *out)
{
	while (p < end) {
		if (end - p >= 4 && p[0] == '\\' && p[1] == 'x' && isxdigit((unsigned char)p[2]) &&
		    isxdigit((unsigned char)p[3])) {
			int c = hex_digit(p[2]) << 4 | hex_digit(p[3]);

			if (c == '\n' || c == '\t' || c == '\\') {
				*out++ = (char)c;
				p += 4;
				continue;
			}
		}
		/* A file or a socket of a test may hold what the kernel would have escaped. */
		*out++ = *p ? *p : ' ';
		p++;
	}
	*out = '\0';
}

static bool parse_record(struct kmsg *kmsg, const char *data, size_t len, struct record *ret)
{
	const char *end = data + len, *p = data, *semicolon = memchr(data, ';', len);
	const char *newline;
	uint64_t priority;

	if (!semicolon)
		return false;
	*ret = (struct record){ .text = kmsg->text_buffer };
	p = take_number(p, semicolon, &priority);
	p = take_comma(p, semicolon);
	p = p ? take_number(p, semicolon, &ret->seq) : NULL;
	p = take_comma(p, semicolon);
	p = p ? take_number(p, semicolon, &ret->time_us) : NULL;
	p = take_comma(p, semicolon);
	if (!p)
		return false;
	ret->level = priority & 7;
	ret->facility = priority >> 3;
	ret->continues = p < semicolon && *p == 'c';
	parse_extra(ret, p, semicolon);
	/* The message is one line; those after it are the device's properties. */
	newline = memchr(semicolon, '\n', (size_t)(end - semicolon));
	decode(semicolon + 1, newline ? newline : end, kmsg->text_buffer);
	return true;
}

/* One less than there can be: an overrun adds one more. */
static void add_lost(struct kmsg *kmsg, uint64_t n)
{
	kmsg->lost += MIN(n, UINT64_MAX - 1 - kmsg->lost);
}

static void count_lost(struct kmsg *kmsg, const struct record *record)
{
	uint64_t gap = 0;

	if (kmsg->have_seq && record->seq > kmsg->next_seq)
		gap = record->seq - kmsg->next_seq;
	/* Lost before the first record that we saw: how many cannot be known. */
	if (kmsg->overrun && !gap)
		gap = 1;
	add_lost(kmsg, gap);
	kmsg->overrun = false;
	kmsg->have_seq = true;
	kmsg->next_seq = record->seq + 1;
}

/* Reports ------------------------------------------------------------------------------------- */

/* Out of memory the line is dropped: the count is what the verdict rests on. */
static void append(struct current *current, const char *text, bool new_line)
{
	size_t len = strlen(text);
	char *bigger;

	if (!current->kept || current->len + len + 2 > REPORT_TEXT_MAX)
		return;
	bigger = realloc(current->kept->text, current->len + len + 2);
	if (!bigger)
		return;
	current->kept->text = bigger;
	if (new_line && current->len)
		bigger[current->len++] = '\n';
	memcpy(bigger + current->len, text, len + 1);
	current->len += len;
}

/* Counted once it is known as what. */
static void settle(struct kmsg *kmsg, enum kmsg_class class)
{
	struct current *current = &kmsg->current;

	if (!current->unsettled)
		return;
	current->unsettled = false;
	current->class = class;
	if (current->kept)
		current->kept->class = class;
	kmsg->counts[class]++;
}

static void close_report(struct kmsg *kmsg)
{
	settle(kmsg, KMSG_OOM);
	kmsg->current = (struct current){ 0 };
}

static struct kmsg_report *keep_report(struct kmsg *kmsg, enum kmsg_class class, uint64_t time_us)
{
	struct kmsg_report *report;
	char *text;

	if (kmsg->n_reports == REPORTS_MAX)
		return NULL;
	text = strdup("");
	if (!text)
		return NULL;
	report = &kmsg->reports[kmsg->n_reports++];
	*report = (struct kmsg_report){ .class = class, .time_us = time_us, .text = text };
	return report;
}

static bool preface_is_of(const struct preface *preface, const struct record *record)
{
	return preface->open && !strcmp(preface->caller, record->caller) &&
	       record->time_us - preface->time_us < REPORT_PAUSE_US;
}

static void open_report(struct kmsg *kmsg, struct meaning meaning, const struct record *record,
			const char *line)
{
	struct preface *preface = &kmsg->preface;
	bool prefaced = preface_is_of(preface, record);

	close_report(kmsg);
	kmsg->current = (struct current){
		.open = true,
		.class = meaning.class,
		.seen = meaning.role,
		.unsettled = meaning.class == KMSG_OOM && meaning.role == ROLE_HEAD,
		.kept = keep_report(kmsg, meaning.class,
				    prefaced ? preface->time_us : record->time_us),
	};
	if (!kmsg->current.unsettled)
		kmsg->counts[meaning.class]++;
	if (prefaced) {
		append(&kmsg->current, preface->text, true);
		preface->open = false;
	}
	append(&kmsg->current, line, true);
}

static void begin_preface(struct preface *preface, const struct record *record, const char *line)
{
	preface->open = true;
	preface->time_us = record->time_us;
	memcpy(preface->caller, record->caller, sizeof(preface->caller));
	preface->has_condition = false;
	preface->has_in_map_free = false;
	preface->len = (size_t)snprintf(preface->text, sizeof(preface->text), "%s", line);
	preface->len = MIN(preface->len, sizeof(preface->text) - 1);
}

static bool is_body(const char *line)
{
	return starts_with(line, "CPU: ") || starts_with(line, "Modules linked in:") ||
	       starts_with(line, "RIP: ") || starts_with(line, "Call Trace:") ||
	       starts_with(line, "Hardware name:");
}

/* A line of a trace or of registers ("RSP: 0018:..."), which a WARN's message or condition is not.
 */
static bool is_of_a_dump(const char *line)
{
	size_t word = strcspn(line, " :");

	if (*line == ' ' || is_body(line) || starts_with(line, "---["))
		return true;
	/* "RAX: ...", "Workqueue: ..."; unlike "refcount_t: ...", a message. */
	return line[word] == ':' && (word <= 4 || isupper((unsigned char)*line));
}

/*
 * Between "cut here" and "WARNING:" the kernel prints a WARN's message and, on x86 in 7.x, its
 * condition, both as warnings or worse. Chatter of other CPUs is mostly less urgent.
 */
static void add_to_preface(struct preface *preface, const struct record *record, const char *line)
{
	size_t room = sizeof(preface->text) - preface->len;
	int n;

	if (!preface_is_of(preface, record) || record->level > LEVEL_WARNING)
		return;
	/* Of another CPU's report, which comes in between. */
	if (is_of_a_dump(line))
		return;
	preface->has_condition = true;
	if (strstr(line, "in_map_free"))
		preface->has_in_map_free = true;
	n = snprintf(preface->text + preface->len, room, "\n%s", line);
	preface->len += MIN((size_t)n, room - 1);
}

/*
 * Whether a line that could begin a report belongs to the one that is open. A documented WARN
 * neither takes in another line nor goes unseen inside another report.
 */
static bool is_part_of(const struct current *current, struct meaning meaning)
{
	if (!current->open || meaning.class == KMSG_DOCUMENTED || current->class == KMSG_DOCUMENTED)
		return false;
	if (meaning.role == ROLE_TAIL)
		return current->class == meaning.class ||
		       (current->unsettled && meaning.class == KMSG_PRESSURE);
	if (current->body || current->seen & meaning.role)
		return false;
	switch (meaning.role) {
	case ROLE_WARN: /* a message, or the slab's "BUG kmalloc-64 (...)", comes first */
		return (current->seen & ROLE_TEXT &&
			(meaning.class == current->class || meaning.class == KMSG_WARNING)) ||
		       current->class == KMSG_BUG;
	case ROLE_TEXT: /* architectures that print the message after "WARNING:" */
		return current->seen == ROLE_WARN && meaning.class == current->class;
	case ROLE_BUG:
		return current->seen & ROLE_TEXT;
	case ROLE_OOPS:
		return current->class == KMSG_BUG || current->class == KMSG_OOPS ||
		       current->class == KMSG_UBSAN || current->class == KMSG_LIST_CORRUPTION;
	default:
		return false;
	}
}

static bool ends_report(const struct current *current, const char *line)
{
	/* KASAN and its kind draw a line under their report. */
	return starts_with(line, "---[ end trace") ||
	       (current->body && starts_with(line, "================="));
}

/* A line that begins no report: of the open one, of a preface, or of no interest. */
static void feed_plain_line(struct kmsg *kmsg, const struct record *record, const char *line)
{
	struct current *current = &kmsg->current;

	if (starts_with(line, "------------[ cut here ]")) {
		if (current->open && current->body)
			close_report(kmsg);
		begin_preface(&kmsg->preface, record, line);
		if (!current->open)
			return;
	} else if (kmsg->preface.open) {
		add_to_preface(&kmsg->preface, record, line);
	}
	if (!current->open) {
		kmsg->counts[KMSG_BENIGN]++;
		return;
	}
	append(current, line, !record->continues);
	current->last_us = record->time_us;
	if (is_body(line))
		current->body = true;
	if (ends_report(current, line))
		close_report(kmsg);
}

/* Where the condition or message stands on a line of its own, it decides like one in brackets. */
static struct meaning with_preface(const struct preface *preface, const struct record *record,
				   struct meaning meaning)
{
	if (meaning.class == KMSG_DOCUMENTED && preface_is_of(preface, record) &&
	    preface->has_condition && !preface->has_in_map_free)
		meaning.class = KMSG_WARNING;
	return meaning;
}

static int feed_line(struct kmsg *kmsg, const struct record *record, const char *line)
{
	struct current *current = &kmsg->current;
	struct meaning meaning = meaning_of(line);

	if (current->open && record->time_us > current->last_us + REPORT_PAUSE_US)
		close_report(kmsg);
	if (meaning.class == KMSG_BENIGN) {
		feed_plain_line(kmsg, record, line);
		return 0;
	}
	meaning = with_preface(&kmsg->preface, record, meaning);
	if (is_part_of(current, meaning)) {
		append(current, line, true);
		if (meaning.role == ROLE_TAIL)
			settle(kmsg, meaning.class);
		current->seen |= meaning.role;
		current->last_us = record->time_us;
		kmsg->preface.open = false;
		return 0;
	}
	open_report(kmsg, meaning, record, line);
	current->last_us = record->time_us;
	return 1;
}

/*
 * The kernel gives records written from user space another facility than its own (0), whatever
 * they claim. They are nobody's report: any process with access to /dev/kmsg could fail a run
 * otherwise, and systemd logs there. The one exception is our positive control, --test-fake-warn,
 * which can come from nowhere else; its text names a function that no kernel has.
 */
static bool is_from_kernel(const struct record *record)
{
	return record->facility == 0 || strstr(record->text, TEST_HOOK);
}

int kmsg_feed_record(struct kmsg *kmsg, const char *data, size_t len)
{
	struct record record;
	int reports = 0;
	char *rest;

	if (len > RECORD_MAX || !parse_record(kmsg, data, len, &record)) {
		add_lost(kmsg, 1); /* not understood is not read */
		return 0;
	}
	if (record.time_us < kmsg->since_us)
		return 0;
	if (kmsg->copy)
		fprintf(kmsg->copy, "[%5" PRIu64 ".%06" PRIu64 "] %s\n", record.time_us / 1000000,
			record.time_us % 1000000, record.text);
	count_lost(kmsg, &record);
	if (!is_from_kernel(&record)) {
		kmsg->counts[KMSG_BENIGN]++;
		return 0;
	}
	rest = record.text;
	while (rest) {
		const char *line = strsep(&rest, "\n");

		reports += feed_line(kmsg, &record, line);
	}
	return reports;
}

/* The device ---------------------------------------------------------------------------------- */

static int open_log(const char *path, int whence, struct kmsg **ret)
{
	_cleanup_close_ int fd = -1;
	struct kmsg *kmsg;

	fd = open(path ? path : DEVICE, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (lseek(fd, 0, whence) < 0)
		return -errno;
	kmsg = calloc(1, sizeof(*kmsg));
	if (!kmsg)
		return -ENOMEM;
	kmsg->fd = TAKE_FD(fd);
	*ret = kmsg;
	return 0;
}

int kmsg_new(const char *path, struct kmsg **ret)
{
	return open_log(path, SEEK_END, ret);
}

void kmsg_free(struct kmsg *kmsg)
{
	if (!kmsg)
		return;
	for (size_t i = 0; i < kmsg->n_reports; i++)
		free(kmsg->reports[i].text);
	close(kmsg->fd);
	free(kmsg);
}

int kmsg_fd(const struct kmsg *kmsg)
{
	return kmsg->fd;
}

/* Returns 1 when there may be more, 0 when there is none now, or -errno. */
static int read_record(struct kmsg *kmsg, int *reports)
{
	ssize_t n = read(kmsg->fd, kmsg->read_buffer, sizeof(kmsg->read_buffer));

	if (!n || (n < 0 && errno == EAGAIN))
		return 0;
	if (n > 0) {
		*reports += kmsg_feed_record(kmsg, kmsg->read_buffer, (size_t)n);
		return 1;
	}
	switch (errno) {
	case EINTR:
		return 1;
	case EPIPE:
	case EINVAL: /* longer than our buffer: the kernel has skipped it */
		kmsg->overrun = true;
		return 1;
	default:
		return -errno;
	}
}

int kmsg_read(struct kmsg *kmsg)
{
	int reports = 0, r = 1;

	for (unsigned int i = 0; r > 0 && i < RECORDS_PER_READ; i++)
		r = read_record(kmsg, &reports);
	return r < 0 ? r : reports;
}

int kmsg_replay(const char *path, uint64_t since_us, FILE *copy, struct kmsg **ret)
{
	struct kmsg *kmsg;
	int reports = 0, r = open_log(path, SEEK_SET, &kmsg);

	if (r < 0)
		return r;
	kmsg->since_us = since_us;
	kmsg->copy = copy;
	/* Who writes faster than we read does not keep us. */
	for (unsigned int i = 0; i < REPLAY_MAX && (r = read_record(kmsg, &reports)) > 0; i++)
		;
	kmsg->copy = NULL;
	if (r < 0) {
		kmsg_free(kmsg);
		return r;
	}
	*ret = kmsg;
	return 0;
}

/* Records carry the kernel's local_clock(), which is about as old as CLOCK_MONOTONIC. */
static bool is_overdue(const struct current *current)
{
	return current->unsettled && now_ns() / NSEC_PER_USEC > current->last_us + SETTLE_US;
}

uint64_t kmsg_count(const struct kmsg *kmsg, enum kmsg_class class)
{
	return kmsg->counts[class] + (class == KMSG_OOM && is_overdue(&kmsg->current));
}

uint64_t kmsg_violations(const struct kmsg *kmsg)
{
	uint64_t n = 0;

	for (unsigned int class = 0; class < KMSG_CLASS_NR; class ++)
		if (kmsg_class_is_violation(class))
			n += kmsg_count(kmsg, class);
	return n;
}

/* An overrun whose size is not known yet is one record at least. */
uint64_t kmsg_lost(const struct kmsg *kmsg)
{
	return kmsg->lost + kmsg->overrun;
}

size_t kmsg_reports(const struct kmsg *kmsg, const struct kmsg_report **ret)
{
	*ret = kmsg->reports;
	return kmsg->n_reports;
}

int kmsg_rearm_warn_once(void)
{
	return write_file("/sys/kernel/debug/clear_warn_once", "1");
}
