/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one header shared by the BPF programs and the daemon: the layout of every map that both
 * sides touch. Plain C, fixed-size types only; anything that changes here changes
 * SOAK_ABI_VERSION. The BPF side writes with atomics, the daemon only reads, except for
 * struct soak_control and struct soak_plan, whose owners are named at each field.
 */
#ifndef SOAK_ABI_H
#define SOAK_ABI_H

#define SOAK_ABI_VERSION 5

/* The first eight bytes of the name of every storage map that we create ("bpfsoak_..."). */
#define SOAK_MAP_PREFIX	 "bpfsoak_"
#define SOAK_VALUE_MAGIC 0x6b616f7366706221ULL

/* Which teardown path makes a visit of bpf_selem_unlink_nofail() (bpf_local_storage.c). */
enum soak_side {
	SOAK_MAP_FREE, /* b != NULL: bpf_local_storage_map_free(), in a kworker */
	SOAK_DESTROY,  /* b == NULL: bpf_local_storage_destroy(), the owner dies */
	SOAK_SIDE_NR,
};

/* Which acquisition failed. The order is that of enum rqf_site (inject/kmod). */
enum soak_site {
	SOAK_SITE_MAP_FREE_BUCKET,
	SOAK_SITE_MAP_FREE_STORAGE,
	SOAK_SITE_DESTROY_BUCKET,
	SOAK_SITE_DESTROY_STORAGE,
	SOAK_SITE_UPDATE,   /* bpf_local_storage_update(), either lock */
	SOAK_SITE_DELETE,   /* bpf_selem_unlink(), either lock */
	SOAK_SITE_CLONE,    /* bpf_sk_storage_clone() */
	SOAK_SITE_ALLOC,    /* bpf_local_storage_alloc(): an owner's first element */
	SOAK_SITE_CACHE,    /* __bpf_local_storage_insert_cache(): nobody is told */
	SOAK_SITE_LINK_MAP, /* bpf_selem_link_map(): a clone's second element and on */
	SOAK_SITE_NR,
};

/* How a lock came to fail (docs/design.md): never mixed. */
enum fault_kind {
	FAULT_ORGANIC,	 /* somebody held the lock past the kernel's own timeout */
	FAULT_CONTENDED, /* somebody held the lock, and the waiter was failed early */
	FAULT_FORCED,	 /* nobody need have held the lock */
	FAULT_NR,
};

/* What became of the selem at the end of a visit. */
enum soak_outcome {
	SOAK_FREED_HERE,    /* unlinked from both lists, freed at once */
	SOAK_LEFT,	    /* left for the other side to free */
	SOAK_FREED_CMPXCHG, /* freed, since the other side had been there */
	SOAK_OUTCOME_NR,
};

/* A visit in which no lock failed: the index behind the kinds of faults. */
#define SOAK_NO_FAULT	 FAULT_NR
#define SOAK_COVER_KINDS (FAULT_NR + 1)

/* The result of one lock of one visit, as far as the selem shows it afterwards. */
enum soak_lock_result {
	SOAK_LOCK_OK,
	SOAK_LOCK_TIMEOUT,
	SOAK_LOCK_DEADLOCK, /* failed far earlier than any timeout could */
	SOAK_LOCK_GONE,	    /* taken, but the element had left that list already */
	SOAK_LOCK_SKIPPED,  /* not attempted: the pointer was NULL at entry */
	SOAK_LOCK_EITHER,   /* both sides raced: failed or not, cannot be told */
	SOAK_LOCK_NR,
};

/* Who owns the storage. The first two are what injection aims at; not every kernel has the rest. */
enum soak_kind {
	SOAK_SK,
	SOAK_TASK,
	SOAK_CGROUP, /* BPF_MAP_TYPE_CGRP_STORAGE, by the descriptor of a cgroup's directory */
	SOAK_INODE,  /* BPF_MAP_TYPE_INODE_STORAGE, by the descriptor of a file */
	SOAK_KIND_NR,
};

#define SOAK_KIND_BIT(kind) (1u << (kind))
#define SOAK_KINDS_ALL	    (SOAK_KIND_BIT(SOAK_KIND_NR) - 1)

/* Which call chain freed a selem. */
enum soak_free {
	SOAK_FREE_MAP_FREE,
	SOAK_FREE_DESTROY,
	SOAK_FREE_PROGRAM, /* delete, replace and error paths of programs and syscalls */
	SOAK_FREE_NR,
};

