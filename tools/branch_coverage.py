#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sums gcov's text (--all-blocks --branch-probabilities --branch-counts --stdout, on stdin) over
translation units and template instances.

usage: branch_coverage.py ROOT FOLDER...   exit 1 unless every branch and line in the folders ran.

A branch counts as taken if it was in any instance of its line. Left out is what only an exception
reaches, which no input of the function decides: edges that gcov marks "(throw)" (every call in a
function with destructors has one) and the clean-up blocks behind them, which it marks "$$$$$".
"""
import collections
import os
import re
import sys

LINE = re.compile(r"^\s*([-#=\d]+\*?):\s*(\d+):(.*)")
BLOCK = re.compile(r"^\s*([-$%\d]+\*?):\s*(\d+)-block")
BRANCH = re.compile(r"^branch\s+\d+ (?:taken (\d+)|never executed)(.*)")

root, folders = sys.argv[1], sys.argv[2:]
counts = collections.defaultdict(int)  # (file, line, branches of the line, index) -> times taken
left_out = set()  # the same keys
lines = collections.defaultdict(int)
decided = set()  # lines with a block that is not only reached by an exception
name, number, exceptional, branches = None, 0, False, []


def finish():
    for index, (count, by_exception) in enumerate(branches):
        counts[name, number, len(branches), index] += count
        if by_exception:
            left_out.add((name, number, len(branches), index))
    branches.clear()


for text in sys.stdin:
    line, block, branch = LINE.match(text), BLOCK.match(text), BRANCH.match(text)
    if line:
        finish()
        count, number = line.group(1).rstrip("*"), int(line.group(2))
        if number == 0 and line.group(3).startswith("Source:"):
            file = os.path.relpath(line.group(3)[len("Source:"):], root)
            name = file if any(file.startswith(f + "/") for f in folders) else None
        elif name and number and count not in ("-", "====="):
            lines[name, number] += 0 if count == "#####" else int(count)
        exceptional = count == "====="
    elif block:
        exceptional = block.group(1).startswith("$")
        if name and not exceptional:
            decided.add((name, number))
    elif branch and name:
        branches.append((int(branch.group(1) or 0),
                         exceptional or "(throw)" in branch.group(2)))
finish()

totals = collections.defaultdict(lambda: [0, 0])
missed = []
for (name, line, of, index), count in sorted(counts.items()):
    if (name, line, of, index) in left_out:
        continue
    totals[name][0] += 1
    totals[name][1] += count > 0
    if count == 0:
        missed.append(f"{name}:{line}: branch {index + 1} of {of} never taken")
missed += [f"{name}:{line}: line never run" for (name, line), count in sorted(lines.items())
           if count == 0 and (name, line) in decided]
for name in sorted({name for name, _ in lines}):
    total, taken = totals[name]
    ran = [count > 0 for key, count in lines.items() if key[0] == name and key in decided]
    print(f"{name:45} branches {taken:4} of {total:4}   lines {sum(ran):4} of {len(ran):4}")
total, taken = (sum(t[i] for t in totals.values()) for i in (0, 1))
print(f"{'all':45} branches {taken:4} of {total:4} ({100 * taken / max(total, 1):.2f} %)")
for text in missed:
    print(text, file=sys.stderr)
sys.exit(1 if missed or not total else 0)
