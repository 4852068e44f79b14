"""Compare pynn.sklearn's MLPClassifier with scikit-learn's own on MNIST: time of fit, and accuracy.

Both have the same parameters and take turns in one process, each round with another seed. Ratios
are computed within a round. scikit-learn's speed is that of NumPy's matrix products, which are not
always faster on several threads than on one: both are measured. Needs the extra "benchmarks".
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # python -P and -I leave it out

import numpy as np
import sklearn.neural_network
from harness import PAUSE_SECONDS
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import pynn
import pynn.sklearn

# With the threads of NumPy's BLAS; None is as many as it takes by itself.
SIDES = {
    "scikit-learn": (sklearn.neural_network, None),
    "scikit-learn, 1 thread": (sklearn.neural_network, 1),
    "pynn.sklearn": (pynn.sklearn, None),
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument("--epochs", type=int, default=10, help="max_iter (default: 10)")
    parser.add_argument(
        "--hidden", type=int, nargs="*", default=[100], help="widths (default: 100)"
    )
    parser.add_argument("--solver", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--batch-size", type=int, default=200, help="default: 200")
    parser.add_argument("--rows", type=int, default=60000, help="examples (default: all 60000)")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="of X")
    return parser.parse_args()


def turn(side: str, parameters: dict[str, Any], train: Any, test: Any) -> tuple[float, float]:
    """Seconds of a fit, and the accuracy that it gives."""
    time.sleep(PAUSE_SECONDS)
    library, threads = SIDES[side]
    classifier = library.MLPClassifier(**parameters)
    with threadpool_limits(threads, user_api="blas"):
        began = time.perf_counter()
        classifier.fit(*train)
        seconds = time.perf_counter() - began
    return seconds, classifier.score(*test)


def spread(values: list[float], digits: int) -> str:
    """The median and the range."""
    least, most = min(values), max(values)
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} - {most:.{digits}f})"


def main() -> None:
    given = options()
    warnings.simplefilter("ignore", ConvergenceWarning)
    images, held_out = pynn.datasets.mnist()
    train, test = (
        (part.images.reshape(len(part.images), -1).astype(given.dtype) / 255, part.labels)
        for part in (images, held_out)
    )
    train = train[0][: given.rows].astype(given.dtype), train[1][: given.rows]
    parameters = {
        "hidden_layer_sizes": tuple(given.hidden),
        "solver": given.solver,
        "batch_size": given.batch_size,
        "max_iter": given.epochs,
    }
    figures: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for number in range(given.rounds):
        for side in SIDES:
            figures[side].append(turn(side, parameters | {"random_state": number}, train, test))
        seconds = ", ".join(f"{side} {rows[-1][0]:.2f} s" for side, rows in figures.items())
        print(f"round {number + 1} of {given.rounds}: {seconds}", file=sys.stderr)

    print(f"{parameters}, X {train[0].shape} {given.dtype}, rounds: {given.rounds},")
    print(f"threads of pynn: {pynn.get_num_threads()}, load: {os.getloadavg()[0]:.1f}\n")
    print(f"{'':<24}{'seconds: median (range)':<28}test accuracy, %: mean (range)")
    for side, rows in figures.items():
        seconds, accuracies = ([row[i] for row in rows] for i in (0, 1))
        percent = [100 * accuracy for accuracy in accuracies]
        mean = f"{np.mean(percent):.2f} ({min(percent):.2f} - {max(percent):.2f})"
        print(f"{side:<24}{spread(seconds, 2):<28}{mean}")
    *others, ours = figures
    print()
    for side in others:
        rounds = list(zip(figures[side], figures[ours], strict=True))
        ratios = [other[0] / own[0] for other, own in rounds]
        points = 100 * float(np.mean([own[1] - other[1] for other, own in rounds]))
        print(f"{ours} is {spread(ratios, 1)} times as fast as {side}, at {points:+.2f} points")


if __name__ == "__main__":
    main()
