"""Puts the installed package in the place of its source folder, which Python found first.

Python started in a clone looks for packages in the current folder before all others, and finds the
folder `pynn` there: the source, without the compiled extension. `pynn/__init__.py` imports this
module only then.
"""

import filecmp
import os
import sys
import warnings
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path

SOURCE = Path(__file__).parent


def use_installed() -> None:
    """Import the pynn that is further along `sys.path`, as `sys.modules["pynn"]`.

    After it has run a module, the import system takes what `sys.modules` holds under its name. So
    whoever imports pynn, or a submodule, gets the installed package. All of its modules are the
    installed ones: those of the source that were imported until now are forgotten first, since
    Python modules of one version must not meet the extension of another.

    Raises:
        ImportError: No pynn is installed.
    """
    spec = _find_installed()
    if spec is None or spec.loader is None:  # no loader: a folder without __init__.py
        raise ImportError(
            f"{SOURCE} is pynn's source, without its compiled part, and the rest of sys.path has no"
            f" installed pynn. Install it: {sys.executable} -m pip install {SOURCE.parent}",
            name="pynn",
        )
    _warn_if_different(spec)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pynn"]:
        del sys.modules[name]
    sys.modules["pynn"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["pynn"])


def _find_installed() -> ModuleSpec | None:
    """Look for another pynn in the entries of `sys.path` after the source folder's.

    Only after it: where two source folders are on the path, each must not lead to the other.
    """
    after = max((i + 1 for i, entry in enumerate(sys.path) if _holds_source(entry)), default=0)
    return PathFinder.find_spec("pynn", sys.path[after:])


def _holds_source(entry: str) -> bool:
    try:
        return os.path.samefile(entry or ".", SOURCE.parent)
    except OSError:  # not there, as sys.path allows
        return False


def _warn_if_different(spec: ModuleSpec) -> None:
    """Warn where the installed Python modules are not those of the source.

    Who has changed a module without installing it would look for the change in vain. Whether C has
    changed cannot be seen in the extension, and an installation in a zip file is not compared.
    """
    installed = Path(*spec.submodule_search_locations or ())
    files = [file.relative_to(SOURCE) for file in sorted(SOURCE.rglob("*.py"))]
    _, changed, missing = filecmp.cmpfiles(SOURCE, installed, map(str, files), shallow=False)
    different = sorted([*changed, *missing])
    if installed.is_dir() and different:
        more = f" and {len(different) - 1} more" if len(different) > 1 else ""
        warnings.warn(
            f"imported the pynn installed in {installed}, which differs from the source in {SOURCE}"
            f" ({different[0]}{more}). Install the source again (pip install .) to use it",
            stacklevel=4,
        )
