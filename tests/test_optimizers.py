"""Optimizers and schedules: against the float64 reference, hand values, and PyTorch's first steps.

PyTorch's figures are in parity/optimizers.json, made with PyTorch 2.13.0 for CPUs by

    python tests/parity/record_optimizers.py
"""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from boundary import make_network, train
from parity.record_optimizers import (
    BATCH_SIZE,
    CASES,
    CLASSES,
    HIDDEN,
    INPUTS,
    RATES,
    RECORDED,
    STEPS,
    examples,
    initial_parameters,
    train_with_pytorch,
)
from reference import Optimizer, Reference
from safetensors import safe_open

import pynn
from pynn._native.data import Data
from pynn._native.library import lib
from pynn._native.state import State
from pynn._native.workspace import Workspace

TOLERANCE = 1e-6  # relative, of a loss and of the norm of a tensor after 100 steps

ADAM = {"beta1": 0.9, "beta2": 0.99, "eps": 1e-6}
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"weight_decay": 0.5}),
    ("sgd", {"max_norm": 0.1}),
    ("sgd", {"max_norm": 1e9}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.1, "max_norm": 0.2}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("sgd", {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}),
    ("adam", ADAM),
    ("adam", {**ADAM, "weight_decay": 0.1}),
    ("adam", {**ADAM, "max_norm": 0.01, "eps": 1e-4}),
    ("adam", {"beta1": 0.0, "beta2": 0.0, "eps": 1e-3}),
    ("adamw", {**ADAM, "weight_decay": 0.1}),
    ("adamw", {**ADAM, "weight_decay": 0.0}),
]


def is_weight(reference: Reference) -> npt.NDArray[np.bool_]:
    """Which of the parameters are no biases."""
    flat = np.zeros(reference.parameter_count, bool)
    for weights in reference.tensors(flat)[::2]:
        weights[...] = True
    return flat


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    ("kind", "options"), OPTIONS, ids=[f"{kind} {options}" for kind, options in OPTIONS]
)
def test_steps_are_those_of_the_reference(kind: str, options: dict[str, Any], sparse: bool) -> None:
    """Ten steps of each optimizer, on both paths; with more parameters than one task updates."""
    layers: list[int | str] = [500, "tanh", 3]
    reference = Reference(40, layers)
    network = make_network(40, layers)
    assert network.parameter_count > 20_000  # a task updates 16,384
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 40)).astype(np.float32)
    if sparse:
        x *= rng.random(x.shape) < 0.1
    labels = rng.integers(0, 3, 20, np.int32)
    parameters = reference.draw_parameters(rng)
    expected = parameters.astype(np.float64)
    optimizer = Optimizer(kind, is_weight(reference), **options)
    state = State(0)
    workspace = Workspace(network, 10)
    data = Data(x, labels)
    moved = parameters.astype(np.float64)
    for step in range(10):
        rows = slice(10 * (step % 2), 10 * (step % 2) + 10)
        gradient = reference.gradient(expected, x[rows].astype(np.float64), labels[rows])
        expected = optimizer.step(expected, gradient, 0.05)
        half = step % 2
        train(
            workspace, data, None, 10, half, half + 1, 0.05, parameters,
            state=state, kind=kind, **options,
        )  # fmt: skip
    for start, got, wanted in zip(
        reference.tensors(moved),
        reference.tensors(parameters),
        reference.tensors(expected),
        strict=True,
    ):
        change = np.linalg.norm(wanted - start)
        assert change > 1e-3
        # The gradient's rounding, and that of the parameters themselves in ten steps.
        bound = 1e-4 * change + 3e-7 * np.linalg.norm(wanted)
        assert np.linalg.norm(got - wanted) < bound
    assert state.step == 10
    assert state.updates == (10 if options or kind != "sgd" else 0)


