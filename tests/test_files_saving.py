"""Saving is all or nothing: a file is complete before it takes its name; its permissions stay."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from model_files import X, Y, build

import pynn
from pynn._files.safetensors import to_bytes


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("existing", [True, False])
def test_failed_save_leaves_what_was_there(
    function: str,
    error: BaseException,
    existing: bool,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When writing fails or is interrupted the old file stays, and nothing lies beside it."""
    if existing:
        path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    model = build()
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(os, function, fail)
        model.save(path)
    assert [file.name for file in path.parent.iterdir()] == ([path.name] if existing else [])
    assert not existing or path.read_bytes() == b"old"
    model.save(path)
    assert pynn.load(path).inputs == 3


def test_bytes_are_on_disk_before_the_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file is complete and synced before it takes the old one's place, and that after."""
    path.write_bytes(b"old")
    fsync, replace = os.fsync, os.replace
    events: list[tuple[str, int]] = []
    folder = path.parent.stat()

    def spy_fsync(descriptor: int) -> None:
        what = os.fstat(descriptor)
        if os.path.samestat(what, folder):
            events.append(("fsync of the folder", 0))
        else:
            events.append(("fsync", what.st_size))
        fsync(descriptor)

    def spy_replace(source: str | Path, target: str | Path) -> None:
        assert path.read_bytes() == b"old"
        assert Path(source).parent == Path(target).parent  # else the rename could be a copy
        events.append(("replace", os.stat(source).st_size))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    build().save(path)
    size = path.stat().st_size
    last = [("fsync of the folder", 0)] if os.name == "posix" else []
    assert events == [("fsync", size), ("replace", size), *last]


