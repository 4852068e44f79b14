"""Downloads of files whose SHA-256 is known: by pooch or, without it, by the standard library."""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pynn._base.atomic import write_atomically

TIMEOUT = 30.0
"""Seconds without an answer after which a mirror is given up."""
MOST = 100 * 2**20
"""The most bytes that a file may have, whatever a mirror sends."""


class DownloadError(Exception):
    """No mirror gave a file; the message says for each why."""


def download(folder: Path, name: str, sha256: str, mirrors: tuple[str, ...]) -> None:
    """Download a file into a folder, from the first mirror that gives the right bytes.

    Raises:
        DownloadError: No mirror did.
        OSError: The file cannot be written.
    """
    try:
        pooch: Any = importlib.import_module("pooch")
    except ModuleNotFoundError as error:
        if error.name != "pooch":
            raise
        pooch = None
    failures = []
    for mirror in mirrors:
        try:
            if pooch is not None:
                with _quiet(pooch.get_logger()):
                    pooch.retrieve(
                        f"{mirror}{name}", known_hash=f"sha256:{sha256}", fname=name, path=folder
                    )
            else:
                content = _read(f"{mirror}{name}", sha256)
                folder.mkdir(parents=True, exist_ok=True)
                write_atomically(folder / name, content)
            return
        except (OSError, ValueError) as error:  # no connection, no space, a wrong checksum
            failures.append(f"{urlsplit(mirror).hostname}: {_why(error)}")
    raise DownloadError("; ".join(failures))


def _read(url: str, sha256: str) -> bytes:
    """Read a file from a mirror, and check it."""
    import urllib.request  # imported here, as few programs download anything

    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        content: bytes = answer.read(MOST)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"its SHA-256 is {found[:8]}..., not {sha256[:8]}...")
    return content


def _why(error: Exception) -> str:
    """The reason of a failure in a few words; requests, which pooch uses, has many."""
    code = getattr(error, "code", None) or getattr(
        getattr(error, "response", None), "status_code", None
    )
    if code is not None:
        return f"HTTP {code}"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"Timeout", "TimeoutError"}:
        return "no answer"
    if kinds & {"ConnectionError", "URLError"}:
        return "no connection"
    text = " ".join((getattr(error, "strerror", None) or str(error)).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep a logger quiet except for errors: the library prints nothing when all goes well."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
