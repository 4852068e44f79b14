"""Pairs of models that get the same calls, on different numbers of threads, for random calls."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

import pynn


def words(*_: object) -> str:
    """A callable that returns something useless."""
    return "words"


# No number that is large enough to take memory and time, and small enough to be taken.
JUNK: list[Any] = [
    None, True, False, -1, 0, 2**45, 2**64, 10**400, 0.5, -0.0, 1e-320, 1e39, float("nan"),
    float("inf"), -float("inf"), 1j, "", "sgd", "\x1b[2J", b"x", [], (), {}, [1, 2], (1, 2, 3),
    {0: 1.0}, {"a": None}, ..., int, words, np.float32(0.5), np.int64(3), np.array(2),
    np.array([]), np.zeros((2, 3)), np.array(["a"]), np.datetime64("2020-01-01"), slice(1),
]  # fmt: skip
MOST_MODELS = 4


@dataclass
class Pair:
    """A model and its twin."""

    models: tuple[pynn.Model, pynn.Model]
    loss: str
    spoiled: bool = False
    """Whether parameters may not be finite: an error said so, or they were written to."""

    @property
    def one(self) -> pynn.Model:
        """The first of the two."""
        return self.models[0]


def bits(value: Any) -> Any:
    """The part of a value that must be the same for twins: all but measured times."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, pynn.History):
        return value.loss, value.accuracy, value.val_loss, value.val_accuracy
    if isinstance(value, pynn.Model):
        return parameters(value)
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    return repr(value)


def parameters(model: pynn.Model) -> bytes:
    """All parameters of a model that is open."""
    return b"".join(array.tobytes() for array in model.parameters.values())


def is_finite(model: pynn.Model) -> bool:
    """Whether all parameters are finite; True for a closed model, which has none to look at."""
    try:
        arrays = model.parameters.values()
    except pynn.ClosedError:
        return True
    return all(bool(np.isfinite(array).all()) for array in arrays)


