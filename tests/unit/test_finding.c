// SPDX-License-Identifier: GPL-2.0-only
/*
 * Findings: signatures, what each file says, which have a directory, what is counted live. The
 * sources are included, so that what they ask of programs.h is answered here; files go to a
 * temporary directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "finding.c"
#include "finding_history.c"
#include "finding_words.c"

static struct soak_fault faults[FAULTS_SHOWN + 8];
static size_t n_faults;
static struct soak_inspect memory;
static struct soak_suspect suspects[SOAK_SUSPECT_NR][SOAK_SUSPECTS];
static size_t n_suspects[SOAK_SUSPECT_NR];

const struct soak_fault *programs_faults(const struct programs *programs, size_t *ret_n)
{
	(void)programs;
	*ret_n = n_faults;
	return faults;
}

int programs_inspect(const struct programs *programs, uint64_t selem, struct soak_inspect *ret)
{
	(void)programs;
	*ret = memory;
	ret->selem = selem;
	return memory.readable ? 0 : -EFAULT;
}

const struct soak_suspect *programs_suspects(const struct programs *programs,
					     unsigned int suspicion, size_t *ret_n)
{
	(void)programs;
	*ret_n = n_suspects[suspicion];
	return suspects[suspicion];
}

static char dir[] = "/tmp/test_finding.XXXXXX";
static struct config config;
static struct probe probe;
static struct snapshot now;
static struct kmsg *kmsg;
static struct findings *findings;

static char *in_dir(const char *name)
{
	char *path = format("%s/%s", dir, name);

	assert_non_null(path);
	return path;
}

/* The kernel's log holds one record. */
static void log_says_at(uint64_t us, const char *text)
{
	_cleanup_free_ char *path = in_dir("kmsg");
	_cleanup_free_ char *record =
		format("4,1,%llu,-;%s\n SUBSYSTEM=x\n", (unsigned long long)us, text);

	assert_int_equal(write_file_atomic(path, record, strlen(record)), 0);
}

static void log_says(const char *text)
{
	log_says_at(now_ns() / 1000, text);
}

/* "" when it is not there. */
static char *content(const char *name)
{
	_cleanup_free_ char *path = in_dir(name);
	char *text = NULL;

	return read_file(path, &text, NULL) < 0 ? strdup("") : text;
}

static bool exists(const char *name)
{
	_cleanup_free_ char *path = in_dir(name);

	return !access(path, F_OK);
}

static void expect_in(const char *name, const char *part)
{
	_cleanup_free_ char *text = content(name);

	if (!strstr(text, part))
		fail_msg("not in %s: '%s'; it says:\n%s", name, part, text);
}

static void expect_first_line(const char *name, const char *line)
{
	_cleanup_free_ char *text = content(name);

	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, line);
}

