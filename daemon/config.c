// SPDX-License-Identifier: GPL-2.0-only
/*
 * The option table and everything that is derived from it: command line, configuration file,
 * --help, the man page's OPTIONS and the dump of the effective values. Adding an option means
 * adding one row here and one field in struct config. Runs in main(), before any thread.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "bpf/soak_abi.h"
#include "build_config.h"
#include "inject/kmod/rqspinlock_fault.h"
#include "log.h"
#include "path.h"
#include "scenarios/mix.h"
#include "snapshot.h"
#include "util.h"
#include "window.h"

#define NSEC_PER_MIN  (60 * NSEC_PER_SEC)
#define NSEC_PER_HOUR (60 * NSEC_PER_MIN)
#define NSEC_PER_DAY  (24 * NSEC_PER_HOUR)
#define KIB	      1024ULL
#define MIB	      (1024 * KIB)
#define TIB	      (1024 * 1024 * MIB)

#define HELP_WIDTH   80
#define HELP_INDENT  10
#define WORD_LEN_MAX 32
#define FILE_WIDTH   96

enum kind {
	KIND_FLAG, /* bool; on the command line its value may be left out */
	KIND_BOOL,
	KIND_COUNT,
	KIND_SEED,
	KIND_SIZE,
	KIND_DURATION,
	KIND_CHOICE,
	KIND_SET, /* names, separated by commas */
	KIND_PATH,
	KIND_TEXT,    /* what check() lets pass */
	KIND_COMMAND, /* no value at all: an option that stands for a command */
	KIND_NR,
};

enum option_flags {
	OPTION_NOT_IN_FILE = 1 << 0,
	OPTION_HIDDEN = 1 << 1, /* from --help and the man page */
	OPTION_NOT_FOR_RUN = 1 << 2,
	OPTION_ALL = 1 << 3,	    /* "all" stands for every name of the set */
	OPTION_OF_RUN = 1 << 4,	    /* of this very run, and no part of how to do it again */
	OPTION_RELOADABLE = 1 << 5, /* may change while a run goes on */
};

struct option {
	const char *key;
	char letter; /* 0: none */
	enum kind kind;
	unsigned int flags;
	size_t offset; /* of the target in struct config */
	uint64_t min;
	uint64_t max;
	const char *const *names;	  /* of a choice or set, in the order of its enum */
	unsigned int alone;		  /* of a set: names that stand alone */
	unsigned int rivals;		  /* of a set: names that exclude each other, ... */
	const char *rivals_why;		  /* ... and why */
	bool (*check)(const char *text);  /* of a text: whether it is ... */
	const char *noun;		  /* ... this */
	char *(*fault)(const char *text); /* the same, where there is more to be said */
	const char *initial;		  /* as the user would write it; NULL: zero or none */
	const char *arg;
	const char *help;
	enum command only; /* of those that are not for run: the command that they are for */
};

#define TARGET(field) .offset = offsetof(struct config, field)

static const char *const inject_names[] = {
	[INJECT_AUTO] = "auto",	    [INJECT_STALL] = "stall",
	[INJECT_MODULE] = "module", [INJECT_FAIL_FUNCTION] = "fail_function",
	[INJECT_NONE] = "none",	    [INJECT_NR] = NULL,
};

static const char *const kind_names[] = {
	[INJECT_CONTENDED] = "contended",
	[INJECT_FORCED] = "forced",
	[INJECT_KIND_NR] = NULL,
};

#if SOAK_TEST_HOOKS
static const char *const lie_names[] = {
	[SOAK_LIE_NONE] = "none",
	[SOAK_LIE_FIELDS_TWICE] = "fields-twice",
	[SOAK_LIE_FIELDS_LEFT] = "fields-left",
	[SOAK_LIE_FIELDS_LATE] = "fields-late",
	[SOAK_LIE_REFERENCE] = "reference",
	[SOAK_LIE_IDENTITY] = "identity",
	[SOAK_LIE_TORN] = "torn",
	[SOAK_LIE_READER] = "reader",
	[SOAK_LIE_STALE] = "stale",
	[SOAK_LIE_MAP] = "map",
	[SOAK_LIE_HELD] = "held",
	[SOAK_LIE_EARLY] = "early",
	[SOAK_LIE_FORGOTTEN] = "forgotten",
	[SOAK_LIE_NR] = NULL,
};
#endif

static const char *const error_names[] = {
	[INJECT_TIMEDOUT] = "timedout",
	[INJECT_DEADLK] = "deadlk",
	[INJECT_EITHER] = "either",
	[INJECT_ERROR_NR] = NULL,
};

static const char *const on_violation_names[] = {
	[ON_VIOLATION_CONTINUE] = "continue",
	[ON_VIOLATION_STOP] = "stop",
	[ON_VIOLATION_FREEZE] = "freeze",
	[ON_VIOLATION_NR] = NULL,
};

static const char *const on_budget_names[] = {
	[ON_BUDGET_STOP] = "stop",
	[ON_BUDGET_REBOOT] = "reboot",
	[ON_BUDGET_NR] = NULL,
};

static const char *const rendezvous_names[] = {
	[RENDEZVOUS_OFF] = "off",
	[RENDEZVOUS_ON] = "on",
	[RENDEZVOUS_ALL] = "all",
	[RENDEZVOUS_NR] = NULL,
};

static const char *const netns_names[] = {
	[NETNS_OWN] = "own",
	[NETNS_HOST] = "host",
	[NETNS_NR] = NULL,
};

#define INSTANCE_MAX 64

