#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "bpfsoakd check" tells the truth: on the newest kernel, on one from before the code under test,
# and on this machine's own, where nothing is ever run. The old kernel is churned and judged without
# injection, and has bugs that must be found: 005 and 006 in docs/findings.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

OLD_SERIES=6.18

code_is() {
	local name=$1 file=$2 expected=$3 got
	got=$(cat "$VM_RESULTS/$file.code" 2>/dev/null) || got=none
	[ "$got" = "$expected" ] && { ok "$name"; return; }
	not_ok "$name" "exit code $got, expected $expected: $(tail -n 2 "$VM_RESULTS/$file"* | tr '\n' '|')"
}

says() {
	local name=$1 file=$2 pattern=$3
	grep -qiE "$pattern" "$VM_RESULTS/$file" 2>/dev/null && { ok "$name"; return; }
	not_ok "$name" "nothing like '$pattern' in $VM_RESULTS/$file"
}

check_json() {
	local name=$1 file=$2 usable=$3 why
	why=$(/usr/bin/python3 - "$file" "$usable" 2>&1 <<'PYTHON'
import json, sys
check = json.load(open(sys.argv[1]))
usable = sys.argv[2] == "yes"
modes = check["modes"]
if isinstance(modes, dict):
    modes = [dict(mode, name=name) for name, mode in modes.items()]
stall = next(mode for mode in modes if mode["name"] == "stall")
if stall["usable"] != usable:
    sys.exit("stall: %r" % stall)
if not usable and not stall.get("missing"):
    sys.exit("does not say what is missing: %r" % stall)
PYTHON
	) && { ok "$name"; return; }
	not_ok "$name" "${why##*$'\n'}"
}

newest() {
	VM_KERNEL=newest VM_ENV=(LABEL=newest RUNS=no)
	vm_boot newest check 300
	code_is newest-check check 0
	code_is newest-check-json-exit check-json 0
	check_json newest-check-json "$VM_RESULTS/check.json" yes
}

old() {
	VM_KERNEL=$OLD_SERIES VM_ENV=(LABEL=old RUNS=yes)
	vm_boot old check 600
	code_is old-check check 77
	check_json old-check-json "$VM_RESULTS/check.json" no
	says old-check-says-why check.txt 'nofail'
	code_is old-refuses-stall stall 77
	says old-refusal-says-why stall.log 'stall.*nofail'
	code_is old-churns none 0
	report_valid old-schema "$VM_RESULTS/report.json"
	report_is old-judges "$VM_RESULTS/report.json" \
		'r["verdict"] == "PASS" and r["born"] > 0 and any(o == "live" for o in r["oracles"].values())'
}

# What a bug does to a kernel is not for us to say: the guest may end of it. A kernel that has been
# mended passes.
old_bug() {
	local name=$1
	if [ ! -s "$VM_RESULTS/$name.code" ]; then
		judge "old-$name-known" "the guest ended, and in something else" grep -aqE \
			'(bpf_local_storage|bpf_selem|bpf_task_storage|bpf_sk_storage)_[a-z_]*\+' \
			"$VM_RESULTS/console.log"
		return
	fi
	report_is "old-$name-played" "$VM_RESULTS/$name/report.json" \
		"r['scenarios']['$name']['steps'] > 10"
	report_is "old-$name-found" "$VM_RESULTS/$name/report.json" 'r["verdict"] == "PASS"
		or r["verdict"] == "FAIL" and r["violations_by_kind"]["value"] > 0'
	say "old kernel: $(grep -m 1 '^FAIL: ' "$VM_RESULTS/$name.log")"
}

old_bugs() {
	local results
	VM_KERNEL=$OLD_SERIES VM_ENV=(LABEL=old RUNS=bugs)
	results=$(vm_boot bugs check 600)
	VM_RESULTS=$ROOT/build/vm/$SUITE/bugs # that was set in a subshell
	old_bug accept-refused
	old_bug fork-refused
	[ -s "$VM_RESULTS/fork-refused.code" ] || return 0
	[ -z "$results" ] || printf '%s\n' "$results"
}

# Never "run" here: this kernel is other people's.
host() {
	local code=0 out
	out=$(timeout 120 "$(daemon_of build)" check 2>&1) || code=$?
	case $code in
	0 | 77) ok host-check ;;
	*) not_ok host-check "exit code $code: $(tail -n 2 <<<"$out")" ;;
	esac
	judge host-check-speaks "no word about stall" grep -q stall <<<"$out"
}

vm_begin
vm_build build
newest
old
old_bugs
host
