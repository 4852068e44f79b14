"""Objects that are their arguments: optimizers, schedules and the like."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn


class Arguments:
    """Attributes, equality and repr from the arguments of a class; it never changes.

    A class that derives from it checks its arguments and passes them on, all by name.
    """

    _optional: ClassVar[dict[str, Any]] = {}  # what repr leaves out: arguments and defaults

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
