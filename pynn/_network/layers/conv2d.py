"""The convolution of images with filters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from pynn._base import checks
from pynn._base.arrays import AnyFloats, Doubles, Floats
from pynn._base.batches import place_of, value_name
from pynn._base.errors import ArgumentError
from pynn._base.formulas import factor, number, total, total_of_products
from pynn._network.layers import MAX_WIDTH, Layer, Parameter, Shape, image_shape
from pynn._network.layers.dense import Init, checked_init
from pynn._network.layers.windows import (
    C_WINDOWS,
    Windows,
    c_images,
    c_window,
    pair,
    shown_size,
    too_large,
)

Padding = Literal["same", "valid"] | int
"""How many zeros lie around an image; see `Conv2d`."""


def _checked_padding(padding: object) -> Padding:
    """Check the padding of a convolution."""
    if padding == "same" or padding == "valid":
        return padding
    if isinstance(padding, str):
        raise ArgumentError(
            "conv2d: padding must be 'same', 'valid' or the zeros on each side, got"
            f" {padding[:60]!r}"
        )
    return checks.integer("conv2d padding", padding, least=0, most=MAX_WIDTH // 4)


class Conv2d(Layer):
    """Y[f,y,x] = b[f] + sum over c, i, j of W[f,c,i,j] X[c, s y + i, s x + j], s the stride.

    X (channels, height, width) has zeros around it as padding. W is (filters, channels / groups,
    height, width), b (filters,). In groups each group of filters sees one group of channels.
    """

    kind = "conv2d"
    options = ("filters", "size", "stride", "padding", "groups", "init")
    positional = 2
    hidden: ClassVar[dict[str, Any]] = {"stride": 1, "padding": "same", "groups": 1, "init": "he"}
    symbols: ClassVar[dict[str, str]] = {"weight": "W", "bias": "b"}
    is_product = True
    in_place = False
    needs_images = True
    takes_scale = True
    onnx_operator = "Conv"
    torch_module = "Conv2d"

    filters: int
    size: tuple[int, int]
    stride: int
    padding: Padding
    groups: int
    init: Init

    def __init__(
        self,
        filters: int,
        size: int | Sequence[int],
        stride: int = 1,
        padding: Padding = "same",
        groups: int = 1,
        init: Init = "he",
    ) -> None:
        filters = checks.integer("conv2d filters", filters, least=1, most=MAX_WIDTH)
        groups = checks.integer("conv2d groups", groups, least=1, most=filters)
        if filters % groups:
            raise ArgumentError(f"conv2d: {filters} filters cannot be divided into {groups} groups")
        super().__init__(
            filters=filters,
            size=pair("conv2d size", size),
            stride=checks.integer("conv2d stride", stride, least=1, most=MAX_WIDTH // 4),
            padding=_checked_padding(padding),
            groups=groups,
            init=checked_init("conv2d", init),
        )

    def shown_arguments(self) -> dict[str, Any]:
        return shown_size(super().shown_arguments())

    def __str__(self) -> str:
        height, width = self.size
        parts = [str(self.filters), f"{height}x{width}"]
        parts += [f"stride {self.stride}"] if self.stride > 1 else []
        parts += [] if self.padding == "same" else [f"padding {self.padding}"]
        parts += [f"{self.groups} groups"] if self.groups > 1 else []
        parts += [] if self.init == "he" else [self.init]
        return f"conv2d({', '.join(parts)})"

    def pads(self, shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """The padding above and left of an image, and below and right of it.

        "same" makes ceil(length / stride) outputs of a length. Where the zeros are odd in number,
        one more is behind than before, as in TensorFlow and ONNX.
        """
        if isinstance(self.padding, int):
            return (self.padding, self.padding), (self.padding, self.padding)
        if self.padding == "valid":
            return (0, 0), (0, 0)
        totals = [
            max((-(-length // self.stride) - 1) * self.stride + size - length, 0)
            for length, size in zip(shape[1:], self.size, strict=True)
        ]
        before = tuple(total // 2 for total in totals)
        after = tuple(total - total // 2 for total in totals)
        return (before[0], before[1]), (after[0], after[1])

    def shape_after(self, shape: Shape) -> Shape:
        channels, *lengths = image_shape(self.kind, shape)
        if channels % self.groups:
            raise ArgumentError(
                f"conv2d: {channels} channels cannot be divided into {self.groups} groups"
            )
        outputs = [self.filters]
        for length, size, before, after in zip(lengths, self.size, *self.pads(shape), strict=True):
            if size > length + before + after:
                raise too_large("conv2d: a filter", self.size, lengths, self.padding)
            outputs.append((length + before + after - size) // self.stride + 1)
        return tuple(outputs)

    def parameters(self, shape: Shape) -> tuple[Parameter, ...]:
        weight = Parameter(
            "weight", (self.filters, shape[0] // self.groups, *self.size), decays=True
        )
        return weight, Parameter("bias", (self.filters,))

    def multiply_adds(self, shape: Shape) -> int:
        _, height, width = self.shape_after(shape)
        return self.parameters(shape)[0].size * height * width

    def c_struct(self, shape: Shape) -> dict[str, Any]:
        before, after = self.pads(shape)
        return {
            "filters": self.filters,
            "size": list(self.size),
            "stride": self.stride,
            "before": list(before),
            "after": list(after),
            "groups": self.groups,
            "init": self.init,
        }

    # ------------------------------------------------------------ explain

    def gradient_marks(self, *, sparse: bool) -> dict[str, str]:
        return {name: f"conv2d.{name}" for name in ("dW", "db", "dX")}

    def fused_marks(self, *, sparse: bool) -> dict[str, str]:
        return {name: f"conv2d.fused{symbol}" for name, symbol in self.symbols.items()}

    def _windows(self, x: Floats, y: Floats) -> Windows:
        before, _ = self.pads(x.shape[1:])
        return Windows(self.size, self.stride, before, x.shape[2:], y.shape[2:])

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        x, y, weights = arrays["X"], arrays["Y"], arrays["W"]
        f, v, u = at = place_of(y, output)
        first = f // (self.filters // self.groups) * weights.shape[1]
        pairs = [
            (weights[f, c, i, j], x[row, first + c, top, left])
            for c in range(weights.shape[1])
            for i, j, top, left in self._windows(x, y).inside(v, u)
        ]
        left, right = zip(*pairs, strict=True) if pairs else ((0.0,), (0.0,))
        text = f"{total_of_products(left, right)} + {factor(arrays['b'][f])}"
        return f"{value_name('y', at)} = {text} = {number(y[row, f, v, u])}"

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        x, dy, value = forward["X"], backward["dY"], number(backward[name][at])
        if name == "db":
            return f"db[{at[0]}] = {total(dy[:, at[0]].ravel())} = {value}"
        if name == "dX":
            pairs = self._pairs_of_dx(at, forward, dy)
            text = total_of_products(*zip(*pairs, strict=True)) if pairs else "0"
            return f"{value_name('dx', at[1:])} = {text} = {value}"
        text = total_of_products(dy[:, at[0]].ravel(), self._looked_at(at, x, dy).ravel())
        return f"dW[{','.join(map(str, at))}] = {text} = {value}"

    def _pairs_of_dx(
        self, at: tuple[int, ...], forward: Mapping[str, Floats], dy: Floats
    ) -> list[tuple[float, float]]:
        """What is multiplied and added for dX at a place."""
        row, channel, top, left = at
        weights, filters = forward["W"], self.filters // self.groups
        group, c = divmod(channel, weights.shape[1])
        return [
            (dy[row, f, v, u], weights[f, c, i, j])
            for f in range(group * filters, (group + 1) * filters)
            for i, j, v, u in self._windows(forward["X"], dy).around(top, left)
        ]

    def _looked_at(self, at: tuple[int, ...], x: Floats, dy: Floats) -> Floats:
        """What a weight was multiplied by for each output of its filter: (N, outputs)."""
        f, c, i, j = at
        channel = f // (self.filters // self.groups) * (x.shape[1] // self.groups) + c
        before, after = self.pads(x.shape[1:])
        padded = np.pad(x[:, channel], ((0, 0), *zip(before, after, strict=True)))
        seen: Floats = padded[:, i :: self.stride, j :: self.stride]
        return seen[:, : dy.shape[2], : dy.shape[3]]

    def remarks(self, arrays: Mapping[str, Floats], *, sparse: bool) -> list[str]:
        shape = arrays["X"].shape[1:]
        weights, places = arrays["W"].size, math.prod(arrays["Y"].shape[2:])
        return [
            self._letters(shape),
            f"the same {weights:,} weights are used at {places:,} places of each example:"
            f" {self.multiply_adds(shape):,} multiply-adds",
        ]

    def _letters(self, shape: Shape) -> str:
        """What the letters of the equations mean."""
        (top, left), (bottom, right) = self.pads(shape)
        of_group = " of the filter's group" if self.groups > 1 else ""
        letters = (
            f"n is the example, f the filter, c the channel{of_group}, (y, x) the place in Y,"
            f" (i, j) the place in the filter, s = {self.stride} the stride"
        )
        if not top + left + bottom + right:
            return letters
        zeros = f"{top} above, {bottom} below, {left} on the left, {right} on the right"
        return f"{letters}; the rows and columns of X include the zeros around it: {zeros}"

    # ------------------------------------------------------------ export

    def onnx_attributes(self, shape: Shape) -> dict[str, Any]:
        before, after = self.pads(shape)
        return {
            "kernel_shape": self.size,
            "strides": (self.stride, self.stride),
            "pads": (*before, *after),
            "group": self.groups,
        }

    def scaled(
        self, arrays: Mapping[str, AnyFloats], scale: Doubles, shift: Doubles
    ) -> Mapping[str, AnyFloats]:
        weight = arrays["weight"] * scale[:, None, None, None]
        return {"weight": weight, "bias": arrays["bias"] * scale + shift}

    def c_sizes(self, shape: Shape, after: Shape) -> tuple[str, ...]:
        (top, left), _ = self.pads(shape)
        return (
            *c_images(shape, after),
            c_window(self.size, self.stride, top, left),
            str(self.groups),
        )

    def c_helper(self, *, libc: bool) -> str:
        return C_WINDOWS

    def c_function(self) -> str:
        comment = """\
