"""mean_squared_error(standardize=True): targets of any size, in the units that they came in."""

from __future__ import annotations

import ctypes
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from test_export_c import STRICT, compile_c

import pynn

Array = npt.NDArray[Any]

ROWS, INPUTS, OUTPUTS = 80, 3, 2


def examples(rows: int = ROWS) -> tuple[Array, Array]:
    """Features, and targets of two sizes, which depend on them."""
    x = np.random.default_rng(0).normal(size=(rows, INPUTS)).astype(np.float32)
    y = np.stack([x[:, 0] * 3e5 + 2e6, x[:, 1] * x[:, 2] * 1e-3 - 0.002], axis=1)
    return x, y.astype(np.float32)


def build(*, standardize: bool = True, outputs: int = OUTPUTS) -> pynn.Model:
    """A small network for regression."""
    chain = pynn.Builder().input(INPUTS).dense(6).tanh().dense(outputs)
    return chain.mean_squared_error(standardize=standardize).build(seed=4)


def fitted(model: pynn.Model) -> tuple[Array, Array]:
    """Mean and scale of a model's targets."""
    return model.parameters["targets.mean"], model.parameters["targets.scale"]


def test_training_is_that_on_standardized_targets() -> None:
    """Losses and weights are the same to the bit; predictions are in the targets' units."""
    x, y = examples()
    model, twin = build(), build(standardize=False)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 16, "optimizer": pynn.AdamW()}
    history = model.fit(x, y, **options)
    mean, scale = fitted(model)
    np.testing.assert_allclose(mean, y.mean(axis=0, dtype=np.float64), rtol=1e-7)
    np.testing.assert_allclose(scale, y.std(axis=0, dtype=np.float64), rtol=1e-7)
    scaled = (y - mean) / scale
    assert history.loss == twin.fit(x, scaled, **options).loss
    for name, array in twin.parameters.items():
        assert np.array_equal(array, model.parameters[name]), name
    np.testing.assert_allclose(model(x), twin(x) * scale + mean, rtol=1e-6)
    assert np.array_equal(model(x), model.predict(x))
    assert model.evaluate(x, y).loss == twin.evaluate(x, scaled).loss


@pytest.mark.parametrize("optimizer", [pynn.SGD(learning_rate=0.1), pynn.LBFGS()])
def test_errors_are_in_the_units_of_the_targets(optimizer: Any) -> None:
    """R2 and the mean absolute error are those of the predictions, in each result."""
    metrics = pytest.importorskip("sklearn.metrics")
    x, y = examples()
    model = build()
    last: list[pynn.EpochResult] = []
    model.fit(x, y, epochs=4, optimizer=optimizer, validation=(x, y), on_epoch=last.append)
    found, predicted = model.evaluate(x, y), model.predict(x).astype(np.float64)
    y = y.astype(np.float64)
    assert found.r2 == pytest.approx(metrics.r2_score(y, predicted), abs=1e-6)
    error = metrics.mean_absolute_error(y, predicted)
    assert error > 1e3
    assert found.mean_absolute_error == pytest.approx(error, rel=1e-6)
    assert last[-1].val_mean_absolute_error == pytest.approx(error, rel=1e-6)
    assert last[-1].val_r2 == pytest.approx(found.r2)


def test_when_it_is_fitted() -> None:
    """By the first call alone, from the rows to train on; before that predictions are an error."""
    x, y = examples()
    model = build()
    with pytest.raises(pynn.PynnError, match="has not seen examples yet"):
        model.predict(x)
    with pytest.raises(pynn.ArgumentError, match="labels must be finite"):
        model.fit(x, np.full_like(y, np.nan), epochs=1)
    assert not fitted(model)[1].any()
    model.partial_fit(x[:1], y[:1])
    assert np.array_equal(fitted(model)[0], y[0]) and (fitted(model)[1] == 1).all()
    model.reset()
    assert not fitted(model)[1].any()
    model.fit(x, y, epochs=1, validation=0.5, sample_weight=np.arange(ROWS))
    kept = [array.copy() for array in fitted(model)]
    assert not np.allclose(kept[0], y.mean(axis=0), rtol=1e-6)  # held-out rows do not count
    model.fit(x, y * 3, epochs=1)
    assert all(np.array_equal(*pair) for pair in zip(kept, fitted(model), strict=True))


def test_with_features_and_frozen_layers() -> None:
    """Both are standardized by one call, also where no layer but the last is trained."""
    x, y = examples()
    chain = pynn.Builder().input(INPUTS).standardize().dense(4).relu().dense(OUTPUTS)
    model = chain.mean_squared_error(standardize=True).build()
    model.freeze("standardize1", "dense1")
    before = model.parameters["dense1.weight"].copy()
    model.fit(x * 50 + 9, y, epochs=2, optimizer=pynn.Adam())
    np.testing.assert_allclose(model.parameters["standardize1.mean"], 50 * x.mean(0) + 9, rtol=1e-4)
    assert np.array_equal(before, model.parameters["dense1.weight"])
    step = model.explain(x, y)
    assert step.check().updates.error < 1e-6
    model.freeze("dense2")
    with pytest.raises(pynn.ArgumentError, match=r'nothing to train.*unfreeze\("dense2"\)'):
        model.fit(x, y, epochs=1)
    model.unfreeze("standardize1")  # which is not trained either
    with pytest.raises(pynn.ArgumentError, match="nothing to train"):
        model.fit(x, y, epochs=1)


