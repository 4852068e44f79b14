"""Model files: what is saved is loaded, what is damaged refused, and saving is all or nothing."""

from __future__ import annotations

import copy
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import pynn

Tensors = dict[str, npt.NDArray[Any]]
X = np.random.default_rng(8).normal(size=(9, 3)).astype(np.float32)
Y = np.arange(9) % 2
DESCRIPTION = {
    "input": 3,
    "layers": [
        {"kind": "dense", "outputs": 4, "init": "he"},
        {"kind": "relu"},
        {"kind": "dense", "outputs": 5, "init": "xavier"},
        {"kind": "sigmoid"},
        {"kind": "tanh"},
        {"kind": "dense", "outputs": 2, "init": "he"},
    ],
    "loss": "softmax_cross_entropy",
    "seed": 2**64 - 1,
    "epochs_trained": 2,
    "steps_trained": 6,
}


def build() -> pynn.Model:
    """The model of DESCRIPTION, trained for its two epochs."""
    chain = (
        pynn.Builder().input(3).dense(4).relu().dense(5, init="xavier").sigmoid().tanh().dense(2)
    )
    model = chain.softmax_cross_entropy().build(seed=2**64 - 1)
    model.fit(X, Y, epochs=2, batch_size=4)
    return model


def write(
    path: Path, tensors: Tensors | None = None, description: object = DESCRIPTION, **metadata: str
) -> None:
    """Write a model file from its parts: those of build() where nothing else is said."""
    entries = {"format": "pynn", "format_version": "1", "model": json.dumps(description)} | metadata
    save_file(dict(build().parameters) if tensors is None else tensors, path, entries)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in a folder of its own."""
    return tmp_path / "model.safetensors"


def refusal(path: Path) -> str:
    """What load says of a file that is no model; it begins with the file's name."""
    with pytest.raises(pynn.FileFormatError) as caught:
        pynn.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


# ------------------------------------------------------------ there and back


def test_loaded_model_is_the_saved_one(path: Path) -> None:
    """Chain, parameters to the bit, answers and epochs come back."""
    model = build()
    model.save(path)
    loaded = pynn.load(path)
    assert repr(loaded) == repr(model)
    assert loaded.epochs_trained == 2
    assert loaded.parameters.keys() == model.parameters.keys()
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(
            array.view(np.uint32), loaded.parameters[name].view(np.uint32)
        )
    np.testing.assert_array_equal(model(X), loaded(X))
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38])
def test_odd_floats_survive(value: float, path: Path) -> None:
    """What diverged is saved as it is."""
    model = build()
    model.parameters["dense2.weight"][1, 2] = value
    model.save(path)
    expected = np.float32(value).view(np.uint32)
    assert pynn.load(path).parameters["dense2.weight"][1, 2].view(np.uint32) == expected


def test_every_kind_of_layer_comes_back(path: Path) -> None:
    """With its arguments: the chain is the same, and so are its answers."""
    chain = pynn.Builder().input(3).dense(4).leaky_relu(0.3).gelu().dense(5, init="xavier").relu()
    model = chain.sigmoid().tanh().leaky_relu().dense(2).softmax_cross_entropy().build(seed=1)
    model.save(path)
    assert repr(pynn.load(path)) == repr(model)
    np.testing.assert_array_equal(pynn.load(path)(X), model(X))


def test_training_goes_on_where_it_was_saved(path: Path) -> None:
    """Save and load in the middle change no bit of what follows."""
    model = build()
    model.save(path)
    loaded = pynn.load(path)
    for m in (model, loaded):
        m.fit(X, Y, epochs=3, batch_size=4)
    np.testing.assert_array_equal(model(X), loaded(X))
    assert loaded.epochs_trained == 5


def test_loaded_model_is_independent_of_the_file(path: Path) -> None:
    """The file can be overwritten and removed under a loaded model."""
    model = build()
    model.save(path)
    loaded = pynn.load(path)
    path.write_bytes(bytes(path.stat().st_size))
    path.unlink()
    np.testing.assert_array_equal(model(X), loaded(X))


