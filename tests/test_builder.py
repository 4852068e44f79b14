"""The chain: what may come next, what is said of all else, and what it builds."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pynn

START: Any = pynn.Builder()  # Any, as the type checker would stop what is to be tried
INPUT = START.input(3)
LAYERS = INPUT.dense(2).tanh()
FINISHED = INPUT.dense(2).softmax_cross_entropy()
VALUE, TYPE = pynn.ArgumentError, pynn.ArgumentTypeError

KINDS = (
    "dense",
    "conv2d",
    "max_pool2d",
    "avg_pool2d",
    "global_avg_pool",
    "flatten",
    "relu",
    "leaky_relu",
    "gelu",
    "silu",
    "elu",
    "softplus",
    "sigmoid",
    "tanh",
    "layer_norm",
    "batch_norm",
    "dropout",
)
LOSSES = ("softmax_cross_entropy", "mean_squared_error", "binary_cross_entropy", "poisson")
FIRST = ("standardize",)  # only directly behind the input
STEPS = ("input", *FIRST, *KINDS, *LOSSES, "build")
# The states of the chain, and the steps that each offers.
STATES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "start": (START, ("input", "from_model")),
    "input": (INPUT, (*FIRST, *KINDS, *LOSSES)),
    "layers": (LAYERS, (*FIRST, *KINDS, *LOSSES)),
    "finished": (FINISHED, ("build",)),
}
REPRS = {
    "start": "Builder()",
    "input": "Builder().input(3)",
    "layers": "Builder().input(3).dense(2, init='he').tanh()",
    "finished": "Builder().input(3).dense(2, init='he').softmax_cross_entropy()",
}
FOR_IMAGES = ("conv2d", "max_pool2d", "avg_pool2d", "global_avg_pool")
ROWS = tuple(kind for kind in KINDS if kind not in FOR_IMAGES)
OFFERED = {
    ("start", ""): ("input", "from_model"),
    # Rows of values are no images, and no loss comes before a product.
    ("input", ""): (*FIRST, *ROWS),
    ("layers", ""): (*ROWS, *LOSSES),
    ("layers", "build"): LOSSES,  # only then comes build
    ("finished", ""): ("build",),
}
"""What an error says may come next in a state, if one step is wanted, or any other."""
WRONG = [(state, step) for state, (_, may) in STATES.items() for step in STEPS if step not in may]


@pytest.mark.parametrize("state", STATES)
def test_state_offers_its_steps_and_no_others(state: str) -> None:
    """What an editor lists is what may come next."""
    chain, may = STATES[state]
    assert sorted(name for name in dir(chain) if not name.startswith("_")) == sorted(may)


@pytest.mark.parametrize(("state", "step"), WRONG)
def test_wrong_step_says_what_may_come_next(state: str, step: str) -> None:
    """A step out of place is named, and the chain so far, and each step that fits there."""
    chain, _ = STATES[state]
    may = OFFERED.get((state, step)) or OFFERED[state, ""]
    offered = ", ".join(f".{name}()" for name in may)
    with pytest.raises(pynn.ChainError) as caught:
        getattr(chain, step)
    assert str(caught.value) == (
        f".{step}() cannot come after {REPRS[state]}; what may come next: {offered}"
    )
    assert not hasattr(chain, step)


@pytest.mark.parametrize("state", STATES)
def test_misspelt_step_is_spelt_right(state: str) -> None:
    """The nearest step is named, also where it cannot come."""
    with pytest.raises(pynn.ChainError, match=r"has no attribute 'rleu': did you mean \.relu\(\)"):
        _ = STATES[state][0].rleu


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["_layer", "__array__", "_repr_png_"])
def test_private_name_is_a_plain_attribute_error(state: str, name: str) -> None:
    """Other programs look for such names, and want no advice."""
    with pytest.raises(
        AttributeError, match=f"Builder' object has no attribute '{name}'"
    ) as caught:
        getattr(STATES[state][0], name)
    assert not isinstance(caught.value, pynn.PynnError)


def test_images_are_offered_their_layers() -> None:
    """Before and behind a convolution, whose loss may come then."""
    chain: Any = START.input((1, 8, 8))
    with pytest.raises(pynn.ChainError) as caught:
        chain.input(3)
    assert str(caught.value).endswith(
        "next: " + ", ".join(f".{name}()" for name in (*FIRST, *KINDS))
    )
    with pytest.raises(pynn.ChainError) as caught:
        chain.conv2d(2, 3).input(3)
    steps = (*KINDS, *LOSSES)
    assert str(caught.value).endswith("next: " + ", ".join(f".{name}()" for name in steps))


def test_loss_needs_a_dense_layer() -> None:
    """A chain without weights is refused by the loss, which says what is missing."""
    with pytest.raises(pynn.ChainError, match=r"dense or conv2d layer; add \.dense\(\.\.\.\)"):
        pynn.Builder().input(3).relu().softmax_cross_entropy()


@pytest.mark.parametrize("state", STATES)
def test_repr_is_the_chain(state: str) -> None:
    """The repr is Python that makes the same chain."""
    chain = STATES[state][0]
    assert repr(chain) == REPRS[state]
    assert repr(eval(repr(chain), {"Builder": pynn.Builder})) == repr(chain)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
@pytest.mark.parametrize("state", STATES)
def test_chain_can_be_copied(state: str, duplicate: Callable[[Any], Any]) -> None:
    """A copy and an unpickled chain are the chain."""
    assert repr(duplicate(STATES[state][0])) == REPRS[state]


def test_prefix_can_be_shared() -> None:
    """Going on from a prefix leaves the prefix, and what else was made of it, as they were."""
    prefix = pynn.Builder().input(3).dense(4)
    relu = prefix.relu().dense(2).softmax_cross_entropy()
    tanh = prefix.tanh().dense(5, init="xavier").softmax_cross_entropy()
    assert repr(prefix) == "Builder().input(3).dense(4, init='he')"
    assert repr(relu) == f"{prefix!r}.relu().dense(2, init='he').softmax_cross_entropy()"
    assert repr(tanh) == f"{prefix!r}.tanh().dense(5, init='xavier').softmax_cross_entropy()"
    assert (relu.build().outputs, tanh.build().outputs) == (2, 5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: START.input(0), VALUE, "input must be in [1, 2147483647], got 0"),
        (lambda: START.input(2**31), VALUE, "input must be in [1, 2147483647], got 2147483648"),
        (lambda: START.input(3.0), TYPE, "input must be an integer, got float 3.0"),
        (lambda: START.input(True), TYPE, "input must be an integer, got bool True"),
        (lambda: START.input("784"), TYPE, "input must be an integer, got str '784'"),
        (lambda: INPUT.dense(0), VALUE, "layer 1: dense must be in [1, 2147483647], got 0"),
        (lambda: LAYERS.dense(-1), VALUE, "layer 3: dense must be in [1, 2147483647], got -1"),
        (lambda: LAYERS.dense("9"), TYPE, "layer 3: dense must be an integer, got str '9'"),
        (lambda: LAYERS.dense(9, init="HE"), VALUE, "init must be 'he' or 'xavier', got 'HE'"),
        (lambda: LAYERS.dense(9, init=None), VALUE, "layer 3: dense: init must be 'he' or"),
        (lambda: LAYERS.dense(9, "he"), TypeError, "positional"),
        (lambda: FINISHED.build(0), TypeError, "positional"),
        (lambda: FINISHED.build(seed=-1), VALUE, "seed must be in [0, 18446744073709551615], got"),
        (lambda: FINISHED.build(seed=2**64), VALUE, "got 18446744073709551616"),
        (lambda: FINISHED.build(seed=None), TYPE, "seed must be an integer, got NoneType None"),
    ],
)
def test_wrong_argument_is_named(
    call: Callable[[], object], error: type[Exception], words: str
) -> None:
    """The error says which layer or argument, what it needs, and what it got."""
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_chain_has_a_longest_length() -> None:
    """One layer more than a chain may have is refused, as its cost grows with the square."""
    chain = pynn.Builder().input(1)
    for _ in range(4096):
        chain = chain.relu()
    with pytest.raises(
        pynn.ArgumentError, match="layer 4097: tanh: a network has at most 4096 layers"
    ):
        chain.tanh()


@pytest.mark.parametrize("integer", [int, np.int64, np.uint8])
def test_any_integer_type_will_do(integer: Callable[[int], Any]) -> None:
    """Widths and seeds may be NumPy's integers."""
    chain = pynn.Builder().input(integer(3)).dense(integer(2)).softmax_cross_entropy()
    model = chain.build(seed=integer(7))
    assert repr(chain) == REPRS["finished"]
    assert (model.inputs, model.outputs) == (3, 2)


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1])
def test_seed_decides_the_weights(seed: int) -> None:
    """The same seed gives the same weights, the next another."""
    weights, again = (FINISHED.build(seed=seed).parameters["dense1.weight"] for _ in range(2))
    other = FINISHED.build(seed=(seed + 1) % 2**64).parameters["dense1.weight"]
    np.testing.assert_array_equal(weights, again)
    assert (weights != other).all()


