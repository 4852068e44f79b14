"""The losses: a class for each; csrc/layers/loss.c computes them.

Those of regression are in poisson.py and squared_error.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import arrays, checks, statistics
from pynn._base.arguments import Arguments
from pynn._base.arrays import Doubles, Floats, Targets
from pynn._base.errors import ArgumentError
from pynn._base.formulas import factor, number, sum_of
from pynn._network.layers import OnnxGraph, Parameter

LARGEST_EXPONENT = 80.0
"""Of larger logits the largest is subtracted, as in C, because their exp() might overflow."""


class LossRow(NamedTuple):
    """The numbers of one example at the loss, in a batch of `rows`."""

    outputs: Floats
    probabilities: Floats | None
    target: Any
    """The label, or the targets, shape (outputs,)."""
    weight: float
    loss: float
    gradients: Floats
    """Those of the mean loss with respect to the outputs: dZ."""
    rows: int

    def times_weight(self, text: str) -> str:
        """The formula, multiplied by the weight of the example if that is not 1."""
        return text if self.weight == 1.0 else f"{number(self.weight)}*({text})"


class Loss(Arguments):
    """The loss at the end of a chain: its kind, and its options as attributes.

    Each subclass describes one loss. It sets `kind` and `options`, overrides what differs from this
    class, and its constructor checks the options. A loss object never changes.
    """

    kinds: ClassVar[dict[str, type[Loss]]] = {}
    """All losses, by name."""

    kind: ClassVar[str]
    """The loss's name: of the builder's method, and in files. In C it is PYNN_ and this name in
    capitals."""
    options: ClassVar[tuple[str, ...]] = ()
    """The names of the options, in the builder's method and in files."""
    has_classes: ClassVar[bool] = False
    """Whether each example has a label, its class; otherwise it has a target for each output."""
    has_probabilities: ClassVar[bool] = False
    """Whether the outputs can be turned into probabilities."""
    has_rates: ClassVar[bool] = False
    """Whether the outputs are logarithms of the rates that `Model.predict` gives."""
    has_errors: ClassVar[bool] = False
    """Whether predictions are numbers, whose distances from the targets are errors: regression."""
    guess: ClassVar[str] = ""
    """What guesses best without the features: a network whose outputs are always the same."""
    torch_module: ClassVar[str]
    """The class in torch.nn that computes the same loss."""

    def __init_subclass__(cls) -> None:
        """Register the loss."""
        cls.kinds[cls.kind] = cls

    def __str__(self) -> str:
        options = ", ".join(
            f"{name}={value if isinstance(value, bool) else checks.shown(value)}"
            for name, value in self.given().items()
        )
        return f"{self.kind}({options})" if options else self.kind

    def given(self) -> dict[str, Any]:
        """The options that are not their defaults."""
        defaults = self._optional
        return {name: value for name, value in vars(self).items() if value != defaults.get(name)}

    def to_dict(self) -> dict[str, Any]:
        """The loss's entries in a file. An option that has its default value gets no entry."""
        return {"loss": self.kind, **self.given()}

    @staticmethod
    def from_dict(chain: Mapping[str, Any]) -> Loss:
        """Make the loss from a chain's entries, and check them.

        Args:
            chain: The entries of to_dict(), and the chain's other entries.

        Raises:
            ValueError: A value is wrong, or an option belongs to another loss.
            TypeError: A value has the wrong type.
            LookupError: There is no entry "loss".
        """
        kind = checks.known("loss", chain["loss"], Loss.kinds)
        own = Loss.kinds[kind].options
        for other in Loss.kinds.values():
            for name in other.options:
                if name in chain and name not in own:
                    raise ValueError(f"{name} is an option of {other.kind}, not of {kind}")
        return Loss.kinds[kind](**{name: chain[name] for name in own if name in chain})

    # ------------------------------------------------------------ labels and predictions

    def decisions(self, outputs: int) -> int:
        """How many decisions that are right or wrong a network makes for an example.

        Accuracy is the share of right ones; without any there is no accuracy.
        """
        return 0

    def parameters(self, outputs: int) -> tuple[Parameter, ...]:
        """The parameters of the loss, which lie behind those of the layers: "targets.mean", ..."""
        return ()

    def check_targets(self, name: str, value: object, rows: int, outputs: int) -> Targets:
        """Check labels or targets, and convert them to the dtype and layout that C reads.

        Args:
            name: The name of the argument, for error messages.
            value: The labels or targets that the caller gave.
            rows: The number of examples.
            outputs: The number of the network's outputs.

        Raises:
            ArgumentTypeError: They have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or a value is out of range.
        """
        return arrays.targets(name, value, rows, outputs, shares=False)

    def predictions(self, outputs: Floats) -> npt.NDArray[Any]:
        """What `Model.predict` returns where the network's outputs are these, (n, outputs)."""
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def guessing(self, targets: Targets, weights: Doubles | None, outputs: int) -> float:
        """Calculate the mean loss of the best guess for some examples; 0 if it is not known.

        Args:
            targets: Labels or targets, as check_targets() returns them.
            weights: The weights of the examples, shape (n,), not all 0; None if all are 1.
            outputs: The number of the network's outputs.
        """
        return 0.0

    # ------------------------------------------------------------ explain

    def loss_mark(self) -> str:
        """The name of the equation of the loss, in csrc/layers/loss.c."""
        return f"{self.kind}.loss"

    def gradient_mark(self) -> str:
        """The name of the equation of dZ."""
        return f"{self.kind}.dZ"

    def letters(self) -> str:
        """What the letters of the equations are, where an option has a letter; "" otherwise."""
        return ""

    def probability_written_out(self, row: LossRow, output: int) -> str:
        """How a probability of an example is calculated, with all its numbers; "" if too long."""
        return ""

    def loss_written_out(self, row: LossRow) -> str:
        """How the loss of an example is calculated, with all its numbers; "" if too long."""
        return ""

    def gradient_written_out(self, row: LossRow, output: int) -> str:
        """How one value of dZ is calculated, with all its numbers."""
        return ""

    # ------------------------------------------------------------ export

    def add_outputs_to_onnx(
        self, graph: OnnxGraph, x: str, parameters: Sequence[str], output: str
    ) -> None:
        """Add operators that make the predictions of the outputs `x`, if there are parameters."""
        raise NotImplementedError

    def c_outputs_function(self) -> str:
        """The C function `rescale`, which does the same in place, if there are parameters."""
        raise NotImplementedError

    def add_probabilities_to_onnx(self, graph: OnnxGraph, x: str, output: str) -> None:
        """Add operators that turn the outputs `x` into probabilities, the value `output`."""
        raise ArgumentError(
            f"probabilities must be False for a model with {self.kind}: its outputs are not logits,"
            " so it has no probabilities"
        )

    def c_meaning(self) -> str:
        """What the outputs mean, in words for the header of exported C."""
        return "the predicted numbers"

    def c_declarations(self) -> str:
        """Declarations of functions on the outputs, for the header of exported C; may be empty."""
        return ""

    def c_functions(self) -> str:
        """The definitions of c_declarations()."""
        return ""


