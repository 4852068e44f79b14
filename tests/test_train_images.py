"""scripts/train.py and predict.py with images: the convolutional recipes, and data of any shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import predict
import pytest
import train

import pynn
from pynn._commands import settings
from pynn._commands.recipes import SINGLE
from pynn._commands.report import Report

pytestmark = pytest.mark.usefixtures("ctrl_c")

CONV = [name for name, its in SINGLE.items() if its.layers is not None]
QUICK = ["--epochs", "1", "--batch-size", "20", "--quiet"]


def write(folder: Path, shape: tuple[int, ...], classes: int = 4) -> list[str]:
    """Write a data set of noisy patterns in MNIST's layout; return the options that name it."""
    rng = np.random.default_rng(31)
    patterns = rng.integers(0, 256, (classes, *shape))
    (folder / "data").mkdir()
    for part, count in (("train", 120), ("t10k", 60)):
        labels = np.arange(count, dtype=np.uint8) % classes
        noisy = np.clip(patterns[labels] + rng.normal(0, 20, (count, *shape)), 0, 255)
        files = folder / "data" / part
        pynn.datasets.write_idx(f"{files}-images-idx3-ubyte", noisy.astype(np.uint8))
        pynn.datasets.write_idx(f"{files}-labels-idx1-ubyte", labels)
    return ["--data", str(folder / "data")]


def loaded(path: Path) -> str:
    """A model's chain, in words."""
    with pynn.load(path) as model:
        return repr(model)


@pytest.mark.parametrize(
    ("name", "most"), [("conv", 100_000), ("conv-small", 10_000), ("conv-fast", 50_000)]
)
def test_the_networks_have_few_parameters(name: str, most: int) -> None:
    """For images such as MNIST's."""
    with settings.build(SINGLE[name], (1, 28, 28), (), 10, 0) as model:
        assert most / 4 < model.parameter_count <= most


