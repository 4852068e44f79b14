"""Make files with pynn on one machine, and read those of another: scripts/_big_endian.py runs this.

    python scripts/_big_endian_files.py OUT            write all files into a folder
    python scripts/_big_endian_files.py OUT OTHERS     the same, and read those of another machine

All arrays are made by integer arithmetic, so two builds with -Dsame_bits=true must write the same
bytes. Only pickles have arrays in the byte order of the machine: they are compared by the file that
the unpickled model saves.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

import pynn
from pynn.datasets import read_idx, write_idx
from pynn.formats import nn_rust, pytorch

ROWS, INPUTS, CLASSES = 60, 12, 3
IN_PYTORCH = ("image", "plain")
IDX_DTYPES = ("uint8", "int8", "int16", "int32", "float32", "float64")

# NumPy 2 names this module in a pickle; an older NumPy knows it by another name.
if not hasattr(np, "_core"):
    sys.modules.update({"numpy._core": np.core, "numpy._core.multiarray": np.core.multiarray})

_count = np.arange(ROWS * INPUTS).reshape(ROWS, INPUTS)
BYTES = ((_count * _count * 7 + _count * 5) % 251).astype(np.uint8)
FLOATS = (BYTES.astype(np.float32) - np.float32(125)) / np.float32(64)
LABELS = BYTES[:, :CLASSES].argmax(axis=1)
TABLE = {"width": FLOATS[:, 0], "colour": np.array(["red", "green", "blue"])[LABELS]}

_flat = pynn.Builder().input(INPUTS).standardize().dense(8).layer_norm().gelu().dropout(0.2)
_image = pynn.Builder().input((1, 3, 4)).conv2d(4, 2, padding=1).batch_norm().relu()
_table = pynn.Columns(["width"], {"colour": ["blue", "green", "red"]}, embedding=2)
_columns = pynn.Builder().input(_table)
CHAINS: dict[str, tuple[pynn.FinishedBuilder, Any]] = {
    "flat": (_flat.dense(CLASSES).softmax_cross_entropy(), FLOATS),
    "image": (_image.max_pool2d(2).flatten().dense(CLASSES).softmax_cross_entropy(), BYTES),
    "table": (_columns.dense(CLASSES).softmax_cross_entropy(), TABLE),
    "plain": (pynn.Builder().input(INPUTS).dense(CLASSES).softmax_cross_entropy(), FLOATS),
}


def rows_of(name: str) -> Any:
    """The examples of a chain."""
    return CHAINS[name][1] if name != "image" else BYTES.reshape(ROWS, 1, 3, 4)


def numbers(dtype: str) -> np.ndarray:
    """The numbers of an IDX file of a dtype."""
    return BYTES if dtype == "uint8" else (FLOATS * 20).astype(dtype)


def fit(model: pynn.Model, name: str, epochs: int, path: Path | None = None) -> None:
    """Train a model of a chain up to an epoch, with a checkpoint after each if there is a path."""
    every = None if path is None else 1
    optimizer, rows = pynn.Adam(learning_rate=0.01), rows_of(name)
    model.fit(rows, LABELS, epochs=epochs, batch_size=16, optimizer=optimizer,
              checkpoint=path, every=every)  # fmt: skip


def write(folder: Path) -> None:
    """Write all files into a folder."""
    for name, (chain, _) in CHAINS.items():
        model = chain.build(seed=5)
        fit(model, name, 2, folder / f"{name}.checkpoint")
        model.save(folder / f"{name}.safetensors")
        model.export_c(folder / f"{name}.c")
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(model))
        np.savetxt(folder / f"{name}.probabilities.txt", model.predict_proba(rows_of(name)), "%.9g")
        if name in IN_PYTORCH:
            pytorch.save(model, folder / f"{name}.pytorch.safetensors")
    nn_rust.save(pynn.load(folder / "plain.safetensors"), folder / "plain.nn_rust")
    for dtype in IDX_DTYPES:
        array = numbers(dtype)
        write_idx(folder / f"{dtype}.idx", array)
        write_idx(folder / f"{dtype}.idx.gz", array)
        # The same numbers in the other byte order, as files of another machine may give them.
        write_idx(folder / f"{dtype}.swapped.idx", array.astype(array.dtype.newbyteorder()))
    go_on(folder, folder)


def go_on(source: Path, folder: Path) -> None:
    """Read the files of a folder, and write what comes of them to another."""
    for name, (chain, _) in CHAINS.items():
        pynn.load(source / f"{name}.safetensors").save(folder / f"{name}.again.safetensors")
        pickled = pickle.loads((source / f"{name}.pickle").read_bytes())
        pickled.save(folder / f"{name}.unpickled.safetensors")
        resumed = pynn.Model.resume(source / f"{name}.checkpoint")
        fit(resumed, name, 3)
        resumed.save(folder / f"{name}.resumed.safetensors")
        if name in IN_PYTORCH:
            model = pytorch.load(source / f"{name}.pytorch.safetensors", chain)
            model.save(folder / f"{name}.from_pytorch.safetensors")
    nn_rust.save(nn_rust.load(source / "plain.nn_rust"), folder / "plain.again.nn_rust")
    for dtype in IDX_DTYPES:
        for ending in "idx", "idx.gz", "swapped.idx":
            array = read_idx(source / f"{dtype}.{ending}")
            if not np.array_equal(array, numbers(dtype)):
                raise SystemExit(f"{source / dtype}.{ending}: other numbers")
            write_idx(folder / f"{dtype}.again.{ending}", array)


if __name__ == "__main__":
    out, *others = map(Path, sys.argv[1:])
    print(f"{sys.byteorder}-endian, pynn in {pynn.build_info()['package']}")
    out.mkdir(parents=True)
    write(out)
    for other in others:
        (out / "others").mkdir()
        go_on(other, out / "others")
