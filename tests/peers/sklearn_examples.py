"""The calls of scikit-learn's example programs with MLPs, with pynn's estimators in their place.

    python tests/peers/sklearn_examples.py                # the calls, on data that need no network
    python tests/peers/sklearn_examples.py EXAMPLE.py ... # such programs themselves, unchanged

The examples are not part of an installed scikit-learn. So each function here makes the calls of one
of them, with its parameters, on scikit-learn's own estimators, too, and compares the scores. With
file names, these programs run as they are, and only what `sklearn.neural_network` gives is another;
those that download data need a network. The program is 1 if the mean of an example's scores is
worse by more than 0.03, or if a program raises an exception.
"""

from __future__ import annotations

import runpy
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # before anything else chooses how to draw

import matplotlib.pyplot as plt
import numpy as np
import sklearn.neural_network
from sklearn import datasets
from sklearn.inspection import DecisionBoundaryDisplay, PartialDependenceDisplay
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

import pynn.sklearn

WORST = 0.03
"""How much worse a mean score may be."""

Scores = Iterator[tuple[str, float]]


def shapes() -> list[tuple[str, tuple[Any, Any]]]:
    """Three small tables with two features."""
    x, y = datasets.make_classification(
        n_features=2, n_redundant=0, random_state=0, n_clusters_per_class=1
    )
    x += 2 * np.random.RandomState(2).uniform(size=x.shape)
    return [
        ("moons", datasets.make_moons(noise=0.3, random_state=0)),
        ("circles", datasets.make_circles(noise=0.2, factor=0.5, random_state=1)),
        ("separable", (x, y)),
    ]


def plot_mlp_alpha(library: Any) -> Scores:
    """L-BFGS with five penalties, and the probabilities over a grid of places."""
    for name, (x, y) in shapes():
        train, test, y_train, y_test = train_test_split(x, y, test_size=0.4, random_state=42)
        for alpha in np.logspace(-1, 1, 5):
            network = library.MLPClassifier(
                solver="lbfgs",
                alpha=alpha,
                random_state=1,
                max_iter=2000,
                early_stopping=True,
                hidden_layer_sizes=[10, 10],
            )
            classifier = make_pipeline(StandardScaler(), network).fit(train, y_train)
            axes = np.meshgrid(np.arange(-3, 3, 0.2), np.arange(-3, 3, 0.2))
            places = np.column_stack([axis.ravel() for axis in axes])
            heights = classifier.predict_proba(places)[:, 1].reshape(axes[0].shape)
            plt.contourf(*axes, heights)
            plt.close()
            yield f"{name}, alpha={alpha:.2f}", classifier.score(test, y_test)


STRATEGIES: list[dict[str, Any]] = [
    {"learning_rate": "constant", "momentum": 0},
    {"learning_rate": "constant", "momentum": 0.9, "nesterovs_momentum": False},
    {"learning_rate": "constant", "momentum": 0.9, "nesterovs_momentum": True},
    {"learning_rate": "invscaling", "momentum": 0},
    {"learning_rate": "invscaling", "momentum": 0.9, "nesterovs_momentum": False},
    {"learning_rate": "invscaling", "momentum": 0.9, "nesterovs_momentum": True},
]


def plot_mlp_training_curves(library: Any) -> Scores:
    """SGD with six strategies, and Adam; the curves of their losses."""
    given = [{"solver": "sgd", "learning_rate_init": 0.2, **each} for each in STRATEGIES]
    given.append({"solver": "adam", "learning_rate_init": 0.01})
    tables = [
        ("iris", datasets.load_iris(return_X_y=True)),
        ("digits", datasets.load_digits(return_X_y=True)),
        *shapes()[:2],
    ]
    for name, (x, y) in tables:
        x = MinMaxScaler().fit_transform(x)
        for number, parameters in enumerate(given):
            epochs = 15 if name == "digits" else 400
            network = library.MLPClassifier(random_state=0, max_iter=epochs, **parameters)
            network.fit(x, y)
            assert network.loss_curve_[-1] == network.loss_
            plt.plot(network.loss_curve_)
            yield f"{name}, strategy {number}", network.score(x, y)
        plt.close()


