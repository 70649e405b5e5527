# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a guest that died leaves, as a finding like those that the daemon writes (docs/design.md,
# "Findings"): the daemon cannot write this one. From the console, and from the last files that came
# from the guest: run.state, stats.prom, output.log.

# state_value RESULTS KEY: of run.state; empty when there is none.
state_value() {
	sed -nE "s/^$2 = //p" "$1/run.state" 2>/dev/null | head -n 1
}

# The kinds of locks that failed by the last stats, as in "organic, contended".
finding_kinds_seen() {
	[ -f "$1/stats.prom" ] || return 0
	awk '/^bpfsoakd_lock_failures_total\{/ {
		match($0, /kind="[a-z]+"/)
		sum[substr($0, RSTART + 6, RLENGTH - 7)] += $NF
	}
	END {
		n = split("organic contended forced", kinds, " ")
		for (i = 1; i <= n; i++)
			if (sum[kinds[i]] > 0) { printf "%s%s", comma, kinds[i]; comma = ", " }
	}' "$1/stats.prom"
}

# What was asked for, when the guest died before it could say what came of it.
finding_kinds_asked() {
	local inject kinds
	inject=$(state_value "$1" 'option inject')
	case $inject in
	none) return ;;
	auto | stall*) kinds=organic ;;
	esac
	case $inject in *module* | *fail_function*)
		kinds=${kinds:+$kinds, }$(state_value "$1" 'option inject-kind' | sed 's/,/, /') ;;
	esac
	echo "${kinds:-of a kind that is not known}"
}

finding_first_line() {
	local kinds
	kinds=$(finding_kinds_seen "$1")
	[ -n "$kinds" ] || kinds=$(finding_kinds_asked "$1")
	if [ -n "$kinds" ]; then echo "FAULTS WERE INJECTED: $kinds"; else echo "NO FAULT WAS INJECTED"; fi
}

# Where the kernel says that it died: the function at RIP, else the first of the trace that is not
# there to print it.
finding_function() {
	guest_kernel_report "$1" | awk '
		/RIP: 0010:/ && !rip { rip = $0; sub(/.*RIP: 0010:/, "", rip) }
		/^\[[^]]*\]( *\[[^]]*\])? +[a-zA-Z_][a-zA-Z0-9_.]*\+0x/ && !frame {
			text = $0
			sub(/^\[[^]]*\]( *\[[^]]*\])? +/, "", text)
			if (text !~ /^(dump_stack|show_stack|v?panic|die|oops_|__warn|report_bug|nmi_)/)
				frame = text
		}
		END { if (rip ~ /\+0x/) f = rip; else f = frame; sub(/\+0x.*/, "", f); print f }'
}

finding_class() {
	case $(guest_crash_line "$1") in
	*KASAN*) echo kasan ;;
	*"double fault"*) echo double_fault ;;
	Oops* | "BUG: kernel NULL"* | "BUG: unable"*) echo oops ;;
	BUG*) echo bug ;;
	*panic*) echo panic ;;
	*) echo hung ;;
	esac
}

# finding_signature RESULTS FIRST_LINE
finding_signature() {
	local kinds=${2##*: } function
	case $2 in NO*) kinds=none ;; esac
	function=$(finding_function "$1")
	printf 'guest_died-%s-%s%s' "${kinds//, /.}" "$(finding_class "$1")" "${function:+-$function}" |
		tr -c 'A-Za-z0-9_.-' _
}

