"""Errors that are ValueErrors, too, because scikit-learn's own estimators raise ValueErrors."""

from pynn._base.errors import ArgumentTypeError, DivergenceError

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need"
    " to be preprocessed"
)
"""scikit-learn's message where numbers stop being finite. Its words are kept because callers may
look for them."""


class ParameterTypeError(ArgumentTypeError, ValueError):
    """A parameter of an estimator has the wrong type."""


class SolverError(DivergenceError, ValueError):
    """The loss or the weights stopped being finite."""


# So that a traceback names the public module.
for _error in (ParameterTypeError, SolverError):
    _error.__module__ = "pynn.sklearn"
del _error
