"""Training from Python: what a callback that raises, a Ctrl-C or a nested call leaves."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pattern_models import Examples, assert_same_parameters, build, flat

import pynn


class Stop(Exception):
    """What a callback raises here."""


def stop(_: object) -> None:
    """A callback that wants no more."""
    raise Stop


def press_ctrl_c(_: object) -> None:
    """A callback during which the user presses Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("callback", "error"), [(stop, Stop), (press_ctrl_c, KeyboardInterrupt)])
@pytest.mark.parametrize("option", ["on_epoch", "on_progress"])
def test_interruption_leaves_a_usable_model(
    option: str,
    callback: Callable[[object], None],
    error: type[BaseException],
    examples: Examples,
    tmp_path: Path,
    ctrl_c: None,
) -> None:
    """What a callback raises comes out of fit; the model has its steps so far and can go on."""
    model = build()
    untrained = flat(model)
    with pytest.raises(error):
        model.fit(*examples, epochs=3, batch_size=32, **{option: callback})  # type: ignore[arg-type]
    assert np.isfinite(flat(model)).all()
    assert (flat(model) != untrained).any()
    assert model.epochs_trained == (1 if option == "on_epoch" else 0)
    model.save(tmp_path / "kept")
    assert_same_parameters(model, pynn.load(tmp_path / "kept"))
    history = model.fit(*examples, epochs=10, batch_size=20)
    assert history.epochs == 10
    assert model.evaluate(*examples).accuracy > 0.95


def test_interruption_after_an_epoch_loses_nothing(examples: Examples) -> None:
    """Stopped between epochs and taken up again, training gives the bits of an undisturbed run."""
    model, other = build(), build()
    with pytest.raises(Stop):
        model.fit(*examples, epochs=5, batch_size=32, on_epoch=stop)
    model.fit(*examples, epochs=2, batch_size=32)
    other.fit(*examples, epochs=3, batch_size=32)
    assert_same_parameters(model, other)


@pytest.mark.parametrize("option", ["on_epoch", "on_progress"])
def test_nested_fit_is_an_error(option: str, examples: Examples) -> None:
    """A callback that trains its own model gets an error, not a deadlock; fit works after it."""
    model = build()

    def nested(_: object) -> None:
        model.fit(*examples, epochs=1, batch_size=32)

    with pytest.raises(
        pynn.PynnError, match="fit was called from a callback of the same model's fit"
    ):
        model.fit(*examples, epochs=1, batch_size=32, **{option: nested})  # type: ignore[arg-type]
    assert model.fit(*examples, epochs=1, batch_size=32).epochs == 1


def test_other_model_may_be_fitted_in_a_callback(examples: Examples) -> None:
    """Only the same model is barred."""
    other = build(6)
    model = build()
    model.fit(
        *examples,
        epochs=2,
        batch_size=32,
        on_epoch=lambda _: other.fit(*examples, epochs=1, batch_size=32),
    )
    assert (model.epochs_trained, other.epochs_trained) == (2, 2)


@pytest.mark.parametrize("option", ["on_epoch", "on_progress"])
def test_closing_in_a_callback_ends_the_fit(option: str, examples: Examples) -> None:
    """The next step on a closed model is an error, not a crash."""
    model = build()
    with pytest.raises(pynn.ClosedError):
        model.fit(
            *examples,
            epochs=2,
            batch_size=32,
            **{option: lambda _: model.close()},  # type: ignore[arg-type]
        )
