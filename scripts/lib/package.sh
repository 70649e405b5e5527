# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The Debian packages, built from a copy of the tree, so that nothing is left in it.

# shellcheck disable=SC2034 # for those who build them
PACKAGE_PACKAGES=(debhelper dh-dkms dkms dpkg-dev fakeroot libsystemd-dev systemd)

# package_tree DIR: what git knows, as it is now, committed or not; of an unpacked archive everything.
package_tree() {
	mkdir "$1"
	(cd "$ROOT" && if [ -e .git ]; then
		git ls-files -z | while IFS= read -r -d '' file; do
			[ ! -e "$file" ] || printf '%s\0' "$file"
		done
	else
		find . -mindepth 1 -path './build*' -prune -o -type f -print0
	fi | tar -c --null -T - | tar -x -C "$1")
}

# package_build DIR LOG: from DIR/tree into DIR.
package_build() {
	(cd "$1/tree" && DEB_BUILD_OPTIONS="parallel=$(nproc)" nice dpkg-buildpackage -us -uc) \
		>"$2" 2>&1 </dev/null
}
