#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The ledger does not cry wolf: a million elements of tasks and sockets are born and die without
# injection, and not one may be called a leak, a hole or a violation. BIRTHS=N for longer ones.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

BIRTHS=${BIRTHS:-1000000}
CAP=900

vm_begin
vm_build build
VM_ENV=("BIRTHS=$BIRTHS" "CAP=$CAP")
vm_boot churn churn $((CAP + 600))
REPORT=$VM_RESULTS/report.json
report_valid churn-schema "$REPORT"
report_is churn-verdict "$REPORT" 'r["verdict"] == "PASS"'
report_is churn-born "$REPORT" "r['born'] >= $BIRTHS"
report_is churn-both-owners "$REPORT" 'all(r["born_by_owner"][o] > 0 for o in ("socket", "task"))'
report_is churn-no-violations "$REPORT" 'r["violations"] == 0'
report_is churn-no-leaks "$REPORT" 'r["leaks"] == 0 and r["double_frees"] == 0'
report_is churn-no-holes "$REPORT" 'sum(n for k in r["holes"].values() for n in k.values()) == 0'
report_is churn-no-omem "$REPORT" 'r["omem_mismatches"] == 0'
