"""Examples for pynn's estimators and scikit-learn's own, and how to compare the two."""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn.neural_network

from pynn.sklearn import MLPClassifier, MLPRegressor

KINDS = ("binary", "classes", "labels", "number", "numbers")
ROWS = 240


def data(kind: str, dtype: Any = np.float64) -> tuple[Any, Any]:
    """Examples (240, 6) of which a small network can learn most, with targets of some kind."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(ROWS, 6)).astype(dtype)
    scores = np.tanh(X @ rng.normal(size=(6, 3))) + 0.1 * rng.normal(size=(ROWS, 3))
    y = {
        "binary": np.where(scores[:, 0] > 0, "yes", "no"),
        "classes": np.array(["a", "b", "c"])[scores.argmax(axis=1)],
        "labels": (scores > 0.2).astype(int),
        "number": scores[:, 0],
        "numbers": scores,
    }
    return X, y[kind]


def pair(kind: str, **parameters: Any) -> tuple[Any, Any]:
    """Ours and scikit-learn's own with the same parameters, in the order of the examples."""
    name = "MLPRegressor" if kind.startswith("number") else "MLPClassifier"
    given = {
        "hidden_layer_sizes": (9, 5),
        "activation": "tanh",  # without a kink, at which roundings part ways
        "batch_size": 40,
        "max_iter": 8,
        "learning_rate_init": 0.01,
        "shuffle": False,
        "tol": 0.0,
        "random_state": 3,
        **parameters,
    }
    theirs = getattr(sklearn.neural_network, name)(**given)
    return (MLPClassifier if name == "MLPClassifier" else MLPRegressor)(**given), theirs