def test_everybody_can_read_the_file(path: Path) -> None:
    """The safetensors library alone gives the parameters and a description in JSON."""
    model = build()
    model.save(path)
    tensors = load_file(path)
    assert tensors.keys() == model.parameters.keys()
    for name, array in model.parameters.items():
        assert tensors[name].dtype == np.float32
        np.testing.assert_array_equal(tensors[name], array)
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    assert {name: metadata[name] for name in ("format", "format_version")} == {
        "format": "pynn",
        "format_version": "1",
    }
    assert json.loads(metadata["model"]) == DESCRIPTION
    assert len(metadata) == 3


def test_files_without_a_count_of_steps_are_read(path: Path) -> None:
    """The first files had none."""
    write(path, description={n: v for n, v in DESCRIPTION.items() if n != "steps_trained"})
    assert pynn.load(path).steps_trained == 0


def test_everybody_can_write_the_file(path: Path) -> None:
    """A file made with the safetensors library alone is a model."""
    write(path)
    np.testing.assert_array_equal(pynn.load(path)(X), build()(X))


@pytest.mark.parametrize("as_path", [str, Path, lambda path: os.fspath(path).encode().decode()])
def test_path_may_be_a_string(as_path: Callable[[Path], Any], path: Path) -> None:
    """save and load take a str and a Path."""
    build().save(as_path(path))
    assert pynn.load(as_path(path)).inputs == 3


def test_relative_path_is_in_the_current_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name without a folder works."""
    monkeypatch.chdir(path.parent)
    build().save("here")
    assert pynn.load("here").inputs == 3
    assert os.listdir() == ["here"]


@pytest.mark.parametrize("wrong", [None, 3, b"model"])
def test_what_is_no_path_is_refused(wrong: Any) -> None:
    """The error says what a path is."""
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got"):
        build().save(wrong)
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got"):
        pynn.load(wrong)


# ------------------------------------------------------------ saving is all or nothing


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
    """What is written beside a private file is as private from the start."""
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
    with pytest.raises(OSError, match="no file but a pipe, a socket or a device") as caught:
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
    """What is written beside it has no longer a name, and is gone in the end."""
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


# ------------------------------------------------------------ what is refused


def test_missing_file_is_a_file_not_found_error(path: Path) -> None:
    """As from open()."""
    with pytest.raises(FileNotFoundError) as caught:
        pynn.load(path)
    assert caught.value.filename in (path, str(path))


@pytest.mark.skipif(os.name != "posix", reason="opens a folder with another error")
def test_folder_is_an_is_a_directory_error(path: Path) -> None:
    """As from open()."""
    with pytest.raises(IsADirectoryError):
        pynn.load(path.parent)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"{}", b"hello, this is a text\n" * 9, bytes(100), b"\xff" * 100, b"PK\3\4" * 9],
)
def test_other_files_are_refused(content: bytes, path: Path) -> None:
    """What was never a safetensors file is said to be none."""
    path.write_bytes(content)
    assert refusal(path).startswith("not a safetensors file: ")


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 100, -200, -9, -8, -4, -1])
def test_truncated_file_is_refused(cut: int, path: Path) -> None:
    """A file that ends early is refused, wherever it ends."""
    build().save(path)
    path.write_bytes(path.read_bytes()[:cut])
    assert refusal(path).startswith("not a safetensors file: ")


def test_trailing_bytes_are_refused(path: Path) -> None:
    """A file that goes on after its end is refused."""
    build().save(path)
    path.write_bytes(path.read_bytes() + b"\0")
    assert refusal(path).startswith("not a safetensors file: ")


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"model": "{}"}])
def test_files_of_others_are_refused(metadata: dict[str, str] | None, path: Path) -> None:
    """A safetensors file that pynn did not write is said to be no model of pynn."""
    save_file(dict(build().parameters), path, metadata)
    assert refusal(path).startswith(
        "not a model of pynn: its metadata has no entry 'format' that is 'pynn'"
    )


@pytest.mark.parametrize("version", ["0", "2", "1.0", " 1", ""])
def test_unknown_version_is_refused(version: str, path: Path) -> None:
    """The error has the file's version and the one that is known."""
    write(path, format_version=version)
    assert refusal(path).startswith(
        f"format version {version!r} is unknown; this pynn reads version '1'. A newer pynn may"
    )


