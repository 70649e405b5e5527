#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel's own fault injection fails locks at the module's fault points, in a kernel that is
# full of checkers: neither KASAN nor lockdep nor anything else may have to say anything about it.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

DURATION=${DURATION:-60}
VISITS='("map_free_bucket", "map_free_storage", "destroy_bucket", "destroy_storage")'

vm_begin
vm_build build
VM_KERNEL=lab-kasan VM_KMOD=yes
# On such a kernel little happens in a minute: what has map_free() and destroy() fail locks.
VM_ENV=("DURATION=$DURATION" LABEL=kasan INJECT=fail_function
	"OPTIONS=--rendezvous=off --mix=*=0,owners=38,access=57,clash=5")
vm_boot kasan inject $((DURATION * 3 + 500))
REPORT=$VM_RESULTS/report.json
report_valid kasan-schema "$REPORT"
report_is kasan-no-violations "$REPORT" 'r["verdict"] != "FAIL" and (r["violations"] == 0 or
	r["holes"]["linked"]["forced"] > 0)'
report_is kasan-who-decides "$REPORT" 'r["module"]["decide"] == "fail_function"'
report_is kasan-timeouts "$REPORT" "all(r['timeouts']['forced'][s] > 0 for s in $VISITS)"
report_is kasan-module-clean "$REPORT" \
	'not any(r["module"][k] for k in ("held", "held_cpus", "hidden", "refused", "strange"))'
[ ! -f "$REPORT" ] || say "failed by fail_function, timeouts and deadlocks: $(report "$REPORT" \
	"{s: (r['timeouts']['forced'][s], r['deadlocks']['forced'][s]) for s in $VISITS}")"
# A hole is at most a selem, its storage and the object that its special fields refer to.
LEAKED=$([ -f "$REPORT" ] && report "$REPORT" '3 * sum(sum(r["holes"][h].values()) for h in r["holes"])')
kernel_reports_are_known kasan-kernel-log "$VM_RESULTS/console.log" "${LEAKED:-0}"
