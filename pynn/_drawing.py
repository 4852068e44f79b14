"""Draw the figures of `pynn.plots` from numbers that it has checked.

No other module imports matplotlib.
"""

from __future__ import annotations

import importlib
import io
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.atomic import write_atomically
from pynn._base.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = tuple[str, Sequence[float], Sequence[float]]
_MOST_NUMBERS = 24  # with more classes the counts in the cells could not be read
_MOST_MARKERS = 30  # with more epochs the markers of a curve would touch each other
_MOST_COLUMNS = 16  # of the pictures of a layer's channels
_MAPS_WIDTH = 8.0  # of these pictures, in inches
_MOST_INCHES = 1.2  # the side of such a picture


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure; width and height are in inches."""
    try:
        importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise ImportError(
            "pictures need matplotlib, which is not installed: pip install 'pynn-blas[plots]'"
        ) from None
    from pynn._base.figures import ShownFigure  # here, because it imports matplotlib

    return ShownFigure(figsize=(width, height), layout="constrained")


def finish(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    """Write the figure to a file, if there is a path, whole or not at all; return the figure."""
    if path is None:
        return figure
    suffix = os.path.splitext(os.fspath(checks.path("path", path)))[1]
    known = figure.canvas.get_supported_filetypes()
    if suffix[1:].lower() not in known:
        raise ArgumentError(
            f"path must end in a format that matplotlib writes, .{', .'.join(sorted(known))};"
            f" got {os.fspath(path)!r}"
        )
    contents = io.BytesIO()
    figure.savefig(contents, format=suffix[1:].lower(), dpi=150)
    write_atomically(path, contents.getvalue())
    return figure


# ------------------------------------------------------------ curves


def draw_curves(parts: Sequence[Curves]) -> Figure:
    """Draw the curves of each quantity over the epochs, the quantities side by side."""
    figure = new_figure(4.5 * len(parts), 3.4)
    for column, (name, training, validation) in enumerate(parts, start=1):
        axes = figure.add_subplot(1, len(parts), column)
        draw_curve(axes, name, training, validation)
    return figure


def draw_curve(
    axes: Axes, name: str, training: Sequence[float], validation: Sequence[float]
) -> None:
    """Draw one quantity over the epochs: in training and, if it was measured, in validation."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    marker = "." if len(training) <= _MOST_MARKERS else ""
    for label, values in (("training", training), ("validation", validation)):
        if values:
            axes.plot(range(1, len(values) + 1), values, marker=marker, label=label)
    if name == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    if name == "R2" and max(training) > 0.0:  # the first epochs may be far below, and tell nothing
        axes.set_ylim(bottom=max(-1.0, axes.get_ylim()[0]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
    axes.set_title(name)
    axes.grid(alpha=0.3)
    axes.legend()


# ------------------------------------------------------------ matrix


def draw_confusion(counts: npt.NDArray[np.int64], names: Sequence[str]) -> Figure:
    """Draw a matrix of counts; the colour of a cell shows its share of its row."""
    classes = len(counts)
    side = min(max(4.5, 0.5 * classes + 1.5), 10)
    figure = new_figure(side + 0.6, side)
    from matplotlib.colors import PowerNorm

    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Colours follow the square root of the share, so that a share of 5 % can be seen.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    step = -(-classes // _MOST_NUMBERS)
    rotation = 90 if max(map(len, names)) > 3 else 0
    # Without parse_math=False matplotlib would read a "$" in a name as a formula.
    axes.set_xticks(range(0, classes, step), names[::step], rotation=rotation, parse_math=False)
    axes.set_yticks(range(0, classes, step), names[::step], parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    total, right = int(counts.sum()), int(np.trace(counts))
    axes.set_title(f"{right:,} of {total:,} right" + (f" ({right / total:.2%})" if total else ""))
    if classes <= _MOST_NUMBERS:
        _write_counts(axes, counts, shares, 0.75 * side / classes)
    return figure


def _write_counts(
    axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], cell: float
) -> None:
    """Write the count into each cell that is not 0: white on dark cells, black on light ones.

    `cell` is the side of a cell in inches.
    """
    digits = len(str(counts.max()))
    size = min(12, 72 * cell / (0.7 * digits + 0.7))  # in points; a digit is 0.64 as wide
    for row, column in np.argwhere(counts > 0):
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=size,
            color="white" if shares[row, column] > 0.3 else "black",
        )


# ------------------------------------------------------------ images


def draw_weights(images: npt.NDArray[np.float32], title: str, together: int = 1) -> Figure:
    """Draw images (n, height, width) in a grid: red above 0, blue below.

    So many of them as belong `together` stand side by side, with a wider gap around them.
    """
    gap = 1 if together == 1 else 3
    tiles = _side_by_side(images, together)
    count, height, width = tiles.shape
    columns = min(count, math.ceil(math.sqrt(count * height / width)))
    mosaic, _ = _lay_out(tiles, columns, above=gap, beside=gap)
    tall, wide = (7 * side / max(mosaic.shape) for side in mosaic.shape)
    figure = new_figure(max(wide, 4) + 1.2, max(tall, 2) + 0.5)
    axes = figure.add_subplot()
    image = axes.imshow(mosaic, **_red_and_blue(images))
    figure.colorbar(image, label="weight", shrink=0.8, extend="both")
    axes.set_axis_off()
    figure.suptitle(title)
    return figure


def _red_and_blue(images: npt.NDArray[np.float32]) -> dict[str, Any]:
    """How to draw numbers: white is 0, and the largest half percent has the darkest colours."""
    reach = float(np.quantile(np.abs(images), 0.995)) or 1.0
    return {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach, "interpolation": "nearest"}


def _side_by_side(images: npt.NDArray[np.float32], together: int) -> npt.NDArray[np.float32]:
    """Make one image of so many, with a pixel between them; what is missing at the end is nan."""
    count, height, width = images.shape
    tiles = np.full((-(-count // together), height, together, width + 1), np.nan, np.float32)
    for place, image in enumerate(images):
        tiles[place // together, :, place % together, :width] = image
    return tiles.reshape(len(tiles), height, -1)[:, :, :-1]


class _Maps(NamedTuple):
    """The pictures of a layer's channels: one row of a figure of feature maps."""

    title: str
    picture: npt.NDArray[np.float32]
    """All in one, (height, width) or (height, width, 3)."""
    options: dict[str, Any]
    """How to draw it."""
    inches: float
    """Its height."""


def draw_feature_maps(
    image: npt.NDArray[np.float32], layers: Sequence[tuple[str, npt.NDArray[np.float32]]]
) -> Figure:
    """Draw an image (channels, height, width), and below it the channels of layers.

    Args:
        image: The image; one of three channels is in colours.
        layers: For each layer a title, and the channels (n, height, width).
    """
    parts = [_seen(image)]
    parts += [_maps(title, maps, _red_and_blue(maps)) for title, maps in layers]
    heights = [part.inches for part in parts]
    tall = math.ceil(8 * (sum(heights) + 0.35 * len(parts))) / 8  # in eighths of an inch
    figure = new_figure(_MAPS_WIDTH + 1.0, tall)
    grid = figure.subplots(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, part in zip(grid, parts, strict=True):
        drawn = axes.imshow(part.picture, **part.options)
        axes.set_title(part.title, loc="left", fontsize=9)
        axes.set_axis_off()
        if axes is not grid[0]:
            reach = part.options["vmax"]
            bar = figure.colorbar(drawn, ax=axes, ticks=[-reach, 0, reach], format="%.2g", aspect=8)
            bar.ax.tick_params(labelsize=7)
        axes.set_anchor("W")  # last: a colour bar changes it
    return figure


def _seen(image: npt.NDArray[np.float32]) -> _Maps:
    """Show an image (channels, height, width) as one sees it: black is 0, and white 1.

    A wider range of values is made to fit. Three channels are red, green and blue.
    """
    least, largest = min(0.0, float(image.min())), max(1.0, float(image.max()))
    if len(image) != 3:
        grey = {"cmap": "gray", "vmin": least, "vmax": largest, "interpolation": "nearest"}
        return _maps("the image", image, grey)
    colours = (image.transpose(1, 2, 0) - least) / (largest - least)
    inches = max(0.3, _MOST_INCHES * image.shape[1] / max(image.shape[1:]))
    return _Maps("the image", colours, {"interpolation": "nearest"}, inches)


def _maps(title: str, channels: npt.NDArray[np.float32], options: dict[str, Any]) -> _Maps:
    """Lay out the channels (n, height, width) of a layer, at most 16 in a row of pictures."""
    columns = min(len(channels), _MOST_COLUMNS)
    mosaic, _ = _lay_out(channels, columns, above=1, beside=1)
    pixel = min(_MOST_INCHES / max(channels.shape[1:]), _MAPS_WIDTH / mosaic.shape[1])
    return _Maps(title, mosaic, options, max(0.3, pixel * mosaic.shape[0]))


def draw_captioned(images: npt.NDArray[Any], words: Sequence[str]) -> Figure:
    """Draw images in a grid, with a caption above each.

    They are (n, height, width), or (n, channels, height, width) with one channel or with red, green
    and blue: uint8, or floats of which 0 is black and 1 is white in colour.
    """
    if images.ndim == 4:
        images = images[:, 0] if images.shape[1] == 1 else _colours(images)
    height, width = images.shape[1:3]
    columns = math.ceil(math.sqrt(len(images)))
    above, beside = math.ceil(0.3 * height), math.ceil(0.15 * width)
    mosaic, edges = _lay_out(images, columns, above=above, beside=beside)
    inch = (width + beside) / 1.35  # in pixels; a caption needs 1.35 inches
    figure = new_figure(max(4.0, mosaic.shape[1] / inch), max(1.0, mosaic.shape[0] / inch) + 0.6)
    axes = figure.add_subplot()
    axes.imshow(mosaic, cmap="gray", interpolation="nearest")
    axes.set_axis_off()
    for (middle, top), text in zip(edges, words, strict=True):
        axes.text(middle, top - 0.6, text, ha="center", va="bottom", fontsize=8, parse_math=False)
    return figure


def _colours(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return images (n, 3, height, width) as matplotlib has them: (n, height, width, 3), 0 to 1."""
    white = 255 if images.dtype == np.uint8 else 1
    values = np.clip(images.transpose(0, 2, 3, 1) / np.float32(white), 0, 1)
    return np.asarray(values, np.float32)


def _lay_out(
    tiles: npt.NDArray[Any], columns: int, *, above: int, beside: int
) -> tuple[npt.NDArray[np.float32], list[tuple[float, int]]]:
    """Put images into one large image, row by row; the pixels between are nan, or white in colour.

    Args:
        tiles: The images, (n, height, width) or (n, height, width, 3).
        columns: How many images make a row.
        above: How many pixels to leave free above each image.
        beside: How many pixels to leave free to the right of each image.

    Returns:
        The large image, and for each small one the middle x and the y of its upper edge.
    """
    count, height, width, *colours = tiles.shape
    rows = -(-count // columns)
    size = (rows * (height + above), columns * (width + beside), *colours)
    mosaic = np.full(size, 1.0 if colours else np.nan, np.float32)
    edges = []
    for place, tile in enumerate(tiles):
        top = place // columns * (height + above) + above
        left = place % columns * (width + beside) + beside
        mosaic[top : top + height, left : left + width] = tile
        edges.append((left + (width - 1) / 2, top))
    return mosaic, edges