static int begin(void **state)
{
	char *const argv[] = { "bpfsoakd", "run", "--seed=4711", "--duration=10m", "--maps=2" };
	_cleanup_free_ char *log = NULL, *console = NULL;
	struct findings_options options;

	(void)state;
	strcpy(strrchr(dir, '.') + 1, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	memset(&config, 0, sizeof(config));
	assert_int_equal(config_parse(ARRAY_SIZE(argv), (char **)argv, &config), 0);
	config.report_dir = strdup(dir);
	strcpy(probe.release, "7.3.4-no-such-kernel");
	strcpy(probe.cpu_model, "queued, a CPU");
	now = (struct snapshot){ .elapsed_ns = 12 * NSEC_PER_SEC };
	strcpy(now.kernel_release, probe.release);
	strcpy(now.cpu_model, probe.cpu_model);
	n_faults = 0;
	memset(&memory, 0, sizeof(memory));
	memset(suspects, 0, sizeof(suspects));
	memset(n_suspects, 0, sizeof(n_suspects));
	log = in_dir("kmsg");
	console = in_dir("console");
	log_says("hello from the kernel");
	assert_int_equal(write_file_atomic(console, "", 0), 0);
	assert_int_equal(kmsg_new("/dev/null", &kmsg), 0);
	options = (struct findings_options){ .dir = config.report_dir,
					     .console = console,
					     .kmsg_device = log,
					     .replay_base = "scripts/soak --kernel K",
					     .config = &config,
					     .probe = &probe,
					     .programs = (void *)&config,
					     .kmsg = kmsg,
					     .now = &now };
	/* Borrowed for as long as there are findings. */
	options.console = strdup(console);
	options.kmsg_device = strdup(log);
	assert_int_equal(findings_new(&options, &findings), 0);
	return 0;
}

static int end(void **state)
{
	_cleanup_free_ char *command = format("rm -rf %s", dir);

	(void)state;
	free((void *)findings->options.console);
	free((void *)findings->options.kmsg_device);
	findings_free(findings);
	kmsg_free(kmsg);
	config_free(&config);
	return system(command);
}

/* What a destroy() that failed the storage lock leaves. */
static struct soak_slot leaked_slot(void)
{
	return (struct soak_slot){
		.key = 0xff00aa00,
		.flags = SOAK_BORN_A | SOAK_BORN_B,
		.map_id = 482,
		.owner = 0xff00bb00,
		.storage = 0xff00cc00,
		.birth_ns = 1000 * NSEC_PER_SEC,
		.kind = SOAK_SK,
		.elem_size = 112,
		.visit[SOAK_DESTROY] = { .visits = 1,
					 .bucket = SOAK_LOCK_OK,
					 .storage = SOAK_LOCK_TIMEOUT,
					 .state = 2,
					 .entry_ns = 1000 * NSEC_PER_SEC + 5 * NSEC_PER_MSEC,
					 .duration_us = 297243,
					 .failed = 1,
					 .kinds = 1u << FAULT_ORGANIC },
	};
}

static struct finding hole_of(const struct soak_slot *slot)
{
	return (struct finding){ .class = FINDING_UNDOCUMENTED,
				 .hole = HOLE_SELEM,
				 .kind = FAULT_ORGANIC,
				 .slot = slot };
}

#define LEAK_DIR "findings/001-hole_selem-organic-destroy.ok.timeout"

static void test_signatures(void **state)
{
	struct soak_slot slot = leaked_slot();
	struct soak_storage storage = { .flags = SOAK_BORN_A };
	struct finding f = hole_of(&slot);
	char text[SIGNATURE_MAX], other[SIGNATURE_MAX];

	(void)state;
	findings_signature(&f, text, sizeof(text));
	assert_string_equal(text, "hole_selem-organic-destroy.ok.timeout");
	/* Where it lies and when it happened make no difference. */
	slot.key++;
	slot.owner++;
	slot.map_id++;
	slot.visit[SOAK_DESTROY].duration_us++;
	findings_signature(&f, other, sizeof(other));
	assert_string_equal(text, other);
	/* What happened does. */
	f.kind = FAULT_FORCED;
	findings_signature(&f, other, sizeof(other));
	assert_string_equal(other, "hole_selem-forced-destroy.ok.timeout");
	slot.visit[SOAK_MAP_FREE] = (struct soak_visit){ .entry_ns = 1, .pid = 7 };
	findings_signature(&f, other, sizeof(other));
	assert_string_equal(other, "hole_selem-forced-map_free.open-destroy.ok.timeout");

	f = (struct finding){ .violation = VIOLATION_DOUBLE_FREE, .kind = FAULT_NR, .slot = &slot };
	slot = (struct soak_slot){ .flags = SOAK_FREED_A, .free_by = SOAK_FREE_PROGRAM };
	findings_signature(&f, text, sizeof(text));
	assert_string_equal(text, "double_free-none-by_program");
	f = (struct finding){ .violation = VIOLATION_STORAGE_LEAK,
			      .kind = FAULT_NR,
			      .storage = &storage };
	findings_signature(&f, text, sizeof(text));
	assert_string_equal(text, "storage_leak-none-not_destroyed");
	/* It names a directory. */
	f = (struct finding){ .violation = VIOLATION_KERNEL_LOG,
			      .kind = FAULT_NR,
			      .detail = "../x y\"" };
	findings_signature(&f, text, sizeof(text));
	assert_string_equal(text, "kernel_log-none-.._x_y_");
}

static void test_every_violation_has_its_words(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < VIOLATION_NR; v++) {
		struct finding f = { .violation = v, .kind = FAULT_NR };

		assert_non_null(finding_why(&f));
		assert_non_null(finding_claim(&f));
		assert_non_null(finding_what(&f));
	}
	for (unsigned int h = 0; h < HOLE_NR; h++) {
		struct finding f = { .class = FINDING_DOCUMENTED, .hole = h };

		assert_ptr_equal(finding_why(&f), holes[h].why);
		assert_ptr_equal(finding_claim(&f), holes[h].claim);
	}
	assert_string_equal(finding_why(&(struct finding){ .why = "mine" }), "mine");
	assert_string_equal(finding_claim(&(struct finding){ .claim = "mine" }), "mine");
}

