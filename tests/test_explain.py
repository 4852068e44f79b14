"""Explained steps: their numbers are those of fit, bit for bit, and satisfy the equations shown."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from random_networks import random_inputs, random_network
from random_training import OPTIMIZERS, X, Y, build

import pynn
from pynn._explain import capture
from pynn._explain._equations import EQUATIONS
from pynn._explain.blocks import blocks
from pynn._explain.equations import Equation, equation
from pynn._native.workspace import Workspace
from pynn._network.layers import Layer
from pynn._network.layers.columns import TableColumns
from pynn._network.layers.norm import BatchNorm
from pynn._network.layers.standardize import Standardize
from pynn._network.losses import Loss

SOURCES = Path(__file__).parents[1]


def labels_for(model: pynn.Model, rows: int, rng: np.random.Generator) -> npt.NDArray[np.generic]:
    """Labels or targets of the model's loss."""
    if model._spec.loss.has_classes:
        return rng.integers(0, model.outputs, rows)
    return rng.uniform(0, 1, (rows, model.outputs)).astype(np.float32)


@pytest.mark.parametrize("seed", range(40))
def test_gradients_are_those_of_c(seed: int) -> None:
    """Another workspace of C, which works in place, computes the same gradient to the bit."""
    model, rng = random_network(seed), np.random.default_rng(seed)
    features, _ = random_inputs(model, 5)
    labels = labels_for(model, 5, rng)
    step = model.explain(features, labels)
    engine = model._engine
    data = model._examples(features, labels, None, learning=True).data
    workspace = Workspace(engine.open().network, 5)
    flat, sums = workspace.gradient(data, None, 5, engine.parameters, state=engine.state)
    assert flat.tobytes() == b"".join(step.gradients[name].tobytes() for name in model.parameters)
    assert step.loss == sums.loss / 5
    assert [(name, array.shape) for name, array in step.gradients.items()] == [
        (name, array.shape) for name, array in model.parameters.items()
    ]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_apply_does_the_step_of_fit(name: str) -> None:
    """After several steps on each, parameters, moments and counts have the same bytes."""
    optimizer, rows = OPTIMIZERS[name], len(X)
    fitted, applied = build(), build()
    for _ in range(3):
        fitted.fit(X, Y, epochs=1, batch_size=rows, shuffle=False, optimizer=optimizer)
        before = applied._engine.parameters.copy()
        step = applied.explain(X, Y, optimizer=optimizer)
        assert applied._engine.parameters.tobytes() == before.tobytes()  # explain changes nothing
        step.apply()
    assert applied._engine.parameters.tobytes() == fitted._engine.parameters.tobytes()
    assert applied.steps_trained == fitted.steps_trained == 3
    states = [model._engine.state.to_dict() for model in (applied, fitted)]
    moments = [[moment.tobytes() for moment in state.pop("moments")] for state in states]
    assert states[0] == states[1]
    assert moments[0] == moments[1]
    for key, update in step.updates.items():
        assert update.after.tobytes() == applied.parameters[key].tobytes()


STEPS = [
    pynn.SGD(learning_rate=0.3),
    pynn.SGD(weight_decay=0.1, max_gradient_norm=0.01),
    pynn.SGD(momentum=0.9, nesterov=True),
    pynn.AdamW(weight_decay=0.1),
    pynn.Adam(learning_rate=pynn.schedules.Cosine(0.02, steps=60)),
]