@pytest.mark.parametrize(
    ("optimizer", "moments"),
    [
        (pynn.SGD(learning_rate=0.1), set()),
        (pynn.SGD(learning_rate=0.1, max_gradient_norm=1.0), set()),
        (pynn.SGD(learning_rate=0.1, momentum=0.9), {"optimizer.first"}),
        (pynn.Adam(), {"optimizer.first", "optimizer.second"}),
        (pynn.AdamW(), {"optimizer.first", "optimizer.second"}),
    ],
    ids=["sgd", "clipped", "momentum", "adam", "adamw"],
)
def test_a_checkpoint_has_the_moments_of_its_optimizer(
    optimizer: Any, moments: set[str], tmp_path: Path
) -> None:
    """As many arrays as it needs, and none besides: each is as large as the model."""
    x, y = np.zeros((9, 3), np.float32), np.arange(9) % 2
    model = pynn.Builder().input(3).dense(2).softmax_cross_entropy().build()
    model.fit(x, y, epochs=1, optimizer=optimizer, checkpoint=tmp_path / "run")
    with safe_open(tmp_path / "run", "np") as file:
        assert set(file.keys()) - {"dense1.weight", "dense1.bias"} == moments


def test_momentum_by_hand() -> None:
    """One weight, gradient 1 in each step, rate 0.1 and momentum 0.5: m = 1, 1.5, 1.75.

    With targets t = -1/2, and the one output y = w x, x = 1 and w far from 0 the gradient changes,
    so the example is an output whose error is kept at 1/2 by a target that moves along.
    """
    network = make_network(1, [1], "mean_squared_error")
    workspace = Workspace(network, 1)
    parameters = np.zeros(2, np.float32)
    state = State(0)
    seen = []
    for _ in range(3):
        target = np.array([[parameters.sum() - 0.5]], np.float32)
        data = Data(np.ones((1, 1), np.float32), target)
        train(workspace, data, None, 1, 0, 1, 0.1, parameters, state=state, momentum=0.5)
        seen.append(parameters[0])
    np.testing.assert_allclose(seen, [-0.1, -0.25, -0.425], rtol=0, atol=1e-6)


# ------------------------------------------------------------ PyTorch


def make_schedule(name: str, rate: float) -> Any:
    """pynn's, for the recorded ones."""
    return {
        "constant": rate,
        "step": pynn.schedules.StepDecay(rate, every=30, factor=0.5),
        "cosine": pynn.schedules.Cosine(rate, steps=STEPS, least=0.001),
        "one cycle": pynn.schedules.OneCycle(2 * rate, steps=STEPS + 1),
        "warm-up": pynn.schedules.WarmUp(pynn.schedules.Cosine(rate, steps=STEPS - 10), steps=10),
    }[name]


def train_with_pynn(name: str) -> dict[str, Any]:
    """What train_with_pytorch() gives, from pynn."""
    kind, options, schedule = CASES[name]
    optimizer = getattr(pynn, kind)(learning_rate=make_schedule(schedule, RATES[kind]), **options)
    chain = pynn.Builder().input(INPUTS).dense(HIDDEN).tanh().dense(CLASSES)
    model = chain.softmax_cross_entropy().build()
    for view, array in zip(model.parameters.values(), initial_parameters(), strict=True):
        view[...] = array
    losses = [
        model.partial_fit(x, labels, batch_size=BATCH_SIZE, optimizer=optimizer).loss
        for x, labels in zip(*examples(), strict=True)
    ]
    norms = [float(np.linalg.norm(view.astype(np.float64))) for view in model.parameters.values()]
    return {"losses": losses, "norms": norms}


def assert_same_run(name: str, expected: dict[str, Any]) -> None:
    """Losses and norms agree, and something was learnt."""
    got = train_with_pynn(name)
    np.testing.assert_allclose(got["losses"], expected["losses"], rtol=TOLERANCE, atol=0)
    np.testing.assert_allclose(got["norms"], expected["norms"], rtol=TOLERANCE, atol=0)
    assert np.mean(got["losses"][-10:]) < 0.9 * np.mean(got["losses"][:10])


@pytest.mark.parametrize("name", CASES)
def test_recorded_trajectories_of_pytorch(name: str) -> None:
    """100 steps are those that PyTorch made."""
    assert_same_run(name, json.loads(RECORDED.read_text())["cases"][name])


@pytest.mark.parametrize("name", CASES)
def test_live_trajectories_of_pytorch(name: str) -> None:
    """100 steps are those that the installed PyTorch makes."""
    pytest.importorskip("torch")
    assert_same_run(name, train_with_pytorch(name))


