"""A small table with all that makes tables hard, and models of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import pynn

Array = npt.NDArray[Any]
Rows = list[dict[str, Any]]


def table(rows: int = 60, seed: int = 0) -> tuple[dict[str, list[Any]], Array]:
    """Columns by name, with missing values in each, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    fare = rng.lognormal(3, 1, rows)
    port = rng.choice(["S", "C", "Q", "Genève"], rows)
    deck = rng.integers(1, 5, rows)
    alone = rng.random(rows) < 0.5
    labels = ((fare > 20) ^ (port == "S")).astype(np.int64)

    def with_missing(values: Array) -> list[Any]:
        missing = rng.random(rows) < 0.1
        return [None if gone else it for gone, it in zip(missing, values.tolist(), strict=True)]

    columns = {"fare": fare, "port": port, "deck": deck, "alone": alone}
    return {name: with_missing(values) for name, values in columns.items()}, labels


COLUMNS = pynn.Columns(
    numbers=["fare"],
    categories={"port": ["C", "Q", "S", "Genève"], "deck": [1, 2, 3], "alone": [False, True]},
    embedding={"port": 3},
    one_hot=["alone"],
)
"""Deck 4 is in the table and not in the vocabulary."""

UNSEEN: Rows = [
    {"fare": 7.25, "port": "S", "deck": 2, "alone": True},
    {"fare": None, "port": "Zürich", "deck": 77, "alone": None},
    {"fare": float("nan"), "port": None, "deck": None, "alone": False},
    {"fare": "12.5", "port": "", "deck": 4, "alone": np.bool_(True)},
]
"""Rows with missing values and categories that no one has seen."""


def build(columns: pynn.Columns = COLUMNS, seed: int = 3) -> pynn.Model:
    """A small model of the table."""
    chain = pynn.Builder().input(columns).dense(6).tanh().dense(2)
    return chain.softmax_cross_entropy().build(seed=seed)


def trained(columns: pynn.Columns = COLUMNS) -> pynn.Model:
    """The same after a few epochs."""
    frame, labels = table()
    model = build(columns)
    model.fit(frame, labels, epochs=3, batch_size=7, optimizer=pynn.Adam(learning_rate=0.05))
    return model
