"""The properties of a model, and its tables."""

from __future__ import annotations

from collections.abc import Iterable

from pynn._base import checks, words
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentTypeError
from pynn._model import summary
from pynn._model.base import ModelBase
from pynn._model.summary import Summary
from pynn._network import class_names
from pynn._network import parameters as _parameters
from pynn._network.columns import Columns


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
    def columns(self) -> Columns | None:
        """The columns of the table that is the input; None for plain features."""
        return self._spec.columns

    @property
    def inputs(self) -> int:
        """The number of values of an example."""
        return self._spec.inputs

    @property
    def outputs(self) -> int:
        """The number of classes, or of values."""
        return self._spec.outputs

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, in the order of the outputs; None if they have none.

        `fit` and `partial_fit` learn them from labels that are names, sorted. They can be set, too:
        to the names that labels will have, before the first examples lack some of them, or to those
        that the numbers 0, 1, ... stand for. Files and exports keep them.

        Examples:
            >>> import pynn
            >>> model = pynn.Builder().input(2).dense(3).softmax_cross_entropy().build(seed=0)
            >>> model.classes = ["small", "middle", "large"]
            >>> model.predict([[1, 0.5]])[0] in model.classes
            True
        """
        return self._engine.classes

    @classes.setter
    def classes(self, names: Iterable[str] | None) -> None:
        engine = self._engine
        engine.open()
        if names is None:
            with engine.lock:
                engine.classes = None
            return
        if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
            raise ArgumentTypeError(
                f"classes must be a list of names, such as ['cat', 'dog'], or None, got"
                f" {checks.describe(names)}"
            )
        classes = class_names.checked("classes", list(names), engine.spec)
        with engine.lock:  # a fit in another thread looks at them before it sets its own
            engine.classes = classes

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

    def summary(self) -> Summary:
        """Make a table of the layers, with their output shapes and numbers of parameters.

        Returns:
            A str to print; a notebook shows it as a table.

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
        return summary.summary(self._spec)

    def _repr_html_(self) -> str:
        """Show the layers in a notebook."""
        return summary.html(f"Model: {self._described()}", self._spec)

    def __repr__(self) -> str:
        return f"Model({self._spec}; {self._described()})"

    def _described(self) -> str:
        """How many parameters it has, and whether it is closed."""
        closed = "" if self._engine.workspaces is not None else "; closed"
        layers = self._spec.placed_layers
        frozen = sum(it.size for placed in layers if placed.frozen for it in placed.parameters)
        count = f"{self.parameter_count:,} parameters{f', {frozen:,} frozen' if frozen else ''}"
        return f"{count}{closed}"
