"""Step.check: its errors are below 1e-6 where all is sound, and it names the place of a fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from random_networks import (
    ACTIVATIONS,
    LOSSES,
    OF_FEATURES,
    OF_IMAGES,
    kinds_in,
    random_inputs,
    random_network,
)
from test_explain import labels_for

import pynn
from pynn._explain import differences, errors
from pynn._explain.capture import Captured, copy_of
from pynn._explain.check import StepCheck
from pynn._explain.errors import Comparison, LargestError
from pynn._explain.network64 import Network64, RoundedNetwork
from pynn._explain.reference import layers, losses, optimizers
from pynn._explain.step import Step
from pynn._explain.values import Values
from pynn._network.layers import Layer
from pynn._network.losses import Loss
from pynn._training.optimizers import KINDS

SEEDS = range(200)
OPTIMIZERS = [
    pynn.SGD(learning_rate=0.1),
    pynn.SGD(learning_rate=0.1, weight_decay=0.01, max_gradient_norm=0.1),
    pynn.SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.05),
    pynn.SGD(learning_rate=0.1, momentum=0.9, nesterov=True, max_gradient_norm=0.5),
    pynn.Adam(learning_rate=0.01),
    pynn.Adam(learning_rate=0.01, beta1=0.5, weight_decay=0.1, max_gradient_norm=0.1),
    pynn.AdamW(learning_rate=pynn.schedules.Cosine(0.02, steps=9)),
    pynn.AdamW(learning_rate=0.02, weight_decay=0.3, beta2=0.9, max_gradient_norm=1.0),
]


def largest(found: StepCheck) -> float:
    """The largest of all errors."""
    return max(one.error for one in found[:4])


def random_step(seed: int) -> Step:
    """A step of a random network after up to three others, mostly with weights of the examples."""
    model, rng = random_network(seed), np.random.default_rng(seed)
    rows = int(rng.integers(1, 8))
    x, y = random_inputs(model, rows)[seed % 2], labels_for(model, rows, rng)
    weights = rng.uniform(0.1, 2, rows) if seed % 3 else None
    optimizer = OPTIMIZERS[seed % len(OPTIMIZERS)]
    for _ in range(seed % 4):
        model.explain(x, y, optimizer=optimizer, sample_weight=weights).apply()
    return model.explain(x, y, optimizer=optimizer, sample_weight=weights)


# ------------------------------------------------------------ what is sound


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_are_roundings(seed: int) -> None:
    """Of the layers, the gradients, the differences and the updates of a random network."""
    found = random_step(seed).check()
    assert largest(found) < 1e-6, found
    assert found.compared > 0


def test_random_networks_are_of_all_kinds() -> None:
    """All layers, losses and optimizers are among them, so that a new one is checked."""
    models = [random_network(seed) for seed in SEEDS]
    assert kinds_in(models) == {"dense", *OF_IMAGES, *OF_FEATURES, *ACTIVATIONS, *LOSSES}
    assert {type(optimizer) for optimizer in OPTIMIZERS} == {*KINDS.values()} - {pynn.LBFGS}


@pytest.mark.parametrize("kind", [kind for kind in ACTIVATIONS if Layer.kinds[kind].is_scalar])
def test_functions_everywhere(kind: str) -> None:
    """Each value and slope of a scalar function, from -40 to 40 and near 0, is right by itself."""
    chain: Any = pynn.Builder().input(1).dense(1)
    chain = chain.dropout(0.3) if kind == "dropout" else getattr(chain, kind)()
    model = chain.dense(1).mean_squared_error().build(seed=0)
    for name in ("dense1.weight", "dense2.weight"):
        model.parameters[name][...] = 1
    x = np.concatenate([np.linspace(-40, 40, 801), np.linspace(-1e-3, 1e-3, 101)])
    step = model.explain(x[:, None].astype(np.float32), np.ones(len(x), np.float32))
    assert step.check().layers.error < 1e-6


@pytest.mark.parametrize("loss", [*LOSSES, "smoothed"])
def test_losses_everywhere(loss: str) -> None:
    """Each loss, probability and gradient is right for outputs from tiny ones to hundreds.

    Those of poisson are up to 80, because their exp() is a rate.
    """
    chain: Any = pynn.Builder().input(4).dense(4)
    options = {"label_smoothing": 0.3} if loss == "smoothed" else {}
    chain = getattr(chain, LOSSES[0] if loss == "smoothed" else loss)(**options)
    model, rng = chain.build(seed=0), np.random.default_rng(0)
    model.parameters["dense1.weight"][...] = np.eye(4)
    x = (rng.normal(size=(300, 4)) * 10 ** rng.uniform(-4, 2.5, (300, 1))).astype(np.float32)
    x = np.minimum(x, 80) if loss == "poisson" else x
    weights = rng.uniform(0.1, 2, 300)
    found = model.explain(x, labels_for(model, 300, rng), sample_weight=weights).check()
    assert found.layers.error < 1e-6, found


def test_sparse_rows_and_large_batches() -> None:
    """Images that are mostly 0, and more rows than C adds up at a time."""
    chain = pynn.Builder().input(784).dense(32).relu().dense(10).softmax_cross_entropy()
    model, rng = chain.build(seed=0), np.random.default_rng(0)
    images = np.where(rng.random((300, 784)) < 0.1, 200, 0).astype(np.uint8)
    labels = rng.integers(0, 10, 300)
    step = model.explain(images, labels)
    assert step._captured.is_sparse
    found = step.check()
    assert largest(found) < 1e-6, found
    assert found.compared + found.left_out == 85  # 25 of each array, and the last 10 biases


def test_slices_of_a_batch_that_cancel() -> None:
    """Plain SGD adds each slice of a batch to the weights, and takes it away with the next one."""
    model = pynn.Builder().input(1).dense(1).mean_squared_error().build(seed=0)
    model.parameters["dense1.weight"][...] = 0
    x = np.random.default_rng(0).uniform(0.5, 1, (512, 1)).astype(np.float32)
    x[256:] = x[:256] * np.float32(1.0001)
    found = model.explain(x, np.repeat([-1.0, 1.0], 256).astype(np.float32)).check()
    assert largest(found) < 1e-6, found


@pytest.mark.parametrize("first", ["dropout", "tanh", "relu"])
def test_untrained_layers_below(first: str) -> None:
    """They have values, and no gradients."""
    chain: Any = pynn.Builder().input(6)
    chain = getattr(chain, first)(*([0.5] if first == "dropout" else []))
    model, rng = chain.dense(3).softmax_cross_entropy().build(seed=1), np.random.default_rng(0)
    step = model.explain(rng.normal(size=(4, 6)).astype(np.float32), np.arange(4) % 3)
    assert largest(step.check()) < 1e-6
    spoiled = with_number(step, "forward", f"{first}1", "Y", (1, 2), 1.0)
    assert spoiled.check().layers[1:] == (f"{first}1.Y", (1, 2))


def test_an_optimizer_may_follow_another() -> None:
    """Moments of another kind are forgotten; of the same kind they stay, also while not in use."""
    model, rng = random_network(3), np.random.default_rng(3)
    x, y = random_inputs(model, 5)[0], labels_for(model, 5, rng)
    momentum = pynn.SGD(momentum=0.9)
    for optimizer in (pynn.Adam(), momentum, pynn.SGD(), momentum, pynn.AdamW(), pynn.SGD()):
        step = model.explain(x, y, optimizer=optimizer)
        assert largest(step.check()) < 1e-6
        step.apply()


@pytest.mark.parametrize("label", [-1, 12])
def test_labels_that_are_no_class_do_not_come_here(label: int) -> None:
    """`explain` refuses them."""
    model = pynn.Builder().input(2).dense(12).softmax_cross_entropy().build(seed=0)
    with pytest.raises(pynn.ArgumentError, match="label"):
        model.explain(np.ones((1, 2), np.float32), np.array([label]))


@pytest.mark.parametrize(
    ("farther", "best"),
    [
        ([8.4, 8.1, 8.0, 7.0], 8.0),
        ([8.04, 9.0, 12.0, 7.0], 8.04),
        ([8.4, 8.1, None, None], 8.1),
        ([8.4, 8.1, np.inf, np.inf], 8.1),
        ([None, None, None, None], 8.0),
    ],
)
def test_differences_that_agree_best(farther: list[float | None], best: float) -> None:
    """Of distances before a kink or an overflow; the first one, if it is the only one."""
    others = iter(farther)
    assert differences._most_agreeing(lambda _: next(others), 1e-4, 8.0) == best


# ------------------------------------------------------------ every kind has its reference


def test_every_kind_has_a_reference() -> None:
    """Each layer, loss and optimizer, in a version for its own class, not for a base class."""
    random_network(0)  # it imports all kinds
    for layer in Layer.kinds.values():
        parts = [layers.value.registry, layers.sizes.registry]
        parts += [layers.gradients.registry] * (not layer.reads_features)
        assert layer in layers.scalar.registry or all(layer in part for part in parts)
    for loss in Loss.kinds.values():
        assert loss in losses.losses.registry
        assert loss in losses.gradient.registry
        assert (loss in losses.probabilities.registry) == loss.has_probabilities
    for optimizer in KINDS.values():  # explain refuses one whose steps take all examples
        assert (optimizer in optimizers.update.registry) != optimizer._is_full_batch


@pytest.mark.parametrize(
    ("function", "kind", "arguments"),
    [
        (layers.scalar, Layer, 1),
        (losses.probabilities, Loss, 1),
        (losses.losses, Loss, 2),
        (losses.gradient, Loss, 2),
        (optimizers.update, pynn.SGD.__base__, 1),
    ],
)
def test_a_kind_without_reference_is_named(function: Any, kind: type, arguments: int) -> None:
    """The error says which."""
    unknown = kind.__new__(kind)
    object.__setattr__(unknown, "kind", "maxout")
    object.__setattr__(unknown, "_kind", "maxout")
    with pytest.raises(NotImplementedError, match="maxout has no"):
        function(unknown, *[None] * arguments)


# ------------------------------------------------------------ what is wrong


def small(optimizer: Any = None, last: str = "softmax_cross_entropy") -> Step:
    """The second step of a network with several kinds of layers, none of which has a kink."""
    chain: Any = pynn.Builder().input(5).dense(7).tanh().layer_norm().dropout(0.3).dense(6)
    chain = chain.gelu().dense(4)
    model, rng = getattr(chain, last)().build(seed=3), np.random.default_rng(5)
    x, y = rng.normal(size=(6, 5)).astype(np.float32), labels_for(model, 6, rng)
    model.explain(x, y, optimizer=optimizer).apply()
    return model.explain(x, y, optimizer=optimizer)


def changed(step: Step, **values: Any) -> Step:
    """The step with other captured values."""
    return Step(step._engine, step._captured._replace(**values))


def spoil(array: npt.NDArray[np.float32], index: Any, factor: float) -> npt.NDArray[np.float32]:
    """A copy in which one number is another: times a factor, plus a little if it is 0."""
    copy = array.copy()
    copy[index] = copy[index] * np.float32(factor) if factor != 1.0 else copy[index] + 1
    return copy


def readers(step: Step, layer: str, symbol: str) -> list[tuple[str, str, str]]:
    """Where a layer's Y or dX is read: the layer, what it is there, and what is made of it."""
    names = [*step.forward, ""]
    place = names.index(layer)
    if symbol == "Y":
        return [(names[place + 1], "X", "Y")]
    return [(names[place - 1], "dY", "dX")] if symbol == "dX" else []


