"""Models of tables: their gradients, their training, and that tables go in everywhere."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from mixed_tables import COLUMNS, UNSEEN, build, table, trained

import pynn
from pynn.formats import pytorch

NUMBERS = pynn.Columns(numbers=["fare"])
CODES = pynn.Columns(categories={"port": ["S", "C"], "deck": [1, 2, 3]}, embedding=1)
ONE_HOT = pynn.Columns(["fare"], {"port": ["S", "C"]}, one_hot=["port"])
KINDS = {"all": COLUMNS, "numbers": NUMBERS, "codes": CODES, "one-hot": ONE_HOT}

OPTIMIZERS = [
    pynn.SGD(learning_rate=0.1),
    pynn.SGD(learning_rate=0.1, momentum=0.9),
    pynn.AdamW(weight_decay=0.1),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["plain", "momentum", "adamw"])
def test_step_is_that_of_float64(kind: str, optimizer: Any) -> None:
    """C against the equations in float64, and these against differences of the loss."""
    frame, labels = table()
    model = build(KINDS[kind])
    model.partial_fit(frame, labels, optimizer=optimizer)
    step = model.explain(frame, labels, optimizer=optimizer)
    check = step.check()
    for largest in (check.layers, check.gradients, check.differences, check.updates):
        assert largest.error < 1e-6
    assert check.compared > 5
    if kind in ("all", "codes"):
        gradient = step.backward["columns1"].dweight
        assert np.linalg.norm(gradient) > 1e-3
        # A code that no row of the batch has gets no gradient; one that rows have gets one.
        used = [np.unique(column) for column in model.encode(frame).T if column.max() < 9]
        assert np.count_nonzero(gradient) >= sum(map(len, used[:1]))


def test_explained_in_words() -> None:
    """The equations, the places in C, what is missing, and numbers written out."""
    model = trained()
    text = " ".join(str(model.explain(UNSEEN, np.array([0, 1, 0, 1]))).split())
    for words in (
        "y = (x - mean) / scale",
        "csrc/layers/columns.c",
        "2 of 4 numbers are missing",
        "7 of 12 categories are missing or unknown",
        "dweight[",
        "mean and scale stay",
    ):
        assert words in text, words
    missing = str(model.explain(UNSEEN, np.array([0, 1, 0, 1])).example(1))
    assert "(nan - " not in missing


def test_numbers_written_out() -> None:
    """A scaled number is calculated; and nothing is said of holes where there are none."""
    model = trained(NUMBERS)
    step = model.explain({"fare": [1.0, 300.0]}, np.array([0, 1]))
    assert "y0 = (1 - " in str(step)
    assert "missing:" not in str(step)


@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_mean_and_scale_are_those_of_the_examples() -> None:
    """The first fit finds them in the numbers that are there, and later ones keep them."""
    frame, labels = table()
    model = build()
    with pytest.raises(pynn.PynnError, match="has not seen examples yet"):
        model.predict(frame)
    model.fit(frame, labels, epochs=1)
    there = np.array([value for value in frame["fare"] if value is not None])
    assert model.parameters["columns1.mean"] == pytest.approx(there.mean(), rel=1e-6)
    assert model.parameters["columns1.scale"] == pytest.approx(there.std(), rel=1e-6)
    kept = model.parameters["columns1.mean"].copy()
    model.fit({**frame, "fare": [1.0] * len(labels)}, labels, epochs=1)
    assert model.parameters["columns1.mean"] == kept


def test_training_learns_what_unknown_means() -> None:
    """Deck 4 is not in the vocabulary: code 0 is trained. Of a column without such, it is zeros."""
    whole = pynn.Columns(categories={"deck": [1, 2, 3, 4]})
    frame = {"deck": [1, 2, 3, 4] * 10}
    labels = np.array([0, 0, 1, 1] * 10)
    model = build(whole)
    model.fit(frame, labels, epochs=2, optimizer=pynn.SGD(weight_decay=0.1))
    assert (model.parameters["columns1.weight"][:3] == 0).all()
    partly = build(pynn.Columns(categories={"deck": [1, 2]}))
    partly.fit(frame, labels, epochs=40, batch_size=8, optimizer=pynn.Adam(learning_rate=0.05))
    assert (partly.parameters["columns1.weight"][:2] != 0).all()
    assert partly.predict([{"deck": 99}, {"deck": 1}]).tolist() == [1, 0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:2], ids=["plain", "momentum"])
def test_same_bits_on_any_number_of_threads(optimizer: Any) -> None:
    """The sums of a batch do not depend on who makes them."""
    frame, labels = table(700)
    wide = pynn.Columns.of(frame, categories=["deck"], embedding=40)
    found = []
    before = pynn.get_num_threads()
    try:
        for threads in (1, 2, 3):
            pynn.set_num_threads(threads)
            chain = pynn.Builder().input(wide).dense(200).relu().dense(2)
            model = chain.softmax_cross_entropy().build(seed=1)
            model.fit(frame, labels, epochs=1, batch_size=512, optimizer=optimizer)
            found.append(np.concatenate([it.ravel() for it in model.parameters.values()]))
    finally:
        pynn.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


# ------------------------------------------------------------ tables go in everywhere


def test_encoded_or_not() -> None:
    """An array that encode() made gives the same bits as the table, in every call."""
    frame, labels = table()
    model, other = build(), build()
    x = model.encode(frame)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 9}
    validation = ({name: values[:20] for name, values in frame.items()}, labels[:20])
    model.fit(frame, labels, validation=validation, **options)
    other.fit(x, labels, validation=(x[:20], labels[:20]), **options)
    assert model.partial_fit(frame, labels) == other.partial_fit(x, labels)
    assert model.evaluate(frame, labels) == other.evaluate(x, labels)
    per_class = model.evaluate(frame, labels, per_class=True)
    np.testing.assert_array_equal(
        per_class.confusion, other.evaluate(x, labels, per_class=True).confusion
    )
    np.testing.assert_array_equal(model(frame), other(x))
    np.testing.assert_array_equal(model.predict(frame), other.predict(x))
    np.testing.assert_array_equal(model.predict_proba(frame), other.predict_proba(x))


def test_a_fraction_for_validation() -> None:
    """Held-out rows have missing values, too; they do not count for the mean."""
    frame, labels = table()
    history = build().fit(frame, labels, epochs=2, validation=0.25)
    assert np.isfinite(history.val_loss[-1])


def test_copies_know_the_columns() -> None:
    """Pickle and copy keep the vocabularies."""
    model = trained()
    expected = model.predict_proba(UNSEEN)
    for same in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(same.predict_proba(UNSEEN), expected)
        assert same.columns == COLUMNS


def test_columns_of_a_model() -> None:
    """A model says what its columns are; one of plain features has none."""
    assert trained().columns == COLUMNS
    plain = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build()
    assert plain.columns is None
    with pytest.raises(pynn.ChainError, match=r"encode needs columns.*input\(pynn.Columns"):
        plain.encode([{"a": 1}])


def test_errors_name_the_argument() -> None:
    """The prefix of an error tells which argument it was."""
    frame, labels = table()
    model = build()
    with pytest.raises(pynn.ArgumentError, match=r"^features must have the columns 'port'"):
        model.fit({"fare": [1.0]}, labels, epochs=1)
    with pytest.raises(pynn.ArgumentError, match=r"^validation features must have the columns"):
        model.fit(frame, labels, epochs=1, validation=({"fare": [1.0]}, labels))


def test_other_losses() -> None:
    """Regression and several labels at once have tables, too."""
    frame, labels = table()
    chain = pynn.Builder().input(COLUMNS).dense(4).relu().dense(1)
    for finished in (chain.mean_squared_error(), chain.binary_cross_entropy()):
        model = finished.build(seed=0)
        model.fit(frame, labels.astype(np.float32), epochs=2)
        assert model.predict(UNSEEN).shape == (4,)


def test_names_of_classes() -> None:
    """Labels may be names, too: tables and names go in, and names come out."""
    frame, labels = table()
    model = build()
    model.fit(frame, np.array(["no", "yes"])[labels], epochs=1)
    assert set(model.predict(UNSEEN)) <= {"no", "yes"}
    assert (
        pickle.loads(pickle.dumps(model)).predict(UNSEEN).tolist() == model.predict(UNSEEN).tolist()
    )


def test_models_used_again() -> None:
    """A frozen table of embeddings stays as it is; a copy and a new chain keep the columns."""
    frame, labels = table()
    model = trained()
    kept = model.parameters["columns1.weight"].copy()
    model.freeze("columns1")
    model.fit(frame, labels, epochs=1)
    np.testing.assert_array_equal(model.parameters["columns1.weight"], kept)
    assert model.explain(frame, labels).check().layers.error < 1e-6
    model.unfreeze("columns1")
    model.fit(frame, labels, epochs=1)
    assert (model.parameters["columns1.weight"] != kept).any()
    again = pynn.Builder().from_model(model, before="dense2").dense(3)
    other = again.softmax_cross_entropy().build(seed=1)
    assert other.columns == model.copy().columns == COLUMNS
    np.testing.assert_array_equal(
        other.parameters["columns1.scale"], model.parameters["columns1.scale"]
    )
    model.reset(seed=3)
    with pytest.raises(pynn.PynnError, match="has not seen examples yet"):
        model.predict(UNSEEN)


def test_pytorch_is_refused() -> None:
    """There is no module of PyTorch for it."""
    with pytest.raises(pynn.ArgumentError, match="no module for a columns layer"):
        pytorch.state_dict(trained())
