"""Build the documentation as a site.

    python docs/site/build_site.py

The site is in build/site: open build/site/index.html. It needs no server and no network. Needs what
`pip install '.[docs]'` installs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

import api_pages
import links
import staging

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def missing_names(site: Path) -> list[str]:
    """A line for each public name that the built reference does not have."""
    from sphinx.util.inventory import InventoryFile

    data = (site / "objects.inv").read_bytes()
    inventory = InventoryFile.loads(data, uri="")
    built = {name for kind, names in inventory.data.items() if kind[:3] == "py:" for name in names}
    return [
        f"{name} is not in the API reference: give it a docstring; if it has one,"
        " docs/site/api_pages.py does not find it"
        for name in api_pages.expected()
        if name not in built
    ]


def build(site: Path) -> int:
    """Build the site; what is wrong goes to stderr, and the result is the exit status."""
    try:
        import furo  # noqa: F401 - the theme
        import myst_parser  # noqa: F401
        from sphinx.cmd.build import main as sphinx
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: python -m pip install '.[docs]'", file=sys.stderr)
        return 2
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    problems = links.problems_of(ROOT, pages) + links.not_listed(ROOT)
    if not problems:
        source = site.with_name(f"{site.name}-source")
        for folder in (source, site):
            shutil.rmtree(folder, ignore_errors=True)
        staging.Staging(ROOT, source).add_all(api_pages.write(source))
        options = ["-q", "-W", "--keep-going", "-j", "auto", "-d", str(source / ".doctrees")]
        if sphinx([*options, "-c", str(HERE), str(source), str(site)]):
            return 1
        problems = missing_names(site)
    for problem in problems:
        print(problem, file=sys.stderr)
    return bool(problems)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", nargs="?", type=Path, default=ROOT / "build" / "site")
    site = parser.parse_args().site.resolve()
    status = build(site)
    if not status:
        print(f"built {os.path.relpath(site / 'index.html')}")
    return status


if __name__ == "__main__":
    sys.exit(main())
