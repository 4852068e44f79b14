"""The pages of the API reference: every public name, grouped by the module that defines it.

There is no list to keep: the names are those of `__all__`, the groups follow from where a name is
defined, and a name that fits no group comes under "More".
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pynn

# Title, what the page is about, and the modules whose names it has. The first that fits counts.
GROUPS = (
    ("Networks", "A chain of calls describes a network.", ("pynn._builder", "pynn._columns")),
    ("Models", "What a chain builds: train it, use it, look at it, save it.", ("pynn._model",)),
    ("Results", "What training and evaluation return.", ("pynn._training.history",)),
    ("Training", "What `Model.fit` may be given.", ("pynn._training",)),
    ("Errors", "All are `PynnError`, and also the error that Python would raise.", ("pynn._base",)),
    ("More", "Threads, and how pynn was built.", ("pynn",)),
)


class Name(NamedTuple):
    """A public name and what it is."""

    module: str
    name: str
    value: object

    @property
    def full(self) -> str:
        """As one writes it: pynn.Model."""
        return f"{self.module}.{self.name}"


def modules() -> list[ModuleType]:
    """The public modules below pynn, formats' own ones included."""
    found = []
    for folder in ("pynn", "pynn.formats"):
        package = importlib.import_module(folder)
        for info in pkgutil.iter_modules(package.__path__, f"{folder}."):
            name = info.name.rpartition(".")[2]
            if not name.startswith(("_", "lib")):  # the build puts BLAS there: libscipy_...
                found.append(importlib.import_module(info.name))
    return found


def names_of(module: ModuleType) -> list[Name]:
    """The public names of a module, without modules and without those that start with "_"."""
    listed = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if inspect.isroutine(value) and value.__module__ == module.__name__
    ]
    names = [Name(module.__name__, name, getattr(module, name)) for name in listed]
    return [one for one in names if one.name[0] != "_" and not inspect.ismodule(one.value)]


def members_of(value: object) -> list[str]:
    """The public members of a class, except those it has from classes outside pynn."""
    if not inspect.isclass(value) or issubclass(value, BaseException):
        return []
    own = [base for base in value.__mro__ if base.__module__.startswith("pynn")]
    names = {name for base in own for name in vars(base) if not name.startswith("_")}
    return sorted(name for name in names if _is_ours(getattr(value, name)))


def _is_ours(member: object) -> bool:
    # scikit-learn adds methods to the classes that derive from its own.
    home = getattr(member, "__module__", None) if inspect.isroutine(member) else None
    return home is None or home.startswith("pynn")


def _described(value: object, section: str) -> set[str]:
    """The names that a section of a docstring describes, such as "Attributes:"."""
    found = re.search(rf"^{section}:\n((?: +.*\n?|\n)*)", inspect.getdoc(value) or "", re.MULTILINE)
    return set(re.findall(r"^ {4}(\w+)(?: \(.*\))?:", found[1], re.MULTILINE)) if found else set()


def expected() -> Iterator[str]:
    """Every name that the reference must have."""
    for module in (pynn, *modules()):
        for one in names_of(module):
            yield one.full
            fields = _described(one.value, "Args")  # shown as arguments
            members = {*members_of(one.value), *_described(one.value, "Attributes")} - fields
            yield from (f"{one.full}.{member}" for member in sorted(members))


def undocumented() -> Iterator[str]:
    """The names of the reference, functions, classes and properties, that have no docstring."""
    for module in (pynn, *modules()):
        for one in names_of(module):
            values = {one.full: one.value}
            values |= {
                f"{one.full}.{name}": getattr(one.value, name) for name in members_of(one.value)
            }
            for name, value in values.items():
                described = inspect.isroutine(value) or inspect.isclass(value)
                if (described or isinstance(value, property)) and not inspect.getdoc(value):
                    yield name


def _group_of(one: Name) -> str:
    # Error classes say that they are of pynn, so that tracebacks are short.
    if inspect.isclass(one.value) and issubclass(one.value, (BaseException, Warning)):
        return "Errors"
    home = getattr(one.value, "__module__", "pynn")
    return next(
        title for title, _, homes in GROUPS if any(f"{home}.".startswith(f"{h}.") for h in homes)
    )


def _directive(one: Name) -> str:
    if not inspect.isclass(one.value):
        kind = "autofunction" if inspect.isroutine(one.value) else "autodata"
        return f".. {kind}:: {one.full}\n"
    if issubclass(one.value, BaseException):
        return f".. autoexception:: {one.full}\n   :show-inheritance:\n"
    described = _described(one.value, "Attributes") | _described(one.value, "Args")
    members = ", ".join(name for name in members_of(one.value) if name not in described)
    options = f"   :members: {members}\n" if members else ""
    return f".. autoclass:: {one.full}\n{options}"


def _page(title: str, about: str, names: list[Name], deep: bool) -> str:
    head = f"{title}\n{'=' * len(title)}\n\n{about}\n\n"
    parts = []
    for one in names:
        parts.append(f"{one.name}\n{'-' * len(one.name)}\n" * deep + "\n" * deep + _directive(one))
    return head + "\n".join(parts)


def _module_page(module: ModuleType) -> str:
    name = module.__name__
    below = [m for m in modules() if m.__name__.startswith(f"{name}.")]
    links = "".join(f"- :doc:`{m.__name__}`\n" for m in below)
    head = f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n   :no-members:\n\n{links}\n"
    return head + "\n".join(_directive(one) for one in names_of(module))


def write(folder: Path) -> str:
    """Write the pages of the reference below a folder; return the place of their list."""
    pages: dict[str, str] = {}
    for title, about, _ in GROUPS:
        names = [one for one in names_of(pynn) if _group_of(one) == title]
        if names:
            pages[title.lower()] = _page(title, about, names, deep=title != "Errors")
    for module in modules():
        if names_of(module) or module.__name__ == "pynn.formats":
            pages[module.__name__] = _module_page(module)
    target = folder / "api"
    target.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (target / f"{name}.rst").write_text(text, "utf-8")
    tree = ".. toctree::\n   :maxdepth: 1\n\n" + "".join(f"   {name}\n" for name in pages)
    about = "Every public name. All but the names of modules are reached as ``pynn.NAME``."
    (target / "index.rst").write_text(f"API reference\n=============\n\n{about}\n\n{tree}", "utf-8")
    return "api/index.rst"
