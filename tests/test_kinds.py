"""The classes of layers and losses: each is found wherever a kind is asked for."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pynn
from pynn._base.arguments import Arguments
from pynn._native.library import lib
from pynn._native.network import Network
from pynn._network import layers, losses
from pynn._network.layers import Layer, Parameter, Shape
from pynn._network.layers.pool2d import _Pool2d
from pynn._network.losses import Loss, SoftmaxCrossEntropy
from pynn._network.parameters import ParameterView, views
from pynn._network.snapshot import Snapshot
from pynn._network.spec import OTHER_LOSSES, Spec
from pynn.formats import _naming
from pynn.formats._c_forward import Forward
from pynn.formats._tensors import Source, Tensor

PACKAGE = Path(pynn.__file__).parent
BUILDER = pynn.LayerBuilder  # it imports all kinds
NOT_TORCH = ("standardize",)
KINDS: dict[str, type[Layer] | type[Loss]] = {**Layer.kinds, **Loss.kinds}

STEPS = [kind for kind, it in KINDS.items() if not getattr(it, "is_input", False)]
"""Those that are methods of the builder: not what `Builder.input` adds."""


def classes_of(base: type[Arguments], *modules: str) -> set[str]:
    """The names of classes in some modules: derived from a base class, with a kind of their own."""
    return {
        name
        for module in modules
        for name, value in vars(importlib.import_module(module)).items()
        if inspect.isclass(value) and issubclass(value, base) and "kind" in vars(value)
    }


def run_python(code: str) -> str:
    """What a program prints in an interpreter of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# ------------------------------------------------------------ one register


def test_every_class_is_registered() -> None:
    """With the builder the classes of all layers and losses can be found by their kind."""
    modules = [
        f"{layers.__name__}.{module.name}" for module in pkgutil.iter_modules(layers.__path__)
    ]
    of_losses = [module.__name__ for module in (losses, *OTHER_LOSSES)]
    expected = classes_of(Layer, *modules) | classes_of(Loss, *of_losses)
    found = run_python(
        "import pynn; pynn.Builder\n"
        "from pynn._network.layers import Layer\n"
        "from pynn._network.losses import Loss\n"
        "print(*(kind.__name__ for kind in [*Layer.kinds.values(), *Loss.kinds.values()]))"
    )
    assert len(modules) >= 3
    assert set(found.split()) == expected


def test_files_can_name_every_kind_without_the_builder() -> None:
    """What reads a file knows all kinds, in a program that builds no chain."""
    found = run_python(
        "import sys\n"
        "from pynn._files import model_file\n"
        "from pynn._network.layers import Layer\n"
        "from pynn._network.losses import Loss\n"
        "print('pynn._builder' in sys.modules, *Layer.kinds, *Loss.kinds)"
    )
    assert found.split()[0] == "False"
    assert set(found.split()[1:]) == set(KINDS)


@pytest.mark.parametrize("kind", STEPS)
def test_builder_has_a_method_for_every_kind(kind: str) -> None:
    """It takes the options of the class by the same names, with the same defaults."""
    method = inspect.signature(getattr(BUILDER, kind))
    plain = KINDS[kind].__init__ is Arguments.__init__
    constructor = inspect.signature((lambda self: 0) if plain else KINDS[kind].__init__)
    defaults = {name: value.default for name, value in constructor.parameters.items()}
    assert defaults == {name: value.default for name, value in method.parameters.items()}
    assert tuple(defaults)[1:] == KINDS[kind].options


def test_builder_has_no_other_methods() -> None:
    """What the builder offers after the input is the register, layers first."""
    offered = [name for name in vars(BUILDER) if not name.startswith("_")]
    assert sorted(offered) == sorted(STEPS)
    layers_of_steps = [kind for kind in STEPS if kind in Layer.kinds]
    assert set(offered[: len(layers_of_steps)]) == set(layers_of_steps)


@pytest.mark.parametrize("kind", KINDS)
def test_c_has_every_kind(kind: str) -> None:
    """Its name in capitals is in the enum of the C library, with a value of its own."""
    same_sort = Layer.kinds if kind in Layer.kinds else Loss.kinds
    values = [getattr(lib, f"PYNN_{name.upper()}") for name in same_sort]
    assert values.count(getattr(lib, f"PYNN_{kind.upper()}")) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_pytorch_has_every_kind(kind: str) -> None:
    """The class that is said to be the same is there in torch.nn."""
    torch = pytest.importorskip("torch")
    module = KINDS[kind].torch_module
    assert issubclass(getattr(torch.nn, module), torch.nn.Module) if module else kind in NOT_TORCH


