"""Compare pynn with scikit-learn on small tables: L-BFGS, and from raw columns to a test score.

    python benchmarks/tables.py              # both tables
    python benchmarks/tables.py --only lbfgs # one of them: lbfgs, pipelines

lbfgs: MLPClassifier and MLPRegressor of both libraries with solver="lbfgs", the same parameters and
the same first weights. The two search along other ways, so what is compared is the time to the same
loss: the larger one of their two last losses.

pipelines: from a table with columns of any scale to a test score. scikit-learn has a StandardScaler
before its MLP; pynn has `.standardize()` in the model. Targets of a regression are scaled, too.
Both have the same network, Adam, batches and epochs. Each turn has other first weights and another
split, and scores are given with their standard deviation.

Both libraries use --threads threads. They take turns in one process; times are medians, and ratios
medians of the ratios of the turns. Needs the extra "benchmarks".
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # python -P and -I leave it out

import numpy as np
import sklearn.neural_network
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from threadpoolctl import threadpool_limits

import pynn
import pynn.sklearn

HIDDEN, EPOCHS = 100, 200  # scikit-learn's defaults
Fit = Callable[[], Any]


class Table(NamedTuple):
    """A data set: its features as a frame if there is one, and labels or targets."""

    features: Any
    targets: Any
    is_regression: bool


def load(name: str) -> Table:
    """A table of scikit-learn's, with raw columns."""
    if name == "friedman1":
        x, y = datasets.make_friedman1(20_000, noise=1.0, random_state=0)
        return Table(x, y, True)
    found = getattr(datasets, f"load_{name}")(as_frame=True, **RAW.get(name, {}))
    return Table(found.data, found.target, name == "diabetes")


RAW: dict[str, dict[str, Any]] = {"diabetes": {"scaled": False}}
OF_LBFGS = ("digits", "breast_cancer", "diabetes")
OF_PIPELINES = ("wine", "breast_cancer", "digits", "diabetes", "friedman1")


def seconds_of(fit: Fit) -> tuple[float, Any]:
    """How long a call takes, and what it gives."""
    began = time.perf_counter()
    found = fit()
    return time.perf_counter() - began, found


# ------------------------------------------------------------ L-BFGS


def time_to(losses: list[float], seconds: float, loss: float) -> float:
    """The time until a loss is reached, of a run with these losses that took so long."""
    reached = next(index for index, value in enumerate(losses, 1) if value <= loss * (1 + 1e-6))
    return seconds * reached / len(losses)


def lbfgs_turn(name: str, seed: int) -> dict[str, float]:
    """Seconds to the same loss, and the last losses and epochs, with one seed."""
    table = load(name)
    x, y = scale(table.features.to_numpy()), table.targets.to_numpy()
    if table.is_regression:
        y = scale(y)
    kind = "MLPRegressor" if table.is_regression else "MLPClassifier"
    given = {"solver": "lbfgs", "random_state": seed, "max_iter": EPOCHS}
    theirs = getattr(sklearn.neural_network, kind)(**given)
    ours = getattr(pynn.sklearn, kind)(**given)
    pairs = [(theirs, "theirs"), (ours, "ours")]
    took = {}
    for estimator, side in pairs if seed % 2 else pairs[::-1]:
        took[side], _ = seconds_of(lambda estimator=estimator: estimator.fit(x, y))
    goal = max(ours.loss_, theirs.loss_)
    if theirs.loss_ < goal:  # scikit-learn keeps no curve: run it again to each number of epochs
        took["theirs"] *= _epochs_to(theirs, x, y, goal) / theirs.n_iter_
    return {
        "theirs": took["theirs"],
        "ours": time_to(ours.loss_curve_, took["ours"], goal),
        "their loss": theirs.loss_,
        "our loss": ours.loss_,
        "their epochs": theirs.n_iter_,
        "our epochs": ours.n_iter_,
    }


def _epochs_to(estimator: Any, x: Any, y: Any, goal: float) -> int:
    """The fewest epochs after which scikit-learn's loss is not above the goal, by bisection."""
    low, high = 0, estimator.n_iter_
    while high - low > 1:
        middle = (low + high) // 2
        again = type(estimator)(**estimator.get_params() | {"max_iter": middle}).fit(x, y)
        low, high = (low, middle) if again.loss_ <= goal else (middle, high)
    return int(high)


def compare_lbfgs(rounds: int) -> None:
    """Print the table of L-BFGS."""
    heads = "table", "pynn, ms", "scikit-learn, ms", "times as fast: median (range)"
    print_row(*heads, "last loss: pynn", "scikit-learn", "epochs: pynn", "scikit-learn")
    print_row(*["---"] * 8)
    for name in OF_LBFGS:
        turns = [lbfgs_turn(name, seed) for seed in range(rounds)]
        ratios = [turn["theirs"] / turn["ours"] for turn in turns]
        ours, theirs = (median_of(turns, side) * 1e3 for side in ("ours", "theirs"))
        rest = [f"{median_of(turns, f'{side} loss'):.2g}" for side in ("our", "their")]
        rest += [f"{median_of(turns, f'{side} epochs'):g}" for side in ("our", "their")]
        print_row(name, f"{ours:.1f}", f"{theirs:.1f}", spread(ratios), *rest)