class PairMachine(RuleBasedStateMachine):
    """How rules call both models of a pair, the arguments that they draw, and what always holds."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="pynn-api-"))
        self.before = os.getcwd()
        os.chdir(self.folder)  # where files go whose names are junk
        self.pairs: list[Pair] = []
        self.threads = pynn.get_num_threads()
        self.threads_of_twin = 2
        self.bad = False  # whether an argument of this call is junk

    def teardown(self) -> None:
        """Leave nothing behind."""
        os.chdir(self.before)
        pynn.set_num_threads(self.threads)
        self.pairs.clear()
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------ how rules call

    def pick(self, data: st.DataObject, good: st.SearchStrategy[Any], name: str) -> Any:
        """A good argument; one in sixteen times junk."""
        if data.draw(st.integers(0, 15), label=f"{name} is junk if 15") == 15:
            self.bad = True
            return data.draw(st.sampled_from(JUNK), label=name)
        return data.draw(good, label=name)

    def options(self, data: st.DataObject, **strategies: st.SearchStrategy[Any]) -> dict[str, Any]:
        """Some optional arguments."""
        wanted = data.draw(st.sets(st.sampled_from(sorted(strategies))), label="options")
        return {name: self.pick(data, strategies[name], name) for name in sorted(wanted)}

    def outcome(self, call: Callable[[], Any], *more: type[BaseException]) -> tuple[Any, Any]:
        """What a call returns, and in bits what it returned or raised; no other error may come."""
        try:
            value = call()
        except (pynn.PynnError, *more) as error:
            words = str(error)
            for folder in (self.folder / "0", self.folder / "1"):
                words = words.replace(str(folder), "")
            return None, (type(error), words)
        return value, bits(value)

    def twice(
        self,
        pair: Pair,
        call: Callable[[pynn.Model, Path], Any],
        *more: type[BaseException],
        fails: tuple[type[BaseException], ...] = (),
    ) -> list[Any]:
        """Make a call on both models, in folders of their own; returns what came, or [None, None].

        `more` are the errors that may come besides pynn's, and `fails` those of pynn that may come
        though no argument is bad.
        """
        bad, self.bad = self.bad, False
        values, results = [], []
        for number, model in enumerate(pair.models):
            pynn.set_num_threads(1 + (self.threads_of_twin if number else 0))
            folder = self.folder / str(number)
            folder.mkdir(exist_ok=True)
            value, result = self.outcome(
                lambda model=model, folder=folder: call(model, folder), *more
            )
            values.append(value)
            results.append(result)
        assert results[0] == results[1], f"twins differ: {results}"
        result = results[0]
        note(f"    {str(result)[:200]}")
        if isinstance(result, tuple) and isinstance(result[0], type):
            known = (*fails, *more, pynn.ClosedError, pynn.DivergenceError)
            assert bad or issubclass(result[0], known), f"good arguments: {result}"
            if issubclass(result[0], pynn.DivergenceError) or "np.nan_to_num" in result[1]:
                pair.spoiled = True
        return values

    def keep(self, models: list[Any], loss: str, *, spoiled: bool = False) -> None:
        """Have a new pair, for the oldest if there are too many."""
        assert all(isinstance(model, pynn.Model) for model in models)
        if len(self.pairs) == MOST_MODELS:
            del self.pairs[0]
        self.pairs.append(Pair((models[0], models[1]), loss, spoiled))

    def choose(self, data: st.DataObject) -> Pair:
        """One of the pairs."""
        return self.pairs[data.draw(st.integers(0, len(self.pairs) - 1), label="model")]

    # ------------------------------------------------------------ arguments

    def features(self, data: st.DataObject, pair: Pair, rows: int) -> Any:
        """Features of some kind."""
        width, shape = pair.one.inputs, pair.one._spec.input_shape
        rng = np.random.default_rng(rows + 100 * width)
        x: Any = rng.integers(0, 256, (rows, width), np.uint8)
        x[rng.random(x.shape) < 0.6] = 0
        kinds: list[Callable[[Any], Any]] = [
            lambda x: x,
            lambda x: x / np.float32(255),
            lambda x: x / 255.0,
            lambda x: np.asfortranarray(x / np.float32(9)),
            lambda x: np.repeat(x, 2, axis=0)[::2],
            lambda x: x.reshape(rows, *(shape if len(shape) > 1 else (width, 1))),
        ]
        broken: list[Callable[[Any], Any]] = [
            lambda x: x[:, 1:],
            lambda x: x.sum(axis=0, dtype=np.uint8),
            lambda x: x.astype(np.int64),
            lambda x: np.where(x > 200, np.nan, x / np.float32(255)).astype(np.float32),
            lambda x: np.full((rows, width), np.inf, np.float32),
            lambda x: np.ma.masked_equal(x, 0),
            lambda x: x.tolist(),
            lambda x: np.full((rows, width), 1e300),
            lambda x: x.reshape(rows, *(*shape, 1)[::-1]),
        ]
        return self.kind_of(data, "features", x, kinds, broken)

    def targets(self, data: st.DataObject, pair: Pair, rows: int) -> Any:
        """Labels or targets of some kind."""
        outputs = pair.one.outputs
        if pair.loss == "softmax_cross_entropy":
            y: Any = np.arange(rows) % outputs
            kinds: list[Callable[[Any], Any]] = [
                lambda y: y,
                lambda y: y.astype(np.uint8),
                lambda y: y.astype(np.int16)[::-1],
            ]
            broken: list[Callable[[Any], Any]] = [
                lambda y: y + 1,
                lambda y: y - 1,
                lambda y: y.astype(np.float32),
                lambda y: y[1:],
                lambda y: y[:, None],
                lambda y: np.eye(outputs)[y],
            ]
        else:
            y = (np.arange(rows * outputs).reshape(rows, outputs) * 7 % 5 / 5).astype(np.float32)
            kinds = [lambda y: y, lambda y: y.astype(np.float64), lambda y: y > 0.5]
            broken = [lambda y: y[1:], lambda y: np.full_like(y, np.nan), lambda y: y.astype(str)]
        return self.kind_of(data, "labels or targets", y, kinds, broken)

    def kind_of(
        self,
        data: st.DataObject,
        name: str,
        array: Any,
        kinds: list[Callable[[Any], Any]],
        broken: list[Callable[[Any], Any]],
    ) -> Any:
        """An array in one of the forms that are taken; one in eight times in one that is not."""
        number = data.draw(st.integers(0, 8 * len(broken) - 1), label=f"{name}, form")
        if number >= 7 * len(broken):
            self.bad = True
            return broken[number - 7 * len(broken)](array)
        return kinds[number % len(kinds)](array)

    def examples(self, data: st.DataObject, pair: Pair) -> tuple[Any, Any, int]:
        """Features, labels or targets, and their number."""
        rows = data.draw(st.sampled_from([1, 2, 3, 7, 30, 130]), label="rows")
        x = self.features(data, pair, rows)
        return x, self.targets(data, pair, rows), rows

    def optimizer(self, data: st.DataObject) -> Any:
        """An optimizer, or None where its arguments were refused."""
        schedules = [pynn.schedules.Cosine(0.1, 9), pynn.schedules.OneCycle(0.1, 5)]
        rates = st.sampled_from([0.01, 0.1, 1e-44, 1e-3, 30.0, 1e38, *schedules])
        decay, norm = st.sampled_from([0.0, 1e-4, 0.5]), st.sampled_from([None, 1e-3, 1.0])
        shared = {"learning_rate": rates, "weight_decay": decay, "max_gradient_norm": norm}
        kind = data.draw(st.sampled_from(["SGD", "Adam", "AdamW"]), label="optimizer")
        if kind == "SGD":
            momentum = st.sampled_from([0.0, 0.5, 0.99])
            options = self.options(data, **shared, momentum=momentum, nesterov=st.booleans())
            # Only where both are good: the truth of junk, such as an array, may be an error.
            nesterov, momentum = options.get("nesterov"), options.get("momentum")
            refused = not self.bad and bool(nesterov) and not momentum
        else:
            beta = st.sampled_from([0.0, 0.5, 0.999])
            eps = st.sampled_from([1e-8, 1e-3])
            options = self.options(data, **shared, beta1=beta, beta2=beta, eps=eps)
            refused = False
        bad, self.bad = self.bad, False
        made, result = self.outcome(lambda: getattr(pynn, kind)(**options))
        assert made is not None or bad or refused, f"good arguments: {result}"
        self.bad = bad  # some junk is accepted, such as a callable; what it gives is not
        return made

    # ------------------------------------------------------------ what always holds

    @invariant()
    def all_is_finite(self) -> None:
        """Parameters are finite, unless an error said otherwise."""
        for pair in self.pairs:
            assert pair.spoiled or is_finite(pair.one)

    @invariant()
    def twins_are_alike(self) -> None:
        """The same bits, the same counts."""
        for pair in self.pairs:
            one, other = pair.models
            assert repr(one) == repr(other)
            assert (one.steps_trained, one.epochs_trained) == (
                other.steps_trained,
                other.epochs_trained,
            )
            if "closed" not in repr(one):
                assert parameters(one) == parameters(other)
