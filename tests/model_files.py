"""A model, its description, and its file written part by part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

import pynn

Tensors = dict[str, npt.NDArray[Any]]
X = np.random.default_rng(8).normal(size=(9, 3)).astype(np.float32)
Y = np.arange(9) % 2
DESCRIPTION = {
    "input": 3,
    "layers": [
        {"kind": "dense", "outputs": 4, "init": "he"},
        {"kind": "relu"},
        {"kind": "dense", "outputs": 5, "init": "xavier"},
        {"kind": "sigmoid"},
        {"kind": "tanh"},
        {"kind": "dense", "outputs": 2, "init": "he"},
    ],
    "loss": "softmax_cross_entropy",
    "seed": 2**64 - 1,
    "epochs_trained": 2,
    "steps_trained": 6,
}


def build() -> pynn.Model:
    """The model of DESCRIPTION, trained for its two epochs."""
    chain = (
        pynn.Builder().input(3).dense(4).relu().dense(5, init="xavier").sigmoid().tanh().dense(2)
    )
    model = chain.softmax_cross_entropy().build(seed=2**64 - 1)
    model.fit(X, Y, epochs=2, batch_size=4)
    return model


def write(
    path: Path, tensors: Tensors | None = None, description: object = DESCRIPTION, **metadata: str
) -> None:
    """Write a model file from its parts: those of build() where nothing else is said."""
    entries = {"format": "pynn", "format_version": "1", "model": json.dumps(description)} | metadata
    save_file(dict(build().parameters) if tensors is None else tensors, path, entries)
