#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The ledger does not cry wolf: BIRTHS elements (300000) of sockets, tasks, cgroups and inodes are born
# and die without injection, and not one may be called a leak, a hole or a violation.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

BIRTHS=${BIRTHS:-300000}
CAP=900

vm_begin
vm_build build
VM_ENV=("BIRTHS=$BIRTHS" "CAP=$CAP")
vm_boot churn churn $((CAP + 600))
REPORT=$VM_RESULTS/report.json
report_valid churn-schema "$REPORT"
report_is churn-verdict "$REPORT" 'r["verdict"] == "PASS"'
report_is churn-born "$REPORT" "r['born'] >= $BIRTHS"
for owner in socket task cgroup inode; do
	report_is "churn-ledger-$owner" "$REPORT" "r['oracles']['ledger_$owner'] == 'live'"
	report_is "churn-owners-$owner" "$REPORT" "r['owners_by_kind']['$owner'] > 20"
	# More than the positive control's, and all of them freed.
	report_is "churn-freed-$owner" "$REPORT" "r['born_by_owner']['$owner'] > 500 and
		0 <= r['born_by_owner']['$owner'] - r['freed_by_owner']['$owner'] <= r['misses']['missed_free']"
	report_is "churn-identity-$owner" "$REPORT" \
		"stat('bpfsoakd_identity_checks_total', owner='$owner') > 20"
done
report_is churn-no-violations "$REPORT" 'r["violations"] == 0'
report_is churn-no-leaks "$REPORT" 'r["leaks"] == 0 and r["double_frees"] == 0'
report_is churn-no-holes "$REPORT" 'sum(n for k in r["holes"].values() for n in k.values()) == 0'
report_is churn-no-omem "$REPORT" 'r["omem_mismatches"] == 0'

# Where there can be no cgroups, and inodes have no storage, the run says so, and judges the others.
report_says() {
	judge "$1" "not in $VM_RESULTS/churn.log: $2" grep -qE "$2" "$VM_RESULTS/churn.log"
}

# shellcheck disable=SC2034 # for guest_start
GUEST_APPEND="lsm=capability,landlock"
VM_ENV=("BIRTHS=20000" "CAP=$CAP" "BARE=yes")
vm_boot bare churn $((CAP + 600))
REPORT=$VM_RESULTS/report.json
report_valid bare-schema "$REPORT"
report_is bare-verdict "$REPORT" 'r["verdict"] == "PASS"'
for owner in cgroup inode; do
	report_is "bare-absent-$owner" "$REPORT" \
		"r['oracles']['ledger_$owner'] == 'absent' and not r['born_by_owner']['$owner']"
done
report_is bare-others "$REPORT" 'all(r["oracles"]["ledger_" + o] == "live" for o in ("socket", "task"))'
report_is bare-storage "$REPORT" 'r["oracles"]["storage"] == r["oracles"]["identity"] == "live"'
report_says bare-says-cgroup 'no cgroups are made.*: no cgroup2 is mounted: mount -t cgroup2'
report_says bare-says-inode 'no inodes are made.*: "bpf" is not among the LSMs: boot with it in lsm='