/* Errors handed back by the storage functions, by function. */
enum soak_op {
	SOAK_OP_UPDATE,
	SOAK_OP_DELETE,
	SOAK_OP_CLONE,
	SOAK_OP_NR,
};

enum soak_err {
	SOAK_ERR_ENOMEM,
	SOAK_ERR_EAGAIN,
	SOAK_ERR_EEXIST,
	SOAK_ERR_ENOENT,
	SOAK_ERR_ETIMEDOUT,
	SOAK_ERR_EDEADLK,
	SOAK_ERR_OTHER,
	SOAK_ERR_NR,
};

/* Which two moments are to meet; map_free(), at a selem of the map that goes, and ... */
enum soak_appointment {
	SOAK_MEET_SELEM,    /* destroy() at the same selem */
	SOAK_MEET_OWNER,    /* destroy() at another selem of the same owner */
	SOAK_MEET_BUCKET,   /* destroy() at another selem in the same bucket */
	SOAK_MEET_DELETE,   /* a delete of another selem of the same owner */
	SOAK_MEET_CLONE,    /* accept(), which clones what the owner, a listener, has */
	SOAK_MEET_ITERATOR, /* an iterator over another map, at the same owner */
	SOAK_MEET_UNCHARGE, /* destroy() of the owner that map_free() uncharges; Linux 7.3 does not
			     * survive it if destroy() then fails its lock (docs/design.md) */
	SOAK_MEET_NR,
};

/* One per possible CPU; added to atomically, by that CPU only, hence no shared cache line. */
struct soak_counters {
	unsigned long long births[SOAK_KIND_NR];
	unsigned long long frees[SOAK_FREE_NR];
	unsigned long long frees_of[SOAK_KIND_NR]; /* the same, by kind of owner */
	unsigned long long frees_by_cmpxchg;	   /* of the above: state was TOFREE */
	unsigned long long storage_births;
	unsigned long long storage_frees;
	unsigned long long storage_freed_twice;
	unsigned long long storage_freed_again; /* or another one there, whose birth was not seen */
	/* Visits, by the results of their bucket lock and storage lock. */
	unsigned long long coverage[SOAK_SIDE_NR][SOAK_LOCK_NR][SOAK_LOCK_NR][SOAK_OUTCOME_NR]
				   [SOAK_COVER_KINDS];
	unsigned long long lockless[SOAK_SIDE_NR];
	unsigned long long timeouts[FAULT_NR][SOAK_SITE_NR];
	unsigned long long deadlocks[FAULT_NR][SOAK_SITE_NR];
	unsigned long long freed_linked[FAULT_NR];   /* by cmpxchg, and still on a list */
	unsigned long long freed_linked_unexplained; /* no failure of a lock left it there */
	unsigned long long exact_visits; /* of which the module told the results of both locks */
	unsigned long long double_frees;
	unsigned long long reborn;	  /* address handed out again: its free was missed */
	unsigned long long table_full;	  /* selem births that found no slot */
	unsigned long long storage_full;  /* bpf_local_storage births that found no slot */
	unsigned long long faults_lost;	  /* fault log was full */
	unsigned long long unknown_frees; /* a value of ours freed without a known birth */
	unsigned long long omem_checked;
	unsigned long long omem_mismatch;
	unsigned long long hasty_locks;	   /* failed organically, sooner than a lock can */
	unsigned long long late_uncharges; /* of an owner whose destroy() is over */
	unsigned long long destroys;
	unsigned long long destroys_done;
	unsigned long long map_frees;
	unsigned long long map_frees_done;
	unsigned long long filled[SOAK_KIND_NR];      /* values written by the fill programs */
	unsigned long long fill_failed[SOAK_KIND_NR]; /* storage_get(CREATE) returned NULL */
	unsigned long long prog_deletes;
	unsigned long long errors[SOAK_OP_NR][SOAK_ERR_NR];
	unsigned long long stalls[SOAK_SITE_NR]; /* holders stalled, by the site they aim at */
	unsigned long long rendezvous;		 /* visits held back */
	unsigned long long rendezvous_met;	 /* of those, the other side arrived */
	unsigned long long meetings_met[SOAK_MEET_NR];
	unsigned long long meetings_missed[SOAK_MEET_NR]; /* map_free() waited in vain */
	/* Special fields of values (docs/design.md, "Special fields"). */
	unsigned long long fields_freed; /* selems whose fields were freed */
	unsigned long long fields_twice; /* once more, the selem being the same */
	unsigned long long fields_left;	 /* freed with a reference, map_free got its lock */
	unsigned long long
		fields_hole[FAULT_NR];	/* the same, and map_free failed the bucket lock */
	unsigned long long fields_late; /* freed after the map was */
	unsigned long long refs_stored; /* references put into values by our programs */
	unsigned long long refs_taken;	/* of those, taken out by our programs again */
	unsigned long long refs_freed;	/* references seen in values whose fields were freed */
	unsigned long long freed_early; /* deleted, and not kept for sleepable programs */
	unsigned long long identity_checked[SOAK_KIND_NR];
	unsigned long long identity_wrong;
	unsigned long long values_read; /* by programs, under the value's lock */
	unsigned long long values_torn;
	unsigned long long destroy_max_ns;
	unsigned long long map_free_max_ns;
	unsigned long long visit_max_ns;
} __attribute__((aligned(128)));

