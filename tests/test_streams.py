"""The programs where a stream is closed, full, or leads to nobody; and what they print of names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import predict
import pytest
import train

import pynn
from pynn.__main__ import main as command_line

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"
SEVEN = ROOT / "data" / "digits" / "seven.png"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, m, and data to train on, data; the current one."""
    monkeypatch.chdir(tmp_path)
    pynn.Builder().input(784).dense(10).softmax_cross_entropy().build(seed=0).save("m")
    rng = np.random.default_rng(70)
    Path("data").mkdir()
    for part in ("train", "t10k"):
        images, labels = rng.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 3
        pynn.datasets.write_idx(f"data/{part}-images-idx3-ubyte", images)
        pynn.datasets.write_idx(f"data/{part}-labels-idx1-ubyte", labels.astype(np.uint8))
    return tmp_path


COMMANDS = {
    "predict": [str(SCRIPTS / "predict.py"), "--model", "m", str(SEVEN)],
    "predict an absent one": [str(SCRIPTS / "predict.py"), "--model", "m", "absent.png"],
    "train": [
        *[str(SCRIPTS / "train.py"), "--data", "data", "--output", "out"],
        *["--network", "relu", "--hidden", "none", "--batch-size", "20", "--epochs", "2"],
    ],
    "inspect": ["-m", "pynn", "inspect", "m"],
    "export": ["-m", "pynn", "export", "c", "m", "m.c"],
}
COMMANDS |= {
    "train for JSON": [*COMMANDS["train"], "--json"],
    "predict --help": [str(SCRIPTS / "predict.py"), "--help"],
    "predict --wrong": [str(SCRIPTS / "predict.py"), "--wrong"],
    "pynn --version": ["-m", "pynn", "--version"],
    "pynn --wrong": ["-m", "pynn", "--wrong"],
}
MAKES = {"train": "out/relu.safetensors", "train for JSON": "out/relu.safetensors", "export": "m.c"}

FULL = "No space left on device"
NONE = "there is no standard output to print to"
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")


def run(name: str, streams: str) -> subprocess.CompletedProcess[str]:
    """A command with its streams as a shell is told."""
    command = ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, *COMMANDS[name]]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("predict", 1, f"predict.py: error: {NONE}\n"),
        ("train", 0, ""),
        ("train for JSON", 1, f"train.py: error: {NONE}\n"),
        ("inspect", 1, f"pynn: error: {NONE}\n"),
        ("export", 0, ""),
    ],
)
def test_closed_output(name: str, status: int, says: str) -> None:
    """Files are written; what can only be printed is an error."""
    done = run(name, ">&-")
    assert done.returncode == status
    assert done.stderr.endswith(says) and "Traceback" not in done.stderr
    if name in MAKES:
        assert Path(MAKES[name]).exists()


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("predict", 0),
        ("predict an absent one", 1),
        ("train", 0),
        ("train for JSON", 0),
        ("predict --wrong", 2),
        ("pynn --wrong", 2),
    ],
)
@pytest.mark.parametrize("streams", ["2>&-", pytest.param("2>/dev/full", marks=needs_full)])
def test_errors_that_nobody_can_read(name: str, status: int, streams: str) -> None:
    """The status says it all the same, and no error gets among the output."""
    done = run(name, streams)
    assert done.returncode == status
    assert "error" not in done.stdout
    if name in MAKES:
        assert Path(MAKES[name]).exists()


@pytest.mark.parametrize(
    ("name", "status"), [("predict", 1), ("train", 0), ("inspect", 1), ("predict --wrong", 2)]
)
def test_all_streams_closed(name: str, status: int) -> None:
    """As for a service; a file that is opened does not become a stream to be printed into."""
    before = Path("m").read_bytes()
    assert run(name, "<&- >&- 2>&-").returncode == status
    assert Path("m").read_bytes() == before
    if name in MAKES:
        pynn.load(MAKES[name])


