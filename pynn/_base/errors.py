"""All exceptions that pynn raises on purpose, as one tree.

PynnError
├── ArgumentError      (ValueError)         an argument has a wrong value or shape
├── ArgumentTypeError  (TypeError)          an argument has a wrong type or dtype
├── ChainError         (AttributeError)     the builder or model has no such method here
├── ClosedError        (RuntimeError)       a model was used after close()
├── DataNotFoundError  (FileNotFoundError)  a data set was not found
├── DivergenceError    (ArithmeticError)    a loss, an output or a parameter is not finite
├── FileFormatError    (ValueError)         a file has the wrong format or is damaged
└── OutOfMemoryError   (MemoryError)        no memory for a network, a workspace or an array

And a warning, `TrainingWarning`, a UserWarning.
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
    "TrainingWarning",
]


class PynnError(Exception):
    """The root of all errors that pynn raises on purpose."""


class ArgumentError(PynnError, ValueError):
    """An argument has the right type, but a wrong value or shape."""


class ArgumentTypeError(PynnError, TypeError):
    """An argument has the wrong type, or an array the wrong dtype."""


class ChainError(PynnError, AttributeError):
    """A method was called that this step of the builder's chain, or this model's loss, lacks."""


class ClosedError(PynnError, RuntimeError):
    """A model was used after its close()."""


class DataNotFoundError(PynnError, FileNotFoundError):
    """A data set is in none of the places that were searched."""


class DivergenceError(PynnError, ArithmeticError):
    """A loss, an output, a parameter or a moment of the optimizer is NaN or infinite."""


class FileFormatError(PynnError, ValueError):
    """A file does not have the expected format, or is damaged."""


class OutOfMemoryError(PynnError, MemoryError):
    """There is no memory for a network, for the workspace of a batch, or for an array in a file."""


class TrainingWarning(UserWarning):
    """`fit` doubts that a training is worth anything: its examples or its loss speak against it.

    For instance all labels are equal, or the loss is no better than guessing. The message says what
    to do. `warnings.filterwarnings("ignore", category=pynn.TrainingWarning)` turns it off, and
    "error" makes it an exception.
    """


# A traceback shows the name that users import.
for _error in (TrainingWarning, PynnError, *PynnError.__subclasses__()):
    _error.__module__ = "pynn"
del _error
