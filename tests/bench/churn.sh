#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the oracles cost: churn without and with them, alternating in one boot. Prints owners and
# values stored a second, the ratio, the daemon's memory and the CPU time of its bookkeeping.
# Goals: ratio >= 0.9, memory <= 16 MiB beside the ledger's tables, bookkeeping <= 5 %.
# usage: tests/bench/churn.sh [ROUNDS [SECONDS]]; run it on a machine that does nothing else.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/../vm/lib/vm.sh"

ROUNDS=${1:-4}
LENGTH=${2:-30}

print_table() {
	/usr/bin/python3 - "$VM_RESULTS" "$ROUNDS" <<'PYTHON'
import json, statistics, sys

results, rounds = sys.argv[1], int(sys.argv[2])

def report(number, oracles):
    return json.load(open(f"{results}/{number}-{oracles}.json"))

runs = {o: [report(n, o) for n in range(1, rounds + 1)] for o in ("no", "yes")}
print(f"{'round':>6} {'owners/s off':>13} {'on':>9} {'ratio':>6} {'stored/s off':>13} {'on':>9} {'ratio':>6}")
ratios = {"owners_per_s": [], "stored_per_s": []}
for number, (off, on) in enumerate(zip(runs["no"], runs["yes"]), 1):
    row = [f"{number:>6}"]
    for key, width in (("owners_per_s", 13), ("stored_per_s", 13)):
        ratio = on[key] / off[key]
        ratios[key].append(ratio)
        row.append(f"{off[key]:>{width}.0f} {on[key]:>9.0f} {ratio:>6.2f}")
    print(" ".join(row))
for key, values in ratios.items():
    print(f"{key}: ratio median {statistics.median(values):.2f}, {min(values):.2f} to {max(values):.2f}")
rss = max(r["rss_bytes"] for r in runs["yes"])
books = [100 * r["cpu"]["bookkeeping_s"] / r["duration_s"] for r in runs["yes"]]
print(f"memory beside the tables: {rss / 2**20:.1f} MiB; tables {runs['yes'][0]['mapped_bytes'] / 2**20:.1f} MiB")
print(f"bookkeeping thread: {statistics.median(books):.1f} % of one CPU, user and system")
print("verdicts with oracles:", " ".join(r["verdict"] for r in runs["yes"]))
PYTHON
}

vm_begin
vm_build build
VM_ENV=("ROUNDS=$ROUNDS" "LENGTH=${LENGTH}s")
vm_boot churn ../../bench/guest/churn $((120 + 2 * ROUNDS * (LENGTH + 90))) || exit 1
print_table
