# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by the scripts of tests/vm/guest/, which run inside a guest under busybox. What they print
# as "ok ...", "not ok ...", "skip ..." counts as a test's result on the host.

STATS=/results/stats.prom
# shellcheck disable=SC2034 # for those who source this
MODULE=/usr/lib/bpfsoakd/rqspinlock_fault.ko
# shellcheck disable=SC2034 # the same
DEVICE=/dev/rqspinlock_fault
COUNTERS=/sys/kernel/debug/rqspinlock_fault/counters

# Values that the suite gave, and SLOWER: how many times longer than on a stock kernel things take.
# shellcheck source=/dev/null
. /etc/guest-env

ok() {
	echo "ok $1"
}

not_ok() {
	name=$1
	shift
	echo "not ok $name: $*"
}

# The host takes the absence of this line for a crash.
end() {
	echo "guest script: end"
	exit 0
}

# start LOG ARG...: the daemon in the background, with its output kept in /results/LOG. Sets PID.
start() {
	log=/results/$1
	shift
	bpfsoakd run "$@" >"$log" 2>&1 &
	PID=$!
	echo "$PID" >/run/stop-pid
}

# shellcheck disable=SC2034 # CODE is for the caller
# Waits for PID to end, at most $1 seconds; sets CODE, "none" when it did not end.
finish() {
	waited=0
	while kill -0 "$PID" 2>/dev/null; do
		if [ $waited -ge "$1" ]; then
			CODE=none
			return
		fi
		waited=$((waited + 1))
		sleep 1
	done
	wait "$PID"
	CODE=$?
}

# run LOG SECONDS ARG...: start and finish.
run() {
	run_log=$1 run_limit=$2
	shift 2
	start "$run_log" "$@"
	finish "$run_limit"
}

# within SECONDS COMMAND...: repeats it until it succeeds.
within() {
	within_left=$1
	shift
	while ! "$@"; do
		within_left=$((within_left - 1))
		[ $within_left -gt 0 ] || return 1
		sleep 1
	done
}

# metric NAME [FILE]: the sum of a metric over its labels, 0 when it is not there.
metric() {
	awk -v name="$1" '{ n = $1; sub(/\{.*/, "", n) } n == name { sum += $NF }
		END { printf "%.0f\n", sum }' "${2:-$STATS}" 2>/dev/null || echo 0
}

# births_reach NUMBER SECONDS [FILE]: waits until the daemon has seen so many births.
births_reach() {
	left=$2
	while [ "$(metric bpfsoakd_selem_births_total "${3:-$STATS}")" -lt "$1" ]; do
		left=$((left - 1))
		if [ $left -le 0 ] || ! kill -0 "$PID" 2>/dev/null; then
			return 1
		fi
		sleep 1
	done
}

# No births for some seconds.
is_quiet() {
	quiet_at=$(metric bpfsoakd_selem_births_total)
	sleep 3
	[ -n "$quiet_at" ] && [ "$(metric bpfsoakd_selem_births_total)" = "$quiet_at" ]
}

last_line() {
	grep '^bpfsoakd: end of run: ' "/results/$1" | tail -n 1
}

# tail_of LOG: for messages about failures, in one line.
tail_of() {
	tail -n 3 "/results/$1" | tr '\n' '|'
}

# Everything of BPF that the kernel holds, one a line.
bpf_objects() {
	bpftool prog list 2>/dev/null | sed -nE 's/^([0-9]+): (.*)/prog \1 \2/p'
	bpftool map list 2>/dev/null | sed -nE 's/^([0-9]+): (.*)/map \1 \2/p'
	bpftool link list 2>/dev/null | sed -nE 's/^([0-9]+): (.*)/link \1 \2/p'
}

# To be called before the first run: what bpf_objects_gone compares with.
bpf_objects_note() {
	bpf_objects | cut -d' ' -f1,2 | sort >/run/bpf-before
}

bpf_objects_are_as_before() {
	bpf_objects | cut -d' ' -f1,2 | sort >/run/bpf-now
	cmp -s /run/bpf-before /run/bpf-now
}

# Maps are freed some grace periods after their last reference. bpf_objects_gone SECONDS
bpf_objects_gone() {
	within "$1" bpf_objects_are_as_before
}

# What bpf_objects_gone found left, in one line.
bpf_objects_left() {
	bpf_objects | head -n 5 | tr '\n' ';'
}

# counter NAME: what the module counts, added up when the line has several figures.
counter() {
	awk -v name="$1" '$1 == name { for (i = 2; i <= NF; i++) sum += $i }
		END { printf "%d\n", sum }' $COUNTERS 2>/dev/null || echo 0
}

# Everything that the module has failed so far, of whatever kind and at whatever site.
injected() {
	awk '/^(contended|forced)_(timedout|deadlk)_/ { sum += $2 } END { printf "%d\n", sum }' \
		$COUNTERS 2>/dev/null || echo 0
}

module_loaded() {
	grep -q '^rqspinlock_fault ' /proc/modules
}

# module_gone SECONDS: waits until it is not loaded any more.
module_gone() {
	within "$1" eval '! module_loaded'
}
