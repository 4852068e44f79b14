"""Short ways to call the boundary to C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._native.data import Data
from pynn._native.network import Network
from pynn._native.state import State, Update
from pynn._native.workspace import Sums, Workspace
from pynn._network.layers import Layer, kind_named
from pynn._network.losses import Loss
from pynn._network.spec import Spec


def make_network(
    inputs: int,
    layers: Sequence[int | str],
    loss: str = "softmax_cross_entropy",
    **options: Any,
) -> Network:
    """A network of layers: a number is a dense layer's outputs, a word a kind; with options."""
    chain: list[Layer] = []
    for layer in layers:
        kind = kind_named("dense" if isinstance(layer, int) else layer)
        chain.append(kind.from_dict({"outputs": layer, "init": "he", **options}))
    ending = Loss.kinds[loss]
    own = {name: options[name] for name in ending.options if name in options}
    return Network(Spec((inputs,), tuple(chain), ending(**own)))


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
    shared = {name: options.pop(name) for name in ("weight_decay", "max_norm") if name in options}
    update = Update(kind, np.full(last - first, learning_rate), options=options, **shared)
    state = State(0) if state is None else state
    return workspace.train(data, order, batch_size, first, last, update, state, parameters)
