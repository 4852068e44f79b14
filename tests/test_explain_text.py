"""What an explained step prints: formulas whose numbers are right, and notes."""

from __future__ import annotations

import contextlib
import math
import re
from typing import Any

import numpy as np
import pytest
from random_networks import OF_IMAGES, random_inputs, random_network
from random_training import X, Y, build

import pynn
from pynn._base.formulas import number
from pynn._explain.blocks import blocks
from pynn._explain.digits import enough_digits
from pynn._explain.digits import value_of as formula_value
from pynn._explain.equations import Equation
from pynn._explain.items import Formula, Note
from pynn._explain.step import Step
from pynn._explain.text import _equation, _formula, _numbers
from pynn._network.layers import Layer

FUNCTIONS: dict[str, Any] = {
    "exp": lambda x: math.exp(x) if x < 709 else math.inf,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "max": max,
    "min": min,
    "Phi": lambda x: 0.5 * math.erfc(-x / math.sqrt(2)),
    "phi": lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
}
ROUNDING = 2e-7
"""How much a float may be off that others were computed from."""
NUMBER = re.compile(r"(?<![a-zA-Z\d.^])\d+\.?\d*(?:e[-+]\d+)?")


def value_of(formula: str) -> float:
    """The value of a formula."""
    return float(eval(formula.replace("^", "**"), {"__builtins__": {}}, FUNCTIONS))


def check(sentence: str) -> None:
    """The numbers of its formula, as printed, give its result to 1 %.

    Where they cancel the result may be off by what the rounding of floats has left of it.
    """
    _, formula, result = re.sub(r" \([\d,]+ more\)", "", sentence).split(" = ")
    value, error = value_of(formula), 1e-2 * abs(float(result)) + 1e-30
    for found in NUMBER.finditer(formula):
        other = float(found[0]) * (1 - ROUNDING)  # not upwards: 1 - p must have a logarithm
        with contextlib.suppress(ValueError):  # the root of 1 - 0.9999999^1, say
            moved = value_of(f"{formula[: found.start()]}{other!r}{formula[found.end() :]}")
            error += abs(moved - value)
    assert abs(value - float(result)) <= error, sentence


def sentences(step: Step, row: int | None = None) -> list[str]:
    """All formulas with numbers of a step."""
    items = [item for block in blocks(step._captured, row) for item in block.items]
    return [item.text for item in items if isinstance(item, Formula)]


def notes(step: Step) -> list[str]:
    """All remarks of a step."""
    items = [item for block in blocks(step._captured) for item in block.items]
    return [item.text for item in items if isinstance(item, Note)]


def explained(seed: int) -> Step:
    """A random network's second step with any optimizer, weights and limits."""
    model, rng = random_network(seed, widest=9), np.random.default_rng(seed)
    features, _ = random_inputs(model, 5)
    labels: Any = rng.uniform(0, 1, (5, model.outputs)).astype(np.float32)
    if model._spec.loss.has_classes:
        labels = rng.integers(0, model.outputs, 5)
    optimizer = [
        pynn.SGD(learning_rate=0.3),
        pynn.SGD(weight_decay=0.1, max_gradient_norm=0.01),
        pynn.SGD(momentum=0.9, weight_decay=0.1),
        pynn.SGD(momentum=0.9, nesterov=True, max_gradient_norm=0.01),
        pynn.Adam(weight_decay=0.1),
        pynn.AdamW(weight_decay=0.1, max_gradient_norm=0.01),
    ][seed // 3 % 6]
    model.explain(features, labels, optimizer=optimizer).apply()
    weights = rng.uniform(0.5, 2, 5) if seed % 2 else None
    return model.explain(features, labels, optimizer=optimizer, sample_weight=weights)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # One that holds stays as it is, though another needs more digits.
        (
            [(0.25, 0.5), (0.99999389, 1)],
            ["d = 0.25 - 0.5 = -0.25", "d = 0.9999939 - 1 = -6.11e-06"],
        ),
        ([(123456.7, 123455.2)], ["d = 123456.7 - 123455.2 = 1.5"]),
        ([(1234.56, 0.123456)], ["d = 1235 - 0.1235 = 1234"]),
        ([(3.14159265358, 3.14159265357)], ["d = 3.14159265358 - 3.14159265357 = 1e-11"]),
    ],
)
def test_as_many_digits_as_it_takes(values: list[tuple[float, float]], expected: list[str]) -> None:
    """Four mostly, more where numbers nearly cancel."""

    def write() -> list[str]:
        return [f"d = {number(a)} - {number(b)} = {number(a - b)}" for a, b in values]

    assert enough_digits(write) == expected


