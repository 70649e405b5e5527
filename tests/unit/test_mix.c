// SPDX-License-Identifier: GPL-2.0-only
/* Mixes of scenarios: what --mix takes, and what is drawn from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "scenarios/mix.h"

static unsigned int index_of(const char *name)
{
	for (unsigned int i = 0; i < scenarios_count(); i++)
		if (!strcmp(scenario_name(i), name))
			return i;
	fail_msg("no scenario %s", name);
	return 0;
}

static struct mix parsed(const char *text)
{
	struct mix mix;
	char *why;

	assert_int_equal(mix_parse(text, &mix, &why), 0);
	assert_null(why);
	return mix;
}

static void refuses(const char *text, const char *part)
{
	struct mix mix;
	char *why;

	assert_int_equal(mix_parse(text, &mix, &why), -EINVAL);
	assert_non_null(why);
	if (!strstr(why, part))
		fail_msg("%s: %s does not say %s", text, why, part);
	free(why);
}

static void test_default(void **state)
{
	struct mix mix = parsed(NULL);
	unsigned int total = 0;

	(void)state;
	for (unsigned int i = 0; i < scenarios_count(); i++) {
		assert_int_equal(mix.weight[i], scenario_weight(i));
		assert_false(mix.named[i]);
		total += mix.weight[i];
	}
	assert_int_equal(mix.total, total);
}

static void test_names(void **state)
{
	struct mix mix = parsed("clash=20,owners=0");

	(void)state;
	assert_int_equal(mix.weight[index_of("clash")], 20);
	assert_true(mix.named[index_of("clash")]);
	assert_int_equal(mix.weight[index_of("owners")], 0);
	assert_false(mix.named[index_of("owners")]);
	assert_int_equal(mix.weight[index_of("access")], scenario_weight(index_of("access")));
	mix = parsed("*=0,clash=1");
	assert_int_equal(mix.total, 1);
	mix = parsed("clash=7,*=3");
	assert_int_equal(mix.weight[index_of("clash")], 3);
	assert_int_equal(mix.total, 3 * scenarios_count());
}

static void test_mistakes(void **state)
{
	(void)state;
	refuses("clsh=1", "'clsh' is no scenario; valid: *, owners");
	refuses("clash", "valid: clash=0 to clash=1000000");
	refuses("clash=", "'clash' has no weight");
	refuses("clash=-1", "'clash' has no weight");
	refuses("clash=1000001", "'clash' has no weight");
	refuses("clash=99999999999999999999", "'clash' has no weight");
	refuses("clash=1x", "'clash' has no weight");
	refuses("clash=1,", "'' is no scenario");
	refuses(",clash=1", "'' is no scenario");
	refuses("=1", "'' is no scenario");
	refuses("*=0", "every weight is 0");
}

/* Shares as the weights say, nothing of what has none, and the same again for the same seed. */
static void test_draw(void **state)
{
	struct mix mix = parsed("*=0,owners=1,clash=3");
	struct rng rng = rng_for(1, 2, 3), again = rng;
	unsigned int n[SNAPSHOT_SCENARIOS] = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 4000; i++) {
		unsigned int drawn = mix_draw(&mix, &rng);

		assert_int_equal(drawn, mix_draw(&mix, &again));
		n[drawn]++;
	}
	assert_in_range(n[index_of("owners")], 900, 1100);
	assert_int_equal(n[index_of("owners")] + n[index_of("clash")], 4000);
}

static void test_names_are_labels(void **state)
{
	static const char valid[] = "abcdefghijklmnopqrstuvwxyz-";

	(void)state;
	for (unsigned int i = 0; i < scenarios_count(); i++) {
		const char *name = scenario_name(i);

		assert_int_equal(strspn(name, valid), strlen(name));
		assert_in_range(strlen(name), 1, 18);
		assert_int_equal(index_of(name), i);
	}
	assert_string_equal(scenario_name(scenarios_count()), "unknown");
	assert_int_equal(scenario_weight(scenarios_count()), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),		 cmocka_unit_test(test_names),
		cmocka_unit_test(test_mistakes),	 cmocka_unit_test(test_draw),
		cmocka_unit_test(test_names_are_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
