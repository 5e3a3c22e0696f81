#!/usr/bin/env python3
"""Shows the gateway at work: real images go from storescu through Sluice to a PACS.

Starts a stand-in PACS (DCMTK's storescp) and the gateway with
conf/examples/repair_and_forward.toml, sends images of Debian's python3-pydicom package,
prints what became of each, and stays up until Ctrl-C. With --once it ends by itself,
with status 1 when an image is not where it should be.
"""

import argparse
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SLUICE = ROOT / "build/release/sluice"
CONFIG = ROOT / "conf/examples/repair_and_forward.toml"
IMAGES = pathlib.Path("/usr/lib/python3/dist-packages/pydicom/data/test_files")
WORK = ROOT / "build/demo"
PACS_PORT = 11113
GATEWAY_PORT = 11112
PATIENCE = 30  # seconds

# Each with the option that makes storescu send it in its own transfer syntax.
REAL = [
    ("CT_small.dcm", []),
    ("MR_small.dcm", []),
    ("ExplVR_BigEnd.dcm", ["-xb"]),
    ("rtplan.dcm", ["-xi"]),
    ("693_J2KI.dcm", ["-xw"]),
    ("rtdose.dcm", ["-xi"]),
]


def fail(message):
    sys.exit(f"run_demo: {message}")


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            fail(f"{what} did not happen within {PATIENCE} s; see {WORK}")
        time.sleep(0.05)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def answers(port):
    return subprocess.run(["echoscu", "127.0.0.1", str(port)], capture_output=True).returncode == 0


def make_colliding_studies():
    """Two studies of one order: same accession number, both with a series number 1."""
    made = []
    for study in (1, 2):
        path = WORK / f"order_study_{study}.dcm"
        shutil.copy(IMAGES / "CT_small.dcm", path)
        uid = f"1.2.826.0.1.3680043.10.1.{study}"
        subprocess.run(
            ["dcmodify", "-nb", "-imt", "-m", f"StudyInstanceUID={uid}", "-m",
             f"SeriesInstanceUID={uid}.1", "-m", f"SOPInstanceUID={uid}.1.1", "-i",
             "AccessionNumber=A-2026-0815", "-m", "SeriesNumber=1", "-i",
             f"StudyDescription=Console {study}", str(path)],
            check=True, capture_output=True)  # fmt: skip
        made.append((path, []))
    return made


def send(path, options):
    """The status that storescu got."""
    done = subprocess.run(
        ["storescu", "-v", "-aet", "CT_DEMO", "-aec", "SLUICE", *options, "127.0.0.1",
         str(GATEWAY_PORT), str(path)],
        capture_output=True, text=True)  # fmt: skip
    answer = re.search(r"Received Store Response \((.*)\)", done.stdout + done.stderr)
    return answer.group(1) if answer else f"not sent: {(done.stderr or done.stdout).strip()[-120:]}"


def sop_instance_uid(path):
    dump = subprocess.run(["dcmdump", "+P", "0008,0018", str(path)], capture_output=True, text=True)
    return re.search(r"\[(.*?)\]", dump.stdout).group(1)


def sluice(*arguments):
    done = subprocess.run(
        [str(SLUICE), *arguments, "--config", str(WORK / "sluice.toml"), "--json"],
        capture_output=True, text=True)  # fmt: skip
    return json.loads(done.stdout)


def log_lines():
    for line in (WORK / "gateway.log").read_text().splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def row(image, status):
    """What the gateway says of one image, by its UID as received."""
    uid = sop_instance_uid(image)
    deliveries = [d for d in sluice("queue", "list", "--all")["deliveries"] if d["sop_instance_uid"] == uid]
    changes = []
    for line in log_lines():
        if line["message"] in ("changed", "series number changed") and deliveries and line["id"] == deliveries[-1]["id"]:
            if line["message"] == "changed":
                before, after = line["before"], line["after"]
                attribute = line["attribute"].split(".")[-1]
            else:
                before, after = line["change"].split(" -> ")
                attribute = "SeriesNumber"
            changes.append(f"{line['filter']}: {attribute} {before or '(empty)'} -> {after} ({line['reason']})")
    place = ", ".join(f"{d['state']} at {d['destination']}" for d in deliveries) or "nowhere"
    return image.name, status, changes or ["nothing"], place


def arrived(uids):
    states = {d["sop_instance_uid"]: d["state"] for d in sluice("queue", "list", "--all")["deliveries"]}
    return all(states.get(uid) == "delivered" for uid in uids)


def print_table(rows):
    print(f"\n{'image':<20} {'C-STORE':<10} {'now':<20} changed")
    print("-" * 110)
    for image, status, changes, place in rows:
        first = True
        for change in changes:
            for line in textwrap.wrap(change, 76, subsequent_indent="  ", break_on_hyphens=False):
                head = f"{image:<20} {status:<10} {place:<20} " if first else " " * 53
                print(head + line)
                first = False
    print()


def start():
    """The PACS and the gateway, both answering."""
    for port in (PACS_PORT, GATEWAY_PORT):
        if not is_free(port):
            fail(f"port {port} is taken; end what listens there, or change {CONFIG.relative_to(ROOT)}")
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "pacs").mkdir(parents=True)
    text = CONFIG.read_text().replace('data_dir = "var"', f'data_dir = "{WORK}/data"\nlog_level = "debug"\nlog_format = "json"')
    (WORK / "sluice.toml").write_text(text)
    with open(WORK / "pacs.log", "w") as log:
        pacs = subprocess.Popen(
            ["storescp", "--fork", "+xa", "-od", str(WORK / "pacs"), str(PACS_PORT)],
            stdout=log, stderr=log)  # fmt: skip
    with open(WORK / "gateway.log", "w") as log:
        gateway = subprocess.Popen(
            [str(SLUICE), "serve", "--config", str(WORK / "sluice.toml")], stdout=log, stderr=log)
    return pacs, gateway


def show():
    """Sends the images and prints the table. False when one is not delivered."""
    images = [(IMAGES / name, options) for name, options in REAL] + make_colliding_studies()
    statuses = [(path, send(path, options)) for path, options in images]
    uids = [sop_instance_uid(path) for path, _ in statuses]
    wait_for(lambda: arrived(uids), "the delivery of all images")
    print_table([row(path, status) for path, status in statuses])
    files = len(list((WORK / "pacs").iterdir()))
    print(f"The PACS has {files} files in {(WORK / 'pacs').relative_to(ROOT)}.")
    return files == len(statuses) and all(status == "Success" for _, status in statuses)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="end after the table")
    once = parser.parse_args().once
    pacs, gateway = start()
    try:
        wait_for(lambda: gateway.poll() is not None or answers(GATEWAY_PORT), "the gateway's start")
        if gateway.poll() is not None:
            fail((WORK / "gateway.log").read_text())
        wait_for(lambda: answers(PACS_PORT), "the PACS's start")
        right = show()
        if once:
            return 0 if right else 1
        print("The gateway stays up. In another terminal, send your own:\n\n"
              f"    storescu -aec SLUICE 127.0.0.1 {GATEWAY_PORT} YOUR_IMAGE.dcm\n\n"
              "and look at what became of it:\n\n"
              f"    build/release/sluice queue list --all -c build/demo/sluice.toml\n"
              f"    build/release/sluice explain -c build/demo/sluice.toml YOUR_IMAGE.dcm\n\n"
              "Ctrl-C ends both.", flush=True)
        gateway.wait()
        return 1
    except KeyboardInterrupt:
        print()
        return 0
    finally:
        for process in (gateway, pacs):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
