"""Training from Python: what it does, reports and refuses, and what an interruption leaves."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn import _boundary, _model, _training

Examples = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def build(seed: int = 5) -> pynn.Model:
    """A model from 20 values to 3 classes, with one hidden layer of 17."""
    chain = pynn.Builder().input(20).dense(17).relu().dense(3)
    return chain.softmax_cross_entropy().build(seed=seed)


def flat(model: pynn.Model) -> npt.NDArray[np.float32]:
    """A copy of all parameters of a model."""
    return np.concatenate([array.ravel() for array in model.parameters.values()])


def assert_same_parameters(model: pynn.Model, other: pynn.Model) -> None:
    """Bit for bit."""
    np.testing.assert_array_equal(flat(model).view(np.uint32), flat(other).view(np.uint32))


def halves(examples: Examples) -> tuple[Examples, Examples]:
    """The first 200 examples and the other 100."""
    images, labels = examples
    return (images[:200], labels[:200]), (images[200:], labels[200:])


# ------------------------------------------------------------ what it does


def test_training_learns(examples: Examples) -> None:
    """The loss falls from epoch to epoch, and three patterns are told apart."""
    model = build()
    before = model.evaluate(*examples)
    history = model.fit(*examples, epochs=10, batch_size=20)
    assert history.loss[0] > history.loss[3] > history.loss[9]
    after = model.evaluate(*examples)
    assert before.accuracy < 0.7 < 0.95 < after.accuracy
    assert after.loss < before.loss / 4


def test_mnist_is_learned(root: Path) -> None:
    """Three epochs on a tenth of MNIST classify nine of ten test images, or almost.

    Ten seeds gave accuracies of 0.898 to 0.913, and 0.922 to 0.928 on the images trained on.
    """
    train, test = pynn.datasets.mnist(root / "data" / "mnist")
    chain = pynn.Builder().input(784).dense(64).relu().dense(10).softmax_cross_entropy()
    model = chain.build(seed=0)
    history = model.fit(
        train.images[:6000],
        train.labels[:6000],
        epochs=3,
        batch_size=32,
        optimizer=pynn.SGD(learning_rate=0.1),
        validation=test,
    )
    assert history.val_accuracy[-1] > 0.885
    assert history.accuracy[-1] > 0.91


@pytest.mark.parametrize("batch_size", [1, 7, 64, 299, 300])
def test_one_epoch_is_plain_sgd(batch_size: int, examples: Examples) -> None:
    """An epoch takes every example once, in shuffled order, those of a last, partial batch, too."""
    images, labels = examples
    model, by_hand = build(), build()
    history = model.fit(
        images, labels, epochs=1, batch_size=batch_size, optimizer=pynn.SGD(learning_rate=0.05)
    )
    order = _boundary.permutation(5, 1 << 32, 300)
    assert sorted(order) == list(range(300))
    assert order.tolist() != sorted(order)
    losses, correct = 0.0, 0
    for begin in range(0, 300, batch_size):
        rows = order[begin : begin + batch_size]
        x, y = images[rows].reshape(len(rows), 20) / 255, labels[rows]
        loss, hits = sgd_step(by_hand, x, y, 0.05)
        losses, correct = losses + loss, correct + hits
    np.testing.assert_allclose(flat(model), flat(by_hand), rtol=1e-3, atol=1e-5)
    assert history.loss == pytest.approx([losses / 300], rel=1e-4)
    assert history.accuracy == pytest.approx(
        [correct / 300], abs=1.5 / 300
    )  # one may sit on the edge


def sgd_step(
    model: pynn.Model, x: npt.NDArray[np.float64], y: npt.NDArray[Any], rate: float
) -> tuple[float, int]:
    """One step of build()'s network in NumPy, in place; the sum of losses and the hits."""
    w1, b1, w2, b2 = model.parameters.values()
    h = np.maximum(x @ w1 + b1, 0)
    z = h @ w2 + b2
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    dz = p.copy()
    dz[rows, y] -= 1
    dz /= len(y)
    dh = (dz @ w2.T) * (h > 0)
    w2 -= rate * (h.T @ dz)
    b2 -= rate * dz.sum(axis=0)
    w1 -= rate * (x.T @ dh)
    b1 -= rate * dh.sum(axis=0)
    return -np.log(p[rows, y]).sum(), int((z.argmax(axis=1) == y).sum())


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_same_seed_gives_the_same_bits(seed: int, examples: Examples) -> None:
    """Two models of one seed go the same way, one of another seed another."""
    model, same, other = build(seed), build(seed), build(seed ^ 1)
    histories = [m.fit(*examples, epochs=2, batch_size=32) for m in (model, same, other)]
    assert_same_parameters(model, same)
    assert histories[0].loss == histories[1].loss
    assert histories[0].loss != histories[2].loss


