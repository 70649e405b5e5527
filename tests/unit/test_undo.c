// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notes of what is to be undone, from the run that writes them to the command that obeys them: real
 * files stand for the kernel's knobs, and only what is noted happens, once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "inject/undo.h"
#include "util.h"

static char dir[] = "/tmp/bpfsoakd-test-undo-XXXXXX";
static char knobs[64], cpus[64], cgroups[64];
static unsigned int unloads, busy, reboots;
static int unload_result;

static int unload(void)
{
	unloads++;
	if (busy) {
		busy--;
		return -EBUSY;
	}
	return unload_result;
}

static int reboot_machine(void)
{
	reboots++;
	return 0;
}

static const struct undo_ops ops = {
	.knobs = knobs, .cpus = cpus, .cgroups = cgroups, .unload = unload, .reboot = reboot_machine
};

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(knobs, sizeof(knobs), "%s/knobs.d/", dir);
	snprintf(cpus, sizeof(cpus), "%s/cpus.d/", dir);
	snprintf(cgroups, sizeof(cgroups), "%s/cgroups.d/", dir);
	return mkdir(knobs, 0755) < 0 ? -1 : setenv("RUNTIME_DIRECTORY", dir, true);
}

static int end(void **state)
{
	_cleanup_free_ char *command = format("rm -rf '%s'", dir);

	(void)state;
	unsetenv("RUNTIME_DIRECTORY");
	return command ? system(command) : -1;
}

static int forget_counts(void **state)
{
	(void)state;
	unloads = busy = reboots = 0;
	unload_result = 0;
	return setenv("RUNTIME_DIRECTORY", dir, true);
}

static struct restoration knob(const char *name, const char *text)
{
	struct restoration r;

	snprintf(r.path, sizeof(r.path), "%s%s", knobs, name);
	snprintf(r.text, sizeof(r.text), "%s", text);
	return r;
}

static void turn(const char *name)
{
	struct restoration r = knob(name, "");

	assert_int_equal(write_file_atomic(r.path, "turned", 6), 0);
}

static void assert_knob(const char *name, const char *expected)
{
	struct restoration r = knob(name, "");
	_cleanup_free_ char *text = NULL;

	assert_int_equal(read_file(r.path, &text, NULL), 0);
	assert_string_equal(text, expected);
}

static bool is_noted(const char *name)
{
	_cleanup_free_ char *path = format("%s/%s", dir, name);

	return !access(path, F_OK);
}

static void test_nothing_noted_is_nothing_done(void **state)
{
	(void)state;
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_int_equal(unloads + reboots, 0);
	assert_int_equal(undo_all("/nonexistent", &ops), 0);
}

static void test_knobs_are_turned_back_once(void **state)
{
	struct restoration list[] = { knob("probability", "restored 1"),
				      knob("missing", "gone with its module"),
				      knob("times", "-1 as it") };

	(void)state;
	turn("probability");
	turn("times");
	undo_note_knobs(list, ARRAY_SIZE(list));
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_knob("probability", "restored 1");
	assert_knob("times", "-1 as it");
	turn("times");
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_knob("times", "turned");
	assert_int_equal(unloads + reboots, 0);
}

static void test_what_the_run_undid_is_not_undone_again(void **state)
{
	struct restoration r = knob("times", "restored");

	(void)state;
	turn("times");
	undo_note_knobs(&r, 1);
	undo_note_module();
	undo_forget_knobs();
	undo_forget_module();
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_knob("times", "turned");
	assert_int_equal(unloads, 0);
}

static void test_only_knobs_are_written(void **state)
{
	struct restoration list[] = { { .text = "owned" },
				      knob("../stolen", "owned"),
				      knob("times", "restored") };
	_cleanup_free_ char *victim = format("%s/stolen", dir), *text = NULL;

	(void)state;
	snprintf(list[0].path, sizeof(list[0].path), "%s", victim);
	assert_int_equal(write_file_atomic(victim, "mine", 4), 0);
	turn("times");
	undo_note_knobs(list, ARRAY_SIZE(list));
	assert_int_equal(undo_all(dir, &ops), -EPERM);
	assert_int_equal(read_file(victim, &text, NULL), 0);
	assert_string_equal(text, "mine");
	/* The others are turned back all the same, and the note stays for somebody to look at. */
	assert_knob("times", "restored");
	assert_true(is_noted("knobs"));
	undo_forget_knobs();
}

static void test_garbage_is_no_note(void **state)
{
	static const char garbage[] = "\n\nno-blank\n";
	_cleanup_free_ char *path = format("%s/knobs", dir);

	(void)state;
	assert_int_equal(write_file_atomic(path, garbage, strlen(garbage)), 0);
	assert_int_equal(undo_all(dir, &ops), -EINVAL);
	undo_forget_knobs();
}

static void test_the_module_goes_when_it_can(void **state)
{
	(void)state;
	undo_note_module();
	busy = 3;
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_int_equal(unloads, 4);
	assert_false(is_noted("module"));
	/* Somebody else was faster. */
	undo_note_module();
	unload_result = -ENOENT;
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_false(is_noted("module"));
	undo_note_module();
	unload_result = -EPERM;
	assert_int_equal(undo_all(dir, &ops), -EPERM);
	assert_true(is_noted("module"));
	undo_forget_module();
}

