"""The C library on its own: built, installed and used as a program in another language would."""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_int32, c_size_t, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import pynn

ROOT = Path(__file__).parent.parent
DARWIN = sys.platform == "darwin"
CC = shlex.split(os.environ.get("CC", "cc"))

PROGRAM = """
#include <pynn.h>
#include <stdio.h>

int main(void) {
    const uint8_t file[] = {0, 0, 0x08, 1, 0, 0, 0, 2, 7, 9};
    pynn_idx idx;
    if (pynn_idx_parse(file, sizeof file, &idx) != PYNN_OK) return 1;
    const pynn_layer layers[] = {{.kind = PYNN_DENSE, .dense = {3, PYNN_INIT_HE}}};
    pynn_network *network;
    const pynn_loss loss = {.kind = PYNN_SOFTMAX_CROSS_ENTROPY};
    if (pynn_network_create(NULL, 2, layers, 1, &loss, &network) != PYNN_OK) return 2;
    printf("%s %s %zu %zu\\n", pynn_version(), pynn_blas_name(), idx.dims[0],
           pynn_network_parameter_count(network));
    float weights[9] = {0, 0, 0, 0, 0, 0, 1, 2, 4}, logits[3];
    const float features[2] = {1, 1};
    const pynn_data data = {.features = features, .feature_type = PYNN_FEATURES_FLOAT32, .rows = 1};
    pynn_workspace *workspace;
    if (pynn_workspace_create(NULL, network, NULL, 1, &workspace) != PYNN_OK) return 3;
    if (pynn_predict(workspace, &data, 0, 1, weights, PYNN_LOGITS, logits) != PYNN_OK) return 4;
    printf("%g %g %g\\n", logits[0], logits[1], logits[2]);
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
    return 0;
}
"""


class Installed(NamedTuple):
    """Where `meson install` put the library."""

    libdir: Path
    shared: Path
    static: Path
    blas: str


