"""pynn trains and runs neural networks on a CPU: a small C library under a chainable builder.

>>> import pynn
>>> chain = pynn.Builder().input(784).dense(256).relu().dense(10).softmax_cross_entropy()
>>> model = chain.build(seed=0)

Then use `model.fit(images, labels, epochs=5)`, `model.evaluate`, `model.predict`, `model.save` and
`pynn.load`. `pynn.datasets` reads data sets; `pynn.formats` reads and writes files of others.
"""

import importlib
from typing import TYPE_CHECKING

try:
    from pynn._native import library as _library
except ModuleNotFoundError as error:
    if error.name != "pynn._pynn":
        raise
    _compiled = False
else:
    _compiled = True

if not _compiled:  # Python has found the source folder before the installed package.
    from pynn import _source_folder

    _source_folder.use_installed()
else:
    from pynn._base import forks as _forks
    from pynn._base import vocabulary as _vocabulary
    from pynn._base import words as _words
    from pynn._base.errors import (
        ArgumentError,
        ArgumentTypeError,
        ChainError,
        ClosedError,
        DataNotFoundError,
        DivergenceError,
        FileFormatError,
        OutOfMemoryError,
        PynnError,
        TrainingWarning,
    )
    from pynn._native import threads as _threads
    from pynn._native.threads import get_num_threads, set_num_threads

    __version__ = _library.version()

    _library.check_instruction_set()
    _threads.set_default_num_threads()

    _importing = _forks.Guard()  # its lock is held while a name is imported at its first use
    _forks.register(_importing)

if TYPE_CHECKING:
    from pynn import datasets as datasets
    from pynn import formats as formats
    from pynn import images as images
    from pynn import models as models
    from pynn import plots as plots
    from pynn import schedules as schedules
    from pynn._builder import Builder, FinishedBuilder, LayerBuilder
    from pynn._info import BuildInfo, build_info
    from pynn._model import Model, load
    from pynn._network.columns import Columns
    from pynn._training.augmentation import Augmentation
    from pynn._training.history import (
        ClassEvaluation,
        EpochResult,
        Evaluation,
        History,
        Progress,
    )
    from pynn._training.lbfgs import LBFGS
    from pynn._training.optimizers import SGD, Adam, AdamW
    from pynn._training.progress_bar import ProgressBar, progress
    from pynn._training.stopping import EarlyStopping

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "AdamW",
    "ArgumentError",
    "ArgumentTypeError",
    "Augmentation",
    "BuildInfo",
    "Builder",
    "ChainError",
    "ClassEvaluation",
    "ClosedError",
    "Columns",
    "DataNotFoundError",
    "DivergenceError",
    "EarlyStopping",
    "EpochResult",
    "Evaluation",
    "FileFormatError",
    "FinishedBuilder",
    "History",
    "LayerBuilder",
    "Model",
    "OutOfMemoryError",
    "Progress",
    "ProgressBar",
    "PynnError",
    "TrainingWarning",
    "__version__",
    "build_info",
    "datasets",
    "formats",
    "get_num_threads",
    "images",
    "load",
    "models",
    "plots",
    "progress",
    "schedules",
    "set_num_threads",
]

# The names that __getattr__ imports: modules, and names by their module.
_MODULES = ("datasets", "formats", "images", "models", "plots", "schedules")
_LATE = {
    "_builder": ("Builder", "FinishedBuilder", "LayerBuilder"),
    "_info": ("BuildInfo", "build_info"),
    "_model": ("Model", "load"),
    "_network.columns": ("Columns",),
    "_training.evaluation": ("ClassEvaluation", "Evaluation"),
    "_training.history": ("EpochResult", "History", "Progress"),
    "_training.lbfgs": ("LBFGS",),
    "_training.optimizers": ("SGD", "Adam", "AdamW"),
    "_training.augmentation": ("Augmentation",),
    "_training.progress_bar": ("ProgressBar", "progress"),
    "_training.stopping": ("EarlyStopping",),
}


def _import(name: str) -> object:
    """Import a public name when it is first used, so that `import pynn` is fast.

    An import in a signal handler fails if the handler interrupted an import of the same module. So
    the module of `Model` imports all that training and using a model need: once there is a model,
    signal handlers can use it without an import.
    """
    if name in _MODULES:
        return importlib.import_module(f"pynn.{name}")
    if name == "sklearn":  # it is no public name of `from pynn import *`: it needs scikit-learn
        return importlib.import_module("pynn.sklearn")
    for module, names in _LATE.items():
        if name in names:
            found: object = getattr(importlib.import_module(f"pynn.{module}"), name)
            globals()[name] = found  # the next use finds it without this function
            return found
    raise AttributeError(
        _words.missing(
            "module 'pynn'", name, __all__, _vocabulary.MODULE, _vocabulary.OF_MODULE, "pynn.{}"
        ).message
    )


if not TYPE_CHECKING:  # a type checker finds wrong names only without it

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used.

        Python asks for the name of a module of ours before it imports it, as in `from pynn import
        _drawing`, and holds a lock for the module with this line. Another thread may import that
        module here, and so have our lock and wait for Python's. So such a name takes no lock.
        """
        if name.startswith("_"):
            raise AttributeError(f"module 'pynn' has no attribute {name!r}")
        with _importing.lock:
            return _import(name)


def __dir__() -> list[str]:
    """List all public names, including those not imported yet, for completion in editors."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