# ------------------------------------------------------------ pipelines


def their_pipeline(table: Table, seed: int) -> Any:
    """scikit-learn's MLP with its default parameters, behind a StandardScaler."""
    given = {"random_state": seed, "max_iter": EPOCHS, "n_iter_no_change": EPOCHS}
    if not table.is_regression:
        network = sklearn.neural_network.MLPClassifier(**given)
        return make_pipeline(StandardScaler(), network)
    network = sklearn.neural_network.MLPRegressor(**given)
    return scaled_targets(make_pipeline(StandardScaler(), network))


def scaled_targets(regressor: Any) -> TransformedTargetRegressor:
    """A regressor whose targets have mean 0 and standard deviation 1 while it is trained."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


class Ours(BaseEstimator):
    """The same network with the scaling in the model, trained as scikit-learn does by default."""

    def __init__(self, is_regression: bool, seed: int) -> None:
        self.is_regression = is_regression
        self.seed = seed

    def fit(self, x: Any, y: Any) -> Ours:
        """Train by Adam, in batches of 200, with scikit-learn's L2 penalty."""
        chain = pynn.Builder().input(x.shape[1]).standardize().dense(HIDDEN, init="xavier").relu()
        if self.is_regression:
            finished = chain.dense(1, init="xavier").mean_squared_error()
        else:
            classes = len(np.unique(y))
            finished = chain.dense(classes, init="xavier").softmax_cross_entropy()
        size = min(200, len(x))
        optimizer = pynn.Adam(learning_rate=0.001, weight_decay=1e-4 / size)
        self.model_ = finished.build(seed=self.seed)
        self.model_.fit(x, y, epochs=EPOCHS, batch_size=size, optimizer=optimizer)
        return self

    def predict(self, x: Any) -> Any:
        """Predict classes or numbers."""
        return self.model_.predict(x)


def our_pipeline(table: Table, seed: int) -> Any:
    """pynn's model, behind nothing."""
    ours = Ours(table.is_regression, seed)
    return scaled_targets(ours) if table.is_regression else ours


def pipeline_turn(table: Table, seed: int) -> dict[str, float]:
    """Seconds of both, and their scores, with one seed and split."""
    split = train_test_split(table.features, table.targets, test_size=0.25, random_state=seed)
    x, x_test, y, y_test = split
    score = r2_score if table.is_regression else accuracy_score
    found: dict[str, float] = {}
    sides: list[tuple[str, Fit]] = [
        ("theirs", lambda: their_pipeline(table, seed).fit(x, y)),
        ("ours", lambda: our_pipeline(table, seed).fit(x, y)),
    ]
    for side, fit in sides if seed % 2 else sides[::-1]:
        found[side], model = seconds_of(fit)
        found[f"{side}, score"] = score(y_test, model.predict(x_test))
    return found


def compare_pipelines(rounds: int) -> None:
    """Print the table of pipelines."""
    heads = "table", "pynn, ms", "scikit-learn, ms", "times as fast: median (range)"
    print_row(*heads, "test score: pynn", "scikit-learn")
    print_row(*["---"] * 6)
    for name in OF_PIPELINES:
        table = load(name)
        turns = [pipeline_turn(table, seed) for seed in range(rounds)]
        ratios = [turn["theirs"] / turn["ours"] for turn in turns]
        ours, theirs = (median_of(turns, side) * 1e3 for side in ("ours", "theirs"))
        scores = [
            f"{np.mean(values):.4f} ± {np.std(values):.4f}"
            for side in ("ours", "theirs")
            for values in [[turn[f"{side}, score"] for turn in turns]]
        ]
        print_row(name, f"{ours:.1f}", f"{theirs:.1f}", spread(ratios), *scores)


# ------------------------------------------------------------ figures


def print_row(*cells: str) -> None:
    """Print a row of a table in Markdown."""
    print("|", " | ".join(cells), "|", flush=True)


def median_of(turns: list[dict[str, float]], name: str) -> float:
    """The median of a figure over the turns."""
    return statistics.median(turn[name] for turn in turns)


def spread(values: list[float]) -> str:
    """The median and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} - {max(values):.2f})"


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12, help="seeds, a turn each (default: 12)")
    parser.add_argument("--threads", type=int, default=1, help="of both (default: 1)")
    parser.add_argument("--only", choices=["lbfgs", "pipelines"])
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    pynn.set_num_threads(given.threads)
    with threadpool_limits(given.threads):
        if given.only != "pipelines":
            compare_lbfgs(given.rounds)
        if given.only != "lbfgs":
            print()
            compare_pipelines(given.rounds)


if __name__ == "__main__":
    main()
