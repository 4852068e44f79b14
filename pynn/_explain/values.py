"""The arrays of a step: read-only, and grouped by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pynn._base.arrays import Floats


def read_only(array: Floats) -> Floats:
    """Make an array read-only, and return a view of it, which cannot be made writable again."""
    array.flags.writeable = False
    view: Floats = array.view()
    return view


class Values(Mapping[str, Floats]):
    """The arrays of one layer on one way, as attributes: `.X`, `.W`, `.b`, `.Y`; or `.dY`, `.dW`.

    It is also a mapping from these names to the arrays. All of them are read-only.
    """

    def __init__(self, layer: str, arrays: Mapping[str, Floats]) -> None:
        self._layer = layer
        self._arrays = dict(arrays)

    def __getattr__(self, name: str) -> Floats:
        if name.startswith("__"):  # copy and pickle ask for their methods before there are arrays
            raise AttributeError(name)
        try:
            return self._arrays[name]
        except KeyError:
            there = ", ".join(self._arrays)
            raise AttributeError(f"{self._layer} has no {name}; it has {there}") from None

    def __getitem__(self, name: str) -> Floats:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._arrays]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self._arrays.items())
        return f"Values({self._layer}: {shapes})"


class ParameterUpdate(Mapping[str, Floats]):
    """What a step does to one parameter, as attributes: `.before`, `.after`, and the moments.

    The moments are those after the step: `.momentum` of SGD, `.m` and `.v` of Adam. `.t` is the
    number of the update, which Adam's formulas have; plain SGD does not count, and has 0.
    `.learning_rate` is that of the step. It is also a mapping from names to the arrays, which are
    read-only.
    """

    def __init__(self, arrays: Mapping[str, Floats], learning_rate: float, t: int) -> None:
        self._values = Values("the update", arrays)
        self.learning_rate = learning_rate
        self.t = t

    def __getattr__(self, name: str) -> Floats:
        if name.startswith("_"):
            raise AttributeError(name)
        array: Floats = getattr(self._values, name)
        return array

    def __getitem__(self, name: str) -> Floats:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._values]

    def __repr__(self) -> str:
        names = ", ".join(self)
        return f"ParameterUpdate({names}; learning_rate={self.learning_rate!r}, t={self.t})"
