"""Training from Python: labels, options and data that are refused, with their names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pattern_models import Examples, assert_same_parameters, build, flat

import pynn

LABEL_DTYPES = [*"bBhHiIlLqQ", ">i4", ">u2"]


@pytest.mark.parametrize("dtype", LABEL_DTYPES)
def test_labels_of_any_integer_dtype_are_the_same(dtype: str, examples: Examples) -> None:
    """All integer types, strides and byte orders give the same bits, evaluated and trained on."""
    images, labels = examples
    same = np.repeat(labels.astype(dtype), 2)[::2]
    same.flags.writeable = False
    model, other = build(), build()
    assert model.evaluate(images, same) == other.evaluate(images, labels)
    model.fit(images, same, epochs=1, batch_size=32)
    other.fit(images, labels, epochs=1, batch_size=32)
    assert_same_parameters(model, other)


@pytest.mark.parametrize("dtype", ["u1", "i4"])
def test_labels_are_read_once(dtype: str, examples: Examples) -> None:
    """Labels that become wrong while they are trained on do no harm, and change no bit."""
    images = examples[0]
    labels, held_out = examples[1].astype(dtype), examples[1].astype(dtype)

    def spoil(_: object) -> None:
        labels[:] = held_out[:] = 100

    model, other = build(), build()
    history = model.fit(
        images, labels, epochs=2, batch_size=32, validation=(images, held_out), on_progress=spoil
    )
    expected = other.fit(*examples, epochs=2, batch_size=32, validation=examples)
    assert_same_parameters(model, other)
    assert history.val_loss == expected.val_loss


@pytest.mark.parametrize(
    ("dtype", "label"),
    [
        ("u1", 3),
        ("u1", 255),
        ("i1", -1),
        ("i4", 3),
        ("i8", 2**32),
        ("i8", -(2**63)),
        ("u8", 2**64 - 1),
    ],
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_label_out_of_range_is_named(
    dtype: str, label: int, method: str, examples: Examples
) -> None:
    """The error has the range, the label and its place; 2**32 is not taken for 0."""
    images, labels = examples
    wrong = labels.astype(dtype)
    wrong[[7, 9]] = label
    model = build()
    before = flat(model)
    options = {"epochs": 1, "batch_size": 32} if method == "fit" else {}
    with pytest.raises(pynn.ArgumentError) as caught:
        getattr(model, method)(images, wrong, **options)
    assert str(caught.value) == (
        f"labels must be in [0, 3), as the network has 3 outputs; got {label} at index 7"
    )
    np.testing.assert_array_equal(flat(model), before)


IMAGES, LABELS = np.zeros((9, 4, 5), np.uint8), np.zeros(9, np.uint8)
VALUE, TYPE = pynn.ArgumentError, pynn.ArgumentTypeError


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"epochs": 0}, VALUE, "epochs must be at least 1, got 0"),
        ({"epochs": 1.0}, TYPE, "epochs must be an integer, got float 1.0"),
        ({"epochs": True}, TYPE, "epochs must be an integer, got bool True"),
        ({"batch_size": 0}, VALUE, "batch_size must be at least 1, got 0"),
        ({"batch_size": 10}, VALUE, "at most the number of examples, 9, got 10"),
        ({"batch_size": "9"}, TYPE, "batch_size must be an integer, got str '9'"),
        (
            {"optimizer": 0.1},
            TYPE,
            "pynn.AdamW or pynn.LBFGS, as in pynn.SGD(learning_rate=0.1), got float 0.1",
        ),
        (
            {"optimizer": pynn.SGD},
            TYPE,
            "optimizer must be an object, got the class SGD: write optimizer=pynn.SGD(), with its",
        ),
        ({"on_epoch": 1}, TYPE, "on_epoch must be callable, got int 1"),
        ({"on_progress": "x"}, TYPE, "on_progress must be callable, got str 'x'"),
        ({"validation": IMAGES}, TYPE, "validation must be a pair (features, labels)"),
        ({"validation": (IMAGES,)}, TYPE, "validation must be a pair (features, labels)"),
        ({"validation": (IMAGES, LABELS + 3)}, VALUE, "validation labels must be in [0, 3)"),
        ({"validation": (IMAGES[:, 1:], LABELS)}, VALUE, "validation features must have shape"),
    ],
)
def test_wrong_option_is_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    """The error says which option, what it needs, and what it got; nothing is trained."""
    refuse(IMAGES, LABELS, error, words, **options)


@pytest.mark.parametrize(
    ("features", "labels", "error", "words"),
    [
        (IMAGES[:0], LABELS[:0], VALUE, "features must have at least one example, got (0, 4, 5)"),
        (
            np.array(7, np.uint8),
            LABELS,
            VALUE,
            "features must have shape (n, 20), or (n, ...) with",
        ),
        (IMAGES, LABELS[:8], VALUE, "shape (9,), one label for each example, got (8,)"),
        (IMAGES, np.eye(9, 3), TYPE, "labels must be integers in [0, 3), got dtype float64"),
        (IMAGES, "012012012", TYPE, "labels must be an array of numbers, or a list or a table of"),
        (IMAGES.astype("c8"), LABELS, TYPE, "got dtype complex64; take a part of them, as in"),
    ],
)
def test_wrong_data_is_named(
    features: Any, labels: Any, error: type[Exception], words: str
) -> None:
    """The error says which array, what it needs, and what it got; nothing is trained."""
    refuse(features, labels, error, words)


def refuse(features: Any, labels: Any, error: type[Exception], words: str, **options: Any) -> None:
    """Assert that fit raises, and leaves the parameters alone."""
    model = build()
    before = flat(model)
    with pytest.raises(error) as caught:
        model.fit(features, labels, **({"epochs": 1, "batch_size": 3} | options))
    assert words in str(caught.value)
    np.testing.assert_array_equal(flat(model), before)


def test_options_are_keywords_only() -> None:
    """Options by position are refused, as their order means nothing."""
    with pytest.raises(TypeError, match="positional"):
        build().fit(IMAGES, LABELS, 1)  # type: ignore[call-arg]


@pytest.mark.parametrize("rate", [0.1, 1, np.float32(0.1), np.float64(0.1), np.int64(1)])
def test_learning_rate_is_any_real_number(rate: Any) -> None:
    """Any real type is accepted, and stored as a float."""
    assert type(pynn.SGD(learning_rate=rate).learning_rate) is float
    assert pynn.SGD(learning_rate=rate).learning_rate == rate


@pytest.mark.parametrize(
    ("rate", "error"),
    [
        (0, pynn.ArgumentError),
        (-0.1, pynn.ArgumentError),
        (float("nan"), pynn.ArgumentError),
        (float("inf"), pynn.ArgumentError),
        (1e39, pynn.ArgumentError),  # infinite as a float32
        (10**400, pynn.ArgumentError),  # infinite as a float
        (True, pynn.ArgumentTypeError),
        ("0.1", pynn.ArgumentTypeError),
        (None, pynn.ArgumentTypeError),
        (np.complex64(1), pynn.ArgumentTypeError),
        (np.array([0.1]), pynn.ArgumentTypeError),
    ],
)
def test_wrong_learning_rate_is_refused(rate: Any, error: type[Exception]) -> None:
    """What is no number, or no usable one, is refused when the optimizer is made."""
    with pytest.raises(error, match="learning_rate must be"):
        pynn.SGD(learning_rate=rate)


def test_optimizer_cannot_be_changed() -> None:
    """An SGD is a value, equal to its equals."""
    optimizer = pynn.SGD(learning_rate=0.5)
    with pytest.raises(AttributeError):
        optimizer.learning_rate = 1.0  # type: ignore[misc]
    assert optimizer == pynn.SGD(learning_rate=0.5) != pynn.SGD()
    assert repr(optimizer) == "SGD(learning_rate=0.5)"
