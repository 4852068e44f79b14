"""Model files: safetensors, with the architecture as JSON in the metadata.

The metadata has three entries: "format" is "pynn", "format_version" is "1", and "model" is JSON:
the chain (see `Spec.to_dict`), the seed, and how many epochs and steps were trained. A checkpoint
has a fourth, "run": JSON that says of what call of `fit` it is and where that stands (`Run.keep`).
The tensors are the named parameters of `Model.parameters`, float32; in a checkpoint also, flat, the
optimizer's moments and the best parameters of early stopping. What is the same gives the same
bytes.

An entry that is not known is refused, wherever it stands: it may change what the model is. So files
that need something new cannot be misread by an older pynn, and the version changes only where the
meaning of an old entry does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pynn._base import checks, reading
from pynn._base.atomic import write_atomically
from pynn._base.errors import (
    ArgumentError,
    FileFormatError,
    OutOfMemoryError,
    PynnError,
)
from pynn._base.reading import refuse
from pynn._files.safetensors import Reader
from pynn._native import state
from pynn._native.network import Network
from pynn._network import parameters
from pynn._network.parameters import ParameterView
from pynn._network.snapshot import Snapshot
from pynn._network.spec import MAX_LAYERS, Spec

FORMAT = "pynn"
FORMAT_VERSION = "1"
MOMENTS = tuple(f"optimizer.{name}" for name in state.MOMENTS)
"""The names that a checkpoint keeps an optimizer's moments by."""

ARRAYS = (*MOMENTS, "best")
ENTRIES = ("format", "format_version", "model", "run")

MAX_MODEL_ITEMS = 64 + 16 * MAX_LAYERS
"""Of the JSON of a model: a layer has up to six."""

MAX_RUN_OBJECTS = 256
"""Of the JSON of a run: its optimizer, schedules within schedules, and early stopping."""

RUN_ITEM_NBYTES = 4
"""Of the JSON of a run at least, where most of it is a list of eight items an epoch."""


def save(path: str | os.PathLike[str], snapshot: Snapshot) -> None:
    """Write a model file; a crash leaves the old file or the new one.

    Raises:
        OSError: The file cannot be written.
    """
    import json  # here, since it takes a while and only files need it

    from safetensors.numpy import save as to_bytes

    model = snapshot.spec.to_dict()
    model |= {"seed": snapshot.seed, "epochs_trained": snapshot.epochs_trained}
    model |= {"steps_trained": snapshot.steps_trained}
    metadata = {"format": FORMAT, "format_version": FORMAT_VERSION, "model": json.dumps(model)}
    if snapshot.run is not None:
        metadata["run"] = json.dumps(snapshot.run)
    named = {**snapshot.named, **snapshot.arrays}
    write_atomically(path, _in_order(to_bytes(named, metadata)))


