/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the user asked for. One static table in config.c holds every option: section-less key,
 * parser, range, default, unit, help; --help, the config file and the man page's OPTIONS all
 * come from it. Built once in main(), read-only afterwards.
 */
#ifndef SOAK_CONFIG_H
#define SOAK_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bpf/soak_abi.h"

/* Backends of injection; a set of them is a mask of 1u << INJECT_STALL and so on. */
enum inject_mode {
	INJECT_AUTO, /* the best that this kernel offers */
	INJECT_STALL,
	INJECT_MODULE,
	INJECT_FAIL_FUNCTION,
	INJECT_NONE,
	INJECT_NR,
};

/* What the module may do to a lock; sets likewise. */
enum inject_kind {
	INJECT_CONTENDED, /* fail waiters of locks that somebody holds */
	INJECT_FORCED,	  /* fail locks that nobody holds */
	INJECT_KIND_NR,
};

enum inject_error {
	INJECT_TIMEDOUT,
	INJECT_DEADLK,
	INJECT_EITHER,
	INJECT_ERROR_NR,
};

/* What report renders. */
enum report_format {
	FORMAT_TEXT,
	FORMAT_HTML,
	FORMAT_JSON,
	FORMAT_KTAP,
	FORMAT_JUNIT,
	FORMAT_NR,
};

/* What to do at the first violation. */
enum on_violation {
	ON_VIOLATION_CONTINUE,
	ON_VIOLATION_STOP,   /* end the run, with all judging */
	ON_VIOLATION_FREEZE, /* stop churn and injection, keep all loaded, wait for a signal */
	ON_VIOLATION_NR,
};

/* What to do when the leak budget is used up. */
enum on_budget {
	ON_BUDGET_STOP,	  /* end the run with its verdict */
	ON_BUDGET_REBOOT, /* and then boot the machine anew */
	ON_BUDGET_NR,
};

/* Meetings of two moments in the kernel: rendezvous.h. */
enum rendezvous_mode {
	RENDEZVOUS_OFF,
	RENDEZVOUS_ON,
	RENDEZVOUS_ALL, /* also the one that kernels do not survive */
	RENDEZVOUS_NR,
};

/* Where the sockets of owners live. */
enum netns {
	NETNS_OWN,  /* in a network namespace that the run makes for itself */
	NETNS_HOST, /* in the one that it is started in */
	NETNS_NR,
};

enum command {
	COMMAND_RUN,
	COMMAND_CHECK,
	COMMAND_RESTORE,
	COMMAND_SCENARIOS,
	COMMAND_TOP,
	COMMAND_REPORT,
	COMMAND_HELP,
	COMMAND_VERSION,
	COMMAND_DUMP_OPTIONS, /* hidden: --dump-options prints the table as troff */
	COMMAND_DUMP_KEYS,    /* hidden: the same for bpfsoakd.conf(5) */
	COMMAND_DUMP_CONFIG,  /* hidden: a configuration file with every key commented out */
};

struct config {
	enum command command;
	char *operand; /* of top: the stats file; of report: the directory; NULL: not given */
	bool once;     /* top --once */
	enum report_format format; /* report --format, default text */

