"""When training stops: early stopping and callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from random_training import Stop, X, Y, build

import pynn
from pynn._training.history import EpochResult


def results(*figures: float) -> list[EpochResult]:
    """Epochs with these figures of the validation."""
    return [
        EpochResult(epoch, 99, 1.0, 0.5, figure, figure, 0.1)
        for epoch, figure in enumerate(figures, start=1)
    ]


@pytest.mark.parametrize(
    ("options", "figures", "best", "over"),
    [
        ({"patience": 2}, (3, 2, 1), 3, False),
        ({"patience": 2}, (1, 2), 1, False),
        ({"patience": 2}, (1, 2, 3), 1, True),
        ({"patience": 2}, (1, 1, 1), 1, True),
        ({"patience": 1}, (2, 1, 1.5), 2, True),
        ({"patience": 2, "min_delta": 0.5}, (3, 2.6, 2.4), 3, False),
        ({"patience": 2, "min_delta": 0.5}, (3, 2.6, 2.55), 1, True),
        ({"patience": 2, "monitor": "val_accuracy"}, (0.5, 0.7, 0.6, 0.65), 2, True),
        ({"patience": 2, "monitor": "val_accuracy"}, (0.5, 0.7, 0.6, 0.75), 4, False),
        ({"patience": 3, "monitor": "loss"}, (0.5, 0.7, 0.6), 1, False),
    ],
)
def test_when_to_stop(
    options: dict[str, Any], figures: tuple[float, ...], best: int, over: bool
) -> None:
    """It stops after `patience` epochs that are not better by more than min_delta."""
    stopping = pynn.EarlyStopping(**options)
    assert stopping._best_epoch(results(*figures)) == best
    assert stopping._is_over(results(*figures)) is over


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_ends_and_restores(restore: bool) -> None:
    """Training on noise ends early, with the parameters of the best epoch if asked for."""
    noise = np.random.default_rng(8).integers(0, 3, 210)
    model = build()
    kept: list[npt.NDArray[np.float32]] = []
    history = model.fit(
        X,
        noise,
        epochs=200,
        batch_size=20,
        optimizer=pynn.Adam(learning_rate=0.02),
        validation=0.3,
        early_stopping=pynn.EarlyStopping(patience=4, restore_best=restore),
        on_epoch=lambda _: kept.append(model._engine.parameters.copy()),
    )
    best = int(np.argmin(history.val_loss))
    assert history.epochs == best + 1 + 4 < 200
    expected = kept[best] if restore else kept[-1]
    np.testing.assert_array_equal(model._engine.parameters, expected)
    assert model.epochs_trained == history.epochs


@pytest.mark.parametrize("how", ["patience", "callback", "neither"])
def test_exception_from_a_callback_after_the_last_epoch(how: str, tmp_path: Path) -> None:
    """The run is over, so the model has the best parameters; in the middle it has the latest."""
    noise = np.random.default_rng(8).integers(0, 3, 210)
    model = build()
    kept: list[npt.NDArray[np.float32]] = []
    figures: list[Any] = []

    def stop(result: EpochResult) -> bool:
        kept.append(model._engine.parameters.copy())
        figures.append(result.val_loss)
        return how == "callback" and result.epoch == 15

    def fail(result: EpochResult) -> None:
        over = len(figures) - 1 - int(np.argmin(figures)) == 4
        if over if how == "patience" else result.epoch == 15:
            raise Stop

    patience = 4 if how == "patience" else 50
    path = tmp_path / "run"
    with pytest.raises(Stop):
        model.fit(
            X,
            noise,
            epochs=200,
            batch_size=20,
            optimizer=pynn.Adam(learning_rate=0.02),
            validation=0.3,
            early_stopping=pynn.EarlyStopping(patience=patience),
            on_epoch=[stop, fail],
            checkpoint=path,
        )
    best = int(np.argmin(figures))
    assert best < len(kept) - 1
    expected = kept[-1] if how == "neither" else kept[best]
    np.testing.assert_array_equal(model._engine.parameters, expected)
    np.testing.assert_array_equal(pynn.load(path)._engine.parameters, kept[-1])
    assert model.epochs_trained == len(kept)


def test_callbacks_in_turn_and_the_one_that_stops() -> None:
    """All are called, in their order; the epoch at which one returns True is the last."""
    calls: list[tuple[str, int]] = []

    def first(result: EpochResult) -> bool:
        calls.append(("first", result.epoch))
        return result.epoch == 3

    def second(result: EpochResult) -> int:
        calls.append(("second", result.epoch))
        return 1  # not True

    history = build().fit(X, Y, epochs=9, on_epoch=[first, second])
    assert history.epochs == 3
    assert calls == [(name, epoch) for epoch in (1, 2, 3) for name in ("first", "second")]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"patience": 0}, ValueError, "patience must be at least 1, got 0"),
        ({"patience": 1.5}, TypeError, "patience must be an integer, got float 1.5"),
        ({"monitor": "val"}, ValueError, "monitor must be one of 'val_loss', "),
        ({"min_delta": -1}, ValueError, "min_delta must be at least 0"),
        ({"restore_best": 1}, TypeError, "restore_best must be True or False, got int 1"),
    ],
)
def test_wrong_stopping_is_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """The error names the argument."""
    with pytest.raises(error) as caught:
        pynn.EarlyStopping(**options)
    assert words in str(caught.value)


def test_regression_has_no_accuracy_to_watch() -> None:
    """The error says what to watch."""
    model = pynn.Builder().input(6).dense(1).mean_squared_error().build()
    stopping = pynn.EarlyStopping(monitor="val_accuracy")
    with pytest.raises(pynn.ArgumentError, match="does not have; watch val_loss"):
        model.fit(X, X[:, 0], epochs=1, validation=0.2, early_stopping=stopping)
