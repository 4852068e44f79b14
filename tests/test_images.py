"""Models of images: what they take, and that all they do is the same to the bit."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pynn

RNG = np.random.default_rng(8)
GREY = RNG.integers(0, 256, (90, 10, 9), np.uint8)
COLOUR = RNG.integers(0, 256, (90, 3, 10, 9), np.uint8)
Y = (GREY[:, 2:6, 2:6].mean(axis=(1, 2)) > 127).astype(np.uint8)


def chain(channels: int = 1) -> Any:
    """Every kind of layer that looks at a neighbourhood, or at the whole batch."""
    images: Any = pynn.Builder().input((channels, 10, 9)).conv2d(6, 3).batch_norm().relu()
    images = images.max_pool2d(2).conv2d(6, 3, groups=6, stride=2).batch_norm(0.3).relu()
    images = images.avg_pool2d(2, stride=1).dense(8).dropout(0.2).batch_norm().relu()
    return images.dense(2).softmax_cross_entropy()


def bits(model: pynn.Model) -> bytes:
    """All parameters, the running means among them."""
    return model._engine.parameters.tobytes()


@pytest.mark.parametrize("shape", [(90, 10, 9), (90, 1, 10, 9), (90, 10, 9, 1), (90, 90)], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_grey_images_as_they_are_stored(shape: tuple[int, ...], dtype: str) -> None:
    """With a channel or without, flat, in bytes or as numbers: the same training."""
    scaled = GREY if dtype == "uint8" else np.divide(GREY, 255, dtype=np.float32).astype(dtype)
    models = [chain().build(seed=2) for _ in range(2)]
    models[0].fit(GREY, Y, epochs=1, batch_size=30)
    models[1].fit(scaled.reshape(shape), Y, epochs=1, batch_size=30)
    assert bits(models[0]) == bits(models[1])
    np.testing.assert_array_equal(models[0](GREY), models[1](scaled.reshape(shape)))


def test_colour_images() -> None:
    """Channels come first; an array that is only seen transposed is copied."""
    model = chain(channels=3).build(seed=2)
    model.fit(COLOUR, Y, epochs=1, batch_size=30)
    last = np.ascontiguousarray(COLOUR.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(model(last.transpose(0, 3, 1, 2)), model(COLOUR))
    np.testing.assert_array_equal(model(COLOUR.reshape(90, -1)), model(COLOUR))


@pytest.mark.parametrize("rows", [1, 2, 7, 64, 89])
def test_predictions_do_not_depend_on_the_other_rows(rows: int) -> None:
    """A batch of any size gives the same bits, and so does an evaluation in parts."""
    model = chain(channels=3).build(seed=2)
    model.fit(COLOUR, Y, epochs=2, batch_size=30)
    np.testing.assert_array_equal(model(COLOUR[:rows]), model(COLOUR)[:rows])
    np.testing.assert_array_equal(
        model.predict_proba(COLOUR[-rows:]), model.predict_proba(COLOUR)[-rows:]
    )
    whole = model.evaluate(COLOUR, Y)
    parts = [model.evaluate(COLOUR[a:b], Y[a:b]) for a, b in ((0, rows), (rows, 90))]
    counts = [rows, 90 - rows]
    assert whole.accuracy == pytest.approx(
        sum(p.accuracy * n for p, n in zip(parts, counts, strict=True)) / 90, abs=1e-12
    )


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("batch_size", [16, 64, 90])
def test_the_number_of_threads_changes_no_bit(batch_size: int, threads: int) -> None:
    """Sums over a batch are cut by its size alone."""
    before, results = pynn.get_num_threads(), []
    try:
        for count in (1, threads):
            pynn.set_num_threads(count)
            model = chain(channels=3).build(seed=2)
            model.fit(COLOUR, Y, epochs=2, batch_size=batch_size)
            results.append(bits(model))
    finally:
        pynn.set_num_threads(before)
    assert results[0] == results[1]


OPTIMIZERS = [pynn.SGD(momentum=0.9), pynn.AdamW(weight_decay=0.1, max_gradient_norm=1.0)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_ends_with_the_same_bits(
    stop: int, optimizer: pynn.Optimizer, tmp_path: Path
) -> None:
    """Running means, moments and what dropout draws go on from where the run was interrupted."""
    options: dict[str, Any] = {"epochs": 3, "batch_size": 32, "optimizer": optimizer}
    whole = chain().build(seed=5)
    history = whole.fit(GREY, Y, validation=0.2, **options)
    path = tmp_path / "run"

    def interrupt(progress: pynn.Progress) -> None:
        if progress.epoch == stop + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chain().build(seed=5).fit(
            GREY, Y, validation=0.2, checkpoint=path, every=1, on_progress=interrupt, **options
        )
    resumed = pynn.Model.resume(path)
    again = resumed.fit(GREY, Y, validation=0.2, **options)
    assert bits(resumed) == bits(whole)
    assert (again.loss, again.val_accuracy) == (history.loss, history.val_accuracy)


def test_copies_and_files_keep_the_running_means(tmp_path: Path) -> None:
    """What is saved, pickled or loaded has the same bits, and predicts the same."""
    model = chain().build(seed=5)
    model.fit(GREY, Y, epochs=2, batch_size=32)
    assert (model.parameters["batch_norm1.running_mean"] != 0).all()
    model.save(tmp_path / "model")
    for other in (pynn.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert bits(other) == bits(model)
        assert repr(other) == repr(model)
        np.testing.assert_array_equal(other(GREY), model(GREY))


def test_sample_weights_do_not_reach_the_running_means() -> None:
    """An example of weight 0 teaches nothing; the mean of its batch has it all the same."""
    weights = np.ones(90)
    weights[::2] = 0
    models = [chain().build(seed=5) for _ in range(2)]
    whole = {"epochs": 1, "batch_size": 90, "shuffle": False}
    models[0].fit(GREY, Y, **whole)
    models[1].fit(GREY, Y, sample_weight=weights, **whole)
    one, other = (model.parameters for model in models)
    np.testing.assert_array_equal(
        one["batch_norm1.running_mean"], other["batch_norm1.running_mean"]
    )
    assert (one["conv2d1.weight"] != other["conv2d1.weight"]).any()


def test_constant_channels_are_no_division_by_zero() -> None:
    """Channels of a batch that are all the same have a variance of 0; a batch of one row is one."""
    model = chain().build(seed=5)
    history = model.fit(np.zeros_like(GREY), Y, epochs=2, batch_size=30)
    assert np.isfinite(history.loss).all()
    model.fit(GREY[:3], Y[:3], epochs=2, batch_size=1)
    assert np.isfinite(model._engine.parameters).all()


def test_a_network_learns() -> None:
    """Whether a bright line lies or stands, from 400 images; few of 200 others are wrong."""

    def images(rows: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, rows)
        pixels = rng.integers(0, 120, (rows, 8, 8), np.uint8)
        places = rng.integers(0, 5, rows)
        for image, label, place in zip(pixels, labels, places, strict=True):
            side = image if label else image.T
            side[place, 1:7] += 100
        return pixels, labels

    net: Any = pynn.Builder().input((1, 8, 8)).conv2d(6, 3).batch_norm().relu().global_avg_pool()
    model = net.dense(2).softmax_cross_entropy().build(seed=1)
    model.fit(*images(400, 1), epochs=40, batch_size=32, optimizer=pynn.Adam(learning_rate=0.02))
    assert model.evaluate(*images(200, 2)).accuracy > 0.95


def test_summary_is_aligned() -> None:
    """Names, shapes and counts are columns, however long the names are."""
    wide: Any = pynn.Builder().input((3, 32, 32)).conv2d(64, (5, 3), stride=2, padding="valid")
    model = wide.batch_norm().relu().max_pool2d(2).dense(10).softmax_cross_entropy().build()
    assert (
        model.summary()
        == """\
