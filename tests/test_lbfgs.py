"""L-BFGS: its minima, its steps and its parts, and runs that are interrupted."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import join, parts
from random_training import Stop, digest
from reference import Reference
from scipy.optimize import minimize

import pynn
from pynn._native.state import State
from pynn._training.full_batch import Objective
from pynn._training.lbfgs import BLOCK, Pairs

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(90, 4)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64) + (X[:, 2] > 1)
TARGETS = (X @ [1.0, -2.0, 0.5, 0.0] + 3 + 0.1 * _RNG.normal(size=90)).astype(np.float32)
LBFGS = pynn.LBFGS()


def build(loss: str = "softmax_cross_entropy", seed: int = 0) -> pynn.Model:
    """A small network whose loss has many minima."""
    chain = pynn.Builder().input(4).dense(6, init="xavier").tanh().dense(3, init="xavier")
    model: pynn.Model = getattr(chain, loss)().build(seed=seed)
    return model


def linear(loss: str = "mean_squared_error", outputs: int = 1) -> pynn.Model:
    """A network whose loss has one minimum."""
    model: pynn.Model = getattr(pynn.Builder().input(4).dense(outputs), loss)().build(seed=1)
    return model


# ------------------------------------------------------------ minima


def test_least_squares() -> None:
    """A linear model has the coefficients of least squares, after few steps, and says why."""
    model = linear()
    history = model.fit(X, TARGETS, epochs=100, optimizer=LBFGS)
    ones = np.column_stack([X.astype(np.float64), np.ones(90)])
    right = np.linalg.lstsq(ones, TARGETS.astype(np.float64), rcond=None)[0]
    found = [*model.parameters["dense1.weight"][:, 0], *model.parameters["dense1.bias"]]
    np.testing.assert_allclose(found, right, atol=2e-5)
    assert history.epochs < 15
    assert history.ended == "converged: the gradient is within the tolerance"
    assert history.loss[-1] == pytest.approx(model.evaluate(X, TARGETS).loss, rel=1e-6)
    assert history.r2[-1] == pytest.approx(model.evaluate(X, TARGETS).r2, rel=1e-6)
    assert pickle.loads(pickle.dumps(history)) == history


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "poisson"])
def test_the_minimum_is_that_of_scipy(loss: str) -> None:
    """With weight decay and weights of examples, loss and parameters are those of L-BFGS-B."""
    weights = np.random.default_rng(1).uniform(0.2, 3, 90)
    labels: Any = Y if loss == "softmax_cross_entropy" else np.eye(3)[Y] * 4
    reference, decay = Reference(4, [3], loss), 0.1
    is_weight = np.arange(reference.parameter_count) < 12
    wide, shares = X.astype(np.float64), weights / weights.mean()

    def objective(p: Any) -> Any:
        losses = reference.losses(p, wide, labels) * shares
        gradient = reference.gradient(p, wide, labels, weights=shares)
        return (
            losses.mean() + decay / 2 * (p[is_weight] ** 2).sum(),
            gradient + decay * p * is_weight,
        )

    right = minimize(
        objective, np.zeros(15), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15}
    )
    model = linear(loss, 3)
    optimizer = pynn.LBFGS(weight_decay=decay, tolerance=1e-6)
    history = model.fit(X, labels, epochs=100, optimizer=optimizer, sample_weight=weights)
    found = np.concatenate([array.ravel() for array in model.parameters.values()])
    np.testing.assert_allclose(found[is_weight], right.x[is_weight], atol=1e-4)
    assert objective(found.astype(np.float64))[0] == pytest.approx(right.fun, rel=1e-6)
    assert history.ended.startswith("converged")


def test_weights_of_classes_count_as_examples() -> None:
    """An example with weight 2 is as good as the same example twice."""
    once, twice = linear("softmax_cross_entropy", 3), linear("softmax_cross_entropy", 3)
    optimizer = pynn.LBFGS(weight_decay=0.1, tolerance=1e-6)
    once.fit(X, Y, epochs=50, optimizer=optimizer, class_weight={0: 2})
    rows = np.concatenate([np.arange(90), np.flatnonzero(Y == 0)])
    twice.fit(X[rows], Y[rows], epochs=50, optimizer=optimizer)
    # Sums of floats leave the place of a minimum open by the root of what they leave of its value.
    plain = linear("softmax_cross_entropy", 3)
    plain.fit(X, Y, epochs=50, optimizer=optimizer)

    def objective(model: pynn.Model) -> float:
        penalty = 0.1 / 2 * np.square(model.parameters["dense1.weight"], dtype=np.float64).sum()
        return model.evaluate(X[rows], Y[rows]).loss + float(penalty)

    assert objective(once) == pytest.approx(objective(twice), rel=1e-6)
    assert objective(plain) > objective(twice) * (1 + 1e-3)


def test_a_loss_with_many_minima_falls_in_every_step() -> None:
    """Each epoch is a step, and its loss that after the step; the counts are those of steps."""
    model, seen = build(), []
    history = model.fit(X, Y, epochs=30, optimizer=LBFGS, on_progress=seen.append)
    assert np.all(np.diff(history.loss) < 1e-6)
    assert history.loss[-1] < 0.2 * history.loss[0]
    assert history.loss[-1] == pytest.approx(model.evaluate(X, Y).loss, rel=1e-5)
    assert history.accuracy[-1] == model.evaluate(X, Y).accuracy
    assert model.steps_trained == model.epochs_trained == history.epochs
    assert [(it.epoch, it.step, it.steps) for it in seen] == [(n + 1, 1, 1) for n in range(30)]
    assert history.ended == ""


def test_a_minimum_is_left_alone() -> None:
    """Where nothing is left to do, the only epoch tells the loss, and nothing changes."""
    model = linear()
    model.fit(X, TARGETS, epochs=100, optimizer=LBFGS)
    before, steps = digest(model), model.steps_trained
    history = model.fit(X, TARGETS, epochs=100, optimizer=pynn.LBFGS(tolerance=1e-3))
    assert (history.epochs, digest(model), model.steps_trained) == (1, before, steps)
    assert history.loss == [model.evaluate(X, TARGETS).loss]


def test_without_a_tolerance_rounding_is_the_end() -> None:
    """With a tolerance of 0 the run ends, too: when floats cannot tell a lower loss."""
    history = linear().fit(X, TARGETS, epochs=1000, optimizer=pynn.LBFGS(tolerance=0))
    assert history.epochs < 50
    assert history.ended.startswith(("converged: the loss falls no further", "ended: no step"))


def test_a_first_step_that_overflows_is_shortened() -> None:
    """Targets that need large weights, and a loss that is infinite at the first length tried."""
    chain = pynn.Builder().input(4).dense(5, init="xavier").tanh().dense(1, init="xavier")
    model = chain.poisson().build(seed=0)
    y = np.exp(np.minimum(3 * X[:, 0], 4))
    history = model.fit(X * 300, y, epochs=20, optimizer=LBFGS)
    assert history.loss[-1] < history.loss[0] and np.isfinite(history.loss).all()


# ------------------------------------------------------------ the gradient over all examples


def test_blocks_make_one_gradient() -> None:
    """More examples than fit a call of C: the sums are the whole's, with any number of threads."""
    rng = np.random.default_rng(2)
    rows = 2 * BLOCK + 100
    x, y = rng.normal(size=(rows, 4)).astype(np.float32), rng.integers(0, 3, rows)
    found, threads = [], pynn.get_num_threads()
    model = build()
    data = model._examples(x, y, None, learning=True).data
    for count in (1, 3):
        pynn.set_num_threads(count)
        found.append(Objective(model._engine, data, None, LBFGS).here())
    pynn.set_num_threads(threads)
    assert found[0] is not None and found[1] is not None
    assert found[0].gradient.tobytes() == found[1].gradient.tobytes()
    reference = Reference(4, [6, "tanh", 3])
    wide = model._engine.parameters.astype(np.float64)
    right = reference.gradient(wide, x.astype(np.float64), y)
    np.testing.assert_allclose(found[0].gradient, right, atol=1e-7)
    assert found[0].loss == pytest.approx(model.evaluate(x, y).loss, rel=1e-6)


