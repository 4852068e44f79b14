"""Layers that make images smaller, and the one that makes rows of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.batches import place_of, value_name
from pynn._base.errors import ArgumentError
from pynn._base.formulas import factor, number, total, total_of_products
from pynn._network.layers import MAX_WIDTH, Layer, OnnxGraph, Shape, image_shape
from pynn._network.layers.windows import (
    C_WINDOWS,
    Windows,
    c_images,
    c_window,
    pair,
    shown_size,
    too_large,
)


class _Pool2d(Layer):
    """A number for each window of an image."""

    options = ("size", "stride", "padding")
    hidden: ClassVar[dict[str, Any]] = {"padding": 0}
    in_place = False
    needs_images = True

    size: tuple[int, int]
    stride: int
    padding: int

    def __init__(
        self, size: int | Sequence[int], stride: int | None = None, padding: int = 0
    ) -> None:
        height, width = pair(f"{self.kind} size", size)
        if stride is None:
            if height != width:
                raise ArgumentError(
                    f"{self.kind}: a window of {height} x {width} needs a stride, one integer for"
                    " both directions, as in stride=2"
                )
            stride = height
        stride = checks.integer(f"{self.kind} stride", stride, least=1, most=MAX_WIDTH // 4)
        most = min(height, width) // 2
        padding = checks.integer(f"{self.kind} padding", padding, least=0, most=most)
        super().__init__(size=(height, width), stride=stride, padding=padding)

    def shown_arguments(self) -> dict[str, Any]:
        shown = shown_size(super().shown_arguments())
        if shown["size"] == self.stride:
            del shown["stride"]
        return shown

    def __str__(self) -> str:
        height, width = self.size
        parts = [f"{height}x{width}"]
        parts += [f"stride {self.stride}"] if self.stride != height else []
        parts += [f"padding {self.padding}"] if self.padding else []
        return f"{self.kind}({', '.join(parts)})"

    def shape_after(self, shape: Shape) -> Shape:
        channels, *lengths = image_shape(self.kind, shape)
        outputs = [channels]
        for length, size in zip(lengths, self.size, strict=True):
            if size > length + 2 * self.padding:
                raise too_large(f"{self.kind}: a window", self.size, lengths, self.padding)
            outputs.append((length + 2 * self.padding - size) // self.stride + 1)
        return tuple(outputs)

    def c_struct(self, shape: Shape) -> dict[str, Any]:
        return {"size": list(self.size), "stride": self.stride, "padding": self.padding}

    def windows(self, x: Floats, y: Floats) -> Windows:
        """How the windows lie on the images of a batch X with outputs Y."""
        before = (self.padding, self.padding)
        return Windows(self.size, self.stride, before, x.shape[2:], y.shape[2:])

    def of_window(self, values: Sequence[float]) -> str:
        """How y is calculated from the values of its window, with their numbers."""
        raise NotImplementedError

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        x, y = arrays["X"], arrays["Y"]
        c, v, u = at = place_of(y, output)
        values = [x[row, c, top, left] for *_, top, left in self.windows(x, y).inside(v, u)]
        return f"{value_name('y', at)} = {self.of_window(values)} = {number(y[row, c, v, u])}"

    def c_sizes(self, shape: Shape, after: Shape) -> tuple[str, ...]:
        window = c_window(self.size, self.stride, self.padding, self.padding)
        return *c_images(shape, after), window

    def c_helper(self, *, libc: bool) -> str:
        return C_WINDOWS

    def onnx_attributes(self, shape: Shape) -> dict[str, Any]:
        return {
            "kernel_shape": self.size,
            "strides": (self.stride, self.stride),
            "pads": (self.padding,) * 4,
        }


def _c_pool(kind: str, start: str, step: str, result: str) -> str:
    """The C function of a pool: a value that starts as one thing, and takes each x of a window."""
    return f"""\
