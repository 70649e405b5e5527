# shellcheck shell=bash disable=SC2034 # the variables are for those who source this
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds mutants: the lab kernel "plain" with one deliberate bug each, out of tests/mutants/.
#
# A build of that kernel leaves a kit beside its tree, from which a mutant is made in seconds: the
# changed file is compiled with the command of the first build, and linked with all the others,
# which the kit holds as few large objects without debug information. What the kernel's
# scripts/link-vmlinux.sh does besides is done here too, except that nothing makes BTF: a mutant
# has the types and functions of the kernel that it is a mutant of, and takes its BTF over. One whose
# edit makes the compiler draw another line between functions (inline one more, say) is refused.
#
# Of a mutant only the image is kept: vmlinux, booted by PVH, under the hash of what it is made of.

MUTANTS=$ROOT/tests/mutants
MUTANT_FORMAT=2 # to be raised when images are built in another way, so that cached ones do not count
# Files that mutants may change: their objects stay apart in the kit.
MUTANT_OBJECTS=(kernel/bpf/bpf_local_storage.o kernel/bpf/bpf_task_storage.o
	kernel/bpf/rqspinlock.o net/core/bpf_sk_storage.o)

MUTANT_DIR=   # the build of the lab kernel, set by mutant_base
MUTANT_IMAGE= # set by mutant_get

mutant_names() {
	local file
	for file in "$MUTANTS"/*.mutant; do
		basename "$file" .mutant
	done
}

# Where the edit of a mutant, or that of a clean kernel that must be mended to be clean, is.
mutant_file() {
	local file=$MUTANTS/$1.mutant
	[ -f "$file" ] || file=$MUTANTS/${1#clean-}.mend
	echo "$file"
}

mutant_field() {
	"$ROOT/scripts/lib/mutate.py" "$(mutant_file "$1")" --field "$2"
}

# mutant_clean NEEDS: the kernel that is clean where mutants with NEEDS are soaked. Where destroy() may
# fail a storage lock, Linux 7.3 has a bug of its own (docs/findings, 002), which would be found.
mutant_clean() {
	case $1 in
	contended | pinned | stall) echo clean-count-reaches-zero ;;
	*) echo clean ;;
	esac
}

# --- the kit -----------------------------------------------------------------------------------

# kit_join DIR OUT OBJECT...: one object out of many, in their order, on which .BTF_ids and initcalls
# depend.
kit_join() {
	local dir=$1 out=$2
	shift 2
	[ $# -gt 0 ] || return 0
	echo "${out##*/}" >>"$dir/kit/order"
	(cd "$dir" && quietly ld -m elf_x86_64 -r --strip-debug -o "$out" "$@")
}

kit_is_apart() {
	local object
	for object in "${MUTANT_OBJECTS[@]}"; do
		[ "$1" != "$object" ] || return 0
	done
	return 1
}

