"""Files that change while they are read, and what is no file at all: nothing hangs or dies."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pynn
from pynn._base import reading
from pynn.formats import nn_rust, pytorch

MINUTE = 60

X = np.random.default_rng(30).integers(0, 256, (40, 6), np.uint8)
Y = np.arange(40) % 3


def build() -> pynn.Model:
    """A small model that every format can say."""
    return pynn.Builder().input(6).dense(5).relu().dense(3).softmax_cross_entropy().build(seed=3)


# ------------------------------------------------------------ what is no file

# Reads one path with each reader in turn; prints how each ended, as it comes.
READ_ALL = """
import json, sys
import numpy as np, pynn
from pynn import _inspect
from pynn.formats import nn_rust, pytorch

path, folder = sys.argv[1:]
chain = pynn.Builder().input(6).dense(3).softmax_cross_entropy()
for name, read in {
    "load": pynn.load,
    "resume": pynn.Model.resume,
    "read_idx": pynn.datasets.read_idx,
    "mapped": lambda path: pynn.datasets.read_idx(path, mapped=True),
    "data set": lambda path: pynn.datasets.load(folder),
    "nn_rust": nn_rust.load,
    "pytorch": lambda path: pytorch.load(path, chain),
    "inspect": _inspect.inspect,
    "export": _inspect.read_model,
}.items():
    try:
        said = repr(read(path))
    except OSError as error:
        said = f"{type(error).__name__}: {error.strerror}: {error.filename}"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps([name, said]), flush=True)
"""
READERS = (
    *("load", "resume", "read_idx", "mapped", "data set", "nn_rust", "pytorch", "inspect"),
    "export",
)
NOT_FILES = {
    "pipe": "it is a pipe, not a file: write what comes through it to a file first",
    "link to a pipe": "it is a pipe, not a file: write what comes through it to a file first",
    "socket": "it is a socket, not a file",
    "device": "it is a device, not a file",
}
SPECIAL = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names")


def make(kind: str, path: Path) -> None:
    """Put something that is no file there."""
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            here = os.getcwd()
            os.chdir(path.parent)  # the path of a socket may have some 100 bytes
            listener.bind(path.name)
            os.chdir(here)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.mkfifo(path.with_name("pipe"))
        path.symlink_to("pipe")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What each reader says of each of these, read in processes of their own, as they may hang."""
    found = {}
    for kind in NOT_FILES:
        folder = tmp_path_factory.mktemp("data")
        for name in ("train-images-idx3", "train-labels-idx1", "t10k-labels-idx1"):
            pynn.datasets.write_idx(folder / f"{name}-ubyte", np.zeros(1, np.uint8))
        path = folder / "t10k-images-idx3-ubyte"
        make(kind, path)
        path.with_name("train-images-idx3-ubyte").unlink()
        path.with_name("train-images-idx3-ubyte").symlink_to(path.name)
        with subprocess.Popen(
            [sys.executable, "-c", READ_ALL, str(path), str(folder)],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=MINUTE)
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
        found[kind] = dict(json.loads(line) for line in output.splitlines())
    return found


@SPECIAL
@pytest.mark.parametrize("kind", NOT_FILES)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_by_name(
    reader: str, kind: str, answers: dict[str, dict[str, str]]
) -> None:
    """Nobody waits for a writer, reads without end, or takes it for empty."""
    said = answers[kind].get(reader, "it hangs")
    assert said.startswith(f"OSError: {NOT_FILES[kind]}: ")
    assert said.endswith("-images-idx3-ubyte")


@SPECIAL
def test_nothing_is_taken_from_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another program has written to it is still there for whom it is meant.

    It is not even opened: a writer that waits for its reader would take us for that.
    """
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    both = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(both, b"for somebody")
        for read in (pynn.load, pynn.datasets.read_idx, nn_rust.load):
            with monkeypatch.context() as patch, pytest.raises(OSError, match="is a pipe, not a"):
                patch.delattr(os, "open")
                read(pipe)  # type: ignore[operator]
        assert os.read(both, 100) == b"for somebody"
    finally:
        os.close(both)


@SPECIAL
def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the file and its opening."""
    path, stat = tmp_path / "m", os.stat

    def replaced(name: str) -> os.stat_result:
        found = stat(name)
        path.unlink()
        os.mkfifo(path)
        return found

    build().save(path)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="is a pipe, not a file"):
        patch.setattr(reading.os, "stat", replaced)
        pynn.load(path)


