// SPDX-License-Identifier: GPL-2.0-only
/*
 * Places for owners: what is made is known by its name and removed, what is others' stays. An
 * ordinary directory stands for the cgroup: mkdir() and rmdir() are the whole interface.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "daemon/places.h"
#include "daemon/util.h"

struct scene {
	char dir[64];
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	strcpy(scene->dir, "/tmp/test_places.XXXXXX");
	if (!mkdtemp(scene->dir))
		return -1;
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;
	int r = rmdir(scene->dir);

	free(scene);
	return r;
}

static unsigned int count_entries(const struct scene *scene)
{
	_cleanup_closedir_ DIR *dir = opendir(scene->dir);
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n - 2;
}

static char *path_of(const struct scene *scene, const char *name)
{
	char *path = format("%s/%s", scene->dir, name);

	assert_non_null(path);
	return path;
}

static void make_dir(const struct scene *scene, const char *name)
{
	_cleanup_free_ char *path = path_of(scene, name);

	assert_int_equal(mkdir(path, 0755), 0);
}

static void remove_dir(const struct scene *scene, const char *name)
{
	_cleanup_free_ char *path = path_of(scene, name);

	assert_int_equal(rmdir(path), 0);
}

static void test_cgroups_come_and_go(void **state)
{
	const struct scene *scene = *state;
	struct places *places;
	unsigned int number, other;
	int a, b;

	assert_int_equal(places_new_in(scene->dir, false, &places), 0);
	assert_null(places_why_not(places, SOAK_CGROUP));
	assert_int_equal(count_entries(scene), 0);
	a = places_make_cgroup(places, &number);
	b = places_make_cgroup(places, &other);
	assert_true(a >= 0 && b >= 0);
	assert_int_not_equal(number, other);
	assert_int_equal(count_entries(scene), 2);
	places_remove_cgroup(places, number);
	assert_int_equal(count_entries(scene), 1);
	close(a);
	close(b);
	/* What is left goes with the places. */
	places_free(places);
	assert_int_equal(count_entries(scene), 0);
}

/* A few at once, and then not more than some a second. */
static void test_cgroups_are_paced(void **state)
{
	const struct scene *scene = *state;
	uint64_t begun = now_ns();
	struct places *places;
	unsigned int n = 0, number;

	assert_int_equal(places_new_in(scene->dir, false, &places), 0);
	for (;;) {
		int fd = places_make_cgroup(places, &number);

		if (fd == -EBUSY)
			break;
		assert_true(fd >= 0);
		close(fd);
		n++;
		/* However slow this machine is. */
		assert_true(n < 20 + (now_ns() - begun) / (50 * NSEC_PER_MSEC));
	}
	assert_in_range(n, 4, 100);
	sleep_ns(300 * NSEC_PER_MSEC);
	n = 0;
	for (int fd; (fd = places_make_cgroup(places, &number)) >= 0; n++)
		close(fd);
	assert_true(n > 0);
	places_free(places);
}

