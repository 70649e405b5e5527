# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Boots a kernel under QEMU with an initramfs made of busybox, the files a test names and a guest
# script. A guest has three serial ports, which any kernel drives without modules and which keep
# what was sent before a crash:
#   ttyS0  the kernel's console, kept in console.log;
#   ttyS1  what the guest script prints, kept in output.log;
#   ttyS2  files of the guest's /results, as they change (guest_receive), and, the other way,
#          commands (guest_stop). See tests/vm/init for the guest's side.

GUEST_READY="bpfsoakd guest is up"
BOOT_PATIENCE=180 # seconds in which a kernel's clock must have come to its second second
GUEST_MEMORY=${GUEST_MEMORY:-} # as for qemu -m; empty: what the kernel needs
GUEST_APPEND=                  # more for the kernel's command line
# How emulated CPUs run: multi, each in a thread, or single, in turns. With threads, QEMU mishandles
# code that is patched while another CPU runs it: tests that probe and unprobe over and over again
# want single.
GUEST_THREAD=${GUEST_THREAD:-multi}

GUEST_INITRAMFS=initramfs_build # what makes the guest's file system: root.sh has another

GUEST_ACCEL_NAME= # kvm or tcg, set by accel_choose
GUEST_PID=        # of the QEMU that runs, or empty
GUEST_RECEIVER=   # of the process that keeps the guest's files
GUEST_WATCH=      # of the process that ends a guest that dies in its first second
GUEST_TAIL=       # of the process that shows output.log
GUEST_TIMED_OUT=  # set when the last guest took too long
GUEST_KILLED=     # set when guest_kill ended it
GUEST_DIR=        # private files of the guest that runs

# --- initramfs -----------------------------------------------------------------------------------

# A program comes with the shared libraries it asks for; scripts and static ones have none.
initramfs_add() {
	local root=$1 from=$2 to=$3 library
	[ -e "$from" ] || { say "no such file: $from"; return 1; }
	mkdir -p "$root$(dirname "$to")"
	cp -L "$from" "$root$to" || return 1
	while read -r library; do
		[ -e "$root$library" ] && continue
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library" || return 1
	done < <(ldd "$from" 2>/dev/null | sed -nE 's/.*[[:space:]](\/[^ ]+) \(0x.*/\1/p')
}

initramfs_add_modules() {
	local root=$1 release
	[ -n "$KERNEL_MODULES" ] || return 0
	release=$(basename "$KERNEL_MODULES")
	[ "$release" = modules ] && release=unknown
	mkdir -p "$root/lib/modules"
	cp -rL "$KERNEL_MODULES" "$root/lib/modules/$release" 2>/dev/null || :
}

# initramfs_build OUT SCRIPT [FILE:GUEST_PATH]...
# shellcheck disable=SC2153 # ROOT is the tree, root is the initramfs
initramfs_build() {
	local out=$1 script=$2 root file status=0
	shift 2
	root=$(mktemp -d "$GUEST_DIR/root.XXXXXX")
	chmod 755 "$root" # it becomes the guest's /
	mkdir -p "$root"/{bin,boot,dev,etc,proc,results,root,run,sys,tmp,usr/bin,usr/sbin}
	cp "$(command -v busybox)" "$root/bin/busybox" &&
		install -m 755 "$ROOT/tests/vm/init" "$root/init" &&
		install -m 755 "$script" "$root/etc/guest" || return 1
	for file in "$@"; do
		initramfs_add "$root" "${file%%:*}" "${file#*:}" || return 1
	done
	[ -z "$KERNEL_CONFIG" ] || cp -L "$KERNEL_CONFIG" "$root/boot/config" || return 1
	initramfs_add_modules "$root"
	(cd "$root" && find . -print0 | cpio --null --create --format=newc --quiet --owner=0:0) |
		gzip -1 >"$out" || status=1
	rm -rf "$root"
	return $status
}

# --- accelerator ---------------------------------------------------------------------------------

# ": " and what QEMU said first, if anything.
first_line() {
	sed -nE '/./{s/^/: /;p;q}' "$1"
}