@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_beginning_of_another_model_keeps_its_features() -> None:
    """from_model takes mean and scale of the features; those of the new targets are found."""
    x, y = examples()
    chain = pynn.Builder().input(INPUTS).standardize().dense(4).relu().dense(OUTPUTS)
    first = chain.mean_squared_error(standardize=True).build()
    first.fit(x, y, epochs=1)
    taken = pynn.Builder().from_model(first, before="dense2").dense(1)
    second = taken.mean_squared_error(standardize=True).build()
    second.fit(x + 100, y[:, :1] * 7, epochs=1)
    for name in ("standardize1.mean", "standardize1.scale"):
        assert np.array_equal(first.parameters[name], second.parameters[name])
    np.testing.assert_allclose(fitted(second)[0], y[:, 0].mean() * 7, rtol=1e-5)


def test_saved_pickled_copied_and_resumed(tmp_path: Path) -> None:
    """Everywhere with mean and scale; a resumed run ends with the same bits."""
    x, y = examples()
    model, broken = build(), build()
    options: dict[str, Any] = {"batch_size": 16, "validation": 0.25, "optimizer": pynn.Adam()}
    options["early_stopping"] = pynn.EarlyStopping(3, monitor="val_r2")

    def stop(result: pynn.EpochResult) -> None:
        raise KeyboardInterrupt

    model.fit(x, y, epochs=3, **options)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(x, y, epochs=3, checkpoint=tmp_path / "run", on_epoch=stop, **options)
    resumed = pynn.Model.resume(tmp_path / "run")
    history = resumed.fit(x, y, epochs=3, checkpoint=tmp_path / "run", **options)
    assert history.epochs == 3
    model.save(tmp_path / "model")
    copies = [pynn.load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), model.copy()]
    for again in (resumed, *copies):
        assert again._spec == model._spec
        assert np.array_equal(again(x), model(x))


def test_exported_c_and_onnx(tmp_path: Path) -> None:
    """Both give predictions in the targets' units, from features that may be missing."""
    x, y = examples()
    chain = pynn.Builder().input(INPUTS).standardize(missing="mean", clip=1.5).dense(5).relu()
    model = chain.dense(OUTPUTS).mean_squared_error(standardize=True).build()
    with pytest.raises(pynn.PynnError, match="has not seen examples yet"):
        model.export_c(tmp_path / "net.c")
    x[::3, 1] = np.nan
    model.fit(x, y, epochs=2)
    right = model(x)
    footprint = model.export_c(tmp_path / "net.c")
    assert footprint.weights_nbytes == 4 * model.parameter_count
    library = tmp_path / "net.so"
    compile_c(*STRICT, "-shared", "-fPIC", "-o", library, tmp_path / "net.c", "-lm")
    loaded = ctypes.CDLL(str(library))
    assert loaded.net_self_test() == 0
    out = np.zeros_like(right)
    for row, result in zip(x, out, strict=True):
        loaded.net_predict(ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(result.ctypes.data))
    np.testing.assert_allclose(out, right, rtol=1e-5)
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model.export_onnx(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(
        str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"]
    )
    assert session.get_outputs()[0].name == "output"
    np.testing.assert_allclose(session.run(None, {"input": x})[0], right, rtol=1e-5)


def test_pytorch_refuses_it(tmp_path: Path) -> None:
    """A state_dict would give the network's outputs without their scale."""
    x, y = examples()
    model = build()
    model.fit(x, y, epochs=1)
    why = r"no place for the scale of mean_squared_error\(standardize=True\); Model.export_onnx"
    with pytest.raises(pynn.ArgumentError, match=why):
        pynn.formats.pytorch.save(model, tmp_path / "a.safetensors")


@pytest.mark.parametrize("optimizer", [pynn.SGD(), pynn.Adam()])
def test_explained_step(optimizer: pynn.SGD | pynn.Adam) -> None:
    """The step shows how a target is standardized; all numbers are right, and apply does it."""
    x, y = examples()
    model = build()
    model.fit(x, y, epochs=1)
    step = model.explain(x[:4], y[:4], optimizer=optimizer)
    text = str(step)
    assert "    t = (target - mean) / scale   " in text
    mean, scale = fitted(model)
    assert f"{(y[0, 0] - mean[0]) / scale[0]:.4f}" in text
    assert np.array_equal(step.updates["targets.mean"].after, mean)
    assert not step.gradients["targets.scale"].any()
    checked = step.check()
    for found in (checked.layers, checked.gradients, checked.differences, checked.updates):
        assert found.error < 1e-6
    assert "targets" in str(step.example(1)) and "targets" in step._repr_html_()
    twin = model.copy()
    step.apply()
    twin.partial_fit(x[:4], y[:4], optimizer=optimizer)
    assert np.array_equal(twin(x), model(x))


def test_words_of_it() -> None:
    """In a chain and a summary; any other value of the option is refused."""
    chain = pynn.Builder().input(2).dense(1)
    finished = chain.mean_squared_error(standardize=True)
    assert repr(finished).endswith(".mean_squared_error(standardize=True)")
    assert "loss: mean_squared_error(standardize=True)" in finished.build().summary()
    assert "standardize" not in repr(chain.mean_squared_error())
    assert finished._spec.to_dict()["standardize"] is True
    with pytest.raises(pynn.ArgumentTypeError, match="standardize must be True or False, got int"):
        chain.mean_squared_error(standardize=1)  # type: ignore[arg-type]


def test_other_losses_have_no_scale() -> None:
    """Their outputs are exported as they are: nothing asks for the operators of a scale."""
    loss = pynn.Builder().input(2).dense(1).poisson()._spec.loss
    assert loss.parameters(1) == ()
    with pytest.raises(NotImplementedError):
        loss.c_outputs_function()
    with pytest.raises(NotImplementedError):
        loss.add_outputs_to_onnx(None, "x", [], "y")  # type: ignore[arg-type]
