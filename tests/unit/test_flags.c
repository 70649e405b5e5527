// SPDX-License-Identifier: GPL-2.0-only
/* What an update must be answered, by its flags and by what is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/bpf.h>

#include "scenarios/flags.h"

static const struct {
	uint64_t flags;
	int plain[2];	 /* value absent, there */
	int lockable[2]; /* the same where it has a spin lock */
} answers[] = {
	{ BPF_ANY, { 0, 0 }, { 0, 0 } },
	{ BPF_NOEXIST, { 0, -EEXIST }, { 0, -EEXIST } },
	{ BPF_EXIST, { -ENOENT, 0 }, { -ENOENT, 0 } },
	{ BPF_F_LOCK, { -EINVAL, -EINVAL }, { 0, 0 } },
	{ BPF_F_LOCK | BPF_NOEXIST, { -EINVAL, -EINVAL }, { 0, -EEXIST } },
	{ BPF_F_LOCK | BPF_EXIST, { -EINVAL, -EINVAL }, { -ENOENT, 0 } },
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		for (int there = 0; there < 2; there++) {
			uint64_t flags = answers[i].flags;

			assert_int_equal(flags_expect(there, false, flags),
					 answers[i].plain[there]);
			assert_int_equal(flags_expect(there, true, flags),
					 answers[i].lockable[there]);
		}
}

/* Both at once, and whatever else there may be: nothing, for storage. */
static void test_nonsense(void **state)
{
	static const uint64_t bad[] = {
		BPF_NOEXIST | BPF_EXIST,
		8,
		16,
		1ULL << 32,
		~0ULL,
		BPF_F_LOCK | 8,
		BPF_F_LOCK | BPF_NOEXIST | BPF_EXIST,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (int there = 0; there < 2; there++)
			for (int lockable = 0; lockable < 2; lockable++)
				assert_int_equal(flags_expect(there, lockable, bad[i]), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
