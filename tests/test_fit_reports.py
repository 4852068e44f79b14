"""Training from Python: what the history, the evaluation and the callbacks report."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pattern_models import Examples, assert_same_parameters, build

import pynn
from pynn._training import trainer


def halves(examples: Examples) -> tuple[Examples, Examples]:
    """The first 200 examples and the other 100."""
    images, labels = examples
    return (images[:200], labels[:200]), (images[200:], labels[200:])


def test_history_has_an_entry_an_epoch(examples: Examples) -> None:
    """Losses, accuracies and seconds of each epoch; the last validation is what evaluate gives."""
    model = build()
    train, test = halves(examples)
    history = model.fit(*train, epochs=4, batch_size=32, validation=test)
    assert history.epochs == 4
    figures = (
        history.loss,
        history.accuracy,
        history.val_loss,
        history.val_accuracy,
        history.seconds,
    )
    assert [len(figure) for figure in figures] == [4] * 5
    assert (history.val_loss[-1], history.val_accuracy[-1]) == model.evaluate(*test)
    assert all(0 <= a <= 1 for a in history.accuracy + history.val_accuracy)
    assert all(s > 0 for s in history.seconds)


def test_seconds_are_those_of_the_steps(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pretended clock advances by a second at each look: once a step, and between steps."""
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(trainer, "time", clock)
    monkeypatch.setattr(trainer, "paced", lambda first, total: itertools.pairwise(range(4)))
    history = build().fit(*examples, epochs=2, batch_size=100)
    assert history.seconds == [3.0, 3.0]


def test_validation_is_not_trained_on(examples: Examples) -> None:
    """With validation the parameters become what they become without."""
    model, other = build(), build()
    train, test = halves(examples)
    model.fit(*train, epochs=2, batch_size=32, validation=test)
    history = other.fit(*train, epochs=2, batch_size=32)
    assert_same_parameters(model, other)
    assert history.val_loss == history.val_accuracy == []


def test_validation_may_be_a_data_set_or_a_list(examples: Examples) -> None:
    """A Dataset and a list of two are pairs, too."""
    images, labels = examples
    pairs: list[Any] = [(images, labels), [images, labels], pynn.datasets.Dataset(images, labels)]
    losses = [
        build().fit(*examples, epochs=1, batch_size=32, validation=pair).val_loss for pair in pairs
    ]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize(
    ("history", "text"),
    [
        (pynn.History(), "History(0 epochs)"),
        (
            pynn.History(loss=[0.5], accuracy=[0.25], seconds=[1.234]),
            "History(1 epoch in 1.23 s; last: loss=0.5000, accuracy=0.2500)",
        ),
        (
            pynn.History([0.5, 0.1], [0.25, 0.75], [1, 2], [0.125, 1 / 3], [1.0, 2.0]),
            "History(2 epochs in 3.00 s; last: loss=0.1000, accuracy=0.7500, val_loss=2.0000,"
            " val_accuracy=0.3333)",
        ),
    ],
)
def test_history_repr_sums_up(history: pynn.History, text: str) -> None:
    """The repr has the epochs, their time, and the last figures."""
    assert repr(history) == text


def test_evaluation_is_a_readable_pair() -> None:
    """An Evaluation unpacks, and its repr is short."""
    evaluation = pynn.Evaluation(1 / 3, 0.5)
    assert tuple(evaluation) == (1 / 3, 0.5)
    assert repr(evaluation) == "Evaluation(loss=0.3333, accuracy=0.5000)"


def test_on_epoch_sees_each_epoch(examples: Examples) -> None:
    """The callback gets the figures that the history will hold, as they become known."""
    model = build()
    results: list[pynn.EpochResult] = []
    epochs_trained: list[int] = []

    def on_epoch(result: pynn.EpochResult) -> None:
        results.append(result)
        epochs_trained.append(model.epochs_trained)

    history = model.fit(*examples, epochs=3, batch_size=32, validation=examples, on_epoch=on_epoch)
    assert [(r.epoch, r.epochs) for r in results] == [(1, 3), (2, 3), (3, 3)]
    assert epochs_trained == [1, 2, 3]
    again = pynn.History()
    for result in results:
        again.append(result)
    assert again == history


def test_on_epoch_without_validation_gets_none(examples: Examples) -> None:
    """Figures that were not asked for are None."""
    results: list[pynn.EpochResult] = []
    build().fit(*examples, epochs=1, batch_size=32, on_epoch=results.append)
    assert (results[0].val_loss, results[0].val_accuracy) == (None, None)


def test_on_progress_sees_steps_to_the_end(examples: Examples) -> None:
    """Steps count up to the last of each epoch, whose means are the history's."""
    seen: list[pynn.Progress] = []
    history = build().fit(*examples, epochs=3, batch_size=7, on_progress=seen.append)
    assert {(p.epochs, p.steps) for p in seen} == {(3, 43)}
    positions = [(p.epoch, p.step) for p in seen]
    assert positions == sorted(set(positions))
    lasts = [p for p in seen if p.step == p.steps]
    assert [p.epoch for p in lasts] == [1, 2, 3]
    assert [p.loss for p in lasts] == history.loss
    assert [p.accuracy for p in lasts] == history.accuracy


def test_model_may_be_used_in_callbacks(examples: Examples, tmp_path: Path) -> None:
    """A callback may predict, evaluate and save, and changes nothing by that."""
    images, labels = examples
    model, other = build(), build()

    def on_epoch(result: pynn.EpochResult) -> None:
        assert model.evaluate(images, labels) == (result.val_loss, result.val_accuracy)
        model.save(tmp_path / f"{result.epoch}")

    history = model.fit(
        images,
        labels,
        epochs=2,
        batch_size=32,
        validation=examples,
        on_epoch=on_epoch,
        on_progress=lambda _: model.predict(images),
    )
    other.fit(*examples, epochs=2, batch_size=32)
    assert_same_parameters(model, other)
    assert_same_parameters(model, pynn.load(tmp_path / "2"))
    assert pynn.load(tmp_path / "1").evaluate(images, labels).loss == history.val_loss[0]
