#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What people and CI systems see of a run, of one that really was (tests/eyes/run): the page as
# headless Chromium has it, KTAP and JUnit as their parsers take them, the text, and a frame of top;
# all against report.json. Prints "ok NAME" or "not ok NAME: why" for each test.
set -uo pipefail

PROGRAM=eyes
# shellcheck source=scripts/lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../scripts/lib.sh"

EYES_PACKAGES=(chromium python3)
RUN=$ROOT/tests/eyes/run
LOOK=$ROOT/tests/eyes/look.py
BROWSER_SECONDS=40 # it takes five on a machine that is free
OUT=                # scratch
DAEMON=

# look WHAT FILE: holds a rendering against the report.
look() {
	/usr/bin/python3 "$LOOK" "$1" "$2" "$RUN" || echo "not ok $1: it cannot be looked at"
}

render() {
	if ! "$DAEMON" report "$RUN" --format="$1" >"$OUT/$1"; then
		echo "not ok $1-rendered: exit $?"
		return 1
	fi
	echo "ok $1-rendered"
}

# In a home of its own: it leaves a profile there.
browse_once() {
	rm -rf "${OUT:?}/home" && mkdir "$OUT/home"
	HOME=$OUT/home timeout -k 5 "$BROWSER_SECONDS" chromium --headless --no-sandbox \
		--disable-gpu --disable-dev-shm-usage --user-data-dir="$OUT/home/profile" "$@" \
		2>"$OUT/browser.log"
}

# Its processes wait for each other, and on a busy machine now and then for ever.
browse() {
	browse_once "$@" || browse_once "$@"
}

test_html() {
	local page=$OUT/page.html
	render html || return
	mv "$OUT/html" "$page"
	if ! browse --dump-dom "file://$page" >"$OUT/dom"; then
		tail -n 5 "$OUT/browser.log" >&2
		echo "not ok html-browser: Chromium did not show it"
		return
	fi
	echo "ok html-browser"
	look html "$OUT/dom"
}

test_others() {
	local format
	for format in text ktap junit; do
		! render "$format" || look "$format" "$OUT/$format"
	done
	render json || return
	if cmp -s <(/usr/bin/python3 -m json.tool --sort-keys "$OUT/json") \
		<(/usr/bin/python3 -m json.tool --sort-keys "$RUN/report.json"); then
		echo "ok json-same"
	else
		echo "not ok json-same: it is another document"
	fi
}

test_top() {
	if ! "$DAEMON" top --once "$RUN/stats.prom" >"$OUT/top"; then
		echo "not ok top-shown: exit $?"
		return
	fi
	echo "ok top-shown"
	look top "$OUT/top"
}

# refused NAME MESSAGE COMMAND...: exit 2, and a message that begins so.
refused() {
	local name=$1 message=$2 said status=0
	shift 2
	said=$("$@" 2>&1 >/dev/null) || status=$?
	if [ $status = 2 ] && [[ $said == *"bpfsoakd: $message"* ]]; then
		echo "ok $name"
	else
		echo "not ok $name: exit $status: $said"
	fi
}

# Copied while it was being written, or from a disk that was full.
test_damaged() {
	mkdir -p "$OUT/damaged"
	head -n 100 "$RUN/report.json" >"$OUT/damaged/report.json"
	refused report-cut-short "$OUT/damaged/report.json:101: not JSON: " \
		"$DAEMON" report "$OUT/damaged"
	head -c 3000 "$RUN/stats.prom" >"$OUT/damaged/stats.prom"
	refused stats-cut-short "$OUT/damaged/stats.prom:" "$DAEMON" top --once \
		"$OUT/damaged/stats.prom"
	refused report-absent "$OUT/none/report.json: No such file or directory" \
		"$DAEMON" report "$OUT/none"
}

main() {
	packages_need "${BUILD_PACKAGES[@]}" "${EYES_PACKAGES[@]}"
	if ! build build; then
		echo "not ok build: see above"
		return
	fi
	DAEMON=$(daemon_of build)
	OUT=$(mktemp -d)
	trap 'rm -rf "$OUT"' EXIT
	test_html
	test_others
	test_top
	test_damaged
}

main
