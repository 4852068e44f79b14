"""Check the imports between pynn's modules in this folder, by the contracts in pyproject.toml.

import-linter finds a package by Python's import system. An editable installation adds a loader to
that, for which import-linter finds no files. So only Python's own finders are left here.
"""

from __future__ import annotations

import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

from importlinter.cli import lint_imports


def main() -> int:
    """The exit status."""
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder]
    sys.path.insert(0, ".")
    return lint_imports(no_cache=True, no_logo=True)


if __name__ == "__main__":
    sys.exit(main())
