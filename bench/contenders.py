"""What stands between sender and sink in a benchmark: nothing, a relay, or a gateway.

Each contender listens on `port` and sends on to `sink_port`. All of them are on loopback, keep
what they write below the folder they are given, and are ended by their process id.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"
TICKS = os.sysconf("SC_CLK_TCK")


class Trouble(Exception):
    """A contender did not do its work: told with the results, and the others go on."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class DeadPort:
    """A port that nobody listens on, and that nobody else is given, until free()."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def free(self):
        self.socket.close()


def end(process, seconds=40):
    """Ends a process that leads a session, and with it what it started, if need be by force."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def children_of(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # it has ended
            continue
        for child in children:
            found += [int(child), *children_of(child)]
    return found


class Contender:
    """Listens on self.port and sends to the sink's."""

    name = "?"

    def __init__(self, folder, sink_port):
        self.folder = folder / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sink_port = sink_port
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        """Seconds until the port answers."""
        command = self.command()
        begin = time.monotonic()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)  # fmt: skip
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return time.monotonic() - begin
            if self.process.poll() is not None or time.monotonic() > begin + 60:
                last = (self.folder / "log").read_text(errors="replace")[-500:]
                self.stop()
                raise Trouble(f"{self.name} does not start: {last}")
            time.sleep(0.005)

    def stop(self):
        if self.process is not None:
            end(self.process)
        self.process = None

    def pids(self):
        return [self.process.pid, *children_of(self.process.pid)] if self.process else []

    def cpu_seconds(self):
        """Of the process, its children, and those of them that have ended."""
        ticks = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / TICKS

    def forget_peak(self):
        """From now on peak_megabytes() is of what comes."""
        for pid in self.pids():
            try:
                pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:  # then it is of all since the start
                pass

    def peak_megabytes(self):
        peak = 0
        for pid in self.pids():
            try:
                lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            peak += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        return peak / 1024


class Direct(Contender):
    name = "direct"

    def start(self):
        self.port = self.sink_port
        return 0


class HaProxy(Contender):
    """A plain TCP relay: the floor for whatever stands between."""

    name = "haproxy"

    def command(self):
        (self.folder / "haproxy.cfg").write_text(f"""
global
  nbthread 2
  maxconn 1000
defaults
  mode tcp
  option splice-auto
  timeout connect 5s
  timeout client 600s
  timeout server 600s
listen relay
  bind 127.0.0.1:{self.port}
  server sink 127.0.0.1:{self.sink_port}
""")
        return ["haproxy", "-db", "-f", "haproxy.cfg"]


class Sluice(Contender):
    """`mode` is `acknowledge` of its route: safe, stored or delivered."""

    mode = "safe"
    program = BUILD / "sluice"
    known = None  # modes that this program knows
    options = ""  # more of [gateway]

    def __init__(self, folder, sink_port, associations=16, retry_max="5min"):
        super().__init__(folder, sink_port)
        self.associations, self.retry_max = associations, retry_max
        self.data = self.folder / "data"

    @classmethod
    def find_modes(cls, folder):
        """Asks the program; one that knows none is as it was before there were any."""
        cls.known = set()
        for each in MODES:
            one = each(folder, 1)
            (one.folder / "sluice.toml").write_text(one.configuration(f'acknowledge = "{one.mode}"'))
            asked = subprocess.run([str(cls.program), "check", "sluice.toml"], cwd=one.folder,
                                   capture_output=True, text=True)  # fmt: skip
            if asked.returncode == 0:
                cls.known.add(one.mode)

    @classmethod
    def is_known(cls):
        return cls.mode in Sluice.known or (not Sluice.known and cls.mode == "safe")

    def configuration(self, acknowledge):
        return f"""
[gateway]
data_dir = "{self.data}"
log_level = "warning"
{self.options}
[[listener]]
address = "127.0.0.1"
port = {self.port}
ae_titles = ["SLUICE"]
[[destination]]
name = "sink"
address = "dicom://PACS@127.0.0.1:{self.sink_port}"
associations = {self.associations}
retry_min = "500ms"
retry_max = "{self.retry_max}"
[[route]]
name = "route-1"
filters = ["sanitize_uids", "remap_series_number"]
destinations = ["sink"]
{acknowledge}
"""

    def command(self):
        mode = f'acknowledge = "{self.mode}"' if self.mode in Sluice.known else ""
        (self.folder / "sluice.toml").write_text(self.configuration(mode))
        return [str(self.program), "serve", "--config", "sluice.toml"]


