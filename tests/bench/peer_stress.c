// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel's test_maps does with its sk storage part, by itself: linked by tests/bench/peer
 * with tools/testing/selftests/bpf/map_tests/sk_storage_map.c, which takes its parameters from the
 * environment.
 */
int skips;

void test_sk_storage_map(void);

int main(void)
{
	test_sk_storage_map();
	return 0;
}
