"""Make files of one version of pynn, for tests/test_older_files.py to hold later versions against.

    python tests/older_files/make.py

Run it with the version whose files are to be kept, such as a commit before a change. It only adds:
a file that is there is never written again, and neither is a figure in expected.json. To add the
figures of another instruction set or BLAS kernel, run it once more at the same commit with

    PYNN_INSTRUCTION_SET=x86-64-v3 OPENBLAS_CORETYPE=Haswell python tests/older_files/make.py

Everything here goes through the public API alone, since what is behind it may move.

What pynn calculates depends, to the bit, on the instruction set, the BLAS kernel and the compiler.
`arithmetic()` names these three, and the SHA-256 of each result is recorded under that name. Each
result is also recorded as numbers, for machines whose arithmetic is not recorded.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import pynn
from pynn.formats import nn_rust, pytorch

Array = npt.NDArray[Any]

FOLDER = Path(__file__).parent
EXPECTED = FOLDER / "expected.json"
TOLERANCE = 1e-5  # absolute and relative, between two kinds of arithmetic
ROWS, INPUTS, OUTPUTS = 24, 4, 3
EPOCHS, BATCH_SIZE = 5, 5  # the last batch of an epoch is smaller

# Integer arithmetic alone, as the stream of a random generator may change with its version.
_count = np.arange(ROWS * INPUTS).reshape(ROWS, INPUTS)
BYTES = ((_count * _count * 7 + _count * 5) % 251).astype(np.uint8)
FLOATS = (BYTES.astype(np.float32) - np.float32(125)) / np.float32(64)
ANSWERS: dict[str, Array] = {
    "labels": BYTES[:, :OUTPUTS].argmax(axis=1).astype(np.uint8),
    "values": FLOATS[:, 1:] * np.float32(0.5),
    "counts": (BYTES[:, :OUTPUTS] % 7).astype(np.float32),
    "yes or no": (FLOATS[:, :OUTPUTS] > 0).astype(np.float32),
}
ANSWERS["names"] = np.array(["bee", "ant", "elk"])[ANSWERS["labels"]]
TABLE = [
    {
        "size": None if row % 7 == 0 else float(FLOATS[row, 0]),
        "kind": ("x", "y", "unseen", None)[BYTES[row, 1] % 4],
        "floor": int(BYTES[row, 2] % 3),
    }
    for row in range(ROWS)
]
WEIGHTS = (np.arange(ROWS) % 4 + 1).astype(np.float32)


class Chain(NamedTuple):
    """A chain, which of `ANSWERS` it is trained on, and its examples."""

    chain: pynn.FinishedBuilder
    answers: str = "labels"
    features: Any = FLOATS
    others: Any = BYTES
    """More features, whose predictions are kept, too."""

    def build(self) -> pynn.Model:
        """The model with its first weights."""
        return self.chain.build(seed=11)


_input = pynn.Builder().input(INPUTS)
_columns = pynn.Builder().input(
    pynn.Columns(numbers=["size"], categories={"kind": ["x", "y"], "floor": [0, 1, 2]})
)
_columns = _columns.dense(5).tanh().dense(OUTPUTS)
_wide = _input.dense(5)
_narrow = _input.dense(OUTPUTS)
_xavier = _input.dense(5, init="xavier")
_deep = _input.dropout(0.1).dense(6).relu().dense(6).leaky_relu().dropout(0.2).dense(5).gelu()
_deep = _deep.dense(5, init="xavier").sigmoid().dense(4, init="xavier").tanh().dense(OUTPUTS)

CHAINS = {
    "dense_he": Chain(_narrow.softmax_cross_entropy()),
    "dense_xavier": Chain(_input.dense(OUTPUTS, init="xavier").softmax_cross_entropy()),
    "relu": Chain(_wide.relu().dense(OUTPUTS).softmax_cross_entropy()),
    "leaky_relu": Chain(_wide.leaky_relu(0.2).dense(OUTPUTS).softmax_cross_entropy()),
    "gelu": Chain(_wide.gelu().dense(OUTPUTS).softmax_cross_entropy()),
    "silu": Chain(_wide.silu().dense(OUTPUTS).softmax_cross_entropy()),
    "elu": Chain(_wide.elu(0.75).dense(OUTPUTS).softmax_cross_entropy()),
    "softplus": Chain(_wide.softplus().dense(OUTPUTS).softmax_cross_entropy()),
    "sigmoid": Chain(_xavier.sigmoid().dense(OUTPUTS).softmax_cross_entropy()),
    "tanh": Chain(_xavier.tanh().dense(OUTPUTS).softmax_cross_entropy()),
    "dropout": Chain(_wide.relu().dropout(0.25).dense(OUTPUTS).softmax_cross_entropy()),
    "layer_norm": Chain(_wide.layer_norm(0.001).relu().dense(OUTPUTS).softmax_cross_entropy()),
    "label_smoothing": Chain(_narrow.softmax_cross_entropy(label_smoothing=0.1)),
    "mean_squared_error": Chain(_narrow.mean_squared_error(), "values"),
    "binary_cross_entropy": Chain(_narrow.binary_cross_entropy(), "yes or no"),
    "poisson": Chain(_narrow.poisson(), "counts"),
    "columns": Chain(_columns.softmax_cross_entropy(), "labels", TABLE, TABLE[:5]),
    "names": Chain(_narrow.softmax_cross_entropy(), "names"),
    "targets": Chain(_narrow.mean_squared_error(standardize=True), "values"),
    "every_layer": Chain(_deep.softmax_cross_entropy()),
    "standardize": Chain(
        _input.standardize(robust=True, clip=1.5, missing="mean")
        .dense(OUTPUTS)
        .softmax_cross_entropy()
    ),
}
VALUES = ("mean_squared_error", "poisson")
"""The losses without probabilities."""
STATES = ("built", "trained")


class Run(NamedTuple):
    """A call of `fit` that ends early, and goes on from its checkpoint.

    It ends after the first step of its second epoch, or after that epoch with `whole_epochs`.
    """

    fit: dict[str, Any]
    chain: str = "dense_he"
    features: Any = FLOATS
    whole_epochs: bool = False
    epochs_before: int = 0
    frozen: tuple[str, ...] = ()

    def begin(self) -> pynn.Model:
        """The model as the call finds it."""
        model = CHAINS[self.chain].build()
        if self.epochs_before > 0:
            self._fit(model, epochs=self.epochs_before)
        if self.frozen:
            model.freeze(*self.frozen)
        return model

    def _fit(self, model: pynn.Model, **arguments: Any) -> pynn.History:
        answers = ANSWERS[CHAINS[self.chain].answers]
        arguments = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, **self.fit, **arguments}
        return model.fit(self.features, answers, **arguments)

    def interrupt(self, path: Path) -> None:
        """Train until the run is interrupted, and keep it in a checkpoint."""

        def in_second(result: pynn.Progress | pynn.EpochResult) -> None:
            if result.epoch == 2:
                raise InterruptedError

        when = "on_epoch" if self.whole_epochs else "on_progress"
        every = None if self.whole_epochs else 4
        try:
            self._fit(self.begin(), checkpoint=path, every=every, **{when: in_second})
        except InterruptedError:
            return
        raise AssertionError("the run was not interrupted")

    def resume(self, path: Path) -> tuple[pynn.Model, pynn.History]:
        """Train from a checkpoint to the end."""
        model = pynn.Model.resume(path)
        return model, self._fit(model)

    def whole(self) -> tuple[pynn.Model, pynn.History]:
        """Train from the beginning to the end."""
        model = self.begin()
        return model, self._fit(model)


def falling(step: int) -> float:
    """A schedule of the caller's own, of which a checkpoint says only that there is one."""
    return 0.5 / (1 + step)


