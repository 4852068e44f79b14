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


def title(what: str, mark: str) -> str:
    """The first line of a block: what it is, its equation, and the line of C."""
    found = equation(mark)
    left = f"{what}    {found.text}"
    return f"{left:<72}  {found.place}"


def text(step: Captured) -> str:
    """All blocks of a step."""
    return "\n\n".join([*_forward(step), *_loss(step), *_backward(step), *_updates(step)])


def _is_sparse(step: Captured, placed: PlacedLayer) -> bool:
    """Whether the inputs of a layer were sparse rows."""
    return step.is_sparse and placed.number == 1


def _forward(step: Captured) -> list[str]:
    blocks = []
    for placed in step.spec.placed_layers:
        values = step.forward[placed.name]
        marks = placed.layer.forward_marks(sparse=_is_sparse(step, placed))
        lines = [title(f"{placed.name} forward", mark) for mark in marks]
        lines += [shown(name, array) for name, array in values.items()]
        sentence = placed.layer.written_out(values, 0)
        lines += [f"    {sentence}"] if sentence else []
        lines += [f"    note: {remark}" for remark in placed.layer.remarks(values)]
        blocks.append("\n".join(lines))
    return blocks


def _loss(step: Captured) -> list[str]:
    loss, names = step.spec.loss, ["loss", "dZ"]
    lines = []
    if step.probabilities is not None:
        lines += [title(loss.kind, f"{loss.kind}.P"), shown("P", step.probabilities)]
    lines.append(title(loss.kind, f"{loss.kind}.{names[0]}"))
    lines.append(shown("losses", step.losses))
    lines.append(f"    mean of the losses: {step.sums.mean()[0]:.6g}")
    last = step.spec.placed_layers[-1].name
    lines.append(title(loss.kind, f"{loss.kind}.{names[1]}"))
    lines.append(shown("dZ", step.backward[last]["dY"]))
    return ["\n".join(lines)]


def _backward(step: Captured) -> list[str]:
    blocks = []
    for placed in reversed(step.spec.placed_layers):
        values = step.backward[placed.name]
        if not values:
            continue
        lines = [f"{placed.name} backward", shown("dY", values["dY"])]
        marks = placed.layer.gradient_marks(sparse=_is_sparse(step, placed))
        for name, mark in marks.items():
            if name in values:
                lines += [title(f"{placed.name} backward", mark), shown(name, values[name])]
        if "dX" not in values:
            lines.append("    dX is not computed: no parameter needs it")
        blocks.append("\n".join(lines))
    return blocks


def _updates(step: Captured) -> list[str]:
    blocks = []
    marks = step.optimizer._marks(sparse=step.is_sparse)
    for name, update in step.updates().items():
        lines = [title(f"{name} update", mark) for mark in marks]
        counts = f", t = {update.t}" if "v" in update else ""  # t is in Adam's formulas only
        lines.append(f"    r = {update.learning_rate:.6g}{counts}")
        lines += [shown(key, array) for key, array in update.items()]
        before, after = update.before.flat[0], update.after.flat[0]
        gradient = update.gradient.flat[0]
        lines.append(f"    first value: {before:.6g}, gradient {gradient:.6g}, then {after:.6g}")
        blocks.append("\n".join(lines))
    return blocks
