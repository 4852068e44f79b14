"""The chain of calls that describes a network, as a state machine of three small classes.

`Builder` offers `input` and `from_model`, `LayerBuilder` offers layers and losses, and
`FinishedBuilder` offers only `build`. So an editor and a type checker know which calls may come
next. Each call returns a new object and leaves the old one as it was, so two chains may begin with
the same calls.

A new kind of layer needs a method of `LayerBuilder` here and a class in pynn/_network/layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from pynn import _wrong_steps
from pynn._base import checks, words
from pynn._base.errors import ArgumentTypeError, ChainError
from pynn._network.beginning import Beginning
from pynn._network.columns import Columns
from pynn._network.layers import Layer, Shape
from pynn._network.layers.activations import (
    Elu,
    Gelu,
    LeakyRelu,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)
from pynn._network.layers.columns import TableColumns
from pynn._network.layers.conv2d import Conv2d, Padding
from pynn._network.layers.dense import Dense, Init
from pynn._network.layers.dropout import Dropout
from pynn._network.layers.norm import BatchNorm, LayerNorm
from pynn._network.layers.pool2d import AvgPool2d, Flatten, GlobalAvgPool, MaxPool2d
from pynn._network.layers.standardize import Missing, Standardize
from pynn._network.losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy
from pynn._network.poisson import Poisson
from pynn._network.spec import NO_PRODUCT, Spec, append, checked_shape, has_product
from pynn._network.squared_error import MeanSquaredError

if TYPE_CHECKING:
    from pynn._model import Model


def _refuse(state: Builder | LayerBuilder | FinishedBuilder, name: str) -> NoReturn:
    """Raise the error for an attribute that `state` does not have."""
    place = None
    if isinstance(state, LayerBuilder) and not name.startswith("_"):  # copy makes it without them
        place = state._layers, state._shape
    _wrong_steps.refuse(state, name, (Builder, LayerBuilder, FinishedBuilder), place)


@words.corrected
class Builder:
    """The start of a chain.

    Examples:
        >>> import pynn
        >>> chain = pynn.Builder().input(784).dense(64).relu().dense(10)
        >>> model = chain.softmax_cross_entropy().build(seed=0)
        >>> model.parameter_count
        50890
    """

    def input(self, features: int | Sequence[int] | Columns) -> LayerBuilder:
        """Set the number of features: how many values each example has; or the shape of images.

        Args:
            features: At least 1; 784 for images of 28 x 28. Or (channels, height, width), which
                layers such as `conv2d` need: (1, 28, 28) for the same images. Or the `Columns` of a
                table; the model then takes data frames and other tables.

        Raises:
            ArgumentTypeError: `features` is not an integer.
            ArgumentError: `features` is out of range.
        """
        if isinstance(features, Columns):
            row = (len(features.columns),)
            return LayerBuilder(row, *append(row, (), TableColumns, {"columns": features}))
        shape = checked_shape(features)
        return LayerBuilder(shape, (), shape)

    def from_model(self, model: Model, *, before: str | int | None = None) -> LayerBuilder:
        """Begin with the layers of a model and their weights, to learn another task with them.

        The chain begins with the model's input and its layers in front of `before`. Other layers
        and a loss may follow. `build` draws initial weights for these alone; the layers of the
        model keep their parameters, also the running mean and variance of a batch_norm. They are a
        copy: neither model changes the other. If all layers are taken, and none are added, the
        outputs are the model's; then the names of its classes are kept, and, with the same loss,
        the scale of its targets. All else is new: no layer is frozen, and counts and moments begin
        at 0.

        Args:
            model: The model. It is read now, and may be trained or closed later.
            before: The first layer that is left out, by its name such as "dense3" or its number in
                `model.summary()`; None to take all layers. The loss is always left out.

        Raises:
            ArgumentTypeError: `model` is not a model, or `before` is neither a str nor an integer.
            ArgumentError: There is no such layer.
            ClosedError: The model is closed.

        Examples:
            >>> import pynn
            >>> chain = pynn.Builder().input(64).dense(32).relu().dense(5)
            >>> digits = chain.softmax_cross_entropy().build(seed=0)
            >>> chain = pynn.Builder().from_model(digits, before="dense2").dense(3)
            >>> letters = chain.softmax_cross_entropy().build(seed=0)
            >>> letters.freeze("dense1")
            >>> (letters.parameters["dense1.weight"] == digits.parameters["dense1.weight"]).all()
            np.True_
        """
        from pynn._model import Model

        if not isinstance(model, Model):
            raise ArgumentTypeError(
                f"model must be a pynn.Model, as pynn.load gives it, got {checks.describe(model)}"
            )
        begun = Beginning.of(model._engine.snapshot(), before)
        return LayerBuilder(begun.input_shape, begun.layers, begun.shape, begun)

    def __repr__(self) -> str:
        return "Builder()"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            _refuse(self, name)


@words.corrected
class LayerBuilder:
    """A chain that has its input; layers or a loss may follow.

    `Builder.input` and `Builder.from_model` make it.
    """

    def __init__(
        self,
        input_shape: Shape,
        layers: tuple[Layer, ...],
        shape: Shape,
        begun: Beginning | None = None,
    ) -> None:
        self._input_shape = input_shape
        self._layers = layers
        self._shape = shape  # that of an example behind the layers
        self._begun = begun

    def standardize(
        self, *, robust: bool = False, clip: float | None = None, missing: Missing = "error"
    ) -> LayerBuilder:
        """Bring each feature to mean 0 and standard deviation 1: y = (x - mean) / scale.

        It comes directly behind the input, and nowhere else.

        The first call of `fit` or `partial_fit` finds mean and scale in its examples, with which
        the model is saved and exported; later calls keep them. So a model takes raw columns, such
        as years and incomes. Of images each value has a mean and a scale of its own. A feature that
        is the same in all examples has scale 1.

        Args:
            robust: Whether to take the median, and the range from the first to the third quartile
                divided by 1.349, instead of mean and standard deviation. (That range is 1.349
                standard deviations of a normal distribution.) A few extreme values do not change
                them. If that range is 0, the standard deviation is the scale.
            clip: Cut y to [-clip, clip]; above 0. None: not at all.
            missing: What NaN means in features: "error", or with "mean" a missing value, which
                counts as the mean, so that its y is 0.

        Raises:
            ChainError: There is a layer before it.
            ArgumentTypeError: An option has the wrong type.
            ArgumentError: An option has the wrong value.

        Examples:
            >>> import numpy as np, pynn
            >>> x = np.array([[1900.0, 1.0], [2000.0, np.nan], [2100.0, 3.0]])
            >>> chain = pynn.Builder().input(2).standardize(missing="mean").dense(1)
            >>> model = chain.mean_squared_error().build(seed=0)
            >>> history = model.fit(x, np.array([1.0, 2.0, 3.0]), epochs=1)
            >>> model.parameters["standardize1.mean"].tolist()
            [2000.0, 2.0]
        """
        if self._layers:
            _refuse(self, "standardize")
        return self._add(Standardize, robust=robust, clip=clip, missing=missing)

    def dense(self, outputs: int, *, init: Init = "he") -> LayerBuilder:
        """Add a dense layer, Y = X W + b, with W of shape (inputs, outputs).

        Args:
            outputs: The layer's width, at least 1.
            init: The distribution that the first W is drawn from. "he": normal with variance
                2 / inputs (He et al. 2015), for ReLU. "xavier": uniform in
                +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010), for sigmoid and tanh.
                The bias b starts at zero.

        Raises:
            ArgumentTypeError: `outputs` is not an integer.
            ArgumentError: `outputs` is out of range, or `init` is unknown.
        """
        before = self.flatten() if len(self._shape) > 1 else self
        return before._add(Dense, outputs=outputs, init=init)

    def conv2d(
        self,
        filters: int,
        size: int | Sequence[int],
        *,
        stride: int = 1,
        padding: Padding = "same",
        groups: int = 1,
        init: Init = "he",
    ) -> LayerBuilder:
        """Add a convolution: each filter looks at a window of all channels, at each place.

        Y[f,y,x] = b[f] + sum over c, i, j of W[f,c,i,j] X[c, s y + i, s x + j], with W of shape
        (filters, channels / groups, height, width), b (filters,) and the stride s; X has zeros
        around it.

        Args:
            filters: How many filters, which is the number of channels of Y.
            size: The height and width of a filter; one integer for both.
            stride: How far the window moves from one output to the next.
            padding: "valid": none. "same": as many zeros around the image as make Y as large as X,
                or, with a stride, X's size divided by it and rounded up. Or a number of zeros on
                each side.
            groups: How many groups the channels and the filters are divided into; the filters of a
                group see its channels only. As many groups as channels: a depthwise convolution.
            init: As for `dense`, with the inputs of one output, and the outputs of one input.

        Raises:
            ArgumentTypeError: A number is not an integer.
            ArgumentError: A number is out of range, the filter is larger than the image, or the
                inputs are not images.
        """
        return self._add(
            Conv2d,
            filters=filters,
            size=size,
            stride=stride,
            padding=padding,
            groups=groups,
            init=init,
        )

    def max_pool2d(
        self, size: int | Sequence[int], *, stride: int | None = None, padding: int = 0
    ) -> LayerBuilder:
        """Add y = the largest x of a window.

        Args:
            size: The height and width of the window; one integer for both.
            stride: How far the window moves from one output to the next; None for its size.
            padding: How far windows reach over the edges, on each side; at most half of the size.

        Raises:
            ArgumentTypeError: A number is not an integer.
            ArgumentError: A number is out of range, the window is larger than the image, or the
                inputs are not images.
        """
        return self._add(MaxPool2d, size=size, stride=stride, padding=padding)

    def avg_pool2d(
        self, size: int | Sequence[int], *, stride: int | None = None, padding: int = 0
    ) -> LayerBuilder:
        """Add y = the mean of the x of a window, where padding counts as zeros.

        Args:
            size: The height and width of the window; one integer for both.
            stride: How far the window moves from one output to the next; None for its size.
            padding: How many zeros lie around the image, on each side; at most half of the size.

        Raises:
            ArgumentTypeError: A number is not an integer.
            ArgumentError: A number is out of range, the window is larger than the image, or the
                inputs are not images.
        """
        return self._add(AvgPool2d, size=size, stride=stride, padding=padding)

    def global_avg_pool(self) -> LayerBuilder:
        """Add the mean of each channel: (channels, height, width) becomes (channels,).

        Raises:
            ArgumentError: The inputs are not images.
        """
        return self._add(GlobalAvgPool)

    def flatten(self) -> LayerBuilder:
        """Make a plain row of an image: (channels, height, width) becomes one number of values.

        `dense` does this by itself.
        """
        return self._add(Flatten)

    def relu(self) -> LayerBuilder:
        """Add y = max(x, 0)."""
        return self._add(Relu)

    def leaky_relu(self, slope: float = 0.01) -> LayerBuilder:
        """Add y = x where x > 0, else slope * x (Maas et al. 2013).

        Args:
            slope: The slope for negative x; at least 0 and finite.

        Raises:
            ArgumentTypeError: `slope` is not a number.
            ArgumentError: `slope` is out of range.
        """
        return self._add(LeakyRelu, slope=slope)

    def gelu(self) -> LayerBuilder:
        """Add y = x Phi(x), Phi being the normal distribution function.

        Hendrycks and Gimpel 2016.
        """
        return self._add(Gelu)

    def silu(self) -> LayerBuilder:
        """Add y = x / (1 + exp(-x)), x times its sigmoid (Elfwing et al. 2018).

        It is also called swish.
        """
        return self._add(Silu)

    def elu(self, alpha: float = 1.0) -> LayerBuilder:
        """Add y = x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2016).

        Args:
            alpha: At least 0 and finite. For very negative x the outputs approach -alpha.

        Raises:
            ArgumentTypeError: `alpha` is not a number.
            ArgumentError: `alpha` is out of range.
        """
        return self._add(Elu, alpha=alpha)

    def softplus(self) -> LayerBuilder:
        """Add y = log(1 + exp(x)), a smooth max(x, 0) (Dugas et al. 2001)."""
        return self._add(Softplus)

    def sigmoid(self) -> LayerBuilder:
        """Add y = 1 / (1 + exp(-x))."""
        return self._add(Sigmoid)

    def tanh(self) -> LayerBuilder:
        """Add the hyperbolic tangent of each value."""
        return self._add(Tanh)

    def layer_norm(self, eps: float = 1e-5) -> LayerBuilder:
        """Add y = weight * (x - mean) / sqrt(variance + eps) + bias, for each example by itself.

        The mean and the variance are those of the example's values x (inputs,). Weight and bias
        have shape (inputs,), too; the weight starts at one, the bias at zero (Ba, Kiros and Hinton
        2016).

        Args:
            eps: At least 1.1754944e-38, finite. It prevents a division by zero where all values of
                an example are equal.

        Raises:
            ArgumentTypeError: `eps` is not a number.
            ArgumentError: `eps` is out of range.
        """
        return self._add(LayerNorm, eps=eps)

    def batch_norm(self, momentum: float = 0.1, eps: float = 1e-5) -> LayerBuilder:
        """Add y = weight * (x - mean) / sqrt(variance + eps) + bias, for each channel.

        In training the mean and the variance are those of the channel's values in the batch; of a
        plain row each value is a channel. In prediction they are running means of those. Weight,
        bias, running_mean and running_var have shape (channels,) (Ioffe and Szegedy 2015).

        Args:
            momentum: How far the running means go to those of a batch: above 0 and at most 1.
            eps: Keeps the divisor from 0; above 0 and finite.

        Raises:
            ArgumentTypeError: A number is not a number.
            ArgumentError: A number is out of range.
        """
        return self._add(BatchNorm, momentum=momentum, eps=eps)

    def dropout(self, rate: float) -> LayerBuilder:
        """Add dropout: y = m x in training, y = x in prediction (Srivastava et al. 2014).

        For each value m is drawn anew: it is 0 with probability rate, and otherwise 1 / (1 - rate).
        The draw depends only on the model's seed, the step, the layer and the value's place in the
        batch.

        Args:
            rate: The share of values that training sets to 0, in [0, 1).

        Raises:
            ArgumentTypeError: `rate` is not a number.
            ArgumentError: `rate` is out of range.
        """
        return self._add(Dropout, rate=rate)

    def softmax_cross_entropy(self, *, label_smoothing: float = 0.0) -> FinishedBuilder:
        """End the chain with -log softmax(logits)[label], averaged over a batch.

        The last layer's outputs are the logits, one for each class. Labels are integers.

        Args:
            label_smoothing: A share s in [0, 1). The target distribution gives s / classes to each
                class, and the remaining 1 - s to the label (Szegedy et al. 2016).

        Raises:
            ChainError: The chain has no dense layer, so there is nothing to train.
            ArgumentTypeError: `label_smoothing` is not a number.
            ArgumentError: `label_smoothing` is out of range.
        """
        return self._finish(SoftmaxCrossEntropy(label_smoothing))

    def mean_squared_error(self, *, standardize: bool = False) -> FinishedBuilder:
        """End the chain with (outputs - targets)^2, averaged over outputs and a batch: regression.

        Args:
            standardize: Whether to bring the targets to mean 0 and standard deviation 1, for each
                output, so that targets of any size can be learnt. The first call of `fit` or
                `partial_fit` finds mean and scale in its targets, as `standardize` does in the
                features. The loss is that of the standardized targets; R2, the mean absolute error
                and all predictions, also those of exported files, are in the targets' own units.

        Raises:
            ChainError: The chain has no dense layer, so there is nothing to train.
            ArgumentTypeError: `standardize` is not a bool.
        """
        return self._finish(MeanSquaredError(standardize))

    def binary_cross_entropy(self) -> FinishedBuilder:
        """End the chain with binary cross-entropy: several labels at once, yes or no for each.

        The loss is -t log s(z) - (1 - t) log(1 - s(z)), averaged over outputs and a batch. Here z
        are the outputs (logits), s(z) is their sigmoid, and t in [0, 1] are the targets.

        Raises:
            ChainError: The chain has no dense layer, so there is nothing to train.
        """
        return self._finish(BinaryCrossEntropy())

    def poisson(self) -> FinishedBuilder:
        """End the chain with the Poisson loss: counts and frequencies, whose outputs are log rates.

        The loss is exp(z) - t + t (log t - z), averaged over outputs and a batch: half the deviance
        of a Poisson distribution. Here z are the outputs, the logarithms of the rates, and t are
        the targets, at least 0. `Model.predict` gives the rates, exp(z).

        Raises:
            ChainError: The chain has no dense layer, so there is nothing to train.
        """
        return self._finish(Poisson())

    def _finish(self, loss: Loss) -> FinishedBuilder:
        if not has_product(self._layers):
            raise ChainError(f".{loss.kind}() cannot come after {self!r}: {NO_PRODUCT}")
        return FinishedBuilder(Spec(self._input_shape, self._layers, loss), self._begun)

    def _add(self, kind: type[Layer], **options: object) -> LayerBuilder:
        layers, shape = append(self._shape, self._layers, kind, options)
        return LayerBuilder(self._input_shape, layers, shape, self._begun)

    def __repr__(self) -> str:
        return _chain(self._input_shape, self._layers, self._begun)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            _refuse(self, name)


def _chain(shape: Shape, layers: tuple[Layer, ...], begun: Beginning | None) -> str:
    """The Python that makes the chain."""
    steps = [f"Builder().input({shape[0] if len(shape) == 1 else shape})"]
    own = layers[0 if begun is None else len(begun.layers) :]
    if begun is not None:
        steps = [f"Builder().{begun}"]
    elif own and own[0].is_input:
        steps = [f"Builder().input({vars(own[0])[own[0].options[0]]!r})"]
        own = own[1:]
    for layer in own:
        shown = list(layer.shown_arguments().items())
        first = [repr(value) for _, value in shown[: layer.positional]]
        others = [f"{name}={value!r}" for name, value in shown[layer.positional :]]
        steps.append(f"{layer.kind}({', '.join([*first, *others])})")
    return ".".join(steps)


@words.corrected
class FinishedBuilder:
    """A chain that has its loss and can be built. The losses of `LayerBuilder` make it."""

    def __init__(self, spec: Spec, begun: Beginning | None = None) -> None:
        self._spec = spec
        self._begun = begun

    def build(self, *, seed: int = 0) -> Model:
        """Make a model, and draw its first weights, but for layers that `from_model` took.

        Args:
            seed: In [0, 2**64). It decides the first weights, what dropout drops, and the order of
                examples in training: the same seed gives the same model.

        Returns:
            The model.

        Raises:
            ArgumentTypeError: `seed` is not an integer.
            ArgumentError: `seed` is out of range, or the network has too many parameters.
            OutOfMemoryError: There is no memory for the network.
        """
        from pynn._model import Model

        seed = checks.integer("seed", seed, least=0, most=2**64 - 1)
        self._spec.check_size()
        model = Model._create(self._spec, seed)
        if self._begun is not None:
            parameters, model._engine.classes = self._begun.kept(self._spec)
            model._engine.parameters[: parameters.size] = parameters
        return model

    def __repr__(self) -> str:
        shape, layers, loss, _ = self._spec
        options = ", ".join(f"{name}={value!r}" for name, value in loss.given().items())
        return f"{_chain(shape, layers, self._begun)}.{loss.kind}({options})"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            _refuse(self, name)


__all__ = ["Builder", "FinishedBuilder", "LayerBuilder"]
