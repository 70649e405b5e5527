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

enum command {
	COMMAND_RUN,
	COMMAND_CHECK,
	COMMAND_HELP,
	COMMAND_VERSION,
	COMMAND_DUMP_OPTIONS, /* hidden: --dump-options prints the table as troff */
};

struct config {
	enum command command;
	bool json;	      /* check --json */
	uint64_t duration_ns; /* 0: until stopped; default 60 s */
	uint64_t seed;	      /* 0: taken from getrandom() by config_parse, never 0 after it */
	unsigned int workers; /* 0: one per CPU that we may run on, at least 2 */
	unsigned int maps;    /* storage maps per shape: 1 .. SOAK_MAPS_MAX, default 4 */
	unsigned int owners;  /* live owners each worker keeps at most: 1 .. 4096, default 24 */
	unsigned int inject;  /* set of enum inject_mode; auto and none stand alone */
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
	char *config_file;		/* where values came from, NULL: none */
	uint64_t slots;			/* selem slots of the ledger, rounded up to a power of two:
					 * 4096 .. 16 Mi, default 262144 */
	uint64_t leak_budget;		/* bytes; 0: 25 % of MemAvailable at start */
	uint64_t stall_ns;		/* first stall, 100 ms .. 3 s, default 300 ms; it adapts */
	uint64_t stall_pause_ns;	/* pause between two stalls, 0 .. 1 h, default 100 ms */
	uint64_t stuck_ns; /* no progress for so long is a finding: 10 s .. 1 h, default 60 s */
	bool oracles;	   /* default true; false only for benchmarks: verdict INCONCLUSIVE */
	bool accept_panic; /* run injection though panic_on_warn is set */
	bool quiet;	   /* no progress lines */
	bool verbose;	   /* debug messages, libbpf's included */
	/* Test hooks; the keys exist only when built with -Dtest-hooks=true. */
	unsigned int test_drop_free;  /* drop so many free events */
	unsigned int test_forge_free; /* report so many frees twice */
	bool test_fake_warn;	      /* write a fake WARNING to /dev/kmsg */
};

/*
 * Parses the command line ("run --duration 60s", "check --json"), then the file named by --config;
 * the command line wins. Prints every error itself, as "bpfsoakd: FILE:LINE: KEY: what is wrong"
 * or "bpfsoakd: --KEY: ...". Returns 0, or -EINVAL (the caller exits 2), or -ENOMEM.
 * *ret must be zeroed by the caller and is released with config_free() in every case.
 */
int config_parse(int argc, char **argv, struct config *ret);
void config_free(struct config *config);

void config_help(FILE *out);

/* The options as troff .TP blocks, for the man page (--dump-options). */
void config_dump_options(FILE *out);

/*
 * The effective configuration as "key = value" lines, as --config reads them: parsing that text
 * again gives the same run. The caller frees. NULL when out of memory.
 */
char *config_dump(const struct config *config);

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
