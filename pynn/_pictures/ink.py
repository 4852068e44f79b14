"""Find the ink in a picture: the pixels whose colour is far from the paper's, darker or lighter.

Paper in a picture does not have one colour: the light decreases to one side, or from the middle to
the corners. It changes smoothly, while ink has edges. So the colour of the paper is a polynomial in
x and y, fitted to the pixels that are nearer to it than the ink is. Light multiplies the colour of
what it falls on, so the polynomial gives the logarithm of the colour.
"""

import numpy as np
import numpy.typing as npt

MIN_CONTRAST = 0.08  # the least contrast of ink and paper, of 1; with less a picture is blank
EVEN = 0.01  # the contrast within paper that is lit evenly, of 1
CELLS = 48  # the longer side of the grid of means that the paper is fitted to
BLACK = np.float32(0.1)  # added before the logarithm, which would make noise in black large
DIMMEST = np.float32(0.2)  # of the brightest light; ink in less light is not scaled up further
DEGREE = 4  # of the paper's polynomial; the light fall-off of a lens has an x^4 term

Floats = npt.NDArray[np.float32]


class PictureError(Exception):
    """A picture that cannot be used; the message says why."""


def find_ink(pixels: Floats) -> Floats:
    """Return the ink (height, width), 0..1, in each of the pixels (height, width, channels).

    A pixel whose distance from the paper is within the noise of the border is paper, 0. The typical
    distance of a stroke is ink, 1. Edges lie between. Distances are divided by the light at their
    place.

    Raises:
        PictureError: Nothing stands out from the paper.
    """
    paper = _paper(pixels)
    distance = np.abs(pixels - paper).max(axis=2)
    border = np.concatenate([distance[0], distance[-1], distance[1:-1, 0], distance[1:-1, -1]])
    noise = float(min(4 * quantile(border, 0.5), quantile(border, 0.9)))
    beyond = distance > max(noise, MIN_CONTRAST / 2)
    if beyond.any():
        light = paper.max(axis=2)
        light /= max(light.max(), MIN_CONTRAST)
        ink = (distance - noise) / np.maximum(light, DIMMEST)
        stroke = beyond & (ink >= _cut(ink[beyond]))
        if float(quantile(distance[stroke], 0.5)) >= max(MIN_CONTRAST, 2 * noise):
            return np.asarray(np.clip(ink / quantile(ink[stroke], 0.5), 0, 1), np.float32)
    raise PictureError("blank: no digit stands out from the paper")


def _paper(pixels: Floats) -> Floats:
    """Return the colour of the paper behind each of the pixels (height, width, channels).

    First a plane and then a surface of degree 2 are fitted to the half of the border's cells that
    fits best, because a digit may touch the border at some places. Then surfaces are fitted to all
    cells that are nearer to the last surface than the ink is.
    """
    height, width, channels = pixels.shape
    cell = -(-max(height, width) // CELLS)
    means = np.log(_means(pixels, cell) + BLACK)
    rows, columns = means.shape[:2]
    colours = means.reshape(-1, channels)
    y, x = _legendre(rows, cell / height), _legendre(columns, cell / width)
    terms = np.einsum("ri,cj->rcij", y, x).reshape(rows * columns, -1)
    on_border = np.ones((rows, columns), bool)
    on_border[1:-1, 1:-1] = False
    border = on_border.ravel()

    fit = np.zeros((terms.shape[1], channels), np.float32)
    fit[0] = quantile(colours[border], 0.5)
    for degree, everywhere in [(1, False), (2, False), (2, True), (DEGREE, True)]:
        for _ in range(5):
            off = np.abs(colours - terms @ fit).max(axis=1)
            if everywhere:
                far = off > max(_cut(off), MIN_CONTRAST)
                clear = ~_widened(far.reshape(rows, columns)).ravel()
                near = clear if clear.sum() > terms.shape[1] else ~far
            else:
                near = border & (off <= quantile(off[border], 0.5))
            fit = _fit(terms, colours, near, degree)
    seen = colours[near]
    off = np.abs(colours - terms @ fit).max(axis=1)[near]
    plain = off <= max(4 * quantile(off, 0.5), EVEN)  # without the edges of ink
    fit = _fit(terms[near], seen, plain, DEGREE)
    of_channels = fit.T.reshape(channels, DEGREE + 1, DEGREE + 1)
    y, x = _legendre(height, 1 / height), _legendre(width, 1 / width)
    surface = np.moveaxis(y @ of_channels @ x.T, 0, -1)
    # Under the ink nothing determines the surface: limit it to the colours that are seen elsewhere.
    surface = np.clip(surface, seen.min(axis=0), seen.max(axis=0))
    return np.asarray(np.exp(surface) - BLACK, np.float32)


def _fit(terms: Floats, colours: Floats, near: npt.NDArray[np.bool_], degree: int) -> Floats:
    """Fit the terms up to a degree to the colours of the near cells; return all coefficients.

    A coefficient that these cells do not determine, such as the slope along x if all lie on the
    left, is held near 0.
    """
    powers = np.add.outer(np.arange(DEGREE + 1), np.arange(DEGREE + 1)).ravel()
    used = powers <= degree
    chosen = terms[near][:, used]
    ridge = np.diag(np.float32(1e-3) * len(chosen) * (powers[used] > 0))
    fit = np.zeros((len(powers), colours.shape[1]), np.float32)
    fit[used] = np.linalg.solve(chosen.T @ chosen + ridge, chosen.T @ colours[near])
    return fit


def _legendre(count: int, step: float) -> Floats:
    """Return Legendre's polynomials of degree 0 to DEGREE, (count, DEGREE + 1), along one side.

    They are evaluated in the middle of each of `count` steps; `step` is the length of a step, as a
    share of the picture's side.
    """
    t = (2 * np.arange(count, dtype=np.float32) + 1) * np.float32(step) - 1
    values = [np.ones_like(t), t]
    for n in range(1, DEGREE):
        values.append(((2 * n + 1) * t * values[n] - n * values[n - 1]) / (n + 1))
    return np.asarray(np.stack(values, axis=1), np.float32)


def _means(pixels: Floats, cell: int) -> Floats:
    """Return the mean of each square of pixels; squares beyond an edge repeat the edge's pixels."""
    height, width, channels = pixels.shape
    padded = np.pad(pixels, [(0, -height % cell), (0, -width % cell), (0, 0)], mode="edge")
    rows, columns = padded.shape[0] // cell, padded.shape[1] // cell
    squares = padded.reshape(rows, cell, columns, cell, channels)
    return np.asarray(squares.mean(axis=1).mean(axis=2), np.float32)


def _widened(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Add to a mask the cells beside it."""
    wide = np.pad(mask, 1)
    wide = wide[:-2] | wide[1:-1] | wide[2:]
    return wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]


def _cut(values: Floats) -> float:
    """Return the cut that lies halfway between the means of both its sides; one value is above.

    Found by repetition (Ridler and Calvard 1978), which lands near Otsu's cut without a histogram.
    """
    cut = float(values.mean())
    for _ in range(20):
        lower = values[values < cut]
        upper = values[values >= min(cut, values.max())]  # the mean of equal values may round up
        before, cut = cut, float(lower.mean() + upper.mean()) / 2 if len(lower) else cut
        if cut == before:
            break
    return min(cut, float(values.max()))


def quantile(values: Floats, share: float) -> Floats:
    """Do what np.quantile does along the first axis, without its slow import of numpy.ma."""
    ordered = np.sort(values, axis=0)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return np.asarray(ordered[low] + (ordered[high] - ordered[low]) * (place - low), values.dtype)
