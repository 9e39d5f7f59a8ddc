#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutation test of sim/rounding, sim/overflow and sim/requantize by their own unit tests.

Changes one operator or constant at a time, compiles what it touches at -O0 and runs the tests of that
part. A mutant that compiles and passes has survived: it is either equivalent, and then argued in
tests/proof/MUTANTS.md, or a missing test. Exit 1 for a survivor that is not listed there, or a listed
one that is killed or gone.

usage: tools/mutate.py [--build FOLDER] [--jobs N] [--only TEXT] [--list]
"""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMPILE = ["g++", "-std=c++20", "-O0", "-w", "-ffp-contract=off"]
LISTED = os.path.join(ROOT, "tests/proof/MUTANTS.md")
SECONDS = 120

# Binary operators have spaces around them (clang-format), template brackets and references none.
REPLACEMENTS = [
    (r"(?<= )\+(?= )", "-"), (r"(?<= )-(?= )", "+"), (r"(?<= )\*(?= )", "+"),
    (r"(?<= )/(?= )", "*"), (r"(?<= )%(?= )", "/"),
    (r"(?<= )<(?= )", "<="), (r"(?<= )<(?= )", ">"), (r"(?<= )<=(?= )", "<"),
    (r"(?<= )>(?= )", ">="), (r"(?<= )>(?= )", "<"), (r"(?<= )>=(?= )", ">"),
    (r"(?<= )==(?= )", "!="), (r"(?<= )!=(?= )", "=="),
    (r"(?<= )&&(?= )", "||"), (r"(?<= )\|\|(?= )", "&&"),
    (r"(?<= )&(?= )", "|"), (r"(?<= )\|(?= )", "&"), (r"(?<= )\^(?= )", "|"),
    (r"(?<= )<<(?= )", ">>"), (r"(?<= )>>(?= )", "<<"),
    (r"(?<=[ (])~(?=\w)", ""), (r"(?<=[ (])!(?=\w)", ""), (r"(?<=[ (,{])-(?=[a-z])", ""),
    (r"\+=(?= )", "-="), (r"\*=(?= )", "+="), (r"-=(?= )", "+="),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"),
    (r"\bstd::min\b", "std::max"), (r"\bstd::max\b", "std::min"),
    (r"\bsmaller_of\b", "larger_of"), (r"\blarger_of\b", "smaller_of"),
    (r"\.min\b(?!\()", ".max"), (r"\.max\b(?!\()", ".min"),
    (r"\bhalf_up\b", "half_down"), (r"\bhalf_away_from_zero\b", "half_up"),
    (r"\bhalf_even\b(?!;)", "half_up"), (r"Overflow::saturate\b", "Overflow::wrap"),
    (r"Overflow::wrap\b", "Overflow::saturate"),
    (r"(?<![\w.'])(\d+)(?![\w.'])", "+1"), (r"(?<![\w.'])(\d+)(?![\w.'])", "-1"),
]


def tests_of(source):
    """Test files whose own objects see the change, and the doctest filter that runs enough."""
    folder, name = os.path.split(source)
    stem = name.split(".")[0].replace("-inl", "")
    tests = "tests/" + folder
    if source.endswith(".cc"):
        return [], f"*{tests}/*"
    if stem == "round":
        # Between them they look at every field of a Fraction, for values of both signs.
        chosen = ["half_even", "toward_zero", "away_from_zero"]
        return [f"{tests}/{n}_test.cc" for n in chosen], None
    if stem == "bounds":
        return [f"{tests}/{n}_test.cc" for n in ("wrap", "saturate_symmetric", "error")], None
    return [f"{tests}/{stem}_test.cc"], None


# The folders, and what of the library instantiates their templates.
SOURCE_OF = {"sim/rounding": ["sim/rounding/rounding.cc"], "sim/overflow": ["sim/overflow/overflow.cc"],
             "sim/requantize": []}


def sources():
    files = []
    for folder in SOURCE_OF:
        for path in sorted(glob.glob(f"{ROOT}/{folder}/*.h") + glob.glob(f"{ROOT}/{folder}/*.cc")):
            name = os.path.relpath(path, ROOT)
            if os.path.basename(name) not in ("all.h", "rounding.h", "overflow.h", "bind.h", "step.h",
                                              "programs.h", "platform_programs.h", "requantizer.h",
                                              "range.h", "bound_step.h", "error.h", "fixed_point.h"):
                files.append(name)
    return files


def code_spans(text):
    """The text with comments, strings, preprocessor lines and static_asserts blanked out."""
    blank = lambda m: re.sub(r"[^\n]", "\0", m.group(0))
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', blank, text)
    text = re.sub(r"//[^\n]*|^\s*#[^\n]*(?:\\\n[^\n]*)*", blank, text, flags=re.M)
    return re.sub(r"(?:FACSIM_D?CHECK|static_assert)\([^;]*;", blank, text)


def mutants(source):
    text = open(os.path.join(ROOT, source)).read()
    code = code_spans(text)
    for pattern, replacement in REPLACEMENTS:
        for m in re.finditer(pattern, code):
            new = replacement
            if replacement in ("+1", "-1"):
                new = str(int(m.group(1)) + int(replacement))
            line = text.count("\n", 0, m.start())
            column = m.start() - (text.rfind("\n", 0, m.start()) + 1)
            shown = text.split("\n")[line].strip()
            marked = text.split("\n")[line]
            marked = (marked[:column] + "[" + m.group(0) + " -> " + new + "]" +
                      marked[column + len(m.group(0)):]).strip()
            yield {"source": source, "text": text[:m.start()] + new + text[m.end():],
                   "name": f"{source}: {marked}", "line": line + 1, "shown": shown}


class Builder:
    def __init__(self, build):
        self.build = build
        os.makedirs(build, exist_ok=True)

    def object(self, source):
        return os.path.join(self.build, source.replace("/", "__") + ".o")

    def base(self, jobs):
        """Everything, unchanged; and the tests must pass."""
        files = glob.glob(f"{ROOT}/sim/core/*.cc")
        for folder in SOURCE_OF:
            files += glob.glob(f"{ROOT}/{folder}/*.cc")
            files += glob.glob(f"{ROOT}/tests/{folder}/*_test.cc")
        names = [os.path.relpath(f, ROOT) for f in files if "scalar_tables" not in f]
        names.append("tests/main.cc")
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for ok in pool.map(lambda n: self.compile(ROOT, n, self.object(n)), names):
                if not ok:
                    sys.exit("mutate: the unchanged source does not compile")
        self.objects = {n: self.object(n) for n in names}
        if not self.link_and_run({}, "base", None):
            sys.exit("mutate: the unchanged tests fail")

    def compile(self, include, source, out, quiet=False):
        file = os.path.join(include, source)
        if not os.path.exists(file):
            file = os.path.join(ROOT, source)
        return subprocess.run(COMPILE + ["-I", include, "-I", ROOT, "-c", file, "-o", out],
                              stderr=subprocess.DEVNULL if quiet else None).returncode == 0

    def link_and_run(self, changed, tag, source_filter):
        """`changed` objects come first: of a template in several objects the linker takes the first."""
        program = os.path.join(self.build, tag + ".exe")
        objects = list(changed.values()) + [o for n, o in self.objects.items() if n not in changed]
        if subprocess.run(["g++", "-o", program] + objects + ["-lfmt", "-lpthread"],
                          stderr=subprocess.DEVNULL).returncode != 0:
            return None
        arguments = [program, "--abort-after=1", "--minimal"]
        if source_filter:
            arguments.append("--source-file=" + source_filter)
        try:
            return subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  timeout=SECONDS).returncode == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            os.remove(program)

    def verdict(self, number, mutant):
        tag = f"mutant{number}"
        include = os.path.join(self.build, tag)
        source = mutant["source"]
        path = os.path.join(include, source)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write(mutant["text"])
        tests, source_filter = tests_of(source)
        recompiled = [source] if source.endswith(".cc") else SOURCE_OF[os.path.dirname(source)] + tests
        changed = {}
        try:
            for name in recompiled:
                if name not in self.objects:
                    continue
                changed[name] = os.path.join(include, name.replace("/", "__") + ".o")
                if not self.compile(include, name, changed[name], quiet=True):
                    return "not compiled"
            if source_filter is None:
                source_filter = ",".join("*" + t for t in tests)
            passed = self.link_and_run(changed, tag, source_filter)
            return "not compiled" if passed is None else "survived" if passed else "killed"
        finally:
            subprocess.run(["rm", "-rf", include])


def listed():
    if not os.path.exists(LISTED):
        return set()
    return set(re.findall(r"^- `(.+)`$", open(LISTED).read(), flags=re.M))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build/mutation"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="mutants whose file and line contain this")
    parser.add_argument("--list", action="store_true", help="show the mutants, run nothing")
    options = parser.parse_args()
    todo = [m for s in sources() for m in mutants(s) if options.only in m["name"]]
    if options.list:
        print("\n".join(m["name"] for m in todo))
        print(f"{len(todo)} mutants")
        return 0
    start = time.time()
    builder = Builder(options.build)
    builder.base(options.jobs)
    results = {"killed": 0, "survived": 0, "not compiled": 0}
    survivors = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, (mutant, verdict) in enumerate(
                zip(todo, pool.map(builder.verdict, range(len(todo)), todo)), 1):
            results[verdict] += 1
            if sys.stderr.isatty():
                print(f"\r{number} of {len(todo)}", end="\r", file=sys.stderr, flush=True)
            if verdict == "survived":
                survivors.append(mutant["name"])
                print(f"survived  {mutant['name']}", flush=True)
    known = {k for k in listed() if options.only in k}
    names = {m["name"] for m in todo}
    unknown = [s for s in survivors if s not in known]
    stale = sorted(k for k in known if k not in survivors)
    print(f"{len(todo)} mutants in {time.time() - start:.0f} s: {results['killed']} killed, "
          f"{results['survived']} survived ({len(survivors) - len(unknown)} argued equivalent), "
          f"{results['not compiled']} not compiled")
    for name in unknown:
        print(f"NOT ARGUED  {name}")
    for name in stale:
        print(f"STALE  {name}{'' if name in names else ' (no such mutant)'}")
    return 1 if unknown or stale else 0


if __name__ == "__main__":
    sys.exit(main())