	bool json;	      /* check --json */
	uint64_t duration_ns; /* 0: until stopped; default 60 s */
	uint64_t seed;	      /* 0: taken from getrandom() by config_parse, never 0 after it */
	unsigned int workers; /* 0: one per CPU that we may run on, at least 2 */
	unsigned int maps;    /* storage maps per shape: 1 .. SOAK_MAPS_MAX, default 4 */
	unsigned int owners;  /* live owners each worker keeps at most: 1 .. 4096, default 24 */
	enum rendezvous_mode rendezvous; /* default off */
	uint64_t rendezvous_wait_ns;	 /* 10 us .. 20 ms, default 1 ms */
	char *mix;		   /* of scenarios, as mix_parse() reads it; NULL: the default */
	unsigned int inject;	   /* set of enum inject_mode; auto and none stand alone */
	unsigned int inject_kinds; /* set of enum inject_kind, default contended; never empty */
	unsigned int inject_sites; /* set of enum rqf_site, default all; never empty */
	enum inject_error inject_error; /* default either */
	unsigned int inject_rate;	/* errors per second: 0 .. 10 M, default 500; 0: no limit */
	uint64_t inject_burst_ns;	/* 10 ms .. 1 h, default 500 ms */
	uint64_t inject_pause_ns;	/* 0 .. 1 h, default 250 ms */
	char *module;			/* file of the module; NULL: the installed one */
	char *stats_file;		/* NULL: none */
	uint64_t stats_interval_ns;	/* 1 s .. 1 h, default 10 s */
	char *report_dir;		/* NULL: none */
	unsigned int findings;		/* directories at most, 0 .. 1000, default 8 */
	enum on_violation on_violation; /* default continue */
	enum on_budget on_budget;	/* default stop */
	char *config_file;		/* where values came from, NULL: none */
	char *instance;			/* name of this daemon in what it publishes, NULL: none */
	char *window;		  /* when it may work, as windows_parse() reads it; NULL: always */
	uint64_t start_jitter_ns; /* waits up to so long before it begins, default 0 */
	uint64_t slots;		  /* selem slots of the ledger, rounded up to a power of two:
				   * 4096 .. 16 Mi, default 262144 */
	uint64_t leak_budget;	  /* bytes; 0: 25 % of MemAvailable at start */
	uint64_t stall_ns;	  /* first stall, 100 ms .. 3 s, default 300 ms; it adapts */
	uint64_t stall_pause_ns;  /* pause between two stalls, 0 .. 1 h, default 100 ms */
	uint64_t settle_ns; /* what is alive for so long at the end is judged: 1 s .. 1 h, default 6
			       s */
	uint64_t stuck_ns;  /* no progress for so long is a finding: 10 s .. 1 h, default 60 s */
	bool stutter;	    /* default true */
	bool shuffle;	    /* default true */
	bool hotplug;	    /* take CPUs offline and online */
	bool pressure;	    /* take memory until reclaim runs */
	enum netns netns;   /* default own */
	bool pin_owners;    /* encounters that end kernels whose owner_refcnt misses 0 */
	bool oracles;	    /* default true; false only for benchmarks: verdict INCONCLUSIVE */
	bool accept_panic;  /* run injection though panic_on_warn is set */
	bool quiet;	    /* no progress lines */
	bool verbose;	    /* debug messages, libbpf's included */
	/* Test hooks; the keys exist only when built with -Dtest-hooks=true. */
	unsigned int test_drop_free;  /* drop so many free events */
	unsigned int test_forge_free; /* report so many frees twice */
	enum soak_lie test_lie;	      /* what an oracle is made to see */
	bool test_fake_warn;	      /* write a fake WARNING to /dev/kmsg */
	/* For config_reload(): borrowed words, and the seed before one was picked. */
	int argc;
	char **argv;
	uint64_t seed_given;
};

/*
 * Parses the command line ("run --duration 60s", "check --json"), then the file FILE named by
 * --config and FILE.d/NAME.conf in the order of their names; what comes later wins, and the command
 * line over all. Prints every error itself, as "bpfsoakd: FILE:LINE: KEY: what is wrong"
 * or "bpfsoakd: --KEY: ...". Returns 0, or -EINVAL (the caller exits 2), or -ENOMEM.
 * *ret must be zeroed by the caller and is released with config_free() in every case.
 */
int config_parse(int argc, char **argv, struct config *ret);
void config_free(struct config *config);

/*
 * Parses the same command line and files again. Returns 0 with the result in *ret, which the caller
 * releases as after config_parse(); or -EINVAL, all said, when something is wrong, or when an
 * option differs that cannot change while a run goes on.
 */
int config_reload(const struct config *live, struct config *ret);

/* Takes over what may change while a run goes on. Run loop only. */
void config_adopt(struct config *live, struct config *from);

void config_help(FILE *out);

/* The options as troff .TP blocks, for the man page (--dump-options). */
void config_dump_options(FILE *out);

/* The same as keys of the configuration file, for bpfsoakd.conf(5). */
void config_dump_keys(FILE *out);

/* A configuration file that says nothing yet: every key with its help, commented out. */
void config_dump_file(FILE *out);

/*
 * The effective configuration as "key = value" lines, as --config reads them: parsing that text
 * again gives the same run. The caller frees. NULL when out of memory.
 */
char *config_dump(const struct config *config);

/*
 * The options that differ from their defaults, as words of a command line, each with a blank before
 * it and quoted for a shell; without those that say where things are written or how long to run,
 * the seed, --module and --on-violation. "" when all are as by default. The caller frees. NULL
 * when out of memory.
 */
char *config_arguments(const struct config *config);

/* Appends a word, quoted for a shell where it needs to be. */
void config_quote(FILE *out, const char *word);

/* As written in options; "unknown" beyond the last. */
const char *inject_mode_name(enum inject_mode mode);
const char *inject_kind_name(enum inject_kind kind);
const char *inject_error_name(enum inject_error error);

/*
 * "90s", "1h30m", "250ms", "2d", "100us"; units from large to small; a bare number is seconds.
 * Returns 0 or -EINVAL (not a duration, negative, overflow).
 */
int parse_duration(const char *text, uint64_t *ret_ns);

/* "65536", "64K", "25M", "1G" (powers of 1024, optional trailing B or iB). 0 or -EINVAL. */
int parse_size(const char *text, uint64_t *ret);

#endif