def comparisons(tree: ast.AST) -> Iterator[str]:
    """The words that a module compares with something, or looks for in a list."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


@pytest.mark.parametrize(
    "file",
    # The format of nn_rust is closed: it has four kinds and will never have another.
    sorted(set(PACKAGE.rglob("*.py")) - {PACKAGE / "formats/nn_rust.py"}),
    ids=lambda file: str(file.relative_to(PACKAGE)),
)
def test_no_module_asks_for_a_kind_by_name(file: Path) -> None:
    """What differs from kind to kind is in the kind's class, so a new kind needs no other line."""
    words = set(comparisons(ast.parse(file.read_text(encoding="utf-8"))))
    assert words.isdisjoint(KINDS)


# ------------------------------------------------------------ pure Python

PURE = """
import importlib, pkgutil, sys, types
from pathlib import Path
from types import SimpleNamespace
package = types.ModuleType("pynn")  # in the place of pynn/__init__.py, which loads the extension
package.__path__ = [{folder!r}]
sys.modules["pynn"] = package
import pynn._network
for module in pkgutil.walk_packages(pynn._network.__path__, "pynn._network."):
    importlib.import_module(module.name)
print(*(name for name in sys.modules if name.startswith("pynn.")))
"""


def test_network_is_pure_python() -> None:
    """All of _network can be imported without the extension, and imports nothing but _base."""
    imported = run_python(PURE.format(folder=str(PACKAGE))).split()
    assert {"pynn._network.spec", "pynn._network.layers.dense"} <= set(imported)
    allowed = ("pynn._base", "pynn._network")
    assert [name for name in imported if not name.startswith(allowed)] == []


# ------------------------------------------------------------ parameters

EXAMPLE = (
    pynn.Builder()
    .input(3)
    .relu()
    .dense(5)
    .dropout(0.5)
    .dense(4)
    .layer_norm()
    .gelu()
    .dense(2)
    .softmax_cross_entropy()
    ._spec
)
IMAGES = (
    pynn.Builder()
    .input((4, 9, 7))
    .conv2d(6, (3, 2), groups=2)
    .batch_norm()
    .layer_norm()
    .max_pool2d(2)
    .dense(2)
    .batch_norm()
    .softmax_cross_entropy()
    ._spec
)


@pytest.mark.parametrize("spec", [EXAMPLE, IMAGES])
def test_views_are_those_of_c(spec: Spec) -> None:
    """Python and the C library say the same of every parameter."""
    network, found = Network(spec), views(spec)
    assert network.views() == [
        (
            view.layer,
            view.name.rpartition(".")[2],
            view.shape,
            view.offset,
            view.decays,
            view.trained,
        )
        for view in found
    ]
    assert found[-1].end == network.parameter_count


def test_views_name_their_layers() -> None:
    """A view has the layer's place in the chain and its number among its kind, and what it is."""
    assert views(EXAMPLE)[2:4] == [
        ParameterView(3, "dense2.weight", (5, 4), 20, decays=True, trained=True, transposed=True),
        ParameterView(3, "dense2.bias", (4,), 40, decays=False, trained=True, transposed=False),
    ]


# ------------------------------------------------------------ a kind that nothing was told of


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> Spec:
    """A chain with a kind of layer that only its own class knows, as a later version may have."""
    monkeypatch.setattr(Layer, "kinds", dict(Layer.kinds))

    class Scale(Layer):
        """y = weight x + bias, value by value."""

        kind = "scale"
        options = ("eps",)
        torch_module = "Scale"

        def __init__(self, eps: float) -> None:
            super().__init__(eps=eps)

        def parameters(self, shape: Shape) -> tuple[Parameter, ...]:
            return Parameter("weight", shape), Parameter("bias", shape)

        def c_function(self) -> str:
            return "static void scale_layer() {}\n"

        def c_options(self) -> tuple[float, ...]:
            return (0.5,)

    dense = Layer.kinds["dense"]
    chain = (dense(outputs=4, init="he"), Scale(0.5), dense(outputs=2, init="he"), Scale(0.25))
    return Spec((3,), chain, SoftmaxCrossEntropy())


def test_description_of_an_unknown_kind(scaled: Spec) -> None:
    """It is written to a dict, read back with its options, and shown."""
    assert Spec.from_dict(scaled.to_dict()) == scaled
    assert scaled.to_dict()["layers"][1] == {"kind": "scale", "eps": 0.5}
    assert str(scaled).startswith("3 -> dense(4, he) -> scale(0.5) -> dense(2, he) -> scale(0.25)")


