"""Lay out the repository's Markdown pages as Sphinx needs them.

The pages themselves stay as they are. README.md becomes the front page. Links between pages stay
links between pages; a link to a file of source code leads to a page that shows the file. What
docs/README.md lists, under its headings, becomes the menu.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from links import links_of

IMAGES = {".png", ".svg", ".jpg", ".gif"}
LANGUAGES = {".c": "c", ".h": "c", ".py": "python", ".toml": "toml", ".mjs": "js", ".js": "js"}

# doctest needs an empty line after output, which the site would show.
ENDS_OF_CODE = re.compile(r"(?<=\S)\n\n+(?=```\n(?:\n|\Z))")


def place_of(page: str) -> str:
    """Where the site has a page or a file, given by its path in the repository."""
    if page == "README.md":
        return "index.md"
    if page == "docs/README.md":
        return "contents.md"
    page = page.removeprefix("docs/")
    if page.endswith("README.md"):
        return page.removesuffix("README.md") + "index.md"
    if page.endswith(".md"):
        return page if "/" in page else page.lower()
    return page if Path(page).suffix in IMAGES else f"source/{page}.md"


def source_page(name: str, text: str) -> str:
    """A page that shows a file of source code."""
    fence = "`" * (2 + max(3, *(len(run) for run in re.findall(r"`+", text)), 3))
    language = LANGUAGES.get(Path(name).suffix, "text")
    title = f"---\norphan: true\n---\n\n# {name}\n\n"
    return f"{title}{fence}{{code-block}} {language}\n:lineno-start: 1\n\n{text}\n{fence}\n"


def folder_page(name: str, folder: Path) -> str:
    """A page that names the files of a folder."""
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    lines = "\n".join(f"- `{entry}`" for entry in names if not entry.startswith(("_", ".")))
    return f"---\norphan: true\n---\n\n# {name}\n\n{lines}\n"


def toctree(caption: str, pages: list[str]) -> str:
    """A part of the menu."""
    lines = "\n".join(pages)
    options = f":caption: {caption}\n" if caption else ""
    return f"\n\n```{{toctree}}\n:hidden:\n{options}\n{lines}\n```\n"


class Staging:
    """The folder that Sphinx reads, made from the repository."""

    def __init__(self, root: Path, folder: Path) -> None:
        """`root` is the repository, `folder` is where the pages go."""
        self.root, self.folder = root.resolve(), folder
        self._done: set[str] = set()

    def _write(self, place: str, text: str) -> None:
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def _add_target(self, name: str) -> str:
        """Make what a link leads to, unless it is there; return its place."""
        path = self.root / name
        if path.is_dir():
            place = f"source/{name}.md"
            self._write(place, folder_page(name, path))
            return place
        place = place_of(name)
        if name in self._done:
            return place
        if path.suffix == ".md":
            self.add_page(name, orphan=not name.startswith("docs/"))
        elif path.suffix in IMAGES:
            self._done.add(name)
            (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self.folder / place)
        else:
            self._done.add(name)
            self._write(place, source_page(name, path.read_text("utf-8")))
        return place

    def _targets(self, name: str, text: str) -> list[str]:
        """The files of the repository that a page links, in order."""
        found = []
        for link in links_of(text):
            if link.internal and link.path:
                path = (self.root / name).parent / link.path
                found.append(Path(os.path.normpath(path)).relative_to(self.root).as_posix())
        return list(dict.fromkeys(found))

    def _relinked(self, name: str, text: str) -> str:
        """The text of a page with its links as the site needs them, and no empty ends of code."""
        here, parts, end = Path(place_of(name)).parent, [], 0
        for link in links_of(text):
            if not link.internal or not link.path:
                continue
            target = Path(os.path.normpath((self.root / name).parent / link.path))
            place = self._add_target(target.relative_to(self.root).as_posix())
            new = Path(os.path.relpath(place, here)).as_posix()
            new += f"#{link.anchor}" if link.anchor else ""
            parts += [text[end : link.start], f"{'!' * link.image}[{link.text}]({new})"]
            end = link.end
        return ENDS_OF_CODE.sub("\n", "".join(parts) + text[end:])

    def add_page(self, name: str, after: str = "", orphan: bool = False) -> None:
        """Lay out a page, and what it links; `after` is added to its end."""
        if name in self._done:
            return
        self._done.add(name)
        text = (self.root / name).read_text("utf-8")
        front = "---\norphan: true\n---\n\n" if orphan else ""
        self._write(place_of(name), front + self._relinked(name, text) + after)

    def _menu_of(self, name: str) -> list[str]:
        """The pages that the README of a folder of docs/ lists, for the menu."""
        text = (self.root / name).read_text("utf-8")
        below = Path(name).parent
        targets = [target for target in self._targets(name, text) if target.endswith(".md")]
        return [Path(target).name for target in targets if Path(target).parent == below]

    def _sections(self) -> list[tuple[str, list[str]]]:
        """(heading, pages) of docs/README.md."""
        text = (self.root / "docs" / "README.md").read_text("utf-8")
        heads = list(re.finditer(r"^## (.+)$", text, re.MULTILINE))
        ends = [head.start() for head in heads[1:]] + [len(text)]
        sections, seen = [], set()
        for head, end in zip(heads, ends, strict=True):
            pages = self._targets("docs/README.md", text[head.end() : end])
            places = [place_of(page) for page in pages if page.endswith(".md") and page not in seen]
            seen |= set(pages)
            sections.append((head[1], places))
        return sections

    def add_all(self, api: str) -> None:
        """Lay out every page; `api` is the place of the reference, for the menu."""
        menu = toctree("", ["contents.md"])
        menu += "".join(toctree(*section) for section in self._sections() if section[1])
        menu += toctree("Reference", [api])
        self._done |= {"README.md"}
        for path in sorted(self.root.glob("docs/**/*.md")):
            name = path.relative_to(self.root).as_posix()
            is_index = name.endswith("/README.md") and name != "docs/README.md"
            self._done.discard(name)
            self.add_page(name, toctree("", self._menu_of(name)) if is_index else "")
        self._done -= {"README.md"}
        self.add_page("README.md", menu)
