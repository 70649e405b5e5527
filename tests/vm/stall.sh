#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Locks of a stock kernel really time out, on the storage lock and on the bucket lock, on both of
# rqspinlock's paths; and what comes of it is a report that keeps to its schema.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

# Test-and-set waiters take four times as long to time out, and the stall to learn it.
QUEUED_DURATION=60
TAS_DURATION=90

stall() {
	local model=$1 duration=$2 report
	VM_MODEL=$model VM_ENV=("DURATION=$duration" "MODEL=$model")
	vm_boot "$model" stall $((duration * 3 + 500))
	report=$VM_RESULTS/report.json
	report_valid "$model-schema" "$report"
	report_is "$model-storage-timeouts" "$report" \
		'sum(r["timeouts"]["organic"][s] for s in ("map_free_storage", "destroy_storage")) > 0'
	report_is "$model-bucket-timeouts" "$report" \
		'sum(r["timeouts"]["organic"][s] for s in ("map_free_bucket", "destroy_bucket")) > 0'
	report_is "$model-nothing-forced" "$report" 'r["inject"]["kinds"] == ["organic"]
		and not any(r["timeouts"][k][s] for k in ("contended", "forced") for s in r["timeouts"][k])'
	report_is "$model-no-violations" "$report" 'r["verdict"] != "FAIL" and r["violations"] == 0'
	report_is "$model-path" "$report" "'$model' in r['cpu_model']"
}

vm_begin
vm_build build
stall queued $QUEUED_DURATION
stall tas $TAS_DURATION
