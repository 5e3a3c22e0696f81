#!/usr/bin/env python3
"""Tables and charts of what bench/run.py measured.

    bench/report.py JSON...                   prints the tables
    bench/report.py JSON... --docs docs       writes them into docs/performance.md, between its
                                              markers, and charts into docs/performance/

Of several files the first says what machine it was; a case is taken from the last that has it,
so that a long run can be added to a short one. Charts need gnuplot (package gnuplot-nox).
"""

import argparse
import json
import pathlib
import sys

import cases
import charts
from targets import RATE, Runs, judge, targets

BEGIN, END = "<!-- bench/report.py: begin -->", "<!-- bench/report.py: end -->"

COLUMNS = [  # title, digits, the way to it
    ("most/s", 0, "most_per_second"),
    ("acked/s", 0, RATE),
    ("MB/s", 0, "megabytes_per_second"),
    ("/direct", 2, "direct"),
    ("/HAProxy", 2, "haproxy"),
    ("/files", 2, "files"),
    ("at PACS/s", 0, "delivered_per_second"),
    ("drained/s", 0, "drained_per_second"),
    ("start s", 2, "start_seconds"),
    ("p50 ms", 2, "latency_ms", "p50"),
    ("p99 ms", 2, "latency_ms", "p99"),
    ("max ms", 1, "latency_ms", "max"),
    ("gap ms", 1, "longest_gap_ms"),
    ("CPU s/GB", 2, "cpu_seconds_per_gigabyte"),
    ("CPU s/1000", 2, "cpu_seconds_per_1000"),
    ("peak MB", 0, "peak_megabytes"),
    ("stolen %", 1, "stolen_percent"),
]


def number(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def table(head, rows):
    """In Markdown, and readable as it is."""
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]

    def line(cells):
        first, *others = (cell.ljust(width) if n == 0 else cell.rjust(width)
                          for n, (cell, width) in enumerate(zip(cells, widths)))  # fmt: skip
        return f"| {' | '.join([first, *others])} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(line(row) for row in [head, rule, *rows])


def value_of(runs, case, name, path):
    if path[0] in ("direct", "haproxy", "files"):
        if not cases.BY_NAME[case].has_ratios:
            return None
        # Of one whose PACS is there old files are removed too.
        to = "files unlink" if path[0] == "files" and name == "sluice-stored" else path[0]
        return runs.ratio(case, name, to, RATE)
    return runs.median(case, name, *path)


def case_table(runs, case):
    names = list(dict.fromkeys(run["contender"] for run in runs.good if run["case"] == case))
    columns = []
    for title, digits, *path in COLUMNS:
        values = [value_of(runs, case, name, path) for name in names]
        if any(value is not None for value in values):
            columns.append((title, [number(value, digits) for value in values]))
    head = ["contender", *(title for title, _ in columns)]
    return table(head, [[name, *(values[n] for _, values in columns)]
                        for n, name in enumerate(names)])  # fmt: skip


def target_table(runs):
    rows = []
    for what, goal, sense, measured, digits in targets(runs):
        rows.append([what, f"{sense} {goal:g}", number(measured, digits),
                     judge(goal, sense, measured)])  # fmt: skip
    return table(["target", "goal", "measured", ""], rows)


def text_of(results):
    """All tables, as Markdown."""
    runs = Runs(results["runs"])
    parts = ["### Targets", target_table(runs)]
    for case in cases.ALL:
        if any(run["case"] == case.name for run in runs.good):
            parts += [f"### {case.name}: {case.about}", case_table(runs, case.name)]
    if runs.bad:
        parts += ["### What failed", "\n".join(
            f"- {run['case']}, {run['contender']}, round {run['round']}: {run['error']}"
            for run in runs.bad)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def machine_text(results):
    of, options = results["machine"], results["options"]
    return (f"- {of['cores']} cores of {of['processor']}, {of['memory']} of memory\n"
            f"- {of['system']}, Linux {of['kernel']}; the disk: {of['disk']}\n"
            f"- Sluice {of['sluice']}; {of['haproxy']}; {of['dcmtk']}; {of['orthanc']}\n"
            f"- {of['when']}, {options['seconds']:g} s a run, up to {options['rounds']} rounds\n")  # fmt: skip


def merge(all_results):
    merged = dict(all_results[0])
    for results in all_results[1:]:
        new = {run["case"] for run in results["runs"]}
        merged["runs"] = [run for run in merged["runs"] if run["case"] not in new]
        merged["runs"] += results["runs"]
    return merged


def write_docs(results, docs):
    page = docs / "performance.md"
    before, found, rest = page.read_text().partition(BEGIN)
    _, also, after = rest.partition(END)
    if not found or not also:
        sys.exit(f"{page} lacks the markers {BEGIN} and {END}")
    drawn = charts.draw(Runs(results["runs"]), docs / "performance")
    images = "\n".join(f"![{about}](performance/{name}.png)\n" for name, about in drawn)
    text = f"{BEGIN}\n\n{machine_text(results)}\n{images}\n{text_of(results)}\n{END}"
    page.write_text(before + text + after)
    print(f"written: {page}, charts: {', '.join(name for name, _ in drawn)}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("json", nargs="+", type=pathlib.Path)
    parser.add_argument("--docs", type=pathlib.Path, help="the folder of performance.md")
    arguments = parser.parse_args()
    results = merge([json.loads(path.read_text()) for path in arguments.json])
    if arguments.docs:
        write_docs(results, arguments.docs)
    else:
        print(machine_text(results) + "\n" + text_of(results))


if __name__ == "__main__":
    main()
