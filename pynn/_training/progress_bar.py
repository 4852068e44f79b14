"""The progress of a training as a bar, in terminals and notebooks, or as a line for each epoch."""

from __future__ import annotations

import contextlib
import math
import sys
import warnings
from types import TracebackType
from typing import Any, TextIO

from pynn._base import checks, words
from pynn._base.errors import ArgumentTypeError
from pynn._base.formulas import figure
from pynn._training.history import EpochResult, Progress

METRICS = ("loss", "accuracy", "r2", "mean_absolute_error")

FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
"""Of a bar: short, so that the metrics fit into 60 columns."""


@words.corrected
class ProgressBar:
    """Shows how far a training is; `pynn.progress` makes it.

    It is a callback for both `on_epoch` and `on_progress` of `fit`. It is a context manager, too:
    at the end of a `with` statement the bar ends. `fit(progress=bar)` does all of this.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file
        self._bar: Any = None
        self._lines: TextIO | None = None  # where the present training is shown as lines
        self._began = False

    def __call__(self, now: Progress | EpochResult) -> None:
        """Show how far a training is; `fit` calls it.

        Args:
            now: What `on_progress` and `on_epoch` receive.

        Raises:
            ArgumentTypeError: It is neither a `Progress` nor an `EpochResult`.
            OSError: The file cannot be written.
        """
        if not isinstance(now, (Progress, EpochResult)):
            raise ArgumentTypeError(
                f"now must be a pynn.Progress or a pynn.EpochResult, got {checks.describe(now)}"
            )
        if not self._began:
            self._begin(now)
        if self._bar is not None:
            steps = self._bar.total // now.epochs
            step = steps if isinstance(now, EpochResult) else now.step
            self._bar.set_description_str(f"epoch {now.epoch}/{now.epochs}", refresh=False)
            self._bar.set_postfix_str(_figures(now, "="), refresh=False)
            self._bar.n = (now.epoch - 1) * steps + step
            self._bar.refresh()
        elif self._lines is not None and isinstance(now, EpochResult):
            width = len(str(now.epochs))
            what = f"epoch {now.epoch:>{width}}/{now.epochs}: {_figures(now, ' ')}"
            print(f"{what}, {now.seconds:.2f} s", file=self._lines, flush=True)

    def close(self) -> None:
        """End the bar; what is shown stays. A second call does nothing."""
        self._end(whole=True)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(whole=error is None)

    def _begin(self, now: Progress | EpochResult) -> None:
        """Make the bar for a training whose first report is at hand, or none for lines."""
        self._began = True
        file = self._file or sys.stderr
        if file is None:  # a program without a console
            return
        is_notebook = self._file is None and _in_notebook()
        bar = _tqdm(notebook=is_notebook) if is_notebook or file.isatty() else None
        if bar is None:
            # What a notebook shows of standard error looks like an error.
            self._lines = sys.stdout if is_notebook else file
            return
        steps = now.steps if isinstance(now, Progress) else 1  # it is no on_progress: unknown
        first = (now.epoch - 1) * steps  # not 0 after Model.resume
        where = {} if is_notebook else {"file": file, "dynamic_ncols": True}
        self._bar = bar(total=now.epochs * steps, initial=first, bar_format=FORMAT, **where)

    def _end(self, *, whole: bool) -> None:
        bar, self._bar, self._began, self._lines = self._bar, None, False, None
        if bar is None:
            return
        if whole and bar.n < bar.total:  # it ended early, and as it should
            bar.total = bar.n
            bar.refresh()
        bar.close()


@words.corrected
def progress(file: TextIO | None = None) -> ProgressBar:
    """Make an object that shows the progress of a training, for `fit(progress=...)`.

    In a terminal and in a notebook it is a bar with the epoch, the metrics and the time that is
    left; this needs tqdm and, in a notebook, ipywidgets (`pip install 'pynn-blas[progress]'`).
    Elsewhere, as in a pipe or a file, and without these packages, it is a line for each epoch.
    `fit(progress=True)` makes one by itself.

    Args:
        file: Where to write; None for standard error, or the cell of a notebook.

    Raises:
        ArgumentTypeError: `file` cannot be written to.

    Returns:
        A callback for `fit(progress=...)`; also for `on_epoch` and `on_progress`, together.

    Examples:
        >>> import sys
        >>> import numpy as np, pynn
        >>> x, y = np.eye(2, dtype=np.float32), np.array([0, 1])
        >>> model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build(seed=0)
        >>> history = model.fit(x, y, epochs=2, progress=pynn.progress(file=sys.stdout))
        ... # doctest: +ELLIPSIS
        epoch 1/2: loss ..., accuracy ... s
        epoch 2/2: loss ..., accuracy ... s
    """
    if file is not None and not hasattr(file, "write"):
        raise ArgumentTypeError(
            f"file must be a text stream, such as sys.stdout, got {checks.describe(file)}"
        )
    return ProgressBar(file)


def _figures(now: Progress | EpochResult, equals: str) -> str:
    """The metrics that there are: "loss=0.2345, accuracy=0.9312"."""
    names = [*METRICS, *(f"val_{name}" for name in METRICS)]
    values = {name: getattr(now, name, None) for name in names}
    shown = {name: it for name, it in values.items() if it is not None and not math.isnan(it)}
    return ", ".join(f"{name}{equals}{figure(value)}" for name, value in shown.items())


def _in_notebook() -> bool:
    """Whether the program is a notebook: IPython with a kernel."""
    with contextlib.suppress(Exception):  # whatever IPython is in another version
        shell = sys.modules["IPython"].get_ipython()
        return "IPKernelApp" in shell.config
    return False


def _tqdm(*, notebook: bool) -> Any:
    """The bar of tqdm for a notebook or a terminal; None if it cannot be shown.

    In a notebook it needs ipywidgets: the bar of text that tqdm draws without it is a line for each
    report when the notebook is made a page.
    """
    try:
        if not notebook:
            from tqdm import tqdm

            return tqdm
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from tqdm import notebook as widgets

        return widgets.tqdm if widgets.IProgress is not None else None
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "tqdm":
            raise
        return None
