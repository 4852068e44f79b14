"""Exported C: it compiles without a warning, and calculates what the model does."""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from random_networks import (
    ACTIVATIONS,
    LOSSES,
    OF_FEATURES,
    OF_IMAGES,
    kinds_in,
    random_inputs,
    random_network,
    unknown_layer,
)

import pynn
from pynn.formats import _c_files, _c_functions
from pynn.formats.c import Footprint

CC = shlex.split(os.environ.get("CC", "cc"))
# The many are compiled with -O1, which takes two thirds of the time of -O2.
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]
LINUX = sys.platform == "linux"
# Linked with nothing, and complete all the same. (macOS cannot do without its system library.)
ALONE = ["-fno-stack-protector", "-nostdlib", "-Wl,-z,defs"] if LINUX else []
FLAGS = {True: STRICT, False: [*STRICT, "-ffreestanding", *ALONE]}
LIBRARIES = {True: ["-lm"], False: []}

NETWORKS = 50
FUNCTIONS = [kind for kind in ACTIVATIONS if kind not in ("dropout", "flatten")]
HARD = [0.0, -0.0, 1.0, 1e-45, -1e-45, 1.17549421e-38, 1.17549435e-38, 3.40282347e38, -1e10]
HARD += [0.1, 1 / 3, 16777216.0, 1e9, 123456789.0, 7e-10]
HARD += [1023.99994, 1023.99988]  # neighbours that eight digits do not tell apart


def compile_c(*arguments: object) -> None:
    """Run the compiler; what it says is the failure."""
    command = [*CC, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr[-5000:]}"
    assert done.stderr == ""


