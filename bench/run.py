#!/usr/bin/env python3
"""How fast Sluice is, beside what else could stand between a modality and a PACS.

The same senders send the same images through each contender to the same sink, in turns, so
that drift of the machine cancels; medians and ratios are printed, all runs go to a JSON file.

    bench/run.py [--cases ct1 ct4 ...] [--contenders direct haproxy sluice ...]
                 [--seconds N] [--rounds N] [--json FILE]

Needs what `scripts/install_packages.sh build bench` installs, and a build; `make bench` does
both.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import contenders
import make_images

CASES = {  # image, associations
    "ct1": ("ct.dcm", 1),
    "ct4": ("ct.dcm", 4),
    "ct16": ("ct.dcm", 16),
    "mr1": ("mr.dcm", 1),
    "mr8": ("mr.dcm", 8),
    "mr32": ("mr.dcm", 32),
}
LOAD = contenders.BUILD / "bench/bench_load"


class Numbers:
    """Of instances: none is used twice, since that would be a duplicate."""

    def __init__(self):
        self.next = 1

    def take(self, count):
        first, self.next = self.next, self.next + count
        return first


def measure(contender, sink, image, associations, seconds, numbers):
    had = sink.count()
    cpu = contender.cpu_seconds()
    begin = time.monotonic()
    done = subprocess.run(
        [str(LOAD), "--port", str(contender.port), "--image", str(image), "--associations",
         str(associations), "--instances", "1000000", "--seconds", str(seconds), "--first",
         str(numbers.take(1_000_000))],
        capture_output=True, text=True)  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"{contender.name}: {done.stdout}{done.stderr}")
    report = json.loads(done.stdout)
    count = report["instances"]
    if list(report["statuses"]) != ["0"]:
        sys.exit(f"{contender.name} did not take all: {report['statuses']}")
    sink.wait_for(had + count, 120)
    delivered = time.monotonic() - begin
    cpu = contender.cpu_seconds() - cpu
    gigabytes = report["bytes"] / 1e9
    return {
        "instances": count,
        "acknowledged_per_second": report["instances_per_second"],
        # What is still under way when the last is acknowledged counts too.
        "delivered_per_second": count / delivered,
        "megabytes_per_second": report["megabytes_per_second"],
        "latency_ms": report["latency_ms"],
        "cpu_seconds_per_gigabyte": cpu / gigabytes,
        "cpu_seconds_per_1000": cpu * 1000 / count,
        "peak_megabytes": contender.peak_megabytes(),
    }


def median(runs, *path):
    def value(run):
        for key in path:
            run = run[key]
        return run

    return statistics.median(value(run) for run in runs)


def print_table(case, results):
    print(f"\n{case}: {CASES[case][1]} associations of {CASES[case][0]}")
    print(f"{'':12}{'acked/s':>10}{'MB/s':>9}{'/direct':>9}{'/haproxy':>9}{'sent/s':>9}"
          f"{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'cpu s/GB':>10}{'s/1000':>8}{'MB':>7}")  # fmt: skip
    rates = {name: median(runs, "acknowledged_per_second") for name, runs in results.items()}
    for name, runs in results.items():
        def ratio(to):
            return f"{rates[name] / rates[to]:9.2f}" if to in rates else f"{'-':>9}"

        print(f"{name:12}{rates[name]:10.0f}{median(runs, 'megabytes_per_second'):9.0f}"
              f"{ratio('direct')}{ratio('haproxy')}{median(runs, 'delivered_per_second'):9.0f}"
              f"{median(runs, 'latency_ms', 'p50'):9.2f}{median(runs, 'latency_ms', 'p99'):9.2f}"
              f"{median(runs, 'latency_ms', 'max'):9.2f}"
              f"{median(runs, 'cpu_seconds_per_gigabyte'):10.2f}"
              f"{median(runs, 'cpu_seconds_per_1000'):8.2f}"
              f"{max(run['peak_megabytes'] for run in runs):7.0f}")  # fmt: skip


def machine():
    model = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]  # fmt: skip
    return {"cpu": model[0] if model else platform.machine(), "cores": os.cpu_count(),
            "kernel": platform.release()}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--contenders", nargs="+", choices=contenders.ALL,
                        default=list(contenders.ALL))  # fmt: skip
    parser.add_argument("--seconds", type=float, default=3, help="a run (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--json", type=pathlib.Path, help="where all runs are written")
    arguments = parser.parse_args()

    work = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    sink, started, numbers = contenders.Sink(), [], Numbers()
    results = {case: {name: [] for name in arguments.contenders} for case in arguments.cases}
    try:
        make_images.make_images(work)
        for name in arguments.contenders:
            started.append(contenders.ALL[name](work, sink.port))
            started[-1].start()
        for round_number in range(arguments.rounds):
            for case in arguments.cases:
                image, associations = CASES[case]
                for contender in started:
                    results[case][contender.name].append(measure(
                        contender, sink, work / image, associations, arguments.seconds, numbers))
            print(f"round {round_number + 1} of {arguments.rounds}", file=sys.stderr)
    finally:
        for contender in started:
            contender.stop()
        sink.stop()
        shutil.rmtree(work)
    for case in arguments.cases:
        print_table(case, results[case])
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
