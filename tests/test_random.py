"""Initial weights and permutations, made a second time in NumPy from the generator's definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pynn._native import library
from pynn._native.network import Network
from pynn._network.layers.activations import Relu
from pynn._network.layers.dense import Dense
from pynn._network.losses import SoftmaxCrossEntropy
from pynn._network.parameters import views
from pynn._network.spec import Spec

Words = npt.NDArray[np.uint64]
MASK = np.uint64(0xFFFFFFFF)


def philox_words(seed: int, stream: int, count: int) -> Words:
    """The first `count` 32-bit words of a stream: Philox4x32-10 of all blocks at once."""
    block = np.arange(-(-count // 4), dtype=np.uint64)
    c0, c1 = block & MASK, block >> np.uint64(32)
    c2 = np.full_like(block, stream & 0xFFFFFFFF)
    c3 = np.full_like(block, stream >> 32)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), p1 & MASK
        c2, c3 = (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).ravel()[:count]


def uniform(words: Words, low: float, high: float) -> npt.NDArray[np.float32]:
    """Uniform draws in [low, high), of float32 bounds, from the words' upper 24 bits."""
    u = (words >> np.uint64(8)) / 2.0**24
    draws: npt.NDArray[np.float32] = (low * (1.0 - u) + high * u).astype(np.float32)
    return draws.clip(max=np.nextafter(np.float32(high), np.float32(low)))


def normal(words: Words, deviation: float) -> npt.NDArray[np.float64]:
    """Normal draws, one from each of an even number of words, by Box and Muller."""
    radius = np.sqrt(-2.0 * np.log((words[::2] + 1.0) / 2.0**32))
    angle = math.pi / 2.0 * (words[1::2] / 2.0**30 - 0.5)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return deviation * pairs.ravel()


def permutation(seed: int, stream: int, count: int) -> tuple[list[int], int]:
    """Fisher and Yates with Lemire's indices; also how many words were rejected."""
    words = iter(philox_words(seed, stream, count + 100).tolist())
    order, rejected = list(range(count)), 0
    for bound in range(count, 1, -1):
        product = next(words) * bound
        while product % 2**32 < 2**32 % bound:
            rejected += 1
            product = next(words) * bound
        pick = product >> 32
        order[pick], order[bound - 1] = order[bound - 1], order[pick]
    return order, rejected


def initialize(init: Any, seed: int) -> list[npt.NDArray[np.float32]]:
    """W and b of a 30-17-4 network as the C library draws them."""
    spec = Spec((30,), (Dense(17, init), Relu(), Dense(4, init)), SoftmaxCrossEntropy())
    flat = Network(spec).initialize(seed)
    return [view.of(flat).ravel() for view in views(spec)]


SEEDS = [0, 1, 2**32 - 1, 2**32, 0x299F31D0A4093822, 2**64 - 1]


def test_philox_words_are_the_published_ones() -> None:
    """The NumPy twin gives the published answer for counter and key 0."""
    expected = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox_words(0, 0, 4).tolist() == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_xavier_weights(seed: int) -> None:
    """Dense layer k has uniform draws of stream k in +-sqrt(6 / (I + O)), to the bit; no bias."""
    w0, b0, w1, b1 = initialize("xavier", seed)
    for stream, (weights, shape) in enumerate([(w0, (30, 17)), (w1, (17, 4))]):
        limit = float(np.float32(math.sqrt(6.0 / sum(shape))))
        words = philox_words(seed, stream, math.prod(shape))
        np.testing.assert_array_equal(weights, uniform(words, -limit, limit))
    assert not b0.any()
    assert not b1.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_he_weights(seed: int) -> None:
    """Dense layer k has normal draws of stream k, variance 2 / I, to three roundings; no bias."""
    w0, b0, w1, b1 = initialize("he", seed)
    for stream, (weights, shape) in enumerate([(w0, (30, 17)), (w1, (17, 4))]):
        words = philox_words(seed, stream, math.prod(shape))
        expected = normal(words, math.sqrt(2.0 / shape[0]))
        np.testing.assert_allclose(weights, expected, rtol=3 * 2.0**-24, atol=1e-10)
    assert not b0.any()
    assert not b1.any()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 1000])
@pytest.mark.parametrize("seed", SEEDS)
def test_permutation(seed: int, count: int) -> None:
    """Permutations are those of the definition, on streams of 64 bits."""
    for stream in (0, 2**40 + 3):
        expected, _ = permutation(seed, stream, count)
        assert library.permutation(seed, stream, count).tolist() == expected
        assert sorted(expected) == list(range(count))


def test_permutation_with_rejections() -> None:
    """An epoch of 60,000 whose words include ones that would bias an index."""
    expected, rejected = permutation(0, 0, 60000)
    assert rejected > 0
    assert library.permutation(0, 0, 60000).tolist() == expected