_cosine = pynn.schedules.Cosine(0.3, steps=20, least=0.01)
_tested = {"validation": (FLOATS[::2], ANSWERS["labels"][::2])}
# Ends with the parameters of the first epoch, which the checkpoint keeps.
_first_is_best = pynn.EarlyStopping(2, min_delta=0.7)
_no_restoring = pynn.EarlyStopping(3, monitor="val_accuracy", min_delta=0.5, restore_best=False)


def _by(kind: type[pynn.SGD | pynn.Adam], rate: float, **arguments: Any) -> dict[str, Any]:
    return {"optimizer": kind(**{"learning_rate": rate, **arguments})}


_sgd = partial(_by, pynn.SGD, 0.1)
_adam = partial(_by, pynn.Adam, 0.02)
_adamw = partial(_by, pynn.AdamW, 0.02)


RUNS = {
    "sgd": Run(_sgd()),
    "sgd_weight_decay": Run(_sgd(weight_decay=0.05)),
    "sgd_max_norm": Run(_sgd(max_gradient_norm=0.25)),
    "momentum": Run(_sgd(momentum=0.9)),
    "momentum_decay_max_norm": Run(_sgd(momentum=0.8, weight_decay=0.02, max_gradient_norm=0.5)),
    "nesterov": Run(_sgd(momentum=0.9, nesterov=True)),
    "adam": Run(_adam()),
    "adam_weight_decay": Run(_adam(weight_decay=0.05)),
    "adam_max_norm": Run(_adam(beta1=0.8, beta2=0.99, eps=1e-4, max_gradient_norm=0.25)),
    "adamw": Run(_adamw()),
    "adamw_decay_max_norm": Run(_adamw(weight_decay=0.1, max_gradient_norm=0.5)),
    "lbfgs": Run({"optimizer": pynn.LBFGS(memory=3, weight_decay=0.01), "batch_size": None}),
    "constant": Run(_sgd(learning_rate=pynn.schedules.Constant(0.2))),
    "step_decay": Run(_sgd(learning_rate=pynn.schedules.StepDecay(0.4, every=3, factor=0.5))),
    "cosine": Run(_adam(learning_rate=_cosine)),
    "one_cycle": Run(_sgd(learning_rate=pynn.schedules.OneCycle(0.5, steps=25), momentum=0.5)),
    "warm_up": Run(_sgd(learning_rate=pynn.schedules.WarmUp(_cosine, steps=8))),
    "warm_up_constant": Run(_adamw(learning_rate=pynn.schedules.WarmUp(0.05, steps=8))),
    "callable": Run(_sgd(learning_rate=falling)),
    "restore_best": Run(
        {**_sgd(learning_rate=1.5, momentum=0.9), **_tested, "early_stopping": _first_is_best}
    ),
    "early_stopping": Run(
        {**_adam(learning_rate=0.2), "validation": 0.25, "early_stopping": _no_restoring}
    ),
    "validation_fraction": Run({**_adamw(), "validation": 0.25}),
    "sample_weight": Run({**_adam(), "sample_weight": WEIGHTS}),
    "class_weight": Run({**_sgd(), "class_weight": "balanced"}),
    "no_shuffle": Run({**_sgd(momentum=0.5), "shuffle": False}),
    "second_fit": Run(_adam(), epochs_before=2),
    "whole_epochs": Run(_adam(), whole_epochs=True),
    "bytes": Run(_sgd(momentum=0.9), features=BYTES),
    "dropout": Run(_adam(), chain="dropout"),
    "label_smoothing": Run(_sgd(), chain="label_smoothing"),
    "mean_squared_error": Run(_adamw(), chain="mean_squared_error"),
    "binary_cross_entropy": Run(_sgd(momentum=0.9), chain="binary_cross_entropy"),
    "poisson": Run(_sgd(), chain="poisson"),
    "targets": Run(_adamw(weight_decay=0.1), chain="targets"),
    "every_layer": Run(_adam(), chain="every_layer"),
    "frozen": Run(_adamw(), chain="every_layer", frozen=("dense1", "dense5")),
    "columns": Run({**_adamw(), "validation": 0.25}, chain="columns", features=TABLE),
    "names": Run(_adam(), chain="names"),
    "standardize": Run({**_adamw(weight_decay=0.1), "validation": 0.25}, chain="standardize"),
}


