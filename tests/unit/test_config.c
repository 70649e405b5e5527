// SPDX-License-Identifier: GPL-2.0-only
/*
 * The option table from outside: what the command line and the file accept, who wins, and above
 * all what a mistake is answered with, since that message is all that the user gets.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "build_config.h"
#include "capture.h"
#include "config.h"
#include "inject/kmod/rqspinlock_fault.h"
#include "util.h"

#define ARGS_MAX     16
#define MESSAGES_MAX 4096

#define MODES "auto, stall, module, fail_function, none"

/* What one config_parse() did. */
struct outcome {
	int r;
	struct config config;
	char messages[MESSAGES_MAX];
};

static char config_path[] = "/tmp/bpfsoakd-test-config-XXXXXX";

static int make_config_path(void **state)
{
	int fd = mkstemp(config_path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int remove_config_path(void **state)
{
	(void)state;
	return unlink(config_path);
}

static void write_config(const char *text)
{
	assert_int_equal(write_file_atomic(config_path, text, strlen(text)), 0);
}

/* Runs config_parse() with stderr caught. The words end with NULL; "@" stands for config_path. */
static struct outcome parse(const char *word, ...)
{
	char *argv[ARGS_MAX] = { (char *)"bpfsoakd" };
	int argc = 1, caught, saved;
	struct outcome outcome = { 0 };
	va_list ap;
	ssize_t n;

	va_start(ap, word);
	for (; word; word = va_arg(ap, const char *)) {
		assert_true(argc < ARGS_MAX - 1);
		argv[argc++] = (char *)(strcmp(word, "@") ? word : config_path);
	}
	va_end(ap);

	caught = memfd_create("stderr", MFD_CLOEXEC);
	saved = dup(STDERR_FILENO);
	assert_true(caught >= 0 && saved >= 0);
	assert_true(dup2(caught, STDERR_FILENO) >= 0);
	outcome.r = config_parse(argc, argv, &outcome.config);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	n = pread(caught, outcome.messages, sizeof(outcome.messages) - 1, 0);
	close(caught);
	assert_true(n >= 0);
	return outcome;
}

static void assert_rejected(struct outcome outcome, const char *expected)
{
	_cleanup_free_ char *line = format("bpfsoakd: %s\n", expected);

	assert_int_equal(outcome.r, -EINVAL);
	assert_string_equal(outcome.messages, line);
	config_free(&outcome.config);
}

/* As above, of a file that says text; expected comes after "bpfsoakd: FILE:". */
static void assert_file_rejected(const char *text, const char *expected)
{
	_cleanup_free_ char *line = format("%s:%s", config_path, expected);

	write_config(text);
	assert_rejected(parse("run", "--config", "@", NULL), line);
}

static void assert_accepted(const struct outcome *outcome)
{
	assert_string_equal(outcome->messages, "");
	assert_int_equal(outcome->r, 0);
}

static void test_defaults(void **state)
{
	struct outcome o = parse("run", NULL);
	const struct config *c = &o.config;

	(void)state;
	assert_accepted(&o);
	assert_int_equal(c->command, COMMAND_RUN);
	assert_int_equal(c->duration_ns, 60 * NSEC_PER_SEC);
	assert_true(c->seed != 0);
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->maps, 4);
	assert_int_equal(c->owners, 24);
	assert_int_equal(c->inject, 1u << INJECT_AUTO);
	assert_int_equal(c->inject_kinds, 1u << INJECT_CONTENDED);
	assert_int_equal(c->inject_sites, (1u << RQF_SITE_NR) - 1);
	assert_int_equal(c->inject_error, INJECT_EITHER);
	assert_int_equal(c->inject_rate, 500);
	assert_int_equal(c->inject_burst_ns, 500 * NSEC_PER_MSEC);
	assert_int_equal(c->inject_pause_ns, 250 * NSEC_PER_MSEC);
	assert_null(c->module);
	assert_null(c->stats_file);
	assert_int_equal(c->stats_interval_ns, 10 * NSEC_PER_SEC);
	assert_null(c->report_dir);
	assert_null(c->config_file);
	assert_int_equal(c->slots, 262144);
	assert_int_equal(c->leak_budget, 0);
	assert_int_equal(c->stall_ns, 300 * NSEC_PER_MSEC);
	assert_int_equal(c->stall_pause_ns, 100 * NSEC_PER_MSEC);
	assert_int_equal(c->stuck_ns, 60 * NSEC_PER_SEC);
	assert_int_equal(c->settle_ns, 6 * NSEC_PER_SEC);
	assert_false(c->pin_owners);
	assert_true(c->oracles);
	assert_false(c->accept_panic || c->quiet || c->verbose || c->json);
	config_free(&o.config);
}

static void test_two_seeds_differ(void **state)
{
	struct outcome a = parse("run", NULL), b = parse("run", "--seed", "0", NULL);

	(void)state;
	assert_true(a.config.seed != b.config.seed);
	config_free(&a.config);
	config_free(&b.config);
}

static void test_both_ways_to_give_a_value(void **state)
{
	struct outcome o = parse("--duration", "2m", "run", "--workers=3", "--oracles=no",
				 "--quiet", "--verbose=no", "--stats-file", "/a b", NULL);

	(void)state;
	assert_accepted(&o);
	assert_int_equal(o.config.command, COMMAND_RUN);
	assert_int_equal(o.config.duration_ns, 120 * NSEC_PER_SEC);
	assert_int_equal(o.config.workers, 3);
	assert_false(o.config.oracles);
	assert_true(o.config.quiet);
	assert_false(o.config.verbose);
	assert_string_equal(o.config.stats_file, "/a b");
	config_free(&o.config);
}

static void test_last_word_wins_and_frees_the_first(void **state)
{
	struct outcome o = parse("run", "--report", "/a", "--report", "/b", NULL);

	(void)state;
	assert_accepted(&o);
	assert_string_equal(o.config.report_dir, "/b");
	config_free(&o.config);
	assert_null(o.config.report_dir);
}

static void test_seed_notations(void **state)
{
	struct outcome dec = parse("run", "--seed", "18446744073709551615", NULL);
	struct outcome hex = parse("run", "--seed=0xDeadBeef00000001", NULL);

	(void)state;
	assert_true(dec.config.seed == UINT64_MAX);
	assert_true(hex.config.seed == 0xdeadbeef00000001ULL);
	config_free(&dec.config);
	config_free(&hex.config);
}

static void test_commands(void **state)
{
	static const struct {
		const char *word;
		enum command command;
	} words[] = {
		{ "check", COMMAND_CHECK },	{ "help", COMMAND_HELP },
		{ "version", COMMAND_VERSION }, { "--help", COMMAND_HELP },
		{ "-h", COMMAND_HELP },		{ "--version", COMMAND_VERSION },
		{ "-V", COMMAND_VERSION },	{ "--dump-options", COMMAND_DUMP_OPTIONS },
		{ "restore", COMMAND_RESTORE }, { "--dump-keys", COMMAND_DUMP_KEYS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct outcome o = parse(words[i].word, NULL);

		assert_accepted(&o);
		assert_int_equal(o.config.command, words[i].command);
		config_free(&o.config);
	}
}

static void test_help_works_everywhere(void **state)
{
	struct outcome o = parse("run", "--workers", "2", "--help", "--nonsense", NULL);

	(void)state;
	assert_accepted(&o);
	assert_int_equal(o.config.command, COMMAND_HELP);
	config_free(&o.config);
}

static void test_json_is_for_check(void **state)
{
	struct outcome o = parse("check", "--json", NULL);

	(void)state;
	assert_accepted(&o);
	assert_true(o.config.json);
	config_free(&o.config);
	assert_rejected(parse("run", "--json", NULL), "--json: not valid with run");
}

static void test_top_and_report(void **state)
{
	struct outcome top = parse("top", "--once", "/run/stats", NULL);
	struct outcome report = parse("report", "/a b", "--format=html", NULL);
	struct outcome without = parse("report", "--report", "/dir", NULL);

	(void)state;
	assert_accepted(&top);
	assert_int_equal(top.config.command, COMMAND_TOP);
	assert_true(top.config.once);
	assert_string_equal(top.config.operand, "/run/stats");
	assert_accepted(&report);
	assert_int_equal(report.config.command, COMMAND_REPORT);
	assert_int_equal(report.config.format, FORMAT_HTML);
	assert_string_equal(report.config.operand, "/a b");
	assert_accepted(&without);
	assert_int_equal(without.config.format, FORMAT_TEXT);
	assert_null(without.config.operand);
	assert_string_equal(without.config.report_dir, "/dir");
	config_free(&top.config);
	config_free(&report.config);
	config_free(&without.config);
}

static void test_wrong_top_and_report(void **state)
{
	(void)state;
	assert_rejected(parse("top", "a", "b", NULL),
			"unexpected argument 'b' (see bpfsoakd --help)");
	assert_rejected(parse("check", "a", NULL), "unexpected argument 'a' (see bpfsoakd --help)");
	assert_rejected(parse("report", "", NULL), "unexpected argument '' (see bpfsoakd --help)");
	assert_rejected(parse("run", "--once", NULL), "--once: not valid with run");
	assert_rejected(parse("report", "--once", "a", NULL), "--once: not valid with report");
	assert_rejected(parse("top", "--json", NULL), "--json: not valid with top");
	assert_rejected(parse("check", "--format=html", NULL), "--format: not valid with check");
	assert_rejected(
		parse("report", "--format=pdf", NULL),
		"--format: 'pdf' is not a known name; valid: text, html, json, ktap, junit");
}

static void test_wrong_commands(void **state)
{
	(void)state;
	assert_rejected(
		parse(NULL),
		"no command given; valid: run, check, scenarios, restore, top, report, help, version (see "
		"bpfsoakd --help)");
	assert_rejected(
		parse("--quiet", NULL),
		"no command given; valid: run, check, scenarios, restore, top, report, help, "
		"version (see bpfsoakd --help)");
	assert_rejected(
		parse("chekc", NULL),
		"unknown command 'chekc'; did you mean 'check'?; valid: run, check, scenarios, restore, top, report, help, "
		"version (see bpfsoakd --help)");
	assert_rejected(
		parse("dance", NULL),
		"unknown command 'dance'; valid: run, check, scenarios, restore, top, report, help, "
		"version (see bpfsoakd --help)");
	assert_rejected(parse("run", "check", NULL),
			"unexpected argument 'check' (see bpfsoakd --help)");
	assert_rejected(parse("run", "--", "--quiet", NULL),
			"unexpected argument '--quiet' (see bpfsoakd --help)");
}

static void test_unknown_options(void **state)
{
	(void)state;
	assert_rejected(parse("run", "--durration", "5", NULL),
			"--durration: unknown option; did you mean --duration?");
	assert_rejected(parse("run", "--work=5", NULL),
			"--work: unknown option; did you mean --workers?");
	assert_rejected(parse("run", "--frobnicate", NULL),
			"--frobnicate: unknown option (see bpfsoakd --help)");
	assert_rejected(parse("run", "--dump-option", NULL),
			"--dump-option: unknown option (see bpfsoakd --help)");
	assert_rejected(parse("run", "-x", NULL), "-x: unknown option (see bpfsoakd --help)");
	assert_rejected(parse("run", "--a-name-that-is-longer-than-any-option-has", NULL),
			"--a-name-that-is-longer-than-any-option-has: unknown option (see "
			"bpfsoakd --help)");
}

static void test_missing_values(void **state)
{
	(void)state;
	assert_rejected(parse("run", "--duration", NULL), "--duration: needs a value (TIME)");
	assert_rejected(parse("run", "--report", "--quiet", NULL), "--report: needs a value (DIR)");
	assert_rejected(parse("run", "-c", NULL), "--config: needs a value (FILE)");
	assert_rejected(parse("run", "--help=yes", NULL), "--help: takes no value");
}

static void test_bad_values(void **state)
{
	(void)state;
	assert_rejected(parse("run", "--workers", "two", NULL),
			"--workers: 'two' is not a whole number; valid: 0 to 256");
	assert_rejected(parse("run", "--workers", "-1", NULL),
			"--workers: '-1' is not a whole number; valid: 0 to 256");
	assert_rejected(parse("run", "--workers", "257", NULL),
			"--workers: 257 is out of range; valid: 0 to 256");
	assert_rejected(parse("run", "--workers", "4294967297", NULL),
			"--workers: 4294967297 is out of range; valid: 0 to 256");
	assert_rejected(parse("run", "--maps", "0", NULL),
			"--maps: 0 is out of range; valid: 1 to 8");
	assert_rejected(parse("run", "--stall=99ms", NULL),
			"--stall: 99ms is out of range; valid: 100ms to 3s");
	assert_rejected(parse("run", "--stuck=soon", NULL),
			"--stuck: 'soon' is not a duration such as 90s, 1h30m or 250ms; valid: "
			"10s to 1h");
	assert_rejected(parse("run", "--slots=17M", NULL),
			"--slots: 17M is out of range; valid: 4K to 16M");
	assert_rejected(parse("run", "--leak-budget=lots", NULL),
			"--leak-budget: 'lots' is not a size such as 4096, 64K or 1G; valid: 0 to "
			"1P");
	assert_rejected(parse("run", "--inject=kmod", NULL),
			"--inject: 'kmod' is not a known name; valid: " MODES);
	assert_rejected(parse("run", "--inject-rate=10000001", NULL),
			"--inject-rate: 10000001 is out of range; valid: 0 to 10000000");
	assert_rejected(parse("run", "--inject-burst=9ms", NULL),
			"--inject-burst: 9ms is out of range; valid: 10ms to 1h");
	assert_rejected(parse("run", "--inject-pause=2h", NULL),
			"--inject-pause: 2h is out of range; valid: 0 to 1h");
	assert_rejected(parse("run", "--inject-error=both", NULL),
			"--inject-error: 'both' is not a known name; valid: timedout, deadlk, "
			"either");
	assert_rejected(parse("run", "--module=", NULL),
			"--module: '' is not a path; valid: 1 to 4095 characters, no control "
			"characters, no blank at either end");
	assert_rejected(parse("run", "--oracles=maybe", NULL),
			"--oracles: 'maybe' is not yes or no; valid: yes or no");
	assert_rejected(parse("run", "--seed=0x", NULL),
			"--seed: '0x' is not a seed; valid: 0 to 0xffffffffffffffff, decimal or "
			"0x and hexadecimal");
	assert_rejected(parse("run", "--seed=18446744073709551616", NULL),
			"--seed: '18446744073709551616' is not a seed; valid: 0 to "
			"0xffffffffffffffff, decimal or 0x and hexadecimal");
	assert_rejected(parse("run", "--stats-file=", NULL),
			"--stats-file: '' is not a path; valid: 1 to 4095 characters, no control "
			"characters, no blank at either end");
	assert_rejected(parse("run", "--findings=1001", NULL),
			"--findings: 1001 is out of range; valid: 0 to 1000");
	assert_rejected(parse("run", "--on-violation=panic", NULL),
			"--on-violation: 'panic' is not a known name; valid: continue, stop, "
			"freeze");
	assert_rejected(parse("run", "--report=/a ", NULL),
			"--report: '/a ' is not a path; valid: 1 to 4095 characters, no control "
			"characters, no blank at either end");
}

static void test_sets(void **state)
{
	struct outcome o = parse("run", "--inject=module,stall", "--inject-kind=forced,contended",
				 "--inject-sites=link_map,map_free_bucket", "--inject-error=deadlk",
				 "--inject-rate=0", "--module=/m.ko", NULL);

	(void)state;
	assert_accepted(&o);
	assert_int_equal(o.config.inject, 1u << INJECT_MODULE | 1u << INJECT_STALL);
	assert_int_equal(o.config.inject_kinds, 1u << INJECT_FORCED | 1u << INJECT_CONTENDED);
	assert_int_equal(o.config.inject_sites, 1u << RQF_LINK_MAP | 1u << RQF_MAP_FREE_BUCKET);
	assert_int_equal(o.config.inject_error, INJECT_DEADLK);
	assert_int_equal(o.config.inject_rate, 0);
	assert_string_equal(o.config.module, "/m.ko");
	config_free(&o.config);

	o = parse("check", "--inject=fail_function", "--inject-kind=forced", "--inject-sites=all",
		  NULL);
	assert_accepted(&o);
	assert_int_equal(o.config.inject, 1u << INJECT_FAIL_FUNCTION);
	assert_int_equal(o.config.inject_kinds, 1u << INJECT_FORCED);
	assert_int_equal(o.config.inject_sites, (1u << RQF_SITE_NR) - 1);
	config_free(&o.config);
}

static void test_wrong_sets(void **state)
{
	(void)state;
	assert_rejected(parse("run", "--inject=auto,stall", NULL), "--inject: auto stands alone");
	assert_rejected(parse("run", "--inject=stall,none", NULL), "--inject: none stands alone");
	assert_rejected(parse("run", "--inject=none,auto", NULL), "--inject: auto stands alone");
	assert_rejected(parse("run", "--inject=fail_function,stall,module", NULL),
			"--inject: module and fail_function exclude each other: both drive the "
			"same kernel module");
	assert_rejected(parse("run", "--inject=stall,module,stall", NULL),
			"--inject: stall is given twice");
	assert_rejected(parse("run", "--inject=", NULL),
			"--inject: '' is not a known name; valid: " MODES);
	assert_rejected(parse("run", "--inject=stall,", NULL),
			"--inject: '' is not a known name; valid: " MODES);
	assert_rejected(parse("run", "--inject=,stall", NULL),
			"--inject: '' is not a known name; valid: " MODES);
	assert_rejected(parse("run", "--inject=stal,module", NULL),
			"--inject: 'stal' is not a known name; valid: " MODES);
	assert_rejected(parse("run", "--inject-kind=organic", NULL),
			"--inject-kind: 'organic' is not a known name; valid: contended, forced");
	assert_rejected(parse("run", "--inject-sites=update,all", NULL),
			"--inject-sites: 'all' is not a known name; valid: all, map_free_bucket, "
			"map_free_storage, destroy_bucket, destroy_storage, update, delete, clone, "
			"alloc, cache, link_map");
}

/* A set is written as it is read, in the order of the table. */
static void assert_dumped(const char *word, const char *line)
{
	struct outcome o = parse("run", word, NULL);
	_cleanup_free_ char *dump = config_dump(&o.config);

	assert_accepted(&o);
	assert_non_null(dump);
	if (!strstr(dump, line))
		fail_msg("\"%s\" is not in \"%s\"", line, dump);
	config_free(&o.config);
}

static void test_sets_are_dumped(void **state)
{
	(void)state;
	assert_dumped("--inject=auto", "\ninject = auto\n");
	assert_dumped("--inject=fail_function,stall", "\ninject = stall,fail_function\n");
	assert_dumped("--inject-kind=forced,contended", "\ninject-kind = contended,forced\n");
	assert_dumped("--inject-sites=cache,update", "\ninject-sites = update,cache\n");
	assert_dumped("--inject-sites=all", "\ninject-sites = all\n");
	assert_dumped("--module=/a b.ko", "\nmodule = /a b.ko\n");
}

static void test_file(void **state)
{
	struct outcome o;

	(void)state;
	write_config("# a comment\n"
		     "\n"
		     "duration = 5m\r\n"
		     "  workers=4  \n"
		     "\tinject =\tnone\n"
		     "stats-file = /x=y#z\n"
		     "quiet = yes\n"
		     "slots = 5000"); /* no newline at the end */
	o = parse("run", "-c", "@", NULL);
	assert_accepted(&o);
	assert_int_equal(o.config.duration_ns, 300 * NSEC_PER_SEC);
	assert_int_equal(o.config.workers, 4);
	assert_int_equal(o.config.inject, 1u << INJECT_NONE);
	assert_string_equal(o.config.stats_file, "/x=y#z");
	assert_string_equal(o.config.config_file, config_path);
	assert_true(o.config.quiet);
	assert_int_equal(o.config.slots, 8192);
	config_free(&o.config);
}

static void test_command_line_wins(void **state)
{
	struct outcome o;

	(void)state;
	write_config("duration = 5m\nquiet = yes\nreport = /file\n");
	o = parse("run", "--duration=7s", "--quiet=no", "--config", "@", "--report=/line", NULL);
	assert_accepted(&o);
	assert_int_equal(o.config.duration_ns, 7 * NSEC_PER_SEC);
	assert_false(o.config.quiet);
	assert_string_equal(o.config.report_dir, "/line");
	config_free(&o.config);
}

static void test_file_mistakes(void **state)
{
	(void)state;
	assert_file_rejected("# one\n\nwarkers = 3\n",
			     "3: warkers: unknown key; did you mean 'workers'?");
	assert_file_rejected("frobnicate = 3\n",
			     "1: frobnicate: unknown key; bpfsoakd --help lists the valid ones");
	assert_file_rejected("workers = 3\nworkers = 3\n", "2: workers: given twice in this file");
	assert_file_rejected("maps = 9\n", "1: maps: 9 is out of range; valid: 1 to 8");
	assert_file_rejected("maps = 4 # four\n",
			     "1: maps: '4 # four' is not a whole number; valid: 1 to 8");
	assert_file_rejected("inject = all\n",
			     "1: inject: 'all' is not a known name; valid: " MODES);
	assert_file_rejected("inject = stall, module\n",
			     "1: inject: ' module' is not a known name; valid: " MODES);
	assert_file_rejected("duration\n", "1: duration: not a 'key = value' line");
	assert_file_rejected("= 5\n", "1: : unknown key; bpfsoakd --help lists the valid ones");
	assert_file_rejected("quiet =\n", "1: quiet: '' is not yes or no; valid: yes or no");
	assert_file_rejected("config = /other\n", "1: config: valid only on the command line");
	assert_file_rejected("json = yes\n", "1: json: valid only on the command line");
	assert_file_rejected("help = yes\n", "1: help: valid only on the command line");
}

/* A value that the command line overrides must be right all the same. */
static void test_overridden_mistake_is_reported(void **state)
{
	_cleanup_free_ char *line =
		format("%s:1: maps: 9 is out of range; valid: 1 to 8", config_path);

	(void)state;
	write_config("maps = 9\n");
	assert_rejected(parse("run", "--maps=2", "--config", "@", NULL), line);
}

static void test_unreadable_files(void **state)
{
	_cleanup_free_ char *line = format("--config: %s: not a text file", config_path);

	(void)state;
	assert_rejected(parse("run", "--config", "/nonexistent/soak.conf", NULL),
			"--config: /nonexistent/soak.conf: No such file or directory");
	assert_rejected(parse("run", "--config", "/", NULL), "--config: /: Is a directory");
	assert_int_equal(write_file_atomic(config_path, "maps = 2\0\n", 10), 0);
	assert_rejected(parse("run", "--config", "@", NULL), line);
}

/* The dump is a configuration file that gives the same configuration, seed included. */
static void test_on_violation(void **state)
{
	struct outcome usual = parse("run", NULL);
	struct outcome other = parse("run", "--on-violation=freeze", "--findings=0", NULL);
	_cleanup_free_ char *dump = config_dump(&other.config);

	(void)state;
	assert_accepted(&usual);
	assert_int_equal(usual.config.on_violation, ON_VIOLATION_CONTINUE);
	assert_int_equal(usual.config.findings, 8);
	assert_accepted(&other);
	assert_int_equal(other.config.on_violation, ON_VIOLATION_FREEZE);
	assert_int_equal(other.config.findings, 0);
	assert_non_null(strstr(dump, "on-violation = freeze\n"));
	config_free(&usual.config);
	config_free(&other.config);
}

static void test_dump_round_trip(void **state)
{
	struct outcome first =
		parse("run", "--duration=1h30m", "--stall=1s1ms", "--slots=1M",
		      "--leak-budget=1000", "--inject=module,stall", "--inject-sites=clone,alloc",
		      "--report=/r d", "--verbose", "--oracles=no", "--workers=7", NULL);
	_cleanup_free_ char *dump = config_dump(&first.config);
	_cleanup_free_ char *again = NULL;
	struct outcome second;

	(void)state;
	assert_accepted(&first);
	assert_non_null(dump);
	write_config(dump);
	second = parse("run", "--config", "@", NULL);
	assert_accepted(&second);
	again = config_dump(&second.config);
	assert_string_equal(dump, again);
	assert_true(first.config.seed == second.config.seed);
	assert_non_null(strstr(dump, "duration = 1h30m\n"));
	assert_non_null(strstr(dump, "leak-budget = 1000\n"));
	assert_non_null(strstr(dump, "inject = stall,module\n"));
	assert_null(strstr(dump, "stats-file"));
	assert_null(strstr(dump, "config ="));
	config_free(&first.config);
	config_free(&second.config);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "0", 0 },
		{ "90", 90 * NSEC_PER_SEC },
		{ "90s", 90 * NSEC_PER_SEC },
		{ "1h30m", 5400 * NSEC_PER_SEC },
		{ "250ms", 250 * NSEC_PER_MSEC },
		{ "2d", 172800 * NSEC_PER_SEC },
		{ "100us", 100 * NSEC_PER_USEC },
		{ "1d1h1m1s1ms1us1ns", 90061001001001ULL },
		{ "18446744073709551615ns", UINT64_MAX },
	};
	static const char *const bad[] = {
		"",
		" 1",
		"1 ",
		"-1",
		"+1s",
		"1.5s",
		"s",
		"1x",
		"1h30",
		"1m1h",
		"1m1m",
		"0x10",
		"1S",
		"1ms ",
		"213504d1h",
		"18446744074s",
		"18446744074",
		"99999999999d",
		"1 s",
		"1ss",
		"1s1",
		"18446744073709551616ns",
	};
	uint64_t ns = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(parse_duration(good[i].text, &ns), 0);
		assert_true(ns == good[i].ns);
	}
	ns = 42;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_duration(bad[i], &ns), -EINVAL);
	assert_int_equal(ns, 42);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
		{ "0", 0 },	      { "65536", 65536 },
		{ "64K", 65536 },     { "64KiB", 65536 },
		{ "64kb", 65536 },    { "25M", 25ULL << 20 },
		{ "1G", 1ULL << 30 }, { "3T", 3ULL << 40 },
		{ "12B", 12 },	      { "15E", 15ULL << 60 },
	};
	static const char *const bad[] = {
		"",    " 1",  "1 ",   "-1",  "1.5G",
		"K",   "1X",  "1Ki",  "1iB", "1KX",
		"1BB", "16E", "0x10", "1 K", "18446744073709551616",
	};
	uint64_t size = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(parse_size(good[i].text, &size), 0);
		assert_true(size == good[i].size);
	}
	size = 42;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_size(bad[i], &size), -EINVAL);
	assert_int_equal(size, 42);
}

