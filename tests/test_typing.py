"""What a type checker says of chains: mypy, put to the test on small programs."""

from __future__ import annotations

import re
import site
import subprocess
import sys
import sysconfig
from collections import defaultdict
from pathlib import Path

import pytest

import pynn

IMPORT = "import numpy as np, pynn\n"
CHAIN = "pynn.Builder().input(4).dense(3)"
FIT = f"{CHAIN}.softmax_cross_entropy().build().fit(np.ones((9, 4)), np.ones(9, int), "

# Programs that must pass.
LEGAL = {
    "shortest": f"{CHAIN}.softmax_cross_entropy().build()",
    "every_step": f"""{CHAIN[:-9]}.dense(3, init="he").relu().dense(3, init="xavier").sigmoid()\
.tanh().dense(2).softmax_cross_entropy().build(seed=1)""",
    "images": """
chain = pynn.Builder().input((1, 28, 28)).conv2d(6, 5).batch_norm().relu().max_pool2d(2)
chain = chain.conv2d(16, (5, 3), stride=2, padding="valid", groups=2, init="xavier").tanh()
chain = chain.avg_pool2d((2, 3), stride=1, padding=1).batch_norm(0.2, eps=1e-3).flatten()
model: pynn.Model = chain.dense(10).softmax_cross_entropy().build()
padded: pynn.LayerBuilder = pynn.Builder().input([3, 8, 8]).conv2d(4, [3, 3], padding=2)
padded.global_avg_pool().mean_squared_error().build()
""",
    "prefix": """
start: pynn.Builder = pynn.Builder()
begun: pynn.LayerBuilder = start.input(4)
prefix: pynn.LayerBuilder = begun.standardize(robust=True, clip=3, missing="mean")
chain: pynn.FinishedBuilder = prefix.relu().dense(3).softmax_cross_entropy()
model: pynn.Model = chain.build()
""",
    "tables": """
columns = pynn.Columns.of({"a": [1.0], "b": ["x"]}, min_count=1, one_hot=["b"])
columns = pynn.Columns(["a"], {"b": ["x"], "c": [1, 2]}, embedding={"b": 3})
model: pynn.Model = pynn.Builder().input(columns).dense(2).softmax_cross_entropy().build()
rows = [{"a": 1, "b": None, "c": 2}]
model.fit({"a": [1.0], "b": ["x"], "c": [1]}, [1], epochs=1, validation=(rows, [0]))
model.predict(model.encode(rows)).tolist()
""",
    "reuse": f"""
model: pynn.Model = {CHAIN}.mean_squared_error().build().copy()
model.freeze("dense1", 1)
model.unfreeze("all")
model.reset(seed=3)
chain: pynn.LayerBuilder = pynn.Builder().from_model(model, before="dense1").dense(2)
names: tuple[str, ...] = chain.mean_squared_error().build().frozen
pynn.Builder().from_model(model).relu(), pynn.Builder().from_model(model, before=1)
""",
    "fit": f"""
history: pynn.History = {FIT}epochs=1, batch_size=9, optimizer=pynn.SGD(learning_rate=0.1),
    validation=(np.ones((9, 4)), np.ones(9, int)), on_epoch=lambda result: print(result.val_loss),
    on_progress=lambda progress: print(progress.step), progress=True)
bar: pynn.ProgressBar = pynn.progress()
{FIT}epochs=1, progress=bar, on_epoch=[bar], on_progress=[bar, print])
losses: list[float] = history.loss
print({FIT}epochs=9, optimizer=pynn.LBFGS(memory=5, tolerance=1e-4, weight_decay=0.1)).ended)
""",
    "data": f"""
model: pynn.Model = {CHAIN}.softmax_cross_entropy().build()
model.fit([[1, 2, 3, 4.5]], ["cat"], epochs=1, class_weight={{"cat": 2.0}}, sample_weight=[1])
model.fit(((1, 2, 3, 4),), [0], epochs=1, class_weight={{0: 2.0}})
x, y = np.ones((2, 4)), ["cat", "dog"]
model.fit([(x, y), (x, y, [1, 2])], epochs=2), model.fit(lambda: iter([(x, y)]), epochs=3)
names: tuple[str, ...] | None = model.classes
model.classes = ["cat", "dog"]
model.classes = None
print(model.predict([[True, 2, 3, 4.5]]).tolist())
pynn.plots.confusion_matrix(model.evaluate([[1, 2, 3, 4]], ["cat"], per_class=True))
""",
    "use": f"""
with {CHAIN}.softmax_cross_entropy().build() as model:
    x = np.ones((2, 4), np.float32)
    print(model.predict(x).tolist(), model.predict_proba(x) + model(x), model.parameters["a"] * 2)
    loss, accuracy = model.evaluate(x, np.zeros(2, int))
    model.save("here")
    other: pynn.Model = pynn.load("here")
""",
    "datasets": """
train, test = pynn.datasets.mnist()
print(train.images + 1, test.labels + 1, pynn.datasets.Dataset(train.images, train.labels))
pets = pynn.datasets.images("pets", size=(32, 48), grey=True, resize="crop", cache="here")
names: tuple[str, ...] = pets.classes
pynn.Builder().input(pets.images.shape[1:]), pynn.datasets.images("pets", classes=names, size=9)
""",
}
# Programs that must not, and what mypy says of their last line.
ILLEGAL = {
    "name_of_pynn": ("pynn.lood", 'Module has no attribute "lood"'),
    "name_of_a_format": ("pynn.formats.keras", 'Module has no attribute "keras"'),
    "relu_before_input": ("pynn.Builder().relu()", '"Builder" has no attribute "relu"'),
    "dense_before_input": ("pynn.Builder().dense(3)", '"Builder" has no attribute "dense"'),
    "build_before_input": ("pynn.Builder().build()", '"Builder" has no attribute "build"'),
    "loss_before_input": (
        "pynn.Builder().softmax_cross_entropy()",
        '"Builder" has no attribute "softmax_cross_entropy"',
    ),
    "float_layer": (
        f"{CHAIN}.mean_squared_error().build().freeze(1.0)",
        'has incompatible type "float"; expected "str | int"',
    ),
    "second_input": (f"{CHAIN}.input(4)", '"LayerBuilder" has no attribute "input"'),
    "build_before_loss": (f"{CHAIN}.build()", '"LayerBuilder" has no attribute "build"'),
    "fit_before_build": (
        f"{CHAIN}.softmax_cross_entropy().fit()",
        '"FinishedBuilder" has no attribute "fit"',
    ),
    **{
        f"{step.partition('(')[0]}_after_loss": (
            f"{CHAIN}.softmax_cross_entropy().{step}",
            f'"FinishedBuilder" has no attribute "{step.partition("(")[0]}"',
        )
        for step in (
            "input(4)",
            "dense(3)",
            "relu()",
            "sigmoid()",
            "tanh()",
            "softmax_cross_entropy()",
        )
    },
    "float_width": ("pynn.Builder().input(4.0)", 'has incompatible type "float"; expected "int '),
    "unknown_padding": (
        'pynn.Builder().input((1, 8, 8)).conv2d(4, 3, padding="full")',
        "has incompatible type \"Literal['full']\"",
    ),
    "positional_stride": (
        "pynn.Builder().input((1, 8, 8)).conv2d(4, 3, 2)",
        'Too many positional arguments for "conv2d"',
    ),
    "pool_without_size": (
        "pynn.Builder().input((1, 8, 8)).max_pool2d()",
        'Missing positional argument "size" in call to "max_pool2d"',
    ),
    "unknown_init": (f'{CHAIN}.dense(3, init="hee")', "has incompatible type \"Literal['hee']\""),
    "positional_init": (f'{CHAIN}.dense(3, "he")', 'Too many positional arguments for "dense"'),
    "positional_seed": (
        f"{CHAIN}.softmax_cross_entropy().build(0)",
        'Too many positional arguments for "build"',
    ),
    "positional_rate": ("pynn.SGD(0.1)", 'Too many positional arguments for "SGD"'),
    "positional_epochs": (f"{FIT}3)", 'Too many positional arguments for "fit"'),
    "no_epochs": (f"{FIT[:-2]})", 'Missing named argument "epochs" for "fit"'),
    "unknown_option": (f"{FIT}epochs=1, lr=0.1)", 'Unexpected keyword argument "lr" for "fit"'),
    "wrong_callback": (
        f"{FIT}epochs=1, on_epoch=lambda a, b: None)",
        'Argument "on_epoch" to "fit"',
    ),
    "build_keeps_no_chain": (
        f"{CHAIN}.softmax_cross_entropy().build().relu()",
        '"Model" has no attribute "relu"',
    ),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, str]]]:
    """Each program's errors as (line, message): one run of mypy, as most of it is NumPy."""
    folder = tmp_path_factory.mktemp("programs")
    programs = LEGAL | {name: program for name, (program, _) in ILLEGAL.items()}
    for name, program in programs.items():
        (folder / f"{name}.py").write_text(IMPORT + program.lstrip() + "\n")
    config = folder / "mypy.ini"
    settings = "[mypy]\nstrict = True\nfollow_imports = silent\n"
    package = Path(pynn.__file__).parents[1]
    installed = {
        sysconfig.get_path("platlib"),
        sysconfig.get_path("purelib"),
        *site.getsitepackages(),
    }
    if str(package) not in installed:  # an editable install, which mypy does not find by itself
        settings += f"mypy_path = {package}\n"
    config.write_text(settings)
    # A process of its own, as what mypy leaves in memory would slow the other tests down.
    mypy = [sys.executable, "-m", "mypy", f"--config-file={config}", "--no-pretty"]
    run = subprocess.run(
        [*mypy, f"--cache-dir={folder / 'cache'}", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    output = run.stdout
    assert not run.stderr, run.stderr
    assert f"checked {len(programs)} source files" in output, output
    errors: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name, line, message in re.findall(r"(\w+)\.py:(\d+): error: (.*)", output):
        errors[name].append((int(line), message))
    return errors


@pytest.mark.parametrize("name", LEGAL)
def test_legal_program_passes(name: str, verdicts: dict[str, list[tuple[int, str]]]) -> None:
    """mypy --strict finds nothing in a program that is right."""
    assert verdicts[name] == []


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_program_is_rejected(name: str, verdicts: dict[str, list[tuple[int, str]]]) -> None:
    """mypy rejects the line that is wrong, for the reason that it is wrong."""
    assert {line for line, _ in verdicts[name]} == {2}
    assert any(ILLEGAL[name][1] in message for _, message in verdicts[name])


def test_package_says_that_it_is_typed() -> None:
    """Without py.typed a type checker would not look into an installed package."""
    assert Path(pynn.__file__).with_name("py.typed").exists()
