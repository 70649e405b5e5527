#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Findings from end to end: a forged double free gives a whole one, whose command does it again, and
# so does an element that an organic failure leaves;
# --on-violation stops or freezes a run; a killed run is found by the next; a guest that the kernel
# takes along leaves a finding on the host.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

SMALL=(--slots=64K --owners=8)
OUT=$ROOT/build/vm/finding

# soak DIR ARGUMENT...: sets CODE.
soak() {
	local dir=$1
	shift
	rm -rf "$dir"
	mkdir -p "$dir"
	"$ROOT/scripts/soak" --build build-hooks --results "$dir" "$@" >"$dir.log" 2>&1
	CODE=$?
}

# The first finding's directory in a results directory whose name has WORD.
finding_dir() {
	find "$1/findings" -mindepth 1 -maxdepth 1 -name "[0-9]*$2*" 2>/dev/null | sort | head -n 1
}

# finding_is_whole NAME DIR FIRST_LINE
finding_is_whole() {
	local name=$1 dir=$2 line=$3 file
	if [ -z "$dir" ]; then
		not_ok "$name-whole" "there is no finding"
		return 1
	fi
	for file in summary.txt history.txt kmsg.txt system.txt replay; do
		[ -s "$dir/$file" ] || { not_ok "$name-whole" "no $file in $dir"; return 1; }
	done
	[ -s "$dir/kernel-config" ] || [ -s "$dir/kernel-config.gz" ] ||
		{ not_ok "$name-whole" "no kernel-config in $dir"; return 1; }
	ok "$name-whole"
	judge "$name-first-line" "$(head -n 1 "$dir/summary.txt")" \
		[ "$(head -n 1 "$dir/summary.txt")" = "$line" ]
}

signatures() {
	sed -nE 's/.*"signature": "([^"]*)".*"directory".*/\1/p' "$1/findings/index.json"
}

# replay NAME DIR: does what the finding in DIR says, as printed, from the tree. Sets CODE, AGAIN.
replay() {
	(cd "$ROOT" && sh "$2/replay") >"$OUT/$1-replay.log" 2>&1
	CODE=$?
	AGAIN=$(sed -nE 's/^soak: results are in //p' "$OUT/$1-replay.log")
}

forget() {
	case $1 in "$ROOT"/results/*) rm -rf "$1" ;; esac
}

forge() {
	local dir first again
	soak "$OUT/forge" --duration 6s -- --inject=none --test-forge-free=100 "${SMALL[@]}"
	judge forge-exit "exit code $CODE" [ "$CODE" = 1 ]
	dir=$(finding_dir "$OUT/forge" double_free)
	finding_is_whole forge "$dir" "NO FAULT WAS INJECTED" || return
	judge forge-history "$dir/history.txt" grep -q 'noticed.*at station' "$dir/history.txt"
	judge forge-console "no line on the console" \
		grep -aq "^bpfsoakd: finding ${dir##*/}: " "$OUT/forge/console.log"
	replay forge "$dir"
	again=$AGAIN
	judge replay-exit "exit code $CODE; $(tail -n 1 "$OUT/forge-replay.log")" [ "$CODE" = 1 ]
	first=$(signatures "$OUT/forge" | head -n 1)
	judge replay-signature "'$first' is not among: $(signatures "$again" | tr '\n' ' ')" \
		grep -qxF -- "$first" <(signatures "$again")
	judge replay-seed "another seed" \
		grep -q "$(grep '^seed' "$dir/system.txt" | tr -s ' ')" <(tr -s ' ' <"$(
			finding_dir "$again" double_free)/system.txt")
	forget "$again"
}

# The same with nothing forged: what an organic failure leaves comes again with another one.
organic() {
	local dir first again
	soak "$OUT/organic" -- --inject=stall
	judge organic-exit "exit code $CODE" [ "$CODE" = 0 ]
	dir=$(finding_dir "$OUT/organic" hole_selem-organic)
	finding_is_whole organic "$dir" "FAULTS WERE INJECTED: organic" || return
	judge organic-undocumented "$(grep '^Class' "$dir/summary.txt")" \
		grep -q '^Class: *undocumented' "$dir/summary.txt"
	judge organic-history "$dir/history.txt" grep -q 'timeout' "$dir/history.txt"
	first=$(sed -n 's/^Signature: *//p' "$dir/summary.txt")
	replay organic "$dir"
	again=$AGAIN
	judge organic-replay-exit "exit code $CODE; $(tail -n 1 "$OUT/organic-replay.log")" [ "$CODE" = 0 ]
	judge organic-replay-signature "'$first' is not among: $(signatures "$again" | tr '\n' ' ')" \
		grep -qxF -- "$first" <(signatures "$again")
	forget "$again"
}

crash() {
	local dir
	soak "$OUT/crash" --duration 60s --crash-after 20 -- --stats-interval=2s "${SMALL[@]}"
	judge crash-exit "exit code $CODE" [ "$CODE" = 1 ]
	judge crash-last-line "$(tail -n 1 "$OUT/crash.log")" \
		grep -q '^bpfsoakd: end of run: FAIL the guest died: ' "$OUT/crash.log"
	dir=$(finding_dir "$OUT/crash" guest_died)
	finding_is_whole crash "$dir" "FAULTS WERE INJECTED: organic" || return
	judge crash-signature "${dir##*/}" grep -qE 'guest_died-organic-[a-z]+-sysrq' <<<"${dir##*/}"
	judge crash-kernel-report "not in kmsg.txt" grep -q 'Call Trace' "$dir/kmsg.txt"
	judge crash-figures "no figures" grep -q '^bpfsoakd_owners_born_total' "$dir/history.txt"
	judge crash-replay "$(cat "$dir/replay")" \
		grep -qE '^scripts/soak --kernel [^ ]+ .* --seed=[0-9]+' "$dir/replay"
	judge crash-said "soak does not name it" grep -qF "finding about that is in $dir" "$OUT/crash.log"
}

vm_begin
vm_build build-hooks -Dtest-hooks=true
forge
organic
crash
vm_boot guest finding 600
