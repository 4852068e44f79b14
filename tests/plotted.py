"""What the tests of pictures draw, and where in a figure its texts and images are."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

import pynn

CHAIN = pynn.Builder().input(20).dense(6).relu().dense(3).softmax_cross_entropy()
FULL = pynn.History(
    [0.5, 0.25, 0.125], [0.6, 0.7, 0.8], [0.55, 0.3, 0.2], [0.5, 0.6, 0.7], [1, 2, 3]
)


def partly_wrong_model(examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> pynn.Model:
    """A model that is wrong about some of the examples, and right about most."""
    model = CHAIN.build(seed=1)
    model.fit(*examples, epochs=2)
    return model


def drawn_texts(figure: Any) -> list[tuple[str, Any]]:
    """What is written in a figure, as it is laid out for a file, and the box that each takes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    texts: dict[int, Text] = {}
    original = Text.draw

    def draw(text: Text, *arguments: Any, **options: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            texts[id(text)] = text
        original(text, *arguments, **options)

    canvas = FigureCanvasAgg(figure)
    with patch.object(Text, "draw", draw):
        canvas.draw()
    renderer = canvas.get_renderer()
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts.values()]


def overlaps(figure: Any) -> list[tuple[str, str]]:
    """The texts that lie over each other, or beyond the figure's edge."""
    drawn = drawn_texts(figure)
    corners = np.array([[box.x0, box.y0, box.x1, box.y1] for _, box in drawn]).reshape(-1, 4)
    low, high = corners[:, :2] + 1, corners[:, 2:] - 1  # a pixel is nothing
    over = ((low[:, None] < high) & (low < high[:, None])).all(axis=2)
    found = [(drawn[a][0], drawn[b][0]) for a, b in np.argwhere(np.triu(over, 1))]
    size = figure.get_size_inches() * figure.dpi
    beyond = ((low < 0) | (high > size)).any(axis=1)
    return found + [(drawn[k][0], "edge") for k in np.flatnonzero(beyond)]


MATRIX = np.array([[50, 0, 2], [1, 30, 0], [0, 700, 7]])


def pixels(image: Any) -> npt.NDArray[np.float32]:
    """What an image is drawn of; nan where there is nothing."""
    array: npt.NDArray[np.float32] = np.ma.filled(image.get_array(), np.nan)
    return array
