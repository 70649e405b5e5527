# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What scripts/soak, scripts/check and the VM suites share: messages, the cache directory, the
# packages they need, and the build. Sourced, never run. Kernels are in lib/kernel.sh and
# lib/lab.sh, the module in lib/kmod.sh, guests in lib/guest.sh. Nothing here changes anything
# outside the tree and the cache, except that missing packages are installed.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bpfsoakd
PROGRAM=${PROGRAM:-${0##*/}}

# shellcheck disable=SC2034 # for those who source this
BUILD_PACKAGES=(gcc libc6-dev clang bpftool meson ninja-build pkg-config
	libbpf-dev libelf-dev zlib1g-dev libjson-c-dev libcap-dev libkmod-dev libsystemd-dev libcmocka-dev)
# shellcheck disable=SC2034 # the same
GUEST_PACKAGES=(qemu-system-x86 busybox-static cpio gzip xz-utils zstd)
# shellcheck disable=SC2034 # the same
KMOD_PACKAGES=(make gcc libc6-dev libelf-dev dwarves)

# sbin holds bpftool, and is not in every user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
mkdir -p "$CACHE" || exit 1

say() {
	printf '%s: %s\n' "$PROGRAM" "$*" >&2
}

die() {
	say "$@"
	exit 1
}

usage_error() {
	say "$@"
	say "try '$PROGRAM --help'"
	exit 2
}

# Runs a noisy command silently; only a failure shows what it printed.
quietly() {
	local log
	log=$(mktemp "$CACHE/log.XXXXXX")
	if "$@" >"$log" 2>&1 </dev/null; then
		rm -f "$log"
		return 0
	fi
	say "failed: $*"
	tail -n 40 "$log" >&2
	rm -f "$log"
	return 1
}

# Two commands may run at the same time; what they share is changed by one at a time.
locked() {
	local name=$1 fd status
	shift
	exec {fd}>"$CACHE/$name.lock"
	if ! flock --timeout 5 "$fd"; then
		say "waiting for another script that is at the cache's $name"
		flock "$fd"
	fi
	"$@" && status=0 || status=$?
	exec {fd}>&-
	return "$status"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		say "must be root to run: $*"
		return 1
	fi
}

packages_missing() {
	local status package
	for package in "$@"; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
		[ "$status" = installed ] || echo "$package"
	done
}

system_apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# Once everything is there, this neither needs the network nor root.
packages_need() {
	local missing
	command -v dpkg-query >/dev/null || die "these scripts know Debian only (no dpkg-query)"
	mapfile -t missing < <(packages_missing "$@")
	[ ${#missing[@]} = 0 ] && return 0
	say "installing ${missing[*]}"
	quietly system_apt_get update || die "cannot update the package lists"
	quietly system_apt_get install --no-install-recommends "${missing[@]}" ||
		die "cannot install ${missing[*]}"
}

build_setup() {
	local dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		rm -rf "$dir"
		quietly meson setup "$dir" "$ROOT" "$@" || return 1
	elif [ $# -gt 0 ]; then
		quietly meson configure "$dir" "$@" || return 1
	fi
}

# build_locked DIR [MESON OPTION]...
build_locked() {
	build_setup "$@" && quietly ninja -C "$1"
}

# Builds into ROOT/NAME; leaves the options of an existing build directory alone unless told others.
build() {
	local dir=$ROOT/$1
	shift
	locked build build_locked "$dir" "$@"
}

# The daemon that a build directory holds.
daemon_of() {
	echo "$ROOT/$1/daemon/bpfsoakd"
}

# "1h30m" -> 5400, rounded up; a bare number is seconds. The daemon parses it again, and exactly;
# here it only sets how long to wait.
duration_seconds() {
	local text=$1 total=0 number unit
	[[ $text =~ ^[0-9]{1,10}$ ]] && text+=s
	[[ $text =~ ^([0-9]{1,10}(d|h|m|s|ms|us|ns))+$ ]] || return 1
	while [[ $text =~ ^([0-9]+)([a-z]+)(.*)$ ]]; do
		number=$((10#${BASH_REMATCH[1]})) unit=${BASH_REMATCH[2]} text=${BASH_REMATCH[3]}
		case $unit in
		d) total=$((total + number * 86400)) ;;
		h) total=$((total + number * 3600)) ;;
		m) total=$((total + number * 60)) ;;
		s) total=$((total + number)) ;;
		ms) total=$((total + (number + 999) / 1000)) ;;
		us) total=$((total + (number + 999999) / 1000000)) ;;
		ns) total=$((total + (number + 999999999) / 1000000000)) ;;
		esac
	done
	echo "$total"
}

# shellcheck source=scripts/lib/kernel.sh
. "$ROOT/scripts/lib/kernel.sh"
# shellcheck source=scripts/lib/lab.sh
. "$ROOT/scripts/lib/lab.sh"
# shellcheck source=scripts/lib/mutant.sh
. "$ROOT/scripts/lib/mutant.sh"
# shellcheck source=scripts/lib/kmod.sh
. "$ROOT/scripts/lib/kmod.sh"
# shellcheck source=scripts/lib/guest.sh
. "$ROOT/scripts/lib/guest.sh"
# shellcheck source=scripts/lib/package.sh
. "$ROOT/scripts/lib/package.sh"
# shellcheck source=scripts/lib/root.sh
. "$ROOT/scripts/lib/root.sh"
# shellcheck source=scripts/lib/finding.sh
. "$ROOT/scripts/lib/finding.sh"
