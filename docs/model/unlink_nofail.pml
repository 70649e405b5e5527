/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bpf_selem_unlink_nofail() of Linux 7.3 (kernel/bpf/bpf_local_storage.c) with the two that call
 * it, for Spin: map_free and destroy run at once, locks fail, memory is given away only after a
 * grace period, map_free begins its bucket again after need_resched(). scripts/model explores all
 * of it and compares the ends with what daemon/model.c predicts.
 *
 * One of these chooses who is there; each is explored by itself:
 *	-DONE		one selem; the results of all locks are part of the state and of its end
 *	-DOWNER		two selems of one owner, in two maps
 *	-DBUCKET	two owners, each with a selem in one bucket of one map
 *
 * -DFAULTS=0	no lock fails; =1: any may ("forced"); =2: only one that somebody else holds
 *		("organic", "contended")
 * -DRESTARTS=n	how often map_free begins again: 1 unless given
 * -DPROGRAM	a program deletes the last selem, before anything is torn down
 * -DBREAK_...	breaks the algorithm on purpose: CMPXCHG, BIT, FIELDS, WAIT; scripts/model sees to it
 *		that each is noticed
 *
 * Claims are those of daemon/model.h, asserted by name below. What is known to break them, when
 * locks fail, is an *exception*: named, printed when it is reached, and an error where nothing
 * fails. Memory that was given away is followed no further: all stop where one touches it.
 */
#ifndef FAULTS
#define FAULTS 1
#endif

#ifdef OWNER
#define N_SELEMS  2
#define N_OWNERS  1
#define N_MAPS	  2
#define OWNER_OF(s) 0
#define MAP_OF(s)   (s)
#else
#ifdef BUCKET
#define N_SELEMS  2
#define N_OWNERS  2
#define N_MAPS	  1
#define OWNER_OF(s) (s)
#define MAP_OF(s)   0
#else
#define N_SELEMS  1
#define N_OWNERS  1
#define N_MAPS	  1
#define OWNER_OF(s) 0
#define MAP_OF(s)   0
#endif
#endif

#define NIL	  7
#define SATURATED 100
#ifndef RESTARTS
#define RESTARTS  1 /* of map_free; of two, of the first */
#endif

#define MAP_UNLINKED	 1
#define STORAGE_UNLINKED 2
#define UNLINKED	 3
#define TOFREE		 4

/* Results of a lock; 0 stands for no visit. */
#define R_OK	  1
#define R_FAILED  2
#define R_GONE	  3
#define R_SKIPPED 4

/* Exceptions. */
#define X_FREED_IN_BUCKET 0
#define X_FREED_ON_LIST	  1
#define X_NEVER_ENDS	  2
#define X_SELEM_LEFT	  3
#define X_FIELDS_LEFT	  4
#define X_STORAGE_LEFT	  5
#define X_DANGLING	  6
#define X_WALKED_FREED	  7
#define X_WROTE_FREED	  8
#define X_LOCKED_FREED	  9
#define X_CHARGE_LEFT	  10

/* struct bpf_local_storage_elem */
typedef selem_t {
	bit smap, storage;	/* not NULL */
	bit in_bucket, in_list; /* hashed */
	byte bnext, lnext;
	byte state;
	byte frees, fields;
	bit by_map_free; /* that free */
	bit deleted;	 /* by a program */
	byte grace;	 /* readers that may still look at it */
	bit seen[2];	 /* by map_free, by destroy */
};

/* struct bpf_local_storage, and its owner */
typedef owner_t {
	byte head;
	byte lock;   /* 0, or who holds it */
	byte refcnt;
	byte charge; /* mem_charge */
	bit published, dying, gone;
	byte frees, grace;
	bit waits; /* destroy(), for refcnt */
};

typedef map_t {
	byte head;
	byte lock;
	byte grace;
	bit walked, freed;
};

selem_t selem[N_SELEMS];
owner_t owner[N_OWNERS];
map_t map[N_MAPS];
byte rcu;	 /* readers, a bit each */
bit ready, program_over;

