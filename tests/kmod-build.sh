#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module builds in every way in which it may be built, without warnings: plain make, meson and
# DKMS; and sparse has nothing to say about it. Against the built kernel tree, or the headers,
# KERNEL_BUILD. Nothing is loaded or installed. Prints "ok NAME", "not ok NAME: why" or "skip NAME:
# why" for each test, as the suites do.
set -uo pipefail

TREE=${KERNEL_BUILD:-}
PROGRAM=kmod-build
# shellcheck source=scripts/lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../scripts/lib.sh"

MODULE=$ROOT/inject/kmod
LAB= # scratch

# What sparse 0.6.4 (Debian 12's) does not know: the kernel's Makefile tries the first and would
# not run it, and MODULE_INFO() uses the second in a constant expression.
SPARSE='sparse -D__typeof_unqual__=__typeof__ "-D__builtin_strlen(s)=(sizeof(s)-1)"'

# result NAME LOG COMPLAINTS: ok when there are none.
result() {
	if [ -z "$3" ]; then
		echo "ok $1"
		return
	fi
	tail -n 40 "$2" >&2
	echo "not ok $1: $(head -n 1 <<<"$3")"
}

# stage NAME: prints a directory with the sources, and nothing that an earlier build left there.
stage() {
	mkdir "$LAB/$1"
	kmod_sources | (cd "$MODULE" && xargs -d '\n' cp --parents -t "$LAB/$1") || return 1
	echo "$LAB/$1"
}

# What is said about the machine's compiler is not about the module.
complaints() {
	grep -iE 'warning|error' "$1" | grep -viE 'compiler differs'
}

there() {
	[ -s "$1" ] || echo "there is no ${1##*/}"
}

test_make() {
	local dir log=$LAB/make.log why
	dir=$(stage make)
	if kernel_make -C "$dir" KDIR="$TREE" W=1 modules >"$log" 2>&1 </dev/null; then
		why=$(complaints "$log"; there "$dir/$KMOD_NAME.ko")
	else
		why="make failed"
	fi
	result make "$log" "$why"
	kernel_make -C "$dir" KDIR="$TREE" clean >"$log" 2>&1 </dev/null
	why=$(diff -rq "$MODULE" "$dir" | grep -vF "Only in $MODULE: ")
	result make-clean "$log" "$why"
}

test_sparse() {
	local dir log=$LAB/sparse.log sources
	dir=$(stage sparse)
	sources=$(find "$dir" -name '*.c' | wc -l)
	if ! kernel_make -C "$TREE" M="$dir" C=2 CHECK="$SPARSE" modules >"$log" 2>&1 </dev/null; then
		result sparse "$log" "make failed"
	elif grep -q 'is not available or not up to date' "$log"; then
		echo "skip sparse: scripts/checker-valid.sh of this kernel wants more than" \
			"$(sparse --version) has, even with __typeof_unqual__ explained to it"
	elif [ "$(grep -c '^ *CHECK ' "$log")" != "$sources" ]; then
		result sparse "$log" "not each of the $sources files was checked"
	else
		# Messages about the kernel's own headers have their paths in front.
		result sparse "$log" "$(grep -E '^[a-z_]+\.[ch]:[0-9]+' "$log")"
	fi
}

# A sparse that has gone blind says nothing, too.
test_sparse_sees() {
	local dir log=$LAB/sees.log
	if grep -q 'is not available or not up to date' "$LAB/sparse.log"; then
		echo "skip sparse-sees: see sparse"
		return
	fi
	dir=$(stage sees)
	printf '%s\n' 'int rqf_planted(int __user *p);' \
		'int rqf_planted(int __user *p) { return *p; }' >>"$dir/insn.c"
	kernel_make -C "$TREE" M="$dir" C=2 CHECK="$SPARSE" insn.o >"$log" 2>&1 </dev/null
	if grep -q '^insn\.c:[0-9].*dereference of noderef expression' "$log"; then
		echo "ok sparse-sees"
	else
		result sparse-sees "$log" "a __user pointer that is dereferenced goes unnoticed"
	fi
}

test_meson() {
	local dir=$LAB/meson log=$LAB/meson.log why
	# What is right for programs is not for the kernel; no make that runs ninja may reach it.
	if (
		export CFLAGS=-O1 LDFLAGS=-Wl,-z,now
		meson setup "$dir" "$ROOT" -Dkmod=enabled -Dkernel-dir="$TREE" &&
			MAKEFLAGS=-n ninja -C "$dir" "inject/kmod/$KMOD_NAME.ko" &&
			meson compile -C "$dir" && MAKEFLAGS=-n ninja -C "$dir" -n &&
			meson install -C "$dir" --no-rebuild --destdir "$LAB/root"
	) >"$log" 2>&1 </dev/null; then
		why=$(there "$LAB/root/lib/modules/$(<"$TREE/include/config/kernel.release")/updates/$KMOD_NAME.ko"
			grep -qx 'ninja: no work to do.' "$log" || echo "it is built again and again")
	else
		why="the build failed"
	fi
	result meson "$log" "$why"
}

# Asked for, and impossible: the reason is told. Not asked for: no harm done.
test_meson_without_kernel() {
	local log=$LAB/no-kernel.log
	if meson setup "$LAB/none" "$ROOT" -Dkmod=enabled -Dkernel-dir="$LAB" >"$log" 2>&1; then
		result meson-enabled-without-kernel "$log" "meson setup did not fail"
	elif grep -qF -- "name one with -Dkernel-dir=DIR" "$log"; then
		echo "ok meson-enabled-without-kernel"
	else
		result meson-enabled-without-kernel "$log" "it does not say why"
	fi
	if meson setup "$LAB/auto" "$ROOT" -Dkernel-dir="$LAB" >"$log" 2>&1; then
		echo "ok meson-auto-without-kernel"
	else
		result meson-auto-without-kernel "$log" "meson setup failed"
	fi
}

private_dkms() {
	local command=$1
	shift
	dkms "$command" --dkmstree "$LAB/dkms" --sourcetree "$LAB/src" "$@"
}

test_dkms() {
	local log=$LAB/dkms.log release version built why=
	release=$(<"$TREE/include/config/kernel.release")
	version=$(sed -nE "s/^[[:space:]]*version: '([^']*)',.*/\1/p" "$ROOT/meson.build")
	mkdir "$LAB/dkms" "$LAB/src"
	cp -r "$MODULE" "$LAB/dkms-source"
	(
		private_dkms add "$LAB/dkms-source" &&
			private_dkms build "bpfsoakd/$version" -k "$release" --kernelsourcedir "$TREE"
	) >"$log" 2>&1 </dev/null || why="dkms failed"
	find "$LAB/dkms" -name make.log -exec cat {} + >>"$log"
	if [ -z "$why" ]; then
		built=$(find "$LAB/dkms" -path "*/$release/*/module/$KMOD_NAME.ko*" -size +0)
		why=$(complaints "$log"; [ -n "$built" ] || echo "there is no module")
	fi
	result dkms "$log" "$why"
}

main() {
	if [ ! -f "$TREE/include/config/auto.conf" ]; then
		echo "skip kmod-build: KERNEL_BUILD ('$TREE') is no configured and built kernel tree"
		return
	fi
	TREE=$(realpath "$TREE")
	packages_need "${BUILD_PACKAGES[@]}" "${KMOD_PACKAGES[@]}" sparse dkms
	LAB=$(mktemp -d "$CACHE/kmod-build.XXXXXX")
	trap 'rm -rf "$LAB"' EXIT
	test_make
	test_sparse
	test_sparse_sees
	test_meson
	test_meson_without_kernel
	test_dkms
}

main
