"""Short ways to call the boundary to C."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pynn import _boundary


def train(
    workspace: _boundary.Workspace,
    data: _boundary.Data,
    order: npt.NDArray[np.uint32] | None,
    batch_size: int,
    first: int,
    last: int,
    learning_rate: float,
    parameters: npt.NDArray[np.float32],
    *,
    state: _boundary.State | None = None,
    **options: Any,
) -> _boundary.Sums:
    """Steps of plain SGD, or of what the options say, with the same learning rate."""
    kind = options.pop("kind", "sgd")
    update = _boundary.Update(kind, np.full(last - first, learning_rate), **options)
    state = _boundary.State(0) if state is None else state
    return workspace.train(data, order, batch_size, first, last, update, state, parameters)