def test_two_loops_are_the_matrix_of_bfgs() -> None:
    """The direction is that of the inverse Hessian, updated pair by pair as a matrix (6.17)."""
    rng = np.random.default_rng(3)
    pairs = Pairs([], 3)
    s = rng.normal(size=(5, 7)).astype(np.float32)
    y = (s * rng.uniform(0.5, 2, 7) + 0.05 * rng.normal(size=(5, 7))).astype(np.float32)
    for one, other in zip(s, y, strict=True):
        pairs = pairs.with_pair(one.astype(np.float64), other.astype(np.float64))
    assert len(pairs) == 3 and pairs.moments[0].tobytes() == s[2].tobytes()
    wide_s, wide_y = s[2:].astype(np.float64), y[2:].astype(np.float64)
    h = np.eye(7) * (wide_s[-1] @ wide_y[-1]) / (wide_y[-1] @ wide_y[-1])
    for a, b in zip(wide_s, wide_y, strict=True):
        v = np.eye(7) - np.outer(b, a) / (a @ b)
        h = v.T @ h @ v + np.outer(a, a) / (a @ b)
    gradient = rng.normal(size=7)
    np.testing.assert_allclose(pairs.direction(gradient), -h @ gradient, rtol=1e-12)
    assert Pairs(pairs.moments, 2).moments == pairs.moments[2:]


