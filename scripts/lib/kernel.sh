# shellcheck shell=bash disable=SC2034 # the variables are for those who source this
# SPDX-License-Identifier: GPL-2.0-only
#
# Finds, downloads and unpacks Debian's stock cloud kernels, in the cache and without touching the
# system's apt: own sources list, own lists, own archives. The archive drops old kernels, so
# releases are discovered, never named here. What is unpacked once is used again without network.
# Kernels built here, with what the stock ones lack, are in lib/lab.sh.

KERNEL_SUITE=trixie-backports
KERNEL_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
KERNEL_FLAVOUR=cloud-amd64

# Set by kernel_get.
KERNEL_IMAGE=   # bzImage or vmlinux
KERNEL_CONFIG=  # its configuration, empty when unknown
KERNEL_MODULES= # lib/modules/RELEASE of its modules, empty when there is none
KERNEL_NAME=    # for messages
KERNEL_KEY=     # names it in the cache, empty for an image from somewhere
KERNEL_STOCK=   # its release, when it is one of Debian's
KERNEL_BUILD=   # what modules for it are built against (make -C), empty when there is none
KERNEL_MEMORY=  # what a guest with it needs
KERNEL_SLOWER=  # how many times longer than a stock kernel it may take

kernel_set() {
	KERNEL_NAME=$1 KERNEL_IMAGE=$2 KERNEL_CONFIG='' KERNEL_MODULES=''
	KERNEL_KEY='' KERNEL_STOCK='' KERNEL_BUILD='' KERNEL_MEMORY=2G KERNEL_SLOWER=1
}

# The machine's own Debian mirror: whatever its apt uses.
debian_uri() {
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' 2>/dev/null |
		awk '$2 == "Debian" { print $1; exit }'
}

# The label is known only after the system's lists were fetched once.
debian_uri_or_update() {
	local uri
	uri=$(debian_uri)
	if [ -z "$uri" ]; then
		quietly system_apt_get update
		uri=$(debian_uri)
	fi
	[ -n "$uri" ] || say "apt has no source labelled Debian to take kernels from"
	echo "$uri"
}

# apt_private SUITE TOOL ARGS...: apt-get or apt-cache on one suite alone.
apt_private() {
	local dir=$CACHE/apt/$1 tool=$2 options
	shift 2
	options=(-q -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o Debug::NoLocking=1
		-o Acquire::Languages=none -o Acquire::Retries=2)
	[ "$(id -u)" = 0 ] && options+=(-o APT::Sandbox::User=root)
	"$tool" "${options[@]}" "$@"
}

apt_private_update() {
	locked "apt-$1" apt_private_update_locked "$1"
}

apt_private_update_locked() {
	local suite=$1 dir=$CACHE/apt/$1 uri
	uri=$(debian_uri_or_update)
	[ -n "$uri" ] || return 1
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	echo "deb [signed-by=$KERNEL_KEYRING] $uri $suite main" >"$dir/sources.list"
	quietly apt_private "$suite" apt-get -o APT::Update::Error-Mode=any update || return 1
	touch "$dir/updated"
}

# Succeeds when the list of SUITE is younger than a day.
apt_private_fresh() {
	[ -n "$(find "$CACHE/apt/$1/updated" -mmin -1440 2>/dev/null)" ]
}

# apt_private_unpack SUITE DIR PACKAGE...: an old list may name versions that are gone, so a failure
# is worth one update.
apt_private_unpack() {
	local suite=$1 dir=$2 deb
	shift 2
	rm -rf "$dir.deb" && mkdir -p "$dir.deb" "$dir" || return 1
	if ! (cd "$dir.deb" && apt_private "$suite" apt-get download "$@" >/dev/null 2>&1); then
		apt_private_update "$suite" || return 1
		(cd "$dir.deb" && quietly apt_private "$suite" apt-get download "$@") || return 1
	fi
	for deb in "$dir.deb"/*.deb; do
		quietly dpkg-deb -x "$deb" "$dir" || return 1
	done
	rm -rf "$dir.deb"
}

# kernel_list WANTED: releases in the archive that WANTED ("newest", "7.3", "7.3.4+deb13", ...)
# means, oldest first, as "RELEASE PACKAGE". From some 6.19 on the image is in linux-binary-*, and
# linux-image-* is an empty package beside it.
kernel_list() {
	apt_private "$KERNEL_SUITE" apt-cache pkgnames linux- 2>/dev/null |
		sed -nE "s/^(linux-(binary|image)-([0-9][0-9.]*(\+[^-]*)?-$KERNEL_FLAVOUR))\$/\3 \2 \1/p" |
		sort -t' ' -k1,1V -k2,2r | awk '{ package[$1] = $3; if (!seen[$1]++) order[++n] = $1 }
			END { for (i = 1; i <= n; i++) print order[i], package[order[i]] }' |
		kernel_matching "$1"
}

# Filters lines whose first word is a release. "newest" is 7 or later: what the daemon is for.
kernel_matching() {
	awk -v wanted="$1" '
		wanted == "newest" && $1 + 0 < 7 { next }
		wanted != "newest" && wanted != "" {
			next_char = substr($1, length(wanted) + 1, 1)
			if (index($1, wanted) != 1 || next_char ~ /[0-9]/) next
		}
		{ print }'
}

kernel_cached() {
	local dir
	for dir in "$CACHE"/kernels/*-"$KERNEL_FLAVOUR"; do
		[ -e "$dir/vmlinuz" ] && echo "${dir##*/}"
	done | sort -V | kernel_matching "$1" | tail -n 1
}

