"""python -m pynn: how it is called, how it ends, and that its manual shows what happens."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import in_an_empty_folder, out, run, saved_model

import pynn
from pynn._commands.export import FORMATS

here = pytest.fixture(autouse=True)(in_an_empty_folder)
model = pytest.fixture(saved_model)

ROOT = Path(__file__).parent.parent


# ------------------------------------------------------------ the call itself


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian"], "pynn: error: there is no command trian; did you mean train? (pynn --help)"),
        (["xyz"], "pynn: error: there is no command xyz (pynn --help)"),
        ([], "pynn: error: a command is missing: train, predict, explain, inspect, export, data,"),
        (["--versoin"], "pynn: error: there is no --versoin; did you mean --version? (pynn --h"),
        (["train", "--epoch=3"], "pynn train: error: there is no --epoch; did you mean --epochs?"),
        (["train", "--optimizer", "adamm"], "must be sgd, adam"),
        (["train", "--optimizer", "adamm"], "got 'adamm'; did you mean adam?"),
        (["info", "--jsn"], "pynn info: error: there is no --jsn; did you mean --json?"),
        (["info", "more"], "pynn info: error: too many arguments: more (pynn info --help)"),
        (["explain", "m", "--image", "i", "--html"], "argument --html: expected one argument"),
    ],
)
def test_what_was_meant(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The nearest command, option or value is named, in one line."""
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the package's version."""
    assert out(capsys, "--version") == [f"pynn {pynn.__version__}"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["inspect"],
        ["inspect", "a", "b"],
        ["look", "a"],
        ["play", "a"],
        ["play", "--port", "a"],
        ["export"],
        ["export", "onnx"],
        ["export", "onnx", "a"],
        ["export", "jpeg", "a", "b"],
        ["export", "nn_rust", "a", "b", "--probabilities"],
        ["export", "onnx", "a", "b", "--prob"],
        ["--wrong"],
    ],
)
def test_wrong_calls(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and a line that says where more is said."""
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert re.fullmatch(r"pynn[a-z_ ]*: error: .*\(pynn[a-z_ ]* --help\)\n", captured.err)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["inspect"],
        ["explain"],
        ["play"],
        ["info"],
        ["train"],
        ["predict"],
        ["export"],
        *(["export", form] for form in FORMATS),
    ],
)
@pytest.mark.parametrize("width", [60, 80])
def test_help(
    arguments: list[str],
    width: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fits the terminal, and says what the command is for."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = out(capsys, *arguments, "--help")
    assert max(map(len, lines)) < width
    assert lines[0].startswith(" ".join(["usage: pynn", *arguments]))
    assert len(lines) > 6


def test_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ends it without a traceback, with the status that shells have for it."""
    from pynn import _inspect

    def interrupted(path: str, width: int | None) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(_inspect, "inspect", interrupted)
    assert run("inspect", "file") == 130
    assert capsys.readouterr().err == "pynn: interrupted\n"


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """python -m pynn in a process of its own."""
    command = [sys.executable, "-m", "pynn", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, **options)


def test_as_a_program(model: pynn.Model) -> None:
    """Its exit statuses and streams are those of main()."""
    done = python("inspect", "model.safetensors")
    assert (done.returncode, done.stderr) == (0, "")
    assert "parameters  23" in done.stdout
    failed = python("inspect", "missing")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "pynn: error: missing: No such file or directory\n"
    assert python("inspect").returncode == 2


def test_a_reader_that_goes_away(model: pynn.Model) -> None:
    """A closed pipe is no error of pynn's, and leaves no traceback."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "pynn", "inspect", "model.safetensors"]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=100)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


# ------------------------------------------------------------ the manual


SESSION = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ python -m pynn (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
PYTHON = re.compile(r"^```python\n(?!>>>)(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_manual_shows_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    """Each call in docs/formats.md gives what stands below it, after the Python before it."""
    text = (ROOT / "docs" / "formats.md").read_text("utf-8")
    Path("data").symlink_to(ROOT / "data")
    blocks = [(m.start(), m) for m in (*SESSION.finditer(text), *PYTHON.finditer(text))]
    skipped = re.compile(r"<!-- not run: .+ -->\n+$")
    namespace: dict[str, object] = {}
    shown = 0
    for start, match in sorted(blocks, key=lambda block: block[0]):
        if skipped.search(text[:start]):
            continue
        if match.re is PYTHON:
            exec(match[1], namespace)
            continue
        for command, expected in COMMAND.findall(match[1]):
            assert out(capsys, *shlex.split(command)) == expected.splitlines()
            shown += 1
    assert shown >= 4
