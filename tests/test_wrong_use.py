"""Wrong use: what is a mistake, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mistakes import Bench, X
from mistakes_in_data import DATA_SETS, FEATURES, LABELS
from mistakes_in_files import CHECKPOINTS, FILES
from mistakes_in_images import FOLDERS, IMAGES
from mistakes_in_models import CHAINS, MODELS
from mistakes_in_training import OPTIMIZERS, OPTIONS, THREADS

import pynn

TABLES = {
    "features": FEATURES,
    "labels": LABELS,
    "options": OPTIONS,
    "optimizers": OPTIMIZERS,
    "chains": CHAINS,
    "images": IMAGES,
    "models": MODELS,
    "files": FILES,
    "checkpoints": CHECKPOINTS,
    "threads": THREADS,
    "data sets": DATA_SETS,
    "folders of images": FOLDERS,
}

MISTAKES = {
    f"{table}: {name}": mistake
    for table, mistakes in TABLES.items()
    for name, mistake in mistakes.items()
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_named(name: str, tmp_path: Path) -> None:
    """The error is of pynn's class and the built-in one, and says what, what it got and needs.

    Nothing is trained by it, and nothing written.
    """
    mistake = MISTAKES[name]
    bench = Bench(tmp_path)
    parameters, before = bench.model.parameters, pynn.get_num_threads()
    kept = {name: array.copy() for name, array in parameters.items()}
    with pytest.raises(mistake.kinds[0]) as caught:
        mistake.does(bench)
    assert all(isinstance(caught.value, kind) for kind in mistake.kinds)
    message = str(caught.value)
    for words in mistake.says:
        assert words.replace("{folder}", str(tmp_path)) in message
    assert "\n" not in message
    assert len(message.replace(str(tmp_path), "")) < 400
    assert pynn.get_num_threads() == before
    if not name.endswith(TRAINS):
        for key, array in kept.items():
            np.testing.assert_array_equal(parameters[key], array)
    assert not [path.name for path in tmp_path.rglob("*") if path.name in ("no", ".no")]
    if repr(bench.model).endswith("parameters)"):
        assert bench.model.predict(X).shape == (9,)


# These train before they are wrong.
TRAINS = (
    *(f"checkpoints: {name}" for name in CHECKPOINTS),
    "models: fit in its own callback",
    "models: a callback that takes nothing",
)


def test_there_are_enough_mistakes() -> None:
    """The table has not been cut, and no two lines of it are one."""
    assert len(MISTAKES) == sum(len(mistakes) for mistakes in TABLES.values()) >= 150
