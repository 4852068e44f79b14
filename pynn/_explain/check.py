"""Check the numbers of a step, which C computed in float32, against NumPy float64.

Three links make a chain, and each can be broken alone:

- `layers`: each layer and the loss, from the same inputs as in C;
- `differences`: backpropagation through the whole network in float64, against differences of the
  loss, which know nothing of derivatives;
- `updates`: the parameters and moments after the step, from the gradient of C.

`gradients` joins the first two: the gradient of C against that of the whole network in float64. The
rounding errors of all layers add up there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pynn._base.arrays import Doubles
from pynn._explain.capture import Captured
from pynn._explain.differences import differences
from pynn._explain.errors import Comparison, LargestError, largest, largest_of
from pynn._explain.network64 import ROUNDING, Network64, RoundedNetwork, double
from pynn._explain.reference import images, optimizers
from pynn._network.parameters import ParameterView, views

RUNS = 16
"""How many times the network is rounded at random to find how far rounding takes its gradient. With
a few runs, some of the thousands of weights hardly change in any of them."""
ROWS_OF_A_PRODUCT = 64
"""C adds the gradient of plain SGD to the parameters in slices of at least so many examples."""


class StepCheck(NamedTuple):
    """How far the numbers of a step are from those of float64; `Step.check` returns it.

    An error is the distance of a number from the right one, divided by the size of that number: the
    sum of the magnitudes of the terms that are added up for it. So a sum whose terms cancel, such
    as the gradient of a bias below a layer_norm, shows the rounding of its terms as what it is. The
    error is infinite if a number is not finite.

    Float32 rounds a number by up to 6e-8 of it, and a sound step has errors below 1e-6. A wrong
    equation is off by 1e-3 or more, mostly.
    """

    layers: LargestError
    """Each layer's Y, dX and gradients of parameters, each example's loss, the probabilities, and
    the gradient of the loss: C against the equations in float64, on the same inputs as in C. What a
    layer gets must be what the one before it gave. Sums of some thousand terms may exceed 1e-6:
    float32 rounds them once a term. Only which values dropout drops is taken from C."""
    gradients: LargestError
    """The gradient of C against backpropagation through the whole network in float64, by the names
    of `Model.parameters`.

    The rounding errors of the other layers get into it, and some networks make much of them. So the
    error is relative to the size, plus what the gradient changes by in float64 where each number of
    the network is changed at random by up to a rounding of float32, in units of such a rounding:
    1e-6 is 17 roundings."""
    differences: LargestError
    """Backpropagation in float64 against central differences of the loss in float64. The error is
    relative to at least 1e-5 of the loss: smaller gradients are too small for a difference. Where
    the first difference is off, it is the one of several distances that agree best."""
    updates: LargestError
    """The change of the parameters in the step, and the moments after it, against the equations of
    the optimizer in float64, with the gradient of C. Roundings of the parameter itself, 6e-8 of it
    each, are no error of a change: two, and with plain SGD one more for each 64 examples, which it
    adds in slices. `t` is the number of updates, and `steps` that of the steps."""
    compared: int
    """How many parameters `differences` has compared: all, or a sample of about 100, drawn from all
    arrays of parameters with a fixed seed."""
    left_out: int
    """How many parameters of the sample were left out, because moving them takes a function such as
    ReLU over its kink, where no derivative is right."""

    def __repr__(self) -> str:
        return f"StepCheck({'; '.join(self._parts())})"

    def __str__(self) -> str:
        return "\n".join(["largest relative errors", *(f"    {part}" for part in self._parts())])

    def _parts(self) -> list[str]:
        kinks = f", {self.left_out} left out at kinks" if self.left_out else ""
        return [
            f"layers: {self.layers}",
            f"gradients: {self.gradients}",
            f"differences of {self.compared} parameters{kinks}: {self.differences}",
            f"updates: {self.updates}",
        ]


def check_step(step: Captured) -> StepCheck:
    """Compare all numbers of a step with those of float64."""
    network = Network64(step)
    with np.errstate(all="ignore"):  # what is not finite is an error, and no warning
        found = list(differences(network, views(step.spec)))
        compared = [error for error in found if error is not None]
        return StepCheck(
            # In the order in which they are computed, so that the first infinite error is named.
            largest(map(largest_of, (*_forward(network, step), *_backward(network, step)))),
            largest(map(largest_of, _of_gradients(network, step))),
            largest(compared),
            largest(map(largest_of, _of_updates(network, step, _gradient_sizes(network, step)))),
            len(compared),
            len(found) - len(compared),
        )


def _forward(network: Network64, step: Captured) -> Iterator[Comparison]:
    """Y of each layer from the X that it had in C, which must be the Y of the layer below."""
    y_below = network.x
    for place, placed in enumerate(network.layers):
        name, values = placed.name, step.forward[placed.name]
        x, y = double(values["X"]), double(values["Y"])
        missing = np.isnan(x) & np.isnan(y_below)  # of features
        known, right = (np.where(missing, 0.0, array) for array in (x, y_below))
        yield Comparison(f"{name}.X", known, right, np.abs(right))
        sizes = network.sizes(place, x, np.zeros_like(y))["Y"]
        yield Comparison(f"{name}.Y", y, network.value(place, x), sizes)
        y_below = y
    yield from _of_loss(network, step)


def _backward(network: Network64, step: Captured) -> Iterator[Comparison]:
    """The gradients of each layer from the dY that it had in C: the dX of the layer above."""
    last = network.layers[-1].name
    z = double(step.forward[last]["Y"])
    dx_above, sizes_above = network.output_gradient(z)
    for place, placed in reversed(list(enumerate(network.layers))):
        name, values = placed.name, step.backward[placed.name]
        if "dY" not in values:
            return
        x, dy = double(step.forward[name]["X"]), double(values["dY"])
        yield Comparison(f"{name}.dY", dy, dx_above, sizes_above)
        sizes, right = network.sizes(place, x, dy), network.gradients(place, x, dy)
        for symbol in (symbol for symbol in values if symbol != "dY"):
            yield Comparison(f"{name}.{symbol}", values[symbol], right[symbol], sizes[symbol])
        if "dX" in values:
            dx_above = double(values["dX"])
            sizes_above = np.abs(dx_above)


def _of_loss(network: Network64, step: Captured) -> Iterator[Comparison]:
    """The losses, their mean, and the probabilities, from the outputs in C."""
    z = double(step.forward[network.layers[-1].name]["Y"])
    right, sizes = network.losses(z)
    yield Comparison("losses", step.losses, right, sizes)
    mean = np.array(step.sums.mean()[:1])
    yield Comparison("loss", mean, right.mean(keepdims=True), sizes.mean(keepdims=True))
    if step.probabilities is not None:
        yield Comparison("probabilities", step.probabilities, *network.probabilities(z))


def _of_gradients(network: Network64, step: Captured) -> Iterator[Comparison]:
    """The gradients of all parameters, from the examples on."""
    in_c = [double(step.forward[placed.name]["X"]) for placed in network.layers]
    values = network.near(network.forward(0, network.x), in_c)
    right = network.backward(values)
    sizes = network.sizes_of_gradients(values, right)
    rounded = RoundedNetwork(step, values, np.random.default_rng(0))
    runs = [rounded.backward(rounded.forward(0, network.x)) for _ in range(RUNS)]
    for view in step.changing():
        if not view.trained:
            zeros = np.zeros(view.shape)
            yield Comparison(view.name, view.of(step.gradients), zeros, zeros)
            continue
        place, symbol = view.layer, f"d{network.symbol(view)}"
        numbers = right[place][symbol]
        squares = np.mean([(run[place][symbol] - numbers) ** 2 for run in runs], axis=0)
        size = sizes[place][symbol] + np.sqrt(squares) / ROUNDING
        yield Comparison(view.name, view.of(step.gradients), numbers, size)


def _gradient_sizes(network: Network64, step: Captured) -> Doubles:
    """The sizes of the gradient of C, in the layout of the parameters.

    Plain SGD adds the terms of the gradient to the parameters; for other optimizers they are summed
    up first, and the sum is what the update is computed from.
    """
    sizes = np.abs(double(step.gradients))
    if optimizers.is_fused(step.optimizer):
        for view in step.changing():
            if not view.trained:
                continue
            name = network.layers[view.layer].name
            x, dy = double(step.forward[name]["X"]), double(step.backward[name]["dY"])
            found = network.sizes(view.layer, x, dy)[f"d{network.symbol(view)}"]
            view.of(sizes)[...] = found
    return sizes


def _of_updates(network: Network64, step: Captured, g_sizes: Doubles) -> Iterator[Comparison]:
    """What the step does to parameters, moments and counts, from what there was before it."""
    optimizer, fused = step.optimizer, optimizers.is_fused(step.optimizer)
    p, after, parameters = double(step.parameters), double(step.after), views(step.spec)
    same = step.before.kind == optimizer._kind  # else the moments are zeros, and t is 0
    before = [double(moment) for moment in step.before.moments if same]
    zeros = [np.zeros_like(p) for _ in optimizer._moment_names[len(before) :]]
    t = step.before.updates if same else 0
    decays = np.concatenate([np.full(view.end - view.offset, view.decays) for view in parameters])
    it = optimizers.Before(
        p=p,
        g=double(step.gradients),
        g_size=g_sizes,
        moments=[*before, *zeros],
        rate=step.learning_rate,
        t=t + 1,
        decays=decays.astype(np.float64),
    )
    right = optimizers.update(optimizer, it)
    roundings = 2 + (step.data.rows // ROWS_OF_A_PRODUCT if fused else 0)
    rounding = roundings * ROUNDING * np.maximum(np.abs(p), np.abs(after))
    for view in parameters:
        change, size = view.of(right.change), view.of(right.change_size)
        if view.frozen:
            change = size = np.zeros_like(change)  # and no rounding: it is the same to the bit
            view.of(rounding)[...] = 0.0
        elif view.layer == len(network.layers):  # of the loss
            change = size = np.zeros(view.shape)
        elif not view.trained:
            change, size = _following(network, step, view)
        arrays = view.of(after - p), change, size, view.of(rounding)
        yield Comparison(f"{view.name}.after", *arrays)
    yield from _of_moments(step, right, before)
    yield _count("t", step.state.updates, t if fused else t + 1)
    yield _count("steps", step.state.step, step.before.step + 1)


def _following(network: Network64, step: Captured, view: ParameterView) -> tuple[Doubles, Doubles]:
    """How a parameter that is not trained changes in a step, and the size of that."""
    placed = network.layers[view.layer]
    x = double(step.forward[placed.name]["X"])
    return images.follow(placed.layer, x, network.arrays[view.layer])[network.symbol(view)]


def _of_moments(
    step: Captured, right: optimizers.Updated, before: list[Doubles]
) -> Iterator[Comparison]:
    """The moments after a step; those of frozen layers, or of no use, are as before."""
    unused = before[len(right.moments) :]
    moments = [*right.moments, *unused]
    sizes = [*right.moment_sizes, *map(np.abs, unused)]
    names, found = step.optimizer._moment_names, step.state.moments
    yield _count("moments", len(found), len(moments))
    old = [*before, *(np.zeros_like(size) for size in sizes[len(before) :])]
    for name, numbers, *changed, kept in zip(names, found, moments, sizes, old, strict=False):
        for view in views(step.spec):
            others = [kept, np.abs(kept)] if view.frozen else changed
            arrays = (view.of(array) for array in (numbers, *others))
            yield Comparison(f"{view.name}.{name}", *arrays)


def _count(name: str, number: int, right: int) -> Comparison:
    """The comparison of a count, whose error is 1 or more if it is wrong."""
    return Comparison(name, *(np.array([n], np.float64) for n in (number, right, 1)))
