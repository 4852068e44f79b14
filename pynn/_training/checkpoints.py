"""An engine in a file, and in the plain values that pickle keeps; and out of both again."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Floats
from pynn._base.reading import refuse
from pynn._files import model_file
from pynn._native.network import Network
from pynn._native.state import State
from pynn._network.snapshot import Snapshot
from pynn._network.spec import Spec
from pynn._training.engine import Engine
from pynn._training.run import Run, check_finite


def save(engine: Engine, path: str | os.PathLike[str], run: Run | None = None) -> None:
    """Write a model, and where its run stands, if that is what the file is for.

    Raises:
        OSError: The file cannot be written.
        ClosedError: The model is closed.
    """
    model_file.save(path, engine.snapshot(run))  # no lock while the disk works: forks wait


def load(path: str | os.PathLike[str]) -> Engine:
    """Read a model, or the model in a checkpoint.

    Raises:
        OSError: The file cannot be read.
        FileFormatError: It is no model of pynn, of an unknown version, or damaged.
    """
    saved = model_file.load(path)
    if saved.run is not None:
        _run_of(saved, os.fspath(path))  # no damage to it goes unnoticed
    return Engine.of(saved)


def resume(path: str | os.PathLike[str]) -> Engine:
    """Read a checkpoint, for its run to go on.

    Raises:
        OSError: The file cannot be read.
        FileFormatError: It is no checkpoint, of an unknown version, or damaged.
    """
    saved, name = model_file.load(path), os.fspath(path)
    engine = Engine.of(saved)
    run, engine.state = _run_of(saved, name)
    engine.resumed = run, name
    return engine


def go_back_to(engine: Engine, path: str | os.PathLike[str], run_id: str) -> str:
    """Take parameters and epochs from a checkpoint; where that stands, in words.

    Raises:
        OSError: The file cannot be read.
        FileFormatError: It is damaged, or of another call of `fit` than the one with this id.
    """
    saved, name = model_file.load(path), os.fspath(path)
    run, state = _run_of(saved, name)
    if run.id != run_id:
        refuse(name, "no longer of this run: another call of fit has written it")
    with engine.lock:
        engine.parameters[...] = saved.parameters
        engine.epochs_trained = saved.epochs_trained
        engine.state = state
    return f"epoch {run.epoch + 1}, step {run.step}"


def to_dict(engine: Engine) -> dict[str, Any]:
    """All of an engine in plain values and arrays, copied.

    Raises:
        ClosedError: The model is closed.
    """
    engine.open()

    def copy() -> dict[str, Any]:
        resumed = None
        if (kept := engine.resumed) is not None:
            run, path = kept
            resumed = {"run": run.to_dict(), "best": run.position.best, "path": path}
        return {
            "spec": engine.spec.to_dict(),
            "parameters": engine.parameters.copy(),
            "seed": engine.seed,
            "epochs_trained": engine.epochs_trained,
            "optimizer": engine.state.to_dict(),
            "resumed": resumed,
        }

    return engine.at_one_moment(copy)


def from_dict(kept: dict[str, Any]) -> Engine:
    """Another engine with the same parameters and the same state."""
    spec = Spec.from_pickle(kept["spec"])
    network = Network(spec)
    own = network.new_parameters()
    own[...] = _array_like(own, kept["parameters"])
    engine = Engine(spec, network, own, kept["seed"], kept["epochs_trained"])
    state = kept["optimizer"]
    moments = [_array_like(own, moment) for moment in state["moments"]]
    engine.state.restore(**{**state, "moments": moments})
    if (resumed := kept["resumed"]) is not None:
        has_accuracy = spec.decisions > 0
        run = Run.from_dict(resumed["run"], resumed["best"], has_accuracy=has_accuracy)
        engine.resumed = run, resumed["path"]
    return engine


def _run_of(saved: Snapshot, name: str) -> tuple[Run, State]:
    """The run of a checkpoint, and what went from step to step; its name is for an error.

    Raises:
        FileFormatError: It is no checkpoint, or what it says of its run is damaged.
    """
    if saved.run is None:
        refuse(name, "a model, but no checkpoint of a run; use pynn.load")
    has_accuracy = saved.spec.decisions > 0
    state = State(saved.seed, saved.steps_trained)
    try:
        run = Run.from_dict(saved.run, saved.arrays.get("best"), has_accuracy=has_accuracy)
        run.restore(state, saved.run, saved.arrays)
        check_finite("parameters", saved.parameters)
        if run.epochs_trained != saved.epochs_trained:
            raise ValueError(
                f"it ends after {run.epochs_trained} epochs, the model after {saved.epochs_trained}"
            )
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        why = f"it has no entry {error}" if isinstance(error, KeyError) else str(error)
        refuse(name, f"what it says of its run is damaged: {why}")
    return run, state


def _array_like(own: Floats, kept: npt.ArrayLike) -> Floats:
    """A copy of parameters or moments that were kept, which must be as many: else ValueError."""
    return np.array(kept, np.float32).reshape(own.shape)
