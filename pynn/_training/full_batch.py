"""A step of L-BFGS: the loss and gradient over all examples, a direction, and how far to go."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Doubles, Floats
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.workspace import RunningSums, Sums
from pynn._network.parameters import views
from pynn._training.engine import Engine
from pynn._training.lbfgs import BLOCK, LBFGS, Pairs, dot
from pynn._training.line_search import Point, search

if TYPE_CHECKING:
    from pynn._training.run import Run

LEAST_PROGRESS = 2.0**-28
"""Training ends when the loss falls by less than this times itself: float32 has no more digits."""


class Place(NamedTuple):
    """Parameters, and what was computed with them."""

    parameters: Floats
    loss: float
    """With the part that weight decay adds."""
    gradient: Doubles
    sums: Sums
    """Of the losses without that part, and of the correct decisions."""


class Step(NamedTuple):
    """What a step has found."""

    place: Place
    pairs: Pairs
    ended: str | None
    """Why this step is the last, one of ENDS; None if it is not."""


class Objective:
    """The loss that L-BFGS makes small, as a function of the parameters.

    It computes with copies: the parameters of the engine do not change.

    Args:
        engine: The engine of the model.
        data: The examples.
        rows: Which of them, uint32, in the order in which they are added up; None for all.
        optimizer: The optimizer.
    """

    def __init__(
        self,
        engine: Engine,
        data: Data,
        rows: npt.NDArray[np.uint32] | None,
        optimizer: LBFGS,
    ) -> None:
        self.spec = engine.spec
        self._engine = engine
        self._data = data
        self._rows = np.arange(data.rows, dtype=np.uint32) if rows is None else rows
        self._decay = np.zeros(engine.parameters.size)
        self.trained = np.zeros(engine.parameters.size)
        """1 for the parameters that are trained, 0 for others, shape (parameter_count,)."""
        for view in views(self.spec):
            self.trained[view.offset : view.end] = view.trained
            if view.decays and view.trained:
                self._decay[view.offset : view.end] = optimizer.weight_decay
        self._has_decay = optimizer.weight_decay > 0.0
        self._note = optimizer._note_gradient
        self._last: Place | None = None

    def at(self, parameters: Floats) -> Place | None:
        """The loss and gradient at some parameters; None if a number is not finite.

        The array must not change afterwards.
        """
        self._note()
        try:
            gradient, sums = self._sum(parameters)
        except NotFinite:
            return None
        loss = sums.loss / sums.rows
        if self._has_decay:
            wide = parameters.astype(np.float64)
            pull = self._decay * wide
            loss += 0.5 * dot(pull, wide)
            gradient += pull
        if not (math.isfinite(loss) and np.isfinite(gradient).all()):
            return None
        return Place(parameters, loss, gradient, sums)

    def here(self) -> Place | None:
        """The same at the engine's parameters, which a callback may have changed meanwhile."""
        now, last = self._engine.parameters, self._last
        if last is None or not np.array_equal(last.parameters, now):
            self._last = self.at(now.copy())
        return self._last

    def keep(self, place: Place) -> None:
        """Keep what was computed with parameters that the engine will have next."""
        self._last = place

    def _sum(self, parameters: Floats) -> tuple[Doubles, Sums]:
        """The mean gradient over all examples, and the sums over them.

        Each block is a call of its own, so that Ctrl-C is handled and threads may use the model
        between them. The blocks and their order depend on the examples alone.
        """
        total, count = np.zeros(parameters.size), len(self._rows)
        sums = Sums.zero(self.spec.errors)
        block = min(BLOCK, count)
        for first in range(0, count, block):
            rows = self._rows[first : first + block]
            with self._engine.lock:
                workspaces = self._engine.open()
                workspace = workspaces.take(block)
                try:
                    mean, sums = workspace.gradient(
                        self._data, rows, len(rows), parameters, sums, self._engine.state
                    )
                finally:
                    workspaces.give_back(workspace)
            total += mean * (len(rows) / count)
        return total, sums


