"""Exported C of convolutional networks: folded batch_norm, and the memory that they work in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_networks import random_inputs, random_network
from test_export_c import FLAGS, LINUX, STRICT, compile_c, export_all

import pynn


def lenet() -> Any:
    """That of 1998, with ReLU and the largest values: 44,426 parameters."""
    chain: Any = pynn.Builder().input((1, 28, 28))
    chain = chain.conv2d(6, 5, padding="valid").relu().max_pool2d(2)
    chain = chain.conv2d(16, 5, padding="valid").relu().max_pool2d(2)
    return chain.dense(120).relu().dense(84).relu().dense(10).softmax_cross_entropy()


def test_footprint_of_lenet(tmp_path: Path) -> None:
    """The two values that are largest together are 6 x 24 x 24 and 6 x 12 x 12."""
    model = lenet().build()
    report = model.export_c(tmp_path / "lenet.c")
    assert report.weights_nbytes == 4 * 44426
    assert report.static_nbytes == 4 * (6 * 24 * 24 + 6 * 12 * 12) == 17280 < 100_000
    assert report.stack_nbytes == 0
    adds = 150 * 24 * 24 + 2400 * 8 * 8 + 256 * 120 + 120 * 84 + 84 * 10
    assert report.multiply_adds == adds == 281640
    assert repr(report) == (
        "Footprint(177,704 bytes of weights, 17,280 bytes of static memory, 281,640 multiply-adds)"
    )
    header = (tmp_path / "lenet.h").read_text()
    assert "17,280 bytes of static memory, so only one thread" in header
    assert "177,704 bytes" in header


@pytest.mark.skipif(not LINUX, reason="what `size` prints is different elsewhere")
@pytest.mark.parametrize(("flags", "static"), [([], 17280), (["-Dlenet_BUFFER="], 0)])
def test_memory_is_static_or_on_the_stack(flags: list[str], static: int, tmp_path: Path) -> None:
    """As much as the report says, and no more; the program may have it on the stack instead."""
    lenet().build().export_c(tmp_path / "lenet.c")
    compile_c(*STRICT, *flags, "-c", tmp_path / "lenet.c", "-o", tmp_path / "lenet.o")
    sizes = subprocess.run(["size", tmp_path / "lenet.o"], capture_output=True, text=True)
    _, data, bss = map(int, sizes.stdout.splitlines()[1].split()[:3])
    assert data == 0
    assert static <= bss <= static + 64  # rounded up


def test_batch_norm_is_folded(tmp_path: Path) -> None:
    """Into the product before it; anywhere else it is a scale and a shift of its own."""
    chain: Any = pynn.Builder().input((2, 6, 6)).batch_norm().conv2d(4, 3).batch_norm().relu()
    chain = chain.batch_norm().dense(5).dropout(0.5).batch_norm().dense(2)
    model = chain.softmax_cross_entropy().build(seed=1)
    x = np.random.default_rng(0).normal(1, 2, (64, 72)).astype(np.float32)
    model.fit(x, np.arange(64) % 2, epochs=2, batch_size=16)
    exported = export_all({"net": model}, tmp_path, libc=True)["net"]
    code = (tmp_path / "net.c").read_text()
    arrays = re.findall(r"^static const float (\w+)\[\d+\];", code, re.M)
    own = [f"{layer}_{name}" for layer in ("conv2d1", "dense1", "dense2") for name in PRODUCT]
    norms = [f"batch_norm{number}_{name}" for number in (1, 3) for name in ("scale", "shift")]
    assert sorted(arrays) == sorted([*own, *norms, "test_output"])
    assert "/* and batch_norm2 */" in code and "/* and batch_norm4 */" in code
    expected = model(x)
    error = np.abs(exported.predict(x) - expected).max()
    assert error <= 1e-6 * max(1.0, np.abs(expected).max())
    assert exported.function("self_test")() == 0


PRODUCT = ("weight", "bias")


@pytest.mark.parametrize("libc", [True, False])
def test_a_pool_may_be_first(libc: bool, tmp_path: Path) -> None:
    """Bytes become floats in the buffer then, beside what the pool writes."""
    chain: Any = pynn.Builder().input((2, 5, 4)).max_pool2d(3, stride=1, padding=1).flatten()
    models = {
        "two": chain.dense(2).softmax_cross_entropy().build(seed=1),
        "one": pynn.Builder().input((2, 4, 4)).avg_pool2d(2).conv2d(1, 1).mean_squared_error(),
    }
    models["one"] = models["one"].build(seed=2)
    for network in export_all(models, tmp_path, libc=libc).values():
        for x in random_inputs(network.model, 9):
            np.testing.assert_allclose(network.predict(x), network.model(x), rtol=1e-6, atol=1e-6)


SEEDS = [seed for seed in range(2, 60, 3)]


def test_no_access_is_out_of_bounds(tmp_path: Path) -> None:
    """The compiler's checks of addresses and of arithmetic find nothing in 20 networks."""
    models = {f"net{seed}": random_network(seed) for seed in SEEDS}
    calls = ""
    for name, model in models.items():
        model.export_c(tmp_path / f"{name}.c", libc=False)
        calls += f'#include "{name}.h"\n'
    tests = " + ".join(f"{name}_self_test()" for name in models)
    (tmp_path / "main.c").write_text(f"{calls}int main(void) {{ return {tests}; }}\n")
    sources = [tmp_path / "main.c", *(tmp_path / f"{name}.c" for name in models)]
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover", "-g0"]
    compile_c(*STRICT, *checks, *sources, "-o", tmp_path / "main")
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_not_a_number_stays_one(tmp_path: Path) -> None:
    """NaN in a pixel is in the largest value and in the mean of each window with that pixel."""
    start = pynn.Builder().input((1, 2, 2))
    pools = {"largest": start.max_pool2d(2), "mean": start.avg_pool2d(2)}
    models = {name: pool.dense(1).mean_squared_error().build() for name, pool in pools.items()}
    for network in export_all(models, tmp_path, libc=True).values():
        for place in range(4):
            x = np.ones((1, 4), np.float32)
            x[0, place] = np.nan
            assert np.isnan(network.predict(x)).all()


def test_freestanding_asks_for_nothing(tmp_path: Path) -> None:
    """No function of any library, with every kind of layer of images in the file."""
    chain: Any = pynn.Builder().input((2, 8, 8)).conv2d(4, 3, groups=2).batch_norm().tanh()
    chain = chain.max_pool2d(2).avg_pool2d(2).conv2d(3, 1).batch_norm().global_avg_pool()
    chain.batch_norm().dense(2).softmax_cross_entropy().build().export_c(
        tmp_path / "model.c", libc=False
    )
    for optimization in ("-O0", "-O3"):
        flags = [*FLAGS[False], optimization, "-fPIC", "-shared"]
        compile_c(*flags, tmp_path / "model.c", "-o", tmp_path / "model.so")
