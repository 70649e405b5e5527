#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# However the daemon dies, it leaves a kernel that injects nothing: KILLS times (6) SIGKILL in the
# midst of an injecting run, then a clean run. BACKEND=fail_function does the same with the kernel's
# own fault injection, on the lab's kernel.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

KILLS=${KILLS:-6}
BACKEND=${BACKEND:-module}

vm_begin
vm_build build
[ "$BACKEND" = module ] || VM_KERNEL=lab
# Probes come and go all the time.
VM_KMOD=yes VM_THREAD=single
VM_ENV=("KILLS=$KILLS" "BACKEND=$BACKEND")
vm_boot "$BACKEND" sigkill $((600 + KILLS * 90))
[ ! -f "$VM_RESULTS/kills.txt" ] || say "$(wc -l <"$VM_RESULTS/kills.txt") kills; slowest:" \
	"$(sort -t' ' -k11n "$VM_RESULTS/kills.txt" | tail -n 1)"
report_is clean-verdict "$VM_RESULTS/report.json" 'r["verdict"] == "PASS"'
kernel_reports_are_known kernel-log "$VM_RESULTS/console.log"