static void test_a_hole_is_written_whole(void **state)
{
	struct soak_slot slot = leaked_slot();
	struct finding f = hole_of(&slot);

	(void)state;
	faults[0] = (struct soak_fault){ .ns = 1000 * NSEC_PER_SEC + 302 * NSEC_PER_MSEC,
					 .selem = slot.key,
					 .storage = slot.storage,
					 .owner = slot.owner,
					 .map_id = 482,
					 .site = SOAK_SITE_DESTROY_STORAGE,
					 .result = SOAK_LOCK_TIMEOUT,
					 .duration_us = 297243,
					 .kind = FAULT_ORGANIC };
	/* A neighbour's, of the same map; one before its birth; one of others. */
	faults[1] = (struct soak_fault){ .ns = 1001 * NSEC_PER_SEC, .map_id = 482, .owner = 0xbad };
	faults[2] = (struct soak_fault){ .ns = 1, .owner = slot.owner, .duration_us = 666000 };
	faults[3] = (struct soak_fault){ .ns = 1002 * NSEC_PER_SEC, .owner = 0xeee };
	n_faults = 4;
	memory = (struct soak_inspect){ .readable = 1, .state = 2, .storage_pprev = 1 };
	memory.value.magic = SOAK_VALUE_MAGIC;
	now.state = RUN_JUDGING;
	log_says_at(1000200000, "hello from the kernel");
	/* An earlier visit failed otherwise: the log knows which was this one's. */
	slot.visit[SOAK_DESTROY].kinds |= 1u << FAULT_CONTENDED;
	findings_add(findings, &f);

	expect_first_line(LEAK_DIR "/summary.txt", "FAULTS WERE INJECTED: organic");
	expect_in(LEAK_DIR "/summary.txt", "undocumented hole");
	expect_in(LEAK_DIR "/summary.txt", "Why wrong: The map is freed and the owner is dead");
	expect_in(LEAK_DIR "/summary.txt", "Claim:     every element is freed exactly once");
	expect_in(LEAK_DIR "/summary.txt", "when the run was judged");
	expect_in(LEAK_DIR "/summary.txt", "Signature: hole_selem-organic-destroy.ok.timeout\n");
	expect_in(LEAK_DIR "/history.txt", "+5.000 ms  destroy\n");
	expect_in(LEAK_DIR "/history.txt", "bucket lock   ok\n");
	expect_in(LEAK_DIR "/history.txt", "storage lock  timeout (organic)\n");
	expect_in(LEAK_DIR "/history.txt", "state after   0x2 = STORAGE_UNLINKED\n");
	expect_in(LEAK_DIR "/history.txt", "took          297.243 ms\n");
	expect_in(LEAK_DIR "/history.txt", "no visit of map_free was seen\n");
	expect_in(LEAK_DIR "/history.txt", "never freed\n");
	expect_in(LEAK_DIR "/history.txt", "owner's list  still on it\n");
	expect_in(LEAK_DIR "/history.txt", "+302.000 ms  destroy_storage timeout (organic)");
	expect_in(LEAK_DIR "/history.txt", "owner 0xbad");
	expect_in(LEAK_DIR "/kmsg.txt", "] hello from the kernel\n");
	expect_in(LEAK_DIR "/system.txt", "seed            4711\n");
	expect_in(LEAK_DIR "/system.txt", "rqspinlock      queued");
	expect_in(LEAK_DIR "/system.txt", "maps = 2\n");
	expect_first_line(LEAK_DIR "/replay",
			  "scripts/soak --kernel K --duration=600s -- --seed=4711 --maps=2");
	assert_true(exists(LEAK_DIR "/kernel-config") || exists(LEAK_DIR "/kernel-config.gz"));
	expect_in("console", "bpfsoakd: finding 001-hole_selem-organic-destroy.ok.timeout: FAULTS "
			     "WERE INJECTED: organic; undocumented: ");
	expect_in("console", "; seed 4711\n");
}