/* It becomes the value of a label and part of lines that people grep. */
static bool is_instance(const char *text)
{
	static const char valid[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._:@-";
	size_t len = strlen(text);

	return len && len <= INSTANCE_MAX && strspn(text, valid) == len;
}

static bool is_window(const char *text)
{
	struct windows windows;

	return !windows_parse(text, &windows);
}

/* What is wrong with a mix, for the caller to free; NULL: nothing. */
static char *fault_of_mix(const char *text)
{
	char *why = NULL;
	struct mix mix;

	return mix_parse(text, &mix, &why) < 0 ? why : NULL;
}

static const char *const format_names[] = {
	[FORMAT_TEXT] = "text", [FORMAT_HTML] = "html",	  [FORMAT_JSON] = "json",
	[FORMAT_KTAP] = "ktap", [FORMAT_JUNIT] = "junit", [FORMAT_NR] = NULL,
};

static const char *const site_names[RQF_SITE_NR + 1] = RQF_SITE_NAMES;

/* clang-format off */
static const struct option options[] = {
	{ "duration", 0, KIND_DURATION, OPTION_OF_RUN | OPTION_RELOADABLE, TARGET(duration_ns), 0, 3650 * NSEC_PER_DAY,
	  .initial = "60s", .arg = "TIME",
	  .help = "How long to run; 0 runs until stopped." },
	{ "seed", 0, KIND_SEED, OPTION_OF_RUN, TARGET(seed), 0, UINT64_MAX, .initial = "0", .arg = "NUMBER",
	  .help = "Start of the random sequence that every worker's decisions follow; 0 picks "
		  "one, which the report names." },
	{ "workers", 0, KIND_COUNT, 0, TARGET(workers), 0, SNAPSHOT_WORKERS, .initial = "0",
	  .arg = "NUMBER",
	  .help = "Churn threads; 0 means one for each CPU that may be used, at least 2." },
	{ "maps", 0, KIND_COUNT, 0, TARGET(maps), 1, SOAK_MAPS_MAX, .initial = "4",
	  .arg = "NUMBER", .help = "Storage maps of each shape that are in use at a time." },
	{ "owners", 0, KIND_COUNT, 0, TARGET(owners), 1, 4096, .initial = "24", .arg = "NUMBER",
	  .help = "Live owners (sockets, tasks, cgroups, files) that each worker keeps at most." },
	{ "mix", 0, KIND_TEXT, OPTION_RELOADABLE, TARGET(mix), .fault = fault_of_mix,
	  .arg = "NAME=WEIGHT[,...]",
	  .help = "How often each scenario is played, beside the others; bpfsoakd scenarios lists "
		  "them with their weights. Those that are not named keep theirs; * names all, so "
		  "*=0,clash=1 plays one alone. One that is named and has no effect makes the run "
		  "INCONCLUSIVE." },
	{ "rendezvous", 0, KIND_CHOICE, 0, TARGET(rendezvous), 0, RENDEZVOUS_NR - 1,
	  rendezvous_names, .initial = "on", .arg = "off|on|all",
	  .help = "Let map_free() and other sides meet at the same element, owner or bucket, by "
		  "holding the first to come for a moment; no lock fails by it. all also lets owners "
		  "die while map_free() uncharges them where locks of destroy() are made to fail, "
		  "which Linux 7.3 does not survive." },
	{ "rendezvous-wait", 0, KIND_DURATION, OPTION_RELOADABLE, TARGET(rendezvous_wait_ns), 10 * NSEC_PER_USEC,
	  20 * NSEC_PER_MSEC, .initial = "1ms", .arg = "TIME",
	  .help = "How long the first to come waits for the other at most." },
	{ "inject", 0, KIND_SET, 0, TARGET(inject), .names = inject_names,
	  .alone = 1u << INJECT_AUTO | 1u << INJECT_NONE,
	  .rivals = 1u << INJECT_MODULE | 1u << INJECT_FAIL_FUNCTION,
	  .rivals_why = "module and fail_function exclude each other: both drive the same kernel "
			"module",
	  .initial = "auto", .arg = "MODE[,MODE]",
	  .help = "How locks are made to fail: stall holds them past the kernel's timeout, module "
		  "fails them by the kernel module rqspinlock_fault, fail_function does so by way "
		  "of the kernel's own fault injection, none leaves them alone, auto is the best "
		  "that this kernel offers. stall,module and stall,fail_function do both." },
	{ "inject-kind", 0, KIND_SET, 0, TARGET(inject_kinds), .names = kind_names,
	  .initial = "contended", .arg = "KIND[,KIND]",
	  .help = "What module and fail_function do: contended fails waiters of locks that are "
		  "really held; forced fails locks that nobody holds, and by itself only those: "
		  "what then leaks is predicted, and no bug." },
	{ "inject-sites", 0, KIND_SET, OPTION_ALL, TARGET(inject_sites), .names = site_names,
	  .initial = "all", .arg = "SITE[,SITE...]",
	  .help = "Where module and fail_function make locks fail." },
	{ "inject-error", 0, KIND_CHOICE, 0, TARGET(inject_error), 0, INJECT_ERROR_NR - 1,
	  error_names, .initial = "either", .arg = "ERROR",
	  .help = "What a lock that module or fail_function fails returns: timedout is "
		  "-ETIMEDOUT, deadlk is -EDEADLK, either is one or the other at random." },
	{ "inject-rate", 0, KIND_COUNT, OPTION_RELOADABLE, TARGET(inject_rate), 0, 10000000, .initial = "500",
	  .arg = "NUMBER",
	  .help = "Errors per second, on average, of module and fail_function; 0 means without "
		  "limit." },
	{ "inject-burst", 0, KIND_DURATION, OPTION_RELOADABLE, TARGET(inject_burst_ns), 10 * NSEC_PER_MSEC,
	  NSEC_PER_HOUR, .initial = "500ms", .arg = "TIME",
	  .help = "How long module and fail_function inject before they pause." },
	{ "inject-pause", 0, KIND_DURATION, OPTION_RELOADABLE, TARGET(inject_pause_ns), 0, NSEC_PER_HOUR,
	  .initial = "250ms", .arg = "TIME", .help = "Pause between two such bursts." },
	{ "module", 0, KIND_PATH, OPTION_OF_RUN, TARGET(module), .arg = "FILE",
	  .help = "The file of rqspinlock_fault.ko, for module and fail_function, unless it is "
		  "loaded already; without this option the installed one is used, as modprobe "
		  "finds it." },
	{ "slots", 0, KIND_SIZE, 0, TARGET(slots), 4096, 16 * MIB, .initial = "256K",
	  .arg = "NUMBER",
	  .help = "Elements that the ledger follows at a time, rounded up to a power of two." },
	{ "leak-budget", 0, KIND_SIZE, OPTION_RELOADABLE, TARGET(leak_budget), 0, 1024 * TIB, .initial = "0",
	  .arg = "SIZE",
	  .help = "Leaked kernel memory at which the run ends with its verdict; 0 means a quarter "
		  "of what is available at the start." },
	{ "stall", 0, KIND_DURATION, OPTION_RELOADABLE, TARGET(stall_ns), 100 * NSEC_PER_MSEC, 3 * NSEC_PER_SEC,
	  .initial = "300ms", .arg = "TIME",
	  .help = "How long a lock is held at first; it grows until locks really time out." },
	{ "stall-pause", 0, KIND_DURATION, OPTION_RELOADABLE, TARGET(stall_pause_ns), 0, NSEC_PER_HOUR,
	  .initial = "100ms", .arg = "TIME", .help = "Pause between two stalls." },
	{ "pin-owners", 0, KIND_FLAG, 0, TARGET(pin_owners), 0, 1, .initial = "no",
	  .help = "With module or fail_function, also let owners die while map_free() uncharges them. "
		  "Linux 7.3 does not survive it: destroy() then spins for ever." },
	{ "stutter", 0, KIND_BOOL, OPTION_RELOADABLE, TARGET(stutter), 0, 1, .initial = "yes",
	  .arg = "yes|no",
	  .help = "Every few seconds all workers pause together for a moment and then go on at once." },
	{ "shuffle", 0, KIND_BOOL, OPTION_RELOADABLE, TARGET(shuffle), 0, 1, .initial = "yes",
	  .arg = "yes|no",
	  .help = "Every few seconds move the workers to other CPUs, or all of them off one." },
	{ "hotplug", 0, KIND_FLAG, 0, TARGET(hotplug), 0, 1, .initial = "no",
	  .help = "Every few seconds take one CPU of the machine offline, never the first, and bring "
		  "it back. All that were online are online again however the run ends. For root, "
		  "and not for a machine that does anything else." },
	{ "pressure", 0, KIND_FLAG, OPTION_RELOADABLE, TARGET(pressure), 0, 1, .initial = "no",
	  .help = "Every few seconds take nearly all memory that is available, until the kernel has "
		  "to reclaim some, and give it back. A child process does that, the first to be "
		  "killed should memory run out." },
	{ "netns", 0, KIND_CHOICE, 0, TARGET(netns), 0, NETNS_NR - 1, netns_names, .initial = "own",
	  .arg = "WHICH",
	  .help = "The network namespace of the sockets that are owners: own is made for the run, and "
		  "has nothing but a loopback; host is the one that the daemon is started in." },
	{ "stuck", 0, KIND_DURATION, OPTION_RELOADABLE, TARGET(stuck_ns), 10 * NSEC_PER_SEC, NSEC_PER_HOUR,
	  .initial = "60s", .arg = "TIME",
	  .help = "A worker, a map or an owner that makes no progress for so long is a finding." },
	{ "settle", 0, KIND_DURATION, OPTION_RELOADABLE, TARGET(settle_ns), NSEC_PER_SEC, NSEC_PER_HOUR,
	  .initial = "6s", .arg = "TIME",
	  .help = "At the end of a run, how long the number of objects alive must not change before "
		  "they are judged." },
	{ "oracles", 0, KIND_BOOL, 0, TARGET(oracles), 0, 1, .initial = "yes", .arg = "yes|no",
	  .help = "Watch the kernel; without it a run is INCONCLUSIVE, for benchmarks only." },
	{ "stats-file", 0, KIND_PATH, OPTION_OF_RUN | OPTION_RELOADABLE, TARGET(stats_file), .arg = "FILE",
	  .help = "Keep figures in this file, in the Prometheus text format." },
	{ "stats-interval", 0, KIND_DURATION, OPTION_OF_RUN | OPTION_RELOADABLE, TARGET(stats_interval_ns), NSEC_PER_SEC,
	  NSEC_PER_HOUR, .initial = "10s", .arg = "TIME",
	  .help = "Time between two versions of the stats file." },
	{ "report", 0, KIND_PATH, OPTION_OF_RUN, TARGET(report_dir), .arg = "DIR",
	  .help = "Write report.json and the findings to this directory, made if missing." },
	{ "findings", 0, KIND_COUNT, 0, TARGET(findings), 0, 1000, .initial = "8", .arg = "NUMBER",
	  .help = "Findings that are kept whole, each in a directory of its own below that of "
		  "--report; at most half of them of holes. The rest is counted." },
	{ "on-violation", 0, KIND_CHOICE, OPTION_OF_RUN | OPTION_RELOADABLE, TARGET(on_violation), 0,
	  ON_VIOLATION_NR - 1, on_violation_names, .initial = "continue", .arg = "ACTION",
	  .help = "What to do at the first violation: continue; stop ends the run, judged as any; "
		  "freeze stops churn and injection, keeps everything loaded for a debugger and "
		  "waits for a signal." },
	{ "on-budget", 0, KIND_CHOICE, OPTION_OF_RUN | OPTION_RELOADABLE, TARGET(on_budget), 0,
	  ON_BUDGET_NR - 1, on_budget_names, .initial = "stop", .arg = "ACTION",
	  .help = "What to do when the leak budget is used up: stop ends the run with its verdict; "
		  "reboot does so, writes everything to disk and boots the machine anew." },
	{ "window", 0, KIND_TEXT, OPTION_OF_RUN | OPTION_RELOADABLE, TARGET(window),
	  .check = is_window, .noun = "a list of times of day such as 22:00-06:00,12:00-13:00",
	  .arg = "HH:MM-HH:MM[,...]",
	  .help = "When to churn and inject, in local time; at other times the run pauses, keeps "
		  "all its counts, and says so." },
	{ "start-jitter", 0, KIND_DURATION, OPTION_OF_RUN | OPTION_RELOADABLE,
	  TARGET(start_jitter_ns), 0, NSEC_PER_DAY, .initial = "0", .arg = "TIME",
	  .help = "Wait a random time, up to this one, before the run begins, so that a fleet does "
		  "not begin at once." },
	{ "instance", 0, KIND_TEXT, OPTION_OF_RUN, TARGET(instance), .check = is_instance,
	  .noun = "a name of 1 to 64 letters, digits and ._:@-", .arg = "NAME",
	  .help = "Name of this daemon, a label of bpfsoakd_build_info in the stats file and part "
		  "of the report." },
	{ "accept-panic", 0, KIND_FLAG, 0, TARGET(accept_panic), 0, 1, .initial = "no",
	  .help = "Inject even where the kernel panics on a warning (panic_on_warn)." },
	{ "quiet", 0, KIND_FLAG, OPTION_OF_RUN | OPTION_RELOADABLE, TARGET(quiet), 0, 1, .initial = "no",
	  .help = "No progress lines." },
	{ "verbose", 0, KIND_FLAG, OPTION_OF_RUN, TARGET(verbose), 0, 1, .initial = "no",
	  .help = "Debug messages, those of libbpf included." },
	{ "config", 'c', KIND_PATH, OPTION_NOT_IN_FILE, TARGET(config_file), .arg = "FILE",
	  .help = "Read options from this file, as \"key = value\" lines whose keys are the names "
		  "of these options, then from FILE.d/*.conf in the order of their names; what "
		  "comes later wins, and the command line over all." },
	{ "json", 0, KIND_FLAG, OPTION_NOT_IN_FILE | OPTION_NOT_FOR_RUN, TARGET(json), 0, 1,
	  .initial = "no", .help = "With check: print JSON.", .only = COMMAND_CHECK },
	{ "once", 0, KIND_FLAG, OPTION_NOT_IN_FILE | OPTION_NOT_FOR_RUN, TARGET(once), 0, 1,
	  .initial = "no", .help = "With top: print one frame, without escape sequences, and exit.",
	  .only = COMMAND_TOP },
	{ "format", 0, KIND_CHOICE, OPTION_NOT_IN_FILE | OPTION_NOT_FOR_RUN, TARGET(format), 0,
	  FORMAT_NR - 1, format_names, .initial = "text", .arg = "FORMAT",
	  .help = "With report: how to render it.", .only = COMMAND_REPORT },
	{ "help", 'h', KIND_COMMAND, OPTION_NOT_IN_FILE, .min = COMMAND_HELP,
	  .help = "Print this text." },
	{ "version", 'V', KIND_COMMAND, OPTION_NOT_IN_FILE, .min = COMMAND_VERSION,
	  .help = "Print the version." },
	{ "dump-options", 0, KIND_COMMAND, OPTION_NOT_IN_FILE | OPTION_HIDDEN,
	  .min = COMMAND_DUMP_OPTIONS, .help = "Print these options for the manual page." },
	{ "dump-keys", 0, KIND_COMMAND, OPTION_NOT_IN_FILE | OPTION_HIDDEN,
	  .min = COMMAND_DUMP_KEYS, .help = "Print these options for bpfsoakd.conf(5)." },
	{ "dump-config", 0, KIND_COMMAND, OPTION_NOT_IN_FILE | OPTION_HIDDEN,
	  .min = COMMAND_DUMP_CONFIG, .help = "Print a configuration file, all commented out." },
#if SOAK_TEST_HOOKS
	{ "test-drop-free", 0, KIND_COUNT, OPTION_HIDDEN, TARGET(test_drop_free), 0, 1000000,
	  .initial = "0", .arg = "NUMBER", .help = "Drop so many free events." },
	{ "test-forge-free", 0, KIND_COUNT, OPTION_HIDDEN, TARGET(test_forge_free), 0, 1000000,
	  .initial = "0", .arg = "NUMBER", .help = "Report so many frees twice." },
	{ "test-lie", 0, KIND_CHOICE, OPTION_HIDDEN, TARGET(test_lie), 0, SOAK_LIE_NR - 1,
	  lie_names, .initial = "none", .arg = "WHAT",
	  .help = "Make an oracle see what is not there." },
	{ "test-fake-warn", 0, KIND_FLAG, OPTION_HIDDEN, TARGET(test_fake_warn), 0, 1,
	  .initial = "no", .help = "Write a fake WARNING to the kernel log." },
#endif
};
/* clang-format on */

static const struct {
	const char *name;
	enum command command;
	const char *help;
} commands[] = {
	{ "run", COMMAND_RUN, "soak this kernel and judge it" },
	{ "check", COMMAND_CHECK, "show what this kernel offers" },
	{ "scenarios", COMMAND_SCENARIOS,
	  "list what the workers do, and what this machine lacks for it" },
	{ "restore", COMMAND_RESTORE, "undo what a run that died left in the kernel" },
	{ "top", COMMAND_TOP, "watch the stats file of a run, given as FILE or by --stats-file" },
	{ "report", COMMAND_REPORT, "render the report of a run, given as DIR or by --report" },
	{ "help", COMMAND_HELP, "print this text" },
	{ "version", COMMAND_VERSION, "print the version" },
};

/* Where a value came from, for messages. */
struct origin {
	const char *file; /* NULL: the command line */
	unsigned int line;
};

static const struct origin command_line;

/* Says what is wrong and where; -EINVAL, for the caller to return. */
static int _printf_(3, 4)
	complain(const struct origin *origin, const char *key, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	if (!text)
		return -ENOMEM;
	if (origin->file)
		log_error("%s:%u: %s: %s", origin->file, origin->line, key, text);
	else
		log_error("--%s: %s", key, text);
	return -EINVAL;
}

/* Numbers ------------------------------------------------------------------------------------ */

/* Decimal digits from *text on, which is moved past them. No sign, no blank, no overflow. */
static int take_decimal(const char **text, uint64_t *ret)
{
	const char *p = *text;
	uint64_t value = 0;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -EINVAL;
	}
	*text = p;
	*ret = value;
	return 0;
}