kernel_link() {
	local target
	target=$(find "$1" -path "$2" -type f | head -n 1)
	[ -n "$target" ] || return 1
	ln -s "${target#"$1"/}" "$1/$3"
}

# Appears in the cache whole or not at all.
kernel_download() {
	local release=$1 package=$2 dir=$CACHE/kernels/$1 packages=("$2")
	[ -e "$dir/vmlinuz" ] && return 0
	say "fetching kernel $release"
	# The configuration is in a package of its own where the image is.
	[[ $package == linux-binary-* ]] && packages+=("linux-base-$release")
	rm -rf "$dir.part"
	apt_private_unpack "$KERNEL_SUITE" "$dir.part" "${packages[@]}" || return 1
	kernel_link "$dir.part" '*/vmlinuz*' vmlinuz ||
		{ say "no image in $package"; return 1; }
	kernel_link "$dir.part" "*/config-$release" config ||
		kernel_link "$dir.part" "*/modules/$release/config" config
	mv "$dir.part" "$dir"
}

# kernel_module NAME: a module of the stock kernel at hand, ready for insmod; prints where it is.
# Fails for other kernels, and where there is none of that name.
kernel_module() {
	local dir=$CACHE/kernels/$KERNEL_STOCK.modules file
	[ -n "$KERNEL_STOCK" ] || return 1
	[ -d "$dir" ] || locked kernels kernel_modules_download "$dir" >&2 || return 1
	[ -e "$dir/$1.ko" ] && echo "$dir/$1.ko" && return
	# In the package of the image, where there is none of modules.
	file=$(find "$dir" "$CACHE/kernels/$KERNEL_STOCK" -name "$1.ko.xz" -o -name "$1.ko" | head -n 1)
	case $file in
	'') return 1 ;;
	*.xz) xz -dc "$file" >"$dir/$1.ko.part" && mv "$dir/$1.ko.part" "$dir/$1.ko" ;;
	*) cp "$file" "$dir/$1.ko" ;;
	esac && echo "$dir/$1.ko"
}

kernel_modules_download() {
	local dir=$1
	[ -d "$dir" ] && return
	if find "$CACHE/kernels/$KERNEL_STOCK" -name '*.ko*' | grep -q .; then
		mkdir "$dir"
		return
	fi
	say "fetching the modules of $KERNEL_STOCK"
	rm -rf "$dir.part"
	apt_private_unpack "$KERNEL_SUITE" "$dir.part" "linux-modules-$KERNEL_STOCK" &&
		mv "$dir.part" "$dir"
}

kernel_set_stock() {
	local dir=$CACHE/kernels/$1
	kernel_set "$1" "$dir/vmlinuz"
	KERNEL_KEY=$1 KERNEL_STOCK=$1
	[ -e "$dir/config" ] && KERNEL_CONFIG=$dir/config
	return 0
}

# Succeeds when modules can be built against DIR: a tree that was configured and built in.
kernel_is_build_tree() {
	[ -f "$1/Makefile" ] && [ -f "$1/include/config/auto.conf" ] && [ -f "$1/Module.symvers" ]
}