static void test_history_leaves_out_what_is_not_of_it(void **state)
{
	_cleanup_free_ char *text = NULL;

	test_a_hole_is_written_whole(state);
	text = content(LEAK_DIR "/history.txt");
	assert_null(strstr(text, "666.000"));
	assert_null(strstr(text, "0xeee"));
}

static void test_first_lines(void **state)
{
	struct finding f = { .violation = VIOLATION_VALUE, .kind = FAULT_NR };

	(void)state;
	config.findings = 100;
	strcpy(now.accusation, "worker 7: a value is not what it was");
	findings_add(findings, &f);
	expect_first_line("findings/001-value-none/summary.txt", "NO FAULT WAS INJECTED");
	expect_in("findings/001-value-none/summary.txt",
		  "Said:      worker 7: a value is not what it was\n");
	/* No failed lock in its own history: whatever there was in this run. */
	f.violation = VIOLATION_OMEM;
	now.kinds[FAULT_FORCED] = true;
	now.timeouts[FAULT_ORGANIC][SOAK_SITE_UPDATE] = 1;
	findings_add(findings, &f);
	expect_first_line("findings/002-omem-none/summary.txt",
			  "FAULTS WERE INJECTED: organic, forced");
	expect_in("findings/002-omem-none/summary.txt", "No failed lock is known in the history");
	f.kind = FAULT_CONTENDED;
	findings_add(findings, &f);
	expect_first_line("findings/003-omem-contended/summary.txt",
			  "FAULTS WERE INJECTED: contended");
	expect_in("findings/003-omem-contended/summary.txt", "12.0 s after the start");
	/* Seen after 12 s: long enough to see it twice, and a minute at least. */
	expect_first_line("findings/003-omem-contended/replay",
			  "scripts/soak --kernel K --duration=60s -- --seed=4711 --maps=2 "
			  "--findings=100");
}

static void test_duplicates_are_counted(void **state)
{
	struct soak_slot slot = leaked_slot();
	struct finding f = hole_of(&slot);

	(void)state;
	findings_add(findings, &f);
	slot.key = 0xff00dd00;
	f.count = 41;
	findings_add(findings, &f);
	findings_watch(findings);
	assert_false(exists("findings/002-hole_selem-organic-destroy.ok.timeout"));
	expect_in("findings/index.json",
		  "{ \"signature\": \"hole_selem-organic-destroy.ok.timeout\", \"class\": "
		  "\"undocumented\", \"count\": 42, \"directory\": "
		  "\"001-hole_selem-organic-destroy.ok.timeout\" }");
	findings_read(findings, &now);
	assert_int_equal(now.findings[FINDING_UNDOCUMENTED], 1);
	assert_int_equal(now.findings[FINDING_VIOLATION], 0);
	assert_int_equal(now.finding_dirs, 1);
}

