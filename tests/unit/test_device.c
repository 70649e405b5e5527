// SPDX-License-Identifier: GPL-2.0-only
/*
 * The text that goes to and comes from the module's device. The sample is what
 * inject/kmod/device.c, knobs.c and probes.c write.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "inject/device.h"
#include "inject/kmod/rqspinlock_fault.h"
#include "snapshot.h"
#include "util.h"

#define SITE(name, calls, passed, contended, forced)                               \
	"calls_" name " " calls "\n"                                               \
	"passed_" name " " passed "\n"                                             \
	"organic_timedout_" name " 1\norganic_deadlk_" name " 0\n"                 \
	"contended_timedout_" name " " contended "\ncontended_deadlk_" name " 2\n" \
	"forced_timedout_" name " " forced "\nforced_deadlk_" name " 3\n"

#define SITES_HERE                                                  \
	"site_map_free_bucket present forceable calls=2 locks=2\n"  \
	"site_map_free_storage present forceable calls=2 locks=2\n" \
	"site_destroy_bucket present forceable calls=2 locks=2\n"   \
	"site_destroy_storage present forceable calls=2 locks=2\n"  \
	"site_update present unforceable calls=2 locks=0\n"         \
	"site_delete present forceable calls=2 locks=2\n"           \
	"site_clone absent unforceable calls=1 locks=1\n"           \
	"site_alloc present forceable calls=1 locks=1\n"            \
	"site_cache absent unforceable calls=0 locks=0\n"           \
	"site_link_map present forceable calls=1 locks=1\n"

#define FIGURES                                            \
	SITE("map_free_bucket", "1000", "900", "40", "50") \
	SITE("map_free_storage", "11", "12", "13", "14")   \
	SITE("destroy_bucket", "21", "22", "23", "24")     \
	SITE("destroy_storage", "31", "32", "33", "34")    \
	SITE("update", "41", "42", "43", "44")             \
	SITE("delete", "51", "52", "53", "54")             \
	SITE("clone", "61", "62", "63", "64")              \
	SITE("alloc", "71", "72", "73", "74")              \
	SITE("cache", "81", "82", "83", "84")              \
	SITE("link_map", "91", "92", "93", "94")           \
	"missed 5\nhidden 6\ncrowded 7\nevicted 8\nrefused 9\nstrange 10\n"

#define ARMED                                                                            \
	"frames 18446683600570023936\n"                                                  \
	"abi 3\n"                                                                        \
	"open 1\n"                                                                       \
	"armed 1\n"                                                                      \
	"kinds contended forced\n"                                                       \
	"decide fail_function\n"                                                         \
	"error either\n"                                                                 \
	"probability 30\n"                                                               \
	"interval 2\n"                                                                   \
	"times 998\n"                                                                    \
	"sites map_free_bucket map_free_storage destroy_bucket destroy_storage update\n" \
	"fail map_free_bucket update\n" SITES_HERE FIGURES "held 0 0 0 0\n"

#define BIT(site) (1u << (SOAK_SITE_##site))

static void test_armed(void **state)
{
	struct snapshot_module m;
	uint64_t frames;

	(void)state;
	assert_int_equal(device_parse(ARMED, &m, &frames), 0);
	assert_int_equal(frames, 18446683600570023936ULL);
	assert_true(m.present);
	assert_true(m.armed);
	assert_string_equal(m.decide, "fail_function");
	assert_string_equal(m.error, "either");
	assert_int_equal(m.probability, 30);
	assert_int_equal(m.interval, 2);
	assert_int_equal(m.sites, BIT(MAP_FREE_BUCKET) | BIT(UPDATE));
	assert_int_equal(m.sites_here, ((1u << SOAK_SITE_NR) - 1) & ~(BIT(CLONE) | BIT(CACHE)));
	assert_int_equal(m.held, 0);
	assert_int_equal(m.held_cpus, 0);
	assert_int_equal(m.bursts, 0);
}

static void test_figures(void **state)
{
	struct snapshot_module m;

	(void)state;
	assert_int_equal(device_parse(ARMED, &m, NULL), 0);
	assert_int_equal(m.missed, 5);
	assert_int_equal(m.hidden, 6);
	assert_int_equal(m.crowded, 7);
	assert_int_equal(m.evicted, 8);
	assert_int_equal(m.refused, 9);
	assert_int_equal(m.strange, 10);
	assert_int_equal(m.calls[SOAK_SITE_MAP_FREE_BUCKET], 1000);
	assert_int_equal(m.passed[SOAK_SITE_MAP_FREE_BUCKET], 900);
	assert_int_equal(m.timeouts[FAULT_CONTENDED][SOAK_SITE_MAP_FREE_BUCKET], 40);
	assert_int_equal(m.timeouts[FAULT_FORCED][SOAK_SITE_MAP_FREE_BUCKET], 50);
	/* Every site's is in its own place. */
	for (unsigned int site = 0; site < SOAK_SITE_NR; site++) {
		if (site != SOAK_SITE_MAP_FREE_BUCKET) {
			assert_int_equal(m.calls[site], 10 * site + 1);
			assert_int_equal(m.passed[site], 10 * site + 2);
			assert_int_equal(m.timeouts[FAULT_CONTENDED][site], 10 * site + 3);
			assert_int_equal(m.timeouts[FAULT_FORCED][site], 10 * site + 4);
		}
		assert_int_equal(m.timeouts[FAULT_ORGANIC][site], 1);
		assert_int_equal(m.deadlocks[FAULT_ORGANIC][site], 0);
		assert_int_equal(m.deadlocks[FAULT_CONTENDED][site], 2);
		assert_int_equal(m.deadlocks[FAULT_FORCED][site], 3);
	}
}

