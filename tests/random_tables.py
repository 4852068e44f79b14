"""Networks of tables, drawn from a seed: any columns, any layers behind them, and any loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from random_networks import LOSSES, add_activation

import pynn

Rows = list[dict[str, Any]]
WORDS = ["", "a", "B", "ß", "a b", '"', "\\", "Zürich", "0", "None", "nan"]
UNSEEN = {str: "never seen", int: 999, bool: None}


def random_columns(rng: np.random.Generator) -> pynn.Columns:
    """Up to four numbers and up to four categories, at least one of all."""
    numbers = [f"number {i}" for i in range(rng.integers(0, 5))]
    categories = {f"kind {i}": vocabulary(rng) for i in range(rng.integers(not numbers, 5))}
    embedding = {name: int(rng.integers(1, 6)) for name in categories if rng.random() < 0.5}
    one_hot = [name for name in categories if name not in embedding and rng.random() < 0.5]
    return pynn.Columns(numbers, categories, embedding=embedding, one_hot=one_hot)


def vocabulary(rng: np.random.Generator) -> list[Any]:
    """Words, integers or bools."""
    count = int(rng.integers(1, 9))
    kind = rng.integers(0, 3)
    if kind == 0:
        return [str(word) for word in rng.choice(WORDS[1:], count, replace=False)]
    return [False, True] if kind == 1 else rng.permutation(np.arange(-4, 5))[:count].tolist()


def random_rows(columns: pynn.Columns, count: int, rng: np.random.Generator) -> Rows:
    """Rows for them, with missing values and, of categories, some that are not known."""

    def value(column: Any) -> Any:
        if rng.random() < 0.15:
            return None
        if not column.values:
            return float(rng.normal(50, 20))
        own = column.values[int(rng.integers(len(column.values)))]
        return UNSEEN[type(own)] if rng.random() < 0.1 else own

    return [{column.name: value(column) for column in columns.columns} for _ in range(count)]


def random_table_network(seed: int) -> tuple[pynn.Model, Rows, npt.NDArray[Any]]:
    """A model of a table, some rows, and labels or targets for them."""
    rng = np.random.default_rng(seed)
    columns = random_columns(rng)
    chain: Any = pynn.Builder().input(columns)
    for _ in range(rng.integers(0, 3)):
        chain = add_activation(chain.dense(int(rng.integers(1, 9))), rng)
    chain = chain.dense(int(rng.integers(2, 5)))
    model: pynn.Model = getattr(chain, LOSSES[seed % len(LOSSES)])().build(seed=seed)
    rows = random_rows(columns, int(rng.integers(2, 30)), rng)
    labels: Any = rng.integers(0, model.outputs, len(rows))
    if not model._spec.loss.has_classes:
        labels = rng.uniform(0, 1, (len(rows), model.outputs))
    return model, rows, labels
