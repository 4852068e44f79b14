"""Train the network that the page starts with, web/digits.safetensors, and say how good it is.

    python web/train_digits.py

Drawn digits differ from MNIST's more than MNIST's test set differs from its training set. So each
epoch trains on other distortions of the training images: turned, sheared, scaled, moved and
thickened a little. The weights are rounded to multiples of 1 / 128 in the end, and those of pixels
that no image uses are 0: then the file takes a fifth of its size in the page, where it lies
compressed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

import pynn

ROOT = Path(__file__).parent.parent
EPOCHS = 20
STEPS_OF_A_UNIT = 128

Images = npt.NDArray[np.uint8]


def main() -> None:
    """Train, round, save, and print the accuracy before and after."""
    train, test = pynn.datasets.load(ROOT / "data" / "mnist")
    model = (
        pynn.Builder()
        .input(784)
        .dense(64)
        .relu()
        .dense(32)
        .relu()
        .dense(10)
        .softmax_cross_entropy()
        .build(seed=1)
    )
    generator = np.random.default_rng(1)
    for epoch in range(EPOCHS):
        rate = 0.002 * 0.85**epoch
        images = distorted(train.images, generator).reshape(-1, 784)
        optimizer = pynn.AdamW(learning_rate=rate, weight_decay=0.01)
        model.fit(images, train.labels, epochs=1, batch_size=128, optimizer=optimizer)
        print(
            f"epoch {epoch + 1}: {accuracy(model, test):.4f} of the test images right", flush=True
        )
    round_weights(model)
    model.save(ROOT / "web" / "digits.safetensors")
    print(f"rounded: {accuracy(model, test):.4f}")


def accuracy(model: pynn.Model, test: pynn.datasets.Dataset) -> float:
    """Compute the share of the test images that the model reads right."""
    return model.evaluate(test.images.reshape(-1, 784), test.labels).accuracy


def distorted(images: Images, generator: np.random.Generator) -> Images:
    """Give a copy of images (n, 28, 28), each of them distorted in its own way."""
    return np.stack([distort(image, generator) for image in images])


def distort(image: Images, generator: np.random.Generator) -> Images:
    """Turn, shear, scale and move an image (28, 28), and thicken its strokes now and then."""
    angle, shear = generator.normal(0, 0.13), generator.normal(0, 0.15)
    scale_x, scale_y = generator.uniform(0.9, 1.15, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[scale_x, shear], [0, scale_y]])
    middle = np.array([14, 14]) - matrix @ (np.array([14, 14]) + generator.normal(0, 0.8, 2))
    coefficients = (*matrix[0], middle[0], *matrix[1], middle[1])
    picture = Image.fromarray(image).transform(
        (28, 28), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    if generator.random() < 0.15:
        picture = Image.blend(picture, picture.filter(ImageFilter.MaxFilter(3)), 0.7)
    return np.asarray(picture)


def round_weights(model: pynn.Model) -> None:
    """Round all weights, and set those of the pixels at the border to 0."""
    for name, values in model.parameters.items():
        values[:] = np.rint(values * STEPS_OF_A_UNIT) / STEPS_OF_A_UNIT
        if name == "dense1.weight":
            page = values.reshape(28, 28, -1)
            page[:2] = page[-2:] = 0
            page[:, :2] = page[:, -2:] = 0


if __name__ == "__main__":
    main()