/* The module has no more to say of its knobs; what an earlier text said is forgotten. */
static void test_disarmed(void **state)
{
	struct snapshot_module m;
	uint64_t frames = 1;

	(void)state;
	assert_int_equal(device_parse(ARMED, &m, &frames), 0);
	assert_int_equal(device_parse("abi 3\nopen 0\narmed 0\n" SITES_HERE FIGURES "held 0 0\n",
				      &m, &frames),
			 0);
	assert_true(m.present);
	assert_false(m.armed);
	assert_string_equal(m.decide, "");
	assert_string_equal(m.error, "");
	assert_int_equal(m.sites, 0);
	assert_int_equal(m.probability, 0);
	assert_int_equal(frames, 0);
	assert_int_equal(m.timeouts[FAULT_FORCED][SOAK_SITE_LINK_MAP], 94);
}

/* Nothing is believed of a text whose version is not ours, and nothing is touched. */
static void test_other_versions(void **state)
{
	static const char *const texts[] = {
		"",	   "\n",      "abi",	  "abi ",     "abi x\n",
		"abi 0\n", "abi 1\n", "abi 10\n", "abi -1\n", "armed 1\nmissed 5\n",
	};
	struct snapshot_module m = { .missed = 77 };
	uint64_t frames = 88;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(device_parse(texts[i], &m, &frames), -EPROTO);
	assert_int_equal(m.missed, 77);
	assert_int_equal(frames, 88);
}

/* A later module may say more than we know. */
static void test_junk(void **state)
{
	struct snapshot_module m;

	(void)state;
	assert_int_equal(device_parse("abi 3\n"
				      "\n"
				      " \n"
				      "word\n"
				      " missed 1\n"
				      "missed\n"
				      "calls_ 1\n"
				      "calls_nowhere 2\n"
				      "passed_map_free_bucket_too 3\n"
				      "forced_timedout_ 4\n"
				      "forced_livelock_update 5\n"
				      "imagined_timedout_update 6\n"
				      "site_nowhere present\n"
				      "site_update absent\n"
				      "fail update nowhere   delete\n"
				      "probability many\n"
				      "decide a-word-that-is-far-too-long-for-its-place\n"
				      "error a-word-that-is-far-too-long\n"
				      "armed yes\n"
				      "hidden 3 4 5\n",
				      &m, NULL),
			 0);
	assert_int_equal(m.missed, 0);
	assert_int_equal(m.hidden, 3);
	assert_int_equal(m.probability, 0);
	assert_false(m.armed);
	assert_int_equal(m.sites, BIT(UPDATE) | BIT(DELETE));
	assert_int_equal(m.sites_here, 0);
	assert_string_equal(m.decide, "a-word-that-is-");
	assert_string_equal(m.error, "a-word-that");
	for (unsigned int site = 0; site < SOAK_SITE_NR; site++) {
		assert_int_equal(m.calls[site], 0);
		assert_int_equal(m.passed[site], 0);
		for (unsigned int kind = 0; kind < FAULT_NR; kind++)
			assert_int_equal(m.timeouts[kind][site] + m.deadlocks[kind][site], 0);
	}
}

static void test_missing_newline(void **state)
{
	struct snapshot_module m;

	(void)state;
	assert_int_equal(device_parse("abi 3", &m, NULL), 0);
	assert_int_equal(device_parse("strange 4\nabi 3\nheld 1 2 3", &m, NULL), 0);
	assert_int_equal(m.strange, 4);
	assert_int_equal(m.held, 6);
	assert_int_equal(device_parse("abi 3\nmissed 12", &m, NULL), 0);
	assert_int_equal(m.missed, 12);
}

