#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon as systemd runs it: a real Debian root with the installed units, in one boot.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

vm_begin
VM_BUILD=build-service
if ! build "$VM_BUILD" --prefix=/usr -Dkmod=disabled; then
	not_ok build "see above"
	exit 1
fi
GUEST_TREE=$GUEST_DIR/tree
if ! quietly env DESTDIR="$GUEST_TREE" meson install -C "$ROOT/$VM_BUILD" --no-rebuild; then
	not_ok install "see above"
	exit 1
fi
ok install
if ! root_get; then
	not_ok root "no root with systemd"
	exit 1
fi
# Nothing of the build's own: what runs is what is installed.
vm_files() {
	printf '%s\n' "$VM_TESTS/lib/guest.sh:/etc/guest-lib" "$GUEST_DIR/env:/etc/guest-env" \
		"$KMOD_FILE:$KMOD_GUEST_FILE"
}
# shellcheck disable=SC2034 # for guest_start
GUEST_INITRAMFS=root_initramfs
VM_KMOD=yes
GUEST_APPEND="systemd.mask=serial-getty@ttyS0.service systemd.show_status=no"
vm_boot systemd systemd 900
kernel_reports_are_known kernel-log "$VM_RESULTS/console.log"
sed -n 's/^info: //p' "$VM_RESULTS/output.log" | tr -d '\r' >&2