/* struct soak_slot.flags. A and B: the two copies of each ledger program (see ledger.bpf.h). */
#define SOAK_BORN_A    (1u << 0)
#define SOAK_BORN_B    (1u << 1)
#define SOAK_FREED_A   (1u << 2)
#define SOAK_FREED_B   (1u << 3)
#define SOAK_FREED     (SOAK_FREED_A | SOAK_FREED_B)
#define SOAK_DOUBLE    (1u << 6)
#define SOAK_DESTROYED (1u << 7)  /* storages only: destroy() has returned */
#define SOAK_CLAIMED   (1u << 31) /* being taken from a freed selem for a new one */
/* Special fields; A and B as above. */
#define SOAK_HAS_FIELDS	   (1u << 16) /* its map has them */
#define SOAK_FIELDS_A	   (1u << 17) /* they were freed */
#define SOAK_FIELDS_B	   (1u << 18)
#define SOAK_FIELDS	   (SOAK_FIELDS_A | SOAK_FIELDS_B)
#define SOAK_FIELDS_TWICE  (1u << 19)
#define SOAK_FIELDS_LEFT   (1u << 20) /* still held a reference when the selem was freed */
#define SOAK_FIELDS_JUDGED (1u << 21)
#define SOAK_HAS_REF	   (1u << 22) /* held one at the start of the callback that frees them */
#define SOAK_BUCKET_FAILED (1u << 23) /* map_free failed the bucket lock in one of its visits */
#define SOAK_TEST_DROPPED  (1u << 24) /* test hook: its free is not to be seen */
/* Stations of a free that were seen, SOAK_STATIONS bits for each copy; see ledger.bpf.h. */
#define SOAK_STATION(copy, station) (1u << (8 + (copy)*SOAK_STATIONS + (station)))
#define SOAK_STATIONS		    4

/* What one side did to one selem: its last visit. */
struct soak_visit {
	unsigned char visits; /* saturates at 255 */
	unsigned char bucket; /* enum soak_lock_result */
	unsigned char storage;
	unsigned char state;	     /* selem->state after the visit */
	unsigned int pid;	     /* thread of a visit under way, 0 when none is */
	unsigned long long entry_ns; /* ktime, 0 when never visited */
	unsigned int duration_us;
	unsigned char entry_bits; /* SOAK_ENTRY_*: what the selem looked like at entry */
	unsigned char failed;	  /* locks that failed in any visit of this side: SOAK_FAILED_* */
	unsigned char kinds;	  /* of those: bits of enum fault_kind */
	unsigned char pad;
};

#define SOAK_FAILED_BUCKET  (1u << 0)
#define SOAK_FAILED_STORAGE (1u << 1)

#define SOAK_ENTRY_SMAP		  (1u << 0)
#define SOAK_ENTRY_STORAGE	  (1u << 1)
#define SOAK_ENTRY_MAP_LINKED	  (1u << 2)
#define SOAK_ENTRY_STORAGE_LINKED (1u << 3)
#define SOAK_ENTRY_SEEN		  (1u << 4)

/* One selem, from birth until its slot is needed again after its free. */
struct soak_slot {
	unsigned long long key; /* address of the selem, 0: never used */
	unsigned int flags;
	unsigned int map_id;
	unsigned long long owner;
	unsigned long long storage;
	unsigned long long birth_ns;
	unsigned long long free_ns;
	struct soak_visit visit[SOAK_SIDE_NR];
	unsigned short kind;
	unsigned short elem_size;
	unsigned int free_by;	   /* enum soak_free */
	unsigned long long cookie; /* of the value at its free */
};

