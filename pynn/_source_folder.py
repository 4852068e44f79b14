"""Imports the installed package when Python has found the source folder first.

If Python is started in a clone of the repository, it searches the current folder first. There it
finds the folder `pynn`, which is the source without the compiled extension. Only in this case
`pynn/__init__.py` imports this module.
"""

import os
import sys
import warnings
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path

SOURCE = Path(__file__).parent


def use_installed() -> None:
    """Import the installed pynn, which is later on `sys.path`, as `sys.modules["pynn"]`.

    When the import system has run a module, it returns the entry of `sys.modules` with its name. So
    whoever imports pynn, or a submodule of it, gets the installed package. Modules of the source
    that were imported before are removed first: otherwise Python modules of one version could use
    the extension of another.

    Raises:
        ImportError: No pynn is installed.
    """
    spec = _find_installed()
    if spec is None or spec.loader is None:  # a folder without __init__.py has no loader
        raise ImportError(_advice(), name="pynn")
    _warn_if_different(spec)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pynn"]:
        del sys.modules[name]
    sys.modules["pynn"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["pynn"])


def _advice() -> str:
    """Say what is missing, and how to install it."""
    pip = f"{sys.executable} -m pip install"
    if (SOURCE.parent / "pyproject.toml").exists():
        return (
            f"{SOURCE} is pynn's source, without its compiled part, and the rest of sys.path has no"
            f" installed pynn. Install it: {pip} {SOURCE.parent}"
        )
    return (
        f"the compiled part of {SOURCE} is missing, or made for another Python. Install pynn again:"
        f" {pip} --force-reinstall pynn-blas"
    )


def _find_installed() -> ModuleSpec | None:
    """Search for another pynn in the entries of `sys.path` after the source folder.

    The entries before it are not searched: if two source folders were on the path, each would find
    the other, without end.
    """
    after = max((i + 1 for i, entry in enumerate(sys.path) if _holds_source(entry)), default=0)
    return PathFinder.find_spec("pynn", sys.path[after:])


def _holds_source(entry: str) -> bool:
    """Tell whether an entry of `sys.path` is the folder that contains this source folder."""
    try:
        return os.path.samefile(entry or ".", SOURCE.parent)
    except OSError:  # it does not exist, which sys.path allows
        return False


def _differs(source: Path, installed: Path) -> bool:
    """Tell whether two files differ. Files of one size are read only if the source is newer."""
    try:
        ours, theirs = source.stat(), installed.stat()
    except FileNotFoundError:
        return True
    if ours.st_size != theirs.st_size:
        return True
    return ours.st_mtime > theirs.st_mtime and source.read_bytes() != installed.read_bytes()


def _warn_if_different(spec: ModuleSpec) -> None:
    """Warn if the installed Python modules differ from those of the source.

    Otherwise a user who has changed a module, and has not installed it again, would not see the
    change and would not know why. The extension is not compared, because it does not show whether
    the C source has changed; nor is an installation in a zip file.
    """
    installed = Path(*spec.submodule_search_locations or ())
    if not installed.is_dir():
        return
    files = [file.relative_to(SOURCE) for file in sorted(SOURCE.rglob("*.py"))]
    different = [str(file) for file in files if _differs(SOURCE / file, installed / file)]
    if different:
        more = f" and {len(different) - 1} more" if len(different) > 1 else ""
        warnings.warn(
            f"imported the pynn installed in {installed}, which differs from the source in {SOURCE}"
            f" ({different[0]}{more}). Install the source again (pip install .) to use it",
            stacklevel=4,
        )
