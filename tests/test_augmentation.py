"""Images that are changed at random while a network trains: csrc/augment.c has its own tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pynn

RNG = np.random.default_rng(3)
X = RNG.integers(0, 256, (60, 9, 8), np.uint8)
Y = RNG.integers(0, 3, 60).astype(np.int32)
CHANGES = pynn.Augmentation(shift=1.5, rotate=20, scale=0.2, shear=10, elastic=1)


def build(shape: int | tuple[int, int, int] = (1, 9, 8)) -> pynn.Model:
    """A small model, always the same."""
    return pynn.Builder().input(shape).dense(3).softmax_cross_entropy().build(seed=2)


def fitted(model: pynn.Model, **options: Any) -> bytes:
    """The parameters after three epochs in batches of 16."""
    model.fit(X, Y, **{"epochs": 3, "batch_size": 16, "augmentation": CHANGES, **options})
    return b"".join(array.tobytes() for array in model.parameters.values())


def test_the_same_call_gives_the_same_parameters() -> None:
    """For any number of threads; and others than without changes. The images stay as they are."""
    before = X.copy()
    expected = fitted(build())
    pynn.set_num_threads(3)
    try:
        assert fitted(build()) == expected
    finally:
        pynn.set_num_threads(1)
    assert fitted(build(), augmentation=None) != expected
    assert (before == X).all()


def test_each_epoch_has_other_changes() -> None:
    """Without shuffling, and with a learning rate of almost 0, the losses still differ."""
    history = build().fit(
        X,
        Y,
        epochs=4,
        shuffle=False,
        augmentation=CHANGES,
        optimizer=pynn.SGD(learning_rate=1e-30),
    )
    assert len(set(history.loss)) == 4


def test_a_second_call_goes_on_with_the_epochs() -> None:
    """Two calls see the changes of one call: they count from the epochs that the model has."""
    model = build()
    fitted(model, epochs=1)
    assert fitted(model, epochs=2) == fitted(build())


def test_validation_is_not_changed() -> None:
    """Its loss is that of the images as they are, whether it is a pair or a fraction."""
    model = build()
    history = model.fit(X, Y, epochs=1, augmentation=CHANGES, validation=(X, Y))
    assert history.val_loss == [model.evaluate(X, Y).loss]
    held_out = build().fit(X, Y, epochs=1, augmentation=CHANGES, validation=0.5).val_loss
    assert held_out != build().fit(X, Y, epochs=1, validation=0.5).val_loss


@pytest.mark.parametrize("every", [None, 1])
def test_a_resumed_run_has_the_same_bits(tmp_path: Path, every: int | None) -> None:
    """Interrupted in its second epoch, it ends as if it had not been."""
    path = tmp_path / "run"
    seen = []

    def stop(progress: pynn.Progress) -> None:
        seen.append(progress)
        if progress.epoch == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fitted(build(), checkpoint=path, every=every, on_progress=stop)
    assert fitted(pynn.Model.resume(path)) == fitted(build())


def test_a_resumed_run_needs_the_same_changes(tmp_path: Path) -> None:
    """The error says which they were."""
    fitted(build(), checkpoint=tmp_path / "run")
    model = pynn.Model.resume(tmp_path / "run")
    with pytest.raises(pynn.ArgumentError, match=r"^augmentation must be Augmentation\(shift=1.5,"):
        fitted(model, epochs=4, augmentation=None)
    assert fitted(model, epochs=4) == fitted(build(), epochs=4)


def test_the_last_epochs_may_have_no_changes() -> None:
    """Changes for one epoch of three are those of two calls, the second one without changes."""
    changes = pynn.Augmentation(**{**vars(CHANGES), "epochs": 1})
    model = build()
    fitted(model, epochs=1)
    expected = fitted(model, epochs=2, augmentation=None)
    assert fitted(build(), augmentation=changes) == expected
    model = build()
    fitted(model, epochs=1, augmentation=changes)
    assert fitted(model, epochs=2, augmentation=changes) == expected
    assert repr(changes).endswith(", epochs=1)")


def test_a_checkpoint_knows_for_how_many_epochs(tmp_path: Path) -> None:
    """A resumed run goes on without changes, and a run with other changes is refused."""
    changes = pynn.Augmentation(shift=2, epochs=2)
    fitted(build(), augmentation=changes, checkpoint=tmp_path / "run")
    model = pynn.Model.resume(tmp_path / "run")
    with pytest.raises(pynn.ArgumentError, match=r"Augmentation\(shift=2.0, epochs=2\)"):
        fitted(model, epochs=4, augmentation=pynn.Augmentation(shift=2))
    assert fitted(model, epochs=4, augmentation=changes) == fitted(
        build(), epochs=4, augmentation=changes
    )


def test_features_of_plain_models_may_be_images() -> None:
    """Where the chain says only 72, the features' own shape counts."""
    assert fitted(build(72)) == fitted(build())


def test_plain_rows_are_refused() -> None:
    """Nobody knows the height and width of 72 values."""
    with pytest.raises(pynn.ArgumentError, match=r"^augmentation needs images: .*got \(60, 72\)"):
        build(72).fit(X.reshape(60, 72), Y, epochs=1, augmentation=CHANGES)


def test_images_that_are_too_large() -> None:
    """The error names the limit and what it got."""
    x = np.zeros((2, 1, 600), np.float32)
    model = pynn.Builder().input((1, 1, 600)).dense(3).softmax_cross_entropy().build()
    with pytest.raises(pynn.ArgumentError, match="at most 512 x 512, got 1 x 600"):
        model.fit(x, Y[:2], epochs=1, augmentation=CHANGES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": -1}, "augmentation shift must be at least 0"),
        ({"shift": 513}, "augmentation shift must be at most 512, got 513"),
        ({"rotate": 181}, "augmentation rotate must be at most 180, got 181"),
        ({"shear": 90}, "augmentation shear must be at least 0 and less than 90"),
        ({"scale": float("nan")}, "augmentation scale must be at least 0"),
        ({"elastic": float("inf")}, "augmentation elastic must be at least 0"),
        ({"fill": float("nan")}, "augmentation fill must be"),
        ({"epochs": 0}, "augmentation epochs must be"),
    ],
)
def test_numbers_out_of_range(options: dict[str, float], message: str) -> None:
    """Each is named, with its limit."""
    with pytest.raises(pynn.ArgumentError, match=message):
        pynn.Augmentation(**options)


@pytest.mark.parametrize("value", [2, "shift", {"shift": 2}, pynn.Augmentation])
def test_other_things_are_refused(value: object) -> None:
    """The error shows how it is written."""
    with pytest.raises(pynn.ArgumentTypeError, match=r"must be a pynn\.Augmentation, as in pynn"):
        build().fit(X, Y, epochs=1, augmentation=value)  # type: ignore[arg-type]


def test_a_number_that_is_none() -> None:
    """A string is not a number of pixels."""
    with pytest.raises(pynn.ArgumentTypeError, match="augmentation shift must be a number"):
        pynn.Augmentation(shift="2")  # type: ignore[arg-type]