def with_number(
    step: Step, way: str, layer: str, symbol: str, index: tuple[int, ...], factor: float
) -> Step:
    """The step with one number of a layer wrong, also where another layer reads it."""
    groups: dict[str, Values] = dict(getattr(step, way))
    copies = [(where, name) for where, name, _ in readers(step, layer, symbol)]
    for where, name in [(layer, symbol), *copies]:
        arrays = dict(groups[where])
        arrays[name] = spoil(arrays[name], index, factor)
        groups[where] = Values(where, arrays)
    return changed(step, **{way: groups})


NUMBERS = [
    ("forward", "dense1", "Y", (2, 3)),
    ("forward", "tanh1", "Y", (5, 6)),
    ("forward", "layer_norm1", "Y", (0, 1)),
    ("forward", "gelu1", "Y", (3, 3)),
    ("backward", "dense3", "dY", (1, 0)),
    ("backward", "dense3", "dX", (4, 2)),
    ("backward", "dense1", "dW", (3, 4)),
    ("backward", "dense2", "db", (5,)),
    ("backward", "layer_norm1", "dweight", (0,)),
    ("backward", "layer_norm1", "dbias", (6,)),
    ("backward", "layer_norm1", "dX", (2, 2)),
    ("backward", "gelu1", "dX", (0, 5)),
]