def test_missing_version_is_refused(path: Path) -> None:
    """No version is no version 1."""
    save_file(dict(build().parameters), path, {"format": "pynn", "model": json.dumps(DESCRIPTION)})
    assert refusal(path).startswith("format version None is unknown")


def test_unknown_entry_of_the_metadata_is_refused(path: Path) -> None:
    """It may say what changes the model, so it is not passed over."""
    write(path, author="somebody", format_of_weights="int8")
    assert refusal(path) == (
        "the description of the model in its metadata is damaged: its metadata has unknown entries:"
        " author, format_of_weights; a newer pynn may read them"
    )


@pytest.mark.parametrize("loss", ["mean_squared_error", "binary_cross_entropy"])
def test_entry_of_another_loss_is_refused(loss: str, path: Path) -> None:
    """It does nothing there, so it is a mistake."""
    write(path, description=DESCRIPTION | {"loss": loss, "label_smoothing": 0.1})
    assert "label_smoothing is of softmax_cross_entropy, not of" in refusal(path)


@pytest.mark.parametrize(
    "quoted",
    ["9" * 100_000, "\x1b[2J\n\r\x00" * 1000, "\u202e" * 1000],
    ids=["long", "codes", "turned"],
)
def test_what_a_message_quotes_is_short_and_harmless(quoted: str, path: Path) -> None:
    """A file cannot flood a terminal, or steer it, by the words that an error repeats."""
    write(path, {quoted: np.zeros(1, np.float32)}, format_version="1")
    named = refusal(path)
    write(path, format_version=quoted)
    for message in (named, refusal(path)):
        assert len(message) < 500
        assert message.isprintable()


def changed(name: str, array: npt.NDArray[Any] | None) -> Tensors:
    """The tensors of build() with one added, replaced, or (None) left out."""
    tensors: Tensors = dict(build().parameters)
    if array is None:
        del tensors[name]
    else:
        tensors[name] = array
    return tensors


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("dense1.bias", None, "tensors are missing: dense1.bias"),
        ("dense3.weight", None, "tensors are missing: dense3.weight"),
        (
            "dense4.bias",
            np.zeros(3, np.float32),
            "tensors that the model does not have: dense4.bias",
        ),
        (
            "dense1.bias",
            np.zeros(5, np.float32),
            "tensor dense1.bias must have shape [4], has [5]",
        ),
        (
            "dense1.weight",
            np.zeros((4, 3), np.float32),
            "tensor dense1.weight must have shape [3, 4], has [4, 3]",
        ),
        (
            "dense1.weight",
            np.zeros(12, np.float32),
            "tensor dense1.weight must have shape [3, 4], has [12]",
        ),
        (
            "dense2.bias",
            np.zeros((5, 1), np.float32),
            "tensor dense2.bias must have shape [5], has [5, 1]",
        ),
        (
            "dense2.bias",
            np.zeros(5, np.float64),
            "tensor dense2.bias must be of dtype F32 (float32), is F64",
        ),
        (
            "dense2.bias",
            np.zeros(5, np.float16),
            "tensor dense2.bias must be of dtype F32 (float32), is F16",
        ),
        (
            "dense2.bias",
            np.zeros(5, np.int32),
            "tensor dense2.bias must be of dtype F32 (float32), is I32",
        ),
    ],
)
def test_wrong_tensors_are_refused(
    name: str, array: npt.NDArray[Any] | None, words: str, path: Path
) -> None:
    """The error names the tensor, what it must be, and what it is."""
    write(path, changed(name, array))
    assert refusal(path) == words


def with_entry(place: str, value: Any) -> dict[str, Any]:
    """DESCRIPTION with the entry at a place such as "layers.0.kind" replaced."""
    description = copy.deepcopy(DESCRIPTION)
    *way, last = (int(step) if step.isdigit() else step for step in place.split("."))
    target: Any = description
    for step in way:
        target = target[step]
    target[last] = value
    return description


