"""The boundary to C: arrays become pointers, statuses exceptions.

With `_boundary_idx` the only module that imports the extension. What it is given has been checked
by the modules above it: dtypes, shapes and contiguity are asserted here, not explained. The C
library's own checks stay on, and their statuses become exceptions in one place, `check`.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._errors import ArgumentError, OutOfMemoryError, PynnError


@contextlib.contextmanager
def _blas_without_threads() -> Iterator[None]:
    """Where an installed pynn's own copy of OpenBLAS is loaded within, it starts no threads.

    It would start one for each core, none of which would ever get work: threads are pynn's. But for
    their first twenty milliseconds they look for some without a rest, and take the cores from the
    program. The system's OpenBLAS is shared with others, so that is loaded as the user wants it.

    For this moment all of the process has the setting: another thread that starts a program just
    then hands it on.
    """
    name = "OPENBLAS_NUM_THREADS"
    file = os.path.join(os.path.dirname(__file__), "libscipy_openblas_pynn.so")
    before = os.environ.get(name)
    wanted = "1" if os.path.exists(file) else before
    try:
        if wanted is not None:
            os.environ[name] = wanted
        yield
    finally:
        if before is not None:
            os.environ[name] = before
        elif wanted is not None:
            os.environ.pop(name, None)


with _blas_without_threads():
    from pynn._pynn import ffi, lib

LayerKind = Literal["dense", "relu", "leaky_relu", "gelu", "sigmoid", "tanh", "dropout"]
Init = Literal["he", "xavier"]
Loss = Literal["softmax_cross_entropy", "mean_squared_error", "binary_cross_entropy"]
OptimizerKind = Literal["sgd", "adam", "adamw"]
Floats = npt.NDArray[np.float32]
Features = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Answers = npt.NDArray[np.int32] | npt.NDArray[np.float32]

MAX_THREADS = int(lib.PYNN_MAX_THREADS)
ROWS_AT_A_TIME = int(lib.PYNN_ROWS_AT_A_TIME)
_PROBABILITIES, _LOGITS = lib.PYNN_PROBABILITIES, lib.PYNN_LOGITS
_UINT8, _FLOAT32 = np.dtype(np.uint8), np.dtype(np.float32)
_KINDS: dict[str, int] = {
    "dense": lib.PYNN_DENSE,
    "relu": lib.PYNN_RELU,
    "leaky_relu": lib.PYNN_LEAKY_RELU,
    "gelu": lib.PYNN_GELU,
    "sigmoid": lib.PYNN_SIGMOID,
    "tanh": lib.PYNN_TANH,
    "dropout": lib.PYNN_DROPOUT,
}
_INITS: dict[str | None, int] = {
    None: lib.PYNN_INIT_NONE,
    "he": lib.PYNN_INIT_HE,
    "xavier": lib.PYNN_INIT_XAVIER,
}
_LOSSES: dict[str, int] = {
    "softmax_cross_entropy": lib.PYNN_SOFTMAX_CROSS_ENTROPY,
    "mean_squared_error": lib.PYNN_MEAN_SQUARED_ERROR,
    "binary_cross_entropy": lib.PYNN_BINARY_CROSS_ENTROPY,
}
_OPTIMIZERS: dict[str, int] = {
    "sgd": lib.PYNN_SGD,
    "adam": lib.PYNN_ADAM,
    "adamw": lib.PYNN_ADAMW,
}


class Layer(NamedTuple):
    """One layer of a chain.

    `outputs` and `init` are for dense layers, `slope` is for leaky ReLU, `rate` for dropout.
    """

    kind: LayerKind
    outputs: int = 0
    init: Init | None = None
    slope: float = 0.0
    rate: float = 0.0

    def arguments(self) -> dict[str, Any]:
        """What the builder's step for it takes, by name."""
        if self.kind == "dense":
            return {"outputs": self.outputs, "init": self.init}
        if self.kind == "leaky_relu":
            return {"slope": self.slope}
        return {"rate": self.rate} if self.kind == "dropout" else {}

    def __str__(self) -> str:
        arguments = ", ".join(map(str, self.arguments().values()))
        return f"{self.kind}({arguments})" if arguments else self.kind


