#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Feeds the parsers of what comes from outside (tests/fuzz) to libFuzzer, with the address and the
# undefined behaviour sanitizer: the corpus once, then FUZZ_SECONDS [5] of mutations each. What it
# finds is kept in build-fuzz/found/NAME; FUZZ_NEW=DIR keeps what reached new code below DIR, to be
# merged into the corpus by hand. FUZZ_SEED [1] is fixed, so that a test that passed goes on passing;
# 0 draws one, for those who search. Names as arguments: these targets only. Prints "ok NAME" or
# "not ok NAME: why" for each; a suite of scripts/check.
set -uo pipefail

PROGRAM=fuzz
# shellcheck source=scripts/lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../scripts/lib.sh"

SECONDS_EACH=${FUZZ_SECONDS:-5}
SEED=${FUZZ_SEED:-1}
FUZZ_PACKAGES=(libclang-rt-14-dev)
DIR=$ROOT/build-fuzz
WORK= # scratch

targets() {
	sed -nE "/^fuzz_targets = \[/,/^\]/s/^\t'([a-z]+)',$/\1/p" "$ROOT/tests/fuzz/meson.build"
}

build_fuzz() {
	local name
	local -a programs
	mapfile -t programs < <(targets | sed 's|^|tests/fuzz/fuzz_|')
	CC=clang build_setup "$DIR" -Dfuzz=true -Dkmod=disabled -Dwerror=false -Db_lundef=false \
		-Db_sanitize=address,undefined && quietly ninja -C "$DIR" "${programs[@]}"
}

# What the target says of itself: "not so", or the sanitizer's words.
why_failed() {
	local why
	why=$(grep -m 1 -oE 'not so: .*|runtime error: .*|ERROR: .*' "$1")
	echo "${why:-$(tail -n 1 "$1")}"
}

run_target() {
	local name=$1 log=$WORK/$1.log new=${FUZZ_NEW:-$WORK}/$1 found=$DIR/found/$1 runs
	mkdir -p "$new" "$found"
	"$DIR/tests/fuzz/fuzz_$name" -max_total_time="$SECONDS_EACH" -seed="$SEED" -timeout=60 -rss_limit_mb=1024 \
		-max_len=16384 -artifact_prefix="$found/" "$new" "$ROOT/tests/fuzz/corpus/$name" \
		>"$log" 2>&1 </dev/null
	local code=$?
	runs=$(sed -nE 's/^Done ([0-9]+) runs.*/\1/p' "$log")
	if [ $code = 0 ] && [ "${runs:-0}" -gt 100 ]; then
		say "$name: $runs runs, $(grep -cE '^#[0-9]+[[:space:]]+NEW' "$log") inputs reached new code"
		echo "ok $name"
		return
	fi
	tail -n 40 "$log" >&2
	echo "not ok $name: $(why_failed "$log"); see $found"
}

# A fuzzer that cannot see is no test: a bug that is there must be found, and soon.
test_sees() {
	local log=$WORK/sees.log
	printf '%s\n' '#include <stddef.h>' '#include <stdint.h>' \
		'int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);' \
		'int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)' \
		'{ return size > 2 && data[0] == 46 && data[1] == 120 && data[size]; }' >"$WORK/sees.c"
	if ! clang -g -fsanitize=fuzzer,address,undefined -o "$WORK/sees" "$WORK/sees.c" >"$log" 2>&1; then
		tail -n 5 "$log" >&2
		echo "not ok sees: it cannot be built"
	elif (cd "$WORK" && ./sees -max_total_time=30) >"$log" 2>&1; then
		echo "not ok sees: it does not find a read behind the end"
	elif grep -q heap-buffer-overflow "$log"; then
		echo "ok sees"
	else
		echo "not ok sees: $(why_failed "$log")"
	fi
}

main() {
	local name
	local -a wanted
	packages_need "${BUILD_PACKAGES[@]}" "${FUZZ_PACKAGES[@]}"
	mapfile -t wanted < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else targets; fi)
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/fuzz.XXXXXX") || exit 1
	trap 'rm -rf "$WORK"' EXIT
	if ! locked build build_fuzz; then
		echo "not ok build: see above"
		exit 1
	fi
	test_sees
	for name in "${wanted[@]}"; do
		run_target "$name"
	done
}

main "$@"
