"""state_dicts of PyTorch: which tensor goes to which layer, by names and ties."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from pytorch_states import CHAIN, SQUARE, X, linear, modules, refusal
from safetensors.numpy import save_file

import pynn
from pynn.formats import pytorch

# ------------------------------------------------------------ what is read


def test_answers_are_those_of_the_same_products() -> None:
    """x W^T + b with PyTorch's W, ReLU, and the next; nothing is done about dropout."""
    arrays = modules("0", "3")
    model = pytorch.load(arrays, CHAIN, seed=9)
    hidden = np.maximum(X @ arrays["0.weight"].T + arrays["0.bias"], 0)
    expected = hidden @ arrays["3.weight"].T + arrays["3.bias"]
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)
    assert (model.seed, model.epochs_trained) == (9, 0)
    assert repr(model) == repr(CHAIN.build())


@pytest.mark.parametrize("kind", ["mapping", "file"])
def test_weights_are_transposed(kind: str, path: Path) -> None:
    """To the bit, from a mapping and from a file; the source is not changed."""
    arrays = modules("fc1", "fc2")
    save_file(arrays, path)
    source = arrays if kind == "mapping" else path
    parameters = pytorch.load(source, CHAIN).parameters
    for number in (1, 2):
        weight, bias = linear((3, 4, 2)[number], (3, 4, 2)[number - 1], seed=number - 1)
        np.testing.assert_array_equal(parameters[f"dense{number}.weight"], weight.T)
        np.testing.assert_array_equal(parameters[f"dense{number}.bias"], bias)
        np.testing.assert_array_equal(arrays[f"fc{number}.weight"], weight)


@pytest.mark.parametrize(
    "names",
    [
        ("0", "3"),
        ("2", "10"),
        ("net.9.linear", "net.10.linear"),
        ("layers.2", "layers.10"),
        ("module.fc9", "module.fc10"),
        ("fc09", "fc10"),
        ("1" * 5000, "2" + "0" * 5000),
        ("first", "last"),
        ("body", "head"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_order_follows_from_names(names: tuple[str, str], turned: bool, path: Path) -> None:
    """Numbers count by their value, whatever the order of the mapping or the file."""
    arrays = modules(*names)
    if turned:
        arrays = dict(reversed(arrays.items()))
    expected = pytorch.load(modules("0", "1"), CHAIN)(X)
    np.testing.assert_array_equal(pytorch.load(arrays, CHAIN)(X), expected)
    save_file(arrays, path)
    np.testing.assert_array_equal(pytorch.load(path, CHAIN)(X), expected)


def test_a_single_linear_has_no_name() -> None:
    """The state_dict of nn.Linear itself."""
    chain = pynn.Builder().input(3).dense(2).softmax_cross_entropy()
    arrays = modules("", sizes=(3, 2))
    assert list(arrays) == ["weight", "bias"]
    np.testing.assert_array_equal(
        pytorch.load(arrays, chain).parameters["dense1.weight"], arrays["weight"].T
    )


@pytest.mark.parametrize("prefix", ["module.", "model.net.", "module._orig_mod.", "model..net."])
@pytest.mark.parametrize("kind", ["mapping", "file"])
def test_a_prefix_of_all_names_may_be_left_out(prefix: str, kind: str, path: Path) -> None:
    """DataParallel, Lightning and torch.compile add one; names= may have any order or be absent."""
    arrays = {prefix + name: array for name, array in modules("z", "a").items()}
    save_file(arrays, path)
    source = arrays if kind == "mapping" else path
    for names in (["z", "a"], [f"{prefix}z", f"{prefix}a"]):
        model = pytorch.load(source, CHAIN, names=names)
        np.testing.assert_array_equal(model.parameters["dense1.bias"], arrays[f"{prefix}z.bias"])
    assert "has tensors of modules that are not in names: " in refusal(source, names=["z", "b"])


@pytest.mark.parametrize(
    "names", [("fc1", "fc2", "fc10"), ("0.0", "0.2", "1"), ("a.1", "a.2.x", "a.3")]
)
def test_numbers_decide_between_equal_shapes(names: tuple[str, ...]) -> None:
    """Layers of one shape are ordered where the first difference of their names is a number."""
    arrays = modules(*names, sizes=(3, 3, 3, 3))
    model = pytorch.load(arrays, SQUARE)
    for number, name in enumerate(names, start=1):
        np.testing.assert_array_equal(
            model.parameters[f"dense{number}.weight"], arrays[f"{name}.weight"].T
        )


@pytest.mark.parametrize(
    "names", [("first", "second", "third"), ("fc1", "fc2", "head"), ("fc", "fc1", "fc2")]
)
def test_words_do_not_decide_between_equal_shapes(names: tuple[str, ...]) -> None:
    """Names that differ in words are an error that asks for names=."""
    arrays = modules(*names, sizes=(3, 3, 3, 3))
    message = refusal(arrays, SQUARE)
    assert "which comes first, " in message and "say the order of " in message
    turned = names[::-1]
    model = pytorch.load(arrays, SQUARE, names=turned)
    for number, name in enumerate(turned, start=1):
        np.testing.assert_array_equal(
            model.parameters[f"dense{number}.weight"], arrays[f"{name}.weight"].T
        )


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("fc2", "fc1", "fc3"), "fc1 or fc2"),
        (("fc1", "fc10", "fc2"), "fc2 or fc10"),
        (("net.2.fc", "net.4.fc", "net.0.fc"), "net.0.fc or net.2.fc"),
        (("up.3.0", "up.2.5", "up.1.9"), "up.1.9 or up.2.5"),
    ],
)
def test_numbers_against_the_order_of_the_modules(
    names: tuple[str, ...], first: str, path: Path
) -> None:
    """A mapping has both, and where they differ names= says which; a safetensors file is sorted."""
    arrays = modules(*names, sizes=(3, 3, 3, 3))
    message = refusal(arrays, SQUARE)
    assert f"which comes first, {first}? By their numbers {first.split()[0]}, but " in message
    save_file(arrays, path)
    for source, order in ((arrays, names), (path, names), (path, None)):
        model = pytorch.load(source, SQUARE, names=order)
        for number, name in enumerate(order or pynn_order(names), start=1):
            np.testing.assert_array_equal(
                model.parameters[f"dense{number}.weight"], arrays[f"{name}.weight"].T
            )