# That /dev/kvm opens proves nothing (nested and container hosts): a guest must really come up and
# run some processes. Prints why not.
accel_try_kvm() {
	local dir=$GUEST_DIR/kvm pid
	[ -e /dev/kvm ] || { echo "no /dev/kvm"; return 1; }
	{ : <>/dev/kvm; } 2>/dev/null || { echo "/dev/kvm cannot be opened"; return 1; }
	mkdir -p "$dir"
	cat >"$dir/script" <<'SCRIPT'
#!/bin/sh
i=0
while [ $i -lt 200 ]; do i=$((i + 1)); /bin/true; done
echo trial over > /dev/ttyS0
SCRIPT
	initramfs_build "$dir/initrd" "$dir/script" || { echo "no trial initramfs"; return 1; }
	timeout $((30 * KERNEL_SLOWER)) qemu-system-x86_64 -accel kvm -cpu max -smp 2 \
		-m "$(guest_memory)" -M q35 \
		-nodefaults -display none -no-reboot -kernel "$KERNEL_IMAGE" -initrd "$dir/initrd" \
		-append "console=ttyS0 panic=-1" -serial "file:$dir/console" \
		</dev/null >"$dir/qemu" 2>&1 &
	pid=$!
	# After an internal error QEMU stays, with the guest stopped.
	while kill -0 $pid 2>/dev/null; do
		[ ! -s "$dir/qemu" ] || kill $pid 2>/dev/null
		sleep 0.2
	done
	wait $pid 2>/dev/null
	grep -q 'trial over' "$dir/console" 2>/dev/null && return 0
	echo "a trial boot under KVM failed$(first_line "$dir/qemu")"
	return 1
}

# The answer holds until the host reboots. Needs kernel_get to have been called, and GUEST_DIR.
accel_choose() {
	local boot_id cached why
	boot_id=$(cat /proc/sys/kernel/random/boot_id)
	read -r cached why 2>/dev/null <"$CACHE/accel.$(id -u)" || cached=
	if [ "${cached%%/*}" != "$boot_id" ]; then
		if why=$(accel_try_kvm); then cached=$boot_id/kvm; else cached=$boot_id/tcg; fi
		echo "$cached $why" >"$CACHE/accel.$(id -u)"
	fi
	GUEST_ACCEL_NAME=${cached##*/}
	case $GUEST_ACCEL_NAME in
	kvm) say "KVM works" ;;
	*) say "TCG: $why" ;;
	esac
}

guest_accel() {
	if [ "$GUEST_ACCEL_NAME" = kvm ]; then echo kvm; else echo "tcg,thread=$GUEST_THREAD"; fi
}

guest_memory() {
	echo "${GUEST_MEMORY:-$KERNEL_MEMORY}"
}

# The hypervisor bit decides which path rqspinlock takes. Never remove cx16 from 7.x: every storage
# creation would fail; 6.12 on the other hand is corrupted by QEMU 7.2's emulation of it.
guest_cpu() {
	local cpu=max
	[ "$1" = queued ] && cpu+=,-hypervisor
	if [ "$GUEST_ACCEL_NAME" = tcg ] && [[ $KERNEL_NAME == 6.12.* ]]; then cpu+=,-cx16; fi
	echo "$cpu"
}

# --- files and commands --------------------------------------------------------------------------

# Reads ttyS2's lines and keeps every file that came whole: "F NAME", base64, "E NAME MD5".
guest_receive() {
	local dir=$1 line name='' data=() part=$1/.receive
	while IFS= read -r line; do
		case $line in
		"F "*) name=${line#F } data=() ;;
		"E $name "*)
			# Below DIR only: no name begins with a dot.
			if [[ $name =~ ^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$ ]] &&
				mkdir -p "$dir/$(dirname "$name")" && printf '%s\n' "${data[@]}" | base64 -d >"$part" 2>/dev/null &&
				[ "$(md5sum <"$part" | cut -d' ' -f1)" = "${line##* }" ]; then
				mv "$part" "$dir/$name"
			fi
			name='' data=()
			;;
		*) [ -z "$name" ] || data+=("$line") ;;
		esac
	done
	rm -f "$part"
}

# Asks the guest to send SIGTERM to the process whose id is in its /run/stop-pid. Repeated by the
# caller until the guest ends: a guest that still boots loses what it is sent.
guest_stop() {
	[ -n "$GUEST_DIR" ] && [ -p "$GUEST_DIR/port.in" ] || return 0
	# Opened for reading as well, so that this cannot block when QEMU is gone.
	(printf '\nSTOP\n' 1<>"$GUEST_DIR/port.in") 2>/dev/null || :
}

