"""What there is to show of a step, in order: equations, arrays, sentences and notes, in blocks.

text.py prints them, and html.py makes a page of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.batches import flat
from pynn._explain.capture import Captured
from pynn._explain.digits import enough_digits
from pynn._explain.equations import equation
from pynn._explain.items import Array, Block, Formula, Item, Note, Sentence
from pynn._explain.values import ParameterUpdate
from pynn._network.class_names import Names
from pynn._network.losses import LossRow
from pynn._network.parameters import ParameterView
from pynn._network.spec import PlacedLayer
from pynn._training.optimizers import OneUpdate

FEW = 8
"""The labels or targets of a batch of at most so many examples are shown."""
MOST_NAMES = 20
"""The most classes whose names are shown."""
LEAST_PICTURE = 8
"""The inputs of the first layer may be pictures if they are the pixels of a square of this side."""


def blocks(step: Captured, row: int | None = None) -> list[Block]:
    """All blocks of a step; with `row` those of one example, without gradients of parameters."""
    show = _Blocks(step, row)
    found = [*map(show.forward, step.spec.placed_layers), show.loss()]
    found += filter(None, map(show.backward, reversed(step.spec.placed_layers)))
    return found if row is not None else [*found, *show.updates()]


def find_largest(array: Floats) -> tuple[int, ...]:
    """The indices of the value that is farthest from 0."""
    return tuple(int(index) for index in np.unravel_index(abs(array).argmax(), array.shape))


def _named(classes: Names) -> str:
    """The numbers and the names of the first classes."""
    some = [f"{i} = {checks.printable(name, 30)!r}" for i, name in enumerate(classes[:MOST_NAMES])]
    more = f", and {len(classes) - MOST_NAMES:,} more" if len(classes) > MOST_NAMES else ""
    return f"classes: {', '.join(some)}{more}"


class _Blocks:
    """The blocks of a step."""

    def __init__(self, step: Captured, row: int | None) -> None:
        self._step = step
        self._row = row
        self._written = row or 0  # the example whose numbers are written out
        side = math.isqrt(step.spec.inputs)
        self._has_pictures = side >= LEAST_PICTURE and side * side == step.spec.inputs

    def _is_sparse(self, placed: PlacedLayer) -> bool:
        """Whether the inputs of a layer were sparse rows."""
        return self._step.is_sparse and placed.number == 1

    def _array(
        self, name: str, values: npt.NDArray[Any], same_as: str = "", pictures: int | None = None
    ) -> Array:
        """An array to show; of one that has a row for each example, the chosen row."""
        is_batch = name in ("X", "Y", "dX", "dY", "P", "dZ", "losses", "label", "t", "w")
        if is_batch and self._row is not None:
            values = values[self._row]
            pictures = None if pictures is None else 0
        return Array(name, values, same_as, pictures)

    # ------------------------------------------------------------ forward

    def forward(self, placed: PlacedLayer) -> Block:
        """X, the parameters, and Y of a layer."""
        values = self._step.forward[placed.name]
        sparse = self._is_sparse(placed)
        items: list[Item] = [*map(equation, placed.layer.forward_marks(sparse=sparse))]
        before = f"Y of {self._step.spec.placed_layers[placed.number - 2].name}"
        for name, array in values.items():
            same_as = before if name == "X" and placed.number > 1 else ""
            items.append(self._array(name, array, same_as, self._axis(placed, name)))
        output = int(abs(values["Y"][self._written]).argmax())
        items += _formula(lambda: placed.layer.written_out(values, self._written, output))
        if placed.frozen:
            items.append(Sentence("frozen: the step leaves the parameters as they are"))
        if self._row is None:
            items += map(Note, placed.layer.remarks(values, sparse=sparse))
            if any(it.layer.is_product for it in self._step.spec.placed_layers[: placed.number]):
                items += map(Note, placed.layer.unit_remarks(values["Y"]))
        return Block("forward", placed.name, items)

    def _axis(self, placed: PlacedLayer, name: str) -> int | None:
        """The axis of an array that goes over the network's inputs, if they may be pixels."""
        before = self._step.spec.layers[: placed.number - 1]
        if len(placed.input_shape) > 1 or not self._has_pictures:
            return None
        if not all(layer.is_view for layer in before):
            return None
        return {"X": 1, "W": 0, "dW": 0}.get(name)

    # ------------------------------------------------------------ loss

    def loss(self) -> Block:
        """The probabilities, the losses, and their gradient with respect to the last outputs."""
        step, loss, row = self._step, self._step.spec.loss, self._loss_row()
        items: list[Item] = []
        if step.probabilities is not None:
            items.append(equation(f"{loss.kind}.P"))
            items.append(self._array("P", step.probabilities))
            output = find_largest(step.probabilities[self._written])[0]
            items += _formula(lambda: loss.probability_written_out(row, output))
        items += [equation(loss.loss_mark()), *map(Sentence, filter(None, [loss.letters()]))]
        if scaled := step.target_scale():
            items += [Array("mean", scaled[0]), Array("scale", scaled[1])]
            items.append(equation(f"{loss.kind}.t"))
        if self._row is not None or step.data.rows <= FEW:
            items.append(self._array("label" if loss.has_classes else "t", step.targets()))
        if step.classes is not None:
            items.append(Sentence(_named(step.classes)))
        if step.data.weights is not None:
            items.append(self._array("w", step.data.weights))
            items.append(Sentence("each loss and its dZ are multiplied by the example's w"))
        items.append(self._array("losses", step.losses))
        if self._row is None:
            items.append(Sentence(f"mean of the losses = {step.sums.mean()[0]:.6g}"))
        items += _formula(lambda: loss.loss_written_out(row))
        items.append(equation(loss.gradient_mark()))
        items.append(self._array("dZ", self._last_gradients()))
        at = find_largest(row.gradients)[0]
        items += _formula(lambda: loss.gradient_written_out(row, at))
        return Block("loss", loss.kind, items)

    def _last_gradients(self) -> Floats:
        return flat(self._step.backward[self._step.spec.placed_layers[-1].name]["dY"])

    def _loss_row(self) -> LossRow:
        step, row = self._step, self._written
        weights, targets = step.data.weights, step.targets()
        return LossRow(
            step.forward[step.spec.placed_layers[-1].name]["Y"][row].reshape(-1),
            None if step.probabilities is None else step.probabilities[row],
            targets[row],
            1.0 if weights is None else float(weights[row]),
            float(step.losses[row]),
            self._last_gradients()[row],
            step.data.rows,
        )

    # ------------------------------------------------------------ backward

    def backward(self, placed: PlacedLayer) -> Block | None:
        """dY, the gradients of the parameters, and dX of a layer; None if it has no gradients."""
        step, values = self._step, self._step.backward[placed.name]
        if not values:
            return None
        chain = step.spec.placed_layers
        is_last = placed.number == len(chain)
        above = "dZ of the loss" if is_last else f"dX of {chain[placed.number].name}"
        items: list[Item] = [self._array("dY", values["dY"], above)]
        for name, mark in placed.layer.gradient_marks(sparse=self._is_sparse(placed)).items():
            if name not in values or (self._row is not None and name != "dX"):
                continue
            items += [equation(mark), self._array(name, values[name], "", self._axis(placed, name))]
            items += self._gradient(placed, name)
        if "dX" not in values:
            items.append(Sentence("dX is not computed: no parameter that is trained needs it"))
        elif self._row is None:
            items += map(Note, placed.layer.gradient_remarks(values))
        return Block("backward", placed.name, items)

    def _gradient(self, placed: PlacedLayer, name: str) -> list[Item]:
        """The largest value of an array of gradients, written out; of dX in the chosen example."""
        forward, backward = self._step.forward[placed.name], self._step.backward[placed.name]
        at = find_largest(backward[name])
        if name == "dX":
            at = self._written, *find_largest(backward[name][self._written])
        return _formula(lambda: placed.layer.gradient_written_out(name, at, forward, backward))

    # ------------------------------------------------------------ update

    def updates(self) -> list[Block]:
        """The rule of the update, and what it does to each parameter."""
        step = self._step
        optimizer, norm = step.optimizer, _norm(step.gradients)
        items: list[Item] = [*map(equation, optimizer._marks())]
        rate, letters = f"{step.learning_rate:.6g}", optimizer._letters(step.state.updates)
        letters = [f"r = {rate} (learning rate)", *letters]
        items.append(Sentence(", ".join(letters)))
        items += map(Note, optimizer._remarks(norm))
        clip, updates = optimizer._clip(norm), step.updates()
        own = [self._update(view, updates[view.name], clip) for view in step.changing()]
        return [Block("update", repr(optimizer), items), *own]

    def _update(self, view: ParameterView, update: ParameterUpdate, clip: float) -> Block:
        """One parameter before and after the step, with the gradient and the moments."""
        if view.layer == len(self._step.spec.layers):
            kept = equation(f"{self._step.spec.loss.kind}.kept")
            of_loss = f"{view.name.partition('.')[2]} of the loss"
            return Block("update", view.name, [kept, Array("after", update.after, of_loss)])
        placed = self._step.spec.placed_layers[view.layer]
        own = view.name.partition(".")[2]
        symbol = placed.layer.symbols.get(own, own)
        same = {"before": f"{symbol} of {placed.name}", "gradient": f"d{symbol} of {placed.name}"}
        if mark := placed.layer.update_mark(own):
            changed = [Array("before", update.before, same["before"]), Array("after", update.after)]
            return Block("update", view.name, [equation(mark), *changed])
        axis = self._axis(placed, symbol)
        items: list[Item] = []
        if self._step.optimizer._is_fused:
            marks = placed.layer.fused_marks(sparse=self._is_sparse(placed))
            items += [equation(marks[own])] if own in marks else []
        items += [Array(name, array, same.get(name, ""), axis) for name, array in update.items()]
        at = find_largest(update.gradient)
        one = self._one(view, update, at, clip)
        lines = enough_digits(lambda: self._step.optimizer._written_out(one))
        where = f"{view.name}[{','.join(map(str, at))}]"
        items += [Sentence(f"p = {where}:"), *map(Formula, lines)]
        return Block("update", view.name, items)

    def _one(
        self, view: ParameterView, update: ParameterUpdate, at: tuple[int, ...], clip: float
    ) -> OneUpdate:
        step = self._step
        count = len(step.state.moments)
        same = step.before.kind == step.state.kind
        old = [float(view.of(array)[at]) for array in step.before.moments] if same else []
        return OneUpdate(
            float(update.before[at]),
            float(update.gradient[at]),
            float(update.after[at]),
            tuple([*old, *[0.0] * count][:count]),
            tuple(float(view.of(array)[at]) for array in step.state.moments),
            update.learning_rate,
            update.t,
            view.decays,
            clip,
        )


def _norm(array: Floats) -> float:
    return float(np.linalg.norm(array.astype(np.float64)))


def _formula(write: Callable[[], str]) -> list[Item]:
    """The sentence "name = formula = result"; nothing if the formula is the result alone."""
    (text,) = enough_digits(lambda: [write()])
    if not text:
        return []
    _, formula, result = text.split(" = ")
    return [Formula(text)] if formula != result else []
