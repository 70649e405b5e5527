#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Locks of a stock kernel fail where and as the module is told, on both of rqspinlock's paths; what
# comes of it is counted by the daemon as by the module, and no violation. Then the module and its
# device by themselves, and runs that must be refused. DURATION=300 or more demands that every
# way through the code under test that can be forced was gone.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

DURATION=${DURATION:-60}
FEWEST_CELLS=30

# Contention comes as it comes: when a short run had none, that alone is no failure. And a forced
# failure may have a selem freed while it is on a list, after which the kernel's memory is not what
# it was: the daemon says so, and claims nothing. Nor does it where, with all that goes on in a duel,
# an event went past both copies of a program.
PASSED='r["verdict"] == "PASS" or r["verdict"] == "INCONCLUSIVE" and
	all(any(words in reason for words in ("nothing injected: contended", "still on a list",
	"gaps in their history", "were missed", "was not seen")) for reason in r["reasons"])'
VISITS='("map_free_bucket", "map_free_storage", "destroy_bucket", "destroy_storage")'

# output_has NAME PATTERN: the daemon has printed such a line.
output_has() {
	local name=$1 pattern=$2 log=$VM_RESULTS/inject.log
	judge "$name" "nothing like '$pattern' in $log" grep -qE "$pattern" "$log"
}

coverage() {
	local model=$1 report=$2
	[ ! -f "$report" ] || say "$model: forced cells: $(report "$report" \
		'r["coverage"]["summary"]["forced"]'); missing: $(report "$report" \
		'[" ".join((c["side"], c["bucket"] + "/" + c["storage"], c["outcome"]))
		for c in r["coverage"]["missing"] if c["kind"] == "forced"]')"
	if [ "$DURATION" -ge 300 ]; then
		report_is "$model-coverage" "$report" 'r["coverage"]["summary"]["forced"]["missing"] == 0'
	else
		report_is "$model-coverage" "$report" \
			"r['coverage']['summary']['forced']['covered'] >= $FEWEST_CELLS"
	fi
}

# What fails outside of visits comes to the ears of callers, whom the ledger hears too.
operations() {
	local model=$1 report=$2
	report_is "$model-operations-failed" "$report" 'all(sum(r["module"][e]["forced"][site]
		for e in ("timeouts", "deadlocks")) > 0 for site in ("update", "delete", "alloc"))'
	report_is "$model-operations-counted" "$report" 'all(
		stat("bpfsoakd_errors_returned_total", op=op, errno=errno) > 0
		for op in ("update", "delete") for errno in ("ETIMEDOUT", "EDEADLK"))'
}

inject() {
	local model=$1 report
	VM_MODEL=$model VM_ENV=("DURATION=$DURATION" "LABEL=$model" INJECT=module OPTIONS=)
	vm_boot "$model" inject $((DURATION * 3 + 500))
	report=$VM_RESULTS/report.json
	report_valid "$model-schema" "$report"
	report_is "$model-verdict" "$report" "$PASSED"
	report_is "$model-no-violations" "$report" 'r["violations_by_kind"]["held"] == 0 and
		(r["violations"] == 0 or r["holes"]["linked"]["forced"] > 0)'
	report_is "$model-kinds" "$report" '"forced" in r["inject"]["kinds"]'
	report_is "$model-timeouts" "$report" "all(r['timeouts']['forced'][s] > 0 for s in $VISITS)"
	report_is "$model-deadlocks" "$report" "all(r['deadlocks']['forced'][s] > 0 for s in $VISITS)"
	report_is "$model-module-clean" "$report" \
		'not any(r["module"][k] for k in ("held", "held_cpus", "hidden", "refused", "strange"))'
	report_is "$model-decides-itself" "$report" 'r["module"]["decide"] == "self"'
	operations "$model" "$report"
	coverage "$model" "$report"
	output_has "$model-example" 'example: .*freed by .*, by cmpxchg \(.*fault\)'
	report_is "$model-no-uncharging" "$report" 'r["rendezvous"]["uncharge"] == {"met": 0, "missed": 0}'
	output_has "$model-says-no-uncharging" 'no meetings at uncharge'
	output_has "$model-says-forced" '^FAULTS WERE FORCED: '
	report_is "$model-path" "$report" "'$model' in r['cpu_model']"
}

# The device and what must be refused: probes come and go all the time, hence the CPUs in turns.
knobs() {
	VM_MODEL=queued VM_THREAD=single VM_ENV=()
	vm_boot knobs knobs 1200
}

vm_begin
vm_build build
VM_KMOD=yes
inject queued
inject tas
knobs
