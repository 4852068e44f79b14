"""The methods of a model that use it again: copy, reset, and freezing of layers."""

from __future__ import annotations

from typing import TypeVar

from pynn._base import checks, reading, words
from pynn._base.errors import PynnError
from pynn._model.base import ModelBase
from pynn._network.choice import chosen
from pynn._training import checkpoints

AnyModel = TypeVar("AnyModel", bound="ReusedModel")


@words.corrected
class ReusedModel(ModelBase):
    """A model as the beginning of another training."""

    def copy(self: AnyModel) -> AnyModel:
        """Make an independent model with the same parameters and the same state of training.

        The copy has all that the next `fit` depends on: the parameters, the optimizer's moments,
        `seed`, `epochs_trained`, `steps_trained` and `frozen`; and, after `Model.resume`, the run
        that the next `fit` continues. So the same `fit` gives both models the same parameters, to
        the bit. A call of `fit` that is running now belongs to this model alone.

        Returns:
            The copy.

        Raises:
            ClosedError: The model is closed.

        Examples:
            >>> import numpy as np, pynn
            >>> x, y = np.eye(2, dtype=np.float32), np.array([0, 1])
            >>> model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build(seed=0)
            >>> before = model.copy()
            >>> history = model.fit(x, y, epochs=3)
            >>> before.epochs_trained, model.epochs_trained
            (0, 3)
        """
        return type(self)(checkpoints.from_dict(checkpoints.to_dict(self._engine)))

    def reset(self, seed: int | None = None) -> None:
        """Forget all training: become as `build(seed=seed)` made the model.

        All parameters get initial weights drawn from the seed, also those that came from a file or
        from `Builder.from_model`. The counts of epochs and steps are 0 again, the optimizer's
        moments are forgotten, no layer is frozen, and the run of `Model.resume` is given up. The
        arrays of `parameters` stay valid, and show the new values.

        Args:
            seed: As for `build`; None for the model's own seed.

        Raises:
            ArgumentTypeError: `seed` is not an integer.
            ArgumentError: `seed` is out of range.
            ClosedError: The model is closed.
            PynnError: This thread is training the model: the call comes from a callback or a
                signal handler.

        Examples:
            >>> import numpy as np, pynn
            >>> x, y = np.eye(2, dtype=np.float32), np.array([0, 1])
            >>> model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build()
            >>> for seed in range(3):  # which seed is best?
            ...     model.reset(seed)
            ...     history = model.fit(x, y, epochs=5)
        """
        own = self._engine.seed if seed is None else seed
        own = checks.integer("seed", own, least=0, most=2**64 - 1)
        self._engine.open()
        with self._engine.lock_of_only_fit("reset"):
            self._engine.reset(own)

    @property
    def frozen(self) -> tuple[str, ...]:
        """The names of the layers that training leaves as they are, in their order."""
        return tuple(placed.name for placed in self._spec.placed_layers if placed.frozen)

    def freeze(self, *layers: str | int) -> None:
        """Let training leave the parameters of some layers as they are.

        A frozen layer gets no update and no weight decay, and the optimizer's moments for it stay
        as they are. Its gradient is not computed, and does not count for `max_gradient_norm`; below
        the first layer that is trained nothing goes backward at all, which saves time. A frozen
        batch_norm uses its running mean and variance in training, too, and does not change them.
        Layers without parameters have nothing to freeze: dropout goes on dropping.

        Files and checkpoints keep which layers are frozen. In a callback of `fit` the call holds
        from the next step on.

        Args:
            layers: The names of layers, such as "dense1": the kind, and the number among the layers
                of that kind; or their numbers in `summary()`; or "all".

        Raises:
            ArgumentTypeError: A layer is neither a str nor an integer.
            ArgumentError: There is no such layer, or no layer is given.
            OutOfMemoryError: There is no memory for the network.
            ClosedError: The model is closed.
            PynnError: The model came from `Model.resume`, and its run is not continued yet.

        Examples:
            >>> import pynn
            >>> chain = pynn.Builder().input(4).dense(8).relu().dense(8).relu().dense(2)
            >>> model = chain.softmax_cross_entropy().build(seed=0)
            >>> model.freeze("dense1", "dense2")
            >>> model.frozen
            ('dense1', 'dense2')
            >>> model.unfreeze("dense2")
            >>> model.frozen
            ('dense1',)
        """
        self._set_frozen("freeze", layers, frozen=True)

    def unfreeze(self, *layers: str | int) -> None:
        """Let training change the parameters of frozen layers again.

        The optimizer goes on with the moments that these layers had when they were frozen.

        Args:
            layers: As for `freeze`.

        Raises:
            ArgumentTypeError, ArgumentError, OutOfMemoryError, ClosedError, PynnError: As for
                `freeze`.
        """
        self._set_frozen("unfreeze", layers, frozen=False)

    def _set_frozen(self, call: str, layers: tuple[str | int, ...], *, frozen: bool) -> None:
        engine = self._engine
        with engine.lock:  # or another thread's layers could be lost
            engine.open()
            spec = engine.spec
            placed = spec.placed_layers
            numbers = chosen(call, layers, placed) & {it.number for it in placed if it.parameters}
            wanted = spec.frozen | numbers if frozen else spec.frozen - numbers
            if wanted == spec.frozen:
                return
            if engine.resumed is not None:
                file = reading.shown(engine.resumed[1])
                raise PynnError(
                    f"{call} would change the run that the next fit continues, which {file} keeps;"
                    " call fit first, or start anew from its parameters with pynn.load"
                )
            engine.freeze(wanted)
