"""The same network in PyTorch: an nn.Sequential of the layers of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynn import Model
from pynn._network.spec import PlacedLayer


def torch_network(torch: Any, model: Model) -> Any:
    """An nn.Sequential with a module for each layer of the model, with its own weights."""
    nn = torch.nn
    return nn.Sequential(*(_module(nn, placed) for placed in model._spec.placed_layers))


def _module(nn: Any, placed: PlacedLayer) -> Any:
    layer: Any = placed.layer
    shape = placed.input_shape
    special: dict[str, Callable[[], Any]] = {
        "dense": lambda: nn.Linear(placed.inputs, placed.outputs),
        "conv2d": lambda: _convolution(nn, placed),
        "max_pool2d": lambda: nn.MaxPool2d(layer.size, layer.stride, layer.padding),
        "avg_pool2d": lambda: nn.AvgPool2d(layer.size, layer.stride, layer.padding),
        "global_avg_pool": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "batch_norm": lambda: (nn.BatchNorm2d if len(shape) > 1 else nn.BatchNorm1d)(
            shape[0], momentum=layer.momentum, eps=layer.eps
        ),
        "layer_norm": lambda: nn.LayerNorm(shape, eps=layer.eps),
        "leaky_relu": lambda: nn.LeakyReLU(layer.slope),
        "elu": lambda: nn.ELU(layer.alpha),
        "dropout": lambda: nn.Dropout(layer.rate),
    }
    if layer.kind in special:
        return special[layer.kind]()
    return getattr(nn, layer.torch_module)()


def _convolution(nn: Any, placed: PlacedLayer) -> Any:
    """A Conv2d, which takes the name of its place; "same" in PyTorch knows no stride.

    So the zeros are put around by F.pad, in a Conv2d of our own: the state_dict keeps its names.
    """
    layer: Any = placed.layer
    (top, left), (bottom, right) = layer.pads(placed.input_shape)

    class Padded(nn.Conv2d):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return super().forward(nn.functional.pad(x, (left, right, top, bottom)))

    channels = placed.input_shape[0]
    return Padded(channels, layer.filters, layer.size, layer.stride, groups=layer.groups)
