"""Chains of layers that are known to work, to begin with.

Each function returns a chain that has its layers, and to which a loss can be added:

    model = pynn.models.lenet().softmax_cross_entropy().build()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pynn._base import words
from pynn._builder import Builder, LayerBuilder

MNIST_SHAPE = (1, 28, 28)


@words.corrected
def lenet(classes: int = 10, *, shape: Sequence[int] = MNIST_SHAPE) -> LayerBuilder:
    """LeNet-5, with ReLU and largest values: two convolutions and three dense layers.

    It has the layers of LeCun, Bottou, Bengio and Haffner 1998 with 6 and 16 filters of 5 x 5 and
    120 and 84 units, and what has become usual since: ReLU, max pooling, and every filter sees all
    channels. For MNIST it has 44,426 parameters.

    Args:
        classes: The number of outputs.
        shape: (channels, height, width) of the images; at least 16 x 16.

    Raises:
        ArgumentTypeError: A number is not an integer.
        ArgumentError: A number is out of range, or the images are too small.

    Examples:
        >>> import pynn
        >>> pynn.models.lenet().softmax_cross_entropy().build(seed=0).parameter_count
        44426
    """
    images = Builder().input(shape)
    first = images.conv2d(6, 5, padding="valid").relu().max_pool2d(2)
    second = first.conv2d(16, 5, padding="valid").relu().max_pool2d(2)
    return second.dense(120).relu().dense(84).relu().dense(classes)


@words.corrected
def small_cnn(classes: int = 10, *, shape: Sequence[int] = MNIST_SHAPE) -> LayerBuilder:
    """Three convolutions with 8, 16 and 32 filters and batch normalization: few parameters.

    Each filter is 3 x 3. The first two are followed by max pooling; at the end is the mean of each
    channel (Lin, Chen and Yan 2014), so the size of the images may be any. For MNIST it has 6,330
    parameters, 112 of them running means and variances beside.

    Args:
        classes: The number of outputs.
        shape: (channels, height, width) of the images; at least 4 x 4.

    Raises:
        ArgumentTypeError: A number is not an integer.
        ArgumentError: A number is out of range, or the images are too small.

    Examples:
        >>> import pynn
        >>> pynn.models.small_cnn().softmax_cross_entropy().build(seed=0).parameter_count
        6442
    """
    images = Builder().input(shape)
    first = images.conv2d(8, 3).batch_norm().relu().max_pool2d(2)
    second = first.conv2d(16, 3).batch_norm().relu().max_pool2d(2)
    third = second.conv2d(32, 3).batch_norm().relu().global_avg_pool()
    return third.dense(classes)


if not TYPE_CHECKING:  # a type checker finds wrong names only without it
    __getattr__ = words.of_module("models", ("lenet", "small_cnn"))
