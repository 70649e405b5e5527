#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What promtool cannot know of docs/fleet: that each metric in its rules, tests, dashboard and guide
is one of docs/metrics.md, with labels and values that it has there; that each alert tells what to do
and has its place in the guide and a test; and, written to OUTPUT, all expressions of the dashboard as
recording rules, for promtool to parse. fleet.py DOCS OUTPUT; prints "ok NAME" or "not ok NAME: why"."""

import json
import re
import sys

import yaml

FOREIGN = {"node_boot_time_seconds"}  # node_exporter's own
TARGET = {"job", "instance"}
WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left",
         "group_right", "sum", "count", "max", "min", "avg"}
LISTS = r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)"


def documented(text):
    """The table of docs/metrics.md: {metric: {label: its fixed values, or None}}."""
    metrics = {}
    for name, labels in re.findall(r"^\| `(bpfsoakd_\w+)` \| \w+ \|([^|]*)\|", text, re.M):
        metrics[name] = {}
        for label, values in re.findall(r"`(\w+)`(?: \(([^)]*)\))?", labels):
            metrics[name][label] = set(values.split(", ")) if values else None
    return metrics


class Checker:
    def __init__(self, docs):
        self.metrics = documented(open(docs + "/metrics.md").read())
        self.rules = yaml.safe_load(open(docs + "/fleet/bpfsoakd.rules.yml"))
        self.tests = yaml.safe_load(open(docs + "/fleet/bpfsoakd.rules.test.yml"))
        self.dashboard = json.load(open(docs + "/fleet/dashboard.json"))
        self.guide = open(docs + "/fleet/README.md").read()
        rules = [rule for group in self.rules["groups"] for rule in group["rules"]]
        self.recorded = {rule["record"]: rule for rule in rules if "record" in rule}
        self.alerts = {rule["alert"]: rule for rule in rules if "alert" in rule}
        self.labels = TARGET.union(*self.metrics.values())

    def wrong_matchers(self, name, matchers):
        labels = self.metrics.get(name)
        for label, how, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
            if label in TARGET or "$" in value:
                continue
            if labels is not None and label not in labels:
                yield f"{name} has no label {label}"
            elif labels and labels[label]:
                for one in value.split("|") if "~" in how else [value]:
                    if one not in labels[label]:
                        yield f'{name}: {label} is never "{one}"'

    def wrong_in(self, expr):
        for name, matchers in re.findall(r"([a-zA-Z_][\w:]*)\s*\{([^}]*)\}", expr):
            yield from self.wrong_matchers(name, matchers)
        for label in re.findall(r"\w+", " ".join(l for _, l in re.findall(LISTS, expr))):
            if label not in self.labels:
                yield f"there is no label {label}"
        rest = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", re.sub(LISTS, " ", expr))
        for name in re.findall(r"(?<![\w:.])[a-zA-Z_][\w:]*(?![\w:]*\s*\()", rest):
            if name not in WORDS | FOREIGN and name not in self.metrics and \
                    name not in self.recorded:
                yield f"{name} is not in docs/metrics.md, and no rule records it"

    def wrong_in_all(self, exprs):
        for where, expr in exprs:
            for why in self.wrong_in(expr):
                yield f"{where}: {why}"

    def panels(self):
        return [panel for panel in self.dashboard["panels"] if panel["type"] != "row"]

    def dashboard_exprs(self):
        for panel in self.panels():
            for target in panel["targets"]:
                yield panel["title"], target["expr"]
        for note in self.dashboard["annotations"]["list"]:
            yield note["name"], note["expr"]
        for variable in self.dashboard["templating"]["list"]:
            if variable["type"] == "query":
                yield variable["name"], re.match(r"label_values\((.*), \w+\)$",
                                                 variable["definition"])[1]

    def wrong_legends(self):
        for panel in self.panels():
            for target in panel["targets"]:
                for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                    if label not in self.labels:
                        yield f"{panel['title']}: there is no label {label}"

    def wrong_series(self):
        for test in self.tests["tests"]:
            for series in test["input_series"]:
                name, labels = re.match(r"(\w+)\{(.*)\}$", series["series"]).groups()
                if name not in self.metrics and name not in FOREIGN:
                    yield f"{test['name']}: {name} is not in docs/metrics.md"
                for why in self.wrong_matchers(name, labels):
                    yield f"{test['name']}: {why}"

    def wrong_words(self):
        for name in sorted(set(re.findall(r"\bbpfsoakd_\w+", self.guide))):
            known = [one for one in self.metrics if one.startswith(name)]
            if name not in self.metrics and not (name.endswith("_") and known):
                yield f"{name} is not in docs/metrics.md"

    def wrong_annotations(self):
        anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
                   for head in re.findall(r"^#+ (.*)$", self.guide, re.M)}
        for name, rule in self.alerts.items():
            notes = rule.get("annotations", {})
            for key in "summary", "description", "runbook":
                if not notes.get(key):
                    yield f"{name} has no {key}"
            if "severity" not in rule.get("labels", {}):
                yield f"{name} has no severity"
            page, _, anchor = notes.get("runbook", "").partition("#")
            if page != "docs/fleet/README.md" or anchor != name.lower() or anchor not in anchors:
                yield f"{name}: docs/fleet/README.md has no section of this name, or it is not told"
        for head in re.findall(r"^#+ (Bpfsoakd\w+)$", self.guide, re.M):
            if head not in self.alerts:
                yield f"the guide has a section on {head}, which is no alert"

    def wrong_tests(self):
        cases = [case for test in self.tests["tests"] for case in test.get("alert_rule_test", [])]
        for name in self.alerts:
            for fires in True, False:
                if not any(case["alertname"] == name and bool(case["exp_alerts"]) == fires
                           for case in cases):
                    yield f"no test shows {name} {'firing' if fires else 'not firing'}"

    def write_dashboard_rules(self, path):
        values = {"$job": ".*", "$instance": ".*", "$__rate_interval": "5m", "$__range": "1d"}
        rules = []
        for number, (_, expr) in enumerate(self.dashboard_exprs()):
            for variable, value in values.items():
                expr = expr.replace(variable, value)
            rules.append({"record": f"dashboard:{number}", "expr": expr})
        with open(path, "w") as out:
            json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, out)
        return len(rules)


def report(name, wrong):
    wrong = list(wrong)
    print(f"not ok {name}: {'; '.join(wrong)}" if wrong else f"ok {name}")


def main():
    check = Checker(sys.argv[1])
    rules = [(name, rule["expr"]) for name, rule in {**check.recorded, **check.alerts}.items()]
    report("rules-names", check.wrong_in_all(rules))
    report("tests-names", check.wrong_series())
    report("dashboard-names", [*check.wrong_in_all(check.dashboard_exprs()),
                               *check.wrong_legends()])
    report("guide-names", check.wrong_words())
    report("alerts-explained", check.wrong_annotations())
    report("alerts-tested", check.wrong_tests())
    written = check.write_dashboard_rules(sys.argv[2])
    report("dashboard-has-panels", [] if written > 20 else [f"only {written} expressions"])


main()
