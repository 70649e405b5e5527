#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Applies a mutant of tests/mutants/ to a kernel source tree, or prints one of its fields.

A mutant is a text of "key: value" lines and of edits. An edit is one or more lines that begin with
"- " (what is looked for) and then such that begin with "+ " (what takes its place, possibly
nothing). Edits hold for the last "file:" and "in:", a function of it. What is looked for is
compared token by token, so that white space does not matter, and must be there exactly once:
anything else is an error, for a mutant that changes nothing proves nothing.

  mutate.py MUTANT SOURCE DEST    writes the files it changes below DEST, and prints their names
  mutate.py MUTANT --field KEY    prints the value of KEY, nothing when there is none
"""
import os
import re
import sys

KEYS = {"what", "claim", "oracle", "needs", "wants", "boot", "cpu", "file", "in"}
REQUIRED = ("what", "claim", "oracle", "needs")


class Bad(Exception):
    pass


def parse(path):
    fields, edits, state = {}, [], None
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        if line[0] == "-":
            if state != "-":
                edits.append({"file": fields.get("file"), "in": fields.get("in"), "-": [], "+": []})
            edits[-1]["-"].append(line[2:])
            state = "-"
        elif line[0] == "+":
            if state is None:
                raise Bad(f"{path}:{number}: '+' without '-'")
            edits[-1]["+"].append(line[2:])
            state = "+"
        else:
            key, colon, value = line.partition(": ")
            if not colon or key not in KEYS:
                raise Bad(f"{path}:{number}: neither an edit nor one of {sorted(KEYS)}")
            fields[key] = value.strip()
            state = None
    for key in REQUIRED:
        if key not in fields:
            raise Bad(f"{path}: no '{key}:'")
    if not edits:
        raise Bad(f"{path}: no edit")
    return fields, edits


def find_once(pattern, text, what):
    found = list(re.finditer(pattern, text, re.M | re.S))
    if len(found) != 1:
        raise Bad(f"{what} is there {len(found)} times, not once")
    return found[0].span()


def body_of(function, text):
    """From the line with the function's name to the brace in the first column that ends it."""
    pattern = rf"^(?:[A-Za-z_][^\n;{{}}]*[ *])?{re.escape(function)}\([^;{{}}]*\)\s*^{{.*?^}}"
    return find_once(pattern, text, f"the function {function}()")


def pattern_of(lines):
    return r"\s*".join(re.escape(token) for token in re.findall(r"\w+|[^\w\s]", " ".join(lines)))


def apply_edit(edit, text):
    if not edit["file"] or not edit["in"]:
        raise Bad("an edit without 'file:' and 'in:'")
    start, end = body_of(edit["in"], text)
    body = text[start:end]
    begin, over = find_once(pattern_of(edit["-"]), body,
                            f"'{' '.join(edit['-'])}' in {edit['in']}()")
    return text[:start] + body[:begin] + "\n".join(edit["+"]) + body[over:] + text[end:]


def mutate(path, source, dest):
    _, edits = parse(path)
    texts = {}
    for edit in edits:
        name = edit["file"]
        if name not in texts:
            texts[name] = open(os.path.join(source, name), encoding="utf-8").read()
        texts[name] = apply_edit(edit, texts[name])
    for name, text in texts.items():
        os.makedirs(os.path.dirname(os.path.join(dest, name)), exist_ok=True)
        with open(os.path.join(dest, name), "w", encoding="utf-8") as file:
            file.write(text)
        print(name)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        if sys.argv[2] == "--field":
            print(parse(sys.argv[1])[0].get(sys.argv[3], ""))
        else:
            mutate(*sys.argv[1:])
    except (Bad, OSError) as error:
        sys.exit(f"mutate: {sys.argv[1]}: {error}")


main()