@pytest.mark.parametrize("seed", range(45))
@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_apply_does_the_step_of_fit_on_any_network(seed: int) -> None:
    """All kinds of layers and losses; floats and bytes, dense and sparse; weights of examples."""
    fitted, applied, rng = random_network(seed), random_network(seed), np.random.default_rng(seed)
    rows = [1, 5, 64][seed // 3 % 3]
    features = random_inputs(fitted, rows)[seed % 2]
    if seed % 4 == 0:
        features = np.where(rng.random(features.shape) < 0.1, features, 0).astype(features.dtype)
    labels = labels_for(fitted, rows, rng)
    weights = rng.uniform(0.2, 3, rows) if seed % 5 < 2 else None
    optimizer = STEPS[seed % len(STEPS)]
    for _ in range(2):
        fitted.fit(
            features,
            labels,
            epochs=1,
            batch_size=rows,
            shuffle=False,
            optimizer=optimizer,
            sample_weight=weights,
        )
        applied.explain(features, labels, optimizer=optimizer, sample_weight=weights).apply()
        assert applied._engine.parameters.tobytes() == fitted._engine.parameters.tobytes()
        assert applied.steps_trained == fitted.steps_trained


@pytest.mark.parametrize("scale", [1e-5, 1.0, 100.0])
def test_the_factor_of_a_long_gradient_is_that_of_c(scale: float) -> None:
    """What the note says, and the formulas use, is what the C library multiplies by."""
    model = pynn.Builder().input(6).dense(3).mean_squared_error().build(seed=0)
    targets = model.predict(X[:9]) + np.float32(scale)
    optimizer = pynn.SGD(learning_rate=0.5, max_gradient_norm=0.1 * scale)
    step = model.explain(X[:9], targets, optimizer=optimizer)
    norm = np.sqrt(sum((it.astype(np.float64) ** 2).sum() for it in step.gradients.values()))
    update = step.updates["dense1.bias"]
    clip = (update.before - update.after) / (0.5 * update.gradient)
    np.testing.assert_allclose(clip, optimizer._clip(float(norm)), rtol=1e-5)
    assert optimizer._clip(float(norm)) < 0.5


def test_a_step_follows_the_equations() -> None:
    """Each product of the two dense layers, and what lies between them, written out in NumPy."""
    chain = pynn.Builder().input(6).dense(4).relu().dense(3).softmax_cross_entropy()
    model = chain.build(seed=1)
    step = model.explain(X[:9], Y[:9], optimizer=pynn.SGD(learning_rate=0.5))
    first, second = step.forward["dense1"], step.forward["dense2"]
    np.testing.assert_array_equal(first.X, X[:9])
    np.testing.assert_allclose(first.Y, first.X @ first.W + first.b, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(second.X, np.maximum(first.Y, 0))
    assert step.probabilities is not None
    np.testing.assert_allclose(step.losses, -np.log(step.probabilities[range(9), Y[:9]]), rtol=1e-5)
    np.testing.assert_allclose(step.loss, step.losses.mean(), rtol=1e-6)
    d_first, d_second = step.backward["dense1"], step.backward["dense2"]
    expected = (step.probabilities - np.eye(3)[Y[:9]]) / 9
    np.testing.assert_allclose(d_second.dY, expected, atol=1e-7)
    np.testing.assert_allclose(d_second.dW, second.X.T @ d_second.dY, atol=1e-6)
    np.testing.assert_allclose(d_second.db, d_second.dY.sum(axis=0), atol=1e-7)
    np.testing.assert_allclose(d_second.dX, d_second.dY @ second.W.T, atol=1e-6)
    np.testing.assert_array_equal(d_first.dY, np.where(first.Y > 0, d_second.dX, 0))
    assert "dX" not in d_first
    update = step.updates["dense1.weight"]
    np.testing.assert_array_equal(update.before, model.parameters["dense1.weight"])
    np.testing.assert_allclose(update.after, update.before - 0.5 * d_first.dW, atol=1e-7)


def test_moments_have_the_names_of_the_formulas() -> None:
    """Momentum for SGD; m, v and t for Adam; plain SGD has none."""
    model = build()
    momentum = model.explain(X, Y, optimizer=pynn.SGD(momentum=0.9)).updates["dense1.bias"]
    np.testing.assert_array_equal(momentum.momentum, momentum.gradient)  # the first step
    adam = model.explain(X, Y, optimizer=pynn.Adam()).updates["dense1.bias"]
    np.testing.assert_allclose(adam.m, 0.1 * adam.gradient, rtol=1e-6)
    np.testing.assert_allclose(adam.v, 0.001 * adam.gradient**2, rtol=1e-4)
    assert (adam.t, adam.learning_rate) == (1, 0.001)
    plain = model.explain(X, Y).updates["dense1.bias"]
    assert list(plain) == ["before", "gradient", "after"]
    with pytest.raises(AttributeError, match="the update has no momentum; it has before, gradient"):
        _ = plain.momentum


def test_arrays_are_read_only() -> None:
    """Nobody can take an explanation for a handle of the model."""
    step = build().explain(X, Y, optimizer=pynn.Adam())
    arrays = [*step.gradients.values(), step.losses, step.probabilities]
    for group in (*step.forward.values(), *step.backward.values(), *step.updates.values()):
        arrays += group.values()
    assert len(arrays) > 20
    assert not any(array is None or array.flags.writeable for array in arrays)
    for array in arrays:
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True  # type: ignore[union-attr]
    for group in (
        step.forward,
        step.backward,
        step.gradients,
        step.updates,
        step.example(0).forward,
    ):
        with pytest.raises(TypeError, match="does not support item assignment"):
            group["dense1"] = None  # type: ignore[index]


def test_apply_refuses_a_model_that_has_changed() -> None:
    """A step that was explained for other parameters, or another count of steps, is not done."""
    model = build()
    step = model.explain(X, Y)
    step.apply()
    with pytest.raises(pynn.PynnError, match="apply: the model has changed since"):
        step.apply()
    step = model.explain(X, Y)
    model.parameters["dense1.bias"][0] += 1
    with pytest.raises(pynn.PynnError, match="explain it again"):
        step.apply()


def test_what_is_not_finite_is_named() -> None:
    """A feature that is infinite, and a step that makes the parameters so."""
    model, features = build(), X.copy()
    features[3, 2] = np.inf
    with pytest.raises(pynn.ArgumentError, match=r"features\[3\] holds inf \(feature 2\)"):
        model.explain(features, Y)
    with pytest.raises(pynn.DivergenceError, match="the loss of the step, or a parameter after it"):
        model.explain(X * 1e30, Y, optimizer=pynn.SGD(learning_rate=1e30))
    model.close()
    with pytest.raises(pynn.ClosedError):
        model.explain(X, Y)


def test_a_batch_too_large_for_the_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of all layers take more memory than a step of training."""

    def refuse(*_: object, **__: object) -> None:
        raise pynn.OutOfMemoryError("out of memory")

    monkeypatch.setattr(capture, "Workspace", refuse)
    with pytest.raises(pynn.OutOfMemoryError, match="out of memory for the values of a batch of 5"):
        build().explain(X[:5], Y[:5])


def test_layers_below_the_first_parameters_have_no_gradients() -> None:
    """Nobody needs them, so C does not compute them; and no block shows them."""
    model = pynn.Builder().input(6).tanh().dense(3).softmax_cross_entropy().build(seed=1)
    step = model.explain(X[:4], Y[:4])
    assert list(step.backward["tanh1"]) == []
    assert list(step.backward["dense1"]) == ["dY", "dW", "db"]
    assert "tanh1, forward" in str(step)
    assert "tanh1, backward" not in str(step)


@pytest.mark.parametrize("do", [pickle.dumps, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("of_example", [False, True])
def test_a_step_cannot_be_pickled(do: Any, of_example: bool) -> None:
    """The error says so in our words, and what to do."""
    step: Any = build().explain(X[:4], Y[:4])
    shown = step.example(0) if of_example else step
    with pytest.raises(pynn.ArgumentTypeError, match=r"belongs to its model.*keep its arrays"):
        do(shown)


def test_groups_of_arrays_offer_their_names() -> None:
    """To an editor, and to nobody who asks for a method that they do not have."""
    step = build().explain(X[:4], Y[:4], optimizer=pynn.Adam())
    assert {"X", "W", "b", "Y"} <= set(dir(step.forward["dense1"]))
    assert {"before", "after", "m", "v", "t"} <= set(dir(step.updates["dense1.weight"]))
    assert not hasattr(step.forward["dense1"], "__array__")
    assert not hasattr(step.updates["dense1.weight"], "_values_of_another")
    with pytest.raises(AttributeError, match="dense1 has no Z; it has X, W, b, Y"):
        _ = step.forward["dense1"].Z


# ---------------------------------------------------------------- the lines of C


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_line_of_c_has_its_equation(name: str) -> None:
    """The named line has the mark, and the code that it stands for is below it."""
    found = equation(name)
    lines = (SOURCES / found.file).read_text("utf-8").splitlines()
    assert lines[found.line - 1].strip() == f"/* {found.text}   @{name} */"
    below = (line for line in lines[found.line :] if not re.fullmatch(r"\s*/?\*.*", line))
    code = CODE.get(name) or CODE[name.partition(".")[2]]
    assert code.format(kind=name.partition(".")[0]) in next(below)


CODE = {
    "dense.sparseY": "pynn_sparse_gemm(rows, vectors + b",
    "dense.Y": "pynn_gemm(false, false, rows, columns, inputs",
    "dense.b": "add_bias(",
    "dense.dX": "pynn_gemm(false, true, rows, columns, outputs",
    "dense.sparsedW": "pynn_sparse_gemm(end - begin, columns",
    "dense.dW": "pynn_gemm(true, false, rows, columns, slice",
    "dense.db": "sum_columns(",
    "dense.fusedW": "pynn_gemm(true, false, rows, columns, slice",
    "dense.fusedsparseW": "pynn_sparse_gemm(end - begin, columns",
    "dense.fusedb": "sum_columns(",
    "standardize.Y": "y[i] = (x[i] - mean[i]) / scale[i];",
    "standardize.missing": "x[i] == x[i] ? y[i] : 0.0f;",
    "standardize.clip": "y[i] > clip ? clip :",
    "standardize.kept": "static void accumulate(",
    "mean_squared_error.kept": "float *mean = batch->target.parameters",
    "mean_squared_error.t": "to[o] = (from[o] - mean[o]) / mean[outputs + o];",
    "columns.number": "y[0] = x == x ? (x - mean) / scale : 0.0f;",
    "columns.embedding": "memcpy(y, table + code * column->width,",
    "columns.onehot": "memset(y, 0, column->width",
    "columns.dweight": "for (size_t o = 0; o < some; o++) t[first + o] += alpha *",
    "columns.fusedweight": "for (size_t o = 0; o < some; o++) t[first + o] += alpha *",
    "columns.kept": "for (size_t i = 0; i < count; i++) p[i] = pynn_blend(",
    "dropout.Y": "multiply(draws",
    "dropout.dX": "static void backward(",
    "layer_norm.Y": "y[i] = gain[i] * normal(x[i], at) + bias[i]",
    "layer_norm.dX": "dx[i] = at.factor",
    "layer_norm.dweight": "gain_sums[i] += dy_row[i] * normal",
    "layer_norm.dbias": "bias_sums[i] += dy_row[i]",
    "layer_norm.fusedweight": "gain[i] = alpha * (float)gain_totals[i]",
    "layer_norm.fusedbias": "bias[i] = alpha * (float)bias_totals[i]",
    "conv2d.Y": "pynn_conv_multiply(&product",
    "conv2d.dX": "if (g->is_turned)",
    "conv2d.dW": "pynn_add_shifted_products(",
    "conv2d.db": "add_bias_sums(",
    "conv2d.fusedW": "target->parameters[i] = pynn_blend(",
    "conv2d.fusedb": "target->parameters[i] = pynn_blend(",
    "max_pool2d.Y": "if (is_two_by_two(&g))",
    "max_pool2d.dX": "if (is_two_by_two(&g))",
    "avg_pool2d.Y": "find_totals(",
    "avg_pool2d.dX": "pass_to_all(",
    "global_avg_pool.Y": "y[c] = (float)(pynn_sum(",
    "global_avg_pool.dX": "dx[i] = share",
    "flatten.Y": "static void forward_flat(",
    "flatten.dX": "static void backward_flat(",
    "batch_norm.mean": "sum_some(OF_X",
    "batch_norm.Y": "for (size_t i = 0; i < v.size; i++)",
    "batch_norm.dX": "for (; i < end; i++) dx[i] = scale *",
    "batch_norm.dweight": "gain[c] = pynn_blend(",
    "batch_norm.dbias": "bias[c] = pynn_blend(",
    "batch_norm.fusedweight": "gain[c] = pynn_blend(",
    "batch_norm.fusedbias": "bias[c] = pynn_blend(",
    "batch_norm.running": "running[c] += momentum",
    "softmax_cross_entropy.P": "static void softmax(",
    "softmax_cross_entropy.loss": "sums->loss += ",
    "softmax_cross_entropy.smoothedloss": "sums->loss += ",
    "softmax_cross_entropy.dZ": "dz[labels[n]] -= ",
    "softmax_cross_entropy.smootheddZ": "dz[labels[n]] -= ",
    "mean_squared_error.loss": "squares += ",
    "mean_squared_error.dZ": "dz[o] = factor * error",
    "binary_cross_entropy.P": "static void sigmoid(",
    "binary_cross_entropy.loss": "loss += ",
    "binary_cross_entropy.dZ": "d[i] = factor * (",
    "poisson.loss": "loss += ",
    "poisson.dZ": "for (size_t o = 0; o < outputs; o++) dz[o] = factor *",
    "sgd.plain": "p[i] -= rate * (clip * g[i]",
    "sgd.nesterov": "m[i] = momentum * m[i] + gradient",
    "sgd.momentum": "m[i] = momentum * m[i] + into",
    "adam.m": "m[i] += ",
    "adam.v": "v[i] = ",
    "adam.p": "p[i] = kept",
    "adamw.p": "p[i] = kept",
    "batch_norm.frozenY": "g.mean[i] = of_batch ?",
    "batch_norm.frozendX": "g.mean_of_dy[i] = g.slope[i] = 0.0f;",
    # The scalar functions, whose code is a loop under these names.
    "Y": "VALUE({kind})",
    "dX": "SLOPE({kind})",
}
"""The beginning of the code below each mark."""


def test_every_kind_has_its_equations() -> None:
    """What a layer, a loss or an optimizer names is marked, and every mark is named by one."""
    named = set()
    kinds = [kind for kind in Layer.kinds.values() if not kind.reads_features]
    examples = [*(kind.__new__(kind) for kind in kinds), Standardize(clip=1.0, missing="mean")]
    columns = TableColumns(pynn.Columns(["a"], {"b": [1], "c": [1]}, one_hot=["c"]))
    for example in [*examples, columns, BatchNorm().as_frozen()]:
        for sparse in (False, True):
            named |= {*example.forward_marks(sparse=sparse)}
            named |= {*example.gradient_marks(sparse=sparse).values()}
            named |= {*example.fused_marks(sparse=sparse).values()}
        named |= {example.update_mark(name) for name in ("weight", "running_mean")} - {""}
    smoothed = Loss.kinds["softmax_cross_entropy"](label_smoothing=0.1)
    for loss in [*(kind() for kind in Loss.kinds.values()), smoothed]:
        named |= {loss.loss_mark(), loss.gradient_mark()}
        named |= {f"{loss.kind}.P"} if loss.has_probabilities else set()
    named |= {f"mean_squared_error.{name}" for name in ("t", "kept")}  # of standardized targets
    for optimizer in [*OPTIMIZERS.values(), pynn.SGD(), pynn.SGD(weight_decay=0.1)]:
        named |= {*optimizer._marks()}
    assert named == set(EQUATIONS)


@pytest.mark.parametrize("seed", range(20))
def test_print_shows_every_block(seed: int) -> None:
    """Equation and line of C of each layer, loss and update, and a name for each array."""
    model = random_network(seed)
    labels = labels_for(model, 5, np.random.default_rng(seed))
    step = model.explain(random_inputs(model, 5)[0], labels, optimizer=pynn.Adam())
    marks = {"adam.m", "adam.v", "adam.p", model._spec.loss.loss_mark()}
    text, sparse = str(step), step._captured.is_sparse
    for placed in model._spec.placed_layers:
        is_sparse = sparse and placed.number == 1
        backward = placed.layer.gradient_marks(sparse=is_sparse)
        marks |= {*placed.layer.forward_marks(sparse=is_sparse)}
        marks |= {mark for name, mark in backward.items() if name in step.backward[placed.name]}
        for part, group in (("forward", step.forward), ("backward", step.backward)):
            block = text.partition(f"\n\n{placed.name}, {part}\n")[2].partition("\n\n")[0]
            for name, array in group[placed.name].items():
                shape = " x ".join(map(str, array.shape))
                assert re.search(rf"^    {name}  {shape}", block, re.MULTILINE), (placed.name, name)
    for mark in marks:
        assert equation(mark).text in text
        assert equation(mark).place in text
    for name in model.parameters:
        assert f"\n{name}, update\n" in text


def test_an_example_is_a_row_of_the_batch() -> None:
    """Its values, its loss and its probabilities; what belongs to the batch is left out."""
    step = build().explain(X[:5], Y[:5])
    example = step.example(3)
    for name, values in example.forward.items():
        np.testing.assert_array_equal(values.X, step.forward[name].X[3:4])
        np.testing.assert_array_equal(values.Y, step.forward[name].Y[3:4])
    np.testing.assert_array_equal(example.forward["dense1"].W, step.forward["dense1"].W)
    np.testing.assert_array_equal(example.backward["dense2"].dX, step.backward["dense2"].dX[3:4])
    assert list(example.backward["dense2"]) == ["dY", "dX"]
    assert example.loss == step.losses[3]
    assert step.probabilities is not None
    np.testing.assert_array_equal(example.probabilities, step.probabilities[3])
    assert str(example).startswith("example 3 of 5; 6 -> dense(20, he) -> leaky")
    assert equation("dense.dX").place in str(example)
    assert equation("dense.dW").place not in str(example)
    with pytest.raises(pynn.ArgumentError, match=r"example must be in \[0, 4\], got 5"):
        step.example(5)


@pytest.mark.parametrize(
    ("kind", "bias", "remark"),
    [
        ("relu", -9, "2 of 3 units are 0 (dead ReLU) for all 16 examples: no gradient passes them"),
        ("sigmoid", 9, "2 of 3 units are saturated: their slope is below 0.01 for all 16"),
        ("tanh", -9, "2 of 3 units are saturated: their slope is below 0.01 for all 16"),
    ],
)
def test_units_that_do_not_learn_are_named(kind: str, bias: float, remark: str) -> None:
    """A dead ReLU, a saturated sigmoid; and nothing where all units learn."""
    chain = getattr(pynn.Builder().input(6).dense(3), kind)().dense(3)
    model = chain.softmax_cross_entropy().build(seed=1)
    model.parameters["dense1.weight"][...] = 0.1
    model.parameters["dense1.bias"][...] = 0.5
    assert "of 3 units" not in str(model.explain(X[:16], Y[:16]))
    model.parameters["dense1.bias"][1:] = bias
    assert f"note: {remark}" in " ".join(str(model.explain(X[:16], Y[:16])).split())


@pytest.mark.parametrize(
    ("kind", "bias", "remark"),
    [
        ("relu", -9, "3 of 3 units are off (0) for this example"),
        ("sigmoid", 9, "3 of 3 units are at a flat end of the function: their slope is"),
        ("tanh", -9, "3 of 3 units are at a flat end of the function: their slope is"),
    ],
)
def test_units_that_are_off_for_one_example_are_not_called_dead(
    kind: str, bias: float, remark: str
) -> None:
    """One picture cannot tell a dead unit; and inputs are no units."""
    chain: Any = pynn.Builder().input(6)
    model = getattr(chain.dense(3), kind)().dense(3).softmax_cross_entropy().build(seed=1)
    model.parameters["dense1.bias"][...] = bias
    text = " ".join(str(model.explain(X[:1], Y[:1])).split())
    assert f"note: {remark}" in text
    assert "dead" not in text and "saturated" not in text
    model = getattr(chain, kind)().dense(3).softmax_cross_entropy().build(seed=1)
    assert "units" not in str(model.explain(X[:20] + 100 * np.sign(bias), Y[:20]))


def test_plain_sgd_names_the_line_of_each_parameter() -> None:
    """What computes a gradient does the step: products, sparse or not, biases, layer norm."""
    chain = pynn.Builder().input(784).dense(64).relu().layer_norm().dense(10)
    model = chain.softmax_cross_entropy().build(seed=0)
    rng = np.random.default_rng(0)
    images = np.where(rng.random((64, 784)) < 0.1, 200, 0).astype(np.uint8)
    step = model.explain(images, rng.integers(0, 10, 64))
    found = {
        block.title: [item for item in block.items if isinstance(item, Equation)]
        for block in blocks(step._captured)
        if block.part == "update"
    }
    assert found == {
        "SGD(learning_rate=0.05)": [],
        "dense1.weight": [equation("dense.fusedsparseW")],
        "dense1.bias": [equation("dense.fusedb")],
        "layer_norm1.weight": [equation("layer_norm.fusedweight")],
        "layer_norm1.bias": [equation("layer_norm.fusedbias")],
        "dense2.weight": [equation("dense.fusedW")],
        "dense2.bias": [equation("dense.fusedb")],
    }
    assert not [text for text, *_ in EQUATIONS.values() if "beta T" in text]


@pytest.mark.parametrize(
    ("loss", "smoothing", "shown"),
    [
        ("softmax_cross_entropy", {}, ["loss = -log P[label]", "dZ = (P - one-hot label) / N"]),
        (
            "softmax_cross_entropy",
            {"label_smoothing": 0.1},
            [
                "loss = -(1 - s) log P[label] - s mean(log P)",
                "s = 0.1 (label_smoothing)",
                "dZ = (P - (1 - s) one-hot label - s / classes) / N",
            ],
        ),
        (
            "binary_cross_entropy",
            {},
            ["loss = mean of -t log P - (1 - t) log(1 - P) over the outputs"],
        ),
    ],
)
def test_losses_show_the_equation_that_was_computed(
    loss: str, smoothing: dict[str, float], shown: list[str]
) -> None:
    """With label smoothing it is another one, and a mean is said to be a mean."""
    chain: Any = pynn.Builder().input(6).dense(3)
    model = getattr(chain, loss)(**smoothing).build(seed=1)
    labels = labels_for(model, 5, np.random.default_rng(0))
    text = str(model.explain(X[:5], labels))
    assert [line in text for line in shown] == [True] * len(shown)
    assert ("(P - one-hot" in text) == (loss == "softmax_cross_entropy" and not smoothing)
    assert "examples, divided by their mean" not in text


def test_weights_of_examples_are_shown() -> None:
    """They are divided by their mean, and multiply each loss."""
    model = build()
    step = model.explain(X[:3], Y[:3], sample_weight=np.array([1.0, 2.0, 0.5]))
    text = str(step)
    assert "w (weights of the examples, divided by their mean)  3:  [0.8571 1.7143 0.4286]" in text
    assert "each loss and its dZ are multiplied by the example's w" in text
    assert "w (weights of the examples, divided by their mean):  1.7143" in str(step.example(1))


def test_adamw_shows_its_own_equation() -> None:
    """Its weight decay is apart from the gradient."""
    model = build()
    text = " ".join(
        str(model.explain(X[:3], Y[:3], optimizer=pynn.AdamW(weight_decay=0.1))).split()
    )
    assert "p = p - r d p - r (m / (1 - beta1^t))" in text
    assert "d = 0.1 (weight_decay; 0 for biases)" in text
    text = str(model.explain(X[:3], Y[:3], optimizer=pynn.AdamW(weight_decay=0)))
    assert "p = p - r (m / (1 - beta1^t))" in text


def test_sparse_rows_name_their_own_line() -> None:
    """A batch that is mostly zeros goes through other lines of C than a dense one."""
    chain = pynn.Builder().input(784).dense(64).relu().dense(10).softmax_cross_entropy()
    model = chain.build(seed=0)
    rng = np.random.default_rng(0)
    images = np.where(rng.random((64, 784)) < 0.1, 200, 0).astype(np.uint8)
    labels = rng.integers(0, 10, 64)
    step = model.explain(images, labels)
    assert equation("dense.sparseY").place in str(step)
    np.testing.assert_array_equal(step.forward["dense1"].X, images.astype(np.float32) / 255)
    dense = model.explain(np.full_like(images, 9), labels)
    assert equation("dense.sparseY").place not in str(dense)
