"""Model files: safetensors, with the architecture as JSON in the metadata.

The metadata has three entries: "format" is "pynn", "format_version" is "1", and "model" is JSON
with the chain (see `Spec.to_dict`), the seed, and the numbers of epochs and steps trained. If the
classes have names, "classes" is a JSON list of them. A checkpoint has an entry "run": JSON with the
arguments of its call of `fit` and the position in this run (see `Run.keep`). The tensors are the
named parameters of `Model.parameters`, float32. A checkpoint also has the optimizer's moments and
the best parameters of early stopping, each as one flat tensor. The same model always gives the same
bytes.

A file with an unknown entry is refused, because the entry may change what the model is. So an older
pynn cannot misread a file that needs something new. The version only has to change when the meaning
of an old entry changes.
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
from pynn._files.safetensors import Reader, to_bytes
from pynn._native import state
from pynn._native.network import Network
from pynn._network import class_names, parameters
from pynn._network.class_names import Names
from pynn._network.parameters import ParameterView
from pynn._network.snapshot import Snapshot
from pynn._network.spec import MAX_LAYERS, Spec

FORMAT = "pynn"
FORMAT_VERSION = "1"
MOMENT_TENSORS = tuple(f"optimizer.{name}" for name in state.MOMENTS)
"""The names of the optimizer's moments in a checkpoint."""

PAIR_TENSORS = tuple(f"optimizer.{letter}{number}" for number in range(1, 101) for letter in "sy")
"""The names of the changes that L-BFGS remembers: "optimizer.s1" is the oldest of the parameters,
"optimizer.y1" that of the gradient."""

ARRAYS = (*MOMENT_TENSORS, *PAIR_TENSORS, "best")
ENTRIES = ("format", "format_version", "model", "run", "classes")

MAX_MODEL_ITEMS = 64 + 16 * MAX_LAYERS
"""The largest number of items in the JSON of a model; a layer has up to six."""

VOCABULARY_ITEM_NBYTES = 3
"""The least size of an item in a long JSON of a model, in bytes: a number, a comma and a blank.

So many items are in the vocabularies of a table."""

MAX_RUN_OBJECTS = 256
"""The most objects in the JSON of a run: its optimizer, nested schedules, and early stopping."""

RUN_ITEM_NBYTES = 4
"""The least size of an item in the JSON of a run, in bytes, on average.

Most of that JSON is a list of eight items for each epoch.
"""


def save(path: str | os.PathLike[str], snapshot: Snapshot) -> None:
    """Write a model file; a crash leaves the old file or the new one.

    Raises:
        OSError: The file cannot be written.
    """
    import json  # here, because the import takes milliseconds and only saving needs it

    model = snapshot.spec.to_dict()
    model |= {"seed": snapshot.seed, "epochs_trained": snapshot.epochs_trained}
    model |= {"steps_trained": snapshot.steps_trained}
    metadata = {"format": FORMAT, "format_version": FORMAT_VERSION, "model": json.dumps(model)}
    if snapshot.classes is not None:
        metadata["classes"] = json.dumps(snapshot.classes)
    if snapshot.run is not None:
        metadata["run"] = json.dumps(snapshot.run)
    named = {**snapshot.named, **snapshot.arrays}
    write_atomically(path, to_bytes(named, metadata))


def load(path: str | os.PathLike[str]) -> Snapshot:
    """Read a model file.

    Raises:
        OSError: The file does not exist, is not an ordinary file, or cannot be read.
        FileFormatError: It is not a model file, has an unknown version, or is damaged.
    """
    with reading.opened(path) as file:
        return _read(Reader(os.fspath(path), file))


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Check that a checkpoint may be written to a path.

    A file that is there would be lost, so it must be an older checkpoint or empty.

    Raises:
        ArgumentError: There is a file of another kind.
    """
    name = os.fspath(path)
    try:
        with reading.opened(path) as file:
            if not file.read(1):
                return
            metadata = Reader(name, file).metadata
    except FileFormatError:
        metadata = {}
    except OSError:  # there is no file; or writing it will raise the error to show
        return
    if metadata.get("format") != FORMAT or "run" not in metadata:
        what = "a model without a run" if metadata.get("format") == FORMAT else "another file"
        raise ArgumentError(
            f"checkpoint must be a new file or an older checkpoint, but {reading.shown(name)} is"
            f" {what}, which would be lost: give another name, or remove it"
        )


def _read(file: Reader) -> Snapshot:
    """Read the model in an open file, and compare all shapes before anything large is allocated."""
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
        classes = _parse_classes(metadata["classes"], spec) if "classes" in metadata else None
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
    return Snapshot(spec, values, seed, epochs_trained, steps_trained, run, arrays, classes)


def _compare(
    file: Reader, views: Sequence[ParameterView], count: int, *, is_checkpoint: bool
) -> None:
    """Check that the file has exactly the tensors of the network, with their dtype and shapes.

    A checkpoint may also have any of `ARRAYS`, each of shape (count,).
    """
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
    """Read and check the JSON of a model: (spec, seed, epochs trained, steps trained)."""
    model: dict[str, Any] = reading.parse_json(
        text.encode(),
        most_objects=MAX_MODEL_ITEMS,
        most_items=max(MAX_MODEL_ITEMS, len(text) // VOCABULARY_ITEM_NBYTES),
    )
    if not isinstance(model, dict):
        raise ValueError(f"expected an object, got {checks.describe(model)}")
    own = ("seed", "epochs_trained", "steps_trained")
    spec = Spec.from_dict({name: value for name, value in model.items() if name not in own})
    seed = checks.integer("seed", model["seed"], least=0, most=2**64 - 1)
    epochs_trained = checks.integer("epochs_trained", model["epochs_trained"], least=0, most=2**62)
    steps = model.get("steps_trained", 0)  # older files do not have this entry
    steps_trained = checks.integer("steps_trained", steps, least=0, most=2**62)
    return spec, seed, epochs_trained, steps_trained


def _parse_classes(text: str, spec: Spec) -> Names:
    """Read and check the JSON of the names of classes."""
    names = reading.parse_json(text.encode(), most_objects=0, most_items=spec.outputs + 1)
    if not isinstance(names, list):
        raise ValueError(f"classes must be a list, got {checks.describe(names)}")
    return class_names.checked("classes", names, spec)


def _parse_run(text: str) -> dict[str, Any]:
    """Read the JSON of a run; `Run.from_dict` checks its entries."""
    run: dict[str, Any] = reading.parse_json(
        text.encode(),
        most_objects=MAX_RUN_OBJECTS,
        most_items=len(text) // RUN_ITEM_NBYTES + 1000,
    )
    if not isinstance(run, dict):
        raise ValueError(f"a run must be an object, got {checks.describe(run)}")
    return run