static int parse_decimal(const char *text, uint64_t *ret)
{
	uint64_t value;

	if (take_decimal(&text, &value) < 0 || *text)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int parse_hex(const char *text, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		int c = tolower((unsigned char)*text);

		if (!isxdigit(c) || value >> 60)
			return -EINVAL;
		value = value << 4 | (uint64_t)(isdigit(c) ? c - '0' : c - 'a' + 10);
	}
	*ret = value;
	return 0;
}

/* Descending, which is also the order that parse_duration() demands. */
static const struct {
	const char *suffix;
	uint64_t ns;
} units[] = {
	{ "d", NSEC_PER_DAY }, { "h", NSEC_PER_HOUR },	{ "m", NSEC_PER_MIN },
	{ "s", NSEC_PER_SEC }, { "ms", NSEC_PER_MSEC }, { "us", NSEC_PER_USEC },
	{ "ns", 1 },
};

static int find_unit(const char *suffix, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].suffix) == len && !strncmp(units[i].suffix, suffix, len))
			return (int)i;
	return -EINVAL;
}

int parse_duration(const char *text, uint64_t *ret_ns)
{
	uint64_t total = 0, value;
	int previous = -1;

	if (!parse_decimal(text, &value)) {
		if (__builtin_mul_overflow(value, NSEC_PER_SEC, &total))
			return -EINVAL;
		*ret_ns = total;
		return 0;
	}
	do {
		size_t len;
		int unit;

		if (take_decimal(&text, &value) < 0)
			return -EINVAL;
		len = strspn(text, "abcdefghijklmnopqrstuvwxyz");
		unit = find_unit(text, len);
		if (unit <= previous)
			return -EINVAL;
		if (__builtin_mul_overflow(value, units[unit].ns, &value) ||
		    __builtin_add_overflow(total, value, &total))
			return -EINVAL;
		text += len;
		previous = unit;
	} while (*text);
	*ret_ns = total;
	return 0;
}