/* Holes have half of the room at most, and come last: violations keep the other half. */
static void test_room(void **state)
{
	struct soak_slot slot = leaked_slot();
	struct finding f = hole_of(&slot);

	(void)state;
	config.findings = 3;
	for (unsigned int kind = 0; kind < FAULT_NR; kind++) {
		f.kind = kind;
		findings_add(findings, &f);
	}
	assert_int_equal(findings->dirs, 2);
	f = (struct finding){ .violation = VIOLATION_VALUE, .kind = FAULT_NR };
	findings_add(findings, &f);
	assert_true(exists("findings/003-value-none"));
	f.violation = VIOLATION_HELD;
	findings_add(findings, &f);
	assert_int_equal(findings->dirs, 3);
	expect_in("findings/index.json",
		  "{ \"signature\": \"held-none\", \"class\": \"violation\", \"count\": 1 }");
	/* It is told nevertheless. */
	expect_in("console", "bpfsoakd: finding held-none: NO FAULT WAS INJECTED; violation: ");
}

static void test_no_room_at_all(void **state)
{
	struct finding f = { .violation = VIOLATION_VALUE, .kind = FAULT_NR };

	(void)state;
	config.findings = 0;
	findings_add(findings, &f);
	assert_int_equal(findings->dirs, 0);
	expect_in("findings/index.json", "\"value-none\"");
	findings_add(NULL, &f);
	findings_watch(NULL);
}

static void test_too_many_signatures(void **state)
{
	struct finding f = { .violation = VIOLATION_VALUE, .kind = FAULT_NR };

	(void)state;
	for (unsigned int i = 0; i < SIGNATURES_MAX + 5; i++) {
		char detail[16];

		snprintf(detail, sizeof(detail), "%u", i);
		f.detail = detail;
		findings_add(findings, &f);
	}
	findings_watch(findings);
	expect_in("findings/index.json", "\"beyond\": 5\n");
	assert_int_equal(findings->dirs, 8);
}

/* What is counted live becomes a finding once, with the object that BPF kept. */
static void test_suspects(void **state)
{
	struct soak_suspect *suspect = &suspects[SOAK_SUSPECT_DOUBLE_FREE][0];

	(void)state;
	suspect->slot = leaked_slot();
	suspect->slot.flags |= SOAK_FREED_A;
	suspect->slot.free_by = SOAK_FREE_DESTROY;
	suspect->object = suspect->slot.key;
	suspect->pid = 77;
	strcpy(suspect->comm, "kworker/0:1");
	n_suspects[SOAK_SUSPECT_DOUBLE_FREE] = 1;
	/* Counted, and still being written down: not yet a finding without an object. */
	now.violations[VIOLATION_DOUBLE_FREE] = 1;
	findings_watch(findings);
	assert_int_equal(findings->n_entries, 0);
	suspect->ns = 1001 * NSEC_PER_SEC;
	findings_watch(findings);
	findings_watch(findings);
	assert_int_equal(findings->n_entries, 1);
	assert_int_equal(findings->entries[0].count, 1);
	assert_string_equal(findings->entries[0].signature,
			    "double_free-organic-by_destroy-destroy.ok.timeout");
	expect_in("findings/001-double_free-organic-by_destroy-destroy.ok.timeout/history.txt",
		  "+1000.000 ms  noticed, and noted down as above: object 0xff00aa00, thread 77 "
		  "(kworker/0:1) on CPU 0, at station 0 of a free\n");
}

/* One that never came whole is no reason to say nothing at all. */
static void test_a_lost_suspect_is_counted(void **state)
{
	(void)state;
	n_suspects[SOAK_SUSPECT_DOUBLE_FREE] = 1;
	now.violations[VIOLATION_DOUBLE_FREE] = 1;
	findings_watch(findings);
	assert_int_equal(findings->n_entries, 0);
	now.state = RUN_JUDGING;
	findings_watch(findings);
	assert_int_equal(findings->n_entries, 1);
	assert_string_equal(findings->entries[0].signature, "double_free-none-more");
}

