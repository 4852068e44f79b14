"""A model at one moment: what a file holds, and what an export takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from pynn._base.arrays import Floats
from pynn._base.errors import DivergenceError
from pynn._network import parameters as _parameters
from pynn._network.parameters import Parameters
from pynn._network.spec import Spec


class Snapshot(NamedTuple):
    """A model at one moment, apart from the model: nothing of it changes when the model does."""

    spec: Spec
    parameters: Floats
    """All of them, shape (parameter_count,)."""
    seed: int
    epochs_trained: int
    steps_trained: int
    run: dict[str, Any] | None = None
    """Of a checkpoint: what `Run.keep` gave; unchecked, if it is read from a file."""
    arrays: Mapping[str, Floats] = MappingProxyType({})
    """Of a checkpoint: the arrays that its run needs, each of shape (parameter_count,)."""

    @property
    def named(self) -> Parameters:
        """The parameters by the names that `Model.parameters` has."""
        return _parameters.named(_parameters.views(self.spec), self.parameters)

    def check_finite(self) -> None:
        """Raise a DivergenceError that names the first parameter which is not finite."""
        for name, array in self.named.items():
            wrong = np.argwhere(~np.isfinite(array))
            if len(wrong) > 0:
                place = tuple(map(int, wrong[0]))
                raise DivergenceError(
                    f"parameters[{name!r}][{', '.join(map(str, place))}] is {array[place]}: a model"
                    " that has diverged gives no answers to export; build or load it anew"
                )