# The objects of vmlinux.a in their order: those of mutants apart, all between them joined.
kit_objects() {
	local dir=$1 kit=$1/kit object run=() n=0
	: >"$kit/order"
	while read -r object; do
		if kit_is_apart "$object"; then
			kit_join "$dir" "$kit/part$n.o" "${run[@]}" || return 1
			echo "$object" >>"$kit/order"
			mkdir -p "$kit/$(dirname "$object")"
			(cd "$dir" && objcopy --strip-debug "$object" "$kit/$object") || return 1
			sed -n '1s/^savedcmd_[^ ]* := //p' "$(dirname "$dir/$object")/.${object##*/}.cmd" \
				>"$kit/${object%.o}.cmd"
			run=() n=$((n + 1))
		else
			run+=("$object")
		fi
	done < <(cd "$dir" && ar t vmlinux.a)
	[ $n = ${#MUTANT_OBJECTS[@]} ] || { say "not all objects of mutants are in vmlinux.a"; return 1; }
	kit_join "$dir" "$kit/part$n.o" "${run[@]}"
}

# kit_rest DIR: what else vmlinux is linked from, and with. lib.a may be one that only names its
# members.
kit_rest() {
	local dir=$1 kit=$1/kit lib n=0
	for lib in lib/lib.a arch/x86/lib/lib.a; do
		[ -f "$dir/$lib" ] || continue
		(cd "$dir" && ar t "$lib" | xargs ar crD "$kit/lib$n.a") || return 1
		objcopy --strip-debug "$kit/lib$n.a" || return 1
		n=$((n + 1))
	done
	sed -nE '1s/.*link-vmlinux\.sh "ld" "([^"]*)" "([^"]*)".*/\1 \2/p' "$dir/.vmlinux.unstripped.cmd" \
		>"$kit/flags"
	[ -s "$kit/flags" ] || { say "cannot tell how vmlinux is linked"; return 1; }
	(cd "$dir" && objcopy --strip-debug .vmlinux.export.o "$kit/export.o" &&
		objcopy --strip-debug init/version-timestamp.o "$kit/version.o" &&
		cp arch/x86/kernel/vmlinux.lds "$kit/" &&
		cp .tmp_vmlinux1.btf.o "$kit/btf.o" && cp .tmp_vmlinux1.BTF_ids "$kit/BTF_ids" &&
		cp "$(kit_last_kallsyms)" "$kit/kallsyms.o")
}

kit_last_kallsyms() {
	find . -maxdepth 1 -name '.tmp_vmlinux[0-9].kallsyms.o' | sort | tail -n 1
}

# Where objtool only sees the whole kernel (delay-objtool in the kernel's scripts/Makefile.lib, for
# live patching among others), parts and mutants have to be given to it. Prints its options, or none.
kit_objtool_options() {
	kernel_make -s -C "$1" -f - srctree="$LAB_SOURCE" objtree=. options <<'MAKE'
include include/config/auto.conf
include $(srctree)/scripts/Kbuild.include
include $(srctree)/scripts/Makefile.lib
options:
	@echo $(if $(delay-objtool),$(objtool-args-y))
MAKE
}

# kit_objtool DIR OBJECT [OPTION]...
kit_objtool() {
	local dir=$1 object=$2 options
	shift 2
	read -ra options <"$dir/kit/objtool"
	[ ${#options[@]} = 0 ] || quietly "$dir/tools/objtool/objtool" "${options[@]}" "$@" "$object"
}

# What was joined is a linked object.
kit_tables() {
	local dir=$1 object options
	options=$(kit_objtool_options "$dir") || { say "cannot tell how objtool is called"; return 1; }
	echo "$options" >"$dir/kit/objtool"
	while read -r object; do
		if kit_is_apart "$object"; then
			kit_objtool "$dir" "$dir/kit/$object" || return 1
		else
			kit_objtool "$dir" "$dir/kit/$object" --link || return 1
		fi
	done <"$dir/kit/order"
}

# mutant_kit DIR: makes the kit of a build, before its objects are deleted.
mutant_kit() {
	rm -rf "$1/kit" && mkdir -p "$1/kit" && kit_objects "$1" && kit_tables "$1" && kit_rest "$1"
}

# --- a mutant ----------------------------------------------------------------------------------

# mutant_compile WORK FILE: the mutated WORK/src/FILE, as the build compiled FILE, but without debug
# information.
mutant_compile() {
	local work=$1 file=$2 object=${2%.c}.o command
	command=$(<"$MUTANT_DIR/kit/${file%.c}.cmd")
	command=${command//"$LAB_SOURCE/$file"/"$work/src/$file"}
	command=${command//" $object"/" $work/$object"}
	command=${command//"-MMD,$(dirname "$file")/"/"-MMD,$work/"}
	command=${command//" -g "/" "}
	command=${command//" -gdwarf-4"/}
	mkdir -p "$work/$(dirname "$file")"
	(cd "$MUTANT_DIR" && quietly env -i PATH="$PATH" LC_ALL=C sh -c "$command") &&
		kit_objtool "$MUTANT_DIR" "$work/$object"
}

# The functions of an object, of which BTF and the daemon's programs must not be wrong.
mutant_functions() {
	nm "$1" | awk '$2 ~ /^[tT]$/ { print $3 }' | sort
}

# mutant_same_functions NAME WORK OBJECT: that the compiler has drawn the same lines.
mutant_same_functions() {
	local differ
	differ=$(diff <(mutant_functions "$MUTANT_DIR/kit/$3") <(mutant_functions "$2/$3") |
		grep '^[<>]' | tr '\n' ' ')
	[ -n "$differ" ] || return 0
	say "$1: other functions than the clean kernel's: $differ"
	return 1
}

# mutant_link WORK OUT KALLSYMS [OPTION]...
mutant_link() {
	local work=$1 out=$2 kallsyms=$3 kit=$MUTANT_DIR/kit objects=() object flags
	shift 3
	read -ra flags <"$kit/flags"
	while read -r object; do
		if [ -f "$work/$object" ]; then objects+=("$work/$object"); else objects+=("$kit/$object"); fi
	done <"$kit/order"
	quietly ld "${flags[@]}" --script="$kit/vmlinux.lds" "$@" -o "$out" \
		--whole-archive "${objects[@]}" "$kit/export.o" "$kit/version.o" --no-whole-archive \
		--start-group "$kit"/lib*.a --end-group "$kallsyms" "$kit/btf.o"
}

# mutant_kallsyms WORK IMAGE N: WORK/symsN.o for the addresses of IMAGE, WORK/symsN the list of them.
mutant_kallsyms() {
	local work=$1 image=$2 n=$3 include
	nm -n "$image" | sed -f "$LAB_SOURCE/scripts/mksysmap" >"$work/syms$n"
	[ "$n" != last ] || return 0
	"$MUTANT_DIR/scripts/kallsyms" --all-symbols --pc-relative "$work/syms$n" \
		>"$work/syms$n.S" || return 1
	read -ra include < <(grep -oE -- ' -(I[^ ]*|include [^ ]*)' \
		"$MUTANT_DIR/kit/kernel/bpf/rqspinlock.cmd" | tr '\n' ' ')
	(cd "$MUTANT_DIR" && quietly gcc -nostdinc "${include[@]}" -D__KERNEL__ -D__ASSEMBLY__ -m64 \
		-c -o "$work/syms$n.o" "$work/syms$n.S")
}

# The table of symbols is itself in the kernel, and moves what is behind it when its size changes: it
# is right when the addresses that it was made from are those of the kernel that it is in.
mutant_link_all() {
	local work=$1 kallsyms=$MUTANT_DIR/kit/kallsyms.o n
	for n in 1 2 3 4; do
		mutant_link "$work" "$work/vmlinux" "$kallsyms" --strip-debug || return 1
		mutant_kallsyms "$work" "$work/vmlinux" "$n" || return 1
		if [ "$n" != 1 ] && cmp -s "$work/syms$n" "$work/syms$((n - 1))"; then return 0; fi
		kallsyms=$work/syms$n.o
	done
	say "the table of symbols does not settle"
	return 1
}

# What scripts/link-vmlinux.sh and scripts/Makefile.vmlinux do with what was linked.
mutant_finish() {
	local work=$1
	quietly "$MUTANT_DIR/tools/bpf/resolve_btfids/resolve_btfids" --patch_btfids \
		"$MUTANT_DIR/kit/BTF_ids" "$work/vmlinux" || return 1
	nm -S "$work/vmlinux" >"$work/nm-sort"
	quietly "$MUTANT_DIR/scripts/sorttable" -s "$work/nm-sort" "$work/vmlinux" || return 1
	quietly objcopy --set-section-flags .modinfo=noload "$work/vmlinux" &&
		quietly objcopy --remove-section=.modinfo --strip-all "$work/vmlinux"
}

mutant_make() {
	local name=$1 work=$2 file files
	rm -rf "$work" && mkdir -p "$work/src" || return 1
	if [ "$name" != clean ]; then
		files=$("$ROOT/scripts/lib/mutate.py" "$(mutant_file "$name")" "$LAB_SOURCE" "$work/src") ||
			return 1
		for file in $files; do
			mutant_compile "$work" "$file" || return 1
			mutant_same_functions "$name" "$work" "${file%.c}.o" || return 1
		done
	fi
	mutant_link_all "$work" && mutant_finish "$work"
}

# --- the cache ---------------------------------------------------------------------------------

# What the image depends on besides source and configuration, which the build's name stands for.
mutant_hash() {
	{
		[ "$1" = clean ] || grep -E '^(file:|in:|[-+])' "$(mutant_file "$1")"
		echo "$MUTANT_FORMAT"
	} | sha256sum | cut -c1-12
}

mutant_build() {
	local name=$1 image=$2 work=$MUTANT_DIR/work start=$SECONDS
	[ ! -f "$image" ] || return 0
	mutant_make "$name" "$work" || { say "no mutant $name"; return 1; }
	mkdir -p "${image%/*}" && mv "$work/vmlinux" "$image" || return 1
	rm -rf "$work"
	find "${image%/*}" -name "$name-????????????" ! -path "$image" -delete
	say "built $name in $((SECONDS - start)) s"
}

# The kernel that mutants are made of, built when there is none. Sets what kernel_get sets.
mutant_base() {
	kernel_get lab || return 1
	MUTANT_DIR=$KERNEL_BUILD
	LAB_SOURCE=$(sed -nE 's/^include (.*)\/Makefile$/\1/p' "$MUTANT_DIR/Makefile")
	if [ ! -f "$MUTANT_DIR/kit/order" ] || [ ! -d "$LAB_SOURCE" ]; then
		say "the build in $MUTANT_DIR has no kit, or no source any more"
		return 1
	fi
}

# mutant_get NAME|clean: sets MUTANT_IMAGE. Call mutant_base before.
mutant_get() {
	MUTANT_IMAGE=$MUTANT_DIR/images/$1-$(mutant_hash "$1")
	[ -f "$MUTANT_IMAGE" ] || locked mutants mutant_build "$1" "$MUTANT_IMAGE"
}