def model_file(chain: str, state: str) -> Path:
    """Where a model is kept."""
    return FOLDER / "models" / f"{chain}.{state}.safetensors"


def checkpoint_file(run: str) -> Path:
    """Where an interrupted run is kept."""
    return FOLDER / "checkpoints" / f"{run}.safetensors"


def pickle_file(name: str) -> Path:
    """Where a pickled model is kept: "trained", or "resumed" from a checkpoint."""
    return FOLDER / "pickles" / f"{name}.pickle"


def train(chain: str) -> pynn.Model:
    """The model of a chain after a short training."""
    model = CHAINS[chain].build()
    features, answers = CHAINS[chain].features, ANSWERS[CHAINS[chain].answers]
    model.fit(features, answers, epochs=3, batch_size=BATCH_SIZE, **_adam())
    return model


def flat(model: pynn.Model) -> Array:
    """All parameters one after another."""
    return np.concatenate([array.ravel() for array in model.parameters.values()])


def predictions(model: pynn.Model, chain: Chain) -> Array:
    """Outputs, and probabilities where the loss has some, for two kinds of features."""
    if any(name.endswith(".scale") and not it.all() for name, it in model.parameters.items()):
        return np.empty(0, np.float32)  # it has not seen examples
    calls = [model] if any(name in repr(model) for name in VALUES) else [model, model.predict_proba]
    return np.concatenate(
        [call(x[:3]).ravel() for call in calls for x in (chain.features, chain.others)]
    )