static const char size_suffixes[] = "KMGTPE";

int parse_size(const char *text, uint64_t *ret)
{
	unsigned int shift = 0;
	const char *suffix;
	uint64_t value;

	if (take_decimal(&text, &value) < 0)
		return -EINVAL;
	suffix = *text ? strchr(size_suffixes, toupper((unsigned char)*text)) : NULL;
	if (suffix) {
		shift = 10 * (unsigned int)(suffix - size_suffixes + 1);
		text++;
	}
	if (*text && strcasecmp(text, "B") && !(suffix && !strcasecmp(text, "iB")))
		return -EINVAL;
	if (value > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = value << shift;
	return 0;
}

static int parse_bool(const char *text, uint64_t *ret)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(words[i], text)) {
			*ret = i % 2;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_choice(const struct option *option, const char *text, uint64_t *ret)
{
	for (uint64_t i = 0; option->names[i]; i++) {
		if (!strcmp(option->names[i], text)) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Every name that a set may have. */
static unsigned int full_set(const struct option *option)
{
	unsigned int set = 0;

	for (unsigned int i = 0; option->names[i]; i++)
		set |= 1u << i;
	return set;
}

static bool is_single(unsigned int set)
{
	return !(set & (set - 1));
}

static int parse_number(const struct option *option, const char *text, uint64_t *ret)
{
	switch (option->kind) {
	case KIND_FLAG:
	case KIND_BOOL:
		return parse_bool(text, ret);
	case KIND_SEED:
		return strncmp(text, "0x", 2) ? parse_decimal(text, ret) : parse_hex(text + 2, ret);
	case KIND_SIZE:
		return parse_size(text, ret);
	case KIND_DURATION:
		return parse_duration(text, ret);
	case KIND_CHOICE:
		return parse_choice(option, text, ret);
	default:
		return parse_decimal(text, ret);
	}
}

static void print_duration(FILE *out, uint64_t ns)
{
	if (!ns)
		fputs("0", out);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (ns >= units[i].ns)
			fprintf(out, "%llu%s", (unsigned long long)(ns / units[i].ns),
				units[i].suffix);
		ns %= units[i].ns;
	}
}

static void print_size(FILE *out, uint64_t size)
{
	size_t n = 0;

	while (size && !(size % 1024) && n < strlen(size_suffixes)) {
		size /= 1024;
		n++;
	}
	fprintf(out, "%llu", (unsigned long long)size);
	if (n)
		fputc(size_suffixes[n - 1], out);
}

static void print_set(FILE *out, const struct option *option, unsigned int set)
{
	const char *comma = "";

	if (option->flags & OPTION_ALL && set == full_set(option)) {
		fputs("all", out);
		return;
	}
	for (unsigned int i = 0; option->names[i]; i++) {
		if (!(set & 1u << i))
			continue;
		fprintf(out, "%s%s", comma, option->names[i]);
		comma = ",";
	}
}

/* Writes a number as parse_number(), or a set as set_names() reads it. */
static void print_number(FILE *out, const struct option *option, uint64_t value)
{
	switch (option->kind) {
	case KIND_FLAG:
	case KIND_BOOL:
		fputs(value ? "yes" : "no", out);
		return;
	case KIND_SIZE:
		print_size(out, value);
		return;
	case KIND_DURATION:
		print_duration(out, value);
		return;
	case KIND_CHOICE:
		fputs(option->names[value], out);
		return;
	case KIND_SET:
		print_set(out, option, (unsigned int)value);
		return;
	default:
		fprintf(out, "%llu", (unsigned long long)value);
	}
}

static void print_range(FILE *out, const struct option *option)
{
	switch (option->kind) {
	case KIND_FLAG:
	case KIND_BOOL:
		fputs("yes or no", out);
		return;
	case KIND_CHOICE:
	case KIND_SET:
		if (option->flags & OPTION_ALL)
			fputs("all, ", out);
		for (size_t i = 0; option->names[i]; i++)
			fprintf(out, "%s%s", i ? ", " : "", option->names[i]);
		return;
	case KIND_SEED:
		fputs("0 to 0xffffffffffffffff, decimal or 0x and hexadecimal", out);
		return;
	default:
		print_number(out, option, option->min);
		fputs(" to ", out);
		print_number(out, option, option->max);
	}
}

static char *range_text(const struct option *option)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	print_range(out, option);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Values ------------------------------------------------------------------------------------- */

static void *target(const struct option *option, struct config *config)
{
	return (char *)config + option->offset;
}

static void store_number(const struct option *option, struct config *config, uint64_t value)
{
	switch (option->kind) {
	case KIND_FLAG:
	case KIND_BOOL:
		*(bool *)target(option, config) = value;
		return;
	case KIND_COUNT:
	case KIND_SET:
		*(unsigned int *)target(option, config) = (unsigned int)value;
		return;
	case KIND_CHOICE:
		memcpy(target(option, config), &(unsigned int){ (unsigned int)value },
		       sizeof(unsigned int));
		return;
	default:
		*(uint64_t *)target(option, config) = value;
	}
}

_Static_assert(sizeof(enum inject_error) == sizeof(unsigned int), "a choice is stored as unsigned");

static uint64_t load_number(const struct option *option, const struct config *config)
{
	const void *from = (const char *)config + option->offset;
	unsigned int choice;

	switch (option->kind) {
	case KIND_FLAG:
	case KIND_BOOL:
		return *(const bool *)from;
	case KIND_COUNT:
	case KIND_SET:
		return *(const unsigned int *)from;
	case KIND_CHOICE:
		memcpy(&choice, from, sizeof(choice));
		return choice;
	default:
		return *(const uint64_t *)from;
	}
}

static bool is_string(const struct option *option)
{
	return option->kind == KIND_PATH || option->kind == KIND_TEXT;
}

/* A path that config_dump() can write and the file parser read back unchanged. */
static bool path_is_sane(const char *path)
{
	size_t len = strlen(path);

	if (!len || len >= PATH_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)path[i]))
			return false;
	return path[0] != ' ' && path[len - 1] != ' ';
}

