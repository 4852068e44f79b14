"""The public class Step: what `Model.explain` returns."""

from __future__ import annotations

import numpy as np

from pynn._base.arrays import Floats
from pynn._base.errors import PynnError
from pynn._explain import text
from pynn._explain.capture import Captured, copy_of
from pynn._explain.values import ParameterUpdate, Values
from pynn._training.engine import Engine


class Step:
    """One step of training: each value, each gradient, and what the step does to the parameters.

    `Model.explain` makes it, and `print` shows it. The numbers are those of the C library that
    `fit` uses, bit for bit. All arrays are read-only copies.

    Attributes:
        forward: For each layer, by its name such as "dense1", its inputs `.X`, its parameters
            (`.W` and `.b` of a dense layer) and its outputs `.Y`.
        backward: For each layer the gradients of the loss with respect to the same arrays: `.dY`,
            `.dW`, `.db`, `.dX`. The first layer with parameters has no dX, because no parameter
            needs it; layers below it have no gradients at all.
        loss: The mean of `losses`.
        losses: The loss of each example, times its weight, shape (n,).
        probabilities: Those of the outputs, shape (n, outputs); None if the loss has none.
        gradients: The gradient of each parameter, by the names of `Model.parameters`.
        updates: What the step does to each parameter: `.before`, `.gradient`, `.after`, and the
            moments of the optimizer after the step: `.momentum`, or `.m` and `.v`.
    """

    def __init__(self, engine: Engine, captured: Captured) -> None:
        self._engine = engine
        self._captured = captured
        self.forward: dict[str, Values] = captured.forward
        self.backward: dict[str, Values] = captured.backward
        self.loss: float = captured.sums.mean()[0]
        self.losses: Floats = captured.losses
        self.probabilities: Floats | None = captured.probabilities
        self.gradients: dict[str, Floats] = captured.gradients_by_name()
        self.updates: dict[str, ParameterUpdate] = captured.updates()

    def __str__(self) -> str:
        return text.text(self._captured)

    def __repr__(self) -> str:
        rows = self._captured.data.rows
        return f"Step({self._captured.spec}; {rows} examples, loss {self.loss:.6g})"

    def apply(self) -> None:
        """Do the step: give the model the parameters, moments and count of steps after it.

        The model then has the same bytes as after a step of `fit` on these examples in this order.

        Raises:
            PynnError: The model is not as it was when the step was explained; or the call comes
                from a callback of its `fit`.
            ClosedError: The model is closed.
        """
        engine, step = self._engine, self._captured
        with engine.lock_of_only_fit("apply"), engine.lock:
            engine.open()
            same = np.array_equal(
                engine.parameters.view(np.uint32), step.parameters.view(np.uint32)
            )
            if not same or engine.state.step != step.before.step:
                raise PynnError(
                    "apply: the model has changed since the step was explained; explain it again"
                )
            engine.training_call = "apply"
            engine.resumed = None
            engine.set_parameters(step.after)
            engine.state = copy_of(step.state, engine.seed)