def run(*command: object, **environment: str) -> str:
    """Run a command with this environment's programs in front; its output, or what went wrong."""
    path = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]
    result = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "PATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, f"{shlex.join(map(str, command))}:\n{result.stdout}"
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The library, built with the default options and installed."""
    build = tmp_path_factory.mktemp("build")
    prefix = tmp_path_factory.mktemp("prefix")
    meson = [sys.executable, "-m", "mesonbuild.mesonmain"]
    run(*meson, "setup", build, ROOT, "-Dpython=disabled", f"--prefix={prefix}", "--libdir=lib")
    run(*meson, "install", "-C", build)
    libdir = prefix / "lib"
    blas = "accelerate" if DARWIN else pynn.build_info()["blas"]
    return Installed(
        libdir, libdir / ("libpynn.dylib" if DARWIN else "libpynn.so"), libdir / "libpynn.a", blas
    )


class Idx(ctypes.Structure):
    _fields_ = [
        ("type", c_int),
        ("item_nbytes", c_size_t),
        ("item_count", c_size_t),
        ("payload_offset", c_size_t),
        ("ndim", c_size_t),
        ("dims", c_size_t * 255),
    ]


class Dense(ctypes.Structure):
    _fields_ = [("outputs", c_size_t), ("init", c_int)]


class Conv2d(ctypes.Structure):
    _fields_ = [
        ("filters", c_size_t),
        ("size", c_size_t * 2),
        ("stride", c_size_t),
        ("before", c_size_t * 2),
        ("after", c_size_t * 2),
        ("groups", c_size_t),
        ("init", c_int),
    ]


class LayerOptions(ctypes.Union):
    _fields_ = [("dense", Dense), ("conv2d", Conv2d), ("slope_or_rate", c_float)]


class Layer(ctypes.Structure):
    _fields_ = [("kind", c_int), ("frozen", c_int), ("options", LayerOptions)]


class Loss(ctypes.Structure):
    _fields_ = [("kind", c_int), ("label_smoothing", c_float)]


class Data(ctypes.Structure):
    _fields_ = [
        ("features", c_void_p),
        ("feature_type", c_int),
        ("rows", c_size_t),
        ("labels", POINTER(c_int32)),
        ("path", c_int),
        ("targets", POINTER(c_float)),
        ("weights", POINTER(c_float)),
        ("augmentation", c_void_p),
    ]


class Sums(ctypes.Structure):
    _fields_ = [
        ("loss", c_double),
        ("correct", c_size_t),
        ("rows", c_size_t),
        ("errors", POINTER(c_double)),
    ]


class SGD(ctypes.Structure):
    _fields_ = [("momentum", c_double), ("nesterov", c_int), ("keeps_speed", c_int)]


class Adam(ctypes.Structure):
    _fields_ = [("beta1", c_double), ("beta2", c_double), ("eps", c_double)]


class OptimizerOptions(ctypes.Union):
    _fields_ = [("sgd", SGD), ("adam", Adam)]


class Optimizer(ctypes.Structure):
    _fields_ = [
        ("kind", c_int),
        ("learning_rate", c_double),
        ("learning_rates", POINTER(c_double)),
        ("weight_decay", c_double),
        ("max_norm", c_double),
        ("options", OptimizerOptions),
    ]


@pytest.fixture
def library(installed: Installed) -> ctypes.CDLL:
    """The installed shared library, loaded."""
    library = ctypes.CDLL(str(installed.shared))
    for name in ("pynn_version", "pynn_blas_name", "pynn_status_message"):
        getattr(library, name).restype = c_char_p
    library.pynn_network_parameter_count.restype = c_size_t
    library.pynn_network_destroy.restype = None
    library.pynn_workspace_destroy.restype = None
    return library


def test_the_library_knows_what_it_is(library: ctypes.CDLL, installed: Installed) -> None:
    """Version and BLAS are those of the Python package, which was made by the same build files."""
    assert library.pynn_version().decode() == pynn.__version__
    assert library.pynn_blas_name().decode() == installed.blas


def test_every_status_has_a_message(library: ctypes.CDLL) -> None:
    """The header's statuses have a message each, and no other value has one."""
    header = (ROOT / "csrc/pynn.h").read_text()
    body = re.search(r"typedef enum pynn_status \{(.*?)\} pynn_status;", header, re.S)
    assert body
    values = [int(value) for value in re.findall(r"PYNN_\w+ = (\d+),", body[1])]
    messages = [library.pynn_status_message(value).decode() for value in values]
    assert len(messages) > 10
    assert len(set(messages)) == len(messages)
    assert "unknown status" not in messages
    assert library.pynn_status_message(9999) == b"unknown status"


def test_exactly_the_functions_of_the_header_are_exported(installed: Installed) -> None:
    """Nothing internal leaks out of the shared library, and nothing declared is missing."""
    nm = ["nm", "-gU"] if DARWIN else ["nm", "--dynamic", "--defined-only"]
    exported = {
        line.split()[-1].removeprefix("_" if DARWIN else "")
        for line in run(*nm, installed.shared).splitlines()
    }
    header = (ROOT / "csrc/pynn.h").read_text()
    declared = set(re.findall(r"^PYNN_API [^;]*?\b(pynn_\w+)\(", header, re.M))
    assert len(declared) > 20
    assert exported == declared


