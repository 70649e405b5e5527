// SPDX-License-Identifier: GPL-2.0-only
/*
 * A configuration of several files, and its being read again: what wins, what is taken over, and
 * above all that a new one with anything wrong leaves the old one as it was.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"
#include "config.h"
#include "util.h"

static char dir[] = "/tmp/bpfsoakd-test-reload-XXXXXX";
static char file[64], fragments[64];
static char messages[4096];
static int saved, caught;

static int make_dir(void **state)
{
	(void)state;
	umask(022);
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/soak.conf", dir);
	snprintf(fragments, sizeof(fragments), "%s/soak.conf.d", dir);
	return mkdir(fragments, 0755);
}

static int remove_dir(void **state)
{
	_cleanup_free_ char *command = format("rm -rf '%s'", dir);

	(void)state;
	return command ? system(command) : -1;
}

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = format("%s/%s", fragments, name);

	assert_int_equal(write_file_atomic(name ? path : file, text, strlen(text)), 0);
}

static int clean(void **state)
{
	_cleanup_free_ char *command = format("rm -f '%s'/* '%s'/.[a-z]*", fragments, fragments);

	(void)state;
	put(NULL, "");
	return command ? system(command) : -1;
}

static void catch_messages(void)
{
	caught = memfd_create("stderr", MFD_CLOEXEC);
	saved = dup(STDERR_FILENO);
	assert_true(caught >= 0 && saved >= 0);
	assert_true(dup2(caught, STDERR_FILENO) >= 0);
}

static void messages_are_in(void)
{
	ssize_t n = pread(caught, messages, sizeof(messages) - 1, 0);

	assert_true(n >= 0);
	messages[n] = '\0';
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	close(caught);
}

static char *words[] = { (char *)"bpfsoakd", (char *)"run", (char *)"--config", file,
			 (char *)"--maps=2", NULL };

static int load(struct config *ret)
{
	int r;

	catch_messages();
	r = config_parse(ARRAY_SIZE(words) - 1, words, ret);
	messages_are_in();
	return r;
}

static int load_again(const struct config *live, struct config *ret)
{
	int r;

	catch_messages();
	r = config_reload(live, ret);
	messages_are_in();
	return r;
}

static void test_fragments_win_in_their_order(void **state)
{
	_cleanup_(config_free) struct config config = { 0 };

	(void)state;
	put(NULL, "owners = 5\ninject-rate = 1\nmaps = 7\nseed = 11\n");
	put("20-second.conf", "inject-rate = 3\n");
	put("10-first.conf", "inject-rate = 2\nowners = 6\n");
	put("30-not-me.conf.bak", "owners = 9\n");
	put(".conf", "owners = 9\n");
	assert_int_equal(load(&config), 0);
	assert_int_equal(config.inject_rate, 3);
	assert_int_equal(config.owners, 6);
	assert_int_equal(config.seed, 11);
	/* The command line's. */
	assert_int_equal(config.maps, 2);
}

static void test_mistakes_are_told_by_fragment(void **state)
{
	_cleanup_(config_free) struct config config = { 0 };
	_cleanup_free_ char *expected =
		format("%s/10-bad.conf:2: window: '9-17' is not a list of times of day such as "
		       "22:00-06:00,12:00-13:00\n",
		       fragments);

	(void)state;
	put("10-bad.conf", "owners = 3\nwindow = 9-17\n");
	assert_int_equal(load(&config), -EINVAL);
	assert_non_null(strstr(messages, expected));
}

static void test_a_fragment_of_others_is_refused(void **state)
{
	_cleanup_(config_free) struct config config = { 0 };
	_cleanup_free_ char *path = format("%s/10-open.conf", fragments);

	(void)state;
	put("10-open.conf", "owners = 3\n");
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(load(&config), -EINVAL);
	assert_non_null(strstr(messages, "is writable by other users"));
}

static void test_reloadable_keys_are_taken_over(void **state)
{
	_cleanup_(config_free) struct config live = { 0 }, new = { 0 };
	uint64_t seed;

	(void)state;
	put(NULL, "inject-rate = 1\nstats-file = /old\n");
	assert_int_equal(load(&live), 0);
	seed = live.seed;
	put(NULL, "inject-rate = 77\nstats-file = /new\nwindow = 22:00-06:00\nleak-budget = 1M\n"
		  "on-budget = reboot\nduration = 0\n");
	assert_int_equal(load_again(&live, &new), 0);
	assert_string_equal(messages, "");
	config_adopt(&live, &new);
	assert_int_equal(live.inject_rate, 77);
	assert_string_equal(live.stats_file, "/new");
	assert_string_equal(live.window, "22:00-06:00");
	assert_int_equal(live.leak_budget, 1 << 20);
	assert_int_equal(live.on_budget, ON_BUDGET_REBOOT);
	assert_int_equal(live.duration_ns, 0);
	/* What was drawn once is not drawn again. */
	assert_true(seed && live.seed == seed);
}

