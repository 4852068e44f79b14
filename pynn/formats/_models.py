"""What every format does first: check that it was given a model, and copy its parameters."""

from __future__ import annotations

from pynn._base import checks
from pynn._base.errors import ArgumentTypeError
from pynn._model import Model
from pynn._network.snapshot import Snapshot


def checked(model: object) -> Model:
    """Return a model; raise an ArgumentTypeError for anything else."""
    if not isinstance(model, Model):
        raise ArgumentTypeError(f"model must be a pynn.Model, got {checks.describe(model)}")
    return model


def finite_snapshot(model: Model) -> Snapshot:
    """Copy the model as it is now, also while another thread trains it.

    Raises:
        PynnError: The model has a scale of features, and has not seen examples yet.
        DivergenceError: A parameter is not finite.
        ClosedError: The model is closed.
    """
    snapshot = model._engine.snapshot()
    snapshot.check_fitted()
    snapshot.check_finite()
    return snapshot
