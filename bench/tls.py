#!/usr/bin/env python3
"""How many instances a second storescu sends into Sluice over TLS, and over plain TCP.

Same gateway, same sender, same images, one association each, in turns so that drift of
the machine cancels; once small images and once large ones. Every association has its own
TLS handshake with certificates on both sides. Needs build/release/sluice, dcmtk, openssl
and python3-pydicom; see `make build`.

    bench/tls.py [--images N] [--rounds N] [--half-open N]

With --half-open, so many clients that never end their handshake stay connected all along.
"""

import argparse
import pathlib
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

import pydicom

ROOT = pathlib.Path(__file__).resolve().parent.parent
SLUICE = ROOT / "build/release/sluice"
IMAGES = pathlib.Path("/usr/lib/python3/dist-packages/pydicom/data/test_files")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificates(work):
    """A CA, and one certificate for gateway and modality alike."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (
        ["req", "-x509", *key, "-subj", "/CN=CA", "-keyout", "ca.key", "-out", "ca.pem"],
        ["req", *key, "-subj", "/CN=both", "-keyout", "own.key", "-out", "own.csr"],
        ["x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
         "-CAcreateserial", "-days", "2", "-out", "own.pem"],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], cwd=work, check=True, capture_output=True)


def make_images(work):
    """A small image as it is, and one of half a megabyte, as a CT has it."""
    shutil.copy(IMAGES / "MR_small.dcm", work / "small.dcm")
    image = pydicom.dcmread(IMAGES / "CT_small.dcm")
    image.Rows = image.Columns = 512
    image.PixelData = bytes(range(256)) * (512 * 512 * 2 // 256)
    image.save_as(work / "large.dcm")


def rate(work, name, port, image, images):
    """Instances a second of one storescu; every one must be answered with success."""
    options = ["+tls", "own.key", "own.pem", "+cf", "ca.pem"] if name == "tls" else []
    start = time.monotonic()
    done = subprocess.run(
        ["storescu", "-v", "-R", "+II", "--max-pdu", "131072", *options, "127.0.0.1", str(port),
         *[image] * images],
        capture_output=True, text=True, cwd=work)  # fmt: skip
    seconds = time.monotonic() - start
    stored = (done.stdout + done.stderr).count("Received Store Response (Success)")
    if stored != images:
        sys.exit(f"only {stored} of {images} were stored over {name}: {done.stderr[-400:]}")
    return images / seconds


def half_open(port, count):
    """Clients that let the gateway sign and go no further."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        hello.do_handshake()
    except ssl.SSLWantReadError:
        pass
    first = outgoing.read()
    clients = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(first)
        clients.append(client)
    return clients


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="an association (default 200)")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--half-open", type=int, default=0, help="clients (default 0)")
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    ports = {"plain": free_port(), "tls": free_port()}
    make_certificates(work)
    make_images(work)
    (work / "sluice.toml").write_text(f"""
[gateway]
data_dir = "{work}/data"
max_associations_per_address = 1000
[[listener]]
port = {ports['plain']}
[[listener]]
port = {ports['tls']}
request_timeout = "10min"
[listener.tls]
certificate = "{work}/own.pem"
key = "{work}/own.key"
ca = "{work}/ca.pem"
[[destination]]
name = "pacs"
address = "dicom://PACS@127.0.0.1:{free_port()}"
retry_min = "1h"
retry_max = "1h"
[[route]]
destinations = ["pacs"]
""")
    # The PACS behind the gateway is away, so that only receiving is measured.
    gateway = subprocess.Popen([str(SLUICE), "serve", "-c", str(work / "sluice.toml")],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        end = time.monotonic() + 20
        while subprocess.run(["echoscu", "127.0.0.1", str(ports["plain"])],
                             capture_output=True).returncode != 0:  # fmt: skip
            if time.monotonic() > end:
                sys.exit("the gateway does not answer")
            time.sleep(0.05)
        clients = half_open(ports["tls"], arguments.half_open)
        for image in ("small.dcm", "large.dcm"):
            size = (work / image).stat().st_size / 1024
            rates = {"plain": [], "tls": []}
            for _ in range(arguments.rounds):
                for name, measured in rates.items():
                    measured.append(rate(work, name, ports[name], image, arguments.images))
            for name, measured in rates.items():
                print(f"{size:5.0f} KiB {name:<6} median {statistics.median(measured):8.1f}/s   "
                      f"({', '.join(f'{each:.1f}' for each in measured)})")
        del clients
    finally:
        gateway.terminate()
        gateway.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
