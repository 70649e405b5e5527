#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The fault points are on the kernel's error injection list, for others as well: a BPF program of
# somebody else's makes one fail by bpf_override_return(), on the lab's kernel, which can do that.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

# Static, so that the guest needs nothing else for it.
build_override() {
	quietly gcc -O2 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -static \
		-o "$GUEST_DIR/override" "$VM_TESTS/override.c" && return 0
	not_ok build-override "see above"
	exit 1
}

vm_begin
vm_build build
build_override
# The lab's kernel has ten thousands of events come while another is handled.
VM_KERNEL=lab VM_KMOD=yes VM_WHOLE=no VM_FILES=("$GUEST_DIR/override:/usr/bin/override")
vm_boot lab override 400
[ ! -f "$VM_RESULTS/figures.txt" ] || say "$(tr '\n' ';' <"$VM_RESULTS/figures.txt")"
kernel_reports_are_known kernel-log "$VM_RESULTS/console.log"