static void test_more_than_were_kept(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < SOAK_SUSPECTS; i++) {
		suspects[SOAK_SUSPECT_OMEM][i].ns = 1;
		suspects[SOAK_SUSPECT_OMEM][i].detail = 112;
	}
	n_suspects[SOAK_SUSPECT_OMEM] = SOAK_SUSPECTS;
	now.violations[VIOLATION_OMEM] = 100;
	findings_watch(findings);
	assert_int_equal(findings->n_entries, 2);
	assert_int_equal(findings->entries[0].count, SOAK_SUSPECTS);
	assert_string_equal(findings->entries[1].signature, "omem-none-more");
	assert_int_equal(findings->entries[1].count, 100 - SOAK_SUSPECTS);
	assert_int_equal(findings->dirs, 1);
}

static void test_linked_holes_are_counted(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < SOAK_SUSPECTS; i++) {
		suspects[SOAK_SUSPECT_LINKED][i] =
			(struct soak_suspect){ .ns = 1, .detail = FAULT_FORCED };
		suspects[SOAK_SUSPECT_LINKED][i].slot = leaked_slot();
	}
	n_suspects[SOAK_SUSPECT_LINKED] = SOAK_SUSPECTS;
	now.holes[HOLE_LINKED][FAULT_FORCED] = 100;
	findings_watch(findings);
	findings_watch(findings);
	assert_int_equal(findings->n_entries, 2);
	assert_string_equal(findings->entries[0].signature,
			    "hole_linked-forced-destroy.ok.timeout");
	assert_string_equal(findings->entries[1].signature, "hole_linked-forced-more");
	assert_int_equal(findings->entries[1].count, 100 - SOAK_SUSPECTS);
	assert_int_equal(findings->dirs, 1);
}

/* An oracle that only counts, whichever it is. */
static void test_counts(void **state)
{
	(void)state;
	now.violations[VIOLATION_HELD] = 2;
	findings_watch(findings);
	findings_watch(findings);
	assert_int_equal(findings->n_entries, 1);
	assert_int_equal(findings->entries[0].count, 2);
	/* Added by somebody who knows more: not once more by the count. */
	findings_add(findings,
		     &(struct finding){ .violation = VIOLATION_SELEM_LEAK, .kind = FAULT_NR });
	now.violations[VIOLATION_SELEM_LEAK] = 1;
	findings_watch(findings);
	assert_int_equal(findings->n_entries, 2);
	assert_int_equal(findings->entries[1].count, 1);
}

static void test_kernel_log(void **state)
{
	static const char first[] = "4,10,9000000,-;WARNING: lib/refcount.c:28 at "
				    "refcount_warn_saturate+0xba/0x110, CPU#1: kworker/1:2/99\n";
	static const char second[] = "4,11,9000100,-;Call Trace:\n";
	static const char documented[] =
		"4,20,19000000,-;WARNING: kernel/bpf/bpf_local_storage.c:400 at "
		"bpf_selem_unlink_nofail+0x1/0x2, CPU#1: kworker/1:2/99\n";

	(void)state;
	kmsg_feed_record(kmsg, first, strlen(first));
	kmsg_feed_record(kmsg, second, strlen(second));
	kmsg_feed_record(kmsg, documented, strlen(documented));
	now.violations[VIOLATION_KERNEL_LOG] = 1;
	findings_watch(findings);
	assert_int_equal(findings->n_entries, 1);
	assert_string_equal(findings->entries[0].signature,
			    "kernel_log-none-refcount-refcount_warn_saturate");
	expect_in("findings/001-kernel_log-none-refcount-refcount_warn_saturate/kmsg.txt",
		  "The report\n\nWARNING: lib/refcount.c:28 at refcount_warn_saturate");
	expect_in("findings/001-kernel_log-none-refcount-refcount_warn_saturate/summary.txt",
		  "           refcount: WARNING: lib/refcount.c:28");
}

/* The kernel may go on speaking for a moment. */
static void test_kernel_log_is_brought_up_to_date(void **state)
{
	struct finding f = { .violation = VIOLATION_VALUE, .kind = FAULT_NR };

	(void)state;
	findings_add(findings, &f);
	log_says("and goodbye");
	findings_watch(findings);
	expect_in("findings/001-value-none/kmsg.txt", "] and goodbye\n");
}