# --- boot ----------------------------------------------------------------------------------------

# KASAN is silent after its first report unless told otherwise, and an interrupt that comes too early
# in the boot of an emulated guest gives it a false one.
guest_append() {
	local more=
	[ "$KERNEL_SLOWER" = 1 ] || more=kasan_multi_shot
	echo "console=ttyS0 panic=-1 oops=panic no_timer_check tsc=reliable $more $GUEST_APPEND"
}

# guest_start RESULTS SCRIPT CPU_MODEL CPUS LIMIT [FILE:GUEST_PATH]...: starts the guest, which
# LIMIT seconds later (0: never) is killed. QEMU gets a session of its own, so that a terminal's
# Ctrl-C reaches only the caller, who can then end the guest properly.
guest_start() {
	local results=$1 script=$2 model=$3 cpus=$4 limit=$5
	shift 5
	"$GUEST_INITRAMFS" "$GUEST_DIR/initrd" "$script" "$@" || return 1
	rm -f "$GUEST_DIR"/port.{in,out}
	mkfifo "$GUEST_DIR/port.in" "$GUEST_DIR/port.out" || return 1
	: >"$results/console.log" && : >"$results/output.log" || return 1
	setsid timeout --kill-after=10 "$limit" qemu-system-x86_64 \
		-accel "$(guest_accel)" -cpu "$(guest_cpu "$model")" -smp "$cpus" \
		-m "$(guest_memory)" -M q35 -nodefaults -display none -monitor none -no-reboot \
		-kernel "$KERNEL_IMAGE" -initrd "$GUEST_DIR/initrd" \
		-append "$(guest_append)" \
		-serial "file:$results/console.log" -serial "file:$results/output.log" \
		-chardev "pipe,id=port,path=$GUEST_DIR/port" \
		-device isa-serial,chardev=port,index=2,irq=5 \
		</dev/null >"$GUEST_DIR/qemu.log" 2>&1 &
	GUEST_PID=$! GUEST_KILLED=
	(trap '' INT TERM && guest_receive "$results" <"$GUEST_DIR/port.out") &
	GUEST_RECEIVER=$!
	(sleep $BOOT_PATIENCE && emulator_early_death "$results" && kill -TERM "$GUEST_PID") \
		>/dev/null 2>&1 &
	GUEST_WATCH=$!
}

# Shows what the guest prints as it comes; ends after the guest. The priorities that the daemon
# writes for journald are for programs, not for people; a terminal gets none, and its progress line
# must not wait for the end of a line.
guest_show() {
	local tail=(tail --quiet --follow --lines=+1 --sleep-interval=0.3 --pid="$GUEST_PID")
	if [ -t 1 ]; then
		setsid "${tail[@]}" "$1/output.log" &
	else
		setsid "${tail[@]}" "$1/output.log" | setsid sed --unbuffered 's/^<[0-7]>//' &
	fi
	GUEST_TAIL=$!
}

guest_running() {
	[ -n "$GUEST_PID" ] && kill -0 "$GUEST_PID" 2>/dev/null
}

guest_kill() {
	guest_running || return 0
	GUEST_KILLED=yes
	kill -TERM "$GUEST_PID" 2>/dev/null || :
}

# Waits for the guest to end, through signals that the caller traps. GUEST_TIMED_OUT is set when it
# had to be killed.
guest_wait() {
	local status=0
	while guest_running; do
		wait "$GUEST_PID" && status=0 || status=$?
	done
	wait "$GUEST_PID" 2>/dev/null && status=0 || status=$?
	GUEST_TIMED_OUT=
	[ "$status" = 124 ] || [ "$status" = 137 ] && GUEST_TIMED_OUT=yes
	GUEST_PID=
	kill "$GUEST_WATCH" 2>/dev/null
	wait "$GUEST_WATCH" "$GUEST_RECEIVER" 2>/dev/null
	if [ -n "$GUEST_TAIL" ]; then
		wait "$GUEST_TAIL" 2>/dev/null
		GUEST_TAIL=
	fi
	return 0
}

guest_begin() {
	GUEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/bpfsoakd.XXXXXX") || exit 1
	trap guest_cleanup EXIT
}

