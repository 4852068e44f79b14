"""The page opens pynn's models, and pynn the page's; a damaged file changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import digit, draw, get, give, probabilities, saved, text, wait
from strokes import BY_HAND

import pynn

ROOT = Path(__file__).parent.parent.parent
DIGITS = (ROOT / "web" / "digits.safetensors").read_bytes()


def every_kind() -> pynn.Model:
    """A network with every kind of layer, and options that are not the usual ones."""
    chain = pynn.Builder().input(784).dense(24).layer_norm(eps=1e-3).relu()
    chain = chain.dense(20).leaky_relu(0.3).dense(18).elu(0.7).dense(16).gelu().dropout(0.25)
    chain = chain.dense(15).silu().dense(14).softplus().dense(13).tanh().dense(12).sigmoid()
    return chain.dense(10).softmax_cross_entropy(label_smoothing=0.1).build(seed=3)


def test_a_model_of_pynn(page: Any, tmp_path: Path) -> None:
    """The page gives the probabilities that pynn gives, with every kind of layer."""
    model = every_kind()
    model.save(tmp_path / "model.safetensors")
    give(page, "open", tmp_path / "model.safetensors")
    draw(page, BY_HAND[6])
    expected = model.predict_proba(np.array([digit(page)], np.uint8))[0]
    assert expected.max() < 0.999
    assert np.abs(expected - probabilities(page)).max() < 1e-6


def test_a_model_of_the_page(page: Any, folder: Path) -> None:
    """Pynn opens what the page has trained, and predicts the same."""
    give(page, "data", *sorted((ROOT / "data" / "mnist").glob("*.gz")))
    page.find_element("id", "train").click()
    wait(page, "document.getElementById('train-state').dataset.epochs >= 1")
    page.find_element("id", "train").click()
    model = pynn.load(saved(page, folder))
    for strokes in (BY_HAND[2], BY_HAND[9]):
        draw(page, strokes)
        expected = model.predict_proba(np.array([digit(page)], np.uint8))[0]
        assert np.abs(expected - probabilities(page)).max() < 1e-6
    assert model.epochs_trained >= 1


def test_a_file_comes_back(page: Any, folder: Path, tmp_path: Path) -> None:
    """A file that the page opens and saves again is the same model, entry for entry."""
    model = every_kind()
    model.save(tmp_path / "model.safetensors")
    give(page, "open", tmp_path / "model.safetensors")
    again = pynn.load(saved(page, folder))
    assert repr(again) == repr(model)
    assert again.seed == model.seed
    for name, values in model.parameters.items():
        assert (again.parameters[name] == values).all()


# ------------------------------------------------------------ damaged files


def header_of(file: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows it."""
    length = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def with_header(header: dict[str, Any], data: bytes) -> bytes:
    """A safetensors file."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def changed(entry: str, **values: Any) -> bytes:
    """The file of web/ with another header; the model's description changes by `entry` "model"."""
    header, data = header_of(DIGITS)
    if entry == "model":
        model = json.loads(header["__metadata__"]["model"]) | values
        header["__metadata__"]["model"] = json.dumps(model)
    elif values:
        header[entry] |= values
    else:
        del header[entry]
    return with_header(header, data)


def not_finite() -> bytes:
    """The file of web/ with a weight that is NaN."""
    return DIGITS[:-4] + np.float32(np.nan).tobytes()


LAYERS = [{"kind": "dense", "outputs": 10, "init": "he"}]
CONV = {"kind": "conv2d", "filters": 2, "size": [3, 3], "stride": 1, "padding": "same"}
CONV |= {"groups": 1, "init": "he"}
POOL = {"kind": "max_pool2d", "size": [2, 2], "stride": 2, "padding": 0}
NORM = {"kind": "batch_norm", "momentum": 0.1, "eps": 1e-5}


def of_images(*layers: dict[str, Any], shape: Any = (1, 28, 28)) -> bytes:
    """The file of web/ as one of a network of images."""
    chain = [*layers, {"kind": "flatten"}, *LAYERS]
    return changed("model", input=shape, layers=chain)