@SPECIAL
@pytest.mark.parametrize("kind", NOT_FILES)
def test_no_writer_waits_or_replaces_what_is_no_file(kind: str, tmp_path: Path) -> None:
    """All of them refuse it by name, and leave nothing beside it."""
    path = tmp_path / "there.c"
    make(kind, path)
    model, before = build(), sorted(os.listdir(tmp_path))
    for write in (
        lambda: model.save(path),
        lambda: model.fit(X, Y, epochs=1, checkpoint=path),
        lambda: model.export_c(path),
        lambda: nn_rust.save(model, path),
        lambda: pytorch.save(model, path),
        lambda: pynn.datasets.write_idx(path, X),
        lambda: pynn.History([1.0]).to_csv(path),
    ):
        with pytest.raises(OSError, match="a pipe, a socket or a device, not a file") as caught:
            write()
        assert caught.value.filename == str(path)
        (tmp_path / "there.h").unlink(missing_ok=True)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="has no such name of a stream")
def test_output_that_goes_to_a_pipe_is_no_file(tmp_path: Path) -> None:
    """Also where the way there leads through the names of streams, which are no names of files."""
    code = "import pynn; pynn.History([1.0]).to_csv('/dev/stdout')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=MINUTE)
    assert done.stdout == ""
    assert "a pipe, a socket or a device, not a file; give another" in done.stderr


# ------------------------------------------------------------ what changes meanwhile

# Cuts a file short at the moment when a reader has looked at its header, and says how it ended.
CUT = """
import os, sys
import numpy as np, pynn
from pynn._native import library
from pynn._native.network import Network
from pynn.datasets import _idx
from pynn.formats import nn_rust, pytorch

reader, path = sys.argv[1:]

def cutting(module, name):
    original = getattr(module, name)
    def replaced(*arguments, **options):
        result = original(*arguments, **options)
        os.truncate(path, 5000)
        return result
    setattr(module, name, replaced)

chain = pynn.Builder().input(60).dense(50).relu().dense(3).softmax_cross_entropy()
read = {
    "load": pynn.load,
    "resume": pynn.Model.resume,
    "nn_rust": nn_rust.load,
    "pytorch": lambda path: pytorch.load(path, chain),
    "bytes": pynn.datasets.read_idx,
    "numbers": pynn.datasets.read_idx,
    "mapped numbers": lambda path: pynn.datasets.read_idx(path, mapped=True),
}[reader]
if reader == "pytorch":
    cutting(Network, "initialize")
elif reader in ("load", "resume", "nn_rust"):
    cutting(Network, "new_parameters")
else:
    cutting(_idx, "check_length")
try:
    print("read", read(path))
except pynn.FileFormatError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "reader", ["load", "resume", "nn_rust", "pytorch", "bytes", "numbers", "mapped numbers"]
)
def test_file_that_becomes_shorter_while_it_is_read_is_refused(reader: str, tmp_path: Path) -> None:
    """A process that had it mapped would be killed by the system."""
    path = tmp_path / "file"
    chain = pynn.Builder().input(60).dense(50).relu().dense(3).softmax_cross_entropy()
    model = chain.build(seed=0)
    if reader == "resume":
        x = np.zeros((4, 60), np.uint8)
        model.fit(x, np.zeros(4, int), epochs=1, checkpoint=path)
    elif reader == "load":
        model.save(path)
    elif reader == "nn_rust":
        nn_rust.save(model, path)
    elif reader == "pytorch":
        pytorch.save(model, path)
    else:
        pynn.datasets.write_idx(path, np.zeros(9000, "u1" if reader == "bytes" else "i2"))
    assert path.stat().st_size > 9000
    done = subprocess.run(
        [sys.executable, "-c", CUT, reader, str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=MINUTE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path}: ")
    assert "became shorter while it was read" in done.stdout


def test_file_that_is_written_over_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one model could be half of the old file, and half of the new."""
    path, new = tmp_path / "model", build()
    build().save(path)
    new.parameters["dense1.weight"][...] = 1.0
    new.save(tmp_path / "new")
    network = pynn._native.network.Network
    original = network.new_parameters

    def overwrite(self: Any) -> Any:
        path.write_bytes((tmp_path / "new").read_bytes())
        os.utime(path, ns=(0, 0))  # a clock that ticks slowly would not show it
        return original(self)

    with monkeypatch.context() as patch, pytest.raises(pynn.FileFormatError) as caught:
        patch.setattr(network, "new_parameters", overwrite)
        pynn.load(path)
    assert str(caught.value) == (
        f"{path}: another program changed it while it was read; read it again"
    )
    assert pynn.load(path).parameters["dense1.weight"].min() == 1.0


