"""NaN and infinity in the features: they are found in the step that sees them, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_numbers import (
    ACTIVATIONS,
    ARGUMENT,
    BAD,
    BATCH,
    DIVERGED,
    MAX,
    PATHS,
    ROWS,
    STEPS,
    USES,
    all_at_once,
    assert_same,
    build,
    examples,
    fit,
    order_of,
    refused,
    step_by_step,
    step_of,
)

import pynn
from pynn._training import trainer


@pytest.mark.parametrize("cut", [step_by_step, all_at_once])
@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("place", [0, 15, 16, 47, 80, 89])  # in the first epoch's order
def test_bad_feature_is_found_in_the_step_that_sees_it(
    cut: Any,
    value: float,
    path: str,
    activation: str,
    place: int,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names epoch, step, row, column and value, also where a sigmoid would hide it."""
    monkeypatch.setattr(trainer, "paced", cut)
    density, width = PATHS[path]
    x, y = examples(rng, density)
    row = order_of(1)[place]
    x[row, 12] = value
    message = refused(ARGUMENT, lambda: fit(build(width, activation), x, y))
    assert message.startswith(
        f"epoch 1, step {place // BATCH + 1} of {STEPS}: features[{row}] holds {value}"
        " (feature 12): correct or remove such examples"
    )
    assert "np.nan_to_num" in message
    assert message.endswith("; the model is as the step before left it")