# ------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pynn.SGD(momentum=1.0), "momentum must be at least 0 and less than 1, got"),
        (lambda: pynn.SGD(momentum=-0.1), "momentum must be at least 0"),
        (lambda: pynn.SGD(momentum=math.nan), "momentum must be at least 0"),
        (lambda: pynn.SGD(nesterov=True), "nesterov needs a momentum greater than 0"),
        (lambda: pynn.SGD(weight_decay=-1), "weight_decay must be at least 0"),
        (lambda: pynn.SGD(max_gradient_norm=0), "max_gradient_norm must be greater than 0"),
        (lambda: pynn.Adam(beta1=1), "beta1 must be at least 0 and less than 1"),
        (lambda: pynn.Adam(beta2=1.5), "beta2 must be at least 0 and less than 1"),
        (lambda: pynn.Adam(eps=0), "eps must be at least 1.1754944e-38 and finite as a float32"),
        (lambda: pynn.AdamW(eps=1e-40), "eps must be at least 1.1754944e-38"),
        (lambda: pynn.AdamW(learning_rate=0), "learning_rate must be greater than 0"),
        (lambda: pynn.schedules.Cosine(0.1, steps=0), "steps must be at least 1"),
        (lambda: pynn.schedules.Cosine(0.0, steps=3), "rate must be greater than 0"),
        (lambda: pynn.schedules.Cosine(0.1, 3, least=-1), "least must be at least 0"),
        (lambda: pynn.schedules.OneCycle(0.1, steps=1), "steps must be at least 2"),
        (lambda: pynn.schedules.OneCycle(0.1, 9, rise=1.0), "rise must be greater than 0 and less"),
        (lambda: pynn.schedules.StepDecay(0.1, every=0), "every must be at least 1"),
        (lambda: pynn.schedules.StepDecay(0.1, 5, factor=0), "factor must be greater than 0"),
        (lambda: pynn.schedules.WarmUp(0.1, steps=0), "steps must be at least 1"),
        (lambda: pynn.schedules.WarmUp(-0.1, steps=2), "rate must be greater than 0"),
    ],
)
def test_values_out_of_range_are_refused(make: Any, words: str) -> None:
    """The error names the argument, what it needs and what it got."""
    with pytest.raises(pynn.ArgumentError) as caught:
        make()
    assert words in str(caught.value)
    assert "got" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pynn.SGD(nesterov=1), "nesterov must be True or False, got int 1"),  # type: ignore[arg-type]
        (lambda: pynn.SGD(momentum="0.9"), "momentum must be a number, got str '0.9'"),  # type: ignore[arg-type]
        (lambda: pynn.Adam(learning_rate=pynn.schedules.Cosine), "got the class Cosine; call it"),  # type: ignore[arg-type]
        (lambda: pynn.Adam(beta1=None), "beta1 must be a number, got NoneType None"),  # type: ignore[arg-type]
    ],
)
def test_values_of_the_wrong_type_are_refused(make: Any, words: str) -> None:
    """The error names the argument, what it needs and what it got."""
    with pytest.raises(pynn.ArgumentTypeError) as caught:
        make()
    assert words in str(caught.value)


