"""Numbers that training makes too large: the error names the step, and the model goes back."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_numbers import (
    ARGUMENT,
    DIVERGED,
    PATHS,
    STEPS,
    Array,
    all_at_once,
    assert_same,
    build,
    examples,
    fit,
    refused,
    step_by_step,
    step_of,
)

import pynn
from pynn._native.data import Data
from pynn._training import trainer


def diverging_step(width: int, x: Array, y: Array, rate: float) -> tuple[int, int]:
    """Epoch and step after which no more are reported, run step by step."""
    seen = [(1, 0)]

    def on_progress(now: pynn.Progress) -> None:
        assert math.isfinite(now.loss)
        seen.append((now.epoch, now.step))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "paced", step_by_step)
        with pytest.raises(pynn.DivergenceError):
            fit(
                build(width),
                x,
                y,
                epochs=40,
                optimizer=pynn.SGD(learning_rate=rate),
                on_progress=on_progress,
            )
    epoch, step = seen[-1]
    return (epoch, step + 1) if step < STEPS else (epoch + 1, 1)


@pytest.mark.parametrize("cut", [step_by_step, all_at_once, trainer.paced])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rate", [1e3, 1e8, 1e15, 1e30, 3e38])
def test_high_rate_is_told_where_it_shows(
    cut: Any, path: str, rate: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names epoch and step, however steps are cut into runs, and what to try."""
    density, width = PATHS[path]
    x, y = examples(rng, density)
    x *= 1000
    epoch, step = diverging_step(width, x, y, rate)
    monkeypatch.setattr(trainer, "paced", cut)
    message = refused(
        DIVERGED,
        lambda: fit(build(width), x, y, epochs=40, optimizer=pynn.SGD(learning_rate=rate)),
    )
    place, what = message.split(": ")[:2]
    if "after" in place:
        last = "its last step" if step == STEPS else f"step {step}"
        assert place == f"epoch {epoch}, after {last}"
        assert what.startswith("some parameters are not finite")
    else:
        assert place == f"epoch {epoch}, step {step} of {STEPS}"
        assert what.startswith("the loss is not finite")
    assert f"try a smaller learning rate than {rate:g}" in message
    assert "features scaled to about 1" in message
    assert message.endswith("the model's parameters are lost: build it or load it anew")


def test_loss_is_finite_until_it_is_not(rng: np.random.Generator) -> None:
    """All that is reported before the error is finite: losses, and those of validation."""
    x, y = examples(rng)
    figures: list[float] = []
    with pytest.raises(pynn.DivergenceError):
        fit(
            build(),
            x * 1000,
            y,
            epochs=40,
            optimizer=pynn.SGD(learning_rate=1e3),
            validation=(x, y),
            on_progress=lambda now: figures.append(now.loss),
            on_epoch=lambda result: figures.append(result.val_loss or 0.0),
        )
    assert figures
    assert np.isfinite(figures).all()


@pytest.mark.parametrize("every", [None, 1, 4])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rate", [1e3, 1e30])
@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_model_goes_back_to_its_checkpoint(
    every: int | None, path: str, rate: float, rng: np.random.Generator, tmp_path: Path
) -> None:
    """Its parameters are finite and those of the file, from a step before the error."""
    density, width = PATHS[path]
    x, y = examples(rng, density)
    x *= 1000
    file, model = tmp_path / "run", build(width)
    fit(model, x, y, epochs=1, optimizer=pynn.SGD(learning_rate=1e-9))
    message = refused(
        DIVERGED,
        lambda: fit(
            model,
            x,
            y,
            epochs=40,
            optimizer=pynn.SGD(learning_rate=rate),
            checkpoint=file,
            every=every,
        ),
    )
    back = re.search(r"the model is back at its last checkpoint, epoch (\d+), step (\d+)$", message)
    assert back
    epoch, step = map(int, back.groups())
    failed = re.match(r"epoch (\d+), (?:after )?(?:step (\d+)|its last step)", message)
    assert failed
    assert (epoch, step) < (int(failed[1]), int(failed[2] or STEPS + 1))
    if every is None:
        assert step == 0
    else:
        assert ((epoch - 1) * STEPS + step) % every == 0
    kept = pynn.load(file)
    assert_same(model, kept)
    assert model.epochs_trained == kept.epochs_trained == 1 + epoch - 1
    assert all(np.isfinite(array).all() for array in model.parameters.values())
    if (epoch, step) == (1, 0):  # later ones may be all but infinite
        assert np.isfinite(model.evaluate(x, y).loss)
        fit(model, x, y, optimizer=pynn.SGD(learning_rate=1e-9))


