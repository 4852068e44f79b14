"""What the tests of scripts/predict.py share: a small network for MNIST and a picture of a 7."""

from pathlib import Path

from PIL import Image

import pynn

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "data" / "digits"


def mnist_parts():
    """MNIST, as it is in the repository."""
    return pynn.datasets.load(ROOT / "data" / "mnist")


def small_model_path(mnist, tmp_path_factory):
    """A small network that has seen a part of MNIST."""
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    chain = pynn.Builder().input(784).dense(64).relu().dense(10).softmax_cross_entropy()
    images, labels = mnist[0]
    with chain.build(seed=3) as model:
        model.fit(
            images[:20000],
            labels[:20000],
            epochs=4,
            batch_size=32,
            optimizer=pynn.SGD(learning_rate=0.1),
        )
        model.save(path)
    return path


def small_model(model_path):
    return pynn.load(model_path)


def picture_of_a_seven():
    """Dark ink on light paper, 120 x 160, grey."""
    with Image.open(DIGITS / "seven.png") as image:
        return image.copy()