PICKLES: dict[str, Callable[[], pynn.Model]] = {
    "trained": lambda: train("every_layer"),
    "resumed": lambda: pynn.Model.resume(checkpoint_file("restore_best")),
}


def continued(name: str) -> pynn.Model:
    """A pickled model after more training: its moments and its run are of use only there."""
    model: pynn.Model = pickle.loads(pickle_file(name).read_bytes())
    if name == "resumed":
        RUNS["restore_best"]._fit(model)
    else:
        model.fit(FLOATS, ANSWERS["labels"], epochs=1, batch_size=BATCH_SIZE, **_adam())
    return model


# What is calculated from files: by name, each with the function that gives an array of numbers.
FIGURES: dict[str, Callable[[], Array]] = {
    **{
        f"predict {chain}.{state}": lambda c=chain, s=state: predictions(
            pynn.load(model_file(c, s)), CHAINS[c]
        )
        for chain in CHAINS
        for state in STATES
    },
    **{f"resume {run}": lambda r=run: flat(RUNS[r].resume(checkpoint_file(r))[0]) for run in RUNS},
    **{f"continue pickle {name}": lambda n=name: flat(continued(n)) for name in PICKLES},
}


def _as_compiled(source: bytes) -> bytes:
    """C without comments, which may be reworded, and without what its self-test compares with.

    That is calculated, so that it depends on the machine that exports.
    """
    source = re.sub(rb"/\*.*?\*/|//[^\n]*", b"", source, flags=re.DOTALL)
    source = re.sub(rb"(test_output\[[0-9]+\] = )\{[^}]*\}", rb"\1{}", source)
    return re.sub(rb"(tolerance = )[^;]*", rb"\1", source)


def _export_c(folder: Path, *, libc: bool) -> bytes:
    pynn.load(model_file("every_layer", "built")).export_c(folder / "net.c", libc=libc)
    return _as_compiled((folder / "net.c").read_bytes() + (folder / "net.h").read_bytes())


def _export_onnx(folder: Path, *, probabilities: bool) -> bytes:
    import onnx

    path = folder / "net.onnx"
    pynn.load(model_file("every_layer", "trained")).export_onnx(path, probabilities=probabilities)
    exported = onnx.load(path)
    exported.ClearField("producer_version")
    contents: bytes = exported.SerializeToString(deterministic=True)
    return contents


def _saved(save: Callable[[Path], None], path: Path) -> bytes:
    save(path)
    return path.read_bytes()


