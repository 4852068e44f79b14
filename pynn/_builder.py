"""The chain that describes a network, as a state machine of three small classes.

`Builder` offers `input`; `LayerBuilder` layers and losses; `FinishedBuilder` only `build`. So an
editor and a type checker see just the legal next calls. Each call returns a new object, and a
prefix can be shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pynn._base import checks
from pynn._base.errors import ArgumentError, ChainError
from pynn._native.network import Init, Layer, LayerKind, Loss
from pynn._spec import MAX_LAYERS, MAX_WIDTH, Spec

if TYPE_CHECKING:
    from pynn._model import Model

_LAYERS = ("dense", "relu", "leaky_relu", "gelu", "sigmoid", "tanh", "dropout")
_LOSSES = ("softmax_cross_entropy", "mean_squared_error", "binary_cross_entropy")
_STEPS = ("input", *_LAYERS, *_LOSSES, "build")
_OF_MODELS = ("fit", "evaluate", "predict", "predict_proba", "parameters", "save", "summary")


def _refuse(state: object, name: str, offered: tuple[str, ...]) -> NoReturn:
    """Raise the error for a step that `state` does not offer, or for a name that is no step.

    repr(state) is for steps alone: copy and pickle ask for other names before anything is in it.
    """
    if name in _OF_MODELS:
        raise ChainError(
            f".{name} is a model's, and {state!r} is a chain: after its loss, .build() makes the"
            " model"
        )
    if name not in _STEPS:
        raise AttributeError(f"{type(state).__name__!r} object has no attribute {name!r}")
    may = ", ".join(f".{step}()" for step in offered)
    raise ChainError(f".{name}() cannot come after {state!r}; what may come next: {may}")


class Builder:
    """The start of a chain.

    Examples:
        >>> import pynn
        >>> chain = pynn.Builder().input(784).dense(64).relu().dense(10)
        >>> model = chain.softmax_cross_entropy().build(seed=0)
        >>> model.parameter_count
        50890
    """

    def input(self, features: int) -> LayerBuilder:
        """Say how many values an example has.

        Args:
            features: At least 1; 784 for images of 28 x 28.

        Raises:
            ArgumentTypeError: It is no integer.
            ArgumentError: It is out of range.
        """
        return LayerBuilder(checks.integer("input", features, least=1, most=MAX_WIDTH), ())

    def __repr__(self) -> str:
        return "Builder()"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            _refuse(self, name, ("input",))


class LayerBuilder:
    """A chain that has its input: layers may follow, or a loss. Made by `Builder.input`."""

    def __init__(self, inputs: int, layers: tuple[Layer, ...]) -> None:
        self._inputs = inputs
        self._layers = layers

    def dense(self, outputs: int, *, init: Init = "he") -> LayerBuilder:
        """Add Y = X W + b with W of shape (inputs, outputs); the bias starts at zero.

        Args:
            outputs: The layer's width, at least 1.
            init: How W is drawn. "he": normal with variance 2 / inputs (He et al. 2015), for ReLU.
                "xavier": uniform in +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010), for
                sigmoid and tanh.

        Raises:
            ArgumentTypeError: `outputs` is no integer.
            ArgumentError: `outputs` is out of range, or `init` unknown.
        """
        name = f"layer {len(self._layers) + 1}: dense"
        choice: object = init  # which may be anything
        if not isinstance(choice, str) or choice not in ("he", "xavier"):
            got = repr(choice[:60]) if isinstance(choice, str) else checks.describe(choice)
            raise ArgumentError(f"{name}: init must be 'he' or 'xavier', got {got}")
        return self._add(
            Layer("dense", checks.integer(name, outputs, least=1, most=MAX_WIDTH), init)
        )

    def relu(self) -> LayerBuilder:
        """Add y = max(x, 0)."""
        return self._activation("relu")

    def leaky_relu(self, slope: float = 0.01) -> LayerBuilder:
        """Add y = x where x > 0, else slope * x (Maas et al. 2013).

        Args:
            slope: At least 0, finite.

        Raises:
            ArgumentTypeError: The slope is no number.
            ArgumentError: It is out of range.
        """
        name = f"layer {len(self._layers) + 1}: leaky_relu slope"
        return self._add(Layer("leaky_relu", slope=checks.real(name, slope, least=0.0)))

    def gelu(self) -> LayerBuilder:
        """Add y = x Phi(x), with Phi the normal distribution (Hendrycks and Gimpel 2016)."""
        return self._activation("gelu")

    def sigmoid(self) -> LayerBuilder:
        """Add y = 1 / (1 + exp(-x))."""
        return self._activation("sigmoid")

    def tanh(self) -> LayerBuilder:
        """Add the hyperbolic tangent, value by value."""
        return self._activation("tanh")

    def dropout(self, rate: float) -> LayerBuilder:
        """Add y = m x with m 0 at random, else 1 / (1 - rate), in training; y = x in use.

        Srivastava et al. 2014. What is dropped depends on the model's seed and the step alone.

        Args:
            rate: The share of values that are dropped, in [0, 1).

        Raises:
            ArgumentTypeError: The rate is no number.
            ArgumentError: It is out of range.
        """
        name = f"layer {len(self._layers) + 1}: dropout rate"
        below = 1.0 - 2.0**-24  # a float32 has nothing between it and 1
        return self._add(Layer("dropout", rate=checks.real(name, rate, least=0.0, below=below)))

    def softmax_cross_entropy(self, *, label_smoothing: float = 0.0) -> FinishedBuilder:
        """End the chain with -log softmax(logits)[label], averaged over a batch.

        The last layer's outputs are the logits, one for each class.

        Args:
            label_smoothing: A share in [0, 1) of the answer that is given to all classes alike,
                the rest to the label (Szegedy et al. 2016).

        Raises:
            ChainError: The chain has no dense layer, so nothing to train.
            ArgumentTypeError: The smoothing is no number.
            ArgumentError: It is out of range.
        """
        below = 1.0 - 2.0**-24
        smoothing = checks.real("label_smoothing", label_smoothing, least=0.0, below=below)
        return self._finish("softmax_cross_entropy", smoothing)

    def mean_squared_error(self) -> FinishedBuilder:
        """End the chain with (outputs - targets)^2, averaged over outputs and a batch: regression.

        Raises:
            ChainError: The chain has no dense layer, so nothing to train.
        """
        return self._finish("mean_squared_error")

    def binary_cross_entropy(self) -> FinishedBuilder:
        """End the chain with a yes-or-no question for each output: multi-label classification.

        -t log s(z) - (1 - t) log(1 - s(z)) with the outputs z as logits, their sigmoid s(z) and
        targets t, averaged over outputs and a batch.

        Raises:
            ChainError: The chain has no dense layer, so nothing to train.
        """
        return self._finish("binary_cross_entropy")

    def _finish(self, loss: Loss, label_smoothing: float = 0.0) -> FinishedBuilder:
        if not any(layer.kind == "dense" for layer in self._layers):
            raise ChainError(
                f".{loss}() cannot come after {self!r}: a network needs at least one dense layer;"
                " add .dense(...) before the loss"
            )
        return FinishedBuilder(Spec(self._inputs, self._layers, loss, label_smoothing))

    def _activation(self, kind: LayerKind) -> LayerBuilder:
        return self._add(Layer(kind))

    def _add(self, layer: Layer) -> LayerBuilder:
        if len(self._layers) == MAX_LAYERS:
            raise ArgumentError(
                f"layer {MAX_LAYERS + 1}: {layer.kind}: a network has at most {MAX_LAYERS} layers"
            )
        return LayerBuilder(self._inputs, (*self._layers, layer))

    def __repr__(self) -> str:
        steps = [f"Builder().input({self._inputs})"]
        for layer in self._layers:
            arguments = [f"{name}={value!r}" for name, value in layer.arguments().items()]
            first = [text.partition("=")[2] for text in arguments[:1]]  # the rest are keywords
            steps.append(f"{layer.kind}({', '.join(first + arguments[1:])})")
        return ".".join(steps)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            _refuse(self, name, (*_LAYERS, *_LOSSES))


class FinishedBuilder:
    """A chain that has its loss: it can be built. Made by a loss of `LayerBuilder`."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def build(self, *, seed: int = 0) -> Model:
        """Make a model with freshly drawn weights.

        Args:
            seed: In [0, 2**64). It decides the weights and the order of examples in training: the
                same seed gives the same model.

        Raises:
            ArgumentTypeError: The seed is no integer.
            ArgumentError: The seed is out of range, or the parameters are too many to be counted.
            OutOfMemoryError: There is no memory for the network.
        """
        from pynn._model import Model

        seed = checks.integer("seed", seed, least=0, most=2**64 - 1)
        self._spec.check_size()
        return Model._create(self._spec, seed)

    def __repr__(self) -> str:
        return f"{LayerBuilder(self._spec.inputs, self._spec.layers)!r}.{self._spec.loss}()"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            _refuse(self, name, ("build",))


__all__ = ["Builder", "FinishedBuilder", "LayerBuilder"]