static int set_string(const struct option *option, const char *text, struct config *config,
		      const struct origin *origin)
{
	_cleanup_free_ char *fault = NULL;
	char **string = target(option, config);
	char *copy;

	fault = option->fault ? option->fault(text) : NULL;
	if (fault)
		return complain(origin, option->key, "%s", fault);
	if (option->check && !option->check(text))
		return complain(origin, option->key, "'%s' is not %s", text, option->noun);
	if (option->kind == KIND_PATH && !path_is_sane(text))
		return complain(origin, option->key,
				"'%s' is not a path; valid: 1 to %d characters, no control "
				"characters, no blank at either end",
				text, PATH_MAX - 1);
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*string);
	*string = copy;
	return 0;
}

/* Of a name of len characters, or -EINVAL. */
static int name_index(const struct option *option, const char *name, size_t len)
{
	for (int i = 0; option->names[i]; i++)
		if (strlen(option->names[i]) == len && !strncmp(option->names[i], name, len))
			return i;
	return -EINVAL;
}

static int complain_name(const struct option *option, const char *name, size_t len,
			 const struct origin *origin)
{
	_cleanup_free_ char *range = range_text(option);

	if (!range)
		return -ENOMEM;
	return complain(origin, option->key, "'%.*s' is not a known name; valid: %s", (int)len,
			name, range);
}

static int parse_names(const struct option *option, const char *text, unsigned int *ret,
		       const struct origin *origin)
{
	const char *name = text;
	unsigned int set = 0;

	for (;; name++) {
		size_t len = strcspn(name, ",");
		int i = name_index(option, name, len);

		if (i < 0)
			return complain_name(option, name, len, origin);
		if (set & 1u << i)
			return complain(origin, option->key, "%s is given twice", option->names[i]);
		set |= 1u << i;
		name += len;
		if (!*name)
			break;
	}
	*ret = set;
	return 0;
}

static int set_names(const struct option *option, const char *text, struct config *config,
		     const struct origin *origin)
{
	unsigned int set = full_set(option);
	int r = 0;

	if (!(option->flags & OPTION_ALL) || strcmp(text, "all"))
		r = parse_names(option, text, &set, origin);
	if (r < 0)
		return r;
	if (set & option->alone && !is_single(set))
		return complain(origin, option->key, "%s stands alone",
				option->names[__builtin_ctz(set & option->alone)]);
	if (!is_single(set & option->rivals))
		return complain(origin, option->key, "%s", option->rivals_why);
	store_number(option, config, set);
	return 0;
}

