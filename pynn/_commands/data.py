"""The command `pynn data`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pynn._base.errors import DataNotFoundError
from pynn._commands.parser import Parser
from pynn._commands.program import Failure, run, say, shown
from pynn.datasets import _mnist
from pynn.datasets._layout import missing_files
from pynn.datasets._places import user_cache

DESCRIPTION = """\
List the data sets that pynn knows by name, with the folder each is in;
download one into a folder; or verify that the files of a folder are the
original's, by their SHA-256.

MNIST is looked for in $PYNN_DATA, in data/mnist below the current folder, and
in the user's cache.
"""

EPILOG = """\
examples:
  pynn data list
  pynn data download
  pynn data verify data/mnist

exit status: 0 done, 1 it failed or a file is not the original's, 2 wrong call
"""

MNIST = "mnist   60,000 and 10,000 images of handwritten digits, 28 x 28"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run("pynn", lambda: _work(argv))


def _work(argv: Sequence[str] | None) -> int:
    parser = Parser("pynn data", DESCRIPTION, EPILOG, "list | download | verify [DIR]")
    parser.add_argument(
        "work",
        nargs="?",
        choices=["list", "download", "verify"],
        default="list",
        metavar="WORK",
        help="list, download or verify (default: list)",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="the folder of the files (default: where MNIST is found, or the user's cache)",
    )
    options = parser.parse_args(argv)
    if options.work == "download":
        return _download(options.folder)
    if options.work == "verify":
        return _verify(options.folder)
    if options.folder is not None:
        parser.error("list takes no folder")
    found = _mnist.find()
    where = (
        "not on this machine; pynn data download gets it" if found is None else f"in {shown(found)}"
    )
    say(f"{MNIST}\n        {where}")
    return 0


def _download(folder: Path | None) -> int:
    """Download what a folder lacks of MNIST."""
    if folder is None:
        folder = _mnist.find() or user_cache("mnist")
    try:
        got = _mnist.download_to(folder)
    except DataNotFoundError as error:
        raise Failure(str(error).replace("mnist(root)", "pynn train --data DIR")) from None
    words = f"{len(got)} files downloaded" if got else "all files were there"
    say(f"mnist: {words}, in {shown(folder)}")
    return 0


def _verify(folder: Path | None) -> int:
    """Say of each of MNIST's files whether it is the original's."""
    if folder is None:
        folder = _mnist.find()
    if folder is None or len(missing_files(folder)) == len(_mnist.CONTENTS):
        where = "any of the usual folders" if folder is None else shown(folder)
        raise DataNotFoundError(f"MNIST is not in {where}; pynn data download gets it")
    wrong = _mnist.verify(folder)
    say(
        "\n".join(
            [shown(folder), *(f"  {shown(name)}: {why or 'right'}" for name, why in wrong.items())]
        )
    )
    return 1 if any(wrong.values()) else 0
