"""The properties of a model, and its tables."""

from __future__ import annotations

from collections.abc import Sequence

from pynn._base import words
from pynn._base.arrays import Floats
from pynn._model.base import ModelBase
from pynn._network import parameters as _parameters


@words.corrected
class DescribedModel(ModelBase):
    """A model as something to look at."""

    @property
    def parameters(self) -> dict[str, Floats]:
        """The parameters by name, as views: writing into one changes the model.

        "dense1.weight" has shape (inputs, outputs), "dense1.bias" has shape (outputs,), and so on.
        The views stay valid when the model is closed or deleted.

        Raises:
            ClosedError: The model is closed.
        """
        self._engine.open()
        return _parameters.named(_parameters.views(self._spec), self._engine.parameters)

    @property
    def parameter_count(self) -> int:
        """The number of parameters."""
        return self._engine.parameters.size

    @property
    def inputs(self) -> int:
        """The number of values of an example."""
        return self._spec.inputs

    @property
    def outputs(self) -> int:
        """The number of classes, or of values."""
        return self._spec.outputs

    @property
    def epochs_trained(self) -> int:
        """The number of epochs that the model was trained for, over all calls of `fit`."""
        return self._engine.epochs_trained

    @property
    def steps_trained(self) -> int:
        """The number of steps that the model was trained for; schedules depend on it."""
        return self._engine.state.step

    @property
    def seed(self) -> int:
        """The seed given to `build`, for initial weights, the order of examples, and dropout."""
        return self._engine.seed

    def summary(self) -> str:
        """Make a table of the layers, with their output shapes and numbers of parameters.

        Examples:
            >>> import pynn
            >>> chain = pynn.Builder().input(784).dense(64).relu().dense(10)
            >>> print(chain.softmax_cross_entropy().build().summary())
            layer                    output     parameters
            input                    (n, 784)            0
            1  dense(64, he)         (n, 64)        50,240
            2  relu                  (n, 64)             0
            3  dense(10, he)         (n, 10)           650
            loss: softmax_cross_entropy             50,890
        """
        rows = [("input", _batch(self._spec.input_shape), "0")]
        for placed in self._spec.placed_layers:
            count = sum(parameter.size for parameter in placed.parameters)
            label = f"{placed.number:<3}{placed.layer}{', frozen' if placed.frozen else ''}"
            rows.append((label, _batch(placed.output_shape), f"{count:,}"))
        first = max(25, *(len(label) + 2 for label, _, _ in rows))
        loss = f"loss: {self._spec.loss}"
        second = max(11, len(loss) + 2 - first, *(len(shape) + 2 for _, shape, _ in rows))
        rows.insert(0, ("layer", "output", "parameters"))
        lines = [f"{label:<{first}}{shape:<{second}}{count:>10}" for label, shape, count in rows]
        return "\n".join([*lines, f"{loss:<{first + second}}{self.parameter_count:>10,}"])

    def __repr__(self) -> str:
        closed = "" if self._engine.workspaces is not None else "; closed"
        layers = self._spec.placed_layers
        frozen = sum(it.size for placed in layers if placed.frozen for it in placed.parameters)
        count = f"{self.parameter_count:,} parameters{f', {frozen:,} frozen' if frozen else ''}"
        return f"Model({self._spec}; {count}{closed})"


def _batch(shape: Sequence[int]) -> str:
    """The shape of n examples."""
    return f"(n, {', '.join(map(str, shape))})"
