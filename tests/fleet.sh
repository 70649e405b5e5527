#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What docs/fleet has for Prometheus and Grafana: promtool accepts the rules, each alert fires when it
# should and only then, every expression of the dashboard is one, and no metric or label is used that
# docs/metrics.md does not have. Debian has no Grafana. Prints "ok NAME" or "not ok NAME: why" for
# each; a suite of scripts/check.
set -uo pipefail

PROGRAM=fleet
# shellcheck source=scripts/lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../scripts/lib.sh"

FLEET=$ROOT/docs/fleet
PROMTOOL=
WORK= # scratch

# promtool_says NAME COMMAND...: ok when it has nothing against it.
promtool_says() {
	local name=$1 why
	shift
	if why=$(cd "$FLEET" && "$PROMTOOL" "$@" 2>&1); then
		echo "ok $name"
	else
		printf '%s\n' "$why" >&2
		echo "not ok $name: see above"
	fi
}

names() {
	/usr/bin/python3 "$ROOT/tests/fleet.py" "$1" "$2"
}

# The configuration in the guide, beside the rules that it names.
example() {
	mkdir "$1"
	# shellcheck disable=SC2016 # these are Markdown's quotes
	sed -n '/^```yaml$/,/^```$/{/^```/!p}' "$FLEET/README.md" >"$1/prometheus.yml"
	cp "$FLEET/bpfsoakd.rules.yml" "$1"
	promtool_says guide-example check config "$1/prometheus.yml"
}

# noticed NAME FILE SED: what is broken on purpose in a copy must not pass.
noticed() {
	local name=$1 file=$2 edit=$3 docs=$WORK/$1 said
	mkdir -p "$docs"
	cp -r "$ROOT/docs/metrics.md" "$FLEET" "$docs"
	sed -i "$edit" "$docs/$file"
	said=$(names "$docs" "$docs/rules.json" 2>&1)
	if cmp -s "$docs/$file" "$ROOT/docs/$file"; then
		echo "not ok $name-noticed: there was nothing to break"
	elif grep -q '^not ok ' <<<"$said"; then
		echo "ok $name-noticed"
	else
		echo "not ok $name-noticed: it passes"
	fi
}

main() {
	packages_need python3-yaml
	PROMTOOL=$(tool_get prometheus /usr/bin/promtool) ||
		{ echo "not ok promtool: cannot get it"; exit 1; }
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/fleet.XXXXXX") || exit 1
	trap 'rm -rf "$WORK"' EXIT
	promtool_says rules-check check rules bpfsoakd.rules.yml
	promtool_says rules-test test rules bpfsoakd.rules.test.yml
	names "$ROOT/docs" "$WORK/dashboard.json" || echo "not ok names: the check itself failed"
	example "$WORK/prometheus"
	promtool_says dashboard-parses check rules "$WORK/dashboard.json"
	noticed renamed-metric fleet/bpfsoakd.rules.yml 's/bpfsoakd_leaked_bytes/bpfsoakd_leak_bytes/'
	noticed renamed-label fleet/dashboard.json 's/state=\\"blind\\"/state=\\"down\\"/'
	noticed undocumented-metric metrics.md '/^| .bpfsoakd_rss_bytes/d'
	noticed untested-alert fleet/bpfsoakd.rules.test.yml 's/alertname: BpfsoakdReboots/alertname: Reboots/'
	noticed unexplained-alert fleet/README.md 's/^### BpfsoakdReboots$//'
}

main "$@"
