// SPDX-License-Identifier: GPL-2.0-only
/* The mark of a run under way, and what is made of one that stayed: see runstate.h. */
#include "runstate.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "build_config.h"
#include "config.h"
#include "kmsg.h"
#include "log.h"
#include "probe.h"
#include "replay.h"
#include "util.h"

#define STATE_FILE     "run.state"
#define BOOT_ID	       "/proc/sys/kernel/random/boot_id"
#define PSTORE	       "/sys/fs/pstore"
#define UNFINISHED_MAX 1000
#define REPORTS_TOLD   8

/* What the kernel said of the run that died. */
struct words {
	bool rebooted;
	unsigned int records; /* of pstore */
	int error;	      /* -errno: its log cannot be read */
	uint64_t lost;
	uint64_t reports; /* in its log, that fail a run */
	char *told;	  /* lines for people: the first of them */
};

static const char *path_or(const char *path, const char *usual)
{
	return path ? path : usual;
}

/* "" when it cannot be read. */
static char *read_boot_id(const struct runstate_paths *paths)
{
	char *text = NULL;

	if (read_file(path_or(paths ? paths->boot_id : NULL, BOOT_ID), &text, NULL) < 0)
		return strdup("");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* The value of a key, to be freed; "" when there is none. */
static char *value_of(const char *state, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = state; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && !strncmp(line + len, " = ", 3))
			return strndup(line + len + 3, strcspn(line + len + 3, "\n"));
	}
	return strdup("");
}

static int write_state(const char *dir, const char *text)
{
	_cleanup_free_ char *path = format("%s/" STATE_FILE, dir);
	int r;

	if (!path)
		return -ENOMEM;
	r = make_dirs(dir, 0750);
	return r < 0 ? r : write_file_atomic(path, text, strlen(text));
}

static void print_options(FILE *out, const struct config *config)
{
	_cleanup_free_ char *text = config_dump(config);
	char *rest = text, *line;

	while (rest && (line = strsep(&rest, "\n")))
		if (*line)
			fprintf(out, "option %s\n", line);
}

int runstate_begin(const char *dir, const struct runstate_paths *paths, const struct config *config,
		   const struct probe *probe)
{
	_cleanup_free_ char *boot = read_boot_id(paths);
	_cleanup_free_ char *again =
		replay_command(config, replay_base(), replay_duration(config, 0));
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	fprintf(out,
		"state = running\nversion = %s\npid = %d\nboot = %s\nstart = %.0f\nclock = %" PRIu64
		"\nseed = %" PRIu64 "\nkernel = %s\ncpu = %s\nreplay = %s\n",
		SOAK_VERSION, getpid(), boot ? boot : "", now_realtime(), now_ns() / 1000,
		config->seed, probe->release, probe->cpu_model, again ? again : "");
	print_options(out, config);
	if (fclose(out))
		return -ENOMEM;
	return write_state(dir, text);
}

int runstate_end(const char *dir)
{
	_cleanup_free_ char *path = format("%s/" STATE_FILE, dir);
	_cleanup_free_ char *text = NULL, *ended = NULL;
	static const char running[] = "state = running\n";
	int r;

	if (!path)
		return -ENOMEM;
	r = read_file(path, &text, NULL);
	if (r < 0)
		return r;
	if (strncmp(text, running, strlen(running)))
		return 0;
	ended = format("state = ended\n%s", text + strlen(running));
	return ended ? write_state(dir, ended) : -ENOMEM;
}

/* dir/unfinished-1 and so on: the first that is not there yet, made. */
static char *make_unfinished(const char *dir)
{
	for (unsigned int i = 1; i <= UNFINISHED_MAX; i++) {
		char *path = format("%s/unfinished-%u", dir, i);

		if (!path || !mkdir(path, 0755))
			return path;
		free(path);
		if (errno != EEXIST)
			return NULL;
	}
	errno = EEXIST;
	return NULL;
}

static void move(const char *dir, const char *to, const char *name)
{
	_cleanup_free_ char *old = format("%s/%s", dir, name);
	_cleanup_free_ char *new = format("%s/%s", to, name);

	if (!old || !new || (rename(old, new) < 0 && errno != ENOENT))
		log_warning("cannot move %s/%s to %s: %s", dir, name, to, strerror(errno));
}

static bool is_last_words(const char *name)
{
	return !strncmp(name, "dmesg-", 6) || !strncmp(name, "console-", 8);
}