# What a file is made into without arithmetic: by name, each with the function that gives the bytes.
CONTENTS: dict[str, Callable[[Path], bytes]] = {
    **{
        f"parameters of {chain}.{state}": lambda folder, c=chain, s=state: flat(
            pynn.load(model_file(c, s))
        ).tobytes()
        for chain in CHAINS
        for state in STATES
    },
    **{
        f"model of checkpoint {run}": lambda folder, r=run: _saved(
            pynn.load(checkpoint_file(r)).save, folder / "net"
        )
        for run in RUNS
    },
    **{
        f"parameters of pickle {name}": lambda folder, n=name: flat(
            pickle.loads(pickle_file(n).read_bytes())
        ).tobytes()
        for name in PICKLES
    },
    "classes": lambda folder: "\n".join(
        str(pynn.load(file).classes)
        for file in (model_file("names", "trained"), checkpoint_file("names"))
    ).encode(),
    "nn_rust": lambda folder: _saved(
        partial(nn_rust.save, pynn.load(model_file("relu", "trained"))), folder / "net"
    ),
    "pytorch": lambda folder: _saved(
        partial(pytorch.save, pynn.load(model_file("every_layer", "trained"))), folder / "net"
    ),
    "onnx": lambda folder: _export_onnx(folder, probabilities=False),
    "onnx, probabilities": lambda folder: _export_onnx(folder, probabilities=True),
    "c": lambda folder: _export_c(folder, libc=True),
    "c, without libc": lambda folder: _export_c(folder, libc=False),
}


def arithmetic() -> str:
    """Whose results may be compared to the bit: "instruction set / BLAS and kernel / compiler"."""
    info = pynn.build_info()
    # Compilers leave their name and version in what they make; it may have been stripped.
    compiled = Path(info["extension"]).read_bytes()
    found = re.search(rb"(GCC): \([^)]*\) ([0-9.]+)|(clang) version ([0-9.]+)", compiled)
    compiler = "unknown" if found is None else b" ".join(filter(None, found.groups())).decode()
    return f"{info['instruction_set']} / {info['blas']} {info['blas_kernel']} / {compiler}"


def sha256(contents: bytes) -> str:
    """As the command of that name writes it."""
    return hashlib.sha256(contents).hexdigest()


def make_files() -> None:
    """Write the files that are not there."""
    for file in (model_file("", ""), checkpoint_file(""), pickle_file("")):
        file.parent.mkdir(exist_ok=True)
    for chain in CHAINS:
        for state, model in (("built", CHAINS[chain].build), ("trained", lambda c=chain: train(c))):
            if not model_file(chain, state).exists():
                model().save(model_file(chain, state))
    for name, run in RUNS.items():
        if not checkpoint_file(name).exists():
            run.interrupt(checkpoint_file(name))
    for name, make in PICKLES.items():
        if not pickle_file(name).exists():
            pickle_file(name).write_bytes(pickle.dumps(make(), protocol=4))


def record() -> None:
    """Write the figures that are not there."""
    expected: dict[str, Any] = {"made with": {}, "contents": {}, "values": {}, "bytes": {}}
    if EXPECTED.exists():
        expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    here = arithmetic()
    for file in (*(f"{chain}.trained" for chain in CHAINS), *RUNS):
        expected["made with"].setdefault(file, here)
    with tempfile.TemporaryDirectory() as folder:
        for name, contents in CONTENTS.items():
            if name not in expected["contents"]:
                expected["contents"][name] = sha256(contents(Path(folder)))
    digests = expected["bytes"].setdefault(here, {})
    for name, calculate in FIGURES.items():
        array = calculate()
        values = expected["values"].setdefault(name, [float(f"{value:.7g}") for value in array])
        np.testing.assert_allclose(array, values, TOLERANCE, TOLERANCE, err_msg=name)
        digests.setdefault(name, sha256(array.tobytes()))
    text = json.dumps(expected, indent=1)
    text = re.sub(r"\[[^]]*\]", lambda found: "".join(found[0].split()), text)  # a list a line
    EXPECTED.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:  # for tests with another arithmetic than their own
        figures = {name: sha256(calculate().tobytes()) for name, calculate in FIGURES.items()}
        print(json.dumps({"arithmetic": arithmetic(), "figures": figures}))
    else:
        make_files()
        record()
