"""Arrays in either byte order give the same models, checksums and files.

scripts/check --only big-endian compares whole files with those of a big-endian processor.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

import pynn
from pynn._training import checkpoints, run

CHAIN = pynn.Builder().input(6).standardize().dense(5).relu().dense(3).softmax_cross_entropy()
FEATURES = np.random.default_rng(0).random((40, 6), np.float32)
LABELS = np.arange(40, dtype=np.int32) % 3
WEIGHTS = np.linspace(1, 2, 40, dtype=np.float32)


def swapped(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in the byte order that this machine does not have."""
    return array.astype(array.dtype.newbyteorder())


def trained(features: npt.NDArray[Any], labels: npt.NDArray[Any], weights: Any) -> pynn.Model:
    """A model that was trained for two epochs."""
    model = CHAIN.build(seed=1)
    model.fit(features, labels, epochs=2, batch_size=16, sample_weight=weights)
    return model


def test_training_and_predictions_do_not_depend_on_the_byte_order(tmp_path):
    """Features, labels and weights in the other byte order give the same file and predictions."""
    model = trained(FEATURES, LABELS, WEIGHTS)
    other = trained(swapped(FEATURES), swapped(LABELS), swapped(WEIGHTS))
    for name, one in ("model", model), ("other", other):
        one.save(tmp_path / name)
    assert (tmp_path / "other").read_bytes() == (tmp_path / "model").read_bytes()
    probabilities = model.predict_proba(swapped(FEATURES))
    np.testing.assert_array_equal(probabilities, model.predict_proba(FEATURES))


def test_checksum_of_examples_does_not_depend_on_the_byte_order():
    """A checkpoint of one machine knows the same examples on a machine of the other byte order."""

    def checksum(targets: npt.NDArray[Any], weights: npt.NDArray[Any]) -> int:
        pixels = (FEATURES * 255).astype(np.uint8)
        examples = SimpleNamespace(features=pixels, rows=40, targets=targets, weights=weights)
        return run.fingerprint(examples)

    assert checksum(swapped(LABELS), swapped(WEIGHTS)) == checksum(LABELS, WEIGHTS)


def test_pickle_of_a_machine_with_the_other_byte_order():
    """Its arrays become those of this machine, with the same numbers."""
    engine = trained(FEATURES, LABELS, WEIGHTS)._engine
    kept = checkpoints.to_dict(engine)
    kept["parameters"] = swapped(kept["parameters"])
    assert not kept["parameters"].dtype.isnative
    restored = checkpoints.from_dict(kept).parameters
    assert restored.dtype.isnative
    np.testing.assert_array_equal(restored, engine.parameters)
