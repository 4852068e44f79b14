"""What the formats take of a model."""

from __future__ import annotations

from pynn._base import checks
from pynn._base.errors import ArgumentTypeError
from pynn._model import Model
from pynn._network.snapshot import Snapshot


def checked(model: object) -> Model:
    """A model; ArgumentTypeError for anything else."""
    if not isinstance(model, Model):
        raise ArgumentTypeError(f"model must be a pynn.Model, got {checks.describe(model)}")
    return model


def finite_snapshot(model: Model) -> Snapshot:
    """A copy of what the model is now; it may be in training.

    Raises:
        DivergenceError: A parameter is not finite.
        ClosedError: The model is closed.
    """
    snapshot = model._engine.snapshot()
    snapshot.check_finite()
    return snapshot
