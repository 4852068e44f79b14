"""Pictures: what is drawn is what was given, texts do not overlap, files are whole; and the CSV."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn import plots

colors = pytest.importorskip("matplotlib.colors")

CHAIN = pynn.Builder().input(20).dense(6).relu().dense(3).softmax_cross_entropy()
FULL = pynn.History(
    [0.5, 0.25, 0.125], [0.6, 0.7, 0.8], [0.55, 0.3, 0.2], [0.5, 0.6, 0.7], [1, 2, 3]
)
LONG = pynn.History(*([value / 100 for value in range(1, 101)] for _ in range(5)))


@pytest.fixture
def model(examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> pynn.Model:
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


def test_overlaps_are_found() -> None:
    """The tool of the tests below sees a text over another, and one that is cut off."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3))
    figure.text(0.5, 0.5, "one")
    figure.text(0.1, 0.9, "alone")
    figure.text(0.1, 0.9, "not seen", visible=False)
    assert overlaps(figure) == []
    figure.text(0.52, 0.5, "two")
    figure.text(0.95, 0.1, "too far to the right")
    assert overlaps(figure) == [("one", "two"), ("too far to the right", "edge")]


# ------------------------------------------------------------ history


def test_history_draws_its_figures() -> None:
    """Loss and accuracy, each of training and of validation, over epochs from 1."""
    figure = FULL.plot()
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    for axes, training, validation in zip(
        figure.axes, (FULL.loss, FULL.accuracy), (FULL.val_loss, FULL.val_accuracy), strict=True
    ):
        lines = axes.get_lines()
        assert [line.get_label() for line in lines] == ["training", "validation"]
        assert [list(line.get_xdata()) for line in lines] == [[1, 2, 3]] * 2
        assert [list(line.get_ydata()) for line in lines] == [training, validation]
        assert axes.get_xlabel() == "epoch" and axes.get_legend() is not None
    assert all("%" in t.get_text() for t in figure.axes[1].get_yticklabels())


def test_history_draws_what_there_is() -> None:
    """Without validation one curve, without accuracy one picture."""
    figure = pynn.History(loss=[3.0, 2.0]).plot()
    [axes] = figure.axes
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[3, 2]]


@pytest.mark.parametrize(
    "history", [FULL, LONG, pynn.History([1e-9], [1.0]), pynn.History([12345.0, 2e5])]
)
def test_history_can_be_read(history: pynn.History) -> None:
    """Epochs are whole numbers, and no text lies over another."""
    figure = history.plot()
    assert overlaps(figure) == []
    for axes in figure.axes:
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_history_needs_an_epoch() -> None:
    """And a history."""
    with pytest.raises(pynn.ArgumentError, match="history must have an epoch at least"):
        pynn.History().plot()
    with pytest.raises(pynn.ArgumentTypeError, match=r"must be a pynn\.History, got list \[1\]"):
        plots.history([1])  # type: ignore[arg-type]


# ------------------------------------------------------------ confusion matrix

MATRIX = np.array([[50, 0, 2], [1, 30, 0], [0, 700, 7]])