def pynn_order(names: tuple[str, ...]) -> list[str]:
    """By the numbers in them."""
    return sorted(names, key=lambda name: [int(digits) for digits in re.findall("[0-9]+", name)])


def test_numbers_of_one_value_do_not_decide() -> None:
    """Names such as fc1 and fc01 are an error."""
    arrays = modules("fc01", "fc1", "fc2", sizes=(3, 3, 3, 3))
    assert "which comes first, fc01 or fc1? Both layers" in refusal(arrays, SQUARE)


def test_names_say_the_order() -> None:
    """names= goes before the order of the names themselves."""
    arrays = modules("z", "a")
    assert "dense1 from a, dense2 from z" in refusal(arrays)
    model = pytorch.load(arrays, CHAIN, names=["z", "a"])
    np.testing.assert_array_equal(model.parameters["dense1.bias"], arrays["z.bias"])


# ------------------------------------------------------------ tied tensors


TIED = modules("fc1", "fc2", "fc3", sizes=(3, 3, 3, 3))


def tied_file(path: Path, aliases: dict[str, str], **metadata: str) -> Path:
    """A file as save_model of safetensors.torch writes it: the tensors that are no alias."""
    kept = {name: array for name, array in TIED.items() if name not in aliases}
    save_file(kept, path, metadata={"format": "pt", **metadata, **aliases})
    return path


@pytest.mark.parametrize(
    "aliases",
    [
        {"fc2.weight": "fc1.weight"},
        {"fc1.weight": "fc3.weight", "fc1.bias": "fc3.bias"},
        {"fc1.weight": "fc2.weight", "fc2.weight": "fc3.weight"},
        {"fc3.bias": "fc2.bias", "fc2.bias": "fc1.bias", "fc3.weight": "fc1.weight"},
    ],
    ids=str,
)
@pytest.mark.parametrize("names", [None, ["fc3", "fc1", "fc2"]])
def test_tied_tensors(aliases: dict[str, str], names: list[str] | None, path: Path) -> None:
    """The file has each once; the metadata say which others it is, in steps if need be."""
    whole = dict(TIED)
    for _ in aliases:  # so often that the longest chain is gone through
        whole |= {alias: whole[name] for alias, name in aliases.items()}
    model = pytorch.load(tied_file(path, aliases), SQUARE, names=names)
    np.testing.assert_array_equal(model(X), pytorch.load(whole, SQUARE, names=names)(X))


@pytest.mark.parametrize(
    ("aliases", "words"),
    [
        ({"fc2.weight": "fc7.weight"}, "fc2.weight is fc7.weight, and there is no such tensor"),
        (
            {"fc1.bias": "fc2.bias", "fc2.bias": "x.bias"},
            "fc1.bias is fc2.bias is x.bias, and there is no such tensor",
        ),
        ({"fc1.bias": "fc1.bias"}, "fc1.bias is fc1.bias, and that is a circle"),
        (
            {"fc1.bias": "fc2.bias", "fc2.bias": "fc3.bias", "fc3.bias": "fc2.bias"},
            "fc1.bias is fc2.bias is fc3.bias is fc2.bias, and that is a circle",
        ),
    ],
    ids=str,
)
def test_aliases_that_lead_nowhere(aliases: dict[str, str], words: str, path: Path) -> None:
    """The error names each step."""
    assert f"{path}: its metadata say that {words}" in refusal(tied_file(path, aliases), SQUARE)


def test_other_metadata_are_no_aliases(path: Path) -> None:
    """Other metadata are ignored, as is an alias for a tensor that is there."""
    other = {"epoch": "3", "best": "fc1.weight", "decay.weight": "0.1", "fc1.bias": "fc2.bias"}
    save_file(TIED, path, metadata=other)
    np.testing.assert_array_equal(pytorch.load(path, SQUARE)(X), pytorch.load(TIED, SQUARE)(X))


def test_many_aliases_are_followed_once(path: Path) -> None:
    """A file may hold any number: their time grows with it, not with its square."""
    steps = {f"{k}.weight": f"{k + 1}.weight" for k in range(30_000)}
    tied_file(path, {**steps, "30000.weight": "fc1.weight"})
    assert "has 30004 Linear modules" in refusal(path, SQUARE)
