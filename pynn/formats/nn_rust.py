"""Read and write model files of the original Rust library.

All numbers are little-endian:

    u32               number of dims, n
    u32 x n           dims: the width going into each layer, and the last width again
    u32               number of layers, n - 1
    for each layer:
        u8            0 dense, 1 sigmoid, 2 relu, 3 softmax cross-entropy, which is the last
      a dense one goes on with
        u32           rows: its inputs
        u32           columns: its outputs
        u32           length of the bias: its outputs
        float32 x ..  weights, row by row
        float32 x ..  bias

The format has no magic number, no version and no checksum. So the reader checks each number against
the others and against the file's size, before it allocates memory. A weight that is not finite
counts as damage, because pynn does not train such weights.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import BinaryIO, NamedTuple, NoReturn

import numpy as np

from pynn._base import checks, reading, words
from pynn._base.arrays import Floats
from pynn._base.atomic import write_atomically
from pynn._base.errors import ArgumentError, FileFormatError
from pynn._builder import Builder, LayerBuilder
from pynn._model import Model
from pynn._native.network import Network
from pynn._network import parameters
from pynn._network.layers import MAX_WIDTH
from pynn._network.losses import SoftmaxCrossEntropy
from pynn._network.snapshot import Snapshot
from pynn._network.spec import MAX_LAYERS, Spec
from pynn._training.engine import Engine
from pynn.formats._models import checked, finite_snapshot

__all__ = ["load", "save"]

_CODES = {"dense": 0, "sigmoid": 1, "relu": 2, "softmax_cross_entropy": 3}
_KINDS = {code: kind for kind, code in _CODES.items()}
_LOSS = "softmax_cross_entropy"


@words.corrected
def load(path: str | os.PathLike[str], *, seed: int = 0) -> Model:
    """Read a model file of the original Rust library.

    The format does not say how the first weights were drawn. The model's chain says "xavier" for
    dense layers before a sigmoid and "he" for all others; this changes nothing in the model's use.

    Args:
        path: The file. Reading takes no more memory than the file has bytes, whatever sizes the
            file claims.
        seed: The model's seed, in [0, 2**64), which the format does not hold. It decides the order
            of examples if the model is trained further.

    Returns:
        The model, with 0 epochs trained.

    Raises:
        ArgumentTypeError: `path` is not a path, or `seed` is not an integer.
        ArgumentError: `seed` is out of range.
        OSError: The file does not exist or cannot be read.
        FileFormatError: The file has another format or is damaged, or a weight is not finite.
        OutOfMemoryError: There is no memory for the parameters.

    Examples:
        >>> import pynn
        >>> from pynn.formats import nn_rust
        >>> chain = pynn.Builder().input(784).dense(64).relu().dense(10)
        >>> nn_rust.save(chain.softmax_cross_entropy().build(seed=0), "digits.bin")
        >>> nn_rust.load("digits.bin").parameter_count
        50890
    """
    checks.path("path", path)
    seed = checks.integer("seed", seed, least=0, most=2**64 - 1)
    with reading.opened(path) as file:
        try:
            return _read(_Reader(file), seed)
        except FileFormatError as error:
            reading.refuse(os.fspath(path), str(error))


@words.corrected
def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as a file of the original Rust library.

    Dropout layers are left out, as they do nothing in prediction. The format has no place for the
    seed, the number of epochs, and how weights are drawn. A crash leaves the old file or the new
    one. A model that `load` has read is written as the same bytes.

    Args:
        model: A model of dense, relu and sigmoid layers, with softmax_cross_entropy without label
            smoothing.
        path: The file.

    Raises:
        ArgumentTypeError: `model` is not a model, or `path` is not a path.
        ArgumentError: The format does not have one of the layers, or not the loss.
        DivergenceError: A parameter is not finite.
        OSError: The file cannot be written.
        ClosedError: The model is closed.
    """
    checked(model)
    checks.path("path", path)
    _check_expressible(model._spec)
    write_atomically(path, _to_bytes(finite_snapshot(model)))


