"""History.to_csv: every figure with all its digits, in a file that is replaced as a whole."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest
from plotted import CHAIN, FULL

import pynn


def read(path: Path) -> list[list[str]]:
    """The cells of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_csv_has_every_figure(tmp_path: Path) -> None:
    """The same numbers come back."""
    values = np.random.default_rng(70).uniform(0, 1, (5, 4)).tolist()
    history = pynn.History(*values)
    history.to_csv(tmp_path / "run.csv")
    head, *rows = read(tmp_path / "run.csv")
    assert head == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    columns = list(zip(*([float(cell) for cell in row[1:]] for row in rows), strict=True))
    assert [list(column) for column in columns] == values
    assert os.listdir(tmp_path) == ["run.csv"]


def test_csv_of_what_was_not_measured(tmp_path: Path) -> None:
    """Cells are empty; without epochs there is the first line."""
    history = CHAIN.build().fit(np.zeros((8, 20), np.uint8), np.arange(8) % 3, epochs=2)
    history.to_csv(tmp_path / "run.csv")
    text = (tmp_path / "run.csv").read_text()
    number = r"\d+\.\d+(e-\d+)?"
    assert re.fullmatch(rf"epoch,.*\n1,{number},{number},,,{number}\n2,[^\n]*\n", text)
    pynn.History().to_csv(tmp_path / "run.csv")
    assert read(tmp_path / "run.csv") == [text.splitlines()[0].split(",")]


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 2.0])
def test_csv_keeps_all_digits(value: float, tmp_path: Path) -> None:
    """Every float is written with all digits, NumPy's floats included."""
    pynn.History(loss=[value, np.float64(value)]).to_csv(tmp_path / "run.csv")
    assert [float(row[1]) for row in read(tmp_path / "run.csv")[1:]] == [value, value]


def test_csv_needs_a_path() -> None:
    """What is no path is refused, as for every file."""
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got int 3"):
        FULL.to_csv(3)  # type: ignore[arg-type]


def test_csv_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails, the old file stays."""
    path = tmp_path / "run.csv"
    FULL.to_csv(path)
    before = path.read_bytes()

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        pynn.History([1.0]).to_csv(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.csv"]
