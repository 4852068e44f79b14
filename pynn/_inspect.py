"""Describing a file in words, for `python -m pynn inspect`; the file may be damaged or hostile."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import checks, reading
from pynn._base.errors import FileFormatError
from pynn._files import kinds, model_file
from pynn._model import Model, load
from pynn._network import class_names
from pynn.datasets import read_idx
from pynn.formats import _tensors, nn_rust

_GZIP = b"\x1f\x8b"
_IDX = b"\0\0"


def inspect(path: str, width: int | None = None) -> str:
    """Describe a model, a checkpoint, an IDX file or a model of the original Rust library.

    Args:
        path: The file; its first bytes, not its name, decide which of these it is.
        width: The longest line that a table may have; None for any.

    Returns:
        Some lines of text.

    Raises:
        OSError: The file cannot be read.
        FileFormatError: It is none of these, or is damaged.
        OutOfMemoryError: There is no memory for its contents.
    """
    start = _start_of(path)
    shown = checks.printable(path, 2000)
    facts = {"file": f"{shown}, {os.path.getsize(path):,} bytes"}
    if (kind := kinds.foreign(path)) is not None:
        facts |= {"kind": kind.name} | ({"use": kind.use} if kind.use else {})
        return _listed(facts)
    own = _tensors.is_safetensors(start)
    if not own and start.startswith((_IDX, _GZIP)):
        facts["kind"] = "IDX" + ", compressed with gzip" * start.startswith(_GZIP)
        return _report(facts, {"elements": read_idx(path)}, width)
    with read_model(path) as model:
        facts |= _facts_of(model, path, own=own)
        return _report(facts, model.parameters, width)


def read_model(path: str) -> Model:
    """Read a model of pynn or of the original Rust library; errors are those of `inspect`."""
    start = _start_of(path)
    if _tensors.is_safetensors(start):
        return load(path)
    if start.startswith((_IDX, _GZIP)):
        reading.refuse(path, "begins as an IDX file does, and must be a model")
    kinds.refuse_foreign(path)
    try:
        return nn_rust.load(path)
    except FileFormatError as error:
        why = str(error).removeprefix(f"{reading.shown(path)}: ")
        reading.refuse(
            path,
            f"is none of the files that pynn knows; as a model of the original Rust library: {why}",
        )


def is_same_file(one: str, other: str) -> bool:
    """Tell whether two paths lead to the same existing file."""
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def _start_of(path: str) -> bytes:
    """Read the first bytes of a file, which tell its format."""
    with reading.opened(path) as file:
        return file.read(9)


def _facts_of(model: Model, path: str, *, own: bool) -> dict[str, str]:
    """Describe the model in a file, without its arrays; `own` tells that the file is pynn's."""
    chain = {"chain": str(model._spec), "parameters": f"{model.parameter_count:,}"}
    if not own:
        return {"kind": "model of the original Rust library", **chain}
    kind = {"kind": "model of pynn"}
    if model_file.load(path).run is not None:
        kind = _facts_of_run(path)
    if model.classes is not None:
        chain["classes"] = class_names.shown(model.classes)
    return {**kind, **chain, "seed": str(model.seed), "epochs": f"{model.epochs_trained:,}"}


def _facts_of_run(path: str) -> dict[str, str]:
    """Describe the position of a checkpoint's run."""
    with Model.resume(path) as model:
        assert model._engine.resumed is not None
        run, _ = model._engine.resumed
        where = f"{run.epoch} of {run.plan.epochs} epochs done"
        if run.step:
            where += f", {run.step} steps of the next"
    return {"kind": "checkpoint of pynn", "run": where}


def _report(
    facts: Mapping[str, str], arrays: Mapping[str, npt.NDArray[Any]], most: int | None
) -> str:
    """Format the facts and a table of the arrays."""
    head = ("tensor", "dtype", "shape", "min", "mean", "max", "")
    table = [head, *(_row(name, array) for name, array in arrays.items())]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [_line(row, widths) for row in table]
    if most is not None and max(map(len, lines)) > most:
        lines = [line for row in table[1:] for line in _stacked(head, row)]
    return "\n".join([_listed(facts), "", *lines])


def _stacked(head: Sequence[str], row: Sequence[str]) -> list[str]:
    """Format a row of the table in two lines, for a narrow terminal."""
    figures = [f"{name} {cell}".strip() for name, cell in zip(head[3:], row[3:], strict=True)]
    return ["  ".join(row[:3]), f"    {'  '.join(one for one in figures if one)}"]


def _listed(facts: Mapping[str, str]) -> str:
    """Format the facts, a line for each."""
    return "\n".join(f"{name:<12}{fact}" for name, fact in facts.items())


def _line(row: Iterable[str], widths: Iterable[int]) -> str:
    """Format a row of the table: words are aligned left, numbers right."""
    cells = [
        cell.ljust(width) if column in (0, 1, 2, 6) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _row(name: str, array: npt.NDArray[Any]) -> tuple[str, ...]:
    """List name, dtype, shape, and minimum, mean and maximum of an array's finite values."""
    shape = " x ".join(map(str, array.shape)) or "one"
    remark = ""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        finite = array[np.isfinite(array)]
        remark = f"{array.size - finite.size:,} not finite"
        array = finite
    statistics = ("", "", "")
    if array.size > 0:
        wide = np.longdouble if array.dtype == np.float64 else np.float64
        with np.errstate(over="ignore"):  # longdouble is not wider than float64 on all machines
            mean = float(array.mean(dtype=wide))
        statistics = (_number(array.min().item()), _number(mean), _number(array.max().item()))
    return name, str(array.dtype), shape, *statistics, remark


def _number(value: float) -> str:
    """Format a number of the table: an integer with all its digits, another with four."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"
