"""The progress that the command `train` shows."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, TextIO

import pynn
from pynn._base.formulas import figure
from pynn._commands import program
from pynn._commands.program import complain, folded, give_up, printable

if TYPE_CHECKING:
    from tqdm import tqdm as Bar

WIDE = 80
"""Lines of epochs are shorter on a terminal with less columns."""


class Report:
    """Shows progress: a line for each epoch and, on a terminal, a bar during the epoch.

    If the stream is closed, or cannot be written to, as on a full disk, it shows nothing, and the
    training goes on.
    """

    def __init__(self, name: str, stream: TextIO | None, *, quiet: bool) -> None:
        """Show progress on a stream, if it is not None, and not `quiet`."""
        self._program = name
        self._stream = stream
        self._quiet = quiet or stream is None
        self._name = ""
        self._bar: Bar[Any] | None = None
        self._tqdm: type[Bar[Any]] | None = None
        self._width = program.width(stream)
        self._narrow = self._width is not None and self._width < WIDE
        can_move = os.environ.get("TERM") != "dumb"  # to the beginning of a line
        if stream is not None and stream.isatty() and can_move and not quiet:
            try:
                from tqdm import tqdm
            except ImportError as error:
                why = f": tqdm cannot be imported: {printable(str(error))}"
                if isinstance(error, ModuleNotFoundError) and error.name == "tqdm":
                    why = " without tqdm: pip install tqdm"
                complain(f"{name}: no progress bar{why}")
            else:
                self._tqdm = tqdm

    def start(self, name: str) -> None:
        """Set the name of the network that the next lines are about."""
        self._name = name

    def line(self, text: str) -> None:
        """Print a line; raise a BrokenPipeError if the reader of standard output has gone away."""
        if self._quiet:
            return
        text = folded(text, self._width)
        if self._stream is sys.stderr:
            complain(text)
            return
        try:
            print(text, file=self._stream, flush=True)
        except BrokenPipeError:
            give_up(sys.stdout)
            raise
        except OSError:  # printing the result will fail, too, and that error will be shown
            self._quiet = True

    def progress(self, now: pynn.Progress) -> None:
        """Move the bar."""
        if self._tqdm is None:
            return
        if self._bar is None:
            self._bar = self._tqdm(
                desc=self._figures(now),
                total=now.steps,
                file=self._stream,
                leave=False,
                delay=1,  # otherwise tqdm draws the bar before self._bar is set, and Ctrl-C in
                # that moment would leave it on the screen
                dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f} % |{bar}| {remaining} left",
            )
        self._bar.set_description_str(self._figures(now), refresh=False)
        self._bar.n = now.step
        self._bar.refresh()

    def epoch(self, result: pynn.EpochResult) -> None:
        """Replace the bar by a line for the epoch."""
        self._close()
        loss, accuracy = ("val", "") if self._narrow else ("val loss", " acc")
        assert result.val_loss is not None
        self.line(
            f"{self._figures(result)}  {loss} {figure(result.val_loss)} {accuracy}"
            f" {result.val_accuracy:6.2%}  {result.seconds:5.2f} s"
        )

    def _figures(self, now: pynn.Progress | pynn.EpochResult) -> str:
        epoch = f"{now.epoch:>{len(str(now.epochs))}}/{now.epochs}"
        if self._narrow:
            return f"{epoch}  loss {figure(now.loss)} {now.accuracy:6.2%}"
        return f"{self._name:<7} {epoch}  loss {figure(now.loss)}  acc {now.accuracy:6.2%}"

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.clear()
            self._bar.close()
            self._bar = None

    def _warn(self, message: Warning | str, *_: object) -> None:
        """Show a warning as a line; Python would show a place in this program with it."""
        self._close()
        complain(f"{self._program}: {printable(str(message))}")

    def __enter__(self) -> Report:
        """Begin a training."""
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.showwarning = self._warn  # type: ignore[assignment]  # it ignores the place
        return self

    def __exit__(self, *_: object) -> None:
        """Clear a bar that an error or Ctrl-C left, so that its message starts a line."""
        self._warnings.__exit__(None, None, None)
        self._close()
