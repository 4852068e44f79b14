"""pynn trains and runs neural networks on a CPU: a small C library under a chainable builder.

>>> import pynn
>>> chain = pynn.Builder().input(784).dense(256).relu().dense(10).softmax_cross_entropy()
>>> model = chain.build(seed=0)

Then `model.fit(images, labels, epochs=5)`, `model.evaluate`, `model.predict`, `model.save` and
`pynn.load`. Data sets are in `pynn.datasets`, files of others in `pynn.formats`.
"""

from typing import TYPE_CHECKING

try:
    from pynn._native import library
except ModuleNotFoundError as error:
    if error.name != "pynn._pynn":
        raise
    _compiled = False
else:
    _compiled = True

if not _compiled:  # This is the source folder, in front of the installed package on the path.
    from pynn import _source_folder

    _source_folder.use_installed()
else:
    from pynn import _info
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
    )
    from pynn._builder import Builder, FinishedBuilder, LayerBuilder
    from pynn._info import BuildInfo, build_info
    from pynn._model import Model, load
    from pynn._native import threads
    from pynn._native.threads import get_num_threads, set_num_threads
    from pynn._training.history import ClassEvaluation, EpochResult, Evaluation, History, Progress
    from pynn._training.optimizers import SGD, Adam, AdamW
    from pynn._training.stopping import EarlyStopping

    __version__ = library.version()

    _info.check_instruction_set()
    threads.set_default_num_threads()

if TYPE_CHECKING:
    from pynn import datasets as datasets
    from pynn import formats as formats
    from pynn import plots as plots
    from pynn import schedules as schedules

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ArgumentError",
    "ArgumentTypeError",
    "BuildInfo",
    "Builder",
    "ChainError",
    "ClassEvaluation",
    "ClosedError",
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
    "PynnError",
    "__version__",
    "build_info",
    "datasets",
    "formats",
    "get_num_threads",
    "load",
    "plots",
    "schedules",
    "set_num_threads",
]


def __getattr__(name: str) -> object:
    """Import `pynn.datasets` and the like when first used, so that `import pynn` stays quick."""
    if name in ("datasets", "formats", "plots", "schedules"):
        import importlib

        return importlib.import_module(f"pynn.{name}")
    raise AttributeError(f"module 'pynn' has no attribute {name!r}")