EXAMPLES = [
    pynn.SGD(learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
    pynn.Adam(learning_rate=pynn.schedules.Cosine(0.01, steps=100)),
    pynn.AdamW(max_gradient_norm=1.0),
]


@pytest.mark.parametrize("optimizer", EXAMPLES, ids=repr)
def test_optimizers_are_values(optimizer: Any) -> None:
    """repr gives the call that makes it; pickle gives an equal one; it cannot be changed."""
    names = {
        "SGD": pynn.SGD,
        "Adam": pynn.Adam,
        "AdamW": pynn.AdamW,
        "Cosine": pynn.schedules.Cosine,
    }
    again = eval(repr(optimizer), names)
    assert again == optimizer
    assert hash(again) == hash(optimizer)
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert optimizer != pynn.SGD()
    with pytest.raises(AttributeError, match="cannot be changed"):
        optimizer.learning_rate = 1.0


@pytest.mark.parametrize(
    ("bad", "error"), [(math.nan, ValueError), (-1.0, ValueError), ("0.1", TypeError)]
)
def test_what_a_schedule_gives_is_checked(bad: Any, error: type[Exception]) -> None:
    """A rate that is no rate is an error that names the step, and nothing is trained by it."""
    model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build()
    before = {name: view.copy() for name, view in model.parameters.items()}
    x, y = np.ones((4, 2), np.float32), np.zeros(4, np.int64)
    optimizer = pynn.SGD(learning_rate=lambda step: bad if step == 0 else 0.1)
    with pytest.raises(error, match="learning_rate: its value for step 0 must be"):
        model.fit(x, y, epochs=1, batch_size=1, optimizer=optimizer)
    for name, view in model.parameters.items():
        np.testing.assert_array_equal(view, before[name])


ANYTHING: dict[str, tuple[Any, type[Exception]]] = {
    "nan": (math.nan, pynn.ArgumentError),
    "infinity": (math.inf, pynn.ArgumentError),
    "beyond float32": (1e39, pynn.ArgumentError),
    "an integer beyond floats": (10**400, pynn.ArgumentError),
    "negative": (-0.1, pynn.ArgumentError),
    "None": (None, pynn.ArgumentTypeError),
    "str": ("0.1", pynn.ArgumentTypeError),
    "bool": (True, pynn.ArgumentTypeError),
    "complex": (0.1 + 0j, pynn.ArgumentTypeError),
    "list": ([0.1], pynn.ArgumentTypeError),
    "array": (np.array([0.1]), pynn.ArgumentTypeError),
}


@pytest.mark.parametrize("train", ["fit", "partial_fit"])
@pytest.mark.parametrize("within", ["itself", "warm-up", "warm-up is over"])
@pytest.mark.parametrize("name", ANYTHING)
def test_a_schedule_may_give_anything(name: str, within: str, train: str) -> None:
    """What is no rate is an error of ours that names the step, also below a warm-up."""
    value, error = ANYTHING[name]

    def rate(step: int) -> Any:
        return value if step == (0 if within == "warm-up" else 2) else 0.1

    schedule: Any = rate
    if within != "itself":
        schedule = pynn.schedules.WarmUp(rate, steps=3)
    model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build()
    x, y = np.ones((8, 2), np.float32), np.zeros(8, np.int64)
    options: dict[str, Any] = {"batch_size": 1, "optimizer": pynn.SGD(learning_rate=schedule)}
    if train == "fit":
        options["epochs"] = 1
    with pytest.raises(error) as caught:
        getattr(model, train)(x, y, **options)
    number = {"itself": 2, "warm-up": 0, "warm-up is over": 5}[within]
    which = "schedule" if within == "warm-up" else "learning_rate"
    assert str(caught.value).startswith(f"{which}: its value for step {number} must be ")


@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_a_step_decay_may_grow_beyond_all_numbers() -> None:
    """It is infinite then, and the step is refused by name."""
    schedule = pynn.schedules.StepDecay(0.001, every=1, factor=2.0)
    assert schedule(10) == 1.024
    assert schedule(10**4) == math.inf
    assert pynn.schedules.StepDecay(0.1, every=1)(10**400) == 0.0
    model = pynn.Builder().input(1).dense(2).softmax_cross_entropy().build()
    x, y = np.zeros((200, 1), np.float32), np.arange(200) % 2
    model.fit(x, y, epochs=9, batch_size=200, optimizer=pynn.SGD(learning_rate=schedule))
    model._engine.state.restore(10**4, 0, None, [])
    with pytest.raises(pynn.ArgumentError, match="for step 10000 must be at least 0 and finite as"):
        model.partial_fit(x, y, optimizer=pynn.SGD(learning_rate=schedule))


@pytest.mark.parametrize("steps", [2, 3, 10, 1000])
@pytest.mark.parametrize("rise", [0.001, 0.3, 0.999])
def test_one_cycle_stays_at_its_end(steps: int, rise: float) -> None:
    """Behind its last step, however far, the rate is the last one, rate / 250,000."""
    schedule = pynn.schedules.OneCycle(0.5, steps, rise=rise)
    last = schedule(steps - 1)
    assert last == pytest.approx(0.5 / 250_000)
    assert [schedule(step) for step in (steps, steps + 1, 2 * steps, 10**6)] == [last] * 4
    assert min(map(schedule, range(steps))) == last


@pytest.mark.parametrize(
    "make",
    [
        lambda steps: pynn.schedules.StepDecay(0.1, every=steps),
        lambda steps: pynn.schedules.Cosine(0.1, steps),
        lambda steps: pynn.schedules.OneCycle(0.1, steps),
        lambda steps: pynn.schedules.WarmUp(0.1, steps),
    ],
)
def test_schedules_take_as_many_steps_as_a_model_counts(make: Any) -> None:
    """More are refused, and all that many can be counted with."""
    schedule = make(2**62)
    assert all(0.0 <= schedule(step) <= 0.1 for step in (0, 10, 2**62, 2**63))
    with pytest.raises(pynn.ArgumentError, match="must be at most 2\\^62, got"):
        make(10**400)


@pytest.mark.parametrize("digits", [400, 5000])
def test_integers_of_many_digits_are_refused(digits: int) -> None:
    """Also those that Python writes no more."""
    with pytest.raises(pynn.ArgumentError, match="rate must be greater than 0 and finite"):
        pynn.schedules.Constant(10**digits)
    with pytest.raises(pynn.ArgumentError, match="every must be at least 1, got int"):
        pynn.schedules.StepDecay(0.1, -(10**digits))
    with pytest.raises(pynn.ArgumentError, match="every must be at most 2"):
        pynn.schedules.StepDecay(0.1, 10**digits)


@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_a_rate_may_fade_out_of_float32() -> None:
    """Where a schedule has become less than the least float32 the rate is 0, and no error."""
    optimizer = pynn.SGD(learning_rate=pynn.schedules.StepDecay(0.1, every=1))
    model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build()
    x, y = np.ones((60, 2), np.float32), np.zeros(60, np.int64)
    assert model.fit(x, y, epochs=1, batch_size=1, optimizer=optimizer).epochs == 1


def test_a_schedule_of_a_class_is_refused() -> None:
    """The error comes at once and says what to do."""
    with pytest.raises(pynn.ArgumentTypeError, match="got the class Cosine; call it with"):
        pynn.schedules.WarmUp(pynn.schedules.Cosine, steps=3)  # type: ignore[arg-type]


def test_a_callable_gets_every_step_once() -> None:
    """A schedule is asked for steps 0, 1, 2, ... over epochs, calls of fit and partial_fit."""
    seen: list[int] = []

    def rate(step: int) -> float:
        seen.append(step)
        return 0.1

    model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build()
    x, y = np.ones((7, 2), np.float32), np.zeros(7, np.int64)
    optimizer = pynn.SGD(learning_rate=rate)
    model.fit(x, y, epochs=2, batch_size=2, optimizer=optimizer)
    model.partial_fit(x, y, batch_size=4, optimizer=optimizer)
    model.fit(x, y, epochs=1, batch_size=7, optimizer=optimizer)
    assert seen == list(range(4 + 4 + 2 + 1))
    assert model.steps_trained == len(seen)
    assert model.epochs_trained == 3


@pytest.mark.parametrize("optimizer", [pynn.SGD(momentum=0.9), pynn.Adam(), pynn.AdamW()])
def test_an_optimizer_has_the_moments_that_c_needs(optimizer: pynn.SGD | pynn.Adam) -> None:
    """Its class names them, for checkpoints; besides, C needs room for the gradient."""
    described, _ = optimizer._update(0, 1).to_c(1)
    assert lib.pynn_optimizer_needs(described) == 1 + len(optimizer._tensors)


@pytest.mark.parametrize("kind", [pynn.Adam, pynn.AdamW])
def test_least_eps_divides_no_zero_by_zero(kind: type[pynn.Adam]) -> None:
    """The weights of a feature that is always 0 have no gradient, and stay as they are."""
    model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build(seed=0)
    before = model.parameters["dense1.weight"].copy()
    x, y = np.array([[0, 1], [0, 2]], np.float32), np.array([0, 1], np.uint8)
    model.fit(x, y, epochs=2, optimizer=kind(eps=1.1754944e-38, weight_decay=0.0))
    after = model.parameters["dense1.weight"]
    assert (after[0] == before[0]).all()
    assert (after[1] != before[1]).all()
