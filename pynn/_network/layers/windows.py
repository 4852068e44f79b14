"""What layers have in common that look at windows of an image: convolutions and pools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pynn._base import checks
from pynn._base.errors import ArgumentError
from pynn._network.layers import MAX_WIDTH, Shape

Place = tuple[int, int, int, int]


class Windows(NamedTuple):
    """How windows lie on an image; places are (row, column)."""

    size: tuple[int, int]
    stride: int
    before: tuple[int, int]
    """The padding above and left of the image."""
    image: tuple[int, ...]
    """Its height and width."""
    outputs: tuple[int, ...]
    """How many windows there are, one below the other and side by side."""

    def inside(self, v: int, u: int) -> Iterator[Place]:
        """Of the window of output (v, u), each place (i, j) inside the image, and where it is."""
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                y = v * self.stride + i - self.before[0]
                x = u * self.stride + j - self.before[1]
                if 0 <= y < self.image[0] and 0 <= x < self.image[1]:
                    yield i, j, y, x

    def around(self, y: int, x: int) -> Iterator[Place]:
        """Of the place (y, x) of the image, each window (v, u) with it, at place (i, j) of it."""
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                v, below = divmod(y + self.before[0] - i, self.stride)
                u, beside = divmod(x + self.before[1] - j, self.stride)
                within = 0 <= v < self.outputs[0] and 0 <= u < self.outputs[1]
                if within and not below and not beside:
                    yield i, j, v, u


def pair(name: str, value: object) -> tuple[int, int]:
    """Check a height and a width: two integers from 1 on, or one for both."""
    sides: Sequence[object] = (value, value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            got = f"{len(value)} of them" if value else "none"
            raise ArgumentError(f"{name} must be an integer, or a height and a width, got {got}")
        sides = value
    height, width = (checks.integer(name, side, least=1, most=MAX_WIDTH // 4) for side in sides)
    return height, width


def too_large(
    what: str, size: Sequence[int], lengths: Sequence[int], padding: object
) -> ArgumentError:
    """The error of a window that does not fit into the image."""
    hint = ""
    if lengths[1] in (1, 3) and lengths[0] >= 8:  # a photo whose channels came last
        hint = "; the order of a shape is (channels, height, width)"
    return ArgumentError(
        f"{what} of {size[0]} x {size[1]} is larger than the image, which is {lengths[0]} x"
        f" {lengths[1]}, with padding {padding!r}{hint}"
    )


def shown_size(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with one number for the size where height and width are the same."""
    height, width = arguments["size"]
    return arguments | {"size": height if height == width else (height, width)}


def c_images(shape: Shape, after: Shape) -> tuple[str, str]:
    """The C structs of the images before and behind a layer."""
    before, behind = (f"(image){{{', '.join(map(str, lengths))}}}" for lengths in (shape, after))
    return before, behind


def c_window(size: Sequence[int], stride: int, top: int, left: int) -> str:
    """The C struct of the windows of a layer."""
    return f"(window){{{size[0]}, {size[1]}, {stride}, {top}, {left}}}"


C_WINDOWS = """\
/* The sizes of an image, which is stored channel by channel, and each channel row by row. */
typedef struct {
    size_t channels, height, width;
} image;

/* The size of a window, how far it moves, and how much padding is above and left of the image. */
typedef struct {
    size_t height, width, stride, top, left;
} window;

/* The part of a window that is inside the image, along one of its sides: how many places of the
 * window come before it, where it begins in the image, and how long it is. */
typedef struct {
    size_t skipped, begin, count;
} span;

/* `first` is where the window begins, counted from the beginning of the padding. */
static span inside(size_t first, size_t size, size_t padding, size_t length) {
    span s;
    s.skipped = first < padding ? padding - first : 0;
    s.begin = first + s.skipped - padding;
    s.count = 0;
    if (s.skipped < size && s.begin < length) {
        s.count = size - s.skipped;
        if (s.count > length - s.begin) s.count = length - s.begin;
    }
    return s;
}
"""
"""C for all layers with windows."""
