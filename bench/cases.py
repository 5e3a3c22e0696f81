"""The work that contenders are given: one class a kind, one line in ALL a case.

run(bench, name) does it once for one contender and returns what was measured, as plain data;
names(bench) says whose turns there are. A name's first word is the contender; what follows it,
or is none, belongs to the case.
"""

import contextlib
import itertools
import json
import mmap
import os
import pathlib
import shutil
import statistics
import subprocess
import time

import contenders
from contenders import BUILD, DeadPort, Sink, StorescpAlone, Trouble, wait_until
from targets import RATE

SLUICES = ["sluice-safe", "sluice-stored", "sluice-delivered"]
PLAIN = ["direct", "haproxy", *SLUICES]
EVERY = [*PLAIN, "storescp", "orthanc"]
FEW = 30  # instances, for a first look at how fast a storescu is


def settle(bench):
    """What others left for the disk, removed files too, is not the next one's to wait for."""
    os.sync()
    device = os.stat(bench.work).st_dev
    state = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    before, end = None, time.monotonic() + 2
    while state.exists() and time.monotonic() < end:
        now = state.read_text()
        if now == before:
            return
        before = now
        time.sleep(0.2)


def generate(program, *options, seconds=600):
    """What bench_load or bench_files reports."""
    command = [str(BUILD / f"bench/bench_{program}"), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    report = json.loads(done.stdout or "{}")
    if done.returncode != 0:
        raise Trouble("; ".join({*report.get("trouble", []), *done.stderr.splitlines()}))
    return report


def load(bench, port, image, associations, seconds=0, instances=10_000_000, rate=0, timeline=0):
    report = generate("load", "--port", port, "--image", bench.image(image), "--associations",
                      associations, "--instances", instances, "--seconds", seconds, "--rate", rate,
                      "--timeline", timeline, "--first", bench.take_numbers(instances),
                      seconds=seconds * 2 + 900)  # fmt: skip
    if set(report["statuses"]) - {"0"} or report["instances"] == 0:
        raise Trouble(f"answered with {report['statuses'] or 'nothing'}")
    return report


def host_time():
    """Of all processors, in ticks: what the machine's host took for others, and all of it."""
    ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


def figures(report):
    return {
        "instances": report["instances"],
        RATE: report["instances_per_second"],
        "megabytes_per_second": report["megabytes_per_second"],
        "latency_ms": report["latency_ms"],
        "longest_gap_ms": report["longest_gap_ms"],
    }


def through(bench, contender, sink, image, associations, wait=300, **options):
    """Sends, waits until the sink has all of it, and says what that took."""
    settle(bench)
    had = sink.count()
    contender.forget_peak()
    cpu = contender.cpu_seconds()
    stolen, ticks = host_time()
    report = load(bench, contender.port, image, associations, **options)
    last = sink.wait_for(had + report["instances"], wait)
    cpu = contender.cpu_seconds() - cpu
    stolen, ticks = (after - before for after, before in zip(host_time(), (stolen, ticks)))
    return {
        **figures(report),
        "associations": associations,
        # What is still under way when the last is acknowledged counts too.
        "delivered_per_second": report["instances"] / (last - report["began"]),
        "cpu_seconds_per_gigabyte": cpu / (report["bytes"] / 1e9),
        "cpu_seconds_per_1000": cpu * 1000 / report["instances"],
        "peak_megabytes": contender.peak_megabytes(),
        "stolen_percent": 100 * stolen / max(ticks, 1),
    }


class Case:
    """`is_long`: only when named, and by "all". `rounds`: the most that are worth while.
    `has_ratios`: who answers more in a second is better."""

    order = EVERY
    is_long = False
    has_ratios = True
    rounds = 100

    def __init__(self, name, about):
        self.name, self.about = name, about

    def names(self, bench):
        return [name for name in self.order if bench.takes_part(name.split()[0])]


class Load(Case):
    """As many as it takes."""

    def __init__(self, name, image, associations, **changes):
        of = f"{associations} association{'s' if associations > 1 else ''}"
        super().__init__(name, f"{of} of {make_name(image)}")
        self.image, self.associations = image, associations
        self.__dict__.update(changes)

    def run(self, bench, name):
        return through(bench, bench.contender(name), bench.sink, self.image, self.associations,
                       seconds=bench.options.seconds)  # fmt: skip


def make_name(image):
    return {"ct.dcm": "0.5 MB CT", "mr.dcm": "14 KB MR", "multiframe.dcm": "1 GB multi-frame",
            "huge.dcm": "4 GB in fragments"}[image]  # fmt: skip


class Large(Load):
    """A few that are large: what counts is that memory does not grow with them."""

    is_long = True
    rounds = 2

    def run(self, bench, name):
        bench.need_space(self.gigabytes * 3)
        return through(bench, bench.contender(name), bench.sink, self.image, self.associations,
                       instances=self.instances, wait=900)  # fmt: skip


class Storescu(Case):
    """An unmodified storescu into each. storescp-alone is DCMTK's storescp that keeps what it
    gets and sends nothing on."""

    order = [*EVERY, "storescp-alone"]
    rounds = 2

    def __init__(self, name, image):
        super().__init__(name, f"an unmodified storescu, 1 association of {make_name(image)}")
        self.image = image
        self.counts = {}  # by contender, so many that a run takes its time

    def run(self, bench, name):
        if name == "storescp-alone":
            with bench.started(StorescpAlone, 0) as pacs:
                return self.measure(bench, name, pacs, pacs)
        return self.measure(bench, name, bench.contender(name), bench.sink)

    def measure(self, bench, name, contender, sink):
        had = sink.count()
        if name not in self.counts:
            rate = storescu(bench, contender.port, self.image, FEW)
            self.counts[name] = min(10_000, max(FEW, int(rate * bench.options.seconds)))
            had += FEW
            sink.wait_for(had, 60)
        count = self.counts[name]
        cpu = contender.cpu_seconds()
        rate = storescu(bench, contender.port, self.image, count)
        sink.wait_for(had + count, 300)
        return {"instances": count, RATE: rate,
                "cpu_seconds_per_1000": (contender.cpu_seconds() - cpu) * 1000 / count}  # fmt: skip


def storescu(bench, port, image, count):
    """Instances a second of one association; each has a UID of its own (+II)."""
    folder = bench.image(image).parent
    begin = time.monotonic()
    done = subprocess.run(["storescu", "-aec", "SLUICE", "+II", "127.0.0.1", str(port),
                           *[image] * count],
                          capture_output=True, text=True, cwd=folder, timeout=600)  # fmt: skip
    if done.returncode != 0:
        raise Trouble("storescu: " + (done.stdout + done.stderr)[-500:])
    return count / (time.monotonic() - begin)


class Storescp(Case):
    """An unmodified storescp behind each. "storescu" is DCMTK's own sender, straight into it."""

    order = [*EVERY, "storescu"]
    rounds = 2

    def run(self, bench, name):
        seconds = bench.options.seconds
        with bench.started(StorescpAlone, 0) as pacs:
            if name == "storescu":
                rate = storescu(bench, pacs.port, "mr.dcm", FEW)
                rate = storescu(bench, pacs.port, "mr.dcm", max(FEW, int(rate * seconds)))
                return {RATE: rate, "delivered_per_second": rate}
            kind = contenders.ALL[name]
            # It serves one association at a time; more would wait for each other.
            more = {"associations": 1} if name in SLUICES else {}
            with bench.started(kind, pacs.port, **more) as contender:
                return through(bench, contender, pacs, "mr.dcm", 1, seconds=seconds)


class Alone(Case):
    """What the machine does when nothing is asked of it but a small synced write, as of a journal,
    behind the other: nobody who answers for what is on disk has shorter pauses than that."""

    order = ["disk"]
    has_ratios = False
    size = 4096
    count = 256  # places in the file, over and over

    def run(self, bench, name):
        block = mmap.mmap(-1, self.size)  # aligned, as O_DIRECT wants it
        with bench.folder() as folder:
            file = os.open(folder / "file", os.O_RDWR | os.O_CREAT | os.O_DSYNC | os.O_DIRECT)
            try:
                for place in range(self.count):
                    os.pwrite(file, block, place * self.size)
                settle(bench)
                times = [time.monotonic()]
                while times[-1] < times[0] + bench.options.seconds * 4:
                    os.pwrite(file, block, len(times) % self.count * self.size)
                    times.append(time.monotonic())
            finally:
                os.close(file)
        took = sorted((end - begin) * 1000 for begin, end in itertools.pairwise(times))
        return {"instances": len(took), RATE: len(took) / (times[-1] - times[0]),
                "latency_ms": {"p50": took[len(took) // 2], "p90": took[len(took) * 90 // 100],
                               "p99": took[len(took) * 99 // 100], "max": took[-1]}}  # fmt: skip


class Disk(Case):
    """What a store costs on this disk, with DICOM and without: "files" are the same file
    operations by bench_files; "unlink" removes old ones, as a gateway does whose PACS keeps up;
    "dead" has a PACS that does not answer."""

    order = ["files", "files unlink", "sluice-stored", "sluice-stored dead", "sluice-safe dead"]

    def __init__(self, writers):
        of = f"{writers} writer{'s' if writers > 1 else ''}"
        super().__init__(f"disk{writers}", f"{of} of 0.5 MB CT to the disk")
        self.writers = writers

    def run(self, bench, name):
        seconds = bench.options.seconds
        bench.need_space(5 * seconds)
        kind, _, how = name.partition(" ")
        if kind == "files":
            with bench.folder() as folder:
                settle(bench)
                options = ["--unlink"] if how == "unlink" else []
                return figures(generate("files", "--folder", folder, "--image", bench.image("ct.dcm"),
                                        "--writers", self.writers, "--seconds", seconds, *options))  # fmt: skip
        if how != "dead":
            return through(bench, bench.contender(kind), bench.sink, "ct.dcm", self.writers,
                           seconds=seconds)  # fmt: skip
        dead = DeadPort()
        try:
            with bench.started(contenders.ALL[kind], dead.port) as contender:
                settle(bench)
                report = load(bench, contender.port, "ct.dcm", self.writers, seconds=seconds)
                return {**figures(report), "associations": self.writers,
                        "peak_megabytes": contender.peak_megabytes()}  # fmt: skip
        finally:
            dead.free()


class Latency(Case):
    """Time to the answer when it is given a share of the most that it takes for long."""

    order = PLAIN
    has_ratios = False
    rounds = 5
    share = 0.8
    lasts = 0.9  # so much of the most it must still take behind the run

    def __init__(self, name, image, associations, about="at 80 % of the most that it takes"):
        super().__init__(name, f"{associations} associations of {make_name(image)}, {about}")
        self.image, self.associations = image, associations

    def seconds(self, bench):
        return bench.options.seconds * 2

    def run(self, bench, name):
        contender = bench.contender(name)

        def send(seconds, **options):
            return through(bench, contender, bench.sink, self.image, self.associations,
                           seconds=seconds, **options)  # fmt: skip

        def most_now():
            run = send(bench.options.seconds)
            return min(run[RATE], run["delivered_per_second"])

        most = most_now()
        for _ in range(6):
            run = send(self.seconds(bench), rate=most * self.share)
            reached = min(run[RATE], run["delivered_per_second"])
            after = most_now()
            # What a machine can do changes while others use it: then 80 % are not 80 %. And what
            # was taken for a moment may be too much for long.
            if reached >= 0.95 * most * self.share and after >= self.lasts * most:
                return {"most_per_second": most, **run}
            most = min(reached, after) if reached < 0.95 * most * self.share else after
        raise Trouble(f"does not come to rest: it took {reached:.0f}/s when given more")


class Stall(Latency):
    """The longest time without an answer, in a long run at half of the most that it takes."""

    order = ["haproxy", *SLUICES]
    is_long = True
    rounds = 1
    share = 0.5
    lasts = 0

    def seconds(self, bench):
        return bench.options.stall_seconds


def drain(sink, count, began, waiting):
    """Notes how many wait, each 100 ms, until the sink has all; when the last came."""
    while True:
        done, last = sink.ask()
        waiting.append([round(time.monotonic() - began, 2), count - done])
        if done >= count:
            return last
        if time.monotonic() > max(last, began) + 120:
            raise Trouble(f"the sink has {done} of {count} instances")
        time.sleep(0.1)


def fill_and_drain(bench, contender, dead, instances):
    """Sends with the PACS dead, then lets it come back."""
    report = load(bench, contender.port, "mr.dcm", 8, instances=instances, timeline=250)
    waiting, count = [], 0
    for number, answered in enumerate(report["timeline"]):
        count += answered
        waiting.append([(number + 1) * 0.25, count])
    dead.free()
    sink = Sink(dead.port)
    try:
        # The first comes when the gateway tries again: the pause before is by configuration.
        wait_until(lambda: sink.count() > 0, 60, "the sink")
        first, begin = sink.count(), time.monotonic()
        last = drain(sink, count, report["began"], waiting)
    finally:
        sink.stop()
    return {**figures(report), "associations": 8,
            "drained_per_second": (count - first) / (last - begin),
            "peak_megabytes": contender.peak_megabytes(), "waiting": waiting}  # fmt: skip


class Backlog(Case):
    """Many are taken while the PACS is dead; then it comes back."""

    order = ["sluice-safe", "sluice-stored"]
    is_long = True
    rounds = 2

    def run(self, bench, name):
        count = bench.options.backlog
        bench.need_space(count * 20e-6)
        dead = DeadPort()
        try:
            with bench.started(contenders.ALL[name], dead.port, retry_max="1s") as contender:
                settle(bench)
                return fill_and_drain(bench, contender, dead, count)
        finally:
            dead.free()


class History(Case):
    """A million rows of history, and a backlog that waits: how long the start takes, and what
    is then taken and drained a second, against a gateway without either ("empty"). They stand
    side by side and take short turns: the disk of one minute is not that of the next. One round
    of many: for minutes behind the removal of so many files, ext4 is slow to make new ones."""

    order = ["sluice-safe empty", "sluice-safe"]
    is_long = True
    rounds = 1

    def run(self, bench, name):
        if name == self.order[0]:
            self.both = self.run_both(bench)
        return self.both[name]

    def run_both(self, bench):
        bench.need_space(2 + bench.options.backlog * 40e-6)
        made = self.make(bench)
        with contextlib.ExitStack() as stack:
            running, runs = {}, {}
            for name in self.order:
                dead = DeadPort()
                stack.callback(dead.free)
                contender = contenders.SluiceSafe(bench.new_folder(), dead.port, retry_max="1s")
                if not name.endswith("empty"):
                    made.rename(contender.data)
                settle(bench)
                # With the disk's files as after a boot: not in memory.
                drop_from_memory(contender.data)
                starting = stack.enter_context(bench.running(contender))
                running[name], runs[name] = (contender, dead), {"start_seconds": starting}
            reports = self.in_turn(20, lambda name: load(
                bench, running[name][0].port, "mr.dcm", 8,
                instances=bench.options.backlog // 80))  # fmt: skip
            for _, dead in running.values():
                dead.free()
            drained = self.in_turn(4, lambda name: drain_for(0.4, running[name][1].port))
            for name, run in runs.items():
                of_all = [figures(report) for report in reports[name]]
                run.update(sorted(of_all, key=lambda each: each[RATE])[len(of_all) // 2])
                run.update(associations=8, peak_megabytes=running[name][0].peak_megabytes(),
                           drained_per_second=statistics.median(drained[name]))  # fmt: skip
            return runs

    def in_turn(self, turns, measure):
        found = {name: [] for name in self.order}
        for turn in range(turns):
            for name in self.order[:: 1 if turn % 2 else -1]:
                found[name].append(measure(name))
        return found

    @staticmethod
    def make(bench):
        """The data folder of a gateway that has delivered much and has a dead PACS."""
        dead = DeadPort()
        contender = contenders.SluiceSafe(bench.new_folder(), dead.port)
        contender.data.mkdir(mode=0o700)
        subprocess.run([str(BUILD / "bench/bench_history"), "--queue", str(contender.data / "queue.db"),
                        "--rows", str(bench.options.history), "--destination", "sink"],
                       check=True, timeout=3600)  # fmt: skip
        try:
            contender.start()
            load(bench, contender.port, "mr.dcm", 16, instances=bench.options.backlog)
        finally:
            contender.stop()
            dead.free()
        return contender.data


def drain_for(seconds, port):
    """How many a second come to a PACS that is there for a moment."""
    sink = Sink(port)
    try:
        # The first comes when the gateway tries again: the pause before is by configuration.
        wait_until(lambda: sink.count() > 0, 60, "the sink")
        first, begin = sink.ask()
        time.sleep(seconds)
        count, last = sink.ask()
        return (count - first) / (last - begin)
    finally:
        sink.stop()


def drop_from_memory(folder):
    for path in folder.glob("*.db*"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


ALL = [
    Load("ct1", "ct.dcm", 1),
    Load("ct4", "ct.dcm", 4),
    Load("ct16", "ct.dcm", 16),
    Load("mr1", "mr.dcm", 1),
    Load("mr8", "mr.dcm", 8),
    Load("mr32", "mr.dcm", 32),
    Storescu("from-storescu", "mr.dcm"),
    Storescp("to-storescp", "1 association of 14 KB MR, and an unmodified storescp behind"),
    Alone("alone", "the machine alone: a synced write of 4 KB behind the other"),
    Disk(1),
    Disk(4),
    Disk(16),
    Latency("latency-ct", "ct.dcm", 4),
    Latency("latency-mr", "mr.dcm", 8),
    Large("multiframe", "multiframe.dcm", 1, instances=2, gigabytes=1),
    Large("huge", "huge.dcm", 1, instances=1, gigabytes=4, order=PLAIN, rounds=1),
    Backlog("backlog", "a dead PACS, 8 associations of 14 KB MR; then it comes back"),
    Stall("stall", "ct.dcm", 4, "at 50 % of the most that it takes, for long"),
    History("history", "a start with a million rows of history and a backlog"),
]
BY_NAME = {case.name: case for case in ALL}
