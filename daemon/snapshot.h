/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that a run knows at one moment, as plain figures: filled by the run loop, read by
 * the stats file, the report, the progress line and the verdict. No pointers into live state, so
 * what is printed in different places at one moment agrees.
 */
#ifndef SOAK_SNAPSHOT_H
#define SOAK_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/soak_abi.h"
#include "kmsg.h"

enum verdict {
	VERDICT_RUNNING,
	VERDICT_PASS,
	VERDICT_FAIL,
	VERDICT_INCONCLUSIVE,
	VERDICT_NR,
};

enum run_state {
	RUN_CHURNING,
	RUN_PAUSED,  /* outside of its --window */
	RUN_FROZEN,  /* --on-violation=freeze: waiting for a signal */
	RUN_JUDGING, /* winding down: no more churn */
	RUN_ENDED,   /* the verdict stands */
	RUN_STATE_NR,
};

/* What became of a new configuration. */
enum reload_result {
	RELOAD_APPLIED,
	RELOAD_REFUSED,
	RELOAD_NR,
};

/* What disturbs the churn besides failed locks: perturb.h. */
enum perturbation {
	PERTURB_STUTTER,
	PERTURB_SHUFFLE,
	PERTURB_HOTPLUG,
	PERTURB_PRESSURE,
	PERTURB_NR,
};

enum perturb_result {
	PERTURB_DONE,
	PERTURB_REFUSED, /* by the kernel, or for want of what it takes */
	PERTURB_RESULT_NR,
};

/* How much a finding weighs. */
enum finding_class {
	FINDING_VIOLATION,
	FINDING_UNDOCUMENTED, /* a hole of which the kernel's comments say nothing */
	FINDING_DOCUMENTED,   /* an example of one that they do mention */
	FINDING_CLASS_NR,
};

/* In the order of enum model_hole (model.h), which says what each is and if it is documented. */
enum hole_kind {
	HOLE_SELEM,   /* a selem never freed */
	HOLE_STORAGE, /* a bpf_local_storage never freed */
	HOLE_LINKED,  /* a selem freed while it was still on a list */
	HOLE_FIELDS,  /* special fields never freed: map_free failed the bucket lock */
	HOLE_NR,
};

enum violation_kind {
	VIOLATION_SELEM_LEAK, /* never freed, and not so predicted by its history */
	VIOLATION_STORAGE_LEAK,
	VIOLATION_DOUBLE_FREE,
	VIOLATION_STORAGE_DOUBLE_FREE,
	VIOLATION_OMEM,	 /* sk_omem_alloc not 0 after bpf_sk_storage_free() */
	VIOLATION_VALUE, /* a value read back is not the one stored */
	VIOLATION_KERNEL_LOG,
	VIOLATION_STUCK,	/* a worker, a map_free or a destroy stopped making progress */
	VIOLATION_FREED_LINKED, /* a selem freed on a list on which no failed lock left it */
	VIOLATION_HELD,		/* rqspinlock's counts of held locks are not 0 after the run */
	VIOLATION_FIELDS_TWICE, /* special fields of one selem freed twice */
	VIOLATION_FIELDS_LEAK,	/* never freed, though map_free failed no bucket lock */
	VIOLATION_FIELDS_LATE,	/* freed when the map was gone */
	VIOLATION_REFERENCE,	/* references in values: not released exactly once */
	VIOLATION_IDENTITY,	/* a storage destroyed of another owner, or of one that lives */
	VIOLATION_TORN,		/* a reader under the value's lock saw half of an update */
	VIOLATION_MAP,		/* the id of a map of ours is still there after the run */
	VIOLATION_EARLY,	/* deleted, and freed without regard to sleepable programs */
	VIOLATION_KMEMLEAK,	/* memory of local storage that nothing points to */
	VIOLATION_LOCK,		/* a lock that failed too soon, or stays locked with nobody at it */
	VIOLATION_OWNER,	/* map_free() used an owner whose destroy() was over */
	VIOLATION_FORGOTTEN,	/* an owner is dead, and its storage was never destroyed */
	VIOLATION_NR,
};