# Any bzImage or vmlinux, with what lies beside it.
kernel_set_path() {
	local dir candidate
	[ -f "$1" ] || { say "no such kernel: $1"; return 1; }
	kernel_set "$1" "$(realpath "$1")"
	dir=$(dirname "$KERNEL_IMAGE")
	for candidate in "$dir/config" "$dir/.config" "$dir/config-${KERNEL_IMAGE##*/vmlinuz-}"; do
		[ -f "$candidate" ] && KERNEL_CONFIG=$candidate && break
	done
	for candidate in "$dir" "$dir"/modules "$dir"/modules/* "$dir"/lib/modules/*; do
		[ -f "$candidate/modules.order" ] || continue
		[ -d "$candidate/kernel" ] || continue
		[ -f "$candidate/Makefile" ] && continue # a build tree, not installed modules
		KERNEL_MODULES=$candidate
		break
	done
	# The image of a tree lies in it, a bzImage three folders down.
	for candidate in "$dir/build" "$dir/source" "$dir" "$dir/../../.." \
		"${KERNEL_MODULES:-$dir}/build"; do
		kernel_is_build_tree "$candidate" || continue
		KERNEL_BUILD=$(realpath "$candidate")
		[ -n "$KERNEL_CONFIG" ] || [ ! -f "$KERNEL_BUILD/.config" ] ||
			KERNEL_CONFIG=$KERNEL_BUILD/.config
		break
	done
	return 0
}

# Offline, what is cached must do.
kernel_fall_back() {
	local found=$1 why=$2
	[ -n "$found" ] || { say "$why, and none is cached"; return 1; }
	say "$why; using the cached $found"
	kernel_set_stock "$found"
}

# With something to fall back on, being offline is worth one line, not apt's dozen.
kernel_list_fresh() {
	apt_private_fresh "$KERNEL_SUITE" && return 0
	if [ -n "$1" ]; then
		apt_private_update "$KERNEL_SUITE" 2>/dev/null
	else
		apt_private_update "$KERNEL_SUITE"
	fi
}

kernel_get_stock() {
	local wanted=$1 found release package
	found=$(kernel_cached "$wanted")
	# Only "newest" moves: anything else that is cached will do as it is.
	if [ -n "$found" ] && [ "$wanted" != newest ]; then
		kernel_set_stock "$found"
		return 0
	fi
	if ! kernel_list_fresh "$found"; then
		kernel_fall_back "$found" "cannot list kernels"
		return
	fi
	read -r release package < <(kernel_list "$wanted" | tail -n 1)
	if [ -z "$release" ]; then
		say "no kernel '$wanted' in $KERNEL_SUITE; there are:" \
			"$(kernel_list "" | cut -d' ' -f1 | tr '\n' ' ')"
		return 1
	fi
	if ! kernel_download "$release" "$package"; then
		kernel_fall_back "$found" "cannot fetch kernel $release"
		return
	fi
	kernel_set_stock "$release"
}

# Checkers take memory and time.
kernel_weigh() {
	if [ -n "$KERNEL_CONFIG" ] && grep -q '^CONFIG_KASAN=y' "$KERNEL_CONFIG"; then
		KERNEL_MEMORY=3G KERNEL_SLOWER=4
	fi
	return 0
}

# kernel_get newest|lab|lab-kasan|RELEASE|SERIES|PATH, for example "7.3.4+deb13" or "6.18".
kernel_get() {
	kernel_find "$1" && kernel_weigh
}

kernel_find() {
	case $1 in
	*/*) kernel_set_path "$1" ;;
	lab) lab_get plain ;;
	lab-*) lab_get "${1#lab-}" ;;
	newest | [0-9]*) mkdir -p "$CACHE/kernels" && locked kernels kernel_get_stock "$1" ;;
	*) if [ -f "$1" ]; then kernel_set_path "./$1"; else
		say "not a kernel: '$1' (newest, a version such as 6.18, lab, lab-kasan," \
			"or the path of an image)"
		return 2
	fi ;;
	esac
}

# tool_get PACKAGE FILE: a program of this machine's Debian release that is only wanted as a file
# (its package would start a service). Prints where it is.
tool_get() {
	local package=$1 file=$2 dir=$CACHE/tools/$1
	if [ ! -x "$dir$file" ]; then
		locked tools tool_download "$package" "$dir" >&2 || return 1
	fi
	echo "$dir$file"
}

tool_download() {
	local package=$1 dir=$2 suite
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
	mkdir -p "$CACHE/tools"
	apt_private_fresh "$suite" || apt_private_update "$suite" || return 1
	rm -rf "$dir.part" "$dir"
	apt_private_unpack "$suite" "$dir.part" "$package" && mv "$dir.part" "$dir"
}