/* One bpf_local_storage. */
struct soak_storage {
	unsigned long long key;
	unsigned int flags;
	unsigned int kind;
	unsigned long long owner;
	unsigned long long birth_ns;
	unsigned long long destroy_ns; /* destroy() entered, 0 if not */
	unsigned long long free_ns;
	unsigned long long owner_at_free;
	unsigned int fault_kinds;  /* a visit of one of its selems failed a lock: bits */
	unsigned int pinned_kinds; /* of those, destroy() failed its storage lock: bits */
};

/* The tables are set associative: an address may live in any slot of its set. */
#define SOAK_WAYS 8

/* The keys stand apart, so that a search stays within one cache line. */
struct soak_set {
	unsigned long long key[SOAK_WAYS];
	struct soak_slot slot[SOAK_WAYS];
};

struct soak_storage_set {
	unsigned long long key[SOAK_WAYS];
	struct soak_storage slot[SOAK_WAYS];
};

/* A failed lock: appended, never overwritten. */
struct soak_fault {
	unsigned long long ns; /* ktime; 0 while being written */
	unsigned long long selem;
	unsigned long long storage;
	unsigned long long owner;
	unsigned int map_id;
	unsigned short site;   /* enum soak_site */
	unsigned short result; /* enum soak_lock_result */
	unsigned int duration_us;
	unsigned short kind; /* enum fault_kind */
	unsigned short pad;
};

#define SOAK_FAULTS 262144

/* A map_free() under way, at one of the places that its worker's pid has. */
struct soak_map_free {
	unsigned long long map;	     /* address */
	unsigned long long start_ns; /* 0: not under way, or not written yet */
	unsigned int map_id;
	unsigned int pid; /* of the kworker, as the kernel counts threads; 0: free entry */
};

/* Many times as many as are ever open, which are hundreds when a run ends. */
#define SOAK_MAP_FREES_BITS 12
#define SOAK_MAP_FREES	    (1u << SOAK_MAP_FREES_BITS)
#define SOAK_MAP_FREE_WAYS  16
#define SOAK_GONE	    4096 /* ids of maps that went last, by their low bits */

/*
 * Workers come in rows, one pid after the other, and another row may begin where the pids have gone
 * once round the table: as neighbours they would crowd each other out. Hence spread by Knuth's
 * multiplicative hash.
 */
#define SOAK_MAP_FREE_PLACE(pid, way)                                                \
	((((unsigned int)(pid)*2654435761u >> (32 - SOAK_MAP_FREES_BITS)) + (way)) & \
	 (SOAK_MAP_FREES - 1))

/*
 * What was wrong with an object, and the object as it was at that moment: its slot may have another
 * history a second later. The first SOAK_SUSPECTS of each sort; appended, never overwritten.
 */
enum soak_suspicion {
	SOAK_SUSPECT_DOUBLE_FREE,
	SOAK_SUSPECT_STORAGE_DOUBLE_FREE,
	SOAK_SUSPECT_OMEM,   /* detail: sk_omem_alloc */
	SOAK_SUSPECT_LINKED, /* freed while on a list; detail: enum fault_kind */
	SOAK_SUSPECT_NR,
};

#define SOAK_SUSPECTS 8 /* a power of two */

struct soak_suspect {
	unsigned long long ns;	   /* ktime; 0 while being written */
	unsigned long long object; /* address of the selem, storage or socket */
	unsigned long long detail;
	unsigned int pid; /* thread that was caught at it */
	unsigned int cpu;
	char comm[16];
	struct soak_slot slot;	     /* key 0: not of a selem */
	struct soak_storage storage; /* key 0: not of a storage */
};

/*
 * A socket for which this protocol was asked by name, not as the default (0), is left unfilled at
 * its birth, where the LSM hook sees that: IPPROTO_UDP.
 */
#define SOAK_PROTOCOL_BARE 17

/*
 * The files of the churn have this mode, by which the fill programs know them among all that the
 * daemon opens: no umask takes anything from it, and nobody else makes a file that is sticky and
 * that its owner alone may write.
 */
#define SOAK_FILE_MODE 01200