def test_confusion_matrix_draws_shares_and_counts() -> None:
    """Colours are shares of a row; each count that is not 0 stands in its cell."""
    figure = plots.confusion_matrix(MATRIX)
    axes = figure.axes[0]
    [image] = axes.get_images()
    np.testing.assert_allclose(image.get_array(), MATRIX / MATRIX.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(image.norm([0, 0.04, 0.25, 1]), [0, 0.2, 0.5, 1])
    written = {(t.get_position()[1], t.get_position()[0]): int(t.get_text()) for t in axes.texts}
    assert written == {(r, c): MATRIX[r, c] for r in range(3) for c in range(3) if MATRIX[r, c]}
    assert axes.get_title() == "87 of 790 right (11.01%)"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


@pytest.mark.parametrize("percent", [1, 10, 20, 50, 80, 90, 99])
def test_counts_are_seen_on_their_cells(percent: int) -> None:
    """Each has a contrast of 4 with what it stands on, by WCAG's formula, where 3 is enough."""

    def luminance(color: Any) -> float:
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in colors.to_rgb(color)
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    axes = plots.confusion_matrix(np.array([[percent, 100 - percent], [0, 1]])).axes[0]
    [image] = axes.get_images()
    for text in axes.texts:
        column, row = text.get_position()
        cell = image.to_rgba(image.get_array())[row, column]
        light, dark = sorted([luminance(text.get_color()), luminance(cell[:3])], reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 4


def test_confusion_matrix_names_its_classes() -> None:
    """Rows and columns, in order; long names lie beside each other all the same."""
    names = [f"a class called {k}" for k in range(10)]
    figure = plots.confusion_matrix(np.eye(10, dtype=int), labels=names)
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == names
    assert [t.get_text() for t in axes.get_yticklabels()] == names
    assert overlaps(figure) == []


def test_names_are_no_formulas(tmp_path: Path) -> None:
    """What matplotlib would take for TeX, and refuse, is drawn as it is."""
    figure = plots.confusion_matrix(
        np.eye(2, dtype=int), tmp_path / "matrix.png", labels=["$5_", r"$\nothing$"]
    )
    axes = figure.axes[0]
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        assert not label.get_parse_math()


@pytest.mark.parametrize("classes", [1, 2, 10, 24, 25, 100])
def test_confusion_matrix_of_any_size(classes: int) -> None:
    """Counts of five digits can be read, or are left out where there are too many classes."""
    matrix = np.full((classes, classes), 12345, np.uint16)
    figure = plots.confusion_matrix(matrix)
    assert overlaps(figure) == []
    assert len(figure.axes[0].texts) == (classes**2 if classes <= 24 else 0)


def test_confusion_matrix_of_nothing() -> None:
    """No examples are no share of anything."""
    figure = plots.confusion_matrix(np.zeros((2, 2), np.int64))
    assert figure.axes[0].get_title() == "0 of 0 right"


@pytest.mark.parametrize(
    ("matrix", "labels", "error", "words"),
    [
        ([[1]], None, pynn.ArgumentTypeError, "matrix must be a NumPy array, got list"),
        (MATRIX / 2, None, pynn.ArgumentTypeError, "matrix must be of integers, got dtype float"),
        (MATRIX[:2], None, pynn.ArgumentError, r"shape \(classes, classes\), got \(2, 3\)"),
        (MATRIX[:0, :0], None, pynn.ArgumentError, r"got \(0, 0\)"),
        (-MATRIX, None, pynn.ArgumentError, "matrix must have no negative numbers, got -700"),
        (MATRIX, ["a"], pynn.ArgumentError, "labels must be 3, one for each class, got 1"),
        (MATRIX, 3, pynn.ArgumentTypeError, "labels must be a list of names, got int 3"),
    ],
)
def test_confusion_matrix_refuses(
    matrix: Any, labels: Any, error: type[Exception], words: str
) -> None:
    """What is no such matrix, or not as many names."""
    with pytest.raises(error, match=words):
        plots.confusion_matrix(matrix, labels=labels)


# ------------------------------------------------------------ weights


def pixels(image: Any) -> npt.NDArray[np.float32]:
    """What an image is drawn of; nan where there is nothing."""
    array: npt.NDArray[np.float32] = np.ma.filled(image.get_array(), np.nan)
    return array


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (4, 4), (5, 5), (6, 6), (64, 6)])
def test_weights_are_images(count: int, shown: int) -> None:
    """Each unit's weights stand somewhere as an image, on a scale symmetric about 0."""
    model = CHAIN.build(seed=2)
    figure = plots.weights(model, shape=(4, 5), count=count)
    [image] = figure.axes[0].get_images()
    mosaic = pixels(image)
    matrix = model.parameters["dense1.weight"]
    tiles = [
        mosaic[top : top + 4, left : left + 5]
        for top in range(1, mosaic.shape[0], 5)
        for left in range(1, mosaic.shape[1], 6)
    ]
    for unit, tile in enumerate(tiles):
        if unit < shown:
            np.testing.assert_array_equal(tile, matrix[:, unit].reshape(4, 5))
        else:
            assert np.isnan(tile).all()
    assert np.isfinite(mosaic).sum() == shown * 20
    reach = np.quantile(np.abs(matrix[:, :shown]), 0.995)
    np.testing.assert_allclose(image.get_clim(), (-reach, reach))
    some = f"{shown} of 6" if shown < 6 else "all 6"
    assert figure.get_suptitle() == f"dense1: weights of {some} units"
    assert overlaps(figure) == []


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (2, 200)])
@pytest.mark.parametrize("count", [1, 3, 30])
def test_weights_of_any_shape(shape: tuple[int, int], count: int) -> None:
    """Also as lines."""
    model = pynn.Builder().input(400).dense(30).softmax_cross_entropy().build()
    assert overlaps(plots.weights(model, shape=shape, count=count)) == []


