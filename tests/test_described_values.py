"""Values that errors have to describe, and counts that nothing counts to."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pynn
from pynn._base import checks

X = np.random.default_rng(5).normal(size=(9, 3)).astype(np.float32)
Y = np.arange(9) % 2

CHAIN = pynn.Builder().input(3).dense(2).softmax_cross_entropy()


class Broken:
    """An object of somebody's that cannot say what it is."""

    def __repr__(self) -> str:
        raise KeyError("no name")


class Loud:
    """An object whose name a terminal would obey."""

    def __repr__(self) -> str:
        return "\x1b[2J\n"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Broken(), "Broken, whose repr raises KeyError"),
        (Loud(), "Loud \\x1b[2J\\n"),
        (10**5000, "int of very many digits"),
        ("x" * 61, "str 'xxx"),
    ],
    ids=["broken", "loud", "large", "long"],
)
def test_any_value_can_be_described(value: object, words: str) -> None:
    """In words for an error, on one line."""
    described = checks.describe(value)
    assert described.startswith(words)
    assert described.isprintable()
    assert len(described) < 80


@pytest.mark.parametrize(
    "call",
    [
        lambda count: CHAIN.build().fit(X, Y, epochs=count),
        lambda count: CHAIN.build().fit(X, Y, epochs=1, batch_size=count),
        lambda count: CHAIN.build().fit(X, Y, epochs=1, checkpoint=os.devnull, every=count),
        lambda count: CHAIN.build().partial_fit(X, Y, batch_size=count),
        lambda count: pynn.EarlyStopping(patience=count),
        lambda count: pynn.schedules.StepDecay(0.1, every=count),
        lambda count: pynn.Builder().input(3).dense(2, init=count),
    ],
    ids=["epochs", "batch_size", "every", "partial_fit", "patience", "schedule", "init"],
)
def test_count_beyond_all_digits_is_refused(call: Callable[[Any], object]) -> None:
    """Python writes no int of so many digits, into a checkpoint or an error."""
    with pytest.raises(pynn.ArgumentError, match="got int of very many digits"):
        call(10**5000)