class DenseView(NamedTuple):
    """Where a dense layer's parameters lie in the flat array, in floats."""

    inputs: int
    outputs: int
    weights_offset: int
    bias_offset: int


class Sums(NamedTuple):
    """Sums over examples: of their losses, of correct answers, of themselves."""

    loss: float = 0.0
    correct: int = 0
    rows: int = 0

    def mean(self, answers: int = 1) -> tuple[float, float]:
        """Mean loss and accuracy, where each example has so many answers; nan where it has none."""
        accuracy = self.correct / (self.rows * answers) if answers else math.nan
        return self.loss / self.rows, accuracy


NO_SUMS = Sums()

# Where C takes its memory: malloc. Tests put an allocator here that fails.
_allocator: Any = ffi.NULL


class RunningSums:
    """Sums that C adds to; what it has added shows whatever happens to the call that it was."""

    def __init__(self, sums: Sums) -> None:
        self.pointer = ffi.new("pynn_sums *", tuple(sums))

    def read(self) -> Sums:
        """Their values now."""
        return Sums(self.pointer.loss, self.pointer.correct, self.pointer.rows)


class NotFinite(Exception):
    """A loss or an output is not finite. The modules above say whose fault that is, and where."""


def check(status: int) -> None:
    """Raise the exception that a status of the C library stands for."""
    if status == lib.PYNN_OK:
        return
    message = _string(lib.pynn_status_message(status))
    if status == lib.PYNN_NOT_FINITE:
        raise NotFinite(message)
    if status == lib.PYNN_OUT_OF_MEMORY:
        raise OutOfMemoryError(message)
    if status >= lib.PYNN_INVALID_ARGUMENT:
        raise ArgumentError(message)
    raise PynnError(message)


def _string(text: Any) -> str:
    return str(ffi.string(text).decode())


def version() -> str:
    """The version that the C library was built as."""
    return _string(lib.pynn_version())


def blas_name() -> str:
    """The BLAS that the C library was built against."""
    return _string(lib.pynn_blas_name())


def blas_config() -> str:
    """What that BLAS says of itself on this machine."""
    return _string(lib.pynn_blas_config())


def blas_kernel() -> str:
    """The processor whose kernels that BLAS runs, in its own word; empty where it does not say."""
    return _string(lib.pynn_blas_kernel())


def instruction_set() -> str:
    """The instruction set whose code of ours runs here."""
    return _string(lib.pynn_instruction_set())


def extension() -> str:
    """The file of the compiled part."""
    return str(sys.modules["pynn._pynn"].__file__)


def _create(
    kind: str, create: Callable[..., int], destroy: Callable[..., None], *arguments: Any
) -> Any:
    """A handle of the library's that is destroyed with the last reference to it.

    Ctrl-C may come between any two instructions. So one instruction, extend, makes the reference
    and keeps it, and before that the handle is destroyed here.
    """
    out = ffi.new(f"{kind} **")
    owned: list[Any] = []
    try:
        check(create(*arguments, out))
        owned.extend(map(ffi.gc, [out[0]], [destroy]))
    except BaseException:
        if not owned:
            destroy(out[0])  # NULL, where there is none yet
        raise
    return owned[0]


def _create_team(threads: int) -> Any:
    out = ffi.new("pynn_team **")
    check(lib.pynn_team_create(_allocator, threads, out))
    return out[0]


# One team for all models, as long as the process lives.
_team = _create_team(1)


def set_num_threads(threads: int) -> None:
    """Give the team another number of threads; waits for work that is under way."""
    check(lib.pynn_team_resize(_team, threads))


def get_num_threads() -> int:
    """The number of threads of the team."""
    return int(lib.pynn_team_threads(_team))


def permutation(seed: int, stream: int, count: int) -> npt.NDArray[np.uint32]:
    """A random permutation of 0 .. count - 1, the same for the same seed and stream."""
    out = np.empty(count, np.uint32)
    lib.pynn_random_permutation(seed, stream, count, ffi.from_buffer("uint32_t[]", out))
    return out


