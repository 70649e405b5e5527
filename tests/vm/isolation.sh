#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Nobody's locks fail but the daemon's: tests/vm/foreign.c keeps others' rqspinlocks contended on all
# CPUs (hash map, LPM trie, ring buffer, and socket storage, which goes through the very code under
# test) while every lock of the daemon's maps fails.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

DURATION=${DURATION:-20}

# Static, so that the guest needs nothing else for it.
build_foreign() {
	quietly gcc -O2 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -static -pthread \
		-o "$GUEST_DIR/foreign" "$VM_TESTS/foreign.c" && return 0
	not_ok build-foreign "see above"
	exit 1
}

vm_begin
vm_build build
build_foreign
VM_KMOD=yes VM_FILES=("$GUEST_DIR/foreign:/usr/bin/foreign") VM_ENV=("SECONDS_OF_LOAD=$DURATION")
vm_boot isolation isolation $((600 + 4 * DURATION))
for file in foreign-alone.log foreign-beside-errors.log figures.txt; do
	[ ! -f "$VM_RESULTS/$file" ] || say "${file%.*}: $(tr '\n' ';' <"$VM_RESULTS/$file")"
done
kernel_reports_are_known kernel-log "$VM_RESULTS/console.log"
