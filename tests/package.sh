#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The Debian packages, from a copy of the tree: they build, lintian has nothing to say, and what they
# install works, is enabled nowhere and goes away again; seen in an overlay of this machine's root,
# so that nothing is installed here. And what others use: meson install and meson dist. Prints "ok
# NAME", "not ok NAME: why" or "skip NAME: why" for each; a suite of scripts/check. PACKAGES=DIR
# keeps the packages there.
set -uo pipefail

PROGRAM=package
# shellcheck source=scripts/lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../scripts/lib.sh"

LOOKING_PACKAGES=(lintian man-db python3)
WORK= # scratch
VERSION=$(sed -nE "s/^[[:space:]]*version: '([^']*)',.*/\1/p" "$ROOT/meson.build")

# result NAME WHY [LOG]: ok without a reason.
result() {
	if [ -z "$2" ]; then
		echo "ok $1"
		return
	fi
	[ -z "${3:-}" ] || tail -n 40 "$3" >&2
	echo "not ok $1: $(head -n 1 <<<"$2")"
}

# Leaves the packages in $WORK.
test_build() {
	local log=$WORK/build.log why=
	package_build "$WORK" "$log" || why="dpkg-buildpackage failed"
	result builds "$why" "$log"
	[ -z "$why" ]
}

test_lintian() {
	local log=$WORK/lintian.log why=
	lintian --allow-root "$WORK"/*.changes >"$log" 2>&1 || why="lintian failed"
	[ ! -s "$log" ] || why=$(head -n 1 "$log")
	result lintian "$why" "$log"
}

# Each file of a kind that the tree has must be in the package.
test_contents() {
	local file why=
	dpkg-deb -x "$WORK/bpfsoakd_${VERSION}_amd64.deb" "$WORK/daemon" &&
		dpkg-deb -x "$WORK/bpfsoakd-dkms_${VERSION}_all.deb" "$WORK/module" ||
		why="the packages cannot be unpacked"
	for file in "$ROOT"/docs/*.[1-8]; do
		[ -f "$WORK/daemon/usr/share/man/man${file##*.}/${file##*/}.gz" ] ||
			why="there is no ${file##*/}"
	done
	for file in usr/sbin/bpfsoakd usr/share/bpfsoakd/fleet/bpfsoakd.rules.yml \
		usr/share/bpfsoakd/fleet/dashboard.json usr/share/doc/bpfsoakd/README.md; do
		[ -s "$WORK/daemon/$file" ] || why="there is no $file"
	done
	if compgen -G "$ROOT/systemd/bpfsoakd.service*" >/dev/null &&
		[ ! -f "$WORK/daemon/lib/systemd/system/bpfsoakd.service" ]; then
		why="there is no bpfsoakd.service"
	fi
	result contents "$why"
	# The version is in four places.
	file=$WORK/module/usr/src/bpfsoakd-$VERSION
	why=$(diff <(kmod_sources) <(cd "$file" && find . -type f ! -name dkms.conf | sort) 2>&1)
	grep -qx "PACKAGE_VERSION=\"$VERSION\"" "$file/dkms.conf" || why="dkms.conf has another version"
	result module-source "$(tr '\n' ' ' <<<"$why" | sed 's/ *$//')"
}

# Without installing it, as far as that goes.
test_unpacked() {
	local daemon=$WORK/daemon/usr/sbin/bpfsoakd code=0 why=
	[ "$("$daemon" --version)" = "bpfsoakd $VERSION" ] || why="--version says otherwise"
	"$daemon" check --json >"$WORK/check.json" 2>/dev/null || code=$?
	[ $code = 0 ] || [ $code = 77 ] || why="check ends with $code"
	/usr/bin/python3 -m json.tool "$WORK/check.json" >/dev/null || why="check --json: no JSON"
	result unpacked "$why"
}

