"""Everything that pynn raises, as one tree.

PynnError
├── ArgumentError      (ValueError)         a value that does not fit
├── ArgumentTypeError  (TypeError)          a value of the wrong type or dtype
├── ChainError         (AttributeError)     a step that the chain does not offer here
├── ClosedError        (RuntimeError)       a model used after close()
├── DataNotFoundError  (FileNotFoundError)  a data set that is nowhere to be found
├── DivergenceError    (ArithmeticError)    numbers that stopped being finite
├── FileFormatError    (ValueError)         a file that is not what it should be
└── OutOfMemoryError   (MemoryError)        no memory for a network, its workspace or a file's array
"""

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "ChainError",
    "ClosedError",
    "DataNotFoundError",
    "DivergenceError",
    "FileFormatError",
    "OutOfMemoryError",
    "PynnError",
]


class PynnError(Exception):
    """The root of all errors that pynn raises on purpose."""


class ArgumentError(PynnError, ValueError):
    """An argument has the right type and a value that does not fit."""


class ArgumentTypeError(PynnError, TypeError):
    """An argument has the wrong type, or an array the wrong dtype."""


class ChainError(PynnError, AttributeError):
    """A step of the builder's chain came where it may not come."""


class ClosedError(PynnError, RuntimeError):
    """A model was used after its close()."""


class DataNotFoundError(PynnError, FileNotFoundError):
    """A data set is in none of the places where it was looked for."""


class DivergenceError(PynnError, ArithmeticError):
    """A loss, an output or a parameter is not finite any more."""


class FileFormatError(PynnError, ValueError):
    """A file is not of the format it should be, or is damaged."""


class OutOfMemoryError(PynnError, MemoryError):
    """There is no memory for a network, for the workspace of a batch, or for an array in a file."""


# A traceback shows the name that users import.
for _error in (PynnError, *PynnError.__subclasses__()):
    _error.__module__ = "pynn"
del _error
