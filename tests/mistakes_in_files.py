"""Mistakes with model files and with checkpoints."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from mistakes import FLOATS, FORMAT, TYPE, VALUE, Bench, Mistake, X, Y, fit

import pynn


def go_on(*data: Any, **options: Any) -> Callable[[Bench], object]:
    """To resume a run with some data or options."""
    return lambda bench: bench.go_on(*data, **options)


ANEW = ("to start anew from its parameters, use pynn.load",)

FILES: dict[str, Mistake] = {
    "a number to save to": Mistake(
        lambda bench: bench.model.save(5), TYPE, ("path must be a str or a Path, got int 5",)
    ),
    "nothing to save to": Mistake(
        lambda bench: bench.model.save(None), TYPE, ("path must be a str or a Path, got NoneType",)
    ),
    "a function to save to": Mistake(
        lambda bench: bench.model.save(open),
        TYPE,
        ("path must be a str or a Path, got builtin_function_or_method",),
    ),
    "a folder to save to": Mistake(
        lambda bench: bench.model.save(bench.folder), (IsADirectoryError,), ("{folder}'",)
    ),
    "a folder that there is not to save to": Mistake(
        lambda bench: bench.model.save(bench.folder / "no" / "model"),
        (FileNotFoundError,),
        ("{folder}/no/model'",),
    ),
    "a number to load": Mistake(
        lambda bench: pynn.load(5), TYPE, ("path must be a str or a Path, got int 5",)
    ),
    "bytes to load": Mistake(
        lambda bench: pynn.load(b"model"), TYPE, ("path must be a str or a Path, got bytes",)
    ),
    "a file that is not there": Mistake(
        lambda bench: pynn.load(bench.folder / "no"), (FileNotFoundError,), ("{folder}/no'",)
    ),
    "a folder to load": Mistake(
        lambda bench: pynn.load(bench.folder), (IsADirectoryError,), ("{folder}'",)
    ),
    "an empty file": Mistake(
        lambda bench: pynn.load(bench.file("empty")),
        FORMAT,
        ("{folder}/empty: not a safetensors file",),
    ),
    "a pickle": Mistake(
        lambda bench: pynn.load(bench.file("pickle", pickle.dumps(FLOATS))),
        FORMAT,
        ("{folder}/pickle: not a safetensors file",),
    ),
    "half a model": Mistake(
        lambda bench: pynn.load(bench.file("half", bench.saved().read_bytes()[:500])),
        FORMAT,
        ("{folder}/half: not a safetensors file",),
    ),
    "a model to resume": Mistake(
        lambda bench: pynn.Model.resume(bench.saved()),
        FORMAT,
        ("{folder}/model: it is a model, but not a checkpoint; use pynn.load",),
    ),
    "no model to resume": Mistake(
        lambda bench: pynn.Model.resume(bench.file("text", b"epoch 3\n" * 9)),
        FORMAT,
        ("{folder}/text: not a safetensors file",),
    ),
    "nothing to resume": Mistake(
        lambda bench: pynn.Model.resume(bench.folder / "no"),
        (FileNotFoundError,),
        ("{folder}/no'",),
    ),
    "a number to resume": Mistake(
        lambda bench: pynn.Model.resume(3), TYPE, ("path must be a str or a Path, got int 3",)
    ),
}

CHECKPOINTS: dict[str, Mistake] = {
    "every without checkpoint": Mistake(
        fit(every=7), VALUE, ("every needs checkpoint, the file", "got every=7", "checkpoint=None")
    ),
    "every 0": Mistake(
        lambda bench: bench.fit(every=0, checkpoint=bench.folder / "run"),
        VALUE,
        ("every must be at least 1, got 0",),
    ),
    "every -1": Mistake(
        lambda bench: bench.fit(every=-1, checkpoint=bench.folder / "run"),
        VALUE,
        ("every must be at least 1, got -1",),
    ),
    "every 0.5": Mistake(
        lambda bench: bench.fit(every=0.5, checkpoint=bench.folder / "run"),
        TYPE,
        ("every must be an integer, got float 0.5",),
    ),
    "every True": Mistake(
        lambda bench: bench.fit(every=True, checkpoint=bench.folder / "run"),
        TYPE,
        ("every must be an integer, got bool True",),
    ),
    "checkpoint True": Mistake(
        fit(checkpoint=True), TYPE, ("checkpoint must be a str or a Path, got bool True",)
    ),
    "a checkpoint in a folder that there is not": Mistake(
        lambda bench: bench.fit(checkpoint=bench.folder / "no" / "run"),
        (FileNotFoundError,),
        ("{folder}/no/run'",),
    ),
    "a folder as checkpoint": Mistake(
        lambda bench: bench.fit(checkpoint=bench.folder), (IsADirectoryError,), ("{folder}'",)
    ),
    "another batch size": Mistake(
        go_on(batch_size=4),
        VALUE,
        ("batch_size must be 3, as in the run that {folder}/run keeps, got 4", *ANEW),
    ),
    "another optimizer": Mistake(
        go_on(optimizer=pynn.SGD(learning_rate=0.25)),
        VALUE,
        (
            "optimizer must be SGD(learning_rate=0.05), as in the run that {folder}/run keeps",
            "got SGD(learning_rate=0.25)",
            *ANEW,
        ),
    ),
    "fewer examples": Mistake(
        go_on(X[:8], Y[:8]), VALUE, ("the number of examples must be 9", "got 8", *ANEW)
    ),
    "other labels": Mistake(
        go_on(X, Y[::-1]),
        VALUE,
        (
            "labels and weights must be those of the run that {folder}/run keeps",
            "have changed",
        ),
    ),
    "other features": Mistake(
        go_on(255 - X),
        VALUE,
        ("labels and weights must be those of the run", "have changed"),
    ),
    "features of another dtype": Mistake(
        go_on(FLOATS),
        VALUE,
        ("labels and weights must be those of the run", "have changed"),
    ),
    "fewer epochs than are begun": Mistake(
        go_on(epochs=1),
        VALUE,
        ("epochs must be at least 2", "{folder}/run keeps has begun epoch 2, got 1"),
    ),
    "a checkpoint of a damaged run": Mistake(
        lambda bench: pynn.Model.resume(
            bench.file("run", bench.checkpoint().read_bytes().replace(b'rows\\": 9', b'rows\\": 0'))
        ),
        FORMAT,
        ("{folder}/run: the description of its run is damaged: rows must be", "got 0"),
    ),
}