def test_what_no_number_of_digits_makes_hold() -> None:
    """It has all digits of a float: the result is what the rounding of floats has left."""

    def write() -> list[str]:
        return [f"d = {number(1 / 3)} - {number(1 / 3)} = {number(1e-9)}"]

    assert enough_digits(write) == ["d = 0.333333333 - 0.333333333 = 1e-09"]


def test_a_long_equation_has_its_line_of_c_below() -> None:
    """Nothing is wider than 100."""
    shown = _equation(Equation("x" * 80, "csrc/optimizer.c", 1))
    assert shown == "    " + "x" * 80 + "\n" + "csrc/optimizer.c:1".rjust(100)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("-2^2 + 3*(1 - 0.5)/2", -3.25),
        ("max(-0.1, 0) + exp(0) + 4.5 (1,234 more)", 5.5),
        ("1 / 0", math.inf),
        ("exp(1e4)", math.inf),
        ("log(0)", math.inf),
    ],
)
def test_formulas_have_values(formula: str, value: float) -> None:
    """As in mathematics; infinity where there is none."""
    assert formula_value(formula) == value


@pytest.mark.parametrize(
    "sentence",
    [
        "dx0 = 2.889*1*(1 - 1) = 3.169e-05",
        "dx0 = 2.889*1*(1 - 1) = 0.002",
        "loss = -log(1) = 7.272e-06",
        "y0 = 1*(5e+04 - 5.001e+04) / sqrt(0.2125 + 1e-05) + 0 = -1",
        "y0 = 0.5*0.2 + 0.3 = 0.41",
    ],
)
def test_the_check_sees_wrong_arithmetic(sentence: str) -> None:
    """Also where all that is wrong is that numbers were rounded."""
    with pytest.raises(AssertionError):
        check(sentence)


@pytest.mark.parametrize("seed", range(36))
def test_formulas_give_their_results(seed: int) -> None:
    """Whatever the layers, the loss, the optimizer and the example: the arithmetic is right."""
    step = explained(seed)
    found = [*sentences(step), *sentences(step, 3)]
    assert len(found) > 8
    for sentence in found:
        check(sentence)


@pytest.mark.parametrize("scale", [8, 64])
@pytest.mark.parametrize("seed", range(18))
def test_formulas_of_saturated_networks_give_their_results(seed: int, scale: int) -> None:
    """Where differences are small, and logits are large, numbers have the digits that it takes."""
    model, rng = random_network(seed, widest=9), np.random.default_rng(seed)
    for name, array in model.parameters.items():
        if name.startswith("dense"):
            array *= scale if name.endswith("weight") else 1
    features, _ = random_inputs(model, 3)
    labels: Any = rng.uniform(0, 1, (3, model.outputs)).astype(np.float32)
    if model._spec.loss.has_classes:
        labels = rng.integers(0, model.outputs, 3)
    try:
        step = model.explain(features / 8, labels, optimizer=pynn.Adam(beta2=0.9999999))
    except pynn.DivergenceError:
        return
    for sentence in sentences(step):
        check(sentence)


@pytest.mark.parametrize("bias", [6, 12, 20, 40, -12, 1000])
@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "silu", "softplus", "gelu", "elu"])
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy"])
def test_formulas_hold_at_flat_ends(kind: str, bias: float, loss: str) -> None:
    """1 - y, 1 - y^2 and -log p are not written as 1 - 1 and log(1), unless floats are so."""
    chain: Any = pynn.Builder().input(2).dense(2)
    chain = getattr(getattr(chain, kind)().dense(2), loss)()
    model = chain.build(seed=0)
    model.parameters["dense1.bias"][...] = bias
    model.parameters["dense2.bias"][...] = [bias, 0]
    labels: Any = np.array([0, 1]) if model._spec.loss.has_classes else np.eye(2, dtype=np.float32)
    step = model.explain(np.array([[0.5, 1], [2, -1]], np.float32), labels)
    found = [text for row in (0, 1) for text in sentences(step, row)]
    assert len(found) >= 8
    for sentence in found:
        check(sentence)