/* Head of every value that we store. */
struct soak_value {
	unsigned long long magic;
	unsigned long long cookie;
	unsigned int plan;  /* index of a struct soak_plan plus one; 0: ordinary churn */
	unsigned int role;  /* enum soak_role */
	unsigned int size;  /* of the whole value */
	unsigned int check; /* low word of cookie xor size */
};

/* Scripted encounters of the stall backend; see inject/encounter.c for the choreography. */
enum soak_role {
	SOAK_ROLE_NONE,
	SOAK_ROLE_HOLD_STORAGE, /* map_free stalls here under the storage lock */
	SOAK_ROLE_HOLD_BUCKET,	/* map_free stalls here under the bucket lock */
	SOAK_ROLE_MEET_BUCKET,	/* map_free waits here until destroy holds the bucket lock */
	SOAK_ROLE_VICTIM,
	SOAK_ROLE_DUEL,	   /* both sides are to be at this selem at once */
	SOAK_ROLE_MEETING, /* plan: SOAK_PLANS + 1 + index of a struct soak_meeting */
};

enum soak_plan_state {
	SOAK_PLAN_IDLE,
	SOAK_PLAN_ARMED,   /* daemon: owners filled, maps about to be closed */
	SOAK_PLAN_WAITING, /* BPF: one side waits in a rendezvous */
	SOAK_PLAN_HOLDING, /* BPF: a lock is held and its holder is stalled */
	SOAK_PLAN_DONE,	   /* BPF: the holder let go */
};

struct soak_plan {
	unsigned int state;		  /* enum soak_plan_state */
	unsigned int timeouts;		  /* BPF: failed locks seen in this plan's selems */
	unsigned long long stall_ns;	  /* daemon: how long to hold */
	unsigned long long rendezvous_ns; /* daemon: how long to wait for the other side */
	unsigned long long bucket;	  /* BPF: address of the bucket in question, 0: none */
	unsigned long long held_ns;	  /* BPF: how long the lock was really held */
	unsigned long long cookie;	  /* BPF: of the value whose visit waits */
	unsigned long long site;	  /* daemon: enum soak_site that is meant to fail */
	unsigned long long pad;
};

#define SOAK_PLANS 64

/* A meeting of enum soak_appointment that is being arranged. */
#define SOAK_MEETINGS	    4 /* a power of two: one under way, and what dies late of others */
#define SOAK_MEETING_MAX_NS 20000000ULL /* a tenth of what any lock waits */
#define SOAK_MEETING_STAYS  (1ULL << 8) /* in a cookie: of the map that stays; below: the owner */

struct soak_meeting {
	unsigned long long word;     /* BPF: what they have in common, and who waits; 0: nobody */
	unsigned long long cookie;   /* BPF: of the value that map_free() came to; daemon: ~0 */
	unsigned long long first_ns; /* BPF: when map_free() came first; daemon: 0 */
	unsigned long long
		wait_ns; /* daemon: how long the first waits, SOAK_MEETING_MAX_NS at most */
	unsigned int appointment; /* daemon: enum soak_appointment */
	unsigned int armed;	  /* daemon */
	unsigned int arrived;	  /* BPF: selems that map_free() came to; daemon: 0 */
	unsigned int pad;
};

/*
 * What programs do for a scenario, to storage of its own; see bpf/order.bpf.h. The first workers
 * have one order each, and slots for so many maps of the small shape.
 */
#define SOAK_ORDERS	64 /* both powers of two */
#define SOAK_ORDER_MAPS 32

enum soak_by {
	SOAK_BY_NOBODY,
	SOAK_BY_CALL,	/* getsockname() or getpgid() by the thread tid */
	SOAK_BY_PACKET, /* a datagram for a socket with a value in slot first - 1 */
	SOAK_BY_TICK,	/* a timer on a task with a value in slot first - 1 */
};

enum soak_verb {
	SOAK_VERB_LOOK,
	SOAK_VERB_PUT,
	SOAK_VERB_DELETE,
	SOAK_VERB_EITHER, /* put or delete, as chance has it */
};

