"""Models in the formats of others, besides pynn's own (`Model.save`, `pynn.load`).

pytorch   state_dicts of PyTorch: load, save, state_dict
onnx      files of ONNX: save, which `Model.export_onnx` calls
c         source of C99: save, which `Model.export_c` calls
nn_rust   files of the original Rust library: load, save

`import pynn` is enough to use them: `pynn.formats.pytorch.save(model, path)`. All have a function
`save(model, path, ...)`; where files can be read, `load(path, ...)` gives a model.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pynn.formats import c as c
    from pynn.formats import nn_rust as nn_rust
    from pynn.formats import onnx as onnx
    from pynn.formats import pytorch as pytorch

__all__ = ["c", "nn_rust", "onnx", "pytorch"]


if not TYPE_CHECKING:  # a type checker finds wrong names only without it

    def __getattr__(name: str) -> object:
        """Import a format when it is first used."""
        if name in __all__:
            import importlib

            return importlib.import_module(f"pynn.formats.{name}")
        raise AttributeError(f"module 'pynn.formats' has no attribute {name!r}")


def __dir__() -> list[str]:
    """For completion: the formats, also those that are not imported yet."""
    return sorted({*globals(), *__all__})
