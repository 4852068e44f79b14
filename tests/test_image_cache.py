"""What pynn.datasets.images keeps: it is found again, never out of date, and never half of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import pytest
from PIL import Image

from pynn.datasets import _images, _kept, images

Pixels = npt.NDArray[np.uint8]
Decode = Callable[..., Pixels]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pynn" / "images"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes with two images each, of 5 x 4 pixels."""
    for number in range(4):
        path = tmp_path / "set" / "ab"[number // 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, number)
    return tmp_path / "set"


def save(path: Path, seed: int) -> None:
    """Write a random image; images of one seed are the same."""
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded."""
    names: list[str] = []
    decode: Decode = _images.decode

    def note(path: str, how: Any) -> Pixels:
        names.append(os.path.basename(path))
        return decode(path, how)

    monkeypatch.setattr(_images, "decode", note)
    return names


def kept(cache: Path) -> list[Path]:
    """All that is in a cache, hidden or not."""
    return sorted(cache.iterdir()) if cache.is_dir() else []


def test_the_second_call_decodes_nothing(root: Path, cache: Path, decoded: list[str]) -> None:
    """It maps the file that the first has written, which is the user's alone."""
    first, second = images(root), images(root)
    assert decoded == ["0.png", "1.png", "2.png", "3.png"]
    for found in (first, second):
        assert isinstance(found.images, np.memmap) and not found.images.flags.writeable
        np.testing.assert_array_equal(found.images, images(root, cache=False).images)
        assert found.labels.tolist() == [0, 0, 1, 1]
    (path,) = kept(cache)
    assert path.stat().st_size == 80 + 4 * 60
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("where", ["named", "no/such/folder"])
def test_the_cache_may_be_named(
    root: Path, cache: Path, decoded: list[str], tmp_path: Path, where: str
) -> None:
    """Then nothing is written elsewhere, and without a cache nothing at all."""
    assert not isinstance(images(root, cache=False).images, np.memmap)
    for _ in range(2):
        assert isinstance(images(root, cache=tmp_path / where).images, np.memmap)
    assert len(decoded) == 8 and len(kept(tmp_path / where)) == 1
    assert not cache.exists()


def overwrite(root: Path) -> None:
    save(root / "a" / "1.png", 9)


def touch(root: Path) -> None:
    os.utime(root / "a" / "1.png", ns=(5, 5))


def rename(root: Path) -> None:
    (root / "b" / "2.png").rename(root / "b" / "4.png")


def add(root: Path) -> None:
    save(root / "b" / "4.png", 9)


def remove(root: Path) -> None:
    (root / "a" / "1.png").unlink()


def behind_the_back(root: Path) -> None:
    """Other bytes of the same length and modification time, as a copy with its times may have."""
    path = root / "a" / "1.png"
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [overwrite, touch, rename, add, remove, behind_the_back])
def test_no_images_out_of_date(
    root: Path, cache: Path, decoded: list[str], change: Callable[[Path], None]
) -> None:
    """Where a file is another, all are decoded anew, into the same file; old arrays stay."""
    before = images(root)
    copied = before.images.copy()
    change(root)
    decoded.clear()
    after = images(root)
    assert len(decoded) == len(after.files) > 2
    np.testing.assert_array_equal(after.images, images(root, cache=False).images)
    np.testing.assert_array_equal(before.images, copied)
    assert len(kept(cache)) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"size": 3},
        {"size": (5, 4)},
        {"grey": True},
        {"size": 3, "resize": "crop"},
        {"classes": "ba"},
    ],
)
def test_each_argument_has_its_own(
    root: Path, cache: Path, decoded: list[str], options: dict[str, Any]
) -> None:
    """The next call with the same arguments finds its images again."""
    if "classes" in options:
        options = {"classes": tuple(options["classes"])}
    images(root)
    decoded.clear()
    for _ in range(2):
        found = images(root, **options)
    assert len(decoded) == 4 and len(kept(cache)) == 2
    np.testing.assert_array_equal(found.images, images(root, cache=False, **options).images)
    images(root)
    assert len(decoded) == 8


