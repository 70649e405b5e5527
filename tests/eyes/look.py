#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Holds what bpfsoakd rendered against the report that it rendered, for tests/eyes.sh.

usage: look.py html|text|ktap|junit|top RENDERED DIR

Prints "ok NAME" or "not ok NAME: why" for each test. The readers of HTML, KTAP and JUnit here know
nothing of bpfsoakd's renderers: figures come from the document and from report.json only.
"""
import html.parser
import json
import os
import re
import sys
import xml.etree.ElementTree

RESULTS = ["ok", "timeout", "deadlock", "gone", "skipped"]
OUTCOMES = ["freed_here", "left", "freed_by_cmpxchg"]


def test(name, why):
    """why: empty when all is well."""
    print("not ok %s: %s" % (name, str(why).replace("\n", " ")[:300]) if why else "ok " + name)


def differences(found, expected):
    keys = sorted(set(found) | set(expected), key=str)
    wrong = ["%s: %s, not %s" % (k, found.get(k), expected.get(k)) for k in keys
             if found.get(k) != expected.get(k)]
    return "; ".join(wrong[:3])


def matrix_of(report):
    """(side, bucket, storage, outcome) -> visits, of all cells that a table has."""
    cells = {(s, b, l, o): 0 for s in ("map_free", "destroy") for b in RESULTS for l in RESULTS
             for o in OUTCOMES}
    for c in report["coverage"]["covered"]:
        key = (c["side"], c["bucket"], c["storage"], c["outcome"])
        if key in cells:
            cells[key] += c["visits"]
    return cells


class Page(html.parser.HTMLParser):
    """What a reader of the DOM finds."""

    VOID = {"meta", "br", "link", "img", "hr", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.unbalanced, self.tags = [], [], []
        self.verdict = self.side = self.cell = None
        self.matrix, self.marks, self.findings, self.texts = {}, {}, [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag not in self.VOID:
            self.open.append((tag, attrs))
        if attrs.get("id") == "verdict":
            self.verdict = attrs.get("data-verdict")
        if "data-side" in attrs:
            self.side = attrs["data-side"]
        if "data-bucket" in attrs:
            self.cell = (attrs["data-bucket"], attrs["data-storage"])
        if "data-outcome" in attrs:
            key = (self.side,) + self.cell + (attrs["data-outcome"],)
            self.matrix[key] = int(attrs["data-visits"])
            self.marks[key] = attrs["class"]
            self.texts[key] = ""
            self.current = key
        if attrs.get("class") == "finding":
            self.findings.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.unbalanced.append(tag)
            return
        self.open.pop()

    def handle_data(self, data):
        if not self.open:
            return
        tag, attrs = self.open[-1]
        if attrs.get("class") == "finding":
            self.findings[-1] += data
        if "data-outcome" in attrs:
            self.texts[self.current] += data

    def outside(self):
        """What would have to be fetched, or would be run."""
        bad = [tag for tag, attrs in self.tags if tag in ("script", "link", "iframe", "img", "object")
               or any(a in ("src", "srcset", "href", "data") or a.startswith("on") for a in attrs)]
        return ", ".join(sorted(set(bad)))


def marks_of(report):
    """The class that each cell of the page must have."""
    cells = matrix_of(report)
    never = {tuple(c[k] for k in ("side", "bucket", "storage", "outcome"))
             for c in report["coverage"]["unreachable"]}
    missing = {tuple(c[k] for k in ("side", "bucket", "storage", "outcome"))
               for c in report["coverage"]["missing"]}
    marks = {}
    for key, visits in cells.items():
        if visits:
            marks[key] = "strange" if key in never else "seen"
        elif key in never:
            marks[key] = "never"
        else:
            marks[key] = "missing" if key in missing else "zero"
    return marks


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def summaries(directory):
    top = os.path.join(directory, "findings")
    return [read(os.path.join(top, name, "summary.txt")) for name in sorted(os.listdir(top))
            if os.path.isdir(os.path.join(top, name))]


def look_at_html(text, report, directory):
    page = Page(text)
    test("html-verdict", "" if page.verdict == report["verdict"] else page.verdict)
    test("html-matrix", differences(page.matrix, matrix_of(report)))
    test("html-marks", differences(page.marks, marks_of(report)))
    shown = {k: int(re.match(r"\d+", t).group()) for k, t in page.texts.items()
             if re.match(r"\d", t)}
    seen = {k: n for k, n in matrix_of(report).items() if page.marks.get(k) != "never"}
    test("html-matrix-as-read", differences(shown, seen))
    test("html-findings", "" if page.findings == summaries(directory) and page.findings else
         "%d summaries, or others" % len(page.findings))
    test("html-reasons", "; ".join(r for r in report["reasons"] if r not in text))
    faults = [k for k in report["inject"]["kinds"] if "FAULTS WERE INJECTED: " not in text
              or k not in text.split("FAULTS WERE INJECTED: ")[1][:200]]
    test("html-fault-kinds", ", ".join(faults))
    test("html-self-contained", page.outside())
    curves = sum(tag == "polyline" for tag, _ in page.tags)
    moments = len(report.get("series", {}).get("elapsed_ns", []))
    test("html-curves", "" if bool(curves) == bool(moments) else
         "%d curves of %d moments" % (curves, moments))
    test("html-balanced", ", ".join(page.unbalanced + [tag for tag, _ in page.open]))


def look_at_text(text, report, _):
    last = text.splitlines()[-1]
    words = dict(w.split("=", 1) for w in last.split() if "=" in w)
    expected = {"selems": report["born"], "lockless": report["lockless_unlinks"],
                "violations": report["violations"], "misses": sum(report["misses"].values())}
    test("text-verdict", "" if last.startswith("bpfsoakd: end of run: %s " % report["verdict"])
         else last)
    test("text-figures", differences({k: int(words.get(k, -1)) for k in expected}, expected))


def parse_ktap(text):
    """[(passed, name, skipped)], or raises ValueError; as Documentation/dev-tools/ktap.rst has it."""
    lines = text.splitlines()
    if lines[0] != "KTAP version 1":
        raise ValueError("the version line is " + lines[0])
    plan = re.fullmatch(r"1\.\.(\d+)", lines[1])
    if not plan:
        raise ValueError("no plan")
    cases = []
    for line in lines[2:]:
        if line.startswith("#"):
            continue
        case = re.fullmatch(r"(not ok|ok) (\d+) ([^#]*[^# ])( # (SKIP|TODO|XFAIL|TIMEOUT|ERROR)"
                            r"( .*)?)?", line)
        if not case or int(case[2]) != len(cases) + 1:
            raise ValueError("not a result, or out of order: " + line)
        cases.append((case[1] == "ok", case[3], case[5] == "SKIP"))
    if len(cases) != int(plan[1]):
        raise ValueError("%d results of %s" % (len(cases), plan[1]))
    return cases


def expected_cases(report):
    """name -> whether it may pass."""
    cases = {"oracle." + o: s != "blind" for o, s in report["oracles"].items()}
    cases.update({"violation." + v: not n for v, n in report["violations_by_kind"].items()})
    cases["run.verdict"] = report["verdict"] == "PASS"
    return cases


def look_at_ktap(text, report, _):
    try:
        cases = parse_ktap(text)
    except ValueError as e:
        test("ktap-valid", e)
        return
    test("ktap-valid", "")
    test("ktap-results", differences({n: p for p, n, _ in cases}, expected_cases(report)))
    absent = {"oracle." + o for o, s in report["oracles"].items() if s == "absent"}
    skipped = {n for _, n, s in cases if s and n.startswith("oracle.")}
    test("ktap-skips", ", ".join(absent ^ skipped))


def look_at_junit(text, report, _):
    try:
        root = xml.etree.ElementTree.fromstring(text.encode())
    except xml.etree.ElementTree.ParseError as e:
        test("junit-well-formed", e)
        return
    test("junit-well-formed", "")
    suite = root.find("testsuite")
    cases = suite.findall("testcase")
    found = {c.get("classname").replace("bpfsoakd.", "") + "." + c.get("name"):
             c.find("failure") is None for c in cases}
    test("junit-results", differences(found, expected_cases(report)))
    counts = {"tests": len(cases), "failures": len(suite.findall("testcase/failure")),
              "skipped": len(suite.findall("testcase/skipped")), "errors": 0}
    test("junit-counts", differences({k: int(suite.get(k)) for k in counts}, counts))


def look_at_top(text, report, _):
    """One frame of the stats file of the same moment."""
    lines = text.splitlines()
    found, side = {}, None
    for line in lines:
        head = re.match(r"(map_free|destroy) +storage ok ", line)
        row = re.match(r" bucket (\w+) +(.*)$", line)
        if head:
            side = head[1]
        if not row or not side:
            continue
        for storage, cell in zip(RESULTS, row[2].split()):
            numbers = (["-"] * 3 if cell == "-" else cell.split("/"))
            for outcome, n in zip(OUTCOMES, numbers):
                found[side, row[1], storage, outcome] = 0 if n == "-" else int(n.rstrip("?"))
    test("top-matrix", differences(found, matrix_of(report)))
    test("top-verdict", "" if lines[0].startswith("bpfsoakd   %s   " % report["verdict"])
         else lines[0])
    test("top-plain", "an escape sequence" if "\033" in text else "")
    violations = [l.split()[1] for l in lines if l.startswith("violations ")]
    test("top-violations", "" if violations == [str(report["violations"])] else violations)


def main():
    what, rendered, directory = sys.argv[1:]
    report = json.loads(read(os.path.join(directory, "report.json")))
    globals()["look_at_" + what](read(rendered), report, directory)


main()