@pytest.mark.parametrize(
    ("s", "y"),
    [([1.0, 0.0], [-1.0, 0.0]), ([1.0, 0.0], [0.0, 1.0]), ([1.0, 0.0], [1e39, 0.0]), ([0], [0])],
)
def test_a_pair_without_curvature_is_left_out(s: list[float], y: list[float]) -> None:
    """Where the gradient does not rise along the step, or its change is no float."""
    pairs = Pairs([], 3)
    assert pairs.with_pair(np.array(s, float), np.array(y, float)) is pairs


# ------------------------------------------------------------ runs


OPTIONS: dict[str, Any] = {"epochs": 9, "validation": 0.2, "optimizer": pynn.LBFGS(memory=3)}


@pytest.mark.parametrize("place", ["on_epoch", "on_progress"])
@pytest.mark.parametrize("stop", [1, 6])
def test_resumed_runs_end_with_the_same_bytes(place: str, stop: int, tmp_path: Path) -> None:
    """The checkpoint has what the steps before have taught."""
    path = tmp_path / "run"
    stopping = pynn.EarlyStopping(patience=8, monitor="loss")
    whole = build()
    history = whole.fit(X, Y, **OPTIONS, early_stopping=stopping)

    def interrupt(it: pynn.EpochResult | pynn.Progress) -> None:
        if it.epoch == stop:
            raise Stop

    with pytest.raises(Stop):
        build().fit(X, Y, **OPTIONS, early_stopping=stopping, checkpoint=path, **{place: interrupt})
    resumed = pynn.Model.resume(path)
    model = pickle.loads(pickle.dumps(resumed)) if stop == 1 else copy.deepcopy(resumed)
    again = model.fit(X, Y, **OPTIONS, early_stopping=stopping)
    assert (again.loss, again.val_loss, again.ended) == (history.loss, history.val_loss, "")
    assert digest(model) == digest(whole)


def test_two_calls_are_one() -> None:
    """A second fit begins with what the first has learnt of the curvature."""
    whole, halves = build(), build()
    whole.fit(X, Y, epochs=8, optimizer=LBFGS)
    for epochs in (3, 5):
        halves.fit(X, Y, epochs=epochs, optimizer=LBFGS)
    assert digest(halves) == digest(whole)