static const char *const kind_nouns[KIND_NR] = {
	[KIND_FLAG] = "yes or no",
	[KIND_BOOL] = "yes or no",
	[KIND_COUNT] = "a whole number",
	[KIND_SEED] = "a seed",
	[KIND_SIZE] = "a size such as 4096, 64K or 1G",
	[KIND_DURATION] = "a duration such as 90s, 1h30m or 250ms",
	[KIND_CHOICE] = "a known name",
};

static int set_value(const struct option *option, const char *text, struct config *config,
		     const struct origin *origin)
{
	_cleanup_free_ char *range = NULL;
	uint64_t value;
	bool parsed;

	if (is_string(option))
		return set_string(option, text, config, origin);
	if (option->kind == KIND_SET)
		return set_names(option, text, config, origin);
	parsed = !parse_number(option, text, &value);
	if (parsed && value >= option->min && value <= option->max) {
		store_number(option, config, value);
		return 0;
	}
	range = range_text(option);
	if (!range)
		return -ENOMEM;
	if (parsed)
		return complain(origin, option->key, "%s is out of range; valid: %s", text, range);
	return complain(origin, option->key, "'%s' is not %s; valid: %s", text,
			kind_nouns[option->kind], range);
}

static int set_initial_values(struct config *config)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		int r;

		if (!options[i].initial)
			continue;
		r = set_value(&options[i], options[i].initial, config, &command_line);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Names -------------------------------------------------------------------------------------- */

static const struct option *find_key(const char *key, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strlen(options[i].key) == len && !strncmp(options[i].key, key, len))
			return &options[i];
	return NULL;
}

static const struct option *find_letter(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (letter && options[i].letter == letter)
			return &options[i];
	return NULL;
}

/* Edits that turn a into b (Levenshtein); large when one of them is longer than any name here. */
static unsigned int edit_distance(const char *a, size_t a_len, const char *b)
{
	size_t b_len = strlen(b);
	unsigned int row[WORD_LEN_MAX + 1];

	if (a_len > WORD_LEN_MAX || b_len > WORD_LEN_MAX)
		return UINT_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int above = row[j];
			unsigned int replaced = diagonal + (a[i - 1] != b[j - 1]);

			row[j] = MIN(MIN(above, row[j - 1]) + 1, replaced);
			diagonal = above;
		}
	}
	return row[b_len];
}

static bool is_near(const char *word, size_t len, const char *name, unsigned int *best)
{
	unsigned int distance = edit_distance(word, len, name);

	/* A word cut short ("stats") is meant for what it begins, however much is missing. */
	if (len >= 3 && !strncmp(word, name, len))
		distance = 1;
	if (distance >= *best || distance > MAX(2u, (unsigned int)len / 3))
		return false;
	*best = distance;
	return true;
}

/* The option most likely meant by a mistyped key; NULL if none is like it. */
static const char *nearest_key(const char *key, size_t len, unsigned int without)
{
	unsigned int best = UINT_MAX;
	const char *nearest = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].flags & (without | OPTION_HIDDEN))
			continue;
		if (is_near(key, len, options[i].key, &best))
			nearest = options[i].key;
	}
	return nearest;
}

static const char *nearest_command(const char *word)
{
	unsigned int best = UINT_MAX;
	const char *nearest = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (is_near(word, strlen(word), commands[i].name, &best))
			nearest = commands[i].name;
	return nearest;
}

/* Command line ------------------------------------------------------------------------------- */

static int complain_command(const char *what, const char *word)
{
	const char *nearest = word ? nearest_command(word) : NULL;
	_cleanup_free_ char *list = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char *longer =
			format("%s%s%s", list ? list : "", list ? ", " : "", commands[i].name);

		if (!longer)
			return -ENOMEM;
		free(list);
		list = longer;
	}
	log_error("%s%s%s%s; valid: %s (see bpfsoakd --help)", what,
		  nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "",
		  list);
	return -EINVAL;
}

/* What a command works on, where it takes something. */
static int set_operand(const char *word, struct config *config)
{
	bool takes = config->command == COMMAND_TOP || config->command == COMMAND_REPORT;

	if (!takes || config->operand || !*word) {
		log_error("unexpected argument '%s' (see bpfsoakd --help)", word);
		return -EINVAL;
	}
	config->operand = strdup(word);
	return config->operand ? 0 : -ENOMEM;
}

static int set_command(const char *word, bool *have_command, struct config *config)
{
	_cleanup_free_ char *what = NULL;

	if (*have_command)
		return set_operand(word, config);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, word))
			continue;
		config->command = commands[i].command;
		*have_command = true;
		return 0;
	}
	what = format("unknown command '%s'", word);
	return what ? complain_command(what, word) : -ENOMEM;
}

static int unknown_option(const char *key, size_t len)
{
	const char *nearest = nearest_key(key, len, 0);

	if (nearest)
		log_error("--%.*s: unknown option; did you mean --%s?", (int)len, key, nearest);
	else
		log_error("--%.*s: unknown option (see bpfsoakd --help)", (int)len, key);
	return -EINVAL;
}

/*
 * One word of the command line that begins with '-', with what follows it. Returns how many words
 * were used, or a negative error.
 */
static int set_option(char **words, struct config *config)
{
	const char *word = words[0], *value = NULL;
	const struct option *option;
	int used = 1, r;

	if (word[1] == '-') {
		size_t len = strcspn(word + 2, "=");

		option = find_key(word + 2, len);
		if (!option)
			return unknown_option(word + 2, len);
		value = word[2 + len] ? word + 2 + len + 1 : NULL;
	} else {
		option = find_letter(word[1]);
		if (!option) {
			log_error("%.2s: unknown option (see bpfsoakd --help)", word);
			return -EINVAL;
		}
		value = word[2] ? word + 2 : NULL;
	}
	if (option->kind == KIND_COMMAND) {
		if (value)
			return complain(&command_line, option->key, "takes no value");
		config->command = (enum command)option->min;
		return used;
	}
	if (!value && option->kind == KIND_FLAG)
		value = "yes";
	if (!value) {
		value = words[used++];
		/* The next option is not this one's value; "--report=--odd" still can be said. */
		if (!value || !strncmp(value, "--", 2))
			return complain(&command_line, option->key, "needs a value (%s)",
					option->arg);
	}
	r = set_value(option, value, config, &command_line);
	return r < 0 ? r : used;
}

static bool command_has_options(enum command command)
{
	return command < COMMAND_HELP;
}

static const char *command_name(enum command command)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].command == command)
			return commands[i].name;
	return "this";
}

static int check_applicable(const struct config *config)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].flags & OPTION_NOT_FOR_RUN && options[i].only != config->command &&
		    load_number(&options[i], config))
			return complain(&command_line, options[i].key, "not valid with %s",
					command_name(config->command));
	return 0;
}

