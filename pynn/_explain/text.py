"""A step in words and numbers: one block for each product and function."""

from __future__ import annotations

import numpy as np

from pynn._base.arrays import Floats
from pynn._explain.capture import Captured
from pynn._explain.equations import equation
from pynn._network.spec import PlacedLayer

ALL_SHOWN = 8
"""Arrays of at most so many rows and columns are printed in full."""
WIDTH = 100


def numbers(array: Floats) -> str:
    """All numbers of a small array; of a large one its least, mean and largest."""
    if all(size <= ALL_SHOWN for size in array.shape):
        return np.array2string(array, precision=4, suppress_small=False, max_line_width=WIDTH)
    least, mean, largest = float(array.min()), float(array.mean()), float(array.max())
    return f"least {least:.4g}, mean {mean:.4g}, largest {largest:.4g}"


def shown(name: str, array: Floats) -> str:
    """An array: its name, its shape, and its numbers on the same line or below."""
    text = numbers(array)
    shape = " x ".join(map(str, array.shape))
    if "\n" not in text:
        return f"    {name}  {shape}:  {text}"
    return f"    {name}  {shape}:\n" + "\n".join(f"        {line}" for line in text.splitlines())


def computed(mark: str) -> str:
    """The line of an equation: its text, and the line of C that computes it."""
    found = equation(mark)
    return f"    {found.text:<66}  {found.place}"


def text(step: Captured) -> str:
    """All blocks of a step."""
    return "\n\n".join([*_forward(step), *_loss(step), *_backward(step), *_updates(step)])


def text_of_example(step: Captured, index: int) -> str:
    """The blocks that follow one example through the layers and back."""
    alone = step.example(index)
    first = f"example {index} of {step.data.rows}"
    return "\n\n".join([first, *_forward(alone), *_loss(alone), *_backward(alone)])


def _is_sparse(step: Captured, placed: PlacedLayer) -> bool:
    """Whether the inputs of a layer were sparse rows."""
    return step.is_sparse and placed.number == 1


def _forward(step: Captured) -> list[str]:
    blocks = []
    for placed in step.spec.placed_layers:
        values = step.forward[placed.name]
        marks = placed.layer.forward_marks(sparse=_is_sparse(step, placed))
        lines = [f"{placed.name}, forward", *map(computed, marks)]
        lines += [shown(name, array) for name, array in values.items()]
        sentence = placed.layer.written_out(values, 0)
        lines += [f"    first example: {sentence}"] if sentence else []
        lines += [f"    note: {remark}" for remark in placed.layer.remarks(values)]
        blocks.append("\n".join(lines))
    return blocks


def _loss(step: Captured) -> list[str]:
    kind = step.spec.loss.kind
    lines = [f"{kind}, of Z = {step.spec.placed_layers[-1].name}'s Y"]
    if step.probabilities is not None:
        lines += [computed(f"{kind}.P"), shown("P", step.probabilities)]
    lines += [computed(f"{kind}.loss"), shown("losses", step.losses)]
    lines.append(f"    mean of the losses: {step.sums.mean()[0]:.6g}")
    lines.append(computed(f"{kind}.dZ") + "\n    dZ is the dY of the next block")
    return ["\n".join(lines)]


def _backward(step: Captured) -> list[str]:
    blocks = []
    for placed in reversed(step.spec.placed_layers):
        values = step.backward[placed.name]
        if not values:
            continue
        lines = [f"{placed.name}, backward", shown("dY", values["dY"])]
        marks = placed.layer.gradient_marks(sparse=_is_sparse(step, placed))
        for name, mark in marks.items():
            if name in values:
                lines += [computed(mark), shown(name, values[name])]
        if "dX" not in values:
            lines.append("    dX is not computed: no parameter needs it")
        blocks.append("\n".join(lines))
    return blocks


def _updates(step: Captured) -> list[str]:
    blocks = []
    marks = step.optimizer._marks(sparse=step.is_sparse)
    for name, update in step.updates().items():
        lines = [f"{name}, update", *map(computed, marks)]
        counts = f", t = {update.t}" if "v" in update else ""  # t is in Adam's formulas only
        lines.append(f"    r = {update.learning_rate:.6g}{counts}")
        lines += [shown(key, array) for key, array in update.items()]
        before, after = update.before.flat[0], update.after.flat[0]
        gradient = update.gradient.flat[0]
        lines.append(f"    first value: {before:.6g}, gradient {gradient:.6g}, then {after:.6g}")
        blocks.append("\n".join(lines))
    return blocks
