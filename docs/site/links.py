"""The links of Markdown pages: find them, and say which lead nowhere. No network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]*)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
EXTERNAL = re.compile(r"https?://[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?(/[^\s<>\"]*)?", re.IGNORECASE)


class Link(NamedTuple):
    """A link or an image: where it stands in the text, and where it leads."""

    start: int
    end: int
    image: bool
    text: str
    target: str

    @property
    def internal(self) -> bool:
        """Whether it leads to a file or to a heading of the same page."""
        return not re.match(r"[a-z][a-z0-9+.-]*:", self.target, re.IGNORECASE)

    @property
    def path(self) -> str:
        """What it says of the file; empty for the same page."""
        return self.target.partition("#")[0]

    @property
    def anchor(self) -> str:
        """The heading, or nothing."""
        return self.target.partition("#")[2]


def without_code(text: str) -> str:
    """The text with blanks for blocks of code and for comments, so that places stay the same."""
    for pattern in (FENCE, COMMENT):
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    return text


def links_of(text: str) -> Iterator[Link]:
    """The links and images of a page, except those in code."""
    text = without_code(text)
    codes = [match.span() for match in CODE.finditer(text)]
    for match in LINK.finditer(text):
        if not any(begin <= match.start() < end for begin, end in codes):
            yield Link(*match.span(), bool(match["image"]), match["text"], match["target"])


def anchors_of(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts and MyST make them."""
    anchors: set[str] = set()
    for match in HEADING.finditer(without_code(text)):
        title = LINK.sub(lambda link: link["text"], match[1])
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        number, anchor = 0, slug
        while anchor in anchors:
            number += 1
            anchor = f"{slug}-{number}"
        anchors.add(anchor)
    return anchors


def _problem(root: Path, page: Path, link: Link) -> str:
    """What is wrong with a link; empty if nothing is."""
    if link.image and not link.text.strip():
        return "an image needs a text that says what it shows: ![text](file)"
    if not link.internal:
        return "" if EXTERNAL.fullmatch(link.target) else "no address of the form https://host/path"
    file = (page.parent / link.path).resolve() if link.path else page.resolve()
    if not file.is_relative_to(root.resolve()) or not file.exists():
        return "there is no such file in the repository"
    if link.anchor and file.suffix != ".md":
        return "only headings of .md pages can be linked; line numbers would change"
    if link.anchor and link.anchor not in anchors_of(file.read_text("utf-8")):
        return f"{file.name} has no heading with the anchor #{link.anchor}"
    return ""


def problems_of(root: Path, pages: Iterable[Path]) -> list[str]:
    """A line for each link of the pages that leads nowhere: page, line, link, what is wrong."""
    problems = []
    for page in pages:
        text = page.read_text("utf-8")
        for link in links_of(text):
            if problem := _problem(root, page, link):
                line = text.count("\n", 0, link.start) + 1
                name = page.resolve().relative_to(root.resolve()).as_posix()
                problems.append(f"{name}:{line}: {link.target}: {problem}")
    return problems


def not_listed(root: Path) -> list[str]:
    """A line for each page of docs/ that no README of docs/ links."""
    docs = root / "docs"
    listed = {docs / "README.md"}
    for index in docs.rglob("README.md"):
        links = [link for link in links_of(index.read_text("utf-8")) if link.internal]
        listed |= {(index.parent / link.path).resolve() for link in links if link.path}
    return [
        f"{page.relative_to(root).as_posix()} is not in the list of pages: add a line with a"
        " link to it to docs/README.md, under the heading where it belongs"
        for page in sorted(docs.resolve().rglob("*.md"))
        if page not in listed
    ]