def test_weights_that_are_all_zero() -> None:
    """Have a scale all the same."""
    model = CHAIN.build()
    model.parameters["dense1.weight"][...] = 0
    [image] = plots.weights(model, shape=(2, 10)).axes[0].get_images()
    assert image.get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, pynn.ArgumentError, "image of 20 pixels, as the model has 20 inputs, got 28 x 28"),
        ({"shape": (4, 4)}, pynn.ArgumentError, "got 4 x 4"),
        ({"shape": (-4, -5)}, pynn.ArgumentError, "shape must be at least 1, got -4"),
        ({"shape": 20}, pynn.ArgumentTypeError, r"shape must be \(height, width\), got int 20"),
        ({"shape": (4, 5), "count": 0}, pynn.ArgumentError, "count must be at least 1, got 0"),
        ({"shape": (4, 5), "path": 3}, pynn.ArgumentTypeError, "path must be a str or a Path"),
    ],
)
def test_weights_refuses(options: dict[str, Any], error: type[Exception], words: str) -> None:
    """What is no shape of an image of the model's inputs."""
    with pytest.raises(error, match=words):
        plots.weights(CHAIN.build(), **options)


def test_weights_that_are_not_finite() -> None:
    """Have no colours; and what is no model has no weights."""
    model = CHAIN.build()
    model.parameters["dense1.weight"][3, 2] = np.inf
    with pytest.raises(pynn.DivergenceError, match=r"dense1\.weight is not finite"):
        plots.weights(model, shape=(4, 5))
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model, got str"):
        plots.weights("model")  # type: ignore[arg-type]


# ------------------------------------------------------------ worst mistakes


def captioned(figure: Any, height: int, width: int) -> list[tuple[npt.NDArray[Any], str]]:
    """The images of a figure with the words above them."""
    [axes] = figure.axes
    [image] = axes.get_images()
    found = []
    for text in axes.texts:
        middle, bottom = text.get_position()
        top, left = round(bottom + 0.6), round(middle - (width - 1) / 2)
        found.append((pixels(image)[top : top + height, left : left + width], text.get_text()))
    return found


