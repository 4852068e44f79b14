"""What a layer says of itself as the first of a chain, which reads what the caller gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Floats


class FirstLayer:
    """The part of `Layer` that is only asked of the first layer; most kinds leave it as it is."""

    is_input: ClassVar[bool] = False
    """Whether `Builder.input` adds it, and no method of its own."""
    takes_bytes: ClassVar[bool] = True
    """Whether exported C takes bytes, too."""

    @property
    def encoder(self) -> Callable[[str, object], Floats] | None:
        """What makes an array of the features that a caller gives to a model; mostly nothing.

        It gets the name of the argument, for error messages, and the features.
        """
        return None

    @property
    def scaled_features(self) -> slice:
        """Which features have a mean and a scale among the parameters, if it reads features."""
        return slice(None)

    def details(self) -> list[tuple[str, tuple[int, ...], int]]:
        """The parts of the layer, for a summary: name, shape of the output, parameters."""
        return []

    def metadata(self) -> dict[str, Any]:
        """What a file in another format must say of the layer, by name; mostly nothing."""
        return {}

    def c_test_inputs(
        self, parameters: Mapping[str, Floats], spread: npt.NDArray[np.uint8]
    ) -> npt.NDArray[Any]:
        """Inputs for the self-test of exported C.

        Args:
            parameters: Those of the model, by name.
            spread: Bytes that are spread evenly, (n, inputs): the inputs, if it takes bytes.
        """
        return spread
