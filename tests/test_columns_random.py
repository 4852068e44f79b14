"""Random columns in random networks: trained, checked in float64, saved, exported."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from random_tables import random_table_network

import pynn

SEEDS = range(30)


@pytest.mark.parametrize("seed", SEEDS)
def test_step_is_that_of_the_reference(seed: int) -> None:
    """Layers, gradients, differences of the loss and updates, of two steps."""
    model, rows, labels = random_table_network(seed)
    optimizer = pynn.Adam(learning_rate=0.01, weight_decay=0.1 * (seed % 2))
    model.partial_fit(rows, labels, optimizer=optimizer)  # finds the scales
    for _ in range(2):
        step = model.explain(rows, labels, optimizer=optimizer)
        found = step.check()
        assert max(one.error for one in found[:4]) < 1e-6, found
        assert found.compared > 0
        step.apply()


@pytest.mark.parametrize("seed", SEEDS)
def test_copies_and_files_predict_the_same(seed: int, tmp_path: Path) -> None:
    """From raw rows, from encoded ones, and from a row alone; the second file is the first."""
    model, rows, labels = random_table_network(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pynn.TrainingWarning)
        model.fit(rows, labels, epochs=2, batch_size=min(7, len(rows)))
    outputs = model(rows)
    assert np.isfinite(outputs).all()
    model.save(tmp_path / "one")
    for same in (pynn.load(tmp_path / "one"), model.copy(), pickle.loads(pickle.dumps(model))):
        assert same.columns == model.columns
        assert (same(rows) == outputs).all()
        assert model.columns is not None
        assert (same(model.columns.encode(rows)) == outputs).all()
        np.testing.assert_allclose(same(rows[:1]), outputs[:1], 1e-5, 1e-6)
        same.save(tmp_path / "two")
        assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()


@pytest.mark.parametrize("seed", SEEDS[::4])
def test_onnx_predicts_the_same(seed: int, tmp_path: Path) -> None:
    """By ONNX's own evaluator, from the codes that encode() gives."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnx.reference")
    model, rows, labels = random_table_network(seed)
    model.partial_fit(rows, labels)
    model.export_onnx(tmp_path / "net.onnx")
    session = onnx.reference.ReferenceEvaluator(str(tmp_path / "net.onnx"))
    assert model.columns is not None
    [given] = session.input_names
    [outputs] = session.run(None, {given: model.columns.encode(rows)})
    np.testing.assert_allclose(outputs, model(rows), 1e-4, 1e-5)
