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
VM_KERNEL=newest # or anything else that kernel_get takes
VM_KMOD=no       # yes: the guest gets the module for its kernel, as KMOD_GUEST_FILE
VM_MODEL=queued
VM_CPUS=2
VM_THREAD=multi # see GUEST_THREAD
VM_WHOLE=yes     # no: runs that lose events are no surprise here, see vm_events_lost
VM_ENV=()       # NAME=VALUE for the guest script
VM_FILES=()     # FILE:GUEST_PATH, more for the guest

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
	[ "$VM_KMOD" != yes ] || echo "$KMOD_FILE:$KMOD_GUEST_FILE"
	[ ${#VM_FILES[@]} = 0 ] || printf '%s\n' "${VM_FILES[@]}"
}

vm_env() {
	local pair
	printf "SLOWER='%s'\n" "$KERNEL_SLOWER"
	for pair in "${VM_ENV[@]}"; do
		printf "%s='%s'\n" "${pair%%=*}" "${pair#*=}"
	done
}

vm_boot_once() {
	local script=$1 limit=$2 files
	mkdir -p "$VM_RESULTS" || return 1
	rm -rf "${VM_RESULTS:?}"/*
	vm_env >"$GUEST_DIR/env"
	mapfile -t files < <(vm_files)
	guest_start "$VM_RESULTS" "$VM_TESTS/guest/$script" "$VM_MODEL" "$VM_CPUS" "$limit" \
		"${files[@]}" || return 1
	guest_wait
	grep -aq '^guest script: end$' "$VM_RESULTS/output.log"
}

# Did more go past both copies of a program than is usual? Two tasks preempted in them, on a machine
# that has no time for the guest, see bpf/ledger.bpf.h. The daemon calls such a run INCONCLUSIVE, as
# it should. With the CPUs in turns, which is the third try, what then still happens is ours.
vm_events_lost() {
	local said='frees were missed and only|values of ours were freed whose birth was not seen'
	[ "$VM_WHOLE" = yes ] && [ "$GUEST_ACCEL_NAME" = tcg ] && [ "$GUEST_THREAD" = multi ] || return 1
	grep -aE '^not ok ' "$VM_RESULTS/output.log" | grep -qE "$said" && return 0
	[ -f "$VM_RESULTS/report.json" ] && report "$VM_RESULTS/report.json" 'r["reasons"]' 2>&1 |
		grep -qE "$said"
}

# vm_boot NAME SCRIPT LIMIT: runs tests/vm/guest/SCRIPT, prints the results it reports, and one
# failure more when it did not come to its end. A fault of the emulator is worth another try, and a
# third with the CPUs in turns, which it cannot happen to. LIMIT is what a stock kernel may take; a
# slower one gets more.
vm_boot() {
	local name=$1 script=$2 limit=$3 status=0 thread
	VM_RESULTS=$ROOT/build/vm/$SUITE/$name
	kernel_get "$VM_KERNEL" || { not_ok "$name-boot" "no kernel '$VM_KERNEL'"; return 1; }
	if [ "$VM_KMOD" = yes ] && ! kmod_get; then
		not_ok "$name-boot" "no module for $KERNEL_NAME"
		return 1
	fi
	limit=$((limit * KERNEL_SLOWER))
	[ -n "$GUEST_ACCEL_NAME" ] || accel_choose
	for thread in "$VM_THREAD" "$VM_THREAD" single; do
		GUEST_THREAD=$thread status=0
		vm_boot_once "$script" "$limit" || status=1
		if [ $status = 0 ]; then
			vm_events_lost || break
			say "$name: events of attached programs were lost: once more"
			continue
		fi
		guest_emulator_fault "$VM_RESULTS" || break
		say "$name: $(guest_crash_line "$VM_RESULTS"): the emulator's fault, once more"
	done
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
# report, one a line. stat(NAME, LABEL=VALUE...) adds up what the stats file beside it has.
report() {
	/usr/bin/python3 - "$@" <<'PYTHON'
import json, os, re, sys
r = json.load(open(sys.argv[1]))

def stat(name, **labels):
    total = 0
    for line in open(os.path.join(os.path.dirname(sys.argv[1]), "stats.prom")):
        sample = re.match(r"([a-z_]+)(?:\{(.*)\})? (\S+)$", line)
        if not sample or sample[1] != name:
            continue
        have = dict(re.findall(r'(\w+)="([^"]*)"', sample[2] or ""))
        if labels.items() <= have.items():
            total += float(sample[3])
    return total

for expression in sys.argv[2:]:
    print(eval("(" + expression + ")", {"r": r, "stat": stat}))
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

# kernel_reports FILE: each report in a kernel's console, one a line, as what it is, a blank, and its
# first line. documented: a WARN of bpf_selem_unlink_nofail(). finding: KASAN's, about local storage,
# with no frame of the module: the kernel's own. leaks: kmemleak has counted some. other: anything
# else.
kernel_reports() {
	/usr/bin/python3 - "$1" <<'PYTHON'
import re, sys

HEAD = re.compile(r"""WARNING:\ |BUG:\ |BUG\ .*\):\ |kernel\ BUG\ at\ |Oops:\ |UBSAN:\ |PANIC:\ |Kernel\ panic
    |general\ protection\ fault|Unable\ to\ handle|DEBUG_LOCKS_WARN_ON|ODEBUG:\ (?!selftest)|refcount_t:\
    |list_(add|del)\ corruption|list_add\ double|kmemleak:\ .*(suspected|unreferenced)|\[\ BUG:
    |INFO:\ (task\ |trying\ to\ register)|.*detected\ (expedited\ )?stall|.*hard\ LOCKUP
    |.*invoked\ oom-killer|watchdog:\ BUG""", re.X)
END = re.compile(r"---\[ end trace|=====")
FRAME = re.compile(r"\+0x[0-9a-f]+/0x[0-9a-f]+ \[rqspinlock_fault\]")
STORAGE = re.compile(r"bpf_(local_storage|selem|sk_storage|task_storage)")

def judge(report):
    first = report[0]
    if first.startswith("WARNING: ") and " bpf_selem_unlink_nofail" in first.split(", CPU#")[0]:
        return "documented"
    if "KASAN" in first and STORAGE.search(first) and not any(map(FRAME.search, report)):
        return "finding"
    if re.match(r"kmemleak: \d+ new suspected", first):
        return "leaks"
    return "other"

reports, now = [], None
for line in open(sys.argv[1], errors="replace"):
    line = re.sub(r"^\[ *[0-9.]+\](\[ *[TC][0-9]+\])? ?", "", line.rstrip("\r\n"))
    if HEAD.match(line):
        now = [line]
        reports.append(now)
    elif now and END.match(line):
        now = None
    elif now:
        now.append(line)
for report in reports:
    print(judge(report), report[0])
PYTHON
}

# kernel_reports_are_known NAME FILE [LEAKED]: a test that the kernel has complained of nothing but
# what is documented, and kmemleak of no more objects than LEAKED. What seems to be a finding about
# the kernel is shown, for somebody to look at.
kernel_reports_are_known() {
	local name=$1 file=$2 leaked=${3:-0} all other leaks
	all=$(kernel_reports "$file") || { not_ok "$name" "cannot read $file"; return; }
	grep -q '^finding ' <<<"$all" &&
		say "LOOK AT $file: $(sed -n 's/^finding //p' <<<"$all" | sort | uniq -c)"
	leaks=$(awk '$1 == "leaks" { sum += $3 } END { print sum + 0 }' <<<"$all")
	[ "$leaks" -le "$leaked" ] || all+=$'\n'"other kmemleak: $leaks objects, $leaked expected"
	other=$(sed -n 's/^other //p' <<<"$all")
	judge "$name" "$(grep -c . <<<"$other") in $file: $(head -n 3 <<<"$other" | tr '\n' '|')" \
		[ -z "$other" ]
}
