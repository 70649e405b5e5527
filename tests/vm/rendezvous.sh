#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Meetings that are arranged take place, each of the table's, and without that none does; nothing
# leaks by it, for no lock fails.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

DURATION=${DURATION:-45}
TABLE='("selem", "owner", "bucket", "delete", "clone", "iterator", "uncharge")'

vm_begin
vm_build build
VM_ENV=("DURATION=$DURATION")
vm_boot stock rendezvous $((DURATION + 400))
REPORT=$VM_RESULTS/report.json
report_valid schema "$REPORT"
report_is passes "$REPORT" 'r["verdict"] == "PASS"'
report_is all-are-met "$REPORT" "all(r['rendezvous'][a]['met'] > 0 for a in $TABLE)"
report_is nothing-leaks "$REPORT" 'not any(sum(k.values()) for k in r["holes"].values())'
report_is off-is-off "$VM_RESULTS/off/report.json" \
	'not any(sum(a.values()) for a in r["rendezvous"].values())'
[ ! -f "$REPORT" ] || say "met and missed: $(report "$REPORT" 'r["rendezvous"]')"
kernel_reports_are_known kernel-log "$VM_RESULTS/console.log"
