"""R2 and the mean absolute error of regression: what they are, where they are shown and kept."""

from __future__ import annotations

import copy
import json
import math
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hostile_files import join, parts
from older_files.make import RUNS, checkpoint_file
from sklearn.metrics import mean_absolute_error, r2_score

import pynn
from pynn._base import statistics

ROWS = 203
X = np.random.default_rng(1).normal(size=(ROWS, 4)).astype(np.float32)
COUNTS = np.random.default_rng(2).poisson(np.exp(X[:, :3])).astype(np.float32)
KINDS = ["mean_squared_error", "poisson"]
TINY = pynn.SGD(learning_rate=1e-30)  # parameters stay what they are


def build(kind: str = "mean_squared_error", outputs: int = 1) -> pynn.Model:
    """A small network, untrained."""
    chain = pynn.Builder().input(4).dense(5).tanh().dense(outputs)
    model: pynn.Model = getattr(chain, kind)().build(seed=3)
    return model


def expected(targets: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> tuple[float, float]:
    """What scikit-learn says."""
    return r2_score(targets, predicted), mean_absolute_error(targets, predicted)


def found(what: pynn.Evaluation | pynn.EpochResult | pynn.Progress) -> Any:
    """R2 and the mean absolute error, to be compared."""
    return pytest.approx((what.r2, what.mean_absolute_error), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_is_scikit_learns(kind: str, outputs: int) -> None:
    """R2, averaged over outputs, and the mean absolute error, whatever the weights."""
    model, targets = build(kind, outputs), COUNTS[:, :outputs] * [1, 100, 0.001][:outputs]
    evaluation = model.evaluate(X, targets)
    assert expected(targets, model.predict(X)) == found(evaluation)
    assert math.isnan(evaluation.accuracy)
    weighted = model.evaluate(X, targets, sample_weight=np.arange(ROWS))
    assert weighted.loss != evaluation.loss
    assert weighted.r2 == evaluation.r2
    assert weighted.mean_absolute_error == evaluation.mean_absolute_error


@pytest.mark.parametrize("kind", KINDS)
def test_training_has_them(kind: str) -> None:
    """Those of each epoch are over the rows trained on, those of validation over the others."""
    model, y = build(kind), COUNTS[:, 0]
    seen: list[pynn.Progress] = []
    results: list[pynn.EpochResult] = []
    history = model.fit(
        *(X, y),
        epochs=2,
        batch_size=32,
        optimizer=TINY,
        validation=0.3,
        on_epoch=results.append,
        on_progress=seen.append,
    )
    held = model.evaluate(X, y)  # to know the mean over all rows: those of both parts
    error, tested = history.mean_absolute_error[0], history.val_mean_absolute_error[0]
    assert len(history.r2) == len(history.val_r2) == 2 and history.accuracy == []
    assert (142 * error + 61 * tested) / ROWS == pytest.approx(held.mean_absolute_error, rel=1e-6)
    assert [p.r2 for p in seen if p.step == p.steps] == history.r2
    assert [p.mean_absolute_error for p in seen if p.step == p.steps] == history.mean_absolute_error
    whole = build(kind).fit(X, y, epochs=1, optimizer=TINY, validation=(X[:50], y[:50]))
    assert expected(y, model.predict(X)) == found(pynn.Evaluation(0.0, r2=whole.r2[0],
        mean_absolute_error=whole.mean_absolute_error[0]))  # fmt: skip
    assert whole.val_r2[0] == pytest.approx(r2_score(y[:50], model.predict(X[:50])), rel=1e-6)
    [result, _] = results
    assert (result.val_r2, result.val_mean_absolute_error) == (history.val_r2[0], tested)


def test_partial_fit_has_them() -> None:
    """Over the examples of the call."""
    model = build()
    evaluation = model.partial_fit(X, COUNTS[:, 0], optimizer=TINY)
    assert expected(COUNTS[:, 0], build().predict(X)) == found(evaluation)


@pytest.mark.parametrize("outputs", [1, 2])
def test_equal_targets(outputs: int) -> None:
    """As in scikit-learn R2 is 0 if the targets are equal, or 1 if each is predicted exactly."""
    model, targets = build(outputs=outputs), np.full((ROWS, outputs), 2.0, np.float32)
    assert model.evaluate(X, targets).r2 == r2_score(targets, model.predict(X)) == 0.0
    targets[...] = 0.1  # whose mean, calculated with floats, is another number
    assert model.evaluate(X, targets).r2 == 0.0
    model._engine.parameters[...] = 0.0
    targets[...] = 0.0
    assert model.evaluate(X, targets).r2 == r2_score(targets, model.predict(X)) == 1.0


def test_one_example_has_no_r2() -> None:
    """Its targets have no variance to explain: nan, as in scikit-learn."""
    evaluation = build().evaluate(X[:1], COUNTS[:1, 0])
    assert math.isnan(evaluation.r2) and evaluation.mean_absolute_error > 0
    history = build().fit(X[:1], COUNTS[:1, 0], epochs=1)
    assert len(history.r2) == 1 and math.isnan(history.r2[0])


@pytest.mark.parametrize("rows", [None, np.arange(5, 900, 7)])
def test_variances_of_long_and_shifted_columns(
    rows: npt.NDArray[Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of the rows give the variance of all; equal values give exactly 0."""
    monkeypatch.setattr(statistics, "VALUES_AT_A_TIME", 50)
    array = np.random.default_rng(4).normal(1e4, 1, (1000, 3)).astype(np.float32)
    array[:, 1] = 0.1
    chosen = array if rows is None else array[rows]
    result = statistics.variances(array, rows)
    np.testing.assert_allclose(result, chosen.var(axis=0, dtype=np.float64), 1e-12)
    assert result[1] == 0.0


# ------------------------------------------------------------ checkpoints


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_run_has_them(kind: str, tmp_path: Path) -> None:
    """A run that is interrupted in an epoch ends with the same metrics, bit for bit."""
    y, arguments = COUNTS, {"epochs": 3, "batch_size": 20, "validation": (X, COUNTS)}

    def stop(progress: pynn.Progress) -> None:
        if progress.epoch == 2:
            raise InterruptedError

    path = tmp_path / "run.checkpoint"
    with pytest.raises(InterruptedError):
        build(kind, 3).fit(X, y, on_progress=stop, checkpoint=path, every=4, **arguments)
    resumed = pynn.Model.resume(path)
    again = pickle.loads(pickle.dumps(resumed)).fit(X, y, **arguments).to_dict()
    history, whole = resumed.fit(X, y, **arguments), build(kind, 3).fit(X, y, **arguments)
    for name in ("loss", "r2", "mean_absolute_error", "val_r2", "val_mean_absolute_error"):
        assert getattr(history, name) == getattr(whole, name) == again[name]


def test_run_of_an_older_version_goes_on(tmp_path: Path) -> None:
    """The epoch that it had begun has no R2; those that follow have. The new file can be read."""
    run = RUNS["mean_squared_error"]
    _, history = run.resume(checkpoint_file("mean_squared_error"))
    _, whole = run.whole()
    assert len(history.loss) == len(history.r2) == len(whole.r2) > 2
    assert np.isnan(history.r2[:2]).all() and np.isnan(history.mean_absolute_error[:2]).all()
    assert history.r2[2:] == pytest.approx(whole.r2[2:], rel=1e-5)
    history.to_csv(tmp_path / "run.csv")
    first = (tmp_path / "run.csv").read_text().splitlines()[1]
    assert first.split(",")[2:4] == ["", ""]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"errors": [[1.0], [1.0]]}, "errors must have two lists of 3 numbers"),
        ({"errors": [[1.0] * 3, [1.0, 1.0, True]]}, "a number must be finite, got bool True"),
        ({"errors": [[1.0, 1.0]]}, "not enough values"),
        ({"errors": 1}, "int"),
        ({"results": [[1, 4, 1.0, None, None, None, 0.1, 0.5]]}, "not enough values"),
        ({"results": [[1, 4, 1.0, None, None, None, 0.1, 0.5, [], None, None]]}, "got list"),
        ({"results": [[1, 4, 1.0, None, None, None, 0.1, 0.5, 1.0, 0.5, None]]}, "of epoch 1 are"),
    ],
)
def test_damaged_errors_are_refused(entries: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Errors of other outputs, metrics that are not all there, and what is no number."""
    header, tensors = parts(checkpoint_file("mean_squared_error").read_bytes())
    run = json.loads(header["__metadata__"]["run"]) | entries
    header["__metadata__"]["run"] = json.dumps(run)
    (tmp_path / "run").write_bytes(join(header, tensors))
    with pytest.raises(pynn.FileFormatError, match=f"description of its run is damaged: .*{words}"):
        pynn.Model.resume(tmp_path / "run")


# ------------------------------------------------------------ as objects


def test_evaluation_shows_what_it_has() -> None:
    """A regression has no accuracy, a classification nothing else; large numbers are short."""
    regression = pynn.Evaluation(1.08e44, r2=-1.5, mean_absolute_error=0.00000123)
    assert repr(regression) == (
        "Evaluation(loss=1.08e+44, r2=-1.5000, mean_absolute_error=1.23e-06)"
    )
    assert list(regression._asdict()) == ["loss", "r2", "mean_absolute_error"]
    assert pynn.Evaluation(0.5, 0.25)._asdict() == {"loss": 0.5, "accuracy": 0.25}


def test_evaluation_is_a_value() -> None:
    """Copies are equal, and another R2 is another evaluation; a tuple of two is equal, too."""
    one = pynn.Evaluation(0.5, r2=0.75, mean_absolute_error=0.1)
    for other in (copy.copy(one), pickle.loads(pickle.dumps(one)), one._replace(loss=0.5)):
        assert other == one and hash(other) == hash(one)
        assert repr(other) == repr(one)
    assert one._replace(r2=0.5) != one and one._replace(r2=0.5).mean_absolute_error == 0.1
    assert pynn.Evaluation(0.5, 0.25) == (0.5, 0.25) != pynn.Evaluation(0.5, 0.5)


HISTORY = pynn.History(
    loss=[2.0, 1.0],
    val_loss=[3.0, 2e10],
    seconds=[0.5, 0.5],
    r2=[0.5, 0.75],
    mean_absolute_error=[1.0, 0.5],
    val_r2=[0.25, 0.5],
    val_mean_absolute_error=[1.5, 1.25],
)


def test_history_of_regression(tmp_path: Path) -> None:
    """Its repr, its file and its plain values have R2 where others have the accuracy."""
    assert repr(HISTORY) == (
        "History(2 epochs in 1.00 s; last: loss=1.0000, r2=0.7500, mean_absolute_error=0.5000,"
        " val_loss=2.00e+10, val_r2=0.5000, val_mean_absolute_error=1.2500)"
    )
    HISTORY.to_csv(tmp_path / "run.csv")
    names = "loss,r2,mean_absolute_error,val_loss,val_r2,val_mean_absolute_error,seconds"
    assert (tmp_path / "run.csv").read_text() == (
        f"epoch,{names}\n1,2.0,0.5,1.0,3.0,0.25,1.5,0.5\n2,1.0,0.75,0.5,20000000000.0,0.5,1.25,0.5\n"
    )
    assert list(HISTORY.to_dict()) == ["epoch", *names.split(",")]


def test_history_of_an_older_version_is_restored() -> None:
    """What was pickled without R2 has none."""
    old = pynn.History.__new__(pynn.History)
    old.__setstate__({"loss": [1.0], "accuracy": [0.5], "seconds": [1.0]})
    assert old == pynn.History([1.0], [0.5], seconds=[1.0])
    assert pickle.loads(pickle.dumps(HISTORY)) == HISTORY


@pytest.mark.parametrize("history", [HISTORY, pynn.History([0.5], [1.0], seconds=[1.0])])
def test_history_as_a_frame(history: pynn.History) -> None:
    """A row for each epoch, and a column for each metric that there is."""
    pandas = pytest.importorskip("pandas")
    frame = history.to_frame()
    assert frame.index.name == "epoch" and list(frame.index) == [1, 2][: history.epochs]
    plain = pandas.DataFrame(history.to_dict()).set_index("epoch")
    pandas.testing.assert_frame_equal(frame, plain)
    for name, values in history.to_dict().items():
        assert name == "epoch" or list(frame[name]) == values


@pytest.mark.parametrize(("absent", "words"), [("pandas", "needs pandas"), ("numpy.x", "numpy.x")])
def test_history_as_a_frame_needs_pandas(
    absent: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pandas the error says what to install; a broken pandas is not called absent."""

    class Absent:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "pandas":
                raise ModuleNotFoundError(f"No module named {absent!r}", name=absent)

    for name in [name for name in sys.modules if name.split(".")[0] == "pandas"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(ImportError, match=words):
        HISTORY.to_frame()


# ------------------------------------------------------------ early stopping


@pytest.mark.parametrize(
    ("monitor", "best"),
    [("val_r2", 3), ("r2", 2), ("val_mean_absolute_error", 1), ("mean_absolute_error", 2)],
)
def test_early_stopping_watches_them(monitor: Any, best: int) -> None:
    """The larger R2 and the smaller error is better."""
    figures = [(0.5, 3.0, 0.1, 1.0), (0.6, 2.0, 0.2, 2.0), (0.4, 4.0, 0.3, 3.0)]
    results = [
        pynn.EpochResult(epoch, 9, 1.0, math.nan, 1.0, math.nan, 0.1, *values)
        for epoch, values in enumerate(figures, start=1)
    ]
    assert pynn.EarlyStopping(monitor=monitor)._best_epoch(results) == best


@pytest.mark.parametrize(
    ("kind", "monitor", "hint"),
    [
        ("mean_squared_error", "accuracy", "regression does not have; watch loss or r2"),
        ("poisson", "val_accuracy", "regression does not have; watch val_loss or val_r2"),
        ("softmax_cross_entropy", "val_r2", "only regression has; watch val_loss or val_accuracy"),
        ("binary_cross_entropy", "mean_absolute_error", "only regression has; watch loss or acc"),
    ],
)
def test_early_stopping_needs_the_metric(kind: str, monitor: Any, hint: str) -> None:
    """A metric that the loss does not have is refused, with those that it has."""
    labels = np.zeros(ROWS, np.int64)
    stopping = pynn.EarlyStopping(monitor=monitor)
    with pytest.raises(pynn.ArgumentError, match=f"early_stopping watches {monitor}, which {hint}"):
        build(kind).fit(X, labels, epochs=1, validation=0.5, early_stopping=stopping)
