"""The standardize layer: what it computes, when it is fitted, and that it stays with its model."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn._explain.heat_map import largest
from pynn._training import scaling

Array = npt.NDArray[Any]

ROWS, INPUTS = 90, 5


def table(seed: int = 0, rows: int = ROWS) -> tuple[Array, Array]:
    """Columns of very different ranges, float32, and two classes."""
    rng = np.random.default_rng(seed)
    x = rng.normal([1950, 4e4, 0.02, -3, 0.5], [30, 2e4, 0.01, 1, 0.25], (rows, INPUTS))
    return x.astype(np.float32), (x[:, 0] + x[:, 1] / 1000 > 1990).astype(np.int64)


def build(**options: Any) -> pynn.Model:
    """A small model that standardizes its features."""
    chain = pynn.Builder().input(INPUTS).standardize(**options).dense(6).relu().dense(2)
    return chain.softmax_cross_entropy().build(seed=4)


def fitted(model: pynn.Model) -> tuple[Array, Array]:
    """Mean and scale of a model."""
    own = model.parameters
    return own["standardize1.mean"], own["standardize1.scale"]


def with_missing(x: Array) -> Array:
    """A copy in which some values are missing."""
    x = x.copy()
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    return x


# ------------------------------------------------------------ what is computed


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("missing", ["error", "mean"])
def test_statistics_are_those_of_scikit_learn(robust: bool, missing: str) -> None:
    """Mean and scale are those of StandardScaler, or of RobustScaler with unit_variance."""
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x, y = table()
    x = with_missing(x) if missing == "mean" else x
    model = build(robust=robust, missing=missing)
    model.fit(x, y, epochs=1)
    scaler = preprocessing.StandardScaler()
    if robust:
        scaler = preprocessing.RobustScaler(unit_variance=True)
    scaler.fit(x.astype(np.float64))
    mean, scale = fitted(model)
    np.testing.assert_allclose(mean, scaler.center_ if robust else scaler.mean_, rtol=2e-7)
    np.testing.assert_allclose(scale, scaler.scale_, rtol=2e-7)


@pytest.mark.parametrize("part", [7, 1 << 18])
def test_parts_give_the_same_statistics(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """However many examples are looked at together, also where a part has no value of a column."""
    monkeypatch.setattr(scaling, "PART", part)
    x = with_missing(table()[0].astype(np.float64))
    x[:20, 2] = np.nan
    chosen = np.arange(3, 80, dtype=np.uint32)
    mean, scale = scaling.moments(x, chosen)  # type: ignore[arg-type] # float64 loses nothing
    np.testing.assert_allclose(mean, np.nanmean(x[chosen], axis=0), rtol=1e-14)
    np.testing.assert_allclose(scale, np.nanstd(x[chosen], axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("column", "mean", "scale"),
    [
        ([7.1, 7.1, 7.1, 7.1], 7.1, 1.0),
        ([np.nan] * 4, 0.0, 1.0),
        ([np.nan, 3.0, np.nan, np.nan], 3.0, 1.0),
        ([1e-45, 0, 0, 0], 0.0, 1.0),
        ([2e38, -2e38, 2e38, -2e38], 0.0, 2e38),
    ],
)
@pytest.mark.parametrize("robust", [False, True])
def test_columns_without_a_spread(
    column: list[float], mean: float, scale: float, robust: bool
) -> None:
    """Equal values, none, and those that float32 can hardly tell apart have scale 1."""
    x = np.array([column, column], np.float32).T.copy()
    model = pynn.Builder().input(2).standardize(robust=robust, missing="mean").dense(1)
    built = model.mean_squared_error().build()
    built.fit(x, np.zeros(4), epochs=1)
    found = fitted(built)
    np.testing.assert_allclose(found[0], mean, rtol=1e-6, atol=1e-38)
    np.testing.assert_allclose(found[1], scale * (1 / 0.67448975 if robust and scale > 1 else 1))


def test_robust_column_whose_middle_half_is_equal() -> None:
    """Its scale is the standard deviation, as the range would be 0."""
    x = np.array([0] * 9 + [100], np.float32)[:, None]
    median, scale = scaling.quartiles(x)
    assert (median[0], scale[0]) == (0.0, 30.0)


@pytest.mark.parametrize("clip", [None, 1.25])
@pytest.mark.parametrize("missing", ["error", "mean"])
def test_outputs_are_those_on_scaled_features(clip: float | None, missing: str) -> None:
    """Training and prediction are, to the bit, those of a model without the layer on its Y."""
    x, y = table()
    x = with_missing(x) if missing == "mean" else x
    model = build(clip=clip, missing=missing)
    history = model.fit(x, y, epochs=2, batch_size=16, optimizer=pynn.Adam())
    mean, scale = fitted(model)
    scaled = (x - mean) / scale
    scaled = np.where(np.isnan(x), np.float32(0), scaled)
    if clip is not None:
        assert (abs(scaled) > clip).any()
        scaled = np.clip(scaled, -clip, clip)
    chain = pynn.Builder().input(INPUTS).dense(6).relu().dense(2).softmax_cross_entropy()
    twin = chain.build(seed=4)
    same = twin.fit(scaled, y, epochs=2, batch_size=16, optimizer=pynn.Adam())
    assert history.loss == same.loss
    assert np.array_equal(model(x), twin(scaled))
    assert model.evaluate(x, y) == twin.evaluate(scaled, y)


def test_bytes_and_doubles() -> None:
    """Bytes count as value / 255, and a feature of float64 as the nearest float32."""
    x = np.random.default_rng(0).integers(0, 256, (40, INPUTS), np.uint8)
    y = (x[:, 0] > 128).astype(int)
    models = []
    for features in (x, (x / np.float32(255)), (x / np.float32(255)).astype(np.float64)):
        models.append(build())
        models[-1].fit(features, y, epochs=1)
    mean, scale = fitted(models[0])
    np.testing.assert_allclose(mean, (x / 255).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scale, (x / 255).std(axis=0), rtol=1e-6)
    for model in models[1:]:
        np.testing.assert_allclose(model(x), models[0](x), rtol=1e-5, atol=1e-6)


def test_images_have_a_mean_for_each_value() -> None:
    """Mean and scale have as many values as an image; a convolution may follow."""
    x = np.random.default_rng(0).normal(5, 3, (30, 2, 4, 4)).astype(np.float32)
    chain = pynn.Builder().input((2, 4, 4)).standardize().conv2d(3, 3).relu().dense(2)
    model = chain.softmax_cross_entropy().build()
    model.fit(x, np.arange(30) % 2, epochs=1, augmentation=pynn.Augmentation(shift=1))
    np.testing.assert_allclose(fitted(model)[0], x.reshape(30, -1).mean(axis=0), rtol=1e-6)
    assert model.summary().splitlines()[2] == "1  standardize           (n, 2, 4, 4)          64"


# ------------------------------------------------------------ when it is fitted


def calls(model: pynn.Model, x: Array, y: Array, folder: Path) -> dict[str, Any]:
    """Calls that need mean and scale."""
    return {
        "predict": lambda: model.predict(x),
        "call": lambda: model(x),
        "predict_proba": lambda: model.predict_proba(x),
        "evaluate": lambda: model.evaluate(x, y),
        "explain": lambda: model.explain(x, y),
        "export_c": lambda: model.export_c(folder / "a.c"),
    }


@pytest.mark.parametrize(
    "call", ["predict", "call", "predict_proba", "evaluate", "explain", "export_c"]
)
def test_model_says_that_it_is_not_fitted(call: str, tmp_path: Path) -> None:
    """The error names two ways out, and both work."""
    x, y = table()
    model = build()
    before = model.parameters["dense1.weight"].copy()
    with pytest.raises(pynn.PynnError, match="call fit or partial_fit first, or write them into"):
        calls(model, x, y, tmp_path)[call]()
    assert np.array_equal(model.parameters["dense1.weight"], before)
    model.partial_fit(x, y)
    calls(model, x, y, tmp_path)[call]()
    by_hand = build()
    for own, values in zip(fitted(by_hand), (x.mean(axis=0), x.std(axis=0)), strict=True):
        own[...] = values
    calls(by_hand, x, y, tmp_path)[call]()


def test_second_fit_keeps_the_first_statistics() -> None:
    """Those of other examples, of a partial_fit and of a fit, change nothing."""
    x, y = table()
    model = build()
    model.fit(x, y, epochs=1)
    first = [array.copy() for array in fitted(model)]
    model.fit(x * 3 + 7, y, epochs=1, optimizer=pynn.AdamW(weight_decay=0.1))
    model.partial_fit(x - 9, y)
    assert all(np.array_equal(*pair) for pair in zip(first, fitted(model), strict=True))


def test_partial_fit_of_one_row() -> None:
    """One row has no spread: its mean is the row, and its scale 1."""
    x, y = table(rows=1)
    model = build()
    model.partial_fit(x, y)
    assert np.array_equal(fitted(model)[0], x[0])
    assert (fitted(model)[1] == 1).all()


def test_held_out_rows_and_weights_do_not_count() -> None:
    """The statistics are those of the rows to train on, each once, whatever its weight."""
    x, y = table()
    model, other = build(), build()
    rng = np.random.default_rng(3)
    model.fit(x, y, epochs=1, validation=0.5, sample_weight=rng.random(ROWS))
    from pynn._training.examples import divide, make_data

    trained, held = divide(model._spec, 4, make_data(model._spec, "", x, y), 0.5)
    np.testing.assert_allclose(fitted(model)[0], x[trained].mean(axis=0), rtol=1e-6)
    other.fit(x[trained], y[trained], epochs=1, validation=(x[held] * 5, y[held]))
    assert np.array_equal(fitted(model)[1], fitted(other)[1])


@pytest.mark.parametrize("robust", [False, True])
def test_fit_that_is_refused_leaves_the_model_unfitted(robust: bool) -> None:
    """Wrong arguments, an infinite or a missing value: there is no mean from half of the data."""
    x, y = table()
    bad = x.copy()
    bad[41, 3] = np.nan
    model = build(robust=robust)
    with pytest.raises(pynn.ArgumentError, match="epochs"):
        model.fit(x, y, epochs=0)
    nan = r"features\[41\] holds nan \(feature 3\): .*; \.standardize\(missing='mean'\) takes NaN"
    with pytest.raises(pynn.ArgumentError, match=nan):
        model.fit(bad, y, epochs=1)
    bad[41, 3] = -np.inf
    with pytest.raises(pynn.ArgumentError, match=r"features\[41\] holds -inf \(feature 3\)") as why:
        model.partial_fit(bad, y)
    assert "missing" not in str(why.value)
    assert all(not array.any() for array in fitted(model))


def test_missing_and_infinite_values_after_the_fit() -> None:
    """NaN is accepted only with missing="mean", also by validation; infinity by nobody."""
    x, y = table()
    holes, model, strict = with_missing(x), build(missing="mean"), build()
    strict.fit(x, y, epochs=1)
    model.fit(holes, y, epochs=1, validation=(holes, y))
    assert np.isfinite(model(holes)).all()
    with pytest.raises(pynn.ArgumentError, match=r"features\[\d+\] holds nan"):
        strict.predict(holes)
    holes[50, 1] = np.inf
    place = r"features\[50\] holds inf \(feature 1\)"
    with pytest.raises(pynn.ArgumentError, match=place):
        model.predict(holes)
    with pytest.raises(pynn.ArgumentError, match=place):
        model.evaluate(holes, y, sample_weight=np.ones(ROWS))
    with pytest.raises(pynn.ArgumentError, match=place):
        model.fit(holes, y, epochs=1, sample_weight=np.ones(ROWS))
    with pytest.raises(pynn.ArgumentError, match=f"validation {place}"):
        model.fit(x, y, epochs=1, validation=(holes, y))


# ------------------------------------------------------------ it stays with its model


def test_saved_and_pickled(tmp_path: Path) -> None:
    """With its options, mean and scale; also before it is fitted."""
    x, y = table()
    x = with_missing(x)
    model = build(robust=True, clip=2, missing="mean")
    model.save(tmp_path / "new")
    late = pynn.load(tmp_path / "new")
    with pytest.raises(pynn.PynnError, match="has not seen examples yet"):
        late(x)
    for one in (model, late):
        one.fit(x, y, epochs=2)
    model.save(tmp_path / "old")
    for again in (late, pynn.load(tmp_path / "old"), pickle.loads(pickle.dumps(model))):
        assert again._spec == model._spec
        assert np.array_equal(again(x), model(x))


def test_resumed_run_is_the_same_to_the_bit(tmp_path: Path) -> None:
    """Its statistics come from the checkpoint, which is written after they are found."""
    x, y = table()
    whole, broken = build(), build()
    options: dict[str, Any] = {"batch_size": 16, "validation": 0.3, "optimizer": pynn.Adam()}
    options["early_stopping"] = pynn.EarlyStopping(2)
    whole.fit(x, y, epochs=4, **options)

    def stop(result: pynn.EpochResult) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        broken.fit(x, y, epochs=4, checkpoint=path, on_epoch=stop, **options)
    again = pynn.Model.resume(path)
    again.fit(x, y, epochs=4, checkpoint=path, **options)
    for name, array in whole.parameters.items():
        assert np.array_equal(again.parameters[name], array), name


def test_formats_that_have_no_such_layer(tmp_path: Path) -> None:
    """They say so: PyTorch's state_dict, both ways, and the file of the Rust library."""
    x, y = table()
    model = build()
    model.fit(x, y, epochs=1)
    why = (
        "PyTorch has no module for a standardize layer, .* Model.export_onnx writes a file with it"
    )
    with pytest.raises(pynn.ArgumentError, match=why):
        pynn.formats.pytorch.save(model, tmp_path / "a.safetensors")
    chain = pynn.Builder().input(INPUTS).standardize().dense(2).softmax_cross_entropy()
    with pytest.raises(pynn.ArgumentError, match=why):
        pynn.formats.pytorch.load({}, chain)
    with pytest.raises(pynn.ArgumentError, match="standardize"):
        pynn.formats.nn_rust.save(model, tmp_path / "a")


