#!/usr/bin/env python3
"""Every test that docs/promises.md names is there, in the file that it names before it.

A promise whose proof was renamed or removed must not go on looking proved. Prints what is
wrong and exits with 1. The folder to check may be given as an argument.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
ROOT = ROOT if ROOT.is_dir() else ROOT.parent.parent


def tests_of(file):
    """Suite.Name of each test that the file defines."""
    found = re.findall(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", file.read_text(), re.M)
    return {f"{suite}.{name}" for suite, name in found}


def attacks():
    """Names of the entries of the hostile tables and of the failing calls."""
    files = [*ROOT.glob("tests/e2e/attacks_on_*.h"), ROOT / "tests/crash/io_failures_test.cpp"]
    return set(re.findall(r'"(\w+)"', "".join(file.read_text() for file in files)))


def mistakes(text):
    defined, tests = set(), 0
    for match in re.finditer(r"(?<![\w/])(\w+/\w+_test)\b|`([A-Z]\w+\.[A-Z]\w+)`", text):
        if match[1]:
            file = ROOT / "tests" / f"{match[1]}.cpp"
            defined = tests_of(file) if file.exists() else set()
            if not file.exists():
                yield f"no file tests/{match[1]}.cpp"
        else:
            tests += 1
            if match[2] not in defined:
                yield f"no test {match[2]} in the file named before it"
    if tests == 0:
        yield "names no test at all"
    plain = re.sub(r"`[^`]*`", "", text)
    known = attacks()
    for name in sorted(set(re.findall(r"(?<![.\w])[A-Z][a-z]{2,}[A-Z0-9]\w+\b(?!\.)", plain))):
        if name not in known and name != "GoogleTest":
            yield f"no attack {name}"


text = re.sub(r"^    .*\n", "", (ROOT / "docs/promises.md").read_text(), flags=re.M)
found = [f"docs/promises.md: {each}" for each in mistakes(text)]
print("\n".join(found) or "every test that docs/promises.md names is there")
sys.exit(1 if found else 0)