/* Readers and holders: map_free of map m is m, destroy of owner o is N_MAPS + o. */
#define DESTROYER(o) (N_MAPS + (o))
#define PROGRAM_ID   (N_MAPS + N_OWNERS)
#define BIT(who)     (1 << (who))

#ifdef ONE
byte history[6]; /* bucket and storage: of map_free's first visit, its second, of destroy's */
#define RECORD(i, result) history[i] = result
#else
#define RECORD(i, result) skip
#endif

c_decl {
	/* Prints each line once. */
	static void say(const char *line)
	{
		static char *lines[4096];
		static int n;

		for (int i = 0; i < n; i++)
			if (!strcmp(lines[i], line))
				return;
		if (n == 4096)
			return;
		lines[n++] = strdup(line);
		printf("%s\n", line);
	}

	static void say_exception(int x)
	{
		static const char *const names[] = { "freed-in-bucket", "freed-on-list",
			"destroy-never-ends", "selem-never-freed", "fields-never-freed",
			"storage-never-freed", "storage-freed-under-owner",
			"walked-freed-memory", "wrote-freed-memory",
			"locked-freed-storage", "charge-never-returned" };
		char line[64];

		snprintf(line, sizeof(line), "EXCEPTION %s", names[x]);
		say(line);
	}
}

byte exception, dangled;
bit ruined; /* memory was touched that is somebody else's: what comes then proves nothing */

inline except(x)
{
	assert(FAULTS != 0);
	exception = x;
	c_code { say_exception(now.exception); };
	exception = 0;
	ruined = ruined || x == X_WALKED_FREED || x == X_WROTE_FREED || x == X_LOCKED_FREED
}

/* Handed out again: freed, and every reader of that time has gone. */
#define REUSED(s)	  (selem[s].frees && !selem[s].grace)
#define STORAGE_REUSED(o) (owner[o].frees && !owner[o].grace)

inline read_lock(who) { rcu = rcu | BIT(who) }

inline read_unlock(who)
{
	d_step {
		rcu = rcu & ~BIT(who);
		i = 0;
		do
		:: i < N_SELEMS -> selem[i].grace = selem[i].grace & ~BIT(who); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < N_OWNERS -> owner[i].grace = owner[i].grace & ~BIT(who); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < N_MAPS -> map[i].grace = map[i].grace & ~BIT(who); i++
		:: else -> break
		od;
		i = 0
	}
}

/* hlist_del_init_rcu(): writes to the neighbours, and leaves its own next alone. */
inline unhash_from_bucket(s)
{
	if
	:: map[MAP_OF(s)].head == s -> map[MAP_OF(s)].head = selem[s].bnext
	:: else ->
		i = 0;
		do
		:: i < N_SELEMS && !(selem[i].in_bucket && selem[i].bnext == s) -> i++
		:: else -> break
		od;
		if
		:: i < N_SELEMS && REUSED(i) -> except(X_WROTE_FREED)
		:: else
		fi;
		if
		:: i < N_SELEMS -> selem[i].bnext = selem[s].bnext
		:: else
		fi
	fi;
	if
	:: selem[s].bnext != NIL && REUSED(selem[s].bnext) -> except(X_WROTE_FREED)
	:: else
	fi;
	selem[s].in_bucket = 0;
	i = 0
}

inline unhash_from_list(s)
{
	if
	:: owner[OWNER_OF(s)].head == s -> owner[OWNER_OF(s)].head = selem[s].lnext
	:: else ->
		i = 0;
		do
		:: i < N_SELEMS && !(selem[i].in_list && selem[i].lnext == s) -> i++
		:: else -> break
		od;
		if
		:: i < N_SELEMS && REUSED(i) -> except(X_WROTE_FREED)
		:: else
		fi;
		if
		:: i < N_SELEMS -> selem[i].lnext = selem[s].lnext
		:: else
		fi
	fi;
	if
	:: selem[s].lnext != NIL && REUSED(selem[s].lnext) -> except(X_WROTE_FREED)
	:: else
	fi;
	selem[s].in_list = 0;
	i = 0
}

/* hlist_is_singular_node() */
#define SINGULAR(s) (owner[OWNER_OF(s)].head == s && selem[s].lnext == NIL)

