# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For the VM suites: boot a guest with one of tests/vm/guest/, pass on what it reports, look at the
# files it brought back. A suite prints "ok NAME", "not ok NAME: why" or "skip NAME: why" for each
# test and nothing else on stdout; scripts/check counts them. Each suite also runs by itself.
set -uo pipefail

SUITE=$(basename "${BASH_SOURCE[1]}" .sh)
PROGRAM=$SUITE
VM_TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$VM_TESTS/../../scripts/lib.sh"

VM_RESULTS= # of the last boot
VM_BUILD=build
VM_KERNEL=newest
VM_MODEL=queued
VM_CPUS=2
VM_ENV=() # NAME=VALUE for the guest script

ok() {
	echo "ok $1"
}

not_ok() {
	echo "not ok $1: ${*:2}"
}

# judge NAME WHY_NOT COMMAND...
judge() {
	local name=$1 why=$2
	shift 2
	if "$@"; then ok "$name"; else not_ok "$name" "$why"; fi
}

# The guest gets the daemon, the functions its scripts share, and programs to look around with.
vm_files() {
	printf '%s\n' "$(daemon_of "$VM_BUILD"):/usr/sbin/bpfsoakd" \
		"$VM_TESTS/lib/guest.sh:/etc/guest-lib" "$GUEST_DIR/env:/etc/guest-env" \
		"$(command -v bpftool):/usr/sbin/bpftool" "$(command -v setpriv):/usr/bin/setpriv"
}

vm_env() {
	local pair
	for pair in "${VM_ENV[@]}"; do
		printf "%s='%s'\n" "${pair%%=*}" "${pair#*=}"
	done
}

vm_boot_once() {
	local script=$1 limit=$2 files
	mkdir -p "$VM_RESULTS" || return 1
	rm -f "$VM_RESULTS"/*
	vm_env >"$GUEST_DIR/env"
	mapfile -t files < <(vm_files)
	guest_start "$VM_RESULTS" "$VM_TESTS/guest/$script" "$VM_MODEL" "$VM_CPUS" "$limit" \
		"${files[@]}" || return 1
	guest_wait
	grep -aq '^guest script: end$' "$VM_RESULTS/output.log"
}

# vm_boot NAME SCRIPT LIMIT: runs tests/vm/guest/SCRIPT, prints the results it reports, and one
# failure more when it did not come to its end. A fault of the emulator is worth one more try.
vm_boot() {
	local name=$1 script=$2 limit=$3 status=0
	VM_RESULTS=$ROOT/build/vm/$SUITE/$name
	kernel_get "$VM_KERNEL" || { not_ok "$name-boot" "no kernel '$VM_KERNEL'"; return 1; }
	[ -n "$GUEST_ACCEL" ] || accel_choose
	vm_boot_once "$script" "$limit" || status=1
	if [ $status != 0 ] && guest_emulator_fault "$VM_RESULTS"; then
		say "$name: $(guest_crash_line "$VM_RESULTS"): the emulator's fault, once more"
		status=0
		vm_boot_once "$script" "$limit" || status=1
	fi
	grep -aE '^(ok|not ok|skip) ' "$VM_RESULTS/output.log" 2>/dev/null
	[ $status = 0 ] && return 0
	not_ok "$name-guest" "$(guest_why_dead "$VM_RESULTS") (see $VM_RESULTS)"
	return 1
}

vm_begin() {
	packages_need "${BUILD_PACKAGES[@]}" "${GUEST_PACKAGES[@]}" python3-jsonschema
	guest_begin
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# vm_build NAME [MESON OPTION]...: what the next boots take the daemon from.
vm_build() {
	VM_BUILD=$1
	build "$@" && return 0
	not_ok build "see above"
	exit 1
}

# report FILE EXPRESSION...: the values of Python expressions over a report's fields, "r" being the
# report, one a line.
report() {
	/usr/bin/python3 - "$@" <<'PYTHON'
import json, sys
r = json.load(open(sys.argv[1]))
for expression in sys.argv[2:]:
    print(eval("(" + expression + ")", {"r": r, "sum": sum, "any": any, "all": all}))
PYTHON
}

# report_is NAME FILE EXPRESSION: a test that a Python expression holds for a report.
report_is() {
	local name=$1 file=$2 expression=$3 got
	if [ ! -f "$file" ]; then
		not_ok "$name" "no report came back"
	elif ! got=$(report "$file" "$expression" 2>&1); then
		not_ok "$name" "${got##*$'\n'}"
	elif [ "$got" = True ]; then
		ok "$name"
	else
		not_ok "$name" "not so: $expression; reasons: $(report "$file" 'r["reasons"]')"
	fi
}

# report_valid NAME FILE: the report keeps to the published schema.
report_valid() {
	local name=$1 file=$2 why
	if [ ! -f "$file" ]; then
		not_ok "$name" "no report came back"
	elif why=$(/usr/bin/python3 - "$file" "$ROOT/docs/report.schema.json" 2>&1 <<'PYTHON'
import json, sys, jsonschema
report, schema = (json.load(open(path)) for path in sys.argv[1:])
kind = jsonschema.validators.validator_for(schema)
kind.check_schema(schema)
errors = ["/".join(map(str, e.path)) + ": " + e.message for e in kind(schema).iter_errors(report)]
sys.exit("; ".join(errors) if errors else 0)
PYTHON
	); then
		ok "$name"
	else
		not_ok "$name" "$why"
	fi
}