@pytest.mark.parametrize("cut", [step_by_step, all_at_once])
@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(
    "activation", ["relu", "leaky_relu", "gelu", "silu", "elu", "softplus", "sigmoid", "tanh"]
)
@pytest.mark.parametrize("kind", [pynn.SGD, pynn.Adam])
def test_activation_before_the_first_dense_layer_hides_nothing(
    cut: Any,
    value: float,
    activation: str,
    kind: type[pynn.SGD],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The step that sees the feature is refused; the model is that of the steps before it."""
    monkeypatch.setattr(trainer, "paced", cut)
    x, y = examples(rng)
    model, other = first_activation(activation), first_activation(activation)
    row = order_of(1)[3 * BATCH]
    x[row, 2] = value
    message = refused(ARGUMENT, lambda: fit(model, x, y, optimizer=kind(), validation=(x, y)))
    assert message.startswith(f"epoch 1, step 4 of {STEPS}: features[{row}] holds {value} (feature")
    before = order_of(1)[: 3 * BATCH]
    other.partial_fit(x[before], y[before], batch_size=BATCH, optimizer=kind())
    assert_same(model, other)
    assert model.steps_trained == other.steps_trained == 3


def first_activation(activation: str) -> pynn.Model:
    """A model whose first layer is an activation."""
    chain = getattr(pynn.Builder().input(30), activation)()
    model: pynn.Model = chain.dense(4).softmax_cross_entropy().build(seed=5)
    return model


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_partial_fit_refuses_a_bad_feature(
    value: float, path: str, activation: str, rng: np.random.Generator
) -> None:
    """The error names step and row; the model is as the step before left it, and can go on."""
    density, width = PATHS[path]
    x, y = examples(rng, density)
    x[40, 12] = value
    model, other = build(width, activation), build(width, activation)
    message = refused(ARGUMENT, lambda: model.partial_fit(x, y, batch_size=BATCH))
    assert message == (
        f"step 3 of {STEPS}: features[40] holds {value} (feature 12): correct or remove such"
        " examples, for instance with np.nan_to_num; the model is as the step before left it"
    )
    other.partial_fit(x[:32], y[:32], batch_size=BATCH)
    assert_same(model, other)
    model.partial_fit(x[48:], y[48:], batch_size=BATCH)


def test_first_bad_feature_is_named(rng: np.random.Generator) -> None:
    """Of several bad features, the error names the one that is seen first."""
    x, y = examples(rng)
    order = order_of(1)
    for place in (88, 20, 35):
        x[order[place], 3] = np.nan
    message = refused(ARGUMENT, lambda: fit(build(), x, y))
    assert message.startswith(f"epoch 1, step 2 of {STEPS}: features[{order[20]}] holds nan")


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("epoch", [2, 3])
def test_epoch_is_the_one_of_the_call(epoch: int, value: float, rng: np.random.Generator) -> None:
    """Features that become bad after an epoch are found in the next, at the step of its order."""
    x, y = examples(rng)

    def spoil(result: pynn.EpochResult) -> None:
        if result.epoch == epoch - 1:
            x[33, 7] = value

    message = refused(ARGUMENT, lambda: fit(build(), x, y, on_epoch=spoil))
    assert message.startswith(
        f"epoch {epoch}, step {step_of(33, epoch)} of {STEPS}: features[33] holds {value}"
    )


def test_epochs_are_counted_anew_in_each_call(rng: np.random.Generator) -> None:
    """In a second call of fit the first epoch is 1, though its order is that of the third."""
    x, y = examples(rng)
    model = build()
    fit(model, x, y, epochs=2)
    x[33, 7] = np.nan
    message = refused(ARGUMENT, lambda: fit(model, x, y))
    assert message.startswith(f"epoch 1, step {step_of(33, 3)} of {STEPS}: features[33]")


@pytest.mark.parametrize("checkpointed", [True, False])
@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bad_validation_costs_no_training(
    checkpointed: bool, value: float, activation: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    """What the epoch made of the parameters is right and is kept; its run can be resumed."""
    x, y = examples(rng)
    bad = x.copy()
    bad[21, 4] = value
    model, other = build(activation=activation), build(activation=activation)
    path = tmp_path / "run"
    options = {"checkpoint": path} if checkpointed else {}
    message = refused(ARGUMENT, lambda: fit(model, x, y, validation=(bad, y), **options))
    assert message == (
        f"epoch 1, after its last step: validation features[21] holds {value} (feature 4): correct"
        " or remove such examples, for instance with np.nan_to_num; the model is as the epoch's"
        " steps left it"
    )
    fit(other, x, y, epochs=1)
    assert_same(model, other)
    if checkpointed:
        again, whole = pynn.Model.resume(path), build(activation=activation)
        assert fit(again, x, y, validation=(x, y)).epochs == 3
        fit(whole, x, y)
        assert_same(again, whole)


def test_huge_validation_costs_no_training(rng: np.random.Generator) -> None:
    """Features that are finite, but so large that the loss is not."""
    x, y = examples(rng)
    model, other = build(), build()
    huge = (np.sign(x) * MAX).astype(np.float32)
    message = refused(DIVERGED, lambda: fit(model, x, y, validation=(huge, y)))
    assert message == (
        "epoch 1, after its last step: the loss over the validation data is not finite: try"
        " features scaled to about 1, or a smaller learning rate; the model is as the epoch's steps"
        " left it"
    )
    fit(other, x, y, epochs=1)
    assert_same(model, other)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("row", [0, 256, 899])  # rows go through in blocks of 256
def test_bad_feature_is_found_wherever_features_go(
    use: str, value: float, path: str, activation: str, row: int, rng: np.random.Generator
) -> None:
    """The error names row, column and value; the model stays as good as it was."""
    density, width = PATHS[path]
    x, y = (np.tile(array, (10, 1))[:900] for array in examples(rng, density))
    y = y[0].repeat(10)
    model = build(width, activation)
    before = model(x[:9])
    x[row, 29] = value
    message = refused(ARGUMENT, lambda: USES[use](model, x, y))
    missing = ", or build the model with .standardize(missing='mean')" if np.isnan(value) else ""
    assert message == (
        f"features[{row}] holds {value} (feature 29): features must be finite; see np.nan_to_num"
        f"{missing}"
    )
    x[row, 29] = 0
    USES[use](model, x, y)
    np.testing.assert_array_equal(model(x[1:9]), before[1:9])


def test_bad_float64_is_found_as_well(rng: np.random.Generator) -> None:
    """Infinity stays infinity where float64 becomes float32, and is found like any other."""
    x, y = examples(rng)
    x = x.astype(np.float64)
    x[5, 6] = np.inf
    message = refused(ARGUMENT, lambda: fit(build(), x, y))
    assert f"step {step_of(5)} of {STEPS}: features[5] holds inf (feature 6)" in message


def test_feature_of_an_image_is_counted_flat(rng: np.random.Generator) -> None:
    """In features of more than two dimensions the place within a row is that in the flat row."""
    x, _ = examples(rng)
    images = x.reshape(ROWS, 5, 6)
    images[8, 2, 3] = np.nan
    assert refused(ARGUMENT, lambda: build().predict(images)).startswith(
        "features[8] holds nan (feature 15)"
    )
