"""Every example in docstrings, README and docs runs, and gives what it says."""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path

import links
import pytest

import pynn

ROOT = Path(__file__).parent.parent
PACKAGE = Path(pynn.__file__).parent
MODULES = sorted(
    ".".join(source.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for source in PACKAGE.rglob("*.py")
)
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?:python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Before a block that is not to be run, such as one that takes long; a comment, so it is not shown.
SKIPPED = re.compile(r"^<!-- not run: .+ -->\n+```python\n.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples run in a folder with nothing but the data of a clone of the repository."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYNN_DATA", raising=False)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The examples of a module's docstrings are right."""
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0, capsys.readouterr().out


def test_there_are_docstrings_to_test() -> None:
    """The finder finds the examples of a class, of a function and of a module."""
    examples = {
        name: sum(
            len(test.examples)
            for test in doctest.DocTestFinder().find(importlib.import_module(name))
        )
        for name in MODULES
    }
    for name in (
        "pynn",
        "pynn._builder",
        "pynn._model.training",
        "pynn._native.threads",
        "pynn.datasets._idx",
    ):
        assert examples[name] >= 2, name


def run_page(page: Path) -> str:
    """Run a page's blocks, in order and in one namespace; what doctest says of failures.

    Blocks with prompts are compared with the output they show, blocks without just run.
    """
    complaints: list[str] = []
    namespace: dict[str, object] = {}
    text = page.read_text("utf-8")
    skipped = [match.span() for match in SKIPPED.finditer(text)]
    for match in BLOCK.finditer(text):
        if any(begin <= match.start() < end for begin, end in skipped):
            continue
        line = text.count("\n", 0, match.start()) + 1
        if ">>>" not in match[1]:
            exec(compile("\n" * line + match[1], str(page), "exec"), namespace)
            continue
        test = doctest.DocTestParser().get_doctest(match[1], namespace, page.name, str(page), line)
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(test, out=complaints.append, clear_globs=False)
        namespace = test.globs
    return "".join(complaints)


PAGE = """
```python
>>> x = 1
>>> x
{shown}
```
text
```python
y = x + 1
```
<!-- not run: it would fail -->
```python
1 / 0
```
```sh
rm everything
```
```python
>>> y
2
```
"""


@pytest.mark.parametrize(("shown", "right"), [("1", True), ("2", False)])
def test_pages_are_tested(shown: str, right: bool, tmp_path: Path) -> None:
    """Blocks share their names, wrong output is found, and only Python that is to be run is."""
    page = tmp_path / "page.md"
    page.write_text(PAGE.format(shown=shown))
    assert (run_page(page) == "") == right


def test_failing_block_is_found(tmp_path: Path) -> None:
    """A block without prompts that raises fails the page."""
    page = tmp_path / "page.md"
    page.write_text("```python\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError):
        run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(page: Path) -> None:
    """The Python blocks of a page are right."""
    assert run_page(page) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_of_tests_are_there(page: Path) -> None:
    """Each file of tests that a page names, by a pattern perhaps, exists."""
    names = set(re.findall(r"\btest_[\w*]+\.(?:py|c)\b", page.read_text(encoding="utf-8")))
    names -= {"test_mlp.py"}  # scikit-learn's
    assert [name for name in sorted(names) if not [*(ROOT / "tests").rglob(name)]] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links(page: Path) -> None:
    """Each link leads to a file or a heading that is there; addresses have the form of one."""
    assert links.problems_of(ROOT, [page]) == []


def misplaced(text: str) -> list[str]:
    """The headings (of the second level) that a page has twice, and its rows outside of a table."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^## .+", text, re.MULTILINE)
    twice = [heading for heading in sorted(set(headings)) if headings.count(heading) > 1]
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    return twice + [table for table in tables if not re.match(r".*\n\|[ |:-]+\n", table)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_rows_or_headings_are_misplaced(page: Path) -> None:
    """Each row of a table stands below the table's head, and no two parts have one heading."""
    assert misplaced(page.read_text("utf-8")) == []


def test_misplaced_rows_and_headings_are_found() -> None:
    """A row below a list, and a part that comes twice, are what two versions put together give."""
    part = "## Limits\n\n- none\n"
    assert misplaced(f"| a | b |\n| --- | --- |\n| 1 | 2 |\n\n{part}| 3 | 4 |\n{part}") == [
        "## Limits",
        "| 3 | 4 |\n",
    ]


def test_every_page_is_listed() -> None:
    """docs/README.md, the list of all pages, has each page; the site's menu is made of it."""
    assert links.not_listed(ROOT) == []


NAME = re.compile(r"`pynn((?:\.[A-Za-z]\w*)+)(?:\(|`)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_names_in_the_text_are_there(page: Path) -> None:
    """A public name that a page writes as code exists; two pages tell of wrong names, too."""
    missing = []
    for name in NAME.findall(page.read_text("utf-8")):
        value: object = pynn
        for part in name.split(".")[1:]:
            if value is pynn and importlib.util.find_spec(f"pynn.{part}"):
                importlib.import_module(f"pynn.{part}")
            value = getattr(value, part, None)
        if value is None and name not in {".h", ".pc"}:
            missing.append(f"pynn{name}")
    assert missing == [] or page.name in {"words.md", "reliability.md"}