def test_long_sums_have_their_largest_terms() -> None:
    """A unit with 784 inputs, ten probabilities, and a gradient over 40 examples."""
    chain = pynn.Builder().input(784).dense(12).relu().dense(10).softmax_cross_entropy()
    model = chain.build(seed=0)
    images = np.random.default_rng(0).integers(0, 256, (40, 784), np.uint8)
    found = sentences(model.explain(images, np.arange(40) % 10))
    for sentence in found:
        check(sentence)
    for start, rest in [("y", 781), ("p", 7), ("dW", 37), ("db", 37), ("dx", 7)]:
        matching = [text for text in found if text.startswith(start) and "more)" in text]
        assert any(f" ({rest:,} more)" in text for text in matching), start


def test_the_poisson_loss_of_no_event_is_the_rate() -> None:
    """The logarithm of a target 0 is not taken."""
    model = pynn.Builder().input(2).dense(1).poisson().build(seed=0)
    step = model.explain(np.ones((1, 2), np.float32), np.zeros(1))
    (loss,) = [text for text in sentences(step) if text.startswith("loss = ")]
    assert re.fullmatch(r"loss = exp\([-\d.]+\) = [\d.]+", loss), loss
    check(loss)


# flatten calculates nothing; columns and standardize have no dX: see their own tests.
@pytest.mark.parametrize(
    "kind", [kind for kind in Layer.kinds if kind not in ("columns", "flatten", "standardize")]
)
def test_every_kind_is_written_out(kind: str) -> None:
    """Y and dX of each kind have a formula, at both ends of the scalar functions."""
    images = kind in OF_IMAGES
    chain: Any = pynn.Builder().input((1, 2, 3)).conv2d(2, 1) if images else chain_of_rows()
    options = {"dense": [4], "dropout": [0.5], "leaky_relu": [0.1], "conv2d": [2, 2]}.get(kind, [])
    if kind.endswith("pool2d"):
        options = [2]
    chain = getattr(chain, kind)(*options)
    model = chain.dense(3).softmax_cross_entropy(label_smoothing=0.1).build(seed=3)
    for bias in [array for name, array in model.parameters.items() if name.endswith("1.bias")]:
        bias[...] = -1  # so that some outputs are below 0
    step = model.explain(X[:8], Y[:8])
    for sentence in sentences(step):
        check(sentence)
    name = {"dense": "dense2", "conv2d": "conv2d2"}.get(kind, f"{kind}1")
    seen = set()
    for row in range(8):
        for block in blocks(step._captured, row):
            if block.title == name:
                texts = [item.text for item in block.items if isinstance(item, Formula)]
                seen |= {block.part for text in texts if " = " in text}
                for text in texts:
                    check(text)
    assert seen == {"forward", "backward"}


@pytest.mark.parametrize("seed", range(12))
def test_lines_are_not_too_wide(seed: int) -> None:
    """At most 100 characters, and each title once."""
    text = str(explained(seed))
    assert max(map(len, text.splitlines())) <= 100
    titles = [line for line in text.splitlines()[2:] if line and line[0] != " "]
    assert len(set(titles)) == len(titles)


