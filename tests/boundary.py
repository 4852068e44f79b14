"""Short ways to call the boundary to C."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._native.data import Data
from pynn._native.state import State, Update
from pynn._native.workspace import Sums, Workspace


def train(
    workspace: Workspace,
    data: Data,
    order: npt.NDArray[np.uint32] | None,
    batch_size: int,
    first: int,
    last: int,
    learning_rate: float,
    parameters: npt.NDArray[np.float32],
    *,
    state: State | None = None,
    **options: Any,
) -> Sums:
    """Steps of plain SGD, or of what the options say, with the same learning rate."""
    kind = options.pop("kind", "sgd")
    update = Update(kind, np.full(last - first, learning_rate), **options)
    state = State(0) if state is None else state
    return workspace.train(data, order, batch_size, first, last, update, state, parameters)
