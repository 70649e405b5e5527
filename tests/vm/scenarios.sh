#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Each scenario by itself, on an idle kernel, one boot for all: it does what it is for, more than
# once, and a correct kernel passes. What only a lab kernel can play is refused on the stock one, and
# played in a second boot. SCENARIOS="NAME..." for some of them.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

SCENARIOS=${SCENARIOS:-}

# As the table in the source has them.
names() {
	sed -nE 's/^#define SCENARIOS.*//; s/^\tX\("([a-z-]+)", [a-z_]+, [0-9]+\).*/\1/p' \
		"$ROOT/daemon/scenarios/mix.h"
}

rows() {
	sed -nE "/<<'ROWS'/,/^ROWS/s/^([a-z-]+(@[a-z]+)?) [0-9].*/\1/p" "$VM_TESTS/guest/scenarios"
}

documented() {
	grep -cF "| \`$1\` |" "$ROOT/docs/scenarios.md"
}

# A scenario that nobody plays here or tells of, or a row of one that is gone.
table_is_complete() {
	local name
	while read -r name; do
		judge "row-$name" "not one row in tests/vm/guest/scenarios, or no such scenario" \
			[ "$(rows | grep -cE "^$name(@[a-z]+)?$")/$(names | grep -cx -- "$name")" = 1/1 ]
		judge "documented-$name" "not one row in docs/scenarios.md" [ "$(documented "$name")" = 1 ]
	done < <({ names && rows | sed 's/@.*//'; } | sort -u)
	judge rows-some "found no scenarios in mix.h" [ "$(names | wc -l)" -ge 3 ]
}

# wanted SUFFIX: are there any to be played on this sort of kernel?
wanted() {
	local name
	rows | grep -qE -- "[a-z]$1$" || return 1
	[ -n "$SCENARIOS" ] || return 0
	for name in $SCENARIOS; do
		rows | grep -qx -- "$name$1" && return 0
	done
	return 1
}

# play KERNEL SUFFIX
play() {
	wanted "$2" || return 0
	VM_KERNEL=$1
	VM_ENV=("ONLY=$SCENARIOS" "NAMES=$(names | tr '\n' ' ')" "SUFFIX=$2")
	vm_boot "scenarios$2" scenarios 1800
	kernel_reports_are_known "kernel-log$2" "$VM_RESULTS/console.log"
}

# survives NAME FUNCTION: plays the rows with @fatal. The guest may end in FUNCTION, of which docs/findings
# tells, and in no other way.
survives() {
	local console=$ROOT/build/vm/$SUITE/scenarios@fatal/console.log results
	wanted @fatal || return 0
	results=$(play newest @fatal)
	if grep -aqE "RIP: 0010:(__)?$2\+" "$console"; then
		ok "$1-known"
		say "$1: $(grep -am 1 'BUG:' "$console" | tr -d '\r'), as docs/findings has it"
	else
		printf '%s\n' "$results"
	fi
}

# A stock kernel has vsock as modules.
add_vsock() {
	local name file
	kernel_get newest || return 1
	for name in vsock vmw_vsock_virtio_transport_common vsock_loopback; do
		file=$(kernel_module "$name") || return 1
		VM_FILES+=("$file:/usr/lib/vsock/$name.ko")
	done
}

vm_begin
table_is_complete
vm_build build
add_vsock || echo "skip family-vsock-stream: no modules of vsock for this kernel"
play newest ''
VM_FILES=()
survives iter-deaths bpf_sk_storage_map_seq_show
play lab @lab
