"""What is to be reached, and whether a run reached it.

Ratios are of one round, in which both took their turns; of several rounds, the median.
"""

import statistics

SPOOLED = {"sluice-stored": "stored", "sluice-safe dead": "safe, PACS dead"}


class Runs:
    """Of one JSON file of bench/run.py, by case and contender."""

    def __init__(self, runs):
        self.good = [run for run in runs if "error" not in run]
        self.bad = [run for run in runs if "error" in run]

    def of(self, case, name):
        return [run for run in self.good if run["case"] == case and run["contender"] == name]

    def values(self, case, name, *path):
        """By round."""
        found = {}
        for run in self.of(case, name):
            value = run
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            if value is not None:
                found[run["round"]] = value
        return found

    def median(self, case, name, *path):
        values = self.values(case, name, *path)
        return statistics.median(values.values()) if values else None

    def ratio(self, case, name, to, *path):
        ours, theirs = self.values(case, name, *path), self.values(case, to, *path)
        both = [ours[n] / theirs[n] for n in ours if theirs.get(n)]
        return statistics.median(both) if both else None


def least(values):
    there = [value for value in values if value is not None]
    return min(there) if there else None


def most(values):
    there = [value for value in values if value is not None]
    return max(there) if there else None


RATE = "acknowledged_per_second"


def targets(runs):
    """(what, goal, "at least" or "at most", measured or None, digits)."""

    def rate(case, name, to):
        return runs.ratio(case, name, to, RATE)

    yield "direct, CT/s, 4 associations: nothing here is the bottleneck", 3000, "at least", \
        runs.median("ct4", "direct", RATE), 0  # fmt: skip
    for what, goal, case, name in (
        ("safe, CT, 4 associations, of HAProxy", 0.6, "ct4", "sluice-safe"),
        ("safe, CT, 1 association, of HAProxy", 0.5, "ct1", "sluice-safe"),
        ("safe, MR, 8 associations, of HAProxy", 0.3, "mr8", "sluice-safe"),
        ("delivered, CT, 4 associations, of HAProxy", 0.9, "ct4", "sluice-delivered"),
    ):
        yield what, goal, "at least", rate(case, name, "haproxy"), 2
    for name, what in SPOOLED.items():
        files = "files unlink" if name == "sluice-stored" else "files"
        for writers in (1, 4, 16):
            yield f"{what}, CT, {writers} at a time, of the same file operations", 0.8, "at least", \
                rate(f"disk{writers}", name, files), 2  # fmt: skip
    yield "safe, CPU seconds per GB of CT, 4 associations", 1.3, "at most", \
        runs.median("ct4", "sluice-safe", "cpu_seconds_per_gigabyte"), 2  # fmt: skip
    for peer, what in (("storescp-alone", "storescp"), ("orthanc", "Orthanc")):
        yield f"an unmodified storescu into safe, times {what}", 60, "at least", \
            rate("from-storescu", "sluice-safe", peer), 0  # fmt: skip
    # What storescp had, not what was acknowledged before it had it.
    yield "an unmodified storescp behind safe, times storescu into it", 15, "at least", \
        runs.ratio("to-storescp", "sluice-safe", "storescu", "delivered_per_second"), 1  # fmt: skip
    memory, where = most_memory(runs)
    yield f"memory beyond 1 MB an association, MB{where}", 64, "at most", memory, 0
    for case, what in (("latency-ct", "CT"), ("latency-mr", "MR")):
        yield f"safe, {what} at 80 % load, p99 to p50", 4, "at most", tail(runs, case), 1
    for name in ("sluice-safe", "sluice-stored", "sluice-delivered"):
        mode = name.split("-")[1]
        yield f"{mode}, longest time without an answer, ms", 100, "at most", \
            most(runs.values("stall", name, "longest_gap_ms").values()), 0  # fmt: skip
        yield f"{mode}, slowest answer in that run, ms", 100, "at most", \
            most(runs.values("stall", name, "latency_ms", "max").values()), 0  # fmt: skip
    for key, what in ((RATE, "taken"), ("drained_per_second", "drained")):
        yield f"history and backlog, {what} a second, of empty", 0.9, "at least", \
            runs.ratio("history", "sluice-safe", "sluice-safe empty", key), 2  # fmt: skip
    yield "history and backlog, start, seconds", 2, "at most", \
        most(runs.values("history", "sluice-safe", "start_seconds").values()), 2  # fmt: skip


def tail(runs, case):
    of = [run["latency_ms"] for run in runs.of(case, "sluice-safe")]
    return statistics.median(each["p99"] / each["p50"] for each in of) if of else None


def most_memory(runs):
    """What any Sluice had at its peak, but for 1 MB an association that it served; and where."""
    found = [(run["peak_megabytes"] - run.get("associations", 1), run["case"], run["contender"])
             for run in runs.good
             if run["contender"].startswith("sluice") and "peak_megabytes" in run]  # fmt: skip
    if not found:
        return None, ""
    memory, case, name = max(found)
    return memory, f", most in {case}, {name}"


def judge(goal, sense, measured):
    if measured is None:
        return "not measured"
    reached = measured >= goal if sense == "at least" else measured <= goal
    return "met" if reached else "**missed**"