enum miss_kind {
	MISS_RECURSION,	 /* tracing programs that the kernel skipped, all programs together */
	MISS_TABLE_FULL, /* births that found no ledger slot */
	MISS_FAULT_LOG,	 /* failed locks that found no room in the fault log */
	MISS_REBORN,  /* frees proven to have been missed: handed out again, or seen to be free */
	MISS_UNKNOWN, /* frees of values of ours whose birth was not seen */
	MISS_KMSG,    /* kernel log records overwritten before they were read */
	MISS_NR,
};

enum oracle {
	ORACLE_LEDGER_SK, /* of each kind of owner one, in the order of enum soak_kind */
	ORACLE_LEDGER_TASK,
	ORACLE_LEDGER_CGROUP,
	ORACLE_LEDGER_INODE,
	ORACLE_STORAGE,
	ORACLE_VISITS,
	ORACLE_OMEM,
	ORACLE_VALUES,
	ORACLE_KERNEL_LOG,
	ORACLE_LIVENESS,
	ORACLE_FIELDS,
	ORACLE_IDENTITY,
	ORACLE_READER, /* values as another process reads them */
	ORACLE_MAPS,
	ORACLE_KMEMLEAK,
	ORACLE_HELD,
	ORACLE_NR,
};

enum oracle_state {
	ORACLE_ABSENT, /* this kernel or this machine cannot have it, or --oracles=no */
	ORACLE_BLIND,  /* it should be there and did not answer its positive control */
	ORACLE_LIVE,
};

#define SNAPSHOT_WORKERS 256
#define SNAPSHOT_REASONS 16
#define SNAPSHOT_TEXT	 160

struct snapshot_worker {
	uint64_t ops;	  /* operations that took effect */
	uint64_t owners;  /* owners born */
	uint64_t errors;  /* operations refused: out of memory, out of descriptors ... */
	uint64_t idle_ns; /* since its last progress */
};

#define SNAPSHOT_SCENARIOS 48

/* What became of one scenario (daemon/scenarios/), all workers together. */
struct snapshot_scenario {
	uint64_t weight; /* in the mix at the moment; 0: not played */
	bool named;	 /* asked for by name: it must have an effect */
	uint64_t steps;
	uint64_t effects;  /* steps that did what the scenario is for */
	uint64_t failures; /* steps that could not */
};

/* The kernel module's own figures: inject/kmod/device.c. */
struct snapshot_module {
	bool present; /* and so the rest is meaningful */
	bool armed;
	char decide[16];	      /* who decides at the fault point: "self", "fail_function" */
	char error[12];		      /* "timedout", "deadlk", "either" */
	unsigned int sites;	      /* bits of enum soak_site, as now set */
	unsigned int sites_here;      /* bits: those that this kernel has */
	unsigned int sites_forceable; /* of those: what forcing takes has been found */
	uint64_t probability;	      /* percent, as now set */
	uint64_t interval;
	uint64_t bursts;			   /* so far */
	uint64_t calls[SOAK_SITE_NR];		   /* acquisitions that came to the fault point */
	uint64_t passed[SOAK_SITE_NR];		   /* of those, got their lock */
	uint64_t timeouts[FAULT_NR][SOAK_SITE_NR]; /* its own count; organic: after the detour */
	uint64_t deadlocks[FAULT_NR][SOAK_SITE_NR];
	uint64_t missed;    /* probe hits that the kernel skipped */
	uint64_t hidden;    /* slow path calls whose caller another kretprobe hid */
	uint64_t crowded;   /* calls that found no frame */
	uint64_t evicted;   /* frames taken over from another task within a second */
	uint64_t refused;   /* a fault point returned what no lock returns */
	uint64_t strange;   /* locks of a chosen call that were none of its own */
	uint64_t held_cpus; /* CPUs whose count of held rqspinlocks is not 0, at this moment */
	int64_t held;	    /* sum of these counts */
};

struct series;

struct snapshot {
	/* identity */
	char kernel_release[65];
	char cpu_model[64];
	uint64_t seed;
	char inject[48];       /* backends, "fail_function,stall" */
	char instance[65];     /* "": none */
	double start_realtime; /* seconds since the epoch */
	double update_realtime;
	uint64_t elapsed_ns;
	uint64_t paused_ns; /* of that, outside of the windows */
	uint64_t reloads[RELOAD_NR];