@pytest.mark.parametrize("name", ["x", "x.gz"])
def test_array_does_not_depend_on_its_file_any_more(name: str, tmp_path: Path) -> None:
    """A file that is cut short, or written over, after it was read changes no training."""
    path, model, other = tmp_path / name, build(), build()
    pynn.datasets.write_idx(path, X)
    x = pynn.datasets.read_idx(path)
    path.write_bytes(b"")
    model.fit(x, Y, epochs=2)
    other.fit(X, Y, epochs=2)
    np.testing.assert_array_equal(model(X), other(X))


# ------------------------------------------------------------ JSON

# Some, how many objects it has, and how many items: commas, opening brackets and braces.
JSON = {
    "empty": ("{}", 1, 1),
    "objects": ('{"a": {"b": {}}, "c": {}}', 4, 5),
    "list": ("[1, 2, [3]]", 0, 4),
    "both": ('[{"a": [1, 2], "b": 0}, {}]', 2, 7),
    "marks in strings": ('{"{[,": "{{[,,"}', 1, 1),
    "quotes in strings": (r'{"\"{,": "\\", "\\\"[": "{"}', 1, 2),
    "a string alone": ('"{,["', 0, 0),
    "as many strings as may be": ('{"{": [' + ", ".join(['"0"'] * 32) + "]}", 1, 33),
}


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize(("objects", "items"), [(0, 0), (1, 0), (0, 1)])
def test_limits_of_json_are_to_the_one(name: str, objects: int, items: int) -> None:
    """It is read where the limits are what it has, and refused where one of them is one less."""
    text, has_objects, has_items = JSON[name]
    limits = {"most_objects": has_objects - objects, "most_items": has_items - items}
    if objects or items:
        with pytest.raises(ValueError, match=f"its {len(text)} bytes of JSON hold more entries"):
            reading.parse_json(text.encode(), **limits)
    else:
        assert reading.parse_json(text.encode(), **limits) == json.loads(text)


@pytest.mark.parametrize(("strings", "words"), [(33, None), (34, "more entries than")])
def test_most_strings_of_an_object(strings: int, words: str | None) -> None:
    """Where marks stand in strings these are told apart, of which an object has at most 33."""
    text = "[" + ", ".join(['"{"'] * strings) + "]"
    limits = {"most_objects": 1, "most_items": 1000}
    if words is None:
        assert len(reading.parse_json(text.encode(), **limits)) == strings
    else:
        with pytest.raises(ValueError, match=words):
            reading.parse_json(text.encode(), **limits)


@pytest.mark.parametrize(("strings", "words"), [(5, "Extra data"), (6, "more entries than")])
def test_most_strings_of_an_item(strings: int, words: str) -> None:
    """Each item has two at most, and one may stand alone: beyond that none are told apart."""
    text = '"{{{"' * strings
    with pytest.raises(ValueError, match=words):
        reading.parse_json(text.encode(), most_objects=2, most_items=2)