def test_ctypes_parses_an_idx_buffer(library: ctypes.CDLL) -> None:
    """A (2, 3) int16 file comes out with its shape and, decoded, with its numbers."""
    values = np.array([[1, -2, 3], [400, -500, 32767]], ">i2")
    file = bytes([0, 0, 0x0B, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + values.tobytes()
    idx = Idx()
    assert library.pynn_idx_parse(file, c_size_t(len(file)), byref(idx)) == 0
    assert (idx.type, idx.item_nbytes, idx.item_count, idx.payload_offset) == (0x0B, 2, 6, 12)
    assert idx.dims[: idx.ndim] == [2, 3]
    decoded = np.empty((2, 3), np.int16)
    library.pynn_idx_decode(file, byref(idx), decoded.ctypes.data_as(c_void_p))
    np.testing.assert_array_equal(decoded, values)
    truncated = library.pynn_idx_parse(file, c_size_t(len(file) - 1), byref(idx))
    assert b"shorter" in library.pynn_status_message(truncated)


def test_ctypes_trains_a_network(library: ctypes.CDLL) -> None:
    """Two epochs of steps on three separable classes lower the loss and get every example right."""
    classes = np.arange(60) % 3
    features = (np.eye(3)[classes] * 200 + np.arange(60)[:, None] % 50).astype(np.uint8)
    labels = classes.astype(np.int32)
    data = Data(features.ctypes.data, 1, len(features), labels.ctypes.data_as(POINTER(c_int32)))
    dense_8, dense_3 = (LayerOptions(Dense(outputs, init)) for outputs, init in ((8, 1), (3, 2)))
    layers = (Layer * 3)(Layer(1, 0, dense_8), Layer(2), Layer(1, 0, dense_3))

    network = c_void_p()
    workspace = c_void_p()
    assert (
        library.pynn_network_create(
            None, c_size_t(3), layers, c_size_t(3), byref(Loss(1)), byref(network)
        )
        == 0
    )
    assert library.pynn_workspace_create(None, network, None, c_size_t(8), byref(workspace)) == 0
    assert library.pynn_network_parameter_count(network) == 3 * 8 + 8 + 8 * 3 + 3
    parameters = np.empty(3 * 8 + 8 + 8 * 3 + 3, np.float32)
    p: Any = parameters.ctypes.data_as(POINTER(c_float))
    assert library.pynn_network_initialize(network, ctypes.c_uint64(3), p) == 0

    def evaluate() -> Sums:
        sums = Sums()
        status = library.pynn_evaluate(
            workspace, byref(data), c_size_t(0), c_size_t(60), p, byref(sums)
        )
        assert status == 0
        assert sums.rows == 60
        return sums

    before = evaluate()
    for _ in range(40):
        sums = Sums()
        status = library.pynn_train(
            workspace, byref(data), None, c_size_t(60), c_size_t(8), c_size_t(0), c_size_t(8),
            byref(Optimizer(1, 0.5)), None, p, byref(sums),
        )  # fmt: skip
        assert status == 0
        assert sums.rows == 60  # the last batch has 4 rows
    after = evaluate()
    assert after.loss < before.loss / 4
    assert after.correct == 60

    library.pynn_workspace_destroy(workspace)
    library.pynn_network_destroy(network)


@pytest.mark.parametrize("linkage", ["shared", "static"])
def test_a_c_program_is_built_with_the_pkg_config_file(
    installed: Installed, tmp_path: Path, linkage: str
) -> None:
    """The flags of pynn.pc compile, link and run a program, against either library."""
    source = tmp_path / "program.c"
    source.write_text(PROGRAM)
    pkgconf = [sys.executable, "-m", "pkgconf", *(["--static"] if linkage == "static" else [])]
    search = str(installed.libdir / "pkgconfig")
    flags = shlex.split(run(*pkgconf, "--cflags", "--libs", "pynn", PKG_CONFIG_PATH=search))
    if linkage == "static":
        # Linkers prefer the shared library of two in one folder.
        flags[flags.index("-lpynn")] = str(installed.static)
    program = tmp_path / "program"
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    run(*CC, *warnings, source, "-o", program, *flags, f"-Wl,-rpath,{installed.libdir}")

    assert (b"libpynn." in program.read_bytes()) == (linkage == "shared")
    output = run(program)
    assert output == f"{pynn.__version__} {installed.blas} 2 9\n1 2 4\n"


def test_the_installed_library_runs_from_where_it_was_moved(
    installed: Installed, tmp_path: Path
) -> None:
    """The shared library finds the BLAS beside it, not the one in the build folder."""
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in installed.libdir.glob("lib*"):
        (moved / file.name).write_bytes(file.read_bytes())
    code = (
        "import ctypes, sys, threadpoolctl\n"
        "ctypes.CDLL(sys.argv[1])\n"
        "print(*[pool['filepath'] for pool in threadpoolctl.threadpool_info()], sep='\\n')"
    )
    loaded = run(sys.executable, "-c", code, moved / installed.shared.name).split()
    if installed.blas == "scipy-openblas":
        assert loaded == [str(moved / "libscipy_openblas_pynn.so")]
    else:
        assert not [path for path in loaded if "libscipy_openblas_pynn" in path]