def test_parameters_of_an_unknown_kind(scaled: Spec) -> None:
    """They have names, places and no transpose; a snapshot names them, too."""
    names = ["dense1.weight", "dense1.bias", "scale1.weight", "scale1.bias"]
    names += ["dense2.weight", "dense2.bias", "scale2.weight", "scale2.bias"]
    assert [view.name for view in views(scaled)] == names
    assert [view.offset for view in views(scaled)] == [0, 12, 16, 20, 24, 32, 34, 36]
    values = np.arange(38, dtype=np.float32)
    named = Snapshot(scaled, values, 0, 0, 0).named
    assert named["scale2.weight"].tolist() == [34, 35]


def test_c_calls_of_an_unknown_kind(scaled: Spec) -> None:
    """Its function gets sizes, options, input, parameters and output, and works in place."""
    forward = Forward.of(scaled)
    call = "    scale_layer(4, 0.5f, a, scale1_weight, scale1_bias, a);"
    assert call in forward.lines
    assert forward.functions(libc=True)[-1] == "static void scale_layer() {}\n"


def test_modules_of_an_unknown_kind(scaled: Spec) -> None:
    """A state_dict's names are sorted among their kind: norm1 comes between fc1 and fc2."""
    shapes: dict[str, tuple[int, ...]] = {
        "fc1.weight": (4, 3),
        "fc1.bias": (4,),
        "fc2.weight": (2, 4),
        "fc2.bias": (2,),
        "norm1.weight": (4,),
        "norm1.bias": (4,),
        "norm2.weight": (2,),
        "norm2.bias": (2,),
    }
    tensors = {key: Tensor("float32", shape, lambda: np.zeros(0)) for key, shape in shapes.items()}
    source = Source("", pynn.ArgumentError, tensors, in_order_made=False)
    assert _naming.order(source, scaled) == ["fc1", "norm1", "fc2", "norm2"]
    assert _naming.in_sequential(_naming.modules_of(scaled)) == ["0", "1", "2", "3"]


def test_network_of_an_unknown_kind_alone(scaled: Spec) -> None:
    """Parameters alone make no network: a product is needed, as in C."""
    chain = {**scaled.to_dict(), "layers": [{"kind": "scale", "eps": 0.5}]}
    with pytest.raises(ValueError, match="at least one dense or conv2d layer"):
        Spec.from_dict(chain)


def test_what_a_kind_does_not_say_is_not_asked(scaled: Spec) -> None:
    """A layer that is no scale has none; and one that takes no scale does not."""
    layer, numbers = scaled.layers[1], np.ones(4)
    assert not layer.is_scale and not layer.takes_scale
    with pytest.raises(NotImplementedError):
        layer.scale_and_shift({})
    with pytest.raises(NotImplementedError):
        layer.scaled({}, numbers, numbers)
    with pytest.raises(NotImplementedError):
        _Pool2d.__new__(_Pool2d).of_window([1.0])


# ------------------------------------------------------------ models that were pickled before


@pytest.mark.parametrize("smoothing", [[], [0.0], [0.125]])
def test_description_in_an_older_pickle(smoothing: list[float]) -> None:
    """It is a list, with a list of the same five values for every kind of layer."""
    older: list[Any] = [
        3,
        [
            ["dense", 4, "xavier", 0.0, 0.0],
            ["leaky_relu", 0, None, 0.25, 0.0],
            ["dropout", 0, None, 0.0, 0.5],
            ["dense", 2, "he", 0.0, 0.0],
            ["relu", 0, None, 0.0, 0.0],
        ],
        "softmax_cross_entropy",
        *smoothing,
    ]
    chain = pynn.Builder().input(3).dense(4, init="xavier").leaky_relu(0.25).dropout(0.5)
    chain = chain.dense(2, init="he").relu()
    spec = chain.softmax_cross_entropy(label_smoothing=sum(smoothing))._spec
    assert Spec.from_pickle(older) == spec
    assert Spec.from_pickle(spec.to_dict()) == spec


def test_kinds_are_found_where_no_folder_can_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program packed into one file has modules, but no folder: the import system lists them."""
    listed: list[str] = []
    found: list[str] = []

    def refuse(path: str) -> list[str]:
        raise NotADirectoryError(path)

    monkeypatch.setattr(layers, "importlib", SimpleNamespace(import_module=listed.append))
    layers.import_kinds()
    monkeypatch.setattr(layers, "importlib", SimpleNamespace(import_module=found.append))
    monkeypatch.setattr(layers, "os", SimpleNamespace(listdir=refuse))
    layers.import_kinds()
    assert found == listed != []