	bool own_netns;	 /* owners' sockets are in a network namespace of the run's */
	bool own_cgroup; /* owners are in a cgroup of the run's */
	uint64_t perturbations[PERTURB_NR][PERTURB_RESULT_NR];
	unsigned int perturb_asked; /* bits of enum perturbation, of those that must come about */
	uint64_t pressure_bytes;    /* what is taken for memory pressure at this moment */
	uint64_t pressure_scanned;  /* pages that reclaim looked at meanwhile, so far */

	struct soak_counters c;		       /* all CPUs added up; *_max_ns: the greatest */
	uint64_t owners_by_kind[SOAK_KIND_NR]; /* owners born */
	uint64_t maps_created;
	uint64_t maps_closed;
	uint64_t maps_outstanding; /* closed, map_free() not finished */
	uint64_t live_selems;	   /* ledger slots born and not freed */
	uint64_t live_storages;

	uint64_t syscall_updates; /* successful operations of the workers through bpf(2) */
	uint64_t syscall_deletes;
	uint64_t syscall_lookups;
	uint64_t reader_lookups;	      /* values read by another process */
	uint64_t reader_watched;	      /* of those, while they were being replaced */
	uint64_t maps_noted;		      /* maps whose ids must be gone at the end */
	uint64_t slab_bytes;		      /* SUnreclaim of /proc/meminfo */
	int64_t slab_growth;		      /* since the churn began */
	uint64_t syscall_errors[SOAK_ERR_NR]; /* errno returned to the workers by bpf(2) */

	/*
	 * Failed locks by kind and site, the figures that are published. Synthetic ones outside of
	 * visits (update, delete, clone, alloc, cache, link_map) are the module's own count, since
	 * some of them no caller is told of; all others are what the ledger saw.
	 */
	uint64_t timeouts[FAULT_NR][SOAK_SITE_NR];
	uint64_t deadlocks[FAULT_NR][SOAK_SITE_NR];
	struct snapshot_module module;
	uint64_t stall_ns; /* current stall time */
	uint64_t stalls;   /* holders stalled so far */

	uint64_t holes[HOLE_NR][FAULT_NR];
	uint64_t violations[VIOLATION_NR];
	uint64_t misses[MISS_NR];
	uint64_t frees_blind;	    /* frees that may have gone past both copies of a program */
	uint64_t births_blind;	    /* the same of births */
	uint64_t births_skipped;    /* as many births at most went past both, surprising or not */
	uint64_t fields_blind;	    /* the same of special fields freed */
	uint64_t map_frees_blind;   /* as many ends of map_free() at most went past both */
	uint64_t map_frees_unended; /* seem stuck, or their ends went past both */
	uint64_t fields_unfreed; /* selems, never freed or still to be judged, with their fields */
	uint64_t unjudged;	 /* residuals whose history has gaps: neither hole nor violation */
	uint64_t kmsg[KMSG_CLASS_NR];
	enum oracle_state oracles[ORACLE_NR];
	uint64_t findings[FINDING_CLASS_NR]; /* different ones, by their signatures */
	uint64_t finding_dirs;		     /* of those, kept whole */
	enum run_state state;
	uint64_t leaked_bytes; /* of confirmed or suspected residuals */
	uint64_t leak_budget;

	uint64_t map_free_oldest_ns; /* longest map_free() still under way */
	uint64_t destroy_oldest_ns;

	unsigned int n_workers;
	struct snapshot_worker workers[SNAPSHOT_WORKERS];

	bool rendezvous; /* meetings are arranged */
	unsigned int n_scenarios;
	struct snapshot_scenario scenarios[SNAPSHOT_SCENARIOS];

	uint64_t rss_bytes;
	uint64_t mapped_bytes; /* ledger tables, counted apart from rss */
	uint64_t open_fds;
	double cpu_user_s;
	double cpu_system_s;
	double bookkeeping_cpu_s; /* of the run loop, which keeps all books, since the churn began
				   */
	uint64_t stats_write_errors;

