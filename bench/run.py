#!/usr/bin/env python3
"""How fast Sluice is, beside what else could stand between a modality and a PACS.

The same senders send the same images through each contender to the same sink, in turns, so
that drift of the machine cancels. Prints medians, ratios and targets; all runs go to a JSON
file, from which bench/report.py makes the tables and charts of docs/performance.md.

    bench/run.py [--cases ct1 ct4 ... | short | all] [--contenders direct haproxy ...]
                 [--seconds N] [--rounds N] [--json FILE]
    bench/run.py --list

Needs what `scripts/install_packages.sh build bench` installs, and a build; `make bench` does
both, and gives BENCH="..." to this script. Cases of many gigabytes or minutes run only when
they are named, or by "all".
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile

import cases
import contenders
import make_images
import report


class Bench:
    """What cases share: options, images, a sink, and contenders in front of it."""

    def __init__(self, options, work):
        self.options, self.work = options, work
        self.common, self.next_number, self.next_folder = {}, 1, 0
        contenders.Sluice.find_modes(self.new_folder())
        self.unknown = [each.name for each in contenders.MODES if not each.is_known()]
        self.sink = contenders.Sink()

    def take_numbers(self, count):
        """Of instances: none is used twice, since that would be a duplicate."""
        first, self.next_number = self.next_number, self.next_number + count
        return first

    def image(self, name):
        path = self.work / "images" / name
        if not path.exists():
            self.need_space(make_images.GIGABYTES.get(name, 0) * 2)
            make_images.make(path)
        return path

    def need_space(self, gigabytes):
        free = shutil.disk_usage(self.work).free / 1e9
        if free < gigabytes + 1:
            raise contenders.Trouble(f"needs {gigabytes + 1:.0f} GB of disk, {free:.0f} GB are free")

    def new_folder(self):
        self.next_folder += 1
        folder = self.work / str(self.next_folder)
        folder.mkdir()
        return folder

    @contextlib.contextmanager
    def folder(self):
        folder = self.new_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    @contextlib.contextmanager
    def running(self, contender):
        """One of its own for a case; its folder goes with it. Gives what the start took."""
        try:
            yield contender.start()
        finally:
            contender.stop()
            shutil.rmtree(contender.folder)

    @contextlib.contextmanager
    def started(self, kind, sink_port, **options):
        contender = kind(self.new_folder(), sink_port, **options)
        with self.running(contender):
            yield contender

    def contender(self, name):
        """The one in front of the common sink."""
        if name not in self.common:
            self.common[name] = contenders.ALL[name](self.new_folder(), self.sink.port)
            try:
                self.common[name].start()
            except Exception:
                self.drop(name)
                raise
        return self.common[name]

    def drop(self, name):
        """It did not do its work: what it still has must not come later."""
        contender = self.common.pop(name, None)
        if contender:
            contender.stop()
            shutil.rmtree(contender.folder)

    def takes_part(self, name):
        if name not in contenders.ALL:
            return True  # belongs to a case
        return name in self.options.contenders and name not in self.unknown

    def stop(self):
        for name in list(self.common):
            self.common.pop(name).stop()
        self.sink.stop()


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip().splitlines()[0].strip()
    except (OSError, IndexError):
        return "?"


def machine(work):
    def value(path, key):
        for line in pathlib.Path(path).read_text().splitlines():
            if line.startswith(key):
                return line.split(":")[1].strip()
        return "?"

    system = pathlib.Path("/etc/debian_version")
    return {
        "processor": value("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": value("/proc/meminfo", "MemTotal"),
        "system": "Debian " + system.read_text().strip() if system.exists() else platform.system(),
        "kernel": platform.release(),
        "disk": first_line("findmnt", "-n", "-o", "FSTYPE,SOURCE,OPTIONS", "-T", str(work)),
        "sluice": first_line("git", "-C", str(contenders.ROOT), "describe", "--always", "--dirty"),
        "haproxy": first_line("haproxy", "-v"),
        "dcmtk": first_line("storescu", "--version"),
        "orthanc": first_line("Orthanc", "--version"),
        "when": datetime.datetime.now().isoformat(" ", "minutes"),
    }


def run_once(bench, case, name, number):
    run = {"case": case.name, "contender": name, "round": number}
    try:
        return {**run, **case.run(bench, name)}
    except (contenders.Trouble, subprocess.SubprocessError, OSError) as trouble:
        print(f"{case.name}, {name}: {trouble}", file=sys.stderr)
        bench.drop(name)
        return {**run, "error": str(trouble)}


def run_all(bench, chosen, keep):
    """Every case and contender in turn, as often as asked for; `keep` is told each run."""
    for number in range(1, bench.options.rounds + 1):
        for case in chosen:
            if number > case.rounds:
                continue
            for name in case.names(bench):
                keep(run_once(bench, case, name, number))
            print(f"round {number} of {min(bench.options.rounds, case.rounds)}: {case.name}",
                  file=sys.stderr)  # fmt: skip


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    names = [*cases.BY_NAME, "short", "all"]
    parser.add_argument("--list", action="store_true", help="the cases, and nothing is run")
    parser.add_argument("--cases", nargs="+", choices=names, default=["short"], metavar="CASE")
    parser.add_argument("--contenders", nargs="+", choices=contenders.ALL, metavar="NAME",
                        default=list(contenders.ALL), help=", ".join(contenders.ALL))  # fmt: skip
    parser.add_argument("--seconds", type=float, default=1.5, help="a run (default 1.5)")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--backlog", type=int, default=100_000,
                        help="instances of `backlog` and `history` (default 100000)")  # fmt: skip
    parser.add_argument("--history", type=int, default=1_000_000,
                        help="rows of `history` (default 1000000)")  # fmt: skip
    parser.add_argument("--stall-seconds", type=float, default=600,
                        help="of `stall` (default 600)")  # fmt: skip
    parser.add_argument("--sluice", type=pathlib.Path, default=contenders.Sluice.program,
                        help="another build of it, to compare")  # fmt: skip
    parser.add_argument("--folder", type=pathlib.Path, default=contenders.ROOT / "build",
                        help="on the disk that is measured (default build/)")  # fmt: skip
    parser.add_argument("--json", type=pathlib.Path, default=contenders.ROOT / "build/bench.json",
                        help="where all runs are written (default build/bench.json)")  # fmt: skip
    options = parser.parse_args()
    chosen = [case for case in cases.ALL if "all" in options.cases or case.name in options.cases
              or ("short" in options.cases and not case.is_long)]  # fmt: skip
    return options, chosen


def main():
    options, chosen = parse()
    if options.list:
        for case in cases.ALL:
            print(f"{case.name:12} {case.about}{' (long)' if case.is_long else ''}")
        return
    contenders.Sluice.program = options.sluice.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=options.folder))
    bench, runs = None, []
    try:
        results = {"machine": machine(work), "options": {"seconds": options.seconds,
                   "rounds": options.rounds, "backlog": options.backlog,
                   "history": options.history, "stall_seconds": options.stall_seconds},
                   "runs": runs}  # fmt: skip
        bench = Bench(options, work)
        for name in bench.unknown:
            print(f"{name} is left out: this sluice does not know its `acknowledge`",
                  file=sys.stderr)  # fmt: skip

        def keep(run):
            runs.append(run)
            options.json.write_text(json.dumps(results, indent=1))

        run_all(bench, chosen, keep)
    finally:
        if bench:
            bench.stop()
        shutil.rmtree(work, ignore_errors=True)
    print(report.text_of(results))
    print(f"all runs: {options.json}; bench/report.py makes tables and charts of it")


if __name__ == "__main__":
    main()
