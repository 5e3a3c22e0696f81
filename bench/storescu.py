#!/usr/bin/env python3
"""How many instances a second an unmodified storescu sends into storescp and into Sluice.

Same sender, same images, one association each, in turns so that drift of the machine
cancels. Sluice runs with its three filters and acknowledges as always: synced, committed.
Needs build/release/sluice, dcmtk and python3-pydicom; see `make build`.

    bench/storescu.py [--images N] [--rounds N]
"""

import argparse
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SLUICE = ROOT / "build/release/sluice"
IMAGE = pathlib.Path("/usr/lib/python3/dist-packages/pydicom/data/test_files/MR_small.dcm")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_answers(port):
    end = time.monotonic() + 20
    while subprocess.run(["echoscu", "127.0.0.1", str(port)], capture_output=True).returncode != 0:
        if time.monotonic() > end:
            sys.exit(f"nothing answers on port {port}")
        time.sleep(0.05)


def rate(port, images):
    """Instances a second of one storescu; every one must be answered with success."""
    start = time.monotonic()
    done = subprocess.run(
        ["storescu", "-v", "-R", "+II", "127.0.0.1", str(port), *[str(IMAGE)] * images],
        capture_output=True, text=True)  # fmt: skip
    seconds = time.monotonic() - start
    stored = (done.stdout + done.stderr).count("Received Store Response (Success)")
    if stored != images:
        sys.exit(f"only {stored} of {images} were stored on port {port}")
    return images / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="an association (default 100)")
    parser.add_argument("--rounds", type=int, default=5, help="of each (default 5)")
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    (work / "received").mkdir()
    ports = {name: free_port() for name in ("storescp", "sluice", "pacs")}
    (work / "sluice.toml").write_text(f"""
[gateway]
data_dir = "{work}/data"
duplicate_window = "0s"
other_bytes = "deliver"
[[listener]]
port = {ports['sluice']}
[[destination]]
name = "pacs"
address = "dicom://PACS@127.0.0.1:{ports['pacs']}"
[[route]]
filters = ["sanitize_uids", "merge_studies", "remap_series_number"]
destinations = ["pacs"]
""")
    # The PACS behind the gateway is away, so that only receiving is measured.
    processes = [
        subprocess.Popen(["storescp", "-od", str(work / "received"), str(ports["storescp"])],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),  # fmt: skip
        subprocess.Popen([str(SLUICE), "serve", "-c", str(work / "sluice.toml")],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),  # fmt: skip
    ]
    try:
        rates = {"storescp": [], "sluice": []}
        for name in rates:
            wait_until_it_answers(ports[name])
        for _ in range(arguments.rounds):
            for name, measured in rates.items():
                measured.append(rate(ports[name], arguments.images))
        medians = {name: statistics.median(measured) for name, measured in rates.items()}
        for name, measured in rates.items():
            print(f"{name:<9} median {medians[name]:8.1f}/s   "
                  f"({', '.join(f'{each:.1f}' for each in measured)})")
        print(f"ratio     {medians['sluice'] / medians['storescp']:.0f}")
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