# Behind those that the daemon had written.
finding_number() {
	local dir last=0 number
	for dir in "$1"/findings/[0-9][0-9][0-9]-*; do
		[ -d "$dir" ] || continue
		number=${dir##*/} number=$((10#${number%%-*}))
		[ $number -le $last ] || last=$number
	done
	printf '%03d' $((last + 1))
}

finding_seen() {
	local uptime
	uptime=$(sed -nE 's/^bpfsoakd_uptime_seconds ([0-9]+(\.[0-9])?).*/\1/p' "$1/stats.prom" 2>/dev/null)
	if [ -n "$uptime" ]; then
		echo "not before $uptime s after the start of the run"
	else
		echo "before there were figures"
	fi
}

# finding_write_summary RESULTS WHY FIRST_LINE SIGNATURE REPLAY
finding_write_summary() {
	cat <<SUMMARY
$3

Kind:      The kinds of faults that there were in this run; which of them led here is for the
           reader to see.
What:      the kernel died under the soak: ${2#the guest died: }
Class:     violation: nothing explains it
Why wrong: No failed lock may bring the kernel down: callers are told, or both sides go on without.
           (After forced faults memory is not to be trusted: see README.md, "Forced".)
Claim:     readers never see freed or half-cleared memory; map_free and destroy terminate; the
           kernel's own checkers find nothing to complain of
Seen:      $(finding_seen "$1")
Signature: $4
Kernel:    $(state_value "$1" kernel) on $(state_value "$1" cpu)
Again:     $5

history.txt    what the daemon had said, and its last figures
kmsg.txt       the kernel's console from before the report to its end
system.txt     kernel, CPU, seed, all options
kernel-config  the kernel's configuration
replay         the command above
SUMMARY
}

finding_write_history() {
	echo "No one object's: the kernel died. What the daemon had told the console by then"
	echo
	grep -aE '^bpfsoakd: finding ' "$1/console.log" | tr -d '\r' | grep . || echo "nothing"
	echo
	echo "Its last words"
	echo
	tr '\r' '\n' <"$1/output.log" | sed 's/^<[0-7]>//' | tail -n 20
	echo
	echo "Its last figures (stats.prom), without zeros"
	echo
	grep -avE '^#| 0$' "$1/stats.prom" 2>/dev/null || echo "none came"
}

# From 200 lines before the report on.
finding_write_console() {
	local line
	line=$(grep -anE 'BUG: |kernel BUG at|Oops: |Kernel panic|general protection fault|double fault' \
		"$1/console.log" | head -n 1 | cut -d: -f1)
	line=$((${line:-200} - 200))
	[ $line -ge 1 ] || line=1
	tail -n +$line "$1/console.log" | tr -d '\r'
}

finding_write_system() {
	if [ -f "$1/run.state" ]; then
		sed -E 's/^option //' "$1/run.state"
	else
		echo "no run.state came: the guest died before the daemon began"
	fi
	echo
	echo "machine = QEMU, ${GUEST_ACCEL_NAME:-unknown}, -cpu $(guest_cpu "$CPU_MODEL") -smp $CPUS" \
		"-m $(guest_memory)"
	echo "append = $(guest_append)"
	qemu-system-x86_64 --version | head -n 1
}

# finding_of_guest RESULTS WHY REPLAY: writes the finding and prints its directory. Nothing where it
# is not the kernel's: a guest that was killed by the user, or never came up, or that the emulator
# brought down.
finding_of_guest() {
	local results=$1 why=$2 replay=$3 first signature dir
	[ -z "$GUEST_KILLED" ] && grep -aq "$GUEST_READY" "$results/console.log" || return 0
	[ -n "$(guest_crash_line "$results")" ] || [ -n "$GUEST_TIMED_OUT" ] || return 0
	! guest_emulator_fault "$results" || return 0
	first=$(finding_first_line "$results")
	signature=$(finding_signature "$results" "$first")
	dir=$results/findings/$(finding_number "$results")-$signature
	mkdir -p "$dir" || return 0
	finding_write_summary "$results" "$why" "$first" "$signature" "$replay" >"$dir/summary.txt"
	finding_write_history "$results" >"$dir/history.txt"
	finding_write_console "$results" >"$dir/kmsg.txt"
	finding_write_system "$results" >"$dir/system.txt"
	printf '%s\n' "$replay" >"$dir/replay"
	if [ -n "$KERNEL_CONFIG" ]; then
		cp -L "$KERNEL_CONFIG" "$dir/kernel-config"
	else
		echo "not known for $KERNEL_NAME" >"$dir/kernel-config"
	fi
	sync "$dir"/* "$dir"
	echo "$dir"
}