def test_he_draws_normal_weights() -> None:
    """He's weights have mean 0 and variance 2 / inputs, and pass any bound that Xavier's keep."""
    weights = build_wide("he")["dense1.weight"]
    deviation = np.sqrt(2 / 300)
    assert abs(weights.mean()) < 0.02 * deviation
    assert weights.std() == pytest.approx(deviation, rel=0.02)
    assert abs(weights).max() > 3 * deviation


def test_xavier_draws_uniform_weights() -> None:
    """Xavier's weights fill the interval of +-sqrt(6 / (inputs + outputs)), evenly."""
    weights = build_wide("xavier")["dense1.weight"]
    limit = np.sqrt(6 / (300 + 200))
    assert 0.999 * limit < abs(weights).max() <= np.float32(limit)
    assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


def test_bias_starts_at_zero() -> None:
    """Biases are zeros."""
    assert not build_wide("xavier")["dense1.bias"].any()


def build_wide(init: Any) -> dict[str, Any]:
    """The parameters of a layer with enough weights for statistics: 60,000."""
    chain = pynn.Builder().input(300).dense(200, init=init).softmax_cross_entropy()
    return chain.build(seed=3).parameters


def test_he_is_the_default() -> None:
    """Without init a layer is drawn as He's."""
    chain = pynn.Builder().input(300).dense(200).softmax_cross_entropy()
    np.testing.assert_array_equal(
        chain.build(seed=3).parameters["dense1.weight"], build_wide("he")["dense1.weight"]
    )


