"""Random calls of pynn.sklearn's estimators, as api_machine.py makes random calls of models."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from model_pairs import JUNK, bits
from sklearn.base import clone

import pynn
from pynn.sklearn import MLPClassifier, MLPRegressor

PARAMETERS: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(), 3, (16,), (5, 4)],
    "activation": ["identity", "logistic", "tanh", "relu", "leaky_relu", "gelu"],
    "solver": ["sgd", "adam", "lbfgs"],
    "alpha": [0.0, 1e-4, 0.5],
    "batch_size": ["auto", 1, 7, 200],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "learning_rate_init": [1e-3, 0.1, 30.0],
    "power_t": [0.0, 0.5],
    "shuffle": [True, False],
    "tol": [0.0, 1e-4, 1.0],
    "warm_start": [True, False],
    "momentum": [0.0, 0.9],
    "nesterovs_momentum": [True, False],
    "early_stopping": [True, False],
    "validation_fraction": [0.1, 0.5],
    "beta_1": [0.0, 0.9],
    "beta_2": [0.0, 0.999],
    "epsilon": [1e-8, 1e-3],
    "n_iter_no_change": [1, 10, float("inf")],
    "dropout": [0.0, 0.3],
}


class EstimatorMachine(RuleBasedStateMachine):
    """An estimator and its twin, on different numbers of threads."""

    @initialize(is_classifier=st.booleans(), threads=st.integers(2, 3))
    def begin(self, is_classifier: bool, threads: int) -> None:
        """Make them."""
        self.before, self.threads = pynn.get_num_threads(), threads
        kind = MLPClassifier if is_classifier else MLPRegressor
        self.is_classifier = is_classifier
        self.twins: list[Any] = [kind(max_iter=3, random_state=0) for _ in range(2)]

    def teardown(self) -> None:
        """Leave the threads as they were."""
        if hasattr(self, "before"):
            pynn.set_num_threads(self.before)

    def twice(self, call: Callable[[Any], Any]) -> list[Any]:
        """Make a call on both; the results must be the same, or the same documented error."""
        values, results = [], []
        for estimator, threads in zip(self.twins, (1, self.threads), strict=True):
            pynn.set_num_threads(threads)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # those of scikit-learn
                    value = call(estimator)
                result = bits(value)
            except (ValueError, TypeError, AttributeError, pynn.PynnError) as error:
                value, result = None, (type(error), str(error))
            values.append(value)
            results.append(result)
        note(f"    {str(results[0])[:200]}")
        assert results[0] == results[1], f"twins differ: {results}"
        return values

    @rule(data=st.data(), name=st.sampled_from(sorted(PARAMETERS)))
    def set_parameter(self, data: st.DataObject, name: str) -> None:
        """A parameter, which `fit` looks at; one in eight times it is junk."""
        is_junk = data.draw(st.integers(0, 7), label="is junk if 7") == 7
        value = data.draw(st.sampled_from(JUNK if is_junk else PARAMETERS[name]), label=name)
        self.twice(lambda estimator: estimator.set_params(**{name: value}) and None)

    @rule(data=st.data(), name=st.sampled_from(["fit", "partial_fit"]))
    def train(self, data: st.DataObject, name: str) -> None:
        """Train, in full or once, on examples of some kind."""
        X, y = self.examples(data)
        self.twice(lambda estimator: getattr(estimator, name)(X, y) and None)

    @rule(data=st.data())
    def score(self, data: st.DataObject) -> None:
        """Score; what scikit-learn squares for it may be large."""
        X, y = self.examples(data)
        with np.errstate(over="ignore"):
            self.twice(lambda estimator: estimator.score(X, y))

    @rule(data=st.data(), name=st.sampled_from(["predict", "predict_proba", "predict_log_proba"]))
    def predict(self, data: st.DataObject, name: str) -> None:
        """Predict classes, targets or probabilities."""
        X, _ = self.examples(data)
        self.twice(lambda estimator: getattr(estimator, name)(X))

    @rule(
        way=st.sampled_from(
            [clone, copy.deepcopy, copy.copy, lambda e: pickle.loads(pickle.dumps(e))]
        )
    )
    def copy(self, way: Callable[[Any], Any]) -> None:
        """Go on with copies."""
        copies = self.twice(lambda estimator: (way(estimator),))
        if copies[0] is not None:
            self.twins = [one for (one,) in copies]

    @rule(name=st.sampled_from(["coefs_", "intercepts_", "loss_curve_", "n_iter_", "classes_"]))
    def look(self, name: str) -> None:
        """An attribute that is there after `fit`."""

        def look(estimator: Any) -> Any:
            value = getattr(estimator, name)
            return tuple(value) if isinstance(value, list) else value

        self.twice(look)

    def examples(self, data: st.DataObject) -> tuple[Any, Any]:
        """Examples, of some form and with some number of features."""
        rows = data.draw(st.sampled_from([1, 2, 10, 60]), label="rows")
        width = data.draw(st.sampled_from([4, 4, 4, 5]), label="width")
        X: Any = np.random.default_rng(rows).normal(size=(rows, width))
        y: Any = np.arange(rows) % 3 if self.is_classifier else X[:, 0] * 2
        forms: list[Callable[[Any, Any], Any]] = [
            lambda X, y: (X, y),
            lambda X, y: (X.astype(np.float32), y),
            lambda X, y: (X.tolist(), y.tolist()),
            lambda X, y: (X, np.array(["a", "b", "c"])[y] if self.is_classifier else y[:, None]),
            lambda X, y: (X, np.stack([y > 0, y > 1], axis=1).astype(int)),
            lambda X, y: (np.abs(X) * np.inf, y),
            lambda X, y: (X, y[1:]),
            lambda X, y: (X[0], y),
            lambda X, y: (X, None),
            lambda X, y: (X.astype(str), y),
            lambda X, y: (np.abs(X) * 1e300, y),
        ]
        return data.draw(st.sampled_from(forms), label="form")(X, y)