static int dead_pid(void)
{
	int pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

/* What a daemon left that is dead goes; a living one's and everybody else's stays. */
static void test_leftovers(void **state)
{
	static const char *const others[] = { "bpfsoakd.service",      "bpfsoakd.0.1",
					      "bpfsoakd.-1.1",	       "bpfsoakd.01.1",
					      "bpfsoakd.999999999x.1", "init.scope" };
	const struct scene *scene = *state;
	_cleanup_free_ char *dead = format("bpfsoakd.%d.17", dead_pid());
	_cleanup_free_ char *alive = format("bpfsoakd.%d.3", getppid());
	_cleanup_free_ char *own = format("bpfsoakd.%d.999", getpid());
	struct places *places;

	make_dir(scene, dead);
	make_dir(scene, alive);
	make_dir(scene, own);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		make_dir(scene, others[i]);
	assert_int_equal(places_new_in(scene->dir, false, &places), 0);
	assert_int_equal(count_entries(scene), ARRAY_SIZE(others) + 1);
	assert_int_equal(places_sweep(places), 0);
	places_free(places);
	remove_dir(scene, alive);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		remove_dir(scene, others[i]);
}

/* One that cannot be removed is counted, and tried again. */
static void test_sweep_counts_what_stays(void **state)
{
	const struct scene *scene = *state;
	struct places *places;
	unsigned int number;
	int fd;

	assert_int_equal(places_new_in(scene->dir, false, &places), 0);
	fd = places_make_cgroup(places, &number);
	assert_true(fd >= 0);
	assert_int_equal(mkdirat(fd, "child", 0755), 0);
	places_remove_cgroup(places, number);
	assert_int_equal(places_sweep(places), 1);
	assert_int_equal(unlinkat(fd, "child", AT_REMOVEDIR), 0);
	assert_int_equal(places_sweep(places), 0);
	close(fd);
	places_free(places);
}

static void write_stat(const struct scene *scene, const char *text)
{
	_cleanup_free_ char *path = path_of(scene, "cgroup.stat");

	assert_int_equal(write_file_atomic(path, text, strlen(text)), 0);
}

/* What was dying before is not ours to wait for. */
static void test_dying(void **state)
{
	const struct scene *scene = *state;
	_cleanup_free_ char *path = path_of(scene, "cgroup.stat");
	struct places *places;

	write_stat(scene, "nr_descendants 9\nnr_dying_descendants 3\nnr_subsys_cpu 1\n");
	assert_int_equal(places_new_in(scene->dir, false, &places), 0);
	assert_int_equal(places_dying(places), 0);
	write_stat(scene, "nr_descendants 9\nnr_dying_descendants 12\n");
	assert_int_equal(places_dying(places), 9);
	write_stat(scene, "nr_descendants 9\nnr_dying_descendants 2\n");
	assert_int_equal(places_dying(places), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(places_dying(places), 0);
	places_free(places);
}

static void test_no_cgroups(void **state)
{
	const struct scene *scene = *state;
	_cleanup_free_ char *missing = path_of(scene, "missing");
	struct places *places;

	assert_int_equal(places_new_in(missing, false, &places), 0);
	assert_non_null(strstr(places_why_not(places, SOAK_CGROUP), missing));
	assert_non_null(strstr(places_why_not(places, SOAK_CGROUP), "No such file"));
	assert_int_equal(places_sweep(places), 0);
	places_free(places);
	assert_int_equal(places_new_in(NULL, false, &places), 0);
	assert_non_null(places_why_not(places, SOAK_CGROUP));
	/* Of sockets and tasks it knows nothing. */
	assert_null(places_why_not(places, SOAK_SK));
	assert_null(places_why_not(places, SOAK_TASK));
	places_free(places);
}

static void assert_marked(int fd)
{
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | SOAK_FILE_MODE);
	assert_int_equal(write(fd, "x", 1), 1);
}

/* The fill programs know our files by their mode alone, whatever the umask is. */
static void test_files_have_their_mode(void **state)
{
	mode_t before = umask(0077);
	struct places *places;
	int fds[3], tree;

	(void)state;
	assert_int_equal(places_new_in(NULL, true, &places), 0);
	assert_null(places_why_not(places, SOAK_INODE));
	fds[0] = places_make_memfd();
	assert_marked(fds[0]);
	close(fds[0]);
	if (!places_can_mount(places)) {
		assert_int_equal(places_make_tree(places, fds, ARRAY_SIZE(fds)), -EOPNOTSUPP);
		goto out;
	}
	for (unsigned int linked = 0; linked < 2; linked++) {
		struct stat st;

		fds[0] = places_make_file(places, linked);
		assert_marked(fds[0]);
		fstat(fds[0], &st);
		assert_int_equal(st.st_nlink, 0);
		close(fds[0]);
	}
	tree = places_make_tree(places, fds, ARRAY_SIZE(fds));
	assert_true(tree >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		struct stat st;

		assert_marked(fds[i]);
		fstat(fds[i], &st);
		assert_int_equal(st.st_nlink, 1);
		close(fds[i]);
	}
	close(tree);
out:
	places_free(places);
	umask(before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cgroups_come_and_go),
		TEST(test_cgroups_are_paced),
		TEST(test_leftovers),
		TEST(test_sweep_counts_what_stays),
		TEST(test_dying),
		TEST(test_no_cgroups),
		TEST(test_files_have_their_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
