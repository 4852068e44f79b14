"""Warnings of trainings that are worth nothing: when they come, and what they say."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import log_loss

import pynn
from pynn._native.data import Data
from pynn._training import doubts, examples
from pynn.sklearn import MLPClassifier

ROWS = 120
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 5)).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(np.int64)
INCOMES = X * [1, 1, 1, 3e4, 1] + [0, 0, 0, 5e4, 0]
Fit = dict[str, Any]


def build(loss: str = "softmax_cross_entropy", outputs: int = 2, **options: Any) -> pynn.Model:
    """A small network of five features."""
    chain = pynn.Builder().input(5).dense(8).relu().dense(outputs)
    model: pynn.Model = getattr(chain, loss)(**options).build(seed=0)
    return model


def named(table: npt.NDArray[Any], names: list[Any]) -> Any:
    """The table as a frame."""
    return pytest.importorskip("pandas").DataFrame(table, columns=names)


def warned(features: Any, labels: Any, model: pynn.Model | None = None, **fit: Any) -> list[str]:
    """What `fit` warns of."""
    model = build() if model is None else model
    fit = {"epochs": 1, **fit}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(features, labels, **fit)
    assert all(warning.category is pynn.TrainingWarning for warning in caught)
    assert all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


def test_warning_names_the_line_of_the_call() -> None:
    """The line is that of the caller, however deep in pynn the doubt came up."""
    with pytest.warns(pynn.TrainingWarning) as caught:
        build().fit(X, np.zeros(ROWS, int), epochs=1)
        frame = inspect.currentframe()
        line = frame.f_lineno - 2 if frame else 0
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, line)]


# ------------------------------------------------------------ examples


@pytest.mark.parametrize("fit", [{}, {"validation": 0.2}, {"class_weight": "balanced"}])
def test_honest_training_has_none(fit: Fit) -> None:
    """Neither one epoch nor thirty; nor with weights."""
    assert warned(X, LABELS, **fit) == warned(X, LABELS, epochs=30, **fit) == []


@pytest.mark.parametrize(
    ("loss", "outputs", "labels", "words"),
    [
        ("softmax_cross_entropy", 2, np.ones(ROWS, int), "all 120 labels to train on are 1: the"),
        ("mean_squared_error", 1, np.full(ROWS, 2.5), "all 120 labels to train on are 2.5: the"),
        ("binary_cross_entropy", 1, np.zeros((ROWS, 1)), "all 120 labels to train on are 0: the"),
        ("poisson", 2, np.ones((ROWS, 2)), "each of the 2 outputs has the same target in all 120"),
    ],
)
def test_equal_labels(loss: str, outputs: int, labels: npt.NDArray[Any], words: str) -> None:
    """Nothing can be learned; thirty epochs do not add a warning of their own."""
    [message] = warned(X, labels, build(loss, outputs), epochs=30)
    assert message.startswith(words)
    assert warned(X[:9], labels[:9], build(loss, outputs)) == []  # by chance
    labels = labels.copy()
    labels[57] = 0.0 if labels.flat[0] else 1.0
    assert warned(X, labels, build(loss, outputs)) == []


def test_equal_labels_of_what_is_trained_on() -> None:
    """Those that are held out do not count."""
    model, labels = build("mean_squared_error", 1), np.zeros((ROWS, 1), np.float32)
    _, held = examples.divide(model._spec, model.seed, Data(X, labels), 0.5)
    labels[held] = 1.0
    [message] = warned(X, labels, model, validation=0.5)
    assert message.startswith("all 60 labels to train on are 0")


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (None, "column 2"),
        (["age", "sex", "year", "income", "city"], "column 'year' (index 2)"),
        ([0, 1, 2, 3, 4], "column 2"),
    ],
)
@pytest.mark.parametrize("value", [0.0, 2024.0])
def test_constant_column(names: list[Any] | None, word: str, value: float) -> None:
    """It is named as in the frame; one value that differs is enough for none."""
    table: Any = np.clip(X, -1, 1)
    table[:, 2] = value
    frame = table if names is None else named(table, names)
    [message] = warned(frame, LABELS)
    assert message.startswith(
        f"{word} is {value:,.6g} in all 120 examples to train on: nothing can"
    )
    table[77, 2] += 1
    assert warned(table, LABELS) == []


def test_constant_columns_are_counted() -> None:
    """Several make one warning."""
    table = np.where(np.arange(5) < 3, np.float32(1), X)
    [message] = warned(table, LABELS)
    assert message.startswith("column 0 is 1 in all 120 examples to train on (and 2 other columns")


def test_missing_column() -> None:
    """It is constant, too, though nan is not equal to nan; one value is enough for none."""
    table = X.copy()
    table[:, 2] = np.nan
    chain = pynn.Builder().input(5).standardize(missing="mean").dense(2)
    [message] = warned(table, LABELS, chain.softmax_cross_entropy().build())
    assert message.startswith("column 2 is missing in all 120 examples to train on: nothing can")
    table[77, 2] = 1.0
    assert warned(table, LABELS, chain.softmax_cross_entropy().build()) == []
    rows = [{"x": float(value), "y": None} for value in X[:, 0]]
    columns = pynn.Columns(numbers=["x", "y"])
    model = pynn.Builder().input(columns).dense(2).softmax_cross_entropy().build()
    [message] = warned(rows, LABELS, model)
    assert message.startswith("column 'y' is missing in all 120 examples")


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((10, 12, 3), "(3, 10, 12)), and features.reshape(-1, 10, 12, 3).transpose(0, 3, 1, 2)"),
        ((8, 8, 1), "(1, 8, 8)), and features.reshape(-1, 8, 8, 1).transpose(0, 3, 1, 2)"),
        ((8, 9, 1), ""),  # a sequence of 9 steps
        ((3, 12, 3), ""),
        ((8, 8, 4), ""),
        ((1, 8, 8), ""),
    ],
)
def test_channels_that_come_last(shape: tuple[int, ...], advice: str) -> None:
    """What the warning advises is right for features of any shape."""
    features = RNG.random((20, *shape), np.float32)
    model = pynn.Builder().input(shape).dense(2).softmax_cross_entropy().build()
    messages = warned(features, LABELS[:20], model)
    assert len(messages) == bool(advice)
    if advice:
        assert messages[0].endswith(advice)
        there = eval(advice.split("and ")[1], {"features": features.reshape(20, -1)})
        np.testing.assert_array_equal(there, np.moveaxis(features, 3, 1))


def test_columns_are_named_and_codes_are_words() -> None:
    """The columns of a model may be in another order than those of the table."""
    table = {"town": ["a", "b"] * 60, "kind": ["k"] * ROWS, "x": X[:, 0], "year": [2024] * ROWS}
    columns = pynn.Columns(numbers=["x", "year"], categories={"town": ["a", "b"], "kind": ["k"]})
    chain = pynn.Builder().input(columns).dense(2).softmax_cross_entropy()

    def message(**changed: Any) -> str:
        [only] = warned({**table, **changed}, LABELS, chain.build(seed=0))
        return only

    both = "column 'year' is 2,024 in all 120 examples to train on (and 1 other column is constant)"
    assert message().startswith(both)
    assert message(year=X[:, 1]).startswith("column 'kind' is 'k' in all 120 examples")
    unknown = message(year=X[:, 1], kind=["K"] * ROWS)
    assert unknown.startswith("column 'kind' is missing, or not in its vocabulary, in all 120")


def test_classes_are_called_by_their_names() -> None:
    """Labels that are names are never called by the numbers that the model gave them."""
    model = build()
    model.classes = ["no", "yes"]
    [message] = warned(X, ["yes"] * ROWS, model)
    assert message.startswith("all 120 labels to train on are 'yes': the")
    names = np.where(LABELS == 1, "yes", "no")
    ours, held = (X, names), (X[LABELS == 1], names[LABELS == 1])
    [message] = warned(*ours, model, validation=held)
    assert message.startswith("the validation data have no example of class 'no', but")


def test_images_may_have_borders() -> None:
    """Of wide tables, images and bytes some values are 0 in all examples."""
    wide = pynn.Builder().input(40).dense(2).softmax_cross_entropy().build(seed=0)
    images = pynn.Builder().input((1, 4, 5)).flatten().dense(2).softmax_cross_entropy()
    zeros = np.zeros((ROWS, 40), np.float32)
    zeros[:, 5:10] = X
    assert warned(zeros, LABELS, wide) == []
    assert warned((zeros * 9).astype(np.uint8), LABELS, wide) == []
    assert warned(zeros[:, :20], LABELS, images.build(seed=0)) == []
    zeros[:, 30] = 7.0
    assert [m[:14] for m in warned(zeros, LABELS, wide)] == ["column 30 is 7"]


def test_missing_classes() -> None:
    """Sorted examples that are cut in two: what is only here cannot be tested or learned."""
    labels = np.sort(np.arange(ROWS) % 3)
    [message] = warned(X, labels, build(outputs=3), validation=(X[80:], labels[80:]))
    assert message.startswith(
        "the validation data have no example of class 0 (and of 1 other), but those to train on"
        " have 40: val_loss and val_accuracy say nothing of it. Shuffle"
    )
    [message] = warned(X[40:], labels[40:], build(outputs=3), validation=(X, labels))
    assert message.startswith(
        "there is no example of class 0 to train on, but 40 to validate with: the model cannot"
    )
    # What is divided as advised, or is missed by chance, or is in neither part.
    assert warned(X, labels, build(outputs=3), validation=0.2) == []
    assert warned(X, labels, build(outputs=3), validation=(X[:4], np.array([0, 0, 1, 1]))) == []
    assert warned(X, labels, build(outputs=9), validation=(X, labels)) == []


# ------------------------------------------------------------ guessing

TARGETS: dict[str, npt.NDArray[Any]] = {
    "softmax_cross_entropy": RNG.integers(0, 3, ROWS).astype(np.int32),
    "binary_cross_entropy": RNG.integers(0, 2, (ROWS, 3)).astype(np.float32) ** 0.5,
    "mean_squared_error": RNG.normal(5.0, 2.0, (ROWS, 3)).astype(np.float32),
    "poisson": RNG.poisson(0.7, (ROWS, 3)).astype(np.float32),
}


@pytest.mark.parametrize("weights", [None, RNG.uniform(0, 3, ROWS)])
@pytest.mark.parametrize(
    ("loss", "options"),
    [*((loss, {}) for loss in TARGETS), ("softmax_cross_entropy", {"label_smoothing": 0.2})],
)
def test_guess_is_what_a_bias_can_reach(
    loss: str, options: Fit, weights: npt.NDArray[Any] | None
) -> None:
    """A network whose outputs are its biases is trained to the loss of the best guess."""
    chain = pynn.Builder().input(1).dense(3)
    model = getattr(chain, loss)(**options).build(seed=0)
    x, targets = np.zeros((ROWS, 1), np.float32), TARGETS[loss]
    optimizer = pynn.LBFGS()
    with doubts.silenced():
        model.fit(x, targets, epochs=60, optimizer=optimizer, sample_weight=weights)
    least = model.evaluate(x, targets, sample_weight=weights).loss
    guess = model._spec.loss.guessing(targets, weights, 3)
    assert guess == pytest.approx(least, rel=1e-4)
    assert guess <= least * (1 + 1e-6)


def test_guess_of_classes_is_their_entropy() -> None:
    """By hand: shares of 1/4 and 3/4."""
    labels = np.array([0, 1, 1, 1], np.int32)
    guess = build()._spec.loss.guessing(labels, None, 2)
    assert guess == pytest.approx(log_loss(labels, np.tile([0.25, 0.75], (4, 1))))


@pytest.mark.parametrize("has_names", [False, True])
def test_raw_columns(has_names: bool) -> None:
    """Plain SGD ends with a loss of many digits: the column, its range, and what to do."""
    names = ["age", "sex", "year", "Income", "city"]
    table = named(INCOMES, names) if has_names else INCOMES
    chain = pynn.Builder().input(5).dense(1).mean_squared_error()
    sgd = pynn.SGD(learning_rate=1e-2)
    [message] = warned(table, X[:, 0], chain.build(seed=0), epochs=2, optimizer=sgd)
    assert message.startswith("after 2 epochs the loss is ") and "e+" in message.split(",")[0]
    assert "no better than guessing: always to predict the mean gives 0.7974" in message
    column = "Column 'Income' (index 3)" if has_names else "Column 3"
    least, largest = (np.float32(f(INCOMES[:, 3])) for f in (np.min, np.max))
    assert f"{column} ranges from {least:,.6g} to {largest:,.6g}, and networks learn" in message
    assert message.endswith("scale the columns, as pynn.Builder().input(5).standardize() does")


def test_remedy_for_raw_columns_works() -> None:
    """Standardized as the warning says, the same training is worth something."""
    chain = pynn.Builder().input(5).standardize().dense(1).mean_squared_error()
    sgd, model = pynn.SGD(learning_rate=1e-2), chain.build(seed=0)
    assert warned(INCOMES, X[:, 0], model, epochs=150, optimizer=sgd) == []
    assert model.evaluate(INCOMES, X[:, 0]).r2 > 0.9
    slow = {"epochs": 10, "optimizer": pynn.SGD(learning_rate=1e-9)}
    [message] = warned(INCOMES, X[:, 0], chain.build(seed=0), **slow)
    assert "Column" not in message  # the cause is another


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (X[:, 0] * 1e-4, "The targets reach 0.000"),
        (X[:, 0] * 1e3 + 1e5, "The targets reach 102,"),
    ],
)
def test_targets_of_another_size(targets: npt.NDArray[Any], words: str) -> None:
    """Small or large targets are the cause where the features are of the right size."""
    fit = {"epochs": 3, "optimizer": pynn.SGD(learning_rate=1e-5)}
    [message] = warned(X, targets, build("mean_squared_error", 1), **fit)
    assert words in message and "Column" not in message
    shares = (targets - targets.mean()) / targets.std()
    assert warned(X, shares, build("mean_squared_error", 1), epochs=30) == []


def test_images_that_are_not_scaled() -> None:
    """Images of floats up to 255 are divided; those of bytes are divided by pynn."""
    pixels = np.abs(X[:, :4]).clip(0, 2).reshape(ROWS, 1, 2, 2) * 127.5
    chain = pynn.Builder().input((1, 2, 2)).conv2d(2, 2).flatten().dense(2)
    model = chain.softmax_cross_entropy().build(seed=0)
    fit = {"epochs": 3, "optimizer": pynn.SGD(learning_rate=10.0)}
    [message] = warned(pixels.astype(np.float32), LABELS, model, **fit)
    assert "The features range from " in message and "divide them by 255" in message


def test_no_cause_is_known() -> None:
    """Ten epochs that do nothing: other rates are worth a try."""
    fit = {"epochs": 10, "optimizer": pynn.SGD(learning_rate=1e-9)}
    [message] = warned(X, LABELS, **fit)
    assert "Try learning rates ten times larger and smaller than 1e-09, more epochs" in message
    assert warned(X, LABELS, **fit | {"epochs": 9}) == []
    schedule = pynn.SGD(learning_rate=pynn.schedules.Constant(1e-9))
    [message] = warned(X, LABELS, **fit | {"optimizer": schedule})
    assert "ten times larger and smaller, more epochs" in message
    bytes_ = (np.abs(X) * 50).astype(np.uint8)
    [message] = warned(bytes_, LABELS, **fit)
    assert "Try learning rates" in message


def test_training_that_dropout_makes_hard_is_not_doubted() -> None:
    """The losses of its epochs are worse than guessing, and the network is not."""
    model = pynn.Builder().input(5).dropout(0.9).dense(2).softmax_cross_entropy().build(seed=0)
    [weights, _] = model.parameters.values()
    weights[...] = [[-1, 1], [3, -3], [-3, 3], [0, 0], [0, 0]]
    twice = X[:, [0, 1, 1, 3, 4]]  # what is twice there has opposite weights, until one is dropped
    losses: list[float] = []
    fit = {"epochs": 10, "optimizer": pynn.SGD(learning_rate=1e-9)}
    assert warned(twice, LABELS, model, on_epoch=lambda r: losses.append(r.loss), **fit) == []
    assert min(losses) > np.log(2) > 1.2 * model.evaluate(twice, LABELS).loss


def test_weights_are_taken_into_account() -> None:
    """The same guess, with weights of 0 for all examples of one class but few."""
    weights = np.where(LABELS == 1, 1.0, 0.0)
    weights[np.flatnonzero(LABELS == 0)[:3]] = 1.0
    fit = {"epochs": 10, "optimizer": pynn.SGD(learning_rate=1e-9), "sample_weight": weights}
    [message] = warned(X, LABELS, **fit)
    shares = np.array([3, (LABELS == 1).sum()]) / weights.sum()
    assert f"gives {-(shares * np.log(shares)).sum():.4f}. Try" in message


@pytest.mark.parametrize("weight", [0.5, 2.0])
@pytest.mark.parametrize(("slope", "better"), [(0.2, True), (-0.2, False)])
def test_weights_whose_mean_is_not_1(weight: float, slope: float, better: bool) -> None:
    """The rows that a network is judged by may weigh more or less than all; C divides by rows."""
    labels = np.array([0, 1, 1, 1] * 5, np.int32)
    signs = np.repeat(2.0 * labels[:, None] - 1.0, 5, axis=1).astype(np.float32)
    model = pynn.Builder().input(5).dense(2).softmax_cross_entropy().build()
    model.parameters["dense1.weight"][...] = 0.0
    model.parameters["dense1.weight"][0] = -slope, slope  # the loss is log(1 + exp(-2 slope))
    data, rows = Data(signs, labels, np.full(20, weight, np.float32)), np.arange(20)
    assert doubts._guess(model._spec, data, rows) == pytest.approx(0.562335)
    assert doubts._is_better(model._engine, data, rows) is better


def test_model_that_a_callback_closes_is_not_doubted() -> None:
    """Its last word cannot be heard."""
    model = build()
    fit = {"epochs": 10, "optimizer": pynn.SGD(learning_rate=1e-9)}
    assert warned(X, LABELS, model, on_epoch=lambda r: r.epoch == 10 and model.close(), **fit) == []


def test_many_targets_are_compared_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of long or wide targets some rows are enough."""
    monkeypatch.setattr(doubts, "MOST_VALUES", 30)
    seen: list[int] = []
    real = doubts._guess

    def guess(spec: Any, data: Any, rows: npt.NDArray[Any]) -> float:
        seen.append(len(rows))
        return real(spec, data, rows)

    monkeypatch.setattr(doubts, "_guess", guess)
    assert warned(X, LABELS) == []
    assert warned(X, X[:, :3], build("mean_squared_error", 3)) == []
    assert seen == [30, 10]
    weights = np.zeros(ROWS)
    weights[1] = 1.0
    fit = {"epochs": 10, "optimizer": pynn.SGD(learning_rate=1e-9), "sample_weight": weights}
    assert warned(X, LABELS, **fit) == []  # none of these rows has a weight


def test_warnings_may_be_errors() -> None:
    """The model is trained then, and can be used."""
    model = build()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(pynn.TrainingWarning, match="no better than guessing"):
            model.fit(X, LABELS, epochs=10, optimizer=pynn.SGD(learning_rate=1e-9))
    assert model.epochs_trained == 10
    model.fit(X, LABELS, epochs=1)


def test_scikit_learns_habits_have_none() -> None:
    """Equal labels and raw columns are no news in scikit-learn."""
    table = INCOMES.copy()
    table[:, 2] = 1.0
    MLPClassifier(max_iter=300, tol=1e9, n_iter_no_change=1).fit(table, LABELS)
