"""What reads a file or a folder by its name alone, for the tests of all such functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynn
from pynn.formats import nn_rust

READERS: dict[str, Callable[[Any], object]] = {
    "load": pynn.load,
    "resume": pynn.Model.resume,
    "read_idx": pynn.datasets.read_idx,
    "datasets.load": pynn.datasets.load,
    "mnist": pynn.datasets.mnist,
    "nn_rust": nn_rust.load,
}