def step(objective: Objective, place: Place, pairs: Pairs, optimizer: LBFGS) -> Step:
    """Do a step from a place.

    Args:
        objective: The loss as a function of the parameters.
        place: The place of the parameters.
        pairs: What the optimizer remembers of the steps before.
        optimizer: The optimizer.

    Returns:
        What it has found. If the place is the minimum already, or nothing better is found, it is
        the same place.
    """
    if np.abs(place.gradient).max() <= optimizer.tolerance:
        return Step(place, pairs, "gradient")
    found = _along(objective, place, pairs, optimizer)
    if found is None and len(pairs):  # what the pairs say of the curvature may be out of date
        pairs = Pairs([], optimizer.memory)
        found = _along(objective, place, pairs, optimizer)
    if found is None:
        return Step(place, pairs, "search")
    s = found.parameters.astype(np.float64) - place.parameters
    pairs = pairs.with_pair(s, found.gradient - place.gradient)
    ended = None
    if np.abs(found.gradient).max() <= optimizer.tolerance:
        ended = "gradient"
    elif place.loss - found.loss <= LEAST_PROGRESS * max(abs(place.loss), abs(found.loss)):
        ended = "progress"
    return Step(found, pairs, ended)


def _along(objective: Objective, place: Place, pairs: Pairs, optimizer: LBFGS) -> Place | None:
    """Search along the direction of the pairs; None if the loss does not fall anywhere."""
    direction = pairs.direction(place.gradient)
    direction *= objective.trained  # the pairs may be older than the freezing of a layer
    slope = dot(direction, place.gradient)
    if not -math.inf < slope < 0.0:
        return None

    def evaluate(length: float) -> Point:
        with np.errstate(over="ignore"):
            parameters = (place.parameters + length * direction).astype(np.float32)
        there = objective.at(parameters)
        if there is None:
            return Point(length, math.inf, math.inf)
        return Point(length, there.loss, dot(there.gradient, direction), there)

    # Without pairs nothing is known of the curvature: the first try is a step of length 1 at most.
    first = 1.0 if len(pairs) else min(1.0, 1.0 / math.sqrt(-slope))
    start = Point(0.0, place.loss, slope, place)
    found = search(evaluate, start, first, optimizer.max_evaluations)
    return None if found is None else found.value


class Done(NamedTuple):
    """A step that is done, and the counts after it."""

    found: Step
    number: int
    updates: int


class FullBatch:
    """The steps of a run, each over all examples.

    A step changes parameters, moments and the position of the run, one after the other, and Ctrl-C
    may come between. So it is first noted as done, by one assignment, and what is then left of it
    can be finished later.

    Args:
        engine: The engine of the model.
        run: The run.
        data: The examples.
        rows: Which of them to train on.
    """

    def __init__(self, engine: Engine, run: Run, data: Data, rows: npt.NDArray[np.uint32]) -> None:
        assert isinstance(run.plan.optimizer, LBFGS)
        self._engine = engine
        self._run = run
        self._optimizer = run.plan.optimizer
        self._examples = data, rows
        self._objective = Objective(engine, data, rows, self._optimizer)
        self._pairs: Pairs | None = None  # of the last step
        self._done: Done | None = None  # a step that has to be finished

    def here(self) -> Place | None:
        """The place of the engine's parameters; None if a number is not finite."""
        if self._objective.spec is not self._engine.spec:  # a layer was frozen
            self._objective = Objective(self._engine, *self._examples, self._optimizer)
        return self._objective.here()

    def step(self, place: Place) -> None:
        """Do a step from a place, or note that the run has ended, because nothing is left to do.

        Only in the first epoch is it an epoch, too, if nothing is left to do.
        """
        found = step(self._objective, place, self._remembered(), self._optimizer)
        self._objective.keep(found.place)
        moved = found.place is not place
        if moved or self._run.epoch == 0:
            state = self._engine.state
            self._done = Done(found, state.step + moved, state.updates + moved)
            self.finish()
        else:
            self._run.position = self._run.position._replace(ended=found.ended)

    def finish(self) -> None:
        """Give the model and the run what a step has found; again, if that was interrupted."""
        if self._done is None:
            return
        (place, pairs, ended), number, updates = self._done
        engine, run = self._engine, self._run
        with engine.lock:
            engine.parameters[...] = place.parameters
            engine.state.restore(number, updates, self._optimizer._kind, pairs.moments)
            sums = RunningSums(place.sums)
            run.position = run.position._replace(sums=sums, ended=ended)
        self._pairs, self._done = pairs, None

    def _remembered(self) -> Pairs:
        """What the optimizer remembers of earlier steps; nothing if another optimizer did them."""
        state = self._engine.state
        if self._pairs is None or self._pairs.moments is not state.moments:
            is_own = state.kind == self._optimizer._kind
            self._pairs = Pairs(state.moments if is_own else [], self._optimizer.memory)
        return self._pairs
