#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Positive control: a daemon built to lie to itself must not come out with PASS. The first run shows
# that the same build passes when it does not lie.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

vm_begin
vm_build build-hooks -Dtest-hooks=true
vm_boot control control 1200
report_is drop-free-verdict "$VM_RESULTS/drop-free.json" \
	'r["verdict"] in ("FAIL", "INCONCLUSIVE") and r["test_hooks"]'
report_is forge-free-verdict "$VM_RESULTS/forge-free.json" \
	'r["verdict"] == "FAIL" and r["double_frees"] == 1'
report_is fake-warn-verdict "$VM_RESULTS/fake-warn.json" \
	'r["verdict"] == "FAIL" and r["violations_by_kind"]["kernel_log"] == 1'
