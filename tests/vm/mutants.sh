#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A smoke of scripts/mutants: every mutant still fits the source, the tool that applies them refuses
# what does not, two of them are told from clean kernels: one that shows at once, and one that takes
# failed locks and a verdict. All of them: scripts/mutants.
# shellcheck source=tests/vm/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

SMOKE=(charge-not-noted no-bit-from-destroy)
LIMIT=16s # more than these two take

# refuses NAME EDIT: a mutant with this edit is an error, and changes nothing.
refuses() {
	local name=$1 mutant=$GUEST_DIR/test.mutant
	printf '%s\n' 'what: w' 'claim: c' 'oracle: o' 'needs: none' 'file: a.c' "$2" "$3" '+ x' >"$mutant"
	judge "$name" "mutate.py took it" refused "$mutant"
}

refused() {
	! "$ROOT/scripts/lib/mutate.py" "$1" "$GUEST_DIR/source" "$GUEST_DIR/mutated" >/dev/null 2>&1 &&
		[ ! -e "$GUEST_DIR/mutated/a.c" ]
}

tool() {
	mkdir -p "$GUEST_DIR/source"
	printf '%s\n' 'int f(void)' '{' '	if (a)' '		b++;' '	c(1); c(1);' '}' '' 'int g(void);' '' \
		'int g(void)' '{' '	d();' '}' >"$GUEST_DIR/source/a.c"
	refuses refuses-absent 'in: f' '- e();'
	refuses refuses-twice 'in: f' '- c(1);'
	refuses refuses-other-function 'in: f' '- d();'
	refuses refuses-no-function 'in: h' '- d();'
	refuses refuses-unknown-key 'of: f' '- d();'
	judge applies "mutate.py did not" applied
}

applied() {
	printf '%s\n' 'what: w' 'claim: c' 'oracle: o' 'needs: none' 'file: a.c' 'in: f' '- if (a) b++;' \
		'+ b--;' 'in: g' '- d();' '+' >"$GUEST_DIR/test.mutant"
	"$ROOT/scripts/lib/mutate.py" "$GUEST_DIR/test.mutant" "$GUEST_DIR/source" "$GUEST_DIR/mutated" \
		>/dev/null && [ "$(tr -d '[:space:]' <"$GUEST_DIR/mutated/a.c")" = \
		'intf(void){b--;c(1);c(1);}intg(void);intg(void){}' ]
}

fits() {
	local name why
	while read -r name; do
		if why=$("$ROOT/scripts/lib/mutate.py" "$MUTANTS/$name.mutant" "$LAB_SOURCE" \
			"$GUEST_DIR/mutated" 2>&1); then
			ok "fits-$name"
		else
			not_ok "fits-$name" "$why"
		fi
	done < <(mutant_names)
}

# Each row of the table is a test.
smoke() {
	local row name verdict dir=$ROOT/build/vm/mutants
	rm -rf "$dir"
	"$ROOT/scripts/mutants" --time "$LIMIT" --clean 1 --results "$dir" "${SMOKE[@]}" >&2
	for row in "$dir"/*/row; do
		[ -f "$row" ] || continue
		name=$(basename "$(dirname "$row")")
		verdict=$(<"${row%row}verdict")
		judge "$name" "$(xargs <"$row")" [ "$verdict" = as-expected ]
	done
	judge rows "a kernel was not tried" [ "$(find "$dir" -name row | wc -l)" -ge $((${#SMOKE[@]} + 1)) ]
}

vm_begin
vm_build build
tool
if mutant_base; then
	fits
	smoke
else
	not_ok base "no kernel to make mutants from"
fi
