#!/usr/bin/env python3
"""Makes the images that the benchmarks send, from those of python3-pydicom.

    bench/make_images.py FOLDER [--large]

ct.dcm (0.5 MB), mr.dcm (14 KB); with --large also multiframe.dcm (1 GB). Their headers are
real; the pixel data is noise of the size that counts. The SOP Instance UID ends in 15 digits,
which the load generator replaces. Needs dcmtk.
"""

import argparse
import os
import pathlib
import subprocess

SOURCES = pathlib.Path("/usr/lib/python3/dist-packages/pydicom/data/test_files")
ROOT = "1.2.826.0.1.3680043.10.543"


def make(source, target, number, rows, columns, frames=1):
    subprocess.run(["dcmconv", "+te", str(SOURCES / source), str(target)], check=True)
    pixels = target.with_suffix(".raw")
    frame = os.urandom(rows * columns * 2)
    with pixels.open("wb") as file:
        for _ in range(frames):
            file.write(frame)
    changes = {
        "SOPInstanceUID": f"{ROOT}.1.100000000000000",
        "StudyInstanceUID": f"{ROOT}.2.{number}",
        "SeriesInstanceUID": f"{ROOT}.2.{number}.1",
        "Rows": rows,
        "Columns": columns,
    }
    if frames > 1:
        changes["NumberOfFrames"] = frames
    modify = ["dcmodify", "-nb", "-ie"]
    for keyword, value in changes.items():
        modify += ["-i", f"{keyword}={value}"]
    subprocess.run([*modify, "-if", f"PixelData={pixels}", str(target)], check=True)
    pixels.unlink()


def make_images(folder, large=False):
    folder.mkdir(parents=True, exist_ok=True)
    make("CT_small.dcm", folder / "ct.dcm", 1, 512, 512)
    make("MR_small.dcm", folder / "mr.dcm", 2, 64, 96)
    if large:
        make("CT_small.dcm", folder / "multiframe.dcm", 3, 1024, 1024, 512)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--large", action="store_true", help="the one of 1 GB too")
    arguments = parser.parse_args()
    make_images(arguments.folder, arguments.large)