def test_small_numbers_have_a_power_in_common() -> None:
    """Each row of ten columns is one line, without exponents; zero stays zero."""
    model = pynn.Builder().input(10).dense(10).mean_squared_error().build(seed=0)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 10)).astype(np.float32)
    step = model.explain(features, model.predict(features) + np.float32(1e-5))
    lines = str(step).splitlines()
    assert not [line for line in lines if re.search(r"\[.*\de[-+]\d.*\]$", line)]
    at = lines.index("    dW  10 x 10, times 1e-6:")
    rows = [[float(it) for it in re.findall(r"[-\d.]+", line)] for line in lines[at + 1 : at + 11]]
    found = np.array(rows)
    np.testing.assert_allclose(found * 1e-6, step.gradients["dense1.weight"], atol=6e-11)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.zeros((2, 2)), ("", ["[[0. 0.]", " [0. 0.]]"])),
        (np.array([[1.5, -2.0]]), ("", ["[ 1.5 -2. ]"])),
        (np.array([3e-7, 0.0]), (", times 1e-7", ["[3.0000 0.0000]"])),
        (np.array([5.0, 1e-6]), ("", ["[5.0000 0.0000]"])),
        (np.array([123456789.0, -5e9]), (", times 1e9", ["[ 0.1235 -5.0000]"])),
        (np.float32(2e-6), (", times 1e-6", ["2.0000"])),
        (np.array([7, 2]), ("", ["[7 2]"])),
    ],
)
def test_numbers_are_short(values: Any, expected: tuple[str, list[str]]) -> None:
    """A factor for all where they are small or large; a single row is a vector."""
    assert _numbers(np.asarray(values)) == expected


def test_numbers_do_not_depend_on_the_users_options() -> None:
    """np.set_printoptions is for the user's own arrays."""
    step = build().explain(X[:3], Y[:3])
    expected = str(step)
    with np.printoptions(
        precision=1, threshold=2, suppress=True, sign="+", formatter={"float": lambda _: "Q"}
    ):
        assert str(step) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("y0 = " + " + ".join(["0.1234*0.5678"] * 8) + " = 0.1", 1),
        (
            "p = 1.5 - 0.001*(0.25 / (1 - 0.9^1)) / (sqrt(1e-07 / (1 - 0.999^1)) + 1e-08) = 1.2346",
            0,
        ),
        ("a = max(1, " + ", ".join(["1.25"] * 20) + ") = 1", 1),
        ("p0 = exp(1) / (" + " + ".join(["exp(-12.345)"] * 8) + ") = 0.1", 1),
    ],
)
def test_formulas_are_broken_before_operators(line: str, expected: int) -> None:
    """Not within parentheses, unless a sum in them is wider than a line."""
    lines = _formula(line).splitlines()
    assert len(lines) == 1 + expected and max(map(len, lines)) <= 100
    assert " ".join(it.strip() for it in lines) == line
    assert "max" in line or all(it.strip()[0] in "+-/=" for it in lines[1:])


def test_no_formula_is_its_result() -> None:
    """A sum of one term, as in a batch of one example."""
    step = build().explain(X[:1], Y[:1])
    assert not re.search(r" = (\S+) = \1$", str(step), re.MULTILINE)


def test_letters_are_explained() -> None:
    """The learning rate, the options of the optimizer, targets, moments."""
    model = pynn.Builder().input(6).dense(2).mean_squared_error().build(seed=0)
    adam = " ".join(str(model.explain(X[:3], X[:3, :2], optimizer=pynn.Adam())).split())
    assert "r = 0.001 (learning rate), t = 1 (number of the update), beta1 = 0.9, beta2" in adam
    assert "eps = 1e-08, g = the gradient" in adam
    assert "t (targets) 3 x 2" in adam
    sgd = pynn.SGD(momentum=0.9, weight_decay=0.5)
    text = " ".join(str(model.explain(X[:3], X[:3, :2], optimizer=sgd)).split())
    assert "momentum = 0.9, g = the gradient + 0.5 weight (weight_decay)" in text
    assert "momentum (m after the step) 2: [" in text
    assert "number of the update" not in text


def chain_of_rows() -> Any:
    """The beginning of a chain."""
    return pynn.Builder().input(6).dense(4)