class SoftmaxCrossEntropy(Loss):
    """-log softmax(logits)[label], averaged over a batch; the outputs are the logits.

    With label_smoothing s it is (1 - s) times that, plus s times the mean of -log softmax(logits)
    over all classes (Szegedy et al. 2016).
    """

    kind = "softmax_cross_entropy"
    options = ("label_smoothing",)
    has_classes = True
    has_probabilities = True
    torch_module = "CrossEntropyLoss"
    guess = "always to predict the share of each class"
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

    def guessing(self, targets: Targets, weights: Doubles | None, outputs: int) -> float:
        counts, smoothing = np.bincount(targets, weights, outputs), self.label_smoothing
        shares = (1.0 - smoothing) * counts / counts.sum() + smoothing / outputs
        return statistics.entropy(shares)

    def loss_mark(self) -> str:
        return f"{self.kind}.smoothedloss" if self.label_smoothing else super().loss_mark()

    def gradient_mark(self) -> str:
        return f"{self.kind}.smootheddZ" if self.label_smoothing else super().gradient_mark()

    def letters(self) -> str:
        s = self.label_smoothing
        return f"s = {s!r} (label_smoothing)" if s else ""

    def probability_written_out(self, row: LossRow, output: int) -> str:
        assert row.probabilities is not None
        z, largest = row.outputs.astype(np.float64), float(row.outputs.max())
        less = f" - {factor(largest)}" if abs(z).max() > LARGEST_EXPONENT else ""
        shift = largest if less else 0.0
        terms = [f"exp({number(value)}{less})" for value in z]
        total = sum_of(terms, np.exp(z - shift).tolist())
        return f"p{output} = {terms[output]} / ({total}) = {number(row.probabilities[output])}"

    def loss_written_out(self, row: LossRow) -> str:
        z, s = row.outputs.astype(np.float64), self.label_smoothing
        p = np.exp(z - z.max())  # in float64: near 1, a float has too few digits for the logarithm
        p /= p.sum()
        if p.min() == 0.0:  # it is too small for a float, and C does not take its logarithm
            return ""
        text = f"-log({number(p[row.target])})"
        if s:
            mean = factor(np.log(p).mean())
            text = f"{number(1.0 - s)}*(-log({number(p[row.target])})) - {number(s)}*{mean}"
        return f"loss = {row.times_weight(text)} = {number(row.loss)}"

    def gradient_written_out(self, row: LossRow, output: int) -> str:
        assert row.probabilities is not None
        s = self.label_smoothing
        share = (1.0 - s) * (output == row.target) + s / len(row.outputs)
        text = row.times_weight(f"{number(row.probabilities[output])} - {number(share)}")
        brackets = f"({text})" if row.weight == 1.0 else text
        return f"dz{output} = {brackets} / {row.rows} = {number(row.gradients[output])}"

    def add_probabilities_to_onnx(self, graph: OnnxGraph, x: str, output: str) -> None:
        graph.add("Softmax", [x], output, axis=1)

    def c_meaning(self) -> str:
        return "a score for each class, the larger the likelier"

    def c_declarations(self) -> str:
        return """\
/* Replace the outputs, (OUTPUT_COUNT), by probabilities: their softmax, which sums to 1. */
void NAME_probabilities(float *output);

/* Return the class, from 0, with the largest output or probability; of equal ones the first. */
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


class BinaryCrossEntropy(Loss):
    """-t log s(z) - (1 - t) log(1 - s(z)), averaged over outputs and a batch.

    Here z are the outputs (logits), s(z) is their sigmoid, and t in [0, 1] are the targets: each
    output is a yes-or-no question.
    """

    kind = "binary_cross_entropy"
    has_probabilities = True
    torch_module = "BCEWithLogitsLoss"
    guess = "always to predict the share of each label"

    def decisions(self, outputs: int) -> int:
        return outputs

    def check_targets(self, name: str, value: object, rows: int, outputs: int) -> Targets:
        return arrays.targets(name, value, rows, outputs, shares=True)

    def predictions(self, outputs: Floats) -> npt.NDArray[Any]:
        return super().predictions(outputs) > 0.0

    def guessing(self, targets: Targets, weights: Doubles | None, outputs: int) -> float:
        share = statistics.means(targets, weights)
        return (statistics.entropy(share) + statistics.entropy(1.0 - share)) / outputs

    def probability_written_out(self, row: LossRow, output: int) -> str:
        assert row.probabilities is not None
        p = number(row.probabilities[output])
        return f"p{output} = 1 / (1 + exp({number(-row.outputs[output])})) = {p}"

    def loss_written_out(self, row: LossRow) -> str:
        count, z = len(row.outputs), row.outputs.astype(np.float64)
        if abs(z).max() > 36.0:  # there 1 - p is rounded to 0, and C does not take its logarithm
            return ""
        p, t = 1.0 / (1.0 + np.exp(-z)), row.target
        values = -t * np.log(p) - (1.0 - t) * np.log1p(-p)
        terms = sum_of([*map(_binary_term, p, t)], values.tolist())
        text = row.times_weight(f"({terms}) / {count}" if count > 1 else terms)
        return f"loss = {text} = {number(row.loss)}"

    def gradient_written_out(self, row: LossRow, output: int) -> str:
        assert row.probabilities is not None
        p, t = number(row.probabilities[output]), number(row.target[output])
        text = row.times_weight(f"({p} - {t})")
        value = number(row.gradients[output])
        return f"dz{output} = {text} / ({len(row.outputs)}*{row.rows}) = {value}"

    def add_probabilities_to_onnx(self, graph: OnnxGraph, x: str, output: str) -> None:
        graph.add("Sigmoid", [x], output)

    def c_meaning(self) -> str:
        return "a score for each label, which holds where the score is above 0"

    def c_declarations(self) -> str:
        return """\
/* Replace each of the outputs, (OUTPUT_COUNT), by a probability: 1 / (1 + exp(-output)). */
void NAME_probabilities(float *output);

"""

    def c_functions(self) -> str:
        return """\
void NAME_probabilities(float *output) {
    for (int o = 0; o < OUTPUTS_NAME; o++) output[o] = 1.0f / (1.0f + expf(-output[o]));
}
"""


def _binary_term(p: float, t: float) -> str:
    """The binary cross-entropy of one output; a part that is 0 times a logarithm is left out."""
    parts = [(t, f"(-log({number(p)}))"), (1.0 - t, f"(-log(1 - {number(p)}))")]
    return " + ".join(log if k == 1.0 else f"{number(k)}*{log}" for k, log in parts if k)
