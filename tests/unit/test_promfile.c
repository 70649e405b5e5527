// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stats file as it is read: everything that stats.c writes comes back, every malformed line is
 * refused by its number, and no change to a file makes the reader step outside of it (which the
 * sanitizers would see).
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "promfile.h"
#include "stats.h"
#include "util.h"

static struct promfile *parsed(const char *text)
{
	struct promfile *file = NULL;
	struct prom_error error;

	if (promfile_parse(text, strlen(text), &file, &error))
		fail_msg("line %u: %s", error.line, error.what);
	return file;
}

static void assert_refused(const char *text, size_t len, unsigned int line, const char *what)
{
	struct promfile *file = NULL;
	struct prom_error error;

	assert_int_equal(promfile_parse(text, len, &file, &error), -EINVAL);
	assert_null(file);
	assert_string_equal(error.what, what);
	assert_int_equal(error.line, line);
}

static void test_samples(void **state)
{
	_cleanup_(promfile_freep) struct promfile *file =
		parsed("# HELP a_total What \\n it is.\n"
		       "# TYPE a_total counter\n"
		       "\n"
		       "a_total 3\n"
		       "  b{} -1.5e3 1700000000000\n"
		       "c:d{x=\"1\",y=\"two\",}\t7\r\n"
		       "c:d { x = \"1\" , y=\"three\" } 8\n"
		       "n NaN\nn +Inf\nn 4\n");
	const struct prom_sample *s;

	(void)state;
	assert_int_equal(file->n_samples, 7);
	assert_true(promfile_sum(file, "a_total", NULL) == 3);
	assert_true(promfile_sum(file, "b", NULL) == -1500);
	assert_true(promfile_sum(file, "c:d", NULL) == 15);
	assert_true(promfile_sum(file, "c:d", "x", "1", "y", "three", NULL) == 8);
	assert_true(promfile_sum(file, "c:d", "x", "2", NULL) == 0);
	assert_true(promfile_sum(file, "absent", NULL) == 0);
	assert_true(promfile_sum(file, "n", NULL) == 4); /* what is no number is not added */
	s = promfile_next(file, "c:d", NULL);
	assert_int_equal(s->line, 6);
	assert_string_equal(prom_label(file, s, "y"), "two");
	assert_string_equal(prom_label(file, s, "z"), "");
	s = promfile_next(file, "c:d", s);
	assert_string_equal(prom_label(file, s, "y"), "three");
	assert_null(promfile_next(file, "c:d", s));
}

static void test_escapes(void **state)
{
	_cleanup_(promfile_freep) struct promfile *file =
		parsed("a{x=\"q\\\"uote\",y=\"back\\\\slash\",z=\"new\\nline, } and {\"} 1\n");
	const struct prom_sample *s = promfile_next(file, "a", NULL);

	(void)state;
	assert_string_equal(prom_label(file, s, "x"), "q\"uote");
	assert_string_equal(prom_label(file, s, "y"), "back\\slash");
	assert_string_equal(prom_label(file, s, "z"), "new\nline, } and {");
}

static void test_nothing(void **state)
{
	_cleanup_(promfile_freep) struct promfile *file = parsed("");

	(void)state;
	assert_int_equal(file->n_samples, 0);
}

static void test_malformed(void **state)
{
	static const struct {
		const char *line;
		const char *what;
	} cases[] = {
		{ "1a 3", "neither a comment nor the name of a metric" },
		{ "{x=\"1\"} 3", "neither a comment nor the name of a metric" },
		{ "a", "'' is not a number" },
		{ "a ", "'' is not a number" },
		{ "a x", "'x' is not a number" },
		{ "a 0x10", "'0x10' is not a number" },
		{ "a infinity", "'infinity' is not a number" },
		{ "a 1.2.3", "'1.2.3' is not a number" },
		{ "a --1", "'--1' is not a number" },
		{ "a 1e", "'1e' is not a number" },
		{ "a-b 1", "no blank before the value" },
		{ "a{x=\"1\"}1", "no blank before the value" },
		{ "a 1 2 3", "something follows the value" },
		{ "a 1 now", "something follows the value" },
		{ "a{x} 1", "no '=' after a label name" },
		{ "a{x=1} 1", "a label value does not begin with '\"'" },
		{ "a{x=\"1} 1", "a label value does not end" },
		{ "a{x=\"1\\", "a label value does not end" },
		{ "a{x=\"1\" 1", "neither ',' nor '}' after a label" },
		{ "a{x=\"1\"", "neither ',' nor '}' after a label" },
		{ "a{,} 1", "no label name after '{' or ','" },
		{ "a{x:y=\"1\"} 1", "no '=' after a label name" },
		{ "a{x=\"1\",x=\"2\"} 1", "the label x stands there twice" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = format("# fine\nok 1\n%s\nfine 2\n", cases[i].line);

		assert_refused(text, strlen(text), 3, cases[i].what);
	}
}

static void test_cut_short(void **state)
{
	(void)state;
	assert_refused("a 1\nb 2", 7, 2, "the file ends in the middle of a line");
	assert_refused("a 1\nb\0 2\n", 9, 2, "a NUL byte: this is not a text file");
}

static void test_limits(void **state)
{
	_cleanup_free_ char *huge = calloc(1, PROM_BYTES_MAX + 1), *many = NULL, *wide = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&many, &len);

	(void)state;
	assert_non_null(huge);
	assert_non_null(out);
	assert_refused(huge, PROM_BYTES_MAX + 1, 0, "larger than 8 MiB");
	for (unsigned int i = 0; i <= PROM_SAMPLES_MAX; i++)
		fputs("a 1\n", out);
	assert_int_equal(fclose(out), 0);
	assert_refused(many, len, PROM_SAMPLES_MAX + 1, "more than 65536 samples");
	out = open_memstream(&wide, &len);
	assert_non_null(out);
	fputs("a{", out);
	for (unsigned int i = 0; i <= PROM_LABELS_MAX; i++)
		fprintf(out, "l%u=\"\",", i);
	fputs("} 1\n", out);
	assert_int_equal(fclose(out), 0);
	assert_refused(wide, len, 1, "more than 16 labels");
}