def test_epochs_are_shuffled_anew(examples: Examples) -> None:
    """With a learning rate that moves nothing, epochs still differ in their batches."""
    model = build()
    seen: list[list[float]] = [[], []]
    model.fit(
        *examples,
        epochs=2,
        batch_size=100,
        optimizer=pynn.SGD(learning_rate=1e-30),
        on_progress=lambda p: seen[p.epoch - 1].append(p.loss),
    )
    assert seen[0][0] != seen[1][0]
    assert seen[0][-1] == pytest.approx(seen[1][-1])


@pytest.mark.parametrize("split", [(1, 4), (2, 3), (1, 1, 1, 1, 1)])
def test_fitting_goes_on(split: tuple[int, ...], examples: Examples) -> None:
    """Several calls of fit are one long call, to the bit."""
    whole, parts = build(), build()
    history = whole.fit(*examples, epochs=5, batch_size=32)
    pieces = [parts.fit(*examples, epochs=epochs, batch_size=32) for epochs in split]
    assert_same_parameters(whole, parts)
    assert history.loss == [loss for piece in pieces for loss in piece.loss]
    assert whole.epochs_trained == parts.epochs_trained == 5


@pytest.mark.parametrize("before", [1, 31, 300])
def test_batches_may_grow_and_shrink(before: int, examples: Examples) -> None:
    """What a model was used for before, on fewer rows or more, changes no bit of what follows."""
    images, labels = examples
    used, fresh = build(), build()
    used.predict(images[:before])
    for model in (used, fresh):
        model.fit(images, labels, epochs=1, batch_size=32)
    used.evaluate(images[:before], labels[:before])
    for model in (used, fresh):
        model.fit(images, labels, epochs=1, batch_size=300)
    assert_same_parameters(used, fresh)
    np.testing.assert_array_equal(used(images), fresh(images))


def one_at_a_time(first: int, total: int, grain: int = 1) -> Iterator[tuple[int, int]]:
    """Runs as short as they may be."""
    return ((begin, min(begin + grain, total)) for begin in range(first, total, grain))


def all_at_once(first: int, total: int, grain: int = 1) -> Iterator[tuple[int, int]]:
    """A single run."""
    yield first, total


def unevenly(first: int, total: int, grain: int = 1) -> Iterator[tuple[int, int]]:
    """Runs of 1, 2, 3, 1, 2, 3 ... grains."""
    length = 1
    while first < total:
        yield first, min(first + length * grain, total)
        first, length = first + length * grain, length % 3 + 1


