"""A model at one moment: what a file holds, and what an export takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from pynn._base.arrays import Floats
from pynn._base.checks import NOT_FITTED
from pynn._base.errors import DivergenceError, PynnError
from pynn._network import parameters as _parameters
from pynn._network.parameters import Parameters
from pynn._network.spec import Spec


class Snapshot(NamedTuple):
    """A copy of a model at one moment. It does not change when the model changes."""

    spec: Spec
    parameters: Floats
    """All parameters, shape (parameter_count,)."""
    seed: int
    epochs_trained: int
    steps_trained: int
    run: dict[str, Any] | None = None
    """The state of the run, of a checkpoint: what `Run.keep` returned, or what a file says, which
    nobody has checked yet. None for a model without a run."""
    arrays: Mapping[str, Floats] = MappingProxyType({})
    """The arrays of the run, of a checkpoint: each has shape (parameter_count,)."""
    classes: tuple[str, ...] | None = None
    """The names of the classes, in the order of the outputs, if the model has them."""

    @property
    def named(self) -> Parameters:
        """The parameters, by the same names as in `Model.parameters`."""
        return _parameters.named(_parameters.views(self.spec), self.parameters)

    def check_fitted(self) -> None:
        """Raise a PynnError if a scale was not found in examples yet."""
        scales = _parameters.scales(self.spec)
        if not all(scale.of(self.parameters).all() for _, scale in scales):
            raise PynnError(NOT_FITTED)

    def check_finite(self) -> None:
        """Raise a DivergenceError if a parameter is not finite; the message names the first one."""
        for name, array in self.named.items():
            wrong = np.argwhere(~np.isfinite(array))
            if len(wrong) > 0:
                place = tuple(map(int, wrong[0]))
                raise DivergenceError(
                    f"parameters[{name!r}][{', '.join(map(str, place))}] is {array[place]}: a model"
                    " that has diverged cannot be exported; build or load it anew"
                )