static void {kind}_layer(image in, image out, window k, const float *restrict x,
                             float *restrict y) {{
    for (size_t c = 0; c < out.channels; c++, x += in.height * in.width) {{
        for (size_t v = 0; v < out.height; v++) {{
            const span rows = inside(v * k.stride, k.height, k.top, in.height);
            for (size_t u = 0; u < out.width; u++) {{
                const span columns = inside(u * k.stride, k.width, k.left, in.width);
                float value = {start};
                for (size_t r = 0; r < rows.count; r++) {{
                    const float *from = x + (rows.begin + r) * in.width + columns.begin;
                    for (size_t n = 0; n < columns.count; n++) {{
                        {step}
                    }}
                }}
                *y++ = {result};
            }}
        }}
    }}
}}
"""


class MaxPool2d(_Pool2d):
    """y = the largest x of its window."""

    kind = "max_pool2d"
    onnx_operator = "MaxPool"
    torch_module = "MaxPool2d"

    def of_window(self, values: Sequence[float]) -> str:
        texts = [number(value) for value in values]
        return f"max({', '.join(texts)})" if len(texts) > 1 else texts[0]

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        x, dy = forward["X"], backward["dY"]
        row, c, top, left = at
        windows = self.windows(x, dy)
        around = [(v, u) for *_, v, u in windows.around(top, left)]
        largest = [self._first_largest(x[row, c], windows, *it) == (top, left) for it in around]
        terms = total_of_products([dy[row, c, v, u] for v, u in around], map(int, largest))
        return f"{value_name('dx', at[1:])} = {terms} = {number(backward['dX'][at])}"

    def _first_largest(self, plane: Floats, windows: Windows, v: int, u: int) -> tuple[int, int]:
        """The place in the image of the largest value of a window, the first if there are more."""
        places = [(top, left) for *_, top, left in windows.inside(v, u)]
        return max(places, key=lambda place: float(plane[place]))

    def c_function(self) -> str:
        comment = "/* y = the largest x of each window; x and y are images. */\n"
        start = "x[rows.begin * in.width + columns.begin]"
        step = "if (from[n] > value || from[n] != from[n]) value = from[n];"
        return comment + _c_pool(self.kind, start, step, "value")


class AvgPool2d(_Pool2d):
    """y = the mean of the x of its window, where padding counts as zeros."""

    kind = "avg_pool2d"
    onnx_operator = "AveragePool"
    torch_module = "AvgPool2d"

    def onnx_attributes(self, shape: Shape) -> dict[str, Any]:
        return super().onnx_attributes(shape) | {"count_include_pad": 1}

    def of_window(self, values: Sequence[float]) -> str:
        return f"({total(values)}) / {self.size[0] * self.size[1]}"

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        dy = backward["dY"]
        row, c, top, left = at
        around = self.windows(forward["X"], dy).around(top, left)
        found = [dy[row, c, v, u] for *_, v, u in around]
        text = f"({total(found)}) / {self.size[0] * self.size[1]}"
        return f"{value_name('dx', at[1:])} = {text} = {number(backward['dX'][at])}"

    def c_function(self) -> str:
        comment = "/* y = the mean of each window, in which padding is 0; x and y are images. */\n"
        result = "value / (float)(k.height * k.width)"
        return comment + _c_pool(self.kind, "0.0f", "value += from[n];", result)


class GlobalAvgPool(Layer):
    """y = the mean of a channel: (channels, H, W) becomes (channels,)."""

    kind = "global_avg_pool"
    in_place = False
    needs_images = True
    torch_module = "AdaptiveAvgPool2d"

    def __init__(self) -> None:
        super().__init__()

    def shape_after(self, shape: Shape) -> Shape:
        return image_shape(self.kind, shape)[:1]

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        values = arrays["X"][row, output].ravel()
        y = number(arrays["Y"][row, output])
        return f"y{output} = ({total(values)}) / {len(values)} = {y}"

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        dy, places = factor(backward["dY"][at[:2]]), math.prod(forward["X"].shape[2:])
        value = number(backward["dX"][at])
        return f"{value_name('dx', at[1:])} = {dy} / {places} = {value}"

    def c_sizes(self, shape: Shape, after: Shape) -> tuple[str, ...]:
        return str(shape[0]), str(math.prod(shape[1:]))

    def c_function(self) -> str:
        return """\
/* y (channels) = the means of x (channels, size). */
static void global_avg_pool_layer(size_t channels, size_t size, const float *restrict x,
                                  float *restrict y) {
    for (size_t c = 0; c < channels; c++) {
        float sum = 0.0f;
        for (size_t i = c * size; i < (c + 1) * size; i++) sum += x[i];
        y[c] = sum / (float)size;
    }
}
"""

    def add_to_onnx(
        self,
        graph: OnnxGraph,
        x: str,
        parameters: Sequence[str],
        name: str,
        output: str,
        shape: Shape,
    ) -> None:
        """Add the mean, whose shape is (N, channels, 1, 1), and Flatten."""
        means = graph.add("GlobalAveragePool", [x], f"{name}.means")
        graph.add("Flatten", [means], output, axis=1)


class Flatten(Layer):
    """The same values as a plain row: (channels, H, W) becomes (channels * H * W,)."""

    kind = "flatten"
    is_view = True
    onnx_operator = "Flatten"
    torch_module = "Flatten"

    def __init__(self) -> None:
        super().__init__()

    def shape_after(self, shape: Shape) -> Shape:
        return (math.prod(shape),)
