"""Errors that are ValueErrors, too: scikit-learn's own estimators raise such where these are."""

from pynn._base.errors import ArgumentTypeError, DivergenceError

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need"
    " to be preprocessed"
)
"""What scikit-learn says of numbers that stopped being finite, for callers who look for it."""


class ParameterTypeError(ArgumentTypeError, ValueError):
    """A parameter of an estimator has the wrong type."""


class SolverError(DivergenceError, ValueError):
    """The loss or the weights stopped being finite."""


# A traceback shows no private module.
for _error in (ParameterTypeError, SolverError):
    _error.__module__ = "pynn.sklearn"
del _error
