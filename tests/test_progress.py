"""The progress of a training: a bar in terminals and notebooks, else a line for each epoch."""

from __future__ import annotations

import io
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pynn
from pynn._training import progress_bar

RNG = np.random.default_rng(2)
X = RNG.normal(size=(40, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 40)
METRICS = r"loss \d\.\d{4}, accuracy \d\.\d{4}, val_loss \d\.\d{4}, val_accuracy \d\.\d{4}"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Bar:
    """Stands for tqdm's bar."""

    made: list[Bar]

    def __init__(self, total: int, initial: int, bar_format: str, **where: Any) -> None:
        self.total, self.n, self.initial, self.where = total, initial, initial, where
        self.shown: list[tuple[int, str, str]] = []
        self.closed = 0
        self.made.append(self)

    def set_description_str(self, text: str, *, refresh: bool) -> None:
        self.text = text

    def set_postfix_str(self, figures: str, *, refresh: bool) -> None:
        self.figures = figures

    def refresh(self) -> None:
        self.shown.append((self.n, self.text, self.figures))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    """The bars that a test makes."""
    made: list[Bar] = []
    monkeypatch.setattr(Bar, "made", made, raising=False)
    monkeypatch.setattr(progress_bar, "_tqdm", lambda *, notebook: Bar)
    return made


def built() -> pynn.Model:
    return pynn.Builder().input(4).dense(3).softmax_cross_entropy().build(seed=1)


def fit(model: pynn.Model, **arguments: Any) -> pynn.History:
    return model.fit(X, LABELS, **{"epochs": 3, "batch_size": 10, **arguments})


def test_a_pipe_gets_a_line_for_each_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with all metrics; and without the argument nothing is printed."""
    fit(built())
    assert capsys.readouterr() == ("", "")
    history = fit(built(), progress=True, validation=0.25)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 3
    for epoch, line in enumerate(lines, 1):
        assert re.fullmatch(rf"epoch {epoch}/3: {METRICS}, \d+\.\d\d s", line)
    assert f"val_loss {history.val_loss[-1]:.4f}" in lines[-1]


def test_regression_has_its_own_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    """R2 and the mean absolute error."""
    model = pynn.Builder().input(4).dense(1).mean_squared_error().build(seed=1)
    model.fit(X, X[:, 0], epochs=1, progress=True)
    line = capsys.readouterr().err
    assert re.match(r"epoch 1/1: loss \S+, r2 \S+, mean_absolute_error \S+, \d", line)


def test_a_terminal_gets_a_bar_over_all_epochs(bars: list[Bar]) -> None:
    """It goes to its end, with the metrics of the last epoch, and is closed once."""
    file = Terminal()
    bar = pynn.progress(file)
    history = fit(built(), progress=bar, validation=0.25)
    (made,) = bars
    assert made.where["file"] is file
    assert made.total == made.n == 9
    assert made.closed == 1
    places = [shown[0] for shown in made.shown]
    assert places == sorted(places)
    assert {3, 6, 9} <= set(places)
    assert made.shown[-1][1] == "epoch 3/3"
    assert made.shown[-1][2].endswith(f"val_accuracy={history.val_accuracy[-1]:.4f}")
    fit(built(), progress=bar)  # it may be used again
    assert len(bars) == 2


def test_an_early_end_ends_the_bar(bars: list[Bar]) -> None:
    """A bar that stopped where it should is whole; one that an error stopped is not."""
    fit(built(), progress=pynn.progress(Terminal()), on_epoch=lambda result: result.epoch == 2)
    assert (bars[0].n, bars[0].total, bars[0].closed) == (8, 8, 1)

    def fail(result: pynn.EpochResult) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fit(built(), progress=pynn.progress(Terminal()), on_epoch=fail)
    assert (bars[1].n, bars[1].total, bars[1].closed) == (4, 12, 1)


def test_a_resumed_run_begins_where_it_was(bars: list[Bar], tmp_path: Path) -> None:
    """The time that is left is then right."""
    fit(built(), epochs=2, checkpoint=tmp_path / "run")
    model = pynn.Model.resume(tmp_path / "run")
    fit(model, epochs=3, checkpoint=tmp_path / "run", progress=pynn.progress(Terminal()))
    assert (bars[0].initial, bars[0].n, bars[0].total) == (8, 12, 12)


def test_it_is_an_ordinary_callback(bars: list[Bar]) -> None:
    """Beside others, for both kinds of reports or for epochs alone."""
    seen: list[Any] = []
    with pynn.progress(Terminal()) as bar:
        fit(built(), on_epoch=[bar, seen.append], on_progress=[bar, seen.append])
    with pynn.progress(Terminal()) as bar:
        fit(built(), on_epoch=bar)
    bar.close()
    assert len(seen) >= 6
    assert [(it.n, it.total, it.closed) for it in bars] == [(12, 12, 1), (3, 3, 1)]


def test_it_works_with_a_full_batch_optimizer(bars: list[Bar]) -> None:
    """Whose epochs have one step."""
    model = built()
    bar = pynn.progress(Terminal())
    model.fit(X, LABELS, epochs=2, optimizer=pynn.LBFGS(), progress=bar)
    assert (bars[0].n, bars[0].total) == (2, 2)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """The shell of a notebook, in which the test then runs."""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)  # type: ignore[arg-type]
    return shell


def test_a_notebook_gets_its_bar(bars: list[Bar], notebook: types.SimpleNamespace) -> None:
    """Whatever standard error is there; tqdm knows where to draw."""
    fit(built(), progress=True)
    assert bars[0].where == {}
    notebook.config.clear()  # IPython in a terminal
    fit(built(), progress=True)
    assert len(bars) == 1


@pytest.mark.parametrize("widgets", [False, True])
def test_a_notebook_without_widgets_gets_lines(
    widgets: bool,
    notebook: types.SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On standard output: the other looks like an error."""
    made: list[Bar] = []
    monkeypatch.setattr(Bar, "made", made, raising=False)
    fake = types.SimpleNamespace(IProgress=object if widgets else None, tqdm=Bar)
    monkeypatch.setitem(sys.modules, "tqdm.notebook", fake)  # type: ignore[arg-type]
    monkeypatch.setattr("tqdm.notebook", fake, raising=False)
    fit(built(), progress=True)
    out, err = capsys.readouterr()
    assert (out.count("\n"), err, len(made)) == ((0, "", 1) if widgets else (3, "", 0))


def test_without_tqdm_a_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a pipe does."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    file = Terminal()
    fit(built(), progress=pynn.progress(file))
    assert file.getvalue().count("\n") == 3


def test_an_error_within_tqdm_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its absence is expected."""

    class Finder:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "tqdm":
                raise ModuleNotFoundError("No module named 'other'", name="other")

    monkeypatch.delitem(sys.modules, "tqdm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match="other"):
        fit(built(), progress=pynn.progress(Terminal()))


def test_the_bar_of_tqdm_shows_the_metrics() -> None:
    """The real one, in 60 columns."""
    file = Terminal()
    fit(built(), progress=pynn.progress(file))
    last = file.getvalue().replace("\n", "\r").split("\r")[-2]
    assert re.match(r"epoch 3/3: 100%\|.*\| \d\d:\d\d<\d\d:\d\d, loss=\d\.\d{4}, accuracy=", last)


def test_a_program_without_a_console_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is no standard error."""
    monkeypatch.setattr(sys, "stderr", None)
    assert fit(built(), progress=True).epochs == 3


def test_wrong_streams_and_reports_are_refused() -> None:
    """By pynn's own errors."""
    with pytest.raises(pynn.ArgumentTypeError, match="file must be a text stream"):
        pynn.progress("log.txt")  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentTypeError, match=r"now must be a pynn.Progress or a pynn.Ep"):
        pynn.progress()(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "progress",
            "yes",
            r"progress must be True, False or what pynn.progress\(\) returns",
        ),
        ("progress", 1, "progress must be True"),
        ("on_progress", [print, 3], "on_progress must be callable, got int 3"),
        ("on_epoch", 3, "on_epoch must be callable, got int 3"),
    ],
)
def test_wrong_callbacks_are_refused(name: str, value: Any, words: str) -> None:
    """Before anything is trained."""
    model = built()
    with pytest.raises(pynn.ArgumentTypeError, match=words):
        fit(model, **{name: value})
    assert model.epochs_trained == 0