class Exported(NamedTuple):
    """A model and its functions, called with arrays."""

    model: pynn.Model
    library: ctypes.CDLL
    name: str

    def function(self, verb: str) -> Any:
        return getattr(self.library, f"{self.name}_{verb}")

    def predict(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The outputs for each row, by the function for its dtype."""
        verb = "predict_bytes" if rows.dtype == np.uint8 else "predict"
        out = np.full((len(rows), self.model.outputs + 1), 7, np.float32)
        for row, result in zip(rows, out, strict=True):
            self.function(verb)(
                ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(result.ctypes.data)
            )
        assert (out[:, -1] == 7).all(), "written past the end"
        return out[:, :-1]


def export_all(models: dict[str, pynn.Model], folder: Path, *, libc: bool) -> dict[str, Exported]:
    """Export models under their names, and load one library of them all."""
    for name, model in models.items():
        model.export_c(folder / f"{name}.c", libc=libc)
    library = folder / "all.so"
    sources = [folder / f"{name}.c" for name in models]
    compile_c(*FLAGS[libc], "-fPIC", "-shared", "-o", library, *sources, *LIBRARIES[libc])
    loaded = ctypes.CDLL(str(library))
    return {name: Exported(model, loaded, name) for name, model in models.items()}


def classifier() -> pynn.Model:
    """A small one for images of 4 x 5."""
    chain = pynn.Builder().input(20).dense(12).gelu().dense(7).tanh().dense(3)
    return chain.softmax_cross_entropy().build(seed=4)


def wide() -> pynn.Model:
    """One of the size of MNIST's."""
    chain = pynn.Builder().input(784).dense(256).relu().dense(64).relu().dense(10)
    return chain.softmax_cross_entropy().build(seed=5)


def alone(kind: str) -> pynn.Model:
    """y = f(x) for an activation f."""
    chain: Any = pynn.Builder().input(1).dense(1)
    model: pynn.Model = getattr(chain, kind)().softmax_cross_entropy().build()
    model.parameters["dense1.weight"][...] = 1
    return model


def constants() -> pynn.Model:
    """One whose outputs are its weights, where the input is 1, and its bias, where it is 0."""
    model = pynn.Builder().input(1).dense(len(HARD)).softmax_cross_entropy().build()
    for name, array in model.parameters.items():
        array[...] = np.array(HARD, np.float32) if "weight" in name else 0
    return model


@pytest.fixture(scope="module", params=[True, False], ids=["libc", "no-libc"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Exported]:
    """The random networks and some others in one library, with libc and without."""
    models = {f"net{seed}": random_network(seed, widest=24) for seed in range(NETWORKS)}
    models |= {"classifier": classifier(), "constants": constants(), "wide": wide()}
    models |= {kind: alone(kind) for kind in FUNCTIONS}
    return export_all(models, tmp_path_factory.mktemp("exported"), libc=request.param)


# ------------------------------------------------------------ numbers


@pytest.mark.parametrize("name", [*(f"net{seed}" for seed in range(NETWORKS)), "wide"])
def test_exported_c_agrees(name: str, exported: dict[str, Exported]) -> None:
    """Outputs are within 1e-6 of ours, or of the largest of a network; for floats and bytes."""
    network = exported[name]
    for x in random_inputs(network.model, 9):
        expected = network.model(x)
        error = np.abs(network.predict(x) - expected).max()
        assert error <= 1e-6 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_self_test_passes(seed: int, exported: dict[str, Exported]) -> None:
    """Each file finds itself right."""
    assert exported[f"net{seed}"].function("self_test")() == 0


def test_every_layer_and_loss_occurs() -> None:
    """Among the random networks is all that the builder has."""
    found = kinds_in([random_network(seed, widest=24) for seed in range(NETWORKS)])
    assert found == {"dense", *OF_IMAGES, *OF_FEATURES, *ACTIVATIONS, *LOSSES}


@pytest.mark.parametrize("value", [0.0, 0.5, -0.5, 3.0, -3.0, 30.0, -30.0, 1e2, -1e2, 1e30, -1e30])
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_activations_far_out(kind: str, value: float, exported: dict[str, Exported]) -> None:
    """An activation alone, from 0 to where it is flat or huge, is within 1e-6 of ours."""
    network = exported[kind]
    x = np.array([[value]], np.float32)
    np.testing.assert_allclose(network.predict(x), network.model(x), rtol=1e-6, atol=1e-7)


def test_every_float_survives(exported: dict[str, Exported]) -> None:
    """Zeros of both signs, the smallest, the largest: the compiler reads the same bits."""
    got = exported["constants"].predict(np.ones((1, 1), np.float32))[0]
    expected = np.array(HARD, np.float32)
    # 0 + -0 is 0, as in the sum of a product and a bias
    np.testing.assert_array_equal((got + 0.0).view(np.uint32), (expected + 0.0).view(np.uint32))


def test_classes_and_probabilities(exported: dict[str, Exported]) -> None:
    """They are those of predict and predict_proba."""
    network = exported["classifier"]
    _, pixels = random_inputs(network.model, 30)
    outputs = network.predict(pixels)
    kept = np.ascontiguousarray(outputs)
    pointers = [ctypes.c_void_p(row.ctypes.data) for row in kept]
    classes = [network.function("class")(pointer) for pointer in pointers]
    assert classes == network.model.predict(pixels).tolist()
    assert len(set(classes)) > 1
    for pointer in pointers:
        network.function("probabilities")(pointer)
    np.testing.assert_allclose(kept, network.model.predict_proba(pixels), rtol=2e-6, atol=1e-7)


def test_probabilities_of_large_outputs(exported: dict[str, Exported]) -> None:
    """Softmax neither overflows nor divides by zero; the first of equals is the class."""
    network = exported["classifier"]
    values = np.array([1e30, 1e30, -1e30], np.float32)
    pointer = ctypes.c_void_p(values.ctypes.data)
    assert network.function("class")(pointer) == 0
    network.function("probabilities")(pointer)
    np.testing.assert_allclose(values, [0.5, 0.5, 0], atol=1e-30)


@pytest.mark.parametrize("libc", [True, False])
def test_probabilities_of_labels(libc: bool, tmp_path: Path) -> None:
    """With binary cross-entropy each output has a probability of its own."""
    model = pynn.Builder().input(6).dense(4).binary_cross_entropy().build()
    model.parameters["dense1.bias"][...] = [0, 200, -200, 1]
    network = export_all({"labels": model}, tmp_path, libc=libc)["labels"]
    x, _ = random_inputs(model, 20)
    outputs = np.ascontiguousarray(network.predict(x))
    for row in outputs:
        network.function("probabilities")(ctypes.c_void_p(row.ctypes.data))
    np.testing.assert_allclose(outputs, model.predict_proba(x), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("libc", [True, False])
def test_rates_of_counts(libc: bool, tmp_path: Path) -> None:
    """With poisson the outputs are logarithms, and NAME_rates makes of them what predict gives."""
    model = pynn.Builder().input(6).dense(4).poisson().build()
    model.parameters["dense1.bias"][...] = [0, 80, -80, 1]
    network = export_all({"counts": model}, tmp_path, libc=libc)["counts"]
    x, _ = random_inputs(model, 20)
    outputs = np.ascontiguousarray(network.predict(x))
    np.testing.assert_allclose(outputs, model(x), rtol=1e-5, atol=1e-5)
    for row in outputs:
        network.function("rates")(ctypes.c_void_p(row.ctypes.data))
    np.testing.assert_allclose(outputs, model.predict(x), rtol=2e-5)


def test_exponential_is_exact(exported: dict[str, Exported]) -> None:
    """Beside an output of 0 the probability of x < -18 is exp(x), to 2 units in the last place."""
    x = np.linspace(-86, -18, 3001, dtype=np.float32)
    got = np.stack([np.zeros_like(x), x, np.full_like(x, -1e30)], axis=1)
    for row in got:
        exported["classifier"].function("probabilities")(ctypes.c_void_p(row.ctypes.data))
    exact = np.exp(x.astype(np.float64))
    assert np.abs((got[:, 1] - exact) / np.spacing(exact.astype(np.float32))).max() <= 2


@pytest.mark.parametrize("name", ["classifier", *FUNCTIONS])
def test_not_a_number_stays_one(name: str, exported: dict[str, Exported]) -> None:
    """NaN in the input is not hidden by an activation."""
    network = exported[name]
    x = np.zeros((1, network.model.inputs), np.float32)
    x[0, -1] = np.nan
    assert np.isnan(network.predict(x)).all()


@pytest.mark.parametrize("libc", [True, False])
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_no_input_has_undefined_behaviour(kind: str, libc: bool, tmp_path: Path) -> None:
    """Above all, no NaN and no large number is made an integer, which some processors trap."""
    alone(kind).export_c(tmp_path / "model.c", libc=libc)
    (tmp_path / "main.c").write_text("""\
#include "model.h"
int main(void) {
    const float zero = 0.0f, large = 3e38f;
    const float inputs[] = {0.0f, -1e-45f, 87.5f, -88.5f, large, -large, 2 * large, -2 * large,
                            zero / zero, -zero / zero};
    float output[1];
    for (unsigned i = 0; i < sizeof inputs / sizeof *inputs; i++) model_predict(&inputs[i], output);
    return 0;
}
""")
    trapping = ["-fsanitize=undefined,float-cast-overflow", "-fsanitize-undefined-trap-on-error"]
    sources = [tmp_path / "main.c", tmp_path / "model.c"]
    compile_c(*STRICT, *trapping, "-o", tmp_path / "main", *sources, *LIBRARIES[True])
    assert subprocess.run([tmp_path / "main"], timeout=60).returncode == 0


def test_threads_do_not_meet(exported: dict[str, Exported]) -> None:
    """Two threads in one network get what each gets alone."""
    network = exported["classifier"]
    inputs = random_inputs(network.model, 2000)
    expected = [network.predict(x) for x in inputs]
    got: list[Any] = [None, None]

    def work(k: int) -> None:
        got[k] = network.predict(inputs[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_array_equal(got[1], expected[1])


# ------------------------------------------------------------ the file


@pytest.mark.skipif(not LINUX, reason="what `size` prints is different elsewhere")
def test_nothing_is_kept_between_calls(tmp_path: Path) -> None:
    """The object file has no memory that can be written."""
    classifier().export_c(tmp_path / "model.c")
    compile_c(*STRICT, "-c", tmp_path / "model.c", "-o", tmp_path / "model.o")
    sizes = subprocess.run(["size", tmp_path / "model.o"], capture_output=True, text=True)
    text, data, bss = map(int, sizes.stdout.splitlines()[1].split()[:3])
    assert text > 0 and (data, bss) == (0, 0)


@pytest.mark.parametrize("wrong", ["0.01f", '__builtin_nanf("")'])
@pytest.mark.parametrize("libc", [True, False])
def test_self_test_fails_where_a_weight_is_wrong(wrong: str, libc: bool, tmp_path: Path) -> None:
    """One changed weight is found, by both entry points; also one that is not a number."""
    classifier().export_c(tmp_path / "model.c", libc=libc)
    source = (tmp_path / "model.c").read_text()
    head, bias, tail = source.partition("static const float dense3_bias[3] = {\n")
    assert bias and " 0.0f, 0.0f, 0.0f," in tail
    tail = tail.replace("0.0f", wrong, 1)
    (tmp_path / "model.c").write_text(head + bias + tail)
    library = tmp_path / "model.so"
    flags = FLAGS[libc]
    compile_c(*flags, "-fPIC", "-shared", "-o", library, tmp_path / "model.c", *LIBRARIES[libc])
    assert ctypes.CDLL(str(library)).model_self_test() == 2


def test_without_libc_nothing_of_it_is_asked_for(tmp_path: Path) -> None:
    """No header of it, nor, optimized or not, a function."""
    chain = pynn.Builder().input(9).tanh().dense(40).gelu().dense(30).sigmoid().dense(3)
    chain.softmax_cross_entropy().build().export_c(tmp_path / "model.c", libc=False)
    for optimization in ("-O0", "-O3"):
        flags = [*FLAGS[False], optimization, "-fPIC", "-shared"]
        compile_c(*flags, tmp_path / "model.c", "-o", tmp_path / "model.so")
    headers = re.findall(r"#include (.+)", (tmp_path / "model.c").read_text())
    assert headers == ['"model.h"', "<stddef.h>", "<stdint.h>"]


def test_header_is_cpp_too(tmp_path: Path) -> None:
    """A program in C++ can call it: the compiler takes the header for either language."""
    classifier().export_c(tmp_path / "model.c")
    (tmp_path / "main.cpp").write_text(
        '#include "model.h"\nint main() { return model_self_test() - MODEL_OUTPUTS + 3; }\n'
    )
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    compile_c(*STRICT, "-c", tmp_path / "model.c", "-o", tmp_path / "model.o")
    compile_c(*flags, "-c", tmp_path / "main.cpp", "-o", tmp_path / "main.o")
    compile_c(tmp_path / "main.o", tmp_path / "model.o", "-lm", "-o", tmp_path / "main")
    assert subprocess.run([tmp_path / "main"]).returncode == 0


def test_same_model_same_bytes(tmp_path: Path) -> None:
    """Nothing of the time or of the folder is in the files."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        classifier().export_c(tmp_path / folder / "model.c")
    for name in ("model.c", "model.h"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_footprint(tmp_path: Path) -> None:
    """784-256-64-10: 218,058 floats, buffers of 256 and 64 floats, and the products' sizes."""
    chain = pynn.Builder().input(784).dense(256).relu().dense(64).relu().dense(10)
    report = chain.softmax_cross_entropy().build().export_c(tmp_path / "model.c")
    source = (tmp_path / "model.c").stat().st_size
    adds = 784 * 256 + 256 * 64 + 64 * 10
    assert report == Footprint(4 * 218058, 4 * (256 + 64), adds, 784 + 4 * 10, source)
    assert repr(report) == (
        "Footprint(872,232 bytes of weights, 1,280 bytes of stack, 217,728 multiply-adds)"
    )
    for figure in ("872,232", "1,280", "217,728"):
        assert figure in (tmp_path / "model.h").read_text()


def test_lines_are_short_and_tidy(tmp_path: Path) -> None:
    """No line is over 110 characters or ends in a space, and no word of a template is left."""
    classifier().export_c(tmp_path / "model.c")
    for name in ("model.c", "model.h"):
        text = (tmp_path / name).read_text()
        assert max(map(len, text.splitlines())) <= 110
        assert not re.search(r"[ \t]$", text, re.MULTILINE)
        assert not re.search(r"\bNAME_|\b(GUARD|\w+PUTS_NAME|BODY|CHAIN|MEANING|INCLUDES)\b", text)


# ------------------------------------------------------------ what cannot be


@pytest.mark.parametrize("name", ["", "2nd", "a-b", "a b", "é", "a\n", "_a", 'a"'])
def test_name_must_be_an_identifier(name: str, tmp_path: Path) -> None:
    """Functions begin with it."""
    with pytest.raises(pynn.ArgumentError, match="name must be ASCII letters"):
        classifier().export_c(tmp_path / "model.c", name=name)
    assert list(tmp_path.iterdir()) == []


def test_name_of_the_file_must_be_an_identifier_too(tmp_path: Path) -> None:
    """Unless another is given, under which the functions then go."""
    with pytest.raises(pynn.ArgumentError, match=r"got 'my-net', the name of the file"):
        classifier().export_c(tmp_path / "my-net.c")
    classifier().export_c(tmp_path / "my-net.c", name="mine")
    assert '#include "my-net.h"' in (tmp_path / "my-net.c").read_text()
    assert "void mine_predict(const float" in (tmp_path / "my-net.h").read_text()
    compile_c(*STRICT, "-c", tmp_path / "my-net.c", "-o", tmp_path / "my-net.o")


@pytest.mark.parametrize(
    "name",
    ["math.c", "Math.c", "STDDEF.c", "stdint.c", "stdio.c", "string.c", "features.c", "unistd.c"],
)
def test_header_is_no_namesake_of_the_systems(name: str, tmp_path: Path) -> None:
    """A compiler that looks here would take it for the one that the code includes."""
    with pytest.raises(pynn.ArgumentError, match="a compiler could take its header"):
        classifier().export_c(tmp_path / name, name="model")
    assert list(tmp_path.iterdir()) == []


def test_no_name_of_an_included_header_is_free() -> None:
    """What exported code includes is among the names that are refused."""
    for includes in (_c_functions.includes(["expf(", "uint32_t"]), _c_functions.includes([""])):
        for header in re.findall("<(.*)>", includes):
            assert header in _c_files.HEADERS_OF_OTHERS


def test_header_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    """It lies where the header would go, and nobody has named it; one of ours is replaced."""
    (tmp_path / "model.h").write_text("int mine;\n")
    with pytest.raises(
        pynn.ArgumentError, match=r"model\.h exists, and pynn, which did not make it"
    ):
        classifier().export_c(tmp_path / "model.c")
    assert (tmp_path / "model.h").read_text() == "int mine;\n"
    assert not (tmp_path / "model.c").exists()
    (tmp_path / "model.h").write_text("")
    classifier().export_c(tmp_path / "model.c")
    classifier().export_c(tmp_path / "model.c")  # over its own
    assert "model_predict" in (tmp_path / "model.h").read_text()


def test_names_that_differ_in_case_go_together(tmp_path: Path) -> None:
    """A program may include the headers of several, and gets each one's sizes."""
    calls = []
    for width, name in enumerate(("net", "NET", "Net", "nEt"), start=2):
        chain = pynn.Builder().input(width).dense(width + 10).softmax_cross_entropy()
        chain.build(seed=0).export_c(tmp_path / f"{name}{width}.c", name=name)
        words = "NET_INPUTS", "NET_OUTPUTS"
        if name != "net":
            words = f"{name}_inputs", f"{name}_outputs"
        calls += [f"{words[0]} != {width}", f"{words[1]} != {width + 10}", f"{name}_self_test()"]
    headers = [f'#include "{path.name}"\n' for path in tmp_path.glob("*.h")]
    main = "".join([*headers, f"int main(void) {{ return {' || '.join(calls)}; }}\n"])
    (tmp_path / "main.c").write_text(main)
    compile_c(*STRICT, *tmp_path.glob("*.c"), "-lm", "-o", tmp_path / "main")
    assert subprocess.run([tmp_path / "main"]).returncode == 0


@pytest.mark.parametrize("path", ["model", "model.h", "model.C", ".c", "a\n.c", 'a".c', "a\\.c"])
def test_path_must_be_that_of_a_c_file(path: str, tmp_path: Path) -> None:
    """Of a plain name, which is written into the file."""
    with pytest.raises(pynn.ArgumentError, match=r'path must end in "\.c"'):
        classifier().export_c(tmp_path / path, name="model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("argument", "value"), [("path", 3), ("path", None), ("name", 3)])
def test_arguments_of_the_wrong_type(argument: str, value: Any, tmp_path: Path) -> None:
    """A path is a str or a Path, a name a str."""
    arguments: dict[str, Any] = {"path": tmp_path / "model.c", argument: value}
    with pytest.raises(pynn.ArgumentTypeError, match=f"{argument} must be a str"):
        classifier().export_c(**arguments)


def test_parameters_that_are_not_finite(tmp_path: Path) -> None:
    """C has no constant for them."""
    model = classifier()
    model.parameters["dense1.bias"][4] = -np.inf
    with pytest.raises(pynn.DivergenceError, match=r"parameters\['dense1.bias'\]\[4\] is -inf"):
        model.export_c(tmp_path / "model.c")
    assert list(tmp_path.iterdir()) == []


def test_unknown_layer_is_no_silent_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that the export does not know is an error, not a file without it."""
    model = classifier()
    odd = unknown_layer(monkeypatch)
    spec = model._spec
    monkeypatch.setattr(model._engine, "spec", spec._replace(layers=(*spec.layers, odd)))
    with pytest.raises(pynn.ArgumentError, match="maxout1: maxout layers cannot be exported to C"):
        model.export_c(tmp_path / "model.c")


def test_closed_model(tmp_path: Path) -> None:
    """It cannot be exported."""
    model = classifier()
    model.close()
    with pytest.raises(pynn.ClosedError):
        model.export_c(tmp_path / "model.c")


# ------------------------------------------------------------ the manual


def test_program_of_the_manual(root: Path, tmp_path: Path) -> None:
    """The program in docs/export.md compiles, and says what predict says."""
    blocks = re.findall(r"^```c\n(.*?)^```$", (root / "docs/export.md").read_text(), re.M | re.S)
    (program,) = [block for block in blocks if "int main(" in block]
    (tmp_path / "digit.c").write_text(program)
    train, test = pynn.datasets.mnist(root / "data/mnist")
    chain = pynn.Builder().input(784).dense(16).relu().dense(10)
    model = chain.softmax_cross_entropy().build()
    model.fit(train.images[:5000], train.labels[:5000], epochs=2)
    model.export_c(tmp_path / "digits.c")
    sources = [tmp_path / "digit.c", tmp_path / "digits.c"]
    compile_c(*STRICT, *sources, "-lm", "-o", tmp_path / "digit")
    for image in test.images[:5]:
        done = subprocess.run([tmp_path / "digit"], input=image.tobytes(), capture_output=True)
        probabilities = model.predict_proba(image[None])[0]
        best = int(probabilities.argmax())
        assert done.stdout.decode() == f"{best}, with probability {probabilities[best]:.3f}\n"
    assert subprocess.run([tmp_path / "digit"], input=b"short").returncode == 1