def test_worst_mistakes_are_the_worst(
    model: pynn.Model, examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> None:
    """In the order of their losses, with true class, answer and the answer's probability."""
    images, labels = examples
    probabilities = model.predict_proba(images).astype(np.float64)
    answers = probabilities.argmax(axis=1)
    losses = -np.log(probabilities[np.arange(len(labels)), labels])
    wrong = [int(k) for k in np.argsort(-losses) if answers[k] != labels[k]]
    assert len(wrong) > 9
    figure = plots.worst_mistakes(model, images, labels, count=9)
    for (tile, words), index in zip(captioned(figure, 4, 5), wrong, strict=False):
        np.testing.assert_array_equal(tile, images[index])
        share = f"{probabilities[index, answers[index]]:.0%}"
        assert words == f"{labels[index]} → {answers[index]}  {share}"
    assert len(captioned(figure, 4, 5)) == 9
    assert figure.get_suptitle().startswith(f"the 9 worst of {len(wrong)} mistakes in 300\n")


@pytest.mark.parametrize("count", [1, 2, 5, 25, 100])
def test_worst_mistakes_can_be_read(
    count: int, examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> None:
    """However many there are."""
    images, labels = examples
    figure = plots.worst_mistakes(CHAIN.build(seed=1), images, labels, count=count)
    assert len(captioned(figure, 4, 5)) == count
    assert overlaps(figure) == []


@pytest.mark.parametrize("shape", [(1, 20), (20, 1), (2, 10)])
def test_worst_mistakes_of_any_shape(
    shape: tuple[int, int], examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> None:
    """Also of images that are lines."""
    images, labels = examples
    images = images.reshape(-1, *shape)
    figure = plots.worst_mistakes(CHAIN.build(seed=1), images, labels)
    assert len(captioned(figure, *shape)) == 25
    assert overlaps(figure) == []


def test_losses_beyond_float32_are_in_order() -> None:
    """Where all probabilities of the right class are 0 as float32."""
    model = pynn.Builder().input(4).dense(2).softmax_cross_entropy().build()
    model.parameters["dense1.weight"][...] = 0
    model.parameters["dense1.weight"][:, 0] = [1, 10, 100, 1000]
    images = np.eye(4, dtype=np.float32).reshape(4, 2, 2) * 1000
    figure = plots.worst_mistakes(model, images, np.ones(4, np.int64))
    assert [int(tile.argmax()) for tile, _ in captioned(figure, 2, 2)] == [3, 2, 1, 0]


def test_no_mistakes() -> None:
    """Is a figure that says so; also of no examples."""
    model = CHAIN.build()
    images = np.zeros((5, 4, 5), np.uint8)
    for count in (5, 0):
        figure = plots.worst_mistakes(model, images[:count], model.predict(images)[:count])
        assert figure.get_suptitle() == f"0 mistakes in {count}"
        assert figure.axes == [] and overlaps(figure) == []


REGRESSION = pynn.Builder().input(20).dense(3).mean_squared_error()


@pytest.mark.parametrize(
    ("chain", "images", "labels", "words"),
    [
        (CHAIN, np.zeros((2, 20), np.uint8), [0, 1], r"\(n, height, width\), got \(2, 20\)"),
        (CHAIN, np.zeros((2, 4, 5), np.uint8), [0], r"labels must have shape \(2,\)"),
        (CHAIN, np.zeros((2, 4, 5), np.uint8), [0, 3], r"labels must be in \[0, 3\)"),
        (CHAIN, np.zeros((2, 4, 4), np.uint8), [0, 1], r"features must have shape \(n, 20\)"),
        (REGRESSION, np.zeros((2, 4, 5), np.uint8), [0, 1], "it has mean_squared_error"),
    ],
)
def test_worst_mistakes_refuses(
    chain: pynn.FinishedBuilder, images: npt.NDArray[Any], labels: list[int], words: str
) -> None:
    """What the model cannot be wrong about."""
    with pytest.raises(pynn.ArgumentError, match=words):
        plots.worst_mistakes(chain.build(), images, np.array(labels))


def test_worst_mistakes_needs_a_model_and_a_count() -> None:
    """A count that can be drawn."""
    images = np.zeros((2, 4, 5), np.uint8)
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model"):
        plots.worst_mistakes(None, images, np.zeros(2, int))  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentError, match=r"count must be in \[1, 400\], got 401"):
        plots.worst_mistakes(CHAIN.build(), images, np.zeros(2, int), count=401)


# ------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml")]
)
def test_files_are_in_the_format_of_their_name(suffix: str, start: bytes, tmp_path: Path) -> None:
    """Whole, with nothing left beside them."""
    path = tmp_path / f"picture{suffix}"
    FULL.plot(path)
    assert path.read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [path.name]


def test_all_pictures_are_written(
    tmp_path: Path, examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> None:
    """With the size of the figure at 150 dots an inch."""
    model = CHAIN.build()
    figures = {
        "history": plots.history(FULL, tmp_path / "history.png"),
        "confusion": plots.confusion_matrix(MATRIX, tmp_path / "confusion.png"),
        "weights": plots.weights(model, tmp_path / "weights.png", shape=(4, 5)),
        "mistakes": plots.worst_mistakes(model, *examples, path=tmp_path / "mistakes.png"),
    }
    for name, figure in figures.items():
        content = (tmp_path / f"{name}.png").read_bytes()
        size = [int.from_bytes(content[at : at + 4], "big") for at in (16, 20)]  # of PNG's header
        assert size == [int(inches * 150) for inches in figure.get_size_inches()]


@pytest.mark.parametrize("name", ["picture", "picture.xyz", ".png"])
def test_names_of_no_format_are_refused(name: str, tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(pynn.ArgumentError, match=r"path must end in .*\.pdf.*\.png.*; got '.*'"):
        FULL.plot(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""

    def absent(name: str, *_: object) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    class Finder:
        """Knows of no matplotlib."""

        find_spec = staticmethod(lambda name, *_: absent(name) if name == "matplotlib" else None)

    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(ImportError, match=r"pip install 'pynn-blas\[plots\]'"):
        FULL.plot()


def test_pyplot_is_not_imported(tmp_path: Path) -> None:
    """It would choose a backend and keep each figure; and importing pynn.plots imports nothing."""
    code = """if True:
        import sys
        import pynn, pynn.plots
        assert not any(name.startswith("matplotlib") for name in sys.modules)
        pynn.History([1.0], [1.0]).plot("picture.png")
        assert "matplotlib.figure" in sys.modules
        assert "matplotlib.pyplot" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "picture.png").exists()


# ------------------------------------------------------------ to_csv


def read(path: Path) -> list[list[str]]:
    """The cells of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_csv_has_every_figure(tmp_path: Path) -> None:
    """The same numbers come back."""
    values = np.random.default_rng(70).uniform(0, 1, (5, 4)).tolist()
    history = pynn.History(*values)
    history.to_csv(tmp_path / "run.csv")
    head, *rows = read(tmp_path / "run.csv")
    assert head == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    columns = list(zip(*([float(cell) for cell in row[1:]] for row in rows), strict=True))
    assert [list(column) for column in columns] == values
    assert os.listdir(tmp_path) == ["run.csv"]


def test_csv_of_what_was_not_measured(tmp_path: Path) -> None:
    """Cells are empty; without epochs there is the first line."""
    history = CHAIN.build().fit(np.zeros((8, 20), np.uint8), np.arange(8) % 3, epochs=2)
    history.to_csv(tmp_path / "run.csv")
    text = (tmp_path / "run.csv").read_text()
    number = r"\d+\.\d+(e-\d+)?"
    assert re.fullmatch(rf"epoch,.*\n1,{number},{number},,,{number}\n2,[^\n]*\n", text)
    pynn.History().to_csv(tmp_path / "run.csv")
    assert read(tmp_path / "run.csv") == [text.splitlines()[0].split(",")]


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 2.0])
def test_csv_keeps_all_digits(value: float, tmp_path: Path) -> None:
    """Of any float, also where it is NumPy's."""
    pynn.History(loss=[value, np.float64(value)]).to_csv(tmp_path / "run.csv")
    assert [float(row[1]) for row in read(tmp_path / "run.csv")[1:]] == [value, value]


def test_csv_needs_a_path() -> None:
    """As every file does."""
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got int 3"):
        FULL.to_csv(3)  # type: ignore[arg-type]


def test_csv_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails the old file stays."""
    path = tmp_path / "run.csv"
    FULL.to_csv(path)
    before = path.read_bytes()

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        pynn.History([1.0]).to_csv(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.csv"]
