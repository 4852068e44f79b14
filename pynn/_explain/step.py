"""The public class Step(_Shown): what `Model.explain` returns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from pynn._base import checks, words
from pynn._base.arrays import Floats
from pynn._base.atomic import write_atomically
from pynn._base.errors import ArgumentTypeError, PynnError
from pynn._explain import html
from pynn._explain.blocks import blocks
from pynn._explain.capture import Captured, copy_of
from pynn._explain.check import StepCheck, check_step
from pynn._explain.text import text
from pynn._explain.values import ParameterUpdate, Values
from pynn._training.engine import Engine


class _Shown:
    """A step or an example of it, to be shown as text and as a page."""

    def __init__(self, captured: Captured, row: int | None, heading: str) -> None:
        self._captured = captured
        self._row = row
        self._heading = heading

    def __str__(self) -> str:
        return text(self._heading, blocks(self._captured, self._row))

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        return html.fragment(self._heading, blocks(self._captured, self._row))

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page with the arrays as heat maps, whole or not at all.

        The page needs no other file and no script. Blocks fold. Arrays with more than 12 rows or
        columns are pictures; if the network's inputs may be the pixels of a square, so are those
        and the first layer's weights, of which the first 64 are shown.

        Args:
            path: The file, which is replaced if there is one.

        Raises:
            ArgumentTypeError: `path` is not a path.
            OSError: The file cannot be written.
        """
        contents = html.page(self._heading, blocks(self._captured, self._row))
        write_atomically(checks.path("path", path), contents.encode())

    def __reduce__(self) -> NoReturn:
        """Refuse pickle and copy."""
        raise ArgumentTypeError(
            f"{type(self).__name__}: a step belongs to its model, so it cannot be pickled or"
            " copied; keep its arrays, or write it with to_html"
        )


@words.corrected
class Example(_Shown):
    """One example of a step, on its way through the layers and back. `print` shows it.

    Attributes:
        index: Its place in the batch, from 0.
        forward: As for the step, with one row in `.X` and `.Y`.
        backward: The gradients `.dY` and `.dX`, with one row. The gradients of the parameters are
            sums over the batch, so they are not here.
        loss: The loss of the example, times its weight.
        probabilities: Shape (outputs,); None if the loss has none.
    """

    def __init__(self, captured: Captured, index: int) -> None:
        alone = captured.example(index)
        self.index = index
        self.forward: Mapping[str, Values] = alone.forward
        self.backward: Mapping[str, Values] = alone.backward
        self.loss = float(alone.losses[0])
        place = f"example {index} of {captured.data.rows}"
        super().__init__(captured, index, f"{place}; {captured.spec}; loss {self.loss:.6g}")
        row = alone.probabilities
        self.probabilities: Floats | None = None if row is None else row[0]

    def __repr__(self) -> str:
        return f"Example({self.index} of {self._captured.data.rows}; loss {self.loss:.6g})"


@words.corrected
class Step(_Shown):
    """One step of training: each value, each gradient, and what the step does to the parameters.

    `Model.explain` makes it, and `print` shows it. The numbers are those of the C library that
    `fit` uses, bit for bit. All arrays are read-only copies.

    Attributes:
        forward: For each layer, by its name such as "dense1", its inputs `.X`, its parameters
            (`.W` and `.b` of a dense layer) and its outputs `.Y`.
        backward: For each layer the gradients of the loss with respect to the same arrays: `.dY`,
            `.dW`, `.db`, `.dX`. The first layer with parameters has no dX, because no parameter
            needs it; layers below it have no gradients at all. Frozen layers count as layers
            without parameters: there are no gradients of their parameters.
        loss: The mean of `losses`.
        losses: The loss of each example, times its weight, shape (n,).
        probabilities: Those of the outputs, shape (n, outputs); None if the loss has none.
        gradients: The gradient of each parameter that is not frozen, by the names of
            `Model.parameters`.
        updates: What the step does to each of these: `.before`, `.gradient`, `.after`, and the
            moments of the optimizer after the step: `.momentum`, or `.m` and `.v`.
    """

    def __init__(self, engine: Engine, captured: Captured) -> None:
        self._engine = engine
        self.forward: Mapping[str, Values] = captured.forward
        self.backward: Mapping[str, Values] = captured.backward
        self.loss: float = captured.sums.mean()[0]
        self.losses: Floats = captured.losses
        self.probabilities: Floats | None = captured.probabilities
        self.gradients: Mapping[str, Floats] = captured.gradients_by_name()
        self.updates: Mapping[str, ParameterUpdate] = captured.updates()
        rows = captured.data.rows
        examples = "1 example" if rows == 1 else f"{rows:,} examples"
        self._shown = f"Step({captured.spec}; {examples}, loss {self.loss:.6g})"
        written = "values written out below, such as y0, are those of example 0"
        super().__init__(captured, None, f"{self._shown}; {written}")

    def __repr__(self) -> str:
        return self._shown

    def example(self, index: int) -> Example:
        """Follow one example of the batch.

        Args:
            index: Its place in the batch, from 0.

        Raises:
            ArgumentTypeError: The index is no integer.
            ArgumentError: There is no such example.
        """
        most = self._captured.data.rows - 1
        return Example(self._captured, checks.integer("example", index, least=0, most=most))

    def check(self) -> StepCheck:
        """Check all numbers of the step against others, in NumPy float64.

        The equations of every layer, loss and optimizer are computed again, and the gradient also
        from differences of the loss, which know nothing of derivatives. `print` shows the result.

        Returns:
            The largest relative errors, and where they are; `StepCheck` says what they are relative
            to. Those of a sound step are below 1e-6.

        Examples:
            >>> import numpy as np
            >>> import pynn
            >>> model = pynn.Builder().input(2).dense(1).mean_squared_error().build(seed=0)
            >>> x, y = np.array([[1.0, 2.0]], np.float32), np.array([3.0], np.float32)
            >>> found = model.explain(x, y).check()
            >>> found.compared, found.layers.error < 1e-6, found.differences.error < 1e-6
            (3, True, True)
        """
        return check_step(self._captured)

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
            engine.keep_classes(step.classes)
            engine.resumed = None
            engine.set_parameters(step.after)
            engine.state = copy_of(step.state, engine.seed)