@pytest.mark.parametrize("every", [1, 4, 40])
def test_bad_feature_takes_a_model_back_to_its_checkpoint(
    every: int, rng: np.random.Generator, tmp_path: Path
) -> None:
    """The run, resumed with correct features, ends as the run that never had a bad one."""
    x, y = examples(rng)
    model, whole, path = build(), build(), tmp_path / "run"
    fit(whole, x, y)
    good = x[33, 7]

    def spoil(result: pynn.EpochResult) -> None:
        x[33, 7] = np.nan

    message = refused(
        ARGUMENT, lambda: fit(model, x, y, on_epoch=spoil, checkpoint=path, every=every)
    )
    step = step_of(33, 2)
    assert message.startswith(f"epoch 2, step {step} of {STEPS}: features[33] holds nan")
    epoch, step = divmod((STEPS + step - 1) // every * every, STEPS)
    assert message.endswith(f"back at its last checkpoint, epoch {epoch + 1}, step {step}")
    assert_same(model, pynn.load(path))
    assert model.epochs_trained == epoch
    x[33, 7] = good
    assert np.isfinite(model.evaluate(x, y).loss)
    again = pynn.Model.resume(path)
    assert fit(again, x, y).epochs == 3
    assert_same(again, whole)


def test_ctrl_c_while_the_fault_is_looked_for_leaves_good_parameters(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is back at its checkpoint before all features are looked at, which takes time."""
    x, y = examples(rng)
    model, path = build(), tmp_path / "run"

    def spoil(result: pynn.EpochResult) -> None:
        x[33, 7] = np.nan

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Data, "find_not_finite", press)
        fit(model, x, y, on_epoch=spoil, checkpoint=path)
    assert_same(model, pynn.load(path))
    assert all(np.isfinite(array).all() for array in model.parameters.values())
    assert model.epochs_trained == 1


@pytest.mark.parametrize("kind", [pynn.SGD, pynn.Adam])
@pytest.mark.parametrize("options", [{}, {"max_gradient_norm": 1e30}])
def test_partial_fit_does_not_return_parameters_that_are_not_finite(
    kind: type[pynn.SGD], options: dict[str, Any], rng: np.random.Generator
) -> None:
    """A last step whose loss is finite and whose update is not is an error."""
    x, y = examples(rng)
    model = build()
    optimizer = kind(learning_rate=3e38, **options)
    message = refused(DIVERGED, lambda: model.partial_fit(x * 1e6, y, optimizer=optimizer))
    assert message == (
        "after its last step: some parameters are not finite any more: try a smaller learning rate"
        " than 3e+38, features scaled to about 1, or another init; the model's parameters are lost:"
        " build it or load it anew"
    )


def test_moments_that_are_not_finite_are_an_error() -> None:
    """A squared gradient that is no float: its parameter would never move again."""
    x = np.full((4, 1), 1e25, np.float32)
    model = pynn.Builder().input(1).dense(1).mean_squared_error().build()
    model.parameters["dense1.weight"][:] = 0.0
    message = refused(
        DIVERGED,
        lambda: fit(model, x, np.ones(4), epochs=1, batch_size=4, optimizer=pynn.Adam()),
    )
    assert message.startswith(
        "epoch 1, after its last step: some of the optimizer's moments are not finite any more: try"
        " a smaller learning rate than 0.001, "
    )


@pytest.mark.parametrize(
    ("rate", "shown"), [(1e30, "1e+30"), (123456789, "123456789"), (1e8 + 0.125, "100000000.125")]
)
def test_divergence_names_the_rate_that_was_given(
    rate: float, shown: str, rng: np.random.Generator
) -> None:
    """The error gives the learning rate with all its digits."""
    x, y = examples(rng)
    message = refused(
        DIVERGED,
        lambda: fit(build(), 1000 * x, y, epochs=40, optimizer=pynn.SGD(learning_rate=rate)),
    )
    assert f"try a smaller learning rate than {shown}, " in message


def test_best_parameters_are_looked_at_when_they_are_kept(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may write into them after the epoch's steps."""
    x, y = examples(rng)
    model = build()
    evaluate = model._engine.evaluate

    def spoil(data: Data) -> pynn.Evaluation:
        figures = evaluate(data)
        model.parameters["dense1.weight"][0, 0] = np.nan
        return figures

    monkeypatch.setattr(model._engine, "evaluate", spoil)
    stopping = pynn.EarlyStopping()
    message = refused(
        DIVERGED, lambda: fit(model, x, y, validation=(x, y), early_stopping=stopping)
    )
    assert message.startswith("epoch 1, after its last step: some parameters are not finite any")


@pytest.mark.parametrize("stops", [True, False])
def test_callback_cannot_leave_parameters_that_are_not_finite(
    stops: bool, rng: np.random.Generator
) -> None:
    """Such parameters are an error after the last epoch, too."""
    x, y = examples(rng)
    model = build()

    def spoil(result: pynn.EpochResult) -> bool:
        if stops or result.epoch == result.epochs:
            model.parameters["dense2.bias"][1] = np.inf
        return stops

    message = refused(DIVERGED, lambda: fit(model, x, y, on_epoch=spoil))
    assert message == (
        f"epoch {1 if stops else 3}, after its callbacks: some parameters are not finite any more;"
        " the model's parameters are lost: build it or load it anew"
    )
