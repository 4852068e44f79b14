"""The result that the command `train` prints."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

with contextlib.suppress(ImportError):  # Windows has none
    import resource

import pynn
from pynn._base.formulas import figure
from pynn._commands.program import shown
from pynn._commands.recipes import Settings


class Trained(NamedTuple):
    """A network that was trained and saved."""

    name: str
    sizes: tuple[int, ...]
    """The number of values of an image, the widths of the hidden dense layers, and the classes."""
    chain: str
    """All layers, in words."""
    settings: Settings
    history: pynn.History
    path: Path
    test: pynn.Evaluation | None
    """Loss and accuracy on the test data, if a share of the training data was held out."""


def as_table(done: Sequence[Trained]) -> str:
    """The result for people."""
    lines = ["network     train loss accuracy   val loss accuracy  seconds"]
    for name, _, _, _, history, *_ in done:
        lines.append(
            f"{name:<11}{figure(history.loss[-1]):>11}{history.accuracy[-1]:>9.2%}"
            f"{figure(history.val_loss[-1]):>11}{history.val_accuracy[-1]:>9.2%}"
            f"{sum(history.seconds):>9.2f}"
        )
    for name, *_, test in done:
        if test is not None:
            lines.append(
                f"{name}: test loss {figure(test.loss)}, test accuracy {test.accuracy:.2%}"
            )
    lines.append("")
    peak = _peak_memory_nbytes()
    lines.append(
        ("" if peak is None else f"peak memory {peak / 1e6:.0f} MB, ")
        + f"threads {pynn.get_num_threads()}, BLAS {pynn.build_info()['blas']}"
    )
    lines.append(f"saved {', '.join(shown(trained.path) for trained in done)}")
    return "\n".join(lines)


def as_json(seed: int, source: str, done: Sequence[Trained]) -> str:
    """The result for programs."""
    result = {
        "data": source,
        "seed": seed,
        "threads": pynn.get_num_threads(),
        "blas": pynn.build_info()["blas"],
        "peak_memory_nbytes": _peak_memory_nbytes(),
        "networks": [
            {
                "network": name,
                "sizes": sizes,
                "chain": chain,
                **{key: value for key, value in settings._asdict().items() if key != "layers"},
                "loss": history.loss,
                "accuracy": history.accuracy,
                "val_loss": history.val_loss,
                "val_accuracy": history.val_accuracy,
                "seconds": history.seconds,
                "test_loss": test.loss if test else None,
                "test_accuracy": test.accuracy if test else None,
                "saved": str(path),
            }
            for name, sizes, chain, settings, history, path, test in done
        ],
    }
    return json.dumps(result, indent=2)


def _peak_memory_nbytes() -> int | None:
    """The most memory that this process held at once; None on Windows, which is not asked.

    Linux counts in KiB, macOS in bytes.
    """
    if "resource" not in globals():
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