static bool copy_record(const char *pstore, const char *name, const char *to)
{
	_cleanup_free_ char *old = format("%s/%s", pstore, name);
	_cleanup_free_ char *new = format("%s/pstore-%s", to, name);
	_cleanup_free_ char *text = NULL;
	size_t len;

	return old && new &&read_file(old, &text, &len) >= 0 &&
	       write_file_atomic(new, text, len) >= 0;
}

/* What the kernel saved of its log when it died. They stay where they are: they are not ours. */
static unsigned int copy_last_words(const char *pstore, const char *to)
{
	_cleanup_closedir_ DIR *dir = opendir(pstore);
	unsigned int n = 0;
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_last_words(entry->d_name))
			n += copy_record(pstore, entry->d_name, to);
	return n;
}

static void tell(FILE *out, const struct kmsg_report *report)
{
	int len = (int)strcspn(report->text, "\n");

	fprintf(out, "           %s: %.*s\n", kmsg_class_name(report->class), len, report->text);
}

static char *tell_reports(const struct kmsg *kmsg)
{
	const struct kmsg_report *reports;
	size_t n = kmsg_reports(kmsg, &reports), told = 0, len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	for (size_t i = 0; out && i < n && told < REPORTS_TOLD; i++)
		if (kmsg_class_is_violation(reports[i].class)) {
			tell(out, &reports[i]);
			told++;
		}
	if (out)
		fclose(out);
	return text;
}

/*
 * Of this boot, from the beginning of that run on: a kernel that does not die itself may have
 * killed the daemon, and whoever did not live to see the report has not told of it.
 */
static void copy_kernel_log(const char *path, const char *state, const char *to,
			    struct words *words)
{
	_cleanup_free_ char *clock = value_of(state, "clock"), *name = format("%s/kernel.log", to);
	_cleanup_free_ char *text = NULL;
	struct kmsg *kmsg = NULL;
	size_t len = 0;
	FILE *copy = open_memstream(&text, &len);

	words->error = -ENODATA; /* the mark is of an older daemon */
	if (copy && name && clock && *clock)
		words->error = kmsg_replay(path, strtoull(clock, NULL, 10), copy, &kmsg);
	if (copy)
		fclose(copy);
	if (words->error < 0)
		return;
	words->lost = kmsg_lost(kmsg);
	words->reports = kmsg_violations(kmsg);
	words->told = tell_reports(kmsg);
	kmsg_free(kmsg);
	words->error = write_file_atomic(name, text, len);
}

static void print_start(FILE *out, const char *start)
{
	time_t t = (time_t)strtoll(start, NULL, 10);
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	fprintf(out, "Started:   %s\n", text);
}

static void print_field(FILE *out, const char *label, const char *state, const char *key)
{
	_cleanup_free_ char *value = value_of(state, key);

	fprintf(out, "%-10s %s\n", label, value && *value ? value : "unknown");
}

static void print_kernel_log(FILE *out, const struct words *words)
{
	fputs("How:       the kernel has not been booted since: the daemon alone died (killed, or a\n"
	      "           second signal)\n",
	      out);
	if (words->reports)
		fprintf(out,
			"Said:      VIOLATION, kernel_log: %" PRIu64
			" report(s) of the kernel meanwhile:\n%s",
			words->reports, words->told ?: "");
	else if (!words->error)
		fputs("Said:      nothing against the kernel: see kernel.log\n", out);
	if (words->error)
		fprintf(out, "Said:      there is no kernel.log of all that the kernel said: %s\n",
			strerror(-words->error));
	if (words->lost)
		fprintf(out, "           %" PRIu64 " lines were lost, or not understood\n",
			words->lost);
}

static void print_end(FILE *out, const char *state, const char *boot, const struct words *words)
{
	print_field(out, "Its boot:", state, "boot");
	fprintf(out, "This boot: %s\n", boot);
	if (!words->rebooted)
		print_kernel_log(out, words);
	else if (words->records)
		fprintf(out,
			"How:       the machine was booted since; pstore holds %u record(s) of the "
			"kernel's last\n"
			"           words, copied here as pstore-*\n",
			words->records);
	else
		fputs("How:       the machine was booted since; pstore holds no record of the "
		      "kernel's last words\n",
		      out);
}

/* What was asked for: nobody knows what came of it. */
static void print_first_line(FILE *out, const char *inject, const char *kinds)
{
	bool stall = strstr(inject, "stall") || !strcmp(inject, "auto");
	bool module = strstr(inject, "module") || strstr(inject, "fail_function");

	if (!stall && !module)
		fputs("NO FAULT WAS INJECTED", out);
	else
		fprintf(out, "FAULTS WERE INJECTED: %s%s%s", stall ? "organic" : "",
			stall && module ? ", " : "", module ? kinds : "");
}

