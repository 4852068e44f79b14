"""state_dicts as PyTorch's modules have them, and something in the place of PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn.formats import pytorch

Arrays = dict[str, npt.NDArray[Any]]

BUILDER = pynn.Builder().input(3).dense(4).relu().dropout(0.25).dense(2)
CHAIN = BUILDER.softmax_cross_entropy()
X = np.random.default_rng(50).normal(size=(7, 3)).astype(np.float32)


def linear(outputs: int, inputs: int, seed: int = 0) -> tuple[Any, Any]:
    """Weight and bias as torch.nn.Linear(inputs, outputs) has them."""
    rng = np.random.default_rng([seed, outputs, inputs])
    return (
        rng.normal(size=(outputs, inputs)).astype(np.float32),
        rng.normal(size=outputs).astype(np.float32),
    )


def modules(*names: str, sizes: tuple[int, ...] = (3, 4, 2)) -> Arrays:
    """A state_dict of Linear modules between layers of these sizes."""
    arrays: Arrays = {}
    for number, name in enumerate(names):
        dot = "." if name else ""
        weight, bias = linear(sizes[number + 1], sizes[number], seed=number)
        arrays |= {f"{name}{dot}weight": weight, f"{name}{dot}bias": bias}
    return arrays


def refusal(source: Any, chain: Any = CHAIN, **options: Any) -> str:
    """What load says of a mapping that it refuses, or of a file."""
    kind = pynn.FileFormatError if isinstance(source, (str, Path)) else pynn.ArgumentError
    with pytest.raises(kind) as caught:
        pytorch.load(source, chain, **options)
    return str(caught.value)


SQUARE = pynn.Builder().input(3).dense(3).relu().dense(3).relu().dense(3).softmax_cross_entropy()


class Module:
    """Something with a state_dict of its own."""

    def state_dict(self) -> Arrays:
        """Its arrays."""
        return modules("0", "2")


def file_of_torch(tmp_path: Path) -> Path:
    """A file that begins as those of torch.save do."""
    path = tmp_path / "model.pt"
    path.write_bytes(b"PK\3\4" + bytes(40))
    return path


def pretend_torch(
    monkeypatch: pytest.MonkeyPatch, load: Callable[..., object], **names: object
) -> None:
    """Put a module in torch's place, with a load() of our own."""
    module = ModuleType("torch")
    vars(module).update({"load": load, "__version__": "2.13.0+cpu", **names})
    monkeypatch.setitem(sys.modules, "torch", module)


class Tensor:
    """As much of a torch.Tensor as is needed of one; numpy() refuses bfloat16 as that does."""

    def __init__(self, array: npt.NDArray[Any], dtype: str = "torch.float32") -> None:
        self.array, self.dtype, self.shape = array, dtype, array.shape

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def float(self) -> Tensor:
        return Tensor(self.array)

    def numpy(self) -> npt.NDArray[Any]:
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        if self.dtype == "torch.float16":
            raise RuntimeError("a tensor on the meta device")
        return self.array
