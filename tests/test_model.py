"""A model's answers against NumPy's, what it takes and refuses, and its life until close."""

from __future__ import annotations

import gc
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from reference import normal

import pynn
from pynn._base import arrays
from pynn._native.workspace import Workspace

Floats = npt.NDArray[np.float64]
ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "gelu": lambda x: x * normal(x),
}


def build(activation: str = "tanh", seed: int = 5) -> pynn.Model:
    """A model from 20 values to 3 classes, with one hidden layer of 17."""
    chain = getattr(pynn.Builder().input(20).dense(17), activation)()
    model: pynn.Model = chain.dense(3, init="xavier").softmax_cross_entropy().build(seed=seed)
    return model


def logits(model: pynn.Model, activation: str, x: npt.NDArray[Any]) -> Floats:
    """What build(activation) should give for x, computed with NumPy in float64."""
    w1, b1, w2, b2 = (p.astype(np.float64) for p in model.parameters.values())
    z: Floats = ACTIVATIONS[activation](x.reshape(len(x), -1) @ w1 + b1) @ w2 + b2
    return z


def log_softmax(z: Floats) -> Floats:
    """The logarithm of each row's softmax."""
    z = z - z.max(axis=1, keepdims=True)
    logarithms: Floats = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return logarithms


# ------------------------------------------------------------ answers


# Around 256, the rows that go through the layers at once.
@pytest.mark.parametrize("rows", [1, 2, 255, 256, 257, 600])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_are_numpys(activation: str, rows: int, rng: np.random.Generator) -> None:
    """Logits, probabilities and classes agree with a computation in float64."""
    model = build(activation)
    x = rng.normal(size=(rows, 20)).astype(np.float32)
    expected = logits(model, activation, x)
    outputs, probabilities, classes = model(x), model.predict_proba(x), model.predict(x)
    assert outputs.dtype == probabilities.dtype == np.float32
    assert classes.dtype == np.intp
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_allclose(probabilities, np.exp(log_softmax(expected)), atol=1e-6)
    np.testing.assert_array_equal(classes, outputs.argmax(axis=1))
    np.testing.assert_array_equal(classes, probabilities.argmax(axis=1))


@pytest.mark.parametrize("rows", [1, 256, 300, 600])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_evaluation_is_numpys(activation: str, rows: int, rng: np.random.Generator) -> None:
    """Mean loss and accuracy agree with a computation in float64."""
    model = build(activation)
    x = rng.normal(size=(rows, 20)).astype(np.float32)
    y = rng.integers(0, 3, rows)
    expected = logits(model, activation, x)
    evaluation = model.evaluate(x, y)
    assert isinstance(evaluation, pynn.Evaluation)
    assert evaluation.loss == pytest.approx(
        -log_softmax(expected)[np.arange(rows), y].mean(), rel=1e-5
    )
    assert evaluation.accuracy == (expected.argmax(axis=1) == y).mean()


def test_equal_outputs_give_the_first_class() -> None:
    """Where all outputs are equal the class is 0 and the loss is that of chance."""
    model = build()
    for array in model.parameters.values():
        array[:] = 0
    x = np.ones((6, 20), np.float32)
    assert model.predict(x).tolist() == [0] * 6
    evaluation = model.evaluate(x, np.array([0, 1, 2, 0, 1, 2]))
    assert evaluation == pytest.approx((math.log(3), 1 / 3))


def test_rows_do_not_depend_on_their_neighbours(rng: np.random.Generator) -> None:
    """A block of 256 examples gets the same bits alone as it gets in a longer call."""
    model = build()
    x = rng.normal(size=(600, 20)).astype(np.float32)
    np.testing.assert_array_equal(model(x)[256:512], model(x[256:512]))


@pytest.mark.parametrize("shape", [(0, 20), (0, 4, 5)])
def test_nothing_predicts_nothing(shape: tuple[int, ...]) -> None:
    """No examples give no classes, and no rows of outputs."""
    model = build()
    x = np.empty(shape, np.uint8)
    assert model.predict(x).shape == (0,)
    assert model.predict(x).dtype == np.intp
    assert model.predict_proba(x).shape == model(x).shape == (0, 3)


