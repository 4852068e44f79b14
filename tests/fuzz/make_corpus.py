"""Write the seeds of the fuzz targets, which are kept: python tests/fuzz/make_corpus.py

A file's name says what is in it. tests/test_hostile_idx.py compares the two.
"""

from __future__ import annotations

import struct
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
MOST = 2**32 - 1  # the largest that a dimension can be

UINT8, INT16, FLOAT64 = 0x08, 0x0B, 0x0E
TYPES = {
    "uint8": (UINT8, 1),
    "int8": (0x09, 1),
    "int16": (INT16, 2),
    "int32": (0x0C, 4),
    "float32": (0x0D, 4),
    "float64": (FLOAT64, 8),
}


def idx(kind: int, *dims: int, payload: bytes = b"") -> bytes:
    """An IDX file: the type of its elements, its dimensions, and whatever follows them."""
    return bytes([0, 0, kind, len(dims)]) + struct.pack(f">{len(dims)}I", *dims) + payload


def idx_seeds() -> dict[str, bytes]:
    """The seeds for fuzz_idx.c, by name."""
    some = bytes(range(1, 256))
    seeds = {}
    for name, (kind, nbytes) in TYPES.items():
        seeds[f"{name}-scalar"] = idx(kind, payload=some[:nbytes])
        seeds[f"{name}-vector"] = idx(kind, 3, payload=some[: 3 * nbytes])
        seeds[f"{name}-matrix"] = idx(kind, 2, 3, payload=some[: 6 * nbytes])
    image = idx(UINT8, 2, 3, 3, payload=some[:18])
    for length in (0, 1, 2, 3, 4, 15, 16, 17, 33):
        seeds[f"images-cut-at-{length}"] = image[:length]
    return seeds | {
        # the header's bytes
        "magic-01-00": b"\1" + image[1:],
        "magic-00-01": b"\0\1" + image[2:],
        "magic-of-gzip": b"\x1f\x8b\x08\0" + image[4:],
        **{f"type-{kind:02x}": idx(kind, 1, payload=some[:1]) for kind in (0, 7, 10, 15, 255)},
        # the number of dimensions
        "dims-255": idx(UINT8, *[1] * 255, payload=b"x"),
        "dims-255-int16": idx(INT16, *[1] * 255, payload=b"xy"),
        "dims-255-cut": idx(UINT8, *[1] * 255)[:-1],
        "dims-255-missing": idx(UINT8, *[1] * 255)[:4],
        "dims-255-largest": idx(FLOAT64, *[MOST] * 255),
        "dims-65-more-than-numpy": idx(UINT8, *[1] * 65, payload=b"x"),
        # no elements
        "none": idx(UINT8, 0),
        "none-of-three": idx(INT16, 3, 0, 2),
        "none-before-largest": idx(FLOAT64, 0, MOST, MOST, MOST),
        "none-after-largest": idx(FLOAT64, MOST, MOST, MOST, 0),
        "none-and-a-byte": idx(UINT8, 0, payload=b"x"),
        # claims that cannot be kept; sizes around those that can be counted
        "claims-2-to-60": idx(UINT8, 2**30, 2**30),
        "claims-2-to-60-float64": idx(FLOAT64, 2**30, 2**30),
        "claims-2-to-60-in-60-dims": idx(UINT8, *[2] * 60),
        "claims-2-to-32-less-1": idx(UINT8, MOST),
        "claims-2-to-32": idx(UINT8, 2**16, 2**16),
        "claims-2-to-63": idx(INT16, 2**31, 2**31),
        "claims-2-to-64-less-1": idx(UINT8, MOST, 641, 6700417),
        "claims-2-to-64-less-1-int16": idx(INT16, MOST, 641, 6700417),
        "claims-2-to-64": idx(UINT8, 2**31, 2, 2**31, 2),
        "claims-2-to-64-int16": idx(INT16, 2**31, 2**31, 2),
        "claims-2-to-64-and-4-has-4": idx(UINT8, 111620, 429509837, 384773, payload=b"abcd"),
        "claims-largest-square": idx(UINT8, MOST, MOST),
        "claims-largest-square-float64": idx(FLOAT64, MOST, MOST),
        # more than is claimed
        "trailing-byte": image + b"x",
        "trailing-element": idx(FLOAT64, 1, payload=some[:16]),
        "trailing-file": image + image,
        # as in MNIST
        "mnist-images-cut": idx(UINT8, 60000, 28, 28, payload=bytes(8)),
        "mnist-labels": idx(UINT8, 10, payload=bytes(range(10))),
    }


def main() -> None:
    for name, content in idx_seeds().items():
        (CORPUS / "idx" / name).write_bytes(content)


if __name__ == "__main__":
    main()