# ------------------------------------------------------------ what is said of it


def test_explained_with_missing_values(tmp_path: Path) -> None:
    """The values before and after are there, as text and as a page; the check finds no error."""
    x, y = table()
    model = build(clip=2, missing="mean")
    model.fit(with_missing(x), y, epochs=1)
    x[0] = np.nan
    x[1, 0], x[2, 1] = np.nan, 9e5
    step = model.explain(x[:8], y[:8])
    text = str(step)
    assert "    note: 6 of 40 values are missing: their y is 0\n" in text
    assert "    Mean and scale stay as they are" in text
    assert "y0 = " not in text.partition("dense1, forward")[0]  # of the first example, all missing
    assert "y1 = min(max((9e+05 - " in str(step.example(2))
    assert "nan" in step._repr_html_()
    lines = str(model.explain(x[1:5], y[1:5])).splitlines()  # whose first row has numbers, too
    assert lines[lines.index("    X  4 x 5, times 1e5:") + 1].startswith("        [[    nan ")
    checked = step.check()
    assert checked.layers.error < 1e-6 and checked.gradients.error < 1e-6
    assert checked.updates.error < 1e-6 and checked.differences.error < 1e-6
    step.apply()
    assert np.array_equal(model.parameters["dense1.bias"], step.updates["dense1.bias"].after)


