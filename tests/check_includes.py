#!/usr/bin/env python3
"""Checks that includes point one way, and that no source file has grown too long.

    base <- config, dicom <- net, spool, queue, ledger, audit, pipeline
         <- deliver <- receive, metrics <- program

A folder may include what stands in ALLOWED, and itself. Prints each breach as
FILE:LINE: MESSAGE; exit status 1 if there is one.
"""

import argparse
import pathlib
import re
import sys

MOST_LINES = 500  # a longer file has two jobs

MIDDLE = {"net", "spool", "queue", "ledger", "audit", "pipeline"}
ALLOWED = {
    "base": set(),
    "config": {"base"},
    "dicom": {"base"},
    "net": {"base", "config", "dicom"},
    "spool": {"base", "config", "dicom"},
    "queue": {"base", "config", "dicom"},
    "ledger": {"base", "config", "dicom"},
    "audit": {"base", "config", "dicom", "net"},
    "pipeline": {"base", "config", "dicom", "ledger"},
    "receive": {"base", "config", "dicom", "deliver"} | MIDDLE,
    "deliver": {"base", "config", "dicom"} | MIDDLE,
    "metrics": {"base", "config", "queue"},
    "command": {"base", "config", "dicom", "receive", "deliver", "metrics", "filters"} | MIDDLE,
    "filters": {"base", "config", "dicom", "ledger", "pipeline"},
}
# Files that belong to no folder of gateway/ are the program, which knows every part.
PROGRAM = "the program"
# What lies outside may use all of it, and nothing of it is included by the others.
OUTSIDE = {"tests", "bench"}

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def part_of(path):
    """The part that a path such as gateway/net/requestor.h belongs to; None for others."""
    names = pathlib.PurePosixPath(path).parts
    if not names:
        return None
    if names[0] == "gateway":
        return names[1] if len(names) > 2 else PROGRAM
    if names[0] == "filters" or names[0] in OUTSIDE:
        return names[0]
    return None


def find_breach(part, included):
    """What is wrong with `#include "included"` in a file of this part; None if nothing."""
    if part in OUTSIDE:
        return None
    target = part_of(included)
    if target is None or (target not in OUTSIDE and "/" not in included):
        return f'"{included}": write the path from the root, such as "gateway/base/error.h"'
    if target == part:
        return None
    if part == PROGRAM:
        return None if target not in OUTSIDE else f"the program must not include {target}/"
    if target not in ALLOWED[part]:
        allowed = ", ".join(sorted(ALLOWED[part])) or "nothing"
        return f'{part} must not include "{included}"; of the other parts it may see: {allowed}'
    return None


def check_file(root, path):
    """Yields the breaches of one file."""
    name = path.relative_to(root).as_posix()
    part = part_of(name)
    if part not in ALLOWED and part not in OUTSIDE and part != PROGRAM:
        yield f"{name}:1: {part} is a part that tests/check_includes.py does not know; add it"
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        breach = find_breach(part, match.group(1)) if match else None
        if breach:
            yield f"{name}:{number}: {breach}"
    if len(lines) >= MOST_LINES:
        yield f"{name}:{len(lines)}: {len(lines)} lines; a file must stay below {MOST_LINES}"


def check_tree(root):
    """The breaches of all sources below the root, and the number of files."""
    files = sorted(
        path
        for top in ("gateway", "filters", "tests", "bench")
        for path in (root / top).rglob("*")
        if path.suffix in {".h", ".cpp"}
    )
    breaches = [breach for path in files for breach in check_file(root, path)]
    return breaches, len(files)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "root",
        nargs="?",
        type=pathlib.Path,
        default=pathlib.Path(__file__).resolve().parent.parent,
        help="the root of the sources",
    )
    root = parser.parse_args().root.resolve()
    breaches, files = check_tree(root)
    if files == 0:
        print(f"{root}: no sources found", file=sys.stderr)
        return 1
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