@needs_full
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("predict", f"predict.py: error: standard output: {FULL}\n"),
        ("train", f"train.py: error: standard output: {FULL}\n"),
        ("inspect", f"pynn: error: standard output: {FULL}\n"),
        ("export", f"pynn: error: standard output: {FULL}\n"),
        ("predict --help", f"predict.py: error: standard output: {FULL}\n"),
        ("pynn --version", f"pynn: error: standard output: {FULL}\n"),
    ],
)
def test_output_to_a_full_disk(name: str, says: str) -> None:
    """One line and status 1; a training is not given up for the sake of its progress."""
    done = run(name, ">/dev/full")
    assert (done.returncode, done.stderr) == (1, says)
    if name in MAKES:
        assert Path(MAKES[name]).exists()


@pytest.mark.parametrize("name", ["predict", "predict --help", "inspect", "pynn --version"])
def test_output_that_nobody_reads(name: str) -> None:
    """Ends the program without a word, as SIGPIPE would."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, *COMMANDS[name]], stdout=write, stderr=subprocess.PIPE, timeout=100
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_training_whose_reader_leaves_can_be_resumed() -> None:
    """How far it came is kept in the checkpoint."""
    endless = [*COMMANDS["train"][:-1], "1000000"]
    with subprocess.Popen([sys.executable, *endless], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while " val loss " not in process.stdout.readline():
            assert process.poll() is None
    assert process.returncode == 141
    with pynn.Model.resume("out/relu.checkpoint") as model:
        assert model.epochs_trained >= 1


# ------------------------------------------------------------ names that command a terminal

HOSTILE = [
    "clear\x1b[2J",
    "two\nlines",
    "over\rwritten",
    "bell\a",
    "csi\x9b31m",
    "backwards\u202e",
    "next\x85line",
    "separated\u2028",
    "bytes\udcff",
]


def seen(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed: lines of what a terminal shows, and nothing else."""
    out, err = capsys.readouterr()
    hidden = {c for c in out + err if not c.isprintable() and c != "\n"}
    assert not hidden
    return out + err


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_printed_with_escapes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of pictures, models and folders, in results and in errors, each on one line."""
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    shutil.copy("m", f"{name}.safetensors")
    shutil.copy(SEVEN, name)
    shutil.copytree("data", f"{name} data")
    fit = ["--hidden", "none", "--epochs", "1", "--batch-size", "60", "--network", "relu"]

    def status(main: Callable[[list[str]], int], *arguments: str) -> int:
        try:
            return main(list(arguments))
        except SystemExit as exit:
            return int(str(exit.code))

    for expected, printed, main, *arguments in [
        (0, f"{escaped}\n", predict.main, "--model", f"{name}.safetensors", name),
        (1, f"error: {escaped}.png: No such", predict.main, "--model", "m", f"{name}.png"),
        (1, f"error: {escaped}: ", predict.main, "--model", name, str(SEVEN)),
        (1, f"error: {escaped} absent: No", predict.main, "--model", f"{name} absent", "x"),
        (2, f"there is no --{escaped} (", predict.main, f"--{name}"),
        (
            0,
            f"{escaped} data: 60",
            train.main,
            "--data",
            f"{name} data",
            "--output",
            "o",
            *fit,
        ),
        (0, f"saved {escaped} o", train.main, "--data", "data", "--output", f"{name} o", *fit),
        (1, f"{escaped} none", train.main, "--data", f"{name} none"),
        (2, f"arguments: {escaped} (", train.main, name),
        (0, f" {escaped}.safetensors, ", command_line, "inspect", f"{name}.safetensors"),
        (0, f" {escaped}, ", command_line, "inspect", name),
        (0, f"wrote {escaped} state, ", command_line, "export", "pytorch", "m", f"{name} state"),
        (2, f"arguments: {escaped} (", command_line, "inspect", "m", name),
    ]:
        assert status(main, *arguments) == expected
        assert printed in seen(capsys)


def test_json_keeps_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has escapes of its own."""
    import json

    name = "a\x1b\n\udcff.png"
    shutil.copy(SEVEN, name)
    assert predict.main(["--json", "--model", "m", name]) == 0
    assert json.loads(capsys.readouterr().out)[0]["image"] == name