/* Stops at the first word that asks for help or the version, so that they always work. */
static int parse_arguments(int argc, char **argv, struct config *config)
{
	bool have_command = false, options_end = false;
	int i = 1, r;

	while (i < argc) {
		if (!options_end && !strcmp(argv[i], "--")) {
			options_end = true;
			i++;
			continue;
		}
		if (!options_end && argv[i][0] == '-' && argv[i][1]) {
			r = set_option(argv + i, config);
			if (r < 0)
				return r;
			i += r;
		} else {
			r = set_command(argv[i++], &have_command, config);
			if (r < 0)
				return r;
		}
		if (!command_has_options(config->command))
			return 0;
	}
	if (!have_command)
		return complain_command("no command given", NULL);
	return check_applicable(config);
}

/* Configuration file ------------------------------------------------------------------------- */

static char *strip(char *text)
{
	size_t len;

	text += strspn(text, " \t\r");
	len = strlen(text);
	while (len && strchr(" \t\r", text[len - 1]))
		text[--len] = '\0';
	return text;
}

static int unknown_key(const char *key, const struct origin *origin)
{
	const char *nearest = nearest_key(key, strlen(key), OPTION_NOT_IN_FILE);

	if (nearest)
		return complain(origin, key, "unknown key; did you mean '%s'?", nearest);
	return complain(origin, key, "unknown key; bpfsoakd --help lists the valid ones");
}

static int set_line(char *line, bool *seen, struct config *config, const struct origin *origin)
{
	const struct option *option;
	char *equals, *key;

	line = strip(line);
	if (!*line || *line == '#')
		return 0;
	equals = strchr(line, '=');
	if (!equals)
		return complain(origin, line, "not a 'key = value' line");
	*equals = '\0';
	key = strip(line);
	option = find_key(key, strlen(key));
	if (!option)
		return unknown_key(key, origin);
	if (option->flags & OPTION_NOT_IN_FILE)
		return complain(origin, key, "valid only on the command line");
	if (seen[option - options])
		return complain(origin, key, "given twice in this file");
	seen[option - options] = true;
	return set_value(option, strip(equals + 1), config, origin);
}

static int parse_file(const char *path, struct config *config)
{
	struct origin origin = { .file = path };
	_cleanup_free_ char *text = NULL, *why = NULL;
	bool seen[ARRAY_SIZE(options)] = { false };
	size_t len;
	char *rest;
	int r;

	r = path_check(path, PATH_FILE, &why);
	if (!r && why)
		return complain(&command_line, "config", "%s: %s", path, why);
	r = r ?: read_file(path, &text, &len);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return complain(&command_line, "config", "%s: %s", path, strerror(-r));
	if (strlen(text) != len)
		return complain(&command_line, "config", "%s: not a text file", path);
	rest = text;
	while (rest) {
		char *line = strsep(&rest, "\n");

		origin.line++;
		r = set_line(line, seen, config, &origin);
		if (r < 0)
			return r;
	}
	return 0;
}

static int is_fragment(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > strlen(".conf") &&
	       !strcmp(entry->d_name + len - strlen(".conf"), ".conf");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void free_entries(struct dirent **entries, int n)
{
	while (n > 0)
		free(entries[--n]);
	free(entries);
}

/* The fragments beside a file, in the order of their names, whatever the locale. */
static int parse_fragments(const char *file, struct config *config)
{
	_cleanup_free_ char *dir = format("%s.d", file);
	struct dirent **entries = NULL;
	int n, r = 0;

	if (!dir)
		return -ENOMEM;
	n = scandir(dir, &entries, is_fragment, by_name);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return complain(&command_line, "config", "%s: %s", dir, strerror(errno));
	for (int i = 0; !r && i < n; i++) {
		_cleanup_free_ char *path = format("%s/%s", dir, entries[i]->d_name);

		r = path ? parse_file(path, config) : -ENOMEM;
	}
	free_entries(entries, n);
	return r;
}

/* Interface ---------------------------------------------------------------------------------- */

static uint64_t round_up_to_power_of_two(uint64_t value)
{
	uint64_t power = 1;

	while (power < value)
		power *= 2;
	return power;
}

static uint64_t random_seed(void)
{
	uint64_t seed = 0;

	/* Where getrandom() is refused the clock will do: a seed need not be secret. */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = now_ns();
	return seed ? seed : 1;
}

/* As it was asked for. */
static int parse_sources(int argc, char **argv, struct config *ret)
{
	_cleanup_(config_free) struct config first = { 0 };
	int r;

	/* Twice: only the command line knows the file, and yet its values come last. */
	r = parse_arguments(argc, argv, &first);
	if (r < 0)
		return r;
	ret->command = first.command;
	if (!command_has_options(first.command))
		return 0;
	r = set_initial_values(ret);
	if (r < 0)
		return r;
	if (first.config_file) {
		r = parse_file(first.config_file, ret);
		if (!r)
			r = parse_fragments(first.config_file, ret);
		if (r < 0)
			return r;
	}
	r = parse_arguments(argc, argv, ret);
	if (r < 0)
		return r;
	ret->slots = round_up_to_power_of_two(ret->slots);
	ret->seed_given = ret->seed;
	ret->argc = argc;
	ret->argv = argv;
	return 0;
}

int config_parse(int argc, char **argv, struct config *ret)
{
	int r = parse_sources(argc, argv, ret);

	if (!r && command_has_options(ret->command) && !ret->seed)
		ret->seed = random_seed();
	return r;
}

static bool strings_differ(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

static bool differs(const struct option *option, const struct config *a, const struct config *b)
{
	char *const *string_a = (char *const *)((const char *)a + option->offset);
	char *const *string_b = (char *const *)((const char *)b + option->offset);

	if (option->kind == KIND_COMMAND)
		return false;
	if (is_string(option))
		return strings_differ(*string_a, *string_b);
	return load_number(option, a) != load_number(option, b);
}

/* All of them are named, so that one look at the log is enough. */
static int refuse_fixed(const struct config *live, const struct config *new)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].flags & OPTION_RELOADABLE || !differs(&options[i], live, new))
			continue;
		log_error("%s: cannot change while a run goes on; restart for that",
			  options[i].key);
		r = -EINVAL;
	}
	return r;
}

int config_reload(const struct config *live, struct config *ret)
{
	int r = parse_sources(live->argc, live->argv, ret);

	if (r < 0)
		return r;
	/* What was left to chance once stays as it fell. */
	if (ret->seed_given == live->seed_given)
		ret->seed = live->seed;
	return refuse_fixed(live, ret);
}

void config_adopt(struct config *live, struct config *from)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *option = &options[i];
		char **string = target(option, live), **other = target(option, from);

		if (!(option->flags & OPTION_RELOADABLE))
			continue;
		if (is_string(option)) {
			free(*string);
			*string = TAKE_PTR(*other);
		} else {
			store_number(option, live, load_number(option, from));
		}
	}
}

