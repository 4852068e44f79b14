"""Calls of the Python API in any order, with good and bad arguments, on pairs of models.

Both models of a pair get the same calls, on different numbers of threads, and must give the same
bits and the same errors. tests/test_random_calls.py runs some sequences of calls, always the same;
`scripts/fuzz SECONDS api` runs others for as long as one likes.
"""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import drawn_chains
import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from model_pairs import JUNK, PairMachine, parameters

import pynn

LOSSES = ["softmax_cross_entropy", "mean_squared_error", "binary_cross_entropy", "poisson"]
CHANGES = [
    None,
    pynn.Augmentation(shift=2, rotate=10, fill=0.5),
    pynn.Augmentation(scale=0.3, shear=20, elastic=2),
    pynn.Augmentation(shift=512, scale=512, elastic=512),
]
WAYS = ["copy", "deepcopy", "pickle"]


class Raised(Exception):
    """What a callback raises."""


class ApiMachine(PairMachine):
    """The rules: each is a call that a user may make."""

    # ------------------------------------------------------------ models

    @initialize(threads=st.integers(1, 3))
    def begin(self, threads: int) -> None:
        """The twins' threads."""
        self.threads_of_twin = threads

    @rule(data=st.data())
    def build(self, data: st.DataObject) -> None:
        """A chain of any layers, of rows or of images."""
        of_images = data.draw(st.booleans(), label="of images")
        steps = (drawn_chains.images if of_images else drawn_chains.rows)(self, data)
        steps.append(("dense", (data.draw(st.integers(1, 5), label="outputs"),), {}))
        loss = data.draw(st.sampled_from(LOSSES), label="loss")
        options: dict[str, Any] = {}
        if loss == "softmax_cross_entropy":
            options = self.options(data, label_smoothing=st.sampled_from([0.0, 0.1]))
        steps.append((loss, (), options))
        seed = self.pick(data, st.integers(0, 2**64 - 1), "seed")

        def make() -> pynn.Model:
            chain: Any = pynn.Builder()
            for name, arguments, options in steps:
                chain = getattr(chain, name)(*arguments, **options)
            model: pynn.Model = chain.build(seed=seed)
            for name, array in model.parameters.items():
                if name == "standardize1.scale":  # without it most calls would be errors
                    array[...] = 1.5
            return model

        bad, self.bad = self.bad, False
        model, result = self.outcome(make)
        misfit = of_images and result[0] is pynn.ArgumentError
        assert model is not None or bad or misfit, f"good arguments: {result}"
        if model is not None and model.parameter_count < 100_000:
            self.keep([model, make()], loss)

    @precondition(lambda self: self.pairs)
    @rule(data=st.data(), ways=st.tuples(st.sampled_from(WAYS), st.sampled_from(WAYS)))
    def copy(self, data: st.DataObject, ways: tuple[str, str]) -> None:
        """A copy is as the model was, moments included, whichever way each of the twins takes."""
        pair = self.choose(data)

        def copied(model: pynn.Model, folder: Path) -> pynn.Model:
            way = ways[model is pair.one]
            made: pynn.Model = (
                pickle.loads(pickle.dumps(model)) if way == "pickle" else getattr(copy, way)(model)
            )
            return made

        models = self.twice(pair, copied)
        if models[0] is not None:
            assert parameters(models[0]) == parameters(pair.one)
            self.keep(models, pair.loss, spoiled=pair.spoiled)

    @precondition(lambda self: self.pairs)
    @rule(data=st.data())
    def save(self, data: st.DataObject) -> None:
        """A saved model, loaded, is as it was, but for moments."""
        pair = self.choose(data)

        def saved(model: pynn.Model, folder: Path) -> pynn.Model:
            model.save(folder / "model.safetensors")
            return pynn.load(folder / "model.safetensors")

        models = self.twice(pair, saved)
        if models[0] is not None:
            assert parameters(models[0]) == parameters(pair.one)
            self.keep(models, pair.loss, spoiled=pair.spoiled)

    @precondition(lambda self: self.pairs)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """Close, again if it is closed."""
        self.twice(self.choose(data), lambda model, folder: model.close())

    @precondition(lambda self: self.pairs)
    @rule(
        data=st.data(), value=st.sampled_from([0.0, 1e-30, 1e3, 1e38, float("nan"), float("inf")])
    )
    def write(self, data: st.DataObject, value: float) -> None:
        """Change a parameter from outside."""
        pair = self.choose(data)

        def change(model: pynn.Model, folder: Path) -> None:
            model.parameters["dense1.weight"][0, 0] = value

        self.twice(pair, change)
        if abs(value) > 1e4 or value != value:
            pair.spoiled = True

    @rule(data=st.data())
    def set_threads(self, data: st.DataObject) -> None:
        """Another number of threads, for the twins from now on."""
        number = self.pick(data, st.integers(1, 4), "threads")
        bad, self.bad = self.bad, False
        _, result = self.outcome(lambda: pynn.set_num_threads(number))
        assert bad or result == "None"
        self.threads_of_twin = data.draw(st.integers(1, 3), label="of the twin")

    # ------------------------------------------------------------ training and use

    @precondition(lambda self: self.pairs)
    @rule(data=st.data())
    def fit(self, data: st.DataObject) -> None:
        """Train, with callbacks that may do anything."""
        pair = self.choose(data)
        x, y, rows = self.examples(data, pair)
        x_held, y_held, _ = self.examples(data, pair)
        validation = st.sampled_from([None, 0.3, (x_held, y_held)])
        options = self.options(
            data,
            batch_size=st.integers(1, rows),
            validation=validation,
            sample_weight=st.just(np.linspace(0.5, 2, rows)),
            class_weight=st.sampled_from([None, "balanced", {0: 2.0}]),
            shuffle=st.booleans(),
            early_stopping=st.builds(
                pynn.EarlyStopping, st.integers(1, 2), monitor=st.just("loss")
            ),
            every=st.integers(1, 3),
            augmentation=st.sampled_from(CHANGES),
        )
        options["optimizer"] = self.optimizer(data)
        epochs = self.pick(data, st.integers(1, 3), "epochs")
        epochs = 0 if isinstance(epochs, int) and epochs > 3 else epochs  # which would never end
        does = data.draw(st.sampled_from(DOES), label="on_epoch")
        keeps = data.draw(st.booleans(), label="checkpoint")

        def train(model: pynn.Model, folder: Path) -> pynn.History:
            more = dict(options)
            if keeps:
                more["checkpoint"] = folder / "run.checkpoint"
            if does != "nothing":
                more["on_epoch"] = lambda result: callback(does, model, x)
            return model.fit(x, y, epochs=epochs, **more)

        # What is good by itself need not be so together: a fraction of one example, weights of
        # classes without classes, changes of images where rows are none; and where a callback fits
        # or closes, or a run was another.
        self.twice(pair, train, Raised, fails=(pynn.ArgumentError, pynn.PynnError))

    @precondition(lambda self: self.pairs)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        """The model of the last checkpoint, which the next fit goes on with."""
        pair = self.choose(data)
        models = self.twice(
            pair,
            lambda model, folder: pynn.Model.resume(folder / "run.checkpoint"),
            FileNotFoundError,
        )
        if models[0] is not None:
            loss = LOSSES[[name in repr(models[0]) for name in LOSSES].index(True)]
            self.keep(models, loss)

    @precondition(lambda self: self.pairs)
    @rule(data=st.data())
    def partial_fit(self, data: st.DataObject) -> None:
        """Train once."""
        pair = self.choose(data)
        x, y, rows = self.examples(data, pair)
        options = self.options(
            data,
            batch_size=st.integers(1, 200),
            sample_weight=st.just(np.linspace(0, 2, rows) + 0.1),
        )
        options["optimizer"] = self.optimizer(data)
        self.twice(pair, lambda model, folder: model.partial_fit(x, y, **options))

    @precondition(lambda self: self.pairs)
    @rule(data=st.data(), per_class=st.booleans())
    def evaluate(self, data: st.DataObject, per_class: bool) -> None:
        """Loss and accuracy."""
        pair = self.choose(data)
        x, y, rows = self.examples(data, pair)
        options = self.options(data, sample_weight=st.just(np.linspace(0.5, 2, rows)))
        self.bad = self.bad or (per_class and pair.loss != "softmax_cross_entropy")
        self.twice(pair, lambda model, folder: model.evaluate(x, y, per_class=per_class, **options))

    @precondition(lambda self: self.pairs)
    @rule(data=st.data(), name=st.sampled_from(["__call__", "predict", "predict_proba"]))
    def predict(self, data: st.DataObject, name: str) -> None:
        """Outputs, classes or probabilities."""
        pair = self.choose(data)
        rows = data.draw(st.sampled_from([0, 1, 5, 300]), label="rows")
        x = self.features(data, pair, rows)
        fails = (pynn.ChainError,) if name == "predict_proba" else ()
        self.twice(pair, lambda model, folder: getattr(model, name)(x), fails=fails)

    @precondition(lambda self: self.pairs)
    @rule(data=st.data(), libc=st.booleans())
    def export(self, data: st.DataObject, libc: bool) -> None:
        """C source, or the reason why there is none."""
        pair = self.choose(data)

        def export(model: pynn.Model, folder: Path) -> tuple[Any, str]:
            footprint = model.export_c(folder / "model.c", libc=libc)
            return footprint, (folder / "model.c").read_text()

        self.twice(pair, export, fails=(pynn.ArgumentError,))

    @precondition(lambda self: self.pairs)
    @rule(
        data=st.data(), name=st.sampled_from(["save", "export_c", "export_onnx", "load", "resume"])
    )
    def files(self, data: st.DataObject, name: str) -> None:
        """Write to, or read from, what is no file, no path or no model."""
        path = data.draw(st.sampled_from([*JUNK, "/", ".", "none/x", "x" * 300]), label="path")
        self.bad = True

        def call(model: pynn.Model, folder: Path) -> None:
            readers: dict[str, Any] = {"load": pynn.load, "resume": pynn.Model.resume}
            (readers[name] if name in readers else getattr(model, name))(path)

        self.twice(self.choose(data), call, OSError)

    @precondition(lambda self: self.pairs)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """What a model says of itself."""
        pair = self.choose(data)
        self.twice(pair, lambda model, folder: (repr(model), model.summary(), model.steps_trained))


DOES = ["nothing", "nothing", "stop", "raise", "predict", "fit", "close", "copy", "save", "junk"]


def callback(does: str, model: pynn.Model, features: Any) -> Any:
    """What a callback may do, wise or not."""
    if does == "stop":
        return True
    if does == "raise":
        raise Raised
    if does == "predict":
        model.predict(features)
    elif does == "fit":
        model.fit(features, np.zeros(len(features), np.int32), epochs=1)
    elif does == "close":
        model.close()
    elif does == "copy":
        pickle.loads(pickle.dumps(model)).predict(features)
    elif does == "junk":
        return object()
    return None