def without_entry(place: str) -> dict[str, Any]:
    """DESCRIPTION without the entry at a place."""
    description = with_entry(place, None)
    target: Any = description
    *way, last = place.split(".")
    for step in way:
        target = target[int(step) if step.isdigit() else step]
    del target[last]
    return description


DAMAGED: list[tuple[str, str]] = [
    ("", "Expecting value"),
    ("{", "Expecting property name"),
    (json.dumps(DESCRIPTION)[:-1], "Expecting"),
    (json.dumps(DESCRIPTION) + "}", "Extra data"),
    ("null", "expected an object, got NoneType None"),
    ("[1]", "expected an object, got list [1]"),
    ("[" * 50_000, "recursion"),
    ('{"input": ' * 50_000, "recursion"),
    ("[" * 100_000, "100,000 bytes of JSON hold more entries than such a file can have"),
    ('{"input": 3, "input": 3}', "the entry 'input' is there twice"),
    ('{"input": ' + "9" * 5000 + "}", "digits"),
    ('{"input": 1e999}', "input must be an integer, got float inf"),
    ('{"input": NaN}', "input must be an integer, got float nan"),
    *(
        (json.dumps(without_entry(name)), f"it has no entry '{name}'")
        for name in DESCRIPTION
        if name != "steps_trained"  # files had none at first
    ),
    (json.dumps(without_entry("layers.0.kind")), "it has no entry 'kind'"),
    (json.dumps(without_entry("layers.0.outputs")), "it has no entry 'outputs'"),
    (json.dumps(without_entry("layers.0.init")), "it has no entry 'init'"),
    *(
        (json.dumps(with_entry(place, value)), words)
        for place, value, words in [
            ("input", 0, "input must be in [1, 2147483647], got 0"),
            ("input", 2**31, "got 2147483648"),
            ("input", 3.0, "input must be an integer, got float 3.0"),
            ("input", True, "input must be an integer, got bool True"),
            ("layers", [], "at least one dense layer"),
            ("layers", [{"kind": "relu"}], "at least one dense layer"),
            ("layers", [{"kind": "relu"}] * 5000, "at most 4096 layers"),
            ("layers", 7, "not iterable"),
            ("layers", [None], "not iterable"),
            ("layers", {"kind": "relu"}, ""),
            ("layers.0", "dense", ""),
            ("layers.0.kind", "conv", "unknown layer kind 'conv'"),
            ("layers.0.kind", ["dense"], "unknown layer kind ['dense']"),
            ("layers.0.kind", "input", "unknown layer kind 'input'"),
            ("layers.0.kind", "build", "unknown layer kind 'build'"),
            ("layers.0.kind", "__class__", "unknown layer kind '__class__'"),
            ("layers.2.outputs", -5, "layer 3: dense must be in [1, 2147483647], got -5"),
            ("layers.2.outputs", "5", "layer 3: dense must be an integer, got str '5'"),
            ("layers.2.init", "zero", "layer 3: dense: init must be 'he' or 'xavier', got 'zero'"),
            ("layers.2.init", {}, "layer 3: dense: init must be 'he' or 'xavier', got dict {}"),
            ("layers.1.outputs", 5, "layer relu has unknown entries: outputs"),
            ("layers.0.bias", False, "layer dense has unknown entries: bias"),
            ("extra", 1, "the model has unknown entries: extra; a newer pynn may read them"),
            ("loss", "mse", "unknown loss 'mse'"),
            ("loss", None, "unknown loss None"),
            ("seed", -1, "seed must be in [0, 18446744073709551615], got -1"),
            ("seed", 2**64, "got 18446744073709551616"),
            ("seed", "0", "seed must be an integer, got str '0'"),
            ("steps_trained", -1, "steps_trained must be in [0, "),
            ("label_smoothing", 1.0, "label_smoothing must be at least 0 and less than"),
            ("label_smoothing", "0", "label_smoothing must be a number, got str '0'"),
            (
                "layers.1",
                {"kind": "dropout", "rate": 1.0},
                "layer 2: dropout rate must",
            ),
            ("layers.1", {"kind": "dropout"}, "it has no entry 'rate'"),
            ("epochs_trained", -1, "epochs_trained must be in [0, "),
            ("epochs_trained", 2**64 - 1, "epochs_trained must be in [0, "),
            ("epochs_trained", 1.5, "epochs_trained must be an integer, got float 1.5"),
        ]
    ),
]


