#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The stats file of a real run is what Prometheus' programs expect: promtool finds nothing to
# complain of, and a real node_exporter serves it.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

EXPORTER_PID=

promtool_test() {
	local promtool why
	promtool=$(tool_get prometheus /usr/bin/promtool) ||
		{ not_ok promtool "cannot get it"; return; }
	if why=$("$promtool" check metrics <"$1" 2>&1) && [ -z "$why" ]; then
		ok promtool
	else
		not_ok promtool "$(head -n 3 <<<"$why" | tr '\n' '|')"
	fi
}

# A port that nobody has now may be taken a moment later, hence the attempts.
start_exporter() {
	local exporter=$1 dir=$2 port
	for _ in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 20000))
		"$exporter" --web.listen-address="127.0.0.1:$port" --collector.disable-defaults \
			--collector.textfile --collector.textfile.directory="$dir" \
			>"$VM_RESULTS/exporter.log" 2>&1 &
		EXPORTER_PID=$!
		for _ in {1..50}; do
			fetch "$port" >"$VM_RESULTS/served.txt" 2>/dev/null && return 0
			kill -0 "$EXPORTER_PID" 2>/dev/null || break
			sleep 0.2
		done
		stop_exporter
	done
	return 1
}

stop_exporter() {
	[ -n "$EXPORTER_PID" ] || return 0
	kill "$EXPORTER_PID" 2>/dev/null
	wait "$EXPORTER_PID" 2>/dev/null
	EXPORTER_PID=
}

fetch() {
	/usr/bin/python3 -c 'import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.write(opener.open(sys.argv[1], timeout=5).read().decode())' \
		"http://127.0.0.1:$1/metrics"
}

exporter_test() {
	local exporter dir=$VM_RESULTS/textfile
	exporter=$(tool_get prometheus-node-exporter /usr/bin/prometheus-node-exporter) ||
		{ not_ok node-exporter "cannot get it"; return; }
	mkdir -p "$dir" && cp "$1" "$dir/bpfsoakd.prom"
	if ! start_exporter "$exporter" "$dir"; then
		not_ok node-exporter "it does not serve: $(tail -n 1 "$VM_RESULTS/exporter.log")"
		return
	fi
	stop_exporter
	judge node-exporter-reads "$(tail -n 1 "$VM_RESULTS/exporter.log")" \
		grep -qx 'node_textfile_scrape_error 0' "$VM_RESULTS/served.txt"
	judge node-exporter-serves "no births among what it serves" \
		grep -qE '^bpfsoakd_selem_births_total\{owner="task"\} [1-9]' "$VM_RESULTS/served.txt"
}

# Every metric that is written is documented, and the other way round.
documented_test() {
	local why
	# shellcheck disable=SC2016 # these are Markdown's quotes
	why=$(diff <(sed -nE 's/^# TYPE ([a-z_]+) .*/\1/p' "$1" | sort -u) \
		<(sed -nE 's/^\| `(bpfsoakd_[a-z_]+)` .*/\1/p' "$ROOT/docs/metrics.md" | sort -u))
	judge metrics-documented "$(tr '\n' ' ' <<<"$why")" [ -z "$why" ]
}

vm_begin
trap 'stop_exporter; guest_cleanup' EXIT
vm_build build
vm_boot metrics metrics 600
FILE=$VM_RESULTS/stats.prom
if [ ! -f "$FILE" ]; then
	not_ok metrics "no stats file came back"
	exit 1
fi
promtool_test "$FILE"
exporter_test "$FILE"
documented_test "$FILE"
