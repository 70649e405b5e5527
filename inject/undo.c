// SPDX-License-Identifier: GPL-2.0-only
/* Notes of what is to be undone: see undo.h. */
#include "undo.h"

#include <errno.h>
#include <string.h>

#include "daemon/kmod.h"
#include "daemon/log.h"
#include "daemon/own_cgroup.h"
#include "daemon/reboot.h"
#include "daemon/util.h"

#define KNOBS  "knobs"
#define CPUS   "cpus"
#define CGROUP "cgroup"
#define MODULE "module"
#define REBOOT "reboot"
/* What the dead process held, or left running, may take a moment to go. */
#define BUSY_MAX_NS  (10 * NSEC_PER_SEC)
#define BUSY_STEP_NS (100 * NSEC_PER_MSEC)

#define EXIT_INTERNAL 4

/* systemd names several, with colons between; the first is ours. To be freed, NULL: none. */
static char *runtime_directory(void)
{
	const char *dirs = getenv("RUNTIME_DIRECTORY");

	return dirs && *dirs == '/' ? strndup(dirs, strcspn(dirs, ":")) : NULL;
}

static int note(const char *name, const char *text)
{
	_cleanup_free_ char *dir = runtime_directory();
	_cleanup_free_ char *path = dir ? format("%s/%s", dir, name) : NULL;
	int r;

	if (!path)
		return -ENOENT;
	r = write_file_atomic(path, text, strlen(text));
	if (r < 0)
		log_warning("cannot note in %s what is to be undone if this run is killed: %s",
			    path, strerror(-r));
	return r;
}

static void forget(const char *name)
{
	_cleanup_free_ char *dir = runtime_directory();
	_cleanup_free_ char *path = dir ? format("%s/%s", dir, name) : NULL;

	if (path)
		unlink(path);
}

/* One a line: path, a blank, text. */
void undo_note_knobs(const struct restoration *list, size_t n)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s %s\n", list[i].path, list[i].text);
	if (!fclose(out))
		note(KNOBS, text);
}

void undo_forget_knobs(void)
{
	forget(KNOBS);
}

void undo_note_module(void)
{
	note(MODULE, "\n");
}

void undo_forget_module(void)
{
	forget(MODULE);
}

/* One a line. */
void undo_note_cpus(const unsigned int *cpus, size_t n)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%u\n", cpus[i]);
	if (!fclose(out))
		note(CPUS, text);
}

void undo_forget_cpus(void)
{
	forget(CPUS);
}

void undo_note_cgroup(const char *dir)
{
	note(CGROUP, dir);
}

void undo_forget_cgroup(void)
{
	forget(CGROUP);
}

int undo_note_reboot(void)
{
	return note(REBOOT, "\n");
}

/* The notes are an unprivileged user's, who is to have no other files written in root's name. */
static bool is_knob(const char *path, const char *knobs)
{
	return !strncmp(path, knobs, strlen(knobs)) && !strstr(path, "..");
}

static int restore_line(const char *line, const struct undo_ops *ops)
{
	struct restoration restoration = { 0 };
	size_t len = strcspn(line, " ");
	int r;

	if (!line[len] || len >= sizeof(restoration.path) ||
	    strlen(line + len + 1) >= sizeof(restoration.text)) {
		log_error("restore: not a note of a knob: %s", line);
		return -EINVAL;
	}
	memcpy(restoration.path, line, len);
	strcpy(restoration.text, line + len + 1);
	if (!is_knob(restoration.path, ops->knobs)) {
		log_error("restore: not a knob of ours: %s", restoration.path);
		return -EPERM;
	}
	r = restoration_apply(&restoration);
	if (r < 0)
		log_error("restore: %s: %s", restoration.path, strerror(-r));
	return r;
}

/* All of them, whatever becomes of one; says that it is done if it is. */
static int restore_lines(const char *text, const struct undo_ops *ops,
			 int (*restore)(const char *line, const struct undo_ops *ops),
			 const char *done)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *line;
	int first = copy ? 0 : -ENOMEM;

	while (rest && (line = strsep(&rest, "\n"))) {
		int r = *line ? restore(line, ops) : 0;

		first = first ?: r;
	}
	if (!first)
		log_notice("restore: %s", done);
	return first;
}

