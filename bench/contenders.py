"""What stands between sender and sink in a benchmark: nothing, a relay, or a gateway.

Each contender is started once, listens on `port`, and sends on to the sink. All of them are
on loopback and keep what they write below the folder they are given.
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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children_of(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children_of(child)]
    return found


class Contender:
    """Listens on self.port and sends to the sink's."""

    name = "?"

    def __init__(self, folder, sink_port):
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        self.sink_port = sink_port
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            self.command(), stdout=log, stderr=log, cwd=self.folder, start_new_session=True)  # fmt: skip
        end = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not start; see {self.folder / 'log'}")
            time.sleep(0.05)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def pids(self):
        return [self.process.pid, *children_of(self.process.pid)] if self.process else []

    def cpu_seconds(self):
        """Of the process, its children, and those of them that have ended."""
        ticks = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except FileNotFoundError:
                continue
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_megabytes(self):
        peak = 0
        for pid in self.pids():
            status = pathlib.Path(f"/proc/{pid}/status")
            if status.exists():
                lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
                peak += sum(int(line.split()[1]) for line in lines)
        return peak / 1024


class Direct(Contender):
    name = "direct"

    def start(self):
        self.port = self.sink_port


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
    name = "sluice"
    options = ""
    program = BUILD / "sluice"

    def command(self):
        (self.folder / "sluice.toml").write_text(f"""
[gateway]
data_dir = "{self.folder / 'data'}"
log_level = "warning"
{self.options}
[[listener]]
address = "127.0.0.1"
port = {self.port}
ae_titles = ["SLUICE"]
[[destination]]
name = "sink"
address = "dicom://PACS@127.0.0.1:{self.sink_port}"
associations = 16
[[route]]
filters = ["sanitize_uids", "remap_series_number"]
destinations = ["sink"]
""")
        return [str(self.program), "serve", "--config", "sluice.toml"]


class Storescp(Contender):
    """storescp, which runs a storescu for each instance: the relay made of DCMTK's tools."""

    name = "storescp"

    def command(self):
        (self.folder / "in").mkdir()
        send = f"storescu 127.0.0.1 {self.sink_port} #p/#f"
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


class Sink:
    """build/release/bench/bench_sink; counts what it has answered."""

    def __init__(self, options=()):
        self.process = subprocess.Popen(
            [str(BUILD / "bench/bench_sink"), *options], stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        self.port, self.statistics_port = int(words[1]), int(words[3])

    def count(self):
        with socket.create_connection(("127.0.0.1", self.statistics_port)) as asker:
            return int(asker.makefile().readline().split()[0])

    def wait_for(self, count, seconds):
        """Seconds until it has this many; raises when they do not come."""
        begin = time.monotonic()
        while self.count() < count:
            if time.monotonic() > begin + seconds:
                raise RuntimeError(f"the sink has {self.count()} of {count} instances")
            time.sleep(0.002)
        return time.monotonic() - begin

    def stop(self):
        self.process.kill()
        self.process.wait()


ALL = {each.name: each for each in (Direct, HaProxy, Sluice, Storescp, Orthanc)}