/* bpf_obj_free_fields(): fields-freed-once, fields-freed-with-map */
inline free_fields(s)
{
	selem[s].fields++;
	assert(selem[s].fields <= 1);
	assert(!map[MAP_OF(s)].freed)
}

/* bpf_selem_free(): freed-exactly-once */
inline free_selem(s, in_map_free)
{
	assert(!selem[s].frees);
	selem[s].frees = 1;
	selem[s].by_map_free = in_map_free;
	selem[s].grace = rcu;
	if
	:: selem[s].smap -> free_fields(s)
	:: else
	fi;
	if
	:: selem[s].in_bucket -> except(X_FREED_IN_BUCKET)
	:: else
	fi;
	if
	:: selem[s].in_list -> except(X_FREED_ON_LIST)
	:: else
	fi
}

/* bpf_local_storage_free(): storage-freed-once, storage-unpublished-before-free */
inline free_storage_of(o)
{
	assert(!owner[o].frees);
	owner[o].frees = 1;
	owner[o].grace = rcu;
	if
	:: owner[o].published && !owner[o].dying -> except(X_DANGLING)
	:: else
	fi
}

/* uncharged-exactly-once; the owner is there: destroy-waits-for-uncharge */
inline uncharge(o, n)
{
	assert(owner[o].charge >= (n));
	owner[o].charge = owner[o].charge - (n);
	assert(!owner[o].gone)
}

#define MAY_FAIL(lock_word) (FAULTS == 1 || (FAULTS == 2 && (lock_word) && (lock_word) != me + 1))

/* What is done under the bucket lock. */
inline in_bucket_lock(s, m, h)
{
	assert(!map[m].freed);
#ifdef BREAK_FIELDS
	/* Without looking whether the other side has been there. */
	free_fields(s);
#endif
	if
	:: selem[s].in_bucket ->
		unhash_from_bucket(s);
#ifndef BREAK_FIELDS
		free_fields(s);
#endif
		unlink++;
		RECORD(h, R_OK)
	:: else -> RECORD(h, R_GONE)
	fi
}

/* Up to where bpf_selem_unlink_storage_nolock_misc() has its reference to the owner. */
inline lock_list(s, o, in_map_free, h)
{
	failed = 0;
	owner[o].lock = me + 1;
	if
	:: STORAGE_REUSED(o) -> except(X_LOCKED_FREED)
	:: else
	fi;
	last = selem[s].in_list && SINGULAR(s);
	if
	:: selem[s].in_list -> RECORD(h, R_OK)
	:: else -> RECORD(h, R_GONE)
	fi;
	pinned = selem[s].in_list && sm && in_map_free && owner[o].refcnt != 0;
	if
	:: pinned && owner[o].refcnt != SATURATED -> owner[o].refcnt++
	:: else
	fi
}

/* refcount_dec() takes 1 to 0 for an error and saturates (lib/refcount.c). */
inline unpin(o)
{
	if
	:: owner[o].refcnt == 1 -> owner[o].refcnt = SATURATED
	:: owner[o].refcnt == SATURATED
	:: else -> owner[o].refcnt--
	fi
}

inline unlock_list(s, o)
{
	if
	:: pinned ->
		uncharge(o, (1 + last));
		if
		:: last -> owner[o].published = 0
		:: else
		fi;
		unpin(o)
	:: else
	fi;
	if
	:: selem[s].in_list ->
		unhash_from_list(s);
		unlink++
	:: else
	fi;
	owner[o].lock = 0
}

inline set_bit(s, in_map_free)
{
#ifdef BREAK_BIT
	/* map_free() forgets its bit. */
	if
	:: in_map_free
	:: else -> selem[s].state = selem[s].state | STORAGE_UNLINKED
	fi
#else
	selem[s].state = selem[s].state | (in_map_free -> MAP_UNLINKED : STORAGE_UNLINKED)
#endif
}

