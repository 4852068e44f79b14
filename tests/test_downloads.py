"""Downloads: by pooch or by the standard library, always checked; and the command `pynn data`."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
from command_line import complaint, out, run

import pynn
from pynn.datasets import _download, _mnist

MIRRORS = ("https://one.example/mnist/", "https://two.example/mnist/")
CONTENT = b"what the file holds"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Answers = dict[str, bytes | Exception]


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """What each address gives, for a user without pooch and without data."""
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given: Answers = {}

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        answer = given.get(url, URLError("unreachable"))
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return given


def get(folder: Path) -> bytes:
    """Download the file, and read it."""
    _download.download(folder, "file.gz", SHA256, MIRRORS)
    return (folder / "file.gz").read_bytes()


@pytest.mark.parametrize("mirror", MIRRORS)
def test_a_file_is_downloaded_by_the_standard_library(
    mirror: str, answers: Answers, tmp_path: Path
) -> None:
    """From the first mirror that has it, into a folder that is made."""
    answers[f"{mirror}file.gz"] = CONTENT
    assert get(tmp_path / "new" / "folder") == CONTENT


def failure(name: str) -> Exception:
    """An error as requests has them, which pooch uses, without an installed requests."""
    error = type(name, (OSError,), {})("HTTPSConnectionPool(host='one'): Max retries\n" * 9)
    return error


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (URLError("[Errno -2] Name or service not known"), "no connection"),
        (failure("ConnectionError"), "no connection"),
        (HTTPError("", 404, "Not Found", {}, None), "HTTP 404"),  # type: ignore[arg-type]
        (TimeoutError("timed out"), "no answer"),
        (TimeoutError("timed out"), "no answer"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ValueError("x" * 300), f"{'x' * 97}..."),
        (b"tampered with", f"its SHA-256 is {hashlib.sha256(b'tampered with').hexdigest()[:8]}"),
    ],
)
def test_a_failure_is_told_in_few_words(
    answer: bytes | Exception, says: str, answers: Answers, tmp_path: Path
) -> None:
    """For each mirror; nothing is written, whatever the mirror sent."""
    answers[f"{MIRRORS[0]}file.gz"] = answer
    with pytest.raises(_download.DownloadError) as caught:
        get(tmp_path / "new")
    assert str(caught.value).startswith(f"one.example: {says}")
    assert str(caught.value).endswith("; two.example: no connection")
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


# ------------------------------------------------------------ pynn data


@pytest.fixture
def served(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """A small data set on the second mirror, in the place of MNIST."""
    arrays = [np.zeros((3, 2, 2)), np.arange(3), np.ones((2, 2, 2)), np.arange(2)]
    packed, contents = {}, {}
    for name, array in zip(_mnist.CHECKSUMS, arrays, strict=True):
        pynn.datasets.write_idx("idx", array.astype(np.uint8))
        content = Path("idx").read_bytes()
        contents[name] = hashlib.sha256(content).hexdigest()
        answers[f"{MIRRORS[1]}{name}.gz"] = gzip.compress(content)
        packed[name] = hashlib.sha256(answers[f"{MIRRORS[1]}{name}.gz"]).hexdigest()  # type: ignore[arg-type]
    monkeypatch.setattr(_mnist, "MIRRORS", MIRRORS)
    monkeypatch.setattr(_mnist, "CHECKSUMS", packed)
    monkeypatch.setattr(_mnist, "CONTENTS", contents)
    return answers


def test_data_are_downloaded_listed_and_verified(
    served: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into the cache, once; then each command finds them there."""
    cache = tmp_path / "cache" / "pynn" / "mnist"
    assert "not on this machine; pynn data download gets it" in out(capsys, "data")[1]
    assert complaint(capsys, "data", "verify").startswith("MNIST is not in any of the usual fold")
    said = out(capsys, "data", "download")
    assert said == ["mnist: 4 files downloaded, in cache/pynn/mnist"]
    assert len(list(cache.iterdir())) == 4
    served.clear()
    said = out(capsys, "data", "download")
    assert said == ["mnist: all files were there, in cache/pynn/mnist"]
    assert out(capsys, "data", "list")[1].split() == ["in", "cache/pynn/mnist"]
    lines = out(capsys, "data", "verify")
    assert lines == ["cache/pynn/mnist", *(f"  {name}.gz: right" for name in _mnist.CHECKSUMS)]
    assert pynn.datasets.mnist()[0].labels.tolist() == [0, 1, 2]


def test_files_that_are_not_the_original_are_found(
    served: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other bytes, a damaged file and a missing one, and status 1; a plain file may be right."""
    out(capsys, "data", "download", "here")
    first, second, third, fourth = (Path("here", f"{name}.gz") for name in _mnist.CHECKSUMS)
    first.write_bytes(gzip.compress(b"other"))
    second.write_bytes(second.read_bytes()[:-9])
    third.unlink()
    fourth.with_suffix("").write_bytes(gzip.decompress(fourth.read_bytes()))
    fourth.unlink()
    assert run("data", "verify", "here") == 1
    lines = capsys.readouterr().out.splitlines()
    other = hashlib.sha256(b"other").hexdigest()
    assert lines == [
        "here",
        f"  {first.name}: other bytes: SHA-256 {other}",
        f"  {second.name}: damaged",
        f"  {third.stem}: missing",
        f"  {fourth.stem}: right",
    ]


def test_without_a_network_there_is_one_sentence(
    answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command that downloads, and from the one that needs the data."""
    for command in (["data", "download"], ["train"]):
        assert run(*command) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "could not be downloaded (storage.googleapis.com: no connection; " in error
        assert error.endswith("--data DIR\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "here"], "list takes no folder"),
        (["lsit"], "must be list, download or verify, got 'lsit'; did you mean list?"),
    ],
)
def test_wrong_calls_of_data(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, status 2."""
    assert run("data", *arguments) == 2
    assert says in capsys.readouterr().err


# ------------------------------------------------------------ pynn.images


def test_a_picture_becomes_digits() -> None:
    """A row of them, from left to right, with why they may be wrong."""
    folder = Path(__file__).parent.parent / "data" / "digits"
    found: Any = pynn.images.digits(folder / "seven.png")
    assert found.images.shape == (1, 28, 28) and found.images.dtype == np.uint8
    assert found.warnings == () and found.images.max() == 255


def test_a_picture_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is named; without Pillow, what to install."""
    (tmp_path / "text.png").write_bytes(b"text")
    with pytest.raises(pynn.FileFormatError, match=r"text\.png: "):
        pynn.images.digits(tmp_path / "text.png")
    with pytest.raises(FileNotFoundError, match="nothing"):
        pynn.images.digits(tmp_path / "nothing.png")
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got int 5"):
        pynn.images.digits(5)  # type: ignore[arg-type]
    for name in [*sys.modules]:
        if name.startswith("pynn._pictures."):
            monkeypatch.delitem(sys.modules, name)
    for name in ("digit", "ink"):
        monkeypatch.delattr(sys.modules["pynn._pictures"], name, raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"Pillow.*pip install 'pynn-blas\[images\]'"):
        pynn.images.digits(tmp_path / "text.png")