# ------------------------------------------------------------ write


def _check_expressible(spec: Spec) -> None:
    """Raise an ArgumentError for the first layer or loss that the format does not have."""
    for placed in spec.placed_layers:
        if placed.layer.in_use and placed.layer.kind not in _CODES:
            raise ArgumentError(
                f"layer {placed.number}: {placed.layer.kind}: the original Rust library has only"
                " dense, relu and sigmoid; save the model with Model.save, or build it of those"
                " layers"
            )
    if not isinstance(spec.loss, SoftmaxCrossEntropy):
        raise ArgumentError(
            f"loss: {spec.loss.kind}: the original Rust library has only {_LOSS}; save the model"
            " with Model.save"
        )
    if spec.loss.label_smoothing != 0:
        raise ArgumentError(
            f"loss: {_LOSS} with label_smoothing={spec.loss.label_smoothing}: the original Rust"
            " library has no label smoothing; save the model with Model.save"
        )


def _to_bytes(snapshot: Snapshot) -> bytes:
    """The content of the file, for a model that _check_expressible() accepts."""
    spec, named = snapshot.spec, snapshot.named
    layers = [placed for placed in spec.placed_layers if placed.layer.in_use]
    # In this format the loss is a layer, too; its width is that of the outputs.
    dims = [spec.inputs, *(placed.outputs for placed in layers), spec.outputs]
    pieces = [struct.pack(f"<{len(dims) + 2}I", len(dims), *dims, len(layers) + 1)]
    for placed in layers:
        pieces.append(bytes([_CODES[placed.layer.kind]]))
        if placed.parameters:
            sizes = placed.inputs, placed.outputs, placed.outputs
            pieces.append(struct.pack("<3I", *sizes))
        for parameter in placed.parameters:
            array = named[f"{placed.name}.{parameter.name}"]
            pieces.append(array.astype("<f4").tobytes())
    pieces.append(bytes([_CODES[_LOSS]]))
    return b"".join(pieces)


# ------------------------------------------------------------ read


class _Entry(NamedTuple):
    """A layer in a file."""

    kind: str
    outputs: int
    offset: int
    """Where the weights of a dense layer begin in the file, in bytes; 0 for other kinds."""