class SluiceSafe(Sluice):
    name, mode = "sluice-safe", "safe"


class SluiceStored(Sluice):
    name, mode = "sluice-stored", "stored"


class SluiceDelivered(Sluice):
    name, mode = "sluice-delivered", "delivered"


MODES = [SluiceSafe, SluiceStored, SluiceDelivered]


class Storescp(Contender):
    """storescp, which runs a storescu for each instance: the relay made of DCMTK's tools."""

    name = "storescp"

    def command(self):
        (self.folder / "in").mkdir(exist_ok=True)
        send = f"storescu 127.0.0.1 {self.sink_port} #p/#f && rm #p/#f"
        return ["storescp", "--fork", "+xa", "-od", str(self.folder / "in"),
                "-xcr", send, "-xs", str(self.port)]  # fmt: skip


class Orthanc(Contender):
    """Orthanc that routes each instance on by Lua."""

    name = "orthanc"

    def command(self):
        (self.folder / "route.lua").write_text(
            "function OnStoredInstance(id, tags, metadata, origin)\n"
            "  Delete(SendToModality(id, 'sink'))\n"
            "end\n")
        (self.folder / "orthanc.json").write_text(json.dumps({
            "StorageDirectory": "store", "IndexDirectory": "store", "HttpServerEnabled": False,
            "DicomPort": self.port, "DicomAet": "SLUICE", "DicomAlwaysAllowStore": True,
            "DicomCheckCalledAet": False, "OverwriteInstances": False, "Plugins": [],
            "LuaScripts": ["route.lua"], "UnknownSopClassAccepted": True,
            "DicomModalities": {"sink": ["PACS", "127.0.0.1", self.sink_port]}}))
        return [shutil.which("Orthanc") or "/usr/sbin/Orthanc", "orthanc.json"]


class StorescpAlone(Contender):
    """An unmodified storescp that keeps what comes: a PACS to send to, one association at a time."""

    name = "storescp-alone"

    def __init__(self, folder, sink_port=0):
        super().__init__(folder, sink_port)
        self.received = self.folder / "in"
        self.received.mkdir(exist_ok=True)

    def command(self):
        return ["storescp", "-od", str(self.received), str(self.port)]

    def count(self):
        return sum(1 for _ in os.scandir(self.received))

    def wait_for(self, count, seconds):
        """When it had them, on the monotonic clock."""
        return wait_until(lambda: self.count() >= count, seconds, self.name)


def wait_until(is_there, seconds, whose):
    end_of_it = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > end_of_it:
            raise Trouble(f"{whose} does not get all of it within {seconds} s")
        time.sleep(0.02)
    return time.monotonic()


class Sink:
    """build/release/bench/bench_sink; counts what it has answered."""

    def __init__(self, port=0):
        self.process = subprocess.Popen([str(BUILD / "bench/bench_sink"), "--port", str(port)],
                                        stdout=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
        words = self.process.stdout.readline().split()
        if len(words) != 4:
            self.stop()
            raise Trouble("the sink does not start")
        self.port, self.statistics_port = int(words[1]), int(words[3])

    def ask(self):
        """How many instances, and when the last was answered, on the monotonic clock."""
        with socket.create_connection(("127.0.0.1", self.statistics_port)) as asker:
            instances, _, last = asker.makefile().readline().split()
        return int(instances), int(last) / 1e6

    def count(self):
        return self.ask()[0]

    def wait_for(self, count, seconds):
        """When it had them, on the monotonic clock."""
        wait_until(lambda: self.count() >= count, seconds, "the sink")
        return self.ask()[1]

    def stop(self):
        end(self.process)
        self.process.stdout.close()


ALL = {each.name: each for each in (Direct, HaProxy, *MODES, Storescp, Orthanc)}
