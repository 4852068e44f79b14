"""Files of torch.save, and what leads from a checkpoint to its state_dict; without PyTorch."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from pytorch_states import (
    CHAIN,
    Arrays,
    Module,
    Tensor,
    X,
    file_of_torch,
    modules,
    pretend_torch,
    refusal,
)

import pynn
from pynn.formats import pytorch

torch_file = pytest.fixture(file_of_torch)

LOAD = r"torch\.load\(path, weights_only=True\)"


@pytest.mark.parametrize("version", ["2.9.1", "1.13.0+cu117"])
def test_a_torch_that_may_run_what_a_file_holds_is_not_used(
    version: str, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loader of such a version is not called."""
    pretend_torch(monkeypatch, lambda *_, **__: pytest.fail("it was"), __version__=version)
    with pytest.raises(ImportError, match=r"install 2\.10 or later"):
        pytorch.load(torch_file, CHAIN)


@pytest.mark.parametrize("start", [b"PK\3\4", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."])
def test_files_of_torch_are_read_by_torch(
    start: bytes, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in them is executed, and tensors come to the CPU; old and new files are read."""
    calls = []

    def load(file: BinaryIO, **options: object) -> Arrays:
        calls.append((file.name, file.tell(), options))
        return modules("0", "2")

    torch_file.write_bytes(start)
    pretend_torch(monkeypatch, load)
    model = pytorch.load(torch_file, CHAIN)
    assert calls == [(str(torch_file), 0, {"map_location": "cpu", "weights_only": True})]
    np.testing.assert_array_equal(model(X), pytorch.load(modules("0", "2"), CHAIN)(X))


def test_without_torch_the_way_out_is_named(
    torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra, or a file that needs no PyTorch."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError) as caught:
        pytorch.load(torch_file, CHAIN)
    assert "pip install 'pynn-blas[pytorch]'" in str(caught.value)
    assert "safetensors.torch.save_file(" in str(caught.value)
    with pytest.raises(ImportError, match=r"pip install 'pynn-blas\[pytorch\]'"):
        pytorch.state_dict(CHAIN.build())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (RuntimeError("bad zip\nmore words"), "torch.load refuses it: bad zip$"),
        (ValueError(), "torch.load refuses it: ValueError$"),
        ([1, 2], "holds no state_dict but a list; save module.state_dict()"),
        ({"model": {}, "epoch": 3}, "'model' holds no tensor but a dict; .*pass it alone"),
        ({"epoch": 3}, "'epoch' must be a tensor or a NumPy array, got int 3$"),
        ([{"lr": 1}, modules("0")], f"holds no state_dict but a list; .* alone: {LOAD}\\[1\\]$"),
        (RuntimeError("Cannot use TorchScript archives ..."), ".*torch.jit.load"),
        (ValueError("\x1b[1mbold\x1b[0m\x1b]0;x\x07"), r".*: bold\\x1b\]0;x\\x07$"),
    ],
)
def test_files_of_torch_that_hold_something_else(
    content: object, words: str, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused, with torch's own first line where torch refuses them."""

    def load(*arguments: object, **options: object) -> object:
        if isinstance(content, Exception):
            raise content
        return content

    pretend_torch(monkeypatch, load)
    with pytest.raises(pynn.FileFormatError, match=f"^{torch_file}: {words}"):
        pytorch.load(torch_file, CHAIN)


STATE = modules("0", "2")
NAN = np.float64("nan")


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (
            {"epoch": 3, "model_state_dict": STATE, "optimizer_state_dict": {}},
            ["['model_state_dict']"],
        ),
        ({"loss": NAN, "state_dict": STATE}, ["['state_dict']"]),
        ({"model": {"args": {}, "state_dict": STATE}, "epoch": 3}, ["['model']['state_dict']"]),
        ({"epoch": 3, "nets": [{"lr": 0.1}, (STATE,)]}, ["['nets'][1][0]"]),
        ({"ema": modules("1"), "step": 1, "model": STATE}, ["['ema']", "['model']"]),
        ({0: STATE}, ["[0]"]),
        ({"net": STATE, "same": STATE}, ["['net']"]),
        ({"epoch": 3, "it's\n": STATE}, ["""[\"it's\\n\"]"""]),
        ({"epoch": 3, "opt": {"state": {0: {"exp_avg": X}}}, "net": STATE}, ["['net']"]),
    ],
)
@pytest.mark.parametrize("kind", ["mapping", "file"])
def test_a_checkpoint_leads_to_its_state_dict(
    content: Any, places: list[str], kind: str, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error ends in Python code that takes the state_dict, wherever it is in the checkpoint."""
    pretend_torch(monkeypatch, lambda *_, **__: content)
    source, error, whole = torch_file, pynn.FileFormatError, "torch.load(path, weights_only=True)"
    if kind == "mapping":
        source, error, whole = content, pynn.ArgumentTypeError, "state_dict"
    with pytest.raises(error) as caught:
        pytorch.load(source, CHAIN)
    assert str(caught.value).endswith(" alone: " + ", ".join(whole + place for place in places))
    for place in places:
        assert "0.weight" in eval(f"content{place}") or place == "['ema']"


class WholeModule(Module):
    """As much of a torch.nn.Module as tells it from an optimizer."""

    named_parameters = Module.state_dict


def test_a_module_in_a_checkpoint() -> None:
    """A module is found by its state_dict; an optimizer has one, too, but no parameters."""
    with pytest.raises(pynn.ArgumentTypeError, match=r"state_dict\['net'\]\.state_dict\(\)$"):
        pytorch.load({"optimizer": Module(), "net": WholeModule()}, CHAIN)


def test_containers_that_hold_themselves() -> None:
    """Each container is looked into once."""
    content: dict[str, Any] = {"epoch": 3, "later": [STATE]}
    content["again"] = content["later"]
    content["later"].insert(0, content)
    with pytest.raises(pynn.ArgumentTypeError, match=r"alone: state_dict\['later'\]\[1\]$"):
        pytorch.load(content, CHAIN)


def test_a_state_dict_with_other_things() -> None:
    """The error says to leave the other entries out."""
    with pytest.raises(pynn.ArgumentTypeError, match=r"'epoch' .*int 3; leave out what is no"):
        pytorch.load({**STATE, "epoch": 3}, CHAIN)


@pytest.mark.parametrize("name", ["numpy._core.multiarray.scalar", "__main__.Net"])
def test_what_torch_does_not_load_is_said_in_few_words(
    name: str, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what is in the file and two ways to go on, not half a page of PyTorch's."""
    page = (
        "Weights only load failed. This file can still be loaded, \x1b[1mdo those steps\x1b[0m\n"
        f"\tWeightsUnpickler error: Unsupported global: GLOBAL {name} was not an allowed global"
    )

    def load(*arguments: object, **options: object) -> object:
        raise pickle.UnpicklingError(page)

    pretend_torch(monkeypatch, load)
    message = refusal(torch_file)
    assert f"more than tensors and plain values: {name}. " in message
    assert "x1b" not in message and "do those steps" not in message
    assert "torch.save(module.state_dict(), path)" in message
    assert message.endswith("content.state_dict() of a whole module")


@pytest.mark.parametrize("error", [OSError("gone"), MemoryError()])
def test_errors_of_the_system_pass(
    error: Exception, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of the operating system are raised unchanged: the file is not at fault."""

    def load(*arguments: object, **options: object) -> object:
        raise error

    pretend_torch(monkeypatch, load)
    with pytest.raises(type(error)):
        pytorch.load(torch_file, CHAIN)


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
def test_tensors_in_a_mapping(dtype: str) -> None:
    """They are read as arrays are."""
    arrays = modules("0", "2")
    tensors = {name: Tensor(array, dtype) for name, array in arrays.items()}
    model = pytorch.load(tensors, CHAIN)
    np.testing.assert_array_equal(model(X), pytorch.load(arrays, CHAIN)(X))


def test_tensors_that_are_no_arrays() -> None:
    """The error says why, in PyTorch's words."""
    tensors = {k: Tensor(array, "torch.float16") for k, array in modules("0", "2").items()}
    with pytest.raises(pynn.ArgumentTypeError, match=r"'0\.weight' cannot be .* the meta device"):
        pytorch.load(tensors, CHAIN)


def test_tensors_of_a_file_that_are_no_arrays(
    torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the file."""
    tensors = {k: Tensor(array, "torch.float16") for k, array in modules("0", "2").items()}
    pretend_torch(monkeypatch, lambda *_, **__: tensors)
    with pytest.raises(pynn.FileFormatError, match=f"^{torch_file}: '0.weight' cannot be read"):
        pytorch.load(torch_file, CHAIN)