class _Reader:
    """An open file, read from front to back. It refuses to read beyond the end of the file."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.nbytes = os.fstat(file.fileno()).st_size
        self.offset = 0

    def skip(self, nbytes: int, what: str) -> int:
        """Skip some bytes; return the offset at which they begin.

        Raises:
            FileFormatError: The file has fewer bytes left; `what` says what they would be.
        """
        begin, left = self.offset, self.nbytes - self.offset
        if nbytes > left:
            _refuse(f"truncated: {what} needs {nbytes} bytes at {begin}, and {left} are left")
        self.offset += nbytes
        return begin

    def fill(self, begin: int, array: Floats) -> None:
        """Fill an array with the floats that begin at an offset."""
        self.file.seek(begin)
        reading.fill(self.file, array)
        array[...] = array.view("<f4")  # swaps the bytes where the machine has another order

    def read_u32(self, what: str, count: int = 1) -> tuple[int, ...]:
        """Read unsigned integers of four bytes each."""
        self.file.seek(self.skip(4 * count, what))
        data = self.file.read(4 * count)
        if len(data) != 4 * count:
            _refuse("the file became shorter while it was read")
        return struct.unpack(f"<{count}I", data)

    def read_u8(self, what: str) -> int:
        """Read an unsigned integer of one byte."""
        self.file.seek(self.skip(1, what))
        data = self.file.read(1)
        if not data:
            _refuse("the file became shorter while it was read")
        return data[0]


def _refuse(why: str) -> NoReturn:
    raise FileFormatError(f"{why}; it is damaged, or not a model of the original Rust library")


def _read(reader: _Reader, seed: int) -> Model:
    """Read the model in an open file: check all of its structure first, then allocate memory."""
    inputs, entries = _parse(reader)
    spec = _chain(inputs, entries)
    network = Network(spec)
    values = network.new_parameters()
    views = parameters.views(spec)
    dense = [(n, entry) for n, entry in enumerate(entries, start=1) if entry.kind == "dense"]
    for (number, entry), weight, bias in zip(dense, views[::2], views[1::2], strict=True):
        part = values[weight.offset : bias.end]  # side by side, as in the file
        reader.fill(entry.offset, part)
        if not np.isfinite(part).all():
            _refuse(f"layer {number}: dense: its parameters hold {_first_not_finite(part)}")
    return Model(Engine(spec, network, values, seed))


def _first_not_finite(array: Floats) -> float:
    return float(array[~np.isfinite(array)][0])


def _parse(reader: _Reader) -> tuple[int, list[_Entry]]:
    """Read and check the structure of a file.

    Returns:
        The number of inputs, and the layers without the loss.
    """
    [dim_count] = reader.read_u32("the number of dims")
    if not 3 <= dim_count <= MAX_LAYERS + 2:  # at least a dense layer and the loss
        _refuse(f"the number of dims is {dim_count}, and must be in [3, {MAX_LAYERS + 2}]")
    dims = reader.read_u32(f"the list of {dim_count} dims", dim_count)
    for index, dim in enumerate(dims):
        if not 1 <= dim <= MAX_WIDTH:
            _refuse(f"dims[{index}] is {dim}, and must be in [1, {MAX_WIDTH}]")
    [layer_count] = reader.read_u32("the number of layers")
    if layer_count != dim_count - 1:
        _refuse(f"{dim_count} dims need {dim_count - 1} layers, and it says {layer_count}")
    entries = [
        _parse_layer(reader, number, width, outputs, is_last=number == layer_count)
        for number, (width, outputs) in enumerate(pairwise(dims), start=1)
    ]
    if reader.offset != reader.nbytes:
        _refuse(f"{reader.nbytes - reader.offset} bytes follow the last layer")
    if all(entry.kind != "dense" for entry in entries):
        _refuse("none of its layers is dense")
    return dims[0], entries[:-1]


def _parse_layer(
    reader: _Reader, number: int, inputs: int, outputs: int, *, is_last: bool
) -> _Entry:
    """Read one layer and check it against the dims before and after it."""
    code = reader.read_u8(f"the kind of layer {number}")
    kind = _KINDS.get(code)
    if kind is None:
        _refuse(f"layer {number} is of the unknown kind {code}; kinds are 0 to 3")
    if (kind == _LOSS) != is_last:
        which = "the last layer" if is_last else f"layer {number}, before the last,"
        _refuse(f"{which} is {kind}; the last one, and no other, must be {_LOSS}")
    if kind != "dense":
        if inputs != outputs:
            _refuse(
                f"layer {number}: {kind}: the dims must be the same before and after it, and are"
                f" {inputs} and {outputs}"
            )
        return _Entry(kind, outputs, 0)
    rows, columns, bias = reader.read_u32(f"the sizes of layer {number}", 3)
    if (rows, columns, bias) != (inputs, outputs, outputs):
        _refuse(
            f"layer {number}: dense: the dims say {inputs} x {outputs}, and the layer says"
            f" {rows} x {columns} with a bias of {bias}"
        )
    nbytes = 4 * (rows * columns + bias)
    return _Entry(kind, outputs, reader.skip(nbytes, f"layer {number}: dense, {rows} x {columns},"))


def _chain(inputs: int, entries: Sequence[_Entry]) -> Spec:
    """Make the chain that a file's layers describe."""
    chain: LayerBuilder = Builder().input(inputs)
    following = [entry.kind for entry in entries[1:]]
    for entry, after in zip(entries, [*following, _LOSS], strict=True):
        if entry.kind == "dense":
            chain = chain.dense(entry.outputs, init="xavier" if after == "sigmoid" else "he")
        else:
            chain = chain.sigmoid() if entry.kind == "sigmoid" else chain.relu()
    return chain.softmax_cross_entropy()._spec
