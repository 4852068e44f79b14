"""state_dicts that pynn writes, and PyTorch itself reading and writing them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytorch_states import BUILDER, CHAIN, Tensor, X, pretend_torch, refusal
from safetensors.numpy import load_file

import pynn
from pynn.formats import pytorch

# ------------------------------------------------------------ what is written


@pytest.mark.parametrize(
    ("chain", "names"),
    [
        (BUILDER, ["0", "3"]),  # 1 is ReLU, 2 dropout
        (pynn.Builder().input(3).relu().dense(2), ["1"]),
        (pynn.Builder().input(3).dense(2).dense(2).gelu().dense(2), ["0", "1", "3"]),
    ],
)
def test_saved_names_are_places_in_a_sequential(
    chain: pynn.LayerBuilder, names: list[str], path: Path
) -> None:
    """Weights as PyTorch has them; what is saved can be loaded, and nothing is left beside it."""
    model = chain.softmax_cross_entropy().build(seed=3)
    pytorch.save(model, path)
    arrays = load_file(path)
    assert sorted(arrays) == sorted(f"{n}.{kind}" for n in names for kind in ("weight", "bias"))
    for number, name in enumerate(names, start=1):
        np.testing.assert_array_equal(
            arrays[f"{name}.weight"], model.parameters[f"dense{number}.weight"].T
        )
    loaded = pytorch.load(path, chain.softmax_cross_entropy())
    np.testing.assert_array_equal(loaded(X), model(X))
    assert os.listdir(path.parent) == [path.name]


def test_saved_names_can_be_chosen(path: Path) -> None:
    """One for each dense layer; the same model gives the same bytes."""
    model = CHAIN.build(seed=3)
    pytorch.save(model, path, names=["z", "head"])
    first = path.read_bytes()
    assert sorted(load_file(path)) == ["head.bias", "head.weight", "z.bias", "z.weight"]
    pytorch.save(model, path, names=["z", "head"])
    assert path.read_bytes() == first
    loaded = pytorch.load(path, CHAIN, names=["z", "head"])
    np.testing.assert_array_equal(loaded(X), model(X))


def test_wrong_arguments_of_save(path: Path) -> None:
    """They are errors, and nothing is written."""
    model = CHAIN.build()
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model"):
        pytorch.save(path, model)  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got int 3"):
        pytorch.save(model, 3)  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentError, match="each of the 2 dense layers, got 3: a, b, c"):
        pytorch.save(model, path, names=["a", "b", "c"])
    for suffix in (".pt", ".pth"):
        with pytest.raises(pynn.ArgumentError, match=rf"must not end in \{suffix}, .*state_dict"):
            pytorch.save(model, path.with_suffix(suffix))
    model.close()
    with pytest.raises(pynn.ClosedError):
        pytorch.save(model, path)
    assert os.listdir(path.parent) == []


def test_state_dict_has_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by torch.from_numpy of copies, so that training one does not change the other."""
    pretend_torch(monkeypatch, lambda: None, from_numpy=Tensor)
    model = CHAIN.build(seed=3)
    state = pytorch.state_dict(model, names=["a", "b"])
    assert list(state) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    before = model.parameters["dense1.bias"].copy()
    state["a.bias"].array[...] = 7
    np.testing.assert_array_equal(model.parameters["dense1.bias"], before)
    assert state["b.weight"].shape == (2, 4)


# ------------------------------------------------------------ PyTorch itself


@pytest.mark.parametrize("kind", ["tensors", "safetensors", "pt", "old pt", "bfloat16"])
def test_pytorch_and_back(kind: str, tmp_path: Path) -> None:
    """A module's answers are the model's, and the model's tensors go into a module."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    nn = torch.nn

    def make() -> Any:
        return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.25), nn.Linear(4, 2)).eval()

    module = make()
    source: Any = module.state_dict()
    path = tmp_path / kind
    if kind == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(source, path)
    elif kind == "bfloat16":
        source = {name: tensor.bfloat16() for name, tensor in source.items()}
        module.load_state_dict(source)
    elif kind != "tensors":
        torch.save(source, path, _use_new_zipfile_serialization=kind == "pt")
    model = pytorch.load(path if path.exists() else source, CHAIN)
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)

    model = CHAIN.build(seed=8)
    other = make()
    other.load_state_dict(pytorch.state_dict(model))
    with torch.no_grad():
        np.testing.assert_allclose(
            other(torch.from_numpy(X)).numpy(), model(X), rtol=1e-5, atol=1e-6
        )
    pytorch.save(model, tmp_path / "saved.safetensors")
    load_tensors = pytest.importorskip("safetensors.torch").load_file
    make().load_state_dict(load_tensors(tmp_path / "saved.safetensors"))
    # pynn's own files, as docs/formats.md has it.
    model.save(tmp_path / "own.safetensors")
    tensors = load_tensors(tmp_path / "own.safetensors")
    third = make()
    third.load_state_dict(
        {
            "0.weight": tensors["dense1.weight"].T,
            "0.bias": tensors["dense1.bias"],
            "3.weight": tensors["dense2.weight"].T,
            "3.bias": tensors["dense2.bias"],
        }
    )
    for name, tensor in third.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_a_damaged_file_of_torch(tmp_path: Path) -> None:
    """Cut short, or not a tensor in it: refused, with nothing of it executed."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    torch.save({"0.weight": Path("x")}, path)
    assert "torch.load refuses it" in refusal(path)
    torch.save({"0.weight": torch.zeros(2, 3)}, path)
    path.write_bytes(path.read_bytes()[:-50])
    assert "torch.load refuses it" in refusal(path)


@pytest.mark.parametrize("loss", [0.5, np.float64(0.5), np.zeros(2)])
@pytest.mark.parametrize("whole", [False, True])
def test_checkpoints_of_torch(loss: Any, whole: bool, tmp_path: Path) -> None:
    """The tutorials' form, with NumPy's numbers, or with a whole module: the way out is said."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    state = module.state_dict()
    optimizer = torch.optim.Adam(module.parameters()).state_dict()
    content = {"epoch": 3, "model_state_dict": state, "optimizer": optimizer, "loss": loss}
    torch.save({**content, "module": module} if whole else content, path)
    message = refusal(path)
    if whole or not isinstance(loss, float) or isinstance(loss, np.floating):
        assert "more than tensors and plain values: " in message
        assert "\x1b" not in message and r"\x1b" not in message
        content = torch.load(path, weights_only=False)
        pytorch.load(content["model_state_dict"], CHAIN)
    else:
        place = message.partition(" alone: ")[2]
        np.testing.assert_array_equal(
            pytorch.load(eval(place, {"torch": torch, "path": path}), CHAIN)(X),
            pytorch.load(state, CHAIN)(X),
        )


def test_an_archive_of_torchscript(tmp_path: Path) -> None:
    """The error says that torch.jit.load reads it."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(torch.nn.Linear(3, 2)).save(path)
    assert "torch.jit.load(path).state_dict()" in refusal(path)


def test_a_module_that_is_tied(path: Path) -> None:
    """A file that safetensors.torch.save_model wrote is read."""
    torch = pytest.importorskip("torch")
    safetensors_torch = pytest.importorskip("safetensors.torch")
    module = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(3)))
    module[2].weight = module[0].weight
    module[1].bias = module[0].bias
    safetensors_torch.save_model(module, path)
    chain = pynn.Builder().input(3).dense(3).dense(3).dense(3).mean_squared_error()
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(pytorch.load(path, chain)(X), expected, rtol=1e-5, atol=1e-6)
