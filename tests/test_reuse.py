"""Models used again: copies, and models that forget what they have learned."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import pynn

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 5)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
CHAIN = pynn.Builder().input(5).dense(6).batch_norm().relu().dropout(0.2).dense(3)


def built(seed: int = 4) -> pynn.Model:
    return CHAIN.softmax_cross_entropy().build(seed=seed)


def train(model: pynn.Model, epochs: int = 2) -> pynn.History:
    return model.fit(X, Y, epochs=epochs, batch_size=16, optimizer=pynn.Adam(learning_rate=0.01))


def state_of(model: pynn.Model) -> tuple[object, ...]:
    """All that the next fit depends on, as values that can be compared."""
    state = model._engine.state
    moments = [moment.tobytes() for moment in state.moments]
    counts = model.seed, model.epochs_trained, model.steps_trained, state.updates, state.kind
    return *counts, model.frozen, model._engine.parameters.tobytes(), moments


@pytest.fixture
def trained() -> pynn.Model:
    model = built()
    train(model)
    model.freeze("dense1")
    return model


def test_a_copy_has_all_that_training_depends_on(trained: pynn.Model) -> None:
    """Parameters, moments, counts, seed, frozen layers; and it trains on to the same bits."""
    copied = trained.copy()
    assert type(copied) is pynn.Model
    assert state_of(copied) == state_of(trained)
    train(copied)
    train(trained)
    assert state_of(copied) == state_of(trained)


def test_a_copy_is_independent(trained: pynn.Model) -> None:
    """Training, freezing or closing one of them leaves the other as it is."""
    before = state_of(trained)
    copied = trained.copy()
    copied.unfreeze("all")
    train(copied)
    assert state_of(copied) != before
    assert state_of(trained) == before
    copied.close()
    assert len(trained.predict(X)) == len(X)
    with pytest.raises(pynn.ClosedError, match="closed"):
        copied.copy()


def test_a_copy_continues_the_run_of_a_checkpoint(tmp_path: Path) -> None:
    """After Model.resume the copy knows the run, too."""
    path = tmp_path / "run.checkpoint"
    model = built()
    model.fit(X, Y, epochs=2, batch_size=16, checkpoint=path)
    resumed = pynn.Model.resume(path)
    histories = [
        one.fit(X, Y, epochs=3, batch_size=16, checkpoint=path) for one in (resumed.copy(), resumed)
    ]
    assert [history.epochs for history in histories] == [3, 3]
    assert histories[0].loss == histories[1].loss


def test_copy_in_a_callback_keeps_a_good_epoch() -> None:
    """A copy may be made while the model is trained."""
    kept: list[pynn.Model] = []
    model = built()
    model.fit(X, Y, epochs=3, on_epoch=lambda result: kept.append(model.copy()))
    assert [it.epochs_trained for it in kept] == [1, 2, 3]
    assert state_of(kept[-1]) == state_of(model)


@pytest.mark.parametrize("seed", [None, 4, 9])
def test_a_reset_model_is_as_build_made_it(trained: pynn.Model, seed: int | None) -> None:
    """Weights, counts, moments, frozen layers; training then gives the same bits."""
    trained.reset(seed)
    new = built(4 if seed is None else seed)
    assert state_of(trained) == state_of(new)
    assert train(trained).loss == train(new).loss
    assert state_of(trained) == state_of(new)


def test_views_stay_valid_after_a_reset(trained: pynn.Model) -> None:
    """The arrays of `parameters` are those of the model still."""
    views: dict[str, npt.NDArray[np.float32]] = trained.parameters
    trained.reset(1)
    assert all(np.shares_memory(views[name], it) for name, it in trained.parameters.items())
    assert views["dense1.weight"].tobytes() == built(1).parameters["dense1.weight"].tobytes()


def test_reset_gives_up_the_run_of_a_checkpoint(tmp_path: Path) -> None:
    """The next fit is a run of its own."""
    path = tmp_path / "run.checkpoint"
    built().fit(X, Y, epochs=2, batch_size=16, checkpoint=path)
    model = pynn.Model.resume(path)
    model.reset()
    assert train(model).loss == train(built()).loss


@pytest.mark.parametrize(
    ("seed", "error", "words"),
    [
        (-1, pynn.ArgumentError, "seed must be in"),
        (1.5, pynn.ArgumentTypeError, "seed must be an integer"),
    ],
)
def test_wrong_seeds_are_refused(seed: object, error: type[Exception], words: str) -> None:
    """And the model stays as it is."""
    model = built()
    before = state_of(model)
    with pytest.raises(error, match=words):
        model.reset(seed)  # type: ignore[arg-type]
    assert state_of(model) == before


def test_a_model_cannot_be_reset_while_it_is_trained() -> None:
    """Nor after close()."""
    model = built()
    with pytest.raises(pynn.PynnError, match=r"reset was called from a callback .* fit"):
        model.fit(X, Y, epochs=1, on_epoch=lambda result: model.reset())
    model.close()
    with pytest.raises(pynn.ClosedError, match="closed"):
        model.reset()


def test_copy_and_deepcopy_agree(trained: pynn.Model) -> None:
    """Python's own copies are those of the method."""
    assert state_of(copy.copy(trained)) == state_of(copy.deepcopy(trained)) == state_of(trained)