static void test_functions_of_reports(void **state)
{
	static const struct {
		const char *text, *function;
	} cases[] = {
		{ "BUG: KASAN: slab-use-after-free in hlist_del+0x12/0x34\nRead of size 8",
		  "hlist_del" },
		{ "BUG: kernel NULL pointer dereference, address: 0000000000000010\n#PF: x\n"
		  "RIP: 0010:bpf_selem_free.isra.0+0x1a/0x90\n",
		  "bpf_selem_free.isra.0" },
		{ "Oops: general protection fault\nRIP: 0010:f+0x1/0x2", "f" },
		{ "INFO: task x blocked for more than 120 seconds.", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char function[64];

		find_function(cases[i].text, function, sizeof(function));
		assert_string_equal(function, cases[i].function);
	}
}

static void test_records(void **state)
{
	const struct slice slice = { 10, 7000000 };
	char late[] = "4,3,7000001,-;late\n";
	char user[] = "12,2,6000000,-;systemd says\n", old[] = "4,1,5,-;old\n", bad[] = "bad";
	char line[128];

	(void)state;
	assert_true(format_record(user, strlen(user), &slice, line, sizeof(line)) > 0);
	assert_string_equal(line, "[    6.000000] (user space) systemd says\n");
	assert_int_equal(format_record(old, strlen(old), &slice, line, sizeof(line)), 0);
	assert_int_equal(format_record(late, strlen(late), &slice, line, sizeof(line)), 0);
	assert_int_equal(format_record(bad, strlen(bad), &slice, line, sizeof(line)), 0);
}

/* Found at the end, it happened long before: that is where to look. */
static void test_slices(void **state)
{
	struct soak_slot slot = leaked_slot();
	struct soak_storage storage = { .destroy_ns = 50 * NSEC_PER_SEC };
	struct finding f = hole_of(&slot), empty = { .kind = FAULT_NR };
	struct slice slice;

	(void)state;
	now.state = RUN_JUDGING;
	slot.visit[SOAK_MAP_FREE].entry_ns = 1100 * NSEC_PER_SEC;
	slice = slice_of(findings, &f);
	assert_int_equal(slice.from_us, 1000005000 - SLICE_MARGIN_US);
	assert_int_equal(slice.to_us, 1100000000 + SLICE_MARGIN_US);
	f = (struct finding){ .kind = FAULT_NR, .storage = &storage };
	slice = slice_of(findings, &f);
	assert_int_equal(slice.from_us, 50000000 - SLICE_MARGIN_US);
	assert_int_equal(slice.to_us, 50000000 + SLICE_MARGIN_US);
	slice = slice_of(findings, &empty);
	assert_true(slice.to_us == UINT64_MAX);
	now.state = RUN_CHURNING;
	slice = slice_of(findings, &f);
	assert_true(slice.to_us == UINT64_MAX);
	assert_true(slice.from_us >= findings->start_us - SLICE_MARGIN_US);
}

/* A directory that cannot be made does not end the run, and the console is told. */
static void test_unwritable(void **state)
{
	struct finding f = { .violation = VIOLATION_VALUE, .kind = FAULT_NR };

	(void)state;
	findings->options.dir = "/proc/no/such";
	findings_add(findings, &f);
	assert_true(findings->write_failed);
	expect_in("console", "value-none");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_signatures),
		TEST(test_every_violation_has_its_words),
		TEST(test_a_hole_is_written_whole),
		TEST(test_history_leaves_out_what_is_not_of_it),
		TEST(test_first_lines),
		TEST(test_duplicates_are_counted),
		TEST(test_room),
		TEST(test_no_room_at_all),
		TEST(test_too_many_signatures),
		TEST(test_suspects),
		TEST(test_a_lost_suspect_is_counted),
		TEST(test_more_than_were_kept),
		TEST(test_linked_holes_are_counted),
		TEST(test_counts),
		TEST(test_kernel_log),
		TEST(test_kernel_log_is_brought_up_to_date),
		TEST(test_functions_of_reports),
		TEST(test_records),
		TEST(test_slices),
		TEST(test_unwritable),
	};

	log_init(LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
