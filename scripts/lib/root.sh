# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Guests with a real Debian root and systemd, of this machine's own release, so that what is built
# here runs there. The root is made once for each list of packages and kept in the cache as a
# compressed cpio; what a test adds follows it in the initramfs.

ROOT_PACKAGES=(systemd systemd-sysv dbus udev kmod libbpf1 libelf1 zlib1g libjson-c5 libcap2 libkmod2
	libsystemd0 prometheus-node-exporter)
ROOT_FILE= # set by root_get

root_suite() {
	(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
}

# root_key SUITE: what the root is made of.
root_key() {
	printf '%s\n' "$1" "${ROOT_PACKAGES[@]}" | sha256sum | cut -c1-12
}

# What nobody needs in a guest: half of it.
root_pack() {
	local dir=$1 out=$2
	# shellcheck disable=SC2016 # expanded in there
	as_root sh -c 'cd "$1" && find . -xdev \( -path ./dev/\* -o -path ./usr/share/doc/\* \
			-o -path ./usr/share/man/\* -o -path ./usr/share/locale/\* \
			-o -path ./var/lib/apt/\* -o -path ./var/cache/\* \) -prune -o -print0 |
		cpio --null --create --format=newc --quiet' pack "$dir" | zstd -q -T0 -3 >"$out.part" &&
		mv "$out.part" "$out"
}

root_make() {
	local suite=$1 out=$2 dir=$2.dir uri status=0
	[ ! -s "$out" ] || return 0
	packages_need mmdebstrap zstd cpio
	uri=$(debian_uri_or_update)
	[ -n "$uri" ] || return 1
	say "making a root of $suite with systemd"
	kmod_apt_options >"$out.apt"
	as_root rm -rf --one-file-system "$dir"
	quietly as_root mmdebstrap --variant=minbase --aptopt="$out.apt" \
		--include="$(IFS=, && echo "${ROOT_PACKAGES[*]}")" "$suite" "$dir" \
		"deb [signed-by=$KERNEL_KEYRING] $uri $suite main" && root_pack "$dir" "$out" || status=1
	as_root rm -rf --one-file-system "$dir"
	rm -f "$out.apt"
	return $status
}

# Sets ROOT_FILE.
root_get() {
	local suite
	suite=$(root_suite)
	mkdir -p "$CACHE/roots"
	ROOT_FILE=$CACHE/roots/$suite-$(root_key "$suite").cpio.zst
	locked roots root_make "$suite" "$ROOT_FILE"
}

# Directories that are links in the root, and must not become directories by what follows.
root_path() {
	case $1 in
	/bin/* | /sbin/* | /lib/* | /lib64/*) echo "/usr$1" ;;
	*) echo "$1" ;;
	esac
}

# root_initramfs OUT SCRIPT [FILE:GUEST_PATH]...: like initramfs_build, with the root that root_get
# found and these files. Libraries are the root's. SCRIPT is run by
# a unit once the system is up, and the machine ends with it.
# shellcheck disable=SC2153 # ROOT is the tree, root is the initramfs
root_initramfs() {
	local out=$1 script=$2 root file status=0
	shift 2
	root=$(mktemp -d "$GUEST_DIR/root.XXXXXX")
	chmod 755 "$root"
	for file in "$@"; do
		install -D -m 755 "${file%%:*}" "$root$(root_path "${file#*:}")" || return 1
	done
	install -D -m 755 "$script" "$root/etc/guest" && root_units "$root" || return 1
	find "$root" -type d -exec chmod 755 {} +
	(cd "$root" && find . -mindepth 1 -print0 |
		cpio --null --create --format=newc --quiet --owner=0:0) | gzip -1 >"$root.cpio" || status=1
	cat "$ROOT_FILE" "$root.cpio" >"$out" || status=1
	rm -rf "$root" "$root.cpio"
	return $status
}

root_units() {
	local units=$1/etc/systemd/system
	mkdir -p "$units/multi-user.target.wants" || return 1
	cat >"$units/guest.service" <<'UNIT' || return 1
[Unit]
Description=The test that this guest is for
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=exec
Environment=HOME=/root
ExecStart=/bin/sh /etc/guest-run

[Install]
WantedBy=multi-user.target
UNIT
	# The second time it waits until everything written is out.
	cat >"$1/etc/guest-run" <<'RUN' || return 1
exec >/dev/ttyS1 2>&1 </dev/null
stty -F /dev/ttyS1 raw -echo
/etc/guest
stty -F /dev/ttyS1 raw -echo
RUN
	ln -s ../guest.service "$units/multi-user.target.wants/guest.service"
	ln -s usr/lib/systemd/systemd "$1/init"
	echo guest >"$1/etc/hostname"
	# An empty one is made by systemd, and means a first boot: presets are applied then.
	echo uninitialized >"$1/etc/machine-id"
}
