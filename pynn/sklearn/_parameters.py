"""The estimators' parameters and their checks, which scikit-learn asks for in `fit`."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from pynn._base import checks
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn.sklearn._activations import ACTIVATIONS
from pynn.sklearn._errors import ParameterTypeError

SOLVERS = ("sgd", "adam", "lbfgs")
IN_BATCHES = SOLVERS[:2]
"""The solvers whose steps take a batch."""
LEARNING_RATES = ("constant", "invscaling", "adaptive")


# dataclass makes an __init__ that stores its arguments and does no more, as scikit-learn asks.
@dataclass(eq=False, repr=False)
class Parameters:
    """The parameters of both estimators. MLPClassifier's docstring explains them."""

    hidden_layer_sizes: Any = (100,)
    activation: str = "relu"
    _: KW_ONLY
    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool | int = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    dropout: float = 0.0
    callbacks: Any = None

    @property
    def _stops_early(self) -> bool:
        """Whether early_stopping has a meaning: as in scikit-learn, it has none with "lbfgs"."""
        return bool(self.early_stopping) and self.solver in IN_BATCHES


def check(e: Parameters) -> None:
    """Raise an ArgumentError or ParameterTypeError for the first parameter that is wrong."""
    try:
        _check(e)
    except ArgumentTypeError as error:
        raise ParameterTypeError(str(error)) from None


def _check(e: Parameters) -> None:
    hidden_sizes(e.hidden_layer_sizes)
    choice("activation", e.activation, tuple(ACTIVATIONS))
    choice("solver", e.solver, SOLVERS)
    choice("learning_rate", e.learning_rate, LEARNING_RATES)
    if isinstance(e.batch_size, str):
        choice("batch_size, where it is no integer,", e.batch_size, ("auto",))
    else:
        checks.integer("batch_size", e.batch_size, least=1)
    checks.integer("max_iter", e.max_iter, least=1)
    checks.integer("max_fun", e.max_fun, least=1)
    if not isinstance(e.verbose, (bool, np.bool_)):
        checks.integer("verbose", e.verbose, least=0)
    if not (isinstance(e.n_iter_no_change, numbers.Real) and e.n_iter_no_change == math.inf):
        checks.integer("n_iter_no_change", e.n_iter_no_change, least=1)
    for name in ("learning_rate_init", "epsilon"):
        checks.real(name, getattr(e, name), above=0.0)
    for name in ("alpha", "power_t", "tol"):
        checks.real(name, getattr(e, name), least=0.0)
    for name in ("momentum", "beta_1", "beta_2", "validation_fraction", "dropout"):
        _fraction(name, getattr(e, name))
    for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
        flag = getattr(e, name)
        if not isinstance(flag, (bool, np.bool_)):
            raise ArgumentTypeError(f"{name} must be True or False, got {checks.describe(flag)}")
    if e.solver == "lbfgs" and e.dropout > 0:
        raise ArgumentError(
            f"dropout must be 0 with solver='lbfgs', which compares losses, got {e.dropout};"
            " use 'adam'"
        )
    _random_state(e.random_state)
    callbacks(e.callbacks)


def has_partial_fit(e: Parameters) -> bool:
    """Return True if the solver trains in batches.

    Otherwise raise an AttributeError: so hasattr(estimator, "partial_fit") is False.
    """
    if e.solver not in IN_BATCHES:
        raise AttributeError(
            "partial_fit is only available for the solvers"
            f" {' and '.join(map(repr, IN_BATCHES))}, got"
            f" solver={e.solver!r}"
        )
    return True


def choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raise an ArgumentError for a value that is not one of the allowed words."""
    if not (isinstance(value, str) and value in allowed):
        words = " or ".join(map(repr, allowed))
        raise ArgumentError(f"{name} must be {words}, got {checks.describe(value)}")


def hidden_sizes(sizes: Any) -> list[int]:
    """Check hidden_layer_sizes, an integer or several; return the widths as a list."""
    several = isinstance(sizes, Collection) and not isinstance(sizes, (str, bytes, dict))
    if not several or getattr(sizes, "ndim", 1) == 0:  # an array of no dimension is a number
        sizes = [sizes]
    return [checks.integer("hidden_layer_sizes", size, least=1) for size in sizes]


def callbacks(value: Any) -> list[Callable[..., object]]:
    """Check callbacks, None, a callable or several; return them as a list."""
    if value is None:
        return []
    several = [value] if callable(value) else value
    if not isinstance(several, (list, tuple)) or not all(map(callable, several)):
        raise ArgumentTypeError(
            f"callbacks must be a callable or a list of them, got {checks.describe(value)}"
        )
    return list(several)


def validation(value: Any) -> tuple[Any, Any]:
    """Check the pair (X, y) that `fit` validates on."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ArgumentTypeError(f"validation must be a pair (X, y), got {checks.describe(value)}")
    return value[0], value[1]


def _random_state(value: object) -> None:
    """Check random_state: None, NumPy's random module, a RandomState, or a seed for one."""
    if value is None or value is np.random or isinstance(value, np.random.RandomState):
        return
    try:
        checks.integer("random_state", value, least=0, most=2**32 - 1)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{error}; it may also be a RandomState or None") from None


def _fraction(name: str, value: object) -> None:
    if checks.real(name, value, least=0.0) >= 1:
        raise ArgumentError(f"{name} must be in [0, 1), got {value}")
