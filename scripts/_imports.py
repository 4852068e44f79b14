"""Check which module of pynn imports which, as pyproject.toml has it: in this folder's source.

import-linter finds a package as Python does. Of one whose installation is editable it would find a
loader, and no files: so Python's own way is the only one here.
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
