#!/usr/bin/env python3
"""How many instances a second storescu sends into Sluice over TLS, and over plain TCP.

Same gateway, same sender, same images, one association each, in turns so that drift of
the machine cancels; once small images and once large ones. Every association has its own
TLS handshake with certificates on both sides. Needs what bench/run.py needs, and openssl.

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

import contenders
import make_images


class Sluice(contenders.Sluice):
    """With a second port that speaks TLS. Its PACS is away, so that only receiving is measured."""

    options = "max_associations_per_address = 1000"

    def __init__(self, folder, certificates):
        super().__init__(folder, contenders.free_port(), retry_max="1h")
        self.certificates, self.tls_port = certificates, contenders.free_port()

    def configuration(self, acknowledge):
        return super().configuration(acknowledge) + f"""
[[listener]]
address = "127.0.0.1"
port = {self.tls_port}
request_timeout = "10min"
[listener.tls]
certificate = "{self.certificates}/own.pem"
key = "{self.certificates}/own.key"
ca = "{self.certificates}/ca.pem"
"""


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


def rate(work, name, port, image, images):
    """Instances a second of one storescu; every one must be answered with success."""
    options = ["+tls", "own.key", "own.pem", "+cf", "ca.pem"] if name == "tls" else []
    start = time.monotonic()
    done = subprocess.run(
        ["storescu", "-aec", "SLUICE", "+II", "--max-pdu", "131072", *options, "127.0.0.1",
         str(port), *[image] * images],
        capture_output=True, text=True, cwd=work)  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"not all were stored over {name}: {done.stderr[-400:]}")
    return images / (time.monotonic() - start)


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
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=contenders.ROOT / "build"))
    contenders.Sluice.known = set()  # as it acknowledges by itself
    sluice = None
    try:
        make_certificates(work)
        for image in ("mr.dcm", "ct.dcm"):
            make_images.make(work / image)
        sluice = Sluice(work, work)
        sluice.start()
        ports = {"plain": sluice.port, "tls": sluice.tls_port}
        clients = half_open(ports["tls"], arguments.half_open)
        for image in ("mr.dcm", "ct.dcm"):
            rates = {"plain": [], "tls": []}
            for _ in range(arguments.rounds):
                for name, measured in rates.items():
                    measured.append(rate(work, name, ports[name], image, arguments.images))
            for name, measured in rates.items():
                print(f"{image} {name:<6} median {statistics.median(measured):8.1f}/s   "
                      f"({', '.join(f'{each:.1f}' for each in measured)})")
        del clients
    finally:
        if sluice:
            sluice.stop()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