@pytest.mark.parametrize("rows", [1, 30])
def test_explained_with_nothing_but_missing_values(rows: int) -> None:
    """Also of a batch too large for a table, of which there is a picture and a summary."""
    x, y = table()
    model = build(missing="mean")
    model.fit(x, y, epochs=1)
    step = model.explain(np.full((rows, INPUTS), np.nan, np.float32), y[:rows])
    missing = f"{rows * INPUTS} missing" if rows > 10 else "nan"
    assert missing in str(step) and missing in step._repr_html_()
    step = model.explain(with_missing(x), y)
    assert f"largest {np.nanmax(with_missing(x)):.4g}, " in str(step)
    assert largest(np.array([np.nan, -2.0])) == 2.0  # so that the others have their colours


def test_written_in_a_chain() -> None:
    """The repr leaves out defaults, and summary() shows the options in short."""
    chain = pynn.Builder().input(2).standardize()
    assert repr(chain) == "Builder().input(2).standardize()"
    chain = pynn.Builder().input(2).standardize(robust=True, clip=2.5, missing="mean")
    assert repr(chain) == ("Builder().input(2).standardize(robust=True, clip=2.5, missing='mean')")
    assert str(chain._layers[0]) == "standardize(robust, clip 2.5, missing mean)"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"robust": 1}, pynn.ArgumentTypeError, "robust must be True or False, got int 1"),
        ({"clip": 0}, pynn.ArgumentError, "clip must be greater than 0"),
        ({"clip": "3"}, pynn.ArgumentTypeError, "clip must be a number"),
        ({"missing": "median"}, pynn.ArgumentError, "missing must be 'error' or 'mean', got str"),
        ({"missing": None}, pynn.ArgumentTypeError, "missing must be 'error' or 'mean', got"),
    ],
)
def test_refused_options(
    options: dict[str, Any], error: type[pynn.PynnError], message: str
) -> None:
    """The error names layer and option."""
    with pytest.raises(error, match=f"layer 1: standardize {message}"):
        pynn.Builder().input(2).standardize(**options)


def test_second_layer_is_refused() -> None:
    """By the chain, and in a file."""
    chain: Any = pynn.Builder().input(2).relu()
    with pytest.raises(
        pynn.ChainError, match=r"cannot come after .*, which comes directly behind \.input"
    ):
        chain.standardize()
    spec = build()._spec
    damaged = spec.to_dict()
    damaged["layers"] = [damaged["layers"][1], damaged["layers"][0], damaged["layers"][3]]
    with pytest.raises(pynn.ArgumentError, match="layer 2: standardize must be the first layer"):
        type(spec).from_dict(damaged)