static void test_a_reboot_is_asked_for_once(void **state)
{
	(void)state;
	assert_int_equal(undo_note_reboot(), 0);
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_int_equal(reboots, 1);
}

static void test_without_a_directory_nothing_is_noted(void **state)
{
	(void)state;
	unsetenv("RUNTIME_DIRECTORY");
	undo_note_module();
	assert_int_equal(undo_note_reboot(), -ENOENT);
	assert_false(is_noted("module"));
	assert_int_equal(undo_main(), 0);
	/* Of several, the first. */
	assert_int_equal(setenv("RUNTIME_DIRECTORY", "/nonexistent:/elsewhere", true), 0);
	assert_true(undo_note_reboot() < 0);
}

static char *online_file(unsigned int cpu)
{
	_cleanup_free_ char *path = format("%scpu%u", cpus, cpu);

	assert_int_equal(make_dirs(path, 0755), 0);
	return format("%s/online", path);
}

static void test_cpus_come_back(void **state)
{
	static const unsigned int list[] = { 1, 10 };
	_cleanup_free_ char *one = online_file(1), *ten = online_file(10), *two = online_file(2);
	uint64_t value;

	(void)state;
	assert_int_equal(write_file_atomic(one, "0", 1), 0);
	assert_int_equal(write_file_atomic(two, "0", 1), 0);
	assert_int_equal(write_file_atomic(ten, "0", 1), 0);
	undo_note_cpus(list, ARRAY_SIZE(list));
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_int_equal(read_file_u64(one, &value), 0);
	assert_int_equal(value, 1);
	assert_int_equal(read_file_u64(ten, &value), 0);
	assert_int_equal(value, 1);
	assert_int_equal(read_file_u64(two, &value), 0);
	assert_int_equal(value, 0);
	assert_false(is_noted("cpus"));
	undo_note_cpus(list, ARRAY_SIZE(list));
	undo_forget_cpus();
	assert_false(is_noted("cpus"));
}

/* What leads elsewhere is not followed, and the others come back all the same. */
static void test_only_cpus_come_back(void **state)
{
	static const char note[] = "../stolen\n1/../../stolen\n3\n";
	_cleanup_free_ char *three = online_file(3), *path = format("%s/cpus", dir);
	_cleanup_free_ char *victim = format("%s/stolen/online", dir), *text = NULL;
	_cleanup_free_ char *victim_dir = format("%s/stolen", dir);
	uint64_t value;

	(void)state;
	unlink(victim_dir);
	assert_int_equal(make_dirs(victim_dir, 0755), 0);
	assert_int_equal(write_file_atomic(victim, "mine", 4), 0);
	assert_int_equal(write_file_atomic(three, "0", 1), 0);
	assert_int_equal(write_file_atomic(path, note, strlen(note)), 0);
	assert_int_equal(undo_all(dir, &ops), -EINVAL);
	assert_int_equal(read_file(victim, &text, NULL), 0);
	assert_string_equal(text, "mine");
	assert_int_equal(read_file_u64(three, &value), 0);
	assert_int_equal(value, 1);
	undo_forget_cpus();
}

static void test_our_cgroup_goes(void **state)
{
	_cleanup_free_ char *ours = format("%sa/bpfsoakd-owners", cgroups);
	_cleanup_free_ char *below = format("%s/owner", ours);
	static const char *const others[] = { "%sa", "%sa/bpfsoakd-owners/../other",
					      "%.0s/tmp/bpfsoakd-owners", "%.0s" };

	(void)state;
	assert_int_equal(make_dirs(below, 0755), 0);
	undo_note_cgroup(ours);
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_int_equal(access(ours, F_OK), -1);
	/* Gone by itself. */
	undo_note_cgroup(ours);
	assert_int_equal(undo_all(dir, &ops), 0);
	assert_false(is_noted("cgroup"));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		_cleanup_free_ char *other = format(others[i], cgroups);

		undo_note_cgroup(other);
		assert_int_equal(undo_all(dir, &ops), -EPERM);
		undo_forget_cgroup();
	}
	assert_int_equal(access(cgroups, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_noted_is_nothing_done, forget_counts),
		cmocka_unit_test_setup(test_knobs_are_turned_back_once, forget_counts),
		cmocka_unit_test_setup(test_what_the_run_undid_is_not_undone_again, forget_counts),
		cmocka_unit_test_setup(test_only_knobs_are_written, forget_counts),
		cmocka_unit_test_setup(test_garbage_is_no_note, forget_counts),
		cmocka_unit_test_setup(test_the_module_goes_when_it_can, forget_counts),
		cmocka_unit_test_setup(test_a_reboot_is_asked_for_once, forget_counts),
		cmocka_unit_test_setup(test_cpus_come_back, forget_counts),
		cmocka_unit_test_setup(test_only_cpus_come_back, forget_counts),
		cmocka_unit_test_setup(test_our_cgroup_goes, forget_counts),
		cmocka_unit_test_setup(test_without_a_directory_nothing_is_noted, forget_counts),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