layer                                        output           parameters
input                                        (n, 3, 32, 32)            0
1  conv2d(64, 5x3, stride 2, padding valid)  (n, 64, 14, 15)       2,944
2  batch_norm                                (n, 64, 14, 15)         256
3  relu                                      (n, 64, 14, 15)           0
4  max_pool2d(2x2)                           (n, 64, 7, 7)             0
5  flatten                                   (n, 3136)                 0
6  dense(10, he)                             (n, 10)              31,370
loss: softmax_cross_entropy                                       34,570"""
    )


def test_summary_has_room_for_the_loss() -> None:
    """A loss with options may be longer than the columns above it."""
    smoothed = pynn.Builder().input(3).dense(2).softmax_cross_entropy(label_smoothing=0.125)
    *others, last = smoothed.build().summary().splitlines()
    assert last.startswith("loss: softmax_cross_entropy(") and last.endswith("   8")
    assert {len(line) for line in others} == {len(last)}


CHAINS = {
    "Builder().input((1, 28, 28)).conv2d(6, 5).max_pool2d(2)": "conv2d(6, 5x5) -> max_pool2d(2x2)",
    "Builder().input((2, 9, 9)).conv2d(4, (3, 1), stride=2, padding=1, groups=2)": (
        "conv2d(4, 3x1, stride 2, padding 1, 2 groups)"
    ),
    "Builder().input((2, 9, 9)).conv2d(4, 3, padding='valid', init='xavier')": (
        "conv2d(4, 3x3, padding valid, xavier)"
    ),
    "Builder().input((2, 9, 9)).avg_pool2d((3, 2), stride=2, padding=1)": (
        "avg_pool2d(3x2, stride 2, padding 1)"
    ),
    "Builder().input((2, 9, 9)).max_pool2d(3, stride=2)": "max_pool2d(3x3, stride 2)",
    "Builder().input((2, 9, 9)).batch_norm().global_avg_pool()": "batch_norm -> global_avg_pool",
    "Builder().input(4).batch_norm(momentum=0.25, eps=0.5)": "batch_norm(momentum 0.25, eps 0.5)",
    "Builder().input((2, 9, 9)).flatten()": "flatten",
}


@pytest.mark.parametrize("text", CHAINS)
def test_chains_show_what_is_not_a_default(text: str) -> None:
    """The repr is Python that makes the same chain; a model's is short."""
    made = eval(text, {"Builder": pynn.Builder})
    assert repr(made) == text
    model = made.dense(2).softmax_cross_entropy().build()
    assert f"-> {CHAINS[text]} ->" in repr(model)
