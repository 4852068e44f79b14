"""What a file holds, in words, for `python -m pynn inspect`: it is looked at, never trusted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import checks, reading
from pynn._base.errors import FileFormatError
from pynn._files import model_file
from pynn._model import Model, load
from pynn.datasets import read_idx
from pynn.formats import _tensors, nn_rust

_GZIP = b"\x1f\x8b"
_IDX = b"\0\0"


def inspect(path: str) -> str:
    """Some lines on a model, a checkpoint, an IDX file or a model of the original Rust library.

    Args:
        path: The file; what it is shows in its first bytes, not in its name.

    Raises:
        OSError: It cannot be read.
        FileFormatError: It is none of these, or damaged.
        OutOfMemoryError: There is no memory for what it holds.
    """
    start = _start_of(path)
    shown = checks.printable(path, 2000)
    facts = {"file": f"{shown}, {os.path.getsize(path):,} bytes"}
    own = _tensors.is_safetensors(start)
    if not own and start.startswith((_IDX, _GZIP)):
        facts["kind"] = "IDX" + ", compressed with gzip" * start.startswith(_GZIP)
        return _report(facts, {"elements": read_idx(path)})
    with read_model(path) as model:
        facts |= _facts_of(model, path, own=own)
        return _report(facts, model.parameters)


def read_model(path: str) -> Model:
    """A model of pynn's own, or of the original Rust library; errors are those of `inspect`."""
    start = _start_of(path)
    if _tensors.is_safetensors(start):
        return load(path)
    if start.startswith((_IDX, _GZIP)):
        reading.refuse(path, "begins as an IDX file does, and must be a model")
    if _tensors.is_of_torch(start):
        reading.refuse(
            path,
            "begins as files of torch.save do; pynn.formats.pytorch.load reads it, if it is told"
            " the chain",
        )
    try:
        return nn_rust.load(path)
    except FileFormatError as error:
        why = str(error).removeprefix(f"{reading.shown(path)}: ")
        reading.refuse(
            path,
            f"is neither safetensors nor IDX, and as a model of the original Rust library: {why}",
        )


def _start_of(path: str) -> bytes:
    with reading.opened(path) as file:
        return file.read(9)


def _facts_of(model: Model, path: str, *, own: bool) -> dict[str, str]:
    """What a file says of its model, without the numbers; own: it is one of pynn's."""
    chain = {"chain": str(model._spec), "parameters": f"{model.parameter_count:,}"}
    if not own:
        return {"kind": "model of the original Rust library", **chain}
    kind = {"kind": "model of pynn"}
    if model_file.load(path).run is not None:
        kind = _facts_of_run(path)
    return {**kind, **chain, "seed": str(model.seed), "epochs": f"{model.epochs_trained:,}"}


def _facts_of_run(path: str) -> dict[str, str]:
    """Where the run of a checkpoint stands."""
    with Model.resume(path) as model:
        assert model._engine.resumed is not None
        run, _ = model._engine.resumed
        where = f"{run.epoch} of {run.plan.epochs} epochs done"
        if run.step:
            where += f", {run.step} steps of the next"
    return {"kind": "checkpoint of pynn", "run": where}


def _report(facts: Mapping[str, str], arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """The facts, and a table of the arrays."""
    head = ("tensor", "dtype", "shape", "min", "mean", "max", "")
    table = [head, *(_row(name, array) for name, array in arrays.items())]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [f"{name:<12}{fact}" for name, fact in facts.items()]
    return "\n".join([*lines, "", *(_line(row, widths) for row in table)])


def _line(row: Iterable[str], widths: Iterable[int]) -> str:
    """A row of the table: words to the left, numbers to the right."""
    cells = [
        cell.ljust(width) if column in (0, 1, 2, 6) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _row(name: str, array: npt.NDArray[Any]) -> tuple[str, ...]:
    """Name, type, shape and figures of an array; the figures are of what is finite."""
    shape = " x ".join(map(str, array.shape)) or "one"
    remark = ""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        finite = array[np.isfinite(array)]
        remark = f"{array.size - finite.size:,} not finite"
        array = finite
    figures = ("", "", "")
    if array.size > 0:
        wide = np.longdouble if array.dtype == np.float64 else np.float64
        with np.errstate(over="ignore"):  # where longdouble is no wider
            mean = float(array.mean(dtype=wide))
        figures = (_figure(array.min().item()), _figure(mean), _figure(array.max().item()))
    return name, str(array.dtype), shape, *figures, remark


def _figure(value: float) -> str:
    """A number of a table: integers with all their digits, others with four."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"
