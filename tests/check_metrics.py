#!/usr/bin/env python3
"""Every metric has a help text and a line in docs/operations.md, and nothing else has.

Compares the names, kinds and labels of what the code counts, of gateway/base/metric_families.cpp
and of the table in docs/operations.md. Prints what is wrong and exits with 1. The folder to
check may be given as an argument.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
ROOT = ROOT if ROOT.is_dir() else ROOT.parent.parent
FAMILIES = ROOT / "gateway/base/metric_families.cpp"
TABLE = ROOT / "docs/operations.md"
NAME = r"(?:sluice|process)_[a-z_]+"


def of_the_code():
    """The labels of each name that is counted; an empty set where they stand elsewhere."""
    labels = {}
    for file in sorted([*ROOT.glob("gateway/**/*.cpp"), *ROOT.glob("filters/**/*.cpp")]):
        if file == FAMILIES:
            continue
        text = file.read_text(encoding="utf-8")
        for match in re.finditer(rf'"({NAME})"', text):
            statement = text[match.end() : text.index(";", match.end())]
            found = set(re.findall(r'\{"([a-z_]+)",', statement))
            labels.setdefault(match[1], set()).update(found)
    return labels


def of_the_families():
    """The kind of each."""
    text = FAMILIES.read_text(encoding="utf-8")
    return dict(re.findall(rf'\{{"({NAME})", Kind::(\w+),', text))


def of_the_table():
    """Kind and labels of each line."""
    rows = re.findall(
        rf"^\| `({NAME})` \| (\w+) \|([^|]*)\| \S.* \|$", TABLE.read_text(encoding="utf-8"), re.M
    )
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def mistakes():
    code, families, table = of_the_code(), of_the_families(), of_the_table()
    if not code or not families or not table:
        yield f"found {len(code)} in the code, {len(families)} families, {len(table)} lines"
    for name in sorted(code.keys() | families.keys() | table.keys()):
        if name not in code:
            yield f"{name}: the code does not count it"
        if name not in families:
            yield f"{name}: no help in gateway/base/metric_families.cpp"
        if name not in table:
            yield f"{name}: no line in the table of docs/operations.md"
        if name not in code or name not in families or name not in table:
            continue
        kind, labels = table[name]
        if kind != families[name]:
            yield f"{name}: a {families[name]}, and docs/operations.md says {kind}"
        if code[name] and code[name] != labels:
            yield f"{name}: has {sorted(code[name])}, and docs/operations.md says {sorted(labels)}"


found = list(mistakes())
print("\n".join(found) or "every metric has a help text and a line in docs/operations.md")
sys.exit(1 if found else 0)
