"""Mistakes in the options of training, in optimizers and in the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mistakes import TYPE, VALUE, Bench, Mistake, X, Y, fit

import pynn
from pynn._native.threads import set_default_num_threads


def rate(value: Any) -> Callable[[Bench], object]:
    """To make an optimizer."""
    return lambda bench: pynn.SGD(learning_rate=value)


def threads(value: Any) -> Callable[[Bench], object]:
    """To set the number of threads."""
    return lambda bench: pynn.set_num_threads(value)


def from_environment(value: str) -> Callable[[Bench], object]:
    """To import pynn with PYNN_NUM_THREADS set."""

    def does(bench: Bench) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYNN_NUM_THREADS", value)
            set_default_num_threads()

    return does


OPTIONS: dict[str, Mistake] = {
    "epochs 0": Mistake(fit(epochs=0), VALUE, ("epochs must be at least 1, got 0",)),
    "epochs -1": Mistake(fit(epochs=-1), VALUE, ("epochs must be at least 1, got -1",)),
    "epochs 1.0": Mistake(fit(epochs=1.0), TYPE, ("epochs must be an integer, got float 1.0",)),
    "epochs '3'": Mistake(fit(epochs="3"), TYPE, ("epochs must be an integer, got str '3'",)),
    "epochs True": Mistake(fit(epochs=True), TYPE, ("epochs must be an integer, got bool True",)),
    "epochs None": Mistake(fit(epochs=None), TYPE, ("epochs must be an integer, got NoneType",)),
    "epochs as an array": Mistake(
        fit(epochs=np.array([3])),
        TYPE,
        ("epochs must be an integer, got an array of shape (1,) and dtype int64",),
    ),
    "no epochs": Mistake(lambda bench: bench.model.fit(X, Y), (TypeError,), ("'epochs'",)),
    "epochs by position": Mistake(
        lambda bench: bench.model.fit(X, Y, 3), (TypeError,), ("positional",)
    ),
    "an option that there is not": Mistake(fit(shuffled=True), (TypeError,), ("'shuffled'",)),
    "batch_size 0": Mistake(fit(batch_size=0), VALUE, ("batch_size must be at least 1, got 0",)),
    "batch_size -3": Mistake(fit(batch_size=-3), VALUE, ("batch_size must be at least 1, got -3",)),
    "batch_size 2.5": Mistake(
        fit(batch_size=2.5), TYPE, ("batch_size must be an integer, got float 2.5",)
    ),
    "batch_size '3'": Mistake(
        fit(batch_size="3"), TYPE, ("batch_size must be an integer, got str '3'",)
    ),
    "a batch larger than the data": Mistake(
        fit(batch_size=10), VALUE, ("batch_size must be at most the number of examples, 9, got 10",)
    ),
    "a batch beyond all counting": Mistake(
        fit(batch_size=2**62), VALUE, ("batch_size must be at most", f"9, got {2**62}")
    ),
    "a learning rate as optimizer": Mistake(
        fit(optimizer=0.1), TYPE, ("optimizer must be a pynn.SGD", "got float 0.1")
    ),
    "an optimizer by name": Mistake(
        fit(optimizer="sgd"), TYPE, ("got 'sgd': write optimizer=pynn.SGD(), with its arguments",)
    ),
    "the class of an optimizer": Mistake(
        fit(optimizer=pynn.SGD),
        TYPE,
        ("optimizer must be an object, got the class SGD: write optimizer=pynn.SGD(), with its",),
    ),
    "a number as on_epoch": Mistake(
        fit(on_epoch=1), TYPE, ("on_epoch must be callable, got int 1",)
    ),
    "a name as on_progress": Mistake(
        fit(on_progress="print"), TYPE, ("on_progress must be callable, got str 'print'",)
    ),
    "validation without labels": Mistake(
        fit(validation=X),
        TYPE,
        ("validation must be a pair (features, labels)", "got an array of shape (9, 4, 5)"),
    ),
    "validation of three": Mistake(
        fit(validation=(1, 2, 3)),
        TYPE,
        ("validation must be a pair (features, labels)", "got tuple (1, 2, 3)"),
    ),
    "a share of all as validation": Mistake(
        fit(validation=1.0), VALUE, ("greater than 0 and less than 1, got float 1.0",)
    ),
    "a number as validation": Mistake(
        fit(validation=2),
        TYPE,
        ("validation must be a pair (features, labels), or a fraction", "got int 2"),
    ),
    "validation of another width": Mistake(
        fit(validation=(X[:, 1:], Y)),
        VALUE,
        ("validation features must have shape (n, 20)", "got shape (9, 3, 5)"),
    ),
    "validation of another dtype": Mistake(
        fit(validation=(X + 0j, Y)),
        TYPE,
        (
            "validation features must be numbers",
            "got dtype complex128",
            "in features.real",
        ),
    ),
    "validation with other labels": Mistake(
        fit(validation=(X, Y + 1)),
        VALUE,
        ("validation labels must be in [0, 3)", "got 3 at index 2"),
    ),
    "validation on nothing": Mistake(
        fit(validation=(X[:0], Y[:0])),
        VALUE,
        ("validation features must have at least one example", "got (0, 4, 5)"),
    ),
    "validation with a label too few": Mistake(
        fit(validation=(X, Y[1:])),
        VALUE,
        ("validation labels must have shape (9,)", "got (8,)"),
    ),
}

OPTIMIZERS: dict[str, Mistake] = {
    **{
        f"a rate of {value!r}": Mistake(
            rate(value),
            VALUE,
            ("learning_rate must be greater than 0 and finite as a float32", f"got {got}"),
        )
        for value, got in [
            (0, "int 0"),
            (-0.1, "float -0.1"),
            (float("nan"), "float nan"),
            (float("inf"), "float inf"),
            (float("-inf"), "float -inf"),
            (1e39, "float 1e+39"),
            (10**400, "int 1000"),
            (1e-46, "float 1e-46"),  # as a float32 it is 0
        ]
    },
    **{
        f"a rate of {got}": Mistake(rate(value), TYPE, ("learning_rate must be a number", got))
        for value, got in [
            (True, "bool True"),
            ("0.1", "str '0.1'"),
            (None, "NoneType None"),
            (0.1j, "complex 0.1j"),
            (np.array([0.1]), "an array of shape (1,) and dtype float64"),
        ]
    },
    "a rate by position": Mistake(
        lambda bench: pynn.SGD(0.1),  # type: ignore[call-arg]
        (TypeError,),
        ("positional",),
    ),
    "an option that SGD does not have": Mistake(
        lambda bench: pynn.SGD(learning_rate=0.1, beta1=0.9),  # type: ignore[call-arg]
        (TypeError,),
        ("'beta1'",),
    ),
}

THREADS: dict[str, Mistake] = {
    "0 threads": Mistake(threads(0), VALUE, ("threads must be in [1, 1024], got 0",)),
    "-1 threads": Mistake(threads(-1), VALUE, ("threads must be in [1, 1024], got -1",)),
    "1025 threads": Mistake(threads(1025), VALUE, ("threads must be in [1, 1024], got 1025",)),
    "2.0 threads": Mistake(threads(2.0), TYPE, ("threads must be an integer, got float 2.0",)),
    "'2' threads": Mistake(threads("2"), TYPE, ("threads must be an integer, got str '2'",)),
    "no threads": Mistake(threads(None), TYPE, ("threads must be an integer, got NoneType",)),
    **{
        f"PYNN_NUM_THREADS={value}": Mistake(
            from_environment(value),
            VALUE,
            ("PYNN_NUM_THREADS must be a number from 1 to 1024", f"is {value!r}", "unset it"),
        )
        for value in ("0", "-2", "1025", "1.5", "all")
    },
}
