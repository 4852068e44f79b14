"""Names of classes: learned from labels that are text, given back, saved and exported."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import pynn
from pynn._inspect import inspect
from pynn.formats import _c_files

NUMBERS = np.array([2, 0, 1, 2, 0, 1, 0, 2, 1, 0])
NAMES = np.array(["cat", "cow", "dog"])[NUMBERS]
X = np.eye(3, dtype=np.float32)[NUMBERS]
HARD = ("", 'say "hi"\n', "NAME OUTPUT_COUNT \\?? 7")


def build(outputs: int = 3) -> pynn.Model:
    """A new classifier."""
    return pynn.Builder().input(3).dense(outputs).softmax_cross_entropy().build(seed=2)


def trained() -> pynn.Model:
    """A classifier that was trained on names, and makes no mistakes."""
    model = build()
    model.fit(X, NAMES, epochs=60, batch_size=5, optimizer=pynn.SGD(learning_rate=0.5))
    return model


FORMS: dict[str, Any] = {
    "list": NAMES.tolist(),
    "array": NAMES,
    "column": NAMES[:, None],
    "objects": NAMES.astype(object),
    "series": pd.Series(NAMES),
    "categorical": pd.Categorical(NAMES, categories=["dog", "yak", "cow", "cat"]),
    "categorical series": pd.Series(NAMES).astype("category"),
    "frame": pd.DataFrame({"animal": NAMES}),
    "polars": pl.Series(NAMES),
    "polars enum": pl.Series(NAMES.tolist(), dtype=pl.Enum(["dog", "cow", "cat"])),
    "polars frame": pl.DataFrame({"animal": NAMES}),
}


@pytest.mark.parametrize("form", FORMS)
def test_names_are_numbered_in_their_order(form: str) -> None:
    """The same bits as with numbers, in training, validation and evaluation."""
    labels = FORMS[form]
    model, other = build(), build()
    options: dict[str, Any] = {"epochs": 3, "batch_size": 4}
    history = model.fit(
        X, labels, validation=(X, labels), class_weight={"cow": 3.0, 2: 2.0}, **options
    )
    expected = other.fit(
        X, NUMBERS, validation=(X, NUMBERS), class_weight={1: 3.0, 2: 2.0}, **options
    )
    assert (history.loss, history.val_loss) == (expected.loss, expected.val_loss)
    assert model.partial_fit(X, labels) == other.partial_fit(X, NUMBERS)
    assert model.evaluate(X, labels) == other.evaluate(X, NUMBERS)
    assert model(X).tobytes() == other(X).tobytes()
    assert model.classes == ("cat", "cow", "dog")
    assert other.classes is None


def test_predict_gives_names() -> None:
    """An array of str, also without rows; numbers are still taken as labels."""
    model = trained()
    assert model.predict(X).tolist() == NAMES.tolist()
    assert model.predict(X[:0]).shape == (0,) and model.predict(X[:0]).dtype.kind == "U"
    assert model.evaluate(X, NUMBERS) == model.evaluate(X, NAMES)
    assert model.predict_proba(X).shape == (10, 3)


def test_evaluation_shows_names() -> None:
    """The table has them, as wide as they are, without what a terminal would obey."""
    model = trained()
    evaluation = model.evaluate(X, NAMES, per_class=True)
    assert evaluation.classes == model.classes
    assert [line.split()[0] for line in repr(evaluation).splitlines()[1:]] == [
        "class",
        *("cat", "cow", "dog"),
    ]
    model.classes = ("a\x1b", "much longer", "c")
    lines = repr(model.evaluate(X, NUMBERS, per_class=True)).splitlines()[1:]
    assert r">a\x1b</td>" in model.evaluate(X, NUMBERS, per_class=True)._repr_html_()
    assert lines[1].startswith(r"      a\x1b ") and len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    "labels",
    [["cat", "yak"] * 5, pd.Series(["yak", "cat"] * 5), pd.Series(["zebu", "yak"] * 5)],
)
def test_other_names_are_refused(labels: Any) -> None:
    """By name, beside those that the model knows, and nothing is trained."""
    model = trained()
    before = model(X)
    for call in (
        lambda: model.fit(X, labels, epochs=1),
        lambda: model.partial_fit(X, labels),
        lambda: model.evaluate(X, labels),
        lambda: model.fit(X, NAMES, epochs=1, validation=(X, labels)),
    ):
        with pytest.raises(pynn.ArgumentError, match=r"'cat', 'cow', 'dog'; got .*'yak'.* index"):
            call()
    np.testing.assert_array_equal(model(X), before)


ONE = ["one"] * 10
REFUSED: dict[str, tuple[pynn.Model, Any, str]] = {
    "fewer": (build(), ["a", "b"] * 5, "3; got 2: 'a', 'b'; build it with 2 outputs, or name all"),
    "more": (build(1), ["a", "b"] * 5, "as the network has outputs, 1; got 2: 'a', 'b'; build it"),
    "many": (build(), list("abcdefghij"), "got 10: 'a', 'b', 'c', 'd', 'e' and 5 more"),
    "one is missing": (
        build(2),
        pd.Series(["a", None, *"abababab"]),
        "index 1 is .*nan, which is no name: leave out",
    ),
    "a number among them": (build(2), np.array(["a", 1] * 5, object), "index 1 is int 1, which"),
    "NUL": (build(2), ["a\0b", "c"] * 5, r"without NUL, got str 'a\\x00b'"),
    "half a character": (build(2), ["\ud800", "c"] * 5, r"UTF-8 can hold, without NUL, got str"),
    "bytes": (build(2), np.array([b"a", b"b"] * 5), r"number them with np.unique\(labels, return"),
    "dicts": (build(2), [{}, {}] * 5, r"labels must be integers in \[0, 2\), got dtype object"),
    "values": (
        pynn.Builder().input(3).dense(1).mean_squared_error().build(),
        ONE,
        r"labels must be numbers, got dtype <U3: labels\[0\] is str 'one'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_names_that_do_not_fit_are_refused(case: str) -> None:
    """The error says which there are; the model has no names afterwards."""
    model, labels, words = REFUSED[case]
    for call in (
        lambda: model.fit(X, labels, epochs=1),
        lambda: model.partial_fit(X, labels),
        lambda: model.explain(X, labels),
    ):
        with pytest.raises(pynn.PynnError, match=words):
            call()
        assert model.classes is None


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"batch_size": 11},
        {"validation": (X, ["cat", "yak"] * 5)},
        {"class_weight": {"yak": 1.0}},
        {"early_stopping": 5},
        {"checkpoint": ""},
    ],
)
def test_a_call_that_fails_leaves_no_names(options: dict[str, Any]) -> None:
    """Whatever is wrong with it, other names may be learned afterwards."""
    model = build()
    with pytest.raises((pynn.PynnError, OSError)):
        model.fit(X, NAMES, **({"epochs": 1} | options))
    assert model.classes is None


def test_a_first_step_that_fails_leaves_no_names() -> None:
    """A value that is not finite in the first batch; after a step that was done, they stay."""
    model, bad = build(), X.copy()
    bad[9] = np.nan
    for call in (
        lambda size: model.partial_fit(bad, NAMES, batch_size=size),
        lambda size: model.fit(bad, NAMES, batch_size=size, epochs=1, shuffle=False),
    ):
        model.reset()
        for size, left in ((10, None), (5, ("cat", "cow", "dog"))):
            with pytest.raises(pynn.ArgumentError, match="holds nan"):
                call(size)
            assert model.classes == left


def test_a_model_without_names_knows_none() -> None:
    """evaluate and class_weight need names that were learned, or set."""
    model = build()
    with pytest.raises(pynn.ArgumentError, match="this model knows no names of classes: train it"):
        model.evaluate(X, NAMES)
    with pytest.raises(
        pynn.ArgumentError, match="a class must be a number, without names, got str"
    ):
        model.fit(X, NUMBERS, epochs=1, class_weight={"cat": 1.0})
    with pytest.raises(
        pynn.ArgumentError, match="must be among 'cat', 'cow', 'dog', got str 'yak'"
    ):
        model.fit(X, NAMES, epochs=1, class_weight={"yak": 1.0})


def test_names_can_be_set() -> None:
    """In any order, before the first batch that lacks some; to rename; and to forget."""
    model = build()
    model.classes = ["dog", "cat", "cow"]
    model.partial_fit(X[:2], ["dog", "cat"])
    other = build()
    other.partial_fit(X[:2], [0, 1])
    assert model(X).tobytes() == other(X).tobytes()
    model.classes = pd.Series(["x", "y", "z"])
    assert model.classes == ("x", "y", "z") and set(model.predict(X)) <= {"x", "y", "z"}
    model.classes = None
    assert model.predict(X).dtype.kind == "i"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "b"], "must be 3 names, one for each output, got 2: 'a', 'b'"),
        (["a", "b", "a"], "classes must differ, got str 'a' twice"),
        (["a", "b", 3], "classes must be str, got int 3"),
        ("abc", "classes must be a list of names, such as .* got str 'abc'"),
        (5, "classes must be a list of names, such as .* got int 5"),
    ],
)
def test_wrong_names_are_refused(names: Any, words: str) -> None:
    """Setting them checks them."""
    model = build()
    with pytest.raises(pynn.PynnError, match=words):
        model.classes = names
    assert model.classes is None


def test_names_need_classes() -> None:
    """A regression has none."""
    model = pynn.Builder().input(3).dense(1).mean_squared_error().build()
    with pytest.raises(pynn.ArgumentError, match="mean_squared_error has no classes"):
        model.classes = ["a"]


def test_names_that_changed_meanwhile_are_noticed() -> None:
    """Labels were numbered before another thread gave the model other names."""
    model, other = trained(), build()
    step = other.explain(X, NAMES)
    assert other.classes is None
    other.classes = ["a", "b", "c"]
    with pytest.raises(pynn.ArgumentError, match=r"'dog', and meanwhile .* 'a', 'b', 'c'; call it"):
        step.apply()
    other.classes = None
    step.apply()
    assert other.classes == model.classes


# ------------------------------------------------------------ copies, files and exports


def test_copies_keep_names(tmp_path: Path) -> None:
    """copy, pickle and files; the same model gives the same file; reset forgets them."""
    model = trained()
    model.classes = HARD
    model.save(tmp_path / "one")
    pynn.load(tmp_path / "one").save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    others = [model.copy(), pickle.loads(pickle.dumps(model)), pynn.load(tmp_path / "one")]
    assert all(other.classes == HARD for other in others)
    assert all(other.predict(X).tolist() == model.predict(X).tolist() for other in others)
    model.reset()
    assert model.classes is None
    state = model.__getstate__()
    del state["classes"]  # as older versions pickled it
    model.__setstate__(state)
    assert model.classes is None


def test_a_run_keeps_names(tmp_path: Path) -> None:
    """A resumed run is the same run, by names and by numbers; with other names it is refused."""
    path, model = tmp_path / "run", build()

    def stop(result: pynn.EpochResult) -> None:
        raise StopIteration

    with pytest.raises(StopIteration):
        model.fit(X, NAMES, epochs=3, checkpoint=path, on_epoch=stop)
    whole = build().fit(X, NAMES, epochs=3)
    for labels in (NAMES, NUMBERS):
        resumed = pynn.Model.resume(path)
        assert resumed.classes == ("cat", "cow", "dog")
        assert resumed.fit(X, labels, epochs=3).loss == whole.loss
    with pytest.raises(pynn.ArgumentError, match="got 'yak', first at index 0"):
        pynn.Model.resume(path).fit(X, np.where(NAMES == "dog", "yak", NAMES), epochs=3)


@pytest.mark.parametrize(
    "entry",
    ["", "{}", "3", '["a", "b"]', '["a", "a", "b"]', '["a", "b", 3]', "[" + '"a",' * 999 + '"a"]'],
)
def test_damaged_names_are_refused(entry: str, tmp_path: Path) -> None:
    """A file with an entry that is no list of as many names as outputs."""
    build().save(tmp_path / "model")
    tensors = load_file(tmp_path / "model")
    with safe_open(tmp_path / "model", "numpy") as file:
        metadata = file.metadata()
    save_file(tensors, tmp_path / "model", {**metadata, "classes": entry})
    with pytest.raises(pynn.FileFormatError, match="the model in its metadata is damaged"):
        pynn.load(tmp_path / "model")


def test_inspect_shows_names(tmp_path: Path) -> None:
    """Without what a terminal would obey."""
    model = trained()
    model.classes = ("a\x1b", "b", "c")
    model.save(tmp_path / "model")
    assert "classes     'a\\\\x1b', 'b', 'c'\n" in inspect(str(tmp_path / "model"))


def test_onnx_keeps_names(tmp_path: Path) -> None:
    """As JSON in the metadata; a model without names has no such entry."""
    model = build()
    model.export_onnx(tmp_path / "without.onnx")
    assert not onnx.load(tmp_path / "without.onnx").metadata_props
    model.classes = HARD
    model.export_onnx(tmp_path / "with.onnx")
    (entry,) = onnx.load(tmp_path / "with.onnx").metadata_props
    assert entry.key == "classes" and json.loads(entry.value) == list(HARD)


MAIN = """
#include <stdio.h>
#include "net.h"
int main(void) {
    for (int c = 0; c < NET_OUTPUTS; c++) puts(net_class_names[c]);
}
"""


def test_exported_c_has_names(tmp_path: Path) -> None:
    """A compiler that refuses all that is doubtful reads back the names, byte by byte."""
    model = build()
    model.export_c(tmp_path / "net.c")
    assert "class_names" not in (tmp_path / "net.h").read_text() + (tmp_path / "net.c").read_text()
    names = model.classes = ('say "hi"\n', "NAME OUTPUT_COUNT \\??/ 7", "Kühe\x1b7")
    model.export_c(tmp_path / "net.c")
    (tmp_path / "main.c").write_text(MAIN)
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-trigraphs"]
    files = [str(tmp_path / name) for name in ("net.c", "main.c")]
    subprocess.run([*command, *files, "-o", str(tmp_path / "main"), "-lm"], check=True)
    said = subprocess.run([str(tmp_path / "main")], capture_output=True, check=True).stdout
    assert said.decode() == "".join(f"{name}\n" for name in names)
    assert _c_files.literal("a?7") == '"a\\0777"'


def test_pictures_show_names() -> None:
    """The axes of a confusion matrix, and the captions of mistakes; "$" is no formula."""
    model = trained()
    evaluation = model.evaluate(X, NAMES, per_class=True)
    axes = pynn.plots.confusion_matrix(evaluation).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["cat", "cow", "dog"]
    axes = pynn.plots.confusion_matrix(evaluation, labels=["x", "y", "z"]).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["x", "y", "z"]
    model.classes = ("$a$", "b", "c")
    pictures = X.reshape(-1, 1, 3)
    figure = pynn.plots.worst_mistakes(model, pictures, ["$a$"] * 10)
    words = {text.get_text().split("  ")[0] for text in figure.axes[0].texts}
    assert words == {"$a$ → b", "$a$ → c"}
    figure.canvas.draw()