/* Every key that a file may hold is explained in the help and in the man page. */
static void test_help_and_man_page_name_every_key(void **state)
{
	_cleanup_free_ char *help = captured(config_help);
	_cleanup_free_ char *troff = captured(config_dump_options);
	struct outcome o = parse("run", "--stats-file=/s", "--report=/r", "--module=/m", NULL);
	_cleanup_free_ char *dump = config_dump(&o.config);
	char *rest = dump;

	(void)state;
	for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n")) {
		_cleanup_free_ char *option = NULL;

		line[strcspn(line, " ")] = '\0';
		option = format("  --%s", line);
		if (!strncmp(line, "test-", strlen("test-")))
			assert_null(strstr(help, option));
		else
			assert_non_null(strstr(help, option));
	}
	assert_null(strstr(help, "dump-options"));
	assert_non_null(strstr(troff, ".TP\n\\fB\\-\\-stats\\-file\\fR \\fIFILE\\fR\n"));
	assert_non_null(strstr(troff, ".TP\n\\fB\\-c\\fR, \\fB\\-\\-config\\fR \\fIFILE\\fR\n"));
	assert_non_null(strstr(troff, "Default: 300ms; valid: 100ms to 3s. Reloadable.\n"));
	config_free(&o.config);
}

static void test_help_fits_a_terminal(void **state)
{
	_cleanup_free_ char *help = captured(config_help);
	char *rest = help;

	(void)state;
	while (rest)
		assert_true(strlen(strsep(&rest, "\n")) <= 80);
}

