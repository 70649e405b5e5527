#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What disturbs the churn besides failed locks, seen from outside: pauses, moves, CPUs that go and
# come back whatever happens, memory that is taken. And what owners touch of the host: nothing.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

vm_begin
vm_build build
vm_boot perturb perturb 1500
for run in apart hotplug pressure; do
	report_valid "$run-schema" "$VM_RESULTS/$run.json"
	report_is "$run-verdict" "$VM_RESULTS/$run.json" 'r["verdict"] == "PASS"'
done
report_is apart-report "$VM_RESULTS/apart.json" \
	'r["isolation"] == {"own_network_namespace": True, "own_cgroup": True}'
report_is apart-perturbed "$VM_RESULTS/apart.json" 'r["perturbations"]["stutter"]["done"] > 3
	and r["perturbations"]["shuffle"]["done"] > 3
	and all(p["refused"] == 0 for p in r["perturbations"].values())'
report_is hotplug-perturbed "$VM_RESULTS/hotplug.json" \
	'r["perturbations"]["hotplug"]["done"] > 1 and r["perturbations"]["hotplug"]["refused"] == 0'
report_is pressure-perturbed "$VM_RESULTS/pressure.json" \
	'r["perturbations"]["pressure"]["done"] > 0 and r["pressure_scanned_pages"] > 1000'
kernel_reports_are_known kernel-log "$VM_RESULTS/console.log"
sed -n 's/^info: //p' "$VM_RESULTS/output.log" | tr -d '\r' >&2