/* y = b + the sum over each window of x, times a filter. x and y are images, w (filters, channels /
 * groups, height, width) and b (filters). A filter sees the channels of its group only. Outside of
 * the image x is 0. */
"""
        return comment + _c_convolution("", "const float *restrict x", "from[n]", "sum + b[f]")

    def c_bytes_function(self) -> str:
        comment = "/* The same layer for x in bytes: each byte counts as value / 255. */\n"
        x, value = "const unsigned char *restrict x", "(float)from[n]"
        return comment + _c_convolution("_bytes", x, value, "sum / 255.0f + b[f]")


def _c_convolution(suffix: str, x: str, value: str, result: str) -> str:
    """The C function of a convolution, for inputs of either type."""
    plane, place = x.replace("restrict x", "plane"), x.replace("restrict x", "from")
    return f"""\
static void conv2d_layer{suffix}(image in, image out, window k, size_t groups,
                         {x}, const float *restrict w,
                         const float *restrict b, float *restrict y) {{
    const size_t channels = in.channels / groups, filters = out.channels / groups;
    for (size_t f = 0; f < out.channels; f++) {{
        {plane} = x + f / filters * channels * in.height * in.width;
        for (size_t v = 0; v < out.height; v++) {{
            const span rows = inside(v * k.stride, k.height, k.top, in.height);
            for (size_t u = 0; u < out.width; u++) {{
                const span columns = inside(u * k.stride, k.width, k.left, in.width);
                float sum = 0.0f;
                for (size_t c = 0; c < channels; c++) {{
                    for (size_t r = 0; r < rows.count; r++) {{
                        const size_t row = (f * channels + c) * k.height + rows.skipped + r;
                        const float *filter = w + row * k.width + columns.skipped;
                        {place} =
                            plane + (c * in.height + rows.begin + r) * in.width + columns.begin;
                        for (size_t n = 0; n < columns.count; n++) sum += filter[n] * {value};
                    }}
                }}
                *y++ = {result};
            }}
        }}
    }}
}}
"""