def _floats(array: Floats, count: int, *, writable: bool = False) -> Any:
    """A pointer to a float32 array of at least `count` values."""
    assert array.dtype == _FLOAT32 and array.flags.c_contiguous and array.size >= count
    return ffi.from_buffer("float[]", array, writable)


class Network:
    """A chain of layers, as the C library describes it; immutable.

    Args:
        inputs: Number of features.
        layers: The layers, in order.
        loss: The loss at the end.
        label_smoothing: Of softmax cross-entropy.

    Raises:
        ArgumentError: The layers make no network.
        OutOfMemoryError: There is no memory for it.
    """

    def __init__(
        self, inputs: int, layers: Sequence[Layer], loss: Loss, label_smoothing: float = 0.0
    ) -> None:
        specs = ffi.new("pynn_layer[]", len(layers))
        for spec, layer in zip(specs, layers, strict=True):
            spec.kind = _KINDS[layer.kind]
            spec.outputs = layer.outputs
            spec.init = _INITS[layer.init]
            spec.slope = layer.slope
            spec.rate = layer.rate
        objective = ffi.new("pynn_loss *", (_LOSSES[loss], label_smoothing))[0]
        description = _allocator, inputs, specs, len(layers), objective
        self.handle = _create(
            "pynn_network", lib.pynn_network_create, lib.pynn_network_destroy, *description
        )
        self.inputs = inputs
        self.outputs = int(lib.pynn_network_outputs(self.handle))
        self.parameter_count = int(lib.pynn_network_parameter_count(self.handle))
        self.dense_views = [
            self._dense(k) for k in range(lib.pynn_network_dense_count(self.handle))
        ]

    def _dense(self, index: int) -> DenseView:
        view = ffi.new("pynn_dense_view *")
        check(lib.pynn_network_dense(self.handle, index, view))
        return DenseView(view.inputs, view.outputs, view.weights_offset, view.bias_offset)

    def new_parameters(self) -> Floats:
        """A float32 array of shape (parameter_count,), zeros, at a multiple of 64 bytes.

        Raises:
            OutOfMemoryError: There is no memory for it.
        """
        count = self.parameter_count
        try:
            memory = np.zeros(count + 16, np.float32)
        except (MemoryError, ValueError):  # ValueError: more bytes than can be addressed
            raise OutOfMemoryError(f"out of memory for {count:,} parameters") from None
        start = -memory.ctypes.data % 64 // 4
        return memory[start : start + count]

    def initialize(self, seed: int) -> Floats:
        """New parameters, drawn from the seed; shape (parameter_count,)."""
        parameters = self.new_parameters()
        pointer = _floats(parameters, self.parameter_count, writable=True)
        check(lib.pynn_network_initialize(self.handle, seed, pointer))
        return parameters


class Data:
    """Examples, lent to C for as long as this object lives. All arrays are contiguous.

    Args:
        features: Shape (rows, ...) with as many values a row as the network has inputs; uint8 or
            float32, aligned.
        answers: Labels, shape (rows,), int32; or for the other losses targets, shape
            (rows, outputs), float32; or None.
        weights: Shape (rows,), float32; or None for 1.
    """

    def __init__(
        self, features: Features, answers: Answers | None = None, weights: Floats | None = None
    ) -> None:
        flags, dtype = features.flags, features.dtype
        assert flags.c_contiguous and flags.aligned and dtype in (_UINT8, _FLOAT32)
        self.rows = len(features)
        self.features = features
        self._features = ffi.from_buffer(features)
        self.answers = answers
        self.weights = weights
        kind = lib.PYNN_FEATURES_UINT8 if dtype == _UINT8 else lib.PYNN_FEATURES_FLOAT32
        # What is not set is zero: the pointers NULL, the path PYNN_PATH_AUTO.
        self.handle = ffi.new("pynn_data *", (self._features, kind, self.rows))
        if answers is not None:
            self._lend_answers(answers)
        if weights is not None:
            assert weights.shape == (self.rows,)
            self._weights = self.handle.weights = _floats(weights, self.rows)

    def _lend_answers(self, answers: Answers) -> None:
        assert answers.flags.c_contiguous and len(answers) == self.rows
        if answers.dtype == np.int32:
            self._answers = self.handle.labels = ffi.from_buffer("int32_t[]", answers)
        else:
            assert answers.dtype == _FLOAT32 and answers.ndim == 2
            self._answers = self.handle.targets = ffi.from_buffer("float[]", answers)

    def find_not_finite(self, rows: npt.NDArray[Any] | None = None) -> tuple[int, str] | None:
        """The first of some rows, or of all, with a feature that is not finite.

        Returns:
            Its index among them, and the place and value in words; None if there is none.
        """
        if self.features.dtype == _UINT8:
            return None
        indices = np.arange(self.rows) if rows is None else rows
        for begin in range(0, len(indices), 1024):
            some = indices[begin : begin + 1024]
            values = self.features[some].reshape(len(some), -1)
            for row, column in np.argwhere(~np.isfinite(values)):
                value = values[row, column]
                words = f"features[{some[row]}] holds {value} (feature {column})"
                return begin + int(row), words
        return None