def test_outputs_are_the_callers() -> None:
    """A later call leaves the arrays of an earlier one alone."""
    model = build()
    first = model(np.ones((2, 20), np.float32))
    kept = first.copy()
    model(np.zeros((2, 20), np.float32))
    np.testing.assert_array_equal(first, kept)


# ------------------------------------------------------------ what it takes


def as_memmap(x: npt.NDArray[Any], folder: Path) -> npt.NDArray[Any]:
    """The array, mapped from a file."""
    x.tofile(folder / "x")
    return np.memmap(folder / "x", x.dtype, "r", shape=x.shape)


def read_only(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy that cannot be written."""
    x = x.copy()
    x.flags.writeable = False
    return x


def fractions(x: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Bytes as they are read."""
    return np.divide(x, 255, dtype=np.float32)


# Each makes from images, (n, 4, 5) uint8, an array that means the same.
FORMS: dict[str, Callable[[npt.NDArray[np.uint8], Path], npt.NDArray[Any]]] = {
    "flat": lambda x, _: x.reshape(len(x), 20),
    "four dimensions": lambda x, _: x[:, :, None, :],
    "float32": lambda x, _: fractions(x),
    "float32 flat": lambda x, _: (fractions(x)).reshape(len(x), 20),
    "float64": lambda x, _: (fractions(x)).astype(np.float64),
    "fortran": lambda x, _: np.asfortranarray(x),
    "fortran float64": lambda x, _: np.asfortranarray(fractions(x), np.float64),
    "every second": lambda x, _: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x, _: x[::-1].copy()[::-1],
    "columns of a wider array": lambda x, _: np.pad(x, ((0, 0), (1, 1), (2, 0)))[:, 1:-1, 2:],
    "read-only": lambda x, _: read_only(x),
    "memory-mapped": as_memmap,
    "unaligned": lambda x, _: unaligned(fractions(x)),
}


def unaligned(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A copy whose floats start at an odd address."""
    memory = np.empty(x.nbytes + 1, np.uint8)
    out = memory[1:].view(np.float32).reshape(x.shape)
    out[...] = x
    return out


@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_unaligned_floats_are_copied_for_c() -> None:
    """C reads floats at multiples of four, also by lists of those few that are not zero."""
    x = np.zeros((90, 30), np.float32)
    x[:, ::9] = np.random.default_rng(9).normal(size=(90, 4))
    y, odd = np.arange(90) % 4, unaligned(x)
    assert not odd.flags.aligned
    lent = arrays.features("features", odd, (30,))
    assert lent.ctypes.data % 4 == 0
    np.testing.assert_array_equal(lent, x)
    assert arrays.features("features", x, (30,)) is x
    chain = pynn.Builder().input(30).dense(64).relu().dense(4).softmax_cross_entropy()
    model, other = chain.build(), chain.build()
    model.fit(odd, y, epochs=2, batch_size=32)
    other.fit(x, y, epochs=2, batch_size=32)
    assert model.evaluate(odd, y) == other.evaluate(x, y)
    np.testing.assert_array_equal(model(odd), other(x))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("faintest", [0, 240])  # with the second, four of five values are zeros
@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_every_form_of_the_same_data_gives_the_same_bits(
    faintest: int,
    form: str,
    examples: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    tmp_path: Path,
) -> None:
    """Shape, dtype and memory layout of the features change no answer and no parameter."""
    images, labels = examples
    images = np.where(images < faintest, np.uint8(0), images)
    x = FORMS[form](images, tmp_path)
    assert not np.shares_memory(x, images) or form in ("flat", "four dimensions")
    kept = x.copy()
    model, other = build(), build()
    np.testing.assert_array_equal(model(x), other(images))
    assert model.evaluate(x, labels) == other.evaluate(images, labels)
    model.fit(x, labels, epochs=2, batch_size=32)
    other.fit(images, labels, epochs=2, batch_size=32)
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(array, other.parameters[name])
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize(
    "shape", [(), (20,), (2, 19), (2, 21), (2, 20, 2), (4, 5), (20, 2), (0,), (3, 0)]
)
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """The error names the shape that is needed and the one that came."""
    with pytest.raises(pynn.ArgumentError) as caught:
        build().predict(np.zeros(shape, np.uint8))
    assert "features must have shape (n, 20), or (n, ...) with 20 values a row" in str(caught.value)
    assert f"got shape {shape}" in str(caught.value)


@pytest.mark.parametrize("shape", [(20,), (4, 5)])
def test_single_example_is_refused_with_the_way_out(shape: tuple[int, ...]) -> None:
    """One example without the first dimension is told how to get it; and that works."""
    x = np.zeros(shape, np.uint8)
    with pytest.raises(pynn.ArgumentError, match=r"a single example is features\[None\]"):
        build().predict(x)
    assert build().predict(x[None]).shape == (1,)


@pytest.mark.parametrize("value", [None, "digits", b"\0" * 20, {3}])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "__call__"])
def test_what_is_no_array_is_refused(method: str, value: object) -> None:
    """Text and the like is refused by the name of its type."""
    words = (
        f"features must be an array of numbers, or a list or a table .*got {type(value).__name__}"
    )
    with pytest.raises(pynn.ArgumentTypeError, match=words):
        getattr(build(), method)(value)


def test_evaluating_nothing_is_refused() -> None:
    """The mean over no examples does not exist."""
    with pytest.raises(
        pynn.ArgumentError, match=r"features must have at least one example, got \(0, 20\)"
    ):
        build().evaluate(np.zeros((0, 20), np.uint8), np.zeros(0, int))


# ------------------------------------------------------------ parameters


def test_parameters_are_named_in_order() -> None:
    """Every layer's weight and bias, (inputs, outputs) and (outputs,), all float32."""
    model = build()
    assert [(name, p.shape, str(p.dtype)) for name, p in model.parameters.items()] == [
        ("dense1.weight", (20, 17), "float32"),
        ("dense1.bias", (17,), "float32"),
        ("dense2.weight", (17, 3), "float32"),
        ("dense2.bias", (3,), "float32"),
    ]
    assert model.parameter_count == 20 * 17 + 17 + 17 * 3 + 3


def test_parameters_are_views() -> None:
    """To write into a view is to change the model, and training changes the view."""
    model = build()
    x = np.ones((8, 20), np.float32)
    view = model.parameters["dense2.bias"]
    before = model(x)
    view[1] += 2
    np.testing.assert_allclose(model(x) - before, np.tile([0, 2, 0], (8, 1)), atol=1e-6)
    kept = view.copy()
    model.fit(x, np.zeros(8, int), epochs=1, batch_size=8)
    assert (view != kept).all()
    np.testing.assert_array_equal(view, model.parameters["dense2.bias"])


@pytest.mark.parametrize("closing", [True, False])
def test_parameters_outlive_the_model(closing: bool) -> None:
    """A view stays readable and writable after its model is closed, and after it is gone."""
    model = build()
    view = model.parameters["dense1.weight"]
    kept = view.copy()
    if closing:
        model.close()
    del model
    gc.collect()
    others = [build(seed=seed) for seed in range(20)]  # would take the memory if it were free
    np.testing.assert_array_equal(view, kept)
    view += 1
    np.testing.assert_array_equal(view, kept + 1)
    assert len(others) == 20


# ------------------------------------------------------------ looks


def test_sizes_can_be_asked() -> None:
    """Inputs, outputs, parameters and epochs are attributes, and cannot be set."""
    model = build()
    sizes = (model.inputs, model.outputs, model.parameter_count, model.epochs_trained)
    assert sizes == (20, 3, 411, 0)
    with pytest.raises(AttributeError):
        model.epochs_trained = 3  # type: ignore[misc]


def test_repr_shows_the_chain() -> None:
    """The repr has the chain, the parameters, and whether the model is closed."""
    model = build("relu")
    chain = "20 -> dense(17, he) -> relu -> dense(3, xavier) -> softmax_cross_entropy"
    assert repr(model) == f"Model({chain}; 411 parameters)"
    model.close()
    assert repr(model) == f"Model({chain}; 411 parameters; closed)"


def test_summary_is_a_table() -> None:
    """A line a layer with its output and parameters, which add up."""
    lines = [line.split() for line in build("sigmoid").summary().splitlines()]
    assert lines == [
        ["layer", "output", "parameters"],
        ["input", "(n,", "20)", "0"],
        ["1", "dense(17,", "he)", "(n,", "17)", "357"],
        ["2", "sigmoid", "(n,", "17)", "0"],
        ["3", "dense(3,", "xavier)", "(n,", "3)", "54"],
        ["loss:", "softmax_cross_entropy", "411"],
    ]


# ------------------------------------------------------------ closing

X, Y = np.zeros((4, 20), np.uint8), np.zeros(4, int)
USES: dict[str, Callable[[pynn.Model], object]] = {
    "call": lambda model: model(X),
    "call with nothing": lambda model: model(X[:0]),
    "predict": lambda model: model.predict(X),
    "predict_proba": lambda model: model.predict_proba(X),
    "evaluate": lambda model: model.evaluate(X, Y),
    "fit": lambda model: model.fit(X, Y, epochs=1, batch_size=2),
    "parameters": lambda model: model.parameters,
    "save": lambda model: model.save("never-written"),
    "with": lambda model: model.__enter__(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("used_before", [True, False])
def test_closed_model_refuses(
    use: str, used_before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After close(), called twice, each use is an error that says so, and writes no file."""
    monkeypatch.chdir(tmp_path)
    model = build()
    if used_before:  # so that there is a workspace to free
        model.predict(X)
    model.close()
    model.close()
    with pytest.raises(pynn.ClosedError, match="the model is closed; build it or load it anew"):
        USES[use](model)
    assert os.listdir() == []


def test_with_closes() -> None:
    """A with statement gives the model itself and closes it at its end."""
    model = build()
    with model as same:
        assert same is model
        assert model.predict(X).shape == (4,)
    with pytest.raises(pynn.ClosedError):
        model.predict(X)


def test_with_closes_after_an_error() -> None:
    """An exception leaves the with statement, and the model closed."""
    with pytest.raises(ZeroDivisionError), build() as model:
        raise ZeroDivisionError
    with pytest.raises(pynn.ClosedError):
        model.predict(X)


@pytest.mark.parametrize("closing", [True, False])
def test_memory_that_is_free_is_not_used(closing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C just when a workspace was freed, by close() or for a larger one, leaves none there."""
    model = build()
    expected = model(X[:1])
    freed: list[Workspace] = []
    free, predict = Workspace.close, Workspace.predict

    def pressed(workspace: Workspace) -> None:
        free(workspace)
        freed.append(workspace)
        raise KeyboardInterrupt

    def checked(workspace: Workspace, *arguments: Any, **options: Any) -> None:
        assert workspace not in freed
        predict(workspace, *arguments, **options)

    monkeypatch.setattr(Workspace, "predict", checked)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Workspace, "close", pressed)
        if closing:
            model.close()
        else:
            model(X)
    assert len(freed) == 1
    if closing:
        with pytest.raises(pynn.ClosedError):
            model(X[:1])
    else:
        np.testing.assert_array_equal(model(X[:1]), expected)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("closing", [True, False])
def test_memory_stays_flat(closing: bool, rng: np.random.Generator) -> None:
    """A thousand models made, trained and closed, or only dropped, leave no memory behind.

    One of them takes 0.1 MB, so a leak of a fiftieth of each would show.
    """
    x, y = rng.integers(0, 256, (64, 60), np.uint8), rng.integers(0, 3, 64)
    layers = pynn.Builder().input(60).dense(100).relu().dense(3)
    for _ in range(100):  # so that a network left behind shows, too
        layers = layers.relu()
    chain = layers.softmax_cross_entropy()

    def live() -> None:
        model = chain.build()
        model.fit(x, y, epochs=1, batch_size=64)
        model.predict(x)
        if closing:
            model.close()

    def resident() -> int:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    for _ in range(100):
        live()
    before = resident()
    for _ in range(1000):
        live()
    assert resident() - before < 2e6