def plot_mnist_filters(library: Any) -> Scores:
    """Eight epochs of SGD, and the first weights as pictures; on 8 x 8 digits, for MNIST."""
    x, y = datasets.load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(x / 16, y, random_state=0, test_size=0.3)
    network = library.MLPClassifier(
        hidden_layer_sizes=(40,),
        max_iter=8,
        alpha=1e-4,
        solver="sgd",
        verbose=False,
        random_state=1,
        learning_rate_init=0.2,
    )
    network.fit(train, y_train)
    _, axes = plt.subplots(4, 4)
    low, high = network.coefs_[0].min(), network.coefs_[0].max()
    for coefficients, axis in zip(network.coefs_[0].T, axes.ravel(), strict=False):
        axis.matshow(coefficients.reshape(8, 8), vmin=0.5 * low, vmax=0.5 * high)
    plt.close()
    yield "train", network.score(train, y_train)
    yield "test", network.score(test, y_test)


def plot_classifier_comparison(library: Any) -> Scores:
    """A strong penalty and many epochs, and the display of the border between the classes."""
    for name, (x, y) in shapes():
        train, test, y_train, y_test = train_test_split(x, y, test_size=0.4, random_state=42)
        network = library.MLPClassifier(alpha=1, max_iter=1000, random_state=42)
        classifier = make_pipeline(StandardScaler(), network).fit(train, y_train)
        DecisionBoundaryDisplay.from_estimator(classifier, x, alpha=0.8, eps=0.5)
        plt.close()
        yield name, classifier.score(test, y_test)


def plot_partial_dependence(library: Any) -> Scores:
    """A regressor behind quantiles, and how it depends on features; on friedman1, for bicycles."""
    x, y = datasets.make_friedman1(2000, noise=0.5, random_state=0)
    train, test, y_train, y_test = train_test_split(x, y, test_size=0.1, random_state=0)
    network = library.MLPRegressor(
        hidden_layer_sizes=(30, 15), learning_rate_init=0.01, early_stopping=True, random_state=0
    )
    regressor = make_pipeline(QuantileTransformer(n_quantiles=100), network).fit(train, y_train)
    some = train[:50]
    PartialDependenceDisplay.from_estimator(
        regressor, some, [0, 3, (0, 1)], kind="average", grid_resolution=5
    )
    plt.close()
    yield "friedman1", regressor.score(test, y_test)


EXAMPLES: list[Callable[[Any], Scores]] = [
    plot_mlp_alpha,
    plot_mlp_training_curves,
    plot_mnist_filters,
    plot_classifier_comparison,
    plot_partial_dependence,
]


def compare() -> list[str]:
    """Run each example with both; what is worse with pynn, a line each."""
    worse = []
    for example in EXAMPLES:
        theirs = list(example(sklearn.neural_network))
        ours = list(example(pynn.sklearn))
        means = [float(np.mean([score for _, score in side])) for side in (ours, theirs)]
        line = f"{example.__name__}: {len(ours)} scores, mean {means[0]:.3f}, theirs {means[1]:.3f}"
        print(line)
        if means[0] < means[1] - WORST:
            worse.append(f"worse: {line}")
    return worse


def run(programs: list[str]) -> list[str]:
    """Run programs as they are, with pynn's estimators; those that raise an exception."""
    theirs: Any = sklearn.neural_network
    theirs.MLPClassifier = pynn.sklearn.MLPClassifier
    theirs.MLPRegressor = pynn.sklearn.MLPRegressor
    failed = []
    for program in programs:
        try:
            runpy.run_path(program, run_name="__main__")
        except Exception:
            failed.append(f"{program}:\n{traceback.format_exc()}")
        plt.close("all")
    return failed


def main() -> int:
    """Run what is asked for, say what went wrong, and be 1 then."""
    warnings.simplefilter("ignore")
    wrong = run(sys.argv[1:]) if sys.argv[1:] else compare()
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
