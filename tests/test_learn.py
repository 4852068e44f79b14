"""The course: its chapters lead on to each other, and what they show is checked.

tests/test_docs.py runs their examples.
"""

from __future__ import annotations

import re
from pathlib import Path

import learn
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
COURSE = ROOT / "docs" / "learn"
CHAPTERS = sorted(COURSE.glob("[0-9]-*.md"))
BLOCK = re.compile(r"^```(?:python|c)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MEASURED = re.compile(r"<!-- begin: (.+) -->\n(.*?)<!-- end: \1 -->", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?!,?\d)|(?<![\w.])\d+\.\d+")


def text_of(chapter: Path) -> str:
    return chapter.read_text("utf-8")


def numbers(text: str) -> set[float]:
    """Numbers with a decimal point or with a comma after thousands."""
    return {float(number.replace(",", "")) for number in NUMBER.findall(text)}


def unchecked(text: str) -> set[float]:
    """Numbers of the prose that no Python block has, among what is typed or what is answered."""
    prose = BLOCK.sub("", MEASURED.sub("", text))
    prose = re.sub(r"\(\.\./[^)]*\)|^#.*$", "", prose, flags=re.MULTILINE)  # links, headings
    checked = " ".join(BLOCK.findall(text)).replace("_", "")
    found = numbers(checked) | {float(n) for n in re.findall(r"\d+\.?\d*(?:e-?\d+)?", checked)}
    return numbers(prose) - found


def test_unchecked_number_is_found() -> None:
    """A number is checked if a block has it, with or without the comma."""
    block = "```python\n>>> 1500 + 0\n1500\n>>> 0.5\n0.5\n```\n"
    assert unchecked(f"First 1,500, then 0.5.\n{block}") == set()
    assert unchecked(f"First 1,501, then 0.25.\n{block}") == {1501.0, 0.25}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_numbers_are_checked(chapter: Path) -> None:
    """Each number in the prose stands in a block that runs, except for measurements."""
    assert unchecked(text_of(chapter)) == set()


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_exercises_have_checked_solutions(chapter: Path) -> None:
    """Each exercise has one folded solution, with an example that runs."""
    exercises = text_of(chapter).split("## Exercises\n")[1]
    questions = re.split(r"^\*\*\d\.\*\* ", exercises, flags=re.MULTILINE)[1:]
    assert len(questions) >= 4
    for question in questions:
        parts = re.findall(
            r"<details><summary>Solution</summary>\n\n(.*?)\n\n</details>", question, re.S
        )
        assert len(parts) == 1 and ">>>" in BLOCK.findall(parts[0])[-1], question


def test_chapters_lead_on() -> None:
    """The index names every chapter in order; each chapter names the next, the last the index."""
    links = re.findall(r"^\| \[.*\]\((.*?)\) \|", text_of(COURSE / "README.md"), re.MULTILINE)
    assert links == [chapter.name for chapter in CHAPTERS]
    for chapter, after in zip(CHAPTERS, [*links[1:], "README.md"], strict=True):
        assert f"]({after}" in text_of(chapter).splitlines()[-1]


def test_factors_are_those_of_the_measurements() -> None:
    """The table of reasons divides medians of the tables above it; the shares add such medians."""
    text = text_of(learn.PAGE)
    measured = dict(MEASURED.findall(text))
    rows = re.findall(r"\| ([\d.]+) to ([\d.]+) \S+ \| ([\d.]+) \|", measured.pop("factors"))
    medians = {name: re.findall(r" ([\d.]+) \(", table) for name, table in measured.items()}
    assert len(rows) == 8
    for before, after, factor in rows:
        assert any({before, after} <= set(found) for found in medians.values())
        ratio = max(float(before) / float(after), float(after) / float(before))
        assert round(ratio, 1) == float(factor)
    (parts,) = re.findall(r"parts = \[(.*)\]", text)
    assert parts.split(", ") == medians["a step"][:5]


@pytest.mark.parametrize("page", sorted(COURSE.glob("*.md")), ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Each file that is linked, and each picture, exists; so does the heading behind a #."""
    for target in re.findall(r"\]\(([^)]+)\)", BLOCK.sub("", text_of(page))):
        file, _, heading = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", text_of(linked), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert heading in slugs, target


def test_chapter_draws_its_pictures() -> None:
    """Each picture of the chapter on training is a file that one of its blocks writes."""
    text = text_of(COURSE / "6-training.md")
    shown = re.findall(r"!\[.*\]\(\.\./pictures/(.*)\)", text)
    assert shown and sorted(shown) == sorted(re.findall(r'"(learn-.*\.png)"', text))


@pytest.mark.parametrize("function", ["plain", "tiled"])
def test_product_in_c(function: str, tmp_path: Path) -> None:
    """The C functions of the chapter on speed add X W to Y."""
    rng = np.random.default_rng(0)
    x, w = rng.random((16, 20), np.float32), rng.random((20, 64), np.float32)
    y = np.ones((16, 64), np.float32)
    learn.product(getattr(learn.compiled(str(tmp_path), "-O1"), function), x, w, y)
    np.testing.assert_allclose(y, 1 + x @ w, rtol=1e-5)


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("name", learn.PARTS)
def test_measured_ways_are_those_of_the_program(name: str) -> None:
    """A table of measurements has a row for each way that the program measures; each way runs."""
    table = dict(MEASURED.findall(text_of(learn.PAGE)))[name]
    rows = re.findall(r"^\| (.+?) +\| \d.* \|$", table, re.MULTILINE)
    part = learn.PARTS[name](np.random.default_rng(0))
    assert rows == list(part.ways)
    assert part.unit in table
    for work in part.ways.values():
        work()
