"""What an explained step prints: formulas whose numbers are right, and notes."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from random_networks import random_inputs, random_network
from random_training import X, Y, build

import pynn
from pynn._explain.blocks import Note, Sentence, blocks
from pynn._explain.step import Step
from pynn._network.layers import Layer

FUNCTIONS: dict[str, Any] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "max": max,
    "Phi": lambda x: 0.5 * math.erfc(-x / math.sqrt(2)),
    "phi": lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
}
NUMBER = re.compile(r"(?<![a-zA-Z\d.^])\d+\.?\d*(?:e[-+]\d+)?")


def value_of(formula: str) -> float:
    """The value of a formula, or infinity where its rounded numbers have none."""
    try:
        return float(eval(formula.replace("^", "**"), {"__builtins__": {}}, FUNCTIONS))
    except (ZeroDivisionError, OverflowError, ValueError):
        return math.inf


def check(sentence: str) -> None:
    """Its formula gives its result, as far as numbers of four digits can tell."""
    _, formula, result = sentence.split(" = ")
    value, error = value_of(formula), 1e-3 * abs(float(result)) + 1e-30
    for found in NUMBER.finditer(formula):  # how much the rounding of each number matters
        other = float(found[0]) * (1 + 5e-4)
        moved = value_of(f"{formula[: found.start()]}{other!r}{formula[found.end() :]}")
        error += abs(moved - value)
    assert abs(value - float(result)) <= error, sentence


def sentences(step: Step, row: int | None = None) -> list[str]:
    """All formulas with numbers of a step."""
    items = [item for block in blocks(step._captured, row) for item in block.items]
    texts = [item.text for item in items if isinstance(item, Sentence)]
    return [text for text in texts if text.count(" = ") == 2 and ", t = " not in text]


def notes(step: Step) -> list[str]:
    """All remarks of a step."""
    items = [item for block in blocks(step._captured) for item in block.items]
    return [item.text for item in items if isinstance(item, Note)]


def explained(seed: int) -> Step:
    """A random network's second step with any optimizer, weights and limits."""
    model, rng = random_network(seed, widest=9), np.random.default_rng(seed)
    features, _ = random_inputs(model, 5)
    labels: Any = rng.uniform(0, 1, (5, model.outputs)).astype(np.float32)
    if model._spec.loss.has_classes:
        labels = rng.integers(0, model.outputs, 5)
    optimizer = [
        pynn.SGD(learning_rate=0.3),
        pynn.SGD(weight_decay=0.1, max_gradient_norm=0.01),
        pynn.SGD(momentum=0.9, weight_decay=0.1),
        pynn.SGD(momentum=0.9, nesterov=True, max_gradient_norm=0.01),
        pynn.Adam(weight_decay=0.1),
        pynn.AdamW(weight_decay=0.1, max_gradient_norm=0.01),
    ][seed // 3 % 6]
    model.explain(features, labels, optimizer=optimizer).apply()
    weights = rng.uniform(0.5, 2, 5) if seed % 2 else None
    return model.explain(features, labels, optimizer=optimizer, sample_weight=weights)


@pytest.mark.parametrize("seed", range(36))
def test_formulas_give_their_results(seed: int) -> None:
    """Whatever the layers, the loss, the optimizer and the example: the arithmetic is right."""
    step = explained(seed)
    found = [*sentences(step), *sentences(step, 3)]
    assert len(found) > 8
    for sentence in found:
        check(sentence)


@pytest.mark.parametrize("kind", Layer.kinds)
def test_every_kind_is_written_out(kind: str) -> None:
    """Y and dX of each kind have a formula, at both ends of the scalar functions."""
    chain: Any = pynn.Builder().input(6).dense(4)
    options = {"dense": [4], "dropout": [0.5], "leaky_relu": [0.1]}.get(kind, [])
    chain = getattr(chain, kind)(*options)
    model = chain.dense(3).softmax_cross_entropy(label_smoothing=0.1).build(seed=3)
    step = model.explain(X[:8], Y[:8])
    for sentence in sentences(step):
        check(sentence)
    name = {"dense": "dense2"}.get(kind, f"{kind}1")
    seen = set()
    for row in range(8):
        for block in blocks(step._captured, row):
            if block.title == name:
                texts = [item.text for item in block.items if isinstance(item, Sentence)]
                seen |= {block.part for text in texts if " = " in text}
                for text in texts:
                    check(text)
    assert seen == {"forward", "backward"}


@pytest.mark.parametrize("seed", range(12))
def test_lines_are_not_too_wide(seed: int) -> None:
    """At most 100 characters, and each title once."""
    text = str(explained(seed))
    assert max(map(len, text.splitlines())) <= 100
    titles = [line for line in text.splitlines()[2:] if line and line[0] != " "]
    assert len(set(titles)) == len(titles)


def chain(*, inputs: int = 6) -> Any:
    """The beginning of a chain."""
    return pynn.Builder().input(inputs).dense(4)


def test_a_dead_relu_is_noted() -> None:
    """Units count that no example of the batch makes greater than 0, not those that some do not."""
    model = chain().relu().dense(3).softmax_cross_entropy().build(seed=0)
    step = model.explain(X[:20], Y[:20])
    assert (step.forward["relu1"].Y == 0).any(axis=0).all()
    assert "dead" not in str(step)
    model.parameters["dense1.bias"][1:3] = -100
    assert "note: 2 of 4 units are 0 for every example here" in str(model.explain(X[:20], Y[:20]))


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_a_vanishing_gradient_is_noted(kind: str) -> None:
    """At the flat ends of a function little of the gradient passes."""
    model = getattr(chain(), kind)().dense(3).softmax_cross_entropy().build(seed=0)
    well = notes(model.explain(X[:9], Y[:9]))
    assert not any("vanishes" in note for note in well)
    model.parameters["dense1.bias"][:] = 9
    found = notes(model.explain(X[:9], Y[:9]))
    assert any(note.startswith("the gradient vanishes here: the norm of dX") for note in found)


def test_dropped_values_and_zeros_are_counted() -> None:
    """Dropout, inputs that are 0, and sparse rows say how many there are."""
    model = chain().dropout(0.5).dense(3).softmax_cross_entropy().build(seed=0)
    model.parameters["dense1.bias"][:] = 1
    step = model.explain(X[:50], Y[:50])
    dropped = int((step.forward["dropout1"].Y == 0).sum())
    assert f"{dropped} of the 200 values that are not 0 are dropped" in str(step)
    few = X[:50].copy()
    few[:, 1:] = 0
    assert "note: 83% of X is 0\n" in str(model.explain(few, Y[:50]))
    wide = pynn.Builder().input(784).dense(64).relu().dense(3).softmax_cross_entropy().build(seed=0)
    images = np.zeros((64, 784), np.uint8)
    images[:, :78] = 200
    assert "note: 90% of X is 0: C multiplies the other values only (sparse rows)" in str(
        wide.explain(images, np.zeros(64, int))
    )


def test_clipped_and_fused_updates_are_noted() -> None:
    """A gradient that was too long; plain SGD, which stores none."""
    model = build()
    clipped = notes(model.explain(X, Y, optimizer=pynn.Adam(max_gradient_norm=1e-3)))
    assert any(
        re.match(r"the whole gradient is multiplied by 0\.00\d+: its norm", n) for n in clipped
    )
    whole = notes(model.explain(X, Y, optimizer=pynn.SGD(max_gradient_norm=1e3)))
    assert not any("whole gradient" in note or "fused" in note for note in whole)
    assert notes(model.explain(X, Y, optimizer=pynn.SGD()))[-1].endswith("adds it to W (fused)")


def test_an_example_is_printed() -> None:
    """Its numbers are there, and none of another example, of gradients of weights or of updates."""
    model = chain().relu().dense(3).softmax_cross_entropy().build(seed=0)
    step = model.explain(X[:7], Y[:7])
    text, p, label = str(step.example(5)), step.probabilities, int(Y[5])
    assert p is not None
    assert f"loss = -log({p[5, label]:.4g}) = {step.losses[5]:.4g}" in text
    assert f"    Y  4:  {np.array2string(step.forward['dense1'].Y[5], precision=4)}\n" in text
    assert "update" not in text and "dW" not in text
