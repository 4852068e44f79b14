"""What a file is that pynn has not written: told by its first bytes, not by its name."""

from __future__ import annotations

import gzip
import os
import string
import zipfile
import zlib
from typing import BinaryIO, NamedTuple

from pynn._base import reading

START = 512
"""How many bytes at the beginning of a file are looked at."""


class Kind(NamedTuple):
    """What a file is, in words, and what can be done with it, or ""."""

    name: str
    use: str = ""


_IMAGE = "pynn predict and pynn explain read images of digits"
_ARCHIVE = "take out of it what it holds"
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": Kind("a PNG image", _IMAGE),
    b"\xff\xd8\xff": Kind("a JPEG image", _IMAGE),
    b"GIF8": Kind("a GIF image", _IMAGE),
    b"II*\0": Kind("a TIFF image", _IMAGE),
    b"MM\0*": Kind("a TIFF image", _IMAGE),
    b"BM": Kind("a BMP image", _IMAGE),
    b"%PDF-": Kind("a PDF document"),
    b"\x89HDF\r\n\x1a\n": Kind(
        "an HDF5 file, as older versions of Keras save models in",
        "in Keras get_weights() gives the arrays, to be written into model.parameters",
    ),
    b"GGUF": Kind("a GGUF file, a language model of llama.cpp"),
    b"\x93NUMPY": Kind("a NumPy array (.npy)", "numpy.load reads it, and fit takes the array"),
    b"PAR1": Kind("a Parquet table", "pandas.read_parquet reads it"),
    b"BZh": Kind("a file compressed with bzip2", _ARCHIVE),
    b"\xfd7zXZ": Kind("a file compressed with xz", _ARCHIVE),
    b"7z\xbc\xaf": Kind("a 7-Zip archive", _ARCHIVE),
    b"\x7fELF": Kind("a program or a library"),
}
_TORCH = Kind(
    "a file of torch.save (PyTorch)",
    "pynn.formats.pytorch.load reads its weights, if it is given the chain of layers",
)
_IN_ZIP = {
    "data.pkl": _TORCH,
    "config.json": Kind(
        "a model of Keras (.keras)",
        "in Keras get_weights() gives the arrays, to be written into model.parameters",
    ),
    ".npy": Kind("NumPy arrays (.npz)", "numpy.load reads them, and fit takes the arrays"),
    "[Content_Types].xml": Kind("an Office document, such as a workbook of Excel"),
}
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_OLD_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9"
_ONNX = {0x12, 0x1A, 0x22, 0x3A, 0x42}  # the fields of a ModelProto that may follow its version
_PRINTABLE = set(string.printable.encode())


def foreign(path: str) -> Kind | None:
    """Tell what a file is, if it is of another program's; None for what may be pynn's.

    Files of pynn, IDX files and models of the original Rust library begin in other ways.

    Raises:
        OSError: The file cannot be read.
    """
    with reading.opened(path) as file:
        start = file.read(START)
        if start.startswith(b"PK\3\4"):
            return _in_zip(path)
        if start.startswith(b"\x1f\x8b"):
            file.seek(0)
            return _in_gzip(file)
    return _of(start)


def _of(start: bytes) -> Kind | None:
    """Tell what a file with this beginning is."""
    if start.startswith(_OLD_TORCH):
        return _TORCH
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return Kind("a WebP image", _IMAGE)
    # The original Rust library's files begin with a small number in four bytes, so with zeros.
    if start.startswith(_PICKLES) and start[2:4] != b"\0\0":
        return Kind("a pickle of Python, which could run any program", "pynn reads none")
    if len(start) > 2 and start[0] == 8 and 0 < start[1] < 32 and start[2] in _ONNX:
        return Kind("an ONNX model", "onnxruntime runs it; pynn writes such files and reads none")
    return _text(start)


def _in_gzip(file: BinaryIO) -> Kind | None:
    """Tell what a gzip file holds, unless it is an IDX file, or is damaged."""
    try:
        with gzip.open(file) as unpacked:
            start = unpacked.read(START)
    except (OSError, EOFError, zlib.error):
        return None
    if start.startswith(b"\0\0"):
        return None
    inside = _of(start)
    what = f" of {inside.name}" if inside else ""
    return Kind(f"a gzip file{what}", _ARCHIVE)


def _in_zip(path: str) -> Kind:
    """Tell what a zip file is, by the names in it."""
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return Kind("a zip archive that is damaged")
    for ending, kind in _IN_ZIP.items():
        if any(name.endswith(ending) for name in names):
            return kind
    return Kind("a zip archive", _ARCHIVE)


def _text(start: bytes) -> Kind | None:
    """Tell what kind of text a file is, if it is one, or that it is empty."""
    if not start:
        return Kind("an empty file")
    if not set(start) <= _PRINTABLE | set(range(0x80, 0x100)):
        return None
    try:
        # A character of several bytes may be cut at the end.
        text = start.decode("utf-8", errors="strict" if len(start) < START else "ignore")
    except UnicodeDecodeError:
        return None
    if text.lstrip()[:1] in ("{", "["):
        return Kind("text in JSON")
    lines = text.splitlines()[:3]
    for mark in (",", ";", "\t"):
        rows = [line.split(mark) for line in lines]
        same = len(rows) == 3 and len(rows[0]) == len(rows[1]) > 1
        if same and any(cell.strip().lstrip("-")[:1].isdigit() for cell in rows[1]):
            return Kind("a table in text (CSV)", "pandas.read_csv or numpy.loadtxt reads it")
    return Kind("text")


def refuse_foreign(path: str, needs: str = "a model of pynn") -> None:
    """Raise a FileFormatError if a file is another program's, which says what it is."""
    kind = foreign(path)
    if kind is not None:
        use = f"; {kind.use}" if kind.use else ""
        reading.refuse(os.fspath(path), f"is {kind.name}, not {needs}{use}")
