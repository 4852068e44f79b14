"""The page trains: on MNIST, on files of one's own, a step at a time, with a pause."""

from __future__ import annotations

import gzip
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from chromium import get, give, saved, text, wait

import pynn

ROOT = Path(__file__).parent.parent.parent
MNIST = ROOT / "data" / "mnist"

WATCH = """
const state = document.getElementById("train-state");
window.epochs = [];
new MutationObserver(() => {
  if (Number(state.dataset.epochs) > window.epochs.length)
    window.epochs.push([performance.now(), Number(state.dataset.accuracy)]);
}).observe(state, { attributes: true, childList: true });
window.begun = performance.now();
document.getElementById("train").click();
"""


def train(page: Any, epochs: int) -> tuple[list[float], list[float]]:
    """Train, then pause: the seconds that each epoch took, and the accuracy after each."""
    page.execute_script(WATCH)
    wait(page, f"window.epochs.length >= {epochs}", seconds=120)
    page.find_element("id", "train").click()
    marks, accuracies = zip(*get(page, "window.epochs")[:epochs], strict=True)
    times = np.diff([get(page, "window.begun"), *marks]) / 1000
    return times.tolist(), list(accuracies)


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> Path:
    """Write an IDX file of bytes."""
    dims = np.array(array.shape, ">u4").tobytes()
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + dims + array.tobytes())
    return path


def write_csv(path: Path, labels: npt.NDArray[Any], features: npt.NDArray[Any]) -> Path:
    """Write a CSV file, with names in its first line."""
    names = ",".join(["label", *(f"x{i}" for i in range(features.shape[1]))])
    rows = [",".join(map(str, (label, *row))) for label, row in zip(labels, features, strict=True)]
    path.write_text("\n".join([names, *rows]) + "\n")
    return path


def test_mnist(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Two epochs read 94 % of the test images right; an epoch takes at most 2 s, a median."""
    give(page, "data", *sorted(MNIST.glob("*.gz")))
    assert "60,000" in text(page, "data-state")
    times, accuracies = train(page, 5)
    median = statistics.median(times)
    with capsys.disabled():
        shown = ", ".join(f"{seconds:.2f}" for seconds in times)
        print(
            f"\nepochs of 60,000: {shown} s, median {median:.2f} s; {accuracies[1]:.4f} after two"
        )
    assert accuracies[1] > 0.94
    assert median <= 2


def test_idx_of_ones_own(page: Any, tmp_path: Path) -> None:
    """Files that no name of MNIST's tells apart, plain or gzip; those of a test set have `test`."""
    rng = np.random.default_rng(71)
    labels = rng.integers(0, 10, 600, np.uint8)
    images = np.zeros((600, 28, 28), np.uint8)
    images[np.arange(600), 5 + labels, 4:24] = 255  # a bar, the lower the greater the label
    files = [write_idx(tmp_path / "pictures", images), write_idx(tmp_path / "their-labels", labels)]
    for file, part in (("test-pictures", images[:50]), ("test-their-labels", labels[:50])):
        packed = write_idx(tmp_path / file, part)
        files.append(packed.with_suffix(".gz"))
        files[-1].write_bytes(gzip.compress(packed.read_bytes()))
    give(page, "data", *files)
    assert "600" in text(page, "data-state") and "50" in text(page, "data-state")
    _, accuracies = train(page, 5)
    assert accuracies[-1] == 1


def test_csv_of_ones_own(page: Any, tmp_path: Path) -> None:
    """Any number of columns and of classes; the label comes first."""
    rng = np.random.default_rng(72)
    labels = rng.integers(0, 3, 300)
    features = rng.normal(size=(300, 5)) + 4 * np.eye(3, 5)[labels]
    features = features.round(4)
    files = [
        write_csv(tmp_path / "flowers.csv", labels[:250], features[:250]),
        write_csv(tmp_path / "flowers-test.csv", labels[250:], features[250:]),
    ]
    give(page, "data", *files)
    assert "250" in text(page, "data-state")
    _, accuracies = train(page, 20)
    assert accuracies[-1] > 0.9
    assert "5 inputs" in text(page, "model-state")


def test_a_step_and_a_pause(page: Any) -> None:
    """A step is one step; a training that pauses goes on where it was."""
    give(page, "data", *sorted(MNIST.glob("*.gz")))
    page.find_element("id", "step").click()
    page.find_element("id", "step").click()
    assert "step 2" in text(page, "train-state")
    page.find_element("id", "train").click()
    assert text(page, "train") == "Pause"
    wait(page, "!document.getElementById('train-state').textContent.includes('step 2:')")
    page.find_element("id", "train").click()
    shown = text(page, "train-state")
    page.find_element("id", "step").click()
    assert text(page, "train-state") != shown


@pytest.mark.parametrize(
    ("choice", "value", "said"),
    [
        ("rate", "zero", 'Rate is "zero"; it must be a number from 0'),
        ("rate", "-1", 'Rate is "-1"; it must be a number from 0'),
        ("hidden", "0", 'Hidden layers is "0"; it must be at most 12 whole numbers'),
    ],
)
def test_a_choice_that_cannot_be(page: Any, choice: str, value: str, said: str) -> None:
    """It is refused with a reason, and nothing is trained."""
    give(page, "data", *sorted(MNIST.glob("*.gz")))
    field = page.find_element("id", choice)
    field.clear()
    field.send_keys(value)
    page.find_element("id", "train").click()
    wait(page, "document.getElementById('error').textContent !== ''", seconds=5)
    assert said in text(page, "error")
    assert text(page, "train") == "Train"


def test_a_step_is_pynns(page: Any, tmp_path: Path, folder: Path) -> None:
    """From one model, on one batch, the page and pynn come to the same loss and parameters."""
    rng = np.random.default_rng(73)
    labels = rng.integers(0, 10, 16, np.uint8)
    images = rng.integers(0, 256, (16, 28, 28), np.uint8)
    chain = pynn.Builder().input(784).dense(12).layer_norm().gelu().dense(10)
    model = chain.softmax_cross_entropy().build(seed=6)
    model.save(tmp_path / "model.safetensors")
    files = [write_idx(tmp_path / "images", images), write_idx(tmp_path / "labels", labels)]
    give(page, "data", *files)
    give(page, "open", tmp_path / "model.safetensors")
    for name, value in (("rate", "0.5"), ("batch", "16")):
        field = page.find_element("id", name)
        field.clear()
        field.send_keys(value)
    page.find_element("id", "step").click()
    wait(page, "!document.getElementById('explained').hidden")
    explained = text(page, "step-loss")

    step = model.explain(images.reshape(16, 784), labels, optimizer=pynn.SGD(learning_rate=0.5))
    assert f"{step.loss:.4g}" in explained
    with pynn.load(saved(page, folder)) as trained:
        for name, update in step.updates.items():
            assert np.abs(trained.parameters[name] - update.after).max() < 1e-6
