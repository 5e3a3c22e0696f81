#!/usr/bin/env python3
"""Makes the images that the benchmarks send, from those of python3-pydicom.

    bench/make_images.py FOLDER [ct.dcm mr.dcm multiframe.dcm huge.dcm]

Their headers are real; the pixel data is noise of the size that counts. The SOP Instance UID
ends in 15 digits, which the load generator replaces. Needs dcmtk.
"""

import argparse
import os
import pathlib
import struct
import subprocess

SOURCES = pathlib.Path("/usr/lib/python3/dist-packages/pydicom/data/test_files")
ROOT = "1.2.826.0.1.3680043.10.543"
JPEG_LOSSLESS = b"1.2.840.10008.1.2.4.70"

IMAGES = {  # source, rows, columns, frames
    "ct.dcm": ("CT_small.dcm", 512, 512, 1),
    "mr.dcm": ("MR_small.dcm", 64, 96, 1),
    "multiframe.dcm": ("CT_small.dcm", 1024, 1024, 512),
    "huge.dcm": ("CT_small.dcm", 1024, 1024, 4000),
}
GIGABYTES = {"multiframe.dcm": 1.1, "huge.dcm": 4}


def make(path):
    """The one of this name. An uncompressed element ends below 4 GiB, so huge.dcm has
    fragments: 4,000 frames of 1 MB each, which pass for JPEG Lossless as nobody decodes them."""
    source, rows, columns, frames = IMAGES[path.name]
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dcmconv", "+te", str(SOURCES / source), str(path)], check=True)
    number = list(IMAGES).index(path.name) + 1
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
    if path.name == "huge.dcm":
        subprocess.run([*modify, "-ea", "PixelData", "-ea", "(fffc,fffc)", str(path)], check=True)
        add_fragments(path, frames)
        return
    pixels = path.with_suffix(".raw")
    frame = os.urandom(rows * columns * 2)
    with pixels.open("wb") as file:
        for _ in range(frames):
            file.write(frame)
    subprocess.run([*modify, "-if", f"PixelData={pixels}", str(path)], check=True)
    pixels.unlink()


def add_fragments(path, frames):
    """Pixel Data of undefined length (PS3.5 A.4), behind all other elements."""
    bytes_ = path.read_bytes()
    syntax = b"1.2.840.10008.1.2.1\0"  # Explicit VR Little Endian, as dcmconv wrote it
    old = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    new = struct.pack("<HH2sH", 2, 0x10, b"UI", len(JPEG_LOSSLESS)) + JPEG_LOSSLESS
    assert bytes_.count(old) == 1
    bytes_ = bytes_.replace(old, new)
    length = struct.unpack_from("<I", bytes_, 140)[0] + len(new) - len(old)
    bytes_ = bytes_[:140] + struct.pack("<I", length) + bytes_[144:]
    frame = struct.pack("<HHI", 0xFFFE, 0xE000, 1_000_000) + os.urandom(1_000_000)
    with path.open("wb") as file:
        file.write(bytes_)
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF))
        file.write(struct.pack("<HHI", 0xFFFE, 0xE000, 0))  # no offset table
        for _ in range(frames):
            file.write(frame)
        file.write(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("images", nargs="*", choices=IMAGES, default=["ct.dcm", "mr.dcm"])
    arguments = parser.parse_args()
    for name in arguments.images:
        make(arguments.folder / name)
