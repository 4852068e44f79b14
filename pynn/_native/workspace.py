"""The calls of C that calculate: gradients, training, evaluation and prediction."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Doubles, Floats
from pynn._native import library, threads
from pynn._native.data import Data
from pynn._native.library import check, create, ffi, floats, lib
from pynn._native.network import Network
from pynn._native.state import State, Update

ROWS_AT_A_TIME = int(lib.PYNN_ROWS_AT_A_TIME)
_PROBABILITIES, _LOGITS = lib.PYNN_PROBABILITIES, lib.PYNN_LOGITS


class Sums(NamedTuple):
    """Sums over examples: their losses, the correct decisions, and the number of examples."""

    loss: float = 0.0
    correct: int = 0
    rows: int = 0
    errors: Doubles | None = None
    """For regression, shape (2, outputs): the sums of |y - t| and of (y - t)^2 of each output."""

    @classmethod
    def zero(cls, errors: int) -> Sums:
        """The sums over no examples, with the errors of so many outputs."""
        return cls(errors=np.zeros((2, errors)) if errors else None)

    def mean(self, decisions: int = 1) -> tuple[float, float]:
        """Calculate mean loss and accuracy.

        `decisions` is how many decisions that are right or wrong the network makes for an example;
        if it is 0, the accuracy is nan.
        """
        accuracy = self.correct / (self.rows * decisions) if decisions else math.nan
        return self.loss / self.rows, accuracy


NO_SUMS = Sums()


class RunningSums:
    """Sums in memory that C adds to after each step.

    If the call ends with an error, or with Ctrl-C, what it had added until then can still be read.
    """

    def __init__(self, sums: Sums) -> None:
        loss, correct, rows, errors = sums
        self.pointer = ffi.new("pynn_sums *", (loss, correct, rows))
        self._errors = None if errors is None else errors.copy()
        if self._errors is not None:
            self._lent = self.pointer.errors = ffi.from_buffer("double[]", self._errors)

    def read(self) -> Sums:
        """Return the current values."""
        errors = None if self._errors is None else self._errors.copy()
        return Sums(self.pointer.loss, self.pointer.correct, self.pointer.rows, errors)


class Workspace:
    """The memory that a network needs for batches of at most `max_batch` rows.

    Only one call at a time may use it.

    Args:
        network: The network; it is kept alive.
        max_batch: The largest batch, at least 1 row.
        keeping: Whether to keep every value of a batch, for `read`.

    Raises:
        ArgumentError: The size in bytes does not fit size_t.
        OutOfMemoryError: There is no memory for it.
    """

    def __init__(self, network: Network, max_batch: int, *, keeping: bool = False) -> None:
        self.network = network
        self.max_batch = max_batch
        size = library.allocator, network.handle, threads.team, max_batch
        make = lib.pynn_workspace_create_keeping if keeping else lib.pynn_workspace_create
        self.handle = create("pynn_workspace", make, lib.pynn_workspace_destroy, *size)
        self._pointed_to: tuple[Floats | None, Any] = None, None

    @property
    def nbytes(self) -> int:
        """The size of this memory, in bytes."""
        return int(lib.pynn_workspace_nbytes(self.handle))

    @property
    def is_sparse(self) -> bool:
        """Whether the first layer read the last batch as sparse rows."""
        return bool(lib.pynn_workspace_is_sparse(self.handle))

    def read(self, value: str, layer: int, *width: int) -> Floats:
        """Copy values of the last batch; only a workspace that is `keeping` has them.

        Args:
            value: What to read: "inputs" stands for PYNN_VALUE_INPUTS, and so on.
            layer: The layer's place in the chain, from 0.
            width: The number of values for each row; nothing if there is one.

        Returns:
            Shape (rows, width) or (rows,).
        """
        kept = np.empty((int(lib.pynn_workspace_rows(self.handle)), *width), np.float32)
        kind = getattr(lib, f"PYNN_VALUE_{value.upper()}")
        pointer = floats(kept, kept.size, writable=True)
        check(lib.pynn_workspace_read(self.handle, layer, kind, pointer))
        return kept

    def close(self) -> None:
        """Free the memory at once. No call may be using it, in any thread."""
        ffi.release(self.handle)

    def gradient(
        self,
        data: Data,
        rows: npt.NDArray[np.uint32] | None,
        count: int,
        parameters: Floats,
        sums: Sums = NO_SUMS,
        state: State | None = None,
    ) -> tuple[Floats, Sums]:
        """Calculate the gradient of the mean loss over `count` rows.

        Args:
            data: The examples.
            rows: The rows of the data to take, uint32; None for the first ones.
            count: How many rows to take.
            parameters: Shape (parameter_count,).
            sums: Sums to add to.
            state: Its seed and step say what dropout drops; None if it drops nothing.

        Returns:
            The gradient, shape (parameter_count,), and the new sums.
        """
        assert rows is None or len(rows) >= count
        gradients = np.empty(self.network.parameter_count, np.float32)
        size = self.network.parameter_count
        running = RunningSums(sums)
        check(
            lib.pynn_gradient(
                self.handle,
                data.handle,
                ffi.NULL if rows is None else ffi.from_buffer("uint32_t[]", rows),
                count,
                ffi.NULL if state is None else state.handle,
                floats(parameters, size),
                floats(gradients, size, writable=True),
                running.pointer,
            )
        )
        return gradients, running.read()

    def train(
        self,
        data: Data,
        order: npt.NDArray[np.uint32] | None,
        batch_size: int,
        first_step: int,
        last_step: int,
        update: Update,
        state: State,
        parameters: Floats,
        sums: RunningSums | None = None,
    ) -> Sums:
        """Do steps first_step <= s < last_step of an epoch; the parameters change in place.

        Args:
            data: The examples.
            order: The rows of an epoch in their order, uint32; None for all rows in theirs.
            batch_size: Rows of a step; the last step of an epoch may have fewer.
            first_step: The first step to do, from 0.
            last_step: The step to end before.
            update: The optimizer for these steps.
            state: What the optimizer keeps between steps.
            parameters: Shape (parameter_count,).
            sums: Sums that each step adds to; None for new ones that begin at zero.

        Returns:
            The sums after the last step.

        Raises:
            NotFinite: The loss or a feature of a step is not finite; this step makes no update. Or
                a parameter or a moment is not finite after the last step.
        """
        sums = RunningSums(NO_SUMS) if sums is None else sums
        assert order is None or (order.dtype == np.uint32 and order.flags.c_contiguous)
        optimizer, kept = update.to_c(last_step - first_step)
        state.prepare(
            update.kind, int(lib.pynn_optimizer_needs(optimizer)), self.network.parameter_count
        )
        check(
            lib.pynn_train(
                self.handle,
                data.handle,
                ffi.NULL if order is None else ffi.from_buffer("uint32_t[]", order),
                data.rows if order is None else len(order),
                batch_size,
                first_step,
                last_step,
                optimizer,
                state.handle,
                floats(parameters, self.network.parameter_count, writable=True),
                sums.pointer,
            )
        )
        del kept
        return sums.read()

    def evaluate(
        self,
        data: Data,
        first_row: int,
        last_row: int,
        parameters: Floats,
        sums: RunningSums | None = None,
    ) -> Sums:
        """Add the sums over rows first_row <= r < last_row to `sums`, or to zero; return them."""
        sums = RunningSums(NO_SUMS) if sums is None else sums
        pointer = floats(parameters, self.network.parameter_count)
        check(
            lib.pynn_evaluate(self.handle, data.handle, first_row, last_row, pointer, sums.pointer)
        )
        return sums.read()

    def predict(
        self,
        data: Data,
        first_row: int,
        last_row: int,
        parameters: Floats,
        out: Floats,
        *,
        probabilities: bool,
    ) -> None:
        """Write the logits or probabilities of rows first_row <= r < last_row to out.

        The shape of out is (last_row - first_row, outputs).
        """
        check(
            lib.pynn_predict(
                self.handle,
                data.handle,
                first_row,
                last_row,
                self._point_to(parameters),
                _PROBABILITIES if probabilities else _LOGITS,
                floats(out, (last_row - first_row) * self.network.outputs, writable=True),
            )
        )

    def _point_to(self, parameters: Floats) -> Any:
        """Return a pointer to the parameters, and keep it for the next call.

        To make a new pointer each time would be a measurable part of a prediction of one row.
        """
        array, pointer = self._pointed_to
        if array is not parameters:
            pointer = floats(parameters, self.network.parameter_count)
            # One assignment: Ctrl-C cannot leave an array with the pointer of another.
            self._pointed_to = parameters, pointer
        return pointer