@pytest.mark.parametrize("what", ["Pillow", "pynn"])
def test_another_version_decodes_anew(
    root: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Its decoders may give other pixels."""
    images(root)
    if what == "Pillow":
        monkeypatch.setattr(PIL, "__version__", "99")
    else:
        monkeypatch.setattr(_images, "VERSION", 99)
    images(root)
    assert len(decoded) == 8


# ------------------------------------------------------------ damage


def damages() -> dict[str, Callable[[bytes], bytes]]:
    """What may have become of a file of 320 bytes, 80 of them a header."""
    cases: dict[str, Callable[[bytes], bytes]] = {
        f"cut at {length}": lambda b, n=length: b[:n]  # type: ignore[misc]
        for length in (0, 1, 8, 40, 76, 79, 80, 81, 319)
    }
    cases["height and width exchanged"] = lambda b: b[:56] + b[64:72] + b[56:64] + b[72:]
    cases["longer"] = lambda b: b + b"\0"
    cases["twice"] = lambda b: b + b[80:]
    cases["zeros"] = lambda b: bytes(len(b))
    cases["no pixels"] = lambda b: b[:80] + bytes(240)
    for at in (*range(76), 80, 200, 319):
        cases[f"byte {at}"] = lambda b, n=at: b[:n] + bytes([b[n] ^ 1]) + b[n + 1 :]  # type: ignore[misc]
    return cases


@pytest.mark.parametrize("damage", damages())
@pytest.mark.usefixtures("unflushed")
def test_a_damaged_file_is_made_anew(
    root: Path, cache: Path, decoded: list[str], damage: str
) -> None:
    """Every field of the header, the length, and the pixels are checked."""
    expected = images(root).images.copy()
    (path,) = kept(cache)
    good = path.read_bytes()
    path.unlink()  # a file that is mapped must not be made shorter
    path.write_bytes(damages()[damage](good))
    np.testing.assert_array_equal(images(root).images, expected)
    assert len(decoded) == 8
    assert path.read_bytes() == good


def test_lengths_that_overflow(root: Path, cache: Path) -> None:
    """A hostile header cannot make the sum wrap around."""
    expected = images(root).images.copy()
    (path,) = kept(cache)
    good = path.read_bytes()
    header = list(_kept.HEADER.unpack(good[:80]))
    header[4:6] = 2**63, 2**63
    path.unlink()
    path.write_bytes(_kept.HEADER.pack(*header) + good[80:])
    np.testing.assert_array_equal(images(root).images, expected)


@pytest.mark.parametrize("named", [False, True])
def test_no_file_in_its_place(root: Path, cache: Path, named: bool) -> None:
    """A pipe in its place is left alone: the images are in memory, or it is an error."""
    images(root)
    (path,) = kept(cache)
    path.unlink()
    os.mkfifo(path)
    if named:
        with pytest.raises(OSError, match="it is a pipe, a socket or a device") as caught:
            images(root, cache=cache)
        assert caught.value.filename == str(path)
    else:
        assert not isinstance(images(root).images, np.memmap)
    assert kept(cache) == [path] and path.is_fifo()


# ------------------------------------------------------------ others, and no room


def test_two_processes_at_once(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    """One begins and ends while another is at work: both have their images, and one file stays."""
    decode: Decode = _images.decode
    others: list[Pixels] = []

    def decode_in_between(path: str, how: Any) -> Pixels:
        if path.endswith("1.png"):
            monkeypatch.setattr(_images, "decode", decode)
            others.append(images(root).images)
        return decode(path, how)

    monkeypatch.setattr(_images, "decode", decode_in_between)
    first = images(root).images
    np.testing.assert_array_equal(first, others[0])
    np.testing.assert_array_equal(first, images(root, cache=False).images)
    assert len(kept(cache)) == 1
    decoded.clear()
    images(root)
    assert not decoded


def test_what_is_mapped_outlives_its_file(root: Path, cache: Path) -> None:
    """Whoever empties the cache harms nobody."""
    found = images(root).images
    kept(cache)[0].unlink()
    np.testing.assert_array_equal(found, images(root, cache=False).images)


def test_ctrl_c_leaves_nothing(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half of a file, and the one from before stays."""
    images(root)
    before = kept(cache)[0].read_bytes()
    touch(root)
    decode: Decode = _images.decode

    def interrupt(path: str, how: Any) -> Pixels:
        if path.endswith("3.png"):
            raise KeyboardInterrupt
        return decode(path, how)

    monkeypatch.setattr(_images, "decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        images(root)
    assert [path.read_bytes() for path in kept(cache)] == [before]


def a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)


def a_file_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("")


@pytest.mark.parametrize("arrange", [a_full_disk, a_file_instead])
def test_a_cache_that_cannot_be_written(
    root: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Callable[[Path, pytest.MonkeyPatch], None],
) -> None:
    """The images are in memory; where the caller has named the cache, it is an error."""
    arrange(tmp_path, monkeypatch)
    found = images(root).images
    assert not isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, images(root, cache=False).images)
    with pytest.raises(OSError) as caught:
        images(root, cache=cache)
    assert str(caught.value.filename).startswith(str(tmp_path / "cache"))
    assert not kept(cache)


def test_a_user_without_a_home(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images are in memory."""

    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", fail)
    assert not isinstance(images(root).images, np.memmap)