@pytest.mark.parametrize("factor", [1.001, np.nan, np.inf])
@pytest.mark.parametrize(("way", "layer", "symbol", "index"), NUMBERS)
def test_one_wrong_number_of_a_layer(
    way: str, layer: str, symbol: str, index: tuple[int, ...], factor: float
) -> None:
    """It is named with its index, if it is not finite; else it may be what C did not make of it."""
    step = small()
    found = with_number(step, way, layer, symbol, index, factor).check().layers
    assert found.place == index
    assert found.error > 2e-6
    assert np.isinf(found.error) == (not np.isfinite(factor))
    made = [f"{where}.{name}" for where, _, name in readers(step, layer, symbol)]
    assert found.name in [f"{layer}.{symbol}", *(made if np.isfinite(factor) else [])]


@pytest.mark.parametrize("factor", [1.001, np.nan])
def test_one_wrong_gradient(factor: float) -> None:
    """A number of the whole gradient is named as the parameter that it belongs to."""
    step = small()
    flat = spoil(step._captured.gradients, 13, factor)  # of dense1.weight, (5, 7)
    found = changed(step, gradients=flat).check()
    assert found.gradients.error > 1e-5
    assert found.gradients[1:] == ("dense1.weight", (1, 6))
    assert found.layers.error < 1e-6