static void test_inject_names(void **state)
{
	(void)state;
	assert_string_equal(inject_mode_name(INJECT_AUTO), "auto");
	assert_string_equal(inject_mode_name(INJECT_STALL), "stall");
	assert_string_equal(inject_mode_name(INJECT_NONE), "none");
	assert_string_equal(inject_mode_name(INJECT_MODULE), "module");
	assert_string_equal(inject_mode_name(INJECT_FAIL_FUNCTION), "fail_function");
	assert_string_equal(inject_mode_name(INJECT_NR), "unknown");
	assert_string_equal(inject_kind_name(INJECT_FORCED), "forced");
	assert_string_equal(inject_kind_name(INJECT_KIND_NR), "unknown");
	assert_string_equal(inject_error_name(INJECT_EITHER), "either");
	assert_string_equal(inject_error_name(INJECT_ERROR_NR), "unknown");
}

static void test_hooks_exist_only_when_built_in(void **state)
{
	struct outcome o = parse("run", "--test-drop-free=3", "--test-fake-warn", NULL);

	(void)state;
	if (SOAK_TEST_HOOKS) {
		assert_accepted(&o);
		assert_int_equal(o.config.test_drop_free, 3);
		assert_int_equal(o.config.test_forge_free, 0);
		assert_true(o.config.test_fake_warn);
	} else {
		assert_int_equal(o.r, -EINVAL);
		assert_string_equal(o.messages, "bpfsoakd: --test-drop-free: unknown option (see "
						"bpfsoakd --help)\n");
	}
	config_free(&o.config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_two_seeds_differ),
		cmocka_unit_test(test_both_ways_to_give_a_value),
		cmocka_unit_test(test_last_word_wins_and_frees_the_first),
		cmocka_unit_test(test_seed_notations),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_help_works_everywhere),
		cmocka_unit_test(test_json_is_for_check),
		cmocka_unit_test(test_top_and_report),
		cmocka_unit_test(test_wrong_top_and_report),
		cmocka_unit_test(test_wrong_commands),
		cmocka_unit_test(test_unknown_options),
		cmocka_unit_test(test_missing_values),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_wrong_sets),
		cmocka_unit_test(test_sets_are_dumped),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_command_line_wins),
		cmocka_unit_test(test_file_mistakes),
		cmocka_unit_test(test_overridden_mistake_is_reported),
		cmocka_unit_test(test_unreadable_files),
		cmocka_unit_test(test_on_violation),
		cmocka_unit_test(test_dump_round_trip),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_help_and_man_page_name_every_key),
		cmocka_unit_test(test_help_fits_a_terminal),
		cmocka_unit_test(test_inject_names),
		cmocka_unit_test(test_hooks_exist_only_when_built_in),
	};

	return cmocka_run_group_tests(tests, make_config_path, remove_config_path);
}
