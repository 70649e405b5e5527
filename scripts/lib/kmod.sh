# shellcheck shell=bash disable=SC2034 # the variables are for those who source this
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the module of inject/kmod for the kernel that kernel_get chose last. It is kept in the
# cache by kernel and by the hash of its sources: where it has been built before, neither network
# nor compiler is needed.
#
# A kernel with a build tree of its own (KERNEL_BUILD) is built against with this machine's
# compiler. The programs in the header packages of a stock kernel need a newer C library than
# Debian 12's, and the compiler that built the kernel: those modules are built in a small root of
# the kernel's own Debian release, made once for each kernel.

KMOD_NAME=rqspinlock_fault
KMOD_SUITE=${KERNEL_SUITE%-backports}
KMOD_SOURCE=${KMOD_SOURCE:-$ROOT/inject/kmod} # for tests: other sources
KMOD_GUEST_FILE=/usr/lib/bpfsoakd/$KMOD_NAME.ko # where a guest finds it

KMOD_FILE= # set by kmod_get

# The compiler's environment is not to decide what is in a kernel module.
kernel_make() {
	env -i PATH="$PATH" HOME="${HOME:-/root}" LC_ALL=C make "$@"
}

# What the module is made of, as paths in KMOD_SOURCE; not what an earlier build left there.
kmod_sources() {
	(cd "$KMOD_SOURCE" 2>/dev/null && find . -type f ! -name '.*' ! -name '*.mod.c' \
		\( -name '*.[chS]' -o -name Kbuild -o -name Makefile \) | sort)
}

kmod_hash() {
	kmod_sources | (cd "$KMOD_SOURCE" && xargs -d '\n' sha256sum) | sha256sum | cut -c1-12
}

# Of an image from somewhere, nothing but its contents says which kernel it is.
kmod_kernel_key() {
	if [ -n "$KERNEL_KEY" ]; then
		echo "$KERNEL_KEY"
	else
		echo "image-$(sha256sum <"$KERNEL_IMAGE" | cut -c1-12)"
	fi
}

# --- a root of the kernel's own release --------------------------------------------------------

# How the machine's apt fetches things (proxies, retries, validity), for another apt.
kmod_apt_options() {
	apt-config dump --no-empty | grep '^Acquire::' |
		grep -vE '^Acquire::(IndexTargets|Changelogs|CompressionTypes|Languages|cdrom)'
}

# The header package names its compiler as gcc-N-for-host, which has no program called gcc-N.
kmod_compiler() {
	apt_private "$KERNEL_SUITE" apt-cache show "linux-headers-$1" 2>/dev/null |
		sed -nE 's/^Depends:.*\<(gcc-[0-9]+).*/\1/p' | head -n 1
}

# kmod_headers_there RELEASE: prints its compiler; says what there is instead when there is none.
kmod_headers_there() {
	local compiler
	apt_private_fresh "$KERNEL_SUITE" || apt_private_update "$KERNEL_SUITE" || return 1
	compiler=$(kmod_compiler "$1")
	if [ -z "$compiler" ]; then
		say "$KERNEL_SUITE has no linux-headers-$1 (any more), which the module is built" \
			"with; there are headers for: $(apt_private "$KERNEL_SUITE" apt-cache \
				pkgnames linux-headers- 2>/dev/null |
				sed -nE "s/^linux-headers-([0-9].*-$KERNEL_FLAVOUR)\$/\1/p" |
				sort -V | tr '\n' ' ')"
		return 1
	fi
	echo "$compiler"
}

# Appears in the cache whole or not at all. It belongs to root.
kmod_root() {
	local release=$1 dir=$2 compiler uri
	[ -e "$dir/etc" ] && return 0
	packages_need mmdebstrap
	compiler=$(kmod_headers_there "$release") || return 1
	uri=$(debian_uri_or_update)
	[ -n "$uri" ] || return 1
	say "making a root of $KMOD_SUITE to build modules for $release in"
	mkdir -p "${dir%/*}"
	as_root rm -rf --one-file-system "$dir.part"
	kmod_apt_options >"$dir.apt"
	# Without binutils of their plain names the kernel's Makefile misjudges the compiler.
	quietly as_root mmdebstrap --variant=apt --aptopt="$dir.apt" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--include="make,binutils,$compiler,linux-headers-$release" \
		"$KMOD_SUITE" "$dir.part" "deb [signed-by=$KERNEL_KEYRING] $uri $KMOD_SUITE main" \
		"deb [signed-by=$KERNEL_KEYRING] $uri $KERNEL_SUITE main" || return 1
	rm -f "$dir.apt"
	as_root mv "$dir.part" "$dir"
}

# What is mounted is gone with the process, whatever becomes of it: its mounts are its own.
kmod_make_in_root() {
	# shellcheck disable=SC2016 # expanded in there
	local enter='mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc" &&
		mount --bind "$2" "$1/mnt" || exit
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/ \
			chroot --userspec="$3" "$1" make -C "/usr/src/linux-headers-$4" M=/mnt modules'
	as_root unshare --mount sh -c "$enter" enter "$1" "$2" "$(id -u):$(id -g)" "$3"
}

# --- build -------------------------------------------------------------------------------------

# kmod_make STAGE
kmod_make() {
	local root
	if [ -n "$KERNEL_BUILD" ]; then
		packages_need "${KMOD_PACKAGES[@]}"
		quietly kernel_make -C "$KERNEL_BUILD" M="$1" modules
	elif [ -n "$KERNEL_STOCK" ]; then
		root=$CACHE/kmod/root-$KERNEL_STOCK
		kmod_root "$KERNEL_STOCK" "$root" && quietly kmod_make_in_root "$root" "$1" "$KERNEL_STOCK"
	else
		say "no build tree beside $KERNEL_IMAGE to build the module against: a configured and" \
			"prepared kernel tree (Makefile, include/config/auto.conf, Module.symvers) must" \
			"be there as 'build' or 'source', or the image must lie in its own tree"
		return 1
	fi
}

# kmod_build DIR: leaves the module there, whole or not at all.
kmod_build() {
	local dir=$1 stage=$CACHE/kmod/stage
	[ ! -f "$dir/$KMOD_NAME.ko" ] || return 0
	say "building the module for $KERNEL_NAME"
	rm -rf "$stage" && mkdir -p "$stage" || return 1
	kmod_sources | (cd "$KMOD_SOURCE" && xargs -d '\n' cp --parents -t "$stage") || return 1
	if ! kmod_make "$stage" || [ ! -f "$stage/$KMOD_NAME.ko" ]; then
		say "no module for $KERNEL_NAME"
		return 1
	fi
	mkdir -p "$dir" && mv "$stage/$KMOD_NAME.ko" "$dir/$KMOD_NAME.ko" || return 1
	rm -rf "$stage"
}

# Sets KMOD_FILE. Call kernel_get before.
kmod_get() {
	local dir
	[ -n "$(kmod_sources)" ] || { say "no sources of a module in $KMOD_SOURCE"; return 1; }
	mkdir -p "$CACHE/kmod"
	dir=$CACHE/kmod/$(kmod_kernel_key)-$(kmod_hash)
	KMOD_FILE=
	if [ ! -f "$dir/$KMOD_NAME.ko" ]; then
		locked kmod kmod_build "$dir" || return 1
	fi
	KMOD_FILE=$dir/$KMOD_NAME.ko
}