@pytest.mark.parametrize("what", ["losses", "probabilities"])
def test_one_wrong_number_of_the_loss(what: str) -> None:
    """It is named with its index."""
    step = small()
    array = getattr(step, what)
    index = (2, 1)[: array.ndim]
    found = changed(step, **{what: spoil(array, index, 1.001)}).check().layers
    assert found.error > 1e-5
    assert found[1:] == (what, index)


def times(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, kind: type, pick: Any) -> None:
    """Make the reference of a kind wrong: what it returns is multiplied by 1.001."""
    sound = getattr(module, name)

    def wrong(one: Any, *rest: Any) -> Any:
        found = sound(one, *rest)
        return pick(found) if isinstance(one, kind) else found

    monkeypatch.setattr(module, name, wrong)


@pytest.mark.parametrize("kind", ["tanh", "layer_norm", "gelu", "dropout"])
def test_a_wrong_value(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The layer is named, the gradient is off, and differences disagree with the derivative."""
    step = small()
    times(monkeypatch, layers, "value", Layer.kinds[kind], lambda y: 1.001 * y)
    found = step.check()
    assert found.layers.name == f"{kind}1.Y"
    assert min(found.layers.error, found.gradients.error, found.differences.error) > 1e-5


@pytest.mark.parametrize("kind", ["dense", "tanh", "layer_norm", "gelu", "dropout"])
def test_a_wrong_derivative(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The layer is named, the gradient is off, and differences of the loss say so by themselves."""
    step = small()

    def wrong(found: dict[str, Any]) -> dict[str, Any]:
        return found | {"dX": 1.001 * found["dX"]}

    times(monkeypatch, layers, "gradients", Layer.kinds[kind], wrong)
    found = step.check()
    assert found.layers.name.startswith(kind)
    assert found.layers.name.endswith("dX")
    assert min(found.layers.error, found.gradients.error, found.differences.error) > 1e-5


@pytest.mark.parametrize("kind", LOSSES)
def test_a_wrong_loss(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The gradient of the loss is named, and differences of the loss say so by themselves."""
    step = small(last=kind)
    times(monkeypatch, losses, "gradient", Loss.kinds[kind], lambda it: (1.001 * it[0], it[1]))
    found = step.check()
    assert found.layers.name == "dense3.dY"
    assert min(found.layers.error, found.gradients.error, found.differences.error) > 1e-5


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("symbol", ["change", "moments"])
def test_a_wrong_update(monkeypatch: pytest.MonkeyPatch, optimizer: Any, symbol: str) -> None:
    """A change or a moment that is off by a thousandth is named as such."""
    step, names = small(optimizer), optimizer._moment_names

    def wrong(it: optimizers.Updated) -> optimizers.Updated:
        if symbol == "change":
            return it._replace(change=1.001 * it.change)
        return it._replace(moments=[1.001 * moment for moment in it.moments])

    times(monkeypatch, optimizers, "update", type(optimizer), wrong)
    found = step.check()
    if symbol == "moments" and step._captured.state.moments == []:
        assert found.updates.error < 1e-6
    else:
        last = ("after",) if symbol == "change" else names
        assert found.updates.name.rpartition(".")[2] in last
        assert found.updates.error > 1e-4
    assert max(found.layers.error, found.gradients.error, found.differences.error) < 1e-6


@pytest.mark.parametrize("optimizer", OPTIMIZERS[4:], ids=repr)
def test_a_wrong_t(optimizer: Any) -> None:
    """If the moments were corrected for another number of updates, changes are wrong, and so is t.

    This is the case however small a change is beside its parameter.
    """
    step = small(optimizer)
    before = copy_of(step._captured.before, 0)
    before.handle.updates += 1
    found = changed(step, before=before).check()
    assert found.updates.error > 1e-2
    assert found.updates.name.endswith(("after", "t"))


def test_parameters_that_were_not_updated() -> None:
    """A change that is missing is an error of 1, though the parameter is off by little."""
    step = small(pynn.SGD(learning_rate=1e-4))
    captured = step._captured
    after = captured.after.copy()
    after[13] = captured.parameters[13]
    found = changed(step, after=after).check().updates
    assert found.error > 0.1
    assert found[1:] == ("dense1.weight.after", (1, 6))


@pytest.mark.parametrize("part", ["t", "steps", "moments"])
def test_wrong_counts(part: str) -> None:
    """A count of updates or steps that is off, or a moment that is missing, is named."""
    step = small(pynn.Adam())
    state = copy_of(step._captured.state, 0)
    if part == "t":
        state.handle.updates += 1
    elif part == "steps":
        state.handle.step += 1
    else:
        state.moments.pop()
    assert changed(step, state=state).check().updates == (1.0, part, (0,))


# ------------------------------------------------------------ kinks


def kinked() -> Captured:
    """A step with two kinks in a row; the first function's inputs are 1 + 1, and 1 - 1."""
    chain = pynn.Builder().input(2).dense(2).relu().leaky_relu(0.5).dense(1)
    model = chain.mean_squared_error().build(seed=0)
    model.parameters["dense1.weight"][...] = [[1, 1], [1, -1]]
    return model.explain(np.ones((1, 2), np.float32), np.ones(1, np.float32))._captured


@pytest.mark.parametrize(("distance", "is_taken"), [(1e-7, True), (1e-3, False)])
def test_the_side_of_c_is_taken_near_a_kink_only(distance: float, is_taken: bool) -> None:
    """Rounding may take a number over the kink; further off the number of C would be wrong.

    The same holds behind another kink, which makes 0 of a number that is below 0 by rounding.
    """
    network = Network64(kinked())
    values = network.forward(0, network.x)
    values[1][0, 1] = -distance
    other = [value.copy() for value in values]
    other[1][0, 1] = other[2][0, 1] = distance
    near = network.near(values, other)
    expected = other if is_taken else values
    np.testing.assert_array_equal(near[1], expected[1])
    np.testing.assert_array_equal(near[2], expected[2])
    np.testing.assert_array_equal(near[3], values[3])


def test_networks_rounded_at_random_stay_on_their_side() -> None:
    """Else a number at a kink would make much of the gradient uncertain."""
    step = kinked()
    values = Network64(step).forward(0, Network64(step).x)
    rounded = RoundedNetwork(step, values, np.random.default_rng(0))
    for _ in range(20):
        found = rounded.backward(rounded.forward(0, rounded.x))
        assert found[0]["dW"][0, 0] != 0
        assert found[0]["dW"][0, 1] == 0


def test_parameters_at_a_kink_are_left_out() -> None:
    """A pre-activation of 0 has no derivative, so that no difference is compared there."""
    model = pynn.Builder().input(1).dense(2).relu().dense(1).mean_squared_error().build(seed=0)
    model.parameters["dense1.weight"][...] = [[0, 1]]
    found = model.explain(np.ones((1, 1), np.float32), np.zeros(1, np.float32)).check()
    assert (found.compared, found.left_out) == (5, 2)
    assert "of 5 parameters, 2 left out at kinks" in str(found)
    assert largest(found) < 1e-6


# ------------------------------------------------------------ errors, and how they are shown


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["numbers", "right", "sizes"])
def test_what_is_not_finite_is_infinitely_wrong(which: str, bad: float) -> None:
    """In the numbers, in the right ones or in the sizes; at its own index."""
    arrays = {name: np.ones((2, 3)) for name in ("numbers", "right", "sizes")}
    arrays["numbers"][0, 0] = 1e9
    arrays[which][1, 2] = bad
    found = errors.largest_of(Comparison("x", **arrays))
    assert found == LargestError(np.inf, "x", (1, 2))


def test_arrays_of_other_shapes_are_infinitely_wrong() -> None:
    """They cannot be compared."""
    found = errors.largest_of(Comparison("x", np.ones(3), np.ones((3, 1)), np.ones(3)))
    assert found == LargestError(np.inf, "x", ())


def test_small_numbers_do_not_hide_behind_large_ones() -> None:
    """Each error is relative to the size of its own number."""
    right = np.array([1e6, 1e-6])
    found = errors.largest_of(Comparison("x", np.array([1e6, 1.01e-6]), right, right))
    assert found.place == (1,)
    assert found.error == pytest.approx(0.01)


def test_a_check_is_shown() -> None:
    """A line for each link, with its largest error and where that is."""
    found = StepCheck(
        LargestError(1.25e-7, "dense1.dW", (3, 4)),
        LargestError(2e-7, "dense1.bias", (0,)),
        LargestError(0.0, "", ()),
        LargestError(np.inf, "dense1.weight.after", (0, 1)),
        0,
        9,
    )
    assert str(found).splitlines() == [
        "largest relative errors",
        "    layers: 1.2e-07 at dense1.dW[3, 4]",
        "    gradients: 2e-07 at dense1.bias[0]",
        "    differences of 0 parameters, 9 left out at kinks: nothing to compare",
        "    updates: inf at dense1.weight.after[0, 1]",
    ]
    assert repr(found).startswith("StepCheck(layers: 1.2e-07 at dense1.dW[3, 4]; gradients: ")
