#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon as a service, in one boot: signals, a full disk, bad configurations, no root.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

vm_begin
vm_build build
vm_boot service service 1500
for mode in none stall; do
	report_valid "unprivileged-$mode-schema" "$VM_RESULTS/unprivileged-$mode.json"
	report_is "unprivileged-$mode-no-violations" "$VM_RESULTS/unprivileged-$mode.json" \
		'r["violations"] == 0 and r["born"] > 0'
done
