"""The instruction set of pynn's own loops: the processor's best, or a lower one if asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pynn
from pynn._native import library

BEST = pynn.build_info()["instruction_set"]
LOWER = library.LEVELS[: library.LEVELS.index(BEST)] if BEST in library.LEVELS else ()
MINUTE = 60

# Prints the level, the loss with a sparse first layer, and the loss with every activation.
PROGRAM = """if True:
    import json
    import numpy as np
    import pynn

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 150)).astype(np.float32)
    x[rng.random(x.shape) < 0.9] = 0
    y = rng.integers(0, 3, 300)
    wide = pynn.Builder().input(150).dense(135).relu().dense(3)
    deep = pynn.Builder().input(150).dense(9).sigmoid().dense(8).tanh().dense(7).gelu()
    deep = deep.dense(6).leaky_relu().dropout(0.1).dense(3)
    figures = {"level": pynn.build_info()["instruction_set"]}
    for name, chain, optimizer in (
        ("wide", wide, pynn.SGD(learning_rate=0.1)),
        ("deep", deep, pynn.Adam(learning_rate=0.01)),
    ):
        model = chain.softmax_cross_entropy().build(seed=0)
        model.fit(x, y, epochs=3, batch_size=32, optimizer=optimizer)
        figures[name] = model.evaluate(x, y).loss
    print(json.dumps(figures))
"""


def run(program: str, folder: Path, level: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own, away from the sources."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | {"PYNN_INSTRUCTION_SET": level},
        capture_output=True,
        text=True,
        timeout=MINUTE,
    )


@pytest.mark.parametrize("level", [*LOWER, BEST])
def test_every_level_trains_alike(level: str, tmp_path: Path) -> None:
    """Each level of the processor can be forced, and gives the same losses but for rounding."""
    figures = json.loads(run(PROGRAM, tmp_path, level).stdout)
    expected = json.loads(run(PROGRAM, tmp_path, "").stdout)
    assert figures.pop("level") == level
    assert expected.pop("level") == BEST
    assert figures == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("wish", ["x86-64-v5", "avx2", "\x1b[2J"])
def test_unknown_level_is_an_error(wish: str, tmp_path: Path) -> None:
    """A level that the processor does not have stops the import, and says which there are."""
    result = run("import pynn", tmp_path, wish)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert BEST in last
    assert last.endswith(f"is {wish!r}; correct it or unset it")