class Update(NamedTuple):
    """What the steps of a call do with the gradient; see pynn_optimizer in pynn.h."""

    kind: OptimizerKind
    learning_rates: npt.NDArray[np.float64]
    """Shape (steps,): one for each step of the call."""
    weight_decay: float = 0.0
    max_norm: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    keeps_speed: bool = False
    beta1: float = 0.0
    beta2: float = 0.0
    eps: float = 0.0

    def to_c(self, steps: int) -> tuple[Any, Any]:
        """The C library's description for so many steps, and what has to live as long."""
        rates = self.learning_rates
        assert rates.dtype == np.float64 and rates.shape == (steps,) and rates.flags.c_contiguous
        kept = ffi.from_buffer("double[]", rates)
        fields = (_OPTIMIZERS[self.kind], 0.0, kept, *self[2:])
        return ffi.new("pynn_optimizer *", fields), kept


class _Kept(NamedTuple):
    """All of a state, so that one assignment replaces it whenever Ctrl-C comes."""

    handle: Any
    kind: OptimizerKind | None
    moments: list[Floats]


class State:
    """What goes from step to step beside the parameters.

    Args:
        seed: Of dropout.
        step: Steps done.
    """

    def __init__(self, seed: int, step: int = 0) -> None:
        self._seed = seed
        self._gradients: Floats | None = None
        self.restore(step, 0, None, [])

    @property
    def handle(self) -> Any:
        """The C library's."""
        return self._kept.handle

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self._kept.handle.step)

    @property
    def updates(self) -> int:
        """Steps done since the moments were zeros."""
        return int(self._kept.handle.updates)

    @property
    def kind(self) -> OptimizerKind | None:
        """The optimizer that the moments are of."""
        return self._kept.kind

    @property
    def moments(self) -> list[Floats]:
        """As many arrays (parameter_count,) as the optimizer needs, 0 to 2."""
        return self._kept.moments

    def copy(self) -> tuple[int, int, OptimizerKind | None, list[Floats]]:
        """What restore() takes, with moments of its own."""
        return self.step, self.updates, self.kind, [moment.copy() for moment in self.moments]

    def restore(
        self, step: int, updates: int, kind: OptimizerKind | None, moments: list[Floats]
    ) -> None:
        """Be as another state was that had these."""
        fields = {"seed": self._seed, "step": step, "updates": updates}
        self._kept = _Kept(ffi.new("pynn_state *", fields), kind, moments)

    def prepare(self, kind: OptimizerKind, needs: int, count: int) -> None:
        """Have `needs` arrays for an optimizer; another kind of it starts with moments of zeros.

        Raises:
            OutOfMemoryError: There is no memory for them.
        """
        same = kind == self.kind
        moments = list(self.moments) if same else []
        try:
            if needs >= 1 and self._gradients is None:
                self._gradients = np.empty(count, np.float32)
            while len(moments) < needs - 1:
                moments.append(np.zeros(count, np.float32))
        except MemoryError:
            raise OutOfMemoryError(f"out of memory for the optimizer's {count:,} moments") from None
        if not same or len(moments) > len(self.moments):
            self.restore(self.step, self.updates if same else 0, kind, moments)
        arrays = [self._gradients, *moments, None, None][:3]
        self._lent = [
            ffi.NULL if array is None else _floats(array, count, writable=True) for array in arrays
        ]
        self.handle.gradients, self.handle.first, self.handle.second = self._lent


