"""Saving an engine in a file or as plain values for pickle, and restoring it from either."""

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
from pynn._network import class_names
from pynn._network.snapshot import Snapshot
from pynn._network.spec import Spec
from pynn._training.engine import Engine
from pynn._training.run import Run, check_finite


def save(engine: Engine, path: str | os.PathLike[str], run: Run | None = None) -> None:
    """Write a model to a file; with `run`, write a checkpoint of this run.

    The engine's lock is held only while the model is copied, not while the file is written: a fork
    in another thread waits for this lock, and would have to wait for the disk.

    Raises:
        OSError: The file cannot be written.
        ClosedError: The model is closed.
    """
    model_file.save(path, engine.snapshot(run))


def load(path: str | os.PathLike[str]) -> Engine:
    """Read a model, or the model in a checkpoint without its run.

    Raises:
        OSError: The file cannot be read.
        FileFormatError: It is not a model of pynn, has an unknown version, or is damaged.
    """
    saved = model_file.load(path)
    if saved.run is not None:
        _run_of(saved, os.fspath(path))  # only to refuse the file if its run is damaged
    return Engine.of(saved)


def resume(path: str | os.PathLike[str]) -> Engine:
    """Read a checkpoint; the next `fit` of the engine continues its run.

    Raises:
        OSError: The file cannot be read.
        FileFormatError: It is not a checkpoint, has an unknown version, or is damaged.
    """
    saved, name = model_file.load(path), os.fspath(path)
    engine = Engine.of(saved)
    run, engine.state = _run_of(saved, name)
    engine.resumed = run, name
    return engine


def go_back_to(engine: Engine, path: str | os.PathLike[str], run_id: str) -> str:
    """Take parameters, state and epochs from a checkpoint of the run with this id.

    Returns:
        The position of the checkpoint in words, for an error message.

    Raises:
        OSError: The file cannot be read.
        FileFormatError: It is damaged, or another call of `fit` has written it.
    """
    saved, name = model_file.load(path), os.fspath(path)
    run, state = _run_of(saved, name)
    if run.id != run_id:
        refuse(name, "it no longer belongs to this run: another call of fit has written it")
    if engine.spec.frozen != saved.spec.frozen:  # a callback has changed it since
        engine.freeze(saved.spec.frozen)
    with engine.lock:
        engine.parameters[...] = saved.parameters
        engine.epochs_trained = saved.epochs_trained
        engine.state = state
    return f"epoch {run.epoch + 1}, step {run.step}"


def to_dict(engine: Engine) -> dict[str, Any]:
    """Copy the whole engine into plain values and arrays.

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
            "classes": engine.classes,
        }

    return engine.at_one_moment(copy)


def from_dict(kept: dict[str, Any]) -> Engine:
    """Make an engine from what to_dict() returned."""
    spec = Spec.from_pickle(kept["spec"])
    network = Network(spec)
    own = network.new_parameters()
    own[...] = _array_like(own, kept["parameters"])
    engine = Engine(spec, network, own, kept["seed"], kept["epochs_trained"])
    state = kept["optimizer"]
    moments = [_array_like(own, moment) for moment in state["moments"]]
    engine.state.restore(**{**state, "moments": moments})
    if (classes := kept.get("classes")) is not None:  # older versions did not keep them
        engine.classes = class_names.checked("classes", classes, spec)
    if (resumed := kept["resumed"]) is not None:
        run = Run.from_dict(resumed["run"], resumed["best"], spec=spec)
        engine.resumed = run, resumed["path"]
    return engine


def _run_of(saved: Snapshot, name: str) -> tuple[Run, State]:
    """Restore the run of a checkpoint, and the state that it kept between steps.

    Args:
        saved: The contents of the checkpoint.
        name: What errors call the file.

    Raises:
        FileFormatError: The file has no run, or its run is damaged.
    """
    if saved.run is None:
        refuse(name, "it is a model, but not a checkpoint; use pynn.load")
    state = State(saved.seed, saved.steps_trained)
    try:
        run = Run.from_dict(saved.run, saved.arrays.get("best"), spec=saved.spec)
        run.restore(state, saved.run, saved.arrays)
        check_finite("parameters", saved.parameters)
        if run.epochs_trained != saved.epochs_trained:
            raise ValueError(
                f"it ends after {run.epochs_trained} epochs, the model after {saved.epochs_trained}"
            )
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        why = f"it has no entry {error}" if isinstance(error, KeyError) else str(error)
        refuse(name, f"the description of its run is damaged: {why}")
    return run, state


def _array_like(own: Floats, kept: npt.ArrayLike) -> Floats:
    """Copy kept parameters or moments as float32; raise a ValueError if there are not as many."""
    return np.array(kept, np.float32).reshape(own.shape)