# Run in the overlay: installs, lets the package's own test judge, and removes without a trace.
inside() {
	local code=0
	exec 2>&1
	dpkg -i "$1"/bpfsoakd_*.deb "$1"/bpfsoakd-dkms_*.deb && dpkg -s bpfsoakd bpfsoakd-dkms | grep -c '^Status: install ok installed' |
		grep -qx 2 || return 11
	(cd / && "$1/tree/debian/tests/smoke") || return 12
	dkms status 2>/dev/null | grep "^bpfsoakd/$VERSION" || return 13
	dpkg -L bpfsoakd bpfsoakd-dkms | sort -u | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done >"$1/files"
	dpkg -P bpfsoakd bpfsoakd-dkms || code=14
	while read -r file; do
		[ ! -e "$file" ] || { echo "left: $file" && code=15; }
	done <"$1/files"
	[ ! -e "/var/lib/dkms/bpfsoakd" ] || code=15
	return $code
}

# The machine's root as it is, and every change of it in memory only.
overlay() {
	local dir=$WORK/overlay
	mkdir "$dir" && mount -t tmpfs overlay "$dir" && mkdir "$dir"/{up,work,root} &&
		mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/up,workdir=$dir/work" "$dir/root" &&
		mount -t proc proc "$dir/root/proc" && mount --rbind /sys "$dir/root/sys" &&
		mount --rbind /dev "$dir/root/dev" && mkdir -p "$dir/root$WORK" &&
		mount --bind "$WORK" "$dir/root$WORK" || return 10
	export VERSION
	export -f inside
	chroot "$dir/root" /bin/bash -c "inside '$WORK'"
}

test_installed() {
	local log=$WORK/install.log code=0 why=
	if [ "$(id -u)" != 0 ]; then
		echo "skip installed: needs root, for an overlay of this machine's root"
		return
	fi
	export WORK
	export -f overlay
	export -f inside
	VERSION=$VERSION unshare --mount --pid --fork /bin/bash -c overlay >"$log" 2>&1 </dev/null ||
		code=$?
	case $code in
	0) ;;
	10) echo "skip installed: no overlay of this machine's root: $(tail -n 1 "$log")" && return ;;
	11) why="they cannot be installed" ;;
	12) why="debian/tests/smoke: $(grep '^smoke: ' "$log")" ;;
	13) why="DKMS does not know the module" ;;
	14) why="they cannot be removed" ;;
	15) why="not all is removed: $(grep -m 1 '^left: ' "$log")" ;;
	*) why="it ends with $code" ;;
	esac
	result installed "$why" "$log"
}

test_meson() {
	local log=$WORK/meson.log file why=
	build build || { result meson-install "the build failed"; return; }
	meson install -C "$ROOT/build" --no-rebuild --destdir "$WORK/destdir" >"$log" 2>&1 ||
		why="meson install failed"
	for file in $(cd "$WORK/daemon" && find . -type f -path '*/usr/*' ! -path '*/doc/bpfsoakd/c*'); do
		file=${file#./usr/}
		compgen -G "$WORK/destdir/usr/*/${file%.gz}" >/dev/null ||
			[ -e "$WORK/destdir/usr/${file%.gz}" ] || why="it does not install ${file%.gz}"
	done
	result meson-install "$why" "$log"
	if [ ! -e "$ROOT/.git" ]; then
		echo "skip meson-dist: this is no git tree"
		return
	fi
	why=
	meson dist -C "$ROOT/build" --no-tests --allow-dirty --formats gztar >"$log" 2>&1 &&
		tar -tzf "$ROOT/build/meson-dist/bpfsoakd-$VERSION.tar.gz" >"$WORK/dist.list" ||
		why="meson dist failed"
	for file in meson.build debian/control scripts/check inject/kmod/Kbuild COPYING; do
		grep -qx "bpfsoakd-$VERSION/$file" "$WORK/dist.list" || why=${why:-"it has no $file"}
	done
	result meson-dist "$why" "$log"
}

main() {
	packages_need "${BUILD_PACKAGES[@]}" "${PACKAGE_PACKAGES[@]}" "${LOOKING_PACKAGES[@]}"
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/package.XXXXXX") || exit 1
	trap 'rm -rf "$WORK"' EXIT
	package_tree "$WORK/tree"
	test_build || exit 1
	[ -z "${PACKAGES:-}" ] || { mkdir -p "$PACKAGES" && cp "$WORK"/bpfsoakd* "$PACKAGES"; }
	test_lintian
	test_contents
	test_unpacked
	test_installed
	test_meson
}

main "$@"
