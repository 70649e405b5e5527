#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon as systemd runs it: a real Debian root, in which the package is installed, in one boot.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

vm_begin
packages_need "${PACKAGE_PACKAGES[@]}"
PACKAGES=$GUEST_DIR/packages
mkdir -p "$PACKAGES"
package_tree "$PACKAGES/tree"
if ! package_build "$PACKAGES" "$PACKAGES/build.log"; then
	tail -n 40 "$PACKAGES/build.log" >&2
	not_ok packages "dpkg-buildpackage failed"
	exit 1
fi
ok packages
if ! root_get; then
	not_ok root "no root with systemd"
	exit 1
fi
# Nothing of a build: what runs is what the package installs.
vm_files() {
	printf '%s\n' "$VM_TESTS/lib/guest.sh:/etc/guest-lib" "$GUEST_DIR/env:/etc/guest-env" \
		"$KMOD_FILE:$KMOD_GUEST_FILE"
	find "$PACKAGES" -maxdepth 1 -name 'bpfsoakd_*.deb' -printf '%p:/packages/%f\n'
}
# shellcheck disable=SC2034 # for guest_start
GUEST_INITRAMFS=root_initramfs
VM_KMOD=yes
GUEST_APPEND="systemd.mask=serial-getty@ttyS0.service systemd.show_status=no"
vm_boot systemd systemd 900
kernel_reports_are_known kernel-log "$VM_RESULTS/console.log"
sed -n 's/^info: //p' "$VM_RESULTS/output.log" | tr -d '\r' >&2