	bool injecting;	      /* an injecting backend was armed */
	bool kinds[FAULT_NR]; /* of faults that were asked for */
	/* Of contended and forced ones, for the whole run: the module's knobs change meanwhile. */
	unsigned int asked_sites; /* bits of enum soak_site; 0: all */
	char asked_error[12];	  /* "timedout", "deadlk", "either"; "": either */
	enum verdict verdict;
	char accusation[SNAPSHOT_TEXT]; /* the first bad value, in its worker's words; "": none */
	char reasons[SNAPSHOT_REASONS][256]; /* why not PASS, most important first */
	unsigned int n_reasons;
	const struct series *series; /* how all this came about; borrowed, NULL: unknown */
};

uint64_t snapshot_total(const uint64_t *values, unsigned int n);
uint64_t snapshot_births(const struct snapshot *s);
uint64_t snapshot_frees(const struct snapshot *s);
uint64_t snapshot_owners(const struct snapshot *s);
uint64_t snapshot_violations(const struct snapshot *s);
uint64_t snapshot_holes(const struct snapshot *s);
/*
 * Of the holes, those of kinds that the kernel's comments do not speak of and that were reached
 * without forcing: news for its maintainers.
 */
uint64_t snapshot_undocumented(const struct snapshot *s);
bool snapshot_is_undocumented(enum hole_kind hole, enum fault_kind kind);
uint64_t snapshot_timeouts(const struct snapshot *s);
uint64_t snapshot_deadlocks(const struct snapshot *s);
/* Of one kind, timeouts and deadlocks together. */
uint64_t snapshot_failures(const struct snapshot *s, enum fault_kind kind);
/* Of a set, as bits: a forced failure explains what an organic one need not. FAULT_NR: empty. */
enum fault_kind fault_kind_worst(unsigned int kinds);
/* asked_error, spelled out. */
const char *snapshot_asked_error(const struct snapshot *s);
/* Visits of one side whose two locks ended so. */
uint64_t snapshot_visits(const struct snapshot *s, unsigned int side, unsigned int bucket,
			 unsigned int storage);
/* Of the selems of one kind of owner. */
enum oracle snapshot_ledger_of(enum soak_kind kind);
/* Dying owners whose storage was compared with them. */
uint64_t snapshot_identities(const struct snapshot *s);
/* Selems and storages born and not freed, from the counters alone. */
uint64_t snapshot_alive(const struct snapshot *s);
uint64_t snapshot_lockless(const struct snapshot *s);

/*
 * Labels of the stats file and keys of the report: the only place where these names are. Never
 * NULL: a value outside its enum is "unknown".
 */
const char *verdict_name(enum verdict v);	/* "PASS", "FAIL", "INCONCLUSIVE", "RUNNING" */
const char *fault_kind_name(enum fault_kind k); /* "organic", ... */
const char *run_state_name(enum run_state r);	/* "churning", "frozen", ... */
const char *finding_class_name(enum finding_class f);	/* "violation", "undocumented", ... */
const char *perturb_name(enum perturbation p);		/* "stutter", ... */
const char *perturb_result_name(enum perturb_result r); /* "done", "refused" */
const char *hole_kind_name(enum hole_kind k);		/* "selem", "storage" */
const char *violation_name(enum violation_kind v);	/* "selem_leak", ... */
const char *miss_name(enum miss_kind m);
const char *oracle_name(enum oracle o);
const char *oracle_state_name(enum oracle_state s);    /* "live", "blind", "absent" */
const char *site_name(enum soak_site s);	       /* "map_free_bucket", ... */
const char *side_name(enum soak_side s);	       /* "map_free", "destroy" */
const char *lock_result_name(enum soak_lock_result r); /* "ok", "timeout", ... */
const char *outcome_name(enum soak_outcome o);	       /* "freed_here", "left", ... */
const char *cover_kind_name(unsigned int k);	       /* fault_kind_name(), "none" */
const char *owner_kind_name(enum soak_kind k);	       /* "socket", "task", ... */
const char *owner_kind_phrase(enum soak_kind k);       /* "a socket", "an inode", ... */
const char *free_name(enum soak_free f);	       /* "map_free", "destroy", "program" */
const char *soak_err_name(enum soak_err e);	       /* "ENOMEM", ... */
const char *soak_op_name(enum soak_op o);	       /* "update", "delete", "clone" */

#endif