@pytest.mark.parametrize("broken", ["before the state", "after the state"])
def test_ctrl_c_in_the_middle_of_a_change(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters, pairs and position change one after the other; the checkpoint has all or none."""
    sound, path, calls = State.restore, tmp_path / "run", []

    def interrupted(self: State, *rest: Any) -> None:
        calls.append(rest)
        if len(calls) == 4 and broken == "before the state":
            raise KeyboardInterrupt
        sound(self, *rest)
        if len(calls) == 4 and broken == "after the state":
            raise KeyboardInterrupt

    model, whole = build(), build()
    history = whole.fit(X, Y, epochs=6, optimizer=LBFGS)
    monkeypatch.setattr(State, "restore", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=6, optimizer=LBFGS, checkpoint=path)
    monkeypatch.setattr(State, "restore", sound)
    resumed = pynn.Model.resume(path)
    assert resumed.steps_trained == 4 and resumed.epochs_trained == 3
    again = resumed.fit(X, Y, epochs=6, optimizer=LBFGS)
    assert again.loss == history.loss and digest(resumed) == digest(whole)


def test_a_run_that_has_converged_stays_so(tmp_path: Path) -> None:
    """Resumed, also with more epochs, it ends at once and says why."""
    path = tmp_path / "run"
    history = linear().fit(X, TARGETS, epochs=50, optimizer=LBFGS, checkpoint=path)
    again = pynn.Model.resume(path).fit(X, TARGETS, epochs=90, optimizer=LBFGS)
    assert again == history and again.ended


def test_a_callback_that_changes_the_parameters() -> None:
    """The next step begins where they are now, not where the last one ended."""
    model = linear()

    def change(result: pynn.EpochResult) -> None:
        if result.epoch == 2:
            model.parameters["dense1.bias"][...] = 50

    history = model.fit(X, TARGETS, epochs=60, optimizer=LBFGS, on_epoch=change)
    assert history.ended and history.loss[-1] < 0.02
    assert abs(model.parameters["dense1.bias"][0] - 3) < 0.1


def test_after_another_optimizer() -> None:
    """Moments of Adam are no pairs, and pairs no moments."""
    model = build()
    for optimizer in (pynn.Adam(), LBFGS, pynn.Adam()):
        model.fit(X, Y, epochs=2, optimizer=optimizer)
        assert model._engine.state.kind == optimizer._kind
    assert len(model._engine.state.moments) == 2


def test_early_stopping_restores_the_best_epoch() -> None:
    """The loss on other examples rises in the end, and the model is that of its least."""
    model, stopping = build(), pynn.EarlyStopping(patience=5)
    noise = np.random.default_rng(4).integers(0, 3, 90)
    history = model.fit(
        X[:60],
        noise[:60],
        epochs=200,
        optimizer=LBFGS,
        validation=(X[60:], noise[60:]),
        early_stopping=stopping,
    )
    assert history.epochs == np.argmin(history.val_loss) + 1 + 5
    assert model.evaluate(X[60:], noise[60:]).loss == min(history.val_loss)


# ------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda m: m.fit(X, Y, epochs=1, optimizer=LBFGS, batch_size=32),
            "batch_size must be left",
        ),
        (lambda m: m.partial_fit(X, Y, optimizer=LBFGS), "must not be LBFGS in partial_fit"),
        (lambda m: m.explain(X, Y, optimizer=LBFGS), "must not be LBFGS in explain"),
        (
            lambda m: m.fit(X, Y, epochs=1, optimizer=LBFGS, augmentation=pynn.Augmentation()),
            "augmentation must be None with LBFGS",
        ),
        (lambda m: pynn.LBFGS(memory=0), r"memory must be in \[1, 100\], got 0"),
        (lambda m: pynn.LBFGS(memory=101), r"memory must be in \[1, 100\], got 101"),
        (lambda m: pynn.LBFGS(tolerance=-1), "tolerance must be at least 0"),
        (lambda m: pynn.LBFGS(max_evaluations=0), "max_evaluations must be at least 1"),
        (lambda m: pynn.LBFGS(weight_decay=-1), "weight_decay must be at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[pynn.Model], Any], words: str) -> None:
    """The error names the argument and says what to use."""
    with pytest.raises(pynn.ArgumentError, match=words):
        call(build())


@pytest.mark.parametrize(
    ("step", "words"),
    [("dropout", "with dropout1: it drops other values"), ("batch_norm", "with batch_norm1: its")],
)
def test_layers_that_need_batches_are_refused(step: str, words: str) -> None:
    """The layer is named, and why; a dropout of nothing is none."""
    chain: Any = pynn.Builder().input(4).dense(3)
    model = getattr(chain, step)(*([0.5] if step == "dropout" else [])).softmax_cross_entropy()
    with pytest.raises(pynn.ArgumentError, match=words):
        model.build().fit(X, Y, epochs=1, optimizer=LBFGS)
    chain.dropout(0.0).softmax_cross_entropy().build().fit(X, Y, epochs=1, optimizer=LBFGS)


def test_frozen_layers_stay_as_they_are() -> None:
    """Also a batch_norm, which then follows no batches; weight decay leaves them alone, too."""
    chain = pynn.Builder().input(4).dense(5).batch_norm().tanh().dense(3).softmax_cross_entropy()
    model = chain.build(seed=0)
    model.fit(X, Y, epochs=2)
    before = {name: array.copy() for name, array in model.parameters.items()}
    model.freeze("dense1", "batch_norm1")
    history = model.fit(X, Y, epochs=20, optimizer=pynn.LBFGS(weight_decay=0.1))
    for name, array in model.parameters.items():
        assert np.array_equal(array, before[name]) != name.startswith("dense2")
    assert history.loss[-1] < history.loss[0]


def test_a_layer_that_a_callback_freezes() -> None:
    """The next step leaves it as it is."""
    model, kept = build(), []

    def freeze(result: pynn.EpochResult) -> None:
        if result.epoch == 3:
            model.freeze("dense1")
            kept.append(model.parameters["dense1.weight"].copy())

    model.fit(X, Y, epochs=6, optimizer=pynn.LBFGS(weight_decay=0.1), on_epoch=freeze)
    np.testing.assert_array_equal(model.parameters["dense1.weight"], kept[0])


@pytest.mark.parametrize("first", [LBFGS, pynn.SGD()])
def test_a_run_goes_on_with_its_own_optimizer(first: Any, tmp_path: Path) -> None:
    """The error names the optimizer, not the batch size that differs with it."""
    other = pynn.SGD() if first is LBFGS else LBFGS
    build().fit(X, Y, epochs=2, optimizer=first, checkpoint=tmp_path / "run")
    with pytest.raises(pynn.ArgumentError, match=r"^optimizer must be (LBFGS|SGD)\(.*got (SGD|LB)"):
        pynn.Model.resume(tmp_path / "run").fit(X, Y, epochs=4, optimizer=other)


def test_features_that_are_not_finite() -> None:
    """They are named with row and column."""
    x = X.copy()
    x[7, 2] = np.nan
    with pytest.raises(
        pynn.ArgumentError, match=r"epoch 1, in its step: features\[7\] holds nan \(feature 2\)"
    ):
        build().fit(x, Y, epochs=3, optimizer=LBFGS)


def test_a_loss_that_is_not_finite() -> None:
    """No learning rate is to blame."""
    model = linear("poisson")
    model.parameters["dense1.bias"][...] = 100
    with pytest.raises(
        pynn.DivergenceError, match=r"not finite: try features scaled to about 1, or"
    ):
        model.fit(X, TARGETS**2, epochs=3, optimizer=LBFGS)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"state": {"kind": "lbfgs", "updates": 4, "moments": 3}}, "moments must be pairs, got 3"),
        ({"state": {"kind": "lbfgs", "updates": 4, "moments": 8}}, "no entry 'optimizer.s4'"),
        ({"state": {"kind": "lbfgs", "updates": 4, "moments": 202}}, r"must be in \[0, 200\]"),
        ({"state": {"kind": "lbfgs", "updates": 4, "moments": 4}}, "the tensor optimizer.[sy]3"),
        ({"state": {"kind": "adam", "updates": 4, "moments": 2}}, "the tensor optimizer.[sy]1"),
        ({"optimizer": {"kind": "lbfgs", "learning_rate": 1}}, "learning_rate"),
        ({"optimizer": {"kind": "lbfgs", "memory": 0}}, r"memory must be in \[1, 100\]"),
        ({"batch_size": 45}, "batch_size must be rows with LBFGS"),
        ({"ended": "boredom"}, "unknown end 'boredom'"),
        ({"ended": None}, "unknown end None"),
        (
            {"ended": "gradient", "optimizer": {"kind": "sgd", "learning_rate": 1}},
            "unknown end 'gradient'",
        ),
    ],
)
def test_a_damaged_checkpoint_is_refused(
    entries: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """What the file says of the optimizer and its pairs is checked before it is used."""
    path = tmp_path / "run"
    build().fit(X, Y, epochs=4, optimizer=pynn.LBFGS(memory=3), checkpoint=path)
    header, tensors = parts(path.read_bytes())
    run = json.loads(header["__metadata__"]["run"]) | entries
    header["__metadata__"]["run"] = json.dumps(run)
    path.write_bytes(join(header, tensors))
    for read in (pynn.load, pynn.Model.resume):
        with pytest.raises(pynn.FileFormatError, match=f"its run is damaged: .*{words}"):
            read(path)


def test_a_gradient_that_is_no_float() -> None:
    """The loss is finite, and its slope is not."""
    model = linear()
    model.parameters["dense1.weight"][...] = 0
    with pytest.raises(pynn.DivergenceError, match="the loss or its gradient is not finite"):
        model.fit(np.full((9, 4), 3e38, np.float32), np.full(9, 1e4), epochs=1, optimizer=LBFGS)


def test_a_run_that_ends_without_an_epoch(tmp_path: Path) -> None:
    """Where a step begins at the minimum nothing is done, and the checkpoint says why it ended."""
    best = linear()
    best.fit(X, TARGETS, epochs=100, optimizer=pynn.LBFGS(tolerance=1e-6))
    model, path = linear(), tmp_path / "run"

    def jump(result: pynn.EpochResult) -> None:
        if result.epoch == 2:
            for name, array in best.parameters.items():
                model.parameters[name][...] = array

    options: dict[str, Any] = {"epochs": 9, "optimizer": LBFGS}
    history = model.fit(X, TARGETS, **options, on_epoch=jump, checkpoint=path)
    assert (history.epochs, model.epochs_trained) == (2, 2)
    assert history.ended == "converged: the gradient is within the tolerance"
    assert pynn.Model.resume(path).fit(X, TARGETS, **options) == history