@pytest.mark.parametrize(("text", "words"), DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_description_is_refused(text: str, words: str, path: Path) -> None:
    """Metadata that describes no network is refused, with what is wrong in it."""
    write(path, model=text)
    message = refusal(path)
    assert message.startswith("the description of the model in its metadata is damaged: ")
    assert words in message


TEXT = st.text('ab"\0\xe9\u4e2d', max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just("relu"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
PLACES = [
    *DESCRIPTION,
    "layers.0",
    "layers.1",
    "layers.2.kind",
    "layers.2.outputs",
    "layers.5.init",
]
FUZZING = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=200,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture
    ],  # the file is written anew each time
)


@FUZZING
@given(place=st.sampled_from(PLACES), value=JSON)
def test_any_description_is_read_or_refused(path: Path, place: str, value: Any) -> None:
    """Whatever JSON stands anywhere in it: a model of that description, or a FileFormatError."""
    description = with_entry(place, value)
    write(path, PARAMETERS, description)
    try:
        model = pynn.load(path)
    except pynn.FileFormatError:
        return
    assert model.predict(X).shape == (9,)
    model.save(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["model"]) == description


PARAMETERS: Tensors = dict(build().parameters)


@FUZZING
@given(data=st.data())
def test_any_changed_byte_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    """Whatever byte of the header is changed: a model that works, or an error of ours."""
    write(path, PARAMETERS)
    content = bytearray(path.read_bytes())
    header_nbytes = int.from_bytes(content[:8], "little")
    place = data.draw(st.integers(0, 8 + header_nbytes - 1))
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        model = pynn.load(path)
    except pynn.FileFormatError:
        return
    assert model.predict(X).shape == (9,)


HUGE = 2**31 - 1
HUGE_LAYER = {"kind": "dense", "outputs": HUGE, "init": "he"}


@pytest.mark.parametrize(
    ("inputs", "layers"),
    [
        (HUGE, [HUGE_LAYER]),
        (1, [HUGE_LAYER]),
        (HUGE, [{**HUGE_LAYER, "outputs": 1}]),
        (HUGE, [HUGE_LAYER] * 3),  # more parameters than size_t counts
        (1, [HUGE_LAYER, {**HUGE_LAYER, "outputs": 1}] * 100),
    ],
)
@pytest.mark.parametrize("claimed_in_header", [True, False])
def test_hostile_sizes_allocate_nothing(
    inputs: int, layers: list[dict[str, Any]], claimed_in_header: bool, path: Path
) -> None:
    """A short file that claims layers of terabytes is refused before memory is asked for."""
    description = DESCRIPTION | {"input": inputs, "layers": layers}
    widths = [inputs, *(layer["outputs"] for layer in layers)]
    if claimed_in_header:
        write_claim(path, description, widths)
    else:
        tensors: Tensors = {}
        for number in range(1, len(widths)):
            tensors[f"dense{number}.weight"] = tensors[f"dense{number}.bias"] = np.zeros(
                1, np.float32
            )
        write(path, tensors, description)
    tracemalloc.start()
    try:
        refusal(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def write_claim(path: Path, description: dict[str, Any], widths: list[int]) -> None:
    """A file whose header claims tensors of just the right shapes, without their data."""
    metadata = {"format": "pynn", "format_version": "1", "model": json.dumps(description)}
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for number in range(1, len(widths)):
        shape = widths[number - 1 : number + 1]
        for name, dims in ((f"dense{number}.weight", shape), (f"dense{number}.bias", shape[1:])):
            nbytes = 4 * int(np.prod(dims, dtype=object))
            offsets = [offset, offset + nbytes]
            header[name] = {"dtype": "F32", "shape": dims, "data_offsets": offsets}
            offset += nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(1000))
