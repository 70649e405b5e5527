# shellcheck shell=bash disable=SC2034 # the variables are for those who source this
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the lab's kernels from Debian's kernel source: small ones that have what stock kernels
# lack. "plain" has error injection into functions, and is what mutants are made from
# (lib/mutant.sh); "kasan" has the kernel's own checkers as well. What they are made of is in
# tests/vm/kernel/*.config, all but plain.config being added to it.
#
# A build lies in the cache under the version of its source and the hash of its configuration, and
# counts when it has a stamp: kernel trees hold their own paths, so it cannot be made elsewhere and
# moved. One that was interrupted goes on where it was. What boots, and what modules are built
# against, is kept; intermediate files are not.

LAB_PACKAGES=(flex bison bc libelf-dev libssl-dev dwarves cpio zstd kmod lz4 rsync python3
	gcc libc6-dev make xz-utils)
LAB_CONFIGS=$ROOT/tests/vm/kernel
LAB_FILES=1500    # compiled in a build, for the first one's progress
LAB_TOLD_EVERY=30 # seconds

LAB_SOURCE= # the source tree, set by lab_source_get
LAB_DIR=    # the build, set by lab_build

lab_variants() {
	local file
	for file in "$LAB_CONFIGS"/*.config; do
		basename "$file" .config
	done
}

# --- configuration -----------------------------------------------------------------------------

# Each symbol once: the last line that has it counts.
lab_fragment() {
	local files=("$LAB_CONFIGS/plain.config")
	[ "$1" = plain ] || files+=("$LAB_CONFIGS/$1.config")
	awk '/^CONFIG_/ { split($0, part, "="); symbol = part[1] }
		/^# CONFIG_.* is not set$/ { symbol = $2 }
		symbol { line[symbol] = $0; if (!seen[symbol]++) order[++n] = symbol; symbol = "" }
		END { for (i = 1; i <= n; i++) print line[order[i]] }' "${files[@]}"
}

lab_fragment_hash() {
	lab_fragment "$1" | sha256sum | cut -c1-12
}

# Prints what FRAGMENT asks for and CONFIG does not have: Kconfig drops silently what depends on
# something else.
lab_not_obtained() {
	awk 'NR == FNR { have[$0]; if (/^CONFIG_/) { split($0, part, "="); set[part[1]] } next }
		/^CONFIG_/ && !($0 in have)
		/^#/ && ($2 in set)' "$2" "$1"
}

lab_configure() {
	local dir=$1 missing
	quietly kernel_make -C "$LAB_SOURCE" O="$dir" KCONFIG_ALLCONFIG="$dir/fragment" allnoconfig ||
		return 1
	missing=$(lab_not_obtained "$dir/fragment" "$dir/.config")
	[ -n "$missing" ] || return 0
	say "not obtained in the configuration:"
	printf '%s\n' "$missing" >&2
	rm -f "$dir/.config"
	return 1
}

# --- source ------------------------------------------------------------------------------------

# The newest there is, as "PACKAGE VERSION".
lab_source_newest() {
	local package
	package=$(apt_private "$KERNEL_SUITE" apt-cache pkgnames linux-source- 2>/dev/null |
		grep -E '^linux-source-[0-9]+\.[0-9]+$' | sort -V |
		awk -F- '$3 + 0 >= 7' | tail -n 1)
	[ -n "$package" ] || { say "no kernel source in $KERNEL_SUITE"; return 1; }
	echo "$package $(apt_private "$KERNEL_SUITE" apt-cache show "$package" |
		sed -n 's/^Version: //p' | sort -V | tail -n 1)"
}

# Appears in the cache whole or not at all.
lab_source_download() {
	local package=$1 dir=$2 part=$2.part
	say "fetching $package"
	rm -rf "$part"
	apt_private_unpack "$KERNEL_SUITE" "$part" "$package" || return 1
	mkdir "$part/tree"
	say "unpacking $package"
	quietly tar -C "$part/tree" --strip-components=1 -xf "$part/usr/src/$package.tar.xz" || return 1
	mv "$part/tree" "$dir" && rm -rf "$part"
}

# Sets LAB_SOURCE. Offline, a source that is there must do.
lab_source_get() {
	local package version found
	found=$(find "$CACHE/lab" -maxdepth 1 -name 'source-*' ! -name '*.part*' | sort -V | tail -n 1)
	LAB_SOURCE=$found
	if ! kernel_list_fresh "$found"; then
		[ -n "$found" ] || { say "cannot list kernel sources, and none is cached"; return 1; }
		say "cannot list kernel sources; using the cached ${found##*/source-}"
		return 0
	fi
	read -r package version < <(lab_source_newest)
	[ -n "$version" ] || return 1
	# make splits paths at some of the characters of a version.
	LAB_SOURCE=$CACHE/lab/source-${version//[!0-9A-Za-z.]/_}
	[ -f "$LAB_SOURCE/Makefile" ] || lab_source_download "$package" "$LAB_SOURCE"
}