@pytest.mark.parametrize("widths", [(2**25, 2**23), (2**31 - 1, 2**31 - 1)])
def test_too_large_a_network_is_out_of_memory(widths: tuple[int, int]) -> None:
    """Parameters that no memory holds are a MemoryError of ours, whichever way NumPy refuses."""
    chain = pynn.Builder().input(widths[0]).dense(widths[1]).softmax_cross_entropy()
    with pytest.raises(pynn.OutOfMemoryError, match=r"out of memory for [0-9,]+ parameters"):
        chain.build()


@pytest.mark.parametrize(
    ("slope", "error", "says"),
    [
        (-0.1, VALUE, "layer 2: leaky_relu slope must be at least 0"),
        (float("nan"), VALUE, "layer 2: leaky_relu slope must be at least 0"),
        (1e39, VALUE, "finite as a float32"),
        ("0.1", TYPE, "layer 2: leaky_relu slope must be a number"),
    ],
)
def test_wrong_slope_is_refused(slope: Any, error: type[Exception], says: str) -> None:
    """By the call that makes the mistake, with the place of the layer."""
    with pytest.raises(error, match=says):
        INPUT.dense(2).leaky_relu(slope)


@pytest.mark.parametrize(
    ("alpha", "error", "says"),
    [
        (-0.1, VALUE, "layer 2: elu alpha must be at least 0"),
        (float("inf"), VALUE, "layer 2: elu alpha must be"),
        (None, TYPE, "layer 2: elu alpha must be a number"),
    ],
)
def test_wrong_alpha_is_refused(alpha: Any, error: type[Exception], says: str) -> None:
    """By the call that makes the mistake, with the place of the layer."""
    with pytest.raises(error, match=says):
        INPUT.dense(2).elu(alpha)


@pytest.mark.parametrize(
    ("eps", "error", "says"),
    [
        (0.0, VALUE, "layer 2: layer_norm eps must be at least 1.1754944e-38"),
        (1e-40, VALUE, "layer 2: layer_norm eps must be at least 1.1754944e-38"),
        (float("nan"), VALUE, "layer 2: layer_norm eps must be at least 1.1754944e-38"),
        ("small", TYPE, "layer 2: layer_norm eps must be a number"),
    ],
)
def test_wrong_eps_is_refused(eps: Any, error: type[Exception], says: str) -> None:
    """By the call that makes the mistake, with the place of the layer."""
    with pytest.raises(error, match=says):
        INPUT.dense(2).layer_norm(eps)


def test_slope_shows_and_counts() -> None:
    """In the chain's repr and the model's, and in what the model gives for a negative value."""
    chain = INPUT.dense(2).leaky_relu(0.25)
    assert repr(chain) == "Builder().input(3).dense(2, init='he').leaky_relu(0.25)"
    model = chain.softmax_cross_entropy().build()
    assert "dense(2, he) -> leaky_relu(0.25) -> softmax" in repr(model)
    model.parameters["dense1.weight"][:] = 0
    model.parameters["dense1.bias"][:] = [-8, 8]
    np.testing.assert_array_equal(model(np.zeros((1, 3), np.float32)), [[-2, 8]])
