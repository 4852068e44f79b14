"""Files of older versions: they load, predict and go on with training as they did.

The files are in tests/older_files, made by older versions with the program there. What needs no
arithmetic (parameters, what is saved or exported again) is compared byte for byte everywhere. What
is calculated is compared byte for byte where the instruction set, the BLAS kernel and the compiler
are among those recorded in expected.json. Elsewhere it must be within 1e-5 of the recorded numbers,
since another arithmetic rounds differently.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from older_files.make import (
    CHAINS,
    CONTENTS,
    EXPECTED,
    FIGURES,
    FOLDER,
    RUNS,
    STATES,
    TOLERANCE,
    Array,
    arithmetic,
    checkpoint_file,
    flat,
    model_file,
    sha256,
    train,
)

import pynn

MINUTE = 60
RECORDED: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
HERE = arithmetic()
# OpenBLAS's name for the processor that each kernel in expected.json is for.
CORE_TYPES = {"Katmai": "Prescott", "Nehalem": "Nehalem", "Haswell": "Haswell"}
OTHERS = [
    other
    for other in RECORDED["bytes"]
    if other != HERE and any(kernel in other for kernel in CORE_TYPES)
]


def assert_same(actual: Array, expected: Array, made_with: str) -> None:
    """Compare byte for byte where `expected` was calculated with the arithmetic of this machine."""
    if made_with == HERE:
        assert actual.tobytes() == expected.tobytes()
    np.testing.assert_allclose(actual, expected, TOLERANCE, TOLERANCE)


def without_chance(checkpoint: Path, *, calculated: bool) -> tuple[str, Array]:
    """The header and the tensors of a checkpoint, without the run's id and the epochs' seconds.

    And without the errors of a regression, which the oldest versions do not keep.

    Without the losses as well, where what is calculated is not to be in the header.
    """
    contents = checkpoint.read_bytes()
    end = 8 + int.from_bytes(contents[:8], "little")
    header = json.loads(contents[8:end])
    run = json.loads(header["__metadata__"]["run"])
    run["id"] = ""
    # Newer versions also keep the errors of a regression: behind the seconds, and in an entry.
    run["results"] = [figures[:6] if calculated else [] for figures in run["results"]]
    run.pop("errors", None)
    if not calculated:
        run["sums"] = []
    header["__metadata__"]["run"] = run
    return json.dumps(header), np.frombuffer(contents[end:], np.float32)


@pytest.mark.parametrize("name", CONTENTS)
def test_contents_are_the_same(name: str, tmp_path: Path) -> None:
    """What is read from a file, saved again or exported is the same as in the older version."""
    if name.startswith("onnx"):
        pytest.importorskip("onnx")
    assert sha256(CONTENTS[name](tmp_path)) == RECORDED["contents"][name]


@pytest.mark.parametrize("name", FIGURES)
def test_results_are_the_same(name: str) -> None:
    """Predictions, and parameters after a checkpoint is resumed, are those of the older version."""
    array = FIGURES[name]()
    np.testing.assert_allclose(array, RECORDED["values"][name], TOLERANCE, TOLERANCE)
    digest = RECORDED["bytes"].get(HERE, {}).get(name)
    if digest is not None:
        assert sha256(array.tobytes()) == digest


@pytest.mark.parametrize("other", OTHERS)
def test_results_are_the_same_on_other_processors(other: str, tmp_path: Path) -> None:
    """The same for lower instruction sets and BLAS kernels that this processor has, too."""
    level, blas, _ = other.split(" / ")
    core_type = CORE_TYPES[blas.split()[-1]]
    result = subprocess.run(
        [sys.executable, FOLDER / "make.py", "--print"],
        cwd=tmp_path,
        env=os.environ | {"PYNN_INSTRUCTION_SET": level, "OPENBLAS_CORETYPE": core_type},
        capture_output=True,
        text=True,
        timeout=MINUTE,
    )
    if "PYNN_INSTRUCTION_SET must be what this processor has" in result.stderr:
        pytest.skip(f"this processor has no {level}")
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    if printed["arithmetic"] != other:
        pytest.skip(f"this pynn calculates with {printed['arithmetic']}")
    recorded = RECORDED["bytes"][other]  # which may lack what was added on another processor
    assert {name: printed["figures"][name] for name in recorded} == recorded


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("chain", CHAINS)
def test_model_is_saved_as_the_same_file(chain: str, state: str, tmp_path: Path) -> None:
    """A model that is loaded and saved again is the same file, byte for byte."""
    pynn.load(model_file(chain, state)).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == model_file(chain, state).read_bytes()


@pytest.mark.parametrize("chain", CHAINS)
def test_model_is_built_and_trained_the_same(chain: str) -> None:
    """The same chain, seed and examples give the parameters that the older version saved."""
    made_with = RECORDED["made with"][f"{chain}.trained"]
    for model, state in ((CHAINS[chain].build(), "built"), (train(chain), "trained")):
        assert_same(flat(model), flat(pynn.load(model_file(chain, state))), made_with)


@pytest.mark.parametrize("run", RUNS)
def test_resumed_run_is_the_whole_run(run: str) -> None:
    """A run of the older version that is resumed ends as one that was never interrupted."""
    resumed, its_history = RUNS[run].resume(checkpoint_file(run))
    whole, history = RUNS[run].whole()
    made_with = RECORDED["made with"][run]
    assert_same(flat(resumed), flat(whole), made_with)
    assert resumed.epochs_trained == whole.epochs_trained
    assert resumed.steps_trained == whole.steps_trained
    for figure in ("loss", "accuracy", "val_loss", "val_accuracy"):
        ours, theirs = getattr(its_history, figure), getattr(history, figure)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert_same(np.array(ours), np.array(theirs), made_with)


@pytest.mark.parametrize("run", RUNS)
def test_interrupted_run_is_kept_the_same(run: str, tmp_path: Path) -> None:
    """The same run, interrupted at the same step, gives the same checkpoint but for id and time."""
    RUNS[run].interrupt(tmp_path / "run.checkpoint")
    made_with = RECORDED["made with"][run]
    (ours, tensors), (theirs, their_tensors) = (
        without_chance(file, calculated=made_with == HERE)
        for file in (tmp_path / "run.checkpoint", checkpoint_file(run))
    )
    assert ours == theirs
    assert_same(tensors, their_tensors, made_with)


def test_every_file_is_tested() -> None:
    """Every file and every figure that is kept belongs to a test."""
    known = {model_file(chain, state) for chain in CHAINS for state in STATES}
    known |= {checkpoint_file(run) for run in RUNS}
    assert {file for file in FOLDER.rglob("*.safetensors")} == known
    assert set(RECORDED["contents"]) == set(CONTENTS)
    assert set(RECORDED["values"]) == set(FIGURES)