static void test_huge_numbers(void **state)
{
	struct snapshot_module m;
	uint64_t frames;

	(void)state;
	assert_int_equal(device_parse("abi 3\n"
				      "frames 18446744073709551615\n"
				      "missed 18446744073709551614\n"
				      "calls_update 18446744073709551616\n"
				      "passed_update 999999999999999999999999999999999999\n"
				      "probability 4294967296\n",
				      &m, &frames),
			 0);
	assert_int_equal(frames, UINT64_MAX);
	assert_int_equal(m.missed, UINT64_MAX - 1);
	assert_int_equal(m.calls[SOAK_SITE_UPDATE], UINT64_MAX);
	assert_int_equal(m.passed[SOAK_SITE_UPDATE], UINT64_MAX);
	assert_int_equal(m.probability, 1ULL << 32);
}

/* A CPU too few must not make up for one too many. */
static void test_held(void **state)
{
	static const struct {
		const char *text;
		int64_t held;
		uint64_t cpus;
	} cases[] = {
		{ "abi 3\nheld 0 0 0 0\n", 0, 0 },
		{ "abi 3\nheld 0 1 0 2\n", 3, 2 },
		{ "abi 3\nheld 1 -1 0 0\n", 0, 2 },
		{ "abi 3\nheld -3 0 0 0\n", -3, 1 },
		{ "abi 3\nheld  31   0\n", 31, 1 },
		{ "abi 3\nheld \n", 0, 0 },
		{ "abi 3\nheld\n", 0, 0 },
		{ "abi 3\nheld 9223372036854775807 2\n", INT64_MAX, 2 },
		{ "abi 3\nheld -9223372036854775808 -1\n", INT64_MIN, 2 },
	};
	struct snapshot_module m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(device_parse(cases[i].text, &m, NULL), 0);
		assert_int_equal(m.held, cases[i].held);
		assert_int_equal(m.held_cpus, cases[i].cpus);
	}
}

static void test_sites(void **state)
{
	static const struct {
		unsigned int sites;
		const char *names;
	} cases[] = {
		{ 0, "" },
		{ BIT(MAP_FREE_BUCKET), "map_free_bucket" },
		{ BIT(LINK_MAP) | BIT(UPDATE), "update,link_map" },
		{ (1u << SOAK_SITE_NR) - 1,
		  "map_free_bucket,map_free_storage,destroy_bucket,destroy_storage,"
		  "update,delete,clone,alloc,cache,link_map" },
		{ ~0u << SOAK_SITE_NR, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *names = device_sites(cases[i].sites);

		assert_string_equal(names, cases[i].names);
	}
}

/* The module and the ledger call a site by the same name: what one writes the other reads. */
static void test_names_agree(void **state)
{
	static const char *const names[RQF_SITE_NR] = RQF_SITE_NAMES;

	(void)state;
	for (unsigned int site = 0; site < RQF_SITE_NR; site++)
		assert_string_equal(names[site], site_name(site));
}

/* A file stands for the device: read from the start each time, written in one go. */
static void test_read_and_write(void **state)
{
	static const char configured[] = "sites=update kinds=contended times=-1\n";
	_cleanup_close_ int fd = memfd_create("device", MFD_CLOEXEC);
	struct snapshot_module m;
	uint64_t frames = 0;
	char text[100] = "";

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(
		device_configure(fd, "sites=%s kinds=%s times=%d\n", "update", "contended", -1), 0);
	assert_int_equal(pread(fd, text, sizeof(text), 0), sizeof(configured) - 1);
	assert_string_equal(text, configured);
	assert_int_equal(device_read(fd, &m, &frames), -EPROTO);

	assert_int_equal(pwrite(fd, ARMED, sizeof(ARMED) - 1, 0), sizeof(ARMED) - 1);
	for (unsigned int i = 0; i < 2; i++) {
		memset(&m, 0, sizeof(m));
		assert_int_equal(device_read(fd, &m, &frames), 0);
		assert_int_equal(m.calls[SOAK_SITE_MAP_FREE_BUCKET], 1000);
		assert_int_equal(frames, 18446683600570023936ULL);
	}
}

static void test_errors(void **state)
{
	_cleanup_close_ int read_only = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct snapshot_module m;

	(void)state;
	assert_int_equal(device_configure(read_only, "sites=update\n"), -EBADF);
	assert_int_equal(device_configure(-1, "sites=update\n"), -EBADF);
	assert_int_equal(device_read(-1, &m, NULL), -EBADF);
	/* The module is gone. */
	assert_int_equal(device_read(read_only, &m, NULL), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_armed),	       cmocka_unit_test(test_figures),
		cmocka_unit_test(test_disarmed),       cmocka_unit_test(test_other_versions),
		cmocka_unit_test(test_junk),	       cmocka_unit_test(test_missing_newline),
		cmocka_unit_test(test_huge_numbers),   cmocka_unit_test(test_held),
		cmocka_unit_test(test_sites),	       cmocka_unit_test(test_names_agree),
		cmocka_unit_test(test_read_and_write), cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