/* What no run has, so that nothing is 0 by chance. */
static struct snapshot *busy_snapshot(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->kernel_release, "7.3.4-\"odd\"\\release");
	strcpy(s->cpu_model, "queued");
	strcpy(s->inject, "stall");
	s->seed = UINT64_MAX;
	s->start_realtime = 1767225600.25;
	s->elapsed_ns = 1500 * NSEC_PER_MSEC;
	s->owners_by_kind[SOAK_SK] = 600;
	s->owners_by_kind[SOAK_TASK] = 60;
	s->violations[VIOLATION_OMEM] = 3;
	s->holes[HOLE_SELEM][FAULT_ORGANIC] = 9;
	s->c.coverage[SOAK_DESTROY][SOAK_LOCK_OK][SOAK_LOCK_TIMEOUT][SOAK_LEFT][FAULT_ORGANIC] = 5;
	s->n_workers = 2;
	s->workers[1].ops = 77;
	s->verdict = VERDICT_RUNNING;
	return s;
}

static void test_reads_what_stats_writes(void **state)
{
	_cleanup_free_ struct snapshot *s = busy_snapshot();
	_cleanup_free_ char *text = stats_format(s);
	_cleanup_(promfile_freep) struct promfile *file = NULL;
	const struct prom_sample *info;

	(void)state;
	assert_non_null(text);
	file = parsed(text);
	info = promfile_next(file, "bpfsoakd_build_info", NULL);
	assert_string_equal(prom_label(file, info, "kernel_release"), s->kernel_release);
	assert_string_equal(prom_label(file, info, "seed"), "18446744073709551615");
	assert_true(promfile_sum(file, "bpfsoakd_owners_born_total", NULL) == 660);
	assert_true(promfile_sum(file, "bpfsoakd_owners_born_total", "owner", "task", NULL) == 60);
	assert_true(promfile_sum(file, "bpfsoakd_uptime_seconds", NULL) == 1.5);
	assert_true(promfile_sum(file, "bpfsoakd_violations_total", "violation", "omem", NULL) ==
		    3);
	assert_true(promfile_sum(file, "bpfsoakd_visits_total", "side", "destroy", "bucket", "ok",
				 "storage", "timeout", NULL) == 5);
	assert_true(promfile_sum(file, "bpfsoakd_worker_operations_total", "worker", "1", NULL) ==
		    77);
	assert_true(promfile_sum(file, "bpfsoakd_verdict", "verdict", "RUNNING", NULL) == 1);
}

/* Whatever is done to a file, it is read or refused, with a line that it has. */
static void test_damaged_files(void **state)
{
	_cleanup_free_ struct snapshot *s = busy_snapshot();
	_cleanup_free_ char *text = stats_format(s);
	size_t len;

	(void)state;
	assert_non_null(text);
	len = strlen(text);
	srand(7);
	for (unsigned int i = 0; i < 2000; i++) {
		_cleanup_(promfile_freep) struct promfile *file = NULL;
		size_t cut = i % 2 ? len : (size_t)rand() % len;
		/* Of its own size, so that a byte too far is seen. */
		_cleanup_free_ char *damaged = malloc(cut + 1);
		struct prom_error error;
		int r;

		assert_non_null(damaged);
		memcpy(damaged, text, cut);
		for (unsigned int j = 0; cut && j < i % 7; j++)
			damaged[(size_t)rand() % cut] = "{}\",=\\ \n#\0x1"[rand() % 12];
		r = promfile_parse(damaged, cut, &file, &error);
		assert_true(!r || (r == -EINVAL && error.line && *error.what));
	}
}

static void test_files(void **state)
{
	char dir[] = "/tmp/test_promfile.XXXXXX";
	_cleanup_free_ char *path = NULL, *fifo = NULL;
	struct promfile *file = NULL;
	struct prom_error error;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = format("%s/stats.prom", dir);
	fifo = format("%s/fifo", dir);
	assert_int_equal(promfile_read(path, &file, &error), -ENOENT);
	assert_string_equal(error.what, "No such file or directory");
	assert_int_equal(error.line, 0);
	assert_int_equal(promfile_read(dir, &file, &error), -EISDIR);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(promfile_read(fifo, &file, &error), -EBADF);
	assert_string_equal(error.what, "not a regular file");
	assert_int_equal(write_file_atomic(path, "a 1\n", 4), 0);
	assert_int_equal(promfile_read(path, &file, &error), 0);
	assert_int_equal(file->n_samples, 1);
	promfile_free(file);
	unlink(path);
	unlink(fifo);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_reads_what_stats_writes),
		cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
