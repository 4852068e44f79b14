"""A file of the original Rust library, byte by byte, and models to compare with it."""

from __future__ import annotations

import numpy as np

import pynn

# A network of 2 inputs, 3 units with ReLU and 2 classes, by hand. It has four layers: dense, relu,
# dense, loss; so five dims: the widths 2, 3, 3, 2 that go into each, and the 2 that come out.
SMALL = bytes.fromhex(
    "05000000"  # number of dims
    " 02000000 03000000 03000000 02000000 02000000"
    " 04000000"  # number of layers
    " 00"  # dense
    " 02000000 03000000 03000000"  # 2 inputs, 3 outputs, a bias of 3
    # As float32 1 is 3f800000, 2 is 40000000, and a minus sets the first bit: -1 is bf800000.
    " 0000803f 00000040 000080bf"  # what input 0 adds: 1, 2, -1
    " 00000000 0000803f 00000040"  # input 1: 0, 1, 2
    " 000080bf 00000000 0000803f"  # bias: -1, 0, 1
    " 02"  # relu
    " 00"  # dense
    " 03000000 02000000 02000000"  # 3 inputs, 2 outputs, a bias of 2
    " 0000803f 00000000"  # unit 0: 1, 0
    " 00000000 0000803f"  # unit 1: 0, 1
    " 00000040 000080bf"  # unit 2: 2, -1
    " 00000000 0000803f"  # bias: 0, 1
    " 03"  # softmax cross-entropy
)
# Where things stand in it, from the sizes above.
DIMS, LAYERS, FIRST, RELU_AT, SECOND, LOSS_AT = 4, 24, 28, 77, 78, 123


def with_bytes(at: int, new: bytes, content: bytes = SMALL) -> bytes:
    """A file with some bytes overwritten."""
    return content[:at] + new + content[at + len(new) :]


def build(chain: pynn.LayerBuilder, seed: int = 4) -> pynn.Model:
    """A model whose biases are not all zero."""
    model = chain.softmax_cross_entropy().build(seed=seed)
    rng = np.random.default_rng(seed)
    for name, array in model.parameters.items():
        if name.endswith("bias"):
            array[...] = rng.normal(size=array.shape)
    return model


CHAINS = {
    "one dense": pynn.Builder().input(3).dense(2),
    "a class": pynn.Builder().input(1).dense(1),
    "sigmoid": pynn.Builder().input(5).dense(4, init="xavier").sigmoid().dense(3),
    "no activation": pynn.Builder().input(3).dense(4).dense(2),
    "activations at the ends": pynn.Builder().input(3).relu().dense(4, init="xavier").sigmoid(),
    "two in a row": pynn.Builder().input(6).dense(5).relu().relu().dense(2),
    "the original's": pynn.Builder().input(784).dense(256).relu().dense(64).relu().dense(10),
}