static int restore_knobs(const char *text, const struct undo_ops *ops)
{
	return restore_lines(text, ops, restore_line,
			     "the knobs of fail_function are what they were");
}

static int bring_online(const char *cpu, const struct undo_ops *ops)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (strspn(cpu, "0123456789") != strlen(cpu)) {
		log_error("restore: not the number of a CPU: %s", cpu);
		return -EINVAL;
	}
	path = format("%scpu%s/online", ops->cpus, cpu);
	r = path ? write_file(path, "1") : -ENOMEM;
	if (r < 0)
		log_error("restore: CPU %s stays as it is: %s", cpu, strerror(-r));
	return r;
}

static int bring_all_online(const char *text, const struct undo_ops *ops)
{
	return restore_lines(text, ops, bring_online, "the CPUs are online that were");
}

/* Directories that are empty and named as ours is: a note can remove nothing else. */
static int remove_cgroup(const char *text, const struct undo_ops *ops)
{
	uint64_t deadline = now_ns() + BUSY_MAX_NS;
	const char *name = strrchr(text, '/');
	int r;

	if (strncmp(text, ops->cgroups, strlen(ops->cgroups)) || strstr(text, "..") || !name ||
	    strcmp(name + 1, OWN_CGROUP_NAME)) {
		log_error("restore: not a cgroup of ours: %s", text);
		return -EPERM;
	}
	while ((r = own_cgroup_remove(text)) == -EBUSY && now_ns() < deadline)
		sleep_ns(BUSY_STEP_NS);
	if (r < 0 && r != -ENOENT)
		log_error("restore: the cgroup %s stays: %s", text, strerror(-r));
	return r == -ENOENT ? 0 : r;
}

static int unload_module(const char *text, const struct undo_ops *ops)
{
	uint64_t deadline = now_ns() + BUSY_MAX_NS;
	int r;

	(void)text;
	while ((r = ops->unload()) == -EBUSY && now_ns() < deadline)
		sleep_ns(BUSY_STEP_NS);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		log_error("restore: the kernel module stays loaded: %s", strerror(-r));
	else
		log_notice("restore: unloaded the kernel module that the run had loaded");
	return r;
}

static int boot_anew(const char *text, const struct undo_ops *ops)
{
	(void)text;
	return ops->reboot();
}

int undo_all(const char *dir, const struct undo_ops *ops)
{
	static const struct {
		const char *name;
		int (*undo)(const char *text, const struct undo_ops *ops);
	} notes[] = {
		{ KNOBS, restore_knobs },  { CPUS, bring_all_online }, { CGROUP, remove_cgroup },
		{ MODULE, unload_module }, { REBOOT, boot_anew },
	};
	int first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(notes); i++) {
		_cleanup_free_ char *path = format("%s/%s", dir, notes[i].name), *text = NULL;
		int r = path ? read_file(path, &text, NULL) : -ENOMEM;

		if (r == -ENOENT)
			continue;
		if (r < 0)
			log_error("restore: %s: %s", path ? path : dir, strerror(-r));
		else
			r = notes[i].undo(text, ops);
		if (!r)
			unlink(path);
		first = first ?: r;
	}
	return first;
}

int undo_main(void)
{
	static const struct undo_ops ops = {
		.knobs = UNDO_KNOBS,
		.cpus = UNDO_CPUS,
		.cgroups = UNDO_CGROUPS,
		.unload = kmod_unload,
		.reboot = reboot_now,
	};
	_cleanup_free_ char *dir = runtime_directory();

	if (!dir) {
		log_notice("restore: nothing is noted, since $RUNTIME_DIRECTORY is not set; a run "
			   "outside of a service undoes everything itself");
		return 0;
	}
	return undo_all(dir, &ops) < 0 ? EXIT_INTERNAL : 0;
}
