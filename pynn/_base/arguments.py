"""A base class for objects that hold the arguments of their constructor, such as optimizers."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from pynn._base import words


class Arguments:
    """An immutable object whose attributes, equality, hash and repr come from its arguments.

    The constructor of a derived class checks its arguments and passes all of them on by name.
    """

    _optional: ClassVar[dict[str, Any]] = {}
    """Optional arguments and their defaults; repr leaves out an argument that is its default."""

    def __init_subclass__(cls) -> None:
        """Let the constructor, and other methods, say what is wrong with a call."""
        words.corrected(cls)

    def __init__(self, **arguments: Any) -> None:
        self.__dict__.update(arguments)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed; make another")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).items()))

    def __repr__(self) -> str:
        shown = [
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if name not in self._optional or value != self._optional[name]
        ]
        return f"{type(self).__name__}({', '.join(shown)})"
