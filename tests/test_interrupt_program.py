"""scripts/train.py interrupted: one line says how to go on, and no run is lost."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import train
from interrupted import MINUTE, nth, press_ctrl_c

import pynn
from pynn._commands.report import Report

pytestmark = pytest.mark.usefixtures("threads_as_before", "ctrl_c", "unflushed")

SCRIPTS = Path(__file__).parent.parent / "scripts"

SMALL = ["--hidden", "8", "--batch-size", "50", "--epochs", "3"]  # 6 steps an epoch
NETWORKS = ("relu", "sigmoid")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in MNIST's layout, of 300 and 100 examples."""
    rng = np.random.default_rng(54)
    folder = tmp_path_factory.mktemp("data")
    for part, count in (("train", 300), ("t10k", 100)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        pynn.datasets.write_idx(folder / f"{part}-images-idx3-ubyte", images)
        labels = np.arange(count, dtype=np.uint8) % 10
        pynn.datasets.write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that an undisturbed run of the program leaves."""
    out = tmp_path_factory.mktemp("trained")
    assert train.main([*SMALL, "--data", str(data), "--output", str(out), "--quiet"]) == 0
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(files) == ["relu.safetensors", "sigmoid.safetensors"]
    return files


# Which call of which method of the report, by the network that then is trained, and how many epochs
# of it are done. A run of steps is one step at first, so that an epoch has two calls of progress.
POINTS = [
    ("progress", 1, "relu", 0),
    ("epoch", 1, "relu", 1),
    ("epoch", 3, "relu", 3),
    ("epoch", 4, "sigmoid", 1),
    ("epoch", 5, "sigmoid", 2),
    ("epoch", 6, "sigmoid", 3),
]


def check_way_on(err: str, checkpoint: Path) -> None:
    """The one line names the checkpoint, which is there, and says how to go on."""
    assert err.startswith("train.py: interrupted; kept in ")
    assert str(checkpoint) in err
    assert err.endswith("; the same command with --resume goes on\n")
    assert err.count("\n") == 1
    assert checkpoint.exists()


@pytest.mark.parametrize(("method", "call", "network", "done"), POINTS)
def test_interrupted_program_says_how_to_go_on(
    method: str,
    call: int,
    network: str,
    done: int,
    data: Path,
    trained: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 130, a checkpoint, one line; with --resume only what is left, and the same files."""
    out = tmp_path / "out"
    arguments = [*SMALL, "--data", str(data), "--output", str(out)]
    original = getattr(Report, method)
    press = nth(call, press_ctrl_c)

    def pressed(self: object, result: object) -> None:
        original(self, result)
        press()

    with monkeypatch.context() as patch:
        patch.setattr(Report, method, pressed)
        assert train.main(arguments) == 130
    check_way_on(capsys.readouterr().err, out / f"{network}.checkpoint")

    assert train.main([*arguments, "--resume"]) == 0
    epochs = re.findall(r"^(relu|sigmoid) +(\d)/3 ", capsys.readouterr().out, re.MULTILINE)
    left = {name: range(1, 4) for name in NETWORKS[NETWORKS.index(network) :]}
    left[network] = range(1 + done, 4)
    assert epochs == [(name, str(epoch)) for name, left_ in left.items() for epoch in left_]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == trained


@pytest.mark.parametrize(("call", "network"), [(1, "relu"), (2, "sigmoid")])
def test_program_interrupted_while_it_saves_says_how_to_go_on(
    call: int,
    network: str,
    data: Path,
    trained: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C after the last epoch of a network, before it is saved, is no different."""
    out = tmp_path / "out"
    arguments = [*SMALL, "--data", str(data), "--output", str(out)]
    original, press = pynn.Model.save, nth(call, press_ctrl_c)

    def pressed(self: pynn.Model, path: Path) -> None:
        press()
        original(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(pynn.Model, "save", pressed)
        assert train.main(arguments) == 130
    check_way_on(capsys.readouterr().err, out / f"{network}.checkpoint")
    assert train.main([*arguments, "--resume"]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == trained


def test_program_may_be_interrupted_from_outside_over_and_over(data: Path, tmp_path: Path) -> None:
    """A process without a last epoch is stopped three times by SIGINT, then given a last epoch."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    common = [*SMALL[:4], "--data", str(data), "--network", "sigmoid"]
    arguments = [*common, "--output", str(out)]
    checkpoint, done = out / "sigmoid.checkpoint", 0
    for resume in ([], ["--resume"], ["--resume"]):
        with subprocess.Popen(
            [sys.executable, SCRIPTS / "train.py", *arguments, "--epochs", "1000000", *resume],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            while not re.match(r"sigmoid +\d+/1000000 ", line := process.stdout.readline()):
                assert line
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=MINUTE)
        assert process.returncode == 130
        check_way_on(err, checkpoint)
        before, done = done, pynn.load(checkpoint).epochs_trained
        assert done > before
    epochs = ["--epochs", str(done + 2), "--quiet"]
    assert train.main([*arguments, *epochs, "--resume"]) == 0
    assert train.main([*common, *epochs, "--output", str(whole)]) == 0
    contents = [(folder / "sigmoid.safetensors").read_bytes() for folder in (out, whole)]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("network", NETWORKS)
def test_an_unfinished_run_is_not_lost_to_a_new_one(
    network: str,
    data: Path,
    trained: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without --resume or --discard it is refused, with both named; then either does as it says."""
    out = tmp_path / "out"
    arguments = [*SMALL, "--data", str(data), "--output", str(out), "--quiet"]
    press = nth(2 if network == "relu" else 5, press_ctrl_c)
    with monkeypatch.context() as patch:
        patch.setattr(Report, "epoch", lambda *_: press())
        assert train.main(arguments) == 130
    kept = [out / f"{name}.checkpoint" for name in NETWORKS[: 1 + NETWORKS.index(network)]]
    before = [checkpoint.read_bytes() for checkpoint in kept]
    capsys.readouterr()
    assert train.main(arguments) == 1
    assert capsys.readouterr().err == (
        f"train.py: error: an unfinished run is kept in {' and '.join(map(str, kept))}: --resume"
        " goes on with it, --discard starts anew\n"
    )
    if network == "relu":  # not in the way of another network
        assert train.main([*arguments, "--network", "sigmoid"]) == 0
    assert [checkpoint.read_bytes() for checkpoint in kept] == before
    assert train.main([*arguments, "--resume" if network == "relu" else "--discard"]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == trained


def test_a_new_run_does_not_take_up_an_old_checkpoint(
    data: Path, trained: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --discard all is trained anew, and --resume then continues that new run."""
    out = tmp_path / "out"
    arguments = [*SMALL, "--data", str(data), "--output", str(out), "--quiet"]

    def stopped(call: int, *more: str) -> None:
        original = Report.epoch
        press = nth(call, press_ctrl_c)

        def pressed(self: Any, result: pynn.EpochResult) -> None:
            original(self, result)
            press()

        with monkeypatch.context() as patch:
            patch.setattr(Report, "epoch", pressed)
            assert train.main([*arguments, *more]) == 130

    stopped(4, "--seed", "1")  # in the second network
    stopped(2, "--discard")  # in the first
    assert train.main([*arguments, "--resume"]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == trained