static void test_what_is_gone_from_the_file_is_as_by_default(void **state)
{
	_cleanup_(config_free) struct config live = { 0 }, new = { 0 };

	(void)state;
	put(NULL, "inject-rate = 1\nstats-file = /old\n");
	assert_int_equal(load(&live), 0);
	put(NULL, "");
	assert_int_equal(load_again(&live, &new), 0);
	config_adopt(&live, &new);
	assert_int_equal(live.inject_rate, 500);
	assert_null(live.stats_file);
}

/* All that are wrong are named at once. */
static void test_other_keys_cannot_change(void **state)
{
	_cleanup_(config_free) struct config live = { 0 }, new = { 0 };
	static const char *const named[] = { "owners: cannot change", "report: cannot change",
					     "seed: cannot change", "inject: cannot change",
					     "instance: cannot change" };

	(void)state;
	put(NULL, "inject-rate = 1\n");
	assert_int_equal(load(&live), 0);
	put(NULL, "inject-rate = 2\nowners = 9\nreport = /r\nseed = 5\ninject = none\n"
		  "instance = other\n");
	assert_int_equal(load_again(&live, &new), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (!strstr(messages, named[i]))
			fail_msg("not named: %s in: %s", named[i], messages);
	assert_null(strstr(messages, "inject-rate"));
	assert_int_equal(live.inject_rate, 1);
}

static void test_a_bad_new_one_is_refused(void **state)
{
	_cleanup_(config_free) struct config live = { 0 }, new = { 0 };
	_cleanup_free_ char *expected =
		format("%s:2: inject-rate: 'much' is not a whole number", file);

	(void)state;
	put(NULL, "inject-rate = 1\n");
	assert_int_equal(load(&live), 0);
	put(NULL, "duration = 0\ninject-rate = much\n");
	assert_int_equal(load_again(&live, &new), -EINVAL);
	assert_non_null(strstr(messages, expected));
	assert_int_equal(live.inject_rate, 1);
	assert_int_equal(live.duration_ns, 60 * NSEC_PER_SEC);
}

static void test_the_file_may_be_gone(void **state)
{
	_cleanup_(config_free) struct config live = { 0 }, new = { 0 };

	(void)state;
	assert_int_equal(load(&live), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(load_again(&live, &new), -EINVAL);
	assert_non_null(strstr(messages, "No such file"));
}

static void test_keys_of_the_service(void **state)
{
	static const char *const bad[] = { "instance = two words", "instance = \"x\"",
					   "on-budget = panic",	   "start-jitter = later",
					   "start-jitter = 25h",   "window = 06:00-06:00" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(config_free) struct config config = { 0 };
		_cleanup_free_ char *where =
			format("%s:1: %.*s: ", file, (int)strcspn(bad[i], " "), bad[i]);

		put(NULL, bad[i]);
		if (load(&config) != -EINVAL || !strstr(messages, where))
			fail_msg("accepted, or not named: %s: %s", bad[i], messages);
	}
}

/* With the hash gone, every default is what the daemon has without a file. */
static void test_the_installed_file_tells_the_defaults(void **state)
{
	_cleanup_(config_free) struct config plain = { 0 }, config = { 0 };
	_cleanup_free_ char *text = captured(config_dump_file), *out = calloc(1, strlen(text) + 1);
	_cleanup_free_ char *expected = NULL, *found = NULL;
	char *rest = text, *line;
	unsigned int n = 0;

	(void)state;
	while ((line = strsep(&rest, "\n"))) {
		/* Keys without a default show what is to be given. */
		if (line[0] != '#' || line[1] == ' ' ||
		    strpbrk(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ["))
			if (strncmp(line, "#slots", 6))
				continue;
		strcat(strcat(out, line + 1), "\n");
		n++;
	}
	assert_true(n > 20);
	put(NULL, "");
	assert_int_equal(load(&plain), 0);
	put(NULL, out);
	assert_int_equal(load(&config), 0);
	assert_string_equal(messages, "");
	config.seed = plain.seed;
	expected = config_dump(&plain);
	found = config_dump(&config);
	assert_string_equal(found, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fragments_win_in_their_order, clean),
		cmocka_unit_test_setup(test_mistakes_are_told_by_fragment, clean),
		cmocka_unit_test_setup(test_a_fragment_of_others_is_refused, clean),
		cmocka_unit_test_setup(test_reloadable_keys_are_taken_over, clean),
		cmocka_unit_test_setup(test_what_is_gone_from_the_file_is_as_by_default, clean),
		cmocka_unit_test_setup(test_other_keys_cannot_change, clean),
		cmocka_unit_test_setup(test_a_bad_new_one_is_refused, clean),
		cmocka_unit_test_setup(test_the_file_may_be_gone, clean),
		cmocka_unit_test_setup(test_keys_of_the_service, clean),
		cmocka_unit_test_setup(test_the_installed_file_tells_the_defaults, clean),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
