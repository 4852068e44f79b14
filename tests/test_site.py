"""What the site is made of: the links of pages, their places, and the names of the reference."""

from __future__ import annotations

import inspect
from pathlib import Path

import api_pages
import links
import pytest
import staging

import pynn

PAGE = """# A *page*

[a file](code.c), `[no](link)`, [other](folder/README.md#two-words-1), [here](#a-page)

```
[no](link.md)
```

![a picture](picture.png) <!-- [no](link) --> [`x[0]`](https://example.org/x)
"""
OTHER = """# Other

```sh
# no heading
```

## Two words

## Two `words`

[back](../README.md)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with pages, a picture and source code."""
    files = {
        "README.md": PAGE,
        "folder/README.md": OTHER,
        "code.c": "int x; // ```` is in it\n",
        "picture.png": "",
        "docs/README.md": "# Pages\n\n## First\n\n- [a](a.md)\n- [learn](learn/README.md)\n",
        "docs/a.md": "# A\n\n```python\n>>> 1\n1\n\n```\n\n```\nx\n```\n\n"
        "[up](../README.md) [code](../code.c) ![p](../picture.png)\n",
        "docs/learn/README.md": "# Learn\n\n[one](1.md)\n",
        "docs/learn/1.md": "# One\n\n[a](../a.md#a) [folder](../../folder)\n",
    }
    for name, text in files.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "repository"


def test_links_of_a_page() -> None:
    """Links in code and in comments are none, and the text of a link may have brackets."""
    targets = [(link.image, link.target) for link in links.links_of(PAGE)]
    assert targets == [
        (False, "code.c"),
        (False, "folder/README.md#two-words-1"),
        (False, "#a-page"),
        (True, "picture.png"),
        (False, "https://example.org/x"),
    ]


def test_anchors_are_those_of_code_hosts() -> None:
    """Headings become lower case without punctuation, and the second of a name gets a number."""
    assert links.anchors_of(OTHER) == {"other", "two-words", "two-words-1"}
    assert links.anchors_of("## A [link](x.md): `a_b`, c - d\n") == {"a-link-a_b-c---d"}


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("", ""),
        ("[x](gone.md)", "README.md:11: gone.md: there is no such file in the repository"),
        ("[x](#gone)", "README.md:11: #gone: README.md has no heading with the anchor #gone"),
        ("[x](folder/README.md#gone)", "README.md has no heading with the anchor #gone"),
        ("[x](../outside)", "there is no such file in the repository"),
        ("[x](code.c#L1)", "only headings of .md pages can be linked"),
        ("![](picture.png)", "an image needs a text"),
        ("[x](https://host)", "no address of the form https://host/path"),
        ("[x](ftp://example.org/x)", "no address of the form https://host/path"),
    ],
)
def test_dead_links_are_found(repository: Path, target: str, problem: str) -> None:
    """Each kind of dead link gets a line that says where it is and what is wrong."""
    page = repository / "README.md"
    page.write_text(f"{PAGE}\n{target}\n")
    (repository.parent / "outside").touch()
    found = links.problems_of(repository, [page])
    assert [bool(problem)] * bool(problem) == [problem in line for line in found]


def test_a_page_that_no_list_has_is_found(repository: Path) -> None:
    """The sentence names the page and the list that it must be added to."""
    assert links.not_listed(repository) == []
    (repository / "docs" / "b.md").write_text("# B\n")
    (found,) = links.not_listed(repository)
    assert found.startswith("docs/b.md is not in the list of pages: add a line")


def test_pages_are_laid_out(repository: Path, tmp_path: Path) -> None:
    """Links lead to pages, and to pages that show source code; the menu has what is listed."""
    site = tmp_path / "site"
    staging.Staging(repository, site).add_all("api/index.rst")
    assert [*links.problems_of(site, site.rglob("*.md"))] == []
    front = (site / "index.md").read_text()
    assert "[a file](source/code.c.md)" in front
    assert "[other](folder/index.md#two-words-1)" in front
    assert "`[no](link)`" in front
    assert ":caption: First\n\na.md\nlearn/index.md\n" in front
    assert (site / "learn/index.md").read_text().endswith(":hidden:\n\n1.md\n```\n")
    assert "[folder](../source/folder.md)" in (site / "learn/1.md").read_text()
    assert "\n``````{code-block} c\n" in (site / "source/code.c.md").read_text()
    assert "\n>>> 1\n1\n```\n\n```\nx\n```\n\n[up]" in (site / "a.md").read_text()
    assert (site / "picture.png").exists()


def test_reference_has_every_public_name(tmp_path: Path) -> None:
    """Names of `__all__`, members of classes and modules are found without a list."""
    names = set(api_pages.expected())
    assert {f"pynn.{name}" for name in pynn.__all__} - names == {
        f"pynn.{name}"
        for name in pynn.__all__
        if name == "__version__" or inspect.ismodule(getattr(pynn, name))
    }
    assert {
        "pynn.Model.fit",
        "pynn.LayerBuilder.dense",
        "pynn.datasets.Dataset.images",
        "pynn.datasets.mnist",
        "pynn.formats.c.save",
        "pynn.models.lenet",
        "pynn.sklearn.MLPClassifier.predict_proba",
    } <= names
    assert not any(name.rpartition(".")[2].startswith("_") for name in names)
    api_pages.write(tmp_path)
    text = "".join(path.read_text() for path in (tmp_path / "api").glob("*.rst"))
    assert [name for name in names if name.count(".") == 1 and f":: {name}\n" not in text] == []


@pytest.mark.parametrize(
    ("page", "name"),
    [("errors", "PynnError"), ("models", "load"), ("training", "SGD"), ("more", "build_info")],
)
def test_groups_follow_from_modules(page: str, name: str, tmp_path: Path) -> None:
    """Where a name comes in the reference follows from what it is and where it is defined."""
    api_pages.write(tmp_path)
    assert f"pynn.{name}\n" in (tmp_path / "api" / f"{page}.rst").read_text()


def test_every_name_of_the_reference_has_a_docstring() -> None:
    """So no entry of the reference is empty."""
    assert list(api_pages.undocumented()) == []
