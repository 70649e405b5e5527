#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the module rqspinlock_fault costs, and how fast it fails locks, in one boot. Prints owners and
# values stored a second with the module absent, idle, and armed without failing anything (contended:
# a probe at each function's entry; forced: one at each attempt as well), in turns; then failed
# acquisitions a second, on average and in the best second.
# Goals: idle / absent >= 0.98; 20000 failed acquisitions a second.
# usage: [BACKEND=fail_function] tests/bench/inject.sh [ROUNDS [SECONDS]]; run it on a machine that
# does nothing else. fail_function is measured on the lab's kernel.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/../vm/lib/vm.sh"

ROUNDS=${1:-4}
LENGTH=${2:-30}
BACKEND=${BACKEND:-module}

print_table() {
	/usr/bin/python3 - "$VM_RESULTS" "$ROUNDS" <<'PYTHON'
import json, statistics, sys

results, rounds = sys.argv[1], int(sys.argv[2])
turns = ("absent", "idle", "contended", "forced")

def report(number, turn):
    return json.load(open(f"{results}/{number}-{turn}.json"))

runs = {turn: [report(n, turn) for n in range(1, rounds + 1)] for turn in turns}
for key in ("owners_per_s", "stored_per_s"):
    print(f"{key:>14}" + "".join(f"{turn:>11}" for turn in turns))
    for n in range(rounds):
        print(f"{'round ' + str(n + 1):>14}" + "".join(f"{runs[t][n][key]:>11.0f}" for t in turns))
for name, turn, base in (("idle / absent", "idle", "absent"), ("contended / idle", "contended", "idle"),
                         ("forced / idle", "forced", "idle")):
    for key in ("owners_per_s", "stored_per_s"):
        ratios = [a[key] / b[key] for a, b in zip(runs[turn], runs[base])]
        print(f"{name}, {key}: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")
PYTHON
	while read -r name mean best; do
		echo "failed acquisitions a second, $name: $mean, best second $best"
	done <"$VM_RESULTS/failed.txt"
}

vm_begin
vm_build build
[ "$BACKEND" = module ] || VM_KERNEL=lab
VM_KMOD=yes VM_ENV=("ROUNDS=$ROUNDS" "LENGTH=$LENGTH" "BACKEND=$BACKEND")
vm_boot "$BACKEND" ../../bench/guest/inject $((900 + 4 * (ROUNDS + 1) * (LENGTH + 60))) || exit 1
print_table