static int summarize(const char *to, const char *state, const char *boot, const struct words *words)
{
	_cleanup_free_ char *path = format("%s/summary.txt", to);
	_cleanup_free_ char *start = value_of(state, "start"), *text = NULL;
	_cleanup_free_ char *inject = value_of(state, "option inject");
	_cleanup_free_ char *kinds = value_of(state, "option inject-kind");
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out || !path || !start || !inject || !kinds) {
		if (out)
			fclose(out);
		return -ENOMEM;
	}
	print_first_line(out, inject, kinds);
	fputs("\n\nUnfinished run: it began and gave no verdict, which is a failure\n\n", out);
	print_start(out, start);
	print_end(out, state, boot, words);
	print_field(out, "Kernel:", state, "kernel");
	print_field(out, "CPU:", state, "cpu");
	print_field(out, "Seed:", state, "seed");
	print_field(out, "Inject:", state, "option inject");
	print_field(out, "Again:", state, "replay");
	fputs("\nrun.state has all options; report.json and findings/, where they are, what was "
	      "known by then.\n",
	      out);
	if (fclose(out))
		return -ENOMEM;
	return write_file_atomic(path, text, strlen(text));
}

static void say_how(const char *dir, const char *to, const struct words *words)
{
	const char *first;

	log_warning("the last run in %s did not come to its end: %s; see %s", dir,
		    words->rebooted
			    ? (words->records
				       ? "the machine was booted since, and pstore has the "
					 "kernel's last words"
				       : "the machine was booted since, and pstore has no word")
			    : "the daemon died alone, in this very boot",
		    to);
	if (!words->reports)
		return;
	first = words->told ? words->told + strspn(words->told, " ") : "";
	log_error("VIOLATION, kernel_log: %" PRIu64
		  " report(s) of the kernel while that run was under way, see %s/kernel.log; the "
		  "first: %.*s",
		  words->reports, to, (int)strcspn(first, "\n"), first);
}

static int recover(const char *dir, const struct runstate_paths *paths, const char *state,
		   char **ret_path)
{
	_cleanup_free_ char *boot = read_boot_id(paths), *its_boot = value_of(state, "boot");
	_cleanup_free_ char *to = make_unfinished(dir);
	struct words words = { 0 };
	int r;

	if (!to)
		return -errno;
	if (!boot || !its_boot)
		return -ENOMEM;
	words.rebooted = strcmp(boot, its_boot);
	if (words.rebooted)
		words.records = copy_last_words(path_or(paths ? paths->pstore : NULL, PSTORE), to);
	else
		copy_kernel_log(paths ? paths->kmsg : NULL, state, to, &words);
	r = summarize(to, state, boot, &words);
	if (r < 0) {
		free(words.told);
		return r;
	}
	move(dir, to, "report.json");
	move(dir, to, "findings");
	/* The mark goes last: whoever dies before finds the run again. */
	move(dir, to, STATE_FILE);
	say_how(dir, to, &words);
	free(words.told);
	*ret_path = TAKE_PTR(to);
	return 0;
}

/* Is the process that wrote this mark still there, under the name that we have? */
static bool is_alive(const char *state, const struct runstate_paths *paths)
{
	_cleanup_free_ char *boot = read_boot_id(paths), *its_boot = value_of(state, "boot");
	_cleanup_free_ char *pid = value_of(state, "pid"), *path = NULL;
	_cleanup_free_ char *name = NULL, *its_name = NULL;

	if (!boot || !its_boot || !pid || strcmp(boot, its_boot) ||
	    strspn(pid, "0123456789") != strlen(pid) || strtol(pid, NULL, 10) == getpid())
		return false;
	path = format("/proc/%s/comm", pid);
	if (!path || read_file("/proc/self/comm", &name, NULL) < 0 ||
	    read_file(path, &its_name, NULL) < 0)
		return false;
	return !strcmp(name, its_name);
}

int runstate_recover(const char *dir, const struct runstate_paths *paths, char **ret_path)
{
	_cleanup_free_ char *path = format("%s/" STATE_FILE, dir);
	_cleanup_free_ char *text = NULL, *state = NULL;
	int r;

	*ret_path = NULL;
	if (!path)
		return -ENOMEM;
	r = read_file(path, &text, NULL);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	state = value_of(text, "state");
	if (!state)
		return -ENOMEM;
	if (strcmp(state, "running"))
		return 0;
	return is_alive(text, paths) ? -EBUSY : recover(dir, paths, text, ret_path);
}
