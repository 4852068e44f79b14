"""NaN and infinity in the parameters, and large numbers that are still exact."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from bad_numbers import (
    ACTIVATIONS,
    BAD,
    DIVERGED,
    MAX,
    PATHS,
    USES,
    assert_same,
    build,
    examples,
    fit,
    refused,
)

import pynn

# ------------------------------------------------------------ bad parameters


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_in_parameters_is_not_hidden(
    use: str, name: str, activation: str, rng: np.random.Generator
) -> None:
    """No activation swallows it: every use says that outputs are not finite, and why."""
    x, y = examples(rng)
    model = build(activation=activation)
    model.parameters[name].flat[-1] = np.nan
    message = refused(DIVERGED, lambda: USES[use](model, x, y))
    what = "the loss" if use == "evaluate" else "an output"
    assert message.startswith(f"{what} is not finite, though the features are: ")
    assert "the model has diverged, or its parameters were set to such values" in message


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("name", ["dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias"])
def test_training_bad_parameters_is_an_error(
    name: str, value: float, rng: np.random.Generator
) -> None:
    """A model that cannot be trained any more says so in the first epoch."""
    x, y = examples(rng)
    model = build()
    model.parameters[name].flat[-1] = value
    message = refused(DIVERGED, lambda: fit(model, x, y))
    assert message.startswith("epoch 1, ")
    assert "not finite any more: try a smaller learning rate than 0.05" in message


@pytest.mark.parametrize("there_before", [True, False])
def test_bad_parameters_are_not_kept(
    there_before: bool, rng: np.random.Generator, tmp_path: Path
) -> None:
    """A checkpoint that would begin with NaN is not written, and another run's not taken back."""
    x, y = examples(rng)
    path, model = tmp_path / "run", build()
    if there_before:
        fit(build(width=3), x, y, epochs=1, checkpoint=path)
    before = path.read_bytes() if there_before else None
    model.parameters["dense1.bias"][3] = np.nan
    message = refused(DIVERGED, lambda: fit(model, x, y, checkpoint=path))
    assert message.startswith("epoch 1, after step 0: some parameters are not finite")
    assert message.endswith("the model's parameters are lost: build it or load it anew")
    assert (path.read_bytes() if path.exists() else None) == before


def test_parameters_that_a_callback_spoils_are_found(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    """They are found before the next epoch; the model goes back to the end of the epoch before."""
    x, y = examples(rng)
    model, other = build(), build()

    def spoil(result: pynn.EpochResult) -> None:
        if result.epoch == 2:
            model.parameters["dense2.weight"][0, 0] = np.nan

    message = refused(
        DIVERGED, lambda: fit(model, x, y, on_epoch=spoil, checkpoint=tmp_path / "run")
    )
    assert message == (
        "epoch 2, after its callbacks: some parameters are not finite any more; the model is back"
        " at its last checkpoint, epoch 3, step 0"
    )
    fit(other, x, y, epochs=2)
    assert_same(model, other)
    assert model.epochs_trained == 2


# ------------------------------------------------------------ large numbers


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("scale", [1e30, 1e38, MAX])
def test_huge_features_are_used_or_refused(
    use: str, scale: float, rng: np.random.Generator
) -> None:
    """Finite features, however large, give finite answers or a DivergenceError that says why."""
    x, y = examples(rng)
    x = np.sign(x) * np.float32(scale)
    model = build()
    try:
        outputs = USES[use](model, x, y)
    except pynn.DivergenceError as error:
        assert "though the features are: they are too large" in str(error)
    else:
        assert np.isfinite(outputs).all()


@pytest.mark.parametrize("scale", [1e30, 1e38, MAX])
def test_training_on_huge_features_is_an_error_of_ours(
    scale: float, rng: np.random.Generator
) -> None:
    """It diverges in the first step, and the error does not call the features NaN or infinite."""
    x, y = examples(rng)
    message = refused(DIVERGED, lambda: fit(build(), np.sign(x) * np.float32(scale), y))
    assert re.match(r"epoch 1, (step [12] of 6|after its last step): ", message)
    assert "features scaled to about 1" in message


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e8, 1e30])
@pytest.mark.parametrize("label", [0, 1])
def test_loss_of_large_logits_is_exact(scale: float, label: int) -> None:
    """For logits (z, -z): 0 for the first class, 2 z for the second, and nothing overflows."""
    chain = pynn.Builder().input(1).dense(2).softmax_cross_entropy()
    model = chain.build()
    model.parameters["dense1.weight"][:] = [[scale, -scale]]
    x, y = np.ones((5, 1), np.float32), np.full(5, label)
    loss, accuracy = model.evaluate(x, y)
    logits = math.log1p(math.exp(-2 * scale)) if scale < 300 else 0.0
    assert loss == pytest.approx(logits + 2 * scale * label, rel=1e-6)
    assert accuracy == (1 if label == 0 else 0)
    assert model.predict_proba(x).sum(axis=1) == pytest.approx(np.ones(5))
    history = model.fit(x, y, epochs=1, batch_size=5)
    assert history.loss == [loss]
    assert np.isfinite(model.parameters["dense1.weight"]).all()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_training_goes_through_logits_of_ten_thousand(path: str, rng: np.random.Generator) -> None:
    """A model whose logits are that large trains on, with finite losses that fall."""
    density, width = PATHS[path]
    x, y = examples(rng, density)
    model = build(width)
    model.parameters["dense2.weight"][:] *= 1e4 / abs(model(x)).max()
    assert abs(model(x)).max() == pytest.approx(1e4, rel=1e-4)
    history = fit(model, x, y, epochs=30, optimizer=pynn.SGD(learning_rate=1e-4))
    assert np.isfinite(history.loss).all()
    assert history.loss[-1] < history.loss[0]