class Workspace:
    """The memory for steps of at most `max_batch` rows. For one call at a time.

    Args:
        network: The network whose steps it is for; kept alive.
        max_batch: The largest batch, at least 1.

    Raises:
        ArgumentError: The sizes are too large to be counted.
        OutOfMemoryError: There is no memory for it.
    """

    def __init__(self, network: Network, max_batch: int) -> None:
        self.network = network
        self.max_batch = max_batch
        size = _allocator, network.handle, _team, max_batch
        self.handle = _create(
            "pynn_workspace", lib.pynn_workspace_create, lib.pynn_workspace_destroy, *size
        )
        self._sums = ffi.new("pynn_sums *")
        self._pointed_to: tuple[Floats | None, Any] = None, None

    @property
    def nbytes(self) -> int:
        """The memory it holds."""
        return int(lib.pynn_workspace_nbytes(self.handle))

    def close(self) -> None:
        """Free it now rather than when it is collected. No call may be using it, in any thread."""
        ffi.release(self.handle)

    def gradient(
        self,
        data: Data,
        rows: npt.NDArray[np.uint32] | None,
        count: int,
        parameters: Floats,
        sums: Sums = NO_SUMS,
    ) -> tuple[Floats, Sums]:
        """The gradient of the mean loss over `count` rows, (parameter_count,), and the new sums."""
        assert rows is None or len(rows) >= count
        gradients = np.empty(self.network.parameter_count, np.float32)
        size = self.network.parameter_count
        check(
            lib.pynn_gradient(
                self.handle,
                data.handle,
                ffi.NULL if rows is None else ffi.from_buffer("uint32_t[]", rows),
                count,
                _floats(parameters, size),
                _floats(gradients, size, writable=True),
                self._write_sums(sums),
            )
        )
        return gradients, self._read_sums()

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
        """Run steps first_step <= s < last_step of an epoch; parameters change in place.

        An epoch is of all data, or of the rows that `order` names. Adds to `sums`, or to zero, and
        returns what they are then. NotFinite is raised in the first step whose loss or features
        are not finite, before its update; and after the last one for parameters or moments.
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
                _floats(parameters, self.network.parameter_count, writable=True),
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
        sums: Sums = NO_SUMS,
    ) -> Sums:
        """`sums` with those of rows first_row <= r < last_row added."""
        pointer = _floats(parameters, self.network.parameter_count)
        check(
            lib.pynn_evaluate(
                self.handle, data.handle, first_row, last_row, pointer, self._write_sums(sums)
            )
        )
        return self._read_sums()

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
        """Write logits or probabilities of rows first_row <= r < last_row, (rows, C), to out."""
        check(
            lib.pynn_predict(
                self.handle,
                data.handle,
                first_row,
                last_row,
                self._point_to(parameters),
                _PROBABILITIES if probabilities else _LOGITS,
                _floats(out, (last_row - first_row) * self.network.outputs, writable=True),
            )
        )

    def _point_to(self, parameters: Floats) -> Any:
        """A pointer to the parameters, kept for the next call: it shows where there is one row."""
        array, pointer = self._pointed_to
        if array is not parameters:
            pointer = _floats(parameters, self.network.parameter_count)
            self._pointed_to = parameters, pointer  # at once, whenever Ctrl-C comes
        return pointer

    def _write_sums(self, sums: Sums) -> Any:
        self._sums.loss, self._sums.correct, self._sums.rows = sums
        return self._sums

    def _read_sums(self) -> Sums:
        return Sums(self._sums.loss, self._sums.correct, self._sums.rows)