/* bpf_local_storage_free(), and the return; locals are forgotten, for fewer states. */
inline finish_visit(o)
{
	if
	:: last -> free_storage_of(o)
	:: else
	fi;
	ls = 0;
	sm = 0;
	failed = 0;
	unlink = 0;
	last = 0;
	pinned = 0
}

/*
 * One call of bpf_selem_unlink_nofail(). Locals of the process: me, ls, sm, failed, unlink, last,
 * pinned; h is where the results go. A lock is held for a time only where that can be noticed.
 */
inline visit(s, o, m, in_map_free, h)
{
	d_step {
		selem[s].seen[1 - in_map_free] = 1;
		ls = selem[s].storage
	}
	sm = selem[s].smap;
	atomic {
		if
		:: sm && map[m].lock == 0 ->
#if FAULTS == 2
			map[m].lock = me + 1
#else
			in_bucket_lock(s, m, h)
#endif
		:: sm && MAY_FAIL(map[m].lock) -> failed = 1; RECORD(h, R_FAILED)
		:: !sm -> RECORD(h, R_SKIPPED)
		fi
	}
#if FAULTS == 2
	d_step {
		if
		:: sm && !failed ->
			in_bucket_lock(s, m, h);
			map[m].lock = 0
		:: else
		fi
	}
#endif
	d_step {
		if
		:: sm && (!failed || in_map_free) -> selem[s].smap = 0
		:: else
		fi
	}
	atomic {
		if
		:: ls && owner[o].lock == 0 -> lock_list(s, o, in_map_free, (h + 1))
		:: ls && MAY_FAIL(owner[o].lock) -> failed = 1; RECORD((h + 1), R_FAILED)
		:: !ls -> RECORD((h + 1), R_SKIPPED)
		fi
	}
	d_step {
		if
		:: ls && owner[o].lock == me + 1 -> unlock_list(s, o)
		:: else
		fi
	}
	d_step {
		if
		:: ls && (!failed || !in_map_free) -> selem[s].storage = 0
		:: else
		fi
	}
	d_step {
		if
		:: unlink != 2 -> set_bit(s, in_map_free)
		:: else
		fi
	}
#ifdef BREAK_CMPXCHG
	/* Read and write, instead of one cmpxchg. */
	failed = selem[s].state == UNLINKED;
	d_step {
		if
		:: unlink == 2 || failed ->
			if
			:: failed -> selem[s].state = TOFREE
			:: else
			fi;
#else
	d_step {
		if
		:: unlink == 2 || selem[s].state == UNLINKED ->
			if
			:: unlink != 2 -> selem[s].state = TOFREE
			:: else
			fi;
#endif
			free_selem(s, in_map_free)
		:: else
		fi;
		finish_visit(o)
	}
}

/* bpf_local_storage_map_free(), one bucket of it. */
proctype map_free(byte me) provided (!ruined)
{
	byte s, i, restarts, unlink;
	bit ls, sm, failed, last, pinned;

	ready && (program_over || MAP_OF(N_SELEMS - 1) != me);
	read_lock(me);
again:
	s = map[me].head;
	do
	:: s == NIL -> break
	:: atomic { s != NIL && REUSED(s) -> except(X_WALKED_FREED); goto stopped }
	:: s != NIL && !REUSED(s) ->
		visit(s, OWNER_OF(s), me, 1, 2 * restarts);
		if
		:: restarts < RESTARTS && me == 0 -> /* need_resched(): cond_resched_rcu() */
			restarts++;
			read_unlock(me);
			read_lock(me);
			goto again
		:: s = selem[s].bnext
		fi
	od;
	skip;
	read_unlock(me);
	d_step {
		map[me].walked = 1;
		map[me].grace = rcu
	}
end_grace: /* synchronize_rcu() */
	map[me].grace == 0;
	map[me].freed = 1;
	goto over;
stopped:
	skip;
	read_unlock(me);
over:
	skip
}

/* bpf_local_storage_destroy(), for what the owner points to. */
proctype destroy(byte o) provided (!ruined)
{
	byte s, i, unlink, me;
	bit ls, sm, failed, last, pinned;

	me = DESTROYER(o);
	ready && (program_over || OWNER_OF(N_SELEMS - 1) != o);
	read_lock(me);
	d_step {
		owner[o].dying = 1;
		s = owner[o].published && owner[o].frees;
	}
	if
	:: !owner[o].published -> goto gone
	:: owner[o].published && s -> goto dangling
	:: else
	fi;
	s = owner[o].head;
	do
	:: s == NIL -> break
	:: atomic { s != NIL && REUSED(s) -> except(X_WALKED_FREED); goto stopped }
	:: s != NIL && !REUSED(s) ->
		visit(s, o, MAP_OF(s), 0, 4);
		s = selem[s].lnext
	od;
	skip; /* Spin has no jump to a d_step */
	d_step {
		if
		:: owner[o].refcnt != SATURATED -> owner[o].refcnt--
		:: else
		fi
	}
#ifndef BREAK_WAIT
	owner[o].waits = 1;
end_refcnt:
	owner[o].refcnt == 0;
	owner[o].waits = 0;
#endif
	uncharge(o, owner[o].charge); /* what it returns */
	goto gone;
dangling:
	atomic {
		dangled = o;
		c_code { say_dangling(now.dangled); };
		dangled = 0;
		except(X_WALKED_FREED);
		goto stopped
	}
gone:
	owner[o].gone = 1;
stopped:
	skip;
	read_unlock(me)
}

#ifdef PROGRAM
/* bpf_selem_unlink() of the last selem: an error is handed back, and nothing has changed. */
proctype delete() provided (!ruined)
{
	byte s, i, me;
	bit last;

	me = PROGRAM_ID;
	s = N_SELEMS - 1;
	ready;
	if
	:: atomic { owner[OWNER_OF(s)].lock == 0 -> owner[OWNER_OF(s)].lock = me + 1 }
		if
		:: atomic { map[MAP_OF(s)].lock == 0 -> map[MAP_OF(s)].lock = me + 1 }
			last = SINGULAR(s);
			d_step {
				unhash_from_bucket(s);
				map[MAP_OF(s)].lock = 0
			}
			d_step {
				uncharge(OWNER_OF(s), 1 + last);
				if
				:: last -> owner[OWNER_OF(s)].published = 0
				:: else
				fi;
				unhash_from_list(s);
				selem[s].deleted = 1
			}
		:: MAY_FAIL(map[MAP_OF(s)].lock)
		fi;
		owner[OWNER_OF(s)].lock = 0
	:: MAY_FAIL(owner[OWNER_OF(s)].lock)
	fi;
	d_step {
		if
		:: selem[s].deleted -> free_selem(s, 0)
		:: else
		fi;
		if
		:: last -> free_storage_of(OWNER_OF(s))
		:: else
		fi;
		program_over = 1
	}
}
#endif

/* The end, once both sides have gone, or one waits for ever. */

c_code {
	static const char *const result_names[] = { "-", "ok", "failed", "gone", "skipped" };

	static void say_history(char *line, size_t size)
	{
#ifdef ONE
		size_t used = 0;

		for (int v = 0; v < 3; v++) {
			int b = now.history[2 * v], s = now.history[2 * v + 1];

			used += snprintf(line + used, size - used, "%s",
					 v == 0 ? "map_free=" : v == 1 ? "," : " destroy=");
			used += b ? snprintf(line + used, size - used, "%s/%s", result_names[b],
					     result_names[s])
				  : snprintf(line + used, size - used, "-");
		}
		strcat(line, " ");
#else
		*line = 0;
#endif
	}

	static void add(char *list, const char *name)
	{
		if (*list)
			strcat(list, ",");
		strcat(list, name);
	}

	/* Of one selem: whether it pins its owner's storage stands for the storage. */
	static void say_end(int i)
	{
		char past[128] = "", holes[128] = "", line[384];
		int o = OWNER_OF(i), freed = now.selem[i].frees;

		say_history(past, sizeof(past));
		if (!freed)
			add(holes, "selem");
		if (now.selem[i].in_list && now.selem[i].seen[1])
			add(holes, "storage");
		if (freed && (now.selem[i].in_bucket || now.selem[i].in_list))
			add(holes, "linked");
		if (!now.selem[i].fields)
			add(holes, "fields");
		snprintf(line, sizeof(line), "END %sfreed=%s holes=%s", past,
			 !freed ? "nobody" : now.selem[i].deleted ? "program" :
			 now.selem[i].by_map_free ? "map_free" : "destroy", *holes ? holes : "none");
		say(line);
		if (now.owner[o].refcnt == SATURATED && now.selem[i].seen[0] &&
		    now.selem[i].seen[1]) {
			snprintf(line, sizeof(line), "END %schance=refcnt", past);
			say(line);
		}
	}

	/* What destroy() would have returned is read from memory that was given away. */
	static void say_dangling(int o)
	{
		char past[128] = "", line[384];

		for (int i = 0; i < N_SELEMS; i++) {
			if (OWNER_OF(i) != o || now.selem[i].seen[1] || now.selem[i].in_list)
				continue;
			say_history(past, sizeof(past));
			snprintf(line, sizeof(line), "END %schance=charge,dangling", past);
			say(line);
		}
	}
}

#define STUCK(o)   (owner[o].waits && owner[o].refcnt == SATURATED)
#define OVER(o)	   (owner[o].gone || STUCK(o))
#ifdef BUCKET
#define DESTROYED (OVER(0) && OVER(1))
#else
#define DESTROYED OVER(0)
#endif
#ifdef OWNER
#define WALKED (map[0].walked && map[1].walked)
#else
#define WALKED map[0].walked
#endif

/* storage-freed-once: it is freed if and only if the list came to be empty. */
inline look_at_owner(o)
{
	if
	:: STUCK(o) -> except(X_NEVER_ENDS)
	:: else
	fi;
	if
	:: owner[o].head != NIL -> assert(!owner[o].frees); except(X_STORAGE_LEFT)
	:: else -> assert(owner[o].frees)
	fi;
	if
	:: owner[o].gone && owner[o].charge != 0 -> except(X_CHARGE_LEFT)
	:: else
	fi
}

inline look_at_selem(s)
{
	if
	:: !selem[s].frees -> except(X_SELEM_LEFT)
	:: else
	fi;
	if
	:: !selem[s].fields -> except(X_FIELDS_LEFT)
	:: else
	fi;
	/* both-sides-decide */
	assert(selem[s].state != UNLINKED);
	/* other-side-comes, as far as it holds: who was seen by both is freed */
	assert(!(selem[s].seen[0] && selem[s].seen[1]) || selem[s].frees)
}

active proctype judge() provided (!ruined)
{
	byte i;
	/* everything-ends, but for what waits for ever for owner_refcnt */
	if
	:: DESTROYED && WALKED && program_over
	:: timeout -> assert(DESTROYED && WALKED && program_over)
	fi;
	d_step {
		i = 0;
		do
		:: i < N_OWNERS -> look_at_owner(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < N_SELEMS -> look_at_selem(i); i++
		:: else -> break
		od;
		c_code { for (int s = 0; s < N_SELEMS; s++) say_end(s); };
		i = 0
	}
}

init {
	byte i;

	d_step {
		i = 0;
		do
		:: i < N_MAPS -> map[i].head = NIL; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < N_OWNERS ->
			owner[i].head = NIL;
			owner[i].refcnt = 1;
			owner[i].charge = 1;
			owner[i].published = 1;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < N_SELEMS ->
			selem[i].smap = 1;
			selem[i].storage = 1;
			selem[i].in_bucket = 1;
			selem[i].in_list = 1;
			selem[i].bnext = map[MAP_OF(i)].head;
			map[MAP_OF(i)].head = i;
			selem[i].lnext = owner[OWNER_OF(i)].head;
			owner[OWNER_OF(i)].head = i;
			owner[OWNER_OF(i)].charge++;
			i++
		:: else -> break
		od;
		i = 0
	}
	atomic {
		do
		:: i < N_MAPS -> run map_free(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < N_OWNERS -> run destroy(i); i++
		:: else -> break
		od;
#ifdef PROGRAM
		run delete();
#else
		program_over = 1;
#endif
		ready = 1
	}
}
