"""Mistakes in chains of layers and in what is asked of a model."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from mistakes import TYPE, VALUE, Mistake, X, Y, fit

import pynn

CHAIN = (pynn.ChainError, AttributeError)
CLOSED = (pynn.ClosedError, RuntimeError)
MEMORY = (pynn.OutOfMemoryError, MemoryError)

START: Any = pynn.Builder()  # Any, as a type checker would stop what is done here
INPUT = START.input(20)
LAYERS = INPUT.dense(17).relu().dense(3)
FINISHED = LAYERS.softmax_cross_entropy()
WIDEST = 2**31 - 1

CHAINS: dict[str, Mistake] = {
    "a layer before the input": Mistake(
        lambda bench: START.dense(3),
        CHAIN,
        (".dense() cannot come after Builder(); what may come next: .input()",),
    ),
    "a second input": Mistake(
        lambda bench: INPUT.input(20),
        CHAIN,
        (
            ".input() cannot come after Builder().input(20)",
            "what may come next: .standardize(), .dense(), .flatten(), .relu()",
        ),
    ),
    "build without a loss": Mistake(
        lambda bench: LAYERS.build(),
        CHAIN,
        (".build() cannot come after Builder().input(20).dense(", ".softmax_cross_entropy()"),
    ),
    "a layer after the loss": Mistake(
        lambda bench: FINISHED.relu(),
        CHAIN,
        (".relu() cannot come after", "what may come next: .build()"),
    ),
    "a loss without a layer": Mistake(
        lambda bench: INPUT.softmax_cross_entropy(),
        CHAIN,
        ("at least one dense or conv2d layer; add .dense(...) before the loss",),
    ),
    "a chain that is fitted": Mistake(
        lambda bench: FINISHED.fit(X, Y, epochs=1),
        CHAIN,
        (
            ".fit belongs to a model, and Builder().input(20)",
            "is a chain",
            ".build() makes the model",
        ),
    ),
    "a chain without a loss that predicts": Mistake(
        lambda bench: LAYERS.predict(X),
        CHAIN,
        (".predict belongs to a model", "is a chain", ".build() makes the model"),
    ),
    "a misspelt step": Mistake(
        lambda bench: INPUT.rleu(), CHAIN, ("'LayerBuilder'", "'rleu': did you mean .relu()?")
    ),
    "an activation without its parentheses": Mistake(
        lambda bench: INPUT.relu.dense(3), (AttributeError,), ("'dense'",)
    ),
    "an input of 0": Mistake(
        lambda bench: START.input(0), VALUE, ("input must be in [1, 2147483647], got 0",)
    ),
    "a height and a width as input": Mistake(
        lambda bench: START.input((28, 28)),
        VALUE,
        (
            "input must be a number of values, or (channels, height, width), got (28, 28)",
            "grey images are (1, 28, 28)",
        ),
    ),
    "no input": Mistake(lambda bench: START.input(), TYPE, ("input() needs 'features'",)),
    "a width of 0": Mistake(
        lambda bench: LAYERS.dense(0), VALUE, ("layer 4: dense must be in [1, 2147483647], got 0",)
    ),
    "a width of -1": Mistake(
        lambda bench: INPUT.dense(-1), VALUE, ("layer 1: dense must be in [1, 2147483647], got -1",)
    ),
    "a width that BLAS cannot count": Mistake(
        lambda bench: INPUT.dense(2**31), VALUE, ("layer 1: dense must be in", "got 2147483648")
    ),
    "a width of 2.5": Mistake(
        lambda bench: INPUT.dense(2.5), TYPE, ("layer 1: dense must be an integer, got float 2.5",)
    ),
    "widths of several layers": Mistake(
        lambda bench: INPUT.dense((256, 64)),
        TYPE,
        ("layer 1: dense must be an integer, got tuple (256, 64)",),
    ),
    "an unknown init": Mistake(
        lambda bench: LAYERS.dense(3, init="normal"),
        VALUE,
        ("layer 4: dense: init must be 'he' or 'xavier', got 'normal'",),
    ),
    "an init by position": Mistake(
        lambda bench: INPUT.dense(3, "he"),
        TYPE,
        ("dense() takes 1 positional argument, got 2; give the others by name: init=",),
    ),
    "an array as init": Mistake(
        lambda bench: INPUT.dense(3, init=np.zeros((20, 3))),
        VALUE,
        ("layer 1: dense: init must be 'he' or 'xavier', got an array of shape (20, 3)",),
    ),
    "an activation as an option": Mistake(
        lambda bench: INPUT.dense(3, activation="relu"),
        TYPE,
        ("dense() has no argument 'activation': it is a layer of its own: .dense(64).relu()",),
    ),
    "a seed below 0": Mistake(
        lambda bench: FINISHED.build(seed=-1),
        VALUE,
        ("seed must be in [0, 18446744073709551615], got -1",),
    ),
    "a seed of 65 bits": Mistake(
        lambda bench: FINISHED.build(seed=2**64),
        VALUE,
        ("seed must be", "got 18446744073709551616"),
    ),
    "no seed": Mistake(
        lambda bench: FINISHED.build(seed=None),
        TYPE,
        ("seed must be an integer, got NoneType None",),
    ),
    "a layer that no memory holds": Mistake(
        lambda bench: START.input(WIDEST).dense(WIDEST).softmax_cross_entropy().build(),
        MEMORY,
        ("out of memory for 4,611,686,016,279,904,256 parameters",),
    ),
    "layers that cannot be counted": Mistake(
        lambda bench: INPUT.dense(WIDEST).relu().dense(WIDEST).softmax_cross_entropy().build(),
        VALUE,
        (
            "layer 3: dense: the network has 4,611,686,061,377,060,843 parameters up to this layer",
            "must have at most",
        ),
    ),
}

MODELS: dict[str, Mistake] = {
    **{
        f"{name} after close": Mistake(use, CLOSED, ("the model is closed", "build it or load it"))
        for name, use in {
            "call": lambda bench: bench.closed()(X),
            "predict": lambda bench: bench.closed().predict(X),
            "predict_proba": lambda bench: bench.closed().predict_proba(X),
            "evaluate": lambda bench: bench.closed().evaluate(X, Y),
            "fit": lambda bench: bench.closed().fit(X, Y, epochs=1),
            "save": lambda bench: bench.closed().save(bench.folder / "model"),
            "parameters": lambda bench: bench.closed().parameters,
            "pickle": lambda bench: pickle.dumps(bench.closed()),
            "with": lambda bench: bench.closed().__enter__(),
        }.items()
    },
    "fit in its own callback": Mistake(
        lambda bench: bench.fit(on_epoch=lambda _: bench.fit()),
        (pynn.PynnError,),
        ("fit was called from a callback of the same model's fit",),
    ),
    "a callback that takes nothing": Mistake(
        fit(on_epoch=lambda: None), (TypeError,), ("argument",)
    ),
    "a parameter that is set instead of written into": Mistake(
        lambda bench: bench.model.parameters.__setitem__("dense1.bias", np.ones(17)),
        (TypeError,),
        ("parameters cannot be replaced", "write into it: parameters['dense1.bias'][...] ="),
    ),
    "a parameter that there is not": Mistake(
        lambda bench: bench.model.parameters["dense3.bias"], (KeyError,), ("dense3.bias",)
    ),
}