def test_a_dead_relu_is_noted() -> None:
    """Units count that no example of the batch makes greater than 0, not those that some do not."""
    model = chain_of_rows().relu().dense(3).softmax_cross_entropy().build(seed=0)
    step = model.explain(X[:20], Y[:20])
    assert (step.forward["relu1"].Y == 0).any(axis=0).all()
    assert "dead" not in str(step)
    model.parameters["dense1.bias"][1:3] = -100
    step = model.explain(X[:20], Y[:20], optimizer=pynn.AdamW())
    assert notes(step)[0] == (
        "2 of 4 units are 0 (dead ReLU) for all 20 examples: no gradient passes them"
    )  # weight decay and moments change their weights all the same
    weights = step.updates["dense1.weight"]
    assert (weights.after != weights.before)[:, 1:3].all()


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_a_vanishing_gradient_is_noted(kind: str) -> None:
    """At the flat ends of a function little of the gradient passes."""
    model = getattr(chain_of_rows(), kind)().dense(3).softmax_cross_entropy().build(seed=0)
    well = notes(model.explain(X[:9], Y[:9]))
    assert not any("vanishes" in note for note in well)
    model.parameters["dense1.bias"][:] = 9
    found = notes(model.explain(X[:9], Y[:9]))
    assert any(note.startswith("the gradient vanishes here: the norm of dX") for note in found)


def test_dropped_values_and_zeros_are_counted() -> None:
    """Dropout, inputs that are 0, and sparse rows say how many there are."""
    model = chain_of_rows().dropout(0.5).dense(3).softmax_cross_entropy().build(seed=0)
    model.parameters["dense1.bias"][:] = 1
    step = model.explain(X[:50], Y[:50])
    dropped = int((step.forward["dropout1"].Y == 0).sum())
    assert f"{dropped} of the 200 values that are not 0 are dropped" in str(step)
    few = X[:50].copy()
    few[:, 1:] = 0
    assert "note: 83% of X is 0\n" in str(model.explain(few, Y[:50]))
    wide = pynn.Builder().input(784).dense(64).relu().dense(3).softmax_cross_entropy().build(seed=0)
    images = np.zeros((64, 784), np.uint8)
    images[:, :78] = 200
    assert "note: 90% of X is 0: C multiplies the other values only (sparse rows)" in str(
        wide.explain(images, np.zeros(64, int))
    )


def test_clipped_and_fused_updates_are_noted() -> None:
    """A gradient that was too long; plain SGD, which stores none."""
    model = build()
    clipped = notes(model.explain(X, Y, optimizer=pynn.Adam(max_gradient_norm=1e-3)))
    assert any(
        re.match(r"the whole gradient is multiplied by 0\.00\d+: its norm", n) for n in clipped
    )
    whole = notes(model.explain(X, Y, optimizer=pynn.SGD(max_gradient_norm=1e3)))
    assert not any("whole gradient" in note or "fused" in note for note in whole)
    assert notes(model.explain(X, Y, optimizer=pynn.SGD()))[-1].endswith("at once (fused)")


def test_an_example_is_printed() -> None:
    """Its numbers are there, and none of another example, of gradients of weights or of updates."""
    model = chain_of_rows().relu().dense(3).softmax_cross_entropy().build(seed=0)
    step = model.explain(X[:7], Y[:7])
    text, p, label = str(step.example(5)), step.probabilities, int(Y[5])
    assert p is not None
    assert f"loss = -log({p[5, label]:.4g}) = {step.losses[5]:.4g}" in text
    assert f"    Y  4:  {np.array2string(step.forward['dense1'].Y[5], precision=4)}\n" in text
    assert "update" not in text and "dW" not in text


def test_what_dropout_did_to_a_zero_cannot_be_said() -> None:
    """Dropped or not, the output is 0, so no factor is written."""
    layer = Layer.kinds["dropout"](0.5)
    assert layer.derivative(0.0, 0.0) == ""
    assert (layer.derivative(3.0, 6.0), layer.derivative(3.0, 0.0)) == ("2", "0")


def test_names_of_many_classes_are_cut() -> None:
    """The first twenty, with what a terminal would obey escaped."""
    model = pynn.Builder().input(2).dense(22).softmax_cross_entropy().build()
    model.classes = ["\x1b", *map(str, range(21))]
    shown = str(model.explain([[1.0, 2.0]], ["3"]))
    assert "classes: 0 = '\\\\x1b', 1 = '0', 2 = '1'" in shown
    assert "19 = '18', and 2 more" in shown