MODELS = {
    "empty": b"",
    "seven bytes": DIGITS[:7],
    "header cut short": DIGITS[:100],
    "data cut short": DIGITS[:-1],
    "data too long": DIGITS + b"\0\0\0\0",
    "no json": (4).to_bytes(8, "little") + b"[[[[",
    "json of a list": (2).to_bytes(8, "little") + b"[]",
    "a huge header": (2**62).to_bytes(8, "little") + DIGITS[8:],
    "another's": with_header({"x": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}, b""),
    "a tensor missing": changed("dense2.bias"),
    "another shape": changed("dense2.bias", shape=[31]),
    "another type": changed("dense2.bias", dtype="F16"),
    "an overlap": changed("dense2.bias", data_offsets=[0, 128]),
    "offsets beyond": changed("dense2.bias", data_offsets=[10**9, 10**9 + 128]),
    "offsets too near": changed("dense2.bias", data_offsets=[0, 4]),
    "an unknown layer": changed("model", layers=[{"kind": "conv4d"}, *LAYERS]),
    "no layers": changed("model", layers=[]),
    "layers of no list": changed("model", layers="dense"),
    "a huge layer": changed("model", layers=[{"kind": "dense", "outputs": 2**31, "init": "he"}]),
    "a negative layer": changed("model", layers=[{"kind": "dense", "outputs": -1, "init": "he"}]),
    "an unknown loss": changed("model", loss="hinge"),
    "a loss of JavaScript": changed("model", loss="constructor"),
    "a layer of JavaScript": changed("model", layers=[{"kind": "__proto__"}, *LAYERS]),
    "an init of JavaScript": changed("model", layers=[LAYERS[0] | {"init": "toString"}]),
    "epochs of text": changed("model", epochs_trained="many"),
    "steps below 0": changed("model", steps_trained=-1),
    "a seed of 65 bits": changed("model", seed=2**64),
    "no inputs": changed("model", input=0),
    "inputs of text": changed("model", input="many"),
    "a number that is NaN": not_finite(),
    "inputs of two numbers": of_images(CONV, shape=[28, 28]),
    "inputs of no channel": of_images(CONV, shape=[0, 28, 28]),
    "a filter without a size": of_images(CONV | {"size": None}),
    "a filter of no size": of_images(CONV | {"size": [0, 3]}),
    "a filter of three sizes": of_images(CONV | {"size": [3, 3, 3]}),
    "a huge filter": of_images(CONV | {"size": [2**31, 2**31]}),
    "a filter beyond the image": of_images(CONV | {"size": [40, 40], "padding": "valid"}),
    "more inputs than there are numbers": of_images(shape=[65536, 65536, 65536]),
    "no filters": of_images(CONV | {"filters": 0}),
    "huge images": of_images(CONV | {"filters": 65536}, shape=[1, 60000, 60000]),
    "no stride": of_images(CONV | {"stride": 0}),
    "padding of a word": of_images(CONV | {"padding": "much"}),
    "padding below 0": of_images(CONV | {"padding": -1}),
    "padding of JavaScript": of_images(CONV | {"padding": "constructor"}),
    "groups that do not divide": of_images(CONV | {"groups": 3}),
    "a pool beyond the image": of_images(POOL | {"size": [29, 2]}),
    "a pool with too much padding": of_images(POOL | {"padding": 2}),
    "a pool with a word as padding": of_images(POOL | {"padding": "same"}),
    "momentum of 0": of_images(NORM | {"momentum": 0}),
    "momentum of text": of_images(NORM | {"momentum": "some"}),
    "images into a dense layer": changed("model", input=[1, 28, 28], layers=[CONV, *LAYERS]),
    "filters without tensors": of_images(CONV),
}
SAID = {
    "inputs of two numbers": "the input is 28,28, not a number from 1",
    "a filter without a size": "layer 1, conv2d, has a size of null",
    "a filter of three sizes": "layer 1, conv2d, has a size of 3,3,3",
    "a filter beyond the image": "layer 1, conv2d, does not go with the shape of its inputs",
    "no filters": "layer 1 has 0 filters",
    "no stride": "layer 1, conv2d, has a stride of 0",
    "padding of a word": "a padding that is not possible: much",
    "padding of JavaScript": "a padding that is not possible: constructor",
    "a pool with a word as padding": "max pool2d, has a padding that is not possible: same",
    "momentum of 0": "layer 1, batch norm, has a momentum that is not possible: 0",
    "images into a dense layer": "layer 2, dense, does not go with the shape of its inputs",
}
"""What the page says of some of them."""


def state_of(page: Any) -> list[Any]:
    """What the page shows of its model, its data and its drawing."""
    names = ("model-state", "data-state", "answer")
    shown: list[Any] = [text(page, name) for name in names]
    units = get(page, "document.querySelectorAll('.units button').length")
    return [*shown, units, get(page, "document.getElementById('train').disabled")]


def refused(page: Any, field: str, *files: Path) -> str:
    """Give files that are wrong: the page says why, and stays as it was."""
    draw(page, BY_HAND[5])
    before = probabilities(page), state_of(page)
    give(page, field, *files)
    wait(page, "document.getElementById('error').textContent !== ''", seconds=5)
    draw(page, BY_HAND[5])
    assert (probabilities(page), state_of(page)) == before
    return text(page, "error")


@pytest.mark.parametrize("name", MODELS)
def test_a_damaged_model(page: Any, name: str, tmp_path: Path) -> None:
    """The page names the file and what is wrong, and keeps the model that it has."""
    file = tmp_path / "wrong.safetensors"
    file.write_bytes(MODELS[name])
    said = refused(page, "open", file)
    assert "wrong.safetensors" in said and SAID.get(name, "") in said


IDX = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (2, 28, 28)) + bytes(2 * 784)
DATA = {
    "empty": b"",
    "cut short": IDX[:-1],
    "header cut short": IDX[:9],
    "too long": IDX + b"\0",
    "no idx": b"PK\3\4" + bytes(100),
    "a claim of 2^60": b"\0\0\x08\x03" + b"\x00\x10\x00\x00" * 3 + bytes(784),
    "gzip cut short": b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x63",
    "words.csv": b"label,x\nseven,1\n",
    "ragged.csv": b"1,2,3\n4,5\n",
    "inf.csv": b"1,2,inf\n0,2,3\n",
    "only labels.csv": b"1\n2\n",
    "empty.csv": b"",
    "names.csv": b"label,x\n",
    "negative.csv": b"-1,2,3\n0,2,3\n",
    "half.csv": b"0.5,2,3\n0,2,3\n",
}


@pytest.mark.parametrize("name", DATA)
def test_damaged_data(page: Any, name: str, tmp_path: Path) -> None:
    """The page names the file, and keeps the examples that it has."""
    file = tmp_path / name
    file.write_bytes(DATA[name])
    assert name in refused(page, "data", file)
