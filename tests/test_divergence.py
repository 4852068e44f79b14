"""Bad numbers: NaN and infinity in the data, in the parameters, and those that training makes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn import _boundary, _training

Array = npt.NDArray[Any]

ROWS, BATCH, STEPS = 90, 16, 6  # the last batch of an epoch has 10 rows
FIRST_ORDER = 1 << 32  # the random stream of the first epoch's order
MAX = float(np.finfo(np.float32).max)

# Features and layers that go through the first layer by gemm, and by lists of what is not zero.
PATHS = {"dense": (1.0, 17), "sparse": (0.1, 64)}
BAD = [math.nan, math.inf, -math.inf]
ACTIVATIONS = ["relu", "sigmoid", "tanh"]

DIVERGED = (pynn.DivergenceError, pynn.PynnError, ArithmeticError)
ARGUMENT = (pynn.ArgumentError, pynn.PynnError, ValueError)


def build(width: int = 17, activation: str = "relu") -> pynn.Model:
    """A model from 30 values to 4 classes, with a hidden layer."""
    chain = getattr(pynn.Builder().input(30).dense(width), activation)()
    model: pynn.Model = chain.dense(4).softmax_cross_entropy().build(seed=5)
    return model


def examples(rng: np.random.Generator, density: float = 1.0) -> tuple[Array, Array]:
    """Random features, (90, 30) float32, of which some share is not zero, and labels."""
    x = rng.normal(size=(ROWS, 30)).astype(np.float32)
    x[rng.random(x.shape) >= density] = 0
    return x, rng.integers(0, 4, ROWS)


def order_of(epoch: int) -> list[int]:
    """In which order a model of seed 5 sees the examples in an epoch, counted from 1."""
    return [int(row) for row in _boundary.permutation(5, FIRST_ORDER + epoch - 1, ROWS)]


def step_of(row: int, epoch: int = 1) -> int:
    """In which step of an epoch a row is seen, counted from 1."""
    return order_of(epoch).index(row) // BATCH + 1


def fit(model: pynn.Model, x: Array, y: Array, **options: Any) -> pynn.History:
    """Train for three epochs, unless it is said otherwise."""
    return model.fit(x, y, **({"epochs": 3, "batch_size": BATCH} | options))


def refused(kinds: tuple[type[BaseException], ...], call: Callable[[], object]) -> str:
    """The message of the error, of all these kinds, that a call raises."""
    with pytest.raises(kinds[0]) as caught:
        call()
    assert all(isinstance(caught.value, kind) for kind in kinds)
    message = str(caught.value)
    assert "\n" not in message
    return message


def step_by_step(
    first: int, total: int, grain: int = 1, seconds: float = 0.0
) -> Iterator[tuple[int, int]]:
    """Runs of one step."""
    return ((begin, min(begin + grain, total)) for begin in range(first, total, grain))


def all_at_once(
    first: int, total: int, grain: int = 1, seconds: float = 0.0
) -> Iterator[tuple[int, int]]:
    """A single run."""
    if first < total:
        yield first, total


# ------------------------------------------------------------ bad features


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
    monkeypatch.setattr(_training, "paced", cut)
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
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "gelu", "sigmoid", "tanh"])
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
    monkeypatch.setattr(_training, "paced", cut)
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
    """With the step and the row; the model is as the step before left it, and can go on."""
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
    """Of several the one that is seen first."""
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


def assert_same(model: pynn.Model, other: pynn.Model) -> None:
    """Two models have the same parameters, bit for bit."""
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(array.view(np.uint32), other.parameters[name].view(np.uint32))


USES: dict[str, Callable[[pynn.Model, Array, Array], object]] = {
    "evaluate": lambda model, x, y: model.evaluate(x, y),
    "predict": lambda model, x, y: model.predict(x),
    "predict_proba": lambda model, x, y: model.predict_proba(x),
    "call": lambda model, x, y: model(x),
}


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
    assert message == (
        f"features[{row}] holds {value} (feature 29): features must be finite; see np.nan_to_num"
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


# ------------------------------------------------------------ learning rates that are too high


def diverging_step(width: int, x: Array, y: Array, rate: float) -> tuple[int, int]:
    """Epoch and step after which no more are reported, run step by step."""
    seen = [(1, 0)]

    def on_progress(now: pynn.Progress) -> None:
        assert math.isfinite(now.loss)
        seen.append((now.epoch, now.step))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_training, "paced", step_by_step)
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


@pytest.mark.parametrize("cut", [step_by_step, all_at_once, _training.paced])
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
    monkeypatch.setattr(_training, "paced", cut)
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
    """And the run, resumed with correct features, is the run that never had bad ones."""
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
        patch.setattr(_boundary.Data, "find_not_finite", press)
        fit(model, x, y, on_epoch=spoil, checkpoint=path)
    assert_same(model, pynn.load(path))
    assert all(np.isfinite(array).all() for array in model.parameters.values())
    assert model.epochs_trained == 1


@pytest.mark.parametrize("kind", [pynn.SGD, pynn.Adam])
@pytest.mark.parametrize("options", [{}, {"max_gradient_norm": 1e30}])
def test_partial_fit_does_not_return_parameters_that_are_not_finite(
    kind: type[pynn.SGD], options: dict[str, Any], rng: np.random.Generator
) -> None:
    """Where the loss of its last step is finite and the update is not, it says so."""
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
    """With all its digits."""
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
    evaluate = model._evaluate

    def spoil(data: _boundary.Data) -> pynn.Evaluation:
        figures = evaluate(data)
        model.parameters["dense1.weight"][0, 0] = np.nan
        return figures

    monkeypatch.setattr(model, "_evaluate", spoil)
    stopping = pynn.EarlyStopping()
    message = refused(
        DIVERGED, lambda: fit(model, x, y, validation=(x, y), early_stopping=stopping)
    )
    assert message.startswith("epoch 1, after its last step: some parameters are not finite any")


@pytest.mark.parametrize("stops", [True, False])
def test_callback_cannot_leave_parameters_that_are_not_finite(
    stops: bool, rng: np.random.Generator
) -> None:
    """Not even after the last epoch."""
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
    assert "the model has diverged, or its parameters were set so" in message


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
    """Before the next epoch; the model goes back to the end of the one before."""
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
    """It diverges at once, and the features are not called NaN or infinite."""
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