@pytest.mark.skipif(os.name != "posix", reason="has no such permissions")
def test_saved_file_has_ordinary_permissions(path: Path) -> None:
    """The file is as readable as any that the user makes."""
    plain = path.with_name("plain")
    plain.touch()
    build().save(path)
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="has no such permissions")
def test_replaced_file_keeps_its_permissions(path: Path) -> None:
    """A private file stays private."""
    path.touch()
    path.chmod(0o600)
    build().save(path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="has no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o440, 0o666])
def test_file_is_never_open_to_more_than_at_its_end(
    mode: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary file beside a private file is private from the start."""
    path.touch()
    path.chmod(mode)
    fsync, seen = os.fsync, []

    def spy(descriptor: int) -> None:
        seen.append(os.fstat(descriptor).st_mode & 0o777)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    build().save(path)
    assert seen[0] & ~mode == 0
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.name != "posix", reason="has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_umask_is_the_systems_business(
    mask: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new file is masked, and the process's mask is never changed: it is every thread's."""
    model, umask = build(), os.umask
    before = umask(mask)
    try:
        with monkeypatch.context() as patch:
            patch.delattr(os, "umask")
            model.save(path)
        assert umask(mask) == mask
    finally:
        umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names")
@pytest.mark.parametrize("linked", [True, False])
def test_what_is_no_file_is_not_replaced_by_one(linked: bool, path: Path) -> None:
    """A pipe stays a pipe, as a device stays one, and the error names it."""
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    if linked:
        path.symlink_to(pipe)
    there = path if linked else pipe
    before = sorted(os.listdir(path.parent))
    with pytest.raises(OSError, match="a pipe, a socket or a device, not a file") as caught:
        build().save(there)
    assert caught.value.filename == str(there)
    assert pipe.is_fifo()
    assert sorted(os.listdir(path.parent)) == before


@pytest.mark.skipif(os.name != "posix", reason="needs a privilege for links")
def test_link_is_followed(path: Path) -> None:
    """To save through a link replaces the file that it points to, not the link."""
    folder = path.with_name("elsewhere")
    folder.mkdir()
    path.symlink_to(folder / "real")
    build().save(path)
    assert path.is_symlink()
    assert os.listdir(folder) == ["real"]
    assert pynn.load(path).inputs == 3


@pytest.mark.skipif(os.name != "posix", reason="makes no hard links")
def test_another_name_of_the_file_keeps_the_old_one(path: Path) -> None:
    """A hard link is not followed: the new file has the name that it was saved by alone."""
    other = path.with_name("other")
    path.write_bytes(b"old")
    other.hardlink_to(path)
    build().save(path)
    assert other.read_bytes() == b"old"
    assert pynn.load(path).inputs == 3
    assert path.stat().st_nlink == other.stat().st_nlink == 1


LONG_NAMES = ["n" * 237, "n" * 238, "n" * 255, "\xe9" * 127, "\u4e2d" * 85, "\U0001f600" * 63]


@pytest.mark.parametrize("name", LONG_NAMES, ids=lambda name: f"{len(name.encode())} bytes")
@pytest.mark.parametrize("writer", ["save", "fit", "csv", "idx", "gz", "nn_rust", "pytorch", "c"])
def test_any_name_that_a_file_may_have_is_written(writer: str, name: str, tmp_path: Path) -> None:
    """The temporary file beside it has a name no longer than its own, and is removed."""
    from pynn.formats import nn_rust, pytorch

    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("the file system has no such names")
    (tmp_path / name).unlink()
    short = name.encode()[:240].decode(errors="ignore")
    model = pynn.Builder().input(3).dense(2).softmax_cross_entropy().build(seed=0)
    write: dict[str, Callable[[], Any]] = {
        "save": lambda: model.save(tmp_path / name),
        "fit": lambda: model.fit(X, Y, epochs=1, checkpoint=tmp_path / name),
        "csv": lambda: pynn.History([0.5]).to_csv(tmp_path / name),
        "idx": lambda: pynn.datasets.write_idx(tmp_path / name, np.zeros(3, np.uint8)),
        "gz": lambda: pynn.datasets.write_idx(tmp_path / f"{short}.gz", np.zeros(3, np.uint8)),
        "nn_rust": lambda: nn_rust.save(model, tmp_path / name),
        "pytorch": lambda: pytorch.save(model, tmp_path / name),
        "c": lambda: model.export_c(tmp_path / f"{short}.c", name="n"),
    }
    write[writer]()
    names = {"gz": [f"{short}.gz"], "c": [f"{short}.c", f"{short}.h"]}.get(writer, [name])
    assert sorted(os.listdir(tmp_path)) == names


def test_saving_into_a_missing_folder_names_the_file(path: Path) -> None:
    """The error has the name that the caller gave."""
    missing = path / "deeper" / "model"
    with pytest.raises(FileNotFoundError) as caught:
        build().save(missing)
    assert caught.value.filename == str(missing)


@pytest.mark.parametrize("name", ["", ".", "folder"])
def test_saving_over_a_folder_is_an_oserror(
    name: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is no place for a file, and keeps no trace of the attempt."""
    monkeypatch.chdir(path.parent)
    (path.parent / "folder").mkdir()
    with pytest.raises(OSError) as caught:
        build().save(name)
    assert caught.value.filename == name
    assert os.listdir() == ["folder"]
    assert os.listdir("folder") == []


@pytest.mark.parametrize("metadata", [None, {"é": 'quoted: "\\"'}])
def test_bytes_are_those_of_the_safetensors_library(metadata: dict[str, str] | None) -> None:
    """Tensors of both types, empty ones, and names beyond ASCII; the library's metadata vary."""
    rng = np.random.default_rng(0)
    tensors: dict[str, Any] = {
        "b": rng.random((3, 2), np.float32),
        "a": rng.random((2, 4), np.float32).T,
        "é 中": np.zeros((0, 3), np.float32),
        "steps": np.array(7, np.int64),
    }
    dense = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    dense["steps"] = tensors["steps"]
    assert to_bytes(tensors, metadata) == safetensors.numpy.save(dense, metadata)


def test_metadata_are_in_the_order_of_their_names() -> None:
    """So a model always gives the same bytes; the library reads them."""
    metadata = {"é": 'quoted: "\\"', "b": "", "a": "1"}
    contents = to_bytes({"x": np.ones(3, np.float32)}, metadata)
    place = [contents.index(f'"{name}":'.encode()) for name in ("a", "b", "é", "x")]
    assert place == sorted(place)
    assert contents == to_bytes({"x": np.ones(3, np.float32)}, dict(sorted(metadata.items())))
    assert safetensors.numpy.load(contents)["x"].tolist() == [1, 1, 1]
