"""Models in other programs' formats; pynn's own is that of `Model.save` and `pynn.load`.

pytorch   state_dicts of PyTorch: load, save, state_dict
onnx      ONNX files: save, which `Model.export_onnx` calls
c         C99 source: save, which `Model.export_c` calls
nn_rust   files of the original Rust library: load, save

`import pynn` is enough to use them: `pynn.formats.pytorch.save(model, path)`. Every format has a
function `save(model, path, ...)`. A format that pynn can read has `load(path, ...)`, too, which
returns a model.
"""

from typing import TYPE_CHECKING

from pynn._base import words as _words

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
        _words.of_module("formats", __all__)(name)


def __dir__() -> list[str]:
    """List the formats, also those that are not imported yet, for completion in an editor."""
    return sorted({*globals(), *__all__})