guest_cleanup() {
	guest_kill
	[ -z "$GUEST_WATCH" ] || kill "$GUEST_WATCH" 2>/dev/null || :
	[ -n "$GUEST_DIR" ] && rm -rf "$GUEST_DIR"
	GUEST_DIR=
}

# --- what a dead guest leaves --------------------------------------------------------------------

# report_from CONSOLE PATTERN: from the first line that matches, to the end or 60 lines.
report_from() {
	awk -v pattern="$2" '$0 ~ pattern { found = 1 } found && n++ < 60 { print }' "$1" | tr -d '\r'
}

# The kernel's own word on why it died. Warnings may well come before that, some of them wanted
# ones, so they are taken only when there is nothing else.
guest_kernel_report() {
	local fatal='BUG: |kernel BUG at|Oops: |Kernel panic|general protection fault|double fault'
	if grep -aqE "$fatal" "$1/console.log"; then
		report_from "$1/console.log" "$fatal"
	else
		report_from "$1/console.log" ' cut here '
	fi
}

guest_crash_line() {
	grep -aoE '(BUG: |Oops: |Kernel panic|double fault).*' "$1/console.log" | head -n 1 | tr -d '\r'
}

# Why a guest did not end by itself, in one line.
guest_why_dead() {
	local line
	line=$(guest_crash_line "$1")
	if [ -n "$line" ]; then
		echo "$line"
	elif [ -z "$GUEST_KILLED" ] && ! grep -aq "$GUEST_READY" "$1/console.log"; then
		echo "the kernel did not boot$(first_line "$GUEST_DIR/qemu.log")"
	elif [ -n "$GUEST_KILLED" ]; then
		echo "the guest was killed before its end"
	elif [ -n "$GUEST_TIMED_OUT" ]; then
		echo "the guest took too long and was killed"
	else
		echo "the guest ended without a word$(first_line "$GUEST_DIR/qemu.log")"
	fi
}

# Three things that QEMU's emulation does and a CPU does not: see the functions.
guest_emulator_fault() {
	[ "$GUEST_ACCEL_NAME" = tcg ] || return 1
	emulator_early_death "$1" || emulator_double_fault "$1" || emulator_stale_int3 "$1"
}

# A timer interrupt too early in the boot, before the stacks and per-CPU areas are what KASAN takes
# them for: reports without end, while the kernel's clock stands still in its first second. Guests
# that boot are past that after some seconds, and the slowest after a minute.
emulator_early_death() {
	[ "$GUEST_ACCEL_NAME" = tcg ] && ! grep -aqF "$GUEST_READY" "$1/console.log" &&
		grep -aq '^\[ *0\.' "$1/console.log" && ! grep -aqE '^\[ *[1-9][0-9]*\.' "$1/console.log"
}

# While the kernel patches its code (a function's entry, a trampoline, a jump label) the other CPUs must not see the
# breakpoint for longer than it is there; with a thread for each CPU, emulated ones sometimes do (seen
# with QEMU 7.2 when tracing programs are attached or detached, at the first perf event, and at boot).
# Only the report that killed the guest counts, and only a breakpoint that was not there any more when
# the kernel looked (the byte before the one in <>), or one in the first two of these places, or
# anywhere before the guest's script began: nothing of ours has run by then.
emulator_stale_int3() {
	local up=no
	! grep -aqF "$GUEST_READY" "$1/console.log" || up=yes
	guest_kernel_report "$1" | awk -v up=$up 'NR == 1 { int3 = /Oops: int3/ }
		/RIP: / && !rips++ { entry = /\+0x[15]\// || /:bpf_trampoline_[0-9]+\+/ }
		/ Code: / && !codes++ { gone = match($0, /[0-9a-f][0-9a-f] </) && substr($0, RSTART, 2) != "cc" }
		END { exit !(int3 && (entry || gone || up == "no")) }'
}

# A double fault with EFLAGS that no CPU could have: bit 1 clear, or one of the reserved bits 22-31
# set.
emulator_double_fault() {
	local flags
	grep -aq 'double fault' "$1/console.log" || return 1
	flags=$(sed -nE '/double fault/,$s/.*EFLAGS: ([0-9a-f]{8}).*/\1/p' "$1/console.log" | head -n 1)
	[ -n "$flags" ] || return 1
	flags=$((16#$flags))
	[ $((flags & 2)) = 0 ] || [ $((flags >> 22)) != 0 ]
}
