"""How train.py shows its progress."""

import sys
from typing import TYPE_CHECKING, Any, TextIO

from _program import complain, give_up, printable

import pynn

if TYPE_CHECKING:
    from tqdm import tqdm as Bar


class Report:
    """Shows progress: a line an epoch and, on a terminal, a bar while the epoch runs.

    Where the stream is closed, or takes no more, as on a full disk, nothing is shown, and the
    training goes on.
    """

    def __init__(self, stream: TextIO | None, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet or stream is None
        self._name = ""
        self._bar: Bar[Any] | None = None
        self._tqdm: type[Bar[Any]] | None = None
        if stream is not None and stream.isatty() and not quiet:
            try:
                from tqdm import tqdm
            except ImportError as error:
                why = f": tqdm cannot be imported: {printable(str(error))}"
                if isinstance(error, ModuleNotFoundError) and error.name == "tqdm":
                    why = " without tqdm: pip install '.[scripts]'"
                complain(f"train.py: no progress bar{why}")
            else:
                self._tqdm = tqdm

    def start(self, name: str) -> None:
        """Say which network the following is about."""
        self._name = name

    def line(self, text: str) -> None:
        """Print a line; BrokenPipeError if nobody reads standard output any more."""
        if self._quiet:
            return
        if self._stream is sys.stderr:
            complain(text)
            return
        try:
            print(text, file=self._stream, flush=True)
        except BrokenPipeError:
            give_up(sys.stdout)
            raise
        except OSError:  # the result will fail there, too, and the error be told then
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
                delay=1,  # else it is drawn before it is ours: Ctrl-C then could not clear it
                dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f} % |{bar}| {remaining} left",
            )
        self._bar.set_description_str(self._figures(now), refresh=False)
        self._bar.n = now.step
        self._bar.refresh()

    def epoch(self, result: pynn.EpochResult) -> None:
        """Put a line in the place of the bar."""
        self._close()
        self.line(
            f"{self._figures(result)}  val loss {result.val_loss:.4f}  "
            f"acc {result.val_accuracy:6.2%}  {result.seconds:5.2f} s"
        )

    def _figures(self, now: pynn.Progress | pynn.EpochResult) -> str:
        width = len(str(now.epochs))
        return (
            f"{self._name:<7} {now.epoch:>{width}}/{now.epochs}"
            f"  loss {now.loss:.4f}  acc {now.accuracy:6.2%}"
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.clear()
            self._bar.close()
            self._bar = None

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *_: object) -> None:
        """Clear a bar that an error or Ctrl-C left, so that its message starts a line."""
        self._close()