@pytest.mark.parametrize("paced", [one_at_a_time, all_at_once, unevenly])
@pytest.mark.parametrize("zeros", [[], [slice(None)], [slice(0, 450)], [slice(450, 900)]])
def test_cuts_change_no_bit(
    zeros: list[slice],
    paced: Callable[..., Iterator[tuple[int, int]]],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How many steps or rows go into one call of C follows the clock, and no figure follows it.

    That holds also where some rows are mostly zeros, which may be computed in another way.
    """
    x = rng.normal(size=(900, 20)).astype(np.float32)
    for rows in zeros:
        x[rows] *= rng.random(x[rows].shape) < 0.1
    y = rng.integers(0, 3, 900)

    def figures(model: pynn.Model) -> tuple[Any, ...]:
        history = model.fit(x, y, epochs=3, batch_size=17, validation=(x, y))
        outputs = model(x).tobytes(), model.predict_proba(x).tobytes()
        return flat(model).tobytes(), history.loss, history.val_loss, model.evaluate(x, y), outputs

    expected = figures(build())
    calls = []

    def cut(first: int, total: int, grain: int = 1) -> Iterator[tuple[int, int]]:
        calls.append((total, grain))
        return paced(first, total, grain)

    monkeypatch.setattr(_model, "paced", cut)
    monkeypatch.setattr(_training, "paced", cut)
    assert figures(build()) == expected
    assert set(calls) == {(53, 1), (900, 256)}


@pytest.mark.parametrize("total", [0, 1, 7, 256, 1000])
@pytest.mark.parametrize("grain", [1, 256])
@pytest.mark.parametrize("pause", [0.0, 0.03, 10.0])
def test_runs_cover_all_once(
    total: int, grain: int, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long they take, the runs follow each other to the end, in multiples of the grain."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    runs = []
    for run in _training.paced(0, total, grain):
        runs.append(run)
        clock[0] += pause
    assert [first for first, _ in runs] == [0, *(last for _, last in runs)][: len(runs)]
    assert (runs[-1][1] if runs else 0) == total
    assert all(last > first and first % grain == 0 for first, last in runs)
    assert len(runs) <= (5 if pause == 0 else -(-total // grain))


# ------------------------------------------------------------ what it reports


def test_history_has_an_entry_an_epoch(examples: Examples) -> None:
    """Losses, accuracies and seconds of each epoch; the last validation is what evaluate gives."""
    model = build()
    train, test = halves(examples)
    history = model.fit(*train, epochs=4, batch_size=32, validation=test)
    assert history.epochs == 4
    figures = (
        history.loss,
        history.accuracy,
        history.val_loss,
        history.val_accuracy,
        history.seconds,
    )
    assert [len(figure) for figure in figures] == [4] * 5
    assert (history.val_loss[-1], history.val_accuracy[-1]) == model.evaluate(*test)
    assert all(0 <= a <= 1 for a in history.accuracy + history.val_accuracy)
    assert all(s > 0 for s in history.seconds)


def test_seconds_are_those_of_the_steps(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a second each time it is looked at: once a step, and between."""
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(_training, "time", clock)
    monkeypatch.setattr(_training, "paced", lambda first, total: itertools.pairwise(range(4)))
    history = build().fit(*examples, epochs=2, batch_size=100)
    assert history.seconds == [3.0, 3.0]


def test_validation_is_not_trained_on(examples: Examples) -> None:
    """With validation the parameters become what they become without."""
    model, other = build(), build()
    train, test = halves(examples)
    model.fit(*train, epochs=2, batch_size=32, validation=test)
    history = other.fit(*train, epochs=2, batch_size=32)
    assert_same_parameters(model, other)
    assert history.val_loss == history.val_accuracy == []


def test_validation_may_be_a_data_set_or_a_list(examples: Examples) -> None:
    """A Dataset and a list of two are pairs, too."""
    images, labels = examples
    pairs: list[Any] = [(images, labels), [images, labels], pynn.datasets.Dataset(images, labels)]
    losses = [
        build().fit(*examples, epochs=1, batch_size=32, validation=pair).val_loss for pair in pairs
    ]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize(
    ("history", "text"),
    [
        (pynn.History(), "History(0 epochs)"),
        (
            pynn.History(loss=[0.5], accuracy=[0.25], seconds=[1.234]),
            "History(1 epoch in 1.23 s; last: loss=0.5000, accuracy=0.2500)",
        ),
        (
            pynn.History([0.5, 0.1], [0.25, 0.75], [1, 2], [0.125, 1 / 3], [1.0, 2.0]),
            "History(2 epochs in 3.00 s; last: loss=0.1000, accuracy=0.7500, val_loss=2.0000,"
            " val_accuracy=0.3333)",
        ),
    ],
)
def test_history_repr_sums_up(history: pynn.History, text: str) -> None:
    """The repr has the epochs, their time, and the last figures."""
    assert repr(history) == text


def test_evaluation_is_a_readable_pair() -> None:
    """An Evaluation unpacks, and its repr is short."""
    evaluation = pynn.Evaluation(1 / 3, 0.5)
    assert tuple(evaluation) == (1 / 3, 0.5)
    assert repr(evaluation) == "Evaluation(loss=0.3333, accuracy=0.5000)"


def test_on_epoch_sees_each_epoch(examples: Examples) -> None:
    """The callback gets the figures that the history will hold, as they become known."""
    model = build()
    results: list[pynn.EpochResult] = []
    epochs_trained: list[int] = []

    def on_epoch(result: pynn.EpochResult) -> None:
        results.append(result)
        epochs_trained.append(model.epochs_trained)

    history = model.fit(*examples, epochs=3, batch_size=32, validation=examples, on_epoch=on_epoch)
    assert [(r.epoch, r.epochs) for r in results] == [(1, 3), (2, 3), (3, 3)]
    assert epochs_trained == [1, 2, 3]
    again = pynn.History()
    for result in results:
        again.append(result)
    assert again == history


def test_on_epoch_without_validation_gets_none(examples: Examples) -> None:
    """Figures that were not asked for are None."""
    results: list[pynn.EpochResult] = []
    build().fit(*examples, epochs=1, batch_size=32, on_epoch=results.append)
    assert (results[0].val_loss, results[0].val_accuracy) == (None, None)


def test_on_progress_sees_steps_to_the_end(examples: Examples) -> None:
    """Steps count up to the last of each epoch, whose means are the history's."""
    seen: list[pynn.Progress] = []
    history = build().fit(*examples, epochs=3, batch_size=7, on_progress=seen.append)
    assert {(p.epochs, p.steps) for p in seen} == {(3, 43)}
    positions = [(p.epoch, p.step) for p in seen]
    assert positions == sorted(set(positions))
    lasts = [p for p in seen if p.step == p.steps]
    assert [p.epoch for p in lasts] == [1, 2, 3]
    assert [p.loss for p in lasts] == history.loss
    assert [p.accuracy for p in lasts] == history.accuracy


def test_model_may_be_used_in_callbacks(examples: Examples, tmp_path: Path) -> None:
    """A callback may predict, evaluate and save, and changes nothing by that."""
    images, labels = examples
    model, other = build(), build()

    def on_epoch(result: pynn.EpochResult) -> None:
        assert model.evaluate(images, labels) == (result.val_loss, result.val_accuracy)
        model.save(tmp_path / f"{result.epoch}")

    history = model.fit(
        images,
        labels,
        epochs=2,
        batch_size=32,
        validation=examples,
        on_epoch=on_epoch,
        on_progress=lambda _: model.predict(images),
    )
    other.fit(*examples, epochs=2, batch_size=32)
    assert_same_parameters(model, other)
    assert_same_parameters(model, pynn.load(tmp_path / "2"))
    assert pynn.load(tmp_path / "1").evaluate(images, labels).loss == history.val_loss[0]


# ------------------------------------------------------------ interruptions


class Stop(Exception):
    """What a callback raises here."""


def stop(_: object) -> None:
    """A callback that wants no more."""
    raise Stop


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also in a background job, which would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c(_: object) -> None:
    """A callback during which the user presses Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("callback", "error"), [(stop, Stop), (press_ctrl_c, KeyboardInterrupt)])
@pytest.mark.parametrize("option", ["on_epoch", "on_progress"])
def test_interruption_leaves_a_usable_model(
    option: str,
    callback: Callable[[object], None],
    error: type[BaseException],
    examples: Examples,
    tmp_path: Path,
    ctrl_c: None,
) -> None:
    """What a callback raises comes out of fit; the model has its steps so far and can go on."""
    model = build()
    untrained = flat(model)
    with pytest.raises(error):
        model.fit(*examples, epochs=3, batch_size=32, **{option: callback})  # type: ignore[arg-type]
    assert np.isfinite(flat(model)).all()
    assert (flat(model) != untrained).any()
    assert model.epochs_trained == (1 if option == "on_epoch" else 0)
    model.save(tmp_path / "kept")
    assert_same_parameters(model, pynn.load(tmp_path / "kept"))
    history = model.fit(*examples, epochs=10, batch_size=20)
    assert history.epochs == 10
    assert model.evaluate(*examples).accuracy > 0.95


def test_interruption_after_an_epoch_loses_nothing(examples: Examples) -> None:
    """Stopped between epochs and taken up again, training gives the bits of an undisturbed run."""
    model, other = build(), build()
    with pytest.raises(Stop):
        model.fit(*examples, epochs=5, batch_size=32, on_epoch=stop)
    model.fit(*examples, epochs=2, batch_size=32)
    other.fit(*examples, epochs=3, batch_size=32)
    assert_same_parameters(model, other)


@pytest.mark.parametrize("option", ["on_epoch", "on_progress"])
def test_nested_fit_is_an_error(option: str, examples: Examples) -> None:
    """A callback that trains its own model gets an error, not a deadlock; fit works after it."""
    model = build()

    def nested(_: object) -> None:
        model.fit(*examples, epochs=1, batch_size=32)

    with pytest.raises(
        pynn.PynnError, match="fit was called from a callback of the same model's fit"
    ):
        model.fit(*examples, epochs=1, batch_size=32, **{option: nested})  # type: ignore[arg-type]
    assert model.fit(*examples, epochs=1, batch_size=32).epochs == 1


def test_other_model_may_be_fitted_in_a_callback(examples: Examples) -> None:
    """Only the same model is barred."""
    other = build(6)
    model = build()
    model.fit(
        *examples,
        epochs=2,
        batch_size=32,
        on_epoch=lambda _: other.fit(*examples, epochs=1, batch_size=32),
    )
    assert (model.epochs_trained, other.epochs_trained) == (2, 2)


@pytest.mark.parametrize("option", ["on_epoch", "on_progress"])
def test_closing_in_a_callback_ends_the_fit(option: str, examples: Examples) -> None:
    """The next step on a closed model is an error, not a crash."""
    model = build()
    with pytest.raises(pynn.ClosedError):
        model.fit(
            *examples,
            epochs=2,
            batch_size=32,
            **{option: lambda _: model.close()},  # type: ignore[arg-type]
        )


# ------------------------------------------------------------ what it refuses

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
            "pynn.Adam or pynn.AdamW, as in pynn.SGD(learning_rate=0.1), got float 0.1",
        ),
        (
            {"optimizer": pynn.SGD},
            TYPE,
            "pynn.Adam or pynn.AdamW, as in pynn.SGD(learning_rate=0.1), got type",
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
        (IMAGES, LABELS[:, None], VALUE, "shape (9,), one label for each example, got (9, 1)"),
        (IMAGES, np.eye(9, 3), TYPE, "labels must be integers in [0, 3), got dtype float64"),
        (IMAGES, LABELS > 0, TYPE, "labels must be integers in [0, 3), got dtype bool"),
        (IMAGES, LABELS.tolist(), TYPE, "labels must be a NumPy array, got list"),
        (IMAGES.tolist(), LABELS, TYPE, "features must be a NumPy array, got list"),
        (IMAGES.astype("i8"), LABELS, TYPE, "got dtype int64; convert with features.astype"),
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
    """Whatever real type it came as, it is a float."""
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
    """What is no number, or no usable one, is refused where it is said."""
    with pytest.raises(error, match="learning_rate must be"):
        pynn.SGD(learning_rate=rate)


def test_optimizer_cannot_be_changed() -> None:
    """An SGD is a value, equal to its equals."""
    optimizer = pynn.SGD(learning_rate=0.5)
    with pytest.raises(AttributeError):
        optimizer.learning_rate = 1.0  # type: ignore[misc]
    assert optimizer == pynn.SGD(learning_rate=0.5) != pynn.SGD()
    assert repr(optimizer) == "SGD(learning_rate=0.5)"
