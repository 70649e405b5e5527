#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Positive control: a daemon built to lie to itself must not come out with PASS. The first run shows
# that the same build passes when it does not lie.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

vm_begin
vm_build build-hooks -Dtest-hooks=true
# Programs come and go a hundred at a time, sixteen times: the CPUs in turns, since QEMU's emulation
# of the text that is patched meanwhile fails now and then.
VM_THREAD=single
vm_boot control control 2400
report_is drop-free-verdict "$VM_RESULTS/drop-free.json" \
	'r["verdict"] in ("FAIL", "INCONCLUSIVE") and r["test_hooks"]'
report_is drop-all-verdict "$VM_RESULTS/drop-all.json" \
	'r["violations"] == 0 and r["misses"]["missed_free"] > 0.9 * r["born"]'
report_is forge-free-verdict "$VM_RESULTS/forge-free.json" \
	'r["verdict"] == "FAIL" and r["double_frees"] == 1'
# Of nearly all that lie there is one violation, of the kind that it is about.
lie_is() {
	report_is "lie-$1-verdict" "$VM_RESULTS/lie-$1.json" \
		'r["verdict"] == "FAIL" and r["violations_by_kind"]["'"$2"'"] == 1 == r["violations"]'
}
lie_is fields-twice fields_twice
lie_is fields-left fields_leak
lie_is fields-late fields_late
# References are counted, and a count that is off by one may be explained: this one is off by many.
report_is lie-reference-verdict "$VM_RESULTS/lie-reference.json" \
	'r["verdict"] == "FAIL" and r["violations_by_kind"]["reference"] == r["violations"] > 1'
lie_is identity identity
lie_is torn torn
lie_is reader value
lie_is stale value
lie_is map map
lie_is held held
lie_is early early
lie_is forgotten forgotten
report_is fake-warn-verdict "$VM_RESULTS/fake-warn.json" \
	'r["verdict"] == "FAIL" and r["violations_by_kind"]["kernel_log"] == 1'