struct soak_order {
	unsigned int by;       /* daemon: enum soak_by, written last, and first when it ends */
	unsigned int verb;     /* daemon: enum soak_verb */
	unsigned int index;    /* daemon: of this order */
	unsigned int tid;      /* daemon: as the kernel calls it (soak_who) */
	unsigned int first, n; /* daemon: slots */
	unsigned int bare_tid; /* daemon: thread whose births are not filled */
	unsigned int busy;     /* BPF: programs that are at it */
	unsigned long long obeyed, put, deleted; /* BPF: counts, as are the next four */
	unsigned long long absent;		 /* nothing there to delete */
	unsigned long long refused;
	unsigned long long in_softirq, in_irq;	     /* of obeyed */
	unsigned long long cookies[SOAK_ORDER_MAPS]; /* BPF: what was looked at; 0: nothing */
};

/*
 * What LSM programs do to the births of one thread, which has enlisted itself: see
 * bpf/refuse.bpf.h. The slot is found by the thread's id, in the first of SOAK_REFUSAL_WAYS.
 */
#define SOAK_REFUSALS	  64 /* a power of two */
#define SOAK_REFUSAL_WAYS 4

#define SOAK_REFUSE_FILL (1u << 0) /* the newborn is given storage first */
#define SOAK_REFUSE_KILL (1u << 1) /* its maker is killed in the midst of it (tasks only) */
#define SOAK_REFUSE_DENY (1u << 2) /* the birth is refused: -EPERM */

struct soak_refusal {
	unsigned int tid;    /* BPF: as the kernel calls it; daemon: 0 when it is discharged */
	unsigned int what;   /* daemon: SOAK_REFUSE_*; 0: nothing */
	unsigned int skip;   /* daemon, then BPF: so many births are let through before */
	unsigned int left;   /* daemon, then BPF: to so many births, written last */
	unsigned int met;    /* BPF: births that it was done to, since the daemon set this to 0 */
	unsigned int filled; /* BPF: of those, how many had storage by then */
};

/* Out of the program by which a thread enlists. */
struct soak_enlisted {
	unsigned int slot; /* SOAK_REFUSALS: there was no room */
	unsigned int pad;
};

/* Maps that the fill programs fill: shapes by slots. */
#define SOAK_SHAPES 5
#define SOAK_SHAPE_FIELDS                                                                       \
	3		   /* from here on special fields: absent where the kernel refuses them \
			    */
#define SOAK_SHAPE_REF	 4 /* without a lock: copied by other code of the kernel */
#define SOAK_MAPS_MAX	 8
#define SOAK_MAPS_FIELDS 1 /* slots of each shape with special fields */
#define SOAK_SIZE_SMALL	 40
#define SOAK_SIZE_MEDIUM 200
#define SOAK_SIZE_LARGE	 1000
#define SOAK_SIZE_FIELDS 400
#define SOAK_SIZE_REF	 104

/* Where the special fields of such a value lie; bpf(2) writes nothing there and reads zeros. */
#define SOAK_FIELDS_BEGIN 32 /* struct bpf_spin_lock, padding */
#define SOAK_FIELDS_REF	  40 /* a referenced kptr */
#define SOAK_FIELDS_END	  48

#define SOAK_FOLLOW_KIND(kind) SOAK_KIND_BIT(kind)
#define SOAK_FOLLOW_STORAGE    SOAK_KIND_BIT(SOAK_KIND_NR)
#define SOAK_FOLLOW_ALL	       (~0u)

/*
 * Walks of iterators over tasks and their files; see bpf/walk.bpf.h. The first workers have one
 * each, and a slot of either kind for a map of the small shape.
 */
#define SOAK_WALKS 64 /* a power of two */

struct soak_walk {
	unsigned int tid;    /* daemon: thread that reads, as the kernel calls it; 0: nobody */
	unsigned int create; /* daemon: put values where there are none */
	unsigned int cookie; /* daemon: upper half of the cookies of these */
	unsigned int task;   /* daemon: whose alone, by struct soak_walked; 0: everybody's */
	unsigned long long refused; /* BPF: values that could not be put there */
};

/* What such a walk writes of one owner. A walk of a map writes bare values. */
struct soak_walked {
	unsigned int task;    /* as its own PID namespace calls it, 0: it is dead */
	unsigned int fd;      /* of the file */
	unsigned int created; /* by this walk */
	unsigned int pad;
	unsigned char value[SOAK_SIZE_SMALL];
};