def _in_order(contents: bytes) -> bytes:
    """The same file with its metadata in alphabetical order; safetensors takes a new one each time.

    A file is the length of its header in 8 bytes, the header, JSON padded with blanks, and data.
    """
    import json

    begin, end = 8, 8 + int.from_bytes(contents[:8], "little")
    header = json.loads(contents[begin:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + contents[end:]


def load(path: str | os.PathLike[str]) -> Snapshot:
    """Read a model file.

    Raises:
        OSError: It is not there, is no ordinary file, or cannot be read.
        FileFormatError: It is no model file of a version that this pynn knows, or damaged.
    """
    with reading.opened(path) as file:
        return _read(Reader(os.fspath(path), file))


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Check that what lies in the place of a checkpoint is one, or empty: else it would be lost.

    Raises:
        ArgumentError: It is something else.
    """
    name = os.fspath(path)
    try:
        with reading.opened(path) as file:
            if not file.read(1):
                return
            metadata = Reader(name, file).metadata
    except FileFormatError:
        metadata = {}
    except OSError:  # there is none; or to write it says what is wrong
        return
    if metadata.get("format") != FORMAT or "run" not in metadata:
        what = "a model without a run" if metadata.get("format") == FORMAT else "no checkpoint"
        raise ArgumentError(
            f"checkpoint must be a file to keep the run in, and {reading.shown(name)} is {what},"
            " which would be lost: give another name, or remove it"
        )


def _read(file: Reader) -> Snapshot:
    """The model in an open file. Allocates nothing large before it has compared the shapes."""
    name, metadata = file.name, file.metadata
    if metadata.get("format") != FORMAT:
        refuse(name, "not a model of pynn: its metadata has no entry 'format' that is 'pynn'")
    version = metadata.get("format_version")
    if version != FORMAT_VERSION:
        refuse(
            name,
            f"format version {version!r} is unknown; this pynn reads version {FORMAT_VERSION!r}."
            " A newer pynn may read it",
        )
    try:
        checks.no_others("its metadata", metadata, ENTRIES)
        spec, seed, epochs_trained, steps_trained = _parse(metadata.get("model", ""))
        run = _parse_run(metadata["run"]) if "run" in metadata else None
        network = Network(spec)
    except OutOfMemoryError:
        raise
    except (ValueError, TypeError, LookupError, RecursionError, PynnError) as error:
        why = f"it has no entry {error}" if isinstance(error, KeyError) else str(error)
        refuse(name, f"the description of the model in its metadata is damaged: {why}")
    views = parameters.views(spec)
    _compare(file, views, network.parameter_count, is_checkpoint=run is not None)
    values = network.new_parameters()
    for key, view in parameters.named(views, values).items():
        file.read_into(key, view)
    arrays = {key: file.read(key) for key in ARRAYS if key in file.tensors}
    return Snapshot(spec, values, seed, epochs_trained, steps_trained, run, arrays)


def _compare(
    file: Reader, views: Sequence[ParameterView], count: int, *, is_checkpoint: bool
) -> None:
    """Check that the file has just the tensors that the network needs, each of the right form."""
    name = file.name
    shapes = {view.name: list(view.shape) for view in views}
    keys = set(file.tensors)
    if is_checkpoint:
        shapes |= {key: [count] for key in keys.intersection(ARRAYS)}
    if missing := sorted(shapes.keys() - keys):
        refuse(name, f"tensors are missing: {', '.join(missing)}")
    if extra := sorted(keys - shapes.keys()):
        refuse(name, f"tensors that the model does not have: {', '.join(extra)}")
    for key, shape in shapes.items():
        tensor = file.tensors[key]
        if tensor.dtype != "F32":
            refuse(name, f"tensor {key} must be of dtype F32 (float32), is {tensor.dtype}")
        if list(tensor.shape) != shape:
            refuse(name, f"tensor {key} must have shape {shape}, has {list(tensor.shape)}")


def _parse(text: str) -> tuple[Spec, int, int, int]:
    """Read the JSON of the metadata; all of it is checked."""
    model: dict[str, Any] = reading.parse_json(
        text.encode(), most_objects=MAX_MODEL_ITEMS, most_items=MAX_MODEL_ITEMS
    )
    if not isinstance(model, dict):
        raise ValueError(f"expected an object, got {checks.describe(model)}")
    own = ("seed", "epochs_trained", "steps_trained")
    spec = Spec.from_dict({name: value for name, value in model.items() if name not in own})
    seed = checks.integer("seed", model["seed"], least=0, most=2**64 - 1)
    epochs_trained = checks.integer("epochs_trained", model["epochs_trained"], least=0, most=2**62)
    steps = model.get("steps_trained", 0)  # older files have none
    steps_trained = checks.integer("steps_trained", steps, least=0, most=2**62)
    return spec, seed, epochs_trained, steps_trained


def _parse_run(text: str) -> dict[str, Any]:
    """Read the JSON of a run, which `Run.from_dict` checks."""
    run: dict[str, Any] = reading.parse_json(
        text.encode(),
        most_objects=MAX_RUN_OBJECTS,
        most_items=len(text) // RUN_ITEM_NBYTES + 1000,
    )
    if not isinstance(run, dict):
        raise ValueError(f"a run must be an object, got {checks.describe(run)}")
    return run
