"""The losses: a class for each. Their computation is in csrc/layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pynn._base import arrays, checks
from pynn._base.arguments import Arguments
from pynn._base.arrays import Floats, Targets
from pynn._base.errors import ArgumentError
from pynn._network.layers import OnnxGraph


class Loss(Arguments):
    """The loss at the end of a chain: its kind, and its options as attributes.

    A class that derives from it describes a loss: it says `kind`, `options`, and what differs from
    here. Its constructor checks the options. A loss never changes.
    """

    kinds: ClassVar[dict[str, type[Loss]]] = {}
    """All losses, by name."""

    kind: ClassVar[str]
    """The name: that of the builder's method, in files, and in C as PYNN_ and capitals."""
    options: ClassVar[tuple[str, ...]] = ()
    """The names of the options, as the builder's method and files have them."""
    has_classes: ClassVar[bool] = False
    """Whether an example has a label, its class; else it has targets, one for each output."""
    has_probabilities: ClassVar[bool] = False
    """Whether probabilities can be made of the outputs."""
    torch_module: ClassVar[str]
    """The class in torch.nn that is the same loss."""

    def __init_subclass__(cls) -> None:
        """Register the loss."""
        cls.kinds[cls.kind] = cls

    def __str__(self) -> str:
        options = ", ".join(f"{name}={checks.shown(value)}" for name, value in self.given().items())
        return f"{self.kind}({options})" if options else self.kind

    def given(self) -> dict[str, Any]:
        """The options that are not their defaults."""
        defaults = self._optional
        return {name: value for name, value in vars(self).items() if value != defaults.get(name)}

    def to_dict(self) -> dict[str, Any]:
        """The entries that a chain in a file has for it; an option that is its default has none."""
        return {"loss": self.kind, **self.given()}

    @staticmethod
    def from_dict(chain: Mapping[str, Any]) -> Loss:
        """The loss of a chain that has the entries of to_dict() among others, checked.

        Raises:
            ValueError: A value is wrong, or an option is another loss's.
            TypeError: A value has the wrong type.
            LookupError: There is no loss.
        """
        kind = checks.known("loss", chain["loss"], Loss.kinds)
        own = Loss.kinds[kind].options
        for other in Loss.kinds.values():
            for name in other.options:
                if name in chain and name not in own:
                    raise ValueError(f"{name} is of {other.kind}, not of {kind}")
        return Loss.kinds[kind](**{name: chain[name] for name in own if name in chain})

    # ------------------------------------------------------------ what it is of

    def decisions(self, outputs: int) -> int:
        """How many decisions that are right or wrong a network makes for an example.

        Accuracy is the share of right ones; without any there is no accuracy.
        """
        return 0

    def check_targets(self, name: str, value: object, rows: int, outputs: int) -> Targets:
        """Labels or targets of so many examples as C reads them, from an argument of this name.

        Raises:
            ArgumentTypeError: They have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or a value is out of range.
        """
        return arrays.targets(name, value, rows, outputs, shares=False)

    def predictions(self, outputs: Floats) -> npt.NDArray[Any]:
        """What `Model.predict` gives for outputs of shape (n, outputs)."""
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    # ------------------------------------------------------------ export

    def add_probabilities_to_onnx(self, graph: OnnxGraph, x: str, output: str) -> None:
        """Add operators that make probabilities, the value `output`, of the outputs `x`."""
        raise ArgumentError(
            f"probabilities must be False for a model with {self.kind}, whose outputs are no logits"
        )

    def c_meaning(self) -> str:
        """What exported C says that the outputs are."""
        return "the predicted numbers"

    def c_declarations(self) -> str:
        """The functions for probabilities in the header of exported C; empty if there are none."""
        return ""

    def c_functions(self) -> str:
        """The definitions of c_declarations()."""
        return ""


class SoftmaxCrossEntropy(Loss):
    """-log softmax(logits)[label], averaged over a batch; the outputs are the logits.

    With label_smoothing s, 1 - s of it is that, and s is the mean over all classes (Szegedy et al.
    2016).
    """

    kind = "softmax_cross_entropy"
    options = ("label_smoothing",)
    has_classes = True
    has_probabilities = True
    torch_module = "CrossEntropyLoss"
    _optional: ClassVar[dict[str, Any]] = {"label_smoothing": 0.0}

    label_smoothing: float

    def __init__(self, label_smoothing: float = 0.0) -> None:
        share = checks.real("label_smoothing", label_smoothing, least=0.0, below=checks.BELOW_ONE)
        super().__init__(label_smoothing=share)

    def decisions(self, outputs: int) -> int:
        return 1

    def check_targets(self, name: str, value: object, rows: int, outputs: int) -> Targets:
        return arrays.labels(name, value, rows, outputs)

    def predictions(self, outputs: Floats) -> npt.NDArray[Any]:
        classes: npt.NDArray[np.intp] = outputs.argmax(axis=1)
        return classes

    def add_probabilities_to_onnx(self, graph: OnnxGraph, x: str, output: str) -> None:
        graph.add("Softmax", [x], output, axis=1)

    def c_meaning(self) -> str:
        return "a score for each class, the larger the likelier"

    def c_declarations(self) -> str:
        return """\
/* Make probabilities of the outputs, (OUTPUT_COUNT), in place: their softmax, which sums to 1. */
void NAME_probabilities(float *output);

/* The class of the largest output or probability, from 0; the first of equals. */
int NAME_class(const float *output);

"""

    def c_functions(self) -> str:
        return """\
int NAME_class(const float *output) {
    int best = 0;
    for (int c = 1; c < OUTPUTS_NAME; c++) {
        if (output[c] > output[best]) best = c;
    }
    return best;
}

void NAME_probabilities(float *output) {
    const float largest = output[NAME_class(output)]; /* without it exp could overflow */
    float total = 0.0f;
    for (int c = 0; c < OUTPUTS_NAME; c++) {
        output[c] = expf(output[c] - largest);
        total += output[c];
    }
    for (int c = 0; c < OUTPUTS_NAME; c++) output[c] /= total;
}
"""


class MeanSquaredError(Loss):
    """(outputs - targets)^2, averaged over outputs and a batch: regression."""

    kind = "mean_squared_error"
    torch_module = "MSELoss"


class BinaryCrossEntropy(Loss):
    """-t log s(z) - (1 - t) log(1 - s(z)), averaged over outputs and a batch.

    With the outputs z as logits, their sigmoid s(z), and targets t in [0, 1]: a yes-or-no question
    for each output.
    """

    kind = "binary_cross_entropy"
    has_probabilities = True
    torch_module = "BCEWithLogitsLoss"

    def decisions(self, outputs: int) -> int:
        return outputs

    def check_targets(self, name: str, value: object, rows: int, outputs: int) -> Targets:
        return arrays.targets(name, value, rows, outputs, shares=True)

    def predictions(self, outputs: Floats) -> npt.NDArray[Any]:
        return super().predictions(outputs) > 0.0

    def add_probabilities_to_onnx(self, graph: OnnxGraph, x: str, output: str) -> None:
        graph.add("Sigmoid", [x], output)

    def c_meaning(self) -> str:
        return "a score for each question, the answer being yes where it is above 0"

    def c_declarations(self) -> str:
        return """\
/* Make probabilities of the outputs, (OUTPUT_COUNT), in place: 1 / (1 + exp(-output)) each. */
void NAME_probabilities(float *output);

"""

    def c_functions(self) -> str:
        return """\
void NAME_probabilities(float *output) {
    for (int o = 0; o < OUTPUTS_NAME; o++) output[o] = 1.0f / (1.0f + expf(-output[o]));
}
"""