# --- build -------------------------------------------------------------------------------------

lab_minutes() {
	printf '%dm%02ds' $(($1 / 60)) $(($1 % 60))
}

# Keeps what make prints in LOG, and tells now and then how far it is.
lab_progress() {
	local name=$1 log=$2 total=$3 line count next=$((SECONDS + LAB_TOLD_EVERY)) start=$SECONDS
	count=$(grep -c '^  CC ' "$log" 2>/dev/null)
	while IFS= read -r line; do
		printf '%s\n' "$line"
		case $line in
		"  CC "*) count=$((count + 1)) ;;
		"  LD "*" vmlinux.o") say "$name: linking after $(lab_minutes $((SECONDS - start)))" ;;
		esac
		if [ "$SECONDS" -ge "$next" ]; then
			say "$name: $count of some $total files compiled, $(lab_minutes $((SECONDS - start)))"
			next=$((SECONDS + LAB_TOLD_EVERY))
		fi
	done >>"$log"
}

lab_make() {
	local name=$1 dir=$2 total=$LAB_FILES
	[ ! -s "$CACHE/lab/$name.files" ] || total=$(<"$CACHE/lab/$name.files")
	kernel_make -C "$LAB_SOURCE" O="$dir" KBUILD_BUILD_USER=bpfsoakd KBUILD_BUILD_HOST=lab \
		-j"$(nproc)" bzImage modules 2>&1 </dev/null | lab_progress "$name" "$dir/log" "$total"
	[ "${PIPESTATUS[0]}" = 0 ] && return 0
	say "failed: the build of $name; errors in $dir/log, of which the last:"
	grep -E '(error|Error|\*\*\*)' "$dir/log" | tail -n 20 >&2
	return 1
}

# vmlinux stays: modules take their BTF from it, and people lines of source for a trace. So does what
# mutants are made from.
lab_trim() {
	find "$1" -type f ! -path "$1/kit/*" \( -name '*.o' -o -name '*.a' -o -name '.*.cmd' -o -name '.tmp_vmlinux*' \
		-o -name 'vmlinux.bin*' -o -name vmlinux.unstripped \) -delete
}

# lab_build VARIANT: from the newest source. Sets LAB_DIR.
lab_build() {
	local name=$1 start=$SECONDS
	[[ ! $CACHE =~ [[:space:]:] ]] ||
		{ say "a kernel cannot be built in '$CACHE': make splits such names"; return 1; }
	packages_need "${LAB_PACKAGES[@]}"
	lab_source_get || return 1
	LAB_DIR=$CACHE/lab/$name-${LAB_SOURCE##*/source-}-$(lab_fragment_hash "$name")
	[ -e "$LAB_DIR/done" ] && return 0
	say "building lab kernel $name, which takes a while"
	mkdir -p "$LAB_DIR" && lab_fragment "$name" >"$LAB_DIR/fragment" || return 1
	[ -f "$LAB_DIR/.config" ] || lab_configure "$LAB_DIR" || return 1
	lab_make "$name" "$LAB_DIR" || return 1
	grep -c '^  CC ' "$LAB_DIR/log" >"$CACHE/lab/$name.files"
	[ "$name" != plain ] || mutant_kit "$LAB_DIR" || return 1
	lab_trim "$LAB_DIR" && touch "$LAB_DIR/done" || return 1
	say "built lab kernel $name in $(lab_minutes $((SECONDS - start)))"
}

# One that is there, of the newest source it was built from.
lab_cached() {
	local stamp
	for stamp in "$CACHE/lab/$1"-*-"$(lab_fragment_hash "$1")/done"; do
		[ ! -e "$stamp" ] || echo "${stamp%/done}"
	done | sort -V | tail -n 1
}

lab_check_variant() {
	grep -qxF -- "$1" < <(lab_variants) && return 0
	say "no lab kernel '$1'; there are: $(lab_variants | tr '\n' ' ')"
	return 2
}

lab_set() {
	local dir=$1
	kernel_set "$(<"$dir/include/config/kernel.release")" "$dir/arch/x86/boot/bzImage"
	KERNEL_CONFIG=$dir/.config KERNEL_BUILD=$dir KERNEL_KEY=lab-${dir##*/}
}

# lab_get VARIANT: what kernel_get sets. Any build of this configuration will do: only
# scripts/lab-kernel looks for newer source.
lab_get() {
	lab_check_variant "$1" || return
	mkdir -p "$CACHE/lab"
	LAB_DIR=$(lab_cached "$1")
	[ -n "$LAB_DIR" ] || locked lab lab_build "$1" || return 1
	lab_set "$LAB_DIR"
}
