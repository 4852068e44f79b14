"""The figures of each class: precision, recall and the confusion matrix."""

from __future__ import annotations

import numpy as np
import pytest
from random_training import X

import pynn
from pynn._training.evaluation import ClassEvaluation


def test_figures_of_each_class_by_hand() -> None:
    """Outputs are the features; answers 0 0 1 1 2 for labels 0 1 1 1 0."""
    model = pynn.Builder().input(3).dense(3).softmax_cross_entropy().build()
    model.parameters["dense1.weight"][...] = np.eye(3)
    x = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2]] * 5
    y = np.array([0, 1, 1, 1, 0])
    figures = model.evaluate(x, y, per_class=True)
    np.testing.assert_array_equal(figures.confusion, [[1, 0, 1], [1, 2, 0], [0, 0, 0]])
    np.testing.assert_array_equal(figures.support, [2, 3, 0])
    np.testing.assert_allclose(figures.precision, [1 / 2, 1, 0])
    np.testing.assert_allclose(figures.recall, [1 / 2, 2 / 3, 0])
    np.testing.assert_allclose(figures.f1, [1 / 2, 4 / 5, 0])
    assert figures[:2] == model.evaluate(x, y)
    assert figures.accuracy == pytest.approx(3 / 5)
    lines = repr(figures).splitlines()
    assert lines[1].split() == ["class", "precision", "recall", "f1", "support"]
    assert lines[3].split() == ["1", "1.0000", "0.6667", "0.8000", "3"]


def test_figures_of_very_many_classes() -> None:
    """The square of their number is no int32; most of the matrix is never touched."""
    last = 46_340
    model = pynn.Builder().input(3).dense(last + 1).softmax_cross_entropy().build()
    weights = model.parameters["dense1.weight"]
    weights[...] = 0.0
    weights[[0, 1, 2], [0, last, last - 1]] = 1.0
    x, y = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]], np.array([0, last, last, 1])
    try:
        figures = model.evaluate(x, y, per_class=True)
    except pynn.OutOfMemoryError as error:
        assert "confusion matrix of 46,341 classes" in str(error)
        pytest.skip("there is no memory for the matrix")
    for label, answer in zip(y, [0, last, last - 1, last], strict=True):
        assert figures.confusion[label, answer] == 1
    assert figures.recall[[0, 1, last]].tolist() == [1.0, 0.0, 0.5]
    assert figures.precision[[0, 1, last]].tolist() == [1.0, 0.0, 0.5]
    assert figures.support[[0, 1, 2, last]].tolist() == [1, 1, 0, 2]


def test_figures_of_more_classes_than_memory() -> None:
    """The error is one of ours, and says what to do."""
    one = np.zeros(1, np.int32)
    with pytest.raises(pynn.OutOfMemoryError, match="evaluate without per_class"):
        ClassEvaluation.of(pynn.Evaluation(1.0, 0.5), one, one, 2**31 - 1)


def test_figures_of_classes_need_classes() -> None:
    """For regression they are refused."""
    model = pynn.Builder().input(6).dense(1).mean_squared_error().build()
    with pytest.raises(pynn.ArgumentError, match="per_class needs classes"):
        model.evaluate(X, X[:, 0], per_class=True)
