"""Measurements of processes from start to end: imports, programs, first predictions; and sizes."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cases import LEARNING_RATE, network
from figures import Case
from harness import ROOT, Answer, Contender, Failure, Worker, take_turns

SCRIPTS = ROOT / "scripts"

IMPORTS = {
    "numpy": "import numpy",
    "pynn": "import pynn",
    "torch": "import torch",
    "jax": "import jax, jax.numpy",
    "sklearn": "from sklearn.neural_network import MLPClassifier",
}


def run_python(*arguments: str, folder: Path) -> str:
    """Run a Python process in `folder`, away from any package's source; return what it prints."""
    # With the compiled modules kept, as they are for a user's second run.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failure(f"python ended with status {done.returncode}: {why}")
    return done.stdout


def run_timed(*arguments: str, folder: Path) -> Answer:
    """The seconds of such a process from start to end."""
    began = time.perf_counter()
    run_python(*arguments, folder=folder)
    return {"seconds": time.perf_counter() - began}


def compare(commands: Mapping[str, Sequence[str]], rounds: int, folder: Path) -> Case:
    """Rounds of processes; what fails at the first try, which warms the files, is left out."""
    turns = {}
    for name, command in commands.items():
        try:
            run_timed(*command, folder=folder)
        except Failure as failure:
            print(f"  left out: {name}: {failure}", file=sys.stderr)
        else:
            turns[name] = lambda command=command: run_timed(*command, folder=folder)
    rounds_done = take_turns(turns, rounds, pause=0.02)
    return {"contenders": {name: {} for name in turns}, "rounds": rounds_done}


def imports(names: Sequence[str], rounds: int, folder: Path) -> Case:
    """Seconds of the import statement itself, each in a new process."""
    program = "import time; t = time.perf_counter()\n{}\nprint(time.perf_counter() - t)"

    def turn(name: str) -> Answer:
        return {"seconds": float(run_python("-c", program.format(IMPORTS[name]), folder=folder))}

    turns = {}
    for name in names:
        try:
            turn(name)
        except Failure as failure:
            print(f"  left out: {name}: {failure}", file=sys.stderr)
        else:
            turns[name] = lambda name=name: turn(name)
    rounds_done = take_turns(turns, rounds, pause=0.02)
    return {"contenders": {name: {} for name in turns}, "rounds": rounds_done}


def train_program(epochs: int, output: Path) -> Case:
    """The peak memory of scripts/train.py, which leaves its networks in `output`."""
    said = run_python(
        str(SCRIPTS / "train.py"),
        *("--quiet", "--json", "--threads", "2", "--epochs", str(epochs), "--output", str(output)),
        folder=output,
    )
    result = json.loads(said)
    return {
        "contenders": {"train.py": {"peak_nbytes": result["peak_memory_nbytes"]}},
        "rounds": [],
        "networks": {
            network["network"]: {
                "seconds": round(sum(network["seconds"]), 2),
                "val_loss": round(network["val_loss"][-1], 4),
                "val_accuracy": round(network["val_accuracy"][-1], 4),
            }
            for network in result["networks"]
        },
    }


def predict_program(models: Path, rounds: int) -> Case:
    """scripts/predict.py on its image, against the imports that any program for images needs."""
    files = [f"--model={path}" for path in sorted(models.glob("*.safetensors"))]
    commands = {
        "predict.py": [str(SCRIPTS / "predict.py"), *files],
        "imports": ["-c", "import numpy, PIL.Image"],
    }
    return compare(commands, rounds, models)


# Load a network and print the probabilities for one image, as briefly as users would write it.
FIRST_PREDICTION = {
    "pynn": """
import numpy, pynn
image = numpy.load("image.npy")
print(pynn.load("pynn.safetensors").predict_proba(image))
""",
    "numpy": """
import numpy as np
x = np.load("image.npy").astype(np.float32) / 255
w1, w2, w3, b1, b2, b3 = np.load("numpy.npz").values()
x = np.maximum(x @ w1 + b1, 0)
x = np.maximum(x @ w2 + b2, 0) @ w3 + b3
x = np.exp(x - x.max())
print(x / x.sum())
""",
    "torch": """
import numpy, torch
from torch import nn
x = torch.from_numpy(numpy.load("image.npy")).float() / 255
a, b, c = nn.Linear(784, 256), nn.Linear(256, 64), nn.Linear(64, 10)
net = nn.Sequential(a, nn.ReLU(), b, nn.ReLU(), c)
net.load_state_dict(torch.load("torch.pt"))
with torch.inference_mode():
    print(net(x).softmax(1))
""",
    "jax": """
import jax, jax.numpy as jnp, numpy as np
@jax.jit
def probabilities(x, w1, b1, w2, b2, w3, b3):
    x = jnp.maximum(x @ w1 + b1, 0)
    return jax.nn.softmax(jnp.maximum(x @ w2 + b2, 0) @ w3 + b3)
x = np.load("image.npy").astype(np.float32) / 255
print(np.asarray(probabilities(x, *np.load("jax.npz").values())))
""",
    "sklearn": """
import numpy, pickle
x = numpy.load("image.npy").astype(numpy.float32) / 255
with open("sklearn.pickle", "rb") as file:
    print(pickle.load(file).predict_proba(x))
""",
}
FILES = {
    "pynn": "pynn.safetensors",
    "numpy": "numpy.npz",
    "torch": "torch.pt",
    "jax": "jax.npz",
    "sklearn": "sklearn.pickle",
}


def first_predictions(peers: Sequence[str], rounds: int, folder: Path) -> Case:
    """Whole processes that load a network and print the probabilities for one image."""
    make_image = f"""
import sys; sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import numpy; from peers import common
numpy.save("image.npy", common.test_batches(1)[0])
"""
    run_python("-c", make_image, folder=folder)
    for peer in peers:
        with Worker(Contender(peer, 1)) as worker:
            try:
                worker.ask("load", data="mnist", rows=1024)
                worker.ask("build", widths=network(256), batch=128, learning_rate=LEARNING_RATE)
                worker.ask("save", path=str(folder / FILES[peer]))
            except Failure as failure:
                print(f"  left out: {failure}", file=sys.stderr)
    return compare({peer: ["-c", FIRST_PREDICTION[peer]] for peer in peers}, rounds, folder)


DISTRIBUTIONS = {
    "numpy": "numpy",
    "pynn": "pynn-blas",
    "torch": "torch",
    "jax": "jax",
    "sklearn": "scikit-learn",
}


def sizes() -> Case:
    """The bytes that each library and all that it requires take on disk, as pip installed them."""
    contenders = {}
    for peer, name in DISTRIBUTIONS.items():
        try:
            closure = required({name})
        except importlib.metadata.PackageNotFoundError as error:
            print(f"  left out: {error}", file=sys.stderr)
            continue
        nbytes = {name: distribution_nbytes(name) for name in sorted(closure)}
        contenders[peer] = {"nbytes": sum(nbytes.values()), "packages": nbytes}
    return {"contenders": contenders, "rounds": []}


def required(names: set[str]) -> set[str]:
    """The distributions and what they require here, without extras; pip's own tools left out."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.add(str(canonicalize_name(requirement.name)))
        waiting -= found | {"pip", "setuptools", "wheel"}
    return found


def distribution_nbytes(name: str) -> int:
    paths = [file.locate() for file in importlib.metadata.files(name) or []]
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path))
