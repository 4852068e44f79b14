"""The layers, losses and optimizers in NumPy float64, to be read beside the C that they check.

They are written from the equations, not from the C: without tiles, tricks and approximations. Each
function of this folder has a version for each class, by `functools.singledispatch`. The letters are
those of the C sources: X (N, inputs), Y (N, outputs), dX the gradient of the loss with respect to
X, and so on.

Beside a result there are its sizes: for each number the sum of the magnitudes of the terms that it
is computed from. Rounding errors are relative to them, not to the number: where the terms of a sum
cancel, their errors remain. Float32 rounds a term by at most 2^-24 = 6e-8 of it.
"""

from __future__ import annotations

import numpy as np


def single(option: float) -> float:
    """An option as the C library reads it, which keeps the options of layers in float32."""
    return float(np.float32(option))