/* Written by the daemon, read by the programs. */
struct soak_control {
	unsigned int ready;	   /* 0: programs return at once */
	unsigned int fill_sk;	   /* fill at socket birth */
	unsigned int fill_task;	   /* fill at task birth */
	unsigned int fill_cgroup;  /* fill at mkdir of a cgroup */
	unsigned int fill_inode;   /* fill when a file of the churn is opened */
	unsigned int maps;	   /* slots in use of each shape, at most SOAK_MAPS_MAX */
	unsigned int delete_mask;  /* 1 in (mask + 1) fills is deleted by the program; 0: none */
	unsigned int stall;	   /* 1: plans are obeyed */
	unsigned int pin;	   /* 1: also in bpf_sk_storage_uncharge(): see stall_pinned */
	unsigned int rendezvous;   /* 1: meetings are kept; 2: that with uncharging as well */
	unsigned int follow;	   /* SOAK_FOLLOW_*: what the ledger records */
	unsigned int synthetic;	   /* kind of a fault whose record was missed: enum fault_kind */
	unsigned long long frames; /* address of the module's frames, 0: none */
	unsigned int tgid;	   /* BPF: whose owners are filled */
	unsigned int drop_free;	   /* test hook: drop this many free events */
	unsigned int forge_free;   /* test hook: count this many frees twice */
	unsigned int lie;	   /* test hook: enum soak_lie */
	unsigned int orders;	   /* orders that are given; 0: nobody looks for any */
	unsigned int bare;	   /* threads that want a birth without storage */
	unsigned int refusals;	   /* threads that have enlisted; 0: nobody looks for any */
};

/* Test hook: what an oracle is made to see that is not there. */
enum soak_lie {
	SOAK_LIE_NONE,
	SOAK_LIE_FIELDS_TWICE,
	SOAK_LIE_FIELDS_LEFT,
	SOAK_LIE_FIELDS_LATE,
	SOAK_LIE_REFERENCE,
	SOAK_LIE_IDENTITY,
	SOAK_LIE_TORN,
	SOAK_LIE_READER,
	SOAK_LIE_STALE,
	SOAK_LIE_MAP,
	SOAK_LIE_HELD,
	SOAK_LIE_EARLY,
	SOAK_LIE_FORGOTTEN,
	SOAK_LIE_NR,
};

/* Out of the program that looks at the tables of held rqspinlocks. */
struct soak_held {
	unsigned int seen; /* CPUs; 0: this kernel has no such table, or does not show it */
	unsigned int cpus; /* of those, CPUs whose count is not 0 */
	int sum;
	unsigned int pad;
};

/* Out of the program that tells a thread who it is to the kernel. */
struct soak_who {
	unsigned int tid;
	unsigned int pad;
};

/* In and out of the program that looks at the memory of a residual. */
struct soak_inspect_storage {
	unsigned long long storage; /* in: address */
	unsigned long long owner;
	unsigned long long first; /* of the list of its selems */
	unsigned int lock;	  /* the lock's word */
	unsigned int readable;	  /* out: 0 when the address could not be read */
};

struct soak_inspect {
	unsigned long long selem; /* in: address */
	unsigned long long map_pprev;
	unsigned long long storage_pprev;
	unsigned long long storage;
	unsigned long long smap;
	unsigned int state;
	unsigned int readable; /* out: 0 when the address could not be read */
	struct soak_value value;
};

struct soak_free_memory {
	unsigned long long address; /* in */
	unsigned int free;	    /* out: the allocator has it; 0: nothing says so */
	unsigned int pad;
};

#ifdef __cplusplus
#error "C only"
#endif

_Static_assert(!(SOAK_KIND_NR & (SOAK_KIND_NR - 1)), "kinds of owners are masked");
_Static_assert(sizeof(struct soak_visit) == 24, "soak_visit layout");
_Static_assert(sizeof(struct soak_slot) == 112, "soak_slot layout");
_Static_assert(sizeof(struct soak_storage) == 64, "soak_storage layout");
_Static_assert(sizeof(struct soak_fault) == 48, "soak_fault layout");
_Static_assert(sizeof(struct soak_suspect) == 224, "soak_suspect layout");
_Static_assert(sizeof(struct soak_value) == 32, "soak_value layout");
_Static_assert(sizeof(struct soak_plan) == 64, "soak_plan layout");
_Static_assert(sizeof(struct soak_order) == 88 + 8 * SOAK_ORDER_MAPS, "soak_order layout");
_Static_assert(sizeof(struct soak_walk) == 24, "soak_walk layout");
_Static_assert(sizeof(struct soak_walked) == 56, "soak_walked layout");

#endif