@pytest.mark.parametrize("name", CONV)
def test_predict_takes_what_train_saved(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network of images of 28 x 28 is saved under the recipe's name, and classifies a picture."""
    data = write(tmp_path, (28, 28), classes=10)
    assert train.main([*data, *QUICK, "--output", str(tmp_path), "--recipe", name, "--json"]) == 0
    (network,) = json.loads(capsys.readouterr().out)["networks"]
    assert network["chain"].startswith("Model(1x28x28 -> conv2d")
    assert network["sizes"] == [784, 10]
    assert (network["shift"] > 0) == (name != "conv-fast")
    assert network["schedule"] == "one-cycle"
    saved = tmp_path / f"{name}.safetensors"
    assert loaded(saved) == network["chain"]
    assert predict.main(["--model", str(saved), "--json"]) == 0
    (picture,) = json.loads(capsys.readouterr().out)
    assert sum(picture["predictions"][0]["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_a_convolutional_network_learns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few epochs are enough for patterns of three colours; options change the recipe."""
    few = ["--epochs", "6", "--batch-size", "10", "--shift", "0", "--rotate", "0"]
    data = write(tmp_path, (3, 8, 8))
    call = [*data, *few, "--recipe", "conv-small", "--model", str(tmp_path / "m")]
    assert train.main(call) == 0
    out = capsys.readouterr().out
    assert "conv-small: layers for images, " in out and ", scale 0.08," in out
    assert "shift" not in out
    row = next(line for line in out.splitlines() if line.endswith("seconds"))
    figures = out.splitlines()[out.splitlines().index(row) + 1]
    assert figures.split()[0] == "conv-small" and len(figures) == len(row)
    with pynn.load(tmp_path / "m") as model:
        assert model.evaluate(*pynn.datasets.load(tmp_path / "data")[1]).accuracy > 0.9


@pytest.mark.parametrize(
    ("shape", "classes", "chain"),
    [
        ((9, 7), 26, "Model(1x9x7 -> conv2d(8, 5x5) -> "),
        ((1, 9, 7), 4, "Model(1x9x7 -> conv2d(8, 5x5) -> "),
        ((3, 32, 32), 47, "Model(3x32x32 -> conv2d(8, 5x5, "),
    ],
)
def test_the_data_give_input_and_classes(
    tmp_path: Path, shape: tuple[int, ...], classes: int, chain: str
) -> None:
    """The images have any height and width, and one channel or several."""
    options = [*write(tmp_path, shape, classes), *QUICK, "--output", str(tmp_path)]
    assert train.main([*options, "--recipe", "conv-small"]) == 0
    assert loaded(tmp_path / "conv-small.safetensors").startswith(chain)
    with pynn.load(tmp_path / "conv-small.safetensors") as model:
        assert model.outputs == classes
    assert train.main([*options, "--network", "relu"]) == 0
    assert loaded(tmp_path / "relu.safetensors").startswith(f"Model({np.prod(shape)} -> dense(256")


def test_a_data_set_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--prefix names one, as of EMNIST; without it the error says which there are."""
    options = [*write(tmp_path, (8, 8), 26), "--recipe", "conv-small", "--output", str(tmp_path)]
    options += ["--epochs", "1", "--batch-size", "20"]
    for path in (tmp_path / "data").iterdir():
        path.rename(path.with_name(f"letters-{path.name.replace('t10k', 'test')}"))
    assert train.main([*options, "--prefix", "letters-"]) == 0
    assert "data/letters-: 120 examples" in capsys.readouterr().out
    assert train.main(options) == 1
    assert "it has them with prefix='letters-'" in capsys.readouterr().err


def test_dense_layers_can_follow(tmp_path: Path) -> None:
    """--hidden and --dropout mean the same behind the layers for images."""
    options = [*write(tmp_path, (8, 8)), *QUICK, "--output", str(tmp_path)]
    more = ["--recipe", "conv-small", "--hidden", "5", "--dropout", "0.5"]
    assert train.main([*options, *more]) == 0
    dense = "-> dropout(0.5) -> flatten -> dense(5, he) -> relu -> dropout(0.5) -> dense(4, he) ->"
    assert dense in loaded(tmp_path / "conv-small.safetensors")


@pytest.mark.parametrize("change", ["--shift", "--rotate", "--scale", "--shear", "--elastic"])
def test_each_change_of_the_images_counts(tmp_path: Path, change: str) -> None:
    """With it, the same run ends with another network."""
    options = [*write(tmp_path, (8, 8)), *QUICK, "--network", "relu", "--hidden", "3"]
    saved = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    assert train.main([*options, "--model", str(saved[0])]) == 0
    assert train.main([*options, "--model", str(saved[1]), change, "2"]) == 0
    assert saved[0].read_bytes() != saved[1].read_bytes()


def test_changes_know_of_epochs_only_where_some_are_plain() -> None:
    """Else a run that an older train.py was interrupted in could not be resumed."""
    its = SINGLE["conv"]._replace(epochs=5, plain_epochs=0)
    found = [settings.make_augmentation(its._replace(plain_epochs=n)) for n in (0, 2, 9)]
    assert [changes.epochs for changes in found if changes is not None] == [None, 3, 1]


def test_plain_epochs_do_not_change_images(tmp_path: Path) -> None:
    """Two of three make another network than none; more than there are leave the first epoch."""
    call = [*write(tmp_path, (8, 8)), *QUICK, "--epochs", "3", "--network", "relu", "--hidden", "3"]
    saved = []
    for count in ("0", "2", "9"):
        model = tmp_path / f"{count}.safetensors"
        more = ["--shift", "2", "--plain-epochs", count, "--model", str(model)]
        assert train.main([*call, *more]) == 0
        saved.append(model.read_bytes())
    assert saved[0] != saved[1] == saved[2]


def test_model_is_the_file_and_its_checkpoint_is_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that was interrupted goes on, and ends with the same bytes as one that was not."""
    model = tmp_path / "new" / "digits.safetensors"
    call = [*write(tmp_path, (8, 8)), "--batch-size", "20", "--epochs", "3", "--quiet"]
    call += ["--recipe", "conv-small", "--model", str(model)]
    assert train.main(call) == 0
    assert f"saved {model}" in capsys.readouterr().out
    whole = model.read_bytes()
    assert [path.name for path in model.parent.iterdir()] == [model.name]

    def stop(report: object, result: pynn.EpochResult) -> None:
        if result.epoch == 2:
            raise KeyboardInterrupt

    model.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Report, "epoch", stop)
        assert train.main(call) == 130
    assert [path.name for path in model.parent.iterdir()] == ["digits.checkpoint"]
    assert train.main([*call, "--shift", "0", "--resume"]) == 1
    assert "augmentation" in capsys.readouterr().err
    assert train.main([*call, "--resume"]) == 0
    assert model.read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "m"], "argument --model: is the file of one network, and here are two"),
        (["--network", "both", "--model", "m"], "argument --model: is the file of one network"),
        (
            ["--recipe", "conv", "--model", "m", "--output", "o"],
            "argument --output: not allowed with argument --model",
        ),
        (
            ["--recipe", "lenet"],
            "argument --recipe: must be plain, best, conv, conv-small or conv-fast, got 'lenet'",
        ),
        (
            ["--recipe", "conv", "--network", "relu"],
            "argument --network: only --recipe plain has it",
        ),
        (["--rotate", "181"], "augmentation rotate must be at most 180, got 181"),
        (["--scale", "-1"], "argument --scale: must be a number at least 0"),
    ],
)
def test_wrong_calls(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line names the argument and what it takes."""
    with pytest.raises(SystemExit) as exit:
        train.main(arguments)
    assert exit.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"train.py: error: {says}")


Arrange = Callable[[Path], list[str]]


def channels_last(folder: Path) -> list[str]:
    return write(folder, (8, 8, 3))


def rows_of_values(folder: Path) -> list[str]:
    return write(folder, (64,))


def too_small(folder: Path) -> list[str]:
    return write(folder, (2, 9))


@pytest.mark.parametrize(
    ("arrange", "says"),
    [
        (channels_last, "channels last; write them as (3, 8, 8): images.transpose(0, 3, 1, 2)"),
        (rows_of_values, "the images have the shape (64,), and layers for images need"),
        (too_small, "max_pool2d: a window of 2 x 2 is larger than the image, which is 1 x 4"),
    ],
)
def test_data_that_are_no_images(
    tmp_path: Path, arrange: Arrange, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says what the shape is, and what it must be; nothing is saved."""
    options = [*arrange(tmp_path), *QUICK, "--output", str(tmp_path / "out")]
    assert train.main([*options, "--recipe", "conv-small"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("train.py: error: ") and says in err and err.count("\n") == 1
    assert not list(tmp_path.glob("out/*"))


def test_model_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is found before anything is trained."""
    call = [*write(tmp_path, (8, 8)), "--recipe", "conv", "--model", str(tmp_path)]
    assert train.main(call) == 1
    assert "is a folder; name a file in it" in capsys.readouterr().err


def test_predict_refuses_images_of_another_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four channels of 14 x 14 are as many values as a digit has, but no digit."""
    chain: Any = pynn.Builder().input((4, 14, 14)).conv2d(2, 3).dense(10)
    chain.softmax_cross_entropy().build().save(tmp_path / "other")
    assert predict.main(["--model", str(tmp_path / "other")]) == 1
    assert "other: takes other images than grey ones of 28 x 28" in capsys.readouterr().err