void config_free(struct config *config)
{
	if (config) {
		free(config->operand);
		config->operand = NULL;
	}
	for (size_t i = 0; config && i < ARRAY_SIZE(options); i++) {
		char **path = target(&options[i], config);

		if (!is_string(&options[i]))
			continue;
		free(*path);
		*path = NULL;
	}
}

/* The sentences on range, default and reload that are appended to the help; "" if there are none.
 */
static char *limits_text(const struct option *option)
{
	const char *reload = option->flags & OPTION_RELOADABLE ? " Reloadable." : "";
	_cleanup_free_ char *range = NULL;

	if (!option->initial || option->kind == KIND_FLAG)
		return strdup(reload);
	if (option->kind == KIND_SEED || option->kind == KIND_BOOL)
		return format(" Default: %s.%s", option->initial, reload);
	range = range_text(option);
	return range ? format(" Default: %s; valid: %s.%s", option->initial, range, reload) : NULL;
}

static void print_option_help(FILE *out, const struct option *option)
{
	_cleanup_free_ char *limits = limits_text(option);
	_cleanup_free_ char *text = format("%s%s", option->help, limits ? limits : "");

	fputs("  ", out);
	if (option->letter)
		fprintf(out, "-%c, ", option->letter);
	fprintf(out, "--%s%s%s\n", option->key, option->arg ? " " : "",
		option->arg ? option->arg : "");
	print_wrapped(out, "", HELP_INDENT, HELP_WIDTH, text ? text : option->help);
}

void config_help(FILE *out)
{
	fputs("Usage: bpfsoakd COMMAND [OPTION...]\n\n"
	      "Soaks the BPF local storage of the running kernel under injected lock failures\n"
	      "and judges whether it frees everything exactly once.\n\nCommands:\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
	fputs("\nOptions:\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!(options[i].flags & OPTION_HIDDEN))
			print_option_help(out, &options[i]);
	fputs("\nTimes: 90s, 1h30m, 250ms; a bare number is seconds. Sizes: 4096, 64K, 1G.\n"
	      "Exit status: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 internal error,\n"
	      "77 not supported by this kernel.\n",
	      out);
}

static void print_option_troff(FILE *out, const struct option *option)
{
	_cleanup_free_ char *limits = limits_text(option);

	fputs(".TP\n", out);
	if (option->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
	fputs("\\fB\\-\\-", out);
	print_troff(out, option->key);
	fputs("\\fR", out);
	if (option->arg) {
		fputs(" \\fI", out);
		print_troff(out, option->arg);
		fputs("\\fR", out);
	}
	fputc('\n', out);
	print_troff(out, option->help);
	if (limits)
		print_troff(out, limits);
	fputc('\n', out);
}

void config_dump_options(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!(options[i].flags & OPTION_HIDDEN))
			print_option_troff(out, &options[i]);
}

static void print_key_troff(FILE *out, const struct option *option)
{
	_cleanup_free_ char *limits = limits_text(option);

	fputs(".TP\n\\fB", out);
	print_troff(out, option->key);
	fputs("\\fR = \\fI", out);
	print_troff(out, option->arg ? option->arg : "yes|no");
	fputs("\\fR\n", out);
	print_troff(out, option->help);
	if (limits)
		print_troff(out, limits);
	fputc('\n', out);
}

static bool is_key(const struct option *option)
{
	return !(option->flags & (OPTION_HIDDEN | OPTION_NOT_IN_FILE));
}

void config_dump_keys(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (is_key(&options[i]))
			print_key_troff(out, &options[i]);
}

/* Keys with a default show it; the others what is to be given. */
static void print_commented(FILE *out, const struct option *option)
{
	_cleanup_free_ char *limits = limits_text(option);
	_cleanup_free_ char *text = format("%s%s", option->help, limits ? limits : "");
	const char *line = text ? text : option->help;

	fputc('\n', out);
	while (*line) {
		size_t len = strlen(line);

		/* In lines of so many, broken at blanks. */
		if (len > FILE_WIDTH) {
			len = FILE_WIDTH;
			while (len && line[len] != ' ')
				len--;
			len = len ? len : strcspn(line, " ");
		}
		fprintf(out, "# %.*s\n", (int)len, line);
		line += len;
		line += strspn(line, " ");
	}
	fprintf(out, "#%s = %s\n", option->key, option->initial ? option->initial : option->arg);
}

void config_dump_file(FILE *out)
{
	fputs("# Configuration of bpfsoakd: bpfsoakd.conf(5). What is commented out shows the default,\n"
	      "# or what is to be given. Files in the directory beside this one, of its name and\n"
	      "# \".d\", are read after it, in the order of their names, if these end in \".conf\".\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (is_key(&options[i]))
			print_commented(out, &options[i]);
}

static void dump_option(FILE *out, const struct option *option, const struct config *config)
{
	char *const *path = (char *const *)((const char *)config + option->offset);

	if (option->flags & OPTION_NOT_IN_FILE)
		return;
	if (is_string(option)) {
		if (*path)
			fprintf(out, "%s = %s\n", option->key, *path);
		return;
	}
	fprintf(out, "%s = ", option->key);
	print_number(out, option, load_number(option, config));
	fputc('\n', out);
}

char *config_dump(const struct config *config)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool failed;

	if (!out)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		dump_option(out, &options[i], config);
	failed = ferror(out);
	if (fclose(out) || failed) {
		free(text);
		return NULL;
	}
	return text;
}

void config_quote(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_,.=/:+-@%";

	if (*word && strspn(word, plain) == strlen(word)) {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

static void print_argument(FILE *out, const struct option *option, const struct config *config,
			   const struct config *initial)
{
	char *const *path = (char *const *)((const char *)config + option->offset);

	if (option->flags & (OPTION_NOT_IN_FILE | OPTION_OF_RUN))
		return;
	if (is_string(option) ? !*path
			      : load_number(option, config) == load_number(option, initial))
		return;
	fprintf(out, " --%s=", option->key);
	if (is_string(option))
		config_quote(out, *path);
	else
		print_number(out, option, load_number(option, config));
}

char *config_arguments(const struct config *config)
{
	_cleanup_(config_free) struct config initial = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	if (set_initial_values(&initial) < 0)
		return NULL;
	out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		print_argument(out, &options[i], config, &initial);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

const char *inject_mode_name(enum inject_mode mode)
{
	return (unsigned int)mode < INJECT_NR ? inject_names[mode] : "unknown";
}

const char *inject_kind_name(enum inject_kind kind)
{
	return (unsigned int)kind < INJECT_KIND_NR ? kind_names[kind] : "unknown";
}

const char *inject_error_name(enum inject_error error)
{
	return (unsigned int)error < INJECT_ERROR_NR ? error_names[error] : "unknown";
}
