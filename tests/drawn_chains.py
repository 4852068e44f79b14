"""Chains of layers that random calls build: see api_machine.py."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from model_pairs import PairMachine

Step = tuple[str, tuple[Any, ...], dict[str, Any]]
"""The name of a method of the builder, and its arguments."""

SHAPES = [(1, 8, 8), (3, 7, 5), (2, 1, 9), (4, 12, 17)]
OF_ROWS = [
    "dense",
    "relu",
    "sigmoid",
    "tanh",
    "leaky_relu",
    "gelu",
    "silu",
    "elu",
    "softplus",
    "layer_norm",
    "batch_norm",
    "dropout",
]
OF_IMAGES = ["conv2d", "max_pool2d", "avg_pool2d", "global_avg_pool", "batch_norm", "flatten"]

# For each layer: its argument by place, if it needs one, and those by name.
FIRST: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "dense": ("outputs", st.sampled_from([1, 2, 16, 17, 50])),
    "dropout": ("rate", st.sampled_from([0.1, 0.5, 0.9])),
    "conv2d": ("filters", st.sampled_from([1, 2, 4, 6])),
    "max_pool2d": ("size", st.sampled_from([1, 2, 3])),
    "avg_pool2d": ("size", st.sampled_from([1, 2, 3])),
}
POOL = {"stride": st.sampled_from([None, 1, 2]), "padding": st.sampled_from([0, 0, 1])}
OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "dense": {"init": st.sampled_from(["he", "xavier"])},
    "leaky_relu": {"slope": st.sampled_from([0.01, 0.3])},
    "elu": {"alpha": st.sampled_from([0.0, 0.5, 2.0])},
    "layer_norm": {"eps": st.sampled_from([1e-5, 0.1])},
    "batch_norm": {"momentum": st.sampled_from([0.1, 1.0]), "eps": st.sampled_from([1e-5, 0.1])},
    "conv2d": {
        "stride": st.sampled_from([1, 1, 2, 3]),
        "padding": st.sampled_from(["same", "same", "valid", 0, 1, 4]),
        "groups": st.sampled_from([1, 1, 2, 4]),
        "init": st.sampled_from(["he", "xavier"]),
    },
    "max_pool2d": POOL,
    "avg_pool2d": POOL,
    "standardize": {
        "robust": st.booleans(),
        "clip": st.sampled_from([None, 1.0, 3.0]),
        "missing": st.sampled_from(["error", "mean"]),
    },
}


def layer(machine: PairMachine, data: st.DataObject, kind: str) -> Step:
    """A layer of a kind."""
    first: tuple[Any, ...] = ()
    if kind in FIRST:
        name, values = FIRST[kind]
        first = (machine.pick(data, values, name),)
    if kind == "conv2d":
        first += (machine.pick(data, st.sampled_from([1, 2, 3, (3, 2), (1, 4), 5]), "size"),)
    return kind, first, machine.options(data, **OPTIONS[kind]) if kind in OPTIONS else {}


def rows(machine: PairMachine, data: st.DataObject) -> list[Step]:
    """An input of rows and up to four layers."""
    steps: list[Step] = [("input", (machine.pick(data, st.integers(1, 20), "inputs"),), {})]
    if data.draw(st.integers(0, 3), label="standardize") == 0:
        steps.append(layer(machine, data, "standardize"))
    for _ in range(data.draw(st.integers(0, 4), label="layers")):
        steps.append(layer(machine, data, data.draw(st.sampled_from(OF_ROWS), label="layer")))
    return steps


def images(machine: PairMachine, data: st.DataObject) -> list[Step]:
    """An input of images and up to five layers, which may not fit: one of two is of images."""
    shape = machine.pick(data, st.sampled_from(SHAPES), "inputs")
    steps: list[Step] = [("input", (shape,), {})]
    kinds = st.one_of(st.just("conv2d"), st.sampled_from(OF_IMAGES), st.sampled_from(OF_ROWS))
    for _ in range(data.draw(st.integers(1, 5), label="layers")):
        steps.append(layer(machine, data, data.draw(kinds, label="layer")))
    return steps
