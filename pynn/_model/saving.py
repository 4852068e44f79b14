"""The methods of a model that write it to files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from pynn._base import checks, words
from pynn._model.base import ModelBase
from pynn._training import checkpoints

if TYPE_CHECKING:
    from pynn._model import Model
    from pynn.formats.c import Footprint


@words.corrected
class SavedModel(ModelBase):
    """A model as something to keep."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, which `pynn.load` and other programs can read.

        A crash leaves the old file or the new one. A symbolic link is followed. If the old file has
        other names (hard links), these keep the old contents.

        Args:
            path: The file to write; by custom its name ends in ".safetensors".

        Raises:
            ArgumentTypeError: `path` is not a path.
            OSError: The file cannot be written.
            ClosedError: The model is closed.
        """
        checkpoints.save(self._engine, checks.path("path", path))

    def export_onnx(self, path: str | os.PathLike[str], *, probabilities: bool = False) -> None:
        """Write the model to an ONNX file, for onnxruntime and others; needs 'pynn-blas[onnx]'.

        The input of the file is "input", float32, shape (batch, inputs), or of images (batch,
        channels, height, width), with any number of rows; divide uint8 values by 255 first. The
        output is "output", float32, shape (batch, outputs): the outputs of the last layer, or with
        poisson the rates of `predict`.
        Initializers have the names and shapes of `parameters`. A crash leaves the old file or the
        new one, and the same model always gives the same bytes.

        Args:
            path: The file to write; by custom its name ends in ".onnx".
            probabilities: Whether to give the probabilities of `predict_proba` instead; the output
                is then named "probabilities".

        Raises:
            ArgumentTypeError: `path` is not a path.
            ArgumentError: Probabilities are asked for, but the model's loss has none; or the model
                is too large for the format, which allows about 2 GiB.
            DivergenceError: A parameter is not finite.
            ImportError: The package onnx is not installed.
            OSError: The file cannot be written.
            ClosedError: The model is closed.
        """
        from pynn.formats import onnx  # here, because pynn.formats imports pynn._model

        onnx.save(cast("Model", self), path, probabilities=probabilities)

    def export_c(
        self, path: str | os.PathLike[str], *, name: str | None = None, libc: bool = True
    ) -> Footprint:
        """Write the model as C99: a source file, and a header beside it that explains its use.

        The source has `NAME_predict` for floats, `NAME_predict_bytes` for uint8 values, which are
        read as value / 255, and `NAME_self_test`; for classification also `NAME_class`,
        `NAME_probabilities` and, if the classes have names, the array `NAME_class_names`; for
        counts `NAME_rates`. It allocates no memory, and many threads may call it at the same time.
        Each of the two files is replaced atomically.

        Args:
            path: The source file to write; its name must end in ".c". The header has the same name
                with ".h" at the end; it must not be the name of a system header, and must not
                replace a header that pynn has not written.
            name: The start of the functions' names, a C identifier; the default is the file's name.
            libc: Whether the source may call functions of libc such as expf; otherwise it has its
                own, and needs no library at all.

        Returns:
            The bytes of memory and the multiply-adds that the source needs.

        Raises:
            ArgumentTypeError: `path` is not a path, or `name` is not a str.
            ArgumentError: The path does not end in ".c", its header would replace another one, or
                the name is not a C identifier.
            DivergenceError: A parameter is not finite.
            OSError: A file cannot be written.
            ClosedError: The model is closed.

        Examples:
            >>> import pynn
            >>> chain = pynn.Builder().input(784).dense(64).relu().dense(10)
            >>> chain.softmax_cross_entropy().build().export_c("digits.c")
            Footprint(203,560 bytes of weights, 256 bytes of stack, 50,816 multiply-adds)
        """
        from pynn.formats import c  # here, for the same reason as in export_onnx()

        return c.save(cast("Model", self), path, name=name, libc=libc)
