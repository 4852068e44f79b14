"""Terminals of 60 columns: each command stays within them, and prints no codes for colours."""

from __future__ import annotations

import io
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import out, run

import pynn
from pynn._commands import parser, program
from pynn._commands.report import Report

SEVEN = Path(__file__).parent.parent / "data" / "digits" / "seven.png"


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks for digits in the folder where they are looked for, and data to train on."""
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    chain = pynn.Builder().input(784).dense(32).relu().dense(10).softmax_cross_entropy()
    chain.build(seed=0).save("models/relu.safetensors")
    shutil.copy("models/relu.safetensors", "models/other.safetensors")
    rng = np.random.default_rng(5)
    for part in ("train", "t10k"):
        pynn.datasets.write_idx(f"{part}-images-idx3-ubyte", rng.integers(0, 9, (20, 28, 28), "u1"))
        pynn.datasets.write_idx(f"{part}-labels-idx1-ubyte", np.arange(20, dtype="u1") % 10)


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> int:
    """The width of the terminal; standard output is still caught."""
    most = 60
    monkeypatch.setattr(program, "width", lambda stream: most)
    return most


@pytest.mark.parametrize(
    "call",
    [
        ["predict", str(SEVEN)],
        ["inspect", "models/relu.safetensors"],
        ["explain", "models/relu.safetensors", "--image", str(SEVEN), "--label", "7"],
        ["info"],
        ["data", "list"],
        ["train", "--data", ".", "--hidden", "8", "--epochs", "2"],
        ["train", "--data", ".", "--recipe", "conv-fast", "--epochs", "1", "--output", "o"],
        *(
            [name, "--help"]
            for name in ("train", "predict", "explain", "inspect", "info", "data", "play", "export")
        ),
    ],
    ids=" ".join,
)
def test_each_command_fits(
    call: list[str], columns: int, models: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a word that has no blanks, as a path, may pass the edge."""
    lines = out(capsys, *call)
    for line in lines:
        assert len(line) <= columns or len(line.split()[-1]) > columns - 20
        assert "\x1b" not in line
    assert len(lines) > 1


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("  --ab  one two three", ["  --ab  one two three"]),
        (
            f"  --ab  one two three four five six seven and\n{' ' * 8}two-three of all, the second",
            [
                "  --ab  one two three four five six seven",
                "        and",
                "        two-three of all, the second",
            ],
        ),
        (
            f"  pynn --abcdef --ghi  one two three four five\n{' ' * 23}and one more line of it",
            [
                "  pynn --abcdef --ghi",
                "      one two three four five",
                "      and one more line of it",
            ],
        ),
        ("  all in one column, and then some", ["  all in one column, and then some"]),
        (
            "  all in one column, and then some more of it",
            ["  all in one column, and then some more of", "      it"],
        ),
    ],
)
def test_columns_of_a_help_text_stay_columns(text: str, lines: list[str]) -> None:
    """Where there is room; a line of the second column alone belongs to the one above."""
    assert parser.fit(text, 42) == lines


def test_a_pipe_gets_whole_lines(models: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each fact, whatever its length; two networks stand beside the drawing."""
    lines = out(capsys, "inspect", "models/relu.safetensors")
    assert any(len(line) > 60 and line.startswith("chain  ") for line in lines)
    lines = out(capsys, "predict", str(SEVEN))
    assert re.fullmatch(r" +other: \d +relu: \d", lines[1])


@pytest.mark.parametrize("most", [80, 60, 40])
def test_two_networks_are_beside_each_other_where_there_is_room(
    most: int, models: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise one below the other, and below the drawing if there is less room."""
    monkeypatch.setattr(program, "width", lambda stream: most)
    lines = out(capsys, "predict", str(SEVEN))
    assert sum("relu: " in line and "other: " in line for line in lines) == (most == 80)
    assert sum("█" in line and re.search(r"\d+\.\d%", line) is not None for line in lines) > 0


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("short", ["short"]),
        ("    one two three four five", ["    one two three", "        four five"]),
        ("key   one two three four", ["key   one two three", "      four"]),
        ("  Y = X W + b             a/file.c:67", ["  Y = X W + b", "      a/file.c:67"]),
        ("/a/path/without/any/blank/in/it", ["/a/path/without/any/blank/in/it"]),
    ],
)
def test_long_lines_are_broken(line: str, lines: list[str]) -> None:
    """At blanks; the second column of two stays one."""
    assert program.folded(line, 20).split("\n") == lines
    assert program.folded(line, None) == line


def test_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a stream that is none, there is no width; $COLUMNS stands above it for drawings."""
    assert program.width(None) is None
    assert program.width(io.StringIO()) is None
    assert program.width(Terminal()) is None  # it has no descriptor
    monkeypatch.delenv("COLUMNS", raising=False)
    assert program.columns() == 80
    monkeypatch.setenv("COLUMNS", "wide")
    assert program.columns() == 80
    monkeypatch.setenv("COLUMNS", "33")
    assert program.columns() == 33


def test_json_is_not_broken(models: None, columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A line break in a string would be an error."""
    import json

    for call in (["predict", "--json", str(SEVEN)], ["info", "--json"]):
        assert run(*call) == 0
        json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("term", "bar"), [("dumb", False), ("xterm", True)])
def test_a_dumb_terminal_has_no_bar(term: str, bar: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot go back to the beginning of a line; no line says that something is missing."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stderr", errors := io.StringIO())
    stream = Terminal()
    with Report("pynn train", stream, quiet=False) as report:
        report.progress(pynn.Progress(epoch=1, epochs=2, step=3, steps=9, loss=0.5, accuracy=0.5))
        assert (report._bar is not None) == bar
    assert errors.getvalue() == ""
